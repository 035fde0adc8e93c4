"""What the URLs of cases take and give."""

from typing import Annotated, Any, Literal

from typing_extensions import TypedDict

from app.cases.decisions import CASE_TEXT, DECISION_TEXT, CaseDecision
from app.clock import MomentOut
from app.enums import OneOf
from app.money.models import MoneyCaseKind
from app.paging import PageQuery
from app.staff.schemas import DecisionIn


class MoneyCaseQuery(PageQuery):
    """Which cases: those that wait for staff, or those that were closed."""

    state: Literal["open", "closed"] = "open"
    kind: Literal["payout", "refund", "second_payment", "refund_elsewhere", "bill"] | None = None


class MoneyDecisionIn(DecisionIn):
    """What is decided about a case, and why."""

    decision: Literal["retry", "mark_paid", "paid_otherwise", "credit_back", "count_as_refund", "continue", "dismiss"]


class MoneyCaseOut(TypedDict):
    """What staff have to see to about money. `details` are of the cause; amounts in them are fen.

    `decisions` are what can be decided; `decision` is what was, or `settled`: the gateway's last word came.
    """

    id: int
    kind: Annotated[str, OneOf(MoneyCaseKind, CASE_TEXT)]
    kind_text: str
    reason: str
    order_id: int | None
    payment_id: int | None
    refund_id: int | None
    payout_id: int | None
    details: dict[str, Any]
    decisions: list[Annotated[str, OneOf(CaseDecision, DECISION_TEXT)]]
    decision: str | None
    opened_at: MomentOut
    closed_at: MomentOut | None
