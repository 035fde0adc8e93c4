"""What is known of a seller: a summary of what became of their earlier goods."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.clock import utcnow
from app.goods.models import Good, GoodRevision, RevisionState, TakedownCause
from app.moderation.text import SellerHistory


def seller_history(session: Session, owner_id: int) -> SellerHistory:
    """What became of the seller's earlier goods."""
    counted = (
        select(GoodRevision.state, func.count().label("revisions"))
        .join(Good, Good.id == GoodRevision.good_id)
        .where(Good.owner_id == owner_id)
        .group_by(GoodRevision.state)
    )
    states = {row.state: row.revisions for row in session.execute(counted)}
    down = select(func.count()).where(
        Good.owner_id == owner_id, Good.taken_down, Good.takedown_cause == TakedownCause.STAFF.value
    )
    registered = session.scalar(select(User.created_at).where(User.id == owner_id))
    return SellerHistory(
        approved=states.get(RevisionState.APPROVED.value, 0),
        refused=states.get(RevisionState.REJECTED.value, 0),
        taken_down=session.scalar(down) or 0,
        days=None if registered is None else (utcnow() - registered).days,
    )
