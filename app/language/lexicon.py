"""The words of the trade: brands, series, things, their other names, and what each says of a good.

They stand in the text files of `data/`, a group on a line; what a line may say is told at the top of each file. An
operator's folder may hold files of the same names (`brands.txt`, or `brands-own.txt`), whose lines are added to ours.

    brands.txt  attributes.txt  trade_words.txt  things.txt    names > narrower ones ~ near ones
    models.txt                                                  brand | thing | names
    places.txt                                                  city: places
    talk.txt                                                    words
    emoji.txt                                                   sign word
    shapes.txt                                                  characters
    signs.txt                                                   thing: words
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

from app.language.normal_form import normalise
from app.watched_folder import WatchedFolder

DATA: Final = Path(__file__).parent / "data"

_LONGEST_NAME: Final = 40
_LARGEST_FILE: Final = 4 * 1024 * 1024
_HEADING: Final = re.compile(r"\[([^\]]*)\]")


class LexiconError(ValueError):
    """A file of words cannot be used; the message names file and line."""


class WordClass(StrEnum):
    """What the words of a file are; the values are the files' names."""

    BRAND = "brands"
    MODEL = "models"
    THING = "things"
    ATTRIBUTE = "attributes"
    TRADE = "trade_words"
    PLACE = "places"
    TALK = "talk"
    EMOJI = "emoji"
    SHAPE = "shapes"
    SIGN = "signs"


@dataclass(frozen=True, slots=True)
class WordGroup:
    """Names of the same, all in their normal form; the first is the one that is shown and that stands for it.

    `narrower` are kinds of it, `near` what may be meant as well. `brand` and `thing` are what a series implies.
    """

    word_class: WordClass
    names: tuple[str, ...]
    narrower: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    is_accessory: bool = False
    brand: str = ""
    thing: str = ""

    @property
    def name(self) -> str:
        """The name that stands for it."""
        return self.names[0]


@dataclass(slots=True)
class _Found:
    """What files say, while they are read."""

    groups: list[WordGroup] = field(default_factory=list)
    talk: set[str] = field(default_factory=set)
    emoji: dict[str, str] = field(default_factory=dict)
    shapes: list[str] = field(default_factory=list)
    signs: dict[str, str] = field(default_factory=dict)


class Lexicon:
    """All words; immutable, so threads share it."""

    def __init__(self, found: _Found, *, version: str) -> None:
        self.version = version
        self.groups: Sequence[WordGroup] = tuple(found.groups)
        self.talk: frozenset[str] = frozenset(found.talk)
        self.emoji: Mapping[str, str] = found.emoji
        self.shapes: Mapping[str, str] = _neighbours(found.shapes)
        self.signs: Mapping[str, str] = found.signs
        named: dict[str, list[WordGroup]] = {}
        for group in self.groups:
            for name in group.names:
                named.setdefault(name, []).append(group)
        self._named = {name: tuple(groups) for name, groups in named.items()}
        broader: dict[str, list[WordGroup]] = {}
        for group in self.groups:
            if group.word_class is WordClass.THING:
                for name in group.narrower:
                    broader.setdefault(name, []).append(group)
        self._broader = {name: tuple(groups) for name, groups in broader.items()}
        # A narrower or near thing that has no line of its own is a word of the same class all the same.
        for group in self.groups:
            if group.word_class is not WordClass.PLACE:
                for name in (*group.narrower, *group.near):
                    self._named.setdefault(name, (WordGroup(group.word_class, (name,)),))

    def named(self, name: str) -> tuple[WordGroup, ...]:
        """The groups that `name` (in normal form) is a name of, those of our files first."""
        return self._named.get(name, ())

    def broader_than(self, name: str) -> tuple[WordGroup, ...]:
        """The groups of things that `name` is a kind of: of 跑鞋 those of 鞋."""
        return self._broader.get(name, ())

    def names(self) -> Iterable[str]:
        """All names."""
        return self._named.keys()

    def of(self, *classes: WordClass) -> Iterator[WordGroup]:
        """The groups of some classes, in the order of the files."""
        return (group for group in self.groups if group.word_class in classes)


def _neighbours(sets: Iterable[str]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for each in sets:
        for character in each:
            found[character] = found.get(character, "") + each.replace(character, "")
    return found


@dataclass(slots=True)
class _Reader:
    """Reads one file into `found`."""

    path: Path
    word_class: WordClass
    found: _Found
    number: int = 0
    heading: str = ""

    def read(self) -> None:
        for number, line in enumerate(_text_of(self.path).splitlines(), start=1):
            self.number = number
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            if heading := _HEADING.fullmatch(text):
                self.heading = heading[1]
                continue
            self._line(text)

    def _line(self, text: str) -> None:
        readers: dict[WordClass, Callable[[str], None]] = {
            WordClass.TALK: self._talk,
            WordClass.EMOJI: self._emoji,
            WordClass.SHAPE: self._shapes,
            WordClass.PLACE: self._places,
            WordClass.MODEL: self._model,
            WordClass.SIGN: self._signs,
        }
        readers.get(self.word_class, self._things)(text)

    def _talk(self, text: str) -> None:
        self.found.talk.update(self._names(text))

    def _emoji(self, text: str) -> None:
        sign, *words = text.split()
        if len(words) != 1:
            raise self._error("a line is: sign word")
        self.found.emoji[normalise(sign)] = normalise(words[0])

    def _shapes(self, text: str) -> None:
        if len(text) < 2:
            raise self._error("a line has two characters at least")
        self.found.shapes.append(normalise(text))

    def _places(self, text: str) -> None:
        city, colon, places = text.partition(":")
        if not (colon and city.strip() and places.strip()):
            raise self._error("a line is: city: places")
        self._add(WordGroup(self.word_class, self._names(city), narrower=self._names(places)))
        for place in self._names(places):
            self._add(WordGroup(self.word_class, (place,)))

    def _signs(self, text: str) -> None:
        thing, colon, words = text.partition(":")
        if not (colon and thing.strip() and words.strip()):
            raise self._error("a line is: thing: words")
        [name] = self._names(thing)
        self.found.signs.update(dict.fromkeys(self._names(words), name))

    def _model(self, text: str) -> None:
        parts = [part.strip() for part in text.split("|")]
        if len(parts) != 3 or not all(parts):
            raise self._error("a line is: brand | thing | names (- where there is no brand or thing)")
        brand, thing = ("" if part == "-" else normalise(part) for part in parts[:2])
        self._add(WordGroup(self.word_class, self._names(parts[2]), brand=brand, thing=thing))

    def _things(self, text: str) -> None:
        rest, _, near = text.partition("~")
        names, _, narrower = rest.partition(">")
        if not names.strip():
            raise self._error("a line begins with a name")
        group = WordGroup(
            self.word_class,
            self._names(names),
            narrower=self._names(narrower),
            near=self._names(near),
            is_accessory=self.heading == "accessory",
        )
        self._add(group)

    def _add(self, group: WordGroup) -> None:
        self.found.groups.append(group)

    def _names(self, text: str) -> tuple[str, ...]:
        found = []
        for part in text.split():
            name = normalise(part.replace("_", " ")).strip()
            if not any(character.isalnum() for character in name) and self.word_class is not WordClass.BRAND:
                raise self._error(f"{part!r} has no letter and no digit")
            if len(name) > _LONGEST_NAME:
                raise self._error(f"{part[:10]}… is longer than {_LONGEST_NAME} characters")
            found.append(name)
        return tuple(dict.fromkeys(found))

    def _error(self, what: str) -> LexiconError:
        return LexiconError(f"{self.path}:{self.number}: {what}")


def _text_of(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise LexiconError(f"{path}: larger than {_LARGEST_FILE} bytes")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LexiconError(f"{path}: cannot be read: {error}") from error


def read_lexicon(folder: Path | None = None) -> Lexicon:
    """Our words, and those of an operator's folder. Raises `LexiconError`."""
    found, digest = _Found(), hashlib.sha256()
    for path in [*_files(DATA), *_files(folder)]:
        stem = path.stem.split("-", maxsplit=1)[0]
        if stem not in set(WordClass):
            raise LexiconError(f"{path}: the file's name is none of {', '.join(WordClass)}")
        _Reader(path, WordClass(stem), found).read()
        try:
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        except OSError as error:  # it could be read a moment ago
            raise LexiconError(f"{path}: cannot be read: {error}") from error
    return Lexicon(found, version=digest.hexdigest()[:12])


_NO_WORDS: Final = frozenset({"syllables.txt", "readings.txt"})
"""Files of `data/` that are read elsewhere."""


def _files(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    return sorted(path for path in folder.glob("*.txt") if path.name not in _NO_WORDS)


@cache
def built_in_lexicon() -> Lexicon:
    """Our words alone."""
    return read_lexicon()


class LexiconOfFolder(WatchedFolder[Lexicon]):
    """The lexicon with an operator's folder, as the files are now."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises `LexiconError` where the files cannot be used from the beginning."""
        super().__init__(folder, lambda: read_lexicon(folder), unusable=LexiconError, name="search_words", clock=clock)
