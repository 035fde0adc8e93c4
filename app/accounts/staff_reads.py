"""What staff read of other people is recorded, wherever they read it (`docs/staff.md`)."""

from collections.abc import Iterable

import structlog

from app.accounts.queries import is_staff

log = structlog.get_logger(__name__)


def record_staff_read(actor_id: int, *, subject: str, subject_ids: Iterable[int]) -> None:
    """Record that somebody of staff read these subjects (orders, goods, users …): who and which, never what."""
    log.info("staff_read", actor_id=actor_id, subject=subject, subject_ids=list(subject_ids))


def reads_as_staff(reader_id: int, *, subject: str, subject_ids: Iterable[int]) -> bool:
    """Whether the reader is of staff, for what only staff may read of other people; records that they do."""
    if not is_staff(reader_id):
        return False
    record_staff_read(reader_id, subject=subject, subject_ids=subject_ids)
    return True
