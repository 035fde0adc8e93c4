"""Avatars: what becomes of an upload, who sees it before and after its review, and what is stored for it."""

import io
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import update

from app.account_data.service import delete_account_for_user
from app.accounts.models import User
from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from app.goods.models import PictureUsage
from app.goods.storage import picture_storage
from app.moderation.pictures import Look
from app.moderation.verdicts import Category, Decision, Hit, Judgement
from app.outbox.models import OutboxMessage
from app.pictures.service import Collected, collect_pictures
from app.profiles.models import Avatar
from app.profiles.service import review_avatar
from config import Settings
from tasks.outbox import work_message
from tasks.queues import QueueName, queue
from tasks.relay import relay_once
from tests.accounts.steps import all_rows
from tests.factories import Made, assert_envelope, auth_headers, lead_order, make_good, make_user, picture_bytes
from tests.profiles.steps import AVATAR, opened, shown, upload, waiting


def usage(app: Flask) -> dict[int, int]:
    """The bytes that are stored for each user."""
    with app.app_context(), db.engine.connect() as connection:
        found = connection.execute(PictureUsage.__table__.select())
        return {row.user_id: row.bytes for row in found if row.bytes}


def test_its_owner_sees_it_at_once_and_others_after_the_review(app: Flask, client: FlaskClient) -> None:
    alice, bob, staff = make_user(app, "alice"), make_user(app, "bob"), make_user(app, "staff", staff=True)
    avatar = waiting(app, client, alice)
    url = avatar["url"]
    assert avatar == {
        "id": avatar["id"],
        "url": f"/api/avatar/{avatar['id']}/",
        "side": 48,
        "state": "pending",
        "reasons": [],
        "created_at": avatar["created_at"],
        "links": avatar["links"],
    }
    linked = client.get(avatar["links"]["w240"])  # as an <img> of its owner's asks for it
    assert opened(linked).size == (48, 48)
    assert linked.headers["Cache-Control"].startswith("private, max-age=")
    assert_envelope(client.get(f"{avatar['links']['whole']}x"), Answer.NO_SUCH_PICTURE)
    for user, status in ((alice, 200), (staff, 200), (bob, 404)):
        response = client.get(url, headers=auth_headers(app, user))
        assert response.status_code == status
        if status == 200:
            assert response.headers["Cache-Control"] == "private, no-store"
    assert assert_envelope(client.get(url), Answer.NO_SUCH_PICTURE) is None
    assert client.get(f"/api/user/{alice.id}/").get_json()["data"]["avatar"] is None
    with app.app_context():
        while relay_once():
            pass
        [message] = [row for row in all_rows(app, OutboxMessage) if row["topic"] == "avatar_review"]
        assert queue(QueueName.VISION).job_ids == [f"outbox-{message['id']}"], "where the models are"
        work_message(message["id"], message["attempts"])
    assert [row for row in all_rows(app, OutboxMessage) if row["topic"] == "avatar_review"] == []
    found = assert_envelope(client.get(AVATAR, headers=auth_headers(app, alice)), Answer.AVATAR_FOUND)
    links = avatar.pop("links")
    assert (found["waiting"], found["shown"]) == (None, {**avatar, "state": "passed"})
    assert client.get(links["whole"]).headers["Cache-Control"] == "public, max-age=86400"
    response = client.get(url)
    image = opened(response)
    assert (image.size, response.mimetype) == ((48, 48), "image/jpeg")
    assert response.headers["Cache-Control"] == "public, max-age=86400"
    unchanged = client.get(url, headers={"If-None-Match": response.headers["ETag"]})
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    assert client.get(f"/api/user/{alice.id}/").get_json()["data"]["avatar"] == url


def test_it_is_shown_wherever_its_user_is_named(app: Flask, client: FlaskClient) -> None:
    seller, buyer = make_user(app, "seller"), make_user(app, "buyer")
    urls = {user.id: f"/api/avatar/{shown(app, client, user)}/" for user in (seller, buyer)}
    good = make_good(app, seller)
    order = lead_order(app, make_good(app, seller), buyer)
    assert client.get(f"/api/good/{good.id}/").get_json()["data"]["owner"]["avatar"] == urls[seller.id]
    detail = client.get(f"/api/order/{order.id}/", headers=auth_headers(app, buyer)).get_json()["data"]
    assert (detail["buyer"]["avatar"], detail["seller"]["avatar"]) == (urls[buyer.id], urls[seller.id])


@pytest.mark.parametrize(
    ("size", "side"),
    [((1600, 900), 640), ((300, 2400), 300), ((500, 500), 500), ((4000, 3000), 640), ((1, 1), 1)],
    ids=str,
)
def test_the_middle_becomes_a_square(app: Flask, client: FlaskClient, size: tuple[int, int], side: int) -> None:
    """A red picture with a blue bar at each end, which a square of its middle does not have."""
    alice = make_user(app)
    image = Image.new("RGB", size, (200, 30, 30))
    along = 0 if size[0] > size[1] else 1
    bar = max(abs(size[0] - size[1]) // 2 - 40, 0)
    if bar:
        ends = [(0, 0, bar, size[1]), (size[0] - bar, 0, *size)]
        if along:
            ends = [(0, 0, size[0], bar), (0, size[1] - bar, *size)]
        for end in ends:
            image.paste((30, 30, 200), end)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    avatar_id = shown(app, client, alice, buffer.getvalue())
    whole = opened(client.get(f"/api/avatar/{avatar_id}/"))
    assert whole.size == (side, side)
    colours = [whole.convert("RGB").getpixel(at) for at in ((0, 0), (side // 2, side // 2), (side - 1, side - 1))]
    assert all(isinstance(colour, tuple) and colour[0] > 150 and colour[2] < 90 for colour in colours)
    small = client.get(f"/api/avatar/{avatar_id}/?w=240")
    assert opened(small).size == (min(side, 240), min(side, 240))
    assert_envelope(client.get(f"/api/avatar/{avatar_id}/?w=99"), Answer.MALFORMED)


def test_transparency_stays(app: Flask, client: FlaskClient) -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (120, 80), (10, 200, 30, 0)).save(buffer, "PNG")
    response = client.get(f"/api/avatar/{shown(app, client, make_user(app), buffer.getvalue())}/")
    image = opened(response)
    assert (response.mimetype, image.size, image.mode) == ("image/webp", (80, 80), "RGBA")


@pytest.mark.parametrize(
    "files", [[], [b"no picture"], [b""], [picture_bytes()] * 2], ids=["none", "text", "empty", "two"]
)
def test_uploads_that_are_refused(app: Flask, client: FlaskClient, files: list[bytes]) -> None:
    alice = make_user(app)
    data = {"picture": [(io.BytesIO(file), "me.jpg") for file in files]} if files else {}
    response = client.post(AVATAR, data=data, headers=auth_headers(app, alice), content_type="multipart/form-data")
    assert len(assert_envelope(response, Answer.MALFORMED)["errors"]) == 1
    assert (all_rows(app, Avatar), usage(app)) == ([], {})


def test_a_new_one_takes_the_place_of_the_one_that_waits(app: Flask, client: FlaskClient) -> None:
    alice = make_user(app)
    first = shown(app, client, alice)
    second = waiting(app, client, alice, picture_bytes(100, 100))["id"]
    third = waiting(app, client, alice, picture_bytes(120, 120))["id"]
    with app.app_context():
        review_avatar(second)  # late: it was replaced
    found = assert_envelope(client.get(AVATAR, headers=auth_headers(app, alice)), Answer.AVATAR_FOUND)
    assert (found["shown"]["id"], found["waiting"]["id"]) == (first, third)
    with app.app_context():
        review_avatar(third)
        review_avatar(third)
    found = assert_envelope(client.get(AVATAR, headers=auth_headers(app, alice)), Answer.AVATAR_FOUND)
    assert (found["shown"]["id"], found["waiting"]) == (third, None)
    assert [(row["id"], row["state"], row["detached_at"] is None) for row in all_rows(app, Avatar)] == [
        (first, "passed", False),
        (second, "pending", False),
        (third, "passed", True),
    ]
    for avatar_id in (first, second):
        assert_envelope(client.get(f"/api/avatar/{avatar_id}/"), Answer.NO_SUCH_PICTURE)


@pytest.mark.parametrize(
    ("hit", "reasons"),
    [
        (Hit(Category.CONTACT, "contact.code", "图片含有微信二维码", Decision.REJECT), ["图片含有微信二维码"]),
        (Hit(Category.PORNOGRAPHY, "pornography.nudity", "图片疑似裸露", Decision.REVIEW), ["图片疑似裸露"]),
        (Hit(Category.ABUSE, "abuse.noted", "图片文字", Decision.PASS), []),
        (Hit(Category.QUALITY, "quality.blank", "图片空白", Decision.REJECT), []),
        (Hit(Category.QUALITY, "quality.unseen", "图片需人工查看", Decision.REVIEW), []),
        (Hit(Category.QUALITY, "quality.undecodable", "图片无法解码", Decision.REJECT), ["图片无法解码"]),
    ],
)
def test_it_is_looked_at_as_pictures_of_goods_are(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, hit: Hit, reasons: list[str]
) -> None:
    """What a person would look at of a good does not pass here; a plain one does, it shows no good."""
    monkeypatch.setattr("app.moderation.pic_verify.look_at", lambda *_, **__: Look(Judgement("1", (hit,)), 1))
    alice = make_user(app)
    shown(app, client, alice)
    found = assert_envelope(client.get(AVATAR, headers=auth_headers(app, alice)), Answer.AVATAR_FOUND)
    reviewed = found["waiting"] or found["shown"]
    assert (reviewed["state"], reviewed["reasons"]) == ("failed" if reasons else "passed", reasons)
    assert (found["shown"] is None) is bool(reasons)


def test_one_that_does_not_pass_stays_hidden(app: Flask, client: FlaskClient) -> None:
    alice, bob = make_user(app), make_user(app)
    first = shown(app, client, alice)
    avatar = waiting(app, client, alice, picture_bytes(100, 100))
    [row] = [row for row in all_rows(app, Avatar) if row["id"] == avatar["id"]]
    with app.app_context():
        picture_storage().delete(row["sha256"])
        review_avatar(avatar["id"])
    found = assert_envelope(client.get(AVATAR, headers=auth_headers(app, alice)), Answer.AVATAR_FOUND)
    assert found["shown"]["id"] == first
    assert (found["waiting"]["state"], found["waiting"]["reasons"]) == ("failed", ["图片文件缺失"])
    assert _exported(app, client, alice)["avatars"][1]["reasons"] == ["图片文件缺失"]
    assert_envelope(client.get(avatar["url"], headers=auth_headers(app, bob)), Answer.NO_SUCH_PICTURE)


def test_deleting_it(app: Flask, client: FlaskClient) -> None:
    alice = make_user(app)
    headers = auth_headers(app, alice)
    avatar_id = shown(app, client, alice)
    waiting(app, client, alice, picture_bytes(100, 100))
    stored = usage(app)
    assert assert_envelope(client.delete(AVATAR, headers=headers), Answer.AVATAR_DELETED) is None
    assert_envelope(client.get(f"/api/avatar/{avatar_id}/"), Answer.NO_SUCH_PICTURE)
    found = assert_envelope(client.get(AVATAR, headers=headers), Answer.AVATAR_FOUND)
    assert found == {"shown": None, "waiting": None}
    assert [row["avatar_id"] for row in all_rows(app, User)] == [None]
    assert assert_envelope(client.delete(AVATAR, headers=headers), Answer.AVATAR_DELETED) is None
    # It is stored, and counted, until nobody can need it any more.
    assert usage(app) == stored


def _age(app: Flask, settings: Settings) -> None:
    """Let what was detached be as old as the sweep wants it."""
    with app.app_context(), db.engine.begin() as connection:
        old = utcnow().replace(year=2020)
        connection.execute(update(Avatar).where(Avatar.detached_at.is_not(None)).values(detached_at=old))


def test_what_is_not_shown_any_more_is_collected(app: Flask, client: FlaskClient, settings: Settings) -> None:
    alice = make_user(app)
    former = shown(app, client, alice)
    present = shown(app, client, alice, picture_bytes(100, 100))
    with app.app_context():
        assert collect_pictures() == Collected(pictures=0, files=0)
    _age(app, settings)
    with app.app_context():
        assert collect_pictures().pictures == 1
    assert [row["id"] for row in all_rows(app, Avatar)] == [present]
    assert usage(app) == {alice.id: all_rows(app, Avatar)[0]["size"]}
    assert_envelope(client.get(f"/api/avatar/{former}/", headers=auth_headers(app, alice)), Answer.NO_SUCH_PICTURE)
    opened(client.get(f"/api/avatar/{present}/"))


def test_the_quota_holds_for_avatars(app: Flask, client: FlaskClient, settings: Settings) -> None:
    alice = make_user(app)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(PictureUsage.__table__.insert().values(user_id=alice.id, bytes=settings.picture_quota - 10))
    refused = upload(app, client, alice)
    assert assert_envelope(refused, Answer.PICTURE_QUOTA_FULL)["used"] == settings.picture_quota - 10
    assert all_rows(app, Avatar) == []


def _exported(app: Flask, client: FlaskClient, user: Made) -> Any:
    found = client.get("/api/user/export/", headers=auth_headers(app, user))
    return assert_envelope(found, Answer.ACCOUNT_EXPORTED)


def test_export_and_erasure_know_both(app: Flask, client: FlaskClient) -> None:
    alice = make_user(app, "alice")
    named = client.patch("/api/user/", json={"nickname": "小鱼"}, headers=auth_headers(app, alice))
    assert_envelope(named, Answer.PROFILE_EDITED)
    first = shown(app, client, alice)
    second = waiting(app, client, alice, picture_bytes(100, 100))
    exported = _exported(app, client, alice)
    assert (exported["profile"]["nickname"], exported["profile"]["avatar"]) == ("小鱼", f"/api/avatar/{first}/")
    assert [(each["url"], each["state"]) for each in exported["avatars"]] == [
        (f"/api/avatar/{first}/", "passed"),
        (second["url"], "pending"),
    ]
    assert [each["reasons"] for each in exported["avatars"]] == [[], []]
    with app.app_context():
        delete_account_for_user(user_id=alice.id, by="laowang", why="来函要求")
    [row] = all_rows(app, User)
    assert (row["nickname"], row["avatar_id"], all_rows(app, Avatar), usage(app)) == (None, None, [], {})
    assert_envelope(client.get(f"/api/avatar/{first}/"), Answer.NO_SUCH_PICTURE)
    with app.app_context():
        review_avatar(second["id"])  # late: the account has ended
    assert all_rows(app, User) == [row]
