"""The transactional outbox: work to do after a commit that survives a crash.

A transaction that wants something done afterwards adds a message in the same commit. The table is the queue: the relay
(`tasks.relay`) delivers its messages, and a message is deleted only in the transaction that did its work, or after the
work was done. Delivery is at least once, so the work must tolerate being done twice.

Messages of one stream are delivered one after the other, in the order in which they were added; the first one is the
stream's head. A message that fails is delivered again later and blocks its stream meanwhile; one that is dead (given
up, for an operator to look at) does not.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from flask import Flask, current_app
from sqlalchemy import Select, delete, func, insert, select, update
from sqlalchemy.orm import Session, aliased

from app.clock import utcnow
from app.db.columns import Base
from app.db.transactions import BeforeCommit, before_commit
from app.extensions import valkey
from app.outbox.models import ERROR_LENGTH, OutboxMessage, Topic

RELAY_HEARTBEAT_KEY: Final = "relay-heartbeat"
"""Valkey key that the relay sets with an expiry; its value is when (ISO 8601, UTC). `/readyz` looks for it."""

RELAY_HEARTBEAT_SECONDS: Final = 30
"""That expiry. A relay that lives sets the key anew every few seconds."""

MessageState = Literal["dead", "due", "at work", "waits"]

# Where every message found is blocked by its stream's head, the search goes on with more messages per scan.
_WIDE_SCAN: Final = 1000
_MAX_SCANS: Final = 10


def make_far_dates_due(session: Session, *, longest_wait: int) -> int:
    """Make messages due that would wait for more than `longest_wait` seconds, the longest that any may be given.

    They were dated before the clock was set back, and would wait until the old time comes again. Returns how many.
    """
    now = utcnow()
    statement = (
        update(OutboxMessage)
        .where(OutboxMessage.dead_at.is_(None), OutboxMessage.due_at > now + timedelta(seconds=longest_wait))
        .values(due_at=now)
        .returning(OutboxMessage.id)
    )
    return len(session.execute(statement, execution_options={"synchronize_session": False}).all())


def relay_runs() -> bool:
    """Whether a relay is at work. A heartbeat that would live longer than it may is from before the clock was set."""
    left: int = valkey().pttl(RELAY_HEARTBEAT_KEY)
    return 0 < left <= RELAY_HEARTBEAT_SECONDS * 1000


class PermanentFailure(Exception):  # noqa: N818 - it says what happened
    """A message's work failed in a way that trying again cannot help. The message is dead at once."""


_earlier = aliased(OutboxMessage)
_HEAD: Final = (
    select(func.min(_earlier.id))
    .where(_earlier.stream == OutboxMessage.stream, _earlier.dead_at.is_(None))
    .correlate(OutboxMessage)
    .scalar_subquery()
)
"""The id of the head of a message's stream: its first message that is not dead. NULL for a message without stream."""


# An insert into the table, not the class: the ORM's costs several times as much, and every order step adds messages.
_ADD: Final = insert(Base.metadata.tables[OutboxMessage.__tablename__])


_AT_COMMIT: Final = "saltfish.outbox.at_commit"


def do_at_commit(app: Flask, topic: Topic, model: type[Base], work: BeforeCommit) -> None:
    """Let every transaction that adds messages of `topic` also do `work` with their subjects, just before it commits.

    For what must never be behind the rows of `model` that the messages are about.
    """
    app.extensions.setdefault(_AT_COMMIT, {})[topic] = model, work


def add_message(session: Session, topic: Topic, subject_id: int, *, stream: str | None = None) -> None:
    """Add a message about the row `subject_id` in `session`'s transaction.

    Messages of one `stream` are delivered in the order of their ids, so the caller must hold a lock (for an order's
    stream, on the order's row) that keeps other transactions from adding to the stream meanwhile.
    """
    now = utcnow()
    values = {"topic": topic.value, "subject_id": subject_id, "stream": stream, "due_at": now, "created_at": now}
    session.execute(_ADD, values)
    model, work = current_app.extensions.get(_AT_COMMIT, {}).get(topic, (None, None))
    # Who adds the message has just changed the row, so this is a look into the session.
    subject = model and session.get(model, subject_id)
    if subject is not None:
        before_commit(session, work, subject)


def lock_due(session: Session, topic: Topic, *, limit: int) -> list[OutboxMessage]:
    """The first due messages of `topic`, locked for this transaction; skips those that another process has locked.

    For topics without streams, whose messages are completed in the transaction that locks them.
    """
    return list(session.scalars(_due(topic, limit)))


def lock_due_heads(session: Session, topic: Topic, *, limit: int) -> list[OutboxMessage]:
    """As `lock_due`, but of each stream only its head: while that is not due, nothing of the stream is."""
    scan = limit
    for _ in range(_MAX_SCANS):
        found = session.execute(_due(topic, scan).add_columns(_HEAD.label("head"))).all()
        heads = [message for message, head in found if head in (None, message.id)]
        blocked = [message.id for message, head in found if head not in (None, message.id)]
        postponed = _postpone_until_head(session, blocked) if blocked else 0
        if heads or not postponed:
            break
        scan = max(limit, _WIDE_SCAN)
    return heads[:limit]


def _postpone_until_head(session: Session, message_ids: Sequence[int]) -> int:
    """Make locked messages due when their stream's head is; returns how many were due before it.

    Otherwise those of a stalled stream would be found at every scan and crowd out all others. It is a separate
    statement, so that it sees what was completed since the messages were locked: then `_make_heads_due` has made the
    next message due, and it must stay so.
    """
    ahead = aliased(OutboxMessage)
    statement = (
        update(OutboxMessage)
        .where(OutboxMessage.id.in_(message_ids), ahead.id == _HEAD, ahead.due_at > OutboxMessage.due_at)
        .values(due_at=ahead.due_at)
        .returning(OutboxMessage.id)
    )
    return len(session.execute(statement, execution_options={"synchronize_session": False}).all())


def _due(topic: Topic, limit: int) -> Select[OutboxMessage]:
    return (
        select(OutboxMessage)
        .where(OutboxMessage.topic == topic.value, OutboxMessage.dead_at.is_(None), OutboxMessage.due_at <= utcnow())
        .order_by(OutboxMessage.due_at, OutboxMessage.id)
        .limit(limit)
        .with_for_update(of=OutboxMessage, skip_locked=True)
    )


def complete(session: Session, messages: Sequence[OutboxMessage]) -> None:
    """Delete `messages`, whose work is done; the next messages of their streams become due."""
    session.execute(delete(OutboxMessage).where(OutboxMessage.id.in_([message.id for message in messages])))
    _make_heads_due(session, {message.stream for message in messages if message.stream is not None})


def _make_heads_due(session: Session, streams: Collection[str]) -> None:
    """Make the heads of `streams` due.

    Heads that are due already are updated, too: a relay may be about to postpone one (`_postpone_until_head`); the
    update then waits for the relay's row lock and makes the message due again.
    """
    if not streams:
        return
    first = (
        select(func.min(OutboxMessage.id))
        .where(OutboxMessage.stream.in_(streams), OutboxMessage.dead_at.is_(None))
        .group_by(OutboxMessage.stream)
    )
    session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id.in_(first))
        .values(due_at=utcnow())
        .execution_options(synchronize_session=False)
    )


def lease(messages: Sequence[OutboxMessage], *, seconds: int) -> None:
    """Lease `messages` for so many seconds; they are delivered again unless their worker reports back by then."""
    until = utcnow() + timedelta(seconds=seconds)
    for message in messages:
        message.leased, message.due_at = True, until


def count_leased(session: Session, topic: Topic) -> int:
    """How many messages of `topic` are leased at the moment."""
    statement = select(func.count()).where(
        OutboxMessage.topic == topic.value, OutboxMessage.leased, OutboxMessage.due_at > utcnow()
    )
    return session.execute(statement).scalar_one()


def begin_attempt(message: OutboxMessage, *, earlier_attempts: int, seconds: int) -> bool:
    """Start an attempt at a locked message, leased for `seconds`; returns whether the caller should do the work.

    It should not where the message is dead, or another attempt was started since it was delivered with
    `earlier_attempts`.
    """
    if message.dead_at is not None or message.attempts != earlier_attempts:
        return False
    message.attempts += 1
    lease([message], seconds=seconds)
    return True


def record_failure(session: Session, message: OutboxMessage, *, error: str, retry_in: int | None) -> None:
    """Record that the work of a locked message failed. It is due again in `retry_in` seconds; with None it is dead."""
    message.leased = False
    message.last_error = error.replace("\x00", "")[:ERROR_LENGTH]
    if retry_in is not None:
        message.due_at = utcnow() + timedelta(seconds=retry_in)
        return
    message.dead_at = utcnow()
    session.flush()
    if message.stream is not None:
        _make_heads_due(session, [message.stream])


def state_of(message: Any) -> MessageState:
    """The state of a message or its row: `dead`, `at work` (leased), `due`, or `waits` (until it is due)."""
    if message.dead_at is not None:
        return "dead"
    if message.due_at <= utcnow():
        return "due"
    return "at work" if message.leased else "waits"


def failed(session: Session, *, dead_only: bool, topic: str | None = None) -> Sequence[int]:
    """The ids of the messages that were given up and, unless `dead_only`, of those that wait to be tried again."""
    waits_again = (OutboxMessage.attempts > 0) & ~OutboxMessage.leased & (OutboxMessage.due_at > utcnow())
    is_dead = OutboxMessage.dead_at.is_not(None)
    statement = select(OutboxMessage.id).where(is_dead if dead_only else is_dead | waits_again)
    if topic is not None:
        statement = statement.where(OutboxMessage.topic == topic)
    return session.scalars(statement.order_by(OutboxMessage.id)).all()


def replay(session: Session, message_ids: Collection[int]) -> list[int]:
    """Make these messages due now; dead ones start over with no attempts counted. Returns the ids that do not exist."""
    messages = list(
        session.scalars(
            select(OutboxMessage).where(OutboxMessage.id.in_(message_ids)).order_by(OutboxMessage.id).with_for_update()
        )
    )
    for message in messages:
        message.due_at, message.leased = utcnow(), False
        if message.dead_at is not None:
            message.dead_at, message.attempts = None, 0
    return sorted(set(message_ids) - {message.id for message in messages})


def revive(session: Session, topic: Topic, subject_id: int) -> bool:
    """Make the messages of `topic` about this subject due now, as `replay` does; False where there are none."""
    statement = select(OutboxMessage.id).where(
        OutboxMessage.topic == topic.value, OutboxMessage.subject_id == subject_id
    )
    found = session.scalars(statement).all()
    replay(session, found)
    return bool(found)


def revive_exhausted(session: Session, topics: Collection[Topic], *, died_before: datetime) -> int:
    """Begin messages anew whose attempts ran out before then; returns how many. Not those that failed permanently."""
    statement = select(OutboxMessage.id).where(
        OutboxMessage.topic.in_([topic.value for topic in topics]),
        OutboxMessage.dead_at < died_before,
        ~func.coalesce(OutboxMessage.last_error, "").startswith(f"{PermanentFailure.__name__}:"),
    )
    found = session.scalars(statement).all()
    replay(session, found)
    return len(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """The outbox messages of one topic in numbers. The moments (UTC) are None where no message waits."""

    topic: str
    waiting: int
    dead: int
    oldest_added_at: datetime | None
    oldest_due_at: datetime | None


def backlog(session: Session) -> list[Backlog]:
    """The backlog of each topic that has messages, dead ones included."""
    alive = OutboxMessage.dead_at.is_(None)
    statement = select(
        OutboxMessage.topic,
        func.count().filter(alive).label("waiting"),
        func.count().filter(~alive).label("dead"),
        func.min(OutboxMessage.created_at).filter(alive).label("oldest_added_at"),
        func.min(OutboxMessage.due_at).filter(alive).label("oldest_due_at"),
    ).group_by(OutboxMessage.topic)
    return [Backlog(**row._mapping) for row in session.execute(statement)]
