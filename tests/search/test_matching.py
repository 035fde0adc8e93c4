"""What is found and in which order, with either engine."""

import pytest

from app.search.engine import Match
from app.search.snapshot import SearchSort
from tests.search.steps import TestedEngine, document, filled, find, ids, written

# What matches


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("iphone 13", [3, 1]),
        ("iPhone13", [3, 1]),
        ("ＩＰｈｏｎｅ１３", [3, 1]),
        ("苹果 13", [1, 3]),
        ("连衣裙", [4, 2]),
        ("連衣裙", [4, 2]),
        ("衣裙", [4, 2]),
        ("鞋", [5]),
        ("nike", [5]),
        ("x", [7]),
        ("磕碰", [1]),
        ("128", [1]),
        ("12", []),
        ("!!!", []),
    ],
)
def test_what_a_query_finds(engine: TestedEngine, query: str, expected: list[int]) -> None:
    filled(
        engine,
        document(1, "苹果 iPhone13 128G", "没有磕碰"),
        document(2, "蘋果手機 連衣裙"),
        document(3, "ＩＰＨＯＮＥ 13"),
        document(4, "红色连衣裙"),
        document(5, "耐克跑鞋 42码"),
        document(7, "ThinkPad X 型"),
    )
    found = find(engine, query)
    assert (found.page.ids, found.page.total, found.match, found.corrected) == (
        expected,
        len(expected),
        Match.ALL,
        None,
    )


def test_the_title_counts_more_than_the_description(engine: TestedEngine) -> None:
    filled(engine, document(1, "手机支架"), document(2, "桌面支架", "手机 平板都能用"))
    assert ids(engine, "手机") == [1, 2]


def test_what_was_typed_counts_more_than_a_synonym(engine: TestedEngine) -> None:
    filled(engine, document(1, "耐克 卫衣"), document(2, "nike 卫衣"))
    assert ids(engine, "耐克 卫衣") == [1, 2]
    assert ids(engine, "nike 卫衣") == [2, 1]


def test_equals_stand_newest_first(engine: TestedEngine) -> None:
    filled(engine, document(1, "台灯", published=5), document(2, "台灯", published=9), document(3, "台灯", published=5))
    assert ids(engine, "台灯") == [2, 3, 1]


# What is corrected, and what is found in part


@pytest.mark.parametrize(
    ("query", "corrected"),
    [
        ("ihpone 13", "iphone 13"),
        ("Iphnoe13", "iphone13"),
        ("连衣群", "连衣裙"),
        ("衣连裙", "连衣裙"),
        ("冲锋依", "冲锋衣"),
        ("红色连衣群", "红色连衣裙"),
        ("samsnug 显卡", "samsung 显卡"),
    ],
)
def test_mistyped_words_are_corrected(engine: TestedEngine, query: str, corrected: str) -> None:
    filled(
        engine,
        document(1, "苹果 iPhone 13"),
        document(2, "红色连衣裙"),
        document(3, "黑色冲锋衣"),
        document(4, "samsung 显卡"),
    )
    found = find(engine, query)
    assert (found.match, found.corrected) == (Match.CORRECTED, corrected)
    assert found.page.ids == ids(engine, corrected)
    assert found.page.total == 1


@pytest.mark.parametrize("query", ["1334", "手表", "abc", "桌子"])
def test_short_words_and_numbers_are_not_corrected(engine: TestedEngine, query: str) -> None:
    filled(engine, document(1, "手机 1234 abd 桌布"))
    found = find(engine, query)
    assert (found.page.ids, found.match, found.corrected) == ([], Match.ALL, None)


def test_a_word_that_nobody_wrote_stands_for_its_parts(engine: TestedEngine) -> None:
    filled(engine, document(1, "羽毛球 双拍 碳素 球拍"), document(2, "羽毛球 一筒"))
    found = find(engine, "羽毛球拍")
    assert (found.page.ids, found.match, found.corrected) == ([1], Match.ALL, None)
    written(engine, [document(3, "全新 羽毛球拍")])
    assert ids(engine, "羽毛球拍")[0] == 3


def test_several_words_are_corrected_at_once(engine: TestedEngine) -> None:
    filled(engine, document(1, "samsung 连衣裙 thinkpad"))
    found = find(engine, "连衣群 thinkpda")
    assert (found.page.ids, found.match, found.corrected) == ([1], Match.CORRECTED, "连衣裙 thinkpad")


def test_a_rare_word_keeps_its_hits_beside_the_correction(engine: TestedEngine) -> None:
    filled(engine, document(1, "ihpone 11"), *(document(number, "iphone 11") for number in range(2, 42)))
    found = find(engine, "ihpone", size=50)
    assert (found.match, found.corrected, found.page.total) == (Match.CORRECTED, "iphone", 41)
    assert found.page.ids[0] == 1


def test_a_correction_that_is_not_much_more_frequent_is_not_believed(engine: TestedEngine) -> None:
    filled(engine, document(1, "nova 手机"), document(2, "novo 手机"))
    found = find(engine, "nova")
    assert (found.page.ids, found.match, found.corrected) == ([1], Match.ALL, None)


def test_where_no_good_has_all_words_those_that_matter_most_decide(engine: TestedEngine) -> None:
    filled(
        engine,
        document(1, "宜家 书桌 白色"),
        document(2, "宜家 沙发", category=4),
        document(3, "书桌 白色"),
        document(4, "宜家 白色", category=4),
        document(5, "白色 窗帘"),
    )
    found = find(engine, "宜家 书桌 白色 实木")
    assert (found.match, found.corrected) == (Match.ANY, None)
    # The thing counts most, then the brand; who has nothing but the colour is no hit.
    assert found.page.ids == [1, 3, 4, 2]
    assert found.page.full == [False] * 4


def test_full_matches_come_first_and_partial_ones_are_told_apart(engine: TestedEngine) -> None:
    filled(engine, document(1, "连衣裙 白色"), document(2, "红色连衣裙"), document(3, "红色 雨伞"))
    found = find(engine, "红色的连衣裙")
    assert (found.page.ids, found.page.full, found.match) == ([2, 1], [True, False], Match.ALL)


def test_filters_hold_for_partial_matches(engine: TestedEngine) -> None:
    filled(engine, document(1, "宜家 书桌", category=5), document(2, "宜家 沙发", category=4))
    found = find(engine, "宜家 书桌", category=4)
    assert (found.page.ids, found.page.full, found.match) == ([2], [False], Match.ANY)
    assert found.page.facets.categories == {4: 1, 5: 1}


# Filters, facets, orders, pages


@pytest.fixture
def market(engine: TestedEngine) -> TestedEngine:
    """Six lamps."""
    return filled(
        engine,
        document(1, "台灯", category=5, price=100, trade_mode=6, published=10),
        document(2, "台灯", category=5, price=200, trade_mode=7, published=30),
        document(3, "台灯", category=5, price=300, trade_mode=8, published=20),
        document(4, "台灯", category=8, price=400, trade_mode=7, published=60),
        document(5, "台灯", category=8, price=200, trade_mode=8, published=50),
        document(6, "台灯", category=2, price=600, trade_mode=7, published=40),
    )


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, {1, 2, 3, 4, 5, 6}),
        ({"category": 5}, {1, 2, 3}),
        ({"category": 1}, set()),
        ({"price_min": 200}, {2, 3, 4, 5, 6}),
        ({"price_max": 200}, {1, 2, 5}),
        ({"price_min": 200, "price_max": 300}, {2, 3, 5}),
        ({"price_max": 0}, set()),
        ({"trade_mode": 6}, {1, 3, 5}),
        ({"trade_mode": 7}, {2, 3, 4, 5, 6}),
        ({"trade_mode": 8}, {3, 5}),
        ({"category": 8, "price_max": 200, "trade_mode": 6}, {5}),
    ],
)
def test_filters(market: TestedEngine, filters: dict[str, int], expected: set[int]) -> None:
    found = find(market, "台灯", **filters)
    assert set(found.page.ids) == expected
    assert found.page.total == len(expected)


def test_a_facet_counts_what_choosing_its_value_gives(market: TestedEngine) -> None:
    page = find(market, "台灯", category=5, price_min=200, trade_mode=7).page
    assert page.facets.categories == {2: 1, 5: 2, 8: 2}
    assert page.facets.trade_modes == {6: 1, 7: 2, 8: 1}
    for category, count in page.facets.categories.items():
        assert find(market, "台灯", category=category, price_min=200, trade_mode=7).page.total == count
    for trade_mode, count in page.facets.trade_modes.items():
        assert find(market, "台灯", category=5, price_min=200, trade_mode=trade_mode).page.total == count


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (SearchSort.RELEVANCE, [4, 5, 6, 2, 3, 1]),
        (SearchSort.NEWEST, [4, 5, 6, 2, 3, 1]),
        (SearchSort.PRICE_ASC, [1, 5, 2, 3, 4, 6]),
        (SearchSort.PRICE_DESC, [6, 4, 3, 5, 2, 1]),
    ],
)
def test_orders_and_pages(market: TestedEngine, sort: SearchSort, expected: list[int]) -> None:
    assert ids(market, "台灯", sort=sort) == expected
    for size in (1, 2, 4):
        pages = [find(market, "台灯", sort=sort, offset=offset, size=size).page for offset in range(0, 7, size)]
        assert [good_id for page in pages for good_id in page.ids] == expected
        assert {page.total for page in pages} == {6}
    assert ids(market, "台灯", sort=sort, offset=1_000_000) == []


def test_pages_of_many_hits_are_cut_from_one_order(engine: TestedEngine) -> None:
    filled(engine, *(document(number, "台灯", price=number % 7, published=number % 5) for number in range(1, 401)))
    whole = ids(engine, "台灯", sort=SearchSort.PRICE_DESC, size=400)
    assert whole == sorted(range(1, 401), key=lambda number: (-(number % 7), -(number % 5), -number))
    pages = [ids(engine, "台灯", sort=SearchSort.PRICE_DESC, offset=offset, size=30) for offset in range(0, 400, 30)]
    assert [good_id for page in pages for good_id in page] == whole


# What changes


def test_a_good_is_replaced_and_taken_out(engine: TestedEngine) -> None:
    filled(engine, document(1, "红色连衣裙"), document(2, "蓝色连衣裙"))
    written(engine, [document(1, "绿色连衣裙"), document(3, "黄色连衣裙")], gone=[2, 99])
    assert ids(engine, "连衣裙") == [3, 1]
    assert (ids(engine, "红色"), ids(engine, "绿色"), ids(engine, "蓝色")) == ([], [1], [])


def test_writing_the_same_again_changes_nothing_to_be_seen(engine: TestedEngine) -> None:
    filled(engine, document(1, "台灯"))
    for _ in range(3):
        written(engine, [document(2, "台灯")], gone=[1])
    assert ids(engine, "台灯") == [2]
