"""The files of a backup: readable by their owner alone, each with its checksum, complete or not there at all."""

import hashlib
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

CHECKSUMS: Final = "checksums.sha256"
"""The list of all files but itself and the manifest, in the format of `sha256sum -c`."""

_CHUNK: Final = 1024 * 1024


class UnusableFolder(Exception):  # noqa: N818 - it says what happened
    """The folder cannot be written, or is no whole backup; the text says why."""


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill that becomes `path` when the block is left cleanly, and is removed otherwise.

    Raises UnusableFolder where there is something at `path` already, and for every OSError, in the block too.
    """
    try:
        with _unfinished_folder(path) as unfinished:
            yield unfinished
    except OSError as error:
        raise UnusableFolder(f"no backup could be written to {path}: {error}") from error


@contextmanager
def _unfinished_folder(path: Path) -> Iterator[Path]:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UnusableFolder(f"{path} is not empty")
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.mkdir(mode=0o700)
        yield unfinished
        os.sync()  # one for all files: there may be very many
        unfinished.replace(path)
        os.sync()
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def create(path: Path) -> BinaryIO:
    """A new file, for its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def copy(source: Path, target: Path) -> str:
    """Copy a file; the SHA-256 of what was copied, in hex."""
    digest = hashlib.sha256()
    with source.open("rb") as reader, create(target) as writer:
        while chunk := reader.read(_CHUNK):
            digest.update(chunk)
            writer.write(chunk)
    return digest.hexdigest()


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite database as of one moment, while others write to it. Raises OSError, for SQLite's errors too."""
    create(target).close()
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as reader,
            closing(sqlite3.connect(target)) as writer,
        ):
            reader.backup(writer)
    except sqlite3.Error as error:  # a full disk among them
        raise OSError(f"{source}: {error}") from error


def checksum(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_checksums(folder: Path, checksums: dict[str, str]) -> str:
    """Write the list of checksums, by path within `folder`; the list's own checksum."""
    with create(folder / CHECKSUMS) as file:
        file.writelines(f"{digest}  {path}\n".encode() for path, digest in sorted(checksums.items()))
    return checksum(folder / CHECKSUMS)


def check_files(folder: Path, *, list_checksum: str) -> list[str]:
    """What is wrong with the files of a backup, a line for each; empty where all are there and as they were written."""
    listed = folder / CHECKSUMS
    if not listed.is_file() or checksum(listed) != list_checksum:
        return [f"{CHECKSUMS}: is missing or was changed"]
    wrong = []
    for line in listed.read_text("utf-8").splitlines():
        digest, _, path = line.partition("  ")
        if not (folder / path).is_file():
            wrong.append(f"{path}: is missing")
        elif checksum(folder / path) != digest:
            wrong.append(f"{path}: was changed")
    return wrong
