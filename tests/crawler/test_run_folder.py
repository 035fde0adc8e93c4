"""The folder of a run: batches, manifest, rejects, and how the folder of a killed run is completed."""

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from xianyu.errors import ConfigurationError
from xianyu.items import Listing
from xianyu.outcomes import Outcome
from xianyu.parsing import Page, Reject
from xianyu.run_folder import Counts, RunFolder, close_killed_runs, fingerprint, record_page
from xianyu.state import State

from tests.crawler.factories import NOW, RUN_ID, make_listing


def write_batch(run_folder: RunFolder, name: str, *listings: Listing) -> None:
    batch = run_folder.open_batch(name)
    for each in listings:
        batch.add(each)
    run_folder.finish_batch(batch)


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    return found


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_run_has_a_manifest_from_its_beginning(run_folder: RunFolder) -> None:
    assert names(run_folder.path) == ["manifest.json", "reserve.part"]
    assert manifest(run_folder.path) == {
        "format": "saltfish-listings",
        "version": 1,
        "source": "xianyu",
        "crawler": "1.1.0",
        "run_id": RUN_ID,
        "spider": "xianyu_file",
        "started_at": "2026-11-22T12:00:30Z",
        "finished_at": None,
        "outcome": "running",
        "exit_code": None,
        "detail": "",
        "counts": {
            "requests": 0,
            "pages": 0,
            "listings": 0,
            "unchanged": 0,
            "duplicates": 0,
            "recommended": 0,
            "rejected": 0,
            "left_out": 0,
        },
        "batches": [],
        "searches": [],
        "rejects": None,
        "not_after": None,
    }


def test_an_open_batch_is_neither_in_the_manifest_nor_in_the_state(run_folder: RunFolder, state: State) -> None:
    batch = run_folder.open_batch("items-00001.jsonl")
    batch.add(make_listing())
    batch.flush()
    assert names(run_folder.path) == ["items-00001.jsonl.part", "manifest.json", "reserve.part"]
    assert manifest(run_folder.path)["batches"] == []
    assert state.known_listings(["1"]) == {}
    batch.close()


def test_the_manifest_tells_how_many_offers_there_are_for_each_keyword(run_folder: RunFolder) -> None:
    def page(keyword: str | None, offers: int | None) -> Page:
        return Page(
            listings=[], rejects=[], item_ids=(), has_next=False, picture_urls={}, keyword=keyword, offers=offers
        )

    for keyword, offers, minutes in (
        *(("相机", 480_000, 0), ("手机", 7, 0), ("相机", 480_100, 5), ("相机", 1, -5)),
        *((None, 9, 0), ("无", None, 0), ("长" * 201, 9, 0), ("没有", 0, 0)),
    ):
        fetched_at = NOW + timedelta(minutes=minutes)
        record_page(run_folder, page(keyword, offers), category="数码", fetched_at=fetched_at)
    record_page(None, page("相机", 1), category=None, fetched_at=NOW)
    run_folder.close(outcome=Outcome.FINISHED, exit_code=0, detail="", now=NOW)

    assert manifest(run_folder.path)["searches"] == [
        {"keyword": "相机", "category": "数码", "offers": 480_100, "fetched_at": "2026-11-22T12:05:30Z"},
        {"keyword": "手机", "category": "数码", "offers": 7, "fetched_at": "2026-11-22T12:00:30Z"},
        {"keyword": "没有", "category": "数码", "offers": 0, "fetched_at": "2026-11-22T12:00:30Z"},
    ]


def test_a_finished_batch_is_named_and_known(run_folder: RunFolder, state: State) -> None:
    run_folder.counts = lambda: Counts(requests=7, pages=2, unchanged=3, duplicates=4, recommended=5, rejected=1)
    first, second = make_listing("1"), make_listing("2", description="两行\n文字", flags=["auction"])
    write_batch(run_folder, "items-00001.jsonl", first, second)
    assert names(run_folder.path) == ["items-00001.jsonl", "manifest.json", "reserve.part"]
    content = (run_folder.path / "items-00001.jsonl").read_bytes()
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
            "coupon_off_fen": None,
            "condition": None,
            "brand": None,
            "free_shipping": None,
            "area": None,
            "category_id": None,
            "want_count": None,
            "published_at": None,
            "fetched_at": "2026-11-22T12:00:00Z",
            "keyword": None,
            "category": None,
            "flags": [],
            "pictures": [],
            "run_id": RUN_ID,
        },
        json.loads(content.splitlines()[0])
        | {
            "item_id": "2",
            "url": "https://www.goofish.com/item?id=2",
            "description": "两行\n文字",
            "flags": ["auction"],
        },
    ]
    found = manifest(run_folder.path)
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
        "recommended": 5,
        "rejected": 1,
        "left_out": 0,
    }
    assert {key: known.fingerprint for key, known in state.known_listings(["1", "2"]).items()} == {
        "1": fingerprint(first),
        "2": fingerprint(second),
    }


def test_a_batch_in_which_a_line_was_cut_off_is_not_finished(run_folder: RunFolder, state: State) -> None:
    batch = run_folder.open_batch("items-00001.jsonl")
    batch.add(make_listing())
    batch.write(b'{"source":"xianyu","item_id":"2","ti')  # the disk was full here, and later was not
    with pytest.raises(OSError, match=r"^items-00001.jsonl holds more than its listings$"):
        run_folder.finish_batch(batch)
    batch.close()
    run_folder.close(outcome=Outcome.FAULT, exit_code=1, detail="", now=NOW)
    assert (names(run_folder.path), manifest(run_folder.path)["batches"]) == (["manifest.json"], [])
    assert state.known_listings(["1"]) == {}


def test_logs_name_a_listing_by_its_number(run_folder: RunFolder) -> None:
    assert repr(make_listing("42", description="两行\n文字")) == "<Listing 42>"


def test_rejects_say_reason_place_and_number_and_nothing_else(run_folder: RunFolder) -> None:
    run_folder.add_reject(Reject("5", "no title", "data.resultList[3]"))
    run_folder.add_reject(Reject(None, "no id", "data.resultList[4]"))
    run_folder.close(outcome=Outcome.FINISHED, exit_code=0, detail="", now=NOW)
    assert manifest(run_folder.path)["rejects"] == {"file": "rejects.jsonl", "rows": 2}
    lines = (run_folder.path / "rejects.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"reason": "no title", "place": "data.resultList[3]", "item_id": "5"},
        {"reason": "no id", "place": "data.resultList[4]", "item_id": None},
    ]


def test_the_end_of_a_run_is_in_its_manifest(run_folder: RunFolder) -> None:
    half = run_folder.open_batch("items-00001.jsonl")  # a fault kept it from being finished
    half.close()
    run_folder.close(outcome=Outcome.BLOCKED, exit_code=3, detail="RGV587_ERROR", now=NOW)
    found = manifest(run_folder.path)
    ends = ("outcome", "exit_code", "detail", "finished_at", "batches", "rejects")
    assert [found[key] for key in ends] == ["blocked", 3, "RGV587_ERROR", "2026-11-22T12:00:30Z", [], None]
    assert names(run_folder.path) == ["manifest.json"]


# Killed runs


def test_a_killed_run_keeps_what_was_finished(run_folder: RunFolder, runs: Path, state: State) -> None:
    write_batch(run_folder, "items-00001.jsonl", make_listing("1"))
    run_folder.open_batch("items-00002.jsonl").close()
    (run_folder.path / "manifest.json.part").write_bytes(b"{")
    (run_folder.path / "pictures").mkdir()
    (run_folder.path / "pictures" / "a.jpg.part").touch()
    before = manifest(run_folder.path)
    assert close_killed_runs(runs, state, now=NOW) == [RUN_ID]
    assert names(run_folder.path) == ["items-00001.jsonl", "manifest.json", "pictures"]
    assert names(run_folder.path / "pictures") == []
    assert manifest(run_folder.path) == before | {
        "outcome": "killed",
        "detail": "ended without a word: kill -9, a crash or a power cut",
    }
    assert close_killed_runs(runs, state, now=NOW) == []


def test_killed_between_file_and_manifest(run_folder: RunFolder, runs: Path, state: State) -> None:
    write_batch(run_folder, "items-00001.jsonl", make_listing("1"))
    batch = run_folder.open_batch("items-00002.jsonl")
    batch.add(make_listing("2"))
    batch.finish()
    first = manifest(run_folder.path)["batches"]
    close_killed_runs(runs, state, now=NOW)
    content = (run_folder.path / "items-00002.jsonl").read_bytes()
    second = {
        "file": "items-00002.jsonl",
        "listings": 1,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    found = manifest(run_folder.path)
    assert (found["batches"], found["counts"]["listings"]) == ([*first, second], 2)
    assert sorted(state.known_listings(["1", "2"])) == ["1", "2"]


def test_killed_between_manifest_and_state(runs: Path, tmp_path: Path, state: State) -> None:
    other = State(tmp_path / "other.sqlite3")
    run_folder = RunFolder(runs, run_id=RUN_ID, spider="xianyu_file", now=NOW, state=other)
    write_batch(run_folder, "items-00001.jsonl", make_listing("1"))
    other.close()
    assert state.known_listings(["1"]) == {}
    close_killed_runs(runs, state, now=NOW)
    assert state.known_listings(["1"])["1"].fingerprint == fingerprint(make_listing("1"))
    assert manifest(run_folder.path)["counts"]["listings"] == 1


def test_killed_before_the_first_manifest(runs: Path, state: State) -> None:
    folder = runs / RUN_ID
    folder.mkdir()
    (folder / "manifest.json.part").touch()
    assert close_killed_runs(runs, state, now=NOW) == [RUN_ID]
    assert list(runs.iterdir()) == []


def test_other_runs_and_other_folders_are_left_alone(run_folder: RunFolder, runs: Path, state: State) -> None:
    run_folder.close(outcome=Outcome.PARTIAL, exit_code=4, detail="", now=NOW)
    ours = (run_folder.path / "manifest.json").read_bytes()
    theirs = runs / "backup"
    theirs.mkdir()
    (theirs / "items-00001.jsonl.part").touch()
    (runs / "notes.txt").touch()
    assert close_killed_runs(runs, state, now=NOW) == []
    assert (run_folder.path / "manifest.json").read_bytes() == ours
    assert names(runs) == [RUN_ID, "backup", "notes.txt"]
    assert names(theirs) == ["items-00001.jsonl.part"]


def test_the_batches_of_another_version_are_not_parsed(run_folder: RunFolder, runs: Path, state: State) -> None:
    write_batch(run_folder, "items-00001.jsonl", make_listing("1"))
    (run_folder.path / "items-00001.jsonl").write_bytes(b'{"other": 1}\n')
    content = manifest(run_folder.path) | {"crawler": "0.9.0"}
    (run_folder.path / "manifest.json").write_text(json.dumps(content))
    assert close_killed_runs(runs, state, now=NOW) == [RUN_ID]
    assert manifest(run_folder.path)["outcome"] == "killed"


@pytest.mark.parametrize("name", ["manifest.json", "items-00001.jsonl"])
def test_a_damaged_run_is_left_for_the_operator(run_folder: RunFolder, runs: Path, state: State, name: str) -> None:
    write_batch(run_folder, "items-00001.jsonl", make_listing("1"))
    (run_folder.path / name).write_bytes(b'{"format": "salt')
    with pytest.raises(ConfigurationError, match=rf"{RUN_ID} is damaged \(.*\): move it elsewhere"):
        close_killed_runs(runs, state, now=NOW)
    assert (run_folder.path / name).read_bytes() == b'{"format": "salt'


def test_a_listing_is_read_back_unchanged(run_folder: RunFolder) -> None:
    found = make_listing("1", description="一\n二", flags=["auction"], want_count=3)
    write_batch(run_folder, "items-00001.jsonl", found)
    line = json.loads((run_folder.path / "items-00001.jsonl").read_bytes())
    assert Listing(**line) == found


# A clock that was ahead


def run_of(runs: Path, run_id: str, started_at: str, finished_at: str | None, **more: object) -> Path:
    folder = runs / run_id
    folder.mkdir()
    fields = {"outcome": "finished", "crawler": "1", "batches": [], "counts": {}, **more}
    path = folder / "manifest.json"
    path.write_text(json.dumps({"started_at": started_at, "finished_at": finished_at, **fields}))
    return path


def test_runs_whose_clock_was_ahead_are_bounded_once_and_keep_their_order(runs: Path, state: State) -> None:
    ahead = [
        run_of(runs, "20271122T120000Z-xianyu_file-0a1b", "2027-11-22T12:00:00Z", "2027-11-22T12:05:00Z"),
        run_of(runs, "20271123T120000Z-xianyu_file-0a1b", "2027-11-23T12:00:00Z", None, outcome="killed"),
    ]
    on_the_way = run_of(runs, "20261122T110000Z-xianyu_file-0a1b", "2026-11-22T11:00:00Z", "2027-01-01T00:00:00Z")
    right = run_of(runs, "20261122T115900Z-xianyu_file-0a1b", "2026-11-22T11:59:00Z", "2026-11-22T12:00:30Z")
    untouched = right.read_bytes()
    close_killed_runs(runs, state, now=NOW)
    bounds = [json.loads(path.read_bytes())["not_after"] for path in (on_the_way, *ahead)]
    assert bounds == ["2026-11-22T11:50:30Z", "2026-11-22T11:50:31Z", "2026-11-22T11:50:32Z"]
    assert right.read_bytes() == untouched
    before = [path.read_bytes() for path in ahead]
    close_killed_runs(runs, state, now=NOW + timedelta(hours=6))
    assert [path.read_bytes() for path in ahead] == before
