"""Notifications."""

from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.columns import Base, created_moment, intpk, moment

TITLE_LENGTH = 80
TEXT_LENGTH = 300


class NotificationKind(StrEnum):
    """What a notification is about, for clients to sort by."""

    ORDER = "order"  # a step that somebody else made
    REMINDER = "reminder"  # a deadline comes near
    PAYOUT = "payout"
    STAFF = "staff"  # a message of staff


class Notification(Base):
    """One thing that a user is told. `event` is the order's event behind it, or empty."""

    __tablename__ = "notifications"
    __table_args__ = (
        CheckConstraint("kind IN ('order', 'reminder', 'payout', 'staff')", name="kind_known"),
        # However often the relay takes a step up, it is told once.
        UniqueConstraint("order_event_id", "user_id"),
        Index("ix_notifications_user_id_id", "user_id", "id"),
        Index("ix_notifications_unread", "user_id", "id", postgresql_where=text("read_at IS NULL")),
    )

    id: Mapped[intpk]
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    kind: Mapped[str] = mapped_column(String(10))
    # No foreign key: checking it would wait for whoever has the order locked, and let them wait.
    order_id: Mapped[int | None] = mapped_column(BigInteger)
    order_event_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("order_events.id"))
    event: Mapped[str] = mapped_column(String(30), default="")
    title: Mapped[str] = mapped_column(String(TITLE_LENGTH))
    text: Mapped[str] = mapped_column(String(TEXT_LENGTH))
    read_at: Mapped[moment | None]
    created_at: Mapped[created_moment]
