"""Fifty rounds of each race: one side wins, the other gets a clear answer, and the books are right.

Two withdrawals of the last fen are in `tests.wallet.test_races`.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.answers import Answer, Refused
from app.db.database import db
from app.db.transactions import transaction
from app.goods.service import edit_good
from app.ledger.models import LedgerTransaction
from app.moderation.service import check_good, conclude_good
from app.money.models import GatewayNotification, Payment
from app.orders.deadlines import fire_due
from app.orders.models import Order
from app.orders.service import cancel_order
from statemachine import GoodStatus, OrderEvent, OrderPhase, Role
from statemachine.order import (
    AWAITING_PAYMENT,
    CANCELLED,
    PAID,
    REFUND_REQUESTED_RECEIVED,
    REFUND_REQUESTED_SHIPPED,
    REFUNDED_SHIPPED,
    SHIPPED,
)
from tests.factories import assert_envelope, auth_headers, make_address, make_good, make_user
from tests.races.steps import BELIEVED, ROUNDS, Arena, PurchaseState, at_once

PAY = (OrderEvent.PAY, Role.GATEWAY)
SHIP = (OrderEvent.SHIP, Role.SELLER)
ASK = (OrderEvent.REQUEST_REFUND, Role.BUYER)

AFTER_PAYMENT = PurchaseState(PAID, GoodStatus.IN_TRADE, ["buy", "pay"], "paid", [])
AFTER_CANCELLING = PurchaseState(CANCELLED, GoodStatus.PUBLISHED, ["buy", "cancel"], "paid", ["payment_late"])
AFTER_EXPIRY = PurchaseState(CANCELLED, GoodStatus.PUBLISHED, ["buy", "expire"], "paid", ["payment_late"])


def test_a_notification_against_cancelling(arena: Arena, pool: ThreadPoolExecutor) -> None:
    for round_number in range(ROUNDS):
        order = arena.opened(arena.order())
        side = (order.buyer_id, order.seller_id)[round_number % 2]
        heard, answer = at_once(pool, arena.notify(order), arena.post(f"/api/cancel_order/{order.id}/", side))
        # What was paid is either the order's, or goes back.
        assert heard == BELIEVED
        wanted = {Answer.ORDER_CANCELLED: AFTER_CANCELLING, Answer.WRONG_STATE: AFTER_PAYMENT}
        assert arena.state_of(order) == wanted[answer]
    arena.assert_clean()


def test_a_notification_against_expiry(arena: Arena, pool: ThreadPoolExecutor) -> None:
    def sweep() -> int:
        with arena.app.app_context():
            return fire_due(limit=10)

    for _ in range(ROUNDS):
        order = arena.opened(arena.order())
        arena.make_due(order)
        heard, fired = at_once(pool, arena.notify(order), sweep)
        assert heard == BELIEVED
        # The sweep passes over rows that somebody holds; the next one finds them.
        if fired == 0 and arena.state_of(order).phase == AWAITING_PAYMENT:
            fired = sweep()
        assert arena.state_of(order) == {1: AFTER_EXPIRY, 0: AFTER_PAYMENT}[fired]
    arena.assert_clean()


def test_two_notifications(arena: Arena, pool: ThreadPoolExecutor) -> None:
    for round_number in range(ROUNDS):
        order = arena.opened(arena.order())
        other = "n1" if round_number % 2 else "n2"  # the same once more, or the gateway's next one
        assert at_once(pool, arena.notify(order), arena.notify(order, notify_id=other)) == [BELIEVED] * 2
        assert arena.state_of(order) == AFTER_PAYMENT
    with arena.app.app_context():
        counts = [
            db.session.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (GatewayNotification, LedgerTransaction)
        ]
        db.session.rollback()
    assert counts == [2 * ROUNDS, ROUNDS]
    arena.assert_clean()


def test_receiving_against_asking_for_a_refund(arena: Arena, pool: ThreadPoolExecutor) -> None:
    for _ in range(ROUNDS):
        order = arena.order(PAY, SHIP)
        received, asked = at_once(
            pool,
            arena.post(f"/api/buyer_receive_delivery/{order.id}/", order.buyer_id),
            arena.post(f"/api/buyer_motion_drawback/{order.id}", order.buyer_id, {"reason": "与描述不符"}),
        )
        # A refund can still be asked for after receipt, but nothing received while one is asked for.
        assert asked is Answer.REFUND_REQUESTED
        steps = ["buy", "pay", "ship"]
        assert (
            arena.state_of(order)
            == {
                Answer.ORDER_RECEIVED: PurchaseState(
                    REFUND_REQUESTED_RECEIVED, GoodStatus.SOLD, [*steps, "receive", "request_refund"], "paid", []
                ),
                Answer.WRONG_STATE: PurchaseState(
                    REFUND_REQUESTED_SHIPPED, GoodStatus.IN_TRADE, [*steps, "request_refund"], "paid", []
                ),
            }[received]
        )
    arena.assert_clean()


def test_approving_against_withdrawing_a_refund(arena: Arena, pool: ThreadPoolExecutor) -> None:
    for _ in range(ROUNDS):
        order = arena.order(PAY, SHIP, ASK)
        answers = at_once(
            pool,
            arena.post(f"/api/seller_approve_drawback/{order.id}/", order.seller_id),
            arena.post(f"/api/buyer_withdraw_drawback/{order.id}/", order.buyer_id),
        )
        steps = ["buy", "pay", "ship", "request_refund"]
        assert (
            arena.state_of(order)
            == {
                (Answer.REFUND_APPROVED, Answer.WRONG_STATE): PurchaseState(
                    REFUNDED_SHIPPED, GoodStatus.SOLD, [*steps, "approve_refund"], "paid", ["approve_refund"]
                ),
                (Answer.WRONG_STATE, Answer.REFUND_WITHDRAWN): PurchaseState(
                    SHIPPED, GoodStatus.IN_TRADE, [*steps, "withdraw_refund"], "paid", []
                ),
            }[tuple(answers)]
        )
    arena.assert_clean()


@pytest.mark.parametrize("seen", [{}, {"revision": 1}, {"expected_amount": "10.00"}])
def test_another_price_against_a_purchase(arena: Arena, pool: ThreadPoolExecutor, seen: dict[str, Any]) -> None:
    """Who says what they saw never buys at another price than that; who says nothing is told the price they have."""
    seller, buyer = make_user(arena.app), make_user(arena.app)
    address = make_address(arena.app, buyer)
    late = (Answer.GOOD_CHANGED, None) if seen else (Answer.ORDER_CREATED, (9900, AWAITING_PAYMENT))
    for _ in range(ROUNDS):
        good = make_good(arena.app, seller, price=1000, freight=0)
        edited, bought = at_once(
            pool,
            arena.post(f"/api/good_edit/{good.id}/", seller.id, {"price": "99.00"}, method="PATCH"),
            arena.post(f"/api/buy/{good.id}/", buyer.id, {"address_id": address.id, **seen}),
        )
        assert (edited, bought, _cancelled(arena, good.id, seller.id)) in (
            (Answer.GOOD_EDITED, *late),
            (Answer.EDIT_FAILED, Answer.ORDER_CREATED, (1000, AWAITING_PAYMENT)),
        )
    arena.assert_clean()


@pytest.mark.parametrize("seen", [{"revision": 1}, {"expected_amount": "10.00"}])
def test_an_edit_and_its_review_against_a_purchase(
    arena: Arena, pool: ThreadPoolExecutor, seen: dict[str, Any]
) -> None:
    """Edited and approved while somebody buys what they read before: they get that, or are told.

    The good is for sale as it was approved all the time, so nobody is told that there is none.
    """
    seller, buyer = make_user(arena.app), make_user(arena.app)
    address = make_address(arena.app, buyer)
    told = set()
    for round_number in range(ROUNDS):
        good = make_good(arena.app, seller, price=1000, freight=0)
        approved = threading.Event()

        def edit(good_id: int = good.id, approved: threading.Event = approved) -> Answer:
            try:
                with arena.app.app_context():
                    edit_good(owner_id=seller.id, good_id=good_id, changes={"price": 900000})
                    check_good(good_id=good_id, revision=2)
                    conclude_good(good_id=good_id, revision=2)
            except Refused as refusal:
                return refusal.answer
            finally:
                approved.set()
            return Answer.GOOD_EDITED

        def buy(good_id: int = good.id, wait: int = round_number % 3, approved: threading.Event = approved) -> Answer:
            if wait:  # a third come while it is reviewed, others when that is over, or nearly
                approved.wait(timeout=60 if wait == 2 else 0.01)
            return arena.post(f"/api/buy/{good_id}/", buyer.id, {"address_id": address.id, **seen})()

        edited, bought = at_once(pool, edit, buy)
        outcome = edited, bought, _cancelled(arena, good.id, seller.id)
        assert outcome in (
            (Answer.GOOD_EDITED, Answer.GOOD_CHANGED, None),
            (Answer.GOOD_EDITED, Answer.ORDER_CREATED, (1000, AWAITING_PAYMENT)),
            (Answer.EDIT_FAILED, Answer.ORDER_CREATED, (1000, AWAITING_PAYMENT)),
        )
        told.add(bought)
    assert told == {Answer.GOOD_CHANGED, Answer.ORDER_CREATED}
    arena.assert_clean()


def _cancelled(arena: Arena, good_id: int, seller_id: int) -> tuple[int, OrderPhase] | None:
    """What the order of this good costs and where it stands, before it is cancelled here; None without an order."""
    with arena.app.app_context(), transaction() as session:
        order = session.scalar(select(Order).where(Order.good_id == good_id))
        if order is None:
            return None
        found = order.amount, order.phase
        cancel_order(actor_id=seller_id, order_id=order.id)
        return found


@pytest.mark.parametrize("key", ["keyed", None])
def test_opening_the_cashier_against_cancelling(arena: Arena, pool: ThreadPoolExecutor, key: str | None) -> None:
    for _ in range(ROUNDS):
        order = arena.opened(arena.order())
        pay = f"/order/pay/{order.id}/"
        headers = auth_headers(arena.app, order.buyer)
        opened, answer = at_once(
            pool,
            lambda pay=pay, headers=headers: arena.server.call("POST", pay, headers=headers).status,
            arena.post(f"/api/cancel_order/{order.id}/", order.buyer_id, key=key and f"{key}-{order.id}"),
        )
        assert opened in (302, Answer.WRONG_STATE.http)
        # In between the two halves of cancelling there may be another attempt: then it is asked for again.
        if answer is Answer.BUSY:
            answer = arena.post(f"/api/cancel_order/{order.id}/", order.buyer_id, key=key and f"{key}-{order.id}")()
        assert answer is Answer.ORDER_CANCELLED
        assert arena.state_of(order).phase == CANCELLED
        with arena.app.app_context(), transaction() as session:
            open_ones = select(func.count()).where(Payment.order_id == order.id, Payment.state == "open")
            assert session.execute(open_ones).scalar_one() == 0
    arena.assert_clean()


@pytest.mark.parametrize("key", ["keyed", None])
def test_the_buyer_is_back_at_the_cashier_between_the_halves_of_cancelling(arena: Arena, key: str | None) -> None:
    order = arena.opened(arena.order())
    url = f"/api/cancel_order/{order.id}/"
    headers = auth_headers(arena.app, order.buyer) | ({"Idempotency-Key": key} if key else {})

    commits: list[Session] = []

    def come_back(session: Session) -> None:
        # The first commit is the one that notes the closed trade.
        commits.append(session)
        if len(commits) == 1:
            paying = auth_headers(arena.app, order.buyer)
            assert arena.server.call("POST", f"/order/pay/{order.id}/", headers=paying).status == 302

    sqlalchemy_event.listen(Session, "after_commit", come_back)
    began = time.monotonic()
    try:
        response = arena.app.test_client().post(url, headers=headers)
    finally:
        sqlalchemy_event.remove(Session, "after_commit", come_back)
    # The second trade is closed too, and nobody waits for locks of his own.
    assert_envelope(response, Answer.ORDER_CANCELLED)
    assert time.monotonic() - began < 5
    with arena.app.app_context(), transaction() as session:
        states = session.scalars(select(Payment.state).order_by(Payment.attempt)).all()
    assert (arena.state_of(order).phase, states) == (CANCELLED, ["closed", "closed"])
    arena.assert_clean()
