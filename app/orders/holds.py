"""Holding an order whose money moved at the gateway without us, and what staff then make of it.

While an order is held its deadlines stand still and nobody can make a step (`app.orders.transitions.apply`), but for
the gateway's report of its payment.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.clock import format_moment, utcnow
from app.goods.models import Good
from app.ledger.service import post
from app.money.cases import open_case
from app.money.models import MoneyCaseKind, Payment, Refund, RefundElsewhere, RefundState
from app.orders.models import Order, RefundRequest
from app.orders.transitions import OrderCommand, apply
from statemachine import OrderEvent, OrderPhase, Role, order_flow
from statemachine.order import PAID, RECEIVED, SHIPPED

REFUNDED_ELSEWHERE: Final = "平台核实:款项已在支付宝退回"
"""The reason of the refund request that a decision of staff makes in the buyer's name."""


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
    than that at least as much went back; it is never added to. Returns whether it is news. Our own refund is none.
    """
    refund = session.scalar(select(Refund).where(Refund.payment_id == payment.id))
    if refund is not None and request_no == refund.request_no:
        return False
    ours = 0
    if refund is not None and refund.state == RefundState.CONFIRMED.value and not refund.paid_otherwise:
        ours = refund.amount - payment.refunded_elsewhere
    before = payment.refunded_elsewhere
    known = 0 if total is None else total - ours
    if amount is not None:
        known = _with(session, payment, number=request_no or format_moment(at or utcnow()), amount=amount)
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
    }
    open_case(
        session,
        kind=MoneyCaseKind.REFUND_ELSEWHERE,
        key=f"refund_elsewhere:{payment.id}:{elsewhere}",
        reason=f"the gateway refunded {elsewhere} of {payment.amount} fen of {payment.out_trade_no} without us",
        order_id=order.id,
        payment_id=payment.id,
        details=details,
    )
    if refund is None and not order.closed and order.held_at is None:
        order.held_at = utcnow()
    return True


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


def may_count_as_refund(phase: OrderPhase) -> bool:
    """Whether `count_as_refund` can close an order at this phase: its seller has not been paid yet."""
    return phase in _ASKABLE or OrderEvent.RESOLVE_FOR_BUYER in order_flow.allowed(phase, Role.STAFF)


_ASKABLE: Final = (PAID, SHIPPED, RECEIVED)


def count_as_refund(session: Session, good: Good, order: Order, *, staff_id: int, reason: str) -> None:
    """Close a held, locked order as refunded: what went back counts, and the rest is refunded.

    Where nobody has asked for a refund, it is asked for in the buyer's name; the history says who did. Raises
    WRONG_STATE, for instance where the seller has the money already.
    """
    release_order(order)
    postings = []
    if order.phase in _ASKABLE:
        asking = OrderCommand(
            event=OrderEvent.REQUEST_REFUND, role=Role.BUYER, actor_id=staff_id, note=REFUNDED_ELSEWHERE
        )
        _, moved = apply(session, good, order, asking)
        postings += moved
        session.add(
            RefundRequest(order_id=order.id, reason=REFUNDED_ELSEWHERE, description="", created_at=order.updated_at)
        )
        session.flush()
    decision = OrderCommand(event=OrderEvent.RESOLVE_FOR_BUYER, role=Role.STAFF, actor_id=staff_id, note=reason)
    _, moved = apply(session, good, order, decision)
    post(session, [*postings, *moved], at=order.updated_at)
