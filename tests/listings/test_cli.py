"""`flask listings …`."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select

from app.db.transactions import rows
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
