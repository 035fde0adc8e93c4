"""Alive, and ready: each fault is named, and no secret with it."""

import re
import shutil
from collections.abc import Iterator
from datetime import timedelta

import pytest
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask.testing import FlaskClient
from rq import SimpleWorker
from rq.utils import utcformat
from sqlalchemy import delete, text, update

from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from app.extensions import valkey
from app.outbox.service import RELAY_HEARTBEAT_KEY
from app.periodic.models import SCHEDULER_LOCK_KEY, PeriodicJob
from app.periodic.service import list_jobs, record_success
from app.version import __version__
from app.web import health
from config import PROJECT_ROOT, Settings
from tests.conftest import MakeApp
from tests.factories import assert_envelope

NAMES = [
    "database",
    "migrations",
    "valkey",
    "worker_default",
    "worker_search",
    "worker_vision",
    "vision",
    "relay",
    "scheduler",
    "periodic_jobs",
    "search",
]
_SECONDS = re.compile(r"(-?[0-9]+) s ago")
HEADS = sorted(ScriptDirectory(str(PROJECT_ROOT / "migrations")).get_heads())


@pytest.fixture
def ready(app: Flask, settings: Settings, clean: None) -> Iterator[dict[str, SimpleWorker]]:
    """Everything that `/readyz` looks for; returns the registered workers by queue."""
    app.extensions.pop("saltfish.search", None)
    shutil.rmtree(settings.search_index_path, ignore_errors=True)
    with app.app_context():
        with db.engine.begin() as connection:
            MigrationContext.configure(connection).stamp(ScriptDirectory(str(PROJECT_ROOT / "migrations")), "heads")
        workers = {name: SimpleWorker([name], connection=valkey()) for name in ("default", "search", "vision")}
        for worker in workers.values():
            worker.register_birth()
        valkey().set(RELAY_HEARTBEAT_KEY, utcnow().isoformat(), ex=30)
        valkey().set(SCHEDULER_LOCK_KEY, "the-scheduler", ex=15)
        list_jobs({"sweep-deadlines": 5, "purge-idempotency-keys": 600})
        yield workers
        with db.engine.begin() as connection:
            connection.execute(text("DROP TABLE IF EXISTS alembic_version"))


def failed(client: FlaskClient, *, age: int | None = None) -> dict[str, str]:
    """The checks that fail, with their details; in these `age` stands for as many seconds, or some more by now."""
    data = assert_envelope(client.get("/readyz"), Answer.NOT_READY)
    assert [check["name"] for check in data["checks"]] == NAMES
    details = {check["name"]: check["detail"] for check in data["checks"] if not check["ok"]}
    if age is None:
        return details
    ages = {str(age + seconds) for seconds in range(60)}
    return {
        name: _SECONDS.sub(lambda found: f"{age} s ago" if found[1] in ages else found[0], detail)
        for name, detail in details.items()
    }


def test_alive(client: FlaskClient) -> None:
    assert assert_envelope(client.get("/healthz"), Answer.OK) == {"version": __version__}


def test_alive_without_any_store(make_app: MakeApp) -> None:
    nowhere = {"DATABASE_URL": "postgresql+psycopg://127.0.0.1:1/nothing", "REDIS_URL": "redis://127.0.0.1:1/0"}
    assert_envelope(make_app(**nowhere).test_client().get("/healthz"), Answer.OK)


def test_ready(client: FlaskClient, ready: dict[str, SimpleWorker]) -> None:
    checks = assert_envelope(client.get("/readyz"), Answer.OK)["checks"]
    assert [check["name"] for check in checks] == NAMES
    assert all(check["ok"] for check in checks)
    details = {check["name"]: check["detail"] for check in checks}
    assert details["migrations"] == f"at {', '.join(HEADS) or 'none'}"
    assert details["worker_default"].startswith("1 listening, last heartbeat ")
    assert (details["database"], details["valkey"], details["relay"]) == ("answers", "answers", "running")
    assert (details["scheduler"], details["periodic_jobs"]) == ("running", "2 on time")
    assert details["vision"] == "installed"


@pytest.mark.parametrize(("chosen", "told"), [("review", "wait for a person"), ("pass", "pass unseen")])
def test_ready_without_the_extra_that_looks_at_pictures(
    make_app: MakeApp, ready: dict[str, SimpleWorker], monkeypatch: pytest.MonkeyPatch, chosen: str, told: str
) -> None:
    """No fault, but who reads it should know."""
    monkeypatch.setattr(health, "is_installed", lambda: False)
    answer = make_app(PICTURES_UNSEEN=chosen).test_client().get("/readyz")
    checks = {check["name"]: check for check in assert_envelope(answer, Answer.OK)["checks"]}
    expected = {"name": "vision", "ok": True, "detail": f"not installed: pictures of goods {told}"}
    assert checks["vision"] == expected


@pytest.mark.parametrize("queue", ["default", "search", "vision"])
def test_not_ready_without_a_worker(client: FlaskClient, ready: dict[str, SimpleWorker], queue: str) -> None:
    ready[queue].register_death()
    assert failed(client) == {f"worker_{queue}": "no worker"}


def test_not_ready_when_the_last_heartbeat_is_old(client: FlaskClient, ready: dict[str, SimpleWorker]) -> None:
    worker = ready["search"]
    # The last one: the clock was set back after the heartbeat.
    for age, expected in (
        (90, {}),
        (300, {"worker_search": "last heartbeat 300 s ago"}),
        (-86_400, {"worker_search": "last heartbeat -86400 s ago"}),
    ):
        worker.connection.hset(worker.key, "last_heartbeat", utcformat(utcnow() - timedelta(seconds=age)))
        if expected:
            assert failed(client, age=age) == expected
        else:
            assert_envelope(client.get("/readyz"), Answer.OK)


def test_one_living_worker_is_enough(app: Flask, client: FlaskClient, ready: dict[str, SimpleWorker]) -> None:
    second = SimpleWorker(["default"], connection=valkey())
    second.register_birth()
    second.connection.hset(second.key, "last_heartbeat", utcformat(utcnow() - timedelta(hours=1)))
    assert_envelope(client.get("/readyz"), Answer.OK)


def test_not_ready_without_the_relay(client: FlaskClient, ready: dict[str, SimpleWorker]) -> None:
    valkey().expire(RELAY_HEARTBEAT_KEY, 86_400)  # from before Valkey's clock was set back
    assert failed(client) == {"relay": "no heartbeat"}
    valkey().delete(RELAY_HEARTBEAT_KEY)
    assert failed(client) == {"relay": "no heartbeat"}


def test_not_ready_without_a_scheduler(client: FlaskClient, ready: dict[str, SimpleWorker]) -> None:
    valkey().delete(SCHEDULER_LOCK_KEY)
    assert failed(client) == {"scheduler": "no heartbeat"}


def test_not_ready_while_a_sweep_is_overdue(client: FlaskClient, ready: dict[str, SimpleWorker]) -> None:
    """Three periods, and five minutes at least; counted from the first listing for a job that has never run."""
    for column in ("listed_at", "succeeded_at"):
        for name, age, said in (
            ("sweep-deadlines", 270, ""),
            ("sweep-deadlines", 400, "sweep-deadlines: last done 400 s ago, every 5 s"),
            ("sweep-deadlines", -86_400, "sweep-deadlines: last done -86400 s ago, every 5 s"),
            ("purge-idempotency-keys", 1700, ""),
            ("purge-idempotency-keys", 1900, "purge-idempotency-keys: last done 1900 s ago, every 600 s"),
        ):
            for each in ("sweep-deadlines", "purge-idempotency-keys"):
                record_success(name=each, milliseconds=1)
            with db.engine.begin() as connection:
                changed = {"succeeded_at": None, column: utcnow() - timedelta(seconds=age)}
                connection.execute(update(PeriodicJob).where(PeriodicJob.name == name).values(**changed))
            if said:
                assert failed(client, age=age) == {"periodic_jobs": said}
            else:
                assert_envelope(client.get("/readyz"), Answer.OK)
    list_jobs({"of-another-schedule": 5})
    assert_envelope(client.get("/readyz"), Answer.OK)
    with db.engine.begin() as connection:
        connection.execute(delete(PeriodicJob))
    assert failed(client) == {"periodic_jobs": "no scheduler has listed any yet"}


def test_not_ready_at_another_migration(client: FlaskClient, ready: dict[str, SimpleWorker]) -> None:
    with db.engine.begin() as connection:
        MigrationContext.configure(connection)._ensure_version_table()  # stamping nothing makes none
        connection.execute(text("DELETE FROM alembic_version"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('0001')"))
    assert failed(client) == {"migrations": f"at 0001, newest is {', '.join(HEADS)}"}
    with db.engine.begin() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
    assert failed(client) == {"migrations": f"at none, newest is {', '.join(HEADS)}"}


def test_ready_while_the_next_version_has_migrated_already(client: FlaskClient, ready: dict[str, SimpleWorker]) -> None:
    """Else the balancer would take every process of this version away as soon as an upgrade begins."""
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'of_tomorrow'"))
    checks = {check["name"]: check for check in assert_envelope(client.get("/readyz"), Answer.OK)["checks"]}
    assert checks["migrations"]["detail"] == f"at of_tomorrow, ahead of this version's {', '.join(HEADS)}"


def test_not_ready_without_stores_and_no_secret_tells_why(make_app: MakeApp) -> None:
    app = make_app(
        DATABASE_URL="postgresql+psycopg://secret-user:secret-word@127.0.0.1:1/secret-name",
        REDIS_URL="redis://:secret-word@127.0.0.1:1/0",
    )
    client = app.test_client()
    assert failed(client) == {
        "database": "OperationalError",
        "migrations": "OperationalError",
        "valkey": "ConnectionError",
        "worker_default": "ConnectionError",
        "worker_search": "ConnectionError",
        "worker_vision": "ConnectionError",
        "relay": "ConnectionError",
        "scheduler": "ConnectionError",
        "periodic_jobs": "OperationalError",
        "search": "OperationalError",
    }
    assert b"secret" not in client.get("/readyz").data
