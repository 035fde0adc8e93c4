"""Keeps sweeps from the files of pictures that others need: those who store the same again, and who back them up."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from sqlalchemy import ARRAY, ColumnElement, Text, bindparam, func, select, text
from sqlalchemy.orm import Session

from app.db.database import db
from app.goods.picture_quota import add_usage
from app.goods.pictures import PreparedPicture
from app.goods.storage import picture_storage

_files = func.unnest(bindparam("files", type_=ARRAY(Text))).column_valued("file")


# Each file has an advisory lock. Who is to commit a row that refers to it shares the lock from before the file is
# written, or found to be there; who deletes the file has the lock alone.
_lock: ColumnElement[int] = func.hashtextextended(_files, 0)
_SHARE: Final = select(func.pg_advisory_xact_lock_shared(_lock))
_TAKE: Final = select(_files).where(func.pg_try_advisory_xact_lock(_lock))

# One more is for all files together: who deletes any shares it, who needs all of them has it alone. The two numbers are
# this lock's name; no other advisory lock of ours has them.
_TRY_DELETING: Final = text("SELECT pg_try_advisory_xact_lock_shared(20261129, 9)")
_KEEP_ALL: Final = text("SELECT pg_advisory_xact_lock(20261129, 9)")


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
    """Those of `files` (SHA-256) that no other transaction is about to refer to, or to delete, until this one ends.

    None of them while files are kept (`files_kept`).
    """
    if not session.scalar(_TRY_DELETING):
        return []
    return list(session.scalars(_TAKE, {"files": list(files)}))


@contextmanager
def files_kept() -> Iterator[None]:
    """No file is deleted during the block; it waits for who is deleting some, and for another such block to end.

    Raises SQLAlchemy's OperationalError at the end of the block where the connection, and the lock with it, was lost.
    """
    # Between two statements a transaction that only reads holds no snapshot: VACUUM goes on meanwhile.
    with db.engine.begin() as connection:
        for timeout in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            connection.execute(text(f"SET LOCAL {timeout} = 0"))
        connection.execute(_KEEP_ALL)
        yield
        connection.execute(text("SELECT 1"))
