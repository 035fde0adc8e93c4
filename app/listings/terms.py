"""What a listing is found by when prices are compared.

Titles go through the search's own normal form, tokens and synonyms. Beside its words a title has terms that keep what
merely looks alike apart; a sign tells their kinds from words:

    iphone13   a model: series or brand with its number, however it was written (iPhone 13, 苹果手机13)
    ~3060      the number alone, where it is long enough to be told by it
    ^max+pro   all that makes another model of it; `^` where nothing does
    ^*         instead: several models of one series, and the price is of no single one
    =256g      a measure in one unit (256GB, 8+256)
    *bare      no model at all
    #a3        one of 256 parts that each hold as many listings, by the listing's id: for fair samples

`app.listings.wanted` tells which of them a seller's title looks for.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from app.language.analysis import STOP_WORDS, Analyser, Token, is_han
from app.language.normal_form import normalise
from app.language.synonyms import SYNONYMS
from app.listings.words import (
    BRANDS,
    HAN_QUALIFIERS,
    LETTERED,
    LINES,
    OTHER_THINGS,
    QUALIFIERS,
    SALES_TALK,
    SEE_THROUGH,
    SHORT_NAMES,
)

PARTS: Final = 256
BARE: Final = "*bare"

_LONGEST: Final = 300
"""Characters of a title that are looked at; of an endless one the rest says nothing new."""


class Measure(NamedTuple):
    """How a measure is written, and its unit in the term."""

    pattern: re.Pattern[str]
    unit: str


def _measure(number: str, units: str, unit: str) -> Measure:
    return Measure(re.compile(rf"(?<![\d.])({number})\s*(?:{units})(?![a-z0-9])"), unit)


_YEAR: Final = r"20[0-3]\d"
_MEASURES: Final = (
    _measure(r"\d{1,4}", "gb?", "g"),
    _measure(r"\d", "tb?", "t"),
    _measure(_YEAR, "年款|年版|款|年|", "年"),
    _measure(r"\d{1,3}(?:\.\d)?", "寸|英寸|吋|inch|in", "寸"),
    _measure(r"\d{1,3}-\d{2,3}|\d{1,3}", "mm|毫米", "mm"),
    _measure(r"\d{1,4}", "ml|毫升", "ml"),
    _measure(r"\d{1,4}(?:\.\d)?", "l|升", "升"),
    _measure(r"\d{1,3}(?:\.\d)?", "kg|公斤", "公斤"),
    _measure(r"\d(?:\.\d)?", "匹", "匹"),
    _measure(r"\d(?:\.\d{1,2})?", "米|m", "米"),
    _measure(r"\d{1,4}", "cm|厘米", "厘米"),
    _measure(r"\d{2}(?:\.5)?", "码", "码"),
    _measure(r"\d{2}", "键", "键"),
    _measure(r"\d{2,3}", "hz", "hz"),
    _measure(r"\d{1,4}", "w|瓦", "瓦"),
    _measure(r"\d", "k", "k"),
    _measure(r"\d{3,5}", "mah|毫安", "毫安"),
    _measure(r"128|256|512", "", "g"),
    Measure(re.compile(r"(?<![a-z0-9])(x{0,3}[sl]|m)\s*码"), "码"),
    Measure(re.compile(r"(?<![a-z0-9])(x{1,3}l)(?![a-z0-9])"), "码"),
    Measure(re.compile(r"(?<![a-z0-9])f/?(\d(?:\.\d)?)(?![a-z0-9.])"), "光圈"),
)
_MEMORY: Final = re.compile(
    r"(?<![\d.])(\d{1,2})\s*g?b?\s*\+\s*(16|32|64|128|256|512|1024|[12]\s*(?=t))\s*(gb?|tb?)?(?![a-z0-9])"
)
"""Working memory and storage in one: 12+256, 8G+128G."""

_TALK: Final = re.compile("|".join(sorted(map(re.escape, SALES_TALK), key=lambda word: (-len(word), word))))
_CONDITION: Final = re.compile(
    r"(?<!荣耀)(?<!荣耀\s)(?:100|[6-9]\d(?:\.\d)?)\s*成?新|(?<!\d)[5-9](?:\.\d)?成(?!色)新?|[一二三四五六七八九]+成?新(?!疆)"
    r"|(?:电池)?(?:效率|健康度?|容量)?\s*\d{2,3}\s*%|电池(?:效率|健康度?)?\s*:?\s*\d{2,3}(?!\d|\s*[gt])"
)
"""How worn it is: 95新, 九成新, 电池88%. (荣耀 90 is a telephone.)"""
_COUNT: Final = re.compile(
    r"[¥￥]\s*\d+(?:\.\d+)?|\d+(?:\.\d+)?(?:元(?!气)|块)|(?<!\d)[12]?\d年|(?<![a-z0-9])[45]g(?![a-z0-9+])"
    r"|\d+(?:个月|小时|周(?!年|边)|次(?!元)|期|折(?!叠)|月|岁|天(?!蓝|空|猫)|手(?!机|环|表|柄|办))"
    r"|\d+(?:个(?!人|性)|件|条(?!纹)|张|支(?!持|架|付)|瓶|台(?!版|湾|式|机))"
)
"""Amounts, durations, numbers of things, generations of networks."""
_GENERATION_OF_A_MODEL: Final = re.compile(r"(?<![a-z])([a-z]+)(\d{1,3}[a-z]?)\s*第?([二三四2-4])代")
_GENERATION: Final = re.compile(r"第?([一二三四五六七八九]|\d)代")
_DIGIT_OF: Final = {character: str(number) for number, character in enumerate("一二三四五六七八九", 1)}
_ROMAN: Final = {"ii": "2", "iii": "3", "iv": "4", "v": "5", "vi": "6"}
_MARK: Final = re.compile(r"(?<=[a-z0-9])[\s-]*(?:mark|mk)[\s-]*(iii|ii|iv|vi|v|\d)(?![a-z0-9])")
_MARK_OF_ROMAN: Final = re.compile(r"(?<=\d)([rsc]?)(?:[\s-]*(iii|ii|iv)|[\s-]+(vi|v))(?![a-z0-9])")
_FUJI: Final = re.compile(r"(?<![a-z0-9])x-?([tseh])-?(?=\d{1,3}(?!\d|g))")
_FUJI_XT: Final = "xt"
"""No qualifier where a number follows at once: an X-T30 is no RX 7900 XT."""
_PLUS: Final = re.compile(r"(?<=[a-z0-9])\+(?![\d+])")

_NICKNAMES: Final = (
    (re.compile(r"(iphone1\d)pm"), r"\1", ("pro", "max")),
    (re.compile(r"(iphone1\d)p"), r"\1", ("pro",)),
    (re.compile(r"(iphone[678]s?)p"), r"\1", ("plus",)),
    (re.compile(r"(s2\d)u"), r"\1", ("ultra",)),
    (re.compile(r"(\D*(?:16[56]0|20[678]0|40[78]0))s"), r"\1", ("super",)),
    (re.compile(r"(a7[rsc])(\d)"), r"\1m\2", ()),
    (re.compile(r"(\D*[56]d)([234])"), r"\1m\2", ()),
)
"""Short names that owners have for models: 13pm, s23u, 1660s, a7r3, 5d4."""


@dataclass(frozen=True, slots=True)
class Model:
    """A series or brand with its number. `anchor` is empty where the number stands alone."""

    anchor: str
    number: str

    @property
    def name(self) -> str:
        """`iphone13`; empty for a number that alone says nothing."""
        return self.anchor + self.number if self.anchor else ""

    @property
    def tail(self) -> str:
        """`~3060`, where it has three digits or letters; else empty."""
        return f"~{self.number}" if len(self.number) >= 3 else ""


@dataclass(slots=True)
class Title:
    """What a title says. `brands` are also those that a series belongs to; `words` the rest, brands not among them."""

    models: list[Model] = field(default_factory=list)
    qualifiers: set[str] = field(default_factory=set)
    measures: list[tuple[str, str]] = field(default_factory=list)  # number and unit
    brands: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """The term of all its qualifiers together, or that of several models."""
        numbers: dict[str, str] = {}
        if any(numbers.setdefault(each.anchor, each.number) != each.number for each in self.models if each.anchor):
            return "^*"
        return "^" + "+".join(sorted(self.qualifiers))


@dataclass(slots=True)
class _Piece:
    """A token of a title with the text before it."""

    text: str
    gap: str

    @property
    def glued(self) -> bool:
        return self.gap == ""

    @property
    def near(self) -> bool:
        return self.gap.strip(" -") == ""


def listing_terms(analyser: Analyser, title: str, *, item_id: str) -> list[str]:
    """Everything that the listing `item_id` is found by, sorted, each once."""
    read = read_title(analyser, title)
    terms = {part_term(part_of(item_id))}
    for model in read.models:
        terms |= {model.name, model.tail}
        if is_series(model.anchor):
            terms.add(model.anchor)
    terms |= {read.kind, *map(measure_term, read.measures), *read.brands, *read.words}
    for word in read.words:
        terms.update(part for part in analyser.parts(word) if len(part) > 1)
    if not read.models:
        terms.add(BARE)
    return sorted(terms - {""})


def is_series(anchor: str) -> bool:
    """Whether it is a word by itself; the a of a7m4 is none."""
    return len(anchor) > 2 or anchor in LINES or is_han(anchor or "?")


def part_of(item_id: str) -> int:
    """Which of the `PARTS` a listing is in."""
    return zlib.crc32(item_id.encode()) % PARTS


def part_term(part: int) -> str:
    """The term of all listings in `part`."""
    return f"#{part:02x}"


def measure_term(measure: tuple[str, str]) -> str:
    """`("256", "g")` → `=256g`."""
    number, unit = measure
    return f"={number}{unit}"


def read_title(analyser: Analyser, title: str) -> Title:
    """What `title` says once its sales talk is left out."""
    read = Title()
    text = _TALK.sub(" ", _COUNT.sub(" ", _CONDITION.sub(" ", normalise(title[:_LONGEST]))))
    text = _FUJI.sub(r"x\1", _GENERATION_OF_A_MODEL.sub(_marked, text))
    text = _GENERATION.sub(lambda match: f" {_DIGIT_OF.get(match[1], match[1])} ", text)
    text = _MARK.sub(lambda match: f"m{_ROMAN.get(match[1], match[1])}", text)
    text = _MARK_OF_ROMAN.sub(lambda match: f"{match[1]}m{_ROMAN[match[2] or match[3]]}", text)
    text = _without_measures(text, read)
    for phrase, qualifier in HAN_QUALIFIERS.items():
        if phrase in text:
            read.qualifiers.add(qualifier)
    text = _PLUS.sub(" plus ", text)
    _read_pieces(_pieces(analyser, text), read)
    for brand in [LINES[word] for word in (*read.words, *(model.anchor for model in read.models)) if word in LINES]:
        if brand not in read.brands:
            read.brands.append(brand)
    return read


def _marked(match: re.Match[str]) -> str:
    """R6 二代 is an R6 Mark II; but not SE2 二代, iPad Pro11 二代, i5 四代."""
    letters, number, generation = match[1], match[2], _DIGIT_OF.get(match[3], match[3])
    is_another = letters == "i" or _qualifiers(letters) - {_FUJI_XT} or any(map(letters.startswith, LINES))
    return match[0] if is_another or number == generation else f"{letters}{number}m{generation} "


def _without_measures(text: str, read: Title) -> str:
    def memory(match: re.Match[str]) -> str:
        unit = (match[3] or "g")[0]
        read.measures.append((match[1], "g"))
        read.measures.append(_in_one_unit(match[2].strip(), unit))
        return " "

    text = _MEMORY.sub(memory, text)
    for pattern, unit in _MEASURES:

        def other(match: re.Match[str], unit: str = unit) -> str:
            read.measures.append(_in_one_unit(match[1], unit))
            return " "

        text = pattern.sub(other, text)
    read.measures = list(dict.fromkeys(read.measures))
    return text


def _in_one_unit(number: str, unit: str) -> tuple[str, str]:
    if unit == "g" and number in ("1024", "2048"):
        return str(int(number) // 1024), "t"
    if unit == "寸":  # 13.3 and 13, 15.6 and 15 are said of the same screen
        return number.partition(".")[0], unit
    return number.removesuffix(".0"), unit


def _pieces(analyser: Analyser, text: str) -> list[_Piece]:
    """The tokens of `text`, synonyms by their first member."""
    tokens = analyser.query_tokens(text)
    canonical = _canonical(analyser)
    longest = max(map(len, canonical))
    pieces: list[_Piece] = []
    position, end = 0, 0
    while position < len(tokens):
        length = next(
            (
                length
                for length in range(min(longest, len(tokens) - position), 0, -1)
                if _phrase(tokens, position, length) in canonical
            ),
            0,
        )
        gap = text[end : tokens[position].start]
        if length:
            first, *others = canonical[_phrase(tokens, position, length)]
            pieces += [_Piece(first, gap), *(_Piece(other, "") for other in others)]
        else:
            length = 1
            first, *others = _names_apart(tokens[position].text)
            pieces += [_Piece(first, gap), *(_Piece(other, "") for other in others)]
        end = tokens[position + length - 1].end
        position += length
    return pieces


def _names_apart(text: str) -> list[str]:
    """A token, the names that it begins with taken off: redmik (of RedmiK60) is 红米 and k, 格力空调 格力 and 空调."""
    for length in range(len(text) - 1, 1 if is_han(text) else 3, -1):
        name, rest = text[:length], text[length:]
        # A short name may as well be the beginning of any word.
        if name in _NAMES and (is_han(rest) or length > 4 or len(rest) <= 2 or rest in _NAMES or _qualifiers(rest)):
            return [_NAMES[name], *_names_apart(rest)]
    return [_NAMES.get(text, text)]


def _phrase(tokens: Sequence[Token], position: int, length: int) -> tuple[str, ...]:
    return tuple(token.text for token in tokens[position : position + length])


@lru_cache(maxsize=4)
def _canonical(analyser: Analyser) -> dict[tuple[str, ...], tuple[str, ...]]:
    """By each synonym's tokens those of the first member that is the same thing at the same price."""
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    for group in SYNONYMS:
        members = [member for member in group if member not in OTHER_THINGS]
        if len(members) > 1:
            first, *others = (tuple(token.text for token in analyser.query_tokens(normalise(each))) for each in members)
            found.update(dict.fromkeys(others, first))
    return found


_FIRST_NAMES: Final = {
    normalise(member): normalise(group[0]) for group in SYNONYMS for member in group if group[0] in BRANDS
}
_NAMES: Final = {
    **{name: name for name in (*BRANDS, *LINES)},
    **{name: first for name, first in _FIRST_NAMES.items() if name not in OTHER_THINGS and " " not in name},
}
"""Names of brands and series, by what they are called."""


def _read_pieces(pieces: list[_Piece], read: Title) -> None:
    position = 0
    anchor, taken = "", ""  # the word that a number would belong to, and the number that it has
    lone = ""  # a short number before anything that it could belong to
    while position < len(pieces):
        piece = pieces[position]
        position += 1
        if piece.text.isdigit():
            number, position = _number(pieces, position - 1)
            if taken and not (number.isdigit() and len(number) == len(taken)):
                anchor = ""
            _add_model(read, anchor, number)
            lone = lone or ("" if anchor or len(number) > 2 else number)
            taken = number
        elif lettered := _lettered(anchor, piece.text):
            number, qualifiers = lettered
            _add_model(read, anchor, number)
            read.qualifiers |= qualifiers
        elif (qualifiers := _qualifiers(piece.text)) and not _is_fuji(piece, pieces[position : position + 1]):
            read.qualifiers |= qualifiers
        elif _takes_number(piece, pieces[position : position + 1]):
            anchor = piece.text
            number, position = _number(pieces, position)
            _add_model(read, anchor, number)
            anchor, taken = (anchor, number) if is_series(anchor) else ("", "")
        elif piece.text in SEE_THROUGH:
            _add_word(read, piece.text)
        elif piece.text in SHORT_NAMES or not (
            piece.text in STOP_WORDS or (len(piece.text) == 1 and is_han(piece.text))
        ):
            _add_word(read, piece.text)
            anchor, taken = piece.text, ""
    if lone and read.brands and not any(model.name for model in read.models):
        _add_model(read, read.brands[0], lone)


def _lettered(anchor: str, text: str) -> tuple[str, set[str]] | None:
    """The model that letters name behind `anchor`, and its qualifiers: xs of 苹果 xs, xs and max of iphonexsmax."""
    for name in LETTERED.get(_series_of(anchor), ()):
        rest = text.removeprefix(name)
        if rest != text and (not rest or _qualifiers(rest)):
            return name, _qualifiers(rest)
    return None


def _is_fuji(piece: _Piece, following: list[_Piece]) -> bool:
    return piece.text == _FUJI_XT and bool(following) and following[0].glued and following[0].text.isdigit()


def _takes_number(piece: _Piece, following: list[_Piece]) -> bool:
    """Whether these are letters with a number behind them, as one word or nearly."""
    return not is_han(piece.text) and bool(following) and following[0].text.isdigit() and following[0].near


def _number(pieces: list[_Piece], position: int) -> tuple[str, int]:
    """The number at `position` with what is glued to it (7m4, 1000xm5, 12700h), and where reading goes on."""
    number = pieces[position].text
    position += 1
    while position < len(pieces) and pieces[position].glued:
        text = pieces[position].text
        if is_han(text) or _qualifiers(text) or (not text.isdigit() and len(text) > 2):
            break
        number += text
        position += 1
    return number, position


def _qualifiers(text: str) -> set[str]:
    """The qualifiers that a token is made of; empty where it is anything else."""
    found: set[str] = set()
    while text:
        longest = max((each for each in QUALIFIERS if text.startswith(each)), key=len, default="")
        if not longest:
            return set()
        found.add(longest)
        text = text[len(longest) :]
    return found


def _series_of(anchor: str) -> str:
    """What a number behind `anchor` is one of: the numbers of 苹果 are its telephones'."""
    return "iphone" if anchor == "苹果" else anchor


def _add_model(read: Title, anchor: str, number: str) -> None:
    anchor = _series_of(anchor)
    if anchor in BRANDS:
        _add_word(read, anchor)
    for pattern, name, qualifiers in _NICKNAMES:
        match = pattern.fullmatch(anchor + number)
        if match is not None:
            read.qualifiers.update(qualifiers)
            number = match.expand(name)[len(anchor) :]
            break
    model = Model(anchor, number)
    if (model.name or model.tail) and model not in read.models:
        read.models.append(model)


def _add_word(read: Title, word: str) -> None:
    found = read.brands if word in BRANDS else read.words
    if word not in found:
        found.append(word)
