"""The command line: runs that cannot begin, whole runs over saved answers, and runs that are stopped."""

import fcntl
import json
import logging
import os
import re
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import xianyu.state
from scrapy.utils.test import get_crawler
from xianyu.clock import isoformat, utcnow
from xianyu.lock import AlreadyRunningError, exclusive_lock
from xianyu.outcomes import COOLDOWN_OUTCOMES, EXIT_CODES, Outcome
from xianyu.runner import final_outcome, logging_to, main
from xianyu.state import STATES, State
from xianyu.stopping import CrawlResult, is_stopping, mark_fault, mark_partial, result_of, stop

from tests.crawler.crawls import Process
from tests.live import PROJECT
from tests.money.sandbox_server import eventually
from tests.processes import ForkedPython

SAMPLE = PROJECT / "crawler" / "samples" / "search.json"
LIVE = {"XIANYU_LIVE": "yes", "XIANYU_CONTACT": "https://example.org/crawler", "XIANYU_DELAY": "0"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("XIANYU_")]:
        monkeypatch.delenv(name)


@dataclass(frozen=True)
class Ended:
    """Exit code and output of a command line."""

    code: int
    printed: str
    complaints: str

    @property
    def summary(self) -> dict[str, str]:
        """The line on standard output, as a dict."""
        (line,) = self.printed.splitlines()
        pairs = re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|[^ ]*)', line)
        return {key: json.loads(value) if value.startswith('"') else value for key, value in pairs}


def start(data: Path, *words: object, environ: Mapping[str, str] | None = None) -> ForkedPython:
    """Start a command line, forked from a process that has imported Scrapy."""
    arguments = ["-m", "crawler", *map(str, words), "--data", str(data)]
    return ForkedPython(arguments, environ={"PATH": os.defpath, **(environ or {})})


def start_python(data: Path, *words: object, **more: Any) -> "subprocess.Popen[str]":
    """Start a command line as cron does: `python -m crawler`."""
    environ: Mapping[str, str] = more.pop("environ", {})
    return subprocess.Popen(
        [sys.executable, "-m", "crawler", *map(str, words), "--data", str(data)],
        cwd=PROJECT,
        env={"PATH": os.defpath, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def end(process: Process) -> Ended:
    """Wait for the end of a command line."""
    printed, complaints = process.communicate(timeout=60)
    assert process.returncode is not None
    return Ended(process.returncode, printed, complaints)


def run(data: Path, *words: object, environ: Mapping[str, str] | None = None) -> Ended:
    with start(data, *words, environ=environ) as process:
        return end(process)


def run_python(data: Path, *words: object, **more: Any) -> Ended:
    with start_python(data, *words, **more) as process:
        return end(process)


def manifest_of(found: Ended) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(Path(found.summary["manifest"]).read_bytes())
    return manifest


# Outcomes


def test_every_outcome_has_an_exit_code_but_those_of_manifests() -> None:
    assert set(Outcome) - set(EXIT_CODES) == {Outcome.RUNNING, Outcome.KILLED}


@pytest.mark.parametrize(
    ("found", "reason", "pages", "expected"),
    [
        (CrawlResult(), "finished", 3, (Outcome.FINISHED, "")),
        (CrawlResult(), "finished", 0, (Outcome.FAULT, "not one page was read, and nothing says why")),
        (CrawlResult(), "shutdown", 3, (Outcome.FAULT, "Scrapy ended the crawl: shutdown")),
        (CrawlResult(), "start_error", 0, (Outcome.FAULT, "Scrapy ended the crawl: start_error")),
        (CrawlResult(), None, 0, (Outcome.FAULT, "Scrapy ended the crawl: None")),
        (CrawlResult(missing=["相机, page 2"]), "finished", 3, (Outcome.PARTIAL, "相机, page 2")),
        (
            CrawlResult(missing=["one", "two", "three"]),
            "finished",
            0,
            (Outcome.PARTIAL, "one (and 2 more; see the log)"),
        ),
        (CrawlResult(Outcome.BUDGET, "500"), "budget", 9, (Outcome.BUDGET, "500")),
        (CrawlResult(Outcome.BUDGET, "500", missing=["one"]), "budget", 9, (Outcome.BUDGET, "500")),
        (CrawlResult(Outcome.STOPPED, "SIGTERM"), "stopped", 0, (Outcome.STOPPED, "SIGTERM")),
        (CrawlResult(Outcome.BLOCKED, "RGV587"), "blocked", 1, (Outcome.BLOCKED, "RGV587")),
        (CrawlResult(faults=["KeyError"]), "finished", 3, (Outcome.FAULT, "KeyError")),
        (CrawlResult(faults=["KeyError"], missing=["one"]), "finished", 3, (Outcome.FAULT, "KeyError")),
        (CrawlResult(Outcome.BUDGET, "500", faults=["KeyError"]), "budget", 3, (Outcome.FAULT, "KeyError")),
        (CrawlResult(Outcome.TIMEOUT, "", faults=["KeyError"]), "timeout", 3, (Outcome.FAULT, "KeyError")),
        (CrawlResult(Outcome.BLOCKED, "RGV587", faults=["KeyError"]), "blocked", 3, (Outcome.BLOCKED, "RGV587")),
        (
            CrawlResult(Outcome.CONFIGURATION, "no file", faults=["KeyError"]),
            "x",
            0,
            (Outcome.CONFIGURATION, "no file"),
        ),
    ],
)
def test_the_final_outcome(found: CrawlResult, reason: str | None, pages: int, expected: tuple[Outcome, str]) -> None:
    assert final_outcome(found, finish_reason=reason, pages=pages) == expected


def test_the_first_reason_to_stop_counts() -> None:
    crawler = get_crawler()
    assert is_stopping(crawler) is False
    stop(crawler, Outcome.BLOCKED, "first")
    stop(crawler, Outcome.BUDGET, "second")
    mark_partial(crawler, "a page")
    mark_fault(crawler, "KeyError")
    found = result_of(crawler)
    assert is_stopping(crawler) is True
    assert (found.outcome, found.detail, found.missing, found.faults) == (
        Outcome.BLOCKED,
        "first",
        ["a page"],
        ["KeyError"],
    )


@pytest.mark.parametrize("outcome", sorted(EXIT_CODES))
def test_a_block_begins_a_cooldown_at_once(tmp_path: Path, outcome: Outcome) -> None:
    state = State(tmp_path / "state.sqlite3")
    crawler = get_crawler()
    STATES[crawler] = state
    stop(crawler, outcome, "why", retry_after=86400.0)
    found = state.active_cooldown(utcnow())
    state.close()
    if outcome in COOLDOWN_OUTCOMES:
        assert found is not None
        assert (found.outcome, found.detail, found.blocks) == (outcome, "why", 1)
        assert timedelta(hours=23, minutes=59) < found.until - utcnow() < timedelta(hours=24, seconds=2)
    else:
        assert found is None


def test_a_retry_after_of_years_is_shortened(tmp_path: Path) -> None:
    state = State(tmp_path / "state.sqlite3")
    crawler = get_crawler()
    STATES[crawler] = state
    stop(crawler, Outcome.LIMITED, "HTTP 429", retry_after=float("inf"))
    found = state.active_cooldown(utcnow())
    state.close()
    assert found is not None
    assert timedelta(days=29, hours=23) < found.until - utcnow() < timedelta(days=30, seconds=2)


# Runs that cannot begin. They run in this process, as Scrapy does not start.


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A site that accepts no connections: they wait in its queue."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def base_url(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_run_during_the_cooldown_sends_nothing(
    data: Path, listening: socket.socket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**LIVE, "XIANYU_BASE_URL": base_url(listening), "XIANYU_DATA": str(data)}.items():
        monkeypatch.setenv(name, value)
    targets = data.parent / "targets.txt"
    targets.write_text("相机\n", "utf-8")
    data.mkdir()
    state = State(data / "state.sqlite3")
    until = state.start_cooldown(datetime.now(UTC), Outcome.BLOCKED, "RGV587_ERROR").until
    state.close()
    said = f"cooling until {isoformat(until)} after blocked (RGV587_ERROR); nothing was sent"
    monkeypatch.setenv("XIANYU_PICTURES", "yes")  # with which `xianyu_file` is a live run too
    for words in (["xianyu_search", str(targets)], ["xianyu_detail", str(targets)], ["xianyu_file", str(SAMPLE)]):
        assert main(["run", *words]) == 3
        assert capsys.readouterr() == (f'outcome=cooling exit_code=3 detail="{said}"\n', f"crawler: {said}\n")
    with pytest.raises(BlockingIOError):
        listening.accept()
    assert list((data / "runs").iterdir()) == []

    assert main(["status"]) == 0
    assert f"cooling   until {isoformat(until)}: blocked, RGV587_ERROR\n" in capsys.readouterr().out
    assert main(["forgive"]) == 0
    assert capsys.readouterr().out == "the wait is over, by your word\n"
    assert main(["forgive"]) == 0
    assert capsys.readouterr().out == "there is no wait\n"
    assert main(["status"]) == 0
    assert "cooling   no\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("environ", "words", "why"),
    [
        ({}, ["run", "xianyu_search", "targets.txt"], "only XIANYU_LIVE=yes allows"),
        ({}, ["run", "xianyu_detail", "items.txt"], "only XIANYU_LIVE=yes allows"),
        ({"XIANYU_PICTURES": "yes"}, ["run", "xianyu_file", str(SAMPLE)], "only XIANYU_LIVE=yes allows"),
        ({"XIANYU_LIVE": "yes"}, ["run", "xianyu_search", "targets.txt"], "XIANYU_CONTACT must say"),
        (LIVE, ["run", "xianyu_search", "targets.txt"], "XIANYU_DELAY must be at least 1 s"),
        (LIVE, ["run", "xianyu_search", "targets.txt", "--pages", "no"], "XIANYU_PAGE_LIMIT must be a whole number"),
        ({"XIANYU_BATCH": "0"}, ["run", "xianyu_file", str(SAMPLE)], "XIANYU_BATCH must be"),
        ({"XIANYU_DEALY": "9"}, ["status"], "unknown setting XIANYU_DEALY"),
    ],
)
def test_a_wrong_configuration_starts_nothing(
    data: Path,
    environ: Mapping[str, str],
    words: list[str],
    why: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert main([*words, "--data", str(data)]) == 2
    printed, complaints = capsys.readouterr()
    assert printed.startswith("outcome=configuration exit_code=2 detail=")
    assert why in complaints
    assert not data.exists()


def test_a_file_that_is_no_state_is_left_alone(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data.mkdir()
    content = b"somebody's notes " * 100
    (data / "state.sqlite3").write_bytes(content)
    for words in (["run", "xianyu_file", str(SAMPLE)], ["status"], ["forgive"]):
        assert main([*words, "--data", str(data)]) == 2
        assert "state.sqlite3 cannot be used (file is not a database); it was left as it is" in capsys.readouterr().err
    assert (data / "state.sqlite3").read_bytes() == content
    assert list((data / "runs").iterdir()) == []


def test_a_data_folder_that_is_a_file_is_left_alone(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data.write_text("mine")
    assert main(["run", "xianyu_file", str(SAMPLE), "--data", str(data)]) == 2
    assert f"the data folder {data} cannot be made: " in capsys.readouterr().err
    assert data.read_text() == "mine"


def test_a_second_run_is_refused_at_once(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data.mkdir()
    with exclusive_lock(data / "lock", "20261122T000000Z-xianyu_search-0a1b, process 42"):
        for words in (["run", "xianyu_file", str(SAMPLE)], ["run", "xianyu_file", str(SAMPLE)]):
            assert main([*words, "--data", str(data)]) == 75
            printed, complaints = capsys.readouterr()
            assert printed.startswith("outcome=already_running exit_code=75 ")
            assert complaints == "crawler: already running: 20261122T000000Z-xianyu_search-0a1b, process 42\n"
    assert not (data / "state.sqlite3").exists()
    assert list((data / "runs").iterdir()) == []


def test_the_lock_is_free_after_its_holder_and_names_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with exclusive_lock(path, "a rather long name of a holder"):
        pass
    again = exclusive_lock(path, "third")
    with exclusive_lock(path, "short"), pytest.raises(AlreadyRunningError, match=r"^already running: short$"):
        again.__enter__()
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_lock_file_may_hold_anything(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_bytes(b"\xff")
    again = exclusive_lock(path, "second")
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(AlreadyRunningError, match=r"^already running: \uFFFD$"):
            again.__enter__()


def test_status_and_forgive_create_nothing(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("status", "forgive"):
        assert main([command, "--data", str(data)]) == 0
        assert capsys.readouterr().out == f"{data}: no run yet\n"
    assert not data.exists()


def test_a_damaged_manifest_hides_no_other_run(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_ids = [f"20261122T12000{number}Z-xianyu_file-0a1b" for number in range(3)]
    State(_made(data) / "state.sqlite3").close()
    for run_id, content in zip(run_ids, (b"{", b"[]", None), strict=True):
        folder = _made(data / "runs" / run_id)
        counts = {"listings": 8, "requests": 0}
        whole = json.dumps({"run_id": run_id, "outcome": "finished", "detail": "", "counts": counts})
        (folder / "manifest.json").write_bytes(content or whole.encode())
    assert main(["status", "--data", str(data)]) == 0
    lines = capsys.readouterr().out.splitlines()[-3:]
    assert lines[0].split() == [run_ids[2], "finished", "8", "listings", "0", "requests"]
    assert [line.split(" (")[0].split() for line in lines[1:]] == [
        [run_ids[1], "is", "damaged"],
        [run_ids[0], "is", "damaged"],
    ]


def test_a_locked_state_is_a_fault(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(xianyu.state, "LOCK_TIMEOUT_SECONDS", 0.1)
    State(_made(data) / "state.sqlite3").close()
    holder = sqlite3.connect(data / "state.sqlite3", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert main(["forgive", "--data", str(data)]) == 1
    holder.close()
    assert capsys.readouterr().out == 'outcome=fault exit_code=1 detail="database is locked"\n'


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


# Whole runs


def copied(folder: Path, *, price: str = "5642") -> Path:
    """A copy of the sample with this price in its first row, saved at a second that depends on the price."""
    path = folder / "saved.json"
    shutil.copy(SAMPLE, path)
    path.write_text(path.read_text("utf-8").replace('"text": "5642"', f'"text": "{price}"'), "utf-8")
    moment = datetime(2026, 11, 22, 12, int(price) % 60, tzinfo=UTC).timestamp()
    os.utime(path, (moment, moment))
    return path


def test_saved_answers_become_a_feed_once(data: Path, tmp_path: Path) -> None:
    logs = data / "logs"
    logs.mkdir(parents=True)
    old, foreign = logs / "20250101T000000Z-xianyu_file-0a1b.log", logs / "mine.log"
    for path in (old, foreign):
        path.touch()
        os.utime(path, (0, 0))

    first = run_python(data, "run", "xianyu_file", copied(tmp_path, price="5640"))
    assert (first.code, first.complaints) == (0, "")
    counts = ("requests", "pages", "listings", "unchanged", "duplicates", "recommended", "rejected", "left_out")
    assert [first.summary[key] for key in counts] == ["0", "1", "8", "0", "0", "0", "2", "0"]
    manifest = manifest_of(first)
    assert {key: str(count) for key, count in manifest["counts"].items()} == {key: first.summary[key] for key in counts}
    ends = [manifest[key] for key in ("outcome", "exit_code", "detail", "spider", "run_id")]
    assert ends == ["finished", 0, "", "xianyu_file", first.summary["run_id"]]
    assert [(batch["file"], batch["listings"]) for batch in manifest["batches"]] == [("items-00001.jsonl", 8)]
    assert manifest["rejects"] == {"file": "rejects.jsonl", "rows": 2}
    folder = Path(first.summary["manifest"]).parent
    assert sorted(path.name for path in folder.iterdir()) == [
        "items-00001.jsonl",
        "manifest.json",
        "rejects.jsonl",
        "stats.json",
    ]
    stats = json.loads((folder / "stats.json").read_bytes())
    assert (stats["item_scraped_count"], stats["finish_reason"]) == (8, "finished")
    lines = (logs / f"{first.summary['run_id']}.log").read_text("utf-8").splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO xianyu: Run .* begins: .*", lines[0])
    assert lines[-1].endswith(first.printed.rstrip("\n"))
    assert (old.exists(), foreign.exists()) == (False, True)

    again = run(data, "run", "xianyu_file", copied(tmp_path, price="5640"), environ={"XIANYU_BATCH": "3"})
    assert [again.summary[key] for key in counts] == ["0", "1", "0", "8", "0", "0", "2", "0"]
    assert manifest_of(again)["batches"] == []

    changed = run(data, "run", "xianyu_file", copied(tmp_path, price="5643"), environ={"XIANYU_BATCH": "3"})
    assert [changed.summary[key] for key in counts] == ["0", "1", "1", "7", "0", "0", "2", "0"]
    (line,) = (Path(changed.summary["manifest"]).parent / "items-00001.jsonl").read_bytes().splitlines()
    assert json.loads(line)["price_fen"] == 564350


def test_batches_are_as_long_as_asked_for(data: Path, tmp_path: Path) -> None:
    found = run(data, "run", "xianyu_file", copied(tmp_path), environ={"XIANYU_BATCH": "3"})
    batches = manifest_of(found)["batches"]
    assert [(batch["file"], batch["listings"]) for batch in batches] == [
        ("items-00001.jsonl", 3),
        ("items-00002.jsonl", 3),
        ("items-00003.jsonl", 2),
    ]


def test_reading_saved_answers_does_not_clear_the_record_of_blocks(data: Path, tmp_path: Path) -> None:
    """After two blocks, whose cool-down is over, reading files does not make the next block count as the first."""
    data.mkdir()
    state = State(data / "state.sqlite3")
    long_ago = utcnow() - timedelta(days=3)
    for _ in range(2):
        state.start_cooldown(long_ago, Outcome.BLOCKED, "RGV587_ERROR")
    state.close()
    # Without a delay, pictures are fetched from this machine only, so nothing is sent here.
    environ = {**LIVE, "XIANYU_BASE_URL": "http://127.0.0.1:9", "XIANYU_PICTURES": "yes"}
    found = run(data, "run", "xianyu_file", copied(tmp_path), environ=environ)
    assert (found.code, found.summary["requests"], found.summary["listings"]) == (0, "0", "8")
    state = State(data / "state.sqlite3")
    assert state.start_cooldown(utcnow(), Outcome.BLOCKED, "RGV587_ERROR").blocks == 3
    state.close()


def test_a_host_of_pictures_that_asks_for_fewer_requests_ends_the_run(data: Path, tmp_path: Path) -> None:
    asked: list[str] = []

    class Busy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(404 if self.path == "/robots.txt" else 429)
            self.send_header("Retry-After", "90000")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    saved = copied(tmp_path)
    with HTTPServer(("127.0.0.1", 0), Busy) as server:
        base = f"http://127.0.0.1:{server.server_port}"
        pictures = re.sub(r'"(https?:)?//img.alicdn.com/[^"]*', f'"{base}/1.jpg', saved.read_text("utf-8"))
        saved.write_text(pictures, "utf-8")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        # With a delay, as always outside of tests: without one, the next picture would be under way already.
        environ = {**LIVE, "XIANYU_BASE_URL": base, "XIANYU_PICTURES": "yes"}
        environ |= {"XIANYU_DELAY": "1", "XIANYU_JITTER": "0"}
        found = run(data, "run", "xianyu_file", saved, environ=environ)
        server.shutdown()
    assert (found.code, found.summary["outcome"], found.summary["listings"]) == (3, "limited", "8")
    assert found.summary["detail"] == "a picture: HTTP 429"
    assert asked == ["/robots.txt", "/1.jpg"]
    state = State(data / "state.sqlite3")
    cooldown = state.active_cooldown(utcnow() + timedelta(hours=24))
    state.close()
    assert cooldown is not None


def test_no_log_tells_where_a_picture_is(tmp_path: Path) -> None:
    """Scrapy's warning of a picture that is too large quotes its URL, which may hold the seller's number."""
    path = tmp_path / "logs" / "20261122T120000Z-xianyu_file-0a1b.log"
    path.parent.mkdir()
    with logging_to(path, days=1):
        logger = logging.getLogger("scrapy.core.downloader.handlers.http11")
        logger.warning("%s bytes in request <GET https://img.alicdn.com/bao/a_!!2200-0-xy_item.jpg?x=1>.", 5)
        logger.warning(
            "gave up <POST https://h5api.m.goofish.com/h5/mtop.a/1.0/?jsv=2.7.2>, http://[::1]:80/robots.txt"
        )
        logger.error("broken", exc_info=OSError("Getting https://img.alicdn.com/bao/b_!!2200.jpg took longer"))
    lines = [line.partition(" ")[2] for line in path.read_text("utf-8").splitlines()]
    name = "scrapy.core.downloader.handlers.http11"
    assert lines[0] == f"WARNING {name}: 5 bytes in request <GET https://img.alicdn.com/…>."
    assert lines[1] == (
        f"WARNING {name}: gave up <POST https://h5api.m.goofish.com/h5/mtop.a/1.0/?jsv=2.7.2>,"
        " http://[::1]:80/robots.txt"
    )
    assert "2200" not in path.read_text("utf-8")
    assert path.read_text("utf-8").splitlines()[-1] == "OSError: Getting https://img.alicdn.com/… took longer"


def many(folder: Path, rows: int) -> Path:
    """An answer with this many listings."""
    answer = json.loads(SAMPLE.read_bytes())
    one = answer["data"]["resultList"][0]
    answer["data"]["resultList"] = []
    for number in range(rows):
        row = json.loads(json.dumps(one))
        row["data"]["item"]["main"]["exContent"]["itemId"] = str(9_100_000_000_000 + number)
        answer["data"]["resultList"].append(row)
    path = folder / "many.json"
    path.write_text(json.dumps(answer))
    return path


def test_a_full_disk_is_a_fault_and_touches_nothing_finished(data: Path, tmp_path: Path) -> None:
    """In the second run files cannot grow beyond 60 kB, but the batch is larger."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    before = run(data, "run", "xianyu_file", copied(tmp_path))
    folder = Path(before.summary["manifest"]).parent
    contents = {path: path.read_bytes() for path in folder.iterdir()}

    saved, environ = many(tmp_path, 400), {"XIANYU_BATCH": "400"}
    found = run_python(data, "run", "xianyu_file", saved, preexec_fn=limited, environ=environ)
    why = "the batch cannot be written: [Errno 27] File too large"
    assert (found.code, found.complaints) == (1, f"crawler: fault: {why}\n")
    assert (found.summary["outcome"], found.summary["detail"]) == ("fault", why)
    manifest = manifest_of(found)
    assert (manifest["outcome"], manifest["exit_code"], manifest["batches"]) == ("fault", 1, [])
    left = sorted(path.name for path in Path(found.summary["manifest"]).parent.iterdir())
    assert left == ["manifest.json", "stats.json"]
    assert {path: path.read_bytes() for path in folder.iterdir()} == contents
    state = State(data / "state.sqlite3")
    assert state.known_listings([str(9_100_000_000_000 + number) for number in range(400)]) == {}
    state.close()


# Runs that are stopped


@contextmanager
def hanging(data: Path, server: socket.socket, **variables: str) -> Iterator[tuple[ForkedPython, socket.socket]]:
    """A live run, and the connection on which its first request waits for an answer."""
    targets = data.parent / "targets.txt"
    targets.write_text("相机\n", "utf-8")
    environ = {**LIVE, "XIANYU_BASE_URL": base_url(server)}
    environ |= {f"XIANYU_{name}": value for name, value in variables.items()}
    with start(data, "run", "xianyu_search", targets, environ=environ) as process:
        server.settimeout(30)
        connection, _ = server.accept()
        with connection:
            connection.settimeout(30)
            assert connection.recv(4096).startswith(b"GET /robots.txt ")
            try:
                yield process, connection
            finally:
                process.kill()


def send_signal(process: ForkedPython, data: Path, number: signal.Signals) -> None:
    """Send a signal, and wait until the run begins to stop."""
    process.send_signal(number)
    (log,) = (data / "logs").iterdir()
    eventually(
        lambda: f"Stopping: stopped ({number.name})" in log.read_text("utf-8"), within_s=30, what="the signal's effect"
    )


def test_a_run_that_does_not_close_in_time_exits_and_the_next_one_marks_it_as_killed(
    data: Path, tmp_path: Path, listening: socket.socket
) -> None:
    # With 1 s the time could be over before the first request, which `hanging` waits for, on a busy machine.
    with hanging(data, listening, TIMEOUT="2", GRACE="1") as (process, _):
        found = end(process)
    assert found.code == 4
    assert found.summary["outcome"] == "timeout"
    assert found.summary["detail"] == "2 s are over; did not close in time, ended hard"
    assert manifest_of(found)["outcome"] == "running"
    following = run(data, "run", "xianyu_file", copied(tmp_path))
    assert following.code == 0
    manifest = manifest_of(found)
    assert (manifest["outcome"], manifest["exit_code"], manifest["finished_at"]) == ("killed", None, None)
    log = (data / "logs" / f"{following.summary['run_id']}.log").read_text("utf-8")
    assert f"Run {found.summary['run_id']} had been killed; its manifest says so now" in log


def test_a_second_signal_exits_at_once(data: Path, listening: socket.socket) -> None:
    with hanging(data, listening) as (process, _):
        send_signal(process, data, signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        found = end(process)
    assert found.code == 4
    assert found.summary["detail"] == "SIGTERM; did not close in time, ended hard"


def test_a_signal_stops_a_run_in_good_order(data: Path, listening: socket.socket) -> None:
    with hanging(data, listening) as (process, connection):
        send_signal(process, data, signal.SIGINT)
        body = b"User-agent: *\nAllow: /\n"
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body)
        connection.sendall(head + body)
        found = end(process)
    assert found.code == 4
    assert (found.summary["outcome"], found.summary["detail"]) == ("stopped", "SIGINT")
    assert (found.summary["requests"], found.summary["pages"]) == ("1", "0")
    manifest = manifest_of(found)
    assert (manifest["outcome"], manifest["exit_code"], manifest["detail"]) == ("stopped", 4, "SIGINT")
    listening.setblocking(False)
    with pytest.raises(BlockingIOError):
        listening.accept()


def test_a_signal_after_the_end_changes_nothing(data: Path, tmp_path: Path) -> None:
    """It arrives while Python itself ends, so this needs a real `python -m crawler`."""
    with start_python(data, "run", "xianyu_file", copied(tmp_path)) as process:
        while process.poll() is None and not any(b"Run ends" in log.read_bytes() for log in data.glob("logs/*")):
            time.sleep(0.001)  # no longer, as the process is about to end
        process.send_signal(signal.SIGTERM)
        found = end(process)
    assert (found.code, found.summary["outcome"], manifest_of(found)["outcome"]) == (0, "finished", "finished")


def test_a_signal_stops_the_reading_of_files(data: Path, tmp_path: Path) -> None:
    """Scrapy alone would never finish here: see `stopping._close`."""
    names = [many(tmp_path, 2000)]
    for number in range(4):
        names.append(tmp_path / f"{number}.json")
        shutil.copy(names[0], names[-1])
    with start(data, "run", "xianyu_file", *names, environ={"XIANYU_BATCH": "100"}) as process:
        eventually(lambda: len(list(data.glob("runs/*/items-*.jsonl"))) >= 2, within_s=30, what="a second batch")
        process.send_signal(signal.SIGTERM)
        found = end(process)
    assert found.code == 4
    assert (found.summary["outcome"], found.summary["detail"]) == ("stopped", "SIGTERM")
    manifest = manifest_of(found)
    listings = sum(batch["listings"] for batch in manifest["batches"])
    assert 200 <= listings == int(found.summary["listings"])
    assert int(found.summary["pages"]) < len(names)
    lines = [line for path in data.glob("runs/*/items-*.jsonl") for line in path.read_bytes().splitlines()]
    state = State(data / "state.sqlite3")
    assert len(state.known_listings([json.loads(line)["item_id"] for line in lines])) == len(lines) == listings
    state.close()
