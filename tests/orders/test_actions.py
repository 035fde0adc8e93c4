"""`actions` and `deadline` of every phase and role, on the order and in the lists, against `tests.orders.table`."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.answers import Answer
from app.clock import format_moment, utcnow
from statemachine import GoodStatus, OrderPhase, Role, TradeMode
from statemachine.order import (
    AWAITING_PAYMENT,
    PAID,
    RECEIVED,
    REFUND_REQUESTED_RECEIVED,
    REFUND_REQUESTED_UNSHIPPED,
    SHIPPED,
)
from tests.factories import Made, assert_envelope, auth_headers, lead_order, make_good, make_order, make_user
from tests.orders.table import (
    BUTTONS,
    BUYER,
    DEADLINES,
    OFFERED,
    OFFERED_DISPUTED,
    PHASES,
    RECEIVE_URLS,
    REFUND_PHASES,
    SELLER,
    name_of,
)


def _seen(app: Flask, client: FlaskClient, order: Made, people: dict[str, Made]) -> dict[str, dict[str, Any]]:
    """The order as each side sees it: the same in the detail and in its list."""
    seen = {}
    for role, url in ((BUYER, "/api/buy_order/"), (SELLER, "/api/sell_order/")):
        headers = auth_headers(app, people[role])
        detail = assert_envelope(client.get(f"/api/order/{order.id}/", headers=headers), Answer.ORDER_FOUND)
        (listed,) = assert_envelope(client.get(url, headers=headers), Answer.ORDER_FOUND)["items"]
        assert listed == {name: detail[name] for name in listed}
        seen[role] = detail
    return seen


def _buttons(names: list[str], role: str, order: Made) -> list[dict[str, str]]:
    buttons = {**BUTTONS, "receive": ("确认收货", "POST", RECEIVE_URLS[role])}
    if OrderPhase(order.bill_status, order.order_status) == REFUND_REQUESTED_RECEIVED:
        # The seller keeps neither goods nor money.
        buttons["approve_refund"] = ("同意退款(无需退货)", *BUTTONS["approve_refund"][1:])
    return [
        {"name": name, "text": text, "method": method, "url": url.format(id=order.id)}
        for name in names
        for text, method, url in (buttons[name],)
    ]


@pytest.fixture
def people(app: Flask, clean: None) -> dict[str, Made]:
    return {role: make_user(app, role) for role in (BUYER, SELLER)}


@pytest.mark.parametrize("phase", PHASES, ids=name_of)
def test_every_phase(app: Flask, client: FlaskClient, people: dict[str, Made], phase: OrderPhase) -> None:
    order = lead_order(app, make_good(app, people[SELLER]), people[BUYER], phase=phase)
    for (role, seen), names in zip(_seen(app, client, order, people).items(), OFFERED[phase], strict=True):
        assert seen["actions"] == _buttons(names, role, order)
        assert seen["disputed"] is False
        expected = DEADLINES.get(phase)
        if expected is None:
            assert seen["deadline"] is None
        else:
            ends = order.updated_at + expected.after
            assert seen["deadline"] == {"at": format_moment(ends), "what": expected.what, "text": expected.text}


@pytest.mark.parametrize("by", [Role.BUYER, Role.SELLER])
@pytest.mark.parametrize("phase", REFUND_PHASES, ids=name_of)
def test_while_disputed(app: Flask, client: FlaskClient, people: dict[str, Made], phase: OrderPhase, by: Role) -> None:
    order = lead_order(app, make_good(app, people[SELLER]), people[BUYER], phase=phase, disputed_by=by)
    for (role, seen), names in zip(_seen(app, client, order, people).items(), OFFERED_DISPUTED[phase], strict=True):
        assert seen["actions"] == _buttons(names, role, order)
        assert (seen["deadline"], seen["disputed"]) == (None, True)


@pytest.mark.parametrize(
    ("phase", "names"),
    [
        (AWAITING_PAYMENT, (["pay", "cancel"], ["cancel"])),
        (PAID, (["receive", "request_refund"], ["receive"])),
        (RECEIVED, (["request_refund", "hide"], ["hide"])),
        (REFUND_REQUESTED_UNSHIPPED, (["withdraw_refund", "dispute"], ["reject_refund", "approve_refund", "dispute"])),
    ],
    ids=lambda value: name_of(value) if isinstance(value, OrderPhase) else "",
)
def test_face_to_face(
    app: Flask, client: FlaskClient, people: dict[str, Made], phase: OrderPhase, names: tuple[list[str], list[str]]
) -> None:
    good = make_good(app, people[SELLER], trade_mode=TradeMode.FACE_TO_FACE)
    order = lead_order(app, good, people[BUYER], phase=phase)
    for (role, seen), wanted in zip(_seen(app, client, order, people).items(), names, strict=True):
        assert seen["actions"] == _buttons(wanted, role, order)


@pytest.mark.parametrize(
    ("phase", "columns", "gone"),
    [
        (SHIPPED, {"extended": True}, "extend_receipt"),
        (PAID, {"refund_count": 3}, "request_refund"),
        (SHIPPED, {"refund_count": 3}, "request_refund"),
        (RECEIVED, {"refund_count": 3}, "request_refund"),
        (RECEIVED, {"hidden_by_buyer": True}, "hide"),
        (AWAITING_PAYMENT, {"deadline_at": utcnow() - timedelta(seconds=1), "remind_at": None}, "pay"),
    ],
)
def test_what_is_used_up_is_not_offered(
    app: Flask, client: FlaskClient, people: dict[str, Made], phase: OrderPhase, columns: dict[str, Any], gone: str
) -> None:
    good = make_good(app, people[SELLER], status=GoodStatus.IN_TRADE)
    order = make_order(app, good, people[BUYER], phase=phase, **columns)
    detail = client.get(f"/api/order/{order.id}/", headers=auth_headers(app, people[BUYER]))
    data = assert_envelope(detail, Answer.ORDER_FOUND)
    names, _ = OFFERED[phase]
    assert gone in names
    assert data["actions"] == _buttons([name for name in names if name != gone], BUYER, order)
