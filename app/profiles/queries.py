"""Reads of profiles and avatars: one statement each."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Row, bindparam, func, literal_column, select

from app.accounts.models import User
from app.accounts.queries import PERSON
from app.accounts.staff_reads import reads_as_staff
from app.answers import Answer, Refused
from app.db.transactions import row_or_none, rows
from app.goods.models import Good
from app.profiles.models import Avatar, AvatarState
from app.profiles.schemas import OwnAvatarsOut, avatar_out
from app.staff_roles import Permission
from statemachine import GoodStatus


class VisibleAvatar(NamedTuple):
    """An avatar that the reader may see; `public` means that everybody may, so that caches may keep it."""

    sha256: str
    content_type: str
    side: int
    created_at: datetime
    public: bool


_GOODS_ON_SALE = (
    select(func.count())
    .select_from(Good)
    # A literal, as in the partial index.
    .where(
        Good.owner_id == User.id,
        Good.status == literal_column(str(GoodStatus.PUBLISHED.value)),
        ~Good.deleted,
        ~Good.taken_down,
    )
    .scalar_subquery()
)
_PUBLIC: Final = select(User.id, *PERSON, User.bio, User.created_at, _GOODS_ON_SALE.label("goods_on_sale")).where(
    User.id == bindparam("of_user"), User.deleted_at.is_(None)
)
_OWN: Final = select(Avatar.__table__).where(Avatar.user_id == bindparam("of_user"), Avatar.detached_at.is_(None))
_AVATAR: Final = (
    select(
        Avatar.id,
        Avatar.user_id,
        Avatar.sha256,
        Avatar.content_type,
        Avatar.side,
        Avatar.created_at,
        User.avatar_id.label("shown_id"),
    )
    .join(User, User.id == Avatar.user_id)
    .where(Avatar.id == bindparam("avatar_id"))
)


def public_profile(user_id: int) -> Row[Any]:
    """`id, username, nickname, avatar_id, bio, created_at, goods_on_sale` (how many). Raises Refused(NO_SUCH_USER)."""
    row = row_or_none(_PUBLIC, {"of_user": user_id})
    if row is None:
        raise Refused(Answer.NO_SUCH_USER)
    return row


def own_avatars(user_id: int) -> OwnAvatarsOut:
    """The avatar that others see of the user, and the one that they do not."""
    shown = waiting = None
    for row in rows(_OWN, {"of_user": user_id}):
        if row.state == AvatarState.PASSED:
            shown = avatar_out(row)
        else:
            waiting = avatar_out(row)
    return {"shown": shown, "waiting": waiting}


def visible_avatar(*, avatar_id: int, reader_id: int | None, granted: bool = False) -> VisibleAvatar:
    """The avatar, if its user shows it, the reader is that user or of staff, or was `granted` a look.

    One that was replaced or deleted is hidden like one that waits, until it is collected. Raises
    Refused(NO_SUCH_PICTURE).
    """
    row = row_or_none(_AVATAR, {"avatar_id": avatar_id})
    if row is None:
        raise Refused(Answer.NO_SUCH_PICTURE)
    public = row.shown_id == row.id
    if not public and not granted and not _may_see_hidden(row, reader_id):
        raise Refused(Answer.NO_SUCH_PICTURE)
    return VisibleAvatar(row.sha256, row.content_type, row.side, row.created_at, public)


def _may_see_hidden(avatar: Row[Any], reader_id: int | None) -> bool:
    if reader_id is None:
        return False
    return reader_id == avatar.user_id or reads_as_staff(
        reader_id, permission=Permission.USERS, subject="avatar", subject_ids=[avatar.id]
    )
