"""What clients get of a review, and what staff, owners and users say about goods."""

from typing import Annotated, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from app.accounts.schemas import PersonOut
from app.clock import MomentOut
from app.enums import OneOf
from app.fields import CleanText, IdsIn, Separated, YuanIn
from app.goods.models import CaseKind, RevisionState
from app.goods.schemas import (
    AppealOut,
    CategoryIn,
    GoodOut,
    GoodStatusOut,
    HitOut,
    ReviewState,
    VerdictOut,
    ViolationCategory,
)
from app.moderation.texts import CASE_KIND_TEXT, CATEGORY_TEXT
from app.moderation.verdicts import Decision
from app.paging import PageQuery
from app.staff.schemas import ReasonIn

CategoryCode = Annotated[str, OneOf(ViolationCategory, {each.value: text for each, text in CATEGORY_TEXT.items()})]
CaseKindOut = Annotated[str, OneOf(CaseKind, {each.value: text for each, text in CASE_KIND_TEXT.items()})]

MAX_BESIDES = 20


class ReviewOut(TypedDict):
    """The review of a good; `revision` (which edit was judged) and `verdicts` are for its owner and staff only.

    These are told of the edit that was written last, all others of what is public.
    """

    good_id: int
    good_status: GoodStatusOut
    good_status_text: str
    state: ReviewState
    revision: NotRequired[int]
    verdicts: NotRequired[list[VerdictOut]]


class AppealIn(BaseModel):
    """What an owner says against a refusal."""

    model_config = ConfigDict(frozen=True)

    text: Annotated[str, CleanText(1, 500, multiline=True)]


class ReportIn(BaseModel):
    """What a user says is wrong with a good."""

    model_config = ConfigDict(frozen=True)

    category: CategoryCode
    text: Annotated[str, CleanText(0, 500, multiline=True)] = ""


class CaseQuery(PageQuery):
    """Which cases: those that wait for a person, or those that were closed; of one kind."""

    state: Literal["open", "closed"] = "open"
    kind: Literal["release", "edit", "appeal", "takedown_appeal", "recheck", "report"] | None = None


class NextIn(BaseModel):
    """The cases that are open before the reviewer already, and of which the next one is another."""

    model_config = ConfigDict(frozen=True)

    besides: Annotated[IdsIn, Field(max_length=MAX_BESIDES)] = Field(default_factory=list)


class ReviewDecisionIn(BaseModel):
    """A decision: the kinds of rules that are broken and a note for the owner; one of them with a rejection."""

    model_config = ConfigDict(frozen=True)

    decision: Literal["approve", "reject"]
    categories: Annotated[list[CategoryCode], Separated, Field(max_length=len(CATEGORY_TEXT))] = Field(
        default_factory=list
    )
    note: Annotated[str, CleanText(0, 300, multiline=True)] = ""
    subjects: Annotated[list[Annotated[str, Field(max_length=40)]], Separated, Field(max_length=20)] = Field(
        default_factory=list
    )


class BanIn(BaseModel):
    """Why a picture is banned."""

    model_config = ConfigDict(frozen=True)

    category: CategoryCode
    note: ReasonIn


class BanQuery(PageQuery):
    """Which bans: those in force, or those that were lifted."""

    state: Literal["in_force", "lifted"] = "in_force"


class SellerOut(PersonOut):
    """Who sells it, and what became of their earlier goods: revisions approved and refused, goods taken down."""

    registered_at: MomentOut
    approved: int
    refused: int
    taken_down: int


class RevisionOut(TypedDict):
    """One revision of the good and what became of it; by a person where `decided_by` is given."""

    revision: int
    title: str
    state: Annotated[str, OneOf(RevisionState)]
    submitted_at: MomentOut
    decided_at: MomentOut | None
    decided_by: int | None
    categories: list[CategoryCode]
    text: str


class ReportOut(TypedDict):
    """What a user said is wrong with the good."""

    reporter_id: int
    category: CategoryCode
    category_text: str
    text: str
    created_at: MomentOut


class ReviewCaseOut(TypedDict):
    """A good that waits for a person, as in lists."""

    id: int
    kind: CaseKindOut
    kind_text: str
    priority: int
    good_id: int
    revision: int
    title: str
    owner: PersonOut
    claimed_by: int | None
    claimed_until: MomentOut | None
    decision: Literal["approve", "reject"] | None
    decided_by: int | None
    created_at: MomentOut
    closed_at: MomentOut | None
    waiting_seconds: int


class ReviewCaseDetailOut(ReviewCaseOut):
    """The same with all that is needed to decide: the good as buyers will see it, and what is public meanwhile."""

    good: GoodOut
    approved: GoodOut | None
    verdicts: list[VerdictOut]
    seller: SellerOut
    history: list[RevisionOut]
    appeal: AppealOut | None
    reports: list[ReportOut]


class NextReviewOut(TypedDict):
    """The case that comes next, if there is one, and how many wait for a person, this one included."""

    case: ReviewCaseDetailOut | None
    total: int


class BannedPictureOut(TypedDict):
    """A picture that may not be published; `url` shows it to staff while it is there."""

    id: int
    picture_id: int | None
    url: str | None
    sha256: str
    category: CategoryCode
    category_text: str
    note: str
    banned_by: int
    created_at: MomentOut
    lifted_at: MomentOut | None


class TrialIn(BaseModel):
    """A text to be checked as one of a good of this category and price would be."""

    model_config = ConfigDict(frozen=True)

    # As it was written, not cleaned: what is invisible in it is what the rules have to see through.
    text: Annotated[str, Field(min_length=1, max_length=4000)]
    kind: Literal["title", "description", "username", "nickname", "bio", "review", "message", "offer"] = "description"
    category: CategoryIn | None = None
    price: YuanIn | None = None


class TrialOut(TypedDict):
    """What the rules say of it."""

    decision: Annotated[str, OneOf(Decision)]
    rules_version: str
    hits: list[HitOut]


class WordQuery(PageQuery):
    """Which words of the lists: by category, policy and file, and those that `contains` finds."""

    category: CategoryCode | None = None
    policy: Literal["reject", "review", "note", "permitted"] | None = None
    file: Annotated[str, Field(max_length=100)] | None = None
    contains: Annotated[str, Field(min_length=1, max_length=60)] | None = None


class WordListOut(TypedDict):
    """One file of words: how many it has by policy, or what is wrong with it (then none of them counts)."""

    file: str
    built_in: bool
    category: CategoryCode | None
    category_text: str | None
    words: dict[str, int]
    problem: str | None


class WordListsOut(TypedDict):
    """All files of words, and the version of the rules that are in force.

    `folder` is the operator's, if one is set; where it or a file of it has a problem, the lists that could be used last
    hold. `rules_version` is null where there were none yet.
    """

    rules_version: str | None
    folder: str | None
    folder_problem: str | None
    lists: list[WordListOut]


class ListedWordOut(TypedDict):
    """A word, or words that count `beside` others: what they ask for and when, as Chinese phrases in `conditions`."""

    words: list[str]
    beside: list[str]
    category: CategoryCode
    category_text: str
    policy: Literal["reject", "review", "note", "permitted"]
    code: str
    reason: str
    conditions: list[str]
    file: str
    built_in: bool
