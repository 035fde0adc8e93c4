"""The scheduler queues the periodic jobs of `tasks.schedule`: `python -m tasks.scheduler`.

Any number of schedulers may run: the one that holds a lock in Valkey queues jobs, the others stand by and take over
when it ends (within a second) or is killed (after the lock's lifetime).

Periods are measured by a clock that nobody can set. Where the machine's clock was set, or the machine slept, everything
is due at once: no sweep waits until the old time comes round again.
"""

import signal
import threading
import time
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import redis
import redis.exceptions
import structlog
from flask import Flask
from rq import cron_scheduler_registry
from rq.cron import CronJob, CronScheduler
from rq.exceptions import SchedulerNotFound
from rq.scripts import acquire_or_refresh_lock, release_lock
from rq.utils import now
from sqlalchemy.exc import SQLAlchemyError

from app import load_app
from app.periodic.models import SCHEDULER_LOCK_KEY, SCHEDULER_LOCK_SECONDS
from app.periodic.service import list_jobs
from tasks.queues import SERIALIZER, connect, enqueue_singleton
from tasks.schedule import PERIODS, SCHEDULE, Periodic

log = structlog.get_logger(__name__)

_LONGEST_WAIT: Final = 5.0
_STANDBY_WAIT: Final = 1.0
_SHORTEST_WAIT: Final = 0.1
_CLOCK_STEP: Final = 30.0  # seconds by which the clock may go wrong within one step without being called set


class PeriodicJob(CronJob):
    """A `Periodic` in the form that RQ's scheduler works with.

    RQ's own CronJob would queue pickles, and one more at every interval while no worker runs.
    """

    def __init__(self, periodic: Periodic) -> None:
        super().__init__(queue_name=periodic.queue.value, func=periodic.job, interval=periodic.every)
        self._periodic = periodic
        self.due_at = 0.0
        """When it is due, by `time.monotonic`; RQ's own `next_enqueue_time` is for whoever looks into Valkey."""

    def should_run(self) -> bool:
        """Whether it is due."""
        return time.monotonic() >= self.due_at

    def set_enqueue_time(self, time: datetime) -> None:
        """It was queued at that moment."""
        super().set_enqueue_time(time)
        self.due_at = _monotonic(time) + self._periodic.every

    def enqueue(self, connection: redis.Redis) -> None:  # type: ignore[override] # noqa: ARG002 - RQ ignores the job returned; the queue brings its own connection
        """Queue the job as JSON, once."""
        if enqueue_singleton(self._periodic.queue, self._periodic.job):
            log.debug("periodic_job_queued", job=self.func_name)


class Scheduler(CronScheduler):
    """RQ's scheduler, limited to one active instance at a time, and able to go on after Valkey was away or emptied."""

    def __init__(self, connection: redis.Redis) -> None:
        super().__init__(connection)
        self.serializer = SERIALIZER
        self._periodic_jobs = [PeriodicJob(periodic) for periodic in SCHEDULE]
        self._cron_jobs = list(self._periodic_jobs)
        self._clock_offset = _clock_offset()

    def leads(self) -> bool:
        """Acquire or refresh the lock; returns whether this scheduler holds it."""
        if acquire_or_refresh_lock(self.connection, SCHEDULER_LOCK_KEY, self.name, SCHEDULER_LOCK_SECONDS) != "taken":
            return True
        # A lock that lives longer was taken before Valkey's clock was set back. Its holder, if it lives, renews it.
        self.connection.expire(SCHEDULER_LOCK_KEY, SCHEDULER_LOCK_SECONDS, lt=True)
        return False

    def step(self) -> float:
        """Queue what is due if this scheduler leads, and send a heartbeat; returns the seconds until the next step."""
        if not self.leads():
            self.heartbeat()
            return _STANDBY_WAIT
        self._notice_set_clock()
        if self.enqueue_jobs():
            self.save()
        self.heartbeat()
        wait = min(job.due_at for job in self._periodic_jobs) - time.monotonic()
        return min(max(wait, _SHORTEST_WAIT), _LONGEST_WAIT)

    def _notice_set_clock(self) -> None:
        before, self._clock_offset = self._clock_offset, _clock_offset()
        step = self._clock_offset - before
        if abs(step) > _CLOCK_STEP:
            log.warning("clock_was_set", seconds=round(step))
            for job in self._periodic_jobs:
                job.due_at = 0.0

    def retire(self) -> None:
        """Release the lock, so that another scheduler takes over at once, and leave RQ's registry."""
        release_lock(self.connection, SCHEDULER_LOCK_KEY, self.name)
        with suppress(SchedulerNotFound):  # Valkey was emptied since the last heartbeat
            self.register_death()


def _clock_offset() -> float:
    """Seconds by which the machine's clock is ahead of the one that nobody can set."""
    return time.time() - time.monotonic()


def _monotonic(moment: datetime) -> float:
    """The moment as `time.monotonic` would have told it."""
    return time.monotonic() - (now() - moment).total_seconds()


def run(app: Flask, stop: threading.Event) -> None:
    """Schedule until `stop` is set. While a store cannot be reached that it needs it logs, waits and tries again."""
    with app.app_context():
        scheduler = Scheduler(connect())
        registered = False
        log.info("scheduler_started")
        while not stop.is_set():
            try:
                if not registered:
                    # Schedulers that were killed stay in RQ's registry until somebody cleans it up.
                    cron_scheduler_registry.cleanup(scheduler.connection)
                    scheduler.register_birth()
                    list_jobs(PERIODS)
                    registered = True
                wait = scheduler.step()
            except (redis.exceptions.RedisError, SQLAlchemyError) as error:
                log.warning("scheduler_hindered", error=type(error).__name__)
                wait = _LONGEST_WAIT
            stop.wait(wait)
        try:
            scheduler.retire()
        except redis.exceptions.RedisError as error:
            log.warning("scheduler_retired_unnoticed", error=type(error).__name__)
        scheduler.connection.close()
        log.info("scheduler_stopped")


def main() -> None:
    """Schedule until SIGTERM or SIGINT."""
    stop = threading.Event()

    def request_stop(_signal: int, _frame: Any) -> None:  # Any: types.FrameType | None, which is not used
        stop.set()

    signal.signal(signal.SIGTERM, request_stop)
    signal.signal(signal.SIGINT, request_stop)
    run(load_app(), stop)


if __name__ == "__main__":
    main()
