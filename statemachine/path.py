"""The path of one subject through its machine: the steps it has made, for pictures that mark them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

from statemachine.errors import UnknownTerm
from statemachine.spec import E, F, P, Spec, show


@dataclass(frozen=True)
class PastStep(Generic[P]):
    """One step that was made: `role` did `event`. `source` is None for the creation, which comes first."""

    event: str
    role: str
    source: P | None
    target: P


Path = Sequence[PastStep[P]]
"""All steps of one subject, the creation first."""


@dataclass(frozen=True)
class Trace(Generic[P]):
    """What a picture marks: the numbers of the steps, the phases that were visited, and where the subject is now.

    Steps are found by source, event, role and target; one that was made several times has as many numbers.
    """

    ordinals: Mapping[tuple[P | None, str, str, P], tuple[int, ...]]
    visited: frozenset[P]
    present: P


def trace(spec: Spec[P, E, F], path: Path[P]) -> Trace[P]:
    """Follow `path` through `spec`.

    Raises `UnknownTerm` for a step that the machine does not have, ValueError for a path that does not begin with the
    creation or has a gap.
    """
    creation = (None, spec.creation.name, spec.creation.by, spec.start)
    legal = {(rule.source, str(rule.event), str(role), rule.target) for rule in spec.rules for role in rule.by}
    ordinals: dict[tuple[P | None, str, str, P], tuple[int, ...]] = {}
    present: P | None = None
    for ordinal, past in enumerate(path, start=1):
        step = (past.source, past.event, past.role, past.target)
        if step != creation and step not in legal:
            before = "nowhere" if past.source is None else show(past.source)
            raise UnknownTerm(f"{spec.name} has no {past.event} by {past.role} from {before} to {show(past.target)}")
        if past.source != present:
            before = "does not exist yet" if present is None else f"stands at {show(present)}"
            raise ValueError(f"step {ordinal} ({past.event}) does not go on where the {spec.name} {before}")
        ordinals[step] = (*ordinals.get(step, ()), ordinal)
        present = past.target
    if present is None:
        raise ValueError(f"a path of the {spec.name} begins with {spec.creation.name}")
    return Trace(ordinals, frozenset(past.target for past in path), present)
