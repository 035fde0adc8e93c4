"""The way of one subject through its machine, for pictures that mark it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

from statemachine.errors import UnknownTerm
from statemachine.spec import E, F, P, Spec, show


@dataclass(frozen=True)
class Passage(Generic[P]):
    """One step that was made: ``role`` did ``event``. ``source`` is None for the creation, which comes first."""

    event: str
    role: str
    source: P | None
    target: P


Way = Sequence[Passage[P]]
"""All steps of one subject, the creation first."""


@dataclass(frozen=True)
class Trace(Generic[P]):
    """What a way marks: the ordinals of its steps by source, event, role and target, and where the subject stands."""

    ordinals: Mapping[tuple[P | None, str, str, P], tuple[int, ...]]
    visited: frozenset[P]
    present: P


def trace(spec: Spec[P, E, F], way: Way[P]) -> Trace[P]:
    """Follow ``way`` through ``spec``.

    Raises `UnknownTerm` for a step that the machine does not have, ValueError for a way that does not begin with the
    creation or has a gap.
    """
    creation = (None, spec.creation.name, spec.creation.by, spec.start)
    legal = {(rule.source, str(rule.event), str(role), rule.target) for rule in spec.rules for role in rule.by}
    ordinals: dict[tuple[P | None, str, str, P], tuple[int, ...]] = {}
    stands: P | None = None
    for ordinal, passage in enumerate(way, start=1):
        step = (passage.source, passage.event, passage.role, passage.target)
        if step != creation and step not in legal:
            before = "nowhere" if passage.source is None else show(passage.source)
            raise UnknownTerm(
                f"{spec.name} has no {passage.event} by {passage.role} from {before} to {show(passage.target)}"
            )
        if passage.source != stands:
            before = "does not exist yet" if stands is None else f"stands at {show(stands)}"
            raise ValueError(f"step {ordinal} ({passage.event}) does not go on where the {spec.name} {before}")
        ordinals[step] = (*ordinals.get(step, ()), ordinal)
        stands = passage.target
    if stands is None:
        raise ValueError(f"a way of the {spec.name} begins with {spec.creation.name}")
    return Trace(ordinals, frozenset(passage.target for passage in way), stands)
