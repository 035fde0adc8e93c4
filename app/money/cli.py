"""`flask payments reconcile`: compare a day's bill of the gateway with our payments and refunds."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import click
from flask.cli import AppGroup

from app.clock import SHANGHAI, format_moment
from app.fen import format_signed_yuan, format_yuan
from app.money.queries import BookedMovement, booked_movements
from app.money.reconcile import BillDifference, BillDifferenceKind, DayBill, MovementKind, compare, read_day_bill

payments_commands = AppGroup("payments", help="Payments and refunds at the gateway.")

_DAY = "%Y-%m-%d"


@payments_commands.command()
@click.option(
    "--bill",
    "path",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The gateway's file (Alipay: 业务明细, CSV, GBK or UTF-8).",
)
@click.option("--date", "day", type=click.DateTime([_DAY]), help="The day in Shanghai, if the file does not say it.")
def reconcile(path: Path, day: datetime | None) -> None:
    """Compare a day's bill with our payments and refunds, and those with the ledger.

    Prints every difference and every row that cannot be read. The exit status is 0 where there is none, 1 where there
    is one, 2 where the file is no such bill.
    """
    try:
        bill = _with_day(read_day_bill(path.read_bytes()), day)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--bill") from error
    if bill.since is None or bill.until is None:
        raise click.UsageError("the file does not say which day it is about: give --date")
    booked = booked_movements(since=bill.since, until=bill.until, out_trade_nos={row.out_trade_no for row in bill.rows})
    differences, undecided = _set_aside_undecided(compare(bill, [each.movement for each in booked]), booked, bill.since)
    found = [*map(str, bill.problems), *map(str, differences), *_ledger_differences(booked)]
    for line in [*found, *undecided]:
        click.echo(line)
    within = [each.movement for each in booked if bill.since <= each.movement.at < bill.until]
    click.echo(f"{format_moment(bill.since)} to {format_moment(bill.until)}")
    for kind in MovementKind:
        theirs = _total(row.amount_fen for row in bill.rows if row.kind is kind)
        ours = _total(movement.amount_fen for movement in within if movement.kind is kind)
        click.echo(f"{kind}s: {theirs} in the bill, {ours} in our books")
    click.echo(f"differences: {len(found)}")
    sys.exit(1 if found else 0)


def _with_day(bill: DayBill, day: datetime | None) -> DayBill:
    """The bill with the operator's `day` filled in if it names none; ValueError where it names another day."""
    if day is None:
        return bill
    since = day.replace(tzinfo=SHANGHAI)
    if bill.since is None:
        return replace(bill, since=since, until=since + timedelta(days=1))
    if bill.since != since:
        raise ValueError(f"it begins at {format_moment(bill.since)}, not on {day:{_DAY}}")
    return bill


def _set_aside_undecided(
    differences: Iterable[BillDifference], booked: Iterable[BookedMovement], since: datetime
) -> tuple[list[BillDifference], list[str]]:
    """`(differences, undecided)`: refunds that the gateway may have made before the bill's day are set aside.

    Those may be in the bill of an earlier day; `undecided` has a line about each.
    """
    requested = {
        (each.movement.kind, each.movement.out_trade_no, each.movement.request_no): each.since for each in booked
    }
    real, undecided = [], []
    for difference in differences:
        requested_at = requested.get((difference.movement, difference.out_trade_no, difference.request_no))
        if difference.kind is BillDifferenceKind.MISSING_THERE and requested_at is not None and requested_at < since:
            days = f"{requested_at.astimezone(SHANGHAI):{_DAY}} to {difference.at.astimezone(SHANGHAI):{_DAY}}"
            undecided.append(f"no difference yet: {difference}; it must be in one of the bills of {days}")
        else:
            real.append(difference)
    return real, undecided


def _ledger_differences(booked: Iterable[BookedMovement]) -> Iterator[str]:
    """A line for each movement that the ledger lacks, or has with another amount."""
    for each in booked:
        movement = each.movement
        if each.ledger_fen == movement.amount_fen:
            continue
        number = "" if movement.request_no is None else f" {movement.request_no}"
        about = f"{movement.kind}{number} of trade {movement.out_trade_no} at {format_moment(movement.at)}"
        ours = format_yuan(movement.amount_fen)
        if each.ledger_fen is None:
            yield f"{about} over {ours} yuan is not in the ledger"
        else:
            in_ledger = format_signed_yuan(each.ledger_fen)
            yield f"{about} is over {ours} yuan in our books and over {in_ledger} yuan in the ledger"


def _total(amounts: Iterable[int]) -> str:
    fen = list(amounts)
    return f"{len(fen)} over {format_yuan(sum(fen))} yuan"
