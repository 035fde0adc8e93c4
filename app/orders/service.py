"""What users do with orders: one function per verb, each one transaction. The machine decides what is allowed."""

import secrets
from collections.abc import Sequence
from typing import IO, Any, Final

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.accounts.service import address_snapshot
from app.answers import Answer, Refused, field_errors
from app.clock import SHANGHAI, utcnow
from app.db.transactions import autocommit_connection, independent_transaction, row_or_none, transaction
from app.fen import format_yuan
from app.goods.models import Good, Picture
from app.goods.queries import is_public
from app.goods.unused_pictures import check_count
from app.goods.uploads import prepare_uploads
from app.orders.actions import may_hide
from app.orders.evidence import NewEvidence, add_evidence
from app.orders.models import Direction, Dispute, Order, RefundRequest, Waybill
from app.orders.payments import check_paid_trade, close_open_trade, open_attempt
from app.orders.purchase_limits import check_purchase_limits
from app.orders.queries import facts_of, phase_of, role_of
from app.orders.schemas import PresentFigures
from app.orders.transitions import (
    OrderCommand,
    advance,
    begin_order,
    fire,
    lock_order,
    new_handover_code,
    refusal_details,
)
from app.settings import settings
from statemachine import GoodStatus, OrderEvent, Role, TradeMode, order_flow
from statemachine.order import PAID

MAX_STATEMENTS: Final = 5
"""How many statements each party may make in one dispute."""

_CLOSING_TRIES: Final = 3

# Statements that every purchase needs, built once: building such a statement costs more than running it.
_BUYER: Final = (
    select(User.id).where(User.id == bindparam("user_id"), User.deleted_at.is_(None)).with_for_update(key_share=True)
)
_GOOD: Final = select(Good).where(Good.id == bindparam("good_id")).with_for_update()
_FIRST_PICTURE: Final = (
    select(Picture.id)
    .where(Picture.good_id == bindparam("good_id"), Picture.position.is_not(None))
    .order_by(Picture.position)
    .limit(1)
)


def buy_good(
    *,
    buyer_id: int,
    good_id: int,
    address_id: int | None,
    trade_mode: int | None,
    expected_amount: int | None = None,
    revision: int | None = None,
) -> int:
    """Buy a good: makes an order that awaits payment, and the good is then in trade. Returns the order's id.

    `address_id` is required unless the trade is 当面交易; `trade_mode` only matters where the good leaves it open.
    Price, freight and seller are the good's. `expected_amount` (fen, freight included) and `revision` are what the
    buyer saw: a good that costs something else, or was edited since, is not bought. They are compared under the good's
    lock, which an edit has to wait for.

    Raises NO_SUCH_USER, TOO_MANY_UNPAID, TOO_MANY_EXPIRED, TOO_MANY_CANCELLED, NO_SUCH_GOOD, OWN_GOOD,
    GOOD_NOT_FOR_SALE, GOOD_CHANGED with the present figures, TRADE_MODE_REFUSED, NO_SUCH_ADDRESS, or MALFORMED naming
    the missing field.
    """
    with transaction() as session:
        # Locked, so that of two purchases by one buyer at the same time the second counts the first.
        if session.scalar(_BUYER, {"user_id": buyer_id}) is None:
            raise Refused(Answer.NO_SUCH_USER)
        good = session.scalar(_GOOD, {"good_id": good_id})
        if good is None or not is_public(good):
            raise Refused(Answer.NO_SUCH_GOOD)
        if good.owner_id == buyer_id:
            raise Refused(Answer.OWN_GOOD)
        if good.status != GoodStatus.PUBLISHED:
            raise Refused(Answer.GOOD_NOT_FOR_SALE)
        mode = _trade_mode(good.trade_mode, trade_mode)
        freight = 0 if mode == TradeMode.FACE_TO_FACE else good.freight
        if revision not in (None, good.revision):
            raise Refused(Answer.GOOD_CHANGED, data=_present_figures(good, mode, freight))
        if trade_mode not in (None, mode):
            raise Refused(Answer.TRADE_MODE_REFUSED)
        if expected_amount not in (None, good.price + freight):
            raise Refused(Answer.GOOD_CHANGED, data=_present_figures(good, mode, freight))
        address = _address(mode, buyer_id=buyer_id, address_id=address_id)
        now = utcnow()
        check_purchase_limits(session, buyer_id=buyer_id, now=now)
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
            history_length=0,
            history_hash="",
            refund_count=0,
            disputed=False,
            extended=False,
            phase_since=now,
            created_at=now,
            updated_at=now,
        )
        begin_order(session, good, order)
        return order.id


def cancel_order(*, actor_id: int, order_id: int) -> None:
    """Cancel an unpaid order; the good is on sale again. Its trade at the gateway is closed first.

    Raises NO_SUCH_ORDER, FORBIDDEN, WRONG_STATE (also when it was paid meanwhile), GATEWAY_UNAVAILABLE, BUSY.
    """
    for _ in range(_CLOSING_TRIES):
        if _may(OrderEvent.CANCEL, actor_id=actor_id, order_id=order_id):
            # What the gateway has done must be recorded even if the request around this is rolled back.
            with independent_transaction():
                close_open_trade(order_id=order_id)
        with transaction() as session, session.begin_nested() as locked:
            good, order = lock_order(session, order_id)
            if open_attempt(session, order_id) is None or not _allows(order, OrderEvent.CANCEL, actor_id):
                command = OrderCommand(event=OrderEvent.CANCEL, role=role_of(order, actor_id), actor_id=actor_id)
                fire(session, good, order, command)
                return
            # The buyer has opened a new trade in between, which has to be closed too. The savepoint is rolled back to
            # release the row locks: inside a request's own transaction they would outlive this block, and closing the
            # trade (in an independent transaction) would wait for them.
            locked.rollback()
    raise Refused(Answer.BUSY, retry_after=1)


def _may(event: OrderEvent, *, actor_id: int, order_id: int) -> bool:
    order = row_or_none(select(Order.__table__).where(Order.id == order_id))
    return order is not None and _allows(order, event, actor_id)


def _allows(order: Any, event: OrderEvent, actor_id: int) -> bool:
    """Whether the machine lets `actor_id` fire `event` on the order (or row of one)."""
    if actor_id not in (order.buyer_id, order.seller_id) or order.held_at is not None:
        return False
    phase = phase_of(order)
    return event in order_flow.allowed(phase, role_of(order, actor_id), facts_of(order))


def ship_order(*, actor_id: int, order_id: int, address_id: int, company: str, tracking_no: str) -> None:
    """Ship to the buyer, from one of the seller's addresses. Raises as `receive_order`, and NO_SUCH_ADDRESS.

    The gateway is asked first whether the buyer's money is still there.
    """
    _check_money(OrderEvent.SHIP, actor_id=actor_id, order_id=order_id)
    with transaction() as session:
        order = advance(session, order_id=order_id, actor_id=actor_id, event=OrderEvent.SHIP)
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


def _check_money(event: OrderEvent, *, actor_id: int, order_id: int) -> None:
    """Ask the gateway about the order's money, if the actor may fire `event`."""
    # What the gateway has done must be recorded even if the request around this is rolled back.
    with independent_transaction():
        check_paid_trade(order_id=order_id, only_if=lambda order: _allows(order, event, actor_id))


def receive_order(*, actor_id: int, order_id: int) -> None:
    """Confirm receipt: the proceeds become the seller's, held for the after-sale window.

    The gateway is asked first whether they are still there. Raises NO_SUCH_ORDER, FORBIDDEN, WRONG_STATE.
    """
    _check_money(OrderEvent.RECEIVE, actor_id=actor_id, order_id=order_id)
    with transaction() as session:
        advance(session, order_id=order_id, actor_id=actor_id, event=OrderEvent.RECEIVE)


def extend_receipt(*, actor_id: int, order_id: int) -> None:
    """Extend the time for receipt by its full length, once per order. Raises as `receive_order`."""
    with transaction() as session:
        advance(session, order_id=order_id, actor_id=actor_id, event=OrderEvent.EXTEND_RECEIPT)


def hand_over(*, actor_id: int, order_id: int, code: str) -> None:
    """The seller confirms the receipt of a 当面交易 order with the handover code that the buyer has told.

    The gateway is asked before whether the buyer's money is still there. Raises as `receive_order`,
    HANDOVER_CODE_WRONG with the tries that are left, HANDOVER_LOCKED once none is left.
    """
    order = row_or_none(select(Order.__table__).where(Order.id == order_id))
    if order is None:
        raise Refused(Answer.NO_SUCH_ORDER)
    if role_of(order, actor_id) is not Role.SELLER:
        # The buyer may fire the same event, RECEIVE, without a code, but not by this verb.
        raise Refused(Answer.FORBIDDEN)
    phase = phase_of(order)
    is_expected = phase == PAID and order.handover_code is not None and order.held_at is None
    is_right = is_expected and _try_handover_code(order_id, code)
    if is_right:
        _check_money(OrderEvent.RECEIVE, actor_id=actor_id, order_id=order_id)
    with transaction() as session:
        advance(session, order_id=order_id, actor_id=actor_id, event=OrderEvent.RECEIVE, handover_code_ok=is_right)


def _try_handover_code(order_id: int, code: str) -> bool:
    """True for the right code; False if the order has no code any more, because another request was faster.

    Raises HANDOVER_CODE_WRONG for a wrong code, HANDOVER_LOCKED once no try is left. Each try is counted and committed
    at once, even if the request around it is rolled back.
    """
    tries = settings().handover_tries
    with autocommit_connection() as connection:
        tried = connection.execute(
            update(Order)
            .where(Order.id == order_id, Order.handover_code.is_not(None), Order.handover_tries < tries)
            .values(handover_tries=Order.handover_tries + 1)
            .returning(Order.handover_code, Order.handover_tries)
        ).one_or_none()
        if tried is None:
            if connection.scalar(select(Order.handover_code).where(Order.id == order_id)) is None:
                return False
            raise Refused(Answer.HANDOVER_LOCKED)
    if not secrets.compare_digest(tried.handover_code, code):
        raise Refused(Answer.HANDOVER_CODE_WRONG, data={"tries_left": tries - tried.handover_tries})
    return True


def renew_handover_code(*, actor_id: int, order_id: int) -> None:
    """Make a new handover code for a paid 当面交易 order, at its buyer's wish; all tries are available again.

    Raises as `receive_order`.
    """
    with transaction() as session:
        _, order = lock_order(session, order_id)
        role = role_of(order, actor_id)
        if role is not Role.BUYER:
            raise Refused(Answer.FORBIDDEN)
        if order.handover_code is None or order.phase != PAID:
            reasons = ["订单没有待使用的交货码"]
            raise Refused(
                Answer.WRONG_STATE, data=refusal_details(order, event="renew_handover_code", role=role, reasons=reasons)
            )
        order.handover_code = new_handover_code()
        order.handover_tries = 0


def request_refund(
    *,
    actor_id: int,
    order_id: int,
    reason: str,
    description: str,
    picture_ids: Sequence[int] = (),
    uploads: Sequence[IO[bytes]] = (),
) -> None:
    """Ask for the money back, at most three times per order, with up to nine pictures as evidence.

    These are those that the buyer uploaded as `picture_ids`, then those in `uploads`. Raises as `receive_order`, for
    pictures also as `app.goods.uploads.prepare_uploads` and `app.goods.unused_pictures.claim_pictures`.
    """
    evidence = _new_evidence(actor_id=actor_id, order_id=order_id, picture_ids=picture_ids, uploads=uploads)
    with transaction() as session:
        order = advance(session, order_id=order_id, actor_id=actor_id, event=OrderEvent.REQUEST_REFUND, note=reason)
        asked = RefundRequest(order_id=order.id, reason=reason, description=description, created_at=order.updated_at)
        session.add(asked)
        session.flush()
        add_evidence(session, order, evidence, uploader_id=actor_id, refund_request_id=asked.id)


def withdraw_refund(*, actor_id: int, order_id: int) -> None:
    """Withdraw the request for a refund; the deadline that it paused runs on. Raises as `receive_order`."""
    with transaction() as session:
        advance(session, order_id=order_id, actor_id=actor_id, event=OrderEvent.WITHDRAW_REFUND)


def reject_refund(*, actor_id: int, order_id: int, reason: str) -> None:
    """Refuse the refund with a reason; the deadline that the request paused runs on. Raises as `receive_order`."""
    with transaction() as session:
        advance(session, order_id=order_id, actor_id=actor_id, event=OrderEvent.REJECT_REFUND, note=reason)


def approve_refund(*, actor_id: int, order_id: int) -> None:
    """Grant the refund without a return; the money goes back to the buyer. Raises as `receive_order`."""
    with transaction() as session:
        advance(session, order_id=order_id, actor_id=actor_id, event=OrderEvent.APPROVE_REFUND)


def send_back(*, actor_id: int, order_id: int, company: str, tracking_no: str, freight: int) -> None:
    """Send the goods back to the address they were shipped from. `freight` is fen. Raises as `receive_order`."""
    with transaction() as session:
        order = advance(session, order_id=order_id, actor_id=actor_id, event=OrderEvent.SEND_BACK)
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
    """Confirm that the goods came back; the money goes back to the buyer. Raises as `receive_order`."""
    with transaction() as session:
        advance(session, order_id=order_id, actor_id=actor_id, event=OrderEvent.ACCEPT_RETURN)


def raise_dispute(
    *,
    actor_id: int,
    order_id: int,
    event: OrderEvent,
    reason: str,
    description: str,
    picture_ids: Sequence[int] = (),
    uploads: Sequence[IO[bytes]] = (),
) -> None:
    """Call staff: `event` is DISPUTE, or CONTEST_RETURN by the seller about a returned parcel. No deadline runs then.

    Pictures, and what is raised, as `request_refund`.
    """
    evidence = _new_evidence(actor_id=actor_id, order_id=order_id, picture_ids=picture_ids, uploads=uploads)
    with transaction() as session:
        order = advance(session, order_id=order_id, actor_id=actor_id, event=event, note=reason)
        dispute = Dispute(
            order_id=order.id,
            raised_by=actor_id,
            role=role_of(order, actor_id).value,
            event=event.value,
            reason=reason,
            description=description,
            created_at=order.updated_at,
        )
        session.add(dispute)
        session.flush()
        add_evidence(session, order, evidence, uploader_id=actor_id, dispute_id=dispute.id)


def state_case(
    *, actor_id: int, order_id: int, text: str, picture_ids: Sequence[int] = (), uploads: Sequence[IO[bytes]] = ()
) -> None:
    """Make a statement to staff while the order is disputed, with pictures; each party up to `MAX_STATEMENTS` times.

    It is no event of the machine, so the history has no line for it. Raises NO_SUCH_ORDER, WRONG_STATE where there is
    no open dispute, TOO_MANY_STATEMENTS; for pictures also as `request_refund`.
    """
    evidence = _new_evidence(actor_id=actor_id, order_id=order_id, picture_ids=picture_ids, uploads=uploads)
    with transaction() as session:
        _, order = lock_order(session, order_id)
        role = role_of(order, actor_id)
        statement = select(Dispute).where(Dispute.order_id == order.id, Dispute.ended_at.is_(None))
        dispute = session.scalar(statement)
        if dispute is None:
            reasons = ["订单没有待处理的争议"]
            raise Refused(
                Answer.WRONG_STATE, data=refusal_details(order, event="state_case", role=role, reasons=reasons)
            )
        if sum(each["role"] == role for each in dispute.statements) >= MAX_STATEMENTS:
            raise Refused(Answer.TOO_MANY_STATEMENTS, data={"limit": MAX_STATEMENTS})
        now = utcnow()
        dispute.statements = [*dispute.statements, {"role": role.value, "text": text, "at": now.isoformat()}]
        order.updated_at = now
        add_evidence(session, order, evidence, uploader_id=actor_id, dispute_id=dispute.id)


def _new_evidence(
    *, actor_id: int, order_id: int, picture_ids: Sequence[int], uploads: Sequence[IO[bytes]]
) -> NewEvidence:
    """The pictures, decoded before any row is locked, and only for a party of the order: decoding is expensive."""
    check_count(ids=len(picture_ids), files=len(uploads), malformed=Answer.MALFORMED)
    if not uploads:
        return NewEvidence(picture_ids=picture_ids)
    order = row_or_none(select(Order.__table__).where(Order.id == order_id))
    if order is None:
        raise Refused(Answer.NO_SUCH_ORDER)
    role_of(order, actor_id)
    pictures = prepare_uploads(uploads, user_id=actor_id, malformed=Answer.MALFORMED)
    return NewEvidence(picture_ids=picture_ids, pictures=pictures)


def hide_order(*, actor_id: int, order_id: int) -> None:
    """Remove the order from the actor's lists; the other party still sees it, and nothing is deleted.

    Raises NO_SUCH_ORDER, also when it is hidden already, and WRONG_STATE while it is not finished.
    """
    with transaction() as session:
        order = session.scalar(select(Order).where(Order.id == order_id).with_for_update())
        if order is None:
            raise Refused(Answer.NO_SUCH_ORDER)
        role = role_of(order, actor_id)
        if order.hidden_by_buyer if role is Role.BUYER else order.hidden_by_seller:
            raise Refused(Answer.NO_SUCH_ORDER)
        if not may_hide(order.phase):
            raise Refused(
                Answer.WRONG_STATE, data=refusal_details(order, event="hide", role=role, reasons=["订单尚未结束"])
            )
        if role is Role.BUYER:
            order.hidden_by_buyer = True
        else:
            order.hidden_by_seller = True


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


def _trade_mode(offered: int, wanted: int | None) -> TradeMode:
    """The order's trade mode: the good's, or the buyer's choice (快递 by default) where the good leaves it open."""
    return TradeMode((wanted or TradeMode.COURIER) if offered == TradeMode.ANY else offered)


def _present_figures(good: Good, mode: TradeMode, freight: int) -> PresentFigures:
    return {
        "good_id": good.id,
        "revision": good.revision,
        "title": good.title,
        "trade_mode": mode,
        "price": format_yuan(good.price),
        "freight": format_yuan(freight),
        "amount": format_yuan(good.price + freight),
    }


def _address(mode: TradeMode, *, buyer_id: int, address_id: int | None) -> dict[str, Any] | None:
    if mode == TradeMode.FACE_TO_FACE:
        return None
    if address_id is None:
        raise Refused(Answer.MALFORMED, data=field_errors(address_id="必填"))
    return address_snapshot(user_id=buyer_id, address_id=address_id)


def _first_picture(session: Session, good_id: int) -> int | None:
    return session.scalar(_FIRST_PICTURE, {"good_id": good_id})


def _new_order_no() -> str:
    """A new order number, readable but not guessable: the day in Shanghai and 14 random digits, the last one no zero.

    So it never looks like one that a spreadsheet has rounded (`app.money.reconcile`).
    """
    return f"{utcnow().astimezone(SHANGHAI):%Y%m%d}{secrets.randbelow(10**13):013d}{1 + secrets.randbelow(9)}"
