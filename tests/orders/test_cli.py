"""`flask order list`: how an operator finds the number of an order."""

from datetime import timedelta
from typing import Any

import orjson
import pytest
from flask import Flask
from sqlalchemy import update

from app.clock import format_moment, utcnow
from app.db.database import db
from app.orders.models import Order
from statemachine import GoodStatus
from statemachine.order import CANCELLED, PAID, REFUND_REQUESTED_SHIPPED
from tests.factories import Made, make_good, make_order, make_user

pytestmark = pytest.mark.usefixtures("clean")


def order_list(app: Flask, *arguments: str) -> tuple[int, str]:
    """`flask order list …`: exit status and what it prints."""
    result = app.test_cli_runner().invoke(args=["order", "list", *arguments])
    return result.exit_code, result.output


def numbers(app: Flask, *arguments: str) -> list[str]:
    """The numbers of the orders listed."""
    code, output = order_list(app, *arguments, "--json")
    assert code == 0, output
    return [each["order_no"] for each in orjson.loads(output)]


def order(app: Flask, seller: Made, buyer: Made, **columns: Any) -> Made:
    return make_order(app, make_good(app, seller, status=GoodStatus.IN_TRADE, title="台灯 [red]"), buyer, **columns)


def test_orders_are_found_by_state_user_and_time(app: Flask) -> None:
    ming, mei, qiang = make_user(app, "XiaoMing"), make_user(app, "小美"), make_user(app, "阿强")
    old = order(app, ming, mei)
    paid = order(app, ming, qiang, phase=PAID)
    closed = order(app, mei, ming, phase=CANCELLED)
    disputed = order(app, qiang, mei, phase=REFUND_REQUESTED_SHIPPED, disputed=True, deadline_at=None)
    with app.app_context(), db.engine.begin() as connection:
        moved = update(Order).where(Order.id == old.id)
        connection.execute(moved.values(created_at=utcnow() - timedelta(days=40)))
    everything = [each.order_no for each in (disputed, closed, paid, old)]
    assert numbers(app) == everything
    assert numbers(app, "--user", "xiaoming") == [each.order_no for each in (closed, paid, old)]
    assert numbers(app, "--user", "nobody") == []
    assert numbers(app, "--state", "2,6") == [paid.order_no]
    assert numbers(app, "--state", "1,6,closed") == [closed.order_no]
    assert numbers(app, "--state", "1,6", "--user", "小美") == [old.order_no]
    day = format_moment(utcnow() - timedelta(days=39))
    assert numbers(app, "--since", day) == numbers(app, "--since", day[:10]) == everything[:-1]
    assert numbers(app, "--limit", "2") == everything[:2]


def test_what_is_printed(app: Flask) -> None:
    seller, buyer = make_user(app, "阿强"), make_user(app, "小美")
    held_at = utcnow()
    made = order(app, seller, buyer, phase=REFUND_REQUESTED_SHIPPED, disputed=True, deadline_at=None, held_at=held_at)
    code, output = order_list(app)
    assert code == 0
    head, line = output.splitlines()
    assert head.split() == ["order", "id", "state", "amount", "good", "buyer", "seller", "made", "at"]
    assert line.split() == [
        *(made.order_no, str(made.id), "4,7", "买家已申请退款,", "卖家已发货,", "disputed,", "held", "2600.00"),
        *("台灯", "[red]", "小美", "阿强", format_moment(made.created_at)),
    ]
    assert orjson.loads(order_list(app, "--json")[1]) == [
        {
            "order_no": made.order_no,
            "id": made.id,
            "state": "4,7",
            "bill_status": 4,
            "order_status": 7,
            "closed": False,
            "disputed": True,
            "held_at": format_moment(held_at),
            "amount": "2600.00",
            "good": {"id": made.good_id, "title": "台灯 [red]"},
            "buyer": {"id": buyer.id, "username": "小美"},
            "seller": {"id": seller.id, "username": "阿强"},
            "created_at": format_moment(made.created_at),
            "updated_at": format_moment(made.updated_at),
        }
    ]
    assert order_list(app, "--limit", "1")[1].endswith("only the newest 1 are shown\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--state", "9,9"), "'9,9' is not one of '1,6'"),
        (("--since", "gestern"), "is not like 2026-11-22T20:15:00+08:00 or 2026-11-22"),
        (("--since", "2026-11-22T20:15:00"), "is not like 2026-11-22T20:15:00+08:00 or 2026-11-22"),
        (("--limit", "0"), "0 is not in the range x>=1"),
    ],
)
def test_what_is_refused(app: Flask, arguments: tuple[str, ...], told: str) -> None:
    code, output = order_list(app, *arguments)
    assert code == 2
    assert told in output
