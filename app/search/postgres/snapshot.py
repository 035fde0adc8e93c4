"""What a search reads in PostgreSQL: the goods that may match its words, as arrays with their postings.

Few goods that match are gathered whole, and everything is exact. Where there are more, the first of the wanted order
are gathered, and some more of any, by which totals and facets are counted; `complete` then says that it is not all.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

import numpy as np

from app.language.vocabulary import Vocabulary
from app.search.postgres.documents import COLUMN_TYPE, COUNT_TYPE, FORMAT, TITLE_MARK, token_hash
from app.search.postgres.statistics import Read, Statistics
from app.search.snapshot import (
    COLUMNS,
    ENOUGH_FULL,
    MATCHES_FROM,
    Ints,
    Postings,
    SearchSort,
    Selection,
    Snapshot,
    covers_enough,
    weight_of,
)
from app.search.understanding import Alternative, ConstraintName, Group, Understanding
from statemachine.good import TradeMode

GATHERED: Final = 2_000
"""How many goods that match are gathered at most; with no more everything is exact."""

FIRST: Final = 600
"""How many are gathered besides, the first in the wanted order, where more match."""

_WALKS_FROM: Final = 20_000
_WALKED_SHARE: Final = 0.05
"""Where so many goods match, and such a share of all, the order is read from its beginning instead of sorting them."""

# A query of more groups is gathered by those that matter most: each one more doubles the ways to leave some out.
_MOST_GROUPS: Final = 8

_PACKED: Final = "SELECT count(*), string_agg(columns, ''::bytea), string_agg(counts, ''::bytea) FROM"
_ALL: Final = "SELECT columns, counts, published, good_id, price FROM search_documents WHERE format = %(format)s"
_MATCHING: Final = f"{_ALL} AND tokens @@ %(query)s::tsquery"
_SOME: Final = f"{_PACKED} ({_MATCHING} LIMIT %(limit)s) AS hit"
_FIRST_HITS: Final = (
    f"{_PACKED} (SELECT columns, counts FROM ({{hits}}) AS hit ORDER BY {{order}} LIMIT %(limit)s) AS first"  # noqa: S608 - our own text
)
_NEWEST: Final = "published DESC, good_id DESC"
_ORDERS: Final = {
    SearchSort.RELEVANCE: _NEWEST,  # of goods with these words, the newest are the first to be rated
    SearchSort.NEWEST: _NEWEST,
    SearchSort.PRICE_ASC: f"price, {_NEWEST}",
    SearchSort.PRICE_DESC: f"price DESC, {_NEWEST}",
}
_CONDITIONS: Final = {
    "as_of": "published <= %(as_of)s",
    "category": "category = %(category)s",
    "price_min": "price >= %(price_min)s",
    "price_max": "price <= %(price_max)s",
    "trade_mode": f"trade_mode IN (%(trade_mode)s, {TradeMode.ANY.value})",
    "condition": "condition = %(condition)s",
    "free_shipping": "freight = 0",
}

# Behind the place at which the page begins.
_OLDER: Final = "(published, good_id) < (%(place_published)s, %(place_id)s)"
_BEHIND: Final = {
    SearchSort.RELEVANCE: _OLDER,
    SearchSort.NEWEST: _OLDER,
    SearchSort.PRICE_ASC: f"price >= %(place_price)s AND (price > %(place_price)s OR {_OLDER})",
    SearchSort.PRICE_DESC: f"price <= %(place_price)s AND (price < %(place_price)s OR {_OLDER})",
}
_FREQUENCY: Final = "SELECT count(*) FROM (SELECT FROM search_documents WHERE tokens @@ %s::tsquery LIMIT 1000) AS hit"

_Way = Sequence[Group]
"""Groups of which a good must have every one."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of the table, packed as they are there."""

    count: int
    columns: bytes
    counts: bytes


class PostgresSnapshot(Snapshot):
    """The goods that may match, gathered for what one search asks for."""

    def __init__(self, read: Read, statistics: Statistics, selection: Selection, *, hidden: Iterable[int] = ()) -> None:
        super().__init__([], [], documents=statistics.goods, average_length=statistics.average_length)
        self._read = read
        self._statistics = statistics
        self._selection = selection
        self._hidden = np.fromiter(hidden, np.int64)
        self._looked_up: dict[str, int] = {}
        self._asked = ""
        self._tokens = np.empty(0, np.uint32)  # of all gathered goods, and which good each is of
        self._token_counts = np.empty(0, np.uint16)
        self._documents_of: Ints = np.empty(0, np.int64)

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

    # Gathering

    def _prepare(self, understanding: Understanding) -> None:
        """Gather the goods that may match: first those with every word, then, if these are few, with less."""
        groups = sorted(understanding.groups, key=weight_of, reverse=True)[:_MOST_GROUPS]
        self.complete = len(groups) == len(understanding.groups)
        if not groups:
            self._load([self._any(understanding)] if understanding.constraints else [])
            return
        whole: list[_Way] = [[_fully(group) for group in groups]]
        if understanding.literal_tokens:
            whole.append([_in_title(understanding.literal_tokens)])
        gathered = self._gathered(whole, understanding, partial=False)
        self._load(gathered)
        if not self.complete or self._count_full(understanding) >= ENOUGH_FULL:
            return
        for ways in _relaxed(groups):
            gathered += self._gathered(ways, understanding, partial=True)
            self._load(gathered)
            if len(self._alive[0]) >= self._wanted:
                return

    @property
    def _wanted(self) -> int:
        return max(FIRST, self._selection.count)

    def _count_full(self, understanding: Understanding) -> int:
        """How many of the gathered goods match fully."""
        if len(self._alive[0]) < ENOUGH_FULL:
            return 0
        _, _, full = self._matches_in(0, understanding)
        return int(np.count_nonzero(full))

    def _load(self, gathered: Sequence[_Rows]) -> None:
        """Let these goods be the only segment, each of them once."""
        values = np.frombuffer(b"".join(rows.columns for rows in gathered), COLUMN_TYPE).reshape(-1, len(COLUMNS) + 1)
        entries = np.frombuffer(b"".join(rows.counts for rows in gathered), COUNT_TYPE)
        good_ids = values[:, COLUMNS.index("good_id")]
        alive = np.zeros(len(values), np.bool_)
        alive[np.unique(good_ids, return_index=True)[1]] = True
        if len(self._hidden):
            alive &= ~np.isin(good_ids, self._hidden)
        self._tokens = np.ascontiguousarray(entries["token"])
        self._token_counts = entries["count"]
        self._documents_of = np.repeat(np.arange(len(values)), values[:, -1])
        self._set_segments([{name: values[:, place] for place, name in enumerate(COLUMNS)}], [alive])

    def _any(self, understanding: Understanding) -> _Rows:
        """The first goods of the order, whatever their words are: for a query of limits alone."""
        conditions, parameters = self._conditions(understanding, partial=False)
        statement = _FIRST_HITS.format(hits=_ALL + conditions, order=_ORDERS[self._selection.sort])
        found = self._rows(statement, parameters | {"limit": GATHERED})
        self.complete = found.count < GATHERED
        return found

    def _gathered(self, ways: Sequence[_Way], understanding: Understanding, *, partial: bool) -> list[_Rows]:
        """The goods that have every group of one of `ways`, or some of them and the first ones."""
        query = _tsquery(ways, mark="")
        if not query or query == self._asked:
            return []
        self._asked = query
        some = self._rows(_SOME, {"query": query, "limit": GATHERED})
        if some.count < GATHERED:
            return [some]
        self.complete = False
        conditions, parameters = self._conditions(understanding, partial=partial)
        parameters["limit"] = self._wanted
        gathered = [some]
        if self._selection.sort is SearchSort.RELEVANCE:
            # Those with the words in their titles stand above the others, so they are the first.
            statement = self._first_hits(conditions, _lower_bound(ways, self._statistics.titles))
            gathered.append(self._rows(statement, parameters | {"query": _tsquery(ways, mark=TITLE_MARK)}))
        if gathered[-1].count < self._wanted or len(gathered) == 1:
            statement = self._first_hits(conditions, _lower_bound(ways, self._statistics.frequencies))
            gathered.append(self._rows(statement, parameters | {"query": query}))
        return gathered

    def _first_hits(self, conditions: str, hits: int) -> str:
        """The statement for the first ones of `hits` goods or more, of which `conditions` may leave few."""
        # PostgreSQL does not know that filters and words go together, and would read through most of an order in vain.
        # OFFSET keeps it from that. Without filters, and with a frequent word, that order is soon read far enough.
        walks = not conditions and hits >= max(_WALKS_FROM, _WALKED_SHARE * self._documents)
        matching = f"{_MATCHING}{conditions}{'' if walks else ' OFFSET 0'}"
        return _FIRST_HITS.format(hits=matching, order=_ORDERS[self._selection.sort])

    def _group_frequency(self, group: Group) -> int:
        known = self._statistics.frequencies
        return sum(min(known.get(token, 0) for token in each.tokens) for each in group.alternatives)

    def _rows(self, statement: str, parameters: Mapping[str, int | str]) -> _Rows:
        [(count, columns, counts)] = self._read(statement, {"format": FORMAT, **parameters})
        return _Rows(count, columns or b"", counts or b"")

    def _conditions(self, understanding: Understanding, *, partial: bool) -> tuple[str, dict[str, int | str]]:
        """What limits the first hits, as SQL and its parameters: the filters that are set, and the page's place."""
        selection, filters = self._selection, self._selection.filters
        limits: dict[str, int | None] = {
            "as_of": selection.as_of,
            "category": filters.category,
            "price_min": _strictest(max, filters.price_min, understanding.limit(ConstraintName.PRICE_MIN)),
            "price_max": _strictest(min, filters.price_max, understanding.limit(ConstraintName.PRICE_MAX)),
            "trade_mode": filters.trade_mode,
            "condition": filters.condition,
            "free_shipping": int(filters.free_shipping) or None,
        }
        parameters: dict[str, int | str] = {name: value for name, value in limits.items() if value is not None}
        conditions = "".join(f" AND {_CONDITIONS[name]}" for name in parameters)
        after = selection.after
        # Full hits stand before partial ones: a place among those says nothing of where in these the page begins.
        if after is not None and (selection.sort is not SearchSort.RELEVANCE or bool(after[0]) == partial):
            conditions += f" AND {_BEHIND[selection.sort]}"
            parameters |= {"place_published": -after[-2], "place_id": -after[-1], "place_price": abs(after[0])}
        return conditions, parameters


def _strictest(choose: Callable[[int, int], int], one: int | None, other: int | str | None) -> int | None:
    if not isinstance(other, int):
        return one
    return other if one is None else choose(one, other)


def _fully(group: Group) -> Group:
    """`group` with the alternatives alone that make a full match."""
    return replace(group, alternatives=tuple(each for each in group.alternatives if each.weight > MATCHES_FROM))


def _in_title(tokens: Iterable[str]) -> Group:
    """A group for titles that have all `tokens`."""
    return Group((Alternative(tuple(TITLE_MARK + token for token in tokens)),), 0, 0)


def _lower_bound(ways: Iterable[_Way], counts: Mapping[str, int]) -> int:
    """How many goods have every group of one way, at least: those with a word that is a way by itself."""
    alone = (group.alternatives for group, *others in ways if not others)
    return max((counts.get(each.tokens[0], 0) for found in alone for each in found if len(each.tokens) == 1), default=0)


def _relaxed(groups: Sequence[Group]) -> Iterator[list[_Way]]:
    """Ever less of `groups`: without any one of them; then only as much as makes a partial match."""
    if len(groups) > 2:
        yield list(combinations(groups, len(groups) - 1))
    yield _least(groups)


def _least(groups: Sequence[Group]) -> list[_Way]:
    """The smallest sets of groups that cover enough of the query."""
    ways: list[_Way] = []
    for count in range(1, len(groups) + 1):
        for way in combinations(groups, count):
            if covers_enough(way, groups) and not any(set(less) <= set(way) for less in ways):
                ways.append(way)
    return ways


def _tsquery(ways: Iterable[_Way], *, mark: str) -> str:
    """The `tsquery` for goods that have every group of one way; each token with `mark` in front. Empty: none."""
    wanted = (
        " & ".join(_any_of(group.alternatives, mark) for group in way)
        for way in ways
        if all(group.alternatives for group in way)
    )
    return " | ".join(f"({each})" for each in wanted)


def _any_of(alternatives: Sequence[Alternative], mark: str) -> str:
    found = (" & ".join(_quoted(token, mark) for token in each.tokens) for each in alternatives)
    return f"({' | '.join(f'({each})' for each in found)})"


def _quoted(token: str, mark: str = "") -> str:
    """A token as `tsquery` reads it: between quotes, where only the quote and the backslash mean anything."""
    marked = token if token.startswith(mark) else mark + token
    doubled = marked.replace("\\", "\\\\").replace("'", "''")
    return f"'{doubled}'"
