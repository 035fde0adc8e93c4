"""The results of a search, before they are put into the API's form."""

from dataclasses import dataclass, field

from app.goods.schemas import GoodOut
from app.search.engine import Match
from app.search.selection import Facets, Start
from app.search.understanding import Understanding


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundGood:
    """A good, and whether it is all that was asked for or only some of it."""

    good: GoodOut
    full: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """One page of goods, and where the next one begins; `tokens` are to be highlighted."""

    goods: list[FoundGood] = field(default_factory=list)
    total: int = 0
    total_is_exact: bool = True
    facets: Facets = field(default_factory=Facets)
    match: Match = Match.ALL
    corrected: str | None = None
    tokens: frozenset[str] = frozenset()
    understanding: Understanding = field(default_factory=lambda: Understanding(text=""))
    next: Start | None = None
