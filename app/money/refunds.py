"""Refunds: created by an order's step, sent to the gateway by a job, posted to the ledger once confirmed.

What the gateway's codes mean is a table, `app.money.gateways.alipay_codes`. A refund that it refuses, or does not
confirm within a day, is also a case for staff (`app.money.cases`); we owe it until it is confirmed.
"""

from datetime import timedelta
from typing import Final

from sqlalchemy import bindparam, exists, insert, select
from sqlalchemy.orm import Session

from app.clock import utcnow
from app.db.columns import Base
from app.db.transactions import transaction
from app.ledger.models import AccountKind
from app.ledger.service import Posting, Transfer, order_account, post
from app.money.cases import SETTLED, close_case, open_case, refund_key
from app.money.gateway import gateway
from app.money.gateways.base import GatewayRefused, GatewayUnavailable, Verdict
from app.money.models import PAID_LATE, MoneyCaseKind, Payment, PaymentState, Refund, RefundState
from app.outbox.models import Topic
from app.outbox.service import PermanentFailure, add_message, revive
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

_CASE_AFTER: Final = timedelta(hours=24)
"""How long a refund is asked for before staff are told."""


class RefundNotDecidable(Exception):  # noqa: N818 - says what happened
    """What staff want to do about a refund cannot be done; the text, in Chinese, says why."""


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

    Raises GatewayUnavailable (the outbox retries) or PermanentFailure (sending it again cannot help); the refund's row
    records either. What went back to the payer without us, at the gateway's console, is not sent again.
    """
    with transaction() as session:
        refund = session.get(Refund, refund_id, with_for_update=True)
        if refund is None or refund.state == RefundState.CONFIRMED:
            return
        payment = session.get_one(Payment, refund.payment_id)
        refund.attempts += 1
        amount = refund.amount - payment.refunded_elsewhere
        out_trade_no, request_no, reason = payment.out_trade_no, refund.request_no, _reason_text(refund.reason)
    if amount > 0:
        try:
            gateway().refund(out_trade_no=out_trade_no, amount_fen=amount, out_request_no=request_no, reason=reason)
        except GatewayUnavailable as error:
            _record_failure(refund_id, verdict=error.verdict, error=str(error))
            raise
        except GatewayRefused as refusal:
            _record_failure(refund_id, verdict=refusal.verdict, error=str(refusal))
            if refusal.verdict is Verdict.STOP:
                raise PermanentFailure(str(refusal)) from refusal
            raise GatewayUnavailable(str(refusal), verdict=refusal.verdict) from refusal
    _confirm(refund_id)


def retry_refund(*, refund_id: int) -> None:
    """Let the outbox ask the gateway again, now. Raises RefundNotDecidable for one that is confirmed."""
    with transaction() as session:
        refund = _unconfirmed(session, refund_id)
        if not revive(session, Topic.PAYMENT_REFUND, refund.id):
            add_message(session, Topic.PAYMENT_REFUND, refund.id, stream=f"payment:{refund.payment_id}")


def mark_refund_paid(*, refund_id: int) -> None:
    """Record a refund as paid, because staff paid it otherwise (线下退款), or saw it paid.

    Raises RefundNotDecidable for one that is confirmed, and for one that the gateway has not refused: it may still be
    paid there, and then the payer would have it twice.
    """
    with transaction() as session:
        if _unconfirmed(session, refund_id).state != RefundState.REFUSED.value:
            raise RefundNotDecidable("支付宝尚未拒绝这笔退款,仍可能退回给买家")
    _confirm(refund_id)


def _unconfirmed(session: Session, refund_id: int) -> Refund:
    refund = session.get_one(Refund, refund_id, with_for_update=True)
    if refund.state == RefundState.CONFIRMED.value:
        raise RefundNotDecidable("这笔退款已经完成")
    return refund


def _reason_text(reason: str) -> str:
    """The reason as the payer reads it at the gateway."""
    return "订单已关闭或已支付" if reason == PAID_LATE else ORDER.events[OrderEvent(reason)].zh


def _record_failure(refund_id: int, *, verdict: Verdict, error: str) -> None:
    """Record an answer that does not confirm the refund; with a case where a person is needed, or a day has passed."""
    state = RefundState.REFUSED if verdict is Verdict.STOP else RefundState.PENDING
    with transaction() as session:
        refund = session.get_one(Refund, refund_id, with_for_update=True)
        # A confirmed refund stays confirmed, even if a second job at the same time failed.
        if refund.state == RefundState.CONFIRMED:
            return
        refund.state = state.value
        refund.last_error = error[:200]
        if verdict in (Verdict.PERSON, Verdict.STOP) or utcnow() >= refund.created_at + _CASE_AFTER:
            open_case(
                session,
                kind=MoneyCaseKind.REFUND,
                key=refund_key(refund_id),
                reason=refund.last_error,
                order_id=session.get_one(Payment, refund.payment_id).order_id,
                payment_id=refund.payment_id,
                refund_id=refund_id,
                details={"request_no": refund.request_no, "amount": refund.amount},
                reopen=True,
            )


def _confirm(refund_id: int) -> None:
    with transaction() as session:
        refund = session.get_one(Refund, refund_id, with_for_update=True)
        if refund.state == RefundState.CONFIRMED:
            return
        refund.state = RefundState.CONFIRMED.value
        refund.last_error = None
        refund.confirmed_at = utcnow()
        order_id = session.get_one(Payment, refund.payment_id).order_id
        close_case(session, refund_key(refund_id), decision=SETTLED)
        add_message(session, Topic.REFUND_CONFIRMED, refund_id)
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
