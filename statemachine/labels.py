"""Texts that several machines share, or that are made of several of a spec's own texts."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final

from statemachine.spec import E, F, P, Reminder, Spec, TimerEffect
from statemachine.texts import Lang, Text

_TIMER_EFFECTS: Final[Mapping[TimerEffect, Text]] = {
    TimerEffect.START: Text("重新计时", "starts anew"),
    TimerEffect.PAUSE: Text("暂停", "pauses"),
    TimerEffect.RESUME: Text("继续", "goes on"),
    TimerEffect.EXTEND: Text("延长", "gets its time once more"),
    TimerEffect.KEEP: Text("不变", "unchanged"),
}

_UNITS: Final = (
    (timedelta(days=1), 3, "天", "d"),
    (timedelta(hours=1), 1, "小时", "h"),
    (timedelta(minutes=1), 1, "分钟", "min"),
)
"""A unit, from how many of it on it is used, and its name: two days read better as 48 hours."""


def good_event_text(spec: Spec[P, E, F], good_event: StrEnum | None, lang: Lang = "zh") -> str:
    """What a step of `spec` does to its good: 被拍下. Empty where it does nothing."""
    if good_event is None or spec.linked is None:
        return ""
    text: Text = spec.linked.events[good_event]
    return text.to(lang)


def timer_effect_text(effect: TimerEffect, lang: Lang = "zh") -> str:
    """What a step does to the timers: 暂停."""
    return _TIMER_EFFECTS[effect].to(lang)


def reminder_text(spec: Spec[P, E, F], reminder: Reminder, lang: Lang = "zh") -> str:
    """Who is reminded of a deadline of `spec`, and when: 提前 1 天提醒买家."""
    role, before = spec.roles[reminder.role].to(lang), duration_text(reminder.default, lang)
    return f"提前 {before}提醒{role}" if lang == "zh" else f"the {role} is told {before} before"


def duration_text(duration: timedelta, lang: Lang = "zh") -> str:
    """A whole number of the largest unit that fits: 30 分钟, 48 小时, 7 天; seconds where none does."""
    for unit, least, zh, en in _UNITS:
        count, rest = divmod(duration, unit)
        if not rest and count >= least:
            return f"{count} {zh if lang == 'zh' else en}"
    return f"{duration.total_seconds():g} {'秒' if lang == 'zh' else 's'}"
