"""The interface of a payment gateway (`Gateway`), and the values that it returns.

Money is integer fen, moments are aware UTC. A gateway keeps no state of its own and is safe to share between threads.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

# Alipay's smallest transfer to an account: trans_amount of alipay.fund.trans.uni.transfer is 0.1 to 100,000,000 yuan.
MIN_TRANSFER_FEN = 10

# Alipay's largest trade: total_amount of alipay.trade.page.pay is at most 100,000,000 yuan. It is not `MAX_FEN`,
# because an order's amount is the sum of a price and a freight.
MAX_TRADE_FEN = 10_000_000_000


class TradeStatus(StrEnum):
    """Where a trade stands at the gateway; names and values are Alipay's."""

    WAIT_BUYER_PAY = "WAIT_BUYER_PAY"
    TRADE_SUCCESS = "TRADE_SUCCESS"
    TRADE_FINISHED = "TRADE_FINISHED"
    """Paid, and the time for refunds is over."""
    TRADE_CLOSED = "TRADE_CLOSED"
    """Closed unpaid, or paid and refunded in full."""

    @property
    def paid(self) -> bool:
        """Whether we have the payer's money: in Alipay's terms, exactly these two statuses mean paid."""
        return self in (TradeStatus.TRADE_SUCCESS, TradeStatus.TRADE_FINISHED)


class TransferStatus(StrEnum):
    """Where a payout stands at the gateway; names and values are Alipay's."""

    SUCCESS = "SUCCESS"
    """The payee has the money."""
    DEALING = "DEALING"
    """Under way: ask again."""
    FAIL = "FAIL"
    """No money moved, and none will under this number."""
    REFUND = "REFUND"
    """It was paid and came back to us."""


class RefusalReason(StrEnum):
    """Why a notification is not believed."""

    BAD_SIGNATURE = "bad_signature"
    OTHER_APP = "other_app"
    OTHER_SELLER = "other_seller"
    MALFORMED_FIELD = "malformed_field"
    MISSING_FIELD = "missing_field"


class NotificationRefused(Exception):  # noqa: N818 - says what happened, as the other errors here
    """The notification is not believed; nothing may be changed because of it.

    `code` names the field that was wrong, such as `total_amount` or `sign`. It never holds a field's value: anybody may
    have sent that.
    """

    def __init__(self, reason: RefusalReason, code: str) -> None:
        super().__init__(f"{reason}: {code}")
        self.reason = reason
        self.code = code


class Verdict(StrEnum):
    """What follows from an answer that is no success. `app.money.gateways.alipay_codes` has one for each code."""

    FINAL = "final"
    """It will not be done, and for a reason of the other side's (a payee's account) or of the question itself."""
    RETRY = "retry"
    """Nothing was done; it passes by itself. The same request may be sent again."""
    ASK = "ask"
    """Whether it was done is open: ask, then send the same request again."""
    PERSON = "person"
    """A person has to see to our account, contract or request; then the same request may be sent again."""
    STOP = "stop"
    """A person has to see to it, and sending the same again gives the same answer."""


class GatewayUnavailable(Exception):  # noqa: N818 - says what happened
    """No valid answer came, so it is unknown whether the call took effect. The same call may be repeated.

    `verdict` is PERSON where it will stay so until a person has seen to something.
    """

    def __init__(self, text: str = "", *, verdict: Verdict = Verdict.ASK) -> None:
        super().__init__(text)
        self.verdict = verdict


class GatewayRefused(Exception):  # noqa: N818 - says what happened
    """The gateway refused, and nothing was done. The three texts are the gateway's; `verdict` says what follows.

    What is not signed (`is_signed`), anybody could have said: it may call a person, and decides nothing.
    """

    def __init__(
        self, code: str, sub_code: str, msg: str, verdict: Verdict = Verdict.PERSON, *, is_signed: bool = True
    ) -> None:
        super().__init__(f"{code} {sub_code}: {msg}")
        self.code = code
        self.sub_code = sub_code
        self.msg = msg
        self.verdict = verdict
        self.is_signed = is_signed

    @property
    def is_decided(self) -> bool:
        """Whether nothing will come of this request."""
        return self.is_signed and self.verdict is not Verdict.ASK


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A notification whose signature, application and seller were checked, but not yet its amount against an order.

    Gateways repeat notifications, even answered ones: `notify_id` is the same in each repetition.
    """

    notify_id: str
    out_trade_no: str
    trade_no: str
    amount_fen: int
    """The whole trade's amount; refunds are not subtracted."""
    status: TradeStatus
    paid_at: datetime | None
    """None while nothing was paid, and where the gateway does not say."""
    refunded_fen: int
    """What was refunded of the trade so far; above 0 the notification is about a refund."""
    out_request_no: str | None
    """Our number of the refund that this notification is about."""
    raw: Mapping[str, str]
    """Every field as received, the signature included; read-only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeState:
    """A trade as the gateway knows it."""

    out_trade_no: str
    trade_no: str
    amount_fen: int
    status: TradeStatus
    paid_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundResult:
    """A refund that took place, now or by an earlier call with the same `out_request_no`."""

    out_trade_no: str
    trade_no: str
    out_request_no: str
    amount_fen: int
    repeated: bool
    """True when an earlier call had already moved the money."""
    total_fen: int | None = None
    """What went back of the trade so far, by all refunds of it; None where the gateway does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferResult:
    """A payout as the gateway knows it."""

    out_biz_no: str
    order_id: str | None
    """The gateway's number; None where it gives none (a payout that failed may have none)."""
    amount_fen: int | None
    """None where the gateway does not say: Alipay gives it only when a transfer in SUCCESS is queried."""
    status: TransferStatus
    at: datetime | None
    """When the money left us; None while it has not."""
    failure: str | None
    """The gateway's error code and text for FAIL and REFUND, to be shown to staff."""


class Gateway(Protocol):
    """A payment gateway.

    Every method that talks to it raises GatewayUnavailable (may be repeated) or GatewayRefused (final).
    """

    def page_pay_url(
        self,
        *,
        out_trade_no: str,
        amount_fen: int,
        subject: str,
        notify_url: str,
        return_url: str,
        expires_at: datetime,
    ) -> str:
        """The signed URL of the gateway's payment page; no network call. The gateway takes no money after `expires_at`.

        The same `out_trade_no` is one trade however often its page is opened. Raises ValueError for an amount below one
        fen or a naive `expires_at`.
        """

    def read_notification(self, form: Mapping[str, str]) -> Notification:
        """The asynchronous notification in a posted form, checked; raises NotificationRefused. No network call.

        Also accepts a werkzeug MultiDict (`request.form`); a field that occurs twice in it is refused.
        """

    def query(self, out_trade_no: str) -> TradeState | None:
        """The trade as the gateway knows it now; None where it knows none (also when it was never opened)."""

    def refund(self, *, out_trade_no: str, amount_fen: int, out_request_no: str, reason: str) -> RefundResult:
        """Refund the trade in part or in full; once per `out_request_no`, however often it is called.

        Before it raises GatewayRefused, it asks whether an earlier call, whose answer was lost, went through.
        """

    def refunded(self, *, out_trade_no: str, amount_fen: int, out_request_no: str) -> bool:
        """Whether the refund of this amount under `out_request_no` was made.

        Raises GatewayUnavailable also while it is under way.
        """

    def close(self, out_trade_no: str) -> bool:
        """Close the trade, so that it cannot be paid any more. False where the gateway knows no such trade.

        Closing a closed trade is no error. Raises GatewayRefused when it was paid.
        """

    def transfer(
        self, *, out_biz_no: str, amount_fen: int, payee_account: str, payee_name: str, title: str
    ) -> TransferResult:
        """Transfer money to a payee's account; once per `out_biz_no`, however often it is called.

        Raises GatewayRefused where no payout of this amount exists under the number, GatewayUnavailable where that is
        unknown: before raising either, it queries whether an earlier call, whose answer was lost, went through. A
        repeated call must have the same arguments; another amount under a used number is refused.

        `payee_account` is an e-mail address or a mobile number and `payee_name` must be its owner's real name. Raises
        ValueError below MIN_TRANSFER_FEN.
        """

    def query_transfer(self, out_biz_no: str) -> TransferResult | None:
        """The payout as the gateway knows it now; None where it knows none (yet: one just sent may still be made)."""

    def day_bill(self, day: date) -> bytes | None:
        """The file of a day's payments and refunds as `app.money.reconcile` reads it; None where there is none yet.

        `day` is one in Asia/Shanghai.
        """
