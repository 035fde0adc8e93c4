"""Bar charts as SVG, drawn by ourselves: no script, no style that the pages' policy refuses."""

from collections.abc import Sequence
from decimal import Decimal
from html import escape
from typing import Final

from markupsafe import Markup

_WIDTH: Final = 560
_HEIGHT: Final = 180
_LEFT: Final = 60
_BOTTOM: Final = 24
_TOP: Final = 18
_LABELS: Final = 8


def bars(values: Sequence[tuple[str, int | str]], *, unit: str) -> Markup:
    """A bar for each `(label, number)`; numbers are integers or decimal strings in yuan, not below zero.

    The picture is described in words by its `<title>`; the page has the numbers as a table beside it.
    """
    numbers = [Decimal(number) for _, number in values]
    top = _round_up(max(numbers, default=Decimal(0)))
    height, width = _HEIGHT - _TOP - _BOTTOM, _WIDTH - _LEFT
    step = Decimal(width) / max(len(values), 1)
    every = -(-len(values) // _LABELS)
    total = sum(numbers, Decimal(0))
    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{escape(_described(values, numbers, total, unit))}</title>",
    ]
    for share in (Decimal(0), Decimal("0.5"), Decimal(1)):
        y = _TOP + height * (1 - share)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="axis" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(top * share)}</text>'
        )
    for index, ((label, _), number) in enumerate(zip(values, numbers, strict=True)):
        x = _LEFT + step * index
        tall = height * number / top
        parts.append(
            f'<rect class="bar" x="{x + step * Decimal("0.15"):.1f}" y="{_TOP + height - tall:.1f}" '
            f'width="{step * Decimal("0.7"):.1f}" height="{tall:.1f}">'
            f"<title>{escape(label)}:{number} {unit}</title></rect>"
        )
        if index % every == 0:
            parts.append(
                f'<text class="axis" x="{x + step / 2:.1f}" y="{_HEIGHT - 6}" text-anchor="middle">'
                f"{escape(label.removesuffix(' 时'))}</text>"
            )
    parts.append("</svg>")
    return Markup("".join(parts))  # noqa: S704 - drawn by ourselves, every text escaped


def _described(values: Sequence[tuple[str, int | str]], numbers: Sequence[Decimal], total: Decimal, unit: str) -> str:
    if not total:
        return f"没有数据(单位:{unit})"
    highest = max(range(len(numbers)), key=numbers.__getitem__)
    return f"合计 {total} {unit},最高 {numbers[highest]} {unit}({values[highest][0]})"


def _round_up(number: Decimal) -> Decimal:
    """The top of the axis: 2, 4, 10, 20, 40, 100 …, at least 2."""
    top = Decimal(2)
    steps = (Decimal(2), Decimal("2.5"), Decimal(2))
    index = 0
    while top < number:
        top *= steps[index % 3]
        index += 1
    return top


def _short(number: Decimal) -> str:
    """A number as an axis has room for: 1200 → 1200, 25000 → 2.5万."""
    if number >= 10_000:
        return f"{(number / 10_000).normalize():f}万"
    return f"{number.normalize():f}"
