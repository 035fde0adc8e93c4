"""Queries, bodies and answers of the URLs about what people search for."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from app.clock import MomentOut
from app.enums import OneOf
from app.fields import CleanText
from app.paging import PageQuery
from app.suggestions.models import QUERY_LENGTH, QueryState


class SuggestQuery(BaseModel):
    """What is being typed."""

    model_config = ConfigDict(frozen=True)

    q: Annotated[str, CleanText(1, 100)] = Field(
        description="the beginning of a query: as it is, in pinyin, as initials, mixed", examples=["yurongf"]
    )
    size: Annotated[int, Field(ge=1, le=20)] = 10


class PhraseOut(TypedDict):
    """Something to search for."""

    text: str


class SuggestionsOut(TypedDict):
    """What the typed text may become, the likeliest first; `total` is how many there are here."""

    items: list[PhraseOut]
    total: int


class HotQueriesQuery(BaseModel):
    """How many."""

    model_config = ConfigDict(frozen=True)

    size: Annotated[int, Field(ge=1, le=50)] = 20


class ClickIn(BaseModel):
    """Of which search a hit was opened."""

    model_config = ConfigDict(frozen=True)

    q: Annotated[str, CleanText(1, 100)] = Field(description="the query, as it was sent to the search")


class QuerySort(StrEnum):
    """The orders of searched queries."""

    HEAT = "heat"
    WITHOUT_HIT = "without_hit"


class SearchedQueriesQuery(PageQuery):
    """Which of the queries that people searched for."""

    state: QueryState | None = None
    sort: QuerySort = QuerySort.HEAT


class SearchedQueryOut(TypedDict):
    """A query that several clients searched for: its counts of the last two weeks, and whether others are shown it.

    `heat` is what the counts come to, the older the less; `without_hit` how many searches found nothing.
    """

    id: int
    text: str
    state: Annotated[str, OneOf(QueryState)]
    heat: int
    searches: int
    clicks: int
    without_hit: int
    changed_at: MomentOut


class BanQueryIn(BaseModel):
    """A query, and why it is banned or allowed."""

    model_config = ConfigDict(frozen=True)

    text: Annotated[str, CleanText(1, QUERY_LENGTH)]
    reason: Annotated[str, CleanText(1, 200)]
