"""Goods like one: by the words of its title, its category and its price."""

import dataclasses
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.clock import utcnow
from app.language.analysis import STOP_WORDS, is_han
from app.language.normal_form import normalise
from app.listings.flags import flags_of
from app.listings.models import ListingFlag
from app.search.documents import FLAG_BITS, bits_of
from app.search.engines import Engine
from app.search.selection import BEGINNING, select_page
from app.search.snapshot import Filters, Matches, SearchSort, Selection
from app.search.understanding import Alternative, Group

_WORDS: Final = 8
"""The rarest words of the title are looked for, so many, and a like good has a third of them."""

_OTHER_CATEGORY: Final = 0.4
_OTHER_KIND: Final = 0.3
"""What the score of a good of another category is multiplied by, and of an accessory beside the thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """The good that others are to be like. `price` is fen."""

    good_id: int
    title: str
    description: str
    category: int
    price: int


def similar(engine: Engine, pattern: Pattern, *, count: int) -> list[int]:
    """The ids of at most `count` goods like `pattern`, the likest first, sellers apart.

    A good scores by the words of the title that it has, the rare ones most, as in a search, divided by
    1 + |ln(ratio of the prices)| / 2. Raises `IndexMissing`, `IndexForeign` and `IndexDamaged`.
    """
    snapshot = engine.snapshot(Selection(filters=Filters(), sort=SearchSort.RELEVANCE, count=BEGINNING.reach(count)))
    tokens = {token.text for token in engine.analyser.query_tokens(normalise(pattern.title))} - STOP_WORDS
    tokens = {token for token in tokens if len(token) > 1 or is_han(token)}  # a letter is what is left of a measure
    frequencies = {token: snapshot.frequency(token) for token in tokens}
    rarest = sorted((token for token in tokens if frequencies[token]), key=lambda token: (frequencies[token], token))
    groups = [Group((Alternative((token,)),), 0, 0) for token in rarest[:_WORDS]]
    if not groups:
        return []
    matches = snapshot.matches_of_some(groups, at_least=-(-len(groups) // 3))
    page = select_page(
        _scored(matches, pattern),
        filters=Filters(),
        sort=SearchSort.RELEVANCE,
        start=BEGINNING,
        size=count + 1,
        now=int(utcnow().timestamp()),
    )
    return [good_id for good_id in page.ids if good_id != pattern.good_id][:count]


def _scored(matches: Matches, pattern: Pattern) -> Matches:
    """`matches` with the scores of goods like `pattern`."""
    accessory = FLAG_BITS[ListingFlag.ACCESSORY]
    is_accessory = bits_of(flags_of(pattern.title, pattern.description, ())) & accessory
    ratio = np.abs(np.log(np.maximum(matches.price, 1) / max(pattern.price, 1)))
    score = (
        matches.score
        * np.where(matches.category == pattern.category, 1.0, _OTHER_CATEGORY)
        * np.where((matches.flags & accessory) == is_accessory, 1.0, _OTHER_KIND)
        / (1 + ratio / 2)
    )
    return dataclasses.replace(matches, score=score)
