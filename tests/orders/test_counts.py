"""The counts of both lists of orders: by state, and by what waits for the caller."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, update

from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from app.orders.actions import actions
from app.orders.models import Order
from app.orders.queries import _COUNTS
from app.orders.to_do import WAITING
from statemachine import ORDER, GoodStatus, OrderFacts, OrderPhase, Role, TradeMode
from statemachine.order import (
    AWAITING_PAYMENT,
    CANCELLED,
    PAID,
    RECEIVED,
    REFUND_REQUESTED_UNSHIPPED,
    RETURN_SENT,
    SETTLED,
    SHIPPED,
)
from tests.factories import Made, StatementCounter, assert_envelope, auth_headers, make_good, make_order, make_user
from tests.orders.table import name_of

PHASES = [state.phase for state in ORDER.states]
COUNTS = "/api/order_counts/"
LISTS = {"bought": "/api/buy_order/", "sold": "/api/sell_order/"}
FACE_TO_FACE = {"trade_mode": TradeMode.FACE_TO_FACE, "address": None}


def _orders(app: Flask, seller: Made, buyer: Made) -> None:
    """One order or more of each kind that is counted apart."""
    held = {"held_at": utcnow()}
    disputed = {"disputed": True, "deadline_at": None, "refund_count": 1}
    for phase, columns in (
        *[(phase, {}) for phase in PHASES],
        (AWAITING_PAYMENT, {"deadline_at": utcnow()}),  # expired, and not swept yet
        (PAID, {}),
        (PAID, FACE_TO_FACE),
        (PAID, held),
        (SHIPPED, held),
        (REFUND_REQUESTED_UNSHIPPED, disputed),
        (RETURN_SENT, disputed),
        (SETTLED, {"hidden_by_buyer": True}),
        (CANCELLED, {"hidden_by_seller": True}),
    ):
        make_order(app, make_good(app, seller, status=GoodStatus.IN_TRADE), buyer, phase=phase, **columns)


@pytest.fixture
def people(app: Flask) -> tuple[Made, Made]:
    """A seller and his buyer, who has sold him something as well; and somebody whose orders are not theirs."""
    seller, buyer, other = make_user(app), make_user(app), make_user(app)
    _orders(app, seller, buyer)
    make_order(app, make_good(app, buyer, status=GoodStatus.IN_TRADE), seller, phase=PAID)
    make_order(app, make_good(app, other, status=GoodStatus.IN_TRADE), make_user(app), phase=PAID)
    return seller, buyer


def counts(app: Flask, client: FlaskClient, user: Made) -> Any:
    return assert_envelope(client.get(COUNTS, headers=auth_headers(app, user)), Answer.ORDERS_COUNTED)


def test_the_counts(app: Flask, client: FlaskClient, people: tuple[Made, Made]) -> None:
    seller, buyer = people
    found = counts(app, client, buyer)
    bought = found["bought"]
    assert (bought["total"], bought["open"]) == (23, 15)
    assert [(each["code"], each["text"], each["count"], each["open"]) for each in bought["bill_status"]] == [
        (1, "待买家付款", 4, 2),
        (2, "买家已付款", 6, 6),
        (3, "卖家已收款", 3, 1),
        (4, "买家已申请退款", 6, 6),
        (5, "卖家已退款", 4, 0),
    ]
    assert [(each["code"], each["count"], each["open"]) for each in bought["order_status"]] == [
        (6, 11, 8),
        (7, 4, 3),
        (8, 4, 2),
        (9, 3, 2),
        (10, 1, 0),
    ]
    assert {"bill_status": 1, "order_status": 6, "closed": True, "count": 2} in bought["phases"]
    assert {"bill_status": 2, "order_status": 6, "closed": False, "count": 4} in bought["phases"]
    assert [(each["name"], each["text"], each["count"]) for each in bought["to_do"]] == [
        ("pay", "待付款", 1),
        ("receive", "待收货", 1),
        ("send_back", "待寄回", 1),
    ]
    assert bought["to_do_total"] == 3
    assert [(each["name"], each["count"]) for each in found["sold"]["to_do"]] == [
        ("ship", 1),
        ("hand_over", 0),
        ("answer_refund", 0),
        ("accept_return", 0),
    ]
    sold = counts(app, client, seller)["sold"]
    assert [(each["name"], each["text"], each["count"]) for each in sold["to_do"]] == [
        ("ship", "待发货", 2),
        ("hand_over", "待当面交货", 1),
        ("answer_refund", "待处理退款", 3),
        ("accept_return", "待确认退货", 1),
    ]
    assert (sold["total"], sold["to_do_total"]) == (23, 7)
    nothing = counts(app, client, make_user(app))
    for side in nothing.values():
        assert (side["total"], side["open"], side["phases"], side["to_do_total"]) == (0, 0, [], 0)
        assert {each["count"] for each in (*side["bill_status"], *side["order_status"], *side["to_do"])} == {0}


def test_each_count_is_the_total_of_the_list(app: Flask, client: FlaskClient, people: tuple[Made, Made]) -> None:
    for user in people:
        headers = auth_headers(app, user)

        def total(side: str, headers: dict[str, str] = headers, **filters: object) -> int:
            response = client.get(LISTS[side], query_string={"size": 1, **filters}, headers=headers)
            found: int = response.get_json()["data"]["total"]
            return found

        for side, found in counts(app, client, user).items():
            assert total(side) == found["total"]
            assert total(side, closed="false") == found["open"]
            for axis in ("bill_status", "order_status"):
                for each in found[axis]:
                    assert total(side, **{axis: each["code"]}) == each["count"]
                    assert total(side, **{axis: each["code"]}, closed="false") == each["open"]
            assert sum(each["count"] for each in found["phases"]) == found["total"]
            for each in found["phases"]:
                where = {name: value for name, value in each.items() if name != "count"}
                assert total(side, **where) == each["count"]
            for each in found["to_do"]:
                assert total(side, to_do=each["name"]) == each["count"]
            assert total(side, to_do="ship" if side == "bought" else "pay") == 0


def test_bad_filters(app: Flask, client: FlaskClient) -> None:
    headers = auth_headers(app, make_user(app))
    for query, errors in {
        "?closed=perhaps": {"closed": ["须为布尔值"]},
        "?to_do=rest": {"to_do": ["不在可选范围内"]},
    }.items():
        found = client.get("/api/buy_order/" + query, headers=headers)
        assert assert_envelope(found, Answer.MALFORMED) == {"errors": errors}


def test_one_statement_by_the_indexes(app: Flask, client: FlaskClient, people: tuple[Made, Made]) -> None:
    headers = auth_headers(app, people[0])
    counter = StatementCounter()
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", counter.on_execute)
        try:
            client.get(COUNTS, headers=headers)
        finally:
            event.remove(db.engine, "before_cursor_execute", counter.on_execute)
        assert len(counter.statements) == 1
        with db.engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            explained = str(
                _COUNTS.params(user_id=7, now=utcnow()).compile(db.engine, compile_kwargs={"literal_binds": True})
            )
            plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {explained}".replace("%", "%%")).scalars())
        assert ("ix_orders_buyer_id_id" in plan, "ix_orders_seller_id_id" in plan) == (True, True)
        assert "Seq Scan" not in plan


@pytest.mark.parametrize("role", WAITING, ids=str)
@pytest.mark.parametrize("phase", PHASES, ids=name_of)
def test_what_waits_can_be_done(role: Role, phase: OrderPhase) -> None:
    """What the table calls waiting is a button of the order, and what the side's deadline is about is waiting."""
    for trade_mode in (TradeMode.COURIER, TradeMode.FACE_TO_FACE):
        if trade_mode == TradeMode.FACE_TO_FACE and phase == SHIPPED:
            continue
        facts = OrderFacts(trade_mode=trade_mode, refund_count=1, disputed=False, extended=False)
        offered = {
            each["name"]
            for each in actions(
                order_id=1,
                phase=phase,
                deadline_at=utcnow().replace(year=utcnow().year + 1),
                role=role,
                facts=facts,
                hidden=False,
            )
        }
        waiting = [
            each
            for each in WAITING[role]
            if phase in each.phases and each.face_to_face in (None, trade_mode == TradeMode.FACE_TO_FACE)
        ]
        assert len(waiting) <= 1
        for each in waiting:
            assert {event.value for event in each.events} <= offered, (role, phase)
        deadline = next((each.deadline for each in ORDER.rules if each.deadline and each.source == phase), None)
        if deadline is not None and deadline.reminder is not None and phase != RECEIVED:
            assert bool(waiting) or deadline.reminder.role is not role, (role, phase)


def test_the_moment_that_counts(app: Flask, client: FlaskClient, people: tuple[Made, Made]) -> None:
    """An order that waits no more, since its time is over, leaves the count before the sweep comes."""
    _, buyer = people
    with app.app_context(), db.engine.begin() as connection:
        unpaid = (Order.bill_status == 1) & ~Order.closed
        connection.execute(update(Order).where(unpaid).values(deadline_at=utcnow()))
    [pay] = [each for each in counts(app, client, buyer)["bought"]["to_do"] if each["name"] == "pay"]
    assert pay["count"] == 0
