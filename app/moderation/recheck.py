"""Checks the texts and pictures of public goods again, after the rules changed: what does not pass a person looks at.

Texts are checked in any case. A picture costs a thousand times as much, so only those are looked at whose verdict was
made by other rules; one that passes is recorded as passed by the present ones, so that a recheck that was broken off,
or is repeated, goes on where it was.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import structlog
from sqlalchemy import Row, Select, exists, func, select
from sqlalchemy.orm import Session

from app.categories import Category as GoodCategory
from app.clock import utcnow
from app.db.transactions import rows, transaction
from app.goods.models import CaseKind, Good, Picture, Verdict, VerdictKind, VerdictState
from app.goods.queries import PUBLIC_STATUSES
from app.goods.revisions import known_revision
from app.goods.storage import picture_storage
from app.moderation.checks import (
    DESCRIPTION,
    STATE_OF,
    TITLE,
    Content,
    Subject,
    judge_subject,
    picture_subject,
    rules_version_of,
    subjects_of,
)
from app.moderation.decisions import open_case
from app.moderation.likenesses import remember_fingerprint
from app.moderation.pic_verify import StoredPicture
from app.moderation.service import record_verdict
from app.moderation.text import SellerHistory, TextContext, TextKind, check_texts
from app.moderation.verdicts import Category, Decision, Judgement
from app.vision import is_installed

log = structlog.get_logger(__name__)

_BATCH: Final = 500

_PUBLIC: Final = Good.status.in_(PUBLIC_STATUSES) & ~Good.deleted & ~Good.taken_down


@dataclass(frozen=True, slots=True)
class RecheckReport:
    """How many goods were checked, how many do not pass, and for how many of them a person was asked.

    `looked_at` counts the pictures that were looked at; it is None where nothing is installed that looks. `missing`
    counts those whose files are not in the storage.
    """

    checked: int
    stopped: int
    opened: int
    looked_at: int | None
    missing: int


class _Found(NamedTuple):
    """What of a good does not pass."""

    good: Row[Any]
    judgements: dict[Subject, Judgement]


def recheck_goods(
    *,
    since: datetime,
    kinds: Collection[Category] = (),
    of_goods: Collection[GoodCategory] = (),
    dry_run: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> RecheckReport:
    """Check the public goods that were published since then; hits of `kinds` count only, all where there are none.

    Each good that does not pass becomes a case of the review queue, with its new verdicts; it stays public meanwhile.
    What a person let pass stays passed. A picture without its file is left out: this may run where the storage is not,
    and nothing is wrong with the goods then. `progress` gets the number of goods done and of all. Raises OSError where
    the storage of pictures is out of order.
    """
    which = _PUBLIC & (Good.published_at >= since)
    if of_goods:
        which &= Good.category.in_([int(category) for category in of_goods])
    total = int(rows(select(func.count()).select_from(Good).where(which))[0][0])
    checked = stopped = opened = looked_at = missing = 0
    storage = picture_storage()
    last_id = 0
    progress(0, total)
    while batch := rows(_batch(which, last_id)):
        last_id = batch[-1].id
        stopped_texts = _stopped_texts(batch, kinds)
        pictures = _pictures_to_look_at(batch) if is_installed() else {}
        for good in batch:
            judgements = stopped_texts.get(good.id, {})
            for picture in pictures.get(good.id, ()):
                if not storage.exists(picture.sha256):
                    missing += 1
                    log.warning("picture_file_missing", good_id=good.id, picture_id=picture.id)
                    continue
                looked_at += 1
                judgements |= _stopped_picture(good, picture, kinds, dry_run=dry_run)
            if judgements:
                stopped += 1
                opened += not dry_run and _ask_somebody(_Found(good, judgements), pictures.get(good.id, ()))
            checked += 1
            progress(checked, max(checked, total))
    log.info(
        "goods_rechecked",
        checked=checked,
        stopped=stopped,
        opened=opened,
        pictures=looked_at,
        missing=missing,
        dry_run=dry_run,
    )
    return RecheckReport(checked, stopped, opened, looked_at if is_installed() else None, missing)


def _batch(which: Any, last_id: int) -> Select[*tuple[Any, ...]]:
    columns = (Good.id, Good.revision, Good.owner_id, Good.title, Good.description, Good.category, Good.price)
    return select(*columns).where(which, Good.id > last_id).order_by(Good.id).limit(_BATCH)


def _stopped_texts(batch: Sequence[Row[Any]], kinds: Collection[Category]) -> dict[int, dict[Subject, Judgement]]:
    subjects = [(good, subject) for good in batch for subject in (TITLE, DESCRIPTION)]
    judgements = check_texts([_text_of(good, subject) for good, subject in subjects])
    by_good: dict[int, dict[Subject, Judgement]] = {}
    for (good, subject), judgement in zip(subjects, judgements, strict=True):
        counted = _counted(judgement, kinds)
        if counted.decision is not Decision.PASS:
            by_good.setdefault(good.id, {})[subject] = counted
    return by_good


def _counted(judgement: Judgement, kinds: Collection[Category]) -> Judgement:
    hits = tuple(hit for hit in judgement.hits if not kinds or hit.category in kinds)
    return Judgement(judgement.rules_version, hits)


def _pictures_to_look_at(batch: Sequence[Row[Any]]) -> dict[int, list[StoredPicture]]:
    """The public pictures of these goods that nobody has let pass and the present rules have not judged, by good."""
    is_judged = exists().where(
        Verdict.good_id == Picture.good_id,
        Verdict.kind == VerdictKind.PICTURE.value,
        Verdict.content_hash == Picture.sha256,
        (Verdict.rules_version == rules_version_of(VerdictKind.PICTURE)) | (Verdict.by_staff & Verdict.passed),
    )
    statement = (
        select(Picture.good_id, Picture.id, Picture.sha256, Picture.width, Picture.height)
        .where(Picture.good_id.in_([good.id for good in batch]), Picture.position.is_not(None), ~is_judged)
        .order_by(Picture.good_id, Picture.position)
    )
    by_good: dict[int, list[StoredPicture]] = {}
    for row in rows(statement):
        by_good.setdefault(row.good_id, []).append(StoredPicture(row.id, row.sha256, row.width, row.height))
    return by_good


def _stopped_picture(
    good: Row[Any], picture: StoredPicture, kinds: Collection[Category], *, dry_run: bool
) -> dict[Subject, Judgement]:
    """The picture's judgement, if it does not pass. That it passes by the present rules is recorded, unless a person
    has said so meanwhile.

    It is the whole one, not only the hits that count: the verdict holds for other goods with the same picture, too.
    """
    subject = picture_subject(picture.id)
    content = _content(good, (picture,))
    finding = judge_subject(content, subject, content_hash=picture.sha256, seller=SellerHistory())
    if not dry_run:
        with transaction() as session:
            if finding.fingerprint is not None:
                remember_fingerprint(session, sha256=picture.sha256, fingerprint=finding.fingerprint)
            is_passed = finding.state is VerdictState.PASSED and _locked(session, good) is not None
            if is_passed and subject[1] not in _passed_by_staff(session, good):
                _record(session, good, subject, finding.judgement, content_hash=picture.sha256)
    return {} if _counted(finding.judgement, kinds).decision is Decision.PASS else {subject: finding.judgement}


def _text_of(good: Row[Any], subject: Subject) -> tuple[str, TextContext]:
    kind = TextKind.TITLE if subject == TITLE else TextKind.DESCRIPTION
    text = good.title if subject == TITLE else good.description
    return text, TextContext(kind=kind, category=GoodCategory(good.category), price=good.price)


def _ask_somebody(found: _Found, pictures: Sequence[StoredPicture]) -> bool:
    """Record the verdicts and open a case, if the good is still what was checked and nobody has passed it."""
    row = found.good
    with transaction() as session:
        good = _locked(session, row)
        if good is None:
            return False
        known_revision(session, good, good.revision)
        hashes = subjects_of(_content(row, pictures))
        passed = _passed_by_staff(session, row)
        asked = {subject: judgement for subject, judgement in found.judgements.items() if subject[1] not in passed}
        if not asked or not open_case(
            session, good_id=good.id, revision=good.revision, kind=CaseKind.RECHECK, now=utcnow()
        ):
            return False
        for subject, judgement in asked.items():
            _record(session, row, subject, judgement, content_hash=hashes[subject])
        return True


def _locked(session: Session, row: Row[Any]) -> Good | None:
    """The good, locked, if it is still what was checked."""
    statement = select(Good).where(Good.id == row.id, Good.revision == row.revision, _PUBLIC)
    return session.scalars(statement.with_for_update(key_share=True)).one_or_none()


def _record(session: Session, row: Row[Any], subject: Subject, judgement: Judgement, *, content_hash: str) -> None:
    record_verdict(
        session,
        good_id=row.id,
        revision=row.revision,
        subject=subject,
        state=STATE_OF[judgement.decision],
        judgement=judgement,
        content_hash=content_hash,
        by_staff=False,
    )


def _content(row: Row[Any], pictures: Sequence[StoredPicture]) -> Content:
    return Content(
        good_id=row.id,
        revision=row.revision,
        owner_id=row.owner_id,
        title=row.title,
        description=row.description,
        price=row.price,
        category=row.category,
        pictures=tuple(pictures),
    )


def _passed_by_staff(session: Session, row: Row[Any]) -> set[str]:
    statement = select(Verdict.subject).where(
        Verdict.good_id == row.id,
        Verdict.revision == row.revision,
        Verdict.by_staff,
        Verdict.passed,
    )
    return set(session.scalars(statement))
