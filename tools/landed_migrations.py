"""Migrations that have landed are never edited: `python -m tools.landed_migrations` compares them with their hashes.

Databases out there have run them already; what is wrong with one is mended by the next. The hashes stand in
`migrations/landed.sha256`, in the format of `sha256sum`. A new migration is listed once, when it is finished:
`python -m tools.landed_migrations --add`.
"""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
MIGRATIONS: Final = "migrations/versions"
HASHES: Final = "migrations/landed.sha256"


def read_hashes(root: Path) -> dict[str, str]:
    """The SHA-256 of each landed migration, by its path relative to `root`. Raises ValueError for any other line."""
    hashes: dict[str, str] = {}
    for line in (root / HASHES).read_text("utf-8").splitlines():
        digest, separator, path = line.partition("  ")
        if not separator:
            raise ValueError(f"{HASHES}: no hash and path: {line!r}")
        hashes[path] = digest
    return hashes


def hash_migrations(root: Path) -> dict[str, str]:
    """The SHA-256 of each migration that is there, by its path relative to `root`."""
    files = sorted((root / MIGRATIONS).glob("*.py"))
    return {file.relative_to(root).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def check(root: Path) -> list[str]:
    """A line for each migration that is not what landed, or is not listed yet; empty where all is well."""
    landed, present = read_hashes(root), hash_migrations(root)
    edited = [path for path, digest in landed.items() if path in present and present[path] != digest]
    gone = [path for path in landed if path not in present]
    new = [path for path in present if path not in landed]
    return [
        *(f"{path}: has landed and was edited; take that back and write a new migration" for path in edited),
        *(f"{path}: has landed and is gone; bring it back" for path in gone),
        *(f"{path}: is not listed; run `make list-migrations` when it is done" for path in new),
    ]


def add(root: Path) -> list[str]:
    """List the hashes of new migrations, those of landed ones stay; the paths added.

    Raises ValueError for one that comes before a landed one: new migrations are the last, so that one was listed
    before, and would be let through with its edits.
    """
    landed, present = read_hashes(root), hash_migrations(root)
    new = [path for path in present if path not in landed]
    for path in new:
        if path < max(landed, default=""):
            raise ValueError(f"{path}: comes before {max(landed)}, which has landed; bring back its line of {HASHES}")
    listed = landed | {path: present[path] for path in new}
    (root / HASHES).write_text("".join(f"{digest}  {path}\n" for path, digest in listed.items()), "utf-8")
    return new


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, or add with `--add`; the exit status is 0 where all is well, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tools.landed_migrations", description=__doc__.partition("\n")[0])
    parser.add_argument("--add", action="store_true", help="list migrations that are not listed yet")
    try:
        if parser.parse_args(arguments).add:
            for path in add(ROOT):
                print(f"{path}: listed")
        said = check(ROOT)
    except ValueError as error:
        said = [str(error)]
    for line in said:
        print(line)
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
