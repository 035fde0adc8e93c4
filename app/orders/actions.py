"""What the order machine allows on one order: the actions of a role with their URLs, the deadline, the texts."""

from datetime import datetime
from typing import Final

from app.clock import format_moment, utcnow
from app.orders.models import HoldReason
from app.orders.schemas import CASE_EVENTS, ActionOut, DeadlineOut, HoldOut, StateOut
from statemachine import ORDER, BillStatus, OrderEvent, OrderFacts, OrderPhase, OrderStatus, Role, order_flow
from statemachine.order import BILL_TEXT, ORDER_TEXT, REFUND_REQUESTED_RECEIVED
from statemachine.spec import check_total

PARTIES: Final = (Role.BUYER, Role.SELLER)

HELD: Final = "订单款项在支付宝有变动,平台核实前暂停操作"
"""Why nobody can make a step of a held order (`app.orders.holds`)."""

HOLD_TEXT: Final[dict[Role, str]] = {
    Role.BUYER: "支付平台显示货款已全部或部分退回你的付款账户。平台核实前订单暂停:双方不能操作,期限不计时,结果会通知你",
    Role.SELLER: "支付平台显示货款已全部或部分退回买家。平台核实前订单暂停:请勿发货或交货,期限不计时,结果会通知你",
    Role.STAFF: "支付平台显示货款已全部或部分退回买家,订单暂停,等待处理款项待办",
}
"""What it means that an order is held, for its sides and staff."""

# The URL of each event that people fire on an order, by the role that fires it; all are POST.
EVENT_URLS: Final[dict[OrderEvent, dict[Role, str]]] = {
    OrderEvent.CANCEL: dict.fromkeys(PARTIES, "/api/cancel_order/{id}/"),
    OrderEvent.SHIP: {Role.SELLER: "/api/seller_send_delivery/{id}/"},
    OrderEvent.RECEIVE: {
        Role.BUYER: "/api/buyer_receive_delivery/{id}/",
        Role.SELLER: "/api/seller_hand_over/{id}/",
    },
    OrderEvent.EXTEND_RECEIPT: {Role.BUYER: "/api/buyer_extend_receipt/{id}/"},
    OrderEvent.REQUEST_REFUND: {Role.BUYER: "/api/buyer_motion_drawback/{id}"},
    OrderEvent.WITHDRAW_REFUND: {Role.BUYER: "/api/buyer_withdraw_drawback/{id}/"},
    OrderEvent.REJECT_REFUND: {Role.SELLER: "/api/seller_reject_drawback/{id}/"},
    OrderEvent.APPROVE_REFUND: {Role.SELLER: "/api/seller_approve_drawback/{id}/"},
    OrderEvent.SEND_BACK: {Role.BUYER: "/api/buyer_send_drawback/{id}/"},
    OrderEvent.ACCEPT_RETURN: {Role.SELLER: "/api/seller_receive_drawback/{id}/"},
    OrderEvent.CONTEST_RETURN: {Role.SELLER: "/api/seller_contest_drawback/{id}/"},
    OrderEvent.DISPUTE: dict.fromkeys(PARTIES, "/api/dispute_order/{id}/"),
    OrderEvent.RESOLVE_FOR_BUYER: {Role.STAFF: "/api/staff/resolve_for_buyer/{id}/"},
    OrderEvent.RESOLVE_FOR_SELLER: {Role.STAFF: "/api/staff/resolve_for_seller/{id}/"},
}

# Texts that say more than the event's name. Here a seller must see that approving means no return: the buyer would keep
# both the goods and the money.
_BUTTONS: Final = {(OrderEvent.APPROVE_REFUND, REFUND_REQUESTED_RECEIVED): "同意退款(无需退货)"}

_URLS: Final = {(event, role): url for event, urls in EVENT_URLS.items() for role, url in urls.items()}
check_total(
    "EVENT_URLS in app/orders/actions.py",
    _URLS.keys(),
    {
        (rule.event, role)
        for rule in ORDER.rules
        for role in (*PARTIES, Role.STAFF)
        if role in rule.by and rule.event not in CASE_EVENTS
    },
)

STATES: Final[list[StateOut]] = [
    *(StateOut(code=code, text=text, axis="bill") for code, text in BILL_TEXT.items()),
    *(StateOut(code=code, text=text, axis="order") for code, text in ORDER_TEXT.items()),
]

REFUND_REASONS: Final[dict[OrderStatus, tuple[str, ...]]] = {
    OrderStatus.UNSHIPPED: ("不想要了", "拍错了", "与卖家协商一致", "卖家未按时发货", "其他"),
    OrderStatus.SHIPPED: ("不想要了", "长时间未收到", "物流信息异常", "与卖家协商一致", "其他"),
    OrderStatus.RECEIVED: (
        "与描述不符",
        "商品有损坏",
        "少件或发错货",
        "功能不正常",
        "疑似假货",
        "与卖家协商一致",
        "其他",
    ),
}
"""The reasons that a buyer is offered, by where the goods are; a client may send any other text."""


def may_hide(phase: OrderPhase) -> bool:
    """Whether a party may remove the order from its lists: once the seller was paid, or the order is closed."""
    return phase.closed or phase.bill == BillStatus.SELLER_PAID


def available_events(phase: OrderPhase, role: Role, facts: OrderFacts) -> list[OrderEvent]:
    """The events that `role` may fire at `phase` and that have a URL for it."""
    return [event for event in order_flow.allowed(phase, role, facts) if (event, role) in _URLS]


def actions(
    *,
    order_id: int,
    phase: OrderPhase,
    deadline_at: datetime | None,
    role: Role,
    facts: OrderFacts,
    hidden: bool,
    held: bool = False,
) -> list[ActionOut]:
    """The actions that `role` may take now on an order whose deadline is `deadline_at` (UTC); no steps if `held`."""
    offered: list[ActionOut] = []
    payable = OrderEvent.PAY in order_flow.allowed(phase, Role.GATEWAY) and deadline_at and utcnow() < deadline_at
    if role is Role.BUYER and payable and not held:
        offered.append({"name": "pay", "text": "付款", "method": "POST", "url": f"/order/pay/{order_id}/ticket/"})
    for event in () if held else available_events(phase, role, facts):
        url = _URLS[event, role].format(id=order_id)
        text = _BUTTONS.get((event, phase), ORDER.events[event].zh)
        offered.append({"name": event.value, "text": text, "method": "POST", "url": url})
    if role in PARTIES and facts.disputed:
        url = f"/api/dispute_statement/{order_id}/"
        offered.append({"name": "state_case", "text": "提交陈述", "method": "POST", "url": url})
    if role in PARTIES and may_hide(phase) and not hidden:
        offered.append({"name": "hide", "text": "删除订单", "method": "DELETE", "url": f"/api/edit_order/{order_id}/"})
    return offered


def deadline(
    *, phase: OrderPhase, deadline_at: datetime | None, facts: OrderFacts, held: bool = False
) -> DeadlineOut | None:
    """When the system acts on an order, and what it does then; None where no deadline runs, or it is `held`."""
    due = order_flow.deadline(phase, facts)
    if due is None or deadline_at is None or held:
        return None
    return {"at": format_moment(deadline_at), "what": due.event.value, "text": due.text.zh}


def hold(*, held_at: datetime | None, role: Role) -> HoldOut | None:
    """Why an order is held, since when, and what that means for `role`; None where it is not held."""
    if held_at is None:
        return None
    return {
        "code": HoldReason.REFUNDED_ELSEWHERE.value,
        "text": HOLD_TEXT[role],
        "since": format_moment(held_at),
    }
