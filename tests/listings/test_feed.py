"""Manifests, batches and lines that cannot be believed."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.listings.feed import (
    MANIFEST_BYTES,
    MAX_PRICE_FEN,
    BadLine,
    BadManifest,
    DamagedBatch,
    Manifest,
    RejectsFile,
    mark_imported,
    read_batch,
    read_gone,
    read_line,
    read_manifest,
)
from tests.listings.feeds import BEGAN, Feed, feed_of, listing

SHA = "0" * 64


@pytest.fixture
def feed(tmp_path: Path) -> Feed:
    return feed_of(tmp_path / "run", [listing(1), listing(2)])


@pytest.fixture
def manifest(feed: Feed) -> Manifest:
    return read_manifest(feed.manifest)


def test_a_manifest_and_its_batch(feed: Feed) -> None:
    manifest = read_manifest(feed.write(something_newer=[1, 2]))
    assert (manifest.run_id, manifest.spider, manifest.listings, manifest.is_running) == (
        "run-1",
        "xianyu_file",
        2,
        False,
    )
    lines = read_batch(feed.folder, manifest.batches[0])
    assert [read_line(line, manifest).item_id for line in lines] == ["1", "2"]


def test_how_many_offers_there_are_may_be_told(feed: Feed) -> None:
    assert read_manifest(feed.manifest).searches == ()  # by crawlers before 1.1 it is not
    search = {"keyword": "相机", "category": None, "offers": 480000, "fetched_at": BEGAN.isoformat(), "more": 1}
    (found,) = read_manifest(feed.write(searches=[search])).searches
    assert (found.keyword, found.category, found.offers, found.fetched_at) == ("相机", None, 480000, BEGAN)


def test_details_of_a_listing(manifest: Manifest) -> None:
    details = {"coupon_off_fen": 5000, "condition": "几乎全新", "brand": "Apple/苹果", "free_shipping": False}
    found = read_line(json.dumps(listing(1, **details)).encode(), manifest)
    assert (found.coupon_off_fen, found.condition, found.brand) == (5000, "几乎全新", "Apple/苹果")
    assert (found.free_shipping, found.price_fen, found.asked_fen) == (False, 258800, 263800)
    old = read_line(json.dumps(listing(1)).encode(), manifest)
    assert (old.coupon_off_fen, old.condition, old.brand, old.free_shipping, old.asked_fen) == (*[None] * 4, 258800)
    unpriced = read_line(json.dumps(listing(1, price_fen=None, price_status="zero")).encode(), manifest)
    assert unpriced.asked_fen is None


def test_a_run_that_is_not_over(feed: Feed) -> None:
    feed.outcome = "running"
    manifest = read_manifest(feed.write())
    assert (manifest.is_running, manifest.finished_at, manifest.exit_code) == (True, None, None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": "saltfish-goods"}, "format: Input should be 'saltfish-listings'"),
        ({"version": 2}, "version: Input should be 1"),
        ({"version": "1"}, "version: Input should be 1"),
        ({"run_id": "../run"}, "run_id: String should match"),
        ({"source": "Xian Yu"}, "source: String should match"),
        ({"started_at": "2026-11-01T02:00:00"}, "started_at: Input should have timezone info"),
        ({"rejects": {"file": "../rejects.jsonl", "rows": 1}}, "rejects.file: "),
        ({"not_after": "2026-11-01T02:00:00"}, "not_after: Input should have timezone info"),
        ({"counts": {"pages": -1}}, "counts.pages: Input should be greater than or equal to 0"),
        ({"exit_code": 1000}, "exit_code: Input should be less than or equal to 255"),
        ({"detail": "\x00"}, "detail: Value error, holds NUL"),
        ({"batches": [{"file": "../../etc/passwd", "listings": 1, "bytes": 1, "sha256": SHA}]}, "batches.0.file: "),
        ({"batches": [{"file": "/etc/passwd", "listings": 1, "bytes": 1, "sha256": SHA}]}, "batches.0.file: "),
        ({"batches": [{"file": "..", "listings": 1, "bytes": 1, "sha256": SHA}]}, "batches.0.file: "),
        ({"batches": [{"file": "a.jsonl", "listings": 1, "bytes": 2**40, "sha256": SHA}]}, "batches.0.bytes: "),
        ({"batches": [{"file": "a.jsonl", "listings": 1, "bytes": 1, "sha256": "0"}]}, "batches.0.sha256: "),
        ({"batches": None}, "batches: Input should be a valid array"),
        ({"searches": [{"keyword": "x", "offers": -1, "fetched_at": BEGAN.isoformat()}]}, "searches.0.offers: "),
        ({"searches": [{"keyword": " ", "offers": 1, "fetched_at": BEGAN.isoformat()}]}, "searches.0.keyword: "),
        ({"searches": [{"keyword": "x" * 201, "offers": 1, "fetched_at": BEGAN.isoformat()}]}, "searches.0.keyword: "),
    ],
)
def test_manifests_that_cannot_be_used(feed: Feed, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadManifest) as caught:
        read_manifest(feed.write(**changes))
    assert reason in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no JSON", b"[]", b"null", b"\xff\xfe"])
def test_files_that_are_no_manifest(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(BadManifest):
        read_manifest(path)


def test_manifests_that_are_not_there_or_endless(tmp_path: Path) -> None:
    with pytest.raises(BadManifest, match=r"\ANo such file or directory\Z"):
        read_manifest(tmp_path / "manifest.json")
    with pytest.raises(BadManifest, match=r"\AIs a directory\Z"):
        read_manifest(tmp_path)
    with (tmp_path / "manifest.json").open("wb") as file:
        file.truncate(MANIFEST_BYTES + 1)
    with pytest.raises(BadManifest, match=r"\Ais larger than 16777216 bytes\Z"):
        read_manifest(tmp_path / "manifest.json")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-10]), "bytes, not "),
        (lambda path: path.write_bytes(path.read_bytes().replace(b"13", b"14")), "does not have the SHA-256"),
        (lambda path: (path.unlink(), path.mkdir()), "is no file"),
        (lambda path: (path.rename(path.with_suffix(".x")), path.symlink_to(path.with_suffix(".x"))), "is no file"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "is no file"),
    ],
)
def test_batches_that_are_not_what_their_manifest_says(
    feed: Feed, manifest: Manifest, damage: Any, reason: str
) -> None:
    damage(feed.folder / "items-00001.jsonl")
    with pytest.raises(DamagedBatch) as caught:
        read_batch(feed.folder, manifest.batches[0])
    assert reason in str(caught.value)


def test_a_batch_with_another_number_of_lines(feed: Feed) -> None:
    feed.batches[0]["listings"] = 3
    manifest = read_manifest(feed.write())
    with pytest.raises(DamagedBatch, match=r"\Ahas 2 lines, not 3\Z"):
        read_batch(feed.folder, manifest.batches[0])


def test_an_empty_batch(feed: Feed) -> None:
    feed.add([])
    manifest = read_manifest(feed.manifest)
    assert read_batch(feed.folder, manifest.batches[1]) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"price_fen": -1}, "price_fen: Input should be greater than 0"),
        ({"price_fen": 0}, "price_fen: Input should be greater than 0"),
        ({"price_fen": MAX_PRICE_FEN + 1}, "price_fen: Input should be less than or equal to 99999999999"),
        ({"price_fen": 2588.0}, "price_fen: Input should be a valid integer"),
        ({"price_fen": "258800"}, "price_fen: Input should be a valid integer"),
        ({"price_fen": True}, "price_fen: Input should be a valid integer"),
        ({"price_fen": None}, "Value error, price_status and price_fen contradict each other"),
        ({"coupon_off_fen": 0}, "coupon_off_fen: Input should be greater than 0"),
        (
            {"coupon_off_fen": 1, "price_fen": None, "price_status": "zero"},
            "Value error, coupon_off_fen is off no price",
        ),
        ({"free_shipping": "yes"}, "free_shipping: Input should be a valid boolean"),
        ({"condition": "x" * 101}, "condition: String should have at most 100 characters"),
        ({"brand": "a\x00b"}, "brand: Value error, holds NUL"),
        ({"price_status": "zero"}, "Value error, price_status and price_fen contradict each other"),
        ({"title": None}, "title: Input should be a valid string"),
        ({"title": ""}, "title: Value error, is blank"),
        ({"title": " \u3000\n"}, "title: Value error, is blank"),
        ({"title": "a\x00b"}, "title: Value error, holds NUL, which the database cannot keep"),
        ({"title": "闲" * 2001}, "title: String should have at most 2000 characters"),
        ({"description": "鱼" * 20_001}, "description: String should have at most 20000 characters"),
        ({"item_id": 12}, "item_id: Input should be a valid string"),
        ({"item_id": "12 or 1=1"}, "item_id: String should match"),
        ({"item_id": "1\n"}, "item_id: String should match"),
        ({"url": "javascript:alert(1)"}, "url: String should match"),
        ({"want_count": 2**31}, "want_count: Input should be less than or equal to 2147483647"),
        ({"fetched_at": "yesterday"}, "fetched_at: Input should be a valid datetime"),
        ({"fetched_at": 1793498400}, "fetched_at: Input should be a valid datetime"),
        ({"published_at": "0001-01-01T00:00:00+14:00"}, "published_at: Input should be greater than or equal to"),
        ({"flags": "sold"}, "flags: Input should be a valid array"),
        ({"run_id": "run-2"}, "is of another run than its manifest"),
        ({"source": "taobao"}, "is of another run than its manifest"),
    ],
)
def test_lines_that_are_no_listing(manifest: Manifest, changes: dict[str, Any], reason: str) -> None:
    line = json.dumps(listing(1, **changes)).encode()
    with pytest.raises(BadLine) as caught:
        read_line(line, manifest)
    assert [each[: len(reason)] for each in caught.value.reasons] == [reason]


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b'"text"', b"\xff", b'{"title": "\\ud800"}', b"[" * 100_000])
def test_lines_that_are_not_even_an_object(manifest: Manifest, line: bytes) -> None:
    with pytest.raises(BadLine):
        read_line(line, manifest)


def test_reasons_do_not_quote_what_they_are_about(manifest: Manifest) -> None:
    line = json.dumps(listing(1, title="13800138000\x00", price_fen="13800138000", url="13800138000")).encode()
    with pytest.raises(BadLine) as caught:
        read_line(line, manifest)
    assert len(caught.value.reasons) == 3
    assert "138" not in str(caught.value)


def test_what_may_be_missing_and_what_is_not_known(manifest: Manifest) -> None:
    needed = ("source", "item_id", "url", "title", "price_status", "price_fen", "fetched_at", "run_id")
    line = {name: value for name, value in listing(1).items() if name in needed} | {"seen_by": "a newer crawler"}
    read = read_line(json.dumps(line).encode(), manifest)
    assert (read.area, read.category, read.flags, read.want_count) == (None, None, (), None)


# Rejects, and the mark of what was imported

GONE = b'{"reason":"gone","place":"a.har log.entries[1] ret","item_id":"7","fetched_at":"2026-11-01T03:00:00Z"}'


def test_items_that_are_gone(tmp_path: Path) -> None:
    others = (b'{"reason":"no id","place":"x","item_id":null}', b'{"reason":"gone","item_id":null}', b"[]", b"\xff")
    old = b'{"reason":"gone","place":"x","item_id":"8"}'
    path = tmp_path / "rejects.jsonl"
    path.write_bytes(b"\n".join((GONE, *others, old, b'{"half')))
    found = read_gone(tmp_path, RejectsFile(file=path.name, rows=6))
    assert [(each.item_id, each.fetched_at) for each in found] == [
        ("7", datetime(2026, 11, 1, 3, tzinfo=UTC)),
        ("8", None),
    ]


def test_rejects_that_cannot_be_read(tmp_path: Path) -> None:
    rejects = RejectsFile(file="rejects.jsonl", rows=2)
    with pytest.raises(DamagedBatch, match=r"^is missing$"):
        read_gone(tmp_path, rejects)
    (tmp_path / "rejects.jsonl").write_bytes(GONE + b"\n")
    with pytest.raises(DamagedBatch, match=r"^has 1 lines, not 2$"):
        read_gone(tmp_path, rejects)
    (tmp_path / "rejects.jsonl").unlink()
    (tmp_path / "rejects.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DamagedBatch, match=r"^is missing$"):
        read_gone(tmp_path, rejects)


def test_the_mark_of_an_import(feed: Feed, manifest: Manifest) -> None:
    mark_imported(feed.folder, manifest, manifest.batches, now=datetime(2026, 11, 2, tzinfo=UTC))
    path = feed.folder / "imported.json"
    assert json.loads(path.read_bytes()) == {
        "format": "saltfish-import",
        "run_id": "run-1",
        "imported_at": "2026-11-02T00:00:00+00:00",
        "batches": [feed.batches[0]["sha256"]],
    }
    mark_imported(feed.folder, manifest, [], now=datetime(2026, 11, 3, tzinfo=UTC))
    assert json.loads(path.read_bytes())["batches"] == []
    assert sorted(each.name for each in feed.folder.iterdir()) == [
        "imported.json",
        "items-00001.jsonl",
        "manifest.json",
    ]
