"""The folder that a run leaves for its readers: batches of listings as JSON Lines, and a manifest that names them.

Three steps, in this order, make it harmless to kill a run at any moment:

1. A batch is written completely, flushed to the disk, and renamed to its final name.
2. The manifest names it.
3. The state records its listings.

If a run is killed between two steps, `close_killed_runs` does the missing ones at the start of the next run.
"""

import io
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

import orjson
from scrapy.crawler import Crawler

from . import __version__
from .clock import isoformat
from .console import shown
from .errors import ConfigurationError
from .items import SOURCE, Listing
from .outcomes import Outcome
from .parsing import Page, Reject
from .state import ListingRecord, State

FORMAT: Final = "saltfish-listings"
VERSION: Final = 1
MANIFEST: Final = "manifest.json"
REJECTS: Final = "rejects.jsonl"
PART_SUFFIX: Final = ".part"
"""Ends the name of a file that is not complete yet."""
LONGEST_KEYWORD: Final = 200
"""Characters. What is longer was pasted into the field of the search, and nobody else asks for it."""
RESERVE_BYTES: Final = 32 * 1024
"""Room on the disk that a run keeps for its last manifest, its statistics and the state."""
JUST_BEFORE: Final = timedelta(minutes=10)
"""So long before the next run began, at the latest, a run is taken to have ended whose clock was ahead. Not just then:
answers that were saved in between, for the next run, are newer."""
RUN_ID: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z-[a-z_]+-[0-9a-f]{4}")
_BATCH: Final = re.compile(r"items-[0-9]{5,}\.jsonl")


@dataclass(kw_only=True)
class Counts:
    """What a run did, in numbers."""

    requests: int = 0
    """Requests counted against the day's budget: all that were sent, including retries and robots.txt."""
    pages: int = 0
    """Answers that were parsed."""
    listings: int = 0
    """Listings in finished batches."""
    unchanged: int = 0
    """Listings not written because they have not changed since an earlier run wrote them."""
    duplicates: int = 0
    """Listings not written because this run had seen them already."""
    recommended: int = 0
    """Rows that the site showed though they are no hits of the search. They are listings too, without a keyword."""
    rejected: int = 0
    """Rows of answers that could not be read as a listing."""
    left_out: int = 0
    """Listings not written because they are not what the target asked for: price, region, words to leave out."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """How many offers the site counts for a keyword: what there is, of which a run reads only the first pages."""

    keyword: str
    category: str | None
    """The operator's label, as in `Listing.category`."""
    offers: int
    """The site's `numFound`. It counts what it would show without a login, and rounds."""
    fetched_at: str


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A finished batch, as the manifest describes it. `file` stands beside the manifest."""

    file: str
    listings: int
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class RejectsFile:
    """The file beside the manifest that lists the rows which could not be read as a listing."""

    file: str
    rows: int


@dataclass(kw_only=True)
class Manifest:
    """`manifest.json`. Times are in UTC: `2026-11-22T21:40:42Z`."""

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
    searches: list[Search] = field(default_factory=list)
    rejects: RejectsFile | None = None
    not_after: str | None = None
    """Set if the clock was ahead during the run: it was over then, whatever its times say. A later run writes this."""


class OpenBatch(io.BufferedWriter):
    """A batch that is being written, one listing a line, in a file whose name ends in `PART_SUFFIX`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: list[ListingRecord] = []
        self.size = 0
        self._digest = sha256()
        super().__init__(io.FileIO(path.with_name(path.name + PART_SUFFIX), "xb"))

    def add(self, listing: Listing) -> None:
        """Write one listing."""
        line = orjson.dumps(listing, option=orjson.OPT_APPEND_NEWLINE)
        self.write(line)
        self._digest.update(line)
        self.size += len(line)
        self.records.append(record_of(listing))

    def finish(self) -> Batch:
        """Flush the file to the disk, close it, and give it its final name.

        Raises `OSError` if it cannot be written, or if an earlier write failed after part of a line.
        """
        self.flush()
        if self.tell() != self.size:
            raise OSError(f"{self.path.name} holds more than its listings")
        os.fsync(self.fileno())
        self.close()
        self.path.with_name(self.path.name + PART_SUFFIX).rename(self.path)
        _sync_folder(self.path.parent)
        return Batch(file=self.path.name, listings=len(self.records), bytes=self.size, sha256=self._digest.hexdigest())


class RunFolder:
    """The folder of one run: its batches, its rejects, its manifest."""

    def __init__(self, runs: Path, *, run_id: str, spider: str, now: datetime, state: State) -> None:
        """Create the folder in `runs`, with a manifest whose outcome is `running`."""
        self.path = runs / run_id
        self.manifest_path = self.path / MANIFEST
        self.manifest = Manifest(run_id=run_id, spider=spider, started_at=isoformat(now))
        self._state = state
        self._rejects: io.BufferedWriter | None = None
        self._reject_rows = 0
        self._searches: dict[str, Search] = {}
        self.counts: Callable[[], Counts] = Counts
        """Returns the present counts, all but `listings`, which are counted here. The runner sets it."""
        self.path.mkdir(parents=True)
        _sync_folder(runs)
        # Given back when the run ends: so a full disk has room for the manifest that says so.
        (self.path / f"reserve{PART_SUFFIX}").write_bytes(bytes(RESERVE_BYTES))
        self._write_manifest()

    def open_batch(self, name: str) -> OpenBatch:
        """A new batch, which will be called `name` when it is finished."""
        return OpenBatch(self.path / name)

    def finish_batch(self, batch: OpenBatch) -> None:
        """Take the three steps that the module describes: finish the file, name it, record its listings."""
        self.manifest.batches.append(batch.finish())
        self._write_manifest()
        self._state.commit_batch(batch.records)

    def add_search(self, search: Search) -> None:
        """Keep how many offers there are for a keyword; of several answers the newest one counts."""
        known = self._searches.get(search.keyword)
        if known is None or known.fetched_at <= search.fetched_at:
            self._searches[search.keyword] = search

    def add_reject(self, reject: Reject) -> None:
        """Record which row could not be read, and why. None of its texts are kept."""
        if self._rejects is None:
            self._rejects = (self.path / REJECTS).open("ab")
        row = {"reason": reject.reason, "place": shown(reject.place), "item_id": reject.item_id}
        if reject.fetched_at is not None:
            row["fetched_at"] = reject.fetched_at
        self._rejects.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        self._reject_rows += 1

    def close(self, *, outcome: Outcome, exit_code: int, detail: str, now: datetime) -> None:
        """Write into the manifest how the run ended."""
        self.manifest.outcome, self.manifest.exit_code, self.manifest.detail = outcome, exit_code, detail
        self.manifest.finished_at = isoformat(now)
        self.give_back_reserve()
        for part in self.path.rglob(f"*{PART_SUFFIX}"):  # only after a fault: a batch that could not be finished
            part.unlink()
        self._write_manifest()
        if self._rejects is not None:
            self._rejects.close()

    def give_back_reserve(self) -> None:
        """Free the room that was kept for the end of the run."""
        (self.path / f"reserve{PART_SUFFIX}").unlink(missing_ok=True)

    def _write_manifest(self) -> None:
        if self._rejects is not None:
            self._rejects.flush()
            os.fsync(self._rejects.fileno())
            self.manifest.rejects = RejectsFile(file=REJECTS, rows=self._reject_rows)
        self.manifest.searches = list(self._searches.values())
        self.manifest.counts = self.counts()
        self.manifest.counts.listings = sum(batch.listings for batch in self.manifest.batches)
        content = orjson.dumps(self.manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        write_atomically(self.manifest_path, content)


def record_of(listing: Listing) -> ListingRecord:
    """What the state keeps of a listing."""
    return ListingRecord(listing.item_id, fingerprint(listing), datetime.fromisoformat(listing.fetched_at))


def record_page(run_folder: RunFolder | None, page: Page, *, category: str | None, fetched_at: datetime) -> None:
    """Keep how many offers there are for the keyword of a page, if both are known. Without a run's folder, nothing."""
    if run_folder is None or page.offers is None or page.keyword is None or len(page.keyword) > LONGEST_KEYWORD:
        return
    run_folder.add_search(
        Search(keyword=page.keyword, category=category, offers=page.offers, fetched_at=isoformat(fetched_at))
    )


def fingerprint(listing: Listing) -> bytes:
    """An 8-byte digest of what the seller wrote. It does not depend on how many want the item, or who found it when."""
    content: tuple[object, ...] = (
        listing.title,
        listing.description,
        listing.price_fen,
        listing.price_status,
        listing.orig_price_fen,
        listing.area,
        listing.category_id,
        listing.flags,
    )
    # What listings did not have before version 1.1 counts only if it is there: or else all would look changed.
    later = (listing.coupon_off_fen, listing.condition, listing.brand, listing.free_shipping)
    if later != _NOTHING_LATER:
        content += later
    return blake2b(orjson.dumps(content), digest_size=8).digest()


_NOTHING_LATER: Final = (None, None, None, None)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file in one step: readers, and whoever looks after a crash, find the old content or the new one."""
    part = path.with_name(path.name + PART_SUFFIX)
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


def close_killed_runs(runs: Path, state: State, *, now: datetime) -> list[str]:
    """Complete the folders of runs that were killed. Returns their ids.

    The caller must hold the lock: then a manifest that says `running` belongs to no living process. Incomplete files
    are removed. Finished batches that the manifest does not name yet are added to it, and the state records the
    listings of all finished batches, so that they are not written again. The outcome becomes `killed`; `finished_at`
    and `exit_code` stay null, as they are unknown.

    A run whose times lie after `now` had a clock that was ahead. Its manifest is told so: see `Manifest.not_after`.

    Raises `ConfigurationError` if a manifest or a finished batch is damaged, which killing a run cannot cause.
    """
    killed = []
    not_after = now - JUST_BEFORE
    for folder in sorted(runs.iterdir()) if runs.is_dir() else ():
        if RUN_ID.fullmatch(folder.name):
            try:
                if _close_if_killed(folder, state):
                    killed.append(folder.name)
                if _bound_if_ahead(folder, now=now, not_after=not_after):
                    not_after += timedelta(seconds=1)  # so that several keep their order
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigurationError(f"the run {folder} is damaged ({error}): move it elsewhere") from error
    return killed


def _close_if_killed(folder: Path, state: State) -> bool:
    path = folder / MANIFEST
    manifest = orjson.loads(path.read_bytes()) if path.exists() else None
    if manifest is not None and manifest["outcome"] != Outcome.RUNNING:
        return False
    for part in folder.rglob(f"*{PART_SUFFIX}"):
        part.unlink()
    if manifest is None:  # killed before its first manifest, so there are no batches either
        if not any(folder.iterdir()):
            folder.rmdir()
        return True
    named = {batch["file"] for batch in manifest["batches"]}
    files = sorted(path.name for path in folder.iterdir() if _BATCH.fullmatch(path.name))
    for name in files if manifest["crawler"] == __version__ else ():  # another version's lines may differ
        lines = (folder / name).read_bytes().splitlines()
        state.commit_batch([record_of(Listing(**orjson.loads(line))) for line in lines])
    manifest["batches"] += [asdict(_batch_of_file(folder / name)) for name in files if name not in named]
    manifest["counts"]["listings"] = sum(batch["listings"] for batch in manifest["batches"])
    manifest["outcome"] = Outcome.KILLED
    manifest["detail"] = "ended without a word: kill -9, a crash or a power cut"
    write_atomically(path, orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return True


def _bound_if_ahead(folder: Path, *, now: datetime, not_after: datetime) -> bool:
    """Write `not_after` into a manifest whose times lie after `now`, unless it is there. Returns whether it was."""
    path = folder / MANIFEST
    manifest = orjson.loads(path.read_bytes()) if path.exists() else None
    if manifest is None or manifest.get("not_after") is not None:
        return False
    last = manifest["finished_at"] or manifest["started_at"]
    if datetime.fromisoformat(last) <= now:
        return False
    manifest["not_after"] = isoformat(not_after)
    write_atomically(path, orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return True


def _batch_of_file(path: Path) -> Batch:
    content = path.read_bytes()
    return Batch(file=path.name, listings=content.count(b"\n"), bytes=len(content), sha256=sha256(content).hexdigest())


RUN_FOLDERS: Final[WeakKeyDictionary[Crawler, RunFolder]] = WeakKeyDictionary()
"""The folder of each crawl that the runner started. Not among the crawl's settings, which Scrapy copies: open files
cannot be copied."""
