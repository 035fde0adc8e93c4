"""The periodic jobs: what is queued, by whom, and how often."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask
from rq.cron import CronScheduler
from rq.serializers import JSONSerializer
from rq.utils import as_text

from app.clock import utcnow
from app.periodic.models import SCHEDULER_LOCK_KEY as LOCK_KEY
from app.periodic.queries import periodic_jobs, scheduler_leads
from app.periodic.service import list_jobs
from config import Settings
from statemachine import GoodStatus
from tasks.queues import QueueName, connect
from tasks.relay import relay_once
from tasks.schedule import PERIODS, SCHEDULE
from tasks.scheduler import Scheduler
from tests.moderation.steps import good_in_review, messages, status_of
from tests.tasks.steps import payloads, queued, running, wait_until, work_off

pytestmark = pytest.mark.usefixtures("clean")

ALL: dict[str, Any] = {
    "sweep-deadlines": ["tasks.deadlines.sweep_deadlines", None, [], {}],
    "query-payments": ["tasks.deadlines.query_payments", None, [], {}],
    "check-paid-trades": ["tasks.deadlines.check_paid_trades", None, [], {}],
    "ask-again": ["tasks.payments.ask_again", None, [], {}],
    "reconcile-bills": ["tasks.payments.reconcile_bills", None, [], {}],
    "purge-refused-notifications": ["tasks.housekeeping.purge_refused_notifications", None, [], {}],
    "collect-unused-pictures": ["tasks.housekeeping.collect_unused_pictures", None, [], {}],
    "sweep-stale-reviews": ["tasks.verification.sweep_stale_reviews", None, [], {}],
    "purge-idempotency-keys": ["tasks.housekeeping.purge_idempotency_keys", None, [], {}],
    "purge-sessions": ["tasks.housekeeping.purge_sessions", None, [], {}],
    "lift-ended-suspensions": ["tasks.housekeeping.lift_ended_suspensions", None, [], {}],
    "purge-one-time-codes": ["tasks.housekeeping.purge_one_time_codes", None, [], {}],
    "match-saved-searches": ["tasks.saved_searches.match_saved_searches", None, [], {}],
    "count-up-searches": ["tasks.suggestions.count_up_searches", None, [], {}],
    "count-seller-standings": ["tasks.suggestions.count_seller_standings", None, [], {}],
    "rebuild-completions": ["tasks.suggestions.rebuild_completions", None, [], {}],
    "drain-search-outbox": ["tasks.search.drain_search_outbox", None, [], {}],
}
DEFAULT = sorted(ALL.keys() - {"drain-search-outbox"})


@pytest.fixture
def valkey(settings: Settings) -> Iterator[redis.Redis]:
    """A client of bytes, as RQ wants it."""
    with redis.Redis.from_url(settings.redis_url) as connection:
        yield connection


def test_the_schedule() -> None:
    assert {(periodic.job.__name__, periodic.queue, periodic.every) for periodic in SCHEDULE} == {
        ("sweep_deadlines", QueueName.DEFAULT, 5),
        ("query_payments", QueueName.DEFAULT, 15),
        ("check_paid_trades", QueueName.DEFAULT, 300),
        ("ask_again", QueueName.DEFAULT, 3600),
        ("reconcile_bills", QueueName.DEFAULT, 900),
        ("purge_refused_notifications", QueueName.DEFAULT, 3600),
        ("collect_unused_pictures", QueueName.DEFAULT, 3600),
        ("sweep_stale_reviews", QueueName.DEFAULT, 30),
        ("purge_idempotency_keys", QueueName.DEFAULT, 600),
        ("purge_sessions", QueueName.DEFAULT, 3600),
        ("lift_ended_suspensions", QueueName.DEFAULT, 60),
        ("purge_one_time_codes", QueueName.DEFAULT, 3600),
        ("match_saved_searches", QueueName.DEFAULT, 30),
        ("count_up_searches", QueueName.DEFAULT, 300),
        ("count_seller_standings", QueueName.DEFAULT, 3600),
        ("rebuild_completions", QueueName.DEFAULT, 1800),
        ("drain_search_outbox", QueueName.SEARCH, 10),
    }


def test_everything_is_due_at_once_as_json_and_does_not_pile_up(app: Flask, settings: Settings) -> None:
    with app.app_context():
        scheduler = Scheduler(connect())
        assert scheduler.serializer is JSONSerializer
        assert 0 < scheduler.step() <= 5
        assert payloads(settings.redis_url) == ALL
        # No worker runs, and a scheduler that takes over finds everything due again.
        scheduler.retire()
        successor = Scheduler(connect())
        successor.step()
        successor.retire()
    assert sorted(queued(app)) == DEFAULT
    assert queued(app, QueueName.SEARCH) == ["drain-search-outbox"]


def test_nothing_is_due_before_its_time(app: Flask, valkey: redis.Redis) -> None:
    with app.app_context():
        scheduler = Scheduler(connect())
        scheduler.step()
        valkey.delete("rq:queue:default", "rq:queue:search", *(f"rq:job:{job_id}" for job_id in ALL))
        scheduler.step()
        assert (queued(app), queued(app, QueueName.SEARCH)) == ([], [])
        for job in scheduler.get_jobs():
            job.set_enqueue_time(utcnow() - timedelta(seconds=31))
        scheduler.step()
        scheduler.retire()
    assert queued(app) == ["sweep-deadlines", "query-payments", "sweep-stale-reviews", "match-saved-searches"]
    assert queued(app, QueueName.SEARCH) == ["drain-search-outbox"]


def test_a_clock_that_is_set_keeps_no_sweep_waiting(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """RQ alone would wait a day where the clock was set back by one."""
    steps = []
    with app.app_context():
        scheduler = Scheduler(connect())
        scheduler.step()
        for offset in (0, -86_400, 0, 86_400, 86_400 + 20):
            work_off(app)
            work_off(app, QueueName.SEARCH)
            real = time.time
            with monkeypatch.context() as patch:
                patch.setattr("tasks.scheduler.time.time", lambda real=real, offset=offset: real() + offset)
                scheduler.step()
            steps.append((offset, sorted(queued(app))))
        scheduler.retire()
    # Seconds more or less are no setting of the clock.
    assert [(offset, jobs if jobs == DEFAULT else []) for offset, jobs in steps] == [
        (0, []),
        (-86_400, DEFAULT),
        (0, DEFAULT),
        (86_400, DEFAULT),
        (86_400 + 20, []),
    ]


def test_a_lock_from_before_the_clock_was_set_back_is_no_life(app: Flask, valkey: redis.Redis) -> None:
    with app.app_context():
        standby = Scheduler(connect())
        assert not scheduler_leads()
        valkey.set(LOCK_KEY, "killed-long-ago", ex=86_400)
        assert not scheduler_leads()
        # It ends as soon as that of a scheduler that was killed a moment ago; one that lives takes it anew meanwhile.
        assert not standby.leads()
        assert 0 < valkey.ttl(LOCK_KEY) <= 15
        valkey.delete(LOCK_KEY)
        assert standby.leads()
        assert scheduler_leads()
        standby.retire()


def test_the_table_of_jobs_follows_the_schedule(app: Flask) -> None:
    with app.app_context():
        list_jobs({"sweep-deadlines": 5, "of-yesterday": 60})
        list_jobs({"sweep-deadlines": 7, "of-today": 60})
        assert [(each.name, each.every) for each in periodic_jobs()] == [("of-today", 60), ("sweep-deadlines", 7)]


def test_the_sweep_from_schedule_to_publication(app: Flask) -> None:
    good = good_in_review(app, updated_at=utcnow() - timedelta(hours=1))
    with app.app_context():
        scheduler = Scheduler(connect())
        scheduler.step()
        scheduler.retire()
    work_off(app)
    assert messages(app) == [("good_verification", good.id)]
    with app.app_context():
        relay_once()
    work_off(app)
    assert status_of(app, good) == GoodStatus.PUBLISHED


def test_only_one_scheduler_queues(app: Flask, valkey: redis.Redis) -> None:
    with app.app_context():
        first, second = Scheduler(connect()), Scheduler(connect())
        assert (first.leads(), second.leads(), first.leads()) == (True, False, True)
        assert second.step() == 1.0
        assert (queued(app), queued(app, QueueName.SEARCH)) == ([], [])
        # A leader that was killed cannot say goodbye; its lock ends by itself.
        assert 0 < valkey.ttl(LOCK_KEY) <= 15
        valkey.delete(LOCK_KEY)
        second.step()
        assert sorted(queued(app)) == DEFAULT
        assert not first.leads()
        first.retire()
        assert valkey.get(LOCK_KEY) == second.name.encode()
        second.retire()
        assert valkey.get(LOCK_KEY) is None


def test_the_process_registers_schedules_and_ends(
    app: Flask, environment: dict[str, str], settings: Settings, valkey: redis.Redis, tmp_path: Path
) -> None:
    valkey.zadd("rq:cron_schedulers", {"killed-long-ago": time.time() - 1000})
    with running(environment, tmp_path, "tasks.scheduler", forked=False) as process:
        wait_until(lambda: payloads(settings.redis_url) == ALL, "the periodic jobs")
        (found,) = CronScheduler.all(valkey, cleanup=False)
        assert (found.pid, found.name.encode()) == (process.pid, valkey.get(LOCK_KEY))
        assert found.last_heartbeat is not None
        assert utcnow() - found.last_heartbeat < timedelta(seconds=10)
        assert [name for name, _ in valkey.zscan_iter("rq:cron_schedulers")] == [found.name.encode()]
        assert process.terminate() == 0
        # Nothing periodic is told of.
        assert [line["event"] for line in process.lines()] == ["scheduler_started", "scheduler_stopped"]
    with app.app_context():
        assert {each.name: each.every for each in periodic_jobs()} == PERIODS
    assert (valkey.get(LOCK_KEY), valkey.zcard("rq:cron_schedulers")) == (None, 0)


def test_a_second_process_takes_over(environment: dict[str, str], valkey: redis.Redis, tmp_path: Path) -> None:
    with (
        running(environment, tmp_path, "tasks.scheduler") as first,
        running(environment, tmp_path, "tasks.scheduler") as second,
    ):
        processes = {str(process.pid): process for process in (first, second)}
        wait_until(lambda: valkey.zcard("rq:cron_schedulers") == 2, "both live")

        def leader() -> str | None:
            name = valkey.get(LOCK_KEY)
            return None if name is None else as_text(name).split(":")[1]

        wait_until(lambda: leader() is not None, "one leads")
        leading = str(leader())
        assert processes.pop(leading).terminate() == 0
        (standby,) = processes
        wait_until(lambda: leader() == standby, "the other takes over")
        assert processes[standby].terminate() == 0


def test_the_process_outlives_valkey_and_what_it_forgot(
    environment: dict[str, str], valkey: redis.Redis, settings: Settings, tmp_path: Path
) -> None:
    with running(environment, tmp_path, "tasks.scheduler") as process:
        wait_until(lambda: payloads(settings.redis_url) == ALL, "the periodic jobs")
        valkey.flushdb()
        wait_until(lambda: valkey.zcard("rq:cron_schedulers") == 1, "registered anew")
        wait_until(lambda: "sweep-deadlines" in payloads(settings.redis_url), "the next one due")
        valkey.flushdb()
        assert process.terminate() == 0


def test_the_process_starts_and_lives_without_valkey(environment: dict[str, str], tmp_path: Path) -> None:
    away = {**environment, "REDIS_URL": f"unix://{tmp_path}/nothing.sock"}
    with running(away, tmp_path, "tasks.scheduler") as process:
        wait_until(lambda: process.said("scheduler_hindered"), "it notices")
        assert process.terminate() == 0
        assert [line["event"] for line in process.lines()] == [
            "scheduler_started",
            "scheduler_hindered",
            "scheduler_retired_unnoticed",
            "scheduler_stopped",
        ]
