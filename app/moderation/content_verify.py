"""Text check (content_verify in the API spec, `api-notes.txt`): listed words, phone numbers, messenger ids.

A text is normalised (`app.language.normal_form`: full-width, traditional and styled letters become plain ones), then
searched with its separators removed, because 加.微.信 is as readable as 加微信. But titles use spaces like commas (水枪
支架 does not contain 枪支), so words with separators inside only count by the rules of `_is_one_word`.

A word list is a UTF-8 text file: the first line is the reason that users read, then one word per line. `!` starts a
phrase inside which the listed words are permitted (`!不加微信`), `#` a comment.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

from ahocorasick_rs import AhoCorasick, Implementation

from app.language.contacts import contacts_in
from app.language.normal_form import normalise

CONTACT_REASON: Final = "涉嫌引流"


class WordListError(ValueError):
    """A word list cannot be used; the message names file and line."""


@dataclass(frozen=True, slots=True)
class Word:
    """One entry of the lists. `reason` is None for a permitted phrase (`!…`)."""

    text: str
    reason: str | None


class _Hit(NamedTuple):
    start: int
    end: int
    word: Word


@cache
def lexicon(folder: Path) -> "Lexicon":
    """The lexicon of the `*.txt` files in `folder`. Raises `WordListError` if there are none or one is malformed."""
    words = [word for path in sorted(folder.glob("*.txt")) for word in read_words(path)]
    if not words:
        raise WordListError(f"{folder}: no words; the setting SENSITIVE_WORDS_PATH names the folder of the lists")
    return Lexicon(words)


def read_words(path: Path) -> Iterator[Word]:
    """The entries of one list. Raises `WordListError` for a list without a reason or an entry without letters."""
    reason, *lines = path.read_text(encoding="utf-8").splitlines() or [""]
    if not reason.strip() or reason.startswith(("#", "!")):
        raise WordListError(f"{path}:1: the first line is the reason that users read")
    for number, line in enumerate(lines, start=2):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        permitted = entry.startswith("!")
        text = entry.removeprefix("!").strip()
        if not any(character.isalnum() for character in text):
            raise WordListError(f"{path}:{number}: {entry!r} has no letter or digit")
        yield Word(text, None if permitted else reason.strip())


class Lexicon:
    """Searches a text for all words at once (Aho-Corasick: time grows with the text, not with the list)."""

    def __init__(self, words: list[Word]) -> None:
        self._words = words
        self._plain_words = [normalise(word.text) for word in words]
        self._automaton = AhoCorasick(
            [_without_separators(word)[0] for word in self._plain_words], implementation=Implementation.ContiguousNFA
        )

    def check(self, text: str) -> list[str]:
        """Why `text` may not be shown, in the order of appearance and each reason once; empty if it may."""
        plain = normalise(text)
        found = [(hit.start, f"{hit.word.reason}:{hit.word.text}") for hit in self._forbidden_words(plain)]
        found += [(start, f"{CONTACT_REASON}:{what}") for start, what in contacts_in(plain)]
        return list(dict.fromkeys(reason for _, reason in sorted(found)))

    def _forbidden_words(self, plain: str) -> Iterator[_Hit]:
        squeezed, places = _without_separators(plain)
        hits = [
            _Hit(places[start], places[end - 1] + 1, self._words[index])
            for index, start, end in self._automaton.find_matches_as_indexes(squeezed, overlapping=True)
            if _is_one_word(plain, places[start:end], self._plain_words[index])
        ]
        # A word inside a longer one is not reported, and neither is one inside a permitted phrase.
        covered_to = 0
        for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end, hit.word.reason is not None)):
            if hit.end > covered_to:
                covered_to = hit.end
                if hit.word.reason is not None:
                    yield hit


def _without_separators(plain: str) -> tuple[str, list[int]]:
    """`plain` without separators (blanks, punctuation, symbols, marks), and the index in `plain` of each character."""
    places = [place for place, character in enumerate(plain) if character.isalnum()]
    return "".join([plain[place] for place in places]), places


# Characters that end a clause: readers do not join what stands before and after them into one word.
_CLAUSE_ENDS = re.compile(r"[\n\r,;!?、。]")
_SHORTEST_ACROSS_BLANKS: Final = 3


def _is_one_word(plain: str, places: list[int], word: str) -> bool:
    """Whether readers see the characters of `plain` at `places` as `word`.

    Latin letters and digits must not continue outside of it (dvx100 does not contain vx). If there are separators
    inside that are not the word's own (as in 1:1复刻), then either every character must stand alone (加.微.信, 枪 支),
    or the word must have at least three characters, with no end of a clause inside and no Latin word split (加 微信 and
    加-vx count; 加,微信, 水枪 支架 and we chat do not).
    """
    first, last = places[0], places[-1]
    if first > 0 and _continues(plain[first - 1], plain[first]):
        return False
    if last + 1 < len(plain) and _continues(plain[last], plain[last + 1]):
        return False
    if last - first + 1 == len(places) or plain[first : last + 1] == word:
        return True
    if all(after - before > 1 for before, after in pairwise(places)):
        alone_before = first == 0 or not plain[first - 1].isalnum()
        alone_after = last + 1 == len(plain) or not plain[last + 1].isalnum()
        if alone_before and alone_after:
            return True
    return (
        len(places) >= _SHORTEST_ACROSS_BLANKS
        and not _CLAUSE_ENDS.search(plain, first, last)
        and not any(
            after - before > 1 and plain[before].isascii() and plain[after].isascii()
            for before, after in pairwise(places)
        )
    )


def _continues(left: str, right: str) -> bool:
    """Whether two neighbours belong to one Latin word or one number."""
    if not (left.isascii() and right.isascii()):
        return False
    return (left.isalpha() and right.isalpha()) or (left.isdigit() and right.isdigit())
