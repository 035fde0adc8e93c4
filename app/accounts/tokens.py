"""Access and refresh tokens: JSON Web Tokens that carry their session as the claim `session`. Services know none.

Everything in a pair follows from its `Issue`: the same issue gives the same two tokens, byte for byte, which is how a
refresh that is asked for twice is answered twice.
"""

from datetime import datetime, timedelta
from typing import Any

from flask_jwt_extended import create_access_token, create_refresh_token

from app.accounts.schemas import TokensOut
from app.accounts.sessions import Issue
from app.settings import settings


def tokens_of(issue: Issue) -> TokensOut:
    """The pair of tokens that `issue` stands for."""
    identity = str(issue.user_id)
    access_lifetime = settings().access_token_lifetime
    access = {"jti": f"{issue.jti}.access", **_claims(issue, lifetime=access_lifetime)}
    refresh = {"jti": issue.jti, **_claims(issue, lifetime=settings().refresh_token_lifetime)}
    return {
        "access_token": create_access_token(identity, additional_claims=access),
        "refresh_token": create_refresh_token(identity, additional_claims=refresh),
        "expires_in": access_lifetime,
    }


def _claims(issue: Issue, *, lifetime: int) -> dict[str, Any]:
    return {
        "session": issue.session_id,
        "iat": _seconds(issue.at),
        "nbf": _seconds(issue.at),
        "exp": _seconds(issue.at + timedelta(seconds=lifetime)),
    }


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
