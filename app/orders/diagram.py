"""The diagram of one order: the state machine with the path that the order took, drawn from its history."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from sqlalchemy import Row, select

from app.accounts.staff_reads import reads_as_staff
from app.answers import Answer, Refused
from app.db.transactions import row_or_none, rows
from app.orders.models import Order, OrderEventRecord
from app.staff_roles import Permission
from statemachine import ORDER, OrderPhase
from statemachine.export import mermaid, svg
from statemachine.path import PastStep, Path

DiagramForm = Literal["svg", "mermaid"]

_RENDER: Final[Mapping[DiagramForm, Callable[[Path[OrderPhase]], str]]] = {
    "svg": lambda path: svg.render(ORDER, "zh", path=path),
    "mermaid": lambda path: mermaid.render(ORDER, "zh", path=path),
}
_KEPT_DRAWINGS: Final = 256  # of some 20 kB each


def order_diagram(*, user_id: int, order_id: int, form: DiagramForm) -> str:
    """The whole machine with this order's steps marked and numbered, as text in `form`.

    For the buyer, the seller and staff. Raises NO_SUCH_ORDER, also for everybody else.
    """
    order = row_or_none(select(Order.buyer_id, Order.seller_id).where(Order.id == order_id))
    if order is None or (
        user_id not in (order.buyer_id, order.seller_id)
        and not reads_as_staff(user_id, permission=Permission.ORDERS, subject="order", subject_ids=[order_id])
    ):
        raise Refused(Answer.NO_SUCH_ORDER)
    records = rows(
        select(OrderEventRecord.__table__)
        .where(OrderEventRecord.order_id == order_id)
        .order_by(OrderEventRecord.sequence)
    )
    return _drawn(form, tuple(_past_step(record) for record in records))


@functools.lru_cache(maxsize=_KEPT_DRAWINGS)
def _drawn(form: DiagramForm, path: tuple[PastStep[OrderPhase], ...]) -> str:
    """The drawing of a path. Most orders take one of a few, and it shows nothing else of them; to draw it is dear."""
    return _RENDER[form](path)


def _past_step(record: Row[Any]) -> PastStep[OrderPhase]:
    # No event happens to a closed order, so a step's source is never closed.
    source = None if record.from_bill is None else OrderPhase(record.from_bill, record.from_order)
    target = OrderPhase(record.to_bill, record.to_order, record.closed)
    return PastStep(record.event, record.role, source, target)
