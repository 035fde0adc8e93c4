"""Withdrawals: money is taken out of the wallet, transferred by the gateway, and put back if the gateway refuses.

It is in the account payout_clearing until the gateway's answer is final. The outbox runs `send_payout` until then:
every attempt uses the payout's own number, so the gateway transfers the money once. What the gateway's codes mean is a
table, `app.money.gateways.alipay_codes`. Only a refusal for the payee's own fault is final, and not while an earlier
request may still be carried out. All else is asked for again, and becomes a case for staff (`app.money.cases`).
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final

import structlog
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.answers import Answer, Refused
from app.clock import SHANGHAI, format_moment, utcnow
from app.db.transactions import transaction
from app.fen import format_yuan
from app.ledger.models import AccountKind
from app.ledger.service import InsufficientFunds, Posting, Transfer, payout_account, post, user_account
from app.money.cases import SETTLED, close_case, open_case, payout_key
from app.money.gateway import gateway
from app.money.gateways.base import GatewayRefused, GatewayUnavailable, TransferResult, TransferStatus, Verdict
from app.money.models import MoneyCaseKind
from app.notifications.models import NotificationKind
from app.notifications.service import notify
from app.outbox.models import Topic
from app.outbox.service import PermanentFailure, add_message, revive
from app.settings import settings
from app.wallet.models import Payout, PayoutPosting, PayoutState
from app.wallet.texts import PAID_NOTICE, PAID_OTHERWISE_NOTICE, REFUSAL_TEXT, REFUSED_TEXT

log = structlog.get_logger(__name__)

# The title of the transfer, which the payee sees.
_TITLE = "咸鱼钱包提现"

UNDECIDED_FOR: Final = timedelta(hours=24)
"""How long a transfer may still be made after a request that was not answered finally.

Alipay says of such requests "try again later" (REQUEST_PROCESSING) and of a query just after them ORDER_NOT_EXIST,
without a time; its own limit for a transfer to be carried out is a day.
"""


class PayoutUnderWay(Exception):  # noqa: N818 - says what happened
    """The gateway has not said its last word about the transfer: ask again later."""


class _DecidedMeanwhile(Exception):  # noqa: N818 - says what happened
    """Staff have decided the payout while the gateway was asked about it: no transfer may be asked for any more."""


class PayoutNotDecidable(Exception):  # noqa: N818 - says what happened
    """What staff want to do about a payout cannot be done now; the text, in Chinese, says why."""


def request_payout(*, user_id: int, amount: int, account: str, name: str) -> int:
    """Take `amount` fen out of the user's available balance, for the Alipay account `account` of the person `name`.

    Returns the payout's id. Raises INSUFFICIENT_FUNDS, NO_SUCH_USER, and TOO_MANY_WITHDRAWALS where the user has made
    WITHDRAW_DAILY_LIMIT of them on this day in Asia/Shanghai.
    """
    with transaction() as session:
        # Locked before withdrawals are counted, so that simultaneous ones of one user cannot exceed the limit.
        if session.scalar(select(User.id).where(User.id == user_id).with_for_update(key_share=True)) is None:
            raise Refused(Answer.NO_SUCH_USER)
        now = utcnow()
        _refuse_too_many(session, user_id, now)
        values = {
            "user_id": user_id,
            "out_biz_no": _new_out_biz_no(now),
            "amount": amount,
            "account": account,
            "name": name,
            "state": PayoutState.PENDING.value,
            "attempts": 0,
            "created_at": now,
        }
        payout_id = session.execute(insert(Payout).values(values).returning(Payout.id)).scalar_one()
        available = user_account(AccountKind.SELLER_AVAILABLE, user_id)
        clearing = payout_account(AccountKind.PAYOUT_CLEARING, user_id)
        transfer = Transfer(available, clearing, amount)
        try:
            post(session, [_posting(payout_id, PayoutPosting.REQUESTED, transfer)], at=now)
        except InsufficientFunds:
            raise Refused(Answer.INSUFFICIENT_FUNDS) from None
        add_message(session, Topic.PAYOUT, payout_id)
    log.info("payout_requested", payout_id=payout_id, amount=amount)
    return payout_id


def _refuse_too_many(session: Session, user_id: int, now: datetime) -> None:
    today = datetime.combine(now.astimezone(SHANGHAI).date(), time(), SHANGHAI)
    made = session.execute(
        select(func.count()).select_from(Payout).where(Payout.user_id == user_id, Payout.created_at >= today)
    ).scalar_one()
    if made >= settings().withdraw_daily_limit:
        left = today + timedelta(days=1) - now
        raise Refused(Answer.TOO_MANY_WITHDRAWALS, retry_after=int(left.total_seconds()) + 1)


def send_payout(*, payout_id: int) -> None:
    """Let the gateway transfer the money, and record its answer. Safe to run twice, and to be killed at any line.

    A refusal because of the payee puts the money back into the wallet; the user is notified either way. Raises
    GatewayUnavailable or PayoutUnderWay (try again later), PermanentFailure where sending it again cannot help. The
    payout stays pending then, and where a person is needed, or a day has passed, there is a case for staff.
    """
    with transaction() as session:
        payout = session.get(Payout, payout_id, with_for_update=True)
        if payout is None:
            raise PermanentFailure(f"there is no payout {payout_id}")
        if payout.state != PayoutState.PENDING.value:
            return
        payout.attempts += 1
        asked_before = payout.attempts > 1
        request: _Request | None = None
        if not asked_before:
            request = _Request(begun_at=utcnow(), earlier=None)
            payout.undecided_at = request.begun_at
        out_biz_no, amount, account, name = payout.out_biz_no, payout.amount, payout.account, payout.name
    try:
        # The answer to an earlier attempt may have been lost, so the gateway is asked for its outcome first.
        result = _earlier_transfer(out_biz_no, amount) if asked_before else None
        if result is None:
            request = request or _begin_request(payout_id)
            result = gateway().transfer(
                out_biz_no=out_biz_no, amount_fen=amount, payee_account=account, payee_name=name, title=_TITLE
            )
    except _DecidedMeanwhile:
        return
    except GatewayUnavailable as error:
        # "Try again" says that nothing was done: the payout is as undecided as before the request.
        decided = request if error.verdict is Verdict.RETRY else None
        _leave_open(payout_id, str(error), verdict=error.verdict, decided=decided)
        raise
    except PermanentFailure as error:
        _leave_open(payout_id, str(error), verdict=Verdict.STOP)
        raise
    except GatewayRefused as refusal:
        assert request is not None  # noqa: S101 - a question that is refused raises GatewayUnavailable
        _process_refusal(payout_id, refusal, request)
        return
    _record_result(payout_id, result)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """A request for a transfer. `earlier` is when one before it was left undecided."""

    begun_at: datetime
    earlier: datetime | None


def _begin_request(payout_id: int) -> _Request:
    """Record that the gateway is about to be asked for the transfer once more.

    Raises _DecidedMeanwhile.
    """
    with transaction() as session:
        payout = _pending(session, payout_id)
        if payout is None:
            raise _DecidedMeanwhile
        request = _Request(begun_at=utcnow(), earlier=payout.undecided_at)
        payout.undecided_at = request.begun_at
        return request


def _process_refusal(payout_id: int, refusal: GatewayRefused, request: _Request) -> None:
    """What follows from a refused request.

    Unless it is open what became of it, the payout is as undecided as before it: asking on keeps staff from nothing.
    """
    # Only the codes: the gateway's message may quote the payee.
    codes = f"{refusal.code} {refusal.sub_code}"
    if refusal.verdict is not Verdict.FINAL:
        _leave_open(payout_id, codes, verdict=refusal.verdict, decided=request if refusal.is_decided else None)
        if refusal.verdict is Verdict.STOP:
            raise PermanentFailure(f"the gateway refused: {codes}") from None
        raise GatewayUnavailable(f"the gateway refused: {codes}", verdict=refusal.verdict) from None
    if request.earlier is not None and utcnow() < request.earlier + UNDECIDED_FOR:
        # This request is decided, the one before is not.
        _leave_open(payout_id, codes, verdict=Verdict.ASK, decided=request)
        raise PayoutUnderWay(f"payout {payout_id} was refused, but an earlier request may still be carried out")
    with transaction() as session:
        payout = _pending(session, payout_id)
        if payout is None:
            return
        # Otherwise another job has asked since, and may be about to be paid.
        if payout.undecided_at == request.begun_at:
            payout.last_error = codes[:200]
            _fail(payout_id, REFUSAL_TEXT.get(refusal.sub_code, REFUSED_TEXT))
            return
    _leave_open(payout_id, codes, verdict=Verdict.ASK)
    raise PayoutUnderWay(f"payout {payout_id} was refused, but has been asked for once more")


def _earlier_transfer(out_biz_no: str, amount: int) -> TransferResult | None:
    """The outcome of earlier attempts; None where the gateway knows of none."""
    try:
        known = gateway().query_transfer(out_biz_no)
    except GatewayRefused as refusal:
        # The query was refused, not the transfer, which may have been carried out: the money must not be put back.
        raise GatewayUnavailable(
            f"it does not tell of earlier attempts: {refusal.code} {refusal.sub_code}", verdict=refusal.verdict
        ) from None
    if known is not None and known.amount_fen not in (None, amount):
        # Another transfer has the payout's number (PAYMENT_INFO_INCONSISTENCY above), and the outcome of ours is
        # unknown.
        raise PermanentFailure("the gateway knows another amount under this number")
    return known


def _leave_open(payout_id: int, error: str, *, verdict: Verdict, decided: _Request | None = None) -> None:
    """Record an answer that decides nothing; with a case for staff where a person is needed, or a day has passed.

    `decided` is the request by which the transfer will not be made; those before it still may.
    """
    with transaction() as session:
        payout = _pending(session, payout_id)
        if payout is None:
            return
        payout.last_error = error[:200]
        if decided is not None and payout.undecided_at == decided.begun_at:  # no other job has asked since
            payout.undecided_at = decided.earlier
        if verdict in (Verdict.PERSON, Verdict.STOP) or utcnow() >= payout.created_at + UNDECIDED_FOR:
            _open_payout_case(session, payout, payout.last_error)


def retry_payout(*, payout_id: int) -> None:
    """Let the outbox ask the gateway again, now. Raises PayoutNotDecidable where the payout is decided."""
    with transaction() as session:
        _undecided(session, payout_id)
        if not revive(session, Topic.PAYOUT, payout_id):
            add_message(session, Topic.PAYOUT, payout_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutAnswer:
    """What the gateway told staff of a payout. `undecided_at` is what the payout said of its requests just before."""

    known: TransferResult | None
    """None where the gateway knows no such transfer, and none can be made any more."""
    undecided_at: datetime | None


def ask_about_payout(*, payout_id: int) -> PayoutAnswer:
    """Ask the gateway about a pending payout, for staff who want to decide it. No lock is held meanwhile.

    Raises PayoutNotDecidable where the gateway does not answer, or the transfer may still be made: it is under way, or
    unknown less than a day after the last request for it.
    """
    with transaction() as session:
        payout = _undecided(session, payout_id)
        out_biz_no, amount, undecided_at = payout.out_biz_no, payout.amount, payout.undecided_at
    try:
        known = gateway().query_transfer(out_biz_no)
    except (GatewayUnavailable, GatewayRefused):
        raise PayoutNotDecidable("支付宝暂未答复这笔转账的结果,请稍后再试") from None
    if known is not None and (known.amount_fen or amount) != amount:
        known = None  # it is another transfer that has the number
    if known is not None and known.status is TransferStatus.DEALING:
        raise PayoutNotDecidable("支付宝仍在处理这笔转账")
    if known is None and undecided_at is not None and utcnow() < undecided_at + UNDECIDED_FOR:
        until = format_moment(undecided_at + UNDECIDED_FOR)
        raise PayoutNotDecidable(f"支付宝仍可能付出这笔转账,{until} 之后才能处理")
    return PayoutAnswer(known=known, undecided_at=undecided_at)


def mark_payout_paid(*, payout_id: int, answer: PayoutAnswer) -> None:
    """Record a payout as paid, because staff have seen that it was, and the gateway does not say otherwise.

    Raises PayoutNotDecidable, also where the transfer was asked for, or decided, since the gateway gave its `answer`.
    """
    known = answer.known
    if known is not None and known.status in (TransferStatus.FAIL, TransferStatus.REFUND):
        raise PayoutNotDecidable("支付宝显示这笔转账没有成功")
    with transaction() as session:
        _still_as_answered(session, payout_id, answer)
        _confirm(payout_id, None if known is None else known.order_id, paid_otherwise=known is None)


def credit_payout_back(*, payout_id: int, answer: PayoutAnswer) -> None:
    """Put the money of a payout back into the wallet, because staff have seen that it was not paid.

    The gateway must know the transfer as failed, or not at all. Raises PayoutNotDecidable as `mark_payout_paid` does.
    """
    if answer.known is not None and answer.known.status is TransferStatus.SUCCESS:
        raise PayoutNotDecidable("支付宝显示这笔转账已经成功")
    with transaction() as session:
        _still_as_answered(session, payout_id, answer)
        _fail(payout_id, REFUSED_TEXT)


def check_payout_ended(*, payout_id: int) -> None:
    """Raises PayoutNotDecidable for a pending payout: staff cannot let that be."""
    with transaction() as session:
        if _pending(session, payout_id) is not None:
            raise PayoutNotDecidable("这笔提现还没有结果")


def _undecided(session: Session, payout_id: int) -> Payout:
    payout = _pending(session, payout_id)
    if payout is None:
        raise PayoutNotDecidable("这笔提现已经有结果")
    return payout


def _still_as_answered(session: Session, payout_id: int, answer: PayoutAnswer) -> None:
    """Refuse to decide what was asked for since: the gateway may just be carrying it out."""
    if _undecided(session, payout_id).undecided_at != answer.undecided_at:
        raise PayoutNotDecidable("这笔转账刚刚又请求了支付宝,请稍后再试")


def _record_result(payout_id: int, result: TransferResult) -> None:
    match result.status:
        case TransferStatus.SUCCESS:
            _confirm(payout_id, result.order_id, paid_otherwise=False)
        case TransferStatus.DEALING:
            _leave_open(payout_id, TransferStatus.DEALING.value, verdict=Verdict.ASK)
            raise PayoutUnderWay(f"the gateway is still at payout {payout_id}")
        case TransferStatus.FAIL | TransferStatus.REFUND:
            code = (result.failure or "").partition(" ")[0]
            _record_error(payout_id, f"{result.status.value} {code}")
            _fail(payout_id, REFUSAL_TEXT.get(code, REFUSED_TEXT))


def _confirm(payout_id: int, gateway_order_no: str | None, *, paid_otherwise: bool) -> None:
    with transaction() as session:
        payout = session.get_one(Payout, payout_id, with_for_update=True)
        if payout.state != PayoutState.PENDING.value:
            _note_paid_after_all(session, payout, gateway_order_no)
            return
        now = utcnow()
        payout.state, payout.finished_at, payout.last_error = PayoutState.CONFIRMED.value, now, None
        payout.gateway_order_no, payout.paid_otherwise = gateway_order_no, paid_otherwise
        close_case(session, payout_key(payout_id), decision=SETTLED)
        clearing = payout_account(AccountKind.PAYOUT_CLEARING, payout.user_id)
        paid_out = payout_account(AccountKind.PAID_OUT, payout.user_id)
        transfer = Transfer(clearing, paid_out, payout.amount)
        post(session, [_posting(payout_id, PayoutPosting.CONFIRMED, transfer)], at=now)
        title, text = PAID_OTHERWISE_NOTICE if paid_otherwise else PAID_NOTICE
        text = text.format(amount=format_yuan(payout.amount))
        _notify(session, payout, title=title, text=text, event=PayoutPosting.CONFIRMED)
    log.info("payout_confirmed", payout_id=payout_id)


def _fail(payout_id: int, reason: str) -> None:
    with transaction() as session:
        payout = _pending(session, payout_id)
        if payout is None:
            return
        now = utcnow()
        payout.state, payout.finished_at, payout.reason = PayoutState.FAILED.value, now, reason
        close_case(session, payout_key(payout_id), decision=SETTLED)
        clearing = payout_account(AccountKind.PAYOUT_CLEARING, payout.user_id)
        available = user_account(AccountKind.SELLER_AVAILABLE, payout.user_id)
        transfer = Transfer(clearing, available, payout.amount)
        post(session, [_posting(payout_id, PayoutPosting.FAILED, transfer)], at=now)
        text = f"{reason}。{format_yuan(payout.amount)} 元已退回钱包可用余额。"
        _notify(session, payout, title="提现失败", text=text, event=PayoutPosting.FAILED)
    log.warning("payout_failed", payout_id=payout_id)


def _note_paid_after_all(session: Session, payout: Payout, gateway_order_no: str | None) -> None:
    """Let staff see to it where the gateway paid what was decided without that: the seller has the money twice."""
    if payout.state == PayoutState.CONFIRMED.value and payout.gateway_order_no == gateway_order_no:
        return
    log.error("payout_paid_after_all", payout_id=payout.id, state=payout.state)
    _open_payout_case(session, payout, f"the gateway paid it after it was {payout.state}: {gateway_order_no}")


def _open_payout_case(session: Session, payout: Payout, reason: str) -> None:
    open_case(
        session,
        kind=MoneyCaseKind.PAYOUT,
        key=payout_key(payout.id),
        reason=reason,
        payout_id=payout.id,
        details={"payout_no": payout.out_biz_no, "amount": payout.amount, "user_id": payout.user_id},
        reopen=True,
    )


def _pending(session: Session, payout_id: int) -> Payout | None:
    """The payout, locked; None where another run has finished it."""
    payout = session.get_one(Payout, payout_id, with_for_update=True)
    return payout if payout.state == PayoutState.PENDING.value else None


def _record_error(payout_id: int, error: str) -> None:
    with transaction() as session:
        payout = _pending(session, payout_id)
        if payout is not None:
            payout.last_error = error[:200]


def _notify(session: Session, payout: Payout, *, title: str, text: str, event: PayoutPosting) -> None:
    notify(session, user_id=payout.user_id, kind=NotificationKind.PAYOUT, title=title, text=text, event=event.value)


def _posting(payout_id: int, kind: PayoutPosting, transfer: Transfer) -> Posting:
    suffix = kind.value.removeprefix("payout_")
    return Posting(key=f"payout:{payout_id}:{suffix}", kind=kind.value, order_id=None, transfers=(transfer,))


def _new_out_biz_no(now: datetime) -> str:
    """The day in Asia/Shanghai, and digits that nobody can guess."""
    return f"W{now.astimezone(SHANGHAI):%Y%m%d}{secrets.randbelow(10**14):014d}"
