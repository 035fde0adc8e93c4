"""`flask order …` lists orders, exports and verifies their histories.

`flask payments show` prints everything about the money of one, `flask payments reconcile` compares a day's bill.
"""

import sys
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Any, BinaryIO

import click
import orjson
from flask.cli import AppGroup
from rich.table import Table
from sqlalchemy import Row

from app.clock import format_moment, format_moment_or_none
from app.console import Moment, print_table, table_cell
from app.fen import format_yuan, format_yuan_or_none
from app.money.cli import payments_commands
from app.money.reconcile import DayBill, check_is_whole, read_day_bill
from app.orders import history
from app.orders.payment_report import payment_report
from app.orders.queries import orders_of_market, phase_of
from app.orders.reconciliation import NoBill, compare_with_books, fetch_day_bill, record_comparison, with_day
from statemachine import ORDER
from statemachine.order import BILL_TEXT, ORDER_TEXT

order_commands = AppGroup("order", help="Which orders there are, and their histories as evidence.")

_BAD_FILE = 2
_NO_BILL = 3


@order_commands.command("list")
@click.option(
    "--state",
    type=click.Choice(list(ORDER.by_key)),
    help="Only orders in this state: bill status and order status, as in the diagrams.",
)
@click.option("--user", "username", help="Only orders that this user bought or sold.")
@click.option("--since", type=Moment(days=True), help="Only orders made since this moment, or this day in Shanghai.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_orders(
    state: str | None,
    username: str | None,
    since: datetime | None,
    limit: int,
    as_json: bool,  # noqa: FBT001 - click passes options by name
) -> None:
    """List orders, newest first. Their numbers are what the other commands take."""
    phase = None if state is None else ORDER.by_key[state].phase
    found = orders_of_market(phase=phase, username=username, since=since, limit=limit)
    if as_json:
        click.echo(orjson.dumps([_order_json(each) for each in found], option=orjson.OPT_INDENT_2).decode())
        return
    table = Table("order", "id", "state", "amount", "good", "buyer", "seller", "made at", box=None)
    for each in found:
        texts = f"{BILL_TEXT[each.bill_status]}, {ORDER_TEXT[each.order_status]}"
        values = (
            each.order_no,
            each.id,
            f"{ORDER.state(phase_of(each)).key} {texts}{', disputed' if each.disputed else ''}"
            f"{', held' if each.held_at else ''}",
            format_yuan(each.amount),
            each.good_title,
            each.buyer,
            each.seller,
            format_moment(each.created_at),
        )
        table.add_row(*map(table_cell, values))
    print_table(table)
    if len(found) == limit:
        click.echo(f"only the newest {limit} are shown", err=True)


def _order_json(row: Row[Any]) -> dict[str, Any]:
    return {
        "order_no": row.order_no,
        "id": row.id,
        "state": ORDER.state(phase_of(row)).key,
        "bill_status": row.bill_status,
        "order_status": row.order_status,
        "closed": row.closed,
        "disputed": row.disputed,
        "held_at": format_moment_or_none(row.held_at),
        "amount": format_yuan(row.amount),
        "good": {"id": row.good_id, "title": row.good_title},
        "buyer": {"id": row.buyer_id, "username": row.buyer},
        "seller": {"id": row.seller_id, "username": row.seller},
        "created_at": format_moment(row.created_at),
        "updated_at": format_moment(row.updated_at),
    }


@order_commands.command()
@click.argument("order_no")
@click.option("--output", type=click.File("wb", atomic=True), default="-", help="Write there, not to standard output.")
def export(order_no: str, output: BinaryIO) -> None:
    """Write the history of ORDER_NO as JSON; `flask order verify` checks it."""
    try:
        exported = history.export(order_no)
    except history.NoSuchOrder as error:
        raise click.ClickException(f"there is no order {order_no}") from error
    output.write(orjson.dumps(exported, option=orjson.OPT_INDENT_2) + b"\n")


@order_commands.command()
@click.argument("file", type=click.File("rb"))
@click.option("--offline", is_flag=True, help="Look at the file alone, without the database.")
def verify(file: BinaryIO, offline: bool) -> None:  # noqa: FBT001 - click passes options by name
    """Check an exported history: hashes, links, words, steps; unless --offline also against the database.

    Words that were erased are told, and are no problem. The exit status is 0 where it is whole, 1 where it is not (each
    problem is printed), 2 for no such file.
    """
    try:
        exported = history.parse(file.read())
        problems = history.verify(exported)
    except history.BadFile as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(_BAD_FILE)
    if not offline:
        problems += history.compare(exported)
    for line in (*history.erasures(exported), *problems):
        click.echo(line)
    if problems:
        click.echo(f"problems: {len(problems)}", err=True)
        sys.exit(1)
    click.echo(f"the history of order {exported['order_no']} is whole: {len(exported['lines'])} lines")


@payments_commands.command()
@click.option(
    "--bill",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The gateway's file (Alipay: 业务明细, CSV, as it was downloaded); without it, it is fetched.",
)
@click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="The day in Shanghai.")
def reconcile(path: Path | None, day: datetime | None) -> None:
    """Compare a day's bill with our payments and refunds, and those with the ledger.

    With --date alone the bill is fetched from the gateway, and what is found is recorded if the day is over. Prints
    every difference and every row that cannot be read. The exit status is 0 where there is none, 1 where there is one,
    2 where the file is no such bill, or a spreadsheet has changed it, 3 where the gateway has no bill of this day yet,
    or does not answer.
    """
    if path is None and day is None:
        raise click.UsageError("give --date, or the file with --bill")
    try:
        bill = _bill(path, None if day is None else day.date())
    except NoBill as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(_NO_BILL)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--date" if path is None else "--bill") from error
    if bill.since is None or bill.until is None:
        raise click.UsageError("the file does not say which day it is about: give --date")
    comparison = compare_with_books(bill)
    for line in comparison.lines:
        click.echo(line)
    if path is None and day is not None:
        record_comparison(day.date(), comparison.differences, comparison.lines)
    sys.exit(1 if comparison.differences else 0)


def _bill(path: Path | None, day: date | None) -> DayBill:
    if path is None:
        assert day is not None  # noqa: S101 - one of the two is given
        return fetch_day_bill(day)
    raw = path.read_bytes()
    bill = read_day_bill(raw)
    if bill.rows or bill.problems:
        check_is_whole(raw)
    return bill if day is None else with_day(bill, day)


@payments_commands.command()
@click.argument("order_no")
def show(order_no: str) -> None:
    """Show everything about the money of one order: attempts, refunds, notifications, ledger."""
    report = payment_report(order_no)
    if report is None:
        raise click.ClickException(f"there is no order {order_no}")
    order = report.order
    state = f"{BILL_TEXT[order.bill_status]}, {ORDER_TEXT[order.order_status]}"
    click.echo(f"order {order.id} {order_no}: {state}{', closed' if order.closed else ''}")
    click.echo(f"amount {format_yuan(order.amount)} yuan")
    _print(
        "attempts",
        ("attempt", "number", "gateway's number", "amount", "state", "paid at", "asked again at"),
        (
            (
                each.attempt,
                each.out_trade_no,
                each.trade_no,
                format_yuan(each.amount),
                each.state,
                format_moment_or_none(each.paid_at),
                format_moment_or_none(each.query_at),
            )
            for each in report.payments
        ),
    )
    _print(
        "refunds",
        ("number", "amount", "reason", "state", "tries", "confirmed at", "last error"),
        (
            (
                each.request_no,
                format_yuan(each.amount),
                each.reason,
                each.state,
                each.attempts,
                format_moment_or_none(each.confirmed_at),
                each.last_error,
            )
            for each in report.refunds
        ),
    )
    _print(
        "notifications",
        ("received at", "number", "status", "believed"),
        (
            (
                format_moment(each.received_at),
                each.out_trade_no,
                each.fields.get("trade_status"),
                "yes" if each.refusal is None else f"no: {each.refusal}",
            )
            for each in report.notifications
        ),
    )
    _print(
        "ledger",
        ("transaction", "at", "account", "user", "debit", "credit"),
        (
            (
                each.key,
                format_moment(each.at),
                each.account_kind,
                each.user_id,
                format_yuan_or_none(each.amount if each.amount > 0 else None),
                format_yuan_or_none(-each.amount if each.amount < 0 else None),
            )
            for each in report.entries
        ),
    )


def _print(title: str, columns: tuple[str, ...], lines: Iterable[tuple[Any, ...]]) -> None:
    table = Table(*columns, title=title, title_justify="left", box=None)
    for line in lines:
        table.add_row(*(table_cell(value) for value in line))
    print_table(table)
