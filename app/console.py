"""What commands print for people, and what becomes of them where nobody reads it, or the terminal is gone."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from types import FrameType
from typing import IO, Any, Final

import click
from flask.cli import AppGroup
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


class _Console(Console):
    """A console to which it is no failure that nobody reads it any more."""

    def on_broken_pipe(self) -> None:
        """Called by rich; its own method ends the process, in the middle of whatever it does."""
        discard(self.file)


def discard(stream: IO[Any]) -> None:
    """Send to nowhere what is still in the stream's buffer and all that follows: Python would fail at its end too."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()


@contextmanager
def printing() -> Iterator[None]:
    """For the output at the end of a command: that nobody reads it (`… | head`) does not change the exit status.

    Raises `ClickException` if it cannot be written for another reason, such as a full disk.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        discard(sys.stdout)
    except OSError as error:
        discard(sys.stdout)
        raise click.ClickException(f"standard output: {error.strerror}") from error


class StoppedBySignal(BaseException):
    """A signal asks the command to stop. No `Exception`, so that nothing takes it for one of its own."""


STOPPED: Final = 3
"""The exit status of a command that a signal has stopped."""


class SteadyGroup(AppGroup):
    """Commands that end with a line and an exit status, not with a traceback, whatever the terminal is.

    What a terminal cannot show is escaped. SIGHUP (the terminal is closed), SIGTERM and SIGINT stop a command where it
    stands: its transaction is rolled back, what it has committed stays, and the exit status is `STOPPED`.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        try:
            with _stopped_by_signals():
                return super().invoke(ctx)
        except StoppedBySignal as stopped:
            with suppress(OSError):
                click.echo(f"stopped by {stopped}: what was done stays; repeat the command for the rest", err=True)
            ctx.exit(STOPPED)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """During the block, signals raise `StoppedBySignal`. A SIGHUP that is ignored, as under `nohup`, stays ignored."""

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)  # one is enough
        raise StoppedBySignal(signal.Signals(number).name)

    # Only the main thread may say what signals do.
    is_main = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT) if is_main else ()
    before = {each: signal.getsignal(each) for each in numbers if signal.getsignal(each) is not signal.SIG_IGN}
    for each in before:
        signal.signal(each, stop)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def print_table(table: Table) -> None:
    """Print `table` to standard output. Into a pipe, lines are not wrapped: programs read them one row per line."""
    console = _Console()
    (console if console.is_terminal else _Console(width=_PIPE_WIDTH)).print(table)


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
    console = _Console(stderr=True)
    return Progress(*columns, console=console, disable=quiet_in_pipes and not console.is_terminal)


def table_cell(value: object) -> str:
    """`value` (possibly user input) as text without rich markup or terminal control codes; None becomes empty."""
    return escape(printable("" if value is None else str(value)))


def printable(text: str) -> str:
    """`text` with U+FFFD for each unprintable character: a terminal might obey it."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
