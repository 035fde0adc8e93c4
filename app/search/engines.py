"""What an engine is: something that finds goods by words, from data of its own.

What a query means, which goods match it, how they score, in which order they stand and what the facets count is the
same for all engines: `app.search.engine` and `app.search.snapshot` do that with the postings that an engine gives.
"""

from collections.abc import Sequence
from typing import Protocol

from app.language.analysis import Analyser
from app.search.query import QueryParser
from app.search.snapshot import Selection, Snapshot


class Engine(Protocol):
    """One engine's data, for any number of threads."""

    @property
    def analyser(self) -> Analyser:
        """What its goods were analysed with, so that queries are, too."""

    @property
    def parser(self) -> QueryParser:
        """The parser over that analyser."""

    def snapshot(self, selection: Selection) -> Snapshot:
        """Its newest state, or one hardly older, for one search that will show `selection`.

        Raises `IndexMissing`, `IndexForeign` and `IndexDamaged` where there is nothing to read.
        """

    def hide(self, good_ids: Sequence[int]) -> None:
        """Leave these goods out until its data has caught up: the database says that they are no longer for sale."""
