"""The vocabulary of all titles, and spelling suggestions from it."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from app.language.analysis import is_han


@dataclass(frozen=True, slots=True, order=True)
class Suggestion:
    """A title word similar to a typed one. Sorts by the fewest edits, then by the highest frequency."""

    distance: int
    rank: int = field(repr=False)
    word: str
    frequency: int = field(compare=False)


class Vocabulary:
    """The words of titles with their document frequencies; immutable, so threads can share it."""

    def __init__(self, frequencies: Mapping[str, int]) -> None:
        self._words = list(frequencies)
        self._frequencies = np.fromiter(frequencies.values(), np.int64, len(frequencies))
        self._lengths = np.fromiter(map(len, self._words), np.int16, len(frequencies))
        self._signatures = np.fromiter(map(_signature, self._words), np.uint64, len(frequencies))

    def __len__(self) -> int:
        return len(self._words)

    def near(self, typed: str, *, distance: int) -> list[Suggestion]:
        """The words of the same script within an edit distance of `distance` from `typed`, the best first."""
        # Cheap necessary conditions over the whole vocabulary first; the exact distance only for what they let through.
        candidates = np.abs(self._lengths - len(typed)) <= distance
        candidates &= np.bitwise_count(self._signatures ^ np.uint64(_signature(typed))) <= 2 * distance
        found = []
        for number in np.flatnonzero(candidates):
            word = self._words[number]
            if is_han(word) != is_han(typed) or word.isdigit() or word == typed:
                continue
            steps = edit_distance(typed, word, limit=distance)
            if steps is not None:
                frequency = int(self._frequencies[number])
                found.append(Suggestion(steps, -frequency, word, frequency))
        return sorted(found)

    def containing(self, character: str, *, limit: int) -> list[str]:
        """The most frequent longer words that contain `character`."""
        numbers = [number for number in np.flatnonzero(self._lengths > 1) if character in self._words[number]]
        numbers.sort(key=lambda number: -int(self._frequencies[number]))
        return [self._words[number] for number in numbers[:limit]]


def _signature(word: str) -> int:
    """The set of a word's characters as a 64-bit mask. One edit changes at most two of the bits."""
    bits = 0
    for character in word:
        bits |= 1 << (ord(character) % 64)
    return bits


@functools.lru_cache(maxsize=4096)
def edit_distance(one: str, other: str, *, limit: int) -> int | None:
    """The number of insertions, deletions, replacements and swaps of neighbours between `one` and `other`.

    None if it is more than `limit`. (Optimal string alignment distance: `ihpone` and `iphone` are 1 apart.)
    """
    if abs(len(one) - len(other)) > limit:
        return None
    before: list[int] = []
    previous = list(range(len(other) + 1))
    for row, left in enumerate(one, 1):
        current = [row]
        for column, right in enumerate(other, 1):
            steps = min(previous[column] + 1, current[column - 1] + 1, previous[column - 1] + (left != right))
            if row > 1 and column > 1 and left == other[column - 2] and one[row - 2] == right:
                steps = min(steps, before[column - 2] + 1)
            current.append(steps)
        if min(current) > limit:
            return None
        before, previous = previous, current
    return previous[-1] if previous[-1] <= limit else None
