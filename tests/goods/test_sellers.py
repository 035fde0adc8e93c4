"""The categories for guests, and what one seller offers."""

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from app.account_data.service import delete_account_for_user
from app.answers import Answer
from app.categories import CATEGORY_TEXT
from app.clock import utcnow
from app.db.database import db
from app.goods import queries
from app.staff.service import suspend_user
from statemachine import GoodStatus
from tests.factories import Made, StatementCounter, assert_envelope, make_good, make_user

CATEGORIES = "/api/categories/"


def test_categories_for_guests(app: Flask, client: FlaskClient) -> None:
    owner = make_user(app)
    for category in (1, 1, 9):
        make_good(app, owner, category=category)
    make_good(app, owner, category=2, deleted=True)
    make_good(app, owner, category=2, status=GoodStatus.IN_REVIEW)
    response = client.get(CATEGORIES)
    counts = {1: 2, 9: 1}
    assert assert_envelope(response, Answer.CATEGORIES_FOUND) == [
        {
            "code": code,
            "text": CATEGORY_TEXT[code],
            "order": code,
            "goods_on_sale": counts.get(code, 0),
            "count_is_exact": True,
        }
        for code in range(1, 10)
    ]
    assert response.headers["Cache-Control"] == "public, max-age=60"
    unchanged = client.get(CATEGORIES, headers={"If-None-Match": response.headers["ETag"]})
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    make_good(app, owner, category=2)
    changed = client.get(CATEGORIES, headers={"If-None-Match": response.headers["ETag"]})
    assert assert_envelope(changed, Answer.CATEGORIES_FOUND)[1]["goods_on_sale"] == 1


def test_many_goods_are_counted_as_so_many_at_least(context: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the statement's own limit the rows that are read stay few, however many there are."""
    owner = make_user(context)
    for _ in range(3):
        make_good(context, owner, category=3)
    monkeypatch.setattr(queries, "COUNTED_EXACTLY", 2)
    found = queries.categories()[2]
    assert (found["goods_on_sale"], found["count_is_exact"]) == (2, False)
    monkeypatch.setattr(queries, "COUNTED_EXACTLY", 3)
    found = queries.categories()[2]
    assert (found["goods_on_sale"], found["count_is_exact"]) == (3, True)
    assert str(queries._CATEGORIES).count("LIMIT") == 9


@pytest.fixture
def shop(app: Flask) -> tuple[Made, dict[str, list[int]]]:
    """A seller with goods in every state, and somebody else's; the ids by state, newest first."""
    seller, other = make_user(app), make_user(app)
    now = utcnow()
    found: dict[str, list[int]] = {}
    for status in GoodStatus:
        for hours in (3, 1, 2):  # the newest is not the one with the highest id
            public = status not in (GoodStatus.IN_REVIEW, GoodStatus.REJECTED)
            good = make_good(
                app,
                seller,
                status=status,
                published_at=now - timedelta(hours=hours) if public else None,
                category=hours,
            )
            found.setdefault(status.name, []).append(good.id)
        found[status.name] = [found[status.name][number] for number in (1, 2, 0)]
    make_good(app, seller, deleted=True)
    make_good(app, seller, taken_down=True, takedown_cause="staff")
    make_good(app, other)
    return seller, found


def ids(client: FlaskClient, url: str) -> list[int]:
    data = assert_envelope(client.get(url), Answer.GOOD_FOUND)
    return [item["id"] for item in data["items"]]


def test_the_goods_of_a_seller(client: FlaskClient, shop: tuple[Made, dict[str, list[int]]]) -> None:
    seller, goods = shop
    for url in (f"/api/goods/?owner={seller.id}", f"/api/user/{seller.id}/goods/"):
        data = assert_envelope(client.get(url), Answer.GOOD_FOUND)
        assert [item["id"] for item in data["items"]] == goods["PUBLISHED"]
        assert {name: data[name] for name in ("page", "size", "total", "pages")} == {
            "page": 1,
            "size": 20,
            "total": 3,
            "pages": 1,
        }
        for item in data["items"]:
            assert item == assert_envelope(client.get(f"/api/good/{item['id']}/"), Answer.GOOD_FOUND)
        joined = "&" if "?" in url else "?"
        assert ids(client, f"{url}{joined}size=2&page=2") == goods["PUBLISHED"][2:]
    owned = f"/api/goods/?owner={seller.id}"
    assert ids(client, f"{owned}&category=2") == [goods["PUBLISHED"][1]]
    assert ids(client, f"{owned}&sort=price_asc") == sorted(goods["PUBLISHED"])
    assert ids(client, f"/api/user/{seller.id}/goods/?good_status=3") == goods["IN_TRADE"]
    assert ids(client, f"/api/user/{seller.id}/goods?good_status=4") == goods["SOLD"]


@pytest.mark.parametrize("status", ["1", "5", "6", "x", "2.0"])
def test_what_is_not_public_cannot_be_asked_for(
    client: FlaskClient, shop: tuple[Made, dict[str, list[int]]], status: str
) -> None:
    seller, _ = shop
    data = assert_envelope(client.get(f"/api/user/{seller.id}/goods/?good_status={status}"), Answer.MALFORMED)
    reason = "不在可选范围内" if status.isdecimal() else "须为整数"
    assert data == {"errors": {"good_status": [reason]}}


def test_sellers_who_are_not_there(app: Flask, client: FlaskClient) -> None:
    empty = {"items": [], "page": 1, "size": 20, "total": 0, "pages": 0}
    idle, gone, suspended = make_user(app), make_user(app), make_user(app)
    for user in (gone, suspended):
        make_good(app, user)
    staff = make_user(app, staff=True)
    with app.app_context():
        delete_account_for_user(user_id=gone.id, by="laowang", why="来函要求")
        suspend_user(actor_id=staff.id, user_id=suspended.id, reason="违规交易", until=None)
    for user in (idle, suspended):  # as browsing treats the suspended: they are there, and offer nothing
        for url in (f"/api/goods/?owner={user.id}", f"/api/user/{user.id}/goods/"):
            assert assert_envelope(client.get(url), Answer.NO_GOODS) == empty
    for user_id in (gone.id, 999_999):
        for url in (f"/api/goods/?owner={user_id}", f"/api/user/{user_id}/goods/", f"/api/user/{user_id}/"):
            assert assert_envelope(client.get(url), Answer.NO_SUCH_USER) is None
    assert_envelope(client.get("/api/user/x/goods/"), Answer.NO_SUCH_USER)
    for owner in ("0", "-1", "x", "9" * 30):
        data = assert_envelope(client.get(f"/api/goods/?owner={owner}"), Answer.MALFORMED)
        assert list(data["errors"]) == ["owner"]


def test_it_costs_two_statements_by_the_index(app: Flask, client: FlaskClient) -> None:
    seller = make_user(app)
    for _ in range(2):
        make_good(app, seller)
    for url in (f"/api/goods/?owner={seller.id}", f"/api/user/{seller.id}/goods/"):
        counter = StatementCounter()
        with app.app_context():
            event.listen(db.engine, "before_cursor_execute", counter.on_execute)
            try:
                assert_envelope(client.get(url), Answer.GOOD_FOUND)
            finally:
                event.remove(db.engine, "before_cursor_execute", counter.on_execute)
            assert len(counter.statements) == 2
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
        plan = connection.exec_driver_sql(
            "EXPLAIN SELECT id FROM goods WHERE status = 2 AND NOT deleted AND NOT taken_down AND owner_id = 7 "
            "ORDER BY published_at DESC, id DESC LIMIT 20"
        ).scalars()
        text = "\n".join(plan)
        assert ("ix_goods_owner_id_published_at" in text, "Sort" in text) == (True, False)
