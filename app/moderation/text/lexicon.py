"""Finds the words of the lists in folded texts: all at once, as they are listed, split, spelled or sounding alike."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from ahocorasick_rs import AhoCorasick

from app.language.pinyin import pinyin
from app.moderation.text.borders import (
    cuts_words,
    ends_sentence,
    is_one_word,
    stands_alone,
)
from app.moderation.text.folding import DATA, Folded, Occurrence, fold_word, fold_words, lines, syllables_of
from app.moderation.text.pairs import NEAREST_SINGLE, Pairs
from app.moderation.text.trie import Indices, Trie
from app.moderation.text.word_lists import Entry, Section, Word
from app.moderation.verdicts import Decision

Cut: TypeAlias = Callable[[str], list[str]]
Counts: TypeAlias = Callable[[Section, int, int], bool]
"""Whether words of the section count at this start and end in `Folded.text`, by what stands around them."""

_LONGEST_RESPELLED: Final = 4
_SHORTEST_IN_LATIN: Final = 5
_SHORTEST_WITH_INITIAL: Final = 3
# Longer Han words cut through no other ones by accident.
_LONGEST_CUTTING: Final = 3
_FARTHEST_UNLESS: Final = 20
# Single characters make a side of a pair a bad one to search for.
_SINGLE: Final = 3
# How far words of the other side may reach beyond the distance of a pair.
_LONGEST_BESIDE: Final = 8
# So many words of one side are looked at in one text: more are there to make the check slow.
_MOST_OF_A_PAIR: Final = 20
_KEPT_HEARD: Final = 1 << 14
"""For so many spellings it is kept what they are taken for."""
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
    """What the automaton looks for, and what it belongs to: an entry, or the rarer side of a pair.

    `number` is the entry's, `side` that of the pair's other side.
    """

    number: int
    entry: Entry
    word: Word
    folded: str
    exact: bool
    side: int


class _Place(NamedTuple):
    """Where stands what some needles look for; `written` is what is there if it only sounds like it."""

    at: Occurrence
    needles: list[_Needle]
    written: str | None = None


class _Phrase(NamedTuple):
    """Where a phrase may stand inside which words do not count."""

    at: Occurrence
    word: str


class _Other(NamedTuple):
    """A word of the other side of a pair where it stands."""

    at: Occurrence
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


class Lexicon:
    """Searches texts for all entries at once (time grows with the text, not with the lists).

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
        self._others: dict[int, _Others] = {}
        sides: dict[tuple[Word, ...], int] = {}
        entries = list(entries)
        folds = fold_words(word.text for entry in entries for word in (*entry.words, *entry.beside))
        for number, entry in enumerate(entries):
            section = entry.section
            if section.unless and section not in self._unless:
                self._unless[section] = AhoCorasick(list(filter(None, map(fold_word, section.unless))))
            words, beside = sides_of(entry)
            side = sides.setdefault(beside, len(sides))
            for word in words:
                folded = folds[word.text]
                spelled[folded].append(_Needle(number, entry, word, folded, exact=True, side=side))
                if section.permitted:
                    continue
                for respelled in _respellings(folded, in_latin=section.sounds):
                    spelled[respelled].append(_Needle(number, entry, word, folded, exact=False, side=side))
                if section.sounds and len(folded) > 1 and _all_sound(folded):
                    sounding[syllables_of(folded)].append(_Needle(number, entry, word, folded, exact=False, side=side))
        self._sides = list(sides)
        for trigger in triggers:
            spelled[trigger] += []
        offered = self._spellings_of_sides(folds)
        for written in offered:
            spelled[written] += []
        self._spellings = len(spelled) + len(sounding)
        kinds = {names: kind for kind, names in enumerate(dict.fromkeys(triggers.values()), start=1)}
        self._names_of_kinds = {kind: names for names, kind in kinds.items()}
        self._trigger_kinds = np.array([kinds[triggers[word]] if word in triggers else 0 for word in spelled])
        self._permitted = [[needle for needle in found if needle.entry.section.permitted] for found in spelled.values()]
        self._singles = [
            [needle for needle in found if needle.entry.section.near is None and not needle.entry.section.permitted]
            for found in spelled.values()
        ]
        self._is_permitted = np.array([bool(needles) for needles in self._permitted])
        self._is_single = np.array([bool(needles) for needles in self._singles])
        pairing = [[needle for needle in found if needle.entry.section.near is not None] for found in spelled.values()]
        self._pairing = list(itertools.chain.from_iterable(pairing))
        self._pairs = Pairs(
            [[(needle.side, needle.entry.section.near or 0) for needle in needles] for needles in pairing],
            [offered.get(written, ()) for written in spelled],
        )
        self._sounding = list(sounding.values())
        self._heard = lru_cache(_KEPT_HEARD)(self._needles_heard)
        self._spelled = Trie(list(spelled))
        self._sounds = Trie(list(sounding))

    @property
    def spellings(self) -> int:
        """How many spellings it looks for."""
        return self._spellings

    def _spellings_of_sides(self, folds: Mapping[str, str]) -> dict[str, list[int]]:
        """The spellings of the words that are looked for beside others, with the sides that they are of."""
        found: dict[str, list[int]] = defaultdict(list)
        for side, words in enumerate(self._sides):
            spellings = {
                spelled
                for word in words
                for spelled in (folds[word.text], *_respellings(folds[word.text], in_latin=True))
            }
            for spelled in spellings:
                found[spelled].append(side)
        return dict(found)

    def find(
        self, folded: Folded, *, counting: Callable[[int], Counts]
    ) -> tuple[dict[int, list[Find]], dict[int, set[str]]]:
        """What stands in each of the texts, by the number of the text, and the names of the triggers that are in it.

        Texts without anything are left out. `counting` tells of the text of a number what counts there.
        """
        words, firsts, behinds = self._spelled.find(folded.squeezed_codes)
        triggered = self._triggered(folded, words, firsts, behinds)
        by_text: dict[int, list[_Place]] = defaultdict(list)
        self._place_spelled(folded, by_text, words, firsts, behinds)
        self._place_sounding(folded, by_text)
        phrases = self._phrases(folded, by_text, words, firsts, behinds) if by_text else {}
        found = {}
        for number, places in by_text.items():
            finds = list(self._finds(folded, places, phrases.get(number, ()), counting(number)))
            if finds:
                found[number] = finds
        return found, triggered

    def _triggered(self, folded: Folded, words: Indices, firsts: Indices, behinds: Indices) -> dict[int, set[str]]:
        """The names of the triggers that each of the texts has, but for parts of Latin words and numbers."""
        kinds = self._trigger_kinds.take(words)
        found = np.flatnonzero(kinds)
        starts, lasts = folded.squeezed_places.take((firsts.take(found), behinds.take(found) - 1))
        # One letter may be a sign for a messenger with an id directly behind it: 加vabc123.
        alone = ~(folded.goes_on(starts) | (folded.goes_on(lasts + 1) & (starts != lasts)))
        numbers, kinds = folded.numbers_of(starts[alone]), kinds.take(found[alone])
        triggered: dict[int, set[str]] = defaultdict(set)
        for number, kind in set(zip(numbers.tolist(), kinds.tolist(), strict=True)):
            triggered[number] |= self._names_of_kinds[kind]
        return triggered

    def _place_spelled(
        self, folded: Folded, by_text: dict[int, list[_Place]], words: Indices, firsts: Indices, behinds: Indices
    ) -> None:
        """Put to each text what is spelled there."""
        possible: dict[int, list[_Needle]] = defaultdict(list)
        for match, needle in zip(*self._pairs.possible(words, firsts, behinds, folded.sentences), strict=True):
            possible[match].append(self._pairing[needle])
        worth = self._is_single.take(words)
        worth[list(possible)] = True
        matches = np.flatnonzero(worth)
        matches = matches[np.argsort(behinds.take(matches), kind="stable")]
        occurrences = folded.occurrences(firsts.take(matches), behinds.take(matches))
        for match, index, at in zip(matches.tolist(), words.take(matches).tolist(), occurrences, strict=True):
            needles = self._singles[index] + possible.get(match, [])
            if _is_word(folded, at, needles[0].word.text):
                by_text[at.number].append(_Place(at, needles))

    def _place_sounding(self, folded: Folded, by_text: dict[int, list[_Place]]) -> None:
        """Put to each text what may be read aloud as a word there."""
        words, firsts, behinds = self._sounds.find(folded.syllable_codes)
        heard = [
            self._heard(index, folded.squeezed[first:behind])
            for index, first, behind in zip(words.tolist(), firsts.tolist(), behinds.tolist(), strict=True)
        ]
        matches = [match for match, needles in enumerate(heard) if needles]
        for match, at in zip(matches, folded.occurrences(firsts[matches], behinds[matches]), strict=True):
            written = folded.squeezed[at.first : at.behind]
            if _is_word(folded, at, written):
                by_text[at.number].append(_Place(at, heard[match], written))

    def _needles_heard(self, index: int, written: str) -> list[_Needle]:
        """Of what the word of these syllables may be those that are taken for what is written."""
        return [needle for needle in self._sounding[index] if _sounds_like(written, needle.folded)]

    def _phrases(
        self, folded: Folded, numbers: Collection[int], words: Indices, firsts: Indices, behinds: Indices
    ) -> dict[int, list[_Phrase]]:
        """What may be permitted phrases in the texts of these numbers."""
        has_something = np.zeros(len(folded.starts), np.bool_)
        has_something[list(numbers)] = True
        permitted = np.flatnonzero(self._is_permitted.take(words))
        here = has_something.take(folded.numbers_of(folded.squeezed_places.take(firsts.take(permitted))))
        permitted = permitted[here]
        phrases: dict[int, list[_Phrase]] = defaultdict(list)
        occurrences = folded.occurrences(firsts.take(permitted), behinds.take(permitted))
        for index, at in zip(words.take(permitted).tolist(), occurrences, strict=True):
            phrases[at.number].append(_Phrase(at, self._permitted[index][0].word.text))
        return phrases

    def _finds(
        self, folded: Folded, places: list[_Place], phrases: Sequence[_Phrase], counts: Counts
    ) -> Iterator[Find]:
        """What counts of the places of one text: what is quick to ask is asked first, as most is not found."""
        if len(places) > 1:
            places.sort(key=lambda place: place.at.start)
        paired: dict[int, list[tuple[Occurrence, _Needle]]] = {}
        for place in places:
            at = place.at
            if phrases and _is_permitted(folded, at, phrases):
                continue
            for needle in place.needles:
                section = needle.entry.section
                if section.near is not None:
                    if self._makes_no_other_sense(folded, place):
                        paired.setdefault(needle.number, []).append((at, needle))
                elif counts(section, at.start, at.end) and self._is_meant(folded, place, needle):
                    yield Find(at.start, at.end, section, needle.word.text, needle.exact)
        for occurrences in paired.values():
            found = (self._pair(folded, at, needle, phrases) for at, needle in occurrences[:_MOST_OF_A_PAIR])
            first = next(filter(None, found), None)
            if first is not None and counts(first.section, first.start, first.end):
                yield first

    def _is_meant(self, folded: Folded, place: _Place, needle: _Needle) -> bool:
        """Whether a word that counts by itself is no part of other words, and nothing excuses it."""
        at = place.at
        return (
            self._makes_no_other_sense(folded, place)
            and not self._cuts(folded, at, needle.word, exact=needle.exact)
            and not self._is_excused(folded, at.number, needle.entry.section, at.start, at.end)
        )

    def _makes_no_other_sense(self, folded: Folded, place: _Place) -> bool:
        """Whether what sounds like a word is no other one."""
        at = place.at
        return place.written is None or stands_alone(
            folded.text, at.start, at.end, place.written, place.needles[0].folded, self._cut
        )

    def _pair(self, folded: Folded, at: Occurrence, needle: _Needle, phrases: Sequence[_Phrase]) -> Find | None:
        """The pair that a word makes with one of the other side, if one stands beside it."""
        section = needle.entry.section
        for other in self._beside(folded, at, needle):
            near = section.near or 0
            if at.length == 1 or other.at.length == 1:
                near = min(near, NEAREST_SINGLE)
            if _gap(folded, at, other.at) > near:
                continue
            if _is_permitted(folded, other.at, phrases):
                continue
            if self._cuts(folded, at, needle.word, exact=needle.exact):
                return None
            if self._cuts(folded, other.at, other.word, exact=other.exact):
                continue
            start, end = min(at.start, other.at.start), max(at.end, other.at.end)
            if self._is_excused(folded, at.number, section, start, end):
                continue
            texts = (needle.word.text, other.word.text)
            label = "…".join(texts if at.start <= other.at.start else reversed(texts))
            return Find(start, end, section, label, needle.exact and other.exact)
        return None

    def _beside(self, folded: Folded, at: Occurrence, needle: _Needle) -> Iterator[_Other]:
        """The words of the other side of a pair around a word of this side."""
        others = self._others.get(needle.side)
        if others is None:
            others = self._others[needle.side] = _Others.of(self._sides[needle.side])
        reach = (needle.entry.section.near or 0) + _LONGEST_BESIDE
        before = max(0, at.first - reach)
        window = folded.squeezed[before : at.behind + reach]
        for index, first, behind in others.automaton.find_matches_as_indexes(window, overlapping=True):
            word, exact = others.words[index]
            beside = folded.occurrence(at.number, before + first, before + behind)
            if _is_word(folded, beside, word.text):
                yield _Other(beside, word, exact)

    def _cuts(self, folded: Folded, at: Occurrence, word: Word, *, exact: bool) -> bool:
        """Whether the word is only made of parts of others. Longer ones are not, but where a blank stands inside."""
        if word.cuts or not exact:
            return False
        if at.length > _LONGEST_CUTTING and at.end - at.start == at.length:
            return False
        return cuts_words(folded.text, at.start, at.end, self._cut)

    def _is_excused(self, folded: Folded, number: int, section: Section, start: int, end: int) -> bool:
        automaton = self._unless.get(section)
        if automaton is None:
            return False
        first, text = folded.part(number)
        around = text[max(0, start - first - _FARTHEST_UNLESS) : end - first + _FARTHEST_UNLESS]
        return bool(automaton.find_matches_as_indexes(around))


def _is_word(folded: Folded, at: Occurrence, word: str, *, across_blanks: bool = False) -> bool:
    """Whether readers see `word` there."""
    return is_one_word(folded.text, at.start, at.end, folded.inner_places(at), word, across_blanks=across_blanks)


def _is_permitted(folded: Folded, at: Occurrence, phrases: Sequence[_Phrase]) -> bool:
    """Whether it is part of a longer phrase that is permitted. What is listed itself counts."""
    return any(
        phrase.at.first <= at.first
        and at.behind <= phrase.at.behind
        and phrase.at.length > at.length
        and _is_word(folded, phrase.at, phrase.word, across_blanks=True)
        for phrase in phrases
    )


def _gap(folded: Folded, one: Occurrence, other: Occurrence) -> int:
    """How many characters stand between them, what separates not counted; very many where they overlap or are in
    two sentences.
    """
    end, start = (one.end, other.start) if one.start <= other.start else (other.end, one.start)
    if start < end or ends_sentence(folded.text, end, start):
        return 1_000_000
    return max(one.first, other.first) - min(one.behind, other.behind)


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
