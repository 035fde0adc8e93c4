"""Revisions of goods: an edit of what is public stands beside it until it is approved, and then takes its place.

All of this happens to locked goods, in the caller's transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from sqlalchemy import ColumnElement, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.goods.models import (
    Appeal,
    AppealState,
    CaseKind,
    Good,
    GoodRevision,
    Picture,
    ReviewCase,
    RevisionState,
    Verdict,
)
from app.goods.schemas import GoodFields
from app.outbox.models import Topic
from app.outbox.service import add_message
from statemachine import GoodEvent, GoodRole, GoodStatus, good_flow

CONTENT: Final = tuple(GoodFields.__annotations__)
"""The names of the columns that an owner fills, of goods and of their revisions."""

NEVER_PUBLIC: Final = frozenset({GoodStatus.IN_REVIEW, GoodStatus.REJECTED})
"""The statuses of goods whose rows hold what nobody but owner and staff has seen."""

AT_ONCE: Final = frozenset({"price", "freight"})
"""What an owner may change without a new look at words and pictures, the price within `PRICE_RANGE`."""

PRICE_RANGE: Final = 10
"""The price may become so many times as high or as low as it was when the words were looked at."""

_WITHOUT_OBJECTS: Final = {"synchronize_session": False}


@dataclass(frozen=True, slots=True)
class Form:
    """What an owner has filled in: the columns, and the ids of the pictures in their order."""

    fields: GoodFields
    pictures: tuple[int, ...]

    def differs_in(self, other: "Form") -> set[str]:
        """The names of the columns that differ, and `pictures` where these do."""
        theirs = cast("dict[str, object]", other.fields)
        names = {name for name, value in self.fields.items() if value != theirs[name]}
        return names if self.pictures == other.pictures else names | {"pictures"}


def form_of(session: Session, good: Good) -> Form:
    """What the good's row holds."""
    shown = select(Picture.id).where(Picture.good_id == good.id, Picture.position.is_not(None))
    return Form(_content(good), tuple(session.scalars(shown.order_by(Picture.position))))


def edit_of(session: Session, good: Good) -> GoodRevision | None:
    """The edit that stands beside the good, in review or refused."""
    return None if good.edit_revision is None else revision_of(session, good, good.edit_revision)


def revision_of(session: Session, good: Good, revision: int) -> GoodRevision | None:
    """The revision of that number, as it is now."""
    statement = select(GoodRevision).where(GoodRevision.good_id == good.id, GoodRevision.revision == revision)
    return session.scalars(statement.execution_options(populate_existing=True)).one_or_none()


def form_of_edit(edit: GoodRevision) -> Form:
    """What the edit holds."""
    return Form(_content(edit), tuple(edit.picture_ids))


def _content(row: Good | GoodRevision) -> GoodFields:
    return cast("GoodFields", {name: getattr(row, name) for name in CONTENT})


def next_number(session: Session, good: Good) -> int:
    """The number of the next revision: no number is used twice."""
    highest = session.scalar(select(func.max(GoodRevision.revision)).where(GoodRevision.good_id == good.id))
    return max(good.revision, good.edit_revision or 0, highest or 0) + 1


def keep_revision(
    session: Session, good: Good, number: int, form: Form, *, state: RevisionState, now: datetime, relists: bool = False
) -> None:
    """Write the revision down; where there is one of this number already, nothing is changed."""
    values = {
        "good_id": good.id,
        "revision": number,
        **form.fields,
        "picture_ids": list(form.pictures),
        "relists": relists,
        "state": state.value,
        "submitted_at": now,
        "decided_at": None if state is RevisionState.IN_REVIEW else now,
    }
    session.execute(upsert(GoodRevision).values(**values).on_conflict_do_nothing())


def known_revision(session: Session, good: Good, number: int) -> GoodRevision:
    """The revision of that number; one of the good's own row is written down where that was not done."""
    known = revision_of(session, good, number)
    if known is None:
        state = RevisionState.IN_REVIEW if good.status == GoodStatus.IN_REVIEW else RevisionState.APPROVED
        state = RevisionState.REJECTED if good.status == GoodStatus.REJECTED else state
        keep_revision(session, good, number, form_of(session, good), state=state, now=good.updated_at)
        known = revision_of(session, good, number)
        assert known is not None  # noqa: S101 - written just now, under the good's lock
    return known


def price_needs_no_look(good: Good, price: int) -> bool:
    """Whether the price is within the range of the one at which the good's words were looked at."""
    reviewed = good.price if good.reviewed_price is None else good.reviewed_price
    return reviewed <= price * PRICE_RANGE and price <= reviewed * PRICE_RANGE


def set_edit_aside(session: Session, good: Good, *, now: datetime, keep: Sequence[int] = ()) -> None:
    """Let no edit stand beside the good; pictures that only it had go, but for those of `keep`."""
    if good.edit_revision is None:
        return
    edit = edit_of(session, good)
    if edit is not None:
        if edit.state == RevisionState.IN_REVIEW.value:
            edit.state, edit.decided_at = RevisionState.SUPERSEDED.value, now
        only_its = update(Picture).where(
            Picture.good_id == good.id,
            Picture.id.in_([each for each in edit.picture_ids if each not in keep]),
            Picture.position.is_(None),
            Picture.detached_at.is_(None),
        )
        session.execute(only_its.values(detached_at=now), execution_options=_WITHOUT_OBJECTS)
        close_cases(session, good, edit.revision, now=now)
    good.edit_revision = None


def supersede(session: Session, good: Good, *, now: datetime) -> None:
    """Let the revision in the good's row, which waits for its review, wait no more: another takes its place."""
    waiting = update(GoodRevision).where(
        GoodRevision.good_id == good.id,
        GoodRevision.revision == good.revision,
        GoodRevision.state == RevisionState.IN_REVIEW.value,
    )
    session.execute(
        waiting.values(state=RevisionState.SUPERSEDED.value, decided_at=now), execution_options=_WITHOUT_OBJECTS
    )
    close_cases(session, good, good.revision, now=now)


def close_cases(session: Session, good: Good, revision: int, *, now: datetime) -> None:
    """Nobody needs to look at this revision any more; an appeal that nobody has decided is void."""
    is_open = update(ReviewCase).where(
        ReviewCase.good_id == good.id, ReviewCase.revision == revision, ReviewCase.closed_at.is_(None)
    )
    session.execute(
        is_open.values(closed_at=now, claimed_by=None, claimed_until=None), execution_options=_WITHOUT_OBJECTS
    )
    undecided = update(Appeal).where(
        Appeal.good_id == good.id, Appeal.revision == revision, Appeal.state == AppealState.OPEN.value
    )
    session.execute(undecided.values(state=AppealState.VOID.value, decided_at=now), execution_options=_WITHOUT_OBJECTS)


OF_WHAT_IS_PUBLIC: Final = (CaseKind.REPORT, CaseKind.RECHECK)
"""The cases about what everybody sees."""


def end_cases(
    session: Session, good: Good, *kinds: CaseKind, decision: str, actor_id: int | None, now: datetime
) -> None:
    """Close the open cases of these kinds about the good's row: somebody of staff has decided them by another way."""
    is_open = update(ReviewCase).where(
        ReviewCase.good_id == good.id,
        ReviewCase.revision == good.revision,
        ReviewCase.kind.in_([kind.value for kind in kinds]),
        ReviewCase.closed_at.is_(None),
    )
    session.execute(
        is_open.values(closed_at=now, decision=decision, decided_by=actor_id, claimed_by=None, claimed_until=None),
        execution_options=_WITHOUT_OBJECTS,
    )


def grant_appeal(session: Session, good: Good, *, answer: str, now: datetime) -> None:
    """Grant the appeal that is open about the good's row, if there is one; its owner reads the answer."""
    undecided = update(Appeal).where(
        Appeal.good_id == good.id, Appeal.revision == good.revision, Appeal.state == AppealState.OPEN.value
    )
    session.execute(
        undecided.values(state=AppealState.GRANTED.value, answer=answer, decided_at=now),
        execution_options=_WITHOUT_OBJECTS,
    )


def _move_cases(session: Session, good: Good, number: int, *which: ColumnElement[bool]) -> None:
    """Let the open cases of the good's row be of the revision of that number."""
    is_open = update(ReviewCase).where(
        ReviewCase.good_id == good.id, ReviewCase.revision == good.revision, ReviewCase.closed_at.is_(None), *which
    )
    session.execute(is_open.values(revision=number), execution_options=_WITHOUT_OBJECTS)


def change_at_once(session: Session, good: Good, number: int, form: Form, *, now: datetime) -> None:
    """Let the good show another price or freight, without a look: its verdicts are those of the revision before.

    A sold good is for sale again with it.
    """
    if good.reviewed_price is None:
        good.reviewed_price = good.price
    _copy_verdicts(session, good, number)
    good.price, good.freight = form.fields["price"], form.fields["freight"]
    if good.status == GoodStatus.SOLD:
        good.published_at = now
    good_flow.fire(good, GoodEvent.PUBLISH_EDIT, GoodRole.SYSTEM)
    # What waits to be looked at is still to be looked at, at whatever price.
    _move_cases(session, good, number)
    good.revision, good.updated_at = number, now
    keep_revision(session, good, number, form, state=RevisionState.APPROVED, now=now)
    add_message(session, Topic.SEARCH_INDEX, good.id)


def publish(session: Session, good: Good, row: GoodRevision, *, role: GoodRole, now: datetime) -> None:
    """Let everybody see this revision: that of the good's row, or the edit beside it, which takes the row's place."""
    close_cases(session, good, row.revision, now=now)
    if row.revision == good.revision:
        good_flow.fire(good, GoodEvent.APPROVE, role)
    else:
        good_flow.fire(good, GoodEvent.PUBLISH_EDIT, role)
        # What users reported is of the good, not of its words alone; a check of the former words is for nothing.
        _move_cases(session, good, row.revision, ReviewCase.kind == CaseKind.REPORT.value)
        close_cases(session, good, good.revision, now=now)
        for name, value in _content(row).items():
            setattr(good, name, value)
        show_pictures(session, good, row.picture_ids, now=now)
        good.revision, good.edit_revision = row.revision, None
    good.reviewed_price = row.price
    good.published_at = good.updated_at = now
    row.state, row.decided_at = RevisionState.APPROVED.value, now
    add_message(session, Topic.SEARCH_INDEX, good.id)


def show_pictures(session: Session, good: Good, picture_ids: Sequence[int], *, now: datetime) -> None:
    """Let the good show these of its pictures, in this order; it shows no others any more."""
    places = {picture_id: place for place, picture_id in enumerate(picture_ids)}
    session.flush()
    for picture in session.scalars(select(Picture).where(Picture.good_id == good.id)):
        if picture.id in places:
            picture.position, picture.detached_at = places[picture.id], None
        elif picture.position is not None:
            picture.position, picture.detached_at = None, now


def _copy_verdicts(session: Session, good: Good, number: int) -> None:
    """Let the verdicts on the good's row hold for the revision of that number."""
    columns = [column for column in Verdict.__table__.c if column.name not in ("id", "revision")]
    of_row = (Verdict.good_id == good.id) & (Verdict.revision == good.revision)
    known = select(*columns, literal(number)).where(of_row).order_by(Verdict.id)
    names = [*(column.name for column in columns), "revision"]
    session.execute(upsert(Verdict).from_select(names, known).on_conflict_do_nothing())
