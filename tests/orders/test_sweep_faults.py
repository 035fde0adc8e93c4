"""The sweep of deadlines when something is wrong: one order is never the others' trouble, no deadline gets lost."""

import signal
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty
from sqlalchemy import Integer, TypeDecorator, literal, select, text, update
from sqlalchemy.exc import OperationalError, StatementError

from app.clock import utcnow
from app.db.database import db
from app.db.transactions import transaction
from app.notifications import reminders
from app.notifications.models import Notification, NotificationKind
from app.orders import deadlines, service
from app.orders.deadlines import fire_due
from app.orders.models import Order
from app.orders.transitions import lock_order
from statemachine.order import PAID, REFUNDED_UNSHIPPED, SHIPPED
from tests.conftest import MakeApp
from tests.factories import Made, lead_order, make_address, make_good, make_user


@pytest.fixture
def people(context: Flask) -> tuple[Made, Made]:
    return make_user(context), make_user(context)


@pytest.fixture
def orders(context: Flask, people: tuple[Made, Made]) -> Iterator[list[Made]]:
    """Three paid orders, overdue one after the other."""
    seller, buyer = people
    made = [lead_order(context, make_good(context, seller), buyer, phase=PAID) for _ in range(3)]
    for place, order in enumerate(made):
        write(order, deadline_at=utcnow() - timedelta(minutes=30 - place))
    yield made
    db.session.rollback()


def write(order: Made, **columns: Any) -> None:
    with db.engine.begin() as connection:
        connection.execute(update(Order).where(Order.id == order.id).values(**columns))


def read(order: Made) -> Any:
    with db.engine.connect() as connection:
        return connection.execute(select(Order.__table__).where(Order.id == order.id)).one()


def phase_of(order: Made) -> tuple[int, int, bool]:
    row = read(order)
    return row.bill_status, row.order_status, row.closed


def break_history(order: Made) -> None:
    """The order's next line will be there already: PostgreSQL refuses it."""
    write(order, history_length=1)


def test_an_order_that_the_database_refuses_holds_up_no_other(context: Flask, orders: list[Made]) -> None:
    first, second, third = orders
    break_history(first)
    assert fire_due(limit=10) == 2
    assert [phase_of(order) for order in (first, second, third)] == [PAID, REFUNDED_UNSHIPPED, REFUNDED_UNSHIPPED]
    put_off = read(first).deadline_at - utcnow()
    assert timedelta(minutes=9) < put_off <= timedelta(minutes=10)
    # Once it is right again it takes its step.
    write(first, history_length=2, deadline_at=utcnow())
    assert (fire_due(limit=10), phase_of(first)) == (1, REFUNDED_UNSHIPPED)


def test_putting_off_leaves_a_deadline_that_somebody_has_set_meanwhile(
    context: Flask, people: tuple[Made, Made], orders: list[Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    seller, order = people[0], orders[0]
    break_history(order)
    address = make_address(context, seller)

    class Log:
        """As the real one; between the failure and the putting off, the seller ships."""

        def exception(self, event: str, **_: Any) -> None:
            if event == "deadline_failed":
                write(order, history_length=2)
                with context.app_context():
                    service.ship_order(
                        actor_id=seller.id,
                        order_id=order.id,
                        address_id=address.id,
                        company="顺丰速运",
                        tracking_no="SF1234567890",
                    )

        def __getattr__(self, name: str, real: Any = deadlines.log) -> Any:
            return getattr(real, name)

    monkeypatch.setattr(deadlines, "log", Log())
    fire_due(limit=10)
    row = read(order)
    assert phase_of(order) == SHIPPED
    left = row.deadline_at - utcnow()
    assert timedelta(days=10) - timedelta(minutes=1) < left <= timedelta(days=10)
    assert row.remind_at is not None


def test_a_clock_that_is_put_back_loses_no_deadline(context: Flask, orders: list[Made]) -> None:
    order = orders[0]
    due_at = utcnow() + timedelta(seconds=2)
    write(order, deadline_at=due_at)
    # What a sweep does that found the order before the computer's clock was put back.
    with transaction() as session:
        good, locked = lock_order(session, order.id)
        assert deadlines._fire_one(session, good, locked) == []
    assert (phase_of(order), read(order).deadline_at) == (PAID, due_at)


def test_reminders_come_in_batches(
    context: Flask, orders: list[Made], people: tuple[Made, Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reminders, "_BATCH", 2)
    for order in orders:
        write(order, deadline_at=utcnow() + timedelta(hours=1), remind_at=utcnow())
    batches = []
    remind = reminders._remind_batch

    def look(size: int) -> tuple[int, int]:
        done = remind(size)
        # What a batch did is committed: another connection sees it.
        batches.append((size, done, sum(read(order).remind_at is None for order in orders)))
        return done

    monkeypatch.setattr(reminders, "_remind_batch", look)
    assert reminders.remind_due(limit=10) == 3
    assert batches == [(2, (2, 2), 2), (2, (1, 1), 3), (2, (0, 0), 3)]
    told = select(Notification.user_id).where(Notification.kind == NotificationKind.REMINDER.value)
    assert list(db.session.scalars(told)) == [people[0].id] * 3


def test_trouble_with_the_database_is_no_orders_fault(make_app: MakeApp, orders: list[Made]) -> None:
    before = [read(order) for order in orders]
    impatient = make_app(DATABASE_LOCK_TIMEOUT="1")
    with db.engine.connect() as holder:
        holder.execute(text("LOCK TABLE order_events IN ACCESS EXCLUSIVE MODE"))
        with impatient.app_context(), pytest.raises(OperationalError, match="lock timeout"):
            fire_due(limit=10)
    assert [read(order) for order in orders] == before
    with impatient.app_context():
        assert fire_due(limit=10) == 3


def test_the_end_of_the_job_s_time_is_no_order_s_fault(
    context: Flask, orders: list[Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    """RQ raises it once, in a batch as anywhere: whoever goes on after it is not stopped any more."""
    before = [read(order) for order in orders]

    class Slow(TypeDecorator[int]):
        impl = Integer
        cache_ok = True

        def process_bind_param(self, *_: object) -> None:
            signal.raise_signal(signal.SIGALRM)

    # SQLAlchemy wraps what is raised while it prepares a statement.
    for at, raised in (
        (lambda *_, **__: signal.raise_signal(signal.SIGALRM), JobTimeoutException),
        (lambda session, *_, **__: session.scalar(select(literal(1, Slow()))), StatementError),
    ):
        monkeypatch.setattr(deadlines, "post", at)
        with UnixSignalDeathPenalty(900, JobTimeoutException), pytest.raises(raised, match="900 seconds"):
            fire_due(limit=10)
        assert [read(order) for order in orders] == before
    monkeypatch.undo()
    assert fire_due(limit=10) == 3
