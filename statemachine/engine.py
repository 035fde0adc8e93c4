"""Moves subjects (orders, goods: rows of the database) from phase to phase, as their spec allows.

Underneath is the library `transitions`, with one machine for each spec and no model attached to it. So loading an order
costs nothing, and threads share the machine safely: firing an event writes to nothing but the subject, and there only
to `subject.phase`. Money, history and jobs are the caller's, who finds them in the returned `Step` and does them in the
same database transaction.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

import transitions

from statemachine.errors import Forbidden, GuardFailed, IllegalTransition, TransitionRefused, UnknownTerm
from statemachine.spec import Deadline, E, F, Guard, Move, P, Rule, Spec, State
from statemachine.texts import Reason

# The library logs each part of each transition at INFO and DEBUG, which costs ten times as much as the transition.
logging.getLogger("transitions").setLevel(logging.WARNING)

S = TypeVar("S")


class Subject(Protocol[S]):
    """Anything that has a phase, such as a row of `orders`. Setting `phase` writes all columns that hold it."""

    @property
    def phase(self) -> S: ...

    @phase.setter
    def phase(self, value: S) -> None: ...


@dataclass(frozen=True)
class Step(Generic[P, E, F]):
    """What happened, and what the caller has to do now: book `moves`, fire `good_event` on the good.

    He also has to set the deadline; that depends on the facts after the step, see `statemachine.timers`.
    """

    event: E
    role: str
    source: P
    target: P
    moves: tuple[Move, ...]
    good_event: StrEnum | None
    rule: Rule[P, E, F]


class Flow(Generic[P, E, F]):
    """Drives any number of subjects through one spec. Holds no subject itself; one instance serves all threads.

    Building one costs a few milliseconds: each machine's file does it once, at import.
    """

    def __init__(self, spec: Spec[P, E, F]) -> None:
        self.spec = spec
        self.machine = _machine(spec)
        self._rules = {(rule.source, str(rule.event), role): rule for rule in spec.rules for role in rule.by}
        self._doers: dict[tuple[P, str], tuple[str, ...]] = {}
        self._open_to: dict[tuple[P, str], tuple[Rule[P, E, F], ...]] = {}
        for (source, event, role), rule in self._rules.items():
            self._doers[source, event] = (*self._doers.get((source, event), ()), role)
            self._open_to[source, role] = (*self._open_to.get((source, role), ()), rule)
        self._events_open_to = {at: tuple(rule.event for rule in rules) for at, rules in self._open_to.items()}
        self._timed = {rule.source: rule for rule in spec.rules if rule.deadline}

    @property
    def phases(self) -> tuple[P, ...]:
        """Every legal phase, in the order of the spec."""
        return tuple(state.phase for state in self.spec.states)

    def is_open(self, phase: P) -> bool:
        """Whether anything can still happen at `phase`. Raises `UnknownTerm` for a phase that does not exist."""
        return not self.spec.state(phase).closed

    def allowed(self, phase: P, role: str, facts: F | None = None) -> tuple[E, ...]:
        """The events that `role` may fire at `phase`: the buttons to show.

        With `facts`, an event is left out if a guard on the subject fails. Guards on what the actor hands in (a reason,
        a code) hide nothing, since that comes with the command. Raises `UnknownTerm` for an unknown phase or role.
        """
        self._check_terms(phase, role)
        if facts is None:
            return self._events_open_to.get((phase, role), ())
        return tuple(
            rule.event
            for rule in self._open_to.get((phase, role), ())
            if all(guard.on_input or guard.test(facts) for guard in rule.guards)
        )

    def why_not(self, phase: P, event: str, role: str, facts: F | None = None) -> tuple[Reason, ...]:
        """Why `fire` would refuse; empty where it would not. Without `facts` guards are ignored.

        Raises `UnknownTerm` for an unknown phase, event or role.
        """
        try:
            rule = self._rule(phase, event, role)
        except TransitionRefused as refusal:
            return refusal.reasons
        return () if facts is None else _failing(rule.guards, facts)

    def deadline(self, phase: P, facts: F | None = None) -> Deadline[E] | None:
        """What the system will do at `phase` and after how long; None where it does nothing.

        With `facts` also None where a guard stops the deadline (a disputed refund waits for staff). When exactly the
        deadline is, after a step, `statemachine.timers` says. Raises `UnknownTerm` for a phase that does not exist.
        """
        self.spec.state(phase)
        rule = self._timed.get(phase)
        if rule is None or (facts is not None and _failing(rule.guards, facts)):
            return None
        return rule.deadline

    def fire(self, subject: Subject[P], event: E, role: str, facts: F | None = None) -> Step[P, E, F]:
        """Let `role` do `event`: sets `subject.phase` and returns what the caller has to do.

        Raises `IllegalTransition`, `Forbidden` or `GuardFailed` (all `TransitionRefused`); `UnknownTerm` for a phase,
        event or role that does not exist; TypeError where the rule has guards and no facts were given, because
        guessing them could allow what must not be. `subject.phase` is then as it was.
        """
        source = subject.phase
        rule = self._rule(source, event, role)
        if rule.guards and facts is None:
            guards = ", ".join(guard.code for guard in rule.guards)
            raise TypeError(
                f"{event} from {self.spec.state(source).key} by {role} is guarded ({guards}): give the facts"
            )
        if not self.machine.events[rule.event].trigger(subject, rule=rule, facts=facts):
            raise self._guard_failed(rule, role, facts)
        return Step(
            event=rule.event,
            role=role,
            source=rule.source,
            target=rule.target,
            moves=rule.moves,
            good_event=rule.good_event,
            rule=rule,
        )

    def _check_terms(self, phase: P, role: str) -> State[P]:
        if role not in self.spec.roles:
            raise UnknownTerm(f"{self.spec.name} has no role {role!r}")
        return self.spec.state(phase)

    def _rule(self, phase: P, event: str, role: str) -> Rule[P, E, F]:
        rule = self._rules.get((phase, event, role))
        if rule is not None:
            return rule
        state = self._check_terms(phase, role)
        what = next((text for known, text in self.spec.events.items() if known == event), None)
        if what is None:
            raise UnknownTerm(f"{self.spec.name} has no event {event!r}")
        allowed = self._events_open_to.get((phase, role), ())
        doers = [self.spec.roles[doer] for doer in self._doers.get((phase, event), ())]
        if doers:
            reason = Reason(
                "forbidden",
                f"只有{'、'.join(doer.zh for doer in doers)}可以{what.zh}",
                f"only the {' or the '.join(doer.en for doer in doers)} may {what.en} here",
            )
            raise Forbidden(event=event, phase=phase, role=role, allowed=allowed, reasons=(reason,))
        noun = self.spec.noun
        reason = Reason(
            "illegal_transition",
            f"{noun.zh}当前为“{state.meaning.zh}”,不能{what.zh}",
            f"cannot {what.en} while the {noun.en} is “{state.meaning.en}”",
        )
        raise IllegalTransition(event=event, phase=phase, role=role, allowed=allowed, reasons=(reason,))

    def _guard_failed(self, rule: Rule[P, E, F], role: str, facts: Any) -> GuardFailed:
        return GuardFailed(
            event=rule.event,
            phase=rule.source,
            role=role,
            allowed=self._events_open_to[rule.source, role],
            reasons=_failing(rule.guards, facts),
        )


def _failing(guards: Iterable[Guard[F]], facts: F) -> tuple[Reason, ...]:
    return tuple(guard.reason for guard in guards if not guard.test(facts))


class _PhaseState(transitions.State):
    """A state that is named by its key and sets the subject's phase."""

    def __init__(self, key: str, phase: Any) -> None:
        super().__init__(key)
        self._phase = phase

    @property
    def value(self) -> Any:
        return self._phase


class _PhaseMachine(transitions.Machine):
    """Finds a state by its phase as well as by its key, so that subjects carry phases and never names of states."""

    def __init__(self, keys: dict[Any, str], **options: Any) -> None:
        self._keys = keys
        super().__init__(**options)

    def get_state(self, state: Any) -> transitions.State:
        return super().get_state(self._keys.get(state, state))


def _machine(spec: Spec[P, E, F]) -> transitions.Machine:
    keys = {state.phase: state.key for state in spec.states}
    return _PhaseMachine(
        keys,
        model=None,
        states=[_PhaseState(state.key, state.phase) for state in spec.states],
        initial=None,
        transitions=[
            {
                "trigger": str(rule.event),
                "source": keys[rule.source],
                "dest": keys[rule.target],
                "conditions": [_is_chosen(rule), *(_holds(guard) for guard in rule.guards)],
            }
            for rule in spec.rules
        ],
        # It would add a jump from anywhere to anywhere.
        auto_transitions=False,
        send_event=True,
        model_attribute="phase",
    )


def _is_chosen(rule: Rule[P, E, F]) -> Any:
    """The condition that tells apart rules which share event and source and differ in role."""
    return lambda event_data: event_data.kwargs["rule"] is rule


def _holds(guard: Guard[F]) -> Any:
    # `transitions` compares the answer with True; a truthy object would count as a refusal without a reason.
    return lambda event_data: bool(guard.test(event_data.kwargs["facts"]))
