"""What the pages show and do, over the services that the API has too; and what is recorded of it."""

import csv
import io
import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.accounts.models import StaffRead, User
from app.answers import Answer
from app.clock import SHANGHAI, format_moment, utcnow
from app.db.database import db
from app.db.transactions import transaction
from app.goods.models import CaseKind, Good, ReviewCase
from app.money.cases import open_case
from app.money.models import MoneyCase, MoneyCaseKind
from app.office.marks import boxes, marked
from app.office.views.texts import detail_lines
from app.orders.models import Order
from app.outbox.models import OutboxMessage, Topic
from app.outbox.service import add_message, record_failure
from app.profiles.service import edit_profile
from app.staff.models import StaffAction
from app.staff_roles import StaffRole
from statemachine import GoodStatus
from statemachine.order import REFUND_REQUESTED_RECEIVED
from tests.factories import SNAPSHOT, assert_envelope, auth_headers, make_good, make_user, whole_database
from tests.office.steps import Person, log_in, words
from tests.office.waiting import DESCRIPTION, TITLE, hit, waiting_case
from tests.staff.steps import order_at


@pytest.fixture
def person(app: Flask, clean: None) -> Person:
    """Somebody with all roles, logged in."""
    return log_in(app)


def one(app: Flask, model: Any, row_id: int) -> Any:
    with app.app_context():
        found = db.session.get_one(model, row_id)
        db.session.expunge(found)
        return found


def actions(app: Flask) -> list[tuple[str, str, int, str]]:
    with app.app_context():
        columns = (StaffAction.action, StaffAction.subject, StaffAction.subject_id, StaffAction.reason)
        return [tuple(row) for row in db.session.execute(select(*columns).order_by(StaffAction.id))]


def reads(app: Flask) -> list[tuple[int, str, list[int], str, str]]:
    with app.app_context():
        columns = (StaffRead.actor_id, StaffRead.subject, StaffRead.subject_ids, StaffRead.place, StaffRead.reason)
        return [tuple(row) for row in db.session.execute(select(*columns).order_by(StaffRead.id))]


# --- orders ---


def test_an_order_on_one_page(app: Flask, person: Person) -> None:
    order = order_at(app, REFUND_REQUESTED_RECEIVED, pictures=1)
    page = person.browser.get(f"/admin/orders/{order.id}/")
    said = words(page)
    for text in (
        *("下单", "付款", "发货", "确认收货", "申请退款", "申请平台介入"),  # its history
        *("屏幕有划痕", "卖家不回复", "SF1234567890"),  # what was said, and the parcel
        *("担保账户 ¥2600.00", "已付款", "王**,138****8000"),  # money, and who is masked
    ):
        assert text in said
    assert '<svg xmlns="http://www.w3.org/2000/svg"' in page.text
    assert page.text.count('alt="凭证') == 2


def test_addresses_are_masked_until_somebody_says_why(app: Flask, person: Person) -> None:
    order = order_at(app, REFUND_REQUESTED_RECEIVED)
    path = f"/admin/orders/{order.id}/"
    page = person.browser.get(path)
    for private in (SNAPSHOT["mobile"], SNAPSHOT["detail"], SNAPSHOT["name"]):
        assert private not in page.text
    assert person.post(path, path, reason="").status_code == 422
    shown = person.post(path, path, reason="买家来电核对地址")
    assert (shown.status_code, SNAPSHOT["mobile"] in shown.text, SNAPSHOT["detail"] in shown.text) == (200, True, True)
    of_order = [each for each in reads(app) if each[1:3] == ("order", [order.id])]
    assert of_order[-1] == (person.user.id, "order", [order.id], f"订单详情 {path}", "买家来电核对地址")
    assert {each[4] for each in of_order[:2]} == {""}
    # It is not in the address, so in no log and no history of the browser.
    assert shown.request.query_string == b""


def test_reads_are_told_with_who_when_and_why(app: Flask, person: Person) -> None:
    user = make_user(app)
    reader = make_user(app, staff=True)
    client = app.test_client()
    headers = {**auth_headers(app, reader), "X-Staff-Reason": "%E5%AE%A2%E8%AF%89%2012"}
    assert client.get(f"/api/staff/user/{user.id}/", headers=headers).status_code == 200
    assert reads(app)[-1] == (reader.id, "user", [user.id], "staff.user", "客诉 12")
    said = words(person.browser.get(f"/admin/reads/?subject=user&subject_id={user.id}"))
    assert f"用户 #{user.id} staff.user 客诉 12" in said
    too_long = {**auth_headers(app, reader), "X-Staff-Reason": "x" * 201}
    refused = assert_envelope(client.get("/api/staff/users/", headers=too_long), Answer.MALFORMED)
    assert list(refused["errors"]) == ["X-Staff-Reason"]


def test_orders_are_found(app: Flask, person: Person) -> None:
    order = order_at(app, REFUND_REQUESTED_RECEIVED)
    number = one(app, Order, order.id).order_no
    for query, found in (
        (f"order_no={number}", True),
        (f"user_id={order.buyer.id}", True),
        (f"user_id={person.user.id}", False),
        ("disputed=1&closed=0&bill_status=4&order_status=8", True),
        ("closed=1", False),
    ):
        assert (number in person.browser.get(f"/admin/orders/?{query}").text) is found, query
    # A filter that cannot be is said and passed over.
    page = person.browser.get("/admin/orders/?bill_status=99&disputed=1")
    assert (page.status_code, number in page.text, "筛选条件 bill_status" in page.text) == (200, True, True)


# --- disputes, cases ---


def test_a_dispute_is_decided_once(app: Flask, person: Person) -> None:
    order = order_at(app, REFUND_REQUESTED_RECEIVED)
    path = f"/admin/disputes/{order.id}/"
    assert person.post(path, "/admin/disputes/", decision="seller", reason=" ").status_code == 422
    answer = person.post(path, "/admin/disputes/", decision="seller", reason="证据不足")
    assert (answer.status_code, answer.location) == (303, "/admin/disputes/")
    page = person.browser.get("/admin/disputes/")
    assert f"订单 {order.id} 已裁决:支持卖家" in words(page)
    assert "已裁决" not in words(person.browser.get("/admin/disputes/"))  # it is said once
    before = whole_database(app)
    again = person.post(path, "/admin/users/", decision="buyer", reason="改判")
    assert (again.status_code, Answer.WRONG_STATE.msg in again.text) == (409, True)
    after = whole_database(app)
    assert {name for name in after if after[name] != before[name]} <= {"staff_reads"}
    assert actions(app) == [("resolve_for_seller", "order", order.id, "证据不足")]


def test_a_case_about_money_is_decided(app: Flask, person: Person) -> None:
    with app.app_context(), transaction() as session:
        open_case(
            session, kind=MoneyCaseKind.BILL, key="bill:2026-11-29", reason="相差 2 笔", details={"differences": 2}
        )
        case_id = session.scalars(select(MoneyCase.id)).one()
    said = words(person.browser.get("/admin/cases/"))
    assert "对账有差异" in said
    assert "差异 2" in said
    answer = person.post(f"/admin/cases/{case_id}/", "/admin/cases/", decision="dismiss", reason="已核对")
    assert answer.location == "/admin/cases/"
    assert one(app, MoneyCase, case_id).decision == "dismiss"
    wrong = person.post(f"/admin/cases/{case_id}/", "/admin/users/", decision="retry", reason="再试")
    assert (wrong.status_code, "这类待办不能" in wrong.text or "已经处理过了" in wrong.text) == (409, True)


# --- money as files ---


@pytest.mark.parametrize("what", ["payments", "refunds", "withdrawals", "ledger"])
def test_lists_are_exported_for_a_reason(app: Flask, person: Person, what: str) -> None:
    order_at(app, REFUND_REQUESTED_RECEIVED)
    page = f"/admin/{what}/"
    assert person.post("/admin/export/", page, what=what).status_code == 422
    answer = person.post("/admin/export/", page, what=what, reason="月结对账")
    assert answer.status_code == 200
    assert answer.content_type == "text/csv; charset=utf-8"
    name = re.fullmatch(r'attachment; filename="saltfish-(\w+)-[0-9T]+\.csv"', answer.headers["Content-Disposition"])
    assert name is not None
    assert name[1] == what
    assert answer.data.startswith(b"\xef\xbb\xbf")  # or spreadsheets take it for another encoding
    rows = list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"))))
    lengths = {"payments": 2, "refunds": 1, "withdrawals": 1, "ledger": 7}
    assert len(rows) == lengths[what]
    if what == "payments":
        assert rows[1][5] == "2600.00"
    assert actions(app) == [("export_list", "list", 0, "月结对账")]


def test_a_spreadsheet_runs_nothing_of_a_file() -> None:
    from app.office.views.money import _cell

    assert [_cell(each) for each in ("=1+1", "@x", "+86", "-12.50", "-x", None, "咸鱼", 5)] == [
        *("'=1+1", "'@x", "'+86", "-12.50", "'-x", "", "咸鱼", "5"),
    ]
    for begin in "\t\r\n\uff1d\uff0b\uff0d\uff20":  # the last ones are full-width
        assert _cell(f"{begin}1") == f"'{begin}1"
    assert (_cell("--5"), _cell("a=1")) == ("'--5", "a=1")


def test_an_export_is_of_the_days_that_the_page_shows(app: Flask, person: Person) -> None:
    order_at(app, REFUND_REQUESTED_RECEIVED)
    today = utcnow().astimezone(SHANGHAI).date()
    yesterday = (today - timedelta(days=1)).isoformat()
    for what, lines in (("payments", 2), ("ledger", 7)):
        page = f"/admin/{what}/?since={today}&until={today}"
        assert 'value="' + today.isoformat() + '"' in person.browser.get(page).text
        for since, until, expected in ((today, today, lines), (yesterday, yesterday, 1), (yesterday, "", lines)):
            fields = {"what": what, "reason": "月结", "since": str(since), "until": str(until)}
            answer = person.post("/admin/export/", page, **fields)
            assert len(answer.data.decode("utf-8-sig").splitlines()) == expected, (what, since, until)
    done_before = actions(app)
    for wrong in ({"since": "soon"}, {"since": today.isoformat(), "until": yesterday}):
        answer = person.post("/admin/export/", "/admin/ledger/", what="ledger", reason="月结", **wrong)
        assert answer.status_code == 422, wrong
    assert actions(app) == done_before


def test_an_export_is_whole_or_refused(app: Flask, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each item once, over several pages; more than fit are refused and not cut off."""
    order_at(app, REFUND_REQUESTED_RECEIVED)
    monkeypatch.setattr("app.office.views.money._PAGE", 1)
    fields = {"what": "ledger", "reason": "月结"}
    answer = person.post("/admin/export/", "/admin/ledger/", **fields)
    rows = list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"))))[1:]
    assert len(rows) == 6
    assert len({(row[0], row[4], row[6]) for row in rows}) == 6
    with app.app_context():
        details = db.session.scalars(select(StaffAction.details)).one()
    assert (details["list"], details["rows"]) == ("ledger", 6)
    done_before = actions(app)
    monkeypatch.setattr("app.office.views.money.ITEMS_EXPORTED", 1)
    refused = person.post("/admin/export/", "/admin/ledger/", **fields)
    assert (refused.status_code, "请缩小范围" in refused.text) == (422, True)
    assert actions(app) == done_before


# --- goods, users ---


def test_a_good_is_taken_down_and_restored(app: Flask, person: Person) -> None:
    good = make_good(app, make_user(app), title="九成新台灯")
    page = f"/admin/goods/{good.id}/"
    assert "九成新台灯" in words(person.browser.get("/admin/goods/?title=台灯"))
    assert "九成新台灯" not in words(person.browser.get("/admin/goods/?title=台灯&taken_down=1"))
    assert person.post(f"{page}take_down/", page, reason="假货").location == page
    assert one(app, Good, good.id).taken_down is True
    assert "已下架" in words(person.browser.get(page))
    assert person.post(f"{page}restore/", page, reason="核实无误").location == page
    assert one(app, Good, good.id).taken_down is False
    assert actions(app) == [("take_down_good", "good", good.id, "假货"), ("restore_good", "good", good.id, "核实无误")]


def test_who_may_see_no_orders_sees_none_of_a_good(app: Flask, person: Person) -> None:
    """Reviewers search goods, but addresses of buyers are none of their business, on the page and in the API."""
    order = order_at(app, REFUND_REQUESTED_RECEIVED)
    good_id = one(app, Order, order.id).good_id
    for role, sees in ((StaffRole.REVIEWER, False), (StaffRole.ARBITER, True)):
        reader = log_in(app, role)
        url = f"/api/staff/good/{good_id}/"
        answer = app.test_client().get(url, headers=auth_headers(app, reader.user))
        found = assert_envelope(answer, Answer.GOOD_FOUND)
        assert [each["id"] for each in found["orders"]] == ([order.id] if sees else [])
        assert (found["orders_total"], SNAPSHOT["mobile"] in answer.text) == (1, sees)
        page = reader.browser.get(f"/admin/goods/{good_id}/")
        assert (f"/admin/orders/{order.id}/" in page.text, SNAPSHOT["mobile"] in page.text) == (sees, False)
        of_orders = [each for each in reads(app) if each[0] == reader.user.id and each[1] == "order"]
        assert len(of_orders) == (2 if sees else 0)


def test_users_are_found_by_a_part_of_their_names(app: Flask, person: Person) -> None:
    users = {name: make_user(app, name) for name in ("laowang", "xiaowang", "percent_100")}
    with app.app_context(), transaction() as session:
        session.get_one(User, users["percent_100"].id).nickname = "王师傅"
    for query, found in (
        ("name=WANG", {"laowang", "xiaowang"}),
        ("name=师傅", {"percent_100"}),
        ("name=t_1", {"percent_100"}),
        ("name=%25", set()),
        ("username=laowang", {"laowang"}),
        ("username=wang", set()),
    ):
        page = person.browser.get(f"/admin/users/?{query}")
        assert set(re.findall(r'<th scope="row"><a href="/admin/users/\d+/">(\w+)</a>', page.text)) == found, query


@pytest.mark.parametrize(("days", "until"), [("7", ""), ("until", "tomorrow"), ("forever", "")])
def test_a_user_is_suspended_and_let_in(app: Flask, person: Person, days: str, until: str) -> None:
    user = make_user(app)
    tomorrow = (utcnow().astimezone(SHANGHAI) + timedelta(days=1)).date()
    page = f"/admin/users/{user.id}/"
    fields = {"reason": "多次发布假货", "days": days, "until": tomorrow.isoformat() if until else ""}
    assert person.post(f"{page}suspend/", page, **fields).location == page
    suspended = one(app, User, user.id)
    if days == "forever":
        assert suspended.suspended_until is None
    elif days == "until":  # to the end of the day
        assert format_moment(suspended.suspended_until)[11:] == "00:00:00+08:00"
        assert suspended.suspended_until.astimezone(SHANGHAI).date() == tomorrow + timedelta(days=1)
    else:
        assert abs(suspended.suspended_until - utcnow() - timedelta(days=7)) < timedelta(minutes=1)
    assert "已停用" in words(person.browser.get(page))
    assert person.post(f"{page}lift/", page, reason="申诉成立").location == page
    assert one(app, User, user.id).suspended_at is None


@pytest.mark.parametrize("fields", [{"days": "until"}, {"days": "until", "until": "2020-01-01"}, {"days": "4"}, {}])
def test_a_suspension_without_a_right_end_is_refused(app: Flask, person: Person, fields: dict[str, str]) -> None:
    user = make_user(app)
    page = f"/admin/users/{user.id}/"
    assert person.post(f"{page}suspend/", page, reason="违规", **fields).status_code == 422
    assert one(app, User, user.id).suspended_at is None


def test_what_a_user_shows_is_taken_away(app: Flask, person: Person) -> None:
    user = make_user(app)
    with app.app_context():
        edit_profile(user_id=user.id, changes={"nickname": "小鱼", "bio": "卖书"})
    page = f"/admin/users/{user.id}/"
    assert person.post(f"{page}clear/", page, reason="冒充他人").status_code == 422  # nothing is ticked
    assert one(app, User, user.id).nickname == "小鱼"
    assert person.post(f"{page}clear/", page, reason="冒充他人", parts=["nickname"]).location == page
    assert (one(app, User, user.id).nickname, one(app, User, user.id).bio) == (None, "卖书")
    assert actions(app) == [("clear_profile", "user", user.id, "冒充他人")]


def test_a_reset_code_is_shown_once(app: Flask, person: Person) -> None:
    user = make_user(app)
    page = f"/admin/users/{user.id}/"
    shown = person.post(f"{page}reset_code/", page, reason="视频核实")
    code = re.search(r"<code>([0-9A-Za-z-]+)</code>", shown.text)
    assert code is not None
    assert code[1] not in person.browser.get(page).text
    assert actions(app) == [("issue_reset_code", "user", user.id, "视频核实")]


# --- operation ---


def test_dead_letters_are_replayed(app: Flask, person: Person) -> None:
    with app.app_context(), transaction() as session:
        for number in (7, 8):
            add_message(session, Topic.WEBHOOK, number)
        for message in session.scalars(select(OutboxMessage)):
            record_failure(session, message, error="ConnectionError: <script>", retry_in=None)
        first, second = session.scalars(select(OutboxMessage.id).order_by(OutboxMessage.id)).all()
    page = person.browser.get("/admin/outbox/")
    assert "ConnectionError: &lt;script&gt;" in page.text
    assert person.post("/admin/outbox/replay/", "/admin/outbox/", reason="已恢复").status_code == 422
    answer = person.post("/admin/outbox/replay/", "/admin/outbox/", reason="已恢复", message_ids=[str(first), "999"])
    assert answer.location == "/admin/outbox/"
    assert "1 条消息已重放" in words(person.browser.get("/admin/outbox/"))
    assert one(app, OutboxMessage, first).dead_at is None
    assert one(app, OutboxMessage, second).dead_at is not None
    assert actions(app) == [("replay_messages", "outbox", first, "已恢复")]


def test_the_numbers_of_the_day(app: Flask, person: Person) -> None:
    order_at(app, REFUND_REQUESTED_RECEIVED)
    waiting_case(app)
    page = person.browser.get("/admin/")
    said = words(page)
    assert "1 争议" in said
    assert "1 审核中的商品" in said
    assert "1 人工审核" in said
    assert '<a href="/admin/review/"><b>1</b>' in page.text
    assert "2600.00 付款金额 ¥ 前一日 0.00" in said
    assert page.text.count('<svg class="chart"') == 6
    assert "合计 2600.00 元" in page.text
    found = app.test_client().get("/api/staff/figures/", headers=auth_headers(app, person.user)).get_json()["data"]
    assert (found["day"]["orders"], found["day"]["paid_amount"], len(found["hours"]), len(found["days"])) == (
        *(1, "2600.00"),
        *(24, 14),
    )
    assert sum(each["orders"] for each in found["hours"]) == 1
    yesterday = (utcnow().astimezone(SHANGHAI) - timedelta(days=1)).date().isoformat()
    assert "0 下单 前一日 0" in words(person.browser.get(f"/admin/?day={yesterday}"))


# --- review ---


def test_a_case_shows_what_the_machine_found(app: Flask, person: Person) -> None:
    _, case_id = waiting_case(app, pictures=2)
    page = person.browser.get(f"/admin/review/{case_id}/")
    assert '九成新相机 <mark class="review" title="疑似含有微信号">加微信</mark>看图' in page.text
    assert '<mark class="reject" title="疑似含有微信号">wx: abc_8888</mark> &lt;b&gt;面交&lt;/b&gt;' in page.text
    assert '<rect class="review" x="8" y="6" width="30" height="12">' in page.text
    assert page.text.count("until=") == 4  # two pictures, each with a link to the whole, for minutes
    assert one(app, ReviewCase, case_id).claimed_by is None  # to look is not to take


def test_decisions_lead_on(app: Flask, person: Person) -> None:
    (first, first_case), (second, second_case) = waiting_case(app), waiting_case(app)
    answer = person.post("/admin/review/next/", "/admin/review/")
    assert answer.location == f"/admin/review/{first_case}/"
    page = f"/admin/review/{first_case}/"
    assert person.post(page, page, decision="reject").status_code == 422
    answer = person.post(page, page, decision="reject", categories=["contact", "fraud"], note="请删去微信号")
    assert answer.location == f"/admin/review/{second_case}/"
    assert one(app, Good, first.id).status == GoodStatus.REJECTED
    page = f"/admin/review/{second_case}/"
    assert person.post(page, page, decision="approve").location == "/admin/review/"
    assert one(app, Good, second.id).status == GoodStatus.PUBLISHED
    again = person.post(page, "/admin/users/", decision="approve")
    assert again.status_code == 404
    assert "没有等待审核的商品了" in words(
        person.browser.get(person.post("/admin/review/next/", "/admin/review/").location)
    )


def test_who_has_a_case_keeps_it(app: Flask, person: Person) -> None:
    _, case_id = waiting_case(app)
    other = log_in(app, StaffRole.REVIEWER)
    assert person.post(f"/admin/review/{case_id}/claim/", f"/admin/review/{case_id}/").status_code == 303
    page = f"/admin/review/{case_id}/"
    refused = other.post(page, page, decision="approve")
    assert (refused.status_code, Answer.REVIEW_TAKEN.msg in refused.text) == (409, True)
    assert other.post("/admin/review/next/", "/admin/review/").location == "/admin/review/"
    assert person.post("/admin/review/leave/", page).location == "/admin/review/"
    assert other.post("/admin/review/next/", "/admin/review/").location == page


def test_nobody_reviews_a_good_of_their_own(app: Flask, person: Person) -> None:
    _, case_id = waiting_case(app, owner=person.user)
    page = person.browser.get(f"/admin/review/{case_id}/")
    assert "这是你自己的商品" in page.text
    assert "data-approve" not in page.text


def test_a_picture_is_banned_and_let_in_again(app: Flask, person: Person) -> None:
    _, case_id = waiting_case(app, kind=CaseKind.REPORT)
    page = f"/admin/review/{case_id}/"
    picture = re.search(r'action="/admin/banned/(\d+)/"', person.browser.get(page).text)
    assert picture is not None
    answer = person.post(f"/admin/banned/{picture[1]}/", page, category="fraud", note="骗子常用图", case_id=case_id)
    assert answer.location == page
    assert "骗子常用图" in words(person.browser.get("/admin/banned/"))
    ban = re.search(r'action="/admin/banned/(\d+)/lift/"', person.browser.get("/admin/banned/").text)
    assert ban is not None
    assert person.post(f"/admin/banned/{ban[1]}/lift/", "/admin/banned/", reason="误封").location == "/admin/banned/"
    assert [each[0] for each in actions(app)] == ["ban_picture", "lift_ban"]


def test_details_are_told_in_chinese_and_yuan() -> None:
    details = {
        "amount": 260050,
        "refunds": {"r1": 100, "r2": 5},
        "refunded_by_us": True,
        "at": None,
        "differences": ["a", "b"],
        "filters": {"order_id": 7},
        "new": 3,
    }
    assert detail_lines(details) == [
        *(("金额", "¥2600.50"), ("逐笔退回", "r1 ¥1.00;r2 ¥0.05"), ("由我们退款", "是"), ("时间", "—")),
        *(("差异", "a;b"), ("筛选条件", "order_id 7"), ("new", "3")),
    ]


# --- marks ---


def test_marks_name_all_hits_and_escape_the_text() -> None:
    hits = [hit(start=0, end=4, reason="甲"), hit(start=2, end=6, reason='乙"<', policy="reject")]
    assert marked("ab<cd>ef", hits) == (
        '<mark class="review" title="甲">ab</mark>'
        '<mark class="reject" title="甲;乙&quot;&lt;">&lt;c</mark>'
        '<mark class="reject" title="乙&quot;&lt;">d&gt;</mark>ef'
    )
    assert (
        marked("短", [hit(start=5, end=9), hit(start=0, end=99)])
        == '<mark class="review" title="疑似含有微信号">短</mark>'
    )
    assert marked("a", []) == "a"
    assert boxes(width=10, height=10, hits=[hit()]) == ""
    assert TITLE[6:9] == "加微信"
    assert "wx" in DESCRIPTION


def test_pages_that_are_not_there(app: Flask, person: Person, client: FlaskClient) -> None:
    for path, text in (("/admin/orders/999/", "订单信息不存在"), ("/admin/users/0/", "用户信息不存在")):
        page = person.browser.get(path)
        assert (page.status_code, text in page.text) == (404, True)
    page = person.browser.get("/admin/nothing/", headers={"Accept": "text/html"})
    assert (page.status_code, page.mimetype) == (404, "text/html")
