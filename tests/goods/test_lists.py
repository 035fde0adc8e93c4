"""Browsing what is for sale, and one's own goods."""

from datetime import timedelta

from flask import Flask
from flask.testing import FlaskClient

from app.answers import Answer
from app.clock import utcnow
from statemachine import GoodStatus, TradeMode
from tests.factories import Made, assert_envelope, auth_headers, make_good, make_user, picture_bytes
from tests.goods.steps import counting, publish, release


def _market(app: Flask) -> list[Made]:
    """Five goods for sale, oldest first, and one of each kind that is not."""
    owner = make_user(app)
    now = utcnow()
    goods = [
        make_good(
            app,
            owner,
            category=category,
            price=price,
            trade_mode=mode,
            freight=0,
            published_at=now - timedelta(hours=10 - number),
        )
        for number, (category, price, mode) in enumerate(
            [
                (1, 500, TradeMode.COURIER),
                (2, 300, TradeMode.FACE_TO_FACE),
                (1, 100, TradeMode.ANY),
                (1, 300, TradeMode.COURIER),
                (9, 900, TradeMode.COURIER),
            ]
        )
    ]
    for status in GoodStatus:
        make_good(app, owner, status=status, deleted=True)
        if status != GoodStatus.PUBLISHED:
            make_good(app, owner, status=status)
    return goods


def test_filters_and_sorts(app: Flask, client: FlaskClient) -> None:
    goods = _market(app)

    def numbers(query: str) -> list[int]:
        data = assert_envelope(client.get(f"/api/goods/{query}"), Answer.GOOD_FOUND)
        assert data["total"] == len(data["items"])
        return [[good.id for good in goods].index(item["id"]) for item in data["items"]]

    assert numbers("") == [4, 3, 2, 1, 0]
    assert numbers("?sort=newest") == [4, 3, 2, 1, 0]
    assert numbers("?sort=price_asc") == [2, 1, 3, 0, 4]
    assert numbers("?sort=price_desc") == [4, 0, 3, 1, 2]
    assert numbers("?category=1") == [3, 2, 0]
    assert numbers("?category=1&sort=price_asc") == [2, 3, 0]
    assert numbers("?trade_mode=6") == [2, 1]  # 不限 fits either way
    assert numbers("?trade_mode=7") == [4, 3, 2, 0]
    assert numbers("?trade_mode=7&category=9") == [4]
    assert numbers("?trade_mode=8") == [2]
    assert numbers("?price_min=3&price_max=5.00") == [3, 1, 0]
    assert numbers("?price_min=5.01") == [4]
    assert numbers("?category=&price_max=1") == [2]


def test_pages(app: Flask, client: FlaskClient) -> None:
    goods = _market(app)
    pages = [
        assert_envelope(client.get(f"/api/goods/?size=2&page={number}"), Answer.GOOD_FOUND) for number in (1, 2, 3, 4)
    ]
    assert [[item["id"] for item in page["items"]] for page in pages] == [
        [goods[4].id, goods[3].id],
        [goods[2].id, goods[1].id],
        [goods[0].id],
        [],
    ]
    for number, page in enumerate(pages, start=1):
        assert {name: page[name] for name in ("page", "size", "total", "pages")} == {
            "page": number,
            "size": 2,
            "total": 5,
            "pages": 3,
        }


def test_nothing_found(app: Flask, client: FlaskClient) -> None:
    _market(app)
    empty = {"items": [], "page": 1, "size": 20, "total": 0, "pages": 0}
    assert assert_envelope(client.get("/api/goods/?category=3"), Answer.NO_GOODS) == empty
    assert assert_envelope(client.get("/api/goods/?price_min=9&price_max=1"), Answer.NO_GOODS) == empty
    headers = auth_headers(app, make_user(app))
    assert assert_envelope(client.get("/api/my_goods/", headers=headers), Answer.NO_GOODS) == empty


def test_items_are_whole_goods_and_cost_no_query_each(app: Flask, client: FlaskClient) -> None:
    owner = make_user(app)
    for number in range(5):
        publish(app, release(app, client, owner, *[picture_bytes()] * number)["id"], published_at=utcnow())
    for url, headers in (("/api/goods/", {}), ("/api/my_goods/", auth_headers(app, owner))):
        with counting(app) as statements:
            data = assert_envelope(client.get(url, headers=headers), Answer.GOOD_FOUND)
        assert len(statements) == 2  # the count and the page
        assert [len(item["pictures"]) for item in data["items"]] == [4, 3, 2, 1, 0]
        for item in data["items"]:
            assert item.pop("edit", None) is None
            assert item == assert_envelope(client.get(f"/api/good/{item['id']}/"), Answer.GOOD_FOUND)


def test_own_goods(app: Flask, client: FlaskClient) -> None:
    owner, other = make_user(app), make_user(app)
    goods = [make_good(app, owner, status=status) for status in GoodStatus]
    make_good(app, owner, deleted=True)
    make_good(app, other)
    headers = auth_headers(app, owner)

    def ids(query: str) -> list[int]:
        data = assert_envelope(client.get(f"/api/my_goods/{query}", headers=headers), Answer.GOOD_FOUND)
        return [item["id"] for item in data["items"]]

    assert ids("") == [good.id for good in reversed(goods)]
    for status, good in zip(GoodStatus, goods, strict=True):
        assert ids(f"?good_status={status}") == [good.id]
    assert ids("?size=2&page=2") == [goods[2].id, goods[1].id]
    assert_envelope(client.get("/api/my_goods/"), Answer.LOGIN_REQUIRED)
