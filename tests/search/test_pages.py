"""`GET /test/` page by page: cursors, what is published and sold between two pages, sellers and facets over HTTP."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.answers import Answer
from app.clock import utcnow
from app.search import service
from config import SearchEngine
from statemachine import GoodStatus
from tests.conftest import MakeApp
from tests.factories import Made, assert_envelope, make_user
from tests.search.steps import change_good, release

pytestmark = pytest.mark.usefixtures("no_index", "clean")


def drain(app: Flask) -> None:
    with app.app_context():
        service.drain_outbox()


def found(client: FlaskClient, **query: Any) -> Any:
    return assert_envelope(client.get("/test/", query_string={"q": "台灯", **query}), Answer.GOOD_FOUND)


def wrong(client: FlaskClient, **query: Any) -> Any:
    response = client.get("/test/", query_string={"q": "台灯", **query})
    return assert_envelope(response, Answer.MALFORMED)["errors"]


def lamps(app: Flask, count: int) -> list[Made]:
    owner = make_user(app)
    goods = [release(app, f"台灯 {number}", owner=owner, price=1000 + number) for number in range(count)]
    drain(app)
    return goods


@pytest.mark.parametrize("engine", list(SearchEngine))
@pytest.mark.parametrize("sort", ["relevance", "newest", "price_asc", "price_desc"])
def test_nothing_repeats_and_nothing_hides_while_goods_come_and_go(
    make_app: MakeApp, sort: str, engine: SearchEngine
) -> None:
    app = make_app(SEARCH_ENGINE=engine)
    client = app.test_client()
    goods = lamps(app, 9)
    first = found(client, sort=sort, size=3)
    shown = [item["id"] for item in first["items"]]
    waiting = [good for good in goods if good.id not in shown]
    change_good(app, waiting[0], status=GoodStatus.SOLD)
    change_good(app, goods[shown[0] - goods[0].id], status=GoodStatus.SOLD)
    for number in range(3):
        release(app, f"新台灯 {number}", price=1, published_at=utcnow() + timedelta(seconds=2))
    drain(app)
    cursor = first["next"]
    while cursor is not None:
        after = found(client, sort=sort, size=3, cursor=cursor)
        shown += [item["id"] for item in after["items"]]
        cursor = after["next"]
    assert sorted(shown) == sorted({good.id for good in goods} - {waiting[0].id})
    assert found(client, sort=sort)["total"] == 10  # a new search has the new ones


def test_the_last_page_has_no_next_and_pages_by_number_have_one(app: Flask, client: FlaskClient) -> None:
    lamps(app, 5)
    second = found(client, size=2, page=2)
    assert (second["page"], second["pages"], second["total"]) == (2, 3, 5)
    third = found(client, size=2, cursor=second["next"])
    assert third["items"] == found(client, size=2, page=3)["items"]
    assert (third["next"], found(client)["next"]) == (None, None)


def test_a_cursor_is_of_its_search(app: Flask, client: FlaskClient) -> None:
    lamps(app, 5)
    cursor = found(client, size=2)["next"]
    assert found(client, size=3, cursor=cursor)["next"] is None  # the size may change
    other = ["cursor 属于另一次搜索,其他参数须与当时相同"]
    assert wrong(client, cursor=cursor, sort="newest") == {"cursor": other}
    assert wrong(client, cursor=cursor, price_max="1000") == {"cursor": other}
    assert wrong(client, cursor=cursor, q="台灯 1") == {"cursor": other}
    none = ["不是本接口给出的 cursor"]
    for forged in ("x", cursor[:-1], f"{cursor}x", cursor.partition(".")[0], f".{cursor}", "\u0001", "é"):
        assert wrong(client, cursor=forged) == {"cursor": none}
    assert wrong(client, cursor="x" * 4001) == {"cursor": ["至多 4000 个字符"]}
    assert wrong(client, cursor=cursor, page=2) == {"cursor": ["cursor 与 page 只能给出一个"]}


def test_pages_reach_so_far(app: Flask, client: FlaskClient) -> None:
    lamps(app, 1)
    assert found(client, page=500, size=20)["items"] == []
    assert wrong(client, page=501, size=20) == {"page": ["按页至多翻到第 10000 件,请用 cursor,或缩小范围"]}
    assert wrong(client, page=10**9) == {"page": ["不能大于 10000"]}


def test_condition_and_freight_filter(app: Flask, client: FlaskClient) -> None:
    owner = make_user(app)
    new = release(app, "全新台灯", owner=owner, freight=0)
    used = release(app, "九成新台灯", owner=owner, freight=800)
    drain(app)
    facets = found(client)["facets"]
    assert facets["condition"] == [
        {"code": 1, "text": "全新", "count": 1},
        {"code": 3, "text": "轻微使用痕迹", "count": 1},
    ]
    assert facets["free_shipping"] == 1
    assert [item["id"] for item in found(client, condition=3)["items"]] == [used.id]
    assert [item["id"] for item in found(client, free_shipping="true")["items"]] == [new.id]
    assert wrong(client, condition=6) == {"condition": ["不能大于 5"]}


def test_sellers_stand_apart_and_their_standing_counts(app: Flask, client: FlaskClient) -> None:
    one, other = make_user(app), make_user(app)
    mine = [release(app, "台灯", owner=one).id for _ in range(3)]
    theirs = release(app, "台灯", owner=other).id
    drain(app)
    app.extensions.pop("saltfish.standings", None)
    assert [item["id"] for item in found(client)["items"]] == [theirs, mine[2], mine[1], mine[0]]
    assert [item["match"] for item in found(client)["items"]] == ["full"] * 4
