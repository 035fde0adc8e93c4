"""A machine as an SVG drawn by ourselves: no binary, no fonts to measure, the same text on every machine.

Widths are estimated (a Chinese character is as wide as it is high); boxes and labels leave room for the difference.
"""

from collections.abc import Iterator, Mapping
from html import escape
from itertools import pairwise
from typing import Final

from statemachine.export.edges import Line, creation, edges, joined, label
from statemachine.export.layout import Arrow, Box, Point, Route, place
from statemachine.spec import E, F, P, Spec, State
from statemachine.texts import Lang

_FONTS: Final = "'Noto Sans CJK SC','Noto Sans SC','PingFang SC','Microsoft YaHei',sans-serif"
_BIG: Final = 14
_SMALL: Final = 12
_BIG_LINE: Final = 18
_SMALL_LINE: Final = 16
_DOT: Final = 8
_START: Final = "start"
_TAIL: Final = 34
"""The arrow and the marker below a closed state."""
_LOOP: Final = 40
"""How far an arrow from a state to itself swings out."""

_INK: Final = "#212529"
_MUTED: Final = "#5c636a"
_ROLE_INK: Final[Mapping[str, str]] = {
    "buyer": "#1864ab",
    "seller": "#c2410c",
    "owner": "#c2410c",
    "gateway": "#2b7a3e",
    "staff": "#862e9c",
}
"""Roles are told apart by colour as well as by name; the system, which is nobody, is muted."""


def render(spec: Spec[P, E, F], lang: Lang) -> str:
    """``spec`` as a complete SVG document, top to bottom."""
    begin = creation(spec, lang)
    arrows = edges(spec, lang)
    between = [edge for edge in arrows if edge.source is not edge.target]
    loops = {edge.source.key: edge.lines for edge in arrows if edge.source is edge.target}
    boxes = {_START: Box(_DOT * 2, _DOT * 2, _DOT)}
    boxes |= {state.key: _outer(state, lang, loops.get(state.key, ())) for state in spec.states}
    plan = place(
        boxes,
        [
            Arrow(_START, spec.state(spec.start).key, _label_box((begin,), lang)),
            *(Arrow(edge.source.key, edge.target.key, _label_box(edge.lines, lang)) for edge in between),
        ],
    )
    lines = [(begin,), *(edge.lines for edge in between)]
    size = f"{_number(plan.width)} {_number(plan.height)}"
    title = escape(spec.noun.to(lang))
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" width="{_number(plan.width)}"'
        f' height="{_number(plan.height)}" role="img" aria-label="{title}" font-family="{_FONTS}">',
        f"<title>{title}</title>",
        '<rect width="100%" height="100%" fill="#fff"/>',
        *(_arrow(route) for route in plan.routes),
        _circle(plan.centres[_START], _DOT, _INK),
    ]
    for state in spec.states:
        body += _state(state, plan.centres[state.key], boxes[state.key], loops.get(state.key, ()), lang)
    for route, texts in zip(plan.routes, lines, strict=True):
        body += _label(texts, route.label, lang)
    return "\n".join([*body, "</svg>"]) + "\n"


def _inner(state: State[P], lang: Lang) -> Box:
    lines = label(state, lang)
    width = max(_width(line, _BIG) for line in lines) + 28
    return Box(width, len(lines) * _BIG_LINE + 16, width)


def _outer(state: State[P], lang: Lang, loop: tuple[Line, ...]) -> Box:
    """The state with what hangs on it: the marker below a closed one, a loop at the right (and as much at the left)."""
    box = _inner(state, lang)
    swing = _LOOP + _label_box(loop, lang).width if loop else 0
    return Box(box.width + 2 * swing, box.height + (_TAIL if state.closed else 0), box.width)


def _label_box(lines: tuple[Line, ...], lang: Lang) -> Box:
    return Box(max(_width(line.text(lang), _SMALL) for line in lines) + 8, len(lines) * _SMALL_LINE + 4)


def _width(text: str, size: int) -> int:
    """In pixels, on the generous side."""
    return round(sum(1.0 if ord(character) > 0x2E7F else 0.58 for character in text) * size)


def _state(state: State[P], centre: Point, outer: Box, loop: tuple[Line, ...], lang: Lang) -> Iterator[str]:
    box = _inner(state, lang)
    x, top = centre[0], centre[1] - outer.height / 2
    left, bottom = x - box.width / 2, top + box.height
    fill, stroke = ("#f1f3f5", "#868e96") if state.closed else ("#eef4ff", "#3b5bdb")
    yield f"<g><title>{escape(state.meaning.to(lang))}</title>"
    yield _rectangle(left, top, box.width, box.height, fill, stroke)
    if state.closed:
        yield _rectangle(left + 3, top + 3, box.width - 6, box.height - 6, "none", stroke)
    for i, line in enumerate(label(state, lang)):
        own = i < len(state.lines)
        size, ink = (_BIG, _INK) if own else (_SMALL, _MUTED)
        yield _text(x, top + 22 + i * _BIG_LINE, size, ink, escape(line))
    yield "</g>"
    if state.closed:
        yield _arrow(Route(((x, bottom), (x, bottom + _TAIL - 2 * _DOT)), (x, bottom)))
        yield _circle((x, bottom + _TAIL - _DOT), _DOT - 1, "#fff")
        yield _circle((x, bottom + _TAIL - _DOT), _DOT - 4, _INK)
    if loop:
        right, middle = left + box.width, top + box.height / 2
        yield _loop(right, middle)
        yield from _label(loop, (right + _LOOP + _label_box(loop, lang).width / 2, middle), lang)


def _rectangle(x: float, y: float, width: float, height: float, fill: str, stroke: str) -> str:
    size = f'width="{_number(width)}" height="{_number(height)}"'
    return f'<rect x="{_number(x)}" y="{_number(y)}" {size} rx="8" fill="{fill}" stroke="{stroke}"/>'


def _arrow(route: Route) -> str:
    """Vertical at each point, an S between two, a head at the end."""
    points = route.points
    path = f"M{_point(points[0])}"
    for (x1, y1), (x2, y2) in pairwise(points):
        middle = (y1 + y2) / 2
        bend = f"C{_point((x1, middle))} {_point((x2, middle))} {_point((x2, y2))}"
        path += f"L{_point((x2, y2))}" if x1 == x2 else bend
    (x, y), rises = points[-1], points[-2][1] > points[-1][1]
    back = y + 7 if rises else y - 7
    head = f"M{_point((x, y))}L{_point((x - 4, back))}L{_point((x + 4, back))}Z"
    return f'<path d="{path}" fill="none" stroke="{_MUTED}"/><path d="{head}" fill="{_MUTED}"/>'


def _loop(x: float, y: float) -> str:
    far = x + _LOOP * 1.2
    path = f"M{_point((x, y - 10))}C{_point((far, y - 22))} {_point((far, y + 22))} {_point((x, y + 10))}"
    head = f"M{_point((x, y + 10))}L{_point((x + 8, y + 8))}L{_point((x + 6, y + 16))}Z"
    return f'<path d="{path}" fill="none" stroke="{_MUTED}"/><path d="{head}" fill="{_MUTED}"/>'


def _circle(centre: Point, radius: int, fill: str) -> str:
    x, y = centre
    return f'<circle cx="{_number(x)}" cy="{_number(y)}" r="{radius}" fill="{fill}" stroke="{_INK}"/>'


def _text(x: float, y: float, size: int, ink: str, content: str) -> str:
    at = f'x="{_number(x)}" y="{_number(y)}"'
    return f'<text {at} font-size="{size}" fill="{ink}" text-anchor="middle">{content}</text>'


def _label(lines: tuple[Line, ...], centre: Point, lang: Lang) -> Iterator[str]:
    box = _label_box(lines, lang)
    x, top = centre[0], centre[1] - box.height / 2
    size = f'width="{_number(box.width)}" height="{_number(box.height)}"'
    yield f'<rect x="{_number(x - box.width / 2)}" y="{_number(top)}" {size} fill="#fff"/>'
    for i, line in enumerate(lines):
        doers = [f'<tspan fill="{_ROLE_INK.get(doer.role, _MUTED)}">{escape(doer.text)}</tspan>' for doer in line.doers]
        content = f'{escape(line.event)}<tspan fill="{_MUTED}"> · </tspan>{joined(doers, lang)}'
        yield _text(x, top + 14 + i * _SMALL_LINE, _SMALL, _INK, content)


def _point(point: Point) -> str:
    return f"{_number(point[0])} {_number(point[1])}"


def _number(value: float) -> str:
    return f"{round(value, 1):g}"
