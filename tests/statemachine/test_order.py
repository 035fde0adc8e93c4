"""Every cell of the order: legal phase × event × role, against the design's table written out here by hand."""

from datetime import timedelta
from typing import NamedTuple

import pytest

from statemachine import (
    ORDER,
    Forbidden,
    GoodEvent,
    GuardFailed,
    IllegalTransition,
    Move,
    OrderEvent,
    OrderPhase,
    Role,
    TradeMode,
    TransitionRefused,
    order,
    order_flow,
)
from statemachine.order import (
    AWAITING_PAYMENT,
    AWARDED_TO_SELLER,
    BILL_TEXT,
    BILL_TEXT_EN,
    CANCELLED,
    ORDER_TEXT,
    ORDER_TEXT_EN,
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
    BillStatus,
    OrderStatus,
    facts_after,
)
from tests.statemachine.subjects import Thing, facts

# fmt: off
PHASES: list[OrderPhase] = [
    AWAITING_PAYMENT, CANCELLED, PAID, SHIPPED, RECEIVED, SETTLED,
    REFUND_REQUESTED_UNSHIPPED, REFUND_REQUESTED_SHIPPED, REFUND_REQUESTED_RECEIVED, RETURN_SENT,
    REFUNDED_UNSHIPPED, REFUNDED_SHIPPED, REFUNDED_RECEIVED, REFUNDED_RETURNED, AWARDED_TO_SELLER,
]
ROLES = ["buyer", "seller", "system", "gateway", "staff"]
EVENTS = [
    "pay", "cancel", "expire", "ship", "refund_unshipped", "receive", "extend_receipt", "settle", "request_refund",
    "withdraw_refund", "reject_refund", "approve_refund", "send_back", "lapse", "accept_return", "dispute",
    "contest_return", "resolve_for_buyer", "resolve_for_seller",
]
ESCROWED = [("gateway", "escrow")]
REFUND = [("escrow", "gateway")]
HELD = [("escrow", "seller_held")]
BACK = [("seller_held", "escrow")]
MIN, H, D = 60, 3600, 86400


class Cell(NamedTuple):
    target: OrderPhase
    moves: list[tuple[str, str]]
    good: str | None
    seconds: int | None = None
    guards: tuple[str, ...] = ()


# event, role, from: to, money, the good, the system's clock in seconds, what else has to hold
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
}

# What a step does to the clocks, where it does not just start the next one.
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

CLOCKS: dict[OrderPhase, tuple[str, int, str, str]] = {
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
WAYS = [TradeMode.COURIER, TradeMode.FACE_TO_FACE]


def test_each_name_stands_for_the_numbers_of_the_api_spec() -> None:
    assert [tuple(phase) for phase in PHASES] == [
        *((1, 6, False), (1, 6, True), (2, 6, False), (2, 7, False), (3, 8, False), (3, 8, True)),
        *((4, 6, False), (4, 7, False), (4, 8, False), (4, 9, False)),
        *((5, 6, True), (5, 7, True), (5, 8, True), (5, 10, True), (3, 9, True)),
    ]
    named = {name: phase for name, phase in vars(order).items() if isinstance(phase, OrderPhase)}
    assert list(named.values()) == PHASES


def test_the_vocabulary_is_the_design_s() -> None:
    assert list(order_flow.phases) == PHASES
    assert [str(event) for event in OrderEvent] == EVENTS
    assert [str(role) for role in Role] == ROLES
    assert order_flow.spec.start == AWAITING_PAYMENT
    assert (ORDER.creation.name, ORDER.creation.by, ORDER.creation.good_event) == ("buy", "buyer", "hold")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("phase", PHASES)
def test_every_cell_is_allowed_or_refused_as_the_table_says(phase: OrderPhase, way: TradeMode) -> None:
    known = facts(trade_mode=way)
    blocked = "face_to_face" if way is TradeMode.FACE_TO_FACE else "not_face_to_face"
    for event in OrderEvent:
        for role in Role:
            thing = Thing(phase)
            cell = TABLE.get((event.value, role.value, phase))
            reasons = order_flow.why_not(phase, event, role, known)
            if cell is not None and blocked not in cell.guards:
                step = order_flow.fire(thing, event, role, known)
                assert thing.phase == cell.target
                assert type(thing.phase) is OrderPhase
                assert (step.event, step.role, step.source, step.target) == (event, role, phase, cell.target)
                assert [(move.source, move.target) for move in step.moves] == cell.moves
                assert step.good_event == cell.good
                assert step.rule in ORDER.rules
                assert reasons == ()
                continue
            if cell is not None:
                refusal: type[TransitionRefused] = GuardFailed
            elif any((event.value, other, phase) in TABLE for other in ROLES):
                refusal = Forbidden
            else:
                refusal = IllegalTransition
            with pytest.raises(refusal) as refused:
                order_flow.fire(thing, event, role, known)
            assert type(refused.value) is refusal
            assert thing.phase is phase
            assert reasons == refused.value.reasons != ()


@pytest.mark.parametrize("phase", PHASES)
def test_allowed_lists_exactly_the_table(phase: OrderPhase) -> None:
    for role in ROLES:
        expected = {event for event in EVENTS if (event, role, phase) in TABLE}
        assert set(order_flow.allowed(phase, role)) == expected
        for way, blocked in zip(WAYS, ("not_face_to_face", "face_to_face"), strict=True):
            shown = {event for event in expected if blocked not in TABLE[event, role, phase].guards}
            assert set(order_flow.allowed(phase, role, facts(trade_mode=way))) == shown


def test_guards_and_clocks_are_the_table_s() -> None:
    cells = {
        (rule.event.value, str(role), rule.source): (
            tuple(guard.code for guard in rule.guards),
            rule.deadline and int(rule.deadline.default.total_seconds()),
        )
        for rule in ORDER.rules
        for role in rule.by
    }
    assert cells == {key: (cell.guards, cell.seconds) for key, cell in TABLE.items()}
    effects = {(rule.event.value, rule.source): rule.timer_effect.value for rule in ORDER.rules}
    assert {key: effect for key, effect in effects.items() if effect != "start"} == EFFECTS


@pytest.mark.parametrize("phase", PHASES)
def test_each_open_phase_has_its_deadline_and_no_closed_one_has(phase: OrderPhase) -> None:
    deadline = order_flow.deadline(phase)
    assert order_flow.is_open(phase) is not phase.closed
    if phase.closed:
        assert deadline is None
        return
    event, seconds, setting, text = CLOCKS[phase]
    assert deadline is not None
    assert (deadline.event, deadline.setting, deadline.text.zh) == (event, setting, text)
    assert deadline.default == timedelta(seconds=seconds)
    reminder = deadline.reminder
    assert (reminder.role, int(reminder.default.total_seconds()), reminder.setting) == REMINDERS[phase]


@pytest.mark.parametrize(
    "phase", [REFUND_REQUESTED_UNSHIPPED, REFUND_REQUESTED_SHIPPED, REFUND_REQUESTED_RECEIVED, RETURN_SENT]
)
def test_a_dispute_stops_the_clock_and_leaves_the_parties_and_staff(phase: OrderPhase) -> None:
    disputed = facts(disputed=True)
    clock = order_flow.deadline(phase, facts())
    assert clock is not None
    assert order_flow.deadline(phase, disputed) is None
    thing = Thing(phase)
    with pytest.raises(GuardFailed) as refused:
        order_flow.fire(thing, clock.event, Role.SYSTEM, disputed)
    assert [(r.code, r.zh) for r in refused.value.reasons] == [("disputed", "订单有争议,等待平台客服处理")]
    assert thing.phase == phase
    assert order_flow.allowed(phase, Role.SYSTEM, disputed) == ()
    assert order_flow.allowed(phase, Role.STAFF, disputed) == order_flow.allowed(phase, Role.STAFF)
    # Until staff decide either side may only give in; the buyer has sent the goods back and has nothing left to say.
    assert order_flow.allowed(phase, Role.BUYER, disputed) == (("withdraw_refund",) if phase != RETURN_SENT else ())
    assert order_flow.allowed(phase, Role.SELLER, disputed) == (
        ("approve_refund",) if phase != RETURN_SENT else ("accept_return",)
    )


def test_disputes_are_raised_once_and_end_with_the_next_step() -> None:
    thing, known = Thing(REFUND_REQUESTED_RECEIVED), facts()
    step = order_flow.fire(thing, OrderEvent.DISPUTE, Role.SELLER, known)
    assert (step.source, step.target, thing.phase, step.moves, step.good_event) == (
        REFUND_REQUESTED_RECEIVED,
        REFUND_REQUESTED_RECEIVED,
        REFUND_REQUESTED_RECEIVED,
        (),
        None,
    )
    known = facts_after(OrderEvent.DISPUTE, known)
    assert known == facts(disputed=True)
    with pytest.raises(GuardFailed) as refused:
        order_flow.fire(thing, OrderEvent.DISPUTE, Role.BUYER, known)
    assert [reason.code for reason in refused.value.reasons] == ["disputed"]
    order_flow.fire(thing, OrderEvent.RESOLVE_FOR_SELLER, Role.STAFF, known)
    assert thing.phase == RECEIVED
    known = facts_after(OrderEvent.RESOLVE_FOR_SELLER, known)
    assert known == facts()
    assert facts_after(OrderEvent.CONTEST_RETURN, known).disputed is True


def test_facts_count_requests_and_remember_the_longer_receipt() -> None:
    known = facts()
    for event in (OrderEvent.EXTEND_RECEIPT, OrderEvent.REQUEST_REFUND, OrderEvent.REJECT_REFUND):
        known = facts_after(event, known)
    assert known == facts(refund_count=1, extended=True)


def test_the_time_for_receipt_is_extended_once() -> None:
    thing = Thing(SHIPPED)
    step = order_flow.fire(thing, OrderEvent.EXTEND_RECEIPT, Role.BUYER, facts())
    assert (step.source, step.target, thing.phase) == (SHIPPED,) * 3
    assert OrderEvent.EXTEND_RECEIPT not in order_flow.allowed(SHIPPED, Role.BUYER, facts(extended=True))
    with pytest.raises(GuardFailed) as refused:
        order_flow.fire(thing, OrderEvent.EXTEND_RECEIPT, Role.BUYER, facts(extended=True))
    assert [(r.code, r.zh) for r in refused.value.reasons] == [("extended", "收货时间只能延长一次")]
    assert thing.phase == SHIPPED


@pytest.mark.parametrize("phase", [PAID, SHIPPED, RECEIVED])
def test_a_refund_can_be_requested_three_times(phase: OrderPhase) -> None:
    for count in (0, 1, 2):
        assert OrderEvent.REQUEST_REFUND in order_flow.allowed(phase, Role.BUYER, facts(refund_count=count))
    assert OrderEvent.REQUEST_REFUND not in order_flow.allowed(phase, Role.BUYER, facts(refund_count=3))
    thing = Thing(phase)
    with pytest.raises(GuardFailed) as refused:
        order_flow.fire(thing, OrderEvent.REQUEST_REFUND, Role.BUYER, facts(refund_count=3))
    assert [(r.code, r.zh) for r in refused.value.reasons] == [("refund_limit", "每个订单最多申请 3 次退款")]
    assert thing.phase == phase


def test_the_seller_s_handover_names_every_condition_that_fails() -> None:
    phase = PAID
    wrong = facts(handover_code_ok=False)
    codes = [r.code for r in order_flow.why_not(phase, OrderEvent.RECEIVE, Role.SELLER, wrong)]
    assert codes == ["not_face_to_face", "handover_code"]
    near = facts(trade_mode=TradeMode.FACE_TO_FACE, handover_code_ok=False)
    assert [r.code for r in order_flow.why_not(phase, OrderEvent.RECEIVE, Role.SELLER, near)] == ["handover_code"]


def test_what_comes_with_the_deed_hides_no_button() -> None:
    bare = facts(trade_mode=TradeMode.FACE_TO_FACE, has_reason=False, handover_code_ok=False)
    assert order_flow.allowed(PAID, Role.SELLER, bare) == (OrderEvent.RECEIVE,)
    assert OrderEvent.REJECT_REFUND in order_flow.allowed(REFUND_REQUESTED_SHIPPED, Role.SELLER, bare)
    thing = Thing(REFUND_REQUESTED_SHIPPED)
    with pytest.raises(GuardFailed) as refused:
        order_flow.fire(thing, OrderEvent.REJECT_REFUND, Role.SELLER, bare)
    assert [(r.code, r.zh) for r in refused.value.reasons] == [("reason_required", "请填写理由")]
    assert thing.phase == REFUND_REQUESTED_SHIPPED


def test_the_spine_of_the_note_ends_returned_and_refunded() -> None:
    thing = Thing(ORDER.start)
    steps = [
        order_flow.fire(thing, event, role, facts())
        for event, role in [
            (OrderEvent.PAY, Role.GATEWAY),
            (OrderEvent.SHIP, Role.SELLER),
            (OrderEvent.RECEIVE, Role.BUYER),
            (OrderEvent.REQUEST_REFUND, Role.BUYER),
            (OrderEvent.SEND_BACK, Role.BUYER),
            (OrderEvent.ACCEPT_RETURN, Role.SELLER),
        ]
    ]
    assert thing.phase == REFUNDED_RETURNED
    assert [step.target for step in steps] == [
        PAID,
        SHIPPED,
        RECEIVED,
        REFUND_REQUESTED_RECEIVED,
        RETURN_SENT,
        REFUNDED_RETURNED,
    ]
    assert [step.good_event for step in steps] == [None, None, GoodEvent.FINISH, None, None, None]
    assert [move for step in steps for move in step.moves] == [
        Move("gateway", "escrow"),
        Move("escrow", "seller_held"),
        Move("seller_held", "escrow"),
        Move("escrow", "gateway"),
    ]


def test_numbers_and_texts_are_the_note_s() -> None:
    assert {int(code): text for code, text in BILL_TEXT.items()} == {
        1: "待买家付款",
        2: "买家已付款",
        3: "卖家已收款",
        4: "买家已申请退款",
        5: "卖家已退款",
    }
    assert {int(code): text for code, text in ORDER_TEXT.items()} == {
        6: "卖家未发货",
        7: "卖家已发货",
        8: "买家已收货",
        9: "买家已退货",
        10: "卖家已收货",
    }
    assert list(BILL_TEXT_EN) == list(BillStatus)
    assert list(ORDER_TEXT_EN) == list(OrderStatus)
    assert BILL_TEXT[1] == "待买家付款"
