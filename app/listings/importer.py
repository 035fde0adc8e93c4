"""Imports the listings that crawlers saw: `flask listings import`.

Importing the same again changes nothing, so whoever was interrupted just repeats it. Every few hundred listings are a
transaction of their own, with their prices and with what is counted for their run. An observation that is not newer
than what is known of a listing never overwrites it; so it does not matter in which order runs are imported, except
that the price history has no gaps where the oldest comes first.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import orjson
from sqlalchemy import Row, Text, bindparam, cast, column, func, insert, select, text
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.categories import CATEGORY_TEXT
from app.clock import utcnow
from app.db.columns import Base
from app.db.transactions import rows, transaction
from app.language.analysis import Analyser
from app.language.normal_form import normalise
from app.language.service import analyser
from app.listings.conditions import condition_of
from app.listings.feed import (
    CLOCKS_DIFFER,
    BadLine,
    Batch,
    DamagedBatch,
    FeedListing,
    Manifest,
    Search,
    read_batch,
    read_line,
    read_manifest,
)
from app.listings.flags import flags_of
from app.listings.models import CrawlRun, Listing, ListingPrice, SearchSupply
from app.listings.relaxation import relaxation_steps
from app.listings.terms import listing_terms

_CHUNK: Final = 500
_JUST_BEFORE: Final = timedelta(minutes=10)
"""So long before its first import, at the latest, a run is taken to have ended whose clock was ahead, if the crawler
does not know better. Not just then: what it sees in its next run is newer."""

# Imports run one at a time, chunk by chunk. Nothing else writes these tables, so what one has read there stays true
# until it commits. The two numbers are this lock's name; no other advisory lock of ours has them.
_LOCK: Final = text("""
    SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock(20261122, 6)
""")

_CATEGORIES: Final = {label: int(code) for code, label in CATEGORY_TEXT.items()}

# The columns that an observation fills, beside which listing it is of, when it was made and by which run.
OBSERVED: Final = (
    *("url", "title", "price", "original_price", "coupon_off", "condition", "source_condition", "brand"),
    *("free_shipping", "category", "source_category", "area", "want_count", "published_at", "flags", "terms"),
)
# An observation without these does not say that they are gone, so what is known of them stays. A search without the
# operator's label, for instance, says no category, and not every page of a site shows conditions and brands.
_KEPT_IF_ABSENT: Final = (
    *("category", "source_category", "condition", "source_condition", "brand", "free_shipping", "area", "published_at"),
)
# Derived by our tables of words and categories: after a change of those, importing an observation again updates these.
_DERIVED: Final = ("category", "condition", "flags", "terms")


class ImportOutcome(StrEnum):
    """What the import of an observation did to its listing."""

    CREATED = "created"  # the listing was not known
    UPDATED = "updated"  # something changed
    UNCHANGED = "unchanged"  # seen again, and nothing changed; or this very observation was imported before
    OUTDATED = "outdated"  # nothing: what is known of the listing is newer


@dataclass(slots=True, kw_only=True)
class ImportReport:
    """What the import of one manifest did, or with `dry_run` would have done."""

    path: Path
    manifest: Manifest
    dry_run: bool
    outcomes: Counter[ImportOutcome] = field(default_factory=Counter)
    prices: int = 0
    """Lines added to price histories."""
    rejected: int = 0
    """Lines that are no listing."""
    damaged: list[str] = field(default_factory=list)
    """A line for each batch that was refused: its file and why."""
    read: list[Batch] = field(default_factory=list)
    """The batches that were not refused."""
    ahead: int = 0
    """Observations by a clock that was ahead; they count as made at `CrawlRun.latest_at`."""
    flagged: Counter[str] = field(default_factory=Counter)
    """Observations by `ListingFlag`."""
    unknown_categories: Counter[str] = field(default_factory=Counter)
    """Observations by an operator's label that is no category of ours; they have none."""
    supplies: int = 0
    """Keywords of which it is known now, or newer than before, how many offers there are."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that is no listing: where it stands (counted from 1) and why."""

    manifest: Path
    file: str
    line: int
    reasons: list[str]


@dataclass(frozen=True, slots=True)
class Hooks:
    """Callbacks of an import: `progress` gets how many more lines are done, `reject` each line that is no listing."""

    progress: Callable[[int], None] = lambda _lines: None
    reject: Callable[[Rejected], None] = lambda _rejected: None


def import_manifests(
    manifests: Sequence[tuple[Path, Manifest]], *, dry_run: bool = False, hooks: Hooks | None = None
) -> list[ImportReport]:
    """Import several runs, the one that began first before the others.

    A dry run does everything and takes it back at its end; other imports wait for it.
    """
    ordered = in_order(manifests)
    reports = [ImportReport(path=path, manifest=manifest, dry_run=dry_run) for path, manifest in ordered]
    with taken_back(dry_run):
        for report in reports:
            ManifestImport(report, hooks or Hooks()).run()
    return reports


def in_order(manifests: Sequence[tuple[Path, Manifest]]) -> list[tuple[Path, Manifest]]:
    """The runs, the one that began first before the others."""
    now = utcnow()
    return sorted(manifests, key=lambda each: (_began(each[1], now=now), each[1].run_id))


@contextmanager
def taken_back(dry_run: bool) -> Iterator[None]:  # noqa: FBT001 - its one argument
    """With `dry_run`, whatever the block writes is taken back at its end."""
    if not dry_run:
        yield
        return
    with transaction() as session:
        everything = session.begin_nested()
        yield
        everything.rollback()


def _began(manifest: Manifest, *, now: datetime) -> datetime:
    """When a run began, or at the latest if its clock was ahead."""
    began = manifest.started_at
    return began if began <= now + CLOCKS_DIFFER else min(manifest.not_after or now, now)


def import_manifest(path: Path, *, dry_run: bool = False, hooks: Hooks | None = None) -> ImportReport:
    """Import one run. Raises BadManifest."""
    return import_manifests([(path, read_manifest(path))], dry_run=dry_run, hooks=hooks)[0]


class ManifestImport:
    """Imports one manifest, and counts what it does in the report."""

    def __init__(self, report: ImportReport, hooks: Hooks) -> None:
        self._report = report
        self._manifest = report.manifest
        self._hooks = hooks
        self._analyser: Analyser = analyser()
        self._now = utcnow()
        self._latest: datetime | None = None

    def run(self) -> None:
        """Import all that can be read."""
        self._latest = _latest_of(self._manifest.run_id)
        self._seen_at(self._manifest.started_at)
        self._report.ahead = 0
        for chunk in _chunks(self._observations()):
            with transaction() as session:
                self._store(session, chunk)
            self._hooks.progress(len(chunk))
        with transaction() as session:
            self._finish(session)

    def _observations(self) -> Iterator[dict[str, Any]]:
        for batch in self._manifest.batches:
            try:
                lines = read_batch(self._report.path.parent, batch)
            except DamagedBatch as error:
                self._report.damaged.append(f"{batch.file} {error}")
                self._hooks.progress(batch.listings)
                continue
            self._report.read.append(batch)
            for number, line in enumerate(lines, start=1):
                try:
                    listing = read_line(line, self._manifest)
                except BadLine as error:
                    self._report.rejected += 1
                    self._hooks.reject(Rejected(self._report.path, batch.file, number, error.reasons))
                    self._hooks.progress(1)
                else:
                    yield self._row(listing)

    def _row(self, listing: FeedListing) -> dict[str, Any]:
        flags = flags_of(listing.title, listing.description, listing.flags)
        self._report.flagged.update(flag.value for flag in flags)
        seen_at = self._seen_at(listing.fetched_at)
        return {
            "source": listing.source,
            "item_id": listing.item_id,
            "url": listing.url,
            "title": listing.title,
            "price": listing.asked_fen,
            "original_price": listing.orig_price_fen,
            "coupon_off": listing.coupon_off_fen,
            "condition": condition_of(listing.condition),
            "source_condition": listing.condition,
            "brand": listing.brand,
            "free_shipping": listing.free_shipping,
            "category": self._category(listing.category),
            "source_category": listing.category_id,
            "area": listing.area,
            "want_count": listing.want_count,
            "published_at": listing.published_at,
            "first_seen_at": seen_at,
            "last_seen_at": seen_at,
            "flags": sorted(flag.value for flag in flags),
            "terms": listing_terms(self._analyser, listing.title, item_id=listing.item_id),
            "run_id": listing.run_id,
        }

    def _seen_at(self, moment: datetime) -> datetime:
        """When an observation was made that the crawler's clock dates at `moment`.

        If that lies in the future the clock was ahead, and all we know is that it was made before now: dated ahead it
        would stay the newest one, which later ones never overwrite. The bound is kept with the run, so that importing
        it again changes nothing.
        """
        if self._latest is None and moment > self._now + CLOCKS_DIFFER:
            before = (self._now - _JUST_BEFORE).replace(microsecond=0)
            self._latest = min(self._manifest.not_after or before, before)
        if self._latest is None or moment <= self._latest:
            return moment
        self._report.ahead += 1
        return self._latest

    def _category(self, label: str | None) -> int | None:
        if label is None:
            return None
        code = _CATEGORIES.get(normalise(label).strip())
        if code is None:
            self._report.unknown_categories[label] += 1
        return code

    def _store(self, session: Session, chunk: Sequence[dict[str, Any]]) -> None:
        """Write a chunk, in which every listing is at most once."""
        session.execute(_LOCK)
        known = _known(self._manifest.source, [row["item_id"] for row in chunk])
        chunk = self._wanted(chunk, known)
        written, priced, outcomes = [], {}, Counter[ImportOutcome]()
        for row in chunk:
            before = known.get(row["item_id"])
            outcome, is_written = _merge(row, before)
            outcomes[outcome] += 1
            self._note(row, before, outcome)
            if is_written:
                written.append(row)
                if row["price"] not in (None, before and before.last_price):
                    priced[row["item_id"]] = {"seen_at": row["last_seen_at"], "price": row["price"]}
        if written:
            stored = session.execute(_UPSERT, {"seen": orjson.dumps(written).decode()})
            ids = {item_id: listing_id for listing_id, item_id in stored}
            if priced:
                prices = [{"listing_id": ids[item_id], **price} for item_id, price in priced.items()]
                session.execute(insert(_PRICES), prices)
        run = self._crawl_run(session)
        run.created += outcomes[ImportOutcome.CREATED]
        run.updated += outcomes[ImportOutcome.UPDATED]
        self._report.outcomes += outcomes
        self._report.prices += len(priced)

    def _wanted(self, chunk: Sequence[dict[str, Any]], known: Mapping[str, Row[Any]]) -> Sequence[dict[str, Any]]:
        """Those rows of a chunk that are to be stored, given what is known of their listings: all."""
        del known
        return chunk

    def _note(self, row: dict[str, Any], before: Row[Any] | None, outcome: ImportOutcome) -> None:
        """Take note of what storing a row does; there is nothing to note."""

    def _supply(self, search: Search) -> dict[str, Any]:
        steps = relaxation_steps(self._analyser, search.keyword)
        return {
            "source": self._manifest.source,
            "keyword": search.keyword,
            "terms": sorted(steps[0]) if steps else [],
            "category": None if search.category is None else _CATEGORIES.get(normalise(search.category).strip()),
            "offers": search.offers,
            "seen_at": self._seen_at(search.fetched_at),
            "run_id": self._manifest.run_id,
        }

    def _finish(self, session: Session) -> None:
        session.execute(_LOCK)
        # One row for each keyword: a statement must not meet a row that it has written itself.
        newest = {each.keyword: each for each in sorted(self._manifest.searches, key=lambda each: each.fetched_at)}
        if newest:
            written = session.execute(_UPSERT_SUPPLY, [self._supply(each) for each in newest.values()])
            self._report.supplies = len(written.all())
        run = self._crawl_run(session)
        run.unchanged = self._report.outcomes[ImportOutcome.UNCHANGED]
        run.outdated = self._report.outcomes[ImportOutcome.OUTDATED]
        run.rejected = self._report.rejected
        run.damaged = len(self._report.damaged)
        run.imported_at = utcnow()

    def _crawl_run(self, session: Session) -> CrawlRun:
        """The run's row, with what the manifest says now."""
        manifest = self._manifest
        run = session.scalar(select(CrawlRun).where(CrawlRun.run_id == manifest.run_id))
        if run is None:
            run = CrawlRun(run_id=manifest.run_id, created=0, updated=0, unchanged=0, outdated=0, rejected=0, damaged=0)
            session.add(run)
        run.latest_at = self._latest
        if manifest.is_running and run.outcome not in (None, manifest.outcome):
            # A copy of the manifest that was made before the run was over: what is stored is newer.
            return run
        run.source, run.spider, run.detail = manifest.source, manifest.spider, manifest.detail
        run.started_at = self._bounded(manifest.started_at)
        run.finished_at = None if manifest.finished_at is None else self._bounded(manifest.finished_at)
        run.outcome, run.exit_code, run.counts = manifest.outcome, manifest.exit_code, manifest.counts
        return run

    def _bounded(self, moment: datetime) -> datetime:
        return moment if self._latest is None else min(moment, self._latest)


def _latest_of(run_id: str) -> datetime | None:
    """The bound of a run that was imported before, if its clock was ahead."""
    found = rows(select(CrawlRun.latest_at).where(CrawlRun.run_id == run_id))
    return found[0].latest_at if found else None


def _chunks(observations: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """`observations` in chunks; a second one of the same listing begins a new chunk."""
    chunk: dict[str, dict[str, Any]] = {}
    for row in observations:
        if len(chunk) == _CHUNK or row["item_id"] in chunk:
            yield list(chunk.values())
            chunk = {}
        chunk[row["item_id"]] = row
    if chunk:
        yield list(chunk.values())


# Tables instead of classes: the ORM's inserts cost several times as much.
_LISTINGS: Final = Base.metadata.tables[Listing.__tablename__]
_PRICES: Final = Base.metadata.tables[ListingPrice.__tablename__]
_SUPPLIES: Final = Base.metadata.tables[SearchSupply.__tablename__]

_LAST_PRICE: Final = (
    select(ListingPrice.price)
    .where(ListingPrice.listing_id == Listing.id)
    .order_by(ListingPrice.seen_at.desc())
    .limit(1)
    .scalar_subquery()
)

# All rows are one JSON parameter: a statement with a parameter for each value takes longer to parse than to execute.
_COLUMNS: Final = ("source", "item_id", *OBSERVED, "first_seen_at", "last_seen_at", "run_id")
_SEEN: Final = (
    func.json_to_recordset(cast(bindparam("seen", type_=Text), JSON))
    .table_valued(*(column(name, _LISTINGS.c[name].type) for name in _COLUMNS))
    .render_derived(name="seen", with_types=True)
)
_INSERT: Final = upsert(_LISTINGS).from_select(_COLUMNS, select(*(_SEEN.c[name] for name in _COLUMNS)))
_UPSERT: Final = _INSERT.on_conflict_do_update(
    index_elements=["source", "item_id"],
    set_={name: _INSERT.excluded[name] for name in (*OBSERVED, "last_seen_at", "run_id")},
).returning(_LISTINGS.c.id, _LISTINGS.c.item_id)

_INSERT_SUPPLY: Final = upsert(_SUPPLIES)
# What is known and newer stays. The same observation again updates what is derived from our tables of words.
_UPSERT_SUPPLY: Final = _INSERT_SUPPLY.on_conflict_do_update(
    index_elements=["source", "keyword"],
    set_={name: _INSERT_SUPPLY.excluded[name] for name in ("terms", "category", "offers", "seen_at", "run_id")},
    where=_SUPPLIES.c.seen_at <= _INSERT_SUPPLY.excluded.seen_at,
).returning(_SUPPLIES.c.id)


def _known(source: str, item_ids: Sequence[str]) -> dict[str, Row[Any]]:
    """What is known of these listings, each with the `last_price` of its history."""
    columns = (_LISTINGS.c[name] for name in ("item_id", "last_seen_at", "run_id", *OBSERVED))
    statement = select(*columns, _LAST_PRICE.label("last_price"))
    found = rows(statement.where(Listing.source == source, Listing.item_id.in_(item_ids)))
    return {row.item_id: row for row in found}


def _merge(row: dict[str, Any], known: Row[Any] | None) -> tuple[ImportOutcome, bool]:
    """What importing an observation does, and whether it has to be written; completes `row` by what is known."""
    if known is None:
        return ImportOutcome.CREATED, True
    if row["last_seen_at"] < known.last_seen_at:
        return ImportOutcome.OUTDATED, False
    before = known._mapping
    row.update({name: before[name] for name in _KEPT_IF_ABSENT if row[name] is None})
    if row["last_seen_at"] > known.last_seen_at:
        has_changed = any(row[name] != before[name] for name in OBSERVED)
        return (ImportOutcome.UPDATED if has_changed else ImportOutcome.UNCHANGED), True
    is_known = all(row[name] == before[name] for name in ("run_id", "title", "price"))
    derived_anew = is_known and any(row[name] != before[name] for name in _DERIVED)
    return (ImportOutcome.UPDATED if derived_anew else ImportOutcome.UNCHANGED), derived_anew
