"""Users, their sessions and their delivery addresses."""

from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, column_property, mapped_column

from app.db.append_only import append_only
from app.db.columns import Base, created_moment, intpk, moment
from app.db.erasable_texts import DIGEST_LENGTH, text_of


class User(Base):
    """A user. `username_key` is the normalised name (`app.accounts.usernames`), which is unique.

    `generation` counts what ended the user's sessions at once, such as changes of the password; see `LoginSession`.
    """

    __tablename__ = "users"
    __table_args__ = (
        # For the sweep that ends suspensions whose time is over.
        Index("ix_users_suspended_until", "suspended_until", postgresql_where=text("suspended_until IS NOT NULL")),
        # For the names of staff, which nobody else's may look like.
        Index("ix_users_staff", "id", postgresql_where=text("is_staff")),
        CheckConstraint("is_staff = (cardinality(staff_roles) > 0)", name="staff_has_roles"),
    )

    id: Mapped[intpk]
    username: Mapped[str] = mapped_column(String(20))
    username_key: Mapped[str] = mapped_column(String(40), unique=True)
    password_hash: Mapped[str] = mapped_column(String(200))
    # How others see the user: a name that need not be unique, and the avatar that passed its review; None where the
    # user has none.
    nickname: Mapped[str | None] = mapped_column(String(20))
    avatar_id: Mapped[int | None] = mapped_column(
        BigInteger, ForeignKey("avatars.id", name="fk_users_avatar_id_avatars", use_alter=True)
    )
    bio: Mapped[str] = mapped_column(String(200), default="")
    is_staff: Mapped[bool] = mapped_column(default=False)
    # Each a `app.staff_roles.StaffRole`; who has one is staff.
    staff_roles: Mapped[list[str]] = mapped_column(ARRAY(String(20)), default=list, server_default="{}")
    generation: Mapped[int] = mapped_column(default=0, server_default="0")
    # Since when staff keep the user out, until when (None: for good), and what the user is told of why.
    suspended_at: Mapped[moment | None]
    suspended_until: Mapped[moment | None]
    suspension_reason: Mapped[str] = mapped_column(String(500), default="", server_default="")
    deleted_at: Mapped[moment | None]  # by the user; the row stays for what refers to it, without a name
    created_at: Mapped[created_moment]


class EndReason(StrEnum):
    """What ended a session."""

    LOGGED_OUT = "logged_out"
    REFRESH_REUSED = "refresh_reused"  # a refresh token was used twice: it may be stolen
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a name
    PASSWORD_RESET = "password_reset"  # noqa: S105 - a name
    SUSPENDED = "suspended"  # by staff
    ACCOUNT_DELETED = "account_deleted"


class LoginSession(Base):
    """What one login started. It lives until it has ended or expired, or its user has another `generation`.

    `refresh_jti` is the id of the refresh token that works, `previous_jti` of the one that was used for it.
    """

    __tablename__ = "sessions"
    __table_args__ = (
        CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="ended_for_a_reason"),
        Index("ix_sessions_user_id", "user_id", postgresql_where=text("ended_at IS NULL")),
        Index("ix_sessions_expires_at", "expires_at"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    generation: Mapped[int]
    refresh_jti: Mapped[str] = mapped_column(String(64))
    previous_jti: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[created_moment]
    refreshed_at: Mapped[moment]
    expires_at: Mapped[moment]
    ended_at: Mapped[moment | None]
    end_reason: Mapped[str | None] = mapped_column(String(30))  # an `EndReason`


class StaffRead(Base):
    """What somebody of staff read of other people, and for what. Append-only; never what it said.

    `place` names the page or operation, `reason` is what they wrote, where they were asked for it.
    """

    __tablename__ = "staff_reads"
    __table_args__ = (
        Index("ix_staff_reads_actor_id", "actor_id", "id"),
        Index("ix_staff_reads_subject_ids", "subject_ids", postgresql_using="gin"),
    )

    id: Mapped[intpk]
    actor_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    subject: Mapped[str] = mapped_column(String(20))
    subject_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    place: Mapped[str] = mapped_column(String(80))
    reason_digest: Mapped[str | None] = mapped_column(String(DIGEST_LENGTH), ForeignKey("erasable_texts.digest"))
    reason: Mapped[str] = column_property(text_of(reason_digest))  # not of the row itself
    at: Mapped[created_moment]


append_only(StaffRead.__table__)


class Address(Base):
    """A delivery address. Orders copy it instead of referring to it, so that changing it changes no order."""

    __tablename__ = "addresses"
    __table_args__ = (
        Index("ix_addresses_user_id", "user_id"),
        Index("uq_addresses_default", "user_id", unique=True, postgresql_where=text("is_default")),
        CheckConstraint(r"mobile ~ '^(1[0-9]{10}|\+[0-9]{9,15})$'", name="mobile_form"),
    )

    id: Mapped[intpk]
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(String(30))
    mobile: Mapped[str] = mapped_column(String(16))  # as `app.fields.phones` keeps it
    province: Mapped[str] = mapped_column(String(30))
    city: Mapped[str] = mapped_column(String(30))  # empty where the place needs none, as `app.regions` knows
    district: Mapped[str] = mapped_column(String(30))
    detail: Mapped[str] = mapped_column(String(200))
    is_default: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[created_moment]
    updated_at: Mapped[moment]
