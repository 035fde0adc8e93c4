"""The values that an understood query consists of. All are immutable, so they can be kept and shared."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.language.analysis import is_word
from app.listings.models import ListingFlag

FULL_WEIGHT: Final = 0.5
"""From this weight on an alternative is a match; below it is only near."""


class Role(StrEnum):
    """What a word says of the good; it decides which word may fail: attributes first, the thing last."""

    THING = "thing"
    MODEL = "model"
    BRAND = "brand"
    ATTRIBUTE = "attribute"


@dataclass(frozen=True, slots=True)
class Alternative:
    """Tokens that must all be in a document; `weight` (0 to 1) scales their score."""

    tokens: tuple[str, ...]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Group:
    """Alternatives of which a document must match one; the best counts. `start` and `end` delimit it in the text.

    Where `start == end` it stands for something that the query implies and does not say (no variant of a model).
    """

    alternatives: tuple[Alternative, ...]
    start: int
    end: int
    role: Role = Role.THING
    constraint: "ConstraintName | None" = None
    """The constraint whose words it looks for: a place, a size, a gender."""

    @property
    def literal(self) -> tuple[str, ...]:
        """The tokens as typed."""
        return self.alternatives[0].tokens

    @property
    def matching(self) -> tuple[Alternative, ...]:
        """The alternatives that make a full match."""
        return tuple(each for each in self.alternatives if each.weight >= FULL_WEIGHT)


class ConstraintName(StrEnum):
    """What a constraint limits; clients drop constraints by these names (`without=price_max,place`)."""

    PRICE_MIN = "price_min"  # value: fen; goods outside are no hits
    PRICE_MAX = "price_max"  # value: fen; goods outside are no hits
    FREE_SHIPPING = "free_shipping"  # value: 1; goods with freight are partial hits, as with all that follow
    CONDITION = "condition"  # value: the worst ListingCondition that will do (1: brand new)
    PLACE = "place"  # value: the token; also a group of the query
    SIZE = "size"  # value: the token; also a group
    GENDER = "gender"  # value: the token; also a group


@dataclass(frozen=True, slots=True)
class Constraint:
    """A limit that was read out of the query's words: `text` as typed, at `start` to `end` of the text."""

    name: ConstraintName
    value: int | str
    text: str
    start: int
    end: int


class Reason(StrEnum):
    """Why a word was replaced."""

    TYPO = "typo"  # one edit away, by letters, sound or shape
    PINYIN = "pinyin"  # pinyin or its initials
    ALIAS = "alias"  # another name of the same


@dataclass(frozen=True, slots=True)
class Change:
    """A word as typed and what is looked for instead (typos, pinyin) or as well (aliases)."""

    typed: str
    meant: str
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Understanding:
    """An understood query. A document matches fully if every group matches."""

    text: str
    """The query's normal form."""
    groups: tuple[Group, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    dropped: tuple[str, ...] = ()
    """Words that say nothing of the good (出售, 有没有), as typed."""
    corrected: str | None = None
    """The text with typos and pinyin replaced; None where none was."""
    changes: tuple[Change, ...] = ()
    kinds: frozenset[ListingFlag] = frozenset()
    """What was asked for beside the thing itself: an accessory, a rental … Others do not stand above the thing."""
    literal_tokens: tuple[str, ...] = ()
    """What a title has that holds the text letter for letter."""
    literal: bool = False
    """Whether the client asked for the words as they are."""

    def tokens(self) -> frozenset[str]:
        """Every word that some alternative looks for; for highlighting."""
        return frozenset(
            token
            for group in self.groups
            for alternative in group.matching
            for token in alternative.tokens
            if is_word(token)
        )

    def limit(self, name: ConstraintName) -> int | str | None:
        """The value of the constraint `name`; None where the query has none."""
        return next((each.value for each in self.constraints if each.name == name), None)
