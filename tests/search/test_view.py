"""`GET /test/`."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from app.answers import Answer
from app.db.database import db
from app.search import service
from app.search.errors import IndexDamaged
from statemachine import GoodStatus
from tests.conftest import MakeApp
from tests.factories import Made, StatementCounter, assert_envelope, make_good, make_user
from tests.search.steps import announce, change_good, release

pytestmark = pytest.mark.usefixtures("no_index")


def drain(app: Flask) -> None:
    with app.app_context():
        service.drain_outbox()


def found(client: FlaskClient, q: str, **query: Any) -> Any:
    return assert_envelope(client.get("/test/", query_string={"q": q, **query}), Answer.GOOD_FOUND)


def found_ids(client: FlaskClient, q: str, **query: Any) -> list[int]:
    return [item["id"] for item in found(client, q, **query)["items"]]


def nothing(client: FlaskClient, q: str, **query: Any) -> Any:
    return assert_envelope(client.get("/test/", query_string={"q": q, **query}), Answer.NO_GOODS)


@pytest.fixture
def phones(app: Flask, clean: None) -> list[Made]:
    """Three phones and a lamp, drained."""
    owner = make_user(app, "卖家小王")
    goods = [
        release(app, "九成新 iPhone13 128G", owner=owner, price=258800, trade_mode=7),
        release(app, "蘋果手機 <b>13</b> Pro", owner=owner, price=458800, trade_mode=8),
        release(app, "iPhone 13 手机壳", owner=owner, price=1900, trade_mode=6, category=2),
        release(app, "台灯", owner=owner, price=5000, trade_mode=6, category=5),
    ]
    drain(app)
    return goods


EMPTY_PAGE: dict[str, Any] = {
    "items": [],
    "page": 1,
    "size": 20,
    "total": 0,
    "total_is_exact": True,
    "pages": 0,
    "facets": {"category": [], "trade_mode": [], "price": [], "condition": [], "free_shipping": 0},
    "match": "all",
    "understood": [],
    "next": None,
}


def test_one_hit_in_full(client: FlaskClient, phones: list[Made]) -> None:
    data = found(client, "ＩＰＨＯＮＥ　128")
    item = data.pop("items")[0]
    # Beside it two that match in part: another model, and a case.
    assert data == {
        "page": 1,
        "size": 20,
        "total": 3,
        "total_is_exact": True,
        "pages": 1,
        "facets": {
            "category": [
                {"code": 1, "text": "手机", "count": 2},
                {"code": 2, "text": "数码", "count": 1},
            ],
            "trade_mode": [
                {"code": 6, "text": "当面交易", "count": 2},
                {"code": 7, "text": "快递", "count": 2},
                {"code": 8, "text": "不限交易方式", "count": 1},
            ],
            "price": [
                {"price_min": "0.00", "price_max": "49.99", "count": 1},
                {"price_min": "2000.00", "price_max": "4999.99", "count": 2},
            ],
            "condition": [{"code": 3, "text": "轻微使用痕迹", "count": 1}],
            "free_shipping": 0,
        },
        "match": "all",
        "understood": [],
        "next": None,
    }
    assert item.pop("match") == "full"
    assert item.pop("highlight") == {
        "title": "九成新 <em>iPhone</em>13 <em>128</em>G",
        "description": "自用一年,无磕碰,配件齐全。",
    }
    plain = assert_envelope(client.get(f"/api/good/{phones[0].id}/"), Answer.GOOD_FOUND)
    assert item == plain


def test_both_forms_of_the_url(client: FlaskClient, phones: list[Made]) -> None:
    assert_envelope(client.get("/test?q=台灯"), Answer.GOOD_FOUND)
    assert_envelope(client.get("/test/?q=台灯"), Answer.GOOD_FOUND)
    assert_envelope(client.post("/test/", json={"q": "台灯"}), Answer.METHOD_NOT_ALLOWED)


def test_filters_sorts_pages_and_facets(client: FlaskClient, phones: list[Made]) -> None:
    first, second, third, _ = (good.id for good in phones)
    data = found(client, "苹果13", sort="price_asc")
    assert [item["id"] for item in data["items"]] == [third, first, second]
    assert data["facets"] == {
        "category": [{"code": 1, "text": "手机", "count": 2}, {"code": 2, "text": "数码", "count": 1}],
        "trade_mode": [
            {"code": 6, "text": "当面交易", "count": 2},
            {"code": 7, "text": "快递", "count": 2},
            {"code": 8, "text": "不限交易方式", "count": 1},
        ],
        "price": [
            {"price_min": "0.00", "price_max": "49.99", "count": 1},
            {"price_min": "2000.00", "price_max": "4999.99", "count": 2},
        ],
        "condition": [{"code": 3, "text": "轻微使用痕迹", "count": 1}],
        "free_shipping": 0,
    }
    assert found_ids(client, "苹果13", sort="price_desc") == [second, first, third]
    assert found_ids(client, "苹果13", sort="newest") == [third, second, first]
    assert found_ids(client, "苹果13", category=1, sort="newest") == [second, first]
    assert found_ids(client, "苹果13", trade_mode=6, sort="newest") == [third, second]
    assert found_ids(client, "苹果13", trade_mode=8) == [second]
    assert found_ids(client, "苹果13", price_min="19", price_max="2588.00", sort="price_asc") == [third, first]
    assert found_ids(client, "苹果13", price_min="19.01", price_max="4588", sort="price_asc") == [first, second]
    page = found(client, "苹果13", sort="price_asc", page=2, size=2)
    assert ([item["id"] for item in page["items"]], page["total"], page["pages"]) == ([second], 3, 2)


def test_beyond_the_last_page_there_is_a_total_and_no_goods(client: FlaskClient, phones: list[Made]) -> None:
    data = found(client, "苹果13", page=9)
    assert (data["items"], data["total"], data["page"]) == ([], 3, 9)


def test_nothing_found_is_100_with_an_empty_page(client: FlaskClient, phones: list[Made]) -> None:
    assert nothing(client, "潜水艇") == EMPTY_PAGE
    filtered = nothing(client, "台灯", price_min="50.01", price_max="60")
    dearer = {"price_min": "50.00", "price_max": "99.99", "count": 1}  # what another range would give
    assert filtered == {**EMPTY_PAGE, "facets": {**EMPTY_PAGE["facets"], "price": [dearer]}}
    assert nothing(client, "台灯", category=1)["facets"] == {
        **EMPTY_PAGE["facets"],
        "category": [{"code": 5, "text": "居家", "count": 1}],
    }


def test_a_corrected_query_is_labelled(client: FlaskClient, phones: list[Made]) -> None:
    data = found(client, "ihpone 13")
    assert (data["match"], data["corrected"], data["total"]) == ("corrected", "iphone 13", 2)
    assert "<em>iPhone13</em>" in data["items"][0]["highlight"]["title"]


def test_a_loosened_query_is_labelled(client: FlaskClient, phones: list[Made]) -> None:
    data = found(client, "台灯 宜家")
    assert (data["match"], data["total"], [item["id"] for item in data["items"]]) == ("any", 1, [phones[3].id])
    assert "corrected" not in data


def test_html_in_texts_is_escaped(app: Flask, client: FlaskClient) -> None:
    good = release(
        app, "<script>alert('手机')</script>", description='<img src=x onerror="alert(1)"> 手机 & ' + "很新" * 200
    )
    drain(app)
    (item,) = found(client, "手机")["items"]
    assert item["id"] == good.id
    assert item["highlight"]["title"] == "&lt;script&gt;alert(&#x27;<em>手机</em>&#x27;)&lt;/script&gt;"
    assert item["highlight"]["description"] == (
        "…img src=x onerror=&quot;alert(1)&quot;&gt; <em>手机</em> &amp; " + "很新" * 42 + "很…"
    )


@pytest.mark.parametrize(
    ("query", "field", "reason"),
    [
        ({}, "q", "必填"),
        ({"q": ""}, "q", "必填"),
        ({"q": " \u3000"}, "q", "不能为空"),
        ({"q": "\u200b"}, "q", "不能为空"),
        ({"q": "手" * 101}, "q", "至多 100 个字符"),
        ({"q": "手" * 10_000}, "q", "至多 100 个字符"),
        ({"q": "手机\x00"}, "q", "含有不允许的字符"),
        ({"q": "手机", "category": "10"}, "category", "不能大于 9"),
        ({"q": "手机", "category": "x"}, "category", "须为整数"),
        ({"q": "手机", "trade_mode": "5"}, "trade_mode", "不能小于 6"),
        ({"q": "手机", "sort": "best"}, "sort", "不在可选范围内"),
        ({"q": "手机", "price_min": "-1"}, "price_min", "金额须为不超过两位小数的数字"),
        ({"q": "手机", "price_max": "NaN"}, "price_max", "金额须为不超过两位小数的数字"),
        ({"q": "手机", "price_max": "1e9"}, "price_max", "金额须为不超过两位小数的数字"),
        ({"q": "手机", "price_min": "10", "price_max": "9.99"}, "price_max", "不能小于 price_min"),
        ({"q": "手机", "page": "0"}, "page", "不能小于 1"),
        ({"q": "手机", "size": "101"}, "size", "不能大于 100"),
    ],
)
def test_malformed_queries(client: FlaskClient, query: dict[str, str], field: str, reason: str) -> None:
    data = assert_envelope(client.get("/test/", query_string=query), Answer.MALFORMED)
    assert data == {"errors": {field: [reason]}}


@pytest.mark.parametrize(
    "q",
    [
        "!!!",
        "😀😀😀",
        "的" * 100,
        "a" * 100,
        "1" * 100,
        "שלום עולם",
        "مرحبا",
        "\ufffd\ufffe",
        "' OR 1=1 --",
        'title:"x" AND (NOT *)',
        "%00%ff",
        "a b c d e f g h i j k l m n o p q r s t u v w x y z 0 1 2 3 4 5 6 7 8 9",
        "手机" * 50,
        "𠮷野家𠮷",
        "ﷺ" * 30,
        "🏳️‍🌈",
    ],
)
def test_odd_queries_are_answered(client: FlaskClient, phones: list[Made], q: str) -> None:
    response = client.get("/test/", query_string={"q": q})
    assert_envelope(response, Answer.GOOD_FOUND if response.get_json()["data"]["total"] else Answer.NO_GOODS)


def test_bytes_that_are_no_utf8(client: FlaskClient, phones: list[Made]) -> None:
    assert_envelope(client.get("/test/?q=%ff%fe"), Answer.NO_GOODS)
    assert_envelope(client.get("/test/?q=%ED%A0%80"), Answer.NO_GOODS)


@pytest.mark.parametrize(
    "columns",
    [
        {"status": GoodStatus.IN_TRADE},
        {"status": GoodStatus.SOLD},
        {"status": GoodStatus.IN_REVIEW},
        {"deleted": True},
    ],
)
def test_what_the_index_does_not_know_yet_is_not_shown(
    app: Flask, client: FlaskClient, phones: list[Made], columns: dict[str, Any]
) -> None:
    change_good(app, phones[1], **columns)
    data = found(client, "苹果13", sort="price_asc", size=1)
    assert ([item["id"] for item in data["items"]], data["total"]) == ([phones[2].id], 3)  # not looked at yet
    data = found(client, "苹果13", sort="price_desc")
    assert ([item["id"] for item in data["items"]], data["total"]) == ([phones[0].id, phones[2].id], 2)
    assert [facet["count"] for facet in data["facets"]["trade_mode"]] == [1, 1]
    # Once seen, it is counted nowhere.
    data = found(client, "苹果13", sort="price_asc", size=1)
    assert ([item["id"] for item in data["items"]], data["total"], data["pages"]) == ([phones[2].id], 2, 2)


def test_a_page_stays_full_when_goods_on_it_are_gone(app: Flask, client: FlaskClient) -> None:
    owner = make_user(app)
    goods = [release(app, "台灯", owner=owner, price=100 + number) for number in range(10)]
    drain(app)
    for good in goods[0:5:2]:
        change_good(app, good, status=GoodStatus.SOLD)
    left = [good.id for good in goods if good not in goods[0:5:2]]
    first = found(client, "台灯", sort="price_asc", size=4)
    assert ([item["id"] for item in first["items"]], first["total"]) == (left[:4], 7)
    second = found(client, "台灯", sort="price_asc", size=4, page=2)
    assert ([item["id"] for item in second["items"]], second["total"]) == (left[4:], 7)


def test_when_all_hits_are_gone_nothing_is_found(app: Flask, client: FlaskClient, phones: list[Made]) -> None:
    change_good(app, phones[3], deleted=True)
    assert nothing(client, "台灯") == EMPTY_PAGE


def test_a_good_that_comes_back_is_found_again(app: Flask, client: FlaskClient, phones: list[Made]) -> None:
    change_good(app, phones[3], status=GoodStatus.IN_TRADE)
    nothing(client, "台灯")
    change_good(app, phones[3], status=GoodStatus.PUBLISHED)
    announce(app, phones[3].id)
    drain(app)
    assert found_ids(client, "台灯") == [phones[3].id]


def test_goods_that_keep_vanishing_are_left_out_after_a_few_looks(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = make_user(app)
    goods = [release(app, "台灯", owner=owner, price=100 + number) for number in range(6)]
    drain(app)
    for good in goods[:4]:
        change_good(app, good, status=GoodStatus.SOLD)
    monkeypatch.setattr(service, "_MAX_SEARCHES", 1)
    data = found(client, "台灯", sort="price_asc", size=5)
    assert ([item["id"] for item in data["items"]], data["total"]) == ([goods[4].id], 2)


def test_a_page_takes_one_statement(app: Flask, client: FlaskClient, phones: list[Made]) -> None:
    found(client, "苹果13")
    counter = StatementCounter()
    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", counter.on_execute)
    try:
        assert len(found_ids(client, "苹果13")) == 3
    finally:
        event.remove(engine, "before_cursor_execute", counter.on_execute)
    assert len(counter.statements) == 1


def test_searches_are_limited(make_app: MakeApp) -> None:
    client = make_app(RATE_LIMITS_ENABLED="1", RATE_LIMIT_SEARCH="3 per hour").test_client()
    for _ in range(3):
        nothing(client, "台灯")
    response = client.get("/test/", query_string={"q": "台灯"})
    assert assert_envelope(response, Answer.TOO_MANY_REQUESTS) is None
    assert 0 < int(response.headers["Retry-After"]) <= 3600


def test_without_an_index_nothing_is_found(app: Flask, client: FlaskClient) -> None:
    make_good(app, make_user(app), title="台灯")
    assert nothing(client, "台灯") == EMPTY_PAGE


@pytest.mark.usefixtures("leaking_whoosh")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_search_goes_on_while_the_index_is_damaged_and_it_is_rebuilt(
    app: Flask, client: FlaskClient, phones: list[Made]
) -> None:
    with app.app_context():
        index = service.search_index()
        for segment in index._current().glob("*.seg"):
            # Its directory stands at the end: it opens, and only what is read from it is wrong.
            whole = segment.read_bytes()
            segment.unlink()
            segment.write_bytes(whole[:12] + b"\xff" * (len(whole) // 2) + whole[12 + len(whole) // 2 :])
        app.extensions.pop("saltfish.search")
    assert found_ids(client, "台灯") == [phones[3].id]  # PostgreSQL answers
    with app.app_context(), pytest.raises(IndexDamaged, match="marked by a reader"):
        service.search_index().check()
    drain(app)
    assert found_ids(client, "台灯") == [phones[3].id]


def test_many_readers_while_the_drain_writes(app: Flask, client: FlaskClient, phones: list[Made]) -> None:
    def ask(_number: int) -> int:
        return found(app.test_client(), "苹果13")["total"]

    with ThreadPoolExecutor(4) as pool:
        totals = pool.map(ask, range(60))
        for number in range(5):
            release(app, f"台灯 {number}")
            drain(app)
        assert set(totals) == {3}
    assert found(client, "台灯")["total"] == 6


def test_what_a_query_was_taken_for_is_said_and_can_be_taken_back(client: FlaskClient, phones: list[Made]) -> None:
    first, _, case, _ = (good.id for good in phones)
    data = found(client, "出售 苹果13 2000以内")
    assert [(item["id"], item["match"]) for item in data["items"]] == [(case, "partial")]
    assert {"kind": "price_max", "text": "2000以内", "value": "2000.00"} in data["understood"]
    assert [each["text"] for each in data["understood"] if each["kind"] == "dropped"] == ["出售"]
    every = found(client, "出售 苹果13 2000以内", without="price_max")
    assert (every["items"][0]["id"], every["items"][0]["match"]) == (first, "full")
    assert "price_max" not in [each["kind"] for each in every["understood"]]


def test_a_query_can_be_meant_literally(client: FlaskClient, phones: list[Made]) -> None:
    data = found(client, "ihpone 13")
    assert {"kind": "typo", "text": "ihpone", "value": "iphone"} in data["understood"]
    literal = nothing(client, "ihpone", literal="true")
    assert (literal["total"], literal["understood"], "corrected" in literal) == (0, [], False)


def test_limits_that_there_are_not(client: FlaskClient) -> None:
    response = client.get("/test/", query_string={"q": "台灯", "without": "price_max,colour"})
    assert assert_envelope(response, Answer.MALFORMED) == {"errors": {"without.1": ["不在可选范围内"]}}
