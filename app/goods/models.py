"""Goods, their pictures, and the verdicts of their reviews."""

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    SmallInteger,
    String,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.categories import Category
from app.db.columns import Base, created_moment, fen, intpk, moment, not_negative, one_of, table_args
from statemachine.good import GoodPhase, GoodStatus, TradeMode


class TakedownCause(StrEnum):
    """Why a good is taken down: staff did it for the good's sake, or its owner is suspended."""

    STAFF = "staff"
    SUSPENSION = "suspension"


class Good(Base):
    """One thing for sale. `revision` counts edits: a verdict belongs to the revision it judged."""

    __tablename__ = "goods"
    __table_args__ = table_args(
        not_negative("original_price", "freight"),
        CheckConstraint("price > 0", name="price_positive"),
        one_of("category", Category),
        one_of("trade_mode", TradeMode),
        one_of("status", GoodStatus),
        Index("ix_goods_owner_id_id", "owner_id", "id"),
        # For browsing the goods for sale, newest first, in one category and in all.
        Index(
            "ix_goods_category_published_at",
            "category",
            "published_at",
            "id",
            postgresql_where=text("status = 2 AND NOT deleted AND NOT taken_down"),
        ),
        Index(
            "ix_goods_published_at",
            "published_at",
            "id",
            postgresql_where=text("status = 2 AND NOT deleted AND NOT taken_down"),
        ),
        # Likewise of one owner; `app.goods.queries` counts these, too.
        Index(
            "ix_goods_owner_id_published_at",
            "owner_id",
            "published_at",
            "id",
            postgresql_where=text("status = 2 AND NOT deleted AND NOT taken_down"),
        ),
        Index("ix_goods_price", "price", "id", postgresql_where=text("status = 2 AND NOT deleted AND NOT taken_down")),
        # For the sweep that requests lost reviews again.
        Index(
            "ix_goods_in_review", "updated_at", postgresql_where=text("status = 1 AND NOT deleted AND NOT taken_down")
        ),
        CheckConstraint("taken_down = (takedown_cause IS NOT NULL)", name="taken_down_for_a_cause"),
        CheckConstraint("NOT (deleted AND taken_down)", name="deleted_or_taken_down"),
    )

    id: Mapped[intpk]
    owner_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    title: Mapped[str] = mapped_column(String(60))
    description: Mapped[str] = mapped_column(String(2000))
    price: Mapped[fen]
    original_price: Mapped[int | None] = mapped_column(BigInteger)
    freight: Mapped[fen] = mapped_column(default=0)
    category: Mapped[int] = mapped_column(SmallInteger)
    trade_mode: Mapped[int] = mapped_column(SmallInteger)
    status: Mapped[int] = mapped_column(SmallInteger, default=GoodStatus.IN_REVIEW)
    deleted: Mapped[bool] = mapped_column(default=False)
    taken_down: Mapped[bool] = mapped_column(default=False, server_default=false())
    takedown_cause: Mapped[str | None] = mapped_column(String(20))  # a `TakedownCause`
    revision: Mapped[int] = mapped_column(default=1)
    # When the sweep last requested the review again; None if it never had to.
    review_requested_at: Mapped[moment | None]
    published_at: Mapped[moment | None]
    created_at: Mapped[created_moment]
    updated_at: Mapped[moment]

    @property
    def phase(self) -> GoodPhase:
        """The good's state in the good machine: status, deleted and taken down."""
        return GoodPhase(self.status, self.deleted, self.taken_down)

    @phase.setter
    def phase(self, phase: GoodPhase) -> None:
        self.status, self.deleted, self.taken_down = phase
        if not self.taken_down:
            self.takedown_cause = None


class Picture(Base):
    """One picture of a good, or one that its uploader has not used yet; its bytes are in picture storage.

    `uploader_id` is who uploaded it by itself, None where it came with the good's form. Used for a good it stays the
    good's; used as evidence, at `used_at`, an `EvidencePicture` takes its place, and the row only tells so for a while.
    `position` is None once an edit has removed the picture from the good, at `detached_at`; orders made before still
    show it. `counted` is whether its size is in the `PictureUsage` of the owner or uploader: no more where it is kept
    for an order only, or counted as evidence.
    """

    __tablename__ = "pictures"
    __table_args__ = table_args(
        CheckConstraint("width > 0 AND height > 0", name="has_size"),
        CheckConstraint(
            "good_id IS NOT NULL OR (uploader_id IS NOT NULL AND position IS NULL AND detached_at IS NULL)",
            name="of_good_or_uploader",
        ),
        CheckConstraint(
            "used_at IS NULL OR (good_id IS NULL AND NOT counted)",
            name="used_once",
        ),
        Index("ix_pictures_good_id_position", "good_id", "position"),
        Index("ix_pictures_sha256", "sha256"),
        # For the sweep that collects what nothing shows any more.
        Index("ix_pictures_detached_at", "detached_at", postgresql_where=text("detached_at IS NOT NULL AND counted")),
        # For the same sweep, and for the uploader's own.
        Index("ix_pictures_of_no_good", "uploader_id", "created_at", postgresql_where=text("good_id IS NULL")),
    )

    id: Mapped[intpk]
    good_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("goods.id"))
    uploader_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id"))
    position: Mapped[int | None] = mapped_column(SmallInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    content_type: Mapped[str] = mapped_column(String(20))
    size: Mapped[int]
    width: Mapped[int]
    height: Mapped[int]
    detached_at: Mapped[moment | None]
    used_at: Mapped[moment | None]
    counted: Mapped[bool] = mapped_column(default=True, server_default=true())
    created_at: Mapped[created_moment]


class PictureUsage(Base):
    """How many bytes are stored for a user: his unused pictures, those of his goods that are `counted`, his evidence.

    Whoever adds or deletes such rows changes it in the same transaction (`app.goods.picture_quota`).
    """

    __tablename__ = "picture_usage"
    __table_args__ = table_args(not_negative("bytes"))

    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"), primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)


class VerdictKind(StrEnum):
    """What a check looked at."""

    TEXT = "text"
    PICTURE = "picture"


class Verdict(Base):
    """The result of one check on one revision of a good; `subject` is `title`, `description` or `picture:<id>`."""

    __tablename__ = "verdicts"
    __table_args__ = (UniqueConstraint("good_id", "revision", "kind", "subject"),)

    id: Mapped[intpk]
    good_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("goods.id"))
    revision: Mapped[int]
    kind: Mapped[str] = mapped_column(String(20))  # a `VerdictKind`
    subject: Mapped[str] = mapped_column(String(40))
    passed: Mapped[bool]
    reasons: Mapped[list[str]] = mapped_column(JSONB)
    created_at: Mapped[created_moment]
