"""What became of the periodic jobs, and which of them are overdue."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select

from app.clock import utcnow
from app.db.transactions import rows
from app.extensions import valkey
from app.periodic.models import SCHEDULER_LOCK_KEY, SCHEDULER_LOCK_SECONDS, PeriodicJob

_OVERDUE_PERIODS: Final = 3
_OVERDUE_LEAST: Final = 300  # seconds: a sweep with much to do may take longer than a few of its short periods


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRuns:
    """One periodic job: seconds between runs, what the last good run took, what failed; seconds since the last one.

    `since` is counted from when the job was first listed where it has never run. It is negative where the clock was
    set back after the last run.
    """

    name: str
    every: int
    succeeded_at: datetime | None
    milliseconds: int | None
    failures: int
    since: float

    @property
    def overdue(self) -> bool:
        """Whether the last run is longer ago than three periods and five minutes, or lies as far in the future."""
        return abs(self.since) > max(_OVERDUE_PERIODS * self.every, _OVERDUE_LEAST)


def periodic_jobs() -> Sequence[JobRuns]:
    """All jobs that a scheduler has listed, by name."""
    now = utcnow()
    return [
        JobRuns(
            name=row.name,
            every=row.every,
            succeeded_at=row.succeeded_at,
            milliseconds=row.milliseconds,
            failures=row.failures,
            since=(now - (row.succeeded_at or row.listed_at)).total_seconds(),
        )
        for row in rows(select(PeriodicJob.__table__).order_by(PeriodicJob.name))
    ]


def scheduler_leads() -> bool:
    """Whether a scheduler is at work: one holds the lock, and has taken it anew within the lock's lifetime.

    A lock that would live longer than that was taken before the server's clock was set back; nobody renews it.
    """
    left: int = valkey().pttl(SCHEDULER_LOCK_KEY)
    return 0 < left <= SCHEDULER_LOCK_SECONDS * 1000
