"""Goods, their pictures, their revisions, and what reviews found and decided about these."""

from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ARRAY,
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
    """One thing for sale, as everybody sees it once it is public.

    `revision` is the number of the edit that the row holds: a verdict belongs to the revision it judged. An edit of a
    good that is public stands beside it as the `GoodRevision` with the number `edit_revision`, in review or refused,
    and comes into this row when it is approved. `reviewed_price` is the price at which the words were last looked at:
    the owner may change the price within a range of it without a new look; None means that the price is that.
    """

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
        # Likewise of edits that stand beside goods.
        Index("ix_goods_with_edit", "id", postgresql_where=text("edit_revision IS NOT NULL AND NOT deleted")),
        CheckConstraint("taken_down = (takedown_cause IS NOT NULL)", name="taken_down_for_a_cause"),
        CheckConstraint("edit_revision > revision", name="edit_is_later"),
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
    edit_revision: Mapped[int | None]
    reviewed_price: Mapped[int | None] = mapped_column(BigInteger)
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


class RevisionState(StrEnum):
    """What became of a revision. Superseded: its owner edited again, or sold or deleted the good, before the end."""

    IN_REVIEW = "in_review"
    APPROVED = "approved"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"


class GoodRevision(Base):
    """One revision of a good: what its owner wrote and showed, and what became of it.

    For a revision that stands beside its good (`Good.edit_revision`) this is the only place where its content is. For
    others it is what was reviewed, with the price and freight at that time. `picture_ids` are in the order of the
    good's pictures. `relists` says that the good was sold, and is for sale again with this edit. `attempts` counts how
    often a check of it was begun. `decided_by` is who of staff decided; None is the machine. `categories` are those of
    the refusal (`app.moderation.verdicts.Category`), `text` tells the owner of it in Chinese.
    """

    __tablename__ = "good_revisions"
    __table_args__ = table_args(
        one_of("category", Category),
        one_of("trade_mode", TradeMode),
        CheckConstraint("state IN ('in_review', 'approved', 'rejected', 'superseded')", name="state_known"),
        UniqueConstraint("good_id", "revision"),
        # What staff decided, the latest first.
        Index("ix_good_revisions_decided", "decided_at", postgresql_where=text("decided_by IS NOT NULL")),
    )

    id: Mapped[intpk]
    good_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("goods.id"))
    revision: Mapped[int]
    title: Mapped[str] = mapped_column(String(60))
    description: Mapped[str] = mapped_column(String(2000))
    price: Mapped[fen]
    original_price: Mapped[int | None] = mapped_column(BigInteger)
    freight: Mapped[fen]
    category: Mapped[int] = mapped_column(SmallInteger)
    trade_mode: Mapped[int] = mapped_column(SmallInteger)
    picture_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    relists: Mapped[bool] = mapped_column(default=False, server_default=false())
    state: Mapped[str] = mapped_column(String(10), default=RevisionState.IN_REVIEW.value)
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    submitted_at: Mapped[created_moment]
    decided_at: Mapped[moment | None]
    decided_by: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id"))
    categories: Mapped[list[str]] = mapped_column(JSONB, default=list, server_default="[]")
    text: Mapped[str] = mapped_column(String(500), default="", server_default="")


class VerdictKind(StrEnum):
    """What a check looked at."""

    TEXT = "text"
    PICTURE = "picture"


class VerdictState(StrEnum):
    """What was decided about one subject."""

    PASSED = "passed"
    REVIEW = "review"
    REJECTED = "rejected"


class Verdict(Base):
    """The result of one check on one revision of a good; `subject` is `title`, `description` or `picture:<id>`.

    `reasons` are sentences for the owner. `hits` are the machine's own: category, code, policy, confidence, and
    positions in the text or a box in the picture. `content_hash` and `rules_version` say what was judged by what: the
    same by the same is not judged again. `by_staff`: somebody of staff decided, whatever the machine had found.
    """

    __tablename__ = "verdicts"
    __table_args__ = (
        UniqueConstraint("good_id", "revision", "kind", "subject"),
        CheckConstraint("state IN ('passed', 'review', 'rejected')", name="state_known"),
        CheckConstraint("passed = (state = 'passed')", name="passed_says_the_state"),
        # A picture that was judged already, of whatever good.
        Index("ix_verdicts_content_hash", "content_hash", "rules_version", postgresql_where=text("kind = 'picture'")),
    )

    id: Mapped[intpk]
    good_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("goods.id"))
    revision: Mapped[int]
    kind: Mapped[str] = mapped_column(String(20))  # a `VerdictKind`
    subject: Mapped[str] = mapped_column(String(40))
    passed: Mapped[bool]
    state: Mapped[str] = mapped_column(String(10))  # a `VerdictState`
    reasons: Mapped[list[str]] = mapped_column(JSONB)
    hits: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, default=list, server_default="[]")
    rules_version: Mapped[str] = mapped_column(String(100), default="", server_default="")
    content_hash: Mapped[str] = mapped_column(String(64), default="", server_default="")
    by_staff: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[created_moment]


class CaseKind(StrEnum):
    """Why somebody of staff has to look at a revision.

    The machine was unsure about a release or an edit; the owner appeals against a refusal, or against having the good
    taken down; what is public was found to break the rules by a later check; users reported it.
    """

    RELEASE = "release"
    EDIT = "edit"
    APPEAL = "appeal"
    TAKEDOWN_APPEAL = "takedown_appeal"
    RECHECK = "recheck"
    REPORT = "report"


class ReviewCase(Base):
    """One revision that waits for somebody of staff, or did; closed without a `decision` where it went away by itself.

    `claimed_by` has it on their desk until `claimed_until`, and nobody else gets it meanwhile. Who is in `skipped_by`
    does not get it again. Of higher `priority` comes first, then what waits longer.
    """

    __tablename__ = "review_cases"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('release', 'edit', 'appeal', 'takedown_appeal', 'recheck', 'report')", name="kind_known"
        ),
        CheckConstraint("decision IN ('approve', 'reject')", name="decision_known"),
        CheckConstraint("(claimed_by IS NULL) = (claimed_until IS NULL)", name="claimed_until_a_moment"),
        CheckConstraint("decision IS NULL OR closed_at IS NOT NULL", name="decided_is_closed"),
        Index("uq_review_cases_open", "good_id", "revision", unique=True, postgresql_where=text("closed_at IS NULL")),
        Index("ix_review_cases_queue", text("priority DESC"), "id", postgresql_where=text("closed_at IS NULL")),
        Index("ix_review_cases_good_id", "good_id", "id"),
    )

    id: Mapped[intpk]
    good_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("goods.id"))
    revision: Mapped[int]
    kind: Mapped[str] = mapped_column(String(20))  # a `CaseKind`
    priority: Mapped[int] = mapped_column(SmallInteger)
    skipped_by: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), default=list, server_default="{}")
    claimed_by: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id"))
    claimed_until: Mapped[moment | None]
    decision: Mapped[str | None] = mapped_column(String(10))
    decided_by: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id"))
    created_at: Mapped[created_moment]
    closed_at: Mapped[moment | None]


class AppealState(StrEnum):
    """What became of an appeal. Void: its owner edited, sold or deleted the good before anybody had decided."""

    OPEN = "open"
    GRANTED = "granted"
    REFUSED = "refused"
    VOID = "void"


class Appeal(Base):
    """What an owner says against a refusal, or against having the good taken down: once per revision."""

    __tablename__ = "appeals"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'granted', 'refused', 'void')", name="state_known"),
        UniqueConstraint("good_id", "revision"),
    )

    id: Mapped[intpk]
    good_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("goods.id"))
    revision: Mapped[int]
    text: Mapped[str] = mapped_column(String(500))
    state: Mapped[str] = mapped_column(String(10), default=AppealState.OPEN.value)
    answer: Mapped[str] = mapped_column(String(500), default="", server_default="")
    created_at: Mapped[created_moment]
    decided_at: Mapped[moment | None]
