"""What a step does to a subject's deadline: pure arithmetic over the spec, no clock of its own.

The application keeps three values beside the phase, all in the `Clocking` that `next_deadline` answers, and hands the
last one back at the next step.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from statemachine.engine import Flow, Step
from statemachine.spec import Clock, Deadline, E, F, P

Durations = Mapping[str, timedelta]
"""How long a setting of `Deadline` or `Reminder` says, by its name; one that is not named has its default."""


@dataclass(frozen=True, slots=True)
class Clocking:
    """When the system acts, when it reminds, and what a paused clock has left; each None where there is none."""

    deadline_at: datetime | None
    remind_at: datetime | None
    left: timedelta | None


def first_deadline(flow: Flow[P, E, F], facts: F, *, now: datetime, durations: Durations) -> Clocking:
    """The clocks of a subject that came to be at ``now``; all in UTC."""
    return _clocking(flow.deadline(flow.spec.start, facts), durations, now=now, start=now, left=None)


def next_deadline(
    flow: Flow[P, E, F],
    step: Step[P, E, F],
    facts: F,
    *,
    now: datetime,
    present: datetime | None,
    left: timedelta | None,
    durations: Durations,
) -> Clocking:
    """The clocks after ``step``, which was fired at ``now``.

    ``facts`` are those after the step (a dispute is then already raised), so they say whether the target's clock
    runs. ``present`` is the deadline from before, ``left`` what was kept for a paused clock; times are all UTC.

    A paused clock keeps what it had, at least nothing; a resumed one gets exactly that, or its whole time where
    nothing was kept. An extended one gets its whole time on top of what it has. What was kept stays kept for as long
    as a step out of the target could resume it. A reminder that would already be late is left out.
    """
    clock = step.rule.clock
    if clock is Clock.PAUSE:
        left = max(present - now, timedelta(0)) if present else None
    kept = left if any(rule.clock is Clock.RESUME for rule in flow.spec.rules_from(step.target)) else None
    start = max(present or now, now) if clock is Clock.EXTEND else now
    given = left if clock is Clock.RESUME else None
    return _clocking(flow.deadline(step.target, facts), durations, now=now, start=start, given=given, left=kept)


def _clocking(
    deadline: Deadline[E] | None,
    durations: Durations,
    *,
    now: datetime,
    start: datetime,
    left: timedelta | None,
    given: timedelta | None = None,
) -> Clocking:
    """The clock of ``deadline`` from ``start``, running for ``given`` or else its whole time."""
    if deadline is None:
        return Clocking(None, None, left)
    whole = durations.get(deadline.setting, deadline.default)
    deadline_at = start + (whole if given is None else given)
    remind_at = deadline_at - durations.get(deadline.reminder.setting, deadline.reminder.default)
    return Clocking(deadline_at, remind_at if remind_at > now else None, left)
