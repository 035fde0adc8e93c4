"""What the clock does to orders: due deadlines fire as *system*.

The deadline is a column of the order, so nothing is lost while every process is down, and nothing waits in Valkey.
Sweeps may run at the same time: they pass over rows that somebody else holds, and check clock and state under the
lock.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import structlog
from sqlalchemy import Select, and_, exists, func, select, update
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from app.answers import Refused
from app.clock import utcnow
from app.db.transactions import rows, transaction
from app.goods.models import Good
from app.ledger.service import Posting, post
from app.money.gateways.base import GatewayRefused
from app.money.models import Payment, PaymentState
from app.orders.models import Order
from app.orders.payments import close_open_trade, open_attempt
from app.orders.queries import facts_of
from app.orders.transitions import OrderCommand, apply
from statemachine import BillStatus, Role, order_flow

log = structlog.get_logger(__name__)

BATCH: Final = 50
"""Orders in one database transaction."""

_PUT_OFF_FOR: Final = timedelta(minutes=10)

# The gateway is asked about each trade, and the next sweep waits meanwhile.
_TRADES_AT_ONCE: Final = 200
# After so many trades without an answer the gateway is away.
_UNANSWERED: Final = 3
# The gateway takes no money for a trade after its order's deadline. One that cannot be closed holds the good no longer
# than this; what was paid for it all the same is paid back like any late payment.
_HOLD_FOR_THE_GATEWAY: Final = timedelta(days=1)

_CLOSES_A_TRADE: Final = and_(
    Order.bill_status == BillStatus.UNPAID,
    exists().where(Payment.order_id == Order.id, Payment.state == PaymentState.OPEN.value).correlate(Order),
)

_DATABASE_TROUBLE: Final = (OperationalError, InterfaceError)
"""No order is to blame for these."""


def fire_due(*, limit: int, batch_size: int = BATCH) -> int:
    """Fire what is due on at most `limit` orders, the longest overdue first; returns on how many it did.

    Unpaid orders whose trade at the gateway is still open come one by one, after all others: the trade is closed
    first, and while the gateway is away they wait, for a day at most.
    """
    fired = taken = 0
    while taken < limit:
        size = min(batch_size, limit - taken)
        try:
            batch = done = _fire_batch(_due().limit(size))
        except _DATABASE_TROUBLE:
            raise
        except Exception:  # an order that cannot take its step must hold up no other, whatever is wrong with it
            log.exception("deadline_batch_failed")
            batch, done = size, _fire_singly(size)
        if batch == 0:
            break
        taken += batch
        fired += done
    return fired + _expire_with_open_trades(limit - taken)


def _due() -> Select[Order, Good]:
    """Due orders with their goods, locked. Whoever holds either is about to change both; the next sweep looks again."""
    return (
        select(Order, Good)
        .join(Good, Good.id == Order.good_id)
        .where(Order.deadline_at <= utcnow(), ~_CLOSES_A_TRADE)
        .order_by(Order.deadline_at)
        .with_for_update(of=(Good, Order), skip_locked=True)
        .execution_options(populate_existing=True)
    )


def _fire_batch(locking: Select[Order, Good]) -> int:
    with transaction() as session:
        locked = session.execute(locking).all()
        postings: list[Posting] = []
        for order, good in locked:
            postings += _fire_one(session, good, order)
        # All bookings together: one batch locks its accounts once, in their order.
        post(session, postings, at=utcnow())
        return len(locked)


def _fire_singly(size: int) -> int:
    due = rows(
        select(Order.id).where(Order.deadline_at <= utcnow(), ~_CLOSES_A_TRADE).order_by(Order.deadline_at).limit(size)
    )
    fired = 0
    for row in due:
        with _putting_off(row.id):
            fired += _fire_batch(_due().where(Order.id == row.id))
    return fired


@contextmanager
def _putting_off(order_id: int) -> Iterator[None]:
    """An order that cannot take its step is logged, and due again in a while."""
    try:
        yield
    except _DATABASE_TROUBLE:
        raise
    except Exception:  # whatever is wrong with it, it must hold up no other
        log.exception("deadline_failed", order_id=order_id)
        with transaction() as session:
            # What somebody did with it meanwhile has set another clock, which stays.
            overdue = update(Order).where(Order.id == order_id, Order.deadline_at <= utcnow())
            session.execute(overdue.values(deadline_at=utcnow() + _PUT_OFF_FOR, remind_at=None))


def _fire_one(session: Session, good: Good, order: Order) -> list[Posting]:
    """Fire the clock of a locked order, if it is still due. Its bookings are the caller's to post."""
    if order.deadline_at is None or order.deadline_at > utcnow():
        return []  # the computer's clock was put back since the order was found
    deadline = order_flow.deadline(order.phase, facts_of(order))
    if deadline is None:
        # Not what the machine says: without this the sweep would find it for ever.
        log.error("deadline_without_clock", order_id=order.id, phase=tuple(order.phase))
        order.deadline_at = order.remind_at = None
        return []
    _, postings = apply(session, good, order, OrderCommand(event=deadline.event, role=Role.SYSTEM))
    log.info("deadline_fired", order_id=order.id, what=deadline.event.value)
    return postings


def _expire_with_open_trades(limit: int) -> int:
    due = rows(
        select(Order.id)
        .where(Order.deadline_at <= utcnow(), _CLOSES_A_TRADE)
        # In no order: those of which the gateway says nothing would always come first.
        .order_by(func.random())
        .limit(max(min(limit, _TRADES_AT_ONCE), 0))
    )
    expired = unanswered = 0
    for row in due:
        with _putting_off(row.id):
            try:
                close_open_trade(order_id=row.id)
            except Refused as refusal:
                log.warning("expiry_waits_for_the_gateway", order_id=row.id, reason=refusal.answer.name)
                if not isinstance(refusal.__cause__, GatewayRefused):  # which is about this trade alone
                    unanswered += 1
            expired += _expire(row.id)
        if unanswered == _UNANSWERED:
            break
    return expired


def _expire(order_id: int) -> int:
    with transaction() as session:
        statement = (
            select(Order, Good)
            .join(Good, Good.id == Order.good_id)
            .where(Order.id == order_id, Order.deadline_at <= utcnow(), Order.bill_status == BillStatus.UNPAID)
            .with_for_update(of=(Good, Order), skip_locked=True)
            .execution_options(populate_existing=True)
        )
        locked = session.execute(statement).one_or_none()
        if locked is None:  # paid while we closed the trade
            return 0
        order, good = locked
        if open_attempt(session, order_id) is not None:
            # Not closed, or the buyer opened another one in between: the next sweep looks again.
            if order.deadline_at is None or order.deadline_at > utcnow() - _HOLD_FOR_THE_GATEWAY:
                return 0
            log.error("expired_with_an_open_trade", order_id=order_id)
        post(session, _fire_one(session, good, order), at=utcnow())
        return 1
