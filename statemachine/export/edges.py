"""What all pictures have in common: the rules between two states are one arrow with a label."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Generic

from statemachine.labels import duration_text
from statemachine.path import Path, Trace
from statemachine.spec import E, F, P, Rule, Spec, State
from statemachine.texts import Lang, Text

NOW: Final = Text("现在", "now")
"""Marks the state in which the subject of a path is."""
_CIRCLED: Final = "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳"


@dataclass(frozen=True, slots=True)
class Doer:
    """A role in a label: its code, its text (with the time after which the system acts), the numbers of its steps."""

    role: str
    text: str
    ordinals: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One event on an arrow: its text, with the condition that pictures mention, and who does it."""

    event: str
    doers: tuple[Doer, ...]

    @property
    def ordinals(self) -> tuple[int, ...]:
        """Which steps of a path these were, first to last; empty where none was, or no path is drawn."""
        return tuple(sorted(ordinal for doer in self.doers for ordinal in doer.ordinals))

    @property
    def marks(self) -> str:
        """The ordinals as they stand before the text: `③⑦`."""
        return "".join(_CIRCLED[i - 1] if i <= len(_CIRCLED) else f"({i})" for i in self.ordinals)

    def text(self, lang: Lang) -> str:
        """The line as plain text: `取消订单 · 买家、卖家`; with a path `② 取消订单 · 买家、卖家`."""
        text = f"{self.event} · {joined((doer.text for doer in self.doers), lang)}"
        return f"{self.marks} {text}" if self.ordinals else text


@dataclass(frozen=True)
class Edge(Generic[P]):
    """One arrow. There is at most one from a state to another, with a line for each event."""

    source: State[P]
    target: State[P]
    lines: tuple[Line, ...]


def edges(spec: Spec[P, E, F], lang: Lang, trace: Trace[P] | None = None) -> tuple[Edge[P], ...]:
    """The arrows of `spec`, in the order of its rules, with the ordinals of a path where there is one."""
    arrows: dict[tuple[P, P], dict[str, tuple[Doer, ...]]] = {}
    for rule in spec.rules:
        lines = arrows.setdefault((rule.source, rule.target), {})
        what = _event(spec, rule, lang)
        lines[what] = (*lines.get(what, ()), *_doers(spec, rule, lang, trace))
    return tuple(
        Edge(spec.state(source), spec.state(target), tuple(Line(event, doers) for event, doers in lines.items()))
        for (source, target), lines in arrows.items()
    )


def label(state: State[P], lang: Lang) -> tuple[str, ...]:
    """The lines of a state's label, and its meaning as one more where no line says it already."""
    lines = tuple(line.to(lang) for line in state.lines)
    meaning = state.meaning.to(lang)
    return lines if any(meaning in line for line in lines) else (*lines, f"({meaning})")


def creation(spec: Spec[P, E, F], lang: Lang, trace: Trace[P] | None = None) -> Line:
    """The line on the arrow that leads into the start; it is the first step of every path."""
    by = spec.creation.by
    return Line(spec.creation.text.to(lang), (Doer(str(by), spec.roles[by].to(lang), (1,) if trace else ()),))


def joined(parts: Iterable[str], lang: Lang) -> str:
    """An enumeration as the language writes it."""
    return ("、" if lang == "zh" else ", ").join(parts)


def told(spec: Spec[P, E, F], lang: Lang, path: Path[P]) -> str:
    """A path in one sentence, for those who cannot see it: `1 下单 · 买家; 2 付款 · 支付网关; 现在: 已付款`."""
    texts = {str(event): text.to(lang) for event, text in spec.events.items()}
    texts[spec.creation.name] = spec.creation.text.to(lang)
    steps = [
        f"{ordinal} {texts[step.event]} · {spec.roles[step.role].to(lang)}"
        for ordinal, step in enumerate(path, start=1)
    ]
    return "; ".join([*steps, f"{NOW.to(lang)}: {spec.state(path[-1].target).meaning.to(lang)}"])


def _event(spec: Spec[P, E, F], rule: Rule[P, E, F], lang: Lang) -> str:
    drawn = tuple(guard.condition.to(lang) for guard in rule.guards if guard.drawn)
    return spec.events[rule.event].to(lang) + (f" [{joined(drawn, lang)}]" if drawn else "")


def _doers(spec: Spec[P, E, F], rule: Rule[P, E, F], lang: Lang, trace: Trace[P] | None) -> tuple[Doer, ...]:
    after = f" {duration_text(rule.deadline.default, lang)}" if rule.deadline else ""
    made = trace.ordinals if trace else {}
    return tuple(
        Doer(
            str(role),
            spec.roles[role].to(lang) + after,
            made.get((rule.source, str(rule.event), str(role), rule.target), ()),
        )
        for role in rule.by
    )
