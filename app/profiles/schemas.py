"""What clients send about profiles and what they get."""

from typing import Annotated, Any, NotRequired

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator
from sqlalchemy import Row
from typing_extensions import TypedDict

from app.accounts.schemas import PersonOut, avatar_url, person_out
from app.clock import MomentOut, format_moment
from app.enums import OneOf
from app.fields import CleanText
from app.goods.picture_links import PictureLinksOut, links_to
from app.moderation.text import TextKind, objection
from app.profiles.models import PART_TEXT, AvatarState, ProfilePart
from app.profiles.nicknames import read_nickname
from app.staff.schemas import DecisionIn

AvatarStateOut = Annotated[
    str,
    OneOf(AvatarState, {AvatarState.PENDING: "审核中", AvatarState.PASSED: "已通过", AvatarState.FAILED: "未通过"}),
]


class ProfileIn(BaseModel):
    """The parts of the own profile that its owner writes; those left out stay as they are."""

    model_config = ConfigDict(frozen=True)

    # The defaults only make the fields optional: `changes` leaves fields out that were not sent.
    bio: Annotated[str, CleanText(0, 200, multiline=True)] = Field(default_factory=str)
    nickname: Annotated[str | None, BeforeValidator(read_nickname)] = Field(
        default_factory=str,
        max_length=20,
        description="shown instead of the username; it need not be unique. Null or empty takes it off.",
    )

    @field_validator("bio")
    @classmethod
    def _says_nothing_forbidden(cls, bio: str) -> str:
        reason = objection(bio, kind=TextKind.BIO)
        if reason is not None:
            raise ValueError(reason)
        return bio

    def changes(self) -> dict[str, str | None]:
        """The fields that were sent."""
        return self.model_dump(exclude_unset=True)


class ClearProfileIn(DecisionIn):
    """Which parts of a profile staff take away, and why; the user reads it."""

    parts: Annotated[list[Annotated[str, OneOf(ProfilePart, PART_TEXT)]], Field(min_length=1, max_length=3)]


class PublicProfileOut(PersonOut):
    """A user as everybody sees them."""

    bio: str
    created_at: MomentOut
    goods_on_sale: int


class AvatarOut(TypedDict):
    """An avatar: a square of `side` pixels, and why it did not pass its review.

    One that is not shown to everybody has `links` for an `<img>`, which sends no token.
    """

    id: int
    url: str
    side: int
    state: AvatarStateOut
    reasons: list[str]
    created_at: MomentOut
    links: NotRequired[PictureLinksOut]


class OwnAvatarsOut(TypedDict):
    """The caller's avatars: the one that everybody sees, and the one that waits for its review or did not pass it."""

    shown: AvatarOut | None
    waiting: AvatarOut | None


def public_profile_out(row: Row[Any]) -> PublicProfileOut:
    """`row` of `queries.public_profile`."""
    return {
        **person_out(row.id, username=row.username, nickname=row.nickname, avatar_id=row.avatar_id),
        "bio": row.bio,
        "created_at": format_moment(row.created_at),
        "goods_on_sale": row.goods_on_sale,
    }


def avatar_out(row: Row[Any]) -> AvatarOut:
    """`row` of the table of avatars, for its owner."""
    url = avatar_url(row.id) or ""
    out: AvatarOut = {
        "id": row.id,
        "url": url,
        "side": row.side,
        "state": row.state,
        "reasons": row.reasons,
        "created_at": format_moment(row.created_at),
    }
    return out if row.state == AvatarState.PASSED else {**out, "links": links_to(url)}
