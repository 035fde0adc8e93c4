"""What commands print for people."""

from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_PIPE_WIDTH: Final = 260


def print_table(table: Table) -> None:
    """Print `table` to standard output. Into a pipe, lines are not wrapped: whoever reads them counts columns."""
    console = Console()
    (console if console.is_terminal else Console(width=_PIPE_WIDTH)).print(table)


def table_cell(value: object) -> str:
    """`value`, perhaps a stranger's, as text that neither a table nor a terminal takes for a command; None is empty."""
    return escape(printable("" if value is None else str(value)))


def printable(text: str) -> str:
    """`text` with U+FFFD for each character that a terminal may take for a command."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
