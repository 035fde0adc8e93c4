"""Goods like one: by the words of its title, its category and its price."""

import dataclasses
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.clock import utcnow
from app.search.engines import Engine
from app.search.selection import BEGINNING, select_page
from app.search.snapshot import Filters, Matches, SearchSort, Selection
from app.search.understanding import ConstraintName
from app.search.understanding.reader import understand

_OTHER_CATEGORY: Final = 0.4
"""What the score of a good of another category is multiplied by."""

_PRICE: Final = 0.2
"""How much a price that is e times as high, or as low, takes away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """The good that others are to be like. `price` is fen."""

    good_id: int
    title: str
    category: int
    price: int


def similar(engine: Engine, pattern: Pattern, *, count: int) -> list[int]:
    """The ids of at most `count` goods like `pattern`, the likest first, sellers apart.

    The title is understood as a query is, so the thing counts most, then brand and model; what the title says of
    condition, size or place limits nothing. The score is multiplied by `_OTHER_CATEGORY` where the category is another,
    and divided by `1 + _PRICE × |ln(ratio of the prices)|`. Raises `IndexMissing`, `IndexForeign` and `IndexDamaged`.
    """
    snapshot = engine.snapshot(Selection(filters=Filters(), sort=SearchSort.RELEVANCE, count=BEGINNING.reach(count)))
    understanding = understand(
        pattern.title, analyser=engine.analyser, vocabulary=snapshot.vocabulary(), without=frozenset(ConstraintName)
    )
    page = select_page(
        _scored(snapshot.matches(understanding), pattern),
        filters=Filters(),
        sort=SearchSort.RELEVANCE,
        start=BEGINNING,
        size=count + 1,
        now=int(utcnow().timestamp()),
    )
    return [good_id for good_id in page.ids if good_id != pattern.good_id][:count]


def _scored(matches: Matches, pattern: Pattern) -> Matches:
    """`matches` with the scores of goods like `pattern`; whether they are full hits of its title does not matter."""
    distance = np.abs(np.log(np.maximum(matches.price, 1) / max(pattern.price, 1)))
    same = np.where(matches.category == pattern.category, 1.0, _OTHER_CATEGORY)
    score = matches.score * same / (1 + _PRICE * distance)
    return dataclasses.replace(matches, score=score, full=np.ones(len(matches), np.bool_))
