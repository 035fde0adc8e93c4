"""Limits on purchases, so that nobody blocks goods without paying: an unpaid order holds its good for half an hour."""

import math
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from app.answers import Answer, Refused
from app.orders.models import Order
from app.settings import settings
from statemachine import BillStatus, OrderEvent

_EXPIRED: Final = (Order.closed_reason == OrderEvent.EXPIRE.value) & (Order.updated_at > bindparam("since"))
_UNPAID: Final = select(
    func.count().filter(~Order.closed), func.count().filter(_EXPIRED), func.max(Order.updated_at).filter(_EXPIRED)
).where(Order.buyer_id == bindparam("buyer_id"), Order.bill_status == BillStatus.UNPAID)


def check_purchase_limits(session: Session, *, buyer_id: int, now: datetime) -> None:
    """Refuse a purchase by a buyer who has too many unpaid orders, or let too many expire lately.

    Each expired order above the number allowed adds EXPIRED_ORDERS_DELAY seconds of waiting after the latest one. The
    caller must hold a lock on the buyer's row. Raises TOO_MANY_UNPAID, TOO_MANY_EXPIRED with Retry-After.
    """
    since = now - timedelta(seconds=settings().expired_orders_window)
    unpaid, expired, last_expiry = session.execute(_UNPAID, {"buyer_id": buyer_id, "since": since}).one()
    if unpaid >= settings().unpaid_orders_limit:
        raise Refused(Answer.TOO_MANY_UNPAID, data={"limit": settings().unpaid_orders_limit})
    excess = expired - settings().expired_orders_allowed
    if excess > 0:
        wait = last_expiry + timedelta(seconds=excess * settings().expired_orders_delay) - now
        if wait > timedelta(0):
            raise Refused(Answer.TOO_MANY_EXPIRED, retry_after=math.ceil(wait.total_seconds()))
