"""Axes of amounts and counts: where a value lies, which values are marked, and how they are written."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final

_YUAN: Final = 100
_WAN: Final = 1_000_000
"""A yuan and ten thousand of them, in which large amounts are counted, in fen."""
_WAN_FROM: Final = 10 * _WAN
_FINEST: Final = _WAN // 100


@dataclass(frozen=True, slots=True)
class Axis:
    """Values (fen, or how many) from `low` at the coordinate `start` to `high` at `end`, marked every `step`."""

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
        """The values that are marked."""
        return range(-(-self.low // self.step) * self.step, self.high + 1, self.step)

    @property
    def unit(self) -> str:
        """What amounts along it are written in."""
        return "万元" if self._in_wan else "元"

    def label(self, fen: int) -> str:
        """A marked amount in that unit, exact."""
        if self._in_wan:
            return _decimal(fen, _WAN, next(places for places in count() if self.step * 10**places % _WAN == 0))
        return _decimal(fen, _YUAN, 2 if self.step % _YUAN else 0)

    @property
    def _in_wan(self) -> bool:
        return self.high >= _WAN_FROM and self.step >= _FINEST


def axis_over(
    low: int, high: int, across: tuple[int, int], *, ticks: int = 5, least: int = 0, whole: bool = False
) -> Axis:
    """The axis from `low` to `high` over the coordinates `across`, marked at up to `ticks` + 1 round values.

    It is at least `least` long, and never so short that its labels become long. With `whole` its ends are marks.
    """
    missing = max(least, high // 50, 2) - (high - low)
    if missing > 0:
        low = max(low - missing // 2, 0)
        high += missing - missing // 2
    step = next(step for step in _round_values() if step * ticks >= high - low)
    if whole:
        low, high = low // step * step, -(-high // step) * step
    return Axis(low, high, step, *across)


def short_yuan(fen: int) -> str:
    """An amount as people say it: `325050` → `"3,251"`, `995` → `"9.95"`, `123456700` → `"123.46万"`."""
    if fen >= _WAN_FROM:
        return f"{_bare(_decimal(fen, _WAN, 2))}万"
    return _decimal(fen, _YUAN, 0) if fen >= 100 * _YUAN else _bare(_decimal(fen, _YUAN, 2))


def _round_values() -> Iterator[int]:
    """1, 2, 5, 10, 20, 50, 100 …"""
    for power in count():
        yield from (10**power, 2 * 10**power, 5 * 10**power)


def _decimal(fen: int, unit: int, places: int) -> str:
    """`fen` in `unit`, rounded to so many places, half up."""
    whole, rest = divmod((2 * fen * 10**places + unit) // (2 * unit), 10**places)
    return f"{whole:,}.{rest:0{places}d}" if places else f"{whole:,}"


def _bare(text: str) -> str:
    """Without zeros that say nothing."""
    return text.rstrip("0").rstrip(".") if "." in text else text
