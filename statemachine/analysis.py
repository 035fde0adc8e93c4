"""What can be proved about a machine by walking through all of it.

`explore` drives a spec through every world it can come to, with the money that its rules move, surroundings that may
act at any time (a seller who spends all he may) and a companion machine (the good), and reports whatever must never be:
an exit that cannot be paid, money left behind, money made or lost, an open state that waits for nobody.

Guards are left aside, so every way that some facts would open is walked: what holds here holds under all facts.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Generic

from statemachine.good import GOOD, GoodEvent, GoodFacts, GoodPhase
from statemachine.order import Pot
from statemachine.spec import STAFF, SYSTEM, E, F, P, Rule, Spec, reach, show, trapped

Purse = Mapping[str, int]
"""How many times an order's amount lies in each pot."""
Environment = Callable[[Purse], Purse | None]
"""Something beside the machine that may move money at any time; None where it has nothing to do."""

SPENT: Final = "spent"
"""The pot for what has left the house."""


def reachable(spec: Spec[P, E, F], phase: P | None = None) -> tuple[P, ...]:
    """The phases that can be reached from ``phase`` (the start where none is given), itself included, in spec order."""
    found = reach(spec.start if phase is None else spec.state(phase).phase, spec.rules)
    return tuple(state.phase for state in spec.states if state.phase in found)


def traps(spec: Spec[P, E, F]) -> tuple[P, ...]:
    """The open phases from which no closed one can be reached. Always empty for a spec that could be built."""
    return tuple(state.phase for state in trapped(spec.states, spec.rules))


def waits_on(spec: Spec[P, E, F], phase: P) -> tuple[str, ...]:
    """Whom a subject at ``phase`` waits for: the roles other than the system that may act, in spec order."""
    spec.state(phase)
    may = {role for rule in spec.rules_from(phase) for role in rule.by} - {SYSTEM}
    return tuple(role for role in spec.roles if role in may)


def spend_all(purse: Purse) -> Purse | None:
    """A seller who takes out whatever he may, at once."""
    available = purse[Pot.SELLER_AVAILABLE]
    if not available:
        return None
    return {**purse, Pot.SELLER_AVAILABLE: 0, SPENT: purse.get(SPENT, 0) + available}


@dataclass(frozen=True, slots=True)
class Companion:
    """A second machine, led along by ``good_event``: where it begins, and where a closed subject must not leave it."""

    spec: Spec[GoodPhase, GoodEvent, GoodFacts]
    start: GoodPhase
    held: frozenset[GoodPhase]

    def follow(self, phase: GoodPhase, event: GoodEvent) -> GoodPhase | None:
        """Where the system's ``event`` leads from ``phase``, None if nowhere."""
        rules = self.spec.rules_from(phase)
        return next((rule.target for rule in rules if rule.event == event and SYSTEM in rule.by), None)


THE_GOOD: Final = Companion(GOOD, start=GoodPhase(2), held=frozenset({GoodPhase(3)}))
"""The good that an order is about: published when it is bought, no longer in trade once the order is closed."""


@dataclass(frozen=True)
class World(Generic[P]):
    """One combination that comes about: the phase, the money (pot and amount, sorted) and the companion's phase."""

    phase: P
    money: tuple[tuple[str, int], ...]
    companion: GoodPhase | None


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must never be: where, through which event if through one, and the events that lead there."""

    code: str
    phase: str
    event: str | None
    path: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        way = " > ".join(self.path)
        return f"{self.code} at {self.phase}: {self.text}" + (f" (after {way})" if way else "")


@dataclass(frozen=True)
class Exploration(Generic[P]):
    """Every world visited, nearest first, how many steps were tried, and what was wrong."""

    worlds: tuple[World[P], ...]
    fires: int
    violations: tuple[Violation, ...]


def explore(
    spec: Spec[P, E, F], *, environment: Mapping[str, Environment] | None = None, companion: Companion | None = None
) -> Exploration[P]:
    """Walk through every world of ``spec`` and report all violations.

    ``environment`` names what may happen beside the machine, between any two steps; ``companion`` goes along.
    The codes of violations:

    - ``unfunded``: a rule takes money from an empty pot (the walk does not take that step);
    - ``stranded``: closed, with money in a pot that is not final;
    - ``not_conserved``: the sum over all pots changed;
    - ``companion_refused``, ``companion_held``: the good cannot follow, or a closed order leaves it in trade;
    - ``no_deadline``, ``nobody``: an open state without a clock, or one that waits for no person;
    - ``clock_stops``: a guard can stop the clock, and no staff could decide then.
    """
    return _Walk(spec, environment or {}, companion).run()


class _Walk(Generic[P, E, F]):
    def __init__(
        self, spec: Spec[P, E, F], environment: Mapping[str, Environment], companion: Companion | None
    ) -> None:
        self._spec = spec
        self._environment = environment
        self._companion = companion
        self._paths: dict[World[P], tuple[str, ...]] = {}
        self._todo: deque[World[P]] = deque()
        self._found: list[Violation] = []
        self._fires = 0

    def run(self) -> Exploration[P]:
        self._found.extend(_waiting_violations(self._spec))
        creation = self._spec.creation
        purse = {pot: int(index == 0) for index, pot in enumerate(self._spec.pots)}
        begin = World(self._spec.start, _money(purse), self._companion.start if self._companion else None)
        held = self._follow(begin, creation.name, creation.good_event)
        self._visit(World(begin.phase, begin.money, held), ())
        while self._todo:
            world = self._todo.popleft()
            for rule in self._spec.rules_from(world.phase):
                self._fire(world, rule)
            for name, act in self._environment.items():
                self._act(world, name, act)
        return Exploration(tuple(self._paths), self._fires, tuple(self._found))

    def _visit(self, world: World[P], path: tuple[str, ...]) -> None:
        if world in self._paths:
            return
        self._paths[world] = path
        self._todo.append(world)
        if not self._spec.state(world.phase).closed:
            return
        for pot, amount in world.money:
            if amount and pot in self._spec.pots and pot not in self._spec.final_pots:
                self._report("stranded", world, None, f"the order is closed with money in {pot}")
        if self._companion and world.companion in self._companion.held:
            self._report("companion_held", world, None, "the order is closed and its good still held")

    def _fire(self, world: World[P], rule: Rule[P, E, F]) -> None:
        self._fires += 1
        purse = dict(world.money)
        for move in rule.moves:
            if not purse[move.source]:
                self._report("unfunded", world, rule.event, f"{rule.event} takes from {move.source}, which is empty")
                return
            purse[move.source] -= 1
            purse[move.target] += 1
        companion = self._follow(world, rule.event, rule.good_event)
        self._visit(World(rule.target, _money(purse), companion), (*self._paths[world], rule.event))

    def _act(self, world: World[P], name: str, act: Environment) -> None:
        self._fires += 1
        before = dict(world.money)
        after = act(before)
        if after is None:
            return
        if sum(after.values()) != sum(before.values()):
            self._report(
                "not_conserved", world, name, f"{name} turns {sum(before.values())} into {sum(after.values())}"
            )
            return
        self._visit(World(world.phase, _money(after), world.companion), (*self._paths[world], name))

    def _follow(self, world: World[P], event: str, good_event: GoodEvent | None) -> GoodPhase | None:
        if self._companion is None or world.companion is None or good_event is None:
            return world.companion
        target = self._companion.follow(world.companion, good_event)
        if target is None:
            at = self._companion.spec.state(world.companion).key
            self._report(
                "companion_refused", world, event, f"{event} asks for {good_event}, which the good at {at} refuses"
            )
            return world.companion
        return target

    def _report(self, code: str, world: World[P], event: str | None, text: str) -> None:
        self._found.append(Violation(code, show(world.phase), event, self._paths.get(world, ()), text))


def _waiting_violations(spec: Spec[P, E, F]) -> Iterator[Violation]:
    for state in spec.states:
        if state.closed or state.timeless:
            continue
        at, persons = show(state.phase), waits_on(spec, state.phase)
        clock = next((rule for rule in spec.rules_from(state.phase) if rule.deadline), None)
        if not persons:
            yield Violation("nobody", at, None, (), "an open state waits for no person")
        if clock is None:
            yield Violation("no_deadline", at, None, (), "an open state has no deadline")
        elif clock.guards and STAFF not in persons:
            yield Violation(
                "clock_stops", at, clock.event, (), f"{clock.event} can be stopped and no staff could decide"
            )


def _money(purse: Purse) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((str(pot), amount) for pot, amount in purse.items()))
