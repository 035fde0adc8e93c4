"""Goods that wait for a person: the queue, one good after the other; appeals and reports; banned pictures."""

from typing import Annotated, Any, Final

from flask import Response, make_response, redirect
from pydantic import BaseModel, ConfigDict, Field

from app.answers import Answer, Refused, field_errors
from app.fields import IdIn
from app.goods.picture_links import links_to
from app.moderation import queries, review_queue
from app.moderation.listed_words import listed_codes
from app.moderation.schemas import (
    BanIn,
    BanQuery,
    CaseQuery,
    ReviewCaseDetailOut,
    ReviewDecisionIn,
)
from app.moderation.texts import CASE_KIND_TEXT, CATEGORY_TEXT
from app.moderation.verdicts import Category
from app.office.marks import boxes, marked
from app.office.views.pages import done, is_partial, office, show
from app.office.views.texts import DECISION_TEXT
from app.paging import page_of
from app.staff.schemas import DecisionIn
from app.staff.sessions import Member
from app.staff_roles import Permission

_KEYS: Final = "123456789qwertyuio"
_CATEGORIES: Final = [
    (category.value, text, key) for (category, text), key in zip(CATEGORY_TEXT.items(), _KEYS, strict=True)
]
"""The kinds of rules, each with the key that chooses it while a rejection is written."""

_STATE_TEXT: Final = {"in_review": "审核中", "approved": "已通过", "rejected": "未通过", "superseded": "已被替换"}


class NextCaseIn(BaseModel):
    """The case that is open already, and of which the next one is another."""

    model_config = ConfigDict(frozen=True)

    besides: Annotated[list[IdIn], Field(max_length=20)] = Field(default_factory=list)


@office.page("/review/", title="审核", permission=Permission.REVIEW, query=CaseQuery)
def reviews(*, member: Member, query: CaseQuery) -> Response:
    """What waits for a person, or was decided; and the way into the queue."""
    items, total = queries.list_cases(actor_id=member.id, query=query)
    page = page_of(items, total=total, query=query)
    waiting = {kind: count for kind, (count, _) in queries.waiting_by_kind().items()}
    return show("reviews.html", page=page, query=query, kinds=CASE_KIND_TEXT, waiting=waiting)


@office.page("/appeals/", title="申诉与举报", permission=Permission.REVIEW, query=CaseQuery)
def appeals(*, member: Member, query: CaseQuery) -> Response:
    """The cases that people began: appeals first, unless another kind is asked for."""
    wanted = query if query.kind is not None else query.model_copy(update={"kind": "appeal"})
    items, total = queries.list_cases(actor_id=member.id, query=wanted)
    page = page_of(items, total=total, query=wanted)
    kinds = {kind: CASE_KIND_TEXT[kind] for kind in CASE_KIND_TEXT if kind.value in _BEGUN_BY_PEOPLE}
    return show("appeals.html", page=page, query=wanted, kinds=kinds)


_BEGUN_BY_PEOPLE: Final = ("appeal", "takedown_appeal", "report")


@office.form("/review/next/", title="下一件", permission=Permission.REVIEW, body=NextCaseIn)
def next_review(*, member: Member, body: NextCaseIn) -> Response:
    """Take the next case onto the member's desk, and show it; a part of a page where it is loaded beforehand."""
    case_id = review_queue.claim_next(actor_id=member.id, besides=body.besides)
    if not is_partial():
        if case_id is None:
            return done("没有等待审核的商品了", to="/admin/review/")
        return make_response(redirect(f"/admin/review/{case_id}/", 303))
    if case_id is None:
        return make_response("", 204)
    return _case(member, case_id)


@office.page("/review/<id:case_id>/", title="审核商品", permission=Permission.REVIEW)
def review(*, member: Member, case_id: int) -> Response:
    """One good that waits, as buyers will see it, with what the machine found and the seller's history."""
    return _case(member, case_id)


@office.form("/review/<id:case_id>/claim/", title="打开审核", permission=Permission.REVIEW)
def claim_review(*, member: Member, case_id: int) -> Response:
    """Take one of the list onto the member's desk."""
    review_queue.open_on_desk(actor_id=member.id, case_id=case_id)
    return make_response(redirect(f"/admin/review/{case_id}/", 303))


@office.form("/review/<id:case_id>/", title="审核商品", permission=Permission.REVIEW, body=ReviewDecisionIn)
def decide_review(*, member: Member, case_id: int, body: ReviewDecisionIn) -> Response:
    """Approve or reject it; then comes the next one."""
    if body.decision == "reject" and not body.categories and not body.note:
        raise Refused(Answer.MALFORMED, data=field_errors(categories="请选择至少一个原因,或填写说明"))
    review_queue.decide(
        actor_id=member.id,
        case_id=case_id,
        decision=body.decision,
        categories=[Category(each) for each in body.categories],
        note=body.note,
        subjects=body.subjects,
    )
    return _onward(member, "已通过" if body.decision == "approve" else "已拒绝")


@office.form("/review/<id:case_id>/skip/", title="跳过", permission=Permission.REVIEW)
def skip_review(*, member: Member, case_id: int) -> Response:
    """Leave it to others."""
    review_queue.skip(actor_id=member.id, case_id=case_id)
    return _onward(member, "已跳过,留给同事")


@office.form("/review/leave/", title="离开审核", permission=Permission.REVIEW)
def leave_review(*, member: Member) -> Response:
    """Put everything on the member's desk back."""
    review_queue.release_claims(actor_id=member.id)
    return done("已离开审核,手上的商品已放回", to="/admin/review/")


def _onward(member: Member, said: str) -> Response:
    if is_partial():
        return make_response("", 204)
    case_id = review_queue.claim_next(actor_id=member.id)
    return done(said, to="/admin/review/" if case_id is None else f"/admin/review/{case_id}/")


def _case(member: Member, case_id: int) -> Response:
    case = queries.case_of(actor_id=member.id, case_id=case_id)
    hits = {verdict["subject"]: verdict["hits"] for verdict in case["verdicts"]}
    found = [hit["category"] for verdict in case["verdicts"] for hit in verdict["hits"] if hit["policy"] != "pass"]
    good = case["good"]
    return show(
        "review_case.html" if is_partial() else "review.html",
        case=case,
        waiting=queries.count_waiting(),
        title_marked=marked(good["title"], hits.get("title", [])),
        description_marked=marked(good["description"], hits.get("description", [])),
        pictures=_pictures(case),
        findings=[(verdict, _subject_text(verdict["subject"], case)) for verdict in case["verdicts"]],
        categories=_CATEGORIES,
        found=set(found),
        states=_STATE_TEXT,
        policies=DECISION_TEXT,
        listed=listed_codes(),
        mine=case["closed_at"] is None and case["owner"]["id"] != member.id,
    )


def _pictures(case: ReviewCaseDetailOut) -> list[dict[str, Any]]:
    """The pictures with their links, what was found on each, and its boxes."""
    hits = {verdict["subject"]: verdict["hits"] for verdict in case["verdicts"]}
    return [
        {
            **picture,
            "links": links_to(picture["url"]),
            "boxes": boxes(
                width=picture["width"], height=picture["height"], hits=hits.get(f"picture:{picture['id']}", [])
            ),
        }
        for picture in case["good"]["pictures"]
    ]


def _subject_text(subject: str, case: ReviewCaseDetailOut) -> str:
    if subject == "title":
        return "标题"
    if subject == "description":
        return "描述"
    ids = [f"picture:{picture['id']}" for picture in case["good"]["pictures"]]
    return f"图片 {ids.index(subject) + 1}" if subject in ids else "图片"


# --- banned pictures ---


@office.page("/banned/", title="封禁图片", permission=Permission.REVIEW, query=BanQuery)
def banned(*, member: Member, query: BanQuery) -> Response:
    """The pictures that may not be published."""
    items, total = queries.list_bans(actor_id=member.id, query=query)
    links = {each["id"]: links_to(each["url"]) for each in items if each["url"] is not None}
    return show("banned.html", page=page_of(items, total=total, query=query), query=query, links=links)


class BanPictureIn(BanIn):
    """Which picture, and the case that it was seen in."""

    case_id: IdIn | None = None


@office.form("/banned/<id:picture_id>/", title="封禁图片", permission=Permission.REVIEW, body=BanPictureIn)
def ban_picture(*, member: Member, picture_id: int, body: BanPictureIn) -> Response:
    """Never let this picture be published again."""
    category = Category(body.category)
    review_queue.ban_picture(actor_id=member.id, picture_id=picture_id, category=category, note=body.note)
    back = "/admin/banned/" if body.case_id is None else f"/admin/review/{body.case_id}/"
    return done("图片已封禁", to=back)


@office.form("/banned/<id:ban_id>/lift/", title="解除封禁", permission=Permission.REVIEW, body=DecisionIn)
def lift_ban(*, member: Member, ban_id: int, body: DecisionIn) -> Response:
    """Let it be published again."""
    review_queue.lift_ban(actor_id=member.id, ban_id=ban_id, reason=body.reason)
    return done("已解除封禁", to="/admin/banned/")
