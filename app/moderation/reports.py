"""Users report goods that break the rules."""

from datetime import timedelta
from typing import Final

import structlog
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from app.accounts.suspensions import lock_user, refuse_suspended
from app.answers import Answer, Refused
from app.clock import utcnow
from app.db.transactions import transaction
from app.goods.models import CaseKind
from app.goods.queries import is_public
from app.goods.revisions import known_revision
from app.goods.service import lock_good
from app.moderation.decisions import open_case
from app.moderation.models import GoodReport
from app.moderation.verdicts import Category

log = structlog.get_logger(__name__)

REPORTS_A_DAY: Final = 50
"""What one user may report within 24 hours."""


def report_good(*, reporter_id: int, good_id: int, category: Category, text: str) -> None:
    """Say that a public good breaks the rules: somebody of staff looks at it, once for all who report this revision.

    Raises NO_SUCH_GOOD for one that is not public, OWN_GOOD, REPORT_REFUSED where the user has reported it already or
    too much of late, NO_SUCH_USER, ACCOUNT_SUSPENDED.
    """
    with transaction() as session:
        refuse_suspended(lock_user(session, reporter_id))
        good = lock_good(session, good_id)
        if not is_public(good):
            raise Refused(Answer.NO_SUCH_GOOD)
        if good.owner_id == reporter_id:
            raise Refused(Answer.OWN_GOOD)
        now = utcnow()
        today = select(func.count()).where(
            GoodReport.reporter_id == reporter_id, GoodReport.created_at > now - timedelta(days=1)
        )
        if (session.scalar(today) or 0) >= REPORTS_A_DAY:
            raise Refused(Answer.REPORT_REFUSED, data={"reasons": ["24 小时内举报次数已达上限"]})
        statement = upsert(GoodReport).values(
            good_id=good_id,
            revision=good.revision,
            reporter_id=reporter_id,
            category=category.value,
            text=text,
            created_at=now,
        )
        added = session.execute(statement.on_conflict_do_nothing().returning(GoodReport.id)).scalar()
        if added is None:
            raise Refused(Answer.REPORT_REFUSED, data={"reasons": ["你已举报过该商品"]})
        known_revision(session, good, good.revision)
        open_case(session, good_id=good.id, revision=good.revision, kind=CaseKind.REPORT, now=now)
    log.info("good_reported", good_id=good_id, reporter_id=reporter_id, category=category.value)
