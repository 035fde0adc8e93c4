"""Attempts to pay: a new one where the gateway closed the last, closed before their order is, paid back where late."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from sqlalchemy import update
from werkzeug.test import TestResponse

from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from app.money.gateway import gateway
from app.money.gateways.base import GatewayRefused
from app.orders import service
from app.orders.deadlines import fire_due
from app.orders.models import Order
from app.orders.payments import query_due_payments
from statemachine import GoodStatus
from statemachine.order import CANCELLED, PAID
from tasks.relay import relay_once
from tests.factories import assert_envelope
from tests.money.conftest import (
    AMOUNT,
    FRESH,
    STARTED,
    Purchase,
    PurchaseState,
    Shop,
    out_trade_no_in,
    paid,
)
from tests.money.sandbox_server import fetch, form_action
from tests.notifications.steps import time_passes
from tests.tasks.steps import work_off

ROUNDS = 20


def status_at_gateway(shop: Shop, out_trade_no: str) -> str:
    return str(shop.sandbox.trade(out_trade_no)["status"])


def open_at_gateway(shop: Shop, purchase: Purchase) -> str:
    """Go to the gateway's cashier; its address. From then on the gateway knows the trade."""
    location = shop.start(purchase)
    assert fetch(location).status == 200
    return location


def cancelled(*attempts: tuple[int, str, str | None], event: str = "cancel") -> PurchaseState:
    """How an order stands that was closed unpaid."""
    return PurchaseState(
        phase=CANCELLED, good_status=GoodStatus.PUBLISHED, events=["buy", event], attempts=list(attempts)
    )


def refund_everything(shop: Shop) -> None:
    """Let a worker send what the outbox has."""
    time_passes(shop.app)
    with shop.app.app_context():
        relay_once()
    work_off(shop.app)


def expire(shop: Shop, purchase: Purchase) -> int:
    """Let the time for paying pass; how many deadlines the sweep fired."""
    with shop.app.app_context():
        with db.engine.begin() as connection:
            connection.execute(update(Order).where(Order.id == purchase.order_id).values(deadline_at=utcnow()))
        return fire_due(limit=10)


# --- attempts ---


def test_a_closed_attempt_is_followed_by_another(shop: Shop) -> None:
    purchase = shop.buy()
    first = open_at_gateway(shop, purchase)
    assert out_trade_no_in(first) == purchase.order_no
    trade_no = shop.sandbox.trade(purchase.order_no)["trade_no"]
    shop.sandbox.gateway().close(purchase.order_no)
    # The gateway has not told us, so nothing is known here: the payer is sent to the same trade again.
    assert out_trade_no_in(shop.start(purchase)) == purchase.order_no
    shop.is_due()
    with shop.app.app_context():
        assert query_due_payments() == 1
    assert shop.state_of(purchase) == replace(FRESH, attempts=[(1, "closed", trade_no)])

    second = shop.start(purchase)
    assert (out_trade_no_in(second), out_trade_no_in(shop.start(purchase))) == (f"{purchase.order_no}_2",) * 2
    assert shop.state_of(purchase) == replace(FRESH, attempts=[(1, "closed", trade_no), (2, "open", None)])
    form = shop.pay(purchase)
    assert (form["out_trade_no"], shop.notify(form)) == (f"{purchase.order_no}_2", "success")
    expected = replace(paid(""), attempts=[(1, "closed", trade_no), (2, "paid", form["trade_no"])])
    assert (shop.state_of(purchase), shop.audit()) == (expected, [])
    order = shop.client.get(f"/api/order/{purchase.order_id}/", headers=purchase.headers).get_json()["data"]
    assert [(each["attempt"], each["out_trade_no"], each["state"]) for each in order["payments"]] == [
        (1, purchase.order_no, "closed"),
        (2, f"{purchase.order_no}_2", "paid"),
    ]


def test_a_refund_goes_to_the_attempt_that_paid(shop: Shop) -> None:
    purchase = shop.buy()
    form = shop.pay(purchase)
    shop.notify(shop.sign(form, trade_status="TRADE_CLOSED", gmt_payment=""))
    second = shop.pay(purchase)
    shop.notify(second)
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Order).values(deadline_at=utcnow()))
    with shop.app.app_context():
        assert fire_due(limit=10) == 1
    assert shop.state_of(purchase).refunds == [(2, AMOUNT, "refund_unshipped", "pending")]
    refund_everything(shop)
    found = shop.state_of(purchase)
    assert (found.refunds, found.money) == ([(2, AMOUNT, "refund_unshipped", "confirmed")], {})
    refunded = [shop.sandbox.trade(each["out_trade_no"])["refunded_fen"] for each in (form, second)]
    assert (refunded, shop.audit()) == ([0, AMOUNT], [])


# --- cancelling closes the trade first ---


def test_cancelling_closes_the_trade_first(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    purchase = shop.buy()
    location = open_at_gateway(shop, purchase)
    trade_no = shop.sandbox.trade(purchase.order_no)["trade_no"]
    seen = []
    with shop.app.app_context():
        ask = gateway().close

    def close(out_trade_no: str) -> bool:
        known = ask(out_trade_no)
        seen.append((shop.state_of(purchase), status_at_gateway(shop, out_trade_no)))
        return known

    with shop.app.app_context():
        monkeypatch.setattr(gateway(), "close", close)  # to look between the two
    assert_envelope(shop.cancel(purchase), Answer.ORDER_CANCELLED)
    assert seen == [(STARTED, "TRADE_CLOSED")]
    assert shop.state_of(purchase) == cancelled((1, "closed", None))
    assert fetch(location).status == 400  # the gateway: closed
    assert shop.sandbox.trade(purchase.order_no)["trade_no"] == trade_no


def test_an_order_nobody_went_to_pay_asks_no_gateway(away: Shop) -> None:
    purchase = away.buy()
    assert_envelope(away.cancel(purchase), Answer.ORDER_CANCELLED)
    assert away.state_of(purchase) == cancelled()


@pytest.mark.parametrize("key", [None, "cancel-1"])
def test_while_the_gateway_is_away_nothing_is_cancelled(shop: Shop, away: Shop, key: str | None) -> None:
    purchase = shop.buy()
    open_at_gateway(shop, purchase)
    headers = {"Idempotency-Key": key} if key else {}
    for _ in range(2):
        refused = away.cancel(purchase, **headers)
        assert assert_envelope(refused, Answer.GATEWAY_UNAVAILABLE) is None
        assert refused.headers["Retry-After"] == "5"
        assert shop.state_of(purchase) == STARTED
    assert status_at_gateway(shop, purchase.order_no) == "WAIT_BUYER_PAY"
    # What was refused because something is down is not kept under the key.
    assert_envelope(shop.cancel(purchase, **headers), Answer.ORDER_CANCELLED)
    assert shop.state_of(purchase) == cancelled((1, "closed", None))


@pytest.mark.parametrize("key", [None, "cancel-1"])
def test_an_order_that_was_paid_meanwhile_is_not_cancelled(shop: Shop, key: str | None) -> None:
    """The notification is still on its way, so the gateway is the first to tell of the payment."""
    purchase = shop.buy()
    form = shop.pay(purchase)
    assert shop.state_of(purchase) == STARTED
    headers = {"Idempotency-Key": key} if key else {}
    first = shop.cancel(purchase, **headers)
    data = assert_envelope(first, Answer.WRONG_STATE)
    assert (data["event"], data["bill_status"], data["reasons"]) == ("cancel", 2, ["订单当前为“已付款”,不能取消订单"])
    assert shop.state_of(purchase) == paid(form["trade_no"])
    again = shop.cancel(purchase, **headers)
    assert (again.status_code, again.get_data()) == (first.status_code, first.get_data())
    assert again.headers.get("Idempotency-Replayed") == ("true" if key else None)
    assert shop.notify(form) == "success"
    assert (shop.state_of(purchase), shop.audit()) == (paid(form["trade_no"]), [])


@pytest.mark.parametrize("key", [None, "cancel-1"])
@pytest.mark.parametrize("presses", [1, 9])
def test_a_buyer_who_goes_to_pay_again_meanwhile(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, presses: int, key: str | None
) -> None:
    """The seller cancels, and after each trade that he closes the buyer presses the button again."""
    purchase = shop.buy()
    open_at_gateway(shop, purchase)
    close = service.close_open_trade
    pressed = []

    def close_and_press(*, order_id: int) -> None:
        close(order_id=order_id)
        if len(pressed) < presses:
            pressed.append(open_at_gateway(shop, purchase))

    monkeypatch.setattr(service, "close_open_trade", close_and_press)  # the moment that no timing hits for sure
    answer = shop.cancel(purchase, **({"Idempotency-Key": key} if key else {}))
    numbers = [purchase.order_no, *(out_trade_no_in(location) for location in pressed)]
    assert numbers == [purchase.order_no, *(f"{purchase.order_no}_{n}" for n in range(2, len(numbers) + 1))]
    if presses == 1:
        assert_envelope(answer, Answer.ORDER_CANCELLED)
        assert shop.state_of(purchase) == cancelled((1, "closed", None), (2, "closed", None))
        assert {status_at_gateway(shop, number) for number in numbers} == {"TRADE_CLOSED"}
    else:
        assert_envelope(answer, Answer.BUSY)
        attempts = [(1, "closed", None), (2, "closed", None), (3, "closed", None), (4, "open", None)]
        assert shop.state_of(purchase) == replace(FRESH, attempts=attempts)
        assert status_at_gateway(shop, numbers[-1]) == "WAIT_BUYER_PAY"


@pytest.mark.parametrize("by_the_clock", [False, True])
def test_a_gateway_that_refuses_to_answer_counts_as_away(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, by_the_clock: bool
) -> None:
    """As one with whom our keys do not fit any more; other orders must not suffer."""
    purchase, other = shop.buy(), shop.buy()
    open_at_gateway(shop, purchase)

    def refuse(_: str) -> None:
        raise GatewayRefused("40002", "isv.invalid-signature", "无效签名")

    with shop.app.app_context():
        monkeypatch.setattr(gateway(), "close", refuse)  # the sandbox knows no other key of ours
        monkeypatch.setattr(gateway(), "query", refuse)
    if by_the_clock:
        assert (expire(shop, purchase), expire(shop, other)) == (0, 1)
        assert shop.state_of(other) == cancelled(event="expire")
    else:
        assert_envelope(shop.cancel(purchase), Answer.GATEWAY_UNAVAILABLE)
    assert shop.state_of(purchase) == STARTED


# --- the sweep of deadlines closes the trade first too ---


def test_an_order_expires_after_its_trade_was_closed(shop: Shop, away: Shop) -> None:
    purchase = shop.buy()
    open_at_gateway(shop, purchase)
    assert expire(away, purchase) == 0
    assert (shop.state_of(purchase), status_at_gateway(shop, purchase.order_no)) == (STARTED, "WAIT_BUYER_PAY")
    assert expire(shop, purchase) == 1
    assert shop.state_of(purchase) == cancelled((1, "closed", None), event="expire")
    assert status_at_gateway(shop, purchase.order_no) == "TRADE_CLOSED"


def test_an_order_that_was_paid_in_time_does_not_expire(shop: Shop) -> None:
    purchase = shop.buy()
    form = shop.pay(purchase)
    assert expire(shop, purchase) == 0
    assert shop.state_of(purchase) == paid(form["trade_no"])


# --- money that comes too late, or twice ---


def late(*attempts: tuple[int, str, str | None], state: str) -> PurchaseState:
    """How a cancelled order stands whose first attempt was paid all the same."""
    money = {} if state == "confirmed" else {"gateway_clearing": AMOUNT, "refund_clearing": AMOUNT}
    return replace(
        cancelled(*attempts),
        refunds=[(1, AMOUNT, "payment_late", state)],
        refunds_left=int(state != "confirmed"),
        money=money,
    )


def test_money_for_a_cancelled_order_goes_back_once(shop: Shop) -> None:
    purchase = shop.buy()
    location = shop.start(purchase)
    # The gateway has not seen this trade yet, so there is nothing that it could close.
    assert_envelope(shop.cancel(purchase), Answer.ORDER_CANCELLED)
    shop.sandbox.pay(location)
    form = shop.letter(purchase.order_no)
    for _ in range(3):
        assert shop.notify(form) == "success"
    attempt = (1, "paid", form["trade_no"])
    assert (shop.state_of(purchase), shop.audit()) == (late(attempt, state="pending"), [])
    refund_everything(shop)
    assert (shop.state_of(purchase), shop.audit()) == (late(attempt, state="confirmed"), [])
    trade = shop.sandbox.trade(purchase.order_no)
    assert [(each["out_request_no"], each["amount_fen"], each["reason"]) for each in trade["refunds"]] == [
        (f"{purchase.order_no}_R1", AMOUNT, "订单已关闭或已支付")
    ]
    assert (trade["refunded_fen"], trade["status"]) == (AMOUNT, "TRADE_CLOSED")
    assert shop.notify(form) == "success"
    refund_everything(shop)
    assert shop.state_of(purchase) == late(attempt, state="confirmed")
    order = shop.client.get(f"/api/order/{purchase.order_id}/", headers=purchase.headers).get_json()["data"]
    assert (order["refund"]["state"], order["payments"][0]["refund_reason"]) == ("confirmed", "payment_late")


def test_an_order_paid_twice_is_paid_back_once(shop: Shop) -> None:
    """Attempt 1 counts as closed, attempt 2 pays; then the gateway says that attempt 1 was paid as well."""
    purchase = shop.buy()
    first = shop.pay(purchase)
    shop.notify(shop.sign(first, trade_status="TRADE_CLOSED", gmt_payment=""))
    second = shop.pay(purchase)
    assert shop.notify(second) == "success"
    for _ in range(2):
        assert shop.notify(first) == "success"
    both = [(1, "paid", first["trade_no"]), (2, "paid", second["trade_no"])]
    assert shop.state_of(purchase) == PurchaseState(
        phase=PAID,
        events=["buy", "pay"],
        attempts=both,
        refunds=[(1, AMOUNT, "payment_late", "pending")],
        refunds_left=1,
        money={"gateway_clearing": 2 * AMOUNT, "escrow": AMOUNT, "refund_clearing": AMOUNT},
    )
    assert shop.audit() == []
    refund_everything(shop)
    for form in (first, second, first):
        assert shop.notify(form) == "success"
    refund_everything(shop)
    assert shop.state_of(purchase) == PurchaseState(
        phase=PAID,
        events=["buy", "pay"],
        attempts=both,
        refunds=[(1, AMOUNT, "payment_late", "confirmed")],
        money={"gateway_clearing": AMOUNT, "escrow": AMOUNT},
    )
    refunded = [shop.sandbox.trade(form["out_trade_no"])["refunded_fen"] for form in (first, second)]
    assert (refunded, shop.audit()) == ([AMOUNT, 0], [])
    # The order is refunded later: what goes back is the payment that is not back yet.
    with shop.app.app_context():
        service.request_refund(
            actor_id=purchase.buyer.id, order_id=purchase.order_id, reason="不想要了", description=""
        )
        service.approve_refund(actor_id=purchase.seller.id, order_id=purchase.order_id)
    refund_everything(shop)
    state = shop.state_of(purchase)
    assert (state.refunds, state.refunds_left, state.money) == (
        [(1, AMOUNT, "payment_late", "confirmed"), (2, AMOUNT, "approve_refund", "confirmed")],
        0,
        {},
    )
    refunded = [shop.sandbox.trade(form["out_trade_no"])["refunded_fen"] for form in (first, second)]
    assert (refunded, shop.audit()) == ([AMOUNT, AMOUNT], [])


def test_the_late_one_funds_an_order_that_still_waits(shop: Shop) -> None:
    """Attempt 1 counts as closed, and is paid while attempt 2 is open: it pays, and attempt 2 is closed afterwards."""
    purchase = shop.buy()
    first = shop.pay(purchase)
    shop.notify(shop.sign(first, trade_status="TRADE_CLOSED", gmt_payment=""))
    open_at_gateway(shop, purchase)
    assert shop.notify(first) == "success"
    pays = replace(paid(""), attempts=[(1, "paid", first["trade_no"]), (2, "open", None)])
    assert shop.state_of(purchase) == pays
    shop.is_due()
    with shop.app.app_context():
        assert query_due_payments() == 1
    trade = shop.sandbox.trade(f"{purchase.order_no}_2")
    assert trade["status"] == "TRADE_CLOSED"
    closed = replace(pays, attempts=[(1, "paid", first["trade_no"]), (2, "closed", trade["trade_no"])])
    assert (shop.state_of(purchase), shop.audit()) == (closed, [])


# --- at once ---


def at_once(*jobs: Callable[[], object]) -> list[object]:
    """Run these at the same time; what they return."""
    start = Barrier(len(jobs))

    def run(job: Callable[[], object]) -> object:
        start.wait()
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return [future.result() for future in [pool.submit(run, job) for job in jobs]]


def test_a_payer_against_a_cancellation(shop: Shop) -> None:
    """Whoever comes first: a paid order, or a cancelled one that was not paid or whose money goes back."""
    outcomes = set()
    for _ in range(ROUNDS):
        purchase = shop.buy()
        location = shop.start(purchase)

        def pay(location: str = location, purchase: Purchase = purchase) -> str | None:
            page = fetch(location)
            if page.status != 200 or fetch(form_action(page.text), form={}).status != 302:
                return None
            form = shop.letter(purchase.order_no)
            assert shop.notify(form) == "success"
            return form["trade_no"]

        def give_up(purchase: Purchase = purchase) -> TestResponse:
            return shop.cancel(purchase)

        trade_no, answer = at_once(pay, give_up)
        assert isinstance(answer, TestResponse)
        found = shop.state_of(purchase)
        if answer.status_code == 409:
            assert isinstance(trade_no, str)
            assert found == paid(trade_no)
        elif trade_no is None:
            assert answer.status_code == 200
            assert found in (cancelled((1, "closed", None)), cancelled())
        else:
            assert answer.status_code == 200
            assert isinstance(trade_no, str)
            assert found == late((1, "paid", trade_no), state="pending")
        outcomes.add((answer.status_code, trade_no is None))
    assert shop.audit() == []
    assert outcomes <= {(409, False), (200, True), (200, False)}


def test_money_that_comes_late_many_times_at_once_goes_back_once(shop: Shop) -> None:
    purchase = shop.buy()
    location = shop.start(purchase)
    assert shop.cancel(purchase).status_code == 200
    shop.sandbox.pay(location)
    form = shop.letter(purchase.order_no)
    assert at_once(*[lambda: shop.notify(form)] * 4) == ["success"] * 4
    assert shop.state_of(purchase) == late((1, "paid", form["trade_no"]), state="pending")
