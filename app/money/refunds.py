"""Refunds: created by an order's step, sent to the gateway by a job, posted to the ledger once confirmed.

What the gateway's codes mean is a table, `app.money.gateways.alipay_codes`. A refund that it refuses, or does not
confirm within a day, is also a case for staff (`app.money.cases`); we owe it until it is confirmed.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, exists, insert, select, update
from sqlalchemy.orm import Session

from app.clock import format_moment, utcnow
from app.db.columns import Base
from app.db.transactions import transaction
from app.ledger.models import AccountKind
from app.ledger.service import Posting, Transfer, order_account, post
from app.money.cases import SETTLED, close_case, open_case, refund_key
from app.money.gateway import gateway
from app.money.gateways.base import GatewayRefused, GatewayUnavailable, TradeStatus, Verdict
from app.money.models import PAID_LATE, MoneyCaseKind, Payment, PaymentState, Refund, RefundState
from app.outbox.models import Topic
from app.outbox.service import PermanentFailure, add_message, revive
from statemachine import ORDER, OrderEvent

# Built once, because every refund of a sweep needs them.
_PAYMENT_TO_REFUND: Final = select(Payment).where(
    Payment.order_id == bindparam("order_id"),
    Payment.state == PaymentState.PAID.value,
    # Late payments of the same order already have a refund.
    ~exists().where(Refund.payment_id == Payment.id),
)
_REFUNDS: Final = Base.metadata.tables[Refund.__tablename__]
_INSERT: Final = insert(_REFUNDS).returning(_REFUNDS.c.id)

_CASE_AFTER: Final = timedelta(hours=24)
"""How long a refund is asked for before staff are told."""

UNDECIDED_FOR: Final = timedelta(hours=24)
"""How long a refund may still be made after a request that was not answered finally; as of payouts."""


class RefundNotDecidable(Exception):  # noqa: N818 - says what happened
    """What staff want to do about a refund cannot be done; the text, in Chinese, says why."""


def create_refund(session: Session, *, order_id: int, reason: str) -> None:
    """Create the refund of the payment that funded the order, in the caller's transaction; a job sends it afterwards.

    `reason` is the order's event that causes the refund.
    """
    payment = session.scalars(_PAYMENT_TO_REFUND, {"order_id": order_id}).one()
    create_refund_of(session, payment, reason=reason)


def create_refund_of(session: Session, payment: Payment, *, reason: str) -> None:
    """Create the refund of the whole of `payment`. Once per payment: the database refuses a second one."""
    refund = {
        "payment_id": payment.id,
        "request_no": f"{payment.out_trade_no}_R1",
        "amount": payment.amount,
        "reason": reason,
        "state": RefundState.PENDING.value,
        "attempts": 0,
        "created_at": utcnow(),
    }
    refund_id = session.execute(_INSERT, refund).scalar_one()
    add_message(session, Topic.PAYMENT_REFUND, refund_id, stream=f"payment:{payment.id}")


def send_refund(*, refund_id: int) -> None:
    """Ask the gateway to pay a refund, and post it to the ledger once confirmed. Safe to repeat after a crash anywhere.

    Raises GatewayUnavailable (the outbox retries) or PermanentFailure (sending it again cannot help); the refund's row
    records either. What went back to the payer without us, at the gateway's console, is not sent again: of a payment
    of which we know that, the gateway is asked first what is left. The payer is told that he has the whole amount only
    where he has it by the gateway's own word.
    """
    with transaction() as session:
        refund = session.get(Refund, refund_id, with_for_update=True)
        if refund is None or refund.state == RefundState.CONFIRMED:
            return
        payment = session.get_one(Payment, refund.payment_id)
        refund.attempts += 1
        earlier, refund.undecided_at = refund.undecided_at, utcnow()
        attempt = _Attempt(
            refund_id=refund_id,
            begun_at=refund.undecided_at,
            earlier=earlier,
            out_trade_no=payment.out_trade_no,
            trade_no=payment.trade_no,
            request_no=refund.request_no,
            reason=_reason_text(refund.reason),
            amount=refund.amount,
            elsewhere=payment.refunded_elsewhere,
        )
    try:
        went_back_elsewhere = _pay(attempt)
    except GatewayUnavailable as error:
        # "Try again" says that nothing was done.
        is_decided = error.verdict is Verdict.RETRY or isinstance(error, _NothingUnderWay)
        _record_failure(attempt, verdict=error.verdict, error=str(error), is_decided=is_decided)
        raise
    except GatewayRefused as refusal:
        _record_failure(attempt, verdict=refusal.verdict, error=str(refusal), is_decided=refusal.is_decided)
        if refusal.verdict is Verdict.STOP:
            raise PermanentFailure(str(refusal)) from refusal
        raise GatewayUnavailable(str(refusal), verdict=refusal.verdict) from refusal
    _confirm(refund_id, paid_otherwise=False, elsewhere=went_back_elsewhere)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """A request for a refund. `earlier` is when one before it was left undecided.

    `amount` (fen) is what the payer is to have, `elsewhere` what of it he has already, as far as we know.
    """

    refund_id: int
    begun_at: datetime
    earlier: datetime | None
    out_trade_no: str
    trade_no: str | None
    request_no: str
    reason: str
    amount: int
    elsewhere: int

    @property
    def rest(self) -> int:
        """What is left to send."""
        return self.amount - self.elsewhere


class _NothingUnderWay(GatewayUnavailable):
    """The payer has not got all of it, and the gateway will not make it so by what this attempt asked for."""


def _pay(attempt: _Attempt) -> int:
    """Let the gateway pay what the payer has not got yet; what went back without us (fen).

    Raises GatewayUnavailable, GatewayRefused, and _NothingUnderWay; as a person's case where the payer has less by the
    gateway's word than by our books.
    """
    try:
        if attempt.elsewhere and _is_all_back(attempt.out_trade_no, attempt.trade_no):
            return attempt.elsewhere if _is_made(attempt) else attempt.amount
    except (GatewayUnavailable, GatewayRefused) as error:
        raise _NothingUnderWay(str(error), verdict=error.verdict) from error
    if attempt.rest == 0:
        raise _NothingUnderWay("the gateway has not given all of it back", verdict=Verdict.PERSON)
    try:
        made = gateway().refund(
            out_trade_no=attempt.out_trade_no,
            amount_fen=attempt.rest,
            out_request_no=attempt.request_no,
            reason=attempt.reason,
        )
    except GatewayRefused as refusal:
        # It was not made, perhaps because nothing is left: of that Alipay does not notify by itself.
        with suppress(GatewayUnavailable, GatewayRefused):
            if refusal.verdict is Verdict.STOP and _is_all_back(attempt.out_trade_no, attempt.trade_no):
                return attempt.amount
        raise
    if made.total_fen is not None and made.total_fen < attempt.amount:
        text = f"only {made.total_fen} of {attempt.amount} fen went back"
        raise _NothingUnderWay(text, verdict=Verdict.PERSON)
    return attempt.elsewhere


def _is_all_back(out_trade_no: str, trade_no: str | None) -> bool:
    """Whether all of the trade went back to its payer: the gateway closes a paid trade then, and only then."""
    trade = gateway().query(out_trade_no)
    return trade is not None and trade.status is TradeStatus.TRADE_CLOSED and trade_no in (None, trade.trade_no)


def _is_made(attempt: _Attempt) -> bool:
    """Whether a part of what went back is our refund, by an earlier request."""
    return attempt.rest > 0 and gateway().refunded(
        out_trade_no=attempt.out_trade_no, amount_fen=attempt.rest, out_request_no=attempt.request_no
    )


def retry_refund(*, refund_id: int) -> None:
    """Let the outbox ask the gateway again, now. Raises RefundNotDecidable for one that is confirmed."""
    with transaction() as session:
        refund = _unconfirmed(session, refund_id)
        refund.state = RefundState.PENDING.value
        revive_request(session, refund)


def revive_request(session: Session, refund: Refund) -> None:
    """As `retry_refund`, in the caller's transaction and without the refund's lock: that is taken first of all."""
    if not revive(session, Topic.PAYMENT_REFUND, refund.id):
        add_message(session, Topic.PAYMENT_REFUND, refund.id, stream=f"payment:{refund.payment_id}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundAnswer:
    """What the gateway told staff of a refund. `undecided_at` is what the refund said of its requests just before."""

    is_made: bool
    """False where the gateway has made no such refund, and will make none by an earlier request."""
    is_short: bool
    """Whether it made ours, but not all went back that our books say."""
    undecided_at: datetime | None


def ask_about_refund(*, refund_id: int) -> RefundAnswer:
    """Ask the gateway about a refund, for staff who want to record that it was paid. No lock is held meanwhile.

    Raises RefundNotDecidable for one that is confirmed, where the gateway does not answer, and where it may still make
    the refund: within a day of a request that it has not refused.
    """
    with transaction() as session:
        refund = _unconfirmed(session, refund_id)
        payment = session.get_one(Payment, refund.payment_id)
        elsewhere, undecided_at = payment.refunded_elsewhere, refund.undecided_at
        amount, request_no = refund.amount - elsewhere, refund.request_no
        out_trade_no, trade_no = payment.out_trade_no, payment.trade_no
    try:
        is_made = amount > 0 and gateway().refunded(
            out_trade_no=out_trade_no, amount_fen=amount, out_request_no=request_no
        )
        is_short = is_made and elsewhere > 0 and not _is_all_back(out_trade_no, trade_no)
    except (GatewayUnavailable, GatewayRefused):
        raise RefundNotDecidable("支付宝暂未答复这笔退款的结果,请稍后再试") from None
    if not is_made and undecided_at is not None and utcnow() < undecided_at + UNDECIDED_FOR:
        until = format_moment(undecided_at + UNDECIDED_FOR)
        raise RefundNotDecidable(f"支付宝仍可能退回这笔款项,{until} 之后才能处理")
    return RefundAnswer(is_made=is_made, is_short=is_short, undecided_at=undecided_at)


def mark_refund_paid(*, refund_id: int, answer: RefundAnswer) -> None:
    """Record a refund as paid, because staff paid it otherwise (线下退款), or the gateway made it.

    It is asked for no more. Raises RefundNotDecidable for one that is confirmed, or was asked for since the gateway
    gave its `answer`: it may just be making it, and then the payer would have it twice. Nor where the gateway made our
    part and the rest is missing: of one of them the payer would be told what is not so.
    """
    if answer.is_short:
        raise RefundNotDecidable("支付宝没有退回全部款项:请在商家平台补退差额后重试,不能补退的另行退付")
    _record_as_paid(refund_id, answer, paid_otherwise=not answer.is_made)


def mark_rest_paid(*, refund_id: int, answer: RefundAnswer) -> None:
    """Record a refund as paid, of which the gateway made our part, and staff have paid otherwise what is missing.

    Raises as `mark_refund_paid`, and where nothing is missing or all is. To the gateway it is a refund as any other,
    so the bill is expected to have our part.
    """
    if not answer.is_short:
        raise RefundNotDecidable("支付宝没有部分退回这笔款项,不存在差额")
    _record_as_paid(refund_id, answer, paid_otherwise=False)


def _record_as_paid(refund_id: int, answer: RefundAnswer, *, paid_otherwise: bool) -> None:
    with transaction() as session:
        if _unconfirmed(session, refund_id).undecided_at != answer.undecided_at:
            raise RefundNotDecidable("这笔退款刚刚又请求了支付宝,请稍后再试")
        _confirm(refund_id, paid_otherwise=paid_otherwise)


def note_made_after_all(session: Session, refund: Refund, *, order_id: int) -> None:
    """Let staff see to a refund that the gateway reports as made: where they had paid it otherwise, he has it twice."""
    if not refund.paid_otherwise:
        return
    open_case(
        session,
        kind=MoneyCaseKind.REFUND,
        key=f"refund_twice:{refund.id}",
        reason=f"the gateway made {refund.request_no} after it was paid otherwise: the payer has it twice",
        order_id=order_id,
        payment_id=refund.payment_id,
        refund_id=refund.id,
        details={"request_no": refund.request_no, "amount": refund.amount},
    )


def check_refund_ended(*, refund_id: int) -> None:
    """Raises RefundNotDecidable for one that is not confirmed: staff cannot let that be."""
    with transaction() as session:
        if session.get_one(Refund, refund_id, with_for_update=True).state != RefundState.CONFIRMED.value:
            raise RefundNotDecidable("这笔退款还没有结果")


def _unconfirmed(session: Session, refund_id: int) -> Refund:
    refund = session.get_one(Refund, refund_id, with_for_update=True)
    if refund.state == RefundState.CONFIRMED.value:
        raise RefundNotDecidable("这笔退款已经完成")
    return refund


def _reason_text(reason: str) -> str:
    """The reason as the payer reads it at the gateway."""
    return "订单已关闭或已支付" if reason == PAID_LATE else ORDER.events[OrderEvent(reason)].zh


def _record_failure(attempt: _Attempt, *, verdict: Verdict, error: str, is_decided: bool) -> None:
    """Record an answer that does not confirm the refund; with a case where a person is needed, or a day has passed.

    `is_decided` where the gateway will not make it by this attempt.
    """
    refund_id = attempt.refund_id
    state = RefundState.REFUSED if verdict is Verdict.STOP else RefundState.PENDING
    with transaction() as session:
        refund = session.get_one(Refund, refund_id, with_for_update=True)
        # A confirmed refund stays confirmed, even if a second job at the same time failed.
        if refund.state == RefundState.CONFIRMED:
            return
        refund.state = state.value
        refund.last_error = error[:200]
        if is_decided and refund.undecided_at == attempt.begun_at:  # no other job has asked since
            refund.undecided_at = attempt.earlier
        if verdict in (Verdict.PERSON, Verdict.STOP) or utcnow() >= refund.created_at + _CASE_AFTER:
            open_case(
                session,
                kind=MoneyCaseKind.REFUND,
                key=refund_key(refund_id),
                reason=refund.last_error,
                order_id=session.get_one(Payment, refund.payment_id).order_id,
                payment_id=refund.payment_id,
                refund_id=refund_id,
                details={"request_no": refund.request_no, "amount": refund.amount},
                reopen=True,
            )


def _confirm(refund_id: int, *, paid_otherwise: bool, elsewhere: int = 0) -> None:
    """Record a refund as made, and what of it went back without us, if that is more than we knew."""
    with transaction() as session:
        refund = session.get_one(Refund, refund_id, with_for_update=True)
        if refund.state == RefundState.CONFIRMED:
            return
        refund.state = RefundState.CONFIRMED.value
        refund.last_error = None
        refund.confirmed_at = utcnow()
        refund.undecided_at, refund.paid_otherwise = None, paid_otherwise
        order_id = session.get_one(Payment, refund.payment_id).order_id
        close_case(session, refund_key(refund_id), decision=SETTLED)
        add_message(session, Topic.REFUND_CONFIRMED, refund_id)
        session.flush()
        post(
            session,
            [
                Posting(
                    key=f"refund:{refund.id}",
                    kind="refund_confirmed",
                    order_id=order_id,
                    transfers=(
                        Transfer(
                            order_account(AccountKind.REFUND_CLEARING, order_id),
                            order_account(AccountKind.GATEWAY_CLEARING, order_id),
                            refund.amount,
                        ),
                    ),
                )
            ],
            at=refund.confirmed_at,
        )
        if elsewhere:
            # Last, as who holds a payment waits for nothing that is held here.
            session.execute(
                update(Payment)
                .where(Payment.id == refund.payment_id, Payment.refunded_elsewhere < elsewhere)
                .values(refunded_elsewhere=elsewhere)
                .execution_options(synchronize_session=False)
            )
