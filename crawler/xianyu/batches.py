"""What a run leaves for its readers: batches of listings as JSON Lines, and a manifest that names the finished ones.

Scrapy's feed export fills the batches (`BatchStorage`, `ListingExporter`). The order that makes kill -9 harmless:
a batch file is whole and on the disk under its last name, then the manifest names it, then the state knows its
listings. Whatever is cut off is made good by `close_killed_runs`.
"""

import io
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

import orjson
from scrapy import Spider
from scrapy.crawler import Crawler
from scrapy.exporters import BaseItemExporter

from . import __version__
from .clock import written
from .errors import ConfigurationError
from .items import SOURCE, Listing
from .outcomes import Outcome
from .parsing import Reject
from .state import Entry, State
from .stopping import ending, mark_fault, stop

FORMAT: Final = "saltfish-listings"
VERSION: Final = 1
MANIFEST: Final = "manifest.json"
REJECTS: Final = "rejects.jsonl"
PART: Final = ".part"
"""What a file's name ends in until it is whole."""
BATCH_URI: Final = "batch:items-%(batch_id)05d.jsonl"
RUN_ID: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z-[a-z_]+-[0-9a-f]{4}")
_BATCH: Final = re.compile(r"items-[0-9]{5,}\.jsonl")


@dataclass(kw_only=True)
class Counts:
    """What a run did."""

    requests: int = 0
    """Requests that were counted against the day's budget: all that were sent, retries and robots.txt too."""
    pages: int = 0
    """Answers that were read."""
    listings: int = 0
    """Listings in finished batches."""
    unchanged: int = 0
    """Listings that an earlier run had brought just so, not long ago."""
    duplicates: int = 0
    """Listings that this run had seen already."""
    rejected: int = 0
    """Rows that gave no listing."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A finished file beside the manifest."""

    file: str
    listings: int
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class RejectsFile:
    """The file beside the manifest that says which rows gave no listing."""

    file: str
    rows: int


@dataclass(kw_only=True)
class Manifest:
    """`manifest.json`. Moments are UTC: `2026-11-22T21:40:42Z`."""

    format: str = FORMAT
    version: int = VERSION
    source: str = SOURCE
    crawler: str = __version__
    run_id: str
    spider: str
    started_at: str
    finished_at: str | None = None
    outcome: Outcome = Outcome.RUNNING
    exit_code: int | None = None
    detail: str = ""
    counts: Counts = field(default_factory=Counts)
    batches: list[Batch] = field(default_factory=list)
    rejects: RejectsFile | None = None


class OpenBatch(io.BufferedWriter):
    """A batch that is being written: one listing a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: list[Entry] = []
        self.size = 0
        self._digest = sha256()
        super().__init__(io.FileIO(path.with_name(path.name + PART), "xb"))

    def add(self, listing: Listing) -> None:
        """One more line."""
        line = orjson.dumps(listing, option=orjson.OPT_APPEND_NEWLINE)
        self.write(line)
        self._digest.update(line)
        self.size += len(line)
        self.entries.append(entry_of(listing))

    def finish(self) -> Batch:
        """Close the file and give it its last name, all of it on the disk.

        Raises:
            OSError: it cannot be written, or a line of it was cut off when it could not.
        """
        self.flush()
        if self.tell() != self.size:
            raise OSError(f"{self.path.name} holds more than its listings")
        os.fsync(self.fileno())
        self.close()
        self.path.with_name(self.path.name + PART).rename(self.path)
        _sync_folder(self.path.parent)
        return Batch(file=self.path.name, listings=len(self.entries), bytes=self.size, sha256=self._digest.hexdigest())


class Batches:
    """The folder of one run: its batches, its rejects, its manifest."""

    def __init__(self, runs: Path, *, run_id: str, spider: str, now: datetime, state: State) -> None:
        """Make the folder, and in it the manifest of a run that brought nothing yet."""
        self.folder = runs / run_id
        self.manifest = Manifest(run_id=run_id, spider=spider, started_at=written(now))
        self.path = self.folder / MANIFEST
        self._state = state
        self._rejects: io.BufferedWriter | None = None
        self._reject_rows = 0
        self.counts: Callable[[], Counts] = Counts
        """What the counts are now, but for `listings`; the runner knows where they stand."""
        self.folder.mkdir(parents=True)
        _sync_folder(runs)
        self._write()

    def open(self, name: str) -> OpenBatch:
        """A new batch; its file has `.part` at its end until `finish`."""
        return OpenBatch(self.folder / name)

    def finish(self, batch: OpenBatch) -> None:
        """The batch is over: make its file whole, name it in the manifest, let the state know its listings."""
        self.manifest.batches.append(batch.finish())
        self._write()
        self._state.commit_batch(batch.entries)

    def reject(self, reject: Reject) -> None:
        """Write down which row gave no listing, and why; nothing of what it said."""
        if self._rejects is None:
            self._rejects = (self.folder / REJECTS).open("ab")
        row = {"reason": reject.reason, "place": reject.place, "item_id": reject.item_id}
        self._rejects.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        self._reject_rows += 1

    def close(self, *, outcome: Outcome, exit_code: int, detail: str, now: datetime) -> None:
        """The run is over: the manifest says how."""
        self.manifest.outcome, self.manifest.exit_code, self.manifest.detail = outcome, exit_code, detail
        self.manifest.finished_at = written(now)
        for part in self.folder.rglob(f"*{PART}"):  # only after a fault: a batch that could not be finished
            part.unlink()
        self._write()
        if self._rejects is not None:
            self._rejects.close()

    def _write(self) -> None:
        if self._rejects is not None:
            self._rejects.flush()
            os.fsync(self._rejects.fileno())
            self.manifest.rejects = RejectsFile(file=REJECTS, rows=self._reject_rows)
        self.manifest.counts = self.counts()
        self.manifest.counts.listings = sum(batch.listings for batch in self.manifest.batches)
        write_whole(self.path, orjson.dumps(self.manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def entry_of(listing: Listing) -> Entry:
    """What the state keeps of a listing."""
    return Entry(listing.item_id, fingerprint(listing), datetime.fromisoformat(listing.fetched_at))


def fingerprint(listing: Listing) -> bytes:
    """Eight bytes that change with what the seller says: not with how many want it, nor with who found it when."""
    said = (
        listing.title,
        listing.description,
        listing.price_fen,
        listing.price_status,
        listing.orig_price_fen,
        listing.area,
        listing.category_id,
        listing.flags,
    )
    return blake2b(orjson.dumps(said), digest_size=8).digest()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that its readers, and a crash, find the old content or the new one, and nothing between."""
    part = path.with_name(path.name + PART)
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def close_killed_runs(runs: Path, state: State) -> list[str]:
    """Bring runs to an end that were killed; only for the holder of the lock, so none is alive.

    Files that were cut off are removed. A batch that is whole, though the manifest was not told in time, is named
    there. The state learns all listings of the finished batches, so that they do not come again. The manifest's
    outcome becomes `killed`; `finished_at` and `exit_code` stay null, as nobody knows them.

    Returns:
        The ids of these runs.

    Raises:
        ConfigurationError: a manifest or a finished batch is damaged, which no kill does.
    """
    killed = []
    for folder in sorted(runs.iterdir()) if runs.is_dir() else ():
        if RUN_ID.fullmatch(folder.name):
            try:
                if _close_if_killed(folder, state):
                    killed.append(folder.name)
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigurationError(f"the run {folder} is damaged ({error}): move it elsewhere") from error
    return killed


def _close_if_killed(folder: Path, state: State) -> bool:
    path = folder / MANIFEST
    manifest = orjson.loads(path.read_bytes()) if path.exists() else None
    if manifest is not None and manifest["outcome"] != Outcome.RUNNING:
        return False
    for part in folder.rglob(f"*{PART}"):
        part.unlink()
    if manifest is None:  # it did not come to write one, and so no batch either
        if not any(folder.iterdir()):
            folder.rmdir()
        return True
    named = {batch["file"] for batch in manifest["batches"]}
    files = sorted(path.name for path in folder.iterdir() if _BATCH.fullmatch(path.name))
    for name in files if manifest["crawler"] == __version__ else ():  # another version's lines may differ
        lines = (folder / name).read_bytes().splitlines()
        state.commit_batch([entry_of(Listing(**orjson.loads(line))) for line in lines])
    manifest["batches"] += [asdict(_whole(folder / name)) for name in files if name not in named]
    manifest["counts"]["listings"] = sum(batch["listings"] for batch in manifest["batches"])
    manifest["outcome"] = Outcome.KILLED
    manifest["detail"] = "ended without a word: kill -9, a crash or a power cut"
    write_whole(path, orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return True


def _whole(path: Path) -> Batch:
    content = path.read_bytes()
    return Batch(file=path.name, listings=content.count(b"\n"), bytes=len(content), sha256=sha256(content).hexdigest())


BATCHES: Final[WeakKeyDictionary[Crawler, Batches]] = WeakKeyDictionary()
"""Those of each crawl under the runner: an open folder is too alive for a crawl's settings, which Scrapy copies."""


class BatchStorage:
    """Where Scrapy's feed export puts its batches: scheme `batch` of `FEED_STORAGES`.

    Scrapy only logs what these raise; so it is also marked as a fault, and ends the run: a disk that is full stays so.
    """

    def __init__(self, uri: str, *, crawler: Crawler, feed_options: dict[str, Any] | None = None) -> None:
        del feed_options
        self._name = uri.removeprefix("batch:")
        self._crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler, uri: str, *, feed_options: dict[str, Any] | None = None) -> "BatchStorage":
        """As Scrapy makes it."""
        return cls(uri, crawler=crawler, feed_options=feed_options)

    def open(self, spider: Spider) -> OpenBatch:
        """A file for the exporter."""
        del spider
        with _ending_with_fault(self._crawler):
            return _of_run(self._crawler).open(self._name)

    def store(self, file: OpenBatch) -> None:
        """The file is full, or the run is over."""
        with _ending_with_fault(self._crawler):
            _of_run(self._crawler).finish(file)


class ListingExporter(BaseItemExporter):
    """Writes listings into an `OpenBatch`: format `listings` of `FEED_EXPORTERS`."""

    def __init__(self, file: OpenBatch, *, crawler: Crawler, **kwargs: Any) -> None:
        super().__init__(dont_fail=True, **kwargs)
        self._file = file
        self._crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler, file: OpenBatch, **kwargs: Any) -> "ListingExporter":
        """As Scrapy makes it."""
        return cls(file, crawler=crawler, **kwargs)

    def export_item(self, item: Listing) -> None:
        """One line; none after one that could not be written, as that may have left half of it."""
        if ending(self._crawler).outcome is not Outcome.FAULT:
            with _ending_with_fault(self._crawler):
                self._file.add(item)


def _of_run(crawler: Crawler) -> Batches:
    batches = BATCHES.get(crawler)
    if batches is None:
        raise RuntimeError("batches are written under `python -m xianyu run` only")
    return batches


@contextmanager
def _ending_with_fault(crawler: Crawler) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        detail = f"the batch cannot be written: {error}"
        mark_fault(crawler, detail)
        stop(crawler, Outcome.FAULT, detail)
        raise
