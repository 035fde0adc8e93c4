"""Brings committed outbox messages to those who do the work: `python -m tasks.relay`.

How depends on the topic. The search worker drains its own where it lies. A good's review is queued and its message
deleted; the sweep finds reviews whose jobs got lost. Steps of orders are told right here, in the transaction that
deletes the message. All else is leased and queued as a job (`tasks.outbox`) that deletes the message when its work is
done: killing the relay or a worker, or emptying Valkey, only lets it come again. Any number of relays may run.
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

from app import create_app
from app.clock import utcnow
from app.db.transactions import rows, transaction
from app.extensions import valkey
from app.notifications.service import notify_of_steps
from app.outbox.models import OutboxMessage, Topic
from app.outbox.service import RELAY_HEARTBEAT_KEY, done, failed, lease, leased, take, take_heads
from app.webhooks.service import add_webhooks
from tasks.outbox import WORK, Work, enqueue_message, lease_seconds
from tasks.queues import QueueName, enqueue_singleton
from tasks.search import drain_search_outbox
from tasks.verification import add_good_verify_task

log = structlog.get_logger(__name__)

_BATCH: Final = 100
_IDLE_SECONDS: Final = 0.2
_HEARTBEAT_SECONDS: Final = 5
_HEARTBEAT_EXPIRY: Final = 30
_LONGEST_BACKOFF: Final = 5.0

# Seconds before each further attempt at what is handled here: faults of ours or the database's, so not many.
_INLINE_WAITS: Final = (5, 30, 180, 1200)


def announce_steps(session: Session, event_ids: Sequence[int]) -> None:
    """Tell both sides of these steps, and add their webhooks."""
    notify_of_steps(session, event_ids=event_ids)
    add_webhooks(session, event_ids=event_ids)


# Topics that become jobs at once; `deliver` takes the subject's id.
_DELIVER: Final[dict[Topic, Callable[[int], object]]] = {Topic.GOOD_VERIFICATION: add_good_verify_task}
# Topics whose work is done by the relay; the function takes the subjects' ids.
_INLINE: Final[dict[Topic, Callable[[Session, Sequence[int]], None]]] = {Topic.ORDER_STEP: announce_steps}
# Worked by jobs are the topics of `tasks.outbox.WORK`. The last one, SEARCH_INDEX, is drained where it lies.

# One look at all topics: most rounds find nothing.
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
    """Handle at most one batch of each topic; returns how much there was to do (0: nothing). Wants an app context."""
    (found,) = rows(_ANY_DUE, {"now": utcnow()})
    due = found._mapping
    carried = sum(_carry(topic, deliver) for topic, deliver in _DELIVER.items() if due[topic.value])
    carried += sum(_handle(topic, handle) for topic, handle in _INLINE.items() if due[topic.value])
    carried += sum(_give_out(topic, work) for topic, work in WORK.items() if due[topic.value])
    # The index's one writer deletes the rows that it has written.
    return carried + int(due[Topic.SEARCH_INDEX.value] and enqueue_singleton(QueueName.SEARCH, drain_search_outbox))


def _carry(topic: Topic, deliver: Callable[[int], object]) -> int:
    """Turn messages into jobs and delete them after Valkey has taken the jobs."""
    with transaction() as session:
        messages = take(session, topic, limit=_BATCH)
        if not messages:
            return 0
        # Several messages about one subject ask for the same: each job looks at the subject as it is.
        for subject_id in dict.fromkeys(message.subject_id for message in messages):
            deliver(subject_id)
        done(session, messages)
    log.info("outbox_relayed", topic=topic.value, messages=len(messages))
    return len(messages)


def _handle(topic: Topic, handle: Callable[[Session, Sequence[int]], None]) -> int:
    """Do the work of messages right here, in the transaction that deletes them."""
    ids: list[int] = []
    try:
        with transaction() as session:
            messages = take_heads(session, topic, limit=_BATCH)
            ids = [message.id for message in messages]
            if ids:
                handle(session, [message.subject_id for message in messages])
                done(session, messages)
    except OperationalError:  # the database, not a message
        raise
    except Exception:
        log.exception("outbox_batch_failed", topic=topic.value, messages=len(ids))
        return sum(_handle_alone(message_id, handle) for message_id in ids)
    if ids:
        log.info("outbox_handled", topic=topic.value, messages=len(ids))
    return len(ids)


def _handle_alone(message_id: int, handle: Callable[[Session, Sequence[int]], None]) -> int:
    """As `_handle` for one message of a batch that failed, so that the one at fault does not hold up the others."""
    try:
        with transaction() as session:
            message = _locked(session, message_id)
            if message is None:
                return 0
            handle(session, [message.subject_id])
            done(session, [message])
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
            failed(session, message, error=f"{type(error).__name__}: {error}", retry_in=wait)
    return 1


def _locked(session: Session, message_id: int) -> OutboxMessage | None:
    """The message, unless another relay has it or dealt with it meanwhile."""
    message = session.get(OutboxMessage, message_id, with_for_update={"skip_locked": True})
    return None if message is None or message.dead_at is not None or message.due_at > utcnow() else message


def _give_out(topic: Topic, work: Work) -> int:
    """Lease messages, then queue a job for each. A crash in between, or an emptied Valkey: they come again."""
    with transaction() as session:
        limit = work.in_flight - leased(session, topic)
        if limit <= 0:
            return 0
        messages = take_heads(session, topic, limit=limit)
        lease(messages, seconds=lease_seconds())
        given = [(message.id, message.attempts) for message in messages]
    for message_id, attempts in given:
        enqueue_message(message_id, attempts)
    if given:
        log.info("outbox_given_out", topic=topic.value, messages=len(given))
    return len(given)


def run(app: Flask, stop: threading.Event) -> None:
    """Relay until `stop` is set. While PostgreSQL or Valkey are away it logs, waits and tries again."""
    backoff = _IDLE_SECONDS
    heartbeat_due = 0.0
    log.info("relay_started")
    while not stop.is_set():
        try:
            with app.app_context():
                if time.monotonic() >= heartbeat_due:
                    valkey().set(RELAY_HEARTBEAT_KEY, utcnow().isoformat(), ex=_HEARTBEAT_EXPIRY)
                    heartbeat_due = time.monotonic() + _HEARTBEAT_SECONDS
                carried = relay_once()
        except (DBAPIError, redis.exceptions.RedisError) as error:
            log.warning("relay_hindered", error=type(error).__name__, retry_in=backoff)
            stop.wait(backoff)
            backoff = min(2 * backoff, _LONGEST_BACKOFF)
            continue
        backoff = _IDLE_SECONDS
        if not carried:
            stop.wait(_IDLE_SECONDS)
    log.info("relay_stopped")


def main() -> None:
    """Relay until SIGTERM or SIGINT."""
    stop = threading.Event()

    def end(_signal: int, _frame: Any) -> None:  # Any: types.FrameType | None, which nobody looks at
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    run(create_app(), stop)


if __name__ == "__main__":
    main()
