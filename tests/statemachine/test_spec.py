"""A spec that contradicts itself cannot be built, and the error names all that is wrong with it."""

from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

import pytest

from statemachine import (
    GOOD,
    ORDER,
    Creation,
    Deadline,
    GoodEvent,
    Move,
    Reminder,
    Rule,
    Spec,
    SpecError,
    State,
    Text,
    TimerEffect,
    UnknownTerm,
)
from statemachine.order import REFUNDED_RETURNED
from statemachine.spec import check_total


class Verb(StrEnum):
    GO = "go"
    END = "end"


class MoreVerbs(StrEnum):
    """The same events and one more: members of different enumerations that have the same value are equal."""

    GO = "go"
    END = "end"
    SPARE = "spare"


T = Text("文", "text")
A, B, C = (1, False), (2, False), (2, True)


def state(phase: Any, key: str, **options: bool) -> State[Any]:
    return State(phase, key, (T,), T, **options)


def deadline(event: Verb, seconds: int = 60) -> Deadline[Verb]:
    reminder = Reminder("maker", f"{event}_reminder", timedelta(seconds=seconds / 2))
    return Deadline(event, f"{event}_after", timedelta(seconds=seconds), T, reminder)


def remind(seconds: int) -> Deadline[Verb]:
    """END's deadline of a minute, with a reminder so many seconds before."""
    return replace(deadline(Verb.END), reminder=Reminder("maker", "end_reminder", timedelta(seconds=seconds)))


OPEN_A, OPEN_B, CLOSED_C = state(A, "1"), state(B, "2"), state(C, "2,closed", closed=True)
GO = Rule[Any, Verb, None](Verb.GO, ("system",), A, B, deadline=deadline(Verb.GO))
END = Rule[Any, Verb, None](Verb.END, ("system",), B, C, deadline=deadline(Verb.END))
BACK = Rule[Any, Verb, None](Verb.END, ("maker",), B, A, timers=TimerEffect.RESUME)
STAY = Rule[Any, Verb, None](Verb.END, ("maker",), A, A, timers=TimerEffect.KEEP)
SOUND = Spec[Any, Verb, None](
    name="tiny",
    noun=T,
    start=A,
    creation=Creation("make", "maker", T),
    states=(OPEN_A, OPEN_B, CLOSED_C),
    events={Verb.GO: T, Verb.END: T},
    roles={"maker": T, "system": T},
    rules=(GO, END),
    pots={"here": T, "there": T},
    final_pots=frozenset({"there"}),
)

UNREACHED = [f"state {at} cannot be reached" for at in ("(1, open)", "(2, open)", "(2, closed)")]


@pytest.mark.parametrize(
    ("change", "defects"),
    [
        ({"start": (9, False)}, ["the start (9, open) is not a state", *UNREACHED]),
        ({"start": "1"}, ["the start '1' is not a state", *UNREACHED]),
        ({"states": (OPEN_A, OPEN_B, CLOSED_C, state(A, "again"))}, ["state (1, open) is declared twice"]),
        ({"states": (OPEN_A, replace(OPEN_B, key="1"), CLOSED_C)}, ["state key '1' is used twice"]),
        (
            {"rules": (GO, GO, END)},
            ["go from (1, open) by system has two rules", "state (1, open) has 2 deadlines: go, go"],
        ),
        (
            {"creation": Creation("make", "nobody", T)},
            ["make by the unknown role 'nobody'", "role maker may do nothing"],
        ),
        ({"events": {**SOUND.events, MoreVerbs.SPARE: T}}, ["event spare has no rule"]),
        (
            {"events": {MoreVerbs.GO: T, MoreVerbs.END: T}},
            ["event spare has no text in events", "event spare has no rule"],
        ),
        (
            {"events": {Verb.GO: T}},
            ["event end has no text in events", "end from (2, open) is an unknown event"],
        ),
        ({"roles": {**SOUND.roles, "staff": T}}, ["role staff may do nothing"]),
        ({"final_pots": frozenset({"where"})}, ["final pot 'where' is not a pot"]),
        (
            {"rules": (replace(GO, target=(2, 7)), END)},
            [
                "go from (1, open) leads to (2, 7), which does not exist",
                "state (2, open) cannot be reached",
                "state (2, closed) cannot be reached",
                "open state (1, open) is a trap: no way leads from it to a closed one",
            ],
        ),
        (
            {"rules": (GO, END, replace(END, source=(8, False)))},
            ["end from (8, open) leaves a state that does not exist"],
        ),
        (
            {"rules": (GO, END, replace(GO, event=MoreVerbs.SPARE, by=("maker",), deadline=None))},
            ["spare from (1, open) is an unknown event"],
        ),
        ({"rules": (GO, END, replace(END, by=(), deadline=None))}, ["end from (2, open) is done by nobody"]),
        (
            {"rules": (GO, END, replace(END, by=("thief",), deadline=None))},
            ["end from (2, open) is done by the unknown role 'thief'"],
        ),
        (
            {"rules": (GO, replace(END, moves=(Move("here", "gone"),)))},
            ["end from (2, open) moves money through the unknown pot 'gone'"],
        ),
        (
            {"rules": (GO, replace(END, moves=(Move("here", "here"),)))},
            ["end from (2, open) moves money from 'here' to itself"],
        ),
        (
            {"rules": (GO, replace(END, by=("maker",)))},
            ["end from (2, open) has a deadline but is not the system's alone"],
        ),
        ({"rules": (GO, replace(END, deadline=deadline(Verb.GO)))}, ["end from (2, open) has the deadline of go"]),
        (
            {"rules": (GO, replace(END, deadline=deadline(Verb.END, 0)))},
            [
                "end from (2, open) has a deadline that has passed before it starts",
                "end from (2, open) has a reminder outside its time",
            ],
        ),
        (
            {"rules": (GO, replace(END, deadline=remind(60)))},
            ["end from (2, open) has a reminder outside its time"],
        ),
        (
            {"rules": (GO, replace(END, deadline=remind(0)))},
            ["end from (2, open) has a reminder outside its time"],
        ),
        (
            {"rules": (replace(GO, timers=TimerEffect.PAUSE), END)},
            ["go from (1, open) is to pause a deadline that no way out of its target resumes"],
        ),
        (
            {
                "rules": (replace(GO, deadline=None, timers=TimerEffect.PAUSE), END, BACK),
                "states": (replace(OPEN_A, timeless=True), OPEN_B, CLOSED_C),
            },
            [
                "go from (1, open) is to pause a deadline that its source does not have",
                "end from (2, open) is to resume a deadline that its target does not have",
            ],
        ),
        (
            {"rules": (replace(GO, timers=TimerEffect.EXTEND), END)},
            ["go from (1, open) is to extend a deadline that it leaves behind"],
        ),
        (
            {"rules": (replace(GO, timers=TimerEffect.KEEP), END)},
            ["go from (1, open) is to keep a deadline that it leaves behind"],
        ),
        (
            {"rules": (GO, END, replace(STAY, timers=None))},
            ["end from (1, open) changes no state and does not say what becomes of its timers"],
        ),
        (
            {
                "rules": (replace(GO, deadline=None), END, STAY),
                "states": (replace(OPEN_A, timeless=True), OPEN_B, CLOSED_C),
            },
            ["end from (1, open) is to keep a deadline that its source does not have"],
        ),
        (
            {"rules": (GO, replace(END, good_event=GoodEvent.HOLD))},
            ["end from (2, open) has the good event hold, but no machine is linked"],
        ),
        (
            {"creation": replace(SOUND.creation, good_event=GoodEvent.HOLD)},
            ["make has the good event hold, but no machine is linked"],
        ),
        (
            {"rules": (GO, replace(END, good_event=Verb.GO)), "linked": GOOD},
            ["end from (2, open) has the good event go, which the good does not have"],
        ),
        (
            {"rules": (GO, replace(END, timers=TimerEffect.RESUME))},
            ["end from (2, open) is to resume a deadline that its target does not have"],
        ),
        (
            {"states": (OPEN_A, OPEN_B, CLOSED_C, state((3, True), "3", closed=True))},
            ["state (3, closed) cannot be reached"],
        ),
        (
            {"rules": (GO, END, replace(GO, source=C, target=A, by=("maker",), deadline=None))},
            ["closed state (2, closed) has a way out: go"],
        ),
        (
            {"rules": (GO, replace(END, deadline=None))},
            ["open state (2, open) has neither a deadline nor staff who could decide"],
        ),
        (
            {
                "rules": (GO, END, replace(GO, source=B, target=(3, False), by=("maker",), deadline=None)),
                "states": (OPEN_A, OPEN_B, CLOSED_C, state((3, False), "3", timeless=True)),
            },
            ["open state (3, open) is a trap: no way leads from it to a closed one"],
        ),
    ],
)
def test_each_defect_is_named(change: dict[str, Any], defects: list[str]) -> None:
    with pytest.raises(SpecError) as raised:
        replace(SOUND, **change)
    assert list(raised.value.defects) == defects
    assert str(raised.value) == "tiny: " + "; ".join(defects)


def test_staff_or_timelessness_stand_in_for_a_deadline() -> None:
    by_staff = replace(SOUND, rules=(GO, replace(END, by=("staff",), deadline=None)), roles={**SOUND.roles, "staff": T})
    assert by_staff.rules_from(B)[0].by == ("staff",)
    resting = replace(
        SOUND, rules=(GO, replace(END, deadline=None)), states=(OPEN_A, replace(OPEN_B, timeless=True), CLOSED_C)
    )
    assert resting.state(B).timeless


def test_a_step_that_changes_no_state_says_what_becomes_of_its_timers() -> None:
    for effect in (TimerEffect.START, TimerEffect.EXTEND, TimerEffect.KEEP):
        spec = replace(SOUND, rules=(GO, END, replace(STAY, timers=effect)))
        assert spec.rules[-1].timer_effect is effect
    assert GO.timers is None
    assert GO.timer_effect is TimerEffect.START
    # Where there is no deadline, there is nothing to say.
    resting = (replace(OPEN_A, timeless=True), OPEN_B, CLOSED_C)
    replace(SOUND, rules=(replace(GO, deadline=None), END, replace(STAY, timers=None)), states=resting)


def test_one_wrong_digit_in_the_order_is_found() -> None:
    ship = next(rule for rule in ORDER.rules if rule.event == "ship")
    rules = tuple(
        replace(rule, target=ship.target._replace(goods=70)) if rule is ship else rule for rule in ORDER.rules
    )
    with pytest.raises(
        SpecError, match=r"^order: ship from \(2, 6, open\) leads to \(2, 70, open\), which does not exist"
    ):
        replace(ORDER, rules=rules)


def test_a_table_beside_a_spec_has_an_entry_for_each_key_and_no_other() -> None:
    wanted = {("ship", "seller"), ("pay", "gateway"), ("cancel", "buyer")}
    check_total("TABLE", wanted, wanted)
    with pytest.raises(SpecError) as refused:
        check_total("TABLE", [("pay", "gateway"), ("pay", "buyer")], wanted)
    assert str(refused.value) == (
        "TABLE: (cancel, buyer) is missing; (ship, seller) is missing; (pay, buyer) is never looked up"
    )
    assert len(refused.value.defects) == 3
    with pytest.raises(SpecError, match=r"^TABLE: ship is missing; pay is never looked up$"):
        check_total("TABLE", ["pay"], {"ship"})


def test_states_are_found_by_phase_and_key() -> None:
    assert ORDER.state(ORDER.start).key == "1,6"
    assert ORDER.by_key["5,10,closed"].phase == REFUNDED_RETURNED
    assert GOOD.by_key["4,deleted"].phase == (4, True, False)
    with pytest.raises(UnknownTerm, match=r"^good has no state \(3, closed, open\)$"):
        GOOD.state(GOOD.start._replace(status=3, deleted=True))


def test_specs_are_frozen() -> None:
    with pytest.raises(AttributeError):
        ORDER.rules = ()  # type: ignore[misc] # that is the point
