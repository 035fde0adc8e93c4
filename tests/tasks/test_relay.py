"""The outbox's way into the queues, and the crashes on it."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from flask import Flask
from sqlalchemy import create_engine, make_url, text

from app.db.database import db
from app.extensions import valkey
from app.outbox.service import RELAY_HEARTBEAT_KEY
from config import Settings
from statemachine import GoodStatus
from supervisor.engines import EmbeddedValkey
from tasks.queues import QueueName
from tasks.relay import relay_once, run
from tests.factories import make_good, make_user
from tests.live import SharedServer
from tests.moderation.steps import add_message, good_in_review, messages, status_of
from tests.notifications.steps import an_order, make_step, outbox, told
from tests.settings import settings_with
from tests.tasks.steps import payloads, queued, running, wait_until, work_off
from tests.webhooks.receiver import receiving

pytestmark = pytest.mark.usefixtures("clean")


def relay(app: Flask) -> int:
    """One round."""
    with app.app_context():
        return relay_once()


def test_nothing_to_do(app: Flask, settings: Settings) -> None:
    assert relay(app) == 0
    assert payloads(settings.redis_url) == {}


def test_each_topic_goes_its_way(app: Flask, settings: Settings) -> None:
    good = good_in_review(app)
    add_message(app, "good_verification", good.id)
    add_message(app, "payment_refund", 77)
    add_message(app, "payout", 78)
    add_message(app, "webhook", 79)
    add_message(app, "search_index", good.id)
    order = an_order(app)
    make_step(app, order)
    assert relay(app) == 6
    assert payloads(settings.redis_url) == {
        f"check-good-{good.id}-1": ["tasks.verification.check_good_job", None, [good.id, 1], {}],
        f"conclude-good-{good.id}-1": ["tasks.verification.conclude_good_job", None, [good.id, 1], {}],
        "outbox-2": ["tasks.outbox.work_message", None, [2, 0], {}],
        "outbox-3": ["tasks.outbox.work_message", None, [3, 0], {}],
        "outbox-4": ["tasks.outbox.work_message", None, [4, 0], {}],
        "drain-search-outbox": ["tasks.search.drain_search_outbox", None, [], {}],
    }
    assert queued(app) == [f"check-good-{good.id}-1", "outbox-2", "outbox-3", "outbox-4"]
    assert queued(app, QueueName.SEARCH) == ["drain-search-outbox"]
    # Whoever does the work deletes these once it is done.
    assert messages(app) == [("payment_refund", 77), ("payout", 78), ("webhook", 79), ("search_index", good.id)]
    assert [line.user_id for line in told(app)] == [order.buyer_id, order.seller_id]
    assert relay(app) == 0


def test_several_messages_about_one_good_are_one_review(app: Flask) -> None:
    good = good_in_review(app)
    for _ in range(3):
        add_message(app, "good_verification", good.id)
    assert relay(app) == 3
    assert (queued(app), messages(app)) == ([f"check-good-{good.id}-1"], [])


def test_a_message_about_a_good_that_moved_on_is_dropped(app: Flask) -> None:
    for good_id in (make_good(app, make_user(app)).id, good_in_review(app, deleted=True).id, 12345):
        add_message(app, "good_verification", good_id)
    assert relay(app) == 3
    assert (queued(app), messages(app)) == ([], [])


def test_a_round_carries_a_batch_and_the_next_the_rest(app: Flask) -> None:
    for good_id in range(1, 151):
        add_message(app, "good_verification", good_id)
    assert relay(app) == 100
    assert messages(app) == [("good_verification", good_id) for good_id in range(101, 151)]
    assert relay(app) == 50
    assert messages(app) == []


def both_relay(app: Flask) -> int:
    """Two relays at once, each until nothing is left; returns how much they had to do together."""
    carried: list[int] = []
    together = threading.Barrier(2)

    def carry() -> None:
        together.wait()
        while count := relay(app):
            carried.append(count)

    threads = [threading.Thread(target=carry) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(carried)


def test_two_relays_share_the_jobs(app: Flask) -> None:
    """Rows that one has taken the other passes over, and finds nothing of them left afterwards."""
    goods = [good_in_review(app) for _ in range(30)]
    for good in goods:
        add_message(app, "good_verification", good.id)
    assert both_relay(app) == 30
    assert sorted(queued(app)) == sorted(f"check-good-{good.id}-1" for good in goods)


def test_two_relays_tell_of_each_step_once_and_in_order(app: Flask) -> None:
    orders = [an_order(app) for _ in range(6)]
    ids = {order.id: [make_step(app, order, sequence) for sequence in range(1, 21)] for order in orders}
    with receiving(app):
        assert both_relay(app) >= 120
    assert {message.topic for message in outbox(app)} == {"webhook"}
    for order in orders:
        for side in (order.buyer_id, order.seller_id):
            assert [line.order_event_id for line in told(app, side)] == ids[order.id]
        left = [message for message in outbox(app) if message.stream == f"webhook:order:{order.id}"]
        assert [message.subject_id for message in left] == ids[order.id]


def test_a_good_released_while_nothing_runs_is_reviewed_later(app: Flask) -> None:
    """The process that released it may die right after its commit: the message lies there."""
    good = good_in_review(app)
    add_message(app, "good_verification", good.id)
    assert (queued(app), status_of(app, good)) == ([], GoodStatus.IN_REVIEW)
    assert relay(app) == 1
    work_off(app)
    assert status_of(app, good) == GoodStatus.PUBLISHED


def test_valkey_away_keeps_the_messages(app: Flask) -> None:
    good = good_in_review(app)
    add_message(app, "good_verification", good.id)
    with valkey_of_our_own(app) as own:
        own.stop()
        with pytest.raises(redis.exceptions.ConnectionError):
            relay(app)
        assert messages(app) == [("good_verification", good.id)]
        own.start()
        assert relay(app) == 1
        assert (queued(app), messages(app)) == ([f"check-good-{good.id}-1"], [])


@contextmanager
def valkey_of_our_own(app: Flask) -> Iterator[EmbeddedValkey]:
    """Point the application at a Valkey that the test may stop and start."""
    with tempfile.TemporaryDirectory(prefix="saltfish-relay-", dir="/var/tmp") as folder:
        own = EmbeddedValkey(Path(folder) / "vk", durable=False)
        own.start()
        try:
            with settings_with(app, redis_url=own.url):
                yield own
        finally:
            own.stop()
            own.delete()


@contextmanager
def deletes_blocked(app: Flask) -> Iterator[None]:
    """Let nobody delete a message: who tries, waits."""
    install = """
        CREATE FUNCTION wait_for_the_test() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN OLD; END $$;
        CREATE TRIGGER wait_for_the_test BEFORE DELETE ON outbox
        FOR EACH ROW EXECUTE FUNCTION wait_for_the_test();
    """
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text(install))
    try:
        with app.app_context(), db.engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(4711)"))
            yield
    finally:
        with app.app_context(), db.engine.begin() as connection:
            connection.execute(text("DROP TRIGGER wait_for_the_test ON outbox; DROP FUNCTION wait_for_the_test()"))


def waiting_for_the_test(app: Flask) -> int:
    """How many wait in `deletes_blocked`."""
    with app.app_context(), db.engine.connect() as connection:
        waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return int(connection.execute(waiting).scalar_one())


def test_a_relay_killed_between_queueing_and_commit(app: Flask, environment: dict[str, str], tmp_path: Path) -> None:
    """The message is delivered twice, and that is harmless."""
    good = good_in_review(app)
    add_message(app, "good_verification", good.id)
    with deletes_blocked(app), running(environment, tmp_path, "tasks.relay") as process:
        wait_until(lambda: waiting_for_the_test(app) == 1, "the relay has queued and deletes")
        process.kill()
        assert queued(app) == [f"check-good-{good.id}-1"]
        assert messages(app) == [("good_verification", good.id)]
    work_off(app)
    assert status_of(app, good) == GoodStatus.PUBLISHED
    # The rows that the killed relay had locked are free once PostgreSQL notices its end.
    wait_until(lambda: relay(app) > 0 or ("good_verification", good.id) not in messages(app), "second delivery")
    work_off(app)
    assert status_of(app, good) == GoodStatus.PUBLISHED
    assert messages(app) == [("search_index", good.id)]


def test_delivered_twice_before_a_worker_came(app: Flask) -> None:
    good = good_in_review(app)
    for _ in range(2):
        add_message(app, "good_verification", good.id)
        assert relay(app) == 1
    assert queued(app) == [f"check-good-{good.id}-1"] * 2
    work_off(app)
    assert (status_of(app, good), messages(app)) == (GoodStatus.PUBLISHED, [("search_index", good.id)])


def test_the_process_relays_beats_and_ends(app: Flask, environment: dict[str, str], tmp_path: Path) -> None:
    with running(environment, tmp_path, "tasks.relay", forked=False) as process:
        with app.app_context():
            wait_until(lambda: bool(valkey().exists(RELAY_HEARTBEAT_KEY)), "first heartbeat")
            assert 20 < valkey().ttl(RELAY_HEARTBEAT_KEY) <= 30
        good = good_in_review(app)
        add_message(app, "good_verification", good.id)
        wait_until(lambda: queued(app) == [f"check-good-{good.id}-1"], "the relay carries what comes while it runs")
        assert process.terminate() == 0
        assert [line["event"] for line in process.lines()] == ["relay_started", "outbox_relayed", "relay_stopped"]


@contextmanager
def database_closed(app: Flask, database_url: str) -> Iterator[None]:
    """Throw everybody out of the tests' database and let nobody in."""
    url = make_url(database_url)
    elsewhere = create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with elsewhere.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS false"))
        try:
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
                {"name": url.database},
            )
            yield
        finally:
            connection.execute(text(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS true"))
    elsewhere.dispose()
    with app.app_context():
        db.engine.dispose()


def test_the_process_outlives_postgresql(
    app: Flask, environment: dict[str, str], shared_server: SharedServer, tmp_path: Path
) -> None:
    shared_server.end()
    with running(environment, tmp_path, "tasks.relay") as process:
        wait_until(lambda: process.said("relay_started"), "start")
        with database_closed(app, environment["DATABASE_URL"]):
            wait_until(lambda: process.said("relay_hindered"), "the relay notices")
        good = good_in_review(app)
        add_message(app, "good_verification", good.id)
        wait_until(lambda: queued(app) == [f"check-good-{good.id}-1"], "the relay goes on")
        assert process.terminate() == 0


def test_the_process_outlives_valkey(app: Flask, environment: dict[str, str], tmp_path: Path) -> None:
    with valkey_of_our_own(app) as own:
        own_environment = {**environment, "REDIS_URL": own.url}
        with running(own_environment, tmp_path, "tasks.relay") as process:
            wait_until(lambda: process.said("relay_started"), "start")
            own.stop()
            good = good_in_review(app)
            add_message(app, "good_verification", good.id)
            wait_until(lambda: process.said("relay_hindered"), "the relay notices")
            assert messages(app) == [("good_verification", good.id)]
            own.start()
            wait_until(lambda: messages(app) == [], "the relay goes on")
            assert queued(app) == [f"check-good-{good.id}-1"]
            assert process.terminate() == 0


def test_run_ends_when_told_to(app: Flask) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=run, args=(app, stop))
    thread.start()
    add_message(app, "good_verification", 9)
    wait_until(lambda: messages(app) == [], "carried")
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
