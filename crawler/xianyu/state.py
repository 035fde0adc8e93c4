"""What the crawler remembers between runs, in one SQLite file: listings, walks, the day's requests, a cool-down.

Nothing of a listing stays here but its number, a digest of what was said of it, and when.
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

from .clock import day_in_china
from .errors import ConfigurationError
from .outcomes import Outcome

APPLICATION_ID: Final = 0x53465859  # "SFXY", in the file's header: tells our file from any other SQLite file
BUSY_SECONDS: Final = 10.0
SPENDING_DAYS: Final = 30
"""How long the counts of earlier days are kept."""

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
"""What brings an empty file to each `user_version`, one after the other."""

FIRST_COOLDOWN: Final = MappingProxyType(
    {
        Outcome.BLOCKED: timedelta(hours=6),
        Outcome.LOGIN: timedelta(hours=6),
        Outcome.UNKNOWN_ANSWER: timedelta(hours=6),
        Outcome.LIMITED: timedelta(hours=1),
    }
)
"""How long the first wait is; each further block without a good run in between doubles it."""
LONGEST_COOLDOWN: Final = timedelta(days=7)
"""More is waited only where the site itself asked for more."""


@dataclass(frozen=True, slots=True)
class Known:
    """A listing that stands in a finished batch."""

    fingerprint: bytes
    emitted_at: datetime
    first_place: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A listing of a batch that was just finished."""

    item_id: str
    fingerprint: bytes
    emitted_at: datetime


@dataclass(frozen=True, slots=True)
class Cooldown:
    """Until when nothing is sent, and why."""

    until: datetime
    outcome: Outcome
    detail: str
    blocks: int
    """How many blocks there were since the last good run."""


@dataclass(frozen=True, slots=True)
class _Walk:
    """A walk that came to its end, while items of it may still be in the open batch."""

    keyword: str
    watermark: str | None
    pages: int
    place: int


class State:
    """The open file. One process at a time may hold it: the runner's lock sees to that.

    Every listing gets a *place* when it is handed on, counted upwards over all runs, and every walk one when it
    ends; so what was seen before the end of a walk is told without a clock.

    Raises:
        ConfigurationError: the file is damaged, is something else, or was made by a newer crawler. It is left as it is.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._database = _open(path)
            row = self._database.execute(
                "SELECT max(coalesce((SELECT max(first_place) FROM listings), 0),"
                " coalesce((SELECT max(place) FROM walks), 0))"
            ).fetchone()
        except sqlite3.Error as error:
            raise ConfigurationError(f"the state {path} cannot be used ({error}); it was left as it is") from error
        self._next_place = int(row[0]) + 1
        self._looked_up: dict[str, Known | None] = {}
        self._unfinished: dict[str, int] = {}
        self._ended: list[_Walk] = []
        self._ends: dict[str, int | None] = {}
        self.spent = 0
        """Requests that this run was allowed."""

    def close(self) -> None:
        """Close the file."""
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

    # The day's requests

    def spend_request(self, now: datetime, *, budget: int) -> bool:
        """Count one request of the day in China, before it leaves. False: `budget` is used up, so do not send it."""
        with self._transaction() as database:
            granted = database.execute(
                "INSERT INTO spending (day, requests) SELECT :day, 1 WHERE :budget > 0"
                " ON CONFLICT (day) DO UPDATE SET requests = requests + 1 WHERE requests < :budget",
                {"day": day_in_china(now), "budget": budget},
            ).rowcount
            oldest = day_in_china(now - timedelta(days=SPENDING_DAYS))
            database.execute("DELETE FROM spending WHERE day < ?", (oldest,))
        self.spent += granted
        return granted == 1

    def requests_of_day(self, now: datetime) -> int:
        """How many requests were counted on the day of `now` in China."""
        row = self._database.execute("SELECT requests FROM spending WHERE day = ?", (day_in_china(now),)).fetchone()
        return 0 if row is None else int(row[0])

    # Cool-down

    def cooldown(self, now: datetime) -> Cooldown | None:
        """The cool-down that still holds at `now`."""
        found = self._cooldown()
        return found if found is not None and found.until > now else None

    def _cooldown(self) -> Cooldown | None:
        row = self._database.execute("SELECT until, outcome, detail, blocks FROM cooldowns").fetchone()
        if row is None:
            return None
        until, outcome, detail, blocks = row
        return Cooldown(datetime.fromtimestamp(until, UTC), Outcome(outcome), detail, blocks)

    def cool_down(self, now: datetime, outcome: Outcome, detail: str, *, at_least: timedelta = timedelta()) -> Cooldown:
        """Wait from `now` on: 6 hours (1 where the site only asked for fewer requests), doubled by each further block.

        Args:
            outcome: One of `COOLING_OUTCOMES`.
            at_least: What the site asked for.
        """
        before = self._cooldown()
        blocks = 1 if before is None else before.blocks + 1
        doublings = min(blocks - 1, 16)
        wait = max(min(FIRST_COOLDOWN[outcome] * 2**doublings, LONGEST_COOLDOWN), at_least)
        until = now + wait if before is None else max(now + wait, before.until)
        with self._transaction() as database:
            database.execute(
                "INSERT OR REPLACE INTO cooldowns (one, until, outcome, detail, blocks) VALUES (1, ?, ?, ?, ?)",
                (_seconds(until + timedelta(seconds=1)), outcome, detail, blocks),  # rounded up, never down
            )
        found = self._cooldown()
        assert found is not None  # noqa: S101 -- just written
        return found

    def forget_blocks(self) -> bool:
        """After a good run, or by the operator's word: the next block is a first one. Tells if there was any."""
        with self._transaction() as database:
            return database.execute("DELETE FROM cooldowns").rowcount > 0

    # Listings

    def known(self, item_ids: Collection[str]) -> dict[str, Known]:
        """Those of these listings that stand in finished batches; one statement for a whole page."""
        rows = self._database.execute(
            "SELECT item_id, fingerprint, emitted_at, first_place FROM listings"
            " WHERE item_id IN (SELECT value FROM json_each(?))",
            (orjson.dumps(list(item_ids)).decode(),),
        )
        found = {row[0]: Known(row[1], datetime.fromtimestamp(row[2], UTC), row[3]) for row in rows}
        self._looked_up = {item_id: found.get(item_id) for item_id in item_ids}
        return found

    def known_listing(self, item_id: str) -> Known | None:
        """As `known`, for one; without a statement if the last page looked up had it."""
        if item_id not in self._looked_up:
            self.known((item_id,))
        return self._looked_up[item_id]

    def hand_on(self, item_id: str) -> None:
        """This listing goes to the feed now. It becomes known when its batch is finished, and not before."""
        self._unfinished[item_id] = self._next_place
        self._next_place += 1

    def commit_batch(self, entries: Iterable[Entry]) -> None:
        """A batch file is finished and named in the manifest: its listings are known from now on.

        In the same transaction the walks are recorded that had ended and wait for no listing any more.
        """
        rows = []
        for entry in entries:
            place = self._unfinished.pop(entry.item_id, None)
            if place is None:  # from the batch of a run that was killed
                place, self._next_place = self._next_place, self._next_place + 1
            rows.append((entry.item_id, entry.fingerprint, _seconds(entry.emitted_at), place))
        with self._transaction() as database:
            database.executemany(
                "INSERT INTO listings (item_id, fingerprint, emitted_at, first_place) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (item_id) DO UPDATE SET fingerprint = excluded.fingerprint,"
                " emitted_at = excluded.emitted_at WHERE excluded.emitted_at >= emitted_at",
                rows,
            )
            self._record_walks(database)

    # Walks

    def begin_keyword(self, keyword: str) -> bool:
        """A walk through the pages of `keyword` begins; it counts as unfinished until `end_keyword`.

        Returns:
            True if the walk before this one did not come to its end, or there was none. Then this walk must not stop
            at a page that `covers` knows: what an unfinished walk left out lies behind such pages.
        """
        with self._transaction() as database:
            row = database.execute("SELECT complete, place FROM walks WHERE keyword = ?", (keyword,)).fetchone()
            complete, place = (False, None) if row is None else (bool(row[0]), row[1])
            database.execute(
                "INSERT INTO walks (keyword, complete) VALUES (?, 0) ON CONFLICT (keyword) DO UPDATE SET complete = 0",
                (keyword,),
            )
        self._ends[keyword] = place if complete else None
        return not complete

    def covers(self, keyword: str, item_ids: Collection[str]) -> bool:
        """Whether the last finished walk of `keyword` has been past this page (newest first): it may end here.

        That is so if every listing on it was known before that walk ended. To be known is not enough: another
        keyword may have brought the listing since, while newer ones of this keyword stand behind it. A page without
        listings is never covered; nor is one after `begin_keyword` answered True.
        """
        end = self._ends.get(keyword)
        if end is None or not item_ids:
            return False
        found = self.known(item_ids)
        return all(item_id in found and found[item_id].first_place < end for item_id in item_ids)

    def end_keyword(self, keyword: str, watermark: str | None, pages: int) -> None:
        """The walk came to its end. Recorded once every listing handed on before now is in a finished batch.

        Args:
            watermark: When the newest listing was published, as `Listing.published_at`; for who opens the file.
            pages: How many pages were read.
        """
        self._ended.append(_Walk(keyword, watermark, pages, self._next_place))
        self._next_place += 1
        if not self._unfinished:
            with self._transaction() as database:
                self._record_walks(database)

    def _record_walks(self, database: sqlite3.Connection) -> None:
        oldest = min(self._unfinished.values(), default=self._next_place)
        settled = [walk for walk in self._ended if walk.place <= oldest]
        database.executemany(
            "UPDATE walks SET complete = 1, place = ?, watermark = ?, pages = ? WHERE keyword = ?",
            [(walk.place, walk.watermark, walk.pages, walk.keyword) for walk in settled],
        )
        self._ended = [walk for walk in self._ended if walk.place > oldest]


def _open(path: Path) -> sqlite3.Connection:
    new = not path.exists() or path.stat().st_size == 0
    database = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        if not new:
            _refuse_foreign(database)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")  # the day's requests are on the disk before they leave
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


def _refuse_foreign(database: sqlite3.Connection) -> None:
    """Raise `sqlite3.DatabaseError` before anything is written into a file that is not ours or not whole."""
    mark = int(database.execute("PRAGMA application_id").fetchone()[0])
    version = int(database.execute("PRAGMA user_version").fetchone()[0])
    if not mark and database.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
        return  # its maker was killed before the first table
    if mark != APPLICATION_ID:
        raise sqlite3.DatabaseError("it is not a state of this crawler")
    if version > len(MIGRATIONS):
        raise sqlite3.DatabaseError(f"its version is {version}; this crawler knows up to {len(MIGRATIONS)}")
    verdict = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
    if verdict != "ok":
        raise sqlite3.DatabaseError(f"it is damaged: {' '.join(verdict.split())}")


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


STATES: Final[WeakKeyDictionary[Crawler, State]] = WeakKeyDictionary()
"""That of each crawl under the runner: an open file is too alive for a crawl's settings, which Scrapy copies."""
