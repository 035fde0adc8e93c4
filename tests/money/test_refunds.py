"""Money on its way back: asked for until the gateway has confirmed it, and moved once however often it is asked for."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest
from flask import Flask
from sqlalchemy import delete, select, update

from app import create_app
from app.clock import utcnow
from app.extensions import db
from app.money import service
from app.money.gateways.base import GatewayRefused, GatewayUnavailable
from app.money.models import Payment, Refund
from app.outbox import OutboxMessage, Topic
from config import load_settings
from tests.factories import auth_headers, make_address
from tests.money.conftest import AMOUNT, Purchase, Shop
from tests.money.sandbox_server import start_sandbox

# Of refund 1: its state, the attempts, the last error, whether it has a moment of confirmation.
Sent = tuple[str, int, str | None, bool]


@pytest.fixture
def owed(shop: Shop) -> Purchase:
    """An order that was paid, shipped, received, returned: refund 1 is owed, and nothing was asked of the gateway."""
    purchase = shop.buy()
    assert shop.notify(shop.pay(purchase)) == "success"
    seller = auth_headers(shop.app, purchase.seller)
    parcel = {"company": "顺丰速运", "tracking_no": "SF1234567890"}
    for who, url, body in (
        (
            seller,
            "/api/seller_send_delivery/{}/",
            {"address_id": make_address(shop.app, purchase.seller).id, **parcel},
        ),
        (purchase.headers, "/api/buyer_receive_delivery/{}/", {}),
        (purchase.headers, "/api/buyer_motion_drawback/{}", {"reason": "与描述不符"}),
        (purchase.headers, "/api/buyer_send_drawback/{}/", parcel),
        (seller, "/api/seller_receive_drawback/{}/", {}),
    ):
        response = shop.client.post(url.format(purchase.order_id), json=body, headers=who)
        assert response.status_code == 200, response.get_json()
    standing = shop.standing(purchase)
    assert (standing.phase, standing.refunds) == ((5, 10, True), [(AMOUNT, "accept_return", "pending")])
    assert standing.refunds_left == 1
    return purchase


def send(app: Flask) -> None:
    with app.app_context():
        service.send_refund(refund_id=1)


def sent(shop: Shop) -> Sent:
    with shop.app.app_context():
        refund = db.session.get_one(Refund, 1)
        return refund.state, refund.attempts, refund.last_error, refund.confirmed_at is not None


def at_gateway(shop: Shop, purchase: Purchase) -> list[tuple[str, int, str]]:
    refunds = shop.sandbox.trade(purchase.order_no)["refunds"]
    return [(refund["out_request_no"], refund["amount_fen"], refund["reason"]) for refund in refunds]


@pytest.fixture
def unreachable(shop: Shop, environment: dict[str, str]) -> Iterator[Flask]:
    """The same application in front of a gateway that is down."""
    changed = {"ALIPAY_GATEWAY_URL": "http://127.0.0.1:1/gateway.do"}
    app = create_app(load_settings({**environment, **changed}))
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    app.extensions["valkey"].close()


def test_a_refund_is_sent_once_and_seen_by_the_buyer(shop: Shop, owed: Purchase) -> None:
    assert at_gateway(shop, owed) == []
    send(shop.app)
    assert sent(shop) == ("confirmed", 1, None, True)
    assert at_gateway(shop, owed) == [(f"{owed.order_no}_R1", AMOUNT, "确认收到退货")]
    assert shop.sandbox.trade(owed.order_no)["refunded_fen"] == AMOUNT
    order = shop.client.get(f"/api/order/{owed.order_id}/", headers=owed.headers).get_json()["data"]
    assert (order["refund"]["state"], order["refund"]["amount"]) == ("confirmed", "2600.00")


def test_sending_again_changes_nothing(shop: Shop, owed: Purchase) -> None:
    send(shop.app)
    with shop.app.app_context():
        before = db.session.get_one(Refund, 1).confirmed_at
    send(shop.app)
    assert sent(shop) == ("confirmed", 1, None, True)
    with shop.app.app_context():
        assert db.session.get_one(Refund, 1).confirmed_at == before
    assert len(at_gateway(shop, owed)) == 1


def test_a_refund_that_does_not_exist_is_nothing_to_send(shop: Shop) -> None:
    with shop.app.app_context():
        service.send_refund(refund_id=404)
        assert db.session.scalars(select(Refund)).all() == []


def test_a_gateway_that_is_down_leaves_the_refund_pending(shop: Shop, owed: Purchase, unreachable: Flask) -> None:
    for attempt in (1, 2):
        with pytest.raises(GatewayUnavailable, match="no answer"):
            send(unreachable)
        assert sent(shop) == ("pending", attempt, "no answer: URLError", False)
    assert at_gateway(shop, owed) == []
    order = shop.client.get(f"/api/order/{owed.order_id}/", headers=owed.headers).get_json()["data"]
    assert order["refund"]["state"] == "pending"
    send(shop.app)
    assert sent(shop) == ("confirmed", 3, None, True)
    assert len(at_gateway(shop, owed)) == 1


def test_a_gateway_that_comes_back_is_asked_again(
    shop: Shop, owed: Purchase, tmp_path: Path, environment: dict[str, str]
) -> None:
    """It lost its books meanwhile, so it refuses: that is noted too, and the refund stays owed."""
    with start_sandbox(tmp_path, keys_dir=shop.sandbox.keys) as empty:
        app = create_app(load_settings({**environment, "ALIPAY_GATEWAY_URL": empty.gateway_url}))
        with pytest.raises(GatewayRefused, match=r"ACQ\.TRADE_NOT_EXIST"):
            send(app)
        with app.app_context():
            db.engine.dispose()
        app.extensions["valkey"].close()
    assert sent(shop) == ("pending", 1, "40004 ACQ.TRADE_NOT_EXIST: 交易不存在", False)
    send(shop.app)
    assert sent(shop) == ("confirmed", 2, None, True)


def test_killed_after_the_gateway_moved_the_money(shop: Shop, owed: Purchase) -> None:
    with shop.app.app_context():
        refund = db.session.get_one(Refund, 1)
        payment = db.session.get_one(Payment, refund.payment_id)
        asked = service.gateway().refund(
            out_trade_no=payment.out_trade_no,
            amount_fen=refund.amount,
            out_request_no=refund.request_no,
            reason="确认收到退货",
        )
    assert (asked.repeated, sent(shop)) == (False, ("pending", 0, None, False))
    send(shop.app)
    assert sent(shop) == ("confirmed", 1, None, True)
    assert at_gateway(shop, owed) == [(f"{owed.order_no}_R1", AMOUNT, "确认收到退货")]
    assert shop.sandbox.trade(owed.order_no)["refunded_fen"] == AMOUNT


def test_jobs_at_once_send_it_once(shop: Shop, owed: Purchase) -> None:
    start = Barrier(4)

    def job(_: int) -> None:
        start.wait()
        send(shop.app)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(job, range(4)))
    state, attempts, error, confirmed = sent(shop)
    assert (state, error, confirmed, 1 <= attempts <= 4) == ("confirmed", None, True, True)
    assert at_gateway(shop, owed) == [(f"{owed.order_no}_R1", AMOUNT, "确认收到退货")]


def test_a_job_that_fails_late_takes_nothing_from_a_confirmed_refund(
    shop: Shop, owed: Purchase, unreachable: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two jobs at once: the one whose call fails comes to its end after the one that succeeded."""
    confirmed: list[datetime | None] = []

    def meanwhile(**_: object) -> None:
        send(shop.app)
        with shop.app.app_context():
            confirmed.append(db.session.get_one(Refund, 1).confirmed_at)
        raise GatewayUnavailable("no answer in time")

    with unreachable.app_context():
        monkeypatch.setattr(service.gateway(), "refund", meanwhile)  # the moment that no timing hits for sure
    with pytest.raises(GatewayUnavailable, match="no answer in time"):
        send(unreachable)
    assert sent(shop) == ("confirmed", 2, None, True)
    with shop.app.app_context():
        assert [db.session.get_one(Refund, 1).confirmed_at] == confirmed


# --- the sweep ---


def age(shop: Shop, seconds: int) -> None:
    """As if the refund was `seconds` old and its message had been lost."""
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Refund).values(created_at=utcnow() - timedelta(seconds=seconds)))
        connection.execute(delete(OutboxMessage))


def sweep(shop: Shop) -> tuple[int, list[tuple[str, int]]]:
    """How many it asked for, and the messages that are left afterwards."""
    with shop.app.app_context():
        asked = service.request_pending_refunds()
        left = db.session.execute(select(OutboxMessage.topic, OutboxMessage.subject_id)).all()
        return asked, [(topic, subject_id) for topic, subject_id in left]


def test_the_sweep_asks_again_once(shop: Shop, owed: Purchase) -> None:
    age(shop, 120)
    assert sweep(shop) == (1, [(Topic.PAYMENT_REFUND, 1)])
    assert sweep(shop) == (0, [(Topic.PAYMENT_REFUND, 1)])


def test_the_sweep_leaves_young_and_confirmed_refunds_alone(shop: Shop, owed: Purchase) -> None:
    age(shop, 30)
    assert sweep(shop) == (0, [])
    send(shop.app)
    age(shop, 3600)
    assert sweep(shop) == (0, [])
