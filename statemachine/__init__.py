"""The life cycles of orders and goods as values, and an engine that drives them. Knows neither Flask nor SQLAlchemy.

`order_flow.fire(order, OrderEvent.SHIP, Role.SELLER, facts)` moves an order on or says why not; `python -m
statemachine` draws the machines, lists their rules and answers the same question on the command line.

Each machine is one file, `order.py` and `good.py`: a `Spec` that says everything about it, and the `Flow` that fires
its events. The other files serve any machine; a new one only has to be added to `MACHINES`.
"""

from collections.abc import Mapping
from typing import Any, Final

from statemachine.engine import Flow, Step
from statemachine.errors import Forbidden, GuardFailed, IllegalTransition, SpecError, TransitionRefused, UnknownTerm
from statemachine.good import GOOD, GoodEvent, GoodFacts, GoodPhase, GoodRole, GoodStatus, TradeMode, good_flow
from statemachine.order import ORDER, BillStatus, OrderEvent, OrderFacts, OrderPhase, OrderStatus, Pot, Role, order_flow
from statemachine.spec import Creation, Deadline, Guard, Move, Reminder, Rule, Spec, State, TimerEffect
from statemachine.texts import Lang, Reason, Text

MACHINES: Final[Mapping[str, Flow[Any, Any, Any]]] = {flow.spec.name: flow for flow in (order_flow, good_flow)}
"""Every machine by the name of its spec: what the command line and the documentation show."""

__all__ = [
    "GOOD",
    "MACHINES",
    "ORDER",
    "BillStatus",
    "Creation",
    "Deadline",
    "Flow",
    "Forbidden",
    "GoodEvent",
    "GoodFacts",
    "GoodPhase",
    "GoodRole",
    "GoodStatus",
    "Guard",
    "GuardFailed",
    "IllegalTransition",
    "Lang",
    "Move",
    "OrderEvent",
    "OrderFacts",
    "OrderPhase",
    "OrderStatus",
    "Pot",
    "Reason",
    "Reminder",
    "Role",
    "Rule",
    "Spec",
    "SpecError",
    "State",
    "Step",
    "Text",
    "TimerEffect",
    "TradeMode",
    "TransitionRefused",
    "UnknownTerm",
    "good_flow",
    "order_flow",
]
