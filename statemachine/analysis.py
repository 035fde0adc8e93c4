"""What can be proved about a machine by walking through all of it.

`explore` drives a spec through every combination of phase, money and facts that it can come to. Beside the spec's own
rules it may follow a linked machine (the good that an order is about) and let things happen from outside between any
two steps (a seller who withdraws his money). It reports whatever must never be: an exit that cannot be paid, money
left behind, money made or lost, an open state that waits for nobody.

There are two kinds of walk. Without facts all guards are ignored, so the walk takes every step that some facts would
allow: what is safe there is safe under all facts. With facts a step is taken only where its guards hold, and each step
changes the facts: what is possible there, reaching a closed state above all, is possible with the guards too.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Generic

from statemachine.spec import STAFF, SYSTEM, E, F, P, Rule, Spec, TimerEffect, reach, show, trapped

Balances = Mapping[str, int]
"""How much lies in each pot, in units of the subject's whole amount: an order's money is never divided."""
ExternalAction = Callable[[Balances], Balances | None]
"""Something outside the machine that may move money between any two steps: the balances after it, None if there was
nothing to do."""

_MAX_STATES: Final = 5_000
"""A walk that comes to more has facts that grow without end; the order's comes to 166."""


def reachable(spec: Spec[P, E, F], phase: P | None = None) -> tuple[P, ...]:
    """The phases that can be reached from `phase` (the start where none is given), itself included, in spec order."""
    found = reach(spec.start if phase is None else spec.state(phase).phase, spec.rules)
    return tuple(state.phase for state in spec.states if state.phase in found)


def traps(spec: Spec[P, E, F]) -> tuple[P, ...]:
    """The open phases from which no closed one can be reached. Always empty for a spec that could be built."""
    return tuple(state.phase for state in trapped(spec.states, spec.rules))


def waits_on(spec: Spec[P, E, F], phase: P) -> tuple[str, ...]:
    """Whom a subject at `phase` waits for: the roles other than the system that may move it on, in spec order."""
    spec.state(phase)
    may = {role for rule in spec.rules_from(phase) if rule.target != phase for role in rule.by} - {SYSTEM}
    return tuple(role for role in spec.roles if role in may)


@dataclass(frozen=True, slots=True)
class LinkedMachine:
    """A second machine, whose events are the `good_event`s of the first one's rules.

    `start` is its phase before the subject is created, `held` are those in which a closed subject must not leave it.
    """

    spec: Spec[Any, Any, Any]
    start: Hashable
    held: frozenset[Hashable]

    def follow(self, phase: Hashable, event: StrEnum) -> Hashable | None:
        """Where the system's `event` leads from `phase`; None where the machine refuses it."""
        rules = self.spec.rules_from(phase)
        return next((rule.target for rule in rules if rule.event == event and SYSTEM in rule.by), None)


@dataclass(frozen=True)
class Facts(Generic[E, F]):
    """The facts that a subject may begin with, and what each event makes of them."""

    begin: tuple[F, ...]
    after: Callable[[E, F], F]


@dataclass(frozen=True)
class ExplorationState(Generic[P, F]):
    """One combination that the walk comes to.

    `money` is what lies in each pot, sorted by pot; `linked` the linked machine's phase, `facts` those of a walk with
    facts, `paused` the phase whose deadline is paused; each None where there is none.
    """

    phase: P
    money: tuple[tuple[str, int], ...]
    linked: Hashable | None = None
    facts: F | None = None
    paused: P | None = None


@dataclass(frozen=True)
class Invariant(Generic[P, E, F]):
    """Something about one machine that must hold after every step.

    `test` gets the state before, the rule that was followed (None for an external action) and the state after. `code`
    and `text` describe the violation.
    """

    code: str
    text: str
    test: Callable[[ExplorationState[P, F], Rule[P, E, F] | None, ExplorationState[P, F]], bool]


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must never be: at which phase, through which event if any, and the events that lead there."""

    code: str
    phase: str
    event: str | None
    path: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        path = " > ".join(self.path)
        return f"{self.code} at {self.phase}: {self.text}" + (f" (after {path})" if path else "")


@dataclass(frozen=True)
class Exploration(Generic[P, F]):
    """Every state visited, those nearest to the start first, how many steps were tried, and what was wrong."""

    states: tuple[ExplorationState[P, F], ...]
    fires: int
    violations: tuple[Violation, ...]


def explore(
    spec: Spec[P, E, F],
    *,
    external_actions: Mapping[str, ExternalAction] | None = None,
    linked: LinkedMachine | None = None,
    facts: Facts[E, F] | None = None,
    invariants: Sequence[Invariant[P, E, F]] = (),
) -> Exploration[P, F]:
    """Walk through every state of `spec` and report all violations.

    `external_actions` are tried by name between any two steps; the `linked` machine follows; with `facts` the guards
    are obeyed; `invariants` are checked after each step. The codes of violations:

    - `unfunded`: a rule takes money from an empty pot (the walk does not take that step);
    - `stranded`: closed, with money in a pot that is not final;
    - `not_conserved`: an external action changed the sum over all pots;
    - `linked_refused`, `linked_held`: the linked machine cannot follow, or is left in a phase of `LinkedMachine.held`;
    - `no_deadline`, `nobody`: an open state without a deadline, or one that waits for no person;
    - `deadline_stops`: a guard can stop the deadline, and no staff could decide then;
    - `not_paused`, `time_lost`: a deadline is resumed that nothing paused, or a paused one starts anew;
    - `trap`: no steps lead from an open state to a closed one;
    - `endless`: the facts grow without end, so the walk was given up;
    - and the code of each invariant that does not hold.
    """
    return _Walk(spec, external_actions or {}, linked, facts, invariants).run()


@dataclass
class _Walk(Generic[P, E, F]):
    spec: Spec[P, E, F]
    external_actions: Mapping[str, ExternalAction]
    linked: LinkedMachine | None
    facts: Facts[E, F] | None
    invariants: Sequence[Invariant[P, E, F]]
    paths: dict[ExplorationState[P, F], tuple[str, ...]] = field(default_factory=dict)
    """The states visited, each with the events that led there first."""
    came_from: dict[ExplorationState[P, F], list[ExplorationState[P, F]]] = field(default_factory=dict)
    todo: deque[ExplorationState[P, F]] = field(default_factory=deque)
    found: list[Violation] = field(default_factory=list)
    fires: int = 0

    def run(self) -> Exploration[P, F]:
        self.found.extend(_waiting_violations(self.spec))
        creation = self.spec.creation
        money = _sorted({pot: int(index == 0) for index, pot in enumerate(self.spec.pots)})
        for facts in self.facts.begin if self.facts else (None,):
            begin = ExplorationState(self.spec.start, money, self.linked.start if self.linked else None, facts)
            held = self._follow(begin, creation.name, creation.good_event)
            self._visit(replace(begin, linked=held), ())
        while self.todo and len(self.paths) <= _MAX_STATES:
            state = self.todo.popleft()
            for rule in self.spec.rules_from(state.phase):
                if _opens(rule, state):
                    self._fire(state, rule)
            for name, act in self.external_actions.items():
                self._act(state, name, act)
        if self.todo:
            self._report("endless", self.todo[0], None, f"more than {_MAX_STATES} states, and no end")
        else:
            self._report_traps()
        return Exploration(tuple(self.paths), self.fires, tuple(self.found))

    def _arrive(
        self, before: ExplorationState[P, F], event: str, rule: Rule[P, E, F] | None, after: ExplorationState[P, F]
    ) -> None:
        for invariant in self.invariants:
            if not invariant.test(before, rule, after):
                self._report(invariant.code, before, event, f"{event} leads to {show(after.phase)}: {invariant.text}")
        self.came_from.setdefault(after, []).append(before)
        if after not in self.paths:
            self._visit(after, (*self.paths[before], event))

    def _visit(self, state: ExplorationState[P, F], path: tuple[str, ...]) -> None:
        self.paths[state] = path
        self.todo.append(state)
        if self.spec.state(state.phase).closed:
            self._check_end(state)
        elif self.facts:
            self._check_waiting(state)

    def _check_end(self, state: ExplorationState[P, F]) -> None:
        subject = self.spec.noun.en
        for pot, amount in state.money:
            if amount and pot in self.spec.pots and pot not in self.spec.final_pots:
                self._report("stranded", state, None, f"the {subject} is closed with money in {pot}")
        if self.linked and state.linked in self.linked.held:
            held = self.linked.spec.noun.en
            self._report("linked_held", state, None, f"the {subject} is closed and its {held} still held")

    def _check_waiting(self, state: ExplorationState[P, F]) -> None:
        leaving = self.spec.rules_from(state.phase)
        stopped = next((rule for rule in leaving if rule.deadline and not _opens(rule, state)), None)
        if stopped and not any(_decides(rule) and _opens(rule, state) for rule in leaving):
            self._report("deadline_stops", state, stopped.event, f"{stopped.event} is stopped and no staff can decide")

    def _fire(self, before: ExplorationState[P, F], rule: Rule[P, E, F]) -> None:
        self.fires += 1
        balances = dict(before.money)
        for move in rule.moves:
            if not balances[move.source]:
                self._report("unfunded", before, rule.event, f"{rule.event} takes from {move.source}, which is empty")
                return
            balances[move.source] -= 1
            balances[move.target] += 1
        after = ExplorationState(
            phase=rule.target,
            money=_sorted(balances),
            linked=self._follow(before, rule.event, rule.good_event),
            facts=self.facts.after(rule.event, before.facts) if self.facts and before.facts is not None else None,
            paused=self._paused_after(before, rule),
        )
        self._arrive(before, rule.event, rule, after)

    def _paused_after(self, state: ExplorationState[P, F], rule: Rule[P, E, F]) -> P | None:
        """The phase whose deadline is paused after `rule`: it is that deadline's time that `Timers.remaining` is."""
        effect = rule.timer_effect
        if effect is TimerEffect.RESUME and state.paused != rule.target:
            self._report("not_paused", state, rule.event, f"{rule.event} resumes a deadline that nothing paused")
        if effect in (TimerEffect.START, TimerEffect.PAUSE) and state.paused == rule.target:
            self._report("time_lost", state, rule.event, f"{rule.event} starts anew a deadline that was paused")
        if not any(onward.timer_effect is TimerEffect.RESUME for onward in self.spec.rules_from(rule.target)):
            return None
        return rule.source if effect is TimerEffect.PAUSE else state.paused

    def _act(self, state: ExplorationState[P, F], name: str, act: ExternalAction) -> None:
        self.fires += 1
        before = dict(state.money)
        after = act(before)
        if after is None:
            return
        if sum(after.values()) != sum(before.values()):
            self._report(
                "not_conserved", state, name, f"{name} turns {sum(before.values())} into {sum(after.values())}"
            )
            return
        self._arrive(state, name, None, replace(state, money=_sorted(after)))

    def _follow(self, state: ExplorationState[P, F], event: str, good_event: StrEnum | None) -> Hashable | None:
        if self.linked is None or state.linked is None or good_event is None:
            return state.linked
        target = self.linked.follow(state.linked, good_event)
        if target is None:
            name, at = self.linked.spec.noun.en, self.linked.spec.state(state.linked).key
            self._report(
                "linked_refused", state, event, f"{event} asks for {good_event}, which the {name} at {at} refuses"
            )
            return state.linked
        return target

    def _report_traps(self) -> None:
        ending = {state for state in self.paths if self.spec.state(state.phase).closed}
        todo = list(ending)
        while todo:
            fresh = set(self.came_from.get(todo.pop(), ())) - ending
            ending |= fresh
            todo.extend(fresh)
        for state in self.paths:
            if state not in ending:
                self._report("trap", state, None, "no steps lead from here to a closed state")

    def _report(self, code: str, state: ExplorationState[P, F], event: str | None, text: str) -> None:
        violation = Violation(code, show(state.phase), event, self.paths.get(state, ()), text)
        if violation not in self.found:
            self.found.append(violation)


def _opens(rule: Rule[P, E, F], state: ExplorationState[P, F]) -> bool:
    """Whether the facts of `state` let `rule` happen; without facts everything may."""
    facts = state.facts
    return facts is None or all(guard.test(facts) for guard in rule.guards)


def _decides(rule: Rule[P, E, F]) -> bool:
    return STAFF in rule.by and rule.target != rule.source


def _waiting_violations(spec: Spec[P, E, F]) -> Iterator[Violation]:
    for state in spec.states:
        if state.closed or state.timeless:
            continue
        at, persons = show(state.phase), waits_on(spec, state.phase)
        leaving = spec.rules_from(state.phase)
        timed = next((rule for rule in leaving if rule.deadline), None)
        if not persons:
            yield Violation("nobody", at, None, (), "an open state waits for no person")
        if timed is None:
            yield Violation("no_deadline", at, None, (), "an open state has no deadline")
        elif timed.guards and not any(_decides(rule) for rule in leaving):
            yield Violation(
                "deadline_stops", at, timed.event, (), f"{timed.event} can be stopped and no staff could decide"
            )


def _sorted(balances: Balances) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((str(pot), amount) for pot, amount in balances.items()))
