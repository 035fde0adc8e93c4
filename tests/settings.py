"""Other settings for an application of the tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from flask import Flask

from app.settings import bind_settings, settings
from config import Settings


def change_settings(app: Flask, **changes: Any) -> Settings:
    """Give the application other settings; returns those it had."""
    with app.app_context():
        before = settings()
    bind_settings(app, replace(before, **changes))
    return before


@contextmanager
def settings_with(app: Flask, **changes: Any) -> Iterator[None]:
    """The application with other settings during the block."""
    before = change_settings(app, **changes)
    try:
        yield
    finally:
        bind_settings(app, before)
