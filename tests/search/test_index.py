"""The index on disk: what is found, in which order, and what writers, readers and rebuilds do to each other."""

import os
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rq.timeouts import JobTimeoutException
from whoosh.index import open_dir

from app.search.engine import Match
from app.search.errors import IndexBusy, IndexDamaged, IndexMissing, reading_files
from app.search.index import Changes, SearchIndex
from app.search.snapshot import BODY, SearchSort, _read_postings
from tests.search.steps import document, filled, find, ids, no_changes, written


def folders(index: SearchIndex) -> list[str]:
    return sorted(path.name for path in index._path.glob("index-*"))


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
def test_what_a_query_finds(index: SearchIndex, query: str, expected: list[int]) -> None:
    filled(
        index,
        document(1, "苹果 iPhone13 128G", "没有磕碰"),
        document(2, "蘋果手機 連衣裙"),
        document(3, "ＩＰＨＯＮＥ 13"),
        document(4, "红色连衣裙"),
        document(5, "耐克跑鞋 42码"),
        document(7, "ThinkPad X 型"),
    )
    found = find(index, query)
    assert (found.page.ids, found.page.total, found.match, found.corrected) == (
        expected,
        len(expected),
        Match.ALL,
        None,
    )


def test_the_title_counts_more_than_the_description(index: SearchIndex) -> None:
    filled(index, document(1, "手机支架"), document(2, "桌面支架", "手机 平板都能用"))
    assert ids(index, "手机") == [1, 2]


def test_what_was_typed_counts_more_than_a_synonym(index: SearchIndex) -> None:
    filled(index, document(1, "耐克 卫衣"), document(2, "nike 卫衣"))
    assert ids(index, "耐克 卫衣") == [1, 2]
    assert ids(index, "nike 卫衣") == [2, 1]


def test_equals_stand_newest_first(index: SearchIndex) -> None:
    filled(index, document(1, "台灯", published=5), document(2, "台灯", published=9), document(3, "台灯", published=5))
    assert ids(index, "台灯") == [2, 3, 1]


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
def test_mistyped_words_are_corrected(index: SearchIndex, query: str, corrected: str) -> None:
    filled(
        index,
        document(1, "苹果 iPhone 13"),
        document(2, "红色连衣裙"),
        document(3, "黑色冲锋衣"),
        document(4, "samsung 显卡"),
    )
    found = find(index, query)
    assert (found.match, found.corrected) == (Match.CORRECTED, corrected)
    assert found.page.ids == ids(index, corrected)
    assert found.page.total == 1


@pytest.mark.parametrize("query", ["1334", "手表", "abc", "桌子"])
def test_short_words_and_numbers_are_not_corrected(index: SearchIndex, query: str) -> None:
    filled(index, document(1, "手机 1234 abd 桌布"))
    found = find(index, query)
    assert (found.page.ids, found.match, found.corrected) == ([], Match.ALL, None)


def test_a_word_that_nobody_wrote_stands_for_its_parts(index: SearchIndex) -> None:
    filled(index, document(1, "羽毛球 双拍 碳素 球拍"), document(2, "羽毛球 一筒"))
    found = find(index, "羽毛球拍")
    assert (found.page.ids, found.match, found.corrected) == ([1], Match.ALL, None)
    written(index, [document(3, "全新 羽毛球拍")])
    assert ids(index, "羽毛球拍")[0] == 3


def test_several_words_are_corrected_at_once(index: SearchIndex) -> None:
    filled(index, document(1, "samsung 连衣裙 thinkpad"))
    found = find(index, "连衣群 thinkpda")
    assert (found.page.ids, found.match, found.corrected) == ([1], Match.CORRECTED, "连衣裙 thinkpad")


def test_a_rare_word_keeps_its_hits_beside_the_correction(index: SearchIndex) -> None:
    filled(index, document(1, "ihpone 11"), *(document(number, "iphone 11") for number in range(2, 42)))
    found = find(index, "ihpone", size=50)
    assert (found.match, found.corrected, found.page.total) == (Match.CORRECTED, "iphone", 41)
    assert found.page.ids[0] == 1


def test_a_correction_that_is_not_much_more_frequent_is_not_believed(index: SearchIndex) -> None:
    filled(index, document(1, "nova 手机"), document(2, "novo 手机"))
    found = find(index, "nova")
    assert (found.page.ids, found.match, found.corrected) == ([1], Match.ALL, None)


def test_where_no_good_has_all_words_those_that_matter_most_decide(index: SearchIndex) -> None:
    filled(
        index,
        document(1, "宜家 书桌 白色"),
        document(2, "宜家 沙发", category=4),
        document(3, "书桌 白色"),
        document(4, "宜家 白色", category=4),
        document(5, "白色 窗帘"),
    )
    found = find(index, "宜家 书桌 白色 实木")
    assert (found.match, found.corrected) == (Match.ANY, None)
    # The thing counts most, then the brand; who has nothing but the colour is no hit.
    assert found.page.ids == [1, 3, 4, 2]
    assert found.page.full == [False] * 4


def test_full_matches_come_first_and_partial_ones_are_told_apart(index: SearchIndex) -> None:
    filled(index, document(1, "连衣裙 白色"), document(2, "红色连衣裙"), document(3, "红色 雨伞"))
    found = find(index, "红色的连衣裙")
    assert (found.page.ids, found.page.full, found.match) == ([2, 1], [True, False], Match.ALL)


def test_filters_hold_for_partial_matches(index: SearchIndex) -> None:
    filled(index, document(1, "宜家 书桌", category=5), document(2, "宜家 沙发", category=4))
    found = find(index, "宜家 书桌", category=4)
    assert (found.page.ids, found.page.full, found.match) == ([2], [False], Match.ANY)
    assert found.page.facets.categories == {4: 1, 5: 1}


# Filters, facets, orders, pages


@pytest.fixture
def market(index: SearchIndex) -> SearchIndex:
    """Six lamps."""
    return filled(
        index,
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
def test_filters(market: SearchIndex, filters: dict[str, int], expected: set[int]) -> None:
    found = find(market, "台灯", **filters)
    assert set(found.page.ids) == expected
    assert found.page.total == len(expected)


def test_a_facet_counts_what_choosing_its_value_gives(market: SearchIndex) -> None:
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
def test_orders_and_pages(market: SearchIndex, sort: SearchSort, expected: list[int]) -> None:
    assert ids(market, "台灯", sort=sort) == expected
    for size in (1, 2, 4):
        pages = [find(market, "台灯", sort=sort, offset=offset, size=size).page for offset in range(0, 7, size)]
        assert [good_id for page in pages for good_id in page.ids] == expected
        assert {page.total for page in pages} == {6}
    assert ids(market, "台灯", sort=sort, offset=1_000_000) == []


def test_pages_of_many_hits_are_cut_from_one_order(index: SearchIndex) -> None:
    filled(index, *(document(number, "台灯", price=number % 7, published=number % 5) for number in range(1, 401)))
    whole = ids(index, "台灯", sort=SearchSort.PRICE_DESC, size=400)
    assert whole == sorted(range(1, 401), key=lambda number: (-(number % 7), -(number % 5), -number))
    pages = [ids(index, "台灯", sort=SearchSort.PRICE_DESC, offset=offset, size=30) for offset in range(0, 400, 30)]
    assert [good_id for page in pages for good_id in page] == whole


# Writers


def test_a_good_is_replaced_and_taken_out(index: SearchIndex) -> None:
    filled(index, document(1, "红色连衣裙"), document(2, "蓝色连衣裙"))
    written(index, [document(1, "绿色连衣裙"), document(3, "黄色连衣裙")], gone=[2, 99])
    assert ids(index, "连衣裙") == [3, 1]
    assert (ids(index, "红色"), ids(index, "绿色"), ids(index, "蓝色")) == ([], [1], [])


def test_writing_the_same_again_changes_nothing_to_be_seen(index: SearchIndex) -> None:
    filled(index, document(1, "台灯"))
    for _ in range(3):
        written(index, [document(2, "台灯")], gone=[1])
    assert ids(index, "台灯") == [2]
    assert index.status().documents == 1


def test_nothing_to_write_is_no_commit(index: SearchIndex) -> None:
    filled(index, document(1, "台灯"))
    written(index, [document(2, "台灯")])
    before = index.status().generation
    written(index, gone=[5, 6])
    written(index)
    assert index.status().generation == before
    assert ids(index, "台灯") == [2, 1]


def test_counts_survive_every_merge(index: SearchIndex) -> None:
    filled(index)
    titles = {number: "灯 " * (number % 3 + 1) + "椅子" for number in range(1, 61)}
    for number, title in titles.items():
        written(index, [document(number, title)])
    assert index.status().segments < 10
    snapshot = index.snapshot()
    counts = {}
    for leaf, segment in zip(snapshot._leaves, snapshot._segments, strict=True):
        postings = _read_postings(leaf, "灯")
        counts.update(zip(segment.columns["good_id"][postings.documents], postings.counts, strict=True))
    assert counts == {number: 3.0 * (number % 3 + 1) for number in titles}


def test_our_reading_of_postings_agrees_with_whooshs_own(index: SearchIndex) -> None:
    """Whole blocks are read past Whoosh's public interface; `_read_postings` says why."""
    filled(index, *(document(number, "灯 " * (number % 4 + 1) + f"编号{number}") for number in range(1, 301)))
    written(index, gone=list(range(10, 300, 7)))
    (leaf,) = index.snapshot()._leaves
    ours = _read_postings(leaf, "灯")
    matcher, theirs = leaf.postings(BODY, "灯"), {}
    while matcher.is_active():
        theirs[matcher.id()] = matcher.weight()
        matcher.next()
    assert len(ours.documents) == 300
    alive = {
        int(number): count
        for number, count in zip(ours.documents, ours.counts, strict=True)
        if not leaf.is_deleted(number)
    }
    assert alive == theirs
    assert len(theirs) == 300 - len(range(10, 300, 7))


def test_whooshs_refresh_keeps_what_is_gone_and_we_do_not_use_it(index: SearchIndex) -> None:
    """`Searcher.refresh` of Whoosh-Reloaded 2.7.5 keeps merged segments. If this fails, Whoosh was mended."""
    filled(index, *(document(number, "台灯") for number in range(1, 21)))
    assert len(ids(index, "台灯")) == 20
    whoosh = open_dir(index._current())
    searcher = whoosh.searcher()
    written(index, [document(number, "新台灯") for number in range(1, 11)], gone=list(range(11, 16)))
    writer = whoosh.writer(timeout=5)
    writer.commit(optimize=True)
    with whoosh.searcher() as fresh:
        assert fresh.doc_count() == 15
    refreshed = searcher.refresh()
    assert refreshed.doc_count() > 15
    refreshed.close()
    index._check_every = 0  # the optimising writer was not ours
    assert sorted(ids(index, "台灯", size=50)) == [*range(1, 11), *range(16, 21)]


def test_only_one_writes_at_a_time(index: SearchIndex) -> None:
    filled(index, document(1, "台灯"))
    other = SearchIndex(index._path, lock_timeout=0)
    with index.writing() as change:
        with pytest.raises(IndexBusy, match=r"writer\.lock"), other.writing():
            pass
        change(Changes([document(2, "台灯")], []))
    with other.writing() as change:
        change(Changes([document(3, "台灯")], []))
    assert sorted(ids(SearchIndex(index._path), "台灯")) == [1, 2, 3]


def test_a_failed_write_leaves_the_index_as_it_was_and_free(index: SearchIndex) -> None:
    filled(index, document(1, "台灯"))
    with pytest.raises(struct.error), index.writing() as change:
        change(Changes([document(2, "台灯"), document(3, "台灯", price="free")], [1]))
    index._path.joinpath("damaged").unlink()  # an unknown error counts as damage
    written(index, [document(4, "台灯")])
    assert ids(index, "台灯") == [4, 1]


def test_a_job_out_of_time_is_no_damage(index: SearchIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    def time_is_up(_title: str) -> list[str]:
        raise JobTimeoutException

    filled(index, document(1, "台灯"))
    with monkeypatch.context() as patched:
        patched.setattr(index.analyser, "index_tokens", time_is_up)
        with pytest.raises(JobTimeoutException), index.writing() as change:
            change(Changes([document(2, "台灯")], [1]))
    with pytest.raises(JobTimeoutException), reading_files():
        raise JobTimeoutException
    index.check()
    written(index, [document(3, "台灯")])
    assert ids(index, "台灯") == [3, 1]


# Readers


def test_postings_are_dropped_from_memory_oldest_first(index: SearchIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(index, *(document(number, "台灯 椅子 沙发") for number in range(1, 11)))
    monkeypatch.setattr("app.search.snapshot._POSTINGS_CACHE_BYTES", 2 * 10 * 16)
    for word in ("台灯", "椅子", "台灯", "沙发", "椅子", "沙发"):
        assert index.snapshot().frequency(word) == 10
    caches = index._caches
    assert [token for _, token in caches._postings] == ["椅子", "沙发"]
    assert caches._postings_bytes == 2 * 10 * 16


def test_without_an_index_there_is_nothing_to_read_or_write(index: SearchIndex) -> None:
    for attempt in (index.snapshot, index.status, index.check, lambda: written(index)):
        with pytest.raises(IndexMissing):
            attempt()
    assert not index._path.joinpath("current").exists()


def test_an_empty_index_finds_nothing(index: SearchIndex) -> None:
    filled(index)
    assert (ids(index, "台灯"), ids(index, "鞋"), ids(index, "ihpone 13")) == ([], [], [])
    assert (index.status().documents, index.status().segments) == (0, 0)


def test_another_process_is_seen_after_the_interval(index: SearchIndex) -> None:
    filled(index, document(1, "台灯"))
    reader = SearchIndex(index._path, check_every=3600)
    assert ids(reader, "台灯") == [1]
    written(index, [document(2, "台灯")])
    assert ids(reader, "台灯") == [1]
    reader._check_every = 0
    assert ids(reader, "台灯") == [2, 1]


def test_a_rebuild_by_another_process_is_seen(index: SearchIndex) -> None:
    filled(index, document(1, "台灯"))
    reader = SearchIndex(index._path, check_every=0)
    assert ids(reader, "台灯") == [1]
    filled(index, document(2, "台灯"))
    assert ids(reader, "台灯") == [2]


def test_each_thread_has_a_snapshot_of_its_own_that_ends_with_it(index: SearchIndex) -> None:
    filled(index, document(1, "台灯"))
    mine = index.snapshot()
    assert index.snapshot() is mine
    readers = []

    def read() -> None:
        readers.append(index.snapshot()._leaves[0])
        assert ids(index, "台灯") == [1]

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    (theirs,) = readers
    assert theirs is not mine._leaves[0]
    assert theirs.is_closed
    assert not mine._leaves[0].is_closed


def test_a_replaced_snapshot_is_closed(index: SearchIndex) -> None:
    filled(index, document(1, "台灯"))
    (leaf,) = index.snapshot()._leaves
    written(index, [document(2, "台灯")])
    assert ids(index, "台灯") == [2, 1]
    assert leaf.is_closed


def test_a_fork_opens_its_own_files(index: SearchIndex) -> None:
    filled(index, document(1, "台灯"))
    mine = index.snapshot()
    child = os.fork()
    if child == 0:
        os._exit(0 if index.snapshot() is not mine and ids(index, "台灯") == [1] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert index.snapshot() is mine


def test_readers_beside_a_writer_always_see_whole_commits(index: SearchIndex) -> None:
    """Each commit moves all ten goods to a new word: a reader finds ten of one word or none."""
    filled(index, *(document(number, "台灯 版本0") for number in range(1, 11)))
    stop = threading.Event()

    def read() -> set[int]:
        reader, totals, looks = SearchIndex(index._path, check_every=0), set(), 0
        while not stop.is_set():
            totals.add(find(reader, "台灯", size=100).page.total)
            looks += 1
        assert looks > 10
        return totals

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        for version in range(1, 31):
            written(index, [document(number, f"台灯 版本{version}") for number in range(1, 11)])
        stop.set()
        assert [reader.result() for reader in readers] == [{10}, {10}, {10}]
    assert ids(index, "版本30", size=3) == [10, 9, 8]
    assert index.status().documents == 10


# Rebuilds


def test_a_rebuild_replaces_the_folder_and_removes_the_old_one(index: SearchIndex) -> None:
    filled(index, document(1, "台灯"))
    (old,) = folders(index)
    filled(index, document(2, "台灯"))
    (new,) = folders(index)
    assert new != old
    assert ids(index, "台灯") == [2]
    assert sorted(path.name for path in index._path.iterdir()) == [
        "current",
        new,
        *(["jieba"] if index._path.joinpath("jieba").exists() else []),
        "rebuild.lock",
        "writer.lock",
    ]


def test_what_changes_during_a_rebuild_is_in_the_new_index(index: SearchIndex) -> None:
    filled(index, document(1, "台灯"), document(2, "台灯"), document(3, "台灯"))
    asked: list[int] = []

    def batches():
        yield [document(1, "台灯 旧"), document(2, "台灯 旧"), document(3, "台灯 旧")]
        # The drain goes on in the old index: 1 is edited, 2 sold, 4 released.
        written(index, [document(1, "台灯 新"), document(4, "台灯 新")], gone=[2])
        assert sorted(ids(index, "台灯")) == [1, 3, 4]

    def reload(changed):
        asked.extend(changed)
        return Changes([document(1, "台灯 新"), document(4, "台灯 新")], [2])

    assert index.rebuild(batches(), reload=reload) == 3
    assert asked == [1, 2, 4]
    assert sorted(ids(index, "台灯")) == [1, 3, 4]
    assert (ids(index, "新"), ids(index, "旧")) == ([4, 1], [3])


def test_a_failed_rebuild_leaves_everything_as_it_was(index: SearchIndex) -> None:
    filled(index, document(1, "台灯"))
    (old,) = folders(index)

    def batches():
        yield [document(2, "台灯")]
        raise RuntimeError("the database went away")

    with pytest.raises(RuntimeError, match="the database went away"):
        index.rebuild(batches(), reload=no_changes)
    assert folders(index) == [old]
    assert not index._path.joinpath("building").exists()
    assert ids(index, "台灯") == [1]
    written(index, [document(3, "台灯")])
    assert ids(index, "台灯") == [3, 1]


def test_what_a_killed_rebuild_left_is_in_nobodys_way(index: SearchIndex) -> None:
    filled(index, document(1, "台灯"))
    child = os.fork()
    if child == 0:

        def batches():
            yield [document(2, "台灯")]
            os.kill(os.getpid(), 9)

        index.rebuild(batches(), reload=no_changes)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
    assert len(folders(index)) == 2
    written(index, [document(3, "台灯")])
    assert ids(index, "台灯") == [3, 1]
    filled(index, document(4, "台灯"))
    assert len(folders(index)) == 1
    assert ids(index, "台灯") == [4]


def test_two_rebuilds_do_not_run_at_once(index: SearchIndex) -> None:
    def batches():
        yield [document(1, "台灯")]
        with pytest.raises(IndexBusy, match=r"rebuild\.lock"):
            SearchIndex(index._path).rebuild([], reload=no_changes)

    assert index.rebuild(batches(), reload=no_changes) == 1
    assert ids(index, "台灯") == [1]


def test_an_index_of_another_format_counts_as_missing(index: SearchIndex) -> None:
    filled(index, document(1, "台灯"))
    index._path.joinpath("current").write_text("index-v0-old")
    with pytest.raises(IndexMissing):
        SearchIndex(index._path).check()


# Damage


@pytest.mark.usefixtures("leaking_whoosh")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("content", [b"", b"garbage" * 100])
@pytest.mark.parametrize("suffix", [".toc", ".seg"])
def test_a_damaged_index_is_recognised_and_rebuilt(index: SearchIndex, suffix: str, content: bytes) -> None:
    filled(index, document(1, "台灯"))
    for file in index._current().glob(f"*{suffix}"):
        file.write_bytes(content)
    other = SearchIndex(index._path)
    with pytest.raises(IndexDamaged):
        other.check()
    filled(other, document(2, "台灯"))
    other.check()
    assert ids(other, "台灯") == [2]


def test_a_vanished_folder_is_damage(index: SearchIndex, tmp_path: Path) -> None:
    filled(index, document(1, "台灯"))
    index._current().rename(tmp_path / "elsewhere")
    with pytest.raises(IndexDamaged):
        SearchIndex(index._path).snapshot()


def test_a_mark_keeps_writers_away_until_the_rebuild(index: SearchIndex) -> None:
    filled(index, document(1, "台灯"))
    index.mark_damaged()
    with pytest.raises(IndexDamaged, match="marked by a reader"):
        index.check()
    with pytest.raises(IndexDamaged, match="marked by a reader"):
        written(index, [document(2, "台灯")])
    filled(index, document(2, "台灯"))
    index.check()
    written(index, [document(3, "台灯")])
    assert ids(index, "台灯") == [3, 2]
