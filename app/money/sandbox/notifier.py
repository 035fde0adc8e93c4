"""Sends the notifications that the store owes, until each was answered with `success`.

The store knows what is owed and when; the threads here know only what is on its way at this moment. A process that dies
at any line sends the rest after its restart, one of them perhaps twice.
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
from .store import OwedNotification, Store

# Alipay: eight notifications within about a day, until one is answered with exactly these seven letters.
WAITS_S = (4 * 60, 10 * 60, 10 * 60, 3600, 2 * 3600, 6 * 3600, 15 * 3600)
_EXPECTED = b"success"

# A slow receiver holds one sender, not all notifications.
_SENDERS = 4
_STORE_TROUBLE_WAIT_S = 1.0

_log = structlog.get_logger(__name__)


class _NoRedirect(HTTPRedirectHandler):
    """A notification goes to the signed URL and nowhere else."""

    def redirect_request(self, *_: object) -> None:
        return None


class Notifier:
    """`factor` scales the waits of the schedule, `timeout_s` bounds one sending."""

    def __init__(self, store: Store, key: RSAPrivateKey, *, factor: float, timeout_s: float) -> None:
        self._store = store
        self._key = key
        self._factor = factor
        self._timeout_s = timeout_s
        # No proxy: the receiver is a neighbour, the environment's proxy is for the world.
        self._opener = build_opener(ProxyHandler({}), _NoRedirect())
        self._changed = threading.Condition()
        self._on_their_way: set[str] = set()
        self._stopping = False
        # Daemons: a sender that waits for a receiver must not hold up the end of the process.
        self._threads = [
            threading.Thread(target=self._run, name=f"notifier-{number}", daemon=True) for number in range(_SENDERS)
        ]

    def start(self) -> None:
        """Begin with whatever is owed."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Something new is owed; call after the commit."""
        with self._changed:
            self._changed.notify()

    def stop(self) -> None:
        """Take up nothing more and wait for what is on its way."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (notification := self._take()) is not None:
            try:
                self._send(notification)
            except sqlite3.OperationalError:
                # A full disk, a lock held too long. What is owed stays owed: better sent twice than not at all.
                _log.exception("notification_not_recorded", notify_id=notification.notify_id)
                time.sleep(_STORE_TROUBLE_WAIT_S)
            finally:
                with self._changed:
                    self._on_their_way.discard(notification.notify_id)

    def _take(self) -> OwedNotification | None:
        """The next notification once it is due, now ours; None when the notifier stops."""
        with self._changed:
            while not self._stopping:
                wait_s: float | None = None
                try:
                    owed = self._store.next_owed(besides=self._on_their_way)
                except sqlite3.OperationalError:
                    _log.exception("notifications_not_read")
                    owed, wait_s = None, _STORE_TROUBLE_WAIT_S
                if owed is not None:
                    wait_s = owed.due_at - time.time()
                    if wait_s <= 0:
                        self._on_their_way.add(owed.notify_id)
                        return owed
                self._changed.wait(wait_s)
            return None

    def _send(self, notification: OwedNotification) -> None:
        delivered, answer = self._post(notification)
        now = time.time()
        waits = WAITS_S[notification.attempts : notification.attempts + 1]
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

    def _post(self, notification: OwedNotification) -> tuple[bool, str]:
        """Whether it was accepted, and what was heard."""
        form = signed_form({**notification.fields, "notify_time": time_text(time.time())}, self._key)
        request = Request(  # noqa: S310 - http or https: checked when the signed request named it
            notification.url,
            data=urlencode(form).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
        )
        try:
            with self._opener.open(request, timeout=self._timeout_s) as response:
                body = _beginning(response)
        except HTTPError as error:
            with error:
                return False, f"HTTP {error.code}"
        except (OSError, HTTPException, UnicodeError) as error:
            return False, f"{type(error).__name__}: {error}"
        return body == _EXPECTED, body.decode(errors="replace")


def _beginning(response: IO[bytes]) -> bytes:
    return response.read(64)
