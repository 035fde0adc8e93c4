"""`flask listings recheck` and `due`: what becomes of known listings when their details were saved again."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.clock import utcnow
from app.db.transactions import rows
from app.listings.models import CrawlRun, Listing, ListingPrice
from tests.crawler.test_runner import run as crawler
from tests.factories import whole_database
from tests.listings.feeds import BEGAN, Feed, at, feed_of, listing
from tests.listings.test_cli import cells, run
from tests.live import PROJECT

pytestmark = pytest.mark.usefixtures("clean")

LATER = BEGAN + timedelta(hours=2)


def stored(app: Flask) -> dict[str, tuple[int | None, list[str], str]]:
    """Price, flags and run of each listing."""
    with app.app_context():
        return {row.item_id: (row.price, row.flags, row.run_id) for row in rows(select(Listing.__table__))}


def prices(app: Flask, item_id: str) -> list[int]:
    with app.app_context():
        statement = select(ListingPrice.price).join(Listing).where(Listing.item_id == item_id)
        return [row.price for row in rows(statement.order_by(ListingPrice.seen_at))]


@pytest.fixture
def known(app: Flask, tmp_path: Path) -> dict[str, tuple[int | None, list[str], str]]:
    """Six known listings; the last of them is sold."""
    lines = [*(listing(number) for number in range(1, 6)), listing(6, flags=["sold"])]
    run(app, "import", feed_of(tmp_path / "known", lines).manifest)
    return stored(app)


def details(number: int, **changes: Any) -> dict[str, Any]:
    """A line of an item's details, saved an hour after the listing was seen."""
    return listing(number, fetched_at=at(60), keyword=None, category=None, **changes)


@pytest.fixture
def saved(tmp_path: Path) -> Feed:
    """What the crawler read from saved details: sold, cheaper, as before, on sale again, unknown, gone."""
    feed = feed_of(
        tmp_path / "saved",
        [
            details(1, flags=["sold"]),
            details(2, price_fen=200000),
            details(3),
            details(6),
            details(99),
        ],
        run_id="run-2",
        started_at=LATER,
    )
    feed.add_gone(4, 98, minutes=60)
    return feed


FOUND = ["run-2", "1", "1", "1", "1", "1", "0", "2", "0", "0"]


def test_what_is_found(app: Flask, known: dict[str, Any], saved: Feed) -> None:
    result = run(app, "recheck", saved.manifest)
    assert (result.exit_code, result.stderr) == (0, "")
    assert cells(result.stdout, "run-2") == FOUND
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [line[: line.index("自用")] for line in lines if "自用" in line] == [
        ["1", "sold", "2588.00", "2588.00"],
        ["2", "price", "changed", "2588.00", "2000.00"],
        ["6", "on", "sale", "again", "2588.00", "2588.00"],
        ["4", "offline", "2588.00", "2588.00"],
    ]
    assert result.stdout.endswith("5 known listings rechecked; 1 are not in these files and stay as they are\n")
    assert stored(app) == {
        "1": (258800, ["sold"], "run-2"),
        "2": (200000, [], "run-2"),
        "3": (258800, [], "run-2"),
        "4": (258800, ["offline"], "run-2"),
        "5": known["5"],
        "6": (258800, [], "run-2"),
    }
    assert (prices(app, "1"), prices(app, "2"), prices(app, "4")) == ([258800], [258800, 200000], [258800])
    with app.app_context():
        (row,) = rows(select(Listing.category, Listing.last_seen_at).where(Listing.item_id == "1"))
        assert (row.category, row.last_seen_at.isoformat()) == (1, at(60))


def test_again_and_again_it_changes_nothing_more(app: Flask, known: dict[str, Any], saved: Feed) -> None:
    run(app, "recheck", saved.manifest)
    before = whole_database(app)
    result = run(app, "recheck", saved.manifest)
    assert cells(result.stdout, "run-2") == ["run-2", "0", "0", "0", "0", "5", "0", "2", "0", "0"]
    assert "自用" not in result.stdout
    assert whole_database(app) == before
    assert len(known) == 6


def test_a_dry_run(app: Flask, known: dict[str, Any], saved: Feed) -> None:
    before = whole_database(app)
    result = run(app, "recheck", "--dry-run", saved.manifest)
    assert cells(result.stdout, "run-2") == FOUND
    assert "5 known listings rechecked (a dry run: nothing was changed); 1 are not" in result.stdout
    assert whole_database(app) == before
    assert stored(app) == known


def test_what_was_saved_before_it_was_seen_is_outdated(app: Flask, known: dict[str, Any], tmp_path: Path) -> None:
    feed = feed_of(tmp_path / "old", [listing(1, fetched_at=at(-60), flags=["sold"])], run_id="run-0")
    feed.add_gone(2, minutes=-60)
    before = stored(app)
    result = run(app, "recheck", feed.manifest)
    assert cells(result.stdout, "run-0") == ["run-0", "0", "0", "0", "0", "0", "2", "0", "0", "0"]
    assert stored(app) == before == known


def test_a_search_of_before_makes_nothing_of_it_undone(
    app: Flask, known: dict[str, Any], saved: Feed, tmp_path: Path
) -> None:
    run(app, "recheck", saved.manifest)
    after = stored(app)
    search = feed_of(tmp_path / "s", [listing(1, fetched_at=at(30)), listing(4, fetched_at=at(30))], run_id="run-3")
    assert cells(run(app, "import", search.manifest).stdout, "run-3")[1:5] == ["0", "0", "0", "2"]
    assert stored(app) == after != known
    # Of the run itself an import brings what was not known.
    assert cells(run(app, "import", saved.manifest).stdout, "run-2")[1:5] == ["1", "0", "4", "0"]
    assert stored(app) == after | {"99": (258800, [], "run-2")}


@pytest.mark.parametrize("flag", ["auction", "advertisement"])
def test_what_details_do_not_tell_stays(app: Flask, tmp_path: Path, flag: str) -> None:
    """Or else the first bid of an auction would count as a price as soon as its page was opened."""
    run(app, "import", feed_of(tmp_path / "known", [listing(1, flags=[flag]), listing(2)]).manifest)

    run(app, "recheck", feed_of(tmp_path / "saved", [details(1, flags=["sold"]), details(2)], run_id="run-2").manifest)

    assert stored(app) == {"1": (258800, sorted([flag, "sold"]), "run-2"), "2": (258800, [], "run-2")}


def test_gone_stays_sold_and_needs_no_time(app: Flask, known: dict[str, Any], tmp_path: Path) -> None:
    """Rejects of a crawler before 1.1 do not say when: then it was when the run began."""
    feed = Feed(tmp_path / "gone", run_id="run-2", started_at=LATER)
    feed.add_gone(6)
    path = feed.folder / "rejects.jsonl"
    row = json.loads(path.read_text("utf-8"))
    del row["fetched_at"]
    path.write_text(json.dumps(row), "utf-8")
    run(app, "recheck", feed.manifest)
    assert stored(app) == known | {"6": (258800, ["offline", "sold"], "run-2")}
    with app.app_context():
        assert rows(select(Listing.last_seen_at).where(Listing.item_id == "6"))[0].last_seen_at == LATER


def test_troubles_have_the_exit_codes_of_an_import(
    app: Flask, known: dict[str, Any], saved: Feed, tmp_path: Path
) -> None:
    (saved.folder / "rejects.jsonl").unlink()
    result = run(app, "recheck", saved.manifest)
    assert result.exit_code == 1
    assert result.stderr == f"{saved.folder}/rejects.jsonl is missing\n"
    assert stored(app)["1"] == (258800, ["sold"], "run-2")
    assert stored(app)["4"] == known["4"]
    missing = tmp_path / "none" / "manifest.json"
    result = run(app, "recheck", missing, saved.manifest)
    assert (result.exit_code, result.stderr.splitlines()[0]) == (2, f"{missing}: No such file or directory")


def test_it_is_no_import(app: Flask, known: dict[str, Any], saved: Feed) -> None:
    """The crawler keeps the run: what was not known is not stored."""
    run(app, "recheck", saved.manifest)
    assert not (saved.folder / "imported.json").exists()
    with app.app_context():
        found = {row.run_id: row.imported_at for row in rows(select(CrawlRun.run_id, CrawlRun.imported_at))}
    assert found["run-2"] is None
    assert len(known) == 6


def test_what_is_due(app: Flask, tmp_path: Path) -> None:
    def seen(number: int, days: float, **changes: Any) -> dict[str, Any]:
        return listing(number, fetched_at=(utcnow() - timedelta(days=days)).isoformat(timespec="seconds"), **changes)

    lines = [seen(1, 9), seen(2, 8.5), seen(3, 6.5), seen(4, 9, flags=["sold"]), seen(5, 9, flags=["offline"])]
    run(app, "import", feed_of(tmp_path, lines).manifest)
    url = "https://www.goofish.com/item?id={}\n"
    assert run(app, "due").stdout == url.format(1) + url.format(2)
    assert run(app, "due", "--days", "1", "--limit", "2").stdout == url.format(1) + url.format(2)
    assert run(app, "due", "--days", "6").stdout == "".join(map(url.format, (1, 2, 3)))
    assert run(app, "due", "--days", "10").stdout == ""


# From the browser to the database


def test_from_saved_answers_to_marks(app: Flask, tmp_path: Path) -> None:
    """The crawler reads a HAR with the details of four known items, one of which does not exist any more."""
    detail = json.loads((PROJECT / "crawler" / "samples" / "detail.json").read_bytes())

    def answer(number: int, **changes: Any) -> dict[str, Any]:
        item = detail["data"]["itemDO"] | {"itemId": 1_000_000_000_000 + number} | changes
        return detail | {"data": detail["data"] | {"itemDO": item}}

    def entry(number: int, text: dict[str, Any], minute: int) -> dict[str, Any]:
        api = "mtop.taobao.idle.pc.detail"
        data = json.dumps({"itemId": str(1_000_000_000_000 + number)}).replace('"', "%22")
        return {
            "startedDateTime": f"2026-11-20T08:{minute:02}:00Z",
            "request": {"method": "POST", "url": f"https://h5api.m.goofish.com/h5/{api}/1.0/?data={data}"},
            "response": {"status": 200, "content": {"text": json.dumps(text)}},
        }

    gone = {"api": "mtop.taobao.idle.pc.detail", "ret": ["FAIL_BIZ_ITEM_DEL_NOT_FOUND::宝贝不存在"], "data": {}}

    def crawl(name: str, *entries: dict[str, Any]) -> Path:
        har = tmp_path / name
        har.write_text(json.dumps({"log": {"entries": entries}}), "utf-8")
        found = crawler(tmp_path / "data", "run", "xianyu_file", har)
        assert found.code == 0, found
        return Path(found.summary["manifest"])

    first = crawl("first.har", *(entry(number, answer(number, soldPrice="720"), number) for number in range(4)))
    assert run(app, "import", first).exit_code == 0
    assert json.loads((first.parent / "imported.json").read_bytes())["batches"]
    second = crawl(
        "second.har",
        entry(0, answer(0, soldPrice="720", itemStatusStr="卖掉了", itemStatus=1), 10),
        entry(1, answer(1, soldPrice="650"), 11),
        entry(2, gone, 12),
    )
    result = run(app, "recheck", second)
    assert result.exit_code == 0, result.stderr
    run_id = second.parent.name
    assert cells(result.stdout, run_id)[1:] == ["1", "1", "0", "1", "0", "0", "0", "0", "0"]
    found = {item_id[-1]: (price, flags) for item_id, (price, flags, _) in stored(app).items()}
    assert found == {"0": (72000, ["sold"]), "1": (65000, []), "2": (72000, ["offline"]), "3": (72000, [])}
    assert prices(app, "1000000000001") == [72000, 65000]
