"""What is known about a text beside its characters. All of it is optional: a rule that lacks it rests."""

from dataclasses import dataclass
from enum import StrEnum

from app.categories import Category


class TextKind(StrEnum):
    """What kind of text it is: some rules hold for some kinds only."""

    TITLE = "title"
    DESCRIPTION = "description"
    USERNAME = "username"
    NICKNAME = "nickname"
    BIO = "bio"
    REVIEW = "review"
    MESSAGE = "message"
    OFFER = "offer"
    APPEAL = "appeal"
    PICTURE = "picture"
    """Words that were read in a picture."""


@dataclass(frozen=True, slots=True)
class SellerHistory:
    """A summary of what became of the seller's earlier goods.

    `approved` and `refused` count revisions whose review ended so (by a machine or by a person), `taken_down` goods
    that staff took away, `days` the whole days since registration.
    """

    approved: int = 0
    refused: int = 0
    taken_down: int = 0
    days: int | None = None


@dataclass(frozen=True, slots=True)
class TextContext:
    """Where a text stands: its kind, the good's category and price (fen), who sells it."""

    kind: TextKind = TextKind.DESCRIPTION
    category: Category | None = None
    price: int | None = None
    seller: SellerHistory | None = None
