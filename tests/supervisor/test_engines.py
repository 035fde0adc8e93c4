"""The real servers: started, stopped, killed, orphaned, started again."""

import os
import resource
import signal
import stat
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from sqlalchemy import NullPool, create_engine, make_url

from supervisor import children, placement
from supervisor.engines import EmbeddedPostgres, EmbeddedValkey, Engine
from supervisor.errors import StartError

from .conftest import PROJECT, query, until


def test_postgres_is_set_up_the_same_on_every_machine(folder: Path) -> None:
    with EmbeddedPostgres(folder / "postgres") as postgres:
        settings = (
            "server_encoding",
            "TimeZone",
            "listen_addresses",
            "max_connections",
            "fsync",
            "unix_socket_permissions",
        )
        assert [query(postgres, f"SHOW {name}") for name in settings] == ["UTF8", "UTC", "", "200", "on", "0700"]
        assert (
            query(
                postgres, "SELECT datlocprovider::text || ' ' || datlocale FROM pg_database WHERE datname = 'saltfish'"
            )
            == "b C.UTF-8"
        )
        assert query(postgres, "SELECT upper('é') || lower('Ж')") == "Éж"
        with create_engine(postgres.url, poolclass=NullPool).connect() as connection:
            assert connection.exec_driver_sql("SELECT '咸鱼'").scalar() == "咸鱼"
        assert stat.S_IMODE(postgres.data.stat().st_mode) == 0o700
        assert stat.S_IMODE(postgres.sockets.stat().st_mode) == 0o700
        connections = psutil.Process(postgres.pid).net_connections()
        assert [each for each in connections if each.family.name != "AF_UNIX"] == []


def test_valkey_is_set_up_for_queues(folder: Path) -> None:
    with EmbeddedValkey(folder / "valkey") as valkey, redis.Redis.from_url(valkey.url) as client:
        wanted = {"port": "0", "appendonly": "yes", "maxmemory-policy": "noeviction", "unixsocketperm": "700"}
        assert client.config_get(*wanted) == wanted
        assert stat.S_IMODE(valkey.sockets.stat().st_mode) == 0o700


def test_data_outlives_a_stop(folder: Path) -> None:
    postgres, valkey = EmbeddedPostgres(folder / "postgres"), EmbeddedValkey(folder / "valkey")
    with postgres, valkey:
        query(postgres, "CREATE TABLE kept AS SELECT 42 AS answer")
        with redis.Redis.from_url(valkey.url) as client:
            client.set("kept", "42")
    assert not postgres.sockets.exists()
    assert not valkey.sockets.exists()
    assert not (postgres.data / "postmaster.pid").exists()
    with postgres, valkey:
        assert query(postgres, "SELECT answer FROM kept") == 42
        with redis.Redis.from_url(valkey.url) as client:
            assert client.get("kept") == b"42"


def test_data_outlives_kill_minus_nine_of_everything(folder: Path) -> None:
    postgres, valkey = EmbeddedPostgres(folder / "postgres"), EmbeddedValkey(folder / "valkey")
    with postgres, valkey:
        query(postgres, "CREATE TABLE kept AS SELECT 42 AS answer")
        with redis.Redis.from_url(valkey.url) as client:
            client.set("kept", "42")
            client.execute_command("WAITAOF", 1, 0, 5000)
        for pid in (postgres.pid, valkey.pid):
            os.kill(pid, signal.SIGKILL)
        until(lambda: postgres.exited() is not None and valkey.exited() is not None)
    assert (postgres.data / "postmaster.pid").exists()
    with postgres, valkey:
        assert query(postgres, "SELECT answer FROM kept") == 42
        with redis.Redis.from_url(valkey.url) as client:
            assert client.get("kept") == b"42"


def test_a_pid_file_that_names_a_stranger_is_not_believed(folder: Path) -> None:
    postgres = EmbeddedPostgres(folder / "postgres", durable=False)
    with postgres:
        pid_file = (postgres.data / "postmaster.pid").read_text().splitlines()
        account = placement.choose_account(postgres.root)
    # A process of the servers' own user has got the old server's id: PostgreSQL alone would refuse to start.
    stranger = children.spawn(["sleep", "60"], env={"PATH": os.defpath}, account=account)
    pid_file[0] = str(stranger.pid)
    (postgres.data / "postmaster.pid").write_text("\n".join(pid_file) + "\n")
    try:
        with postgres:
            assert query(postgres, "SELECT 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("kind", [EmbeddedPostgres, EmbeddedValkey])
def test_servers_die_with_the_process_that_started_them(folder: Path, kind: type[Engine]) -> None:
    if sys.platform != "linux":
        pytest.fail("this machine has no PR_SET_PDEATHSIG; the next test covers it")
    root = folder / "server"
    pid, parent = start_elsewhere(kind, root)
    parent.kill()
    parent.wait()
    until(lambda: not psutil.pid_exists(pid))
    kind(root).delete()


@pytest.mark.parametrize("kind", [EmbeddedPostgres, EmbeddedValkey])
def test_an_orphaned_server_of_our_data_is_ended_and_nobody_elses(
    folder: Path, kind: type[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    with kind(folder / "other", durable=False) as other:
        pid, parent = start_elsewhere(kind, folder / "server", die_with_parent=False)
        parent.kill()
        parent.wait()
        assert psutil.Process(pid).is_running()
        with kind(folder / "server", durable=False) as server:
            assert not psutil.pid_exists(pid)
            assert server.pid != pid
        assert other.exited() is None


def start_elsewhere(
    kind: type[Engine], root: Path, *, die_with_parent: bool = True
) -> tuple[int, subprocess.Popen[str]]:
    """Start a server below another process; the server's id, and that process."""
    code = f"""
import sys, threading
from pathlib import Path
from supervisor import children, engines
if not {die_with_parent}:
    children._libc = None
engine = engines.{kind.__name__}(Path(sys.argv[1]), durable=False)
engine.start()
print(engine.pid, flush=True)
threading.Event().wait()
"""
    command = [sys.executable, "-c", code, str(root)]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        return int(process.stdout.readline()), process


def test_two_supervisors_do_not_share_a_data_folder(folder: Path) -> None:
    with EmbeddedValkey(folder / "valkey") as first:
        with pytest.raises(StartError, match="is in use by another supervisor"):
            EmbeddedValkey(folder / "valkey").start()
        with pytest.raises(StartError, match="is in use by another supervisor"):
            EmbeddedValkey(folder / "valkey").delete()
        with redis.Redis.from_url(first.url) as client:
            assert client.ping()


def test_a_first_start_that_was_killed_is_begun_anew(folder: Path) -> None:
    postgres = EmbeddedPostgres(folder / "postgres", durable=False)
    unfinished = folder / "postgres" / "data.new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    (folder / "postgres").chmod(0o711)
    with postgres:
        assert query(postgres, "SELECT current_database()") == "saltfish"
    assert not unfinished.exists()


def test_data_of_another_major_version_are_left_alone_and_the_way_is_told(folder: Path) -> None:
    postgres = EmbeddedPostgres(folder / "postgres")
    with postgres:
        query(postgres, "CREATE TABLE kept AS SELECT 42 AS answer")
        assert str(query(postgres, "SHOW server_version")).split(".")[0] == postgres.major
    for made_by in ("16", "19"):
        (postgres.data / "PG_VERSION").write_text(f"{made_by}\n")
        before = sorted(path.relative_to(postgres.home) for path in postgres.home.rglob("*"))
        with pytest.raises(StartError, match=f"were made by PostgreSQL {made_by}, and this is PostgreSQL 18") as told:
            postgres.start()
        words = str(told.value)
        for step in (f"pg_ctl -D {postgres.data}", "pg_dump", f"mv {postgres.data}", "pg_restore", f"data-{made_by}"):
            assert step in words
        assert sorted(path.relative_to(postgres.home) for path in postgres.home.rglob("*")) == before
    (postgres.data / "PG_VERSION").write_text("18\n")
    with postgres:
        assert query(postgres, "SELECT answer FROM kept") == 42


def test_paths_of_any_length_and_kind(folder: Path) -> None:
    root = folder / ("long " * 20) / "咸鱼's"
    with EmbeddedPostgres(root / "postgres", durable=False) as postgres, EmbeddedValkey(root / "valkey") as valkey:
        assert query(postgres, "SHOW data_directory") == str(root / "postgres" / "data")
        with redis.Redis.from_url(valkey.url) as client:
            assert client.config_get("dir") == {"dir": str(root / "valkey" / "data")}


def test_a_server_that_does_not_start_says_why(folder: Path) -> None:
    postgres = EmbeddedPostgres(folder / "postgres", durable=False)
    with postgres:
        pass
    (postgres.data / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(StartError, match=r'PostgreSQL ended with status 1; its log ends:\n(.|\n)*"no_such_setting"'):
        postgres.start()
    assert postgres.pid is None


def test_a_full_disk_under_postgres_takes_nothing_back_and_leaves_no_half(folder: Path) -> None:
    """A limit on the size of files stands in for the disk; PostgreSQL meets both as a table that cannot grow."""
    mebibyte = "INSERT INTO kept SELECT %s, repeat(md5(random()::text), 40) FROM generate_series(1, 800)"
    count = "SELECT count(*) || ' ' || count(DISTINCT batch) || ' ' || max(batch) FROM kept"
    postgres = EmbeddedPostgres(folder / "postgres")
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    # More than a segment of the write-ahead log. The server inherits it.
    resource.setrlimit(resource.RLIMIT_FSIZE, (17 * 1024 * 1024, unlimited[1]))
    try:
        postgres.start()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    with ExitStack() as stack:
        stack.callback(postgres.stop)
        host = str(make_url(postgres.url).query["host"])
        connection = stack.enter_context(
            psycopg.connect(host=host, user="saltfish", dbname="saltfish", autocommit=True)
        )
        connection.execute("CREATE TABLE kept (batch integer, words text)")
        acknowledged, refusal = 0, ""
        while not refusal and acknowledged < 40:
            try:
                connection.execute(mebibyte, (acknowledged,))
                acknowledged += 1
            except psycopg.Error as error:
                refusal = str(error)
        assert "could not extend file" in refusal
        there = f"{acknowledged * 800} {acknowledged} {acknowledged - 1}"
        # The server has not ended, and serves others.
        assert query(postgres, count) == there
        os.kill(postgres.pid or 0, signal.SIGKILL)
        until(lambda: postgres.exited() is not None)
    with postgres:  # there is room again
        assert query(postgres, count) == there
        query(postgres, "INSERT INTO kept SELECT * FROM kept")
        assert query(postgres, "SELECT count(*) FROM kept") == 2 * acknowledged * 800


def test_a_foreign_folder_in_the_sockets_place_is_refused(folder: Path) -> None:
    valkey = EmbeddedValkey(folder / "valkey")
    valkey.sockets.mkdir(mode=0o755)
    try:
        with pytest.raises(StartError, match="is not a private folder of ours"):
            valkey.start()
        assert list(valkey.sockets.iterdir()) == []
    finally:
        valkey.sockets.rmdir()


def test_delete_leaves_nothing(folder: Path) -> None:
    with EmbeddedValkey(folder / "valkey") as valkey:
        pass
    valkey.delete()
    assert list(folder.iterdir()) == []
