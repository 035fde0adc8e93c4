"""The one clock: moments are timezone-aware and in UTC inside the application, and shown to people in Asia/Shanghai."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")


def utcnow() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def format_moment(moment: datetime) -> str:
    """ISO 8601 with offset in Asia/Shanghai, to the second: `2026-11-22T20:15:00+08:00`."""
    return moment.astimezone(SHANGHAI).isoformat(timespec="seconds")


def format_moment_or_none(moment: datetime | None) -> str | None:
    """As `format_moment`; None stays None."""
    return None if moment is None else format_moment(moment)
