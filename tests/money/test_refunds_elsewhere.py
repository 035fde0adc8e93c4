"""Money that moved at the gateway without us: refunds made in its console, trades paid twice. Staff decide."""

import json
import re
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from alipay.exceptions import AliPayException
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty
from sqlalchemy import delete, select, update

from app.answers import Answer
from app.clock import SHANGHAI, format_moment_or_none, utcnow
from app.db.database import db
from app.db.transactions import transaction
from app.money import refunds
from app.money.gateway import gateway
from app.money.gateways.base import GatewayUnavailable
from app.money.models import MoneyCase, Payment, Refund
from app.money.queries import booked_movements
from app.orders import deadlines, payments
from app.orders.actions import HELD, HOLD_TEXT
from app.orders.holds import may_count_as_refund
from app.orders.models import Order, RefundRequest
from app.orders.reconciliation import compare_with_books, fetch_day_bill
from app.outbox.models import OutboxMessage
from app.outbox.service import PermanentFailure
from statemachine import OrderPhase, Role, TradeMode, order_flow
from statemachine.order import (
    AWAITING_PAYMENT,
    PAID,
    RECEIVED,
    REFUNDED_RECEIVED,
    REFUNDED_RETURNED,
    REFUNDED_SHIPPED,
    REFUNDED_UNSHIPPED,
    SETTLED,
    SHIPPED,
)
from tasks.payments import ask_again
from tasks.relay import relay_once
from tests.factories import Made, assert_envelope, auth_headers, make_address, make_user, whole_database
from tests.moderation.steps import waiting_for_locks
from tests.money.conftest import AMOUNT, Purchase, Shop, paid
from tests.tasks.steps import wait_until

WHOLLY = {"trade_status": "TRADE_CLOSED", "refund_fee": "2600.00", "out_biz_no": "CONSOLE1"}
PARTLY = {"refund_fee": "100.00", "out_biz_no": "CONSOLE1"}
PARCEL = {"company": "顺丰速运", "tracking_no": "SF1234567890"}


@pytest.fixture
def staff(shop: Shop) -> Made:
    return make_user(shop.app, "kefu", staff=True)


def bought(shop: Shop) -> tuple[Purchase, dict[str, str]]:
    """A paid purchase, and the notification that said so."""
    purchase = shop.buy()
    form = shop.pay(purchase)
    assert shop.notify(form) == "success"
    return purchase, form


def cases(shop: Shop) -> list[tuple[str, int | None, str | None]]:
    with shop.app.app_context():
        found = db.session.scalars(select(MoneyCase).order_by(MoneyCase.id))
        return [(each.kind, each.order_id, each.decision) for each in found]


def is_held(shop: Shop, purchase: Purchase) -> bool:
    with shop.app.app_context():
        return db.session.get_one(Order, purchase.order_id).held_at is not None


def post(shop: Shop, who: dict[str, str], url: str, purchase: Purchase, **body: Any) -> Any:
    return shop.client.post(url.format(purchase.order_id), json=body, headers=who)


def ship(shop: Shop, purchase: Purchase) -> Any:
    address_id = make_address(shop.app, purchase.seller).id
    who = auth_headers(shop.app, purchase.seller)
    return post(shop, who, "/api/seller_send_delivery/{}/", purchase, address_id=address_id, **PARCEL)


def lead(shop: Shop, purchase: Purchase, *steps: str) -> None:
    """Let its sides take these steps."""
    for step in steps:
        if step == "ship":
            assert ship(shop, purchase).status_code == 200
            continue
        url, body = STEPS[step]
        done = post(shop, purchase.headers, url, purchase, **body)
        assert done.status_code == 200, done.text


STEPS: dict[str, tuple[str, dict[str, str]]] = {
    "receive": ("/api/buyer_receive_delivery/{}/", {}),
    "ask": ("/api/buyer_motion_drawback/{}", {"reason": "不想要了"}),
    "withdraw": ("/api/buyer_withdraw_drawback/{}/", {}),
    "send_back": ("/api/buyer_send_drawback/{}/", PARCEL),
    "dispute": ("/api/dispute_order/{}/", {"reason": "协商不成"}),
}


def decide(shop: Shop, staff: Made, decision: str, answer: Answer, case_id: int = 1) -> Any:
    url, body = f"/api/staff/money_case/{case_id}/", {"decision": decision, "reason": "商家平台可见"}
    return assert_envelope(shop.client.post(url, json=body, headers=auth_headers(shop.app, staff)), answer)


def offered(shop: Shop, staff: Made, state: str = "open") -> list[str]:
    """What can be decided about the one case, by its list."""
    listed = shop.client.get(f"/api/staff/money_cases/?state={state}", headers=auth_headers(shop.app, staff))
    [case] = assert_envelope(listed, Answer.MONEY_CASES_FOUND)["items"]
    decisions: list[str] = case["decisions"]
    return decisions


@pytest.mark.parametrize(
    "changes", [WHOLLY, PARTLY, {**WHOLLY, "out_biz_no": ""}], ids=["wholly", "partly", "no number"]
)
def test_a_refund_in_the_console_stops_the_order(shop: Shop, changes: dict[str, str]) -> None:
    purchase, form = bought(shop)
    before = shop.state_of(purchase)
    for _ in range(2):
        assert shop.notify(shop.sign(form, **changes)) == "success"
    assert (shop.state_of(purchase), cases(shop)) == (before, [("refund_elsewhere", purchase.order_id, None)])
    refused = assert_envelope(ship(shop, purchase), Answer.WRONG_STATE)
    assert refused == {
        "event": "ship",
        "bill_status": 2,
        "order_status": 6,
        "closed": False,
        "reasons": [HELD],
        "allowed": [],
    }
    buyer, seller = purchase.headers, auth_headers(shop.app, purchase.seller)
    for who, url, body in (
        (buyer, "/api/buyer_motion_drawback/{}", {"reason": "不想要了"}),
        (buyer, "/api/buyer_receive_delivery/{}/", {}),
        (seller, "/api/seller_hand_over/{}/", {"code": "123456"}),
    ):
        assert post(shop, who, url, purchase, **body).get_json()["data"]["reasons"] == [HELD], url
    for who, role in ((buyer, Role.BUYER), (seller, Role.SELLER)):
        shown = shop.client.get(f"/api/order/{purchase.order_id}/", headers=who).get_json()["data"]
        assert (shown["actions"], shown["deadline"]) == ([], None)
        with shop.app.app_context():
            since = format_moment_or_none(db.session.get_one(Order, purchase.order_id).held_at)
        assert shown["hold"] == {"code": "refunded_elsewhere", "text": HOLD_TEXT[role], "since": since}
    # Its deadline stands still.
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Order).values(deadline_at=utcnow() - timedelta(hours=1)))
    with shop.app.app_context():
        assert deadlines.fire_due(limit=10) == 0
    assert (shop.state_of(purchase), shop.audit()) == (before, [])
    assert 'saltfish_money_cases{kind="refund_elsewhere"} 1.0' in shop.client.get("/metrics").get_data(as_text=True)


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "ship-1"}], ids=["plain", "with a key"])
def test_the_seller_does_not_ship_what_was_refunded_in_the_console(shop: Shop, headers: dict[str, str]) -> None:
    purchase, _ = bought(shop)
    console_refund(shop, purchase, "2600.00")
    before = shop.state_of(purchase)
    address_id = make_address(shop.app, purchase.seller).id
    who = {**auth_headers(shop.app, purchase.seller), **headers}
    refused = post(shop, who, "/api/seller_send_delivery/{}/", purchase, address_id=address_id, **PARCEL)
    assert assert_envelope(refused, Answer.WRONG_STATE)["reasons"] == [HELD]
    assert (shop.state_of(purchase), is_held(shop, purchase)) == (before, True)
    assert cases(shop) == [("refund_elsewhere", purchase.order_id, None)]


def test_the_seller_does_not_hand_over_what_was_refunded_in_the_console(shop: Shop) -> None:
    purchase, _ = bought(shop)
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Order).values(trade_mode=TradeMode.FACE_TO_FACE, handover_code="123456"))
    console_refund(shop, purchase, "2600.00")
    seller = auth_headers(shop.app, purchase.seller)
    refused = post(shop, seller, "/api/seller_hand_over/{}/", purchase, code="123456")
    assert assert_envelope(refused, Answer.WRONG_STATE)["reasons"] == [HELD]
    assert (shop.state_of(purchase).phase, is_held(shop, purchase)) == (PAID, True)


def test_a_silent_gateway_stops_no_parcel(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    purchase, _ = bought(shop)
    asked = []

    def silent(out_trade_no: str) -> None:
        asked.append(out_trade_no)
        raise refunds.GatewayUnavailable("no answer")

    with shop.app.app_context():
        monkeypatch.setattr(gateway(), "query", silent)
    assert ship(shop, purchase).status_code == 200
    assert (asked, is_held(shop, purchase)) == ([purchase.order_no], False)


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "receive-1"}], ids=["plain", "with a key"])
def test_the_buyer_does_not_pay_the_seller_what_was_refunded(shop: Shop, headers: dict[str, str]) -> None:
    purchase, _ = bought(shop)
    lead(shop, purchase, "ship")
    console_refund(shop, purchase, "2600.00")
    before = shop.state_of(purchase)
    refused = post(shop, {**purchase.headers, **headers}, STEPS["receive"][0], purchase)
    assert assert_envelope(refused, Answer.WRONG_STATE)["reasons"] == [HELD]
    assert (shop.state_of(purchase), is_held(shop, purchase)) == (before, True)
    assert cases(shop) == [("refund_elsewhere", purchase.order_id, None)]


def test_who_may_not_receive_asks_nobody(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    purchase, _ = bought(shop)
    monkeypatch.setattr(gateway_of(shop), "query", lambda _: pytest.fail("the gateway was asked"))
    stranger = auth_headers(shop.app, make_user(shop.app))
    receive, ship_it = STEPS["receive"][0], "/api/seller_send_delivery/{}/"
    assert_envelope(post(shop, purchase.headers, receive, purchase), Answer.WRONG_STATE)
    assert_envelope(post(shop, stranger, receive, purchase), Answer.NO_SUCH_ORDER)
    assert_envelope(post(shop, stranger, ship_it, purchase, address_id=1, **PARCEL), Answer.NO_SUCH_ORDER)


def test_receipt_is_not_assumed_of_what_was_refunded(shop: Shop) -> None:
    """Only of the one whose money is still there."""
    refunded, other = (bought(shop)[0] for _ in range(2))
    for purchase in (refunded, other):
        lead(shop, purchase, "ship")
    console_refund(shop, refunded, "2600.00")
    make_due(shop)
    assert [sweep(shop) for _ in range(2)] == [1, 0]
    assert [shop.state_of(each).phase for each in (refunded, other)] == [SHIPPED, RECEIVED]
    assert [is_held(shop, each) for each in (refunded, other)] == [True, False]
    assert (cases(shop), shop.audit()) == ([("refund_elsewhere", refunded.order_id, None)], [])


def test_a_silent_gateway_stops_no_receipt(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the buyer's nor one that is assumed; after three calls the sweep stops asking."""
    purchases = [bought(shop)[0] for _ in range(5)]
    for purchase in purchases:
        lead(shop, purchase, "ship")
    asked = []

    def silent(out_trade_no: str) -> None:
        asked.append(out_trade_no)
        raise GatewayUnavailable("no answer")

    monkeypatch.setattr(gateway_of(shop), "query", silent)
    lead(shop, purchases[0], "receive")
    assert asked == [purchases[0].order_no]
    with shop.app.app_context(), db.engine.begin() as connection:
        overdue = update(Order).where(Order.bill_status == 2)
        connection.execute(overdue.values(deadline_at=utcnow() - timedelta(hours=1), remind_at=None))
    assert sweep(shop) == 4
    assert len(asked) == 1 + 3
    assert {shop.state_of(each).phase for each in purchases} == {RECEIVED}
    assert shop.audit() == []


def test_a_slow_gateway_holds_up_the_sweep_only_so_long(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each receipt follows the answer about its own money; what there is no time to ask about waits for the next."""
    purchases = [bought(shop)[0] for _ in range(4)]
    for purchase in purchases:
        lead(shop, purchase, "ship")
    make_due(shop)
    at = gateway_of(shop)
    now, answers_take, received = 0.0, [59.0, 1.0, 0.0, 0.0], []
    query = at.query

    def slow(out_trade_no: str) -> Any:
        nonlocal now
        received.append(sum(shop.state_of(each).phase == RECEIVED for each in purchases))
        now += answers_take[len(received) - 1]
        return query(out_trade_no)

    monkeypatch.setattr(at, "query", slow)
    monkeypatch.setattr(deadlines, "monotonic", lambda: now)
    # Half a minute, and as long again for three calls without an answer.
    assert [sweep(shop) for _ in range(3)] == [2, 2, 0]
    assert received == [0, 1, 2, 3]
    assert ({shop.state_of(each).phase for each in purchases}, shop.audit()) == ({RECEIVED}, [])


def test_the_end_of_the_job_s_time_ends_the_sweep(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """RQ raises it while the gateway is asked: it is not the order's fault, which is not put off for it."""
    purchases = [bought(shop)[0] for _ in range(2)]
    for purchase in purchases:
        lead(shop, purchase, "ship")
    make_due(shop)
    before = whole_database(shop.app)
    monkeypatch.setattr(gateway_of(shop), "query", lambda _: signal.raise_signal(signal.SIGALRM))
    with UnixSignalDeathPenalty(900, JobTimeoutException), pytest.raises(JobTimeoutException, match="900 seconds"):
        sweep(shop)
    assert whole_database(shop.app) == before
    monkeypatch.undo()
    assert sweep(shop) == 2


def test_it_is_noticed_by_asking_once_a_day(shop: Shop) -> None:
    purchase, _ = bought(shop)
    other, _ = bought(shop)
    console_refund(shop, purchase, "2600.00")
    with shop.app.app_context():
        assert payments.check_paid_trades() == 0
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Payment).values(paid_at=utcnow() - timedelta(days=1)))
    with shop.app.app_context():
        assert [payments.check_paid_trades() for _ in range(2)] == [2, 0]
    assert [is_held(shop, each) for each in (purchase, other)] == [True, False]
    assert cases(shop) == [("refund_elsewhere", purchase.order_id, None)]
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Payment).values(checked_at=utcnow() - timedelta(days=1)))
    with shop.app.app_context():
        # What is held waits for staff.
        assert payments.check_paid_trades() == 1


def console_refund(shop: Shop, purchase: Purchase, amount: str, number: str = "CONSOLE1") -> None:
    """Refund as somebody at the gateway's console does: not by a request of the application's books."""
    gateway = shop.sandbox.gateway()
    fen = int(amount.replace(".", ""))
    gateway.refund(out_trade_no=purchase.order_no, amount_fen=fen, out_request_no=number, reason="手工退款")


def test_a_refund_of_ours_is_none_of_those(shop: Shop) -> None:
    purchase, form = bought(shop)
    approve(shop, purchase)
    ours = shop.sign(form, **{**WHOLLY, "out_biz_no": f"{purchase.order_no}_R1"})
    for _ in range(2):
        assert shop.notify(ours) == "success"
        assert (cases(shop), is_held(shop, purchase)) == ([], False)
        with shop.app.app_context():
            refunds.send_refund(refund_id=1)
    assert shop.notify(shop.sign(form, trade_status="TRADE_CLOSED")) == "success"
    assert (cases(shop), shop.audit()) == ([], [])


def told(shop: Shop, who: dict[str, str]) -> list[tuple[str, str, str]]:
    """`(event, title, text)` of what somebody was told, the newest first."""
    with shop.app.app_context():
        while relay_once():
            pass
    items = shop.client.get("/api/notifications/", headers=who).get_json()["data"]["items"]
    return [(each["event"], each["title"], each["text"]) for each in items]


def name_of_steps(value: tuple[object, ...]) -> str:
    return "-".join(map(str, value)) or "paid"


def refund_requests(shop: Shop) -> list[tuple[str, str | None]]:
    with shop.app.app_context():
        found = db.session.scalars(select(RefundRequest).order_by(RefundRequest.id))
        return [(each.reason, each.outcome) for each in found]


@pytest.mark.parametrize(
    ("steps", "phase"),
    [
        ((), REFUNDED_UNSHIPPED),
        (("ship",), REFUNDED_SHIPPED),
        (("ship", "receive"), REFUNDED_RECEIVED),
        (("ask",), REFUNDED_UNSHIPPED),
        (("ship", "ask", "dispute"), REFUNDED_SHIPPED),
        (("ship", "receive", "ask"), REFUNDED_RECEIVED),
        (("ship", "receive", "ask", "send_back"), REFUNDED_RETURNED),
        (("ship", "ask", "withdraw", "ask", "withdraw", "ask", "withdraw"), REFUNDED_SHIPPED),
    ],
    ids=name_of_steps,
)
def test_staff_count_it_as_the_orders_refund(
    shop: Shop, staff: Made, steps: tuple[str, ...], phase: OrderPhase
) -> None:
    """Whether somebody had asked for a refund or not, and however often: it uses up no request."""
    purchase, form = bought(shop)
    seller = auth_headers(shop.app, purchase.seller)
    lead(shop, purchase, *steps)
    console_refund(shop, purchase, WHOLLY["refund_fee"])
    assert shop.notify(shop.sign(form, **WHOLLY)) == "success"
    asked, before, requests = steps.count("ask"), told(shop, seller), refund_requests(shop)
    assert offered(shop, staff) == ["count_as_refund", "continue"]
    decide(shop, staff, "count_as_refund", Answer.MONEY_CASE_DECIDED)
    assert offered(shop, staff, state="closed") == []
    state = shop.state_of(purchase)
    assert (state.phase, state.refunds) == (phase, [(1, AMOUNT, "confirm_external_refund", "pending")])
    assert (state.events[-1], state.events.count("request_refund")) == ("confirm_external_refund", asked)
    assert state.good_status == (2 if phase is REFUNDED_UNSHIPPED else 4)
    assert (state.money, is_held(shop, purchase)) == ({"gateway_clearing": AMOUNT, "refund_clearing": AMOUNT}, False)
    with shop.app.app_context():
        order = db.session.get_one(Order, purchase.order_id)
        assert (order.refund_count, order.closed_reason, order.disputed) == (asked, "confirm_external_refund", False)
        assert (order.deadline_at, order.remind_at, order.clock_left) == (None, None, None)
    # A request that was open ends with it, and none is made in anybody's name.
    assert refund_requests(shop) == [(reason, outcome or "confirm_external_refund") for reason, outcome in requests]
    good = "九成新 iPhone 13 128G"
    assert told(shop, purchase.headers)[0] == (
        "confirm_external_refund",
        "平台确认:货款已退回",
        f"平台确认:「{good}」的货款 2600.00 元已由支付平台退回你的付款账户,订单已关闭,无需再申请退款",
    )
    assert told(shop, seller) == [
        (
            "confirm_external_refund",
            "平台确认:货款已退回买家",
            f"平台确认:「{good}」的货款 2600.00 元已由支付平台退回买家,订单已关闭",
        ),
        *before,
    ]
    with shop.app.app_context():
        refunds.send_refund(refund_id=1)
    # Nothing was sent: the payer has his money once.
    trade = shop.sandbox.trade(purchase.order_no)
    assert (trade["refunded_fen"], len(trade["refunds"])) == (AMOUNT, 1)
    assert shop.state_of(purchase).refunds == [(1, AMOUNT, "confirm_external_refund", "confirmed")]
    assert (shop.state_of(purchase).money, shop.audit()) == ({}, [])
    assert told(shop, purchase.headers)[0][:2] == ("refund_confirmed", "退款成功")
    assert cases(shop) == [("refund_elsewhere", purchase.order_id, "count_as_refund")]
    shown = shop.client.get(f"/api/order/{purchase.order_id}/", headers=seller).get_json()["data"]
    assert (shown["hold"], shown["refund"]["state"], shown["closed_reason"]) == (
        None,
        "confirmed",
        "confirm_external_refund",
    )


def test_a_part_is_no_refund_of_the_order(shop: Shop, staff: Made) -> None:
    """Of the rest nobody has said anything yet: the order can only go on."""
    purchase, form = bought(shop)
    console_refund(shop, purchase, "2599.99")
    changes = {"refund_fee": "2599.99", "out_biz_no": "CONSOLE1"}
    assert shop.notify(shop.sign(form, **changes)) == "success"
    before = shop.state_of(purchase)
    assert offered(shop, staff) == ["continue"]
    refused = decide(shop, staff, "count_as_refund", Answer.WRONG_STATE)
    assert (refused["event"], refused["reasons"]) == ("confirm_external_refund", ["支付平台没有退回全部货款"])
    assert (shop.state_of(purchase), is_held(shop, purchase)) == (before, True)
    assert cases(shop) == [("refund_elsewhere", purchase.order_id, None)]


def test_whether_it_may_be_counted() -> None:
    """Only where all went back of an order that is held for it, and whose seller has not been paid."""
    whole = {"amount": 100, "refunded_elsewhere": 100, "held": True}
    countable = {phase for phase in order_flow.phases if may_count_as_refund(phase=phase, **whole)}
    assert countable == {phase for phase in order_flow.phases if not phase.closed} - {AWAITING_PAYMENT}
    for changes in ({"refunded_elsewhere": 99}, {"held": False}, {"amount": 101}):
        assert not may_count_as_refund(phase=PAID, **{**whole, **changes})


def test_what_is_not_held_is_not_counted(shop: Shop, staff: Made) -> None:
    purchase, form = bought(shop)
    console_refund(shop, purchase, WHOLLY["refund_fee"])
    assert shop.notify(shop.sign(form, **WHOLLY)) == "success"
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Order).values(held_at=None))
    before = shop.state_of(purchase)
    assert offered(shop, staff) == ["continue"]
    decide(shop, staff, "count_as_refund", Answer.WRONG_STATE)
    assert (shop.state_of(purchase), shop.audit()) == (before, [])


def test_both_sides_are_told_of_the_hold_and_of_its_end(shop: Shop, staff: Made) -> None:
    purchase, form = bought(shop)
    buyer, seller = purchase.headers, auth_headers(shop.app, purchase.seller)
    before = [len(told(shop, who)) for who in (buyer, seller)]
    for _ in range(2):
        assert shop.notify(shop.sign(form, **PARTLY)) == "success"
    good = "九成新 iPhone 13 128G"
    assert told(shop, buyer)[0] == (
        "order_held",
        "订单暂停,平台核实中",
        f"支付平台显示「{good}」的货款已退回你的付款账户 100.00 元(订单 2600.00 元)。"
        "平台核实前订单暂停:双方不能操作,期限不计时,结果会通知你",
    )
    assert told(shop, seller)[0] == (
        "order_held",
        "订单暂停,平台核实中",
        f"支付平台显示「{good}」的货款已退回买家 100.00 元(订单 2600.00 元)。"
        "平台核实前订单暂停:请勿发货或交货,期限不计时,结果会通知你",
    )
    decide(shop, staff, "continue", Answer.MONEY_CASE_DECIDED)
    says = f"平台已核实「{good}」在支付平台的款项变动(100.00 元),订单恢复进行,期限顺延了暂停的时间"
    assert told(shop, buyer)[0] == ("order_released", "订单恢复进行", says)
    assert told(shop, seller)[0] == ("order_released", "订单恢复进行", f"{says},可以继续交易")
    assert [len(told(shop, who)) for who in (buyer, seller)] == [each + 2 for each in before]
    shown = shop.client.get(f"/api/order/{purchase.order_id}/", headers=seller).get_json()["data"]
    assert (shown["hold"], [each["name"] for each in shown["actions"]]) == (None, ["ship"])


def test_the_end_of_a_hold_names_all_that_went_back(shop: Shop, staff: Made) -> None:
    """Also where the older of two cases is decided last, and where more goes back before anybody is told."""
    purchase, form = bought(shop)
    for number, total in (("CONSOLE1", "30.00"), ("CONSOLE2", "50.00")):
        assert shop.notify(shop.sign(form, refund_fee=total, out_biz_no=number)) == "success"
    for case_id in (2, 1):
        decide(shop, staff, "continue", Answer.MONEY_CASE_DECIDED, case_id)
    assert not is_held(shop, purchase)
    assert shop.notify(shop.sign(form, refund_fee="60.00", out_biz_no="CONSOLE3")) == "success"
    latest = [(event, text) for event, _, text in told(shop, purchase.headers)][:3]
    good = "「九成新 iPhone 13 128G」"
    assert [(event, good in text) for event, text in latest] == [
        ("order_held", True),
        ("order_released", True),
        ("order_held", True),
    ]
    assert [re.findall(r"[0-9]+\.[0-9]{2} 元", text)[0] for _, text in latest] == ["60.00 元", "50.00 元", "30.00 元"]


def open_case_id(shop: Shop, purchase: Purchase) -> int:
    with shop.app.app_context():
        return db.session.scalars(select(MoneyCase.id).where(MoneyCase.order_id == purchase.order_id)).one()


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What each call returns, all begun together."""
    start = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def sweep(shop: Shop) -> int:
    with shop.app.app_context():
        return deadlines.fire_due(limit=10)


def make_due(shop: Shop) -> None:
    with shop.app.app_context(), db.engine.begin() as connection:
        overdue = update(Order).where(Order.deadline_at.is_not(None))
        connection.execute(overdue.values(deadline_at=utcnow() - timedelta(hours=1), remind_at=None))


@pytest.mark.parametrize("steps", [(), ("ship",), ("ship", "receive"), ("ship", "ask")], ids=name_of_steps)
def test_twice_at_once_against_the_buyer_and_the_sweep(shop: Shop, staff: Made, steps: tuple[str, ...]) -> None:
    """Of two members of staff, the buyer and the deadline exactly one gets the order: a member of staff."""
    who, body = auth_headers(shop.app, staff), {"decision": "count_as_refund", "reason": "商家平台可见"}
    purchase, form = bought(shop)
    lead(shop, purchase, *steps)
    console_refund(shop, purchase, WHOLLY["refund_fee"])
    assert shop.notify(shop.sign(form, **WHOLLY)) == "success"
    make_due(shop)
    url = f"/api/staff/money_case/{open_case_id(shop, purchase)}/"

    def count() -> int:
        return shop.client.post(url, json=body, headers=who).status_code

    def ask() -> int:
        url, words = STEPS["withdraw" if "ask" in steps else "ask"]
        return int(post(shop, purchase.headers, url, purchase, **words).status_code)

    *counted, asked, fired = at_once(count, count, ask, lambda: sweep(shop))
    assert (sorted(counted), asked, fired) == ([200, 409], 409, 0)
    state = shop.state_of(purchase)
    assert (state.events[-1], state.events.count("confirm_external_refund")) == ("confirm_external_refund", 1)
    assert state.refunds == [(1, AMOUNT, "confirm_external_refund", "pending")]
    assert (sweep(shop), state.phase[2], shop.audit()) == (0, True, [])


def test_the_buyers_request_against_the_hold(shop: Shop, staff: Made) -> None:
    """Whichever comes first, staff count the refund, and it is sent once."""
    for _ in range(5):
        purchase, form = bought(shop)
        console_refund(shop, purchase, WHOLLY["refund_fee"])
        notification = shop.sign(form, **WHOLLY)
        heard, asked = at_once(
            partial(shop.notify, notification),
            partial(post, shop, purchase.headers, STEPS["ask"][0], purchase, **STEPS["ask"][1]),
        )
        assert (heard, asked.status_code in (200, 409)) == ("success", True)
        decide(shop, staff, "count_as_refund", Answer.MONEY_CASE_DECIDED, open_case_id(shop, purchase))
        state = shop.state_of(purchase)
        assert state.events == [
            "buy",
            "pay",
            *["request_refund"] * (asked.status_code == 200),
            "confirm_external_refund",
        ]
        assert (state.phase, state.refunds) == (
            REFUNDED_UNSHIPPED,
            [(1, AMOUNT, "confirm_external_refund", "pending")],
        )
    with shop.app.app_context():
        for refund_id in db.session.scalars(select(Refund.id)).all():
            refunds.send_refund(refund_id=refund_id)
    assert shop.audit() == []
    with shop.app.app_context():
        assert set(db.session.scalars(select(Refund.state))) == {"confirmed"}


def test_staff_let_the_order_go_on(shop: Shop, staff: Made) -> None:
    purchase, form = bought(shop)
    with shop.app.app_context():
        deadline = db.session.get_one(Order, purchase.order_id).deadline_at
    assert deadline is not None
    assert shop.notify(shop.sign(form, **PARTLY)) == "success"
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Order).values(held_at=utcnow() - timedelta(days=3)))
    decide(shop, staff, "continue", Answer.MONEY_CASE_DECIDED)
    with shop.app.app_context():
        order = db.session.get_one(Order, purchase.order_id)
        assert (order.held_at, order.deadline_at is not None) == (None, True)
        assert timedelta(days=3) <= order.deadline_at - deadline < timedelta(days=3, minutes=1)  # type: ignore[operator]  # it has one
    assert ship(shop, purchase).status_code == 200
    # The same notification again is no news; more money that went back is.
    assert shop.notify(shop.sign(form, **PARTLY)) == "success"
    assert not is_held(shop, purchase)
    assert shop.notify(shop.sign(form, refund_fee="200.00", out_biz_no="CONSOLE2")) == "success"
    assert is_held(shop, purchase)
    assert [(kind, decision) for kind, _, decision in cases(shop)] == [
        ("refund_elsewhere", "continue"),
        ("refund_elsewhere", None),
    ]


def test_what_went_back_is_not_sent_again_by_a_later_refund(shop: Shop, staff: Made) -> None:
    purchase, form = bought(shop)
    console_refund(shop, purchase, "100.00")
    assert shop.notify(shop.sign(form, **PARTLY)) == "success"
    decide(shop, staff, "continue", Answer.MONEY_CASE_DECIDED)
    approve(shop, purchase)
    with shop.app.app_context():
        refunds.send_refund(refund_id=1)
    made = shop.sandbox.trade(purchase.order_no)["refunds"]
    assert [(each["out_request_no"], each["amount_fen"]) for each in made] == [
        ("CONSOLE1", 10000),
        (f"{purchase.order_no}_R1", AMOUNT - 10000),
    ]
    assert (shop.state_of(purchase).money, shop.audit()) == ({}, [])


def elsewhere(shop: Shop) -> int:
    with shop.app.app_context():
        return db.session.scalars(select(Payment.refunded_elsewhere)).one()


def made(shop: Shop, purchase: Purchase) -> list[tuple[str, int]]:
    return [(each["out_request_no"], each["amount_fen"]) for each in shop.sandbox.trade(purchase.order_no)["refunds"]]


def test_what_went_back_meanwhile_is_asked_for_before_the_rest_is_sent(shop: Shop, staff: Made) -> None:
    """Of a part we know; that the rest went back as well, Alipay does not tell by itself."""
    purchase, form = bought(shop)
    console_refund(shop, purchase, "100.00")
    assert shop.notify(shop.sign(form, **PARTLY)) == "success"
    decide(shop, staff, "continue", Answer.MONEY_CASE_DECIDED)
    approve(shop, purchase)
    console_refund(shop, purchase, "2500.00", "CONSOLE2")
    assert sent(shop) == "done"
    assert made(shop, purchase) == [("CONSOLE1", 10000), ("CONSOLE2", 250000)]
    assert (elsewhere(shop), shop.state_of(purchase).money, shop.audit()) == (AMOUNT, {}, [])


def test_our_part_of_what_went_back_stays_ours(shop: Shop, staff: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to our request was lost: asked again, the trade is closed, and a part of that was us."""
    purchase, form = bought(shop)
    console_refund(shop, purchase, "100.00")
    assert shop.notify(shop.sign(form, **PARTLY)) == "success"
    decide(shop, staff, "continue", Answer.MONEY_CASE_DECIDED)
    approve(shop, purchase)
    real = gateway_of(shop).refund

    def lost(**call: Any) -> None:
        real(**call)
        raise GatewayUnavailable("no answer in time")

    monkeypatch.setattr(gateway_of(shop), "refund", lost)
    assert sent(shop) == "again"
    monkeypatch.undo()
    assert sent(shop) == "done"
    assert made(shop, purchase) == [("CONSOLE1", 10000), (f"{purchase.order_no}_R1", AMOUNT - 10000)]
    assert (elsewhere(shop), booked(shop)) == (10000, [f"{purchase.order_no}_R1"])
    assert shop.state_of(purchase).money == {}


@pytest.mark.parametrize("changes", [WHOLLY, PARTLY], ids=["wholly", "partly"])
def test_nobody_is_told_that_he_has_what_the_gateway_has_not_given(
    shop: Shop, staff: Made, changes: dict[str, str]
) -> None:
    """Our books say that more went back elsewhere than did: what is missing is a case, and no refund of ours."""
    purchase, form = bought(shop)
    assert shop.notify(shop.sign(form, **changes)) == "success"
    if changes is WHOLLY:
        decide(shop, staff, "count_as_refund", Answer.MONEY_CASE_DECIDED)
    else:
        decide(shop, staff, "continue", Answer.MONEY_CASE_DECIDED)
        approve(shop, purchase)
    assert sent(shop) == "again"
    assert shop.state_of(purchase).refunds[0][3] == "pending"
    assert [(kind, decision) for kind, _, decision in cases(shop)][1:] == [("refund", None)]
    assert "refund_confirmed" not in [event for event, *_ in told(shop, purchase.headers)]
    with shop.app.app_context():
        refund = db.session.scalars(select(Refund)).one()
        assert (refund.last_error or "").startswith(
            "the gateway has not given all of it back" if changes is WHOLLY else "only 250000 of 260000 fen went back"
        )
        assert refund.undecided_at is None
    # Once it has, by the console, it is counted.
    console_refund(shop, purchase, changes["refund_fee"])
    assert sent(shop) == "done"
    assert told(shop, purchase.headers)[0][0] == "refund_confirmed"
    trade = shop.sandbox.trade(purchase.order_no)
    assert (trade["refunded_fen"], shop.state_of(purchase).money, shop.audit()) == (AMOUNT, {}, [])
    assert [(kind, decision) for kind, _, decision in cases(shop)][1:] == [("refund", "settled")]


@pytest.mark.parametrize("otherwise", [False, True], ids=["by the console", "otherwise"])
def test_staff_do_not_record_as_paid_what_the_gateway_has_given_in_part(
    shop: Shop, staff: Made, otherwise: bool
) -> None:
    """It made ours; what our books say went back in the console before is missing there, and is paid as it can be."""
    purchase, form = bought(shop)
    assert shop.notify(shop.sign(form, **PARTLY)) == "success"
    decide(shop, staff, "continue", Answer.MONEY_CASE_DECIDED)
    approve(shop, purchase)
    assert (sent(shop), made(shop, purchase)) == ("again", [(f"{purchase.order_no}_R1", AMOUNT - 10000)])
    before = shop.state_of(purchase)
    assert decide(shop, staff, "mark_paid", Answer.MONEY_CASE_REFUSED, 2)["reasons"] == [
        "支付宝没有退回全部款项:请在商家平台补退差额后重试,不能补退的另行退付"
    ]
    assert (shop.state_of(purchase), [decision for *_, decision in cases(shop)]) == (before, ["continue", None])
    assert "refund_confirmed" not in [event for event, *_ in told(shop, purchase.headers)]
    if not otherwise:
        console_refund(shop, purchase, "100.00")
        assert decide(shop, staff, "paid_otherwise", Answer.MONEY_CASE_REFUSED, 2)["reasons"] == [
            "支付宝没有部分退回这笔款项,不存在差额"
        ]
    assert shop.state_of(purchase) == before
    decision = "paid_otherwise" if otherwise else "mark_paid"
    decide(shop, staff, decision, Answer.MONEY_CASE_DECIDED, 2)
    good = "「九成新 iPhone 13 128G」"
    assert told_of_the_refund(shop, purchase.headers) == (
        ("退款已完成", f"{good}的退款 2600.00 元已完成,其中一部分由平台另行退给你,如未收到请联系客服")
        if otherwise
        else ("退款成功", f"{good}的退款 2600.00 元已原路退回")
    )
    # The bill has our part, and that is no news: the payer does not have it twice.
    ours = {"refund_fee": "2500.00", "out_biz_no": f"{purchase.order_no}_R1", "notify_id": "ours"}
    assert shop.notify(shop.sign(form, **ours)) == "success"
    with shop.app.app_context():
        differences = compare_with_books(fetch_day_bill(utcnow().astimezone(SHANGHAI).date())).differences
    assert [each for each in differences if purchase.order_no in each] == []
    assert booked(shop) == [f"{purchase.order_no}_R1"]
    assert [each for *_, each in cases(shop)] == ["continue", decision]
    assert (sent(shop), len(made(shop, purchase))) == ("done", 1 if otherwise else 2)
    assert (elsewhere(shop), shop.state_of(purchase).money, shop.audit()) == (10000, {}, [])


def test_a_silent_gateway_is_asked_again_before_anything_is_sent(
    shop: Shop, staff: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    purchase, form = bought(shop)
    console_refund(shop, purchase, "100.00")
    assert shop.notify(shop.sign(form, **PARTLY)) == "success"
    decide(shop, staff, "continue", Answer.MONEY_CASE_DECIDED)
    approve(shop, purchase)
    monkeypatch.setattr(gateway_of(shop), "query", lambda _: no_answer())
    assert sent(shop) == "again"
    assert made(shop, purchase) == [("CONSOLE1", 10000)]
    monkeypatch.undo()
    assert sent(shop) == "done"
    assert made(shop, purchase)[1:] == [(f"{purchase.order_no}_R1", AMOUNT - 10000)]


def test_a_refund_that_was_more_than_the_rest_is_made_once_that_is_known(shop: Shop) -> None:
    purchase, form = bought(shop)
    approve(shop, purchase)
    console_refund(shop, purchase, "100.00")
    assert sent(shop) == "dead"
    of_refund = OutboxMessage.topic == "payment_refund"
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(OutboxMessage).where(of_refund).values(dead_at=utcnow(), last_error="too much"))
    assert shop.state_of(purchase).refunds == [(1, AMOUNT, "approve_refund", "refused")]
    assert shop.notify(shop.sign(form, **PARTLY)) == "success"
    assert (shop.state_of(purchase).refunds_left, is_held(shop, purchase)) == (1, False)
    with shop.app.app_context():
        assert db.session.scalars(select(OutboxMessage.dead_at).where(of_refund)).one() is None
    assert sent(shop) == "done"
    assert made(shop, purchase) == [("CONSOLE1", 10000), (f"{purchase.order_no}_R1", AMOUNT - 10000)]
    assert (shop.state_of(purchase).money, shop.audit()) == ({}, [])


def test_a_refund_of_what_went_back_already_is_made(shop: Shop) -> None:
    """All of it went back in the console, of which nobody told us: the gateway refuses ours, and is asked why."""
    purchase, _ = bought(shop)
    approve(shop, purchase)
    console_refund(shop, purchase, "2600.00")
    assert sent(shop) == "done"
    assert made(shop, purchase) == [("CONSOLE1", AMOUNT)]
    assert (elsewhere(shop), booked(shop), cases(shop)) == (AMOUNT, [], [])
    assert (shop.state_of(purchase).money, shop.audit()) == ({}, [])


def test_a_refund_in_the_console_after_staff_paid_otherwise_is_noticed(
    shop: Shop, staff: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they paid is in no trade of the gateway: what went back there is all from elsewhere, and too much."""
    purchase, form = bought(shop)
    approve(shop, purchase)
    answers(shop, monkeypatch, refusal("ACQ.BUYER_ERROR"), {"code": "10000"})
    assert sent(shop) == "again"
    decide(shop, staff, "mark_paid", Answer.MONEY_CASE_DECIDED)
    monkeypatch.undo()
    console_refund(shop, purchase, "2600.00")
    assert shop.notify(shop.sign(form, **WHOLLY)) == "success"
    assert cases(shop) == [
        ("refund", purchase.order_id, "mark_paid"),
        ("refund_elsewhere", purchase.order_id, None),
    ]
    assert (elsewhere(shop), is_held(shop, purchase), shop.audit()) == (AMOUNT, False, [])


def test_a_settled_order_can_only_go_on(shop: Shop, staff: Made) -> None:
    purchase, form = bought(shop)
    lead(shop, purchase, "ship", "receive")
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Order).values(deadline_at=utcnow() - timedelta(hours=1)))
    with shop.app.app_context():
        assert deadlines.fire_due(limit=10) == 1
    assert shop.state_of(purchase).phase == SETTLED
    assert shop.notify(shop.sign(form, **WHOLLY)) == "success"
    assert not is_held(shop, purchase)
    before = shop.state_of(purchase)
    assert offered(shop, staff) == ["continue"]
    decide(shop, staff, "count_as_refund", Answer.WRONG_STATE)
    assert (shop.state_of(purchase), cases(shop)) == (before, [("refund_elsewhere", purchase.order_id, None)])
    decide(shop, staff, "continue", Answer.MONEY_CASE_DECIDED)


def test_parties_and_strangers_do_not_decide(shop: Shop, staff: Made) -> None:
    purchase, form = bought(shop)
    assert shop.notify(shop.sign(form, **WHOLLY)) == "success"
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Order).values(seller_id=staff.id))
    decide(shop, staff, "continue", Answer.FORBIDDEN)
    decide(shop, purchase.buyer, "continue", Answer.FORBIDDEN)
    assert is_held(shop, purchase)


# --- paid twice ---


def test_a_success_under_another_number_of_the_gateway_is_a_case(shop: Shop, staff: Made) -> None:
    purchase, form = bought(shop)
    before = shop.state_of(purchase)
    other = shop.sign(form, trade_no="2026112922001400000000009999", notify_id="other")
    for _ in range(2):
        assert shop.notify(other) == "success"
    assert (shop.state_of(purchase), is_held(shop, purchase)) == (before, False)
    assert cases(shop) == [("second_payment", purchase.order_id, None)]
    listed = shop.client.get("/api/staff/money_cases/?kind=second_payment", headers=auth_headers(shop.app, staff))
    [case] = assert_envelope(listed, Answer.MONEY_CASES_FOUND)["items"]
    assert case["details"] == {
        "out_trade_no": purchase.order_no,
        "trade_no": "2026112922001400000000009999",
        "amount": AMOUNT,
        "refunded_by_us": False,
    }
    decide(shop, staff, "dismiss", Answer.MONEY_CASE_DECIDED)
    assert shop.notify(other) == "success"
    assert cases(shop) == [("second_payment", purchase.order_id, "dismiss")]


@pytest.mark.parametrize("told", [True, False], ids=["told of the payment", "told of its refund only"])
def test_the_refund_of_a_second_payment_is_none_of_the_orders(shop: Shop, *, told: bool) -> None:
    purchase, form = bought(shop)
    before = shop.state_of(purchase)
    other = {"trade_no": "2026112922001400000000009999"}
    if told:
        assert shop.notify(shop.sign(form, **other, notify_id="other")) == "success"
    for _ in range(2):
        assert shop.notify(shop.sign(form, **other, **PARTLY)) == "success"
    assert cases(shop) == [("second_payment", purchase.order_id, None)]
    for _ in range(2):
        assert shop.notify(shop.sign(form, **other, **WHOLLY)) == "success"
    assert cases(shop) == [("second_payment", purchase.order_id, "settled")]
    with shop.app.app_context():
        assert db.session.scalars(select(MoneyCase.details)).one()["refunded"] == AMOUNT
        assert db.session.scalars(select(Payment.refunded_elsewhere)).one() == 0
    assert (shop.state_of(purchase), is_held(shop, purchase)) == (before, False)
    # The order's own refund pays all of it.
    approve(shop, purchase)
    with shop.app.app_context():
        refunds.send_refund(refund_id=1)
    made = shop.sandbox.trade(purchase.order_no)["refunds"]
    assert [(each["out_request_no"], each["amount_fen"]) for each in made] == [(f"{purchase.order_no}_R1", AMOUNT)]
    assert (shop.state_of(purchase).money, shop.audit()) == ({}, [])


def test_a_second_attempt_that_was_paid_is_refunded_and_a_case(shop: Shop) -> None:
    purchase, form = bought(shop)
    with shop.app.app_context(), db.engine.begin() as connection:
        second = f"{purchase.order_no}_2"
        first = connection.execute(select(Payment.__table__)).one()
        connection.execute(
            Payment.__table__.insert().values(  # type: ignore[attr-defined]  # it is a Table
                order_id=first.order_id,
                attempt=2,
                out_trade_no=second,
                amount=first.amount,
                state="closed",
                queries=0,
                created_at=utcnow(),
            )
        )
    assert shop.notify(shop.sign(form, out_trade_no=second, trade_no="T2", notify_id="second")) == "success"
    state = shop.state_of(purchase)
    assert state.attempts == [(1, "paid", form["trade_no"]), (2, "paid", "T2")]
    assert state.refunds == [(2, AMOUNT, "payment_late", "pending")]
    assert (cases(shop), shop.audit()) == ([("second_payment", purchase.order_id, None)], [])


# --- notifications without what is optional ---


def test_a_notification_without_optional_fields_pays(shop: Shop) -> None:
    purchase = shop.buy()
    form = shop.pay(purchase)
    assert shop.notify(shop.sign(form, seller_id="", gmt_payment="")) == "success"
    assert shop.state_of(purchase) == paid(form["trade_no"])
    with shop.app.app_context():
        # The gateway was asked when it was paid.
        moment = db.session.scalars(select(Payment.paid_at)).one()
    assert moment is not None
    assert moment.isoformat()[:19] == shop.sandbox.trade(purchase.order_no)["paid_at"][:19]


# --- refunds that the gateway does not make ---


def answers(shop: Shop, monkeypatch: pytest.MonkeyPatch, *said: dict[str, Any]) -> None:
    """Let the gateway answer so, the last one for ever."""
    left = list(said)
    with shop.app.app_context():
        monkeypatch.setattr(gateway()._sdk, "server_api", lambda *_, **__: left.pop(0) if len(left) > 1 else left[0])  # type: ignore[attr-defined]  # AlipayGateway has it


def refusal(sub_code: str, code: str = "40004") -> dict[str, Any]:
    return {"code": code, "msg": "…", "sub_code": sub_code, "sub_msg": "…"}


def approve(shop: Shop, purchase: Purchase) -> None:
    """Let the buyer ask for a refund and the seller grant it."""
    lead(shop, purchase, "ask")
    seller = auth_headers(shop.app, purchase.seller)
    assert post(shop, seller, "/api/seller_approve_drawback/{}/", purchase).status_code == 200


def owed(shop: Shop) -> Purchase:
    purchase, _ = bought(shop)
    approve(shop, purchase)
    return purchase


def sent(shop: Shop) -> str:
    """What becomes of the job."""
    with shop.app.app_context():
        try:
            refunds.send_refund(refund_id=1)
        except PermanentFailure:
            return "dead"
        except refunds.GatewayUnavailable:
            return "again"
    return "done"


@pytest.mark.parametrize(
    ("said", "becomes", "state", "is_case"),
    [
        (refusal("ACQ.REASON_TRADE_BEEN_FREEZEN"), "again", "pending", True),
        (refusal("isv.invalid-signature", "40002"), "again", "pending", True),
        (refusal("isv.insufficient-isv-permissions", "40006"), "again", "pending", True),
        (refusal("ACQ.SELLER_BALANCE_NOT_ENOUGH"), "again", "pending", False),
        (refusal("ACQ.SOMETHING_NEW"), "again", "pending", False),
        (refusal("ACQ.TRADE_HAS_FINISHED"), "dead", "refused", True),
    ],
    ids=lambda value: value["sub_code"] if isinstance(value, dict) else str(value),
)
def test_what_becomes_of_a_refused_refund(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any], becomes: str, state: str, is_case: bool
) -> None:
    purchase = owed(shop)
    about = said if said["code"] != "40004" else {"code": "10000"}  # who may not ask is refused that question, too
    answers(shop, monkeypatch, said, about)
    assert sent(shop) == becomes
    assert shop.state_of(purchase).refunds == [(1, AMOUNT, "approve_refund", state)]
    assert cases(shop) == ([("refund", purchase.order_id, None)] if is_case else [])
    monkeypatch.undo()
    assert sent(shop) == "done"
    assert cases(shop) == ([("refund", purchase.order_id, "settled")] if is_case else [])
    assert shop.audit() == []


def test_a_refund_that_was_given_up_before_there_were_cases_becomes_one(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    purchase = owed(shop)
    answers(shop, monkeypatch, refusal("ACQ.TRADE_HAS_FINISHED"), {"code": "10000"})
    assert sent(shop) == "dead"
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(delete(MoneyCase))
        connection.execute(
            update(OutboxMessage)
            .where(OutboxMessage.topic == "payment_refund")
            .values(dead_at=utcnow() - timedelta(hours=2), last_error="PermanentFailure: the gateway refused")
        )
    for _ in range(2):
        with shop.app.app_context():
            ask_again()
        assert cases(shop) == [("refund", purchase.order_id, None)]
    with shop.app.app_context():
        case = db.session.scalars(select(MoneyCase)).one()
        assert (case.key, case.refund_id, case.payment_id, case.details) == (
            "refund:1",
            1,
            1,
            {"request_no": f"{purchase.order_no}_R1", "amount": AMOUNT},
        )
        assert "ACQ.TRADE_HAS_FINISHED" in case.reason
    # Staff can see to it, and the gateway is asked again.
    monkeypatch.undo()
    assert sent(shop) == "done"
    assert (cases(shop), shop.audit()) == ([("refund", purchase.order_id, "settled")], [])


def test_staff_retry_a_refund_or_record_that_it_was_paid(
    shop: Shop, staff: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    purchase = owed(shop)
    answers(
        shop,
        monkeypatch,
        refusal("ACQ.REASON_TRADE_BEEN_FREEZEN"),
        {"code": "10000"},
        refusal("ACQ.TRADE_HAS_FINISHED"),
        {"code": "10000"},
    )
    assert sent(shop) == "again"
    decide(shop, staff, "retry", Answer.MONEY_CASE_DECIDED)
    assert sent(shop) == "dead"
    assert shop.state_of(purchase).refunds == [(1, AMOUNT, "approve_refund", "refused")]
    decide(shop, staff, "retry", Answer.MONEY_CASE_DECIDED)
    assert shop.state_of(purchase).refunds == [(1, AMOUNT, "approve_refund", "pending")]
    decide(shop, staff, "mark_paid", Answer.MONEY_CASE_DECIDED)
    assert shop.state_of(purchase).money == {}
    assert (cases(shop), shop.audit()) == ([("refund", purchase.order_id, "mark_paid")], [])


def booked(shop: Shop) -> list[str]:
    """The numbers of the refunds that the bill should have."""
    with shop.app.app_context():
        found = booked_movements(
            since=utcnow() - timedelta(days=1), until=utcnow() + timedelta(days=1), out_trade_nos=()
        )
        return [each.movement.request_no for each in found if each.movement.request_no is not None]


def told_of_the_refund(shop: Shop, who: dict[str, str]) -> tuple[str, str]:
    with shop.app.app_context():
        while relay_once():
            pass
    items = shop.client.get("/api/notifications/", headers=who).get_json()["data"]["items"]
    [told] = [each for each in items if each["event"] == "refund_confirmed"]
    return told["title"], told["text"]


@pytest.mark.parametrize(
    "code", ["BUYER_ENABLE_STATUS_FORBID", "BUYER_ERROR", "CUSTOMER_VALIDATE_ERROR", "TRADE_NOT_ALLOW_REFUND"]
)
def test_a_refund_that_staff_paid_otherwise_is_asked_for_no_more(
    shop: Shop, staff: Made, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    purchase = owed(shop)
    answers(shop, monkeypatch, refusal(f"ACQ.{code}"), {"code": "10000"})
    assert sent(shop) == "again"
    decide(shop, staff, "mark_paid", Answer.MONEY_CASE_DECIDED)
    monkeypatch.undo()
    assert sent(shop) == "done"  # as the hourly retry does; the buyer's account is free again
    assert shop.sandbox.trade(purchase.order_no)["refunds"] == []
    assert shop.state_of(purchase).refunds == [(1, AMOUNT, "approve_refund", "confirmed")]
    assert (cases(shop), shop.audit(), booked(shop)) == ([("refund", purchase.order_id, "mark_paid")], [], [])
    assert told_of_the_refund(shop, purchase.headers) == (
        "退款已完成",
        "「九成新 iPhone 13 128G」的退款 2600.00 元已由平台另行退给你,如未收到请联系客服",
    )


@pytest.mark.parametrize("told_by", ["notification", "bill"])
def test_a_refund_that_the_gateway_makes_after_staff_paid_it_is_a_case(
    shop: Shop, staff: Made, monkeypatch: pytest.MonkeyPatch, told_by: str
) -> None:
    """The buyer has it twice. A second report opens nothing that staff have closed."""
    purchase, form = bought(shop)
    approve(shop, purchase)
    answers(shop, monkeypatch, refusal("ACQ.BUYER_ERROR"), {"code": "10000"})
    assert sent(shop) == "again"
    assert decide(shop, staff, "dismiss", Answer.MONEY_CASE_REFUSED)["reasons"] == ["这笔退款还没有结果"]
    decide(shop, staff, "mark_paid", Answer.MONEY_CASE_DECIDED)
    monkeypatch.undo()
    before = shop.state_of(purchase)
    with shop.app.app_context():
        gateway().refund(
            out_trade_no=purchase.order_no, amount_fen=AMOUNT, out_request_no=f"{purchase.order_no}_R1", reason="…"
        )

    def report() -> None:
        if told_by == "notification":
            ours = {**WHOLLY, "out_biz_no": f"{purchase.order_no}_R1"}
            assert shop.notify(shop.sign(form, **ours)) == "success"
        else:
            with shop.app.app_context():
                compare_with_books(fetch_day_bill(utcnow().astimezone(SHANGHAI).date()))

    settled = ("refund", purchase.order_id, "mark_paid")
    report()
    assert cases(shop) == [settled, ("refund", purchase.order_id, None)]
    assert decide(shop, staff, "retry", Answer.MONEY_CASE_REFUSED, 2)["reasons"] == ["这笔退款已经完成"]
    decide(shop, staff, "dismiss", Answer.MONEY_CASE_DECIDED, 2)
    report()
    assert cases(shop) == [settled, ("refund", purchase.order_id, "dismiss")]
    assert (shop.state_of(purchase), elsewhere(shop), shop.audit()) == (before, 0, [])


def test_the_gateway_is_asked_before_a_refund_is_marked_as_paid(
    shop: Shop, staff: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    purchase = owed(shop)
    answers(shop, monkeypatch, refusal("ACQ.BUYER_ERROR"), {"code": "10000"}, refusal("isv.x", "20000"))
    assert sent(shop) == "again"
    assert decide(shop, staff, "mark_paid", Answer.MONEY_CASE_REFUSED)["reasons"] == [
        "支付宝暂未答复这笔退款的结果,请稍后再试"
    ]
    assert shop.state_of(purchase).refunds == [(1, AMOUNT, "approve_refund", "pending")]
    monkeypatch.undo()
    with shop.app.app_context():
        gateway().refund(
            out_trade_no=purchase.order_no, amount_fen=AMOUNT, out_request_no=f"{purchase.order_no}_R1", reason="…"
        )
    decide(shop, staff, "mark_paid", Answer.MONEY_CASE_DECIDED)
    assert booked(shop) == [f"{purchase.order_no}_R1"]
    assert told_of_the_refund(shop, purchase.headers)[0] == "退款成功"


def test_a_refund_is_not_marked_as_paid_while_it_may_be_made(
    shop: Shop, staff: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a job has asked for it, and within a day of a request whose outcome is unknown."""
    purchase = owed(shop)
    answers(shop, monkeypatch, refusal("ACQ.TRADE_HAS_FINISHED"), {"code": "10000"})
    assert sent(shop) == "dead"
    decide(shop, staff, "retry", Answer.MONEY_CASE_DECIDED)
    refused: list[list[str]] = []

    def in_flight(**_: object) -> None:
        refused.append(decide(shop, staff, "mark_paid", Answer.MONEY_CASE_REFUSED)["reasons"])
        raise GatewayUnavailable("no answer in time")

    with shop.app.app_context():
        monkeypatch.setattr(gateway(), "refund", in_flight)
    assert sent(shop) == "again"
    refused.append(decide(shop, staff, "mark_paid", Answer.MONEY_CASE_REFUSED)["reasons"])
    assert [reason[:11] for [reason] in refused] == ["支付宝仍可能退回这笔款"] * 2
    assert shop.state_of(purchase).refunds == [(1, AMOUNT, "approve_refund", "pending")]
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Refund).values(undecided_at=Refund.undecided_at - timedelta(days=1)))
    # A job begins while the gateway is asked.
    with shop.app.app_context():
        monkeypatch.setattr(gateway(), "refunded", lambda **_: sent(shop) == "done")
    monkeypatch.setattr(gateway_of(shop), "refund", no_answer)
    assert decide(shop, staff, "mark_paid", Answer.MONEY_CASE_REFUSED)["reasons"] == [
        "这笔退款刚刚又请求了支付宝,请稍后再试"
    ]
    assert (cases(shop), shop.audit()) == ([("refund", purchase.order_id, None)], [])


@pytest.mark.parametrize(
    "said",
    [refusal("isv.invalid-app-id", "40002"), refusal("ACQ.TRADE_HAS_FINISHED")],
    ids=["a person is needed", "in vain"],
)
def test_an_unsigned_refusal_calls_staff_and_decides_nothing(
    shop: Shop, staff: Made, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any]
) -> None:
    purchase = owed(shop)
    about = {"code": "10000"}
    unsigned(shop, monkeypatch, {"alipay.trade.refund": said}, about)
    assert (sent(shop), cases(shop)) == ("again", [("refund", purchase.order_id, None)])
    [reason] = decide(shop, staff, "mark_paid", Answer.MONEY_CASE_REFUSED)["reasons"]
    assert reason.startswith("支付宝仍可能退回这笔款项,")
    assert shop.state_of(purchase).refunds == [(1, AMOUNT, "approve_refund", "pending")]
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Refund).values(undecided_at=Refund.undecided_at - timedelta(days=1)))
    # Nor is an unsigned word that there is no such refund taken for the answer.
    unsigned(shop, monkeypatch, {"alipay.trade.fastpay.refund.query": refusal("TRADE_NOT_EXIST")}, about)
    assert decide(shop, staff, "mark_paid", Answer.MONEY_CASE_REFUSED)["reasons"] == [
        "支付宝暂未答复这笔退款的结果,请稍后再试"
    ]
    assert shop.state_of(purchase).refunds == [(1, AMOUNT, "approve_refund", "pending")]
    unsigned(shop, monkeypatch, {}, about)
    decide(shop, staff, "mark_paid", Answer.MONEY_CASE_DECIDED)
    assert shop.state_of(purchase).refunds == [(1, AMOUNT, "approve_refund", "confirmed")]
    assert shop.audit() == []


def test_a_question_that_is_refused_before_anything_is_sent_leaves_nothing_undecided(
    shop: Shop, staff: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed or not: no refund was asked for."""
    purchase, form = bought(shop)
    console_refund(shop, purchase, "100.00")
    assert shop.notify(shop.sign(form, **PARTLY)) == "success"
    decide(shop, staff, "continue", Answer.MONEY_CASE_DECIDED)
    approve(shop, purchase)
    unsigned(shop, monkeypatch, {"alipay.trade.query": refusal("isv.invalid-app-id", "40002")}, {"code": "10000"})
    assert sent(shop) == "again"
    assert cases(shop)[1:] == [("refund", purchase.order_id, None)]
    with shop.app.app_context():
        assert db.session.scalars(select(Refund.undecided_at)).one() is None
    monkeypatch.undo()
    assert made(shop, purchase) == [("CONSOLE1", 10000)]
    assert sent(shop) == "done"
    assert made(shop, purchase)[1:] == [(f"{purchase.order_no}_R1", AMOUNT - 10000)]


def unsigned(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, said: dict[str, dict[str, Any]], otherwise: dict[str, Any]
) -> None:
    """Let somebody on the way answer what is `said` by method, unsigned, and the gateway the rest, signed."""

    def server_api(method: str, *_: Any, **__: Any) -> dict[str, Any]:
        if method in said:
            raise AliPayException(None, json.dumps({f"{method.replace('.', '_')}_response": said[method]}))
        return otherwise

    monkeypatch.setattr(gateway_of(shop)._sdk, "server_api", server_api)


def gateway_of(shop: Shop) -> Any:
    with shop.app.app_context():
        return gateway()


def no_answer(**_: object) -> None:
    raise GatewayUnavailable("no answer in time")


def test_staff_settle_a_refund_that_is_asked_for_in_vain(
    shop: Shop, staff: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request says that nothing was done, so asking each hour keeps staff from nothing."""
    purchase = owed(shop)
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Refund).values(created_at=utcnow() - timedelta(days=2)))
    empty = refusal("ACQ.SELLER_BALANCE_NOT_ENOUGH")
    answers(shop, monkeypatch, empty, empty, {"code": "10000"})
    assert [sent(shop), sent(shop), cases(shop)] == ["again", "again", [("refund", purchase.order_id, None)]]
    decide(shop, staff, "mark_paid", Answer.MONEY_CASE_DECIDED)
    assert shop.state_of(purchase).refunds == [(1, AMOUNT, "approve_refund", "confirmed")]
    assert (cases(shop), shop.audit()) == ([("refund", purchase.order_id, "mark_paid")], [])


@pytest.mark.parametrize(
    ("told", "is_case"),
    [({"code": "40006", "sub_code": "isv.x"}, True), ({"code": "40005", "sub_code": "isv.y"}, False)],
    ids=["not allowed to ask", "too many questions"],
)
def test_a_refund_that_was_taken_may_be_made_though_the_question_about_it_is_refused(
    shop: Shop, staff: Made, monkeypatch: pytest.MonkeyPatch, told: dict[str, Any], is_case: bool
) -> None:
    purchase = owed(shop)
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Refund).values(created_at=utcnow() - timedelta(days=0 if is_case else 2)))
    answers(shop, monkeypatch, {"code": "10000", "fund_change": "N"}, told, {"code": "10000"})
    assert (sent(shop), cases(shop)) == ("again", [("refund", purchase.order_id, None)])
    [reason] = decide(shop, staff, "mark_paid", Answer.MONEY_CASE_REFUSED)["reasons"]
    assert reason[:11] == "支付宝仍可能退回这笔款"
    assert shop.state_of(purchase).refunds == [(1, AMOUNT, "approve_refund", "pending")]


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "case-1"}], ids=["plain", "with a key"])
def test_nothing_is_locked_while_the_gateway_is_asked_for_staff(
    shop: Shop, staff: Made, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    purchase = owed(shop)
    answers(shop, monkeypatch, refusal("ACQ.BUYER_ERROR"), {"code": "10000"})
    assert sent(shop) == "again"
    locked: list[int] = []

    def asked(**_: object) -> bool:
        with db.engine.connect() as job:
            rows = (Order.id, Refund.id, MoneyCase.id)
            locked.extend(job.scalars(select(row).with_for_update(nowait=True)).one() for row in rows)
        return False

    monkeypatch.setattr(gateway_of(shop), "refunded", asked)
    body = {"decision": "mark_paid", "reason": "商家平台可见"}
    who = {**auth_headers(shop.app, staff), **headers}
    assert_envelope(shop.client.post("/api/staff/money_case/1/", json=body, headers=who), Answer.MONEY_CASE_DECIDED)
    assert (locked, cases(shop)) == ([purchase.order_id, 1, 1], [("refund", purchase.order_id, "mark_paid")])


def test_who_bought_or_sold_decides_nothing_about_the_refund(
    shop: Shop, staff: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    purchase = owed(shop)
    answers(shop, monkeypatch, refusal("ACQ.BUYER_ERROR"), {"code": "10000"})
    assert sent(shop) == "again"
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Order).values(seller_id=staff.id))
    for decision in ("retry", "mark_paid"):
        decide(shop, staff, decision, Answer.FORBIDDEN)
    assert cases(shop) == [("refund", purchase.order_id, None)]


def test_staff_lock_a_refund_before_its_case_as_jobs_do(
    shop: Shop, staff: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    owed(shop)
    answers(shop, monkeypatch, refusal("ACQ.BUYER_ERROR"), {"code": "10000"})
    assert sent(shop) == "again"
    with ThreadPoolExecutor(1) as pool, shop.app.app_context(), db.engine.connect() as job:
        job.execute(select(Refund.id).with_for_update())
        decided = pool.submit(decide, shop, staff, "retry", Answer.MONEY_CASE_DECIDED)
        wait_until(lambda: waiting_for_locks(shop.app) == 1, "staff wait for the refund")
        job.execute(select(MoneyCase.id).with_for_update(nowait=True))
        # What a job inserts for the order of its refund locks that, too, if weakly.
        job.execute(select(Order.id).with_for_update(read=True, key_share=True, nowait=True))
        job.rollback()
        decided.result()


def test_a_job_waits_for_no_order_or_payment_while_it_holds_the_refund(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it inserts refers to both; who has locked those may be about to lock the refund."""
    purchase = owed(shop)
    answers(shop, monkeypatch, refusal("ACQ.BUYER_ERROR"), {"code": "10000"})
    with shop.app.app_context(), transaction() as session:
        payments._lock_attempt(session, 1)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(sent, shop).result() == "again"
        assert cases(shop) == [("refund", purchase.order_id, None)]


# --- texts: on its way, until the gateway has confirmed ---


def test_the_sides_are_told_once_the_gateway_has_confirmed(shop: Shop) -> None:
    purchase = owed(shop)

    def told(who: dict[str, str]) -> list[tuple[str, str, str]]:
        with shop.app.app_context():
            while relay_once():
                pass
        items = shop.client.get("/api/notifications/", headers=who).get_json()["data"]["items"]
        return [(each["event"], each["title"], each["text"]) for each in items]

    seller = auth_headers(shop.app, purchase.seller)
    assert not [text for who in (purchase.headers, seller) for each in told(who) for text in each if "已退" in text]
    assert sent(shop) == "done"
    assert told(purchase.headers)[0] == (
        "refund_confirmed",
        "退款成功",
        "「九成新 iPhone 13 128G」的退款 2600.00 元已原路退回",
    )
    assert told(seller)[0] == ("refund_confirmed", "退款已完成", "「九成新 iPhone 13 128G」的货款 2600.00 元已退给买家")
    assert sent(shop) == "done"
    assert len([each for each in told(seller) if each[0] == "refund_confirmed"]) == 1
