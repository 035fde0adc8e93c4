"""`flask staff …` appoints, removes and lists staff; `flask user …` helps users, and suspends them as staff do by URL.

There is no URL to appoint: it takes access to the server.
"""

from collections.abc import Sequence
from datetime import datetime

import click
from flask.cli import AppGroup
from pydantic import TypeAdapter, ValidationError
from rich.table import Table

from app.accounts.queries import user_id_of
from app.answers import Refused
from app.clock import format_moment, utcnow
from app.console import Moment, print_table, table_cell
from app.staff.login import reset_second_factor_by_name
from app.staff.queries import members, suspended_users
from app.staff.schemas import ReasonIn
from app.staff.service import (
    AppointmentRefused,
    add_staff,
    change_roles,
    issue_reset_code_by_name,
    lift_suspension,
    remove_staff,
    suspend_user,
)
from app.staff_roles import BEFORE_ROLES, StaffRole

staff_commands = AppGroup("staff", help="Who is of staff.")

user_commands = AppGroup("user", help="Accounts of users.")

_REASON: TypeAdapter[str] = TypeAdapter(ReasonIn)


def _reason(_context: click.Context, _option: click.Parameter, text: str) -> str:
    try:
        return _REASON.validate_python(text)
    except ValidationError:
        raise click.BadParameter("1 to 500 characters, not only blank ones, no control characters") from None


_ROLES = click.option(
    "--role", "roles", multiple=True, type=click.Choice([role.value for role in StaffRole]), help="May be repeated."
)


@staff_commands.command()
@click.argument("username")
@_ROLES
@click.option("--reason", required=True, callback=_reason, help="Why; it is recorded.")
def add(username: str, roles: Sequence[str], reason: str) -> None:
    """Make USERNAME one of staff: without --role with all that staff may do but administer each other."""
    try:
        add_staff(username=username, reason=reason, roles=[StaffRole(role) for role in roles] or BEFORE_ROLES)
    except AppointmentRefused as refusal:
        raise click.ClickException(str(refusal)) from None
    click.echo(f"{username} is staff from now on")


@staff_commands.command("roles")
@click.argument("username")
@_ROLES
@click.option("--reason", required=True, callback=_reason, help="Why; it is recorded.")
def roles_(username: str, roles: Sequence[str], reason: str) -> None:
    """Give USERNAME, who is of staff, these roles and no others; it counts at once."""
    if not roles:
        raise click.UsageError("name at least one --role; `flask staff remove` takes all of them away")
    try:
        change_roles(username=username, reason=reason, roles=[StaffRole(role) for role in roles])
    except AppointmentRefused as refusal:
        raise click.ClickException(str(refusal)) from None
    click.echo(f"{username} is {', '.join(role for role in StaffRole if role in roles)} from now on")


@staff_commands.command("reset-second-factor")
@click.argument("username")
@click.option("--reason", required=True, callback=_reason, help="Why; it is recorded.")
def reset_factor(username: str, reason: str) -> None:
    """Let USERNAME set up a new authenticator app at the next login; logins to the back office end."""
    try:
        reset_second_factor_by_name(username=username, reason=reason)
    except AppointmentRefused as refusal:
        raise click.ClickException(str(refusal)) from None
    click.echo(f"{username} sets up a new second factor at the next login")


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
    table = Table("id", "username", "roles", "since", "reason", box=None)
    for member in members():
        since = format_moment(member.at) if member.at else ""
        table.add_row(str(member.id), member.username, ", ".join(member.staff_roles), since, member.reason or "")
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


@user_commands.command()
@click.argument("username")
@click.option("--reason", required=True, callback=_reason, help="Why; it is recorded, and told at the login.")
@click.option("--until", type=Moment(days=True), help="Until then; without it for good.")
def suspend(username: str, reason: str, until: datetime | None) -> None:
    """Keep USERNAME out: sessions end, logins are refused, goods leave the market. Open orders go on."""
    if until is not None and until <= utcnow():
        raise click.BadParameter("that is past", param_hint="--until")
    try:
        suspend_user(actor_id=None, user_id=_user_id(username), reason=reason, until=until)
    except Refused:  # staff are not suspended
        raise click.ClickException(f"{username} is staff: remove them from staff first") from None
    click.echo(f"{username} is suspended {f'until {format_moment(until)}' if until else 'for good'}")


@user_commands.command("lift")
@click.argument("username")
@click.option("--reason", required=True, callback=_reason, help="Why; it is recorded, and told to the user.")
def lift_(username: str, reason: str) -> None:
    """Let USERNAME in again; the goods that left for the suspension return."""
    lift_suspension(actor_id=None, user_id=_user_id(username), reason=reason)
    click.echo(f"{username} is not suspended")


@user_commands.command("list")
def list_suspended() -> None:
    """List who is suspended, since and until when, and why."""
    table = Table("id", "username", "since", "until", "reason", box=None)
    for user in suspended_users():
        until = format_moment(user.suspended_until) if user.suspended_until else "for good"
        values = (user.id, user.username, format_moment(user.suspended_at), until, user.suspension_reason)
        table.add_row(*map(table_cell, values))
    print_table(table)


def _user_id(username: str) -> int:
    user_id = user_id_of(username)
    if user_id is None:
        raise click.ClickException(f"there is no user {username}")
    return user_id
