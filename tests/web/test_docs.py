"""The pages of the documentation: what they say, and that they load nothing from elsewhere, in a real browser too."""

import re
from html import unescape

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import expect

from app.answers import Answer
from app.web.docs import ASSETS
from statemachine import GOOD, ORDER
from statemachine.export import mermaid, svg
from tests.browser import PHONE, open_tab
from tests.factories import assert_envelope
from tests.live import LiveServer

OWN_FILES = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " script-src 'self'; img-src 'self' data:; style-src 'self'"
)


def page(client: FlaskClient, url: str) -> str:
    response = client.get(url)
    assert (response.status_code, response.content_type) == (200, "text/html; charset=utf-8")
    return response.get_data(as_text=True)


@pytest.mark.parametrize(("url", "lang"), [("/docs/states/", "zh"), ("/docs/states/?lang=en", "en")])
def test_states_show_the_running_machines(client: FlaskClient, url: str, lang: str) -> None:
    html = page(client, url)
    assert f'<html lang="{"zh-CN" if lang == "zh" else "en"}">' in html
    bodies = re.findall(r"<tbody>(.*?)</tbody>", html, re.DOTALL)
    for spec, body in zip((ORDER, GOOD), bodies, strict=True):
        assert svg.render(spec, lang) in html
        assert mermaid.render(spec, lang) in unescape(html)
        assert body.count("<tr>") == len(spec.rules) + 1
        for event, text in spec.events.items():
            assert f'<th scope="row">{text.to(lang)} <code>{event}</code></th>' in body


def test_a_rule_says_everything(client: FlaskClient) -> None:
    rows = re.findall(r"<tr>(.*?)</tr>", page(client, "/docs/states/"), re.DOTALL)
    (row,) = [row for row in rows if "<code>approve_refund</code>" in row and "48 小时" in row]
    assert re.findall(r'<td data-label="(.+?)">(.*?)</td>', row) == [
        ("由谁", "系统"),
        ("从", '<span class="state"><code>4,6</code> 发货前申请退款</span>'),
        ("到", '<span class="state closed"><code>5,6</code> 未发货退款</span>'),
        ("期限", "48 小时"),
        ("条件", "无争议"),
        ("资金", "担保账户 → 支付网关"),
        ("商品", "重新上架"),
    ]


def test_states_in_an_unknown_language(client: FlaskClient) -> None:
    data = assert_envelope(client.get("/docs/states/?lang=fr"), Answer.MALFORMED)
    assert data == {"errors": {"lang": ["不在可选范围内"]}}


@pytest.mark.parametrize(
    ("url", "policy"),
    [("/docs/states/", OWN_FILES), ("/docs/", f"{OWN_FILES} 'unsafe-inline'; connect-src 'self'")],
)
def test_pages_may_load_our_own_files_only(client: FlaskClient, url: str, policy: str) -> None:
    assert client.get(url).headers["Content-Security-Policy"] == policy
    loaded = re.findall(r'(?:src|href)="([^"#?][^"]*)"', page(client, url))
    assert loaded
    for address in loaded:
        assert address == "data:," or client.get(address).status_code == 200, address


@pytest.mark.parametrize("name", sorted(ASSETS))
def test_assets(client: FlaskClient, name: str) -> None:
    response = client.get(f"/docs/assets/{name}")
    kind = "text/css; charset=utf-8" if name.endswith(".css") else "text/javascript; charset=utf-8"
    assert (response.status_code, response.content_type) == (200, kind)
    assert len(response.data) > 100
    again = client.get(f"/docs/assets/{name}", headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_no_asset_of_that_name(client: FlaskClient) -> None:
    assert_envelope(client.get("/docs/assets/docs.py"), Answer.NO_SUCH_URL)


def test_pages_work_in_a_browser(live_server: LiveServer) -> None:
    document = live_server.call("GET", "/docs/openapi.json").body
    operations = sum(len(item) for item in document["paths"].values())
    with open_tab() as tab:
        page = tab.page
        # Of many operations Swagger UI makes those that can be seen.
        page.set_viewport_size({"width": 1280, "height": 80 * operations})
        page.goto(f"{live_server.url}/docs/")
        expect(page.locator(".opblock")).to_have_count(operations, timeout=60_000)
        page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        page.goto(f"{live_server.url}/docs/states/")
        assert page.locator("svg").count() == 2
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]  # only the pictures scroll sideways
        picture = "document.querySelector('.picture')"
        assert page.evaluate(f"{picture}.scrollWidth === {picture}.clientWidth")  # the whole drawing at first
        page.locator(".zoom").first.click()
        assert page.evaluate(f"{picture}.scrollWidth > 2 * {picture}.clientWidth")
        assert page.evaluate(f"{picture}.scrollLeft") > 0
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
    assert tab.complaints == []
    assert tab.asked_elsewhere(live_server.url, "data:") == []


@pytest.mark.parametrize("url", ["/docs/", "/docs/states/"])
def test_pages_are_asked_for_anew_and_sent_once(client: FlaskClient, url: str) -> None:
    """Without it browsers guess for how long a page of an earlier release is right."""
    response = client.get(url)
    assert response.headers["Cache-Control"] == "no-cache"
    again = client.get(url, headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["Content-Security-Policy"] == response.headers["Content-Security-Policy"]
