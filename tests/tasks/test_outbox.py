"""Work that is leased, done by a job, tried again, given up and replayed; and everybody killed in between."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask
from sqlalchemy import insert, text, update

from app.clock import utcnow
from app.db.database import db
from app.outbox import service as outbox_service
from app.outbox.models import OutboxMessage, Topic
from config import Settings
from tasks.outbox import WORK, job_timeout, lease_seconds, work_message
from tasks.relay import relay_once
from tests.moderation.steps import add_message, messages
from tests.notifications.steps import an_order, make_step, outbox, time_passes, told
from tests.processes import run_forked
from tests.tasks.steps import payloads, queued, running, wait_until, work_off
from tests.webhooks.receiver import SECRET, Receiver, receiving

pytestmark = pytest.mark.usefixtures("clean")


def relay(app: Flask) -> int:
    """One round."""
    with app.app_context():
        return relay_once()


def work(app: Flask, message_id: int, attempts: int) -> None:
    """What the job does, here."""
    with app.app_context():
        work_message(message_id, attempts)


def webhook(app: Flask) -> int:
    """A step of an order of its own that waits to be sent; returns the id of the history's line."""
    return make_step(app, an_order(app), topic=Topic.WEBHOOK)


def seconds_until(moment: object) -> float:
    assert hasattr(moment, "timestamp")
    return float(moment.timestamp()) - time.time()


def flask_outbox(app: Flask, *arguments: str) -> tuple[int, str]:
    """`flask outbox …`: exit status and output."""
    result = app.test_cli_runner().invoke(args=["outbox", *arguments])
    return result.exit_code, result.output


# The way of one message


def test_a_job_does_the_work_and_deletes_the_message(app: Flask, settings: Settings) -> None:
    event_id = webhook(app)
    with receiving(app) as receiver:
        assert relay(app) == 1
        (message,) = outbox(app)
        assert (message.leased, message.attempts) == (True, 0)
        assert 110 < seconds_until(message.due_at) <= 120
        assert queued(app) == [f"outbox-{message.id}"]
        assert relay(app) == 0
        work_off(app)
    assert receiver.ids == [f"evt_{event_id}"]
    assert outbox(app) == []
    assert payloads(settings.redis_url) == {}


def test_no_transaction_is_open_while_the_work_is_done(app: Flask) -> None:
    webhook(app)
    states: list[str] = []

    def look() -> None:
        with app.app_context(), db.engine.connect() as connection:
            statement = text(
                "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND (state LIKE 'idle in transaction%' OR state = 'active')"
            )
            states.extend(connection.execute(statement).scalars())

    with receiving(app) as receiver:
        receiver.on_request = look
        relay(app)
        work_off(app)
    assert len(receiver.deliveries) == 1
    assert states == []


def test_a_failure_is_noted_and_the_work_tried_again_later(app: Flask) -> None:
    event_id = webhook(app)
    with receiving(app) as receiver:
        receiver.answers.append(500)
        relay(app)
        work_off(app)
        (message,) = outbox(app)
        assert (message.attempts, message.leased, message.dead_at) == (1, False, None)
        assert message.last_error == "WebhookRefused: the receiver answered 500"
        assert 3 < seconds_until(message.due_at) <= 5
        assert relay(app) == 0
        time_passes(app)
        assert relay(app) == 1
        work_off(app)
    assert receiver.ids == [f"evt_{event_id}"] * 2
    assert outbox(app) == []


WAITS = {
    Topic.PAYMENT_REFUND: [10, 20, 40, 80, 160, 320, 640, 1280, 2560, *[3600] * 10],
    Topic.PAYOUT: [10, 20, 40, 80, 160, 320, 640, 1280, 2560, *[3600] * 10],
    Topic.AVATAR_REVIEW: [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, *[3600] * 19],
    Topic.WEBHOOK: [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, *[3600] * 4],
    Topic.HELD_WEBHOOK: [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, *[3600] * 4],
    Topic.RELEASED_WEBHOOK: [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, *[3600] * 4],
    Topic.ONE_TIME_CODE: [5, 10, 20, 40, 80, 160, 240],
}


def test_the_waits_double_up_to_an_hour_and_end(app: Flask) -> None:
    assert set(WORK) == set(WAITS)
    for topic, waits in WAITS.items():
        found = [WORK[topic].wait_after(attempts) for attempts in range(1, WORK[topic].max_attempts + 1)]
        assert found == [*waits, None]
    with app.app_context():
        assert (lease_seconds(), job_timeout()) == (120, 90)


def test_what_fails_again_and_again_dies_and_can_be_replayed(app: Flask) -> None:
    order = an_order(app)
    first, second = (make_step(app, order, sequence, topic=Topic.WEBHOOK) for sequence in (1, 2))
    with receiving(app) as receiver:
        receiver.answers.extend([503] * 15)
        for attempts, wait in enumerate(WAITS[Topic.WEBHOOK]):
            assert relay(app) == 1
            work(app, 1, attempts)
            poison = outbox(app)[0]
            assert (poison.attempts, poison.dead_at) == (attempts + 1, None)
            assert wait - 2 < seconds_until(poison.due_at) <= wait
            time_passes(app)
        relay(app)
        work(app, 1, 14)
        dead, blocked = outbox(app)
        assert (dead.attempts, dead.leased) == (15, False)
        assert dead.dead_at is not None
        assert (blocked.id, blocked.attempts) == (2, 0)
        assert receiver.ids == [f"evt_{first}"] * 15
        # The dead one holds nobody up, and is given out no more.
        assert relay(app) == 1
        work(app, 2, 0)
        time_passes(app)
        assert relay(app) == 0
        assert flask_outbox(app, "replay", "1") == (0, "1 messages are due now\n")
        assert relay(app) == 1
        work(app, 1, 0)
    assert receiver.ids[15:] == [f"evt_{second}", f"evt_{first}"]
    assert outbox(app) == []


def test_a_permanent_failure_is_dead_at_once(app: Flask) -> None:
    webhook(app)
    with receiving(app) as receiver:
        receiver.answers.append(410)
        relay(app)
        work(app, 1, 0)
        (message,) = outbox(app)
        assert message.last_error == "PermanentFailure: the receiver answered 410 Gone"
        assert (message.attempts, message.leased, message.dead_at is not None) == (1, False, True)
        assert relay(app) == 0


# Streams


def test_a_stream_keeps_its_order_over_failures_and_others_go_on(app: Flask) -> None:
    slow, other = an_order(app), an_order(app)
    slow_ids = [make_step(app, slow, sequence, topic=Topic.WEBHOOK) for sequence in (1, 2, 3)]
    other_ids = [make_step(app, other, sequence, topic=Topic.WEBHOOK) for sequence in (1, 2)]
    with receiving(app) as receiver:
        receiver.answers.extend([500, 200, 500, 200])
        assert relay(app) == 2
        work_off(app)  # the first of each: one fails, one arrives
        assert receiver.ids == [f"evt_{slow_ids[0]}", f"evt_{other_ids[0]}"]
        assert relay(app) == 1
        assert queued(app) == ["outbox-5"]
        work_off(app)
        assert receiver.ids[2:] == [f"evt_{other_ids[1]}"]
        time_passes(app)
        for _ in range(4):
            relay(app)
            work_off(app)
            time_passes(app)
    expected = (slow_ids[0], other_ids[1], slow_ids[1], slow_ids[2])
    assert receiver.ids[3:] == [f"evt_{event_id}" for event_id in expected]
    assert outbox(app) == []


def test_what_is_dead_holds_up_nothing_of_its_stream(app: Flask) -> None:
    order = an_order(app)
    ids = [make_step(app, order, sequence, topic=Topic.WEBHOOK) for sequence in (1, 2, 3)]
    with receiving(app) as receiver:
        receiver.answers.extend([410, 200, 200])
        for _ in ids:
            assert relay(app) == 1
            work_off(app)
    assert receiver.ids == [f"evt_{event_id}" for event_id in ids]
    (dead,) = outbox(app)
    assert (dead.subject_id, dead.dead_at is not None) == (ids[0], True)


def test_what_waits_for_a_stalled_head_is_not_looked_at_until_then(app: Flask) -> None:
    """More of them than a batch has: they must not crowd out what can be done."""
    order = an_order(app)
    for sequence in range(1, 121):
        make_step(app, order, sequence, topic=Topic.WEBHOOK)
    webhook(app)
    in_an_hour = utcnow() + timedelta(hours=1)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(OutboxMessage).where(OutboxMessage.id == 1).values(due_at=in_an_hour))
    rounds = 0
    while not relay(app):
        rounds += 1
        assert rounds < 20
    assert queued(app) == ["outbox-121"]
    while any(message.due_at < in_an_hour for message in outbox(app)[:120]):
        assert relay(app) == 0
        rounds += 1
        assert rounds < 20
    # Once the first is done, the second's turn has come.
    with receiving(app), app.app_context():
        with db.engine.begin() as connection:
            connection.execute(update(OutboxMessage).where(OutboxMessage.id == 1).values(due_at=utcnow()))
        assert relay(app) == 1
        work_message(1, 0)
        assert relay(app) == 1
    assert queued(app) == ["outbox-121", "outbox-1", "outbox-2"]


def test_only_so_many_are_given_out_at_a_time(app: Flask) -> None:
    for _ in range(12):
        webhook(app)
    assert relay(app) == 8
    assert relay(app) == 0
    with receiving(app):
        work(app, 1, 0)
        assert relay(app) == 1
    assert queued(app) == [f"outbox-{message_id}" for message_id in range(1, 10)]


def test_what_was_given_out_and_never_done_is_given_out_again(app: Flask) -> None:
    """A lease that ended holds no place, or eight workers that died would end the deliveries of a topic for ever."""
    for _ in range(12):
        webhook(app)
    assert [relay(app), relay(app)] == [8, 0]
    time_passes(app)
    assert [relay(app), relay(app)] == [8, 0]


def test_relays_and_workers_take_a_stream_to_its_end(app: Flask, environment: dict[str, str], tmp_path: Path) -> None:
    """Were a message put off just when its turn came, its lease would have to run out: longer than the test waits."""
    orders = [an_order(app) for _ in range(2)]
    ids = {order.id: [make_step(app, order, sequence) for sequence in range(1, 16)] for order in orders}
    with receiving(app) as receiver, ExitStack() as processes:
        own = webhook_environment(environment, receiver)
        for arguments in (["tasks.relay"], ["tasks.relay"], *[["tasks.worker", "default"]] * 2):
            processes.enter_context(running(own, tmp_path, *arguments))
        wait_until(lambda: outbox(app) == [], "everything is sent")
    for order in orders:
        assert [line.order_event_id for line in told(app, order.seller_id)] == ids[order.id]
        expected = [f"evt_{event_id}" for event_id in ids[order.id]]
        assert [each for each in receiver.ids if each in expected] == expected


# Told right here


def test_a_step_that_cannot_be_told_holds_up_only_its_order(app: Flask) -> None:
    broken, fine = an_order(app), an_order(app)
    unknown = make_step(app, broken, 1, event="no such event")
    known = make_step(app, broken, 2)
    others = [make_step(app, fine, sequence) for sequence in (1, 2)]
    assert relay(app) == 2
    assert relay(app) == 1
    assert [line.order_event_id for line in told(app, fine.buyer_id)] == others
    assert told(app, broken.buyer_id) == []
    held, _ = outbox(app)
    assert (held.subject_id, held.attempts, held.dead_at) == (unknown, 1, None)
    assert held.last_error.startswith("KeyError: ('no such event'")
    assert 3 < seconds_until(held.due_at) <= 5
    for attempts in range(2, 6):
        time_passes(app)
        assert relay(app) == 1
        assert outbox(app)[0].attempts == attempts
    assert outbox(app)[0].dead_at is not None
    assert relay(app) == 1
    assert [line.order_event_id for line in told(app, broken.buyer_id)] == [known]
    assert [message.id for message in outbox(app)] == [held.id]


# Killed


def kill_at(environment: dict[str, str], code: str) -> None:
    """Run `code` in a process of its own, which `die()` ends as `kill -9` would."""
    prelude = (
        "import os, signal\nfrom app import create_app\nimport tasks.relay, tasks.outbox\n"
        "def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    arguments = ["-c", f"{prelude}with create_app().app_context():\n    {code}"]
    ended = run_forked(arguments, environ={**os.environ, **environment}, timeout=60)
    assert ended.returncode == -9, ended.stderr


def webhook_environment(environment: dict[str, str], receiver: Receiver) -> dict[str, str]:
    """For processes of their own, which send to `receiver`."""
    return {**environment, "WEBHOOK_URL": receiver.url, "WEBHOOK_SECRET": SECRET}


def test_a_relay_killed_between_lease_and_job(app: Flask, environment: dict[str, str]) -> None:
    event_id = webhook(app)
    kill_at(environment, "tasks.relay.enqueue_message = die; tasks.relay.relay_once()")
    (message,) = outbox(app)
    assert (message.leased, message.attempts, queued(app)) == (True, 0, [])
    assert relay(app) == 0
    time_passes(app)
    with receiving(app) as receiver:
        assert relay(app) == 1
        work_off(app)
    assert (receiver.ids, outbox(app)) == ([f"evt_{event_id}"], [])


def test_a_worker_killed_in_the_middle_of_its_work(app: Flask, environment: dict[str, str], tmp_path: Path) -> None:
    event_id = webhook(app)
    with receiving(app) as receiver:
        receiver.open_door.clear()
        relay(app)
        with running(webhook_environment(environment, receiver), tmp_path, "tasks.worker", "default") as worker:
            wait_until(lambda: len(receiver.deliveries) == 1, "the worker is sending")
            worker.kill()
        receiver.open_door.set()
        (message,) = outbox(app)
        assert (message.leased, message.attempts, message.last_error) == (True, 1, None)
        assert relay(app) == 0
        time_passes(app)
        assert relay(app) == 1
        work_off(app)
    assert receiver.ids == [f"evt_{event_id}"] * 2
    assert outbox(app) == []


def test_a_worker_killed_between_the_work_and_its_note(app: Flask, environment: dict[str, str]) -> None:
    event_id = webhook(app)
    with receiving(app) as receiver:
        relay(app)
        kill_at(
            webhook_environment(environment, receiver), "tasks.outbox.complete = die; tasks.outbox.work_message(1, 0)"
        )
        assert len(outbox(app)) == 1
        time_passes(app)
        relay(app)
        work(app, 1, 1)
    # At least once, and known by its id.
    assert receiver.ids == [f"evt_{event_id}"] * 2
    assert outbox(app) == []


def test_what_kills_every_worker_dies_too(app: Flask, environment: dict[str, str]) -> None:
    webhook(app)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(OutboxMessage).values(attempts=14))
    with receiving(app) as receiver:
        relay(app)
        receiver.on_request = lambda: None
        kill_at(
            webhook_environment(environment, receiver), "tasks.outbox.complete = die; tasks.outbox.work_message(1, 14)"
        )
        time_passes(app)
        assert relay(app) == 1
        work(app, 1, 15)
        assert len(receiver.deliveries) == 1
        time_passes(app)
        assert relay(app) == 0
    (message,) = outbox(app)
    assert (message.attempts, message.last_error) == (15, "the last attempt never reported back")
    assert message.dead_at is not None


def test_valkey_emptied_loses_nothing(app: Flask, settings: Settings) -> None:
    event_id = webhook(app)
    assert relay(app) == 1
    with redis.Redis.from_url(settings.redis_url) as connection:
        connection.flushdb()
    assert queued(app) == []
    time_passes(app)
    with receiving(app) as receiver:
        assert relay(app) == 1
        work_off(app)
    assert (receiver.ids, outbox(app)) == ([f"evt_{event_id}"], [])


# Twice


def at_once(*calls: Callable[[], None]) -> None:
    """Call them all in threads of their own."""
    together = threading.Barrier(len(calls))

    def call(each: Callable[[], None]) -> None:
        together.wait()
        each()

    threads = [threading.Thread(target=call, args=(each,)) for each in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_of_two_jobs_for_one_lease_one_works(app: Flask) -> None:
    event_id = webhook(app)
    relay(app)
    with receiving(app) as receiver:
        at_once(lambda: work(app, 1, 0), lambda: work(app, 1, 0))
    assert (receiver.ids, outbox(app)) == ([f"evt_{event_id}"], [])


def test_a_job_that_comes_late_changes_nothing(app: Flask) -> None:
    webhook(app)
    with receiving(app) as receiver:
        receiver.answers.append(500)
        relay(app)
        work(app, 1, 0)
        before = outbox(app)
        work(app, 1, 0)  # the same job, queued twice
        work(app, 404, 0)
        assert outbox(app) == before
        assert len(receiver.deliveries) == 1


def test_an_attempt_that_outlived_its_lease_notes_no_failure(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[str] = []  # counted, as the row tells only of the one that ended last

    def record_failure(*arguments: Any, error: str, **options: Any) -> None:
        noted.append(error)
        outbox_service.record_failure(*arguments, error=error, **options)

    monkeypatch.setattr("tasks.outbox.record_failure", record_failure)
    webhook(app)
    with receiving(app) as receiver:
        receiver.answers.extend([500, 500])
        receiver.open_door.clear()
        relay(app)
        first = threading.Thread(target=work, args=(app, 1, 0))
        first.start()
        wait_until(lambda: len(receiver.deliveries) == 1, "the first attempt sends")
        time_passes(app)
        relay(app)
        second = threading.Thread(target=work, args=(app, 1, 1))
        second.start()
        wait_until(lambda: len(receiver.deliveries) == 2, "the second attempt sends")
        receiver.open_door.set()
        first.join()
        second.join()
    (message,) = outbox(app)
    assert len(noted) == 1
    assert (message.attempts, message.leased) == (2, False)
    assert 5 < seconds_until(message.due_at) <= 10


# The operator's commands


def three_messages(app: Flask) -> None:
    """One dead, one leased, one due, of three topics."""
    add_message(app, "payment_refund", 71)
    add_message(app, "webhook", 72)
    add_message(app, "search_index", 73)
    dead = {"attempts": 20, "dead_at": utcnow(), "last_error": "GatewayUnavailable: no answer\nand more of it"}
    lease = {"leased": True, "due_at": utcnow() + timedelta(minutes=1), "stream": "webhook:order:5"}
    with app.app_context(), db.engine.begin() as connection:
        for message_id, values in ((1, dead), (2, lease)):
            connection.execute(update(OutboxMessage).where(OutboxMessage.id == message_id).values(**values))


def columns(output: str) -> list[list[str]]:
    """The first five columns of each row."""
    return [line.split()[:5] for line in output.splitlines()[1:]]


def test_list(app: Flask) -> None:
    assert flask_outbox(app, "list")[1].split() == [
        "id",
        "topic",
        "subject",
        "stream",
        "state",
        "attempts",
        "due",
        "last",
        "error",
    ]
    three_messages(app)
    code, output = flask_outbox(app, "list")
    assert code == 0
    assert [row[:3] for row in columns(output)] == [
        ["1", "payment_refund", "71"],
        ["2", "webhook", "72"],
        ["3", "search_index", "73"],
    ]
    first, second, third = output.splitlines()[1:]
    assert first.split()[3:] == ["dead", "20", "GatewayUnavailable:", "no", "answer"]
    assert second.split()[3:7] == ["webhook:order:5", "at", "work", "0"]
    assert third.split()[3:5] == ["due", "0"]
    assert [row[0] for row in columns(flask_outbox(app, "list", "--dead")[1])] == ["1"]
    assert [row[0] for row in columns(flask_outbox(app, "list", "--topic", "webhook")[1])] == ["2"]
    assert flask_outbox(app, "list", "--limit", "2")[1].splitlines()[-1] == "only the first 2 are shown"
    assert flask_outbox(app, "list", "--topic", "gossip")[0] == 2


def test_show(app: Flask) -> None:
    three_messages(app)
    code, output = flask_outbox(app, "show", "1")
    assert code == 0
    lines = dict(line.split(maxsplit=1) for line in output.splitlines() if len(line.split()) > 1)
    assert (lines["topic"], lines["subject"], lines["state"], lines["attempts"]) == (
        "payment_refund",
        "71",
        "dead",
        "20",
    )
    assert "last error  GatewayUnavailable: no answer\nand more of it\n" in output
    assert flask_outbox(app, "show", "9") == (1, "Error: there is no message 9\n")


def test_replay(app: Flask) -> None:
    three_messages(app)
    before = outbox(app)
    assert flask_outbox(app, "replay", "1", "8", "9") == (
        1,
        "Error: there is no message 8, 9; nothing was changed\n",
    )
    assert flask_outbox(app, "replay", "1", "--all-dead")[0] == 2
    assert flask_outbox(app, "replay", "1", "--topic", "webhook")[0] == 2
    assert outbox(app) == before
    assert flask_outbox(app, "replay", "2", "2") == (0, "1 messages are due now\n")
    dead, leased, due = outbox(app)
    assert (dead, due) == (before[0], before[2])
    assert (leased.leased, leased.attempts) == (False, 0)
    assert seconds_until(leased.due_at) <= 0
    assert flask_outbox(app, "replay", "--all-dead") == (0, "1 messages are due now\n")
    replayed = outbox(app)[0]
    assert (replayed.dead_at, replayed.attempts, replayed.leased) == (None, 0, False)
    assert flask_outbox(app, "replay", "--all-dead") == (0, "0 messages are due now\n")
    assert sorted(messages(app)) == [("payment_refund", 71), ("search_index", 73), ("webhook", 72)]


def test_replay_of_all_that_failed(app: Flask) -> None:
    """As `docs/webhooks.md` has it: the dead, and what waits to be tried again; nobody's work is done a second time."""
    later = utcnow() + timedelta(hours=1)
    rows: list[dict[str, object]] = [
        {"topic": "payment_refund", "attempts": 20, "leased": False, "due_at": later, "dead_at": utcnow()},
        {"topic": "webhook", "attempts": 3, "leased": False, "due_at": later, "dead_at": None},
        {"topic": "webhook", "attempts": 1, "leased": True, "due_at": later, "dead_at": None},
        {"topic": "webhook", "attempts": 0, "leased": False, "due_at": later, "dead_at": None},
        {"topic": "payout", "attempts": 2, "leased": False, "due_at": later, "dead_at": None},
    ]
    with app.app_context(), db.engine.begin() as connection:
        for number, row in enumerate(rows, start=1):
            connection.execute(insert(OutboxMessage).values(subject_id=number, created_at=utcnow(), **row))
    before = outbox(app)
    assert flask_outbox(app, "replay", "--topic", "webhook") == (0, "1 messages are due now\n")
    dead, failed, at_work, new, payout = outbox(app)
    assert (dead, at_work, new, payout) == (before[0], before[2], before[3], before[4])
    assert (failed.attempts, failed.leased, seconds_until(failed.due_at) <= 0) == (3, False, True)
    assert flask_outbox(app, "replay") == (0, "2 messages are due now\n")
    dead, _, at_work, new, payout = outbox(app)
    assert (dead.dead_at, dead.attempts, seconds_until(dead.due_at) <= 0) == (None, 0, True)
    assert (at_work, new, seconds_until(payout.due_at) <= 0) == (before[2], before[3], True)
    assert flask_outbox(app, "replay") == (0, "0 messages are due now\n")
