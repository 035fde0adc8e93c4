"""Tickets: what stands in a URL instead of an access token. Each opens one page of one order, for minutes.

They are signed, not stored, each kind with a key derived for it alone, so that none is taken for another kind or for a
token. Losing Valkey changes nothing about them.

A ticket of the cashier is worth one attempt to pay: it names the attempt that it was made for. Until it expires its
page may be shown again (reload, back, a preview), and its button leads to the same trade at the gateway as often as it
is pressed; once that trade is over, the ticket pays nothing more.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from itsdangerous import BadData, SignatureExpired, TimestampSigner, URLSafeTimedSerializer

from app.answers import Answer, Refused
from app.clock import utcnow
from app.settings import settings

_CASHIER: Final = "cashier-ticket"
_RESULT: Final = "payment-result"


@dataclass(frozen=True, slots=True)
class CashierTicket:
    """What a ticket of the cashier stands for: one order, its buyer, and the number of the attempt to pay it."""

    order_id: int
    buyer_id: int
    attempt: int
    expires_at: datetime


def new_cashier_ticket(*, order_id: int, buyer_id: int, attempt: int) -> str:
    """The text of a ticket that lives `cashier_ticket_lifetime` from now."""
    return _signer(_CASHIER).dumps([order_id, buyer_id, attempt])


def read_cashier_ticket(text: str) -> CashierTicket | None:
    """The ticket that `text` is; None where it is none of ours. Raises TOKEN_EXPIRED for one whose time is over."""
    lifetime = settings().cashier_ticket_lifetime
    try:
        content, made_at = _signer(_CASHIER).loads(text, max_age=lifetime, return_timestamp=True)
    except SignatureExpired:
        raise Refused(Answer.TOKEN_EXPIRED) from None
    except BadData:
        return None
    order_id, buyer_id, attempt = content
    return CashierTicket(order_id, buyer_id, attempt, expires_at=made_at + timedelta(seconds=lifetime))


def new_result_ticket(order_id: int) -> str:
    """The text of a ticket for the page that a payer comes back to.

    It outlives the time that a buyer has to pay by the lifetime of a cashier's ticket.
    """
    return _signer(_RESULT).dumps(order_id)


def read_result_ticket(text: str) -> int | None:
    """The id of the order whose result `text` shows; None where it is no such ticket, or its time is over."""
    lifetime = settings().expire_after + settings().cashier_ticket_lifetime
    try:
        order_id: Any = _signer(_RESULT).loads(text, max_age=lifetime)
    except BadData:
        return None
    return int(order_id)


class _Signer(TimestampSigner):
    def get_timestamp(self) -> int:
        return int(utcnow().timestamp())


def _signer(kind: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        settings().signing_key, salt=kind, signer=_Signer, signer_kwargs={"digest_method": hashlib.sha256}
    )
