"""The table of notifications."""

from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.columns import Base, created_moment, intpk, moment

TITLE_LENGTH = 80
TEXT_LENGTH = 300


class NotificationKind(StrEnum):
    """What a notification is about, for clients to group by."""

    ORDER = "order"  # a step of an order that somebody else made
    REMINDER = "reminder"  # a deadline is near
    PAYOUT = "payout"
    STAFF = "staff"  # a message of staff
    REVIEW = "review"  # what a review decided about a good
    SEARCH = "search"  # new goods that fit a saved search


class Notification(Base):
    """One notification of a user. `event` is the name of the order's or the payout's event that caused it, or empty."""

    __tablename__ = "notifications"
    __table_args__ = (
        CheckConstraint("kind IN ('order', 'reminder', 'payout', 'staff', 'review', 'search')", name="kind_known"),
        # The relay may process a step several times; each user is notified of it once.
        UniqueConstraint("order_event_id", "user_id"),
        Index("ix_notifications_user_id_id", "user_id", "id"),
        Index("ix_notifications_unread", "user_id", "id", postgresql_where=text("read_at IS NULL")),
    )

    id: Mapped[intpk]
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    kind: Mapped[str] = mapped_column(String(10))
    # No foreign key: checking it would wait for a lock of the order, and make others wait for it.
    order_id: Mapped[int | None] = mapped_column(BigInteger)
    saved_search_id: Mapped[int | None] = mapped_column(BigInteger)  # no foreign key: it may be deleted
    order_event_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("order_events.id"))
    event: Mapped[str] = mapped_column(String(30), default="")
    title: Mapped[str] = mapped_column(String(TITLE_LENGTH))
    text: Mapped[str] = mapped_column(String(TEXT_LENGTH))
    read_at: Mapped[moment | None]
    created_at: Mapped[created_moment]
