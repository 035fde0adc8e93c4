"""A machine as an SVG that we draw ourselves, without any program or font: it is the same text on every computer.

Widths are estimated (a Chinese character is as wide as it is high); boxes and labels leave room for the difference.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from html import escape
from itertools import pairwise
from typing import Final, Generic

from statemachine.export.edges import NOW, Doer, Line, creation, edges, joined, label, told
from statemachine.export.layout import Arrow, Box, Point, Route, place
from statemachine.path import Path, Trace, trace
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


@dataclass(frozen=True, slots=True)
class _Look:
    """How a state or an arrow is drawn: `fill` and `stroke` of its shape, `ink` and `muted` of its text."""

    fill: str
    stroke: str
    ink: str
    muted: str
    thickness: int = 1

    @property
    def edge(self) -> str:
        """The colour of a second border, which lies on the fill."""
        return self.ink if self.fill == self.stroke else self.stroke


_INK: Final = "#212529"
_MUTED: Final = "#5c636a"
_ROLE_INK: Final[Mapping[str, str]] = {
    "buyer": "#1864ab",
    "seller": "#c2410c",
    "owner": "#c2410c",
    "gateway": "#2b7a3e",
    "staff": "#862e9c",
}
"""Roles differ in colour as well as in name; the system, and any other role, is muted."""

_OPEN: Final = _Look("#eef4ff", "#3b5bdb", _INK, _MUTED)
_CLOSED: Final = _Look("#f1f3f5", "#868e96", _INK, _MUTED)
_ARROW: Final = _Look(_MUTED, _MUTED, _INK, _MUTED)
# With a path: where the subject is, where it came through, and the rest. Light and dark alone tell them apart.
_PRESENT: Final = _Look("#a61e4d", "#a61e4d", "#fff", "#fff", thickness=3)
_PASSED: Final = _Look("#fff0f6", "#a61e4d", _INK, _MUTED, thickness=2)
_ASIDE: Final = _Look("#fff", "#ced4da", "#868e96", "#868e96")
_TAKEN: Final = _Look("#a61e4d", "#a61e4d", _INK, _MUTED, thickness=2)
_NOT_TAKEN: Final = _Look("#ced4da", "#ced4da", "#868e96", "#868e96")


def render(spec: Spec[P, E, F], lang: Lang, *, path: Path[P] | None = None) -> str:
    """`spec` as a complete SVG document, top to bottom.

    With `path` the arrows that were taken are thick, their steps numbered, and the states that were passed and the
    present one stand out; `<desc>` says it in words. Raises as `statemachine.path.trace`.
    """
    taken = None if path is None else trace(spec, path)
    arrows = edges(spec, lang, taken)
    loops = {edge.source.key: edge.lines for edge in arrows if edge.source is edge.target}
    begin: tuple[Line, ...] = (creation(spec, lang, taken),)
    lines = {(_START, spec.state(spec.start).key): begin}
    lines |= {(edge.source.key, edge.target.key): edge.lines for edge in arrows if edge.source is not edge.target}
    nodes = {state.key: _node(state, loops.get(state.key, ()), taken, lang) for state in spec.states}
    boxes = {_START: Box(_DOT * 2, _DOT * 2, _DOT)} | {key: _outer(node, lang) for key, node in nodes.items()}
    plan = place(boxes, [Arrow(source, target, _label_box(own, lang)) for (source, target), own in lines.items()])
    routed = list(zip(lines.values(), plan.routes, strict=True))
    size = f"{_number(plan.width)} {_number(plan.height)}"
    title = escape(spec.noun.to(lang))
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" width="{_number(plan.width)}"'
        f' height="{_number(plan.height)}" role="img" aria-label="{title}" font-family="{_FONTS}">',
        f"<title>{title}</title>",
        *([] if path is None else [f"<desc>{escape(told(spec, lang, path))}</desc>"]),
        '<rect width="100%" height="100%" fill="#fff"/>',
        # What was taken lies on top.
        *(_arrow(route, _look(own, taken)) for own, route in sorted(routed, key=lambda pair: _was_taken(pair[0]))),
        _circle(plan.centres[_START], _DOT, _INK),
    ]
    for key, node in nodes.items():
        body += _state(node, plan.centres[key], boxes[key], taken, lang)
    for own, route in routed:
        body += _label(own, route.label, taken, lang)
    return "\n".join([*body, "</svg>"]) + "\n"


@dataclass(frozen=True)
class _Node(Generic[P]):
    """A state with what it shows: its text, how it looks, what is written at the arrow to itself."""

    state: State[P]
    lines: tuple[str, ...]
    look: _Look
    loop: tuple[Line, ...]


def _node(state: State[P], loop: tuple[Line, ...], taken: Trace[P] | None, lang: Lang) -> _Node[P]:
    lines = label(state, lang)
    if taken is None:
        return _Node(state, lines, _CLOSED if state.closed else _OPEN, loop)
    if state.phase == taken.present:
        return _Node(state, (*lines, NOW.to(lang)), _PRESENT, loop)
    return _Node(state, lines, _PASSED if state.phase in taken.visited else _ASIDE, loop)


def _look(lines: tuple[Line, ...], taken: Trace[P] | None) -> _Look:
    if taken is None:
        return _ARROW
    return _TAKEN if _was_taken(lines) else _NOT_TAKEN


def _was_taken(lines: tuple[Line, ...]) -> bool:
    return any(line.ordinals for line in lines)


def _inner(node: _Node[P]) -> Box:
    width = max(_width(line, _BIG) for line in node.lines) + 28
    return Box(width, len(node.lines) * _BIG_LINE + 16, width)


def _outer(node: _Node[P], lang: Lang) -> Box:
    """The state with the marker below a closed one and the room for a loop at its right."""
    box = _inner(node)
    beside = _LOOP + _label_box(node.loop, lang).width if node.loop else 0.0
    return Box(box.width, box.height + (_TAIL if node.state.closed else 0), box.width, beside)


def _label_box(lines: tuple[Line, ...], lang: Lang) -> Box:
    return Box(max(_width(line.text(lang), _SMALL) for line in lines) + 8, len(lines) * _SMALL_LINE + 4)


def _width(text: str, size: int) -> int:
    """In pixels, on the generous side. From the circled numbers on, characters are as wide as they are high."""
    return round(sum(1.0 if ord(character) > 0x245F else 0.58 for character in text) * size)


def _state(node: _Node[P], centre: Point, outer: Box, taken: Trace[P] | None, lang: Lang) -> Iterator[str]:
    box, state, look = _inner(node), node.state, node.look
    x, top = centre[0], centre[1] - outer.height / 2
    left, bottom = x - box.width / 2, top + box.height
    yield f"<g><title>{escape(state.meaning.to(lang))}</title>"
    yield _rectangle(left, top, box, look)
    if state.closed:
        inner = Box(box.width - 6, box.height - 6)
        yield _rectangle(left + 3, top + 3, inner, replace(look, fill="none", stroke=look.edge, thickness=1))
    for i, line in enumerate(node.lines):
        own = i < len(state.lines)
        size, ink = (_BIG, look.ink) if own else (_SMALL, look.muted)
        yield _text(x, top + 22 + i * _BIG_LINE, size, ink, escape(line))
    yield "</g>"
    if state.closed:
        reached = taken is None or state.phase == taken.present
        ink = _INK if reached else _NOT_TAKEN.stroke
        end = _ARROW if taken is None else _TAKEN if reached else _NOT_TAKEN
        yield _arrow(Route(((x, bottom), (x, bottom + _TAIL - 2 * _DOT)), (x, bottom)), end)
        yield _circle((x, bottom + _TAIL - _DOT), _DOT - 1, "#fff", ink)
        yield _circle((x, bottom + _TAIL - _DOT), _DOT - 4, ink, ink)
    if node.loop:
        right, middle = left + box.width, top + box.height / 2
        yield _loop(right, middle, _look(node.loop, taken))
        yield from _label(node.loop, (right + _LOOP + _label_box(node.loop, lang).width / 2, middle), taken, lang)


def _rectangle(x: float, y: float, box: Box, look: _Look) -> str:
    size = f'width="{_number(box.width)}" height="{_number(box.height)}"'
    shape = f'fill="{look.fill}" stroke="{look.stroke}"{_thickness(look)}'
    return f'<rect x="{_number(x)}" y="{_number(y)}" {size} rx="8" {shape}/>'


def _arrow(route: Route, look: _Look) -> str:
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
    return _stroke(path, head, look)


def _loop(x: float, y: float, look: _Look) -> str:
    far = x + _LOOP * 1.2
    path = f"M{_point((x, y - 10))}C{_point((far, y - 22))} {_point((far, y + 22))} {_point((x, y + 10))}"
    head = f"M{_point((x, y + 10))}L{_point((x + 8, y + 8))}L{_point((x + 6, y + 16))}Z"
    return _stroke(path, head, look)


def _stroke(path: str, head: str, look: _Look) -> str:
    line = f'<path d="{path}" fill="none" stroke="{look.stroke}"{_thickness(look)}/>'
    return f'{line}<path d="{head}" fill="{look.stroke}"/>'


def _thickness(look: _Look) -> str:
    return f' stroke-width="{look.thickness}"' if look.thickness > 1 else ""


def _circle(centre: Point, radius: int, fill: str, stroke: str = _INK) -> str:
    x, y = centre
    return f'<circle cx="{_number(x)}" cy="{_number(y)}" r="{radius}" fill="{fill}" stroke="{stroke}"/>'


def _text(x: float, y: float, size: int, ink: str, content: str, *, bold: bool = False) -> str:
    at = f'x="{_number(x)}" y="{_number(y)}"'
    weight = ' font-weight="bold"' if bold else ""
    return f'<text {at} font-size="{size}" fill="{ink}" text-anchor="middle"{weight}>{content}</text>'


def _label(lines: tuple[Line, ...], centre: Point, taken: Trace[P] | None, lang: Lang) -> Iterator[str]:
    box = _label_box(lines, lang)
    x, top = centre[0], centre[1] - box.height / 2
    size = f'width="{_number(box.width)}" height="{_number(box.height)}"'
    yield f'<rect x="{_number(x - box.width / 2)}" y="{_number(top)}" {size} fill="#fff"/>'
    for i, line in enumerate(lines):
        look = _look((line,), taken)
        doers = [_doer(doer, taken) for doer in line.doers]
        marks = f'<tspan fill="{look.stroke}">{line.marks} </tspan>' if line.ordinals else ""
        content = f'{marks}{escape(line.event)}<tspan fill="{look.muted}"> · </tspan>{joined(doers, lang)}'
        yield _text(x, top + 14 + i * _SMALL_LINE, _SMALL, look.ink, content, bold=bool(line.ordinals))


def _doer(doer: Doer, taken: Trace[P] | None) -> str:
    """A role in its colour; with a path only where it was the one who did it."""
    if taken is None:
        style = f'fill="{_ROLE_INK.get(doer.role, _MUTED)}"'
    elif doer.ordinals:
        style = f'fill="{_ROLE_INK.get(doer.role, _INK)}"'
    else:
        style = f'fill="{_NOT_TAKEN.muted}" font-weight="normal"'
    return f"<tspan {style}>{escape(doer.text)}</tspan>"


def _point(point: Point) -> str:
    return f"{_number(point[0])} {_number(point[1])}"


def _number(value: float) -> str:
    return f"{round(value, 1):g}"
