"""Prometheus metrics of what waits (outbox, queues, reviews, orders) and of what does it: jobs, scheduler, relay."""

from collections.abc import Iterator
from datetime import datetime, time

import structlog
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError
from rq import Queue
from rq.registry import FailedJobRegistry
from sqlalchemy import exists, func, select
from sqlalchemy.exc import SQLAlchemyError

from app.clock import SHANGHAI, utcnow
from app.db.database import db
from app.db.transactions import reading, row_or_none, rows
from app.extensions import valkey
from app.goods.models import CaseKind, Good, GoodRevision, RevisionState, VerdictState
from app.moderation.models import ModerationTotal, Stage
from app.moderation.queries import waiting_by_kind
from app.money.cases import open_cases
from app.money.models import MoneyCaseKind, Reconciliation
from app.orders.models import Order
from app.outbox.models import Topic
from app.outbox.service import backlog, relay_runs
from app.periodic.queries import periodic_jobs, scheduler_leads
from statemachine.good import GoodStatus

log = structlog.get_logger(__name__)


class WaitingWork(Collector):
    """Counts what waits in the database and in Valkey whenever Prometheus scrapes. Needs an application context."""

    def collect(self) -> Iterator[Metric]:
        """The gauges. If PostgreSQL or Valkey is down, only its own are missing: that is when the others are needed."""
        for read in (_in_database, _in_valkey):
            try:
                yield from read()
            except (SQLAlchemyError, RedisError) as error:
                log.warning("metrics_source_failed", source=read.__name__, error=str(error))


def _in_database() -> list[Metric]:
    return [
        *_outbox(),
        _goods_in_review(),
        *_moderation(),
        _open_orders(),
        _open_money_cases(),
        *_last_bill(),
        *_periodic_jobs(),
    ]


def _outbox() -> list[Metric]:
    waiting = GaugeMetricFamily("saltfish_outbox_messages", "Messages that wait for their work.", labels=["topic"])
    age = GaugeMetricFamily("saltfish_outbox_oldest_seconds", "Age of the oldest waiting message.", labels=["topic"])
    lag = GaugeMetricFamily(
        "saltfish_outbox_lag_seconds", "How long the first due message has been due.", labels=["topic"]
    )
    dead = GaugeMetricFamily(
        "saltfish_outbox_dead_messages", "Messages given up; see `flask outbox list --dead`.", labels=["topic"]
    )
    backlogs = {each.topic: each for each in backlog(db.session())}
    now = utcnow()
    for topic in Topic:
        found = backlogs.get(topic.value)
        waiting.add_metric([topic.value], found.waiting if found else 0)
        age.add_metric([topic.value], _seconds_since(found.oldest_added_at if found else None, now))
        lag.add_metric([topic.value], _seconds_since(found.oldest_due_at if found else None, now))
        dead.add_metric([topic.value], found.dead if found else 0)
    return [waiting, age, lag, dead]


def _seconds_since(moment: datetime | None, now: datetime) -> float:
    """Seconds from `moment` to `now`; 0 where there is none, or it is still to come."""
    return 0 if moment is None else max((now - moment).total_seconds(), 0)


def _goods_in_review() -> Metric:
    here = ~Good.deleted & ~Good.taken_down
    released = select(func.count()).where(Good.status == GoodStatus.IN_REVIEW, here)
    edited = select(func.count()).where(
        Good.edit_revision.is_not(None),
        here,
        exists().where(
            GoodRevision.good_id == Good.id,
            GoodRevision.revision == Good.edit_revision,
            GoodRevision.state == RevisionState.IN_REVIEW.value,
        ),
    )
    with reading() as connection:
        count = connection.scalar(select(released.scalar_subquery() + edited.scalar_subquery()))
    return GaugeMetricFamily("saltfish_goods_in_review", "Releases and edits waiting for their verdict.", value=count)


def _moderation() -> list[Metric]:
    waiting = GaugeMetricFamily("saltfish_review_cases", "What waits for a person of staff.", labels=["kind"])
    age = GaugeMetricFamily("saltfish_review_oldest_seconds", "Age of the oldest of these.", labels=["kind"])
    verdicts = CounterMetricFamily(
        "saltfish_moderation_verdicts", "Verdicts by machine and by people.", labels=["stage", "outcome"]
    )
    seconds = CounterMetricFamily(
        "saltfish_moderation_seconds", "Seconds that they took; of people, since it waited.", labels=["stage"]
    )
    cases, now = waiting_by_kind(), utcnow()
    for kind in CaseKind:
        count, since = cases.get(kind.value, (0, None))
        waiting.add_metric([kind.value], count)
        age.add_metric([kind.value], _seconds_since(since, now))
    totals = {(row.stage, row.outcome): row for row in rows(select(ModerationTotal.__table__))}
    for stage in Stage:
        for outcome in VerdictState:
            found = totals.get((stage.value, outcome.value))
            verdicts.add_metric([stage.value, outcome.value], found.verdicts if found else 0)
        of_stage = [row.milliseconds for row in totals.values() if row.stage == stage.value]
        seconds.add_metric([stage.value], sum(of_stage) / 1000)
    return [waiting, age, verdicts, seconds]


def _open_orders() -> Metric:
    # Closed orders only grow in number, and counting them would read the whole table at every scrape.
    orders = GaugeMetricFamily(
        "saltfish_open_orders", "Orders that are not closed, by state.", labels=["bill_status", "order_status"]
    )
    statement = (
        select(Order.bill_status, Order.order_status, func.count().label("orders"))
        .where(~Order.closed)
        .group_by(Order.bill_status, Order.order_status)
    )
    for row in rows(statement):
        orders.add_metric([str(row.bill_status), str(row.order_status)], row.orders)
    return orders


def _periodic_jobs() -> list[Metric]:
    period = GaugeMetricFamily("saltfish_periodic_period_seconds", "Seconds between two runs.", labels=["job"])
    done = GaugeMetricFamily(
        "saltfish_periodic_last_success_timestamp_seconds", "When a run last succeeded.", labels=["job"]
    )
    since = GaugeMetricFamily(
        "saltfish_periodic_since_success_seconds", "Seconds since then, or since the job is known.", labels=["job"]
    )
    took = GaugeMetricFamily("saltfish_periodic_last_duration_seconds", "What that run took.", labels=["job"])
    failures = CounterMetricFamily("saltfish_periodic_failures", "Runs that failed.", labels=["job"])
    for job in periodic_jobs():
        period.add_metric([job.name], job.every)
        since.add_metric([job.name], job.since)
        failures.add_metric([job.name], job.failures)
        if job.succeeded_at is not None and job.milliseconds is not None:
            done.add_metric([job.name], job.succeeded_at.timestamp())
            took.add_metric([job.name], job.milliseconds / 1000)
    return [period, done, since, took, failures]


def _open_money_cases() -> Metric:
    cases = GaugeMetricFamily(
        "saltfish_money_cases", "Cases about money that wait for staff; see docs/staff.md.", labels=["kind"]
    )
    counts = open_cases()
    for kind in MoneyCaseKind:
        cases.add_metric([kind.value], counts.get(kind.value, 0))
    return cases


def _last_bill() -> list[Metric]:
    last = row_or_none(select(Reconciliation.__table__).order_by(Reconciliation.day.desc()).limit(1))
    if last is None:
        return []
    day = datetime.combine(last.day, time(), SHANGHAI).timestamp()
    return [
        GaugeMetricFamily(
            "saltfish_bill_differences", "Differences of the last bill compared.", value=last.differences
        ),
        GaugeMetricFamily("saltfish_bill_day_seconds", "The day of the last bill compared, as its start.", value=day),
    ]


def _in_valkey() -> list[Metric]:
    jobs = GaugeMetricFamily("saltfish_queue_jobs", "Jobs waiting for a worker.", labels=["queue"])
    failed = GaugeMetricFamily("saltfish_queue_failed_jobs", "Jobs that failed for good.", labels=["queue"])
    for queue in sorted(Queue.all(connection=valkey()), key=lambda queue: queue.name):
        jobs.add_metric([queue.name], queue.count)
        failed.add_metric([queue.name], FailedJobRegistry(queue=queue).get_job_count(cleanup=False))
    return [
        jobs,
        failed,
        GaugeMetricFamily("saltfish_scheduler_up", "Whether a scheduler is at work.", value=int(scheduler_leads())),
        GaugeMetricFamily("saltfish_relay_up", "Whether a relay is at work.", value=int(relay_runs())),
    ]
