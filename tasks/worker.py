"""The processes that run jobs: `python -m tasks.worker default` and `python -m tasks.worker search`.

Each has one Flask application, made before the first job, and runs every job in a context of it. `default` forks a
process per job, so a job can take no more than itself down; any number of them may run. `search` keeps the index open
between jobs and therefore runs them in its own process; it is the only writer of the index and alone on its folder.
"""

import argparse
import fcntl
import os
import secrets
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import redis
import structlog
from flask import Flask
from rq import Queue, SimpleWorker, Worker, worker_registration
from rq.executions import Execution
from rq.job import Job, JobStatus
from rq.logutils import colorizer
from rq.worker.base import BaseWorker

from app import create_app
from app.db.database import db
from app.settings import settings
from tasks.queues import SERIALIZER, QueueName, connect, job_id_of, queue
from tasks.search import drain_search_outbox

log = structlog.get_logger(__name__)

# An idle worker gives its sign of life this often (seconds), well below the setting WORKER_HEARTBEAT_LIMIT.
_HEARTBEAT_SECONDS = 30


class _AppWorker(BaseWorker):
    """What both kinds of workers share: the application around each job, and outliving a Valkey that forgot us."""

    flask_app: Flask
    max_connection_wait_time = 5.0

    @property
    def was_asked_to_stop(self) -> bool:
        """Whether SIGTERM or SIGINT came."""
        return self._shutdown_requested_date is not None

    def perform_job(self, job: Job, queue: Queue, execution: Execution) -> bool:
        """As RQ's, in a context of the application; its log lines name the job."""
        with self.flask_app.app_context(), structlog.contextvars.bound_contextvars(job_id=job.id):
            if self._is_horse:
                # Connections that came along in the fork still belong to the parent.
                db.engine.dispose(close=False)
            return super().perform_job(job, queue, execution)

    def heartbeat(self, timeout: int | None = None, pipeline: "redis.client.Pipeline | None" = None) -> None:
        """As RQ's. After Valkey was emptied it also registers anew; RQ would work on unseen."""
        super().heartbeat(timeout, pipeline)
        if pipeline is None and not self.connection.sismember(self.redis_workers_keys, self.key):
            with self.connection.pipeline() as registration:
                registration.hset(self.key, mapping={**self.serialize(), "state": self.get_state()})
                registration.expire(self.key, timeout or self.worker_ttl + 60)
                worker_registration.register(self, registration)
                registration.execute()
            self.log.warning("Worker %s: registered anew", self.name)


class ForkingWorker(_AppWorker, Worker):
    """Runs each job in a process of its own."""


class InProcessWorker(_AppWorker, SimpleWorker):
    """Runs jobs in its own process, one after the other."""


_WORKERS: dict[QueueName, type[ForkingWorker | InProcessWorker]] = {
    QueueName.DEFAULT: ForkingWorker,
    QueueName.SEARCH: InProcessWorker,
}


def make_worker(app: Flask, name: QueueName) -> ForkingWorker | InProcessWorker:
    """A worker on the queue `name`, not yet working. Wants an app context."""
    worker = _WORKERS[name](
        [name.value],
        name=f"{name}-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}",
        connection=connect(),
        serializer=SERIALIZER,
        # RQ blocks for 15 seconds less than this and then gives its sign of life.
        worker_ttl=_HEARTBEAT_SECONDS + 15,
        # How soon jobs of a killed worker, and a retry scheduler that died, are noticed.
        maintenance_interval=60,
        log_job_description=False,
    )
    worker.flask_app = app
    return worker


@contextmanager
def alone_on(folder: Path) -> Iterator[bool]:
    """Yields whether no other process is alone on `folder`; it stays ours for the block.

    The lock is the operating system's: it ends with the process, however that ends.
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
    """Forget the drain job that a killed search worker left behind: while it counts as running, no other is queued.

    Only for whoever is alone on the index. The messages it did not get to still lie in the outbox.
    """
    jobs = queue(QueueName.SEARCH)
    left = jobs.fetch_job(job_id_of(drain_search_outbox))
    if left is not None and (left.get_status() == JobStatus.STARTED or jobs.get_job_position(left) is None):
        left.delete()


def work(app: Flask, name: QueueName, *, burst: bool = False) -> int:
    """Run jobs until told to stop, or with `burst` until the queue is empty; returns the exit status."""
    with app.app_context():
        worker = make_worker(app, name)
        if name is QueueName.SEARCH:
            forget_unfinished_drain()
    try:
        worker.work(burst=burst, with_scheduler=True)
    finally:
        worker.connection.close()
    # Without having been asked to, RQ's loop ends only when something is wrong; whoever supervises should know.
    return 0 if burst or worker.was_asked_to_stop else 1


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tasks.worker", description="Run jobs of one queue.")
    parser.add_argument("queue", type=QueueName, choices=list(QueueName), help="the queue")
    parser.add_argument("--burst", action="store_true", help="end when the queue is empty")
    options = parser.parse_args(arguments)
    app = create_app()
    # RQ colours its lines for terminals; ours are JSON.
    colorizer.notty = True
    if options.queue is not QueueName.SEARCH:
        return work(app, options.queue, burst=options.burst)
    with app.app_context():
        folder = settings().search_index_path
    with alone_on(folder) as alone:
        if not alone:
            log.error(
                "search_worker_refused", reason="another search worker is at work on this index", folder=str(folder)
            )
            return 1
        return work(app, options.queue, burst=options.burst)


if __name__ == "__main__":
    sys.exit(main())
