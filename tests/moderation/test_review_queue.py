"""What waits for people: one desk at a time, decisions and what comes of them, appeals, reports, banned pictures."""

import signal
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from app.db.transactions import transaction
from app.goods.models import Appeal, CaseKind, Good, GoodRevision, ReviewCase
from app.moderation.decisions import open_case
from app.moderation.likenesses import bands, remember_fingerprint
from app.moderation.models import BannedPicture, ModerationTotal
from app.moderation.review_queue import APPEALS_A_DAY, claim_next, release_claims
from app.moderation.service import check_good, conclude_good
from app.moderation.verdicts import Category, Decision, Hit, Judgement
from app.notifications.models import Notification
from app.orders.transitions import OrderCommand, fire, lock_order
from app.staff.models import StaffAction
from statemachine import GoodStatus, OrderEvent, Role
from statemachine.order import PAID, RECEIVED
from tests.factories import (
    Made,
    assert_envelope,
    auth_headers,
    lead_order,
    make_good,
    make_user,
    photo_bytes,
    whole_database,
)
from tests.goods.steps import at_once, multipart, publish, release, review, revision_rows, row_of
from tests.moderation.test_revisions import BAD, edit, own, seen
from tests.settings import settings_with
from tests.web.test_metrics import scrape, value

pytestmark = pytest.mark.usefixtures("clean")

REJECT = {"decision": "reject", "categories": ["counterfeit"], "note": "请提供购买凭证"}
UNSURE = Hit(Category.COUNTERFEIT, "counterfeit.brand", "疑似仿品", Decision.REVIEW, confidence=0.5)


@pytest.fixture
def owner(app: Flask) -> Made:
    return make_user(app)


@pytest.fixture
def staff(app: Flask) -> Made:
    return make_user(app, staff=True)


@pytest.fixture(autouse=True)
def unsure_of_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine is unsure of texts with 存疑 in them."""
    from app.moderation import checks

    certain = checks.check_text

    def check_text(text: str, **context: Any) -> Judgement:
        found = certain(text, **context)
        return found.with_hits((UNSURE,)) if "存疑" in text else found

    monkeypatch.setattr(checks, "check_text", check_text)


def in_queue(app: Flask, owner: Made, **columns: Any) -> Made:
    """A good whose release waits for a person."""
    good = make_good(app, owner, status=GoodStatus.IN_REVIEW, **{"title": "存疑的包", **columns})
    review(app, good.id)
    return good


def ask(app: Flask, actor: Made, url: str, body: Any = None) -> TestResponse:
    return app.test_client().post(f"/api/staff/{url}", json=body, headers=auth_headers(app, actor))


def next_case(app: Flask, actor: Made, *besides: int) -> Any:
    return ask(app, actor, "next_review/", {"besides": list(besides)}).get_json()["data"]["case"]


def decide(app: Flask, actor: Made, case_id: int, body: Any) -> Any:
    return assert_envelope(ask(app, actor, f"review/{case_id}/", body), Answer.REVIEW_DECIDED)


def cases(app: Flask) -> list[tuple[Any, ...]]:
    columns = (ReviewCase.good_id, ReviewCase.revision, ReviewCase.kind, ReviewCase.decision, ReviewCase.closed_at)
    with app.app_context(), db.engine.connect() as connection:
        found = connection.execute(select(*columns).order_by(ReviewCase.id))
        return [(*row[:4], row.closed_at is not None) for row in found]


def told(app: Flask, user: Made) -> list[tuple[str, str]]:
    with app.app_context(), db.engine.connect() as connection:
        statement = select(Notification.title, Notification.text).where(Notification.user_id == user.id)
        return [tuple(row) for row in connection.execute(statement.order_by(Notification.id))]


# --- the desk ---


def test_what_the_machine_is_unsure_of_waits_for_a_person(app: Flask, owner: Made, staff: Made) -> None:
    good = in_queue(app, owner)
    assert (row_of(app, good.id)["status"], cases(app)) == (1, [(good.id, 1, "release", None, False)])
    assert own(app, owner, good.id)["verification"]["state"] == "pending"
    case = next_case(app, staff)
    assert (case["good_id"], case["revision"], case["kind"], case["kind_text"]) == (good.id, 1, "release", "新发布")
    assert (case["good"]["title"], case["approved"], case["claimed_by"]) == ("存疑的包", None, staff.id)
    [title, description] = case["verdicts"]
    assert (title["state"], title["passed"], title["reasons"]) == ("review", False, ["疑似仿品"])
    assert title["hits"] == [
        {
            "category": "counterfeit",
            "code": "counterfeit.brand",
            "reason": "疑似仿品",
            "policy": "review",
            "confidence": 0.5,
            "start": None,
            "end": None,
            "box": None,
        }
    ]
    assert description["state"] == "passed"
    assert (case["seller"]["id"], case["seller"]["approved"], case["seller"]["refused"]) == (owner.id, 0, 0)
    assert [(each["revision"], each["state"]) for each in case["history"]] == [(1, "in_review")]
    with app.app_context():
        conclude_good(good_id=good.id, revision=1)  # once more
    assert len(cases(app)) == 1


def test_two_reviewers_never_have_the_same_good(app: Flask, owner: Made, settings: Any) -> None:
    goods = [in_queue(app, owner).id for _ in range(6)]
    people = [make_user(app, staff=True) for _ in range(3)]
    found = at_once(*[lambda person=person: next_case(app, person)["good_id"] for person in people])
    assert sorted(found) == goods[:3]
    mine = found[0]
    # Asked again, the same; with it on the desk another one, which is also loaded by nobody else.
    case = next_case(app, people[0])
    assert case["good_id"] == mine
    second = next_case(app, people[0], case["id"])
    assert second["good_id"] == goods[3]
    assert next_case(app, people[0], case["id"], second["id"])["good_id"] == goods[4]
    taken = ask(app, people[1], f"review/{case['id']}/", {"decision": "approve"})
    assert_envelope(taken, Answer.REVIEW_TAKEN)
    assert_envelope(ask(app, people[1], f"skip_review/{case['id']}/"), Answer.REVIEW_TAKEN)
    assert_envelope(ask(app, people[1], f"claim_review/{case['id']}/"), Answer.REVIEW_TAKEN)
    assert row_of(app, mine)["status"] == 1


def test_a_claim_ends_with_its_time_and_with_its_owner_s_leaving(app: Flask, owner: Made) -> None:
    good = in_queue(app, owner)
    first, second = make_user(app, staff=True), make_user(app, staff=True)
    assert next_case(app, first)["good_id"] == good.id
    assert next_case(app, second) is None
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(ReviewCase).values(claimed_until=utcnow() - timedelta(seconds=1)))
    assert next_case(app, second)["good_id"] == good.id
    assert next_case(app, first) is None
    with app.app_context():
        release_claims(actor_id=second.id)
        assert claim_next(actor_id=first.id) is not None


def test_what_was_skipped_comes_to_others_only(app: Flask, owner: Made) -> None:
    good = in_queue(app, owner)
    first, second = make_user(app, staff=True), make_user(app, staff=True)
    case = next_case(app, first)
    assert_envelope(ask(app, first, f"skip_review/{case['id']}/"), Answer.REVIEW_SKIPPED)
    assert next_case(app, first) is None
    assert next_case(app, second)["good_id"] == good.id


def test_nobody_reviews_a_good_of_their_own(app: Flask, staff: Made) -> None:
    in_queue(app, staff)
    assert next_case(app, staff) is None
    with app.app_context():
        [case] = db.session.scalars(select(ReviewCase)).all()
    assert_envelope(ask(app, staff, f"review/{case.id}/", {"decision": "approve"}), Answer.FORBIDDEN)
    assert_envelope(ask(app, make_user(app), f"review/{case.id}/", {"decision": "approve"}), Answer.FORBIDDEN)


def test_appeals_and_what_is_public_come_first(app: Flask, owner: Made, staff: Made) -> None:
    released = in_queue(app, owner)
    public = make_good(app, owner)
    refused = make_good(app, owner, status=GoodStatus.REJECTED)
    with app.app_context(), transaction() as session:
        for good, kind in ((refused, CaseKind.APPEAL), (public, CaseKind.RECHECK)):
            open_case(session, good_id=good.id, revision=1, kind=kind, now=utcnow())
    listed = app.test_client().get("/api/staff/reviews/", headers=auth_headers(app, staff))
    data = assert_envelope(listed, Answer.REVIEWS_FOUND)
    assert [each["good_id"] for each in data["items"]] == [public.id, refused.id, released.id]
    of_kind = app.test_client().get("/api/staff/reviews/?kind=appeal", headers=auth_headers(app, staff))
    assert [each["good_id"] for each in assert_envelope(of_kind, Answer.REVIEWS_FOUND)["items"]] == [refused.id]


# --- decisions ---


def test_a_release_that_is_approved_is_public(app: Flask, owner: Made, staff: Made) -> None:
    good = in_queue(app, owner)
    case = next_case(app, staff)
    decided = decide(app, staff, case["id"], {"decision": "approve"})
    assert (decided["decision"], decided["decided_by"], decided["claimed_by"]) == ("approve", staff.id, None)
    assert seen(app, good.id)["good_status"] == GoodStatus.PUBLISHED
    assert told(app, owner) == [("商品已发布", "「存疑的包」已通过人工审核。")]
    with app.app_context():
        [action] = db.session.scalars(select(StaffAction)).all()
        assert (action.actor_id, action.action, action.subject_id, action.reason) == (
            staff.id,
            "approve_good",
            good.id,
            "人工审核通过",
        )
        [row] = db.session.scalars(select(GoodRevision)).all()
        assert (row.state, row.decided_by) == ("approved", staff.id)
        totals = {(each.stage, each.outcome): each.verdicts for each in db.session.scalars(select(ModerationTotal))}
    assert totals == {("text", "passed"): 1, ("text", "review"): 1, ("person", "passed"): 1}
    before = whole_database(app)
    assert_envelope(ask(app, staff, f"review/{case['id']}/", REJECT), Answer.NO_SUCH_REVIEW)
    assert whole_database(app) == before


def test_what_a_person_passed_is_not_asked_again(app: Flask, owner: Made, staff: Made) -> None:
    good = in_queue(app, owner)
    decide(app, staff, next_case(app, staff)["id"], {"decision": "approve"})
    edit(app, owner, good.id, description="换个说法")
    review(app, good.id)
    shown = seen(app, good.id)
    assert (shown["description"], shown["title"], shown["revision"]) == ("换个说法", "存疑的包", 2)
    assert [each["by_staff"] for each in own(app, owner, good.id)["verification"]["verdicts"]] == [True, False]
    edit(app, owner, good.id, title="存疑的新包")
    review(app, good.id)
    assert seen(app, good.id)["title"] == "存疑的包"


def test_a_release_that_is_rejected_is_not_public(app: Flask, owner: Made, staff: Made) -> None:
    good = in_queue(app, owner)
    case = next_case(app, staff)
    nothing_said = ask(app, staff, f"review/{case['id']}/", {"decision": "reject"})
    assert list(assert_envelope(nothing_said, Answer.MALFORMED)["errors"]) == ["categories"]
    decide(app, staff, case["id"], REJECT)
    mine = own(app, owner, good.id)
    assert (mine["good_status"], mine["verification"]["state"]) == (5, "failed")
    assert mine["verification"]["text"] == "涉嫌售假:请提供购买凭证"
    assert [(each["state"], each["by_staff"]) for each in mine["verification"]["verdicts"]] == [
        ("rejected", True),
        ("passed", False),
    ]
    assert told(app, owner) == [
        ("商品未通过审核", "「存疑的包」未通过审核:涉嫌售假:请提供购买凭证。可修改后重新提交,或申诉一次。")
    ]
    # The same again is refused without another look.
    edit(app, owner, good.id, description="换个说法")
    review(app, good.id)
    assert [row["state"] for row in revision_rows(app, good.id)] == ["rejected", "rejected"]
    assert len(cases(app)) == 1


def test_an_edit_is_decided_about_as_it_was_seen(app: Flask, owner: Made, staff: Made) -> None:
    good = make_good(app, owner)
    before = seen(app, good.id)
    edit(app, owner, good.id, title="存疑的包")
    review(app, good.id)
    case = next_case(app, staff)
    assert (case["kind"], case["good"]["title"], case["approved"]) == ("edit", "存疑的包", before)
    edit(app, owner, good.id, title="存疑的另一个包")
    assert_envelope(ask(app, staff, f"review/{case['id']}/", {"decision": "approve"}), Answer.NO_SUCH_REVIEW)
    assert seen(app, good.id) == before
    review(app, good.id)
    case = next_case(app, staff)
    assert (case["revision"], case["good"]["title"]) == (3, "存疑的另一个包")
    decide(app, staff, case["id"], REJECT)
    assert seen(app, good.id) == before
    assert own(app, owner, good.id)["good_status"] == 5
    assert told(app, owner)[-1][0] == "商品修改未通过审核"


@pytest.mark.parametrize("columns", [{"status": 3}, {"taken_down": True, "takedown_cause": "staff"}, {"deleted": True}])
def test_what_cannot_be_decided_now_does_not_come(app: Flask, owner: Made, staff: Made, columns: Any) -> None:
    good = make_good(app, owner)
    edit(app, owner, good.id, title="存疑的包")
    review(app, good.id)
    case = next_case(app, staff)
    with app.app_context():
        release_claims(actor_id=staff.id)
        with db.engine.begin() as connection:
            connection.execute(update(Good).values(**columns))
    assert next_case(app, staff) is None
    before = whole_database(app)
    assert_envelope(ask(app, staff, f"review/{case['id']}/", {"decision": "approve"}), Answer.REVIEW_OUTDATED)
    assert whole_database(app) == before


def test_an_edit_that_is_approved_takes_the_place(app: Flask, owner: Made, staff: Made) -> None:
    good = make_good(app, owner)
    edit(app, owner, good.id, title="存疑的包")
    review(app, good.id)
    decide(app, staff, next_case(app, staff)["id"], {"decision": "approve"})
    assert (seen(app, good.id)["title"], seen(app, good.id)["revision"]) == ("存疑的包", 2)
    assert told(app, owner) == [("修改已生效", "「存疑的包」已通过人工审核。")]


# --- appeals ---


def appeal(app: Flask, owner: Made, good_id: int) -> TestResponse:
    url = f"/api/good_appeal/{good_id}/"
    return app.test_client().post(url, json={"text": "这是正品,有发票"}, headers=auth_headers(app, owner))


@pytest.mark.parametrize("granted", [True, False])
def test_an_appeal_against_a_refused_release(app: Flask, owner: Made, staff: Made, granted: bool) -> None:
    good = make_good(app, owner, status=GoodStatus.IN_REVIEW, title=BAD)
    review(app, good.id)
    assert row_of(app, good.id)["status"] == 5
    answer = assert_envelope(appeal(app, owner, good.id), Answer.APPEALED)
    assert (answer["state"], answer["revision"]) == ("failed", 1)
    again = assert_envelope(appeal(app, owner, good.id), Answer.APPEAL_REFUSED)
    assert again == {"reasons": ["该版本已申诉过,每个版本只能申诉一次"]}
    case = next_case(app, staff)
    assert (case["kind"], case["appeal"]["text"], case["appeal"]["state"]) == ("appeal", "这是正品,有发票", "open")
    decide(app, staff, case["id"], {"decision": "approve", "note": "是模型"} if granted else REJECT)
    found = own(app, owner, good.id)
    assert found["good_status"] == (2 if granted else 5)
    told_of = found["verification"]["appeal"]
    assert told_of["state"] == ("granted" if granted else "refused")
    assert told_of["answer"] == ("是模型" if granted else "涉嫌售假:请提供购买凭证")
    assert found["verification"]["may_appeal"] is False
    assert told(app, owner)[-1][0] == ("申诉成功" if granted else "申诉未通过")
    assert_envelope(appeal(app, owner, good.id), Answer.APPEAL_REFUSED)


def test_an_appeal_for_an_edit(app: Flask, owner: Made, staff: Made) -> None:
    good = make_good(app, owner)
    edit(app, owner, good.id, title=BAD)
    review(app, good.id)
    assert_envelope(appeal(app, owner, good.id), Answer.APPEALED)
    assert seen(app, good.id)["title"] == good.title
    decide(app, staff, next_case(app, staff)["id"], {"decision": "approve"})
    assert seen(app, good.id)["title"] == BAD
    # With the words that a person passed, the next edit needs none.
    edit(app, owner, good.id, description="换个说法")
    review(app, good.id)
    assert seen(app, good.id)["description"] == "换个说法"


def test_an_edit_makes_the_appeal_void_and_the_next_revision_has_its_own(app: Flask, owner: Made, staff: Made) -> None:
    good = make_good(app, owner)
    edit(app, owner, good.id, title=BAD)
    review(app, good.id)
    assert_envelope(appeal(app, owner, good.id), Answer.APPEALED)
    edit(app, owner, good.id, title=f"{BAD}啊")
    assert next_case(app, staff) is None
    review(app, good.id)
    with app.app_context():
        assert [each.state for each in db.session.scalars(select(Appeal))] == ["void"]
    assert_envelope(appeal(app, owner, good.id), Answer.APPEALED)


def test_only_so_many_appeals_a_day(app: Flask, owner: Made) -> None:
    goods = [make_good(app, owner, status=GoodStatus.REJECTED) for _ in range(APPEALS_A_DAY + 1)]
    for good in goods[:-1]:
        assert_envelope(appeal(app, owner, good.id), Answer.APPEALED)
    before = whole_database(app)
    refused = assert_envelope(appeal(app, owner, goods[-1].id), Answer.APPEAL_REFUSED)
    assert refused == {"reasons": ["24 小时内申诉次数已达上限"]}
    assert whole_database(app) == before
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Appeal).values(created_at=utcnow() - timedelta(days=1)))
    assert_envelope(appeal(app, owner, goods[-1].id), Answer.APPEALED)


def test_nothing_to_object_to(app: Flask, owner: Made) -> None:
    good = make_good(app, owner)
    refused = assert_envelope(appeal(app, owner, good.id), Answer.APPEAL_REFUSED)
    assert refused == {"reasons": ["当前没有可以申诉的审核结果"]}
    assert_envelope(appeal(app, make_user(app), good.id), Answer.NO_SUCH_GOOD)


@pytest.mark.parametrize("granted", [True, False])
def test_an_appeal_against_a_takedown(app: Flask, owner: Made, staff: Made, granted: bool) -> None:
    good = make_good(app, owner)
    ask(app, staff, f"take_down_good/{good.id}/", {"reason": "假货"})
    assert own(app, owner, good.id)["verification"]["may_appeal"] is True
    assert_envelope(appeal(app, owner, good.id), Answer.APPEALED)
    case = next_case(app, staff)
    assert case["kind"] == "takedown_appeal"
    decide(app, staff, case["id"], {"decision": "approve"} if granted else REJECT)
    assert row_of(app, good.id)["taken_down"] is not granted
    assert_envelope(
        app.test_client().get(f"/api/good/{good.id}/"), Answer.GOOD_FOUND if granted else Answer.NO_SUCH_GOOD
    )


# --- reports and banned pictures ---


def test_reports_bring_a_good_to_staff_once(app: Flask, owner: Made, staff: Made) -> None:
    good = make_good(app, owner)
    first, second = make_user(app), make_user(app)

    def report(user: Made, good_id: int = good.id) -> TestResponse:
        body = {"category": "counterfeit", "text": "logo 不对"}
        return app.test_client().post(f"/api/good_report/{good_id}/", json=body, headers=auth_headers(app, user))

    for user in (first, second):
        assert_envelope(report(user), Answer.GOOD_REPORTED)
    assert assert_envelope(report(first), Answer.REPORT_REFUSED) == {"reasons": ["你已举报过该商品"]}
    assert_envelope(report(owner), Answer.OWN_GOOD)
    hidden = make_good(app, owner, status=GoodStatus.IN_REVIEW)
    assert_envelope(report(first, hidden.id), Answer.NO_SUCH_GOOD)
    assert cases(app) == [(good.id, 1, "report", None, False)]
    edit(app, owner, good.id, price="2000.00")  # which is no way out
    case = next_case(app, staff)
    assert (case["revision"], [each["reporter_id"] for each in case["reports"]]) == (2, [second.id, first.id])
    decide(app, staff, case["id"], REJECT)
    assert row_of(app, good.id)["taken_down"] is True
    assert told(app, owner)[-1][1].endswith("已被平台下架。原因:涉嫌售假:请提供购买凭证")


def test_a_banned_picture_is_refused_and_what_shows_it_is_looked_at(
    app: Flask, client: FlaskClient, owner: Made, staff: Made
) -> None:
    first = release(app, client, owner, photo_bytes(70))
    publish(app, first["id"])
    picture_id = first["pictures"][0]["id"]
    banned = assert_envelope(
        ask(app, staff, f"ban_picture/{picture_id}/", {"category": "fraud", "note": "骗子用图"}), Answer.PICTURE_BANNED
    )
    assert (banned["picture_id"], banned["category_text"], banned["lifted_at"]) == (picture_id, "涉嫌诈骗", None)
    again = ask(app, staff, f"ban_picture/{picture_id}/", {"category": "fraud", "note": "再次"})
    assert assert_envelope(again, Answer.PICTURE_BANNED)["id"] == banned["id"]
    assert cases(app) == [(first["id"], 1, "recheck", None, False)]
    second = release(app, client, make_user(app), photo_bytes(70))
    review(app, second["id"])
    assert row_of(app, second["id"])["status"] == 5
    with app.app_context():
        [row] = [each for each in db.session.scalars(select(GoodRevision)) if each.state == "rejected"]
    assert (row.text, row.categories) == ("图片已被平台禁止使用", ["fraud"])

    assert_envelope(ask(app, staff, f"lift_ban/{banned['id']}/", {"reason": "误判"}), Answer.BAN_LIFTED)
    assert_envelope(ask(app, staff, f"lift_ban/{banned['id']}/", {"reason": "误判"}), Answer.NO_SUCH_BAN)
    listed = app.test_client().get("/api/staff/banned_pictures/?state=lifted", headers=auth_headers(app, staff))
    assert [each["id"] for each in assert_envelope(listed, Answer.BANS_FOUND)["items"]] == [banned["id"]]


def test_a_ban_has_those_looked_at_that_show_its_like(
    app: Flask, client: FlaskClient, owner: Made, staff: Made
) -> None:
    goods = [
        release(app, client, each, photo_bytes(70 + number))
        for number, each in enumerate((owner, make_user(app), owner))
    ]
    for good in goods:
        publish(app, good["id"])
    with app.app_context(), transaction() as session:
        files = {row.id: row.sha256 for row in session.execute(select(db.metadata.tables["pictures"]))}
        for good, fingerprint in zip(goods, (0x5A5A, 0x5A5B, ~0x5A5A), strict=True):
            remember_fingerprint(session, sha256=files[good["pictures"][0]["id"]], fingerprint=fingerprint)
    ban(app, staff, goods[0]["pictures"][0]["id"])
    assert cases(app) == [(good["id"], 1, "recheck", None, False) for good in goods[:2]]


def test_what_looks_alike_a_person_sees(app: Flask, client: FlaskClient, owner: Made, staff: Made) -> None:
    first = release(app, client, owner, photo_bytes(70))
    publish(app, first["id"])
    second = release(app, client, make_user(app), photo_bytes(60))
    far, near = 0x5A5A5A5A5A5A5A5A, 0x5A5A5A5A5A5A5A5A ^ 0x0101010101010000  # six bits
    with app.app_context(), transaction() as session:
        rows = {row.id: row.sha256 for row in session.execute(select(db.metadata.tables["pictures"]))}
        mine, theirs = (rows[each["pictures"][0]["id"]] for each in (first, second))
        remember_fingerprint(session, sha256=mine, fingerprint=far)
        remember_fingerprint(session, sha256=theirs, fingerprint=near)
    assert set(bands(far)) & set(bands(near))
    review(app, second["id"])
    [verdict] = [each for each in next_case(app, staff)["verdicts"] if each["kind"] == "picture"]
    assert (verdict["state"], verdict["reasons"]) == ("review", ["图片与其他卖家的商品图片相同或相似"])
    # The owner himself may show the same picture again.
    third = release(app, client, owner, photo_bytes(70))
    review(app, third["id"])
    assert row_of(app, third["id"])["status"] == 2
    with app.app_context(), db.engine.begin() as connection:
        now = utcnow()
        values = {"sha256": "0" * 64, "fingerprint": near ^ 1, "category": "fraud", "note": "", "banned_by": staff.id}
        connection.execute(BannedPicture.__table__.insert().values(**values, created_at=now))
    fourth = release(app, client, owner, photo_bytes(70))
    review(app, fourth["id"])
    with app.app_context():
        found = db.session.scalars(select(ReviewCase.good_id).order_by(ReviewCase.id)).all()
    assert found == [second["id"]]  # seven bits are another picture
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(BannedPicture).values(fingerprint=far ^ 1))
    fifth = release(app, client, owner, photo_bytes(70))
    review(app, fifth["id"])
    case = (
        app.test_client().get("/api/staff/reviews/", headers=auth_headers(app, staff)).get_json()["data"]["items"][-1]
    )
    assert case["good_id"] == fifth["id"]


def test_a_person_who_saw_the_likeness_is_not_asked_again(
    app: Flask, client: FlaskClient, owner: Made, staff: Made
) -> None:
    first = release(app, client, owner, photo_bytes(70))
    publish(app, first["id"])
    other = make_user(app)
    second = release(app, client, other, photo_bytes(70))
    review(app, second["id"])
    decide(app, staff, next_case(app, staff)["id"], {"decision": "approve"})
    edit(app, other, second["id"], description="换个说法")
    review(app, second["id"])
    assert seen(app, second["id"])["description"] == "换个说法"


def test_what_the_machine_does_not_finish_waits_for_a_person(
    app: Flask, owner: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = make_good(app, owner, status=GoodStatus.IN_REVIEW)
    monkeypatch.setattr("app.moderation.checks.check_text", lambda *_, **__: 1 / 0)
    with app.app_context():
        for _ in range(5):
            with pytest.raises(ZeroDivisionError):
                check_good(good_id=good.id, revision=1)
        check_good(good_id=good.id, revision=1)
        conclude_good(good_id=good.id, revision=1)
    assert cases(app) == [(good.id, 1, "release", None, False)]
    found = own(app, owner, good.id)["verification"]["verdicts"]
    assert [(each["state"], each["rules_version"]) for each in found] == [("review", "unfinished")] * 2


# --- what happens beside the queue ---


def ban(app: Flask, staff: Made, picture_id: int) -> Any:
    body = {"category": "fraud", "note": "骗子用图"}
    return assert_envelope(ask(app, staff, f"ban_picture/{picture_id}/", body), Answer.PICTURE_BANNED)


@pytest.mark.parametrize("is_edit", [False, True])
def test_a_picture_that_is_banned_after_its_verdict_is_not_published(
    app: Flask, client: FlaskClient, owner: Made, staff: Made, is_edit: bool
) -> None:
    if is_edit:
        good_id = make_good(app, owner).id
        url = f"/api/good_edit/{good_id}/"
        answer = client.patch(url, headers=auth_headers(app, owner), **multipart(photo_bytes(70)))
        picture_id = assert_envelope(answer, Answer.GOOD_EDITED)["pictures"][0]["id"]
    else:
        good = release(app, client, owner, photo_bytes(70))
        good_id, picture_id = good["id"], good["pictures"][0]["id"]
    with app.app_context():
        check_good(good_id=good_id, revision=1 + is_edit)
    ban(app, staff, picture_id)
    assert cases(app) == []  # nobody sees it
    with app.app_context():
        conclude_good(good_id=good_id, revision=1 + is_edit)
    mine = own(app, owner, good_id)
    assert (mine["good_status"], mine["verification"]["text"]) == (5, "图片已被平台禁止使用")
    assert [each["state"] for each in mine["verification"]["verdicts"]] == ["passed", "passed", "rejected"]
    assert row_of(app, good_id)["status"] == (2 if is_edit else 5)


@pytest.mark.parametrize("appealed", [False, True])
def test_nobody_lets_a_banned_picture_pass(
    app: Flask, client: FlaskClient, owner: Made, staff: Made, appealed: bool
) -> None:
    good = release(app, client, owner, photo_bytes(70), title=BAD if appealed else "存疑的包")
    review(app, good["id"])
    if appealed:
        assert_envelope(appeal(app, owner, good["id"]), Answer.APPEALED)
    case = next_case(app, staff)
    banned = ban(app, staff, good["pictures"][0]["id"])
    before = whole_database(app)
    refused = assert_envelope(ask(app, staff, f"review/{case['id']}/", {"decision": "approve"}), Answer.REVIEW_OUTDATED)
    assert refused == {"reasons": ["图片已被平台禁止使用,解除禁用后才能通过"]}
    assert whole_database(app) == before
    assert_envelope(ask(app, staff, f"lift_ban/{banned['id']}/", {"reason": "误判"}), Answer.BAN_LIFTED)
    decide(app, staff, case["id"], {"decision": "approve"})
    assert row_of(app, good["id"])["status"] == 2


def test_what_is_reported_during_a_trade_is_decided_at_once(app: Flask, owner: Made, staff: Made) -> None:
    good, buyer = make_good(app, owner), make_user(app)
    order = lead_order(app, good, buyer, phase=PAID)
    report = {"category": "counterfeit", "text": "同款假货"}
    told_by = app.test_client().post(f"/api/good_report/{good.id}/", json=report, headers=auth_headers(app, buyer))
    assert_envelope(told_by, Answer.GOOD_REPORTED)
    decide(app, staff, next_case(app, staff)["id"], REJECT)
    row = row_of(app, good.id)
    assert (row["status"], row["taken_down"], row["takedown_cause"]) == (3, True, "staff")
    seen_by_buyer = app.test_client().get(f"/api/order/{order.id}/", headers=auth_headers(app, buyer))
    assert assert_envelope(seen_by_buyer, Answer.ORDER_FOUND)["bill_status"] == 2


def test_what_staff_do_by_another_way_ends_the_cases(app: Flask, owner: Made, staff: Made) -> None:
    good = make_good(app, owner)
    with app.app_context(), transaction() as session:
        open_case(session, good_id=good.id, revision=1, kind=CaseKind.REPORT, now=utcnow())
    ask(app, staff, f"take_down_good/{good.id}/", {"reason": "假货"})
    assert cases(app) == [(good.id, 1, "report", "reject", True)]
    assert_envelope(appeal(app, owner, good.id), Answer.APPEALED)
    ask(app, staff, f"restore_good/{good.id}/", {"reason": "核实为正品"})
    assert cases(app)[1:] == [(good.id, 1, "takedown_appeal", "approve", True)]
    found = own(app, owner, good.id)["verification"]["appeal"]
    assert (found["state"], found["answer"]) == ("granted", "核实为正品")
    assert next_case(app, staff) is None
    assert seen(app, good.id)["good_status"] == 2


def test_an_appeal_that_is_granted_to_a_suspended_seller_waits_for_the_end(
    app: Flask, owner: Made, staff: Made
) -> None:
    good = make_good(app, owner)
    ask(app, staff, f"take_down_good/{good.id}/", {"reason": "假货"})
    assert_envelope(appeal(app, owner, good.id), Answer.APPEALED)
    ask(app, staff, f"suspend_user/{owner.id}/", {"reason": "核查"})
    decide(app, staff, next_case(app, staff)["id"], {"decision": "approve"})
    row = row_of(app, good.id)
    assert (row["taken_down"], row["takedown_cause"]) == (True, "suspension")
    assert_envelope(app.test_client().get(f"/api/good/{good.id}/"), Answer.NO_SUCH_GOOD)
    assert told(app, owner)[-1] == ("申诉成功", f"「{good.title}」的下架已撤销,账号恢复使用后重新上架。")
    ask(app, staff, f"lift_suspension/{owner.id}/", {"reason": "核查完毕"})
    assert seen(app, good.id)["good_status"] == 2


def test_a_sale_sets_the_refused_edit_and_its_appeal_aside(app: Flask, owner: Made, staff: Made) -> None:
    good = make_good(app, owner)
    edit(app, owner, good.id, title=BAD)
    review(app, good.id)
    assert_envelope(appeal(app, owner, good.id), Answer.APPEALED)
    order = lead_order(app, good, make_user(app), phase=RECEIVED)
    assert next_case(app, staff) is None  # held by the order
    with app.app_context(), transaction() as session:
        fire(session, *lock_order(session, order.id), OrderCommand(event=OrderEvent.SETTLE, role=Role.SYSTEM))
    row = row_of(app, good.id)
    assert (row["status"], row["edit_revision"]) == (4, None)
    assert cases(app) == [(good.id, 2, "appeal", None, True)]
    with app.app_context():
        assert [each.state for each in db.session.scalars(select(Appeal))] == ["void"]
    assert own(app, owner, good.id)["good_status"] == 4


# --- how long it takes, and what is counted ---


def test_a_subject_has_its_time_and_then_a_person_has_it(
    app: Flask, owner: Made, staff: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.moderation import checks

    certain = checks.check_text

    def endless(text: str, **context: Any) -> Judgement:
        while "存疑" in text:
            pass
        return certain(text, **context)

    monkeypatch.setattr(checks, "check_text", endless)
    with settings_with(app, review_subject_seconds=1):
        good = in_queue(app, owner)
    case = next_case(app, staff)
    assert (case["good_id"], case["kind"]) == (good.id, "release")
    [title, description] = case["verdicts"]
    assert (title["state"], title["reasons"], title["rules_version"]) == (
        "review",
        ["机器审核未能完成,等待人工审核"],
        "unfinished",
    )
    assert description["state"] == "passed"
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_the_queue_and_its_verdicts_are_counted(app: Flask, client: FlaskClient, owner: Made, staff: Made) -> None:
    held = in_queue(app, owner)
    for _ in range(2):
        in_queue(app, owner)
    hour = timedelta(hours=1)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(ReviewCase).values(created_at=ReviewCase.created_at - hour))
        # What nobody can decide about now waits for something else.
        connection.execute(update(Good).where(Good.id == held.id).values(taken_down=True, takedown_cause="staff"))

    samples = scrape(client)
    assert value(samples, "saltfish_review_cases", kind="release") == 2
    assert value(samples, "saltfish_review_cases", kind="report") == 0
    age = value(samples, "saltfish_review_oldest_seconds", kind="release")
    assert age is not None
    assert 3600 <= age < 3660
    assert value(samples, "saltfish_review_oldest_seconds", kind="report") == 0
    decide(app, staff, next_case(app, staff)["id"], {"decision": "approve"})
    decide(app, staff, next_case(app, staff)["id"], REJECT)
    samples = scrape(client)
    counted = {
        (stage, outcome): value(samples, "saltfish_moderation_verdicts_total", stage=stage, outcome=outcome)
        for stage in ("text", "picture", "person")
        for outcome in ("passed", "review", "rejected")
    }
    expected = {("text", "passed"): 3, ("text", "review"): 3, ("person", "passed"): 1, ("person", "rejected"): 1}
    assert {key: found for key, found in counted.items() if found} == expected
    waited = value(samples, "saltfish_moderation_seconds_total", stage="person")
    assert waited is not None
    assert 7200 <= waited < 7320
    assert value(samples, "saltfish_moderation_seconds_total", stage="picture") == 0
