"""Where picture bytes lie: under keys made of their content's hash, written once, never changed.

A write happens before the row that points at it is committed, so a row never lacks its bytes; a file that no row
came to point at is harmless.
"""

import os
import re
import secrets
from pathlib import Path
from typing import BinaryIO, Protocol

from flask import current_app

# What `app.goods.pictures` names things: a SHA-256 in hex, and for a thumbnail its width.
_KEY = re.compile(r"[0-9a-f]{64}(-w[0-9]{1,4})?", re.ASCII)


class PictureStorage(Protocol):
    """What any storage of pictures does. Keys are content hashes, so writing one again changes nothing."""

    def put(self, key: str, data: bytes) -> None:
        """Keep `data` under `key`; when this returns, a crash loses nothing."""

    def open(self, key: str) -> BinaryIO:
        """The bytes under `key`, to read and close. Raises FileNotFoundError if there are none."""

    def exists(self, key: str) -> bool:
        """Whether something lies under `key`."""


class LocalPictureStorage:
    """Pictures as files under `root`, fanned out as `ab/cd/abcd…`. Makes its folders when it first needs them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, key: str, data: bytes) -> None:
        """As `PictureStorage.put`: readers see the whole file or none, whoever else writes the same key."""
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
    # A rename is safe from a crash only once its folder is on the disk.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def picture_storage() -> PictureStorage:
    """The application's storage of pictures."""
    storage: PictureStorage = current_app.extensions["saltfish.pictures"]
    return storage
