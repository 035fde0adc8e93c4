"""What a mistyped word may be meant for: words of titles by their letters, their sound and their shape.

The index is made once per word and only grows; whether titles still have a word is the vocabulary's to say. Reading it
takes microseconds: everything that could be compared is a key of a table.
"""

import itertools
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from app.language.analysis import is_han
from app.language.pinyin import pinyin, readings

SAME_SOUND: Final = 1.0
SAME_SHAPE: Final = 1.2
LIKE_SOUND: Final = 1.5
SWAPPED: Final = 1.5
DOUBLED: Final = 1.0
ONE_TOO_MANY: Final = 1.8
OTHER_CHARACTER: Final = 2.5
TWO_EDITS: Final = 2.6
"""What slips cost: how unlikely each is."""

_SHORTEST_LATIN: Final = 4
_SHORTEST_WITH_TWO_EDITS: Final = 8
_LONGEST: Final = 24
_LONGEST_INITIALS: Final = 6


@dataclass(frozen=True, slots=True)
class Guess:
    """A word that may be meant, and what the slip costs."""

    word: str
    cost: float


class SpellingIndex:
    """Tables over words; threads share it, and words may be added while others read."""

    def __init__(self) -> None:
        self._adding = threading.Lock()
        self._words: set[str] = set()
        self._by_sound: dict[str, list[str]] = {}
        self._by_like_sound: dict[str, list[str]] = {}
        self._by_initials: dict[str, list[str]] = {}
        self._by_gap: dict[str, list[str]] = {}
        self._by_deletion: dict[str, list[str]] = {}
        self._by_character: dict[str, list[str]] = {}
        self._latin_words: list[str] = []
        self._longest_sound = 0

    def add(self, words: Iterable[str]) -> None:
        """Add words of titles; those with digits have no spelling."""
        with self._adding:
            for word in words:
                if word not in self._words and len(word) <= _LONGEST and not any(map(str.isdigit, word)):
                    self._words.add(word)
                    if is_han(word):
                        self._add_han(word)
                        continue
                    self._latin_words.append(word)
                    if len(word) >= _SHORTEST_LATIN:
                        for key in _deletions(word):
                            self._by_deletion.setdefault(key, []).append(word)

    def _add_han(self, word: str) -> None:
        for character in set(word):
            self._by_character.setdefault(character, []).append(word)
        syllables = syllables_of(word)
        if syllables is not None:
            for sound in sounds_of(word):
                self._by_sound.setdefault(sound, []).append(word)
                self._longest_sound = max(self._longest_sound, len(sound))
            self._by_like_sound.setdefault(_alike(syllables), []).append(word)
            if 2 <= len(word) <= _LONGEST_INITIALS:
                for initials in initials_of(word):
                    self._by_initials.setdefault(initials, []).append(word)
        if len(word) >= 3:
            for place in range(len(word)):
                self._by_gap.setdefault(f"{word[:place]}*{word[place + 1 :]}", []).append(word)

    def read_as(self, letters: str) -> list[str]:
        """The words whose pinyin is `letters`."""
        return self._by_sound.get(letters, [])

    def beginning_with(self, letters: str) -> list[str]:
        """The words whose syllables begin with `letters`, one each: sj is 手机."""
        return self._by_initials.get(letters, [])

    @property
    def longest_pinyin(self) -> int:
        """How many letters the pinyin of any word has at most."""
        return self._longest_sound

    def containing(self, text: str) -> list[str]:
        """The longer words that contain `text`, which is one Han character, or Latin letters."""
        words = self._by_character.get(text, []) if is_han(text) else self._latin_words
        return [word for word in words if text in word and word != text]

    def guesses(self, typed: str, *, shapes: "Shapes") -> list[Guess]:
        """What a Han word or a Latin one may be meant for, each once with its least cost."""
        found: dict[str, float] = {}
        for guess in self._han(typed, shapes) if is_han(typed) else self._latin(typed):
            if guess.word != typed and guess.cost < found.get(guess.word, 9.0):
                found[guess.word] = guess.cost
        return [Guess(word, cost) for word, cost in found.items()]

    def _han(self, typed: str, shapes: "Shapes") -> Iterator[Guess]:
        yield from self._sounding_alike(typed)
        for place, character in enumerate(typed):
            for other in shapes.get(character, ""):
                yield from self._if_word(f"{typed[:place]}{other}{typed[place + 1 :]}", SAME_SHAPE)
        for place in range(len(typed) - 1):
            yield from self._if_word(typed[:place] + typed[place + 1] + typed[place] + typed[place + 2 :], SWAPPED)
        if len(typed) >= 3:
            for place in range(len(typed)):
                for word in self._by_gap.get(f"{typed[:place]}*{typed[place + 1 :]}", ()):
                    yield Guess(word, OTHER_CHARACTER if len(typed) == 3 else OTHER_CHARACTER - 0.5)
        if len(typed) >= 4:
            for place in range(len(typed)):
                yield from self._if_word(typed[:place] + typed[place + 1 :], ONE_TOO_MANY)

    def _sounding_alike(self, typed: str) -> Iterator[Guess]:
        syllables = syllables_of(typed)
        if syllables is None:
            return
        for cost, words in (
            (SAME_SOUND, self._by_sound.get("".join(syllables), ())),
            (LIKE_SOUND, self._by_like_sound.get(_alike(syllables), ())),
        ):
            for word in words:
                if len(word) == len(typed):
                    yield Guess(word, cost)

    def _if_word(self, word: str, cost: float) -> Iterator[Guess]:
        if word in self._words:
            yield Guess(word, cost)

    def _latin(self, typed: str) -> Iterator[Guess]:
        if not _SHORTEST_LATIN <= len(typed) <= _LONGEST:
            return
        limit = 1 if len(typed) < _SHORTEST_WITH_TWO_EDITS else 2
        for key in _deletions(typed):
            for word in self._by_deletion.get(key, ()):
                steps = edit_distance(typed, word, limit=limit)
                if steps is not None:
                    yield Guess(word, _latin_cost(typed, word, steps))


Shapes = Mapping[str, str]
"""By character those that are drawn alike."""


def _latin_cost(typed: str, word: str, steps: int) -> float:
    if _without_doubles(typed) == _without_doubles(word):
        return DOUBLED
    if steps > 1:
        return TWO_EDITS
    return SWAPPED if sorted(typed) == sorted(word) else 3.2 - 0.2 * min(len(word), 9)


def _without_doubles(word: str) -> str:
    return "".join(each for place, each in enumerate(word) if place == 0 or word[place - 1] != each)


@lru_cache(maxsize=65536)
def syllables_of(word: str) -> tuple[str, ...] | None:
    """The pinyin of a Han word by syllables, None where a character has none that we know."""
    table = pinyin()
    found = tuple(table.get(character, "") for character in word)
    return found if all(found) else None


_MOST_SOUNDS: Final = 4


def sounds_of(word: str) -> list[str]:
    """The pinyin of a Han word in all its readings, the commonest first: 空调 is kongdiao and kongtiao."""
    return list(dict.fromkeys("".join(way) for way in _ways_to_read(word)))


def initials_of(word: str) -> list[str]:
    """The first letters of a Han word's syllables, in all its readings: 空调 is kd and kt."""
    return list(dict.fromkeys("".join(syllable[0] for syllable in way) for way in _ways_to_read(word)))


def _ways_to_read(word: str) -> list[tuple[str, ...]]:
    syllables = syllables_of(word)
    if syllables is None:
        return []
    several = readings()
    ways = [several.get(character, (syllable,)) for character, syllable in zip(word, syllables, strict=True)]
    return list(itertools.islice(itertools.product(*ways), _MOST_SOUNDS))


_ALIKE_INITIALS: Final = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("n", "l"), ("r", "l"), ("f", "h"))
_ALIKE_FINALS: Final = (("ang", "an"), ("eng", "en"), ("ing", "in"))


@lru_cache(maxsize=1024)
def _alike_syllable(syllable: str) -> str:
    """The syllable as people say it who do not tell n from l, zh from z, ing from in."""
    for initial, other in _ALIKE_INITIALS:
        if syllable.startswith(initial):
            syllable = other + syllable[len(initial) :]
            break
    for final, other in _ALIKE_FINALS:
        if syllable.endswith(final):
            return syllable[: -len(final)] + other
    return syllable


def _alike(syllables: Iterable[str]) -> str:
    return "".join(map(_alike_syllable, syllables))


def _deletions(word: str) -> set[str]:
    """`word`, and what is left of it without any one of its letters."""
    return {word, *(word[:place] + word[place + 1 :] for place in range(len(word)))}


@lru_cache(maxsize=4096)
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
