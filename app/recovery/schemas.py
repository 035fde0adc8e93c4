"""Bodies and answers of the URLs for forgotten passwords."""

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from sqlalchemy import Row
from typing_extensions import TypedDict

from app.accounts.passwords import KnownPasswordIn, NewPasswordIn
from app.accounts.usernames import UsernameIn
from app.clock import MomentOut, format_moment
from app.fields import CleanText
from app.messaging.base import Channel
from app.recovery.codes import DIGITS, STAFF_DIGITS

_MOBILE: Final = re.compile(r"1[3-9][0-9]{9}", re.ASCII)
# What can be one of RFC 5321's addresses and is anybody's in practice: no quotes, no comments, no address literals.
# Before the @ a dot-atom (RFC 5322, section 3.2.3), after it labels of host names (RFC 1123, section 2.1).
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL: Final = re.compile(rf"(?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+(?=[A-Za-z]){_LABEL}")
_LONGEST: Final = 254


def _parse_code(value: object) -> object:
    # Read off a screen or copied with blanks.
    return re.sub(r"\s", "", value) if isinstance(value, str) and len(value) <= 4 * STAFF_DIGITS else value


CodeIn = Annotated[
    str,
    Field(pattern=rf"^([0-9]{{{DIGITS}}}|[0-9]{{{STAFF_DIGITS}}})$", examples=["12345678"]),
    BeforeValidator(_parse_code),
]
"""A one-time code from a client: eight digits that were sent, or twelve that staff told."""

ChannelIn = Literal["email", "mobile"]


class ChannelRequestIn(BaseModel):
    """An address to be reached at, and the password of the account."""

    model_config = ConfigDict(frozen=True)

    channel: ChannelIn
    address: Annotated[str, CleanText(1, _LONGEST)]
    password: KnownPasswordIn

    @model_validator(mode="after")
    def _of_its_channel(self) -> Self:
        is_email = Channel(self.channel) is Channel.EMAIL
        if not (_EMAIL if is_email else _MOBILE).fullmatch(self.address):
            raise ValueError("address 须为邮箱地址" if is_email else "address 须为手机号码")
        return self


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
    """As much of an address as its owner needs to recognise it: `a***@example.com`, `138****8000`."""
    local, at, domain = address.partition("@")
    return f"{local[:1]}***@{domain}" if at else f"{address[:3]}****{address[-4:]}"
