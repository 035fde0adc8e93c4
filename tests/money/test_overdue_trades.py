"""Unpaid orders past their deadline whose trade at the gateway is open: closed first, but never held for ever by it."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from app.clock import utcnow
from app.db.database import db
from app.money.gateway import gateway
from app.money.gateways.base import GatewayRefused, GatewayUnavailable
from app.money.models import Payment
from app.orders import deadlines
from app.orders.deadlines import fire_due
from app.orders.models import Order
from app.orders.payments import query_due_payments
from statemachine.order import AWAITING_PAYMENT, CANCELLED, PAID, REFUNDED_UNSHIPPED
from tests.money.conftest import STARTED, Purchase, Shop
from tests.money.test_attempts import cancelled, open_at_gateway

DAY = timedelta(days=1)


def overdue(shop: Shop, *purchases: Purchase, by: timedelta = timedelta(0)) -> None:
    """Let the time for paying have passed."""
    ids = [purchase.order_id for purchase in purchases]
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Order).where(Order.id.in_(ids)).values(deadline_at=utcnow() - by))


def sweep(shop: Shop) -> int:
    with shop.app.app_context():
        return fire_due(limit=100)


def deadline_of(shop: Shop, purchase: Purchase) -> Any:
    with shop.app.app_context():
        return db.session.scalar(select(Order.deadline_at).where(Order.id == purchase.order_id))


def silent_about(shop: Shop, monkeypatch: pytest.MonkeyPatch, error: Exception, *out_trade_nos: str) -> None:
    """Let the gateway answer with `error` whatever is asked of these trades."""
    with shop.app.app_context():
        at = gateway()
    for name in ("close", "query"):
        ask = getattr(at, name)

        def say(out_trade_no: str, ask: Any = ask) -> Any:
            if out_trade_no in out_trade_nos:
                raise error
            return ask(out_trade_no)

        monkeypatch.setattr(at, name, say)


def test_trades_that_the_gateway_never_answers_about_hold_up_no_other(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent, answered = [shop.buy() for _ in range(2)], [shop.buy() for _ in range(3)]
    for purchase in (*silent, *answered):
        open_at_gateway(shop, purchase)
    # The silent ones are overdue for longest.
    overdue(shop, *silent, by=DAY / 2)
    overdue(shop, *answered)
    silent_about(shop, monkeypatch, GatewayUnavailable("20000"), *(purchase.order_no for purchase in silent))
    assert sweep(shop) == 3
    assert [shop.state_of(purchase).phase for purchase in answered] == [CANCELLED] * 3
    assert [shop.state_of(purchase) for purchase in silent] == [STARTED] * 2
    monkeypatch.undo()
    assert sweep(shop) == 2
    assert [shop.state_of(purchase).phase for purchase in silent] == [CANCELLED] * 2


def test_a_gateway_that_is_away_is_not_asked_about_all(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    purchases = [shop.buy() for _ in range(5)]
    for purchase in purchases:
        open_at_gateway(shop, purchase)
    overdue(shop, *purchases)
    asked = []

    def close(out_trade_no: str) -> bool:
        asked.append(out_trade_no)
        raise GatewayUnavailable("no answer")

    with shop.app.app_context():
        monkeypatch.setattr(gateway(), "close", close)
    assert sweep(shop) == 0
    assert (len(asked), {shop.state_of(purchase).phase for purchase in purchases}) == (3, {AWAITING_PAYMENT})


def test_a_gateway_that_closes_slowly_holds_up_the_sweep_only_so_long(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    purchases = [shop.buy() for _ in range(3)]
    for purchase in purchases:
        open_at_gateway(shop, purchase)
    overdue(shop, *purchases)
    with shop.app.app_context():
        at = gateway()
    now, close = 0.0, at.close

    def slow(out_trade_no: str) -> bool:
        nonlocal now
        now += 30.0
        return close(out_trade_no)

    monkeypatch.setattr(at, "close", slow)
    monkeypatch.setattr(deadlines, "monotonic", lambda: now)
    assert [sweep(shop) for _ in range(3)] == [2, 1, 0]
    assert {shop.state_of(purchase).phase for purchase in purchases} == {CANCELLED}


@pytest.mark.parametrize("error", [GatewayUnavailable("20000"), GatewayRefused("40004", "ACQ.NO", "no")])
def test_a_trade_that_cannot_be_closed_holds_its_good_for_a_day(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    purchase = shop.buy()
    location = open_at_gateway(shop, purchase)
    silent_about(shop, monkeypatch, error, purchase.order_no)
    overdue(shop, purchase, by=DAY - timedelta(minutes=1))
    assert (sweep(shop), shop.state_of(purchase)) == (0, STARTED)
    overdue(shop, purchase, by=DAY)
    assert (sweep(shop), shop.state_of(purchase)) == (1, cancelled((1, "open", None), event="expire"))
    # It is still asked for, and what was paid after all goes back.
    monkeypatch.undo()
    trade_no = shop.sandbox.trade(purchase.order_no)["trade_no"]
    shop.sandbox.pay(location)
    shop.is_due()
    with shop.app.app_context():
        assert query_due_payments() == 1
    found = shop.state_of(purchase)
    assert (found.phase, found.attempts) == (CANCELLED, [(1, "paid", trade_no)])
    assert [(reason, state) for _, _, reason, state in found.refunds] == [("payment_late", "pending")]
    assert shop.audit() == []


def test_a_second_trade_that_is_open_stops_no_clock_of_a_paid_order(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    purchase = shop.buy()
    first = shop.pay(purchase)
    # Closed as far as we know, so that the buyer may begin another attempt; then the first one's payment is told of.
    shop.notify(shop.sign(first, trade_status="TRADE_CLOSED", gmt_payment=""))
    open_at_gateway(shop, purchase)
    shop.notify(first)
    assert shop.state_of(purchase).phase == PAID
    assert [state for _, state, _ in shop.state_of(purchase).attempts] == ["paid", "open"]
    silent_about(shop, monkeypatch, GatewayUnavailable("20000"), f"{purchase.order_no}_2")
    overdue(shop, purchase)
    assert sweep(shop) == 1
    found = shop.state_of(purchase)
    assert (found.phase, found.events[-1]) == (REFUNDED_UNSHIPPED, "refund_unshipped")
    assert [(attempt, reason) for attempt, _, reason, _ in found.refunds] == [(1, "refund_unshipped")]
    # The second one is closed by the question about it.
    monkeypatch.undo()
    shop.is_due()
    with shop.app.app_context():
        query_due_payments()
        state = db.session.scalar(select(Payment.state).where(Payment.attempt == 2))
    assert (state, shop.audit()) == ("closed", [])


def test_one_that_cannot_take_its_step_is_put_off_and_holds_up_no_other(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, whole = shop.buy(), shop.buy()
    for purchase in (broken, whole):
        open_at_gateway(shop, purchase)
    overdue(shop, broken, whole, by=DAY)
    with shop.app.app_context(), db.engine.begin() as connection:
        # The next line of its history will be there already.
        connection.execute(update(Order).where(Order.id == broken.order_id).values(history_length=0))
    silent_about(shop, monkeypatch, GatewayRefused("40004", "ACQ.NO", "no"), broken.order_no, whole.order_no)
    assert sweep(shop) == 1
    assert shop.state_of(whole) == cancelled((1, "open", None), event="expire")
    assert shop.state_of(broken) == STARTED
    left = deadline_of(shop, broken) - utcnow()
    assert timedelta(minutes=9) < left <= timedelta(minutes=10)
