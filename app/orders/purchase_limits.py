"""Limits on purchases, so that nobody blocks goods without paying: an unpaid order holds its good for half an hour."""

import math
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, exists, func, select
from sqlalchemy.orm import Session

from app.answers import Answer, Refused
from app.orders.models import Order, OrderEventRecord
from app.settings import settings
from statemachine import BillStatus, OrderEvent, Role

_EXPIRED: Final = (Order.closed_reason == OrderEvent.EXPIRE.value) & (Order.updated_at > bindparam("expired_since"))
# Both sides may cancel; that a seller did is nothing against the buyer. The step that closed an order is its last one.
_CANCELLED: Final = (
    (Order.closed_reason == OrderEvent.CANCEL.value)
    & (Order.updated_at > bindparam("cancelled_since"))
    & exists().where(
        OrderEventRecord.order_id == Order.id,
        OrderEventRecord.sequence == Order.history_length,
        OrderEventRecord.role == Role.BUYER.value,
    )
)
_UNPAID: Final = select(
    func.count().filter(~Order.closed),
    func.count().filter(_EXPIRED),
    func.max(Order.updated_at).filter(_EXPIRED),
    func.count().filter(_CANCELLED),
    func.max(Order.updated_at).filter(_CANCELLED),
).where(Order.buyer_id == bindparam("buyer_id"), Order.bill_status == BillStatus.UNPAID)


def check_purchase_limits(session: Session, *, buyer_id: int, now: datetime) -> None:
    """Refuse a purchase by a buyer who has too many unpaid orders, or lately let too many expire or cancelled too many.

    Each expired order above the number allowed adds EXPIRED_ORDERS_DELAY seconds of waiting after the latest one, and
    each that the buyer cancelled CANCELLED_ORDERS_DELAY. The caller must hold a lock on the buyer's row. Raises
    TOO_MANY_UNPAID; TOO_MANY_EXPIRED and TOO_MANY_CANCELLED with Retry-After.
    """
    limits = settings()
    unpaid, expired, last_expiry, cancelled, last_cancelling = session.execute(
        _UNPAID,
        {
            "buyer_id": buyer_id,
            "expired_since": now - timedelta(seconds=limits.expired_orders_window),
            "cancelled_since": now - timedelta(seconds=limits.cancelled_orders_window),
        },
    ).one()
    if unpaid >= limits.unpaid_orders_limit:
        raise Refused(Answer.TOO_MANY_UNPAID, data={"limit": limits.unpaid_orders_limit})
    for count, latest, allowed, delay, answer in (
        (
            expired,
            last_expiry,
            limits.expired_orders_allowed,
            limits.expired_orders_delay,
            Answer.TOO_MANY_EXPIRED,
        ),
        (
            cancelled,
            last_cancelling,
            limits.cancelled_orders_allowed,
            limits.cancelled_orders_delay,
            Answer.TOO_MANY_CANCELLED,
        ),
    ):
        if count > allowed:
            wait = latest + timedelta(seconds=(count - allowed) * delay) - now
            if wait > timedelta(0):
                raise Refused(answer, retry_after=math.ceil(wait.total_seconds()))
