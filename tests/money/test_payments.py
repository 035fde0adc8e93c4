"""Paying, from outside: the cashier's page, the way to the gateway, and what is believed of what comes back."""

import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from sqlalchemy import func, literal_column, select, update

from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from app.money.models import GatewayNotification, Payment, RefusedNotifications
from app.orders import notification_records
from app.orders.models import Order, OrderEventRecord
from app.settings import settings
from statemachine import OrderPhase, order_flow
from statemachine.order import AWAITING_PAYMENT, CANCELLED, EXPIRE_AFTER, PAID
from tasks.housekeeping import purge_refused_notifications
from tests.conftest import MakeApp
from tests.factories import assert_envelope, auth_headers, make_user
from tests.money.conftest import AMOUNT, FRESH, STARTED, Purchase, Shop, paid
from tests.money.sandbox_server import fetch
from tests.settings import settings_with


def make_late(shop: Shop, purchase: Purchase, *, seconds_left: int = 0) -> None:
    """Let `seconds_left` be left for paying."""
    until = utcnow() + timedelta(seconds=seconds_left)
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Order).where(Order.id == purchase.order_id).values(deadline_at=until))


def payments(shop: Shop) -> int:
    with shop.app.app_context():
        return db.session.execute(select(func.count()).select_from(Payment)).scalar_one()


def open_cashier(shop: Shop, purchase: Purchase) -> str:
    response = shop.client.get(purchase.url, headers=purchase.headers)
    assert (response.status_code, response.content_type) == (200, "text/html; charset=utf-8")
    return response.get_data(as_text=True)


def button(page: str) -> tuple[str, bool]:
    """The button's text, and whether it can be pressed."""
    [(disabled, text)] = re.findall(r'<button id="pay" type="submit"( disabled)?>([^<]*)</button>', page)
    return text, not disabled


# --- the cashier ---


def test_the_cashier_of_an_unpaid_order(shop: Shop) -> None:
    purchase = shop.buy()
    page = open_cashier(shop, purchase)
    assert button(page) == ("立即支付 ¥2600.00", True)
    assert "<h2>九成新 iPhone 13 128G</h2>" in page
    assert [f"<dd>{text}</dd>" in page for text in ("¥2588.00", "¥12.00", purchase.order_no)] == [True] * 3
    [seconds] = re.findall(r'data-seconds="(\d+)"', page)
    lifetime = int(EXPIRE_AFTER.default.total_seconds())
    assert lifetime - 60 <= int(seconds) <= lifetime
    # A new order's cashier can be looked at as often as one likes: nothing begins with it.
    assert (payments(shop), shop.state_of(purchase)) == (0, FRESH)


def test_the_cashier_shows_a_title_as_text(shop: Shop) -> None:
    purchase = shop.buy()
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Order).values(good_title='<script>alert("1")</script>&'))
    page = open_cashier(shop, purchase)
    assert "<h2>&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;&amp;</h2>" in page
    assert page.count("<script") == 1


def test_the_cashier_loads_nothing_and_stays_in_no_cache(shop: Shop) -> None:
    response = shop.client.get((purchase := shop.buy()).url, headers=purchase.headers)
    policy = response.headers["Content-Security-Policy"]
    [nonce] = set(re.findall(r"'nonce-([^']+)'", policy))
    page = response.get_data(as_text=True)
    assert re.findall(r'<(script|style) nonce="([^"]+)"', page) == [("style", nonce), ("script", nonce)]
    assert policy.startswith("default-src 'none'; ")
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    again = shop.client.get(purchase.url, headers=purchase.headers).headers["Content-Security-Policy"]
    assert again != policy


def test_the_token_may_stand_in_the_query_and_the_form_keeps_it(shop: Shop) -> None:
    purchase = shop.buy()
    token = purchase.headers["Authorization"].removeprefix("Bearer ")
    response = shop.client.get(f"{purchase.url}?token={token}")
    assert response.status_code == 200
    page = response.get_data(as_text=True)
    [action] = re.findall(r'<form method="post" action="([^"]+)">', page)
    assert action == f"{purchase.url}?token={token}"
    assert shop.client.post(action).status_code == 302
    assert payments(shop) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_only_the_buyer_has_a_cashier(shop: Shop, method: str) -> None:
    purchase = shop.buy()
    for stranger in (purchase.seller, make_user(shop.app), make_user(shop.app, staff=True)):
        response = shop.client.open(purchase.url, method=method, headers=auth_headers(shop.app, stranger))
        assert assert_envelope(response, Answer.NO_SUCH_ORDER) is None
    for token, answer in ((None, Answer.LOGIN_REQUIRED), ("a.b.c", Answer.TOKEN_INVALID)):
        response = shop.client.open(purchase.url + (f"?token={token}" if token else ""), method=method)
        assert assert_envelope(response, answer) is None
    expired = auth_headers(shop.app, purchase.buyer, lifetime=timedelta(seconds=-1))
    token = expired["Authorization"].removeprefix("Bearer ")
    response = shop.client.open(f"{purchase.url}?token={token}", method=method)
    assert assert_envelope(response, Answer.TOKEN_EXPIRED) is None
    assert (payments(shop), shop.state_of(purchase)) == (0, FRESH)


def test_a_query_token_opens_nothing_but_the_cashier(shop: Shop) -> None:
    purchase = shop.buy()
    token = purchase.headers["Authorization"].removeprefix("Bearer ")
    assert_envelope(shop.client.get(f"/api/order/{purchase.order_id}/?token={token}"), Answer.LOGIN_REQUIRED)
    response = shop.client.post(f"/api/cancel_order/{purchase.order_id}/?token={token}")
    assert_envelope(response, Answer.LOGIN_REQUIRED)
    assert shop.state_of(purchase) == FRESH


def test_the_cashier_of_a_paid_order(shop: Shop) -> None:
    purchase = shop.buy()
    assert shop.notify(shop.pay(purchase)) == "success"
    page = open_cashier(shop, purchase)
    assert button(page) == ("已付款", False)
    assert 'id="countdown"' not in page
    before = shop.state_of(purchase)
    data = assert_envelope(shop.client.post(purchase.url, headers=purchase.headers), Answer.WRONG_STATE)
    assert data == {
        "event": "pay",
        "bill_status": 2,
        "order_status": 6,
        "closed": False,
        "reasons": ["订单当前为“已付款”,不能付款"],
        "allowed": ["request_refund"],
    }
    assert shop.state_of(purchase) == before


def test_the_cashier_of_a_cancelled_order(shop: Shop) -> None:
    purchase = shop.buy()
    assert shop.cancel(purchase).status_code == 200
    assert button(open_cashier(shop, purchase)) == ("无法支付", False)
    assert_envelope(shop.client.post(purchase.url, headers=purchase.headers), Answer.WRONG_STATE)
    assert (payments(shop), shop.state_of(purchase).phase) == (0, CANCELLED)


def test_the_cashier_of_a_late_order(shop: Shop) -> None:
    purchase = shop.buy()
    make_late(shop, purchase)
    page = open_cashier(shop, purchase)
    assert (button(page), "订单支付已超时" in page) == (("无法支付", False), True)
    assert assert_envelope(shop.client.post(purchase.url, headers=purchase.headers), Answer.PAYMENT_LATE) is None
    assert (payments(shop), shop.state_of(purchase)) == (0, FRESH)


# --- the way to the gateway ---


def test_paying_leads_to_the_gateway_with_the_servers_own_amount(shop: Shop) -> None:
    purchase = shop.buy()
    response = shop.client.post(purchase.url, data={"amount": "0.01"}, headers=purchase.headers)
    assert response.status_code == 302
    location = response.headers["Location"]
    assert location.startswith(f"{shop.sandbox.gateway_url}?")
    assert fetch(location).status == 200
    trade = shop.sandbox.trade(purchase.order_no)
    assert (trade["amount_fen"], trade["subject"], trade["status"]) == (
        AMOUNT,
        "九成新 iPhone 13 128G",
        "WAIT_BUYER_PAY",
    )
    assert trade["notify_url"].endswith("/order/notify/")
    assert shop.state_of(purchase) == STARTED


def test_starting_again_continues_the_same_payment(shop: Shop) -> None:
    purchase = shop.buy()
    start = Barrier(4)

    def press(_: int) -> int:
        start.wait()
        return shop.client.post(purchase.url, headers=purchase.headers).status_code

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(press, range(4))) == [302] * 4
    assert payments(shop) == 1
    first, second = (shop.client.post(purchase.url, headers=purchase.headers).headers["Location"] for _ in range(2))
    shop.sandbox.pay(first)
    assert fetch(second).status == 400  # the gateway: paid already
    assert shop.notify(shop.letter(purchase.order_no)) == "success"
    assert (payments(shop), shop.state_of(purchase).phase) == (1, PAID)


def test_the_gateway_takes_no_money_after_the_time_for_paying(shop: Shop) -> None:
    purchase = shop.buy()
    make_late(shop, purchase, seconds_left=60)
    location = shop.client.post(purchase.url, headers=purchase.headers).headers["Location"]
    with shop.app.app_context():
        expires_at = db.session.get_one(Order, purchase.order_id).deadline_at
    assert expires_at is not None
    fetch(location)
    assert shop.sandbox.trade(purchase.order_no)["expires_at"][:19] == expires_at.isoformat()[:19]


# --- coming back ---


def result_path(shop: Shop, purchase: Purchase) -> str:
    """The return URL that the gateway was given, on this application."""
    location = shop.client.post(purchase.url, headers=purchase.headers).headers["Location"]
    [return_url] = parse_qs(urlsplit(location).query)["return_url"]
    return urlsplit(return_url).path


def outcome(shop: Shop, path: str) -> str:
    response = shop.client.get(path)
    assert (response.status_code, response.content_type) == (200, "text/html; charset=utf-8")
    [text] = re.findall(r'<p id="outcome" class="outcome">([^<]*)</p>', response.get_data(as_text=True))
    return str(text)


def test_the_result_page_shows_what_we_know_and_not_what_its_url_says(shop: Shop) -> None:
    purchase = shop.buy()
    path = result_path(shop, purchase)
    claims = "?" + urlencode({"out_trade_no": purchase.order_no, "trade_status": "TRADE_SUCCESS", "total_amount": "1"})
    assert outcome(shop, path + claims) == "正在确认支付结果"
    assert '<meta http-equiv="refresh" content="2">' in shop.client.get(path).get_data(as_text=True)
    form = shop.pay(purchase)
    assert outcome(shop, path) == "正在确认支付结果"
    assert shop.notify(form) == "success"
    assert outcome(shop, path) == "支付成功"
    assert "http-equiv" not in shop.client.get(path).get_data(as_text=True)


def test_the_result_page_of_a_closed_order(shop: Shop) -> None:
    purchase = shop.buy()
    path = result_path(shop, purchase)
    assert shop.cancel(purchase).status_code == 200
    assert outcome(shop, path) == "订单已关闭,已付款项将原路退回"


def test_a_forged_ticket_shows_nothing(shop: Shop) -> None:
    purchase, other = shop.buy(), shop.buy()
    mine, theirs = (result_path(shop, each).rsplit("/", 1)[1] for each in (purchase, other))
    payload, at, signature = mine.split(".")
    forged = [
        str(purchase.order_id),
        f"{theirs.split('.')[0]}.{at}.{signature}",
        f"{payload}.{signature}",
        f"{payload}.{at}.{signature[:-1]}",
        f"{payload}.{at}.",
        f".{at}.{signature}",
        ".",
        quote("鱼\x00"),
        "a" * 3000,
    ]
    for ticket in forged:
        assert assert_envelope(shop.client.get(f"/order/pay/result/{ticket}/"), Answer.NO_SUCH_ORDER) is None
    assert outcome(shop, f"/order/pay/result/{mine}/") == "正在确认支付结果"


# --- what the gateway tells us ---


def test_a_right_notification_pays_the_order(shop: Shop) -> None:
    purchase = shop.buy()
    form = shop.pay(purchase)
    assert shop.notify(form) == "success"
    assert shop.state_of(purchase) == paid(form["trade_no"])
    with shop.app.app_context():
        step = db.session.scalars(select(OrderEventRecord).where(OrderEventRecord.event == "pay")).one()
        assert (step.role, step.actor_id, step.sequence) == ("gateway", None, 2)
        assert (step.from_bill, step.from_order, step.to_bill, step.to_order) == (1, 6, 2, 6)
        payment = db.session.scalars(select(Payment)).one()
        assert (payment.out_trade_no, payment.amount, payment.query_at) == (purchase.order_no, AMOUNT, None)
        assert payment.paid_at is not None
        assert timedelta(0) <= utcnow() - payment.paid_at < timedelta(minutes=1)
        kept = db.session.scalars(select(GatewayNotification)).one()
        assert (kept.out_trade_no, kept.trade_no, kept.fields) == (purchase.order_no, form["trade_no"], form)
    assert shop.refusals() == [None]


def test_repeated_notifications_change_nothing(shop: Shop) -> None:
    purchase = shop.buy()
    form = shop.pay(purchase)
    assert shop.notify(form) == "success"
    before = shop.state_of(purchase)
    finished = shop.sign(form, trade_status="TRADE_FINISHED", notify_id="another")
    later = shop.sign(form, notify_time="2030-01-01 00:00:00", gmt_payment="2030-01-01 00:00:00")
    for repeated in (form, later, finished):
        assert shop.notify(repeated) == "success"
    assert shop.state_of(purchase) == before
    assert shop.refusals() == [None] * 4
    with shop.app.app_context():
        assert db.session.scalars(select(Payment.paid_at)).one() < utcnow()


@pytest.mark.parametrize(
    "phase", [phase for phase in order_flow.phases if phase not in (AWAITING_PAYMENT, CANCELLED)], ids=str
)
def test_a_notification_later_in_an_orders_life_changes_nothing(shop: Shop, phase: OrderPhase) -> None:
    purchase = shop.buy()
    form = shop.pay(purchase)
    shop.notify(form)
    with shop.app.app_context(), db.engine.begin() as connection:
        values = {"bill_status": phase.bill, "order_status": phase.goods, "closed": phase.closed, "deadline_at": None}
        connection.execute(update(Order).values({**values, "remind_at": None}))
    before = shop.state_of(purchase)
    assert shop.notify(form) == "success"
    assert (shop.state_of(purchase), before.phase, before.refunds) == (before, phase, [])


Change = Callable[[Shop, dict[str, str]], Any]

REFUSED: Mapping[str, tuple[Change, str]] = {
    "smaller amount": (lambda shop, form: shop.sign(form, total_amount="0.01"), "other_amount"),
    "larger amount": (lambda shop, form: shop.sign(form, total_amount="2600.01"), "other_amount"),
    "unknown trade": (lambda shop, form: shop.sign(form, out_trade_no="20260101999"), "unknown_trade"),
    "other app": (lambda shop, form: shop.sign(form, app_id="2021000000000009"), "other_app: app_id"),
    "other seller": (lambda shop, form: shop.sign(form, seller_id="2088000000000009"), "other_seller: seller_id"),
    "changed after signing": (lambda _, form: form | {"total_amount": "2600.0"}, "bad_signature: sign"),
    "signature of another": (lambda _, form: form | {"sign": "QUFBQQ=="}, "bad_signature: sign"),
    "other charset": (lambda shop, form: shop.sign(form, charset="gbk"), "malformed_field: charset"),
    "no charset": (lambda shop, form: shop.sign(form, charset=""), "missing_field: charset"),
    "other charset than it says": (lambda _, form: urlencode(form, encoding="gbk").encode(), "bad_signature: sign"),
    "no signature": (lambda _, form: form | {"sign": ""}, "missing_field: sign"),
    "weak signature": (lambda _, form: form | {"sign_type": "RSA"}, "malformed_field: sign_type"),
    "nothing": (lambda *_: {}, "missing_field: sign"),
    "no trade number": (lambda shop, form: shop.sign(form, out_trade_no=""), "missing_field: out_trade_no"),
    "no amount": (lambda shop, form: shop.sign(form, total_amount=""), "missing_field: total_amount"),
    "amount that is none": (lambda shop, form: shop.sign(form, total_amount="NaN"), "malformed_field: total_amount"),
    "no status": (lambda shop, form: shop.sign(form, trade_status=""), "missing_field: trade_status"),
    "unknown status": (lambda shop, form: shop.sign(form, trade_status="PAID"), "malformed_field: trade_status"),
    "other kind": (lambda shop, form: shop.sign(form, notify_type="servicewindow"), "malformed_field: notify_type"),
    "doubled field": (
        lambda _, form: f"{urlencode(form)}&total_amount=2600.00".encode(),
        "malformed_field: total_amount",
    ),
    "long doubled field": (
        lambda _, form: f"{urlencode(form)}&{'x' * 5000}=1&{'x' * 5000}=2".encode(),
        f"malformed_field: {'x' * 64}",
    ),
    "doubled field with NUL": (
        lambda _, form: f"{urlencode(form)}&%00a=1&%00a=2".encode(),
        "malformed_field: a",
    ),
    "many fields": (lambda *_: {f"f{number}": "x" * 500 for number in range(100)}, "missing_field: sign"),
    "bytes that are no text": (lambda *_: b"%ff%fe=%ed%a0%80&\xff=\x00", "missing_field: sign"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_notification_that_is_not_believed_changes_nothing_and_is_recorded(shop: Shop, name: str) -> None:
    change, reason = REFUSED[name]
    purchase = shop.buy()
    form = shop.pay(purchase)
    assert shop.notify(change(shop, form)) == "failure"
    assert (shop.state_of(purchase), shop.refusals()) == (STARTED, [reason])
    with shop.app.app_context():
        kept = db.session.scalars(select(GatewayNotification.fields)).one()
        assert (len(kept) <= 60, max(map(len, [*kept, *kept.values(), ""])) <= 512) == (True, True)
    assert shop.notify(form) == "success"
    assert shop.state_of(purchase).phase == PAID


def test_no_field_can_be_taken_out_or_doubled(shop: Shop) -> None:
    purchase = shop.buy()
    form = shop.pay(purchase)
    for name in form:
        assert shop.notify({field: value for field, value in form.items() if field != name}) == "failure", name
        assert shop.notify(f"{urlencode(form)}&{urlencode({name: form[name]})}".encode()) == "failure", name
    assert (shop.state_of(purchase), None in shop.refusals()) == (STARTED, False)
    assert len(shop.refusals()) == 2 * len(form)
    assert shop.notify(form) == "success"


@pytest.mark.parametrize(
    "changes",
    [{"trade_status": "WAIT_BUYER_PAY"}, {"refund_fee": "100.00", "out_biz_no": "R1"}],
    ids=["not paid yet", "refund"],
)
def test_a_notification_about_something_else_pays_nothing(shop: Shop, changes: dict[str, str]) -> None:
    purchase = shop.buy()
    form = shop.pay(purchase)
    assert shop.notify(shop.sign(form, **changes)) == "success"
    assert (shop.state_of(purchase), shop.refusals()) == (STARTED, [None])
    # Reordered: what it was about comes later, and counts.
    assert shop.notify(form) == "success"
    assert shop.state_of(purchase) == paid(form["trade_no"])


def test_a_trade_that_the_gateway_closed_ends_its_attempt_alone(shop: Shop) -> None:
    purchase = shop.buy()
    form = shop.pay(purchase)
    for _ in range(2):
        assert shop.notify(shop.sign(form, trade_status="TRADE_CLOSED", gmt_payment="")) == "success"
    closed = replace(FRESH, attempts=[(1, "closed", form["trade_no"])])
    assert (shop.state_of(purchase), shop.refusals()) == (closed, [None, None])


def test_a_notification_of_a_refund_changes_nothing_of_a_paid_order(shop: Shop) -> None:
    purchase = shop.buy()
    form = shop.pay(purchase)
    shop.notify(form)
    before = shop.state_of(purchase)
    partly = shop.sign(form, refund_fee="1.00", out_biz_no="R1")
    wholly = shop.sign(form, trade_status="TRADE_CLOSED", refund_fee="2600.00", out_biz_no="R1")
    assert (shop.notify(partly), shop.notify(wholly)) == ("success", "success")
    assert shop.state_of(purchase) == before


def test_a_notification_whose_amount_is_of_another_order(shop: Shop) -> None:
    cheap, dear = shop.buy(), shop.buy()
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Order).where(Order.id == cheap.order_id).values(price=100, freight=0, amount=100))
    form = shop.pay(cheap)
    shop.client.post(dear.url, headers=dear.headers)
    assert shop.notify(shop.sign(form, out_trade_no=dear.order_no)) == "failure"
    assert (shop.state_of(dear), shop.refusals()) == (STARTED, ["other_amount"])
    assert (shop.notify(form), shop.state_of(cheap).phase) == ("success", PAID)


# --- at once, and too often ---


@pytest.mark.parametrize("round_", range(3))
def test_notifications_at_once_pay_once(shop: Shop, round_: int) -> None:
    purchase = shop.buy()
    form = shop.pay(purchase)
    start = Barrier(4)

    def deliver(_: int) -> str:
        start.wait()
        return shop.notify(form)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(deliver, range(4))) == ["success"] * 4
    assert shop.state_of(purchase) == paid(form["trade_no"])
    assert (shop.refusals(), shop.audit()) == ([None] * 4, [])


def test_notifications_are_limited_in_rate(shop: Shop, make_app: MakeApp) -> None:
    purchase = shop.buy()
    form = shop.pay(purchase)
    strict = make_app(RATE_LIMITS_ENABLED="1", RATE_LIMIT_NOTIFY="2 per hour").test_client()
    for _ in range(2):
        assert strict.post("/order/notify/", data={"out_trade_no": "1"}).get_data() == b"failure"
    before = shop.state_of(purchase)
    refused = strict.post("/order/notify/", data=form)
    assert assert_envelope(refused, Answer.TOO_MANY_REQUESTS) is None
    assert int(refused.headers["Retry-After"]) > 0
    # Not recorded either: that is what the limit is for.
    assert (shop.state_of(purchase), len(shop.refusals())) == (before, 2)


def _recorded(shop: Shop) -> list[tuple[str | None, int]]:
    """Of each recorded notification its refusal and how many bytes its row takes, oldest first."""
    table = GatewayNotification.__table__
    size = func.pg_column_size(literal_column("gateway_notifications.*"))
    with shop.app.app_context(), db.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(table.c.refusal, size).order_by(table.c.id))]


def _counted(shop: Shop) -> dict[str, int]:
    with shop.app.app_context(), db.engine.connect() as connection:
        statement = select(RefusedNotifications.origin, RefusedNotifications.refused)
        return {row.origin: row.refused for row in connection.execute(statement)}


FORGED = {
    "sixty fields": {f"{number:02d}字段": "字" * 100 for number in range(60)},
    "known fields": dict.fromkeys(
        ("out_trade_no", "trade_no", "notify_id", "trade_status", "total_amount", "app_id", "seller_id", "sign_type"),
        "字" * 800,
    ),
    "long names": {"名" * 300 + str(number): "x" for number in range(20)},
    "nothing": {},
}


@pytest.mark.parametrize("name", FORGED)
def test_what_the_gateway_did_not_sign_is_recorded_short(shop: Shop, name: str) -> None:
    """Of 93 kB of fields, which anybody may send, less than 2 are kept."""
    purchase = shop.buy()
    form = shop.pay(purchase)
    for sent in (FORGED[name], FORGED[name], {**FORGED[name], "one": "more"}):
        assert shop.notify(sent) == "failure"
    with shop.app.app_context():
        kept = db.session.scalars(select(GatewayNotification).order_by(GatewayNotification.id)).all()
        assert [set(each.fields) for each in kept] == [set(FORGED["known fields"]) & set(FORGED[name])] * 3
        # What was not kept can still be recognised.
        assert [len(each.digest or "") for each in kept] == [64] * 3
        assert [each.digest == kept[0].digest for each in kept] == [True, True, False]
    assert max(size for _, size in _recorded(shop)) < 2000
    # What the gateway signed is kept whole.
    assert shop.notify(form) == "success"
    with shop.app.app_context():
        genuine = db.session.scalars(select(GatewayNotification).where(GatewayNotification.refusal.is_(None))).one()
        assert (genuine.fields, genuine.digest) == (form, None)


def test_forged_notifications_are_few_from_each_network(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    purchase, other = shop.buy(), shop.buy()
    form = shop.pay(purchase)
    shop.start(other)

    def notify(origin: str, sent: dict[str, str]) -> str:
        client = shop.app.test_client()
        return client.post("/order/notify/", data=sent, environ_base={"REMOTE_ADDR": origin}).get_data(as_text=True)

    with settings_with(shop.app, refused_notifications_kept=3):
        for origin, times in (("192.0.2.1", 6), ("192.0.2.2", 2), ("2001:db8::1", 2), ("2001:db8::2", 3)):
            assert [notify(origin, {"sign": "x"}) for _ in range(times)] == ["failure"] * times
        assert _counted(shop) == {"192.0.2.1": 6, "192.0.2.2": 2, "2001:db8::/64": 5}
        assert [refusal for refusal, _ in _recorded(shop)] == ["missing_field: sign_type"] * 8
        said = [record.msg for record in caplog.records]
        assert [line["event"] for line in said if isinstance(line, dict) and line["level"] == "warning"] == [
            *["notification_refused"] * 3,
            "notifications_only_counted",
            *["notification_refused"] * 5,
            "notifications_only_counted",
        ]
        # What the gateway signed comes from there, too, and is recorded whatever else came: paid, and contradicting.
        assert notify("192.0.2.1", shop.sign(form, out_trade_no=other.order_no, total_amount="1.00")) == "failure"
        assert notify("192.0.2.1", form) == "success"
        assert [refusal for refusal, _ in _recorded(shop)][8:] == ["other_amount", None]
        assert shop.state_of(purchase).phase == PAID
        # In the next hour some are recorded again.
        with shop.app.app_context(), db.engine.begin() as connection:
            connection.execute(update(RefusedNotifications).values(hour=RefusedNotifications.hour - timedelta(hours=1)))
        assert notify("192.0.2.1", {"sign": "y"}) == "failure"
        assert len(_recorded(shop)) == 11
        # Counts are kept for a day.
        with shop.app.app_context(), db.engine.begin() as connection:
            connection.execute(
                update(RefusedNotifications).values(hour=RefusedNotifications.hour - timedelta(hours=23))
            )
        with shop.app.app_context():
            purge_refused_notifications()
        assert _counted(shop) == {"192.0.2.1": 1}
        assert len(_recorded(shop)) == 11


def test_forged_notifications_are_few_from_all_networks(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notification_records, "_KEPT_OF_ALL", 4)
    client = shop.app.test_client()
    for number in range(6):
        client.post("/order/notify/", data={}, environ_base={"REMOTE_ADDR": f"192.0.2.{number}"})
    assert (len(_recorded(shop)), sum(_counted(shop).values())) == (4, 6)


def test_refused_notifications_are_kept_for_a_while(shop: Shop) -> None:
    purchase = shop.buy()
    form = shop.pay(purchase)
    for sent in ({}, form, {"sign": "x"}):
        shop.notify(sent)
    with shop.app.app_context():
        lifetime = timedelta(seconds=settings().notification_record_lifetime)

    def age(number: int, by: timedelta) -> None:
        with shop.app.app_context(), db.engine.begin() as connection:
            old = update(GatewayNotification).where(GatewayNotification.id == number)
            connection.execute(old.values(received_at=utcnow() - by))

    def purge() -> list[str | None]:
        with shop.app.app_context():
            purge_refused_notifications()
        return shop.refusals()

    age(1, lifetime - timedelta(minutes=1))
    age(2, lifetime * 2)
    assert purge() == ["missing_field: sign", None, "missing_field: sign_type"]
    age(1, lifetime + timedelta(minutes=1))
    assert purge() == [None, "missing_field: sign_type"]
