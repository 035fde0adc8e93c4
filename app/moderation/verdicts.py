"""The values that every check of moderation speaks: what was found where, and what is decided from it.

Checks of texts and of pictures are functions from content to a `Judgement`; they know no database and no HTTP. What
becomes of a judgement (a row, a move of the good, a card in the review queue) is the business of the services.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self


class Decision(StrEnum):
    """What a judgement asks for; the order of `_SEVERITY` says which of several wins."""

    PASS = "pass"  # noqa: S105 - the decision that something may be published, no password
    REVIEW = "review"
    REJECT = "reject"


_SEVERITY: Final = {Decision.PASS: 0, Decision.REVIEW: 1, Decision.REJECT: 2}


class Category(StrEnum):
    """The kinds of rules that a text or a picture can break."""

    CONTRABAND = "contraband"
    WEAPONS = "weapons"
    GAMBLING = "gambling"
    PORNOGRAPHY = "pornography"
    FRAUD = "fraud"
    COUNTERFEIT = "counterfeit"
    DOCUMENTS = "documents"
    ANIMALS = "animals"
    MEDICINE = "medicine"
    TOBACCO = "tobacco"
    SURVEILLANCE = "surveillance"
    CREDIT = "credit"
    CONTACT = "contact"
    ABUSE = "abuse"
    PRICE = "price"
    DUPLICATE = "duplicate"
    QUALITY = "quality"
    PERSONAL_DATA = "personal_data"


@dataclass(frozen=True, slots=True)
class Span:
    """Where a hit stands in the original text: code points, `end` is the first one after it."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Box:
    """Where a hit stands in the picture: pixels of the upright picture, left, top, width, height."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing that was found.

    `code` names the rule (`contact.wechat`), `reason` is the Chinese sentence that the seller reads, `policy` what this
    hit alone asks for, `confidence` between 0 and 1. A hit of a text has a `span`, one of a picture a `box`, or neither
    where it concerns the whole.
    """

    category: Category
    code: str
    reason: str
    policy: Decision
    confidence: float = 1.0
    span: Span | None = None
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """All hits of one subject, with the version of the rules that found them (part of the key of kept verdicts)."""

    rules_version: str
    hits: tuple[Hit, ...] = field(default=())

    @property
    def decision(self) -> Decision:
        """The most severe policy of the hits; a note (policy `PASS`) decides nothing."""
        return max((hit.policy for hit in self.hits), key=_SEVERITY.__getitem__, default=Decision.PASS)

    def with_hits(self, hits: tuple[Hit, ...]) -> Self:
        """The same judgement with further hits behind its own."""
        return type(self)(self.rules_version, self.hits + hits)
