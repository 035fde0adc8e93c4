"""What commands print for people."""

from datetime import datetime
from typing import Final

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from app.clock import SHANGHAI

_PIPE_WIDTH: Final = 260


class Moment(click.ParamType[datetime]):
    """A time in ISO 8601 with its offset from UTC; without one its meaning would depend on the machine.

    With `days` a mere day is its first moment in Shanghai.
    """

    name = "ISO 8601"

    def __init__(self, *, days: bool = False) -> None:
        self.days = days

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The time that `value` says."""
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if moment is not None and moment.tzinfo is None and self.days and len(value) == len("2026-11-22"):
            moment = moment.replace(tzinfo=SHANGHAI)
        if moment is None or moment.tzinfo is None:
            self.fail(f"{value!r} is not like 2026-11-22T20:15:00+08:00{' or 2026-11-22' * self.days}", param, ctx)
        return moment


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
