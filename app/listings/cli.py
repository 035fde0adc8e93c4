"""`flask listings …`: import the listings that crawlers saw, recheck known ones, show the runs."""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO, Final

import click
import orjson
from rich.table import Table
from sqlalchemy.exc import OperationalError

from app.clock import format_moment, format_moment_or_none, utcnow
from app.console import SteadyGroup, discard, print_table, printable, printing, progress_bar, table_cell
from app.fen import format_yuan_or_none
from app.listings.feed import BadManifest, Manifest, mark_imported, read_manifest
from app.listings.importer import Hooks, ImportOutcome, ImportReport, Rejected, import_manifests
from app.listings.recheck import Recheck, RecheckReport, known_listings, listings_due, recheck_listings
from app.listings.runs import last_runs

listings_commands = SteadyGroup("listings", help="Listings seen elsewhere, for reference prices.")

_DAMAGED: Final = 1
_BAD_MANIFEST: Final = 2

_MANIFESTS: Final = click.argument(
    "manifests", metavar="MANIFEST...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
_REJECTS: Final = click.option(
    "--rejects",
    type=click.File("wb", lazy=False),
    help="Write each line that is no listing there: where it stands and why, a JSON object a line.",
)


@listings_commands.command("import")
@_MANIFESTS
@click.option("--dry-run", is_flag=True, help="Change nothing; print what an import would do.")
@_REJECTS
def import_command(manifests: tuple[Path, ...], dry_run: bool, rejects: BinaryIO | None) -> None:  # noqa: FBT001 - click passes options by name
    """Import the runs whose MANIFESTs are given; again and again without doubling anything.

    The exit status is 0 where all that the manifests name could be read (lines that are no listing are counted), 1
    where a batch is damaged, or the database or a disk fails, 2 where a manifest cannot be used, 3 where a signal came
    before the end. What is left is imported all the same. Beside each manifest `imported.json` says what was imported:
    the crawler deletes no run that was not.
    """
    usable, unusable = _read(manifests)
    file = _RejectsFile(rejects)
    began = time.monotonic()
    with progress_bar() as bar, _database():
        task = bar.add_task("importing listings", total=sum(manifest.listings for _, manifest in usable))
        hooks = Hooks(progress=lambda lines: bar.advance(task, lines), reject=file.write)
        reports = import_manifests(usable, dry_run=dry_run, hooks=hooks)
    if not dry_run:
        _mark(reports)
    with printing():
        _print(reports, seconds=time.monotonic() - began, names_rejects=rejects is not None)
    _exit(reports, unusable=unusable, file=file)


@listings_commands.command("recheck")
@_MANIFESTS
@click.option("--dry-run", is_flag=True, help="Change nothing; print what a recheck would find.")
@_REJECTS
def recheck_command(manifests: tuple[Path, ...], dry_run: bool, rejects: BinaryIO | None) -> None:  # noqa: FBT001 - click passes options by name
    """Recheck known listings by what you saved of their details: sold, offline, another price.

    Open the items in your browser (`flask listings due` names those that nobody has seen for long), save a HAR, let
    the crawler's xianyu_file read it, and give the MANIFESTs of these runs. Unlike an import it stores no listing that
    is not known. What is not in the files stays as it is. Again and again it changes nothing more. The exit status is
    that of an import.
    """
    usable, unusable = _read(manifests)
    file = _RejectsFile(rejects)
    with _database():
        reports = recheck_listings(usable, dry_run=dry_run, hooks=Hooks(reject=file.write))
        known = known_listings()
    with printing():
        _print_recheck(reports, known=known)
    _exit(reports, unusable=unusable, file=file)


@listings_commands.command("due")
@click.option("--days", default=7, show_default=True, type=click.IntRange(0, 3650), help="Unseen for so long.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 100_000), help="How many at most.")
def due(days: int, limit: int) -> None:
    """Print the addresses of listings on sale that nobody has seen for some days, the longest unseen first.

    They are what to open and save for a recheck. The crawler's xianyu_detail takes such a file too.
    """
    found = listings_due(days=days, limit=limit)
    with printing():
        for url in found:
            click.echo(url)


class _RejectsFile:
    """The file of `--rejects`, if there is one. If it cannot be written, the import goes on without it."""

    def __init__(self, file: BinaryIO | None) -> None:
        self._file = file
        self.problem = ""
        """Why it could not be written; "" if it could."""

    def write(self, rejected: Rejected) -> None:
        """Write a line."""
        if self._file is None or self.problem:
            return
        manifest = str(rejected.manifest).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        try:
            self._file.write(orjson.dumps(asdict(rejected) | {"manifest": manifest}) + b"\n")
            self._file.flush()
        except OSError as error:
            self.problem = f"{self._file.name}: {error.strerror}"
            discard(self._file)


@contextmanager
def _database() -> Iterator[None]:
    """A database that fails during the block, as on a full disk, is a line and not a traceback."""
    try:
        yield
    except OperationalError as error:
        why = " ".join(str(error.orig).split("\n")[0].split())
        raise click.ClickException(f"the database: {why}; what was stored stays, repeat the command") from error


def _mark(reports: Sequence[ImportReport]) -> None:
    """Say beside each manifest what was imported. Where that may not be written, the crawler keeps the run."""
    for report in reports:
        try:
            mark_imported(report.path.parent, report.manifest, report.read, now=utcnow())
        except OSError as error:
            click.echo(
                f"{report.path.parent}: {error.strerror}; the crawler will keep this run, as it cannot know that it"
                " was imported",
                err=True,
            )


def _exit(reports: Sequence[ImportReport], *, unusable: int, file: _RejectsFile) -> None:
    """End the process with the exit status of an import, unless that is 0."""
    if file.problem:
        click.echo(f"{file.problem}; what is no listing is not named there any more", err=True)
    if unusable:
        sys.exit(_BAD_MANIFEST)
    if file.problem or any(report.damaged for report in reports):
        sys.exit(_DAMAGED)


def _read(paths: Sequence[Path]) -> tuple[list[tuple[Path, Manifest]], int]:
    """The manifests that can be used, and how many cannot; those are named on standard error."""
    usable, unusable = [], 0
    for path in paths:
        try:
            usable.append((path, read_manifest(path)))
        except BadManifest as error:
            unusable += 1
            click.echo(f"{path}: {error}", err=True)
    return usable, unusable


def _print(reports: Sequence[ImportReport], *, seconds: float, names_rejects: bool) -> None:
    table = Table("run", *(each.value for each in ImportOutcome), "prices", "rejected", "damaged batches", box=None)
    for report in reports:
        outcomes = (report.outcomes[each] for each in ImportOutcome)
        numbers = (*outcomes, report.prices, report.rejected, len(report.damaged))
        table.add_row(report.manifest.run_id, *map(str, numbers))
    print_table(table)
    _print_troubles(reports)
    _print_tally("flagged", sum((report.flagged for report in reports), Counter[str]()))
    _print_tally("no such category", sum((report.unknown_categories for report in reports), Counter[str]()))
    rejected = sum(report.rejected for report in reports)
    if rejected and not names_rejects:
        click.echo(f"{rejected} lines are no listing; --rejects FILE says which, and why", err=True)
    done = "would be imported; nothing was changed" if any(report.dry_run for report in reports) else "imported"
    observations = sum(report.outcomes.total() for report in reports)
    click.echo(f"{observations} listings {done}, in {seconds:.1f} s ({observations / max(seconds, 0.001):.0f}/s)")


def _print_troubles(reports: Sequence[ImportReport]) -> None:
    for report in reports:
        for words in report.damaged:
            click.echo(f"{report.path.parent / words}", err=True)
        if report.ahead:
            click.echo(
                f"{report.manifest.run_id}: the crawler's clock was ahead; {report.ahead} listings count as seen before"
                " now",
                err=True,
            )


def _print_recheck(reports: Sequence[RecheckReport], *, known: int) -> None:
    changes = Table("item", "found", "price before", "price", "title", box=None)
    for report in reports:
        for change in report.changes:
            prices = (format_yuan_or_none(change.price_before), format_yuan_or_none(change.price))
            cells = (change.item_id, ", ".join(change.found), *prices, change.title)
            changes.add_row(*map(table_cell, cells))
    if changes.rows:
        print_table(changes)
    table = Table("run", *(each.value for each in Recheck), "rejected", "damaged", box=None)
    for report in reports:
        numbers = (*(report.found[each] for each in Recheck), report.rejected, len(report.damaged))
        table.add_row(report.manifest.run_id, *map(str, numbers))
    print_table(table)
    _print_troubles(reports)
    seen = len({item for report in reports for item in report.seen})
    done = " (a dry run: nothing was changed)" if any(report.dry_run for report in reports) else ""
    click.echo(f"{seen} known listings rechecked{done}; {known - seen} are not in these files and stay as they are")


def _print_tally(title: str, tally: Counter[str]) -> None:
    if tally:
        click.echo(f"{title}: {', '.join(f'{printable(name)} {count}' for name, count in tally.most_common())}")


@listings_commands.command()
@click.option("--last", default=20, show_default=True, type=click.IntRange(1, 10_000), help="How many.")
def runs(last: int) -> None:
    """Show the crawl runs of which something was imported, the newest first."""
    table = Table(
        *("run", "spider", "started", "finished", "outcome", "exit", "requests", "listings", "imported"),
        *("created", "updated", "unchanged", "outdated", "rejected", "damaged", "detail"),
        box=None,
    )
    for run in last_runs(limit=last):
        cells = (
            *(run.run_id, run.spider, format_moment(run.started_at), format_moment_or_none(run.finished_at)),
            *(run.outcome, run.exit_code, run.counts.get("requests"), run.counts.get("listings")),
            format_moment_or_none(run.imported_at),
            *(run.created, run.updated, run.unchanged, run.outdated, run.rejected, run.damaged, run.detail),
        )
        table.add_row(*map(table_cell, cells))
    with printing():
        print_table(table)
