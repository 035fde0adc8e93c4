"""What can be proved about a machine by walking through all of it.

`explore` drives a spec through every world it can come to, with the money that its rules move, surroundings that may
act at any time (a seller who spends all he may) and a companion machine (the good), and reports whatever must never be:
an exit that cannot be paid, money left behind, money made or lost, an open state that waits for nobody.

There are two walks. Without facts guards are left aside, so every way that some facts would open is taken: what is safe
here is safe under all facts. With facts a step is taken only where its guards hold, and each step changes the facts:
what is possible here, an end above all, is possible with the guards too.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Generic

from statemachine.good import GOOD, GoodEvent, GoodFacts, GoodPhase, GoodStatus, TradeMode
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
from statemachine.spec import STAFF, SYSTEM, Clock, E, F, P, Rule, Spec, reach, show, trapped

Purse = Mapping[str, int]
"""How many times an order's amount lies in each pot."""
Environment = Callable[[Purse], Purse | None]
"""Something beside the machine that may move money at any time; None where it has nothing to do."""

SPENT: Final = "spent"
"""The pot for what has left the house."""
_MOST_WORLDS: Final = 5_000
"""A walk that comes to more has facts that grow without end."""


def reachable(spec: Spec[P, E, F], phase: P | None = None) -> tuple[P, ...]:
    """The phases that can be reached from ``phase`` (the start where none is given), itself included, in spec order."""
    found = reach(spec.start if phase is None else spec.state(phase).phase, spec.rules)
    return tuple(state.phase for state in spec.states if state.phase in found)


def traps(spec: Spec[P, E, F]) -> tuple[P, ...]:
    """The open phases from which no closed one can be reached. Always empty for a spec that could be built."""
    return tuple(state.phase for state in trapped(spec.states, spec.rules))


def waits_on(spec: Spec[P, E, F], phase: P) -> tuple[str, ...]:
    """Whom a subject at ``phase`` waits for: the roles other than the system that may lead it on, in spec order."""
    spec.state(phase)
    may = {role for rule in spec.rules_from(phase) if rule.target != phase for role in rule.by} - {SYSTEM}
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
class Facts(Generic[E, F]):
    """The facts that a subject may begin with, and what each event makes of them."""

    begin: tuple[F, ...]
    after: Callable[[E, F], F]


THE_FACTS: Final = Facts[OrderEvent, OrderFacts](
    begin=tuple(
        OrderFacts(
            trade_mode=mode, refund_count=0, disputed=False, extended=False, has_reason=True, handover_code_ok=True
        )
        for mode in (TradeMode.COURIER, TradeMode.FACE_TO_FACE)
    ),
    after=facts_after,
)
"""The facts of an order. Whoever acts hands in what is asked of him: a reason, the right code."""


@dataclass(frozen=True)
class World(Generic[P, F]):
    """One combination that comes about.

    The phase, the money (pot and amount, sorted), the companion's phase, the facts if any are walked, and the phase
    whose clock is paused, if one is.
    """

    phase: P
    money: tuple[tuple[str, int], ...]
    companion: GoodPhase | None = None
    facts: F | None = None
    paused: P | None = None


@dataclass(frozen=True)
class Claim(Generic[P, E, F]):
    """Something about one machine that must hold after every step.

    ``test`` gets the world before, the rule that led on (None where it was the surroundings) and the world after.
    """

    code: str
    text: str
    test: Callable[[World[P, F], Rule[P, E, F] | None, World[P, F]], bool]


OrderWorld = World[OrderPhase, OrderFacts]

_POTS_OF_BILL: Final[Mapping[tuple[int, bool], frozenset[str]]] = {
    (BillStatus.UNPAID, False): frozenset({Pot.GATEWAY}),
    (BillStatus.UNPAID, True): frozenset({Pot.GATEWAY}),
    (BillStatus.PAID, False): frozenset({Pot.ESCROW}),
    (BillStatus.SELLER_PAID, False): frozenset({Pot.SELLER_HELD}),
    (BillStatus.SELLER_PAID, True): frozenset({Pot.SELLER_AVAILABLE, SPENT}),
    (BillStatus.REFUND_REQUESTED, False): frozenset({Pot.ESCROW}),
    (BillStatus.REFUNDED, True): frozenset({Pot.GATEWAY}),
}
_WAY_OF_GOODS: Final = frozenset(
    {
        (OrderStatus.UNSHIPPED, OrderStatus.SHIPPED, BillStatus.PAID),
        (OrderStatus.UNSHIPPED, OrderStatus.RECEIVED, BillStatus.SELLER_PAID),  # handed over
        (OrderStatus.SHIPPED, OrderStatus.RECEIVED, BillStatus.SELLER_PAID),
        (OrderStatus.RECEIVED, OrderStatus.RETURNED, BillStatus.REFUND_REQUESTED),
        (OrderStatus.RETURNED, OrderStatus.RETURN_RECEIVED, BillStatus.REFUNDED),
    }
)
"""From where to where goods move, and at which bill; everything else leaves them where they are."""
_CONCESSIONS: Final[Mapping[str, frozenset[int]]] = {
    Role.STAFF: frozenset(BillStatus),
    Role.BUYER: frozenset({BillStatus.PAID, BillStatus.SELLER_PAID}),
    Role.SELLER: frozenset({BillStatus.REFUNDED}),
}
"""While an order is disputed: which bills a role may bring it to. Staff decide; a side may only give in."""


def _money_is_where_the_bill_says(_before: OrderWorld, _rule: OrderRule | None, after: OrderWorld) -> bool:
    return _lies_in(after) <= _POTS_OF_BILL.get((after.phase.bill, after.phase.closed), frozenset())


def _refund_is_called_one(before: OrderWorld, _rule: OrderRule | None, after: OrderWorld) -> bool:
    returned = _lies_in(before) == {Pot.ESCROW} and _lies_in(after) == {Pot.GATEWAY}
    return returned == (after.phase.bill == BillStatus.REFUNDED)


def _goods_go_their_way(before: OrderWorld, _rule: OrderRule | None, after: OrderWorld) -> bool:
    goods = before.phase.goods, after.phase.goods
    return goods[0] == goods[1] or (*goods, after.phase.bill) in _WAY_OF_GOODS


def _good_is_what_the_goods_say(_before: OrderWorld, _rule: OrderRule | None, after: OrderWorld) -> bool:
    if after.companion is None or after.phase.goods >= OrderStatus.RECEIVED:
        return after.companion in (None, GoodPhase(GoodStatus.SOLD))
    if not after.phase.closed:
        return after.companion == GoodPhase(GoodStatus.IN_TRADE)
    # What was never shipped is on sale again; what was on its way is the buyer's or lost.
    unshipped = after.phase.goods == OrderStatus.UNSHIPPED
    return after.companion == GoodPhase(GoodStatus.PUBLISHED if unshipped else GoodStatus.SOLD)


def _disputes_wait_for_staff(before: OrderWorld, rule: OrderRule | None, after: OrderWorld) -> bool:
    if rule is None or before.facts is None or not before.facts.disputed:
        return True
    return all(after.phase.bill in _CONCESSIONS.get(role, frozenset()) for role in rule.by)


def _lies_in(world: OrderWorld) -> set[str]:
    return {pot for pot, amount in world.money if amount}


THE_CLAIMS: Final[tuple[Claim[OrderPhase, OrderEvent, OrderFacts], ...]] = (
    Claim("money_elsewhere", "the money does not lie where the bill says", _money_is_where_the_bill_says),
    Claim("refund_unsaid", "the bill and the money differ on whether this pays back", _refund_is_called_one),
    Claim("goods_astray", "no goods move like this", _goods_go_their_way),
    Claim("good_elsewhere", "the good is not in the status that the order says", _good_is_what_the_goods_say),
    Claim("dispute_ignored", "a disputed order waits for staff, or for a side that gives in", _disputes_wait_for_staff),
)
"""What the design says of orders beyond what every machine must keep to."""


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
class Exploration(Generic[P, F]):
    """Every world visited, nearest first, how many steps were tried, and what was wrong."""

    worlds: tuple[World[P, F], ...]
    fires: int
    violations: tuple[Violation, ...]


def explore(
    spec: Spec[P, E, F],
    *,
    environment: Mapping[str, Environment] | None = None,
    companion: Companion | None = None,
    facts: Facts[E, F] | None = None,
    claims: Sequence[Claim[P, E, F]] = (),
) -> Exploration[P, F]:
    """Walk through every world of ``spec`` and report all violations.

    ``environment`` names what may happen beside the machine, between any two steps; ``companion`` goes along; with
    ``facts`` the guards are obeyed; ``claims`` are checked after each step. The codes of violations:

    - ``unfunded``: a rule takes money from an empty pot (the walk does not take that step);
    - ``stranded``: closed, with money in a pot that is not final;
    - ``not_conserved``: the sum over all pots changed;
    - ``companion_refused``, ``companion_held``: the good cannot follow, or a closed order leaves it in trade;
    - ``no_deadline``, ``nobody``: an open state without a clock, or one that waits for no person;
    - ``clock_stops``: a guard can stop the clock, and no staff could decide then;
    - ``not_paused``, ``time_lost``: a clock is resumed that nothing paused, or a paused one starts anew;
    - ``trap``: from an open world no way leads to a closed one;
    - ``endless``: the facts grow without end, so the walk was given up;
    - and the code of each claim that fails.
    """
    return _Walk(spec, environment or {}, companion, facts, claims).run()


@dataclass
class _Walk(Generic[P, E, F]):
    spec: Spec[P, E, F]
    environment: Mapping[str, Environment]
    companion: Companion | None
    facts: Facts[E, F] | None
    claims: Sequence[Claim[P, E, F]]
    paths: dict[World[P, F], tuple[str, ...]] = field(default_factory=dict)
    came_from: dict[World[P, F], list[World[P, F]]] = field(default_factory=dict)
    todo: deque[World[P, F]] = field(default_factory=deque)
    found: list[Violation] = field(default_factory=list)
    fires: int = 0

    def run(self) -> Exploration[P, F]:
        self.found.extend(_waiting_violations(self.spec))
        creation = self.spec.creation
        purse = {pot: int(index == 0) for index, pot in enumerate(self.spec.pots)}
        for facts in self.facts.begin if self.facts else (None,):
            begin = World(self.spec.start, _money(purse), self.companion.start if self.companion else None, facts)
            held = self._follow(begin, creation.name, creation.good_event)
            self._visit(replace(begin, companion=held), ())
        while self.todo and len(self.paths) <= _MOST_WORLDS:
            world = self.todo.popleft()
            for rule in self.spec.rules_from(world.phase):
                if _opens(rule, world):
                    self._fire(world, rule)
            for name, act in self.environment.items():
                self._act(world, name, act)
        if self.todo:
            self._report("endless", self.todo[0], None, f"more than {_MOST_WORLDS} worlds, and no end")
        else:
            self._report_traps()
        return Exploration(tuple(self.paths), self.fires, tuple(self.found))

    def _arrive(self, before: World[P, F], event: str, rule: Rule[P, E, F] | None, world: World[P, F]) -> None:
        for claim in self.claims:
            if not claim.test(before, rule, world):
                self._report(claim.code, before, event, f"{event} leads to {show(world.phase)}: {claim.text}")
        self.came_from.setdefault(world, []).append(before)
        if world not in self.paths:
            self._visit(world, (*self.paths[before], event))

    def _visit(self, world: World[P, F], path: tuple[str, ...]) -> None:
        self.paths[world] = path
        self.todo.append(world)
        if self.spec.state(world.phase).closed:
            self._check_end(world)
        elif self.facts:
            self._check_waiting(world)

    def _check_end(self, world: World[P, F]) -> None:
        for pot, amount in world.money:
            if amount and pot in self.spec.pots and pot not in self.spec.final_pots:
                self._report("stranded", world, None, f"the order is closed with money in {pot}")
        if self.companion and world.companion in self.companion.held:
            self._report("companion_held", world, None, "the order is closed and its good still held")

    def _check_waiting(self, world: World[P, F]) -> None:
        leaving = self.spec.rules_from(world.phase)
        stopped = next((rule for rule in leaving if rule.deadline and not _opens(rule, world)), None)
        if stopped and not any(_decides(rule) and _opens(rule, world) for rule in leaving):
            self._report("clock_stops", world, stopped.event, f"{stopped.event} is stopped and no staff can decide")

    def _fire(self, world: World[P, F], rule: Rule[P, E, F]) -> None:
        self.fires += 1
        purse = dict(world.money)
        for move in rule.moves:
            if not purse[move.source]:
                self._report("unfunded", world, rule.event, f"{rule.event} takes from {move.source}, which is empty")
                return
            purse[move.source] -= 1
            purse[move.target] += 1
        companion = self._follow(world, rule.event, rule.good_event)
        facts = self.facts.after(rule.event, world.facts) if self.facts and world.facts is not None else None
        paused = self._clock(world, rule)
        self._arrive(world, rule.event, rule, World(rule.target, _money(purse), companion, facts, paused))

    def _clock(self, world: World[P, F], rule: Rule[P, E, F]) -> P | None:
        """The phase whose clock is paused after ``rule``: what `statemachine.clock` keeps, and for whom."""
        if rule.clock is Clock.RESUME and world.paused != rule.target:
            self._report("not_paused", world, rule.event, f"{rule.event} resumes a clock that nothing paused")
        if rule.clock in (Clock.START, Clock.PAUSE) and world.paused == rule.target:
            self._report("time_lost", world, rule.event, f"{rule.event} starts anew a clock that was paused")
        resumable = any(onward.clock is Clock.RESUME for onward in self.spec.rules_from(rule.target))
        if not resumable:
            return None
        return rule.source if rule.clock is Clock.PAUSE else world.paused

    def _act(self, world: World[P, F], name: str, act: Environment) -> None:
        self.fires += 1
        before = dict(world.money)
        after = act(before)
        if after is None:
            return
        if sum(after.values()) != sum(before.values()):
            self._report(
                "not_conserved", world, name, f"{name} turns {sum(before.values())} into {sum(after.values())}"
            )
            return
        self._arrive(world, name, None, replace(world, money=_money(after)))

    def _follow(self, world: World[P, F], event: str, good_event: GoodEvent | None) -> GoodPhase | None:
        if self.companion is None or world.companion is None or good_event is None:
            return world.companion
        target = self.companion.follow(world.companion, good_event)
        if target is None:
            at = self.companion.spec.state(world.companion).key
            self._report(
                "companion_refused", world, event, f"{event} asks for {good_event}, which the good at {at} refuses"
            )
            return world.companion
        return target

    def _report_traps(self) -> None:
        ending = {world for world in self.paths if self.spec.state(world.phase).closed}
        todo = list(ending)
        while todo:
            fresh = set(self.came_from.get(todo.pop(), ())) - ending
            ending |= fresh
            todo.extend(fresh)
        for world in self.paths:
            if world not in ending:
                self._report("trap", world, None, "no way leads from here to a closed state")

    def _report(self, code: str, world: World[P, F], event: str | None, text: str) -> None:
        violation = Violation(code, show(world.phase), event, self.paths.get(world, ()), text)
        if violation not in self.found:
            self.found.append(violation)


def _opens(rule: Rule[P, E, F], world: World[P, F]) -> bool:
    """Whether the world's facts let ``rule`` happen; without facts everything may."""
    facts = world.facts
    return facts is None or all(guard.test(facts) for guard in rule.guards)


def _decides(rule: Rule[P, E, F]) -> bool:
    return STAFF in rule.by and rule.target != rule.source


def _waiting_violations(spec: Spec[P, E, F]) -> Iterator[Violation]:
    for state in spec.states:
        if state.closed or state.timeless:
            continue
        at, persons = show(state.phase), waits_on(spec, state.phase)
        leaving = spec.rules_from(state.phase)
        clock = next((rule for rule in leaving if rule.deadline), None)
        if not persons:
            yield Violation("nobody", at, None, (), "an open state waits for no person")
        if clock is None:
            yield Violation("no_deadline", at, None, (), "an open state has no deadline")
        elif clock.guards and not any(_decides(rule) for rule in leaving):
            yield Violation(
                "clock_stops", at, clock.event, (), f"{clock.event} can be stopped and no staff could decide"
            )


def _money(purse: Purse) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((str(pot), amount) for pot, amount in purse.items()))
