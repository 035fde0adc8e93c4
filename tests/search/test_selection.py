"""The order of hits, sellers apart, facets, and pages that go on behind a cursor. No index, no application."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.search import selection
from app.search.selection import BEGINNING, HitPage, Start, select_page
from app.search.snapshot import Filters, Matches, SearchSort

NOW = 1_800_000_000
DAY = 86_400


def matches(*goods: dict[str, Any]) -> Matches:
    """Goods as an engine gives them; the later ones have higher ids."""
    defaults: dict[str, Any] = {
        "category": 1,
        "price": 1000,
        "published": NOW - DAY,
        "trade_mode": 7,
        "owner": 0,
        "freight": 500,
        "flags": 0,
        "condition": 0,
        "score": 1.0,
        "full": True,
    }
    rows = [{"good_id": number, **defaults, **good} for number, good in enumerate(goods, 1)]
    kinds = {"score": np.float64, "full": np.bool_}
    names = ("good_id", *defaults)
    return Matches(**{name: np.array([row[name] for row in rows], kinds.get(name, np.int64)) for name in names})


def page(found: Matches, *, size: int = 20, start: Start = BEGINNING, now: int = NOW, **options: Any) -> HitPage:
    filters = Filters(**options.pop("filters", {}))
    sort = options.pop("sort", SearchSort.RELEVANCE)
    return select_page(found, filters=filters, sort=sort, start=start, size=size, now=now, **options)


def walked(found: Matches, *, size: int, **options: Any) -> list[int]:
    """All pages by cursor, one after the other."""
    ids, start = [], BEGINNING
    while True:
        answered = page(found, size=size, start=start, **options)
        ids += answered.ids
        if answered.next is None:
            return ids
        start = answered.next


def test_full_hits_stand_before_partial_ones() -> None:
    found = matches({"score": 9.0, "full": False}, {"score": 1.0}, {"score": 2.0}, {"score": 8.0, "full": False})
    answered = page(found)
    assert (answered.ids, answered.full) == ([3, 2, 1, 4], [True, True, False, False])
    assert (answered.total, answered.full_total) == (4, 2)


@pytest.mark.parametrize(
    ("one", "other", "first"),
    [
        # 0.08 for a good of today, half of that three weeks later
        ({"score": 1.0, "published": NOW}, {"score": 1.07, "published": NOW - 3650 * DAY}, 1),
        ({"score": 1.0, "published": NOW}, {"score": 1.09, "published": NOW - 3650 * DAY}, 2),
        ({"score": 1.0, "published": NOW - 21 * DAY}, {"score": 1.035, "published": NOW - 3650 * DAY}, 1),
        ({"score": 1.0, "published": NOW - 21 * DAY}, {"score": 1.045, "published": NOW - 3650 * DAY}, 2),
        # A clock that goes before ours makes nothing fresher
        ({"score": 1.0, "published": NOW + 999 * DAY}, {"score": 1.01, "published": NOW}, 2),
        # 0.06 for the best seller, as much against the worst
        ({"score": 1.0, "owner": 8}, {"score": 1.05}, 1),
        ({"score": 1.0, "owner": 8}, {"score": 1.07}, 2),
        ({"score": 1.05, "owner": 9}, {"score": 1.0}, 2),
        ({"score": 1.07, "owner": 9}, {"score": 1.0}, 1),
        # Equal ones: the newest, then the higher id
        ({"published": NOW - 5}, {"published": NOW - 6}, 1),
        ({}, {}, 2),
    ],
)
def test_freshness_and_standing_weigh_a_little(one: dict[str, Any], other: dict[str, Any], first: int) -> None:
    standing = {8: 1.0, 9: -1.0}

    def standing_of(owners: Any) -> Any:
        return np.array([standing.get(owner, 0.0) for owner in owners.tolist()])

    assert page(matches(one, other), standing_of=standing_of).ids[0] == first


def owners_of(found: Matches, ids: Sequence[int]) -> list[int]:
    return [int(found.owner[number - 1]) for number in ids]


def test_one_seller_does_not_stand_in_a_row() -> None:
    goods = [{"score": 100.0 - number, "owner": 7} for number in range(6)]
    goods += [{"score": 10.0 - number / 10, "owner": 20 + number} for number in range(12)]
    found = matches(*goods)
    answered = page(found)
    assert owners_of(found, answered.ids)[:12] == [7, 20, 21, 22, 7, 23, 24, 25, 7, 26, 27, 28]
    assert sorted(answered.ids) == list(range(1, 19))
    assert walked(found, size=4) == walked(found, size=7) == answered.ids


def test_where_there_are_few_sellers_they_take_turns() -> None:
    found = matches(*({"owner": owner, "score": 50.0 - place} for place, owner in enumerate([1, 1, 1, 1, 2, 2, 3])))
    assert owners_of(found, page(found).ids) == [1, 2, 3, 1, 2, 1, 1]


def test_a_seller_s_full_hits_do_not_wait_for_partial_ones() -> None:
    found = matches({"owner": 1}, {"owner": 1}, {"owner": 2, "full": False}, {"owner": 1, "full": False})
    assert page(found).ids == [2, 1, 3, 4]


def test_goods_of_nobody_known_are_not_moved() -> None:
    found = matches(*({"score": float(number)} for number in range(9)))
    assert page(found).ids == [9, 8, 7, 6, 5, 4, 3, 2, 1]


def test_each_facet_leaves_its_own_filter_aside() -> None:
    found = matches(
        {"category": 1, "price": 4_999, "condition": 1, "freight": 0, "trade_mode": 6},
        {"category": 1, "price": 5_000, "condition": 2, "freight": 0, "trade_mode": 7},
        {"category": 2, "price": 5_001, "condition": 1, "freight": 9, "trade_mode": 8},
        {"category": 2, "price": 9_999_999, "condition": 0, "freight": 0, "trade_mode": 7},
    )
    facets = page(found).facets
    assert facets.categories == {1: 2, 2: 2}
    assert facets.trade_modes == {6: 2, 7: 3, 8: 1}
    assert facets.prices == {0: 1, 5_000: 2, 5_000_000: 1}
    assert facets.conditions == {1: 2, 2: 1}
    assert facets.free_shipping == 3
    chosen = page(found, filters={"category": 1, "free_shipping": True, "condition": 1})
    assert chosen.ids == [1]
    assert chosen.facets.categories == {1: 1}
    assert chosen.facets.conditions == {1: 1, 2: 1}
    assert chosen.facets.free_shipping == 1
    assert chosen.facets.prices == {0: 1}


@pytest.mark.parametrize("sort", list(SearchSort))
@pytest.mark.parametrize("size", [1, 3, 20])
def test_pages_by_number_and_by_cursor_are_the_same(sort: SearchSort, size: int) -> None:
    chance = np.random.default_rng(5)
    goods = [
        {
            "score": float(chance.integers(1, 9)),
            "owner": int(chance.integers(0, 6)),
            "published": NOW - int(chance.integers(0, 40)) * DAY,
            "price": int(chance.integers(1, 9)),
            "full": bool(chance.integers(0, 2)),
        }
        for _ in range(50)
    ]
    found = matches(*goods)
    numbered: list[int] = []
    for offset in range(0, 60, size):
        numbered += page(found, size=size, start=Start(offset=offset), sort=sort).ids
    assert walked(found, size=size, sort=sort) == numbered
    assert sorted(numbered) == list(range(1, 51))


def test_behind_the_head_the_newest_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "HEAD", 10)
    chance = np.random.default_rng(6)
    found = matches(
        *(
            {"score": float(number), "published": NOW - int(chance.integers(0, 99)), "full": number % 4 != 3}
            for number in range(40)
        )
    )
    ids = page(found, size=40).ids
    assert ids[:10] == [39, 38, 37, 35, 34, 33, 31, 30, 29, 27]  # the best of the full ones
    rest = sorted(set(range(1, 41)) - set(ids[:10]))
    key = {number: (not found.full[number - 1], -found.published[number - 1], -number) for number in rest}
    assert ids[10:] == sorted(rest, key=key.__getitem__)
    for size in (1, 4, 7, 10, 13):
        assert walked(found, size=size) == ids, size
        numbered = [page(found, size=size, start=Start(offset=offset)).ids for offset in range(0, 45, size)]
        assert [each for one in numbered for each in one] == ids, size


def test_an_offset_behind_everything_is_an_empty_page() -> None:
    answered = page(matches({}, {}), start=Start(offset=5))
    assert (answered.ids, answered.total, answered.next) == ([], 2, None)
    assert page(matches()).ids == []


@given(st.data())
def test_whatever_happens_between_pages_nothing_repeats_and_nothing_hides(data: st.DataObject) -> None:
    """Goods are published and sold, scores move: what was there at first and is not sold is shown once."""
    sort = data.draw(st.sampled_from(SearchSort))
    size = data.draw(st.integers(1, 4))
    chance = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    goods: dict[int, dict[str, Any]] = {}

    def publish(now: int) -> None:
        number = len(goods) + 1
        goods[number] = {
            "good_id": number,
            "owner": int(chance.integers(0, 4)),
            "published": now,
            "price": int(chance.integers(1, 5)),
            "full": bool(chance.integers(0, 2)),
        }

    for number in range(data.draw(st.integers(0, 15))):
        publish(NOW - number * DAY)
    at_first, sold, shown = set(goods), set[int](), list[int]()
    start, now = BEGINNING, NOW
    head = selection.HEAD
    selection.HEAD = data.draw(st.sampled_from([5, 500]))  # type: ignore[misc] # so that some walks go beyond it
    try:
        while True:
            listed = [
                {**good, "score": float(chance.integers(1, 50))} for number, good in goods.items() if number not in sold
            ]
            answered = page(matches(*listed), size=size, start=start, now=now, sort=sort)
            shown += answered.ids
            if answered.next is None:
                break
            start, now = answered.next, now + 60
            for _ in range(int(chance.integers(0, 3))):
                publish(now)
            waiting = sorted(at_first - sold - set(shown))
            if waiting and chance.random() < 0.4:
                sold.add(int(chance.choice(waiting)))
    finally:
        selection.HEAD = head  # type: ignore[misc] # as above
    assert len(shown) == len(set(shown))
    assert at_first - sold <= set(shown) <= at_first
