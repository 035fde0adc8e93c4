"""The sandbox gateway as a process of its own, and an HTTP receiver for its notifications."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlencode
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from app.money.gateways.alipay import AlipayGateway
from app.money.sandbox import DEFAULT_APP_ID, DEFAULT_SELLER_ID, keys
from tests.live import free_port
from tests.processes import ForkedPython

ROOT = Path(__file__).resolve().parents[2]
_START_S = 20.0
_POLL_S = 0.02

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; redirects are not followed."""

    status: int
    headers: Message
    """Read without regard to case: granian writes them small."""
    text: str


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


_opener = build_opener(ProxyHandler({}), _NoRedirect())


def fetch(url: str, *, form: Mapping[str, str] | None = None) -> Answer:
    """GET, or POST of `form`; error statuses and redirects are answers too."""
    data = None if form is None else urlencode(form).encode()
    request = Request(url, data=data)  # noqa: S310 - addresses of our own servers
    try:
        with _opener.open(request, timeout=10) as response:
            return Answer(response.status, response.headers, response.read().decode())
    except HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read().decode())


def fetch_bytes(url: str) -> bytes:
    """The body of a GET that must succeed."""
    with _opener.open(url, timeout=10) as response:
        content: bytes = response.read()
    return content


def eventually(probe: Callable[[], T | None], *, within_s: float = 10.0, what: str = "the condition") -> T:
    """The first thing that `probe` gives that is not None or False; AssertionError after `within_s` seconds."""
    deadline = time.monotonic() + within_s
    while True:
        found = probe()
        if found is not None and found is not False:
            return found
        assert time.monotonic() < deadline, f"{what} did not come within {within_s} s"
        time.sleep(_POLL_S)


@dataclass(slots=True)
class SandboxServer:
    """A running sandbox; `stop` ends it as a supervisor does, `kill` as a power cut. A context manager that stops."""

    url: str
    keys: Path
    store: Path
    log: Path
    process: ForkedPython | subprocess.Popen[bytes]

    @property
    def gateway_url(self) -> str:
        """What ALIPAY_GATEWAY_URL is set to."""
        return f"{self.url}/gateway.do"

    def gateway(self, **changes: Any) -> AlipayGateway:
        """The application's gateway for this sandbox; `changes` replace its arguments."""
        arguments: dict[str, Any] = {
            "app_id": DEFAULT_APP_ID,
            "seller_id": DEFAULT_SELLER_ID,
            "gateway_url": self.gateway_url,
            "app_private_key": (self.keys / keys.APP_PRIVATE).read_text(),
            "alipay_public_key": (self.keys / keys.GATEWAY_PUBLIC).read_text(),
            "timeout_s": 5.0,
        }
        return AlipayGateway(**(arguments | changes))

    def trade(self, out_trade_no: str) -> dict[str, Any]:
        """All that the sandbox knows of a trade."""
        answer = fetch(f"{self.url}/sandbox/trades/{out_trade_no}")
        assert answer.status == 200, answer.text
        inspected: dict[str, Any] = json.loads(answer.text)
        return inspected

    def pay(self, page_pay_url: str) -> str:
        """Open the cashier, post its form, and give the address that the payer is sent back to."""
        page = fetch(page_pay_url)
        assert page.status == 200, page.text
        paid = fetch(form_action(page.text), form={})
        assert paid.status == 302, paid.text
        return paid.headers["Location"]

    def stop(self) -> int:
        """SIGTERM and wait; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=10)

    def kill(self) -> None:
        """SIGKILL to the server and its worker at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.stop()


def form_action(page: str) -> str:
    """Where the cashier's one form goes."""
    actions = re.findall(r'<form method="post" action="([^"]+)">', page)
    assert len(actions) == 1, page
    return str(actions[0])


def start_sandbox(
    tmp_path: Path,
    *,
    port: int = 0,
    notify_factor: float = 1.0,
    notify_timeout_s: float = 5.0,
    keys_dir: Path | None = None,
    forked: bool = True,
) -> SandboxServer:
    """A sandbox that answers, its store and (unless given) its keys under `tmp_path`.

    Port 0 takes a free one. The same `tmp_path` again continues with the same store. Unless it is `forked` from a
    process that has imported it, Python is started for it.
    """
    keys_dir = keys_dir or tmp_path / "keys"
    keys.create_keys(keys_dir)
    port = port or free_port()
    log = tmp_path / "sandbox.log"
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ALIPAY_", "GATEWAY_", "SANDBOX_"))
        },
        "SANDBOX_NOTIFY_TIMEOUT": str(notify_timeout_s),
        "SANDBOX_BILLS_AT_ONCE": "1",
    }
    command = [
        *("-m", "app.money.sandbox", "serve", "--host", "127.0.0.1", "--port", str(port)),
        *("--store", str(tmp_path / "sandbox.sqlite3"), "--keys", str(keys_dir)),
        *("--notify-factor", str(notify_factor)),
    ]
    process: ForkedPython | subprocess.Popen[bytes]
    if forked:
        process = ForkedPython(command, environ=environment, stdout=log, stderr=log, new_session=True)
    else:
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
    server = SandboxServer(f"http://127.0.0.1:{port}", keys_dir, tmp_path / "sandbox.sqlite3", log, process)

    def healthy() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return fetch(f"{server.url}/healthz").status == 200
        except OSError:
            return False

    try:
        eventually(healthy, within_s=_START_S, what="the sandbox")
    except BaseException:
        if process.poll() is None:
            server.kill()
        raise
    return server


@dataclass(slots=True)
class NotifyReceiver:
    """An application's notify_url: keeps every form, and answers the next of `answers`, the last one for ever.

    An answer is (HTTP status, body). A context manager; `url` is known from its start.
    """

    answers: list[tuple[int, str]] = field(default_factory=lambda: [(200, "success")])
    url: str = ""
    received: list[list[tuple[str, str]]] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status, text = receiver.answers[min(len(receiver.received), len(receiver.answers) - 1)]
                receiver.received.append(parse_qsl(body, keep_blank_values=True, strict_parsing=True))
                self.send_response(status)
                if status in (301, 302, 307):
                    self.send_header("Location", f"{receiver.url}/elsewhere")
                self.end_headers()
                self.wfile.write(text.encode())

            def do_GET(self) -> None:
                """Where a sender lands that follows a redirect, and takes it for accepted."""
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"success")

            def log_message(self, *_: object) -> None:
                """Silent: what came in is in `received`."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/notify"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, count: int, *, within_s: float = 10.0) -> list[dict[str, str]]:
        """The first `count` forms, once there are as many."""
        eventually(lambda: len(self.received) >= count, within_s=within_s, what=f"notification {count}")
        return [dict(form) for form in self.received[:count]]
