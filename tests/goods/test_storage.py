"""The local storage of pictures: whole files or none, whatever happens meanwhile."""

import os
from pathlib import Path

import pytest

from app.goods.storage import LocalPictureStorage
from tests.goods.steps import at_once

KEY = "ab" + "0" * 62


def _files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_what_is_put_is_there(tmp_path: Path) -> None:
    storage = LocalPictureStorage(tmp_path / "pictures")
    assert not storage.exists(KEY)
    with pytest.raises(FileNotFoundError):
        storage.open(KEY)
    assert not (tmp_path / "pictures").exists()

    storage.put(KEY, b"bytes")
    storage.put(f"{KEY}-w240", b"fewer")
    assert storage.exists(KEY)
    with storage.open(KEY) as file:
        assert file.read() == b"bytes"
    assert _files(tmp_path) == [f"pictures/ab/00/{KEY}", f"pictures/ab/00/{KEY}-w240"]


def test_putting_again_writes_nothing(tmp_path: Path) -> None:
    storage = LocalPictureStorage(tmp_path)
    storage.put(KEY, b"bytes")
    before = (tmp_path / "ab" / "00" / KEY).stat()
    storage.put(KEY, b"bytes")
    assert (tmp_path / "ab" / "00" / KEY).stat() == before


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    storage = LocalPictureStorage(tmp_path)
    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="No space left on device"):
        storage.put(KEY, b"bytes")
    assert _files(tmp_path) == []
    assert not storage.exists(KEY)


def test_many_write_the_same_key(tmp_path: Path) -> None:
    storage = LocalPictureStorage(tmp_path)
    data = os.urandom(300_000)

    def write() -> bytes:
        storage.put(KEY, data)
        with storage.open(KEY) as file:
            return file.read()

    assert at_once(*[write] * 8) == [data] * 8
    assert _files(tmp_path) == [f"ab/00/{KEY}"]


@pytest.mark.parametrize(
    "key", ["", "..", "../" * 5 + "etc/passwd", KEY[:-1], KEY.upper(), f"{KEY}-w", f"{KEY}/x", f"{KEY}\n"]
)
def test_strange_keys(tmp_path: Path, key: str) -> None:
    storage = LocalPictureStorage(tmp_path)
    for use in (storage.open, storage.exists, lambda name: storage.put(name, b"bytes")):
        with pytest.raises(ValueError, match="not a picture's key"):
            use(key)
    assert _files(tmp_path) == []
