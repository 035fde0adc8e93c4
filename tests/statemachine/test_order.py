"""Every cell of the order: legal phase × event × role, against the design's table, `tests.statemachine.table`."""

import re
from datetime import timedelta
from pathlib import Path

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
    BILL_TEXT,
    BILL_TEXT_EN,
    ORDER_TEXT,
    ORDER_TEXT_EN,
    PAID,
    RECEIVED,
    REFUND_REQUESTED_RECEIVED,
    REFUND_REQUESTED_SHIPPED,
    REFUND_REQUESTED_UNSHIPPED,
    REFUNDED_RETURNED,
    RETURN_SENT,
    SHIPPED,
    BillStatus,
    OrderStatus,
    facts_after,
)
from tests.statemachine.subjects import Thing, facts
from tests.statemachine.table import DEADLINES, EFFECTS, EVENTS, PHASES, REMINDERS, ROLES, TABLE

MODES = [TradeMode.COURIER, TradeMode.FACE_TO_FACE]


def test_each_name_stands_for_the_numbers_of_the_api_spec() -> None:
    assert [tuple(phase) for phase in PHASES] == [
        *((1, 6, False), (1, 6, True), (2, 6, False), (2, 7, False), (3, 8, False), (3, 8, True)),
        *((4, 6, False), (4, 7, False), (4, 8, False), (4, 9, False)),
        *((5, 6, True), (5, 7, True), (5, 8, True), (5, 10, True), (3, 9, True)),
    ]
    named = {name: phase for name, phase in vars(order).items() if isinstance(phase, OrderPhase)}
    assert list(named.values()) == PHASES


def test_the_glossary_lists_every_phase_by_name() -> None:
    glossary = (Path(__file__).parents[2] / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z_]+)` \| (\d), (\d+)(, closed)? \| (.+) \| (.+) \|$", glossary, re.MULTILINE)
    assert [(getattr(order, name), zh, en) for name, *_, zh, en in rows] == [
        (phase, ORDER.state(phase).meaning.zh, ORDER.state(phase).meaning.en) for phase in PHASES
    ]
    assert [(int(bill), int(goods), bool(closed)) for _, bill, goods, closed, *_ in rows] == PHASES


def test_phases_events_and_roles_are_those_of_the_design() -> None:
    assert list(order_flow.phases) == PHASES
    assert [str(event) for event in OrderEvent] == EVENTS
    assert [str(role) for role in Role] == ROLES
    assert order_flow.spec.start == AWAITING_PAYMENT
    assert (ORDER.creation.name, ORDER.creation.by, ORDER.creation.good_event) == ("buy", "buyer", "hold")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("phase", PHASES)
def test_every_cell_is_allowed_or_refused_as_the_table_says(phase: OrderPhase, mode: TradeMode) -> None:
    known = facts(trade_mode=mode)
    blocked = "face_to_face" if mode is TradeMode.FACE_TO_FACE else "not_face_to_face"
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
        for mode, blocked in zip(MODES, ("not_face_to_face", "face_to_face"), strict=True):
            shown = {event for event in expected if blocked not in TABLE[event, role, phase].guards}
            assert set(order_flow.allowed(phase, role, facts(trade_mode=mode))) == shown


def test_guards_and_deadlines_are_those_of_the_table() -> None:
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
    event, seconds, setting, text = DEADLINES[phase]
    assert deadline is not None
    assert (deadline.event, deadline.setting, deadline.text.zh) == (event, setting, text)
    assert deadline.default == timedelta(seconds=seconds)
    reminder = deadline.reminder
    assert (reminder.role, int(reminder.default.total_seconds()), reminder.setting) == REMINDERS[phase]


@pytest.mark.parametrize(
    "phase", [REFUND_REQUESTED_UNSHIPPED, REFUND_REQUESTED_SHIPPED, REFUND_REQUESTED_RECEIVED, RETURN_SENT]
)
def test_a_dispute_stops_the_deadline_and_leaves_the_parties_and_staff(phase: OrderPhase) -> None:
    disputed = facts(disputed=True)
    deadline = order_flow.deadline(phase, facts())
    assert deadline is not None
    assert order_flow.deadline(phase, disputed) is None
    thing = Thing(phase)
    with pytest.raises(GuardFailed) as refused:
        order_flow.fire(thing, deadline.event, Role.SYSTEM, disputed)
    assert [(r.code, r.zh) for r in refused.value.reasons] == [("disputed", "订单有争议,等待平台客服处理")]
    assert thing.phase == phase
    assert order_flow.allowed(phase, Role.SYSTEM, disputed) == ()
    assert order_flow.allowed(phase, Role.STAFF, disputed) == order_flow.allowed(phase, Role.STAFF)
    # Until staff decide, either side may only give in; a buyer who has sent the goods back cannot even do that.
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


@pytest.mark.parametrize(
    "phase",
    [
        *(PAID, SHIPPED, RECEIVED, RETURN_SENT),
        *(REFUND_REQUESTED_UNSHIPPED, REFUND_REQUESTED_SHIPPED, REFUND_REQUESTED_RECEIVED),
    ],
)
def test_staff_confirm_a_refund_elsewhere_only_of_all_the_money(phase: OrderPhase) -> None:
    thing, event = Thing(phase), OrderEvent.CONFIRM_EXTERNAL_REFUND
    with pytest.raises(GuardFailed) as refused:
        order_flow.fire(thing, event, Role.STAFF, facts(refunded_elsewhere=False))
    assert [(r.code, r.zh) for r in refused.value.reasons] == [("not_refunded_elsewhere", "支付平台没有退回全部货款")]
    assert thing.phase == phase
    assert order_flow.fire(thing, event, Role.STAFF, facts()).target.bill == BillStatus.REFUNDED


def test_what_comes_with_the_command_hides_no_button() -> None:
    bare = facts(trade_mode=TradeMode.FACE_TO_FACE, has_reason=False, handover_code_ok=False)
    assert order_flow.allowed(PAID, Role.SELLER, bare) == (OrderEvent.RECEIVE,)
    assert OrderEvent.REJECT_REFUND in order_flow.allowed(REFUND_REQUESTED_SHIPPED, Role.SELLER, bare)
    thing = Thing(REFUND_REQUESTED_SHIPPED)
    with pytest.raises(GuardFailed) as refused:
        order_flow.fire(thing, OrderEvent.REJECT_REFUND, Role.SELLER, bare)
    assert [(r.code, r.zh) for r in refused.value.reasons] == [("reason_required", "请填写理由")]
    assert thing.phase == REFUND_REQUESTED_SHIPPED


def test_the_seven_steps_of_the_api_spec_end_returned_and_refunded() -> None:
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


def test_numbers_and_texts_are_those_of_the_api_spec() -> None:
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
