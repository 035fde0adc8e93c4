"""What a step does to the timers of an order: pure arithmetic over the spec. The current time is handed in.

The application stores the three values of `Timers` beside the phase and hands them in again at the next step.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from statemachine.engine import Flow, Step
from statemachine.spec import Deadline, E, F, P, TimerEffect

Durations = Mapping[str, timedelta]
"""How long the setting of a `Deadline` or `Reminder` says, by its name; one that is not named has its default."""


@dataclass(frozen=True, slots=True)
class Timers:
    """When the system acts, when it reminds (both UTC), and what a paused deadline had left.

    Each is None where there is none.
    """

    deadline_at: datetime | None
    remind_at: datetime | None
    remaining: timedelta | None


def first_timers(flow: Flow[P, E, F], facts: F, *, now: datetime, durations: Durations) -> Timers:
    """The timers of a subject that was created at `now` (UTC)."""
    return _timers(flow.deadline(flow.spec.start, facts), durations, now=now, start=now, remaining=None)


def next_timers(
    flow: Flow[P, E, F], step: Step[P, E, F], facts: F, *, now: datetime, before: Timers, durations: Durations
) -> Timers:
    """The timers after `step`, which was fired at `now` (UTC), made of those `before` it.

    `facts` are those after the step (a dispute is then already raised), so they say whether the target's deadline
    runs. `TimerEffect` says what each effect does. A deadline that has passed has no time left, never less than none;
    one that is resumed though nothing was stored, or kept though none ran, gets its whole time. Stored time stays for
    as long as a rule that leaves the target could resume it. A reminder that would already be late is left out.
    """
    effect, remaining = step.rule.timer_effect, before.remaining
    deadline = flow.deadline(step.target, facts)
    if effect is TimerEffect.KEEP and deadline is not None and before.deadline_at is not None:
        return before
    if effect is TimerEffect.PAUSE:
        remaining = max(before.deadline_at - now, timedelta(0)) if before.deadline_at else None
    return _timers(
        deadline,
        durations,
        now=now,
        start=max(before.deadline_at or now, now) if effect is TimerEffect.EXTEND else now,
        length=remaining if effect is TimerEffect.RESUME else None,
        remaining=remaining if _resumable(flow, step.target) else None,
    )


def _resumable(flow: Flow[P, E, F], phase: P) -> bool:
    return any(rule.timer_effect is TimerEffect.RESUME for rule in flow.spec.rules_from(phase))


def _timers(
    deadline: Deadline[E] | None,
    durations: Durations,
    *,
    now: datetime,
    start: datetime,
    remaining: timedelta | None,
    length: timedelta | None = None,
) -> Timers:
    """The timers where `deadline` begins at `start` and lasts for `length`, or else for its whole time."""
    if deadline is None:
        return Timers(None, None, remaining)
    whole = durations.get(deadline.setting, deadline.default)
    deadline_at = start + (whole if length is None else length)
    remind_at = deadline_at - durations.get(deadline.reminder.setting, deadline.reminder.default)
    return Timers(deadline_at, remind_at if remind_at > now else None, remaining)
