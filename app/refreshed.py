"""Values that a process keeps and loads anew beside its requests."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog
from flask import Flask, current_app
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

log = structlog.get_logger(__name__)

Value = TypeVar("Value")


class Refreshed(Generic[Value]):
    """A value that `load` gives. Loaded at the first use; later by a thread of its own, while the old one is used.

    `load` gets the value that there is, which it may give back, and is called in an application context.
    """

    def __init__(self, load: Callable[[Value | None], Value], *, every: float, name: str) -> None:
        """`every`: seconds for which a value is used before the next is loaded."""
        self._load = load
        self._every = every
        self._name = name
        self._lock = threading.Lock()
        self._value: Value | None = None
        self._loaded_at = 0.0

    def get(self) -> Value:
        """The value. What hinders the first loading is raised; later it is logged, and the old value stays."""
        value = self._value
        if value is None:
            with self._lock:
                return self._value if self._value is not None else self._reload()
        if time.monotonic() - self._loaded_at > self._every and self._lock.acquire(blocking=False):
            app: Flask = current_app._get_current_object()  # type: ignore[attr-defined] # a thread needs more than a proxy
            threading.Thread(target=self._reload_beside, args=(app,), daemon=True, name=self._name).start()
        return value

    def _reload(self) -> Value:
        self._loaded_at = time.monotonic()
        self._value = self._load(self._value)
        return self._value

    def _reload_beside(self, app: Flask) -> None:
        try:
            with app.app_context():
                self._reload()
        except (RedisError, SQLAlchemyError) as error:
            log.warning("not_refreshed", what=self._name, error=type(error).__name__)
        finally:
            self._lock.release()
