"""A snapshot of the index, evaluated with numpy: postings of exact tokens, BM25 scores.

Whoosh stores the postings and the numeric columns; matching, filtering and sorting (`app.search.selection`) work on
arrays, which is 30 times as fast as Whoosh's own searcher with numeric fields (measured with 100,000 goods).
"""

import dataclasses
import threading
import weakref
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from whoosh.columns import NumericColumn

from app.categories import Category
from app.language.analysis import is_han, is_word
from app.language.spelling import SpellingIndex
from app.language.vocabulary import Vocabulary, new_spelling_index
from app.listings.models import ListingFlag
from app.search.documents import FLAG_BITS, TITLE_WEIGHT, bits_of
from app.search.errors import reading_files
from app.search.understanding.types import (
    FULL_WEIGHT,
    Alternative,
    ConstraintName,
    Group,
    Role,
    Understanding,
)

# Okapi BM25's usual constants.
_K1 = 1.2
_B = 0.75

_ROLE_WEIGHTS = {Role.THING: 4.0, Role.MODEL: 3.0, Role.BRAND: 3.0, Role.ATTRIBUTE: 1.0}
"""How much of a query a word is, by what it says of the good."""
_PLACE_WEIGHT = 2.0

_IN_DESCRIPTION = 0.6
"""What a word is worth that only the description has."""
MATCHES_FROM = 0.31
"""From so much on a word is matched; below it the good has only something near (`SERIES_WEIGHT`)."""
ENOUGH_FULL = 100
"""With so many full matches there are no partial ones among the hits."""
_LEAST_COVERAGE = 0.2
"""How much of the query a partial match has at least."""
_OF_ATTRIBUTES = 0.5
"""… and where it has nothing but attributes."""

_LIKELY_THING = 0.3
_DOMINANT = 0.7
"""What a good is worth that does not name the thing, and is of the category that so many of the things are of."""

_LIKENESS = 0.15
_HALF_LIKENESS = 8.0
"""What BM25 adds at most, and the BM25 score that adds half of it."""
_OTHER_KIND = 0.5
_BROKEN = 0.25
_NOT_KNOWN_AS_ACCESSORY = 0.35
_MANY = 0.4
_NOT_AS_LIMITED = 0.1
"""What is taken off: accessories, rentals and the like that were not asked for; broken things; unmet constraints."""
_LITERAL = 0.1
_LITERAL_OF_CHANGED = 0.5
"""What is added where the title holds the query letter for letter; more where the query was read otherwise."""

BODY = "body"

_LEAST_KEPT = 256
_MOST_KEPT = 1_000_000
"""Scores of tokens with so many documents are kept by a snapshot, so many numbers in all (5 MB)."""

_POSTINGS_CACHE_BYTES = 64 * 1024 * 1024

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating[Any]]
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

    def of(self, mask: Mask) -> "Matches":
        """Those of `mask`."""
        return Matches(*(getattr(self, each.name)[mask] for each in dataclasses.fields(self)))


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
                    if info.max_weight() >= TITLE_WEIGHT and is_word(word.decode())
                }
        return self._title_words


class SharedCaches:
    """Caches that outlive a snapshot, because segments do: the segments' data, and recently used postings."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loading = threading.Lock()  # separate, so that slow loading does not block look-ups in the cache
        self._counting = threading.Lock()
        self._segments: dict[str, SegmentData] = {}
        self._postings: OrderedDict[tuple[str, str], Postings] = OrderedDict()
        self._postings_bytes = 0
        self._vocabulary: tuple[tuple[str, ...], Vocabulary] | None = None
        self._spelling: SpellingIndex | None = None

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
        """The words of all titles.

        One thread reads those of new segments; meanwhile the others go on with the words as they were before.
        """
        key = tuple(reader.segment().segment_id() for reader in readers)
        known = self._vocabulary
        if known is not None and known[0] == key:
            return known[1]
        if not self._counting.acquire(blocking=known is None) and known is not None:
            return known[1]
        try:
            if self._vocabulary is None or self._vocabulary[0] != key:
                if self._spelling is None:
                    self._spelling = new_spelling_index()
                words = [segment.title_words(reader) for reader, segment in zip(readers, segments, strict=True)]
                for each in words:
                    self._spelling.add(each)
                self._vocabulary = key, Vocabulary(*words, spelling=self._spelling)
            return self._vocabulary[1]
        finally:
            self._counting.release()

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
    """Documents of one segment, ascending, with a score each, and whether the title has it."""

    documents: Ints
    scores: Floats
    in_title: Mask


_NOTHING = _Scored(np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.bool_))


@dataclass(slots=True)
class _Weighed:
    """For each document of a segment how much of a query it has.

    `coverage`: from 0 to 1; `likeness`: its BM25 score; `is_full`: it has everything; `has_subject`: it has more than
    attributes. `last_noun`: which titles have the last of the query's nouns, where it has several words.
    """

    coverage: Floats
    likeness: Floats
    is_full: Mask
    has_subject: Mask
    last_noun: Mask | None = None


class Snapshot(ABC):
    """One state of an engine's data, and how goods match and score in it: the same for every engine.

    An engine gives the columns of its segments (arrays, a value for each document), what each token's postings are, and
    what is known of all its goods together.
    """

    def __init__(
        self, columns: Sequence[Mapping[str, Ints]], alive: Sequence[Mask], *, documents: int, average_length: float
    ) -> None:
        """`columns` and `alive` for each segment; `documents` and `average_length` (in tokens) are of all goods."""
        self.complete = True  # whether what matched last was gathered whole
        self._documents = documents
        self._average_length = average_length
        self._set_segments(columns, alive)

    def _set_segments(self, columns: Sequence[Mapping[str, Ints]], alive: Sequence[Mask]) -> None:
        self._columns = columns
        self._alive = alive
        self._scored: dict[tuple[int, str], _Scored] = {}
        self._kept = 0
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

    def _prepare(self, understanding: Understanding) -> None:  # noqa: B027 - some have all at hand
        """Called before documents are scored for `understanding`: those that may match must be there to be read."""

    def hide(self, good_ids: Iterable[int]) -> None:
        """Exclude these goods from this snapshot's matches: according to the database they are no longer for sale."""
        hidden = np.fromiter(good_ids, np.int64)
        for alive, columns in zip(self._alive, self._columns, strict=True):
            alive &= ~np.isin(columns["good_id"], hidden)

    def matches(self, understanding: Understanding) -> Matches:
        """The documents that match: fully, or, where those are few, the words that matter most.

        Each word counts by what it says of the good (`Role`). Prices outside of the query's limits are no match, unless
        all are; other constraints make a match partial. What is of another kind than the thing scores less.
        """
        self._prepare(understanding)
        found = [self._matches_in(number, understanding) for number in range(len(self._columns))]
        if not found:
            return _no_matches()
        if _count_full(found) >= ENOUGH_FULL:
            found = [(documents[full], scores[full], full[full]) for documents, scores, full in found]
        parts = [
            (*(columns[name][documents] for name in COLUMNS[:-1]), scores, full)
            for columns, (documents, scores, full) in zip(self._columns, found, strict=True)
        ]
        return _within_prices(Matches(*(np.concatenate(column) for column in zip(*parts, strict=True))), understanding)

    def _matches_in(self, number: int, understanding: Understanding) -> tuple[Ints, Floats, Mask]:
        """The matching documents of one segment, their scores, and which of them match fully."""
        alive = self._alive[number]
        count = len(alive)
        groups = understanding.groups
        if not groups:
            if not understanding.constraints:
                return _NOTHING.documents, _NOTHING.scores, np.empty(0, np.bool_)
            documents = np.flatnonzero(alive)
            return documents, np.ones(len(documents)), np.ones(len(documents), np.bool_)
        weighed = self._weigh(number, groups, count)
        literal = self._literal(number, understanding)
        weighed.is_full[literal] = True
        is_literal = np.zeros(count, np.bool_)
        is_literal[literal] = True
        rated = self._rated(number, np.flatnonzero(weighed.is_full & alive), weighed, is_literal, understanding)
        if int(np.count_nonzero(rated[2])) >= ENOUGH_FULL:
            return rated  # partial matches would not be among the hits
        least = np.where(weighed.has_subject, _LEAST_COVERAGE, _OF_ATTRIBUTES)
        enough = np.flatnonzero((weighed.is_full | (weighed.coverage >= least)) & alive)
        return self._rated(number, enough, weighed, is_literal, understanding)

    def _rated(
        self, number: int, documents: Ints, weighed: "_Weighed", is_literal: Mask, understanding: Understanding
    ) -> tuple[Ints, Floats, Mask]:
        """These documents of a segment, their scores, and which of them match fully."""
        columns = self._columns[number]
        full, likeness = weighed.is_full[documents], weighed.likeness[documents]
        scores = weighed.coverage[documents] + _LIKENESS * (likeness / (likeness + _HALF_LIKENESS))
        was_changed = bool(understanding.corrected or understanding.dropped or understanding.constraints)
        scores += np.where(is_literal[documents], _LITERAL_OF_CHANGED if was_changed else _LITERAL, 0.0)
        chosen = {name: columns[name][documents] for name in ("flags", "category", "freight", "condition")}
        wanted = understanding.kinds
        if weighed.last_noun is not None and _is_accessory(columns["flags"][weighed.last_noun & self._alive[number]]):
            wanted |= {ListingFlag.ACCESSORY}
        other, broken = of_other_kind(chosen, wanted)
        full &= ~other
        scores -= _OTHER_KIND * other + _BROKEN * broken
        if ListingFlag.ACCESSORY in wanted:
            scores -= _NOT_KNOWN_AS_ACCESSORY * (chosen["flags"] & FLAG_BITS[ListingFlag.ACCESSORY] == 0)
        for unmet in unmet_limits(chosen, understanding):
            full &= ~unmet
            scores -= _NOT_AS_LIMITED * unmet
        return documents, (np.maximum(scores, 0.01) + full).astype(np.float64), full

    def _weigh(self, number: int, groups: Sequence[Group], count: int) -> "_Weighed":
        """How much of the query each document of a segment has."""
        found = _Weighed(
            np.zeros(count, np.float32),
            np.zeros(count, np.float32),
            np.ones(count, np.bool_),
            np.zeros(count, np.bool_),
        )
        is_thing: Mask | None = None
        total = sum(map(weight_of, groups))
        for group in groups:
            worth, score, in_title = self._group_arrays(number, group, count)
            found.coverage += np.float32(weight_of(group) / total) * worth
            found.likeness += score
            in_title_only = len(groups) > 1 and group.role is not Role.ATTRIBUTE
            found.is_full &= in_title if in_title_only else worth > MATCHES_FROM
            if group.role is Role.ATTRIBUTE:
                continue
            found.has_subject |= worth > 0
            if len(groups) > 1 and is_han(group.literal[0]):
                found.last_noun = in_title
            if group.role is Role.THING:
                is_thing = in_title if is_thing is None else is_thing & in_title
        if is_thing is not None and len(groups) > 1:
            # A title may leave out what its model says: goods of the same category are likely to be the thing.
            alike = _of_the_category(self._columns[number]["category"], is_thing)
            share = sum(weight_of(group) for group in groups if group.role is Role.THING) / total
            found.coverage[alike & ~is_thing] += np.float32(_LIKELY_THING * share)
        return found

    def _group_arrays(self, number: int, group: Group, count: int) -> tuple[Floats, Floats, Mask]:
        """For each document how well it has the group's words (0 to 1), its BM25 score, whether its title matches."""
        worth, score = np.zeros(count, np.float32), np.zeros(count, np.float32)
        in_title = np.zeros(count, np.bool_)
        for alternative in group.alternatives:
            found = self._alternative(number, alternative)
            if not len(found.documents):
                continue
            weight = np.float32(alternative.weight)
            value = np.where(found.in_title, weight, weight * np.float32(_IN_DESCRIPTION))
            worth[found.documents] = np.maximum(worth[found.documents], value)
            score[found.documents] = np.maximum(score[found.documents], found.scores * weight)
            if alternative.weight >= FULL_WEIGHT:
                in_title[found.documents[found.in_title]] = True
        return worth, score, in_title

    def _literal(self, number: int, understanding: Understanding) -> Ints:
        """The documents whose titles hold the query letter for letter."""
        tokens = understanding.literal_tokens
        if not tokens:
            return _NOTHING.documents
        found: Ints | None = None
        for token in sorted(tokens, key=self.frequency):
            postings = self._postings(number, token)
            documents = postings.documents[postings.counts >= TITLE_WEIGHT]
            found = documents if found is None else found[np.isin(found, documents, assume_unique=True)]
            if not len(found):
                break
        return _NOTHING.documents if found is None else found

    def _alternative(self, number: int, alternative: Alternative) -> _Scored:
        first, *others = (self._token(number, token) for token in alternative.tokens)
        for other in others:
            if not len(first.documents):
                return _NOTHING
            first = _both(first, other)
        return first

    def _token(self, number: int, token: str) -> _Scored:
        known = self._scored.get((number, token))
        if known is not None:
            return known
        postings = self._postings(number, token)
        if not len(postings.documents):
            return _NOTHING
        counts, norms = postings.counts, self._norms[number][postings.documents]
        weight = self._inverse_document_frequency(token)
        scores = (weight * counts * (_K1 + 1) / (counts + norms)).astype(np.float32)
        scored = _Scored(postings.documents, scores, counts >= TITLE_WEIGHT)
        self._keep(number, token, scored)
        return scored

    def _keep(self, number: int, token: str, scored: _Scored) -> None:
        """Remember the scores of a token: those of frequent ones take longer to compute than all else."""
        size = len(scored.documents)
        if size < _LEAST_KEPT:
            return
        self._scored[number, token] = scored
        self._kept += size
        while self._kept > _MOST_KEPT:
            oldest = next(iter(self._scored))
            self._kept -= len(self._scored.pop(oldest).documents)

    def _inverse_document_frequency(self, token: str) -> float:
        frequency = self.frequency(token)
        return float(np.log1p((self._documents - frequency + 0.5) / (frequency + 0.5)))


def _of_the_category(categories: Ints, mask: Mask) -> Mask:
    """The documents of the category that most of those of `mask` are of; none where they are of many."""
    counts = np.bincount(categories[mask], minlength=1)
    most = int(counts.argmax())
    if counts[most] < _DOMINANT * counts.sum() or not counts[most]:
        return np.zeros(len(categories), np.bool_)
    alike: Mask = categories == most
    return alike


def _is_accessory(flags: Ints) -> bool:
    """Whether so many of the goods with these flags are accessories that the last noun of the query names one."""
    return len(flags) > 0 and int(np.count_nonzero(flags & FLAG_BITS[ListingFlag.ACCESSORY])) > _MANY * len(flags)


def weight_of(group: Group) -> float:
    """How much of a query the group is, beside its other groups."""
    return _PLACE_WEIGHT if group.constraint is ConstraintName.PLACE else _ROLE_WEIGHTS[group.role]


def covers_enough(some: Collection[Group], groups: Collection[Group]) -> bool:
    """Whether a good that has `some` of a query's groups, and these wholly, may match in part."""
    share = sum(map(weight_of, some)) / sum(map(weight_of, groups))
    is_subject = any(group.role is not Role.ATTRIBUTE for group in some)
    return share >= (_LEAST_COVERAGE if is_subject else _OF_ATTRIBUTES)


_OTHER_KINDS = (ListingFlag.ACCESSORY, ListingFlag.RENTAL, ListingFlag.WANTED, ListingFlag.SERVICE, ListingFlag.AUCTION)


def of_other_kind(columns: Mapping[str, Ints], wanted: Collection[ListingFlag]) -> tuple[Mask, Mask]:
    """What is of another kind than the thing that was asked for (an accessory, a rental …); and what is broken."""
    flags = columns["flags"]
    others = bits_of(frozenset(flag for flag in _OTHER_KINDS if flag not in wanted))
    # Among flats and rooms to let, a rental is the thing itself.
    is_room = columns["category"] == Category.RENTAL
    is_rental = flags & FLAG_BITS[ListingFlag.RENTAL] != 0
    other: Mask = (flags & (others & ~FLAG_BITS[ListingFlag.RENTAL]) != 0) & ~is_room
    other |= ~is_room & (is_rental != (ListingFlag.RENTAL in wanted))
    broken: Mask = flags & (0 if ListingFlag.BROKEN in wanted else FLAG_BITS[ListingFlag.BROKEN]) != 0
    return other | (is_room & (flags & FLAG_BITS[ListingFlag.WANTED] & others != 0)), broken


def unmet_limits(columns: Mapping[str, Ints], understanding: Understanding) -> Iterator[Mask]:
    """For each constraint on a column, which documents do not meet it."""
    if understanding.limit(ConstraintName.FREE_SHIPPING):
        yield columns["freight"] != 0
    condition = understanding.limit(ConstraintName.CONDITION)
    if isinstance(condition, int):
        yield (columns["condition"] == 0) | (columns["condition"] > condition)


def _within_prices(matches: Matches, understanding: Understanding) -> Matches:
    """The matches within the prices that the query names; all of them, as partial ones, where none is."""
    lowest, highest = understanding.limit(ConstraintName.PRICE_MIN), understanding.limit(ConstraintName.PRICE_MAX)
    if lowest is None and highest is None:
        return matches
    inside = np.ones(len(matches), np.bool_)
    if isinstance(lowest, int):
        inside &= matches.price >= lowest
    if isinstance(highest, int):
        inside &= matches.price <= highest
    if inside.any():
        return matches.of(inside)
    return dataclasses.replace(matches, full=np.zeros(len(matches), np.bool_))


def _count_full(found: Sequence[tuple[Ints, Floats, Mask]]) -> int:
    return sum(int(np.count_nonzero(full)) for _, _, full in found)


def _no_matches() -> Matches:
    none = np.empty(0, np.int64)
    return Matches(**dict.fromkeys(COLUMNS[:-1], none), score=np.empty(0), full=np.empty(0, np.bool_))


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


def _both(one: _Scored, other: _Scored) -> _Scored:
    """The documents in both, scores added; in the title where both are."""
    if len(one.documents) > len(other.documents):
        one, other = other, one
    if not len(one.documents):
        return _NOTHING
    places = np.searchsorted(other.documents, one.documents)
    places[places == len(other.documents)] = 0
    both = other.documents[places] == one.documents
    places = places[both]
    return _Scored(
        one.documents[both], one.scores[both] + other.scores[places], one.in_title[both] & other.in_title[places]
    )
