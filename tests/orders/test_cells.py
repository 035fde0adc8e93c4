"""Every cell over HTTP: each legal triple × each event the API serves × buyer, seller and stranger.

The table of what is allowed is written here by hand from the design, not read from the machine.
"""

from typing import Any, NamedTuple

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.answers import Answer
from app.clock import utcnow
from app.extensions import db
from app.goods.models import Good
from app.money.models import Payment, Refund
from app.orders.models import Order, OrderEventRecord, RefundRequest, Waybill
from app.outbox import OutboxMessage
from statemachine import GoodStatus, OrderPhase, TradeMode
from tests.factories import (
    SNAPSHOT,
    Made,
    _make,
    assert_envelope,
    auth_headers,
    make_address,
    make_good,
    make_order,
    make_user,
)

PHASES = [
    OrderPhase(1, 6),
    OrderPhase(1, 6, True),
    OrderPhase(2, 6),
    OrderPhase(2, 7),
    OrderPhase(3, 8),
    OrderPhase(3, 8, True),
    OrderPhase(4, 6),
    OrderPhase(4, 7),
    OrderPhase(4, 8),
    OrderPhase(4, 9),
    OrderPhase(5, 6, True),
    OrderPhase(5, 7, True),
    OrderPhase(5, 8, True),
    OrderPhase(5, 10, True),
    OrderPhase(3, 9, True),
]

# Where the good stands while its order stands there.
GOOD_AT = {
    OrderPhase(1, 6, True): GoodStatus.PUBLISHED,
    OrderPhase(5, 6, True): GoodStatus.PUBLISHED,
    **dict.fromkeys([OrderPhase(1, 6), OrderPhase(2, 6), OrderPhase(2, 7)], GoodStatus.IN_TRADE),
    **dict.fromkeys([OrderPhase(4, 6), OrderPhase(4, 7)], GoodStatus.IN_TRADE),
}


class Deed(NamedTuple):
    """One event over HTTP: its URL, its body, and who may do it from where to where."""

    url: str
    body: dict[str, Any]
    answer: Answer
    table: dict[tuple[str, OrderPhase], OrderPhase]


DEEDS = {
    "cancel": Deed(
        "/api/cancel_order/{id}/",
        {},
        Answer.ORDER_CANCELLED,
        {
            ("buyer", OrderPhase(1, 6)): OrderPhase(1, 6, True),
            ("seller", OrderPhase(1, 6)): OrderPhase(1, 6, True),
        },
    ),
    "ship": Deed(
        "/api/seller_send_delivery/{id}/",
        {"company": "顺丰速运", "tracking_no": "SF1234567890"},
        Answer.ORDER_SHIPPED,
        {("seller", OrderPhase(2, 6)): OrderPhase(2, 7)},
    ),
    "receive": Deed(
        "/api/buyer_receive_delivery/{id}/",
        {},
        Answer.ORDER_RECEIVED,
        {("buyer", OrderPhase(2, 7)): OrderPhase(3, 8)},
    ),
    "request_refund": Deed(
        "/api/buyer_motion_drawback/{id}",
        {"reason": "与描述不符"},
        Answer.REFUND_REQUESTED,
        {
            ("buyer", OrderPhase(2, 6)): OrderPhase(4, 6),
            ("buyer", OrderPhase(2, 7)): OrderPhase(4, 7),
            ("buyer", OrderPhase(3, 8)): OrderPhase(4, 8),
        },
    ),
    "send_back": Deed(
        "/api/buyer_send_drawback/{id}/",
        {"company": "中通快递", "tracking_no": "ZT0987654321"},
        Answer.RETURN_SENT,
        {("buyer", OrderPhase(4, 8)): OrderPhase(4, 9)},
    ),
    "accept_return": Deed(
        "/api/seller_receive_drawback/{id}/",
        {},
        Answer.RETURN_ACCEPTED,
        {("seller", OrderPhase(4, 9)): OrderPhase(5, 10, True)},
    ),
}

# What else a step leaves: the good's new status (None: as it was), parcels, requests for a refund.
LEFT: dict[str, tuple[GoodStatus | None, list[str], list[str]]] = {
    "cancel": (GoodStatus.PUBLISHED, [], []),
    "ship": (None, ["delivery"], []),
    "receive": (GoodStatus.SOLD, [], []),
    "request_refund": (None, [], ["与描述不符"]),
    "send_back": (None, ["return"], []),
    "accept_return": (None, [], []),
}

# The event exists from there, but for the other side: 403 instead of 409. Receiving from (2, 6) is for 当面交易.
OTHER_SIDE = {
    ("ship", "buyer", OrderPhase(2, 6)),
    ("receive", "seller", OrderPhase(2, 7)),
    ("request_refund", "seller", OrderPhase(2, 6)),
    ("request_refund", "seller", OrderPhase(2, 7)),
    ("request_refund", "seller", OrderPhase(3, 8)),
    ("send_back", "seller", OrderPhase(4, 8)),
    ("accept_return", "buyer", OrderPhase(4, 9)),
}


class World(NamedTuple):
    app: Flask
    client: FlaskClient
    people: dict[str, Made]
    address: Made


@pytest.fixture
def world(app: Flask, client: FlaskClient) -> World:
    people = {role: make_user(app, role) for role in ("buyer", "seller", "stranger")}
    return World(app, client, people, make_address(app, people["seller"]))


def _order_at(world: World, phase: OrderPhase, **columns: Any) -> Made:
    good = make_good(world.app, world.people["seller"], status=GOOD_AT.get(phase, GoodStatus.SOLD))
    order = make_order(world.app, good, world.people["buyer"], phase=phase, history_length=0, **columns)
    if phase[:2] != (1, 6):
        _make(
            world.app,
            Payment,
            {
                "order_id": order.id,
                "out_trade_no": order.order_no,
                "amount": order.amount,
                "trade_no": "2026112222001",
                "paid_at": utcnow(),
                "created_at": utcnow(),
            },
        )
    return order


def _everything(app: Flask) -> list[Any]:
    """All that a step could touch, for "nothing changed"."""
    with app.app_context():
        return [
            db.session.execute(select(Order.__table__).order_by(Order.id)).all(),
            db.session.execute(select(Good.__table__).order_by(Good.id)).all(),
            *(
                db.session.execute(select(func.count()).select_from(model)).scalar_one()
                for model in (OrderEventRecord, Refund, RefundRequest, Waybill, OutboxMessage)
            ),
        ]


@pytest.mark.parametrize("role", ["buyer", "seller", "stranger"])
@pytest.mark.parametrize("event", DEEDS)
@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: "-".join(map(str, phase)))
def test_cell(world: World, phase: OrderPhase, event: str, role: str) -> None:
    deed = DEEDS[event]
    order = _order_at(world, phase)
    before = _everything(world.app)
    body = deed.body | ({"address_id": world.address.id} if event == "ship" else {})
    response = world.client.post(
        deed.url.format(id=order.id), json=body, headers=auth_headers(world.app, world.people[role])
    )
    target = deed.table.get((role, phase))
    if target is not None:
        data = assert_envelope(response, deed.answer)
        assert (data["bill_status"], data["order_status"], data["closed"]) == target
        with world.app.app_context():
            record = db.session.scalars(select(OrderEventRecord)).one()
            assert (record.event, record.role, record.actor_id) == (event, role, world.people[role].id)
            assert (record.from_bill, record.from_order, record.to_bill, record.to_order, record.closed) == (
                *phase[:2],
                *target,
            )
            refunds = db.session.scalars(select(Refund.amount)).all()
            good = db.session.scalars(select(Good.status)).one()
            waybills = db.session.scalars(select(Waybill.direction)).all()
            requests = db.session.scalars(select(RefundRequest.reason)).all()
        assert refunds == ([order.amount] if target == (5, 10, True) else [])
        new_status, parcels, asked = LEFT[event]
        assert good == (new_status or GOOD_AT.get(phase, GoodStatus.SOLD))
        assert (waybills, requests) == (parcels, asked)
        return
    if role == "stranger":
        assert assert_envelope(response, Answer.NO_SUCH_ORDER) is None
    elif (event, role, phase) in OTHER_SIDE:
        assert_envelope(response, Answer.FORBIDDEN)
    else:
        data = assert_envelope(response, Answer.WRONG_STATE)
        assert (data["event"], data["bill_status"], data["order_status"], data["closed"]) == (event, *phase)
        assert data["reasons"]
    assert _everything(world.app) == before


@pytest.mark.parametrize(
    ("event", "role", "answer", "reasons"),
    [
        ("receive", "buyer", Answer.ORDER_RECEIVED, None),
        ("receive", "seller", Answer.WRONG_STATE, ["交货码有误"]),
        ("ship", "seller", Answer.WRONG_STATE, ["当面交易的订单不需要发货"]),
        ("ship", "buyer", Answer.FORBIDDEN, ["只有卖家可以发货"]),
        ("request_refund", "buyer", Answer.REFUND_REQUESTED, None),
    ],
)
def test_a_paid_face_to_face_order(
    world: World, event: str, role: str, answer: Answer, reasons: list[str] | None
) -> None:
    order = _order_at(world, OrderPhase(2, 6), trade_mode=TradeMode.FACE_TO_FACE, address=None)
    before = _everything(world.app)
    body = DEEDS[event].body | ({"address_id": world.address.id} if event == "ship" else {})
    headers = auth_headers(world.app, world.people[role])
    data = assert_envelope(world.client.post(DEEDS[event].url.format(id=order.id), json=body, headers=headers), answer)
    if reasons is None:
        assert (data["bill_status"], data["order_status"]) == ((3, 8) if event == "receive" else (4, 6))
        return
    assert data["reasons"] == reasons
    assert _everything(world.app) == before


def test_snapshot_is_the_waybills_recipient(world: World) -> None:
    order = _order_at(world, OrderPhase(2, 6))
    headers = auth_headers(world.app, world.people["seller"])
    data = assert_envelope(
        world.client.post(
            f"/api/seller_send_delivery/{order.id}/",
            json={"address_id": world.address.id, "company": "顺丰速运", "tracking_no": "SF1234567890"},
            headers=headers,
        ),
        Answer.ORDER_SHIPPED,
    )
    assert data["delivery"]["recipient"] == SNAPSHOT
    assert data["delivery"]["sender"] == SNAPSHOT
    assert data["delivery"]["company"] == "顺丰速运"
    # Where the seller lives from now on is of no matter to what was shipped.
    moved = world.client.patch(f"/api/address/{world.address.id}/", json={"detail": "别处 1 号"}, headers=headers)
    assert assert_envelope(moved, Answer.ADDRESS_EDITED)["detail"] == "别处 1 号"
    later = assert_envelope(world.client.get(f"/api/order/{order.id}/", headers=headers), Answer.ORDER_FOUND)
    assert later["delivery"] == data["delivery"]


@pytest.mark.parametrize("role", ["buyer", "seller", "stranger"])
@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: "-".join(map(str, phase)))
def test_hiding(world: World, phase: OrderPhase, role: str) -> None:
    order = _order_at(world, phase)
    before = _everything(world.app)
    response = world.client.delete(f"/api/edit_order/{order.id}/", headers=auth_headers(world.app, world.people[role]))
    finished = phase.closed or phase == OrderPhase(3, 8)
    if role == "stranger":
        assert_envelope(response, Answer.NO_SUCH_ORDER)
    elif not finished:
        assert assert_envelope(response, Answer.WRONG_STATE)["reasons"] == ["订单尚未结束"]
    if role == "stranger" or not finished:
        assert _everything(world.app) == before
        return
    assert assert_envelope(response, Answer.ORDER_HIDDEN) is None
    with world.app.app_context():
        hidden = db.session.execute(select(Order.hidden_by_buyer, Order.hidden_by_seller)).one()
    assert hidden == (role == "buyer", role == "seller")
