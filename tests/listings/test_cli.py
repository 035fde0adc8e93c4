"""`flask listings …`."""

import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask.cli import ScriptInfo
from psycopg.errors import DiskFull
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from app.db.transactions import rows
from app.listings import cli
from app.listings.models import Listing
from tests.factories import whole_database
from tests.listings.feeds import BEGAN, Feed, feed_of, listing

pytestmark = pytest.mark.usefixtures("clean")


def run(app: Flask, *arguments: str | Path) -> Result:
    return app.test_cli_runner().invoke(args=["listings", *map(str, arguments)], catch_exceptions=False)


def cells(output: str, run_id: str) -> list[str]:
    """The cells of the run's line in a printed table."""
    (line,) = [line for line in output.splitlines() if line.strip().startswith(run_id)]
    return re.split(r"\s{2,}", line.strip())


def item_ids(app: Flask) -> list[str]:
    with app.app_context():
        return [row.item_id for row in rows(select(Listing.item_id).order_by(Listing.item_id))]


def test_import(app: Flask, tmp_path: Path) -> None:
    first = feed_of(tmp_path / "1", [listing(1), listing(2, title="iPhone 13 手机壳", category="手表")])
    second = feed_of(tmp_path / "2", [listing(3)], run_id="run-2", started_at=BEGAN + timedelta(hours=1))
    result = run(app, "import", second.manifest, first.manifest)
    assert result.exit_code == 0
    assert cells(result.stdout, "run-1") == ["run-1", "2", "0", "0", "0", "2", "0", "0"]
    assert cells(result.stdout, "run-2") == ["run-2", "1", "0", "0", "0", "1", "0", "0"]
    assert "flagged: accessory 1\n" in result.stdout
    assert "no such category: 手表 1\n" in result.stdout
    assert re.search(r"^3 listings imported, in \d+\.\d s \(\d+/s\)$", result.stdout, re.MULTILINE)
    assert "importing listings" in result.stderr
    assert "3/3" in result.stderr
    assert item_ids(app) == ["1", "2", "3"]


def test_a_dry_run(app: Flask, tmp_path: Path) -> None:
    feed = feed_of(tmp_path, [listing(1), listing(2)])
    before = whole_database(app)
    result = run(app, "import", "--dry-run", feed.manifest)
    assert result.exit_code == 0
    assert cells(result.stdout, "run-1") == ["run-1", "2", "0", "0", "0", "2", "0", "0"]
    assert "2 listings would be imported; nothing was changed" in result.stdout
    assert whole_database(app) == before


def test_rejected_lines(app: Flask, tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    feed.add([listing(1), listing(2, price_fen=-1, title=""), b"{"])
    rejects = tmp_path / "rejects.jsonl"
    result = run(app, "import", feed.manifest, "--rejects", rejects)
    assert result.exit_code == 0
    assert cells(result.stdout, "run-1")[6:] == ["2", "0"]
    found = [json.loads(line) for line in rejects.read_text("utf-8").splitlines()]
    assert [(each["manifest"], each["file"], each["line"]) for each in found] == [
        (str(feed.manifest), "items-00001.jsonl", 2),
        (str(feed.manifest), "items-00001.jsonl", 3),
    ]
    assert found[0]["reasons"] == ["title: Value error, is blank", "price_fen: Input should be greater than 0"]
    assert found[1]["reasons"][0].startswith("Invalid JSON")
    assert item_ids(app) == ["1"]
    assert "2 lines are no listing; --rejects FILE says which, and why" in run(app, "import", feed.manifest).stderr


def test_a_rejects_file_that_cannot_be_written(app: Flask, tmp_path: Path) -> None:
    feed = feed_of(tmp_path, [listing(1)])
    for place in (tmp_path, tmp_path / "nowhere" / "rejects.jsonl"):
        result = run(app, "import", feed.manifest, "--rejects", place)
        assert result.exit_code == 2
        assert "--rejects" in result.stderr
    assert item_ids(app) == []


def test_damaged_batches(app: Flask, tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    damaged = feed.add([listing(1)])
    feed.add([listing(2)])
    damaged.unlink()
    result = run(app, "import", feed.manifest)
    assert result.exit_code == 1
    assert f"{damaged} is missing" in result.stderr
    assert cells(result.stdout, "run-1") == ["run-1", "1", "0", "0", "0", "1", "0", "1"]
    assert item_ids(app) == ["2"]


def test_manifests_that_cannot_be_used(app: Flask, tmp_path: Path) -> None:
    good, bad = feed_of(tmp_path / "1", [listing(1)]), feed_of(tmp_path / "2", [listing(2)], run_id="run-2")
    bad.write(version=2)
    missing = tmp_path / "3" / "manifest.json"
    result = run(app, "import", missing, bad.manifest, good.manifest)
    assert result.exit_code == 2
    assert f"{missing}: No such file or directory\n" in result.stderr
    assert f"{bad.manifest}: version: Input should be 1\n" in result.stderr
    assert item_ids(app) == ["1"]
    assert run(app, "import").exit_code == 2


def test_runs(app: Flask, tmp_path: Path) -> None:
    for number in range(3):
        feed = feed_of(
            tmp_path / str(number),
            [listing(number)],
            run_id=f"run-{number}",
            started_at=BEGAN + timedelta(days=number),
        )
        feed.write(outcome="blocked", exit_code=3, detail="[red]RGV587\x1b[2J") if number == 1 else feed.write()
        run(app, "import", feed.manifest)
    result = run(app, "runs")
    assert result.exit_code == 0
    assert re.findall(r"run-\d", result.stdout) == ["run-2", "run-1", "run-0"]
    line = cells(result.stdout, "run-1")
    assert line[:6] == [
        *("run-1", "xianyu_file", "2026-11-02T10:00:00+08:00", "2026-11-02T10:05:00+08:00"),
        *("blocked", "3"),
    ]
    assert line[6:8] == ["7", "20"]
    assert line[9:] == ["1", "0", "0", "0", "0", "0", "[red]RGV587\ufffd[2J"]
    assert re.findall(r"run-\d", run(app, "runs", "--last", "1").stdout) == ["run-2"]
    assert run(app, "runs", "--last", "0").exit_code == 2


def test_no_runs(app: Flask) -> None:
    result = run(app, "runs")
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 1)


# What a command meets on real machines


def run_into(app: Flask, descriptor: int, *arguments: str | Path, encoding: str = "utf-8") -> int:
    """Run a command whose standard output is this file descriptor. Returns its exit status."""
    file = open(descriptor, "w", encoding=encoding)  # noqa: SIM115 - a descriptor; closed below
    before, sys.stdout = sys.stdout, file
    try:
        words = ["listings", *map(str, arguments)]
        with pytest.raises(SystemExit) as ended:
            app.cli.main(args=words, prog_name="flask", obj=ScriptInfo(create_app=lambda: app))
    finally:
        sys.stdout.close()
        sys.stdout = before
    assert isinstance(ended.value.code, int)
    return ended.value.code


def unread_pipe() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.fixture
def feed(tmp_path: Path) -> Feed:
    made = Feed(tmp_path / "run")
    made.add([listing(1), listing(2, category="手表"), listing(3, title="")])
    return made


def test_nobody_reads(app: Flask, feed: Feed, capfd: pytest.CaptureFixture[str]) -> None:
    """`… | head` was a traceback, or an exit status that says that a batch is damaged."""
    for words in (["import", feed.manifest], ["runs"], ["recheck", feed.manifest], ["due", "--days", "1"]):
        assert run_into(app, unread_pipe(), *words) == 0, words
        assert "roken pipe" not in capfd.readouterr().err
    assert item_ids(app) == ["1", "2"]


def test_standard_output_on_a_full_disk(app: Flask, feed: Feed, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_into(app, os.open("/dev/full", os.O_WRONLY), "import", feed.manifest) == 1
    assert "Error: standard output: No space left on device\n" in capfd.readouterr().err
    assert item_ids(app) == ["1", "2"]


def test_an_ascii_terminal(app: Flask, feed: Feed) -> None:
    feed.write(outcome="blocked", exit_code=3, detail="\u5173\u952e\u8bcd")
    reading, writing = os.pipe()
    assert run_into(app, os.dup(writing), "import", feed.manifest, encoding="ascii") == 0
    assert run_into(app, writing, "runs", encoding="ascii") == 0
    written = os.read(reading, 65536)
    os.close(reading)
    assert rb"\u5173\u952e\u8bcd" in written


def test_names_that_are_no_utf8(app: Flask, tmp_path: Path) -> None:
    feed = Feed(tmp_path / os.fsdecode(b"\xff"))
    feed.add([listing(1), b"{"])
    rejects = tmp_path / os.fsdecode(b"\xfe.jsonl")
    result = run(app, "import", feed.manifest, feed.folder / "none.json", "--rejects", rejects)
    assert result.exit_code == 2
    (line,) = rejects.read_bytes().splitlines()
    assert json.loads(line)["manifest"] == f"{tmp_path}/\\xff/manifest.json"
    assert item_ids(app) == ["1"]
    assert (feed.folder / "imported.json").exists()


def test_rejects_on_a_full_disk(app: Flask, feed: Feed) -> None:
    result = run(app, "import", feed.manifest, "--rejects", "/dev/full")
    assert result.exit_code == 1
    assert "/dev/full: No space left on device; what is no listing is not named there any more\n" in result.stderr
    assert cells(result.stdout, "run-1") == ["run-1", "2", "0", "0", "0", "2", "1", "0"]
    assert item_ids(app) == ["1", "2"]


def test_a_mark_that_may_not_be_written(app: Flask, feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The crawler's folder belongs to another user: all is imported nevertheless."""

    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cli, "mark_imported", refused)
    result = run(app, "import", feed.manifest)
    assert result.exit_code == 0
    why = "Permission denied; the crawler will keep this run, as it cannot know that it was imported"
    assert f"{feed.folder}: {why}\n" in result.stderr
    assert item_ids(app) == ["1", "2"]


def test_only_what_was_imported_is_marked(app: Flask, tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    feed.add([listing(1)]).unlink()
    feed.add([listing(2)])
    run(app, "import", "--dry-run", feed.manifest)
    assert not (tmp_path / "imported.json").exists()
    assert run(app, "import", feed.manifest).exit_code == 1
    marked = json.loads((tmp_path / "imported.json").read_bytes())
    assert (marked["run_id"], marked["batches"]) == ("run-1", [feed.batches[1]["sha256"]])


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_signal(app: Flask, tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed terminal was exit status 129. What was imported before it stays."""
    feeds = [feed_of(tmp_path / str(day), [listing(day)], run_id=f"run-{day}") for day in (1, 2)]
    real = cli.import_manifests

    def interrupted(manifests: Sequence[Any], **more: Any) -> list[Any]:
        real(manifests[:1], **more)
        os.kill(os.getpid(), number)
        return real(manifests[1:], **more)

    monkeypatch.setattr(cli, "import_manifests", interrupted)
    before = signal.getsignal(number)
    result = run(app, "import", *(feed.manifest for feed in feeds))
    assert result.exit_code == 3
    assert result.stderr.endswith(f"stopped by {number.name}: what was done stays; repeat the command for the rest\n")
    assert signal.getsignal(number) is before
    assert item_ids(app) == ["1"]
    monkeypatch.undo()
    assert run(app, "import", *(feed.manifest for feed in feeds)).exit_code == 0
    assert item_ids(app) == ["1", "2"]


def test_a_full_disk_under_the_database(app: Flask, feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OperationalError("INSERT", {}, DiskFull("could not extend file: No space left on device\nHINT:  Check"))

    for command, name in (("import", "import_manifests"), ("recheck", "recheck_listings")):
        monkeypatch.setattr(cli, name, full)
        result = run(app, command, feed.manifest)
        assert result.exit_code == 1
        assert result.stderr.endswith(
            "Error: the database: could not extend file: No space left on device; what was stored stays, repeat the"
            " command\n"
        )
        assert "INSERT" not in result.stderr


def test_a_clock_that_was_ahead_is_said(app: Flask, tmp_path: Path) -> None:
    feed = feed_of(tmp_path, [listing(1, fetched_at="2090-01-01T00:00:00Z"), listing(2)])
    result = run(app, "import", feed.manifest)
    assert result.exit_code == 0
    said = "run-1: the crawler's clock was ahead; 1 listings count as seen before now\n"
    assert said in result.stderr
    assert item_ids(app) == ["1", "2"]
