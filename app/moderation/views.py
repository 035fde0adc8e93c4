"""The URL that shows the review of a good."""

from app.answers import Answer
from app.moderation import queries
from app.moderation.schemas import ReviewOut
from app.web.api import Api
from app.web.auth import Actor, Auth

api = Api("moderation", __name__, tag="审核", about="how the review of a good stands")


@api.get(
    "/api/verify/good/<id:good_id>",
    auth=Auth.OPTIONAL,
    out=ReviewOut,
    answer=Answer.VERDICT_FOUND,
    refuses=(Answer.NO_SUCH_GOOD,),
)
def verify_good(*, actor: Actor | None, good_id: int) -> ReviewOut:
    """How the review of a good stands.

    Anybody may ask; its owner and staff also get each check's verdict and reasons.
    """
    return queries.review(good_id=good_id, reader_id=actor.id if actor else None)
