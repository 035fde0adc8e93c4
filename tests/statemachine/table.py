"""The order's rules, written out by hand from the design and not read from the machine: what tests compare with.

`tests/orders/table.py` is the table for the tests over HTTP.
"""

from typing import NamedTuple

from statemachine import OrderPhase
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

# fmt: off
PHASES: list[OrderPhase] = [
    AWAITING_PAYMENT, CANCELLED, PAID, SHIPPED, RECEIVED, SETTLED,
    REFUND_REQUESTED_UNSHIPPED, REFUND_REQUESTED_SHIPPED, REFUND_REQUESTED_RECEIVED, RETURN_SENT,
    REFUNDED_UNSHIPPED, REFUNDED_SHIPPED, REFUNDED_RECEIVED, REFUNDED_RETURNED, AWARDED_TO_SELLER,
]
ROLES = ["buyer", "seller", "system", "gateway", "staff"]
ESCROWED = [("gateway", "escrow")]
REFUND = [("escrow", "gateway")]
HELD = [("escrow", "seller_held")]
BACK = [("seller_held", "escrow")]
ELSEWHERE = ("not_refunded_elsewhere",)
MIN, H, D = 60, 3600, 86400


class Cell(NamedTuple):
    target: OrderPhase
    moves: list[tuple[str, str]]
    good: str | None
    seconds: int | None = None
    guards: tuple[str, ...] = ()


# event, role, from: to, money, the good, after how many seconds the system does it, what else has to hold
TABLE: dict[tuple[str, str, OrderPhase], Cell] = {
    ("pay", "gateway", AWAITING_PAYMENT): Cell(PAID, ESCROWED, None),
    ("cancel", "buyer", AWAITING_PAYMENT): Cell(CANCELLED, [], "release"),
    ("cancel", "seller", AWAITING_PAYMENT): Cell(CANCELLED, [], "release"),
    ("expire", "system", AWAITING_PAYMENT): Cell(CANCELLED, [], "release", 30 * MIN),
    ("ship", "seller", PAID): Cell(SHIPPED, [], None, None, ("face_to_face",)),
    ("refund_unshipped", "system", PAID): Cell(REFUNDED_UNSHIPPED, REFUND, "release", 7 * D),
    ("receive", "buyer", SHIPPED): Cell(RECEIVED, HELD, "finish"),
    ("receive", "system", SHIPPED): Cell(RECEIVED, HELD, "finish", 10 * D),
    ("receive", "buyer", PAID): Cell(RECEIVED, HELD, "finish", None, ("not_face_to_face",)),
    ("receive", "seller", PAID):
        Cell(RECEIVED, HELD, "finish", None, ("not_face_to_face", "handover_code")),
    ("extend_receipt", "buyer", SHIPPED): Cell(SHIPPED, [], None, None, ("extended",)),
    ("settle", "system", RECEIVED): Cell(SETTLED, [("seller_held", "seller_available")], None, 7 * D),
    ("request_refund", "buyer", PAID): Cell(REFUND_REQUESTED_UNSHIPPED, [], None, None, ("refund_limit",)),
    ("request_refund", "buyer", SHIPPED): Cell(REFUND_REQUESTED_SHIPPED, [], None, None, ("refund_limit",)),
    ("request_refund", "buyer", RECEIVED): Cell(REFUND_REQUESTED_RECEIVED, BACK, None, None, ("refund_limit",)),
    ("withdraw_refund", "buyer", REFUND_REQUESTED_UNSHIPPED): Cell(PAID, [], None),
    ("withdraw_refund", "buyer", REFUND_REQUESTED_SHIPPED): Cell(SHIPPED, [], None),
    ("withdraw_refund", "buyer", REFUND_REQUESTED_RECEIVED): Cell(RECEIVED, HELD, None),
    ("reject_refund", "seller", REFUND_REQUESTED_UNSHIPPED):
        Cell(PAID, [], None, None, ("disputed", "reason_required")),
    ("reject_refund", "seller", REFUND_REQUESTED_SHIPPED):
        Cell(SHIPPED, [], None, None, ("disputed", "reason_required")),
    ("reject_refund", "seller", REFUND_REQUESTED_RECEIVED):
        Cell(RECEIVED, HELD, None, None, ("disputed", "reason_required")),
    ("approve_refund", "seller", REFUND_REQUESTED_UNSHIPPED): Cell(REFUNDED_UNSHIPPED, REFUND, "release"),
    ("approve_refund", "seller", REFUND_REQUESTED_SHIPPED): Cell(REFUNDED_SHIPPED, REFUND, "finish"),
    ("approve_refund", "seller", REFUND_REQUESTED_RECEIVED): Cell(REFUNDED_RECEIVED, REFUND, None),
    ("approve_refund", "system", REFUND_REQUESTED_UNSHIPPED):
        Cell(REFUNDED_UNSHIPPED, REFUND, "release", 48 * H, ("disputed",)),
    ("approve_refund", "system", REFUND_REQUESTED_SHIPPED):
        Cell(REFUNDED_SHIPPED, REFUND, "finish", 5 * D, ("disputed",)),
    ("send_back", "buyer", REFUND_REQUESTED_RECEIVED): Cell(RETURN_SENT, [], None, None, ("disputed",)),
    ("lapse", "system", REFUND_REQUESTED_RECEIVED): Cell(RECEIVED, HELD, None, 7 * D, ("disputed",)),
    ("accept_return", "seller", RETURN_SENT): Cell(REFUNDED_RETURNED, REFUND, None),
    ("accept_return", "system", RETURN_SENT): Cell(REFUNDED_RETURNED, REFUND, None, 10 * D, ("disputed",)),
    ("dispute", "buyer", REFUND_REQUESTED_UNSHIPPED): Cell(REFUND_REQUESTED_UNSHIPPED, [], None, None, ("disputed",)),
    ("dispute", "seller", REFUND_REQUESTED_UNSHIPPED): Cell(REFUND_REQUESTED_UNSHIPPED, [], None, None, ("disputed",)),
    ("dispute", "buyer", REFUND_REQUESTED_SHIPPED): Cell(REFUND_REQUESTED_SHIPPED, [], None, None, ("disputed",)),
    ("dispute", "seller", REFUND_REQUESTED_SHIPPED): Cell(REFUND_REQUESTED_SHIPPED, [], None, None, ("disputed",)),
    ("dispute", "buyer", REFUND_REQUESTED_RECEIVED): Cell(REFUND_REQUESTED_RECEIVED, [], None, None, ("disputed",)),
    ("dispute", "seller", REFUND_REQUESTED_RECEIVED): Cell(REFUND_REQUESTED_RECEIVED, [], None, None, ("disputed",)),
    ("dispute", "buyer", RETURN_SENT): Cell(RETURN_SENT, [], None, None, ("disputed",)),
    ("contest_return", "seller", RETURN_SENT): Cell(RETURN_SENT, [], None, None, ("disputed",)),
    ("resolve_for_buyer", "staff", REFUND_REQUESTED_UNSHIPPED): Cell(REFUNDED_UNSHIPPED, REFUND, "release"),
    ("resolve_for_buyer", "staff", REFUND_REQUESTED_SHIPPED): Cell(REFUNDED_SHIPPED, REFUND, "finish"),
    ("resolve_for_buyer", "staff", REFUND_REQUESTED_RECEIVED): Cell(REFUNDED_RECEIVED, REFUND, None),
    ("resolve_for_buyer", "staff", RETURN_SENT): Cell(REFUNDED_RETURNED, REFUND, None),
    ("resolve_for_seller", "staff", REFUND_REQUESTED_UNSHIPPED): Cell(PAID, [], None),
    ("resolve_for_seller", "staff", REFUND_REQUESTED_SHIPPED): Cell(SHIPPED, [], None),
    ("resolve_for_seller", "staff", REFUND_REQUESTED_RECEIVED): Cell(RECEIVED, HELD, None),
    ("resolve_for_seller", "staff", RETURN_SENT): Cell(AWARDED_TO_SELLER, [("escrow", "seller_available")], None),
    ("confirm_external_refund", "staff", PAID): Cell(REFUNDED_UNSHIPPED, REFUND, "release", None, ELSEWHERE),
    ("confirm_external_refund", "staff", SHIPPED): Cell(REFUNDED_SHIPPED, REFUND, "finish", None, ELSEWHERE),
    ("confirm_external_refund", "staff", RECEIVED):
        Cell(REFUNDED_RECEIVED, [("seller_held", "gateway")], None, None, ELSEWHERE),
    ("confirm_external_refund", "staff", REFUND_REQUESTED_UNSHIPPED):
        Cell(REFUNDED_UNSHIPPED, REFUND, "release", None, ELSEWHERE),
    ("confirm_external_refund", "staff", REFUND_REQUESTED_SHIPPED):
        Cell(REFUNDED_SHIPPED, REFUND, "finish", None, ELSEWHERE),
    ("confirm_external_refund", "staff", REFUND_REQUESTED_RECEIVED):
        Cell(REFUNDED_RECEIVED, REFUND, None, None, ELSEWHERE),
    ("confirm_external_refund", "staff", RETURN_SENT): Cell(REFUNDED_RETURNED, REFUND, None, None, ELSEWHERE),
}
EVENTS = list(dict.fromkeys(event for event, _, _ in TABLE))

# What a step does to the timers, where it does not just start the next one.
EFFECTS: dict[tuple[str, OrderPhase], str] = {
    ("extend_receipt", SHIPPED): "extend",
    ("request_refund", PAID): "pause",
    ("request_refund", SHIPPED): "pause",
    ("request_refund", RECEIVED): "pause",
    ("withdraw_refund", REFUND_REQUESTED_UNSHIPPED): "resume",
    ("withdraw_refund", REFUND_REQUESTED_SHIPPED): "resume",
    ("withdraw_refund", REFUND_REQUESTED_RECEIVED): "resume",
    ("reject_refund", REFUND_REQUESTED_UNSHIPPED): "resume",
    ("reject_refund", REFUND_REQUESTED_SHIPPED): "resume",
    ("reject_refund", REFUND_REQUESTED_RECEIVED): "resume",
    ("lapse", REFUND_REQUESTED_RECEIVED): "resume",
    ("resolve_for_seller", REFUND_REQUESTED_UNSHIPPED): "resume",
    ("resolve_for_seller", REFUND_REQUESTED_SHIPPED): "resume",
    ("resolve_for_seller", REFUND_REQUESTED_RECEIVED): "resume",
}

# Who is told how long before, and the setting that says it.
REMINDERS: dict[OrderPhase, tuple[str, int, str]] = {
    AWAITING_PAYMENT: ("buyer", 10 * MIN, "expire_reminder"),
    PAID: ("seller", 1 * D, "refund_unshipped_reminder"),
    SHIPPED: ("buyer", 1 * D, "receive_reminder"),
    RECEIVED: ("buyer", 1 * D, "settle_reminder"),
    REFUND_REQUESTED_UNSHIPPED: ("seller", 12 * H, "approve_refund_unshipped_reminder"),
    REFUND_REQUESTED_SHIPPED: ("seller", 1 * D, "approve_refund_shipped_reminder"),
    REFUND_REQUESTED_RECEIVED: ("buyer", 1 * D, "lapse_reminder"),
    RETURN_SENT: ("seller", 1 * D, "accept_return_reminder"),
}

DEADLINES: dict[OrderPhase, tuple[str, int, str, str]] = {
    AWAITING_PAYMENT: ("expire", 30 * MIN, "expire_after", "买家付款截止"),
    PAID: ("refund_unshipped", 7 * D, "refund_unshipped_after", "卖家交货截止"),
    SHIPPED: ("receive", 10 * D, "receive_after", "自动确认收货"),
    RECEIVED: ("settle", 7 * D, "settle_after", "售后期截止"),
    REFUND_REQUESTED_UNSHIPPED: ("approve_refund", 48 * H, "approve_refund_unshipped_after", "卖家处理退款截止"),
    REFUND_REQUESTED_SHIPPED: ("approve_refund", 5 * D, "approve_refund_shipped_after", "卖家处理退款截止"),
    REFUND_REQUESTED_RECEIVED: ("lapse", 7 * D, "lapse_after", "买家寄回截止"),
    RETURN_SENT: ("accept_return", 10 * D, "accept_return_after", "卖家确认收到退货截止"),
}
# fmt: on
