"""The outbox table: one row per message whose work is not done yet."""

from enum import StrEnum
from typing import Final

from sqlalchemy import BigInteger, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.columns import Base, created_moment, intpk, moment

ERROR_LENGTH: Final = 500
"""Characters kept of a message's last error."""


class Topic(StrEnum):
    """What a message asks for; `tasks.relay` maps it to the code that does it."""

    GOOD_VERIFICATION = "good_verification"  # subject: the good
    AVATAR_REVIEW = "avatar_review"  # subject: the avatar
    SEARCH_INDEX = "search_index"  # subject: the good
    ORDER_STEP = "order_step"  # subject: the line of the order's history
    WEBHOOK = "webhook"  # subject: the line of the order's history
    HELD_WEBHOOK = "held_webhook"  # subject: the case for which an order is held
    RELEASED_WEBHOOK = "released_webhook"  # subject: the case whose decision lets an order go on
    PAYMENT_REFUND = "payment_refund"  # subject: the refund
    REFUND_CONFIRMED = "refund_confirmed"  # subject: the refund
    ORDER_HELD = "order_held"  # subject: the case for which the order is held
    ORDER_RELEASED = "order_released"  # subject: the case whose decision lets it go on
    PAYOUT = "payout"  # subject: the payout
    ONE_TIME_CODE = "one_time_code"  # subject: the code


class OutboxMessage(Base):
    """One message whose work is not done yet.

    `due_at` is when it may next be delivered: at first when it was added, later when its lease or the wait after a
    failure ends. `leased` means that it was delivered and its worker has not reported back. `attempts` counts the times
    its work was started (not the failures), so that a message which kills every worker is given up in the end, too.
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
