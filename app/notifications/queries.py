"""Reads of notifications."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select

from app.db.transactions import reading
from app.notifications.models import Notification
from app.notifications.schemas import NotificationQuery


def notifications(*, user_id: int, query: NotificationQuery) -> tuple[Sequence[Row[Any]], int, int]:
    """One page of the user's notifications, newest first; how many the list has; how many are unread."""
    conditions: list[ColumnElement[bool]] = [Notification.user_id == user_id]
    if query.unread is not None:
        conditions.append(Notification.read_at.is_(None) if query.unread else Notification.read_at.is_not(None))
    counts = select(
        func.count().filter(*conditions[1:]) if len(conditions) > 1 else func.count(),
        func.count().filter(Notification.read_at.is_(None)),
    ).where(conditions[0])
    page = select(Notification.__table__).where(*conditions).order_by(Notification.id.desc())
    with reading() as connection:
        total, unread = connection.execute(counts).one()
        if total <= query.offset:
            return [], total, unread
        return connection.execute(page.limit(query.size).offset(query.offset)).all(), total, unread


def unread_count(*, user_id: int) -> int:
    """How many notifications the user has not read."""
    statement = select(func.count()).select_from(Notification)
    with reading() as connection:
        return connection.execute(
            statement.where(Notification.user_id == user_id, Notification.read_at.is_(None))
        ).scalar_one()
