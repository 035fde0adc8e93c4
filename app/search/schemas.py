"""What clients send to search and what they get. Prices are yuan outside and fen inside."""

from collections.abc import Mapping
from typing import Annotated, NotRequired

from pydantic import Field, ValidationInfo, field_validator
from typing_extensions import TypedDict

from app.categories import CATEGORY_TEXT
from app.fields import CleanText, YuanIn
from app.goods.schemas import CategoryIn, GoodOut, TradeModeIn
from app.paging import PageQuery, page_of
from app.search.engine import Match
from app.search.highlight import excerpt, highlighted, pattern_of
from app.search.results import Results
from app.search.snapshot import Filters, SearchSort
from statemachine.good import TRADE_TEXT


class SearchQuery(PageQuery):
    """What is looked for. A good that leaves the way of trading open is found under either way."""

    q: Annotated[str, CleanText(1, 100)] = Field(description="words of title or description", examples=["iphone 13"])
    category: CategoryIn | None = None
    price_min: YuanIn | None = None
    price_max: YuanIn | None = None
    trade_mode: TradeModeIn | None = None
    sort: SearchSort = SearchSort.RELEVANCE

    @field_validator("price_max")
    @classmethod
    def _is_a_range(cls, value: int | None, info: ValidationInfo) -> int | None:
        lowest = info.data.get("price_min")
        if value is not None and lowest is not None and value < lowest:
            raise ValueError("不能小于 price_min")
        return value

    @property
    def filters(self) -> Filters:
        """What hits are limited to."""
        return Filters(
            category=self.category, price_min=self.price_min, price_max=self.price_max, trade_mode=self.trade_mode
        )


class HighlightOut(TypedDict):
    """Title and an excerpt of the description as HTML: escaped, matches in `<em>`."""

    title: str
    description: str


class FoundGoodOut(GoodOut):
    """A good with what matched."""

    highlight: HighlightOut


class FacetOut(TypedDict):
    """How many goods choosing `code` would give."""

    code: int
    text: str
    count: int


class FacetsOut(TypedDict):
    """Counts by category (most first) and by trade mode; each leaves its own filter aside."""

    category: list[FacetOut]
    trade_mode: list[FacetOut]


class SearchOut(TypedDict):  # not Page[FoundGoodOut]: pydantic forgets the parameter of a generic base
    """One page of hits.

    `match` tells how they match: `all` words, all words of the `corrected` query, or `any` (at least half) of them.
    """

    items: list[FoundGoodOut]
    page: int
    size: int
    total: int
    pages: int
    facets: FacetsOut
    match: Match
    corrected: NotRequired[str]


def search_out(results: Results, query: SearchQuery) -> SearchOut:
    """`results` as clients get them."""
    pattern = pattern_of(results.tokens)
    goods: list[FoundGoodOut] = [
        {
            **good,
            "highlight": {
                "title": highlighted(good["title"], pattern),
                "description": excerpt(good["description"], pattern),
            },
        }
        for good in results.goods
    ]
    by_count = dict(sorted(results.categories.items(), key=lambda item: (-item[1], item[0])))
    page = page_of(goods, total=results.total, query=query)
    found: SearchOut = {
        "items": page["items"],
        "page": page["page"],
        "size": page["size"],
        "total": page["total"],
        "pages": page["pages"],
        "facets": {
            "category": _facets(by_count, CATEGORY_TEXT),
            "trade_mode": _facets(results.trade_modes, TRADE_TEXT),
        },
        "match": results.match,
    }
    if results.corrected is not None:
        found["corrected"] = results.corrected
    return found


def _facets(counts: Mapping[int, int], texts: Mapping[int, str]) -> list[FacetOut]:
    return [{"code": code, "text": texts[code], "count": count} for code, count in counts.items()]
