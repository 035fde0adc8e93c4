"""Authentication: which bearer tokens are ours, whose they are, and whether their session lives.

A token opens this API only if it is signed by our key, names us as its issuer (`iss`) and this API as its only audience
(`aud`), and has every claim of ours, an end (`exp`) among them. Whatever else is signed by the same key (tickets of the
cashier, links that come back from the gateway) has neither, and opens nothing.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from flask import current_app, request
from flask_jwt_extended import decode_token
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt import ExpiredSignatureError, InvalidTokenError

from app.accounts.queries import has_permission
from app.accounts.sessions import lives
from app.answers import Answer, Refused
from app.extensions import jwt
from app.settings import settings
from app.staff_roles import Permission
from app.web.tickets import CashierTicket, read_cashier_ticket

ISSUER: Final = "saltfish"
"""Who makes our tokens: the claim `iss`."""

AUDIENCE: Final = "saltfish-api"
"""What our tokens are for: the claim `aud`."""

_CLAIMS: Final = frozenset({"iss", "aud", "exp", "iat", "nbf", "sub", "jti", "type", "session"})

_USER_ID: Final = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_SESSION_ID: Final = re.compile(r"[!-~]{1,64}", re.ASCII)


class Auth(Enum):
    """The authentication that an operation requires of its caller."""

    NONE = "none"  # tokens are ignored
    OPTIONAL = "optional"  # anybody; a token, if sent, must be valid
    USER = "user"  # a valid access token
    STAFF = "staff"  # as USER, of a user who is staff now and has the permission of the operation
    REFRESH = "refresh"  # a valid refresh token
    CASHIER = "cashier"  # as USER, or by a ticket for this order in `?token=`, because a browser opens the URL


@dataclass(frozen=True, slots=True)
class Actor:
    """The authenticated caller: the user's id, and the token's claims or the ticket that was shown instead."""

    id: int
    claims: dict[str, Any]
    ticket: CashierTicket | None = None


def authenticate(auth: Auth, permission: Permission = Permission.MEMBERS) -> Actor | None:
    """The caller, or None where `auth` allows anonymous ones.

    Raises LOGIN_REQUIRED without a token; TOKEN_INVALID and TOKEN_EXPIRED; TOKEN_REVOKED where the token's session has
    ended, except for refresh tokens, whose session is looked at when it is refreshed; FORBIDDEN where `auth`
    requires staff, for users who have not got the `permission`.
    """
    if auth is Auth.NONE:
        return None
    token = _bearer_token()
    if token is None and auth is Auth.CASHIER:
        if actor := _by_ticket():
            return actor
        token = request.args.get("token") or None
    if token is None:
        if auth is Auth.OPTIONAL:
            return None
        raise Refused(Answer.LOGIN_REQUIRED)
    claims = _verified(token, kind="refresh" if auth is Auth.REFRESH else "access")
    actor = Actor(id=int(claims["sub"]), claims=claims)
    if auth is not Auth.REFRESH and not lives(session_id=claims["session"], user_id=actor.id):
        raise Refused(Answer.TOKEN_REVOKED)
    # Looked up each time and not a claim of the token, so that a revoked role ends at once.
    if auth is Auth.STAFF and not has_permission(actor.id, permission):
        raise Refused(Answer.FORBIDDEN)
    return actor


def _by_ticket() -> Actor | None:
    """The buyer whose ticket for the order of this URL stands in `?token=`; None where an access token has to do.

    Raises TOKEN_EXPIRED, and TOKEN_INVALID for a ticket of another order and for what may not stand in a URL at all.
    """
    text = request.args.get("token", "")
    if not text:
        return None
    ticket = read_cashier_ticket(text)
    if ticket is None and settings().takes_access_token_in_url:
        return None
    if ticket is None or ticket.order_id != (request.view_args or {}).get("order_id"):
        raise Refused(Answer.TOKEN_INVALID)
    return Actor(id=ticket.buyer_id, claims={}, ticket=ticket)


def _bearer_token() -> str | None:
    """The token in the header `Authorization`; None where it names no bearer.

    The scheme is written in any case (RFC 9110, section 11.1), blanks may be any. Raises TOKEN_INVALID where what
    follows it is not one word, and for more than one bearer.
    """
    # A proxy may join several headers by commas, which no token has in it.
    fields = [field.split() for field in request.headers.get("Authorization", "").split(",")]
    bearers = [field[1:] for field in fields if field and field[0].lower() == "bearer"]
    if not bearers:
        return None
    if len(bearers) > 1 or len(bearers[0]) != 1:
        raise Refused(Answer.TOKEN_INVALID)
    return bearers[0][0]


def _verified(token: str, *, kind: str) -> dict[str, Any]:
    """The claims of a token of ours that is of this kind. Raises TOKEN_EXPIRED, TOKEN_INVALID."""
    try:
        claims: dict[str, Any] = decode_token(token)
    except ExpiredSignatureError:
        raise Refused(Answer.TOKEN_EXPIRED) from None
    except (InvalidTokenError, JWTExtendedException, ValueError, OverflowError, RecursionError):
        raise Refused(Answer.TOKEN_INVALID) from None
    if (
        claims["type"] != kind
        or claims["aud"] != AUDIENCE  # the library also takes a list that has it among others
        or not isinstance(claims["session"], str)
        or not _SESSION_ID.fullmatch(claims["session"])
        or not _USER_ID.fullmatch(claims["sub"])
    ):
        raise Refused(Answer.TOKEN_INVALID)
    return claims


@jwt.decode_key_loader
def _key(_header: dict[str, Any], claims: dict[str, Any]) -> str:
    """The key that must have signed a token with these claims. Raises `InvalidTokenError` where one is missing."""
    # Here, because the library fills in some of them, and takes a token that never expires.
    if not claims.keys() >= _CLAIMS:
        raise InvalidTokenError("a claim is missing")
    return str(current_app.config["JWT_SECRET_KEY"])
