"""`GET /api/good/<id>/similar/`."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.answers import Answer
from app.search import service
from config import SearchEngine
from statemachine import GoodStatus
from tests.conftest import MakeApp
from tests.factories import Made, assert_envelope, make_good, make_user
from tests.search.steps import change_good, release

pytestmark = pytest.mark.usefixtures("no_index", "clean")


@pytest.fixture
def market(app: Flask) -> dict[str, Made]:
    """By name, goods of several sellers."""
    goods = {
        "13": ("九成新 苹果 iPhone 13 128G 国行", 1, 250_000),
        "13 too": ("苹果 iPhone 13 256G 自用", 1, 270_000),
        "13 dear": ("苹果 iPhone 13 全新", 1, 500_000),
        "12": ("苹果 iPhone 12 64G", 1, 240_000),
        "case": ("苹果 iPhone 13 手机壳", 2, 1_900),
        "lamp": ("宜家台灯", 5, 5_000),
        "bike": ("捷安特自行车", 7, 90_000),
    }
    made = {
        name: release(app, title, owner=make_user(app), category=category, price=price, description="无")
        for name, (title, category, price) in goods.items()
    }
    with app.app_context():
        service.drain_outbox()
    return made


def like(client: FlaskClient, good: Made, **query: Any) -> list[int]:
    response = client.get(f"/api/good/{good.id}/similar/", query_string=query)
    answer = Answer.GOOD_FOUND if response.get_json()["data"]["total"] else Answer.NO_GOODS
    data = assert_envelope(response, answer)
    assert data["total"] == len(data["items"])
    return [item["id"] for item in data["items"]]


@pytest.mark.parametrize("engine", list(SearchEngine))
def test_the_likest_come_first(make_app: MakeApp, market: dict[str, Made], engine: SearchEngine) -> None:
    client = make_app(SEARCH_ENGINE=engine).test_client()
    wanted = [market[name].id for name in ("13 too", "13 dear", "12", "case")]
    assert like(client, market["13"]) == wanted
    assert like(client, market["13"], size=2) == wanted[:2]
    assert like(client, market["case"])[-1] == market["12"].id
    assert like(client, market["lamp"]) == []


def test_what_is_sold_is_not_like_anything(app: Flask, client: FlaskClient, market: dict[str, Made]) -> None:
    change_good(app, market["13 too"], status=GoodStatus.SOLD)
    assert market["13 too"].id not in like(client, market["13"], size=2)
    assert len(like(client, market["13"], size=2)) == 2
    # Of a good that is sold others like it are of interest all the same.
    assert like(client, market["13 too"])[0] == market["13"].id


def test_of_what_nobody_sees_nothing_is_told(app: Flask, client: FlaskClient, market: dict[str, Made]) -> None:
    hidden = make_good(app, make_user(app), title="苹果 iPhone 13", status=GoodStatus.IN_REVIEW)
    for good_id in (hidden.id, 999_999, 0):
        assert_envelope(client.get(f"/api/good/{good_id}/similar/"), Answer.NO_SUCH_GOOD)


def test_without_an_index_nothing_is_like_it(app: Flask, client: FlaskClient) -> None:
    good = make_good(app, make_user(app), title="台灯")
    assert like(client, good) == []
