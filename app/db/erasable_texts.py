"""Words of people that append-only rows refer to: kept beside those rows, so that they can be erased.

An append-only row holds a digest, HMAC-SHA256 of the text under a random salt of its own; text and salt stand in
`erasable_texts` under that digest. While they are there, anybody can check that they are the words of that time. Once
they are erased the digest says nothing any more: without its salt not even a guess can be tried.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from sqlalchemy import CheckConstraint, ColumnElement, String, case, func, insert, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from app.clock import utcnow
from app.db.columns import Base, moment, table_args

DIGEST_LENGTH: Final = 64
ERASED: Final = "[内容已删除]"
"""What stands where words were that are erased."""


class ErasableText(Base):
    """Words that somebody wrote; or, once they are erased, when, by whom and why they were."""

    __tablename__ = "erasable_texts"
    __table_args__ = table_args(
        CheckConstraint(
            "CASE WHEN erased_at IS NULL THEN num_nulls(salt, text) = 0 AND num_nonnulls(erased_by, erased_why) = 0 "
            "ELSE num_nonnulls(salt, text) = 0 AND num_nulls(erased_by, erased_why) = 0 END",
            name="there_or_erased",
        ),
    )

    digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH), primary_key=True)
    salt: Mapped[str | None] = mapped_column(String(64))
    text: Mapped[str | None] = mapped_column(String(500))
    written_at: Mapped[moment]
    erased_at: Mapped[moment | None]
    erased_by: Mapped[str | None] = mapped_column(String(60))
    erased_why: Mapped[str | None] = mapped_column(String(200))


_TEXTS: Final = Base.metadata.tables[ErasableText.__tablename__]
_KEEP: Final = insert(_TEXTS)


def text_digest(text: str, salt: str) -> str:
    """HMAC-SHA256 in hex of the UTF-8 of `text`, under `salt` in hex. Raises ValueError where `salt` is no hex."""
    return hmac.digest(bytes.fromhex(salt), text.encode(), hashlib.sha256).hex()


def text_of(digest: Any) -> ColumnElement[str]:
    """The words that the column `digest` refers to: `ERASED` where they are, empty where it is null."""
    words = select(func.coalesce(_TEXTS.c.text, ERASED)).where(_TEXTS.c.digest == digest).scalar_subquery()
    return case((digest.is_(None), ""), else_=words)


def keep_text(session: Session, text: str, *, written_at: datetime) -> str | None:
    """Keep what somebody wrote, in the caller's transaction; the digest to refer to it by. None for no words at all."""
    if not text:
        return None
    salt = secrets.token_hex(32)
    digest = text_digest(text, salt)
    session.execute(_KEEP, {"digest": digest, "salt": salt, "text": text, "written_at": written_at})
    return digest


def erase_texts(session: Session, digests: Collection[str], *, by: str, why: str) -> None:
    """Erase these texts with their salts, and record who did so and why. Those that are erased stay as they are."""
    erased = {"text": None, "salt": None, "erased_at": utcnow(), "erased_by": by, "erased_why": why}
    session.execute(update(_TEXTS).where(_TEXTS.c.digest.in_(digests), _TEXTS.c.erased_at.is_(None)).values(erased))
