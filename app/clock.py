"""The one clock. Everything inside is aware UTC; people are shown Asia/Shanghai."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")


def utcnow() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def shown(moment: datetime) -> str:
    """ISO 8601 with offset in Asia/Shanghai, to the second: `2026-11-22T20:15:00+08:00`."""
    return moment.astimezone(SHANGHAI).isoformat(timespec="seconds")


def shown_or_none(moment: datetime | None) -> str | None:
    """As `shown`; None stays None."""
    return None if moment is None else shown(moment)
