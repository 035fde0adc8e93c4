"""The URL that shows the review of a good."""

from app.answers import Answer
from app.moderation import queries
from app.moderation.schemas import ReviewOut
from app.web.api import Api
from app.web.auth import Actor, Auth

api = Api("moderation", __name__, tag="审核")


@api.get(
    "/api/verify/good/<id:good_id>",
    auth=Auth.OPTIONAL,
    out=ReviewOut,
    answer=Answer.VERDICT_FOUND,
    refuses=(Answer.NO_SUCH_GOOD,),
)
def verify_good(*, actor: Actor | None, good_id: int) -> ReviewOut:
    """商品审核结果

    所有人可查询审核状态;商品所有者和平台客服还可查看每项检查的结论和原因。
    """
    return queries.review(good_id=good_id, reader_id=actor.id if actor else None)
