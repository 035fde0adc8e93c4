"""Answers that their clients do not take: they end, by time and by number, and those that were taken are forgotten."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from app.web import unread_answers
from app.web.connections import ConnectionGuard
from app.web.unread_answers import UnreadAnswers

LENGTH = 4_000_000


class Served:
    """A server's end of connections, whose clients have asked for `LENGTH` bytes and read nothing yet."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.ends: dict[str, socket.socket] = {}

    def connect(self, host: str = "127.0.0.1") -> tuple[str, socket.socket]:
        """One more; its client as granian writes it, and the client's end."""
        client = self._stack.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.bind((host, 0))
        client.connect(self._listening.getsockname())
        own, address = self._listening.accept()
        self._stack.enter_context(own)
        own.setblocking(False)
        self.ends["{}:{}".format(*address)] = own
        self.send(own)
        return "{}:{}".format(*address), client

    def send(self, own: socket.socket) -> None:
        """As much as the system takes."""
        with suppress(BlockingIOError):
            while True:
                own.send(b"a" * 65536)

    def read_all(self, name: str, client: socket.socket) -> None:
        """Take all that was sent."""
        self.ends[name].shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server that looks whenever it is told to."""
    for name in ("_SOON", "_HANDED_OVER", "_BETWEEN_LOOKS"):
        monkeypatch.setattr(unread_answers, name, 0.0)
    with ExitStack() as stack:
        for end in socket.socketpair():  # a web process has one with its decoder
            stack.enter_context(end)
        yield Served(stack)


def is_closed(client: socket.socket) -> bool:
    """Whether the server has ended the connection of this client."""
    client.settimeout(0.2)
    try:
        while client.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True
    return True


def test_what_takes_too_long_ends_and_what_was_taken_is_forgotten(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    unread = UnreadAnswers(ConnectionGuard(1000))
    (slow, slow_end), (quick, quick_end) = served.connect(), served.connect()
    assert [unread.add(client, LENGTH) for client in (slow, quick, "127.0.0.1:9")] == [False] * 3
    served.read_all(quick, quick_end)
    assert unread.look() == 0
    assert (unread._bytes, list(unread._answers)) == (LENGTH, [slow])  # one was taken, one has left
    # The next answer on a connection takes the place of the one before it.
    assert unread.add(slow, LENGTH + 1) is False
    assert (unread.look(), unread._bytes) == (0, LENGTH + 1)
    monkeypatch.setattr(unread_answers, "_SECONDS", -1e6)
    assert (unread.look(), unread._bytes, unread._answers) == (1, 0, {})
    assert is_closed(slow_end)
    assert unread.look() == 0


def test_of_too_many_the_eldest_of_the_network_with_most_end(served: Served) -> None:
    unread = UnreadAnswers(ConnectionGuard(1000), limit=5 * LENGTH // 2)
    hosts = ["127.0.0.2", "127.0.0.1", "127.0.0.1", "127.0.0.1"]
    crowd = [served.connect(host) for host in hosts]
    assert [unread.add(client, LENGTH) for client, _ in crowd] == [False, False, True, True]
    assert (unread.look(), unread._bytes) == (2, 2 * LENGTH)
    assert [is_closed(end) for _, end in crowd] == [False, True, True, False]


def test_nobody_looks_before_it_is_worth_it(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking costs some milliseconds where there are many connections."""
    looked = []
    guard = ConnectionGuard(1000)
    monkeypatch.setattr(guard, "answers", lambda clients: looked.append(set(clients)) or [])
    monkeypatch.setattr(unread_answers, "_SOON", 1e6)
    unread = UnreadAnswers(guard, limit=2 * LENGTH)
    assert (unread.look(), looked) == (0, [])
    unread.add("127.0.0.1:1", LENGTH)
    assert (unread.look(), looked) == (0, [])
    for port in (2, 3):
        unread.add(f"127.0.0.1:{port}", LENGTH)
    monkeypatch.setattr(unread_answers, "_BETWEEN_LOOKS", 1e6)
    unread._looked = unread_answers.time.monotonic()
    assert (unread.look(), looked) == (0, [])
    monkeypatch.setattr(unread_answers, "_BETWEEN_LOOKS", 0.0)
    assert (unread.look(), looked) == (0, [{"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"}])
