"""What a browser sees where a program reads JSON: the start page, refusals as pages."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.answers import Answer
from app.web.tickets import new_result_ticket
from tests.browser import PHONE, open_tab
from tests.conftest import MakeApp
from tests.factories import assert_envelope, auth_headers, make_good, make_order, make_user
from tests.live import LiveServer

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"}


def test_the_start_page_says_what_this_is(client: FlaskClient) -> None:
    page = client.get("/", headers=BROWSER)
    assert (page.status_code, page.mimetype) == (200, "text/html")
    for address in ("/docs/", "/docs/states/", "/docs/openapi.json", "/admin/", "/healthz"):
        assert f'href="{address}"' in page.text
        assert client.get(address).status_code in (200, 303)
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/nothing/", Answer.NO_SUCH_URL),
        ("/admin/nothing/", Answer.NO_SUCH_URL),
        ("/api/good/999/", Answer.NO_SUCH_GOOD),
        ("/api/user/", Answer.LOGIN_REQUIRED),
        ("/order/pay/7/", Answer.LOGIN_REQUIRED),
        ("/order/pay/result/forged/", Answer.NO_SUCH_ORDER),
        ("/api/logout/", Answer.METHOD_NOT_ALLOWED),
        ("/api/goods/?nonsense=1", Answer.MALFORMED),
    ],
)
def test_a_refusal_is_a_page_in_a_browser(client: FlaskClient, path: str, answer: Answer) -> None:
    page = client.get(path, headers=BROWSER)
    assert (page.status_code, page.content_type) == (answer.http, "text/html; charset=utf-8")
    assert f"<h1>{answer.msg}</h1>" in page.text
    assert page.headers["X-Request-Id"] in page.text
    assert (page.headers["Cache-Control"], page.headers["Vary"]) == ("no-store", "Accept")
    assert_envelope(client.get(path), answer)


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/json, text/html", "image/webp,*/*", ""])
def test_programs_are_answered_in_the_envelope(client: FlaskClient, accept: str) -> None:
    assert_envelope(client.get("/nothing/", headers={"Accept": accept}), Answer.NO_SUCH_URL)


def test_what_is_sent_is_answered_in_the_envelope(app: Flask, client: FlaskClient) -> None:
    assert_envelope(client.post("/login/", json={}, headers=BROWSER), Answer.LOGIN_MALFORMED)


def test_success_stays_what_it_is(app: Flask, client: FlaskClient) -> None:
    found = client.get("/api/user/", headers={**BROWSER, **auth_headers(app, make_user(app))})
    assert_envelope(found, Answer.USER_FOUND)


def test_a_page_has_its_status_where_envelopes_hide_theirs(make_app: MakeApp) -> None:
    client = make_app(ENVELOPE_ALWAYS_200="1").test_client()
    assert client.get("/nothing/").status_code == 200
    assert client.get("/nothing/", headers=BROWSER).status_code == 404


def test_on_a_phone(live_server: LiveServer) -> None:
    with open_tab(PHONE) as tab:
        for path in ("/", "/nothing/"):
            tab.page.goto(f"{live_server.url}{path}")
            assert tab.page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
        tab.page.get_by_role("link", name="首页").click()
        assert tab.page.url == f"{live_server.url}/"
    assert [each for each in tab.complaints if "404" not in each] == []


@pytest.mark.parametrize(
    ("variables", "link"),
    [
        ({}, '<a id="back" href="/">返回首页</a>'),
        (
            {"SHOP_ORDER_URL": "https://shop.example/orders/{order_id}?from=pay"},
            '<a id="back" href="https://shop.example/orders/1?from=pay">返回订单</a>',
        ),
    ],
    ids=["start page", "shop"],
)
def test_the_cashier_leads_back(make_app: MakeApp, variables: dict[str, str], link: str) -> None:
    app = make_app(**variables)
    buyer = make_user(app)
    order = make_order(app, make_good(app, make_user(app)), buyer)
    assert order.id == 1
    with app.app_context():
        ticket = new_result_ticket(order.id)
    client = app.test_client()
    cashier = client.get("/order/pay/1/", headers=auth_headers(app, buyer))
    result = client.get(f"/order/pay/result/{ticket}/")
    assert (cashier.status_code, link in cashier.text) == (200, True)
    assert (result.status_code, link in result.text) == (200, True)
