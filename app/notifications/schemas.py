"""Bodies and answers of the notifications' URLs."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import Row
from typing_extensions import TypedDict

from app.clock import MomentOut, format_moment
from app.enums import OneOf, text_enum
from app.fields import IdsIn
from app.notifications.models import NotificationKind
from app.notifications.texts import ORDER_HELD, ORDER_RELEASED, REFUND_CONFIRMED, SAVED_SEARCH
from app.paging import PageQuery
from statemachine import ORDER, OrderEvent

NotificationEvent = text_enum(
    "NotificationEvent",
    ["", ORDER.creation.name, *OrderEvent, REFUND_CONFIRMED, ORDER_HELD, ORDER_RELEASED, SAVED_SEARCH],
    about="What a notification tells of: the order's event, that its refund was confirmed, that it is held or goes on;"
    " goods for a saved search; empty: nothing of these.",
)


class NotificationQuery(PageQuery):
    """The list's filter."""

    unread: bool | None = Field(None, description="true: only unread ones; false: only read ones")


class ReadIn(BaseModel):
    """Which notifications were read: some by their ids, or all."""

    model_config = ConfigDict(frozen=True)

    ids: Annotated[IdsIn, Field(min_length=1, max_length=100)] | None = None
    all: bool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.all is (self.ids is not None):
            raise ValueError("ids 与 all 须二选一")
        return self


class NotificationOut(TypedDict):
    """One notification. `event` is the order's event that it tells of, or empty; `read` whether it was marked."""

    id: int
    kind: Annotated[str, OneOf(NotificationKind)]
    title: str
    text: str
    order_id: int | None
    saved_search_id: int | None
    event: Annotated[str, OneOf(NotificationEvent)]
    read: bool
    created_at: MomentOut


class NotificationPage(TypedDict):
    """One page of the list, and how many of all are unread."""

    items: list[NotificationOut]
    page: int
    size: int
    total: int
    pages: int
    unread: int


class UnreadOut(TypedDict):
    """How many notifications are unread."""

    unread: int


def notification_out(row: Row[Any]) -> NotificationOut:
    """`row` of the table of notifications."""
    return {
        "id": row.id,
        "kind": row.kind,
        "title": row.title,
        "text": row.text,
        "order_id": row.order_id,
        "saved_search_id": row.saved_search_id,
        "event": row.event,
        "read": row.read_at is not None,
        "created_at": format_moment(row.created_at),
    }
