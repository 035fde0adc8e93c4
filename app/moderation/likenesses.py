"""Pictures that are, or look like, what staff banned, and those that look like pictures of other sellers' goods.

The banned file itself is refused. What only looks alike a person looks at: many honest sellers use the same picture of
a maker. Two pictures look alike whose fingerprints (`app.moderation.models.PictureFingerprint`) differ in at most
`NEAR` of 64 bits.
"""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, SmallInteger, cast, exists, func, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, BIT
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.clock import utcnow
from app.goods.models import Good, Picture
from app.moderation.models import BannedPicture, PictureFingerprint
from app.moderation.verdicts import Category, Decision, Hit
from statemachine import GoodStatus

NEAR: Final = 6
"""Bits in which the fingerprints of two pictures that look alike may differ; fewer than there are bands."""

_BITS: Final = 64
_BANDS: Final = 8

BANNED: Final = Hit(Category.QUALITY, "picture.banned", "图片已被平台禁止使用", Decision.REJECT)
LIKE_BANNED: Final = Hit(
    Category.QUALITY, "picture.like_banned", "图片与平台禁止使用的图片相似", Decision.REVIEW, confidence=0.8
)
OF_OTHERS: Final = Hit(
    Category.DUPLICATE, "picture.of_other_seller", "图片与其他卖家的商品图片相同或相似", Decision.REVIEW, confidence=0.6
)

LIKENESS_CODES: Final = frozenset(hit.code for hit in (BANNED, LIKE_BANNED, OF_OTHERS))
"""The codes of what is found here. It depends on other pictures, so it is found anew where a verdict is kept."""


def bands(fingerprint: int) -> list[int]:
    """The bytes of the fingerprint, each with its place: the first is among 0 to 255, the next among 256 to 511 …"""
    return [256 * place + (fingerprint >> (8 * place) & 0xFF) for place in range(_BANDS)]


def remember_fingerprint(session: Session, *, sha256: str, fingerprint: int) -> None:
    """Remember what the file looks like."""
    values = {"content_hash": sha256, "fingerprint": fingerprint, "bands": bands(fingerprint), "created_at": utcnow()}
    session.execute(upsert(PictureFingerprint).values(**values).on_conflict_do_nothing())


def fingerprint_of(session: Session, sha256: str) -> int | None:
    """What the file looks like, where that is known."""
    return session.scalar(select(PictureFingerprint.fingerprint).where(PictureFingerprint.content_hash == sha256))


def ban_hits(session: Session, hashes: Collection[str]) -> dict[str, Hit]:
    """Those of the files, by the SHA-256 of each, that are banned now."""
    if not hashes:
        return {}
    banned = select(BannedPicture.sha256, BannedPicture.category).where(
        BannedPicture.lifted_at.is_(None), BannedPicture.sha256.in_(hashes)
    )
    return {row.sha256: _of(BANNED, row.category) for row in session.execute(banned)}


def files_like(fingerprint: int) -> Select[str]:
    """Selects the SHA-256 of each file that looks like this."""
    some_band = PictureFingerprint.bands.overlap(literal(bands(fingerprint), ARRAY(SmallInteger)))
    return select(PictureFingerprint.content_hash).where(
        some_band, _is_near(PictureFingerprint.fingerprint, fingerprint)
    )


def likeness_hits(session: Session, *, sha256: str, owner_id: int) -> tuple[Hit, ...]:
    """What the file is, or looks like."""
    if (banned := ban_hits(session, (sha256,)).get(sha256)) is not None:
        return (banned,)
    in_force = BannedPicture.lifted_at.is_(None)
    hits: list[Hit] = []
    fingerprint = fingerprint_of(session, sha256)
    is_like_others = [Picture.sha256 == sha256]
    if fingerprint is not None:
        near = select(BannedPicture.category).where(in_force, _is_near(BannedPicture.fingerprint, fingerprint))
        if (category := session.scalar(near.limit(1))) is not None:
            hits.append(_of(LIKE_BANNED, category))
        is_like_others.append(Picture.sha256.in_(files_like(fingerprint)))
    # Of goods that somebody offers, or sells just now, or did until they were taken down.
    of_others = exists().where(
        or_(*is_like_others),
        Good.id == Picture.good_id,
        Good.owner_id != owner_id,
        Good.status.in_((GoodStatus.PUBLISHED, GoodStatus.IN_TRADE)),
        Picture.position.is_not(None),
        ~Good.deleted,
    )
    if session.scalar(select(of_others)):
        hits.append(OF_OTHERS)
    return tuple(hits)


def _of(hit: Hit, category: str) -> Hit:
    return Hit(Category(category), hit.code, hit.reason, hit.policy, hit.confidence)


def _is_near(column: Any, fingerprint: int) -> ColumnElement[bool]:
    difference = column.op("#")(fingerprint)
    return func.bit_count(cast(difference, BIT(_BITS))) <= NEAR
