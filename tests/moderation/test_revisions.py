"""Edits of goods that are public: what is approved stays, what needs no look is live at once, what waits, what ends."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from app.goods.models import ReviewCase, Verdict
from app.moderation.checks import picture_subject
from app.moderation.service import check_good, conclude_good, request_stale_reviews, revision_in_review
from app.notifications.models import Notification
from app.orders.service import cancel_order
from statemachine import GoodStatus
from tests.factories import (
    Made,
    assert_envelope,
    auth_headers,
    make_address,
    make_good,
    make_user,
    photo_bytes,
    whole_database,
)
from tests.goods.steps import (
    counting,
    messages,
    multipart,
    picture_rows,
    publish,
    release,
    review,
    revision_rows,
    row_of,
)
from tests.moderation.steps import change

pytestmark = pytest.mark.usefixtures("clean")

BAD = "加微信看货"


@pytest.fixture
def owner(app: Flask) -> Made:
    return make_user(app)


def edit(app: Flask, owner: Made, good_id: int, **fields: Any) -> Any:
    response = app.test_client().patch(f"/api/good_edit/{good_id}/", json=fields, headers=auth_headers(app, owner))
    return assert_envelope(response, Answer.GOOD_EDITED)


def own(app: Flask, owner: Made, good_id: int) -> Any:
    response = app.test_client().get(f"/api/good_edit/{good_id}/", headers=auth_headers(app, owner))
    return assert_envelope(response, Answer.GOOD_FOUND)


def seen(app: Flask, good_id: int, **headers: Any) -> Any:
    return assert_envelope(app.test_client().get(f"/api/good/{good_id}/", **headers), Answer.GOOD_FOUND)


def states(app: Flask, good_id: int) -> list[tuple[int, str]]:
    return [(row["revision"], row["state"]) for row in revision_rows(app, good_id)]


# --- what is approved stays ---


def test_the_owner_sees_both_and_all_others_what_is_approved(app: Flask, owner: Made) -> None:
    good = make_good(app, owner)
    before = seen(app, good.id)
    edit(app, owner, good.id, title="新标题", description="新的描述", category=5)
    for headers in ({}, auth_headers(app, make_user(app)), auth_headers(app, owner)):
        assert seen(app, good.id, headers=headers) == before
    mine = own(app, owner, good.id)
    assert mine["approved"] == before
    assert (mine["title"], mine["category"], mine["good_status"], mine["revision"]) == ("新标题", 5, 1, 2)
    assert (mine["verification"]["state"], mine["verification"]["revision"]) == ("pending", 2)
    listed = app.test_client().get("/api/my_goods/", headers=auth_headers(app, owner))
    [item] = assert_envelope(listed, Answer.GOOD_FOUND)["items"]
    told = item.pop("edit")
    assert (told["revision"], told["state"], told["title"]) == (2, "pending", "新标题")
    assert item == before

    review(app, good.id)
    after = seen(app, good.id)
    assert (after["title"], after["category"], after["good_status"], after["revision"]) == ("新标题", 5, 2, 2)
    assert own(app, owner, good.id)["approved"] is None
    assert messages(app)[-1] == ("search_index", good.id)


def test_a_refused_edit_leaves_what_is_approved_and_can_be_mended(app: Flask, owner: Made) -> None:
    good = make_good(app, owner)
    before = seen(app, good.id)
    edit(app, owner, good.id, title=BAD, description="新的描述")
    review(app, good.id)
    assert seen(app, good.id) == before
    mine = own(app, owner, good.id)
    assert (mine["title"], mine["good_status"], mine["approved"]) == (BAD, 5, before)
    assert mine["verification"]["state"] == "failed"
    assert mine["verification"]["text"] == "涉嫌引流:加微信"
    assert mine["verification"]["may_appeal"] is True
    with app.app_context():
        [told] = db.session.scalars(select(Notification)).all()
    assert (told.user_id, told.kind, told.title) == (owner.id, "review", "商品修改未通过审核")
    assert told.text.startswith(f"「{BAD}」未通过审核:涉嫌引流:加微信。已发布的内容保持不变。")

    edit(app, owner, good.id, title="山地车")  # the rest of the form is as the owner wrote it
    assert states(app, good.id) == [(2, "rejected"), (3, "in_review")]
    review(app, good.id)
    after = seen(app, good.id)
    assert (after["title"], after["description"], after["revision"]) == ("山地车", "新的描述", 3)


def test_a_refused_edit_is_not_reviewed_again(app: Flask, owner: Made) -> None:
    good = make_good(app, owner)
    edit(app, owner, good.id, title=BAD)
    review(app, good.id)
    before = whole_database(app)
    with app.app_context():
        check_good(good_id=good.id, revision=2)  # the same jobs, late
        conclude_good(good_id=good.id, revision=2)
    assert whole_database(app) == before


def test_verdicts_of_an_older_edit_move_nothing(app: Flask, owner: Made) -> None:
    good = make_good(app, owner)
    edit(app, owner, good.id, title="第一次")
    with app.app_context():
        check_good(good_id=good.id, revision=2)
    edit(app, owner, good.id, title=BAD)
    before = whole_database(app)
    with app.app_context():
        conclude_good(good_id=good.id, revision=2)
        check_good(good_id=good.id, revision=2)
    assert whole_database(app) == before
    assert states(app, good.id) == [(2, "superseded"), (3, "in_review")]
    assert seen(app, good.id)["title"] == good.title


def test_buyers_buy_what_is_approved_and_the_edit_waits_for_the_end(app: Flask, owner: Made) -> None:
    good = make_good(app, owner)
    buyer = make_user(app)
    address = make_address(app, buyer)
    edit(app, owner, good.id, title="新标题", price="8000.00")
    bought = app.test_client().post(
        f"/api/buy/{good.id}/",
        json={"address_id": address.id, "expected_amount": "2600.00", "revision": 1},
        headers=auth_headers(app, buyer),
    )
    order = assert_envelope(bought, Answer.ORDER_CREATED)
    assert (order["good"]["title"], order["price"]) == (good.title, "2588.00")
    with app.app_context():
        assert revision_in_review(good.id) is None
        check_good(good_id=good.id, revision=2)  # its job was under way
        conclude_good(good_id=good.id, revision=2)
        assert row_of(app, good.id)["title"] == good.title
        assert own(app, owner, good.id)["good_status"] == GoodStatus.IN_TRADE
        cancel_order(actor_id=buyer.id, order_id=order["id"])
    assert ("good_verification", good.id) in messages(app)
    assert row_of(app, good.id)["status"] == GoodStatus.PUBLISHED
    review(app, good.id)
    assert (seen(app, good.id)["title"], seen(app, good.id)["price"]) == ("新标题", "8000.00")


def test_an_edit_from_before_the_sale_does_not_put_the_good_up_again(app: Flask, owner: Made) -> None:
    good = make_good(app, owner)
    edit(app, owner, good.id, title="新标题")
    change(app, good, status=GoodStatus.SOLD)
    review(app, good.id)
    assert (row_of(app, good.id)["status"], row_of(app, good.id)["edit_revision"]) == (GoodStatus.SOLD, None)
    assert seen(app, good.id)["title"] == good.title
    assert states(app, good.id) == [(2, "superseded")]


def test_an_edit_of_a_sold_good_puts_it_up_again_once_approved(app: Flask, owner: Made) -> None:
    good = make_good(app, owner, status=GoodStatus.SOLD)
    edit(app, owner, good.id, title="再卖一件")
    assert (seen(app, good.id)["good_status"], seen(app, good.id)["title"]) == (GoodStatus.SOLD, good.title)
    review(app, good.id)
    assert (seen(app, good.id)["good_status"], seen(app, good.id)["title"]) == (GoodStatus.PUBLISHED, "再卖一件")


def test_taken_down_nothing_is_reviewed_and_restored_it_is(app: Flask, client: FlaskClient, owner: Made) -> None:
    staff = make_user(app, staff=True)
    good = make_good(app, owner)
    edit(app, owner, good.id, title="新标题")
    for verb, waits in (("take_down", None), ("restore", 2)):
        url = f"/api/staff/{verb}_good/{good.id}/"
        assert client.post(url, json={"reason": "核查"}, headers=auth_headers(app, staff)).status_code == 200
        with app.app_context():
            assert revision_in_review(good.id) == waits
    assert messages(app)[-1] == ("good_verification", good.id)
    review(app, good.id)
    assert seen(app, good.id)["title"] == "新标题"


def test_a_deleted_good_takes_its_edit_with_it(app: Flask, client: FlaskClient, owner: Made) -> None:
    good = make_good(app, owner)
    edit(app, owner, good.id, title="新标题")
    assert client.delete(f"/api/good_edit/{good.id}/", headers=auth_headers(app, owner)).status_code == 200
    assert (states(app, good.id), row_of(app, good.id)["edit_revision"]) == ([(2, "superseded")], None)


def test_an_unseen_good_has_no_moment_of_publication(app: Flask, owner: Made) -> None:
    good = make_good(app, owner, status=GoodStatus.IN_REVIEW, published_at=utcnow())  # as before migration 0026
    edit(app, owner, good.id, title="新标题")
    assert row_of(app, good.id)["published_at"] is None


# --- pictures ---


def test_nobody_sees_pictures_of_an_edit_until_it_is_approved(app: Flask, client: FlaskClient, owner: Made) -> None:
    good = release(app, client, owner, photo_bytes(50))
    publish(app, good["id"])
    headers = auth_headers(app, owner)
    old = good["pictures"][0]
    new = assert_envelope(
        client.patch(f"/api/good_edit/{good['id']}/", headers=headers, **multipart(photo_bytes(70))),
        Answer.GOOD_EDITED,
    )["pictures"][0]
    assert new["links"]["whole"].startswith(new["url"])
    stranger = auth_headers(app, make_user(app))
    for reader, statuses in (({}, (200, 404)), (stranger, (200, 404)), (headers, (200, 200))):
        assert tuple(client.get(each["url"], headers=reader).status_code for each in (old, new)) == statuses
    assert [each["id"] for each in seen(app, good["id"])["pictures"]] == [old["id"]]
    assert client.get(new["links"]["whole"]).status_code == 200  # the owner's own link
    review(app, good["id"])
    assert (client.get(old["url"]).status_code, client.get(new["url"]).status_code) == (404, 200)
    assert client.get(new["url"]).headers["Cache-Control"].startswith("public")


def test_what_a_dropped_edit_alone_showed_is_collected(app: Flask, client: FlaskClient, owner: Made) -> None:
    good = release(app, client, owner, photo_bytes(50))
    publish(app, good["id"])
    headers = auth_headers(app, owner)
    url = f"/api/good_edit/{good['id']}/"
    first = assert_envelope(
        client.patch(url, headers=headers, **multipart(photo_bytes(70), photo_bytes(80))),
        Answer.GOOD_EDITED,
    )["pictures"]
    # One of them stays in the next edit, beside one of what is approved.
    kept = [first[1]["id"], good["pictures"][0]["id"]]
    second = assert_envelope(client.patch(url, json={"keep_pictures": kept}, headers=headers), Answer.GOOD_EDITED)
    assert [each["id"] for each in second["pictures"]] == kept
    rows = {row["id"]: (row["position"], row["detached_at"] is None) for row in picture_rows(app)}
    assert rows == {good["pictures"][0]["id"]: (0, True), first[0]["id"]: (None, False), first[1]["id"]: (None, True)}
    review(app, good["id"])
    rows = {row["id"]: (row["position"], row["detached_at"] is None) for row in picture_rows(app)}
    assert rows == {kept[0]: (0, True), kept[1]: (1, True), first[0]["id"]: (None, False)}


def test_unchanged_pictures_keep_their_verdict(
    app: Flask, client: FlaskClient, owner: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = release(app, client, owner, photo_bytes(50))
    review(app, good["id"])
    looked_at: list[str] = []
    monkeypatch.setattr("app.moderation.checks._judge_picture", lambda *args, **_: looked_at.append(str(args)))
    edit(app, owner, good["id"], description="换个说法")
    review(app, good["id"])
    assert looked_at == []
    _, subject = picture_subject(good["pictures"][0]["id"])
    with app.app_context():
        kept = db.session.scalars(select(Verdict).where(Verdict.subject == subject).order_by(Verdict.revision)).all()
    assert [(each.revision, each.state) for each in kept] == [(1, "passed"), (2, "passed")]
    assert kept[0].content_hash == kept[1].content_hash == picture_rows(app)[0]["sha256"]


# --- prices ---


@pytest.mark.parametrize(
    ("price", "at_once"),
    [
        ("258.80", True),  # a tenth
        ("258.79", False),
        ("25880.00", True),  # ten times
        ("25880.01", False),
        ("2588.01", True),
    ],
)
def test_a_price_within_the_range_is_live_at_once(app: Flask, owner: Made, price: str, at_once: bool) -> None:
    good = make_good(app, owner)  # 2588.00
    before = row_of(app, good.id)
    answer = edit(app, owner, good.id, price=price)
    assert (answer["price"], answer["good_status"], answer["revision"]) == (price, 2 if at_once else 1, 2)
    shown = seen(app, good.id)
    assert (shown["price"], shown["revision"]) == ((price, 2) if at_once else ("2588.00", 1))
    assert shown["published_at"] == answer["published_at"] if at_once else answer["published_at"] is None
    row = row_of(app, good.id)
    assert row["published_at"] == before["published_at"]
    assert states(app, good.id) == [(2, "approved" if at_once else "in_review")]
    assert messages(app) == [("search_index" if at_once else "good_verification", good.id)]
    assert row["reviewed_price"] == (258800 if at_once else None)


def test_steps_do_not_lead_beyond_the_range(app: Flask, owner: Made) -> None:
    good = make_good(app, owner, price=100000, title="实木书架", description="自提,送搁板。", category=5)
    assert edit(app, owner, good.id, price="100.00")["good_status"] == 2
    assert edit(app, owner, good.id, price="10.00")["good_status"] == 1
    assert seen(app, good.id)["price"] == "100.00"
    review(app, good.id)
    assert seen(app, good.id)["price"] == "10.00"
    assert edit(app, owner, good.id, price="1.00")["good_status"] == 2  # of what was looked at since


def test_freight_is_live_at_once_and_so_is_both(app: Flask, owner: Made) -> None:
    good = make_good(app, owner)
    assert edit(app, owner, good.id, freight="0.00")["good_status"] == 2
    assert edit(app, owner, good.id, freight="25.00", price="2000.00")["good_status"] == 2
    assert (seen(app, good.id)["freight"], seen(app, good.id)["price"]) == ("25.00", "2000.00")
    assert edit(app, owner, good.id, original_price="9000.00")["good_status"] == 1
    assert seen(app, good.id)["original_price"] == "5999.00"


def test_a_price_is_live_at_once_also_while_words_wait(app: Flask, owner: Made) -> None:
    good = make_good(app, owner)
    edit(app, owner, good.id, title="新标题")
    answer = edit(app, owner, good.id, price="2000.00")
    assert (answer["title"], answer["price"], answer["good_status"], answer["revision"]) == ("新标题", "2000.00", 1, 4)
    shown = seen(app, good.id)
    assert (shown["title"], shown["price"], shown["revision"]) == (good.title, "2000.00", 3)
    assert states(app, good.id) == [(2, "superseded"), (3, "approved"), (4, "in_review")]
    review(app, good.id)
    shown = seen(app, good.id)
    assert (shown["title"], shown["price"], shown["revision"]) == ("新标题", "2000.00", 4)


def test_a_price_after_a_refusal_is_of_what_is_approved(app: Flask, owner: Made) -> None:
    good = make_good(app, owner)
    edit(app, owner, good.id, title=BAD)
    review(app, good.id)
    answer = edit(app, owner, good.id, price="2000.00")
    assert (answer["title"], answer["price"], answer["good_status"]) == (good.title, "2000.00", 2)
    assert states(app, good.id) == [(2, "rejected"), (3, "approved")]


def test_back_to_what_is_approved_needs_no_look(app: Flask, owner: Made) -> None:
    good = make_good(app, owner)
    before = seen(app, good.id)
    edit(app, owner, good.id, title="新标题")
    assert edit(app, owner, good.id, title=good.title) == before
    assert (states(app, good.id), seen(app, good.id)) == ([(2, "superseded")], before)


def test_the_verdicts_hold_on_at_another_price(app: Flask, owner: Made) -> None:
    good = make_good(app, owner, status=GoodStatus.IN_REVIEW)
    review(app, good.id)
    edit(app, owner, good.id, price="2000.00")
    found = own(app, owner, good.id)["verification"]
    assert (found["revision"], [each["subject"] for each in found["verdicts"]]) == (2, ["title", "description"])


def test_a_sold_good_is_for_sale_again_with_its_price_alone(app: Flask, owner: Made) -> None:
    good = make_good(app, owner, status=GoodStatus.SOLD)
    assert edit(app, owner, good.id, price="2000.00")["good_status"] == 2
    assert (seen(app, good.id)["good_status"], seen(app, good.id)["price"]) == (2, "2000.00")


# --- how it stands ---


def test_everybody_is_told_of_what_is_public_and_the_owner_of_the_edit(
    app: Flask, client: FlaskClient, owner: Made
) -> None:
    good = make_good(app, owner)
    edit(app, owner, good.id, title=BAD)
    url = f"/api/verify/good/{good.id}"

    def told(**headers: Any) -> tuple[Any, ...]:
        data = assert_envelope(client.get(url, **headers), Answer.VERDICT_FOUND)
        return data["good_status"], data["state"], data.get("revision"), len(data.get("verdicts", ()))

    staff = make_user(app, staff=True)
    insiders = [{"headers": auth_headers(app, user)} for user in (owner, staff)]
    assert told() == (2, "passed", None, 0)
    assert [told(**each) for each in insiders] == [(1, "pending", 2, 0)] * 2
    review(app, good.id)
    assert told() == (2, "passed", None, 0)
    assert [told(**each) for each in insiders] == [(5, "failed", 2, 2)] * 2


def test_the_sweep_asks_for_lost_edits(app: Flask, owner: Made) -> None:
    good, waiting = make_good(app, owner), make_good(app, owner)
    for each in (good, waiting):
        edit(app, owner, each.id, title="新标题")
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM outbox")
        connection.exec_driver_sql("UPDATE good_revisions SET submitted_at = submitted_at - interval '1 hour'")
        connection.execute(
            ReviewCase.__table__.insert().values(
                good_id=waiting.id, revision=2, kind="edit", priority=10, created_at=func.now()
            )
        )
    with app.app_context():
        assert request_stale_reviews() == 1
        assert request_stale_reviews() == 0
    assert messages(app) == [("good_verification", good.id)]


def test_reads_cost_as_many_statements_as_before(app: Flask, client: FlaskClient, owner: Made) -> None:
    good = make_good(app, owner)
    edit(app, owner, good.id, title="新标题")
    with counting(app) as statements:
        seen(app, good.id)
    assert len(statements) == 1
    headers = auth_headers(app, owner)
    with counting(app) as statements:
        client.get("/api/my_goods/", headers=headers)
    assert len(statements) == 2
