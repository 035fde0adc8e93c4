"""A subject without a database, and facts under which every guard holds."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from statemachine import OrderFacts, TradeMode

S = TypeVar("S")


@dataclass
class Thing(Generic[S]):
    """Something with a phase, as a row of the database has one."""

    phase: S


def facts(
    *,
    trade_mode: int = TradeMode.COURIER,
    refund_count: int = 0,
    disputed: bool = False,
    extended: bool = False,
    has_reason: bool = True,
    handover_code_ok: bool = True,
    refunded_elsewhere: bool = True,
) -> OrderFacts:
    """Facts of a courier order under which every guard holds that does not ask for 当面交易."""
    return OrderFacts(
        trade_mode=trade_mode,
        refund_count=refund_count,
        disputed=disputed,
        extended=extended,
        has_reason=has_reason,
        handover_code_ok=handover_code_ok,
        refunded_elsewhere=refunded_elsewhere,
    )
