"""What the engine does with any machine: refusals that say why and change nothing, threads, random walks."""

import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statemachine import (
    ORDER,
    Forbidden,
    GuardFailed,
    IllegalTransition,
    OrderEvent,
    OrderFacts,
    OrderPhase,
    Role,
    Step,
    TradeMode,
    TransitionRefused,
    UnknownTerm,
    order_flow,
)
from statemachine.order import (
    AWAITING_PAYMENT,
    PAID,
    RECEIVED,
    REFUND_REQUESTED_RECEIVED,
    REFUNDED_RETURNED,
    RETURN_SENT,
    SHIPPED,
)
from tests.statemachine.subjects import Thing, facts

EVERYTHING = [(event, role) for event in OrderEvent for role in Role]


def test_an_illegal_transition_says_what_is_allowed_instead() -> None:
    thing = Thing(SHIPPED)
    with pytest.raises(IllegalTransition) as refused:
        order_flow.fire(thing, OrderEvent.SHIP, Role.SELLER, facts())
    error = refused.value
    assert isinstance(error, TransitionRefused)
    assert (error.event, error.phase, error.role, error.allowed) == ("ship", SHIPPED, "seller", ())
    assert [(r.code, r.zh, r.en) for r in error.reasons] == [
        ("illegal_transition", "订单当前为“已发货”,不能发货", "cannot ship while the order is “shipped”")
    ]
    assert str(error) == "cannot ship while the order is “shipped”"
    assert thing.phase == SHIPPED


def test_a_forbidden_event_says_who_may() -> None:
    thing = Thing(AWAITING_PAYMENT)
    with pytest.raises(Forbidden) as refused:
        order_flow.fire(thing, OrderEvent.CANCEL, Role.STAFF)
    assert refused.value.allowed == ()
    assert [(r.code, r.to("zh"), r.to("en")) for r in refused.value.reasons] == [
        ("forbidden", "只有买家、卖家可以取消订单", "only the buyer or the seller may cancel here")
    ]
    with pytest.raises(Forbidden) as refused:
        order_flow.fire(thing, OrderEvent.PAY, Role.BUYER)
    assert refused.value.allowed == (OrderEvent.CANCEL,)
    assert thing.phase == AWAITING_PAYMENT


def test_a_failed_guard_says_what_the_role_may_do_there() -> None:
    thing = Thing(PAID)
    with pytest.raises(GuardFailed) as refused:
        order_flow.fire(thing, OrderEvent.SHIP, Role.SELLER, facts(trade_mode=TradeMode.FACE_TO_FACE))
    assert refused.value.allowed == (OrderEvent.SHIP, OrderEvent.RECEIVE)
    assert [r.zh for r in refused.value.reasons] == ["当面交易的订单不需要发货"]
    assert thing.phase == PAID


def test_guards_are_never_guessed() -> None:
    thing = Thing(PAID)
    with pytest.raises(TypeError, match=r"^ship from 2,6 by seller is guarded \(face_to_face\): give the facts$"):
        order_flow.fire(thing, OrderEvent.SHIP, Role.SELLER)
    assert thing.phase == PAID
    assert order_flow.why_not(PAID, "ship", "seller") == ()


def test_facts_of_the_order_must_all_be_given() -> None:
    with pytest.raises(TypeError, match="refund_count"):
        OrderFacts(trade_mode=TradeMode.COURIER, disputed=False, extended=False)  # type: ignore[call-arg] # that is the point


@pytest.mark.parametrize(
    ("phase", "event", "role", "message"),
    [
        (OrderPhase(1, 7), "pay", "gateway", "order has no state (1, 7, open)"),
        (OrderPhase(5, 6), "pay", "gateway", "order has no state (5, 6, open)"),
        (AWAITING_PAYMENT, "fly", "buyer", "order has no event 'fly'"),
        (AWAITING_PAYMENT, "pay", "king", "order has no role 'king'"),
    ],
)
def test_terms_that_the_machine_does_not_have_are_errors(
    phase: OrderPhase, event: str, role: str, message: str
) -> None:
    thing = Thing(phase)
    with pytest.raises(UnknownTerm) as raised:
        order_flow.fire(thing, event, role, facts())  # type: ignore[arg-type] # what a careless caller passes
    assert str(raised.value) == message
    assert thing.phase is phase
    with pytest.raises(UnknownTerm):
        order_flow.why_not(phase, event, role)


def test_questions_about_unknown_terms_are_errors_too() -> None:
    with pytest.raises(UnknownTerm):
        order_flow.allowed(OrderPhase(1, 7), Role.BUYER)
    with pytest.raises(UnknownTerm):
        order_flow.allowed(AWAITING_PAYMENT, "king")
    with pytest.raises(UnknownTerm):
        order_flow.deadline(OrderPhase(1, 7))
    with pytest.raises(UnknownTerm):
        order_flow.is_open(OrderPhase(1, 7))


def test_a_row_with_two_columns_is_driven_through_its_property() -> None:
    @dataclass
    class Row:
        bill_status: int
        order_status: int
        closed: bool
        writes: int = 0

        @property
        def phase(self) -> OrderPhase:
            return OrderPhase(self.bill_status, self.order_status, self.closed)

        @phase.setter
        def phase(self, value: OrderPhase) -> None:
            self.bill_status, self.order_status, self.closed = value
            self.writes += 1

    row = Row(1, 6, closed=False)
    order_flow.fire(row, OrderEvent.PAY, Role.GATEWAY)
    assert (row.bill_status, row.order_status, row.closed, row.writes) == (2, 6, False, 1)
    with pytest.raises(Forbidden):
        order_flow.fire(row, OrderEvent.SHIP, Role.BUYER)
    assert (row.bill_status, row.order_status, row.closed, row.writes) == (2, 6, False, 1)
    assert order_flow.machine.models == []


def test_an_exception_of_a_subject_passes_through() -> None:
    class Broken:
        @property
        def phase(self) -> OrderPhase:
            return AWAITING_PAYMENT

        @phase.setter
        def phase(self, value: OrderPhase) -> None:
            raise OSError(f"cannot store {value}")

    with pytest.raises(OSError, match="cannot store"):
        order_flow.fire(Broken(), OrderEvent.PAY, Role.GATEWAY)


def test_the_machine_of_transitions_is_kept_quiet_and_without_jumps() -> None:
    assert logging.getLogger("transitions").level == logging.WARNING
    assert set(order_flow.machine.events) == {str(event) for event in OrderEvent}


def _facts() -> st.SearchStrategy[OrderFacts]:
    return st.builds(
        OrderFacts,
        trade_mode=st.sampled_from([TradeMode.COURIER, TradeMode.FACE_TO_FACE]),
        refund_count=st.integers(0, 4),
        disputed=st.booleans(),
        extended=st.booleans(),
        has_reason=st.booleans(),
        handover_code_ok=st.booleans(),
    )


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(EVERYTHING), _facts()), max_size=60))
def test_whatever_is_tried_phases_stay_legal_and_money_is_conserved(
    attempts: list[tuple[tuple[OrderEvent, Role], OrderFacts]],
) -> None:
    thing = Thing(ORDER.start)
    balances = {"gateway": 5642_50, "escrow": 0, "seller_held": 0, "seller_available": 0}
    for (event, role), known in attempts:
        before = thing.phase
        reasons = order_flow.why_not(before, event, role, known)
        if reasons:
            with pytest.raises(TransitionRefused) as refused:
                order_flow.fire(thing, event, role, known)
            assert refused.value.reasons == reasons
            assert thing.phase is before
            continue
        step = order_flow.fire(thing, event, role, known)
        assert event in order_flow.allowed(before, role, known)
        for move in step.moves:
            amount = balances[move.source]
            assert amount == 5642_50, f"{event} from {before} is not funded"
            balances[move.source] -= amount
            balances[move.target] += amount
    assert thing.phase in order_flow.phases
    assert sum(balances.values()) == 5642_50
    if not order_flow.is_open(thing.phase):
        assert balances["escrow"] == balances["seller_held"] == 0


SPINE = [
    (OrderEvent.PAY, Role.GATEWAY),
    (OrderEvent.SHIP, Role.SELLER),
    (OrderEvent.RECEIVE, Role.BUYER),
    (OrderEvent.REQUEST_REFUND, Role.BUYER),
    (OrderEvent.SEND_BACK, Role.BUYER),
    (OrderEvent.ACCEPT_RETURN, Role.SELLER),
]


def test_threads_share_one_flow() -> None:
    def live(number: int) -> list[object]:
        thing, seen = Thing(ORDER.start), list[object]()
        for event, role in SPINE:
            step: Step[OrderPhase, OrderEvent, OrderFacts] = order_flow.fire(thing, event, role, facts())
            seen.append((step.source, step.target))
            with pytest.raises(TransitionRefused):
                order_flow.fire(thing, OrderEvent.PAY, Role.GATEWAY, facts())
        return seen

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            lives = list(pool.map(live, range(800)))
    finally:
        sys.setswitchinterval(interval)
    phases = [
        AWAITING_PAYMENT,
        PAID,
        SHIPPED,
        RECEIVED,
        REFUND_REQUESTED_RECEIVED,
        RETURN_SENT,
    ]
    expected = list(zip(phases, [*phases[1:], REFUNDED_RETURNED], strict=True))
    assert lives == [expected] * 800


def test_no_framework_is_imported() -> None:
    code = (
        "import sys, statemachine, statemachine.__main__, statemachine.analysis;"
        "ours = {'app', 'flask', 'sqlalchemy', 'redis', 'rq', 'tasks', 'config'};"
        "print(sorted(ours & {name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
