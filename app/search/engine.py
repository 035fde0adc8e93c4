"""The search engine: from a query's text to one page of good ids.

What the text asks for is read once (`app.search.understanding`), whatever engine looks for it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from app.clock import utcnow
from app.search.engines import Engine
from app.search.selection import BEGINNING, HitPage, StandingOf, Start, nobody_known, select_page
from app.search.snapshot import Filters, SearchSort, Selection
from app.search.understanding import ConstraintName, Understanding
from app.search.understanding.reader import understand


class Match(StrEnum):
    """How the results match the query."""

    ALL = "all"  # every word, as typed or a synonym
    CORRECTED = "corrected"  # every word of the corrected query, beside what matches literally
    ANY = "any"  # at least half of the words


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHits:
    """A page of hits, how they match, and how the query was understood."""

    page: HitPage
    match: Match
    understanding: Understanding
    complete: bool = True
    """Whether all hits were gathered; otherwise total and facets count what was, and are that at least."""

    @property
    def corrected(self) -> str | None:
        """The corrected query, where it found something."""
        return self.understanding.corrected if self.page.total else None

    @property
    def tokens(self) -> frozenset[str]:
        """What is to be highlighted."""
        return self.understanding.tokens()


def search(
    engine: Engine,
    text: str,
    *,
    filters: Filters,
    sort: SearchSort,
    size: int,
    start: Start = BEGINNING,
    standing_of: StandingOf = nobody_known,
    literal: bool = False,
    without: Collection[ConstraintName] = (),
) -> SearchHits:
    """Search with `engine` for `text`; `literal` and `without` as of `understand`.

    Raises `IndexMissing`, `IndexForeign` and `IndexDamaged`.
    """
    snapshot = engine.snapshot(
        Selection(filters=filters, sort=sort, count=start.reach(size), as_of=start.as_of, after=start.after)
    )
    understanding = understand(
        text, analyser=engine.analyser, vocabulary=snapshot.vocabulary(), literal=literal, without=without
    )
    matches = snapshot.matches(understanding)
    page = select_page(
        matches,
        filters=filters,
        sort=sort,
        start=start,
        size=size,
        now=int(utcnow().timestamp()),
        standing_of=standing_of,
    )
    return SearchHits(
        page=page, match=_match(page, understanding), understanding=understanding, complete=snapshot.complete
    )


def _match(page: HitPage, understanding: Understanding) -> Match:
    if page.total and not page.full_total:
        return Match.ANY
    return Match.CORRECTED if page.total and understanding.corrected is not None else Match.ALL
