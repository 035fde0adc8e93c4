"""Cases: what a person has to decide about money. Opened in the transaction of what finds them, closed by staff."""

from collections.abc import Mapping
from typing import Any, Final

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.clock import utcnow
from app.db.transactions import rows
from app.money.models import MoneyCase, MoneyCaseKind

log = structlog.get_logger(__name__)

SETTLED: Final = "settled"
"""The decision of a case that the gateway's last word closed."""

PAID_OTHERWISE: Final = "paid_otherwise"
"""The decision of staff that what the gateway has not given of a refund was paid otherwise."""

_TOTAL_WHEN_RELEASED: Final = "total_when_released"

_REASON_LENGTH: Final = 300


def open_case(
    session: Session,
    *,
    kind: MoneyCaseKind,
    key: str,
    reason: str,
    order_id: int | None = None,
    payment_id: int | None = None,
    refund_id: int | None = None,
    payout_id: int | None = None,
    details: dict[str, Any] | None = None,
    reopen: bool = False,
    renew: bool = False,
) -> bool:
    """Open a case, in the caller's transaction; True if it was not open before.

    One that was closed stays closed, unless `reopen`: its cause has come again. One that is open stays as it is, unless
    `reopen` or `renew`: then it gets this reason and these details, which are the latest.
    """
    now = utcnow()
    case: dict[str, Any] = {
        "kind": kind.value,
        "key": key,
        "reason": reason[:_REASON_LENGTH],
        "order_id": order_id,
        "payment_id": payment_id,
        "refund_id": refund_id,
        "payout_id": payout_id,
        "details": details or {},
        "opened_at": now,
    }
    statement = insert(MoneyCase).values(case)
    if reopen:
        again = {"reason": case["reason"], "details": case["details"], "opened_at": now}
        statement = statement.on_conflict_do_update(
            index_elements=[MoneyCase.key],
            set_={**again, "closed_at": None, "decision": None},
            where=MoneyCase.closed_at.is_not(None),
        )
    else:
        statement = statement.on_conflict_do_nothing(index_elements=[MoneyCase.key])
    case_id = session.execute(statement.returning(MoneyCase.id)).scalar_one_or_none()
    if case_id is None and (reopen or renew):
        session.execute(
            update(MoneyCase)
            .where(MoneyCase.key == key, MoneyCase.closed_at.is_(None))
            .values(reason=case["reason"], details=case["details"])
            .execution_options(synchronize_session=False)
        )
    if case_id is not None:
        log.warning("money_case_opened", case_id=case_id, kind=kind.value, order_id=order_id, payout_id=payout_id)
    return case_id is not None


def close_case(session: Session, key: str, *, decision: str) -> None:
    """Close the case with this key, if it is open, in the caller's transaction."""
    session.execute(
        update(MoneyCase)
        .where(MoneyCase.key == key, MoneyCase.closed_at.is_(None))
        .values(closed_at=utcnow(), decision=decision)
        .execution_options(synchronize_session=False)
    )


def note_release(case: MoneyCase, *, total: int) -> None:
    """Keep in a locked case about a hold what had gone back of the payment (fen) when its decision ended that."""
    case.details = {**case.details, _TOTAL_WHEN_RELEASED: total}


def total_when_held(details: Mapping[str, Any]) -> int:
    """What had gone back of the payment without us (fen) when the case with these `details` held its order.

    Of that moment, as who is told of a hold late, or again, is told the same.
    """
    return int(details["total"])


def total_when_released(details: Mapping[str, Any]) -> int:
    """As `total_when_held`, when the decision of this case let the order go on.

    It may be more: of several cases that held the order, the last one decided need not be the latest.
    """
    return int(details.get(_TOTAL_WHEN_RELEASED, details["total"]))


def open_cases() -> dict[str, int]:
    """How many cases of each kind are open; kinds without any are left out."""
    statement = (
        select(MoneyCase.kind, func.count().label("cases"))
        .where(MoneyCase.closed_at.is_(None))
        .group_by(MoneyCase.kind)
    )
    return {row.kind: row.cases for row in rows(statement)}


def payout_key(payout_id: int) -> str:
    """The key of the case about a withdrawal."""
    return f"payout:{payout_id}"


def refund_key(refund_id: int) -> str:
    """The key of the case about a refund."""
    return f"refund:{refund_id}"
