"""What becomes of a revision that is refused, or that a person has to look at: in the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.goods.models import CaseKind, Good, GoodRevision, ReviewCase, RevisionState, Verdict
from app.goods.revisions import close_cases
from app.notifications.models import NotificationKind
from app.notifications.service import notify
from app.outbox.models import Topic
from app.outbox.service import add_message
from statemachine import GoodEvent, GoodRole, GoodStatus, good_flow

PRIORITY: Final = {
    # Everybody sees it meanwhile.
    CaseKind.RECHECK: 30,
    CaseKind.REPORT: 30,
    CaseKind.APPEAL: 20,
    CaseKind.TAKEDOWN_APPEAL: 20,
    CaseKind.RELEASE: 10,
    CaseKind.EDIT: 10,
}
"""Cases of a higher number are looked at first."""

_TEXT_LENGTH: Final = 500


def open_case(session: Session, *, good_id: int, revision: int, kind: CaseKind, now: datetime) -> bool:
    """Have somebody look at a revision of a locked good; False where that is so already."""
    statement = upsert(ReviewCase).values(
        good_id=good_id, revision=revision, kind=kind.value, priority=PRIORITY[kind], created_at=now
    )
    unless_open = statement.on_conflict_do_nothing(
        index_elements=["good_id", "revision"], index_where=ReviewCase.closed_at.is_(None)
    )
    return session.execute(unless_open.returning(ReviewCase.id)).scalar() is not None


def refuse(
    session: Session,
    good: Good,
    row: GoodRevision,
    *,
    role: GoodRole,
    now: datetime,
    verdicts: Sequence[Verdict] = (),
    categories: Sequence[str] = (),
    text: str = "",
) -> None:
    """Refuse a revision that is in review: by the machine's `verdicts`, or for `categories` and in words of staff.

    What is public stays so. The owner is told why.
    """
    found = [hit for verdict in verdicts for hit in verdict.hits if hit["policy"] == "reject"]
    row.categories = list(dict.fromkeys([*categories, *(hit["category"] for hit in found)]))
    reasons = dict.fromkeys(reason for verdict in verdicts for reason in verdict.reasons)
    row.text = (text or ";".join(reasons))[:_TEXT_LENGTH]
    row.state, row.decided_at = RevisionState.REJECTED.value, now
    close_cases(session, good, row.revision, now=now)
    if row.revision == good.revision and good.status == GoodStatus.IN_REVIEW:
        good_flow.fire(good, GoodEvent.REJECT, role)
        good.published_at, good.updated_at = None, now
        add_message(session, Topic.SEARCH_INDEX, good.id)
        what, remains = "商品未通过审核", ""
    else:
        what, remains = "商品修改未通过审核", "已发布的内容保持不变。"
    tell(
        session,
        good.owner_id,
        what,
        f"「{row.title}」未通过审核:{row.text}。{remains}可修改后重新提交,或申诉一次。",
        "reject",
    )


def tell(session: Session, user_id: int, title: str, text: str, event: str) -> None:
    """Notify the owner of what a review has decided."""
    notify(session, user_id=user_id, kind=NotificationKind.REVIEW, title=title, text=text, event=event)
