"""After-commit work that survives a crash.

A transaction that wants something done afterwards adds a message here, in the same commit. The table is the queue:
the relay (`tasks.relay`) gives messages out, and one is deleted only in the transaction that did its work, or after
its work was done. Delivery is at least once, so whoever does the work tolerates doing it twice.

Messages of one stream are given out one after the other, in the order in which they were added. One that fails comes
again later and holds its stream up meanwhile; one that is dead (given up, for an operator to look at) does not.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Select, delete, func, insert, select, update
from sqlalchemy.orm import Session, aliased

from app.clock import utcnow
from app.db.columns import Base
from app.outbox.models import ERROR_LENGTH, OutboxMessage, Topic

RELAY_HEARTBEAT_KEY: Final = "relay-heartbeat"
"""Valkey key that the relay sets with a lifetime; its value is when (ISO 8601, UTC). `/readyz` looks for it."""

# Where all that is found waits for others: how many are looked at together then, and how often in one transaction.
_LOOK: Final = 1000
_LOOKS: Final = 10


class PermanentFailure(Exception):  # noqa: N818 - it says what happened
    """Doing a message's work failed for good: trying again would not help. The message is dead at once."""


_earlier = aliased(OutboxMessage)
_HEAD: Final = (
    select(func.min(_earlier.id))
    .where(_earlier.stream == OutboxMessage.stream, _earlier.dead_at.is_(None))
    .correlate(OutboxMessage)
    .scalar_subquery()
)
"""The first living message of a message's stream; NULL where it has none."""


# Of the table, not of the class: the ORM's insert costs several times as much, and every step adds messages.
_ADD: Final = insert(Base.metadata.tables[OutboxMessage.__tablename__])


def add_message(session: Session, topic: Topic, subject_id: int, *, stream: str | None = None) -> None:
    """Add a message about the row `subject_id` in `session`'s transaction.

    Messages of a `stream` are worked in the order of their ids: who adds them holds a lock (the order's row) that
    lets nobody else add one meanwhile.
    """
    now = utcnow()
    values = {"topic": topic.value, "subject_id": subject_id, "stream": stream, "due_at": now, "created_at": now}
    session.execute(_ADD, values)


def take(session: Session, topic: Topic, *, limit: int) -> list[OutboxMessage]:
    """The first due messages of `topic`, locked for this transaction; those another process holds are passed over.

    For topics without streams, whose messages are done in the transaction that takes them.
    """
    return list(session.scalars(_due(topic, limit)))


def take_heads(session: Session, topic: Topic, *, limit: int) -> list[OutboxMessage]:
    """As `take`, of each stream only the first message, however long it is not due yet."""
    look = limit
    for _ in range(_LOOKS):
        found = session.execute(_due(topic, look).add_columns(_HEAD.label("head"))).all()
        heads = [message for message, head in found if head in (None, message.id)]
        blocked = [message.id for message, head in found if head not in (None, message.id)]
        put_off = _put_off(session, blocked) if blocked else 0
        if heads or not put_off:
            break
        look = max(limit, _LOOK)
    return heads[:limit]


def _put_off(session: Session, message_ids: Sequence[int]) -> int:
    """Let locked messages become due with what they wait for; returns how many had to be put off.

    Else those of a stalled stream would be looked at again and again, and crowd out all others. A statement of its
    own: what was done since the messages were locked has made the next one due (`_wake`), and that stays so.
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


def done(session: Session, messages: Sequence[OutboxMessage]) -> None:
    """Delete `messages`, whose work is done, and let what waited for them in their streams be given out."""
    session.execute(delete(OutboxMessage).where(OutboxMessage.id.in_([message.id for message in messages])))
    _wake(session, {message.stream for message in messages if message.stream is not None})


def _wake(session: Session, streams: Collection[str]) -> None:
    """Make the first messages of `streams` due.

    Also those that are due already: one that the relay is about to put off (`take_heads`) is waited for and then
    changed back.
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
    """Give `messages` away: they come again after so many seconds unless whoever got them reports back."""
    until = utcnow() + timedelta(seconds=seconds)
    for message in messages:
        message.leased, message.due_at = True, until


def leased(session: Session, topic: Topic) -> int:
    """How many messages of `topic` are given away just now."""
    statement = select(func.count()).where(
        OutboxMessage.topic == topic.value, OutboxMessage.leased, OutboxMessage.due_at > utcnow()
    )
    return session.execute(statement).scalar_one()


def begin(message: OutboxMessage, *, attempt: int, seconds: int) -> bool:
    """Begin the work of a locked message, which then lasts at most `seconds`; returns whether it is ours to do.

    Not where it is dead, or somebody else began since it was given out with `attempt` attempts behind it.
    """
    if message.dead_at is not None or message.attempts != attempt:
        return False
    message.attempts += 1
    lease([message], seconds=seconds)
    return True


def failed(session: Session, message: OutboxMessage, *, error: str, retry_in: int | None) -> None:
    """Note that the work of a locked message failed. It comes again in `retry_in` seconds; with None it is dead."""
    message.leased = False
    message.last_error = error.replace("\x00", "")[:ERROR_LENGTH]
    if retry_in is not None:
        message.due_at = utcnow() + timedelta(seconds=retry_in)
        return
    message.dead_at = utcnow()
    session.flush()
    if message.stream is not None:
        _wake(session, [message.stream])


def replay(session: Session, message_ids: Collection[int]) -> list[int]:
    """Make these messages due now; dead ones begin anew with all their attempts. Returns the ids that do not exist."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What lies in the outbox of one topic. The moments are None where nothing waits."""

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
