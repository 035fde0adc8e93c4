"""A clock set by a day, Valkey emptied at every step, a full disk: what was acknowledged is there and goes on."""

import io
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from app.db.transactions import autocommit_connection
from app.ledger.audit import audit
from app.orders import history
from app.orders.models import Order
from app.outbox.models import Topic
from app.search import service as search
from config import load_settings
from statemachine import GoodStatus
from statemachine.order import AWAITING_PAYMENT, CANCELLED, PAID, SHIPPED
from supervisor.options import Options
from supervisor.product import temporary_engines
from tasks.deadlines import sweep_deadlines
from tasks.queues import QueueName, connect
from tasks.relay import notice_clock_set_back, relay_once
from tasks.scheduler import Scheduler
from tests.applications import running_app
from tests.factories import (
    assert_envelope,
    auth_headers,
    lead_order,
    make_address,
    make_good,
    make_payment,
    make_user,
    whole_database,
)
from tests.goods.steps import form_with
from tests.moderation.steps import add_message, add_picture, change, good_in_review, messages, status_of
from tests.tasks.steps import work_off

pytestmark = pytest.mark.usefixtures("clean")

SetClock = Callable[[timedelta], None]


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """`set_clock(timedelta(days=1))`: from now on the application's clock is ahead by so much."""

    def set_clock(offset: timedelta) -> None:
        class Shifted(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override] # plain moments, as the real one's
                return datetime.now(tz) + offset

        monkeypatch.setattr("app.clock.datetime", Shifted)

    return set_clock


def assert_money_and_histories_are_whole(app: Flask) -> None:
    with app.app_context():
        assert audit() == []
        for order_no in db.session.scalars(select(Order.order_no)).all():
            assert history.verify(history.export(order_no)) == []
        db.session.remove()


def phases(app: Flask) -> dict[int, tuple[int, int, bool]]:
    return {
        row["id"]: (row["bill_status"], row["order_status"], row["closed"]) for row in whole_database(app)["orders"]
    }


def test_a_clock_set_by_a_day_loses_nothing_and_lets_nothing_wait_for_a_day(app: Flask, set_clock: SetClock) -> None:
    seller, buyer = make_user(app), make_user(app)
    paid = lead_order(app, make_good(app, seller), buyer, phase=PAID)
    unpaid = lead_order(app, make_good(app, seller), buyer, phase=AWAITING_PAYMENT)
    waiting = messages(app)
    assert {topic for topic, _ in waiting} == {Topic.ORDER_STEP.value, Topic.SEARCH_INDEX.value}
    set_clock(timedelta(days=-1))
    with app.app_context():
        assert relay_once() == 0  # all of it is due tomorrow
        assert notice_clock_set_back() == len(waiting)
        assert notice_clock_set_back() == 0
        while relay_once() and any(topic == Topic.ORDER_STEP for topic, _ in messages(app)):
            pass
        sweep_deadlines()
    told = [(row["user_id"], row["order_id"]) for row in whole_database(app)["notifications"]]
    assert (seller.id, paid.id) in told
    assert phases(app) == {paid.id: tuple(PAID), unpaid.id: tuple(AWAITING_PAYMENT)}
    # A day ahead: what ran out by the clock ends as if it had been so long, and nothing else.
    set_clock(timedelta(days=1))
    with app.app_context():
        sweep_deadlines()
    assert phases(app) == {paid.id: tuple(PAID), unpaid.id: tuple(CANCELLED)}
    set_clock(timedelta())
    with app.app_context():
        sweep_deadlines()
        notice_clock_set_back()
        while relay_once() and any(topic == Topic.ORDER_STEP for topic, _ in messages(app)):
            pass
    assert phases(app) == {paid.id: tuple(PAID), unpaid.id: tuple(CANCELLED)}
    assert [topic for topic, _ in messages(app) if topic == Topic.ORDER_STEP] == []
    assert_money_and_histories_are_whole(app)


def test_what_is_leased_before_the_clock_is_set_back_comes_again(app: Flask, set_clock: SetClock) -> None:
    good = good_in_review(app)
    set_clock(timedelta(days=1))
    add_message(app, Topic.GOOD_VERIFICATION, good.id)
    set_clock(timedelta())
    with app.app_context():
        assert (relay_once(), notice_clock_set_back(), relay_once()) == (0, 1, 1)
    work_off(app)
    assert status_of(app, good) == GoodStatus.PUBLISHED


def test_valkey_emptied_at_every_step_of_a_good_and_its_order(app: Flask, client: FlaskClient) -> None:
    valkey = app.extensions["valkey"]
    with app.app_context():
        search.rebuild()
        scheduler = Scheduler(connect())

    def go_on() -> None:
        """Emptied when jobs wait, too; then one round of everybody who works in the background."""
        with app.app_context():
            while relay_once() and len(messages(app)) > 1:
                pass
        valkey.flushdb()
        with app.app_context():
            for job in scheduler.get_jobs():
                job.set_enqueue_time(utcnow() - timedelta(days=1))
            scheduler.step()
        work_off(app)
        with app.app_context():
            relay_once()
        work_off(app)
        work_off(app, QueueName.SEARCH)
        valkey.flushdb()

    seller, buyer = make_user(app), make_user(app)
    headers = {user.id: auth_headers(app, user) for user in (seller, buyer)}
    home, away = make_address(app, buyer), make_address(app, seller)
    good = good_in_review(app, owner_id=seller.id, title="民谣吉他")
    add_message(app, Topic.GOOD_VERIFICATION, good.id)
    go_on()
    change(app, good, updated_at=utcnow() - timedelta(hours=1))  # the sweep of lost reviews waits so long
    go_on()
    assert status_of(app, good) == GoodStatus.PUBLISHED

    def found() -> list[int]:
        response = client.get("/test/?q=吉他")
        data = response.get_json()["data"]
        return [each["id"] for each in data["items"]]

    assert found() == [good.id]
    bought = client.post(f"/api/buy/{good.id}/", json={"address_id": home.id}, headers=headers[buyer.id])
    order_id = assert_envelope(bought, Answer.ORDER_CREATED)["id"]
    go_on()
    assert found() == []
    with app.app_context():
        make_payment(order_id)
    go_on()
    parcel = {"address_id": away.id, "company": "顺丰速运", "tracking_no": "SF1234567890"}
    sent = client.post(f"/api/seller_send_delivery/{order_id}/", json=parcel, headers=headers[seller.id])
    assert_envelope(sent, Answer.ORDER_SHIPPED)
    go_on()
    assert phases(app) == {order_id: tuple(SHIPPED)}
    assert messages(app) == []
    told = [row["event"] for row in whole_database(app)["notifications"] if row["user_id"] == buyer.id]
    assert "ship" in told
    with app.app_context():
        scheduler.retire()
    assert_money_and_histories_are_whole(app)


@contextmanager
def full_disk(limit: int) -> Iterator[None]:
    """No file may grow beyond `limit` bytes: to whoever writes the same as a disk without room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# Werkzeug leaves the file open that it could not write.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_full_disk_under_pictures(app: Flask, client: FlaskClient) -> None:
    seller = make_user(app)
    headers = auth_headers(app, seller)
    noise = io.BytesIO()
    Image.frombytes("RGB", (400, 400), os.urandom(400 * 400 * 3)).save(noise, "JPEG", quality=15)
    form = form_with(noise.getvalue())
    limit = len(noise.getvalue()) + 5000  # the upload has room, and what becomes of it has none
    pictures = Path(app.instance_path) / "pictures"
    kept = make_good(app, seller)
    add_picture(app, kept)

    def files() -> list[Path]:
        return sorted(path for path in pictures.rglob("*") if path.is_file())

    before, there = whole_database(app), files()
    # Large uploads want room for themselves already.
    for room, sent in ((limit, form), (1000, form_with(noise.getvalue() + bytes(600_000)))):
        with full_disk(room):
            refused = client.post("/api/good_release/", headers=headers, **sent)
        assert assert_envelope(refused, Answer.NOT_READY) is None
        assert refused.headers["Retry-After"] == "5"
        assert whole_database(app) == before
        assert files() == there
    released = assert_envelope(client.post("/api/good_release/", headers=headers, **form), Answer.GOOD_RELEASED)
    [shown] = client.get(f"/api/good/{released['id']}/", headers=headers).get_json()["data"]["pictures"]
    assert len(client.get(shown["url"], headers=headers).data) > limit


# Whoosh leaves the files open that it could not write.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_full_disk_under_the_index(app: Flask, client: FlaskClient) -> None:
    seller = make_user(app)
    first = make_good(app, seller, title="民谣吉他")
    with app.app_context():
        assert search.rebuild() == 1
    for number in range(60):
        words = " ".join(f"{number * 31 + each:x}吉他" for each in range(150))
        good = make_good(app, seller, title=f"吉他 {number}", description=words[:1900])
        add_message(app, Topic.SEARCH_INDEX, good.id)
    waiting = messages(app)
    assert len(waiting) == 60
    with app.app_context(), full_disk(12_000), pytest.raises(OSError, match="File too large"):
        search.drain_outbox()

    def total() -> int:
        response = client.get("/test/?q=吉他")
        return int(response.get_json()["data"]["total"])

    assert total() == 1  # what was there is found as before
    assert sorted(messages(app)) == sorted(waiting)
    with app.app_context():
        assert search.drain_outbox() == 60
    assert messages(app) == []
    with app.app_context():
        search.search_index().check()
    assert first.id in [row["id"] for row in whole_database(app)["goods"]]


@pytest.fixture
def crowded(environment: dict[str, str], tmp_path: Path) -> Iterator[Flask]:
    """A market with a PostgreSQL of its own, none of whose files grows beyond 17 MiB: a segment of its log is 16."""
    with ExitStack() as stack:
        with full_disk(17 * 1024 * 1024):
            urls = stack.enter_context(temporary_engines(Options(redis_url=environment["REDIS_URL"])))
        own = {"DATABASE_URL": urls["DATABASE_URL"], "INSTANCE_PATH": str(tmp_path)}
        app = stack.enter_context(running_app(load_settings({**environment, **own})))
        with app.app_context():
            flask_migrate.upgrade()
        yield app


_KEPT_ANSWERS = text(
    "INSERT INTO idempotency_keys (scope, key, request_hash, http_status, headers, body, created_at) "
    "SELECT 0, :batch || '-' || number, '', 200, '{}', decode(repeat(md5(random()::text), 50), 'hex'), now() "
    "FROM generate_series(1, 1000) AS number"
)


def keep_answers(*, batches: int) -> None:
    """Keep some 850 kB of answers in each batch."""
    for batch in range(batches):
        with db.engine.begin() as connection:
            connection.execute(_KEPT_ANSWERS, {"batch": str(batch)})


def test_a_full_disk_under_postgresql(crowded: Flask) -> None:
    """A purchase whose last row finds no room leaves nothing; one that needs none there goes on."""
    client = crowded.test_client()
    seller, buyer = make_user(crowded), make_user(crowded)
    home = make_address(crowded, buyer)

    def buy(**headers: str) -> Any:
        good = make_good(crowded, seller)
        before = whole_database(crowded)
        sent = {**auth_headers(crowded, buyer), **headers}
        answer = client.post(f"/api/buy/{good.id}/", json={"address_id": home.id}, headers=sent)
        return answer, before

    kept = {"Idempotency-Key": "before-the-disk-was-full"}
    acknowledged, _ = buy(**kept)
    first = assert_envelope(acknowledged, Answer.ORDER_CREATED)["id"]
    with crowded.app_context(), pytest.raises(DBAPIError, match="could not extend file"):
        keep_answers(batches=40)
    refused, before = buy(**{"Idempotency-Key": "while-it-is-full"})
    # To PostgreSQL a limit of sizes is no full disk, whose SQLSTATE is 53100: see tests/web/test_errors.py.
    assert_envelope(refused, Answer.FAULT)
    assert whole_database(crowded) == before
    second = assert_envelope(buy()[0], Answer.ORDER_CREATED)["id"]
    with crowded.app_context(), autocommit_connection() as connection:
        connection.execute(text("DELETE FROM idempotency_keys WHERE scope = 0"))
        connection.execute(text("VACUUM idempotency_keys"))
    third = assert_envelope(buy(**{"Idempotency-Key": "while-it-is-full"})[0], Answer.ORDER_CREATED)["id"]
    assert phases(crowded) == dict.fromkeys((first, second, third), tuple(AWAITING_PAYMENT))
    assert_money_and_histories_are_whole(crowded)
