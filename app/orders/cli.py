"""`flask order …`: an order's history as evidence, and the check of such a file."""

import sys
from typing import BinaryIO

import click
import orjson
from flask.cli import AppGroup

from app.orders import history

order_commands = AppGroup("order", help="Histories of orders as evidence.")

_BAD_FILE = 2


@order_commands.command()
@click.argument("order_no")
@click.option("--output", type=click.File("wb", atomic=True), default="-", help="Write there, not to standard output.")
def export(order_no: str, output: BinaryIO) -> None:
    """Write the history of ORDER_NO as JSON; `flask order verify` checks it."""
    try:
        evidence = history.export(order_no)
    except history.NoSuchOrder as error:
        raise click.ClickException(f"there is no order {order_no}") from error
    output.write(orjson.dumps(evidence, option=orjson.OPT_INDENT_2) + b"\n")


@order_commands.command()
@click.argument("file", type=click.File("rb"))
@click.option("--offline", is_flag=True, help="Look at the file alone, without the database.")
def verify(file: BinaryIO, offline: bool) -> None:  # noqa: FBT001 - click passes options by name
    """Check an exported history: hashes, links, steps; unless --offline also against the database.

    The exit status is 0 where it is whole, 1 where it is not (each problem is printed), 2 for no such file.
    """
    try:
        evidence = history.parse(file.read())
        problems = history.verify(evidence)
    except history.BadFile as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(_BAD_FILE)
    if not offline:
        problems += history.compare(evidence)
    for problem in problems:
        click.echo(problem)
    if problems:
        click.echo(f"problems: {len(problems)}", err=True)
        sys.exit(1)
    click.echo(f"the history of order {evidence['order_no']} is whole: {len(evidence['lines'])} lines")
