"""Statistics of asking prices: median, quartiles, histogram, weekly medians, trend, and how reliable they are.

Pure functions. Prices are fen and stay integers; their logarithms only decide which are outliers and what the trend is.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import combinations
from types import MappingProxyType
from typing import Final

from app.clock import SHANGHAI

WEEKS: Final = 8
MAX_BINS: Final = 15

_MAD_TO_DEVIATION: Final = 1.4826
"""Of a normal distribution, the standard deviation over the median absolute deviation."""
_MAX_DEVIATIONS: Final = 3
_LEAST_DEVIATION: Final = 0.1
"""Of the logarithms of prices. It keeps the deviation from 0 where half of the sellers ask the same: prices from a
quarter below to a third above the median never are outliers."""

_LEAST_PER_WEEK: Final = 3
_STEADY_PERCENT: Final = 3
_LARGEST_PERCENT: Final = 999
"""A trend beyond it is written `超 999%`."""
_CRITICAL_S: Final = MappingProxyType({5: 10, 6: 13, 7: 15, 8: 18})
"""Critical values of the two-sided Mann–Kendall test at the level 0.05, by the number of weeks. The statistic S is how
many more pairs of weeks rise than fall."""


class Direction(StrEnum):
    """Which way prices move."""

    UP = "up"
    DOWN = "down"
    STEADY = "steady"
    UNKNOWN = "unknown"


class Confidence(StrEnum):
    """How reliable a reference price is."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


CONFIDENCE_TEXT: Final = MappingProxyType({Confidence.HIGH: "高", Confidence.MEDIUM: "中", Confidence.LOW: "低"})

_DIRECTION_TEXT: Final = MappingProxyType(
    {Direction.UP: "上涨", Direction.DOWN: "下跌", Direction.STEADY: "平稳", Direction.UNKNOWN: "无法判断"}
)


@dataclass(frozen=True, slots=True)
class Observation:
    """An asking price in fen, above 0, and the time since which it has been asked."""

    price: int
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """How many prices lie from `low` up to but not including `high`, in fen."""

    low: int
    high: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """Seven days from `begins` on in Asia/Shanghai. `median` is None where `count` is below three."""

    begins: date
    median: int | None
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """Which way prices move, and by how many percent in four weeks; None where that is unknown."""

    direction: Direction
    percent: int | None

    @property
    def text(self) -> str:
        """`上涨 5%/4周`; without the number where prices are steady or nothing is known."""
        text = _DIRECTION_TEXT[self.direction]
        if self.percent is None or not self.is_a_change:
            return text
        shown = min(abs(self.percent), _LARGEST_PERCENT)
        return f"{text} {'' if shown == abs(self.percent) else '超 '}{shown}%/4周"

    @property
    def is_a_change(self) -> bool:
        """Whether prices rise or fall."""
        return self.direction in (Direction.UP, Direction.DOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The statistics of some prices; all money in fen.

    `typical_low` and `typical_high` are the 10th and the 90th percentile, `margin_low` and `margin_high` the ends of a
    95 % confidence interval of the median. `count` prices, from `lowest` to `highest`, are summed up here, `outliers`
    more were left out. `weeks` are the last eight, the oldest first.
    """

    count: int
    outliers: int
    lowest: int
    highest: int
    median: int
    lower_quartile: int
    upper_quartile: int
    typical_low: int
    typical_high: int
    margin_low: int
    margin_high: int
    bins: tuple[Bin, ...]
    weeks: tuple[Week, ...]
    trend: Trend
    confidence: Confidence

    @property
    def trend_text(self) -> str:
        """The trend in words."""
        return self.trend.text

    @property
    def confidence_text(self) -> str:
        """The confidence in words."""
        return CONFIDENCE_TEXT[self.confidence]


@dataclass(frozen=True, slots=True)
class _Requirement:
    """What prices must fulfil to have a confidence: at least `count` of them, and at most the rest.

    `margin` is how far the confidence interval of the median reaches to one side, in percent of the median; `spread`
    how far the upper quartile is above the lower one, in percent of that; `outliers` how many percent of all prices
    were left out; `relaxation` the step of `app.listings.relaxation` that found them, from 0.
    """

    confidence: Confidence
    count: int
    margin: int
    spread: int
    outliers: int
    relaxation: int


_REQUIREMENTS: Final = (
    _Requirement(Confidence.HIGH, count=30, margin=6, spread=50, outliers=25, relaxation=0),
    _Requirement(Confidence.MEDIUM, count=12, margin=15, spread=100, outliers=40, relaxation=1),
)


def summarise(observations: Sequence[Observation], *, now: datetime, relaxation: int = 0) -> Summary | None:
    """The statistics of `observations` at `now`; None where there are none. Their order does not matter.

    `relaxation` is the step of `app.listings.relaxation` that found them, from 0: each further one lowers the
    confidence.
    """
    if not observations:
        return None
    ordered = sorted(observations, key=lambda observation: observation.price)
    prices = [observation.price for observation in ordered]
    first, last = _without_outliers(prices)
    kept, prices = ordered[first:last], prices[first:last]
    weeks = _weeks(kept, now)
    lower_quartile, median, upper_quartile = (quantile(prices, percent) for percent in (25, 50, 75))
    rank = margin_rank(len(prices))
    margin_low, margin_high = prices[rank - 1], prices[-rank]
    count, outliers = len(prices), len(ordered) - len(prices)
    margin = max(median - margin_low, margin_high - median) * 100
    return Summary(
        count=count,
        outliers=outliers,
        lowest=prices[0],
        highest=prices[-1],
        median=median,
        lower_quartile=lower_quartile,
        upper_quartile=upper_quartile,
        typical_low=quantile(prices, 10),
        typical_high=quantile(prices, 90),
        margin_low=margin_low,
        margin_high=margin_high,
        bins=_bins(prices),
        weeks=weeks,
        trend=_trend(weeks),
        confidence=next(
            (
                requirement.confidence
                for requirement in _REQUIREMENTS
                if count >= requirement.count
                and margin <= requirement.margin * median
                and (upper_quartile - lower_quartile) * 100 <= requirement.spread * lower_quartile
                and outliers * 100 <= requirement.outliers * (count + outliers)
                and relaxation <= requirement.relaxation
            ),
            Confidence.LOW,
        ),
    )


def quantile(ordered: Sequence[int], percent: int) -> int:
    """The `percent`-th percentile of `ordered`, interpolated between two prices, half a fen rounded up."""
    position, rest = divmod((len(ordered) - 1) * percent, 100)
    if rest == 0:
        return ordered[position]
    return (ordered[position] * (100 - rest) + ordered[position + 1] * rest + 50) // 100


@lru_cache(maxsize=4096)
def margin_rank(count: int) -> int:
    """The rank r, from 1: the r-th lowest and the r-th highest of `count` prices enclose the median in 95 of 100 cases.

    By the binomial distribution, so however prices are distributed. Below six prices even all of them enclose it in
    fewer cases; the rank is 1.
    """
    all_ways = 2**count  # the tail of one side may have a fortieth of them
    rank, tail, ways = 0, 0, 1
    while True:
        tail += ways
        if tail * 40 > all_ways:
            return max(rank, 1)
        ways = ways * (count - rank) // (rank + 1)
        rank += 1


def _without_outliers(ordered: Sequence[int]) -> tuple[int, int]:
    """The slice of prices that remains when outliers are removed again and again, until there is none.

    An outlier is more than three deviations from the median, of the logarithms. The deviation is estimated by the
    median absolute deviation: both stay near where they are even if almost half of the prices are absurd.
    """
    logs = [math.log(price) for price in ordered]
    first, last = 0, len(logs)
    while True:
        median = _median(logs[first:last])
        spread = _median(sorted(abs(log - median) for log in logs[first:last]))
        reach = _MAX_DEVIATIONS * max(_MAD_TO_DEVIATION * spread, _LEAST_DEVIATION)
        next_first = bisect_left(logs, median - reach, first, last)
        next_last = bisect_right(logs, median + reach, first, last)
        if (next_first, next_last) == (first, last):
            return first, last
        first, last = next_first, next_last


def _median(ordered: Sequence[float]) -> float:
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _weeks(kept: Sequence[Observation], now: datetime) -> tuple[Week, ...]:
    today = now.astimezone(SHANGHAI).date()
    prices: list[list[int]] = [[] for _ in range(WEEKS)]
    for observation in kept:  # in ascending order of prices, which each week keeps
        ago = (today - observation.seen_at.astimezone(SHANGHAI).date()).days // 7
        if 0 <= ago < WEEKS:
            prices[ago].append(observation.price)
    return tuple(
        Week(
            begins=today - timedelta(days=7 * ago + 6),
            median=quantile(prices[ago], 50) if len(prices[ago]) >= _LEAST_PER_WEEK else None,
            count=len(prices[ago]),
        )
        for ago in reversed(range(WEEKS))
    )


def _trend(weeks: Sequence[Week]) -> Trend:
    """The Theil–Sen slope of the weeks' medians, where the Mann–Kendall test finds it significant."""
    logs = [(number, math.log(week.median)) for number, week in enumerate(weeks) if week.median is not None]
    critical = _CRITICAL_S.get(len(logs))
    if critical is None:
        return Trend(direction=Direction.UNKNOWN, percent=None)
    pairs = list(combinations(logs, 2))
    slope = _median(sorted((later[1] - sooner[1]) / (later[0] - sooner[0]) for sooner, later in pairs))
    percent = round(math.expm1(4 * slope) * 100)
    s = sum((later[1] > sooner[1]) - (later[1] < sooner[1]) for sooner, later in pairs)
    if abs(percent) < _STEADY_PERCENT or abs(s) < critical:
        return Trend(direction=Direction.STEADY, percent=percent)
    return Trend(direction=Direction.UP if percent > 0 else Direction.DOWN, percent=percent)


def _bins(ordered: Sequence[int]) -> tuple[Bin, ...]:
    """A histogram of at most `MAX_BINS` bins of the same round width, from the lowest price to the highest."""
    width = next(
        width
        for power in range(20)
        for width in (10**power, 2 * 10**power, 5 * 10**power)
        if ordered[-1] // width - ordered[0] // width < MAX_BINS
    )
    lows = range(ordered[0] // width * width, ordered[-1] + 1, width)
    edges = [bisect_left(ordered, low) for low in lows] + [len(ordered)]
    return tuple(
        Bin(low=low, high=low + width, count=end - begin)
        for low, begin, end in zip(lows, edges[:-1], edges[1:], strict=True)
    )
