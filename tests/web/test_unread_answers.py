"""Answers that their clients do not take: they end, by time and by number, and those that were taken are forgotten."""

import fcntl
import socket
import termios
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from app.web.connections import ConnectionGuard
from app.web.unread_answers import UnreadAnswers

LENGTH = 4_000_000


class Served:
    """A server's end of connections, whose clients have asked for `LENGTH` bytes and read nothing yet."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.ends: dict[str, socket.socket] = {}

    def connect(self, host: str = "127.0.0.1", *, send: bool = True) -> tuple[str, socket.socket]:
        """One more; its client as granian writes it, and the client's end. As much is sent as the system takes."""
        client = self._stack.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.bind((host, 0))
        client.connect(self._listening.getsockname())
        own, address = self._listening.accept()
        self._stack.enter_context(own)
        own.setblocking(False)
        self.ends["{}:{}".format(*address)] = own
        if send:
            self._fill(own)
        return "{}:{}".format(*address), client

    def _fill(self, own: socket.socket) -> None:
        with suppress(BlockingIOError):
            while True:
                own.send(b"a" * 65536)

    def read_all(self, name: str, client: socket.socket) -> None:
        """Take all that was sent."""
        self.ends[name].shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass

    def send_and_read(self, name: str, client: socket.socket, count: int) -> None:
        """Send so many bytes more, and take them."""
        own = self.ends[name]
        own.settimeout(10)
        own.sendall(b"a" * count)
        client.settimeout(10)
        while count:
            count -= len(client.recv(count))
        until = time.monotonic() + 10
        while any(fcntl.ioctl(own, termios.TIOCOUTQ, bytes(4))):  # acknowledged, too
            assert time.monotonic() < until


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def served() -> Iterator[Served]:
    """A server whose clients read nothing unless they are told to."""
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


def test_what_takes_too_long_ends_and_what_was_taken_is_forgotten(served: Served) -> None:
    clock = Clock()
    unread = UnreadAnswers(ConnectionGuard(1000), clock=clock)
    (slow, slow_end), (quick, quick_end) = served.connect(), served.connect()
    length = 5 * 1024 * 1024
    for client, its_length in ((slow, length), (quick, 70_000), ("127.0.0.1:9", length)):
        assert unread.add(client, its_length, address="192.0.2.1") is False
    served.read_all(quick, quick_end)
    clock.now += 3
    assert unread.look() == 0
    assert (unread._bytes, list(unread.answers)) == (length + 70_000, [slow, quick])  # one has left
    clock.now += 0.3
    assert unread.look() == 0
    assert (unread._bytes, list(unread.answers)) == (length, [slow])  # one was taken
    # Ten seconds, and one more for each 16 KiB.
    for seconds, closed in ((170.0, 0), (329.7, 0), (330.1, 1)):
        clock.now = 1000 + seconds
        assert unread.look() == closed
    assert (unread._bytes, unread.answers) == (0, {})
    assert is_closed(slow_end)
    assert unread.look() == 0


def test_what_has_not_been_sent_yet_is_not_forgotten(served: Served) -> None:
    """One moment at which nothing waited to be acknowledged was enough: then it counted never again."""
    clock = Clock()
    unread = UnreadAnswers(ConnectionGuard(1000), clock=clock)
    client, end = served.connect(send=False)
    # The second answer of a connection, too, of which as much has been acknowledged as it is long.
    for parts in ((0, 0, 30_000, 0, 40_000), (0, 30_000, 40_000)):
        unread.add(client, 70_000, address="192.0.2.1")
        clock.now += 2.1
        for part in parts:
            served.send_and_read(client, end, part)
            assert unread.look() == 0
            assert list(unread.answers) == [client], (parts, part)
            clock.now += 0.3
        assert (unread.look(), unread.answers, unread._bytes) == (0, {}, 0)


def test_where_there_are_too_many_none_ends_that_has_just_been_taken(served: Served) -> None:
    """Nobody looks before there are too many, and to forget one takes two looks."""
    clock = Clock()
    unread = UnreadAnswers(ConnectionGuard(1000), limit=100_000, clock=clock)
    clients = [served.connect(send=False) for _ in range(3)]
    for number, (client, end) in enumerate(clients):
        served.send_and_read(client, end, 70_000)
        assert unread.add(client, 70_000, address=f"192.0.2.{number}") is (number > 0)
    clock.now += 0.6
    assert (unread.look(), len(unread.answers)) == (0, 3)
    clock.now += 0.3
    assert (unread.look(), unread.answers, unread._bytes) == (0, {}, 0)


def test_the_next_request_ends_the_time_of_the_answer_before_it(served: Served) -> None:
    """However short its own answer is: the system has got the one before, so it costs no more than that."""
    clock = Clock()
    unread = UnreadAnswers(ConnectionGuard(1000), clock=clock)
    client, end = served.connect()
    unread.add(client, 70_000, address="192.0.2.1")
    clock.now += 14
    unread.forget(client)
    unread.forget(client)
    assert (unread._bytes, unread.answers) == (0, {})
    clock.now += 100
    assert (unread.look(), is_closed(end)) == (0, False)
    unread.add(client, 70_000, address="192.0.2.1")
    unread.add(client, 70_001, address="192.0.2.1")
    assert (unread._bytes, len(unread.answers)) == (70_001, 1)


class Downloads:
    """Answers of `LENGTH` bytes under way: who wanted them, and how they go on."""

    def __init__(self, served: Served, *, most: float) -> None:
        self.clock = Clock()
        self.unread = UnreadAnswers(ConnectionGuard(1000), limit=int(most * LENGTH), clock=self.clock)
        self._served = served
        self._ends: list[tuple[str, socket.socket]] = []

    def begin(self, *addresses: str) -> None:
        """One more for each address."""
        for address in addresses:
            self._ends.append(self._served.connect())
            self.unread.add(self._ends[-1][0], LENGTH, address=address)
            self.clock.now += 0.001

    def read(self, **rates: int) -> None:
        """Two seconds in which some are read, `_NUMBER=BYTES`; the number counts from the first."""
        for number, count in rates.items():
            _, end = self._ends[int(number.removeprefix("_"))]
            end.settimeout(10)
            while count > 0:
                count -= len(end.recv(min(count, 65536)))
        self.clock.now += 2.1

    def ended(self) -> list[int]:
        """Which have been ended by now."""
        self.unread.look()
        return [number for number, (client, _) in enumerate(self._ends) if client not in self.unread.answers]


def test_of_too_many_those_end_that_are_hardly_read(served: Served) -> None:
    """Wherever they come from, and however many are read behind one address."""
    downloads = Downloads(served, most=4.5)
    downloads.begin("192.0.2.1", "192.0.2.1", "198.51.100.1", "198.51.100.2")
    downloads.read()
    assert downloads.ended() == []
    downloads.read(_0=200_000, _1=100_000, _3=20_000)
    assert downloads.ended() == []
    # Two seconds are what is measured.
    downloads.begin("203.0.113.1")
    assert downloads.unread._bytes > 4.5 * LENGTH
    downloads.clock.now += 0.3
    assert downloads.ended() == [2]
    downloads.begin("203.0.113.2")
    downloads.clock.now += 0.3
    assert downloads.ended() == [2, 3]


def test_of_too_many_that_are_read_the_network_with_most_begins_no_further_one(served: Served) -> None:
    """Those that are under way behind one address come to their ends, whoever begins there."""
    downloads = Downloads(served, most=3.5)
    downloads.begin("192.0.2.1", "192.0.2.1", "198.51.100.1")
    downloads.read()
    assert downloads.ended() == []
    downloads.read(_0=100_000, _1=200_000, _2=50_000)
    assert downloads.ended() == []
    downloads.begin("192.0.2.1")
    downloads.clock.now += 0.3
    assert downloads.ended() == [3]
    # But they leave some to others: the slowest of theirs.
    downloads.begin("198.51.100.9")
    downloads.clock.now += 0.3
    assert downloads.ended() == [0, 3]


def test_networks_of_one_customer_count_as_one(served: Served) -> None:
    downloads = Downloads(served, most=4.5)
    downloads.begin("2001:db8:7:1::1", "2001:db8:7:2::1", "2001:db8:7:3::1", "192.0.2.1", "192.0.2.1")
    downloads.clock.now += 0.3
    assert downloads.ended() == [2]


def test_nobody_looks_before_it_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking costs some milliseconds where there are many connections."""
    looked = []
    guard, clock = ConnectionGuard(1000), Clock()
    monkeypatch.setattr(guard, "answers", lambda clients: looked.append(set(clients)) or [])
    unread = UnreadAnswers(guard, limit=2 * LENGTH, clock=clock)
    clock.now += 0.3
    assert (unread.look(), looked) == (0, [])
    unread.add("127.0.0.1:1", LENGTH, address="127.0.0.1")
    clock.now += 0.3
    assert (unread.look(), looked) == (0, [])
    for port in (2, 3):
        unread.add(f"127.0.0.1:{port}", LENGTH, address="127.0.0.1")
    every = {f"127.0.0.1:{port}" for port in (1, 2, 3)}
    assert (unread.look(), looked) == (0, [every])
    for port in (1, 2, 3):
        unread.add(f"127.0.0.1:{port}", LENGTH, address="127.0.0.1")
    clock.now += 0.1
    assert (unread.look(), looked) == (0, [every])
    clock.now += 0.2
    assert (unread.look(), looked) == (0, [every, every])
    for port in (2, 3):
        unread.forget(f"127.0.0.1:{port}")
    unread.add("127.0.0.1:1", LENGTH, address="127.0.0.1")
    clock.now += 1.9
    assert (unread.look(), len(looked)) == (0, 2)
    clock.now += 0.2
    assert (unread.look(), len(looked)) == (0, 3)
