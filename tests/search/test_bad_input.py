"""Queries that nobody means, and some that somebody means badly: each engine answers them, and clearly."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from app.answers import Answer
from app.search import service
from config import load_settings
from tests.applications import empty_stores, running_app
from tests.factories import assert_envelope
from tests.search.steps import release

LAMP = "九成新台灯 3档"


@pytest.fixture(scope="module", params=["whoosh", "postgres"])
def market(
    request: pytest.FixtureRequest, app: Flask, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Flask]:
    """A market with one lamp, searched with either engine."""
    folder = tmp_path_factory.mktemp("search")
    settings = load_settings({**environment, "SEARCH_ENGINE": request.param, "SEARCH_INDEX_PATH": str(folder)})
    with running_app(settings) as market:
        empty_stores(market)
        release(market, LAMP)
        with market.app_context():
            service.drain_outbox()
        yield market
        empty_stores(market)


def ask(market: Flask, **query: Any) -> Any:
    return market.test_client().get("/test/", query_string=query)


@pytest.mark.parametrize(
    "q",
    [
        *(
            "&",
            "|",
            "!",
            "<->",
            ":*",
            "'",
            '"',
            "\\",
            "''",
            "\\'",
            "()",
            "((((((",
            "灯 &",
            "& 灯 |",
            "!!!",
            "!台灯灯灯",
        ),
        *("'台' | '灯灯灯'", "a:*", "'a':A", "a <-> b", "%", "_", "%s", "%(query)s", "$1", ";--", "{}", "\x7f", "​"),
        *("🛋️", "😀😀😀", "ـ", "í" * 50, "灯" * 100, "1" * 100, "x" * 100, " ".join("abcdefghij" * 5)),
        " ".join("台灯衣裙鞋机书桌椅床"[number % 10] + "木" for number in range(33)),
    ],
)
def test_whatever_is_asked_there_is_an_answer(market: Flask, q: str) -> None:
    answer = ask(market, q=q)
    assert answer.status_code in {200, 422}, answer.text
    assert list(answer.get_json()) == ["status", "msg", "data"]


@pytest.mark.parametrize("q", [f"台灯 {sign} 3档" for sign in ("&", "|", "!", "<->", ":*", "'", "\\", "%", "(")])
def test_signs_of_query_languages_mean_nothing(market: Flask, q: str) -> None:
    assert [item["title"] for item in assert_envelope(ask(market, q=q), Answer.GOOD_FOUND)["items"]] == [LAMP]


@pytest.mark.parametrize(
    "query",
    [
        {"q": "灯" * 10_000},
        {"q": ""},
        {"q": "   "},
        {"q": "台\x00灯"},
        {"q": "台灯", "page": 10**9},
        {"q": "台灯", "page": 0},
        {"q": "台灯", "size": 10**9},
        {"q": "台灯", "price_min": "-1"},
        {"q": "台灯", "price_min": "9", "price_max": "8"},
        {"q": "台灯", "price_max": "1e999"},
        {"q": "台灯", "price_max": "9" * 400},
        {"q": "台灯", "price_max": "NaN"},
        {"q": "台灯", "category": 10**20},
        {"q": "台灯", "trade_mode": "x"},
        {"q": "台灯", "sort": "'; DROP TABLE goods"},
        {"q": "台灯", "sense": "none"},
    ],
    ids=lambda query: ",".join(f"{name}={str(value)[:12]}" for name, value in query.items()),
)
def test_what_cannot_be_answered_is_refused_in_words(market: Flask, query: dict[str, Any]) -> None:
    answer = ask(market, **query)
    body = answer.get_json()
    assert (answer.status_code, body["data"]["error"], list(body)) == (422, "MALFORMED", ["status", "msg", "data"])
