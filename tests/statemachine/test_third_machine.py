"""A third machine is one file: all that machines share works with it as it is.

The machine of this test is an offer that a buyer makes on a good: he may raise it while its seller thinks it over.
"""

import json as stdlib_json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from xml.etree import ElementTree as ET

import pytest

from statemachine import (
    GOOD,
    Creation,
    Deadline,
    Flow,
    Forbidden,
    GoodEvent,
    GoodPhase,
    GoodStatus,
    Guard,
    GuardFailed,
    Reminder,
    Rule,
    Spec,
    State,
    Text,
    TimerEffect,
)
from statemachine.analysis import Facts, LinkedMachine, explore
from statemachine.export import dot, json, mermaid, sql_check, svg, table
from statemachine.path import PastStep, trace
from statemachine.texts import LANGS
from statemachine.timers import Timers, first_timers, next_timers
from tests.statemachine.subjects import Thing

MAX_RAISES = 2


class OfferEvent(StrEnum):
    RAISE = "raise"
    ACCEPT = "accept"
    DECLINE = "decline"
    EXPIRE = "expire"


class OfferPhase(NamedTuple):
    number: int
    closed: bool = False


OPEN, ACCEPTED, DECLINED = OfferPhase(1), OfferPhase(2, closed=True), OfferPhase(3, closed=True)
_LIMIT: Final = Guard[int](
    code="raise_limit",
    condition=Text("最多两次", "at most twice"),
    refusal=Text("最多加价两次", "an offer is raised at most twice"),
    test=lambda raised: raised < MAX_RAISES,
)
_EXPIRY: Final = Deadline(
    OfferEvent.EXPIRE,
    "offer_after",
    timedelta(days=2),
    Text("报价截止", "offer ends"),
    Reminder("seller", "offer_reminder", timedelta(hours=6)),
)
OFFER: Final = Spec[OfferPhase, OfferEvent, int](
    name="offer",
    noun=Text("报价", "offer"),
    start=OPEN,
    creation=Creation("bid", "buyer", Text("报价", "bid")),
    states=(
        State(OPEN, "1", (Text("1 待卖家答复", "1 waiting"),), Text("待卖家答复", "waiting for the seller")),
        State(ACCEPTED, "2,closed", (Text("2 已接受", "2 accepted"),), Text("已接受", "accepted"), closed=True),
        State(DECLINED, "3,closed", (Text("3 未接受", "3 declined"),), Text("未接受", "declined"), closed=True),
    ),
    events={
        OfferEvent.RAISE: Text("加价", "raise"),
        OfferEvent.ACCEPT: Text("接受", "accept"),
        OfferEvent.DECLINE: Text("拒绝", "decline"),
        OfferEvent.EXPIRE: Text("超时", "expire"),
    },
    roles={"buyer": Text("买家", "buyer"), "seller": Text("卖家", "seller"), "system": Text("系统", "system")},
    rules=(
        Rule(OfferEvent.RAISE, ("buyer",), OPEN, OPEN, guards=(_LIMIT,), timers=TimerEffect.KEEP),
        Rule(OfferEvent.ACCEPT, ("seller",), OPEN, ACCEPTED, good_event=GoodEvent.HOLD),
        Rule(OfferEvent.DECLINE, ("seller",), OPEN, DECLINED),
        Rule(OfferEvent.EXPIRE, ("system",), OPEN, DECLINED, deadline=_EXPIRY),
    ),
    linked=GOOD,
    columns=("state", "closed"),
)
offer_flow: Final = Flow(OFFER)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_it_is_driven_and_refuses_like_any_other() -> None:
    offer = Thing(OPEN)
    assert offer_flow.fire(offer, OfferEvent.RAISE, "buyer", 0).target == offer.phase == OPEN
    with pytest.raises(GuardFailed) as limited:
        offer_flow.fire(offer, OfferEvent.RAISE, "buyer", MAX_RAISES)
    assert [reason.zh for reason in limited.value.reasons] == ["最多加价两次"]
    with pytest.raises(Forbidden) as refused:
        offer_flow.fire(offer, OfferEvent.ACCEPT, "buyer", 0)
    assert [reason.zh for reason in refused.value.reasons] == ["只有卖家可以接受"]
    assert offer_flow.fire(offer, OfferEvent.ACCEPT, "seller", 1).good_event is GoodEvent.HOLD
    assert (offer.phase, offer_flow.is_open(offer.phase)) == (ACCEPTED, False)


def test_raising_it_gives_the_seller_no_more_time() -> None:
    begun = first_timers(offer_flow, 0, now=NOON, durations={})
    assert begun == Timers(NOON + timedelta(days=2), NOON + timedelta(hours=42), None)
    step = offer_flow.fire(Thing(OPEN), OfferEvent.RAISE, "buyer", 0)
    later = NOON + timedelta(days=1)
    assert next_timers(offer_flow, step, 1, now=later, before=begun, durations={}) == begun


def test_it_is_explored_with_its_good() -> None:
    published, held = GoodPhase(GoodStatus.PUBLISHED), GoodPhase(GoodStatus.IN_TRADE)
    raises = Facts[OfferEvent, int](begin=(0,), after=lambda event, count: count + (event is OfferEvent.RAISE))
    found = explore(OFFER, linked=LinkedMachine(GOOD, published, frozenset()), facts=raises)
    assert found.violations == ()
    assert len(found.states) == 9  # three phases, raised not at all, once or twice
    assert {state.linked for state in found.states if state.phase == ACCEPTED} == {held}
    late = replace(OFFER, linked=GOOD, creation=replace(OFFER.creation, good_event=GoodEvent.FINISH))
    refused = explore(late, linked=LinkedMachine(GOOD, published, frozenset({published})))
    assert [str(violation) for violation in refused.violations] == [
        "linked_refused at (1, open): bid asks for finish, which the good at 2 refuses",
        "linked_held at (3, closed): the offer is closed and its good still held (after decline)",
    ]


def test_it_is_drawn_listed_and_checked_by_the_database() -> None:
    for lang in LANGS:
        assert ET.fromstring(svg.render(OFFER, lang)).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - our own text
        assert dot.render(OFFER, lang).startswith("digraph offer {")
        assert table.render(OFFER, lang).count("\n") == 3 + len(OFFER.rules)
    path = [PastStep("bid", "buyer", None, OPEN), PastStep("raise", "buyer", OPEN, OPEN)]
    assert trace(OFFER, path).present == OPEN
    assert "↻ ② 加价 · 买家" in mermaid.render(OFFER, "zh", path=path)
    assert "| 接受 | `accept` | 卖家 | (1) | (2,closed) |  |  |  |  |  | 被拍下 |" in table.render(OFFER, "zh")
    assert "| raise | `raise` | buyer | (1) | (1) |  |  | unchanged | at most twice |  |  |" in table.render(
        OFFER, "en"
    )
    document = stdlib_json.loads(json.render(OFFER, "en"))
    assert [rule["clock"] for rule in document["rules"]] == ["keep", "start", "start", "start"]
    assert sql_check.sql_check(OFFER, OFFER.columns) == "(state, closed) IN ((1,false),(2,true),(3,true))"
