"""The word lists: their form, and what is wrong with one.

A list is a UTF-8 text file, its name the category of its words (`weapons.txt`; `weapons-knives.txt` is one, too):

    # a comment
    reason: 涉嫌发布管制器具            what the seller reads, before the words that were found
    $sell = 出售 转让 低价              a set of words that the sections below name
    [reject]                          a section: what its words ask for (reject, review or note) and how they are read
    枪支 弹簧刀                        words, any number on a line; `_` is a blank
    纯原!                              counts even where it cuts a word of the dictionary (纯|原版)
    [review sounds unless=模型,玩具]    also what sounds like them; not beside one of these words
    [reject near=6]                   words that count beside each other, at most so many characters between;
                                      one of the two has at least two characters
    $sell 代办 + 身份证 毕业证
    [permitted]                       phrases inside which the words do not count
    大麻花

A note decides nothing alone; in goods of sellers with a history it asks for review. Options of a section:

- `sounds`: what has the same pinyin without tones counts too (review at most), and syllables in Latin letters.
- `firm`: the section's words count inside of titles (《…》) and beside toys, books and pictures of things as well.
- `unless=A,B`: not where one of these words stands in the same text.
- `kinds=title,description`: in texts of these kinds only.
- `named=replica`: the last part of the hits' code, `counterfeit.replica`; otherwise `word` or `pair`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from app.moderation.text.context import TextKind
from app.moderation.text.folding import BORDER, fold_word
from app.moderation.verdicts import Category, Decision

LISTS: Final = Path(__file__).parent / "lists"

_POLICIES: Final = {"reject": Decision.REJECT, "review": Decision.REVIEW, "note": Decision.PASS}
_HEADING: Final = re.compile(r"\[(\w+)((?:\s+[^\]\s]+)*)\]")
_LONGEST_WORD: Final = 40
_LARGEST_LIST: Final = 4 * 1024 * 1024


class WordListError(ValueError):
    """A word list cannot be used; the message names file and line."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it is listed, and whether it counts where it cuts words of the dictionary."""

    text: str
    cuts: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """How the words of a section are read, as the module says."""

    category: Category
    reason: str
    policy: Decision
    name: str = ""
    permitted: bool = False
    sounds: bool = False
    firm: bool = False
    near: int | None = None
    unless: tuple[str, ...] = ()
    kinds: frozenset[TextKind] = frozenset()

    @property
    def code(self) -> str:
        """The name of the rule, as hits carry it."""
        return f"{self.category.value}.{self.name or ('word' if self.near is None else 'pair')}"


@dataclass(frozen=True, slots=True)
class Entry:
    """A word with its section, or, where `beside` has words, words that count beside each other."""

    section: Section
    words: tuple[Word, ...]
    beside: tuple[Word, ...] = ()


@dataclass(slots=True)
class _Reader:
    path: Path
    category: Category
    number: int = 0
    reason: str = ""
    section: Section | None = None
    sets: dict[str, tuple[Word, ...]] = field(default_factory=dict)

    def entries(self, lines: list[str]) -> Iterator[Entry]:
        for number, line in enumerate(lines, start=1):
            self.number = number
            text = line.split("#", maxsplit=1)[0].strip()
            if not text:
                continue
            if text.startswith("reason:"):
                self.reason = text.removeprefix("reason:").strip()
            elif text.startswith("$") and "=" in text:
                name, words = text.split("=", maxsplit=1)
                self.sets[name.strip()] = self._words(words)
            elif text.startswith("["):
                self.section = self._section(text)
            else:
                yield from self._line(text)

    def _line(self, text: str) -> Iterator[Entry]:
        section = self.section
        if section is None:
            raise self._error("words before the first section")
        if section.near is not None:
            left, plus, right = text.partition("+")
            words, beside = self._words(left), self._words(right)
            if not (plus and words and beside):
                raise self._error("a line of this section is: words + words")
            if all(len(fold_word(word.text)) == 1 for word in (*words, *beside)):
                raise self._error("of two words beside each other one has at least two characters")
            yield Entry(section, words, beside)
            return
        for word in self._words(text):
            yield Entry(section, (word,))

    def _section(self, text: str) -> Section:
        match = _HEADING.fullmatch(text)
        if match is None:
            raise self._error(f"{text!r} is no heading of a section")
        if not self.reason:
            raise self._error("the reason that users read comes before the first section")
        policy, options = match[1], match[2].split()
        if policy == "permitted" and not options:
            return Section(self.category, self.reason, Decision.PASS, permitted=True)
        if policy not in _POLICIES:
            raise self._error(f"{policy!r} is none of {', '.join(_POLICIES)}, permitted")
        section = Section(self.category, self.reason, _POLICIES[policy])
        for option in options:
            section = self._with_option(section, *option.partition("=")[::2])
        return section

    def _with_option(self, section: Section, name: str, value: str) -> Section:
        if name in ("sounds", "firm") and not value:
            return replace(section, sounds=section.sounds or name == "sounds", firm=section.firm or name == "firm")
        if name == "near" and value.isdigit():
            return replace(section, near=int(value))
        if name == "unless" and value:
            found = (
                [word.text for word in self._set(part)] if part.startswith("$") else [part] for part in value.split(",")
            )
            return replace(section, unless=section.unless + tuple(word for words in found for word in words))
        if name == "named" and re.fullmatch("[a-z_]+", value):
            return replace(section, name=value)
        if name == "kinds" and set(value.split(",")) <= set(TextKind):
            return replace(section, kinds=frozenset(map(TextKind, value.split(","))))
        raise self._error(f"{name!r} is no option of a section, or its value is none")

    def _words(self, text: str) -> tuple[Word, ...]:
        found: list[Word] = []
        for part in text.split():
            if part.startswith("$"):
                found.extend(self._set(part))
                continue
            word = part.removesuffix("!").replace("_", " ")
            if not _says_something(word):
                raise self._error(f"{part!r} has too few letters and digits to be a word")
            if BORDER in word:
                raise self._error(f"{part!r} has a character that no text can have")
            if len(word) > _LONGEST_WORD:
                raise self._error(f"{part[:10]}… is longer than {_LONGEST_WORD} characters")
            found.append(Word(word, cuts=part.endswith("!")))
        return tuple(found)

    def _set(self, name: str) -> tuple[Word, ...]:
        if name not in self.sets:
            raise self._error(f"no set is called {name}")
        return self.sets[name]

    def _error(self, what: str) -> WordListError:
        return WordListError(f"{self.path}:{self.number}: {what}")


def _says_something(word: str) -> bool:
    """Whether it has a Han character, or two letters or digits."""
    if any("\u4e00" <= character <= "\u9fff" for character in word):
        return True
    letters = fold_word(word)
    return len(letters) > 1 or (len(letters) == 1 and not letters.isascii())


def read_list(path: Path) -> list[Entry]:
    """The entries of one list. Raises `WordListError`."""
    stem = path.stem.split("-", maxsplit=1)[0]
    if stem not in set(Category):
        raise WordListError(f"{path}: the file's name is none of the categories: {', '.join(Category)}")
    try:
        if path.stat().st_size > _LARGEST_LIST:
            raise WordListError(f"{path}: larger than {_LARGEST_LIST} bytes")
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise WordListError(f"{path}: cannot be read: {error}") from error
    return list(_Reader(path, Category(stem)).entries(content.splitlines()))


def read_lists(folder: Path) -> list[Entry]:
    """The entries of the `*.txt` files in a folder. Raises `WordListError`, also where there are none."""
    entries = [entry for path in sorted(folder.glob("*.txt")) for entry in read_list(path)]
    if not entries:
        raise WordListError(f"{folder}: no words in files *.txt")
    return entries
