"""What the tests drive, and the facts under which every guard lets pass."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from statemachine import OrderFacts, TradeMode

S = TypeVar("S")


@dataclass
class Thing(Generic[S]):
    """Something that stands at a phase, as a row does."""

    phase: S


def facts(
    *,
    trade_mode: int = TradeMode.COURIER,
    refund_count: int = 0,
    disputed: bool = False,
    extended: bool = False,
    has_reason: bool = True,
    handover_code_ok: bool = True,
) -> OrderFacts:
    """Facts of a courier order that nothing stops."""
    return OrderFacts(
        trade_mode=trade_mode,
        refund_count=refund_count,
        disputed=disputed,
        extended=extended,
        has_reason=has_reason,
        handover_code_ok=handover_code_ok,
    )
