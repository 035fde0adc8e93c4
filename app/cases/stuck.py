"""Cases about refunds and withdrawals that were given up before there were cases, so that staff see them, too."""

from datetime import datetime

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.money.cases import open_case, payout_key, refund_key
from app.money.models import MoneyCase, MoneyCaseKind, Payment, Refund, RefundState
from app.outbox.models import OutboxMessage, Topic
from app.wallet.models import Payout, PayoutState

_BATCH = 500
_NO_REASON = "given up without a reason on record"


def open_missing_cases(session: Session, *, died_before: datetime) -> int:
    """Open a case for each refused refund and pending payout whose message died before then and that has none.

    In the caller's transaction, with them locked before their cases, as everywhere; returns how many. At most 500 of
    each kind at a time, oldest first. One that has a case, though a closed one, keeps it.
    """
    opened = 0
    refunds = (
        select(Refund.id, Refund.request_no, Refund.amount, Refund.last_error, Refund.payment_id, Payment.order_id)
        .join(Payment, Payment.id == Refund.payment_id)
        .where(Refund.state == RefundState.REFUSED.value, *_is_stuck(Topic.PAYMENT_REFUND, Refund.id, died_before))
        .order_by(Refund.id)
        .limit(_BATCH)
        .with_for_update(of=Refund, skip_locked=True)
    )
    for refund in session.execute(refunds).all():
        opened += open_case(
            session,
            kind=MoneyCaseKind.REFUND,
            key=refund_key(refund.id),
            reason=refund.last_error or _NO_REASON,
            order_id=refund.order_id,
            payment_id=refund.payment_id,
            refund_id=refund.id,
            details={"request_no": refund.request_no, "amount": refund.amount},
        )
    payouts = (
        select(Payout.id, Payout.out_biz_no, Payout.amount, Payout.last_error, Payout.user_id)
        .where(Payout.state == PayoutState.PENDING.value, *_is_stuck(Topic.PAYOUT, Payout.id, died_before))
        .order_by(Payout.id)
        .limit(_BATCH)
        .with_for_update(of=Payout, skip_locked=True)
    )
    for payout in session.execute(payouts).all():
        opened += open_case(
            session,
            kind=MoneyCaseKind.PAYOUT,
            key=payout_key(payout.id),
            reason=payout.last_error or _NO_REASON,
            payout_id=payout.id,
            details={"payout_no": payout.out_biz_no, "amount": payout.amount, "user_id": payout.user_id},
        )
    return opened


def _is_stuck(topic: Topic, subject: InstrumentedAttribute[int], died_before: datetime) -> list[ColumnElement[bool]]:
    is_dead = exists().where(
        OutboxMessage.topic == topic.value, OutboxMessage.subject_id == subject, OutboxMessage.dead_at < died_before
    )
    case_about = {Topic.PAYMENT_REFUND: MoneyCase.refund_id, Topic.PAYOUT: MoneyCase.payout_id}[topic]
    return [is_dead, ~exists().where(case_about == subject)]
