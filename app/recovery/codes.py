"""One-time codes: made, tried, used up.

A code is eight digits of an HMAC over its row's id and salt, made with the key that signs tokens. So the table alone
tells no code, a message that is sent again carries the same one, and nothing has to be kept for that. With another key
the codes under way are void.
"""

import hmac
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, delete, func, insert, select, update
from sqlalchemy.orm import Session

from app.clock import utcnow
from app.db.transactions import autocommit_connection, transaction
from app.messaging.base import Channel
from app.recovery.models import OneTimeCode, Purpose
from app.settings import settings

DIGITS: Final = 8

TRIES: Final = 5
"""Guesses that each code allows."""

CODES_PER_HOUR: Final = 20
"""Codes of one purpose for one account. Its owner needs one or two; a flood of mail stops here."""

_KEPT: Final = timedelta(days=1)


def add_code(
    session: Session,
    *,
    purpose: Purpose,
    username_key: str,
    lifetime: int,
    channel: Channel | None = None,
    address: str | None = None,
    by_staff: bool = False,
) -> int:
    """Make a code that lives `lifetime` seconds, in the transaction of `session`; the id of its row."""
    now = utcnow()
    statement = insert(OneTimeCode).values(
        purpose=purpose.value,
        username_key=username_key,
        channel=channel,
        address=address,
        salt=secrets.token_hex(16),
        tries_left=TRIES,
        by_staff=by_staff,
        created_at=now,
        expires_at=now + timedelta(seconds=lifetime),
    )
    return session.execute(statement.returning(OneTimeCode.id)).scalar_one()


def code_of(row: Row[Any] | OneTimeCode) -> str:
    """The code that a row of the table stands for."""
    subject = f"one-time-code:{row.purpose}:{row.id}:{row.salt}".encode()
    digest = hmac.digest(settings().signing_key.encode(), subject, "sha256")
    return f"{int.from_bytes(digest) % 10**DIGITS:0{DIGITS}d}"


def made_lately(session: Session, *, purpose: Purpose, username_key: str) -> int:
    """How many codes were sent for this name within the last hour; those that staff hand out do not count."""
    statement = select(func.count()).where(
        _belongs(purpose, username_key),
        ~OneTimeCode.by_staff,
        OneTimeCode.created_at > utcnow() - timedelta(hours=1),
    )
    return session.scalars(statement).one()


def try_code(*, purpose: Purpose, username_key: str, code: str, channel: Channel | None = None) -> Row[Any] | None:
    """The row of the open code that `code` is, or None.

    Each open one loses a try first, whatever becomes of the request: simultaneous guesses cannot outrun the count.
    """
    conditions = [*_open(purpose, username_key), OneTimeCode.tries_left > 0]
    if channel is not None:
        conditions.append(OneTimeCode.channel == channel)
    statement = update(OneTimeCode).where(*conditions).values(tries_left=OneTimeCode.tries_left - 1)
    with autocommit_connection() as connection:
        tried = connection.execute(statement.returning(*OneTimeCode.__table__.c)).all()
    right = [row for row in tried if hmac.compare_digest(code_of(row).encode(), code.encode())]
    return right[0] if right else None


def use_up(session: Session, *, code_id: int, purpose: Purpose, username_key: str) -> bool:
    """Use the code in the transaction of `session`, and void all others of its kind; whether it was still there."""
    statement = update(OneTimeCode).where(*_open(purpose, username_key)).values(used_at=utcnow())
    return code_id in session.scalars(statement.returning(OneTimeCode.id)).all()


def purge_codes() -> None:
    """Delete the codes that ended a day ago."""
    with transaction() as session:
        session.execute(delete(OneTimeCode).where(OneTimeCode.expires_at < utcnow() - _KEPT))


def _belongs(purpose: Purpose, username_key: str) -> ColumnElement[bool]:
    return (OneTimeCode.username_key == username_key) & (OneTimeCode.purpose == purpose.value)


def _open(purpose: Purpose, username_key: str) -> Sequence[ColumnElement[bool]]:
    return [_belongs(purpose, username_key), OneTimeCode.used_at.is_(None), OneTimeCode.expires_at > utcnow()]
