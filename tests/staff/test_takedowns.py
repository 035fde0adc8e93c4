"""Staff take a good down and restore it: at once, with a reason, and whatever order holds it goes on."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.answers import Answer
from app.db.database import db
from app.goods.models import Good
from app.moderation.service import check_good, conclude_good
from app.notifications.models import Notification
from app.outbox.models import OutboxMessage
from app.staff.models import StaffAction
from statemachine import GoodStatus
from statemachine.order import CANCELLED, PAID, SETTLED
from tests.factories import (
    Made,
    assert_envelope,
    auth_headers,
    lead_order,
    make_address,
    make_good,
    make_user,
    picture_bytes,
    whole_database,
)
from tests.goods.steps import publish, release

WHY = {"reason": "假货,多人举报"}


@pytest.fixture
def staff(app: Flask, client: FlaskClient) -> Made:
    return make_user(app, "kefu", staff=True)


def post(app: Flask, actor: Made, verb: str, good_id: int, body: Any = WHY, **headers: str) -> TestResponse:
    url = f"/api/staff/{verb}_good/{good_id}/"
    return app.test_client().post(url, json=body, headers={**auth_headers(app, actor), **headers})


def row_of(app: Flask, good_id: int) -> Good:
    with app.app_context():
        good = db.session.get_one(Good, good_id)
        db.session.expunge(good)
        return good


def recorded(app: Flask) -> list[tuple[Any, ...]]:
    columns = (StaffAction.actor_id, StaffAction.action, StaffAction.subject, StaffAction.subject_id)
    with app.app_context(), db.engine.connect() as connection:
        statement = select(*columns, StaffAction.reason).order_by(StaffAction.id)
        return [tuple(row) for row in connection.execute(statement)]


def told(app: Flask, user: Made) -> list[tuple[str, str, str]]:
    with app.app_context(), db.engine.connect() as connection:
        columns = (Notification.kind, Notification.title, Notification.text)
        statement = select(*columns).where(Notification.user_id == user.id).order_by(Notification.id)
        return [tuple(row) for row in connection.execute(statement)]


def test_a_good_leaves_the_market_at_once_and_comes_back(app: Flask, client: FlaskClient, staff: Made) -> None:
    owner, buyer = make_user(app, "老王"), make_user(app)
    address = make_address(app, buyer)
    released = release(app, client, owner, picture_bytes())
    publish(app, released["id"])
    good_id, picture = released["id"], released["pictures"][0]["url"]
    before = whole_database(app)

    data = assert_envelope(post(app, staff, "take_down", good_id), Answer.GOOD_TAKEN_DOWN)
    assert (data["id"], data["good_status"], data["deleted"], data["taken_down"], data["takedown_cause"]) == (
        *(good_id, 2, False, True),
        "staff",
    )
    after = whole_database(app)
    assert {name for name in after if after[name] != before[name]} - {"sessions", "staff_reads"} == {
        *("erasable_texts", "goods", "notifications", "outbox", "staff_actions")
    }
    assert recorded(app) == [(staff.id, "take_down_good", "good", good_id, "假货,多人举报")]
    down = "你的商品「九成新 Switch 游戏机」已被平台下架。原因:假货,多人举报"
    assert told(app, owner) == [("staff", "商品已被下架", down)]

    anybody = auth_headers(app, buyer)
    for path in (f"/api/good/{good_id}/", f"/api/verify/good/{good_id}"):
        assert_envelope(client.get(path, headers=anybody), Answer.NO_SUCH_GOOD)
    assert_envelope(client.get(picture, headers=anybody), Answer.NO_SUCH_PICTURE)
    assert_envelope(client.get("/api/goods/"), Answer.NO_GOODS)
    assert client.get(f"/api/user/{owner.id}/").get_json()["data"]["goods_on_sale"] == 0
    body = {"address_id": address.id}
    assert_envelope(client.post(f"/api/buy/{good_id}/", json=body, headers=anybody), Answer.NO_SUCH_GOOD)
    # Its owner sees it and why not to edit it, but may delete it.
    own = auth_headers(app, owner)
    assert client.get(picture, headers=own).status_code == 200
    seen = assert_envelope(client.get(f"/api/good_edit/{good_id}/", headers=own), Answer.GOOD_FOUND)
    assert seen["taken_down"] is True
    edited = client.patch(f"/api/good_edit/{good_id}/", json={"price": "1"}, headers=own)
    refusal = assert_envelope(edited, Answer.EDIT_FAILED)
    assert (refusal["good_status"], refusal["allowed"]) == (2, ["delete"])

    restored = post(app, staff, "restore", good_id, {"reason": "查无此事"})
    data = assert_envelope(restored, Answer.GOOD_RESTORED)
    assert (data["taken_down"], data["takedown_cause"], data["good_status"]) == (False, None, 2)
    assert_envelope(client.get(f"/api/good/{good_id}/", headers=anybody), Answer.GOOD_FOUND)
    assert [each["id"] for each in client.get("/api/goods/").get_json()["data"]["items"]] == [good_id]
    assert told(app, owner)[1:] == [
        ("staff", "商品已恢复", "你的商品「九成新 Switch 游戏机」已由平台恢复。说明:查无此事")
    ]
    assert recorded(app)[1:] == [(staff.id, "restore_good", "good", good_id, "查无此事")]
    bought = client.post(f"/api/buy/{good_id}/", json={**body, "revision": 1}, headers=anybody)
    assert_envelope(bought, Answer.ORDER_CREATED)


def test_again_changes_nothing(app: Flask, client: FlaskClient, staff: Made) -> None:
    good = make_good(app, make_user(app))
    for verb, answer in (("take_down", Answer.GOOD_TAKEN_DOWN), ("restore", Answer.GOOD_RESTORED)):
        headers = {"Idempotency-Key": verb}
        first = post(app, staff, verb, good.id, **headers)
        assert_envelope(first, answer)
        before = whole_database(app)
        assert post(app, staff, verb, good.id, **headers).data == first.data
        again = assert_envelope(post(app, staff, verb, good.id, {"reason": "又一次"}), answer)
        assert again["taken_down"] is (verb == "take_down")
        after = whole_database(app)
        assert {name for name in after if after[name] != before[name]} <= {"sessions", "staff_reads"}
    assert len(recorded(app)) == 2


@pytest.mark.parametrize("status", [GoodStatus.IN_REVIEW, GoodStatus.REJECTED, GoodStatus.SOLD])
def test_a_good_comes_back_where_it_stood(app: Flask, client: FlaskClient, staff: Made, status: GoodStatus) -> None:
    good = make_good(app, make_user(app), status=status)
    assert_envelope(post(app, staff, "take_down", good.id), Answer.GOOD_TAKEN_DOWN)
    with app.app_context():
        check_good(good_id=good.id, revision=1)
        conclude_good(good_id=good.id, revision=1)
    assert (row_of(app, good.id).status, row_of(app, good.id).taken_down) == (status, True)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(OutboxMessage.__table__.delete())
    assert_envelope(post(app, staff, "restore", good.id), Answer.GOOD_RESTORED)
    assert (row_of(app, good.id).status, row_of(app, good.id).taken_down) == (status, False)
    with app.app_context():
        topics = sorted(db.session.scalars(select(OutboxMessage.topic)))
    # What was in review is reviewed again: its checks found nothing to check.
    assert topics == (["good_verification", "search_index"] if status == GoodStatus.IN_REVIEW else ["search_index"])


def test_an_order_of_it_goes_on(app: Flask, client: FlaskClient, staff: Made) -> None:
    """Held by an order it is taken down, too; the order's end does not bring it back to the market."""
    seller, buyer = make_user(app), make_user(app)
    unpaid = lead_order(app, make_good(app, seller), buyer)
    paid = lead_order(app, make_good(app, seller), buyer, phase=PAID)
    for order in (unpaid, paid):
        data = assert_envelope(post(app, staff, "take_down", order.good_id), Answer.GOOD_TAKEN_DOWN)
        assert (data["good_status"], data["taken_down"]) == (3, True)
    headers = auth_headers(app, buyer)
    assert_envelope(client.post(f"/api/cancel_order/{unpaid.id}/", headers=headers), Answer.ORDER_CANCELLED)
    assert row_of(app, unpaid.good_id).phase == (GoodStatus.PUBLISHED, False, True)
    parcel = {"address_id": make_address(app, seller).id, "company": "顺丰速运", "tracking_no": "SF1234567890"}
    shipped = client.post(f"/api/seller_send_delivery/{paid.id}/", json=parcel, headers=auth_headers(app, seller))
    assert_envelope(shipped, Answer.ORDER_SHIPPED)
    assert_envelope(client.post(f"/api/buyer_receive_delivery/{paid.id}/", headers=headers), Answer.ORDER_RECEIVED)
    assert row_of(app, paid.good_id).phase == (GoodStatus.SOLD, False, True)
    assert_envelope(client.get("/api/goods/"), Answer.NO_GOODS)
    restored = assert_envelope(post(app, staff, "restore", unpaid.good_id), Answer.GOOD_RESTORED)
    assert restored["good_status"] == 2


def test_what_is_refused(app: Flask, client: FlaskClient, staff: Made) -> None:
    owner = make_user(app)
    good, deleted = make_good(app, owner), make_good(app, owner, deleted=True)
    own, settled = make_good(app, staff), lead_order(app, make_good(app, owner), make_user(app), phase=SETTLED)
    lead_order(app, make_good(app, owner), make_user(app), phase=CANCELLED)
    assert settled.closed
    before = whole_database(app)
    for verb, failed in (("take_down", Answer.TAKE_DOWN_FAILED), ("restore", Answer.RESTORE_FAILED)):
        assert_envelope(post(app, owner, verb, good.id), Answer.FORBIDDEN)
        assert_envelope(post(app, staff, verb, own.id), Answer.FORBIDDEN)
        assert_envelope(post(app, staff, verb, 999), Answer.NO_SUCH_GOOD)
        assert_envelope(client.post(f"/api/staff/{verb}_good/{good.id}/", json=WHY), Answer.LOGIN_REQUIRED)
        for body in ({}, {"reason": ""}, {"reason": " \u200b "}, {"reason": "由" * 501}):
            assert list(assert_envelope(post(app, staff, verb, good.id, body), Answer.MALFORMED)["errors"]) == [
                "reason"
            ]
        details = assert_envelope(post(app, staff, verb, deleted.id), failed)
        assert (details["event"], details["deleted"], details["allowed"]) == (verb, True, [])
    after = whole_database(app)
    assert {name for name in after if after[name] != before[name]} <= {"sessions", "staff_reads"}
