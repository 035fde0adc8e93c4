"""Pictures that staff banned, what all pictures look like, what users report, and how much checking there was."""

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    SmallInteger,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.db.columns import Base, created_moment, intpk, moment


class BannedPicture(Base):
    """A picture that staff never want to see again; `lifted_at` once they changed their mind.

    The file itself is refused; what only looks like it (`fingerprint`, see `PictureFingerprint`) a person looks at.
    """

    __tablename__ = "banned_pictures"
    __table_args__ = (
        Index("uq_banned_pictures_sha256", "sha256", unique=True, postgresql_where=text("lifted_at IS NULL")),
    )

    id: Mapped[intpk]
    sha256: Mapped[str] = mapped_column(String(64))
    fingerprint: Mapped[int | None] = mapped_column(BigInteger)
    category: Mapped[str] = mapped_column(String(20))  # an `app.moderation.verdicts.Category`
    note: Mapped[str] = mapped_column(String(500))
    picture_id: Mapped[int | None] = mapped_column(BigInteger)  # the one that was banned; it may be deleted since
    banned_by: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    created_at: Mapped[created_moment]
    lifted_at: Mapped[moment | None]


class PictureFingerprint(Base):
    """What a picture file looks like: a perceptual hash of 64 bits, as a signed number.

    `bands` are its eight bytes, each with its place (`app.moderation.likenesses.bands`): two fingerprints that differ
    in fewer than eight bits have one in common, so that such are found by an index.
    """

    __tablename__ = "picture_fingerprints"
    __table_args__ = (Index("ix_picture_fingerprints_bands", "bands", postgresql_using="gin"),)

    # The SHA-256; a column of that name would keep the file for ever (`app.pictures.service`).
    content_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    fingerprint: Mapped[int] = mapped_column(BigInteger)
    bands: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))
    created_at: Mapped[created_moment]


class TextFingerprint(Base):
    """What the description of a revision is and is like (`app.moderation.text.duplicates`).

    `bands` are the eight bytes of the fingerprint, each with its place: of two that are alike one mostly is the same,
    so that such are found by an index.
    """

    __tablename__ = "text_fingerprints"
    __table_args__ = (Index("ix_text_fingerprints_bands", "bands", postgresql_using="gin"),)

    good_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("goods.id"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    exact: Mapped[str] = mapped_column(String(64))
    fingerprint: Mapped[int] = mapped_column(BigInteger)
    bands: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))
    created_at: Mapped[created_moment]


class GoodReport(Base):
    """A user says that a good breaks the rules; once per good."""

    __tablename__ = "good_reports"
    __table_args__ = (
        UniqueConstraint("good_id", "reporter_id"),
        Index("ix_good_reports_reporter_id", "reporter_id", "created_at"),
    )

    id: Mapped[intpk]
    good_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("goods.id"))
    revision: Mapped[int]  # as the user saw it
    reporter_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    category: Mapped[str] = mapped_column(String(20))
    text: Mapped[str] = mapped_column(String(500))
    created_at: Mapped[created_moment]


class Stage(StrEnum):
    """Who looked at what."""

    TEXT = "text"
    PICTURE = "picture"
    PERSON = "person"


class ModerationTotal(Base):
    """How many verdicts of one kind there were, and the time that they took, since the table is there; for metrics."""

    __tablename__ = "moderation_totals"
    __table_args__ = (CheckConstraint("stage IN ('text', 'picture', 'person')", name="stage_known"),)

    stage: Mapped[str] = mapped_column(String(10), primary_key=True)  # a `Stage`
    outcome: Mapped[str] = mapped_column(String(10), primary_key=True)  # an `app.goods.models.VerdictState`
    verdicts: Mapped[int] = mapped_column(BigInteger)
    milliseconds: Mapped[int] = mapped_column(BigInteger)
    since: Mapped[created_moment]
