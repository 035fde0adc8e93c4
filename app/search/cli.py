"""`flask search …`: rebuilds the search index, and shows its status."""

import click
from flask.cli import AppGroup
from rich.console import Console
from rich.table import Table

from app.console import progress_bar
from app.search import service
from app.search.errors import IndexBusy, IndexDamaged, IndexForeign

_FOREIGN = "give each its own INSTANCE_PATH or SEARCH_INDEX_PATH, or run: flask search rebuild --take-over"

search_commands = AppGroup("search", help="The search index.")


@search_commands.command()
@click.option("--take-over", is_flag=True, help="Also where the folder holds the index of another market.")
def rebuild(take_over: bool) -> None:  # noqa: FBT001 - click passes options by name
    """Build the index anew from the database, beside running workers, and switch to it."""
    with progress_bar() as bar:
        task = bar.add_task("indexing goods", total=None)
        try:
            goods = service.rebuild(
                progress=lambda finished, total: bar.update(task, completed=finished, total=total), take_over=take_over
            )
        except IndexForeign as error:
            raise click.ClickException(f"{error}; {_FOREIGN}") from error
        except IndexBusy as error:
            raise click.ClickException(
                "another rebuild is running, or a writer does not let go of the index"
            ) from error
    click.echo(f"{goods} goods in the index")


@search_commands.command()
def status() -> None:
    """Show the index in numbers, and what waits to get into it."""
    try:
        index, waiting = service.status()
    except IndexForeign as error:
        raise click.ClickException(f"{error}; {_FOREIGN}") from error
    except IndexDamaged as error:
        raise click.ClickException(f"the index is damaged ({error}); run: flask search rebuild") from error
    table = Table(show_header=False)
    if index is None:
        table.add_row("index", "none yet; the search worker or `flask search rebuild` makes it")
    else:
        table.add_row("folder", index.folder)
        table.add_row("generation", str(index.generation))
        table.add_row("goods", str(index.documents))
        table.add_row("deleted, not yet merged away", str(index.deleted))
        table.add_row("segments", str(index.segments))
        table.add_row("size", f"{index.bytes / 1024 / 1024:.1f} MB")
    table.add_row("changes waiting", str(waiting))
    Console().print(table)
