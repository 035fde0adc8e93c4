"""Searches a text for many words at once (Aho-Corasick), as fast as the library can.

The library reads bytes, and a Han character has three of them. So the characters that the words have are numbered
anew, the commonest first, and all others are one: most of a text is then one or two bytes for each character.
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
        self._automaton = AhoCorasick(
            [word.translate(table) for word in words], implementation=Implementation.ContiguousNFA
        )

    def find(self, codes: Codes) -> tuple[Indices, Indices, Indices]:
        """For each occurrence in the text of these code points: which word, its first place and the one behind."""
        text = self._numbers.take(codes).tobytes().decode(_ENCODING)
        found = self._automaton.find_matches_as_indexes(text, overlapping=True)
        flat = np.fromiter(itertools.chain.from_iterable(found), np.intp, 3 * len(found))
        return flat[0::3], flat[1::3], flat[2::3]
