"""The proofs about the order, and that the explorer would see it if they broke."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from statemachine import GOOD, ORDER, GoodEvent, GoodPhase, Move, OrderPhase, UnknownTerm
from statemachine.analysis import SPENT, THE_GOOD, Exploration, Purse, explore, reachable, spend_all, traps, waits_on
from statemachine.order import OrderRule

SPENDER = {"spend": spend_all}


def broken(change: Callable[[OrderRule], OrderRule]) -> Exploration[OrderPhase]:
    """The exploration of the order with each rule put through ``change``."""
    spec = replace(ORDER, rules=tuple(change(rule) for rule in ORDER.rules))
    return explore(spec, environment=SPENDER, companion=THE_GOOD)


def named(exploration: Exploration[OrderPhase]) -> set[tuple[str, str, str | None]]:
    return {(violation.code, violation.phase, violation.event) for violation in exploration.violations}


def test_the_order_is_sound_in_every_world() -> None:
    found = explore(ORDER, environment=SPENDER, companion=THE_GOOD)
    assert found.violations == ()
    # Fifteen phases; in two of them the seller's proceeds may be spent or not.
    assert len(found.worlds) == 17
    assert {world.phase for world in found.worlds} == {state.phase for state in ORDER.states}
    # 36 rules, each from one world, and 17 looks at whether the seller can spend.
    assert found.fires == len(ORDER.rules) + 17 == 53
    assert {sum(amount for _, amount in world.money) for world in found.worlds} == {1}


def test_money_lies_where_the_design_says() -> None:
    where: dict[tuple[int, int, bool], set[str]] = {}
    for world in explore(ORDER, environment=SPENDER).worlds:
        where.setdefault(world.phase, set()).update(pot for pot, amount in world.money if amount)
    assert where == {
        (1, 6, False): {"gateway"},
        (1, 6, True): {"gateway"},
        (2, 6, False): {"escrow"},
        (2, 7, False): {"escrow"},
        (3, 8, False): {"seller_held"},
        (3, 8, True): {"seller_available", SPENT},
        (4, 6, False): {"escrow"},
        (4, 7, False): {"escrow"},
        (4, 8, False): {"escrow"},
        (4, 9, False): {"escrow"},
        (5, 6, True): {"gateway"},
        (5, 7, True): {"gateway"},
        (5, 8, True): {"gateway"},
        (5, 10, True): {"gateway"},
        (3, 9, True): {"seller_available", SPENT},
    }


def test_the_good_goes_along() -> None:
    status = {world.phase: world.companion for world in explore(ORDER, companion=THE_GOOD).worlds}
    on_sale = [(1, 6, True), (5, 6, True)]
    in_trade = [(1, 6, False), (2, 6, False), (2, 7, False), (4, 6, False), (4, 7, False)]
    for phase, good in status.items():
        assert good == GoodPhase(2 if phase in on_sale else 3 if phase in in_trade else 4)


def test_the_good_alone_is_sound() -> None:
    found = explore(GOOD)
    assert found.violations == ()
    assert found.worlds[0].phase == GoodPhase(1)
    assert {world.phase for world in found.worlds} == {state.phase for state in GOOD.states}


def test_proceeds_that_the_seller_may_spend_at_once_cannot_be_refunded() -> None:
    """What the explorer found in the first form of this machine: paying out at receipt."""

    def paid_out(rule: OrderRule) -> OrderRule:
        at_once = {"seller_held": "seller_available"}
        moves = tuple(
            Move(at_once.get(move.source, move.source), at_once.get(move.target, move.target)) for move in rule.moves
        )
        return replace(rule, moves=() if rule.event == "settle" else moves)

    found = broken(paid_out)
    assert named(found) == {("unfunded", "(3, 8, open)", "request_refund")}
    assert [str(violation) for violation in found.violations] == [
        "unfunded at (3, 8, open): request_refund takes from seller_available, which is empty "
        "(after pay > receive > spend)"
    ]


def test_a_rule_that_forgets_its_money_is_named() -> None:
    def forgetful(rule: OrderRule) -> OrderRule:
        return replace(rule, moves=()) if (rule.event, rule.source[:2]) == ("request_refund", (3, 8)) else rule

    found = broken(forgetful)
    assert {"send_back", "approve_refund", "withdraw_refund"} & {violation.event for violation in found.violations}
    assert ("unfunded", "(4, 8, open)", "approve_refund") in named(found)
    assert found.violations[0].path[-1] == "request_refund"


def test_money_left_in_escrow_is_named() -> None:
    found = broken(lambda rule: replace(rule, moves=()) if rule.event == "refund_unshipped" else rule)
    assert named(found) == {("stranded", "(5, 6, closed)", None)}
    assert found.violations[0].path == ("pay", "refund_unshipped")


def test_money_out_of_nothing_is_named() -> None:
    def mint(purse: Purse) -> Purse:
        return {**purse, "escrow": purse["escrow"] + 1}

    found = explore(ORDER, environment={"mint": mint})
    assert {(violation.code, violation.event) for violation in found.violations} == {("not_conserved", "mint")}
    assert len(found.violations) == len(found.worlds) == 15
    assert str(found.violations[0]) == "not_conserved at (1, 6, open): mint turns 1 into 2"


def test_a_good_that_cannot_follow_is_named() -> None:
    found = broken(lambda rule: replace(rule, good_event=GoodEvent.RELEASE) if rule.event == "send_back" else rule)
    assert named(found) == {("companion_refused", "(4, 8, open)", "send_back")}
    assert "send_back asks for release, which the good at 4 refuses" in found.violations[0].text


def test_a_good_left_in_trade_is_named() -> None:
    found = broken(lambda rule: replace(rule, good_event=None) if rule.event == "cancel" else rule)
    assert named(found) == {("companion_held", "(1, 6, closed)", None)}


def test_a_good_that_was_never_held_is_named() -> None:
    spec = replace(ORDER, creation=replace(ORDER.creation, good_event=None))
    found = explore(spec, companion=THE_GOOD)
    assert ("companion_refused", "(1, 6, open)", "cancel") in named(found)


def test_states_that_nobody_ends_are_named() -> None:
    no_clock = broken(lambda rule: replace(rule, deadline=None) if rule.event == "lapse" else rule)
    assert named(no_clock) == {("no_deadline", "(4, 8, open)", None)}

    kept = tuple(rule for rule in ORDER.rules if not (rule.source[:2] == (4, 9) and "system" not in rule.by))
    unreached = {(3, 9, True)}
    no_person = explore(
        replace(ORDER, rules=kept, states=tuple(state for state in ORDER.states if state.phase not in unreached))
    )
    assert named(no_person) == {("nobody", "(4, 9, open)", None), ("clock_stops", "(4, 9, open)", "accept_return")}


def test_reachability_waiting_and_traps() -> None:
    assert reachable(ORDER) == tuple(state.phase for state in ORDER.states)
    assert reachable(ORDER, OrderPhase(4, 9)) == ((4, 9, False), (5, 10, True), (3, 9, True))
    assert reachable(ORDER, OrderPhase(3, 8, closed=True)) == ((3, 8, True),)
    assert traps(ORDER) == ()
    assert traps(GOOD) == ()
    waiting = {state.phase: waits_on(ORDER, state.phase) for state in ORDER.states if not state.closed}
    assert waiting == {
        (1, 6, False): ("buyer", "seller", "gateway"),
        (2, 6, False): ("buyer", "seller"),
        (2, 7, False): ("buyer",),
        (3, 8, False): ("buyer",),
        (4, 6, False): ("buyer", "seller", "staff"),
        (4, 7, False): ("buyer", "seller", "staff"),
        (4, 8, False): ("buyer", "seller", "staff"),
        (4, 9, False): ("seller", "staff"),
    }
    assert waits_on(ORDER, OrderPhase(5, 10, closed=True)) == ()
    for ask in (reachable, waits_on):
        with pytest.raises(UnknownTerm):
            ask(ORDER, OrderPhase(1, 7))
