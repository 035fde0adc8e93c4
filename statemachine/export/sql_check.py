"""A machine's legal phases as a condition that the database can check."""

from collections.abc import Sequence
from typing import Any

from statemachine.spec import E, F, P, Spec


def sql_check(spec: Spec[P, E, F], columns: Sequence[str]) -> str:
    """`(bill_status, order_status, closed) IN ((1,6,false),…)`: true for exactly the legal phases of `spec`.

    `columns` are SQL names or expressions, one for each part of a phase, and are taken as they are. Raises ValueError
    where their number is wrong.
    """
    phases: list[Any] = [state.phase for state in spec.states]
    if len(columns) != len(phases[0]):
        raise ValueError(f"a phase of {spec.name} has {len(phases[0])} parts, not {len(columns)}")
    rows = (
        "(" + ",".join(str(int(part)) if not isinstance(part, bool) else str(part).lower() for part in phase) + ")"
        for phase in phases
    )
    return f"({', '.join(columns)}) IN ({','.join(rows)})"
