"""Telling users: one line in their list, written in the transaction of what it tells."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.answers import Answer, Refused
from app.clock import utcnow
from app.db.transactions import transaction
from app.fen import format_yuan
from app.notifications.models import TEXT_LENGTH, TITLE_LENGTH, Notification, NotificationKind
from app.notifications.texts import TELLINGS, told_sides
from app.orders.models import Order, OrderEventRecord
from statemachine import Role

# A reason may be as long as the whole text.
_NOTE_LENGTH: Final = 120

_STEPS: Final = select(
    OrderEventRecord.id,
    OrderEventRecord.order_id,
    OrderEventRecord.event,
    OrderEventRecord.role,
    OrderEventRecord.note,
    OrderEventRecord.at,
    Order.buyer_id,
    Order.seller_id,
    Order.good_title,
    Order.amount,
    Order.trade_mode,
).join(Order, Order.id == OrderEventRecord.order_id)


def notify(
    session: Session,
    *,
    user_id: int,
    kind: NotificationKind,
    title: str,
    text: str,
    order_id: int | None = None,
    event: str = "",
) -> None:
    """Tell a user something, in the caller's transaction. What is longer than the list shows is cut with `…`."""
    session.execute(
        insert(Notification).values(
            user_id=user_id,
            kind=kind.value,
            title=_cut(title, TITLE_LENGTH),
            text=_cut(text, TEXT_LENGTH),
            order_id=order_id,
            event=event,
            created_at=utcnow(),
        )
    )


def notify_of_steps(session: Session, *, event_ids: Collection[int]) -> None:
    """Tell of these lines of orders' histories whoever did not make the step, in the caller's transaction.

    Telling of one again changes nothing. Raises KeyError for a step that has no text.
    """
    steps = session.execute(_STEPS.where(OrderEventRecord.id.in_(event_ids)).order_by(OrderEventRecord.id)).all()
    lines = [line for step in steps for line in _lines(step)]
    if lines:
        session.execute(
            insert(Notification)
            .values(lines)
            .on_conflict_do_nothing(index_elements=[Notification.order_event_id, Notification.user_id])
        )


def _lines(step: Any) -> list[dict[str, Any]]:  # a row of _STEPS, which has more columns than a type can name
    role = Role(step.role)
    users = {Role.BUYER: step.buyer_id, Role.SELLER: step.seller_id}
    words = {"good": step.good_title, "amount": format_yuan(step.amount), "note": _cut(step.note, _NOTE_LENGTH)}
    lines = []
    for side in told_sides(role):
        telling = TELLINGS[step.event, role, side]
        lines.append(
            {
                "user_id": users[side],
                "kind": NotificationKind.ORDER.value,
                "order_id": step.order_id,
                "order_event_id": step.id,
                "event": step.event,
                "title": telling.title,
                "text": _cut(telling.text_for(step.trade_mode).format(**words), TEXT_LENGTH),
                "created_at": step.at,
            }
        )
    return lines


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def mark_read(*, user_id: int, ids: Sequence[int] | None) -> None:
    """Mark the user's notifications `ids` as read; with None, all of them. What was read keeps its time.

    Raises NO_SUCH_NOTIFICATION, and marks none, where one of `ids` is not the user's.
    """
    with transaction() as session:
        own = Notification.user_id == user_id
        if ids is not None:
            wanted = Notification.id.in_(ids)
            found = session.scalar(select(func.count()).select_from(Notification).where(own, wanted))
            if found != len(set(ids)):
                raise Refused(Answer.NO_SUCH_NOTIFICATION)
            own = own & wanted
        session.execute(
            update(Notification)
            .where(own, Notification.read_at.is_(None))
            .values(read_at=utcnow())
            .execution_options(synchronize_session=False)
        )
