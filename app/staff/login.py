"""The way into the back office: a password, then a one-time password (TOTP, RFC 6238).

Who logs in for the first time gets the secret for an authenticator app, and proves with a first code that it is there.
A code works once: neither it nor an older one is taken again. Guessing is slowed as that of passwords is.
"""

import base64
import hmac
from dataclasses import dataclass
from typing import Final

import pyotp
import structlog
from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.accounts import throttle
from app.accounts.models import User
from app.accounts.service import admit_login, verify_login
from app.accounts.usernames import username_key
from app.answers import Answer, Refused
from app.clock import utcnow
from app.db.transactions import row_or_none, transaction
from app.settings import settings
from app.staff.models import ActionKind, SecondFactor, Subject
from app.staff.service import AppointmentRefused, check_staff, record_action
from app.staff.sessions import begin_staff_session, confirm_staff_session, end_staff_sessions, member_of
from app.staff_roles import Permission

log = structlog.get_logger(__name__)

_ISSUER: Final = "Saltfish"
_PURPOSE: Final = b"second-factor"
_STEPS: Final = (0, -1, 1)  # of 30 seconds: clocks of phones are not exact


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an authenticator app is given: the secret in base32, to type, and the same as a URI, for a QR code."""

    secret: str
    uri: str


def log_in(*, username: str, password: str, origin: str | None) -> str:
    """Verify a password of staff and begin a session that waits for the second factor; its token.

    Raises as `app.accounts.service.login`, and FORBIDDEN for users who are not of staff.
    """
    found = verify_login(username=username, password=password, origin=origin)
    try:
        token = begin_staff_session(user_id=found.id, generation=found.generation)
    except Refused as refusal:
        if refusal.answer is Answer.FORBIDDEN:  # the password was right: it must not count as guessed
            admit_login(found, username=username, password=password, origin=origin)
        raise
    admit_login(found, username=username, password=password, origin=origin)
    return token


def enrolment_of(user_id: int) -> Enrolment | None:
    """What the user has to give to an authenticator app; None where one was confirmed. The same until it was."""
    with transaction() as session:
        factor = _factor(session, user_id)
        if factor is not None and factor.confirmed_at is not None:
            return None
        secret = None if factor is None else _opened(factor.secret)
        if secret is None:
            secret = pyotp.random_base32()
            values = {"secret": _sealed(secret), "last_counter": 0, "created_at": utcnow()}
            added = insert(SecondFactor).values(user_id=user_id, **values)
            session.execute(added.on_conflict_do_update(index_elements=["user_id"], set_=values))
        username = session.scalars(select(User.username).where(User.id == user_id)).one()
    return Enrolment(secret, pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=_ISSUER))


def give_second_factor(*, token: str, code: str) -> str:
    """Take a one-time password in the session of `token`; the token of the confirmed session that begins with it.

    The first one that is right confirms the secret. Raises Refused(LOGIN_REQUIRED) where the session does not live,
    LOGIN_FAILED with the seconds to wait after too many wrong ones, SECOND_FACTOR_WRONG.
    """
    member = member_of(token)
    if member is None:
        raise Refused(Answer.LOGIN_REQUIRED)
    wait = throttle.admit_second_factor(member.id)
    if wait:
        raise Refused(Answer.LOGIN_FAILED, retry_after=wait)
    with transaction() as session:
        factor = _factor(session, member.id)
        counter = None if factor is None else _counter_of(factor, code)
        if factor is None or counter is None:
            raise Refused(Answer.SECOND_FACTOR_WRONG)
        factor.last_counter = counter
        factor.confirmed_at = factor.confirmed_at or utcnow()
        confirmed = confirm_staff_session(session, token)
    throttle.forgive_second_factor(member.id)
    log.info("staff_logged_in", user_id=member.id)
    return confirmed


def reset_second_factor(*, actor_id: int, user_id: int, reason: str) -> None:
    """Take the second factor of another member away, who sets up a new one at the next login; sessions end.

    Raises FORBIDDEN for an actor without the permission and for one's own, NO_SUCH_USER for one who is not of staff.
    """
    with transaction() as session:
        check_staff(session, actor_id, Permission.MEMBERS)
        if actor_id == user_id:
            raise Refused(Answer.FORBIDDEN)
        if not session.scalar(select(User.is_staff).where(User.id == user_id)):
            raise Refused(Answer.NO_SUCH_USER)
        _reset(session, user_id, actor_id=actor_id, reason=reason)


def reset_second_factor_by_name(*, username: str, reason: str) -> None:
    """As `reset_second_factor`, by an operator and for anybody of staff. Raises AppointmentRefused for others."""
    with transaction() as session:
        user_id = session.scalar(select(User.id).where(User.username_key == username_key(username), User.is_staff))
        if user_id is None:
            raise AppointmentRefused(f"{username} is no staff")
        _reset(session, user_id, actor_id=None, reason=reason)


def _reset(session: Session, user_id: int, *, actor_id: int | None, reason: str) -> None:
    session.execute(delete(SecondFactor).where(SecondFactor.user_id == user_id))
    end_staff_sessions(session, user_id)
    record_action(
        session,
        ActionKind.RESET_SECOND_FACTOR,
        actor_id=actor_id,
        subject=Subject.USER,
        subject_id=user_id,
        reason=reason,
        details={},
    )


def has_second_factor(user_id: int) -> bool:
    """Whether the user has confirmed one."""
    confirmed = SecondFactor.confirmed_at.is_not(None)
    return row_or_none(select(SecondFactor.user_id).where(SecondFactor.user_id == user_id, confirmed)) is not None


def _factor(session: Session, user_id: int) -> SecondFactor | None:
    """The user's second factor, locked: of two requests with one code, one is too late."""
    return session.get(SecondFactor, user_id, with_for_update=True, populate_existing=True)


def _counter_of(factor: SecondFactor, code: str) -> int | None:
    """The time step whose code this is; None for a wrong one, and for one of a step that was used or passed over."""
    secret = _opened(factor.secret)
    if secret is None:
        log.error("second_factor_unreadable", user_id=factor.user_id)
        return None
    totp, now = pyotp.TOTP(secret), utcnow()
    for step in _STEPS:
        counter = totp.timecode(now) + step
        if counter > factor.last_counter and hmac.compare_digest(
            totp.at(for_time=now, counter_offset=step).encode(), code.encode()
        ):
            return counter
    return None


def _sealed(secret: str) -> str:
    return _box().encrypt(secret.encode()).decode()


def _opened(sealed: str) -> str | None:
    """The secret; None where the signing key is another one than when it was sealed."""
    try:
        return _box().decrypt(sealed.encode()).decode()
    except InvalidToken:
        return None


def _box() -> Fernet:
    # A key of its own: a copy of the database alone makes no codes.
    return Fernet(base64.urlsafe_b64encode(hmac.digest(settings().signing_key.encode(), _PURPOSE, "sha256")))
