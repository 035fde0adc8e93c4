"""What the checks found."""

from sqlalchemy import BigInteger, ForeignKey, String, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.columns import Base, created_moment, intpk


class Verdict(Base):
    """One check of one part of one revision of a good; `subject` is `title`, `description` or `picture:<id>`."""

    __tablename__ = "verdicts"
    __table_args__ = (UniqueConstraint("good_id", "revision", "kind", "subject"),)

    id: Mapped[intpk]
    good_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("goods.id"))
    revision: Mapped[int]
    kind: Mapped[str] = mapped_column(String(20))  # "text" or "picture"
    subject: Mapped[str] = mapped_column(String(40))
    passed: Mapped[bool]
    reasons: Mapped[list[str]] = mapped_column(JSONB)
    created_at: Mapped[created_moment]
