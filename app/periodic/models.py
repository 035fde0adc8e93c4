"""Periodic jobs, and the lock of the scheduler that queues them."""

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db.columns import Base, created_moment, moment, not_negative, table_args

SCHEDULER_LOCK_KEY: Final = "scheduler-lock"
"""Valkey key that the scheduler at work holds; its value is that scheduler's name."""

SCHEDULER_LOCK_SECONDS: Final = 15
"""How long the lock outlives its holder's last step. A holder that lives takes it anew every few seconds."""


class PeriodicJob(Base):
    """One periodic job. The scheduler lists it, the workers write down what became of its runs.

    In PostgreSQL and not in Valkey, so that nobody takes an emptied Valkey for sweeps that never ran.
    """

    __tablename__ = "periodic_jobs"
    __table_args__ = table_args(
        CheckConstraint("every > 0", name="every_positive"), not_negative("milliseconds", "failures")
    )

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    every: Mapped[int]  # seconds between two runs
    listed_at: Mapped[created_moment]
    succeeded_at: Mapped[moment | None]
    milliseconds: Mapped[int | None] = mapped_column(BigInteger)  # what the last run that succeeded took
    failed_at: Mapped[moment | None]
    failures: Mapped[int] = mapped_column(BigInteger, default=0)
