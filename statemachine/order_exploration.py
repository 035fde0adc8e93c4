"""What `statemachine.analysis.explore` needs to know to prove the order's machine sound.

The good that follows the order, the facts an order begins with, a seller who withdraws his money at the first moment he
may, and what the design says of orders beyond what every machine must keep to.
"""

from collections.abc import Mapping
from typing import Final

from statemachine.analysis import Balances, ExplorationState, Facts, Invariant, LinkedMachine
from statemachine.good import GOOD, GoodPhase, GoodStatus, TradeMode
from statemachine.order import (
    BillStatus,
    OrderEvent,
    OrderFacts,
    OrderPhase,
    OrderRule,
    OrderStatus,
    Pot,
    Role,
    facts_after,
)

WITHDRAWN: Final = "withdrawn"
"""The pot for what the seller has withdrawn: it is beyond the reach of every rule."""


def withdraw_all(balances: Balances) -> Balances | None:
    """A seller who withdraws all he may, at once: no refund may ever count on money that is already his."""
    available = balances[Pot.SELLER_AVAILABLE]
    if not available:
        return None
    return {**balances, Pot.SELLER_AVAILABLE: 0, WITHDRAWN: balances.get(WITHDRAWN, 0) + available}


LINKED_GOOD: Final = LinkedMachine(
    GOOD, start=GoodPhase(GoodStatus.PUBLISHED), held=frozenset({GoodPhase(GoodStatus.IN_TRADE)})
)
"""The good that an order is about: published until it is bought, no longer in trade once the order is closed."""

ORDER_FACTS: Final = Facts[OrderEvent, OrderFacts](
    begin=tuple(
        OrderFacts(
            trade_mode=mode, refund_count=0, disputed=False, extended=False, has_reason=True, handover_code_ok=True
        )
        for mode in (TradeMode.COURIER, TradeMode.FACE_TO_FACE)
    ),
    after=facts_after,
)
"""The facts of an order. Whoever acts gives what he is asked for: a reason, the right code.

That the gateway gives the money back without us is no way on that an order may count on: no state has it.
"""

OrderState = ExplorationState[OrderPhase, OrderFacts]

_POTS_OF_BILL: Final[Mapping[tuple[int, bool], frozenset[str]]] = {
    (BillStatus.UNPAID, False): frozenset({Pot.GATEWAY}),
    (BillStatus.UNPAID, True): frozenset({Pot.GATEWAY}),
    (BillStatus.PAID, False): frozenset({Pot.ESCROW}),
    (BillStatus.SELLER_PAID, False): frozenset({Pot.SELLER_HELD}),
    (BillStatus.SELLER_PAID, True): frozenset({Pot.SELLER_AVAILABLE, WITHDRAWN}),
    (BillStatus.REFUND_REQUESTED, False): frozenset({Pot.ESCROW}),
    (BillStatus.REFUNDED, True): frozenset({Pot.GATEWAY}),
}
"""Where the money may lie, by bill status and whether the order is closed."""
_MOVES_OF_GOODS: Final = frozenset(
    {
        (OrderStatus.UNSHIPPED, OrderStatus.SHIPPED, BillStatus.PAID),
        (OrderStatus.UNSHIPPED, OrderStatus.RECEIVED, BillStatus.SELLER_PAID),  # handed over face to face
        (OrderStatus.SHIPPED, OrderStatus.RECEIVED, BillStatus.SELLER_PAID),
        (OrderStatus.RECEIVED, OrderStatus.RETURNED, BillStatus.REFUND_REQUESTED),
        (OrderStatus.RETURNED, OrderStatus.RETURN_RECEIVED, BillStatus.REFUNDED),
    }
)
"""From where to where goods move, and the bill status after it; every other step leaves them where they are."""
_CONCESSIONS: Final[Mapping[str, frozenset[int]]] = {
    Role.STAFF: frozenset(BillStatus),
    Role.BUYER: frozenset({BillStatus.PAID, BillStatus.SELLER_PAID}),
    Role.SELLER: frozenset({BillStatus.REFUNDED}),
}
"""Which bill status a role may bring a disputed order to. Staff decide; either side may only give in."""


def _money_is_where_the_bill_says(_before: OrderState, _rule: OrderRule | None, after: OrderState) -> bool:
    return _funded_pots(after) <= _POTS_OF_BILL.get((after.phase.bill, after.phase.closed), frozenset())


def _only_refunds_are_called_refunded(before: OrderState, _rule: OrderRule | None, after: OrderState) -> bool:
    paid_back = _funded_pots(before) <= {Pot.ESCROW, Pot.SELLER_HELD} and _funded_pots(after) == {Pot.GATEWAY}
    return paid_back == (after.phase.bill == BillStatus.REFUNDED)


def _goods_move_as_goods_do(before: OrderState, _rule: OrderRule | None, after: OrderState) -> bool:
    goods = before.phase.goods, after.phase.goods
    return goods[0] == goods[1] or (*goods, after.phase.bill) in _MOVES_OF_GOODS


def _good_has_the_status_of_its_order(_before: OrderState, _rule: OrderRule | None, after: OrderState) -> bool:
    if after.linked is None or after.phase.goods >= OrderStatus.RECEIVED:
        return after.linked in (None, GoodPhase(GoodStatus.SOLD))
    if not after.phase.closed:
        return after.linked == GoodPhase(GoodStatus.IN_TRADE)
    # What was never shipped is on sale again; a parcel that was in transit stays with the buyer or is lost.
    unshipped = after.phase.goods == OrderStatus.UNSHIPPED
    return after.linked == GoodPhase(GoodStatus.PUBLISHED if unshipped else GoodStatus.SOLD)


def _disputes_wait_for_staff(before: OrderState, rule: OrderRule | None, after: OrderState) -> bool:
    if rule is None or before.facts is None or not before.facts.disputed:
        return True
    return all(after.phase.bill in _CONCESSIONS.get(role, frozenset()) for role in rule.by)


def _funded_pots(state: OrderState) -> set[str]:
    return {pot for pot, amount in state.money if amount}


ORDER_INVARIANTS: Final[tuple[Invariant[OrderPhase, OrderEvent, OrderFacts], ...]] = (
    Invariant("money_elsewhere", "the money does not lie where the bill says", _money_is_where_the_bill_says),
    Invariant("refund_unsaid", "the bill and the money differ on a refund", _only_refunds_are_called_refunded),
    Invariant("goods_astray", "no goods move like this", _goods_move_as_goods_do),
    Invariant("good_elsewhere", "the good's status is not what the order says", _good_has_the_status_of_its_order),
    Invariant("dispute_ignored", "a disputed order waits for staff, or a side that gives in", _disputes_wait_for_staff),
)
"""What the design says of orders beyond what every machine must keep to."""
