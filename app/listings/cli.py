"""`flask listings …`: import the listings that crawlers saw, show their runs."""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO, Final

import click
import orjson
from flask.cli import AppGroup
from rich.table import Table

from app.clock import format_moment, format_moment_or_none
from app.console import print_table, printable, progress_bar, table_cell
from app.listings.feed import BadManifest, Manifest, read_manifest
from app.listings.importer import Hooks, ImportOutcome, ImportReport, Rejected, import_manifests
from app.listings.runs import last_runs

listings_commands = AppGroup("listings", help="Listings seen elsewhere, for reference prices.")

_DAMAGED: Final = 1
_BAD_MANIFEST: Final = 2


@listings_commands.command("import")
@click.argument("manifests", metavar="MANIFEST...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Change nothing; print what an import would do.")
@click.option(
    "--rejects",
    type=click.File("wb", lazy=False),
    help="Write each line that is no listing there: where it stands and why, a JSON object a line.",
)
def import_command(manifests: tuple[Path, ...], dry_run: bool, rejects: BinaryIO | None) -> None:  # noqa: FBT001 - click passes options by name
    """Import the runs whose MANIFESTs are given; again and again without doubling anything.

    The exit status is 0 where all that the manifests name could be read (lines that are no listing are counted), 1
    where a batch is damaged, 2 where a manifest cannot be used. What is left is imported all the same.
    """
    usable, unusable = _read(manifests)
    began = time.monotonic()
    with progress_bar() as bar:
        task = bar.add_task("importing listings", total=sum(manifest.listings for _, manifest in usable))
        hooks = Hooks(
            progress=lambda lines: bar.advance(task, lines), reject=lambda rejected: _write(rejects, rejected)
        )
        reports = import_manifests(usable, dry_run=dry_run, hooks=hooks)
    _print(reports, seconds=time.monotonic() - began, names_rejects=rejects is not None)
    if unusable:
        sys.exit(_BAD_MANIFEST)
    if any(report.damaged for report in reports):
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


def _write(file: BinaryIO | None, rejected: Rejected) -> None:
    if file is not None:
        file.write(orjson.dumps(asdict(rejected) | {"manifest": str(rejected.manifest)}) + b"\n")


def _print(reports: Sequence[ImportReport], *, seconds: float, names_rejects: bool) -> None:
    table = Table("run", *(each.value for each in ImportOutcome), "prices", "rejected", "damaged batches", box=None)
    for report in reports:
        outcomes = (report.outcomes[each] for each in ImportOutcome)
        numbers = (*outcomes, report.prices, report.rejected, len(report.damaged))
        table.add_row(report.manifest.run_id, *map(str, numbers))
    print_table(table)
    for report in reports:
        for words in report.damaged:
            click.echo(f"{report.path.parent / words}", err=True)
    _print_tally("flagged", sum((report.flagged for report in reports), Counter[str]()))
    _print_tally("no such category", sum((report.unknown_categories for report in reports), Counter[str]()))
    rejected = sum(report.rejected for report in reports)
    if rejected and not names_rejects:
        click.echo(f"{rejected} lines are no listing; --rejects FILE says which, and why", err=True)
    done = "would be imported; nothing was changed" if any(report.dry_run for report in reports) else "imported"
    observations = sum(report.outcomes.total() for report in reports)
    click.echo(f"{observations} listings {done}, in {seconds:.1f} s ({observations / max(seconds, 0.001):.0f}/s)")


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
    print_table(table)
