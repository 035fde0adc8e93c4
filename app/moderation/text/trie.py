"""Searches texts for many words at once, in arrays: a tree of the words' characters, walked from all places together.

Most of what stands in a text begins no word: one place in four is left after two characters, hardly any after four. So
these few steps over arrays take less than the matches of an Aho-Corasick library, each of which is a tuple of numbers.

The tree is kept as a double array (J. Aoe, 1989): a node is a number, and its child for a character is the node
`_shifts[node] + character` if that one's `_parents` says so.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Codes: TypeAlias = npt.NDArray[np.uint32]
Indices: TypeAlias = npt.NDArray[np.intp]

_CODE_POINTS: Final = 0x110000
_ENCODING: Final = "utf-32-le"
_NONE: Final = -1
_ROOM: Final = 3
"""So many times the nodes are the places for them: where fewer are, it takes long to find some that fit."""
_FEW: Final = 24
"""So many places are walked from one by one as quickly as in arrays."""
_GOLDEN: Final = 0.6180339887
"""In steps of this part of a range all its regions are tried evenly."""


class Trie:
    """What stands where, of some words (all different): overlapping ones too."""

    def __init__(self, words: Sequence[str]) -> None:
        characters = sorted(set().union(*words))
        self._numbers = np.zeros(_CODE_POINTS, np.intp)
        self._numbers[[ord(character) for character in characters]] = np.arange(1, len(characters) + 1)
        tree = _tree_of(words, self._numbers, len(characters) + 1)
        shifts, places = _placed(tree)
        size = int(places.max()) + tree.characters + 1
        self._shifts = np.zeros(size, np.intp)
        self._shifts[places] = shifts
        self._parents = np.full(size, _NONE, np.intp)
        self._parents[places[tree.characters :]] = places.take(tree.parents)
        self._words = np.full(size, _NONE, np.intp)
        self._words[places] = tree.words

    def find(self, codes: Codes) -> tuple[Indices, Indices, Indices]:
        """For each occurrence in the text of these code points: which word, its first place and the one behind.

        They are in no order.
        """
        numbers = np.append(self._numbers.take(codes), 0)  # nothing goes on with 0
        nodes, places, length = numbers, np.arange(numbers.size, dtype=np.intp), 1
        found: list[tuple[Indices, Indices, Indices]] = []
        while nodes.size > _FEW:
            words = self._words.take(nodes)
            ending = np.flatnonzero(words != _NONE)
            if ending.size:
                firsts = places.take(ending)
                found.append((words.take(ending), firsts, firsts + length))
            children = self._shifts.take(nodes) + numbers.take(places + length, mode="clip")
            alive = np.flatnonzero(self._parents.take(children) == nodes)
            nodes, places, length = children.take(alive), places.take(alive), length + 1
        rest = list(self._walked(numbers, nodes.tolist(), places.tolist(), length))
        words, firsts, behinds = np.array(rest, np.intp).reshape(-1, 3).T
        columns = zip(*found, (words, firsts, behinds), strict=True)
        words, firsts, behinds = map(np.concatenate, columns)
        return words, firsts, behinds

    def _walked(
        self, numbers: Indices, nodes: list[int], places: list[int], length: int
    ) -> Iterator[tuple[int, int, int]]:
        """The same from these nodes on, which have characters from their places up to `length`, one after the other."""
        words, shifts, parents, spelled = (array.data for array in (self._words, self._shifts, self._parents, numbers))
        for node, first in zip(nodes, places, strict=True):
            behind = first + length
            while True:
                if words[node] != _NONE:
                    yield words[node], first, behind
                child = shifts[node] + spelled[min(behind, len(spelled) - 1)]
                if parents[child] != node:
                    break
                node, behind = child, behind + 1


class _Tree(NamedTuple):
    """The nodes by number: first one for each of the characters, as first character of words, then their descendants.

    `parents` and `spelled` have only the descendants' parents, and the characters that lead to them; `words` has the
    word that ends at a node.
    """

    characters: int
    parents: Indices
    spelled: Indices
    words: Indices


def _tree_of(words: Sequence[str], numbers: Indices, characters: int) -> _Tree:
    lengths = np.array([len(word) for word in words], np.intp)
    spelled = numbers.take(np.frombuffer("".join(words).encode(_ENCODING), np.uint32))
    starts = np.cumsum(lengths) - lengths
    alive = np.flatnonzero(lengths)
    nodes = spelled.take(starts.take(alive))
    parents, leading, ends = [], [], []
    count, length = characters, 1
    while alive.size:
        ending = lengths.take(alive) == length
        ends.append((nodes[ending], alive[ending]))
        alive, nodes = alive[~ending], nodes[~ending]
        keys, which = np.unique(nodes * characters + spelled.take(starts.take(alive) + length), return_inverse=True)
        parents.append(keys // characters)
        leading.append(keys % characters)
        nodes, count, length = count + which, count + keys.size, length + 1
    word_at = np.full(count, _NONE, np.intp)
    for at, word in ends:
        word_at[at] = word
    return _Tree(characters, np.concatenate(parents), np.concatenate(leading), word_at)


def _placed(tree: _Tree) -> tuple[Indices, Indices]:
    """The shift of each node, and its place: children of one node lie as far apart as their characters."""
    order = np.argsort(tree.parents, kind="stable")
    children = tree.spelled.take(order)
    parents, firsts, counts = np.unique(tree.parents.take(order), return_index=True, return_counts=True)
    least, behind = tree.characters, tree.characters * 2 + _ROOM * tree.words.size
    taken = np.zeros(behind + tree.characters, np.bool_)
    taken[: 2 * least] = True
    shifts = np.zeros(tree.words.size, np.intp)
    part = 0.0
    several = np.flatnonzero(counts > 1)
    for family in several[np.argsort(-counts.take(several), kind="stable")].tolist():
        siblings = children[firsts[family] : firsts[family] + counts[family]]
        while True:
            part = (part + _GOLDEN) % 1
            shift = least + int(part * (behind - least))
            if not taken.take(siblings + shift).any():
                break
        taken[siblings + shift] = True
        shifts[parents[family]] = shift
    alone = np.flatnonzero(counts == 1)
    shifts[parents.take(alone)] = np.flatnonzero(~taken)[: alone.size] - children.take(firsts.take(alone))
    places = np.arange(tree.words.size, dtype=np.intp)
    places[tree.characters :] = shifts.take(tree.parents) + tree.spelled
    return shifts, places
