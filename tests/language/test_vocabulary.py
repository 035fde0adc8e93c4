"""Which words a mistyped one may have meant."""

import pytest

from app.language.lexicon import built_in_lexicon
from app.language.spelling import SpellingIndex, edit_distance
from app.language.vocabulary import Vocabulary


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


GUESSES = [
    ("ihpone", ["iphone"]),
    ("iphoone", ["iphone"]),
    ("冲锋依", ["冲锋衣"]),  # the same sound
    ("连衣群", ["连衣裙"]),  # the same sound, and drawn alike
    ("平果", ["苹果"]),
    ("牛浪裤", ["牛仔裤"]),  # any one character of three
    ("衣连裙", ["连衣裙"]),  # swapped
    ("连衣衣裙", ["连衣裙"]),  # one too many
]


@pytest.mark.parametrize(("typed", "meant"), GUESSES)
def test_guesses(typed: str, meant: list[str]) -> None:
    index = SpellingIndex()
    index.add(["iphone", "冲锋衣", "连衣裙", "苹果", "牛仔裤", "手机", "1234", "iphone13"])
    shapes = built_in_lexicon().shapes
    assert [guess.word for guess in index.guesses(typed, shapes=shapes)] == meant


def test_the_likelier_slip_costs_less() -> None:
    index = SpellingIndex()
    index.add(["苹果", "瓶盖", "评估"])
    costs = {guess.word: guess.cost for guess in index.guesses("平果", shapes=built_in_lexicon().shapes)}
    assert costs == {"苹果": 1.0}


def test_pinyin_and_initials() -> None:
    index = SpellingIndex()
    index.add(["手机", "首级", "鞋", "羽绒服"])
    assert (index.read_as("shouji"), index.read_as("yurongfu")) == (["手机", "首级"], ["羽绒服"])
    assert (index.beginning_with("sj"), index.beginning_with("yrf")) == (["手机", "首级"], ["羽绒服"])


def test_words_that_contain_a_character() -> None:
    vocabulary = Vocabulary({"跑鞋": 3, "运动鞋": 7, "鞋": 9, "球拍": 5, "凉鞋": 1})
    assert vocabulary.containing("鞋", limit=2) == ["运动鞋", "跑鞋"]


def test_frequencies_are_summed_over_the_parts_of_the_goods() -> None:
    vocabulary = Vocabulary({"跑鞋": 3}, {"跑鞋": 4, "鞋": 1})
    assert (vocabulary.frequency("跑鞋"), vocabulary.frequency("鞋"), vocabulary.frequency("x")) == (7, 1, 0)
    assert len(vocabulary) == 2
