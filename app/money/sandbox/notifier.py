"""Sends the store's pending notifications, until each was answered with `success` or given up.

The store records what is pending and when it is due; the threads here only know what is being sent at the moment. If
the process dies, the rest is sent after its restart, possibly one of them twice.
"""

import sqlite3
import threading
import time
from http.client import HTTPException
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from .protocol import signed_form, time_text
from .store import PendingNotification, Store

# Alipay sends eight notifications within about a day, until one is answered with exactly `success`.
RETRY_WAITS_S = (4 * 60, 10 * 60, 10 * 60, 3600, 2 * 3600, 6 * 3600, 15 * 3600)
_EXPECTED = b"success"

# Several, so that a slow receiver blocks one sender and not all notifications.
_SENDERS = 4
_STORE_ERROR_WAIT_S = 1.0

_log = structlog.get_logger(__name__)


class _NoRedirect(HTTPRedirectHandler):
    """A notification goes to the signed URL and nowhere else."""

    def redirect_request(self, *_: object) -> None:
        return None


class Notifier:
    """Sends pending notifications from threads. `factor` scales `RETRY_WAITS_S`; `timeout_s` limits one request."""

    def __init__(self, store: Store, key: RSAPrivateKey, *, factor: float, timeout_s: float) -> None:
        self._store = store
        self._key = key
        self._factor = factor
        self._timeout_s = timeout_s
        # The receiver is on the same machine or network: do not use the environment's proxy.
        self._opener = build_opener(ProxyHandler({}), _NoRedirect())
        self._changed = threading.Condition()
        self._in_flight: set[str] = set()
        self._stopping = False
        # Daemon threads, so that a sender which waits for a receiver does not keep the process from ending.
        self._threads = [
            threading.Thread(target=self._run, name=f"notifier-{number}", daemon=True) for number in range(_SENDERS)
        ]

    def start(self) -> None:
        """Start the sender threads."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Look for new notifications; call after the commit that added one."""
        with self._changed:
            self._changed.notify()

    def stop(self) -> None:
        """Start no more requests and wait for those in flight."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (notification := self._next_due()) is not None:
            try:
                self._send(notification)
            except sqlite3.OperationalError:
                # A full disk, or a lock held too long. It stays pending: better sent twice than not at all.
                _log.exception("notification_not_recorded", notify_id=notification.notify_id)
                time.sleep(_STORE_ERROR_WAIT_S)
            finally:
                with self._changed:
                    self._in_flight.discard(notification.notify_id)

    def _next_due(self) -> PendingNotification | None:
        """Wait for the next notification to be due and mark it as in flight; None when the notifier stops."""
        with self._changed:
            while not self._stopping:
                wait_s: float | None = None
                try:
                    pending = self._store.next_pending(exclude=self._in_flight)
                except sqlite3.OperationalError:
                    _log.exception("notifications_not_read")
                    pending, wait_s = None, _STORE_ERROR_WAIT_S
                if pending is not None:
                    wait_s = pending.due_at - time.time()
                    if wait_s <= 0:
                        self._in_flight.add(pending.notify_id)
                        return pending
                self._changed.wait(wait_s)
            return None

    def _send(self, notification: PendingNotification) -> None:
        delivered, answer = self._post(notification)
        now = time.time()
        waits = RETRY_WAITS_S[notification.attempts : notification.attempts + 1]
        due_at = None if delivered or not waits else now + waits[0] * self._factor
        self._store.record_attempt(notification.notify_id, answer=answer, delivered=delivered, due_at=due_at, now=now)
        _log.info(
            "notification_sent",
            notify_id=notification.notify_id,
            out_trade_no=notification.fields["out_trade_no"],
            attempt=notification.attempts + 1,
            delivered=delivered,
            answer=answer,
        )

    def _post(self, notification: PendingNotification) -> tuple[bool, str]:
        """Whether it was accepted, and the answer or error as text."""
        form = signed_form({**notification.fields, "notify_time": time_text(time.time())}, self._key)
        request = Request(  # noqa: S310 - http or https: checked when the signed request named it
            notification.url,
            data=urlencode(form).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
        )
        try:
            with self._opener.open(request, timeout=self._timeout_s) as response:
                body = _read_start(response)
        except HTTPError as error:
            with error:
                return False, f"HTTP {error.code}"
        except (OSError, HTTPException, UnicodeError) as error:
            return False, f"{type(error).__name__}: {error}"
        return body == _EXPECTED, body.decode(errors="replace")


def _read_start(response: IO[bytes]) -> bytes:
    return response.read(64)
