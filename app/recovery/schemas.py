"""Bodies and answers of the URLs for forgotten passwords."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator
from sqlalchemy import Row
from typing_extensions import TypedDict

from app.accounts.passwords import KnownPasswordIn, NewPasswordIn
from app.accounts.usernames import UsernameIn
from app.clock import MomentOut, format_moment
from app.fields import CleanText, Digits
from app.fields.accounts import LONGEST_EMAIL, read_email
from app.fields.phones import masked_phone, read_phone
from app.messaging.base import Channel
from app.recovery.codes import DIGITS, STAFF_DIGITS

CodeIn = Annotated[str, Digits(DIGITS, STAFF_DIGITS)]
"""A one-time code from a client: eight digits that were sent, or twelve that staff told."""

ChannelIn = Literal["email", "mobile"]


class ChannelRequestIn(BaseModel):
    """An address to be reached at, and the password of the account."""

    model_config = ConfigDict(frozen=True)

    channel: ChannelIn
    address: Annotated[str, CleanText(1, LONGEST_EMAIL)]
    password: KnownPasswordIn

    @field_validator("address")
    @classmethod
    def _of_its_channel(cls, address: str, info: ValidationInfo) -> str:
        match info.data.get("channel"):
            case Channel.EMAIL:
                return read_email(address)
            case Channel.MOBILE:
                return read_phone(address, mobile=True)
        return address


class ChannelVerifyIn(BaseModel):
    """The code that came."""

    model_config = ConfigDict(frozen=True)

    channel: ChannelIn
    code: CodeIn


class ChannelRemoveIn(BaseModel):
    """Which address to forget, and the password of the account."""

    model_config = ConfigDict(frozen=True)

    channel: ChannelIn
    password: KnownPasswordIn


class ForgotIn(BaseModel):
    """Whose password is forgotten."""

    model_config = ConfigDict(frozen=True)

    username: UsernameIn


class ResetIn(BaseModel):
    """A new password, with the code that came."""

    model_config = ConfigDict(frozen=True)

    username: UsernameIn
    code: CodeIn
    new_password: NewPasswordIn


class RecoveryChannelOut(TypedDict):
    """A verified address, masked."""

    address: str
    verified_at: MomentOut


class RecoveryOut(TypedDict):
    """The ways back into the account; null for one that is not set."""

    email: RecoveryChannelOut | None
    mobile: RecoveryChannelOut | None


def channel_out(row: Row[Any]) -> RecoveryChannelOut:
    """`row` of the table of recovery channels."""
    return {"address": masked(row.address), "verified_at": format_moment(row.verified_at)}


def masked(address: str) -> str:
    """As much of an address as its owner needs to recognise it: `a***@example.com`, `+852****5432`."""
    local, at, domain = address.partition("@")
    return f"{local[:1]}***@{domain}" if at else masked_phone(address)
