"""The review of a good: its checks, its conclusion, and the sweep that requests lost reviews again.

A review belongs to one revision of one good. Both steps may run late, twice or at the same time: each checks the good
again under lock, and does nothing if it was edited, deleted or reviewed meanwhile.
"""

from datetime import timedelta
from typing import Final

import structlog
from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.clock import utcnow
from app.db.transactions import row_or_none, rows, transaction
from app.goods.models import Good, Picture, Verdict, VerdictKind
from app.goods.storage import picture_storage
from app.moderation.pic_verify import StoredPicture, check_picture
from app.moderation.text import TextContext, TextKind, check_text
from app.outbox.models import OutboxMessage, Topic
from app.outbox.service import add_message
from app.settings import settings
from statemachine import GoodEvent, GoodRole, GoodStatus, good_flow

log = structlog.get_logger(__name__)

_SWEEP_BATCH: Final = 200

_IN_REVIEW = (Good.status == GoodStatus.IN_REVIEW) & ~Good.deleted & ~Good.taken_down
_REVISION = select(Good.revision).where(Good.id == bindparam("good_id"), _IN_REVIEW)
# One statement, so that texts and pictures are of the same revision.
_PARTS = (
    select(Good.title, Good.description, Picture.id, Picture.sha256, Picture.width, Picture.height)
    .outerjoin(Picture, (Picture.good_id == Good.id) & Picture.position.is_not(None))
    .where(Good.id == bindparam("good_id"), Good.revision == bindparam("revision"), _IN_REVIEW)
    .order_by(Picture.position)
)


def revision_in_review(good_id: int) -> int | None:
    """The good's revision, if it is in review; None if not."""
    row = row_or_none(_REVISION, {"good_id": good_id})
    return None if row is None else int(row.revision)


def check_good(*, good_id: int, revision: int) -> None:
    """Check the texts and pictures of this revision and record a verdict on each.

    Does nothing if this revision is not in review any more. Checking again replaces the earlier verdicts.
    """
    parts = rows(_PARTS, {"good_id": good_id, "revision": revision})
    if not parts:
        log.info("review_stale", step="check", good_id=good_id, revision=revision)
        return
    reasons = {
        (VerdictKind.TEXT, "title"): _reasons(parts[0].title, TextKind.TITLE),
        (VerdictKind.TEXT, "description"): _reasons(parts[0].description, TextKind.DESCRIPTION),
    }
    storage = picture_storage()
    pixels_limit = settings().picture_pixels_limit
    for part in parts:
        if part.id is not None:
            picture = StoredPicture(part.id, part.sha256, part.width, part.height)
            reasons[_picture_key(part.id)] = check_picture(picture, storage=storage, pixels_limit=pixels_limit)
    with transaction() as session:
        if _locked(session, good_id=good_id, revision=revision) is None:
            log.info("review_stale", step="check", good_id=good_id, revision=revision)
            return
        _record(session, good_id=good_id, revision=revision, reasons=reasons)


def conclude_good(*, good_id: int, revision: int) -> None:
    """Publish the good if every check of this revision passed, and fail its review otherwise.

    Does nothing if this revision is not in review any more, or while verdicts are missing: then the sweep requests the
    review again.
    """
    with transaction() as session:
        good = _locked(session, good_id=good_id, revision=revision)
        if good is None:
            log.info("review_stale", step="conclude", good_id=good_id, revision=revision)
            return
        pictures = select(Picture.id).where(Picture.good_id == good_id, Picture.position.is_not(None))
        expected = {
            (VerdictKind.TEXT, "title"),
            (VerdictKind.TEXT, "description"),
            *map(_picture_key, session.scalars(pictures)),
        }
        verdicts = session.execute(
            select(Verdict.kind, Verdict.subject, Verdict.passed).where(
                Verdict.good_id == good_id, Verdict.revision == revision
            )
        )
        passed = {(kind, subject): verdict for kind, subject, verdict in verdicts}
        if not expected <= passed.keys():
            log.warning("review_incomplete", good_id=good_id, revision=revision)
            return
        approved = all(passed[key] for key in expected)
        good_flow.fire(good, GoodEvent.APPROVE if approved else GoodEvent.REJECT, GoodRole.SYSTEM)
        good.updated_at = utcnow()
        good.published_at = good.updated_at if approved else None
        add_message(session, Topic.SEARCH_INDEX, good_id)
    log.info("review_concluded", good_id=good_id, revision=revision, approved=approved)


def request_stale_reviews() -> int:
    """Request reviews again without progress for `review_sweep_after` seconds (a setting); returns how many.

    Goods whose message still waits for the relay are skipped, and so are goods that an earlier sweep requested within
    that time. Several sweeps may run at the same time.
    """
    total = 0
    while True:
        requested = _request_some_stale_reviews()
        total += requested
        if requested < _SWEEP_BATCH:
            if total:
                log.warning("stale_reviews_requested", goods=total)
            return total


def _request_some_stale_reviews() -> int:
    now = utcnow()
    cutoff = now - timedelta(seconds=settings().review_sweep_after)
    waiting = select(OutboxMessage.id).where(
        OutboxMessage.topic == Topic.GOOD_VERIFICATION.value, OutboxMessage.subject_id == Good.id
    )
    stale = (
        select(Good.id)
        .where(
            _IN_REVIEW,
            Good.updated_at < cutoff,
            or_(Good.review_requested_at.is_(None), Good.review_requested_at < cutoff),
            ~waiting.exists(),
        )
        .order_by(Good.updated_at)
        .limit(_SWEEP_BATCH)
        .with_for_update(skip_locked=True)
    )
    with transaction() as session:
        good_ids = list(session.scalars(stale))
        if good_ids:
            session.execute(
                update(Good).where(Good.id.in_(good_ids)).values(review_requested_at=now),
                execution_options={"synchronize_session": False},
            )
        for good_id in good_ids:
            add_message(session, Topic.GOOD_VERIFICATION, good_id)
    return len(good_ids)


def _locked(session: Session, *, good_id: int, revision: int) -> Good | None:
    """The good, locked, if this revision of it is still in review."""
    statement = select(Good).where(Good.id == good_id, Good.revision == revision, _IN_REVIEW).with_for_update()
    return session.scalars(statement).one_or_none()


def _reasons(text: str, kind: TextKind) -> list[str]:
    return [hit.reason for hit in check_text(text, context=TextContext(kind=kind)).hits]


def _picture_key(picture_id: int) -> tuple[VerdictKind, str]:
    return VerdictKind.PICTURE, f"picture:{picture_id}"


def _record(
    session: Session, *, good_id: int, revision: int, reasons: dict[tuple[VerdictKind, str], list[str]]
) -> None:
    now = utcnow()
    statement = upsert(Verdict).values(
        [
            {
                "good_id": good_id,
                "revision": revision,
                "kind": kind.value,
                "subject": subject,
                "passed": not found,
                "reasons": found,
                "created_at": now,
            }
            for (kind, subject), found in reasons.items()
        ]
    )
    replaced = {name: statement.excluded[name] for name in ("passed", "reasons", "created_at")}
    session.execute(
        statement.on_conflict_do_update(index_elements=["good_id", "revision", "kind", "subject"], set_=replaced)
    )
