"""The `flask` commands."""

import click
from flask import Flask
from flask.cli import with_appcontext
from rich.progress import track

from app.account_data import cli as _account_data_commands  # noqa: F401 - adds one to user_commands
from app.backup.cli import backup, restore
from app.erasure import cli as _erasure_commands  # noqa: F401 - adds one to order_commands
from app.ledger.cli import ledger_commands
from app.listings.cli import listings_commands
from app.moderation.cli import moderation_commands
from app.money.cli import payments_commands
from app.orders.cli import order_commands
from app.outbox.cli import outbox_commands
from app.pictures.cli import pictures_commands
from app.search.cli import search_commands
from app.seed.service import seed_market
from app.settings import settings
from app.staff.cli import staff_commands, user_commands
from app.webhooks.cli import webhooks_commands


def register_commands(app: Flask) -> None:
    """Add our commands to `flask`."""
    app.cli.add_command(ledger_commands)
    app.cli.add_command(listings_commands)
    app.cli.add_command(moderation_commands)
    app.cli.add_command(order_commands)
    app.cli.add_command(outbox_commands)
    app.cli.add_command(payments_commands)
    app.cli.add_command(pictures_commands)
    app.cli.add_command(search_commands)
    app.cli.add_command(staff_commands)
    app.cli.add_command(user_commands)
    app.cli.add_command(webhooks_commands)
    app.cli.add_command(backup)
    app.cli.add_command(restore)
    app.cli.add_command(seed)


@click.command()
@with_appcontext
def seed() -> None:
    """Fill the development database with a small demo market; again and again without doubling anything."""
    if settings().is_production:
        raise click.ClickException("the demo market is for development; production refuses it")
    seed_market(track=lambda items, text: track(list(items), description=f"seeding {text}"))
