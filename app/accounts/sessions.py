"""Sessions: what a login starts and every token belongs to.

The rows in PostgreSQL decide; Valkey only caches their verdicts, so that emptying it revives nothing. A session lives
while its row has not ended, has not expired, and has the generation of its user: a change of the password raises the
user's generation and takes only the session along that made it, so that one which was overlooked is dead all the same.

Refresh tokens are rotated as RFC 9700 (section 4.14.2) recommends: each works once. Used a second time it may be
stolen, and the session ends. Within the setting REFRESH_REUSE_INTERVAL it answers the same successor instead, because
two tabs may refresh at once and answers get lost.

What the cache says of a session is its user's id (it lives), `ended`, or `unsure`. Who ends a session writes `unsure`
before the commit and `ended` after it; who reads PostgreSQL caches a living session only where nothing is cached. So
neither a reader that was overtaken nor a process that dies around the commit leaves a dead session cached as living.
Only where Valkey does not take the `unsure`, a verdict cached before lives on, at most SESSION_CACHE_LIFETIME seconds.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import redis.exceptions
import structlog
from flask import current_app
from sqlalchemy import Row, Select, bindparam, delete, func, insert, literal, select, update
from sqlalchemy.orm import Session

from app.accounts.models import EndReason, LoginSession, User
from app.answers import Answer, Refused
from app.clock import utcnow
from app.db.columns import Base
from app.db.transactions import after_commit, row_or_none, transaction
from app.settings import settings

log = structlog.get_logger(__name__)

_KEY: Final = "session:"
_ENDED: Final = "ended"
_UNSURE: Final = "unsure"

_PAUSE: Final = 2.0
"""Seconds for which a process does not ask a cache that failed: a Valkey that hangs must not slow each request."""

_PURGE_MARGIN: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One pair of tokens of a session: the refresh token's id, and when the pair was made, in whole seconds."""

    user_id: int
    session_id: str
    jti: str
    at: datetime


# --- living ---


def lives(*, session_id: str, user_id: int) -> bool:
    """Whether this session of this user lives. One round trip to Valkey, or also one statement where it is not cached.

    A Valkey that does not answer is passed over: PostgreSQL alone decides then.
    """
    cached = _cached(session_id)
    if cached == str(user_id):
        return True
    if cached == _ENDED:
        return False
    if row_or_none(_LIVING, {"session_id": session_id, "user_id": user_id, "now": utcnow()}) is None:
        return False
    if cached is None:
        _cache_living(session_id, user_id)
    return True


def _living(*columns: Any) -> Select[Any]:
    """`columns` of the session `session_id` of the user `user_id`, if it lives at `now`."""
    return (
        select(*columns)
        .join(User, User.id == LoginSession.user_id)
        .where(
            LoginSession.id == bindparam("session_id"),
            LoginSession.user_id == bindparam("user_id"),
            LoginSession.ended_at.is_(None),
            LoginSession.expires_at > bindparam("now"),
            LoginSession.generation == User.generation,
        )
    )


_TABLE: Final = Base.metadata.tables[LoginSession.__tablename__]
_LIVING: Final = _living(LoginSession.id)
_LOCKED: Final = _living(
    LoginSession.refresh_jti, LoginSession.previous_jti, LoginSession.refreshed_at
).with_for_update(of=LoginSession)

# --- beginning and refreshing ---


def start_session(*, user_id: int, generation: int) -> Issue:
    """Begin a session for a login that verified the password when the user had this `generation`.

    Raises Refused(WRONG_CREDENTIALS) where it has changed since: then the password that was verified is no longer the
    user's. It is asked in the statement that makes the row, which waits for a change under way and looks again.
    """
    now = utcnow()
    issue = Issue(user_id=user_id, session_id=secrets.token_urlsafe(16), jti=_new_jti(), at=_whole_second(now))
    values = {
        "id": literal(issue.session_id),
        "user_id": User.id,
        "generation": User.generation,
        "refresh_jti": literal(issue.jti),
        "created_at": literal(now),
        "refreshed_at": literal(now),
        "expires_at": literal(_expiry(now)),
    }
    same = select(*values.values()).where(User.id == user_id, User.generation == generation).with_for_update(read=True)
    statement = insert(_TABLE).from_select(list(values), same).returning(_TABLE.c.id)
    with transaction() as session:
        if session.execute(statement).first() is None:
            raise Refused(Answer.WRONG_CREDENTIALS)
    return issue


def rotate(*, user_id: int, session_id: str, jti: str) -> Issue:
    """The next pair of tokens for the refresh token `jti`; within the reuse interval the same one again.

    Raises Refused(TOKEN_REVOKED) where the session does not live, and where the token was used before: that ends it.
    """
    now = utcnow()
    with transaction() as session:
        wanted = {"session_id": session_id, "user_id": user_id, "now": now}
        # Where the row was waited for, because a change of the password keeps this session, the statement compares the
        # new generation of the session with the old one of its user, which it has read before: so it is asked again.
        found = session.execute(_LOCKED, wanted).first() or session.execute(_LOCKED, wanted).first()
        issue = None if found is None else _next(session, found, user_id=user_id, session_id=session_id, jti=jti)
        reused = found is not None and issue is None
        if reused:
            _end(session, [session_id], EndReason.REFRESH_REUSED)
    if reused:
        log.warning("refresh_token_reused", user_id=user_id)
    if issue is None:
        raise Refused(Answer.TOKEN_REVOKED)
    return issue


def _next(session: Session, found: Row[Any], *, user_id: int, session_id: str, jti: str) -> Issue | None:
    """The successor of the token `jti` of this locked session; None for a token that was used too long ago."""
    now = utcnow()
    if jti == found.refresh_jti:
        issue = Issue(user_id=user_id, session_id=session_id, jti=_new_jti(), at=_whole_second(now))
        session.execute(
            update(LoginSession)
            .where(LoginSession.id == session_id)
            .values(refresh_jti=issue.jti, previous_jti=jti, refreshed_at=now, expires_at=_expiry(now))
        )
        return issue
    # Without a sign: a clock that was set back must not open the interval again.
    age = abs((now - found.refreshed_at).total_seconds())
    if jti == found.previous_jti and age <= settings().refresh_reuse_interval:
        at = _whole_second(found.refreshed_at)
        return Issue(user_id=user_id, session_id=session_id, jti=found.refresh_jti, at=at)
    return None


def _new_jti() -> str:
    return secrets.token_urlsafe(16)


def _whole_second(moment: datetime) -> datetime:
    # Tokens carry whole seconds.
    return moment.replace(microsecond=0)


def _expiry(now: datetime) -> datetime:
    """When the last token made at `now` expires."""
    return now + timedelta(seconds=max(settings().refresh_token_lifetime, settings().access_token_lifetime))


# --- ending ---


def end_session(*, user_id: int, session_id: str) -> None:
    """Refuse all tokens of the session from now on, also those that a simultaneous refresh makes."""
    with transaction() as session:
        own = select(LoginSession.id).where(LoginSession.id == session_id, LoginSession.user_id == user_id)
        _end(session, session.scalars(own.where(LoginSession.ended_at.is_(None))).all(), EndReason.LOGGED_OUT)


def end_sessions(session: Session, *, user_id: int, reason: EndReason, keep: str | None = None) -> None:
    """End every session of the user but `keep`, in the transaction of `session`, and every login under way.

    It locks the user's row: a login that verified the password before finds another generation.
    """
    raised = update(User).where(User.id == user_id).values(generation=User.generation + 1).returning(User.generation)
    generation = session.execute(raised).scalar_one_or_none()
    if generation is None:
        return
    alive = select(LoginSession.id).where(LoginSession.user_id == user_id, LoginSession.ended_at.is_(None))
    session_ids = session.scalars(alive.order_by(LoginSession.id).with_for_update()).all()
    _end(session, [each for each in session_ids if each != keep], reason)
    if keep is not None:
        kept = update(LoginSession).where(LoginSession.id == keep, LoginSession.user_id == user_id)
        session.execute(kept.values(generation=generation))


def end_all_sessions(session: Session) -> None:
    """End every session of everybody, in the transaction of `session`. What caches them has to be emptied as well."""
    session.execute(
        update(User).values(generation=User.generation + 1), execution_options={"synchronize_session": False}
    )


def _end(session: Session, session_ids: Sequence[str], reason: EndReason) -> None:
    if not session_ids:
        return
    _cache(session_ids, _UNSURE)
    ended = update(LoginSession).where(LoginSession.id.in_(session_ids), LoginSession.ended_at.is_(None))
    session.execute(
        ended.values(ended_at=utcnow(), end_reason=reason.value), execution_options={"synchronize_session": False}
    )
    after_commit(session, lambda: _cache(session_ids, _ENDED))


def purge_sessions() -> int:
    """Delete the rows of sessions whose tokens have all expired; returns how many. A session without row is refused."""
    with transaction() as session:
        over = delete(LoginSession).where(LoginSession.expires_at < utcnow() - _PURGE_MARGIN)
        count = select(func.count()).select_from(over.returning(LoginSession.id).cte("gone"))
        return session.scalars(count).one()


# --- the cache ---


class SessionCache:
    """Valkey as the cache of verdicts. Nothing it fails at is an error: reads say that nothing is cached."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._pause_ends = 0.0

    def get(self, session_id: str) -> str | None:
        """What is cached of the session; `unsure` where the cache cannot be asked."""
        if time.monotonic() < self._pause_ends:
            return _UNSURE
        try:
            found = self._client.get(_KEY + session_id)
        except redis.exceptions.RedisError as error:
            self._pause_ends = time.monotonic() + _PAUSE
            log.warning("session_cache_away", error=type(error).__name__)
            return _UNSURE
        return None if found is None else str(found)

    def put(self, session_ids: Sequence[str], verdict: str, *, seconds: int, only_new: bool = False) -> None:
        """Cache the same verdict for each session, for so many seconds; `only_new`: where none is cached."""
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                for session_id in session_ids:
                    pipeline.set(_KEY + session_id, verdict, ex=seconds, nx=only_new)
                pipeline.execute()
        except redis.exceptions.RedisError as error:
            self._pause_ends = time.monotonic() + _PAUSE
            log.warning("session_cache_away", error=type(error).__name__)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


def _session_cache() -> SessionCache:
    cache: SessionCache = current_app.extensions["saltfish.sessions"]
    return cache


def _cached(session_id: str) -> str | None:
    return _session_cache().get(session_id)


def _cache_living(session_id: str, user_id: int) -> None:
    _session_cache().put([session_id], str(user_id), seconds=settings().session_cache_lifetime, only_new=True)


def _cache(session_ids: Sequence[str], verdict: str) -> None:
    # Longer than any living verdict, so that none which was read before the end is cached after it.
    seconds = 2 * settings().session_cache_lifetime
    _session_cache().put(session_ids, verdict, seconds=seconds)
