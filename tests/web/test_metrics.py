"""What Prometheus reads: exact counts, and what waits."""

import os
import re
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from rq import Queue
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer
from sqlalchemy import insert
from werkzeug.test import Client

from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from app.extensions import valkey
from app.outbox.models import OutboxMessage, Topic
from app.outbox.service import RELAY_HEARTBEAT_KEY
from app.periodic.models import SCHEDULER_LOCK_KEY
from app.periodic.service import list_jobs, record_failure, record_success
from app.web.metrics import observe_request
from config import PROJECT_ROOT, Environment
from statemachine import GoodStatus
from statemachine.order import AWAITING_PAYMENT, REFUNDED_RETURNED, SHIPPED
from tests.conftest import MakeApp
from tests.factories import assert_envelope, make_good, make_order, make_user
from tests.live import LiveServer
from tests.settings import settings_with

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(client: Client) -> Samples:
    response = client.get("/metrics")
    assert (response.status_code, response.content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return parsed(response.get_data(as_text=True))


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


def test_requests_are_counted_by_rule_never_by_path(client: FlaskClient) -> None:
    labels = {"method": "GET", "rule": "/api/good/<id:good_id>"}
    before = scrape(client)
    for path in ("/api/good/1/", "/api/good/2", "/api/good/nonsense/"):
        client.get(path)
    after = scrape(client)
    counted = "saltfish_http_requests_total"
    assert value(after, counted, **labels, http="404") == (value(before, counted, **labels, http="404") or 0) + 3
    seconds = "saltfish_http_request_seconds_count"
    assert value(after, seconds, **labels) == (value(before, seconds, **labels) or 0) + 3
    assert not [name for name, found in after if "/api/good/1/" in dict(found).values()]


def test_unknown_urls_and_methods_make_no_labels_of_their_own(client: FlaskClient) -> None:
    before = value(scrape(client), "saltfish_http_requests_total", method="other", rule="(none)", http="404") or 0
    for number in range(5):
        client.open(f"/nowhere/{number}", method=f"VERB{number}")
    after = scrape(client)
    assert value(after, "saltfish_http_requests_total", method="other", rule="(none)", http="404") == before + 5


def test_latency_falls_into_its_buckets(client: FlaskClient) -> None:
    name, labels = "saltfish_http_request_seconds_bucket", {"method": "GET", "rule": "/of-this-test"}
    for seconds in (0.0009, 0.2, 20.0):
        observe_request(method="GET", rule="/of-this-test", http=200, seconds=seconds)
    samples = scrape(client)
    counts = {le: value(samples, name, **labels, le=le) for le in ("0.001", "0.1", "0.25", "10.0", "+Inf")}
    assert counts == {"0.001": 1, "0.1": 1, "0.25": 2, "10.0": 2, "+Inf": 3}


def test_what_waits_in_the_database(app: Flask, client: FlaskClient) -> None:
    seller, buyer = make_user(app), make_user(app)
    make_good(app, seller, status=GoodStatus.IN_REVIEW)
    make_good(app, seller, status=GoodStatus.IN_REVIEW)
    make_good(app, seller, status=GoodStatus.IN_REVIEW, deleted=True)
    for phase in (AWAITING_PAYMENT, SHIPPED, SHIPPED, REFUNDED_RETURNED):
        make_order(app, make_good(app, seller, status=GoodStatus.IN_TRADE), buyer, phase=phase)
    with app.app_context(), db.engine.begin() as connection:
        for age in (90, 10):
            message = {"topic": Topic.SEARCH_INDEX, "subject_id": 1, "created_at": utcnow() - timedelta(seconds=age)}
            connection.execute(insert(OutboxMessage).values(**message))
        long_ago, soon, now = utcnow() - timedelta(hours=1), utcnow() + timedelta(minutes=1), utcnow()
        for due_at, dead_at in ((soon, None), (now - timedelta(seconds=30), None), (long_ago, now), (long_ago, now)):
            message = {"topic": Topic.WEBHOOK, "subject_id": 1, "created_at": long_ago}
            connection.execute(insert(OutboxMessage).values(**message, due_at=due_at, dead_at=dead_at))
        connection.execute(
            insert(OutboxMessage).values(topic=Topic.PAYOUT, subject_id=1, created_at=long_ago, due_at=soon)
        )
    samples = scrape(client)
    assert value(samples, "saltfish_goods_in_review") == 2
    orders = {found: count for (name, found), count in samples.items() if name == "saltfish_open_orders"}
    assert orders == {
        frozenset({("bill_status", "1"), ("order_status", "6")}): 1,
        frozenset({("bill_status", "2"), ("order_status", "7")}): 2,
    }
    assert value(samples, "saltfish_outbox_messages", topic="search_index") == 2
    assert value(samples, "saltfish_outbox_messages", topic="payment_refund") == 0
    assert value(samples, "saltfish_outbox_oldest_seconds", topic="search_index") == pytest.approx(90, abs=5)
    assert value(samples, "saltfish_outbox_oldest_seconds", topic="payment_refund") == 0
    # Lag is of what could be done now; what waits after a failure, or is at work, has none. The dead do not count.
    of_webhooks = {
        name: value(samples, f"saltfish_outbox_{name}", topic="webhook")
        for name in ("messages", "dead_messages", "lag_seconds", "oldest_seconds")
    }
    assert of_webhooks == {
        "messages": 2,
        "dead_messages": 2,
        "lag_seconds": pytest.approx(30, abs=5),
        "oldest_seconds": pytest.approx(3600, abs=5),
    }
    assert value(samples, "saltfish_outbox_lag_seconds", topic="payout") == 0
    assert value(samples, "saltfish_outbox_messages", topic="payout") == 1
    assert value(samples, "saltfish_outbox_dead_messages", topic="payment_refund") == 0


def test_queues_and_failed_jobs(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        queue = Queue("default", connection=valkey(), serializer=JSONSerializer)
        jobs = [queue.enqueue("builtins.len", "abc") for _ in range(3)]
        FailedJobRegistry(queue=queue).add(jobs[0], ttl=60)
        queue.remove(jobs[0])
    samples = scrape(client)
    assert value(samples, "saltfish_queue_jobs", queue="default") == 2
    assert value(samples, "saltfish_queue_failed_jobs", queue="default") == 1


def test_what_does_the_work(app: Flask, client: FlaskClient) -> None:
    def up(samples: Samples) -> tuple[float | None, float | None]:
        return value(samples, "saltfish_scheduler_up"), value(samples, "saltfish_relay_up")

    assert up(scrape(client)) == (0, 0)
    with app.app_context():
        valkey().set(SCHEDULER_LOCK_KEY, "the-scheduler", ex=15)
        valkey().set(RELAY_HEARTBEAT_KEY, utcnow().isoformat(), ex=30)
        list_jobs({"sweep-deadlines": 5, "query-payments": 15})
        record_success(name="sweep-deadlines", milliseconds=1250)
        for _ in range(2):
            record_failure(name="sweep-deadlines")
        record_failure(name="of-no-schedule")
    samples = scrape(client)
    assert up(samples) == (1, 1)
    parts = ("period_seconds", "last_success_timestamp_seconds", "last_duration_seconds", "failures_total")
    found = {
        job: [value(samples, f"saltfish_periodic_{part}", job=job) for part in parts]
        for job in ("sweep-deadlines", "query-payments", "of-no-schedule")
    }
    assert found == {
        "sweep-deadlines": [5, pytest.approx(time.time(), abs=30), 1.25, 2],
        "query-payments": [15, None, None, 0],
        "of-no-schedule": [None] * 4,
    }
    assert value(samples, "saltfish_periodic_since_success_seconds", job="sweep-deadlines") == pytest.approx(0, abs=30)


def test_the_alerts_are_about_metrics_that_there_are(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        Queue("default", connection=valkey(), serializer=JSONSerializer).enqueue("builtins.len", "abc")
        list_jobs({"sweep-deadlines": 5})
        record_success(name="sweep-deadlines", milliseconds=1)
    client.get("/healthz")
    shown: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(client.get("/metrics").get_data(as_text=True)):
        for sample in family.samples:
            shown.setdefault(sample.name, set()).update(sample.labels)
    rules = [
        rule
        for group in yaml.safe_load((PROJECT_ROOT / "deploy" / "alerts.yml").read_text("utf-8"))["groups"]
        for rule in group["rules"]
    ]
    assert len(rules) >= 12
    documented = (PROJECT_ROOT / "docs" / "operating.md").read_text("utf-8")
    for rule in rules:
        assert rule["labels"] in ({"severity": "page"}, {"severity": "ticket"}), rule["alert"]
        named = re.findall(r"saltfish_\w+", rule["expr"])
        assert named or rule["alert"] == "SaltfishDown", rule["alert"]
        assert [name for name in named if name not in shown] == [], rule["alert"]
        labels = {*re.findall(r"\{(\w+)=~?", rule["expr"]), *re.findall(r"labels\.(\w+)", str(rule["annotations"]))}
        known = {"job", "instance"}.union(*(shown[name] for name in named))
        assert labels - known == set(), rule["alert"]
        assert f"`{rule['alert']}`" in documented


def test_only_readers_of_metrics_get_them(app: Flask, client: FlaskClient) -> None:
    production = {"environment": Environment.PRODUCTION}
    token = "of-prometheus-0123456789"
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    with_token = {"metrics_token": token}
    cases: tuple[tuple[dict[str, Any], dict[str, str], str | None, Answer | None], ...] = (
        ({}, {}, None, None),
        ({}, {"REMOTE_ADDR": "::1"}, None, None),
        ({}, elsewhere, None, Answer.NO_SUCH_URL),
        (with_token, elsewhere, f"Bearer {token}", None),
        (with_token, elsewhere, f"bearer {token}", None),
        (with_token, {}, None, Answer.TOKEN_INVALID),
        (with_token, {}, f"Bearer {token}x", Answer.TOKEN_INVALID),
        (with_token, {}, f"Basic {token}", Answer.TOKEN_INVALID),
        (with_token, {}, "Bearer übel", Answer.TOKEN_INVALID),
        (production, {}, None, Answer.NO_SUCH_URL),
        ({**production, **with_token}, elsewhere, f"Bearer {token}", None),
    )
    for changes, environ, header, answer in cases:
        headers = {} if header is None else {"Authorization": header}
        with settings_with(app, **changes):
            response = client.get("/metrics", environ_overrides=environ, headers=headers)
        if answer is None:
            assert (response.status_code, b"saltfish_open_orders" in response.data) == (200, True)
        else:
            assert_envelope(response, answer)
            assert b"saltfish_" not in response.data


def test_a_store_that_is_gone_takes_away_its_own_metrics_only(make_app: MakeApp) -> None:
    without_valkey = scrape(make_app(REDIS_URL="redis://127.0.0.1:1/0").test_client())
    assert value(without_valkey, "saltfish_goods_in_review") == 0
    assert not [name for name, _ in without_valkey if name.startswith("saltfish_queue")]
    nowhere = "postgresql+psycopg://nobody:a-secret@127.0.0.1:1/nothing"
    without_database = scrape(make_app(DATABASE_URL=nowhere).test_client())
    assert value(without_database, "saltfish_goods_in_review") is None
    assert [name for name, _ in without_database if name == "saltfish_http_requests_total"]


def test_several_processes_are_added_up(environment: dict[str, str], clean: None, tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()

    def that_have_counted() -> int:
        return sum(path.read_bytes()[:4] != bytes(4) for path in folder.glob("counter_*.db"))

    # prometheus-client looks for the folder when it is imported.
    with LiveServer.start({**environment, "PROMETHEUS_MULTIPROC_DIR": str(folder)}, workers=2, forked=False) as server:
        before = parsed(server.call("GET", "/metrics").content.decode())
        sent, until = 0, time.monotonic() + 60
        # Every request is a connection of its own; each process counts once it has answered one.
        while sent < 40 or that_have_counted() < 2:
            assert time.monotonic() < until, "only one process answers"
            assert server.call("GET", "/healthz").status == 200
            sent += 1
        after = parsed(server.call("GET", "/metrics").content.decode())
    labels = {"method": "GET", "rule": "/healthz", "http": "200"}
    counted = "saltfish_http_requests_total"
    assert (value(after, counted, **labels) or 0) - (value(before, counted, **labels) or 0) == sent
    # A process ends (SIGBUS) where the disk has no room for what it counts, so that has its room from the start.
    files = [path.stat() for path in folder.glob("*.db")]
    assert [each.st_size for each in files] == [1024 * 1024] * 4
    assert [each for each in files if each.st_blocks * 512 < each.st_size] == []


# Files may not grow to what they want: to whoever writes, a full disk. Then a folder that is not there.
_WITHOUT_ROOM = """
import os, resource, sys
from pathlib import Path
from app.web import heartbeat, metrics
folder, nowhere = sys.argv[1:]
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
metrics.reserve_room()
metrics.observe_request(method="GET", rule="/healthz", http=200, seconds=0.1)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
heartbeat.Heartbeat(Path(folder))
print(os.listdir(folder))
os.environ["PROMETHEUS_MULTIPROC_DIR"] = nowhere
for begin in metrics.reserve_room, lambda: heartbeat.Heartbeat(Path(nowhere)):
    try:
        begin()
    except FileNotFoundError:
        print("is told")
"""


def test_a_process_that_begins_without_room_counts_nothing_and_has_no_heartbeat(tmp_path: Path) -> None:
    """The first count ended it (SIGBUS), and so the next one in its place; or the supervisor, for its silence.

    Where it is not for want of room, it does not begin.
    """
    arguments = [str(tmp_path), str(tmp_path / "nowhere")]
    ended = subprocess.run(
        [sys.executable, "-c", _WITHOUT_ROOM, *arguments],
        cwd=PROJECT_ROOT,
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        capture_output=True,
        check=True,
        text=True,
    )
    written = ended.stdout.splitlines()
    assert [line for line in written if "_without_room" not in line] == ["[]", "is told", "is told"]
    assert len(written) == 5
