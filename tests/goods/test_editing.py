"""Changing and deleting goods: what comes of it, what stands in the way, who may not."""

from typing import Any, NamedTuple

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.answers import Answer
from app.clock import utcnow
from config import Settings
from statemachine import GoodStatus, OrderPhase
from statemachine.order import AWAITING_PAYMENT, RECEIVED, SETTLED
from tests.factories import (
    Made,
    assert_envelope,
    auth_headers,
    make_good,
    make_order,
    make_user,
    picture_bytes,
)
from tests.goods.steps import (
    FORM,
    WRITTEN,
    assert_malformed,
    at_once,
    everything,
    form_with,
    messages,
    multipart,
    nine_pictures,
    picture_rows,
    publish,
    release,
    review,
    revision_rows,
    row_of,
    stored_files,
)

EDITABLE = [GoodStatus.IN_REVIEW, GoodStatus.PUBLISHED, GoodStatus.SOLD, GoodStatus.REJECTED]


def _url(good: Any) -> str:
    return f"/api/good_edit/{good.id if isinstance(good, Made) else good['id']}/"


def _changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    return {name: after[name] for name in after if after[name] != before[name]}


@pytest.mark.parametrize("status", [GoodStatus.IN_REVIEW, GoodStatus.REJECTED])
def test_patch_of_what_nobody_has_seen(app: Flask, client: FlaskClient, status: GoodStatus) -> None:
    owner = make_user(app)
    good = make_good(app, owner, status=status, revision=4)
    before = row_of(app, good.id)
    response = client.patch(_url(good), json={"title": "新标题", "price": "9.90"}, headers=auth_headers(app, owner))
    data = assert_envelope(response, Answer.GOOD_EDITED)
    after = row_of(app, good.id)
    assert (data["title"], data["price"], data["good_status"], data["published_at"]) == ("新标题", "9.90", 1, None)
    changed = _changed(before, after)
    assert changed.pop("updated_at") > before["updated_at"]
    expected = {"title": "新标题", "price": 990, "revision": 5, "status": 1, "published_at": None}
    assert changed == {name: value for name, value in expected.items() if before[name] != value}
    assert messages(app) == [("good_verification", good.id), ("search_index", good.id)]


@pytest.mark.parametrize("status", [GoodStatus.PUBLISHED, GoodStatus.SOLD])
def test_patch_of_what_is_public_stands_beside_it(app: Flask, client: FlaskClient, status: GoodStatus) -> None:
    owner = make_user(app)
    good = make_good(app, owner, status=status, revision=4)
    before = row_of(app, good.id)
    seen = assert_envelope(client.get(f"/api/good/{good.id}/"), Answer.GOOD_FOUND)
    response = client.patch(_url(good), json={"title": "新标题", "price": "9.90"}, headers=auth_headers(app, owner))
    data = assert_envelope(response, Answer.GOOD_EDITED)
    assert (data["title"], data["price"], data["good_status"], data["published_at"]) == ("新标题", "9.90", 1, None)
    assert data["revision"] == 5
    assert _changed(before, row_of(app, good.id)) == {"edit_revision": 5}
    [edit] = revision_rows(app, good.id)
    assert (edit["revision"], edit["title"], edit["price"], edit["state"]) == (5, "新标题", 990, "in_review")
    assert edit["relists"] is (status == GoodStatus.SOLD)
    assert assert_envelope(client.get(f"/api/good/{good.id}/"), Answer.GOOD_FOUND) == seen
    assert messages(app) == [("good_verification", good.id)]


def test_put_replaces_every_field(app: Flask, client: FlaskClient) -> None:
    owner = make_user(app)
    good = make_good(app, owner)
    headers = auth_headers(app, owner)
    assert_envelope(client.put(_url(good), json=FORM, headers=headers), Answer.GOOD_EDITED)
    review(app, good.id)
    row = row_of(app, good.id)
    assert {name: row[name] for name in WRITTEN} == WRITTEN
    assert (row["status"], row["revision"], row["owner_id"]) == (2, 2, owner.id)

    short = {name: value for name, value in FORM.items() if name not in ("freight", "original_price")}
    data = assert_envelope(client.put(_url(good), json=short, headers=headers), Answer.GOOD_EDITED)
    assert (data["freight"], data["original_price"]) == ("0.00", None)


def test_patch_can_take_the_original_price_off(app: Flask, client: FlaskClient) -> None:
    owner = make_user(app)
    good = make_good(app, owner)
    headers = auth_headers(app, owner)
    data = assert_envelope(client.patch(_url(good), json={"title": "新标题"}, headers=headers), Answer.GOOD_EDITED)
    assert data["original_price"] == "5999.00"
    data = assert_envelope(client.patch(_url(good), json={"original_price": None}, headers=headers), Answer.GOOD_EDITED)
    assert data["original_price"] is None


def test_the_freight_is_judged_with_what_stays(app: Flask, client: FlaskClient, settings: Settings) -> None:
    owner = make_user(app)
    good = make_good(app, owner)  # by courier, with freight
    headers = auth_headers(app, owner)
    before = everything(app, settings)
    reasons = {"freight": ["当面交易没有运费,须为 0"]}
    for body in ({"trade_mode": 6}, {"trade_mode": 6, "freight": "0.01"}):
        assert_malformed(client.patch(_url(good), json=body, headers=headers), Answer.EDIT_MALFORMED, **reasons)
    response = client.put(_url(good), json=FORM | {"trade_mode": 6}, headers=headers)
    assert_malformed(response, Answer.EDIT_MALFORMED, **reasons)
    assert everything(app, settings) == before

    response = client.patch(_url(good), json={"trade_mode": 6, "freight": 0}, headers=headers)
    assert assert_envelope(response, Answer.GOOD_EDITED)["trade_mode_text"] == "当面交易"
    response = client.patch(_url(good), json={"freight": 1}, headers=headers)
    assert_malformed(response, Answer.EDIT_MALFORMED, **reasons)


def test_new_pictures_replace_the_old(app: Flask, client: FlaskClient, settings: Settings) -> None:
    owner = make_user(app)
    good = release(app, client, owner, picture_bytes(50, 40), picture_bytes(60, 40))
    data = assert_envelope(
        client.patch(_url(good), headers=auth_headers(app, owner), **multipart(picture_bytes(70, 40))),
        Answer.GOOD_EDITED,
    )
    rows = picture_rows(app)
    assert [(row["width"], row["position"]) for row in rows] == [(50, None), (60, None), (70, 0)]
    assert [picture["id"] for picture in data["pictures"]] == [rows[2]["id"]]
    # Orders may show the old ones, so their bytes stay.
    assert stored_files(settings) == sorted(row["sha256"] for row in rows)


def test_kept_pictures_come_first_in_the_order_given(app: Flask, client: FlaskClient) -> None:
    owner = make_user(app)
    headers = auth_headers(app, owner)
    good = release(app, client, owner, *[picture_bytes(width, 40) for width in (50, 60, 70)])
    first, second, third = (picture["id"] for picture in good["pictures"])

    def pictures(response: Any) -> list[int]:
        return [picture["id"] for picture in assert_envelope(response, Answer.GOOD_EDITED)["pictures"]]

    kept = client.patch(
        _url(good), headers=headers, **multipart(picture_bytes(80, 40), keep_pictures=f"{third},{first}")
    )
    shown = pictures(kept)
    assert shown[:2] == [third, first]
    assert len(shown) == 3
    assert [(row["id"], row["position"]) for row in picture_rows(app)] == [
        (first, 1),
        (second, None),
        (third, 0),
        (shown[2], 2),
    ]
    # Neither files nor keep_pictures: they stay, with PATCH and with PUT.
    assert pictures(client.patch(_url(good), json={"title": "新标题"}, headers=headers)) == shown
    assert pictures(client.put(_url(good), json=FORM, headers=headers)) == shown
    assert pictures(client.put(_url(good), json=FORM | {"keep_pictures": [first]}, headers=headers)) == [first]
    assert pictures(client.patch(_url(good), json={"keep_pictures": []}, headers=headers)) == []


@pytest.mark.parametrize(
    ("keep", "reason"),
    [
        ("999", "图片 999 不属于该商品"),
        ([-1], None),
        ("1,1", "图片重复"),
        ([1, 1], "图片重复"),
        ("1,x", None),
        ({"1": 1}, None),
        (None, None),
        (2**63, None),
    ],
)
def test_bad_keep_pictures(
    app: Flask, client: FlaskClient, settings: Settings, keep: object, reason: str | None
) -> None:
    owner = make_user(app)
    good = release(app, client, owner, picture_bytes())
    before = everything(app, settings)
    response = client.patch(
        _url(good), json={"title": "新标题", "keep_pictures": keep}, headers=auth_headers(app, owner)
    )
    errors = assert_envelope(response, Answer.EDIT_MALFORMED)["errors"]
    if reason is None:
        assert [name.partition(".")[0] for name in errors] == ["keep_pictures"]
    else:
        assert errors == {"keep_pictures": [reason]}
    assert everything(app, settings) == before


def test_pictures_of_others_and_pictures_taken_off_cannot_be_kept(
    app: Flask, client: FlaskClient, settings: Settings
) -> None:
    owner = make_user(app)
    headers = auth_headers(app, owner)
    good, other = release(app, client, owner, picture_bytes()), release(app, client, make_user(app), picture_bytes())
    (own,), (strange,) = good["pictures"], other["pictures"]
    assert_envelope(client.patch(_url(good), json={"keep_pictures": []}, headers=headers), Answer.GOOD_EDITED)
    before = everything(app, settings)
    response = client.patch(_url(good), json={"keep_pictures": [strange["id"], own["id"]]}, headers=headers)
    reasons = [f"图片 {strange['id']} 不属于该商品", f"图片 {own['id']} 不属于该商品"]
    assert_malformed(response, Answer.EDIT_MALFORMED, keep_pictures=reasons)
    assert everything(app, settings) == before


def test_kept_and_new_pictures_are_counted_together(app: Flask, client: FlaskClient, settings: Settings) -> None:
    owner = make_user(app)
    headers = auth_headers(app, owner)
    good = release(app, client, owner, *nine_pictures())
    ids = ",".join(str(picture["id"]) for picture in good["pictures"])
    before = everything(app, settings)
    response = client.patch(_url(good), headers=headers, **multipart(picture_bytes(99, 99), keep_pictures=ids))
    assert_malformed(response, Answer.EDIT_MALFORMED, pictures=["至多 9 张图片"])
    assert everything(app, settings) == before
    ids = ids.partition(",")[2]
    response = client.patch(_url(good), headers=headers, **multipart(picture_bytes(99, 99), keep_pictures=ids))
    assert len(assert_envelope(response, Answer.GOOD_EDITED)["pictures"]) == 9


def _refusals(client: FlaskClient, good: Any, headers: dict[str, str]) -> list[tuple[Any, Answer, str]]:
    """Every way to edit and to delete `good`, with the answer that a refusal has and the event it names."""
    return [
        (client.put(_url(good), headers=headers, **form_with(picture_bytes(33, 33))), Answer.EDIT_FAILED, "edit"),
        (client.patch(_url(good), json={"title": "新标题"}, headers=headers), Answer.EDIT_FAILED, "edit"),
        (client.delete(_url(good), headers=headers), Answer.DELETE_FAILED, "delete"),
    ]


class Obstacle(NamedTuple):
    """Why a good can neither be edited nor deleted: its columns, where its order stands, what the refusal says."""

    columns: dict[str, Any]
    order_at: OrderPhase | None
    good_status: int
    reason: str
    """`{doing}` is what was asked for."""
    allowed: list[str]


OBSTACLES = {
    "in trade": Obstacle({"status": GoodStatus.IN_TRADE}, AWAITING_PAYMENT, 3, "商品当前为“交易中”,不能{doing}", []),
    "an order is open": Obstacle({"status": GoodStatus.SOLD}, RECEIVED, 4, "商品还有未结束的订单", ["edit", "delete"]),
    "deleted": Obstacle({"deleted": True}, None, 2, "商品当前为“已删除”,不能{doing}", []),
}


@pytest.mark.parametrize("obstacle", OBSTACLES.values(), ids=OBSTACLES)
def test_what_stands_in_the_way(app: Flask, client: FlaskClient, settings: Settings, obstacle: Obstacle) -> None:
    owner = make_user(app)
    good = make_good(app, owner, **obstacle.columns)
    if obstacle.order_at:
        make_order(app, good, make_user(app), phase=obstacle.order_at)
    before = everything(app, settings)
    for response, answer, event in _refusals(client, good, auth_headers(app, owner)):
        assert assert_envelope(response, answer) == {
            "event": event,
            "good_status": obstacle.good_status,
            "deleted": obstacle.columns.get("deleted", False),
            "reasons": [obstacle.reason.format(doing={"edit": "编辑", "delete": "删除"}[event])],
            "allowed": obstacle.allowed,
        }
    assert everything(app, settings) == before


@pytest.mark.parametrize(
    ("method", "body", "answer", "column", "value"),
    [
        ("PATCH", {"title": "再卖"}, Answer.GOOD_EDITED, "edit_revision", 2),
        ("DELETE", None, Answer.GOOD_DELETED, "deleted", True),
    ],
)
def test_a_sold_good_is_free_once_its_order_is_closed(
    app: Flask, client: FlaskClient, method: str, body: Any, answer: Answer, column: str, value: object
) -> None:
    owner = make_user(app)
    good = make_good(app, owner, status=GoodStatus.SOLD)
    make_order(app, good, make_user(app), phase=SETTLED)
    assert_envelope(client.open(_url(good), method=method, json=body, headers=auth_headers(app, owner)), answer)
    assert row_of(app, good.id)[column] == value


@pytest.mark.parametrize("status", EDITABLE)
def test_delete(app: Flask, client: FlaskClient, settings: Settings, status: GoodStatus) -> None:
    owner = make_user(app)
    headers = auth_headers(app, owner)
    good = release(app, client, owner, picture_bytes())
    publish(app, good["id"], status=status)
    before, sent = row_of(app, good["id"]), messages(app)
    files, pictures = stored_files(settings), picture_rows(app)
    assert assert_envelope(client.delete(_url(good), headers=headers), Answer.GOOD_DELETED) is None
    changed = _changed(before, row_of(app, good["id"]))
    assert changed.pop("updated_at") > before["updated_at"]
    assert changed == {"deleted": True}
    assert messages(app) == [*sent, ("search_index", good["id"])]
    assert (stored_files(settings), picture_rows(app)) == (files, pictures)
    assert_envelope(client.get(f"/api/good/{good['id']}/"), Answer.NO_SUCH_GOOD)


def test_other_peoples_goods(app: Flask, client: FlaskClient, settings: Settings) -> None:
    good = make_good(app, make_user(app))
    before = everything(app, settings)
    for user in (make_user(app), make_user(app, staff=True)):
        headers = auth_headers(app, user)
        for response, _, _ in _refusals(client, good, headers):
            assert assert_envelope(response, Answer.NO_SUCH_GOOD) is None
        # Nobody learns from the answer to bad pictures that the good is there, nor makes us decode them.
        response = client.patch(_url(good), headers=headers, **multipart(b"text"))
        assert assert_envelope(response, Answer.NO_SUCH_GOOD) is None
    for response, _, _ in _refusals(client, good, {}):
        assert assert_envelope(response, Answer.LOGIN_REQUIRED) is None
    assert everything(app, settings) == before


def test_two_edits_at_once_are_two_revisions(app: Flask, client: FlaskClient) -> None:
    owner = make_user(app)
    headers = auth_headers(app, owner)
    good = release(app, client, owner, picture_bytes(50, 40))
    publish(app, good["id"], published_at=utcnow())
    sent = messages(app)

    def edit(width: int, **fields: Any) -> Any:
        return app.test_client().patch(_url(good), headers=headers, **multipart(picture_bytes(width, 40), **fields))

    first, second = at_once(lambda: edit(60, title="一"), lambda: edit(70, price="7"))
    for response in (first, second):
        assert_envelope(response, Answer.GOOD_EDITED)
    row = row_of(app, good["id"])
    assert (row["title"], row["revision"], row["edit_revision"], row["status"]) == (good["title"], 1, 3, 2)
    latest = revision_rows(app, good["id"])[-1]
    assert (latest["title"], latest["price"], latest["state"]) == ("一", 700, "in_review")
    # The later one replaced the earlier one's picture: never both, never none.
    shown, *others = picture_rows(app)
    assert (shown["position"], [each["position"] for each in others]) == (0, [None, None])
    assert [each["id"] for each in others if each["detached_at"] is None] == latest["picture_ids"]
    assert len(messages(app)) == len(sent) + 2


def test_deleting_twice_at_once_deletes_once(app: Flask, client: FlaskClient) -> None:
    owner = make_user(app)
    headers = auth_headers(app, owner)
    good = make_good(app, owner)
    statuses = at_once(*[lambda: app.test_client().delete(_url(good), headers=headers).status_code] * 5)
    assert sorted(statuses) == [200, 409, 409, 409, 409]
    assert messages(app) == [("search_index", good.id)]
