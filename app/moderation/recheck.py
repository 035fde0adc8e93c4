"""Checks the texts of public goods again, after the rules changed: what does not pass now a person looks at."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import structlog
from sqlalchemy import Row, Select, func, select
from sqlalchemy.orm import Session

from app.categories import Category as GoodCategory
from app.clock import utcnow
from app.db.transactions import rows, transaction
from app.goods.models import CaseKind, Good, Verdict, VerdictKind
from app.goods.queries import PUBLIC_STATUSES
from app.goods.revisions import known_revision
from app.moderation.checks import DESCRIPTION, STATE_OF, TITLE, Content, Subject, subjects_of
from app.moderation.decisions import open_case
from app.moderation.service import record_verdict
from app.moderation.text import TextContext, TextKind, check_texts
from app.moderation.verdicts import Category, Decision, Judgement

log = structlog.get_logger(__name__)

_BATCH: Final = 500

_PUBLIC: Final = Good.status.in_(PUBLIC_STATUSES) & ~Good.deleted & ~Good.taken_down


@dataclass(frozen=True, slots=True)
class RecheckReport:
    """How many goods were checked, how many do not pass, and for how many of them a person was asked."""

    checked: int
    stopped: int
    opened: int


class _Found(NamedTuple):
    """The texts of a good that do not pass."""

    good: Row[Any]
    judgements: dict[Subject, Judgement]


def recheck_texts(
    *,
    since: datetime,
    kinds: Collection[Category] = (),
    of_goods: Collection[GoodCategory] = (),
    dry_run: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> RecheckReport:
    """Check the public goods that were published since then; hits of `kinds` count only, all where there are none.

    Each good that does not pass becomes a case of the review queue, with its new verdicts; it stays public meanwhile.
    Texts that a person let pass stay passed. `progress` gets the number of goods done and of all.
    """
    which = _PUBLIC & (Good.published_at >= since)
    if of_goods:
        which &= Good.category.in_([int(category) for category in of_goods])
    total = int(rows(select(func.count()).select_from(Good).where(which))[0][0])
    checked = stopped = opened = 0
    last_id = 0
    progress(0, total)
    while batch := rows(_batch(which, last_id)):
        last_id = batch[-1].id
        for found in _stopped(batch, kinds):
            stopped += 1
            opened += not dry_run and _ask_somebody(found)
        checked += len(batch)
        progress(checked, max(checked, total))
    log.info("goods_rechecked", checked=checked, stopped=stopped, opened=opened, dry_run=dry_run)
    return RecheckReport(checked, stopped, opened)


def _batch(which: Any, last_id: int) -> Select[*tuple[Any, ...]]:
    columns = (Good.id, Good.revision, Good.owner_id, Good.title, Good.description, Good.category, Good.price)
    return select(*columns).where(which, Good.id > last_id).order_by(Good.id).limit(_BATCH)


def _stopped(batch: Sequence[Row[Any]], kinds: Collection[Category]) -> list[_Found]:
    subjects = [(good, subject) for good in batch for subject in (TITLE, DESCRIPTION)]
    judgements = check_texts([_text_of(good, subject) for good, subject in subjects])
    by_good: dict[int, _Found] = {}
    for (good, subject), judgement in zip(subjects, judgements, strict=True):
        hits = tuple(hit for hit in judgement.hits if not kinds or hit.category in kinds)
        counted = Judgement(judgement.rules_version, hits)
        if counted.decision is not Decision.PASS:
            by_good.setdefault(good.id, _Found(good, {})).judgements[subject] = counted
    return list(by_good.values())


def _text_of(good: Row[Any], subject: Subject) -> tuple[str, TextContext]:
    kind = TextKind.TITLE if subject == TITLE else TextKind.DESCRIPTION
    text = good.title if subject == TITLE else good.description
    return text, TextContext(kind=kind, category=GoodCategory(good.category), price=good.price)


def _ask_somebody(found: _Found) -> bool:
    """Record the verdicts and open a case, if the good is still what was checked and nobody has passed it."""
    row = found.good
    with transaction() as session:
        statement = select(Good).where(Good.id == row.id, Good.revision == row.revision, _PUBLIC)
        good = session.scalars(statement.with_for_update(key_share=True)).one_or_none()
        if good is None:
            return False
        known_revision(session, good, good.revision)
        hashes = subjects_of(_content(row))
        passed = _passed_by_staff(session, row)
        asked = {subject: judgement for subject, judgement in found.judgements.items() if subject[1] not in passed}
        if not asked or not open_case(
            session, good_id=good.id, revision=good.revision, kind=CaseKind.RECHECK, now=utcnow()
        ):
            return False
        for subject, judgement in asked.items():
            record_verdict(
                session,
                good_id=good.id,
                revision=good.revision,
                subject=subject,
                state=STATE_OF[judgement.decision],
                judgement=judgement,
                content_hash=hashes[subject],
                by_staff=False,
            )
        return True


def _content(row: Row[Any]) -> Content:
    return Content(
        good_id=row.id,
        revision=row.revision,
        owner_id=row.owner_id,
        title=row.title,
        description=row.description,
        price=row.price,
        category=row.category,
        pictures=(),
    )


def _passed_by_staff(session: Session, row: Row[Any]) -> set[str]:
    statement = select(Verdict.subject).where(
        Verdict.good_id == row.id,
        Verdict.revision == row.revision,
        Verdict.kind == VerdictKind.TEXT.value,
        Verdict.by_staff,
        Verdict.passed,
    )
    return set(session.scalars(statement))
