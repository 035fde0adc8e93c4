"""Reads of users and addresses."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Boolean, ColumnElement, Row, select, type_coerce

from app.accounts.models import Address, User
from app.accounts.usernames import username_key
from app.answers import Answer, Refused
from app.db.transactions import row_or_none, rows
from app.staff_roles import Permission, roles_with

PERSON: Final = (User.username, User.nickname, User.avatar_id)
"""The columns that `app.accounts.schemas.person_out` needs beside an id."""

_OWN_PROFILE = select(User.id, *PERSON, User.bio, User.is_staff, User.created_at)


def own_profile(user_id: int) -> Row[Any]:
    """`id, username, nickname, avatar_id, bio, is_staff, created_at`. Raises Refused(NO_SUCH_USER)."""
    return _found(row_or_none(_OWN_PROFILE.where(User.id == user_id)), Answer.NO_SUCH_USER)


def refuse_unknown(user_id: int) -> None:
    """Raise Refused(NO_SUCH_USER) for an id that nobody has, or whose account was deleted."""
    _found(row_or_none(select(User.id).where(User.id == user_id, User.deleted_at.is_(None))), Answer.NO_SUCH_USER)


def user_id_of(username: str) -> int | None:
    """The id of the user with this name, in any spelling; None where there is none."""
    row = row_or_none(select(User.id).where(User.username_key == username_key(username)))
    return None if row is None else int(row.id)


def may(permission: Permission) -> ColumnElement[bool]:
    """Whether a user of a statement is of staff with this permission."""
    return type_coerce(User.staff_roles.overlap(roles_with(permission)), Boolean)


def has_permission(user_id: int, permission: Permission) -> bool:
    """Whether the user is of staff and may do this; False for a user that does not exist."""
    return row_or_none(select(User.id).where(User.id == user_id, may(permission))) is not None


def addresses(user_id: int) -> Sequence[Row[Any]]:
    """The user's addresses, the default one first, then the newest. There are at most `service.MAX_ADDRESSES`."""
    statement = select(Address.__table__).where(Address.user_id == user_id)
    return rows(statement.order_by(Address.is_default.desc(), Address.id.desc()))


def address(*, user_id: int, address_id: int) -> Row[Any]:
    """One address of the user. Raises Refused(NO_SUCH_ADDRESS), for other people's addresses as well."""
    statement = select(Address.__table__).where(Address.id == address_id, Address.user_id == user_id)
    return _found(row_or_none(statement), Answer.NO_SUCH_ADDRESS)


def _found(row: Row[Any] | None, otherwise: Answer) -> Row[Any]:
    if row is None:
        raise Refused(otherwise)
    return row
