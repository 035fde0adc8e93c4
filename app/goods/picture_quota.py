"""How many bytes of pictures are stored for each user, exactly, and how many may be.

The row of a user is the last that a transaction locks, so it is held shortly and nobody waits for it in a circle.
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.answers import Answer, Refused
from app.db.transactions import row_or_none
from app.goods.models import PictureUsage
from app.settings import settings

_USED: Final = select(PictureUsage.bytes).where(PictureUsage.user_id == bindparam("of_user"))
_new = upsert(PictureUsage)
_ADD: Final = _new.on_conflict_do_update(
    index_elements=["user_id"],
    set_={"bytes": PictureUsage.bytes + _new.excluded.bytes},
    where=PictureUsage.bytes + _new.excluded.bytes <= bindparam("quota"),
).returning(PictureUsage.bytes)
_SUBTRACT: Final = (
    update(PictureUsage)
    .where(PictureUsage.user_id == bindparam("of_user"))
    .values(bytes=PictureUsage.bytes - bindparam("freed"))
)


def check_quota(user_id: int) -> None:
    """Raise PICTURE_QUOTA_FULL for a user who has used all: then no picture need be decoded."""
    used = used_bytes(user_id)
    if used >= settings().picture_quota:
        raise _full(used)


def used_bytes(user_id: int) -> int:
    """How many bytes are stored for the user."""
    row = row_or_none(_USED, {"of_user": user_id})
    return 0 if row is None else int(row.bytes)


def add_usage(session: Session, *, user_id: int, count: int) -> None:
    """Add `count` bytes to what is stored for the user. Raises PICTURE_QUOTA_FULL where that were too many."""
    quota = settings().picture_quota
    added = {"user_id": user_id, "bytes": count, "quota": quota}
    if count > quota or session.execute(_ADD, added).scalar_one_or_none() is None:
        raise _full(used_bytes(user_id))


def subtract_usage(session: Session, freed: Mapping[int, int]) -> None:
    """Subtract the bytes `freed` by user."""
    for user_id, count in sorted(freed.items()):
        session.connection().execute(_SUBTRACT, {"of_user": user_id, "freed": count})


def _full(used: int) -> Refused:
    return Refused(Answer.PICTURE_QUOTA_FULL, data={"used": used, "limit": settings().picture_quota})
