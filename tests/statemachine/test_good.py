"""Every cell of the good, against a table written out here by hand."""

import pytest

from statemachine import (
    Forbidden,
    GoodEvent,
    GoodFacts,
    GoodPhase,
    GoodRole,
    GuardFailed,
    IllegalTransition,
    Role,
    TradeMode,
    TransitionRefused,
    good_flow,
)
from statemachine.good import GOOD_TEXT, GOOD_TEXT_EN, TRADE_TEXT, TRADE_TEXT_EN, GoodStatus
from tests.statemachine.subjects import Thing

Triple = tuple[int, bool, bool]
"""Status, deleted, taken down."""

TRIPLES: list[Triple] = [
    *((status, False, False) for status in (1, 2, 3, 4, 5)),
    *((status, True, False) for status in (1, 2, 4, 5)),
    *((status, False, True) for status in (1, 2, 3, 4, 5)),
]
TABLE: dict[tuple[str, str, Triple], Triple] = {
    **{("approve", role, (1, False, False)): (2, False, False) for role in ("system", "staff")},
    **{("reject", role, (1, False, False)): (5, False, False) for role in ("system", "staff")},
    # An appeal is granted.
    ("approve", "staff", (5, False, False)): (2, False, False),
    ("hold", "system", (2, False, False)): (3, False, False),
    ("release", "system", (3, False, False)): (2, False, False),
    ("finish", "system", (3, False, False)): (4, False, False),
    ("edit", "owner", (1, False, False)): (1, False, False),
    # What is public stays so while the edit is reviewed.
    ("edit", "owner", (2, False, False)): (2, False, False),
    ("edit", "owner", (4, False, False)): (4, False, False),
    ("edit", "owner", (5, False, False)): (1, False, False),
    **{
        ("publish_edit", role, (status, False, False)): (2, False, False)
        for role in ("system", "staff")
        for status in (2, 4)
    },
    ("delete", "owner", (1, False, False)): (1, True, False),
    ("delete", "owner", (2, False, False)): (2, True, False),
    ("delete", "owner", (4, False, False)): (4, True, False),
    ("delete", "owner", (5, False, False)): (5, True, False),
    ("take_down", "staff", (1, False, False)): (1, False, True),
    ("take_down", "staff", (2, False, False)): (2, False, True),
    ("take_down", "staff", (3, False, False)): (3, False, True),
    ("take_down", "staff", (4, False, False)): (4, False, True),
    ("take_down", "staff", (5, False, False)): (5, False, True),
    **{
        ("restore", role, (status, False, True)): (status, False, False)
        for role in ("staff", "system")
        for status in (1, 2, 3, 4, 5)
    },
    # Taken down, an order goes on, and its end brings the good no buyer.
    ("release", "system", (3, False, True)): (2, False, True),
    ("finish", "system", (3, False, True)): (4, False, True),
    ("delete", "owner", (1, False, True)): (1, True, False),
    ("delete", "owner", (2, False, True)): (2, True, False),
    ("delete", "owner", (4, False, True)): (4, True, False),
    ("delete", "owner", (5, False, True)): (5, True, False),
}
EVENTS = ["approve", "reject", "hold", "release", "finish", "edit", "publish_edit", "delete", "take_down", "restore"]
ROLES = ["owner", "system", "staff"]
FREE, BOUND = GoodFacts(has_open_order=False), GoodFacts(has_open_order=True)


def test_phases_events_and_roles_are_those_of_the_design() -> None:
    assert [tuple(phase) for phase in good_flow.phases] == TRIPLES
    assert [str(event) for event in GoodEvent] == EVENTS
    assert [str(role) for role in GoodRole] == ROLES
    assert good_flow.spec.start == (1, False, False)


@pytest.mark.parametrize("known", [FREE, BOUND])
@pytest.mark.parametrize("triple", TRIPLES)
def test_every_cell_is_allowed_or_refused_as_the_table_says(triple: Triple, known: GoodFacts) -> None:
    phase = GoodPhase(*triple)
    for event in GoodEvent:
        for role in GoodRole:
            thing = Thing(phase)
            target = TABLE.get((event.value, role.value, triple))
            stopped = known.has_open_order and event in (GoodEvent.EDIT, GoodEvent.DELETE)
            if target is not None and not stopped:
                step = good_flow.fire(thing, event, role, known)
                assert thing.phase == target
                assert (step.source, step.target, step.moves, step.good_event) == (phase, target, (), None)
                assert good_flow.why_not(phase, event, role, known) == ()
                continue
            if target is not None:
                refusal: type[TransitionRefused] = GuardFailed
            elif any((event.value, other, triple) in TABLE for other in ROLES):
                refusal = Forbidden
            else:
                refusal = IllegalTransition
            with pytest.raises(refusal) as refused:
                good_flow.fire(thing, event, role, known)
            assert type(refused.value) is refusal
            assert thing.phase is phase
            assert good_flow.why_not(phase, event, role, known) == refused.value.reasons != ()


def test_a_sold_good_stays_until_its_order_is_closed() -> None:
    sold = Thing(GoodPhase(4))
    with pytest.raises(GuardFailed) as refused:
        good_flow.fire(sold, GoodEvent.EDIT, GoodRole.OWNER, BOUND)
    assert [(r.code, r.zh) for r in refused.value.reasons] == [("open_order", "商品还有未结束的订单")]
    assert sold.phase == GoodPhase(4)
    assert good_flow.allowed(GoodPhase(4), GoodRole.OWNER, BOUND) == ()
    assert good_flow.allowed(GoodPhase(4), GoodRole.OWNER, FREE) == (GoodEvent.EDIT, GoodEvent.DELETE)


def test_the_order_s_system_is_the_good_s_system() -> None:
    held = Thing(GoodPhase(2))
    assert good_flow.fire(held, GoodEvent.HOLD, Role.SYSTEM).target == GoodPhase(3)
    assert held.phase == GoodPhase(3)


def test_no_phase_of_a_good_has_a_deadline_and_only_the_deleted_are_closed() -> None:
    for triple in TRIPLES:
        assert good_flow.deadline(GoodPhase(*triple)) is None
        assert good_flow.is_open(GoodPhase(*triple)) is not triple[1]


def test_numbers_and_texts_are_those_of_the_api_spec() -> None:
    assert {int(code): text for code, text in GOOD_TEXT.items()} == {
        1: "待审核",
        2: "已发布",
        3: "交易中",
        4: "交易完成",
        5: "审核失败",
    }
    assert {int(code): text for code, text in TRADE_TEXT.items()} == {6: "当面交易", 7: "快递", 8: "不限交易方式"}
    assert list(GOOD_TEXT_EN) == list(GoodStatus)
    assert list(TRADE_TEXT_EN) == list(TradeMode)
