"""The life cycles of orders and goods, as values, and an engine that drives them. Knows neither Flask nor SQLAlchemy.

``order_flow.fire(order, OrderEvent.SHIP, Role.SELLER, facts)`` moves an order on or says why not; ``python -m
statemachine`` draws the machines, lists their rules and answers the same question on the command line.
"""

from statemachine.engine import Flow, Step, compile, good_flow, order_flow  # noqa: A004 - see engine.compile
from statemachine.errors import Forbidden, GuardFailed, IllegalTransition, SpecError, TransitionRefused, UnknownTerm
from statemachine.good import GOOD, GoodEvent, GoodFacts, GoodPhase, GoodRole, GoodStatus, TradeMode
from statemachine.order import ORDER, BillStatus, OrderEvent, OrderFacts, OrderPhase, OrderStatus, Pot, Role
from statemachine.spec import Creation, Deadline, Guard, Move, Reminder, Rule, Spec, State, TimerEffect
from statemachine.texts import Lang, Reason, Text

__all__ = [
    "GOOD",
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
    "compile",
    "good_flow",
    "order_flow",
]
