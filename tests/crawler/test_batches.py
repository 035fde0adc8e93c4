"""Batches, manifest, rejects, the sieve before them, and what a killed run leaves."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured
from scrapy.statscollectors import MemoryStatsCollector
from scrapy.utils.test import get_crawler
from xianyu.batches import BATCHES, Batches, Counts, close_killed_runs, entry_of, fingerprint
from xianyu.errors import ConfigurationError
from xianyu.items import Listing, PriceStatus
from xianyu.outcomes import Outcome
from xianyu.parsing import Reject
from xianyu.sieve import Sieve
from xianyu.state import STATES, State

NOW = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)
RUN = "20261122T120030Z-xianyu_file-0a1b"


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[State]:
    found = State(tmp_path / "state.sqlite3")
    yield found
    found.close()


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def run(runs: Path, memory: State) -> Batches:
    return Batches(runs, run_id=RUN, spider="xianyu_file", now=NOW, state=memory)


def listing(item_id: str = "1", **fields: Any) -> Listing:
    return Listing(
        **{
            "item_id": item_id,
            "url": f"https://www.goofish.com/item?id={item_id}",
            "title": "富士 X100V 😀",
            "price_fen": 564250,
            "price_raw": "¥5642.50",
            "price_status": PriceStatus.OK,
            "fetched_at": "2026-11-22T12:00:00Z",
            "run_id": RUN,
            **fields,
        }
    )


def written(run: Batches, name: str, *listings: Listing) -> None:
    batch = run.open(name)
    for each in listings:
        batch.add(each)
    run.finish(batch)


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    return found


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_run_says_that_it_runs_from_its_first_moment(run: Batches) -> None:
    assert names(run.folder) == ["manifest.json"]
    assert manifest(run.folder) == {
        "format": "saltfish-listings",
        "version": 1,
        "source": "xianyu",
        "crawler": "1.0.0",
        "run_id": RUN,
        "spider": "xianyu_file",
        "started_at": "2026-11-22T12:00:30Z",
        "finished_at": None,
        "outcome": "running",
        "exit_code": None,
        "detail": "",
        "counts": {"requests": 0, "pages": 0, "listings": 0, "unchanged": 0, "duplicates": 0, "rejected": 0},
        "batches": [],
        "rejects": None,
    }


def test_an_open_batch_is_in_no_manifest_and_no_memory(run: Batches, memory: State) -> None:
    batch = run.open("items-00001.jsonl")
    batch.add(listing())
    batch.flush()
    assert names(run.folder) == ["items-00001.jsonl.part", "manifest.json"]
    assert manifest(run.folder)["batches"] == []
    assert memory.known(["1"]) == {}
    batch.close()


def test_a_finished_batch_is_named_and_known(run: Batches, memory: State) -> None:
    run.counts = lambda: Counts(requests=7, pages=2, unchanged=3, duplicates=4, rejected=1)
    first, second = listing("1"), listing("2", description="两行\n文字", flags=["auction"])
    written(run, "items-00001.jsonl", first, second)
    assert names(run.folder) == ["items-00001.jsonl", "manifest.json"]
    content = (run.folder / "items-00001.jsonl").read_bytes()
    assert [json.loads(line) for line in content.splitlines()] == [
        {
            "source": "xianyu",
            "item_id": "1",
            "url": "https://www.goofish.com/item?id=1",
            "title": "富士 X100V 😀",
            "description": None,
            "price_fen": 564250,
            "price_raw": "¥5642.50",
            "price_status": "ok",
            "orig_price_fen": None,
            "area": None,
            "category_id": None,
            "want_count": None,
            "published_at": None,
            "fetched_at": "2026-11-22T12:00:00Z",
            "keyword": None,
            "category": None,
            "flags": [],
            "pictures": [],
            "run_id": RUN,
        },
        json.loads(content.splitlines()[0])
        | {
            "item_id": "2",
            "url": "https://www.goofish.com/item?id=2",
            "description": "两行\n文字",
            "flags": ["auction"],
        },
    ]
    found = manifest(run.folder)
    assert found["batches"] == [
        {
            "file": "items-00001.jsonl",
            "listings": 2,
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    ]
    assert found["counts"] == {
        "requests": 7,
        "pages": 2,
        "listings": 2,
        "unchanged": 3,
        "duplicates": 4,
        "rejected": 1,
    }
    assert {key: known.fingerprint for key, known in memory.known(["1", "2"]).items()} == {
        "1": fingerprint(first),
        "2": fingerprint(second),
    }


def test_a_batch_in_which_a_line_was_cut_off_is_not_finished(run: Batches, memory: State) -> None:
    batch = run.open("items-00001.jsonl")
    batch.add(listing())
    batch.write(b'{"source":"xianyu","item_id":"2","ti')  # the disk was full, and then was not
    with pytest.raises(OSError, match=r"^items-00001.jsonl holds more than its listings$"):
        run.finish(batch)
    batch.close()
    run.close(outcome=Outcome.FAULT, exit_code=1, detail="", now=NOW)
    assert (names(run.folder), manifest(run.folder)["batches"]) == (["manifest.json"], [])
    assert memory.known(["1"]) == {}


def test_a_listing_in_a_log_is_its_number(run: Batches) -> None:
    assert repr(listing("42", description="两行\n文字")) == "<Listing 42>"


def test_rejects_say_reason_place_and_number_and_nothing_else(run: Batches) -> None:
    run.reject(Reject("5", "no title", "data.resultList[3]"))
    run.reject(Reject(None, "no id", "data.resultList[4]"))
    run.close(outcome=Outcome.FINISHED, exit_code=0, detail="", now=NOW)
    assert manifest(run.folder)["rejects"] == {"file": "rejects.jsonl", "rows": 2}
    lines = (run.folder / "rejects.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"reason": "no title", "place": "data.resultList[3]", "item_id": "5"},
        {"reason": "no id", "place": "data.resultList[4]", "item_id": None},
    ]


def test_the_end_of_a_run_is_in_its_manifest(run: Batches) -> None:
    half = run.open("items-00001.jsonl")  # a fault kept it from being finished
    half.close()
    run.close(outcome=Outcome.BLOCKED, exit_code=3, detail="RGV587_ERROR", now=NOW)
    found = manifest(run.folder)
    ends = ("outcome", "exit_code", "detail", "finished_at", "batches", "rejects")
    assert [found[key] for key in ends] == ["blocked", 3, "RGV587_ERROR", "2026-11-22T12:00:30Z", [], None]
    assert names(run.folder) == ["manifest.json"]


@pytest.mark.parametrize(
    "fields",
    [
        {"title": "富士 X100F"},
        {"description": "带盒"},
        {"price_fen": 564251},
        {"price_status": PriceStatus.NEGOTIABLE},
        {"orig_price_fen": 1},
        {"area": "上海"},
        {"category_id": "1512"},
        {"flags": ["auction"]},
    ],
)
def test_what_the_seller_says_changes_the_fingerprint(fields: dict[str, Any]) -> None:
    assert fingerprint(listing(**fields)) != fingerprint(listing())


def test_who_wants_it_and_who_found_it_when_does_not() -> None:
    other = listing(
        want_count=5, keyword="相机", category="相机", fetched_at="2026-11-23T00:00:00Z", pictures=["a.jpg"], run_id="x"
    )
    assert fingerprint(other) == fingerprint(listing())
    assert (
        fingerprint(listing()).hex() == "5c68da1732540a6f"
    )  # a new version must not make all that is known look changed


# The sieve


class Sieved:
    """A sieve as Scrapy makes it, with the crawler that counts."""

    def __init__(self, run: Batches, memory: State) -> None:
        self.crawler: Crawler = get_crawler(settings_dict={"XIANYU_REFRESH_DAYS": 7})
        self.crawler.stats = MemoryStatsCollector(self.crawler)
        STATES[self.crawler] = memory
        BATCHES[self.crawler] = run
        self.sieve = Sieve.from_crawler(self.crawler)

    def passes(self, found: Listing | Reject) -> bool:
        result = self.sieve.get_processed_item(found, None)
        assert result is None or result is found
        return result is not None

    def counted(self) -> dict[str, int]:
        return {key.removeprefix("xianyu/"): count for key, count in self.crawler.stats.get_stats().items()}


def known(memory: State, found: Listing) -> None:
    memory.commit_batch([entry_of(found)])


def test_each_listing_goes_on_once_a_run(run: Batches, memory: State) -> None:
    sieved = Sieved(run, memory)
    assert [sieved.passes(listing(item_id)) for item_id in ("1", "2", "1")] == [True, True, False]
    assert sieved.passes(listing("1", price_fen=1)) is False
    assert sieved.counted() == {"duplicates": 2}


@pytest.mark.parametrize(
    ("fields", "goes_on"),
    [
        ({}, False),
        ({"fetched_at": "2026-11-29T11:59:59Z"}, False),
        ({"fetched_at": "2026-11-29T12:00:00Z"}, True),  # seven days
        ({"price_fen": 1}, True),
        ({"price_fen": 1, "fetched_at": "2026-11-22T11:59:59Z"}, False),  # before the known sight
        ({"want_count": 9}, False),
    ],
)
def test_what_is_known_goes_on_if_it_changed_or_is_long_not_written(
    run: Batches, memory: State, fields: dict[str, Any], goes_on: bool
) -> None:
    known(memory, listing())
    sieved = Sieved(run, memory)
    assert sieved.passes(listing(**fields)) is goes_on
    assert sieved.counted() == ({} if goes_on else {"unchanged": 1})


def test_rejects_end_in_their_file(run: Batches, memory: State) -> None:
    sieved = Sieved(run, memory)
    assert sieved.passes(Reject("5", "no title", "data.resultList[3]")) is False
    assert sieved.counted() == {"rejected": 1}
    run.close(outcome=Outcome.FINISHED, exit_code=0, detail="", now=NOW)
    assert manifest(run.folder)["rejects"] == {"file": "rejects.jsonl", "rows": 1}


def test_without_the_runner_there_is_no_sieve() -> None:
    with pytest.raises(NotConfigured):
        Sieve.from_crawler(get_crawler())


# Killed runs


def test_a_killed_run_keeps_what_was_finished(run: Batches, runs: Path, memory: State) -> None:
    written(run, "items-00001.jsonl", listing("1"))
    run.open("items-00002.jsonl").close()
    (run.folder / "manifest.json.part").write_bytes(b"{")
    (run.folder / "pictures").mkdir()
    (run.folder / "pictures" / "a.jpg.part").touch()
    before = manifest(run.folder)
    assert close_killed_runs(runs, memory) == [RUN]
    assert names(run.folder) == ["items-00001.jsonl", "manifest.json", "pictures"]
    assert names(run.folder / "pictures") == []
    assert manifest(run.folder) == before | {
        "outcome": "killed",
        "detail": "ended without a word: kill -9, a crash or a power cut",
    }
    assert close_killed_runs(runs, memory) == []


def test_killed_between_file_and_manifest(run: Batches, runs: Path, memory: State) -> None:
    written(run, "items-00001.jsonl", listing("1"))
    batch = run.open("items-00002.jsonl")
    batch.add(listing("2"))
    batch.finish()
    first = manifest(run.folder)["batches"]
    close_killed_runs(runs, memory)
    content = (run.folder / "items-00002.jsonl").read_bytes()
    second = {
        "file": "items-00002.jsonl",
        "listings": 1,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    found = manifest(run.folder)
    assert (found["batches"], found["counts"]["listings"]) == ([*first, second], 2)
    assert sorted(memory.known(["1", "2"])) == ["1", "2"]


def test_killed_between_manifest_and_memory(runs: Path, tmp_path: Path, memory: State) -> None:
    forgetful = State(tmp_path / "other.sqlite3")
    run = Batches(runs, run_id=RUN, spider="xianyu_file", now=NOW, state=forgetful)
    written(run, "items-00001.jsonl", listing("1"))
    forgetful.close()
    assert memory.known(["1"]) == {}
    close_killed_runs(runs, memory)
    assert memory.known(["1"])["1"].fingerprint == fingerprint(listing("1"))
    assert manifest(run.folder)["counts"]["listings"] == 1


def test_killed_before_the_first_manifest(runs: Path, memory: State) -> None:
    folder = runs / RUN
    folder.mkdir()
    (folder / "manifest.json.part").touch()
    assert close_killed_runs(runs, memory) == [RUN]
    assert list(runs.iterdir()) == []


def test_other_runs_and_other_folders_are_left_alone(run: Batches, runs: Path, memory: State) -> None:
    run.close(outcome=Outcome.PARTIAL, exit_code=4, detail="", now=NOW)
    ours = (run.folder / "manifest.json").read_bytes()
    theirs = runs / "backup"
    theirs.mkdir()
    (theirs / "items-00001.jsonl.part").touch()
    (runs / "notes.txt").touch()
    assert close_killed_runs(runs, memory) == []
    assert (run.folder / "manifest.json").read_bytes() == ours
    assert names(runs) == [RUN, "backup", "notes.txt"]
    assert names(theirs) == ["items-00001.jsonl.part"]


def test_a_version_that_wrote_other_lines_is_not_read(run: Batches, runs: Path, memory: State) -> None:
    written(run, "items-00001.jsonl", listing("1"))
    (run.folder / "items-00001.jsonl").write_bytes(b'{"other": 1}\n')
    content = manifest(run.folder) | {"crawler": "0.9.0"}
    (run.folder / "manifest.json").write_text(json.dumps(content))
    assert close_killed_runs(runs, memory) == [RUN]
    assert manifest(run.folder)["outcome"] == "killed"


@pytest.mark.parametrize("name", ["manifest.json", "items-00001.jsonl"])
def test_what_the_disk_lost_is_for_a_person_to_judge(run: Batches, runs: Path, memory: State, name: str) -> None:
    written(run, "items-00001.jsonl", listing("1"))
    (run.folder / name).write_bytes(b'{"format": "salt')
    with pytest.raises(ConfigurationError, match=rf"{RUN} is damaged \(.*\): move it elsewhere"):
        close_killed_runs(runs, memory)
    assert (run.folder / name).read_bytes() == b'{"format": "salt'


def test_a_listing_reads_back_as_it_was(run: Batches) -> None:
    found = listing("1", description="一\n二", flags=["auction"], want_count=3)
    written(run, "items-00001.jsonl", found)
    line = json.loads((run.folder / "items-00001.jsonl").read_bytes())
    assert Listing(**line) == found
