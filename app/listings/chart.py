"""A reference price as an SVG chart without a drawing library: no script, no font to fetch, the same bytes everywhere.

Above, a histogram of the asking prices under a box plot (median, quartiles, typical range); below, a line chart of the
weekly medians. As wide as a phone has room for (390 pixels, less its margins); colours for light and dark screens. The
fonts are the reader's, so widths of text are estimated, rather too wide than too narrow.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from html import escape
from itertools import groupby
from typing import Final
from unicodedata import category

from rich.cells import split_graphemes

from app.fen import format_yuan
from app.listings.axis import Axis, axis_over, short_yuan
from app.listings.statistics import Summary

_FONTS: Final = "'Noto Sans CJK SC','Noto Sans SC','PingFang SC','Microsoft YaHei',sans-serif"
_LARGE: Final = 17
_PLAIN: Final = 13
_SMALL: Final = 12
_TINY: Final = 11

_WIDTH: Final = 358
_HEIGHT: Final = 670
_NO_DATA_HEIGHT: Final = 168
_LEFT: Final = 12
_RIGHT: Final = _WIDTH - _LEFT
_NOTE_HEIGHT: Final = 18
_FIGURES_AT: Final = ((_LEFT, 92), (_LEFT, 138), (190, 92))
"""Where the names of the median, the typical range and the trend begin; their figures stand below them."""
_PLOT_X: Final = (52, 334)
"""Left and right edge of both plots, with room for the labels of the vertical axis and half a label at the end."""
_BOX_Y: Final = (238, 252)
_BARS_Y: Final = (378, 260)
_LINE_Y: Final = (592, 498)
"""Bottom and top of histogram and line chart; the box plot before them is given from top to bottom."""

_ZERO_WIDTH_JOINER: Final = "\u200d"
_INVISIBLE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs"})
_NONCHARACTERS: Final = "\ufffe\uffff"
_WIDE_LETTERS: Final = {"W": 1.12, **dict.fromkeys("Mm@%", 1.05), "w": 0.95}
"""Widths in ems, as in DejaVu Sans Bold: of the fonts that machines come with it is the widest."""

_STYLE: Final = """\
.price-chart{max-width:100%;height:auto}
.price-chart .paper,.price-chart .box{fill:#fff}
.price-chart .ink{fill:#212529}
.price-chart .muted{fill:#5c636a}
.price-chart .band{fill:#dbe4ff}
.price-chart .bar{fill:#4c6ef5}
.price-chart .accent{fill:#c2410c}
.price-chart path{fill:none;stroke:#dee2e6}
.price-chart .box,.price-chart .whisker{stroke:#4c6ef5;stroke-width:1.5}
.price-chart .middle{stroke:#c2410c;stroke-width:2}
.price-chart .course{stroke:#4c6ef5;stroke-width:2.5;stroke-linejoin:round}
@media (prefers-color-scheme:dark){
.price-chart .paper,.price-chart .box{fill:#16181d}
.price-chart .ink{fill:#e9ecef}
.price-chart .muted{fill:#adb5bd}
.price-chart .band{fill:#263568}
.price-chart .bar{fill:#748ffc}
.price-chart .accent{fill:#ff922b}
.price-chart path{stroke:#343a40}
.price-chart .box,.price-chart .whisker,.price-chart .course{stroke:#748ffc}
.price-chart .middle{stroke:#ff922b}
}"""
"""Colours for light and dark screens. Each rule names the chart's class: inside a page they change nothing else."""


def price_chart(summary: Summary | None, *, title: str, found: int, needed: int, notes: Sequence[str] = ()) -> str:
    """A complete SVG document of what listings like `title` are asked for; `notes` say what was compared.

    `title` is untrusted text. Without `summary` it says that there is not enough data: `found` listings of `needed`.
    """
    name = _printable(title)
    more = len(notes) * _NOTE_HEIGHT
    if summary is None:
        said = f"只找到 {found} 件可比商品,至少需要 {needed} 件"
        body = [
            _text(_LEFT, 60, _PLAIN, "muted", "参考价"),
            _text(_LEFT, 100, _LARGE, "accent", "数据不足", bold=True),
            _text(_LEFT, 126, _PLAIN, "ink", said),
            _text(_LEFT, 148, _SMALL, "muted", "换一个更常用的名称,或去掉容量、颜色等字样再试"),
            *_notes(notes, below=148),
        ]
        return _document(name, f"数据不足:{said}。{_sentences(notes)}", _NO_DATA_HEIGHT + more, body)
    body = [
        _text(_LEFT, 60, _PLAIN, "muted", f"参考价 · {summary.count:,} 件可比商品 · 可信度{summary.confidence_text}"),
        *_notes(notes, below=60),
        f'<g transform="translate(0 {more})">' if more else "<g>",
        *_key_figures(summary),
        *_distribution(summary),
        *_weekly_medians(summary),
        _text(_LEFT, _HEIGHT - 16, _SMALL, "muted", "价格为公开挂牌价,不是成交价,仅供参考"),
        "</g>",
    ]
    return _document(name, _description(summary) + _sentences(notes), _HEIGHT + more, body)


def _notes(notes: Sequence[str], *, below: int) -> Iterator[str]:
    for line, note in enumerate(notes, start=1):
        shown = _ellipsised(note, _SMALL, _RIGHT - _LEFT)
        yield _text(_LEFT, below + line * _NOTE_HEIGHT, _SMALL, "muted", shown)


def _sentences(notes: Sequence[str]) -> str:
    return "".join(f"{note}。" for note in notes)


def _document(name: str, description: str, height: int, body: list[str]) -> str:
    heading = escape(f"{name} 参考价" if name else "参考价")
    shown = _ellipsised(name, _LARGE, _RIGHT - _LEFT)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        f' role="img" aria-label="{heading}" class="price-chart" font-family="{_FONTS}">',
        f"<title>{heading}</title>",
        f"<desc>{escape(description)}</desc>",
        f"<style>{_STYLE}</style>",
        '<rect class="paper" width="100%" height="100%"/>',
        # Cut off whatever a title's characters paint outside their line.
        f'<svg x="{_LEFT}" y="14" width="{_RIGHT - _LEFT}" height="28">'
        + _text(0, 20, _LARGE, "ink", shown, bold=True)
        + "</svg>",
        *body,
    ]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _description(summary: Summary) -> str:
    """The chart in words, for those who cannot see it; amounts to the fen."""
    quartiles = f"四分位 {_yuan(summary.lower_quartile)} 至 {_yuan(summary.upper_quartile)}"
    typical = f"常见价 {_yuan(summary.typical_low)} 至 {_yuan(summary.typical_high)}"
    weeks = "、".join(
        f"{_day(week.begins)} 起 {'数据不足' if week.median is None else _yuan(week.median)}({week.count} 件)"
        for week in summary.weeks
    )
    return (
        f"{summary.count} 件可比商品,可信度{summary.confidence_text}。"
        f"中位价 {_yuan(summary.median)},{quartiles},{typical}。走势:{summary.trend_text}。每周中位价:{weeks}。"
    )


def _key_figures(summary: Summary) -> Iterator[str]:
    typical = _span(summary.typical_low, summary.typical_high)
    figures = (
        ("中位价", f"¥{short_yuan(summary.median)}", "accent"),
        ("常见价", typical, "ink"),
        (f"近 {len(summary.weeks)} 周走势", summary.trend_text, "ink"),
    )
    for (x, y), (name, figure, css_class) in zip(_FIGURES_AT, figures, strict=True):
        yield _text(x, y, _SMALL, "muted", name)
        yield _text(x, y + 22, _LARGE, css_class, figure, bold=True)


def _distribution(summary: Summary) -> Iterator[str]:
    prices = axis_over(summary.bins[0].low, summary.bins[-1].high, _PLOT_X)
    counts = axis_over(0, max(each.count for each in summary.bins), _BARS_Y, ticks=4, ends_at_ticks=True)
    yield _heading(198, "价格分布", f"横轴 {prices.unit},纵轴 件")

    bottom = _BARS_Y[0]
    low, high = prices.at(summary.typical_low), prices.at(summary.typical_high)
    yield _rectangle("band", low, _BOX_Y[0] - 4, max(high - low, 1), bottom - _BOX_Y[0] + 4)
    yield from _grid(counts, str)
    for each in summary.bins:
        if each.count:
            left, right, y = prices.at(each.low), prices.at(each.high), counts.at(each.count)
            # A pixel is left between bars. Where all prices are equal their bin is too narrow to be seen.
            width = max(right - left - 1, 1 if len(summary.bins) > 1 else 24)
            yield _rectangle("bar", (left + right - width) / 2, y, width, bottom - y)
    for tick in prices.ticks:
        yield _text(prices.at(tick), bottom + 19, _SMALL, "muted", prices.label(tick), anchor="middle")

    above, below = _BOX_Y
    height, middle = below - above, (above + below) / 2
    first, third = prices.at(summary.lower_quartile), prices.at(summary.upper_quartile)
    yield _path("whisker", (low, middle), (high, middle))
    yield _rectangle("box", first, above, max(third - first, 1), height)
    x = prices.at(summary.median)
    yield _path("middle", (x, above), (x, bottom))
    said = f"中位 ¥{short_yuan(summary.median)}"
    half = _advance(said, _PLAIN) / 2
    at = min(max(x, _LEFT + half), _RIGHT - half)
    yield _text(at, above - 10, _PLAIN, "accent", said, anchor="middle", bold=True)

    y = bottom + 44
    yield _rectangle("band", _LEFT, y - 10, 14, 12)
    yield _text(_LEFT + 20, y, _SMALL, "muted", "常见价:中间的八成")
    half_of = f"一半在 {_span(summary.lower_quartile, summary.upper_quartile)}"
    yield _rectangle("box", _LEFT, y + 10, 14, 12)
    yield _text(_LEFT + 20, y + 20, _SMALL, "muted", half_of)


def _weekly_medians(summary: Summary) -> Iterator[str]:
    """The line chart of the weekly medians, with a gap where a week has too few prices for one."""
    (left, right), (bottom, top), weeks = _PLOT_X, _LINE_Y, summary.weeks
    step = (right - left) / len(weeks)
    places = [left + (i + 0.5) * step for i in range(len(weeks))]
    yield _text(_LEFT, bottom + 18, _SMALL, "muted", "周起")
    yield _text(_LEFT, bottom + 35, _SMALL, "muted", "件数")
    for x, week in zip(places, weeks, strict=True):
        yield _text(x, bottom + 18, _TINY, "muted", _day(week.begins), anchor="middle")
        yield _text(x, bottom + 35, _TINY, "muted", str(week.count) if week.count else "–", anchor="middle")

    medians = [week.median for week in weeks if week.median is not None]
    if not medians:
        yield _heading(470, "每周中位价", "")
        yield _text((left + right) / 2, (bottom + top) / 2, _PLAIN, "muted", "这几周数据不足", anchor="middle")
        return
    prices = axis_over(min(medians), max(medians), _LINE_Y, ticks=4, ends_at_ticks=True, min_span=max(medians) // 4)
    yield _heading(470, "每周中位价", f"纵轴 {prices.unit},不从 0 开始" if prices.low else f"纵轴 {prices.unit}")
    yield from _grid(prices, prices.label)
    points = [
        None if week.median is None else (x, prices.at(week.median)) for x, week in zip(places, weeks, strict=True)
    ]
    for has_data, run in groupby(points, key=bool):
        if has_data:
            yield _path("course", *filter(None, run))
    for x, y in filter(None, points):
        yield f'<circle class="bar" cx="{_number(x)}" cy="{_number(y)}" r="4"/>'


def _heading(y: float, name: str, aside: str) -> str:
    words = f'{name}<tspan class="muted" font-size="{_SMALL}" font-weight="normal" dx="8">{aside}</tspan>'
    return f'<text class="ink" x="{_LEFT}" y="{_number(y)}" font-size="{_PLAIN}" font-weight="bold">{words}</text>'


def _grid(axis: Axis, label: Callable[[int], str]) -> Iterator[str]:
    left, right = _PLOT_X
    for tick in axis.ticks:
        y = axis.at(tick)
        yield _path("grid", (left, y), (right, y))
        yield _text(left - 8, y + 4, _SMALL, "muted", label(tick), anchor="end")


def _path(css_class: str, *points: tuple[float, float]) -> str:
    joined = "L".join(f"{_number(x)} {_number(y)}" for x, y in points)
    return f'<path class="{css_class}" d="M{joined}"/>'


def _rectangle(css_class: str, x: float, y: float, width: float, height: float) -> str:
    size = f'width="{_number(width)}" height="{_number(height)}"'
    return f'<rect class="{css_class}" x="{_number(x)}" y="{_number(y)}" {size}/>'


def _text(
    x: float, y: float, size: int, css_class: str, content: str, *, anchor: str = "start", bold: bool = False
) -> str:
    at = f'class="{css_class}" x="{_number(x)}" y="{_number(y)}" font-size="{size}"'
    aligned = "" if anchor == "start" else f' text-anchor="{anchor}"'
    weight = ' font-weight="bold"' if bold else ""
    return f"<text {at}{aligned}{weight}>{escape(content)}</text>"


def _number(value: float) -> str:
    return f"{round(value, 1):g}"


def _day(begins: date) -> str:
    return f"{begins.month}-{begins.day:02d}"


def _span(low: int, high: int) -> str:
    first, last = short_yuan(low), short_yuan(high)
    return f"¥{first}" if first == last else f"¥{first}–{last}"


def _yuan(fen: int) -> str:
    return f"¥{format_yuan(fen)}"


def _printable(text: str) -> str:
    """`text` on one line, without the characters that XML forbids or that change the direction of other text.

    Of the invisible characters only the zero-width joiner stays, which composes emoji.
    """
    kept = (
        character
        for character in " ".join(text.split())
        if character == _ZERO_WIDTH_JOINER or not _is_invisible(character)
    )
    return " ".join("".join(kept).split())


def _is_invisible(character: str) -> bool:
    return category(character) in _INVISIBLE_CATEGORIES or character in _NONCHARACTERS


def _ellipsised(text: str, size: int, width: float) -> str:
    """`text`, or its beginning with an ellipsis, at most `width` pixels wide; grapheme clusters are not split."""
    if _advance(text, size) <= width:
        return text
    room, end = width - size, 0
    for start, stop, _ in split_graphemes(text, "latest")[0]:
        room -= _advance(text[start:stop], size)
        if room < 0:
            break
        end = stop
    return text[:end].rstrip() + "…"


def _advance(text: str, size: int) -> float:
    """The estimated width of `text` in pixels, rather too large than too small."""
    spans, _ = split_graphemes(text, "latest")
    return size * sum(_ems(text[start:stop], cells) for start, stop, cells in spans)


def _ems(cluster: str, cells: int) -> float:
    if cluster.isascii():
        return _WIDE_LETTERS.get(cluster, 0.72 if cluster.isupper() else 0.6)
    # Emoji are drawn wider than Chinese characters; other alphabets may be as wide as those.
    return 1.4 if cells == 2 and (category(cluster[0]) == "So" or "\U0001f000" <= cluster[0] < "\U00020000") else 1.05
