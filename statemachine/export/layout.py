"""Places the boxes and arrows of a graph in layers, top to bottom, so that no label covers another.

The classic method (Sugiyama, Tagawa, Toda 1981):

1. turn round the arrows that close a cycle, so that all point downwards;
2. put each box on a rank (a horizontal layer) below all boxes from which an arrow leads to it;
3. give every arrow a place of its own on each rank that it passes; its label takes one of them;
4. order each rank so that few arrows cross;
5. move the places sideways until the arrows are as straight as they can be.

Nothing is random or takes the time into account: the same graph is laid out the same way on every machine.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

Point = tuple[float, float]

_SPACE: Final = 26.0
"""Least space between neighbours on a rank."""
_MARGIN: Final = 16.0
_ORDER_SWEEPS: Final = 24
_SIDEWAYS_SWEEPS: Final = 600
_STILL: Final = 0.05
"""Sideways sweeps end when no place moves by more pixels than this."""
_LONG: Final = 24.0
"""How much harder an arrow pulls to be straight between ranks that it only passes."""


@dataclass(frozen=True, slots=True)
class Box:
    """The size of something to place, in pixels: a box, or the label of an arrow.

    Arrows may meet its top and bottom over a width of `side`; `beside` is more room that it needs at its right.
    """

    width: float
    height: float
    side: float = 0.0
    beside: float = 0.0


@dataclass(frozen=True, slots=True)
class Arrow:
    """From one box to another, by name, with the size of its label. No arrow leads from a box to itself."""

    source: str
    target: str
    label: Box


@dataclass(frozen=True, slots=True)
class Route:
    """The points that an arrow passes, each of them vertically, and the centre of its label."""

    points: tuple[Point, ...]
    label: Point


@dataclass(frozen=True, slots=True)
class Layout:
    """The size of the whole, the centre of each box, and the arrows in the order in which they were given."""

    width: float
    height: float
    centres: dict[str, Point]
    routes: tuple[Route, ...]


@dataclass(eq=False)
class _Place:
    """A box, a label or a passing arrow on one rank.

    `above` and `below` are its links to the two ranks next to it, `index` counts from the left, `band` is the top and
    the bottom of the rank.
    """

    rank: int
    width: float
    height: float
    side: float
    beside: float
    passing: bool
    above: list["_Link"] = field(default_factory=list)
    below: list["_Link"] = field(default_factory=list)
    index: int = 0
    x: float = 0.0
    y: float = 0.0
    band: tuple[float, float] = (0.0, 0.0)


@dataclass(eq=False)
class _Link:
    """A piece of an arrow between two ranks. `out` and `into`: how far from the centre it meets its two ends."""

    upper: _Place
    lower: _Place
    out: float = 0.0
    into: float = 0.0

    @property
    def weight(self) -> float:
        return _LONG if self.upper.passing and self.lower.passing else 1.0


def place(boxes: dict[str, Box], arrows: Sequence[Arrow]) -> Layout:
    """Lay out `boxes`, whose names the arrows use; every box has to be connected with the first one."""
    turned = _closing_cycles(boxes, arrows)
    ends = [(a.target, a.source) if i in turned else (a.source, a.target) for i, a in enumerate(arrows)]
    rank = _ranks(boxes, ends)
    placed = {name: _put(box, rank[name], passing=False) for name, box in boxes.items()}
    layers: list[list[_Place]] = [[] for _ in range(max(rank.values()) + 1)]
    for item in placed.values():
        layers[item.rank].append(item)
    chains = [
        _chain(placed[upper], placed[lower], arrow.label, layers)
        for (upper, lower), arrow in zip(ends, arrows, strict=True)
    ]
    _order(layers)
    _spread_ports(placed.values())
    _move_sideways(layers)
    width, height = _settle(layers)
    return Layout(
        width,
        height,
        {name: (item.x, item.y) for name, item in placed.items()},
        tuple(_route(chain, turned=i in turned) for i, chain in enumerate(chains)),
    )


def _put(box: Box, rank: int, *, passing: bool) -> _Place:
    return _Place(rank, box.width, box.height, box.side, box.beside, passing=passing)


def _closing_cycles(boxes: dict[str, Box], arrows: Sequence[Arrow]) -> set[int]:
    """The arrows that lead back to where a walk, depth first and in the order given, has come from."""
    onward: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for i, arrow in enumerate(arrows):
        onward[arrow.source].append((i, arrow.target))
    done: set[str] = set()
    trail: list[str] = []
    back: set[int] = set()

    def walk(name: str) -> None:
        trail.append(name)
        for i, target in onward[name]:
            if target in trail:
                back.add(i)
            elif target not in done:
                walk(target)
        done.add(trail.pop())

    for name in boxes:
        if name not in done:
            walk(name)
    return back


def _ranks(boxes: dict[str, Box], ends: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The rank of each box, an even number: the odd ranks between them are for labels."""
    rank = dict.fromkeys(boxes, 0)
    for _ in boxes:
        for upper, lower in ends:
            rank[lower] = max(rank[lower], rank[upper] + 2)
    return rank


def _chain(upper: _Place, lower: _Place, label: Box, layers: list[list[_Place]]) -> list[_Link]:
    """A place on each rank between two boxes, linked to each other; the label gets the odd rank in the middle."""
    middle = upper.rank + 1 + (lower.rank - upper.rank - 2) // 4 * 2
    chain = [upper]
    for rank in range(upper.rank + 1, lower.rank):
        size = label if rank == middle else Box(0, 0)
        chain.append(_put(size, rank, passing=True))
        layers[rank].append(chain[-1])
    chain.append(lower)
    links = [_Link(one, two) for one, two in pairwise(chain)]
    for link in links:
        link.upper.below.append(link)
        link.lower.above.append(link)
    return links


def _order(layers: list[list[_Place]]) -> None:
    """Sort each rank by the positions of its neighbours, downwards and upwards in turn; keep the best order found."""
    _number(layers)
    best, crossings = _positions(layers), _crossings(layers)
    for sweep in range(_ORDER_SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            layer.sort(key=_above_middle if down else _below_middle)
            _number([layer])
        _swap_neighbours(layers)
        now = _crossings(layers)
        if now < crossings:
            best, crossings = _positions(layers), now
    for layer in layers:
        layer.sort(key=lambda item: best[item])
    _number(layers)


def _swap_neighbours(layers: list[list[_Place]]) -> None:
    for layer in layers:
        for i in range(len(layer) - 1):
            before = _crossings_around(layer)
            layer[i], layer[i + 1] = layer[i + 1], layer[i]
            _number([layer])
            if _crossings_around(layer) >= before:
                layer[i], layer[i + 1] = layer[i + 1], layer[i]
                _number([layer])


def _number(layers: Iterable[list[_Place]]) -> None:
    for layer in layers:
        for index, item in enumerate(layer):
            item.index = index


def _positions(layers: list[list[_Place]]) -> dict[_Place, int]:
    return {item: item.index for layer in layers for item in layer}


def _above_middle(item: _Place) -> float:
    return _mean([link.upper.index for link in item.above], item.index)


def _below_middle(item: _Place) -> float:
    return _mean([link.lower.index for link in item.below], item.index)


def _mean(values: list[int], otherwise: int) -> float:
    return sum(values) / len(values) if values else float(otherwise)


def _crossings(layers: list[list[_Place]]) -> int:
    return sum(_crossed([link for item in layer for link in item.below]) for layer in layers)


def _crossings_around(layer: list[_Place]) -> int:
    return _crossed([link for item in layer for link in item.below]) + _crossed(
        [link for item in layer for link in item.above]
    )


def _crossed(links: list[_Link]) -> int:
    spans = [(link.upper.index, link.lower.index) for link in links]
    return sum((a - c) * (b - d) < 0 for i, (a, b) in enumerate(spans) for c, d in spans[:i])


def _spread_ports(boxes: Iterable[_Place]) -> None:
    """Where several arrows meet one side of a box, set them apart in the order of their other ends."""
    for box in boxes:
        box.below.sort(key=lambda link: link.lower.index)
        box.above.sort(key=lambda link: link.upper.index)
        for link, offset in zip(box.below, _offsets(box.side, len(box.below)), strict=True):
            link.out = offset
        for link, offset in zip(box.above, _offsets(box.side, len(box.above)), strict=True):
            link.into = offset


def _offsets(side: float, count: int) -> list[float]:
    step = side * 0.8 / max(count, 3)
    return [(i - (count - 1) / 2) * step for i in range(count)]


def _move_sideways(layers: list[list[_Place]]) -> None:
    """Move each place towards where its links would be straight, rank by rank, keeping their order and space."""
    for layer in layers:
        right = 0.0
        for item in layer:
            item.x = right + item.width / 2
            right += item.width + item.beside + _SPACE
    sweep, farthest = 0, _STILL
    while farthest >= _STILL and sweep < _SIDEWAYS_SWEEPS:
        farthest = max(_pull(layer) for layer in (layers if sweep % 2 == 0 else reversed(layers)))
        sweep += 1


def _pull(layer: list[_Place]) -> float:
    """Place one rank where its links are straightest: least squares, with the least space between neighbours kept.

    Solved exactly, by pooling neighbours that would overlap. Returns the longest distance that a place has moved.
    """
    pools: list[tuple[float, float, list[_Place]]] = []  # weight, weight × wanted left edge of the pool, members
    gaps = [0.0]
    for one, two in pairwise(layer):
        gaps.append(gaps[-1] + (one.width + two.width) / 2 + one.beside + _SPACE)
    for item, gap in zip(layer, gaps, strict=True):
        weight, wanted = _wanted(item)
        pool = (weight, weight * (wanted - gap), [item])
        while pools and pools[-1][1] / pools[-1][0] > pool[1] / pool[0]:
            left = pools.pop()
            pool = (left[0] + pool[0], left[1] + pool[1], left[2] + pool[2])
        pools.append(pool)
    at = {item: total / weight for weight, total, members in pools for item in members}
    farthest = 0.0
    for item, gap in zip(layer, gaps, strict=True):
        farthest = max(farthest, abs(at[item] + gap - item.x))
        item.x = at[item] + gap
    return farthest


def _wanted(item: _Place) -> tuple[float, float]:
    pulls = [(link.weight, link.upper.x + link.out - link.into) for link in item.above]
    pulls += [(link.weight, link.lower.x + link.into - link.out) for link in item.below]
    weight = sum(pull for pull, _ in pulls)
    return weight, sum(pull * x for pull, x in pulls) / weight


def _settle(layers: list[list[_Place]]) -> tuple[float, float]:
    """Round x to pixels, stack the ranks (with more room where arrows run far sideways), and return the whole size."""
    items = [item for layer in layers for item in layer]
    left = min(item.x - item.width / 2 for item in items) - _MARGIN
    for item in items:
        item.x = float(round(item.x - left))
    y = _MARGIN
    for layer in layers:
        tall = max(item.height for item in layer)
        for item in layer:
            item.band = (y, y + tall)
            # Boxes hang from the top of their rank, labels float in its middle.
            item.y = y + (tall if item.passing else item.height) / 2
        sideways = [abs(link.upper.x + link.out - link.lower.x - link.into) for item in layer for link in item.below]
        y += tall + round(min(20 + max(sideways, default=0.0) / 12, 44))
    right = max(item.x + item.width / 2 + item.beside for item in items)
    return right + _MARGIN, max(item.band[1] for item in items) + _MARGIN


def _route(chain: list[_Link], *, turned: bool) -> Route:
    first, last = chain[0], chain[-1]
    start = first.upper.x + first.out
    # Straight down to the end of its rank first, so as not to cut through a taller neighbour.
    points = [(start, first.upper.y + first.upper.height / 2)]
    if points[0][1] < first.upper.band[1]:
        points.append((start, first.upper.band[1]))
    passed = [link.lower for link in chain[:-1]]
    for item in passed:
        points += [(item.x, item.band[0]), (item.x, item.band[1])]
    points.append((last.lower.x + last.into, last.lower.y - last.lower.height / 2))
    label = max(passed, key=lambda item: item.width)
    return Route(tuple(reversed(points) if turned else points), (label.x, label.y))
