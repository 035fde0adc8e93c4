"""What the order machine means for one order: the caller's role, the buttons, the countdown, the ten states."""

from datetime import datetime
from typing import Final

from app.clock import shown, utcnow
from app.orders.schemas import ActionOut, DeadlineOut, StateOut
from statemachine import ORDER, BillStatus, OrderEvent, OrderFacts, OrderPhase, Role, order_flow
from statemachine.order import BILL_TEXT, EXPIRE_AFTER, ORDER_TEXT

# The URLs of the events that this API serves. An event without one is not offered to clients.
EVENT_URLS: Final[dict[OrderEvent, tuple[str, str]]] = {
    OrderEvent.CANCEL: ("POST", "/api/cancel_order/{id}/"),
    OrderEvent.SHIP: ("POST", "/api/seller_send_delivery/{id}/"),
    OrderEvent.RECEIVE: ("POST", "/api/buyer_receive_delivery/{id}/"),
    OrderEvent.REQUEST_REFUND: ("POST", "/api/buyer_motion_drawback/{id}"),
    OrderEvent.SEND_BACK: ("POST", "/api/buyer_send_drawback/{id}/"),
    OrderEvent.ACCEPT_RETURN: ("POST", "/api/seller_receive_drawback/{id}/"),
}

STATES: Final[list[StateOut]] = [
    *(StateOut(code=code, text=text, axis="bill") for code, text in BILL_TEXT.items()),
    *(StateOut(code=code, text=text, axis="order") for code, text in ORDER_TEXT.items()),
]


def may_hide(phase: OrderPhase) -> bool:
    """Whether a side may take the order off its lists: once the seller was paid, or nothing can happen any more."""
    return phase.closed or phase.bill == BillStatus.SELLER_PAID


def pay_by(since: datetime) -> datetime:
    """Until when an order that was made at `since` can be paid."""
    return since + EXPIRE_AFTER.default


def served(phase: OrderPhase, role: Role, facts: OrderFacts) -> list[OrderEvent]:
    """The events that `role` may fire at `phase` and that have a URL for it."""
    return [
        event
        for event in order_flow.allowed(phase, role, facts)
        if event in EVENT_URLS and not (event is OrderEvent.RECEIVE and role is Role.SELLER)
    ]


def actions(
    *, order_id: int, phase: OrderPhase, since: datetime, role: Role, facts: OrderFacts, hidden: bool
) -> list[ActionOut]:
    """The buttons `role` has on an order that entered `phase` at `since`."""
    offered: list[ActionOut] = []
    payable = OrderEvent.PAY in order_flow.allowed(phase, Role.GATEWAY) and utcnow() < pay_by(since)
    if role is Role.BUYER and payable:
        offered.append({"name": "pay", "text": "付款", "method": "POST", "url": f"/order/pay/{order_id}/"})
    for event in served(phase, role, facts):
        method, url = EVENT_URLS[event]
        text = ORDER.events[event].zh
        offered.append({"name": event.value, "text": text, "method": method, "url": url.format(id=order_id)})
    if may_hide(phase) and not hidden:
        offered.append({"name": "hide", "text": "删除订单", "method": "DELETE", "url": f"/api/edit_order/{order_id}/"})
    return offered


def deadline(*, phase: OrderPhase, since: datetime, facts: OrderFacts) -> DeadlineOut | None:
    """When the system acts on an order that entered `phase` at `since`; None where no clock runs."""
    rule = order_flow.deadline(phase, facts)
    if rule is None:
        return None
    return {"at": shown(since + rule.default), "what": rule.event.value, "text": rule.text.zh}
