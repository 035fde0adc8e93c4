"""One-time codes: made, tried, used up.

A code is some digits of an HMAC over its row's id and salt, made with the key that signs tokens. So the table alone
tells no code, a message that is sent again carries the same one, and nothing has to be kept for that. With another key
the codes under way are void.

Whoever knows a username can guess at its codes. So a code bears many more wrong guesses than one network has
(`app.accounts.throttle.admit_reset`): a stranger at one address shuts nobody out. Strangers at many addresses can use
them up. So guesses from networks in which the account is at home are not counted: its owner there has the code all the
same, and each of these networks has only so many guesses. What staff hand out lives a day, and is longer: it bears
still more, and guesses at a shorter code do not count there.
"""

import hmac
import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, delete, exists, func, insert, select, update
from sqlalchemy.orm import Session

from app.clock import utcnow
from app.db.transactions import autocommit_connection, transaction
from app.messaging.base import Channel
from app.recovery.models import OneTimeCode, Purpose
from app.settings import settings

DIGITS: Final = 8
"""Of a code that is sent."""

STAFF_DIGITS: Final = 12
"""Of a code that staff hand out."""

TRIES: Final[Mapping[Purpose, int]] = {Purpose.VERIFY: 5, Purpose.RESET: 100}
"""Guesses that each code allows which is sent. At a VERIFY only its user can guess, logged in."""

STAFF_TRIES: Final = 10_000
"""Guesses that each code allows which staff hand out."""

VERIFY_CODES_PER_HOUR: Final = 20
"""Codes that a user may have sent to new addresses. Who needs one needs one or two; a flood of mail stops here."""

RESEND_SECONDS: Final = 5 * 60
"""How long a code for a forgotten password is the only one that is sent. So an account gets few mails, however many
people ask, and its owner always has one that is good."""

_KEPT: Final = timedelta(days=1)

_REQUESTS_LOCK: Final = 20261130  # the first of the two numbers of an advisory lock; no other lock of ours has it


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
        tries_left=STAFF_TRIES if by_staff else TRIES[purpose],
        by_staff=by_staff,
        created_at=now,
        expires_at=now + timedelta(seconds=lifetime),
    )
    return session.execute(statement.returning(OneTimeCode.id)).scalar_one()


def code_of(row: Row[Any] | OneTimeCode) -> str:
    """The code that a row of the table stands for."""
    subject = f"one-time-code:{row.purpose}:{row.id}:{row.salt}".encode()
    digest = hmac.digest(settings().signing_key.encode(), subject, "sha256")
    digits = STAFF_DIGITS if row.by_staff else DIGITS
    return f"{int.from_bytes(digest) % 10**digits:0{digits}d}"


def verify_codes_lately(session: Session, *, username_key: str) -> int:
    """How many codes for new addresses this user had within the last hour."""
    lately = OneTimeCode.created_at > utcnow() - timedelta(hours=1)
    return session.scalars(select(func.count()).where(_belongs(Purpose.VERIFY, username_key), lately)).one()


def is_reset_under_way(session: Session, *, username_key: str) -> bool:
    """Whether a code was sent for this name within `RESEND_SECONDS` that is still good. Simultaneous callers wait for
    each other until their transactions end."""
    session.execute(select(func.pg_advisory_xact_lock(_REQUESTS_LOCK, func.hashtext(username_key))))
    good = (
        *_open(Purpose.RESET, username_key),
        ~OneTimeCode.by_staff,
        OneTimeCode.tries_left > 0,
        OneTimeCode.created_at > utcnow() - timedelta(seconds=RESEND_SECONDS),
    )
    return session.scalars(select(exists().where(*good))).one()


def try_code(
    *, purpose: Purpose, username_key: str, code: str, channel: Channel | None = None, counted: bool = True
) -> Row[Any] | None:
    """The row of the open code that `code` is, or None.

    Each open one of its length loses a try first, whatever becomes of the request: simultaneous guesses cannot outrun
    the count. A guess that is not `counted` takes none, and needs none: something else has to slow whoever makes it.
    """
    conditions = [*_open(purpose, username_key), OneTimeCode.tries_left >= int(counted)]
    conditions.append(OneTimeCode.by_staff.is_(len(code) == STAFF_DIGITS))
    if channel is not None:
        conditions.append(OneTimeCode.channel == channel)
    statement = update(OneTimeCode).where(*conditions).values(tries_left=OneTimeCode.tries_left - int(counted))
    with autocommit_connection() as connection:
        tried = connection.execute(statement.returning(*OneTimeCode.__table__.c)).all()
    right = [row for row in tried if hmac.compare_digest(code_of(row).encode(), code.encode())]
    return right[0] if right else None


def use_up(session: Session, *, code_id: int, purpose: Purpose, username_key: str) -> bool:
    """Use the code in the transaction of `session`, and void all others of its kind; whether it was still there."""
    statement = update(OneTimeCode).where(*_open(purpose, username_key)).values(used_at=utcnow())
    return code_id in session.scalars(statement.returning(OneTimeCode.id)).all()


def void_all_codes(session: Session) -> None:
    """Void every code that is open, in the transaction of `session`."""
    void = update(OneTimeCode).where(OneTimeCode.used_at.is_(None)).values(used_at=utcnow())
    session.execute(void, execution_options={"synchronize_session": False})


def purge_codes() -> None:
    """Delete the codes that ended a day ago."""
    with transaction() as session:
        session.execute(delete(OneTimeCode).where(OneTimeCode.expires_at < utcnow() - _KEPT))


def _belongs(purpose: Purpose, username_key: str) -> ColumnElement[bool]:
    return (OneTimeCode.username_key == username_key) & (OneTimeCode.purpose == purpose.value)


def _open(purpose: Purpose, username_key: str) -> Sequence[ColumnElement[bool]]:
    return [_belongs(purpose, username_key), OneTimeCode.used_at.is_(None), OneTimeCode.expires_at > utcnow()]
