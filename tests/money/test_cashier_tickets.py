"""Tickets: what a browser opens the cashier with, and what a URL that somebody else reads is worth."""

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from app.money.models import Payment
from app.orders.models import Order
from app.web import tickets
from statemachine.order import EXPIRE_AFTER
from tests.conftest import MakeApp
from tests.factories import assert_envelope, auth_headers, make_user
from tests.money.conftest import FRESH, STARTED, Purchase, Shop, out_trade_no_in

LIFETIME = 600


@pytest.fixture
def purchase(shop: Shop) -> Purchase:
    return shop.buy()


def ticket_for(shop: Shop, purchase: Purchase) -> dict[str, str]:
    made = shop.client.post(f"{purchase.url}ticket/", headers=purchase.headers)
    data: dict[str, str] = assert_envelope(made, Answer.TICKET_MADE)
    return data


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """What tickets take for the present."""
    monkeypatch.setattr(tickets, "utcnow", lambda: utcnow() + timedelta(seconds=seconds))


def button(page: str) -> tuple[str, bool]:
    [(disabled, text)] = re.findall(r'<button id="pay" type="submit"( disabled)?>([^<]*)</button>', page)
    return text, not disabled


def assert_opens_nothing(client: FlaskClient, url: str, answer: Answer) -> None:
    for method in ("GET", "POST"):
        assert assert_envelope(client.open(url, method=method), answer) is None, method


def test_a_ticket_opens_the_cashier_and_pays_one_trade(shop: Shop, purchase: Purchase) -> None:
    made = ticket_for(shop, purchase)
    assert made == {
        "url": f"{purchase.url}?token={made['ticket']}",
        "ticket": made["ticket"],
        "expires_in": LIFETIME,
    }
    token = purchase.headers["Authorization"].removeprefix("Bearer ")
    for _ in range(3):  # a preview, a reload, back
        response = shop.client.get(made["url"])
        assert (response.status_code, response.headers["Referrer-Policy"]) == (200, "no-referrer")
        page = response.get_data(as_text=True)
        assert button(page) == ("立即支付 ¥2600.00", True)
        assert re.findall(r'<form method="post" action="([^"]+)">', page) == [made["url"]]
        assert token not in page
    assert shop.state_of(purchase) == FRESH
    trades = []
    for _ in range(3):
        sent = shop.client.post(made["url"])
        assert sent.status_code == 302
        trades.append(out_trade_no_in(sent.headers["Location"]))
    assert trades == [purchase.order_no] * 3
    assert shop.state_of(purchase) == STARTED
    assert shop.notify(shop.pay(purchase)) == "success"
    assert button(shop.client.get(made["url"]).get_data(as_text=True)) == ("已付款", False)
    before = shop.state_of(purchase)
    assert_envelope(shop.client.post(made["url"]), Answer.WRONG_STATE)
    assert shop.state_of(purchase) == before


def test_once_its_attempt_is_over_a_ticket_pays_nothing_more(shop: Shop, purchase: Purchase) -> None:
    first = ticket_for(shop, purchase)
    assert shop.client.post(first["url"]).status_code == 302
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Payment).values(state="closed", query_at=None))
    before = shop.state_of(purchase)
    assert assert_envelope(shop.client.post(first["url"]), Answer.TOKEN_REVOKED) is None
    assert shop.state_of(purchase) == before
    second = shop.client.post(ticket_for(shop, purchase)["url"])
    assert out_trade_no_in(second.headers["Location"]) == f"{purchase.order_no}_2"


def test_only_the_buyer_gets_a_ticket_and_only_while_it_can_be_paid(shop: Shop, purchase: Purchase) -> None:
    url = f"{purchase.url}ticket/"
    for stranger in (purchase.seller, make_user(shop.app), make_user(shop.app, staff=True)):
        response = shop.client.post(url, headers=auth_headers(shop.app, stranger))
        assert assert_envelope(response, Answer.NO_SUCH_ORDER) is None
    assert assert_envelope(shop.client.post(url), Answer.LOGIN_REQUIRED) is None
    # A ticket makes no other one.
    by_ticket = shop.client.post(f"{url}?token={ticket_for(shop, purchase)['ticket']}")
    assert assert_envelope(by_ticket, Answer.LOGIN_REQUIRED) is None
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Order).values(deadline_at=utcnow()))
    assert assert_envelope(shop.client.post(url, headers=purchase.headers), Answer.PAYMENT_LATE) is None
    assert shop.state_of(purchase) == FRESH
    assert shop.cancel(purchase).status_code == 200
    refused = assert_envelope(shop.client.post(url, headers=purchase.headers), Answer.WRONG_STATE)
    assert (refused["event"], refused["closed"]) == ("pay", True)


def test_a_ticket_is_good_for_nothing_else(shop: Shop, purchase: Purchase) -> None:
    ticket = ticket_for(shop, purchase)["ticket"]
    other = shop.buy()
    assert_opens_nothing(shop.client, f"{other.url}?token={ticket}", Answer.TOKEN_INVALID)
    detail = f"/api/order/{purchase.order_id}/"
    assert_envelope(shop.client.get(f"{detail}?token={ticket}"), Answer.LOGIN_REQUIRED)
    assert_envelope(shop.client.get(detail, headers={"Authorization": f"Bearer {ticket}"}), Answer.TOKEN_INVALID)
    assert_envelope(shop.client.post(f"/api/cancel_order/{purchase.order_id}/?token={ticket}"), Answer.LOGIN_REQUIRED)
    assert_envelope(shop.client.get(f"/order/pay/result/{ticket}/"), Answer.NO_SUCH_ORDER)
    assert shop.state_of(purchase) == shop.state_of(other) == FRESH


def test_a_changed_ticket_opens_nothing(shop: Shop, purchase: Purchase) -> None:
    mine, theirs = (ticket_for(shop, each)["ticket"] for each in (purchase, shop.buy()))
    payload, at, signature = mine.split(".")
    [back] = re.findall(r"order%2Fpay%2Fresult%2F([^%&]+)", shop.start(purchase))
    for forged in (
        f"{theirs.split('.')[0]}.{at}.{signature}",
        f"{payload}.{theirs.split('.')[1]}x.{signature}",
        f"{payload}.{at}.{signature[:-1]}",
        f"{payload}.{at}.",
        f"{payload}.{signature}",
        back,
        "鱼",
    ):
        assert_opens_nothing(shop.client, f"{purchase.url}?token={forged}", Answer.TOKEN_INVALID)
    assert shop.state_of(purchase) == STARTED


def test_tickets_end(shop: Shop, purchase: Purchase, monkeypatch: pytest.MonkeyPatch) -> None:
    url = ticket_for(shop, purchase)["url"]
    later(monkeypatch, LIFETIME - 2)
    assert shop.client.get(url).status_code == 200
    [timer] = re.findall(r"Math\.max\(0, (\d+) \* 1000\)", shop.client.get(url).get_data(as_text=True))
    assert int(timer) <= LIFETIME
    later(monkeypatch, LIFETIME + 1)
    assert_opens_nothing(shop.client, url, Answer.TOKEN_EXPIRED)
    assert shop.state_of(purchase) == FRESH


def test_result_tickets_end(shop: Shop, purchase: Purchase, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = shop.start(purchase)
    [ticket] = re.findall(r"order%2Fpay%2Fresult%2F([^%&]+)", sent)
    lifetime = EXPIRE_AFTER.default.total_seconds() + LIFETIME
    later(monkeypatch, lifetime - 2)
    assert shop.client.get(f"/order/pay/result/{ticket}").status_code == 200
    later(monkeypatch, lifetime + 1)
    assert assert_envelope(shop.client.get(f"/order/pay/result/{ticket}"), Answer.NO_SUCH_ORDER) is None


def test_an_access_token_stands_in_a_url_only_where_the_setting_says_so(
    shop: Shop, purchase: Purchase, make_app: MakeApp
) -> None:
    token = purchase.headers["Authorization"].removeprefix("Bearer ")
    assert shop.client.get(f"{purchase.url}?token={token}").status_code == 200
    strict = make_app(CASHIER_ACCEPTS_ACCESS_TOKEN="0").test_client()
    assert_opens_nothing(strict, f"{purchase.url}?token={token}", Answer.TOKEN_INVALID)
    assert strict.get(purchase.url, headers=purchase.headers).status_code == 200
    made = assert_envelope(strict.post(f"{purchase.url}ticket/", headers=purchase.headers), Answer.TICKET_MADE)
    assert strict.get(made["url"]).status_code == 200
    assert shop.state_of(purchase) == FRESH


def test_a_page_that_was_opened_with_a_header_can_be_paid_from(shop: Shop, purchase: Purchase) -> None:
    page = shop.client.get(purchase.url, headers=purchase.headers).get_data(as_text=True)
    [action] = re.findall(r'<form method="post" action="([^"]+)">', page)
    assert shop.client.post(action).status_code == 302
    assert shop.state_of(purchase) == STARTED


def test_no_ticket_is_logged(make_app: MakeApp, shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    purchase = shop.buy()
    client = make_app(LOG_LEVEL="DEBUG").test_client()
    made = assert_envelope(client.post(f"{purchase.url}ticket/", headers=purchase.headers), Answer.TICKET_MADE)
    client.get(made["url"])
    sent = client.post(made["url"]).headers["Location"]
    [back] = re.findall(r"order%2Fpay%2Fresult%2F([^%&]+)", sent)
    assert client.get(f"/order/pay/result/{back}/").status_code == 200
    client.get(f"/order/pay/result/{back}x/")
    logged = capsys.readouterr().err
    assert logged.count('"event":"request"') == 5
    assert logged.count('"path":"/order/pay/result/<ticket>"') == 2
    for secret in (made["ticket"], back):
        assert secret not in logged
        assert secret.split(".")[-1] not in logged
