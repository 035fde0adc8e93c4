"""Saving a search, and hearing of new goods that fit."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from app.account_data.service import delete_account_for_user
from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from app.extensions import valkey
from app.saved_searches import service
from app.saved_searches.models import SavedSearch, SavedSearchHit
from statemachine import GoodStatus
from tests.conftest import MakeApp
from tests.factories import Made, assert_envelope, auth_headers, make_good, make_user
from tests.notifications.steps import told
from tests.search.steps import change_good

pytestmark = pytest.mark.usefixtures("clean")

URL = "/api/saved_search/"


@pytest.fixture
def user(app: Flask) -> Made:
    return make_user(app, "买家小李")


def save(app: Flask, user: Made, q: str, **fields: Any) -> Any:
    response = app.test_client().post(URL, json={"q": q, **fields}, headers=auth_headers(app, user))
    return assert_envelope(response, Answer.SEARCH_SAVED)


def publish(app: Flask, title: str, *, owner: Made | None = None, **columns: Any) -> Made:
    """A good that has just become public."""
    return make_good(app, owner or make_user(app), title=title, **{"published_at": utcnow(), **columns})


def match(app: Flask) -> int:
    with app.app_context():
        return service.match_new_goods()


def tell(app: Flask) -> int:
    with app.app_context():
        return service.tell_of_finds()


def found_for(client: FlaskClient, app: Flask, user: Made, search: Any) -> list[int]:
    response = client.get(f"{URL}{search['id']}/goods/", headers=auth_headers(app, user))
    answer = Answer.GOOD_FOUND if response.get_json()["data"]["total"] else Answer.NO_GOODS
    return [item["id"] for item in assert_envelope(response, answer)["items"]]


def texts(app: Flask, user: Made) -> list[str]:
    return [line.text for line in told(app, user.id)]


def test_saved_searches_are_made_listed_changed_and_deleted(app: Flask, client: FlaskClient, user: Made) -> None:
    headers = auth_headers(app, user)
    assert_envelope(client.get(URL, headers=headers), Answer.NO_SAVED_SEARCHES)
    saved = save(app, user, " iPhone 13 ", category=1, price_min="100", price_max="3000.50", trade_mode=7)
    assert saved.pop("created_at").endswith("+08:00")
    assert saved == {
        "id": saved["id"],
        "q": "iPhone 13",
        "category": 1,
        "category_text": "手机",
        "price_min": "100.00",
        "price_max": "3000.50",
        "trade_mode": 7,
        "trade_mode_text": "快递",
        "notify": True,
        "goods": 0,
    }
    plain = save(app, user, "台灯")
    assert {name: plain[name] for name in ("category", "category_text", "price_min", "trade_mode_text")} == {
        "category": None,
        "category_text": None,
        "price_min": None,
        "trade_mode_text": None,
    }
    listed = assert_envelope(client.get(URL, headers=headers), Answer.SAVED_SEARCHES_FOUND)
    assert ([item["q"] for item in listed["items"]], listed["total"]) == (["台灯", "iPhone 13"], 2)
    url = f"{URL}{saved['id']}/"
    changed = client.patch(url, json={"notify": False}, headers=headers)
    assert assert_envelope(changed, Answer.SAVED_SEARCH_EDITED)["notify"] is False
    assert assert_envelope(client.get(url, headers=headers), Answer.SAVED_SEARCHES_FOUND)["notify"] is False
    assert assert_envelope(client.delete(url, headers=headers), Answer.SAVED_SEARCH_DELETED) is None
    assert_envelope(client.get(url, headers=headers), Answer.NO_SUCH_SAVED_SEARCH)
    assert_envelope(client.delete(url, headers=headers), Answer.NO_SUCH_SAVED_SEARCH)
    assert assert_envelope(client.get(URL, headers=headers), Answer.SAVED_SEARCHES_FOUND)["total"] == 1


def test_the_same_search_is_saved_once(app: Flask, client: FlaskClient, user: Made) -> None:
    first = save(app, user, "台灯", category=5)
    again = save(app, user, "台灯", category=5, notify=False)
    assert (again["id"], again["notify"]) == (first["id"], False)
    assert save(app, user, "台灯")["id"] != first["id"]
    assert save(app, make_user(app), "台灯", category=5)["id"] != first["id"]


def test_a_user_saves_so_many(make_app: MakeApp, clean: None) -> None:
    app = make_app(SAVED_SEARCHES_LIMIT="2")
    user = make_user(app)
    for q in ("台灯", "书桌", "台灯"):
        save(app, user, q)
    full = app.test_client().post(URL, json={"q": "沙发"}, headers=auth_headers(app, user))
    assert_envelope(full, Answer.TOO_MANY_SAVED_SEARCHES)


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, {"q": ["必填"]}),
        ({"q": "!!!"}, {"q": ["没有可以搜索的词"]}),
        ({"q": "台灯", "price_min": "10", "price_max": "9.99"}, {"price_max": ["不能小于 price_min"]}),
        ({"q": "台灯", "category": 10}, {"category": ["不能大于 9"]}),
    ],
)
def test_malformed(
    app: Flask, client: FlaskClient, user: Made, body: dict[str, Any], errors: dict[str, list[str]]
) -> None:
    response = client.post(URL, json=body, headers=auth_headers(app, user))
    assert assert_envelope(response, Answer.MALFORMED) == {"errors": errors}


@pytest.mark.parametrize(
    ("q", "filters", "title", "columns", "fits"),
    [
        ("苹果13", {}, "九成新 iPhone13 128G", {}, True),  # a synonym, and glued
        ("苹果13", {}, "iPhone 12", {}, False),
        ("羽絨服", {}, "羽绒服 男", {}, True),
        ("台灯", {}, "书桌", {"description": "送一个台灯"}, True),
        ("台灯 宜家", {}, "台灯", {}, False),  # only full hits are news
        ("台灯", {"category": 5}, "台灯", {"category": 5}, True),
        ("台灯", {"category": 5}, "台灯", {"category": 8}, False),
        ("台灯", {"price_max": "50"}, "台灯", {"price": 5000}, True),
        ("台灯", {"price_max": "50"}, "台灯", {"price": 5001}, False),
        ("台灯", {"price_min": "50"}, "台灯", {"price": 4999}, False),
        ("台灯", {"trade_mode": 6}, "台灯", {"trade_mode": 8}, True),
        ("台灯", {"trade_mode": 6}, "台灯", {"trade_mode": 7}, False),
        ("台灯", {}, "台灯", {"status": GoodStatus.IN_REVIEW}, False),
        ("台灯", {}, "台灯", {"deleted": True}, False),
    ],
)
def test_what_fits(
    app: Flask,
    client: FlaskClient,
    user: Made,
    q: str,
    filters: dict[str, Any],
    title: str,
    columns: dict[str, Any],
    fits: bool,
) -> None:
    search = save(app, user, q, **filters)
    good = publish(app, title, **columns)
    assert match(app) == int(fits)
    assert found_for(client, app, user, search) == ([good.id] if fits else [])


def test_a_good_is_told_once_whatever_becomes_of_it(app: Flask, client: FlaskClient, user: Made) -> None:
    search = save(app, user, "台灯")
    good = publish(app, "宜家台灯")
    assert (match(app), tell(app)) == (1, 1)
    assert texts(app, user) == ["「台灯」有新商品:「宜家台灯」"]
    change_good(app, good, published_at=utcnow(), price=100)
    assert (match(app), tell(app)) == (0, 0)
    headers = auth_headers(app, user)
    [told_of] = client.get("/api/notifications/", headers=headers).get_json()["data"]["items"]
    assert {name: told_of[name] for name in ("kind", "event", "saved_search_id", "order_id")} == {
        "kind": "search",
        "event": "saved_search",
        "saved_search_id": search["id"],
        "order_id": None,
    }
    assert assert_envelope(client.get(URL, headers=headers), Answer.SAVED_SEARCHES_FOUND)["items"][0]["goods"] == 1


def test_neither_own_goods_nor_older_ones_are_news(app: Flask, user: Made) -> None:
    publish(app, "旧台灯")
    save(app, user, "台灯")
    publish(app, "自己的台灯", owner=user)
    assert match(app) == 0


def test_what_is_found_within_an_hour_is_told_together(app: Flask, client: FlaskClient, user: Made) -> None:
    search = save(app, user, "台灯")
    publish(app, "台灯一")
    assert (match(app), tell(app)) == (1, 1)
    goods = [publish(app, f"台灯{number}") for number in "二三四五"]
    assert (match(app), tell(app)) == (4, 0)
    change_good(app, goods[3], status=GoodStatus.SOLD)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(SavedSearch).values(told_at=SavedSearch.told_at - timedelta(hours=1)))
    assert (tell(app), tell(app)) == (1, 0)
    assert texts(app, user)[1:] == ["「台灯」有 3 件新商品:「台灯四」「台灯三」「台灯二」"]
    assert len(found_for(client, app, user, search)) == 4


def test_what_is_sold_before_it_is_told_is_not_told(app: Flask, user: Made) -> None:
    save(app, user, "台灯")
    good = publish(app, "台灯")
    assert match(app) == 1
    change_good(app, good, taken_down=True, takedown_cause="staff")
    assert tell(app) == 0
    change_good(app, good, taken_down=False, takedown_cause=None)
    assert (match(app), tell(app)) == (0, 0)
    assert texts(app, user) == []


def test_switched_off_it_finds_and_does_not_tell(app: Flask, client: FlaskClient, user: Made) -> None:
    search = save(app, user, "台灯", notify=False)
    good = publish(app, "台灯")
    assert (match(app), tell(app)) == (1, 0)
    assert found_for(client, app, user, search) == [good.id]
    client.patch(f"{URL}{search['id']}/", json={"notify": True}, headers=auth_headers(app, user))
    assert (tell(app), texts(app, user)) == (0, [])
    publish(app, "新台灯")
    assert (match(app), tell(app)) == (1, 1)
    assert texts(app, user) == ["「台灯」有新商品:「新台灯」"]


def test_several_users_and_searches_at_once(app: Flask, user: Made) -> None:
    other = make_user(app)
    for who, q in ((user, "台灯"), (user, "宜家 台灯"), (other, "台灯"), (other, "书桌")):
        save(app, who, q)
    publish(app, "宜家台灯")
    publish(app, "书桌")
    assert (match(app), tell(app)) == (4, 4)
    assert (len(texts(app, user)), len(texts(app, other))) == (2, 2)


def test_what_was_committed_late_is_found_by_the_next_run(app: Flask, user: Made) -> None:
    save(app, user, "台灯")
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(SavedSearch).values(created_at=SavedSearch.created_at - timedelta(hours=2)))
    assert match(app) == 0
    publish(app, "台灯", published_at=utcnow() - timedelta(minutes=9))
    assert match(app) == 1
    publish(app, "台灯", published_at=utcnow() - timedelta(minutes=11))
    assert match(app) == 0
    with app.app_context():
        valkey().delete("saved-searches:matched-until")
    assert match(app) == 1  # nobody knows how far it came: a day is looked at


def test_others_searches_do_not_exist(app: Flask, client: FlaskClient, user: Made) -> None:
    search = save(app, user, "台灯")
    headers = auth_headers(app, make_user(app))
    url = f"{URL}{search['id']}/"
    for answer in (
        client.get(url, headers=headers),
        client.get(f"{url}goods/", headers=headers),
        client.patch(url, json={"notify": False}, headers=headers),
        client.delete(url, headers=headers),
    ):
        assert_envelope(answer, Answer.NO_SUCH_SAVED_SEARCH)


def test_a_deleted_search_takes_its_finds_along(app: Flask, client: FlaskClient, user: Made) -> None:
    search = save(app, user, "台灯")
    publish(app, "台灯")
    match(app)
    client.delete(f"{URL}{search['id']}/", headers=auth_headers(app, user))
    with app.app_context(), db.engine.connect() as connection:
        assert connection.execute(select(SavedSearchHit.good_id)).all() == []
    assert (match(app), tell(app)) == (0, 0)


def test_saved_searches_are_exported_and_go_with_the_account(app: Flask, client: FlaskClient, user: Made) -> None:
    search = save(app, user, "台灯", price_max="50", category=5)
    kept = save(app, make_user(app), "台灯")
    publish(app, "台灯", price=100, category=5)
    assert match(app) == 2
    headers = auth_headers(app, user)
    exported = client.get("/api/user/export/", headers=headers).get_json()["data"]["saved_searches"]
    assert exported == [
        {
            "q": "台灯",
            "category": 5,
            "price_min": None,
            "price_max": "50.00",
            "trade_mode": None,
            "notify": True,
            "created_at": search["created_at"],
        }
    ]
    with app.app_context():
        delete_account_for_user(user_id=user.id, by="operator", why="asked for it")
    with app.app_context(), db.engine.connect() as connection:
        assert connection.execute(select(SavedSearch.id)).scalars().all() == [kept["id"]]
        assert connection.execute(select(SavedSearchHit.search_id)).scalars().all() == [kept["id"]]
