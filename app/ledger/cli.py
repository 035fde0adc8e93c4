"""`flask ledger …`: audit the ledger, show accounts."""

import sys

import click
from flask.cli import AppGroup
from rich.table import Table
from sqlalchemy import select

from app.console import print_table, progress_bar
from app.db.transactions import rows
from app.fen import format_yuan
from app.ledger.audit import audit
from app.ledger.models import AccountKind, LedgerAccount

ledger_commands = AppGroup("ledger", help="The double-entry ledger.")


@ledger_commands.command("audit")
def audit_command() -> None:
    """Recompute everything and name each difference; the exit status is 0 where there is none, else 1."""
    with progress_bar(quiet_in_pipes=True) as bar:
        task = bar.add_task("auditing")
        differences = audit(
            progress=lambda title, done, of: bar.update(task, description=title, completed=done, total=of)
        )
    for difference in differences:
        click.echo(difference)
    if differences:
        click.echo(f"differences: {len(differences)}", err=True)
        sys.exit(1)
    click.echo("the ledger is clean")


@ledger_commands.command()
@click.argument("kind", type=click.Choice([kind.value for kind in AccountKind]))
@click.option("--user", type=int, help="Only this user's account.")
def account(kind: str, user: int | None) -> None:
    """Show the accounts of KIND and their balances, in yuan."""
    statement = select(LedgerAccount.__table__).where(LedgerAccount.kind == kind).order_by(LedgerAccount.id)
    found = rows(statement if user is None else statement.where(LedgerAccount.user_id == user))
    table = Table("account", "user", "slot", "balance", box=None)
    for row in found:
        table.add_row(str(row.id), str(row.user_id or ""), str(row.slot), format_yuan(row.balance))
    table.add_row("", "", "together", format_yuan(sum(row.balance for row in found)))
    print_table(table)
