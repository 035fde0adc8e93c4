"""What staff read of other people is recorded, wherever they read it: who, what, when, and why (`docs/staff.md`)."""

from collections.abc import Iterable

import structlog
from sqlalchemy import insert

from app.accounts.models import StaffRead
from app.accounts.queries import has_permission
from app.clock import utcnow
from app.db.erasable_texts import keep_text
from app.db.transactions import reading, transaction
from app.purpose import purpose
from app.staff_roles import Permission

log = structlog.get_logger(__name__)


def record_staff_read(actor_id: int, *, subject: str, subject_ids: Iterable[int]) -> None:
    """Record that somebody of staff read these subjects (orders, goods, users …): who, which and why, never what.

    Where there were none, nothing was read.
    """
    ids = list(subject_ids)
    if not ids:
        return
    log.info("staff_read", actor_id=actor_id, subject=subject, subject_ids=ids)
    why, now = purpose(), utcnow()
    values = {"actor_id": actor_id, "subject": subject, "subject_ids": ids, "place": why.place, "at": now}
    if why.reason:
        with transaction() as session:
            digest = keep_text(session, why.reason, written_at=now)
            session.execute(insert(StaffRead).values(**values, reason_digest=digest))
        return
    with reading() as connection:
        connection.execute(insert(StaffRead.__table__).values(**values))  # type: ignore[arg-type] # a model's table


def reads_as_staff(reader_id: int, *, permission: Permission, subject: str, subject_ids: Iterable[int]) -> bool:
    """Whether the reader is of staff with this permission, for what only they may read of other people.

    Where they are, it is recorded that they read it.
    """
    if not has_permission(reader_id, permission):
        return False
    record_staff_read(reader_id, subject=subject, subject_ids=subject_ids)
    return True
