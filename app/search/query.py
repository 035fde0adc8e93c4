"""Parses queries into groups of alternatives over exact tokens. A user's text is never interpreted as query syntax."""

from dataclasses import dataclass
from itertools import pairwise

from app.language.analysis import STOP_WORDS, Analyser, Token
from app.language.normal_form import normalise
from app.language.synonyms import SYNONYMS

# Factors for the scores of matches by words that the user did not type: lower than for the typed ones.
SYNONYM_WEIGHT = 0.8
PART_WEIGHT = 0.7
CONTAINING_WEIGHT = 0.6


@dataclass(frozen=True, slots=True)
class Alternative:
    """Tokens that must all be in a document; `weight` scales their score."""

    tokens: tuple[str, ...]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Group:
    """Alternatives of which a document must match one; the best counts. `start` and `end` delimit it in the text."""

    alternatives: tuple[Alternative, ...]
    start: int
    end: int

    @property
    def literal(self) -> tuple[str, ...]:
        """The tokens as typed."""
        return self.alternatives[0].tokens

    def or_else(self, *more: Alternative) -> "Group":
        """This group with `more` alternatives."""
        return Group((*self.alternatives, *more), self.start, self.end)


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query: a document matches fully if every group matches."""

    text: str
    groups: tuple[Group, ...]

    def tokens(self) -> frozenset[str]:
        """Every token that some alternative looks for."""
        return frozenset(
            token for group in self.groups for alternative in group.alternatives for token in alternative.tokens
        )


class QueryParser:
    """Turns text into a `Query`, synonyms included."""

    def __init__(self, analyser: Analyser) -> None:
        self._analyser = analyser
        self._synonyms: dict[tuple[str, ...], list[Alternative]] = {}
        for members in SYNONYMS:
            phrases = [tuple(token.text for token in analyser.query_tokens(normalise(member))) for member in members]
            for phrase in phrases:
                others = [Alternative(other, SYNONYM_WEIGHT) for other in phrases if other != phrase]
                self._synonyms.setdefault(phrase, []).extend(others)
        self._longest = max(map(len, self._synonyms))

    def parse(self, text: str) -> Query:
        """Parse `text`. A query without any letter or digit has no groups and matches nothing."""
        normalised = normalise(text)
        tokens = self._analyser.query_tokens(normalised)
        wanted = [token for token in tokens if token.text not in STOP_WORDS] or tokens
        groups: dict[tuple[str, ...], Group] = {}
        position = 0
        while position < len(wanted):
            group = self._group_at(wanted, position)
            groups.setdefault(group.literal, group)
            position += len(group.literal)
        return Query(normalised, tuple(groups.values()))

    def _group_at(self, tokens: list[Token], position: int) -> Group:
        for length in range(min(self._longest, len(tokens) - position), 0, -1):
            taken = tokens[position : position + length]
            phrase = tuple(token.text for token in taken)
            synonyms = self._synonyms.get(phrase)
            if synonyms is not None:
                return Group((Alternative(phrase), *synonyms), taken[0].start, taken[-1].end)
        token = tokens[position]
        return Group((Alternative((token.text,)),), token.start, token.end)


def rewritten(text: str, changes: list[tuple[int, int, str]]) -> str:
    """`text` with each `(start, end, replacement)` of `changes` applied; their spans must not overlap."""
    ordered = sorted(changes)
    assert all(before[1] <= after[0] for before, after in pairwise(ordered))  # noqa: S101 - the caller's obligation
    pieces, position = [], 0
    for start, end, replacement in ordered:
        pieces += [text[position:start], replacement]
        position = end
    return "".join([*pieces, text[position:]])
