"""How a run may end, and the exit code that cron sees."""

from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Outcome(StrEnum):
    """Why a run ended. It is written to manifest, statistics and summary, and is Scrapy's `finish_reason`."""

    RUNNING = "running"  # in a manifest: the run is not over yet
    KILLED = "killed"  # kill -9, a crash, a power cut; the next run writes this, there is no exit code
    FINISHED = "finished"  # everything was fetched
    BUDGET = "budget"  # the day's request budget is used up
    CONFIGURATION = "configuration"  # the command line, a setting or a file is wrong
    BLOCKED = "blocked"  # risk control, HTTP 403, an HTML page instead of JSON
    LOGIN = "login"  # the site wants a login
    LIMITED = "limited"  # the site asks for fewer requests
    UNKNOWN_ANSWER = "unknown_answer"  # a `ret` that we do not know
    ROBOTS = "robots"  # robots.txt forbids it, or could not be read
    COOLING = "cooling"  # the cool-down after an earlier block is not over; nothing was sent
    PARTIAL = "partial"  # some pages could not be fetched
    STOPPED = "stopped"  # SIGTERM or SIGINT
    TIMEOUT = "timeout"  # the run reached `XIANYU_TIMEOUT`
    SCHEMA_CHANGED = "schema_changed"  # an answer does not have the form that the parser knows
    FAULT = "fault"  # an error of ours
    ALREADY_RUNNING = "already_running"  # another run holds the lock


EXIT_CODES: Final = MappingProxyType(
    {
        Outcome.FINISHED: 0,
        Outcome.BUDGET: 0,
        Outcome.FAULT: 1,
        Outcome.CONFIGURATION: 2,
        Outcome.BLOCKED: 3,
        Outcome.LOGIN: 3,
        Outcome.LIMITED: 3,
        Outcome.UNKNOWN_ANSWER: 3,
        Outcome.ROBOTS: 3,
        Outcome.COOLING: 3,
        Outcome.PARTIAL: 4,
        Outcome.STOPPED: 4,
        Outcome.TIMEOUT: 4,
        Outcome.SCHEMA_CHANGED: 5,
        Outcome.ALREADY_RUNNING: 75,  # sysexits.h: EX_TEMPFAIL
    }
)
"""0 success, 1 an error of ours, 2 configuration, 3 not wanted by the site, 4 incomplete, 5 another schema, 75 already
running."""

COOLDOWN_OUTCOMES: Final = frozenset({Outcome.BLOCKED, Outcome.LOGIN, Outcome.LIMITED, Outcome.UNKNOWN_ANSWER})
"""After these a cool-down begins, in which later runs send nothing."""
