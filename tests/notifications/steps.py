"""Steps that tests of what follows an order's step share."""

from typing import Any

from flask import Flask
from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from app.clock import utcnow
from app.db.database import db
from app.db.erasable_texts import keep_text
from app.notifications.models import Notification
from app.orders.models import OrderEventRecord
from app.outbox.models import OutboxMessage, Topic
from app.outbox.service import add_message
from statemachine import GoodStatus, OrderPhase, Role
from statemachine.order import AWAITING_PAYMENT, PAID
from tests.factories import Made, make_good, make_order, make_user


def an_order(app: Flask, **columns: Any) -> Made:
    """An order that was paid, of a buyer and a seller of its own."""
    good = make_good(app, make_user(app), status=GoodStatus.IN_TRADE)
    return make_order(app, good, make_user(app), phase=PAID, **columns)


def make_step(
    app: Flask,
    order: Made,
    sequence: int = 1,
    *,
    event: str = "pay",
    role: str = Role.GATEWAY,
    source: OrderPhase | None = AWAITING_PAYMENT,
    target: OrderPhase = PAID,
    note: str = "",
    topic: Topic | None = Topic.ORDER_STEP,
) -> int:
    """A line of the order's history, and its message in the outbox, as a transition leaves them; returns its id."""
    values = {
        "order_id": order.id,
        "sequence": sequence,
        "event": event,
        "role": role,
        "from_bill": source and source.bill,
        "from_order": source and source.goods,
        "to_bill": target.bill,
        "to_order": target.goods,
        "closed": target.closed,
        "at": utcnow(),
        "previous_hash": "0" * 64,
        "hash": f"{sequence:064d}",
    }
    streams = {Topic.ORDER_STEP: f"order:{order.id}", Topic.WEBHOOK: f"webhook:order:{order.id}"}
    with app.app_context(), Session(db.engine) as session, session.begin():
        values["note_digest"] = keep_text(session, note, written_at=utcnow())
        statement = insert(OrderEventRecord).values(**values).returning(OrderEventRecord.id)
        event_id: int = session.execute(statement).scalar_one()
        if topic is not None:
            add_message(session, topic, event_id, stream=streams[topic])
    return event_id


def told(app: Flask, user_id: int | None = None) -> list[Any]:
    """The rows of notifications, of one user or of all, oldest first."""
    statement = select(Notification.__table__).order_by(Notification.id)
    if user_id is not None:
        statement = statement.where(Notification.user_id == user_id)
    with app.app_context(), db.engine.connect() as connection:
        return list(connection.execute(statement))


def outbox(app: Flask) -> list[Any]:
    """The rows of the outbox, oldest first."""
    with app.app_context(), db.engine.connect() as connection:
        return list(connection.execute(select(OutboxMessage.__table__).order_by(OutboxMessage.id)))


def time_passes(app: Flask) -> None:
    """Let every lease and every wait run out."""
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("UPDATE outbox SET due_at = now() - interval '1 second' WHERE dead_at IS NULL"))
