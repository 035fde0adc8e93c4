"""`flask user delete` ends the account of a user who cannot do it, or whose deletion a restored backup has undone."""

import getpass

import click

from app.account_data.service import delete_account_for_user
from app.accounts.queries import user_id_of
from app.answers import Answer, Refused
from app.staff.cli import user_commands

_WHY, _BY = 200, 60


@user_commands.command("delete")
@click.argument("username", required=False)
@click.option("--id", "user_id", type=click.IntRange(1), help="Instead of USERNAME, as the log has it.")
@click.option("--reason", required=True, help="Why; it is recorded beside the words that are erased.")
@click.option("--by", default=getpass.getuser, help="Who; it is recorded. Default: who runs the command.")
def delete(username: str | None, user_id: int | None, reason: str, by: str) -> None:
    """Delete the account USERNAME as its user would. Open orders and money prevent it, and it cannot be undone."""
    if (username is None) == (user_id is None):
        raise click.UsageError("say USERNAME or --id")
    if not 1 <= len(reason.strip()) <= _WHY or not 1 <= len(by.strip()) <= _BY:
        raise click.ClickException(f"--reason has 1 to {_WHY} characters, --by 1 to {_BY}")
    found = user_id or user_id_of(username or "")
    try:
        delete_account_for_user(user_id=found or 0, by=by.strip(), why=reason.strip())
    except Refused as refusal:
        if refusal.answer is Answer.ACCOUNT_IN_USE:
            raise click.ClickException("\n".join(["it is in use:", *(refusal.data or {})["reasons"]])) from None
        raise click.ClickException(f"there is no user {username or user_id}") from None
    click.echo(f"deleted the account {found}")
