"""What people do with orders, one function per verb. Each is one transaction; the machine decides, nobody else.

Rows are locked in one order everywhere: the good, then the order.
"""

import secrets
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.accounts.service import address_snapshot
from app.answers import Answer, Refused, field_errors
from app.clock import SHANGHAI, utcnow
from app.database import transaction
from app.goods.models import Good, Picture
from app.goods.queries import is_public
from app.money.refunds import leave_refund
from app.orders.lifecycle import may_hide, served
from app.orders.models import Direction, Order, OrderEventRecord, RefundRequest, Waybill
from app.orders.queries import facts_of, role_of
from app.outbox import Topic, leave
from statemachine import (
    ORDER,
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

OrderStep = Step[OrderPhase, OrderEvent, OrderFacts]


def buy_good(*, buyer_id: int, good_id: int, address_id: int | None, trade_mode: int | None) -> int:
    """Buy a good: one order at (1, 6), the good in trade. Returns the order's id.

    `address_id` is required unless the trade is 当面交易; `trade_mode` only matters where the good leaves it open.
    Price, freight and seller are the good's. Raises NO_SUCH_USER, NO_SUCH_GOOD, OWN_GOOD,
    GOOD_NOT_FOR_SALE, TRADE_MODE_REFUSED, NO_SUCH_ADDRESS, or MALFORMED naming the missing field.
    """
    with transaction() as session:
        if session.scalar(select(User.id).where(User.id == buyer_id)) is None:
            raise Refused(Answer.NO_SUCH_USER)
        good = session.scalar(select(Good).where(Good.id == good_id).with_for_update())
        if good is None or not is_public(good.status, deleted=good.deleted):
            raise Refused(Answer.NO_SUCH_GOOD)
        if good.owner_id == buyer_id:
            raise Refused(Answer.OWN_GOOD)
        if good.status != GoodStatus.PUBLISHED:
            raise Refused(Answer.GOOD_NOT_FOR_SALE)
        mode = _settled_mode(good.trade_mode, trade_mode)
        address = _address(mode, buyer_id=buyer_id, address_id=address_id)
        freight = 0 if mode == TradeMode.FACE_TO_FACE else good.freight
        now = utcnow()
        order = Order(
            order_no=_new_order_no(),
            good_id=good.id,
            buyer_id=buyer_id,
            seller_id=good.owner_id,
            good_title=good.title,
            good_picture_id=_first_picture(session, good.id),
            price=good.price,
            freight=freight,
            amount=good.price + freight,
            trade_mode=mode,
            address=address,
            history_length=1,
            phase_since=now,
            created_at=now,
            updated_at=now,
        )
        order.phase = ORDER.start
        session.add(order)
        session.flush()
        _record(session, order, event=ORDER.creation.name, role=Role.BUYER, actor_id=buyer_id, source=None)
        _fire_good(session, good, ORDER.creation.good_event)
        return order.id


def cancel_order(*, actor_id: int, order_id: int) -> None:
    """Cancel an unpaid order; the good is on sale again. Raises NO_SUCH_ORDER, FORBIDDEN, WRONG_STATE."""
    with transaction() as session:
        _advance(session, order_id=order_id, actor_id=actor_id, event=OrderEvent.CANCEL)


def ship_order(*, actor_id: int, order_id: int, address_id: int, company: str, tracking_no: str) -> None:
    """Ship to the buyer, from the seller's own address. Raises as `cancel_order`, and NO_SUCH_ADDRESS."""
    with transaction() as session:
        order, _ = _advance(session, order_id=order_id, actor_id=actor_id, event=OrderEvent.SHIP)
        _add_waybill(
            session,
            order,
            Direction.DELIVERY,
            sender=address_snapshot(user_id=actor_id, address_id=address_id),
            recipient=order.address,
            company=company,
            tracking_no=tracking_no,
            freight=order.freight,
        )


def receive_order(*, actor_id: int, order_id: int) -> None:
    """Confirm receipt: the proceeds become the seller's, held for the after-sale window. Raises as `cancel_order`."""
    with transaction() as session:
        _advance(session, order_id=order_id, actor_id=actor_id, event=OrderEvent.RECEIVE)


def request_refund(*, actor_id: int, order_id: int, reason: str, description: str) -> None:
    """Ask for the money back, at most three times per order. Raises as `cancel_order`."""
    with transaction() as session:
        order, _ = _advance(session, order_id=order_id, actor_id=actor_id, event=OrderEvent.REQUEST_REFUND, note=reason)
        order.refund_count += 1
        session.add(
            RefundRequest(order_id=order.id, reason=reason, description=description, created_at=order.updated_at)
        )


def send_back(*, actor_id: int, order_id: int, company: str, tracking_no: str, freight: int) -> None:
    """Send the goods back to where they came from. `freight` is fen. Raises as `cancel_order`."""
    with transaction() as session:
        order, _ = _advance(session, order_id=order_id, actor_id=actor_id, event=OrderEvent.SEND_BACK)
        seller_address = session.scalar(
            select(Waybill.sender).where(Waybill.order_id == order.id, Waybill.direction == Direction.DELIVERY.value)
        )
        _add_waybill(
            session,
            order,
            Direction.RETURN,
            sender=order.address,
            recipient=seller_address,
            company=company,
            tracking_no=tracking_no,
            freight=freight,
        )


def accept_return(*, actor_id: int, order_id: int) -> None:
    """Confirm that the goods came back; the money goes back to the buyer. Raises as `cancel_order`."""
    with transaction() as session:
        _advance(session, order_id=order_id, actor_id=actor_id, event=OrderEvent.ACCEPT_RETURN)


def hide_order(*, actor_id: int, order_id: int) -> None:
    """Take the order off the actor's lists; the other side keeps seeing it, and nothing is deleted.

    Raises NO_SUCH_ORDER, also when it is hidden already, and WRONG_STATE while it is under way.
    """
    with transaction() as session:
        order = session.scalar(select(Order).where(Order.id == order_id).with_for_update())
        if order is None:
            raise Refused(Answer.NO_SUCH_ORDER)
        role = role_of(order, actor_id)
        if order.hidden_by_buyer if role is Role.BUYER else order.hidden_by_seller:
            raise Refused(Answer.NO_SUCH_ORDER)
        if not may_hide(order.phase):
            raise Refused(Answer.WRONG_STATE, data=_standing(order, event="hide", role=role, reasons=["订单尚未结束"]))
        if role is Role.BUYER:
            order.hidden_by_buyer = True
        else:
            order.hidden_by_seller = True


def mark_paid(session: Session, *, order_id: int) -> bool:
    """Move an order whose payment the gateway has confirmed to (2, 6), in the caller's transaction.

    False where the order cannot be paid any more (it was cancelled meanwhile); nothing is changed then.
    """
    good, order = lock_order(session, order_id)
    if order_flow.why_not(order.phase, OrderEvent.PAY, Role.GATEWAY):
        return False
    _apply(session, good, order, event=OrderEvent.PAY, role=Role.GATEWAY, actor_id=None, note="")
    return True


def lock_order(session: Session, order_id: int) -> tuple[Good, Order]:
    """The order and its good, locked: the good first, as everywhere. Raises NO_SUCH_ORDER."""
    good_id = select(Order.good_id).where(Order.id == order_id).scalar_subquery()
    good = session.scalar(select(Good).where(Good.id == good_id).with_for_update())
    order = session.scalar(select(Order).where(Order.id == order_id).with_for_update())
    if good is None or order is None:
        raise Refused(Answer.NO_SUCH_ORDER)
    return good, order


def _advance(
    session: Session, *, order_id: int, actor_id: int, event: OrderEvent, note: str = ""
) -> tuple[Order, OrderStep]:
    """Let the actor, buyer or seller, fire `event`; raises NO_SUCH_ORDER, FORBIDDEN, WRONG_STATE."""
    good, order = lock_order(session, order_id)
    role = role_of(order, actor_id)
    return order, _apply(session, good, order, event=event, role=role, actor_id=actor_id, note=note)


def _apply(
    session: Session, good: Good, order: Order, *, event: OrderEvent, role: Role, actor_id: int | None, note: str
) -> OrderStep:
    """Fire `event` on locked rows and do all that the step owes: history, money on its way back, the good's step."""
    try:
        step = order_flow.fire(order, event, role, facts_of(order))
    except TransitionRefused as refusal:
        answer = Answer.FORBIDDEN if isinstance(refusal, Forbidden) else Answer.WRONG_STATE
        reasons = [reason.zh for reason in refusal.reasons]
        raise Refused(answer, data=_standing(order, event=event, role=role, reasons=reasons)) from refusal
    now = utcnow()
    order.phase_since = order.updated_at = now
    # A side that took a finished order off its lists sees it again when something new happens to it.
    order.hidden_by_buyer = order.hidden_by_seller = False
    if order.closed:
        order.closed_reason = event.value
    order.history_length += 1
    _record(session, order, event=event.value, role=role, actor_id=actor_id, source=step.source, note=note)
    if any(move.target == Pot.GATEWAY for move in step.moves):
        leave_refund(session, order_id=order.id, reason=event.value)
    _fire_good(session, good, step.good_event)
    return step


def _fire_good(session: Session, good: Good, event: GoodEvent | None) -> None:
    if event is None:
        return
    good_flow.fire(good, event, GoodRole.SYSTEM)
    good.updated_at = utcnow()
    leave(session, Topic.SEARCH_INDEX, good.id)


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
    session.add(
        OrderEventRecord(
            order_id=order.id,
            sequence=order.history_length,
            event=event,
            role=role.value,
            actor_id=actor_id,
            from_bill=source.bill if source else None,
            from_order=source.goods if source else None,
            to_bill=order.bill_status,
            to_order=order.order_status,
            closed=order.closed,
            note=note,
            at=order.updated_at,
        )
    )


def _add_waybill(
    session: Session,
    order: Order,
    direction: Direction,
    *,
    sender: dict[str, Any] | None,
    recipient: dict[str, Any] | None,
    company: str,
    tracking_no: str,
    freight: int,
) -> None:
    session.add(
        Waybill(
            order_id=order.id,
            direction=direction.value,
            sender=sender,
            recipient=recipient,
            company=company,
            tracking_no=tracking_no,
            freight=freight,
            created_at=order.updated_at,
        )
    )


def _standing(order: Order, *, event: str, role: Role, reasons: list[str]) -> dict[str, Any]:
    """What a refused client needs to know: why, where the order stands, what it may do instead."""
    phase = order.phase
    return {
        "event": str(event),
        "bill_status": phase.bill,
        "order_status": phase.goods,
        "closed": phase.closed,
        "reasons": reasons,
        "allowed": [each.value for each in served(phase, role, facts_of(order))],
    }


def _settled_mode(offered: int, wanted: int | None) -> TradeMode:
    """How this order changes hands: the good's mode, or the buyer's choice (快递 by default) where it is open."""
    if offered == TradeMode.ANY:
        return TradeMode(wanted or TradeMode.COURIER)
    if wanted is not None and wanted != offered:
        raise Refused(Answer.TRADE_MODE_REFUSED)
    return TradeMode(offered)


def _address(mode: TradeMode, *, buyer_id: int, address_id: int | None) -> dict[str, Any] | None:
    if mode == TradeMode.FACE_TO_FACE:
        return None
    if address_id is None:
        raise Refused(Answer.MALFORMED, data=field_errors(address_id="必填"))
    return address_snapshot(user_id=buyer_id, address_id=address_id)


def _first_picture(session: Session, good_id: int) -> int | None:
    statement = (
        select(Picture.id)
        .where(Picture.good_id == good_id, Picture.position.is_not(None))
        .order_by(Picture.position)
        .limit(1)
    )
    return session.scalar(statement)


def _new_order_no() -> str:
    """A number that people can read out and nobody can guess: the day in Shanghai and 14 random digits."""
    return f"{utcnow().astimezone(SHANGHAI):%Y%m%d}{secrets.randbelow(10**14):014d}"
