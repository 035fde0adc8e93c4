"""The crawler's state between runs, in a SQLite file: known listings, walks, requests of the day, the cool-down.

Of a listing it keeps only the id, a digest, and when it was last written: none of its texts.

A *walk* goes through the result pages of one keyword, newest listings first. The next run walks on only until it meets
a page that the last complete walk has covered, and so requests only what is new.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final
from weakref import WeakKeyDictionary

import orjson
from scrapy.crawler import Crawler

from .clock import date_in_china
from .errors import ConfigurationError
from .outcomes import Outcome

APPLICATION_ID: Final = 0x53465859
"""SQLite's `application_id`, "SFXY": distinguishes our files from other SQLite files."""
LOCK_TIMEOUT_SECONDS: Final = 10.0
"""How long to wait while another process has the database locked."""
_DISK_TROUBLE: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
"""Errors of a disk that is full or breaks. They say nothing of the file. Extended codes have them in their low byte."""
SPENDING_KEPT_DAYS: Final = 30
"""Days for which the counts of requests are kept."""

MIGRATIONS: Final = (
    """
    CREATE TABLE listings (
        item_id TEXT PRIMARY KEY,
        fingerprint BLOB NOT NULL,
        emitted_at INTEGER NOT NULL,
        first_place INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE walks (
        keyword TEXT PRIMARY KEY,
        complete INTEGER NOT NULL CHECK (complete IN (0, 1)),
        place INTEGER,
        watermark TEXT,
        pages INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE spending (
        day TEXT PRIMARY KEY,
        requests INTEGER NOT NULL CHECK (requests >= 0)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE cooldowns (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        until INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        detail TEXT NOT NULL,
        blocks INTEGER NOT NULL CHECK (blocks > 0)
    ) STRICT;
    """,
)
"""The scripts that raise the schema to `user_version` 1, 2 and so on."""

FIRST_COOLDOWN: Final = MappingProxyType(
    {
        Outcome.BLOCKED: timedelta(hours=6),
        Outcome.LOGIN: timedelta(hours=6),
        Outcome.UNKNOWN_ANSWER: timedelta(hours=6),
        Outcome.LIMITED: timedelta(hours=1),
    }
)
"""The first cool-down after each outcome. Each further block, without a successful run in between, doubles it."""
LONGEST_COOLDOWN: Final = timedelta(days=7)
"""The longest cool-down, unless the site itself asked for a longer one."""
LONGEST_WAIT: Final = timedelta(days=30)
"""The longest wait that the site may ask for: a longer Retry-After is shortened to this."""


@dataclass(frozen=True, slots=True)
class KnownListing:
    """A listing in a finished batch of this run or an earlier one."""

    fingerprint: bytes
    emitted_at: datetime
    first_place: int


@dataclass(frozen=True, slots=True)
class ListingRecord:
    """What the state is to keep of a listing, when its batch is finished."""

    item_id: str
    fingerprint: bytes
    emitted_at: datetime


@dataclass(frozen=True, slots=True)
class Cooldown:
    """Until when no live run may send anything, and why."""

    until: datetime
    outcome: Outcome
    detail: str
    blocks: int
    """How many blocks there were since the last successful run."""


@dataclass(frozen=True, slots=True)
class _EndedWalk:
    """A walk at its end, of which listings may still be in the open batch."""

    keyword: str
    watermark: str | None
    pages: int
    place: int


class State:
    """The open database. Only one process may have it open; the runner holds a lock for that.

    To order events without relying on a clock, they are given a *place*: a number that counts upwards over all runs.
    A listing gets one when it goes to the feed, a walk when it ends. So a listing was seen before the end of a walk if
    its place is smaller.

    Raises `ConfigurationError` if the file is damaged, is something else, is of a newer crawler, or cannot be opened.
    The file is left unchanged then. Raises `sqlite3.Error` if the disk is full.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._database = _open(path)
            row = self._database.execute(
                "SELECT max(coalesce((SELECT max(first_place) FROM listings), 0),"
                " coalesce((SELECT max(place) FROM walks), 0))"
            ).fetchone()
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DISK_TROUBLE:
                raise
            raise ConfigurationError(f"the state {path} cannot be used ({error}); it was left as it is") from error
        self._next_place = int(row[0]) + 1
        self._looked_up: dict[str, KnownListing | None] = {}
        self._pending: dict[str, int] = {}
        self._ended_walks: list[_EndedWalk] = []
        self._last_walk_ends: dict[str, int | None] = {}
        self.requests_counted = 0
        """Requests counted by this run."""

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield self._database
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    # Requests of the day

    def count_request(self, now: datetime, *, budget: int) -> bool:
        """Count a request before it is sent. False if the day's `budget` is used up: then it must not be sent."""
        with self._transaction() as database:
            granted = database.execute(
                "INSERT INTO spending (day, requests) SELECT :day, 1 WHERE :budget > 0"
                " ON CONFLICT (day) DO UPDATE SET requests = requests + 1 WHERE requests < :budget",
                {"day": date_in_china(now), "budget": budget},
            ).rowcount
            oldest = date_in_china(now - timedelta(days=SPENDING_KEPT_DAYS))
            database.execute("DELETE FROM spending WHERE day < ?", (oldest,))
        self.requests_counted += granted
        return granted == 1

    def requests_of_day(self, now: datetime) -> int:
        """How many requests were counted on the day of `now`, by the date in China."""
        row = self._database.execute("SELECT requests FROM spending WHERE day = ?", (date_in_china(now),)).fetchone()
        return 0 if row is None else int(row[0])

    # Cool-down

    def active_cooldown(self, now: datetime) -> Cooldown | None:
        """The cool-down, if it is not over at `now`."""
        found = self._last_cooldown()
        return found if found is not None and found.until > now else None

    def _last_cooldown(self) -> Cooldown | None:
        row = self._database.execute("SELECT until, outcome, detail, blocks FROM cooldowns").fetchone()
        if row is None:
            return None
        until, outcome, detail, blocks = row
        return Cooldown(datetime.fromtimestamp(until, UTC), Outcome(outcome), detail, blocks)

    def start_cooldown(
        self, now: datetime, outcome: Outcome, detail: str, *, at_least: timedelta = timedelta()
    ) -> Cooldown:
        """Record a block, and begin a cool-down at `now` as long as `FIRST_COOLDOWN` says, or prolong the present one.

        `outcome` is one of `COOLDOWN_OUTCOMES`; `at_least` is how long the site asked us to wait.
        """
        before = self._last_cooldown()
        blocks = 1 if before is None else before.blocks + 1
        wait = max(_wait(outcome, blocks), at_least)
        until = now + wait if before is None else max(now + wait, before.until)
        with self._transaction() as database:
            database.execute(
                "INSERT OR REPLACE INTO cooldowns (one, until, outcome, detail, blocks) VALUES (1, ?, ?, ?, ?)",
                (_seconds(until + timedelta(seconds=1)), outcome, detail, blocks),  # rounded up, never down
            )
        found = self._last_cooldown()
        assert found is not None  # noqa: S101 -- just written
        return found

    def clear_cooldown(self) -> bool:
        """Delete the record of blocks: the next one counts as the first again. Returns whether there was a record."""
        with self._transaction() as database:
            return database.execute("DELETE FROM cooldowns").rowcount > 0

    # Listings

    def known_listings(self, item_ids: Collection[str]) -> dict[str, KnownListing]:
        """Those of these listings that are in finished batches, in one query. `known_listing` reuses the result."""
        rows = self._database.execute(
            "SELECT item_id, fingerprint, emitted_at, first_place FROM listings"
            " WHERE item_id IN (SELECT value FROM json_each(?))",
            (orjson.dumps(list(item_ids)).decode(),),
        )
        found = {row[0]: KnownListing(row[1], datetime.fromtimestamp(row[2], UTC), row[3]) for row in rows}
        self._looked_up = {item_id: found.get(item_id) for item_id in item_ids}
        return found

    def known_listing(self, item_id: str) -> KnownListing | None:
        """This listing, if it is in a finished batch. Needs no query if it was among the last `known_listings`."""
        if item_id not in self._looked_up:
            self.known_listings((item_id,))
        return self._looked_up[item_id]

    def add_pending(self, item_id: str) -> None:
        """Record that a listing goes to the feed. It is known only when its batch is finished (`commit_batch`)."""
        self._pending[item_id] = self._next_place
        self._next_place += 1

    def commit_batch(self, records: Iterable[ListingRecord]) -> None:
        """Record the listings of a batch that is finished and named in the manifest. From now on they are known.

        In the same transaction, walks that have ended become complete if none of their listings is pending any more.
        """
        rows = []
        for record in records:
            place = self._pending.pop(record.item_id, None)
            if place is None:  # in a batch of a run that was killed
                place, self._next_place = self._next_place, self._next_place + 1
            rows.append((record.item_id, record.fingerprint, _seconds(record.emitted_at), place))
        with self._transaction() as database:
            database.executemany(
                "INSERT INTO listings (item_id, fingerprint, emitted_at, first_place) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (item_id) DO UPDATE SET fingerprint = excluded.fingerprint,"
                " emitted_at = excluded.emitted_at WHERE excluded.emitted_at >= emitted_at",
                rows,
            )
            self._record_walks(database)

    def forget_times_after(self, now: datetime) -> None:
        """Forget when listings were written, and end waits, that a clock has dated which was ahead.

        Or else a listing would count as unchanged, however it changes, until the day on which the clock stood; and
        nothing would be sent till then. Such listings are written when they are seen the next time. A wait that is
        longer than any wait can be begins anew at `now`, as long as it is after as many blocks.
        """
        with self._transaction() as database:
            database.execute("UPDATE listings SET emitted_at = 0 WHERE emitted_at > ?", (_seconds(now),))
        cooldown = self._last_cooldown()
        if cooldown is not None and cooldown.until > now + LONGEST_WAIT + timedelta(seconds=1):
            until = now + _wait(cooldown.outcome, cooldown.blocks)
            with self._transaction() as database:
                database.execute("UPDATE cooldowns SET until = ?", (_seconds(until),))

    # Walks

    def begin_walk(self, keyword: str) -> bool:
        """Begin a walk through the pages of `keyword`. It is incomplete until `end_walk`.

        Returns True if the last walk is incomplete, or there was none. Then `covers_page` is always False, so that this
        walk goes through all pages: those that the last one has not reached come after pages that it has covered.
        """
        with self._transaction() as database:
            row = database.execute("SELECT complete, place FROM walks WHERE keyword = ?", (keyword,)).fetchone()
            complete, place = (False, None) if row is None else (bool(row[0]), row[1])
            database.execute(
                "INSERT INTO walks (keyword, complete) VALUES (?, 0) ON CONFLICT (keyword) DO UPDATE SET complete = 0",
                (keyword,),
            )
        self._last_walk_ends[keyword] = place if complete else None
        return not complete

    def covers_page(self, keyword: str, item_ids: Collection[str]) -> bool:
        """Whether the last complete walk of `keyword` has covered this page, so that the present walk may end here.

        That is so if every listing of the page was known before that walk ended. It is not enough that they are known
        now: a walk of another keyword may have found them since, and pages with new listings of this keyword may
        follow. A page without listings is never covered.
        """
        end = self._last_walk_ends.get(keyword)
        if end is None or not item_ids:
            return False
        found = self.known_listings(item_ids)
        return all(item_id in found and found[item_id].first_place < end for item_id in item_ids)

    def end_walk(self, keyword: str, watermark: str | None, pages: int) -> None:
        """End a walk. It becomes complete once every listing that is pending now is in a finished batch.

        `watermark` is the newest `Listing.published_at` and `pages` the number of pages; both only inform people who
        look into the database.
        """
        self._ended_walks.append(_EndedWalk(keyword, watermark, pages, self._next_place))
        self._next_place += 1
        if not self._pending:
            with self._transaction() as database:
                self._record_walks(database)

    def _record_walks(self, database: sqlite3.Connection) -> None:
        oldest = min(self._pending.values(), default=self._next_place)
        complete = [walk for walk in self._ended_walks if walk.place <= oldest]
        database.executemany(
            "UPDATE walks SET complete = 1, place = ?, watermark = ?, pages = ? WHERE keyword = ?",
            [(walk.place, walk.watermark, walk.pages, walk.keyword) for walk in complete],
        )
        self._ended_walks = [walk for walk in self._ended_walks if walk.place > oldest]


def _open(path: Path) -> sqlite3.Connection:
    new = not path.exists() or path.stat().st_size == 0
    database = sqlite3.connect(path, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None)
    try:
        if not new:
            _refuse_unusable(database)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")  # a request is counted on the disk before it is sent
        version = int(database.execute("PRAGMA user_version").fetchone()[0])
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            database.executescript(
                f"BEGIN IMMEDIATE; {script}; PRAGMA application_id = {APPLICATION_ID};"
                f" PRAGMA user_version = {number}; COMMIT;"
            )
    except BaseException:
        database.close()
        raise
    return database


def _refuse_unusable(database: sqlite3.Connection) -> None:
    """Raise `sqlite3.DatabaseError` if the file is not ours or is damaged, before anything is written to it."""
    application_id = int(database.execute("PRAGMA application_id").fetchone()[0])
    version = int(database.execute("PRAGMA user_version").fetchone()[0])
    if not application_id and database.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
        return  # the process that created it was killed before the first table
    if application_id != APPLICATION_ID:
        raise sqlite3.DatabaseError("it is not a state of this crawler")
    if version > len(MIGRATIONS):
        raise sqlite3.DatabaseError(f"its version is {version}; this crawler knows up to {len(MIGRATIONS)}")
    verdict = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
    if verdict != "ok":
        raise sqlite3.DatabaseError(f"it is damaged: {' '.join(verdict.split())}")


def _wait(outcome: Outcome, blocks: int) -> timedelta:
    """How long to wait after so many blocks, the last of them with this outcome."""
    doubled: int = 2 ** min(blocks - 1, 16)
    return min(FIRST_COOLDOWN[outcome] * doubled, LONGEST_COOLDOWN)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


STATES: Final[WeakKeyDictionary[Crawler, State]] = WeakKeyDictionary()
"""The state of each crawl that the runner started. Not among the crawl's settings, which Scrapy copies: an open
database cannot be copied."""
