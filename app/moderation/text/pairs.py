"""Which of the words that were found may make a pair: for all texts of a batch at once, in arrays.

Most ordinary texts have words of some pair (手机, 出, 微信). Only where both of its sides stand near each other in one
sentence is a pair worth a look. This answers nothing finally: it lets through all that the lexicon's look at a pair
would find, and a little more.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from app.moderation.text.trie import Indices

NEAREST_SINGLE: Final = 2
"""Single characters count beside words at most so far away."""

_MARKS: Final = 1 << 16
"""How many marks there are for sides in sentences, which share them by their remainder."""
_PRIME: Final = 100_003
_FAR: Final = 1 << 40
"""More than any text is long."""


class Pairs:
    """The pairs that words can make. A side of a pair is a number: the words that may stand there.

    `wanted` has for each word the sides that make a pair with it, each with the greatest distance (in characters that
    separate nothing); `offered` has for each word the sides that it is of.
    """

    def __init__(self, wanted: Sequence[Sequence[tuple[int, int]]], offered: Sequence[Sequence[int]]) -> None:
        self._wanting = _Rows(list(map(len, wanted)))
        self._wanted = np.array([side for row in wanted for side, _near in row], np.intp)
        self._near = np.array([near for row in wanted for _side, near in row], np.intp)
        self._offering = _Rows(list(map(len, offered)))
        self._offered = np.array([side for row in offered for side in row], np.intp)

    def possible(
        self, words: Indices, firsts: Indices, behinds: Indices, sentences: Indices
    ) -> tuple[list[int], list[int]]:
        """Which of the occurrences of words may make a pair, and for each the number of what is wanted there, counted
        over all words.

        `sentences` has the number of each character's sentence.
        """
        begins, ends = sentences.take(firsts), sentences.take(behinds - 1)
        at, wanted = self._wanting.of(words)
        wanting = _Side.of(at, self._wanted.take(wanted), begins, ends)
        at, offered = self._offering.of(words)
        offering = _Side.of(at, self._offered.take(offered), begins, ends)
        # Nearly all have nothing in their sentence.
        offering = offering.where(offering.beside(wanting))
        beside = wanting.beside(offering)
        wanting, wanted = wanting.where(beside), wanted[beside]
        near = _is_near(wanting, offering, self._near.take(wanted), firsts, behinds)
        return wanting.at[near].tolist(), wanted[near].tolist()


class _Rows:
    """The rows of each word, where the rows of all words are counted through."""

    def __init__(self, counts: Sequence[int]) -> None:
        self._counts = np.array(counts, np.intp)
        self._starts = np.concatenate((np.zeros(1, np.intp), np.cumsum(self._counts)))

    def of(self, words: Indices) -> tuple[Indices, Indices]:
        """All rows of these words: which of `words` each is of, and its number."""
        counts = self._counts.take(words)
        at = np.repeat(np.arange(words.size, dtype=np.intp), counts)
        before = self._starts.take(words) - np.cumsum(counts) + counts
        return at, np.arange(at.size, dtype=np.intp) + before.take(at)


class _Side(NamedTuple):
    """Occurrences of words, a row for each side that they want or offer."""

    at: Indices
    sides: Indices
    begins: Indices  # side and sentence in one number
    ends: Indices

    @classmethod
    def of(cls, at: Indices, sides: Indices, begins: Indices, ends: Indices) -> "_Side":
        """With the numbers of the sentences where each of the occurrences begins and ends."""
        own = sides * _PRIME
        return cls(at, sides, (own + begins.take(at)) & (_MARKS - 1), (own + ends.take(at)) & (_MARKS - 1))

    def where(self, which: npt.NDArray[np.bool_]) -> "_Side":
        """These rows."""
        return _Side(*(column[which] for column in self))

    def beside(self, others: "_Side") -> npt.NDArray[np.bool_]:
        """Which rows have one of the others in the sentence where they end or begin."""
        return _marked(others.begins).take(self.ends) | _marked(others.ends).take(self.begins)


def _marked(marks: Indices) -> npt.NDArray[np.bool_]:
    flags = np.zeros(_MARKS, np.bool_)
    flags[marks] = True
    return flags


def _is_near(
    wanting: _Side, offering: _Side, near: Indices, firsts: Indices, behinds: Indices
) -> npt.NDArray[np.bool_]:
    """Which rows that want have one that offers near enough, behind or before."""
    first, behind = firsts.take(wanting.at), behinds.take(wanting.at)
    near = np.where(behind - first == 1, np.minimum(near, NEAREST_SINGLE), near)
    own, own_of_others = wanting.sides * _FAR, offering.sides * _FAR
    after = np.sort(own_of_others + firsts.take(offering.at))
    before = np.sort(own_of_others + behinds.take(offering.at))
    return _has_between(after, own + behind, own + behind + near) | _has_between(
        before, own + first - near, own + first
    )


def _has_between(numbers: Indices, least: Indices, most: Indices) -> npt.NDArray[np.bool_]:
    return np.searchsorted(numbers, least) < np.searchsorted(numbers, most, side="right")
