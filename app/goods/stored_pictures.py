"""Stores prepared pictures together with a transaction, so that no sweep takes a file that is just needed again."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ARRAY, ColumnElement, Text, bindparam, func, select
from sqlalchemy.orm import Session

from app.goods.picture_quota import add_usage
from app.goods.pictures import PreparedPicture
from app.goods.storage import picture_storage

_files = func.unnest(bindparam("files", type_=ARRAY(Text))).column_valued("file")


# Each file has an advisory lock. Who is to commit a row that refers to it shares the lock from before the file is
# written, or found to be there; who deletes the file has the lock alone.
_lock: ColumnElement[int] = func.hashtextextended(_files, 0)
_SHARE: Final = select(func.pg_advisory_xact_lock_shared(_lock))
_TAKE: Final = select(_files).where(func.pg_try_advisory_xact_lock(_lock))


def store_pictures(session: Session, pictures: Sequence[PreparedPicture], *, user_id: int) -> None:
    """Write the files of `pictures`, whose rows this transaction adds, at the expense of the user.

    Raises PICTURE_QUOTA_FULL; nothing has been written then.
    """
    if not pictures:
        return
    add_usage(session, user_id=user_id, count=sum(len(picture.data) for picture in pictures))
    session.execute(_SHARE, {"files": sorted({picture.sha256 for picture in pictures})}).all()
    storage = picture_storage()
    for picture in pictures:
        storage.put(picture.sha256, picture.data)


def claim_files(session: Session, files: Sequence[str]) -> list[str]:
    """Those of `files` (SHA-256) that no other transaction is about to refer to, or to delete, until this one ends."""
    return list(session.scalars(_TAKE, {"files": list(files)}))
