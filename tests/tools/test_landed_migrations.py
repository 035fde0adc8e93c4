"""The lint that holds the hashes of landed migrations: it sees each way to change one."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live import PROJECT
from tools.landed_migrations import HASHES, MIGRATIONS, add, check, read_hashes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the project's migrations with their hashes."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT / MIGRATIONS, tmp_path / MIGRATIONS, ignore=ignored)
    shutil.copy(PROJECT / HASHES, tmp_path / HASHES)
    return tmp_path


def test_an_edit_is_seen(root: Path) -> None:
    assert check(root) == []
    path = f"{MIGRATIONS}/20261122_0002_ledger.py"
    with (root / path).open("a") as file:
        file.write("# harmless?\n")
    assert check(root) == [f"{path}: has landed and was edited; take that back and write a new migration"]
    assert add(root) == []
    assert check(root) == [f"{path}: has landed and was edited; take that back and write a new migration"]


def test_a_migration_that_is_gone_is_missed(root: Path) -> None:
    old, new = f"{MIGRATIONS}/20261122_0003_outbox.py", f"{MIGRATIONS}/20261122_0003_messages.py"
    (root / old).rename(root / new)
    assert check(root) == [
        f"{old}: has landed and is gone; bring it back",
        f"{new}: is not listed; run `make list-migrations` when it is done",
    ]


def test_a_new_migration_is_listed_once(root: Path) -> None:
    before = (root / HASHES).read_text()
    path = f"{MIGRATIONS}/20991231_9999_new.py"
    (root / path).write_text('"""New."""\n')
    assert check(root) == [f"{path}: is not listed; run `make list-migrations` when it is done"]
    assert add(root) == [path]
    assert check(root) == []
    assert add(root) == []
    added = (root / HASHES).read_text().removeprefix(before)
    assert added == f"8cfc56b6467a7cad7878b52e80f30225fe1b87f0af177b00d4f603322e18f0a4  {path}\n"


def test_an_edit_is_not_listed_as_new(root: Path) -> None:
    path = f"{MIGRATIONS}/20261122_0002_ledger.py"
    with (root / path).open("a") as file:
        file.write("# harmless?\n")
    lines = (root / HASHES).read_text().splitlines(keepends=True)
    without = "".join(line for line in lines if path not in line)
    (root / HASHES).write_text(without)
    with pytest.raises(ValueError, match=rf"{path}: comes before .*, which has landed"):
        add(root)
    assert (root / HASHES).read_text() == without


def test_a_line_that_is_none_is_named(root: Path) -> None:
    with (root / HASHES).open("a") as file:
        file.write("nonsense\n")
    with pytest.raises(ValueError, match=rf"{HASHES}: no hash and path: 'nonsense'"):
        check(root)


def test_the_project_s_migrations_are_as_they_landed() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tools.landed_migrations"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert "-m tools.landed_migrations" in (PROJECT / "Makefile").read_text().split("\nlint:")[1].split("\n\n")[0]
    assert len(read_hashes(PROJECT)) >= 6
