"""What clients get of a review."""

from enum import StrEnum
from typing import Final, NotRequired

from typing_extensions import TypedDict

from app.goods.schemas import VerdictOut
from statemachine import GoodStatus


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


class ReviewOut(TypedDict):
    """The review of a good; `revision` (which edit was judged) and `verdicts` are for its owner and staff only."""

    good_id: int
    good_status: int
    good_status_text: str
    state: ReviewState
    revision: NotRequired[int]
    verdicts: NotRequired[list[VerdictOut]]
