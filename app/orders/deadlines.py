"""Fires the events of due deadlines, in the role *system*.

The deadline is a column of the order, so none is lost while every process is down, and nothing waits in Valkey. Several
sweeps may run at the same time: they skip rows that are locked, and check time and state again under their own lock.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic
from typing import Final

import structlog
from rq.timeouts import BaseTimeoutException
from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, update
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
from app.orders.payments import check_paid_trade, close_open_trade, open_attempt
from app.orders.queries import facts_of
from app.orders.transitions import OrderCommand, apply
from app.settings import settings
from statemachine import BillStatus, OrderStatus, Role, order_flow

log = structlog.get_logger(__name__)

BATCH: Final = 50
"""Orders in one database transaction."""

# When an order whose deadline could not be fired is tried again.
_RETRY_AFTER: Final = timedelta(minutes=10)

# Trades closed, and receipts assumed, in one sweep: the gateway is called for each, and the next sweep waits meanwhile.
_TRADES_AT_ONCE: Final = 200
_RECEIPTS_AT_ONCE: Final = 100
# Seconds for either, where the gateway answers slowly; time for the calls that it leaves unanswered is added.
_SECONDS_FOR_ANSWERS: Final = 30
# After so many calls without an answer the gateway counts as unavailable, and the sweep stops calling it.
_MAX_UNANSWERED: Final = 3
# The gateway accepts no money for a trade after its order's deadline. An order whose trade cannot be closed keeps its
# good off the market no longer than this; a payment that arrives all the same is refunded like any late payment.
_MAX_WAIT_FOR_GATEWAY: Final = timedelta(days=1)

_CLOSES_A_TRADE: Final = and_(
    Order.bill_status == BillStatus.UNPAID,
    exists().where(Payment.order_id == Order.id, Payment.state == PaymentState.OPEN.value).correlate(Order),
)

# Where receipt is assumed, which gives the seller the money: the gateway is asked first whether it is still there.
_ASSUMES_RECEIPT: Final = and_(Order.bill_status == BillStatus.PAID, Order.order_status == OrderStatus.SHIPPED)
_NEEDS_THE_GATEWAY: Final = or_(_CLOSES_A_TRADE, _ASSUMES_RECEIPT)

_NO_ORDERS_FAULT: Final = (OperationalError, InterfaceError, BaseTimeoutException)
"""Errors that end the sweep: the database's own, and that the job's time is over."""


def fire_due(*, limit: int, batch_size: int = BATCH) -> int:
    """Fire the due deadlines of at most `limit` orders, the longest overdue first; returns how many were fired.

    Two kinds come after all others, as the gateway is asked about each. Orders of which receipt is assumed: where it is
    silent they go on, as they do when a buyer confirms. Unpaid orders whose trade at the gateway is still open: it is
    closed first, and while the gateway is unavailable they wait, for a day at most. Where it answers slowly, the next
    sweep goes on with either.
    """
    fired = handled = 0
    while handled < limit:
        size = min(batch_size, limit - handled)
        found, succeeded = _fire_or_one_by_one(~_NEEDS_THE_GATEWAY, size)
        if found == 0:
            break
        handled += found
        fired += succeeded
    received = _receive_once_asked(limit - handled, batch_size)
    return fired + received + _expire_with_open_trades(limit - handled - received)


def _fire_or_one_by_one(which: ColumnElement[bool], size: int) -> tuple[int, int]:
    """Fire a batch of due orders, one by one where that fails; how many were found, and how many were fired."""
    try:
        found = _fire_batch(_due().where(which).limit(size))
    except Exception as error:  # an order whose step fails must not block the others, whatever is wrong with it
        if _ends_the_sweep(error):
            raise
        log.exception("deadline_batch_failed")
        return _fire_one_by_one(which, size)
    return found, found


def _ends_the_sweep(error: Exception) -> bool:
    """Whether an error is no order's fault.

    RQ raises the end of a job's time once, wherever the job is, and as an `Exception` (rq/rq#2296): nothing stops a job
    that goes on. What is raised while SQLAlchemy prepares a statement is the `orig` of a `StatementError`.
    """
    return isinstance(error, _NO_ORDERS_FAULT) or isinstance(getattr(error, "orig", None), BaseTimeoutException)


def _due() -> Select[Order, Good]:
    """Due orders with their goods, locked. Skips those of which either row is locked; the next sweep finds them."""
    return (
        select(Order, Good)
        .join(Good, Good.id == Order.good_id)
        .where(Order.deadline_at <= utcnow(), Order.held_at.is_(None))
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
        # Posted together, so that the whole batch locks its ledger accounts once, in their fixed order.
        post(session, postings, at=utcnow())
        return len(locked)


def _fire_one_by_one(which: ColumnElement[bool], size: int) -> tuple[int, int]:
    due = rows(
        select(Order.id)
        .where(Order.deadline_at <= utcnow(), Order.held_at.is_(None), which)
        .order_by(Order.deadline_at)
        .limit(size)
    )
    fired = 0
    for row in due:
        with _postponing_on_error(row.id):
            fired += _fire_batch(_due().where(Order.id == row.id, which))
    return len(due), fired


@contextmanager
def _postponing_on_error(order_id: int) -> Iterator[None]:
    """Log an error in the block, and postpone the deadline of the order that caused it."""
    try:
        yield
    except Exception as error:  # whatever is wrong with this order, it must not block the others
        if _ends_the_sweep(error):
            raise
        log.exception("deadline_failed", order_id=order_id)
        with transaction() as session:
            # Only if it is still overdue: a step made meanwhile has set a new deadline, which stays.
            overdue = update(Order).where(Order.id == order_id, Order.deadline_at <= utcnow())
            session.execute(overdue.values(deadline_at=utcnow() + _RETRY_AFTER, remind_at=None))


def _fire_one(session: Session, good: Good, order: Order) -> list[Posting]:
    """Fire the deadline of a locked order, if it is still due. The caller has to post the returned postings."""
    if order.deadline_at is None or order.deadline_at > utcnow():
        return []  # the system clock was set back since the order was found
    deadline = order_flow.deadline(order.phase, facts_of(order))
    if deadline is None:
        # The machine has no deadline here, so the column is wrong: clear it, or every sweep would find the order again.
        log.error("deadline_without_clock", order_id=order.id, phase=tuple(order.phase))
        order.deadline_at = order.remind_at = None
        return []
    _, postings = apply(session, good, order, OrderCommand(event=deadline.event, role=Role.SYSTEM))
    log.info("deadline_fired", order_id=order.id, what=deadline.event.value)
    return postings


def _receive_once_asked(limit: int, batch_size: int) -> int:
    """Fire receipt of shipped orders, each right after the gateway was asked about its money; returns how many."""
    due = rows(
        select(Order.id)
        .where(Order.deadline_at <= utcnow(), Order.held_at.is_(None), _ASSUMES_RECEIPT)
        .order_by(Order.deadline_at)
        .limit(max(min(limit, _RECEIPTS_AT_ONCE), 0))
    )
    order_ids = [row.id for row in due]
    received = asked = unanswered = 0
    ends_at = monotonic() + _calls_take_at_most()
    while asked < len(order_ids) and unanswered < _MAX_UNANSWERED:
        if monotonic() >= ends_at:
            return received
        order_id = order_ids[asked]
        asked += 1
        with _postponing_on_error(order_id):
            # What the gateway refunded without us is held then, and so not due any more.
            unanswered += not check_paid_trade(order_id=order_id)
            received += _fire_batch(_due().where(_ASSUMES_RECEIPT, Order.id == order_id))
    # The rest, where the gateway is silent.
    for at in range(asked, len(order_ids), batch_size):
        batch = order_ids[at : at + batch_size]
        received += _fire_or_one_by_one(and_(_ASSUMES_RECEIPT, Order.id.in_(batch)), len(batch))[1]
    return received


def _calls_take_at_most() -> int:
    """Seconds in which the gateway is called: enough to notice that it is silent, if it is."""
    return _SECONDS_FOR_ANSWERS + _MAX_UNANSWERED * settings().alipay_timeout


def _expire_with_open_trades(limit: int) -> int:
    due = rows(
        select(Order.id)
        .where(Order.deadline_at <= utcnow(), Order.held_at.is_(None), _CLOSES_A_TRADE)
        # In random order: sorted by deadline, trades the gateway does not answer about would come first every time.
        .order_by(func.random())
        .limit(max(min(limit, _TRADES_AT_ONCE), 0))
    )
    expired = unanswered = 0
    ends_at = monotonic() + _calls_take_at_most()
    for row in due:
        with _postponing_on_error(row.id):
            try:
                close_open_trade(order_id=row.id)
            except Refused as refusal:
                log.warning("expiry_waits_for_the_gateway", order_id=row.id, reason=refusal.answer.name)
                if not isinstance(refusal.__cause__, GatewayRefused):  # that one concerns this trade alone
                    unanswered += 1
            expired += _expire(row.id)
        if unanswered == _MAX_UNANSWERED or monotonic() >= ends_at:
            break
    return expired


def _expire(order_id: int) -> int:
    with transaction() as session:
        statement = (
            select(Order, Good)
            .join(Good, Good.id == Order.good_id)
            .where(
                Order.id == order_id,
                Order.deadline_at <= utcnow(),
                Order.held_at.is_(None),
                Order.bill_status == BillStatus.UNPAID,
            )
            .with_for_update(of=(Good, Order), skip_locked=True)
            .execution_options(populate_existing=True)
        )
        locked = session.execute(statement).one_or_none()
        if locked is None:  # locked by somebody else, or paid while the trade was being closed
            return 0
        order, good = locked
        if open_attempt(session, order_id) is not None:
            # The trade could not be closed, or the buyer has opened a new one: left to the next sweep.
            if order.deadline_at is None or order.deadline_at > utcnow() - _MAX_WAIT_FOR_GATEWAY:
                return 0
            log.error("expired_with_an_open_trade", order_id=order_id)
        post(session, _fire_one(session, good, order), at=utcnow())
        return 1
