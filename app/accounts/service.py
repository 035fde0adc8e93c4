"""Changes of accounts and addresses, one function per verb, each one transaction."""

from collections.abc import Collection
from typing import Any

import structlog
from sqlalchemy import Row, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.orm import Session

from app.accounts import throttle
from app.accounts.captcha import consume_captcha
from app.accounts.look_alikes import looks_like_staff
from app.accounts.models import Address, EndReason, User
from app.accounts.passwords import hash_password, is_outdated, resembles, verify_password
from app.accounts.queries import own_profile
from app.accounts.sessions import Issue, end_sessions, start_session
from app.accounts.suspensions import refuse_suspended, suspension_of
from app.accounts.usernames import username_key
from app.answers import Answer, Refused, field_errors
from app.clock import utcnow
from app.db.transactions import row_or_none, transaction
from app.fields.phones import lacks_place, read_phone
from app.regions.table import missing_level, phone_place
from app.staff_roles import StaffRole

log = structlog.get_logger(__name__)

MAX_ADDRESSES = 20
"""Addresses one user may keep."""

_PLACE = ("province", "city", "district")

_CREDENTIALS = select(
    User.id,
    User.password_hash,
    User.generation,
    User.suspended_at,
    User.suspended_until,
    User.suspension_reason,
)

_SNAPSHOT = select(
    Address.name, Address.mobile, Address.province, Address.city, Address.district, Address.detail
).where(Address.id == bindparam("address_id"), Address.user_id == bindparam("user_id"))


def register(*, username: str, password: str, captcha_id: str, captcha_code: str) -> int:
    """Create an account, after a captcha. Returns the user's id.

    Raises Refused(CAPTCHA_WRONG); Refused(REGISTRATION_FAILED) where the username is taken, or looks like the name of
    somebody of staff.
    """
    if not consume_captcha(captcha_id=captcha_id, code=captcha_code):
        raise Refused(Answer.CAPTCHA_WRONG)
    with transaction() as session:
        user_id = create_user(session, username=username, password=password).id
        if looks_like_staff(session, username):
            raise Refused(Answer.REGISTRATION_FAILED, data=field_errors(username="与平台工作人员的名称过于相似"))
    log.info("user_registered", user_id=user_id)
    return user_id


def create_user(session: Session, *, username: str, password: str, staff_roles: Collection[StaffRole] = ()) -> User:
    """Create an account in `session`'s transaction. Of two simultaneous ones with the same name one is refused.

    `username` and `password` must keep the rules of `schemas.RegisterIn`, which are not checked here.
    Raises Refused(REGISTRATION_FAILED) where the username is taken.
    """
    values = {
        "username": username,
        "username_key": username_key(username),
        "password_hash": hash_password(password),
        "is_staff": bool(staff_roles),
        "staff_roles": [role.value for role in staff_roles],
        "created_at": utcnow(),
    }
    statement = postgresql_insert(User).values(bio="", **values).on_conflict_do_nothing(index_elements=["username_key"])
    user = session.scalars(statement.returning(User)).one_or_none()
    if user is None:
        raise Refused(Answer.REGISTRATION_FAILED, data=field_errors(username="用户名已被使用"))
    return user


def login(*, username: str, password: str, origin: str | None) -> tuple[Row[Any], Issue]:
    """Verify a password and start a session; the user's profile (`queries.own_profile`) and the first tokens' issue.

    `origin` is the caller's IP address. Raises Refused(LOGIN_FAILED) with the seconds to wait after too many failures,
    and Refused(WRONG_CREDENTIALS) for a wrong name as well as a wrong password, after the same work in both cases.
    Who knows the password of a suspended user is told so: Refused(ACCOUNT_SUSPENDED), with why and until when.
    """
    found = verify_login(username=username, password=password, origin=origin)
    # The password may have been changed while this one was verified, or the user suspended: then there is no session.
    issue = start_session(user_id=found.id, generation=found.generation)
    admit_login(found, username=username, password=password, origin=origin)
    return own_profile(found.id), issue


def verify_login(*, username: str, password: str, origin: str | None) -> Row[Any]:
    """Verify a password; `id, password_hash, generation` of the user and their suspension, which is not in force.

    The caller begins a session for that `generation`, and then says so by `admit_login`. Raises as `login`.
    """
    wait = throttle.admit(username=username, origin=origin)
    if wait:
        raise Refused(Answer.LOGIN_FAILED, retry_after=wait)
    found = row_or_none(_CREDENTIALS.where(User.username_key == username_key(username)))
    right = verify_password(None if found is None else found.password_hash, password)
    if found is None or not right:
        raise Refused(Answer.WRONG_CREDENTIALS)
    if suspension_of(found) is not None:
        throttle.forgive(username=username, origin=origin)
        refuse_suspended(found)
    return found


def admit_login(found: Row[Any], *, username: str, password: str, origin: str | None) -> None:
    """Note that a session was begun for a login that `verify_login` found right; renew an outdated hash."""
    throttle.forgive(username=username, origin=origin)
    if is_outdated(found.password_hash):
        _replace_hash(found.id, old=found.password_hash, new=hash_password(password))
    log.info("user_logged_in", user_id=found.id)


def change_password(*, user_id: int, session_id: str, old_password: str, new_password: str) -> None:
    """Change the password of a user who knows the old one; all sessions but `session_id` end.

    Guessing the old one is slowed down, in this session alone. Raises Refused with TOO_MANY_REQUESTS (and the seconds
    to wait), OLD_PASSWORD_WRONG, NO_SUCH_USER, or MALFORMED where the new password is the old one or the username.
    """
    user = row_or_none(select(User.username, User.password_hash).where(User.id == user_id))
    if user is None:
        raise Refused(Answer.NO_SUCH_USER)
    if resembles(new_password, user.username):
        raise Refused(Answer.MALFORMED, data={"errors": {"new_password": ["不能与用户名相同"]}})
    if new_password == old_password:
        raise Refused(Answer.MALFORMED, data={"errors": {"new_password": ["不能与原密码相同"]}})
    verify_own_password(session_id=session_id, stored=user.password_hash, password=old_password)
    new = hash_password(new_password)
    with transaction() as session:
        if not _swap_hash(session, user_id, old=user.password_hash, new=new):
            # Another request changed it meanwhile, so `old_password` is no longer the present one.
            raise Refused(Answer.OLD_PASSWORD_WRONG)
        end_sessions(session, user_id=user_id, reason=EndReason.PASSWORD_CHANGED, keep=session_id)
    log.info("password_changed", user_id=user_id)


def verify_own_password(*, session_id: str, stored: str, password: str) -> None:
    """Check a password that a logged-in user gives once more against the `stored` hash.

    Raises Refused with TOO_MANY_REQUESTS (and the seconds to wait), OLD_PASSWORD_WRONG.
    """
    wait = throttle.admit_session(session_id)
    if wait:
        raise Refused(Answer.TOO_MANY_REQUESTS, retry_after=wait)
    if not verify_password(stored, password):
        raise Refused(Answer.OLD_PASSWORD_WRONG)
    throttle.forgive_session(session_id)


def _replace_hash(user_id: int, *, old: str, new: str) -> bool:
    with transaction() as session:
        return _swap_hash(session, user_id, old=old, new=new)


def _swap_hash(session: Session, user_id: int, *, old: str, new: str) -> bool:
    """Store another hash where the present one is still `old`; whether it was."""
    statement = update(User).where(User.id == user_id, User.password_hash == old).values(password_hash=new)
    return session.execute(statement.returning(User.id)).first() is not None


def add_address(*, user_id: int, is_default: bool, **texts: str) -> Row[Any]:
    """Add an address; `texts` are name, mobile, province, city, district and detail. The first one is the default.

    Returns the row. Raises Refused(TOO_MANY_ADDRESSES), Refused(NO_SUCH_USER).
    """
    with transaction() as session:
        _lock(session, user_id)
        kept = session.scalars(select(func.count()).select_from(Address).where(Address.user_id == user_id)).one()
        if kept >= MAX_ADDRESSES:
            raise Refused(Answer.TOO_MANY_ADDRESSES)
        if is_default:
            _clear_default(session, user_id)
        now = utcnow()
        values = {"user_id": user_id, "is_default": is_default or kept == 0, "created_at": now, "updated_at": now}
        return session.execute(insert(Address).values(**values, **texts).returning(*Address.__table__.c)).one()


def edit_address(*, user_id: int, address_id: int, is_default: bool = False, **texts: str) -> Row[Any]:
    """Change the given fields of an address. `is_default` makes it the default one; False does not take that away.

    Returns the row. Raises Refused(NO_SUCH_ADDRESS), Refused(NO_SUCH_USER), and Refused(MALFORMED) where a level of
    the place is left out that it needs, or the number is none of the place.
    """
    with transaction() as session:
        _lock(session, user_id)
        if lacks_place(texts.get("mobile", "+")):
            province = texts.get("province") or _province(session, user_id=user_id, address_id=address_id)
            texts["mobile"] = _dialled_in(province, texts["mobile"])
        if is_default:
            _clear_default(session, user_id)
        changes = {**texts, "updated_at": utcnow(), **({"is_default": True} if is_default else {})}
        own = update(Address).where(Address.id == address_id, Address.user_id == user_id)
        row = session.execute(own.values(**changes).returning(*Address.__table__.c)).first()
        if row is None:
            raise Refused(Answer.NO_SUCH_ADDRESS)
        if not texts.keys().isdisjoint(_PLACE):
            _refuse_incomplete(row)
        return row


def _province(session: Session, *, user_id: int, address_id: int) -> str:
    own = select(Address.province).where(Address.id == address_id, Address.user_id == user_id)
    province = session.scalar(own)
    if province is None:
        raise Refused(Answer.NO_SUCH_ADDRESS)
    return province


def _dialled_in(province: str, mobile: str) -> str:
    try:
        return read_phone(mobile, place=phone_place(province))
    except ValueError as error:
        raise Refused(Answer.MALFORMED, data=field_errors(mobile=str(error))) from None


def _refuse_incomplete(row: Row[Any]) -> None:
    missing = missing_level(province=row.province, city=row.city, district=row.district)
    if missing is not None:
        level, expected = missing
        raise Refused(Answer.MALFORMED, data=field_errors(**{level: expected}))


def delete_address(*, user_id: int, address_id: int) -> None:
    """Delete an address; where it was the default, the newest remaining one becomes it.

    Orders keep their copies. Raises Refused(NO_SUCH_ADDRESS), Refused(NO_SUCH_USER).
    """
    with transaction() as session:
        _lock(session, user_id)
        own = delete(Address).where(Address.id == address_id, Address.user_id == user_id)
        was_default = session.scalar(own.returning(Address.is_default))
        if was_default is None:
            raise Refused(Answer.NO_SUCH_ADDRESS)
        if was_default:
            newest = select(func.max(Address.id)).where(Address.user_id == user_id).scalar_subquery()
            session.execute(update(Address).where(Address.id == newest).values(is_default=True))


def address_snapshot(*, user_id: int, address_id: int) -> dict[str, str]:
    """What an order or waybill copies of the user's address: name, mobile, province, city, district, detail.

    Joins the caller's transaction. Raises Refused(NO_SUCH_ADDRESS), for other people's addresses as well.
    """
    with transaction() as session:
        row = session.execute(_SNAPSHOT, {"address_id": address_id, "user_id": user_id}).first()
        if row is None:
            raise Refused(Answer.NO_SUCH_ADDRESS)
        return dict(row._mapping)


def _lock(session: Session, user_id: int) -> None:
    """Let only one transaction at a time work on the user's addresses. Raises Refused(NO_SUCH_USER).

    It is FOR NO KEY UPDATE, so inserting orders and goods of the user meanwhile does not wait.
    """
    present = select(User.id).where(User.id == user_id, User.deleted_at.is_(None))
    if session.scalar(present.with_for_update(key_share=True)) is None:
        raise Refused(Answer.NO_SUCH_USER)


def _clear_default(session: Session, user_id: int) -> None:
    # Before another address becomes it: the unique index for one default per user is checked at each row.
    session.execute(update(Address).where(Address.user_id == user_id, Address.is_default).values(is_default=False))
