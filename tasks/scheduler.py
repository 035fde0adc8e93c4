"""The scheduler queues the periodic jobs of `tasks.schedule`: `python -m tasks.scheduler`.

Any number of schedulers may run: the one that holds a lock in Valkey queues jobs, the others stand by and take over
when it ends (within a second) or is killed (after the lock's lifetime).
"""

import signal
import threading
from contextlib import suppress
from typing import Any, Final

import redis
import redis.exceptions
import structlog
from flask import Flask
from rq import cron_scheduler_registry
from rq.cron import CronJob, CronScheduler
from rq.exceptions import SchedulerNotFound
from rq.scripts import acquire_or_refresh_lock, release_lock

from app import load_app
from tasks.queues import SERIALIZER, connect, enqueue_singleton
from tasks.schedule import SCHEDULE, Periodic

log = structlog.get_logger(__name__)

LOCK_KEY: Final = "scheduler-lock"
"""Valkey key whose value is the name of the scheduler that holds the lock."""

_LOCK_SECONDS: Final = 15
_LONGEST_WAIT: Final = 5.0
_STANDBY_WAIT: Final = 1.0
_SHORTEST_WAIT: Final = 0.1


class PeriodicJob(CronJob):
    """A `Periodic` in the form that RQ's scheduler works with.

    RQ's own CronJob would queue pickles, and one more at every interval while no worker runs.
    """

    def __init__(self, periodic: Periodic) -> None:
        super().__init__(queue_name=periodic.queue.value, func=periodic.job, interval=periodic.every)
        self._periodic = periodic

    def enqueue(self, connection: redis.Redis) -> None:  # type: ignore[override] # noqa: ARG002 - RQ ignores the job returned; the queue brings its own connection
        """Queue the job as JSON, once."""
        if enqueue_singleton(self._periodic.queue, self._periodic.job):
            log.info("periodic_job_queued", job=self.func_name)


class Scheduler(CronScheduler):
    """RQ's scheduler, limited to one active instance at a time, and able to go on after Valkey was away or emptied."""

    def __init__(self, connection: redis.Redis) -> None:
        super().__init__(connection)
        self.serializer = SERIALIZER
        self._cron_jobs = [PeriodicJob(periodic) for periodic in SCHEDULE]

    def leads(self) -> bool:
        """Acquire or refresh the lock; returns whether this scheduler holds it."""
        return acquire_or_refresh_lock(self.connection, LOCK_KEY, self.name, _LOCK_SECONDS) != "taken"

    def step(self) -> float:
        """Queue what is due if this scheduler leads, and send a heartbeat; returns the seconds until the next step."""
        if not self.leads():
            self.heartbeat()
            return _STANDBY_WAIT
        if self.enqueue_jobs():
            self.save()
        self.heartbeat()
        return min(max(self.calculate_sleep_interval(), _SHORTEST_WAIT), _LONGEST_WAIT)

    def retire(self) -> None:
        """Release the lock, so that another scheduler takes over at once, and leave RQ's registry."""
        release_lock(self.connection, LOCK_KEY, self.name)
        with suppress(SchedulerNotFound):  # Valkey was emptied since the last heartbeat
            self.register_death()


def run(app: Flask, stop: threading.Event) -> None:
    """Schedule until `stop` is set. While Valkey cannot be reached it logs, waits and tries again."""
    with app.app_context():
        scheduler = Scheduler(connect())
        registered = False
        while not stop.is_set():
            try:
                if not registered:
                    # Schedulers that were killed stay in RQ's registry until somebody cleans it up.
                    cron_scheduler_registry.cleanup(scheduler.connection)
                    scheduler.register_birth()
                    registered = True
                wait = scheduler.step()
            except redis.exceptions.RedisError as error:
                log.warning("scheduler_hindered", error=type(error).__name__)
                wait = _LONGEST_WAIT
            stop.wait(wait)
        try:
            scheduler.retire()
        except redis.exceptions.RedisError as error:
            log.warning("scheduler_retired_unnoticed", error=type(error).__name__)
        scheduler.connection.close()


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
