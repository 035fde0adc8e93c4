"""What is taken into a reference price and what is not."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert

from app.categories import Category
from app.db.transactions import transaction
from app.language.service import analyser
from app.listings.importer import import_manifest
from app.listings.models import Listing
from app.listings.queries import Reference, find_reference, price_reference
from app.listings.statistics import Confidence
from app.listings.terms import listing_terms, part_of, part_term
from tests.goods.steps import counting
from tests.listings.feeds import BEGAN, feed_of, listing
from tests.settings import settings_with

pytestmark = pytest.mark.usefixtures("context")

NOW = BEGAN + timedelta(hours=1)
TITLE = "iPhone 13 128G 自用"
PRICES = [250000, 254000, 258000, 260000, 262000, 266000, 270000, 274000, 280000]


def phones(prices: list[int] = PRICES, *, first: int = 1, **changes: Any) -> list[dict[str, Any]]:
    """Listings of the phone at these prices, numbered from `first` on."""
    return [listing(first + number, price_fen=price, **changes) for number, price in enumerate(prices)]


def bring(folder: Path, *lines: dict[str, Any], **columns: Any) -> None:
    """Import a run that brought these."""
    report = import_manifest(feed_of(folder / columns.get("run_id", "run-1"), lines, **columns).manifest)
    assert (report.rejected, report.damaged) == (0, [])


def found(title: str = TITLE, *, category: int | None = None, **later: float) -> Reference:
    """The reference of the title, so much later than everything was seen."""
    return find_reference(title=title, category=category, now=NOW + timedelta(**later))


def median(title: str = TITLE, **asked: Any) -> int | None:
    """Its median."""
    summary = found(title, **asked).summary
    return None if summary is None else summary.median


def test_a_reference(tmp_path: Path) -> None:
    bring(tmp_path, *phones(), *phones([2900], first=50, title="iPhone 13 128G 看图"))
    assert price_reference(title=TITLE, category=Category.PHONE, now=NOW) == {
        "enough": True,
        "count": 9,
        "needed": 8,
        "prices": {
            "median": "2620.00",
            "lower_quartile": "2580.00",
            "upper_quartile": "2700.00",
            "typical_low": "2532.00",
            "typical_high": "2752.00",
            "margin_low": "2540.00",
            "margin_high": "2740.00",
            "histogram": [
                {"low": "2500.00", "high": "2550.00", "count": 2},
                {"low": "2550.00", "high": "2600.00", "count": 1},
                {"low": "2600.00", "high": "2650.00", "count": 2},
                {"low": "2650.00", "high": "2700.00", "count": 1},
                {"low": "2700.00", "high": "2750.00", "count": 2},
                {"low": "2750.00", "high": "2800.00", "count": 0},
                {"low": "2800.00", "high": "2850.00", "count": 1},
            ],
            "weeks": [
                *(
                    {"begins": f"2026-{day}", "median": None, "count": 0}
                    for day in ("09-07", "09-14", "09-21", "09-28")
                ),
                *({"begins": f"2026-{day}", "median": None, "count": 0} for day in ("10-05", "10-12", "10-19")),
                {"begins": "2026-10-26", "median": "2620.00", "count": 9},
            ],
            "trend": {"direction": "unknown", "percent": None, "text": "无法判断"},
            "confidence": "low",
            "confidence_text": "低",
        },
        "basis": {
            "terms": ["iphone13", "苹果", "128g"],
            "ignored": [],
            "days": 90,
            "sampled": False,
            "removed": {
                "accessory": 0,
                "rental": 0,
                "wanted": 0,
                "auction": 0,
                "service": 0,
                "broken": 0,
                "advertisement": 0,
                "outlier": 1,
            },
            "updated_at": "2026-11-01T10:00:00+08:00",
            "recent": 9,
            "condition": None,
            "coupons": {"count": 0, "median_off": None},
        },
        "supply": None,
        "notes": ["最新数据 2026-11-01,近 7 天内见过 9 件"],
    }


def test_below_the_limit_there_is_none(app: Flask, tmp_path: Path) -> None:
    bring(tmp_path, *phones(PRICES[:7]))
    reference = found()
    assert (reference.summary, reference.count, reference.needed) == (None, 7, 8)
    assert (reference.terms, reference.ignored) == (("iphone13",), ("苹果", "128g"))
    with settings_with(app, price_reference_least=7):
        assert median() == 260000


def test_outliers_do_not_make_it_enough(tmp_path: Path) -> None:
    bring(tmp_path, *phones([*PRICES[:7], 100, 9999900]))
    reference = found()
    assert (reference.summary, reference.count) == (None, 7)
    assert reference.removed == {"outlier": 2}


@pytest.mark.parametrize("title", ["👍", "自用 包邮", "  全新  ", "苹果 全新"])
def test_a_title_that_says_nothing_has_none(app: Flask, tmp_path: Path, title: str) -> None:
    bring(tmp_path, *phones())
    with counting(app) as statements:
        reference = found(title)
    assert (reference.summary, reference.count, reference.terms) == (None, 0, ())
    assert statements == []


def test_a_model_is_never_given_up(tmp_path: Path) -> None:
    bring(tmp_path, *phones(), *phones(first=30, title="iPhone 13 Pro 128G"))
    assert median("iPhone 13 128G") == 262000
    for title in ("iPhone 14 128G", "iPhone 13 mini 128G", "iPhone 13 Pro Max 128G", "小米 13"):
        assert found(title).count == 0


def test_too_few_of_a_size_are_filled_up_with_other_sizes(tmp_path: Path) -> None:
    bring(tmp_path, *phones(), *phones([320000, 321000], first=30, title="iPhone 13 512G 国行"))
    large = found("iPhone 13 512G")
    assert large.summary is not None
    assert (large.count, large.terms, large.ignored) == (11, ("iphone13", "苹果"), ("512g",))
    assert median("iPhone 13 128G") == 262000


def test_each_step_less_lowers_the_confidence(tmp_path: Path) -> None:
    prices = [258000 + 300 * number for number in range(40)]
    bring(tmp_path, *phones(prices))
    confidence = [
        reference.summary.confidence
        for title in ("iPhone 13 128G", "iPhone 13 512G", "iPhone 13 美版 esim 512G")
        if (reference := found(title)).summary is not None
    ]
    assert confidence == [Confidence.HIGH, Confidence.MEDIUM, Confidence.LOW]


def test_another_category_does_not_count_an_unknown_one_does(tmp_path: Path) -> None:
    lines = [*phones(PRICES[:5]), *phones(PRICES[5:], first=20, category=None)]
    bring(tmp_path, *lines, *phones([262000] * 9, first=40, category="数码"))
    assert median(category=Category.PHONE) == 262000
    assert found(category=Category.DIGITAL).count == 13
    assert found(category=None).count == 18
    assert found(category=Category.RENTAL).count == 4


def test_what_was_not_seen_for_long_does_not_count(tmp_path: Path) -> None:
    bring(tmp_path, *phones())
    assert found(days=89, hours=22).count == 9
    assert found(days=89, hours=23, seconds=1).count == 0


def test_listings_without_a_price_do_not_count(tmp_path: Path) -> None:
    without = listing(30, price_fen=None, price_raw="面议", price_status="negotiable")
    bring(tmp_path, *phones(), without)
    reference = found()
    assert (reference.count, reference.removed) == (9, {})


def test_what_is_something_else_is_left_out_and_counted(tmp_path: Path) -> None:
    others = {
        "iPhone 13 手机壳 全新": 2,
        "求购 iPhone 13 128G": 3,
        "iPhone 13 128G 出租 日租 免押": 1,
        "iPhone 13 128G 不开机 尸体机": 4,
    }
    titles = [title for title, count in others.items() for _ in range(count)]
    lines = [listing(100 + number, title=title, price_fen=262000) for number, title in enumerate(titles)]
    bring(tmp_path, *phones(), *lines, listing(200, flags=["auction"], price_fen=262000))
    reference = found("自用 iPhone 13")
    assert reference.count == 9
    assert reference.removed == {"accessory": 2, "wanted": 3, "rental": 1, "broken": 4, "auction": 1}


def test_an_accessory_is_compared_with_such(tmp_path: Path) -> None:
    cases = phones([1500, 1600, 1700, 1800, 1900, 2000, 2100, 2200], first=50, title="iPhone 13 手机壳 全新")
    films = phones([900] * 8, first=70, title="iPhone 13 钢化膜")
    wanted = listing(90, title="求购 iPhone 13 手机壳", price_fen=1000)
    bring(tmp_path, *phones(), *cases, *films, wanted)
    assert median("自用 iPhone 13 手机壳") == 1850
    assert median("iPhone 13 钢化膜 三片装") == 900
    assert median("iPhone 13 128G") == 262000


def test_what_is_broken_is_compared_with_what_is_broken(tmp_path: Path) -> None:
    broken = phones([60000] * 8, first=50, title="iPhone 13 128G 不开机 当尸体卖")
    bring(tmp_path, *phones(), *broken)
    assert median("iPhone 13 128G 不开机") == 60000


def test_a_price_counts_for_the_week_since_when_it_is_asked(tmp_path: Path) -> None:
    bring(tmp_path, *phones(published_at="2026-10-06T08:00:00+00:00"))
    changed = {"fetched_at": (BEGAN + timedelta(days=14)).isoformat(), "published_at": "2026-10-06T08:00:00+00:00"}
    bring(
        tmp_path,
        *phones([240000, 241000, 242000], **changed),
        run_id="run-2",
        started_at=BEGAN + timedelta(days=14),
    )
    summary = found(days=14).summary
    assert summary is not None
    assert [(f"{week.begins:%m-%d}", week.count, week.median) for week in summary.weeks if week.count] == [
        ("10-05", 6, 268000),
        ("11-09", 3, 241000),
    ]
    assert found().updated_at == BEGAN + timedelta(days=14)


def test_before_anything_was_imported_there_is_none() -> None:
    reference = found()
    assert (reference.summary, reference.count, reference.updated_at) == (None, 0, None)
    assert reference.terms == ("iphone13",)


# --- names that too many have ---


def fill(titles: dict[str, int], *, price: int = 100000) -> None:
    """Write so many listings with each title, all at about the price."""
    analysing = analyser()
    made = []
    for title, count in titles.items():
        shared = set(listing_terms(analysing, title, item_id="0")) - {part_term(part_of("0"))}
        for _ in range(count):
            item_id = str(len(made))
            made.append(
                {
                    "source": "xianyu",
                    "item_id": item_id,
                    "url": f"https://www.goofish.com/item?id={item_id}",
                    "title": title,
                    "price": price + len(made),
                    "category": None,
                    "published_at": BEGAN,
                    "first_seen_at": BEGAN,
                    "last_seen_at": BEGAN,
                    "flags": [],
                    "terms": sorted({*shared, part_term(part_of(item_id))}),
                    "run_id": "run-1",
                }
            )
    with transaction() as session:
        session.execute(insert(Listing), made)


def test_of_too_many_a_sample_is_read(app: Flask) -> None:
    fill({"自行车 黑色": 4000})
    with counting(app) as statements:
        reference = found("自行车")
    assert len(statements) == 2
    assert reference.sampled
    assert 400 <= reference.count <= 700
    assert reference.summary is not None
    assert abs(reference.summary.median - 102000) < 300


def test_a_sample_does_not_hide_what_is_rare(app: Flask) -> None:
    """The last step finds thousands, the first one ten of them."""
    fill({"捷安特 自行车": 4000, "捷安特 折叠 自行车": 10})
    with counting(app) as statements:
        reference = found("捷安特 折叠 自行车")
    assert (reference.sampled, reference.count, reference.ignored) == (False, 10, ())
    assert len(statements) == 4


def test_the_last_step_is_what_is_left(app: Flask) -> None:
    fill({"捷安特 自行车": 4000})
    with counting(app) as statements:
        reference = found("捷安特 折叠 自行车")
    assert (reference.sampled, reference.ignored) == (True, ("折叠",))
    assert reference.count >= 400
    assert len(statements) == 4
