"""`flask backup FOLDER` and `flask restore FOLDER`."""

import sys
from pathlib import Path

import click
from flask.cli import with_appcontext

from app.backup.files import UnusableFolder
from app.backup.programs import ProgramFailed
from app.backup.service import InUse, NotEmpty, back_up
from app.backup.service import restore as restore_backup

_FOLDER = click.Path(file_okay=False, resolve_path=True, path_type=Path)


@click.command()
@click.argument("folder", type=_FOLDER)
@with_appcontext
def backup(folder: Path) -> None:
    """Write a backup of database, pictures and the sandbox's store into FOLDER, while everything goes on.

    The keys and secrets that it takes to go on with it are named and not copied. The exit status is 1 where pictures
    are missing that rows name; the backup is whole apart from them.
    """
    try:
        manifest = back_up(folder, report=click.echo)
    except (UnusableFolder, ProgramFailed) as error:
        raise click.ClickException(str(error)) from error
    click.echo("not in it, keep them elsewhere:")
    for setting, where in manifest.keys.items():
        click.echo(f"  {setting}: {where}")
    for sha256 in manifest.missing_pictures:
        click.echo(f"picture {sha256}: is missing", err=True)
    click.echo(f"backup of {manifest.began_at} in {folder}")
    if manifest.missing_pictures:
        sys.exit(1)


@click.command()
@click.argument("folder", type=_FOLDER)
@click.option("--yes-overwrite", is_flag=True, help="Even where there is a market: it is replaced.")
@with_appcontext
def restore(folder: Path, yes_overwrite: bool) -> None:  # noqa: FBT001 - click passes options by name
    """Restore the backup in FOLDER into an empty database, while nothing else runs; build the search index; check all.

    Checks are the ledger's audit and the history of every order. The exit status is 0 where they find nothing, else 1.
    """
    try:
        restored = restore_backup(folder, overwrite=yes_overwrite, report=click.echo)
    except NotEmpty as error:
        raise click.ClickException(f"{error}; with --yes-overwrite the backup replaces all of it") from error
    except (UnusableFolder, InUse, ProgramFailed, OSError) as error:
        raise click.ClickException(str(error)) from error
    for problem in restored.problems:
        click.echo(problem)
    if restored.problems:
        click.echo(f"problems: {len(restored.problems)}", err=True)
        sys.exit(1)
    click.echo(f"restored as of {restored.manifest.began_at}: the ledger is clean, every order's history is whole")
