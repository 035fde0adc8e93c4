"""Bodies and answers of the export and the deletion of an account."""

from typing import Any

from pydantic import BaseModel, ConfigDict
from typing_extensions import TypedDict

from app.accounts.passwords import KnownPasswordIn
from app.accounts.schemas import AddressOut, OwnProfileOut
from app.clock import MomentOut
from app.fen import SignedYuanOut, YuanOut
from app.orders.schemas import BillStatusOut, OrderStatusOut, RoleOut
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


class ExportedGoodOut(TypedDict):
    """A good that the user released, deleted ones included."""

    id: int
    title: str
    description: str
    price: YuanOut
    deleted: bool
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
    """Everything that is kept about a user."""

    profile: OwnProfileOut
    recovery: RecoveryOut
    addresses: list[AddressOut]
    goods: list[ExportedGoodOut]
    orders: list[ExportedOrderOut]
    words: list[ExportedWordsOut]
    money: list[ExportedEntryOut]
    withdrawals: list[ExportedWithdrawalOut]
    notifications: list[ExportedNotificationOut]
    sessions: list[ExportedSessionOut]
