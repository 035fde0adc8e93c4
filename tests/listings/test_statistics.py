"""What prices say together."""

import math
import random
from datetime import UTC, date, datetime, timedelta
from itertools import combinations, pairwise, permutations
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.listings.statistics import (
    _CRITICAL_S,
    MAX_BINS,
    Bin,
    Confidence,
    Direction,
    Observation,
    Summary,
    Trend,
    Week,
    margin_rank,
    quantile,
    summarise,
)

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)  # a Sunday, noon in Shanghai


def summary_of(prices: list[int], *, days: int = 0, relaxation: int = 0) -> Summary:
    """The summary of prices that are all asked for since so many days."""
    since = NOW - timedelta(days=days)
    found = summarise([Observation(price, since) for price in prices], now=NOW, relaxation=relaxation)
    assert found is not None
    return found


def test_of_nothing_there_is_no_summary() -> None:
    assert summarise([], now=NOW) is None


def test_a_summary() -> None:
    prices = [100000, 104000, 108000, 110000, 112000, 116000, 120000, 124000, 130000]
    assert summary_of(prices) == Summary(
        count=9,
        outliers=0,
        lowest=100000,
        highest=130000,
        median=112000,
        lower_quartile=108000,
        upper_quartile=120000,
        typical_low=103200,
        typical_high=125200,
        margin_low=104000,
        margin_high=124000,
        bins=(
            Bin(low=100000, high=105000, count=2),
            Bin(low=105000, high=110000, count=1),
            Bin(low=110000, high=115000, count=2),
            Bin(low=115000, high=120000, count=1),
            Bin(low=120000, high=125000, count=2),
            Bin(low=125000, high=130000, count=0),
            Bin(low=130000, high=135000, count=1),
        ),
        weeks=(
            *(Week(begins=date(2026, 9, 28) + timedelta(days=7 * n), median=None, count=0) for n in range(7)),
            Week(begins=date(2026, 11, 16), median=112000, count=9),
        ),
        trend=Trend(direction=Direction.UNKNOWN, percent=None),
        confidence=Confidence.LOW,
    )


@pytest.mark.parametrize(
    ("percent", "text"),
    [(998, "上涨 998%/4周"), (999, "上涨 999%/4周"), (1000, "上涨 超 999%/4周"), (10**9, "上涨 超 999%/4周")],
)
def test_a_trend_beyond_belief_is_not_spelt_out(percent: int, text: str) -> None:
    assert Trend(direction=Direction.UP, percent=percent).text == text


def test_the_order_does_not_matter() -> None:
    prices = [random.Random(3).randrange(90000, 120000) for _ in range(50)]
    assert summary_of(prices) == summary_of(prices[::-1])


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1), (25, 3), (50, 6), (75, 8), (100, 10), (10, 2), (90, 9), (99, 10)]
)
def test_quantiles_round_half_a_fen_up(percent: int, expected: int) -> None:
    assert quantile([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], percent) == expected


def test_one_price() -> None:
    found = summary_of([99])
    assert (found.count, found.median, found.margin_low, found.typical_high) == (1, 99, 99, 99)
    assert found.bins == (Bin(low=99, high=100, count=1),)


def test_the_rank_of_the_margin_is_the_binomial_one() -> None:
    for count in range(6, 60):
        rank = margin_rank(count)
        outside = sum(comb(count, number) for number in range(rank))
        assert outside * 40 <= 2**count < (outside + comb(count, rank)) * 40
    assert [margin_rank(count) for count in range(1, 7)] == [1] * 6


def test_the_margin_holds_the_true_median() -> None:
    chance = random.Random(11)
    held = 0
    for _ in range(400):
        found = summary_of([round(100000 * chance.lognormvariate(0, 0.15)) for _ in range(40)])
        held += found.margin_low <= 100000 <= found.margin_high
    assert 0.92 <= held / 400 <= 1


# --- outliers ---


@pytest.mark.parametrize("share", [10, 25, 40])
@pytest.mark.parametrize("factor", [0.0005, 0.02, 0.3, 4, 50])
def test_noise_on_one_side_moves_little(share: int, factor: float) -> None:
    chance = random.Random(share)
    true = [round(300000 * chance.lognormvariate(0, 0.12)) for _ in range(100)]
    noise = [
        max(1, round(300000 * factor * chance.lognormvariate(0, 0.2))) for _ in range(share * 100 // (100 - share))
    ]
    found = summary_of(true + noise)
    assert abs(found.median - 300000) < 300000 * 0.05
    assert found.outliers >= len(noise) - 1
    assert found.count >= 98


def test_jokes_are_outliers() -> None:
    prices = [250000, 255000, 260000, 262000, 265000, 268000, 270000, 275000, 280000]
    found = summary_of([100, *prices, 9999900])
    assert (found.count, found.outliers, found.median) == (9, 2, 265000)
    assert found.bins[0].low == 250000


def test_where_half_ask_the_same_their_neighbours_stay() -> None:
    found = summary_of([200000] * 10 + [180000, 170000, 230000, 260000, 20000])
    assert (found.count, found.outliers) == (14, 1)


@given(st.lists(st.integers(1, 10**11), min_size=1, max_size=60))
def test_any_prices(prices: list[int]) -> None:
    found = summary_of(prices)
    assert found.count + found.outliers == len(prices)
    assert found.count >= 1
    assert min(prices) <= found.typical_low <= found.lower_quartile <= found.median
    assert found.median <= found.upper_quartile <= found.typical_high <= max(prices)
    assert found.margin_low <= found.median <= found.margin_high
    assert 1 <= len(found.bins) <= MAX_BINS
    assert sum(each.count for each in found.bins) == found.count
    assert found.bins[0].count > 0
    assert found.bins[-1].count > 0
    assert all(one.high == next_.low for one, next_ in pairwise(found.bins))


# --- weeks and trend ---


def weekly(medians: list[int | None], *, each: int = 3) -> Summary:
    """The summary of so many prices around each of the medians, the last of this week; None: a week without any."""
    observations = [
        Observation(price, NOW - timedelta(days=7 * (len(medians) - 1 - number)))
        for number, median in enumerate(medians)
        if median is not None
        for price in [median - median // 100, median, *[median + median // 100] * (each - 2)]
    ]
    found = summarise(observations, now=NOW)
    assert found is not None
    return found


def test_weeks_begin_at_midnight_in_shanghai() -> None:
    last = datetime(2026, 11, 15, 16, 0, tzinfo=UTC)  # 16 November, 0:00
    moments = [NOW, last, last - timedelta(seconds=1), last - timedelta(days=7), NOW - timedelta(days=60)]
    found = summarise([Observation(1000, moment) for moment in moments], now=NOW)
    assert found is not None
    assert [week.count for week in found.weeks] == [0, 0, 0, 0, 0, 0, 2, 2]
    assert found.weeks[-1].begins == date(2026, 11, 16)


def test_a_week_has_a_median_from_three_prices_on() -> None:
    assert [week.median for week in weekly([90000, 100000], each=2).weeks[-2:]] == [None, None]
    assert [week.median for week in weekly([90000, 100000], each=3).weeks[-2:]] == [90000, 100000]


@pytest.mark.parametrize(
    ("medians", "direction", "percent", "said"),
    [
        ([1000 + 20 * week for week in range(8)], Direction.UP, 8, "上涨 8%/4周"),
        ([2000 - 40 * week for week in range(8)], Direction.DOWN, -8, "下跌 8%/4周"),
        ([1000] * 8, Direction.STEADY, 0, "平稳"),
        ([1000, 1003, 1006, 1009, 1012, 1015, 1018, 1021], Direction.STEADY, 1, "平稳"),
        ([1000, 1200, 1000, 1200, 1000, 1200, 1000, 1200], Direction.STEADY, 0, "平稳"),
        ([None, None, None, 1000, 1030, 1060, 1090, 1120], Direction.UP, 12, "上涨 12%/4周"),
        ([1000, None, 1060, None, 1120, None, 1180, 1210], Direction.UP, 11, "上涨 11%/4周"),
        ([None, None, None, None, 1000, 1030, 1060, 1090], Direction.UNKNOWN, None, "无法判断"),
        ([1000, 1020, 1040, 1060, 1080, 1100, 1120, 900], Direction.STEADY, 8, "平稳"),
    ],
)
def test_trends(medians: list[int | None], direction: Direction, percent: int | None, said: str) -> None:
    trend = weekly([None if each is None else each * 100 for each in medians]).trend
    assert trend == Trend(direction=direction, percent=percent)
    assert trend.text == said


@pytest.mark.parametrize("weeks", [5, 6, 7])
def test_the_order_of_weeks_that_chance_seldom_makes(weeks: int) -> None:
    """Of all orders at most one in twenty is so far from none; with two pairs less more are."""
    orders = [
        sum(1 if one < other else -1 for one, other in combinations(order, 2)) for order in permutations(range(weeks))
    ]
    critical = _CRITICAL_S[weeks]
    assert sum(abs(order) >= critical for order in orders) * 20 <= len(orders)
    assert sum(abs(order) >= critical - 2 for order in orders) * 20 > len(orders)


def test_the_order_of_eight_weeks_that_chance_seldom_makes() -> None:
    """By Mahonian numbers: how many orders have so many pairs that fall."""
    ways = [1]
    for size in range(2, 9):
        ways = [
            sum(ways[fall - less] for less in range(size) if 0 <= fall - less < len(ways))
            for fall in range(size * (size - 1) // 2 + 1)
        ]
    assert sum(ways) == math.factorial(8)

    def share(critical: int) -> float:
        return sum(way for fall, way in enumerate(ways) if abs(28 - 2 * fall) >= critical) / sum(ways)

    assert share(_CRITICAL_S[8]) <= 0.05 < share(_CRITICAL_S[8] - 2)


# --- confidence ---

NARROW = [100000 + 200 * number for number in range(40)]
WIDE = [40000 + 5000 * number for number in range(40)]


@pytest.mark.parametrize(
    ("prices", "relaxation", "confidence", "said"),
    [
        (NARROW, 0, Confidence.HIGH, "高"),
        (NARROW, 1, Confidence.MEDIUM, "中"),
        (NARROW, 2, Confidence.LOW, "低"),
        (NARROW[:30], 0, Confidence.HIGH, "高"),
        (NARROW[:29], 0, Confidence.MEDIUM, "中"),
        (NARROW[:12], 0, Confidence.MEDIUM, "中"),
        (NARROW[:11], 0, Confidence.LOW, "低"),
        (NARROW + [100] * 13, 0, Confidence.HIGH, "高"),
        (NARROW + [100] * 14, 0, Confidence.MEDIUM, "中"),
        (NARROW + [100] * 27, 0, Confidence.LOW, "低"),
        (WIDE, 0, Confidence.LOW, "低"),
        ([90000] * 16 + [112000] * 16, 0, Confidence.MEDIUM, "中"),
        ([80000] * 6 + [112000] * 6, 0, Confidence.LOW, "低"),
    ],
)
def test_confidence(prices: list[int], relaxation: int, confidence: Confidence, said: str) -> None:
    found = summary_of(prices, relaxation=relaxation)
    assert (found.confidence, found.confidence_text) == (confidence, said)
