"""Putting a good up for sale."""

import hashlib

from flask import Flask
from flask.testing import FlaskClient

from app.answers import Answer
from app.categories import CATEGORY_TEXT
from app.clock import format_moment
from app.db.database import db
from config import Settings
from statemachine import GoodStatus
from tests.conftest import MakeApp
from tests.factories import assert_envelope, auth_headers, make_good, make_user, picture_bytes, whole_database
from tests.goods.steps import (
    FORM,
    WRITTEN,
    assert_malformed,
    at_once,
    everything,
    form_with,
    messages,
    nine_pictures,
    picture_rows,
    release,
    row_of,
    stored_files,
    without_links,
)
from tests.settings import settings_with

URL = "/api/good_release/"


def test_choices(app: Flask, client: FlaskClient) -> None:
    data = assert_envelope(client.get(URL, headers=auth_headers(app, make_user(app))), Answer.OK)
    assert data == {
        "categories": [
            {"code": 1, "text": "手机"},
            {"code": 2, "text": "数码"},
            {"code": 3, "text": "租房"},
            {"code": 4, "text": "服装"},
            {"code": 5, "text": "居家"},
            {"code": 6, "text": "美妆"},
            {"code": 7, "text": "运动"},
            {"code": 8, "text": "家电"},
            {"code": 9, "text": "玩具乐器"},
        ],
        "trade_modes": [
            {"code": 6, "text": "当面交易"},
            {"code": 7, "text": "快递"},
            {"code": 8, "text": "不限交易方式"},
        ],
    }
    assert_envelope(client.get(URL), Answer.LOGIN_REQUIRED)


def test_release_from_json(app: Flask, client: FlaskClient) -> None:
    owner = make_user(app, "老王")
    good = assert_envelope(client.post(URL, json=FORM, headers=auth_headers(app, owner)), Answer.GOOD_RELEASED)
    row = row_of(app, good["id"])
    assert good == {
        "id": row["id"],
        "title": "九成新 Switch 游戏机",
        "description": "去年双十一买的,带两个手柄。\n可当面验货。",
        "price": "1280.50",
        "original_price": "2099.00",
        "freight": "12.00",
        "category": 2,
        "category_text": "数码",
        "trade_mode": 7,
        "trade_mode_text": "快递",
        "good_status": 1,
        "good_status_text": "待审核",
        "revision": 1,
        "owner": {"id": owner.id, "username": "老王", "nickname": None, "avatar": None},
        "pictures": [],
        "published_at": None,
        "updated_at": format_moment(row["updated_at"]),
    }
    assert {name: row[name] for name in WRITTEN} == WRITTEN
    assert (row["owner_id"], row["status"], row["deleted"], row["revision"]) == (owner.id, 1, False, 1)
    assert row["created_at"] == row["updated_at"]
    assert messages(app) == [("good_verification", good["id"]), ("search_index", good["id"])]


def test_release_from_a_form_with_nine_pictures(app: Flask, client: FlaskClient, settings: Settings) -> None:
    good = release(app, client, make_user(app), *nine_pictures())
    assert {name: row_of(app, good["id"])[name] for name in WRITTEN} == WRITTEN
    rows = picture_rows(app)
    assert [(row["good_id"], row["position"]) for row in rows] == [(good["id"], position) for position in range(9)]
    assert [(row["width"], row["height"], row["content_type"]) for row in rows] == [
        (40 + number, 30, "image/jpeg") for number in range(9)
    ]
    assert without_links(good["pictures"]) == [
        {"id": row["id"], "url": f"/api/pic/{row['id']}/", "width": row["width"], "height": row["height"]}
        for row in rows
    ]
    assert stored_files(settings) == sorted(row["sha256"] for row in rows)
    for row in rows:
        name = row["sha256"]
        data = (settings.instance_path / "pictures" / name[:2] / name[2:4] / name).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (name, row["size"])


def test_freight_and_original_price_may_be_left_out(app: Flask, client: FlaskClient) -> None:
    form = {name: value for name, value in FORM.items() if name not in ("freight", "original_price")}
    good = assert_envelope(client.post(URL, json=form, headers=auth_headers(app, make_user(app))), Answer.GOOD_RELEASED)
    assert (good["freight"], good["original_price"]) == ("0.00", None)


def test_the_same_picture_twice_is_stored_once(app: Flask, client: FlaskClient, settings: Settings) -> None:
    owner = make_user(app)
    first = release(app, client, owner, picture_bytes(), picture_bytes())
    second = release(app, client, owner, picture_bytes())
    rows = picture_rows(app)
    assert [(row["good_id"], row["position"]) for row in rows] == [
        (first["id"], 0),
        (first["id"], 1),
        (second["id"], 0),
    ]
    assert stored_files(settings) == [rows[0]["sha256"]]


def test_an_empty_file_field_is_no_picture(app: Flask, client: FlaskClient) -> None:
    """A browser sends a nameless, empty part for a file field in which nothing was chosen."""
    parts = [
        f'--frontier\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in FORM.items()
    ]
    parts.append(
        '--frontier\r\nContent-Disposition: form-data; name="pictures"; filename=""\r\n'
        "Content-Type: application/octet-stream\r\n\r\n\r\n"
    )
    response = client.post(
        URL,
        data="".join([*parts, "--frontier--\r\n"]).encode(),
        content_type="multipart/form-data; boundary=frontier",
        headers=auth_headers(app, make_user(app)),
    )
    assert assert_envelope(response, Answer.GOOD_RELEASED)["pictures"] == []


def test_owner_and_status_of_a_good_are_not_the_clients(app: Flask, client: FlaskClient) -> None:
    owner, other = make_user(app), make_user(app)
    fields = {"owner_id": other.id, "status": 2, "good_status": 2, "revision": 9, "deleted": True, "id": 77}
    before = whole_database(app)
    refused = client.post(URL, json={**FORM, **fields}, headers=auth_headers(app, owner))
    assert sorted(assert_envelope(refused, Answer.RELEASE_MALFORMED)["errors"]) == sorted(fields)
    assert whole_database(app) == before


def test_every_category_and_trade_mode(app: Flask, client: FlaskClient) -> None:
    headers = auth_headers(app, make_user(app))
    for category, text in CATEGORY_TEXT.items():
        good = assert_envelope(
            client.post(URL, json={**FORM, "category": category}, headers=headers), Answer.GOOD_RELEASED
        )
        assert (good["category"], good["category_text"]) == (category, text)
    for mode, text in {6: "当面交易", 7: "快递", 8: "不限交易方式"}.items():
        form = {**FORM, "trade_mode": mode, "freight": 0}
        good = assert_envelope(client.post(URL, json=form, headers=headers), Answer.GOOD_RELEASED)
        assert (good["trade_mode"], good["trade_mode_text"]) == (mode, text)


def test_no_freight_face_to_face(app: Flask, client: FlaskClient, settings: Settings) -> None:
    before = everything(app, settings)
    response = client.post(URL, headers=auth_headers(app, make_user(app)), **form_with(picture_bytes(), trade_mode=6))
    assert_malformed(response, Answer.RELEASE_MALFORMED, freight=["当面交易没有运费,须为 0"])
    assert everything(app, settings) == before


def test_only_so_many_goods_in_review(app: Flask, client: FlaskClient, settings: Settings) -> None:
    owner = make_user(app)
    make_good(app, owner, status=GoodStatus.IN_REVIEW, deleted=True)
    make_good(app, owner)
    make_good(app, make_user(app), status=GoodStatus.IN_REVIEW)
    with settings_with(app, goods_in_review_limit=2):
        release(app, client, owner)
        release(app, client, owner)
        before = everything(app, settings)
        response = client.post(URL, headers=auth_headers(app, owner), **form_with(picture_bytes()))
        assert assert_envelope(response, Answer.RELEASE_FAILED) == {"reasons": ["待审核的商品已达 2 件,请等待审核"]}
        assert everything(app, settings) == before


def test_the_limit_holds_for_releases_at_once(app: Flask, client: FlaskClient) -> None:
    headers = auth_headers(app, make_user(app))
    with settings_with(app, goods_in_review_limit=1):
        statuses = at_once(*[lambda: app.test_client().post(URL, json=FORM, headers=headers).status_code] * 6)
    assert sorted(statuses) == [200, 409, 409, 409, 409, 409]


def test_a_token_of_nobody(app: Flask, client: FlaskClient, settings: Settings) -> None:
    """A token may outlive its user, as when a development database is made anew."""
    headers = auth_headers(app, make_user(app))
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM sessions")  # the cache still knows of it
        connection.exec_driver_sql("DELETE FROM users")
    before = everything(app, settings)
    response = client.post(URL, headers=headers, **form_with(picture_bytes()))
    assert assert_envelope(response, Answer.NO_SUCH_USER) is None
    assert everything(app, settings) == before


def test_the_rate_is_limited(make_app: MakeApp, settings: Settings) -> None:
    app = make_app(RATE_LIMITS_ENABLED="1", RATE_LIMIT_RELEASE="2 per hour")
    client, headers = app.test_client(), auth_headers(app, make_user(app))
    for _ in range(2):
        assert_envelope(client.post(URL, json=FORM, headers=headers), Answer.GOOD_RELEASED)
    before = everything(app, settings)
    response = client.post(URL, json=FORM, headers=headers)
    assert assert_envelope(response, Answer.TOO_MANY_REQUESTS) is None
    assert 0 < int(response.headers["Retry-After"]) <= 3600
    assert everything(app, settings) == before


def test_login_is_required(app: Flask, client: FlaskClient, settings: Settings) -> None:
    before = everything(app, settings)
    assert_envelope(client.post(URL, json=FORM), Answer.LOGIN_REQUIRED)
    assert_envelope(client.post(URL, json=FORM, headers={"Authorization": "Bearer x.y.z"}), Answer.TOKEN_INVALID)
    assert everything(app, settings) == before
