"""The relay delivers committed outbox messages: `python -m tasks.relay`.

How it does so depends on the topic:

- SEARCH_INDEX: the search worker reads and deletes these messages itself; the relay only queues its job.
- GOOD_VERIFICATION: the review is queued as jobs and the message deleted; a sweep finds reviews whose jobs were lost.
- ORDER_STEP: the relay writes notifications and webhook messages in the transaction that deletes the message.
- REFUND_CONFIRMED, ORDER_HELD, ORDER_RELEASED: likewise, notifications; webhook messages for the last two.
- All others: the message is leased and a job queued (`tasks.outbox`) that deletes it when its work is done. If the
  relay or a worker is killed, or Valkey is emptied, the message is delivered again when the lease ends.

Any number of relays may run.
"""

import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import redis.exceptions
import structlog
from flask import Flask
from sqlalchemy import bindparam, exists, select
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from app import load_app
from app.clock import utcnow
from app.db.transactions import rows, transaction
from app.extensions import valkey
from app.notifications.service import notify_of_holds, notify_of_refunds, notify_of_releases, notify_of_steps
from app.outbox.models import OutboxMessage, Topic
from app.outbox.service import (
    RELAY_HEARTBEAT_KEY,
    RELAY_HEARTBEAT_SECONDS,
    complete,
    count_leased,
    lease,
    lock_due,
    lock_due_heads,
    make_far_dates_due,
    record_failure,
)
from app.webhooks.service import add_hold_webhooks, add_webhooks
from tasks.outbox import WORK, Work, enqueue_message, lease_seconds
from tasks.queues import QueueName, enqueue_singleton
from tasks.search import drain_search_outbox
from tasks.verification import add_good_verify_task

log = structlog.get_logger(__name__)

_BATCH: Final = 100
_IDLE_SECONDS: Final = 0.2
_HEARTBEAT_SECONDS: Final = 5
_LONGEST_BACKOFF: Final = 5.0
_CLOCK_TOLERANCE: Final = 60  # seconds by which relays and workers on several machines may differ

# Seconds before each further attempt at work done by the relay itself. Few, as only bugs and the database can fail it.
_INLINE_WAITS: Final = (5, 30, 180, 1200)


def notice_clock_set_back() -> int:
    """Let no message wait for a time from before the clock was set back; returns how many did. Needs an app context."""
    longest = max(*_INLINE_WAITS, lease_seconds(), *(work.longest_wait for work in WORK.values()))
    with transaction() as session:
        found = make_far_dates_due(session, longest_wait=longest + _CLOCK_TOLERANCE)
    if found:
        log.warning("clock_was_set_back", messages=found)
    return found


def announce_steps(session: Session, event_ids: Sequence[int]) -> None:
    """Notify both parties of these steps of orders, and add webhook messages for them."""
    notify_of_steps(session, event_ids=event_ids)
    add_webhooks(session, event_ids=event_ids)


def announce_holds(session: Session, case_ids: Sequence[int]) -> None:
    """Notify both parties that these cases hold their orders, and add webhook messages for that."""
    notify_of_holds(session, case_ids=case_ids)
    add_hold_webhooks(session, Topic.HELD_WEBHOOK, case_ids=case_ids)


def announce_releases(session: Session, case_ids: Sequence[int]) -> None:
    """Notify both parties that their orders go on after these cases, and add webhook messages for that."""
    notify_of_releases(session, case_ids=case_ids)
    add_hold_webhooks(session, Topic.RELEASED_WEBHOOK, case_ids=case_ids)


# Topics whose messages are deleted as soon as jobs are queued for them; the function takes the subject's id.
_ENQUEUE: Final[dict[Topic, Callable[[int], object]]] = {Topic.GOOD_VERIFICATION: add_good_verify_task}
# Topics whose work is done by the relay; the function takes the subjects' ids.
_INLINE: Final[dict[Topic, Callable[[Session, Sequence[int]], None]]] = {
    Topic.ORDER_STEP: announce_steps,
    Topic.REFUND_CONFIRMED: lambda session, refund_ids: notify_of_refunds(session, refund_ids=refund_ids),
    Topic.ORDER_HELD: announce_holds,
    Topic.ORDER_RELEASED: announce_releases,
}
# The topics in `tasks.outbox.WORK` are leased. The only one left, SEARCH_INDEX, is read by the search worker itself.

# One query for all topics, because most rounds find nothing due.
_ANY_DUE: Final = select(
    *(
        exists()
        .where(
            OutboxMessage.topic == topic.value,
            OutboxMessage.dead_at.is_(None),
            OutboxMessage.due_at <= bindparam("now"),
        )
        .label(topic.value)
        for topic in Topic
    )
)


def relay_once() -> int:
    """Deliver at most one batch of each topic; returns how much there was to do (0: nothing). Needs an app context."""
    (found,) = rows(_ANY_DUE, {"now": utcnow()})
    due = found._mapping
    delivered = sum(_enqueue_batch(topic, enqueue) for topic, enqueue in _ENQUEUE.items() if due[topic.value])
    delivered += sum(_handle_batch(topic, handle) for topic, handle in _INLINE.items() if due[topic.value])
    delivered += sum(_lease_batch(topic, work) for topic, work in WORK.items() if due[topic.value])
    # The search worker, the index's only writer, deletes the messages that it has dealt with.
    return delivered + int(due[Topic.SEARCH_INDEX.value] and enqueue_singleton(QueueName.SEARCH, drain_search_outbox))


def _enqueue_batch(topic: Topic, enqueue: Callable[[int], object]) -> int:
    """Queue jobs for messages and delete the messages, after Valkey has accepted the jobs."""
    with transaction() as session:
        messages = lock_due(session, topic, limit=_BATCH)
        if not messages:
            return 0
        # One job is enough for several messages about one subject: it looks at the subject as it is now.
        for subject_id in dict.fromkeys(message.subject_id for message in messages):
            enqueue(subject_id)
        complete(session, messages)
    log.info("outbox_relayed", topic=topic.value, messages=len(messages))
    return len(messages)


def _handle_batch(topic: Topic, handle: Callable[[Session, Sequence[int]], None]) -> int:
    """Do the work of messages in the relay itself, in the transaction that deletes them."""
    ids: list[int] = []
    try:
        with transaction() as session:
            messages = lock_due_heads(session, topic, limit=_BATCH)
            ids = [message.id for message in messages]
            if ids:
                handle(session, [message.subject_id for message in messages])
                complete(session, messages)
    except OperationalError:  # the database is at fault, no message
        raise
    except Exception:
        log.exception("outbox_batch_failed", topic=topic.value, messages=len(ids))
        return sum(_handle_one(message_id, handle) for message_id in ids)
    if ids:
        log.info("outbox_handled", topic=topic.value, messages=len(ids))
    return len(ids)


def _handle_one(message_id: int, handle: Callable[[Session, Sequence[int]], None]) -> int:
    """As `_handle_batch` for one message of a batch that failed, so that the one at fault does not block the others."""
    try:
        with transaction() as session:
            message = _locked(session, message_id)
            if message is None:
                return 0
            handle(session, [message.subject_id])
            complete(session, [message])
    except OperationalError:
        raise
    except Exception as error:
        log.exception("outbox_message_failed", message_id=message_id)
        with transaction() as session:
            message = _locked(session, message_id)
            if message is None:
                return 0
            wait = _INLINE_WAITS[message.attempts] if message.attempts < len(_INLINE_WAITS) else None
            message.attempts += 1
            record_failure(session, message, error=f"{type(error).__name__}: {error}", retry_in=wait)
    return 1


def _locked(session: Session, message_id: int) -> OutboxMessage | None:
    """The message, locked, unless another relay has locked or completed it meanwhile."""
    message = session.get(OutboxMessage, message_id, with_for_update={"skip_locked": True})
    return None if message is None or message.dead_at is not None or message.due_at > utcnow() else message


def _lease_batch(topic: Topic, work: Work) -> int:
    """Lease messages, then queue a job for each. After a crash in between they are delivered again."""
    with transaction() as session:
        limit = work.in_flight - count_leased(session, topic)
        if limit <= 0:
            return 0
        messages = lock_due_heads(session, topic, limit=limit)
        lease(messages, seconds=lease_seconds())
        leased = [(message.id, message.attempts) for message in messages]
    for message_id, attempts in leased:
        enqueue_message(message_id, attempts, work=work)
    if leased:
        log.info("outbox_given_out", topic=topic.value, messages=len(leased))
    return len(leased)


def run(app: Flask, stop: threading.Event) -> None:
    """Relay until `stop` is set. While PostgreSQL or Valkey cannot be reached it logs, waits and tries again."""
    backoff = _IDLE_SECONDS
    heartbeat_due = 0.0
    log.info("relay_started")
    while not stop.is_set():
        try:
            with app.app_context():
                if time.monotonic() >= heartbeat_due:
                    valkey().set(RELAY_HEARTBEAT_KEY, utcnow().isoformat(), ex=RELAY_HEARTBEAT_SECONDS)
                    heartbeat_due = time.monotonic() + _HEARTBEAT_SECONDS
                    notice_clock_set_back()
                delivered = relay_once()
        except (DBAPIError, redis.exceptions.RedisError) as error:
            log.warning("relay_hindered", error=type(error).__name__, retry_in=backoff)
            stop.wait(backoff)
            backoff = min(2 * backoff, _LONGEST_BACKOFF)
            continue
        backoff = _IDLE_SECONDS
        if not delivered:
            stop.wait(_IDLE_SECONDS)
    log.info("relay_stopped")


def main() -> None:
    """Relay until SIGTERM or SIGINT."""
    stop = threading.Event()

    def request_stop(_signal: int, _frame: Any) -> None:  # Any: types.FrameType | None, which is not used
        stop.set()

    signal.signal(signal.SIGTERM, request_stop)
    signal.signal(signal.SIGINT, request_stop)
    run(load_app(), stop)


if __name__ == "__main__":
    main()
