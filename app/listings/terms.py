"""The terms by which listings are found when prices are compared.

Titles go through the search's own normal form, tokens and synonyms. Beside its words a title has terms that tell things
of similar names apart. The first character says which kind a term is of; words have no such sign:

    iphone13   a model: series or brand with its number, however it was written (iPhone 13, 苹果手机13)
    ~3060      the number alone, where it is long enough to identify the model
    ^max+pro   the variant: all qualifiers, each of which makes another model; `^` where there is none
    ^*         instead of a variant: several models of one series, so that the price belongs to no single one
    =256g      a measure, converted to one unit (256GB, 8+256)
    *bare      the title names no model
    #a3        one of 256 parts of equal size, by a hash of the listing's id: what samples are made of

`app.listings.relaxation` tells which of them comparable listings must have.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from app.language.analysis import STOP_WORDS, Analyser, Token, is_han
from app.language.lexicon import Lexicon, WordClass, built_in_lexicon
from app.language.normal_form import normalise
from app.listings.words import (
    BRAND_OF_SERIES,
    BRANDS,
    GENERIC_NOUNS,
    HAN_QUALIFIERS,
    LETTER_MODELS,
    ONE_CHARACTER_NOUNS,
    QUALIFIERS,
    SALES_TALK,
    is_one_model,
)

PARTS: Final = 256
NO_MODEL: Final = "*bare"

_LONGEST: Final = 300
"""Characters of a title that are looked at; what comes after them repeats what was said."""


class Measure(NamedTuple):
    """How a measure is written (the first group is the number), and the unit that its term has.

    A text without any of the characters of `needed` has no such measure, and is not searched; empty: it may have.
    """

    pattern: re.Pattern[str]
    unit: str
    needed: frozenset[str]


def _measure(number: str, units: str, unit: str) -> Measure:
    beginnings = frozenset(each[:1] for each in units.split("|"))
    pattern = re.compile(rf"(?<![\d.])({number})\s*(?:{units})(?![a-z0-9])")
    return Measure(pattern, unit, frozenset() if "" in beginnings else beginnings)


_YEAR: Final = r"20[0-3]\d"
_ZOOM_FROM: Final = "1[0-9]|2[0-9]|35|5[05]|70|75|80|100|150|200"
_ZOOM_TO: Final = "2[048]|35|4[05]|5[05]|70|85|1[0-9][05]|2[0-9]0|300|350|400|500|600|800"
_MEASURES: Final = (
    _measure(r"\d{1,4}", "gb?", "g"),
    _measure(r"\d", "tb?", "t"),
    _measure(_YEAR, "年款|年版|款|年|", "年"),
    _measure(r"\d{1,3}(?:\.\d)?", "寸|英寸|吋|inch|in", "寸"),
    _measure(r"\d{1,3}-\d{2,3}|\d{1,3}", "mm|毫米", "mm"),
    # A zoom range without its unit: 套机 24-105, 18-55 镜头.
    _measure(rf"(?:{_ZOOM_FROM})-(?:{_ZOOM_TO})", "", "mm"),
    # A surface: 120*60, 1.8×2米.
    _measure(r"\d{1,3}(?:\.\d{1,2})?\s*[*×x]\s*\d{1,3}(?:\.\d{1,2})?", "cm|厘米|米|m|", "面"),
    _measure(r"\d{1,4}", "ml|毫升", "ml"),
    _measure(r"\d{1,4}(?:\.\d)?", "l|升", "升"),
    _measure(r"\d{1,3}(?:\.\d)?", "kg|公斤", "公斤"),
    _measure(r"\d(?:\.\d)?", "匹", "匹"),
    _measure(r"\d(?:\.\d{1,2})?", "米", "米"),
    Measure(re.compile(r"(?<![\d.])(\d(?:\.\d{1,2})?)m(?![a-z0-9])"), "米", frozenset("m")),
    _measure(r"\d{1,4}", "cm|厘米", "厘米"),
    _measure(r"\d{2}(?:\.5)?", "码", "码"),
    _measure(r"\d{2,3}", "键(?!盘)", "键"),
    _measure(r"\d{2,3}", "hz", "hz"),
    _measure(r"\d{1,4}", "w|瓦", "瓦"),
    _measure(r"\d", "k", "k"),
    _measure(r"\d{3,5}", "mah|毫安", "毫安"),
    _measure(r"128|256|512", "", "g"),
    Measure(re.compile(r"(?<![a-z0-9])(x{0,3}[sl]|m)\s*码"), "码", frozenset("码")),
    Measure(re.compile(r"(?<![a-z0-9])(x{1,3}l)(?![a-z0-9])"), "码", frozenset("x")),
    Measure(re.compile(r"(?<=[男女])\s*(1[4-9][05])(?![\d.a-z])"), "码", frozenset("男女")),
    Measure(re.compile(r"(?<![a-z0-9])f/?(\d(?:\.\d)?)(?![a-z0-9.])"), "光圈", frozenset("f")),
)
_MEMORY: Final = re.compile(
    r"(?<![\d.])(\d{1,2})\s*g?b?\s*\+\s*(16|32|64|128|256|512|1024|[12]\s*(?=t))\s*(gb?|tb?)?(?![a-z0-9])"
)
"""Memory and storage together: 12+256, 8G+128G."""

_TALK: Final = re.compile("|".join(sorted(map(re.escape, SALES_TALK), key=lambda word: (-len(word), word))))
_CONDITION: Final = re.compile(
    r"(?<!荣耀)(?<!荣耀\s)(?:100|[6-9]\d(?:\.\d)?)\s*成?新|(?<!\d)[5-9](?:\.\d)?成(?!色)新?|[一二三四五六七八九]+成?新(?!疆)"
    r"|(?:电池)?(?:最大)?(?:效率|健康度?|容量)?\s*\d{2,3}\s*%"
    r"|电池(?:最大)?(?:效率|健康度?|容量)?\s*:?\s*\d{2,3}(?!\d|\s*[gtmw毫])|快门(?:数|次数|大概|约|才|仅|只有)*\s*:?\s*\d+(?:\.\d+)?[w万]?"
)
"""The condition: 95新, 九成新, 电池88%. (荣耀 90 is a telephone.)"""
_COUNT: Final = re.compile(
    r"[¥￥]\s*\d+(?:\.\d+)?|\d+(?:\.\d+)?(?:元(?!气)|块)|(?<!\d)[12]?\d年|(?<![a-z0-9])[45]g(?![a-z0-9+])"
    r"|\d+(?:个月|小时|周(?!年|边)|次(?!元)|期|折(?!叠)|月|岁|天(?!蓝|空|猫)|手(?!机|环|表|柄|办))"
    r"|\d+(?:个(?!人|性)|件|条(?!纹)|张|支(?!持|架|付)|瓶|台(?!版|湾|式|机))"
)
"""Amounts, durations, quantities, generations of mobile networks: none identifies a model."""
_GENERATION_OF_A_MODEL: Final = re.compile(r"(?<![a-z])([a-z]+)(\d{1,3}[a-z]?)\s*第?([二三四2-4])代")
_GENERATION: Final = re.compile(r"第?([一二三四五六七八九]|\d)代")
_DIGIT_OF: Final = {character: str(number) for number, character in enumerate("一二三四五六七八九", 1)}
_ROMAN: Final = {"ii": "2", "iii": "3", "iv": "4", "v": "5", "vi": "6"}
_MARK: Final = re.compile(r"(?<=[a-z0-9])[\s-]*(?:mark|mk)[\s-]*(iii|ii|iv|vi|v|\d)(?![a-z0-9])")
_MARK_OF_ROMAN: Final = re.compile(r"(?<=\d)([rsc]?)(?:[\s-]*(iii|ii|iv)|[\s-]+(vi|v))(?![a-z0-9])")
_FUJI: Final = re.compile(r"(?<![a-z0-9])x-?([tseh])-?(?=\d{1,3}(?!\d|g))")
_FUJI_XT: Final = "xt"
"""A qualifier of RX 7900 XT, but the prefix of a model where a number follows at once: X-T30."""
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
"""Abbreviations that owners use for models, what replaces them, and the qualifiers that they imply: 13pm, s23u, 1660s,
a7r3, 5d4."""


@dataclass(frozen=True, slots=True)
class Model:
    """A series or brand (`prefix`) with its number. `prefix` is empty where the number stands alone."""

    prefix: str
    number: str

    @property
    def name(self) -> str:
        """Its term, `iphone13`; empty where the number stands alone."""
        return self.prefix + self.number if self.prefix else ""

    @property
    def number_term(self) -> str:
        """The term of its number, `~3060`, where that has three or more digits or letters; else empty."""
        return f"~{self.number}" if len(self.number) >= 3 else ""


@dataclass(slots=True)
class ParsedTitle:
    """What a title says. `brands` includes the brands of its series; `words` are all words that are not brands."""

    models: list[Model] = field(default_factory=list)
    qualifiers: set[str] = field(default_factory=set)
    measures: list[tuple[str, str]] = field(default_factory=list)  # number and unit
    brands: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    @property
    def variant(self) -> str:
        """The term of all its qualifiers together, or `^*` where it names several models of one series."""
        numbers: dict[str, str] = {}
        if any(numbers.setdefault(each.prefix, each.number) != each.number for each in self.models if each.prefix):
            return "^*"
        return "^" + "+".join(sorted(self.qualifiers))


@dataclass(slots=True)
class _Piece:
    """A token of a title, and what stands between it and the token before."""

    text: str
    gap: str

    @property
    def adjacent(self) -> bool:
        return self.gap == ""

    @property
    def near(self) -> bool:
        return self.gap.strip(" -") == ""


def listing_terms(analyser: Analyser, title: str, *, item_id: str) -> list[str]:
    """All terms of the listing `item_id`, sorted, without duplicates."""
    parsed = parse_title(analyser, title)
    terms = {part_term(part_of(item_id))}
    for model in parsed.models:
        terms |= {model.name, model.number_term}
        if is_series(model.prefix):
            terms.add(model.prefix)
    terms |= {parsed.variant, *map(measure_term, parsed.measures), *parsed.brands, *parsed.words}
    for word in parsed.words:
        terms.update(part for part in analyser.parts(word) if len(part) > 1)
    if not parsed.models:
        terms.add(NO_MODEL)
    return sorted(terms - {""})


def is_series(prefix: str) -> bool:
    """Whether a model's prefix is the name of a series, and not just letters like the a of a7m4."""
    return len(prefix) > 2 or prefix in BRAND_OF_SERIES or is_han(prefix or "?")


def part_of(item_id: str) -> int:
    """Which of the `PARTS` a listing is in, from 0."""
    return zlib.crc32(item_id.encode()) % PARTS


def part_term(part: int) -> str:
    """The term of all listings in `part`."""
    return f"#{part:02x}"


def measure_term(measure: tuple[str, str]) -> str:
    """`("256", "g")` → `=256g`."""
    number, unit = measure
    return f"={number}{unit}"


def parse_title(analyser: Analyser, title: str) -> ParsedTitle:
    """What `title` says beside sales talk, condition and amounts, which are left out."""
    parsed = ParsedTitle()
    text = _TALK.sub(" ", _COUNT.sub(" ", _CONDITION.sub(" ", normalise(title[:_LONGEST]))))
    text = _FUJI.sub(r"x\1", _GENERATION_OF_A_MODEL.sub(_with_mark, text))
    text = _GENERATION.sub(lambda match: f" {_DIGIT_OF.get(match[1], match[1])} ", text)
    text = _MARK.sub(lambda match: f"m{_ROMAN.get(match[1], match[1])}", text)
    text = _MARK_OF_ROMAN.sub(lambda match: f"{match[1]}m{_ROMAN[match[2] or match[3]]}", text)
    has_memory = _MEMORY.search(text) is not None
    text = _without_measures(text, parsed)
    for phrase, qualifier in HAN_QUALIFIERS.items():
        if phrase in text:
            parsed.qualifiers.add(qualifier)
    text = _PLUS.sub(" plus ", text)
    _read_pieces(_pieces(analyser, text, has_memory=has_memory), parsed)
    for word in (*parsed.words, *(model.prefix for model in parsed.models)):
        brand = BRAND_OF_SERIES.get(word)
        if brand is not None and brand not in parsed.brands:
            parsed.brands.append(brand)
    return parsed


def _with_mark(match: re.Match[str]) -> str:
    """R6 二代 as R6m2, which is how R6 Mark II is written; SE2 二代, iPad Pro11 二代, i5 四代 stay as they are."""
    letters, number, generation = match[1], match[2], _DIGIT_OF.get(match[3], match[3])
    has_no_marks = (
        letters == "i" or qualifiers_of(letters) - {_FUJI_XT} or any(map(letters.startswith, BRAND_OF_SERIES))
    )
    return match[0] if has_no_marks or number == generation else f"{letters}{number}m{generation} "


@dataclass(frozen=True, slots=True)
class FoundMeasure:
    """Measures, and where the text names them: 8+256 are two, at one place."""

    measures: tuple[tuple[str, str], ...]
    start: int
    end: int


def find_measures(text: str) -> tuple[str, list[FoundMeasure]]:
    """The measures in a text in normal form, and the text with blanks in their place."""
    found: list[FoundMeasure] = []

    def memory(match: re.Match[str]) -> str:
        storage = _in_one_unit(match[2].strip(), (match[3] or "g")[0])
        found.append(FoundMeasure(((match[1], "g"), storage), *match.span()))
        return " " * len(match[0])

    text = _MEMORY.sub(memory, text)
    characters = set(text)
    for pattern, unit, needed in _MEASURES:
        if needed and needed.isdisjoint(characters):
            continue

        def other(match: re.Match[str], unit: str = unit) -> str:
            found.append(FoundMeasure((_in_one_unit(match[1], unit),), *match.span()))
            return " " * len(match[0])

        text = pattern.sub(other, text)
    return text, found


def _without_measures(text: str, parsed: ParsedTitle) -> str:
    """`text` without its measures, which go to `parsed`."""
    text, found = find_measures(text)
    parsed.measures = list(dict.fromkeys(measure for each in found for measure in each.measures))
    return text


def _in_one_unit(number: str, unit: str) -> tuple[str, str]:
    if unit == "g" and number in ("1024", "2048"):
        return str(int(number) // 1024), "t"
    if unit == "面":
        return re.sub(r"\s*[×x]\s*|\s*\*\s*", "*", number), unit
    if unit == "寸":  # sellers round inches: 13.3 and 13, 15.6 and 15 are the same screen
        return number.partition(".")[0], unit
    return number.removesuffix(".0"), unit


def _pieces(analyser: Analyser, text: str, *, has_memory: bool) -> list[_Piece]:
    """The tokens of `text`; each other name is replaced by the first one of its group.

    `has_memory`: memory and storage are named together, as nobody does of an iPhone.
    """
    tokens = analyser.query_tokens(text)
    names = _first_names(analyser, analyser.lexicon)
    is_bare = not has_memory and not any(token.text in names.brands_and_series for token in tokens)
    pieces: list[_Piece] = []
    position, end = 0, 0
    while position < len(tokens):
        longest = names.lengths.get(tokens[position].text, 0)
        length = next(
            (
                length
                for length in range(min(longest, len(tokens) - position), 0, -1)
                if (phrase := _phrase(tokens, position, length)) in names.first
                and (is_bare or not phrase[0][0].isdigit())
                and not _begins_inside_run(tokens, position)
            ),
            0,
        )
        gap = text[end : tokens[position].start]
        if length:
            first, *others = names.first[_phrase(tokens, position, length)]
            pieces += [_Piece(first, gap), *(_Piece(other, "") for other in others)]
        else:
            length = 1
            first, *others = _names_apart(tokens[position].text)
            pieces += [_Piece(first, gap), *(_Piece(other, "") for other in others)]
        end = tokens[position + length - 1].end
        position += length
    return pieces


def _begins_inside_run(tokens: Sequence[Token], position: int) -> bool:
    """Whether the token at `position` continues letters or digits without a gap: 13 of k13 pro, xm5 of wh1000xm5."""
    before, token = tokens[position - 1] if position else None, tokens[position]
    return before is not None and before.end == token.start and before.text.isascii() and token.text.isascii()


@lru_cache(maxsize=4096)
def _names_apart(text: str) -> tuple[str, ...]:
    """A token, split behind names that it begins with: redmik (of RedmiK60) is 红米 and k, 格力空调 格力 and 空调."""
    for length in range(len(text) - 1, 1 if is_han(text) else 3, -1):
        name, rest = text[:length], text[length:]
        # Any longer word may happen to begin with a short name.
        if name in _NAMES and (is_han(rest) or length > 4 or len(rest) <= 2 or rest in _NAMES or qualifiers_of(rest)):
            return (_NAMES[name], *_names_apart(rest))
    return (_NAMES.get(text, text),)


def _phrase(tokens: Sequence[Token], position: int, length: int) -> tuple[str, ...]:
    return tuple(token.text for token in tokens[position : position + length])


@dataclass(frozen=True, slots=True)
class _FirstNames:
    """By the tokens of each name those of the first name of its group.

    `lengths` has, by the first token of names, how many tokens the longest of them has. `brands_and_series` are the
    tokens that are the name of one.
    """

    first: dict[tuple[str, ...], tuple[str, ...]]
    lengths: dict[str, int]
    brands_and_series: frozenset[str]


@lru_cache(maxsize=4)
def _first_names(analyser: Analyser, lexicon: Lexicon) -> _FirstNames:
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    known: set[str] = set()
    for group in lexicon.of(WordClass.MODEL, WordClass.BRAND, WordClass.THING):
        first, *others = (tuple(token.text for token in analyser.query_tokens(name)) for name in group.names)
        for other in others:
            found.setdefault(other, first)
        if group.word_class is WordClass.BRAND or (group.word_class is WordClass.MODEL and not is_one_model(group)):
            known |= {name[0] for name in (first, *others) if len(name) == 1}
    found = {name: first for name, first in found.items() if name != first}
    lengths: dict[str, int] = {}
    for name in found:
        lengths[name[0]] = max(len(name), lengths.get(name[0], 0))
    return _FirstNames(found, lengths, frozenset(known))


_NAMES: Final = {
    **{name: name for name in (*BRANDS, *BRAND_OF_SERIES)},
    **{
        name: group.name
        for group in built_in_lexicon().of(WordClass.BRAND)
        for name in group.names
        if " " not in name and name.isalpha()
    },
}
"""By each name of a brand or series the one name that terms have for it."""


def _read_pieces(pieces: list[_Piece], parsed: ParsedTitle) -> None:
    """Add the models, qualifiers, brands and words of `pieces` to `parsed`."""
    position = 0
    prefix, taken = "", ""  # the word to which the next number belongs, and the number that it has already
    lone = ""  # a short number without a prefix; the brand's, where no model is found
    while position < len(pieces):
        piece = pieces[position]
        position += 1
        if piece.text.isdigit():
            number, position = _number(pieces, position - 1)
            if taken and not (number.isdigit() and len(number) == len(taken)):
                prefix = ""
            _add_model(parsed, prefix, number)
            lone = lone or ("" if prefix or len(number) > 2 else number)
            taken = number
        elif lettered := _lettered(prefix, piece.text):
            number, qualifiers = lettered
            _add_model(parsed, prefix, number)
            parsed.qualifiers |= qualifiers
        elif (qualifiers := qualifiers_of(piece.text)) and not _is_fuji(piece, pieces[position : position + 1]):
            parsed.qualifiers |= qualifiers
        elif _takes_number(piece, pieces[position : position + 1]):
            prefix = piece.text
            number, position = _number(pieces, position)
            _add_model(parsed, prefix, number)
            prefix, taken = (prefix, number) if is_series(prefix) else ("", "")
        elif piece.text in GENERIC_NOUNS:
            _add_word(parsed, piece.text)
        elif piece.text in ONE_CHARACTER_NOUNS or not (
            piece.text in STOP_WORDS or (len(piece.text) == 1 and is_han(piece.text))
        ):
            _add_word(parsed, piece.text)
            prefix, taken = piece.text, ""
    if lone and parsed.brands and not any(model.name for model in parsed.models):
        _add_model(parsed, parsed.brands[0], lone)


def _lettered(prefix: str, text: str) -> tuple[str, frozenset[str]] | None:
    """The model that letters name behind `prefix`, and its qualifiers: xs of 苹果 xs; xs and max of iphonexsmax."""
    for name in LETTER_MODELS.get(_series_of(prefix), ()):
        rest = text.removeprefix(name)
        if rest != text and (not rest or qualifiers_of(rest)):
            return name, qualifiers_of(rest)
    return None


def _is_fuji(piece: _Piece, following: list[_Piece]) -> bool:
    return piece.text == _FUJI_XT and bool(following) and following[0].adjacent and following[0].text.isdigit()


def _takes_number(piece: _Piece, following: list[_Piece]) -> bool:
    """Whether these are letters with a number right behind them, or only spaces and hyphens between."""
    return not is_han(piece.text) and bool(following) and following[0].text.isdigit() and following[0].near


def _number(pieces: list[_Piece], position: int) -> tuple[str, int]:
    """The number at `position` with what follows without a gap (7m4, 1000xm5, 12700h), and where reading goes on."""
    number = pieces[position].text
    position += 1
    while position < len(pieces) and pieces[position].adjacent:
        text = pieces[position].text
        if is_han(text) or qualifiers_of(text) or (not text.isdigit() and len(text) > 2):
            break
        number += text
        position += 1
    return number, position


@lru_cache(maxsize=4096)
def qualifiers_of(text: str) -> frozenset[str]:
    """The qualifiers that a token consists of (promax: pro, max); empty where it has any other part."""
    found: set[str] = set()
    while text:
        longest = max((each for each in QUALIFIERS if text.startswith(each)), key=len, default="")
        if not longest:
            return frozenset()
        found.add(longest)
        text = text[len(longest) :]
    return frozenset(found)


def _series_of(prefix: str) -> str:
    """The series that a number behind `prefix` belongs to: behind the brand 苹果 it is an iPhone's."""
    return "iphone" if prefix == "苹果" else prefix


def _add_model(parsed: ParsedTitle, prefix: str, number: str) -> None:
    prefix = _series_of(prefix)
    if prefix in BRANDS:
        _add_word(parsed, prefix)
    for pattern, name, qualifiers in _NICKNAMES:
        match = pattern.fullmatch(prefix + number)
        if match is not None:
            parsed.qualifiers.update(qualifiers)
            number = match.expand(name)[len(prefix) :]
            break
    model = Model(prefix, number)
    if (model.name or model.number_term) and model not in parsed.models:
        parsed.models.append(model)


def _add_word(parsed: ParsedTitle, word: str) -> None:
    found = parsed.brands if word in BRANDS else parsed.words
    if word not in found:
        found.append(word)
