"""A receiver of webhooks: a real HTTP server that checks signatures by code of its own."""

import base64
import hashlib
import hmac
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from flask import Flask

from tests.settings import settings_with

SECRET = "whsec_" + base64.b64encode(b"the secret of the tests, 32 long").decode()
PREVIOUS_SECRET = "whsec_" + base64.b64encode(b"the one before it, also 32 long.").decode()


@dataclass(frozen=True)
class Delivery:
    """One request that came. `signed` tells for each of our two secrets whether one of the signatures is by it."""

    path: str
    id: str
    timestamp: int
    body: Any
    content_type: str
    signed: tuple[bool, bool]


@dataclass
class Receiver:
    """A running receiver. `answers` are the statuses of the next requests; after them it answers 200."""

    port: int
    deliveries: list[Delivery] = field(default_factory=list)
    answers: deque[int] = field(default_factory=deque)
    on_request: Callable[[], None] = lambda: None
    open_door: threading.Event = field(default_factory=threading.Event)
    """While it is not set, requests are not answered."""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hooks/?shop=1"

    @property
    def ids(self) -> list[str]:
        """The `webhook-id` of each request, in the order of their coming."""
        return [delivery.id for delivery in self.deliveries]


def signature(secret: str, *parts: bytes) -> str:
    """By the words of the standard, not by our code."""
    mac = hmac.new(base64.b64decode(secret.split("_", 1)[1]), b".".join(parts), hashlib.sha256)
    return "v1," + base64.b64encode(mac.digest()).decode()


@contextmanager
def receiving(app: Flask, **settings: Any) -> Iterator[Receiver]:
    """A receiver for the length of the block, to which `app` sends; `settings` changes more of it."""
    with listening() as receiver:
        changed = {"webhook_url": receiver.url, "webhook_secret": SECRET, **settings}
        with settings_with(app, **changed):
            yield receiver


@contextmanager
def listening() -> Iterator[Receiver]:
    """A receiver for the length of the block, to which nobody sends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            identity, moment = self.headers["webhook-id"], self.headers["webhook-timestamp"]
            signatures = self.headers["webhook-signature"].split(" ")
            parts = (identity.encode(), moment.encode(), body)
            signed = tuple(signature(secret, *parts) in signatures for secret in (SECRET, PREVIOUS_SECRET))
            assert len(signatures) == sum(signed)
            status = receiver.answers.popleft() if receiver.answers else 200
            receiver.deliveries.append(
                Delivery(self.path, identity, int(moment), json.loads(body), self.headers["content-type"], signed)  # type: ignore[arg-type] # two secrets, two answers
            )
            receiver.on_request()
            receiver.open_door.wait(60)
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("location", f"http://127.0.0.1:{receiver.port}/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # who asked may have been killed
    receiver = Receiver(server.server_port)
    receiver.open_door.set()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.open_door.set()
        server.shutdown()
        server.server_close()
        thread.join()
