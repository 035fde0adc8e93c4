"""Bodies and answers of the export and the deletion of an account."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict
from typing_extensions import TypedDict

from app.accounts.passwords import KnownPasswordIn
from app.accounts.schemas import AddressOut, OwnProfileOut
from app.clock import MomentOut
from app.enums import OneOf
from app.fen import SignedYuanOut, YuanOut
from app.goods.models import AppealState, RevisionState
from app.goods.schemas import CategoryOut, TradeModeOut, ViolationCategory
from app.orders.schemas import BillStatusOut, OrderStatusOut, RoleOut
from app.profiles.schemas import AvatarStateOut
from app.recovery.schemas import RecoveryOut


class DeleteAccountIn(BaseModel):
    """The account's password, once more."""

    model_config = ConfigDict(frozen=True)

    password: KnownPasswordIn


class AccountInUse(TypedDict):
    """What keeps an account from being deleted: in sentences, and the open orders, the wallet's sum, withdrawals."""

    reasons: list[str]
    open_orders: list[str]
    balance: SignedYuanOut
    open_withdrawals: int


class ExportedAvatarOut(TypedDict):
    """An avatar of the user, how its review stands, and why it did not pass."""

    url: str
    state: AvatarStateOut
    reasons: list[str]
    created_at: MomentOut


class ExportedGoodOut(TypedDict):
    """A good that the user released, deleted ones included. `pictures` are URLs, of those an edit took off as well."""

    id: int
    title: str
    description: str
    price: YuanOut
    deleted: bool
    pictures: list[str]
    created_at: MomentOut


class ExportedRevisionOut(TypedDict):
    """What the user wrote of a good with one release or edit, and what became of it; `text` says why it was refused."""

    good_id: int
    revision: int
    title: str
    description: str
    price: YuanOut
    pictures: list[str]
    state: Annotated[str, OneOf(RevisionState)]
    text: str
    submitted_at: MomentOut


class ExportedAppealOut(TypedDict):
    """What the user said against a refusal, and what was answered."""

    good_id: int
    revision: int
    text: str
    state: Annotated[str, OneOf(AppealState)]
    answer: str
    created_at: MomentOut


class ExportedReportOut(TypedDict):
    """What the user reported about somebody's good."""

    good_id: int
    category: Annotated[str, OneOf(ViolationCategory)]
    text: str
    created_at: MomentOut


class ExportedPictureOut(TypedDict):
    """A picture that the user uploaded by itself and has not used yet."""

    url: str
    created_at: MomentOut


class ExportedOrderOut(TypedDict):
    """An order of the user; `address` is what it copied of the user's own as a buyer."""

    order_no: str
    role: RoleOut
    good_title: str
    amount: YuanOut
    bill_status: BillStatusOut
    order_status: OrderStatusOut
    closed: bool
    address: dict[str, Any] | None
    created_at: MomentOut


class ExportedParcelOut(TypedDict):
    """A parcel of one of the user's orders; `address` is what it copied of the user's own, null where it has none."""

    order_no: str
    direction: str
    company: str
    tracking_no: str
    address: dict[str, Any] | None
    created_at: MomentOut


class ExportedEvidenceOut(TypedDict):
    """A picture that the user attached to a refund request or a dispute."""

    order_no: str
    url: str
    created_at: MomentOut


class ExportedPaymentOut(TypedDict):
    """An attempt of the user to pay an order; `trade_no` is the gateway's number."""

    order_no: str
    out_trade_no: str
    trade_no: str | None
    amount: YuanOut
    state: str
    paid_at: MomentOut | None
    created_at: MomentOut


class ExportedRefundOut(TypedDict):
    """A refund to the user."""

    order_no: str
    amount: YuanOut
    reason: str
    state: str
    confirmed_at: MomentOut | None
    created_at: MomentOut


class ExportedStaffActionOut(TypedDict):
    """What staff did to the user, to a good of the user's or an order; who of them it was is not told."""

    action: str
    action_text: str
    subject: str
    subject_id: int
    reason: str
    at: MomentOut


class ExportedWordsOut(TypedDict):
    """What the user wrote about an order, with which step, or as a `statement` in a dispute."""

    order_no: str
    step: str
    text: str
    at: MomentOut


class ExportedEntryOut(TypedDict):
    """A movement of the user's money."""

    account: str
    kind: str
    amount: SignedYuanOut
    at: MomentOut


class ExportedWithdrawalOut(TypedDict):
    """A withdrawal, with the account that it went to."""

    amount: YuanOut
    account: str
    name: str
    state: str
    created_at: MomentOut


class ExportedSavedSearchOut(TypedDict):
    """A search that the user saved."""

    q: str
    category: CategoryOut | None
    price_min: YuanOut | None
    price_max: YuanOut | None
    trade_mode: TradeModeOut | None
    notify: bool
    created_at: MomentOut


class ExportedNotificationOut(TypedDict):
    """A notification."""

    title: str
    text: str
    created_at: MomentOut


class ExportedSessionOut(TypedDict):
    """A session; what its tokens are is kept nowhere."""

    created_at: MomentOut
    refreshed_at: MomentOut
    ended_at: MomentOut | None
    end_reason: str | None


class AccountExportOut(TypedDict):
    """Everything that is kept about a user. `cut` names the lists of which only the newest 10,000 lines are told."""

    profile: OwnProfileOut
    recovery: RecoveryOut
    avatars: list[ExportedAvatarOut]
    addresses: list[AddressOut]
    goods: list[ExportedGoodOut]
    revisions: list[ExportedRevisionOut]
    appeals: list[ExportedAppealOut]
    reports: list[ExportedReportOut]
    unused_pictures: list[ExportedPictureOut]
    orders: list[ExportedOrderOut]
    parcels: list[ExportedParcelOut]
    evidence: list[ExportedEvidenceOut]
    payments: list[ExportedPaymentOut]
    refunds: list[ExportedRefundOut]
    staff_actions: list[ExportedStaffActionOut]
    words: list[ExportedWordsOut]
    money: list[ExportedEntryOut]
    withdrawals: list[ExportedWithdrawalOut]
    saved_searches: list[ExportedSavedSearchOut]
    notifications: list[ExportedNotificationOut]
    sessions: list[ExportedSessionOut]
    cut: list[str]
