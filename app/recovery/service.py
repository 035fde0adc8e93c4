"""Setting the ways back into an account, and taking one; one function per verb.

Nothing tells whether a name exists: asking for a code writes the same rows and answers the same for every name, and the
job that sends it looks the user up.
"""

from datetime import datetime

import structlog
from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.accounts import throttle
from app.accounts.models import EndReason, User
from app.accounts.passwords import hash_password, resembles
from app.accounts.service import verify_own_password
from app.accounts.sessions import end_sessions
from app.accounts.usernames import username_key
from app.answers import Answer, Refused, field_errors
from app.clock import utcnow
from app.db.transactions import row_or_none, transaction
from app.messaging.base import Channel, Message, Undeliverable
from app.messaging.service import has_provider, send_message
from app.outbox.models import Topic
from app.outbox.service import add_message
from app.recovery.codes import (
    VERIFY_CODES_PER_HOUR,
    add_code,
    code_of,
    is_reset_under_way,
    try_code,
    use_up,
    verify_codes_lately,
)
from app.recovery.models import OneTimeCode, Purpose, RecoveryChannel
from app.recovery.texts import MESSAGE_TEXT
from app.settings import settings

log = structlog.get_logger(__name__)

STAFF_CODE_LIFETIME = 24 * 3600
"""Seconds that a code lives which staff hand out."""


def request_channel(*, user_id: int, session_id: str, channel: Channel, address: str, password: str) -> None:
    """Send a code to an address that the user wants to be reached at. What is there stays until the code came back.

    Raises Refused with CHANNEL_UNAVAILABLE where nothing carries its messages, OLD_PASSWORD_WRONG, TOO_MANY_REQUESTS,
    TOO_MANY_CODES, NO_SUCH_USER.
    """
    if not has_provider(channel):
        raise Refused(Answer.CHANNEL_UNAVAILABLE)
    key = _verified(user_id=user_id, session_id=session_id, password=password)
    with transaction() as session:
        if verify_codes_lately(session, username_key=key) >= VERIFY_CODES_PER_HOUR:
            raise Refused(Answer.TOO_MANY_CODES, retry_after=3600)
        code_id = add_code(
            session,
            purpose=Purpose.VERIFY,
            username_key=key,
            channel=channel,
            address=address,
            lifetime=settings().one_time_code_lifetime,
        )
        add_message(session, Topic.ONE_TIME_CODE, code_id)


def verify_channel(*, user_id: int, channel: Channel, code: str) -> None:
    """Keep the address that the code was sent to, in place of the one before.

    Raises Refused with CODE_WRONG, NO_SUCH_USER.
    """
    key = _username_key(user_id)
    found = try_code(purpose=Purpose.VERIFY, username_key=key, code=code, channel=channel)
    if found is None:
        raise Refused(Answer.CODE_WRONG)
    with transaction() as session:
        if not use_up(session, code_id=found.id, purpose=Purpose.VERIFY, username_key=key):
            raise Refused(Answer.CODE_WRONG)
        now = utcnow()
        values = {"user_id": user_id, "channel": channel.value, "address": found.address, "verified_at": now}
        kept = upsert(RecoveryChannel).values(**values)
        changes = {"address": found.address, "verified_at": now}
        session.execute(kept.on_conflict_do_update(index_elements=["user_id", "channel"], set_=changes))
    log.info("recovery_channel_verified", user_id=user_id, channel=channel.value)


def remove_channel(*, user_id: int, session_id: str, channel: Channel, password: str) -> None:
    """Forget an address. Without one nothing happens. Raises Refused with OLD_PASSWORD_WRONG,
    TOO_MANY_REQUESTS, NO_SUCH_USER.
    """
    _verified(user_id=user_id, session_id=session_id, password=password)
    with transaction() as session:
        own = delete(RecoveryChannel).where(RecoveryChannel.user_id == user_id, RecoveryChannel.channel == channel)
        session.execute(own)
    log.info("recovery_channel_removed", user_id=user_id, channel=channel.value)


def request_reset(*, username: str) -> None:
    """Send a code to the verified address of the account `username`, if there is such an account with one.

    Soon after another request nothing more is sent, and the code that was sent stays good (`RESEND_SECONDS`); the
    answer does not tell that either.
    """
    key = username_key(username)
    with transaction() as session:
        if is_reset_under_way(session, username_key=key):
            return
        lifetime = settings().one_time_code_lifetime
        code_id = add_code(session, purpose=Purpose.RESET, username_key=key, lifetime=lifetime)
        add_message(session, Topic.ONE_TIME_CODE, code_id)


def reset_password(*, username: str, code: str, new_password: str, origin: str | None) -> None:
    """Set a new password with a code instead of the old one. Every session of the user ends.

    Guessing codes is slowed like guessing passwords. Raises Refused with CODE_WRONG, TOO_MANY_REQUESTS (and the seconds
    to wait), MALFORMED where the new password is the username.
    """
    if resembles(new_password, username):
        raise Refused(Answer.MALFORMED, data=field_errors(new_password="不能与用户名相同"))  # noqa: S106 - a reason
    wait = throttle.admit_reset(username=username, origin=origin)
    if wait:
        raise Refused(Answer.TOO_MANY_REQUESTS, retry_after=wait)
    key = username_key(username)
    at_home = throttle.is_home(username=username, origin=origin)
    found = try_code(purpose=Purpose.RESET, username_key=key, code=code, counted=not at_home)
    if found is None:
        raise Refused(Answer.CODE_WRONG)
    new = hash_password(new_password)
    with transaction() as session:
        changed = update(User).where(User.username_key == key).values(password_hash=new)
        user_id = session.scalar(changed.returning(User.id))
        if user_id is None or not use_up(session, code_id=found.id, purpose=Purpose.RESET, username_key=key):
            raise Refused(Answer.CODE_WRONG)
        end_sessions(session, user_id=user_id, reason=EndReason.PASSWORD_RESET)
    throttle.forgive_reset(username=username, origin=origin)
    log.info("password_reset", user_id=user_id)


def issue_reset_code(session: Session, *, user_id: int) -> tuple[str, datetime]:
    """A code that staff tell a user who cannot be reached otherwise, and its end; in the transaction of `session`.

    Raises Refused(NO_SUCH_USER).
    """
    key = session.scalar(select(User.username_key).where(User.id == user_id))
    if key is None:
        raise Refused(Answer.NO_SUCH_USER)
    code_id = add_code(session, purpose=Purpose.RESET, username_key=key, lifetime=STAFF_CODE_LIFETIME, by_staff=True)
    code = session.get_one(OneTimeCode, code_id)
    return code_of(code), code.expires_at


def send_code(code_id: int) -> None:
    """Send a code to where it belongs; nothing where it is over or there is nobody to send it to. A job calls it.

    An address that takes no mail is its user's to mend, and ends with a line in the log. Raises `Undelivered`.
    """
    code = row_or_none(select(OneTimeCode.__table__).where(OneTimeCode.id == code_id))
    if code is None or code.used_at is not None or code.expires_at <= utcnow():
        return
    if code.purpose == Purpose.VERIFY:
        channel, address = Channel(code.channel), code.address
    else:
        reached = _address_of(code.username_key)
        if reached is None:
            log.info("reset_code_not_sent", code_id=code_id)
            return
        channel, address = reached
    subject, text = MESSAGE_TEXT[Purpose(code.purpose)]
    minutes = settings().one_time_code_lifetime // 60
    message = Message(to=address, subject=subject, text=text.format(code=code_of(code), minutes=minutes))
    try:
        send_message(channel, message)
    except Undeliverable as error:
        log.warning("code_undeliverable", code_id=code_id, channel=channel.value, reason=str(error))


def _address_of(key: str) -> tuple[Channel, str] | None:
    """Where the account of this name is reached: by mail if it can be, else by text message."""
    statement = (
        select(RecoveryChannel.channel, RecoveryChannel.address)
        .join(User, User.id == RecoveryChannel.user_id)
        .where(User.username_key == key)
        .order_by(RecoveryChannel.channel)  # email comes before mobile
    )
    found = row_or_none(statement)
    return None if found is None else (Channel(found.channel), found.address)


def _username_key(user_id: int) -> str:
    found = row_or_none(select(User.username_key).where(User.id == user_id))
    if found is None:
        raise Refused(Answer.NO_SUCH_USER)
    key: str = found.username_key
    return key


def _verified(*, user_id: int, session_id: str, password: str) -> str:
    """The username's key of a logged-in user who gave the right password once more."""
    found = row_or_none(select(User.username_key, User.password_hash).where(User.id == user_id))
    if found is None:
        raise Refused(Answer.NO_SUCH_USER)
    verify_own_password(session_id=session_id, stored=found.password_hash, password=password)
    key: str = found.username_key
    return key
