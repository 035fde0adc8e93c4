"""The texts of both machines by code, for answers, buttons and pages. The texts themselves stand in the specs."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from statemachine.errors import UnknownTerm
from statemachine.good import GOOD, GoodPhase
from statemachine.order import ORDER, OrderPhase
from statemachine.spec import Deadline, Reminder, State, TimerEffect
from statemachine.texts import Lang, Text

_EVENTS: Final[Mapping[str, Text]] = {
    **{str(event): text for event, text in ORDER.events.items()},
    **{str(event): text for event, text in GOOD.events.items()},
}
_ROLES: Final[Mapping[str, Text]] = {**GOOD.roles, **ORDER.roles}
_CREATIONS: Final[Mapping[str, Text]] = {spec.creation.name: spec.creation.text for spec in (ORDER, GOOD)}
_POTS: Final[Mapping[str, Text]] = ORDER.pots

_TIMER_EFFECTS: Final[Mapping[TimerEffect, Text]] = {
    TimerEffect.START: Text("重新计时", "starts anew"),
    TimerEffect.PAUSE: Text("暂停", "pauses"),
    TimerEffect.RESUME: Text("继续", "goes on"),
    TimerEffect.EXTEND: Text("延长", "gets its time once more"),
}

_UNITS: Final = (
    (timedelta(days=1), 3, "天", "d"),
    (timedelta(hours=1), 1, "小时", "h"),
    (timedelta(minutes=1), 1, "分钟", "min"),
)
"""Unit, from how many of them on it is used, and its name: two days read better as 48 hours."""


def event_text(event: str, lang: Lang = "zh") -> str:
    """What an event is called on a button: ``ship`` is 发货. Raises `UnknownTerm`."""
    return _text(_EVENTS, event, "event", lang)


def creation_text(name: str, lang: Lang = "zh") -> str:
    """What brings an order or a good into being: ``buy`` is 下单. Raises `UnknownTerm`."""
    return _text(_CREATIONS, name, "creation", lang)


def role_text(role: str, lang: Lang = "zh") -> str:
    """Who a role is: ``buyer`` is 买家. Raises `UnknownTerm`."""
    return _text(_ROLES, role, "role", lang)


def pot_text(pot: str, lang: Lang = "zh") -> str:
    """Where money lies: ``escrow`` is 担保账户. Raises `UnknownTerm`."""
    return _text(_POTS, pot, "pot", lang)


def state_lines(phase: OrderPhase | GoodPhase, lang: Lang = "zh") -> tuple[str, ...]:
    """A state's label, line by line: ``2 买家已付款`` and ``6 卖家未发货``. Raises `UnknownTerm`."""
    return tuple(line.to(lang) for line in _state(phase).lines)


def state_text(phase: OrderPhase | GoodPhase, lang: Lang = "zh") -> str:
    """What a state means, in a few words. Raises `UnknownTerm`."""
    return _state(phase).meaning.to(lang)


def deadline_text(deadline: Deadline[Any], lang: Lang = "zh") -> str:
    """What stands beside the countdown: 买家付款截止."""
    return deadline.text.to(lang)


def timer_effect_text(effect: TimerEffect, lang: Lang = "zh") -> str:
    """What a step does to the timers: 暂停."""
    return _TIMER_EFFECTS[effect].to(lang)


def reminder_text(reminder: Reminder, lang: Lang = "zh") -> str:
    """Who is reminded of a deadline, and when: 提前 1 天提醒买家. Raises `UnknownTerm` for an unknown role."""
    role, before = role_text(reminder.role, lang), duration_text(reminder.default, lang)
    return f"提前 {before}提醒{role}" if lang == "zh" else f"the {role} is told {before} before"


def duration_text(duration: timedelta, lang: Lang = "zh") -> str:
    """A whole number of the largest unit that fits: 30 分钟, 48 小时, 7 天; seconds where none does."""
    for unit, least, zh, en in _UNITS:
        count, rest = divmod(duration, unit)
        if not rest and count >= least:
            return f"{count} {zh if lang == 'zh' else en}"
    return f"{duration.total_seconds():g} {'秒' if lang == 'zh' else 's'}"


def _text(table: Mapping[str, Text], code: str, kind: str, lang: Lang) -> str:
    try:
        return table[code].to(lang)
    except KeyError:
        raise UnknownTerm(f"no {kind} {code!r}") from None


def _state(phase: OrderPhase | GoodPhase) -> State[Any]:
    return GOOD.state(phase) if isinstance(phase, GoodPhase) else ORDER.state(phase)
