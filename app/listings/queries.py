"""The reference price of a title: a handful of reads, however many listings there are.

Listings are found by their terms alone (`app.listings.relaxation`), through one index. Where too many have the terms,
only as many of the 256 parts are read as make a sample; a listing's part says nothing about its price.
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
    literal_column,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.types import NullType

from app.clock import SHANGHAI, format_moment, format_moment_or_none, utcnow
from app.db.transactions import rows
from app.fen import format_yuan, format_yuan_or_none
from app.language.service import analyser
from app.listings.axis import short_yuan
from app.listings.flags import flags_of
from app.listings.models import (
    NOT_COMPARABLE,
    Listing,
    ListingCondition,
    ListingFlag,
    ListingPrice,
    SearchSupply,
)
from app.listings.relaxation import MAX_STEPS, readable, relaxation_steps
from app.listings.schemas import PriceReferenceOut, PricesOut
from app.listings.statistics import Observation, Summary, quantile, summarise
from app.listings.terms import PARTS, part_term
from app.listings.title_conditions import CONDITION_TEXT, condition_in_title
from app.settings import settings

_SAMPLE: Final = 512
"""Listings whose median is as good as that of all: 95 % of the time within 5 of 100 places from the middle."""
_WITHOUT_SAMPLING: Final = 2 * _SAMPLE
"""Up to so many listings that count are read, all of them."""
_MOST_READ: Final = 16 * _SAMPLE
"""Rows with the terms that one statement may look at, most of which may not count."""
_NAMED_BY_NOUNS: Final = frozenset({ListingFlag.ACCESSORY, ListingFlag.SERVICE})
"""What is made or done for a model is not identified by the model: a case, a battery, a repair."""


def _terms(name: str) -> ColumnElement[Any]:
    return bindparam(name, type_=Listing.terms.type)


_CATEGORY: Final = bindparam("category", type_=SmallInteger)
_COUNTS: Final = (
    (Listing.last_seen_at >= bindparam("since", type_=DateTime(timezone=True)))
    & or_(_CATEGORY.is_(None), Listing.category == _CATEGORY, Listing.category.is_(None))
    & Listing.flags.contains(bindparam("flags", type_=Listing.flags.type))
)
"""Whether a listing that has the terms counts: seen lately, of the category, as broken or rented as the title says."""

_sizes = (
    select(func.count().label("matching"), func.count().filter(_COUNTS).label("counting"))
    .where(Listing.terms.contains(_terms("probe")))
    .subquery("sizes")
)
_STEPS: Final = (*(f"step{number}" for number in range(MAX_STEPS - 1)), "last")
_supply = (
    select(
        SearchSupply.offers,
        SearchSupply.seen_at,
        case(*((SearchSupply.terms == _terms(name), number) for number, name in enumerate(_STEPS))).label("step"),
    )
    .where(
        or_(*(SearchSupply.terms == _terms(name) for name in _STEPS)),
        SearchSupply.seen_at >= bindparam("since", type_=DateTime(timezone=True)),
        or_(_CATEGORY.is_(None), SearchSupply.category == _CATEGORY, SearchSupply.category.is_(None)),
    )
    .order_by("step", SearchSupply.seen_at.desc(), SearchSupply.id)
    .limit(1)
    .subquery("supply")
)
_PART_SIZE: Final[Select[*tuple[Any, ...]]] = select(*_sizes.c, *_supply.c).select_from(
    _sizes.outerjoin(_supply, literal_column("true"))
)
"""How many listings of one part have all terms of the most relaxed step, and how many of them count.

With it comes what is known of the supply: by the latest search for what the strictest of the steps names.
"""

_LAST_PRICE_CHANGE: Final = (
    select(func.max(ListingPrice.seen_at)).where(ListingPrice.listing_id == Listing.id).scalar_subquery()
)

_FOUND: Final[Select[*tuple[Any, ...]]] = (
    select(
        Listing.price,
        # The price that a listing had when it was first seen stands since its publication.
        func.coalesce(
            func.nullif(_LAST_PRICE_CHANGE, Listing.first_seen_at), Listing.published_at, Listing.first_seen_at
        ).label("asked_since"),
        Listing.last_seen_at,
        Listing.condition,
        Listing.coupon_off,
        type_coerce(Listing.flags, NullType()).label("flags"),  # psycopg makes a list of it in C
        case(
            *((Listing.terms.contains(_terms(f"step{number}")), number) for number in range(MAX_STEPS - 1)),
            else_=MAX_STEPS - 1,
        ).label("step"),
    )
    .where(Listing.terms.contains(_terms("last")), _COUNTS)
    .limit(_MOST_READ)
)
"""The listings with all terms of the most relaxed step, each with the number of the strictest one that finds it."""
_FOUND_IN_PARTS: Final = _FOUND.where(Listing.terms.overlap(_terms("parts")))


RECENT_DAYS: Final = 7
"""Listings seen within so many days are said to be recent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """How many offers a site counted for what all of `terms` name, and when."""

    offers: int
    terms: tuple[str, ...]
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What was found for a title. `summary` is None below `needed` comparable listings; `count` is how many there are.

    `terms` are what all of them have, `ignored` the title's terms that relaxation left out. `removed` counts what was
    found and not compared, by `ListingFlag` and as `outlier`. `condition` is what was asked for, or what the title
    says; where that is `narrowed` only listings in it were compared, of `of_all` in all. `recent` of them were
    seen in the last `RECENT_DAYS`; `coupons` are what coupons take off some of them.
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
    condition: ListingCondition | None = None
    narrowed: bool = False
    of_all: int = 0
    recent: int = 0
    coupons: tuple[int, ...] = ()
    supply: Supply | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comparison:
    """What the listings say that one relaxation step finds. Step 0 has all of the title's terms."""

    step: int
    summary: Summary | None
    removed: Counter[str]
    updated_at: datetime | None
    sampled: bool
    narrowed: bool
    of_all: int
    recent: int
    coupons: tuple[int, ...]
    supply: Supply | None

    @property
    def count(self) -> int:
        """How many prices are behind it."""
        return 0 if self.summary is None else self.summary.count


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """The rows of `_FOUND`, or a sample of them, and the supply that is known."""

    rows: Sequence[Row[Any]]
    sampled: bool
    supply: Supply | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """What comparable listings have beside the terms: they are of `category`, if any, and have all of `flags`.

    Where enough of them are in `condition`, only those are compared.
    """

    category: int | None
    condition: ListingCondition | None
    flags: frozenset[ListingFlag]
    now: datetime
    days: int
    needed: int

    def strictest_comparison(self, steps: Sequence[frozenset[str]]) -> _Comparison:
        """By the first of `steps`, which must not be empty, that finds `needed` prices; by the last if none does."""
        found = self._find(steps)
        comparison = self._first_sufficient(found, last=len(steps) - 1)
        stricter = steps[: comparison.step]
        if found.sampled and stricter:
            # Of what is rare the sample may hold too few although there are enough: the stricter steps have their own.
            by_stricter = self.strictest_comparison(stricter)
            if by_stricter.count >= self.needed:
                return replace(by_stricter, supply=found.supply)
        return comparison

    def _find(self, steps: Sequence[frozenset[str]]) -> _Found:
        """The listings with all terms of the last of `steps`; of very many a sample."""
        last = sorted(steps[-1])
        padded = [sorted(step) for step in steps] + [last] * (MAX_STEPS - len(steps))
        conditions = {
            "category": self.category,
            "flags": sorted(flag.value for flag in self.flags),
            "since": self.now - timedelta(days=self.days),
        }
        parameters = conditions | {"last": last} | {f"step{number}": terms for number, terms in enumerate(padded[:-1])}
        [size] = rows(_PART_SIZE, parameters | {"probe": [*last, part_term(0)]})
        parts = _parts_to_read(matching=size.matching, counting=size.counting)
        supply = None
        if size.offers is not None:
            terms = tuple(readable(frozenset(padded[size.step])))
            supply = Supply(offers=size.offers, terms=terms, seen_at=size.seen_at)
        if parts == PARTS:
            return _Found(rows=rows(_FOUND, parameters), sampled=False, supply=supply)
        sample = {"parts": [part_term(part) for part in range(parts)]}
        return _Found(rows=rows(_FOUND_IN_PARTS, parameters | sample), sampled=True, supply=supply)

    def _first_sufficient(self, found: _Found, *, last: int) -> _Comparison:
        """The comparison by the first step with `needed` prices, or by the step `last`."""
        for step in range(last):
            comparison = self._compare(found, step)
            if comparison.count >= self.needed:
                return comparison
        return self._compare(found, last)

    def _compare(self, found: _Found, step: int) -> _Comparison:
        removed = Counter[str]()
        comparable = []
        for row in found.rows:
            if row.step > step:
                continue
            others = [flag for flag in row.flags if flag in NOT_COMPARABLE and flag not in self.flags]
            if others:
                removed[others[0]] += 1
            elif row.price:
                comparable.append(row)
        of_all = len(comparable)
        summary = self._summary(comparable, step)
        narrowed = False
        if self.condition is not None:
            alike = [row for row in comparable if row.condition == self.condition]
            of_alike = self._summary(alike, step)
            if of_alike is not None and of_alike.count >= self.needed:
                comparable, summary, narrowed = alike, of_alike, True
        kept = [row for row in comparable if summary and summary.lowest <= row.price <= summary.highest]
        recently = self.now - timedelta(days=RECENT_DAYS)
        return _Comparison(
            step=step,
            summary=summary,
            removed=removed + Counter(outlier=summary.outliers if summary else 0),
            updated_at=max((row.last_seen_at for row in comparable), default=None),
            sampled=found.sampled,
            narrowed=narrowed,
            of_all=of_all,
            recent=sum(row.last_seen_at >= recently for row in kept),
            coupons=tuple(sorted(row.coupon_off for row in kept if row.coupon_off)),
            supply=found.supply,
        )

    def _summary(self, comparable: Sequence[Row[Any]], step: int) -> Summary | None:
        observations = [Observation(row.price, row.asked_since) for row in comparable]
        return summarise(observations, now=self.now, relaxation=step)


def _parts_to_read(*, matching: int, counting: int) -> int:
    """How many of the `PARTS` to read where one has so many listings with the terms, of which so many count."""
    if counting * PARTS <= _WITHOUT_SAMPLING and matching * PARTS <= _MOST_READ:
        return PARTS
    enough_for_a_sample = -(-_SAMPLE // max(counting, 1))
    most = _MOST_READ // matching
    return max(1, min(enough_for_a_sample, most))


def find_reference(
    *, title: str, category: int | None, condition: int | None = None, now: datetime | None = None
) -> Reference:
    """What listings like `title` are asked for, in fen.

    `category` leaves out listings of another one; those whose category nobody knows stay. A title that is itself an
    accessory or a rental is compared with such listings alone. Of a thing in `condition` (a `ListingCondition`), or in
    the one that the title says, those in the same one are compared, if there are enough of them.
    """
    graded = condition_in_title(title) if condition is None else ListingCondition(condition)
    flags = flags_of(title, None, ()) & NOT_COMPARABLE
    days, needed = settings().price_reference_days, settings().price_reference_least
    steps = relaxation_steps(analyser(), title, nouns=not flags.isdisjoint(_NAMED_BY_NOUNS))
    if not steps:
        return Reference(needed=needed, days=days, condition=graded)
    search = _Search(category=category, condition=graded, flags=flags, now=now or utcnow(), days=days, needed=needed)
    comparison = search.strictest_comparison(steps)
    terms = steps[comparison.step]
    return Reference(
        needed=needed,
        days=days,
        summary=comparison.summary if comparison.count >= needed else None,
        count=comparison.count,
        terms=tuple(readable(terms)),
        ignored=tuple(readable(steps[0] - terms)),
        sampled=comparison.sampled,
        removed=comparison.removed,
        updated_at=comparison.updated_at,
        condition=graded,
        narrowed=comparison.narrowed,
        of_all=comparison.of_all,
        recent=comparison.recent,
        coupons=comparison.coupons,
        supply=comparison.supply,
    )


def price_reference(
    *, title: str, category: int | None, condition: int | None = None, now: datetime | None = None
) -> PriceReferenceOut:
    """What listings like `title` are asked for, as clients get it. See `find_reference`."""
    return reference_out(find_reference(title=title, category=category, condition=condition, now=now))


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
            "updated_at": format_moment_or_none(reference.updated_at),
            "recent": reference.recent,
            "condition": None
            if reference.condition is None
            else {
                "code": reference.condition.value,
                "text": CONDITION_TEXT[reference.condition],
                "narrowed": reference.narrowed,
                "of": reference.of_all,
            },
            "coupons": {
                "count": len(reference.coupons),
                "median_off": format_yuan(quantile(reference.coupons, 50)) if reference.coupons else None,
            },
        },
        "supply": None
        if reference.supply is None
        else {
            "offers": reference.supply.offers,
            "terms": list(reference.supply.terms),
            "seen_at": format_moment(reference.supply.seen_at),
        },
        "notes": notes_of(reference),
    }


def notes_of(reference: Reference) -> list[str]:
    """What was compared, in sentences for the seller: condition, supply, freshness, coupons. Days are Shanghai's."""
    notes = []
    if reference.condition is not None and reference.count:
        text = CONDITION_TEXT[reference.condition]
        notes.append(
            f"只比较{text}的,各种成色共 {reference.of_all:,} 件"
            if reference.narrowed
            else f"{text}的不够多,比较了各种成色"
        )
    if reference.supply is not None:
        named = " ".join(reference.supply.terms)
        notes.append(f"在售约 {reference.supply.offers:,} 件({_day(reference.supply.seen_at)},按“{named}”)")
    if reference.updated_at is not None:
        notes.append(f"最新数据 {_day(reference.updated_at)},近 {RECENT_DAYS} 天内见过 {reference.recent:,} 件")
    if reference.coupons:
        off = short_yuan(quantile(reference.coupons, 50))
        notes.append(f"{len(reference.coupons):,} 件有平台券(一般减 ¥{off}),按券前价比较")
    return notes


def _day(moment: datetime) -> str:
    return moment.astimezone(SHANGHAI).date().isoformat()


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
