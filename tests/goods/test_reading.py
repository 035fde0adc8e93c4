"""Who may read which good, and what that costs."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert

from app.answers import Answer
from app.clock import format_moment, utcnow
from app.db.database import db
from app.goods import queries
from app.goods.models import Verdict
from statemachine import GoodStatus
from tests.factories import assert_envelope, auth_headers, make_good, make_order, make_user, picture_bytes
from tests.goods.steps import counting, publish, release, without_links

PUBLIC = [GoodStatus.PUBLISHED, GoodStatus.IN_TRADE, GoodStatus.SOLD]
HIDDEN = [GoodStatus.IN_REVIEW, GoodStatus.REJECTED]


def test_the_good(app: Flask, client: FlaskClient) -> None:
    owner = make_user(app, "老王")
    released = release(app, client, owner, picture_bytes(80, 60), picture_bytes(30, 40))
    now = utcnow()
    publish(app, released["id"], published_at=now, updated_at=now)
    data = assert_envelope(client.get(f"/api/good/{released['id']}/"), Answer.GOOD_FOUND)
    assert data == released | {
        "pictures": without_links(released["pictures"]),
        "good_status": 2,
        "good_status_text": "已发布",
        "published_at": format_moment(now),
        "updated_at": format_moment(now),
    }
    first, second = (picture["id"] for picture in released["pictures"])
    assert data["pictures"] == [
        {"id": first, "url": f"/api/pic/{first}/", "width": 80, "height": 60},
        {"id": second, "url": f"/api/pic/{second}/", "width": 30, "height": 40},
    ]
    assert list(data) == [
        *("id", "title", "description", "price", "original_price", "freight", "category", "category_text"),
        *("trade_mode", "trade_mode_text", "good_status", "good_status_text"),
        *("revision", "owner", "pictures"),
        *("published_at", "updated_at"),
    ]
    assert_envelope(client.get(f"/api/good/{released['id']}"), Answer.GOOD_FOUND)


@pytest.mark.parametrize("status", PUBLIC)
def test_everybody_sees_a_public_good(app: Flask, client: FlaskClient, status: GoodStatus) -> None:
    owner = make_user(app)
    good = make_good(app, owner, status=status)
    for headers in ({}, auth_headers(app, owner), auth_headers(app, make_user(app))):
        data = assert_envelope(client.get(f"/api/good/{good.id}/", headers=headers), Answer.GOOD_FOUND)
        assert (data["id"], data["good_status"]) == (good.id, status)


@pytest.mark.parametrize(
    ("status", "deleted"),
    [(status, False) for status in HIDDEN] + [(status, True) for status in GoodStatus if status != 3],
)
def test_a_hidden_good_exists_for_its_owner_and_staff(
    app: Flask, client: FlaskClient, status: GoodStatus, deleted: bool
) -> None:
    owner, stranger, staff, buyer = make_user(app), make_user(app), make_user(app, staff=True), make_user(app)
    good = make_good(app, owner, status=status, deleted=deleted)
    make_order(app, good, buyer)
    url = f"/api/good/{good.id}/"
    for headers in ({}, auth_headers(app, stranger), auth_headers(app, buyer)):
        assert assert_envelope(client.get(url, headers=headers), Answer.NO_SUCH_GOOD) is None
    for headers in (auth_headers(app, owner), auth_headers(app, staff)):
        assert assert_envelope(client.get(url, headers=headers), Answer.GOOD_FOUND)["id"] == good.id


def test_a_token_that_is_wrong_is_refused(app: Flask, client: FlaskClient) -> None:
    good = make_good(app, make_user(app))
    response = client.get(f"/api/good/{good.id}/", headers={"Authorization": "Bearer no.such.token"})
    assert assert_envelope(response, Answer.TOKEN_INVALID) is None


def test_a_good_costs_one_statement(app: Flask, client: FlaskClient) -> None:
    owner = make_user(app)
    good = release(app, client, owner, *[picture_bytes()] * 9)
    url = f"/api/good/{good['id']}/"
    headers = auth_headers(app, owner)
    with counting(app) as statements:
        assert_envelope(client.get(url, headers=headers), Answer.GOOD_FOUND)
    assert len(statements) == 1  # hidden, read by its owner
    publish(app, good["id"])
    for options in ({}, {"headers": headers}, {"headers": auth_headers(app, make_user(app))}):
        with counting(app) as statements:
            assert_envelope(client.get(url, **options), Answer.GOOD_FOUND)
        assert len(statements) == 1
    with counting(app) as statements:
        assert_envelope(client.get("/api/good/999/"), Answer.NO_SUCH_GOOD)
    assert len(statements) == 1


def test_own_good_with_what_moderation_found(app: Flask, client: FlaskClient) -> None:
    owner = make_user(app)
    good = make_good(app, owner, status=GoodStatus.REJECTED, revision=3)
    machine = {"hits": [], "rules_version": "1", "by_staff": False}
    old = {"kind": "text", "subject": "title", "passed": True, "reasons": [], "state": "passed", **machine}
    present = [
        {"kind": "text", "subject": "title", "passed": True, "reasons": [], "state": "passed", **machine},
        {
            "kind": "picture",
            "subject": "picture:7",
            "passed": False,
            "state": "rejected",
            "reasons": ["图片无法解码"],
            **machine,
        },
    ]
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(
            insert(Verdict),
            [
                {"good_id": good.id, "revision": revision, "created_at": utcnow(), **verdict}
                for revision, verdict in [(2, old), *((3, verdict) for verdict in present)]
            ],
        )
    headers = auth_headers(app, owner)
    url = f"/api/good_edit/{good.id}/"
    with counting(app) as statements:
        data = assert_envelope(client.get(url, headers=headers), Answer.GOOD_FOUND)
    assert len(statements) == 3  # two of them look for prices of such things elsewhere: there are none
    assert data.pop("price_reference")["enough"] is False
    told = {"text": "", "appeal": None, "may_appeal": True}
    assert data.pop("verification") == {"state": "failed", "revision": 3, "verdicts": present, **told}
    assert data.pop("approved") is None
    assert data.pop("taken_down") is False
    assert data == assert_envelope(client.get(f"/api/good/{good.id}/", headers=headers), Answer.GOOD_FOUND)


@pytest.mark.parametrize(
    ("status", "state"), list(zip(GoodStatus, ["pending", "passed", "passed", "passed", "failed"], strict=True))
)
def test_state_of_verification(app: Flask, client: FlaskClient, status: GoodStatus, state: str) -> None:
    owner = make_user(app)
    good = make_good(app, owner, status=status)
    data = assert_envelope(
        client.get(f"/api/good_edit/{good.id}/", headers=auth_headers(app, owner)), Answer.GOOD_FOUND
    )
    assert data["verification"] == {
        "state": state,
        "revision": 1,
        "verdicts": [],
        "text": "",
        "appeal": None,
        "may_appeal": state == "failed",
    }


def test_only_its_owner_gets_a_good_to_edit(app: Flask, client: FlaskClient) -> None:
    good = make_good(app, make_user(app))
    url = f"/api/good_edit/{good.id}/"
    for user in (make_user(app), make_user(app, staff=True)):
        assert assert_envelope(client.get(url, headers=auth_headers(app, user)), Answer.NO_SUCH_GOOD) is None
    assert assert_envelope(client.get(url), Answer.LOGIN_REQUIRED) is None


def test_goods_by_ids(app: Flask, client: FlaskClient) -> None:
    owner = make_user(app)
    first, second = make_good(app, owner), release(app, client, owner, picture_bytes())
    publish(app, second["id"])
    hidden = [make_good(app, owner, status=status) for status in GoodStatus if status != GoodStatus.PUBLISHED]
    deleted = make_good(app, owner, deleted=True)
    asked = [second["id"], 999, *(good.id for good in hidden), deleted.id, first.id, first.id]
    with app.app_context(), counting(app) as statements:
        found = queries.goods_by_ids(asked)
        assert queries.goods_by_ids([]) == {}
    assert len(statements) == 2
    expected = {
        good_id: assert_envelope(client.get(f"/api/good/{good_id}/"), Answer.GOOD_FOUND)
        for good_id in (first.id, second["id"])
    }
    assert found == expected
