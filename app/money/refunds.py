"""Refunds: created by an order's step, sent to the gateway by a job, posted to the ledger once confirmed."""

from typing import Final

from sqlalchemy import bindparam, exists, insert, select
from sqlalchemy.orm import Session

from app.clock import utcnow
from app.db.columns import Base
from app.db.transactions import transaction
from app.ledger.models import AccountKind
from app.ledger.service import Posting, Transfer, order_account, post
from app.money.gateway import gateway
from app.money.gateways.base import GatewayRefused, GatewayUnavailable
from app.money.models import PAID_LATE, Payment, PaymentState, Refund, RefundState
from app.outbox.models import Topic
from app.outbox.service import PermanentFailure, add_message
from statemachine import ORDER, OrderEvent

# Built once, because every refund of a sweep needs them.
_PAYMENT_TO_REFUND: Final = select(Payment).where(
    Payment.order_id == bindparam("order_id"),
    Payment.state == PaymentState.PAID.value,
    # Late payments of the same order already have a refund.
    ~exists().where(Refund.payment_id == Payment.id),
)
_REFUNDS: Final = Base.metadata.tables[Refund.__tablename__]
_INSERT: Final = insert(_REFUNDS).returning(_REFUNDS.c.id)


def create_refund(session: Session, *, order_id: int, reason: str) -> None:
    """Create the refund of the payment that funded the order, in the caller's transaction; a job sends it afterwards.

    `reason` is the order's event that causes the refund.
    """
    payment = session.scalars(_PAYMENT_TO_REFUND, {"order_id": order_id}).one()
    create_refund_of(session, payment, reason=reason)


def create_refund_of(session: Session, payment: Payment, *, reason: str) -> None:
    """Create the refund of the whole of `payment`. Once per payment: the database refuses a second one."""
    refund = {
        "payment_id": payment.id,
        "request_no": f"{payment.out_trade_no}_R1",
        "amount": payment.amount,
        "reason": reason,
        "state": RefundState.PENDING.value,
        "attempts": 0,
        "created_at": utcnow(),
    }
    refund_id = session.execute(_INSERT, refund).scalar_one()
    add_message(session, Topic.PAYMENT_REFUND, refund_id, stream=f"payment:{payment.id}")


def send_refund(*, refund_id: int) -> None:
    """Ask the gateway to pay a refund, and post it to the ledger once confirmed. Safe to repeat after a crash anywhere.

    Raises GatewayUnavailable (the outbox retries) or PermanentFailure (an operator has to look); the refund's row
    records either.
    """
    with transaction() as session:
        refund = session.get(Refund, refund_id, with_for_update=True)
        if refund is None or refund.state == RefundState.CONFIRMED:
            return
        payment = session.get_one(Payment, refund.payment_id)
        refund.attempts += 1
        request = (payment.out_trade_no, refund.amount, refund.request_no, _reason_text(refund.reason))
    out_trade_no, amount, request_no, reason = request
    try:
        gateway().refund(out_trade_no=out_trade_no, amount_fen=amount, out_request_no=request_no, reason=reason)
    except GatewayUnavailable as error:
        _record_failure(refund_id, state=RefundState.PENDING, error=str(error))
        raise
    except GatewayRefused as error:
        _record_failure(refund_id, state=RefundState.REFUSED, error=str(error))
        raise PermanentFailure(str(error)) from error
    _confirm(refund_id)


def _reason_text(reason: str) -> str:
    """The reason as the payer reads it at the gateway."""
    return "订单已关闭或已支付" if reason == PAID_LATE else ORDER.events[OrderEvent(reason)].zh


def _record_failure(refund_id: int, *, state: RefundState, error: str) -> None:
    with transaction() as session:
        refund = session.get_one(Refund, refund_id, with_for_update=True)
        # A confirmed refund stays confirmed, even if a second job at the same time failed.
        if refund.state == RefundState.CONFIRMED:
            return
        refund.state = state.value
        refund.last_error = error[:200]


def _confirm(refund_id: int) -> None:
    with transaction() as session:
        refund = session.get_one(Refund, refund_id, with_for_update=True)
        if refund.state == RefundState.CONFIRMED:
            return
        refund.state = RefundState.CONFIRMED.value
        refund.last_error = None
        refund.confirmed_at = utcnow()
        order_id = session.get_one(Payment, refund.payment_id).order_id
        session.flush()
        post(
            session,
            [
                Posting(
                    key=f"refund:{refund.id}",
                    kind="refund_confirmed",
                    order_id=order_id,
                    transfers=(
                        Transfer(
                            order_account(AccountKind.REFUND_CLEARING, order_id),
                            order_account(AccountKind.GATEWAY_CLEARING, order_id),
                            refund.amount,
                        ),
                    ),
                )
            ],
            at=refund.confirmed_at,
        )
