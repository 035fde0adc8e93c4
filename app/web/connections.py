"""Closes connections that do nothing, where a web process holds too many of them.

Granian keeps a connection until its client closes it, or for as long as the next request's headers may take, and it
takes only so many: further ones wait until one of them ends. Whoever opens many and says nothing would stop the site
for that time. So above a number that the machine can bear, those are closed on which nothing has been sent or received
for the longest time, as nginx does it. A client that still wants something opens a new one.

Granian shows requests, not connections, but they are this process's sockets: when one is shut down, granian sees what
it sees of a client that leaves.
"""

import fcntl
import os
import socket
import struct
import sys
import termios
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import structlog

log = structlog.get_logger(__name__)

_DESCRIPTORS: Final = Path("/proc/self/fd")
_LEAVE: Final = 3 / 4  # of the limit: to look at all of them for each one above it would cost too much
# Where struct tcp_info (linux/tcp.h) has the milliseconds since data was last sent, and received, and how many bytes
# the other side has acknowledged.
_SENT, _RECEIVED, _ACKNOWLEDGED, _INFO_BYTES = slice(44, 48), slice(52, 56), slice(120, 128), 128
_NO_LINGER: Final = struct.pack("ii", 1, 0)


class Sending(NamedTuple):
    """How far a connection has got with what is sent on it: bytes acknowledged since its beginning, and not yet."""

    client: str
    descriptor: int
    acknowledged: int
    unacknowledged: int


class ConnectionGuard:
    """Keeps this process's connections with clients near `limit`; does nothing where there is no Linux `/proc`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._ports: set[int] = set()

    def look(self, busy: Container[str]) -> int:
        """Close idle connections above the limit, and return how many.

        `busy` has the addresses, `HOST:PORT`, of clients whose requests are under way: they are left alone.
        """
        if not _DESCRIPTORS.exists() or sum(1 for _ in os.scandir(_DESCRIPTORS)) <= self._limit:
            return 0
        if not self._ports:
            self._ports = set(_listening_ports())
        connections = list(self._connections())
        idle = sorted((each for each in connections if each[1] not in busy), reverse=True)
        excess = len(connections) - int(self._limit * _LEAVE) if len(connections) > self._limit else 0
        closed = sum(shut_down(descriptor, client) for _, client, descriptor in idle[:excess])
        if closed:
            log.warning("idle_connections_closed", connections=len(connections), closed=closed)
        return closed

    def answers(self, clients: Container[str]) -> list[Sending]:
        """The connections of these clients, `HOST:PORT`, as far as there are any."""
        return list(self._answers(clients)) if _DESCRIPTORS.exists() else []

    def _answers(self, clients: Container[str]) -> Iterator[Sending]:
        for descriptor in _descriptors():
            with suppress(OSError), _duplicate(descriptor) as found:
                client = "" if found.family == socket.AF_UNIX else _address(found)
                if client in clients:
                    unacknowledged = fcntl.ioctl(found, termios.TIOCOUTQ, bytes(4))
                    yield Sending(
                        client,
                        descriptor,
                        int.from_bytes(_tcp_info(found)[_ACKNOWLEDGED], sys.byteorder),
                        int.from_bytes(unacknowledged, sys.byteorder),
                    )

    def _connections(self) -> Iterator[tuple[int, str, int]]:
        """Of each client's connection: milliseconds without data, the client's address, the descriptor."""
        for descriptor in _descriptors():
            with suppress(OSError), _duplicate(descriptor) as found:
                own = found.getsockname()  # no tuple, where it is no connection of the Internet
                if isinstance(own, tuple) and own[1] in self._ports:
                    client = _address(found)
                    info = _tcp_info(found)
                    quiet = min(int.from_bytes(info[part], sys.byteorder) for part in (_SENT, _RECEIVED))
                    yield quiet, client, descriptor


def _listening_ports() -> Iterator[int]:
    for descriptor in _descriptors():
        with suppress(OSError), _duplicate(descriptor) as found:
            if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and isinstance(found.getsockname(), tuple):
                yield found.getsockname()[1]


def _tcp_info(connection: socket.socket) -> bytes:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)


def shut_down(descriptor: int, client: str, *, discard: bool = False) -> bool:
    """Shut the connection of `client` down; False if it has ended, even if its number belongs to another one now.

    What has been sent and not been acknowledged stays in the system's memory for minutes, unless it is to `discard` it.
    """
    with suppress(OSError), _duplicate(descriptor) as found:
        if _address(found) == client:
            if discard:
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            found.shutdown(socket.SHUT_RDWR)
            return True
    return False


def _descriptors() -> list[int]:
    return [int(each.name) for each in os.scandir(_DESCRIPTORS)]


@contextmanager
def _duplicate(descriptor: int) -> Iterator[socket.socket]:
    """The socket behind a number, which another one may have a moment later. Raises OSError where it is no socket."""
    own = os.dup(descriptor)
    try:
        found = socket.socket(fileno=own)
    except OSError:
        os.close(own)
        raise
    with found:
        yield found


def _address(connection: socket.socket) -> str:
    """The other end, as granian writes a client. Raises OSError where there is none."""
    host, port, *_ = connection.getpeername()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
