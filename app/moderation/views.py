"""The URLs of reviews: how one stands, what owners and users say against it, and the queue of staff."""

from app.answers import Answer, Refused, field_errors
from app.moderation import listed_words, queries, reports, review_queue, trials
from app.moderation.schemas import (
    AppealIn,
    BanIn,
    BannedPictureOut,
    BanQuery,
    CaseQuery,
    ListedWordOut,
    NextIn,
    NextReviewOut,
    ReportIn,
    ReviewCaseDetailOut,
    ReviewCaseOut,
    ReviewDecisionIn,
    ReviewOut,
    TrialIn,
    TrialOut,
    WordListsOut,
    WordQuery,
)
from app.moderation.verdicts import Category
from app.paging import Page, page_of
from app.staff.schemas import DecisionIn
from app.staff_roles import Permission
from app.web.api import Api
from app.web.auth import Actor, Auth

api = Api("moderation", __name__, tag="审核", about="how the review of a good stands, appeals, reports, staff's queue")


@api.get(
    "/api/verify/good/<id:good_id>",
    auth=Auth.OPTIONAL,
    out=ReviewOut,
    answer=Answer.VERDICT_FOUND,
    refuses=(Answer.NO_SUCH_GOOD,),
)
def verify_good(*, actor: Actor | None, good_id: int) -> ReviewOut:
    """How the review of a good stands.

    Anybody may ask, and is told of what is public. Its owner and staff are told of what was written last, with each
    check's verdict and reasons.
    """
    return queries.review(good_id=good_id, reader_id=actor.id if actor else None)


@api.post(
    "/api/good_appeal/<id:good_id>/",
    auth=Auth.USER,
    body=AppealIn,
    out=ReviewOut,
    answer=Answer.APPEALED,
    refuses=(Answer.NO_SUCH_GOOD, Answer.APPEAL_REFUSED),
    limit="rate_limit_release",
)
def appeal(*, actor: Actor, good_id: int, body: AppealIn) -> ReviewOut:
    """Object to a refused review, or to having the good taken down: once for each revision. Staff decide."""
    review_queue.appeal(owner_id=actor.id, good_id=good_id, text=body.text)
    return queries.review(good_id=good_id, reader_id=actor.id)


@api.post(
    "/api/good_report/<id:good_id>/",
    auth=Auth.USER,
    body=ReportIn,
    answer=Answer.GOOD_REPORTED,
    refuses=(Answer.NO_SUCH_GOOD, Answer.OWN_GOOD, Answer.REPORT_REFUSED),
    limit="rate_limit_release",
)
def report(*, actor: Actor, good_id: int, body: ReportIn) -> None:
    """Report a good that breaks the rules, once; staff look at it."""
    reports.report_good(reporter_id=actor.id, good_id=good_id, category=Category(body.category), text=body.text)


@api.get(
    "/api/staff/reviews/",
    auth=Auth.STAFF,
    permission=Permission.REVIEW,
    query=CaseQuery,
    out=Page[ReviewCaseOut],
    answer=Answer.REVIEWS_FOUND,
    empty=Answer.NO_REVIEWS,
)
def cases(*, actor: Actor, query: CaseQuery) -> Page[ReviewCaseOut]:
    """The goods that wait for a person, in the order in which they come; or those that were decided."""
    items, total = queries.list_cases(actor_id=actor.id, query=query)
    return page_of(items, total=total, query=query)


@api.post(
    "/api/staff/next_review/",
    auth=Auth.STAFF,
    permission=Permission.REVIEW,
    body=NextIn,
    out=NextReviewOut,
    answer=Answer.REVIEWS_FOUND,
    empty=Answer.NO_REVIEWS,
    idempotent=False,  # asked again, it gives the same, or what has come since
)
def next_case(*, actor: Actor, body: NextIn) -> NextReviewOut:
    """The good that comes next, on the caller's desk from now on: nobody else gets it for some minutes.

    With `besides` one more, to be loaded while those are looked at.
    """
    case_id = review_queue.claim_next(actor_id=actor.id, besides=body.besides)
    if case_id is None:
        return {"case": None, "total": 0}
    return {"case": queries.case_of(actor_id=actor.id, case_id=case_id), "total": queries.count_waiting()}


@api.get(
    "/api/staff/review/<id:review_id>/",
    auth=Auth.STAFF,
    permission=Permission.REVIEW,
    out=ReviewCaseDetailOut,
    answer=Answer.REVIEWS_FOUND,
    refuses=(Answer.NO_SUCH_REVIEW,),
)
def case(*, actor: Actor, review_id: int) -> ReviewCaseDetailOut:
    """One good that waits, or waited: as buyers will see it, with what the machine found and the seller's history."""
    return queries.case_of(actor_id=actor.id, case_id=review_id)


@api.post(
    "/api/staff/review/<id:review_id>/",
    auth=Auth.STAFF,
    permission=Permission.REVIEW,
    body=ReviewDecisionIn,
    out=ReviewCaseDetailOut,
    answer=Answer.REVIEW_DECIDED,
    refuses=(Answer.NO_SUCH_REVIEW, Answer.REVIEW_TAKEN, Answer.REVIEW_OUTDATED),
)
def decide(*, actor: Actor, review_id: int, body: ReviewDecisionIn) -> ReviewCaseDetailOut:
    """Approve what was seen, or reject it with reasons: its owner reads them. Refused where the good has changed."""
    if body.decision == "reject" and not body.categories and not body.note:
        raise Refused(Answer.MALFORMED, data=field_errors(categories="请选择至少一个原因,或填写说明"))
    review_queue.decide(
        actor_id=actor.id,
        case_id=review_id,
        decision=body.decision,
        categories=[Category(each) for each in body.categories],
        note=body.note,
        subjects=body.subjects,
    )
    return queries.case_of(actor_id=actor.id, case_id=review_id)


@api.post(
    "/api/staff/claim_review/<id:review_id>/",
    auth=Auth.STAFF,
    permission=Permission.REVIEW,
    out=ReviewCaseDetailOut,
    answer=Answer.REVIEWS_FOUND,
    refuses=(Answer.NO_SUCH_REVIEW, Answer.REVIEW_TAKEN),
)
def claim(*, actor: Actor, review_id: int) -> ReviewCaseDetailOut:
    """Take one good of the list onto the caller's desk."""
    review_queue.open_on_desk(actor_id=actor.id, case_id=review_id)
    return queries.case_of(actor_id=actor.id, case_id=review_id)


@api.post(
    "/api/staff/skip_review/<id:review_id>/",
    auth=Auth.STAFF,
    permission=Permission.REVIEW,
    answer=Answer.REVIEW_SKIPPED,
    refuses=(Answer.NO_SUCH_REVIEW, Answer.REVIEW_TAKEN),
)
def skip(*, actor: Actor, review_id: int) -> None:
    """Leave a good to others; the caller does not get it again."""
    review_queue.skip(actor_id=actor.id, case_id=review_id)


@api.get(
    "/api/staff/banned_pictures/",
    auth=Auth.STAFF,
    permission=Permission.REVIEW,
    query=BanQuery,
    out=Page[BannedPictureOut],
    answer=Answer.BANS_FOUND,
    empty=Answer.NO_BANS,
)
def bans(*, actor: Actor, query: BanQuery) -> Page[BannedPictureOut]:
    """The pictures that may not be published, newest first."""
    items, total = queries.list_bans(actor_id=actor.id, query=query)
    return page_of(items, total=total, query=query)


@api.post(
    "/api/staff/ban_picture/<id:picture_id>/",
    auth=Auth.STAFF,
    permission=Permission.REVIEW,
    body=BanIn,
    out=BannedPictureOut,
    answer=Answer.PICTURE_BANNED,
    refuses=(Answer.NO_SUCH_PICTURE,),
)
def ban_picture(*, actor: Actor, picture_id: int, body: BanIn) -> BannedPictureOut:
    """Never let this picture be published again. Public goods that show it come into the queue."""
    ban_id = review_queue.ban_picture(
        actor_id=actor.id, picture_id=picture_id, category=Category(body.category), note=body.note
    )
    return queries.ban_of(actor_id=actor.id, ban_id=ban_id)


@api.post(
    "/api/staff/lift_ban/<id:ban_id>/",
    auth=Auth.STAFF,
    permission=Permission.REVIEW,
    body=DecisionIn,
    answer=Answer.BAN_LIFTED,
    refuses=(Answer.NO_SUCH_BAN,),
)
def lift_ban(*, actor: Actor, ban_id: int, body: DecisionIn) -> None:
    """Let a banned picture be published again."""
    review_queue.lift_ban(actor_id=actor.id, ban_id=ban_id, reason=body.reason)


@api.post(
    "/api/staff/try_text/",
    auth=Auth.STAFF,
    permission=Permission.REVIEW,
    body=TrialIn,
    out=TrialOut,
    answer=Answer.TEXT_CHECKED,
    idempotent=False,  # it changes nothing
)
def try_text(*, actor: Actor, body: TrialIn) -> TrialOut:  # noqa: ARG001 - every operation of staff is given one
    """What the rules say of a text, as of a good of this category and price. Nothing is kept."""
    return trials.try_text(body)


@api.get(
    "/api/staff/word_lists/",
    auth=Auth.STAFF,
    permission=Permission.REVIEW,
    out=WordListsOut,
    answer=Answer.WORDS_FOUND,
)
def word_lists(*, actor: Actor) -> WordListsOut:  # noqa: ARG001 - every operation of staff is given one
    """The files of words that texts are checked for, ours and the operator's, with what is wrong with them."""
    return listed_words.word_lists()


@api.get(
    "/api/staff/words/",
    auth=Auth.STAFF,
    permission=Permission.REVIEW,
    query=WordQuery,
    out=Page[ListedWordOut],
    answer=Answer.WORDS_FOUND,
    empty=Answer.NO_WORDS,
)
def words(*, actor: Actor, query: WordQuery) -> Page[ListedWordOut]:  # noqa: ARG001 - as above
    """The words of the lists; `contains` finds them however they are written."""
    items, total = listed_words.list_words(query)
    return page_of(items, total=total, query=query)
