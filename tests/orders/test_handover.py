"""当面交易: the buyer's one-time code. Whoever guesses it is stopped, whatever becomes of his requests."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.answers import Answer
from app.db.database import db
from app.orders.models import Order
from statemachine import OrderPhase, TradeMode
from statemachine.order import (
    AWAITING_PAYMENT,
    CANCELLED,
    PAID,
    RECEIVED,
    REFUND_REQUESTED_UNSHIPPED,
    REFUNDED_UNSHIPPED,
)
from tests.conftest import MakeApp
from tests.factories import (
    Made,
    assert_envelope,
    auth_headers,
    lead_order,
    make_good,
    make_user,
    whole_database,
)
from tests.live import LiveServer, Reply
from tests.orders.steps import only

TRIES = 5


class Meeting:
    """A paid 当面交易 order, its two sides and what they can do."""

    def __init__(self, app: Flask, phase: OrderPhase = PAID) -> None:
        self.app = app
        self.buyer, self.seller = make_user(app), make_user(app)
        good = make_good(app, self.seller, trade_mode=TradeMode.FACE_TO_FACE)
        self.order = lead_order(app, good, self.buyer, phase=phase)

    @property
    def code(self) -> str | None:
        """The code that is valid now."""
        return self.row.handover_code

    @property
    def wrong(self) -> str:
        """A code that is not it."""
        assert self.code is not None
        return f"{(int(self.code) + 1) % 10**6:06d}"

    @property
    def row(self) -> Any:
        with self.app.app_context(), db.engine.connect() as connection:
            return connection.execute(select(Order.__table__).where(Order.id == self.order.id)).one()

    def hand_over(self, code: str | None, *, by: Made | None = None, **headers: str) -> TestResponse:
        """The seller says the code."""
        return self.app.test_client().post(
            f"/api/seller_hand_over/{self.order.id}/",
            json={"code": code},
            headers={**auth_headers(self.app, by or self.seller), **headers},
        )

    def renew(self) -> str:
        """The buyer asks for another code."""
        response = self.app.test_client().post(
            f"/api/buyer_handover_code/{self.order.id}/", headers=auth_headers(self.app, self.buyer)
        )
        code: str = assert_envelope(response, Answer.HANDOVER_CODE_MADE)["handover_code"]
        return code

    def detail(self, who: Made) -> Any:
        response = self.app.test_client().get(f"/api/order/{self.order.id}/", headers=auth_headers(self.app, who))
        return assert_envelope(response, Answer.ORDER_FOUND)


@pytest.fixture
def meeting(app: Flask, client: FlaskClient) -> Meeting:
    return Meeting(app)


def test_the_code_is_the_buyers_alone(meeting: Meeting, client: FlaskClient) -> None:
    code = meeting.code
    assert code is not None
    assert (len(code), code.isdigit()) == (6, True)
    assert meeting.detail(meeting.buyer)["handover_code"] == code
    assert meeting.detail(meeting.seller)["handover_code"] is None
    # In no list, and nowhere in what the seller gets.
    as_seller = auth_headers(meeting.app, meeting.seller)
    order_no = meeting.order.order_no
    for url in (f"/api/order/{meeting.order.id}/", "/api/sell_order/", f"/api/order/{meeting.order.id}/diagram"):
        told = client.get(url, headers=as_seller).text
        assert code not in told.replace(order_no, "")
    listed = client.get("/api/buy_order/", headers=auth_headers(meeting.app, meeting.buyer))
    assert "handover_code" not in only(assert_envelope(listed, Answer.ORDER_FOUND)["items"])


@pytest.mark.parametrize(
    ("phase", "has_code"),
    [
        (AWAITING_PAYMENT, False),
        (CANCELLED, False),
        (PAID, True),
        (RECEIVED, False),
        (REFUND_REQUESTED_UNSHIPPED, True),  # the request may be withdrawn
        (REFUNDED_UNSHIPPED, False),
    ],
)
def test_when_there_is_a_code(app: Flask, client: FlaskClient, phase: OrderPhase, has_code: bool) -> None:
    assert (Meeting(app, phase).code is not None) is has_code


def test_the_right_code_hands_over(meeting: Meeting) -> None:
    data = assert_envelope(meeting.hand_over(meeting.code), Answer.GOODS_HANDED_OVER)
    assert (data["bill_status"], data["order_status"], data["closed"]) == (3, 8, False)
    assert meeting.detail(meeting.buyer)["handover_code"] is None
    last = meeting.detail(meeting.seller)["history"][-1]
    assert (last["event"], last["role"], last["actor_id"]) == ("receive", "seller", meeting.seller.id)


def test_wrong_codes_are_counted_and_change_nothing_else(meeting: Meeting) -> None:
    before = whole_database(meeting.app)
    for tried in range(1, TRIES + 1):
        data = assert_envelope(meeting.hand_over(meeting.wrong), Answer.HANDOVER_CODE_WRONG)
        assert data == {"tries_left": TRIES - tried}
        after = whole_database(meeting.app)
        assert only(after["orders"]) == {**only(before["orders"]), "handover_tries": tried}
        assert {name: rows for name, rows in after.items() if name != "orders"} == {
            name: rows for name, rows in before.items() if name != "orders"
        }
    # From now on the right one opens nothing either.
    before = whole_database(meeting.app)
    for code in (meeting.code, meeting.wrong):
        assert assert_envelope(meeting.hand_over(code), Answer.HANDOVER_LOCKED) is None
        assert whole_database(meeting.app) == before


def test_the_last_try_may_be_right(meeting: Meeting) -> None:
    for _ in range(TRIES - 1):
        assert_envelope(meeting.hand_over(meeting.wrong), Answer.HANDOVER_CODE_WRONG)
    assert_envelope(meeting.hand_over(meeting.code), Answer.GOODS_HANDED_OVER)


def test_the_buyer_unlocks_it_with_another_code(meeting: Meeting) -> None:
    old = meeting.code
    for _ in range(TRIES):
        meeting.hand_over(meeting.wrong)
    assert_envelope(meeting.hand_over(old), Answer.HANDOVER_LOCKED)
    before = whole_database(meeting.app)
    new = meeting.renew()
    while new == old:  # one time in a million
        new = meeting.renew()
    after = whole_database(meeting.app)
    assert only(after["orders"]) == {**only(before["orders"]), "handover_code": new, "handover_tries": 0}
    data = assert_envelope(meeting.hand_over(old), Answer.HANDOVER_CODE_WRONG)
    assert data == {"tries_left": TRIES - 1}
    assert_envelope(meeting.hand_over(new), Answer.GOODS_HANDED_OVER)


def test_the_tries_are_a_setting(make_app: MakeApp) -> None:
    meeting = Meeting(make_app(HANDOVER_TRIES="1"))
    assert assert_envelope(meeting.hand_over(meeting.wrong), Answer.HANDOVER_CODE_WRONG) == {"tries_left": 0}
    assert_envelope(meeting.hand_over(meeting.code), Answer.HANDOVER_LOCKED)


def test_tries_under_keys_are_counted_too(meeting: Meeting) -> None:
    """A request under a key is one transaction, which a refusal rolls back; the count stays."""
    for tried in range(1, TRIES + 1):
        response = meeting.hand_over(meeting.wrong, **{"Idempotency-Key": f"try-{tried}"})
        assert assert_envelope(response, Answer.HANDOVER_CODE_WRONG) == {"tries_left": TRIES - tried}
        assert meeting.row.handover_tries == tried
        # The same request again is no further try.
        again = meeting.hand_over(meeting.wrong, **{"Idempotency-Key": f"try-{tried}"})
        assert (again.get_data(), again.headers["Idempotency-Replayed"]) == (response.get_data(), "true")
        assert meeting.row.handover_tries == tried
    assert_envelope(meeting.hand_over(meeting.code, **{"Idempotency-Key": "last"}), Answer.HANDOVER_LOCKED)


def test_the_right_code_under_a_key(meeting: Meeting) -> None:
    code = meeting.code
    first = meeting.hand_over(code, **{"Idempotency-Key": "hand-over"})
    assert_envelope(first, Answer.GOODS_HANDED_OVER)
    again = meeting.hand_over(code, **{"Idempotency-Key": "hand-over"})
    assert (again.get_data(), again.headers["Idempotency-Replayed"]) == (first.get_data(), "true")
    assert len(meeting.detail(meeting.seller)["history"]) == 3


def test_others_cannot_guess(meeting: Meeting) -> None:
    stranger = make_user(meeting.app)
    before = whole_database(meeting.app)
    for who, answer in ((stranger, Answer.NO_SUCH_ORDER), (meeting.buyer, Answer.FORBIDDEN)):
        for code in (meeting.code, meeting.wrong):
            assert assert_envelope(meeting.hand_over(code, by=who), answer) is None
    assert whole_database(meeting.app) == before


def test_a_code_is_not_tried_where_nothing_can_be_handed_over(app: Flask, client: FlaskClient) -> None:
    meeting = Meeting(app, REFUND_REQUESTED_UNSHIPPED)
    before = whole_database(app)
    for code in (meeting.code, meeting.wrong):
        data = assert_envelope(meeting.hand_over(code), Answer.WRONG_STATE)
        assert data["reasons"] == ["订单当前为“发货前申请退款”,不能确认收货"]
    assert whole_database(app) == before


def test_twenty_guesses_at_once(app: Flask, live_server: LiveServer) -> None:
    """However many at the same moment: five are tried, and the right one among the others opens nothing."""
    meeting = Meeting(app)
    headers = auth_headers(app, meeting.seller)
    start = Barrier(20)

    def guess(code: str) -> Reply:
        start.wait()
        url = f"/api/seller_hand_over/{meeting.order.id}/"
        return live_server.call("POST", url, body={"code": code}, headers=headers)

    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(guess, [meeting.wrong] * 20))
    assert sorted(reply.status for reply in replies) == [409] * TRIES + [429] * (20 - TRIES)
    left = [reply.body["data"]["tries_left"] for reply in replies if reply.status == 409]
    assert sorted(left) == [0, 1, 2, 3, 4]
    assert (meeting.row.handover_tries, meeting.row.bill_status) == (TRIES, 2)


def test_two_handovers_at_once(app: Flask, live_server: LiveServer) -> None:
    """The slower one is told where the order stands, whether he comes before the code is used up or after."""
    start = Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        for _ in range(20):
            meeting = Meeting(app)
            headers, code = auth_headers(app, meeting.seller), meeting.code
            url = f"/api/seller_hand_over/{meeting.order.id}/"

            def hand_over(_: int, url: str = url, headers: Any = headers, code: Any = code) -> Reply:
                start.wait()
                return live_server.call("POST", url, body={"code": code}, headers=headers)

            replies = sorted(pool.map(hand_over, range(2)), key=lambda reply: reply.status)
            assert [reply.body["msg"] for reply in replies] == [
                Answer.GOODS_HANDED_OVER.msg,
                Answer.WRONG_STATE.msg,
            ]
            assert replies[1].body["data"]["reasons"] == ["订单当前为“已收货,售后期内”,不能确认收货"]
            assert [each["event"] for each in meeting.detail(meeting.buyer)["history"]] == ["buy", "pay", "receive"]
