"""Real workers: reviews from end to end, and what happens when they die."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from rq.job import JobStatus
from rq.registry import FailedJobRegistry
from sqlalchemy import select, text

from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from app.goods.models import Good
from app.moderation.service import request_stale_reviews
from app.periodic.queries import periodic_jobs
from app.periodic.service import list_jobs
from config import Settings
from statemachine import GoodStatus
from tasks.queues import QueueName, enqueue_singleton, queue
from tasks.relay import relay_once
from tasks.search import drain_search_outbox
from tasks.verification import add_good_verify_task, sweep_stale_reviews
from tests.factories import Made, assert_envelope, auth_headers, make_user, photo_bytes
from tests.goods.steps import form_with
from tests.moderation.steps import (
    add_message,
    add_picture,
    change,
    count_verdicts,
    good_in_review,
    messages,
    row_of,
    status_of,
    verdicts_of,
    waiting_for_locks,
)
from tests.tasks.steps import job, payloads, queued, running, wait_until, work_off, work_off_elsewhere

pytestmark = pytest.mark.usefixtures("clean")


def relay(app: Flask) -> int:
    """One round of the relay."""
    with app.app_context():
        return relay_once()


def ask_for_review(app: Flask, good: Made) -> None:
    """Queue the good's two jobs."""
    with app.app_context():
        assert add_good_verify_task(good.id)


@contextmanager
def locking(app: Flask, good: Made) -> Iterator[None]:
    """Hold the good's row lock: its jobs wait in the middle of their work."""
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(select(Good.id).where(Good.id == good.id).with_for_update())
        yield


def is_registered(app: Flask, name: QueueName = QueueName.DEFAULT) -> bool:
    """Whether `/readyz` would see a worker on the queue."""
    with app.app_context():
        connection = queue(name).connection
        return any(connection.hget(key, "last_heartbeat") for key in connection.smembers(f"rq:workers:{name}"))


def waits_for_jobs(app: Flask, name: QueueName = QueueName.DEFAULT) -> bool:
    """Whether a worker of the queue waits at Valkey for its next job, so that it says nothing of itself meanwhile."""
    with app.app_context():
        connection = queue(name).connection
        own = str(connection.connection_pool.connection_kwargs.get("db") or 0)
        return any(client["db"] == own and "b" in client["flags"] for client in connection.client_list())


def test_from_release_to_publication(app: Flask, client: FlaskClient) -> None:
    owner = make_user(app)
    form = form_with(photo_bytes(1), photo_bytes(2))
    answer = client.post("/api/good_release/", **form, headers=auth_headers(app, owner))
    released = assert_envelope(answer, Answer.GOOD_RELEASED)
    url = f"/api/verify/good/{released['id']}"
    assert assert_envelope(client.get(url), Answer.VERDICT_FOUND)["state"] == "pending"
    assert relay(app) > 0
    work_off(app)  # it has nothing to conclude yet
    assert assert_envelope(client.get(url), Answer.VERDICT_FOUND)["state"] == "pending"
    work_off(app, QueueName.VISION)
    work_off(app)
    found = assert_envelope(client.get(url, headers=auth_headers(app, owner)), Answer.VERDICT_FOUND)
    pictures = [f"picture:{picture['id']}" for picture in released["pictures"]]
    assert (found["state"], found["good_status"], found["revision"]) == ("passed", 2, 1)
    assert [(verdict["subject"], verdict["passed"]) for verdict in found["verdicts"]] == [
        (subject, True) for subject in ("title", "description", *pictures)
    ]


def test_goods_bad_and_good_in_one_go(app: Flask) -> None:
    expected = {
        "九成新 iPhone 13 128G": [],
        "水枪 支架 玩具": [],
        "便宜出,加微信": ["涉嫌引流:加微信"],
        "便宜出,加微信號": ["涉嫌引流:加微信"],
        "加ＶＸ聊": ["涉嫌引流:加vx"],
        "刷 單 兼職": ["涉嫌诈骗或刷单:刷单"],
        "電話１３８００１３８０００": ["涉嫌引流:手机号码"],
    }
    goods = {title: good_in_review(app, title=title) for title in expected}
    for good in goods.values():
        add_message(app, "good_verification", good.id)
    assert relay(app) == len(goods)
    work_off(app)
    found = {title: verdicts_of(app, good)[1, "text", "title"] for title, good in goods.items()}
    assert found == expected
    statuses = {title: status_of(app, good) for title, good in goods.items()}
    assert statuses == {
        title: GoodStatus.REJECTED if reasons else GoodStatus.PUBLISHED for title, reasons in expected.items()
    }


def test_an_edit_between_queueing_and_check(app: Flask) -> None:
    """The jobs of the earlier revision do nothing; those of the later one decide."""
    good = good_in_review(app)
    ask_for_review(app, good)
    change(app, good, revision=2, title="加微信")
    work_off(app)
    assert (status_of(app, good), count_verdicts(app)) == (GoodStatus.IN_REVIEW, 0)
    ask_for_review(app, good)
    work_off(app)
    assert status_of(app, good) == GoodStatus.REJECTED
    assert {revision for revision, _, _ in verdicts_of(app, good)} == {2}


def test_a_check_that_fails_is_tried_again_and_decides_nothing(app: Flask, settings: Settings) -> None:
    good = good_in_review(app)
    add_picture(app, good, width=165)
    files = [path for path in (settings.instance_path / "pictures").rglob("*") if path.is_file()]
    for file in files:
        file.chmod(0o600)
        file.rename(file.with_suffix(".away"))
        file.mkdir()  # reading it fails as on a broken disk
    try:
        ask_for_review(app, good)
        work_off(app, QueueName.VISION)
    finally:
        for file in files:
            file.rmdir()
            file.with_suffix(".away").rename(file)
    check = job(app, f"check-good-{good.id}-1", QueueName.VISION)
    assert (check.get_status(), check.retries_left) == (JobStatus.SCHEDULED, 2)
    assert job(app, f"conclude-good-{good.id}-1").get_status() == JobStatus.DEFERRED
    assert (status_of(app, good), count_verdicts(app)) == (GoodStatus.IN_REVIEW, 2)  # the texts'


def test_a_killed_job_is_run_again(app: Flask, environment: dict[str, str], tmp_path: Path) -> None:
    """kill -9 of the process that runs the job: its worker notices, and tries again after two seconds."""
    good = good_in_review(app)
    with running(environment, tmp_path, "tasks.worker", "default", forked=False) as worker:
        wait_until(lambda: is_registered(app) and len(worker.children()) == 1, "start")
        others = set(worker.children())  # RQ's scheduler of retries
        with locking(app, good):
            ask_for_review(app, good)
            wait_until(lambda: waiting_for_locks(app) == 1, "the job is in the middle of its work")
            (horse,) = set(worker.children()) - others
            os.kill(horse, signal.SIGKILL)
            wait_until(lambda: worker.said("terminated unexpectedly"), "the worker notices")
            assert (status_of(app, good), count_verdicts(app)) == (GoodStatus.IN_REVIEW, 0)
        wait_until(lambda: status_of(app, good) == GoodStatus.PUBLISHED, "it is run again")
        assert worker.terminate() == 0
        done = [line["job_id"] for line in worker.lines() if line["event"] == "job_done"]
        assert done == [f"check-good-{good.id}-1", f"conclude-good-{good.id}-1"]


def test_runs_of_periodic_jobs_are_written_down_and_not_logged(
    app: Flask, environment: dict[str, str], tmp_path: Path
) -> None:
    with app.app_context():
        list_jobs({"sweep-stale-reviews": 30, "drain-search-outbox": 10})
        listed = periodic_jobs()
        assert [(each.name, each.succeeded_at, each.failures, each.overdue) for each in listed] == [
            ("drain-search-outbox", None, 0, False),
            ("sweep-stale-reviews", None, 0, False),
        ]
        assert enqueue_singleton(QueueName.DEFAULT, sweep_stale_reviews)
    before = utcnow()
    with running(environment, tmp_path, "tasks.worker", "default", "--burst") as worker:
        assert worker.process.wait(60) == 0
        assert [line["event"] for line in worker.lines()] == ["worker_started", "worker_stopped"]
    with app.app_context():
        untouched, done = periodic_jobs()
        assert untouched == replace(listed[0], since=untouched.since)
        assert done.succeeded_at is not None
        assert before <= done.succeeded_at <= utcnow()
        assert done.milliseconds is not None
        assert 0 <= done.milliseconds < 60_000
        # Its process is killed in the middle; the worker that notices counts it.
        good = good_in_review(app, updated_at=utcnow() - timedelta(hours=1))
    with running(environment, tmp_path, "tasks.worker", "default") as worker:
        wait_until(lambda: is_registered(app) and len(worker.children()) == 1, "start")
        others = set(worker.children())
        with app.app_context(), db.engine.begin() as connection:
            connection.execute(text("LOCK TABLE goods IN ACCESS EXCLUSIVE MODE"))
            assert enqueue_singleton(QueueName.DEFAULT, sweep_stale_reviews)
            wait_until(lambda: waiting_for_locks(app) == 1, "the sweep is in the middle of its work")
            (horse,) = set(worker.children()) - others
            os.kill(horse, signal.SIGKILL)
            wait_until(lambda: worker.said("terminated unexpectedly"), "the worker notices")
        with app.app_context():
            wait_until(lambda: periodic_jobs()[1].failures == 1, "the failure is counted")
            assert periodic_jobs()[1].succeeded_at == done.succeeded_at
    assert status_of(app, good) == GoodStatus.IN_REVIEW


def test_what_cannot_be_written_down_fails_no_job(app: Flask) -> None:
    with app.app_context():
        assert enqueue_singleton(QueueName.DEFAULT, sweep_stale_reviews)
        with db.engine.begin() as connection:
            connection.execute(text("ALTER TABLE periodic_jobs RENAME TO elsewhere"))
    try:
        work_off(app)
    finally:
        with app.app_context(), db.engine.begin() as connection:
            connection.execute(text("ALTER TABLE elsewhere RENAME TO periodic_jobs"))
    with app.app_context():
        assert FailedJobRegistry(queue=queue(QueueName.DEFAULT)).get_job_count() == 0


def test_a_killed_worker_leaves_the_good_in_review_and_the_sweep_brings_it_back(
    app: Flask, environment: dict[str, str], tmp_path: Path
) -> None:
    good = good_in_review(app)
    before = row_of(app, good)
    with running(environment, tmp_path, "tasks.worker", "default") as worker, locking(app, good):
        ask_for_review(app, good)
        wait_until(lambda: waiting_for_locks(app) == 1, "the job is in the middle of its work")
        worker.kill()
    assert job(app, f"check-good-{good.id}-1").get_status() == JobStatus.STARTED
    work_off(app)
    assert (row_of(app, good), count_verdicts(app)) == (before, 0)
    change(app, good, updated_at=utcnow() - timedelta(hours=1))
    with app.app_context():
        assert request_stale_reviews() == 1
    assert relay(app) == 1
    work_off(app)
    assert status_of(app, good) == GoodStatus.PUBLISHED


def test_valkey_emptied_loses_no_review(app: Flask, settings: Settings) -> None:
    good = good_in_review(app, updated_at=utcnow() - timedelta(hours=1))
    ask_for_review(app, good)
    with redis.Redis.from_url(settings.redis_url) as valkey:
        valkey.flushdb()
    work_off(app)
    assert status_of(app, good) == GoodStatus.IN_REVIEW
    with app.app_context():
        assert enqueue_singleton(QueueName.DEFAULT, sweep_stale_reviews)
    work_off(app)
    assert relay(app) == 1
    work_off(app)
    assert status_of(app, good) == GoodStatus.PUBLISHED


def test_a_worker_registers_anew_after_valkey_was_emptied(
    app: Flask, environment: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    with running(environment, tmp_path, "tasks.worker", "default") as worker:
        wait_until(lambda: is_registered(app), "start")
        # It sends its first heartbeat only after it has registered: emptied in between it would be back at once.
        wait_until(lambda: waits_for_jobs(app), "its first wait for a job")
        with redis.Redis.from_url(settings.redis_url) as valkey:
            valkey.flushdb()
        assert not is_registered(app)
        with app.app_context():
            enqueue_singleton(QueueName.DEFAULT, sweep_stale_reviews)  # else its next sign of life is due in 30 s
        wait_until(lambda: is_registered(app), "registered anew")
        with app.app_context():
            (key,) = queue(QueueName.DEFAULT).connection.smembers("rq:workers:default")
            record = queue(QueueName.DEFAULT).connection.hgetall(key)
        assert (record[b"pid"], record[b"queues"]) == (str(worker.pid).encode(), b"default")
        assert worker.terminate() == 0
    assert not is_registered(app)


def test_a_worker_that_ends_unasked_says_so(app: Flask, environment: dict[str, str], tmp_path: Path) -> None:
    with running(environment, tmp_path, "tasks.worker", "default") as worker:
        wait_until(lambda: is_registered(app), "start")
        with app.app_context():
            connection = queue(QueueName.DEFAULT).connection
            connection.hset("rq:job:broken", mapping={"data": "{}", "created_at": "nonsense"})
            connection.rpush("rq:queue:default", "broken")
        assert worker.process.wait(60) == 1
        assert worker.said("found an unhandled exception, quitting")


def test_the_search_worker_is_alone_on_its_index(app: Flask, environment: dict[str, str], tmp_path: Path) -> None:
    with running(environment, tmp_path, "tasks.worker", "search", forked=False) as first:
        wait_until(lambda: is_registered(app, QueueName.SEARCH), "start")
        with running(environment, tmp_path, "tasks.worker", "search") as second:
            assert second.process.wait(60) == 1
            assert [line["event"] for line in second.lines()] == ["search_worker_refused"]
        assert first.terminate() == 0
    # kill -9 leaves no lock behind either
    with running(environment, tmp_path, "tasks.worker", "search") as third:
        wait_until(lambda: is_registered(app, QueueName.SEARCH), "start")
        third.kill()
    work_off(app, QueueName.SEARCH)


def test_the_search_worker_drains_the_outbox(app: Flask) -> None:
    for good_id in (4, 5):
        add_message(app, "search_index", good_id)
    assert relay(app) == 1
    work_off(app, QueueName.SEARCH)
    assert messages(app) == []
    with app.app_context():
        assert queue(QueueName.SEARCH).fetch_job("drain-search-outbox") is None


@pytest.mark.parametrize("popped_only", [False, True], ids=["started", "popped"])
def test_a_drain_that_was_killed_does_not_block_the_next(app: Flask, settings: Settings, *, popped_only: bool) -> None:
    add_message(app, "search_index", 4)
    with app.app_context():
        assert enqueue_singleton(QueueName.SEARCH, drain_search_outbox)
        queue(QueueName.SEARCH).pop_job_id()
        if not popped_only:
            job(app, "drain-search-outbox", QueueName.SEARCH).set_status(JobStatus.STARTED)
    assert relay(app) == 0
    work_off(app, QueueName.SEARCH)
    assert payloads(settings.redis_url) == {}
    assert (relay(app), messages(app)) == (1, [("search_index", 4)])
    work_off(app, QueueName.SEARCH)
    assert messages(app) == []


def test_a_waiting_drain_survives_the_start_of_its_worker(app: Flask) -> None:
    add_message(app, "search_index", 4)
    assert relay(app) == 1
    assert queued(app, QueueName.SEARCH) == ["drain-search-outbox"]
    work_off(app, QueueName.SEARCH)
    assert messages(app) == []


def test_logs_are_json_and_say_nothing_of_texts(app: Flask, environment: dict[str, str], tmp_path: Path) -> None:
    good = good_in_review(app, title="我的手机 13800138000")
    ask_for_review(app, good)
    with running(environment, tmp_path, "tasks.worker", "default", "--burst") as worker:
        assert worker.process.wait(60) == 0
        assert [line["event"] for line in worker.lines() if line["logger"] == "app.moderation.service"] == [
            "review_concluded"
        ]
        assert "13800138000" not in worker.log.read_text()


def test_two_workers_at_once_review_each_good_once(app: Flask, environment: dict[str, str]) -> None:
    goods = [good_in_review(app) for _ in range(6)]
    for good in goods:
        ask_for_review(app, good)
        ask_for_review(app, good)
    threads = [threading.Thread(target=work_off_elsewhere, args=(environment,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    work_off(app)
    assert [status_of(app, good) for good in goods] == [GoodStatus.PUBLISHED] * 6
    assert sorted(messages(app)) == sorted(("search_index", good.id) for good in goods)
    assert count_verdicts(app) == 12


def test_a_job_talks_to_the_database_over_a_connection_of_its_own(app: Flask) -> None:
    """A forked process has its parent's sockets too; two of them on one socket would read each other's answers."""
    good = good_in_review(app)
    ask_for_review(app, good)
    install = """
        CREATE TABLE backends (pid integer);
        CREATE FUNCTION note_backend() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO backends VALUES (pg_backend_pid()); RETURN NEW; END $$;
        CREATE TRIGGER note_backend BEFORE INSERT OR UPDATE ON goods FOR EACH ROW EXECUTE FUNCTION note_backend();
    """
    backend = text("SELECT pg_backend_pid()")
    with app.app_context():
        db.engine.dispose()
        with db.engine.begin() as connection:
            connection.execute(text(install))
            ours = connection.execute(backend).scalar_one()
        try:
            work_off(app)
            with db.engine.connect() as connection:
                assert connection.execute(backend).scalar_one() == ours
                theirs = connection.execute(text("SELECT pid FROM backends")).scalars().all()
        finally:
            with db.engine.begin() as connection:
                connection.execute(text("DROP TRIGGER note_backend ON goods; DROP FUNCTION note_backend"))
                connection.execute(text("DROP TABLE backends"))
    assert status_of(app, good) == GoodStatus.PUBLISHED
    assert len(theirs) == 1
    assert ours not in theirs
