"""Applications with other settings than the session's, on the same stores."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from app import create_app
from app.extensions import db, limiter
from app.logs import configure_logging
from config import Settings, load_settings

MakeApp = Callable[..., Flask]


@pytest.fixture
def make_app(clean: None, environment: dict[str, str], settings: Settings) -> Iterator[MakeApp]:
    """`make_app(LOG_LEVEL="INFO")`: an application of its own with these variables changed."""
    made: list[Flask] = []
    limits_on = limiter.enabled

    def make(**variables: str) -> Flask:
        made.append(create_app(load_settings({**environment, **variables})))
        return made[-1]

    yield make
    for app in made:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()
        app.extensions["valkey"].close()
    # The extension and the logging are the process's, not the application's.
    limiter.enabled = limits_on
    configure_logging(settings.log_level)
