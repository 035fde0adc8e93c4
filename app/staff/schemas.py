"""What the staff's URLs take and give."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from typing_extensions import TypedDict

from app.accounts.schemas import PersonOut, SuspensionOut
from app.clock import MomentOut, utcnow
from app.enums import OneOf, text_enum
from app.fen import SignedYuanOut, YuanOut
from app.fields import CleanText, Compact, IdIn
from app.goods.models import TakedownCause
from app.goods.schemas import GoodOut
from app.ledger.models import AccountKind
from app.money.models import PAID_LATE, PaymentState, RefundState
from app.orders.schemas import (
    DisputeOut,
    OrderDetailOut,
    OrderOut,
    OrderQuery,
    PartyOut,
    PaymentStateOut,
    RefundRequestOut,
    RefundStateOut,
)
from app.paging import PageQuery
from app.staff.models import ActionKind, Subject
from app.staff.texts import ACCOUNT_TEXT, ACTION_TEXT, POSTING_TEXT
from statemachine import ORDER, Pot

PostingKind = text_enum(
    "PostingKind", POSTING_TEXT, about="What moved money: an order's event, a refund, a withdrawal."
)
RefundReason = text_enum(
    "RefundReason",
    [
        *dict.fromkeys(rule.event for rule in ORDER.rules if any(move.target == Pot.GATEWAY for move in rule.moves)),
        PAID_LATE,
    ],
    about="Why money goes back to the payer: an order's event, or a payment that came too late.",
)

AccountKindOut = Annotated[str, OneOf(AccountKind, ACCOUNT_TEXT)]


ReasonIn = Annotated[str, CleanText(1, 500, multiline=True)]
"""Why staff do something; both sides of an order read it."""


class ResetCodeIn(BaseModel):
    """Why staff issue a code."""

    model_config = ConfigDict(frozen=True)

    reason: ReasonIn


class ResetCodeOut(TypedDict):
    """A one-time code for `POST /api/password/reset/`."""

    code: str
    expires_at: MomentOut


_YEARS: Final = range(2000, 2200)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def _parse_day(value: object) -> date:
    # Pydantic by itself also takes seconds since 1970 for a day.
    if not (isinstance(value, str) and _DAY.fullmatch(value)):
        raise ValueError("须为 YYYY-MM-DD")
    try:
        day = date.fromisoformat(value)
    except ValueError:
        raise ValueError("没有这一天") from None
    # At the ends of the calendar there is no day before or after to count with.
    if day.year not in _YEARS:
        raise ValueError(f"须在 {_YEARS[0]} 至 {_YEARS[-1]} 年之间")
    return day


DayIn = Annotated[date, BeforeValidator(_parse_day)]
"""A day in Shanghai."""


class DecisionIn(BaseModel):
    """A decision's reason."""

    model_config = ConfigDict(frozen=True)

    reason: ReasonIn


def _parse_moment(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError("须为带时区的时间,如 2026-11-22T20:15:00+08:00")
    if not utcnow() < moment < _LATEST:
        raise ValueError("须晚于现在,且不晚于 2199 年")
    return moment


_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)

FutureMomentIn = Annotated[
    datetime, BeforeValidator(_parse_moment), WithJsonSchema({"type": "string", "format": "date-time"})
]
"""A moment to come, with its offset from UTC."""


class SuspendIn(DecisionIn):
    """Why a user is suspended, which they read at the login, and until when; without `until` for good."""

    until: FutureMomentIn | None = None


class UserQuery(PageQuery):
    """Which users: one by name, those who are suspended or not."""

    username: Annotated[str, CleanText(1, 40)] | None = None
    suspended: bool | None = None


class DisputeQuery(PageQuery):
    """Which disputes: those that wait for staff, or those that ended."""

    state: Literal["open", "ended"] = "open"


class StaffOrderQuery(OrderQuery):
    """Filters of all orders. `user_id` is the buyer or the seller."""

    order_no: Annotated[str, Field(pattern=r"^[0-9A-Za-z]+$"), Compact(1, 32)] | None = None
    user_id: IdIn | None = None
    disputed: bool | None = None


class PaymentQuery(PageQuery):
    """Filters of payments. The days are Shanghai's; both are included.

    `by` says which moment of a payment the days are about, and the list is in its order: when the payer began
    (`created`), or when he paid (`paid`). The gateway's bill and `flask payments reconcile` go by the latter.
    """

    state: PaymentState | None = None
    refund_state: RefundState | None = None
    by: Literal["created", "paid"] = "created"
    since: DayIn | None = None
    until: DayIn | None = None

    @field_validator("until")
    @classmethod
    def _not_before_since(cls, until: date | None, info: ValidationInfo) -> date | None:
        since = info.data.get("since")
        if until and since and until < since:
            raise ValueError("不能早于 since")
        return until


class LedgerQuery(PageQuery):
    """Only what an order moved, only what moved a user's money."""

    order_id: IdIn | None = None
    user_id: IdIn | None = None


class ActionQuery(PageQuery):
    """Who did it, what it was done to."""

    actor_id: IdIn | None = None
    subject: Subject | None = None
    subject_id: IdIn | None = None


class PotOut(TypedDict):
    """How much money lies in accounts of one kind."""

    account: AccountKindOut
    account_text: str
    amount: SignedYuanOut


class StaffOrderOut(OrderOut):
    """An order of a list, as staff see it."""

    disputed: bool
    held_at: MomentOut | None  # since when nobody can make a step, because its money moved at the gateway without us


class CaseOut(TypedDict):
    """A dispute and what is needed to decide it. `request` is the refund request that it is about."""

    id: int
    raised_by: PartyOut
    dispute: DisputeOut
    event_text: str
    waiting_seconds: int  # until it ended, or until now
    order: StaffOrderOut
    request: RefundRequestOut | None
    pots: list[PotOut]


class LedgerEntryOut(TypedDict):
    """One account's part: debit above zero, credit below, and the balance that it left."""

    account_id: int
    account: AccountKindOut
    account_text: str
    user_id: int | None
    slot: int
    amount: SignedYuanOut
    balance: YuanOut


class LedgerTransactionOut(TypedDict):
    """One movement of money; its entries sum to zero."""

    id: int
    key: str
    kind: Annotated[str, OneOf(PostingKind, POSTING_TEXT)]
    kind_text: str
    order_id: int | None
    at: MomentOut
    entries: list[LedgerEntryOut]


class LedgerOut(TypedDict):
    """Where the money lies, and a page of how it came there, newest first.

    `accounts` are all there are; with `user_id` that user's; with `order_id` where that order's money is.
    """

    items: list[LedgerTransactionOut]
    page: int
    size: int
    total: int
    pages: int
    accounts: list[PotOut]


class StaffRefundOut(TypedDict):
    """Money on its way back, and how asking the gateway for it went."""

    id: int
    request_no: str
    out_trade_no: str
    amount: YuanOut
    reason: Annotated[str, OneOf(RefundReason, POSTING_TEXT)]
    reason_text: str
    state: RefundStateOut
    attempts: int
    last_error: str | None
    confirmed_at: MomentOut | None
    created_at: MomentOut


class StaffPaymentOut(TypedDict):
    """One attempt to pay, and its money's way back."""

    id: int
    order_id: int
    order_no: str
    attempt: int
    out_trade_no: str
    trade_no: str | None
    amount: YuanOut
    state: PaymentStateOut
    paid_at: MomentOut | None
    queries: int  # how often the gateway was asked about it
    query_at: MomentOut | None
    refund: StaffRefundOut | None
    created_at: MomentOut


class GatewayNotificationOut(TypedDict):
    """What reached us as a notification of the gateway; `refusal` says why it was not believed."""

    id: int
    out_trade_no: str
    trade_no: str
    fields: dict[str, str]
    refusal: str | None
    received_at: MomentOut


class StaffActionOut(TypedDict):
    """What somebody of staff did, or an operator on the command line (`actor` null)."""

    id: int
    actor: PartyOut | None
    action: Annotated[str, OneOf(ActionKind, ACTION_TEXT)]
    action_text: str
    subject: Annotated[str, OneOf(Subject)]
    subject_id: int
    reason: str
    details: dict[str, Any]  # by the action; amounts in it are fen
    at: MomentOut


class StaffOrderDetailOut(OrderDetailOut):
    """An order with everything that is known about it. Of the notifications the latest hundred."""

    pots: list[PotOut]
    ledger: list[LedgerTransactionOut]
    refunds: list[StaffRefundOut]
    gateway_notifications: list[GatewayNotificationOut]
    staff_actions: list[StaffActionOut]


class StaffGoodOut(GoodOut):
    """A good with what keeps it off the market. `suspension`: it returns when its owner is let in again."""

    deleted: bool
    taken_down: bool
    takedown_cause: Annotated[str, OneOf(TakedownCause)] | None


class StaffUserOut(PersonOut):
    """A user, and the suspension that is in force."""

    is_staff: bool
    created_at: MomentOut
    suspension: SuspensionOut | None
