"""What clients send to search and what they get. Prices are yuan outside and fen inside."""

from collections.abc import Mapping
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Final, NotRequired

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from typing_extensions import TypedDict

from app.answers import Answer, Refused
from app.categories import CATEGORY_TEXT
from app.enums import OneOf, text_enum
from app.fen import YuanOut, format_yuan
from app.fields import CleanText, Separated, YuanIn
from app.goods.schemas import CategoryIn, GoodOut, TradeModeIn
from app.listings.schemas import ConditionIn
from app.listings.title_conditions import CONDITION_TEXT
from app.paging import PageQuery, page_of
from app.search import cursor as cursors
from app.search.engine import Match
from app.search.highlight import excerpt, highlighted, pattern_of
from app.search.results import Results
from app.search.selection import BEGINNING, PRICE_BANDS, Facets, Start
from app.search.snapshot import Filters, SearchSort
from app.search.understanding import Constraint, ConstraintName, Reason, Understanding
from statemachine.good import TRADE_TEXT

MOST_ROWS: Final = 10_000
"""Hits that pages reach; a cursor goes on behind them."""


class SearchQuery(PageQuery):
    """What is looked for. A good that leaves the way of trading open is found under either way."""

    q: Annotated[str, CleanText(1, 100)] = Field(description="words of title or description", examples=["iphone 13"])
    category: CategoryIn | None = None
    price_min: YuanIn | None = None
    price_max: YuanIn | None = None
    trade_mode: TradeModeIn | None = None
    condition: ConditionIn | None = Field(None, description="how used the thing is, as its title says")
    free_shipping: bool = Field(False, description="true: only goods whose freight is 0")
    sort: SearchSort = SearchSort.RELEVANCE
    literal: bool = Field(False, description="true: nothing is corrected, and no other names are looked for")
    without: Annotated[list[ConstraintName], Separated] = Field(
        default_factory=list,
        description="limits that were read out of the query and are not meant, by their `kind`, comma-separated",
    )
    cursor: Annotated[str, Field(max_length=cursors.LENGTH)] | None = Field(
        None,
        description="the `next` of the page before: goes on behind it, whatever is published or sold meanwhile;"
        " all other parameters but `size` stay the same, and there is no `page`",
    )

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
            category=self.category,
            price_min=self.price_min,
            price_max=self.price_max,
            trade_mode=self.trade_mode,
            condition=self.condition,
            free_shipping=self.free_shipping,
        )

    @property
    def start(self) -> Start:
        """Where the page begins. Raises Refused(MALFORMED) for a page too far, and a cursor of another search."""
        if self.cursor is not None:
            if "page" in self.model_fields_set:
                raise Refused(Answer.MALFORMED, data={"errors": {"cursor": ["cursor 与 page 只能给出一个"]}})
            return cursors.start_of(self.cursor, asked=self.asked)
        if self.offset + self.size > MOST_ROWS:
            reason = f"按页至多翻到第 {MOST_ROWS} 件,请用 cursor,或缩小范围"
            raise Refused(Answer.MALFORMED, data={"errors": {"page": [reason]}})
        return Start(offset=self.offset) if self.offset else BEGINNING

    @property
    def asked(self) -> str:
        """All that decides what is found, and in which order."""
        return self.model_dump_json(exclude={"page", "size", "cursor"})


class HighlightOut(TypedDict):
    """Title and an excerpt of the description as HTML: escaped, matches in `<em>`."""

    title: str
    description: str


class MatchOfGood(StrEnum):
    """Whether a good is all that was asked for, or only some of it; those that are all come first."""

    FULL = "full"
    PARTIAL = "partial"


class FoundGoodOut(GoodOut):
    """A good with what matched."""

    match: Annotated[str, OneOf(MatchOfGood)]
    highlight: HighlightOut


class FacetOut(TypedDict):
    """How many goods choosing `code` would give."""

    code: int
    text: str
    count: int


class PriceFacetOut(TypedDict):
    """How many goods a range of prices would give; `price_max` is null where the range has no end."""

    price_min: YuanOut
    price_max: YuanOut | None
    count: int


class FacetsOut(TypedDict):
    """Counts by category (most first), trade mode, price, condition, and of goods without freight.

    Each leaves its own filter aside, so it counts what choosing another value would give.
    """

    category: list[FacetOut]
    trade_mode: list[FacetOut]
    price: list[PriceFacetOut]
    condition: list[FacetOut]
    free_shipping: int


UnderstoodKind = text_enum(
    "UnderstoodKind",
    [*ConstraintName, *Reason, "dropped"],
    about="What became of a part of the query: a limit (which `without` takes back), what was looked for instead (typo,"
    " pinyin) or as well (alias), or a word that says nothing of a good (dropped).",
)


class UnderstoodOut(TypedDict):
    """One part of the query: `text` as it was typed, `value` what it was taken for; null for what was dropped."""

    kind: Annotated[str, OneOf(UnderstoodKind)]
    text: str
    value: str | None


class SearchOut(TypedDict):  # not Page[FoundGoodOut]: pydantic forgets the parameter of a generic base
    """One page of hits.

    `match` tells how they match: `all` words, all words of the `corrected` query, or `any` (at least half) of them.
    `next` is the `cursor` to the page behind this one, null where nothing follows. Where `total_is_exact` is
    false, more goods match than were counted: `total` and the facets are at least so many.
    """

    items: list[FoundGoodOut]
    page: int
    size: int
    total: int
    total_is_exact: bool
    pages: int
    facets: FacetsOut
    match: Match
    corrected: NotRequired[str]
    understood: list[UnderstoodOut]
    next: str | None


def search_out(results: Results, query: SearchQuery) -> SearchOut:
    """`results` as clients get them."""
    pattern = pattern_of(results.tokens)
    goods: list[FoundGoodOut] = [
        {
            **found.good,
            "match": (MatchOfGood.FULL if found.full else MatchOfGood.PARTIAL).value,
            "highlight": {
                "title": highlighted(found.good["title"], pattern),
                "description": excerpt(found.good["description"], pattern),
            },
        }
        for found in results.goods
    ]
    page = page_of(goods, total=results.total, query=query)
    answered: SearchOut = {
        "items": page["items"],
        "page": page["page"],
        "size": page["size"],
        "total": page["total"],
        "total_is_exact": results.total_is_exact,
        "pages": page["pages"],
        "facets": _facets_out(results.facets),
        "match": results.match,
        "understood": _understood(results.understanding),
        "next": None if results.next is None else cursors.cursor_of(results.next, asked=query.asked),
    }
    if results.corrected is not None:
        answered["corrected"] = results.corrected
    return answered


def _understood(understanding: Understanding) -> list[UnderstoodOut]:
    """What the query was taken for: its limits, its changes, its talk."""
    limits: list[UnderstoodOut] = [
        {"kind": each.name.value, "text": each.text, "value": _limit_text(each)} for each in understanding.constraints
    ]
    changes: list[UnderstoodOut] = [
        {"kind": each.reason.value, "text": each.typed, "value": each.meant} for each in understanding.changes
    ]
    return limits + changes + [{"kind": "dropped", "text": text, "value": None} for text in understanding.dropped]


def _limit_text(limit: Constraint) -> str:
    """The value of a limit, as people read it."""
    if limit.name in (ConstraintName.PRICE_MIN, ConstraintName.PRICE_MAX):
        return format_yuan(int(limit.value))
    if limit.name is ConstraintName.CONDITION:
        return CONDITION_TEXT[int(limit.value)]
    return "包邮" if limit.name is ConstraintName.FREE_SHIPPING else str(limit.value)


def _facets_out(facets: Facets) -> FacetsOut:
    by_count = dict(sorted(facets.categories.items(), key=lambda item: (-item[1], item[0])))
    ends = dict(pairwise(PRICE_BANDS))
    return {
        "category": _facets(by_count, CATEGORY_TEXT),
        "trade_mode": _facets(facets.trade_modes, TRADE_TEXT),
        "price": [
            {
                "price_min": format_yuan(low),
                "price_max": format_yuan(ends[low] - 1) if low in ends else None,
                "count": count,
            }
            for low, count in facets.prices.items()
        ],
        "condition": _facets(facets.conditions, CONDITION_TEXT),
        "free_shipping": facets.free_shipping,
    }


def _facets(counts: Mapping[int, int], texts: Mapping[int, str]) -> list[FacetOut]:
    return [{"code": code, "text": texts[code], "count": count} for code, count in counts.items()]


class SimilarQuery(BaseModel):
    """How many."""

    model_config = ConfigDict(frozen=True)

    size: Annotated[int, Field(ge=1, le=20)] = 10


class SimilarOut(TypedDict):
    """Goods like one, the likest first; `total` is how many there are here."""

    items: list[GoodOut]
    total: int
