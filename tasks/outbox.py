"""Messages of the outbox that are worked by a job each: what does the work, and how often it is tried."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from app.db.transactions import transaction
from app.outbox.models import OutboxMessage, Topic
from app.outbox.service import PermanentFailure, begin, done, failed
from app.settings import settings
from app.webhooks.service import send_webhook
from tasks.payments import send_payout, send_refund
from tasks.queues import QueueName, enqueue_attempt

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """How messages of one topic are worked.

    `run(subject_id)` does the work, outside any transaction; it may be run twice. It is tried `max_attempts` times,
    `first_wait` seconds after the first failure, twice as long after each further one, at most `longest_wait`. At most
    `in_flight` are given out at a time, so that one slow receiver cannot fill the queue.
    """

    run: Callable[[int], None]
    max_attempts: int
    first_wait: int
    longest_wait: int = 3600
    in_flight: int = 50

    def wait_after(self, attempts: int) -> int | None:
        """Seconds until the next attempt after so many; None after the last."""
        if attempts >= self.max_attempts:
            return None
        return min(self.first_wait << (attempts - 1), self.longest_wait)


WORK: Final[dict[Topic, Work]] = {
    # About eleven hours: a gateway may be away for a night's maintenance.
    Topic.PAYMENT_REFUND: Work(run=send_refund, max_attempts=20, first_wait=10),
    Topic.PAYOUT: Work(run=send_payout, max_attempts=20, first_wait=10),
    # About five hours.
    Topic.WEBHOOK: Work(run=send_webhook, max_attempts=15, first_wait=5, in_flight=8),
}


def lease_seconds() -> int:
    """How long a message is given out for: it comes again then, if whoever was given it never reported back."""
    return settings().outbox_lease


def job_timeout() -> int:
    """Seconds the job may run; what it then writes still falls into the lease."""
    return lease_seconds() * 3 // 4


def enqueue_message(message_id: int, attempts: int) -> None:
    """Queue the work of a leased message that has so many attempts behind it."""
    enqueue_attempt(
        QueueName.DEFAULT,
        work_message,
        message_id,
        attempts,
        job_id=f"outbox-{message_id}",
        timeout=job_timeout(),
    )


def work_message(message_id: int, attempts: int) -> None:
    """Do the work of a leased message and delete it, or note the failure and when it comes again.

    `attempts` is how many it had when it was given out: of several jobs for the same lease only the first works.
    """
    begun = _begin(message_id, attempts)
    if begun is None:
        return
    topic, subject_id = begun
    try:
        WORK[topic].run(subject_id)
    except Exception as error:  # noqa: BLE001 - whatever went wrong: the message keeps it and comes again
        _note_failure(message_id, error, attempt=attempts + 1)
        return
    with transaction() as session:
        message = session.get(OutboxMessage, message_id, with_for_update=True)
        if message is not None:  # else another attempt was done first: this one outlived its lease
            done(session, [message])


def _begin(message_id: int, attempts: int) -> tuple[Topic, int] | None:
    """`(topic, subject_id)` of the message if its work is ours to do."""
    with transaction() as session:
        message = session.get(OutboxMessage, message_id, with_for_update=True)
        if message is None:
            return None
        topic = Topic(message.topic)
        work = WORK[topic]
        if attempts >= work.max_attempts and message.attempts == attempts and message.dead_at is None:
            # Who notes a last failure lets the message die; whoever worked on this one was killed.
            failed(session, message, error="the last attempt never reported back", retry_in=None)
            log.error("outbox_message_dead", message_id=message_id, topic=topic.value, error=message.last_error)
            return None
        return (topic, message.subject_id) if begin(message, attempt=attempts, seconds=lease_seconds()) else None


def _note_failure(message_id: int, error: Exception, *, attempt: int) -> None:
    with transaction() as session:
        message = session.get(OutboxMessage, message_id, with_for_update=True)
        if message is None or message.attempts != attempt:  # this attempt outlived its lease, and another began
            return
        topic = Topic(message.topic)
        wait = None if isinstance(error, PermanentFailure) else WORK[topic].wait_after(attempt)
        failed(session, message, error=f"{type(error).__name__}: {error}", retry_in=wait)
    about = {"message_id": message_id, "topic": topic.value, "attempt": attempt, "error": type(error).__name__}
    if wait is None:
        log.error("outbox_message_dead", **about, exc_info=error)
    else:
        log.warning("outbox_work_failed", **about, retry_in=wait, exc_info=error)
