"""Reads of cases about money. Every read is logged with its reader (event `staff_read`)."""

from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, func, select

from app.accounts.staff_reads import record_staff_read
from app.answers import Answer, Refused
from app.cases.decisions import CASE_TEXT, DECISIONS, CaseDecision
from app.cases.schemas import MoneyCaseOut, MoneyCaseQuery
from app.clock import format_moment, format_moment_or_none
from app.db.transactions import reading, row_or_none
from app.money.models import MoneyCase, MoneyCaseKind, Payment
from app.orders.holds import may_count_as_refund
from app.orders.models import Order
from app.orders.queries import phase_of

_CASES: Final[Select[Any]] = (
    select(
        *MoneyCase.__table__.columns,
        *(Order.bill_status, Order.order_status, Order.closed, Order.held_at),
        *(Order.amount, Payment.refunded_elsewhere),
    )
    .outerjoin(Order, Order.id == MoneyCase.order_id)
    .outerjoin(Payment, Payment.id == MoneyCase.payment_id)
)


def list_money_cases(*, actor_id: int, query: MoneyCaseQuery) -> tuple[list[MoneyCaseOut], int]:
    """One page of the cases, those that wait oldest first, closed ones newest first, and the total."""
    is_open = query.state == "open"
    conditions: list[ColumnElement[bool]] = [
        MoneyCase.closed_at.is_(None) if is_open else MoneyCase.closed_at.is_not(None),
    ]
    if query.kind is not None:
        conditions.append(MoneyCase.kind == query.kind)
    page = _CASES.where(*conditions).order_by(MoneyCase.id if is_open else MoneyCase.id.desc())
    with reading() as connection:
        total = connection.execute(select(func.count()).select_from(MoneyCase).where(*conditions)).scalar_one()
        found = connection.execute(page.limit(query.size).offset(query.offset)).all()
    record_staff_read(actor_id, subject="money_case", subject_ids=[each.id for each in found])
    return [_money_case_out(each) for each in found], total


def money_case_of(*, actor_id: int, case_id: int) -> MoneyCaseOut:
    """One case. Raises NO_SUCH_MONEY_CASE."""
    row = row_or_none(_CASES.where(MoneyCase.id == case_id))
    if row is None:
        raise Refused(Answer.NO_SUCH_MONEY_CASE)
    record_staff_read(actor_id, subject="money_case", subject_ids=[case_id])
    return _money_case_out(row)


def _money_case_out(row: Row[Any]) -> MoneyCaseOut:
    kind = MoneyCaseKind(row.kind)
    return {
        "id": row.id,
        "kind": row.kind,
        "kind_text": CASE_TEXT[kind],
        "reason": row.reason,
        "order_id": row.order_id,
        "payment_id": row.payment_id,
        "refund_id": row.refund_id,
        "payout_id": row.payout_id,
        "details": row.details,
        "decisions": [each.value for each in DECISIONS[kind] if _can_be_decided(row, each)],
        "decision": row.decision,
        "opened_at": format_moment(row.opened_at),
        "closed_at": format_moment_or_none(row.closed_at),
    }


def _can_be_decided(row: Row[Any], decision: CaseDecision) -> bool:
    if row.closed_at is not None:
        return False
    return decision is not CaseDecision.COUNT_AS_REFUND or may_count_as_refund(
        phase=phase_of(row),
        amount=row.amount,
        refunded_elsewhere=row.refunded_elsewhere,
        held=row.held_at is not None,
    )
