"""All rules of a machine as one Markdown table."""

from typing import Final

from statemachine.export.edges import joined
from statemachine.labels import duration_text, good_event_text, reminder_text, timer_effect_text
from statemachine.spec import E, F, P, Rule, Spec, TimerEffect
from statemachine.texts import Lang, Text

_HEAD: Final = (
    Text("事件", "event"),
    Text("代码", "code"),
    Text("由谁", "by"),
    Text("从", "from"),
    Text("到", "to"),
    Text("期限", "deadline"),
    Text("提醒", "reminder"),
    Text("时钟", "clock"),
    Text("条件", "condition"),
    Text("资金", "money"),
    Text("商品", "good"),
)


def render(spec: Spec[P, E, F], lang: Lang) -> str:
    """The rules of `spec`, one row each, its creation first. The clock is named where it does not just start anew."""
    creation = spec.creation
    first = (
        creation.text.to(lang),
        f"`{creation.name}`",
        spec.roles[creation.by].to(lang),
        "",
        f"({spec.state(spec.start).key})",
        "",
        "",
        "",
        "",
        "",
        good_event_text(spec, creation.good_event, lang),
    )
    rows = [tuple(title.to(lang) for title in _HEAD), ("---",) * len(_HEAD), first]
    rows += [_row(spec, rule, lang) for rule in spec.rules]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _row(spec: Spec[P, E, F], rule: Rule[P, E, F], lang: Lang) -> tuple[str, ...]:
    pots = [f"{spec.pots[move.source].to(lang)} → {spec.pots[move.target].to(lang)}" for move in rule.moves]
    return (
        spec.events[rule.event].to(lang),
        f"`{rule.event}`",
        joined((spec.roles[role].to(lang) for role in rule.by), lang),
        f"({spec.state(rule.source).key})",
        f"({spec.state(rule.target).key})",
        duration_text(rule.deadline.default, lang) if rule.deadline else "",
        reminder_text(spec, rule.deadline.reminder, lang) if rule.deadline else "",
        timer_effect_text(rule.timer_effect, lang) if rule.timer_effect is not TimerEffect.START else "",
        joined((guard.condition.to(lang) for guard in rule.guards), lang),
        joined(pots, lang),
        good_event_text(spec, rule.good_event, lang),
    )
