"""Steps of orders become notifications of those who did not make them."""

from contextlib import suppress
from datetime import timedelta

import pytest
from flask import Flask

from app.clock import utcnow
from app.db.transactions import transaction
from app.notifications.models import NotificationKind
from app.notifications.service import notify, notify_of_steps
from statemachine import Role, TradeMode
from statemachine.order import AWAITING_PAYMENT, CANCELLED, PAID
from tasks.relay import relay_once
from tests.factories import lead_order, make_good, make_user
from tests.notifications.steps import an_order, make_step, outbox, told
from tests.settings import settings_with

pytestmark = pytest.mark.usefixtures("clean")


def relay(app: Flask) -> int:
    """One round."""
    with app.app_context():
        return relay_once()


def test_a_payment_is_told_to_both_sides(app: Flask) -> None:
    order = an_order(app)
    event_id = make_step(app, order)
    assert relay(app) == 1
    buyer, seller = told(app)
    assert (buyer.user_id, seller.user_id) == (order.buyer_id, order.seller_id)
    assert (seller.kind, seller.order_id, seller.order_event_id, seller.event, seller.read_at) == (
        "order",
        order.id,
        event_id,
        "pay",
        None,
    )
    assert (seller.title, seller.text) == ("买家已付款", "买家已付款:「九成新 iPhone 13 128G」,请尽快发货")
    assert (buyer.title, buyer.text) == (
        "付款成功",
        "「九成新 iPhone 13 128G」付款成功,2600.00 元由平台担保,等待卖家发货",
    )
    assert outbox(app) == []
    assert relay(app) == 0


def test_who_bought_is_not_told_of_it(app: Flask) -> None:
    order = an_order(app)
    make_step(app, order, event="buy", role=Role.BUYER, source=None, target=AWAITING_PAYMENT)
    relay(app)
    (line,) = told(app)
    assert (line.user_id, line.event, line.text) == (
        order.seller_id,
        "buy",
        "买家拍下了「九成新 iPhone 13 128G」,等待付款",
    )


def test_a_refusal_is_told_with_its_reason(app: Flask) -> None:
    order = an_order(app, good_title="台灯 {good} {0} %s")
    make_step(app, order, event="reject_refund", role=Role.SELLER, note="商品{note}没有问题")
    make_step(app, order, 2, event="reject_refund", role=Role.SELLER, note="长" * 500)
    assert [relay(app), relay(app), relay(app)] == [1, 1, 0]  # one of a stream at a time
    first, second = told(app, order.buyer_id)
    assert first.text == "卖家拒绝了退款申请:「台灯 {good} {0} %s」。理由:商品{note}没有问题"
    assert second.text.endswith("理由:" + "长" * 119 + "…")
    assert told(app, order.seller_id) == []


def test_the_words_fit_the_trade_mode(app: Flask) -> None:
    order = an_order(app, trade_mode=TradeMode.FACE_TO_FACE)
    make_step(app, order)
    relay(app)
    (line,) = told(app, order.seller_id)
    assert line.text == "买家已付款:「九成新 iPhone 13 128G」,请与买家约定当面交货"


@pytest.mark.parametrize(
    ("event", "role", "text"),
    [
        ("receive", Role.BUYER, "买家已确认收货:「九成新 iPhone 13 128G」,货款 2535.00 元将在售后期结束后到账"),
        (
            "receive",
            Role.SYSTEM,
            "买家超时未确认,已自动确认收货:「九成新 iPhone 13 128G」,货款 2535.00 元将在售后期结束后到账",
        ),
        ("settle", Role.SYSTEM, "「九成新 iPhone 13 128G」交易完成,货款 2535.00 元已转入可用余额"),
    ],
)
def test_a_seller_is_told_what_he_gets_after_the_platforms_share(app: Flask, event: str, role: Role, text: str) -> None:
    order = an_order(app)
    make_step(app, order, event=event, role=role)
    with settings_with(app, platform_fee_basis_points=250):
        relay(app)
    assert [line.text for line in told(app, order.seller_id)] == [text]


def test_of_a_buyer_who_takes_and_cancels_again_and_again_the_seller_is_told_once(app: Flask) -> None:
    seller, buyer, other = make_user(app), make_user(app), make_user(app)
    good = make_good(app, seller)

    def heard() -> list[tuple[str, int]]:
        while relay(app):
            pass
        return [(line.event, line.order_id) for line in told(app, seller.id)]

    first = lead_order(app, good, buyer, phase=CANCELLED)
    once = [("buy", first.id), ("cancel", first.id)]
    assert heard() == once
    lead_order(app, good, buyer, phase=CANCELLED)
    assert heard() == once
    # Somebody else is another matter, and so is another good; and that it was paid is always told.
    theirs = lead_order(app, good, other, phase=CANCELLED)
    elsewhere = lead_order(app, make_good(app, seller), buyer)
    paid = lead_order(app, good, buyer, phase=PAID)
    everything = [*once, ("buy", theirs.id), ("cancel", theirs.id), ("buy", elsewhere.id), ("pay", paid.id)]
    assert sorted(heard()) == sorted(everything)
    # The buyer was told of nothing but the payment: who acts knows.
    assert [line.event for line in told(app, buyer.id)] == ["pay"]


def test_the_next_day_the_seller_is_told_again(app: Flask) -> None:
    seller, buyer = make_user(app), make_user(app)
    good = make_good(app, seller)
    lead_order(app, good, buyer, phase=CANCELLED, created_at=utcnow() - timedelta(hours=24, seconds=1))
    again = lead_order(app, good, buyer)
    while relay(app):
        pass
    assert [line.event for line in told(app, seller.id) if line.order_id == again.id] == ["buy"]


def test_a_step_that_is_taken_up_again_is_told_once(app: Flask) -> None:
    order = an_order(app)
    event_id = make_step(app, order)
    relay(app)
    before = told(app)
    with app.app_context(), transaction() as session:
        notify_of_steps(session, event_ids=[event_id])
    assert told(app) == before
    assert len(before) == 2


def test_notify_tells_in_the_caller_s_transaction(app: Flask) -> None:
    user = make_user(app)
    with app.app_context():
        with suppress(ZeroDivisionError), transaction() as session:
            notify(session, user_id=user.id, kind=NotificationKind.PAYOUT, title="提现成功", text="已到账")
            raise ZeroDivisionError
        assert told(app) == []
        with transaction() as session:
            for order_id in (None, 7):
                notify(
                    session,
                    user_id=user.id,
                    kind=NotificationKind.REMINDER,
                    title="题" * 81,
                    text="文" * 301,
                    order_id=order_id,
                    event="ship",
                )
    first, second = told(app)
    assert (first.kind, first.title, first.text) == ("reminder", "题" * 79 + "…", "文" * 299 + "…")
    assert (first.order_id, first.order_event_id, first.event) == (None, None, "ship")
    assert second.order_id == 7
