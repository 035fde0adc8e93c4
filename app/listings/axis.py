"""Axes of a chart: where a value lies, at which values there are ticks, and how those are labelled."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final

_YUAN: Final = 100
_WAN: Final = 1_000_000
"""A yuan and 万 (ten thousand yuan, in which Chinese counts large amounts), in fen."""
_WAN_FROM: Final = 10 * _WAN
"""Amounts from here on are written in 万, with at most two decimals."""
_FINEST_WAN: Final = _WAN // 100


@dataclass(frozen=True, slots=True)
class Axis:
    """Values (fen or counts) from `low` at the coordinate `start` to `high` at `end`; ticks are multiples of `step`."""

    low: int
    high: int
    step: int
    start: float
    end: float

    def at(self, value: int) -> float:
        """The coordinate of a value."""
        return self.start + (self.end - self.start) * (value - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> range:
        """The values of the ticks."""
        return range(-(-self.low // self.step) * self.step, self.high + 1, self.step)

    @property
    def unit(self) -> str:
        """The unit of the labels, where the values are amounts."""
        return "万元" if self._in_wan else "元"

    def label(self, fen: int) -> str:
        """The amount of a tick in that unit, exact."""
        if self._in_wan:
            return _decimal(fen, _WAN, next(places for places in count() if self.step * 10**places % _WAN == 0))
        return _decimal(fen, _YUAN, 2 if self.step % _YUAN else 0)

    @property
    def _in_wan(self) -> bool:
        return self.high >= _WAN_FROM and self.step >= _FINEST_WAN


def axis_over(
    low: int,
    high: int,
    coordinates: tuple[int, int],
    *,
    ticks: int = 5,
    min_span: int = 0,
    ends_at_ticks: bool = False,
) -> Axis:
    """An axis from `low` to `high` between two coordinates, with at most `ticks` + 1 ticks at round values.

    It is extended to a span of `min_span` and of a fiftieth of `high`, or its labels would need many digits; with
    `ends_at_ticks` also until both ends are ticks.
    """
    missing = max(min_span, high // 50, 2) - (high - low)
    if missing > 0:
        low = max(low - missing // 2, 0)
        high += missing - missing // 2
    step = next(step for step in _round_values() if step * ticks >= high - low)
    if ends_at_ticks:
        low, high = low // step * step, -(-high // step) * step
    return Axis(low, high, step, *coordinates)


def short_yuan(fen: int) -> str:
    """An amount in few digits: `325050` → `"3,251"`, `995` → `"9.95"`, `123456700` → `"123.46万"`."""
    if fen >= _WAN_FROM:
        return f"{_without_trailing_zeros(_decimal(fen, _WAN, 2))}万"
    return _decimal(fen, _YUAN, 0) if fen >= 100 * _YUAN else _without_trailing_zeros(_decimal(fen, _YUAN, 2))


def _round_values() -> Iterator[int]:
    """1, 2, 5, 10, 20, 50, 100 …"""
    for power in count():
        yield from (10**power, 2 * 10**power, 5 * 10**power)


def _decimal(fen: int, unit: int, places: int) -> str:
    """`fen` in `unit`, rounded to so many places, half up."""
    whole, rest = divmod((2 * fen * 10**places + unit) // (2 * unit), 10**places)
    return f"{whole:,}.{rest:0{places}d}" if places else f"{whole:,}"


def _without_trailing_zeros(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
