"""Command lines of the supervisor and the tables behind them."""

import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import yaml

from supervisor import bootstrap, product
from supervisor.__main__ import _welcome
from supervisor.engines import EmbeddedPostgres, EmbeddedValkey
from supervisor.errors import StartError
from supervisor.options import Options, read_options
from tests.live import free_port

from .conftest import PROJECT, until


def supervisor(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run one command line of the supervisor, without any engine given from outside."""
    env = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
    command = [sys.executable, "-m", "supervisor", *words]
    return subprocess.run(command, cwd=PROJECT, env=env | environ, capture_output=True, text=True, check=False)


def test_with_engines_gives_them_to_the_command_and_takes_them_away(folder: Path) -> None:
    code = """
import os, sys
import psycopg, redis
from sqlalchemy import make_url
url = make_url(os.environ["DATABASE_URL"])
with psycopg.connect(host=url.query["host"], user=url.username, dbname=url.database) as connection:
    print(connection.execute("SHOW fsync").fetchone()[0])
with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
    print(client.config_get("appendonly")["appendonly"], client.config_get("dir")["dir"])
sys.exit(7)
"""
    ran = supervisor("with-engines", "--", sys.executable, "-c", code, TMPDIR=str(folder))
    assert (ran.returncode, ran.stderr) == (7, "")
    fsync, appendonly, valkey_folder = ran.stdout.split()
    assert (fsync, appendonly) == ("off", "no")
    assert Path(valkey_folder).is_relative_to(folder)
    assert list(folder.iterdir()) == []


def test_with_engines_reports_a_killed_command_as_a_shell_does() -> None:
    assert supervisor("with-engines", "--", "sh", "-c", "kill -9 $$").returncode == 137


def test_with_engines_starts_only_what_is_not_given() -> None:
    both = {"DATABASE_URL": "postgresql+psycopg://elsewhere/x", "REDIS_URL": "redis://elsewhere"}
    show = ("with-engines", "--", "sh", "-c", "echo $DATABASE_URL $REDIS_URL")
    assert supervisor(*show, **both).stdout == "postgresql+psycopg://elsewhere/x redis://elsewhere\n"
    database, valkey = supervisor(*show, DATABASE_URL=both["DATABASE_URL"]).stdout.split()
    assert database == both["DATABASE_URL"]
    assert valkey.startswith("unix:///tmp/saltfish-")


def test_with_engines_removes_what_a_killed_run_left(folder: Path) -> None:
    def left(name: str, seconds_ago: float) -> Path:
        path = folder / f"saltfish-engines-{name}"
        (path / "valkey").mkdir(parents=True)
        os.utime(path, (time.time() - seconds_ago,) * 2)
        return path

    stale, young, used = left("stale", 3600), left("young", 1), left("used", 3600)
    used.chmod(0o711)
    (used / "valkey").chmod(0o711)
    with EmbeddedValkey(used / "valkey", durable=False) as valkey:
        os.utime(used, (time.time() - 3600,) * 2)
        os.utime(young)
        assert supervisor("with-engines", "--", "true", TMPDIR=str(folder)).returncode == 0
        assert [path.exists() for path in (stale, young, used)] == [False, True, True]
        assert valkey.exited() is None


def test_runs_that_start_at_once_remove_the_same_leftovers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    for number in range(200):
        path = folder / f"saltfish-engines-{number}"
        path.mkdir()
        os.utime(path, (time.time() - 3600,) * 2)
    runs = 8
    together = threading.Barrier(runs)

    def start(_run: int) -> None:
        together.wait()
        product._remove_stale_temporary_folders()

    with ThreadPoolExecutor(runs) as pool:
        assert list(pool.map(start, range(runs))) == [None] * runs
    assert list(folder.iterdir()) == []


def test_a_long_run_removes_its_own_folder_while_others_start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once its engines have ended it looks like a killed run's; whoever starts then must leave it alone."""
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    delete = EmbeddedPostgres.delete
    seen: list[bool] = []

    def meanwhile(engine: EmbeddedPostgres) -> None:
        os.utime(engine.root.parent, (time.time() - 3600,) * 2)
        ran = supervisor("with-engines", "--", "true", TMPDIR=str(folder))
        seen.append((ran.returncode, ran.stderr, engine.root.parent.exists()) == (0, "", True))
        delete(engine)

    monkeypatch.setattr(EmbeddedPostgres, "delete", meanwhile)
    with product.temporary_engines(Options()):
        pass
    assert seen == [True]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (("with-engines",), 2, "with-engines takes a command after --"),
        (("run", "--", "ls"), 2, "run takes no command"),
        (("start",), 2, "invalid choice: 'start'"),
        (
            ("with-engines", "--", "/no/such/program"),
            1,
            "saltfish: cannot start /no/such/program: No such file or directory",
        ),
    ],
)
def test_wrong_command_lines_are_refused(words: tuple[str, ...], status: int, complaint: str) -> None:
    ran = supervisor(*words)
    assert ran.returncode == status
    assert complaint in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("variable", ["PORT", "GATEWAY_PORT"])
def test_run_refuses_a_taken_port_before_it_starts_anything(folder: Path, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        free = {"PORT": str(free_port()), "GATEWAY_PORT": str(free_port())}
        ran = supervisor("run", **free | {variable: str(port), "INSTANCE_PATH": str(folder / "instance")})
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        f"saltfish: cannot listen on 127.0.0.1:{port} (Address already in use): set {variable} to a free port, "
        f"like `{variable}={port + 100} make run`\n"
    )
    assert [path.name for path in (folder / "instance").iterdir()] == ["supervisor.lock"]


def test_the_two_ports_must_differ() -> None:
    port = free_port()
    with pytest.raises(StartError, match=f"PORT and GATEWAY_PORT are both {port}"):
        Options(port=port, gateway_port=port).refuse_taken_ports()


def test_engines_run_in_the_foreground_beside_exec_and_keep_a_second_one_out(folder: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
    env["INSTANCE_PATH"] = str(folder / "instance")
    command = [sys.executable, "-m", "supervisor", "engines"]
    process = subprocess.Popen(command, cwd=PROJECT, env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(2)]
        urls = [
            EmbeddedPostgres(folder / "instance" / "postgres").url,
            EmbeddedValkey(folder / "instance" / "valkey").url,
        ]
        assert said == [f"export DATABASE_URL='{urls[0]}'\n", f"export REDIS_URL='{urls[1]}'\n"]
        beside = supervisor(
            "exec", "--", "sh", "-c", "echo $DATABASE_URL $REDIS_URL", INSTANCE_PATH=env["INSTANCE_PATH"]
        )
        assert beside.stdout.split() == urls
        second = supervisor("engines", INSTANCE_PATH=env["INSTANCE_PATH"])
        assert second.returncode == 1
        assert f"already running in {folder / 'instance'} (process {process.pid})" in second.stderr
        servers = psutil.Process(process.pid).children()
        assert sorted(server.name() for server in servers) == ["postgres", "valkey-server"]
        # A server that dies is started again.
        next(server for server in servers if server.name() == "valkey-server").kill()
        until(lambda: len([each for each in psutil.Process(process.pid).children() if each not in servers]) == 1)
    finally:
        process.terminate()
        assert process.wait(60) == 0
        if process.stdout is not None:
            process.stdout.close()
    assert not any(server.is_running() for server in servers)
    assert (
        supervisor("reset-data", INSTANCE_PATH=env["INSTANCE_PATH"]).stdout
        == f"deleted the data in {folder / 'instance'}\n"
    )
    assert list(folder.iterdir()) == []


def test_options_come_from_the_environment() -> None:
    assert read_options({"PORT": "", "WORKERS": " 5 "}) == Options(workers=5)
    assert read_options({"ALIPAY_GATEWAY_URL": "https://pay.example/gateway.do"}).runs_sandbox is False
    for wrong in ("0", "65536", "-1", "8k", "٣", ""):
        environ = {"PORT": wrong}
        if wrong:
            with pytest.raises(StartError, match="PORT must be a number from 1 to 65535"):
                read_options(environ)


ANYWHERE = "0.0.0.0"


def test_addresses_are_shown_as_a_browser_takes_them() -> None:
    for host, shown in {
        "127.0.0.1": "127.0.0.1",
        ANYWHERE: "127.0.0.1",
        "::": "[::1]",
        "::1": "[::1]",
        "example.org": "example.org",
    }.items():
        options = Options(host=host, gateway_host=host)
        assert (options.base_url, options.sandbox_url) == (f"http://{shown}:8000", f"http://{shown}:8001")


def test_only_development_gets_demo_data_and_readable_captchas() -> None:
    for environment, names, reveal in (
        ("development", ["keys", "migrate", "seed"], "1"),
        ("production", ["keys", "migrate"], None),
    ):
        options = Options(environment=environment)
        assert [step.name for step in product.preparations(options)] == names
        assert product.process_environment(options, {}, {}).get("CAPTCHA_REVEAL") == reveal
    assert product.process_environment(Options(), {}, {"CAPTCHA_REVEAL": "0"})["CAPTCHA_REVEAL"] == "0"


def test_another_gateway_leaves_the_sandbox_out() -> None:
    options = Options(gateway_url="https://pay.example/gateway.do")
    assert "gateway" not in [process.name for process in product.process_table(options)]
    assert "keys" not in [step.name for step in product.preparations(options)]
    assert "ALIPAY_PUBLIC_KEY_PATH" not in product.process_environment(options, {}, {})


def test_the_search_index_has_one_writer() -> None:
    counts = {process.name: process.count for process in product.process_table(Options(workers=7))}
    assert counts == {"gateway": 1, "web": 1, "relay": 1, "worker": 7, "search": 1, "vision": 1, "scheduler": 1}


def deployed(command: str) -> list[str]:
    """A command line of a deployment file, without what is written differently there: the program, and variables."""
    words = [word for word in shlex.split(command) if not word.startswith("$")]
    return words[words.index("-m") :]


def test_procfile_and_compose_run_what_the_supervisor_runs() -> None:
    options = Options()
    ours = {process.name: list(process.command[1:]) for process in product.process_table(options)}
    ours["web"] = [
        word for word in ours["web"] if word not in {options.host, str(options.port), str(options.web_workers)}
    ]
    lines = (PROJECT / "Procfile").read_text().splitlines()
    procfile = {name: deployed(command) for name, command in (line.split(": ", 1) for line in lines if line[0] != "#")}
    assert procfile.pop("release") == ["-m", "flask", "--app", "wsgi", "db", "upgrade"]
    assert procfile == {name: command for name, command in ours.items() if name != "gateway"}
    services = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]
    composed = {name: deployed(services[name]["command"]) for name in ours}
    composed["web"] = [word for word in composed["web"] if word not in {ANYWHERE, str(options.port)}]
    assert composed == ours
    # Empty at every start, as prometheus-client wants it.
    assert services["web"]["environment"]["PROMETHEUS_MULTIPROC_DIR"] in services["web"]["tmpfs"]
    assert deployed(services["migrate"]["command"]) == ["-m", "flask", "--app", "wsgi", "db", "upgrade"]
    dockerfile = (PROJECT / "Dockerfile").read_text()
    start = re.findall(
        r'^CMD \["sh", "-c", "PROMETHEUS_MULTIPROC_DIR=\$\(mktemp -d\) exec (.*)"\]$', dockerfile, re.MULTILINE
    )
    assert deployed(start[0].replace('\\"', "")) == procfile["web"]


def test_nothing_is_open_to_others_before_it_is_said_what_this_is(folder: Path) -> None:
    for variable in ("HOST", "GATEWAY_HOST"):
        ran = supervisor("run", INSTANCE_PATH=str(folder / "instance"), SALTFISH_ENV="", **{variable: "0.0.0.0"})
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr == (
            f"saltfish: {variable}=0.0.0.0 lets other machines in, and SALTFISH_ENV is not set: say "
            "SALTFISH_ENV=production (docs/going-live.md), or SALTFISH_ENV=development to show them the demo market, "
            "whose passwords are public\n"
        )
    assert list(folder.iterdir()) == []


OPEN = {"HOST": "0.0.0.0", "GATEWAY_HOST": "192.168.1.7"}


@pytest.mark.parametrize(
    ("environ", "others"),
    [
        ({}, ""),
        ({"HOST": "localhost", "GATEWAY_HOST": "::1"}, ""),
        ({"HOST": "127.0.0.2"}, ""),
        (OPEN, "HOST=0.0.0.0 GATEWAY_HOST=192.168.1.7"),
        ({"HOST": "::"}, "HOST=::"),
        ({"HOST": "shop.example"}, "HOST=shop.example"),
        (OPEN | {"ALIPAY_GATEWAY_URL": "https://gateway.example"}, "HOST=0.0.0.0"),
    ],
)
def test_who_is_let_in(environ: dict[str, str], others: str) -> None:
    assert read_options(environ).open_to_others == others
    read_options(environ | {"SALTFISH_ENV": "development"}).refuse_open_addresses()
    if others:
        with pytest.raises(StartError, match=re.escape(f"{others} lets other machines in")):
            read_options(environ).refuse_open_addresses()
    else:
        read_options(environ).refuse_open_addresses()


def test_who_lets_others_into_the_demo_market_is_warned() -> None:
    warning = "WARNING: HOST=0.0.0.0 lets other machines in, with these public passwords."
    said = {"SALTFISH_ENV": "development"}
    assert warning in _welcome(read_options(said | {"HOST": "0.0.0.0"}))
    assert "WARNING" not in _welcome(read_options(said))


def test_what_earlier_runs_left_under_their_process_ids_is_forgotten(folder: Path) -> None:
    """The supervisor kills by the names of these files, and the ids belong to others after a while."""
    options = read_options({"INSTANCE_PATH": str(folder)})
    heartbeat, counter, kept = (
        product.heartbeat_folder(options) / "1",
        product.metrics_folder(options) / "counter_1.db",
        product.heartbeat_folder(options) / "README",
    )
    for path in (heartbeat, counter, kept):
        path.write_text("7")
    product.forget_earlier_runs(options)
    assert [path.exists() for path in (heartbeat, counter, kept)] == [False, False, True]


def test_the_folders_of_keys_and_of_the_sandbox_are_closed(folder: Path) -> None:
    (folder / "sandbox").mkdir(mode=0o755)
    product.close_private_folders(Options(instance=folder))
    assert {each.name: each.stat().st_mode & 0o777 for each in folder.iterdir()} == {"keys": 0o700, "sandbox": 0o700}


def fake_python(path: Path, said: str, *, makes_environments: bool = True) -> str:
    """A program that answers as a Python of that version; `said` is empty for one that does not run."""
    version = f"*version_info*) echo '{said}'; exit {int(not said)};;"
    path.write_text(f'#!/bin/sh\ncase "$2" in {version} *) exit {int(not makes_environments)};; esac\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("this", "on_the_path", "chosen"),
    [
        ("3 11", {}, "python3"),
        ("3 11", {"python3.12": "3 12", "python3.13": "3 13"}, "python3.13"),
        ("3 13", {"python3.12": "3 12", "python3.13": "3 13"}, "python3"),
        ("3 15", {"python3.11": "3 11", "python3.15": "3 15"}, "python3.11"),
        ("2 7", {"python3.14": "3 14"}, "python3.14"),
        # pyenv has names for versions that it does not run at the moment.
        ("3 12", {"python3.14": "", "python3.13": "3 12"}, "python3"),
        # Debian's without python3-venv.
        ("3 12", {"python3.14": "3 14 without venv"}, "python3"),
    ],
)
def test_the_newest_python_that_the_locks_serve_makes_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, this: str, on_the_path: dict[str, str], chosen: str
) -> None:
    for name, said in {"python3": this, **on_the_path}.items():
        version = said.removesuffix(" without venv")
        fake_python(tmp_path / name, version, makes_environments=version == said)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bootstrap.suitable_python(this=False) == str(tmp_path / chosen)


@pytest.mark.parametrize(
    ("name", "flags", "told"), [("cpython", "", True), ("cpython", "t", False), ("pypy", "", False)]
)
def test_a_python_that_takes_no_wheels_for_cpython_is_none_of_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, flags: str, told: bool
) -> None:
    """PyPy 3.11, and Python 3.14 without the lock: what is locked would have to be compiled there."""
    monkeypatch.setattr(sys.implementation, "name", name)
    monkeypatch.setattr(sys, "abiflags", flags)
    exec(bootstrap._TELLS_VERSION, {})  # noqa: S102 - as each of them runs it
    assert capsys.readouterr().out.split() == ([str(part) for part in sys.version_info[:2]] if told else [])


def test_where_no_python_will_do_those_are_named_that_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", fake_python(tmp_path / "python3", "3 15"))
    fake_python(tmp_path / "python3.14", "3 14", makes_environments=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(bootstrap.BootstrapError, match=r"^Python 3\.11 to 3\.14 is needed, and the PATH has none"):
        bootstrap.suitable_python(this=False)
    # Who names one gets that one, or is told.
    monkeypatch.undo()
    assert bootstrap.suitable_python(this=True) == sys.executable
    monkeypatch.setattr(bootstrap, "NEWEST", (3, 10))
    with pytest.raises(bootstrap.BootstrapError, match=r"^Python 3\.11 to 3\.10 is needed; PYTHON names 3\."):
        bootstrap.suitable_python(this=True)


def test_an_environment_of_a_python_that_is_not_served_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    environment = bootstrap.Environment(tmp_path)
    works = {}
    for said in ("3 10", "3 11", "3 14", "3 15", ""):
        fake_python(environment.python, said)
        works[said] = environment.works()
    assert works == {"3 10": False, "3 11": True, "3 14": True, "3 15": False, "": False}


def test_make_tells_the_bootstrap_whether_python_was_named() -> None:
    def bootstraps(*arguments: str, **variables: str) -> list[str]:
        environ = {name: value for name, value in os.environ.items() if name != "PYTHON"}
        ran = subprocess.run(
            ["make", "-n", "environment-dev", *arguments],
            cwd=PROJECT,
            env={**environ, **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        return [line.split("bootstrap.py ")[1].strip() for line in ran.stdout.splitlines() if "bootstrap.py" in line]

    assert bootstraps() == ["dev"]
    assert bootstraps("PYTHON=python3") == ["dev --this-python"]
    assert bootstraps(PYTHON="python3") == ["dev --this-python"]


def test_an_environment_with_the_larger_set_is_left_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Recorded(bootstrap.Environment):
        def __init__(self, folder: Path) -> None:
            super().__init__(folder)
            self.done: list[str] = []

        def works(self) -> bool:
            return self.folder.exists()

        def create(self) -> None:
            self.folder.mkdir()
            self.done.append("create")

        def install(self, requirements: Path) -> None:
            self.done.append(requirements.name)

    environment = Recorded(folder / "venv")
    for wanted in ("run", "run", "dev", "dev", "run"):
        bootstrap.prepare(wanted, environment)
    assert environment.done == ["create", "requirements.txt", "requirements-dev.txt"]
    environment.record.write_text('{"set": "dev", "sha256": "of older requirements"}')
    bootstrap.prepare("run", environment)
    assert environment.done[3:] == ["requirements-dev.txt"]


def test_the_crawler_has_an_environment_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: list[tuple[str, Path]] = []

    def prepare(wanted: str, environment: bootstrap.Environment) -> None:
        prepared.append((wanted, environment.folder))

    monkeypatch.setattr(bootstrap, "prepare", prepare)
    for wanted in bootstrap.REQUIREMENTS:
        monkeypatch.setattr(sys, "argv", ["bootstrap.py", wanted, "--this-python"])
        assert bootstrap.main() == 0
    venv, own = PROJECT / ".venv", PROJECT / "crawler" / ".venv"
    assert prepared == [("run", venv), ("dev", venv), ("crawler", own)]
    assert [name for name in bootstrap.REQUIREMENTS.values() if not (PROJECT / name).is_file()] == []
    for wrong in (["everything"], ["dev", "--that-python"], []):
        monkeypatch.setattr(sys, "argv", ["bootstrap.py", *wrong])
        assert bootstrap.main() == 2


def test_of_two_at_once_the_smaller_set_takes_nothing_away(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make -j2 lint` asks for both sets."""
    done: list[str] = []

    class Slow(bootstrap.Environment):
        def works(self) -> bool:
            return True

        def install(self, requirements: Path) -> None:
            done.append(requirements.name)
            if requirements.name == "requirements-dev.txt":
                smaller.start()
                smaller.join(0.2)  # which has to wait for us, so that it does not end

    def bring_to(wanted: str) -> None:
        monkeypatch.setattr(sys, "argv", ["bootstrap.py", wanted])
        assert bootstrap.main() == 0

    monkeypatch.setattr(bootstrap, "Environment", lambda _: Slow(folder))
    smaller = threading.Thread(target=bring_to, args=["run"])
    bring_to("dev")
    smaller.join()
    assert done == ["requirements-dev.txt"]
