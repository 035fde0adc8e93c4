"""Counts how sellers stand.

    standing = 100 (settled − 3 failed − 5 taken down) / (settled + 3 failed + 5 taken down + 10)

Ten stand for what nobody knows yet: somebody new stands at 0, one settled order moves to 9, a hundred to 90.
"""

from typing import Final

import structlog
from sqlalchemy import Integer, cast, delete, func, literal, select, union_all
from sqlalchemy.dialects.postgresql import insert

from app.clock import utcnow
from app.db.transactions import transaction
from app.goods.models import Good, TakedownCause
from app.orders.models import Order
from app.sellers.models import SellerStanding
from statemachine import OrderEvent

log = structlog.get_logger(__name__)

FAILED_WEIGHT: Final = 3
TAKEN_DOWN_WEIGHT: Final = 5
UNKNOWN_WEIGHT: Final = 10

_ENDED_WELL: Final = (OrderEvent.SETTLE.value, OrderEvent.RESOLVE_FOR_SELLER.value)
_ENDED_ILL: Final = (OrderEvent.REFUND_UNSHIPPED.value, OrderEvent.RESOLVE_FOR_BUYER.value)
"""Events that close an order: what the buyer gave up, or nobody paid, says nothing of the seller."""


def count_standings() -> int:
    """Count how every seller stands, anew; returns how many have orders or goods that count."""
    nothing = literal(0)
    orders = (
        select(
            Order.seller_id.label("user_id"),
            func.count().filter(Order.closed_reason.in_(_ENDED_WELL)).label("settled"),
            func.count().filter(Order.closed_reason.in_(_ENDED_ILL)).label("failed"),
            nothing.label("taken_down"),
        )
        .where(Order.closed, Order.closed_reason.in_([*_ENDED_WELL, *_ENDED_ILL]))
        .group_by(Order.seller_id)
    )
    goods = (
        select(Good.owner_id, nothing, nothing, func.count())
        .where(Good.taken_down, Good.takedown_cause == TakedownCause.STAFF.value)
        .group_by(Good.owner_id)
    )
    found = union_all(orders, goods).subquery()
    settled, failed, taken_down = (
        cast(func.sum(found.c[name]), Integer) for name in ("settled", "failed", "taken_down")
    )
    against = FAILED_WEIGHT * failed + TAKEN_DOWN_WEIGHT * taken_down
    standing = 100 * (settled - against) / (settled + against + UNKNOWN_WEIGHT)
    now = utcnow()
    counted = select(found.c.user_id, settled, failed, taken_down, cast(standing, Integer), literal(now)).group_by(
        found.c.user_id
    )
    columns = ("user_id", "settled", "failed", "taken_down", "standing", "counted_at")
    added = insert(SellerStanding).from_select(list(columns), counted)
    added = added.on_conflict_do_update(
        index_elements=["user_id"], set_={name: added.excluded[name] for name in columns[1:]}
    )
    with transaction() as session:
        number = len(session.execute(added.returning(SellerStanding.user_id)).all())
        session.execute(delete(SellerStanding).where(SellerStanding.counted_at < now))
    log.info("standings_counted", sellers=number)
    return number
