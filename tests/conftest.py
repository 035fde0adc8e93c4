"""Real engines for every test: PostgreSQL and Valkey from the environment, or embedded ones started for the session.

Each pytest process gets a database and a Valkey number of its own, so runs may go side by side.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import flask_migrate
import psycopg
import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import settings as hypothesis_settings
from sqlalchemy import delete, exists, make_url, select, text

from app import create_app
from app.db.database import db
from app.extensions import limiter
from app.logs import configure_logging
from app.money.sandbox.keys import create_keys
from config import Environment, Settings, load_settings
from supervisor.market import temporary_engines
from supervisor.options import Options
from tests.live import LiveServer

# A property that takes long on a busy machine is no failure.
hypothesis_settings.register_profile("saltfish", deadline=None)
hypothesis_settings.load_profile("saltfish")


@pytest.fixture(scope="session")
def stores() -> Iterator[tuple[str, str]]:
    """`(database_url, redis_url)` of this pytest process's own, empty stores."""
    with ExitStack() as stack:
        database_url, redis_url = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
        if not (database_url and redis_url):
            urls = stack.enter_context(temporary_engines(Options()))
            database_url, redis_url = urls["DATABASE_URL"], urls["REDIS_URL"]
        worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
        server = make_url(database_url)
        name = f"saltfish_test_{os.getpid()}_{worker}"
        with psycopg.connect(_dsn(str(server.render_as_string(hide_password=False))), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
            yield (
                server.set(database=name).render_as_string(hide_password=False),
                _with_number(redis_url, int(worker) + 1),
            )
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _dsn(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def _with_number(redis_url: str, number: int) -> str:
    separator = "&" if "?" in redis_url else "?"
    return f"{redis_url}{separator}db={number}"


@pytest.fixture(scope="session")
def environment(stores: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables that the tests' application reads, for processes of its own too: own stores, folders and keys.

    Rate limits are off; tests of limits switch them on for an application of their own.
    """
    instance = tmp_path_factory.mktemp("instance")
    create_keys(instance / "keys")
    return {
        "SALTFISH_ENV": Environment.TESTING.value,
        "DATABASE_URL": stores[0],
        "REDIS_URL": stores[1],
        "INSTANCE_PATH": str(instance),
        "SEARCH_INDEX_PATH": str(instance / "search"),
        "ALIPAY_APP_PRIVATE_KEY_PATH": str(instance / "keys" / "app_private.pem"),
        "ALIPAY_PUBLIC_KEY_PATH": str(instance / "keys" / "gateway_public.pem"),
        "JWT_SECRET_KEY": "secret-key-of-the-tests-0123456789abcdef",
        "CAPTCHA_REVEAL": "1",
        "RATE_LIMITS_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
    }


@pytest.fixture(scope="session")
def settings(environment: dict[str, str]) -> Settings:
    """The settings that `environment` makes."""
    return load_settings(environment)


@pytest.fixture(scope="session")
def app(settings: Settings) -> Iterator[Flask]:
    """The application on the migrated test database. An app context is not pushed: each test opens what it needs."""
    app = create_app(settings)
    with app.app_context():
        flask_migrate.upgrade()
    yield app
    with app.app_context():
        db.engine.dispose()
    app.extensions["valkey"].close()


@pytest.fixture
def clean(app: Flask, settings: Settings) -> Iterator[None]:
    """Empty stores around a test."""
    empty_stores(app, settings)
    yield
    with app.app_context():
        db.session.remove()


_ADVANCED = "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL"


def empty_stores(app: Flask, settings: Settings) -> None:
    """Empty every table and the Valkey number of `app`."""
    with app.app_context(), db.engine.begin() as connection:
        # The ledger and the histories refuse to be emptied; only a superuser of the database may leave triggers out.
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        tables = db.metadata.sorted_tables
        used = connection.execute(select(*(exists().select_from(table) for table in tables))).one()
        # Most tests use a few tables: to truncate all of them takes much longer.
        for table, has_rows in zip(tables, used, strict=True):
            if has_rows:
                connection.execute(delete(table))
        for (sequence,) in connection.execute(text(_ADVANCED)).all():
            connection.execute(text(f"ALTER SEQUENCE {sequence} RESTART"))
    with redis.Redis.from_url(settings.redis_url) as valkey:
        valkey.flushdb()


@pytest.fixture
def client(app: Flask, clean: None) -> FlaskClient:
    """A test client on empty stores."""
    return app.test_client()


@pytest.fixture
def context(app: Flask, clean: None) -> Iterator[Flask]:
    """The application with its context pushed, on empty stores: for calling services."""
    with app.app_context():
        yield app


@pytest.fixture
def live_server(app: Flask, environment: dict[str, str], clean: None) -> Iterator[LiveServer]:
    """The application as granian serves it, in processes of its own, on empty stores."""
    with LiveServer.start(environment) as server:
        yield server


MakeApp = Callable[..., Flask]


@pytest.fixture
def make_app(clean: None, environment: dict[str, str], settings: Settings) -> Iterator[MakeApp]:
    """`make_app(LOG_LEVEL="INFO")`: an application of its own on the same stores, with these variables changed."""
    made: list[Flask] = []
    limits_on = limiter.enabled

    def make(**variables: str) -> Flask:
        made.append(create_app(load_settings({**environment, **variables})))
        return made[-1]

    yield make
    for application in made:
        with application.app_context():
            db.session.remove()
            db.engine.dispose()
        application.extensions["valkey"].close()
    # The extension and the logging are the process's, not the application's.
    limiter.enabled = limits_on
    configure_logging(settings.log_level)
