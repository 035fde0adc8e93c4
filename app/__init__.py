"""Saltfish: the backend of a second-hand marketplace. `create_app` puts it together."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flask import Flask

    from config import Settings

_CHECKS: Final = frozenset({("moderation", "check"), ("moderation", "check-picture"), ("search", "evaluate")})
"""Commands that read and write nothing but files and streams, so that they want no stores and no settings."""


def create_app(settings: Settings | None = None) -> Flask:
    """The application for `settings` (default: read from the environment).

    The imports are inside the function so that `app.money.sandbox` and the supervisor can import modules of this
    package without loading Flask and its extensions.
    """
    from config import load_settings

    # First, so that who starts a process with wrong settings reads so at once, not after the seconds that imports take.
    chosen = settings or load_settings()
    from app.factory import build_app

    return build_app(chosen)


def load_app() -> Flask:
    """The application of a process that keeps it to its end, as `create_app` makes it from the environment.

    All that is loaded stays. Collections meanwhile would look through it again and again, a sixth of the time that
    loading takes; later ones would while a request waits, and the one at the end of the process before it may end.
    """
    gc.disable()
    try:
        return create_app(_settings_of_checks(sys.argv))
    finally:
        gc.freeze()
        gc.enable()


def _settings_of_checks(arguments: Sequence[str]) -> Settings | None:
    """Where these are the arguments of a check, settings with stores that are nowhere for those that are not set."""
    if not _CHECKS.intersection(pairwise(arguments)):
        return None
    from config import load_settings_without_stores

    return load_settings_without_stores()
