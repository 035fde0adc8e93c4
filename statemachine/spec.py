"""What a machine is: frozen values that say which states there are and who may do what, when, from where to where.

A `Spec` is checked while it is built. So one that exists has no mistyped target, no state that nobody can reach, and no
open state that nobody can leave. The library `transitions` accepts all of these, and fails when an order is in them.
"""

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from itertools import chain
from typing import Any, Final, Generic, TypeVar

from statemachine.errors import SpecError, UnknownTerm
from statemachine.texts import Reason, Text

P = TypeVar("P", bound=Hashable)
"""A phase: where a subject (an order, a good) stands, for example `statemachine.order.PAID`."""
E = TypeVar("E", bound=StrEnum)
"""The machine's events."""
F = TypeVar("F")
"""The facts that its guards look at."""
T = TypeVar("T", bound=Hashable)
K = TypeVar("K", str, tuple[str, ...])

SYSTEM: Final = "system"
"""The role that acts when a deadline passes."""
STAFF: Final = "staff"
"""The role that decides where the parties cannot."""


@dataclass(frozen=True)
class State(Generic[P]):
    """One state.

    `key` names it in text (`2,6` or `1,6,closed`), `lines` label it in diagrams, `meaning` says it in a few words.
    Nothing can happen in a `closed` state. In a `timeless` one a subject may stay for ever, so it needs no deadline.
    """

    phase: P
    key: str
    lines: tuple[Text, ...]
    meaning: Text
    closed: bool = False
    timeless: bool = False


@dataclass(frozen=True)
class Guard(Generic[F]):
    """A condition on a rule: `test` gets the facts and says whether it holds. It must be pure.

    `condition` is what has to hold, `refusal` what to tell whoever fails it. `on_input` marks a guard on what the actor
    hands in with the command (a reason, a code) rather than on the subject: it hides no button. `drawn` marks one that
    diagrams mention.
    """

    code: str
    condition: Text
    refusal: Text
    test: Callable[[F], bool]
    on_input: bool = False
    drawn: bool = False

    @property
    def reason(self) -> Reason:
        """The refusal as a reason."""
        return Reason(self.code, self.refusal.zh, self.refusal.en)


@dataclass(frozen=True, slots=True)
class Move:
    """The whole amount of the order goes from one pot to another. The machine only says so; `app.ledger` books it."""

    source: str
    target: str


@dataclass(frozen=True)
class Reminder:
    """`role` is told `default` before a deadline passes; `setting` names the application's setting for it."""

    role: str
    setting: str
    default: timedelta


@dataclass(frozen=True)
class Deadline(Generic[E]):
    """The system fires `event` once a subject has been in the rule's source for the time of `setting`.

    `setting` names the application's setting in lower case, `default` is its value where nobody sets it, `text`
    is what users read beside the countdown.
    """

    event: E
    setting: str
    default: timedelta
    text: Text
    reminder: Reminder


class TimerEffect(StrEnum):
    """What a step does to the timers of its subject: the deadline, and the reminder before it.

    - `START`: the target's deadline, if it has one that runs, starts with its whole time.
    - `PAUSE`: as `START`, and the time that the source's deadline had left is stored.
    - `RESUME`: the target's deadline starts with the time that was stored.
    - `EXTEND`: the deadline is put off by its whole time.
    - `KEEP`: deadline and reminder stay as they are.

    The last two are for steps that change no state.
    """

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    EXTEND = "extend"
    KEEP = "keep"


@dataclass(frozen=True)
class Rule(Generic[P, E, F]):
    """`event`, done by any role of `by`, leads from `source` to `target`.

    `moves` is the money that goes with it, `guards` are conditions beyond phase and role, `deadline` is the time after
    which the system does it by itself, `good_event` is what happens to the good in the same database transaction.

    `timers` is what becomes of the timers. Where it is None they start anew, as the target's deadline is another one.
    A rule whose target is its source changes a fact and no state; where that state has a deadline, the rule has to say
    what becomes of it, because starting anew by default would silently give somebody his whole time once more.
    """

    event: E
    by: tuple[str, ...]
    source: P
    target: P
    moves: tuple[Move, ...] = ()
    guards: tuple[Guard[F], ...] = ()
    deadline: Deadline[E] | None = None
    good_event: StrEnum | None = None
    timers: TimerEffect | None = None

    @property
    def timer_effect(self) -> TimerEffect:
        """What becomes of the timers, said or not."""
        return self.timers or TimerEffect.START


@dataclass(frozen=True, slots=True)
class Creation:
    """How a subject is created at the spec's start: no event, because there is nothing yet that could receive one."""

    name: str
    by: str
    text: Text
    good_event: StrEnum | None = None


@dataclass(frozen=True, kw_only=True)
class Spec(Generic[P, E, F]):
    """A whole machine as one value. Everything else (engine, diagrams, SQL check, texts) derives from it.

    `noun` is what a subject is called, `events` has the text of every member of the machine's enumeration of events,
    `roles` that of everybody who acts. `pots` are the places where a subject's money can lie; it starts in the first
    one and, once the subject is closed, may only be in `final_pots`. `linked` is the good's machine, where rules have a
    `good_event`; `columns` are the database columns that hold the parts of a phase.

    Building one raises `SpecError` naming every defect.
    """

    name: str
    noun: Text
    start: P
    creation: Creation
    states: tuple[State[P], ...]
    events: Mapping[E, Text]
    roles: Mapping[str, Text]
    rules: tuple[Rule[P, E, F], ...]
    pots: Mapping[str, Text] = field(default_factory=dict)
    final_pots: frozenset[str] = frozenset()
    linked: "Spec[Any, Any, Any] | None" = None
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        found = tuple(_defects(self))
        if found:
            raise SpecError(self.name, found)

    @cached_property
    def by_phase(self) -> Mapping[P, State[P]]:
        """The states by their phase."""
        return {state.phase: state for state in self.states}

    @cached_property
    def by_key(self) -> Mapping[str, State[P]]:
        """The states by their key."""
        return {state.key: state for state in self.states}

    def state(self, phase: P) -> State[P]:
        """The state at `phase`; raises `UnknownTerm` where the machine has none."""
        try:
            return self.by_phase[phase]
        except KeyError:
            raise UnknownTerm(f"{self.name} has no state {show(phase)}") from None

    @cached_property
    def _leaving(self) -> Mapping[P, tuple[Rule[P, E, F], ...]]:
        leaving: dict[P, tuple[Rule[P, E, F], ...]] = {}
        for rule in self.rules:
            leaving[rule.source] = (*leaving.get(rule.source, ()), rule)
        return leaving

    def rules_from(self, phase: P) -> tuple[Rule[P, E, F], ...]:
        """The rules that leave `phase`, in the order of the spec."""
        return self._leaving.get(phase, ())


def show(phase: object) -> str:
    """A phase for messages: `(2, 6, closed)`; one that is no tuple as its repr."""
    if not isinstance(phase, tuple):
        return repr(phase)
    flag = {True: "closed", False: "open"}
    return "(" + ", ".join(flag[part] if isinstance(part, bool) else str(part) for part in phase) + ")"


def check_total(table: str, given: Collection[K], wanted: Collection[K]) -> None:
    """Refuse a table beside a spec whose keys (events, or tuples of event and roles) are not the wanted ones.

    It stands below the table, at module level, so that an event which the table does not know stops the import.
    Raises `SpecError` that names `table` and each key that is missing or too many.
    """
    defects = (
        *(f"{_shown(key)} is missing" for key in sorted(wanted) if key not in given),
        *(f"{_shown(key)} is never looked up" for key in sorted(given) if key not in wanted),
    )
    if defects:
        raise SpecError(table, defects)


def _shown(key: str | tuple[str, ...]) -> str:
    return f"({', '.join(key)})" if isinstance(key, tuple) else str(key)


def reach(start: P, rules: Iterable[Rule[P, E, F]]) -> frozenset[P]:
    """The phases that `rules` lead to from `start`, itself included."""
    onward: dict[P, set[P]] = {}
    for rule in rules:
        onward.setdefault(rule.source, set()).add(rule.target)
    seen, todo = {start}, [start]
    while todo:
        fresh = onward.get(todo.pop(), set()) - seen
        seen |= fresh
        todo.extend(fresh)
    return frozenset(seen)


def trapped(states: Iterable[State[P]], rules: Iterable[Rule[P, E, F]]) -> tuple[State[P], ...]:
    """The open states from which no way leads to a closed one."""
    rules, states = tuple(rules), tuple(states)
    ends = {state.phase for state in states if state.closed}
    return tuple(state for state in states if not state.closed and not reach(state.phase, rules) & ends)


def _defects(spec: Spec[P, E, F]) -> Iterator[str]:
    yield from _term_defects(spec)
    yield from _event_defects(spec)
    known = {state.phase for state in spec.states}
    timed = {rule.source for rule in spec.rules if rule.deadline}
    resuming = {rule.source for rule in spec.rules if rule.timer_effect is TimerEffect.RESUME}
    for rule in spec.rules:
        at = f"{rule.event} from {show(rule.source)}"
        for defect in chain(
            _end_defects(rule, known),
            _doer_defects(spec, rule),
            _money_defects(spec, rule),
            _good_defects(spec, rule.good_event),
            _timer_defects(rule, timed, resuming),
            _deadline_defects(rule),
        ):
            yield f"{at} {defect}"
    reached = reach(spec.start, spec.rules)
    for state in spec.states:
        yield from _state_defects(spec, state, reached)
    for state in trapped(spec.states, spec.rules):
        yield f"open state {show(state.phase)} is a trap: no way leads from it to a closed one"


def _term_defects(spec: Spec[P, E, F]) -> Iterator[str]:
    if spec.start not in {state.phase for state in spec.states}:
        yield f"the start {show(spec.start)} is not a state"
    yield from (f"state {show(phase)} is declared twice" for phase in _repeated(state.phase for state in spec.states))
    yield from (f"state key {key!r} is used twice" for key in _repeated(state.key for state in spec.states))
    cells = _repeated((rule.event, rule.source, role) for rule in spec.rules for role in rule.by)
    yield from (f"{event} from {show(source)} by {role} has two rules" for event, source, role in cells)
    if spec.creation.by not in spec.roles:
        yield f"{spec.creation.name} by the unknown role {spec.creation.by!r}"
    yield from (f"{spec.creation.name} {defect}" for defect in _good_defects(spec, spec.creation.good_event))
    busy = {role for rule in spec.rules for role in rule.by} | {spec.creation.by}
    yield from (f"role {role} may do nothing" for role in spec.roles if role not in busy)
    yield from (f"final pot {pot!r} is not a pot" for pot in sorted(spec.final_pots - spec.pots.keys()))


def _event_defects(spec: Spec[P, E, F]) -> Iterator[str]:
    """Every member of the enumeration counts, listed in `events` or not."""
    members = [event for kind in dict.fromkeys(type(event) for event in spec.events) for event in kind]
    used = {rule.event for rule in spec.rules}
    yield from (f"event {event} has no text in events" for event in members if event not in spec.events)
    yield from (f"event {event} has no rule" for event in members if event not in used)


def _end_defects(rule: Rule[P, E, F], known: set[P]) -> Iterator[str]:
    if rule.source not in known:
        yield "leaves a state that does not exist"
    if rule.target not in known:
        yield f"leads to {show(rule.target)}, which does not exist"


def _doer_defects(spec: Spec[P, E, F], rule: Rule[P, E, F]) -> Iterator[str]:
    if rule.event not in spec.events:
        yield "is an unknown event"
    if not rule.by:
        yield "is done by nobody"
    yield from (f"is done by the unknown role {role!r}" for role in rule.by if role not in spec.roles)


def _money_defects(spec: Spec[P, E, F], rule: Rule[P, E, F]) -> Iterator[str]:
    pots = (pot for move in rule.moves for pot in (move.source, move.target))
    yield from (f"moves money through the unknown pot {pot!r}" for pot in pots if pot not in spec.pots)
    yield from (f"moves money from {move.source!r} to itself" for move in rule.moves if move.source == move.target)


def _good_defects(spec: Spec[P, E, F], good_event: StrEnum | None) -> Iterator[str]:
    if good_event is None:
        return
    if spec.linked is None:
        yield f"has the good event {good_event}, but no machine is linked"
    elif good_event not in spec.linked.events:
        yield f"has the good event {good_event}, which the {spec.linked.name} does not have"


def _timer_defects(rule: Rule[P, E, F], timed: set[P], resuming: set[P]) -> Iterator[str]:
    effect, stays = rule.timer_effect, rule.source == rule.target
    if rule.timers is None and stays and rule.source in timed:
        yield "changes no state and does not say what becomes of its timers"
    if effect in (TimerEffect.PAUSE, TimerEffect.EXTEND, TimerEffect.KEEP) and rule.source not in timed:
        yield f"is to {effect} a deadline that its source does not have"
    if effect is TimerEffect.PAUSE and rule.target not in resuming:
        yield "is to pause a deadline that no way out of its target resumes"
    if effect is TimerEffect.RESUME and rule.target not in timed:
        yield "is to resume a deadline that its target does not have"
    if effect in (TimerEffect.EXTEND, TimerEffect.KEEP) and not stays:
        yield f"is to {effect} a deadline that it leaves behind"


def _deadline_defects(rule: Rule[P, E, F]) -> Iterator[str]:
    deadline = rule.deadline
    if deadline is None:
        return
    if rule.by != (SYSTEM,):
        yield "has a deadline but is not the system's alone"
    if deadline.event != rule.event:
        yield f"has the deadline of {deadline.event}"
    if deadline.default <= timedelta(0):
        yield "has a deadline that has passed before it starts"
    if not timedelta(0) < deadline.reminder.default < deadline.default:
        yield "has a reminder outside its time"


def _state_defects(spec: Spec[P, E, F], state: State[P], reached: frozenset[P]) -> Iterator[str]:
    at, leaving = show(state.phase), spec.rules_from(state.phase)
    deadlines = [rule.event for rule in leaving if rule.deadline]
    staffed = any(STAFF in rule.by for rule in leaving)
    if state.phase not in reached:
        yield f"state {at} cannot be reached"
    if state.closed and leaving:
        yield f"closed state {at} has a way out: {', '.join(rule.event for rule in leaving)}"
    if len(deadlines) > 1:
        yield f"state {at} has {len(deadlines)} deadlines: {', '.join(deadlines)}"
    if not (deadlines or staffed or state.closed or state.timeless):
        yield f"open state {at} has neither a deadline nor staff who could decide"


def _repeated(things: Iterable[T]) -> list[T]:
    return [thing for thing, times in Counter(things).items() if times > 1]
