"""The RQ workers: `python -m tasks.worker` with `default`, `search` or `vision`.

Each has one Flask application, made before the first job, and runs every job in a context of it. `default` forks a
process per job, so that a crashing job takes nothing else down; any number of them may run. `search` keeps the index
open between jobs and therefore runs them in its own process; it is the only writer of the index and locks its folder.
`vision` looks at pictures: it loads its models once, before the first job, and runs jobs in its own process, too. There
may be one for each core that is to look.
"""

import argparse
import fcntl
import gc
import os
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
import structlog
from flask import Flask
from rq import Queue, SimpleWorker, Worker, worker_registration
from rq.executions import Execution
from rq.job import Job, JobStatus
from rq.logutils import colorizer
from rq.worker.base import BaseWorker
from sqlalchemy.exc import SQLAlchemyError

from app import load_app
from app.db.database import db
from app.moderation.pictures import load
from app.moderation.text import load_rules
from app.periodic.service import record_failure, record_success
from app.search.service import load_words
from app.settings import settings
from app.vision import is_installed
from tasks.queues import SERIALIZER, QueueName, connect, job_id_of, queue
from tasks.schedule import PERIODS
from tasks.search import drain_search_outbox

log = structlog.get_logger(__name__)

# Seconds between the heartbeats of an idle worker, well below the setting WORKER_HEARTBEAT_LIMIT.
_HEARTBEAT_SECONDS = 30


class _AppWorker(BaseWorker):
    """What both kinds of workers share: an application context around each job, and surviving an emptied Valkey."""

    flask_app: Flask
    max_connection_wait_time = 5.0

    @property
    def was_asked_to_stop(self) -> bool:
        """Whether SIGTERM or SIGINT was received."""
        return self._shutdown_requested_date is not None

    def perform_job(self, job: Job, queue: Queue, execution: Execution) -> bool:
        """As RQ's, in a context of the application; its log lines name the job.

        A job that was done is one line, a periodic one none: what those did says who did it. And it is written down.
        """
        with self.flask_app.app_context(), structlog.contextvars.bound_contextvars(job_id=job.id):
            if self._is_horse:
                # The connections inherited through the fork belong to the parent: forget them without closing them.
                db.engine.dispose(close=False)
            began = time.monotonic()
            done = super().perform_job(job, queue, execution)
            milliseconds = round((time.monotonic() - began) * 1000)
            if done and job.id in PERIODS:
                log.debug("periodic_job_done", milliseconds=milliseconds)
                _write_down(lambda: record_success(name=job.id, milliseconds=milliseconds))
            elif done:
                log.info("job_done", milliseconds=milliseconds)
            return done

    def handle_job_failure(self, job: Job, *args: Any, **kwargs: Any) -> None:
        """As RQ's, which also calls it for a job whose process was killed. Failures of periodic jobs are counted."""
        super().handle_job_failure(job, *args, **kwargs)
        if job.id in PERIODS:
            with self.flask_app.app_context():
                _write_down(lambda: record_failure(name=job.id))

    def heartbeat(self, timeout: int | None = None, pipeline: "redis.client.Pipeline | None" = None) -> None:
        """As RQ's, but registers again after Valkey was emptied; RQ's worker would go on without being listed."""
        super().heartbeat(timeout, pipeline)
        if pipeline is None and not self.connection.sismember(self.redis_workers_keys, self.key):
            with self.connection.pipeline() as registration:
                registration.hset(self.key, mapping={**self.serialize(), "state": self.get_state()})
                registration.expire(self.key, timeout or self.worker_ttl + 60)
                worker_registration.register(self, registration)
                registration.execute()
            self.log.warning("Worker %s: registered anew", self.name)


def _write_down(record: Callable[[], None]) -> None:
    try:
        record()
    except SQLAlchemyError as error:  # no reason to fail the job: if this goes on, `/readyz` calls it overdue
        log.warning("periodic_job_not_written_down", error=type(error).__name__)


class ForkingWorker(_AppWorker, Worker):
    """Runs each job in a process of its own."""

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """As RQ's; words of texts and of search are read before, where they changed: what a job reads ends with it."""
        with self.flask_app.app_context():
            load_rules()
            load_words()
        super().fork_work_horse(job, queue)


class InProcessWorker(_AppWorker, SimpleWorker):
    """Runs jobs in its own process, one after the other."""


_WORKERS: dict[QueueName, type[ForkingWorker | InProcessWorker]] = {
    QueueName.DEFAULT: ForkingWorker,
    QueueName.SEARCH: InProcessWorker,
    QueueName.VISION: InProcessWorker,
}


def make_worker(app: Flask, name: QueueName) -> ForkingWorker | InProcessWorker:
    """A worker for the queue `name`, not started yet. Needs an app context."""
    worker = _WORKERS[name](
        [name.value],
        name=f"{name}-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}",
        connection=connect(),
        serializer=SERIALIZER,
        # RQ waits for jobs for 15 seconds less than this and then sends a heartbeat.
        worker_ttl=_HEARTBEAT_SECONDS + 15,
        # Seconds within which jobs of a killed worker, or a dead retry scheduler, are noticed.
        maintenance_interval=60,
        log_job_description=False,
    )
    worker.flask_app = app
    return worker


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[bool]:
    """Try to lock `folder` for this process during the block; yields whether that succeeded.

    It is a file lock of the operating system: it is released when the process ends, however that happens.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "worker.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def forget_unfinished_drain() -> None:
    """Delete the drain job of a search worker that was killed: while it counts as running, no other is queued.

    The caller must hold the lock on the index. The messages that the job did not get to are still in the outbox.
    """
    jobs = queue(QueueName.SEARCH)
    unfinished = jobs.fetch_job(job_id_of(drain_search_outbox))
    if unfinished is not None and (
        unfinished.get_status() == JobStatus.STARTED or jobs.get_job_position(unfinished) is None
    ):
        unfinished.delete()


def load_models() -> None:
    """Load what looks at pictures; where the extra for it is not installed, say what becomes of them."""
    if is_installed():
        load()
    else:
        log.warning("vision_not_installed", pictures=settings().pictures_unseen.value)


def work(app: Flask, name: QueueName, *, burst: bool = False) -> int:
    """Run jobs until told to stop, or with `burst` until the queue is empty; returns the exit status."""
    with app.app_context():
        worker = make_worker(app, name)
        if name is QueueName.SEARCH:
            forget_unfinished_drain()
        if name is QueueName.DEFAULT:
            load_rules()
            load_words()
        if name is QueueName.VISION:
            load_models()
    gc.freeze()  # what was loaded stays: no collection in the process of a job looks through it, and copies it
    log.info("worker_started", queue=name.value)
    try:
        worker.work(burst=burst, with_scheduler=True)
    finally:
        worker.connection.close()
        if worker.scheduler is not None:  # it has one of its own, which RQ leaves open
            worker.scheduler.connection.connection_pool.disconnect()
    log.info("worker_stopped", queue=name.value)
    # Unless it was asked to stop, RQ's loop ends only when something is wrong: tell the supervisor by the exit status.
    return 0 if burst or worker.was_asked_to_stop else 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the worker that the command line asks for; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tasks.worker", description="Run jobs of one queue.")
    parser.add_argument("queue", type=QueueName, choices=list(QueueName), help="the queue")
    parser.add_argument("--burst", action="store_true", help="end when the queue is empty")
    options = parser.parse_args(arguments)
    app = load_app()
    # RQ colours its log lines for terminals; ours are JSON.
    colorizer.notty = True
    if options.queue is not QueueName.SEARCH:
        return work(app, options.queue, burst=options.burst)
    with app.app_context():
        folder = settings().search_index_path
    with exclusive_lock(folder) as locked:
        if not locked:
            log.error(
                "search_worker_refused", reason="another search worker is at work on this index", folder=str(folder)
            )
            return 1
        return work(app, options.queue, burst=options.burst)


if __name__ == "__main__":
    sys.exit(main())
