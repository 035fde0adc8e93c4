"""A stand-in for the three services that take notices. Each speaks its own protocol and refuses as the real one does.

ntfy: a message is the body of a POST to `/<topic>`. Bark: JSON to `/<key>` or `/push`. 企业微信: JSON to
`/cgi-bin/webhook/send?key=<key>`, refused with HTTP 200 and an `errcode`.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.header import decode_header, make_header
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

TOPIC: Final = "topic-secret"
TOKEN: Final = "tk_secret"
KEY: Final = "key-secret"


class Services(ThreadingHTTPServer):
    """The services on one port. `taken` are the messages that they accepted, as a phone would show them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.taken: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.failures: list[int | float] = []
        """What the next requests meet instead: an HTTP status, or a pause in seconds if it is no whole number."""
        self.needs_token = False

    @property
    def url(self) -> str:
        """Without a path."""
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def addresses(self) -> dict[str, str]:
        """The address for each form."""
        return {
            "ntfy": f"{self.url}/{TOPIC}",
            "bark": f"{self.url}/{KEY}",
            "wecom": f"{self.url}/cgi-bin/webhook/send?key={KEY}",
        }


@contextmanager
def services() -> Iterator[Services]:
    """The services during the block."""
    with Services() as server:
        thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    server: Services

    def do_POST(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(self.path)
        if self.server.failures:
            failure = self.server.failures.pop(0)
            if isinstance(failure, float):
                time.sleep(failure)
            else:
                self._answer(failure, {}, location=f"{self.server.url}/elsewhere" if 300 <= failure < 400 else None)
                return
        if parts.path == "/cgi-bin/webhook/send":
            self._wecom(parse_qs(parts.query).get("key", [""])[0], body)
        elif parts.path in (f"/{KEY}", "/push"):
            self._bark(parts.path, body)
        else:
            self._ntfy(parts.path.removeprefix("/"), body)

    def _ntfy(self, topic: str, body: bytes) -> None:
        if topic != TOPIC or (self.server.needs_token and self.headers["Authorization"] != f"Bearer {TOKEN}"):
            self._answer(403, {"code": 40301, "http": 403, "error": "forbidden"})
            return
        if len(body) > 4096:
            self._answer(400, {"code": 40012, "http": 400, "error": "message too long"})
            return
        title = str(make_header(decode_header(self.headers["Title"])))
        priority = {"min": 1, "low": 2, "default": 3, "high": 4, "max": 5}[self.headers["Priority"]]
        message = {"title": title, "text": body.decode(), "priority": priority, "tags": self.headers["Tags"].split(",")}
        self.server.taken.append({"form": "ntfy", **message})
        self._answer(200, {"id": "hwQ2YpKdmg", "time": int(time.time()), "event": "message", "topic": topic})

    def _bark(self, path: str, body: bytes) -> None:
        fields = self._json(body)
        key = fields.get("device_key", "") if path == "/push" else path.removeprefix("/")
        if key != KEY or fields.get("level") not in ("active", "timeSensitive", "passive", "critical"):
            self._answer(400, {"code": 400, "message": "failed to get device token", "timestamp": int(time.time())})
            return
        self.server.taken.append(
            {"form": "bark", "title": fields["title"], "text": fields["body"], "level": fields["level"]}
        )
        self._answer(200, {"code": 200, "message": "success", "timestamp": int(time.time())})

    def _wecom(self, key: str, body: bytes) -> None:
        fields = self._json(body)
        content = fields.get("text", {}).get("content", "")
        if key != KEY:
            self._answer(200, {"errcode": 93000, "errmsg": f"invalid webhook url, hint: [{key}]"})
        elif fields.get("msgtype") != "text" or not 0 < len(content.encode()) <= 2048:
            self._answer(200, {"errcode": 40058, "errmsg": "content exceed max length"})
        else:
            self.server.taken.append({"form": "wecom", "text": content})
            self._answer(200, {"errcode": 0, "errmsg": "ok"})

    def _json(self, body: bytes) -> dict[str, Any]:
        if not self.headers["Content-Type"].startswith("application/json"):
            return {}
        found: dict[str, Any] = json.loads(body)
        return found

    def _answer(self, status: int, fields: dict[str, Any], *, location: str | None = None) -> None:
        body = json.dumps(fields).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if location is not None:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the test reads what was taken."""
