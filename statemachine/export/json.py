"""A machine as JSON, for programs in other languages: all that its spec says, but for the code of its guards."""

import json
from collections.abc import Mapping
from typing import Any

from statemachine.spec import Deadline, E, F, Guard, P, Reminder, Rule, Spec, State
from statemachine.texts import Lang, Text


def render(spec: Spec[P, E, F], lang: Lang) -> str:
    """`spec` as a JSON object with texts in `lang`; states are named by key, durations are whole seconds."""
    creation = spec.creation
    document = {
        "name": spec.name,
        "start": spec.state(spec.start).key,
        "creation": {
            "name": creation.name,
            "by": creation.by,
            "text": creation.text.to(lang),
            "good_event": creation.good_event,
        },
        "states": [_state(state, lang) for state in spec.states],
        "events": _texts(spec.events, lang),
        "roles": _texts(spec.roles, lang),
        "pots": _texts(spec.pots, lang),
        "final_pots": sorted(spec.final_pots),
        "rules": [_rule(spec, rule, lang) for rule in spec.rules],
    }
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _texts(table: Mapping[Any, Text], lang: Lang) -> dict[str, str]:
    return {str(code): text.to(lang) for code, text in table.items()}


def _state(state: State[P], lang: Lang) -> dict[str, object]:
    return {
        "key": state.key,
        "phase": state.phase,
        "lines": [line.to(lang) for line in state.lines],
        "meaning": state.meaning.to(lang),
        "closed": state.closed,
        "timeless": state.timeless,
    }


def _rule(spec: Spec[P, E, F], rule: Rule[P, E, F], lang: Lang) -> dict[str, object]:
    return {
        "event": rule.event,
        "by": rule.by,
        "source": spec.state(rule.source).key,
        "target": spec.state(rule.target).key,
        "moves": [{"from": move.source, "to": move.target} for move in rule.moves],
        "guards": [_guard(guard, lang) for guard in rule.guards],
        "deadline": _deadline(rule.deadline, lang) if rule.deadline else None,
        "good_event": rule.good_event,
        "clock": rule.timer_effect,
    }


def _guard(guard: Guard[F], lang: Lang) -> dict[str, object]:
    return {
        "code": guard.code,
        "condition": guard.condition.to(lang),
        "refusal": guard.refusal.to(lang),
        "on_input": guard.on_input,
    }


def _deadline(deadline: Deadline[E], lang: Lang) -> dict[str, object]:
    return {
        "setting": deadline.setting,
        "seconds": int(deadline.default.total_seconds()),
        "text": deadline.text.to(lang),
        "reminder": _reminder(deadline.reminder),
    }


def _reminder(reminder: Reminder) -> dict[str, object]:
    return {"role": reminder.role, "setting": reminder.setting, "seconds": int(reminder.default.total_seconds())}
