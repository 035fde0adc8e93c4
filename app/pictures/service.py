"""Deletes pictures that nothing shows: of deleted goods, taken off, unused, former avatars; and files without a row.

What an order shows is kept, and so is all evidence. Any number of sweeps may run at the same time, and each may be
killed at any moment: rows go in transactions that leave what is counted right, files after them, and only while nobody
is about to refer to them and no backup copies them (then the next sweep does).
"""

import functools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog
from sqlalchemy import ColumnElement, Exists, Select, bindparam, delete, exists, func, or_, select, union_all, update

from app.clock import utcnow
from app.db.columns import Base
from app.db.transactions import rows, transaction
from app.goods.models import Good, Picture
from app.goods.picture_quota import subtract_usage
from app.goods.storage import picture_storage
from app.goods.stored_pictures import claim_files
from app.orders.models import Order
from app.profiles.service import collect_avatars
from app.settings import settings

log = structlog.get_logger(__name__)

_ROWS_AT_ONCE: Final = 500
_FILES_AT_ONCE: Final = 100  # each takes a lock of PostgreSQL, which has room for a few thousand
_AFTER_ALL_DIGITS: Final = "g"


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What a sweep has deleted: pictures, and files (a picture with its thumbnails is one)."""

    pictures: int
    files: int


def collect_pictures() -> Collected:
    """Delete what nothing has shown for UNUSED_PICTURE_LIFETIME."""
    pictures = 0
    while True:
        seen, deleted = _collect_rows()
        pictures += deleted
        if seen < _ROWS_AT_ONCE:
            break
    collected = Collected(pictures=pictures + collect_avatars(), files=_collect_files())
    if collected.pictures or collected.files:
        log.info("pictures_collected", pictures=collected.pictures, files=collected.files)
    return collected


def _collect_rows() -> tuple[int, int]:
    """Delete some pictures that nothing shows; how many were looked at, and how many of them were deleted."""
    before = utcnow() - timedelta(seconds=settings().unused_picture_lifetime)
    unused = (
        select(
            Picture.id,
            Picture.size,
            Picture.counted,
            func.coalesce(Good.owner_id, Picture.uploader_id).label("owner_id"),
            _shown_by_order().label("shown"),
        )
        .outerjoin(Good, Good.id == Picture.good_id)
        .where(
            or_(
                Picture.counted & (Picture.detached_at < before),
                Picture.counted & Good.deleted & (Good.updated_at < before),
                Picture.good_id.is_(None) & (func.coalesce(Picture.used_at, Picture.created_at) < before),
            ),
            ~exists().where(Order.good_id == Picture.good_id, ~Order.closed),
        )
        .order_by(Picture.id)
        .limit(_ROWS_AT_ONCE)
        # No order can come that shows one of them: it shows a picture that its good has, of a good that is for sale.
        .with_for_update(of=Picture, skip_locked=True)
    )
    with transaction() as session:
        found = session.execute(unused).all()
        gone = [row.id for row in found if not row.shown]
        kept = [row.id for row in found if row.shown]
        without_objects = {"synchronize_session": False}
        session.execute(delete(Picture).where(Picture.id.in_(gone)), execution_options=without_objects)
        # The owner can do nothing about these, so they are not at his expense any more.
        session.execute(
            update(Picture).where(Picture.id.in_(kept)).values(counted=False), execution_options=without_objects
        )
        freed: Counter[int] = Counter()
        for row in found:
            freed[row.owner_id] += row.size if row.counted else 0
        subtract_usage(session, freed)
    return len(found), len(gone)


def _shown_by_order() -> Exists:
    # The good is redundant, but there is an index on it.
    return exists().where(Order.good_id == Picture.good_id, Order.good_picture_id == Picture.id)


def _collect_files() -> int:
    """Delete the old files that no row refers to; returns how many."""
    before = utcnow() - timedelta(seconds=settings().unused_picture_lifetime)
    deleted = 0
    for stored in picture_storage().older_than(before):
        unknown = sorted(stored - _needed_like(stored))
        for start in range(0, len(unknown), _FILES_AT_ONCE):
            deleted += _delete_files(unknown[start : start + _FILES_AT_ONCE])
    return deleted


def _needed_like(stored: set[str]) -> set[str]:
    """The files that rows refer to, of those that begin with the same two digits as `stored` do."""
    if not stored:
        return set()
    prefix = next(iter(stored))[:2]
    found = rows(_references(_in_range), {"first": prefix, "last": prefix + _AFTER_ALL_DIGITS})
    return {row.sha256 for row in found}


def _delete_files(files: list[str]) -> int:
    storage = picture_storage()
    with transaction() as session:
        claimed = claim_files(session, files)
        # Asked once more: a row may have been committed before the claim.
        unknown = set(claimed) - set(session.scalars(_references(_is_among), {"files": claimed}))
        for sha256 in sorted(unknown):
            storage.delete(sha256)
    return len(unknown)


_Condition = Callable[[ColumnElement[str]], ColumnElement[bool]]


def _in_range(column: ColumnElement[str]) -> ColumnElement[bool]:
    return column.between(bindparam("first"), bindparam("last"))


def _is_among(column: ColumnElement[str]) -> ColumnElement[bool]:
    return column.in_(bindparam("files", expanding=True))


@functools.cache
def _references(condition: _Condition) -> Select[tuple[str]]:
    """The SHA-256 that rows refer to, of every table that has such a column, so that a new one is not forgotten."""
    columns = [table.c.sha256 for table in Base.metadata.tables.values() if "sha256" in table.c]
    found = union_all(*(select(column).where(condition(column)) for column in columns)).subquery()
    return select(found.c.sha256)
