"""Finds the words of the lists in folded texts: all at once, as they are listed, split, spelled or sounding alike."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from ahocorasick_rs import AhoCorasick

from app.moderation.text.automaton import Automaton, Indices
from app.moderation.text.borders import (
    begins_inside_word,
    cuts_words,
    ends_sentence,
    is_inside_word,
    is_one_word,
    stands_alone,
)
from app.moderation.text.folding import DATA, Folded, fold_word, fold_words, lines, pinyin, syllables_of
from app.moderation.text.word_lists import Entry, Section, Word
from app.moderation.verdicts import Decision

Cut: TypeAlias = Callable[[str], list[str]]

_LONGEST_RESPELLED: Final = 4
_SHORTEST_IN_LATIN: Final = 5
_SHORTEST_WITH_INITIAL: Final = 3
# Longer Han words cut through no other ones by accident.
_LONGEST_CUTTING: Final = 3
_FARTHEST_UNLESS: Final = 20
# Single characters of a pair count beside the other word only, and make a side a bad one to search for.
_NEAREST_SINGLE: Final = 2
_SINGLE: Final = 3
# How far words of the other side may reach beyond the distance of a pair.
_LONGEST_BESIDE: Final = 8
# So many words of one side are looked at in one text: more are there to make the check slow.
_MOST_OF_A_PAIR: Final = 20
_FAR: Final = 1 << 40
"""More than any text is long."""
_NO_TRIGGERS: Final[Mapping[str, frozenset[str]]] = {}


class Find(NamedTuple):
    """Words of a section that stand at `start` to `end` in `Folded.text`; `label` is what the lists say there.

    `exact` is False where only the sound or a respelling is the listed one's.
    """

    start: int
    end: int
    section: Section
    label: str
    exact: bool


class _Needle(NamedTuple):
    """What the automaton looks for, and what it belongs to: an entry, or the rarer side of a pair."""

    entry: Entry
    word: Word
    folded: str
    exact: bool


class _Table:
    """Some numbers for each word, looked up for many words at once."""

    def __init__(self, rows: Sequence[Sequence[int]]) -> None:
        self._counts = np.array([len(row) for row in rows], np.intp)
        self._starts = np.concatenate((np.zeros(1, np.intp), np.cumsum(self._counts)))
        self._numbers = np.array([number for row in rows for number in row], np.intp)

    def rows(self, words: Indices) -> tuple[Indices, Indices, Indices]:
        """For each number of each of the words: which of `words` it is of, the number, and its place in the row."""
        counts = self._counts.take(words)
        at = np.repeat(np.arange(words.size, dtype=np.intp), counts)
        place = np.arange(at.size, dtype=np.intp) - np.repeat(np.cumsum(counts) - counts, counts)
        return at, self._numbers.take(self._starts.take(words).take(at) + place), place


class _Place(NamedTuple):
    """One occurrence of what some needles look for, in `Folded.text`.

    It begins at `first` of `Folded.squeezed` and has `length` characters there.
    """

    start: int
    end: int
    needles: list[_Needle]
    first: int
    length: int


class _Other(NamedTuple):
    """A word of the other side of a pair where it stands."""

    start: int
    end: int
    length: int
    word: Word
    exact: bool


class _Others(NamedTuple):
    """The words of the other side of a pair, with their spellings; `words[i]` is what pattern `i` spells."""

    automaton: AhoCorasick
    words: list[tuple[Word, bool]]

    @classmethod
    def of(cls, words: Iterable[Word]) -> "_Others":
        """Those of `words`."""
        spelled: dict[str, tuple[Word, bool]] = {}
        for word in words:
            folded = fold_word(word.text)
            spelled[folded] = (word, True)
            for respelled in _respellings(folded, in_latin=True):
                spelled.setdefault(respelled, (word, False))
        return cls(AhoCorasick(list(spelled)), list(spelled.values()))


class _Pairs:
    """Which words of the searched sides of pairs have one of the other side near enough, for many at once.

    Most goods say something like 手机 or 出; only where both sides stand is a pair worth a look. This answers nothing
    finally: it lets through all that `Lexicon._pair` would find, and a little more.
    """

    def __init__(self, sides: Sequence[int], needles: list[list[_Needle]], searched: _Table, other: _Table) -> None:
        self._sides = np.array([*sides, 0], np.intp)
        self._needles = needles
        self._searched = searched
        self._other = other

    @classmethod
    def of(cls, words: Sequence[tuple[list[_Needle], list[Entry]]]) -> "_Pairs":
        """Of the words of the automaton: what each is searched for, and the pairs whose other side it is of."""
        numbers: dict[int, int] = {}
        sides: list[int] = []

        def number(entry: Entry) -> int:
            if id(entry) not in numbers:
                numbers[id(entry)] = len(numbers)
                sides.append((entry.section.near or 0) + _LONGEST_BESIDE)
            return numbers[id(entry)]

        searched = _Table([[number(needle.entry) for needle in needles] for needles, _ in words])
        other = _Table([[number(entry) for entry in entries] for _, entries in words])
        return cls(sides, [needles for needles, _ in words], searched, other)

    def possible(self, words: Indices, firsts: Indices, behinds: Indices) -> dict[int, list[_Needle]]:
        """Of the occurrences of words those, by their number, that may make a pair, with the needles."""
        at_other, pairs_other, _ = self._other.rows(words)
        if not at_other.size:
            return {}
        at, pairs, which = self._searched.rows(words)
        keys = np.sort(pairs_other * _FAR + firsts.take(at_other))
        own = pairs * _FAR
        sides = self._sides.take(pairs)
        first = np.searchsorted(keys, own + np.maximum(firsts.take(at) - sides, 0))
        last = np.searchsorted(keys, own + behinds.take(at) + sides)
        found: dict[int, list[_Needle]] = {}
        for row in np.flatnonzero(first < last).tolist():
            match = int(at[row])
            found.setdefault(match, []).append(self._needles[int(words[match])][int(which[row])])
        return found


class Lexicon:
    """Searches texts for all entries at once (Aho-Corasick: time grows with the text, not with the lists).

    `cut` cuts a text into the words of a dictionary. `triggers` are folded words, each with names: of these it only
    says which texts have them.
    """

    def __init__(
        self, entries: Iterable[Entry], *, cut: Cut, triggers: Mapping[str, frozenset[str]] = _NO_TRIGGERS
    ) -> None:
        self._cut = cut
        spelled: dict[str, list[_Needle]] = defaultdict(list)
        sounding: dict[str, list[_Needle]] = defaultdict(list)
        self._unless: dict[Section, AhoCorasick] = {}
        self._entries: list[Entry] = []  # keeps their ids
        self._beside_of: dict[int, tuple[Word, ...]] = {}
        self._others: dict[int, _Others] = {}
        entries = list(entries)
        folds = fold_words(word.text for entry in entries for word in (*entry.words, *entry.beside))
        for entry in entries:
            section = entry.section
            if section.unless and section not in self._unless:
                self._unless[section] = AhoCorasick(list(filter(None, map(fold_word, section.unless))))
            words, beside = sides_of(entry)
            self._beside_of[id(entry)] = beside
            self._entries.append(entry)
            for word in words:
                folded = folds[word.text]
                spelled[folded].append(_Needle(entry, word, folded, exact=True))
                if section.permitted:
                    continue
                for respelled in _respellings(folded, in_latin=section.sounds):
                    spelled[respelled].append(_Needle(entry, word, folded, exact=False))
                if section.sounds and len(folded) > 1 and _all_sound(folded):
                    sounding[syllables_of(folded)].append(_Needle(entry, word, folded, exact=False))
        for trigger in triggers:
            spelled[trigger] += []
        of_pairs = self._beside_spellings(folds)
        for written in of_pairs:
            spelled[written] += []
        self._spellings = len(spelled) + len(sounding)
        self._triggers = [triggers.get(word) for word in spelled]
        self._permitted = [[needle for needle in found if needle.entry.section.permitted] for found in spelled.values()]
        self._singles = [
            [needle for needle in found if needle.entry.section.near is None and not needle.entry.section.permitted]
            for found in spelled.values()
        ]
        self._is_permitted = np.array([bool(needles) for needles in self._permitted])
        self._is_single = np.array(
            [bool(needles) or names is not None for needles, names in zip(self._singles, self._triggers, strict=True)]
        )
        self._pairs = _Pairs.of(
            [
                ([needle for needle in found if needle.entry.section.near is not None], of_pairs.get(written, []))
                for written, found in spelled.items()
            ]
        )
        self._sounding = list(sounding.values())
        self._spelled_automaton = Automaton(list(spelled))
        self._sounds_automaton = Automaton(list(sounding))

    @property
    def spellings(self) -> int:
        """How many spellings it looks for."""
        return self._spellings

    def _beside_spellings(self, folds: Mapping[str, str]) -> dict[str, list[Entry]]:
        """The spellings of the words that are looked for beside others, with the pairs that they are of."""
        found: dict[str, list[Entry]] = defaultdict(list)
        for entry in self._entries:
            for word in self._beside_of[id(entry)]:
                folded = folds[word.text]
                for spelled in {folded, *_respellings(folded, in_latin=True)}:
                    found[spelled].append(entry)
        return dict(found)

    def find(self, folded: Folded) -> tuple[dict[int, list[Find]], dict[int, set[str]]]:
        """What stands in each of the texts, by the number of the text, and the names of the triggers that are in it.

        Texts without anything are left out.
        """
        by_text: dict[int, list[_Place]] = defaultdict(list)
        triggered = self._find_spelled(folded, by_text)
        self._find_sounding(folded, by_text)
        found = {}
        for number, places in by_text.items():
            finds = list(self._finds(folded, number, places))
            if finds:
                found[number] = finds
        return found, triggered

    def _find_spelled(self, folded: Folded, by_text: dict[int, list[_Place]]) -> dict[int, set[str]]:
        words, firsts, behinds = self._spelled_automaton.find(folded.squeezed_codes)
        triggered: dict[int, set[str]] = defaultdict(set)
        text, places = folded.text, folded.places
        possible = self._pairs.possible(words, firsts, behinds)
        worth = self._is_single.take(words)
        worth[list(possible)] = True
        for at in np.flatnonzero(worth).tolist():
            index, first, behind = int(words[at]), int(firsts[at]), int(behinds[at])
            start, end = places[first], places[behind - 1] + 1
            names = self._triggers[index]
            # One letter may be a sign for a messenger with an id directly behind it: 加vabc123.
            if names is not None and not (
                begins_inside_word(text, start) if end - start == 1 else is_inside_word(text, start, end)
            ):
                triggered[folded.number_of(start)] |= names
            needles = self._singles[index] + possible.get(at, [])
            if needles:
                self._place(folded, by_text[folded.number_of(start)], first, behind, needles)
        if by_text:
            for at in np.flatnonzero(self._is_permitted.take(words)).tolist():
                index, first, behind = int(words[at]), int(firsts[at]), int(behinds[at])
                found = by_text.get(folded.number_of(places[first]))
                if found is not None:
                    self._place(folded, found, first, behind, self._permitted[index])
        return triggered

    @staticmethod
    def _place(folded: Folded, found: list[_Place], first: int, behind: int, needles: list[_Needle]) -> None:
        """Put it to what is found in its text, if readers see a word there."""
        start, end = folded.places[first], folded.places[behind - 1] + 1
        inner = None if end - start == behind - first else folded.places[first:behind]
        permitted = needles[0].entry.section.permitted
        if is_one_word(folded.text, start, end, inner, needles[0].word.text, across_blanks=permitted):
            found.append(_Place(start, end, needles, first, behind - first))

    def _find_sounding(self, folded: Folded, by_text: dict[int, list[_Place]]) -> None:
        places, text = folded.places, folded.text
        matches = self._sounds_automaton.find(folded.syllable_codes)
        for index, first, behind in zip(*(column.tolist() for column in matches), strict=True):
            written = folded.squeezed[first:behind]
            needles = [needle for needle in self._sounding[index] if _sounds_like(written, needle.folded)]
            start, end = places[first], places[behind - 1] + 1
            inner = None if end - start == behind - first else places[first:behind]
            if not needles or not is_one_word(text, start, end, inner, written):
                continue
            if stands_alone(text, start, end, written, needles[0].folded, self._cut):
                by_text[folded.number_of(start)].append(_Place(start, end, needles, first, behind - first))

    def _finds(self, folded: Folded, number: int, places: list[_Place]) -> Iterator[Find]:
        if len(places) > 1:
            places.sort(key=lambda place: place.start)
        permitted = [place for place in places if place.needles[0].entry.section.permitted]
        paired: dict[int, list[tuple[_Place, _Needle]]] = {}
        for place in places:
            if place.needles[0].entry.section.permitted or _is_permitted(place, permitted):
                continue
            for needle in place.needles:
                section = needle.entry.section
                if section.near is not None:
                    paired.setdefault(id(needle.entry), []).append((place, needle))
                elif not self._cuts(folded, place, needle.word, exact=needle.exact) and not self._is_excused(
                    folded, number, section, place.start, place.end
                ):
                    yield Find(place.start, place.end, section, needle.word.text, needle.exact)
        for sides in paired.values():
            for place, needle in sides[:_MOST_OF_A_PAIR]:
                find = self._pair(folded, number, place, needle, permitted)
                if find is not None:
                    yield find
                    break

    def _pair(
        self, folded: Folded, number: int, place: _Place, needle: _Needle, permitted: Sequence[_Place]
    ) -> Find | None:
        """The pair that a word makes with one of the other side, if one stands beside it."""
        section = needle.entry.section
        for other in self._beside(folded, place, needle.entry):
            near = section.near or 0
            if place.length == 1 or other.length == 1:
                near = min(near, _NEAREST_SINGLE)
            if _gap(folded, place, other) > near:
                continue
            if _is_permitted(other, permitted):
                continue
            if self._cuts(folded, place, needle.word, exact=needle.exact):
                return None
            if self._cuts(folded, other, other.word, exact=other.exact):
                continue
            start, end = min(place.start, other.start), max(place.end, other.end)
            if self._is_excused(folded, number, section, start, end):
                continue
            texts = (needle.word.text, other.word.text)
            label = "…".join(texts if place.start <= other.start else reversed(texts))
            return Find(start, end, section, label, needle.exact and other.exact)
        return None

    def _beside(self, folded: Folded, place: _Place, entry: Entry) -> Iterator[_Other]:
        """The words of the other side of a pair around a word of this side."""
        others = self._others.get(id(entry))
        if others is None:
            others = self._others[id(entry)] = _Others.of(self._beside_of[id(entry)])
        side = (entry.section.near or 0) + _LONGEST_BESIDE
        first = max(0, place.first - side)
        window = folded.squeezed[first : place.first + place.length + side]
        for index, begin, behind in others.automaton.find_matches_as_indexes(window, overlapping=True):
            start, end = folded.places[first + begin], folded.places[first + behind - 1] + 1
            inner = None if end - start == behind - begin else folded.places[first + begin : first + behind]
            word, exact = others.words[index]
            if is_one_word(folded.text, start, end, inner, word.text):
                yield _Other(start, end, behind - begin, word, exact)

    def _cuts(self, folded: Folded, place: "_Place | _Other", word: Word, *, exact: bool) -> bool:
        """Whether the word is only made of parts of others. Longer ones are not, but where a blank stands inside."""
        if word.cuts or not exact:
            return False
        if place.length > _LONGEST_CUTTING and place.end - place.start == place.length:
            return False
        return cuts_words(folded.text, place.start, place.end, self._cut)

    def _is_excused(self, folded: Folded, number: int, section: Section, start: int, end: int) -> bool:
        automaton = self._unless.get(section)
        if automaton is None:
            return False
        first, text = folded.part(number)
        around = text[max(0, start - first - _FARTHEST_UNLESS) : end - first + _FARTHEST_UNLESS]
        return bool(automaton.find_matches_as_indexes(around))


def _is_permitted(place: _Place | _Other, phrases: Sequence[_Place]) -> bool:
    """Whether it is part of a longer phrase that is permitted. What is listed itself counts."""
    return any(
        phrase.start <= place.start and place.end <= phrase.end and phrase.length > place.length for phrase in phrases
    )


def _gap(folded: Folded, one: _Place, other: _Other) -> int:
    """How many characters stand between them, what separates not counted; very many where they overlap or are in
    two sentences.
    """
    end, start = (one.end, other.start) if one.start <= other.start else (other.end, one.start)
    if start < end or ends_sentence(folded.text, end, start):
        return 1_000_000
    return sum(map(str.isalnum, folded.text[end:start]))


def sides_of(entry: Entry) -> tuple[tuple[Word, ...], tuple[Word, ...]]:
    """The words of an entry that every text is searched for, and those that are looked for beside them.

    Of a pair the first are those of the side with fewer words that ordinary texts have (`data/common.txt`).
    """
    if not entry.beside:
        return entry.words, ()
    sides = sorted((entry.words, entry.beside), key=_commonness)
    return sides[0], sides[1]


def _commonness(words: tuple[Word, ...]) -> int:
    return sum(_SINGLE if len(word.text) == 1 else word.text in _common() for word in words)


@cache
def _common() -> frozenset[str]:
    return frozenset(word.replace("_", " ") for line in lines(DATA / "common.txt") for word in line.split())


# Characters that stand beside all others: that one of these is the same says nothing.
_EVERYWHERE: Final = frozenset("他她它我你您的了要加就还又到很不是在有人女男和与子从给看买卖大小电一个")


def _sounds_like(written: str, meant: str) -> bool:
    """Whether characters of the same sound are taken for `meant`: two that are both others are mostly an accident."""
    if written == meant:
        return False
    return len(meant) > 2 or any(
        one == other and one not in _EVERYWHERE for one, other in zip(written, meant, strict=True)
    )


def _all_sound(folded: str) -> bool:
    return all(character in pinyin() for character in folded)


def _respellings(folded: str, *, in_latin: bool) -> Iterator[str]:
    """Further spellings: a character as its parts; with `in_latin` some of the syllables, or all, in Latin letters,
    and one of three and more characters by its syllable's first letter.
    """
    parts = _parts()
    for index, character in enumerate(folded):
        for written in parts.get(character, ()):
            yield folded[:index] + written + folded[index + 1 :]
    if in_latin and 1 < len(folded) <= _LONGEST_RESPELLED and _all_sound(folded):
        yield from _in_latin(folded)


def _in_latin(folded: str) -> Iterator[str]:
    syllables = [pinyin()[character] for character in folded]
    *mixed, whole = itertools.islice(itertools.product(*zip(folded, syllables, strict=True)), 1, None)
    yield from map("".join, mixed)
    if len("".join(whole)) >= _SHORTEST_IN_LATIN:
        yield "".join(whole)
    if len(folded) >= _SHORTEST_WITH_INITIAL:
        for index, syllable in enumerate(syllables):
            yield folded[:index] + syllable[0] + folded[index + 1 :]


@cache
def _parts() -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for line in lines(DATA / "parts.txt"):
        character, *written = line.split()
        found[character] += map(fold_word, written)
    return dict(found)


def decision_of(find: Find) -> Decision:
    """What the find asks for: what only sounds or looks like a word is not refused without a person."""
    policy = find.section.policy
    return Decision.REVIEW if policy is Decision.REJECT and not find.exact else policy
