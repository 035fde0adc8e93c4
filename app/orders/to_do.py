"""Which orders wait for a side, and for what: the tabs of 待付款, 待发货 and their like.

An order waits for a side while that side can do what the order's deadline is about. A disputed order waits for staff, a
held one too; after that nobody has to do anything before the after-sale window ends.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, DateTime, Text, and_, bindparam, case, literal_column, not_, or_

from app.orders.models import Order
from app.orders.schemas import ToDo
from statemachine import OrderEvent, OrderPhase, Role, TradeMode
from statemachine.order import (
    AWAITING_PAYMENT,
    PAID,
    REFUND_REQUESTED_RECEIVED,
    REFUND_REQUESTED_SHIPPED,
    REFUND_REQUESTED_UNSHIPPED,
    RETURN_SENT,
    SHIPPED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What an order that stands in one of `phases` waits for; `events` are what its side may do about it.

    `face_to_face` tells orders of 当面交易 from others where that makes a difference.
    """

    to_do: ToDo
    events: tuple[OrderEvent, ...]
    phases: tuple[OrderPhase, ...]
    face_to_face: bool | None = None


WAITING: Final[dict[Role, tuple[Waiting, ...]]] = {
    Role.BUYER: (
        Waiting(to_do=ToDo.PAY, events=(OrderEvent.PAY,), phases=(AWAITING_PAYMENT,)),
        Waiting(to_do=ToDo.RECEIVE, events=(OrderEvent.RECEIVE,), phases=(SHIPPED,)),
        Waiting(to_do=ToDo.SEND_BACK, events=(OrderEvent.SEND_BACK,), phases=(REFUND_REQUESTED_RECEIVED,)),
    ),
    Role.SELLER: (
        Waiting(to_do=ToDo.SHIP, events=(OrderEvent.SHIP,), phases=(PAID,), face_to_face=False),
        Waiting(to_do=ToDo.HAND_OVER, events=(OrderEvent.RECEIVE,), phases=(PAID,), face_to_face=True),
        Waiting(
            to_do=ToDo.ANSWER_REFUND,
            events=(OrderEvent.APPROVE_REFUND, OrderEvent.REJECT_REFUND),
            phases=(REFUND_REQUESTED_UNSHIPPED, REFUND_REQUESTED_SHIPPED, REFUND_REQUESTED_RECEIVED),
        ),
        Waiting(to_do=ToDo.ACCEPT_RETURN, events=(OrderEvent.ACCEPT_RETURN,), phases=(RETURN_SENT,)),
    ),
}

NOW: Final = bindparam("now", type_=DateTime(timezone=True))


def to_do_of(role: Role) -> ColumnElement[str | None]:
    """What an order waits for on `role`'s side at the moment `NOW`, a `ToDo`; NULL where it does not."""
    undecided = Order.held_at.is_(None) & ~Order.disputed
    return case(
        (not_(undecided), None),
        *((_condition(waiting), literal_column(f"'{waiting.to_do.value}'", Text)) for waiting in WAITING[role]),
        else_=None,
    )


def _condition(waiting: Waiting) -> ColumnElement[bool]:
    conditions = [
        or_(
            *(
                (Order.bill_status == _constant(phase.bill))
                & (Order.order_status == _constant(phase.goods))
                & Order.closed.is_(phase.closed)
                for phase in waiting.phases
            )
        )
    ]
    if waiting.face_to_face is not None:
        is_face_to_face = Order.trade_mode == _constant(TradeMode.FACE_TO_FACE)
        conditions.append(is_face_to_face if waiting.face_to_face else not_(is_face_to_face))
    if OrderEvent.PAY in waiting.events:
        conditions.append(Order.deadline_at > NOW)
    return and_(*conditions)


def _constant(number: int) -> ColumnElement[int]:
    """A number of ours as a part of the SQL: these are many, and each parameter costs something at each request."""
    return literal_column(str(int(number)))
