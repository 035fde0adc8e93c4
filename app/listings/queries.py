"""The reference price of a title: a handful of reads, however many listings there are.

Listings are found by their terms alone (`app.listings.wanted`), through one index. Of a name that too many have only
as many of the 256 parts are read as make a sample; which parts says nothing about a price.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Row,
    Select,
    SmallInteger,
    bindparam,
    case,
    func,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.types import NullType

from app.clock import shown_or_none, utcnow
from app.db.transactions import rows
from app.fen import format_yuan, format_yuan_or_none
from app.language.service import analyser
from app.listings.flags import flags_of
from app.listings.models import NOT_COMPARABLE, Listing, ListingFlag, ListingPrice
from app.listings.schemas import PriceReferenceOut, PricesOut
from app.listings.statistics import Observation, Summary, summarise
from app.listings.terms import PARTS, part_term
from app.listings.wanted import STEPS, readable, wanted_terms
from app.settings import settings

_SAMPLE: Final = 512
"""Listings of which a median is as good as of all: 95 % of the time within 5 of 100 places from the middle."""
_MOST_READ: Final = 16 * _SAMPLE
_NAMED_BY_NOUNS: Final = frozenset({ListingFlag.ACCESSORY, ListingFlag.SERVICE})
"""What is done or made for a model is not told by the model: a case, a battery."""


def _terms(name: str) -> ColumnElement[Any]:
    return bindparam(name, type_=Listing.terms.type)


_CATEGORY: Final = bindparam("category", type_=SmallInteger)
_COUNTS: Final = (
    (Listing.last_seen_at >= bindparam("since", type_=DateTime(timezone=True)))
    & or_(_CATEGORY.is_(None), Listing.category == _CATEGORY, Listing.category.is_(None))
    & Listing.flags.contains(bindparam("flags", type_=Listing.flags.type))
)

_SIZE: Final[Select[*tuple[Any, ...]]] = select(
    func.count().label("all"), func.count().filter(_COUNTS).label("counting")
).where(Listing.terms.contains(_terms("probe")))
"""How many listings one part has with all terms of the last step, and how many of them count."""

_LAST_PRICE: Final = (
    select(func.max(ListingPrice.seen_at)).where(ListingPrice.listing_id == Listing.id).scalar_subquery()
)

_FOUND: Final[Select[*tuple[Any, ...]]] = (
    select(
        Listing.price,
        # What was first seen had been asked for since it was published.
        func.coalesce(
            func.nullif(_LAST_PRICE, Listing.first_seen_at), Listing.published_at, Listing.first_seen_at
        ).label("asked_since"),
        Listing.last_seen_at,
        type_coerce(Listing.flags, NullType()).label("flags"),  # psycopg makes a list of it in C
        case(
            *((Listing.terms.contains(_terms(f"step{number}")), number) for number in range(STEPS - 1)),
            else_=STEPS - 1,
        ).label("step"),
    )
    .where(Listing.terms.contains(_terms("last")), _COUNTS)
    .limit(_MOST_READ)
)
_FOUND_IN_PARTS: Final = _FOUND.where(Listing.terms.overlap(_terms("parts")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What was found for a title. `summary` is None below `needed` comparable listings; `count` is how many there are.

    `terms` are what they have in common, `ignored` what the title says beside it.
    """

    needed: int
    days: int
    summary: Summary | None = None
    count: int = 0
    terms: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    sampled: bool = False
    removed: Counter[str] = field(default_factory=Counter)
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Search:
    """What is looked for, beside the terms."""

    category: int | None
    flags: frozenset[ListingFlag]
    since: datetime

    def find(self, steps: Sequence[frozenset[str]]) -> tuple[Sequence[Row[Any]], bool]:
        """The listings with all terms of the last of `steps`, and whether they are a sample.

        Each comes with the number of the first step that it fulfils.
        """
        last = sorted(steps[-1])
        padded = [sorted(step) for step in steps] + [last] * (STEPS - len(steps))
        common = {
            "category": self.category,
            "flags": sorted(flag.value for flag in self.flags),
            "since": self.since,
        }
        size = rows(_SIZE, common | {"probe": [*last, part_term(0)]})[0]
        common |= {"last": last} | {f"step{number}": terms for number, terms in enumerate(padded[:-1])}
        if size.counting * PARTS <= 2 * _SAMPLE and size.all * PARTS <= _MOST_READ:
            return rows(_FOUND, common), False
        parts = max(1, min(-(-_SAMPLE // max(size.counting, 1)), _MOST_READ // size.all, PARTS))
        return rows(_FOUND_IN_PARTS, common | {"parts": [part_term(part) for part in range(parts)]}), True


def find_reference(*, title: str, category: int | None, now: datetime | None = None) -> Reference:
    """What listings like `title` are asked for, in fen.

    `category` leaves out listings of another one; those whose category nobody knows stay. A title that is itself an
    accessory or a rental is compared with such listings alone.
    """
    days, needed = settings().price_reference_days, settings().price_reference_least
    moment = now or utcnow()
    flags = flags_of(title, None, ()) & NOT_COMPARABLE
    steps = wanted_terms(analyser(), title, nouns=not flags.isdisjoint(_NAMED_BY_NOUNS))
    search = _Search(category, flags, moment - timedelta(days=days))
    reference = Reference(needed=needed, days=days)
    remaining = len(steps)
    while remaining:
        found, sampled = search.find(steps[:remaining])
        for number in range(remaining):
            reached = _Reached([row for row in found if row.step <= number], flags)
            summary = summarise(reached.observations, now=moment, looseness=number)
            enough = summary is not None and summary.count >= reference.needed
            if enough or number == len(steps) - 1:
                reference = replace(
                    reference,
                    summary=summary if enough else None,
                    count=summary.count if summary else 0,
                    terms=tuple(readable(steps[number])),
                    ignored=tuple(readable(steps[0] - steps[number])),
                    sampled=sampled,
                    removed=reached.removed + Counter(outlier=summary.outliers if summary else 0),
                    updated_at=reached.updated_at,
                )
            if enough:
                break
        # A sample of what the last step finds may hold too few of what an earlier one does.
        remaining = number if sampled else 0
    return reference


class _Reached:
    """The listings that fulfil a step, and those of them that count."""

    def __init__(self, found: Sequence[Row[Any]], flags: frozenset[ListingFlag]) -> None:
        self._used = []
        self.removed = Counter[str]()
        """How many are something else, by the first flag that says so."""
        for row in found:
            others = [flag for flag in row.flags if flag in NOT_COMPARABLE and flag not in flags]
            if others:
                self.removed[others[0]] += 1
            elif row.price:
                self._used.append(row)

    @property
    def observations(self) -> list[Observation]:
        """Their prices."""
        return [Observation(row.price, row.asked_since) for row in self._used]

    @property
    def updated_at(self) -> datetime | None:
        """When the newest of those that count was seen."""
        return max((row.last_seen_at for row in self._used), default=None)


def price_reference(*, title: str, category: int | None, now: datetime | None = None) -> PriceReferenceOut:
    """What listings like `title` are asked for, as clients get it. See `find_reference`."""
    return reference_out(find_reference(title=title, category=category, now=now))


def reference_out(reference: Reference) -> PriceReferenceOut:
    """`reference` as clients get it."""
    removed = reference.removed
    return {
        "enough": reference.summary is not None,
        "count": reference.count,
        "needed": reference.needed,
        "prices": None if reference.summary is None else _prices_out(reference.summary),
        "basis": {
            "terms": list(reference.terms),
            "ignored": list(reference.ignored),
            "days": reference.days,
            "sampled": reference.sampled,
            "removed": {
                "accessory": removed["accessory"],
                "rental": removed["rental"],
                "wanted": removed["wanted"],
                "auction": removed["auction"],
                "service": removed["service"],
                "broken": removed["broken"],
                "advertisement": removed["advertisement"],
                "outlier": removed["outlier"],
            },
            "updated_at": shown_or_none(reference.updated_at),
        },
    }


def _prices_out(summary: Summary) -> PricesOut:
    return {
        "median": format_yuan(summary.median),
        "lower_quartile": format_yuan(summary.lower_quartile),
        "upper_quartile": format_yuan(summary.upper_quartile),
        "typical_low": format_yuan(summary.typical_low),
        "typical_high": format_yuan(summary.typical_high),
        "margin_low": format_yuan(summary.margin_low),
        "margin_high": format_yuan(summary.margin_high),
        "histogram": [
            {"low": format_yuan(each.low), "high": format_yuan(each.high), "count": each.count} for each in summary.bins
        ],
        "weeks": [
            {"begins": week.begins.isoformat(), "median": format_yuan_or_none(week.median), "count": week.count}
            for week in summary.weeks
        ],
        "trend": {
            "direction": summary.trend.direction,
            "percent": summary.trend.percent,
            "text": summary.trend_text,
        },
        "confidence": summary.confidence,
        "confidence_text": summary.confidence_text,
    }
