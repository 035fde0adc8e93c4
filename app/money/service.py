"""Payments: starting one, believing the gateway's notification, paying money back.

A notification is believed only after its signature, application, seller, number and amount were checked; every one is
recorded. Repeating any of these functions changes nothing more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from flask import current_app
from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.answers import Answer, Refused
from app.clock import utcnow
from app.database import row_or_none, transaction
from app.money.gateways.alipay import AlipayGateway
from app.money.gateways.base import Gateway, GatewayRefused, GatewayUnavailable, Notification, NotificationRefused
from app.money.models import GatewayNotification, Payment, Refund, RefundState
from app.money.refunds import leave_refund
from app.orders.lifecycle import pay_by
from app.orders.models import Order
from app.orders.service import mark_paid
from app.outbox import OutboxMessage, Topic, leave
from statemachine import ORDER, OrderEvent, Role, order_flow

log = structlog.get_logger(__name__)

# Pending refunds older than this are asked for again; a job that is merely slow is done by then.
REFUND_SWEEP_AFTER = timedelta(seconds=60)

# Money for an order that nobody could pay any more goes back without an event of the order.
_PAID_AFTER_CLOSE = "paid_after_close"

# A notification that is not believed may come from anybody and carry anything.
_RECORDED_FIELDS = 60
_RECORDED_LENGTH = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What the cashier shows: money in fen, moments in UTC."""

    order_id: int
    order_no: str
    title: str
    picture_id: int | None
    price: int
    freight: int
    amount: int
    payable: bool
    paid: bool
    closed: bool
    expires_at: datetime


def gateway() -> Gateway:
    """The payment gateway of this application; its keys are read at first use."""
    if "saltfish.gateway" not in current_app.extensions:
        settings = current_app.extensions["saltfish.settings"]
        current_app.extensions["saltfish.gateway"] = AlipayGateway.from_settings(settings)
    made: Gateway = current_app.extensions["saltfish.gateway"]
    return made


def notification_url() -> str:
    """Where the gateway sends its notifications; the path is `app.money.views.notify`."""
    settings = current_app.extensions["saltfish.settings"]
    return f"{settings.base_url}/order/notify/"


def bill_of(*, order_id: int, buyer_id: int | None = None) -> Bill:
    """The bill of an order. With `buyer_id`, only for that buyer. Raises NO_SUCH_ORDER."""
    row = row_or_none(select(Order.__table__).where(Order.id == order_id))
    if row is None or (buyer_id is not None and row.buyer_id != buyer_id):
        raise Refused(Answer.NO_SUCH_ORDER)
    unpaid = row.bill_status == 1
    expires_at = pay_by(row.phase_since)
    return Bill(
        order_id=row.id,
        order_no=row.order_no,
        title=row.good_title,
        picture_id=row.good_picture_id,
        price=row.price,
        freight=row.freight,
        amount=row.amount,
        payable=unpaid and not row.closed and utcnow() < expires_at,
        paid=not unpaid,
        closed=row.closed,
        expires_at=expires_at,
    )


def start_payment(*, buyer_id: int, order_id: int, return_url: str) -> str:
    """The gateway's cashier for an unpaid order, as a URL. Starting again continues the same payment.

    Raises NO_SUCH_ORDER, WRONG_STATE once it is paid or closed, PAYMENT_LATE after the time for paying.
    """
    with transaction() as session:
        order = session.scalar(select(Order).where(Order.id == order_id).with_for_update())
        if order is None or order.buyer_id != buyer_id:
            raise Refused(Answer.NO_SUCH_ORDER)
        reasons = order_flow.why_not(order.phase, OrderEvent.PAY, Role.GATEWAY)
        if reasons:
            raise Refused(Answer.WRONG_STATE, data={"reasons": [reason.zh for reason in reasons]})
        expires_at = pay_by(order.phase_since)
        if utcnow() >= expires_at:
            raise Refused(Answer.PAYMENT_LATE)
        session.execute(
            upsert(Payment)
            .values(order_id=order.id, out_trade_no=order.order_no, amount=order.amount, created_at=utcnow())
            .on_conflict_do_nothing(index_elements=[Payment.order_id])
        )
        return gateway().page_pay_url(
            out_trade_no=order.order_no,
            amount_fen=order.amount,
            subject=order.good_title,
            notify_url=notification_url(),
            return_url=return_url,
            expires_at=expires_at,
        )


def take_notification(*, form: Mapping[str, str]) -> bool:
    """Take the gateway's notification; True once it needs no repetition.

    A believed payment moves its order to (2, 6). One for an order that was closed meanwhile is paid back. A forged or
    contradicting one is recorded with the reason and changes nothing else (False).
    """
    try:
        notification = gateway().read_notification(form)
    except NotificationRefused as refusal:
        with transaction() as session:
            _record(session, form, refusal=str(refusal))
        log.warning("notification_refused", reason=refusal.reason.value, field=refusal.code)
        return False
    with transaction() as session:
        payment = session.scalar(select(Payment).where(Payment.out_trade_no == notification.out_trade_no))
        contradiction = _contradiction(payment, notification)
        _record(session, form, refusal=contradiction)
        if payment is None or contradiction is not None:
            log.warning("notification_refused", reason=contradiction)
            return False
        if notification.status.paid and notification.refunded_fen == 0:
            _take_payment(session, payment, notification)
    return True


def _contradiction(payment: Payment | None, notification: Notification) -> str | None:
    if payment is None:
        return "unknown_trade"
    if payment.amount != notification.amount_fen:
        return "other_amount"
    return None


def _take_payment(session: Session, payment: Payment, notification: Notification) -> None:
    # Locks the good and the order; what was read of the payment before is read again under the lock.
    paid_now = mark_paid(session, order_id=payment.order_id)
    session.refresh(payment)
    if payment.paid_at is not None:
        return
    payment.paid_at = notification.paid_at or utcnow()
    payment.trade_no = notification.trade_no
    session.flush()
    if not paid_now:
        leave_refund(session, order_id=payment.order_id, reason=_PAID_AFTER_CLOSE)
        log.warning(_PAID_AFTER_CLOSE, order_id=payment.order_id)


def _record(session: Session, form: Mapping[str, str], *, refusal: str | None) -> None:
    fields = {
        name[:_RECORDED_LENGTH].replace("\x00", ""): str(value)[:_RECORDED_LENGTH].replace("\x00", "")
        for name, value in list(form.items())[:_RECORDED_FIELDS]
    }
    session.execute(
        insert(GatewayNotification).values(
            out_trade_no=fields.get("out_trade_no", "")[:64],
            trade_no=fields.get("trade_no", "")[:64],
            fields=fields,
            refusal=refusal,
            received_at=utcnow(),
        )
    )


def send_refund(*, refund_id: int) -> None:
    """Ask the gateway to pay a refund back, and note that it did. Safe to run twice, and to die at any line.

    Raises GatewayUnavailable (the job is tried again) or GatewayRefused (an operator has to look); either is noted.
    """
    with transaction() as session:
        refund = session.get(Refund, refund_id, with_for_update={"skip_locked": True})
        if refund is None or refund.state == RefundState.CONFIRMED:
            return
        payment = session.get_one(Payment, refund.payment_id)
        refund.attempts += 1
        request = (payment.out_trade_no, refund.amount, refund.request_no, _reason_text(refund.reason))
    out_trade_no, amount, request_no, reason = request
    try:
        gateway().refund(out_trade_no=out_trade_no, amount_fen=amount, out_request_no=request_no, reason=reason)
    except (GatewayUnavailable, GatewayRefused) as error:
        _note_refund(refund_id, error=str(error)[:200])
        raise
    _note_refund(refund_id, error=None)


def _reason_text(reason: str) -> str:
    """What the payer reads at the gateway."""
    return "订单已关闭" if reason == _PAID_AFTER_CLOSE else ORDER.events[OrderEvent(reason)].zh


def _note_refund(refund_id: int, *, error: str | None) -> None:
    with transaction() as session:
        refund = session.get_one(Refund, refund_id, with_for_update=True)
        # What was confirmed stays so: of two jobs at once the slower one may fail.
        if refund.state == RefundState.CONFIRMED:
            return
        refund.last_error = error
        if error is None:
            refund.state = RefundState.CONFIRMED
            refund.confirmed_at = utcnow()


def request_pending_refunds() -> int:
    """Ask again for refunds that no job has confirmed for a while; returns how many. For the periodic sweep."""
    with transaction() as session:
        waiting = select(OutboxMessage.subject_id).where(OutboxMessage.topic == Topic.PAYMENT_REFUND.value)
        statement = (
            select(Refund.id)
            .where(
                Refund.state == RefundState.PENDING.value,
                Refund.created_at < utcnow() - REFUND_SWEEP_AFTER,
                Refund.id.not_in(waiting),
            )
            .with_for_update(skip_locked=True)
        )
        overdue = list(session.scalars(statement))
        for refund_id in overdue:
            leave(session, Topic.PAYMENT_REFUND, refund_id)
        return len(overdue)
