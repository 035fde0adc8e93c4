"""The URLs of reference prices."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.answers import Answer
from app.categories import Category
from app.clock import utcnow
from app.listings.importer import import_manifest
from tests.conftest import MakeApp
from tests.factories import assert_envelope, auth_headers, make_good, make_user, whole_database
from tests.goods.steps import counting
from tests.listings.feeds import feed_of, listing

URL = "/api/price_reference/"
CHART = "/api/price_reference/chart/"
PRICES = [250000, 254000, 258000, 260000, 262000, 266000, 270000, 274000, 280000]


@pytest.fixture
def market(app: Flask, client: FlaskClient, tmp_path: Path) -> FlaskClient:
    """A client of a place where nine of a phone were seen an hour ago."""
    seen = (utcnow() - timedelta(hours=1)).isoformat(timespec="seconds")
    lines = [
        listing(number, price_fen=price, fetched_at=seen, published_at=seen) for number, price in enumerate(PRICES)
    ]
    with app.app_context():
        import_manifest(feed_of(tmp_path, lines).manifest)
    return client


def asked(client: FlaskClient, answer: Answer, **query: Any) -> Any:
    """The data of what is answered so."""
    return assert_envelope(client.get(URL, query_string=query), answer)


def test_a_reference_for_anybody(market: FlaskClient) -> None:
    data = asked(market, Answer.PRICES_FOUND, title="iPhone 13 128G 自用", category="1")
    assert (data["enough"], data["count"], data["needed"]) == (True, 9, 8)
    assert data["prices"]["median"] == "2620.00"
    assert (data["prices"]["lower_quartile"], data["prices"]["upper_quartile"]) == ("2580.00", "2700.00")
    assert [week["count"] for week in data["prices"]["weeks"]] == [0, 0, 0, 0, 0, 0, 0, 9]
    assert data["basis"]["terms"] == ["iphone13", "苹果", "128g"]
    assert asked(market, Answer.PRICES_FOUND, title="iPhone 13 128G 自用") == data


def test_too_few_prices_are_said_to_be(market: FlaskClient) -> None:
    data = asked(market, Answer.TOO_FEW_PRICES, title="iPhone 14")
    assert (data["enough"], data["count"], data["needed"], data["prices"]) == (False, 0, 8, None)
    assert data["basis"]["terms"] == ["iphone14"]
    assert data["basis"]["updated_at"] is None


MALFORMED: list[tuple[dict[str, str], str]] = [
    ({}, "title"),
    ({"title": ""}, "title"),
    ({"title": "   "}, "title"),
    ({"title": "机" * 101}, "title"),
    ({"title": "手机\x00"}, "title"),
    ({"title": "手机", "category": "0"}, "category"),
    ({"title": "手机", "category": "10"}, "category"),
    ({"title": "手机", "category": "手机"}, "category"),
    ({"title": "手机", "category": "1.0"}, "category"),
    ({"title": "手机", "condition": "0"}, "condition"),
    ({"title": "手机", "condition": "6"}, "condition"),
    ({"title": "手机", "condition": "几乎全新"}, "condition"),
]


@pytest.mark.parametrize("url", [URL, CHART])
@pytest.mark.parametrize(("query", "field"), MALFORMED)
def test_malformed_questions(app: Flask, market: FlaskClient, url: str, query: dict[str, str], field: str) -> None:
    before = whole_database(app)
    data = assert_envelope(market.get(url, query_string=query), Answer.MALFORMED)
    assert list(data["errors"]) == [field]
    assert whole_database(app) == before


def test_asking_changes_nothing(app: Flask, market: FlaskClient) -> None:
    before = whole_database(app)
    asked(market, Answer.PRICES_FOUND, title="iPhone 13")
    market.get(CHART, query_string={"title": "iPhone 13"})
    assert whole_database(app) == before


def test_a_long_title_is_looked_for_like_any(market: FlaskClient) -> None:
    data = asked(market, Answer.PRICES_FOUND, title="iPhone 13 128G " + "自用" * 42)
    assert data["prices"]["median"] == "2620.00"


# --- the chart ---


def svg_of(client: FlaskClient, title: str) -> ET.Element:
    """The picture for the title."""
    response = client.get(CHART, query_string={"title": title})
    assert (response.status_code, response.mimetype) == (200, "image/svg+xml")
    assert response.headers["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    assert response.headers["Content-Disposition"] == "inline"
    assert response.headers["Cache-Control"] == "no-store"
    return ET.fromstring(response.text)  # noqa: S314 - drawn by ourselves


def test_the_chart_shows_the_same(market: FlaskClient) -> None:
    told = "".join(svg_of(market, "iPhone 13 128G").itertext())
    assert "iPhone 13 128G" in told
    assert "2,620" in told


def test_the_chart_says_what_was_compared(market: FlaskClient) -> None:
    data = asked(market, Answer.PRICES_FOUND, title="iPhone 13 128G 99新")
    assert data["notes"][0] == "几乎全新的不够多,比较了各种成色"
    told = "".join(svg_of(market, "iPhone 13 128G 99新").itertext())
    assert [note for note in data["notes"] if note not in told] == []


def test_the_chart_says_when_there_are_too_few(market: FlaskClient) -> None:
    told = "".join(svg_of(market, "iPhone 14").itertext())
    assert "数据不足" in told
    assert "只找到 0 件可比商品,至少需要 8 件" in told


def test_a_title_is_no_markup(market: FlaskClient) -> None:
    drawn = svg_of(market, 'iPhone 13 <script>alert(1)</script> & "x"')
    assert not any(element.tag.endswith("script") for element in drawn.iter())
    assert "<script>" in "".join(drawn.itertext())


# --- the owner's view of a good ---


def test_the_owner_sees_the_reference_of_a_good(app: Flask, market: FlaskClient) -> None:
    owner = make_user(app)
    good = make_good(app, owner, title="自用 iPhone 13 128G", category=Category.PHONE)
    url = f"/api/good_edit/{good.id}/"
    headers = auth_headers(app, owner)
    with counting(app) as statements:
        data = assert_envelope(market.get(url, headers=headers), Answer.GOOD_FOUND)
    assert data["price_reference"] == asked(market, Answer.PRICES_FOUND, title=good.title, category="1")
    assert len(statements) == 3


def test_where_there_is_none_the_owner_sees_the_good(app: Flask, client: FlaskClient) -> None:
    owner = make_user(app)
    good = make_good(app, owner, title="👍")
    data = assert_envelope(
        client.get(f"/api/good_edit/{good.id}/", headers=auth_headers(app, owner)), Answer.GOOD_FOUND
    )
    assert (data["title"], data["price_reference"]["enough"], data["price_reference"]["prices"]) == ("👍", False, None)


def test_nobody_else_sees_it_with_the_good(app: Flask, market: FlaskClient) -> None:
    good = make_good(app, make_user(app))
    data = assert_envelope(market.get(f"/api/good/{good.id}/"), Answer.GOOD_FOUND)
    assert "price_reference" not in data


def test_questions_are_limited(make_app: MakeApp) -> None:
    client = make_app(RATE_LIMITS_ENABLED="1", RATE_LIMIT_PRICE_REFERENCE="2 per hour").test_client()
    for _ in range(2):
        asked(client, Answer.TOO_FEW_PRICES, title="台灯")
    response = client.get(URL, query_string={"title": "台灯"})
    assert assert_envelope(response, Answer.TOO_MANY_REQUESTS) is None
    assert 0 < int(response.headers["Retry-After"]) <= 3600
