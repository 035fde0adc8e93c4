"""Condition, supply, freshness and coupons in a reference price."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert

from app.categories import Category
from app.db.transactions import transaction
from app.language.service import analyser
from app.listings.models import ListingCondition, SearchSupply
from app.listings.queries import find_reference, notes_of, price_reference
from app.listings.relaxation import relaxation_steps
from app.listings.title_conditions import condition_in_title
from tests.goods.steps import counting
from tests.listings.feeds import BEGAN
from tests.listings.test_reference import NOW, PRICES, bring, phones

pytestmark = pytest.mark.usefixtures("context")

TITLE = "iPhone 13 128G"
DEAR = [price + 40000 for price in PRICES]


def told(title: str = TITLE, **asked: Any) -> Any:
    """The reference of the title as clients get it."""
    return price_reference(title=title, category=None, now=NOW, **asked)


# --- the condition ---


@pytest.mark.parametrize(
    ("title", "condition"),
    [
        ("iPhone 13 128G 全新未拆封", ListingCondition.NEW),
        ("全新 自行车", ListingCondition.NEW),
        ("蘋果13 未激活", ListingCondition.NEW),
        ("几乎全新 索尼 A7M3", ListingCondition.LIKE_NEW),
        ("iPhone 13 99新 国行", ListingCondition.LIKE_NEW),
        ("iPhone 13 ９９新", ListingCondition.LIKE_NEW),
        ("准新 大疆 Mini 3", ListingCondition.LIKE_NEW),
        ("充新 iPad mini 6", ListingCondition.LIKE_NEW),
        ("九五新 捷安特", ListingCondition.LIKE_NEW),
        ("95成新 戴森 V8", ListingCondition.LIKE_NEW),
        ("九成新 iPhone 13", ListingCondition.SLIGHT_TRACES),
        ("9成新台灯", ListingCondition.SLIGHT_TRACES),
        ("轻微使用痕迹 手机", ListingCondition.SLIGHT_TRACES),
        ("八成新书桌", ListingCondition.VISIBLE_TRACES),
        ("85新 相机", ListingCondition.VISIBLE_TRACES),
        ("明显划痕 switch", ListingCondition.VISIBLE_TRACES),
        ("7成新 沙发", ListingCondition.WORN),
        ("重度使用痕迹 kindle", ListingCondition.WORN),
        ("iPhone 13 128G 自用", None),
        ("iPhone 13新款", None),
        ("2019新款 连衣裙", None),
        ("2024全新款 外套", None),
        ("全新升级版 扫地机", None),
        ("全新一代 iPad", None),
        ("全新机 iPhone 13", ListingCondition.NEW),
        ("荣耀90新机", None),
        ("换了全新电池 iPhone 13", None),
        ("iPhone 12 全新屏幕", None),
        ("不是全新 好用", None),
        ("非全新 台灯", None),
        ("无划痕 无磕碰", None),
        ("已成交8成价格", None),
        ("新疆特产", None),
        ("", None),
    ],
)
def test_the_condition_in_a_title(title: str, condition: ListingCondition | None) -> None:
    assert condition_in_title(title) == condition


def test_a_condition_narrows_where_there_are_enough(tmp_path: Path) -> None:
    bring(
        tmp_path,
        *phones(PRICES, condition="轻微使用痕迹"),
        *phones(DEAR, first=50, condition="几乎全新"),
        *phones([300000] * 3, first=80, condition="全新"),
        *phones([265000] * 2, first=90),
    )
    every = told()
    assert (every["count"], every["basis"]["condition"]) == (23, None)
    narrowed = told(f"{TITLE} 99新")
    assert (narrowed["count"], narrowed["prices"]["median"]) == (9, "3020.00")
    assert narrowed["basis"]["condition"] == {"code": 2, "text": "几乎全新", "narrowed": True, "of": 23}
    assert narrowed["notes"][0] == "只比较几乎全新的,各种成色共 23 件"
    # What is asked for counts more than what the title says.
    asked = told(f"{TITLE} 99新", condition=ListingCondition.SLIGHT_TRACES)
    assert (asked["count"], asked["prices"]["median"]) == (9, "2620.00")
    assert asked["basis"]["condition"]["code"] == 3


@pytest.mark.parametrize("title", [f"{TITLE} 全新未拆", f"{TITLE} 八成新"])
def test_with_too_few_in_a_condition_all_are_compared(tmp_path: Path, title: str) -> None:
    bring(tmp_path, *phones(PRICES, condition="9成新"), *phones([300000] * 7, first=80, condition="全新"))
    everything, asked = told(), told(title)
    assert asked["prices"] == everything["prices"]
    assert (asked["count"], asked["basis"]["condition"]["narrowed"], asked["basis"]["condition"]["of"]) == (
        16,
        False,
        16,
    )
    text = asked["basis"]["condition"]["text"]
    assert asked["notes"][0] == f"{text}的不够多,比较了各种成色"


def test_outliers_in_a_condition_do_not_make_it_enough(tmp_path: Path) -> None:
    bring(tmp_path, *phones(PRICES), *phones([*DEAR[:7], 100, 9999900], first=50, condition="99新"))
    asked = told(f"{TITLE} 99新")
    assert (asked["basis"]["condition"]["narrowed"], asked["count"]) == (False, 16)


# --- supply ---


def supply(keyword: str, offers: int, **changes: Any) -> None:
    """What a search for the keyword said when the run began."""
    steps = relaxation_steps(analyser(), keyword)
    values = {
        "source": "xianyu",
        "keyword": keyword,
        "terms": sorted(steps[0]),
        "category": None,
        "offers": offers,
        "seen_at": BEGAN,
        "run_id": "run-1",
    }
    with transaction() as session:
        session.execute(insert(SearchSupply).values(**(values | changes)))


def test_the_supply_of_what_the_title_names(tmp_path: Path) -> None:
    bring(tmp_path, *phones())
    supply("iphone 13", 5123)
    supply("iphone 13 pro", 77)
    supply("iphone 14", 88)
    assert told()["supply"] == {"offers": 5123, "terms": ["iphone13", "苹果"], "seen_at": "2026-11-01T10:00:00+08:00"}
    assert told()["notes"][0] == "在售约 5,123 件(2026-11-01,按“iphone13 苹果”)"
    supply("苹果 iphone13 128g", 321)
    assert told()["supply"]["offers"] == 321  # a stricter search says it better
    assert told("iPhone 13 256G")["supply"]["offers"] == 5123
    supply("iphone13", 6000, source="elsewhere", seen_at=BEGAN + timedelta(minutes=1))
    assert told("iPhone 13 256G")["supply"]["offers"] == 6000  # the later of two
    assert told("小米 13")["supply"] is None


def test_the_supply_is_of_the_category_and_lately(tmp_path: Path) -> None:
    bring(tmp_path, *phones())
    supply("iphone 13", 5123, category=Category.PHONE)
    for category, known in ((None, True), (Category.PHONE, True), (Category.DIGITAL, False)):
        found = price_reference(title=TITLE, category=category, now=NOW)
        assert (found["supply"] is not None) is known
    late = find_reference(title=TITLE, category=None, now=NOW + timedelta(days=91))
    assert (late.supply, notes_of(late)) == (None, [])


def test_there_is_a_supply_where_there_are_too_few_prices(tmp_path: Path) -> None:
    supply("iphone 13", 5123)
    found = told()
    assert (found["enough"], found["supply"]["offers"]) == (False, 5123)


def test_it_costs_no_further_statement(app: Flask, tmp_path: Path) -> None:
    bring(tmp_path, *phones(PRICES, condition="99新", coupon_off_fen=5000))
    supply("iphone 13", 5123)
    with counting(app) as statements:
        found = told(f"{TITLE} 99新")
    assert (len(statements), found["supply"]["offers"], found["basis"]["condition"]["narrowed"]) == (2, 5123, True)


# --- freshness, coupons ---


def test_how_fresh_the_listings_are(tmp_path: Path) -> None:
    bring(tmp_path, *phones())
    later = BEGAN + timedelta(days=20)
    fresh = phones(PRICES[:2], first=50, run_id="run-2", fetched_at=later.isoformat())
    bring(tmp_path, *fresh, run_id="run-2", started_at=later)
    found = price_reference(title=TITLE, category=None, now=later + timedelta(hours=1))
    assert (found["count"], found["basis"]["recent"]) == (11, 2)
    assert found["basis"]["updated_at"] == "2026-11-21T10:00:00+08:00"
    assert found["notes"] == ["最新数据 2026-11-21,近 7 天内见过 2 件"]


def test_coupons_are_told_and_not_mixed(tmp_path: Path) -> None:
    """A coupon makes a price that is shown lower; what is compared is what the seller asks."""
    off = [10000, 5000, 20000]
    cheaper = [
        {**line, "price_fen": line["price_fen"] - less, "coupon_off_fen": less}
        for line, less in zip(phones(PRICES[:3]), off, strict=True)
    ]
    bring(tmp_path, *cheaper, *phones(PRICES[3:], first=4))
    found = told()
    assert (found["count"], found["prices"]["median"]) == (9, "2620.00")
    assert found["basis"]["coupons"] == {"count": 3, "median_off": "100.00"}
    assert found["notes"][-1] == "3 件有平台券(一般减 ¥100),按券前价比较"
