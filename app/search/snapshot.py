"""A snapshot of the index, evaluated with numpy: postings of exact tokens, BM25 scores.

Whoosh stores the postings and the numeric columns; matching, filtering and sorting (`app.search.selection`) work on
arrays, which is 30 times as fast as Whoosh's own searcher with numeric fields (measured with 100,000 goods).
"""

import dataclasses
import threading
import weakref
from abc import ABC, abstractmethod
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from whoosh.columns import NumericColumn

from app.language.vocabulary import Vocabulary
from app.search.documents import TITLE_WEIGHT
from app.search.errors import reading_files
from app.search.query import Alternative, Group

# Okapi BM25's usual constants.
_K1 = 1.2
_B = 0.75

BODY = "body"

_POSTINGS_CACHE_BYTES = 64 * 1024 * 1024

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class ArrayColumn(NumericColumn):  # type: ignore[misc] # Whoosh is untyped
    """A numeric column of 64-bit integers that can be read as one array."""

    def __init__(self) -> None:
        super().__init__("q")

    class Reader(NumericColumn.Reader):  # type: ignore[misc] # Whoosh is untyped
        """As Whoosh's, with `array`."""

        def array(self) -> Ints:
            """The values of all documents. Trailing documents with the default (0) are not in the file."""
            values = np.zeros(self._doccount, np.int64)
            stored = self._dbfile.get(self._basepos, self._count * self._fixedlen)
            values[: self._count] = np.frombuffer(stored, ">i8", self._count)
            return values


COLUMNS = (
    "good_id",
    "category",
    "price",
    "published",
    "trade_mode",
    "owner",
    "freight",
    "flags",  # app.search.documents.FLAG_BITS
    "condition",  # ListingCondition, 0: the title says nothing of it
    "length",
)


class SearchSort(StrEnum):
    """The orders of search results; ties are sorted newest first."""

    RELEVANCE = "relevance"
    NEWEST = "newest"
    PRICE_ASC = "price_asc"
    PRICE_DESC = "price_desc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What hits are limited to. Prices are fen, inclusive; `condition` is a `ListingCondition`."""

    category: int | None = None
    price_min: int | None = None
    price_max: int | None = None
    trade_mode: int | None = None
    condition: int | None = None
    free_shipping: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which hits a search will show: the first `count` in the order of `sort` among those that `filters` let through.

    An engine that does not gather every hit of a frequent word gathers those that these need.
    """

    filters: Filters
    sort: SearchSort
    count: int
    as_of: int | None = None
    """The second after which nothing is shown that was published later; None: no such limit."""
    after: tuple[int, ...] | None = None
    """The place in the order behind which the hits begin (`app.search.selection.Start.after`); None: at the first."""


@dataclass(frozen=True, slots=True)
class Postings:
    """The documents of one segment that have a token, ascending, and how often."""

    documents: Ints
    counts: Floats

    @property
    def bytes(self) -> int:
        """Its size in memory."""
        return self.documents.nbytes + self.counts.nbytes


@dataclass(frozen=True, slots=True)
class Matches:
    """The documents that match, with all values that filters, facets and sorting need.

    `full`: whether a document matches all that was asked for, or only some of it.
    """

    good_id: Ints
    category: Ints
    price: Ints
    published: Ints
    trade_mode: Ints
    owner: Ints
    freight: Ints
    flags: Ints
    condition: Ints
    score: Floats
    full: Mask

    def __len__(self) -> int:
        return len(self.good_id)

    def union(self, other: "Matches") -> "Matches":
        """These matches, and those of `other` that are not among them."""
        new = ~np.isin(other.good_id, self.good_id)
        return Matches(
            *(
                np.concatenate([getattr(self, each.name), getattr(other, each.name)[new]])
                for each in dataclasses.fields(self)
            )
        )


class SegmentData:
    """The immutable data of one segment of the index; shared by all threads of the process."""

    def __init__(self, reader: Any) -> None:
        self.columns: dict[str, Ints] = {}
        for name in COLUMNS:
            column = reader.column_reader(name, translate=False)
            # Whoosh writes no file for a column in which no document of the segment has a value.
            stored = isinstance(column, ArrayColumn.Reader)
            self.columns[name] = column.array() if stored else np.zeros(reader.doc_count_all(), np.int64)
        self._title_words: dict[str, int] | None = None

    def title_words(self, reader: Any) -> dict[str, int]:
        """The words of the segment's titles with their document frequencies.

        A word that is in some title has been counted `TITLE_WEIGHT` times in that document.
        """
        if self._title_words is None:
            with reading_files():
                self._title_words = {
                    word.decode(): info.doc_frequency()
                    for word, info in reader.iter_field(BODY)
                    if info.max_weight() >= TITLE_WEIGHT
                }
        return self._title_words


class SharedCaches:
    """Caches that outlive a snapshot, because segments do: the segments' data, and recently used postings."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loading = threading.Lock()  # separate, so that slow loading does not block look-ups in the cache
        self._segments: dict[str, SegmentData] = {}
        self._postings: OrderedDict[tuple[str, str], Postings] = OrderedDict()
        self._postings_bytes = 0
        self._vocabulary: tuple[tuple[str, ...], Vocabulary] | None = None

    def segments(self, readers: Sequence[Any]) -> list[SegmentData]:
        """The data of `readers`' segments; that of all other segments is dropped."""
        with self._loading:
            known = self._segments
            self._segments = {}
            for reader in readers:
                segment_id = reader.segment().segment_id()
                self._segments[segment_id] = known.get(segment_id) or SegmentData(reader)
            return list(self._segments.values())

    def vocabulary(self, readers: Sequence[Any], segments: Sequence[SegmentData]) -> Vocabulary:
        """The words of all titles."""
        key = tuple(reader.segment().segment_id() for reader in readers)
        with self._loading:
            if self._vocabulary is None or self._vocabulary[0] != key:
                frequencies: Counter[str] = Counter()
                for reader, segment in zip(readers, segments, strict=True):
                    frequencies.update(segment.title_words(reader))
                self._vocabulary = key, Vocabulary(frequencies)
            return self._vocabulary[1]

    def postings(self, reader: Any, token: str) -> Postings:
        """The postings of `token` in one segment, deleted documents included."""
        key = reader.segment().segment_id(), token
        with self._lock:
            found = self._postings.get(key)
            if found is not None:
                self._postings.move_to_end(key)
                return found
        with reading_files():
            read = _read_postings(reader, token)
        if not len(read.documents):
            return read  # not cached: there are too many words that no document has
        with self._lock:
            if key not in self._postings:
                self._postings[key] = read
                self._postings_bytes += read.bytes
            while self._postings_bytes > _POSTINGS_CACHE_BYTES:
                _, oldest = self._postings.popitem(last=False)
                self._postings_bytes -= oldest.bytes
        return read


_NO_POSTINGS = Postings(np.empty(0, np.int64), np.empty(0))


def _read_postings(reader: Any, token: str) -> Postings:
    """The postings, read in whole blocks of 128 instead of stepping through Whoosh's matcher document by document.

    This uses Whoosh's private API. Whoosh-Reloaded is pinned and no longer developed, and a test compares the result
    with the public matcher's.
    """
    if (BODY, token) not in reader:
        return _NO_POSTINGS
    # Not reader.postings(): it skips deleted documents with a Python call each; here a mask does that later.
    matcher = reader._terms.matcher(BODY, token.encode(), reader.schema[BODY].format)
    documents, counts = [], []
    while matcher.is_active():
        matcher._read_ids()
        matcher._read_weights()
        documents.append(np.array(matcher._ids, np.int64))
        counts.append(np.array(matcher._weights, np.float64))
        matcher._next_block()
    return Postings(np.concatenate(documents), np.concatenate(counts))


@dataclass(frozen=True, slots=True)
class _Scored:
    """Documents of one segment, ascending, with a score each."""

    documents: Ints
    scores: Floats


_NOTHING = _Scored(np.empty(0, np.int64), np.empty(0))


class Snapshot(ABC):
    """One state of an engine's data, and how goods match and score in it: the same for every engine.

    An engine gives the columns of its segments (arrays, a value for each document), what each token's postings are, and
    what is known of all its goods together.
    """

    def __init__(
        self, columns: Sequence[Mapping[str, Ints]], alive: Sequence[Mask], *, documents: int, average_length: float
    ) -> None:
        """`columns` and `alive` for each segment; `documents` and `average_length` (in tokens) are of all goods."""
        self._documents = documents
        self._average_length = average_length
        self._set_segments(columns, alive)

    def _set_segments(self, columns: Sequence[Mapping[str, Ints]], alive: Sequence[Mask]) -> None:
        self._columns = columns
        self._alive = alive
        self._norms = [_K1 * (1 - _B + _B * each["length"] / max(self._average_length, 1.0)) for each in columns]

    @abstractmethod
    def vocabulary(self) -> Vocabulary:
        """The words of all titles."""

    @abstractmethod
    def frequency(self, token: str) -> int:
        """The number of documents with `token`, recently deleted ones included."""

    @abstractmethod
    def _postings(self, number: int, token: str) -> Postings:
        """The postings of `token` in one segment, deleted documents included."""

    def _prepare(self, groups: Sequence[Group], *, at_least: int) -> None:  # noqa: B027 - some have all at hand
        """Called before documents are scored in which `at_least` of `groups` match: these must be there to be read."""

    def hide(self, good_ids: Iterable[int]) -> None:
        """Exclude these goods from this snapshot's matches: according to the database they are no longer for sale."""
        hidden = np.fromiter(good_ids, np.int64)
        for alive, columns in zip(self._alive, self._columns, strict=True):
            alive &= ~np.isin(columns["good_id"], hidden)

    def matches_of_all(self, groups: Sequence[Group]) -> Matches:
        """The documents in which every group matches."""
        self._prepare(groups, at_least=len(groups))
        return self._gather([_intersect(found) for found in self._scored_by_segment(groups)], full=True)

    def matches_of_some(self, groups: Sequence[Group], *, at_least: int) -> Matches:
        """The documents in which `at_least` groups match; those with more of them score higher."""
        self._prepare(groups, at_least=at_least)
        found = self._scored_by_segment(groups)
        return self._gather([_unite(scored, at_least=at_least) for scored in found], full=False)

    def _scored_by_segment(self, groups: Sequence[Group]) -> list[list[_Scored]]:
        """For each segment, what each group matches there."""
        weights = {
            token: self._inverse_document_frequency(token)
            for group in groups
            for alternative in group.alternatives
            for token in alternative.tokens
        }
        return [[self._group(number, group, weights) for group in groups] for number in range(len(self._columns))]

    def _inverse_document_frequency(self, token: str) -> float:
        frequency = self.frequency(token)
        return float(np.log1p((self._documents - frequency + 0.5) / (frequency + 0.5)))

    def _group(self, number: int, group: Group, weights: dict[str, float]) -> _Scored:
        scored = [self._alternative(number, alternative, weights) for alternative in group.alternatives]
        return _best([each for each in scored if len(each.documents)])

    def _alternative(self, number: int, alternative: Alternative, weights: dict[str, float]) -> _Scored:
        scored = _intersect([self._token(number, token, weights[token]) for token in alternative.tokens])
        return _Scored(scored.documents, scored.scores * alternative.weight)

    def _token(self, number: int, token: str, weight: float) -> _Scored:
        postings = self._postings(number, token)
        counts, norms = postings.counts, self._norms[number][postings.documents]
        return _Scored(postings.documents, weight * counts * (_K1 + 1) / (counts + norms))

    def _gather(self, by_segment: Sequence[_Scored], *, full: bool) -> Matches:
        parts = []
        for scored, alive, columns in zip(by_segment, self._alive, self._columns, strict=True):
            living = alive[scored.documents]
            documents = scored.documents[living]
            values = (columns[name][documents] for name in COLUMNS[:-1])
            parts.append((*values, scored.scores[living], np.full(len(documents), full)))
        if not parts:
            none = np.empty(0, np.int64)
            return Matches(**dict.fromkeys(COLUMNS[:-1], none), score=np.empty(0), full=np.empty(0, np.bool_))
        return Matches(*(np.concatenate(column) for column in zip(*parts, strict=True)))


class WhooshSnapshot(Snapshot):
    """The Whoosh index as it was when opened. Belongs to one thread, because Whoosh's readers are not thread-safe."""

    def __init__(self, reader: Any, *, caches: SharedCaches) -> None:
        # A finaliser, so that the files are also closed when a thread ends without calling close().
        self._close = weakref.finalize(self, reader.close)
        # An index without a document has a reader without segments.
        self._leaves = [leaf for leaf, _ in reader.leaf_readers()] if reader.doc_count_all() else []
        self._caches = caches
        self._segments = caches.segments(self._leaves)
        alive = [self._mask_of_alive(leaf) for leaf in self._leaves]
        documents = sum(len(mask) for mask in alive)
        columns = [segment.columns for segment in self._segments]
        length = sum(int(each["length"].sum()) for each in columns)
        super().__init__(columns, alive, documents=documents, average_length=length / max(documents, 1))

    def close(self) -> None:
        """Close the files. (Whoosh's `searcher.refresh()` is not used: in this version it keeps deleted documents.)"""
        self._close()

    @staticmethod
    def _mask_of_alive(leaf: Any) -> Mask:
        alive = np.ones(leaf.doc_count_all(), np.bool_)
        alive[list(leaf.segment().deleted_docs())] = False
        return alive

    def prices(self) -> dict[int, int]:
        """What it holds: the price (fen) of each good, by its id."""
        found: dict[int, int] = {}
        for alive, columns in zip(self._alive, self._columns, strict=True):
            found.update(zip(columns["good_id"][alive].tolist(), columns["price"][alive].tolist(), strict=True))
        return found

    def vocabulary(self) -> Vocabulary:
        """The words of all titles. Read once per segment, so the first call after a large merge is slow."""
        return self._caches.vocabulary(self._leaves, self._segments)

    def frequency(self, token: str) -> int:
        """The number of documents with `token`, recently deleted ones included."""
        return sum(len(self._caches.postings(leaf, token).documents) for leaf in self._leaves)

    def _postings(self, number: int, token: str) -> Postings:
        return self._caches.postings(self._leaves[number], token)


def _best(scored: Sequence[_Scored]) -> _Scored:
    """The union, each document with its highest score (disjunction max)."""
    if not scored:
        return _NOTHING
    if len(scored) == 1:
        return scored[0]
    documents = np.concatenate([each.documents for each in scored])
    order = np.argsort(documents, kind="stable")
    documents = documents[order]
    scores = np.concatenate([each.scores for each in scored])[order]
    first = np.flatnonzero(np.r_[True, documents[1:] != documents[:-1]])
    return _Scored(documents[first], np.maximum.reduceat(scores, first))


def _intersect(scored: Sequence[_Scored]) -> _Scored:
    """The documents in all of `scored`, scores added."""
    if not scored:
        return _NOTHING
    smallest, *rest = sorted(scored, key=lambda each: len(each.documents))
    documents, scores = smallest.documents, smallest.scores
    for other in rest:
        if not len(documents):
            return _NOTHING
        places = np.searchsorted(other.documents, documents)
        places[places == len(other.documents)] = 0
        both = other.documents[places] == documents
        documents, scores = documents[both], scores[both] + other.scores[places[both]]
    return _Scored(documents, scores)


def _unite(scored: Sequence[_Scored], *, at_least: int) -> _Scored:
    """The documents in at least `at_least` of `scored`; scores are added and scaled by the share of matching groups."""
    documents, which = np.unique(np.concatenate([each.documents for each in scored]), return_inverse=True)
    groups = np.bincount(which, minlength=len(documents))
    scores = np.bincount(which, np.concatenate([each.scores for each in scored]), len(documents))
    enough = groups >= at_least
    return _Scored(documents[enough], scores[enough] * groups[enough] / len(scored))
