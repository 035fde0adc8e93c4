"""Where users are reached, and the codes that they are sent."""

from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db.columns import Base, created_moment, intpk, moment


class RecoveryChannel(Base):
    """A verified e-mail address or mobile number of a user; at most one of each."""

    __tablename__ = "recovery_channels"
    __table_args__ = (
        UniqueConstraint("user_id", "channel"),
        CheckConstraint("channel IN ('email', 'mobile')", name="channel_known"),
    )

    id: Mapped[intpk]
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    channel: Mapped[str] = mapped_column(String(10))  # a `Channel`
    address: Mapped[str] = mapped_column(String(254))
    verified_at: Mapped[created_moment]


class Purpose(StrEnum):
    """What a code is good for."""

    VERIFY = "verify"  # shows that its user reads `address`
    RESET = "reset"  # sets a new password


class OneTimeCode(Base):
    """A code that was or will be sent. The code itself is stored nowhere: it follows from `salt` and our key.

    A RESET belongs to the name that was typed, `username_key`, whether or not there is such a user, so that asking for
    one leaves the same trace for both. `channel` and `address` are where a VERIFY goes; a RESET
    looks them up when it is sent. `by_staff`: staff hand it out, nothing is sent.
    """

    __tablename__ = "one_time_codes"
    __table_args__ = (
        CheckConstraint("purpose IN ('verify', 'reset')", name="purpose_known"),
        CheckConstraint("tries_left >= 0", name="tries_left_not_negative"),
        Index("ix_one_time_codes_username_key", "username_key", "created_at"),
        Index("ix_one_time_codes_expires_at", "expires_at"),
    )

    id: Mapped[intpk]
    purpose: Mapped[str] = mapped_column(String(10))
    username_key: Mapped[str] = mapped_column(String(40))
    channel: Mapped[str | None] = mapped_column(String(10))
    address: Mapped[str | None] = mapped_column(String(254))
    salt: Mapped[str] = mapped_column(String(32))
    tries_left: Mapped[int]
    by_staff: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[created_moment]
    expires_at: Mapped[moment]
    used_at: Mapped[moment | None]
