"""The proofs about the order, and that the exploration finds every kind of mistake that could be made in its rules."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import pytest

from statemachine import (
    GOOD,
    ORDER,
    GoodEvent,
    GoodPhase,
    Guard,
    Move,
    OrderEvent,
    OrderFacts,
    OrderPhase,
    Pot,
    SpecError,
    Text,
    TimerEffect,
    UnknownTerm,
)
from statemachine.analysis import Balances, Exploration, explore, reachable, traps, waits_on
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
    OrderRule,
)
from statemachine.order_exploration import LINKED_GOOD, ORDER_FACTS, ORDER_INVARIANTS, WITHDRAWN, withdraw_all
from statemachine.spec import STAFF, SYSTEM

SELLER = {"withdraw": withdraw_all}
BARRED: Final = Guard[OrderFacts]("barred", Text("从不", "never"), Text("不行", "no"), lambda _facts: False)
OrderExploration = Exploration[OrderPhase, OrderFacts]


def broken(change: Callable[[OrderRule], OrderRule]) -> OrderExploration:
    """The exploration of an order whose rules are each changed by `change`."""
    spec = replace(ORDER, rules=tuple(change(rule) for rule in ORDER.rules))
    return explore(spec, external_actions=SELLER, linked=LINKED_GOOD)


def _holds(rule: OrderRule, facts: OrderFacts | None) -> bool:
    assert facts is not None
    return all(guard.test(facts) for guard in rule.guards)


def named(exploration: OrderExploration) -> set[tuple[str, str, str | None]]:
    return {(violation.code, violation.phase, violation.event) for violation in exploration.violations}


def test_the_order_is_sound_in_every_state() -> None:
    found = explore(ORDER, external_actions=SELLER, linked=LINKED_GOOD, invariants=ORDER_INVARIANTS)
    assert found.violations == ()
    # Fifteen phases; in two of them the seller's proceeds may be withdrawn or not.
    assert len(found.states) == 17
    assert {state.phase for state in found.states} == {state.phase for state in ORDER.states}
    # Each rule leaves one state, and in each state the seller tries to withdraw.
    assert found.fires == len(ORDER.rules) + len(found.states) == 66
    assert {sum(amount for _, amount in state.money) for state in found.states} == {1}
    paused = {state.phase: state.paused for state in found.states if state.paused}
    assert paused == {
        REFUND_REQUESTED_UNSHIPPED: PAID,
        REFUND_REQUESTED_SHIPPED: SHIPPED,
        REFUND_REQUESTED_RECEIVED: RECEIVED,
    }


def test_the_order_is_sound_under_all_its_facts() -> None:
    found = explore(ORDER, external_actions=SELLER, linked=LINKED_GOOD, facts=ORDER_FACTS, invariants=ORDER_INVARIANTS)
    assert found.violations == ()
    # More states where an event brings facts of its own or a phase is new: count them anew then.
    assert (len(found.states), found.fires) == (166, 566)
    rules = [rule for state in found.states for rule in ORDER.rules_from(state.phase) if _holds(rule, state.facts)]
    assert found.fires == len(rules) + len(found.states)
    assert {state.phase for state in found.states} == {state.phase for state in ORDER.states}
    assert {sum(amount for _, amount in state.money) for state in found.states} == {1}
    assert {state.facts.refund_count for state in found.states if state.facts} == {0, 1, 2, 3}


def test_no_order_waits_for_nobody() -> None:
    """As the exploration checks, once more without it: in each open state a deadline runs or staff can decide."""
    waiting = [
        (state.phase, state.facts)
        for state in explore(ORDER, facts=ORDER_FACTS).states
        if state.facts and not state.phase.closed
    ]
    disputed = 0
    for phase, facts in waiting:
        able = [rule for rule in ORDER.rules_from(phase) if all(guard.test(facts) for guard in rule.guards)]
        deadlines = [rule for rule in able if rule.deadline]
        staff = [rule for rule in able if STAFF in rule.by and rule.target != phase]
        if facts.disputed:
            disputed += 1
            assert deadlines == [rule for rule in able if SYSTEM in rule.by] == []
            assert {rule.event for rule in staff} == {OrderEvent.RESOLVE_FOR_BUYER, OrderEvent.RESOLVE_FOR_SELLER}
        else:
            assert len(deadlines) == 1
    assert (len(waiting), disputed) == (90, 30)


def test_money_lies_where_the_design_says() -> None:
    where: dict[tuple[int, int, bool], set[str]] = {}
    for state in explore(ORDER, external_actions=SELLER).states:
        where.setdefault(state.phase, set()).update(pot for pot, amount in state.money if amount)
    assert where == {
        AWAITING_PAYMENT: {"gateway"},
        CANCELLED: {"gateway"},
        PAID: {"escrow"},
        SHIPPED: {"escrow"},
        RECEIVED: {"seller_held"},
        SETTLED: {"seller_available", WITHDRAWN},
        REFUND_REQUESTED_UNSHIPPED: {"escrow"},
        REFUND_REQUESTED_SHIPPED: {"escrow"},
        REFUND_REQUESTED_RECEIVED: {"escrow"},
        RETURN_SENT: {"escrow"},
        REFUNDED_UNSHIPPED: {"gateway"},
        REFUNDED_SHIPPED: {"gateway"},
        REFUNDED_RECEIVED: {"gateway"},
        REFUNDED_RETURNED: {"gateway"},
        AWARDED_TO_SELLER: {"seller_available", WITHDRAWN},
    }


def test_the_good_follows_its_order() -> None:
    status = {state.phase: state.linked for state in explore(ORDER, linked=LINKED_GOOD).states}
    on_sale = [CANCELLED, REFUNDED_UNSHIPPED]
    in_trade = [AWAITING_PAYMENT, PAID, SHIPPED, REFUND_REQUESTED_UNSHIPPED, REFUND_REQUESTED_SHIPPED]
    for phase, good in status.items():
        assert good == GoodPhase(2 if phase in on_sale else 3 if phase in in_trade else 4)


def test_the_good_alone_is_sound() -> None:
    found = explore(GOOD)
    assert found.violations == ()
    assert found.states[0].phase == GoodPhase(1)
    assert {state.phase for state in found.states} == {state.phase for state in GOOD.states}


def test_proceeds_that_the_seller_may_spend_at_once_cannot_be_refunded() -> None:
    """What the exploration found in the first form of this machine, which paid out at receipt."""

    def paid_out(rule: OrderRule) -> OrderRule:
        at_once = {"seller_held": "seller_available"}
        moves = tuple(
            Move(at_once.get(move.source, move.source), at_once.get(move.target, move.target)) for move in rule.moves
        )
        return replace(rule, moves=() if rule.event == "settle" else moves)

    found = broken(paid_out)
    events = ("request_refund", "confirm_external_refund")
    assert named(found) == {("unfunded", "(3, 8, open)", event) for event in events}
    assert [str(violation) for violation in found.violations] == [
        f"unfunded at (3, 8, open): {event} takes from seller_available, which is empty "
        "(after pay > receive > withdraw)"
        for event in events
    ]


def test_a_rule_that_forgets_its_money_is_named() -> None:
    def forgetful(rule: OrderRule) -> OrderRule:
        return replace(rule, moves=()) if (rule.event, rule.source) == ("request_refund", RECEIVED) else rule

    found = broken(forgetful)
    assert {"send_back", "approve_refund", "withdraw_refund"} & {violation.event for violation in found.violations}
    assert ("unfunded", "(4, 8, open)", "approve_refund") in named(found)
    assert found.violations[0].path[-1] == "request_refund"


def test_money_left_in_escrow_is_named() -> None:
    found = broken(lambda rule: replace(rule, moves=()) if rule.event == "refund_unshipped" else rule)
    assert named(found) == {("stranded", "(5, 6, closed)", None)}
    assert found.violations[0].path == ("pay", "refund_unshipped")


def test_money_out_of_nothing_is_named() -> None:
    def mint(balances: Balances) -> Balances:
        return {**balances, "escrow": balances["escrow"] + 1}

    found = explore(ORDER, external_actions={"mint": mint})
    assert {(violation.code, violation.event) for violation in found.violations} == {("not_conserved", "mint")}
    assert len(found.violations) == len(found.states) == 15
    assert str(found.violations[0]) == "not_conserved at (1, 6, open): mint turns 1 into 2"


def test_a_good_that_cannot_follow_is_named() -> None:
    found = broken(lambda rule: replace(rule, good_event=GoodEvent.RELEASE) if rule.event == "send_back" else rule)
    assert named(found) == {("linked_refused", "(4, 8, open)", "send_back")}
    assert "send_back asks for release, which the good at 4 refuses" in found.violations[0].text


def test_a_good_left_in_trade_is_named() -> None:
    found = broken(lambda rule: replace(rule, good_event=None) if rule.event == "cancel" else rule)
    assert named(found) == {("linked_held", "(1, 6, closed)", None)}


def test_a_good_that_was_never_held_is_named() -> None:
    spec = replace(ORDER, creation=replace(ORDER.creation, good_event=None))
    found = explore(spec, linked=LINKED_GOOD)
    assert ("linked_refused", "(1, 6, open)", "cancel") in named(found)


def test_states_that_nobody_ends_are_named() -> None:
    no_clock = broken(lambda rule: replace(rule, deadline=None) if rule.event == "lapse" else rule)
    assert named(no_clock) == {("no_deadline", "(4, 8, open)", None)}

    kept = tuple(
        rule
        for rule in ORDER.rules
        if not (rule.source == RETURN_SENT and "system" not in rule.by and rule.target != rule.source)
    )
    states = tuple(state for state in ORDER.states if state.phase != AWARDED_TO_SELLER)
    no_person = explore(replace(ORDER, rules=kept, states=states))
    assert named(no_person) == {("nobody", "(4, 9, open)", None), ("deadline_stops", "(4, 9, open)", "accept_return")}


Break = tuple[str, OrderPhase, dict[str, object], str]

# event, from where, what is changed, the code that names it.
BREAKS: list[Break] = [
    ("pay", AWAITING_PAYMENT, {"moves": ()}, "unfunded"),
    ("pay", AWAITING_PAYMENT, {"moves": (Move(Pot.GATEWAY, Pot.SELLER_HELD),)}, "money_elsewhere"),
    ("expire", AWAITING_PAYMENT, {"deadline": None}, "spec"),
    ("lapse", REFUND_REQUESTED_RECEIVED, {"deadline": None}, "no_deadline"),
    ("expire", AWAITING_PAYMENT, {"good_event": None}, "linked_held"),
    ("cancel", AWAITING_PAYMENT, {"target": REFUNDED_UNSHIPPED}, "refund_unsaid"),
    ("ship", PAID, {"target": RECEIVED}, "spec"),
    ("ship", PAID, {"good_event": GoodEvent.FINISH}, "linked_refused"),
    ("refund_unshipped", PAID, {"target": CANCELLED}, "refund_unsaid"),
    ("receive", SHIPPED, {"moves": (Move(Pot.ESCROW, Pot.SELLER_AVAILABLE),)}, "unfunded"),
    ("receive", SHIPPED, {"good_event": None}, "good_elsewhere"),
    ("settle", RECEIVED, {"moves": ()}, "stranded"),
    ("request_refund", RECEIVED, {"moves": ()}, "unfunded"),
    ("request_refund", PAID, {"target": REFUND_REQUESTED_SHIPPED}, "spec"),
    ("request_refund", SHIPPED, {"timers": TimerEffect.START}, "not_paused"),
    ("request_refund", SHIPPED, {"guards": ()}, "endless"),
    ("withdraw_refund", REFUND_REQUESTED_RECEIVED, {"timers": TimerEffect.START}, "time_lost"),
    ("withdraw_refund", REFUND_REQUESTED_SHIPPED, {"target": PAID}, "goods_astray"),
    ("reject_refund", REFUND_REQUESTED_SHIPPED, {"guards": ()}, "dispute_ignored"),
    ("approve_refund", REFUND_REQUESTED_SHIPPED, {"target": REFUNDED_RECEIVED}, "goods_astray"),
    ("approve_refund", REFUND_REQUESTED_UNSHIPPED, {"moves": (Move(Pot.GATEWAY, Pot.ESCROW),)}, "unfunded"),
    ("send_back", REFUND_REQUESTED_RECEIVED, {"guards": ()}, "dispute_ignored"),
    ("lapse", REFUND_REQUESTED_RECEIVED, {"guards": ()}, "dispute_ignored"),
    ("accept_return", RETURN_SENT, {"moves": (Move(Pot.ESCROW, Pot.SELLER_AVAILABLE),)}, "money_elsewhere"),
    ("dispute", REFUND_REQUESTED_SHIPPED, {"target": SHIPPED}, "time_lost"),
    ("resolve_for_seller", RETURN_SENT, {"moves": (Move(Pot.ESCROW, Pot.SELLER_HELD),)}, "stranded"),
]


def codes(rules: tuple[OrderRule, ...]) -> Iterator[str]:
    """The code of each violation of an order with these rules, without facts and then with; `spec` if it cannot be."""
    try:
        spec = replace(ORDER, rules=rules)
    except SpecError:
        yield "spec"
        return
    for facts in (None, ORDER_FACTS):
        found = explore(spec, external_actions=SELLER, linked=LINKED_GOOD, facts=facts, invariants=ORDER_INVARIANTS)
        yield from (violation.code for violation in found.violations)


@pytest.mark.parametrize(("event", "source", "change", "code"), BREAKS)
def test_a_rule_that_is_broken_is_named(event: str, source: OrderPhase, change: dict[str, object], code: str) -> None:
    rules = tuple(
        replace(rule, **change) if (rule.event, rule.source) == (event, source) else rule  # type: ignore[arg-type] # any field
        for rule in ORDER.rules
    )
    assert rules != ORDER.rules
    assert code in codes(rules)


def test_a_dispute_without_staff_is_named() -> None:
    """Every refund of a disputed order waits for staff: if they may do nothing in one state, that is found."""
    kept = tuple(rule for rule in ORDER.rules if not (STAFF in rule.by and rule.source == REFUND_REQUESTED_SHIPPED))
    assert len(ORDER.rules) - len(kept) == 3
    for facts in (None, ORDER_FACTS):
        found = explore(replace(ORDER, rules=kept), facts=facts, invariants=ORDER_INVARIANTS)
        assert ("deadline_stops", "(4, 7, open)", "approve_refund") in named(found)


def test_a_state_that_guards_close_is_named() -> None:
    """Without facts every state can be left; with facts, guards may leave no step that leads on."""
    shut = tuple(replace(rule, guards=(BARRED,)) if rule.source == RECEIVED else rule for rule in ORDER.rules)
    spec = replace(ORDER, rules=shut)
    assert "trap" not in {violation.code for violation in explore(spec).violations}
    traps_ = {(v.code, v.phase) for v in explore(spec, facts=ORDER_FACTS).violations}
    assert {("trap", "(3, 8, open)"), ("deadline_stops", "(3, 8, open)")} <= traps_


def single_breaks(at: int) -> Iterator[tuple[str, tuple[OrderRule, ...]]]:
    """Each wrong value that one field of rule number `at` could have (but `by`), by name, with the rules it makes."""
    rule = ORDER.rules[at]
    changes: list[tuple[str, dict[str, object]]] = []
    pots = rule.moves[0] if rule.moves else None
    wrong = [Move(one, two) for one in Pot for two in Pot if one != two and Move(one, two) != pots]
    changes += [(f"moves {move.source} > {move.target}", {"moves": (move,)}) for move in wrong]
    if rule.moves:
        changes.append(("moves nothing", {"moves": ()}))
    changes += [(f"to {s.key}", {"target": s.phase}) for s in ORDER.states if s.phase != rule.target]
    if rule.deadline:
        changes.append(("no deadline", {"deadline": None}))
    good_events = (None, GoodEvent.HOLD, GoodEvent.RELEASE, GoodEvent.FINISH)
    changes += [(f"good {each}", {"good_event": each}) for each in good_events if each != rule.good_event]
    changes += [(f"timers {effect}", {"timers": effect}) for effect in TimerEffect if effect is not rule.timer_effect]
    for guard in rule.guards:
        rest = tuple(each for each in rule.guards if each is not guard)
        changes.append((f"not {guard.code}", {"guards": rest}))
    for name, change in changes:
        rules = tuple(replace(each, **change) if each is rule else each for each in ORDER.rules)  # type: ignore[arg-type] # any field
        yield name, rules
    yield "gone", tuple(each for each in ORDER.rules if each is not rule)


FAIRNESS: Final = "It takes from somebody what the design gives him, or asks less of him; nothing gets stuck or lost."
NO_DEADLINE: Final = "A disputed order has no deadline that could be put off or kept."
CONFIRMED: Final = "Staff could call refunded what nobody paid back: see `tests.money.test_refunds_elsewhere`."
# What no walk can find, because the order stays sound, and why. `test_order` compares each of them with the design.
UNSEEN: Final[dict[str, str]] = {
    "ship by seller from 2,6: not face_to_face": FAIRNESS,
    "receive by buyer from 2,6: not not_face_to_face": FAIRNESS,
    "receive by seller from 2,6: not not_face_to_face": FAIRNESS,
    "receive by seller from 2,6: not handover_code": FAIRNESS,
    "extend_receipt by buyer from 2,7: not extended": FAIRNESS,
    "extend_receipt by buyer from 2,7: timers start": "The time would count from now: see `test_timers`.",
    "extend_receipt by buyer from 2,7: timers keep": "The buyer would get no more time: see `test_timers`.",
    "reject_refund by seller from 4,6: not reason_required": FAIRNESS,
    "reject_refund by seller from 4,7: not reason_required": FAIRNESS,
    "reject_refund by seller from 4,8: not reason_required": FAIRNESS,
    "dispute by buyer, seller from 4,8: to 4,9": "It would be send_back under another name.",
    "dispute by buyer, seller from 4,6: timers extend": NO_DEADLINE,
    "dispute by buyer, seller from 4,6: timers keep": NO_DEADLINE,
    "dispute by buyer, seller from 4,7: timers extend": NO_DEADLINE,
    "dispute by buyer, seller from 4,7: timers keep": NO_DEADLINE,
    "dispute by buyer, seller from 4,8: timers extend": NO_DEADLINE,
    "dispute by buyer, seller from 4,8: timers keep": NO_DEADLINE,
    "dispute by buyer from 4,9: timers extend": NO_DEADLINE,
    "dispute by buyer from 4,9: timers keep": NO_DEADLINE,
    "contest_return by seller from 4,9: timers extend": NO_DEADLINE,
    "contest_return by seller from 4,9: timers keep": NO_DEADLINE,
    "receive by buyer from 2,7: gone": FAIRNESS,
    "receive by buyer from 2,6: gone": FAIRNESS,
    "receive by seller from 2,6: gone": FAIRNESS,
    "withdraw_refund by buyer from 4,6: gone": FAIRNESS,
    "withdraw_refund by buyer from 4,7: gone": FAIRNESS,
    "withdraw_refund by buyer from 4,8: gone": FAIRNESS,
    "reject_refund by seller from 4,6: gone": FAIRNESS,
    "reject_refund by seller from 4,7: gone": FAIRNESS,
    "reject_refund by seller from 4,8: gone": FAIRNESS,
    "approve_refund by seller from 4,6: gone": FAIRNESS,
    "approve_refund by seller from 4,7: gone": FAIRNESS,
    "approve_refund by seller from 4,8: gone": FAIRNESS,
    "accept_return by seller from 4,9: gone": FAIRNESS,
    "dispute by buyer, seller from 4,6: gone": FAIRNESS,
    "dispute by buyer, seller from 4,7: gone": FAIRNESS,
    "dispute by buyer, seller from 4,8: gone": FAIRNESS,
    "dispute by buyer from 4,9: gone": FAIRNESS,
    "resolve_for_buyer by staff from 4,6: gone": FAIRNESS,
    "resolve_for_buyer by staff from 4,7: gone": FAIRNESS,
    "resolve_for_buyer by staff from 4,8: gone": FAIRNESS,
    "resolve_for_buyer by staff from 4,9: gone": FAIRNESS,
    "resolve_for_seller by staff from 4,6: gone": FAIRNESS,
    "resolve_for_seller by staff from 4,7: gone": FAIRNESS,
    "resolve_for_seller by staff from 4,8: gone": FAIRNESS,
    **{
        f"confirm_external_refund by staff from {key}: {name}": why
        for key in ("2,6", "2,7", "3,8", "4,6", "4,7", "4,8", "4,9")
        for name, why in (("not not_refunded_elsewhere", CONFIRMED), ("gone", FAIRNESS))
    },
}


def row(at: int) -> str:
    rule = ORDER.rules[at]
    return f"{rule.event} by {', '.join(rule.by)} from {ORDER.state(rule.source).key}"


# Traced, it takes a third longer and covers nothing that others do not.
@pytest.mark.no_cover
@pytest.mark.parametrize("at", range(len(ORDER.rules)), ids=row)
def test_every_single_mistake_in_the_table_is_seen(at: int) -> None:
    unseen = {f"{row(at)}: {name}" for name, rules in single_breaks(at) if not any(codes(rules))}
    assert unseen == {name for name in UNSEEN if name.startswith(f"{row(at)}:")}


def test_how_many_mistakes_those_are() -> None:
    names = [f"{row(at)}: {name}" for at in range(len(ORDER.rules)) for name, _ in single_breaks(at)]
    # Of each rule: its move may be another or none, its target another phase, its good event one of three others, its
    # timer effect another; it may be gone, lack its deadline, and lack each of its guards.
    of_each = len(Pot) * (len(Pot) - 1) + (len(ORDER.states) - 1) + 3 + (len(TimerEffect) - 1) + 1
    wrong = sum(of_each + len(rule.guards) + (rule.deadline is not None) for rule in ORDER.rules)
    assert len(names) == len(set(names)) == wrong == 1705
    assert set(names) >= UNSEEN.keys()
    assert len(UNSEEN) == 59, "count them anew, once each new one says why no walk can see it"


def test_reachability_waiting_and_traps() -> None:
    assert reachable(ORDER) == tuple(state.phase for state in ORDER.states)
    assert reachable(ORDER, RETURN_SENT) == (RETURN_SENT, REFUNDED_RETURNED, AWARDED_TO_SELLER)
    assert reachable(ORDER, SETTLED) == (SETTLED,)
    assert traps(ORDER) == ()
    assert traps(GOOD) == ()
    waiting = {state.phase: waits_on(ORDER, state.phase) for state in ORDER.states if not state.closed}
    assert waiting == {
        AWAITING_PAYMENT: ("buyer", "seller", "gateway"),
        # Staff: only where the gateway gave the money back without us.
        PAID: ("buyer", "seller", "staff"),
        SHIPPED: ("buyer", "staff"),
        RECEIVED: ("buyer", "staff"),
        REFUND_REQUESTED_UNSHIPPED: ("buyer", "seller", "staff"),
        REFUND_REQUESTED_SHIPPED: ("buyer", "seller", "staff"),
        REFUND_REQUESTED_RECEIVED: ("buyer", "seller", "staff"),
        RETURN_SENT: ("seller", "staff"),
    }
    assert waits_on(ORDER, REFUNDED_RETURNED) == ()
    for ask in (reachable, waits_on):
        with pytest.raises(UnknownTerm):
            ask(ORDER, OrderPhase(1, 7))
