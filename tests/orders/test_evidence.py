"""Pictures that go with refund requests and disputes: who may send them, who sees them, what is kept."""

from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.answers import Answer
from config import Settings
from statemachine import OrderPhase
from statemachine.order import (
    RECEIVED,
    REFUND_REQUESTED_RECEIVED,
    REFUND_REQUESTED_SHIPPED,
    REFUND_REQUESTED_UNSHIPPED,
    RETURN_SENT,
    SHIPPED,
)
from tests.conftest import MakeApp
from tests.factories import (
    assert_envelope,
    auth_headers,
    lead_order,
    make_good,
    make_user,
    picture_bytes,
    whole_database,
)
from tests.goods.steps import multipart, without_links
from tests.orders.steps import only
from tests.orders.table import ACTIONS, BUYER, ROLES, SELLER, STRANGER

# Which actions take pictures: who sends them, from where.
TAKING = {
    "request": (BUYER, RECEIVED),
    "dispute": (BUYER, REFUND_REQUESTED_SHIPPED),
    "contest": (SELLER, RETURN_SENT),
}


class Case:
    """An order and the people around it."""

    def __init__(self, app: Flask, phase: OrderPhase) -> None:
        self.app = app
        self.people = {role: make_user(app) for role in ROLES}
        good = make_good(app, self.people[SELLER])
        self.order = lead_order(app, good, self.people[BUYER], phase=phase)

    def send(self, action: str, role: str, *pictures: bytes, **fields: Any) -> TestResponse:
        """Do it with pictures, as a form."""
        form = multipart(*pictures, **{**ACTIONS[action].body, **fields})
        url = ACTIONS[action].url.format(id=self.order.id)
        return self.app.test_client().post(url, headers=self.headers(role), **form)

    def headers(self, role: str) -> dict[str, str]:
        return auth_headers(self.app, self.people[role])

    def detail(self, role: str = BUYER) -> Any:
        response = self.app.test_client().get(f"/api/order/{self.order.id}/", headers=self.headers(role))
        return assert_envelope(response, Answer.ORDER_FOUND)

    def shown_pictures(self, action: str, role: str = BUYER) -> list[Any]:
        said = self.detail(role)["refund_requests" if action == "request" else "disputes"]
        pictures: list[Any] = said[-1]["pictures"]
        return pictures


def stored(settings: Settings) -> set[Path]:
    """The files in the storage of pictures."""
    return {path for path in (settings.instance_path / "pictures").rglob("*") if path.is_file()}


@pytest.mark.parametrize("action", TAKING)
def test_both_sides_and_staff_see_them(app: Flask, client: FlaskClient, action: str) -> None:
    role, phase = TAKING[action]
    case = Case(app, phase)
    case.people["staff"] = make_user(app, staff=True)
    small, large = picture_bytes(64, 48), picture_bytes(3000, 1500, "PNG")
    assert_envelope(case.send(action, role, small, large, description="外壳有裂痕"), ACTIONS[action].answer)
    pictures = case.shown_pictures(action)
    assert [(each["width"], each["height"]) for each in pictures] == [(64, 48), (2560, 1280)]
    assert [each["url"] for each in pictures] == [f"/api/evidence/{each['id']}/" for each in pictures]
    assert without_links(case.shown_pictures(action, SELLER)) == without_links(pictures)
    for picture in pictures:
        for who in (BUYER, SELLER, "staff"):
            answer = client.get(picture["url"], headers=case.headers(who))
            assert (answer.status_code, answer.mimetype) == (200, "image/jpeg")
            assert answer.headers["Cache-Control"] == "private, max-age=3600"
            assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            known = {"If-None-Match": answer.headers["ETag"]}
            unchanged = client.get(picture["url"], headers=case.headers(who) | known)
            assert (unchanged.status_code, unchanged.data) == (304, b"")
        assert_envelope(client.get(picture["url"], headers=case.headers(STRANGER) | known), Answer.NO_SUCH_PICTURE)
        assert_envelope(client.get(picture["url"], headers=case.headers(STRANGER)), Answer.NO_SUCH_PICTURE)
        assert_envelope(client.get(picture["url"]), Answer.LOGIN_REQUIRED)
        # It is no picture of a good.
        assert_envelope(client.get(f"/api/pic/{picture['id']}/", headers=case.headers(BUYER)), Answer.NO_SUCH_PICTURE)
    rows = whole_database(app)["evidence_pictures"]
    assert {row["uploader_id"] for row in rows} == {case.people[role].id}
    assert {(row["refund_request_id"] is None, row["dispute_id"] is None) for row in rows} == {
        (action != "request", action == "request")
    }


def test_each_request_has_its_own(app: Flask, client: FlaskClient) -> None:
    case = Case(app, SHIPPED)
    assert_envelope(case.send("request", BUYER, picture_bytes(10, 20)), Answer.REFUND_REQUESTED)
    assert_envelope(case.send("dispute", SELLER, picture_bytes(30, 40)), Answer.DISPUTE_RAISED)
    withdrawn = client.post(f"/api/buyer_withdraw_drawback/{case.order.id}/", headers=case.headers(BUYER))
    assert_envelope(withdrawn, Answer.REFUND_WITHDRAWN)
    assert_envelope(case.send("request", BUYER, picture_bytes(50, 60)), Answer.REFUND_REQUESTED)
    detail = case.detail()
    sizes = [[(each["width"], each["height"]) for each in said["pictures"]] for said in detail["refund_requests"]]
    assert sizes == [[(10, 20)], [(50, 60)]]
    assert [[each["width"] for each in said["pictures"]] for said in detail["disputes"]] == [[30]]


def test_nothing_but_the_pixels_is_kept(app: Flask, client: FlaskClient) -> None:
    case = Case(app, RECEIVED)
    marked = picture_bytes(64, 48, comment=b"shot at my home address") + b"and something behind the end"
    assert b"home address" in marked
    assert_envelope(case.send("request", BUYER, marked), Answer.REFUND_REQUESTED)
    url = only(case.shown_pictures("request"))["url"]
    shown = client.get(url, headers=case.headers(SELLER)).get_data()
    assert b"home address" not in shown
    assert b"behind the end" not in shown


@pytest.mark.parametrize("action", TAKING)
@pytest.mark.parametrize(
    ("pictures", "reasons"),
    [
        ([b"no picture"], ["第 1 张图片不是可识别的图片,请发送 JPEG、PNG、WebP、GIF、AVIF 或 HEIC 图片"]),
        (
            [picture_bytes(), b"", picture_bytes()[:-300]],
            [
                "第 2 张图片不是可识别的图片,请发送 JPEG、PNG、WebP、GIF、AVIF 或 HEIC 图片",
                "第 3 张图片已损坏或不完整,请重新保存或截图后再发送",
            ],
        ),
        ([picture_bytes(8, 8)] * 10, ["至多 9 张图片"]),
    ],
    ids=["no picture", "a broken one", "ten"],
)
def test_bad_pictures(
    app: Flask, client: FlaskClient, settings: Settings, action: str, pictures: list[bytes], reasons: list[str]
) -> None:
    role, phase = TAKING[action]
    case = Case(app, phase)
    before, files = whole_database(app), stored(settings)
    data = assert_envelope(case.send(action, role, *pictures), Answer.MALFORMED)
    assert data == {"errors": {"pictures": reasons}}
    assert whole_database(app) == before
    assert stored(settings) == files


def test_the_limits_are_settings(make_app: MakeApp, settings: Settings) -> None:
    app = make_app(PICTURE_BYTES_LIMIT="1048576", PICTURE_PIXELS_LIMIT="10000")
    case = Case(app, RECEIVED)
    before, files = whole_database(app), stored(settings)
    for picture, reason in (
        (picture_bytes(200, 100, "PNG"), "第 1 张图片超过 1 万像素(JPEG 可至 11000 万),请另存为 JPEG 或缩小后再发送"),
        (picture_bytes(64, 48) + bytes(1024 * 1024), "第 1 张图片超过 1 MB,请压缩或截图后再发送"),
    ):
        data = assert_envelope(case.send("request", BUYER, picture), Answer.MALFORMED)
        assert data == {"errors": {"pictures": [reason]}}
    assert (whole_database(app), stored(settings)) == (before, files)


@pytest.mark.parametrize(
    ("action", "role", "phase", "answer"),
    [
        ("request", SELLER, RECEIVED, Answer.FORBIDDEN),
        ("request", STRANGER, RECEIVED, Answer.NO_SUCH_ORDER),
        ("request", BUYER, REFUND_REQUESTED_RECEIVED, Answer.WRONG_STATE),
        ("dispute", STRANGER, REFUND_REQUESTED_RECEIVED, Answer.NO_SUCH_ORDER),
        ("dispute", BUYER, RECEIVED, Answer.WRONG_STATE),
        ("dispute", SELLER, RETURN_SENT, Answer.FORBIDDEN),
        ("contest", BUYER, RETURN_SENT, Answer.FORBIDDEN),
        ("contest", SELLER, REFUND_REQUESTED_RECEIVED, Answer.WRONG_STATE),
    ],
)
def test_what_is_refused_stores_nothing(
    app: Flask, client: FlaskClient, settings: Settings, action: str, role: str, phase: OrderPhase, answer: Answer
) -> None:
    case = Case(app, phase)
    before, files = whole_database(app), stored(settings)
    assert_envelope(case.send(action, role, picture_bytes(123, 45)), answer)
    assert whole_database(app) == before
    assert stored(settings) == files


def test_a_fourth_request_stores_nothing(app: Flask, client: FlaskClient, settings: Settings) -> None:
    case = Case(app, RECEIVED)
    for _ in range(3):
        assert_envelope(case.send("request", BUYER), Answer.REFUND_REQUESTED)
        rejected = client.post(
            ACTIONS["reject"].url.format(id=case.order.id), json=ACTIONS["reject"].body, headers=case.headers(SELLER)
        )
        assert_envelope(rejected, Answer.REFUND_REJECTED)
    before, files = whole_database(app), stored(settings)
    data = assert_envelope(case.send("request", BUYER, picture_bytes(124, 45)), Answer.WRONG_STATE)
    assert data["reasons"] == ["每个订单最多申请 3 次退款"]
    assert whole_database(app) == before
    assert stored(settings) == files


def test_disputed_evidence_after_another_dispute_is_refused(
    app: Flask, client: FlaskClient, settings: Settings
) -> None:
    case = Case(app, REFUND_REQUESTED_UNSHIPPED)
    assert_envelope(case.send("dispute", BUYER, picture_bytes(9, 9)), Answer.DISPUTE_RAISED)
    before, files = whole_database(app), stored(settings)
    assert_envelope(case.send("dispute", SELLER, picture_bytes(125, 45)), Answer.WRONG_STATE)
    assert (whole_database(app), stored(settings)) == (before, files)
