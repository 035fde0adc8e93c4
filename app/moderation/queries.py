"""Reads of reviews. What staff read of other people is recorded."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, bindparam, case, func, select

from app.accounts.models import User
from app.accounts.queries import PERSON
from app.accounts.schemas import person_out
from app.accounts.staff_reads import reads_as_staff, record_staff_read
from app.answers import Answer, Refused
from app.clock import format_moment, format_moment_or_none, utcnow
from app.db.transactions import row_or_none, rows, transaction
from app.goods.models import Appeal, CaseKind, Good, GoodRevision, Picture, ReviewCase
from app.goods.queries import (
    VERDICTS,
    WRITTEN,
    WRITTEN_REVISION,
    picture_url,
    public_good,
    revision_good,
    status_written,
    verdicts_on,
)
from app.goods.schemas import REVIEW_STATE
from app.moderation.models import BannedPicture, GoodReport
from app.moderation.schemas import (
    BannedPictureOut,
    BanQuery,
    CaseQuery,
    ReportOut,
    ReviewCaseDetailOut,
    ReviewCaseOut,
    ReviewOut,
    RevisionOut,
)
from app.moderation.sellers import seller_history
from app.moderation.texts import CASE_KIND_TEXT, CATEGORY_TEXT
from app.moderation.verdicts import Category
from app.staff_roles import Permission
from statemachine.good import GOOD_TEXT, GoodStatus

_REVIEW: Final = (
    select(
        *(Good.id, Good.status, Good.taken_down, Good.owner_id),
        *(WRITTEN_REVISION.label("revision"), VERDICTS.label("verdicts"), status_written.label("written_status")),
    )
    .outerjoin(GoodRevision, WRITTEN)
    .where(Good.id == bindparam("good_id"), ~Good.deleted)
)

_HISTORY_SHOWN: Final = 50
"""Revisions and reports of a good that are shown with a case, the latest."""


def review(*, good_id: int, reader_id: int | None) -> ReviewOut:
    """The state of the good's review; its owner and staff also see the verdicts, of what the owner wrote last.

    A good that is taken down exists for them only. Raises Refused(NO_SUCH_GOOD).
    """
    row = row_or_none(_REVIEW, {"good_id": good_id})
    if row is None:
        raise Refused(Answer.NO_SUCH_GOOD)
    sees_all = reader_id is not None and (
        reader_id == row.owner_id
        or reads_as_staff(reader_id, permission=Permission.GOODS, subject="good", subject_ids=[good_id])
    )
    if row.taken_down and not sees_all:
        raise Refused(Answer.NO_SUCH_GOOD)
    status = row.written_status if sees_all else row.status
    found: ReviewOut = {
        "good_id": row.id,
        "good_status": status,
        "good_status_text": GOOD_TEXT[status],
        "state": REVIEW_STATE[status],
    }
    if sees_all:
        found["revision"] = row.revision
        found["verdicts"] = row.verdicts or []
    return found


# --- what waits for a person ---

_CASES: Final[Select[Any]] = (
    select(
        *ReviewCase.__table__.columns,
        *(Good.owner_id, func.coalesce(GoodRevision.title, Good.title).label("title")),
        *PERSON,
    )
    .join(Good, Good.id == ReviewCase.good_id)
    .join(User, User.id == Good.owner_id)
    .outerjoin(
        GoodRevision, (GoodRevision.good_id == ReviewCase.good_id) & (GoodRevision.revision == ReviewCase.revision)
    )
)


def list_cases(*, actor_id: int, query: CaseQuery) -> tuple[list[ReviewCaseOut], int]:
    """One page of the cases, those that wait in the order in which they come, closed ones newest first; the total."""
    is_open = query.state == "open"
    conditions: list[ColumnElement[bool]] = [
        ReviewCase.closed_at.is_(None) if is_open else ReviewCase.closed_at.is_not(None)
    ]
    if query.kind is not None:
        conditions.append(ReviewCase.kind == query.kind)
    counted = row_or_none(select(func.count()).select_from(ReviewCase).where(*conditions))
    total: int = counted[0] if counted else 0
    order = (ReviewCase.priority.desc(), ReviewCase.id) if is_open else (ReviewCase.id.desc(),)
    found = rows(_CASES.where(*conditions).order_by(*order).limit(query.size).offset(query.offset))
    record_staff_read(actor_id, subject="good", subject_ids=[each.good_id for each in found])
    return [_case_out(each) for each in found], total


def case_of(*, actor_id: int, case_id: int) -> ReviewCaseDetailOut:
    """One case with all that is needed to decide it. Raises NO_SUCH_REVIEW."""
    row = row_or_none(_CASES.where(ReviewCase.id == case_id))
    if row is None:
        raise Refused(Answer.NO_SUCH_REVIEW)
    record_staff_read(actor_id, subject="good", subject_ids=[row.good_id])
    with transaction() as session:
        history = seller_history(session, row.owner_id)
        registered = session.scalars(select(User.created_at).where(User.id == row.owner_id)).one()
        good = revision_good(good_id=row.good_id, revision=row.revision)
        public = public_good(row.good_id)
    return {
        **_case_out(row),
        "good": good,
        "approved": None if public is None or public["revision"] == row.revision else public,
        "verdicts": verdicts_on(good_id=row.good_id, revision=row.revision),
        "seller": {
            **person_out(row.owner_id, username=row.username, nickname=row.nickname, avatar_id=row.avatar_id),
            "registered_at": format_moment(registered),
            "approved": history.approved,
            "refused": history.refused,
            "taken_down": history.taken_down,
        },
        "history": _history_of(row.good_id),
        "appeal": _appeal_of(row.good_id, row.revision),
        "reports": _reports_of(row.good_id),
    }


def _case_out(row: Row[Any]) -> ReviewCaseOut:
    return {
        "id": row.id,
        "kind": row.kind,
        "kind_text": CASE_KIND_TEXT[CaseKind(row.kind)],
        "priority": row.priority,
        "good_id": row.good_id,
        "revision": row.revision,
        "title": row.title,
        "owner": person_out(row.owner_id, username=row.username, nickname=row.nickname, avatar_id=row.avatar_id),
        "claimed_by": row.claimed_by,
        "claimed_until": format_moment_or_none(row.claimed_until),
        "decision": row.decision,
        "decided_by": row.decided_by,
        "created_at": format_moment(row.created_at),
        "closed_at": format_moment_or_none(row.closed_at),
        "waiting_seconds": int(((row.closed_at or utcnow()) - row.created_at).total_seconds()),
    }


def _history_of(good_id: int) -> list[RevisionOut]:
    found = rows(
        select(GoodRevision.__table__)
        .where(GoodRevision.good_id == good_id)
        .order_by(GoodRevision.revision.desc())
        .limit(_HISTORY_SHOWN)
    )
    return [
        {
            "revision": each.revision,
            "title": each.title,
            "state": each.state,
            "submitted_at": format_moment(each.submitted_at),
            "decided_at": format_moment_or_none(each.decided_at),
            "decided_by": each.decided_by,
            "categories": each.categories,
            "text": each.text,
        }
        for each in found
    ]


def _appeal_of(good_id: int, revision: int) -> Any:
    row = row_or_none(select(Appeal.__table__).where(Appeal.good_id == good_id, Appeal.revision == revision))
    if row is None:
        return None
    return {
        "state": row.state,
        "text": row.text,
        "answer": row.answer,
        "created_at": format_moment(row.created_at),
        "decided_at": format_moment_or_none(row.decided_at),
    }


def _reports_of(good_id: int) -> list[ReportOut]:
    found = rows(
        select(GoodReport.__table__)
        .where(GoodReport.good_id == good_id)
        .order_by(GoodReport.id.desc())
        .limit(_HISTORY_SHOWN)
    )
    return [
        {
            "reporter_id": each.reporter_id,
            "category": each.category,
            "category_text": CATEGORY_TEXT[Category(each.category)],
            "text": each.text,
            "created_at": format_moment(each.created_at),
        }
        for each in found
    ]


CAN_BE_DECIDED: Final = ~Good.deleted & case(
    (ReviewCase.kind == CaseKind.TAKEDOWN_APPEAL.value, Good.taken_down),
    # What everybody sees may be taken down wherever it stands; an order that holds it goes on.
    (ReviewCase.kind.in_((CaseKind.REPORT.value, CaseKind.RECHECK.value)), ~Good.taken_down),
    else_=~Good.taken_down & (Good.status != GoodStatus.IN_TRADE),
)
"""Whether a case, joined with its good, can be decided now; what an order holds, or is away, is decided afterwards."""


def count_waiting() -> int:
    """How many cases wait for a person."""
    return sum(count for count, _ in waiting_by_kind().values())


def waiting_by_kind() -> Mapping[str, tuple[int, Any]]:
    """For metrics: how many cases of each kind wait for a person, and since when the first."""
    found = rows(
        select(ReviewCase.kind, func.count().label("waiting"), func.min(ReviewCase.created_at).label("since"))
        .join(Good, Good.id == ReviewCase.good_id)
        .where(ReviewCase.closed_at.is_(None), CAN_BE_DECIDED)
        .group_by(ReviewCase.kind)
    )
    return {row.kind: (row.waiting, row.since) for row in found}


# --- banned pictures ---


def list_bans(*, actor_id: int, query: BanQuery) -> tuple[list[BannedPictureOut], int]:
    """One page of the banned pictures, newest first, and the total."""
    lifted = BannedPicture.lifted_at
    wanted = lifted.is_(None) if query.state == "in_force" else lifted.is_not(None)
    counted = row_or_none(select(func.count()).select_from(BannedPicture).where(wanted))
    total: int = counted[0] if counted else 0
    statement = (
        select(BannedPicture.__table__, Picture.id.label("present_id"))
        .outerjoin(Picture, Picture.id == BannedPicture.picture_id)
        .where(wanted)
        .order_by(BannedPicture.id.desc())
    )
    found = rows(statement.limit(query.size).offset(query.offset))
    record_staff_read(actor_id, subject="picture", subject_ids=[each.present_id for each in found if each.present_id])
    return [_ban_out(each) for each in found], total


def ban_of(*, actor_id: int, ban_id: int) -> BannedPictureOut:
    """One banned picture. Raises NO_SUCH_BAN."""
    row = row_or_none(
        select(BannedPicture.__table__, Picture.id.label("present_id"))
        .outerjoin(Picture, Picture.id == BannedPicture.picture_id)
        .where(BannedPicture.id == ban_id)
    )
    if row is None:
        raise Refused(Answer.NO_SUCH_BAN)
    record_staff_read(actor_id, subject="picture", subject_ids=[] if row.present_id is None else [row.present_id])
    return _ban_out(row)


def _ban_out(row: Row[Any]) -> BannedPictureOut:
    return {
        "id": row.id,
        "picture_id": row.picture_id,
        "url": None if row.present_id is None else picture_url(row.present_id),
        "sha256": row.sha256,
        "category": row.category,
        "category_text": CATEGORY_TEXT[Category(row.category)],
        "note": row.note,
        "banned_by": row.banned_by,
        "created_at": format_moment(row.created_at),
        "lifted_at": format_moment_or_none(row.lifted_at),
    }
