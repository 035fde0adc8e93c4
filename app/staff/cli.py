"""`flask staff …` appoints, removes and lists staff; `flask user …` helps users.

There is no URL to appoint: it takes access to the server.
"""

import click
from flask.cli import AppGroup
from pydantic import TypeAdapter, ValidationError
from rich.table import Table

from app.answers import Refused
from app.clock import format_moment
from app.console import print_table
from app.staff.queries import members
from app.staff.schemas import ReasonIn
from app.staff.service import AppointmentRefused, add_staff, issue_reset_code_by_name, remove_staff

staff_commands = AppGroup("staff", help="Who is of staff.")

user_commands = AppGroup("user", help="Accounts of users.")

_REASON: TypeAdapter[str] = TypeAdapter(ReasonIn)


def _reason(_context: click.Context, _option: click.Parameter, text: str) -> str:
    try:
        return _REASON.validate_python(text)
    except ValidationError:
        raise click.BadParameter("1 to 500 characters, not only blank ones, no control characters") from None


@staff_commands.command()
@click.argument("username")
@click.option("--reason", required=True, callback=_reason, help="Why; it is recorded.")
def add(username: str, reason: str) -> None:
    """Make USERNAME one of staff."""
    try:
        add_staff(username=username, reason=reason)
    except AppointmentRefused as refusal:
        raise click.ClickException(str(refusal)) from None
    click.echo(f"{username} is staff from now on")


@staff_commands.command()
@click.argument("username")
@click.option("--reason", required=True, callback=_reason, help="Why; it is recorded.")
def remove(username: str, reason: str) -> None:
    """Take the role away from USERNAME, at once: their tokens open nothing of staff's any more."""
    try:
        remove_staff(username=username, reason=reason)
    except AppointmentRefused as refusal:
        raise click.ClickException(str(refusal)) from None
    click.echo(f"{username} is no staff from now on")


@staff_commands.command("list")
def list_members() -> None:
    """List who is of staff, since when, and why."""
    table = Table("id", "username", "since", "reason", box=None)
    for member in members():
        since = format_moment(member.at) if member.at else ""
        table.add_row(str(member.id), member.username, since, member.reason or "")
    print_table(table)


@user_commands.command("reset-code")
@click.argument("username")
@click.option("--reason", required=True, callback=_reason, help="Why; it is recorded.")
def reset_code(username: str, reason: str) -> None:
    """Print a one-time code with which USERNAME sets a new password, within a day."""
    try:
        issued = issue_reset_code_by_name(username=username, reason=reason)
    except Refused:
        raise click.ClickException(f"there is no user {username}") from None
    click.echo(f"{issued['code']}  (until {issued['expires_at']})")
