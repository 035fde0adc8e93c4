"""What commands print for people."""

from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

_PIPE_WIDTH: Final = 260


def print_table(table: Table) -> None:
    """Print `table` to standard output. Into a pipe, lines are not wrapped: programs read them one row per line."""
    console = Console()
    (console if console.is_terminal else Console(width=_PIPE_WIDTH)).print(table)


def progress_bar(*, quiet_in_pipes: bool = False) -> Progress:
    """A progress bar on standard error, for a `with` block: `add_task(title, total=…)`, `update`, `advance`.

    Into a pipe only the final state is printed, or nothing with `quiet_in_pipes`: cron mails whatever is printed.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    return Progress(*columns, console=console, disable=quiet_in_pipes and not console.is_terminal)


def table_cell(value: object) -> str:
    """`value` (possibly user input) as text without rich markup or terminal control codes; None becomes empty."""
    return escape(printable("" if value is None else str(value)))


def printable(text: str) -> str:
    """`text` with U+FFFD for each unprintable character: a terminal might obey it."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
