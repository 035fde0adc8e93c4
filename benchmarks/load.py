"""A load generator: keep-alive connections with one request in flight on each, in one thread.

It shares the machine with the servers that it measures, so it does as little as possible per answer: one `select` for
many sockets, one read, one write. An HTTP library would cost more than the smallest servers measured here.
"""

import re
import selectors
import socket
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle
from typing import NamedTuple

_ANSWER_SECONDS = 10.0
_READ_BYTES = 256 * 1024
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)


class LoadError(Exception):
    """A server gave no answer, or an unexpected one."""


@dataclass(frozen=True, slots=True)
class Round:
    """The result of one round of load: answers per second, and latencies in milliseconds."""

    rate: float
    p50: float
    p99: float


class Exchange(NamedTuple):
    """The bytes of a request, and the expected HTTP status of its answer."""

    request: bytes
    status: int = 200


Scenario = Generator[Exchange, bytes, None]
"""Requests that depend on each other: it yields a request and is sent the body of the answer."""


@dataclass(slots=True, eq=False)
class _Connection:
    socket: socket.socket
    sent_at: float = 0.0
    received: bytes = field(default=b"")
    expected_start: bytes = b"HTTP/1.1 200 "

    def send(self, request: bytes, status: int = 200) -> None:
        self.received = b""
        self.expected_start = b"HTTP/1.1 %d " % status
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Read what has arrived; returns whether the answer is complete. Raises `LoadError` for another status."""
        chunk = self.socket.recv(_READ_BYTES)
        if not chunk:
            raise LoadError(f"the server closed a connection after {self.received[:300]!r}")
        self.received += chunk
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator:
            return False
        length = _LENGTH.search(head + b"\r\n")
        if length is None or not head.startswith(self.expected_start):
            raise LoadError(f"unexpected answer: {self.received[:300]!r}")
        return len(body) >= int(length[1])

    @property
    def body(self) -> bytes:
        """The body of the complete answer."""
        return self.received.partition(b"\r\n\r\n")[2]


def get(path: str, *, token: str | None = None) -> bytes:
    """The bytes of a GET request."""
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n{authorization}\r\n".encode("ascii")


def post(path: str, *, headers: Mapping[str, str], body: bytes) -> bytes:
    """The bytes of a POST request."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
    return head.encode("ascii") + body


def drive(port: int, requests: Sequence[bytes], *, connections: int, seconds: float) -> Round:
    """Keep `connections` busy for `seconds` with `requests`, in turn, against a local port.

    Raises `LoadError` for an answer other than 200, and where none comes for ten seconds.
    """
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        latencies = _drive(selector, list(_connect(stack, selector, port, connections)), cycle(requests), seconds)
    if not latencies:
        raise LoadError(f"no answer within {seconds} s")
    return round_of(latencies, seconds=seconds)


def drive_scenarios(port: int, scenarios: Iterable[Scenario], *, connections: int) -> Round:
    """Run all `scenarios`, `connections` of them at a time, against a local port; rate and latencies are of scenarios.

    Raises `LoadError` as `drive` does, for another status than a request expects.
    """
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        opened = list(_connect(stack, selector, port, connections))
        started = time.perf_counter()
        latencies = _run_scenarios(selector, opened, iter(scenarios))
        return round_of(latencies, seconds=time.perf_counter() - started)


def round_of(latencies: list[float], *, seconds: float) -> Round:
    """The result of a round of `seconds` in which answers came after `latencies` (seconds; at least one)."""
    ordered = sorted(latencies)
    return Round(rate=len(ordered) / seconds, p50=1000 * _quantile(ordered, 0.50), p99=1000 * _quantile(ordered, 0.99))


def _connect(stack: ExitStack, selector: selectors.BaseSelector, port: int, connections: int) -> Iterator[_Connection]:
    for _ in range(connections):
        opened = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_SECONDS))
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The socket is only read when it is readable, and a timeout would cost a system call per read.
        opened.settimeout(None)
        connection = _Connection(opened)
        selector.register(opened, selectors.EVENT_READ, connection)
        yield connection


def _drive(
    selector: selectors.BaseSelector, connections: list[_Connection], requests: Iterator[bytes], seconds: float
) -> list[float]:
    latencies: list[float] = []
    deadline = time.perf_counter() + seconds
    for connection in connections:
        connection.send(next(requests))
    busy = len(connections)
    while busy:
        ready = selector.select(_ANSWER_SECONDS)
        if not ready:
            raise LoadError(f"no answer for {_ANSWER_SECONDS} s")
        for key, _ in ready:
            connection = key.data
            if not connection.receive():
                continue
            now = time.perf_counter()
            if now < deadline:
                latencies.append(now - connection.sent_at)
                connection.send(next(requests))
            else:  # wait for all answers, so that no request in flight slows the next round down
                busy -= 1
    return latencies


def _run_scenarios(
    selector: selectors.BaseSelector, connections: list[_Connection], scenarios: Iterator[Scenario]
) -> list[float]:
    latencies: list[float] = []
    running: dict[_Connection, tuple[Scenario, float]] = {}

    def start_next(connection: _Connection) -> None:
        scenario = next(scenarios, None)
        if scenario is not None:
            connection.send(*next(scenario))
            running[connection] = scenario, connection.sent_at

    for connection in connections:
        start_next(connection)
    while running:
        ready = selector.select(_ANSWER_SECONDS)
        if not ready:
            raise LoadError(f"no answer for {_ANSWER_SECONDS} s")
        for key, _ in ready:
            connection = key.data
            if not connection.receive():
                continue
            scenario, started_at = running[connection]
            try:
                following = scenario.send(connection.body)
            except StopIteration:
                latencies.append(time.perf_counter() - started_at)
                del running[connection]
                start_next(connection)
            else:
                connection.send(*following)
    return latencies


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
