"""The one clock of the crawler, and how moments are written. Everything is aware UTC, to the second."""

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

SHANGHAI: Final = ZoneInfo("Asia/Shanghai")


def utcnow() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def written(moment: datetime) -> str:
    """`2026-11-22T21:40:42Z`: UTC to the second, as manifests, items and messages have it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day_in_china(moment: datetime) -> str:
    """`2026-11-23`: the day that a budget counts for, where the site is."""
    return moment.astimezone(SHANGHAI).date().isoformat()
