"""Sessions of the back office: what a browser's cookie stands for. The API's tokens open nothing here, nor this there.

A token is made when a session begins and again when its second factor was given; none that a browser brings is ever
taken over, so nobody can prepare one for somebody else (session fixation). PostgreSQL keeps its SHA-256 alone.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.answers import Answer, Refused
from app.clock import utcnow
from app.db.transactions import row_or_none, transaction
from app.settings import settings
from app.staff.models import StaffSession
from app.staff_roles import Permission, permissions_of

UNCONFIRMED_SECONDS: Final = 600
"""How long there is between the password and the second factor."""

_SEEN_STEP: Final = timedelta(seconds=60)  # how exactly it is known when a session was last used
_PURGE_MARGIN: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Somebody of staff in a session of the back office. `confirmed`: the second factor was given in it."""

    id: int
    username: str
    roles: tuple[str, ...]
    permissions: frozenset[Permission]
    confirmed: bool


def begin_staff_session(*, user_id: int, generation: int, confirmed: bool = False) -> str:
    """Begin a session for a login that was verified when the user had this `generation`; its token.

    Raises Refused(WRONG_CREDENTIALS) where it has changed since, FORBIDDEN for one who is not of staff.
    """
    token, now = secrets.token_urlsafe(32), utcnow()
    with transaction() as session:
        # Locked, so that a change of the password or of roles under way is waited for.
        user = session.execute(
            select(User.generation, User.is_staff).where(User.id == user_id).with_for_update(read=True)
        ).one_or_none()
        if user is None or user.generation != generation:
            raise Refused(Answer.WRONG_CREDENTIALS)
        if not user.is_staff:
            raise Refused(Answer.FORBIDDEN)
        seconds = settings().office_session_lifetime if confirmed else UNCONFIRMED_SECONDS
        session.add(
            StaffSession(
                id=_digest(token),
                user_id=user_id,
                generation=generation,
                created_at=now,
                confirmed_at=now if confirmed else None,
                seen_at=now,
                expires_at=now + timedelta(seconds=seconds),
            )
        )
    return token


def member_of(token: str, *, in_use: bool = True) -> Member | None:
    """Whose living session the token is of; None where it is of none.

    It notes that the session is in use, unless a page asks by itself, which nobody may be looking at.
    """
    now = utcnow()
    row = row_or_none(
        select(
            *(User.id, User.username, User.staff_roles),
            *(StaffSession.confirmed_at, StaffSession.seen_at, StaffSession.id.label("session_id")),
        )
        .join(User, User.id == StaffSession.user_id)
        .where(
            StaffSession.id == _digest(token),
            StaffSession.ended_at.is_(None),
            StaffSession.expires_at > now,
            StaffSession.seen_at > now - timedelta(seconds=settings().office_session_idle),
            StaffSession.generation == User.generation,
            User.is_staff,
        )
    )
    if row is None:
        return None
    if in_use and now - row.seen_at > _SEEN_STEP:
        with transaction() as session:
            session.execute(update(StaffSession).where(StaffSession.id == row.session_id).values(seen_at=now))
    return Member(
        id=row.id,
        username=row.username,
        roles=tuple(row.staff_roles),
        permissions=permissions_of(row.staff_roles),
        confirmed=row.confirmed_at is not None,
    )


def confirm_staff_session(session: Session, token: str) -> str:
    """End the session of this token and begin a confirmed one of the same user, in the caller's transaction.

    Returns the new one's token. Raises Refused(LOGIN_REQUIRED) where the session has ended meanwhile.
    """
    ended = session.execute(
        update(StaffSession)
        .where(StaffSession.id == _digest(token), StaffSession.ended_at.is_(None))
        .values(ended_at=utcnow())
        .returning(StaffSession.user_id, StaffSession.generation)
    ).one_or_none()
    if ended is None:
        raise Refused(Answer.LOGIN_REQUIRED)
    return begin_staff_session(user_id=ended.user_id, generation=ended.generation, confirmed=True)


def end_staff_session(token: str) -> None:
    """End the session of this token, if it is of one."""
    with transaction() as session:
        living = update(StaffSession).where(StaffSession.id == _digest(token), StaffSession.ended_at.is_(None))
        session.execute(living.values(ended_at=utcnow()))


def end_staff_sessions(session: Session, user_id: int) -> None:
    """End every session of this user in the back office, in the caller's transaction."""
    living = update(StaffSession).where(StaffSession.user_id == user_id, StaffSession.ended_at.is_(None))
    session.execute(living.values(ended_at=utcnow()), execution_options={"synchronize_session": False})


def purge_staff_sessions() -> int:
    """Delete the rows of sessions that were over a month ago; returns how many."""
    with transaction() as session:
        over = delete(StaffSession).where(StaffSession.expires_at < utcnow() - _PURGE_MARGIN)
        count = select(func.count()).select_from(over.returning(StaffSession.id).cte("gone"))
        return session.scalars(count).one()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
