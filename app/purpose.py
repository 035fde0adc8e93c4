"""For what somebody reads: what is read of other people is recorded with it (`app.accounts.staff_reads`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Purpose:
    """`place` names the page or operation, `reason` is what the reader wrote, empty where nothing."""

    place: str = ""
    reason: str = ""


_purpose: Final[ContextVar[Purpose]] = ContextVar("purpose", default=Purpose())  # noqa: B039 - frozen


def purpose() -> Purpose:
    """For what is read now."""
    return _purpose.get()


@contextmanager
def reading_for(place: str, reason: str = "") -> Iterator[None]:
    """What is read inside this block is read for this."""
    token = _purpose.set(Purpose(place, reason))
    try:
        yield
    finally:
        _purpose.reset(token)
