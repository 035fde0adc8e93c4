"""What staff read: disputes with all that is needed, orders, payments, the ledger, actions; each with fixed cost."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, insert, text, update

from app.answers import Answer
from app.clock import SHANGHAI, utcnow
from app.db.database import db
from app.ledger.models import AccountKind
from app.money.models import GatewayNotification, Payment
from app.orders import service
from app.orders.models import Dispute
from app.staff.models import ActionKind
from app.staff.service import add_staff, remove_staff, resolve_for_seller
from app.staff.texts import ACCOUNT_TEXT, ACTION_TEXT, POSTING_TEXT
from app.wallet.models import PayoutPosting
from statemachine import ORDER, OrderEvent, Role
from statemachine.order import (
    REFUND_REQUESTED_RECEIVED,
    REFUND_REQUESTED_SHIPPED,
    REFUND_REQUESTED_UNSHIPPED,
    RETURN_SENT,
)
from tests.factories import Made, StatementCounter, assert_envelope, auth_headers, make_user
from tests.ledger.steps import give, walk
from tests.staff.steps import REASON, REQUESTED, decide, order_at, row_of


@pytest.fixture
def staff(app: Flask, client: FlaskClient) -> Made:
    return make_user(app, "kefu", staff=True)


def get(app: Flask, client: FlaskClient, staff: Made, path: str, answer: Answer) -> Any:
    return assert_envelope(client.get(f"/api/staff/{path}", headers=auth_headers(app, staff)), answer)


def test_every_code_has_a_text() -> None:
    assert set(ACCOUNT_TEXT) == set(AccountKind)
    assert set(ACTION_TEXT) == set(ActionKind)
    moving = {rule.event.value for rule in ORDER.rules if rule.moves}
    others = {"payment_late", "refund_confirmed", *(kind.value for kind in PayoutPosting)}
    assert set(POSTING_TEXT) == moving | others


# --- disputes ---


def test_a_dispute_with_all_that_is_needed(app: Flask, client: FlaskClient, staff: Made) -> None:
    order = order_at(app, RETURN_SENT, pictures=2)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Dispute).values(created_at=utcnow() - timedelta(hours=3)))
        connection.execute(text("UPDATE refund_requests SET created_at = created_at - interval '4 hours'"))
    data = get(app, client, staff, "disputes/", Answer.DISPUTES_FOUND)
    assert {name: data[name] for name in ("page", "size", "total", "pages")} == {
        "page": 1,
        "size": 20,
        "total": 1,
        "pages": 1,
    }
    (case,) = data["items"]
    assert case["raised_by"] == {
        "id": order.seller.id,
        "username": order.seller.username,
        "nickname": None,
        "avatar": None,
    }
    assert case["event_text"] == "对退货有异议"
    assert 3 * 3600 <= case["waiting_seconds"] < 3 * 3600 + 60
    dispute, request = case["dispute"], case["request"]
    assert (dispute["role"], dispute["role_text"], dispute["event"]) == ("seller", "卖家", "contest_return")
    assert (dispute["reason"], dispute["description"]) == ("退回的不是原物", "见图")
    assert (dispute["outcome"], dispute["ended_at"]) == (None, None)
    assert [(each["url"], each["width"]) for each in dispute["pictures"]] == [
        ("/api/evidence/3/", 80),
        ("/api/evidence/4/", 81),
    ]
    assert (request["reason"], request["description"], request["outcome"]) == ("与描述不符", "屏幕有划痕", None)
    assert [(each["url"], each["width"]) for each in request["pictures"]] == [
        ("/api/evidence/1/", 60),
        ("/api/evidence/2/", 61),
    ]
    assert case["pots"] == [
        {"account": "gateway_clearing", "account_text": "支付网关", "amount": "2600.00"},
        {"account": "escrow", "account_text": "担保账户", "amount": "2600.00"},
    ]
    shown = case["order"]
    assert (shown["id"], shown["order_no"], shown["amount"]) == (order.id, order.order_no, "2600.00")
    assert (shown["bill_status"], shown["order_status"], shown["disputed"]) == (4, 9, True)
    assert (shown["buyer"]["id"], shown["seller"]["id"]) == (order.buyer.id, order.seller.id)
    assert shown["delivery"]["tracking_no"] == shown["return_delivery"]["tracking_no"] == "SF1234567890"
    assert shown["return_delivery"]["freight"] == "10.00"
    assert shown["address"]["mobile"] == "13800138000"
    assert shown["deadline"] is None
    assert shown["actions"] == [
        {
            "name": name,
            "text": words,
            "method": "POST",
            "url": f"/api/staff/{name}/{order.id}/",
        }
        for name, words in (("resolve_for_buyer", "裁决退款给买家"), ("resolve_for_seller", "裁决归卖家"))
    ]
    for picture in (*dispute["pictures"], *request["pictures"]):
        assert client.get(picture["url"], headers=auth_headers(app, staff)).content_type == "image/jpeg"


def test_open_and_ended_disputes(app: Flask, client: FlaskClient, staff: Made) -> None:
    get(app, client, staff, "disputes/", Answer.NO_DISPUTES)
    orders = [order_at(app, phase) for phase in REQUESTED]
    order_at(app, REFUND_REQUESTED_RECEIVED, disputed=False)
    open_ones = get(app, client, staff, "disputes/", Answer.DISPUTES_FOUND)["items"]
    assert [each["order"]["id"] for each in open_ones] == [each.id for each in orders]
    second = get(app, client, staff, "disputes/?page=2&size=3", Answer.DISPUTES_FOUND)
    assert ([each["order"]["id"] for each in second["items"]], second["pages"]) == ([orders[3].id], 2)
    assert_envelope(decide(app, client, staff, "resolve_for_seller", orders[1]), Answer.DISPUTE_DECIDED)
    with app.app_context():
        service.withdraw_refund(actor_id=orders[2].buyer.id, order_id=orders[2].id)
        # Another request and another dispute about the same order: each dispute goes with its own request.
        service.request_refund(
            actor_id=orders[1].buyer.id, order_id=orders[1].id, reason="物流信息异常", description="", uploads=[]
        )
        service.raise_dispute(
            actor_id=orders[1].seller.id,
            order_id=orders[1].id,
            event=OrderEvent.DISPUTE,
            reason="已妥投",
            description="",
        )
    open_ones = get(app, client, staff, "disputes/?state=open", Answer.DISPUTES_FOUND)["items"]
    assert [(each["order"]["id"], each["request"]["reason"]) for each in open_ones] == [
        (orders[0].id, "与描述不符"),
        (orders[3].id, "与描述不符"),
        (orders[1].id, "物流信息异常"),
    ]
    ended = get(app, client, staff, "disputes/?state=ended", Answer.DISPUTES_FOUND)["items"]
    assert [
        (each["order"]["id"], each["dispute"]["outcome"], each["dispute"]["outcome_note"], each["request"]["reason"])
        for each in ended
    ] == [
        (orders[1].id, "resolve_for_seller", REASON, "与描述不符"),
        (orders[2].id, "withdraw_refund", "", "与描述不符"),
    ]
    assert ended[0]["dispute"]["outcome_text"] == "裁决归卖家"
    assert ended[0]["pots"] == [
        {"account": "gateway_clearing", "account_text": "支付网关", "amount": "2600.00"},
        {"account": "escrow", "account_text": "担保账户", "amount": "2600.00"},
    ]


# --- orders ---


def test_orders_and_their_filters(app: Flask, client: FlaskClient, staff: Made) -> None:
    get(app, client, staff, "orders/", Answer.NO_ORDERS)
    unpaid = walk(app)
    disputed = order_at(app, REFUND_REQUESTED_RECEIVED)
    closed = walk(app, (OrderEvent.CANCEL, Role.BUYER))
    with app.app_context():
        service.hide_order(actor_id=closed.buyer.id, order_id=closed.id)

    def ids(query: str) -> list[int]:
        response = client.get(f"/api/staff/orders/?{query}", headers=auth_headers(app, staff))
        return [each["id"] for each in response.get_json()["data"]["items"]]

    assert ids("") == [closed.id, disputed.id, unpaid.id]
    assert ids("page=2&size=2") == [unpaid.id]
    assert ids(f"order_no={disputed.order_no}") == [disputed.id]
    assert ids(f"user_id={disputed.buyer.id}") == [disputed.id]
    assert ids(f"user_id={closed.seller.id}") == [closed.id]
    assert ids("bill_status=1") == [closed.id, unpaid.id]
    assert ids("bill_status=1&closed=false") == [unpaid.id]
    assert ids("order_status=8") == [disputed.id]
    assert ids("closed=true") == [closed.id]
    assert ids("disputed=true") == [disputed.id]
    assert ids("disputed=false") == [closed.id, unpaid.id]
    assert ids("order_no=404") == []
    items = get(app, client, staff, "orders/", Answer.ORDER_FOUND)["items"]
    assert [[action["name"] for action in each["actions"]] for each in items] == [
        [],
        ["resolve_for_buyer", "resolve_for_seller"],
        [],
    ]


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        ("orders/?order_no=%27", {"order_no": ["格式不正确"]}),
        ("orders/?user_id=0", {"user_id": ["不能小于 1"]}),
        ("orders/?closed=perhaps", {"closed": ["须为布尔值"]}),
        ("orders/?bill_status=6&order_status=5", {"bill_status": ["不能大于 5"], "order_status": ["不能小于 6"]}),
        ("disputes/?state=all", {"state": ["不在可选范围内"]}),
        ("payments/?state=lost", {"state": ["不在可选范围内"]}),
        ("payments/?refund_state=lost", {"refund_state": ["不在可选范围内"]}),
        ("payments/?since=1", {"since": ["须为 YYYY-MM-DD"]}),
        ("payments/?since=2026-02-30", {"since": ["没有这一天"]}),
        ("payments/?until=1999-12-31", {"until": ["须在 2000 至 2199 年之间"]}),
        ("payments/?until=9999-12-31", {"until": ["须在 2000 至 2199 年之间"]}),
        ("payments/?since=2026-11-23&until=2026-11-22", {"until": ["不能早于 since"]}),
        ("ledger/?order_id=x", {"order_id": ["须为整数"]}),
        ("actions/?subject=parcel", {"subject": ["不在可选范围内"]}),
    ],
)
def test_bad_filters(app: Flask, client: FlaskClient, staff: Made, query: str, errors: dict[str, list[str]]) -> None:
    assert get(app, client, staff, query, Answer.MALFORMED) == {"errors": errors}


def entries(transaction: Any) -> list[tuple[str, str, str]]:
    return [(each["account"], each["amount"], each["balance"]) for each in transaction["entries"]]


def test_one_order_with_everything(app: Flask, client: FlaskClient, staff: Made) -> None:
    order = order_at(app, REFUND_REQUESTED_RECEIVED)
    forged = {"out_trade_no": order.order_no, "trade_status": "TRADE_SUCCESS", "total_amount": "0.01"}
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(
            insert(GatewayNotification).values(
                out_trade_no=order.order_no,
                trade_no="2026112222001",
                fields=forged,
                refusal="total_amount differs",
                received_at=utcnow(),
            )
        )
        connection.execute(
            insert(GatewayNotification).values(
                out_trade_no="another", trade_no="", fields={}, refusal=None, received_at=utcnow()
            )
        )
    assert_envelope(decide(app, client, staff, "resolve_for_buyer", order), Answer.DISPUTE_DECIDED)
    data = get(app, client, staff, f"order/{order.id}/", Answer.ORDER_FOUND)
    assert [step["event"] for step in data["history"]] == [
        *("buy", "pay", "ship", "receive", "request_refund", "dispute", "resolve_for_buyer")
    ]
    assert (data["actions"], data["handover_code"]) == ([], None)
    assert [each["state"] for each in data["payments"]] == ["paid"]
    assert data["pots"] == [
        {"account": "gateway_clearing", "account_text": "支付网关", "amount": "2600.00"},
        {"account": "refund_clearing", "account_text": "退款待网关确认", "amount": "2600.00"},
    ]
    assert [
        (
            each["key"],
            each["kind_text"],
            [(part["account"], part["amount"], part["balance"]) for part in each["entries"]],
        )
        for each in data["ledger"]
    ] == [
        (
            f"order:{order.id}:2:pay",
            "付款",
            [("gateway_clearing", "2600.00", "2600.00"), ("escrow", "-2600.00", "2600.00")],
        ),
        (
            f"order:{order.id}:4:receive",
            "确认收货",
            [("escrow", "2600.00", "0.00"), ("seller_held", "-2600.00", "2600.00")],
        ),
        (
            f"order:{order.id}:5:request_refund",
            "申请退款",
            [("seller_held", "2600.00", "0.00"), ("escrow", "-2600.00", "2600.00")],
        ),
        (
            f"order:{order.id}:7:resolve_for_buyer",
            "裁决退款给买家",
            [("escrow", "2600.00", "0.00"), ("refund_clearing", "-2600.00", "2600.00")],
        ),
    ]
    held = data["ledger"][1]["entries"][1]
    assert (held["user_id"], held["slot"], held["account_text"]) == (order.seller.id, 0, "卖家待结算")
    (refund,) = data["refunds"]
    assert (refund["out_trade_no"], refund["request_no"]) == (order.order_no, f"{order.order_no}_R1")
    assert (refund["amount"], refund["reason"], refund["reason_text"]) == (
        "2600.00",
        "resolve_for_buyer",
        "裁决退款给买家",
    )
    assert (refund["state"], refund["attempts"], refund["last_error"], refund["confirmed_at"]) == (
        "pending",
        0,
        None,
        None,
    )
    (told,) = data["gateway_notifications"]
    assert (told["trade_no"], told["fields"], told["refusal"]) == ("2026112222001", forged, "total_amount differs")
    (action,) = data["staff_actions"]
    assert (action["actor"], action["action"], action["action_text"], action["reason"]) == (
        {"id": staff.id, "username": "kefu", "nickname": None, "avatar": None},
        "resolve_for_buyer",
        "裁决退款给买家",
        REASON,
    )
    get(app, client, staff, "order/404/", Answer.NO_SUCH_ORDER)


# --- payments ---


def test_payments_and_their_filters(app: Flask, client: FlaskClient, staff: Made) -> None:
    get(app, client, staff, "payments/", Answer.NO_PAYMENTS)
    orders = [order_at(app, REFUND_REQUESTED_UNSHIPPED), order_at(app, REFUND_REQUESTED_UNSHIPPED), walk(app)]
    # The last moments of a day in Shanghai, and the first of the next.
    moments = [datetime(2026, 11, 22, 15, 59, 59, tzinfo=UTC), datetime(2026, 11, 22, 16, tzinfo=UTC)]
    with app.app_context(), db.engine.begin() as connection:
        for order, moment in zip(orders, moments, strict=False):
            connection.execute(update(Payment).where(Payment.order_id == order.id).values(created_at=moment))
        connection.execute(
            insert(Payment).values(
                order_id=orders[2].id,
                out_trade_no=orders[2].order_no,
                amount=260000,
                created_at=datetime(2026, 11, 24, tzinfo=UTC),
            )
        )
    assert_envelope(decide(app, client, staff, "resolve_for_buyer", orders[0]), Answer.DISPUTE_DECIDED)

    def found(query: str) -> list[int]:
        response = client.get(f"/api/staff/payments/?{query}", headers=auth_headers(app, staff))
        data = response.get_json()["data"]
        assert data["total"] == len(data["items"])
        return [each["order_id"] for each in data["items"]]

    first, second, third = (order.id for order in orders)
    assert found("") == [third, second, first]
    assert found("state=open") == [third]
    assert found("state=paid") == [second, first]
    assert found("state=closed") == []
    assert found("refund_state=pending") == [first]
    assert found("refund_state=confirmed") == []
    assert found("since=2026-11-22&until=2026-11-22") == [first]
    assert found("since=2026-11-23&until=2026-11-23") == [second]
    assert found("since=2026-11-23") == [third, second]
    assert found("until=2026-11-22&state=paid&refund_state=pending") == [first]
    data = get(app, client, staff, "payments/?until=2026-11-22", Answer.PAYMENTS_FOUND)["items"][0]
    assert (data["order_no"], data["attempt"], data["amount"], data["state"]) == (
        orders[0].order_no,
        1,
        "2600.00",
        "paid",
    )
    assert data["created_at"] == moments[0].astimezone(SHANGHAI).isoformat()
    assert (data["refund"]["state"], data["refund"]["amount"]) == ("pending", "2600.00")


# --- the ledger ---


def test_the_ledger(app: Flask, client: FlaskClient, staff: Made) -> None:
    empty = get(app, client, staff, "ledger/", Answer.LEDGER_FOUND)
    assert (empty["accounts"], empty["items"], empty["total"]) == ([], [], 0)
    order = order_at(app, RETURN_SENT)
    with app.app_context():
        resolve_for_seller(actor_id=staff.id, order_id=order.id, reason=REASON)
    other = make_user(app)
    give(app, other, available=700)

    def pots(data: Any) -> dict[str, str]:
        return {each["account"]: each["amount"] for each in data["accounts"]}

    data = get(app, client, staff, "ledger/?size=2", Answer.LEDGER_FOUND)
    assert pots(data) == {
        "gateway_clearing": "2607.00",
        "escrow": "0.00",
        "seller_held": "0.00",
        "seller_available": "2607.00",
    }
    assert (data["total"], data["pages"], [each["kind"] for each in data["items"]]) == (
        5,
        3,
        ["settle", "resolve_for_seller"],
    )
    last = get(app, client, staff, "ledger/?size=2&page=3", Answer.LEDGER_FOUND)
    assert [each["kind"] for each in last["items"]] == ["pay"]
    for transaction in data["items"]:
        assert sum(Decimal(part["amount"]) for part in transaction["entries"]) == 0
    of_order = get(app, client, staff, f"ledger/?order_id={order.id}", Answer.LEDGER_FOUND)
    assert pots(of_order) == {"gateway_clearing": "2600.00", "seller_available": "2600.00"}
    assert [each["kind"] for each in of_order["items"]] == [*("resolve_for_seller", "request_refund", "receive", "pay")]
    assert {each["order_id"] for each in of_order["items"]} == {order.id}
    of_user = get(app, client, staff, f"ledger/?user_id={other.id}", Answer.LEDGER_FOUND)
    assert (pots(of_user), of_user["total"]) == ({"seller_available": "7.00"}, 1)
    of_seller = get(app, client, staff, f"ledger/?user_id={order.seller.id}", Answer.LEDGER_FOUND)
    assert pots(of_seller) == {"seller_held": "0.00", "seller_available": "2600.00"}
    assert [each["kind"] for each in of_seller["items"]] == ["resolve_for_seller", "request_refund", "receive"]
    both = get(app, client, staff, f"ledger/?user_id={order.seller.id}&order_id={order.id}", Answer.LEDGER_FOUND)
    assert (pots(both), both["total"]) == ({"seller_available": "2600.00"}, 3)
    nothing = get(app, client, staff, "ledger/?order_id=404", Answer.LEDGER_FOUND)
    assert (nothing["accounts"], nothing["items"]) == ([], [])


# --- actions ---


def test_actions_and_their_filters(app: Flask, client: FlaskClient, staff: Made) -> None:
    get(app, client, staff, "actions/", Answer.NO_STAFF_ACTIONS)
    order, user = order_at(app, REFUND_REQUESTED_SHIPPED), make_user(app)
    with app.app_context():
        add_staff(username=user.username, reason="入职")
        remove_staff(username=user.username, reason="离职")
    assert_envelope(decide(app, client, staff, "resolve_for_seller", order), Answer.DISPUTE_DECIDED)

    def found(query: str) -> list[tuple[str, int, str | None]]:
        response = client.get(f"/api/staff/actions/?{query}", headers=auth_headers(app, staff))
        return [
            (each["action"], each["subject_id"], each["actor"] and each["actor"]["username"])
            for each in response.get_json()["data"]["items"]
        ]

    decided = ("resolve_for_seller", order.id, "kefu")
    removed, added = ("remove_staff", user.id, None), ("add_staff", user.id, None)
    assert found("") == [decided, removed, added]
    assert found("size=1&page=3") == [added]
    assert found(f"actor_id={staff.id}") == [decided]
    assert found("subject=user") == [removed, added]
    assert found(f"subject=order&subject_id={order.id}") == [decided]
    assert found("subject=order&subject_id=404") == []
    first = get(app, client, staff, "actions/", Answer.STAFF_ACTIONS_FOUND)["items"][0]
    assert first["details"] == {
        "order_no": order.order_no,
        "sequence": row_of(app, order).history_length,
        "from": [4, 7],
        "to": [2, 7],
        "amount": 260000,
    }
    assert first["reason"] == REASON


# --- what it costs ---


@pytest.mark.parametrize(
    ("path", "statements"),
    [
        ("disputes/", 8),
        ("orders/", 5),
        ("payments/", 5),
        ("ledger/", 5),
        ("ledger/?user_id=2", 4),
        ("actions/", 4),
        ("order/1/", 13),
    ],
)
def test_no_query_per_row(app: Flask, client: FlaskClient, staff: Made, path: str, statements: int) -> None:
    headers = auth_headers(app, staff)
    for _ in range(2):
        for phase in (REFUND_REQUESTED_UNSHIPPED, REFUND_REQUESTED_RECEIVED):
            order_at(app, phase, pictures=1)
            assert_envelope(
                decide(app, client, staff, "resolve_for_buyer", order_at(app, phase)), Answer.DISPUTE_DECIDED
            )
        counter = StatementCounter()
        with app.app_context():
            event.listen(db.engine, "before_cursor_execute", counter.on_execute)
            try:
                assert client.get(f"/api/staff/{path}", headers=headers).status_code == 200
            finally:
                event.remove(db.engine, "before_cursor_execute", counter.on_execute)
        assert len(counter.statements) == statements, counter.statements
