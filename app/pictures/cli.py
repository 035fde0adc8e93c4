"""`flask pictures`."""

import click
from flask.cli import AppGroup

from app.pictures.service import collect_pictures

pictures_commands = AppGroup("pictures", help="Stored pictures.")


@pictures_commands.command("collect")
def collect() -> None:
    """Delete pictures that nothing has shown for UNUSED_PICTURE_LIFETIME. A periodic job does so each hour."""
    collected = collect_pictures()
    click.echo(f"deleted {collected.pictures} pictures and {collected.files} files")
