"""What a user wrote for reviews, erased with the account: edits that nobody saw, appeals, reports."""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.db.erasable_texts import ERASED
from app.goods.models import Appeal, Good, GoodRevision, RevisionState, Verdict
from app.moderation.models import GoodReport


def erase_review_words(session: Session, *, user_id: int) -> None:
    """Erase them, in the caller's transaction. Titles that were public stay: orders show them as well."""
    goods = select(Good.id).where(Good.owner_id == user_id)
    unseen = GoodRevision.state != RevisionState.APPROVED.value
    for statement in (
        update(GoodRevision).where(GoodRevision.good_id.in_(goods)).values(description=""),
        update(GoodRevision).where(GoodRevision.good_id.in_(goods), unseen).values(title=""),
        update(Verdict).where(Verdict.good_id.in_(goods)).values(hits=[], reasons=[]),
        update(Appeal).where(Appeal.good_id.in_(goods)).values(text=ERASED),
        update(GoodReport).where(GoodReport.reporter_id == user_id, GoodReport.text != "").values(text=ERASED),
    ):
        session.execute(statement, execution_options={"synchronize_session": False})
