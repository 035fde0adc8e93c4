"""The periodic jobs and how often each runs, as data; `tasks.scheduler` queues them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tasks.deadlines import check_paid_trades, query_payments, sweep_deadlines
from tasks.housekeeping import (
    collect_unused_pictures,
    lift_ended_suspensions,
    purge_idempotency_keys,
    purge_one_time_codes,
    purge_refused_notifications,
    purge_sessions,
)
from tasks.payments import ask_again, reconcile_bills
from tasks.queues import QueueName, job_id_of
from tasks.saved_searches import match_saved_searches
from tasks.search import drain_search_outbox
from tasks.suggestions import count_seller_standings, count_up_searches, rebuild_completions
from tasks.verification import sweep_stale_reviews


@dataclass(frozen=True, slots=True, kw_only=True)
class Periodic:
    """A job that is queued every `every` seconds, unless the one before is still waiting or running."""

    job: Callable[[], None]
    queue: QueueName
    every: int


SCHEDULE: Final = (
    Periodic(job=sweep_deadlines, queue=QueueName.DEFAULT, every=5),
    Periodic(job=query_payments, queue=QueueName.DEFAULT, every=15),
    Periodic(job=check_paid_trades, queue=QueueName.DEFAULT, every=300),
    Periodic(job=ask_again, queue=QueueName.DEFAULT, every=3600),
    Periodic(job=reconcile_bills, queue=QueueName.DEFAULT, every=900),
    Periodic(job=purge_refused_notifications, queue=QueueName.DEFAULT, every=3600),
    Periodic(job=collect_unused_pictures, queue=QueueName.DEFAULT, every=3600),
    Periodic(job=sweep_stale_reviews, queue=QueueName.DEFAULT, every=30),
    Periodic(job=lift_ended_suspensions, queue=QueueName.DEFAULT, every=60),
    Periodic(job=purge_idempotency_keys, queue=QueueName.DEFAULT, every=600),
    Periodic(job=purge_sessions, queue=QueueName.DEFAULT, every=3600),
    Periodic(job=purge_one_time_codes, queue=QueueName.DEFAULT, every=3600),
    Periodic(job=match_saved_searches, queue=QueueName.DEFAULT, every=30),
    Periodic(job=count_up_searches, queue=QueueName.DEFAULT, every=300),
    Periodic(job=count_seller_standings, queue=QueueName.DEFAULT, every=3600),
    Periodic(job=rebuild_completions, queue=QueueName.DEFAULT, every=1800),
    # The relay queues this one as soon as there is work; this entry is for when no relay runs.
    Periodic(job=drain_search_outbox, queue=QueueName.SEARCH, every=10),
)

PERIODS: Final = {job_id_of(periodic.job): periodic.every for periodic in SCHEDULE}
"""The seconds between two runs of each job, by its id."""
