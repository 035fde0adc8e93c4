"""Saltfish: the backend of a second-hand marketplace. `create_app` puts it together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from config import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """The application for `settings` (default: read from the environment).

    The imports are inside the function so that `app.money.sandbox` and the supervisor can import modules of this
    package without loading Flask and its extensions.
    """
    from app.factory import build_app
    from config import load_settings

    return build_app(settings or load_settings())
