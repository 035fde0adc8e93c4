"""The search for many words at once: all that stand in a text are found, and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.moderation.text.trie import Trie

OVERLAPPING = ("a", "ab", "abab", "b", "ba", "bab", "微信", "信", "加微信", "𠮷野")
TRIE = Trie(OVERLAPPING)


def found(trie: Trie, text: str) -> list[tuple[int, int, int]]:
    columns = trie.find(np.frombuffer(text.encode("utf-32-le"), np.uint32))
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


def standing(words: list[str], text: str) -> list[tuple[int, int, int]]:
    """The same by looking everywhere."""
    return sorted(
        (number, place, place + len(word))
        for number, word in enumerate(words)
        for place in range(len(text))
        if text.startswith(word, place)
    )


@pytest.mark.parametrize("text", ["", "x", "加微信", "abab", "加微", "野𠮷野", "ab" * 100, "加微信" * 100 + "加"])
def test_all_words_that_stand_in_a_text_are_found(text: str) -> None:
    assert found(TRIE, text) == standing(list(OVERLAPPING), text)


@given(
    st.lists(st.text("ab微信\U00020bb7", min_size=1, max_size=6), min_size=1, max_size=40, unique=True),
    st.text("abc微信\U00020bb7", max_size=80),
)
def test_any_words_are_found_in_any_text(words: list[str], text: str) -> None:
    assert found(Trie(words), text) == standing(words, text)
