"""Outbox messages that are done by one RQ job each: which function does the work, and how often it is tried."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from app.db.transactions import transaction
from app.outbox.models import OutboxMessage, Topic
from app.outbox.service import PermanentFailure, begin_attempt, complete, record_failure
from app.profiles.service import review_avatar
from app.recovery.service import send_code
from app.settings import settings
from app.vision import is_installed
from app.webhooks.service import send_held_webhook, send_released_webhook, send_webhook
from tasks.payments import send_payout, send_refund
from tasks.queues import QueueName, enqueue_attempt

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """How the messages of one topic are done.

    `run(subject_id)` does the work, outside any transaction; it may be run twice. It is tried at most `max_attempts`
    times, again `first_wait` seconds after the first failure and twice as long after each further one, at most
    `longest_wait`. At most `in_flight` messages are leased at a time, so that one slow receiver cannot fill the queue.
    With `looks` it is for the worker that has the models for pictures, where they are installed.
    """

    run: Callable[[int], None]
    max_attempts: int
    first_wait: int
    longest_wait: int = 3600
    in_flight: int = 50
    looks: bool = False

    def wait_after(self, attempts: int) -> int | None:
        """Seconds until the next attempt after so many; None after the last."""
        if attempts >= self.max_attempts:
            return None
        return min(self.first_wait << (attempts - 1), self.longest_wait)


WORK: Final[dict[Topic, Work]] = {
    # About eleven hours: a gateway may be away for a night's maintenance. What it has not decided by then is begun anew
    # by `tasks.payments.ask_again`.
    Topic.PAYMENT_REFUND: Work(run=send_refund, max_attempts=20, first_wait=10),
    Topic.PAYOUT: Work(run=send_payout, max_attempts=20, first_wait=10),
    # About a day: what fails here is the storage.
    Topic.AVATAR_REVIEW: Work(run=review_avatar, max_attempts=30, first_wait=5, looks=True),
    # As long as the code lives.
    Topic.ONE_TIME_CODE: Work(run=send_code, max_attempts=8, first_wait=5, longest_wait=240, in_flight=8),
    # About five hours.
    Topic.WEBHOOK: Work(run=send_webhook, max_attempts=15, first_wait=5, in_flight=8),
    Topic.HELD_WEBHOOK: Work(run=send_held_webhook, max_attempts=15, first_wait=5, in_flight=8),
    Topic.RELEASED_WEBHOOK: Work(run=send_released_webhook, max_attempts=15, first_wait=5, in_flight=8),
}


def lease_seconds() -> int:
    """Length of a lease in seconds: the message is delivered again then, unless its worker has reported back."""
    return settings().outbox_lease


def job_timeout() -> int:
    """Seconds the job may run: less than the lease, so that the worker reports back before that ends."""
    return lease_seconds() * 3 // 4


def enqueue_message(message_id: int, attempts: int, *, work: Work) -> None:
    """Queue the job that does the `work` of a leased message; `attempts` is how many were made before."""
    enqueue_attempt(
        QueueName.VISION if work.looks and is_installed() else QueueName.DEFAULT,
        work_message,
        message_id,
        attempts,
        job_id=f"outbox-{message_id}",
        timeout=job_timeout(),
    )


def work_message(message_id: int, attempts: int) -> None:
    """Job: do the work of a leased message and delete it, or record the failure and when it is due again.

    `attempts` is how many it had when it was leased: of several jobs for the same lease only the first does the work.
    """
    begun = _begin(message_id, attempts)
    if begun is None:
        return
    topic, subject_id = begun
    try:
        WORK[topic].run(subject_id)
    except Exception as error:  # noqa: BLE001 - whatever went wrong: the message records it and is tried again
        _record_failure(message_id, error, attempt=attempts + 1)
        return
    with transaction() as session:
        message = session.get(OutboxMessage, message_id, with_for_update=True)
        if message is not None:  # otherwise this attempt outlived its lease, and a later one has completed the message
            complete(session, [message])


def _begin(message_id: int, attempts: int) -> tuple[Topic, int] | None:
    """Start the attempt; `(topic, subject_id)` of the message, or None if this job should not do its work."""
    with transaction() as session:
        message = session.get(OutboxMessage, message_id, with_for_update=True)
        if message is None:
            return None
        topic = Topic(message.topic)
        work = WORK[topic]
        if attempts >= work.max_attempts and message.attempts == attempts and message.dead_at is None:
            # A worker that fails the last attempt marks the message as dead; this one was killed before it could.
            record_failure(session, message, error="the last attempt never reported back", retry_in=None)
            log.error("outbox_message_dead", message_id=message_id, topic=topic.value, error=message.last_error)
            return None
        started = begin_attempt(message, earlier_attempts=attempts, seconds=lease_seconds())
        return (topic, message.subject_id) if started else None


def _record_failure(message_id: int, error: Exception, *, attempt: int) -> None:
    with transaction() as session:
        message = session.get(OutboxMessage, message_id, with_for_update=True)
        if message is None or message.attempts != attempt:  # this attempt outlived its lease, and another began
            return
        topic = Topic(message.topic)
        wait = None if isinstance(error, PermanentFailure) else WORK[topic].wait_after(attempt)
        record_failure(session, message, error=f"{type(error).__name__}: {error}", retry_in=wait)
    about = {"message_id": message_id, "topic": topic.value, "attempt": attempt, "error": type(error).__name__}
    if wait is None:
        log.error("outbox_message_dead", **about, exc_info=error)
    else:
        log.warning("outbox_work_failed", **about, retry_in=wait, exc_info=error)
