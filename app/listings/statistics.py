"""What asking prices say together: the middle, the range, the course of the last weeks, and how sure that is.

Pure: prices are fen and stay integers; logarithms of them only decide which are left out and how they change.
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
MOST_BINS: Final = 15

_MAD_TO_DEVIATION: Final = 1.4826
"""Of a normal distribution, the standard deviation over the median absolute deviation."""
_DEVIATIONS: Final = 3
_LEAST_DEVIATION: Final = 0.1
"""In logarithms: where half of the sellers ask the same, a quarter less or a third more is no outlier."""

_ENOUGH_OF_A_WEEK: Final = 3
_STEADY_PERCENT: Final = 3
_MOST_SAID: Final = 999
"""Percent; what is more is said as more than that."""
_CERTAIN_ORDER: Final = MappingProxyType({5: 10, 6: 13, 7: 15, 8: 18})
"""By the number of weeks, how many more pairs of them must rise than fall, or fall than rise, so that chance does it in
one case of twenty at most: the two-sided test of Mann and Kendall."""


class Direction(StrEnum):
    """Where prices go."""

    UP = "up"
    DOWN = "down"
    STEADY = "steady"
    UNKNOWN = "unknown"


class Confidence(StrEnum):
    """How far a reference can be relied on."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


CONFIDENCE_TEXT: Final = MappingProxyType({Confidence.HIGH: "高", Confidence.MEDIUM: "中", Confidence.LOW: "低"})

_DIRECTION_TEXT: Final = MappingProxyType(
    {Direction.UP: "上涨", Direction.DOWN: "下跌", Direction.STEADY: "平稳", Direction.UNKNOWN: "无法判断"}
)


@dataclass(frozen=True, slots=True)
class Observation:
    """An asking price in fen, above 0, and since when it stood."""

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
    """Where prices go, and by how many percent in four weeks; None where that is unknown."""

    direction: Direction
    percent: int | None

    @property
    def text(self) -> str:
        """`上涨 5%/4周`; without the number where prices are steady or nothing is known."""
        text = _DIRECTION_TEXT[self.direction]
        if self.percent is None or not self.is_a_change:
            return text
        most = min(abs(self.percent), _MOST_SAID)
        return f"{text} {'' if most == abs(self.percent) else '超 '}{most}%/4周"

    @property
    def is_a_change(self) -> bool:
        """Whether prices rise or fall."""
        return self.direction in (Direction.UP, Direction.DOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the prices say; all money in fen.

    `typical_low` to `typical_high` holds eight of ten prices, `margin_low` to `margin_high` the true median in 95 of
    100 cases. `count` are the prices behind it all, `outliers` those that were left out. `weeks` are the last eight,
    the oldest first.
    """

    count: int
    outliers: int
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
class _Demand:
    """What a confidence asks for. Percents: of the median that its margin is wide to one side, of the upper quartile
    above the lower one, of all prices that were left out. `looseness` counts the steps of `app.listings.wanted`."""

    confidence: Confidence
    count: int
    margin: int
    spread: int
    outliers: int
    looseness: int


_DEMANDS: Final = (
    _Demand(Confidence.HIGH, count=30, margin=6, spread=50, outliers=25, looseness=0),
    _Demand(Confidence.MEDIUM, count=12, margin=15, spread=100, outliers=40, looseness=1),
)


def summarise(observations: Sequence[Observation], *, now: datetime, looseness: int = 0) -> Summary | None:
    """What `observations` say at `now`; None where there are none. Their order does not matter.

    `looseness` is how many steps away from the title the comparables were looked for: it lowers the confidence.
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
                demand.confidence
                for demand in _DEMANDS
                if count >= demand.count
                and margin <= demand.margin * median
                and (upper_quartile - lower_quartile) * 100 <= demand.spread * lower_quartile
                and outliers * 100 <= demand.outliers * (count + outliers)
                and looseness <= demand.looseness
            ),
            Confidence.LOW,
        ),
    )


def quantile(ordered: Sequence[int], percent: int) -> int:
    """The price below which `percent` of `ordered` lie, between two of them in proportion, half a fen rounded up."""
    position, rest = divmod((len(ordered) - 1) * percent, 100)
    if rest == 0:
        return ordered[position]
    return (ordered[position] * (100 - rest) + ordered[position + 1] * rest + 50) // 100


@lru_cache(maxsize=4096)
def margin_rank(count: int) -> int:
    """The rank from either end between which the median of what was drawn from lies in 95 of 100 cases.

    From the binomial distribution, without assuming how prices are spread. Below six prices all of them are needed.
    """
    most = 2**count  # forty times the chance of one side, in units of 2^-count
    rank, chance, ways = 0, 0, 1
    while True:
        chance += ways
        if chance * 40 > most:
            return max(rank, 1)
        ways = ways * (count - rank) // (rank + 1)
        rank += 1


def _without_outliers(ordered: Sequence[int]) -> tuple[int, int]:
    """The stretch of prices that are left once those far from the middle are taken off, until none is.

    Far is three deviations from the median in logarithms, the deviation by the median absolute deviation: up to half
    of the prices may be anything without moving either far.
    """
    logs = [math.log(price) for price in ordered]
    first, last = 0, len(logs)
    while True:
        middle = _middle(logs[first:last])
        spread = _middle(sorted(abs(log - middle) for log in logs[first:last]))
        reach = _DEVIATIONS * max(_MAD_TO_DEVIATION * spread, _LEAST_DEVIATION)
        next_first = bisect_left(logs, middle - reach, first, last)
        next_last = bisect_right(logs, middle + reach, first, last)
        if (next_first, next_last) == (first, last):
            return first, last
        first, last = next_first, next_last


def _middle(ordered: Sequence[float]) -> float:
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _weeks(kept: Sequence[Observation], now: datetime) -> tuple[Week, ...]:
    today = now.astimezone(SHANGHAI).date()
    prices: list[list[int]] = [[] for _ in range(WEEKS)]
    for observation in kept:  # in the order of prices
        ago = (today - observation.seen_at.astimezone(SHANGHAI).date()).days // 7
        if 0 <= ago < WEEKS:
            prices[ago].append(observation.price)
    return tuple(
        Week(
            begins=today - timedelta(days=7 * ago + 6),
            median=quantile(prices[ago], 50) if len(prices[ago]) >= _ENOUGH_OF_A_WEEK else None,
            count=len(prices[ago]),
        )
        for ago in reversed(range(WEEKS))
    )


def _trend(weeks: Sequence[Week]) -> Trend:
    """The median of the slopes between all pairs of weeks (Theil and Sen), unless chance could make such an order."""
    logs = [(number, math.log(week.median)) for number, week in enumerate(weeks) if week.median is not None]
    certain = _CERTAIN_ORDER.get(len(logs))
    if certain is None:
        return Trend(direction=Direction.UNKNOWN, percent=None)
    pairs = list(combinations(logs, 2))
    slope = _middle(sorted((later[1] - sooner[1]) / (later[0] - sooner[0]) for sooner, later in pairs))
    percent = round(math.expm1(4 * slope) * 100)
    order = sum((later[1] > sooner[1]) - (later[1] < sooner[1]) for sooner, later in pairs)
    if abs(percent) < _STEADY_PERCENT or abs(order) < certain:
        return Trend(direction=Direction.STEADY, percent=percent)
    return Trend(direction=Direction.UP if percent > 0 else Direction.DOWN, percent=percent)


def _bins(ordered: Sequence[int]) -> tuple[Bin, ...]:
    """At most `MOST_BINS` stretches of equal, round width from the lowest price to the highest."""
    width = next(
        width
        for power in range(20)
        for width in (10**power, 2 * 10**power, 5 * 10**power)
        if ordered[-1] // width - ordered[0] // width < MOST_BINS
    )
    lows = range(ordered[0] // width * width, ordered[-1] + 1, width)
    edges = [bisect_left(ordered, low) for low in lows] + [len(ordered)]
    return tuple(
        Bin(low=low, high=low + width, count=end - begin)
        for low, begin, end in zip(lows, edges[:-1], edges[1:], strict=True)
    )
