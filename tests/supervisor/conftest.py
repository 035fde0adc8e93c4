"""Folders for engines that the servers' unprivileged user can reach, and small programs for the supervisor to run."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from supervisor import placement
from supervisor.engines import EmbeddedPostgres

PROJECT = Path(__file__).resolve().parents[2]


collect_ignore = [] if os.geteuid() == 0 else ["test_engines_as_root.py"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A temporary folder others may pass through (pytest's `tmp_path` is closed to them)."""
    path = Path(tempfile.mkdtemp(prefix="saltfish-test-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def system_folder(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Stands in for /var/lib/saltfish."""
    path = folder / "system"
    monkeypatch.setattr(placement, "SYSTEM_FOLDER", path)
    return path


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Return as soon as `condition` holds; fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so after {seconds} s: {condition}"
        time.sleep(0.01)


def python(code: str) -> tuple[str, ...]:
    """A command that runs this code."""
    return (sys.executable, "-u", "-c", code)


def query(postgres: EmbeddedPostgres, statement: str) -> object:
    url = make_url(postgres.url)
    with psycopg.connect(
        host=str(url.query["host"]), user="saltfish", dbname="saltfish", autocommit=True
    ) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None
