"""The back office in Chromium, by keyboard: queue, dispute, suspension, dead letter; what axe-core finds; how fast."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from app.accounts.models import User
from app.db.database import db
from app.db.transactions import transaction
from app.goods.models import CaseKind, Good, ReviewCase
from app.orders.models import Order
from app.outbox.models import OutboxMessage, Topic
from app.outbox.service import add_message, record_failure
from app.staff.models import StaffAction
from statemachine import GoodStatus
from statemachine.order import REFUND_REQUESTED_RECEIVED
from tests.browser import PHONE, Tab, open_browser, tab_of
from tests.factories import PASSWORD, make_user
from tests.live import LiveServer
from tests.office.steps import COOKIE, Person, log_in, member
from tests.office.waiting import waiting_case
from tests.staff.steps import order_at

pytestmark = pytest.mark.xdist_group("browser")

AXE = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")


@dataclass(frozen=True)
class Desk:
    """A member at a browser."""

    app: Flask
    url: str
    person: Person
    tab: Tab

    @property
    def page(self) -> Page:
        """What the browser shows."""
        return self.tab.page

    def open(self, path: str) -> None:
        """Go to a page of the back office."""
        self.page.goto(f"{self.url}{path}")

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, once the page's scripts have run."""
        self.page.wait_for_load_state()
        for key in keys:
            self.page.keyboard.press(key)

    def tab_to(self, selector: str) -> None:
        """Press Tab until this has the focus."""
        for _ in range(20):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"{selector} is not reached by keyboard")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all of these tests; each has a context of its own."""
    expect.set_options(timeout=60_000)  # it waits for events: machines may be slow
    with open_browser() as opened:
        yield opened


@contextmanager
def desk(app: Flask, server: LiveServer, browser: Browser) -> Iterator[Desk]:
    """Somebody of staff with all roles, logged in, on the first page."""
    person = log_in(app)
    cookie = person.browser.get_cookie(COOKIE)
    assert cookie is not None
    with tab_of(browser) as tab:
        tab.page.context.add_cookies([{"name": COOKIE, "value": cookie.value, "url": server.url}])
        at = Desk(app, server.url, person, tab)
        at.open("/admin/")
        yield at
        assert tab.complaints == []
        assert tab.asked_elsewhere(server.url, "data:") == []


def one(app: Flask, model: Any, row_id: int) -> Any:
    with app.app_context():
        found = db.session.get_one(model, row_id)
        db.session.expunge(found)
        return found


def actions(app: Flask) -> list[tuple[str, int, str]]:
    with app.app_context():
        found = db.session.execute(
            select(StaffAction.action, StaffAction.subject_id, StaffAction.reason).order_by(StaffAction.id)
        )
        return [tuple(row) for row in found]


def test_logging_in_by_keyboard(app: Flask, live_server: LiveServer, browser: Browser) -> None:
    person = member(app)
    with tab_of(browser) as tab:
        tab.page.goto(f"{live_server.url}/admin/users/?suspended=1")
        tab.page.keyboard.type(person.user.username)
        tab.page.keyboard.press("Tab")
        tab.page.keyboard.type(PASSWORD)
        tab.page.keyboard.press("Enter")
        tab.page.wait_for_selector("#code")
        tab.page.keyboard.type(person.code())
        tab.page.keyboard.press("Enter")
        tab.page.wait_for_selector("header.top")
        assert tab.page.url == f"{live_server.url}/admin/users/?suspended=1"
        assert tab.complaints == []


def test_a_queue_by_keyboard(app: Flask, live_server: LiveServer, browser: Browser) -> None:
    """Approve, reject with reasons, skip; the machine's hits are marked and boxed; the last leads back to the list."""
    cases = [waiting_case(app, pictures=2) for _ in range(3)]
    with desk(app, live_server, browser) as at:
        at.press("g", "r")
        expect(at.page.locator("h1")).to_have_text("审核队列")
        at.press("Enter")
        expect(at.page.locator(f"[data-case='{cases[0][1]}']")).to_be_visible()
        assert at.page.locator("#desk h1 mark").all_inner_texts() == ["加微信"]
        assert at.page.locator("#desk .words mark.reject").all_inner_texts() == ["wx: abc_8888"]
        assert at.page.locator("#desk .boxes rect").count() == 1
        assert at.page.locator("#desk .words b").count() == 0  # the seller's own markup is text
        at.press("a")
        expect(at.page.locator(f"#desk [data-case='{cases[1][1]}']")).to_be_visible()
        at.press("x")
        assert at.page.locator("#desk [data-choice]:checked").get_attribute("value") == "contact"
        at.press("5")  # also fraud
        at.press("Enter")
        expect(at.page.locator(f"#desk [data-case='{cases[2][1]}']")).to_be_visible()
        at.press("s")
        at.page.wait_for_url("**/admin/review/")
    goods = [one(app, Good, good.id) for good, _ in cases]
    assert [good.status for good in goods] == [GoodStatus.PUBLISHED, GoodStatus.REJECTED, GoodStatus.IN_REVIEW]
    assert [one(app, ReviewCase, case_id).decision for _, case_id in cases] == ["approve", "reject", None]
    assert one(app, ReviewCase, cases[2][1]).skipped_by == [at.person.user.id]
    # Decisions are sent while the next good is looked at: either may arrive first.
    assert sorted(actions(app)) == [
        ("approve_good", cases[0][0].id, "人工审核通过"),
        ("reject_good", cases[1][0].id, "涉嫌诈骗、含联系方式或站外引流"),
    ]


def test_two_reviewers_never_get_the_same_good(app: Flask, live_server: LiveServer, browser: Browser) -> None:
    waiting = {waiting_case(app)[1] for _ in range(4)}
    with desk(app, live_server, browser) as first, desk(app, live_server, browser) as second:
        seen = []
        for at in (first, second):
            at.open("/admin/review/")
            at.press("Enter")
            at.page.wait_for_selector("#next [data-case]", state="attached")
            seen += [int(each.get_attribute("data-case") or 0) for each in at.page.locator("[data-case]").all()]
    assert len(seen) == 4
    assert set(seen) == waiting


def test_what_could_not_be_decided_is_said(app: Flask, live_server: LiveServer, browser: Browser) -> None:
    good, case_id = waiting_case(app)
    waiting_case(app)
    with desk(app, live_server, browser) as at:
        at.open("/admin/review/")
        at.press("Enter")
        at.page.wait_for_selector("#next [data-case]", state="attached")
        with app.app_context(), transaction() as session:
            session.get_one(Good, good.id).deleted = True
        at.press("a")
        expect(at.page.locator("#review-said")).to_contain_text(f"#{case_id} 未能处理")
        assert ["status of 40" in each and f"/review/{case_id}/" in each for each in at.tab.complaints] == [True]
        at.tab.complaints.clear()
    assert actions(app) == []


def test_a_dispute_by_keyboard(app: Flask, live_server: LiveServer, browser: Browser) -> None:
    order = order_at(app, REFUND_REQUESTED_RECEIVED, pictures=1)
    with desk(app, live_server, browser) as at:
        at.press("g", "d")
        expect(at.page.locator("h1")).to_have_text("争议")
        at.press("j")
        at.tab_to("textarea")
        at.page.keyboard.type("凭证属实,支持退款")
        at.press("Tab", "Enter")
        expect(at.page.locator(".said")).to_contain_text("已裁决:支持买家")
    closed = one(app, Order, order.id)
    assert (closed.bill_status, closed.order_status, closed.closed) == (5, 8, True)
    assert actions(app) == [("resolve_for_buyer", order.id, "凭证属实,支持退款")]


def test_a_suspension_by_keyboard(app: Flask, live_server: LiveServer, browser: Browser) -> None:
    user = make_user(app, "badseller")
    with desk(app, live_server, browser) as at:
        at.press("g", "u")
        expect(at.page.locator("h1")).to_have_text("用户")
        at.press("/")
        at.page.keyboard.type("badseller")
        at.press("Enter")
        expect(at.page.locator("tbody tr")).to_have_count(1)
        at.press("j", "Enter")
        expect(at.page.locator("h1")).to_have_text("badseller")
        at.press("j")
        at.tab_to("#suspend-reason")
        at.page.keyboard.type("多次发布假货")
        at.press("Tab", "End")
        at.tab_to("button.danger")
        at.press("Enter")
        expect(at.page.locator(".said")).to_contain_text("已停用")
        assert "无限期" in at.page.locator("main").inner_text()
        assert "多次发布假货" in at.page.locator("main").inner_text()
    assert one(app, User, user.id).suspended_until is None
    assert actions(app) == [("suspend_user", user.id, "多次发布假货")]


def test_a_dead_letter_by_keyboard(app: Flask, live_server: LiveServer, browser: Browser) -> None:
    with app.app_context(), transaction() as session:
        add_message(session, Topic.WEBHOOK, 7)
        message = session.scalars(select(OutboxMessage)).one()
        message.attempts = 8
        record_failure(session, message, error="ConnectionError: no route", retry_in=None)
        message_id = message.id
    with desk(app, live_server, browser) as at:
        at.press("g", "x")
        expect(at.page.locator("tbody tr")).to_have_count(1)
        assert "ConnectionError: no route" in at.page.locator("tbody").inner_text()
        at.press("j")
        at.tab_to("textarea")
        at.page.keyboard.type("对方已恢复")
        at.press("Tab", "Enter")
        expect(at.page.locator(".said")).to_have_text("1 条消息已重放")
        expect(at.page.locator("main")).to_contain_text("没有死信")
    replayed = one(app, OutboxMessage, message_id)
    assert (replayed.dead_at, replayed.attempts) == (None, 0)
    assert actions(app) == [("replay_messages", message_id, "对方已恢复")]


def test_texts_are_tried_one_after_the_other(app: Flask, live_server: LiveServer, browser: Browser) -> None:
    """The page stays as it is: what was found is said below the form, and so is a refusal."""
    with desk(app, live_server, browser) as at:
        at.press("g", "t")
        expect(at.page.locator("h1")).to_have_text("词表与试词")
        for text, said in (("出弹簧刀一把", "结果:"), ("九成新台灯", "没有命中")):
            at.page.fill("#text", text)
            at.page.get_by_role("button", name="检查").click()
            expect(at.page.locator("#result")).to_contain_text(said)
        at.page.fill("#f-price", "很多")
        at.page.get_by_role("button", name="检查").click()
        expect(at.page.locator("#result [role=alert]")).to_contain_text("价格")
        assert [each for each in at.tab.complaints if "422" not in each] == []
        at.tab.complaints.clear()
        at.page.fill("#f-price", "")
        at.page.fill("#text", "出弹簧刀一把")
        at.page.get_by_role("button", name="检查").click()
        at.page.get_by_role("link", name="weapons.word").click()
        expect(at.page.locator("tbody").last).to_contain_text("弹簧刀")


def test_axe_finds_nothing_serious(app: Flask, live_server: LiveServer, browser: Browser) -> None:
    """Every kind of page, as wide as a desk's screen and as a phone's; and nothing is wider than its screen."""
    order = order_at(app, REFUND_REQUESTED_RECEIVED, pictures=1)
    good, case_id = waiting_case(app)
    waiting_case(app, kind=CaseKind.REPORT)
    with app.app_context(), transaction() as session:
        add_message(session, Topic.WEBHOOK, 7)
        record_failure(session, session.scalars(select(OutboxMessage).limit(1)).one(), error="gone", retry_in=None)
    paths = [
        *("", "review/", f"review/{case_id}/", "appeals/?kind=report", "banned/", "words/"),
        *("orders/", f"orders/{order.id}/", "disputes/", "cases/", "payments/", "refunds/", "withdrawals/", "ledger/"),
        *("goods/", f"goods/{good.id}/", "users/", f"users/{order.buyer.id}/", "outbox/", "operations/"),
        *("actions/", "reads/", "members/"),
    ]
    with desk(app, live_server, browser) as at:
        found = []
        for path in [*(f"/admin/{path}" for path in paths), "/"]:
            at.open(path)
            for width in (1280, 768, PHONE[0]):
                at.page.set_viewport_size({"width": width, "height": 900})
                assert at.page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
            found += [(path, each) for each in _serious(at.page)]
            at.page.set_viewport_size({"width": 1280, "height": 900})
    assert found == []


def _serious(page: Page) -> list[tuple[str, list[str]]]:
    # The policy of the pages lets no foreign script run; the browser's own console may.
    page.evaluate(f"() => {{ {AXE} }}")
    violations: list[dict[str, Any]] = page.evaluate(
        "async () => (await axe.run({ resultTypes: ['violations'] })).violations"
    )
    return [
        (each["id"], [node["html"][:160] for node in each["nodes"][:3]])
        for each in violations
        if each["impact"] in ("serious", "critical")
    ]


def test_without_javascript(app: Flask, live_server: LiveServer, browser: Browser) -> None:
    """Links and forms alone: open the menu, review a good, see the next one."""
    (_, first), (_, second) = waiting_case(app), waiting_case(app)
    with desk(app, live_server, browser) as at:
        plain = browser.new_context(java_script_enabled=False)
        plain.add_cookies(at.page.context.cookies())  # type: ignore[arg-type] # what it gave is what it takes
        page = plain.new_page()
        page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        page.goto(f"{live_server.url}/admin/")
        page.locator(".menu summary").click()
        page.get_by_role("link", name="审核队列").click()
        page.get_by_role("button", name="开始审核").click()
        assert page.url.endswith(f"/admin/review/{first}/")
        page.get_by_role("button", name="通过").click()
        assert page.url.endswith(f"/admin/review/{second}/")
        assert "已通过" in page.locator(".said").inner_text()
    assert one(app, ReviewCase, first).decision == "approve"
