"""The sweep of pictures: what it takes, what it never takes, and what comes in between."""

import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from app.db.transactions import transaction
from app.goods import stored_pictures
from app.goods.models import Good, Picture
from app.goods.preparation import PixelLimits, prepare
from app.goods.storage import LocalPictureStorage, picture_storage
from app.orders.models import Order
from app.pictures.service import Collected, collect_pictures
from config import Settings
from statemachine import GoodStatus
from statemachine.order import RECEIVED, SHIPPED
from tests.factories import Made, assert_envelope, auth_headers, lead_order, make_good, make_user, picture_bytes
from tests.goods.steps import at_once, multipart, picture_rows, release, row_of, stored_files
from tests.orders.table import ACTIONS
from tests.pictures.test_quota import usage

DAY = timedelta(days=1)
NOTHING = Collected(pictures=0, files=0)


def collect(app: Flask) -> Collected:
    """One sweep."""
    with app.app_context():
        return collect_pictures()


def make_old(app: Flask, settings: Settings, *, age: timedelta = 2 * DAY) -> None:
    """Let all that goods and files say of their time be `age` ago."""
    then = utcnow() - age
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Good).values(updated_at=then))
        connection.execute(update(Picture).where(Picture.detached_at.is_not(None)).values(detached_at=then))
    for path in (settings.instance_path / "pictures").rglob("*"):
        if path.is_file():
            os.utime(path, (then.timestamp(), then.timestamp()))


def edit(app: Flask, owner: Made, good_id: int, *pictures: bytes, **fields: Any) -> None:
    """Let these pictures replace those of the good."""
    client = app.test_client()
    form = multipart(*pictures, **fields)
    response = client.patch(f"/api/good_edit/{good_id}/", headers=auth_headers(app, owner), **form)
    assert_envelope(response, Answer.GOOD_EDITED)


def delete(app: Flask, owner: Made, good_id: int) -> None:
    """Delete the good."""
    response = app.test_client().delete(f"/api/good_edit/{good_id}/", headers=auth_headers(app, owner))
    assert_envelope(response, Answer.GOOD_DELETED)


def hashes(app: Flask) -> list[str]:
    """The files of the goods' pictures, by id."""
    return [row["sha256"] for row in picture_rows(app)]


def test_replaced_pictures_go_after_a_day(app: Flask, client: FlaskClient, settings: Settings) -> None:
    owner = make_user(app)
    good = release(app, client, owner, picture_bytes(60, 40), picture_bytes(70, 40))
    first, second = hashes(app)
    client.get(f"{good['pictures'][0]['url']}?w=120", headers=auth_headers(app, owner))
    edit(app, owner, good["id"], picture_bytes(80, 40), keep_pictures=str(good["pictures"][1]["id"]))
    third = hashes(app)[2]
    with app.app_context():
        assert db.session.scalars(select(Picture.detached_at).order_by(Picture.id)).all()[1:] == [None, None]
    make_old(app, settings, age=DAY - timedelta(minutes=1))
    assert collect(app) == NOTHING
    assert len(stored_files(settings)) == 3
    make_old(app, settings)
    assert collect(app) == Collected(pictures=1, files=1)
    assert hashes(app) == [second, third]
    assert stored_files(settings) == sorted([second, third])
    assert usage(app) == {owner.id: sum(row["size"] for row in picture_rows(app))}
    gone = client.get(good["pictures"][0]["url"], headers=auth_headers(app, owner))
    assert_envelope(gone, Answer.NO_SUCH_PICTURE)
    assert client.get(good["pictures"][1]["url"], headers=auth_headers(app, owner)).status_code == 200
    assert collect(app) == NOTHING
    assert first not in stored_files(settings)


def test_a_thumbnail_goes_with_its_picture(app: Flask, client: FlaskClient, settings: Settings) -> None:
    owner = make_user(app)
    good = release(app, client, owner, picture_bytes(600, 400))
    for width in (120, 240):
        client.get(f"{good['pictures'][0]['url']}?w={width}", headers=auth_headers(app, owner))
    assert len(stored_files(settings)) == 3
    delete(app, owner, good["id"])
    make_old(app, settings)
    assert collect(app) == Collected(pictures=1, files=1)
    assert (stored_files(settings), usage(app)) == ([], {owner.id: 0})


def test_what_an_order_shows_stays(app: Flask, client: FlaskClient, settings: Settings) -> None:
    seller, buyer = make_user(app), make_user(app)
    good = release(app, client, seller, picture_bytes(60, 40), picture_bytes(70, 40))
    shown, other = hashes(app)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Good).values(status=GoodStatus.PUBLISHED))
    picture_id = good["pictures"][0]["id"]
    made = Made(good["id"], row_of(app, good["id"]))
    order = lead_order(app, made, buyer, phase=RECEIVED, good_picture_id=picture_id)
    url = ACTIONS["request"].url.format(id=order.id)
    form = multipart(picture_bytes(90, 40), **ACTIONS["request"].body)
    assert_envelope(client.post(url, headers=auth_headers(app, buyer), **form), Answer.REFUND_REQUESTED)
    # While the order is open nothing of the good is taken, whatever became of it.
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Good).values(deleted=True))
    make_old(app, settings)
    assert collect(app) == NOTHING
    with app.app_context(), db.engine.begin() as connection:
        closed = {"closed": True, "bill_status": 5, "order_status": 8, "deadline_at": None, "remind_at": None}
        connection.execute(update(Order).values(**closed))
    evidence = next(name for name in stored_files(settings) if name not in (shown, other))
    assert collect(app) == Collected(pictures=1, files=1)
    assert stored_files(settings) == sorted([shown, evidence])
    for user in (buyer, seller):
        assert client.get(good["pictures"][0]["url"], headers=auth_headers(app, user)).status_code == 200
    assert client.get("/api/evidence/1/", headers=auth_headers(app, buyer)).status_code == 200
    # The seller can do nothing about what is kept for the order, so it is not at his expense any more.
    assert usage(app)[seller.id] == 0
    assert collect(app) == NOTHING


def test_a_file_stays_while_any_row_refers_to_it(app: Flask, client: FlaskClient, settings: Settings) -> None:
    one, other, buyer = make_user(app), make_user(app), make_user(app)
    same = picture_bytes(60, 40)
    goods = [release(app, client, owner, same) for owner in (one, other)]
    order = lead_order(app, make_good(app, other), buyer, phase=SHIPPED)
    url = ACTIONS["request"].url.format(id=order.id)
    response = client.post(url, headers=auth_headers(app, buyer), **multipart(same, **ACTIONS["request"].body))
    assert_envelope(response, Answer.REFUND_REQUESTED)
    (name,) = stored_files(settings)
    for owner, good in zip((one, other), goods, strict=True):
        delete(app, owner, good["id"])
        make_old(app, settings)
        assert collect(app) == Collected(pictures=1, files=0)
        assert stored_files(settings) == [name]
    assert hashes(app) == []
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM evidence_pictures")
    assert collect(app) == Collected(pictures=0, files=1)
    assert stored_files(settings) == []


def test_files_without_a_row(app: Flask, client: FlaskClient, settings: Settings) -> None:
    """What a refused transaction, or a process that was killed, has left."""
    root = settings.instance_path / "pictures"
    storage = LocalPictureStorage(root)
    old, young, thumbnail = (first + "0" * 63 for first in "abc")
    for key in (old, f"{old}-w120", young, f"{thumbnail}-w240"):
        storage.put(key, b"bytes")
    unfinished = [root / "ab" / "00" / f".{old}.{number * 16}" for number in "12"]
    foreign = root / "ab" / "00" / "README"
    for path in (*unfinished, foreign):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    make_old(app, settings)
    for path in (unfinished[1], root / young[:2] / young[2:4] / young):
        os.utime(path)
    assert collect(app) == Collected(pictures=0, files=2)
    left = {path.name for path in root.rglob("*") if path.is_file()}
    assert left == {young, unfinished[1].name, "README"}
    for path in (unfinished[1], foreign):
        path.unlink()


def test_a_file_that_somebody_is_about_to_need_stays(app: Flask, client: FlaskClient, settings: Settings) -> None:
    """An old file without a row is found again by an upload that has not committed its row yet."""
    picture = prepare(picture_bytes(60, 40), bytes_limit=10**6, limits=PixelLimits(jpeg=10**6, others=10**6))
    owner = make_user(app)
    LocalPictureStorage(settings.instance_path / "pictures").put(picture.sha256, picture.data)
    make_old(app, settings)
    with app.app_context(), transaction() as session:
        stored_pictures.store_pictures(session, [picture], user_id=owner.id)
        sweep = threading.Thread(target=collect, args=(app,))
        sweep.start()
        sweep.join(20)
        assert not sweep.is_alive()
        assert stored_files(settings) == [picture.sha256]
        session.rollback()
    assert (usage(app), stored_files(settings)) == ({}, [picture.sha256])
    assert collect(app) == Collected(pictures=0, files=1)
    assert stored_files(settings) == []


def test_a_file_that_got_its_row_after_the_sweep_has_looked_stays(
    app: Flask, client: FlaskClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its look at the rows and its claim an upload has found the old file and committed a row."""
    owner = make_user(app)
    picture = prepare(picture_bytes(60, 40), bytes_limit=10**6, limits=PixelLimits(jpeg=10**6, others=10**6))
    LocalPictureStorage(settings.instance_path / "pictures").put(picture.sha256, picture.data)
    make_old(app, settings)

    def claim_after_an_upload(session: Session, files: list[str]) -> list[str]:
        upload = threading.Thread(target=release, args=(app, app.test_client(), owner, picture_bytes(60, 40)))
        upload.start()
        upload.join(20)
        assert hashes(app) == files == [picture.sha256]
        return stored_pictures.claim_files(session, files)

    monkeypatch.setattr("app.pictures.service.claim_files", claim_after_an_upload)
    assert collect(app) == NOTHING
    assert stored_files(settings) == [picture.sha256]


def test_an_upload_waits_for_a_file_that_is_being_deleted(
    app: Flask, client: FlaskClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = make_user(app)
    good = release(app, client, owner, picture_bytes(60, 40))
    delete(app, owner, good["id"])
    make_old(app, settings)
    begins, goes_on = threading.Event(), threading.Event()
    deleting = LocalPictureStorage.delete

    def slowly(self: LocalPictureStorage, sha256: str) -> None:
        begins.set()
        assert goes_on.wait(20)
        deleting(self, sha256)

    monkeypatch.setattr(LocalPictureStorage, "delete", slowly)
    sweep = threading.Thread(target=collect, args=(app,))
    sweep.start()
    assert begins.wait(20)
    upload = threading.Thread(target=release, args=(app, app.test_client(), owner, picture_bytes(60, 40)))
    upload.start()
    until = time.monotonic() + 20
    while not _waits_for_a_lock(app):
        assert time.monotonic() < until
    goes_on.set()
    sweep.join(20)
    upload.join(20)
    assert hashes(app) == stored_files(settings)
    assert len(hashes(app)) == 1


def _waits_for_a_lock(app: Flask) -> bool:
    with app.app_context(), db.engine.connect() as connection:
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        return bool(connection.exec_driver_sql(waiting).scalar_one())


def test_sweeps_at_once_count_everything_once(app: Flask, client: FlaskClient, settings: Settings) -> None:
    owners = [make_user(app) for _ in range(3)]
    for number, owner in enumerate(owners):
        pictures = [picture_bytes(60 + number, 40 + each) for each in range(6)]
        delete(app, owner, release(app, client, owner, *pictures)["id"])
    make_old(app, settings)
    swept = at_once(*[lambda: collect(app)] * 4)
    # A sweep passes over what another one holds, so some may be left for the next.
    swept.append(collect(app))
    assert sum(each.pictures for each in swept) == 18
    assert (hashes(app), stored_files(settings), set(usage(app).values())) == ([], [], {0})


class _Killed(BaseException):
    """As a signal that nobody handles."""


def _kill_before_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise _Killed

    monkeypatch.setattr(LocalPictureStorage, "older_than", killed)


def _kill_between_thumbnail_and_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    unlinking = Path.unlink

    def unlink(self: Path, *, missing_ok: bool = False) -> None:
        if "-w" not in self.name:
            raise _Killed
        unlinking(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)


def _kill_after_the_first_file(monkeypatch: pytest.MonkeyPatch) -> None:
    deleting, done = LocalPictureStorage.delete, []

    def delete_one(self: LocalPictureStorage, sha256: str) -> None:
        if done:
            raise _Killed
        done.append(sha256)
        deleting(self, sha256)

    monkeypatch.setattr(LocalPictureStorage, "delete", delete_one)


def _kill_before_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise _Killed

    monkeypatch.setattr("app.pictures.service.subtract_usage", killed)


@pytest.mark.parametrize(
    "kill",
    [
        _kill_before_the_commit,
        _kill_before_files,
        _kill_between_thumbnail_and_picture,
        _kill_after_the_first_file,
    ],
)
def test_a_sweep_may_be_killed_anywhere(
    app: Flask, client: FlaskClient, settings: Settings, kill: Callable[[pytest.MonkeyPatch], None]
) -> None:
    owner = make_user(app)
    good = release(app, client, owner, picture_bytes(600, 400), picture_bytes(500, 400))
    for picture in good["pictures"]:
        client.get(f"{picture['url']}?w=120", headers=auth_headers(app, owner))
    kept = release(app, client, owner, picture_bytes(60, 40))
    delete(app, owner, good["id"])
    make_old(app, settings)
    with pytest.MonkeyPatch.context() as patched:
        kill(patched)
        with pytest.raises(_Killed):
            collect(app)
    sizes = sum(row["size"] for row in picture_rows(app))
    assert usage(app) == {owner.id: sizes}
    # Whatever it has left, no row lacks its file, and the next one ends it.
    assert set(hashes(app)) <= set(stored_files(settings))
    collect(app)
    assert len(hashes(app)) == 1
    assert stored_files(settings) == hashes(app)
    assert client.get(kept["pictures"][0]["url"], headers=auth_headers(app, owner)).status_code == 200


def test_the_command(app: Flask, client: FlaskClient, settings: Settings) -> None:
    owner = make_user(app)
    delete(app, owner, release(app, client, owner, picture_bytes(60, 40))["id"])
    make_old(app, settings)
    ran = app.test_cli_runner().invoke(args=["pictures", "collect"])
    assert (ran.exit_code, ran.output) == (0, "deleted 1 pictures and 1 files\n")
    assert collect(app) == NOTHING


def test_nobody_else_can_read_pictures(app: Flask, client: FlaskClient, tmp_path: Path, settings: Settings) -> None:
    root = tmp_path / "instance" / "pictures"
    before = os.umask(0)
    try:
        LocalPictureStorage(root).put("a" * 64, b"bytes")
    finally:
        os.umask(before)
    modes = {path.relative_to(tmp_path).as_posix(): oct(path.stat().st_mode & 0o777) for path in root.rglob("*")}
    assert modes == {
        "instance/pictures/aa": "0o700",
        "instance/pictures/aa/aa": "0o700",
        f"instance/pictures/aa/aa/{'a' * 64}": "0o600",
    }
    assert oct(root.stat().st_mode & 0o777) == "0o700"
    # A folder of an earlier version.
    root.chmod(0o755)
    LocalPictureStorage(root)
    assert oct(root.stat().st_mode & 0o777) == "0o700"
    with app.app_context():
        assert isinstance(picture_storage(), LocalPictureStorage)
