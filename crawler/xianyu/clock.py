"""The crawler's one clock, and the form in which it writes times. Every time is aware, in UTC."""

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

SHANGHAI: Final = ZoneInfo("Asia/Shanghai")


def utcnow() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def isoformat(moment: datetime) -> str:
    """ISO 8601 in UTC, to the second: `2026-11-22T21:40:42Z`. The form of manifests, listings and messages."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def date_in_china(moment: datetime) -> str:
    """The date in China: `2026-11-23`. The request budget is counted by it, as that is where the site is."""
    return moment.astimezone(SHANGHAI).date().isoformat()
