"""Writes down what periodic jobs there are, and what became of their runs."""

from collections.abc import Mapping

from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import insert as upsert

from app.clock import utcnow
from app.db.transactions import autocommit_connection, transaction
from app.periodic.models import PeriodicJob


def list_jobs(periods: Mapping[str, int]) -> None:
    """Let there be exactly these jobs: the seconds between two runs, by name. What is known of their runs is kept."""
    now = utcnow()
    statement = upsert(PeriodicJob).values(
        [{"name": name, "every": every, "listed_at": now, "failures": 0} for name, every in periods.items()]
    )
    with transaction() as session:
        session.execute(
            statement.on_conflict_do_update(index_elements=["name"], set_={"every": statement.excluded.every})
        )
        session.execute(delete(PeriodicJob).where(PeriodicJob.name.not_in(periods)))


def record_success(*, name: str, milliseconds: int) -> None:
    """The job has done its work, in so many milliseconds. Without effect for a job that is not listed."""
    _record(name, succeeded_at=utcnow(), milliseconds=milliseconds)


def record_failure(*, name: str) -> None:
    """A run of the job has failed. Without effect for a job that is not listed."""
    _record(name, failed_at=utcnow(), failures=PeriodicJob.failures + 1)


def _record(name: str, **values: object) -> None:
    # At once: the job's own transaction may have failed.
    with autocommit_connection() as connection:
        connection.execute(update(PeriodicJob).where(PeriodicJob.name == name).values(**values))
