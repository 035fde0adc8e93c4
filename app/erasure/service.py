"""Erase the words of an order, or of a user: in its history, and everywhere they were copied to.

What is erased is told from lines of histories (`order_events`): the words of a line are also those of the refund
request or dispute that it made or ended, of the staff action behind it, and of the notification about it. The lines
stay, with their hashes; who erased the words and why is recorded where they were. Answers that are kept for an
`Idempotency-Key` go by themselves, within a day.
"""

from collections.abc import Collection
from typing import Any, Final

import structlog
from sqlalchemy import ColumnElement, Row, and_, case, exists, or_, select, update
from sqlalchemy.orm import Session

from app.db.erasable_texts import ERASED, erase_texts
from app.db.transactions import transaction
from app.notifications.models import Notification
from app.orders.history import NoSuchOrder, export, verify
from app.orders.models import Dispute, Order, OrderEventRecord, RefundRequest
from app.staff.models import StaffAction, Subject
from statemachine import Role

log = structlog.get_logger(__name__)

_PARTIES: Final = {Role.BUYER: Order.buyer_id, Role.SELLER: Order.seller_id}


class HistoryBroken(Exception):  # noqa: N818 - it says what happened
    """The order's history is not whole; without its words less of that could be shown. `problems` are its problems."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


class NoSuchLine(Exception):  # noqa: N818 - it says what happened
    """The order's history has no line of this number."""


def erase_order_words(
    *, order_no: str, lines: Collection[int] = (), by: str, why: str, although_broken: bool = False
) -> list[int]:
    """Erase the words of an order, or only those of the `lines` given; returns the lines that had some.

    With the whole order go the statements of its disputes. Raises NoSuchOrder, NoSuchLine; and HistoryBroken where the
    history is not whole, unless `although_broken`.
    """
    with transaction() as session:
        order_id = session.scalar(select(Order.id).where(Order.order_no == order_no).with_for_update())
        if order_id is None:
            raise NoSuchOrder(order_no)
        problems = verify(export(order_no))
        if problems and not although_broken:
            raise HistoryBroken(problems)
        wanted = [OrderEventRecord.order_id == order_id]
        if lines:
            wanted.append(OrderEventRecord.sequence.in_(lines))
        events = _events(session, *wanted)
        missing = set(lines) - {each.sequence for each in events}
        if missing:
            raise NoSuchLine(", ".join(map(str, sorted(missing))))
        _erase(session, events, by=by, why=why)
        if not lines:
            _erase_statements(session, Dispute.order_id == order_id, role=None)
    erased = [each.sequence for each in events if each.note_digest is not None]
    log.info("words_erased", order_no=order_no, lines=erased, by=by)
    return erased


def erase_words_of_user(session: Session, *, user_id: int, by: str, why: str) -> None:
    """Erase what the user wrote as buyer or seller, in every order, in the caller's transaction; for a deleted account.

    What they decided as staff stays: it is no word about themselves, and both sides may ask for it.
    """
    events = _events(
        session, OrderEventRecord.actor_id == user_id, OrderEventRecord.role.in_([role.value for role in _PARTIES])
    )
    _erase(session, events, by=by, why=why)
    for role, party in _PARTIES.items():
        _erase_statements(session, Dispute.order_id.in_(select(Order.id).where(party == user_id)), role=role)
    log.info("words_of_user_erased", user_id=user_id, lines=len(events), by=by)


def _events(session: Session, *wanted: ColumnElement[bool]) -> list[Row[Any]]:
    columns = ("id", "order_id", "sequence", "note_digest")
    statement = select(*(getattr(OrderEventRecord, name) for name in columns)).where(*wanted)
    return list(session.execute(statement.order_by(OrderEventRecord.id)))


def _erase(session: Session, events: list[Row[Any]], *, by: str, why: str) -> None:
    ids = [each.id for each in events]
    decisions = session.scalars(
        select(StaffAction.reason_digest).where(
            StaffAction.subject == Subject.ORDER.value,
            exists().where(
                OrderEventRecord.id.in_(ids),
                OrderEventRecord.order_id == StaffAction.subject_id,
                OrderEventRecord.sequence == StaffAction.details["sequence"].as_integer(),
            ),
        )
    )
    digests = [each.note_digest for each in events if each.note_digest is not None]
    erase_texts(session, [*digests, *decisions], by=by, why=why)
    told = Notification.order_event_id.in_([each.id for each in events if each.note_digest is not None])
    session.execute(update(Notification).where(told).values(text=ERASED))
    for model in (RefundRequest, Dispute):
        made, ended = (_at_a_step(model, moment, ids) for moment in (model.created_at, model.ended_at))
        session.execute(
            update(model)
            .where(or_(made, ended))
            .values(
                reason=case((made, ERASED), else_=model.reason),
                description=case((and_(made, model.description != ""), ERASED), else_=model.description),
                outcome_note=case((and_(ended, model.outcome_note != ""), ERASED), else_=model.outcome_note),
            )
            .execution_options(synchronize_session=False)
        )


def _at_a_step(model: type[RefundRequest | Dispute], moment: Any, event_ids: list[int]) -> ColumnElement[bool]:
    """Whether a row's `moment` is that of one of these steps: what a step makes or ends bears its time."""
    return exists().where(
        OrderEventRecord.id.in_(event_ids),
        OrderEventRecord.order_id == model.order_id,
        OrderEventRecord.at == moment,
    )


def _erase_statements(session: Session, which: ColumnElement[bool], *, role: Role | None) -> None:
    """Erase the parties' statements in these disputes; with `role` only that side's."""
    for dispute in session.scalars(select(Dispute).where(which, Dispute.statements != []).with_for_update()):
        dispute.statements = [
            {**each, "text": ERASED} if role in (None, each["role"]) else each for each in dispute.statements
        ]
