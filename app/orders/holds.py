"""Holding an order whose money moved at the gateway without us, and what staff then make of it.

While an order is held its deadlines stand still and nobody can make a step (`app.orders.transitions.apply`), but for
the gateway's report of its payment.
"""

from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.clock import utcnow
from app.goods.models import Good
from app.ledger.service import post
from app.money.cases import open_case
from app.money.models import MoneyCase, MoneyCaseKind, Payment, Refund, RefundState
from app.orders.models import Order, RefundRequest
from app.orders.transitions import OrderCommand, apply
from statemachine import OrderEvent, OrderPhase, Role, order_flow
from statemachine.order import PAID, RECEIVED, SHIPPED

REFUNDED_ELSEWHERE: Final = "平台核实:款项已在支付宝退回"
"""The reason of the refund request that a decision of staff makes in the buyer's name."""


def note_refund_elsewhere(
    session: Session, order: Order, payment: Payment, *, request_no: str | None, amount: int | None, total: int | None
) -> bool:
    """Record that money of a payment went back to the payer by a refund that is not ours, and hold its order.

    Order and payment are locked. `amount` is this refund's, `total` that of all refunds so far; one of the two is
    known. Returns whether it is news. Our own refund is none, and what was noted before is no news.
    """
    refund = session.scalar(select(Refund).where(Refund.payment_id == payment.id))
    if refund is not None and request_no == refund.request_no:
        return False
    ours = 0
    if refund is not None and refund.state == RefundState.CONFIRMED.value:
        ours = refund.amount - payment.refunded_elsewhere
    before = payment.refunded_elsewhere
    if total is not None:
        elsewhere = total - ours
    elif amount is not None and not _is_noted(session, payment.id, request_no, amount):
        elsewhere = before + amount
    else:
        return False
    elsewhere = min(elsewhere, payment.amount - ours)
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


def _is_noted(session: Session, payment_id: int, request_no: str | None, amount: int) -> bool:
    """Whether a case tells of this refund already; without a number by its amount."""
    told = session.scalars(
        select(MoneyCase.details).where(
            MoneyCase.payment_id == payment_id, MoneyCase.kind == MoneyCaseKind.REFUND_ELSEWHERE.value
        )
    )
    return any(
        each["request_no"] == request_no if request_no and each["request_no"] else each["amount"] == amount
        for each in told
    )


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
