"""From the text of a query to what it asks for.

The text goes through the normal form of titles; constraints are read out of it; what is mistyped or pinyin is replaced;
names of the lexicon are found, models and measures with the rules of the price reference; talk is dropped. What is left
are groups: words, each with everything that it may be called.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from app.language.analysis import Analyser, is_han, literal_pairs
from app.language.lexicon import Lexicon, WordClass, WordGroup
from app.language.normal_form import normalise
from app.language.vocabulary import Vocabulary
from app.listings.flags import flags_of
from app.listings.models import ListingFlag
from app.listings.terms import FoundMeasure, Model, ParsedTitle, find_measures, measure_term, parse_title, qualifiers_of
from app.search.documents import variant_term
from app.search.understanding.constraints import read_constraints
from app.search.understanding.spelling import Correction, Speller
from app.search.understanding.types import (
    Alternative,
    Change,
    Constraint,
    ConstraintName,
    Group,
    Reason,
    Role,
    Understanding,
)
from app.search.understanding.words import Word, phrases_of, words_of

_LONGEST: Final = 200
"""Characters of a query that are read."""
_MOST_GROUPS: Final = 24

NARROWER_WEIGHT: Final = 0.85
OTHER_NAME_WEIGHT: Final = 0.95
PAIRS_WEIGHT: Final = 0.9
TYPED_WEIGHT: Final = 0.9
PARTS_WEIGHT: Final = 0.7
CONTAINING_WEIGHT: Final = 0.6
NEAR_WEIGHT: Final = 0.55
APART_WEIGHT: Final = 0.55
BROADER_WEIGHT: Final = 0.45
SERIES_WEIGHT: Final = 0.3
"""What matches by another word than the typed one is worth. Below `types.FULL_WEIGHT` it is near, and no match."""

_CONTAINING_WORDS: Final = 30

_ROLES: Final = {
    WordClass.BRAND: Role.BRAND,
    WordClass.MODEL: Role.THING,
    WordClass.THING: Role.THING,
    WordClass.ATTRIBUTE: Role.ATTRIBUTE,
    WordClass.TRADE: Role.ATTRIBUTE,
    WordClass.PLACE: Role.ATTRIBUTE,
}
_QUOTED: Final = re.compile('《([^》]+)》|“([^”]+)”|"([^"]+)"|「([^」]+)」')
_NUMERAL: Final = re.compile(
    r"(?<=[a-z\u4e00-\u9fff])(?<![第周零一二三四五六七八九十])\s?([二三四五六七八九]?十[一二三四五六七八九]?|[二三四五六七八九])"
    r"(?=$|\s|[a-z]|手机|青春|标准)"
)
_DIGITS: Final = {character: number for number, character in enumerate("零一二三四五六七八九")}
_GENDER: Final = re.compile("(男|女)(?:[款士生式性的]|孩)?|(童)")
_GENDERED: Final = re.compile(
    "(男|女|童)(?:[士生式款])?([鞋包装表裤裙靴帽衣袜]|手表|内裤|内衣|外套|大衣|上衣|羽绒服|衬衫|毛衣|卫衣|单车|自行车)"
)
_SIZE: Final = re.compile(r"(?<![a-z0-9.])(x{0,3}[sl]|m|\d{2}(?:\.5)?|1[4-9][05])\s?(?:码|号)(?![a-z0-9])")
_SIZE_ALONE: Final = re.compile(r"(?<![a-z0-9.])(x{0,3}l|[sm]|3[3-9](?:\.5)?|4[0-8](?:\.5)?|1[4-9][05])(?![a-z0-9.-])")
_WORN: Final = re.compile("鞋|靴|衣|裤|裙|服|t恤|衬衫|外套|大衣|夹克|西装|马甲|背心")
_SHORT_FORM: Final = re.compile("(a7[rsc]?)([2-5])")
"""a73 is what people call the a7 m3."""
_PART_NOUNS: Final = frozenset(
    {
        "风扇",
        "散热器",
        "主板",
        "电池",
        "屏幕",
        "外屏",
        "内屏",
        "屏幕总成",
        "总成",
        "快门组件",
        "组件",
        "轴体",
        "微动",
        "云台",
        "机臂",
        "排线",
        "尾插",
        "后盖",
        "中框",
        "摄像头",
        "密封圈",
        "电机",
        "键帽",
        "外壳",
    }
)
"""Behind the name of a model they are its parts, and not what they are by themselves."""
_FOR_WANTED: Final = re.compile("求购|收购|求收")
_OFFERED: Final = frozenset(
    {ListingFlag.ACCESSORY, ListingFlag.RENTAL, ListingFlag.SERVICE, ListingFlag.WANTED, ListingFlag.BROKEN}
)


def understand(
    text: str,
    *,
    analyser: Analyser,
    vocabulary: Vocabulary,
    literal: bool = False,
    without: Collection[ConstraintName] = (),
) -> Understanding:
    """What `text` asks for, of goods whose titles have the words of `vocabulary`.

    `literal`: the words as they are typed, letter for letter. `without`: constraints that are not to be applied; their
    words are left out. Any text will do; only its first 200 characters are read. The result has no groups and no
    constraints where the text says nothing.
    """
    normalised = " ".join(normalise(text[:_LONGEST]).split())[:_LONGEST]
    if literal:
        return _literal(analyser, normalised)
    return _Reader(analyser, vocabulary, normalised, frozenset(without)).understanding()


def _literal(analyser: Analyser, text: str) -> Understanding:
    tokens = literal_tokens(analyser, text)
    groups = tuple(
        Group(
            (Alternative(_with_pairs(token.text)), Alternative((token.text,), OTHER_NAME_WEIGHT)),
            token.start,
            token.end,
        )
        for token in analyser.query_tokens(text)
    )
    return Understanding(text=text, groups=groups[:_MOST_GROUPS], literal=True, literal_tokens=tokens)


def _with_pairs(token: str) -> tuple[str, ...]:
    return tuple(literal_pairs(token)) or (token,)


def literal_tokens(analyser: Analyser, text: str) -> tuple[str, ...]:
    """What a title has that holds `text` letter for letter: its pairs of Han characters, all other tokens."""
    others = [token.text for token in analyser.query_tokens(text) if not is_han(token.text) or len(token.text) == 1]
    pairs = literal_pairs(text)
    paired = {character for pair in pairs for character in pair[1:]}
    return tuple(dict.fromkeys((*pairs, *(each for each in others if each not in paired))))


class _Reader:
    """Reads one query."""

    def __init__(
        self, analyser: Analyser, vocabulary: Vocabulary, text: str, without: frozenset[ConstraintName]
    ) -> None:
        self._analyser = analyser
        self._vocabulary = vocabulary
        self._lexicon = analyser.lexicon
        self._phrases = phrases_of(analyser, self._lexicon)
        self._text = text
        self._without = without
        self._changes: list[Change] = []
        self._dropped: list[str] = []
        self._constraints: list[Constraint] = []
        self._typed: list[tuple[int, int, tuple[str, ...]]] = []  # what corrected words were typed as

    def understanding(self) -> Understanding:
        """The result."""
        spoken = self._without_emoji(self._text)
        text = self._with_digits(spoken)
        found = read_constraints(text)
        blanked = _blank(text, ((each.start, each.end) for each in found))
        if not blanked.strip() and not any(each.name.value.startswith("price") for each in found):
            found, blanked = [], text  # nothing but 全新 or 包邮: then it is what is looked for
        self._constraints = [each for each in found if each.name not in self._without]
        words = words_of(self._analyser, blanked)
        corrections = Speller(self._analyser, self._vocabulary).corrections(blanked, words)
        corrected = None
        if corrections:
            corrected = self._apply(text, corrections)
            blanked = self._apply(blanked, corrections, record=True)
            words = words_of(self._analyser, blanked)
        groups = self._groups(blanked, words)
        subject = corrected or text
        return Understanding(
            text=self._text,
            groups=tuple(groups[:_MOST_GROUPS]),
            constraints=tuple(self._constraints),
            dropped=tuple(self._dropped),
            corrected=None if corrected is None else " ".join(corrected.split()),
            changes=tuple(dict.fromkeys(self._changes)),
            kinds=self._kinds(subject, words, groups),
            literal_tokens=literal_tokens(self._analyser, self._text),
        )

    # The text

    def _without_emoji(self, text: str) -> str:
        """`text` with the words in the place of emoji, unless it names the thing as well."""
        if text.isascii():
            return text
        for sign, word in self._lexicon.emoji.items():
            if sign in text:
                text = text.replace(sign, "" if word in text else f" {word} ")
        return text.strip()

    def _with_digits(self, text: str) -> str:
        """`text` with digits in the place of the numerals of models: 苹果十三 is 苹果 13."""

        def digits(match: re.Match[str]) -> str:
            before = text[: match.start(1)].rstrip()
            if not before[-1:].isascii() and not before.endswith(_names_before_numbers(self._lexicon)):
                return match[0]
            number = str(_number(match[1]))
            self._changes.append(Change(match[1], number, Reason.ALIAS))
            return number if before[-1:].isascii() and before == text[: match.start()] else f" {number}"

        return _NUMERAL.sub(digits, text)

    def _apply(self, text: str, corrections: Sequence[Correction], *, record: bool = False) -> str:
        """`text` with the corrections made; `record` remembers what was typed, and where that is now."""
        pieces: list[str] = []
        position, length = 0, 0
        for each in corrections:
            pieces += [text[position : each.start], each.meant]
            length += each.start - position
            if record:
                typed = text[each.start : each.end]
                self._changes.append(Change(typed, each.meant, each.reason))
                tokens = _with_pairs(typed) if is_han(typed[0]) else (typed,)
                self._typed.append((length, length + len(each.meant), tokens))
            length += len(each.meant)
            position = each.end
        return "".join([*pieces, text[position:]])

    # The groups

    def _groups(self, text: str, words: Sequence[Word]) -> list[Group]:
        quoted = [match.span() for match in _QUOTED.finditer(text)]
        measured, measures = find_measures(text)
        sizes = self._sizes(measured)
        parsed = parse_title(self._analyser, _blank(text, ((each.start, each.end) for each in sizes)))
        parsed.models = [model for model in map(self._model_of, parsed.models) if model is not None]
        consumed = _consumed_by_models(words, parsed)
        found: list[Group] = []
        talk: list[Word] = []
        found += self._measure_groups(text, measures)
        spans = [(each.start, each.end) for each in measures]
        found += sizes
        spans += [(each.start, each.end) for each in sizes]
        models = [word for number, word in enumerate(words) if number in consumed]
        found += self._model_groups(parsed, models)
        rest = [
            word
            for number, word in enumerate(words)
            if number not in consumed and not any(start < word.end and word.start < end for start, end in spans)
        ]
        has_thing = any(word.word_class in (WordClass.THING, WordClass.MODEL) for word in rest)
        for word in rest:
            if word.is_talk and not any(start <= word.start and word.end <= end for start, end in quoted):
                talk.append(word)
                continue
            found += self._word_groups(word, has_thing=has_thing or bool(models), alone=len(rest) == 1 and not found)
        if not found and not self._constraints:
            found = [self._unknown(word, Role.THING, alone=len(talk) == 1) for word in talk]
            talk = []
        self._dropped = [word.text for word in talk]
        found = _without_rental_words(found)
        return [
            self._with_typed(group) for group in _distinct(sorted(found, key=lambda group: (group.start, group.end)))
        ]

    def _model_of(self, model: Model) -> Model | None:
        """The model without a prefix that is no name: the 8000 of 快门8000 stands for itself."""
        if not model.prefix or model.prefix.isascii():
            return model
        if any(group.word_class in (WordClass.BRAND, WordClass.MODEL) for group in self._lexicon.named(model.prefix)):
            return model
        return Model("", model.number) if len(model.number) >= 3 else None

    def _with_typed(self, group: Group) -> Group:
        """A corrected word is also looked for as it was typed: others made the same slip."""
        for start, end, tokens in self._typed:
            if group.start < end and start < group.end:
                return replace(group, alternatives=(*group.alternatives, Alternative(tokens, TYPED_WEIGHT)))
        return group

    def _measure_groups(self, text: str, measures: Iterable[FoundMeasure]) -> list[Group]:
        groups = []
        for each in measures:
            written = tuple(token.text for token in self._analyser.query_tokens(text[each.start : each.end]))
            alternatives = [Alternative(tuple(measure_term(measure) for measure in each.measures))]
            if written:
                alternatives.append(Alternative(written, APART_WEIGHT))
            is_size = any(unit == "码" for _, unit in each.measures)
            name = ConstraintName.SIZE if is_size else None
            group = Group(tuple(alternatives), each.start, each.end, Role.ATTRIBUTE, name)
            if name is not None and not self._constrain(group, text[each.start : each.end]):
                continue
            groups.append(group)
        return groups

    def _sizes(self, text: str) -> list[Group]:
        """Sizes of what is worn that have no unit: 羽绒服 男 180, 连衣裙 m, 跑鞋 42."""
        pattern = _SIZE_ALONE if _WORN.search(text) else _SIZE
        groups = []
        for match in pattern.finditer(text):
            size = match[1]
            group = Group(
                (Alternative((measure_term((size, "码")),)), Alternative((size,), OTHER_NAME_WEIGHT)),
                match.start(),
                match.end(),
                Role.ATTRIBUTE,
                ConstraintName.SIZE,
            )
            if self._constrain(group, match[0]):
                groups.append(group)
        return groups

    def _model_groups(self, parsed: ParsedTitle, words: Sequence[Word]) -> list[Group]:
        if not words:
            return []
        start, end = words[0].start, max(word.end for word in words)
        models = [Group(found, start, end, Role.MODEL) for model in parsed.models if (found := self._of_model(model))]
        self._note_aliases(words)
        tells_variants = parsed.brands or any(
            model.number_term or self._lexicon.named(model.prefix) for model in parsed.models
        )
        if models and tells_variants:
            variant = (Alternative((variant_term(parsed),)), Alternative(("^*",), SERIES_WEIGHT))
            models.append(Group(variant, end, end, Role.ATTRIBUTE))
        return models

    def _of_model(self, model: Model) -> tuple[Alternative, ...]:
        """The terms of a model: of series and number, of the number alone, its pieces, the series."""
        found = []
        if model.name:
            found.append(Alternative((model.name,)))
        if model.number_term:
            found.append(Alternative((model.number_term,), OTHER_NAME_WEIGHT if model.name else 1.0))
        if (short := _SHORT_FORM.fullmatch(model.name)) is not None:
            found.append(Alternative((f"{short[1]}m{short[2]}",), OTHER_NAME_WEIGHT))
        apart = _pieces_of(self._analyser, model.prefix + model.number)
        if len(apart) > 1:
            found.append(Alternative(apart, APART_WEIGHT))
        found += [
            Alternative(self._phrases.tokens_of(group.name), SERIES_WEIGHT)
            for group in self._lexicon.named(model.prefix)
            if group.word_class in (WordClass.MODEL, WordClass.BRAND)
        ]
        return tuple(found)

    def _note_aliases(self, words: Sequence[Word]) -> None:
        for word in words:
            group = word.group
            if group is not None and group.word_class is WordClass.MODEL and word.text != group.name:
                self._changes.append(Change(word.text, group.name, Reason.ALIAS))

    def _word_groups(self, word: Word, *, has_thing: bool, alone: bool) -> list[Group]:
        gendered = _GENDERED.fullmatch(word.text)
        if gendered is not None:
            return self._gendered(word, gendered)
        gender = _GENDER.fullmatch(word.text)
        if gender is not None and not alone:
            token = gender[1] or gender[2]
            group = Group((Alternative((token,)),), word.start, word.end, Role.ATTRIBUTE, ConstraintName.GENDER)
            return [group] if self._constrain(group, word.text) else []
        if word.group is None:
            qualifiers = qualifiers_of(word.text)
            if qualifiers and has_thing:
                variant = "^" + "+".join(sorted(qualifiers))
                alternatives = (Alternative((word.text,)), Alternative((variant,), OTHER_NAME_WEIGHT))
                return [Group(alternatives, word.start, word.end, Role.ATTRIBUTE)]
            return [self._unknown(word, _role_of_unknown(word, has_thing=has_thing), alone=alone)]
        group = self._known(word, alone=alone)
        if group.constraint is not None and not self._constrain(group, word.text):
            return []
        return [group]

    def _gendered(self, word: Word, match: re.Match[str]) -> list[Group]:
        """男鞋: a constraint, and shoes."""
        split = match.start(2)
        for_whom = Group(
            (Alternative((match[1],)),), word.start, word.start + split, Role.ATTRIBUTE, ConstraintName.GENDER
        )
        thing = match[2]
        wearing = {"装": "衣服"}.get(thing, thing)
        groups = self._lexicon.named(wearing)
        known = Word(wearing, (wearing,), word.start + split, word.end, groups)
        found = self._known(known, alone=False) if groups else self._unknown(known, Role.THING, alone=True)
        found = replace(found, alternatives=(Alternative((word.text,)), *found.alternatives))
        return [for_whom, found] if self._constrain(for_whom, match[1]) else [found]

    def _known(self, word: Word, *, alone: bool) -> Group:
        alternatives = [Alternative(word.tokens)]
        if word.is_han and len(word.text) > 1:
            alternatives.append(Alternative(tuple(literal_pairs(word.text)), PAIRS_WEIGHT))
        role = Role.ATTRIBUTE
        for number, group in enumerate(word.groups):
            alternatives += self._alternatives(group)
            if number == 0:
                role = _ROLES[group.word_class]
                if group.word_class is WordClass.MODEL and word.text != group.name:
                    self._changes.append(Change(word.text, group.name, Reason.ALIAS))
        if len(word.text) == 1 and word.is_han and alone:
            alternatives += self._containing(word.text)
        is_place = word.word_class is WordClass.PLACE
        return Group(_best_of(alternatives), word.start, word.end, role, ConstraintName.PLACE if is_place else None)

    def _alternatives(self, group: WordGroup) -> list[Alternative]:
        found = [Alternative(self._phrases.tokens_of(name), OTHER_NAME_WEIGHT) for name in group.names]
        for name in group.narrower:
            found.append(Alternative(self._phrases.tokens_of(name), NARROWER_WEIGHT))
            found += [
                Alternative(self._phrases.tokens_of(other.name), NARROWER_WEIGHT)
                for other in self._lexicon.named(name)
                if other.word_class is group.word_class and other.name != name
            ]
        found += [Alternative(self._phrases.tokens_of(name), NEAR_WEIGHT) for name in group.near]
        found += [
            Alternative(self._phrases.tokens_of(name), BROADER_WEIGHT)
            for own in group.names
            for broader in self._lexicon.broader_than(own)
            for name in broader.names
        ]
        if group.word_class is WordClass.MODEL:
            parsed = parse_title(self._analyser, group.name)
            found += [Alternative((model.name,), OTHER_NAME_WEIGHT) for model in parsed.models if model.name]
            if group.brand:
                found.append(Alternative((group.brand,), SERIES_WEIGHT))
        return found

    def _unknown(self, word: Word, role: Role, *, alone: bool) -> Group:
        """A word that the lexicon has not: as it is, in one piece or in its parts."""
        alternatives = [Alternative(word.tokens)]
        token = word.text
        if is_han(token):
            if len(token) > 1:
                alternatives.append(Alternative(tuple(literal_pairs(token)), PAIRS_WEIGHT))
            elif alone or role is Role.THING:
                alternatives += self._containing(token)
            parts = self._analyser.parts(token) if self._vocabulary.frequency(token) == 0 else []
            if parts:
                alternatives.append(Alternative(tuple(parts), PARTS_WEIGHT))
        elif len(token) >= 3 and self._vocabulary.frequency(token) == 0 and token.isalpha():
            alternatives += self._containing(token)
        elif token.isdigit() and len(token) >= 3:
            alternatives.append(Alternative((f"~{token}",), OTHER_NAME_WEIGHT))
        return Group(_best_of(alternatives), word.start, word.end, role)

    def _containing(self, text: str) -> list[Alternative]:
        words = self._vocabulary.containing(text, limit=_CONTAINING_WORDS)
        if is_han(text):  # the last character says what a thing is
            words = [word for word in words if word.endswith(text) and not self._is_brand(word)]
        return [Alternative((longer,), CONTAINING_WEIGHT) for longer in words]

    def _is_brand(self, word: str) -> bool:
        return any(group.word_class is WordClass.BRAND for group in self._lexicon.named(word))

    def _constrain(self, group: Group, typed: str) -> bool:
        """Add the constraint of the group's words; False if the client does not want it applied."""
        if group.constraint is None or group.constraint in self._without:
            return group.constraint is None
        value = group.alternatives[-1 if group.constraint is ConstraintName.SIZE else 0].tokens[0]
        self._constraints.append(Constraint(group.constraint, value, typed, group.start, group.end))
        return True

    def _kinds(self, text: str, words: Sequence[Word], groups: Sequence[Group]) -> frozenset[ListingFlag]:
        kinds = set(flags_of(text, None, ()) & _OFFERED)
        named = (word for word in words if not _is_given(text, word.start))
        if any(group.is_accessory for word in named for group in word.groups):
            kinds.add(ListingFlag.ACCESSORY)
        if any(word.text in _RENTAL_WORDS for word in words):
            kinds.add(ListingFlag.RENTAL)
        if any(word.text in _PART_NOUNS for word in words) and any(group.role is Role.MODEL for group in groups):
            kinds.add(ListingFlag.ACCESSORY)
        if _FOR_WANTED.search(text):
            kinds.add(ListingFlag.WANTED)
        return frozenset(kinds)


_RENTAL_WORDS: Final = frozenset({"租", "出租", "租赁", "租借", "日租", "月租", "租用", "短租", "免押", "求租"})


def _without_rental_words(groups: list[Group]) -> list[Group]:
    """Who wants to rent a camera is shown what is flagged as a rental; which word says so does not matter."""
    others = [group for group in groups if group.literal[0] not in _RENTAL_WORDS]
    rooms = any(alternative.tokens == ("租房",) for group in others for alternative in group.alternatives)
    is_place = all(group.role is Role.ATTRIBUTE for group in others)
    return groups if rooms or is_place else others


def _is_given(text: str, start: int) -> bool:
    """Whether what begins at `start` comes with the thing: 送幕布, 带琴凳."""
    return text[:start].rstrip()[-1:] in {"送", "赠", "附", "含", "带"}


def _with_head(groups: list[Group]) -> list[Group]:
    """The last noun says what the thing is, and what stands before it what it is for: blazer 鞋垫 are insoles."""
    subjects = [each for each in groups if each.role in (Role.THING, Role.MODEL) and each.start < each.end]
    if len(subjects) < 2 or not is_han(subjects[-1].literal[0]) or len(subjects[-1].literal[0]) < 2:
        return groups
    head = subjects[-1]

    def role_of(group: Group) -> Role:
        if group is head:
            return Role.THING
        is_name = group.role is Role.THING and not is_han(group.literal[0])
        return Role.MODEL if is_name else group.role

    return [replace(group, role=role_of(group)) for group in groups]


def _blank(text: str, spans: Iterable[tuple[int, int]]) -> str:
    for start, end in spans:
        text = f"{text[:start]}{' ' * (end - start)}{text[end:]}"
    return text


def _number(numeral: str) -> int:
    """`十三` → 13, `五十` → 50, `八` → 8."""
    tens, ten, ones = numeral.rpartition("十")
    return (_DIGITS.get(tens, 1) * 10 if ten else 0) + _DIGITS.get(ones, 0)


@lru_cache(maxsize=4)
def _names_before_numbers(lexicon: Lexicon) -> tuple[str, ...]:
    """Brands and series whose models have numbers."""
    return tuple(
        name for group in lexicon.of(WordClass.BRAND, WordClass.MODEL) for name in group.names if len(name) > 1
    )


def _consumed_by_models(words: Sequence[Word], parsed: ParsedTitle) -> set[int]:
    """Which of the words the parsed models consist of: numbers, letters, series, qualifiers, a noun between."""
    if not parsed.models:
        return set()
    numbers = [model.prefix + model.number for model in parsed.models if model.name or model.number_term]
    if not numbers:
        return set()
    found: set[int] = set()
    for place, word in enumerate(words):
        group = word.group
        if group is not None and group.word_class is WordClass.MODEL:
            joined = group.name.replace(" ", "")
            if any(map(str.isdigit, joined)) or any(
                number.startswith(joined) or joined.startswith(number) for number in numbers
            ):
                found.add(place)
        elif group is not None and group.word_class is WordClass.BRAND:
            # The brand is looked for by itself, unless the model begins with it: 小米13.
            if any(number.startswith(group.name) for number in numbers) or _is_apple(group, parsed):
                found.add(place)
        elif word.text.isascii() and (
            any(_is_part(word.text, number) for number in numbers)
            or qualifiers_of(word.text)
            or any(model.prefix and word.text.startswith(model.prefix) for model in parsed.models)
        ):
            found.add(place)
    return found if any(words[place].text.isascii() or words[place].groups for place in found) else set()


def _is_apple(group: WordGroup, parsed: ParsedTitle) -> bool:
    """苹果13: the brand's name stands for its telephones."""
    return group.name == "苹果" and any(model.prefix == "iphone" for model in parsed.models)


def _is_part(token: str, number: str) -> bool:
    return len(token) <= len(number) and token in number


def _pieces_of(analyser: Analyser, model: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(token.text for token in analyser.query_tokens(model)))


def _role_of_unknown(word: Word, *, has_thing: bool) -> Role:
    if word.is_han and len(word.text) == 1 and has_thing:
        return Role.ATTRIBUTE
    if word.text.isdigit() and len(word.text) < 3:
        return Role.ATTRIBUTE
    return Role.MODEL if has_thing else Role.THING


def _best_of(alternatives: Iterable[Alternative]) -> tuple[Alternative, ...]:
    """Each once, with its greatest weight; the typed one stays the first."""
    found: dict[tuple[str, ...], Alternative] = {}
    for each in alternatives:
        known = found.get(each.tokens)
        if each.tokens and (known is None or known.weight < each.weight):
            found[each.tokens] = each
    return tuple(found.values())


def _distinct(groups: Iterable[Group]) -> list[Group]:
    """Without those that say the same again."""
    found: dict[tuple[tuple[str, ...], ConstraintName | None], Group] = {}
    for group in groups:
        found.setdefault((group.literal, group.constraint), group)
    return list(found.values())
