"""Payments of which the gateway has not told us: asked for again and again, by one at a time, until nothing comes."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select, update

from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from app.money.gateway import gateway
from app.money.gateways.base import GatewayRefused
from app.money.models import Payment
from app.orders.payments import query_due_payments
from tasks.schedule import SCHEDULE
from tests.factories import assert_envelope
from tests.money.conftest import AMOUNT, FRESH, STARTED, Purchase, Shop, paid
from tests.money.sandbox_server import fetch

AFTER = timedelta(seconds=60)
SOON = timedelta(seconds=10)  # what a slow machine may take


def ask(shop: Shop) -> int:
    """The periodic job; about how many it asked."""
    with shop.app.app_context():
        return query_due_payments()


def asked_next(shop: Shop, attempt: int = 1) -> timedelta | None:
    """In how long the gateway is asked about the attempt."""
    with shop.app.app_context():
        at: datetime | None = db.session.scalars(select(Payment.query_at).where(Payment.attempt == attempt)).one()
    return None if at is None else at - utcnow()


def change(shop: Shop, **columns: Any) -> None:
    """Write columns of every attempt behind everybody's back."""
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Payment).values(**columns))


def pay_silently(shop: Shop) -> tuple[Purchase, str]:
    """A purchase that was paid, of which we are not told; the gateway's number."""
    purchase = shop.buy()
    return purchase, shop.pay(purchase)["trade_no"]


def test_a_missed_notification_is_found(shop: Shop) -> None:
    purchase, trade_no = pay_silently(shop)
    left = asked_next(shop)
    assert left is not None
    assert AFTER - SOON < left <= AFTER
    assert (ask(shop), shop.state_of(purchase)) == (0, STARTED)
    shop.is_due()
    assert (ask(shop), shop.state_of(purchase)) == (1, paid(trade_no))
    assert (asked_next(shop), ask(shop), shop.audit()) == (None, 0, [])
    # The notification comes after all.
    assert shop.notify(shop.letter(purchase.order_no)) == "success"
    assert shop.state_of(purchase) == paid(trade_no)


def test_it_is_a_periodic_job(shop: Shop) -> None:
    purchase, trade_no = pay_silently(shop)
    shop.is_due()
    [periodic] = [each for each in SCHEDULE if each.job.__name__ == "query_payments"]
    with shop.app.app_context():
        periodic.job()
    assert shop.state_of(purchase) == paid(trade_no)


@pytest.mark.parametrize(
    ("queries", "wait"),
    [(0, 60), (1, 120), (2, 240), (5, 1920), (6, 3600), (12, 3600), (32766, 3600)],
)
def test_the_questions_become_rarer(shop: Shop, queries: int, wait: int) -> None:
    purchase = shop.buy()
    assert fetch(shop.start(purchase)).status == 200
    shop.is_due(queries=queries)
    assert ask(shop) == 1
    left = asked_next(shop)
    assert left is not None
    assert timedelta(seconds=wait) - SOON < left <= timedelta(seconds=wait)
    assert (ask(shop), shop.state_of(purchase)) == (0, STARTED)


def test_each_question_is_one_jobs(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    purchases = [pay_silently(shop) for _ in range(3)]
    shop.is_due()
    start, asked = Barrier(4), []
    with shop.app.app_context():
        query = gateway().query

    def count(out_trade_no: str) -> object:
        asked.append(out_trade_no)
        return query(out_trade_no)

    def job(_: int) -> int:
        start.wait()
        return ask(shop)

    with shop.app.app_context():
        monkeypatch.setattr(gateway(), "query", count)
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(job, range(4))) == 3
    assert sorted(asked) == sorted(purchase.order_no for purchase, _ in purchases)
    assert [shop.state_of(purchase) for purchase, _ in purchases] == [paid(trade_no) for _, trade_no in purchases]


def test_a_job_that_dies_loses_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    purchase, trade_no = pay_silently(shop)
    shop.is_due()

    def die(_: str) -> None:
        raise KeyboardInterrupt

    with shop.app.app_context(), monkeypatch.context() as patched:
        patched.setattr(gateway(), "query", die)  # as a kill between the claim and the answer
        with pytest.raises(KeyboardInterrupt):
            ask(shop)
    left = asked_next(shop)
    assert left is not None
    assert AFTER - SOON < left <= AFTER
    shop.is_due()
    assert (ask(shop), shop.state_of(purchase)) == (1, paid(trade_no))


def test_while_the_gateway_is_away_they_wait_for_their_next_turn(
    shop: Shop, away: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One question is enough to know that it is away: each costs the job the whole time limit."""
    purchases = [pay_silently(shop) for _ in range(2)]
    shop.is_due()
    asked = []
    with away.app.app_context():
        query = gateway().query

        def count(out_trade_no: str) -> object:
            asked.append(out_trade_no)
            return query(out_trade_no)

        monkeypatch.setattr(gateway(), "query", count)
    assert ask(away) == 2
    assert len(asked) == 1
    assert [shop.state_of(purchase) for purchase, _ in purchases] == [STARTED] * 2
    assert ask(shop) == 0
    shop.is_due()
    assert ask(shop) == 2
    assert [shop.state_of(purchase) for purchase, _ in purchases] == [paid(trade_no) for _, trade_no in purchases]


def test_a_question_that_is_refused_holds_up_no_other(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    (refused, _), (purchase, trade_no) = pay_silently(shop), pay_silently(shop)
    shop.is_due()
    with shop.app.app_context():
        query = gateway().query

    def refuse(out_trade_no: str) -> object:
        if out_trade_no == refused.order_no:
            raise GatewayRefused("40004", "ACQ.INVALID_PARAMETER", "参数无效")
        return query(out_trade_no)

    with shop.app.app_context():
        monkeypatch.setattr(gateway(), "query", refuse)  # a no that the sandbox does not say
    assert ask(shop) == 2
    assert (shop.state_of(refused), shop.state_of(purchase)) == (STARTED, paid(trade_no))


def test_another_amount_is_not_believed(shop: Shop) -> None:
    purchase, trade_no = pay_silently(shop)
    change(shop, amount=AMOUNT - 1)
    shop.is_due()
    assert (ask(shop), shop.state_of(purchase)) == (1, STARTED)
    change(shop, amount=AMOUNT)
    shop.is_due()
    assert (ask(shop), shop.state_of(purchase)) == (1, paid(trade_no))


def test_a_trade_that_nobody_wants_any_more_is_closed(shop: Shop) -> None:
    """The order was cancelled before the gateway knew the trade; then the payer opened it after all."""
    purchase = shop.buy()
    location = shop.start(purchase)
    assert_envelope(shop.cancel(purchase), Answer.ORDER_CANCELLED)
    before = shop.state_of(purchase)
    assert before.attempts == [(1, "closed", None)]
    assert fetch(location).status == 200
    shop.is_due()
    assert ask(shop) == 1
    trade = shop.sandbox.trade(purchase.order_no)
    assert trade["status"] == "TRADE_CLOSED"
    assert shop.state_of(purchase) == replace(before, attempts=[(1, "closed", trade["trade_no"])])
    assert asked_next(shop) is None


def test_a_silent_payment_for_a_cancelled_order_is_paid_back(shop: Shop) -> None:
    purchase = shop.buy()
    location = shop.start(purchase)
    assert_envelope(shop.cancel(purchase), Answer.ORDER_CANCELLED)
    shop.sandbox.pay(location)
    shop.is_due()
    assert ask(shop) == 1
    found = shop.state_of(purchase)
    assert (found.refunds, found.refunds_left) == ([(1, AMOUNT, "payment_late", "pending")], 1)
    assert (found.money, shop.audit()) == ({"gateway_clearing": AMOUNT, "refund_clearing": AMOUNT}, [])


@pytest.mark.parametrize(("hours", "given_up"), [(23, False), (25, True)])
def test_what_the_gateway_never_knew_is_given_up_a_day_later(shop: Shop, hours: int, given_up: bool) -> None:
    purchase = shop.buy()
    shop.start(purchase)
    assert_envelope(shop.cancel(purchase), Answer.ORDER_CANCELLED)
    before = shop.state_of(purchase)
    change(shop, created_at=utcnow() - timedelta(hours=hours))
    shop.is_due()
    assert ask(shop) == 1
    assert (asked_next(shop) is None, shop.state_of(purchase)) == (given_up, before)


def test_an_order_that_still_waits_is_not_given_up(shop: Shop) -> None:
    """The sweep that expires it may be down; until it is closed its trade can be opened."""
    purchase = shop.buy()
    shop.start(purchase)
    change(shop, created_at=utcnow() - timedelta(days=2))
    shop.is_due()
    assert ask(shop) == 1
    assert (asked_next(shop) is None, shop.state_of(purchase)) == (False, STARTED)


def test_a_trade_closed_by_its_time_is_known_as_closed(shop: Shop) -> None:
    purchase = shop.buy()
    assert fetch(shop.start(purchase)).status == 200
    shop.sandbox.gateway().close(purchase.order_no)
    shop.is_due()
    assert ask(shop) == 1
    trade_no = shop.sandbox.trade(purchase.order_no)["trade_no"]
    assert shop.state_of(purchase) == replace(FRESH, attempts=[(1, "closed", trade_no)])
    assert asked_next(shop) is None
