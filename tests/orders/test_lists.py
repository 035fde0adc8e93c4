"""Lists, filters, paging, hiding per side; and that no list does a query per row."""

from datetime import timedelta

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from statemachine import GoodStatus, OrderPhase
from statemachine.order import AWAITING_PAYMENT, PAID, RECEIVED, REFUND_REQUESTED_RECEIVED, RETURN_SENT, SHIPPED
from tests.factories import (
    Made,
    StatementCounter,
    assert_envelope,
    auth_headers,
    lead_order,
    make_good,
    make_order,
    make_user,
)


def _sold_orders(app: Flask, seller: Made, buyer: Made, phases: list[OrderPhase]) -> list[Made]:
    return [make_order(app, make_good(app, seller, status=GoodStatus.IN_TRADE), buyer, phase=phase) for phase in phases]


def test_lists_filters_and_pages(app: Flask, client: FlaskClient) -> None:
    seller, buyer, other = make_user(app), make_user(app), make_user(app)
    orders = _sold_orders(app, seller, buyer, [AWAITING_PAYMENT, PAID, SHIPPED, RECEIVED, REFUND_REQUESTED_RECEIVED])
    _sold_orders(app, seller, other, [SHIPPED])
    headers = auth_headers(app, buyer)

    def ids(query: str, url: str = "/api/buy_order/", as_headers: dict[str, str] = headers) -> list[int]:
        data = assert_envelope(client.get(url + query, headers=as_headers), Answer.ORDER_FOUND)
        return [item["id"] for item in data["items"]]

    newest_first = [order.id for order in reversed(orders)]
    assert ids("") == newest_first
    assert ids("?page=2&size=2") == newest_first[2:4]
    assert ids("?bill_status=2") == [orders[2].id, orders[1].id]
    assert ids("?bill_status=2&order_status=7") == [orders[2].id]
    assert len(ids("", "/api/sell_order/", auth_headers(app, seller))) == 6
    data = assert_envelope(client.get("/api/buy_order/?page=3&size=2", headers=headers), Answer.ORDER_FOUND)
    assert {name: data[name] for name in ("page", "size", "total", "pages")} == {
        "page": 3,
        "size": 2,
        "total": 5,
        "pages": 3,
    }
    empty = assert_envelope(client.get("/api/sell_order/", headers=headers), Answer.NO_ORDERS)
    assert empty == {"items": [], "page": 1, "size": 20, "total": 0, "pages": 0}


def test_bad_filters(app: Flask, client: FlaskClient) -> None:
    headers = auth_headers(app, make_user(app))
    for query, errors in {
        "?bill_status=6": {"bill_status": ["不能大于 5"]},
        "?order_status=5": {"order_status": ["不能小于 6"]},
        "?size=101": {"size": ["不能大于 100"]},
        "?size=0&page=0": {"page": ["不能小于 1"], "size": ["不能小于 1"]},
        "?page=x": {"page": ["须为整数"]},
    }.items():
        assert assert_envelope(client.get("/api/buy_order/" + query, headers=headers), Answer.MALFORMED) == {
            "errors": errors
        }


def test_no_query_per_row(app: Flask, client: FlaskClient) -> None:
    seller, buyer = make_user(app), make_user(app)
    headers = auth_headers(app, buyer)
    counts = []
    for _ in range(2):
        _sold_orders(app, seller, buyer, [SHIPPED] * 5)
        counter = StatementCounter()
        with app.app_context():
            event.listen(db.engine, "before_cursor_execute", counter.on_execute)
            try:
                assert_envelope(client.get("/api/buy_order/", headers=headers), Answer.ORDER_FOUND)
            finally:
                event.remove(db.engine, "before_cursor_execute", counter.on_execute)
        counts.append(len(counter.statements))
    assert counts == [2, 2]


def test_hiding_is_per_side(app: Flask, client: FlaskClient) -> None:
    seller, buyer = make_user(app), make_user(app)
    order = lead_order(app, make_good(app, seller), buyer, phase=RECEIVED)
    as_buyer, as_seller = auth_headers(app, buyer), auth_headers(app, seller)
    url = f"/api/edit_order/{order.id}/"
    assert assert_envelope(client.delete(url, headers=as_buyer), Answer.ORDER_HIDDEN) is None
    assert_envelope(client.get("/api/buy_order/", headers=as_buyer), Answer.NO_ORDERS)
    assert len(assert_envelope(client.get("/api/sell_order/", headers=as_seller), Answer.ORDER_FOUND)["items"]) == 1
    assert_envelope(client.delete(url, headers=as_buyer), Answer.NO_SUCH_ORDER)
    # Something new happens to it: it is back.
    assert_envelope(
        client.post(f"/api/buyer_motion_drawback/{order.id}", json={"reason": "屏幕有划痕"}, headers=as_buyer),
        Answer.REFUND_REQUESTED,
    )
    assert len(assert_envelope(client.get("/api/buy_order/", headers=as_buyer), Answer.ORDER_FOUND)["items"]) == 1


def test_an_order_under_way_cannot_be_hidden(app: Flask, client: FlaskClient) -> None:
    seller, buyer = make_user(app), make_user(app)
    (order,) = _sold_orders(app, seller, buyer, [SHIPPED])
    data = assert_envelope(
        client.delete(f"/api/edit_order/{order.id}/", headers=auth_headers(app, buyer)), Answer.WRONG_STATE
    )
    assert data["reasons"] == ["订单尚未结束"]
    assert_envelope(
        client.delete(f"/api/edit_order/{order.id}/", headers=auth_headers(app, make_user(app))), Answer.NO_SUCH_ORDER
    )
    assert (
        len(
            assert_envelope(client.get("/api/buy_order/", headers=auth_headers(app, buyer)), Answer.ORDER_FOUND)[
                "items"
            ]
        )
        == 1
    )


def test_paying_is_offered_while_it_can_be_done(app: Flask, client: FlaskClient) -> None:
    seller, buyer = make_user(app), make_user(app)
    headers = auth_headers(app, buyer)
    for age, offered in ((timedelta(minutes=29), ["pay", "cancel"]), (timedelta(minutes=30), ["cancel"])):
        good = make_good(app, seller, status=GoodStatus.IN_TRADE)
        order = make_order(app, good, buyer, phase_since=utcnow() - age)
        data = assert_envelope(client.get(f"/api/order/{order.id}/", headers=headers), Answer.ORDER_FOUND)
        assert [action["name"] for action in data["actions"]] == offered
        answer = client.post(f"/order/pay/{order.id}/", headers=headers)
        assert answer.status_code == (302 if "pay" in offered else Answer.PAYMENT_LATE.http)


def test_a_refusal_names_only_what_can_be_done_here(app: Flask, client: FlaskClient) -> None:
    seller, buyer = make_user(app), make_user(app)
    headers = auth_headers(app, seller)
    for phase, disputed, allowed in (
        (RETURN_SENT, False, ["accept_return", "contest_return"]),
        (RETURN_SENT, True, ["accept_return"]),
        (SHIPPED, False, []),
    ):
        good = make_good(app, seller, status=GoodStatus.IN_TRADE)
        order = make_order(app, good, buyer, phase=phase, disputed=disputed)
        data = assert_envelope(client.post(f"/api/cancel_order/{order.id}/", headers=headers), Answer.WRONG_STATE)
        assert data["allowed"] == allowed


def test_three_refund_requests(app: Flask, client: FlaskClient) -> None:
    seller, buyer = make_user(app), make_user(app)
    good = make_good(app, seller, status=GoodStatus.SOLD)
    order = make_order(app, good, buyer, phase=RECEIVED, refund_count=3)
    data = assert_envelope(
        client.post(
            f"/api/buyer_motion_drawback/{order.id}", json={"reason": "不想要了"}, headers=auth_headers(app, buyer)
        ),
        Answer.WRONG_STATE,
    )
    assert data["reasons"] == ["每个订单最多申请 3 次退款"]
