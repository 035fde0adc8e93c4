"""Suspended users: their sessions end, and they cannot log in. Who suspends, and what becomes of goods, is staff's."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import EndReason, User
from app.accounts.schemas import SuspensionOut
from app.accounts.sessions import end_sessions
from app.answers import Answer, Refused
from app.clock import format_moment, format_moment_or_none, utcnow


def suspension_of(user: Any, *, now: datetime | None = None) -> SuspensionOut | None:
    """The suspension of a user (or a row with its three columns) that is in force; None where none is.

    One whose time is over is no longer in force, also before `app.staff.service` has ended it.
    """
    if user.suspended_at is None:
        return None
    if user.suspended_until is not None and user.suspended_until <= (now or utcnow()):
        return None
    return {
        "reason": user.suspension_reason,
        "since": format_moment(user.suspended_at),
        "until": format_moment_or_none(user.suspended_until),
    }


def refuse_suspended(user: Any) -> None:
    """Raise ACCOUNT_SUSPENDED, with why and until when, for a user (or row) whose suspension is in force."""
    suspension = suspension_of(user)
    if suspension is not None:
        raise Refused(Answer.ACCOUNT_SUSPENDED, data=suspension)


def lock_user(session: Session, user_id: int) -> User:
    """The user, locked against suspensions and releases of goods. Raises NO_SUCH_USER."""
    present = select(User).where(User.id == user_id, User.deleted_at.is_(None))
    user = session.scalar(present.with_for_update(key_share=True).execution_options(populate_existing=True))
    if user is None:
        raise Refused(Answer.NO_SUCH_USER)
    return user


def suspend(session: Session, user: User, *, reason: str, until: datetime | None) -> None:
    """Keep a locked user out until that moment, or for good; every session and every login under way ends."""
    user.suspended_at = utcnow()
    user.suspended_until, user.suspension_reason = until, reason
    session.flush()
    end_sessions(session, user_id=user.id, reason=EndReason.SUSPENDED)


def lift(user: User) -> None:
    """Let a locked user in again."""
    user.suspended_at = user.suspended_until = None
    user.suspension_reason = ""
