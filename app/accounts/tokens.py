"""Sessions of access and refresh tokens. Views call it; services know no tokens.

A login starts a session: a random id that all its tokens carry as the claim `session`. Refresh tokens are rotated as
RFC 9700 (section 4.14.2) recommends: each works once. One that is used a second time may be stolen, and either the
thief or the victim has used it before, so the whole session ends.
"""

import secrets
import time
from typing import Any

import structlog
from flask_jwt_extended import create_access_token, create_refresh_token

from app.accounts.schemas import TokensOut
from app.answers import Answer, Refused
from app.extensions import valkey
from app.settings import settings
from app.web.auth import deny_token

log = structlog.get_logger(__name__)

_USED = "used-refresh-token:"
# A sorted set per user: the sessions that may be alive, by the time at which their last refresh token expires.
_SESSIONS = "sessions:"


def start_session(user_id: int) -> TokensOut:
    """The tokens of a new session."""
    return _issue(user_id, session=secrets.token_urlsafe(16))


def rotate(claims: dict[str, Any]) -> TokensOut:
    """New tokens for a valid refresh token with these claims. One that was used before ends its session.

    Raises Refused(TOKEN_REVOKED).
    """
    user_id, session = int(claims["sub"]), claims["session"]
    remaining = max(int(claims["exp"] - time.time()), 0) + 1
    if not valkey().set(_USED + claims["jti"], "1", nx=True, ex=remaining):
        end_session(user_id, session)
        log.warning("refresh_token_reused", user_id=user_id)
        raise Refused(Answer.TOKEN_REVOKED)
    return _issue(user_id, session=session)


def end_session(user_id: int, session: str) -> None:
    """Refuse all tokens of `session` from now on, also those that a simultaneous refresh makes."""
    deny_token(jti=session, seconds=_refresh_lifetime())
    valkey().zrem(f"{_SESSIONS}{user_id}", session)


def end_other_sessions(user_id: int, *, keep: str) -> None:
    """End every session of the user but `keep`."""
    for session in map(str, valkey().zrange(f"{_SESSIONS}{user_id}", 0, -1)):
        if session != keep:
            end_session(user_id, session)


def _issue(user_id: int, *, session: str) -> TokensOut:
    identity, claims = str(user_id), {"session": session}
    now, lifetime = int(time.time()), _refresh_lifetime()
    with valkey().pipeline() as pipeline:
        pipeline.zremrangebyscore(f"{_SESSIONS}{user_id}", 0, now)
        pipeline.zadd(f"{_SESSIONS}{user_id}", {session: now + lifetime})
        pipeline.expire(f"{_SESSIONS}{user_id}", lifetime)
        pipeline.execute()
    return {
        "access_token": create_access_token(identity, additional_claims=claims),
        "refresh_token": create_refresh_token(identity, additional_claims=claims),
        "expires_in": settings().access_token_lifetime,
    }


def _refresh_lifetime() -> int:
    return settings().refresh_token_lifetime
