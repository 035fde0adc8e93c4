"""The running application's settings. What there is to set is declared in `config.py`."""

from collections.abc import Callable
from typing import Final

from flask import Flask, current_app

from config import RATE_LIMITS, Settings

_KEY: Final = "saltfish.settings"


def settings() -> Settings:
    """The settings of the current application; like `current_app` it needs an application context."""
    bound: Settings = current_app.extensions[_KEY]
    return bound


def bind_settings(app: Flask, bound: Settings) -> None:
    """Let `app` run with these settings; whatever it had before is replaced."""
    app.extensions[_KEY] = bound


def rate_limit(name: str) -> Callable[[], str]:
    """How Flask-Limiter learns the limit at each request: by a function that reads the setting called `name`.

    Raises ValueError where no setting of that name is a rate limit.
    """
    if name not in RATE_LIMITS:
        raise ValueError(f"no rate limit is called {name!r}; there are {', '.join(RATE_LIMITS)}")
    return lambda: str(getattr(settings(), name))
