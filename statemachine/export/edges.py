"""What all pictures share: the rules between two states, gathered into one labelled arrow."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic

from statemachine.labels import duration_text
from statemachine.spec import E, F, P, Rule, Spec, State
from statemachine.texts import Lang


@dataclass(frozen=True, slots=True)
class Doer:
    """A role in a label: its code, and its text with the time after which the system acts."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """One event on an arrow: its text, with the condition that pictures mention, and who does it."""

    event: str
    doers: tuple[Doer, ...]

    def text(self, lang: Lang) -> str:
        """The line as plain text: ``取消订单 · 买家、卖家``."""
        return f"{self.event} · {joined((doer.text for doer in self.doers), lang)}"


@dataclass(frozen=True)
class Edge(Generic[P]):
    """One arrow. There is at most one from a state to another, with a line for each event."""

    source: State[P]
    target: State[P]
    lines: tuple[Line, ...]


def edges(spec: Spec[P, E, F], lang: Lang) -> tuple[Edge[P], ...]:
    """The arrows of ``spec``, in the order of its rules."""
    arrows: dict[tuple[P, P], dict[str, tuple[Doer, ...]]] = {}
    for rule in spec.rules:
        lines = arrows.setdefault((rule.source, rule.target), {})
        what = _event(spec, rule, lang)
        lines[what] = (*lines.get(what, ()), *_doers(spec, rule, lang))
    return tuple(
        Edge(spec.state(source), spec.state(target), tuple(Line(event, doers) for event, doers in lines.items()))
        for (source, target), lines in arrows.items()
    )


def label(state: State[P], lang: Lang) -> tuple[str, ...]:
    """The lines of a state's label, and its meaning as one more where no line says it already."""
    lines = tuple(line.to(lang) for line in state.lines)
    meaning = state.meaning.to(lang)
    return lines if any(meaning in line for line in lines) else (*lines, f"({meaning})")


def creation(spec: Spec[P, E, F], lang: Lang) -> Line:
    """The line on the arrow that leads into the start."""
    by = spec.creation.by
    return Line(spec.creation.text.to(lang), (Doer(str(by), spec.roles[by].to(lang)),))


def joined(parts: Iterable[str], lang: Lang) -> str:
    """An enumeration as the language writes it."""
    return ("、" if lang == "zh" else ", ").join(parts)


def _event(spec: Spec[P, E, F], rule: Rule[P, E, F], lang: Lang) -> str:
    drawn = tuple(guard.condition.to(lang) for guard in rule.guards if guard.drawn)
    return spec.events[rule.event].to(lang) + (f" [{joined(drawn, lang)}]" if drawn else "")


def _doers(spec: Spec[P, E, F], rule: Rule[P, E, F], lang: Lang) -> tuple[Doer, ...]:
    after = f" {duration_text(rule.deadline.default, lang)}" if rule.deadline else ""
    return tuple(Doer(str(role), spec.roles[role].to(lang) + after) for role in rule.by)
