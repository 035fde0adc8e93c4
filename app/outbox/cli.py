"""`flask outbox …`: lists, shows and replays outbox messages, dead ones included."""

from collections.abc import Sequence

import click
from flask.cli import AppGroup
from rich.table import Table
from sqlalchemy import select

from app.clock import format_moment
from app.console import print_table
from app.db.database import db
from app.db.transactions import transaction
from app.outbox.models import OutboxMessage, Topic
from app.outbox.service import failed, replay, state_of

outbox_commands = AppGroup("outbox", help="After-commit work: what waits, and the dead letters.")

_ERROR_SHOWN = 80


@outbox_commands.command("list")
@click.option("--dead", is_flag=True, help="Only messages that were given up.")
@click.option("--topic", type=click.Choice([topic.value for topic in Topic]), help="Only messages of this topic.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many.")
def list_messages(dead: bool, topic: str | None, limit: int) -> None:  # noqa: FBT001 - click passes options by name
    """List messages, oldest first."""
    statement = select(OutboxMessage).order_by(OutboxMessage.id).limit(limit)
    if dead:
        statement = statement.where(OutboxMessage.dead_at.is_not(None))
    if topic is not None:
        statement = statement.where(OutboxMessage.topic == topic)
    messages = db.session.scalars(statement).all()
    table = Table("id", "topic", "subject", "stream", "state", "attempts", "due", "last error", box=None)
    for message in messages:
        table.add_row(
            str(message.id),
            message.topic,
            str(message.subject_id),
            message.stream or "",
            state_of(message),
            str(message.attempts),
            "" if message.dead_at else format_moment(message.due_at),
            (message.last_error or "").partition("\n")[0][:_ERROR_SHOWN],
        )
    print_table(table)
    if len(messages) == limit:
        click.echo(f"only the first {limit} are shown")


@outbox_commands.command()
@click.argument("message_id", type=int)
def show(message_id: int) -> None:
    """Show all there is of one message."""
    message = db.session.get(OutboxMessage, message_id)
    if message is None:
        raise click.ClickException(f"there is no message {message_id}")
    for name, value in (
        ("id", str(message.id)),
        ("topic", message.topic),
        ("subject", str(message.subject_id)),
        ("stream", message.stream or ""),
        ("state", state_of(message)),
        ("attempts", str(message.attempts)),
        ("left at", format_moment(message.created_at)),
        ("due at", format_moment(message.due_at)),
        ("dead since", format_moment(message.dead_at) if message.dead_at else ""),
        ("last error", message.last_error or ""),
    ):
        click.echo(f"{name:<12}{value}".rstrip())


@outbox_commands.command("replay")
@click.argument("message_ids", type=int, nargs=-1)
@click.option("--all-dead", is_flag=True, help="Every message that was given up, and no other.")
@click.option("--topic", type=click.Choice([topic.value for topic in Topic]), help="Only messages of this topic.")
def replay_messages(message_ids: Sequence[int], all_dead: bool, topic: str | None) -> None:  # noqa: FBT001 - click passes options by name
    """Make the messages MESSAGE_IDS due now; without ids all that failed.

    These are the dead, and those that wait to be tried again. Dead ones begin anew, with all their attempts. Where one
    of the ids does not exist, nothing is changed and the exit status is 1.
    """
    if message_ids and (all_dead or topic):
        raise click.UsageError("ids go with neither --all-dead nor --topic")
    with transaction() as session:
        wanted = set(message_ids or failed(session, dead_only=all_dead, topic=topic))
        missing = replay(session, wanted)
        if missing and message_ids:
            raise click.ClickException(f"there is no message {', '.join(map(str, missing))}; nothing was changed")
    click.echo(f"{len(wanted) - len(missing)} messages are due now")
