"""Descriptions that are, or are much like, those of other goods: of the same seller or of others.

As with pictures (`likenesses.py`) a person looks at what was taken from others; a seller's own goods may be alike, but
not many of the same.
"""

from typing import Any, Final

from sqlalchemy import ColumnElement, Row, cast, exists, func, or_, select
from sqlalchemy.dialects.postgresql import BIT, distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.clock import utcnow
from app.goods.models import Good, GoodRevision
from app.goods.queries import PUBLIC_STATUSES
from app.moderation.models import TextFingerprint
from app.moderation.text.duplicates import NEAR, fingerprint_of
from app.moderation.text.duplicates import TextFingerprint as Likeness
from app.moderation.verdicts import Category, Decision, Hit
from statemachine import GoodStatus

MOST_OF_ONE_SELLER: Final = 3
"""So many goods with the same description a seller may have for sale before somebody looks."""

_BITS: Final = 64

SAME_AS_OTHERS: Final = Hit(
    Category.DUPLICATE, "duplicate.text_of_other_seller", "文字与其他卖家的商品相同", Decision.REVIEW, confidence=0.8
)
LIKE_OTHERS: Final = Hit(
    Category.DUPLICATE,
    "duplicate.text_like_other_seller",
    "文字与其他卖家的商品高度相似",
    Decision.REVIEW,
    confidence=0.6,
)
SAME_MANY_TIMES: Final = Hit(
    Category.DUPLICATE, "duplicate.own_many", "同样的商品您已发布多件,请勿重复铺货", Decision.REVIEW, confidence=0.7
)
LIKE_OWN: Final = Hit(
    Category.DUPLICATE, "duplicate.own", "与您的另一件商品文字相同或相似", Decision.PASS, confidence=0.5
)

TEXT_LIKENESS_CODES: Final = frozenset(hit.code for hit in (SAME_AS_OTHERS, LIKE_OTHERS, SAME_MANY_TIMES, LIKE_OWN))
"""The codes of what is found here. It depends on other goods, so it is found anew where a verdict is kept."""


def text_likeness_hits(
    session: Session, *, good_id: int, revision: int, owner_id: int, description: str
) -> tuple[Hit, ...]:
    """What the description is like, among the public goods; remembers what it looks like itself."""
    fingerprint = fingerprint_of(description)
    if fingerprint is None:
        return ()
    _remember(session, good_id=good_id, revision=revision, likeness=fingerprint)
    is_same = (TextFingerprint.exact == fingerprint.exact).label("is_same")
    # A revision that came of another price alone has no fingerprint of its own: it has the words of an earlier one.
    has_its_words = exists().where(
        GoodRevision.good_id == Good.id,
        GoodRevision.revision == TextFingerprint.revision,
        GoodRevision.description == Good.description,
    )
    alike = (
        select(Good.owner_id, Good.status, is_same)
        .ext(distinct_on(Good.id))
        .join(Good, Good.id == TextFingerprint.good_id)
        .where(
            or_(Good.revision == TextFingerprint.revision, has_its_words),
            TextFingerprint.bands.overlap(fingerprint.bands),
            _is_near(fingerprint.near),
            Good.id != good_id,
            Good.status.in_(PUBLIC_STATUSES),
            ~Good.deleted,
            ~Good.taken_down,
        )
        .order_by(Good.id, is_same.desc())
        .limit(100)
    )
    return tuple(_hits(list(session.execute(alike)), owner_id))


def _hits(alike: list[Row[Any]], owner_id: int) -> list[Hit]:
    hits = []
    others = [row for row in alike if row.owner_id != owner_id]
    own = [row for row in alike if row.owner_id == owner_id]
    if others:
        hits.append(SAME_AS_OTHERS if any(row.is_same for row in others) else LIKE_OTHERS)
    if sum(row.is_same and row.status == GoodStatus.PUBLISHED for row in own) >= MOST_OF_ONE_SELLER:
        hits.append(SAME_MANY_TIMES)
    elif own:
        hits.append(LIKE_OWN)
    return hits


def _remember(session: Session, *, good_id: int, revision: int, likeness: Likeness) -> None:
    values = {
        "exact": likeness.exact,
        "fingerprint": likeness.near,
        "bands": likeness.bands,
        "created_at": utcnow(),
    }
    statement = upsert(TextFingerprint).values(good_id=good_id, revision=revision, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["good_id", "revision"], set_=values))


def _is_near(fingerprint: int) -> ColumnElement[bool]:
    difference = TextFingerprint.fingerprint.op("#")(fingerprint)
    return func.bit_count(cast(difference, BIT(_BITS))) <= NEAR
