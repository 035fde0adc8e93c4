"""A good as the search engines know it, and the tokens that it is found by; the same for every engine."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from app.language.analysis import Analyser
from app.listings.flags import flags_of
from app.listings.models import ListingFlag
from app.listings.title_conditions import condition_in_title

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


def tokens_of(analyser: Analyser, document: Document) -> DocumentTokens:
    """All tokens that `document` is found by."""
    return DocumentTokens(
        Counter(analyser.index_tokens(document.title)), Counter(analyser.index_tokens(document.description))
    )


def flag_bits_of(document: Document) -> int:
    """The flags of the good, one bit each (`FLAG_BITS`), by the same rules as for listings."""
    return bits_of(flags_of(document.title, document.description, ()))


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
