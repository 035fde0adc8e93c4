"""What clients send about goods and what they get. Money is yuan outside and fen inside."""

from enum import IntEnum, StrEnum
from typing import Annotated, Any, Final, NotRequired, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from typing_extensions import TypedDict

from app.accounts.schemas import PersonOut
from app.categories import CATEGORY_TEXT, Category
from app.clock import MomentOut
from app.enums import OneOf, text_enum
from app.fen import YuanOut
from app.fields import CleanText, IdIn, IdsIn, PriceIn, Whole, YuanIn
from app.goods.models import AppealState, VerdictKind, VerdictState
from app.goods.picture_links import PictureLinksOut
from app.listings.schemas import PriceReferenceOut
from app.moderation import verdicts
from app.moderation.verdicts import Decision
from app.paging import PageQuery
from statemachine import GoodEvent, GoodStatus, TradeMode
from statemachine.good import GOOD_TEXT, TRADE_TEXT

Title = Annotated[str, CleanText(1, 60)]
Description = Annotated[str, CleanText(1, 2000, multiline=True)]
CategoryIn = Annotated[int, Whole(min(Category), max(Category)), OneOf(Category, CATEGORY_TEXT)]
TradeModeIn = Annotated[int, Whole(min(TradeMode), max(TradeMode)), OneOf(TradeMode, TRADE_TEXT)]
GoodStatusIn = Annotated[int, Whole(min(GoodStatus), max(GoodStatus)), OneOf(GoodStatus, GOOD_TEXT)]

CategoryOut = Annotated[int, OneOf(Category, CATEGORY_TEXT)]
TradeModeOut = Annotated[int, OneOf(TradeMode, TRADE_TEXT)]
GoodStatusOut = Annotated[int, OneOf(GoodStatus, GOOD_TEXT)]


ViolationCategory = text_enum(
    "ViolationCategory", verdicts.Category, about="The kinds of rules that a text or a picture can break."
)


def _distinct(ids: list[int]) -> list[int]:
    if len(set(ids)) < len(ids):
        raise ValueError("图片重复")
    return ids


PictureIds = Annotated[
    IdsIn,
    AfterValidator(_distinct),
    Field(
        description="pictures uploaded before, in this order, before those that come as files; comma-separated in forms"
    ),
]
KeepPictures = Annotated[
    IdsIn,
    AfterValidator(_distinct),
    Field(description="pictures that stay, in this order, before the new files; comma-separated in forms"),
]


class GoodFields(TypedDict):
    """The columns that an owner fills; money in fen."""

    title: str
    description: str
    price: int
    freight: int
    original_price: int | None
    category: int
    trade_mode: int


class GoodChanges(TypedDict, total=False):
    """Some of `GoodFields`."""

    title: str
    description: str
    price: int
    freight: int
    original_price: int | None
    category: int
    trade_mode: int


_COLUMNS = set(GoodFields.__annotations__)


class ReleaseIn(BaseModel):
    """The form of a good."""

    model_config = ConfigDict(frozen=True)

    title: Title
    description: Description
    price: PriceIn
    freight: YuanIn = 0
    original_price: PriceIn | None = None
    category: CategoryIn
    trade_mode: TradeModeIn
    picture_ids: PictureIds = Field(default_factory=list)

    def fields(self) -> GoodFields:
        """What was filled in, as columns."""
        return cast("GoodFields", self.model_dump(include=_COLUMNS))


def _absent() -> Any:
    """The value of a field that was not sent. Being a default it is not validated, so a null that is sent fails."""
    return None


class ReplaceIn(ReleaseIn):
    """The form of a good that is there already."""

    picture_ids: PictureIds = Field(default_factory=_absent)
    keep_pictures: KeepPictures = Field(default_factory=_absent)

    def changes(self) -> GoodChanges:
        """All columns of the form."""
        return cast("GoodChanges", self.fields())


class ChangeIn(BaseModel):
    """Some fields of the form; what is not sent stays as it is."""

    model_config = ConfigDict(frozen=True)

    title: Title = Field(default_factory=_absent)
    description: Description = Field(default_factory=_absent)
    price: PriceIn = Field(default_factory=_absent)
    freight: YuanIn = Field(default_factory=_absent)
    original_price: PriceIn | None = Field(default_factory=_absent)  # a null takes it off
    category: CategoryIn = Field(default_factory=_absent)
    trade_mode: TradeModeIn = Field(default_factory=_absent)
    picture_ids: PictureIds = Field(default_factory=_absent)
    keep_pictures: KeepPictures = Field(default_factory=_absent)

    def changes(self) -> GoodChanges:
        """The columns that were sent."""
        return cast("GoodChanges", self.model_dump(include=_COLUMNS, exclude_unset=True))


class MyGoodsQuery(PageQuery):
    """Which of one's own goods."""

    good_status: GoodStatusIn | None = None


class Sort(StrEnum):
    """How goods are put in order while browsing."""

    NEWEST = "newest"
    PRICE_ASC = "price_asc"
    PRICE_DESC = "price_desc"


class BrowseQuery(PageQuery):
    """Which of the goods that are for sale. A good that leaves the way of trading open fits either way."""

    owner: IdIn | None = Field(None, description="only what this user sells; an id that nobody has is a 404")

    category: CategoryIn | None = None
    trade_mode: TradeModeIn | None = None
    price_min: YuanIn | None = None
    price_max: YuanIn | None = None
    sort: Sort = Sort.NEWEST


class PublicStatus(IntEnum):
    """A status in which anybody may see a good."""

    PUBLISHED = GoodStatus.PUBLISHED
    IN_TRADE = GoodStatus.IN_TRADE
    SOLD = GoodStatus.SOLD


class SellerGoodsQuery(PageQuery):
    """Which goods of one seller: those for sale, or with another status that is public."""

    good_status: Annotated[PublicStatus, BeforeValidator(Whole.parse)] = PublicStatus.PUBLISHED


class ChoiceOut(TypedDict):
    """A number of the API spec with its text."""

    code: int
    text: str


class ChoicesOut(TypedDict):
    """What the release form offers."""

    categories: list[ChoiceOut]
    trade_modes: list[ChoiceOut]


class CategoryGoodsOut(TypedDict):
    """A category, its place among all (from 1), and how many goods of it are for sale.

    More than are counted exactly are said to be as many as that, with `count_is_exact` false.
    """

    code: CategoryOut
    text: str
    order: int
    goods_on_sale: int
    count_is_exact: bool


class OwnerOut(PersonOut):
    """Who sells a good."""


class PictureOut(TypedDict):
    """A picture's URL and size in pixels; where it is not public, `links` show it without a token, for minutes."""

    id: int
    url: str
    width: int
    height: int
    links: NotRequired[PictureLinksOut]


class GoodOut(TypedDict):
    """A good as everybody who may see it sees it."""

    id: int
    title: str
    description: str
    price: YuanOut
    original_price: YuanOut | None
    freight: YuanOut
    category: CategoryOut
    category_text: str
    trade_mode: TradeModeOut
    trade_mode_text: str
    good_status: GoodStatusOut
    good_status_text: str
    revision: int  # counts edits: whoever buys may say which one they saw
    owner: OwnerOut
    pictures: list[PictureOut]
    published_at: MomentOut | None
    updated_at: MomentOut


class ReviewState(StrEnum):
    """How moderation stands with a good."""

    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"


REVIEW_STATE: Final[dict[int, ReviewState]] = {
    GoodStatus.IN_REVIEW: ReviewState.PENDING,
    GoodStatus.PUBLISHED: ReviewState.PASSED,
    GoodStatus.IN_TRADE: ReviewState.PASSED,
    GoodStatus.SOLD: ReviewState.PASSED,
    GoodStatus.REJECTED: ReviewState.FAILED,
}


class BoxOut(TypedDict):
    """Where in a picture: pixels of the upright picture, from its left and its top."""

    left: int
    top: int
    width: int
    height: int


class HitOut(TypedDict):
    """One thing that the machine found.

    `start` and `end` are where in the text, in code points, `end` the first one after it; `box` is where in the
    picture; all are null for what concerns the whole. `policy` is what this hit alone asks for, `code` the rule's name,
    `confidence` between 0 and 1.
    """

    category: Annotated[str, OneOf(ViolationCategory)]
    code: str
    reason: str
    policy: Annotated[str, OneOf(Decision)]
    confidence: float
    start: int | None
    end: int | None
    box: BoxOut | None


class VerdictOut(TypedDict):
    """What one check found; `subject` is `title`, `description` or `picture:<id>`.

    `state` says more than `passed`: what did not pass was rejected, or waits for a person. `by_staff`: one decided.
    """

    kind: Annotated[str, OneOf(VerdictKind)]
    subject: str
    passed: bool
    reasons: list[str]
    state: Annotated[str, OneOf(VerdictState)]
    hits: list[HitOut]
    rules_version: str
    by_staff: bool


class AppealOut(TypedDict):
    """What the owner said against a refusal, and what was answered."""

    state: Annotated[str, OneOf(AppealState)]
    text: str
    answer: str
    created_at: MomentOut
    decided_at: MomentOut | None


class VerificationOut(TypedDict):
    """How moderation stands with what the owner wrote last (its `revision`).

    `text` tells in a sentence why it was refused; `may_appeal`, whether that can be objected to, once per revision.
    """

    state: ReviewState
    revision: int
    verdicts: list[VerdictOut]
    text: str
    appeal: AppealOut | None
    may_appeal: bool


class EditOut(TypedDict):
    """An edit that stands beside a public good: in review, or refused."""

    revision: int
    state: ReviewState
    title: str
    price: YuanOut
    submitted_at: MomentOut


class MyGoodOut(GoodOut):
    """One of the caller's own goods as others see it, or would; with the edit that is not approved."""

    edit: EditOut | None


class OwnGoodOut(GoodOut):
    """A good as its owner wrote it last; `taken_down` by staff, it is shown to nobody else.

    `approved` is what everybody sees meanwhile, where an edit stands beside that; null where it is the same.
    """

    taken_down: bool
    verification: VerificationOut
    approved: GoodOut | None


class PricedGoodOut(OwnGoodOut):
    """The same with what things like it are asked for elsewhere."""

    price_reference: PriceReferenceOut


class GoodRefusalDetails(TypedDict):
    """Why a good does not allow what was tried, where it stands, and what its owner may do instead."""

    event: Annotated[str, OneOf(GoodEvent)]
    good_status: GoodStatusOut
    deleted: bool
    reasons: list[str]
    allowed: list[Annotated[str, OneOf(GoodEvent)]]


class RefusalReasons(TypedDict):
    """Why, in words."""

    reasons: list[str]


class QuotaFull(TypedDict):
    """How many bytes of pictures are stored for the caller, and how many may be."""

    used: int
    limit: int
