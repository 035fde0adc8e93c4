"""What a message is, and what has to carry one."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Channel(StrEnum):
    """How a message reaches its reader."""

    EMAIL = "email"
    MOBILE = "mobile"  # as a text message


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message; `to` is an e-mail address or a mobile number. A text message has no subject to show."""

    to: str
    subject: str
    text: str


class Undelivered(Exception):  # noqa: N818 - it says what happened
    """The provider did not take the message; the same again may work."""


class Undeliverable(Exception):  # noqa: N818 - it says what happened
    """The provider will never take this message, or there is no provider."""


class Provider(Protocol):
    """Carries the messages of one channel."""

    def send(self, message: Message) -> None:
        """Hand the message over. Raises Undelivered, Undeliverable; their texts name no reader and no word of it."""
