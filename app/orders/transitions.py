"""One step of one order, with everything that belongs to it, in the caller's database transaction.

It locks the rows, asks the machine, changes the order, appends to the history, posts the money to the ledger, moves the
good and adds outbox messages. Nothing here makes a network call. Rows are locked in the same order everywhere: the
good, the order, then (in `app.ledger`) the accounts.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import Update, bindparam, select, update
from sqlalchemy.orm import Session

from app.answers import Answer, Refused
from app.clock import utcnow
from app.db.columns import Base
from app.goods.models import Good
from app.goods.revisions import set_edit_aside
from app.ledger.models import AccountKind
from app.ledger.service import AccountRef, Posting, Transfer, order_account, post, user_account
from app.money.refunds import create_refund
from app.orders.actions import HELD, available_events
from app.orders.history import record_step
from app.orders.models import Dispute, Order, RefundRequest
from app.orders.queries import facts_of, role_of
from app.orders.schemas import CASE_EVENTS, OrderRefusalDetails
from app.outbox.models import Topic
from app.outbox.service import add_message
from app.settings import settings
from statemachine import (
    ORDER,
    BillStatus,
    Forbidden,
    GoodEvent,
    GoodRole,
    GoodStatus,
    OrderEvent,
    OrderFacts,
    OrderPhase,
    Pot,
    Role,
    Step,
    TradeMode,
    TransitionRefused,
    good_flow,
    order_flow,
)
from statemachine.order import PAID, REFUND_REQUESTED_UNSHIPPED, facts_after
from statemachine.timers import Timers, first_timers, next_timers

OrderStep = Step[OrderPhase, OrderEvent, OrderFacts]

# The phases in which the handover code is kept: also while a refund is requested, as the request may be withdrawn.
_BEFORE_HANDOVER: Final = frozenset({PAID, REFUND_REQUESTED_UNSHIPPED})


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCommand:
    """An event to fire on an order, with who fires it.

    `note` goes into the history; `handover_code_ok` says that a seller gave the right handover code,
    `refunded_elsewhere` that all of the order's money went back to the payer at the gateway, without us.
    """

    event: OrderEvent
    role: Role
    actor_id: int | None = None
    note: str = ""
    handover_code_ok: bool = False
    refunded_elsewhere: bool = False


# Built once, because every step runs it. PostgreSQL locks the rows in the order of `of`, and re-reads those that it had
# to wait for. With `key_share` rows that refer to them may be inserted meanwhile, as by a job that holds their refund.
_LOCKED: Final = (
    select(Good, Order)
    .join(Order, Order.good_id == Good.id)
    .where(Order.id == bindparam("order_id"))
    .with_for_update(of=(Good, Order), key_share=True)
    .execution_options(populate_existing=True)
)


def lock_order(session: Session, order_id: int) -> tuple[Good, Order]:
    """The order and its good, locked: the good first, as everywhere. Raises NO_SUCH_ORDER."""
    locked = session.execute(_LOCKED, {"order_id": order_id}).one_or_none()
    if locked is None:
        raise Refused(Answer.NO_SUCH_ORDER)
    good, order = locked
    return good, order


def begin_order(session: Session, good: Good, order: Order) -> None:
    """Put a new order into its first phase: deadline, first line of the history, and its good is then in trade."""
    order.phase = ORDER.start
    _set_timers(order, first_timers(order_flow, facts_of(order), now=order.created_at, durations=timer_durations()))
    _record(session, order, event=ORDER.creation.name, role=Role.BUYER, actor_id=order.buyer_id, source=None)
    fire_good(session, good, ORDER.creation.good_event)


def advance(
    session: Session, *, order_id: int, actor_id: int, event: OrderEvent, note: str = "", handover_code_ok: bool = False
) -> Order:
    """Lock the order and fire `event` as its buyer or seller. Raises NO_SUCH_ORDER, FORBIDDEN, WRONG_STATE."""
    good, order = lock_order(session, order_id)
    role = role_of(order, actor_id)
    command = OrderCommand(event=event, role=role, actor_id=actor_id, note=note, handover_code_ok=handover_code_ok)
    fire(session, good, order, command)
    return order


def fire(session: Session, good: Good, order: Order, command: OrderCommand) -> OrderStep:
    """Apply `command` to locked rows and post its money. Raises FORBIDDEN, WRONG_STATE; nothing is changed then."""
    step, postings = apply(session, good, order, command)
    post(session, postings, at=order.updated_at)
    return step


def apply(session: Session, good: Good, order: Order, command: OrderCommand) -> tuple[OrderStep, list[Posting]]:
    """As `fire`, but the caller posts the money, for several orders at once: ledger accounts must be locked last."""
    disputed_before = order.disputed
    if order.held_at is not None and command.role is not Role.GATEWAY and command.event not in CASE_EVENTS:
        raise Refused(
            Answer.WRONG_STATE, data=refusal_details(order, event=command.event, role=command.role, reasons=[HELD])
        )
    try:
        step = order_flow.fire(order, command.event, command.role, _facts(order, command))
    except TransitionRefused as refusal:
        answer = Answer.FORBIDDEN if isinstance(refusal, Forbidden) else Answer.WRONG_STATE
        reasons = [reason.zh for reason in refusal.reasons]
        raise Refused(
            answer, data=refusal_details(order, event=command.event, role=command.role, reasons=reasons)
        ) from refusal
    now = utcnow()
    order.updated_at = now
    if step.source != step.target:
        order.phase_since = now
    if command.role is not Role.SYSTEM:
        # A party that has hidden a finished order sees it again when a person acts on it.
        order.hidden_by_buyer = order.hidden_by_seller = False
    if order.closed:
        order.closed_reason = command.event.value
    _update_facts(order, command.event)
    before = Timers(order.deadline_at, order.remind_at, order.clock_left)
    durations = timer_durations()
    _set_timers(order, next_timers(order_flow, step, facts_of(order), now=now, before=before, durations=durations))
    _record(
        session,
        order,
        event=command.event.value,
        role=command.role,
        actor_id=command.actor_id,
        source=step.source,
        note=command.note,
    )
    _end_requests(session, order, step, command, disputed_before=disputed_before)
    postings = _postings(order, step)
    if any(move.target == Pot.GATEWAY for move in step.moves):
        create_refund(session, order_id=order.id, reason=command.event.value)
    fire_good(session, good, step.good_event)
    return step, postings


def fire_good(session: Session, good: Good, event: StrEnum | None) -> None:
    """Fire the good's own event (if the step has one), and queue the update of the search index."""
    if event is None:
        return
    good_flow.fire(good, GoodEvent(event), GoodRole.SYSTEM)
    good.updated_at = utcnow()
    add_message(session, Topic.SEARCH_INDEX, good.id)
    if good.edit_revision is None or good.status == GoodStatus.IN_TRADE:
        return
    # An edit from before the order waited for its end.
    if good.status == GoodStatus.SOLD:
        set_edit_aside(session, good, now=utcnow())
    else:
        add_message(session, Topic.GOOD_VERIFICATION, good.id)


def refusal_details(order: Order, *, event: str, role: Role, reasons: list[str]) -> OrderRefusalDetails:
    """The data of a refusal: why, the order's present state, and the events that the role may fire instead."""
    phase = order.phase
    return {
        "event": str(event),
        "bill_status": phase.bill,
        "order_status": phase.goods,
        "closed": phase.closed,
        "reasons": reasons,
        "allowed": []
        if order.held_at is not None
        else [each.value for each in available_events(phase, role, facts_of(order))],
    }


def timer_durations() -> Mapping[str, timedelta]:
    """The configured length of each of the machine's deadlines and reminders, by the name of its setting."""
    return {name: timedelta(seconds=getattr(settings(), name)) for name in _TIMER_SETTINGS}


_TIMER_SETTINGS: Final = tuple(
    dict.fromkeys(
        name
        for rule in ORDER.rules
        if rule.deadline
        for name in (rule.deadline.setting, rule.deadline.reminder.setting)
    )
)


def _facts(order: Order, command: OrderCommand) -> OrderFacts:
    return replace(
        facts_of(order),
        has_reason=bool(command.note),
        handover_code_ok=command.handover_code_ok,
        refunded_elsewhere=command.refunded_elsewhere,
    )


def _update_facts(order: Order, event: OrderEvent) -> None:
    """Update what a step changes besides the phase: the facts that guards look at, and the handover code."""
    facts = facts_after(event, facts_of(order))
    order.refund_count, order.disputed, order.extended = facts.refund_count, facts.disputed, facts.extended
    if event is OrderEvent.PAY and order.trade_mode == TradeMode.FACE_TO_FACE:
        order.handover_code = new_handover_code()
    elif order.phase not in _BEFORE_HANDOVER:
        order.handover_code = None


def new_handover_code() -> str:
    """A new handover code: six digits that a buyer can tell the seller when the goods change hands."""
    return f"{secrets.randbelow(10**6):06d}"


def _set_timers(order: Order, timers: Timers) -> None:
    order.deadline_at, order.remind_at, order.clock_left = timers.deadline_at, timers.remind_at, timers.remaining


def _record(
    session: Session,
    order: Order,
    *,
    event: str,
    role: Role,
    actor_id: int | None,
    source: OrderPhase | None,
    note: str = "",
) -> None:
    line_id = record_step(session, order, event=event, role=role, actor_id=actor_id, source=source, note=note)
    # One message covers everything that follows a step: notifications and webhooks.
    add_message(session, Topic.ORDER_STEP, line_id, stream=f"order:{order.id}")


def _end_open_row(model: type[RefundRequest | Dispute]) -> Update:
    """A statement that updates the open row of the order `of_order`; its other parameters are the new values."""
    table = Base.metadata.tables[model.__tablename__]
    return update(table).where(table.c.order_id == bindparam("of_order"), table.c.ended_at.is_(None))


_END_REQUEST: Final = _end_open_row(RefundRequest)
_END_DISPUTE: Final = _end_open_row(Dispute)


def _end_requests(
    session: Session, order: Order, step: OrderStep, command: OrderCommand, *, disputed_before: bool
) -> None:
    """Record the outcome of the refund request that the step ends, and of the dispute about it."""
    ended = {
        "of_order": order.id,
        "outcome": command.event.value,
        "outcome_note": command.note,
        "ended_at": order.updated_at,
    }
    if step.source.bill == BillStatus.REFUND_REQUESTED and step.target.bill != BillStatus.REFUND_REQUESTED:
        session.execute(_END_REQUEST, ended)
    if disputed_before and not order.disputed:
        session.execute(_END_DISPUTE, ended)


def _postings(order: Order, step: OrderStep) -> list[Posting]:
    """The step's ledger transaction, if it moves money: one at most."""
    transfers = tuple(
        transfer for move in step.moves for transfer in _transfers(order, Pot(move.source), Pot(move.target))
    )
    if not transfers:
        return []
    key = f"order:{order.id}:{order.history_length}:{step.event}"
    return [Posting(key=key, kind=step.event.value, order_id=order.id, transfers=transfers)]


def _transfers(order: Order, source: Pot, target: Pot) -> list[Transfer]:
    source_account = _account(order, source)
    if target is Pot.GATEWAY:
        # A refund: until the gateway confirms it, the money is booked in an account of its own.
        return [Transfer(source_account, order_account(AccountKind.REFUND_CLEARING, order.id), order.amount)]
    fee = platform_fee(order.amount) if target is Pot.SELLER_AVAILABLE else 0
    transfers = [Transfer(source_account, _account(order, target), order.amount - fee)] if order.amount > fee else []
    if fee:
        transfers.append(Transfer(source_account, order_account(AccountKind.PLATFORM_FEE, order.id), fee))
    return transfers


def platform_fee(amount: int) -> int:
    """The platform's share of `amount` (fen), rounded down."""
    return amount * settings().platform_fee_basis_points // 10_000


def _account(order: Order, pot: Pot) -> AccountRef:
    kind = _ACCOUNTS[pot]
    if pot in (Pot.SELLER_HELD, Pot.SELLER_AVAILABLE):
        return user_account(kind, order.seller_id)
    return order_account(kind, order.id)


_ACCOUNTS: Final[dict[Pot, AccountKind]] = {
    Pot.GATEWAY: AccountKind.GATEWAY_CLEARING,
    Pot.ESCROW: AccountKind.ESCROW,
    Pot.SELLER_HELD: AccountKind.SELLER_HELD,
    Pot.SELLER_AVAILABLE: AccountKind.SELLER_AVAILABLE,
}
