"""Real engines for every test: PostgreSQL and Valkey from the environment, or embedded ones.

Each pytest process gets a database and a Valkey number of its own, so runs may go side by side. Nothing is started or
imported before a test asks for it: tests of the state machine run in seconds, without engines and application.
"""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings as hypothesis_settings

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from config import Settings
    from tests.applications import KeptContents
    from tests.live import LiveServer, SharedServer

# A property that takes long on a busy machine is no failure.
hypothesis_settings.register_profile("saltfish", deadline=None)
hypothesis_settings.load_profile("saltfish")


# What collecting makes stays to the end: to look through it for garbage, again and again, takes seconds.
gc.disable()


def pytest_collection_finish() -> None:
    """From here on garbage is collected, but not looked for in what is there now."""
    gc.freeze()
    gc.enable()


# The tests of what coverage does not measure: the crawler, the supervisor, tools, processes of their own.
_NOT_MEASURED = tuple(f"tests/{folder}/" for folder in ("benchmarks", "crawler", "e2e", "supervisor", "tools"))


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Coverage traces the imports of what it measures, and not what pytest does to find and rewrite the tests."""
    plugin = session.config.pluginmanager.getplugin("_cov")
    controller = plugin and plugin.cov_controller
    if not controller:
        return (yield)
    for package in controller.cov.get_option("run:source"):
        for module in pkgutil.walk_packages([package], f"{package}."):
            importlib.import_module(module.name)
    controller.pause()
    try:
        return (yield)
    finally:
        # The process that only hands out tests to others has nothing more to trace.
        if hasattr(session.config, "workerinput") or not session.config.getoption("numprocesses", None):
            controller.resume()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Coverage traces only the first case of a parametrised test: the others take the same lines, a third slower.

    The state machine's cases do not: each breaks another rule of a spec. And there every branch has to be taken.
    """
    seen = set()
    for item in items:
        test = item.nodeid.partition("[")[0]
        if test.startswith(_NOT_MEASURED) or (test in seen and not test.startswith("tests/statemachine/")):
            item.add_marker(pytest.mark.no_cover)
        seen.add(test)


@pytest.fixture(scope="session")
def stores() -> Iterator[tuple[str, str]]:
    """`(database_url, redis_url)` of this pytest process's own, empty stores.

    They are in the engines of `DATABASE_URL` and `REDIS_URL`, or in engines that live as long as this process.
    """
    import psycopg
    from sqlalchemy import make_url

    with ExitStack() as stack:
        database_url, redis_url = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
        if not (database_url and redis_url):
            from supervisor.options import Options
            from supervisor.product import temporary_engines

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
    from app.money.sandbox.keys import create_keys
    from config import Environment

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
    from config import load_settings

    return load_settings(environment)


@pytest.fixture(scope="session")
def app(settings: Settings) -> Iterator[Flask]:
    """The application on the migrated test database. An app context is not pushed: each test opens what it needs."""
    import flask_migrate

    from tests.applications import running_app

    with running_app(settings) as app:
        with app.app_context():
            flask_migrate.upgrade()
        yield app


@pytest.fixture
def clean(app: Flask) -> Iterator[None]:
    """Empty stores around a test."""
    from app.db.database import db
    from tests.applications import empty_stores

    empty_stores(app)
    yield
    with app.app_context():
        db.session.remove()


@pytest.fixture(scope="module")
def kept(app: Flask) -> KeptContents:
    """What the tests of a file begin with. The first who needs something makes it, the others get it put back."""
    from tests.applications import KeptContents

    return KeptContents(app)


@pytest.fixture
def client(app: Flask, clean: None) -> FlaskClient:
    """A test client on empty stores."""
    return app.test_client()


@pytest.fixture
def context(app: Flask, clean: None) -> Iterator[Flask]:
    """The application with its context pushed, on empty stores: for calling services."""
    with app.app_context():
        yield app


@pytest.fixture(scope="session")
def shared_server(environment: dict[str, str]) -> Iterator[SharedServer]:
    """Where `live_server` comes from."""
    from tests.live import SharedServer

    shared = SharedServer(environment)
    yield shared
    shared.end()


@pytest.fixture
def live_server(app: Flask, shared_server: SharedServer, clean: None) -> LiveServer:
    """The application as granian serves it, in processes that tests share, on empty stores."""
    return shared_server.running()


MakeApp = Callable[..., "Flask"]


@pytest.fixture
def make_app(clean: None, environment: dict[str, str], settings: Settings) -> Iterator[MakeApp]:
    """`make_app(LOG_LEVEL="INFO")`: an application of its own on the same stores, with these variables changed."""
    from app.extensions import limiter
    from app.logs import configure_logging
    from config import load_settings
    from tests.applications import running_app

    limits_on = limiter.enabled
    with ExitStack() as stack:
        yield lambda **variables: stack.enter_context(running_app(load_settings({**environment, **variables})))
    # The extension and the logging are the process's, not the application's.
    limiter.enabled = limits_on
    configure_logging(settings.log_level)
