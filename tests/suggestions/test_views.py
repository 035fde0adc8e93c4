"""`GET /api/suggest/`, `GET /api/hot_queries/`, and what staff see and ban."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis.exceptions import ConnectionError as ValkeyGone
from sqlalchemy import select, update

from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from app.extensions import valkey
from app.suggestions import counters, service
from app.suggestions.models import QueryCount, SearchedQuery
from tests.conftest import MakeApp
from tests.factories import assert_envelope, auth_headers, make_good, make_user

pytestmark = pytest.mark.usefixtures("clean", "fresh")


@pytest.fixture
def fresh(app: Flask) -> Iterator[None]:
    """The process has loaded no completions yet."""
    app.extensions.pop("saltfish.completions", None)
    yield
    app.extensions.pop("saltfish.completions", None)


def search(client: FlaskClient, q: str, *, times: int = 1, network: int = 0) -> None:
    """Search so often, each time from another network."""
    for number in range(times):
        address = {"REMOTE_ADDR": f"10.0.{network}.{number + 1}"}
        assert client.get("/test/", query_string={"q": q}, environ_overrides=address).status_code == 200


def count_up(app: Flask) -> None:
    with app.app_context():
        service.count_up()


def rebuild(app: Flask) -> int:
    with app.app_context():
        return service.rebuild_completions()


def texts(client: FlaskClient, url: str) -> list[str]:
    response = client.get(url)
    answered = assert_envelope(
        response, Answer.SUGGESTIONS_FOUND if response.get_json()["data"]["total"] else Answer.NO_SUGGESTIONS
    )
    assert answered["total"] == len(answered["items"])
    return [item["text"] for item in answered["items"]]


def hot(client: FlaskClient) -> list[str]:
    return texts(client, "/api/hot_queries/")


def found(client: FlaskClient, q: str, *, times: int) -> None:
    """As `search`, of a query that has hits: what nobody finds is not hot."""
    for number in range(times):
        with client.application.app_context():
            service.count_search(text=q, client=f"10.1.0.{number + 1}", found=True)


def query_counts(app: Flask) -> list[tuple[Any, ...]]:
    with app.app_context(), db.engine.connect() as connection:
        columns = (QueryCount.text, QueryCount.searches, QueryCount.clicks, QueryCount.without_hit)
        return [tuple(row) for row in connection.execute(select(*columns).order_by(QueryCount.text))]


def test_phrases_of_several_sellers_complete(app: Flask, client: FlaskClient) -> None:
    one, other = make_user(app), make_user(app)
    for owner in (one, other):
        make_good(app, owner, title="羽绒服 男")
        make_good(app, owner, title="羽绒服")
    make_good(app, one, title="羽绒被")  # of one seller alone
    assert rebuild(app) == 2
    assert texts(client, "/api/suggest/?q=yurong") == ["羽绒服", "羽绒服 男"]
    assert texts(client, "/api/suggest/?q=羽绒f&size=1") == ["羽绒服"]
    assert texts(client, "/api/suggest/?q=大象") == []


def test_without_completions_there_are_none(client: FlaskClient) -> None:
    assert texts(client, "/api/suggest/?q=手") == []


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        ("", {"q": ["必填"]}),
        ("q=%20", {"q": ["不能为空"]}),
        ("q=手%00", {"q": ["含有不允许的字符"]}),
        ("q=手&size=0", {"size": ["不能小于 1"]}),
        ("q=手&size=21", {"size": ["不能大于 20"]}),
    ],
)
def test_malformed(client: FlaskClient, query: str, errors: dict[str, list[str]]) -> None:
    assert assert_envelope(client.get(f"/api/suggest/?{query}"), Answer.MALFORMED) == {"errors": errors}


def test_completions_are_limited(make_app: MakeApp) -> None:
    client = make_app(RATE_LIMITS_ENABLED="1", RATE_LIMIT_SUGGEST="2 per hour").test_client()
    for _ in range(2):
        assert_envelope(client.get("/api/suggest/?q=手"), Answer.NO_SUGGESTIONS)
    assert_envelope(client.get("/api/suggest/?q=手"), Answer.TOO_MANY_REQUESTS)


def test_a_query_is_hot_once_several_clients_searched_for_it(app: Flask, client: FlaskClient) -> None:
    found(client, "民谣 吉他", times=5)
    found(client, "尤克里里", times=4)
    for _ in range(9):
        found(client, "一个人反复搜", times=1)
    count_up(app)
    assert hot(client) == ["民谣 吉他"]
    assert query_counts(app) == [("民谣 吉他", 5, 0, 0)]
    found(client, "尤克里里", times=6)
    count_up(app)
    assert hot(client) == ["尤克里里", "民谣 吉他"]
    assert query_counts(app) == [("尤克里里", 10, 0, 0), ("民谣 吉他", 5, 0, 0)]


def test_one_form_counts_of_a_query(app: Flask, client: FlaskClient) -> None:
    found(client, "ＩＰＨＯＮＥ  13", times=3)
    found(client, "iPhone 13", times=5)
    found(client, "很长" * 21, times=9)
    count_up(app)
    assert query_counts(app) == [("iphone 13", 8, 0, 0)]


def test_searches_over_http_are_counted_without_who(app: Flask, client: FlaskClient) -> None:
    search(client, "潜水艇", times=5)
    for page in ("2", "3"):
        client.get("/test/", query_string={"q": "潜水艇", "page": page})
    count_up(app)
    assert query_counts(app) == [("潜水艇", 5, 0, 5)]
    assert hot(client) == []  # nobody found anything
    with app.app_context():
        kept = "".join(f"{key} {valkey().type(key)}" for key in valkey().scan_iter("queries:*"))
    assert "10.0.0" not in kept


def test_clicks_count_twice_and_only_of_what_was_searched_for(app: Flask, client: FlaskClient) -> None:
    found(client, "台灯", times=5)
    found(client, "书桌", times=6)
    for _ in range(3):
        assert_envelope(client.post("/api/search_click/", json={"q": "台灯"}), Answer.CLICK_COUNTED)
    assert_envelope(client.post("/api/search_click/", json={"q": "没人搜过"}), Answer.CLICK_COUNTED)
    assert_envelope(client.post("/api/search_click/", json={"q": "长" * 50}), Answer.CLICK_COUNTED)
    count_up(app)
    assert hot(client) == ["台灯", "书桌"]
    assert query_counts(app) == [("书桌", 6, 0, 0), ("台灯", 5, 3, 0)]


def test_heat_halves_in_two_days_and_old_counts_go(app: Flask, client: FlaskClient) -> None:
    found(client, "台灯", times=8)
    found(client, "书桌", times=5)
    count_up(app)

    def let_pass(text: str, time: timedelta) -> None:
        with app.app_context(), db.engine.begin() as connection:
            # Its counters in Valkey are older, too, than any that is read.
            connection.execute(update(QueryCount).where(QueryCount.text == text).values(hour=QueryCount.hour - time))
            valkey().zrem(counters._key(counters.hour_of(utcnow()), "searches"), text)

    assert hot(client) == ["台灯", "书桌"]
    let_pass("台灯", timedelta(days=2))
    count_up(app)
    assert hot(client) == ["书桌", "台灯"]
    let_pass("书桌", timedelta(days=15))
    count_up(app)
    assert hot(client) == ["台灯"]
    assert [row[0] for row in query_counts(app)] == ["台灯"]


def test_counting_up_again_changes_nothing(app: Flask, client: FlaskClient) -> None:
    found(client, "台灯", times=5)
    count_up(app)
    before = query_counts(app)
    count_up(app)
    assert query_counts(app) == before == [("台灯", 5, 0, 0)]


def test_an_hour_counts_so_many_different_queries(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counters, "MOST_QUERIES", 2)
    for q in ("台灯", "书桌", "沙发", "台灯"):
        found(client, q, times=5)
    count_up(app)
    assert query_counts(app) == [("书桌", 5, 0, 0), ("台灯", 10, 0, 0)]


def test_what_the_check_of_texts_objects_to_is_shown_to_nobody(app: Flask, client: FlaskClient) -> None:
    for q in ("加微信 wx12345678", "13800138000", "台灯"):
        found(client, q, times=6)
    count_up(app)
    assert hot(client) == ["台灯"]
    rebuild(app)
    assert texts(client, "/api/suggest/?q=加") == []
    assert texts(client, "/api/suggest/?q=138") == []
    assert texts(client, "/api/suggest/?q=taid") == ["台灯"]


def test_staff_ban_a_query_and_allow_it_again(app: Flask, client: FlaskClient) -> None:
    staff = make_user(app, staff=True)
    headers = auth_headers(app, staff)
    found(client, "台灯", times=6)
    found(client, "护眼台灯", times=5)
    count_up(app)
    rebuild(app)
    assert texts(client, "/api/suggest/?q=台") == ["台灯"]
    banned = assert_envelope(
        client.post("/api/staff/ban_query/", json={"text": " 台灯", "reason": "引战"}, headers=headers),
        Answer.QUERY_BANNED,
    )
    assert {name: banned[name] for name in ("text", "state", "searches")} == {
        "text": "台灯",
        "state": "banned",
        "searches": 6,
    }
    assert hot(client) == ["护眼台灯"]
    app.extensions.pop("saltfish.completions")
    assert texts(client, "/api/suggest/?q=台") == texts(client, "/api/suggest/?q=护") == []
    count_up(app)
    rebuild(app)
    assert hot(client) == ["护眼台灯"]
    listed = assert_envelope(client.get("/api/staff/queries/?state=banned", headers=headers), Answer.QUERIES_FOUND)
    assert [item["text"] for item in listed["items"]] == ["台灯"]
    allowed = client.post("/api/staff/allow_query/", json={"text": "台灯", "reason": "误判"}, headers=headers)
    assert assert_envelope(allowed, Answer.QUERY_ALLOWED)["state"] == "allowed"
    assert hot(client) == ["台灯", "护眼台灯"]


def test_staff_may_ban_what_nobody_searched_for_yet(app: Flask, client: FlaskClient) -> None:
    headers = auth_headers(app, make_user(app, staff=True))
    client.post("/api/staff/ban_query/", json={"text": "外挂", "reason": "违规"}, headers=headers)
    found(client, "外挂", times=9)
    count_up(app)
    assert hot(client) == []
    nothing = client.post(
        "/api/staff/ban_query/", json={"text": "字" * 40 + "\u200b", "reason": "违规"}, headers=headers
    )
    assert assert_envelope(nothing, Answer.QUERY_BANNED)["text"] == "字" * 40
    too_long = client.post("/api/staff/ban_query/", json={"text": "㎏" * 40, "reason": "违规"}, headers=headers)
    assert assert_envelope(too_long, Answer.MALFORMED) == {"errors": {"text": ["不是可以搜索的词"]}}


def test_staff_see_what_nobody_found(app: Flask, client: FlaskClient) -> None:
    headers = auth_headers(app, make_user(app, staff=True))
    assert_envelope(client.get("/api/staff/queries/", headers=headers), Answer.NO_QUERIES)
    search(client, "潜水艇", times=5)
    found(client, "台灯", times=5)
    count_up(app)
    listed = assert_envelope(client.get("/api/staff/queries/?sort=without_hit", headers=headers), Answer.QUERIES_FOUND)
    assert [(item["text"], item["without_hit"]) for item in listed["items"]] == [("潜水艇", 5), ("台灯", 0)]
    unfound, lamp = (item["heat"] for item in listed["items"])
    assert unfound == 0
    assert 4 <= lamp <= 5  # the hour of the searches began up to an hour ago


def test_without_valkey_searches_are_answered_and_not_counted(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(**_arguments: object) -> None:
        raise ValkeyGone

    monkeypatch.setattr(counters, "count_search", gone)
    search(client, "台灯")
    count_up(app)
    assert query_counts(app) == []


def test_newer_completions_are_loaded_beside_the_request(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(client, "台灯", times=5)
    count_up(app)
    rebuild(app)
    assert texts(client, "/api/suggest/?q=t") == ["台灯"]
    found(client, "台历", times=9)
    count_up(app)
    rebuild(app)
    assert texts(client, "/api/suggest/?q=t") == ["台灯"]  # for half a minute
    loaded = app.extensions["saltfish.completions"]
    monkeypatch.setattr(loaded, "_every", 0.0)
    texts(client, "/api/suggest/?q=t")
    monkeypatch.setattr(loaded, "_every", 60.0)
    with loaded._lock:  # until it is loaded
        pass
    assert texts(client, "/api/suggest/?q=t") == ["台历", "台灯"]
    with app.app_context(), db.engine.connect() as connection:
        assert connection.execute(select(SearchedQuery.text).order_by(SearchedQuery.text)).scalars().all() == [
            "台历",
            "台灯",
        ]
