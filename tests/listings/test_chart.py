"""A price reference drawn: what it says, what a title can do to it, and how Chromium shows it."""

import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import combinations, cycle, pairwise
from typing import Final
from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.fen import MAX_FEN
from app.listings.chart import price_chart
from app.listings.statistics import Bin, Confidence, Direction, Observation, Summary, Trend, Week, summarise
from tests.browser import Tab, open_tab
from tests.live import PROJECT

SVG: Final = "{http://www.w3.org/2000/svg}"
WEEKS: Final = tuple(date(2026, 9, 28) + timedelta(weeks=each) for each in range(8))

TYPICAL: Final = Summary(
    count=128,
    median=329550,
    lower_quartile=304400,
    upper_quartile=351400,
    typical_low=284000,
    typical_high=377200,
    bins=tuple(
        Bin(low=low, high=low + 20000, count=count)
        for low, count in zip(range(220000, 460000, 20000), (1, 3, 7, 24, 31, 28, 20, 9, 4, 0, 0, 1), strict=True)
    ),
    weeks=tuple(
        Week(begins=begins, median=median, count=count)
        for begins, median, count in zip(
            WEEKS,
            (319000, 327000, 326900, 325000, 332000, 323000, 320000, 337000),
            (5, 19, 36, 17, 19, 23, 23, 10),
            strict=True,
        )
    ),
    outliers=7,
    lowest=221000,
    highest=459900,
    margin_low=318000,
    margin_high=334000,
    trend=Trend(direction=Direction.UP, percent=3),
    confidence=Confidence.HIGH,
)


def weeks_of(*medians: int | None) -> tuple[Week, ...]:
    """A week each, of three listings where it has a median."""
    return tuple(
        Week(begins=begins, median=median, count=0 if median is None else 3)
        for begins, median in zip(WEEKS, medians, strict=True)
    )


def one_price(fen: int) -> Summary:
    """Fourteen listings that all ask the same."""
    at = Bin(low=fen, high=fen + 1, count=14)
    return replace(
        TYPICAL,
        **dict.fromkeys(("median", "lower_quartile", "upper_quartile", "typical_low", "typical_high"), fen),
        count=14,
        bins=(at,),
        weeks=weeks_of(*[fen] * 8),
        trend=Trend(direction=Direction.STEADY, percent=0),
    )


def drawn(summary: Summary | None, title: str = "iPhone 13 128G", notes: Sequence[str] = ()) -> ET.Element:
    picture = price_chart(summary, title=title, found=3, needed=8, notes=notes)
    return ET.fromstring(picture)  # noqa: S314 - our own text


def texts(picture: ET.Element) -> list[str]:
    return ["".join(text.itertext()) for text in picture.iter(f"{SVG}text")]


def of_look(picture: ET.Element, look: str) -> list[ET.Element]:
    return [element for element in picture.iter() if element.get("class") == look]


def points(path: ET.Element) -> list[tuple[float, ...]]:
    return [tuple(map(float, point.split())) for point in re.split("[ML]", path.attrib["d"])[1:]]


def sides(rectangle: ET.Element) -> tuple[float, float, float, float]:
    """Left, top, right, bottom."""
    x, y, width, height = (float(rectangle.attrib[name]) for name in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


# What it says


def test_texts_of_a_typical_reference() -> None:
    assert texts(drawn(TYPICAL)) == [
        "iPhone 13 128G",
        "参考价 · 128 件可比商品 · 可信度高",
        *("中位价", "¥3,296", "常见价", "¥2,840–3,772", "近 8 周走势", "上涨 3%/4周"),
        "价格分布横轴 元,纵轴 件",
        *("0", "10", "20", "30", "40"),
        *("2,500", "3,000", "3,500", "4,000", "4,500"),
        "中位 ¥3,296",
        "常见价:中间的八成",
        "一半在 ¥3,044–3,514",
        *("周起", "件数"),
        *("9-28", "5", "10-05", "19", "10-12", "36", "10-19", "17"),
        *("10-26", "19", "11-02", "23", "11-09", "23", "11-16", "10"),
        "每周中位价纵轴 元,不从 0 开始",
        *("2,500", "3,000", "3,500", "4,000"),
        "价格为公开挂牌价,不是成交价,仅供参考",
    ]


def test_the_picture_in_words() -> None:
    picture = drawn(replace(TYPICAL, weeks=weeks_of(*[None] * 7, 319050)))
    assert picture.get("role") == "img"
    assert picture.get("aria-label") == picture.findtext(f"{SVG}title") == "iPhone 13 128G 参考价"
    empty = "、".join(f"{day.month}-{day.day:02d} 起 数据不足(0 件)" for day in WEEKS[:7])
    assert picture.findtext(f"{SVG}desc") == (
        "128 件可比商品,可信度高。中位价 ¥3295.50,四分位 ¥3044.00 至 ¥3514.00,常见价 ¥2840.00 至 ¥3772.00。"
        f"走势:上涨 3%/4周。每周中位价:{empty}、11-16 起 ¥3190.50(3 件)。"
    )


def test_not_enough_data() -> None:
    picture = drawn(None, "九成新 民谣吉他")
    assert texts(picture) == [
        "九成新 民谣吉他",
        "参考价",
        "数据不足",
        "只找到 3 件可比商品,至少需要 8 件",
        "换一个更常用的名称,或去掉容量、颜色等字样再试",
    ]
    assert picture.findtext(f"{SVG}desc") == "数据不足:只找到 3 件可比商品,至少需要 8 件。"
    assert {element.tag.removeprefix(SVG) for element in picture.iter()} == {
        *("svg", "title", "desc", "style", "rect", "text")
    }


def test_notes_stand_below_the_heading_and_move_the_rest_down() -> None:
    plain, noted = drawn(TYPICAL), drawn(TYPICAL, notes=["甲 & 乙", "丙"])
    assert texts(noted) == [*texts(plain)[:2], "甲 & 乙", "丙", *texts(plain)[2:]]
    assert float(noted.attrib["height"]) == float(plain.attrib["height"]) + 36
    assert noted.findtext(f"{SVG}desc") == f"{plain.findtext(f'{SVG}desc')}甲 & 乙。丙。"
    [moved] = noted.iter(f"{SVG}g")
    assert moved.attrib == {"transform": "translate(0 36)"}
    assert texts(drawn(None, notes=["丙"]))[-1] == "丙"


# Where it says it


def test_bars_stand_over_their_prices_as_high_as_their_counts() -> None:
    picture = drawn(TYPICAL)
    # 282 pixels for 2,400 yuan; 118 for 40 listings.
    bars = [sides(bar) for bar in of_look(picture, "bar") if bar.tag == f"{SVG}rect"]
    filled = [each for each in TYPICAL.bins if each.count]
    assert len(bars) == len(filled)
    for (left, top, right, bottom), each in zip(bars, filled, strict=True):
        assert left == pytest.approx(52 + (each.low - 220000) * 282 / 240000 + 0.5, abs=0.11)
        assert right == pytest.approx(52 + (each.high - 220000) * 282 / 240000 - 0.5, abs=0.11)
        assert (bottom, top) == (378, pytest.approx(378 - each.count * 118 / 40, abs=0.11))


def test_box_band_and_median_lie_where_the_bars_have_them() -> None:
    picture = drawn(TYPICAL)

    def x(fen: int) -> float:
        return 52 + (fen - 220000) * 282 / 240000

    [box, _legend] = of_look(picture, "box")
    [band, _legend] = of_look(picture, "band")
    [whisker] = of_look(picture, "whisker")
    [middle] = of_look(picture, "middle")
    assert sides(box)[::2] == pytest.approx((x(304400), x(351400)), abs=0.21)
    assert sides(band)[::2] == pytest.approx((x(284000), x(377200)), abs=0.21)
    assert [point[0] for point in points(whisker)] == pytest.approx([x(284000), x(377200)], abs=0.11)
    assert [point[0] for point in points(middle)] == pytest.approx([x(329550)] * 2, abs=0.11)


@pytest.mark.parametrize(
    ("medians", "runs"),
    [
        ((510, None, None, 540, 500, None, None, 520), [1, 2, 1]),
        ((510, 511, 512, 513, 514, 515, 516, 517), [8]),
        ((None, 1, None, None, None, None, None, None), [1]),
        ((None,) * 8, []),
    ],
)
def test_the_line_is_broken_where_a_week_has_no_data(medians: Sequence[int | None], runs: list[int]) -> None:
    picture = drawn(replace(TYPICAL, weeks=weeks_of(*medians)))
    lines = [points(path) for path in of_look(picture, "course")]
    assert [len(line) for line in lines] == runs
    dots = [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in picture.iter(f"{SVG}circle")]
    assert dots == [point for line in lines for point in line]
    # Each dot stands over its week.
    columns = [52 + (each + 0.5) * 35.25 for each, median in enumerate(medians) if median is not None]
    assert [x for x, _ in dots] == pytest.approx(columns, abs=0.11)
    given_prices = [median for median in medians if median is not None]
    by_price = [y for _, (_, y) in sorted(zip(given_prices, dots, strict=True), reverse=True)]
    assert by_price == sorted(by_price)
    assert all(498 <= y <= 592 for y in by_price)
    assert ("这几周数据不足" in texts(picture)) is (not runs)
    assert texts(picture).count("–") == medians.count(None)


def test_small_changes_look_small() -> None:
    steady = drawn(replace(TYPICAL, weeks=weeks_of(*(300000 + 3000 * (each % 2) for each in range(8)))))
    heights = [point[1] for point in points(of_look(steady, "course")[0])]
    assert 0 < max(heights) - min(heights) < 5


def test_a_single_price_has_a_bar_that_is_seen() -> None:
    picture = drawn(one_price(29900))
    [bar] = [sides(each) for each in of_look(picture, "bar") if each.tag == f"{SVG}rect"]
    assert bar == pytest.approx((180.8, 267.9, 204.8, 378))
    assert "¥299" in texts(picture)
    assert "一半在 ¥299" in texts(picture)


@given(
    st.lists(st.integers(1, MAX_FEN), min_size=1, max_size=40),
    st.lists(st.integers(0, 80), min_size=1, max_size=40),
)
def test_any_market_makes_a_picture(prices: list[int], days: list[int]) -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    seen = (now - timedelta(days=day) for day in cycle(days))
    summary = summarise([Observation(price, at) for price, at in zip(prices, seen, strict=False)], now=now)
    assert summary is not None
    picture = drawn(summary)
    bars = [sides(bar) for bar in of_look(picture, "bar") if bar.tag == f"{SVG}rect"]
    assert len(bars) == sum(each.count > 0 for each in summary.bins)
    [box, _legend] = of_look(picture, "box")
    [band, _legend] = of_look(picture, "band")
    for left, top, right, bottom in (*bars, sides(box), sides(band)):
        assert 51.9 <= left < right <= 335
        assert 234 <= top < bottom <= 378
    assert len(list(picture.iter(f"{SVG}circle"))) == sum(week.median is not None for week in summary.weeks)


# Titles are anybody's text


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("</text><script>alert(1)</script>", "</text><script>alert(1)</script>"),
        ("a & b < c > d \" e ' ]]> &lt;", "a & b < c > d \" e ' ]]> &lt;"),
        ('"/><image href="//a.cn/x"/>', '"/><image href="//a.cn/x"/>'),
        ("手\x00机\x01\x1b\x7f\x85 \ufffe\uffff台灯", "手机 台灯"),
        ("一行\r\n\t 两行\u2028三行\u3000四", "一行 两行 三行 四"),
        ("\u202e吉他\u2066琴\u200b包\ufeff\xad", "吉他琴包"),
        ("孤\ud83d立", "孤立"),
        ("סמארטפון 手机", "סמארטפון 手机"),
        ("👨‍👩‍👧‍👦❤️📱", "👨‍👩‍👧‍👦❤️📱"),
        ("", ""),
        ("\x00 \u200b", ""),
    ],
)
def test_a_title_is_only_text(title: str, shown: str) -> None:
    for summary in (TYPICAL, None):
        plain, picture = drawn(summary), drawn(summary, title)
        assert texts(picture)[0] == shown
        assert picture.findtext(f"{SVG}title") == f"{shown} 参考价".strip()
        # Nothing but texts may differ: no element, no attribute.
        assert [element.tag for element in picture.iter()] == [element.tag for element in plain.iter()]
        assert [set(element.attrib) for element in picture.iter()] == [set(element.attrib) for element in plain.iter()]
        assert texts(picture)[1:] == texts(plain)[1:]


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("全" * 60, "全" * 17 + "…"),
        ("全" * 18, "全" * 18),
        ("W" * 60, "W" * 16 + "…"),
        ("iPhone " * 10, "iPhone iPhone iPhone iPhone iP…"),
        ("👨‍👩‍👧‍👦" * 30, "👨‍👩‍👧‍👦" * 13 + "…"),
        ("e\u0301" * 60, "e\u0301" * 17 + "…"),
    ],
)
def test_a_long_title_is_cut_by_its_width(title: str, shown: str) -> None:
    picture = drawn(TYPICAL, title)
    assert texts(picture)[0] == shown
    assert picture.findtext(f"{SVG}title") == f"{title.strip()} 参考价"


@given(st.text(alphabet=st.characters(), max_size=80))
def test_any_title_makes_a_picture(title: str) -> None:
    made = price_chart(TYPICAL, title=title, found=3, needed=8)
    made.encode()  # no surrogate is left
    assert len(list(ET.fromstring(made).iter())) == len(list(drawn(TYPICAL).iter()))  # noqa: S314 - our own text


# Of itself


def test_it_asks_for_nothing_and_is_the_same_everywhere() -> None:
    made = price_chart(TYPICAL, title="iPhone 13", found=3, needed=8)
    assert re.findall(r"(?:href|src|url|@import|<script|\bon\w+=)", made) == []
    assert re.findall(r"https?://[^\"<]+", made) == ["http://www.w3.org/2000/svg"]
    code = (
        "from tests.listings.test_chart import TYPICAL; from app.listings.chart import price_chart; import sys;"
        "sys.stdout.buffer.write(price_chart(TYPICAL, title='iPhone 13', found=3, needed=8).encode())"
    )
    again = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, env={"PYTHONHASHSEED": "7"}, capture_output=True, check=True
    )
    assert again.stdout == made.encode()


# As it is seen


def _huge() -> Summary:
    amounts = {
        "median": 950_923_400,
        "lower_quartile": 925_181_100,
        "upper_quartile": 975_833_300,
        "typical_low": 888_881_100,
        "typical_high": 988_881_100,
    }
    edges = range(888_000_000, 1_000_000_000, 8_000_000)
    bins = tuple(Bin(low=low, high=high, count=12_345) for low, high in pairwise(edges))
    trend = Trend(direction=Direction.DOWN, percent=-100)
    weeks = tuple(Week(begins=begins, median=MAX_FEN, count=99_999) for begins in WEEKS)
    return replace(TYPICAL, **amounts, bins=bins, weeks=weeks, count=9_999_999, trend=trend)


def _scattered() -> Summary:
    chance = random.Random(4)
    prices = sorted(chance.randint(1, 400) for _ in range(40))
    counts = Counter(price // 20 for price in prices)
    return replace(
        TYPICAL,
        count=40,
        median=prices[20],
        lower_quartile=prices[10],
        upper_quartile=prices[30],
        typical_low=prices[4],
        typical_high=prices[36],
        bins=tuple(Bin(low=20 * each, high=20 * each + 20, count=counts[each]) for each in range(20)),
        weeks=weeks_of(200, 201, None, 220, None, None, 210, 190),
        trend=Trend(direction=Direction.UNKNOWN, percent=None),
        confidence=Confidence.LOW,
    )


def _at_an_end(*, low: bool) -> Summary:
    """All but a few ask what the first, or the last, bar shows: the median's label has no room on one side."""
    ends = TYPICAL.bins[0].low, TYPICAL.bins[-1].high
    here = ends[0 if low else 1]
    return replace(TYPICAL, **dict.fromkeys(("median", "lower_quartile", "upper_quartile"), here), typical_low=ends[0])


CASES: Final = {
    "typical": (TYPICAL, "iPhone 13 128G"),
    "one price": (one_price(29900), "全" * 60),
    "the largest price": (one_price(MAX_FEN), "W" * 60),
    "nothing but the smallest": (one_price(1), "سماعة أذن لاسلكية"),
    "huge": (_huge(), "<b>&amp;</b>"),
    "scattered": (_scattered(), "明信片"),
    "at the low end": (_at_an_end(low=True), "台灯"),
    "at the high end": (_at_an_end(low=False), "台灯"),
    "no weeks": (replace(TYPICAL, weeks=weeks_of(*[None] * 8)), "台灯"),
    "not enough": (None, "全" * 60),
}

NOTES: Final = (
    "成色“几乎全新”,共 230 件各种成色",
    f"在售约 123,456,789 件:{'全' * 60}(11-22)",
    "最新数据 2026-11-22,128 件在近 7 天内见过",
    "12 件有平台券,按券前价比较,券一般减 ¥100",
)

MEASURE = """() => {
    const rectangle = element => {
        const {left, top, right, bottom} = element.getBoundingClientRect();
        return [left, top, right, bottom];
    };
    const all = selector => [...document.querySelectorAll(selector)];
    return {
        root: document.documentElement.tagName,
        texts: all("text").map(element => [element.textContent, rectangle(element)]),
        shapes: all("rect.bar, rect.box, circle, path.course, path.whisker").map(rectangle),
    };
}"""

Area = tuple[float, float, float, float]


def _overlap(one: Area, other: Area) -> bool:
    """More than the empty rim of a line of text."""
    rim = 3
    return min(one[2], other[2]) - max(one[0], other[0]) > rim and min(one[3], other[3]) - max(one[1], other[1]) > rim


def _assert_readable(tab: Tab, name: str) -> None:
    summary, title = CASES[name]
    picture = price_chart(summary, title=title, found=3, needed=8, notes=NOTES)
    tab.page.goto(f"data:image/svg+xml,{quote(picture)}")
    seen = tab.page.evaluate(MEASURE)
    assert seen["root"] == "svg"
    height = float(ET.fromstring(picture).attrib["height"])  # noqa: S314 - our own text
    placed = [(text, tuple(area)) for text, area in seen["texts"]]
    assert [text for text, _ in placed] == texts(drawn(summary, title, NOTES))
    for text, (left, top, right, bottom) in placed:
        assert (text, 0 <= left <= right <= 358, 0 <= top <= bottom <= height) == (text, True, True)
    assert [pair for pair in combinations(placed, 2) if _overlap(pair[0][1], pair[1][1])] == []
    assert [text for text, area in placed for shape in seen["shapes"] if _overlap(area, shape)] == []


@pytest.mark.xdist_group("browser")
def test_in_a_browser_everything_is_readable() -> None:
    with open_tab((390, 844)) as tab:
        for name in CASES:
            _assert_readable(tab, name)
            # No phone scrolls sideways.
            assert tab.page.evaluate("document.documentElement.getBoundingClientRect().width") == 358
        assert tab.page.evaluate("getComputedStyle(document.querySelector('.paper')).fill") == "rgb(255, 255, 255)"
        tab.page.emulate_media(color_scheme="dark")
        assert tab.page.evaluate("getComputedStyle(document.querySelector('.paper')).fill") == "rgb(22, 24, 29)"
        assert tab.page.evaluate("getComputedStyle(document.querySelector('.ink')).fill") == "rgb(233, 236, 239)"
        # Whatever the machine's fonts paint of a title, its line cuts it off.
        assert tab.page.evaluate("getComputedStyle(document.querySelector('svg svg')).overflow") == "hidden"
    assert tab.complaints == []
    assert tab.asked_elsewhere("data:") == []
