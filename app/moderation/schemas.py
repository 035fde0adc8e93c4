"""What clients get of a review."""

from typing import NotRequired

from typing_extensions import TypedDict

from app.goods.schemas import GoodStatusOut, ReviewState, VerdictOut


class ReviewOut(TypedDict):
    """The review of a good; `revision` (which edit was judged) and `verdicts` are for its owner and staff only."""

    good_id: int
    good_status: GoodStatusOut
    good_status_text: str
    state: ReviewState
    revision: NotRequired[int]
    verdicts: NotRequired[list[VerdictOut]]
