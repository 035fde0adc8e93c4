"""The queues: their names, and how a job gets into one.

Everything that is enqueued anywhere goes through here: as JSON (never pickle), with an id that says what the job does,
and with lifetimes, so that nothing stays in Valkey for ever.
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
_SINGLETON_TIMEOUT: Final = 900  # Seconds a job about everything may run: draining may start with a new index
_WAITING_TTL: Final = 86_400  # Seconds a job may wait. Sweeps bring back what is still wanted.
_RESULT_TTL: Final = 500
_FAILURE_TTL: Final = 7 * 86_400
_RETRIES: Final = (2, 10, 60)  # Seconds before each retry
_FAILED_REST: Final = 5.0  # Seconds before a singleton that failed may be queued again

_ENDED: Final = frozenset({JobStatus.FINISHED, JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED})


class QueueName(StrEnum):
    """The queues; each has workers of its own (`python -m tasks.worker <name>`)."""

    DEFAULT = "default"
    SEARCH = "search"


def connect() -> redis.Redis:
    """A new Valkey client for RQ, which wants bytes."""
    return redis.Redis.from_url(settings().redis_url)


def queue(name: QueueName) -> Queue:
    """The queue of that name, on a connection that the process shares."""
    return Queue(name, connection=_shared(settings().redis_url), serializer=SERIALIZER)


@cache
def _shared(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url)


def enqueue(name: QueueName, job: Callable[..., None], subject_id: int, *more: int, after: str | None = None) -> Job:
    """Queue `job(subject_id, *more)`, to be retried a few times; returns the queued job.

    `after` is the id of a job that has to succeed first. The id tells what the job does (`check-good-12-3`): queueing
    the same again while it waits replaces it, and at worst runs it twice.
    """
    return queue(name).enqueue_call(
        job,
        args=(subject_id, *more),
        job_id="-".join([job_id_of(job), *map(str, (subject_id, *more))]),
        depends_on=after,
        timeout=_TIMEOUT,
        # Set even though nobody waits that long: queueing an id anew keeps the expiry of the job that had it before.
        ttl=_WAITING_TTL,
        result_ttl=_RESULT_TTL,
        failure_ttl=_FAILURE_TTL,
        retry=Retry(max=len(_RETRIES), interval=_RETRIES),
    )


def enqueue_attempt(name: QueueName, job: Callable[..., None], *arguments: int, job_id: str, timeout: int) -> None:
    """Queue one attempt at `job(*arguments)`, which may run `timeout` seconds.

    RQ tries nothing again here and keeps no result: whoever queues it knows what became of it.
    """
    queue(name).enqueue_call(
        job, args=arguments, job_id=job_id, timeout=timeout, ttl=_WAITING_TTL, result_ttl=0, failure_ttl=_FAILURE_TTL
    )


def enqueue_singleton(name: QueueName, job: Callable[[], None]) -> bool:
    """Queue `job()` unless it is queued or running already; returns whether it was queued now.

    For jobs that do whatever there is to do; who asks again after they ended misses nothing. One that failed is not
    queued again for a few seconds.
    """
    jobs = queue(name)
    job_id = job_id_of(job)
    try:
        _enqueue_alone(jobs, job, job_id, unique=True)
    except DuplicateJobError:
        # RQ's "unique" means that nothing is stored under the id, and what failed stays stored.
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
    return job.ended_at is None or (now() - job.ended_at).total_seconds() > _FAILED_REST


def job_id_of(job: Callable[..., None]) -> str:
    """What the ids of `job` begin with; a singleton's whole id."""
    return job.__name__.removesuffix("_job").replace("_", "-")
