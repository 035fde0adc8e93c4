"""Buying: one good, many buyers, exactly one order; and every reason not to sell."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from app.answers import Answer
from app.db.database import db
from app.fen import format_yuan, parse_yuan
from app.goods.models import Good
from app.moderation.service import publish_without_a_look, revision_in_review
from app.orders.models import Order, OrderEventRecord
from app.outbox.models import OutboxMessage
from statemachine import GoodStatus, OrderPhase, TradeMode
from statemachine.order import CANCELLED, PAID
from tests.factories import (
    SNAPSHOT,
    Made,
    assert_envelope,
    auth_headers,
    lead_order,
    make_address,
    make_good,
    make_order,
    make_user,
    whole_database,
)
from tests.live import LiveServer, Reply

BUYERS = 50
ROUNDS = 20


def _counts(app: Flask) -> tuple[int, ...]:
    with app.app_context():
        return tuple(
            db.session.execute(select(func.count()).select_from(model)).scalar_one()
            for model in (Order, OrderEventRecord, OutboxMessage)
        )


def test_fifty_buyers_one_good(app: Flask, live_server: LiveServer) -> None:
    seller = make_user(app)
    buyers = [make_user(app) for _ in range(BUYERS)]
    prepared = [(auth_headers(app, buyer), make_address(app, buyer).id) for buyer in buyers]
    start = Barrier(BUYERS)

    def buy(buyer: tuple[dict[str, str], int], good_id: int) -> Reply:
        headers, address_id = buyer
        start.wait()
        return live_server.call("POST", f"/api/buy/{good_id}/", body={"address_id": address_id}, headers=headers)

    with ThreadPoolExecutor(BUYERS) as pool:
        for _ in range(ROUNDS):
            good = make_good(app, seller)
            replies = list(pool.map(buy, prepared, [good.id] * BUYERS))
            winners = [reply for reply in replies if reply.status == 200]
            losers = [reply for reply in replies if reply.status != 200]
            assert len(winners) == 1
            refusal = {
                "status": Answer.GOOD_NOT_FOR_SALE.status,
                "msg": Answer.GOOD_NOT_FOR_SALE.msg,
                "data": {"error": "GOOD_NOT_FOR_SALE"},
            }
            assert [(reply.status, reply.body) for reply in losers] == [(409, refusal)] * (BUYERS - 1)
            with app.app_context():
                orders = db.session.scalars(select(Order).where(Order.good_id == good.id)).all()
                assert [order.id for order in orders] == [winners[0].body["data"]["id"]]
                assert db.session.get_one(Good, good.id).status == GoodStatus.IN_TRADE


def test_the_order_that_is_made(app: Flask, client: FlaskClient) -> None:
    seller, buyer = make_user(app, "阿强"), make_user(app, "小美")
    good = make_good(app, seller, price=564250, freight=800)
    address = make_address(app, buyer)
    # Whatever a client claims about price, seller and buyer is not read.
    body = {"address_id": address.id, "price": "0.01", "seller": buyer.id, "buyer": seller.id, "amount": "0.01"}
    data = assert_envelope(
        client.post(f"/api/buy/{good.id}/", json=body, headers=auth_headers(app, buyer)), Answer.ORDER_CREATED
    )
    order_id = data["id"]
    assert data["order_no"].isdigit()
    assert len(data["order_no"]) == 22
    assert data["good"] == {"id": good.id, "title": good.title, "picture": None}
    assert (data["buyer"], data["seller"]) == (
        {"id": buyer.id, "username": "小美", "nickname": None, "avatar": None},
        {"id": seller.id, "username": "阿强", "nickname": None, "avatar": None},
    )
    assert (data["price"], data["freight"], data["amount"]) == ("5642.50", "8.00", "5650.50")
    assert (data["trade_mode"], data["trade_mode_text"]) == (7, "快递")
    assert (data["bill_status"], data["bill_status_text"]) == (1, "待买家付款")
    assert (data["order_status"], data["order_status_text"]) == (6, "卖家未发货")
    assert (data["closed"], data["closed_reason"]) == (False, None)
    assert data["address"] == SNAPSHOT
    assert (data["delivery"], data["return_delivery"], data["refund"]) == (None, None, None)
    assert data["actions"] == [
        {"name": "pay", "text": "付款", "method": "POST", "url": f"/order/pay/{order_id}/ticket/"},
        {"name": "cancel", "text": "取消订单", "method": "POST", "url": f"/api/cancel_order/{order_id}/"},
    ]
    assert (data["deadline"]["what"], data["deadline"]["text"]) == ("expire", "买家付款截止")
    detail = assert_envelope(
        client.get(f"/api/order/{order_id}/", headers=auth_headers(app, seller)), Answer.ORDER_FOUND
    )
    assert [(step["sequence"], step["event"], step["role"], step["actor_id"]) for step in detail["history"]] == [
        (1, "buy", "buyer", buyer.id)
    ]
    assert [action["name"] for action in detail["actions"]] == ["cancel"]


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (GoodStatus.IN_REVIEW, Answer.NO_SUCH_GOOD),
        (GoodStatus.REJECTED, Answer.NO_SUCH_GOOD),
        (GoodStatus.IN_TRADE, Answer.GOOD_NOT_FOR_SALE),
        (GoodStatus.SOLD, Answer.GOOD_NOT_FOR_SALE),
    ],
)
def test_not_for_sale(app: Flask, client: FlaskClient, status: GoodStatus, answer: Answer) -> None:
    good, buyer = make_good(app, make_user(app), status=status), make_user(app)
    address = make_address(app, buyer)
    response = client.post(f"/api/buy/{good.id}/", json={"address_id": address.id}, headers=auth_headers(app, buyer))
    assert_envelope(response, answer)
    assert _counts(app) == (0, 0, 0)


def test_own_deleted_and_unknown_goods(app: Flask, client: FlaskClient) -> None:
    owner, buyer = make_user(app), make_user(app)
    own, deleted = make_good(app, owner), make_good(app, owner, deleted=True)
    headers = auth_headers(app, buyer)
    assert_envelope(client.post(f"/api/buy/{own.id}/", headers=auth_headers(app, owner)), Answer.OWN_GOOD)
    for good_id in (deleted.id, 0, -1, 2**63, 10**30, "abc", "１"):
        assert_envelope(client.post(f"/api/buy/{good_id}/", headers=headers), Answer.NO_SUCH_GOOD)
    assert _counts(app) == (0, 0, 0)


@pytest.mark.parametrize(
    ("offered", "wanted", "mode", "freight"),
    [
        (TradeMode.FACE_TO_FACE, None, TradeMode.FACE_TO_FACE, "0.00"),
        (TradeMode.FACE_TO_FACE, 6, TradeMode.FACE_TO_FACE, "0.00"),
        (TradeMode.COURIER, None, TradeMode.COURIER, "12.00"),
        (TradeMode.ANY, None, TradeMode.COURIER, "12.00"),
        (TradeMode.ANY, 6, TradeMode.FACE_TO_FACE, "0.00"),
        (TradeMode.ANY, 7, TradeMode.COURIER, "12.00"),
    ],
)
def test_trade_mode(
    app: Flask, client: FlaskClient, offered: TradeMode, wanted: int | None, mode: TradeMode, freight: str
) -> None:
    good, buyer = make_good(app, make_user(app), trade_mode=offered), make_user(app)
    body: dict[str, Any] = {"address_id": make_address(app, buyer).id}
    if wanted is not None:
        body["trade_mode"] = wanted
    data = assert_envelope(
        client.post(f"/api/buy/{good.id}/", json=body, headers=auth_headers(app, buyer)), Answer.ORDER_CREATED
    )
    assert (data["trade_mode"], data["freight"]) == (mode, freight)
    assert data["address"] == (None if mode is TradeMode.FACE_TO_FACE else SNAPSHOT)


@pytest.mark.parametrize(
    ("offered", "body", "answer", "data"),
    [
        (TradeMode.COURIER, {"trade_mode": 6}, Answer.TRADE_MODE_REFUSED, None),
        (TradeMode.FACE_TO_FACE, {"trade_mode": 7}, Answer.TRADE_MODE_REFUSED, None),
        (TradeMode.ANY, {"trade_mode": 8}, Answer.MALFORMED, {"errors": {"trade_mode": ["不能大于 7"]}}),
        (TradeMode.COURIER, {}, Answer.MALFORMED, {"errors": {"address_id": ["必填"]}}),
        (TradeMode.COURIER, {"address_id": "x"}, Answer.MALFORMED, {"errors": {"address_id": ["须为整数"]}}),
        (TradeMode.COURIER, {"address_id": 10**9}, Answer.NO_SUCH_ADDRESS, None),
    ],
)
def test_bad_choices(
    app: Flask, client: FlaskClient, offered: TradeMode, body: dict[str, Any], answer: Answer, data: Any
) -> None:
    good, buyer = make_good(app, make_user(app), trade_mode=offered), make_user(app)
    response = client.post(f"/api/buy/{good.id}/", json=body, headers=auth_headers(app, buyer))
    assert assert_envelope(response, answer) == data
    assert _counts(app) == (0, 0, 0)
    with app.app_context():
        assert db.session.get_one(Good, good.id).status == GoodStatus.PUBLISHED


def test_somebody_elses_address(app: Flask, client: FlaskClient) -> None:
    good, buyer, other = make_good(app, make_user(app)), make_user(app), make_user(app)
    response = client.post(
        f"/api/buy/{good.id}/", json={"address_id": make_address(app, other).id}, headers=auth_headers(app, buyer)
    )
    assert_envelope(response, Answer.NO_SUCH_ADDRESS)
    assert _counts(app) == (0, 0, 0)


def test_nobody_buys(app: Flask, client: FlaskClient) -> None:
    """A token outlives its user where the database was made anew."""
    headers = auth_headers(app, make_user(app))
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM sessions")  # the cache still knows of it
        connection.exec_driver_sql("DELETE FROM users")
    for mode in (TradeMode.FACE_TO_FACE, TradeMode.COURIER):
        good = make_good(app, make_user(app), trade_mode=mode)
        body = {} if mode is TradeMode.FACE_TO_FACE else {"address_id": make_address(app, make_user(app)).id}
        response = client.post(f"/api/buy/{good.id}/", json=body, headers=headers)
        assert assert_envelope(response, Answer.NO_SUCH_USER) is None
        with app.app_context():
            assert db.session.get_one(Good, good.id).status == GoodStatus.PUBLISHED
    assert _counts(app) == (0, 0, 0)


def test_sold_again_after_cancelling(app: Flask, client: FlaskClient) -> None:
    good, first, second = make_good(app, make_user(app)), make_user(app), make_user(app)

    def buy(buyer: Any) -> Any:
        return client.post(
            f"/api/buy/{good.id}/", json={"address_id": make_address(app, buyer).id}, headers=auth_headers(app, buyer)
        )

    order = assert_envelope(buy(first), Answer.ORDER_CREATED)
    assert_envelope(buy(second), Answer.GOOD_NOT_FOR_SALE)
    cancelled = assert_envelope(
        client.post(f"/api/cancel_order/{order['id']}/", headers=auth_headers(app, first)), Answer.ORDER_CANCELLED
    )
    assert (cancelled["closed"], cancelled["closed_reason"], cancelled["deadline"]) == (True, "cancel", None)
    assert [action["name"] for action in cancelled["actions"]] == ["hide"]
    assert_envelope(buy(second), Answer.ORDER_CREATED)


def test_the_database_refuses_a_second_open_order(app: Flask, clean: None) -> None:
    good, buyer = make_good(app, make_user(app)), make_user(app)
    make_order(app, good, buyer)
    with pytest.raises(Exception, match="uq_orders_open_good"):
        make_order(app, good, make_user(app), phase=PAID)
    with pytest.raises(Exception, match="ck_orders_phase_legal"):
        make_order(app, good, buyer, phase=OrderPhase(1, 7))
    with pytest.raises(Exception, match="ck_orders_phase_legal"):
        make_order(app, good, buyer, phase=OrderPhase(2, 6, True))


def test_a_seller_learns_the_address_with_the_payment(app: Flask, client: FlaskClient) -> None:
    seller, buyer = make_user(app), make_user(app)

    def shown_to(user: Made, order: Made) -> Any:
        response = client.get(f"/api/order/{order.id}/", headers=auth_headers(app, user))
        return assert_envelope(response, Answer.ORDER_FOUND)["address"]

    unpaid = lead_order(app, make_good(app, seller), buyer)
    assert (shown_to(buyer, unpaid), shown_to(seller, unpaid)) == (SNAPSHOT, None)
    cancelled = lead_order(app, make_good(app, seller), buyer, phase=CANCELLED)
    assert (shown_to(buyer, cancelled), shown_to(seller, cancelled)) == (SNAPSHOT, None)
    sold = client.get("/api/sell_order/", headers=auth_headers(app, seller))
    assert [each["address"] for each in assert_envelope(sold, Answer.ORDER_FOUND)["items"]] == [None, None]
    paid = lead_order(app, make_good(app, seller), buyer, phase=PAID)
    assert (shown_to(buyer, paid), shown_to(seller, paid)) == (SNAPSHOT, SNAPSHOT)


# --- what was seen is what is bought ---

SEEN = {"price": 10000, "freight": 1000, "title": "二手吉他", "trade_mode": TradeMode.ANY}
AMOUNT, FACE_TO_FACE_AMOUNT = "110.00", "100.00"
EDITS: list[dict[str, Any]] = [
    {"price": "9000.00"},
    {"price": "99.99"},
    {"freight": "900.00"},
    {"title": "吉他盒子"},
    {"description": "只卖盒子"},
    {"category": 2},
    {"original_price": "1.00"},
    {"trade_mode": TradeMode.COURIER},
    {"trade_mode": TradeMode.FACE_TO_FACE, "freight": "0"},
]


class Seen:
    """A good that somebody has read and is about to buy."""

    def __init__(self, app: Flask, client: FlaskClient, **columns: Any) -> None:
        self.app, self.client = app, client
        self.seller, self.buyer = make_user(app), make_user(app)
        self.good = make_good(app, self.seller, **SEEN | columns)
        self.address = make_address(app, self.buyer)

    def read(self) -> dict[str, Any]:
        """The good as the buyer sees it."""
        data: dict[str, Any] = assert_envelope(self.client.get(f"/api/good/{self.good.id}/"), Answer.GOOD_FOUND)
        return data

    def edit(self, changes: dict[str, Any]) -> None:
        """The seller edits, and moderation lets it pass."""
        response = self.client.patch(
            f"/api/good_edit/{self.good.id}/", json=changes, headers=auth_headers(self.app, self.seller)
        )
        assert_envelope(response, Answer.GOOD_EDITED)
        with self.app.app_context():
            revision = revision_in_review(self.good.id)
            if revision is not None:  # else it needed no look
                publish_without_a_look(good_id=self.good.id, revision=revision)

    def buy(self, **fields: Any) -> TestResponse:
        """The buyer says yes."""
        body = {"address_id": self.address.id, **fields}
        return self.client.post(f"/api/buy/{self.good.id}/", json=body, headers=auth_headers(self.app, self.buyer))


@pytest.mark.parametrize("changes", EDITS, ids=str)
def test_a_good_that_was_edited_since_is_not_bought(app: Flask, client: FlaskClient, changes: dict[str, Any]) -> None:
    street = Seen(app, client)
    seen = street.read()
    assert seen["revision"] == 1
    street.edit(changes)
    before = whole_database(app)
    now = street.read()
    face_to_face = now["trade_mode"] == TradeMode.FACE_TO_FACE
    freight = "0.00" if face_to_face else now["freight"]
    figures = {
        "good_id": street.good.id,
        "revision": 2,
        "title": now["title"],
        "trade_mode": 6 if face_to_face else 7,
        "price": now["price"],
        "freight": freight,
        "amount": format_yuan(parse_yuan(now["price"]) + parse_yuan(freight)),
    }
    refused = street.buy(revision=seen["revision"], expected_amount=AMOUNT)
    assert assert_envelope(refused, Answer.GOOD_CHANGED) == figures
    assert assert_envelope(street.buy(revision=1), Answer.GOOD_CHANGED) == figures
    assert whole_database(app) == before
    # Whoever looks again may buy.
    agreed = street.buy(revision=figures["revision"], expected_amount=figures["amount"])
    assert assert_envelope(agreed, Answer.ORDER_CREATED)["amount"] == figures["amount"]


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({}, Answer.ORDER_CREATED),
        ({"expected_amount": AMOUNT}, Answer.ORDER_CREATED),
        ({"expected_amount": 110}, Answer.ORDER_CREATED),
        ({"expected_amount": "110"}, Answer.ORDER_CREATED),
        ({"expected_amount": None, "revision": None}, Answer.ORDER_CREATED),
        ({"revision": 1}, Answer.ORDER_CREATED),
        ({"revision": "1", "expected_amount": AMOUNT}, Answer.ORDER_CREATED),
        ({"trade_mode": 6, "expected_amount": FACE_TO_FACE_AMOUNT, "address_id": None}, Answer.ORDER_CREATED),
        ({"trade_mode": 7, "expected_amount": AMOUNT}, Answer.ORDER_CREATED),
        ({"expected_amount": "109.99"}, Answer.GOOD_CHANGED),
        ({"expected_amount": "110.01"}, Answer.GOOD_CHANGED),
        ({"expected_amount": "0"}, Answer.GOOD_CHANGED),
        # The price alone is not what the order costs, and the freight is none where they meet.
        ({"expected_amount": FACE_TO_FACE_AMOUNT}, Answer.GOOD_CHANGED),
        ({"trade_mode": 6, "expected_amount": AMOUNT, "address_id": None}, Answer.GOOD_CHANGED),
        ({"revision": 2}, Answer.GOOD_CHANGED),
        ({"revision": 2, "expected_amount": AMOUNT}, Answer.GOOD_CHANGED),
        ({"revision": 1, "expected_amount": "1"}, Answer.GOOD_CHANGED),
        ({"expected_amount": "110.001"}, Answer.MALFORMED),
        ({"expected_amount": "-110"}, Answer.MALFORMED),
        ({"expected_amount": "一百"}, Answer.MALFORMED),
        ({"expected_amount": True}, Answer.MALFORMED),
        ({"expected_amount": "20000000.00"}, Answer.MALFORMED),
        ({"revision": 0}, Answer.MALFORMED),
        ({"revision": 1.5}, Answer.MALFORMED),
        ({"revision": 2**31}, Answer.MALFORMED),
    ],
    ids=str,
)
def test_what_the_buyer_says_to_have_seen(
    app: Flask, client: FlaskClient, fields: dict[str, Any], answer: Answer
) -> None:
    street = Seen(app, client)
    before = whole_database(app)
    response = street.buy(**fields)
    told = assert_envelope(response, answer)
    if answer is Answer.ORDER_CREATED:
        assert told["amount"] == (FACE_TO_FACE_AMOUNT if fields.get("trade_mode") == 6 else AMOUNT)
        return
    assert whole_database(app) == before
    if answer is Answer.MALFORMED:
        assert list(told["errors"]) == [next(name for name in fields if name in ("expected_amount", "revision"))]
    else:
        assert (told["revision"], told["price"], told["title"]) == (1, "100.00", "二手吉他")


def test_the_state_is_told_before_the_figures(app: Flask, client: FlaskClient) -> None:
    """What is not for sale, or not there any more, is not offered anew."""
    for columns, answer in (
        ({"status": GoodStatus.IN_TRADE}, Answer.GOOD_NOT_FOR_SALE),
        ({"status": GoodStatus.IN_REVIEW}, Answer.NO_SUCH_GOOD),
        ({"deleted": True}, Answer.NO_SUCH_GOOD),
    ):
        street = Seen(app, client, **columns)
        assert assert_envelope(street.buy(revision=7, expected_amount="1"), answer) is None


def test_a_way_of_trading_that_is_gone_is_an_edit(app: Flask, client: FlaskClient) -> None:
    street = Seen(app, client, trade_mode=TradeMode.COURIER, revision=3)
    told = assert_envelope(street.buy(trade_mode=6, revision=2), Answer.GOOD_CHANGED)
    assert (told["trade_mode"], told["amount"]) == (7, AMOUNT)
    assert_envelope(street.buy(trade_mode=6, revision=3, expected_amount="100.00"), Answer.TRADE_MODE_REFUSED)
