"""Staff decide cases about money: what the gateway does not decide, or did without us. Each decision is recorded."""

from typing import Final

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.answers import Answer, Refused
from app.cases.decisions import DECISION_TEXT, DECISIONS, CaseDecision
from app.clock import utcnow
from app.db.transactions import independent_transaction, transaction
from app.goods.models import Good
from app.money.cases import note_release
from app.money.models import MoneyCase, MoneyCaseKind, Payment, Refund
from app.money.refunds import (
    RefundAnswer,
    RefundNotDecidable,
    ask_about_refund,
    check_refund_ended,
    mark_refund_paid,
    mark_rest_paid,
    retry_refund,
)
from app.orders.holds import count_as_refund, release_order
from app.orders.models import Order
from app.orders.transitions import lock_order
from app.outbox.models import Topic
from app.outbox.service import add_message
from app.staff.models import ActionKind, Subject
from app.staff.service import check_staff, record_action
from app.staff_roles import Permission
from app.wallet.models import Payout
from app.wallet.service import (
    PayoutAnswer,
    PayoutNotDecidable,
    ask_about_payout,
    check_payout_ended,
    credit_payout_back,
    mark_payout_paid,
    retry_payout,
)

log = structlog.get_logger(__name__)

_ASKED_FIRST: Final = frozenset({CaseDecision.MARK_PAID, CaseDecision.PAID_OTHERWISE, CaseDecision.CREDIT_BACK})
"""What is decided about a withdrawal or refund only after the gateway was asked."""


def decide_money_case(*, actor_id: int, case_id: int, decision: CaseDecision, reason: str) -> None:
    """Decide an open case. A retried payout or refund leaves its case open until the gateway has said its last word.

    Raises FORBIDDEN for an actor who is not staff or is concerned himself, NO_SUCH_MONEY_CASE, WRONG_STATE where the
    order does not allow it, MONEY_CASE_REFUSED with the reasons where it is closed, or cannot be decided so (now).
    """
    answer = None
    if decision in _ASKED_FIRST:
        # No lock is held while the gateway is asked, not even by a transaction around this one (of an idempotency key).
        # So all is checked again afterwards.
        with independent_transaction():
            with transaction() as session:
                case = _lock_decidable_case(session, actor_id, case_id, decision)
                payout_id, refund_id = case.payout_id, case.refund_id
            answer = _ask_gateway(payout_id, refund_id)
    with transaction() as session:
        case = _lock_decidable_case(session, actor_id, case_id, decision)
        try:
            _carry_out(session, case, decision, answer, actor_id=actor_id, reason=reason)
        except (PayoutNotDecidable, RefundNotDecidable) as error:
            raise _refused(str(error)) from None
        if decision is not CaseDecision.RETRY:
            # The services above close it as settled.
            case.closed_at, case.decision = utcnow(), decision.value
        record_action(
            session,
            ActionKind.DECIDE_MONEY_CASE,
            actor_id=actor_id,
            subject=Subject.MONEY_CASE,
            subject_id=case_id,
            reason=reason,
            details={"kind": case.kind, "key": case.key, "decision": decision.value, **case.details},
        )
    log.info("money_case_decided", actor_id=actor_id, case_id=case_id, decision=decision.value)


def _ask_gateway(payout_id: int | None, refund_id: int | None) -> PayoutAnswer | RefundAnswer | None:
    try:
        if payout_id is not None:
            return ask_about_payout(payout_id=payout_id)
        return None if refund_id is None else ask_about_refund(refund_id=refund_id)
    except (PayoutNotDecidable, RefundNotDecidable) as error:
        raise _refused(str(error)) from None


def _lock_decidable_case(session: Session, actor_id: int, case_id: int, decision: CaseDecision) -> MoneyCase:
    case = _lock_case(session, actor_id, case_id)
    if decision not in DECISIONS[MoneyCaseKind(case.kind)]:
        raise _refused(f"这类待办不能“{DECISION_TEXT[decision]}”")
    return case


def _lock_case(session: Session, actor_id: int, case_id: int) -> MoneyCase:
    check_staff(session, actor_id, Permission.CASES)
    case = session.get(MoneyCase, case_id)
    if case is None:
        raise Refused(Answer.NO_SUCH_MONEY_CASE)
    order = None
    if case.refund_id is not None:
        # A job locks a refund before its case, and then its order, by what it inserts.
        session.get_one(Refund, case.refund_id, with_for_update=True)
        order = session.get(Order, case.order_id)
    elif case.order_id is not None:
        # The good and the order are locked first, as everywhere.
        _, order = lock_order(session, case.order_id)
    if order is not None and actor_id in (order.buyer_id, order.seller_id):
        raise Refused(Answer.FORBIDDEN)
    payout = None if case.payout_id is None else session.get_one(Payout, case.payout_id, with_for_update=True)
    if payout is not None and payout.user_id == actor_id:
        raise Refused(Answer.FORBIDDEN)
    session.refresh(case, with_for_update=True)
    if case.closed_at is not None:
        raise _refused("这件待办已经处理过了")
    return case


def _carry_out(
    session: Session,
    case: MoneyCase,
    decision: CaseDecision,
    answer: PayoutAnswer | RefundAnswer | None,
    *,
    actor_id: int,
    reason: str,
) -> None:
    if case.payout_id is not None:
        if isinstance(answer, PayoutAnswer):
            settle = mark_payout_paid if decision is CaseDecision.MARK_PAID else credit_payout_back
            settle(payout_id=case.payout_id, answer=answer)
        else:
            act = retry_payout if decision is CaseDecision.RETRY else check_payout_ended
            act(payout_id=case.payout_id)
    elif case.refund_id is not None:
        if isinstance(answer, RefundAnswer):
            record = mark_rest_paid if decision is CaseDecision.PAID_OTHERWISE else mark_refund_paid
            record(refund_id=case.refund_id, answer=answer)
        else:
            (retry_refund if decision is CaseDecision.RETRY else check_refund_ended)(refund_id=case.refund_id)
    elif case.kind == MoneyCaseKind.REFUND_ELSEWHERE:
        assert case.order_id is not None  # noqa: S101 - every such case is about an order's payment
        good, order = lock_order(session, case.order_id)
        _decide_hold(session, good, order, case, decision, actor_id=actor_id, reason=reason)


def _decide_hold(
    session: Session, good: Good, order: Order, case: MoneyCase, decision: CaseDecision, *, actor_id: int, reason: str
) -> None:
    if decision is CaseDecision.COUNT_AS_REFUND:
        count_as_refund(session, good, order, staff_id=actor_id, reason=reason)
        return
    was_held = order.held_at is not None
    if _others_hold(session, case):
        return
    release_order(order)
    if was_held:
        went_back = select(Payment.refunded_elsewhere).where(Payment.id == case.payment_id)
        note_release(case, total=session.scalars(went_back).one())
        add_message(session, Topic.ORDER_RELEASED, case.id, stream=f"order:{order.id}")


def _others_hold(session: Session, case: MoneyCase) -> bool:
    """Whether another open case holds the same order."""
    other = select(MoneyCase.id).where(
        MoneyCase.order_id == case.order_id,
        MoneyCase.kind == MoneyCaseKind.REFUND_ELSEWHERE.value,
        MoneyCase.closed_at.is_(None),
        MoneyCase.id != case.id,
    )
    return session.scalar(other.limit(1)) is not None


def _refused(reason: str) -> Refused:
    return Refused(Answer.MONEY_CASE_REFUSED, data={"reasons": [reason]})
