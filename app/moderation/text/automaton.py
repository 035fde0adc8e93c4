"""Searches a text for many words at once (Aho-Corasick), as fast as the library can.

The library reads bytes, and a Han character has three of them. So the characters that the words have are numbered
anew, the commonest first, and all others are one: most of a text is then one or two bytes for each character.
Words of one character, which are most of what stands in ordinary texts, are looked up in a table instead: each match of
the library is a tuple of three numbers.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from ahocorasick_rs import AhoCorasick, Implementation

Codes: TypeAlias = npt.NDArray[np.uint32]
Indices: TypeAlias = npt.NDArray[np.intp]

_CODE_POINTS: Final = 0x110000
_ENCODING: Final = "utf-32-le"
_NONE: Final = -1


class Automaton:
    """What stands where, of some words: overlapping ones too."""

    def __init__(self, words: Sequence[str]) -> None:
        numbers = {
            character: number for number, (character, _) in enumerate(Counter("".join(words)).most_common(), start=1)
        }
        self._numbers = np.zeros(_CODE_POINTS, np.uint32)
        for character, number in numbers.items():
            self._numbers[ord(character)] = number
        table = str.maketrans({character: chr(number) for character, number in numbers.items()})
        longer = [index for index, word in enumerate(words) if len(word) > 1]
        self._longer = np.array(longer, np.intp)
        self._automaton = AhoCorasick(
            [words[index].translate(table) for index in longer], implementation=Implementation.ContiguousNFA
        )
        self._of_one = np.full(len(numbers) + 1, _NONE, np.intp)
        for index, word in enumerate(words):
            if len(word) == 1:
                self._of_one[numbers[word]] = index

    def find(self, codes: Codes) -> tuple[Indices, Indices, Indices]:
        """For each occurrence in the text of these code points: which word, its first place and the one behind.

        They are in no order.
        """
        numbers = self._numbers.take(codes)
        found = self._automaton.find_matches_as_indexes(numbers.tobytes().decode(_ENCODING), overlapping=True)
        flat = np.fromiter(itertools.chain.from_iterable(found), np.intp, 3 * len(found))
        of_one = self._of_one.take(numbers)
        places = np.flatnonzero(of_one != _NONE)
        return (
            np.concatenate((self._longer.take(flat[0::3]), of_one.take(places))),
            np.concatenate((flat[1::3], places)),
            np.concatenate((flat[2::3], places + 1)),
        )
