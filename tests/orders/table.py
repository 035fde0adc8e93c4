"""The table of rules, written by hand from the design and not read from the machine: what tests compare with."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from app.answers import Answer
from statemachine import GoodStatus, OrderPhase

at = OrderPhase
BUYER, SELLER, STRANGER = ROLES = ("buyer", "seller", "stranger")

PHASES = [
    at(1, 6),
    at(1, 6, True),
    at(2, 6),
    at(2, 7),
    at(3, 8),
    at(3, 8, True),
    at(4, 6),
    at(4, 7),
    at(4, 8),
    at(4, 9),
    at(5, 6, True),
    at(5, 7, True),
    at(5, 8, True),
    at(5, 10, True),
    at(3, 9, True),
]
REFUND_PHASES = [at(4, 6), at(4, 7), at(4, 8), at(4, 9)]

# Where the good stands while its order stands there; everywhere else it is sold.
GOOD_AT = {
    **dict.fromkeys([at(1, 6, True), at(5, 6, True)], GoodStatus.PUBLISHED),
    **dict.fromkeys([at(1, 6), at(2, 6), at(2, 7), at(4, 6), at(4, 7)], GoodStatus.IN_TRADE),
}


class Clock(NamedTuple):
    """The system's deadline at a phase: how long it runs, how long before its end which side is reminded, of what."""

    after: timedelta
    reminder: timedelta
    reminded: str
    what: str
    text: str


_DAY = timedelta(days=1)
CLOCKS = {
    at(1, 6): Clock(timedelta(minutes=30), timedelta(minutes=10), BUYER, "expire", "买家付款截止"),
    at(2, 6): Clock(7 * _DAY, _DAY, SELLER, "refund_unshipped", "卖家交货截止"),
    at(2, 7): Clock(10 * _DAY, _DAY, BUYER, "receive", "自动确认收货"),
    at(3, 8): Clock(7 * _DAY, _DAY, BUYER, "settle", "售后期截止"),
    at(4, 6): Clock(2 * _DAY, _DAY / 2, SELLER, "approve_refund", "卖家处理退款截止"),
    at(4, 7): Clock(5 * _DAY, _DAY, SELLER, "approve_refund", "卖家处理退款截止"),
    at(4, 8): Clock(7 * _DAY, _DAY, BUYER, "lapse", "买家寄回截止"),
    at(4, 9): Clock(10 * _DAY, _DAY, SELLER, "accept_return", "卖家确认收到退货截止"),
}


class Deed(NamedTuple):
    """Something that a side does over HTTP: its URL, its body, its answer, the event it fires."""

    url: str
    body: dict[str, Any]
    answer: Answer
    event: str


PARCEL = {"company": "顺丰速运", "tracking_no": "SF1234567890"}
DEEDS = {
    "cancel": Deed("/api/cancel_order/{id}/", {}, Answer.ORDER_CANCELLED, "cancel"),
    "ship": Deed("/api/seller_send_delivery/{id}/", PARCEL, Answer.ORDER_SHIPPED, "ship"),
    "receive": Deed("/api/buyer_receive_delivery/{id}/", {}, Answer.ORDER_RECEIVED, "receive"),
    "hand_over": Deed("/api/seller_hand_over/{id}/", {"code": "000000"}, Answer.GOODS_HANDED_OVER, "receive"),
    "extend": Deed("/api/buyer_extend_receipt/{id}/", {}, Answer.RECEIPT_EXTENDED, "extend_receipt"),
    "request": Deed(
        "/api/buyer_motion_drawback/{id}", {"reason": "不想要了"}, Answer.REFUND_REQUESTED, "request_refund"
    ),
    "withdraw": Deed("/api/buyer_withdraw_drawback/{id}/", {}, Answer.REFUND_WITHDRAWN, "withdraw_refund"),
    "reject": Deed(
        "/api/seller_reject_drawback/{id}/", {"reason": "商品与描述一致"}, Answer.REFUND_REJECTED, "reject_refund"
    ),
    "approve": Deed("/api/seller_approve_drawback/{id}/", {}, Answer.REFUND_APPROVED, "approve_refund"),
    "send_back": Deed("/api/buyer_send_drawback/{id}/", PARCEL, Answer.RETURN_SENT, "send_back"),
    "accept": Deed("/api/seller_receive_drawback/{id}/", {}, Answer.RETURN_ACCEPTED, "accept_return"),
    "dispute": Deed("/api/dispute_order/{id}/", {"reason": "协商不成"}, Answer.DISPUTE_RAISED, "dispute"),
    "contest": Deed(
        "/api/seller_contest_drawback/{id}/", {"reason": "退回的不是原物"}, Answer.RETURN_CONTESTED, "contest_return"
    ),
}
RENEW_URL = "/api/buyer_handover_code/{id}/"


class Effect(NamedTuple):
    """What a deed does. `money` says how often the order's amount goes to (+) or leaves (−) the accounts of a kind.

    `clock` is what happens to the clock: the target's own begins, the one that a request stopped goes on with what it
    had left, the present one gets its whole time on top, or none runs.
    """

    by: tuple[str, ...]
    target: OrderPhase
    clock: Literal["begins", "goes on", "longer", "none"]
    money: Mapping[str, int] = MappingProxyType({})
    good: GoodStatus | None = None  # where the good goes; None: it stays
    writes: tuple[str, ...] = ()  # tables beside those of every step, of money and of the good


PROCEEDS = {"escrow": -1, "seller_held": 1}
PROCEEDS_BACK = {"seller_held": -1, "escrow": 1}
REFUND = {"escrow": -1, "refund_clearing": 1}
_PARTIES = (BUYER, SELLER)
_ASKED, _CALLED = ("refund_requests",), ("disputes",)

EFFECTS = {
    ("cancel", at(1, 6)): Effect(_PARTIES, at(1, 6, True), "none", good=GoodStatus.PUBLISHED),
    ("ship", at(2, 6)): Effect((SELLER,), at(2, 7), "begins", writes=("waybills",)),
    ("receive", at(2, 7)): Effect((BUYER,), at(3, 8), "begins", PROCEEDS, GoodStatus.SOLD),
    ("extend", at(2, 7)): Effect((BUYER,), at(2, 7), "longer"),
    ("request", at(2, 6)): Effect((BUYER,), at(4, 6), "begins", writes=_ASKED),
    ("request", at(2, 7)): Effect((BUYER,), at(4, 7), "begins", writes=_ASKED),
    ("request", at(3, 8)): Effect((BUYER,), at(4, 8), "begins", PROCEEDS_BACK, writes=_ASKED),
    ("withdraw", at(4, 6)): Effect((BUYER,), at(2, 6), "goes on", writes=_ASKED),
    ("withdraw", at(4, 7)): Effect((BUYER,), at(2, 7), "goes on", writes=_ASKED),
    ("withdraw", at(4, 8)): Effect((BUYER,), at(3, 8), "goes on", PROCEEDS, writes=_ASKED),
    ("reject", at(4, 6)): Effect((SELLER,), at(2, 6), "goes on", writes=_ASKED),
    ("reject", at(4, 7)): Effect((SELLER,), at(2, 7), "goes on", writes=_ASKED),
    ("reject", at(4, 8)): Effect((SELLER,), at(3, 8), "goes on", PROCEEDS, writes=_ASKED),
    ("approve", at(4, 6)): Effect((SELLER,), at(5, 6, True), "none", REFUND, GoodStatus.PUBLISHED, writes=_ASKED),
    ("approve", at(4, 7)): Effect((SELLER,), at(5, 7, True), "none", REFUND, GoodStatus.SOLD, writes=_ASKED),
    ("approve", at(4, 8)): Effect((SELLER,), at(5, 8, True), "none", REFUND, writes=_ASKED),
    ("send_back", at(4, 8)): Effect((BUYER,), at(4, 9), "begins", writes=("waybills",)),
    ("accept", at(4, 9)): Effect((SELLER,), at(5, 10, True), "none", REFUND, writes=_ASKED),
    ("dispute", at(4, 6)): Effect(_PARTIES, at(4, 6), "none", writes=_CALLED),
    ("dispute", at(4, 7)): Effect(_PARTIES, at(4, 7), "none", writes=_CALLED),
    ("dispute", at(4, 8)): Effect(_PARTIES, at(4, 8), "none", writes=_CALLED),
    ("dispute", at(4, 9)): Effect((BUYER,), at(4, 9), "none", writes=_CALLED),
    ("contest", at(4, 9)): Effect((SELLER,), at(4, 9), "none", writes=_CALLED),
}
"""Of an order that is shipped and not disputed. Whatever is not here is refused."""

FACE_TO_FACE = {
    ("receive", at(2, 6)): Effect((BUYER,), at(3, 8), "begins", PROCEEDS, GoodStatus.SOLD),
    ("hand_over", at(2, 6)): Effect((SELLER,), at(3, 8), "begins", PROCEEDS, GoodStatus.SOLD),
}
"""What 当面交易 adds; for it there is no shipping."""

BY_THE_CLOCK = {
    at(1, 6): Effect((), at(1, 6, True), "none", good=GoodStatus.PUBLISHED),
    at(2, 6): Effect((), at(5, 6, True), "none", REFUND, GoodStatus.PUBLISHED),
    at(2, 7): Effect((), at(3, 8), "begins", PROCEEDS, GoodStatus.SOLD),
    at(3, 8): Effect((), at(3, 8, True), "none", {"seller_held": -1, "seller_available": 1}),
    at(4, 6): Effect((), at(5, 6, True), "none", REFUND, GoodStatus.PUBLISHED, writes=_ASKED),
    at(4, 7): Effect((), at(5, 7, True), "none", REFUND, GoodStatus.SOLD, writes=_ASKED),
    at(4, 8): Effect((), at(3, 8), "goes on", PROCEEDS, writes=_ASKED),
    at(4, 9): Effect((), at(5, 10, True), "none", REFUND, writes=_ASKED),
}
"""What the system does once the clock of `CLOCKS` has run out."""

CONCESSIONS = {("withdraw", BUYER), ("approve", SELLER), ("accept", SELLER)}
"""What is left to the sides of a disputed order, where it is allowed without the dispute."""

OFFERED = {
    at(1, 6): (["pay", "cancel"], ["cancel"]),
    at(1, 6, True): (["hide"], ["hide"]),
    at(2, 6): (["request_refund"], ["ship"]),
    at(2, 7): (["receive", "extend_receipt", "request_refund"], []),
    at(3, 8): (["request_refund", "hide"], ["hide"]),
    at(3, 8, True): (["hide"], ["hide"]),
    at(4, 6): (["withdraw_refund", "dispute"], ["reject_refund", "approve_refund", "dispute"]),
    at(4, 7): (["withdraw_refund", "dispute"], ["reject_refund", "approve_refund", "dispute"]),
    at(4, 8): (["withdraw_refund", "send_back", "dispute"], ["reject_refund", "approve_refund", "dispute"]),
    at(4, 9): (["dispute"], ["accept_return", "contest_return"]),
    at(5, 6, True): (["hide"], ["hide"]),
    at(5, 7, True): (["hide"], ["hide"]),
    at(5, 8, True): (["hide"], ["hide"]),
    at(5, 10, True): (["hide"], ["hide"]),
    at(3, 9, True): (["hide"], ["hide"]),
}
"""The buttons of an order that is shipped: the buyer's and the seller's."""

OFFERED_DISPUTED = {
    at(4, 6): (["withdraw_refund", "state_case"], ["approve_refund", "state_case"]),
    at(4, 7): (["withdraw_refund", "state_case"], ["approve_refund", "state_case"]),
    at(4, 8): (["withdraw_refund", "state_case"], ["approve_refund", "state_case"]),
    at(4, 9): (["state_case"], ["accept_return", "state_case"]),
}

BUTTONS = {
    "pay": ("付款", "POST", "/order/pay/{id}/"),
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
