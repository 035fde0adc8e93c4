"""From matches to one page: filters, facets, order, sellers apart, and where the next page begins.

The order is one for all pages of a search. By relevance:

1. full hits before partial ones;
2. the first `HEAD` of these by score, each score times `1 + FRESHNESS × fresh + STANDING × standing`: fresh is 1 for a
   good that has just been published and halves with every `HALF_LIFE`, standing is the seller's, from −1 to 1;
3. between two goods of one seller stand `APART` of others, as long as there are others of the same kind (full or
   partial) within the next `REACH`;
4. whatever is behind those `HEAD`, the newest first.

A page begins at an offset, or where a cursor says (`Start`): behind the goods that were shown before. A cursor holds
what was shown of the head, and behind it the place in the order, which does not depend on other goods. So a good that
is published, sold or rises meanwhile neither shows another twice nor hides it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from app.search.snapshot import Filters, Floats, Ints, Mask, Matches, SearchSort
from statemachine.good import TradeMode

HEAD: Final = 500
"""Hits that are put in order by relevance; of frequent words there are more."""

FRESHNESS: Final = 0.08
STANDING: Final = 0.06
HALF_LIFE: Final = 21 * 86_400
"""Seconds."""

APART: Final = 3
REACH: Final = 60

PRICE_BANDS: Final = tuple(100 * yuan for yuan in (0, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000))
"""Where the facet of prices begins its bands, in fen; the last has no end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where a page begins: behind `offset` hits, or where a cursor says, which has all that follows.

    `as_of` is the second at which the first page was asked for: what was published later is no hit. `seen` are the ids
    of the head that were shown, `owners` the sellers of the last `APART` of them, `after` the last hit behind the head,
    or of any other order: what it was sorted by, its id last.
    """

    offset: int = 0
    as_of: int | None = None
    seen: tuple[int, ...] = ()
    owners: tuple[int, ...] = ()
    after: tuple[int, ...] | None = None

    def reach(self, size: int) -> int:
        """How many hits an engine has to gather at least for a page of `size` from here on."""
        return max(HEAD, self.offset + len(self.seen)) + size


BEGINNING: Final = Start()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """How many hits choosing a value would give: each facet leaves its own filter aside, and the others apply.

    By code; prices by the fen at which a band begins.
    """

    categories: dict[int, int] = field(default_factory=dict)
    trade_modes: dict[int, int] = field(default_factory=dict)
    prices: dict[int, int] = field(default_factory=dict)
    conditions: dict[int, int] = field(default_factory=dict)
    free_shipping: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HitPage:
    """One page: its ids, which of them match fully, how many hits there are in all, facets, and the next page's start.

    `next` is None where nothing follows.
    """

    ids: list[int] = field(default_factory=list)
    full: list[bool] = field(default_factory=list)
    total: int = 0
    full_total: int = 0
    facets: Facets = field(default_factory=Facets)
    next: Start | None = None


StandingOf = Callable[[Ints], Floats]
"""How sellers stand, by their ids: from −1 to 1."""


def nobody_known(owners: Ints) -> Floats:
    """The `StandingOf` where nothing is known of sellers."""
    return np.zeros(len(owners))


def select_page(
    matches: Matches,
    *,
    filters: Filters,
    sort: SearchSort,
    start: Start,
    size: int,
    now: int,
    standing_of: StandingOf = nobody_known,
) -> HitPage:
    """The page of `size` hits from `start` on. `now` is in seconds since 1970."""
    as_of = now if start.as_of is None else start.as_of
    masks = _masks(matches, filters)
    # What bears a later time than the clock of who asks is there all the same; only of later pages it is kept away.
    present = np.ones(len(matches), np.bool_) if start.as_of is None else matches.published <= as_of
    hits = np.flatnonzero(_all(present, *masks.values()))
    if sort is SearchSort.RELEVANCE:
        chosen, following = _by_relevance(matches, hits, start=start, size=size, as_of=as_of, standing_of=standing_of)
    else:
        chosen, following = _by_keys(_keys(matches, sort), hits, start=start, size=size, as_of=as_of)
    return HitPage(
        ids=matches.good_id[chosen].tolist(),
        full=matches.full[chosen].tolist(),
        total=len(hits),
        full_total=int(np.count_nonzero(matches.full[hits])),
        facets=_facets(matches, present, masks),
        next=following,
    )


# --- filters and facets ---


def _masks(matches: Matches, filters: Filters) -> dict[str, Mask]:
    """By facet, which matches its filter lets through."""
    everything = np.ones(len(matches), np.bool_)
    price = everything.copy()
    if filters.price_min is not None:
        price &= matches.price >= filters.price_min
    if filters.price_max is not None:
        price &= matches.price <= filters.price_max
    return {
        "price": price,
        "category": everything if filters.category is None else matches.category == filters.category,
        "trade_mode": _has_trade_mode(matches, filters.trade_mode),
        "condition": everything if filters.condition is None else matches.condition == filters.condition,
        "free_shipping": matches.freight == 0 if filters.free_shipping else everything,
    }


def _has_trade_mode(matches: Matches, trade_mode: int | None) -> Mask:
    """A good of trade mode 不限 can change hands either way, so it is also a hit of the two narrower modes."""
    if trade_mode is None:
        return np.ones(len(matches), np.bool_)
    mask: Mask = (matches.trade_mode == trade_mode) | (matches.trade_mode == TradeMode.ANY.value)
    return mask


def _all(first: Mask, *others: Mask) -> Mask:
    mask = first.copy()
    for other in others:
        mask &= other
    return mask


def _facets(matches: Matches, present: Mask, masks: dict[str, Mask]) -> Facets:
    def without(name: str) -> Mask:
        return _all(present, *(mask for other, mask in masks.items() if other != name))

    in_modes = without("trade_mode")
    conditions = _counts(matches.condition[without("condition")])
    conditions.pop(0, None)  # the title says nothing of it
    bands = np.searchsorted(PRICE_BANDS, matches.price[without("price")], side="right") - 1
    return Facets(
        categories=_counts(matches.category[without("category")]),
        trade_modes={
            mode.value: count
            for mode in TradeMode
            if (count := int(np.count_nonzero(in_modes & _has_trade_mode(matches, mode.value))))
        },
        prices={PRICE_BANDS[band]: count for band, count in _counts(bands).items()},
        conditions=conditions,
        free_shipping=int(np.count_nonzero(without("free_shipping") & (matches.freight == 0))),
    )


def _counts(codes: Ints) -> dict[int, int]:
    counts = np.bincount(codes)
    return {int(code): int(counts[code]) for code in np.flatnonzero(counts)}


# --- orders that depend on the good alone ---


def _keys(matches: Matches, sort: SearchSort) -> list[Ints]:
    """What hits are sorted by, the most important first, the id last: ties stand newest first."""
    newest = [-matches.published, -matches.good_id]
    keys = {
        SearchSort.NEWEST: newest,
        SearchSort.PRICE_ASC: [matches.price, *newest],
        SearchSort.PRICE_DESC: [-matches.price, *newest],
    }
    return keys[sort]


def _by_keys(keys: Sequence[Ints], hits: Ints, *, start: Start, size: int, as_of: int) -> tuple[Ints, Start | None]:
    """The page's hits in the order of `keys`, and where the next one begins."""
    if start.after is not None:
        hits = hits[_behind([key[hits] for key in keys], start.after)]
    last = start.offset + size
    chosen = _first(keys, hits, last)[start.offset :]
    if len(hits) <= last:
        return chosen, None
    return chosen, Start(as_of=as_of, seen=start.seen, after=tuple(int(key[chosen[-1]]) for key in keys))


def _behind(keys: Sequence[Ints], place: tuple[int, ...]) -> Mask:
    """Whether hits stand behind `place`: they are greater in the first key that differs."""
    behind = np.zeros(len(keys[0]), np.bool_)
    same = np.ones(len(keys[0]), np.bool_)
    for key, value in zip(keys, place, strict=True):
        behind |= same & (key > value)
        same &= key == value
    return behind


def _first(keys: Sequence[Ints | Floats], hits: Ints, count: int) -> Ints:
    """The first `count` of `hits` in the order of `keys`."""
    leading = keys[0][hits]
    if len(hits) > 4 * count > 0:
        # Only hits that can be among the first need sorting; ties with the last of them included.
        last = np.partition(leading, count - 1)[count - 1]
        hits = hits[leading <= last]
    # lexsort's last key is its primary one.
    return hits[np.lexsort([key[hits] for key in reversed(keys)])[:count]]


# --- relevance ---


def _by_relevance(
    matches: Matches, hits: Ints, *, start: Start, size: int, as_of: int, standing_of: StandingOf
) -> tuple[Ints, Start | None]:
    newest = [-matches.published, -matches.good_id]
    behind_head = [(~matches.full).astype(np.int64), *newest]
    if start.after is not None:
        unseen = hits[~np.isin(matches.good_id[hits], start.seen)]
        return _by_keys(behind_head, unseen, start=start, size=size, as_of=as_of)
    unseen = hits[~np.isin(matches.good_id[hits], start.seen)] if start.seen else hits
    head = _first([_full_first(matches), *newest], unseen, max(HEAD - len(start.seen), 0))
    head = head[np.lexsort((newest[1][head], newest[0][head], -_blended(matches, head, as_of, standing_of)))]
    last = start.offset + size
    chosen = _apart(matches, head, last, before=start.owners)
    missing = last - len(chosen)
    if missing > 0 and len(unseen) > len(head):
        # The page goes beyond the head.
        rest = _first(behind_head, unseen[~np.isin(unseen, head)], missing)
        chosen = np.concatenate([chosen, rest])
    page = chosen[start.offset :]
    if len(unseen) <= last or not len(page):
        return page, None
    if missing > 0:
        seen = tuple(sorted([*start.seen, *matches.good_id[head].tolist()]))
        return page, Start(as_of=as_of, seen=seen, after=tuple(int(key[page[-1]]) for key in behind_head))
    seen = tuple(sorted([*start.seen, *matches.good_id[chosen].tolist()]))
    owners = tuple(matches.owner[chosen[-APART:]].tolist())
    return page, Start(as_of=as_of, seen=seen, owners=(*start.owners, *owners)[-APART:])


def _full_first(matches: Matches) -> Floats:
    """Scores as a key: what matches fully is before everything else."""
    lead = float(matches.score.max(initial=0.0)) + 1
    key: Floats = -(matches.score + lead * matches.full)
    return key


def _blended(matches: Matches, head: Ints, as_of: int, standing_of: StandingOf) -> Floats:
    """What the head is sorted by."""
    age = np.maximum(as_of - matches.published[head], 0)
    factor = 1 + FRESHNESS * np.exp2(-age / HALF_LIFE) + STANDING * standing_of(matches.owner[head])
    scores = matches.score[head] * factor
    lead = scores.max(initial=0.0) + 1
    blended: Floats = scores + lead * matches.full[head]
    return blended


def _apart(matches: Matches, head: Ints, count: int, *, before: Sequence[int]) -> Ints:
    """The first `count` of `head` with goods of one seller apart; `before` are the sellers of what stands before it."""
    if not len(head):
        return head
    owners, full = matches.owner[head].tolist(), matches.full[head].tolist()
    waiting, recent = list(range(len(head))), list(before)
    chosen: list[int] = []
    while waiting and len(chosen) < count:
        place = _next_apart(waiting, owners, full, recent[-APART:])
        chosen.append(waiting.pop(place))
        recent.append(owners[chosen[-1]])
    return head[np.array(chosen, np.int64)]


def _next_apart(waiting: Sequence[int], owners: Sequence[int], full: Sequence[bool], recent: Sequence[int]) -> int:
    """The place in `waiting` of the good that comes next: the first whose seller was not seen for longest."""
    best, best_distance = 0, -1
    for place, number in enumerate(waiting[:REACH]):
        if full[number] != full[waiting[0]]:
            break
        owner = owners[number]
        if not owner or owner not in recent:  # 0: nobody knows whose it is
            return place
        distance = recent[::-1].index(owner)
        if distance > best_distance:
            best, best_distance = place, distance
    return best
