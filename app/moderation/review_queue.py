"""What staff do about goods that wait for a person: get the next one, decide it, pass it on. One function per verb.

A case is on one desk at a time: who gets it has it for `review_claim_seconds` (a setting), and nobody else gets it
meanwhile. Nobody gets a good of their own, nor one that they passed on. Decisions are made under the good's lock, about
the revision that was seen: where it was edited, deleted, taken down or decided since, they are refused.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal

import structlog
from sqlalchemy import ColumnElement, any_, exists, func, not_, or_, select, update
from sqlalchemy.orm import Session

from app.accounts.staff_reads import record_staff_read
from app.answers import Answer, Refused
from app.clock import utcnow
from app.db.transactions import transaction
from app.goods.models import (
    Appeal,
    AppealState,
    CaseKind,
    Good,
    GoodRevision,
    Picture,
    ReviewCase,
    RevisionState,
    TakedownCause,
    Verdict,
    VerdictState,
)
from app.goods.queries import is_public
from app.goods.revisions import known_revision, publish
from app.goods.service import lock_good, take_down
from app.moderation.decisions import PRIORITY, open_case, refuse, tell
from app.moderation.likenesses import ban_hits, files_like, fingerprint_of
from app.moderation.models import BannedPicture, Stage
from app.moderation.queries import CAN_BE_DECIDED
from app.moderation.service import content_of, count_verdicts
from app.moderation.texts import CATEGORY_TEXT
from app.moderation.verdicts import Category
from app.settings import settings
from app.staff.models import ActionKind, Subject
from app.staff.service import check_staff, put_back, record_action
from app.staff_roles import Permission
from statemachine import GoodRole, GoodStatus

log = structlog.get_logger(__name__)

APPEALS_A_DAY: Final = 20
"""What one owner may object to within 24 hours."""

_APPROVED: Final = "人工审核通过"
"""The reason that is recorded where whoever approves says none."""

_ANSWER_LENGTH: Final = 500

Decided = Literal["approve", "reject"]


def claim_next(*, actor_id: int, besides: Collection[int] = ()) -> int | None:
    """The id of the case that comes next, which is the actor's from now on; None where nothing waits.

    What is on the actor's desk already comes first, but for the cases `besides`: those that are open before him while
    the next one is loaded. Raises FORBIDDEN for an actor who is not staff.
    """
    now = utcnow()
    is_mine = (ReviewCase.claimed_by == actor_id) & (ReviewCase.claimed_until > now)
    is_free = ReviewCase.claimed_by.is_(None) | (ReviewCase.claimed_until <= now)
    waiting = (
        select(ReviewCase)
        .join(Good, Good.id == ReviewCase.good_id)
        .where(
            ReviewCase.closed_at.is_(None),
            or_(is_mine, is_free),
            not_(func.coalesce(actor_id == any_(ReviewCase.skipped_by), False)),
            ReviewCase.id.not_in(besides),
            Good.owner_id != actor_id,
            CAN_BE_DECIDED,
        )
        .order_by(func.coalesce(is_mine, False).desc(), ReviewCase.priority.desc(), ReviewCase.id)
        .limit(1)
        .with_for_update(of=ReviewCase, skip_locked=True)
    )
    with transaction() as session:
        check_staff(session, actor_id, Permission.REVIEW)
        case = session.scalars(waiting).one_or_none()
        if case is None:
            return None
        case.claimed_by = actor_id
        case.claimed_until = now + timedelta(seconds=settings().review_claim_seconds)
        return case.id


def open_on_desk(*, actor_id: int, case_id: int) -> None:
    """Take one open case, as from a list. Raises FORBIDDEN, NO_SUCH_REVIEW, REVIEW_TAKEN."""
    with transaction() as session:
        check_staff(session, actor_id, Permission.REVIEW)
        _, case = _locked_case(session, case_id, actor_id=actor_id)
        case.claimed_by = actor_id
        case.claimed_until = utcnow() + timedelta(seconds=settings().review_claim_seconds)


def skip(*, actor_id: int, case_id: int) -> None:
    """Pass a case on to others; the actor does not get it again. Raises FORBIDDEN, NO_SUCH_REVIEW, REVIEW_TAKEN."""
    with transaction() as session:
        check_staff(session, actor_id, Permission.REVIEW)
        good, case = _locked_case(session, case_id, actor_id=actor_id)
        case.claimed_by = case.claimed_until = None
        case.skipped_by = sorted({*case.skipped_by, actor_id})
    record_staff_read(actor_id, subject="good", subject_ids=[good.id])


def release_claims(*, actor_id: int) -> None:
    """Put everything on the actor's desk back, as when he leaves."""
    with transaction() as session:
        session.execute(
            update(ReviewCase)
            .where(ReviewCase.claimed_by == actor_id, ReviewCase.closed_at.is_(None))
            .values(claimed_by=None, claimed_until=None),
            execution_options={"synchronize_session": False},
        )


def decide(
    *,
    actor_id: int,
    case_id: int,
    decision: Decided,
    categories: Sequence[Category] = (),
    note: str = "",
    subjects: Sequence[str] = (),
) -> None:
    """Decide a case: approve what was seen, or reject it for `categories` with a `note` that the owner reads.

    A release or an edit that is approved is public at once; rejected it is not, and what was public before stays so. An
    appeal that is approved (granted) does the same, and puts a good that was taken down back. Of what is public, by a
    recheck or a report, a rejection takes the good down. `subjects` are those of its verdicts for which it is rejected;
    left out, those that the machine was unsure of.

    Raises FORBIDDEN for an actor who is not staff or owns the good, NO_SUCH_REVIEW where the case is closed,
    REVIEW_TAKEN while it is on another's desk, REVIEW_OUTDATED where the good cannot be decided about now.
    """
    with transaction() as session:
        check_staff(session, actor_id, Permission.REVIEW)
        good, case = _locked_case(session, case_id, actor_id=actor_id)
        row = known_revision(session, good, case.revision)
        now = utcnow()
        text = _text_of(categories, note)
        kind = CaseKind(case.kind)
        choice = _Choice(actor_id, decision == "approve", text, [each.value for each in categories])
        _DECIDE[kind](session, good, row, choice)
        case.decision, case.decided_by, case.closed_at = decision, actor_id, now
        case.claimed_by = case.claimed_until = None
        if kind not in (CaseKind.TAKEDOWN_APPEAL, CaseKind.REPORT):
            _settle_verdicts(session, row, approve=decision == "approve", subjects=subjects)
        record_action(
            session,
            ActionKind.APPROVE_GOOD if decision == "approve" else ActionKind.REJECT_GOOD,
            actor_id=actor_id,
            subject=Subject.GOOD,
            subject_id=good.id,
            reason=note or text or _APPROVED,
            details={
                "case": kind.value,
                "revision": row.revision,
                "categories": [each.value for each in categories],
                "owner_id": good.owner_id,
            },
        )
        outcome = VerdictState.PASSED if decision == "approve" else VerdictState.REJECTED
        waited = round((now - case.created_at).total_seconds() * 1000)
        count_verdicts(session, Stage.PERSON, {outcome: 1}, milliseconds=waited)
    log.info("review_decided", actor_id=actor_id, good_id=good.id, revision=row.revision, decision=decision)


def _locked_case(session: Session, case_id: int, *, actor_id: int) -> tuple[Good, ReviewCase]:
    """The good and its open case, locked in this order, for somebody who may decide about it."""
    good_id = session.scalar(select(ReviewCase.good_id).where(ReviewCase.id == case_id))
    if good_id is None:
        raise Refused(Answer.NO_SUCH_REVIEW)
    good = lock_good(session, good_id)
    statement = select(ReviewCase).where(ReviewCase.id == case_id).with_for_update()
    case = session.scalars(statement.execution_options(populate_existing=True)).one()
    if case.closed_at is not None:
        raise Refused(Answer.NO_SUCH_REVIEW)
    if good.owner_id == actor_id:
        raise Refused(Answer.FORBIDDEN)
    if case.claimed_by not in (None, actor_id) and case.claimed_until is not None and case.claimed_until > utcnow():
        raise Refused(Answer.REVIEW_TAKEN)
    return good, case


def _text_of(categories: Sequence[Category], note: str) -> str:
    named = "、".join(CATEGORY_TEXT[each] for each in dict.fromkeys(categories))
    return ":".join(part for part in (named, note) if part)


# --- what a decision does, by the kind of case ---


@dataclass(frozen=True, slots=True)
class _Choice:
    """Who decides what: whether it is approved, what the owner reads, for which kinds of rules."""

    actor_id: int
    approve: bool
    text: str
    categories: list[str]


def _decide_revision(session: Session, good: Good, row: GoodRevision, choice: _Choice) -> None:
    """A release or an edit that waits."""
    is_here = not good.deleted and not good.taken_down and row.state == RevisionState.IN_REVIEW.value
    if row.revision == good.revision:
        is_here &= good.status == GoodStatus.IN_REVIEW
    else:
        is_here &= good.edit_revision == row.revision and (
            good.status == GoodStatus.PUBLISHED or (good.status == GoodStatus.SOLD and row.relists)
        )
    if not is_here:
        raise Refused(Answer.REVIEW_OUTDATED)
    _publish_or_refuse(session, good, row, choice)


def _publish_or_refuse(session: Session, good: Good, row: GoodRevision, choice: _Choice) -> None:
    now = utcnow()
    row.decided_by = choice.actor_id
    if choice.approve:
        _refuse_banned(session, good, row)
        is_edit = row.revision != good.revision
        publish(session, good, row, role=GoodRole.STAFF, now=now)
        row.categories, row.text = [], ""
        what = "修改已生效" if is_edit else "商品已发布"
        tell(session, good.owner_id, what, f"「{row.title}」已通过人工审核。", "approve")
    else:
        refuse(session, good, row, role=GoodRole.STAFF, now=now, categories=choice.categories, text=choice.text)


def _refuse_banned(session: Session, good: Good, row: GoodRevision) -> None:
    """Raise REVIEW_OUTDATED for a revision with a picture that is banned: by somebody else since, or before."""
    if ban_hits(session, {picture.sha256 for picture in content_of(session, good, row).pictures}):
        raise Refused(Answer.REVIEW_OUTDATED, data={"reasons": ["图片已被平台禁止使用,解除禁用后才能通过"]})


def _decide_appeal(session: Session, good: Good, row: GoodRevision, choice: _Choice) -> None:
    """An appeal against a refusal: granted, the revision is public as if it had passed."""
    is_here = not good.deleted and not good.taken_down and row.state == RevisionState.REJECTED.value
    if row.revision == good.revision:
        is_here &= good.status == GoodStatus.REJECTED
    else:
        is_here &= good.edit_revision == row.revision and (
            good.status == GoodStatus.PUBLISHED or (good.status == GoodStatus.SOLD and row.relists)
        )
    if not is_here:
        raise Refused(Answer.REVIEW_OUTDATED)
    _answer_appeal(session, good, row.revision, granted=choice.approve, text=choice.text)
    row.decided_by = choice.actor_id
    if choice.approve:
        _refuse_banned(session, good, row)
        publish(session, good, row, role=GoodRole.STAFF, now=utcnow())
        row.categories, row.text = [], ""
        tell(session, good.owner_id, "申诉成功", f"「{row.title}」已恢复发布。{choice.text}", "grant_appeal")
    else:
        if choice.categories:
            row.categories = choice.categories
        tell(session, good.owner_id, "申诉未通过", f"「{row.title}」维持原审核结果。{choice.text}", "refuse_appeal")


def _decide_takedown_appeal(session: Session, good: Good, row: GoodRevision, choice: _Choice) -> None:
    """An appeal against having a good taken down: granted, the good is back where it stood."""
    if good.deleted or not good.taken_down or good.takedown_cause != TakedownCause.STAFF.value:
        raise Refused(Answer.REVIEW_OUTDATED)
    _answer_appeal(session, good, row.revision, granted=choice.approve, text=choice.text)
    if choice.approve:
        back = put_back(session, good)
        words = "已恢复。" if back else "的下架已撤销,账号恢复使用后重新上架。"
        tell(session, good.owner_id, "申诉成功", f"「{good.title}」{words}{choice.text}", "grant_appeal")
    else:
        tell(session, good.owner_id, "申诉未通过", f"「{good.title}」维持下架。{choice.text}", "refuse_appeal")


def _decide_public(session: Session, good: Good, row: GoodRevision, choice: _Choice) -> None:
    """What is public: rejected, the good is taken down, and whatever order holds it goes on."""
    if good.revision != row.revision or not is_public(good):
        raise Refused(Answer.REVIEW_OUTDATED)
    if not choice.approve:
        row.categories, row.text = choice.categories, choice.text
        take_down(session, good, cause=TakedownCause.STAFF)
        words = f"你的商品「{good.title}」已被平台下架。原因:{choice.text or '违反平台规则'}"
        tell(session, good.owner_id, "商品已被下架", words, "take_down")


_DECIDE: Final = {
    CaseKind.RELEASE: _decide_revision,
    CaseKind.EDIT: _decide_revision,
    CaseKind.APPEAL: _decide_appeal,
    CaseKind.TAKEDOWN_APPEAL: _decide_takedown_appeal,
    CaseKind.RECHECK: _decide_public,
    CaseKind.REPORT: _decide_public,
}


def _answer_appeal(session: Session, good: Good, revision: int, *, granted: bool, text: str) -> None:
    state = AppealState.GRANTED if granted else AppealState.REFUSED
    session.execute(
        update(Appeal)
        .where(Appeal.good_id == good.id, Appeal.revision == revision)
        .values(state=state.value, answer=text[:_ANSWER_LENGTH], decided_at=utcnow()),
        execution_options={"synchronize_session": False},
    )


def _settle_verdicts(session: Session, row: GoodRevision, *, approve: bool, subjects: Sequence[str]) -> None:
    """Let the verdicts say what the person decided, so that what comes again unchanged is not looked at again."""
    of_revision = (Verdict.good_id == row.good_id) & (Verdict.revision == row.revision)
    which: ColumnElement[bool] = Verdict.state != VerdictState.PASSED.value
    state = VerdictState.PASSED
    if not approve:
        state = VerdictState.REJECTED
        which = Verdict.subject.in_(subjects) if subjects else Verdict.state == VerdictState.REVIEW.value
    values: dict[str, Any] = {"state": state.value, "passed": approve, "by_staff": True}
    if approve:
        values["reasons"] = []
    elif subjects:
        values["reasons"] = [row.text]
    session.execute(
        update(Verdict).where(of_revision, which).values(**values), execution_options={"synchronize_session": False}
    )


# --- owners and users ---


def appeal(*, owner_id: int, good_id: int, text: str) -> None:
    """Object to a refusal, or to having the good taken down by staff: once for each revision.

    Raises NO_SUCH_GOOD, also for another user's good; APPEAL_REFUSED with the reasons where there is nothing to object
    to, where that was done, or where the owner did it too often of late: an edit makes a revision, and costs nothing.
    """
    with transaction() as session:
        good = session.scalars(
            select(Good).where(Good.id == good_id, Good.owner_id == owner_id, ~Good.deleted).with_for_update()
        ).one_or_none()
        if good is None:
            raise Refused(Answer.NO_SUCH_GOOD)
        row = known_revision(session, good, good.edit_revision or good.revision)
        if good.taken_down and good.takedown_cause == TakedownCause.STAFF.value:
            kind = CaseKind.TAKEDOWN_APPEAL
            row = known_revision(session, good, good.revision)
        elif row.state == RevisionState.REJECTED.value and not good.taken_down:
            kind = CaseKind.APPEAL
        else:
            raise Refused(Answer.APPEAL_REFUSED, data={"reasons": ["当前没有可以申诉的审核结果"]})
        earlier = select(Appeal.id).where(Appeal.good_id == good.id, Appeal.revision == row.revision)
        if session.scalar(earlier) is not None:
            raise Refused(Answer.APPEAL_REFUSED, data={"reasons": ["该版本已申诉过,每个版本只能申诉一次"]})
        now = utcnow()
        of_owner = select(func.count()).select_from(Appeal).join(Good, Good.id == Appeal.good_id)
        today = of_owner.where(Good.owner_id == owner_id, Appeal.created_at > now - timedelta(days=1))
        if (session.scalar(today) or 0) >= APPEALS_A_DAY:
            raise Refused(Answer.APPEAL_REFUSED, data={"reasons": ["24 小时内申诉次数已达上限"]})
        session.add(Appeal(good_id=good.id, revision=row.revision, text=text, created_at=now))
        # A report or a recheck of the same revision that waits becomes this one.
        waiting = update(ReviewCase).where(
            ReviewCase.good_id == good.id, ReviewCase.revision == row.revision, ReviewCase.closed_at.is_(None)
        )
        session.execute(
            waiting.values(kind=kind.value, priority=PRIORITY[kind]), execution_options={"synchronize_session": False}
        )
        open_case(session, good_id=good.id, revision=row.revision, kind=kind, now=now)
    log.info("appealed", good_id=good_id, revision=row.revision, kind=kind.value)


# --- banned pictures ---


def ban_picture(*, actor_id: int, picture_id: int, category: Category, note: str) -> int:
    """Never let this picture be published again, and have all looked at that shows it or its like; returns its ban.

    A picture that is banned already stays as it is. Raises FORBIDDEN for an actor who is not staff, NO_SUCH_PICTURE.
    """
    with transaction() as session:
        check_staff(session, actor_id, Permission.REVIEW)
        sha256 = session.scalar(select(Picture.sha256).where(Picture.id == picture_id))
        if sha256 is None:
            raise Refused(Answer.NO_SUCH_PICTURE)
        in_force = select(BannedPicture.id).where(BannedPicture.sha256 == sha256, BannedPicture.lifted_at.is_(None))
        if (known := session.scalar(in_force)) is not None:
            return known
        fingerprint = fingerprint_of(session, sha256)
        banned = BannedPicture(
            sha256=sha256,
            fingerprint=fingerprint,
            category=category.value,
            note=note,
            picture_id=picture_id,
            banned_by=actor_id,
            created_at=utcnow(),
        )
        session.add(banned)
        session.flush()
        looked_at = 0
        alike = () if fingerprint is None else session.scalars(files_like(fingerprint)).all()
        for good in _public_goods_with(session, {sha256, *alike}):
            known_revision(session, good, good.revision)
            looked_at += open_case(
                session, good_id=good.id, revision=good.revision, kind=CaseKind.RECHECK, now=utcnow()
            )
        record_action(
            session,
            ActionKind.BAN_PICTURE,
            actor_id=actor_id,
            subject=Subject.PICTURE,
            subject_id=picture_id,
            reason=note,
            details={"sha256": sha256, "category": category.value, "goods": looked_at},
        )
        return banned.id


def _public_goods_with(session: Session, files: Collection[str]) -> Sequence[Good]:
    """The public goods that show one of these files, locked. What is about to show one is waited for."""
    has_it = exists().where(Picture.good_id == Good.id, Picture.sha256.in_(files), Picture.detached_at.is_(None))
    here = select(Good).where(has_it, ~Good.deleted, ~Good.taken_down).order_by(Good.id)
    locked = session.scalars(here.with_for_update(key_share=True)).all()
    # Asked again under the locks: an edit may have brought the picture into its good, or taken it off.
    shown = select(Picture.good_id).where(
        Picture.good_id.in_([good.id for good in locked]), Picture.sha256.in_(files), Picture.position.is_not(None)
    )
    showing = set(session.scalars(shown))
    return [good for good in locked if good.id in showing and is_public(good)]


def lift_ban(*, actor_id: int, ban_id: int, reason: str) -> None:
    """Let a banned picture be published again. Raises FORBIDDEN, NO_SUCH_BAN where there is none, or it was lifted."""
    with transaction() as session:
        check_staff(session, actor_id, Permission.REVIEW)
        banned = session.get(BannedPicture, ban_id, with_for_update=True)
        if banned is None or banned.lifted_at is not None:
            raise Refused(Answer.NO_SUCH_BAN)
        banned.lifted_at = utcnow()
        record_action(
            session,
            ActionKind.LIFT_BAN,
            actor_id=actor_id,
            subject=Subject.PICTURE,
            subject_id=banned.picture_id or 0,
            reason=reason,
            details={"sha256": banned.sha256},
        )
