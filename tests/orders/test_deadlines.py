"""Deadlines: each fires as the system at its time, once, whatever else goes on; reminders come before it.

The gateway's part (an open trade is closed before its order expires) is in `tests/money/test_attempts.py`.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Connection, func, select, update
from sqlalchemy.exc import IntegrityError

from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from app.db.transactions import transaction
from app.extensions import valkey
from app.goods.models import Good
from app.ledger.audit import audit
from app.ledger.models import LedgerAccount
from app.money.models import Payment
from app.notifications import reminders
from app.notifications.models import Notification
from app.notifications.reminders import remind_due
from app.orders import deadlines, service, transitions
from app.orders.deadlines import fire_due
from app.orders.models import Order, OrderEventRecord
from app.orders.transitions import OrderCommand, fire, lock_order
from statemachine import BillStatus, GoodStatus, OrderEvent, OrderPhase, Role, TradeMode
from statemachine.order import (
    AWAITING_PAYMENT,
    CANCELLED,
    PAID,
    RECEIVED,
    REFUND_REQUESTED_RECEIVED,
    REFUND_REQUESTED_SHIPPED,
    REFUND_REQUESTED_UNSHIPPED,
    REFUNDED_UNSHIPPED,
    RETURN_SENT,
    SHIPPED,
)
from tasks.deadlines import sweep_deadlines
from tasks.queues import QueueName, enqueue_singleton
from tasks.relay import relay_once
from tests.conftest import MakeApp
from tests.factories import (
    Made,
    assert_envelope,
    auth_headers,
    lead_order,
    make_good,
    make_order,
    make_user,
    whole_database,
)
from tests.orders.steps import LEFT, RESUMABLE, assert_done, only
from tests.orders.table import BUYER, BY_DEADLINE, DEADLINES, REFUND_PHASES, name_of
from tests.tasks.steps import work_off

TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)


class Hands:
    """The clock's hands, where the test puts them."""

    def __init__(self) -> None:
        self.now = utcnow()

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    """Moves the time of steps and sweeps; the sweep is exact to the microsecond, so waiting would prove less."""
    hands = Hands()
    for module in (deadlines, reminders, transitions):
        monkeypatch.setattr(module, "utcnow", hands)
    return hands


def bring(app: Flask, phase: OrderPhase, *, mode: TradeMode = TradeMode.COURIER, **options: Any) -> Made:
    """An order of people of its own that went its way to `phase`."""
    if phase in RESUMABLE:
        options.setdefault("clock_left", LEFT)
    return lead_order(app, make_good(app, make_user(app), trade_mode=mode), make_user(app), phase=phase, **options)


def row(app: Flask, order: Made) -> Any:
    with app.app_context(), db.engine.connect() as connection:
        return connection.execute(select(Order.__table__).where(Order.id == order.id)).one()


def set_columns(app: Flask, *orders: Made, **columns: Any) -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Order).where(Order.id.in_([order.id for order in orders])).values(**columns))


def phase_of(app: Flask, order: Made) -> tuple[int, int, bool]:
    found = row(app, order)
    return found.bill_status, found.order_status, found.closed


# --- each deadline ---


@pytest.mark.parametrize("phase", BY_DEADLINE, ids=name_of)
def test_it_fires_at_its_time_and_not_before(context: Flask, hands: Hands, phase: OrderPhase) -> None:
    order = bring(context, phase)
    assert order.deadline_at == order.updated_at + DEADLINES[phase].after
    before = whole_database(context)
    hands.now = order.deadline_at - TICK
    assert fire_due(limit=10) == 0
    assert whole_database(context) == before
    hands.now = order.deadline_at
    assert fire_due(limit=10) == 1
    after = whole_database(context)
    assert only(after["orders"])["updated_at"] == hands.now
    assert_done(before, after, BY_DEADLINE[phase], event=DEADLINES[phase].what, role="system")
    assert audit() == []
    assert fire_due(limit=10) == 0
    assert whole_database(context) == after


def test_one_that_is_handed_over(context: Flask, hands: Hands) -> None:
    order = bring(context, PAID, mode=TradeMode.FACE_TO_FACE)
    hands.now = order.deadline_at
    assert fire_due(limit=10) == 1
    assert phase_of(context, order) == REFUNDED_UNSHIPPED
    assert row(context, order).handover_code is None


def test_settings_make_the_deadlines(make_app: MakeApp) -> None:
    app = make_app(EXPIRE_AFTER="7", EXPIRE_REMINDER="3", RECEIVE_AFTER="11", RECEIVE_REMINDER="0")
    unpaid = lead_order(app, make_good(app, make_user(app)), make_user(app))
    shipped = lead_order(app, make_good(app, make_user(app)), make_user(app), phase=SHIPPED)
    assert unpaid.deadline_at - unpaid.created_at == timedelta(seconds=7)
    assert unpaid.remind_at - unpaid.created_at == timedelta(seconds=4)
    assert shipped.deadline_at - shipped.updated_at == timedelta(seconds=11)


# --- deadlines that stop and go on ---


def _withdraw(order: Made) -> None:
    service.withdraw_refund(actor_id=order.buyer_id, order_id=order.id)


def _reject(order: Made) -> None:
    service.reject_refund(actor_id=order.seller_id, order_id=order.id, reason="商品与描述一致")


def _resolve(order: Made) -> None:
    with transaction() as session:
        command = OrderCommand(event=OrderEvent.RESOLVE_FOR_SELLER, role=Role.STAFF, note="证据不足")
        fire(session, *lock_order(session, order.id), command)


def _request(order: Made) -> None:
    service.request_refund(actor_id=order.buyer_id, order_id=order.id, reason="不想要了", description="")


def _dispute(order: Made) -> None:
    service.raise_dispute(
        actor_id=order.buyer_id, order_id=order.id, event=OrderEvent.DISPUTE, reason="协商不成", description=""
    )


@pytest.mark.parametrize(
    ("end", "disputed"),
    # While disputed the seller cannot reject.
    [(_withdraw, False), (_withdraw, True), (_reject, False), (_resolve, False), (_resolve, True)],
)
@pytest.mark.parametrize("phase", [PAID, SHIPPED, RECEIVED], ids=name_of)
def test_what_was_left_runs_on(
    context: Flask, hands: Hands, phase: OrderPhase, end: Callable[[Made], None], disputed: bool
) -> None:
    order = bring(context, phase)
    left = timedelta(hours=20, minutes=3, microseconds=5)
    hands.now = order.deadline_at - left
    _request(order)
    stopped = row(context, order)
    asked = OrderPhase(BillStatus.REFUND_REQUESTED, phase.goods)
    assert (stopped.clock_left, stopped.deadline_at) == (left, hands.now + DEADLINES[asked].after)
    if disputed:
        hands.now += timedelta(minutes=17)
        _dispute(order)
        assert (row(context, order).clock_left, row(context, order).deadline_at) == (left, None)
    hands.now += timedelta(hours=31)
    end(order)
    going = row(context, order)
    assert (going.clock_left, going.deadline_at) == (None, hands.now + left)
    assert going.remind_at is None  # the day before is over: 20 hours are left
    hands.now = going.deadline_at - TICK
    assert fire_due(limit=10) == 0
    hands.now = going.deadline_at
    assert fire_due(limit=10) == 1
    assert phase_of(context, order) == BY_DEADLINE[phase].target
    assert audit() == []


def test_what_was_left_runs_on_after_a_lapse(context: Flask, hands: Hands) -> None:
    order = bring(context, RECEIVED)
    hands.now = order.deadline_at - 2 * DAY
    _request(order)
    hands.now = row(context, order).deadline_at
    assert fire_due(limit=10) == 1
    going = row(context, order)
    assert (phase_of(context, order), going.deadline_at) == (RECEIVED, hands.now + 2 * DAY)
    assert going.remind_at == hands.now + DAY
    # And once more: what is left is again what was left.
    hands.now += DAY + TICK
    _request(order)
    assert row(context, order).clock_left == DAY - TICK
    _withdraw(order)
    assert row(context, order).deadline_at == hands.now + DAY - TICK


def test_a_request_after_the_deadline_but_before_the_sweep(context: Flask, hands: Hands) -> None:
    """The buyer was in time as long as nobody acted; nothing is left then, and less than nothing never."""
    order = bring(context, SHIPPED)
    hands.now = order.deadline_at + timedelta(seconds=2)
    _request(order)
    assert row(context, order).clock_left == timedelta(0)
    hands.now += DAY
    _withdraw(order)
    assert row(context, order).deadline_at == hands.now
    assert fire_due(limit=10) == 1
    assert phase_of(context, order) == RECEIVED


@pytest.mark.parametrize("phase", REFUND_PHASES, ids=name_of)
def test_a_dispute_waits_for_staff_alone(context: Flask, hands: Hands, phase: OrderPhase) -> None:
    by = Role.SELLER if phase == RETURN_SENT else Role.BUYER
    bring(context, phase, disputed_by=by)
    before = whole_database(context)
    hands.now += timedelta(days=365)
    assert (fire_due(limit=10), remind_due(limit=10)) == (0, 0)
    assert whole_database(context) == before


def test_an_extended_receipt(context: Flask, hands: Hands) -> None:
    order = bring(context, SHIPPED)
    hands.now = order.deadline_at - timedelta(hours=1)
    assert remind_due(limit=10) == 1
    service.extend_receipt(actor_id=order.buyer_id, order_id=order.id)
    extended = row(context, order)
    assert extended.deadline_at == order.deadline_at + 10 * DAY
    assert extended.remind_at == order.deadline_at + 9 * DAY
    hands.now = order.deadline_at + 10 * DAY - TICK
    assert fire_due(limit=10) == 0
    assert remind_due(limit=10) == 1
    hands.now += TICK
    assert fire_due(limit=10) == 1
    assert phase_of(context, order) == RECEIVED


# --- whatever else goes on ---


def test_after_a_week_without_any_process(context: Flask) -> None:
    """No deadline is in Valkey; a worker that comes back finds all of them."""
    orders = {phase: bring(context, phase) for phase in BY_DEADLINE}
    for phase, order in orders.items():
        set_columns(
            context, order, deadline_at=utcnow() - timedelta(days=7), remind_at=utcnow() - DEADLINES[phase].after
        )
    valkey().flushdb()
    # What the scheduler does every few seconds, and a real worker.
    assert enqueue_singleton(QueueName.DEFAULT, sweep_deadlines)
    work_off(context)
    assert {phase: phase_of(context, order) for phase, order in orders.items()} == {
        phase: effect.target for phase, effect in BY_DEADLINE.items()
    }
    assert audit() == []
    while relay_once():
        pass
    # Both sides are told of each step; nobody is reminded of what is over.
    with db.engine.connect() as connection:
        by_system = (
            select(Notification.event, func.count())
            .join(OrderEventRecord, OrderEventRecord.id == Notification.order_event_id)
            .where(OrderEventRecord.role == "system")
            .group_by(Notification.event)
        )
        assert {told.event: told.count for told in connection.execute(by_system)} == {
            **{expected.what: 2 for expected in DEADLINES.values()},
            "approve_refund": 4,
        }
        reminders = select(func.count()).where(Notification.kind == "reminder")
        assert connection.execute(reminders).scalar_one() == 0


def test_two_sweeps_at_once_fire_each_order_once(context: Flask) -> None:
    seller = make_user(context)
    received = [lead_order(context, make_good(context, seller), make_user(context), phase=RECEIVED) for _ in range(30)]
    unpaid = [
        make_order(context, make_good(context, seller, status=GoodStatus.IN_TRADE), make_user(context))
        for _ in range(40)
    ]
    set_columns(context, *received, *unpaid, deadline_at=utcnow() - DAY, remind_at=None)
    sweeps, start = 4, Barrier(4)

    def sweep() -> int:
        with context.app_context():
            start.wait()
            return fire_due(limit=1000)

    with ThreadPoolExecutor(sweeps) as pool:
        fired = [future.result() for future in [pool.submit(sweep) for _ in range(sweeps)]]
    # Whoever was passed over because another sweep had its order is not counted.
    assert sum(fired) == 70
    with db.engine.connect() as connection:
        by_system = select(OrderEventRecord.order_id, OrderEventRecord.event).where(OrderEventRecord.role == "system")
        events = sorted(tuple(step) for step in connection.execute(by_system))
        assert events == sorted(
            [(order.id, "settle") for order in received] + [(order.id, "expire") for order in unpaid]
        )
        account = select(LedgerAccount.balance).where(
            LedgerAccount.kind == "seller_available", LedgerAccount.user_id == seller.id
        )
        assert connection.execute(account).scalar_one() == sum(order.amount for order in received)


@contextmanager
def locked(app: Flask, model: Any, row_id: int) -> Iterator[Connection]:
    """Somebody else holds the row for the length of the block."""
    with app.app_context(), db.engine.connect() as connection:
        connection.execute(select(model.id).where(model.id == row_id).with_for_update())
        yield connection
        connection.rollback()


@pytest.mark.parametrize("held", ["order", "good"])
def test_a_sweep_passes_over_what_others_hold(context: Flask, held: str) -> None:
    first, second = bring(context, AWAITING_PAYMENT), bring(context, AWAITING_PAYMENT)
    set_columns(context, first, second, deadline_at=utcnow() - DAY, remind_at=None)
    with locked(context, *((Order, first.id) if held == "order" else (Good, first.good_id))):
        assert fire_due(limit=10) == 1
        assert [phase_of(context, order) for order in (first, second)] == [AWAITING_PAYMENT, CANCELLED]
    assert fire_due(limit=10) == 1
    assert phase_of(context, first) == CANCELLED


def test_a_reminder_passes_over_what_others_hold(context: Flask) -> None:
    first, second = bring(context, AWAITING_PAYMENT), bring(context, AWAITING_PAYMENT)
    set_columns(context, first, second, remind_at=utcnow())
    with locked(context, Order, first.id):
        assert remind_due(limit=10) == 1
    assert remind_due(limit=10) == 1
    assert remind_due(limit=10) == 0


def _without_money(app: Flask) -> Made:
    return make_order(app, make_good(app, make_user(app), status=GoodStatus.SOLD), make_user(app), phase=RECEIVED)


def _without_payment(app: Flask) -> Made:
    order = bring(app, RETURN_SENT)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Payment).where(Payment.order_id == order.id).values(state="closed", paid_at=None))
    return order


def _with_a_history_too_short(app: Flask) -> Made:
    return bring(app, SHIPPED, history_length=2)


def _with_the_good_elsewhere(app: Flask) -> Made:
    order = bring(app, AWAITING_PAYMENT)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Good).where(Good.id == order.good_id).values(status=GoodStatus.SOLD))
    return order


@pytest.mark.parametrize(
    "spoil", [_without_money, _without_payment, _with_a_history_too_short, _with_the_good_elsewhere]
)
def test_an_order_that_cannot_take_its_step_holds_up_no_other(context: Flask, spoil: Callable[[Flask], Made]) -> None:
    spoilt = spoil(context)
    others = [bring(context, SHIPPED) for _ in range(3)]
    # The spoilt one is the first in line.
    set_columns(context, spoilt, deadline_at=utcnow() - 2 * DAY, remind_at=None)
    set_columns(context, *others, deadline_at=utcnow() - DAY, remind_at=None)
    before = row(context, spoilt)
    now = utcnow()
    assert fire_due(limit=10) == 3
    assert {phase_of(context, order) for order in others} == {RECEIVED}
    # It is left as it was, and comes again in ten minutes.
    after = row(context, spoilt)
    assert after._asdict() == {**before._asdict(), "deadline_at": after.deadline_at}
    assert timedelta(minutes=10) <= after.deadline_at - now < timedelta(minutes=11)
    assert fire_due(limit=10) == 0


def test_an_overdue_row_without_a_deadline(context: Flask) -> None:
    """The database refuses it for disputed and for closed orders; the sweep has nothing else to fear."""
    for phase, columns in ((REFUND_REQUESTED_RECEIVED, {"disputed": True}), (CANCELLED, {})):
        order = bring(context, phase)
        with pytest.raises(IntegrityError, match=r"dispute_stops_the_clock|closed_has_no_clock"):
            set_columns(context, order, deadline_at=utcnow(), **columns)


def test_the_limit_and_the_order(context: Flask) -> None:
    orders = [bring(context, AWAITING_PAYMENT) for _ in range(3)]
    for days, order in enumerate(orders, start=1):
        set_columns(context, order, deadline_at=utcnow() - days * DAY, remind_at=None)
    assert fire_due(limit=2) == 2
    assert [phase_of(context, order) for order in orders] == [AWAITING_PAYMENT, CANCELLED, CANCELLED]


# --- reminders ---

REMINDED = {
    AWAITING_PAYMENT: "“{title}”请在 {at} 前付款,逾期订单将自动取消。",
    PAID: "买家已付款的“{title}”请在 {at} 前发货或交货,逾期将自动退款给买家。",
    SHIPPED: "“{title}”将于 {at} 自动确认收货,如未收到或有问题请及时延长收货或申请退款。",
    RECEIVED: "“{title}”的售后期将于 {at} 结束,之后不能再申请退款。",
    REFUND_REQUESTED_UNSHIPPED: "买家申请退款的“{title}”请在 {at} 前处理,逾期将自动退款给买家。",
    REFUND_REQUESTED_SHIPPED: "买家申请退款的“{title}”请在 {at} 前处理,逾期将自动退款给买家。",
    REFUND_REQUESTED_RECEIVED: "“{title}”请在 {at} 前寄回并填写运单,逾期退款申请将自动关闭。",
    RETURN_SENT: "买家已寄回“{title}”,请在 {at} 前确认收货或提出异议,逾期将自动退款给买家。",
}


@pytest.mark.parametrize("phase", BY_DEADLINE, ids=name_of)
def test_a_reminder_comes_once_to_whom_it_concerns(
    context: Flask, client: FlaskClient, hands: Hands, phase: OrderPhase
) -> None:
    order = bring(context, phase)
    expected = DEADLINES[phase]
    # 05:07 in Shanghai on the 3rd.
    set_columns(
        context,
        order,
        deadline_at=datetime(2031, 1, 2, 21, 7, 59, tzinfo=UTC),
        remind_at=datetime(2031, 1, 2, 21, 7, 59, tzinfo=UTC) - expected.reminder,
    )
    hands.now = datetime(2031, 1, 2, 21, 7, 59, tzinfo=UTC) - expected.reminder - TICK
    assert remind_due(limit=10) == 0
    hands.now += TICK
    assert remind_due(limit=10) == 1
    assert remind_due(limit=10) == 0
    told = only(whole_database(context)["notifications"])
    assert told["user_id"] == (order.buyer_id if expected.reminded == BUYER else order.seller_id)
    assert (told["kind"], told["order_id"], told["event"]) == ("reminder", order.id, expected.what)
    assert told["title"] == f"{expected.text}:{order.good_title}"
    assert told["text"] == REMINDED[phase].format(title=order.good_title, at="1月3日 05:07")
    reader = Made(told["user_id"], {})
    listed = client.get("/api/notifications/", headers=auth_headers(context, reader))
    (item,) = assert_envelope(listed, Answer.NOTIFICATION_FOUND)["items"]
    assert (item["title"], item["text"]) == (told["title"], told["text"])


def test_nobody_is_reminded_of_what_is_over(context: Flask, hands: Hands) -> None:
    order = bring(context, SHIPPED)
    hands.now = order.deadline_at
    assert remind_due(limit=10) == 0
    assert row(context, order).remind_at is None
    assert whole_database(context)["notifications"] == []


def test_nobody_is_reminded_where_the_setting_says_never(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(EXPIRE_REMINDER="0")
    hands = Hands()
    monkeypatch.setattr(deadlines, "utcnow", hands)
    order = lead_order(app, make_good(app, make_user(app)), make_user(app))
    with app.app_context():
        for moment in (order.deadline_at - TICK, order.deadline_at, order.deadline_at + DAY):
            hands.now = moment
            assert remind_due(limit=10) == 0


def test_a_long_title_is_cut(context: Flask) -> None:
    good = make_good(context, make_user(context), title="自" * 60)
    order = lead_order(context, good, make_user(context), remind_at=utcnow())
    assert remind_due(limit=10) == 1
    told = only(whole_database(context)["notifications"])
    assert told["title"] == f"买家付款截止:{'自' * 60}"
    assert order.good_title in told["text"]
