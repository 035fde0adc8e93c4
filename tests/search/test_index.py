"""The index on disk: what writers, readers and rebuilds do to each other. What is found: test_matching.py."""

import os
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rq.timeouts import JobTimeoutException
from whoosh.index import open_dir

from app.search.errors import IndexBusy, IndexDamaged, IndexMissing, reading_files
from app.search.index import Changes, SearchIndex
from app.search.snapshot import BODY, _read_postings
from tests.search.steps import document, filled, find, ids, no_changes, written


def folders(index: SearchIndex) -> list[str]:
    return sorted(path.name for path in index._path.glob("index-*"))


# Writers


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
        assert looks > 2
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
