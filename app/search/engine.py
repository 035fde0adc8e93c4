"""The search engine: from a query's text to one page of good ids.

It looks for goods that match every word; with few hits also for a corrected query; with none for goods that match some
of the words. `Match` says which it was.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from app.clock import utcnow
from app.language.analysis import Analyser, is_han
from app.language.vocabulary import Suggestion, Vocabulary
from app.search.engines import Engine
from app.search.query import CONTAINING_WEIGHT, PART_WEIGHT, Alternative, Group, Query, rewritten
from app.search.selection import BEGINNING, HitPage, StandingOf, Start, nobody_known, select_page
from app.search.snapshot import Filters, SearchSort, Selection, Snapshot

# With fewer hits than this, the query is checked for mistyped words.
_FEW_HITS = 5

# A word that does occur counts as mistyped if a similar word is this many times as frequent.
_MUCH_MORE_FREQUENT = 20

_CONTAINING_WORDS = 30


class Match(StrEnum):
    """How the results match the query."""

    ALL = "all"  # every word, as typed or a synonym
    CORRECTED = "corrected"  # every word of the corrected query, beside what matches literally
    ANY = "any"  # at least half of the words


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHits:
    """A page of hits and how they match: `corrected` is the corrected query, if used; `tokens` are to highlight."""

    page: HitPage
    match: Match = Match.ALL
    corrected: str | None = None
    tokens: frozenset[str] = field(default=frozenset())


def search(
    engine: Engine,
    text: str,
    *,
    filters: Filters,
    sort: SearchSort,
    size: int,
    start: Start = BEGINNING,
    standing_of: StandingOf = nobody_known,
) -> SearchHits:
    """Search with `engine` for `text`. Raises `IndexMissing`, `IndexForeign` and `IndexDamaged`."""
    snapshot = engine.snapshot(
        Selection(filters=filters, sort=sort, count=start.reach(size), as_of=start.as_of, after=start.after)
    )
    query = _expanded(engine.parser.parse(text), snapshot, engine.analyser)
    matches, match, corrected, tokens = snapshot.matches_of_all(query.groups), Match.ALL, None, query.tokens()
    if len(matches) < _FEW_HITS:
        corrected = _corrected(query, snapshot)
        if corrected is not None:
            better = _expanded(engine.parser.parse(corrected), snapshot, engine.analyser)
            more = snapshot.matches_of_all(better.groups)
            if len(matches) == 0:
                query = better
            if len(more):
                matches, match, tokens = matches.union(more), Match.CORRECTED, tokens | better.tokens()
            elif len(matches):
                corrected = None  # the correction finds nothing
    if len(matches) == 0 and len(query.groups) > 1:
        matches = snapshot.matches_of_some(query.groups, at_least=-(-len(query.groups) // 2))
        match, tokens = Match.ANY, query.tokens()
    if len(matches) == 0:
        match, corrected = Match.ALL, None
    page = select_page(
        matches,
        filters=filters,
        sort=sort,
        start=start,
        size=size,
        now=int(utcnow().timestamp()),
        standing_of=standing_of,
    )
    return SearchHits(page=page, match=match, corrected=corrected, tokens=tokens)


def _expanded(query: Query, snapshot: Snapshot, analyser: Analyser) -> Query:
    """`query` with the alternatives that Chinese word segmentation makes necessary (query expansion).

    A word that no document has may also match by its parts (`冲锋衣裤`: 冲锋 and 衣裤). A query of one Han character
    also matches the words that contain it: 鞋 finds 跑鞋.
    """
    groups = []
    for group in query.groups:
        word = group.literal[0]
        if len(group.literal) == 1 and snapshot.frequency(word) == 0:
            parts = analyser.parts(word)
            if parts and all(snapshot.frequency(part) for part in parts):
                groups.append(group.or_else(Alternative(tuple(parts), PART_WEIGHT)))
                continue
        if len(query.groups) == 1 and len(word) == 1 and is_han(word):
            words = snapshot.vocabulary().containing(word, limit=_CONTAINING_WORDS)
            groups.append(group.or_else(*(Alternative((longer,), CONTAINING_WEIGHT) for longer in words)))
            continue
        groups.append(group)
    return Query(query.text, tuple(groups))


def _corrected(query: Query, snapshot: Snapshot) -> str | None:
    """The query's text with its mistyped words replaced; None when none is."""
    vocabulary = snapshot.vocabulary()
    changes: list[tuple[int, int, str]] = []
    for number, group in enumerate(query.groups):
        if changes and group.start < changes[-1][1]:
            continue  # this group was part of the previous replacement
        change = (
            _corrected_han(query, number, snapshot, vocabulary, after=changes[-1][1] if changes else 0)
            if is_han(group.literal[0])
            else _corrected_letters(query.text, group, snapshot, vocabulary)
        )
        if change is not None:
            changes.append(change)
    return rewritten(query.text, changes) if changes else None


def _corrected_letters(
    text: str, group: Group, snapshot: Snapshot, vocabulary: Vocabulary
) -> tuple[int, int, str] | None:
    """`(start, end, replacement)` for a mistyped Latin word, or None. Digits are never corrected.

    One edit is allowed from 4 letters on, two from 8 on (Algolia's rule).
    """
    typed = text[group.start : group.end]
    if len(typed) < 4 or not typed.isalpha():
        return None
    best = _best(vocabulary.near(typed, distance=1 if len(typed) < 8 else 2), snapshot.frequency(typed))
    return None if best is None else (group.start, group.end, best.word)


def _corrected_han(
    query: Query, number: int, snapshot: Snapshot, vocabulary: Vocabulary, *, after: int
) -> tuple[int, int, str] | None:
    """`(start, end, replacement)` for a mistyped Chinese word, or None.

    Segmentation splits a mistyped word (`连衣群`: 连衣, 群), so groups are also tried together with their neighbours.
    """
    group = query.groups[number]
    if len(group.literal[0]) > 1 and any(map(snapshot.frequency, group.literal)):
        return None
    best: tuple[int, int, Suggestion] | None = None
    for first in range(max(number - 1, 0), number + 1):
        for last in range(number, min(number + 2, len(query.groups))):
            window = query.groups[first : last + 1]
            start, end = window[0].start, window[-1].end
            typed = query.text[start:end]
            adjacent = all(left.end == right.start for left, right in pairwise(window))
            if not (adjacent and 2 <= len(typed) <= 6 and start >= after and is_han(typed[0]) and is_han(typed[-1])):
                continue
            if len(window) == 1 and len(group.alternatives) > 1:
                continue  # it matches by its parts already
            # Only words of the same length: shorter and longer ones are usually parts of what was typed, or contain it.
            # For two characters only a swap counts: replacing one would replace half of the word.
            near = [
                each
                for each in vocabulary.near(typed, distance=1)
                if len(each.word) == len(typed) and (len(typed) > 2 or sorted(each.word) == sorted(typed))
            ]
            suggestion = _best(near, snapshot.frequency(typed))
            if suggestion is not None and (
                best is None or (end - start, suggestion.frequency) > (best[1] - best[0], best[2].frequency)
            ):
                best = start, end, suggestion
    return None if best is None else (best[0], best[1], best[2].word)


def _best(near: list[Suggestion], typed_frequency: int) -> Suggestion | None:
    for suggestion in near:
        if suggestion.frequency >= _MUCH_MORE_FREQUENT * typed_frequency:
            return suggestion
    return None
