"""The results of a search, before they are put into the API's form."""

from dataclasses import dataclass

from app.goods.schemas import GoodOut
from app.search.engine import Match


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """One page of goods. `categories` and `trade_modes` count hits by code; `tokens` are to be highlighted."""

    goods: list[GoodOut]
    total: int
    match: Match
    corrected: str | None
    categories: dict[int, int]
    trade_modes: dict[int, int]
    tokens: frozenset[str]
