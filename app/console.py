"""What commands print for people."""

from typing import Final

from rich.console import Console
from rich.table import Table

_PIPE_WIDTH: Final = 260


def print_table(table: Table) -> None:
    """Print `table` to standard output. Into a pipe, lines are not wrapped: whoever reads them counts columns."""
    console = Console()
    (console if console.is_terminal else Console(width=_PIPE_WIDTH)).print(table)
