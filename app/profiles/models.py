"""Avatars, and the parts of a profile."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.columns import Base, created_moment, intpk, moment, table_args


class AvatarState(StrEnum):
    """How the review of an avatar stands."""

    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"


class ProfilePart(StrEnum):
    """What users show of themselves, and staff take away where it breaks the rules."""

    NICKNAME = "nickname"
    BIO = "bio"
    AVATAR = "avatar"


PART_TEXT: Final[Mapping[ProfilePart, str]] = {
    ProfilePart.NICKNAME: "昵称",
    ProfilePart.BIO: "简介",
    ProfilePart.AVATAR: "头像",
}


class Avatar(Base):
    """A square picture that a user shows; its bytes are in picture storage under `sha256`.

    A user has at most one that passed its review, which `User.avatar_id` names, and one more that waits for it or did
    not pass. `detached_at` is when an avatar was replaced or deleted: others do not see it any more, and a sweep
    collects it.
    """

    __tablename__ = "avatars"
    __table_args__ = table_args(
        CheckConstraint("side > 0", name="has_size"),
        CheckConstraint("state IN ('pending', 'passed', 'failed')", name="state_known"),
        Index("ix_avatars_user_id", "user_id"),
        Index(
            "uq_avatars_shown",
            "user_id",
            unique=True,
            postgresql_where=text("state = 'passed' AND detached_at IS NULL"),
        ),
        Index(
            "uq_avatars_waiting",
            "user_id",
            unique=True,
            postgresql_where=text("state <> 'passed' AND detached_at IS NULL"),
        ),
        Index("ix_avatars_sha256", "sha256"),
        # For the sweep that collects what nobody sees any more.
        Index("ix_avatars_detached_at", "detached_at", postgresql_where=text("detached_at IS NOT NULL")),
    )

    id: Mapped[intpk]
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    state: Mapped[str] = mapped_column(String(20), default=AvatarState.PENDING.value)
    reasons: Mapped[list[str]] = mapped_column(JSONB, default=list)  # why it did not pass
    sha256: Mapped[str] = mapped_column(String(64))
    content_type: Mapped[str] = mapped_column(String(20))
    size: Mapped[int]
    side: Mapped[int]  # pixels
    reviewed_at: Mapped[moment | None]
    detached_at: Mapped[moment | None]
    created_at: Mapped[created_moment]
