"""Saltfish: the backend of a second-hand marketplace. `create_app` puts it together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from config import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """The application for `settings` (default: read from the environment).

    Imports stay inside: `app.money.sandbox` and the supervisor import this package without needing Flask's world.
    """
    from app.factory import build_app
    from config import load_settings

    return build_app(settings or load_settings())
