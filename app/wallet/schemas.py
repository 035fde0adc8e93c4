"""Bodies and answers of the wallet's URLs."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from app.clock import MomentOut
from app.enums import OneOf, text_enum
from app.fen import SignedYuanOut, YuanOut, format_yuan
from app.fields import AlipayAccountIn, PersonNameIn, PriceIn
from app.money.gateways.base import MIN_TRANSFER_FEN
from app.wallet.models import PayoutState
from app.wallet.texts import KIND_TEXT, STATE_TEXT


def _at_least_a_transfer(fen: int) -> int:
    if fen < MIN_TRANSFER_FEN:
        raise ValueError(f"提现金额不能小于 {format_yuan(MIN_TRANSFER_FEN)} 元")
    return fen


WalletAccount = Literal["held", "available"]
WalletEntryKind = text_enum(
    "WalletEntryKind", KIND_TEXT, about="What changed the wallet: an order's event, a withdrawal."
)


class WithdrawIn(BaseModel):
    """A withdrawal: how much, and to whose account at the gateway."""

    model_config = ConfigDict(frozen=True)

    amount: Annotated[PriceIn, AfterValidator(_at_least_a_transfer)]
    account: Annotated[AlipayAccountIn, Field(repr=False)]
    name: Annotated[PersonNameIn, Field(description="the account owner's real name", repr=False)]


class WalletEntryOut(TypedDict):
    """One line of the wallet. `account` is `held` (待结算) or `available` (可用); what left it is below zero."""

    id: int
    at: MomentOut
    kind: Annotated[str, OneOf(WalletEntryKind, KIND_TEXT)]
    kind_text: str
    account: WalletAccount
    amount: SignedYuanOut
    balance: YuanOut
    order_no: str | None


class WalletOut(TypedDict):
    """What the caller has, and a page of how it came to that."""

    items: list[WalletEntryOut]
    page: int
    size: int
    total: int
    pages: int
    available: YuanOut
    held: YuanOut
    withdrawing: YuanOut


class PayoutOut(TypedDict):
    """A withdrawal. `state` is pending, confirmed or failed; `reason` says why it failed."""

    id: int
    payout_no: str
    amount: YuanOut
    account: str
    name: str
    state: Annotated[str, OneOf(PayoutState, STATE_TEXT)]
    state_text: str
    reason: str | None
    created_at: MomentOut
    finished_at: MomentOut | None
