"""The cashier as a buyer sees it: a phone's browser, the live application, the sandbox's own cashier."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import expect
from sqlalchemy import update

from app.clock import utcnow
from app.db.database import db
from app.orders.models import Order
from tests.browser import PHONE, Tab, open_tab
from tests.factories import auth_headers, make_address, make_user
from tests.goods.steps import publish, release
from tests.live import PROJECT, LiveServer
from tests.money.sandbox_server import SandboxServer, start_sandbox

pytestmark = pytest.mark.xdist_group("browser")

TITLE = "九成新 民谣吉他 单板 41 寸,送琴包、变调夹和一套新弦"


@dataclass(frozen=True)
class Street:
    """The live application and the live sandbox."""

    app: Flask
    server: LiveServer
    sandbox: SandboxServer

    def buy(self, *pictures: bytes) -> "Bought":
        """A new order for 540.00 yuan, not paid yet."""
        seller, buyer = make_user(self.app), make_user(self.app)
        fields = {"title": TITLE, "price": "520.00", "freight": "20"}
        good = release(self.app, self.app.test_client(), seller, *pictures, **fields)
        publish(self.app, good["id"])
        headers = auth_headers(self.app, buyer)
        body = {"address_id": make_address(self.app, buyer).id, "revision": good["revision"]}
        order = self.server.call("POST", f"/api/buy/{good['id']}/", body=body, headers=headers).body["data"]
        return Bought(self, order["id"], headers)


@dataclass(frozen=True)
class Bought:
    """An order and its buyer."""

    street: Street
    order_id: int
    headers: dict[str, str]

    @property
    def cashier(self) -> str:
        """What an app opens in a browser: by a new ticket for this order, which must be unpaid."""
        made = self.street.server.call("POST", f"/order/pay/{self.order_id}/ticket/", headers=self.headers)
        return f"{self.street.server.url}{made.body['data']['url']}"

    def states(self) -> tuple[int, int]:
        """Bill and order state, as the API tells them."""
        order = self.street.server.call("GET", f"/api/order/{self.order_id}/", headers=self.headers).body["data"]
        return order["bill_status"], order["order_status"]

    def leave(self, *, seconds: int) -> None:
        """As if it had been made so long ago that `seconds` are left for paying."""
        until = utcnow() + timedelta(seconds=seconds)
        with self.street.app.app_context(), db.engine.begin() as connection:
            connection.execute(update(Order).where(Order.id == self.order_id).values(deadline_at=until))


@pytest.fixture(scope="module")
def servers(
    app: Flask, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LiveServer, SandboxServer]]:
    """Both, for all tests: neither keeps anything of an order beside what is in the stores."""
    keys = Path(environment["INSTANCE_PATH"]) / "keys"
    with (
        start_sandbox(tmp_path_factory.mktemp("sandbox"), keys_dir=keys) as sandbox,
        LiveServer.start({**environment, "ALIPAY_GATEWAY_URL": sandbox.gateway_url}, workers=1) as server,
    ):
        yield server, sandbox


@pytest.fixture
def street(app: Flask, servers: tuple[LiveServer, SandboxServer], clean: None) -> Street:
    return Street(app, *servers)


@pytest.fixture
def tab() -> Iterator[Tab]:
    with open_tab(PHONE) as opened:
        yield opened


def test_paying_on_a_phone(street: Street, tab: Tab, tmp_path: Path) -> None:
    bought, page = street.buy((PROJECT / "docs" / "walk" / "guitar.jpg").read_bytes()), tab.page
    cashier = bought.cashier
    page.goto(cashier)
    expect(page).to_have_title("收银台 · 咸鱼")
    expect(page.locator(".amount")).to_have_text("¥540.00")
    expect(page.get_by_role("heading", name=TITLE)).to_be_visible()
    assert page.evaluate("document.querySelector('.good img').naturalWidth") > 0
    before = page.locator("#countdown").inner_text()
    page.wait_for_function("before => document.getElementById('countdown').textContent < before", arg=before)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
    page.screenshot(path=tmp_path / "cashier.png", full_page=True)

    page.get_by_role("button", name="立即支付 ¥540.00").click()
    page.wait_for_url(f"{street.sandbox.url}/**")
    expect(page.locator(".amount")).to_have_text("¥540.00")
    assert bought.states() == (1, 6)
    page.get_by_role("button", name="确认付款").click()
    page.wait_for_url(f"{street.server.url}/order/pay/result/**")
    expect(page.locator("#outcome")).to_have_text("支付成功", timeout=15_000)
    assert bought.states() == (2, 6)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
    page.screenshot(path=tmp_path / "result.png", full_page=True)

    page.goto(cashier)
    expect(page.get_by_role("button", name="已付款")).to_be_disabled()
    expect(page.locator("#countdown")).to_have_count(0)
    page.screenshot(path=tmp_path / "paid.png", full_page=True)
    assert tab.complaints == []
    assert tab.asked_elsewhere(street.server.url, street.sandbox.url) == []


def test_the_time_for_paying_runs_out_before_the_buyers_eyes(street: Street, tab: Tab, tmp_path: Path) -> None:
    bought, page = street.buy(), tab.page
    bought.leave(seconds=4)
    page.goto(bought.cashier)
    expect(page.get_by_role("button", name="立即支付 ¥540.00")).to_be_enabled()
    expect(page.get_by_role("button", name="无法支付")).to_be_disabled(timeout=15_000)
    expect(page.get_by_text("订单支付已超时")).to_be_visible()
    page.screenshot(path=tmp_path / "late.png", full_page=True)
    assert bought.states() == (1, 6)
    assert tab.complaints == []
    assert tab.asked_elsewhere(street.server.url) == []
