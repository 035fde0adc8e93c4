"""Payments of orders: start one, process what the gateway reports about it, close it, query the gateway.

An order has one row per attempt to pay it. A report of the gateway is believed only after its signature, application,
seller, number and amount were checked; every notification is recorded. All functions here are idempotent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import bindparam, exists, func, select, update
from sqlalchemy.orm import Session

from app.answers import Answer, Refused
from app.clock import utcnow
from app.db.transactions import row_or_none, transaction
from app.ledger.models import AccountKind
from app.ledger.service import Posting, Transfer, order_account, post
from app.money.cases import SETTLED, open_case
from app.money.gateway import gateway, notification_url
from app.money.gateways.base import (
    GatewayRefused,
    GatewayUnavailable,
    NotificationRefused,
    TradeStatus,
)
from app.money.models import PAID_LATE, MoneyCase, MoneyCaseKind, Payment, PaymentState, Refund
from app.money.refunds import create_refund_of
from app.orders.holds import note_refund_elsewhere, stand_in_number
from app.orders.models import Order
from app.orders.notification_records import record_forged, record_signed
from app.orders.transitions import OrderCommand, fire, lock_order, refusal_details
from app.origin import UNKNOWN
from app.settings import settings
from statemachine import BillStatus, OrderEvent, Role, order_flow

log = structlog.get_logger(__name__)

_QUERIES_AT_ONCE: Final = 50
_MAX_QUERY_WAIT: Final = timedelta(hours=1)
_MAX_DOUBLINGS: Final = 12  # a second doubled so often is longer than the longest wait
# The gateway closes a trade at its expiry; one that it does not know a day later was never opened.
_NEVER_OPENED_AFTER: Final = timedelta(days=1)
# How often the gateway is asked whether the trade of an order that goes on was refunded there.
_CHECK_AFTER: Final = timedelta(days=1)
_GATEWAY_RETRY_AFTER: Final = 5  # seconds, for the client's Retry-After

# Statements that every payment needs, built once: building such a statement costs more than running it.
_ORDER: Final = select(Order).where(Order.id == bindparam("order_id")).with_for_update(key_share=True)
_OPEN_ATTEMPT: Final = select(Payment).where(
    Payment.order_id == bindparam("order_id"), Payment.state == PaymentState.OPEN.value
)
_ATTEMPTS: Final = select(func.count()).select_from(Payment).where(Payment.order_id == bindparam("order_id"))
_BY_NUMBER: Final = select(Payment).where(Payment.out_trade_no == bindparam("out_trade_no"))
# What paid an order that has no refund of ours, with the order.
_PAID_TRADES: Final = (
    select(Order.__table__, Payment.id.label("payment_id"), Payment.out_trade_no, Payment.trade_no)
    .join(Payment, Payment.order_id == Order.id)
    .where(Payment.state == PaymentState.PAID.value, ~exists().where(Refund.payment_id == Payment.id))
)
_PAID_TRADE: Final = _PAID_TRADES.where(Order.id == bindparam("order_id"))
# Of a payment: what refers to it (a case, say) may be inserted meanwhile.
_LOCK: Final = {"key_share": True}
_OWN_REFUND: Final = select(Refund.id).where(Refund.payment_id == bindparam("payment_id"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CashierBill:
    """What the cashier page shows of an order: money in fen, moments in UTC."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeReport:
    """What the gateway reports about one attempt, in a notification or in answer to a query; `amount` is fen."""

    trade_no: str
    amount: int
    status: TradeStatus
    paid_at: datetime | None


def cashier_bill(*, order_id: int, buyer_id: int | None = None) -> CashierBill:
    """What the cashier shows of an order; with `buyer_id`, only to that buyer. Raises NO_SUCH_ORDER."""
    row = row_or_none(select(Order.__table__).where(Order.id == order_id))
    if row is None or (buyer_id is not None and row.buyer_id != buyer_id):
        raise Refused(Answer.NO_SUCH_ORDER)
    unpaid = row.bill_status == BillStatus.UNPAID
    expires_at = row.deadline_at if unpaid and row.deadline_at else row.phase_since
    return CashierBill(
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


def next_attempt(*, buyer_id: int, order_id: int) -> int:
    """The number of the attempt that `start_payment` would continue or begin now. Raises as that does."""
    with transaction() as session:
        _check_payable(session.get(Order, order_id), buyer_id=buyer_id)
        return _attempt_number(session, order_id)


def start_payment(*, buyer_id: int, order_id: int, return_url: str, attempt: int | None = None) -> str:
    """The URL of the gateway's payment page for an unpaid order. Starting again continues the attempt still open.

    Raises NO_SUCH_ORDER, WRONG_STATE once the order is paid or closed, PAYMENT_LATE after its deadline for payment;
    with `attempt` also TOKEN_REVOKED where another attempt than that one would be continued or begun.
    """
    with transaction() as session:
        order, deadline = _check_payable(session.scalar(_ORDER, {"order_id": order_id}), buyer_id=buyer_id)
        if attempt is not None and attempt != _attempt_number(session, order_id):
            raise Refused(Answer.TOKEN_REVOKED)
        payment = open_attempt(session, order_id) or _new_attempt(session, order)
        return gateway().page_pay_url(
            out_trade_no=payment.out_trade_no,
            amount_fen=payment.amount,
            subject=order.good_title,
            notify_url=notification_url(),
            return_url=return_url,
            expires_at=deadline,
        )


def _check_payable(order: Order | None, *, buyer_id: int) -> tuple[Order, datetime]:
    """The buyer's order, and until when it can be paid. Raises NO_SUCH_ORDER, WRONG_STATE, PAYMENT_LATE."""
    if order is None or order.buyer_id != buyer_id:
        raise Refused(Answer.NO_SUCH_ORDER)
    reasons = order_flow.why_not(order.phase, OrderEvent.PAY, Role.GATEWAY)
    if reasons:
        details = refusal_details(
            order, event=OrderEvent.PAY, role=Role.BUYER, reasons=[reason.zh for reason in reasons]
        )
        raise Refused(Answer.WRONG_STATE, data=details)
    if order.deadline_at is None or utcnow() >= order.deadline_at:
        raise Refused(Answer.PAYMENT_LATE)
    return order, order.deadline_at


def _attempt_number(session: Session, order_id: int) -> int:
    """The number of the open attempt, or of the one that would be next."""
    payment = open_attempt(session, order_id)
    return payment.attempt if payment else 1 + (session.scalar(_ATTEMPTS, {"order_id": order_id}) or 0)


def open_attempt(session: Session, order_id: int) -> Payment | None:
    """The attempt that may still be paid, if there is one."""
    return session.scalar(_OPEN_ATTEMPT, {"order_id": order_id})


def _new_attempt(session: Session, order: Order) -> Payment:
    earlier = session.scalar(_ATTEMPTS, {"order_id": order.id}) or 0
    now = utcnow()
    payment = Payment(
        order_id=order.id,
        attempt=earlier + 1,
        state=PaymentState.OPEN.value,
        out_trade_no=order.order_no if earlier == 0 else f"{order.order_no}_{earlier + 1}",
        amount=order.amount,
        query_at=now + _query_delay(),
        created_at=now,
    )
    session.add(payment)
    session.flush()
    return payment


def process_notification(*, form: Mapping[str, str], origin: str = UNKNOWN) -> bool:
    """Process a notification of the gateway; True if it is genuine, so that the gateway need not repeat it.

    A payment makes its order `PAID`; one for an order that was closed or paid meanwhile is refunded. A notification
    that is forged, or differs from our payment, is recorded with the reason and changes nothing else (False). `origin`
    is the network that it came from: of forged ones, few are recorded from each (`app.orders.notification_records`).
    """
    try:
        notification = gateway().read_notification(form)
    except NotificationRefused as refusal:
        with transaction() as session:
            recorded = record_forged(session, form, origin=origin, refusal=str(refusal))
        if recorded:
            log.warning("notification_refused", reason=refusal.reason.value, field=refusal.code)
        return False
    paid_at = notification.paid_at
    if paid_at is None and notification.status.paid and notification.refunded_fen == 0:
        paid_at = _moment_of_payment(notification.out_trade_no)
    report = TradeReport(
        trade_no=notification.trade_no, amount=notification.amount_fen, status=notification.status, paid_at=paid_at
    )
    with transaction() as session:
        payment = session.scalar(_BY_NUMBER, {"out_trade_no": notification.out_trade_no})
        mismatch = _find_mismatch(payment, report)
        record_signed(session, form, refusal=mismatch)
        if payment is None or mismatch is not None:
            log.warning("notification_refused", reason=mismatch)
            return False
        if notification.refunded_fen == 0:
            _apply_report(session, payment, report)
        else:
            order, locked = _lock_attempt(session, payment.id)
            note_refund(
                session,
                order,
                locked,
                trade_no=notification.trade_no,
                request_no=notification.out_request_no,
                amount=None,
                total=notification.refunded_fen,
            )
    return True


def _moment_of_payment(out_trade_no: str) -> datetime | None:
    """When a trade was paid, by the gateway's answer; None where it gives none now. A notification need not say it."""
    try:
        trade = gateway().query(out_trade_no)
    except (GatewayUnavailable, GatewayRefused) as error:
        log.warning("moment_of_payment_unknown", reason=str(error))
        return None
    return None if trade is None else trade.paid_at


def close_open_trade(*, order_id: int) -> None:
    """Close the attempt that may still be paid, at the gateway first, so that its order can be closed.

    If it was paid meanwhile, the payment is applied instead. Raises GATEWAY_UNAVAILABLE, with a GatewayRefused as its
    cause where the gateway answers but refuses both to close this trade and to report on it.
    """
    payment = row_or_none(
        select(Payment.id, Payment.out_trade_no).where(
            Payment.order_id == order_id, Payment.state == PaymentState.OPEN.value
        )
    )
    if payment is None:
        return
    try:
        known = gateway().close(payment.out_trade_no)
    except GatewayRefused:
        # The trade does not wait for payment, most likely because it was paid a moment ago.
        try:
            _query_gateway(payment.id, payment.out_trade_no)
        except GatewayRefused as error:
            log.error("payment_query_refused", payment_id=payment.id, reason=str(error))  # noqa: TRY400 - no traceback needed
            raise Refused(Answer.GATEWAY_UNAVAILABLE, retry_after=_GATEWAY_RETRY_AFTER) from error
        return
    except GatewayUnavailable as error:
        log.warning("gateway_unavailable", reason=str(error))
        raise Refused(Answer.GATEWAY_UNAVAILABLE, retry_after=_GATEWAY_RETRY_AFTER) from error
    with transaction() as session:
        _, locked = _lock_attempt(session, payment.id)
        if locked.state == PaymentState.OPEN:
            locked.state = PaymentState.CLOSED.value
            # A trade that the gateway does not know yet can still be opened and paid until it expires: keep asking.
            locked.query_at = None if known else locked.query_at


def query_due_payments() -> int:
    """Query the gateway about attempts whose outcome it has not sent in time; returns how many. For the periodic job.

    Attempts are queried until they are paid or closed, or until the gateway does not know them a day after their start.
    """
    with transaction() as session:
        due = session.scalars(
            select(Payment)
            .where(Payment.query_at <= utcnow())
            .order_by(Payment.query_at)
            .limit(_QUERIES_AT_ONCE)
            .with_for_update(skip_locked=True)
        ).all()
        for payment in due:
            # Setting the next time first claims the attempt: other jobs skip it, and if this one dies it is due again.
            wait = _query_delay() * 2 ** min(payment.queries, _MAX_DOUBLINGS)
            payment.query_at = utcnow() + min(wait, _MAX_QUERY_WAIT)
            payment.queries += 1
        claimed = [(payment.id, payment.out_trade_no) for payment in due]
    for payment_id, out_trade_no in claimed:
        try:
            _query_gateway(payment_id, out_trade_no)
        except Refused:
            break  # the gateway is unavailable: the others wait for their next turn
        except GatewayRefused as error:
            log.error("payment_query_refused", payment_id=payment_id, reason=str(error))  # noqa: TRY400 - no traceback needed
    return len(claimed)


def check_paid_trade(*, order_id: int, only_if: Callable[[Any], bool] = lambda _order: True) -> bool:
    """Ask the gateway whether the trade that paid an order still stands: refunded there without us, it holds the order.

    Alipay does not notify of a refund that is made in its console, unless it is told to. Waits for one call at most
    (`ALIPAY_TIMEOUT`), with nothing locked; where the gateway says nothing, the order goes on. Returns False then.

    Nothing is asked where `only_if` of the order's row is false: nobody is about to do what it is asked for.
    """
    found = row_or_none(_PAID_TRADE, {"order_id": order_id})
    return found is None or found.held_at is not None or not only_if(found) or _ask_about_paid_trade(found)


def check_paid_trades() -> int:
    """Ask as `check_paid_trade` about orders that go on, each once a day; returns about how many. For the periodic job.

    The longest unasked come first.
    """
    now = utcnow()
    asked_at = func.coalesce(Payment.checked_at, Payment.paid_at)
    due = (
        _PAID_TRADES.where(~Order.closed, Order.held_at.is_(None), asked_at <= now - _CHECK_AFTER)
        .order_by(asked_at)
        .limit(_QUERIES_AT_ONCE)
        .with_for_update(of=Payment, skip_locked=True)
    )
    with transaction() as session:
        claimed = session.execute(due).all()
        asked = Payment.id.in_([each.payment_id for each in claimed])
        session.execute(update(Payment).where(asked).values(checked_at=now))
    for each in claimed:
        if not _ask_about_paid_trade(each):
            break  # silent: the others wait for their next turn
    return len(claimed)


def _ask_about_paid_trade(found: Any) -> bool:
    """Ask about a row of `_PAID_TRADES`; False where the gateway does not answer."""
    try:
        trade = gateway().query(found.out_trade_no)
    except GatewayUnavailable as error:
        log.warning("gateway_unavailable", reason=str(error))
        return False
    except GatewayRefused as error:
        log.error("payment_query_refused", payment_id=found.payment_id, reason=str(error))  # noqa: TRY400 - no traceback needed
        return True
    if trade is None or (trade.status.paid and trade.trade_no == found.trade_no):
        return True
    report = TradeReport(trade_no=trade.trade_no, amount=trade.amount_fen, status=trade.status, paid_at=trade.paid_at)
    with transaction() as session:
        order, payment = _lock_attempt(session, found.payment_id)
        mismatch = _find_mismatch(payment, report)
        if mismatch is not None:
            log.error("payment_query_contradicts", payment_id=payment.id, reason=mismatch)
        else:
            _compare_with_paid(session, order, payment, report)
    return True


def _query_delay() -> timedelta:
    """The time after which a new attempt is queried first; doubled after each query."""
    return timedelta(seconds=settings().payment_query_after)


def _query_gateway(payment_id: int, out_trade_no: str) -> None:
    """Query the gateway about an attempt and apply its report. Raises GATEWAY_UNAVAILABLE, GatewayRefused."""
    try:
        answer = gateway().query(out_trade_no)
        if answer is not None and answer.status is TradeStatus.WAIT_BUYER_PAY and not _order_awaits_payment(payment_id):
            gateway().close(out_trade_no)
            answer = gateway().query(out_trade_no)
    except GatewayUnavailable as error:
        log.warning("gateway_unavailable", reason=str(error))
        raise Refused(Answer.GATEWAY_UNAVAILABLE, retry_after=_GATEWAY_RETRY_AFTER) from error
    with transaction() as session:
        if answer is None:
            _close_if_never_opened(session, payment_id)
            return
        report = TradeReport(
            trade_no=answer.trade_no, amount=answer.amount_fen, status=answer.status, paid_at=answer.paid_at
        )
        payment = session.get_one(Payment, payment_id)
        mismatch = _find_mismatch(payment, report)
        if mismatch is not None:
            log.error("payment_query_contradicts", payment_id=payment_id, reason=mismatch)
            return
        _apply_report(session, payment, report)


def _order_awaits_payment(payment_id: int) -> bool:
    row = row_or_none(
        select(Order.bill_status, Order.closed)
        .join(Payment, Payment.order_id == Order.id)
        .where(Payment.id == payment_id)
    )
    return row is not None and row.bill_status == BillStatus.UNPAID and not row.closed


def _close_if_never_opened(session: Session, payment_id: int) -> None:
    """Close an attempt that the gateway does not know, once its trade cannot be opened there any more."""
    order, payment = _lock_attempt(session, payment_id)
    if payment.state != PaymentState.PAID and utcnow() > payment.created_at + _NEVER_OPENED_AFTER and order.closed:
        payment.state = PaymentState.CLOSED.value
        payment.query_at = None


def _find_mismatch(payment: Payment | None, report: TradeReport) -> str | None:
    """Why the report does not fit our payment; None if it does."""
    if payment is None:
        return "unknown_trade"
    if payment.amount != report.amount:
        return "other_amount"
    return None


def _lock_attempt(session: Session, payment_id: int) -> tuple[Order, Payment]:
    """The attempt and its order, locked; the good and the order come first, as everywhere."""
    order_id = session.scalars(select(Payment.order_id).where(Payment.id == payment_id)).one()
    _, order = lock_order(session, order_id)
    return order, session.get_one(Payment, payment_id, with_for_update=_LOCK, populate_existing=True)


def _apply_report(session: Session, payment: Payment, report: TradeReport) -> None:
    """Apply the gateway's report on an attempt whose amount was checked; repeating it has no further effect."""
    good, order = lock_order(session, payment.order_id)
    session.refresh(payment, with_for_update=_LOCK)
    if payment.state == PaymentState.PAID:
        _compare_with_paid(session, order, payment, report)
        return
    if report.status.paid:
        payment.state = PaymentState.PAID.value
        payment.paid_at = report.paid_at or utcnow()
        payment.trade_no = report.trade_no
        payment.query_at = None
        session.flush()
        if order_flow.why_not(order.phase, OrderEvent.PAY, Role.GATEWAY):
            if order.bill_status != BillStatus.UNPAID:
                open_second_payment(session, payment, trade_no=report.trade_no, is_refunded=True)
            _refund_late_payment(session, payment)
        else:
            fire(session, good, order, OrderCommand(event=OrderEvent.PAY, role=Role.GATEWAY))
    elif report.status is TradeStatus.TRADE_CLOSED:
        payment.state = PaymentState.CLOSED.value
        payment.trade_no = report.trade_no
        payment.query_at = None


def _compare_with_paid(session: Session, order: Order, payment: Payment, report: TradeReport) -> None:
    """Find what a later report on a paid attempt says of other money: a second trade, or a refund that is not ours."""
    if report.status.paid:
        if report.trade_no != payment.trade_no:
            open_second_payment(session, payment, trade_no=report.trade_no, is_refunded=False)
    elif (
        report.status is TradeStatus.TRADE_CLOSED
        and report.trade_no == payment.trade_no
        # A paid trade is closed by refunding all of it. Our own refund does so, too.
        and session.scalar(_OWN_REFUND, {"payment_id": payment.id}) is None
    ):
        note_refund_elsewhere(session, order, payment, request_no=None, amount=None, total=payment.amount)


def open_second_payment(session: Session, payment: Payment, *, trade_no: str, is_refunded: bool) -> None:
    """Open the case about a payment of an order that was paid before, as the gateway's `trade_no`."""
    open_case(
        session,
        kind=MoneyCaseKind.SECOND_PAYMENT,
        key=second_payment_key(payment.out_trade_no, trade_no),
        reason=f"{payment.out_trade_no} was paid as trade {trade_no}, and the order was paid before",
        order_id=payment.order_id,
        payment_id=payment.id,
        details={
            "out_trade_no": payment.out_trade_no,
            "trade_no": trade_no,
            "amount": payment.amount,
            "refunded_by_us": is_refunded,
        },
    )


def note_refund(
    session: Session,
    order: Order,
    payment: Payment,
    *,
    trade_no: str,
    request_no: str | None,
    amount: int | None,
    total: int | None,
    at: datetime | None = None,
) -> None:
    """Record a refund that the gateway tells of: of the trade that paid the order, or of a second payment.

    Order and payment are locked; `amount`, `total` and `at` are those of `note_refund_elsewhere`. A second payment is
    in no book of ours: its refund touches neither payment nor order, and closes its case once all of it went back.
    """
    if payment.trade_no in (None, trade_no):
        note_refund_elsewhere(session, order, payment, request_no=request_no, amount=amount, total=total, at=at)
        return
    open_second_payment(session, payment, trade_no=trade_no, is_refunded=False)
    case = session.scalars(
        select(MoneyCase)
        .where(MoneyCase.key == second_payment_key(payment.out_trade_no, trade_no))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    refunds = dict(case.details.get("refunds", {}))
    if amount is not None:
        refunds[request_no or stand_in_number(at or utcnow(), amount)] = amount
    refunded = max(case.details.get("refunded", 0), total or 0, sum(refunds.values()))
    case.details = {**case.details, "refunded": refunded, "refunds": refunds}
    if case.closed_at is None and refunded >= payment.amount:
        case.closed_at, case.decision = utcnow(), SETTLED


def second_payment_key(out_trade_no: str, trade_no: str) -> str:
    """The key of the case about a payment of an order that was paid before."""
    return f"second_payment:{out_trade_no}:{trade_no}"


def record_paid_trade(session: Session, payment: Payment, *, trade_no: str, paid_at: datetime) -> None:
    """Record a payment without the gateway's report (for the demo market), in the caller's transaction."""
    report = TradeReport(trade_no=trade_no, amount=payment.amount, status=TradeStatus.TRADE_SUCCESS, paid_at=paid_at)
    _apply_report(session, payment, report)


def _refund_late_payment(session: Session, payment: Payment) -> None:
    """Refund a payment at once, because its order is closed, or was paid by another attempt."""
    log.warning(PAID_LATE, order_id=payment.order_id, payment_id=payment.id)
    transfer = Transfer(
        order_account(AccountKind.GATEWAY_CLEARING, payment.order_id),
        order_account(AccountKind.REFUND_CLEARING, payment.order_id),
        payment.amount,
    )
    posting = Posting(
        key=f"payment:{payment.id}:late", kind=PAID_LATE, order_id=payment.order_id, transfers=(transfer,)
    )
    create_refund_of(session, payment, reason=PAID_LATE)
    post(session, [posting], at=utcnow())
