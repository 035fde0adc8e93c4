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
from app.fields import CleanText, Compact, IdIn, IdsIn
from app.goods.models import TakedownCause
from app.goods.schemas import CategoryIn, GoodOut, GoodStatusIn
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
from app.outbox.models import Topic
from app.outbox.service import MessageState
from app.paging import PageQuery
from app.staff.models import ActionKind, Subject
from app.staff.texts import ACCOUNT_TEXT, ACTION_TEXT, POSTING_TEXT
from app.staff_roles import ROLE_TEXT, StaffRole
from app.wallet.models import PayoutState
from app.wallet.texts import STATE_TEXT
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
    """Which users: one by username, those with `name` in their username or nickname, suspended or not."""

    username: Annotated[str, CleanText(1, 40)] | None = None
    name: Annotated[str, CleanText(1, 40)] | None = None
    suspended: bool | None = None


class DisputeQuery(PageQuery):
    """Which disputes: those that wait for staff, or those that ended."""

    state: Literal["open", "ended"] = "open"


class StaffOrderQuery(OrderQuery):
    """Filters of all orders. `user_id` is the buyer or the seller."""

    order_no: Annotated[str, Field(pattern=r"^[0-9A-Za-z]+$"), Compact(1, 32)] | None = None
    user_id: IdIn | None = None
    disputed: bool | None = None


class DaysQuery(PageQuery):
    """Lists of some days: Shanghai's, both included."""

    since: DayIn | None = None
    until: DayIn | None = None

    @field_validator("until")
    @classmethod
    def _not_before_since(cls, until: date | None, info: ValidationInfo) -> date | None:
        since = info.data.get("since")
        if until and since and until < since:
            raise ValueError("不能早于 since")
        return until


class PaymentQuery(DaysQuery):
    """Filters of payments. The days are Shanghai's; both are included.

    `by` says which moment of a payment the days are about, and the list is in its order: when the payer began
    (`created`), or when he paid (`paid`). The gateway's bill and `flask payments reconcile` go by the latter.
    """

    state: PaymentState | None = None
    refund_state: RefundState | None = None
    by: Literal["created", "paid"] = "created"


class LedgerQuery(DaysQuery):
    """Only what an order moved, only what moved a user's money, only of some days (Shanghai's, both included).

    The days are of the transactions; the sums of accounts are always those of now.
    """

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
    staff_roles: list[Annotated[str, OneOf(StaffRole, ROLE_TEXT)]]
    created_at: MomentOut
    suspension: SuspensionOut | None


class GoodQuery(PageQuery):
    """Filters of all goods. `title` is a part of it; deleted ones are there only where they are asked for."""

    title: Annotated[str, CleanText(1, 60)] | None = None
    owner_id: IdIn | None = None
    category: CategoryIn | None = None
    good_status: GoodStatusIn | None = None
    taken_down: bool | None = None
    deleted: bool = False


class StaffGoodDetailOut(StaffGoodOut):
    """A good with what staff did to it and its latest orders, twenty of each.

    Whose role shows no orders gets their number alone, in `orders_total`.
    """

    staff_actions: list[StaffActionOut]
    orders_total: int
    orders: list[StaffOrderOut]


class StaffUserDetailOut(StaffUserOut):
    """A user with counts of what is theirs, and what staff did to the account, the latest twenty."""

    bio: str
    deleted: bool
    goods_for_sale: int
    goods_sold: int
    goods_rejected: int
    goods_taken_down: int
    orders_bought: int
    orders_sold: int
    disputes: int
    staff_actions: list[StaffActionOut]


class RefundQuery(DaysQuery):
    """Which refunds; the days (Shanghai's, both included) are those on which they began."""

    state: RefundState | None = None
    order_id: IdIn | None = None


class StaffRefundRowOut(StaffRefundOut):
    """A refund and what order it is of."""

    order_id: int
    order_no: str


class PayoutQuery(DaysQuery):
    """Which withdrawals; the days (Shanghai's, both included) are those on which they were asked for."""

    state: Literal["pending", "confirmed", "failed"] | None = None
    user_id: IdIn | None = None


class StaffPayoutOut(TypedDict):
    """A withdrawal. The account and the name are masked for staff, too."""

    id: int
    payout_no: str
    user: PartyOut
    amount: YuanOut
    account: str
    name: str
    state: Annotated[str, OneOf(PayoutState, STATE_TEXT)]
    state_text: str
    reason: str | None
    gateway_order_no: str | None
    attempts: int
    last_error: str | None
    created_at: MomentOut
    finished_at: MomentOut | None


class ReadQuery(PageQuery):
    """Who read it, what was read."""

    actor_id: IdIn | None = None
    subject: Annotated[str, Field(pattern=r"^[a-z_]{1,20}$")] | None = None
    subject_id: IdIn | None = None


class StaffReadOut(TypedDict):
    """What somebody of staff read of other people: never what it said. `place` is the page or operation."""

    id: int
    actor: PartyOut
    subject: str
    subject_ids: list[int]
    place: str
    reason: str
    at: MomentOut


class MemberOut(PersonOut):
    """Somebody of staff."""

    staff_roles: list[Annotated[str, OneOf(StaffRole, ROLE_TEXT)]]
    second_factor: bool
    seen_at: MomentOut | None  # in the back office
    appointed_at: MomentOut | None
    appointed_for: str | None


class OutboxQuery(PageQuery):
    """Which messages: those that were given up, those that failed and are tried again, or all that wait."""

    state: Literal["dead", "failing", "waiting"] = "dead"
    topic: Topic | None = None


class OutboxMessageOut(TypedDict):
    """Work to do after a commit; `subject_id` is a row's, of what the topic is about."""

    id: int
    topic: Annotated[str, OneOf(Topic)]
    subject_id: int
    stream: str | None
    state: MessageState
    attempts: int
    last_error: str | None
    due_at: MomentOut
    dead_at: MomentOut | None
    created_at: MomentOut


class ReplayIn(DecisionIn):
    """Which messages are delivered again, and why."""

    message_ids: Annotated[IdsIn, Field(min_length=1, max_length=100)]


class ReplayedOut(TypedDict):
    """How many are due now; those that were done or gone meanwhile are not counted."""

    replayed: int


class BacklogOut(TypedDict):
    """What waits in the outbox, of one topic."""

    topic: str
    waiting: int
    dead: int
    oldest_at: MomentOut | None


class QueueOut(TypedDict):
    """One queue of jobs."""

    name: str
    waiting: int
    running: int
    failed: int
    workers: int


class SweepOut(TypedDict):
    """One periodic job."""

    name: str
    every: int
    succeeded_at: MomentOut | None
    milliseconds: int | None
    failures: int
    overdue: bool


class OperationsOut(TypedDict):
    """What works, and what waits for it."""

    relay: bool
    scheduler: bool
    backlog: list[BacklogOut]
    queues: list[QueueOut]
    sweeps: list[SweepOut]


class FiguresQuery(BaseModel):
    """Which day; today unless said otherwise."""

    model_config = ConfigDict(frozen=True)

    day: DayIn | None = None


class DayFiguresOut(TypedDict):
    """What happened on one day in Shanghai, amounts in yuan."""

    day: str
    users: int
    goods: int
    orders: int
    paid_orders: int
    paid_amount: YuanOut
    refunds: int
    refunded_amount: YuanOut
    disputes: int
    withdrawals: int


class HourFiguresOut(TypedDict):
    """What happened in one hour of the day."""

    hour: int
    orders: int
    paid_orders: int
    goods: int


class WaitingOut(TypedDict):
    """What waits for a person now."""

    disputes: int
    money_cases: int
    goods_in_review: int
    review_cases: int
    dead_messages: int


class FiguresOut(TypedDict):
    """The numbers of a day, of its hours, and of the fourteen days that end with it."""

    day: DayFiguresOut
    before: DayFiguresOut
    hours: list[HourFiguresOut]
    days: list[DayFiguresOut]
    waiting: WaitingOut
