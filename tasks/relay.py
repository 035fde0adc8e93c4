"""Carries committed outbox messages to the queues: `python -m tasks.relay`.

A message is deleted in the transaction that took it, after Valkey has taken the job. A crash in between delivers it
again, so nothing is ever lost and jobs may run twice. Any number of relays may run.
"""

import signal
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import redis.exceptions
import structlog
from flask import Flask
from sqlalchemy import exists, select
from sqlalchemy.exc import DBAPIError

from app import create_app
from app.clock import utcnow
from app.database import row_or_none, transaction
from app.extensions import valkey
from app.outbox import RELAY_HEARTBEAT_KEY, OutboxMessage, Topic, done, take
from tasks.payments import enqueue_refund
from tasks.queues import QueueName, enqueue_singleton
from tasks.search import drain_search_outbox
from tasks.verification import add_good_verify_task

log = structlog.get_logger(__name__)

_BATCH: Final = 100
_IDLE_SECONDS: Final = 0.2
_HEARTBEAT_SECONDS: Final = 5
_HEARTBEAT_EXPIRY: Final = 30
_LONGEST_BACKOFF: Final = 5.0

# Each topic's job takes the subject's id. The third topic, SEARCH_INDEX, is not carried but drained where it lies.
_DELIVER: Final[dict[Topic, Callable[[int], object]]] = {
    Topic.GOOD_VERIFICATION: add_good_verify_task,
    Topic.PAYMENT_REFUND: enqueue_refund,
}

_SEARCH_WAITS = select(exists().where(OutboxMessage.topic == Topic.SEARCH_INDEX.value).label("waits"))


def relay_once() -> int:
    """Carry at most one batch of each topic; returns how much there was to do (0: nothing). Wants an app context."""
    carried = sum(_carry(topic, deliver) for topic, deliver in _DELIVER.items())
    return carried + _ensure_search_drain()


def _carry(topic: Topic, deliver: Callable[[int], object]) -> int:
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


def _ensure_search_drain() -> int:
    """See to it that the search topic is drained: the index's one writer deletes the rows that it has written."""
    row = row_or_none(_SEARCH_WAITS)
    waits = row is not None and row.waits
    return int(waits and enqueue_singleton(QueueName.SEARCH, drain_search_outbox))


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
