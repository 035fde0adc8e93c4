"""A good as the search engines know it, and the tokens that it is found by; the same for every engine."""

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from app.categories import Category
from app.language.analysis import Analyser
from app.language.lexicon import Lexicon, WordClass
from app.language.normal_form import normalise
from app.listings.flags import flags_of
from app.listings.models import ListingFlag
from app.listings.terms import ParsedTitle, measure_term, parse_title
from app.listings.title_conditions import condition_in_title
from app.search.understanding.words import words_of

FORMAT: Final = 2
"""Part of what engines write. Increase it when documents, tokens or columns change: what is older counts as missing."""

TITLE_WEIGHT: Final = 3
"""How many times the title's tokens count, beside the description's once."""

FLAG_BITS: Final = {flag: 1 << place for place, flag in enumerate(ListingFlag)}
"""The bit of each flag in the column `flags`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What an index stores of a good. `price` and `freight` are fen, `published` seconds since 1970."""

    good_id: int
    title: str
    description: str
    category: int
    price: int
    published: int
    trade_mode: int
    owner: int = 0
    freight: int = 0


@dataclass(frozen=True, slots=True)
class DocumentTokens:
    """The tokens of a document with their counts, each side by itself."""

    title: Counter[str]
    description: Counter[str]

    def weighted(self) -> Counter[str]:
        """All tokens together, the title's counted `TITLE_WEIGHT` times."""
        counts = Counter({token: TITLE_WEIGHT * count for token, count in self.title.items()})
        counts.update(self.description)
        return counts

    @property
    def length(self) -> int:
        """How many tokens it has, the title's `TITLE_WEIGHT` times: for the score."""
        return TITLE_WEIGHT * self.title.total() + self.description.total()


_NO_VARIANTS: Final = frozenset({"套机", "整机", "笔记本", "儿童", "畅飞", "光驱版", "digital"})
"""Qualifiers that make another price, and not another model of what people search for."""

_IMPLIED_BY_CATEGORY: Final = {Category.PHONE: "手机", Category.RENTAL: "租房"}
"""What every good of a category is, whether its title says so or not."""


def variant_term(parsed: ParsedTitle) -> str:
    """The term of all qualifiers of a model together (`^max+pro`), `^` where it has none; `^*`: several models."""
    return parsed.variant if parsed.variant == "^*" else "^" + "+".join(sorted(parsed.qualifiers - _NO_VARIANTS))


def tokens_of(analyser: Analyser, document: Document) -> DocumentTokens:
    """All tokens that `document` is found by.

    Its title's words, the terms of its models and measures (`app.listings.terms`), and what those imply.
    """
    title = analyser.title_tokens(document.title)
    parsed = parse_title(analyser, document.title)
    added = set(_terms_of(parsed))
    if ListingFlag.ACCESSORY not in _flags(document.title, document.description):
        added |= _implied(analyser, document, parsed)
    title += added - set(title)
    return DocumentTokens(Counter(title), Counter(analyser.index_tokens(document.description)))


def _terms_of(parsed: ParsedTitle) -> list[str]:
    terms = [*parsed.brands, *parsed.words, *map(measure_term, parsed.measures)]
    for model in parsed.models:
        terms += [each for each in (model.name, model.number_term) if each]
    if parsed.models or parsed.qualifiers:
        terms.append(variant_term(parsed))
    return terms


def _implied(analyser: Analyser, document: Document, parsed: ParsedTitle) -> set[str]:
    """The things that the title's series and other words and the good's category imply: iphone and 手机."""
    lexicon, text = analyser.lexicon, normalise(document.title)
    words = words_of(analyser, text, signs=True)
    implied = {
        group.thing for word in words for group in word.groups if group.word_class is WordClass.MODEL and group.thing
    }
    implied |= {lexicon.signs[word.text] for word in words if word.text in lexicon.signs}
    implied |= {lexicon.signs[number + unit] for number, unit in parsed.measures if number + unit in lexicon.signs}
    for model in parsed.models:
        implied |= _things_of_model(lexicon, model.name)
        if model.name in lexicon.signs:
            implied.add(lexicon.signs[model.name])
    if document.category in _IMPLIED_BY_CATEGORY:
        implied.add(_IMPLIED_BY_CATEGORY[Category(document.category)])
    return implied - {word.text for word in words}


def _things_of_model(lexicon: Lexicon, name: str) -> set[str]:
    """What the series is that the model's name begins with: a7 of a7m4."""
    return {
        group.thing
        for length in range(2, len(name))
        for group in lexicon.named(name[:length])
        if group.word_class is WordClass.MODEL and group.thing
    }


@lru_cache(maxsize=16)
def _flags(title: str, description: str) -> frozenset[ListingFlag]:
    return flags_of(title, description, ())


def flag_bits_of(document: Document) -> int:
    """The flags of the good, one bit each (`FLAG_BITS`), by the same rules as for listings."""
    return bits_of(_flags(document.title, document.description))


def bits_of(flags: frozenset[ListingFlag]) -> int:
    """`flags` as one number."""
    return sum(FLAG_BITS[flag] for flag in flags)


def condition_of(document: Document) -> int:
    """The condition (`ListingCondition`) that the title says, 0 where it says none."""
    found = condition_in_title(document.title)
    return 0 if found is None else found.value


def column_values(document: Document, tokens: DocumentTokens) -> dict[str, int]:
    """The values of `app.search.snapshot.COLUMNS`, by their names."""
    return {
        "good_id": document.good_id,
        "category": document.category,
        "price": document.price,
        "published": document.published,
        "trade_mode": document.trade_mode,
        "owner": document.owner,
        "freight": document.freight,
        "flags": flag_bits_of(document),
        "condition": condition_of(document),
        "length": tokens.length,
    }
