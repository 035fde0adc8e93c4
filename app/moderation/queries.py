"""Reads of reviews: one statement each."""

from typing import Final

from sqlalchemy import bindparam, select

from app.accounts.staff_reads import reads_as_staff
from app.answers import Answer, Refused
from app.db.transactions import row_or_none
from app.goods.models import Good
from app.goods.queries import VERDICTS
from app.goods.schemas import REVIEW_STATE
from app.moderation.schemas import ReviewOut
from statemachine.good import GOOD_TEXT

_REVIEW: Final = select(
    Good.id, Good.status, Good.taken_down, Good.owner_id, Good.revision, VERDICTS.label("verdicts")
).where(Good.id == bindparam("good_id"), ~Good.deleted)


def review(*, good_id: int, reader_id: int | None) -> ReviewOut:
    """The state of the good's review; its owner and staff also see the verdicts.

    A good that is taken down exists for them only. Raises Refused(NO_SUCH_GOOD).
    """
    row = row_or_none(_REVIEW, {"good_id": good_id})
    if row is None:
        raise Refused(Answer.NO_SUCH_GOOD)
    sees_all = reader_id is not None and (
        reader_id == row.owner_id or reads_as_staff(reader_id, subject="good", subject_ids=[good_id])
    )
    if row.taken_down and not sees_all:
        raise Refused(Answer.NO_SUCH_GOOD)
    found: ReviewOut = {
        "good_id": row.id,
        "good_status": row.status,
        "good_status_text": GOOD_TEXT[row.status],
        "state": REVIEW_STATE[row.status],
    }
    if sees_all:
        found["revision"] = row.revision
        found["verdicts"] = row.verdicts or []
    return found
