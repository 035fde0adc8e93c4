"""Against holding goods without paying: how many unpaid orders one buyer may have, and how slow he becomes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from app.goods.models import Good
from app.orders import service, transitions
from app.orders.models import Order
from statemachine import GoodStatus
from statemachine.order import CANCELLED, PAID, REFUND_REQUESTED_UNSHIPPED, SHIPPED
from tests.conftest import MakeApp
from tests.factories import (
    Made,
    assert_envelope,
    auth_headers,
    make_address,
    make_good,
    make_order,
    make_user,
    whole_database,
)
from tests.live import LiveServer, Reply

LIMIT = 5
CLOSED = CANCELLED


class Buyer:
    """Somebody who buys whatever there is."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.user = make_user(app)
        self.seller = make_user(app)
        self.body = {"address_id": make_address(app, self.user).id}
        self.headers = auth_headers(app, self.user)

    def buy(self, **headers: str) -> TestResponse:
        """Buy a new good."""
        good = make_good(self.app, self.seller)
        return self.app.test_client().post(f"/api/buy/{good.id}/", json=self.body, headers={**self.headers, **headers})

    def let_expire(self, times: int, *, ago: float = 0, **columns: Any) -> list[Made]:
        """Orders that expired that many seconds ago."""
        moment = utcnow() - timedelta(seconds=ago)
        values = {"phase": CLOSED, "closed_reason": "expire", "updated_at": moment, **columns}
        return [make_order(self.app, make_good(self.app, self.seller), self.user, **values) for _ in range(times)]


def assert_too_many_unpaid(response: TestResponse, limit: int) -> None:
    assert assert_envelope(response, Answer.TOO_MANY_UNPAID) == {"limit": limit}
    assert "Retry-After" not in response.headers


def test_five_unpaid_orders(app: Flask, client: FlaskClient) -> None:
    buyer = Buyer(app)
    orders = [assert_envelope(buyer.buy(), Answer.ORDER_CREATED)["id"] for _ in range(LIMIT)]
    wanted = make_good(app, buyer.seller)
    before = whole_database(app)
    response = client.post(f"/api/buy/{wanted.id}/", json=buyer.body, headers=buyer.headers)
    assert_too_many_unpaid(response, LIMIT)
    assert whole_database(app) == before
    # One that is cancelled makes room for one.
    cancelled = client.post(f"/api/cancel_order/{orders[0]}/", headers=buyer.headers)
    assert_envelope(cancelled, Answer.ORDER_CANCELLED)
    assert_envelope(buyer.buy(), Answer.ORDER_CREATED)
    assert_too_many_unpaid(buyer.buy(), LIMIT)


def test_what_is_paid_is_not_counted_nor_what_others_hold(app: Flask, client: FlaskClient) -> None:
    buyer, other = Buyer(app), Buyer(app)
    for phase in (PAID, SHIPPED, REFUND_REQUESTED_UNSHIPPED, CLOSED):
        for _ in range(LIMIT):
            make_order(app, make_good(app, buyer.seller, status=GoodStatus.IN_TRADE), buyer.user, phase=phase)
    for _ in range(LIMIT):
        assert_envelope(other.buy(), Answer.ORDER_CREATED)
    assert_envelope(buyer.buy(), Answer.ORDER_CREATED)


def test_the_limit_is_a_setting(make_app: MakeApp) -> None:
    buyer = Buyer(make_app(UNPAID_ORDERS_LIMIT="1"))
    assert_envelope(buyer.buy(), Answer.ORDER_CREATED)
    assert_too_many_unpaid(buyer.buy(), 1)


def test_ten_purchases_at_once(app: Flask, live_server: LiveServer) -> None:
    buyer, seller = make_user(app), make_user(app)
    headers, body = auth_headers(app, buyer), {"address_id": make_address(app, buyer).id}
    goods = [make_good(app, seller).id for _ in range(10)]
    start = Barrier(10)

    def buy(good_id: int) -> Reply:
        start.wait()
        return live_server.call("POST", f"/api/buy/{good_id}/", body=body, headers=headers)

    with ThreadPoolExecutor(10) as pool:
        replies = list(pool.map(buy, goods))
    answers = sorted((reply.status, reply.body["msg"]) for reply in replies)
    assert answers == [(200, "下单成功")] * LIMIT + [(409, "待付款订单过多,请先付款或取消")] * LIMIT
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Order)) == LIMIT
        held = select(func.count()).select_from(Good).where(Good.status == GoodStatus.IN_TRADE)
        assert db.session.scalar(held) == LIMIT


# --- who lets orders expire is slowed ---


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """`hands[0]` is the moment that purchases happen at: the seconds to wait are then exact."""
    moment = [utcnow()]
    monkeypatch.setattr(service, "utcnow", lambda: moment[0])
    return moment


@pytest.mark.parametrize(
    ("expired", "ago", "wait"),
    [
        (3, 0, None),
        (4, 0, 600),
        (4, 1, 599),
        (4, 599, 1),
        (4, 600, None),
        (5, 0, 1200),
        (5, 1199, 1),
        (5, 1200, None),
        (10, 0, 4200),
    ],
)
def test_how_long_a_buyer_waits(
    app: Flask, client: FlaskClient, hands: list[Any], expired: int, ago: int, wait: int | None
) -> None:
    """Three are forgiven; each further one is ten minutes after the last."""
    buyer = Buyer(app)
    buyer.let_expire(expired - 1, ago=7200)
    buyer.let_expire(1, updated_at=hands[0] - timedelta(seconds=ago))
    before = whole_database(app)
    response = buyer.buy()
    if wait is None:
        assert_envelope(response, Answer.ORDER_CREATED)
        return
    assert assert_envelope(response, Answer.TOO_MANY_EXPIRED) is None
    assert response.headers["Retry-After"] == str(wait)
    after = whole_database(app)
    # The good that the buyer wanted is new, and free.
    assert after.pop("goods")[:-1] == before.pop("goods")
    assert after == before


def test_seconds_are_rounded_up(app: Flask, client: FlaskClient, hands: list[Any]) -> None:
    buyer = Buyer(app)
    buyer.let_expire(4, updated_at=hands[0] - timedelta(seconds=599, milliseconds=999))
    response = buyer.buy()
    assert_envelope(response, Answer.TOO_MANY_EXPIRED)
    assert response.headers["Retry-After"] == "1"


def test_what_was_long_ago_is_forgotten(app: Flask, client: FlaskClient, hands: list[Any]) -> None:
    buyer = Buyer(app)
    buyer.let_expire(20, updated_at=hands[0] - timedelta(days=1))
    assert_envelope(buyer.buy(), Answer.ORDER_CREATED)


def test_only_what_expired_counts(app: Flask, client: FlaskClient) -> None:
    buyer, other = Buyer(app), Buyer(app)
    buyer.let_expire(20, closed_reason="refund_unshipped")
    other.let_expire(20)
    assert_envelope(buyer.buy(), Answer.ORDER_CREATED)


def test_the_slowdown_is_made_of_settings(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(EXPIRED_ORDERS_ALLOWED="0", EXPIRED_ORDERS_DELAY="7", EXPIRED_ORDERS_WINDOW="60")
    now = utcnow()
    monkeypatch.setattr(service, "utcnow", lambda: now)
    buyer = Buyer(app)
    buyer.let_expire(1, updated_at=now - timedelta(seconds=61))
    assert_envelope(buyer.buy(), Answer.ORDER_CREATED)
    buyer.let_expire(2, updated_at=now - timedelta(seconds=2))
    response = buyer.buy()
    assert_envelope(response, Answer.TOO_MANY_EXPIRED)
    assert response.headers["Retry-After"] == "12"


# --- and so is who cancels ---


def cancelled(buyer: Buyer, times: int, hands: list[Any], *, by: str = "buyer") -> list[TestResponse]:
    """So many rounds of buying and cancelling, one second after the other; the answers to the purchases."""
    answers = []
    for _ in range(times):
        hands[0] += timedelta(seconds=1)
        answers.append(buyer.buy())
        if answers[-1].status_code == 200:
            order_id = answers[-1].get_json()["data"]["id"]
            side = buyer.user if by == "buyer" else buyer.seller
            response = buyer.app.test_client().post(
                f"/api/cancel_order/{order_id}/", headers=auth_headers(buyer.app, side)
            )
            assert_envelope(response, Answer.ORDER_CANCELLED)
    return answers


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """`clock[0]` is the moment of purchases and cancellings."""
    moment = [utcnow()]
    for module in (service, transitions):
        monkeypatch.setattr(module, "utcnow", lambda: moment[0])
    return moment


def test_buying_and_cancelling_again_and_again_is_slowed(app: Flask, client: FlaskClient, clock: list[Any]) -> None:
    """Three are forgiven; each further one is ten minutes after the last, and holds no good meanwhile."""
    buyer = Buyer(app)
    answers = cancelled(buyer, 25, clock)
    assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 21
    for seconds, answer in enumerate(answers[4:], start=1):
        assert assert_envelope(answer, Answer.TOO_MANY_CANCELLED) is None
        assert answer.headers["Retry-After"] == str(600 - seconds)
    clock[0] += timedelta(seconds=600)
    (fifth,) = cancelled(buyer, 1, clock)
    assert_envelope(fifth, Answer.ORDER_CREATED)
    (sixth,) = cancelled(buyer, 1, clock)
    assert_envelope(sixth, Answer.TOO_MANY_CANCELLED)
    assert sixth.headers["Retry-After"] == str(1199)
    clock[0] += timedelta(days=1)
    assert [answer.status_code for answer in cancelled(buyer, 2, clock)] == [200, 200]


def test_what_the_seller_cancels_is_nothing_against_the_buyer(
    app: Flask, client: FlaskClient, clock: list[Any]
) -> None:
    assert [answer.status_code for answer in cancelled(Buyer(app), 8, clock, by="seller")] == [200] * 8


def test_the_slowing_of_who_cancels_is_made_of_settings(make_app: MakeApp, clock: list[Any]) -> None:
    app = make_app(CANCELLED_ORDERS_ALLOWED="1", CANCELLED_ORDERS_DELAY="7", CANCELLED_ORDERS_WINDOW="60")
    buyer = Buyer(app)
    answers = cancelled(buyer, 3, clock)
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["Retry-After"] == "6"
    clock[0] += timedelta(seconds=60)
    assert [answer.status_code for answer in cancelled(buyer, 1, clock)] == [200]


def test_a_slowed_buyer_may_try_again_under_the_same_key(app: Flask, client: FlaskClient, hands: list[Any]) -> None:
    """What is refused for being too early is not kept: the same request succeeds when its time has come."""
    buyer = Buyer(app)
    buyer.let_expire(4, updated_at=hands[0])
    good = make_good(app, buyer.seller)
    headers = {**buyer.headers, "Idempotency-Key": "buy-1"}

    def buy() -> TestResponse:
        return client.post(f"/api/buy/{good.id}/", json=buyer.body, headers=headers)

    assert_envelope(buy(), Answer.TOO_MANY_EXPIRED)
    hands[0] += timedelta(seconds=600)
    assert_envelope(buy(), Answer.ORDER_CREATED)
    with app.app_context():
        bought = select(func.count()).select_from(Order).where(Order.good_id == good.id)
        assert db.session.scalar(bought) == 1
