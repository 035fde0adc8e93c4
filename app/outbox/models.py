"""The outbox table: after-commit work that survives a crash."""

from enum import StrEnum
from typing import Final

from sqlalchemy import BigInteger, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.columns import Base, created_moment, intpk, moment

ERROR_LENGTH: Final = 500
"""Characters kept of what went wrong with a message."""


class Topic(StrEnum):
    """What a message asks for; `tasks.relay` knows who does it."""

    GOOD_VERIFICATION = "good_verification"  # subject: the good
    SEARCH_INDEX = "search_index"  # subject: the good
    ORDER_STEP = "order_step"  # subject: the line of the order's history
    WEBHOOK = "webhook"  # subject: the line of the order's history
    PAYMENT_REFUND = "payment_refund"  # subject: the refund
    PAYOUT = "payout"  # subject: the payout


class OutboxMessage(Base):
    """One message that waits for its work.

    `due_at` is when it may be given out: at first when it was left, then the end of a lease or of the wait after a
    failure. `leased` says that somebody was given it and has not reported back. `attempts` counts the times its work
    was begun, so one that kills every worker dies too.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_due", "topic", "due_at", "id", postgresql_where=text("dead_at IS NULL")),
        Index("ix_outbox_stream", "stream", "id", postgresql_where=text("dead_at IS NULL AND stream IS NOT NULL")),
        Index("ix_outbox_leased", "topic", "due_at", postgresql_where=text("leased")),
    )

    id: Mapped[intpk]
    topic: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[int] = mapped_column(BigInteger)
    stream: Mapped[str | None] = mapped_column(String(64))
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    leased: Mapped[bool] = mapped_column(default=False, server_default="false")
    due_at: Mapped[created_moment]
    last_error: Mapped[str | None] = mapped_column(String(ERROR_LENGTH))
    dead_at: Mapped[moment | None]
    created_at: Mapped[created_moment]
