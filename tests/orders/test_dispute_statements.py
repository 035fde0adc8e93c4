"""Both sides of a dispute are heard before staff decide."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.answers import Answer
from app.ledger.audit import audit
from statemachine import Role
from statemachine.order import RETURN_SENT
from tests.factories import (
    Made,
    assert_envelope,
    auth_headers,
    lead_order,
    make_good,
    make_user,
    picture_bytes,
    whole_database,
)
from tests.goods.steps import multipart


class Case:
    """A disputed order and the people around it."""

    def __init__(self, app: Flask, client: FlaskClient, *, disputed_by: Role | None = Role.SELLER) -> None:
        self.app, self.client = app, client
        self.people = {role: make_user(app, staff=role == "staff") for role in ("buyer", "seller", "stranger", "staff")}
        good = make_good(app, self.people["seller"])
        phase = RETURN_SENT
        self.order: Made = lead_order(app, good, self.people["buyer"], phase=phase, disputed_by=disputed_by)

    def say(self, role: str, text: str, *pictures: bytes) -> TestResponse:
        """Send a statement, with pictures as a form."""
        url, headers = f"/api/dispute_statement/{self.order.id}/", auth_headers(self.app, self.people[role])
        return self.client.post(url, headers=headers, **multipart(*pictures, text=text))

    def seen_by(self, role: str, url: str) -> Any:
        """The dispute as `role` reads it."""
        response = self.client.get(url, headers=auth_headers(self.app, self.people[role]))
        data = response.get_json()["data"]
        return data["items"][0]["dispute"] if "items" in data else data["disputes"][0]


def test_both_sides_and_staff_read_what_was_said(app: Flask, client: FlaskClient) -> None:
    case = Case(app, client)
    assert_envelope(case.say("buyer", "寄回时耳机在盒子里\n有照片", picture_bytes(64, 48)), Answer.STATEMENT_ADDED)
    data = assert_envelope(case.say("seller", "收到的是空盒"), Answer.STATEMENT_ADDED)
    said = [(each["role"], each["role_text"], each["text"]) for each in data["disputes"][0]["statements"]]
    assert said == [("buyer", "买家", "寄回时耳机在盒子里\n有照片"), ("seller", "卖家", "收到的是空盒")]
    (picture,) = data["disputes"][0]["pictures"]
    assert (picture["uploader_id"], picture["width"]) == (case.people["buyer"].id, 64)
    mine = case.seen_by("buyer", f"/api/order/{case.order.id}/")
    assert mine == case.seen_by("seller", f"/api/order/{case.order.id}/")
    assert case.seen_by("staff", "/api/staff/disputes/") == mine
    assert case.seen_by("staff", f"/api/staff/order/{case.order.id}/") == mine
    # It is no step: state, deadlines and history are as they were.
    assert (data["bill_status"], data["order_status"], data["disputed"], data["deadline"]) == (4, 9, True, None)
    assert data["history"][-1]["event"] == "contest_return"
    with app.app_context():
        assert audit() == []


@pytest.mark.parametrize(
    ("role", "disputed_by", "answer"),
    [
        ("stranger", Role.SELLER, Answer.NO_SUCH_ORDER),
        ("staff", Role.SELLER, Answer.NO_SUCH_ORDER),
        ("buyer", None, Answer.WRONG_STATE),
        ("seller", None, Answer.WRONG_STATE),
    ],
)
def test_only_the_sides_of_a_dispute_speak(
    app: Flask, client: FlaskClient, role: str, disputed_by: Role | None, answer: Answer
) -> None:
    case = Case(app, client, disputed_by=disputed_by)
    before = whole_database(app)
    data = assert_envelope(case.say(role, "我有话说", picture_bytes()), answer)
    assert whole_database(app) == before
    if answer is Answer.WRONG_STATE:
        assert (data["event"], data["reasons"]) == ("state_case", ["订单没有待处理的争议"])


def test_five_times_each(app: Flask, client: FlaskClient) -> None:
    case = Case(app, client)
    for number in range(5):
        assert_envelope(case.say("buyer", f"第 {number} 次"), Answer.STATEMENT_ADDED)
    before = whole_database(app)
    assert assert_envelope(case.say("buyer", "再说一次"), Answer.TOO_MANY_STATEMENTS) == {"limit": 5}
    assert whole_database(app) == before
    assert_envelope(case.say("seller", "我还没说"), Answer.STATEMENT_ADDED)


def test_bad_pictures_store_nothing(app: Flask, client: FlaskClient) -> None:
    case = Case(app, client)
    before = whole_database(app)
    data = assert_envelope(case.say("buyer", "看图", b"no picture"), Answer.MALFORMED)
    assert data == {
        "errors": {"pictures": ["第 1 张图片不是可识别的图片,请发送 JPEG、PNG、WebP、GIF、AVIF 或 HEIC 图片"]}
    }
    assert whole_database(app) == before
