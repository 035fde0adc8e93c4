"""Real processes for tests: the web server on a free port, and a JSON client for it."""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.processes import ForkedPython

PROJECT = Path(__file__).resolve().parent.parent
_START_SECONDS = 60
_END_SECONDS = 60  # several test runs may share the machine


# Below those that systems give to connections and to whoever asks for any: such a port, free a moment ago, may be taken
# by the time that its server starts, or starts again.
_PORTS = range(12_000, 32_000)
_chance = random.SystemRandom()  # not what Hypothesis seeds alike in all processes


def free_port() -> int:
    """A port that nothing listens on just now, and which the system gives to nobody who does not name it."""
    while True:
        port = _chance.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@dataclass(frozen=True)
class Reply:
    """An HTTP answer. `body` is the parsed JSON, or None."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    body: Any


@dataclass
class LiveServer:
    """A running web server."""

    port: int
    process: ForkedPython | subprocess.Popen[bytes]

    @classmethod
    @contextmanager
    def start(
        cls, environment: Mapping[str, str], *, workers: int = 2, port: int | None = None, forked: bool = True
    ) -> Iterator["LiveServer"]:
        """Serve the application with `environment` until the block is left.

        Unless it is `forked` from a process that has imported the application, Python is started for it.
        """
        chosen = port or free_port()
        command = ["-m", "app.web.server"]
        environ = {**os.environ, **environment, "HOST": "127.0.0.1", "PORT": str(chosen), "WEB_WORKERS": str(workers)}
        process: ForkedPython | subprocess.Popen[bytes]
        if forked:
            process = ForkedPython(command, environ=environ, new_session=True)
        else:
            process = subprocess.Popen([sys.executable, *command], cwd=PROJECT, env=environ, start_new_session=True)
        server = cls(chosen, process)
        try:
            server._wait()
            yield server
        finally:
            server._end()

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request on a connection of its own; `body` goes out as JSON, or as a form if it is `bytes`."""
        return call(self.port, method, path, body=body, headers=headers)

    def _end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise AssertionError("the server does not end") from None

    def _wait(self) -> None:
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            assert self.process.poll() is None, "the server ended at once"
            try:
                if self.call("GET", "/healthz").status == 200:
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("the server does not answer")


class SharedServer:
    """One `LiveServer` for all tests that empty its stores before they begin; started when the first one asks."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._stack = ExitStack()
        self._server: LiveServer | None = None

    def running(self) -> LiveServer:
        """The server, started if it is not running."""
        if self._server is None:
            self._server = self._stack.enter_context(LiveServer.start(self._environment))
        return self._server

    def end(self) -> None:
        """End it, so that the next test gets a new one: for tests that cut the connections of its stores."""
        self._stack.close()
        self._server = None


def call(port: int, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
    """One HTTP request to a local port."""
    sent = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        sent["Content-Type"] = "application/json"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body=body, headers=sent)
        response = connection.getresponse()
        content = response.read()
        is_json = response.headers.get("Content-Type", "").startswith("application/json")
        return Reply(response.status, dict(response.headers), content, json.loads(content) if is_json else None)
    finally:
        connection.close()


def form(**fields: str) -> tuple[bytes, dict[str, str]]:
    """A urlencoded body and its header."""
    return urllib.parse.urlencode(fields).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
