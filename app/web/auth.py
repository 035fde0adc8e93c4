"""Authentication: bearer tokens by Flask-JWT-Extended, revoked tokens in Valkey, and the answers to bad tokens."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

from flask import Response, request
from flask_jwt_extended import verify_jwt_in_request
from flask_jwt_extended.exceptions import InvalidHeaderError

from app.accounts.queries import is_staff
from app.answers import Answer, Refused
from app.extensions import jwt, valkey
from app.settings import settings
from app.web.envelope import envelope
from app.web.tickets import CashierTicket, read_cashier_ticket


class Auth(Enum):
    """The authentication that an operation requires of its caller."""

    NONE = "none"  # tokens are ignored
    OPTIONAL = "optional"  # anybody; a token, if sent, must be valid
    USER = "user"  # a valid access token
    STAFF = "staff"  # as USER, of a user who is staff now
    REFRESH = "refresh"  # a valid refresh token
    CASHIER = "cashier"  # as USER, or by a ticket for this order in `?token=`, because a browser opens the URL


@dataclass(frozen=True, slots=True)
class Actor:
    """The authenticated caller: the user's id, and the token's claims or the ticket that was shown instead."""

    id: int
    claims: dict[str, Any]
    ticket: CashierTicket | None = None


def authenticate(auth: Auth) -> Actor | None:
    """The caller, or None where `auth` allows anonymous ones. Flask-JWT-Extended's errors pass through.

    Raises FORBIDDEN for users who are not staff where `auth` requires it.
    """
    if auth is Auth.NONE:
        return None
    if auth is Auth.CASHIER and (actor := _by_ticket()):
        return actor
    try:
        verified = verify_jwt_in_request(
            optional=auth is Auth.OPTIONAL,
            refresh=auth is Auth.REFRESH,
            locations=["headers", "query_string"] if auth is Auth.CASHIER else ["headers"],
        )
    except IndexError:
        # Flask-JWT-Extended 4.7.4 splits the header at commas and fails on a part that is only spaces.
        raise InvalidHeaderError("Bad Authorization header") from None
    if verified is None:
        return None
    claims = verified[1]
    actor = Actor(id=int(claims["sub"]), claims=claims)
    # Looked up each time and not a claim of the token, so that a revoked role ends at once.
    if auth is Auth.STAFF and not is_staff(actor.id):
        raise Refused(Answer.FORBIDDEN)
    return actor


def _by_ticket() -> Actor | None:
    """The buyer whose ticket for the order of this URL stands in `?token=`; None where an access token has to do.

    Raises TOKEN_EXPIRED, and TOKEN_INVALID for a ticket of another order and for what may not stand in a URL at all.
    """
    text = request.args.get("token", "")
    if not text or request.headers.get("Authorization", "")[:7].lower() == "bearer ":
        return None
    ticket = read_cashier_ticket(text)
    if ticket is None and settings().takes_access_token_in_url:
        return None
    if ticket is None or ticket.order_id != (request.view_args or {}).get("order_id"):
        raise Refused(Answer.TOKEN_INVALID)
    return Actor(id=ticket.buyer_id, claims={}, ticket=ticket)


_DENIED = "denied-token:"
_USER_ID = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


def deny_token(*, jti: str, seconds: int) -> None:
    """Refuse the token `jti` from now on. The entry is kept for `seconds`: the token's remaining lifetime."""
    valkey().set(_DENIED + jti, "1", ex=max(seconds, 1))


@jwt.token_in_blocklist_loader
def _is_denied(_header: dict[str, Any], claims: dict[str, Any]) -> bool:
    # A refresh token and the access tokens made with it share a session; logging out ends the session.
    return bool(valkey().exists(_DENIED + claims["jti"], _DENIED + str(claims.get("session"))))


@jwt.token_verification_loader
def _has_our_claims(_header: dict[str, Any], claims: dict[str, Any]) -> bool:
    return isinstance(claims.get("session"), str) and _USER_ID.fullmatch(str(claims["sub"])) is not None


@jwt.unauthorized_loader
def _missing(_reason: str) -> Response:
    return envelope(Answer.LOGIN_REQUIRED)


@jwt.invalid_token_loader
def _invalid(_reason: str) -> Response:
    return envelope(Answer.TOKEN_INVALID)


@jwt.expired_token_loader
def _expired(_header: dict[str, Any], _claims: dict[str, Any]) -> Response:
    return envelope(Answer.TOKEN_EXPIRED)


@jwt.revoked_token_loader
def _revoked(_header: dict[str, Any], _claims: dict[str, Any]) -> Response:
    return envelope(Answer.TOKEN_REVOKED)


@jwt.needs_fresh_token_loader
def _not_fresh(_header: dict[str, Any], _claims: dict[str, Any]) -> Response:
    return envelope(Answer.TOKEN_EXPIRED)


@jwt.token_verification_failed_loader
def _unverified(_header: dict[str, Any], _claims: dict[str, Any]) -> Response:
    return envelope(Answer.TOKEN_INVALID)


@jwt.user_lookup_error_loader
def _no_user(_header: dict[str, Any], _claims: dict[str, Any]) -> Response:
    return envelope(Answer.NO_SUCH_USER)
