"""How a run may end, and the exit code that cron sees."""

from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Outcome(StrEnum):
    """Why a run ended. Stands in manifest, stats and summary; also the `finish_reason` given to Scrapy."""

    RUNNING = "running"  # in a manifest: not over yet
    KILLED = "killed"  # kill -9, a crash, a power cut; the next run writes this, there is no exit code
    FINISHED = "finished"  # everything asked for was seen
    BUDGET = "budget"  # the day's requests are used up, as the operator wanted
    CONFIGURATION = "configuration"  # the command line, a setting or a file is wrong
    BLOCKED = "blocked"  # risk control, forbidden, a page instead of JSON
    LOGIN = "login"  # the site wants a login
    LIMITED = "limited"  # the site asks for fewer requests
    UNKNOWN_ANSWER = "unknown_answer"  # a `ret` that we do not know
    ROBOTS = "robots"  # robots.txt says no, or could not be read
    COOLING = "cooling"  # still waiting after an earlier block; nothing was sent
    PARTIAL = "partial"  # some pages could not be had
    STOPPED = "stopped"  # SIGTERM or SIGINT
    TIMEOUT = "timeout"  # the run's own limit
    SCHEMA_CHANGED = "schema_changed"  # the answer is not as this parser knows it
    FAULT = "fault"  # a fault of ours
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
"""Exit codes: 0 well, 1 our fault, 2 configuration, 3 not wanted, 4 partial, 5 another schema, 75 already running."""

COOLING_OUTCOMES: Final = frozenset({Outcome.BLOCKED, Outcome.LOGIN, Outcome.LIMITED, Outcome.UNKNOWN_ANSWER})
"""After these, later runs wait."""
