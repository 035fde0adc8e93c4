"""Rechecks known listings by what an operator saved of their details: `flask listings recheck`.

The crawler's `xianyu_file` reads the saved answers, as it reads those of a search, and its feed is read here as an
import reads it. But only listings that are known already are touched: sold, offline, on sale again, another price. An
item of which the site says that it does not exist any more is offline. What the files do not name stays as it is.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Row, func, literal, select
from sqlalchemy.orm import Session

from app.clock import utcnow
from app.db.transactions import rows
from app.listings.feed import DamagedBatch, Manifest, read_gone
from app.listings.importer import (
    OBSERVED,
    Hooks,
    ImportOutcome,
    ImportReport,
    ManifestImport,
    in_order,
    taken_back,
)
from app.listings.models import Listing, ListingFlag

_NOT_ON_SALE: Final = frozenset({ListingFlag.SOLD, ListingFlag.OFFLINE})
_GONE: Final = "gone"
"""Marks a row of an item that does not exist any more, which says nothing else of it."""
_TOLD_BY_SEARCHES: Final = frozenset({ListingFlag.AUCTION, ListingFlag.ADVERTISEMENT})
"""Only the rows of a search tell these, so an item's details do not take them back."""


class Recheck(StrEnum):
    """What a recheck found of a listing. The first four may come together."""

    SOLD = "sold"
    OFFLINE = "offline"
    ON_SALE_AGAIN = "on sale again"
    PRICE_CHANGED = "price changed"
    CONFIRMED = "confirmed"  # none of these
    OUTDATED = "outdated"  # what is known of it is newer
    UNKNOWN = "unknown"  # it is not known, so it was not stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One listing that is not as it was. Prices are fen; None where there is none."""

    item_id: str
    url: str
    title: str
    found: tuple[Recheck, ...]
    price_before: int | None
    price: int | None


@dataclass(slots=True, kw_only=True)
class RecheckReport(ImportReport):
    """What the recheck by one manifest did, or with `dry_run` would have done."""

    found: Counter[Recheck] = field(default_factory=Counter)
    changes: list[Change] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    """The known items that it names."""


def recheck_listings(
    manifests: Sequence[tuple[Path, Manifest]], *, dry_run: bool = False, hooks: Hooks | None = None
) -> list[RecheckReport]:
    """Recheck known listings by several runs, the one that began first before the others.

    Again and again it changes nothing more. A dry run does everything and takes it back at its end.
    """
    reports = [RecheckReport(path=path, manifest=manifest, dry_run=dry_run) for path, manifest in in_order(manifests)]
    with taken_back(dry_run):
        for report in reports:
            _ManifestRecheck(report, hooks or Hooks()).run()
    return reports


def known_listings() -> int:
    """How many listings are known."""
    return int(rows(select(func.count()).select_from(Listing))[0][0])


def listings_due(*, days: int, limit: int) -> list[str]:
    """The addresses of listings on sale that nobody has seen for so many days, the longest unseen first."""
    on_sale = ~Listing.flags.overlap(literal([flag.value for flag in sorted(_NOT_ON_SALE)], Listing.flags.type))
    statement = (
        select(Listing.url)
        .where(Listing.last_seen_at < utcnow() - timedelta(days=days), on_sale)
        .order_by(Listing.last_seen_at, Listing.id)
        .limit(limit)
    )
    return [row.url for row in rows(statement)]


class _ManifestRecheck(ManifestImport):
    """Rechecks by one manifest, and counts what it finds in the report."""

    _report: RecheckReport

    def __init__(self, report: RecheckReport, hooks: Hooks) -> None:
        super().__init__(report, hooks)

    def _observations(self) -> Iterator[dict[str, Any]]:
        yield from super()._observations()
        rejects = self._manifest.rejects
        if rejects is None:
            return
        try:
            gone = read_gone(self._report.path.parent, rejects)
        except DamagedBatch as error:
            self._report.damaged.append(f"{rejects.file} {error}")
            return
        for each in gone:
            seen_at = self._seen_at(each.fetched_at or self._manifest.started_at)
            yield {"item_id": each.item_id, "last_seen_at": seen_at, _GONE: True}

    def _wanted(self, chunk: Sequence[dict[str, Any]], known: Mapping[str, Row[Any]]) -> Sequence[dict[str, Any]]:
        """The rows of known listings; those of items that are gone say of them what is known, and that they are."""
        wanted = [row for row in chunk if row["item_id"] in known]
        self._report.found[Recheck.UNKNOWN] += len(chunk) - len(wanted)
        self._report.seen.update(row["item_id"] for row in wanted)
        return [self._completed(row, known[row["item_id"]]) for row in wanted]

    def _completed(self, row: dict[str, Any], before: Row[Any]) -> dict[str, Any]:
        if _GONE in row:
            return self._gone(row, before)
        return row | {"flags": sorted({*row["flags"], *(_TOLD_BY_SEARCHES & set(before.flags))})}

    def _gone(self, row: dict[str, Any], before: Row[Any]) -> dict[str, Any]:
        seen_at: datetime = row["last_seen_at"]
        return {
            **{name: before._mapping[name] for name in OBSERVED},
            "flags": sorted({*before.flags, ListingFlag.OFFLINE.value}),
            "source": self._manifest.source,
            "item_id": row["item_id"],
            "first_seen_at": seen_at,
            "last_seen_at": seen_at,
            "run_id": self._manifest.run_id,
        }

    def _note(self, row: dict[str, Any], before: Row[Any] | None, outcome: ImportOutcome) -> None:
        assert before is not None  # noqa: S101 - unknown ones are not wanted
        if outcome is ImportOutcome.OUTDATED:
            self._report.found[Recheck.OUTDATED] += 1
            return
        found = _found(row, before)
        self._report.found.update(found or (Recheck.CONFIRMED,))
        if found:
            self._report.changes.append(
                Change(
                    item_id=row["item_id"],
                    url=row["url"],
                    title=row["title"],
                    found=found,
                    price_before=before.last_price,
                    price=row["price"],
                )
            )

    def _finish(self, session: Session) -> None:
        """Nothing: the run was not imported, only what is known was rechecked by it."""
        del session


def _found(row: dict[str, Any], before: Row[Any]) -> tuple[Recheck, ...]:
    now, then = set(row["flags"]), set(before.flags)
    found = []
    if ListingFlag.SOLD in now - then:
        found.append(Recheck.SOLD)
    if ListingFlag.OFFLINE in now - then:
        found.append(Recheck.OFFLINE)
    if then & _NOT_ON_SALE and not now & _NOT_ON_SALE:
        found.append(Recheck.ON_SALE_AGAIN)
    if row["price"] not in (None, before.last_price):
        found.append(Recheck.PRICE_CHANGED)
    return tuple(found)
