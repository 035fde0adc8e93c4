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
from app.moderation.text.folding import DATA, Folded, Occurrence, fold_word, fold_words, lines, pinyin, syllables_of
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
_MARKS: Final = 1 << 18
"""How many marks there are for pairs and sentences, which share them by their remainder."""
_PRIME: Final = 100_003
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
    """Where stands what some needles look for."""

    at: Occurrence
    needles: list[_Needle]

    @property
    def permitted(self) -> bool:
        """Whether it is a phrase inside which the words do not count."""
        return self.needles[0].entry.section.permitted


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

    def possible(
        self, words: Indices, firsts: Indices, behinds: Indices, sentences: Indices
    ) -> dict[int, list[_Needle]]:
        """Of the occurrences of words those, by their number, that may make a pair, with the needles.

        `sentences` has the number of each character's sentence.
        """
        at, pairs, which = self._searched.rows(words)
        at_other, pairs_other, _ = self._other.rows(words)
        # First, and for nearly all the last: whether the sides stand in the same sentence, in either order.
        begin, end = sentences.take(firsts), sentences.take(behinds - 1)
        before, after = np.zeros(_MARKS, np.bool_), np.zeros(_MARKS, np.bool_)
        before[_marks(pairs, end.take(at))] = True
        after[_marks(pairs, begin.take(at))] = True
        together = before.take(_marks(pairs_other, begin.take(at_other)))
        together |= after.take(_marks(pairs_other, end.take(at_other)))
        keys = np.sort(pairs_other[together] * _FAR + firsts.take(at_other[together]))
        if not keys.size:
            return {}
        own = pairs * _FAR
        sides = self._sides.take(pairs)
        first = np.searchsorted(keys, own + np.maximum(firsts.take(at) - sides, 0))
        last = np.searchsorted(keys, own + behinds.take(at) + sides)
        found: dict[int, list[_Needle]] = {}
        for row in np.flatnonzero(first < last).tolist():
            match = int(at[row])
            found.setdefault(match, []).append(self._needles[int(words[match])][int(which[row])])
        return found


def _marks(pairs: Indices, sentences: Indices) -> Indices:
    return (pairs * _PRIME + sentences) % _MARKS


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
        words, firsts, behinds = self._spelled_automaton.find(folded.squeezed_codes)
        by_text: dict[int, list[_Place]] = defaultdict(list)
        triggered = self._place_spelled(folded, by_text, words, firsts, behinds)
        self._place_sounding(folded, by_text)
        if by_text:
            permitted = self._is_permitted.take(words)
            self._place_permitted(folded, by_text, words[permitted], firsts[permitted], behinds[permitted])
        found = {}
        for number, places in by_text.items():
            finds = list(self._finds(folded, places))
            if finds:
                found[number] = finds
        return found, triggered

    def _place_spelled(
        self, folded: Folded, by_text: dict[int, list[_Place]], words: Indices, firsts: Indices, behinds: Indices
    ) -> dict[int, set[str]]:
        """Put to each text what is spelled there, and answer with the triggers that it has."""
        triggered: dict[int, set[str]] = defaultdict(set)
        possible = self._pairs.possible(words, firsts, behinds, folded.sentences)
        worth = self._is_single.take(words)
        worth[list(possible)] = True
        matches = np.flatnonzero(worth)
        matches = matches[np.argsort(behinds.take(matches), kind="stable")]
        occurrences = folded.occurrences(firsts.take(matches), behinds.take(matches))
        for match, index, at in zip(matches.tolist(), words.take(matches).tolist(), occurrences, strict=True):
            names = self._triggers[index]
            if names is not None and not _continues_outside(folded.text, at):
                triggered[at.number] |= names
            needles = self._singles[index] + possible.get(match, [])
            if needles and _is_word(folded, at, needles[0].word.text):
                by_text[at.number].append(_Place(at, needles))
        return triggered

    def _place_sounding(self, folded: Folded, by_text: dict[int, list[_Place]]) -> None:
        """Put to each text what sounds like a word there."""
        words, firsts, behinds = self._sounds_automaton.find(folded.syllable_codes)
        for index, at in zip(words.tolist(), folded.occurrences(firsts, behinds), strict=True):
            written = folded.squeezed[at.first : at.behind]
            needles = [needle for needle in self._sounding[index] if _sounds_like(written, needle.folded)]
            if (
                needles
                and _is_word(folded, at, written)
                and stands_alone(folded.text, at.start, at.end, written, needles[0].folded, self._cut)
            ):
                by_text[at.number].append(_Place(at, needles))

    def _place_permitted(
        self, folded: Folded, by_text: dict[int, list[_Place]], words: Indices, firsts: Indices, behinds: Indices
    ) -> None:
        """Put to the texts that have something what is permitted there."""
        for index, at in zip(words.tolist(), folded.occurrences(firsts, behinds), strict=True):
            found = by_text.get(at.number)
            needles = self._permitted[index]
            if found is not None and _is_word(folded, at, needles[0].word.text, across_blanks=True):
                found.append(_Place(at, needles))

    def _finds(self, folded: Folded, places: list[_Place]) -> Iterator[Find]:
        if len(places) > 1:
            places.sort(key=lambda place: place.at.start)
        permitted = [place.at for place in places if place.permitted]
        paired: dict[int, list[tuple[Occurrence, _Needle]]] = {}
        for place in places:
            at = place.at
            if place.permitted or _is_permitted(at, permitted):
                continue
            for needle in place.needles:
                section = needle.entry.section
                if section.near is not None:
                    paired.setdefault(id(needle.entry), []).append((at, needle))
                elif not self._cuts(folded, at, needle.word, exact=needle.exact) and not self._is_excused(
                    folded, at.number, section, at.start, at.end
                ):
                    yield Find(at.start, at.end, section, needle.word.text, needle.exact)
        for sides in paired.values():
            for at, needle in sides[:_MOST_OF_A_PAIR]:
                find = self._pair(folded, at, needle, permitted)
                if find is not None:
                    yield find
                    break

    def _pair(
        self, folded: Folded, at: Occurrence, needle: _Needle, permitted: Sequence[Occurrence]
    ) -> Find | None:
        """The pair that a word makes with one of the other side, if one stands beside it."""
        section = needle.entry.section
        for other in self._beside(folded, at, needle.entry):
            near = section.near or 0
            if at.length == 1 or other.at.length == 1:
                near = min(near, _NEAREST_SINGLE)
            if _gap(folded, at, other.at) > near:
                continue
            if _is_permitted(other.at, permitted):
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

    def _beside(self, folded: Folded, at: Occurrence, entry: Entry) -> Iterator[_Other]:
        """The words of the other side of a pair around a word of this side."""
        others = self._others.get(id(entry))
        if others is None:
            others = self._others[id(entry)] = _Others.of(self._beside_of[id(entry)])
        side = (entry.section.near or 0) + _LONGEST_BESIDE
        before = max(0, at.first - side)
        window = folded.squeezed[before : at.behind + side]
        found = others.automaton.find_matches_as_indexes(window, overlapping=True)
        if not found:
            return
        indices, firsts, behinds = np.array(found, np.intp).T
        for index, beside in zip(
            indices.tolist(), folded.occurrences(before + firsts, before + behinds), strict=True
        ):
            word, exact = others.words[index]
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


def _continues_outside(text: str, at: Occurrence) -> bool:
    """Whether it is a part of a Latin word or number only."""
    # One letter may be a sign for a messenger with an id directly behind it: 加vabc123.
    if at.end - at.start == 1:
        return begins_inside_word(text, at.start)
    return is_inside_word(text, at.start, at.end)


def _is_permitted(at: Occurrence, phrases: Sequence[Occurrence]) -> bool:
    """Whether it is part of a longer phrase that is permitted. What is listed itself counts."""
    return any(phrase.start <= at.start and at.end <= phrase.end and phrase.length > at.length for phrase in phrases)


def _gap(folded: Folded, one: Occurrence, other: Occurrence) -> int:
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
