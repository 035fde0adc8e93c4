"""Reads of users and addresses."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, func, select

from app.accounts.models import Address, User
from app.accounts.usernames import username_key
from app.answers import Answer, Refused
from app.db.transactions import row_or_none, rows
from app.goods.models import Good
from statemachine import GoodStatus

_OWN_PROFILE = select(User.id, User.username, User.bio, User.is_staff, User.created_at)

_GOODS_ON_SALE = (
    select(func.count())
    .select_from(Good)
    .where(Good.owner_id == User.id, Good.status == GoodStatus.PUBLISHED, ~Good.deleted, ~Good.taken_down)
    .scalar_subquery()
)


def own_profile(user_id: int) -> Row[Any]:
    """`id, username, bio, is_staff, created_at`. Raises Refused(NO_SUCH_USER)."""
    return _found(row_or_none(_OWN_PROFILE.where(User.id == user_id)), Answer.NO_SUCH_USER)


def public_profile(user_id: int) -> Row[Any]:
    """`id, username, bio, created_at, goods_on_sale` (how many). Raises Refused(NO_SUCH_USER)."""
    statement = select(User.id, User.username, User.bio, User.created_at, _GOODS_ON_SALE.label("goods_on_sale"))
    present = statement.where(User.id == user_id, User.deleted_at.is_(None))
    return _found(row_or_none(present), Answer.NO_SUCH_USER)


def refuse_unknown(user_id: int) -> None:
    """Raise Refused(NO_SUCH_USER) for an id that nobody has, or whose account was deleted."""
    _found(row_or_none(select(User.id).where(User.id == user_id, User.deleted_at.is_(None))), Answer.NO_SUCH_USER)


def user_id_of(username: str) -> int | None:
    """The id of the user with this name, in any spelling; None where there is none."""
    row = row_or_none(select(User.id).where(User.username_key == username_key(username)))
    return None if row is None else int(row.id)


def is_staff(user_id: int) -> bool:
    """Whether the user is platform staff; False for a user that does not exist."""
    return row_or_none(select(User.id).where(User.id == user_id, User.is_staff)) is not None


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
