"""Notifies users: a row in their list, written in the transaction of what it is about."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from app.answers import Answer, Refused
from app.clock import utcnow
from app.db.transactions import transaction
from app.fen import format_yuan
from app.money.cases import PAID_OTHERWISE, total_when_held, total_when_released
from app.money.models import PAID_LATE, MoneyCase, Payment, Refund
from app.notifications.models import TEXT_LENGTH, TITLE_LENGTH, Notification, NotificationKind
from app.notifications.texts import (
    NOTIFICATION_TEXTS,
    ORDER_HELD,
    ORDER_HELD_TEXTS,
    ORDER_RELEASED,
    ORDER_RELEASED_TEXTS,
    PAID_LATE_REFUND_OTHERWISE_TEXT,
    PAID_LATE_REFUND_PARTLY_OTHERWISE_TEXT,
    PAID_LATE_REFUND_TEXT,
    REFUND_CONFIRMED,
    REFUND_CONFIRMED_TEXTS,
    REFUND_PAID_OTHERWISE_TEXTS,
    REFUND_PARTLY_OTHERWISE_TEXTS,
    NotificationText,
    notified_sides,
)
from app.orders.models import Order, OrderEventRecord
from app.orders.transitions import platform_fee
from statemachine import ORDER, BillStatus, OrderEvent, Role

# Shorter than a text, because a reason that a user wrote may be as long as that.
_NOTE_LENGTH: Final = 120

# A buyer who takes a good and cancels, again and again, is told of once in this time.
_QUIET: Final = timedelta(days=1)
_SAID_ONCE: Final = frozenset({(ORDER.creation.name, Role.BUYER), (OrderEvent.CANCEL.value, Role.BUYER)})

_earlier = aliased(Order)
_REPEATED: Final = exists().where(
    _earlier.good_id == Order.good_id,
    _earlier.buyer_id == Order.buyer_id,
    _earlier.id < Order.id,
    _earlier.bill_status == BillStatus.UNPAID,
    _earlier.created_at > Order.created_at - _QUIET,
)
"""Whether the same buyer took the same good shortly before, and did not pay."""

_STEPS: Final = select(
    OrderEventRecord.id,
    OrderEventRecord.order_id,
    OrderEventRecord.event,
    OrderEventRecord.role,
    OrderEventRecord.note.label("note"),
    OrderEventRecord.at,
    Order.buyer_id,
    Order.seller_id,
    Order.good_title,
    Order.amount,
    Order.trade_mode,
    _REPEATED.label("repeated"),
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
    saved_search_id: int | None = None,
) -> None:
    """Notify a user, in the caller's transaction. A title or text that is too long is cut with `…`."""
    row = _notification(user_id=user_id, kind=kind, title=title, text=text, order_id=order_id, event=event)
    session.execute(insert(Notification).values(saved_search_id=saved_search_id, **row))


def _notification(
    *, user_id: int, kind: NotificationKind, title: str, text: str, order_id: int | None, event: str
) -> dict[str, Any]:
    return {
        "user_id": user_id,
        "kind": kind.value,
        "title": _truncated(title, TITLE_LENGTH),
        "text": _truncated(text, TEXT_LENGTH),
        "order_id": order_id,
        "event": event,
        "created_at": utcnow(),
    }


def notify_of_steps(session: Session, *, event_ids: Collection[int]) -> None:
    """Notify those who did not make these steps (ids of `order_events`), in the caller's transaction.

    A step that was notified of before changes nothing. Of a buyer who takes the same good and cancels several times
    within a day the seller is told once; that the good was paid, or not in time, always.

    Raises KeyError for a step without a text.
    """
    steps = session.execute(_STEPS.where(OrderEventRecord.id.in_(event_ids)).order_by(OrderEventRecord.id)).all()
    rows = [row for step in steps for row in _rows_of_step(step)]
    if rows:
        session.execute(
            insert(Notification)
            .values(rows)
            .on_conflict_do_nothing(index_elements=[Notification.order_event_id, Notification.user_id])
        )


# By what was paid otherwise, all of it or a part: what is told of an order's refund, and of a late payment's.
_REFUND_TEXTS: Final[Mapping[tuple[bool, bool], tuple[Mapping[Role, NotificationText], NotificationText]]] = {
    (False, False): (REFUND_CONFIRMED_TEXTS, PAID_LATE_REFUND_TEXT),
    (False, True): (REFUND_PARTLY_OTHERWISE_TEXTS, PAID_LATE_REFUND_PARTLY_OTHERWISE_TEXT),
    (True, False): (REFUND_PAID_OTHERWISE_TEXTS, PAID_LATE_REFUND_OTHERWISE_TEXT),
}

_PARTLY_OTHERWISE: Final = exists().where(MoneyCase.refund_id == Refund.id, MoneyCase.decision == PAID_OTHERWISE)


def notify_of_refunds(session: Session, *, refund_ids: Collection[int]) -> None:
    """Notify the payer, and of an order's own refund the seller too, that the gateway has confirmed these refunds.

    In the caller's transaction. Called again, it notifies again: the message that asks for it is deleted with it.
    """
    statement = (
        select(
            *(Refund.amount, Refund.reason, Refund.paid_otherwise, _PARTLY_OTHERWISE.label("partly_otherwise")),
            *(Order.id, Order.buyer_id, Order.seller_id, Order.good_title),
        )
        .join(Payment, Payment.id == Refund.payment_id)
        .join(Order, Order.id == Payment.order_id)
        .where(Refund.id.in_(refund_ids))
        .order_by(Refund.id)
    )
    rows = []
    for refund in session.execute(statement):
        users = {Role.BUYER: refund.buyer_id, Role.SELLER: refund.seller_id}
        texts, text_if_late = _REFUND_TEXTS[refund.paid_otherwise, refund.partly_otherwise]
        if refund.reason == PAID_LATE:
            texts = {Role.BUYER: text_if_late}
        for role, wording in texts.items():
            row = _notification(
                user_id=users[role],
                kind=NotificationKind.ORDER,
                title=wording.title,
                text=wording.text.format(good=refund.good_title, amount=format_yuan(refund.amount)),
                order_id=refund.id,
                event=REFUND_CONFIRMED,
            )
            rows.append(row)
    if rows:
        session.execute(insert(Notification).values(rows))


def notify_of_holds(session: Session, *, case_ids: Collection[int]) -> None:
    """Notify buyer and seller that their order is held, each for one of these cases about its money.

    In the caller's transaction. Called again, it notifies again: the message that asks for it is deleted with it.
    """
    _notify_of_cases(session, case_ids, event=ORDER_HELD, texts=ORDER_HELD_TEXTS, total=total_when_held)


def notify_of_releases(session: Session, *, case_ids: Collection[int]) -> None:
    """As `notify_of_holds`, that their order goes on: staff have decided so about these cases."""
    _notify_of_cases(session, case_ids, event=ORDER_RELEASED, texts=ORDER_RELEASED_TEXTS, total=total_when_released)


def _notify_of_cases(
    session: Session,
    case_ids: Collection[int],
    *,
    event: str,
    texts: Mapping[Role, NotificationText],
    total: Callable[[Mapping[str, Any]], int],
) -> None:
    statement = (
        select(MoneyCase.details, Order.id, Order.buyer_id, Order.seller_id, Order.good_title, Order.amount)
        .join(Order, Order.id == MoneyCase.order_id)
        .where(MoneyCase.id.in_(case_ids))
        .order_by(MoneyCase.id)
    )
    rows = []
    for case in session.execute(statement):
        words = {
            "good": case.good_title,
            "amount": format_yuan(case.amount),
            "refunded": format_yuan(total(case.details)),
        }
        users = {Role.BUYER: case.buyer_id, Role.SELLER: case.seller_id}
        for role, wording in texts.items():
            row = _notification(
                user_id=users[role],
                kind=NotificationKind.ORDER,
                title=wording.title,
                text=wording.text.format(**words),
                order_id=case.id,
                event=event,
            )
            rows.append(row)
    if rows:
        session.execute(insert(Notification).values(rows))


def _rows_of_step(step: Any) -> list[dict[str, Any]]:  # a row of _STEPS, which has more columns than a type can name
    role = Role(step.role)
    if step.repeated and (step.event, role) in _SAID_ONCE:
        return []
    users = {Role.BUYER: step.buyer_id, Role.SELLER: step.seller_id}
    words = {
        "good": step.good_title,
        "amount": format_yuan(step.amount),
        "proceeds": format_yuan(step.amount - platform_fee(step.amount)),
        "note": _truncated(step.note, _NOTE_LENGTH),
    }
    rows = []
    for side in notified_sides(role):
        wording = NOTIFICATION_TEXTS[step.event, role, side]
        rows.append(
            {
                "user_id": users[side],
                "kind": NotificationKind.ORDER.value,
                "order_id": step.order_id,
                "order_event_id": step.id,
                "event": step.event,
                "title": wording.title,
                "text": _truncated(wording.text_for(step.trade_mode).format(**words), TEXT_LENGTH),
                "created_at": step.at,
            }
        )
    return rows


def _truncated(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def mark_read(*, user_id: int, ids: Sequence[int] | None) -> None:
    """Mark the user's notifications `ids` as read; with None, all of them. Those read before keep their time.

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
