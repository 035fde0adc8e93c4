"""Mistyped words and pinyin in queries, and what is meant by them.

Frequency and the cost of the slip decide together: a word that many titles have is meant, even where some have the
mistyped one, if the slip is a likely one. Names of the lexicon and words that titles have often are left alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final

from app.language.analysis import Analyser, is_han
from app.language.lexicon import WordClass
from app.language.pinyin import pinyin
from app.language.vocabulary import Vocabulary
from app.search.understanding.types import Reason
from app.search.understanding.words import Word

_LEAST_RATIO: Final = ((1.0, 3), (1.2, 4), (1.5, 6), (1.8, 10), (2.0, 15), (9.0, 25))
"""By the most that a slip may cost: how many times as frequent the word must be that is meant."""
_LIKELY: Final = 1.2
"""What a slip may cost at most where a word of the dictionary was typed."""
_OF_THE_DICTIONARY: Final = 10
_KNOWN_COUNTS: Final = 3
"""How many titles of a word that the lexicon has not one of a word that it has is worth."""
_FREQUENT: Final = 30
_PINYIN_RATIO: Final = 5
_INITIALS_RATIO: Final = 20
_LONGEST_WINDOW: Final = 6
_LONGEST_PINYIN: Final = 40
_NAMES: Final = frozenset({WordClass.BRAND, WordClass.MODEL, WordClass.THING})


@dataclass(frozen=True, slots=True)
class Correction:
    """The text from `start` to `end` is meant for `meant`."""

    start: int
    end: int
    meant: str
    reason: Reason


class Speller:
    """Finds corrections, with the words that titles have."""

    def __init__(self, analyser: Analyser, vocabulary: Vocabulary) -> None:
        self._analyser = analyser
        self._lexicon = analyser.lexicon
        self._vocabulary = vocabulary
        self._spelling = vocabulary.spelling

    def corrections(self, text: str, words: Sequence[Word]) -> list[Correction]:
        """What is to be replaced in `text`, in order, without overlap."""
        found: list[Correction] = list(self._spaced_pinyin(words))
        for number, word in enumerate(words):
            if word.is_known or any(each.start <= word.start < each.end for each in found):
                continue
            if word.is_han:
                after = max((each.end for each in found if each.start <= word.start), default=0)
                correction = self._han(text, words, number, after=after)
            elif word.text.isascii() and word.text.isalpha():
                followed = next((each for each in words[number + 1 : number + 2]), None)
                correction = self._letters(word, before_digits=followed is not None and followed.text[0].isdigit())
            else:
                correction = None
            if correction is not None:
                found.append(correction)
        return sorted(found, key=lambda each: each.start)

    def _spaced_pinyin(self, words: Sequence[Word]) -> Iterator[Correction]:
        """Syllables that stand apart: `yu rong fu`, `nan xie`."""
        run: list[Word] = []
        for word in (*words, None):
            if word is not None and not word.is_talk and word.text in _syllables() and not self._is_latin_name(word):
                run.append(word)
                continue
            if len(run) > 1:
                meant = self._pinyin("".join(each.text for each in run), 0)
                if meant is not None:
                    yield Correction(run[0].start, run[-1].end, meant, Reason.PINYIN)
            run = []

    def _is_latin_name(self, word: Word) -> bool:
        return any(group.word_class in _NAMES for group in word.groups)

    def _han(self, text: str, words: Sequence[Word], number: int, *, after: int) -> Correction | None:
        """Segmentation splits a mistyped word (`连衣群`: 连衣, 群), so it is looked for with its neighbours, too."""
        word = words[number]
        frequency = self._vocabulary.frequency(word.text)
        if len(word.text) > 1 and frequency >= _FREQUENT:
            return None
        best: tuple[tuple[float, float], Correction] | None = None
        for window in _windows(words, number):
            start, end = window[0].start, window[-1].end
            if start < after:
                continue
            typed = text[start:end]
            found = self._best(typed, frequency=min(self._vocabulary.frequency(each.text) for each in window))
            if found is None:
                continue
            meant, cost = found
            rank = (len(typed) - cost, float(self._worth(meant)))
            if best is None or rank > best[0]:
                best = rank, Correction(start, end, meant, Reason.TYPO)
        return None if best is None else best[1]

    def _best(self, typed: str, *, frequency: int) -> tuple[str, float] | None:
        """The likeliest word for `typed`, which `frequency` titles have, and what the slip costs."""
        in_dictionary = is_han(typed) and len(typed) > 1 and len(self._analyser.dictionary_words(typed)) == 1
        best: tuple[float, str, float] | None = None
        for guess in self._spelling.guesses(typed, shapes=self._lexicon.shapes):
            worth = self._worth(guess.word)
            if not worth:
                continue
            if in_dictionary:
                possible = guess.cost <= _LIKELY and self._is_name(guess.word)
                ratio = _OF_THE_DICTIONARY
            else:
                possible = True
                ratio = next(ratio for most, ratio in _LEAST_RATIO if guess.cost <= most)
            if possible and worth >= ratio * frequency:
                value = worth / 4.0**guess.cost
                if best is None or value > best[0]:
                    best = value, guess.word, guess.cost
        return None if best is None else best[1:]

    def _letters(self, word: Word, *, before_digits: bool) -> Correction | None:
        letters = word.text
        frequency = self._vocabulary.frequency(letters)
        meant = self._pinyin(letters, frequency) or self._initials(letters, frequency, before_digits=before_digits)
        if meant is not None:
            return Correction(word.start, word.end, meant, Reason.PINYIN)
        found = self._best(letters, frequency=frequency)
        return None if found is None else Correction(word.start, word.end, found[0], Reason.TYPO)

    def _pinyin(self, letters: str, frequency: int) -> str | None:
        best = self._most_worth(self._spelling.read_as(letters))
        if best is not None:
            return best if self._worth(best) > _PINYIN_RATIO * frequency else None
        return self._several_read_as(letters) if frequency == 0 and 4 <= len(letters) <= _LONGEST_PINYIN else None

    def _several_read_as(self, letters: str) -> str | None:
        """Several words written together: `nanshiyurongfu`; the fewest words, of these the most frequent ones."""
        longest = self._spelling.longest_pinyin
        best: list[tuple[int, float, str] | None] = [None] * (len(letters) + 1)
        best[0] = (0, 0.0, "")
        for end in range(1, len(letters) + 1):
            for start in range(max(0, end - longest), end):
                before = best[start]
                if before is None:
                    continue
                word = self._most_worth(self._spelling.read_as(letters[start:end]))
                if word is None:
                    continue
                reached = (before[0] + 1, before[1] - self._worth(word), f"{before[2]} {word}".strip())
                current = best[end]
                if current is None or reached < current:
                    best[end] = reached
        last = best[-1]
        return None if last is None else last[2]

    def _initials(self, letters: str, frequency: int, *, before_digits: bool) -> str | None:
        words = [word for word in self._spelling.beginning_with(letters) if self._is_name(word)]
        if before_digits:  # letters before a number are a model's, unless they are a brand's
            words = [word for word in words if self._lexicon.named(word)[0].word_class is WordClass.BRAND]
        best = self._most_worth(words)
        return best if best is not None and self._worth(best) > _INITIALS_RATIO * frequency else None

    def _most_worth(self, words: Sequence[str]) -> str | None:
        """The word that most titles have; one character alone must be a name."""
        candidates = [(self._worth(word), word) for word in words if len(word) > 1 or self._is_name(word)]
        worth, word = max(candidates, default=(0, ""))
        return word if worth else None

    def _worth(self, word: str) -> int:
        """How many titles have `word`; of a name, under any name of the same or of a kind of it, and counted more."""
        frequency = self._vocabulary.frequency(word)
        if not self._is_name(word):
            return frequency
        names = (name for group in self._lexicon.named(word) for name in (*group.names, *group.narrower))
        of_group = max(map(self._vocabulary.frequency, names))
        return _KNOWN_COUNTS * max(frequency, min(of_group, _FREQUENT))

    def _is_name(self, word: str) -> bool:
        return any(group.word_class in _NAMES for group in self._lexicon.named(word))


@cache
def _syllables() -> frozenset[str]:
    return frozenset(pinyin().values())


def _windows(words: Sequence[Word], number: int) -> Iterator[Sequence[Word]]:
    """The word with up to two neighbours on each side that the lexicon does not know and that stand without a gap."""
    for first in range(max(number - 2, 0), number + 1):
        for last in range(number, min(number + 3, len(words))):
            window = words[first : last + 1]
            length = window[-1].end - window[0].start
            if (
                2 <= length <= _LONGEST_WINDOW
                and all(each.is_han and not each.groups and len(each.text) <= 4 for each in window)
                and all(left.end == right.start for left, right in pairwise(window))
            ):
                yield window
