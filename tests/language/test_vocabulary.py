"""Which words a mistyped one may have meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.language.vocabulary import Vocabulary, edit_distance


@pytest.mark.parametrize(
    ("one", "other", "steps"),
    [
        ("iphone", "iphone", 0),
        ("ihpone", "iphone", 1),
        ("iphoen", "iphone", 1),
        ("iphne", "iphone", 1),
        ("iphonne", "iphone", 1),
        ("ipjone", "iphone", 1),
        ("samsnug", "samsung", 1),
        ("kannon", "canon", 2),
        ("连衣群", "连衣裙", 1),
        ("机手", "手机", 1),
        ("", "ab", 2),
    ],
)
def test_distances(one: str, other: str, steps: int) -> None:
    assert edit_distance(one, other, limit=2) == steps
    assert edit_distance(other, one, limit=2) == steps


def test_beyond_the_limit_there_is_no_distance() -> None:
    assert edit_distance("canon", "kannon", limit=1) is None
    assert edit_distance("a", "abcd", limit=2) is None
    assert edit_distance("abcd", "wxyz", limit=2) is None


def test_the_nearest_come_first_then_the_most_frequent() -> None:
    vocabulary = Vocabulary({"iphone": 50, "iphono": 90, "iphones": 2, "xiphon": 500, "连衣裙": 9, "1234": 9})
    found = vocabulary.near("ihpone", distance=2)
    assert [(each.distance, each.word, each.frequency) for each in found] == [
        (1, "iphone", 50),
        (2, "iphono", 90),
        (2, "iphones", 2),
    ]


def test_scripts_and_numbers_are_kept_apart() -> None:
    vocabulary = Vocabulary({"1235": 9, "连衣裙": 9, "abcd": 9})
    assert vocabulary.near("1234", distance=1) == []
    assert [each.word for each in vocabulary.near("连衣群", distance=1)] == ["连衣裙"]
    assert vocabulary.near("abcd", distance=1) == []  # the word itself is no correction


def test_words_that_contain_a_character() -> None:
    vocabulary = Vocabulary({"跑鞋": 3, "运动鞋": 7, "鞋": 9, "球拍": 5, "凉鞋": 1})
    assert vocabulary.containing("鞋", limit=2) == ["运动鞋", "跑鞋"]


def test_an_empty_vocabulary() -> None:
    assert Vocabulary({}).near("iphone", distance=2) == []
    assert Vocabulary({}).containing("鞋", limit=5) == []


words = st.text("abc手机", min_size=1, max_size=6)


@given(words, st.sets(words, max_size=30), st.integers(1, 2))
def test_the_quick_search_misses_no_word(typed: str, others: set[str], limit: int) -> None:
    found = {each.word for each in Vocabulary(dict.fromkeys(sorted(others), 1)).near(typed, distance=limit)}
    near = {word for word in others - {typed} if edit_distance(typed, word, limit=limit) is not None}
    han = "手机"
    assert found == {word for word in near if (word[0] in han) == (typed[0] in han)}
