"""The record of what staff did; their sessions in the back office, and their second factors."""

from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, column_property, mapped_column

from app.db.append_only import append_only
from app.db.columns import Base, created_moment, intpk, moment, table_args
from app.db.erasable_texts import DIGEST_LENGTH, text_of


class ActionKind(StrEnum):
    """The kinds of actions; decisions are named after the order's event."""

    RESOLVE_FOR_BUYER = "resolve_for_buyer"
    RESOLVE_FOR_SELLER = "resolve_for_seller"
    ADD_STAFF = "add_staff"
    REMOVE_STAFF = "remove_staff"
    CHANGE_ROLES = "change_roles"
    RESET_SECOND_FACTOR = "reset_second_factor"
    REPLAY_MESSAGES = "replay_messages"
    EXPORT_LIST = "export_list"
    ISSUE_RESET_CODE = "issue_reset_code"
    TAKE_DOWN_GOOD = "take_down_good"
    RESTORE_GOOD = "restore_good"
    SUSPEND_USER = "suspend_user"
    LIFT_SUSPENSION = "lift_suspension"
    CLEAR_PROFILE = "clear_profile"
    DECIDE_MONEY_CASE = "decide_money_case"
    APPROVE_GOOD = "approve_good"
    REJECT_GOOD = "reject_good"
    BAN_PICTURE = "ban_picture"
    LIFT_BAN = "lift_ban"
    BAN_QUERY = "ban_query"
    ALLOW_QUERY = "allow_query"


class Subject(StrEnum):
    """What an action can be done to."""

    ORDER = "order"
    USER = "user"
    GOOD = "good"
    MONEY_CASE = "money_case"
    PICTURE = "picture"
    OUTBOX = "outbox"
    LIST = "list"
    QUERY = "query"


class StaffAction(Base):
    """One action of staff, with its reason. Append-only.

    `actor_id` is None for an operator on the command line; `subject` and `subject_id` say what the action was done to.
    """

    __tablename__ = "staff_actions"
    __table_args__ = table_args(
        Index("ix_staff_actions_subject_subject_id", "subject", "subject_id"),
    )

    id: Mapped[intpk]
    actor_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id"))
    action: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(20))
    subject_id: Mapped[int] = mapped_column(BigInteger)
    reason_digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH), ForeignKey("erasable_texts.digest"))
    reason: Mapped[str] = column_property(text_of(reason_digest))  # not of the row itself
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    at: Mapped[created_moment]


append_only(StaffAction.__table__)


class StaffSession(Base):
    """One login to the back office. `id` is the SHA-256 of the token in the browser's cookie, which is kept nowhere.

    Until `confirmed_at` it opens nothing but the page that asks for the second factor. It ends with its time, when
    nothing was asked in it for a while, and when its user has another `generation` (as `LoginSession`).
    """

    __tablename__ = "staff_sessions"
    __table_args__ = table_args(
        Index("ix_staff_sessions_user_id", "user_id"),
        Index("ix_staff_sessions_expires_at", "expires_at"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    generation: Mapped[int]
    created_at: Mapped[created_moment]
    confirmed_at: Mapped[moment | None]
    seen_at: Mapped[moment]
    expires_at: Mapped[moment]
    ended_at: Mapped[moment | None]


class SecondFactor(Base):
    """The secret of somebody's one-time passwords (TOTP, RFC 6238), encrypted; it counts once it was confirmed.

    `last_counter` is the time step of the last password that was taken: neither it nor an earlier one works again.
    """

    __tablename__ = "second_factors"

    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"), primary_key=True)
    secret: Mapped[str] = mapped_column(String(200))
    last_counter: Mapped[int] = mapped_column(BigInteger, default=0)
    confirmed_at: Mapped[moment | None]
    created_at: Mapped[created_moment]
