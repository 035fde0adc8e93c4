"""What becomes of an order's deadline: by example, and as properties over whatever may happen."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from statemachine import Flow, OrderEvent, OrderFacts, OrderPhase, Role, TimerEffect, TradeMode, order_flow
from statemachine.order import (
    ORDER,
    PAID,
    RECEIVED,
    REFUND_REQUESTED_RECEIVED,
    REFUND_REQUESTED_SHIPPED,
    REFUND_REQUESTED_UNSHIPPED,
    SHIPPED,
    facts_after,
)
from statemachine.timers import Timers, first_timers, next_timers
from tests.statemachine.subjects import facts

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass
class Life:
    """An order with its timers, as the application keeps them."""

    phase: OrderPhase
    facts: OrderFacts = field(default_factory=facts)
    durations: dict[str, timedelta] = field(default_factory=dict)
    timers: Timers = field(default_factory=lambda: Timers(None, None, None))
    flow: Flow[OrderPhase, OrderEvent, OrderFacts] = order_flow

    def do(self, event: OrderEvent, role: Role, now: datetime) -> Timers:
        before = self.timers
        step = self.flow.fire(self, event, role, self.facts)
        self.facts = facts_after(event, self.facts)
        self.timers = next_timers(
            self.flow,
            step,
            self.facts,
            now=now,
            before=before,
            durations=self.durations,
        )
        return self.timers


def shipped() -> Life:
    life = Life(PAID)
    assert life.do(OrderEvent.SHIP, Role.SELLER, NOON) == Timers(NOON + 10 * DAY, NOON + 9 * DAY, None)
    return life


def test_an_order_begins_with_the_buyer_s_half_hour() -> None:
    timers = first_timers(order_flow, facts(), now=NOON, durations={})
    assert timers == Timers(NOON + timedelta(minutes=30), NOON + timedelta(minutes=20), None)
    settings_ = {"expire_after": HOUR, "expire_reminder": timedelta(minutes=5)}
    timers = first_timers(order_flow, facts(), now=NOON, durations=settings_)
    assert timers == Timers(NOON + HOUR, NOON + timedelta(minutes=55), None)


def test_a_refused_request_gives_back_what_was_left() -> None:
    life = shipped()
    asked, answered = NOON + 7 * DAY, NOON + 9 * DAY
    assert life.do(OrderEvent.REQUEST_REFUND, Role.BUYER, asked) == Timers(asked + 5 * DAY, asked + 4 * DAY, 3 * DAY)
    assert life.do(OrderEvent.REJECT_REFUND, Role.SELLER, answered) == Timers(
        answered + 3 * DAY, answered + 2 * DAY, None
    )


def test_a_dispute_stops_the_deadline_and_keeps_what_was_left() -> None:
    life = shipped()
    life.do(OrderEvent.REQUEST_REFUND, Role.BUYER, NOON + 7 * DAY)
    assert life.do(OrderEvent.DISPUTE, Role.SELLER, NOON + 8 * DAY) == Timers(None, None, 3 * DAY)
    decided = NOON + 30 * DAY
    assert life.do(OrderEvent.RESOLVE_FOR_SELLER, Role.STAFF, decided) == Timers(
        decided + 3 * DAY, decided + 2 * DAY, None
    )


def test_a_return_on_its_way_has_nothing_to_resume() -> None:
    life = shipped()
    life.do(OrderEvent.RECEIVE, Role.BUYER, NOON + DAY)
    assert life.do(OrderEvent.REQUEST_REFUND, Role.BUYER, NOON + 2 * DAY).remaining == 6 * DAY
    sent = NOON + 3 * DAY
    assert life.do(OrderEvent.SEND_BACK, Role.BUYER, sent) == Timers(sent + 10 * DAY, sent + 9 * DAY, None)
    assert life.do(OrderEvent.CONTEST_RETURN, Role.SELLER, sent) == Timers(None, None, None)
    assert life.do(OrderEvent.RESOLVE_FOR_SELLER, Role.STAFF, sent + DAY) == Timers(None, None, None)


def test_a_deadline_that_has_passed_unnoticed_has_no_time_left() -> None:
    """The buyer asks between the deadline and the sweep that would have fired it."""
    life = shipped()
    late = NOON + 10 * DAY + HOUR
    assert life.do(OrderEvent.REQUEST_REFUND, Role.BUYER, late).remaining == timedelta(0)
    assert life.do(OrderEvent.WITHDRAW_REFUND, Role.BUYER, late + DAY) == Timers(late + DAY, None, None)


def test_without_stored_time_a_resumed_deadline_gets_its_whole_time() -> None:
    life = Life(SHIPPED)
    assert life.do(OrderEvent.REQUEST_REFUND, Role.BUYER, NOON).remaining is None
    assert life.do(OrderEvent.WITHDRAW_REFUND, Role.BUYER, NOON + DAY) == Timers(NOON + 11 * DAY, NOON + 10 * DAY, None)


def test_a_longer_receipt_counts_on_from_the_deadline_or_from_now_where_that_has_passed() -> None:
    early, late, unknown = shipped(), shipped(), Life(SHIPPED)
    assert early.do(OrderEvent.EXTEND_RECEIPT, Role.BUYER, NOON + DAY) == Timers(NOON + 20 * DAY, NOON + 19 * DAY, None)
    now = NOON + 12 * DAY
    for life in (late, unknown):
        assert life.do(OrderEvent.EXTEND_RECEIPT, Role.BUYER, now) == Timers(now + 10 * DAY, now + 9 * DAY, None)
    assert early.do(OrderEvent.REQUEST_REFUND, Role.BUYER, NOON + 2 * DAY).remaining == 18 * DAY


def test_a_reminder_that_would_be_late_is_left_out() -> None:
    life = Life(PAID, durations={"receive_after": DAY, "receive_reminder": DAY})
    assert life.do(OrderEvent.SHIP, Role.SELLER, NOON) == Timers(NOON + DAY, None, None)


def test_a_step_that_keeps_the_timers_leaves_deadline_and_reminder_as_they_are() -> None:
    """No step of an order does, so this is a copy of the machine in which `extend_receipt` gives no more time."""
    rules = (
        replace(rule, timers=TimerEffect.KEEP) if rule.timers is TimerEffect.EXTEND else rule for rule in ORDER.rules
    )
    life = Life(PAID, flow=Flow(replace(ORDER, rules=tuple(rules))))
    shipped_at = life.do(OrderEvent.SHIP, Role.SELLER, NOON)
    assert life.do(OrderEvent.EXTEND_RECEIPT, Role.BUYER, NOON + DAY) == shipped_at
    life.facts = replace(life.facts, extended=False)
    # Neither a reminder that was sent nor a deadline that was put off by hand is made anew.
    life.timers = Timers(NOON + 12 * DAY, None, None)
    assert life.do(OrderEvent.EXTEND_RECEIPT, Role.BUYER, NOON + 2 * DAY) == Timers(NOON + 12 * DAY, None, None)
    life.facts, life.timers = replace(life.facts, extended=False), Timers(None, None, None)
    now = NOON + 3 * DAY
    assert life.do(OrderEvent.EXTEND_RECEIPT, Role.BUYER, now) == Timers(now + 10 * DAY, now + 9 * DAY, None)


EVERYTHING = [(event, role) for event in OrderEvent for role in Role]
KEPT = {(rule.event, rule.source) for rule in ORDER.rules if rule.timer_effect is TimerEffect.KEEP}
PAUSED = {REFUND_REQUESTED_UNSHIPPED: PAID, REFUND_REQUESTED_SHIPPED: SHIPPED, REFUND_REQUESTED_RECEIVED: RECEIVED}


@settings(deadline=None)
@given(
    mode=st.sampled_from([TradeMode.COURIER, TradeMode.FACE_TO_FACE]),
    choices=st.lists(st.tuples(st.integers(0, 10), st.timedeltas(timedelta(0), timedelta(days=6))), max_size=30),
    whole=st.timedeltas(HOUR, timedelta(days=30)),
)
def test_no_open_order_is_without_a_deadline_and_a_pause_costs_and_gives_nothing(
    mode: TradeMode, choices: list[tuple[int, timedelta]], whole: timedelta
) -> None:
    life = Life(ORDER.start, facts(trade_mode=mode), {"receive_after": whole})
    life.timers = first_timers(order_flow, life.facts, now=NOON, durations=life.durations)
    now, remaining = NOON, timedelta(0)
    for choice, passed in choices:
        now += passed
        legal = [each for each in EVERYTHING if not order_flow.why_not(life.phase, *each, life.facts)]
        event, role = legal[choice % len(legal)]
        source, before = life.phase, life.timers
        timers = life.do(event, role, now)
        if life.phase.closed:
            assert timers == Timers(None, None, None)
            break
        if (event, source) in KEPT:
            # Even where they have passed already: then the sweep is about to act on them.
            assert timers == before
            continue
        assert (timers.deadline_at is None) == life.facts.disputed
        if timers.deadline_at is not None:
            assert timers.deadline_at >= now
            assert timers.remind_at is None or now < timers.remind_at < timers.deadline_at
        else:
            assert timers.remind_at is None
        assert (timers.remaining is not None) == (life.phase in PAUSED)
        if PAUSED.get(life.phase) == source:
            assert before.deadline_at is not None
            remaining = max(before.deadline_at - now, timedelta(0))
            assert timers.remaining == remaining
        elif source in PAUSED and life.phase == PAUSED[source]:
            assert timers.deadline_at == now + remaining
        elif source in PAUSED and life.phase == source:
            assert timers.remaining == remaining
