"""The table of rules, written by hand from the design and not read from the machine: what tests compare with."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from app.answers import Answer
from statemachine import GoodStatus, OrderPhase
from statemachine.order import (
    AWAITING_PAYMENT,
    AWARDED_TO_SELLER,
    CANCELLED,
    PAID,
    RECEIVED,
    REFUND_REQUESTED_RECEIVED,
    REFUND_REQUESTED_SHIPPED,
    REFUND_REQUESTED_UNSHIPPED,
    REFUNDED_RECEIVED,
    REFUNDED_RETURNED,
    REFUNDED_SHIPPED,
    REFUNDED_UNSHIPPED,
    RETURN_SENT,
    SETTLED,
    SHIPPED,
)

BUYER, SELLER, STRANGER = ROLES = ("buyer", "seller", "stranger")

PHASES = [
    AWAITING_PAYMENT,
    CANCELLED,
    PAID,
    SHIPPED,
    RECEIVED,
    SETTLED,
    REFUND_REQUESTED_UNSHIPPED,
    REFUND_REQUESTED_SHIPPED,
    REFUND_REQUESTED_RECEIVED,
    RETURN_SENT,
    REFUNDED_UNSHIPPED,
    REFUNDED_SHIPPED,
    REFUNDED_RECEIVED,
    REFUNDED_RETURNED,
    AWARDED_TO_SELLER,
]
REFUND_PHASES = [REFUND_REQUESTED_UNSHIPPED, REFUND_REQUESTED_SHIPPED, REFUND_REQUESTED_RECEIVED, RETURN_SENT]

# Where the good stands while its order stands there; everywhere else it is sold.
GOOD_AT = {
    **dict.fromkeys([CANCELLED, REFUNDED_UNSHIPPED], GoodStatus.PUBLISHED),
    **dict.fromkeys(
        [AWAITING_PAYMENT, PAID, SHIPPED, REFUND_REQUESTED_UNSHIPPED, REFUND_REQUESTED_SHIPPED], GoodStatus.IN_TRADE
    ),
}


class ExpectedDeadline(NamedTuple):
    """The deadline of a phase: how long it runs, when before its end who is reminded, the event it fires, its text."""

    after: timedelta
    reminder: timedelta
    reminded: str
    what: str
    text: str


_DAY = timedelta(days=1)
DEADLINES = {
    AWAITING_PAYMENT: ExpectedDeadline(timedelta(minutes=30), timedelta(minutes=10), BUYER, "expire", "买家付款截止"),
    PAID: ExpectedDeadline(7 * _DAY, _DAY, SELLER, "refund_unshipped", "卖家交货截止"),
    SHIPPED: ExpectedDeadline(10 * _DAY, _DAY, BUYER, "receive", "自动确认收货"),
    RECEIVED: ExpectedDeadline(7 * _DAY, _DAY, BUYER, "settle", "售后期截止"),
    REFUND_REQUESTED_UNSHIPPED: ExpectedDeadline(2 * _DAY, _DAY / 2, SELLER, "approve_refund", "卖家处理退款截止"),
    REFUND_REQUESTED_SHIPPED: ExpectedDeadline(5 * _DAY, _DAY, SELLER, "approve_refund", "卖家处理退款截止"),
    REFUND_REQUESTED_RECEIVED: ExpectedDeadline(7 * _DAY, _DAY, BUYER, "lapse", "买家寄回截止"),
    RETURN_SENT: ExpectedDeadline(10 * _DAY, _DAY, SELLER, "accept_return", "卖家确认收到退货截止"),
}


class PartyAction(NamedTuple):
    """A call of the API that fires an event on an order: its URL, a body, its answer, the event."""

    url: str
    body: dict[str, Any]
    answer: Answer
    event: str


PARCEL = {"company": "顺丰速运", "tracking_no": "SF1234567890"}
ACTIONS = {
    "cancel": PartyAction("/api/cancel_order/{id}/", {}, Answer.ORDER_CANCELLED, "cancel"),
    "ship": PartyAction("/api/seller_send_delivery/{id}/", PARCEL, Answer.ORDER_SHIPPED, "ship"),
    "receive": PartyAction("/api/buyer_receive_delivery/{id}/", {}, Answer.ORDER_RECEIVED, "receive"),
    "hand_over": PartyAction("/api/seller_hand_over/{id}/", {"code": "000000"}, Answer.GOODS_HANDED_OVER, "receive"),
    "extend": PartyAction("/api/buyer_extend_receipt/{id}/", {}, Answer.RECEIPT_EXTENDED, "extend_receipt"),
    "request": PartyAction(
        "/api/buyer_motion_drawback/{id}", {"reason": "不想要了"}, Answer.REFUND_REQUESTED, "request_refund"
    ),
    "withdraw": PartyAction("/api/buyer_withdraw_drawback/{id}/", {}, Answer.REFUND_WITHDRAWN, "withdraw_refund"),
    "reject": PartyAction(
        "/api/seller_reject_drawback/{id}/", {"reason": "商品与描述一致"}, Answer.REFUND_REJECTED, "reject_refund"
    ),
    "approve": PartyAction("/api/seller_approve_drawback/{id}/", {}, Answer.REFUND_APPROVED, "approve_refund"),
    "send_back": PartyAction("/api/buyer_send_drawback/{id}/", PARCEL, Answer.RETURN_SENT, "send_back"),
    "accept": PartyAction("/api/seller_receive_drawback/{id}/", {}, Answer.RETURN_ACCEPTED, "accept_return"),
    "dispute": PartyAction("/api/dispute_order/{id}/", {"reason": "协商不成"}, Answer.DISPUTE_RAISED, "dispute"),
    "contest": PartyAction(
        "/api/seller_contest_drawback/{id}/", {"reason": "退回的不是原物"}, Answer.RETURN_CONTESTED, "contest_return"
    ),
}
RENEW_URL = "/api/buyer_handover_code/{id}/"


class Effect(NamedTuple):
    """What an action does. `money` says how often the order's amount goes to (+) or leaves (−) the accounts of a kind.

    `deadline` is what happens to it: the target's own begins, the one that a request stopped goes on with the time it
    had left, the present one is put off by its whole time (longer) or stays as it is, or none runs.
    """

    by: tuple[str, ...]
    target: OrderPhase
    deadline: Literal["begins", "goes on", "longer", "stays", "none"]
    money: Mapping[str, int] = MappingProxyType({})
    good: GoodStatus | None = None  # where the good goes; None: it stays
    writes: tuple[str, ...] = ()  # tables beside those of every step, of money and of the good


PROCEEDS = {"escrow": -1, "seller_held": 1}
PROCEEDS_BACK = {"seller_held": -1, "escrow": 1}
REFUND = {"escrow": -1, "refund_clearing": 1}
_PARTIES = (BUYER, SELLER)
_ASKED, _CALLED = ("refund_requests",), ("disputes",)

EFFECTS = {
    ("cancel", AWAITING_PAYMENT): Effect(_PARTIES, CANCELLED, "none", good=GoodStatus.PUBLISHED),
    ("ship", PAID): Effect((SELLER,), SHIPPED, "begins", writes=("waybills",)),
    ("receive", SHIPPED): Effect((BUYER,), RECEIVED, "begins", PROCEEDS, GoodStatus.SOLD),
    ("extend", SHIPPED): Effect((BUYER,), SHIPPED, "longer"),
    ("request", PAID): Effect((BUYER,), REFUND_REQUESTED_UNSHIPPED, "begins", writes=_ASKED),
    ("request", SHIPPED): Effect((BUYER,), REFUND_REQUESTED_SHIPPED, "begins", writes=_ASKED),
    ("request", RECEIVED): Effect((BUYER,), REFUND_REQUESTED_RECEIVED, "begins", PROCEEDS_BACK, writes=_ASKED),
    ("withdraw", REFUND_REQUESTED_UNSHIPPED): Effect((BUYER,), PAID, "goes on", writes=_ASKED),
    ("withdraw", REFUND_REQUESTED_SHIPPED): Effect((BUYER,), SHIPPED, "goes on", writes=_ASKED),
    ("withdraw", REFUND_REQUESTED_RECEIVED): Effect((BUYER,), RECEIVED, "goes on", PROCEEDS, writes=_ASKED),
    ("reject", REFUND_REQUESTED_UNSHIPPED): Effect((SELLER,), PAID, "goes on", writes=_ASKED),
    ("reject", REFUND_REQUESTED_SHIPPED): Effect((SELLER,), SHIPPED, "goes on", writes=_ASKED),
    ("reject", REFUND_REQUESTED_RECEIVED): Effect((SELLER,), RECEIVED, "goes on", PROCEEDS, writes=_ASKED),
    ("approve", REFUND_REQUESTED_UNSHIPPED): Effect(
        (SELLER,), REFUNDED_UNSHIPPED, "none", REFUND, GoodStatus.PUBLISHED, writes=_ASKED
    ),
    ("approve", REFUND_REQUESTED_SHIPPED): Effect(
        (SELLER,), REFUNDED_SHIPPED, "none", REFUND, GoodStatus.SOLD, writes=_ASKED
    ),
    ("approve", REFUND_REQUESTED_RECEIVED): Effect((SELLER,), REFUNDED_RECEIVED, "none", REFUND, writes=_ASKED),
    ("send_back", REFUND_REQUESTED_RECEIVED): Effect((BUYER,), RETURN_SENT, "begins", writes=("waybills",)),
    ("accept", RETURN_SENT): Effect((SELLER,), REFUNDED_RETURNED, "none", REFUND, writes=_ASKED),
    ("dispute", REFUND_REQUESTED_UNSHIPPED): Effect(_PARTIES, REFUND_REQUESTED_UNSHIPPED, "none", writes=_CALLED),
    ("dispute", REFUND_REQUESTED_SHIPPED): Effect(_PARTIES, REFUND_REQUESTED_SHIPPED, "none", writes=_CALLED),
    ("dispute", REFUND_REQUESTED_RECEIVED): Effect(_PARTIES, REFUND_REQUESTED_RECEIVED, "none", writes=_CALLED),
    ("dispute", RETURN_SENT): Effect((BUYER,), RETURN_SENT, "none", writes=_CALLED),
    ("contest", RETURN_SENT): Effect((SELLER,), RETURN_SENT, "none", writes=_CALLED),
}
"""Of an order that is shipped and not disputed. Whatever is not here is refused."""

FACE_TO_FACE = {
    ("receive", PAID): Effect((BUYER,), RECEIVED, "begins", PROCEEDS, GoodStatus.SOLD),
    ("hand_over", PAID): Effect((SELLER,), RECEIVED, "begins", PROCEEDS, GoodStatus.SOLD),
}
"""What 当面交易 adds; for it there is no shipping."""

BY_DEADLINE = {
    AWAITING_PAYMENT: Effect((), CANCELLED, "none", good=GoodStatus.PUBLISHED),
    PAID: Effect((), REFUNDED_UNSHIPPED, "none", REFUND, GoodStatus.PUBLISHED),
    SHIPPED: Effect((), RECEIVED, "begins", PROCEEDS, GoodStatus.SOLD),
    RECEIVED: Effect((), SETTLED, "none", {"seller_held": -1, "seller_available": 1}),
    REFUND_REQUESTED_UNSHIPPED: Effect((), REFUNDED_UNSHIPPED, "none", REFUND, GoodStatus.PUBLISHED, writes=_ASKED),
    REFUND_REQUESTED_SHIPPED: Effect((), REFUNDED_SHIPPED, "none", REFUND, GoodStatus.SOLD, writes=_ASKED),
    REFUND_REQUESTED_RECEIVED: Effect((), RECEIVED, "goes on", PROCEEDS, writes=_ASKED),
    RETURN_SENT: Effect((), REFUNDED_RETURNED, "none", REFUND, writes=_ASKED),
}
"""What the system does once a deadline of `DEADLINES` has passed."""

CONCESSIONS = {("withdraw", BUYER), ("approve", SELLER), ("accept", SELLER)}
"""What is left to the sides of a disputed order, where it is allowed without the dispute."""

OFFERED = {
    AWAITING_PAYMENT: (["pay", "cancel"], ["cancel"]),
    CANCELLED: (["hide"], ["hide"]),
    PAID: (["request_refund"], ["ship"]),
    SHIPPED: (["receive", "extend_receipt", "request_refund"], []),
    RECEIVED: (["request_refund", "hide"], ["hide"]),
    SETTLED: (["hide"], ["hide"]),
    REFUND_REQUESTED_UNSHIPPED: (["withdraw_refund", "dispute"], ["reject_refund", "approve_refund", "dispute"]),
    REFUND_REQUESTED_SHIPPED: (["withdraw_refund", "dispute"], ["reject_refund", "approve_refund", "dispute"]),
    REFUND_REQUESTED_RECEIVED: (
        ["withdraw_refund", "send_back", "dispute"],
        ["reject_refund", "approve_refund", "dispute"],
    ),
    RETURN_SENT: (["dispute"], ["accept_return", "contest_return"]),
    REFUNDED_UNSHIPPED: (["hide"], ["hide"]),
    REFUNDED_SHIPPED: (["hide"], ["hide"]),
    REFUNDED_RECEIVED: (["hide"], ["hide"]),
    REFUNDED_RETURNED: (["hide"], ["hide"]),
    AWARDED_TO_SELLER: (["hide"], ["hide"]),
}
"""The buttons of an order that is shipped: the buyer's and the seller's."""

OFFERED_DISPUTED = {
    REFUND_REQUESTED_UNSHIPPED: (["withdraw_refund", "state_case"], ["approve_refund", "state_case"]),
    REFUND_REQUESTED_SHIPPED: (["withdraw_refund", "state_case"], ["approve_refund", "state_case"]),
    REFUND_REQUESTED_RECEIVED: (["withdraw_refund", "state_case"], ["approve_refund", "state_case"]),
    RETURN_SENT: (["state_case"], ["accept_return", "state_case"]),
}

BUTTONS = {
    "pay": ("付款", "POST", "/order/pay/{id}/ticket/"),
    "cancel": ("取消订单", "POST", "/api/cancel_order/{id}/"),
    "ship": ("发货", "POST", "/api/seller_send_delivery/{id}/"),
    "extend_receipt": ("延长收货时间", "POST", "/api/buyer_extend_receipt/{id}/"),
    "request_refund": ("申请退款", "POST", "/api/buyer_motion_drawback/{id}"),
    "withdraw_refund": ("撤回退款申请", "POST", "/api/buyer_withdraw_drawback/{id}/"),
    "reject_refund": ("拒绝退款", "POST", "/api/seller_reject_drawback/{id}/"),
    "approve_refund": ("同意退款", "POST", "/api/seller_approve_drawback/{id}/"),
    "send_back": ("寄回退货", "POST", "/api/buyer_send_drawback/{id}/"),
    "accept_return": ("确认收到退货", "POST", "/api/seller_receive_drawback/{id}/"),
    "dispute": ("申请平台介入", "POST", "/api/dispute_order/{id}/"),
    "state_case": ("提交陈述", "POST", "/api/dispute_statement/{id}/"),
    "contest_return": ("对退货有异议", "POST", "/api/seller_contest_drawback/{id}/"),
    "hide": ("删除订单", "DELETE", "/api/edit_order/{id}/"),
}
"""Text, method and URL of each button but `receive`, which is two: see `RECEIVE_URLS`."""

RECEIVE_URLS = {BUYER: "/api/buyer_receive_delivery/{id}/", SELLER: "/api/seller_hand_over/{id}/"}


def name_of(phase: OrderPhase) -> str:
    """How tests call a phase: `1-6`, `1-6-closed`."""
    return f"{phase.bill}-{phase.goods}" + ("-closed" if phase.closed else "")
