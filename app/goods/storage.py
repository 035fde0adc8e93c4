"""Storage of the pictures' bytes under content hashes: files are written once and never changed.

A file is written before the row that refers to it is committed, so that no row lacks its file. If the transaction
fails, a file without a row remains, until `app.pictures` collects it. Nobody but the application's user can read them:
not all pictures are public.
"""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from flask import current_app

# The keys that `app.goods.pictures` makes: a SHA-256 in hex, and for a thumbnail its width.
_KEY = re.compile(r"([0-9a-f]{64})(-w[0-9]{1,4})?", re.ASCII)
_UNFINISHED = re.compile(r"\.[0-9a-f]{64}(-w[0-9]{1,4})?\.[0-9a-f]{16}", re.ASCII)


def is_key(name: str) -> bool:
    """Whether a file of this name is a picture or a thumbnail."""
    return _KEY.fullmatch(name) is not None


_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


class PictureStorage(Protocol):
    """The interface of a picture storage. Keys are content hashes, so writing one again changes nothing."""

    def put(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, durably: once this returns, a crash does not lose it."""

    def open(self, key: str) -> BinaryIO:
        """The bytes under `key`, to read and close. Raises FileNotFoundError if there are none."""

    def exists(self, key: str) -> bool:
        """Whether there are bytes under `key`."""

    def older_than(self, moment: datetime) -> Iterator[set[str]]:
        """The SHA-256 of all pictures whose files were written before `moment`, in parts.

        A part has all those that begin with the same two digits. What was left of interrupted writes is deleted.
        """

    def delete(self, sha256: str) -> None:
        """Delete a picture and its thumbnails, if they are there."""


class LocalPictureStorage:
    """Pictures as files under `root`, in subfolders `ab/cd/abcd…`. Folders are made when first needed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # Earlier versions left the folder as the umask had it.
        with suppress(FileNotFoundError, PermissionError):
            root.chmod(_FOLDER_MODE)

    def put(self, key: str, data: bytes) -> None:
        """As `PictureStorage.put`. Readers see the whole file or none, even while others write the same key."""
        if not self.exists(key):
            self.replace(key, data)

    def replace(self, key: str, data: bytes) -> None:
        """As `put`, also where there are other bytes under `key`: if it fails, those are still there."""
        path = self._path(key)
        self._make_folders(path.parent)
        unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            with open(unfinished, "xb", opener=_private) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)

    def open(self, key: str) -> BinaryIO:
        """As `PictureStorage.open`."""
        return self._path(key).open("rb")

    def exists(self, key: str) -> bool:
        """As `PictureStorage.exists`."""
        return self._path(key).exists()

    def older_than(self, moment: datetime) -> Iterator[set[str]]:
        """As `PictureStorage.older_than`."""
        with suppress(FileNotFoundError):
            for folder in sorted(self.root.iterdir()):
                yield _pictures_in(folder, written_before=moment.timestamp())

    def delete(self, sha256: str) -> None:
        """As `PictureStorage.delete`."""
        path = self._path(sha256)
        # The thumbnails first: of a picture that is deleted only half, the rest is found again.
        for each in (*path.parent.glob(f"{sha256}-w*"), path):
            each.unlink(missing_ok=True)

    def _make_folders(self, folder: Path) -> None:
        for each in (self.root, folder.parent, folder):
            # Of the folders above the root this decides nothing.
            with suppress(FileExistsError):
                each.mkdir(_FOLDER_MODE, parents=each == self.root)

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a picture's key: {key!r}")
        return self.root / key[:2] / key[2:4] / key


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, _FILE_MODE)


def _pictures_in(folder: Path, *, written_before: float) -> set[str]:
    """The SHA-256 of pictures in `folder` none of whose files is younger; old leftovers are deleted."""
    written: dict[str, float] = {}
    for path, _, names in os.walk(folder):
        for name in names:
            file = Path(path, name)
            with suppress(FileNotFoundError):  # somebody else deletes, too
                at = file.stat().st_mtime
                if key := _KEY.fullmatch(name):
                    written[key[1]] = max(at, written.get(key[1], at))
                elif _UNFINISHED.fullmatch(name) and at < written_before:
                    file.unlink()
    return {sha256 for sha256, at in written.items() if at < written_before}


def _sync_folder(folder: Path) -> None:
    # A rename survives a crash only once its folder was synced to disk.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def picture_storage() -> PictureStorage:
    """The application's picture storage."""
    storage: PictureStorage = current_app.extensions["saltfish.pictures"]
    return storage
