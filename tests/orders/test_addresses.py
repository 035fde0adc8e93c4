"""Whose address is shown to whom, in each state and for how long; written by hand beside `app.orders.addresses`."""

import json
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from app.orders.models import Order
from statemachine import OrderPhase
from statemachine.order import (
    AWAITING_PAYMENT,
    AWARDED_TO_SELLER,
    CANCELLED,
    PAID,
    RECEIVED,
    REFUND_REQUESTED_RECEIVED,
    REFUND_REQUESTED_SHIPPED,
    REFUND_REQUESTED_UNSHIPPED,
    REFUNDED_RECEIVED,
    REFUNDED_RETURNED,
    REFUNDED_SHIPPED,
    REFUNDED_UNSHIPPED,
    RETURN_SENT,
    SETTLED,
    SHIPPED,
)
from tests.applications import KeptContents
from tests.factories import EVENTS_TO, Made, assert_envelope, auth_headers, lead_order, make_good, make_user
from tests.orders.table import name_of

DAYS = 30
BUYERS = {"name": "王小明", "mobile": "13800138000"}

W, M, N, ABSENT = "whole", "masked", "nothing", "no parcel"

# By state: what the seller sees of the buyer, and the buyer of the seller; then the same once it is long over.
# fmt: off
SIDES: dict[OrderPhase, tuple[str, str, str, str]] = {
    AWAITING_PAYMENT:           (N, ABSENT, N, ABSENT),
    PAID:                       (W, ABSENT, W, ABSENT),
    REFUND_REQUESTED_UNSHIPPED: (W, ABSENT, W, ABSENT),
    SHIPPED:                    (W, W, W, W),
    REFUND_REQUESTED_SHIPPED:   (W, W, W, W),
    RECEIVED:                   (W, W, W, W),
    REFUND_REQUESTED_RECEIVED:  (W, W, W, W),
    RETURN_SENT:                (W, W, W, W),
    CANCELLED:                  (N, ABSENT, N, ABSENT),
    REFUNDED_UNSHIPPED:         (N, ABSENT, N, ABSENT),
    REFUNDED_SHIPPED:           (W, W, M, M),
    REFUNDED_RECEIVED:          (W, W, M, M),
    REFUNDED_RETURNED:          (W, W, M, M),
    AWARDED_TO_SELLER:          (W, W, M, M),
    SETTLED:                    (W, W, M, M),
}
# fmt: on


def how(address: dict[str, str] | None) -> str:
    """How much is shown."""
    if address is None:
        return N
    if address["detail"] == "***":
        assert "*" in address["name"]
        assert address["mobile"][3:7] == "****"
        return M
    assert "*" not in "".join(address.values())
    return W


def seen(order: dict[str, Any]) -> tuple[str, str]:
    """What of the buyer and of the seller is shown; every place of the order shows the same."""
    parcels = (("delivery", "recipient", "sender"), ("return_delivery", "sender", "recipient"))
    buyers, sellers = {how(order["address"])}, set()
    for parcel, buyers_end, sellers_end in parcels:
        if order[parcel]:
            buyers.add(how(order[parcel][buyers_end]))
            sellers.add(how(order[parcel][sellers_end]))
    [buyer] = buyers
    [seller] = sellers or {ABSENT}
    return buyer, seller


def everywhere(app: Flask, order: Made, who: Made, *, lists: str, detail: str) -> tuple[str, str]:
    client, headers = app.test_client(), auth_headers(app, who)
    single = assert_envelope(client.get(detail.format(id=order.id), headers=headers), Answer.ORDER_FOUND)
    [listed] = assert_envelope(client.get(lists, headers=headers), Answer.ORDER_FOUND)["items"]
    assert seen(single) == seen(listed)
    if seen(single)[0] == N:
        for text in (json.dumps(each, ensure_ascii=False) for each in (single, listed)):
            assert [word for word in BUYERS.values() if word in text] == []
    return seen(single)


def age(app: Flask, *, days: float) -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Order).values(phase_since=utcnow() - timedelta(days=days)))


@pytest.fixture
def people(app: Flask, clean: None, kept: KeptContents) -> dict[str, Made]:
    roles = ("buyer", "seller", "staff")
    made: dict[str, Made] = kept.begin_with(
        "people", lambda: {role: make_user(app, staff=role == "staff") for role in roles}
    )
    return made


@pytest.mark.parametrize("phase", EVENTS_TO, ids=name_of)
def test_each_state_and_each_side(app: Flask, people: dict[str, Made], phase: OrderPhase) -> None:
    assert set(SIDES) == set(EVENTS_TO)
    order = lead_order(app, make_good(app, people["seller"]), people["buyer"], phase=phase)
    sellers_view, buyers_view, later_sellers, later_buyers = SIDES[phase]
    for days, of_buyer, of_seller in ((0, sellers_view, buyers_view), (DAYS + 0.01, later_sellers, later_buyers)):
        age(app, days=days)
        parcel = ABSENT if of_seller == ABSENT else W
        detail = "/api/order/{id}/"
        seller = everywhere(app, order, people["seller"], lists="/api/sell_order/", detail=detail)
        assert seller == (of_buyer, parcel)
        assert everywhere(app, order, people["buyer"], lists="/api/buy_order/", detail=detail) == (W, of_seller)
        whole = M if phase.closed and days else W
        staff = everywhere(app, order, people["staff"], lists="/api/staff/orders/", detail="/api/staff/order/{id}/")
        assert staff == (whole, ABSENT if of_seller == ABSENT else whole)


def test_the_days_are_a_setting(make_app: Any, people: dict[str, Made], app: Flask) -> None:
    lead_order(app, make_good(app, people["seller"]), people["buyer"], phase=SETTLED)
    headers = auth_headers(app, people["seller"])
    for days, passed, shown in ((DAYS, DAYS - 0.01, W), (0, 0, M), (3, 2.99, W), (3, 3.01, M)):
        age(app, days=passed)
        client = make_app(ADDRESS_SHOWN_DAYS=str(days)).test_client()
        [order] = assert_envelope(client.get("/api/sell_order/", headers=headers), Answer.ORDER_FOUND)["items"]
        assert seen(order) == (shown, W)


def test_a_masked_address_is_this(app: Flask, people: dict[str, Made]) -> None:
    lead_order(app, make_good(app, people["seller"]), people["buyer"], phase=SETTLED)
    age(app, days=DAYS + 1)
    client = app.test_client()
    response = client.get("/api/sell_order/", headers=auth_headers(app, people["seller"]))
    [order] = assert_envelope(response, Answer.ORDER_FOUND)["items"]
    assert order["address"] == {
        "name": "王**",
        "mobile": "138****8000",
        "province": "浙江省",
        "city": "杭州市",
        "district": "余杭区",
        "detail": "***",
    }


def test_drawings_exports_and_webhooks_hold_no_address(app: Flask, people: dict[str, Made]) -> None:
    order = lead_order(app, make_good(app, people["seller"]), people["buyer"], phase=SETTLED)
    headers = auth_headers(app, people["seller"])
    client = app.test_client()
    drawn = client.get(f"/api/order/{order.id}/diagram/", headers=headers)
    assert drawn.status_code == 200
    exported = app.test_cli_runner().invoke(args=["order", "export", order.order_no])
    assert exported.exit_code == 0
    for content in (drawn.get_data(as_text=True), exported.output):
        assert [word for word in BUYERS.values() if word in content] == []
