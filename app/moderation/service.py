"""The review of goods by machine: its checks, its conclusion, and the sweep that requests lost reviews again.

A review belongs to one revision of one good: what the good's row holds where nobody has seen it yet, or the edit that
stands beside a public one. Each step may run late, twice or at the same time: it checks the good again under lock, and
does nothing if it was edited, deleted or reviewed meanwhile. What the machine is unsure of becomes a `ReviewCase`, for
people (`app.moderation.review_queue`).
"""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, Final

import structlog
from sqlalchemy import ColumnElement, any_, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.clock import utcnow
from app.db.transactions import row_or_none, transaction
from app.goods.models import (
    CaseKind,
    Good,
    GoodRevision,
    Picture,
    ReviewCase,
    RevisionState,
    Verdict,
    VerdictKind,
    VerdictState,
)
from app.goods.revisions import known_revision, publish, revision_of, set_edit_aside
from app.moderation.checks import (
    DESCRIPTION,
    STATE_OF,
    Content,
    Finding,
    Subject,
    judge_subject,
    rules_version_of,
    subjects_of,
    unfinished,
)
from app.moderation.decisions import open_case, refuse
from app.moderation.likenesses import LIKENESS_CODES, ban_hits, likeness_hits, remember_fingerprint
from app.moderation.models import ModerationTotal, Stage
from app.moderation.pic_verify import StoredPicture
from app.moderation.sellers import seller_history
from app.moderation.stored_hits import hit_of, hit_out
from app.moderation.text import SellerHistory
from app.moderation.text_likenesses import TEXT_LIKENESS_CODES, text_likeness_hits
from app.moderation.verdicts import Decision, Judgement
from app.outbox.models import OutboxMessage, Topic
from app.outbox.service import add_message
from app.settings import settings
from statemachine import GoodRole, GoodStatus

log = structlog.get_logger(__name__)

_SWEEP_BATCH: Final = 200

_HERE: Final = ~Good.deleted & ~Good.taken_down
_IN_REVIEW: Final = (Good.status == GoodStatus.IN_REVIEW) & _HERE
_MAY_HAVE_EDIT: Final = Good.status.in_((GoodStatus.PUBLISHED, GoodStatus.SOLD)) & _HERE


def revision_in_review(good_id: int) -> int | None:
    """The number of the good's revision that waits for its review; None if none does."""
    waits = exists().where(
        GoodRevision.good_id == Good.id,
        GoodRevision.revision == Good.edit_revision,
        GoodRevision.state == RevisionState.IN_REVIEW.value,
    )
    statement = select(Good.status, Good.revision, Good.edit_revision).where(
        Good.id == good_id, or_(_IN_REVIEW, _MAY_HAVE_EDIT & waits)
    )
    row = row_or_none(statement)
    if row is None:
        return None
    return int(row.revision if row.status == GoodStatus.IN_REVIEW else row.edit_revision)


def has_pictures_to_judge(*, good_id: int, revision: int) -> bool:
    """Whether the revision has pictures that the machine has not judged by its present rules."""
    known = exists().where(
        Verdict.content_hash == Picture.sha256,
        Verdict.kind == VerdictKind.PICTURE.value,
        Verdict.rules_version == rules_version_of(VerdictKind.PICTURE),
    )
    edited = exists().where(
        GoodRevision.good_id == good_id,
        GoodRevision.revision == revision,
        Picture.id == any_(GoodRevision.picture_ids),
    )
    unknown = select(Picture.id).where(Picture.good_id == good_id, or_(Picture.position.is_not(None), edited), ~known)
    return row_or_none(unknown.limit(1)) is not None


def check_good(*, good_id: int, revision: int) -> None:
    """Check the texts and pictures of this revision and record a verdict on each.

    What was judged before by the same rules keeps its verdict, that of a person above all. Does nothing if this
    revision is not in review any more. Checking again replaces the earlier verdicts. A check that was begun
    `review_attempts` times (a setting) and never came to its end is left to a person.
    """
    begun = _begin_check(good_id=good_id, revision=revision)
    if begun is None:
        log.info("review_stale", step="check", good_id=good_id, revision=revision)
        return
    content, attempt, seller = begun
    try:
        for subject, content_hash in subjects_of(content).items():
            finding = _kept_finding(content, subject, content_hash)
            if finding is None and attempt > settings().review_attempts:
                log.error("review_given_up", good_id=good_id, revision=revision, subject=subject[1])
                finding = unfinished(content_hash)
            if finding is None:
                finding = judge_subject(content, subject, content_hash=content_hash, seller=seller)
            if not _record(content, subject, finding):
                log.info("review_stale", step="check", good_id=good_id, revision=revision)
                return
    except OSError:
        _uncount_attempt(good_id=good_id, revision=revision)  # the storage is away, and nothing about the good is wrong
        raise


def conclude_good(*, good_id: int, revision: int) -> None:
    """Publish the revision if every check of it passed, refuse it if one failed; otherwise a person decides.

    Does nothing if this revision is not in review any more, or while verdicts are missing: then the sweep requests the
    review again.
    """
    with transaction() as session:
        found = _locked(session, good_id=good_id, revision=revision)
        if found is None:
            log.info("review_stale", step="conclude", good_id=good_id, revision=revision)
            return
        good, row = found
        now = utcnow()
        if good.status == GoodStatus.SOLD and not row.relists:
            set_edit_aside(session, good, now=now)  # the thing itself was sold since
            return
        verdicts = {
            (verdict.kind, verdict.subject): verdict
            for verdict in session.scalars(
                select(Verdict).where(Verdict.good_id == good_id, Verdict.revision == revision)
            )
        }
        subjects = subjects_of(content_of(session, good, row))
        if not subjects.keys() <= verdicts.keys():
            log.warning("review_incomplete", good_id=good_id, revision=revision)
            return
        decided = [verdicts[subject] for subject in subjects]
        _reject_banned_since(session, decided)
        states = {verdict.state for verdict in decided}
        if VerdictState.REJECTED in states:
            outcome = Decision.REJECT
            refused = [verdict for verdict in decided if verdict.state == VerdictState.REJECTED.value]
            refuse(session, good, row, verdicts=refused, role=GoodRole.SYSTEM, now=now)
        elif VerdictState.REVIEW in states:
            outcome = Decision.REVIEW
            kind = CaseKind.RELEASE if row.revision == good.revision else CaseKind.EDIT
            open_case(session, good_id=good.id, revision=revision, kind=kind, now=now)
        else:
            outcome = Decision.PASS
            publish(session, good, row, role=GoodRole.SYSTEM, now=now)
    log.info("review_concluded", good_id=good_id, revision=revision, outcome=outcome.value)


def publish_without_a_look(*, good_id: int, revision: int) -> None:
    """Publish a revision that we made ourselves, for the demo market: nobody needs to look at what we drew.

    Does nothing if this revision is not in review any more.
    """
    with transaction() as session:
        found = _locked(session, good_id=good_id, revision=revision)
        if found is None:
            return
        good, row = found
        for subject, content_hash in subjects_of(content_of(session, good, row)).items():
            record_verdict(
                session,
                good_id=good_id,
                revision=revision,
                subject=subject,
                state=VerdictState.PASSED,
                judgement=Judgement(rules_version_of(subject[0])),
                content_hash=content_hash,
                by_staff=True,
            )
        publish(session, good, row, role=GoodRole.SYSTEM, now=utcnow())


def _reject_banned_since(session: Session, verdicts: Collection[Verdict]) -> None:
    """Reject the pictures that were banned since they were judged: who bans one sees only what is public by then."""
    pictures = [verdict for verdict in verdicts if verdict.kind == VerdictKind.PICTURE.value]
    banned = ban_hits(session, {verdict.content_hash for verdict in pictures})
    for verdict in pictures:
        hit = banned.get(verdict.content_hash)
        if hit is not None and verdict.state != VerdictState.REJECTED.value:
            verdict.state, verdict.passed, verdict.by_staff = VerdictState.REJECTED.value, False, False
            verdict.reasons, verdict.hits = [hit.reason], [*verdict.hits, dict(hit_out(hit))]


# --- steps of a check ---


def _begin_check(*, good_id: int, revision: int) -> tuple[Content, int, SellerHistory] | None:
    """What is to be judged, which attempt this is, and what is known of the seller; None if nothing is in review."""
    with transaction() as session:
        found = _locked(session, good_id=good_id, revision=revision)
        if found is None:
            return None
        good, row = found
        row.attempts += 1
        return content_of(session, good, row), row.attempts, seller_history(session, good.owner_id)


def _uncount_attempt(*, good_id: int, revision: int) -> None:
    with transaction() as session:
        which = (GoodRevision.good_id == good_id) & (GoodRevision.revision == revision) & (GoodRevision.attempts > 0)
        session.execute(
            update(GoodRevision).where(which).values(attempts=GoodRevision.attempts - 1),
            execution_options={"synchronize_session": False},
        )


def _locked(session: Session, *, good_id: int, revision: int) -> tuple[Good, GoodRevision] | None:
    """The good, locked, and this revision of it, if that is still in review."""
    statement = select(Good).where(
        Good.id == good_id,
        or_(_IN_REVIEW & (Good.revision == revision), _MAY_HAVE_EDIT & (Good.edit_revision == revision)),
    )
    good = session.scalars(
        statement.with_for_update(key_share=True).execution_options(populate_existing=True)
    ).one_or_none()
    if good is None:
        return None
    if good.revision == revision:
        return good, known_revision(session, good, revision)
    row = revision_of(session, good, revision)
    return None if row is None or row.state != RevisionState.IN_REVIEW.value else (good, row)


def content_of(session: Session, good: Good, row: GoodRevision) -> Content:
    """The revision as it is judged: from the good's row where that holds it."""
    source: Good | GoodRevision = good if row.revision == good.revision else row
    pictures = select(Picture.id, Picture.sha256, Picture.width, Picture.height).where(Picture.good_id == good.id)
    if source is good:
        pictures = pictures.where(Picture.position.is_not(None)).order_by(Picture.position)
    else:
        pictures = pictures.where(Picture.id.in_(row.picture_ids)).order_by(
            func.array_position(row.picture_ids, Picture.id)
        )
    return Content(
        good_id=good.id,
        revision=row.revision,
        owner_id=good.owner_id,
        title=source.title,
        description=source.description,
        price=source.price,
        category=source.category,
        pictures=tuple(StoredPicture(*found) for found in session.execute(pictures)),
    )


def _kept_finding(content: Content, subject: Subject, content_hash: str) -> Finding | None:
    """An earlier verdict on the same by the same rules: on this good's, a person's first; or on any good's picture."""
    kind, _ = subject
    same = (
        (Verdict.kind == kind.value)
        & (Verdict.content_hash == content_hash)
        & (Verdict.rules_version == rules_version_of(kind))
    )
    of_good = Verdict.good_id == content.good_id
    if kind is VerdictKind.TEXT:
        same &= of_good & (Verdict.subject == subject[1])
    else:
        same &= of_good | ~Verdict.by_staff
    # Of one judged twice by the same rules the later verdict counts, wherever that may have come from.
    best = (
        select(Verdict)
        .where(same)
        .order_by(of_good.desc(), Verdict.by_staff.desc(), Verdict.revision.desc(), Verdict.id.desc())
    )
    with transaction() as session:
        found = session.scalars(best.limit(1)).one_or_none()
        if found is None:
            return None
        hits = tuple(hit_of(each) for each in found.hits if each["code"] not in LIKENESS_CODES | TEXT_LIKENESS_CODES)
        judgement = Judgement(found.rules_version, hits)
        by_staff = found.by_staff and found.good_id == content.good_id
        state = VerdictState(found.state) if by_staff else STATE_OF[judgement.decision]
        return Finding(content_hash, judgement, state, by_staff=by_staff, is_kept=True)


def _record(content: Content, subject: Subject, finding: Finding) -> bool:
    """Record a verdict; False if the revision is not in review any more."""
    kind, name = subject
    with transaction() as session:
        if finding.fingerprint is not None:
            remember_fingerprint(session, sha256=finding.content_hash, fingerprint=finding.fingerprint)
        if _locked(session, good_id=content.good_id, revision=content.revision) is None:
            return False
        hits, state = finding.judgement.hits, finding.state
        if kind is VerdictKind.PICTURE:
            likenesses = likeness_hits(session, sha256=finding.content_hash, owner_id=content.owner_id)
            hits += likenesses
            # A person who let the picture pass saw what it is like; but a banned one is banned since.
            wanted = [hit.policy for hit in likenesses if not finding.by_staff or hit.policy is Decision.REJECT]
            worst = Judgement("", tuple(hit for hit in likenesses if hit.policy in wanted)).decision
            state = max(state, STATE_OF[worst], key=list(VerdictState).index)
        elif subject == DESCRIPTION and not finding.by_staff:
            likenesses = text_likeness_hits(
                session,
                good_id=content.good_id,
                revision=content.revision,
                owner_id=content.owner_id,
                description=content.description,
            )
            hits += likenesses
            state = max(state, STATE_OF[Judgement("", likenesses).decision], key=list(VerdictState).index)
        record_verdict(
            session,
            good_id=content.good_id,
            revision=content.revision,
            subject=(kind, name),
            state=state,
            judgement=Judgement(finding.judgement.rules_version, hits),
            content_hash=finding.content_hash,
            by_staff=finding.by_staff and state is finding.state,
        )
        if not finding.is_kept:
            count_verdicts(session, Stage(kind.value), {state: 1}, milliseconds=finding.milliseconds)
        return True


def record_verdict(
    session: Session,
    *,
    good_id: int,
    revision: int,
    subject: Subject,
    state: VerdictState,
    judgement: Judgement,
    content_hash: str,
    by_staff: bool,
) -> None:
    """Write one verdict, over an earlier one of the same revision and subject."""
    kind, name = subject
    reasons = [hit.reason for hit in judgement.hits if hit.policy is not Decision.PASS]
    values: dict[str, Any] = {
        "passed": state is VerdictState.PASSED,
        "state": state.value,
        "reasons": [] if state is VerdictState.PASSED else list(dict.fromkeys(reasons)),
        "hits": [hit_out(hit) for hit in judgement.hits],
        "rules_version": judgement.rules_version,
        "content_hash": content_hash,
        "by_staff": by_staff,
        "created_at": utcnow(),
    }
    key = {"good_id": good_id, "revision": revision, "kind": kind.value, "subject": name}
    session.execute(
        upsert(Verdict).values(**key, **values).on_conflict_do_update(index_elements=list(key), set_=values)
    )


def count_verdicts(
    session: Session, stage: Stage, counts: Mapping[VerdictState, int], *, milliseconds: int = 0
) -> None:
    """Add to the totals for metrics, last in the transaction: everybody who counts the same waits for it."""
    for outcome, count in sorted(counts.items()):
        statement = upsert(ModerationTotal).values(
            stage=stage.value, outcome=outcome.value, verdicts=count, milliseconds=milliseconds, since=utcnow()
        )
        more = {
            name: ModerationTotal.__table__.c[name] + statement.excluded[name] for name in ("verdicts", "milliseconds")
        }
        session.execute(statement.on_conflict_do_update(index_elements=["stage", "outcome"], set_=more))


# --- the sweep ---


def _waits_for_a_person(revision: Any) -> ColumnElement[bool]:
    return exists().where(
        ReviewCase.good_id == Good.id, ReviewCase.revision == revision, ReviewCase.closed_at.is_(None)
    )


def request_stale_reviews() -> int:
    """Request reviews again without progress for `review_sweep_after` seconds (a setting); returns how many.

    Goods whose message still waits for the relay are skipped, those that wait for a person, and those that an earlier
    sweep requested within that time. Several sweeps may run at the same time.
    """
    cutoff = utcnow() - timedelta(seconds=settings().review_sweep_after)
    never_seen = (_IN_REVIEW, Good.updated_at < cutoff, ~_waits_for_a_person(Good.revision))
    edited = (
        Good.edit_revision.is_not(None),
        _MAY_HAVE_EDIT,
        exists().where(
            GoodRevision.good_id == Good.id,
            GoodRevision.revision == Good.edit_revision,
            GoodRevision.state == RevisionState.IN_REVIEW.value,
            GoodRevision.submitted_at < cutoff,
        ),
        ~_waits_for_a_person(Good.edit_revision),
    )
    total = 0
    for stale in (never_seen, edited):
        while requested := _request_some_stale_reviews(stale):
            total += requested
            if requested < _SWEEP_BATCH:
                break
    if total:
        log.warning("stale_reviews_requested", goods=total)
    return total


def _request_some_stale_reviews(stale: Collection[ColumnElement[bool]]) -> int:
    now = utcnow()
    cutoff = now - timedelta(seconds=settings().review_sweep_after)
    waiting = select(OutboxMessage.id).where(
        OutboxMessage.topic == Topic.GOOD_VERIFICATION.value, OutboxMessage.subject_id == Good.id
    )
    lost = (
        select(Good.id)
        .where(
            *stale,
            or_(Good.review_requested_at.is_(None), Good.review_requested_at < cutoff),
            ~waiting.exists(),
        )
        .order_by(Good.updated_at)
        .limit(_SWEEP_BATCH)
        .with_for_update(skip_locked=True)
    )
    with transaction() as session:
        good_ids = list(session.scalars(lost))
        if good_ids:
            session.execute(
                update(Good).where(Good.id.in_(good_ids)).values(review_requested_at=now),
                execution_options={"synchronize_session": False},
            )
        for good_id in good_ids:
            add_message(session, Topic.GOOD_VERIFICATION, good_id)
    return len(good_ids)
