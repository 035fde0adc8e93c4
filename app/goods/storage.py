"""Storage of the pictures' bytes under content hashes: files are written once and never changed.

A file is written before the row that refers to it is committed, so that no row lacks its file. If the transaction
fails, a file without a row remains, which is harmless.
"""

import os
import re
import secrets
from pathlib import Path
from typing import BinaryIO, Protocol

from flask import current_app

# The keys that `app.goods.pictures` makes: a SHA-256 in hex, and for a thumbnail its width.
_KEY = re.compile(r"[0-9a-f]{64}(-w[0-9]{1,4})?", re.ASCII)


class PictureStorage(Protocol):
    """The interface of a picture storage. Keys are content hashes, so writing one again changes nothing."""

    def put(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, durably: once this returns, a crash does not lose it."""

    def open(self, key: str) -> BinaryIO:
        """The bytes under `key`, to read and close. Raises FileNotFoundError if there are none."""

    def exists(self, key: str) -> bool:
        """Whether there are bytes under `key`."""


class LocalPictureStorage:
    """Pictures as files under `root`, in subfolders `ab/cd/abcd…`. Folders are made when first needed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, key: str, data: bytes) -> None:
        """As `PictureStorage.put`. Readers see the whole file or none, even while others write the same key."""
        path = self._path(key)
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            with unfinished.open("xb") as file:
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

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a picture's key: {key!r}")
        return self.root / key[:2] / key[2:4] / key


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
