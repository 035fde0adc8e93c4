"""How jobs get into queues: ids, JSON, lifetimes, singletons."""

from datetime import timedelta

import pytest
from flask import Flask
from rq.job import JobStatus
from rq.utils import now

from config import Settings
from tasks.queues import QueueName, enqueue, enqueue_singleton, queue
from tasks.search import drain_search_outbox
from tasks.verification import add_good_verify_task, check_good_job, sweep_stale_reviews
from tests.factories import make_good, make_user
from tests.moderation.steps import change, good_in_review
from tests.tasks.steps import job, payloads, queued

pytestmark = pytest.mark.usefixtures("clean")


def test_the_review_is_two_jobs_and_the_second_waits_for_the_first(app: Flask, settings: Settings) -> None:
    good = good_in_review(app, revision=3)
    with app.app_context():
        assert add_good_verify_task(good.id) is True
    check, conclude = f"check-good-{good.id}-3", f"conclude-good-{good.id}-3"
    assert payloads(settings.redis_url) == {
        check: ["tasks.verification.check_good_job", None, [good.id, 3], {}],
        conclude: ["tasks.verification.conclude_good_job", None, [good.id, 3], {}],
    }
    assert queued(app) == [check]
    waiting = job(app, conclude)
    assert (waiting.get_status(), waiting.dependency_ids) == (JobStatus.DEFERRED, [check])
    for job_id in (check, conclude):
        stored = job(app, job_id)
        assert (stored.timeout, stored.ttl, stored.result_ttl, stored.failure_ttl) == (120, 86_400, 500, 604_800)
        assert (stored.retries_left, stored.retry_intervals) == (3, [2, 10, 60])


def test_no_review_of_a_good_that_does_not_wait_for_one(app: Flask, settings: Settings) -> None:
    goods = [make_good(app, make_user(app)).id, good_in_review(app, deleted=True).id, 12345]
    with app.app_context():
        assert [add_good_verify_task(good_id) for good_id in goods] == [False, False, False]
    assert payloads(settings.redis_url) == {}


def test_each_revision_has_jobs_of_its_own(app: Flask) -> None:
    good = good_in_review(app)
    with app.app_context():
        add_good_verify_task(good.id)
        change(app, good, revision=2)
        add_good_verify_task(good.id)
    assert queued(app) == [f"check-good-{good.id}-1", f"check-good-{good.id}-2"]


def test_a_job_queued_anew_does_not_inherit_the_expiry_of_the_one_before(app: Flask) -> None:
    with app.app_context():
        earlier = enqueue(QueueName.DEFAULT, check_good_job, 5, 1)
        queue(QueueName.DEFAULT).connection.expire(earlier.key, 3)  # as RQ does with a job that ended
        later = enqueue(QueueName.DEFAULT, check_good_job, 5, 1)
        assert later.id == earlier.id
        assert queue(QueueName.DEFAULT).connection.ttl(later.key) > 86_000


def test_a_singleton_is_queued_once(app: Flask, settings: Settings) -> None:
    with app.app_context():
        assert [enqueue_singleton(QueueName.SEARCH, drain_search_outbox) for _ in range(3)] == [True, False, False]
    assert queued(app, QueueName.SEARCH) == ["drain-search-outbox"]
    assert job(app, "drain-search-outbox", QueueName.SEARCH).timeout == 900
    assert payloads(settings.redis_url) == {"drain-search-outbox": ["tasks.search.drain_search_outbox", None, [], {}]}


@pytest.mark.parametrize("status", [JobStatus.QUEUED, JobStatus.STARTED, JobStatus.SCHEDULED, JobStatus.DEFERRED])
def test_a_singleton_that_is_not_over_keeps_its_place(app: Flask, status: JobStatus) -> None:
    with app.app_context():
        assert enqueue_singleton(QueueName.DEFAULT, sweep_stale_reviews)
        queue(QueueName.DEFAULT).pop_job_id()
        job(app, "sweep-stale-reviews").set_status(status)
        assert not enqueue_singleton(QueueName.DEFAULT, sweep_stale_reviews)
    assert queued(app) == []


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED, JobStatus.FINISHED])
def test_a_singleton_that_ended_is_queued_again_after_a_rest(app: Flask, status: JobStatus) -> None:
    with app.app_context():
        assert enqueue_singleton(QueueName.DEFAULT, sweep_stale_reviews)
        queue(QueueName.DEFAULT).pop_job_id()
        ended = job(app, "sweep-stale-reviews")
        ended.set_status(status)
        ended.ended_at = now() - timedelta(seconds=3)
        ended.save()
        assert not enqueue_singleton(QueueName.DEFAULT, sweep_stale_reviews)
        assert queued(app) == []
        ended.ended_at = now() - timedelta(seconds=6)
        ended.save()
        assert enqueue_singleton(QueueName.DEFAULT, sweep_stale_reviews)
    assert queued(app) == ["sweep-stale-reviews"]
    assert job(app, "sweep-stale-reviews").get_status() == JobStatus.QUEUED
