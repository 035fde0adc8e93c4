"""A load generator: keep-alive connections, one request under way on each, in one thread.

It shares the machine with the servers that it measures, so it does as little as possible per answer: one readiness
check for many sockets, one read, one write. HTTP libraries would cost more than the smallest servers measured here.
"""

import re
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle

_ANSWER_SECONDS = 10.0
_READ_BYTES = 256 * 1024
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)


class LoadError(Exception):
    """A server gave no answer, or not the one that was to be measured."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one stretch of load gave: answers per second, and latencies in milliseconds."""

    rate: float
    p50: float
    p99: float


@dataclass(slots=True)
class _Connection:
    socket: socket.socket
    sent_at: float = 0.0
    received: bytes = field(default=b"")

    def send(self, request: bytes) -> None:
        self.received = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Take what has come; whether the answer is whole. Raises `LoadError` for any answer but 200."""
        chunk = self.socket.recv(_READ_BYTES)
        if not chunk:
            raise LoadError(f"the server closed a connection after {self.received[:300]!r}")
        self.received += chunk
        head, border, body = self.received.partition(b"\r\n\r\n")
        if not border:
            return False
        length = _LENGTH.search(head + b"\r\n")
        if length is None or not head.startswith(b"HTTP/1.1 200 "):
            raise LoadError(f"unexpected answer: {self.received[:300]!r}")
        return len(body) >= int(length[1])


def get(path: str, *, token: str | None = None) -> bytes:
    """A GET request as it goes over the wire."""
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n{authorization}\r\n".encode("ascii")


def drive(port: int, requests: Sequence[bytes], *, connections: int, seconds: float) -> Round:
    """Keep `connections` busy for `seconds` with `requests`, in turn, against a local port.

    Raises `LoadError` for an answer other than 200, and where none comes for ten seconds.
    """
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        latencies = _drive(selector, list(_connect(stack, selector, port, connections)), cycle(requests), seconds)
    latencies.sort()
    if not latencies:
        raise LoadError(f"no answer within {seconds} s")
    return Round(
        rate=len(latencies) / seconds, p50=1000 * _quantile(latencies, 0.50), p99=1000 * _quantile(latencies, 0.99)
    )


def _connect(stack: ExitStack, selector: selectors.BaseSelector, port: int, connections: int) -> Iterator[_Connection]:
    for _ in range(connections):
        opened = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_SECONDS))
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # It is read only when there is something to read; a timeout would cost a system call per read.
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
            else:  # nothing is left under way that would burden the next round
                busy -= 1
    return latencies


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
