"""After-commit work that survives a crash.

A transaction that wants something done afterwards leaves a message here, in the same commit. The relay
(`tasks.relay`) turns committed messages into RQ jobs and deletes them only after Valkey has taken the job:
delivery is at least once, so jobs tolerate running twice.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import BigInteger, Index, String, delete, func, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from app.clock import utcnow
from app.columns import Base, created_moment, intpk

RELAY_HEARTBEAT_KEY: Final = "relay-heartbeat"
"""Valkey key that the relay sets with a lifetime; its value is when (ISO 8601, UTC). `/readyz` looks for it."""


class Topic(StrEnum):
    """What a message asks for; `tasks.relay` knows which job answers it."""

    GOOD_VERIFICATION = "good_verification"  # subject: the good
    SEARCH_INDEX = "search_index"  # subject: the good
    PAYMENT_REFUND = "payment_refund"  # subject: the refund


class OutboxMessage(Base):
    """One message that waits to be relayed."""

    __tablename__ = "outbox"
    __table_args__ = (Index(None, "topic", "id"),)

    id: Mapped[intpk]
    topic: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[created_moment]


def leave(session: Session, topic: Topic, subject_id: int) -> None:
    """Leave a message about the row `subject_id` in `session`'s transaction."""
    session.execute(insert(OutboxMessage).values(topic=topic.value, subject_id=subject_id, created_at=utcnow()))


def take(session: Session, topic: Topic, *, limit: int) -> list[OutboxMessage]:
    """The oldest messages of `topic`, locked for this transaction; those another process holds are passed over."""
    statement = (
        select(OutboxMessage)
        .where(OutboxMessage.topic == topic.value)
        .order_by(OutboxMessage.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(session.scalars(statement))


def done(session: Session, messages: list[OutboxMessage]) -> None:
    """Delete relayed `messages`, in the transaction that took them."""
    session.execute(delete(OutboxMessage).where(OutboxMessage.id.in_([message.id for message in messages])))


def backlog(session: Session) -> list[tuple[str, int, datetime]]:
    """`(topic, messages, oldest created_at)` for each topic with messages waiting."""
    statement = select(OutboxMessage.topic, func.count(), func.min(OutboxMessage.created_at)).group_by(
        OutboxMessage.topic
    )
    return [(topic, count, oldest) for topic, count, oldest in session.execute(statement)]
