"""Finds the words of the lists in folded texts: all at once, as they are listed, split, spelled or sounding alike."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Final, NamedTuple, TypeAlias

from ahocorasick_rs import AhoCorasick, Implementation

from app.moderation.text.borders import cuts_words, ends_clause, is_inside_word, is_one_word, stands_alone
from app.moderation.text.folding import DATA, Folded, fold_word, lines, pinyin, syllables_of
from app.moderation.text.word_lists import Entry, Section, Word
from app.moderation.verdicts import Decision

Cut: TypeAlias = Callable[[str], list[str]]

_LONGEST_RESPELLED: Final = 4
_SHORTEST_IN_LATIN: Final = 5
# Longer Han words cut through no other ones by accident.
_LONGEST_CUTTING: Final = 3
_FARTHEST_UNLESS: Final = 20
# Words of a pair that are farther from each other, whatever separates them, are not looked at together.
_FARTHEST_PAIR: Final = 60
_NEAR_SIGNS: Final = 16
_NEAREST_SINGLE: Final = 2
_MOST_OTHERS: Final = 20
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
    """What the automaton looks for, and what it belongs to: an entry, or one side of a pair."""

    entry: Entry
    word: Word
    folded: str
    side: int  # 0: the entry's own words, 1: those that stand beside
    exact: bool


class _Place(NamedTuple):
    """One occurrence of what some needles look for, in `Folded.text`; `length` is without what separates."""

    start: int
    end: int
    needles: list[_Needle]
    length: int


class _Side(NamedTuple):
    """A word of a pair where it stands."""

    place: _Place
    needle: _Needle


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
        # Single characters of pairs are in every other text: they are looked for beside the other side only.
        self._signs: dict[tuple[int, int], list[_Needle]] = defaultdict(list)
        self._entries = list(entries)  # keeps their ids
        for entry in self._entries:
            section = entry.section
            if section.unless and section not in self._unless:
                self._unless[section] = AhoCorasick(list(filter(None, map(fold_word, section.unless))))
            for side, words in enumerate((entry.words, entry.beside)):
                for word in words:
                    folded = fold_word(word.text)
                    if section.near is not None and len(folded) == 1:
                        self._signs[id(entry), side].append(_Needle(entry, word, folded, side, exact=True))
                        continue
                    spelled[folded].append(_Needle(entry, word, folded, side, exact=True))
                    if section.permitted:
                        continue
                    for respelled in _respellings(folded, in_latin=section.sounds):
                        spelled[respelled].append(_Needle(entry, word, folded, side, exact=False))
                    if section.sounds and len(folded) > 1 and _all_sound(folded):
                        sounding[syllables_of(folded)].append(_Needle(entry, word, folded, side, exact=False))
        for trigger in triggers:
            spelled[trigger] += []
        self._needles = list(spelled.values())
        self._triggers = [triggers.get(word) for word in spelled]
        self._sounding = list(sounding.values())
        self._spelled_automaton = AhoCorasick(list(spelled), implementation=Implementation.ContiguousNFA)
        self._sounds_automaton = AhoCorasick(list(sounding), implementation=Implementation.ContiguousNFA)

    @property
    def spellings(self) -> int:
        """How many spellings it looks for."""
        return len(self._needles) + len(self._sounding)

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
        triggered: dict[int, set[str]] = defaultdict(set)
        places, text = folded.places, folded.text
        for index, first, behind in self._spelled_automaton.find_matches_as_indexes(folded.squeezed, overlapping=True):
            start, end = places[first], places[behind - 1] + 1
            names, needles = self._triggers[index], self._needles[index]
            if names is not None and not is_inside_word(text, start, end):
                triggered[folded.number_of(start)] |= names
            if needles:
                inner = None if end - start == behind - first else places[first:behind]
                permitted = needles[0].entry.section.permitted
                if is_one_word(text, start, end, inner, needles[0].word.text, across_blanks=permitted):
                    by_text[folded.number_of(start)].append(_Place(start, end, needles, behind - first))
        return triggered

    def _find_sounding(self, folded: Folded, by_text: dict[int, list[_Place]]) -> None:
        places, text = folded.places, folded.text
        for index, first, behind in self._sounds_automaton.find_matches_as_indexes(folded.syllables, overlapping=True):
            written = folded.squeezed[first:behind]
            needles = [needle for needle in self._sounding[index] if _sounds_like(written, needle.folded)]
            start, end = places[first], places[behind - 1] + 1
            inner = None if end - start == behind - first else places[first:behind]
            if not needles or not is_one_word(text, start, end, inner, written):
                continue
            if stands_alone(text, start, end, written, needles[0].folded, self._cut):
                by_text[folded.number_of(start)].append(_Place(start, end, needles, behind - first))

    def _finds(self, folded: Folded, number: int, places: Sequence[_Place]) -> Iterator[Find]:
        places = sorted(places, key=lambda place: place.start)
        permitted = [place for place in places if any(needle.entry.section.permitted for needle in place.needles)]
        sides: dict[int, tuple[Entry, list[_Side], list[_Side]]] = {}
        for place in places:
            if any(phrase.start <= place.start and place.end <= phrase.end for phrase in permitted):
                continue
            for needle in place.needles:
                section = needle.entry.section
                if section.near is not None:
                    _, left, right = sides.setdefault(id(needle.entry), (needle.entry, [], []))
                    (right if needle.side else left).append(_Side(place, needle))
                elif not self._cuts(folded, place, needle) and not self._is_excused(
                    folded, number, section, place.start, place.end
                ):
                    yield Find(place.start, place.end, section, needle.word.text, needle.exact)
        for entry, left, right in sides.values():
            if right and not left:
                left = self._single_characters(folded, entry, 0, right)
            if left and not right:
                right = self._single_characters(folded, entry, 1, left)
            if left and right:
                yield from self._pair(folded, number, entry, left, right)

    def _single_characters(self, folded: Folded, entry: Entry, side: int, others: Sequence[_Side]) -> list[_Side]:
        """The single characters of one side of a pair that stand near words of the other side."""
        needles = self._signs.get((id(entry), side), ())
        found = set()
        for other in others[:_MOST_OTHERS] if needles else ():
            first, behind = max(0, other.place.start - _NEAR_SIGNS), other.place.end + _NEAR_SIGNS
            around = folded.text[first:behind]
            for needle in needles:
                offset = around.find(needle.folded)
                while offset >= 0:
                    found.add((first + offset, needle))
                    offset = around.find(needle.folded, offset + 1)
        places = sorted(found, key=lambda pair: pair[0])
        return [_Side(_Place(start, start + 1, [needle], 1), needle) for start, needle in places]

    def _cuts(self, folded: Folded, place: _Place, needle: _Needle) -> bool:
        """Whether the word is only made of parts of others. Longer ones are not, but where a blank stands inside."""
        if needle.word.cuts or not needle.exact:
            return False
        if place.length > _LONGEST_CUTTING and place.end - place.start == place.length:
            return False
        return cuts_words(folded.text, place.start, place.end, self._cut)

    def _pair(self, folded: Folded, number: int, entry: Entry, left: list[_Side], right: list[_Side]) -> Iterator[Find]:
        """The first two words of a pair that stand beside each other."""
        section = entry.section
        starts = [other.place.start for other in right]
        for one in left:
            first = bisect_left(starts, one.place.start - _FARTHEST_PAIR)
            behind = bisect_left(starts, one.place.end + _FARTHEST_PAIR)
            for other in right[first:behind]:
                near = section.near or 0
                if one.place.length == 1 or other.place.length == 1:
                    near = min(near, _NEAREST_SINGLE)
                if _gap(folded, one.place, other.place) > near:
                    continue
                if any(self._cuts(folded, side.place, side.needle) for side in (one, other)):
                    continue
                start, end = min(one.place.start, other.place.start), max(one.place.end, other.place.end)
                if self._is_excused(folded, number, section, start, end):
                    continue
                sides = sorted((one, other), key=lambda side: side.place.start)
                label = "…".join(side.needle.word.text for side in sides)
                yield Find(start, end, section, label, one.needle.exact and other.needle.exact)
                return

    def _is_excused(self, folded: Folded, number: int, section: Section, start: int, end: int) -> bool:
        automaton = self._unless.get(section)
        if automaton is None:
            return False
        first, text = folded.part(number)
        around = text[max(0, start - first - _FARTHEST_UNLESS) : end - first + _FARTHEST_UNLESS]
        return bool(automaton.find_matches_as_indexes(around))


def _gap(folded: Folded, one: _Place, other: _Place) -> int:
    """How many characters stand between them, what separates not counted; very many where they overlap or are in
    two clauses."""
    first, second = (one, other) if one.start <= other.start else (other, one)
    if second.start < first.end or ends_clause(folded.text, first.end, second.start):
        return 1_000_000
    return sum(map(str.isalnum, folded.text[first.end : second.start]))


def _sounds_like(written: str, meant: str) -> bool:
    """Whether characters of the same sound are taken for `meant`: two that are both others are mostly an accident."""
    return written != meant and (len(meant) > 2 or any(map(str.__eq__, written, meant)))


def _all_sound(folded: str) -> bool:
    return all(character in pinyin() for character in folded)


def _respellings(folded: str, *, in_latin: bool) -> Iterator[str]:
    """Further spellings: a character as its parts; with `in_latin` one of the syllables, or all, in Latin letters."""
    parts = _parts()
    for index, character in enumerate(folded):
        for written in parts.get(character, ()):
            yield folded[:index] + written + folded[index + 1 :]
    if in_latin and 1 < len(folded) <= _LONGEST_RESPELLED and _all_sound(folded):
        syllables = [pinyin()[character] for character in folded]
        for index, syllable in enumerate(syllables):
            yield folded[:index] + syllable + folded[index + 1 :]
        whole = "".join(syllables)
        if len(whole) >= _SHORTEST_IN_LATIN:
            yield whole


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
