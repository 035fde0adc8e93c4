"""What a search reads in PostgreSQL: the goods that may match its words, as arrays with their postings.

Few goods that match are gathered whole, and everything is exact. Where there are more, the first of the wanted order
are gathered, and some more of any, by which facets and totals are counted; `complete` then says that it is not all.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Final

import numpy as np

from app.language.vocabulary import Vocabulary
from app.search.postgres.documents import COLUMN_TYPE, COUNT_TYPE, FORMAT, TITLE_MARK, token_hash
from app.search.postgres.statistics import Read, Statistics
from app.search.snapshot import COLUMNS, Ints, Postings, SearchSort, Selection, Snapshot
from app.search.understanding.types import Alternative, Group
from statemachine.good import TradeMode

GATHERED: Final = 3_000
"""How many goods that match are gathered at most; with no more everything is exact."""

FIRST: Final = 1_000
"""How many are gathered besides, the first in the wanted order, where more match."""

# More ways than these of leaving out words are not asked for one by one.
_MOST_WAYS: Final = 20

_PACKED: Final = "SELECT count(*), string_agg(columns, ''::bytea), string_agg(counts, ''::bytea) FROM"
_MATCHING: Final = (
    "SELECT columns, counts FROM search_documents WHERE tokens @@ %(query)s::tsquery AND format = %(format)s"
)
_SOME: Final = f"{_PACKED} ({_MATCHING} LIMIT %(limit)s) AS hit"
_FILTERED: Final = (
    f"{_MATCHING} AND (%(category)s::int IS NULL OR category = %(category)s::int)"
    " AND (%(price_min)s::bigint IS NULL OR price >= %(price_min)s::bigint)"
    " AND (%(price_max)s::bigint IS NULL OR price <= %(price_max)s::bigint)"
    f" AND (%(trade_mode)s::int IS NULL OR trade_mode IN (%(trade_mode)s::int, {TradeMode.ANY.value}))"
)
_NEWEST: Final = "published DESC, good_id DESC"
_ORDERS: Final = {
    SearchSort.RELEVANCE: _NEWEST,  # of goods with these words, the newest are the first to be rated
    SearchSort.NEWEST: _NEWEST,
    SearchSort.PRICE_ASC: "price, published DESC, good_id DESC",
    SearchSort.PRICE_DESC: "price DESC, published DESC, good_id DESC",
}
_FIRST: Final = {
    sort: f"{_PACKED} ({_FILTERED} ORDER BY {order} LIMIT %(limit)s) AS hit" for sort, order in _ORDERS.items()
}
_FREQUENCY: Final = "SELECT count(*) FROM (SELECT FROM search_documents WHERE tokens @@ %s::tsquery LIMIT 1000) AS hit"


class PostgresSnapshot(Snapshot):
    """The goods that may match, gathered anew for each question; belongs to one search."""

    def __init__(self, read: Read, statistics: Statistics, selection: Selection, *, hidden: Iterable[int] = ()) -> None:
        super().__init__([], [], documents=statistics.goods, average_length=statistics.average_length)
        self._read = read
        self._statistics = statistics
        self._selection = selection
        self._hidden = np.fromiter(hidden, np.int64)
        self._looked_up: dict[str, int] = {}
        self._tokens: Ints = np.empty(0, np.uint32)  # of all gathered goods, and which good each is of
        self._token_counts: Ints = np.empty(0, np.uint16)
        self._documents_of: Ints = np.empty(0, np.int64)
        self.complete = True

    def vocabulary(self) -> Vocabulary:
        """The words of all titles, as last counted."""
        return self._statistics.vocabulary

    def frequency(self, token: str) -> int:
        """The number of goods with `token`, as last counted; up to 1,000 for a word that was not there then."""
        known = self._statistics.frequencies.get(token)
        if known is None:
            known = self._looked_up.get(token)
        if known is None:
            [(known,)] = self._read(_FREQUENCY, (_quoted(token),))
            self._looked_up[token] = known
        return known

    def _postings(self, number: int, token: str) -> Postings:  # noqa: ARG002 - there is one segment
        found = np.flatnonzero(self._tokens == np.uint32(token_hash(token)))
        return Postings(self._documents_of[found], self._token_counts[found].astype(np.float64))

    def _prepare(self, groups: Sequence[Group], *, at_least: int) -> bool:
        """Gather the goods that have something of at least so many of `groups`."""
        wanted = [group for group in groups if self._occurs(group)]
        gathered = self._gathered(wanted, at_least) if at_least and len(wanted) >= at_least else []
        columns, counts = b"".join(each[1] for each in gathered), b"".join(each[2] for each in gathered)
        values = np.frombuffer(columns, COLUMN_TYPE).reshape(-1, len(COLUMNS) + 1)
        entries = np.frombuffer(counts, COUNT_TYPE)
        good_ids = values[:, COLUMNS.index("good_id")]
        alive = np.zeros(len(values), np.bool_)
        alive[np.unique(good_ids, return_index=True)[1]] = True  # those gathered twice are there once
        if len(self._hidden):
            alive &= ~np.isin(good_ids, self._hidden)
        self._tokens, self._token_counts = np.ascontiguousarray(entries["token"]), entries["count"]
        self._documents_of = np.repeat(np.arange(len(values)), values[:, -1])
        self._set_segments([{name: values[:, place] for place, name in enumerate(COLUMNS)}], [alive])
        return True

    def _occurs(self, group: Group) -> bool:
        return any(all(map(self.frequency, each.tokens)) for each in group.alternatives)

    def _gathered(self, groups: Sequence[Group], at_least: int) -> list[tuple[int, bytes, bytes]]:
        query = _tsquery(self._ways(groups, at_least), mark="")
        some = self._hits(_SOME, query, GATHERED)
        if some[0] < GATHERED:
            return [some] if some[0] else []
        self.complete = False
        wanted = max(FIRST, self._selection.count)
        statement = _FIRST[self._selection.sort]
        if self._selection.sort is not SearchSort.RELEVANCE:
            return [some, self._hits(statement, query, wanted)]
        # Those with the words in their titles stand above the others, so they are the first.
        titled = self._hits(statement, _tsquery(self._ways(groups, at_least), mark=TITLE_MARK), wanted)
        if titled[0] == wanted:
            return [titled, some]
        return [*([titled] if titled[0] else []), self._hits(statement, query, wanted), some]

    def _ways(self, groups: Sequence[Group], at_least: int) -> list[list[Group]]:
        """Lists of groups, of one of which a good must have every group."""
        ways = list(combinations(groups, at_least)) if len(groups) <= _MOST_WAYS else []
        if 0 < len(ways) <= _MOST_WAYS:
            return [list(way) for way in ways]
        # Who has so many of all groups has one at least of any that are more than may be missing: of the rarest ones.
        rarest = sorted(groups, key=self._group_frequency)
        return [[group] for group in rarest[: len(groups) - at_least + 1]]

    def _group_frequency(self, group: Group) -> int:
        return sum(min(map(self.frequency, each.tokens)) for each in group.alternatives)

    def _hits(self, statement: str, query: str, limit: int) -> tuple[int, bytes, bytes]:
        filters = self._selection.filters
        [(count, columns, counts)] = self._read(
            statement,
            {
                "query": query,
                "format": FORMAT,
                "limit": limit,
                "category": filters.category,
                "price_min": filters.price_min,
                "price_max": filters.price_max,
                "trade_mode": filters.trade_mode,
            },
        )
        return count, columns or b"", counts or b""


def _tsquery(ways: Iterable[Iterable[Group]], *, mark: str) -> str:
    """The `tsquery` for goods that have every group of one way; each token with `mark` in front."""
    return " | ".join(f"({' & '.join(_any_of(group.alternatives, mark) for group in way)})" for way in ways)


def _any_of(alternatives: Sequence[Alternative], mark: str) -> str:
    found = (" & ".join(_quoted(mark + token) for token in each.tokens) for each in alternatives)
    return f"({' | '.join(f'({each})' for each in found)})"


def _quoted(token: str) -> str:
    """A token as `tsquery` reads it: between quotes, where only the quote and the backslash mean anything."""
    doubled = token.replace("\\", "\\\\").replace("'", "''")
    return f"'{doubled}'"
