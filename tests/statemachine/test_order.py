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
    order_flow,
)
from statemachine.order import (
    BILL_TEXT,
    BILL_TEXT_EN,
    ORDER_TEXT,
    ORDER_TEXT_EN,
    BillStatus,
    OrderStatus,
    facts_after,
)
from tests.statemachine.subjects import Thing, facts

Triple = tuple[int, int, bool]

# fmt: off
TRIPLES: list[Triple] = [
    (1, 6, False), (1, 6, True), (2, 6, False), (2, 7, False), (3, 8, False), (3, 8, True),
    (4, 6, False), (4, 7, False), (4, 8, False), (4, 9, False),
    (5, 6, True), (5, 7, True), (5, 8, True), (5, 10, True), (3, 9, True),
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
    target: Triple
    moves: list[tuple[str, str]]
    good: str | None
    seconds: int | None = None
    guards: tuple[str, ...] = ()


# event, role, from: to, money, the good, the system's clock in seconds, what else has to hold
TABLE: dict[tuple[str, str, Triple], Cell] = {
    ("pay", "gateway", (1, 6, False)): Cell((2, 6, False), ESCROWED, None),
    ("cancel", "buyer", (1, 6, False)): Cell((1, 6, True), [], "release"),
    ("cancel", "seller", (1, 6, False)): Cell((1, 6, True), [], "release"),
    ("expire", "system", (1, 6, False)): Cell((1, 6, True), [], "release", 30 * MIN),
    ("ship", "seller", (2, 6, False)): Cell((2, 7, False), [], None, None, ("face_to_face",)),
    ("refund_unshipped", "system", (2, 6, False)): Cell((5, 6, True), REFUND, "release", 7 * D),
    ("receive", "buyer", (2, 7, False)): Cell((3, 8, False), HELD, "finish"),
    ("receive", "system", (2, 7, False)): Cell((3, 8, False), HELD, "finish", 10 * D),
    ("receive", "buyer", (2, 6, False)): Cell((3, 8, False), HELD, "finish", None, ("not_face_to_face",)),
    ("receive", "seller", (2, 6, False)):
        Cell((3, 8, False), HELD, "finish", None, ("not_face_to_face", "handover_code")),
    ("extend_receipt", "buyer", (2, 7, False)): Cell((2, 7, False), [], None, None, ("extended",)),
    ("settle", "system", (3, 8, False)): Cell((3, 8, True), [("seller_held", "seller_available")], None, 7 * D),
    ("request_refund", "buyer", (2, 6, False)): Cell((4, 6, False), [], None, None, ("refund_limit",)),
    ("request_refund", "buyer", (2, 7, False)): Cell((4, 7, False), [], None, None, ("refund_limit",)),
    ("request_refund", "buyer", (3, 8, False)): Cell((4, 8, False), BACK, None, None, ("refund_limit",)),
    ("withdraw_refund", "buyer", (4, 6, False)): Cell((2, 6, False), [], None),
    ("withdraw_refund", "buyer", (4, 7, False)): Cell((2, 7, False), [], None),
    ("withdraw_refund", "buyer", (4, 8, False)): Cell((3, 8, False), HELD, None),
    ("reject_refund", "seller", (4, 6, False)): Cell((2, 6, False), [], None, None, ("disputed", "reason_required")),
    ("reject_refund", "seller", (4, 7, False)): Cell((2, 7, False), [], None, None, ("disputed", "reason_required")),
    ("reject_refund", "seller", (4, 8, False)): Cell((3, 8, False), HELD, None, None, ("disputed", "reason_required")),
    ("approve_refund", "seller", (4, 6, False)): Cell((5, 6, True), REFUND, "release"),
    ("approve_refund", "seller", (4, 7, False)): Cell((5, 7, True), REFUND, "finish"),
    ("approve_refund", "seller", (4, 8, False)): Cell((5, 8, True), REFUND, None),
    ("approve_refund", "system", (4, 6, False)): Cell((5, 6, True), REFUND, "release", 48 * H, ("disputed",)),
    ("approve_refund", "system", (4, 7, False)): Cell((5, 7, True), REFUND, "finish", 5 * D, ("disputed",)),
    ("send_back", "buyer", (4, 8, False)): Cell((4, 9, False), [], None, None, ("disputed",)),
    ("lapse", "system", (4, 8, False)): Cell((3, 8, False), HELD, None, 7 * D, ("disputed",)),
    ("accept_return", "seller", (4, 9, False)): Cell((5, 10, True), REFUND, None),
    ("accept_return", "system", (4, 9, False)): Cell((5, 10, True), REFUND, None, 10 * D, ("disputed",)),
    ("dispute", "buyer", (4, 6, False)): Cell((4, 6, False), [], None, None, ("disputed",)),
    ("dispute", "seller", (4, 6, False)): Cell((4, 6, False), [], None, None, ("disputed",)),
    ("dispute", "buyer", (4, 7, False)): Cell((4, 7, False), [], None, None, ("disputed",)),
    ("dispute", "seller", (4, 7, False)): Cell((4, 7, False), [], None, None, ("disputed",)),
    ("dispute", "buyer", (4, 8, False)): Cell((4, 8, False), [], None, None, ("disputed",)),
    ("dispute", "seller", (4, 8, False)): Cell((4, 8, False), [], None, None, ("disputed",)),
    ("dispute", "buyer", (4, 9, False)): Cell((4, 9, False), [], None, None, ("disputed",)),
    ("contest_return", "seller", (4, 9, False)): Cell((4, 9, False), [], None, None, ("disputed",)),
    ("resolve_for_buyer", "staff", (4, 6, False)): Cell((5, 6, True), REFUND, "release"),
    ("resolve_for_buyer", "staff", (4, 7, False)): Cell((5, 7, True), REFUND, "finish"),
    ("resolve_for_buyer", "staff", (4, 8, False)): Cell((5, 8, True), REFUND, None),
    ("resolve_for_buyer", "staff", (4, 9, False)): Cell((5, 10, True), REFUND, None),
    ("resolve_for_seller", "staff", (4, 6, False)): Cell((2, 6, False), [], None),
    ("resolve_for_seller", "staff", (4, 7, False)): Cell((2, 7, False), [], None),
    ("resolve_for_seller", "staff", (4, 8, False)): Cell((3, 8, False), HELD, None),
    ("resolve_for_seller", "staff", (4, 9, False)): Cell((3, 9, True), [("escrow", "seller_available")], None),
}

# What a step does to the clocks, where it does not just start the next one.
EFFECTS: dict[tuple[str, Triple], str] = {
    ("extend_receipt", (2, 7, False)): "extend",
    ("request_refund", (2, 6, False)): "pause",
    ("request_refund", (2, 7, False)): "pause",
    ("request_refund", (3, 8, False)): "pause",
    ("withdraw_refund", (4, 6, False)): "resume",
    ("withdraw_refund", (4, 7, False)): "resume",
    ("withdraw_refund", (4, 8, False)): "resume",
    ("reject_refund", (4, 6, False)): "resume",
    ("reject_refund", (4, 7, False)): "resume",
    ("reject_refund", (4, 8, False)): "resume",
    ("lapse", (4, 8, False)): "resume",
    ("resolve_for_seller", (4, 6, False)): "resume",
    ("resolve_for_seller", (4, 7, False)): "resume",
    ("resolve_for_seller", (4, 8, False)): "resume",
}

# Who is told how long before, and the setting that says it.
REMINDERS: dict[Triple, tuple[str, int, str]] = {
    (1, 6, False): ("buyer", 10 * MIN, "expire_reminder"),
    (2, 6, False): ("seller", 1 * D, "refund_unshipped_reminder"),
    (2, 7, False): ("buyer", 1 * D, "receive_reminder"),
    (3, 8, False): ("buyer", 1 * D, "settle_reminder"),
    (4, 6, False): ("seller", 12 * H, "approve_refund_unshipped_reminder"),
    (4, 7, False): ("seller", 1 * D, "approve_refund_shipped_reminder"),
    (4, 8, False): ("buyer", 1 * D, "lapse_reminder"),
    (4, 9, False): ("seller", 1 * D, "accept_return_reminder"),
}

CLOCKS: dict[Triple, tuple[str, int, str, str]] = {
    (1, 6, False): ("expire", 30 * MIN, "expire_after", "买家付款截止"),
    (2, 6, False): ("refund_unshipped", 7 * D, "refund_unshipped_after", "卖家交货截止"),
    (2, 7, False): ("receive", 10 * D, "receive_after", "自动确认收货"),
    (3, 8, False): ("settle", 7 * D, "settle_after", "售后期截止"),
    (4, 6, False): ("approve_refund", 48 * H, "approve_refund_unshipped_after", "卖家处理退款截止"),
    (4, 7, False): ("approve_refund", 5 * D, "approve_refund_shipped_after", "卖家处理退款截止"),
    (4, 8, False): ("lapse", 7 * D, "lapse_after", "买家寄回截止"),
    (4, 9, False): ("accept_return", 10 * D, "accept_return_after", "卖家确认收到退货截止"),
}
# fmt: on
WAYS = [TradeMode.COURIER, TradeMode.FACE_TO_FACE]


def test_the_vocabulary_is_the_design_s() -> None:
    assert [tuple(phase) for phase in order_flow.phases] == TRIPLES
    assert [str(event) for event in OrderEvent] == EVENTS
    assert [str(role) for role in Role] == ROLES
    assert order_flow.spec.start == (1, 6, False)
    assert (ORDER.creation.name, ORDER.creation.by, ORDER.creation.good_event) == ("buy", "buyer", "hold")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("triple", TRIPLES)
def test_every_cell_is_allowed_or_refused_as_the_table_says(triple: Triple, way: TradeMode) -> None:
    phase = OrderPhase(*triple)
    known = facts(trade_mode=way)
    blocked = "face_to_face" if way is TradeMode.FACE_TO_FACE else "not_face_to_face"
    for event in OrderEvent:
        for role in Role:
            thing = Thing(phase)
            cell = TABLE.get((event.value, role.value, triple))
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
            elif any((event.value, other, triple) in TABLE for other in ROLES):
                refusal = Forbidden
            else:
                refusal = IllegalTransition
            with pytest.raises(refusal) as refused:
                order_flow.fire(thing, event, role, known)
            assert type(refused.value) is refusal
            assert thing.phase is phase
            assert reasons == refused.value.reasons != ()


@pytest.mark.parametrize("triple", TRIPLES)
def test_allowed_lists_exactly_the_table(triple: Triple) -> None:
    phase = OrderPhase(*triple)
    for role in ROLES:
        expected = {event for event in EVENTS if (event, role, triple) in TABLE}
        assert set(order_flow.allowed(phase, role)) == expected
        for way, blocked in zip(WAYS, ("not_face_to_face", "face_to_face"), strict=True):
            shown = {event for event in expected if blocked not in TABLE[event, role, triple].guards}
            assert set(order_flow.allowed(phase, role, facts(trade_mode=way))) == shown


def test_guards_and_clocks_are_the_table_s() -> None:
    cells = {
        (rule.event.value, str(role), tuple(rule.source)): (
            tuple(guard.code for guard in rule.guards),
            rule.deadline and int(rule.deadline.default.total_seconds()),
        )
        for rule in ORDER.rules
        for role in rule.by
    }
    assert cells == {key: (cell.guards, cell.seconds) for key, cell in TABLE.items()}
    effects = {(rule.event.value, tuple(rule.source)): rule.timer_effect.value for rule in ORDER.rules}
    assert {key: effect for key, effect in effects.items() if effect != "start"} == EFFECTS


@pytest.mark.parametrize("triple", TRIPLES)
def test_each_open_phase_has_its_deadline_and_no_closed_one_has(triple: Triple) -> None:
    phase = OrderPhase(*triple)
    deadline = order_flow.deadline(phase)
    assert order_flow.is_open(phase) is not triple[2]
    if triple[2]:
        assert deadline is None
        return
    event, seconds, setting, text = CLOCKS[triple]
    assert deadline is not None
    assert (deadline.event, deadline.setting, deadline.text.zh) == (event, setting, text)
    assert deadline.default == timedelta(seconds=seconds)
    reminder = deadline.reminder
    assert (reminder.role, int(reminder.default.total_seconds()), reminder.setting) == REMINDERS[triple]


@pytest.mark.parametrize("bill_goods", [(4, 6), (4, 7), (4, 8), (4, 9)])
def test_a_dispute_stops_the_clock_and_leaves_the_parties_and_staff(bill_goods: tuple[int, int]) -> None:
    phase = OrderPhase(*bill_goods)
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
    assert order_flow.allowed(phase, Role.BUYER, disputed) == (("withdraw_refund",) if bill_goods != (4, 9) else ())
    assert order_flow.allowed(phase, Role.SELLER, disputed) == (
        ("approve_refund",) if bill_goods != (4, 9) else ("accept_return",)
    )


def test_disputes_are_raised_once_and_end_with_the_next_step() -> None:
    thing, known = Thing(OrderPhase(4, 8)), facts()
    step = order_flow.fire(thing, OrderEvent.DISPUTE, Role.SELLER, known)
    assert (step.source, step.target, thing.phase, step.moves, step.good_event) == (
        OrderPhase(4, 8),
        OrderPhase(4, 8),
        OrderPhase(4, 8),
        (),
        None,
    )
    known = facts_after(OrderEvent.DISPUTE, known)
    assert known == facts(disputed=True)
    with pytest.raises(GuardFailed) as refused:
        order_flow.fire(thing, OrderEvent.DISPUTE, Role.BUYER, known)
    assert [reason.code for reason in refused.value.reasons] == ["disputed"]
    order_flow.fire(thing, OrderEvent.RESOLVE_FOR_SELLER, Role.STAFF, known)
    assert thing.phase == OrderPhase(3, 8)
    known = facts_after(OrderEvent.RESOLVE_FOR_SELLER, known)
    assert known == facts()
    assert facts_after(OrderEvent.CONTEST_RETURN, known).disputed is True


def test_facts_count_requests_and_remember_the_longer_receipt() -> None:
    known = facts()
    for event in (OrderEvent.EXTEND_RECEIPT, OrderEvent.REQUEST_REFUND, OrderEvent.REJECT_REFUND):
        known = facts_after(event, known)
    assert known == facts(refund_count=1, extended=True)


def test_the_time_for_receipt_is_extended_once() -> None:
    thing = Thing(OrderPhase(2, 7))
    step = order_flow.fire(thing, OrderEvent.EXTEND_RECEIPT, Role.BUYER, facts())
    assert (step.source, step.target, thing.phase) == (OrderPhase(2, 7),) * 3
    assert OrderEvent.EXTEND_RECEIPT not in order_flow.allowed(OrderPhase(2, 7), Role.BUYER, facts(extended=True))
    with pytest.raises(GuardFailed) as refused:
        order_flow.fire(thing, OrderEvent.EXTEND_RECEIPT, Role.BUYER, facts(extended=True))
    assert [(r.code, r.zh) for r in refused.value.reasons] == [("extended", "收货时间只能延长一次")]
    assert thing.phase == OrderPhase(2, 7)


@pytest.mark.parametrize("bill_goods", [(2, 6), (2, 7), (3, 8)])
def test_a_refund_can_be_requested_three_times(bill_goods: tuple[int, int]) -> None:
    phase = OrderPhase(*bill_goods)
    for count in (0, 1, 2):
        assert OrderEvent.REQUEST_REFUND in order_flow.allowed(phase, Role.BUYER, facts(refund_count=count))
    assert OrderEvent.REQUEST_REFUND not in order_flow.allowed(phase, Role.BUYER, facts(refund_count=3))
    thing = Thing(phase)
    with pytest.raises(GuardFailed) as refused:
        order_flow.fire(thing, OrderEvent.REQUEST_REFUND, Role.BUYER, facts(refund_count=3))
    assert [(r.code, r.zh) for r in refused.value.reasons] == [("refund_limit", "每个订单最多申请 3 次退款")]
    assert thing.phase == phase


def test_the_seller_s_handover_names_every_condition_that_fails() -> None:
    phase = OrderPhase(2, 6)
    wrong = facts(handover_code_ok=False)
    codes = [r.code for r in order_flow.why_not(phase, OrderEvent.RECEIVE, Role.SELLER, wrong)]
    assert codes == ["not_face_to_face", "handover_code"]
    near = facts(trade_mode=TradeMode.FACE_TO_FACE, handover_code_ok=False)
    assert [r.code for r in order_flow.why_not(phase, OrderEvent.RECEIVE, Role.SELLER, near)] == ["handover_code"]


def test_what_comes_with_the_deed_hides_no_button() -> None:
    bare = facts(trade_mode=TradeMode.FACE_TO_FACE, has_reason=False, handover_code_ok=False)
    assert order_flow.allowed(OrderPhase(2, 6), Role.SELLER, bare) == (OrderEvent.RECEIVE,)
    assert OrderEvent.REJECT_REFUND in order_flow.allowed(OrderPhase(4, 7), Role.SELLER, bare)
    thing = Thing(OrderPhase(4, 7))
    with pytest.raises(GuardFailed) as refused:
        order_flow.fire(thing, OrderEvent.REJECT_REFUND, Role.SELLER, bare)
    assert [(r.code, r.zh) for r in refused.value.reasons] == [("reason_required", "请填写理由")]
    assert thing.phase == OrderPhase(4, 7)


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
    assert thing.phase == OrderPhase(5, 10, closed=True)
    assert [step.target[:2] for step in steps] == [(2, 6), (2, 7), (3, 8), (4, 8), (4, 9), (5, 10)]
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
