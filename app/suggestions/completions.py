"""Completions of what is being typed: sorted arrays of keys and binary search, with pinyin in full, as initials, mixed.

    typed                what it may become
    羽绒                  羽绒服, 羽绒服男
    yurong               the same, by full pinyin; the last syllable may be unfinished
    yrf                  the same, by initials
    羽绒f, yurongf, 苹果sj  the same, mixed

Everything here is immutable once made, so that all threads of a process share one object while the next is being made.
"""

import functools
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import orjson

from app.language.analysis import Analyser, is_han
from app.language.normal_form import normalise
from app.language.pinyin import pinyin
from app.listings.title_conditions import condition_in_title

LONGEST: Final = 20
"""Characters of the longest phrase."""

_MOST_TOKENS: Final = 4
_BETWEEN: Final = frozenset({"", " ", "-", "."})
_SPACES: Final = re.compile(r"[\s'’]+")
_NO_PHRASE: Final = frozenset({"新"})  # what is left of 九成新
_LONG_INITIALS: Final = frozenset({"zh", "ch", "sh"})
_AFTER_ALL: Final = "\U0010ffff"

# How much a phrase counts by the way in which it was found: letters typed as they stand in it are no guess.
_AS_TYPED, _BY_PINYIN, _BY_INITIALS, _MIXED = 1.0, 0.8, 0.6, 0.5

# A mixed query is tried as at most so many sequences of initials, and of what these find so many phrases are compared.
_MOST_READINGS: Final = 8
_MOST_COMPARED: Final = 60


def phrases_of(title: str, analyser: Analyser) -> set[str]:
    """What of a title people might type as a query: one to four neighbouring words, in normal form.

    It neither begins nor ends with talk or inside a measure (`128g`), says nothing of the condition, and is neither a
    number nor a character alone.
    """
    text = normalise(title)
    tokens = analyser.query_tokens(text)
    talk = analyser.lexicon.talk | _NO_PHRASE
    found = set()
    for first, token in enumerate(tokens):
        if token.text in talk or token.text.isdigit() or _is_glued(text, token.start):
            continue
        end = token.start
        for last in tokens[first : first + _MOST_TOKENS]:
            if text[end : last.start] not in _BETWEEN or last.end - token.start > LONGEST:
                break
            end = last.end
            inside = last.text.isdigit() and _is_glued(text, end)
            if last.text not in talk and not inside and end - token.start > 1:
                found.add(text[token.start : end])
    return {phrase for phrase in found if condition_in_title(phrase) is None}


def _is_glued(text: str, place: int) -> bool:
    """Whether Latin letters or digits stand on both sides of `place`."""
    around = text[max(place - 1, 0) : place + 1]
    return len(around) == 2 and around.isascii() and around.isalnum()


@dataclass(frozen=True, slots=True)
class _Keys:
    """Keys in order, and which phrase each stands for."""

    keys: list[str]
    phrases: npt.NDArray[np.int32]

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, int]]) -> "_Keys":
        ordered = sorted(pairs)
        return cls([key for key, _ in ordered], np.array([phrase for _, phrase in ordered], np.int32))

    def beginning_with(self, prefix: str) -> npt.NDArray[np.int32]:
        """The phrases whose key begins so."""
        first = bisect_left(self.keys, prefix)
        return self.phrases[first : bisect_left(self.keys, prefix + _AFTER_ALL, first)]


class Completions:
    """Phrases with weights, found by what they begin with."""

    def __init__(
        self, texts: list[str], weights: npt.NDArray[np.float64], *, literal: _Keys, full: _Keys, initials: _Keys
    ) -> None:
        """Use `of` or `load`."""
        self._texts, self._weights = texts, weights
        self._literal, self._full, self._initials = literal, full, initials

    def __len__(self) -> int:
        return len(self._texts)

    @classmethod
    def of(cls, weights: Mapping[str, float]) -> "Completions":
        """Completions to these phrases; of several that differ in spaces only, the heaviest is kept."""
        best: dict[str, tuple[float, str]] = {}
        for text, weight in weights.items():
            compact = _compact(text)
            if compact and (weight, text) > best.get(compact, (-1.0, "")):
                best[compact] = weight, text
        kept = sorted(best.items())
        texts = [text for _, (_, text) in kept]
        spoken = [(number, _syllables(compact)) for number, (compact, _) in enumerate(kept) if not compact.isascii()]
        return cls(
            texts,
            np.array([weight for _, (weight, _) in kept]),
            literal=_Keys.of((compact, number) for number, (compact, _) in enumerate(kept)),
            full=_Keys.of(("".join(syllables), number) for number, syllables in spoken),
            initials=_Keys.of(("".join(each[0] for each in syllables), number) for number, syllables in spoken),
        )

    def dump(self) -> bytes:
        """This as bytes, from which `load` makes it again, which is quicker than sorting once more."""
        keys = {name: getattr(self, f"_{name}") for name in ("literal", "full", "initials")}
        return orjson.dumps(
            {
                "texts": self._texts,
                "weights": self._weights,
                "keys": {name: [each.keys, each.phrases] for name, each in keys.items()},
            },
            option=orjson.OPT_SERIALIZE_NUMPY,
        )

    @classmethod
    def load(cls, dumped: bytes | str) -> "Completions":
        """What `dump` made."""
        read = orjson.loads(dumped)
        keys = {name: _Keys(texts, np.array(phrases, np.int32)) for name, (texts, phrases) in read["keys"].items()}
        return cls(read["texts"], np.array(read["weights"], np.float64), **keys)

    def complete(self, typed: str, *, limit: int) -> list[str]:
        """At most `limit` phrases that begin with what was typed, in whichever way it is meant, the heaviest first."""
        prefix = _compact(normalise(typed))
        if not prefix:
            return []
        ways = [(self._literal.beginning_with(prefix), _AS_TYPED)]
        if prefix.isascii():
            ways.append((self._full.beginning_with(prefix), _BY_PINYIN))
            ways.append((self._initials.beginning_with(prefix), _BY_INITIALS))
        if len(prefix) > 1 and re.search("[a-z]", prefix):
            ways.append((self._mixed(prefix), _MIXED))
        scores: dict[int, float] = {}
        for phrases, factor in ways:
            for phrase in self._heaviest(phrases, limit):
                scores[phrase] = max(scores.get(phrase, 0.0), factor * float(self._weights[phrase]))
        best = sorted(scores, key=lambda phrase: (-scores[phrase], len(self._texts[phrase]), self._texts[phrase]))
        return [self._texts[phrase] for phrase in best[:limit]]

    def _heaviest(self, phrases: npt.NDArray[np.int32], limit: int) -> list[int]:
        if len(phrases) > limit:
            phrases = phrases[np.argpartition(-self._weights[phrases], limit)[:limit]]
        found: list[int] = phrases.tolist()
        return found

    def _mixed(self, typed: str) -> npt.NDArray[np.int32]:
        """The phrases that begin with `typed` where each character may be itself, its syllable or an initial."""
        initials = set(_readings(typed))
        found = [self._initials.beginning_with(each) for each in initials if len(each) > 1]
        candidates = np.unique(np.concatenate(found)) if found else np.empty(0, np.int32)
        compared = self._heaviest(candidates, _MOST_COMPARED)
        # Phrases are numbered in the order of their compact texts, so these are the keys by which they are found.
        return np.array([each for each in compared if _begins(self._literal.keys[each], typed)], np.int32)


def _compact(text: str) -> str:
    return _SPACES.sub("", text)


def _syllables(compact: str) -> list[str]:
    """For each character its pinyin, or itself."""
    known = pinyin()
    return [known.get(character, character) for character in compact]


@functools.cache
def _known_syllables() -> tuple[frozenset[str], frozenset[str]]:
    """All syllables, and all that one may begin with."""
    syllables = frozenset(pinyin().values())
    return syllables, frozenset(each[:length] for each in syllables for length in range(1, len(each) + 1))


def _readings(typed: str) -> Iterator[str]:
    """The initials that `typed` may stand for, long syllables first; at most `_MOST_READINGS`."""
    syllables, beginnings = _known_syllables()
    waiting, given = [(0, "")], 0
    while waiting and given < _MOST_READINGS:
        position, initials = waiting.pop()
        if position == len(typed):
            yield initials
            given += 1
            continue
        character = typed[position]
        if is_han(character):
            waiting.append((position + 1, initials + _syllables(character)[0][0]))
            continue
        rest = typed[position:]
        waiting.append((position + 1, initials + character))
        waiting.extend(
            (position + length, initials + character)
            for length in range(2, min(6, len(rest)) + 1)
            if rest[:length] in _LONG_INITIALS
            or rest[:length] in syllables
            or (length == len(rest) and rest in beginnings)
        )


def _begins(phrase: str, typed: str) -> bool:
    """Whether `phrase` begins with what `typed` stands for, the last syllable perhaps unfinished."""
    places = {0}
    for character, syllable in zip(phrase, _syllables(phrase), strict=True):
        following: set[int] = set()
        for place in places:
            rest = typed[place:]
            if not rest or (rest != character and syllable.startswith(rest)):
                return True
            following.update(place + len(each) for each in _spellings(character, syllable) if rest.startswith(each))
        if not following:
            return False
        places = following
    return len(typed) in places


def _spellings(character: str, syllable: str) -> Sequence[str]:
    """What may be typed for a character: itself, its syllable, its initial."""
    if syllable[:2] in _LONG_INITIALS:
        return character, syllable, syllable[:2], syllable[0]
    return character, syllable, syllable[0]
