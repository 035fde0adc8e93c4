"""Money on its way back: asked for until the gateway has confirmed it, and moved once however often it is asked for."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import Barrier

import pytest
from flask import Flask
from sqlalchemy import select

from app.db.database import db
from app.money import refunds
from app.money.gateway import gateway
from app.money.gateways.base import GatewayUnavailable
from app.money.models import Payment, Refund
from app.outbox.service import PermanentFailure
from statemachine.order import REFUNDED_RETURNED
from tasks.relay import relay_once
from tests.conftest import MakeApp
from tests.factories import auth_headers, make_address
from tests.money.conftest import AMOUNT, Purchase, Shop
from tests.money.sandbox_server import start_sandbox
from tests.notifications.steps import outbox, time_passes
from tests.tasks.steps import work_off

OWED = {"gateway_clearing": AMOUNT, "refund_clearing": AMOUNT}
"""What the ledger says while the gateway has not confirmed the refund. Nothing at all, once it has."""

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
    found = shop.state_of(purchase)
    assert (found.phase, found.refunds) == (REFUNDED_RETURNED, [(1, AMOUNT, "accept_return", "pending")])
    assert (found.refunds_left, found.money) == (1, OWED)
    return purchase


def send(app: Flask) -> None:
    with app.app_context():
        refunds.send_refund(refund_id=1)


def sent(shop: Shop) -> Sent:
    with shop.app.app_context():
        refund = db.session.get_one(Refund, 1)
        return refund.state, refund.attempts, refund.last_error, refund.confirmed_at is not None


def at_gateway(shop: Shop, purchase: Purchase) -> list[tuple[str, int, str]]:
    refunds = shop.sandbox.trade(purchase.order_no)["refunds"]
    return [(refund["out_request_no"], refund["amount_fen"], refund["reason"]) for refund in refunds]


def confirmed(shop: Shop, owed: Purchase) -> bool:
    """Whether the money is gone from our books too, and only once."""
    found = shop.state_of(owed)
    assert found.money in ({}, OWED)
    assert found.refunds == [(1, AMOUNT, "accept_return", "pending" if found.money else "confirmed")]
    assert shop.audit() == []
    return found.money == {}


def run_outbox(shop: Shop) -> None:
    """Let the relay and a worker do what is due."""
    time_passes(shop.app)
    with shop.app.app_context():
        relay_once()
    work_off(shop.app)


def about_refunds(shop: Shop) -> list[tuple[int, bool, str | None]]:
    """`(attempts, dead, last error)` of the outbox's messages about refunds."""
    messages = [each for each in outbox(shop.app) if each.topic == "payment_refund"]
    return [(each.attempts, each.dead_at is not None, each.last_error) for each in messages]


def seen_by_the_buyer(shop: Shop, owed: Purchase) -> tuple[str, str]:
    order = shop.client.get(f"/api/order/{owed.order_id}/", headers=owed.headers).get_json()["data"]
    assert [payment["refund_state"] for payment in order["payments"]] == [order["refund"]["state"]]
    return order["refund"]["state"], order["refund"]["amount"]


def test_a_refund_is_sent_once_and_seen_by_the_buyer(shop: Shop, owed: Purchase) -> None:
    assert at_gateway(shop, owed) == []
    send(shop.app)
    assert sent(shop) == ("confirmed", 1, None, True)
    assert at_gateway(shop, owed) == [(f"{owed.order_no}_R1", AMOUNT, "确认收到退货")]
    assert shop.sandbox.trade(owed.order_no)["refunded_fen"] == AMOUNT
    assert confirmed(shop, owed)
    assert seen_by_the_buyer(shop, owed) == ("confirmed", "2600.00")


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
        refunds.send_refund(refund_id=404)
        assert db.session.scalars(select(Refund)).all() == []


def test_a_gateway_that_is_down_leaves_the_refund_pending(shop: Shop, owed: Purchase, away: Shop) -> None:
    for attempt in (1, 2):
        with pytest.raises(GatewayUnavailable, match="no answer"):
            send(away.app)
        assert sent(shop) == ("pending", attempt, "no answer: URLError", False)
    assert (at_gateway(shop, owed), confirmed(shop, owed)) == ([], False)
    assert seen_by_the_buyer(shop, owed) == ("pending", "2600.00")
    send(shop.app)
    assert sent(shop) == ("confirmed", 3, None, True)
    assert (len(at_gateway(shop, owed)), confirmed(shop, owed)) == (1, True)


def test_a_refused_refund_is_a_dead_letter_until_somebody_replays_it(
    shop: Shop, owed: Purchase, tmp_path: Path, make_app: MakeApp
) -> None:
    """The gateway lost its books, so it refuses; the money stays owed, and where one sees that."""
    refusal = "40004 ACQ.TRADE_NOT_EXIST: 交易不存在"
    with start_sandbox(tmp_path, keys_dir=shop.sandbox.keys) as empty:
        elsewhere = replace(shop, app=make_app(ALIPAY_GATEWAY_URL=empty.gateway_url))
        with pytest.raises(PermanentFailure, match=r"ACQ\.TRADE_NOT_EXIST"):
            send(elsewhere.app)
        run_outbox(elsewhere)
    assert sent(shop) == ("refused", 2, refusal, False)
    assert about_refunds(shop) == [(1, True, f"PermanentFailure: {refusal}")]
    found = shop.state_of(owed)
    assert (found.refunds, found.money) == ([(1, AMOUNT, "accept_return", "refused")], OWED)
    assert seen_by_the_buyer(shop, owed) == ("refused", "2600.00")
    run_outbox(shop)  # dead: nobody tries it again by himself
    assert (sent(shop), shop.audit()) == (("refused", 2, refusal, False), [])

    replayed = shop.app.test_cli_runner().invoke(args=["outbox", "replay", "--all-dead"])
    assert (replayed.exit_code, replayed.output) == (0, "1 messages are due now\n")
    run_outbox(shop)
    assert (sent(shop), about_refunds(shop)) == (("confirmed", 3, None, True), [])
    assert (len(at_gateway(shop, owed)), confirmed(shop, owed)) == (1, True)


def test_a_replay_that_finds_nobody_is_pending_again(
    shop: Shop, owed: Purchase, away: Shop, tmp_path: Path, make_app: MakeApp
) -> None:
    with start_sandbox(tmp_path, keys_dir=shop.sandbox.keys) as empty, pytest.raises(PermanentFailure):
        send(make_app(ALIPAY_GATEWAY_URL=empty.gateway_url))
    with pytest.raises(GatewayUnavailable):
        send(away.app)
    assert sent(shop) == ("pending", 2, "no answer: URLError", False)
    assert not confirmed(shop, owed)


def test_the_outbox_tries_until_the_gateway_is_back(shop: Shop, owed: Purchase, away: Shop) -> None:
    run_outbox(away)
    assert about_refunds(shop) == [(1, False, "GatewayUnavailable: no answer: URLError")]
    assert (sent(shop), confirmed(shop, owed)) == (("pending", 1, "no answer: URLError", False), False)
    run_outbox(shop)
    assert (sent(shop), about_refunds(shop)) == (("confirmed", 2, None, True), [])
    assert (len(at_gateway(shop, owed)), confirmed(shop, owed)) == (1, True)


def test_killed_after_the_gateway_moved_the_money(shop: Shop, owed: Purchase) -> None:
    with shop.app.app_context():
        refund = db.session.get_one(Refund, 1)
        payment = db.session.get_one(Payment, refund.payment_id)
        asked = gateway().refund(
            out_trade_no=payment.out_trade_no,
            amount_fen=refund.amount,
            out_request_no=refund.request_no,
            reason="确认收到退货",
        )
    assert (asked.repeated, sent(shop)) == (False, ("pending", 0, None, False))
    assert not confirmed(shop, owed)
    for _ in range(2):
        send(shop.app)
    assert confirmed(shop, owed)
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
    state, attempts, error, has_moment = sent(shop)
    assert (state, error, has_moment, 1 <= attempts <= 4) == ("confirmed", None, True, True)
    assert confirmed(shop, owed)
    assert at_gateway(shop, owed) == [(f"{owed.order_no}_R1", AMOUNT, "确认收到退货")]


def test_a_job_that_fails_late_takes_nothing_from_a_confirmed_refund(
    shop: Shop, owed: Purchase, away: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two jobs at once: the one whose call fails comes to its end after the one that succeeded."""
    moments: list[datetime | None] = []

    def meanwhile(**_: object) -> None:
        send(shop.app)
        with shop.app.app_context():
            moments.append(db.session.get_one(Refund, 1).confirmed_at)
        raise GatewayUnavailable("no answer in time")

    with away.app.app_context():
        monkeypatch.setattr(gateway(), "refund", meanwhile)  # the moment that no timing hits for sure
    with pytest.raises(GatewayUnavailable, match="no answer in time"):
        send(away.app)
    assert sent(shop) == ("confirmed", 2, None, True)
    with shop.app.app_context():
        assert [db.session.get_one(Refund, 1).confirmed_at] == moments
