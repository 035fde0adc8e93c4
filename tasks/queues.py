"""The RQ queues: their names, and the only functions that enqueue jobs.

Jobs are serialised as JSON (never pickle), have an id that says what they do, and lifetimes, so that nothing stays in
Valkey for ever.
"""

from collections.abc import Callable
from enum import StrEnum
from functools import cache
from typing import Final

import redis
from rq import Queue, Retry
from rq.exceptions import DuplicateJobError
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from rq.utils import now

from app.settings import settings

SERIALIZER: Final = JSONSerializer

_TIMEOUT: Final = 120  # Seconds a job about one subject may run
_SINGLETON_TIMEOUT: Final = 900  # Seconds a singleton may run: draining the outbox may begin with building a new index
_WAITING_TTL: Final = 86_400  # Seconds a job may wait. Periodic sweeps enqueue again what is still wanted.
_RESULT_TTL: Final = 500
_FAILURE_TTL: Final = 7 * 86_400
_RETRIES: Final = (2, 10, 60)  # Seconds before each retry
_FAILED_PAUSE: Final = 5.0  # Seconds before a singleton that failed may be queued again

_ENDED: Final = frozenset({JobStatus.FINISHED, JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED})


class QueueName(StrEnum):
    """The queues; each has its own workers (`python -m tasks.worker <name>`)."""

    DEFAULT = "default"
    SEARCH = "search"
    VISION = "vision"


def connect() -> redis.Redis:
    """A new Valkey client for RQ, which needs one that does not decode replies."""
    return redis.Redis.from_url(settings().redis_url)


def queue(name: QueueName) -> Queue:
    """The queue of that name; all queues of a process share one connection pool."""
    return Queue(name, connection=_shared_client(settings().redis_url), serializer=SERIALIZER)


@cache
def _shared_client(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url)


def enqueue(name: QueueName, job: Callable[..., None], subject_id: int, *more: int, after: str | None = None) -> Job:
    """Queue `job(subject_id, *more)`, with a few retries; returns the queued job.

    `after` is the id of a job that has to succeed first. The job's id says what it does (`check-good-12-3`), so
    queueing the same again while it waits replaces it, and at worst runs it twice.
    """
    return queue(name).enqueue_call(
        job,
        args=(subject_id, *more),
        job_id="-".join([job_id_of(job), *map(str, (subject_id, *more))]),
        depends_on=after,
        timeout=_TIMEOUT,
        # Must be given although no job waits that long: an id queued again otherwise keeps the expiry of the job that
        # had it before.
        ttl=_WAITING_TTL,
        result_ttl=_RESULT_TTL,
        failure_ttl=_FAILURE_TTL,
        retry=Retry(max=len(_RETRIES), interval=_RETRIES),
    )


def enqueue_attempt(name: QueueName, job: Callable[..., None], *arguments: int, job_id: str, timeout: int) -> None:
    """Queue one attempt at `job(*arguments)`, which may run `timeout` seconds.

    RQ neither retries it nor keeps a result: both are the caller's business (the outbox, for its messages).
    """
    queue(name).enqueue_call(
        job, args=arguments, job_id=job_id, timeout=timeout, ttl=_WAITING_TTL, result_ttl=0, failure_ttl=_FAILURE_TTL
    )


def enqueue_singleton(name: QueueName, job: Callable[[], None]) -> bool:
    """Queue `job()` unless it is queued or running already; returns whether it was queued now.

    For jobs that do everything there is to do at the moment: a caller whose work comes too late for the running one
    must ask again. A singleton that failed is not queued again for `_FAILED_PAUSE` seconds.
    """
    jobs = queue(name)
    job_id = job_id_of(job)
    try:
        _enqueue_alone(jobs, job, job_id, unique=True)
    except DuplicateJobError:
        # RQ's "unique" refuses an id under which any job is stored, and failed jobs stay stored.
        earlier = jobs.fetch_job(job_id)
        if earlier is not None and not _is_over(earlier):
            return False
        _enqueue_alone(jobs, job, job_id, unique=False)
    return True


def _enqueue_alone(jobs: Queue, job: Callable[[], None], job_id: str, *, unique: bool) -> None:
    jobs.enqueue_call(
        job,
        job_id=job_id,
        timeout=_SINGLETON_TIMEOUT,
        ttl=_WAITING_TTL,
        result_ttl=0,
        failure_ttl=_FAILURE_TTL,
        unique=unique,
    )


def _is_over(job: Job) -> bool:
    if job.get_status(refresh=False) not in _ENDED:
        return False
    return job.ended_at is None or (now() - job.ended_at).total_seconds() > _FAILED_PAUSE


def job_id_of(job: Callable[..., None]) -> str:
    """The prefix of the ids of `job`; for a singleton the whole id."""
    return job.__name__.removesuffix("_job").replace("_", "-")
