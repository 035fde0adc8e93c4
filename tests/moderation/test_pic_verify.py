"""The picture check, on a real storage."""

import hashlib
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from PIL import Image
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty

from app import vision
from app.goods.storage import LocalPictureStorage
from app.moderation.pic_verify import StoredPicture, look_at_stored
from app.moderation.pictures import rules_version
from app.moderation.text import TextContext
from app.moderation.verdicts import Decision
from tests.factories import picture_bytes


@pytest.fixture
def storage(tmp_path: Path) -> LocalPictureStorage:
    """An empty storage."""
    return LocalPictureStorage(tmp_path / "pictures")


@pytest.fixture
def store(storage: LocalPictureStorage) -> Callable[[bytes, int, int], StoredPicture]:
    """Store bytes; returns what the database would say of them."""

    def put(data: bytes, width: int, height: int) -> StoredPicture:
        sha256 = hashlib.sha256(data).hexdigest()
        storage.put(sha256, data)
        return StoredPicture(7, sha256, width, height)

    return put


Store = Callable[[bytes, int, int], StoredPicture]


def test_a_storage_that_is_out_of_order_says_nothing_about_the_picture(
    context: Flask, storage: LocalPictureStorage, store: Store
) -> None:
    picture = store(picture_bytes(64, 48), 64, 48)
    file = storage.root / picture.sha256[:2] / picture.sha256[2:4] / picture.sha256
    file.unlink()
    file.mkdir()  # reading it raises IsADirectoryError, as a broken disk raises EIO
    with pytest.raises(IsADirectoryError):
        look_at_stored(picture, storage=storage, context=TextContext())


def test_the_end_of_the_job_s_time_says_nothing_about_the_picture(
    context: Flask, storage: LocalPictureStorage, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RQ raises it while the picture is decoded: the job is done again, and nobody's good is rejected."""
    picture = store(picture_bytes(64, 48), 64, 48)
    monkeypatch.setattr(Image, "open", lambda *_, **__: signal.raise_signal(signal.SIGALRM))
    with UnixSignalDeathPenalty(120, JobTimeoutException), pytest.raises(JobTimeoutException, match="120 seconds"):
        look_at_stored(picture, storage=storage, context=TextContext())


def test_what_is_looked_at_is_the_file_that_was_stored(
    context: Flask, storage: LocalPictureStorage, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vision, "is_installed", lambda: False)
    picture = store(picture_bytes(640, 480), 640, 480)

    def looked_at() -> list[tuple[str, Decision]]:
        look = look_at_stored(picture, storage=storage, context=TextContext())
        assert look.judgement.rules_version == rules_version()
        return [(hit.code, hit.policy) for hit in look.judgement.hits]

    seen = looked_at()
    assert ("quality.file_damaged", Decision.REJECT) not in seen
    file = storage.root / picture.sha256[:2] / picture.sha256[2:4] / picture.sha256
    file.write_bytes(picture_bytes(640, 479))
    assert looked_at() == [("quality.file_damaged", Decision.REJECT)]
    file.unlink()
    assert looked_at() == [("quality.file_missing", Decision.REJECT)]
    file.mkdir()
    with pytest.raises(IsADirectoryError):
        looked_at()
