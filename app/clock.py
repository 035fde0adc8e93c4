"""The one clock: moments are timezone-aware and in UTC inside the application, and shown to people in Asia/Shanghai."""

from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field, WithJsonSchema

SHANGHAI = ZoneInfo("Asia/Shanghai")


def utcnow() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def from_timestamp(seconds: float) -> datetime:
    """The moment that many seconds after 1970 began, aware, in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def format_moment(moment: datetime) -> str:
    """ISO 8601 with offset in Asia/Shanghai, to the second: `2026-11-22T20:15:00+08:00`."""
    return moment.astimezone(SHANGHAI).isoformat(timespec="seconds")


def format_moment_or_none(moment: datetime | None) -> str | None:
    """As `format_moment`; None stays None."""
    return None if moment is None else format_moment(moment)


MomentOut = Annotated[
    str,
    Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\+08:00$"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-22T20:15:00+08:00"]}),
]
"""An answer's field that `format_moment` made."""
