"""The form of a text that the rules read, with the way back to the characters as they were written.

People hide words from filters: full-width, circled and mathematical letters, emoji digits, traditional characters,
letters of other scripts that look alike, invisible characters, symbols between the characters. `fold` undoes that
character by character, for many texts at once, by tables: an index into the result is an index into the text.
"""

import itertools
import re
import string
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import opencc

from app.language.pinyin import pinyin

DATA: Final = Path(__file__).parent / "data"

BORDER: Final = "\uffff"
"""Stands between two texts that are folded together: no word and no pattern contains it."""

DIGIT_SPELLINGS: Final = (
    "〇零oO洞",
    "一壹幺妖l|i",
    "二贰两",
    "三叁仨",
    "四肆",
    "五伍",
    "六陆",
    "七柒拐",
    "八捌",
    "九玖勾",
)
"""How digits are spelled, and the letters and signs that are drawn like one."""

SENTENCE_ENDS: Final = f"\n\r,;!?、。{BORDER}"
"""Characters of folded texts that end a sentence, a clause or a line."""

SIGNS: Final = "@🛰🐧¥￥$€₤"
"""Signs that contacts are written with and that are no part of words."""

_SEPARATOR: Final = "\u00b7"
_CODE_POINTS: Final = 0x110000
_UNKNOWN: Final = _CODE_POINTS
_ENCODING: Final = "utf-32-le"

_Codes: TypeAlias = npt.NDArray[np.uint32]
_Places: TypeAlias = npt.NDArray[np.intp]
_Kinds: TypeAlias = npt.NDArray[np.uint8]

# The kinds of characters of folded texts, several of which one may be of.
_LETTER: Final = 1  # Latin
_FIGURE: Final = 2
_DIGIT: Final = 4  # in some spelling
_SIGN: Final = 8
_END: Final = 16


@dataclass(frozen=True, slots=True)
class _Tables:
    """By code point: the code point that is meant (`_UNKNOWN` and above: several), and whether it is part of words.

    Of folded texts: the digit that is meant and the code of the syllable, and what kind of character it is.
    """

    meant: _Codes
    several: tuple[str, ...]
    is_word: npt.NDArray[np.bool_]
    digit: _Codes
    kind: _Kinds
    syllable: _Codes


class Occurrence(NamedTuple):
    """Something in text `number`: `text[start:end]`, and `squeezed[first:behind]`."""

    number: int
    start: int
    end: int
    first: int
    behind: int

    @property
    def length(self) -> int:
        """How many characters it has in `squeezed`."""
        return self.behind - self.first


@dataclass(frozen=True)
class Folded:
    """Texts folded together: `text` has a character for each of the originals' (and more where one means several).

    `squeezed` is `text` without what separates: blanks, punctuation, symbols; `squeezed_places` has where each of its
    characters stands in `text`. `starts` has where each text begins in `text`. `origin` leads from there to the joined
    originals where they differ in length, else it is None. `codes` are the code points of `text`.
    """

    text: str
    squeezed: str
    starts: list[int]
    origin: _Places | None
    codes: _Codes
    squeezed_codes: _Codes
    squeezed_places: _Places

    @cached_property
    def sentences(self) -> _Places:
        """The number of the sentence that each character of `squeezed` is of."""
        return np.cumsum(self._kinds & _END != 0, dtype=np.intp).take(self.squeezed_places)

    def occurrences(self, firsts: _Places, behinds: _Places) -> Iterator[Occurrence]:
        """What begins at `firsts` of `squeezed` and ends before `behinds`."""
        starts, ends = self.squeezed_places.take(firsts), self.squeezed_places.take(behinds - 1) + 1
        columns = (self.numbers_of(starts), starts, ends, firsts, behinds)
        return itertools.starmap(Occurrence, zip(*(column.tolist() for column in columns), strict=True))

    def occurrence(self, number: int, first: int, behind: int) -> Occurrence:
        """`squeezed[first:behind]`, which is of text `number`."""
        places = self.squeezed_places
        return Occurrence(number, int(places[first]), int(places[behind - 1]) + 1, first, behind)

    def inner_places(self, occurrence: Occurrence) -> list[int] | None:
        """Where its characters stand in `text`; None if side by side."""
        _number, start, end, first, behind = occurrence
        if end - start == behind - first:
            return None
        places: list[int] = self.squeezed_places[first:behind].tolist()
        return places

    @cached_property
    def _kinds(self) -> _Kinds:
        """The kinds of the characters of `text`, and none behind the last one."""
        return np.append(_tables().kind.take(self.codes), np.uint8(0))

    def goes_on(self, places: _Places) -> npt.NDArray[np.bool_]:
        """Whether a Latin word or a number of figures that begins before goes on at these places of `text`."""
        here, before = (self._kinds.take(at) & (_LETTER | _FIGURE) for at in (places, places - 1))
        goes_on: npt.NDArray[np.bool_] = (here == before) & (here != 0)
        return goes_on

    @cached_property
    def syllable_codes(self) -> _Codes:
        """`squeezed_codes` with one code for each syllable in the place of Han: what sounds alike is alike."""
        return _tables().syllable.take(self.squeezed_codes)

    @cached_property
    def digits(self) -> str:
        """`text` with spelled digits as digits."""
        return _text(_tables().digit.take(self.codes))

    def with_long_numbers(self, least: int) -> list[int]:
        """The texts where at least so many digits follow each other, spelled ones too, whatever separates them."""
        digits = np.flatnonzero(self._kinds.take(self.squeezed_places) & _DIGIT)
        last = digits[least - 1 :]
        places = self.squeezed_places.take(last[last - digits[: last.size] == least - 1])
        numbers: list[int] = np.unique(self.numbers_of(places)).tolist()
        return numbers

    def with_signs(self) -> list[int]:
        """The texts where one of `SIGNS` stands."""
        numbers: list[int] = self.numbers_of(np.flatnonzero(self._kinds & _SIGN)).tolist()
        return numbers

    @cached_property
    def _start_places(self) -> _Places:
        return np.array(self.starts, np.intp)

    def numbers_of(self, places: _Places) -> _Places:
        """Which of the texts the characters at `places` of `text` belong to."""
        return np.searchsorted(self._start_places, places, side="right") - 1

    def original(self, number: int, start: int, end: int) -> tuple[int, int]:
        """`text[start:end]`, which is of text `number`, as positions in that text as it was written."""
        first = self.starts[number]
        if self.origin is None:
            return start - first, end - first
        base = int(self.origin[first])
        return int(self.origin[start]) - base, int(self.origin[end - 1]) + 1 - base

    def part(self, number: int) -> tuple[int, str]:
        """Where text `number` begins in `text`, and its folded characters."""
        start = self.starts[number]
        end = self.starts[number + 1] - 1 if number + 1 < len(self.starts) else len(self.text)
        return start, self.text[start:end]

    def squeezed_part(self, number: int) -> tuple[int, str]:
        """Where text `number` begins in `squeezed`, and its characters there."""
        start, part = self.part(number)
        first, behind = np.searchsorted(self.squeezed_places, (start, start + len(part))).tolist()
        return first, self.squeezed[first:behind]


def fold(texts: Sequence[str]) -> Folded:
    """The texts, each without a limit of length and of any characters (lone surrogates are symbols)."""
    tables = _tables()
    joined = BORDER.join(texts)
    codes: _Codes = np.frombuffer(joined.encode(_ENCODING, "surrogatepass"), np.uint32)
    meant = tables.meant.take(codes)
    is_word = tables.is_word.take(codes)
    lengths = np.fromiter(map(len, texts), np.intp, len(texts))
    starts = np.concatenate((np.zeros(1, np.intp), np.cumsum(lengths + 1)[:-1]))
    origin = None
    if meant.size and int(meant.max()) >= _UNKNOWN:
        meant, is_word, origin = _expanded(meant, is_word, tables.several)
        starts = np.searchsorted(origin, starts).astype(np.intp)
    places = np.flatnonzero(is_word)
    squeezed = meant.take(places)
    return Folded(_text(meant), _text(squeezed), starts.tolist(), origin, meant, squeezed, places)


def fold_word(word: str) -> str:
    """A word of a list as it stands in `Folded.squeezed`."""
    return fold([word]).squeezed


def fold_words(words: Iterable[str]) -> dict[str, str]:
    """As `fold_word`, of many at once, which takes a fraction of the time."""
    distinct = list(dict.fromkeys(words))
    return dict(zip(distinct, fold(distinct).squeezed.split(BORDER), strict=True))


def syllables_of(folded_word: str) -> str:
    """A folded word as it stands in `Folded.syllable_codes`."""
    return _text(_tables().syllable.take(np.frombuffer(folded_word.encode(_ENCODING), np.uint32)))


def lines(path: Path) -> Iterator[str]:
    """The lines of a data file that say something."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line


def _text(codes: npt.NDArray[np.uint32]) -> str:
    return codes.tobytes().decode(_ENCODING)


def _expanded(
    meant: _Codes, is_word: npt.NDArray[np.bool_], several: Sequence[str]
) -> tuple[_Codes, npt.NDArray[np.bool_], _Places]:
    """Put the characters in the place of those that mean several (㎏, ⑩), with the index that each comes from."""
    counts = np.ones(meant.size, np.intp)
    wide = np.flatnonzero(meant >= _UNKNOWN)
    for place in wide:
        counts[place] = len(several[int(meant[place]) - _UNKNOWN])
    origin = np.repeat(np.arange(meant.size, dtype=np.intp), counts)
    result = np.repeat(meant, counts)
    ends = np.cumsum(counts)
    for place in wide:
        characters = several[int(meant[place]) - _UNKNOWN]
        result[ends[place] - len(characters) : ends[place]] = [ord(character) for character in characters]
    return result, np.repeat(is_word, counts), origin


# Where Unicode knows characters that are compatible with others. All else means itself, or what our tables say.
_COMPATIBLE: Final = ((0x80, 0x3400), (0xA640, 0xABFF), (0xF900, 0xFFFF), (0x1D400, 0x1D800), (0x1F100, 0x1F300))
# Above stand rare Han characters and what nobody writes.
_TABLED: Final = 0x20000
# Letters in black circles and squares, and the letters that make flags: Unicode calls them compatible with nothing.
_DRAWN_ALPHABETS: Final = (0x1F150, 0x1F170, 0x1F1E6)
# What is told by one sign of a kind.
_HEARTS: Final = "❤♥♡❥💗💓💕💖💘💙💚💛💜🖤🤍🤎🧡💝💞💟❣"
_HEART: Final = "❤"


@cache
def _tables() -> _Tables:
    meant = np.arange(_CODE_POINTS, dtype=np.uint32)
    is_word = np.ones(_CODE_POINTS, np.bool_)
    is_word[:_TABLED] = [chr(code).isalnum() for code in range(_TABLED)]
    alike = _lookalikes()
    simplified = _simplified()
    several: list[str] = []
    plain = {
        character: _plain(character, alike) for start, end in _COMPATIBLE for character in map(chr, range(start, end))
    }
    plain |= {chr(code): chr(code).lower() for code in range(0x80)} | simplified | alike
    for character, characters in plain.items():
        code = ord(character)
        if len(characters) == 1:
            meant[code] = ord(characters)
            is_word[code] = characters.isalnum()
        else:
            meant[code] = _UNKNOWN + len(several)
            several.append(characters)
            is_word[code] = characters.isalnum()
    is_word[ord(BORDER)] = True
    meant[ord(BORDER)] = ord(BORDER)
    meant[0xD800:0xE000] = ord(_SEPARATOR)
    is_word[0xD800:0xE000] = False
    # Emoji and other symbols above the table.
    is_word[0xE0000:0xE1000] = False
    syllable = np.arange(_CODE_POINTS, dtype=np.uint32)
    codes = {name: 0xF0000 + number for number, name in enumerate(sorted(set(pinyin().values())))}
    for character, name in pinyin().items():
        syllable[ord(character)] = codes[name]
    digit = np.arange(_CODE_POINTS, dtype=np.uint32)
    for value, spellings in enumerate(DIGIT_SPELLINGS):
        digit[[ord(spelling) for spelling in spellings]] = ord(str(value))
    return _Tables(
        meant=meant,
        several=tuple(several),
        is_word=is_word,
        digit=digit,
        kind=_kind(),
        syllable=syllable,
    )


def _kind() -> _Kinds:
    kinds = np.zeros(_CODE_POINTS, np.uint8)
    for kind, characters in {
        _LETTER: string.ascii_letters,
        _FIGURE: string.digits,
        _DIGIT: string.digits + "".join(DIGIT_SPELLINGS),
        _SIGN: SIGNS,
        _END: SENTENCE_ENDS,
    }.items():
        kinds[[ord(character) for character in characters]] |= np.uint8(kind)
    return kinds


def _plain(character: str, alike: dict[str, str]) -> str:
    """What a character that no table of ours names means: itself, or what Unicode holds it to be."""
    digit = unicodedata.digit(character, None)
    if digit is not None:
        return str(digit)
    for first in _DRAWN_ALPHABETS:
        if first <= ord(character) < first + 26:
            return chr(ord("a") + ord(character) - first)
    if character in _HEARTS:
        return _HEART
    whole = unicodedata.normalize("NFKC", character)
    letters = unicodedata.normalize("NFKD", character)
    kept = "".join(letter for letter in letters if not unicodedata.combining(letter))
    # Accents go; syllables of Hangul and the like stay whole.
    plain = kept if kept and kept[0].isascii() else whole
    plain = "".join(alike.get(letter, letter) for letter in plain.casefold())
    if not plain or (len(plain) > 1 and not plain.isalnum()):
        inner = "".join(filter(str.isalnum, plain))
        return inner or _SEPARATOR
    return plain


def _lookalikes() -> dict[str, str]:
    found = {}
    for line in lines(DATA / "lookalikes.txt"):
        meant, characters = line.split()
        found.update(dict.fromkeys(characters, meant))
    return found


def _simplified() -> dict[str, str]:
    """The simplified character of each traditional one."""
    han = re.findall("[\u3400-\u9fff\uf900-\ufaff]", "".join(map(chr, range(0x3400, 0xFB00))))
    converted = opencc.OpenCC("t2s").convert("\n".join(han)).split("\n")
    return {old: new for old, new in zip(han, converted, strict=True) if old != new and len(new) == 1}
