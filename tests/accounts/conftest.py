"""Fixtures of the accounts' tests."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.extensions import db, limiter
from config import Settings


@pytest.fixture
def app_with(settings: Settings, clean: None) -> Iterator[Callable[..., Flask]]:
    """Builds applications on the same stores with some settings changed."""
    made: list[Flask] = []
    limits_were_enabled = limiter.enabled

    def build(**changes: Any) -> Flask:
        made.append(create_app(replace(settings, **changes)))
        return made[-1]

    yield build
    for each in made:
        with each.app_context():
            db.engine.dispose()
        each.extensions["valkey"].close()
    limiter.enabled = limits_were_enabled  # one limiter serves every application of the process
