"""A circuit breaker: who fails again and again is left alone for a while, so that nobody waits for them in vain."""

import threading
import time
from collections.abc import Callable
from typing import Final

FAILURES: Final = 5
"""So many in a row open the circuit."""

PAUSE: Final = 60
"""Seconds that it stays open. Then one may try; if that fails too, it is open as long again."""


class CircuitBreaker:
    """Of one process. `clock` gives seconds that never go back."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until: float | None = None

    def allows(self) -> bool:
        """Whether to ask now. Of several after a pause only the first is let through."""
        with self._lock:
            if self._open_until is None:
                return True
            if self._clock() < self._open_until:
                return False
            self._open_until = self._clock() + PAUSE
            return True

    def succeeded(self) -> None:
        """There was an answer."""
        with self._lock:
            self._failures, self._open_until = 0, None

    def failed(self, *, pause: int = 0) -> None:
        """There was none; with a `pause` it is known for how many seconds there will be none."""
        with self._lock:
            self._failures += 1
            if pause or self._failures >= FAILURES:
                self._open_until = self._clock() + (pause or PAUSE)
