"""Importing feeds: what is stored, and that neither repeats, nor races, nor kills make a difference."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from os import environ
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.answers import Answer
from app.clock import utcnow
from app.db.transactions import rows
from app.listings.feed import read_manifest
from app.listings.importer import Hooks, ImportOutcome, ImportReport, Rejected, import_manifest, import_manifests
from app.listings.models import CrawlRun, Listing, ListingCondition, ListingPrice, SearchSupply
from app.listings.runs import last_runs
from app.outbox.models import OutboxMessage
from app.search import service as search
from tests.conftest import MakeApp
from tests.factories import assert_envelope, make_good, make_user, whole_database
from tests.listings.feeds import BEGAN, Feed, at, feed_of, listing
from tests.processes import run_forked

pytestmark = pytest.mark.usefixtures("context")

LATER = BEGAN + timedelta(days=1)
DAY = 24 * 60


def stored(item_id: str = "1") -> Any:
    (row,) = rows(select(Listing.__table__).where(Listing.item_id == item_id))
    return row


def history(item_id: str = "1") -> list[tuple[int, datetime]]:
    """The prices of a listing and when they were seen, oldest first."""
    statement = select(ListingPrice.price, ListingPrice.seen_at).join(Listing).where(Listing.item_id == item_id)
    return [(row.price, row.seen_at) for row in rows(statement.order_by(ListingPrice.seen_at))]


def everything() -> dict[str, list[dict[str, Any]]]:
    """All that imports write, but for ids and for when they did."""
    listings = {row.id: row._asdict() for row in rows(select(Listing.__table__))}
    prices = [row._asdict() for row in rows(select(ListingPrice.__table__))]
    runs = [row._asdict() for row in rows(select(CrawlRun.__table__))]
    for price in prices:
        price["listing_id"] = listings[price["listing_id"]]["item_id"]
    for row in (*listings.values(), *runs):
        del row["id"]
    for run in runs:
        del run["imported_at"]
    return {
        "listings": sorted(listings.values(), key=lambda row: row["item_id"]),
        "prices": sorted(prices, key=lambda row: (row["listing_id"], row["seen_at"])),
        "runs": sorted(runs, key=lambda row: row["run_id"]),
    }


def outcomes(report: ImportReport) -> dict[str, int]:
    return {outcome.value: count for outcome, count in report.outcomes.items()}


def next_day(folder: Path, *lines: dict[str, Any]) -> Feed:
    """A run on the day after; its lines were seen in its first minute unless they say otherwise."""
    return feed_of(folder, lines, run_id="run-2", started_at=LATER)


def test_every_field(tmp_path: Path) -> None:
    report = import_manifest(feed_of(tmp_path, [listing(1)]).manifest)
    assert (outcomes(report), report.prices, report.rejected, report.damaged) == ({"created": 1}, 1, 0, [])
    row = stored()._asdict()
    assert {"128g", "=128g"} & set(row.pop("terms"))
    assert row == {
        "id": 1,
        "source": "xianyu",
        "item_id": "1",
        "url": "https://www.goofish.com/item?id=1",
        "title": "自用 iPhone 13 128G 国行 无拆修",
        "price": 258800,
        "original_price": 599900,
        "coupon_off": None,
        "condition": None,
        "source_condition": None,
        "brand": None,
        "free_shipping": None,
        "category": 1,
        "source_category": "1512",
        "area": "上海",
        "want_count": 3,
        "published_at": datetime.fromisoformat("2026-10-30T08:00:00+00:00"),
        "first_seen_at": BEGAN,
        "last_seen_at": BEGAN,
        "flags": [],
        "run_id": "run-1",
    }
    assert history() == [(258800, BEGAN)]


DETAILS: dict[str, Any] = {
    "coupon_off_fen": 5000,
    "condition": "95新",
    "brand": "Apple/苹果",
    "free_shipping": True,
}
"""What crawlers tell since version 1.1."""


def test_condition_brand_shipping_and_a_coupon(tmp_path: Path) -> None:
    import_manifest(feed_of(tmp_path, [listing(1, **DETAILS)]).manifest)
    row = stored()
    assert (row.condition, row.source_condition) == (ListingCondition.LIKE_NEW, "95新")
    assert (row.brand, row.free_shipping) == ("Apple/苹果", True)
    # The price is what the seller asks: the site shows 2,588 yuan, after a coupon of its own.
    assert (row.price, row.coupon_off) == (263800, 5000)
    assert history() == [(263800, BEGAN)]


def test_a_coupon_is_no_change_of_the_price(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = [
        {"price_fen": 258800},
        {"price_fen": 253800, "coupon_off_fen": 5000},
        {"price_fen": 258800},
        {"price_fen": 250000, "coupon_off_fen": 5000},
    ]
    feed = feed_of(tmp_path, [listing(1, fetched_at=at(minute), **price) for minute, price in enumerate(seen)])
    report = import_manifest(feed.manifest)
    assert (outcomes(report), report.prices) == ({"created": 1, "updated": 3}, 2)
    assert [price for price, _ in history()] == [258800, 255000]
    assert (stored().price, stored().coupon_off) == (255000, 5000)


def test_details_that_an_answer_leaves_out_stay_known_but_a_coupon_is_over(tmp_path: Path) -> None:
    import_manifest(feed_of(tmp_path / "1", [listing(1, **DETAILS)]).manifest)
    import_manifest(next_day(tmp_path / "2", listing(1, fetched_at=at(DAY), price_fen=263800)).manifest)
    row = stored()
    assert (row.condition, row.source_condition, row.brand) == (ListingCondition.LIKE_NEW, "95新", "Apple/苹果")
    assert (row.free_shipping, row.coupon_off, row.price) == (True, None, 263800)
    assert history() == [(263800, BEGAN)]


def test_what_was_only_recommended_is_kept_without_a_mark(tmp_path: Path) -> None:
    line = listing(1, flags=["recommended"], keyword=None, category=None)
    import_manifest(feed_of(tmp_path, [line]).manifest)
    assert (stored().flags, stored().category) == ([], None)


def supplies() -> list[tuple[Any, ...]]:
    """How many offers there are: keyword, offers, when that was seen, category, terms, run."""
    statement = select(SearchSupply.__table__).order_by(SearchSupply.keyword)
    return [(row.keyword, row.offers, row.seen_at, row.category, row.terms, row.run_id) for row in rows(statement)]


def search_of(keyword: str, offers: int, minute: int = 0, category: str | None = None) -> dict[str, Any]:
    return {"keyword": keyword, "category": category, "offers": offers, "fetched_at": at(minute)}


def test_how_many_offers_there_are_for_a_keyword(tmp_path: Path) -> None:
    feed = feed_of(tmp_path / "1", [listing(1)])
    searches = [
        search_of("iPhone 13", 152156, 0, "手机"),
        search_of("iPhone 13", 152157, 3, "手机"),
        search_of("iPhone 13", 1, 1, "手机"),
        search_of("苹果", 7, 0, "手表"),
    ]
    report = import_manifest(feed.write(searches=searches))
    assert report.supplies == 2
    known = [
        ("iPhone 13", 152157, datetime.fromisoformat(at(3)), 1, ["^", "iphone13", "苹果"], "run-1"),
        ("苹果", 7, BEGAN, None, [], "run-1"),  # a brand alone is no thing that has a price
    ]
    assert supplies() == known
    assert rows(select(SearchSupply.source)) == [("xianyu",), ("xianyu",)]

    # The same again changes nothing; what is older is not newer; what is newer counts.
    assert import_manifest(feed.manifest).supplies == 2
    assert supplies() == known
    other = feed_of(tmp_path / "2", [listing(2)], run_id="run-2")
    older = other.write(searches=[search_of("iPhone 13", 9, 2), search_of("苹果", 0, 5)])
    assert import_manifest(older).supplies == 1
    assert supplies() == [known[0], ("苹果", 0, datetime.fromisoformat(at(5)), None, [], "run-2")]


def test_the_run_is_noted(tmp_path: Path) -> None:
    feed = feed_of(tmp_path, [listing(1), listing(2)])
    import_manifest(feed.manifest)
    (run,) = last_runs(limit=5)
    assert run.imported_at > BEGAN
    assert {name: value for name, value in run._asdict().items() if name not in ("id", "imported_at")} == {
        "run_id": "run-1",
        "source": "xianyu",
        "spider": "xianyu_file",
        "started_at": BEGAN,
        "finished_at": BEGAN + timedelta(minutes=5),
        "outcome": "finished",
        "exit_code": 0,
        "detail": "",
        "counts": {"requests": 7, "pages": 7, "listings": 20, "unchanged": 0, "duplicates": 0, "rejected": 0},
        "created": 2,
        "updated": 0,
        "unchanged": 0,
        "outdated": 0,
        "rejected": 0,
        "damaged": 0,
        "latest_at": None,
    }


def test_a_second_import_changes_nothing(tmp_path: Path) -> None:
    feed = feed_of(tmp_path, [listing(number) for number in range(1, 8)])
    import_manifest(feed.manifest)
    before = everything()
    report = import_manifest(feed.manifest)
    assert (outcomes(report), report.prices) == ({"unchanged": 7}, 0)
    after = everything()
    assert after["runs"][0].pop("unchanged") == 7
    assert before["runs"][0].pop("unchanged") == 0
    assert after == before


def test_prices_over_time(tmp_path: Path) -> None:
    """A line when there is a price at first and whenever it is another; 面议 in between is no price."""
    seen: list[tuple[int, dict[str, Any]]] = [
        (0, {"price_fen": None, "price_status": "negotiable"}),
        (1, {"price_fen": 300000}),
        (2, {"price_fen": 300000}),
        (3, {"price_fen": 280000}),
        (4, {"price_fen": None, "price_status": "missing"}),
        (5, {"price_fen": 280000}),
        (6, {"price_fen": 300000}),
    ]
    feed = feed_of(tmp_path, [listing(1, fetched_at=at(minute), **price) for minute, price in seen])
    report = import_manifest(feed.manifest)
    assert (outcomes(report), report.prices) == ({"created": 1, "unchanged": 1, "updated": 5}, 3)
    assert [(price, (moment - BEGAN).seconds // 60) for price, moment in history()] == [
        (300000, 1),
        (280000, 3),
        (300000, 6),
    ]
    before = everything()["prices"]
    assert outcomes(import_manifest(feed.manifest)) == {"outdated": 6, "unchanged": 1}
    assert everything()["prices"] == before
    assert (stored().price, stored().first_seen_at) == (300000, BEGAN)


def test_a_listing_without_a_price_is_kept(tmp_path: Path) -> None:
    import_manifest(feed_of(tmp_path, [listing(1, price_fen=None, price_status="negotiable")]).manifest)
    assert (stored().price, history()) == (None, [])


def test_an_older_observation_changes_nothing(tmp_path: Path) -> None:
    old = feed_of(tmp_path / "1", [listing(1, price_fen=300000), listing(2)])
    import_manifest(next_day(tmp_path / "2", listing(1, price_fen=280000, fetched_at=at(DAY))).manifest)
    before = stored()
    report = import_manifest(old.manifest)
    assert outcomes(report) == {"outdated": 1, "created": 1}
    assert stored() == before
    assert history() == [(280000, LATER)]


def test_manifests_are_imported_in_the_order_of_their_runs(tmp_path: Path) -> None:
    second = next_day(tmp_path / "a", listing(1, price_fen=280000, fetched_at=at(DAY)))
    first = feed_of(tmp_path / "b", [listing(1, price_fen=300000)])
    reports = import_manifests([(feed.manifest, read_manifest(feed.manifest)) for feed in (second, first)])
    assert [report.manifest.run_id for report in reports] == ["run-1", "run-2"]
    assert [outcomes(report) for report in reports] == [{"created": 1}, {"updated": 1}]
    assert history() == [(300000, BEGAN), (280000, LATER)]


def test_what_an_answer_leaves_out_stays_known(tmp_path: Path) -> None:
    import_manifest(feed_of(tmp_path / "1", [listing(1)]).manifest)
    silent = dict.fromkeys(("category", "category_id", "area", "published_at", "want_count", "orig_price_fen"))
    report = import_manifest(next_day(tmp_path / "2", listing(1, fetched_at=at(DAY), **silent)).manifest)
    row = stored()
    assert outcomes(report) == {"updated": 1}
    assert (row.category, row.source_category, row.area, row.published_at is None) == (1, "1512", "上海", False)
    assert (row.want_count, row.original_price) == (None, None)
    assert (row.run_id, row.first_seen_at, row.last_seen_at) == ("run-2", BEGAN, LATER)


def test_seen_again_as_it_was(tmp_path: Path) -> None:
    import_manifest(feed_of(tmp_path / "1", [listing(1)]).manifest)
    report = import_manifest(next_day(tmp_path / "2", listing(1, fetched_at=at(DAY))).manifest)
    assert (outcomes(report), report.prices) == ({"unchanged": 1}, 0)
    assert (stored().last_seen_at, stored().run_id) == (LATER, "run-2")


def test_of_two_sources_the_same_number_is_two_listings(tmp_path: Path) -> None:
    import_manifest(feed_of(tmp_path / "1", [listing(1)]).manifest)
    other = feed_of(tmp_path / "2", [listing(1, source="elsewhere")], run_id="run-2")
    assert outcomes(import_manifest(other.write(source="elsewhere"))) == {"created": 1}
    assert {(row.source, row.item_id) for row in rows(select(Listing.__table__))} == {
        ("xianyu", "1"),
        ("elsewhere", "1"),
    }


def test_flags_of_words_and_of_the_crawler(tmp_path: Path) -> None:
    feed = feed_of(
        tmp_path,
        [
            listing(1, title="iPhone 13 手机壳", description=None),
            listing(2, title="iPhone 13 128G", description="日租 80,免押金"),
            listing(3, title="iPhone 13 128G", description=None, flags=["auction"]),
            listing(4, title="iPhone 13 128G", description=None, flags=["sold"]),
        ],
    )
    report = import_manifest(feed.manifest)
    assert report.flagged == {"accessory": 1, "rental": 1, "auction": 1, "sold": 1}
    assert [stored(str(number)).flags for number in (1, 2, 3, 4)] == [["accessory"], ["rental"], ["auction"], ["sold"]]


def test_the_operators_label_is_our_category_where_we_have_it(tmp_path: Path) -> None:
    labels = ["手机", "玩具乐器", " 家電 ", "手表", "手表", None]
    feed = feed_of(tmp_path, [listing(number, category=label) for number, label in enumerate(labels, start=1)])
    report = import_manifest(feed.manifest)
    assert [stored(str(number)).category for number in range(1, 7)] == [1, 9, 8, None, None, None]
    assert report.unknown_categories == {"手表": 2}


def test_tables_that_changed_since_judge_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = feed_of(tmp_path, [listing(1, title="iPhone 13 空盒", description=None), listing(2)])
    with monkeypatch.context() as patch:
        patch.setattr("app.listings.importer.flags_of", lambda *_: frozenset())
        import_manifest(feed.manifest)
    assert stored().flags == []
    report = import_manifest(feed.manifest)
    assert (outcomes(report), report.prices) == ({"updated": 1, "unchanged": 1}, 0)
    assert stored().flags == ["accessory"]
    assert outcomes(import_manifest(feed.manifest)) == {"unchanged": 2}


def test_broken_lines_are_rejected_and_the_rest_goes_on(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    feed.add([listing(1), b"{", listing(2, price_fen=-1), listing(3, title="a\x00b"), b"", listing(4)])
    rejected: list[Rejected] = []
    report = import_manifest(feed.manifest, hooks=Hooks(reject=rejected.append))
    assert (outcomes(report), report.rejected) == ({"created": 2}, 4)
    assert [(each.file, each.line) for each in rejected] == [("items-00001.jsonl", line) for line in (2, 3, 4, 5)]
    assert [row.item_id for row in rows(select(Listing.item_id).order_by(Listing.id))] == ["1", "4"]
    assert last_runs(limit=1)[0].rejected == 4


def test_a_damaged_batch_is_refused_as_a_whole(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    for number in (1, 2, 3):
        feed.add([listing(number)])
    (tmp_path / "items-00002.jsonl").write_bytes(b"x" * feed.batches[1]["bytes"])
    lines = 0

    def count(more: int) -> None:
        nonlocal lines
        lines += more

    report = import_manifest(feed.manifest, hooks=Hooks(progress=count))
    assert (outcomes(report), lines) == ({"created": 2}, 3)
    assert report.damaged == ["items-00002.jsonl does not have the SHA-256 that the manifest says"]
    assert [row.item_id for row in rows(select(Listing.item_id).order_by(Listing.id))] == ["1", "3"]
    assert last_runs(limit=1)[0].damaged == 1


def test_a_run_that_is_still_going_on_is_imported_twice(tmp_path: Path) -> None:
    feed = Feed(tmp_path, outcome="running")
    feed.add([listing(1)])
    import_manifest(feed.manifest)
    stale = feed.manifest.read_bytes()
    assert (last_runs(limit=1)[0].outcome, last_runs(limit=1)[0].finished_at) == ("running", None)
    feed.outcome = "finished"
    feed.add([listing(2)])
    assert outcomes(import_manifest(feed.manifest)) == {"unchanged": 1, "created": 1}
    (run,) = last_runs(limit=5)
    assert (run.outcome, run.created) == ("finished", 2)
    feed.manifest.write_bytes(stale)
    import_manifest(feed.manifest)
    (run,) = last_runs(limit=5)
    assert (run.outcome, run.finished_at, run.exit_code) == ("finished", BEGAN + timedelta(minutes=5), 0)


def test_a_dry_run_counts_the_same_and_changes_nothing(tmp_path: Path, app: Flask) -> None:
    import_manifest(feed_of(tmp_path / "0", [listing(1)], run_id="run-0").manifest)
    first = feed_of(tmp_path / "1", [listing(1), listing(2), listing(1, fetched_at=at(1), price_fen=1)])
    second = next_day(tmp_path / "2", listing(2, fetched_at=at(DAY), price_fen=2), listing(3, title="空盒"))
    both = [(feed.manifest, read_manifest(feed.manifest)) for feed in (first, second)]
    before = whole_database(app)
    tried = import_manifests(both, dry_run=True)
    assert whole_database(app) == before
    done = import_manifests(both)
    assert [replace(report, dry_run=False) for report in tried] == done
    assert [outcomes(report) for report in done] == [
        {"unchanged": 1, "created": 1, "updated": 1},
        {"updated": 1, "created": 1},
    ]


def test_imported_listings_are_not_for_sale(tmp_path: Path, make_app: MakeApp) -> None:
    app = make_app(SEARCH_INDEX_PATH=str(tmp_path / "search"))
    good = make_good(app, make_user(app), title="iPhone 13 128G")
    with app.app_context():
        import_manifest(feed_of(tmp_path / "run", [listing(number) for number in range(1, 9)]).manifest)
        assert search.rebuild() == 1
        assert rows(select(OutboxMessage.id)) == []
    client = app.test_client()
    for found in (client.get("/api/goods/"), client.get("/test/?q=iphone")):
        data = assert_envelope(found, Answer.GOOD_FOUND)
        assert [item["id"] for item in data["items"]] == [good.id]
        assert data["total"] == 1
    assert [client.get(f"/api/good/{number}/").status_code for number in (good.id, good.id + 1)] == [200, 404]


# Races and kills


def many(folder: Path, *, run_id: str = "run-1", minute: int = 0, price: int = 258800) -> Feed:
    """A run of three chunks."""
    feed = Feed(folder, run_id=run_id, started_at=BEGAN + timedelta(minutes=minute))
    for first in range(0, 1200, 200):
        numbers = range(first, first + 200)
        feed.add([listing(each, run_id=run_id, fetched_at=at(minute), price_fen=price + each) for each in numbers])
    return feed


def at_once(app: Flask, *imports: Callable[[Hooks], ImportReport]) -> list[ImportReport]:
    """Do imports in threads of their own, which begin their first chunks together."""
    barrier = threading.Barrier(len(imports), timeout=60)

    def run(work: Callable[[Hooks], ImportReport]) -> ImportReport:
        with app.app_context():
            barrier.wait()
            return work(Hooks())

    with ThreadPoolExecutor(len(imports)) as threads:
        return list(threads.map(run, imports))


def test_two_imports_of_one_manifest(app: Flask, tmp_path: Path) -> None:
    manifest = many(tmp_path).manifest
    reports = at_once(app, *[lambda hooks: import_manifest(manifest, hooks=hooks)] * 2)
    together = sum((report.outcomes for report in reports), Counter[ImportOutcome]())
    assert together == {ImportOutcome.CREATED: 1200, ImportOutcome.UNCHANGED: 1200}
    assert sum(report.prices for report in reports) == 1200
    after = everything()
    assert [len(after[name]) for name in ("listings", "prices", "runs")] == [1200, 1200, 1]
    assert after["runs"][0]["created"] == 1200


def test_imports_of_two_runs_about_the_same_listings(app: Flask, tmp_path: Path) -> None:
    first, second = many(tmp_path / "1"), many(tmp_path / "2", run_id="run-2", minute=1, price=200000)
    at_once(app, *(lambda hooks, feed=feed: import_manifest(feed.manifest, hooks=hooks) for feed in (first, second)))
    after = everything()
    assert {(row["run_id"], row["price"] - int(row["item_id"])) for row in after["listings"]} == {("run-2", 200000)}
    counts = Counter(price["listing_id"] for price in after["prices"])
    assert len(counts) == 1200
    assert set(counts.values()) <= {1, 2}
    assert sum(run["created"] for run in after["runs"]) == 1200
    assert sum(run["updated"] + run["outdated"] for run in after["runs"]) == 1200


_KILLED = """
import os, signal
from pathlib import Path
import app.listings.importer as importer
from app import create_app
chunks, store = [], importer.ManifestImport._store
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def die_in_the_second(self, session, chunk):
    chunks.append(chunk)
    store(self, session, chunk)
    if len(chunks) == 2:
        session.flush()
        die()
importer.ManifestImport.{method} = {deadly}
with create_app().app_context():
    importer.import_manifest(Path({manifest!r}))
"""


@pytest.mark.parametrize(
    ("method", "deadly", "kept"),
    [
        ("_store", "die_in_the_second", 500),  # all of the second chunk is written, nothing of it committed
        ("_finish", "die", 1200),  # all listings are committed, the run is not noted as imported
    ],
)
def test_an_import_that_was_killed_is_repeated(
    environment: dict[str, str], tmp_path: Path, method: str, deadly: str, kept: int
) -> None:
    feed = many(tmp_path)
    code = _KILLED.format(method=method, deadly=deadly, manifest=str(feed.manifest))
    ended = run_forked(["-c", code], environ={**environ, **environment}, timeout=60)
    assert ended.returncode == -9, ended.stderr
    half = everything()
    assert [len(half[name]) for name in ("listings", "prices")] == [kept, kept]
    assert (half["runs"][0]["created"], last_runs(limit=1)[0].imported_at) == (kept, None)
    report = import_manifest(feed.manifest)
    assert report.outcomes == Counter({ImportOutcome.CREATED: 1200 - kept, ImportOutcome.UNCHANGED: kept})
    after = everything()
    assert [len(after[name]) for name in ("listings", "prices", "runs")] == [1200, 1200, 1]
    assert (after["runs"][0]["created"], after["runs"][0]["updated"]) == (1200, 0)


# A clock that was ahead

AHEAD = timedelta(days=400)


def ahead(folder: Path, *, run_id: str = "run-9", **changes: Any) -> Feed:
    """A run on a machine whose clock was ahead: it saw one listing."""
    moment = (utcnow() + AHEAD).replace(microsecond=0)
    return feed_of(folder, [listing(1, fetched_at=moment.isoformat(), **changes)], run_id=run_id, started_at=moment)


def test_what_a_clock_dated_ahead_is_imported_and_outdated_by_what_is_seen_next(tmp_path: Path) -> None:
    """Manifest and lines were refused; dated ahead they would outdate all that is seen until then."""
    feed = ahead(tmp_path / "1", price_fen=100)
    before = utcnow()
    report = import_manifest(feed.manifest)
    assert (outcomes(report), report.rejected, report.ahead) == ({"created": 1}, 0, 1)
    seen_at = stored().last_seen_at
    assert before - timedelta(minutes=11) < seen_at < before - timedelta(minutes=9)
    (run,) = last_runs(limit=5)
    assert (run.started_at, run.finished_at, run.latest_at) == (seen_at, seen_at, seen_at)

    seen_next = (utcnow() - timedelta(minutes=1)).replace(microsecond=0)
    following = feed_of(
        tmp_path / "2",
        [listing(1, fetched_at=seen_next.isoformat(), price_fen=200)],
        run_id="run-10",
        started_at=seen_next,
    )
    assert outcomes(import_manifest(following.manifest)) == {"updated": 1}
    assert history() == [(100, seen_at), (200, seen_next)]
    state = everything()
    for _ in range(2):  # again, in any order, changes nothing
        import_manifests([(each.manifest, read_manifest(each.manifest)) for each in (following, feed)])
        again = everything()
        assert (again["listings"], again["prices"]) == (state["listings"], state["prices"])
        assert [run["latest_at"] for run in again["runs"]] == [None, seen_at]


def test_the_crawler_may_know_better_when_such_a_run_was_over(tmp_path: Path) -> None:
    feed = ahead(tmp_path / "1", price_fen=100)
    not_after = (utcnow() - timedelta(days=3)).replace(microsecond=0)
    feed.write(not_after=not_after.isoformat())
    later = (utcnow() - timedelta(days=2)).replace(microsecond=0)
    following = feed_of(
        tmp_path / "2", [listing(1, fetched_at=later.isoformat(), price_fen=200)], run_id="run-1", started_at=later
    )
    reports = import_manifests([(each.manifest, read_manifest(each.manifest)) for each in (following, feed)])
    assert [report.manifest.run_id for report in reports] == ["run-9", "run-1"]
    assert history() == [(100, not_after), (200, later)]


def test_a_bound_of_a_clock_that_was_right_is_not_heeded(tmp_path: Path) -> None:
    """A later run whose own clock was behind takes all runs before it for ahead."""
    feed = feed_of(tmp_path, [listing(1)])
    feed.write(not_after="2020-01-01T00:00:00Z")
    report = import_manifest(feed.manifest)
    assert (stored().last_seen_at, report.ahead) == (BEGAN, 0)
    assert last_runs(limit=5)[0].latest_at is None


def test_clocks_may_differ_by_an_hour(tmp_path: Path) -> None:
    moment = (utcnow() + timedelta(minutes=50)).replace(microsecond=0)
    feed = feed_of(tmp_path, [listing(1, fetched_at=moment.isoformat())], started_at=moment)
    assert import_manifest(feed.manifest).ahead == 0
    assert stored().last_seen_at == moment


def test_a_dry_run_keeps_no_bound(tmp_path: Path) -> None:
    feed = ahead(tmp_path)
    assert import_manifest(feed.manifest, dry_run=True).ahead == 1
    assert everything() == {"listings": [], "prices": [], "runs": []}
