"""Holding an order whose money moved at the gateway without us, and what staff then make of it.

While an order is held its deadlines stand still and nobody can make a step (`app.orders.transitions.apply`), but for
the gateway's report of its payment and what staff then decide. Both sides are told when it begins and when it ends.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.clock import format_moment, format_moment_or_none, utcnow
from app.goods.models import Good
from app.money.cases import open_case
from app.money.models import MoneyCase, MoneyCaseKind, Payment, PaymentState, Refund, RefundElsewhere, RefundState
from app.money.refunds import note_made_after_all, revive_request
from app.orders.models import Order
from app.orders.transitions import OrderCommand, fire
from app.outbox.models import Topic
from app.outbox.service import add_message
from statemachine import OrderEvent, OrderPhase, Role, order_flow


def note_refund_elsewhere(
    session: Session,
    order: Order,
    payment: Payment,
    *,
    request_no: str | None,
    amount: int | None,
    total: int | None,
    at: datetime | None = None,
) -> bool:
    """Record that money of a payment went back to the payer by a refund that is not ours, and hold its order.

    Order and payment are locked. Known is either `amount`, of this refund, made `at` (from a bill), or `total`, of all
    refunds so far (from a notification). Notifications may be lost and overtake each other, so a total says no more
    than that at least as much went back; it is never added to. Returns whether it is news. Our own refund is none; one
    that the gateway refused is asked for again, as it may have been more than was left, and one that staff had paid
    otherwise is a case of its own.
    """
    refund = session.scalar(
        select(Refund).where(Refund.payment_id == payment.id).execution_options(populate_existing=True)
    )
    if refund is not None and request_no == refund.request_no:
        note_made_after_all(session, refund, order_id=order.id)
        return False
    ours = 0
    if refund is not None and refund.state == RefundState.CONFIRMED.value and not refund.paid_otherwise:
        ours = refund.amount - payment.refunded_elsewhere
    before = payment.refunded_elsewhere
    known = 0 if total is None else total - ours
    if amount is not None:
        known = _with(session, payment, number=request_no or stand_in_number(at or utcnow(), amount), amount=amount)
    elsewhere = min(known, payment.amount - ours)
    if elsewhere <= before:
        return False
    payment.refunded_elsewhere = elsewhere
    details: dict[str, Any] = {
        "out_trade_no": payment.out_trade_no,
        "trade_no": payment.trade_no,
        "request_no": request_no,
        "amount": elsewhere - before,
        "total": elsewhere,
        "of": payment.amount,
        "at": format_moment_or_none(at),
    }
    key = f"refund_elsewhere:{payment.id}:{elsewhere}"
    open_case(
        session,
        kind=MoneyCaseKind.REFUND_ELSEWHERE,
        key=key,
        reason=f"the gateway refunded {elsewhere} of {payment.amount} fen of {payment.out_trade_no} without us",
        order_id=order.id,
        payment_id=payment.id,
        details=details,
    )
    if refund is None and not order.closed and order.held_at is None:
        order.held_at = utcnow()
        case_id = session.scalars(select(MoneyCase.id).where(MoneyCase.key == key)).one()
        add_message(session, Topic.ORDER_HELD, case_id, stream=f"order:{order.id}")
    elif refund is not None and refund.state == RefundState.REFUSED.value:
        revive_request(session, refund)
    return True


def stand_in_number(at: datetime, amount: int) -> str:
    """What stands for the number of a refund that has none: two in the same second differ by their amounts (fen)."""
    return f"{format_moment(at)} {amount}"


def _with(session: Session, payment: Payment, *, number: str, amount: int) -> int:
    """Record one refund of a locked payment, once per number; the sum of all that were recorded."""
    row = {"payment_id": payment.id, "number": number, "amount": amount, "created_at": utcnow()}
    session.execute(insert(RefundElsewhere).values(row).on_conflict_do_nothing())
    recorded = select(func.sum(RefundElsewhere.amount)).where(RefundElsewhere.payment_id == payment.id)
    return int(session.scalar(recorded) or 0)


def release_order(order: Order) -> None:
    """Let a held, locked order go on; its deadline moves by as long as it was held."""
    if order.held_at is None:
        return
    held = utcnow() - order.held_at
    order.held_at = None
    if order.deadline_at is not None:
        order.deadline_at += held
    if order.remind_at is not None:
        order.remind_at += held


def may_count_as_refund(*, phase: OrderPhase, amount: int, refunded_elsewhere: int, held: bool) -> bool:
    """Whether `count_as_refund` can close an order of this amount (fen): all of it went back, and it is held for that.

    Not where the seller has been paid already. Of a partial refund the rest is still the order's: it goes on, and a
    refund that somebody asks for pays the rest.
    """
    return (
        held
        and refunded_elsewhere >= amount
        and OrderEvent.CONFIRM_EXTERNAL_REFUND in order_flow.allowed(phase, Role.STAFF)
    )


def count_as_refund(session: Session, good: Good, order: Order, *, staff_id: int, reason: str) -> None:
    """Close a held, locked order as refunded: all of its money went back at the gateway, and counts as our refund.

    Raises WRONG_STATE where not all of it went back, where the order is not held for that, and where the seller has
    the money already.
    """
    refunded_elsewhere = session.scalar(_REFUNDED_ELSEWHERE, {"order_id": order.id}) or 0
    confirmed = may_count_as_refund(
        phase=order.phase,
        amount=order.amount,
        refunded_elsewhere=refunded_elsewhere,
        held=order.held_at is not None,
    )
    command = OrderCommand(
        event=OrderEvent.CONFIRM_EXTERNAL_REFUND,
        role=Role.STAFF,
        actor_id=staff_id,
        note=reason,
        refunded_elsewhere=confirmed,
    )
    fire(session, good, order, command)
    release_order(order)


# Of the payment that funded the order; a late one has a refund of its own.
_REFUNDED_ELSEWHERE: Final = select(func.max(Payment.refunded_elsewhere)).where(
    Payment.order_id == bindparam("order_id"),
    Payment.state == PaymentState.PAID.value,
    ~exists().where(Refund.payment_id == Payment.id),
)
