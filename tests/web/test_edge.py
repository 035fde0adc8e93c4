"""What strangers send before it is a request: slowly, too much, too many at a time, or nothing at all."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil
import pytest
from flask import Flask

from app.accounts.queries import addresses
from app.answers import Answer, Refused
from app.web.bodies import SMALL_BODY, largest_body, refuse_intricate
from app.web.connections import ConnectionGuard
from app.web.edge import Edge, _Sender
from app.web.environ import environ_of
from app.web.unread_answers import LIMIT_BYTES
from config import Settings
from tests.accounts.test_addresses import HOME
from tests.conftest import MakeApp
from tests.factories import auth_headers, make_user
from tests.live import LiveServer, free_port
from tests.processes import ForkedPython
from tests.settings import settings_with

_JSON = "Content-Type: application/json"
_LONG = "/docs/assets/swagger-ui-bundle.js"  # 1.6 MB
_MULTIPART = "Content-Type: multipart/form-data; boundary=b"


@pytest.fixture(scope="module")
def impatient(app: Flask, environment: dict[str, str]) -> Iterator[LiveServer]:
    """One web process that gives a body a second, takes six at a time, and keeps forty connections."""
    limits = {"BODY_SECONDS": "1", "BODIES_LIMIT": "6", "CONNECTIONS_LIMIT": "60", "RATE_LIMITS_ENABLED": "0"}
    with LiveServer.start({**environment, **limits}, workers=1) as running:
        yield running


@pytest.fixture(scope="module")
def patient(app: Flask, environment: dict[str, str]) -> Iterator[LiveServer]:
    """One web process in which bodies may take two minutes: what is held there is held as long as a test needs it."""
    limits = {"BODY_SECONDS": "120", "BODIES_LIMIT": "6", "RATE_LIMITS_ENABLED": "0"}
    with LiveServer.start({**environment, **limits}, workers=1) as running:
        yield running


@pytest.fixture(scope="module")
def odd(app: Flask, environment: dict[str, str]) -> Iterator[int]:
    """The port of `tests.web.odd_application`."""
    with odd_server(environment) as (port, _):
        yield port


@contextlib.contextmanager
def odd_server(environment: dict[str, str]) -> Iterator[tuple[int, ForkedPython]]:
    """`tests.web.odd_application` under granian as anybody may start it; its port and its process."""
    port = free_port()
    command = ["-m", "granian", "--interface", "rsgi", "--http", "1", "--no-ws", "--port", str(port)]
    environ = {**os.environ, **environment, "PORT": str(port)}
    with ForkedPython([*command, "tests.web.odd_application:app"], environ=environ, new_session=True) as process:
        server = LiveServer(port, process)
        try:
            server._wait()
            yield port, process
        finally:
            server._end()


def opened(port: int, *lines: str, body: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
    """A connection on which a request has been sent, as far as these lines and this body go."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0))
    connection.sendall("\r\n".join([*lines, "Host: shop.example", "", ""]).encode() + body)
    return connection


def held(port: int, *lines: str, source: str = "127.0.0.1") -> socket.socket:
    """A connection on which the server waits for a body: it has said so, and nothing of it is sent."""
    connection = opened(port, *lines, "Expect: 100-continue", source=source)
    assert connection.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
    return connection


def is_held(connection: socket.socket) -> bool:
    """Whether the server still waits, and has neither answered nor ended the connection."""
    connection.setblocking(False)
    try:
        connection.recv(1)
    except BlockingIOError:
        return True
    finally:
        connection.settimeout(10)
    return False


def answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of what comes back until the server hangs up; status 0 for nothing."""
    got = b""
    with connection, contextlib.suppress(ConnectionResetError):
        try:
            while chunk := connection.recv(65536):
                got += chunk
        except TimeoutError:
            raise AssertionError(f"the server does not hang up after {got!r}") from None
    head, _, body = got.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    return int(first[9:12] or 0), dict(line.lower().split(": ", 1) for line in rest), body


def ask(port: int, *lines: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    """The answer to one request on a connection of its own."""
    return answer(opened(port, *lines, "Connection: close", body=body))


def refusal(answer: Answer, **details: Any) -> dict[str, Any]:
    """The envelope of a refusal."""
    return {"status": answer.status, "msg": answer.msg, "data": {"error": answer.name, **details}}


def is_quick(server: LiveServer) -> bool:
    """Whether the server answers others before what idles would end by itself, after fifteen seconds."""
    began = time.monotonic()
    return server.call("GET", "/healthz").status == 200 and time.monotonic() - began < 10


_HELD = (
    (("Content-Length: 100",), b""),
    (("Content-Length: 100",), b'{"username"'),
    (("Transfer-Encoding: chunked",), b""),
    (("Transfer-Encoding: chunked",), b'4\r\n{"us\r\n'),
)


def test_bodies_that_do_not_come_stop_nobody(patient: LiveServer) -> None:
    """F2: sixteen of them held every thread for as long as they liked."""
    head = ("POST /login/ HTTP/1.1", _JSON)
    with ExitStack() as stack:
        waiting = [stack.enter_context(opened(patient.port, *head, *framing, body=body)) for framing, body in _HELD]
        waiting.append(stack.enter_context(held(patient.port, *head, "Content-Length: 100")))
        assert patient.call("GET", "/healthz").status == 200
        assert all(map(is_held, waiting))


def test_bodies_that_do_not_come_end(app: Flask, impatient: LiveServer, clean: None) -> None:
    head = ("POST /login/ HTTP/1.1", _JSON)
    token = f"Authorization: {auth_headers(app, make_user(app))['Authorization']}"
    large = ("POST /api/good_release/ HTTP/1.1", _MULTIPART, "Content-Length: 5000000", token)
    began = time.monotonic()
    with ExitStack() as stack:
        waiting = [stack.enter_context(opened(impatient.port, *head, *framing, body=body)) for framing, body in _HELD]
        waiting.append(stack.enter_context(held(impatient.port, *head, "Content-Length: 100")))
        waiting.append(stack.enter_context(opened(impatient.port, *large, body=b"--b\r\n")))
        answers = [answer(connection) for connection in waiting]
    assert [status for status, _, _ in answers] == [408] * 6
    assert [json.loads(body) for _, _, body in answers] == [refusal(Answer.REQUEST_TIMEOUT)] * 6
    assert all(headers["x-request-id"] for _, headers, _ in answers)
    assert time.monotonic() - began >= 1
    metrics = impatient.call("GET", "/metrics").content.decode()
    counted = 'saltfish_http_requests_total{http="408",method="POST",rule="/login"} '
    assert float(metrics.partition(counted)[2].split()[0]) >= 5


def test_one_body_too_many_ends_the_one_that_has_taken_longest(patient: LiveServer) -> None:
    head = ("POST /login/ HTTP/1.1", _JSON)
    body = b'{"username": "a", "password": "b"}'
    with ExitStack() as stack:
        waiting = [stack.enter_context(held(patient.port, *head, "Content-Length: 100")) for _ in range(12)]
        assert ask(patient.port, *head, f"Content-Length: {len(body)}", body=body)[0] == 422
        assert [answer(connection)[0] for connection in waiting[:7]] == [408] * 7
        assert all(map(is_held, waiting[7:]))


def test_of_too_many_small_bodies_the_one_that_has_taken_longest_ends(app: Flask) -> None:
    """A large one counts, and is not ended for a small one."""

    async def receive() -> list[bool]:
        with settings_with(app, bodies_limit=3):
            edge = Edge(app, threads=1)
        edge._loop = asyncio.get_running_loop()

        async def one(sender: _Sender | None) -> None:
            edge._begin(sender)
            await asyncio.Event().wait()

        tasks = []
        for sender in (_Sender(1, "a"), None, None, None, None):
            tasks.append(asyncio.ensure_future(one(sender)))
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        cancelled = [task.cancelled() for task in tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return cancelled

    assert asyncio.run(receive()) == [False, True, True, False, False]


def test_a_body_that_comes_byte_after_byte_is_ended(impatient: LiveServer) -> None:
    with opened(impatient.port, "POST /login/ HTTP/1.1", _JSON, "Transfer-Encoding: chunked") as connection:
        until = time.monotonic() + 30
        with contextlib.suppress(OSError):
            while time.monotonic() < until:
                connection.sendall(b"1\r\n \r\n")
                time.sleep(0.05)
        assert time.monotonic() < until, "it is still read"


def test_large_bodies_come_from_users_only(app: Flask, patient: LiveServer, clean: None) -> None:
    large = ("POST /api/good_release/ HTTP/1.1", _MULTIPART, "Content-Length: 5000000")
    status, _, body = ask(patient.port, *large)
    assert (status, json.loads(body)) == (401, refusal(Answer.LOGIN_REQUIRED))
    token, another = (f"Authorization: {auth_headers(app, make_user(app))['Authorization']}" for _ in range(2))
    with ExitStack() as stack:
        three = [stack.enter_context(held(patient.port, *large, token)) for _ in range(2)]
        status, headers, body = ask(patient.port, *large, token)
        assert (status, headers["retry-after"], json.loads(body)) == (503, "1", refusal(Answer.BUSY))
        three.append(stack.enter_context(held(patient.port, *large, another)))
        assert patient.call("GET", "/healthz").status == 200
        assert all(map(is_held, three))
    # Only with pictures, and only where pictures are taken.
    for url, kind in (("/api/good_release/", _JSON), ("/api/add_address/", _MULTIPART)):
        status, _, body = ask(patient.port, f"POST {url} HTTP/1.1", kind, token, "Content-Length: 65537")
        assert (status, json.loads(body)) == (413, refusal(Answer.TOO_LARGE))


def test_some_accounts_keep_nobody_from_sending_pictures(app: Flask, patient: LiveServer, clean: None) -> None:
    """Four of them, two bodies each, were all that a web process takes."""
    body = b'--b\r\nContent-Disposition: form-data; name="pictures"\r\n\r\n' + b"a" * 70_000 + b"\r\n--b--\r\n"
    head = ("POST /api/good_release/ HTTP/1.1", _MULTIPART, f"Content-Length: {len(body)}", "Connection: close")
    tokens = [f"Authorization: {auth_headers(app, make_user(app))['Authorization']}" for _ in range(5)]
    with ExitStack() as stack:
        slow = [stack.enter_context(held(patient.port, *head, token)) for token in tokens[:4] * 2]
        honest = opened(patient.port, *head, tokens[4], body=body, source="127.0.0.2")
        status, _, answered = answer(honest)
        assert (status, json.loads(answered)["data"]["error"]) == (422, "RELEASE_MALFORMED")
        assert answer(slow[0])[0] == 408
        assert all(map(is_held, slow[1:]))


@pytest.mark.parametrize(
    ("sending", "comes", "ended"),
    [
        # From where, and how many bytes in how many seconds.
        ([("a", 9, 1.0)] * 7, "a", None),
        # Of the network with most, however slow the only one of another is.
        ([("a", 4_000_000, 10.0)] * 6 + [("a", 3_000_000, 10.0), ("b", 1, 20.0)], "b", 6),
        ([("a", 4_000_000, 10.0)] * 6 + [("a", 3_000_000, 10.0), ("b", 1, 20.0)], "c", 6),
        # Who comes counts as well: the ninth of this network takes the place of its own slowest.
        ([("a", 1, 10.0), ("b", 1, 20.0)] * 3 + [("c", 1, 30.0), ("b", 1, 20.0)], "b", 1),
        # As many of each: the slowest. One that has just begun is not that.
        ([("a", 0, 0.5)] + [(network, 320_000, 10.0) for network in "bcdef"] + [("g", 300_000, 10.0)] * 2, "g", 6),
        ([("a", 0, 0.5), *((network, 320_000, 10.0) for network in "bcdef"), ("g", 9, 5), ("h", 9, 9)], "i", 7),
    ],
)
def test_of_too_many_large_bodies_the_slowest_of_the_network_with_most_ends(
    app: Flask, sending: list[tuple[str, int, float]], comes: str, ended: int | None
) -> None:
    async def receive() -> list[bool]:
        edge = Edge(app, threads=1)
        edge._loop = asyncio.get_running_loop()
        now = edge._loop.time()

        async def one(network: str, received: int, seconds: float) -> None:
            incoming = edge._begin(_Sender(1, network))
            incoming.received, incoming.since = received, now - seconds
            await asyncio.Event().wait()

        tasks = []
        for each in (*sending, (comes, 0, 0.0)):
            tasks.append(asyncio.ensure_future(one(*each)))
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        cancelled = [task.cancelled() for task in tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return cancelled

    assert asyncio.run(receive()) == [number == ended for number in range(len(sending) + 1)]


def test_a_body_for_which_there_is_no_room_is_refused(app: Flask, patient: LiveServer, clean: None) -> None:
    token = f"Authorization: {auth_headers(app, make_user(app))['Authorization']}"
    body = (
        b'--b\r\nContent-Disposition: form-data; name="pictures"; filename="a"\r\n\r\n'
        + b"a" * 4_100_000
        + b"\r\n--b--\r\n"
    )
    head = ("POST /api/good_release/ HTTP/1.1", _MULTIPART, f"Content-Length: {len(body)}", token)
    [web] = psutil.Process(patient.process.pid).children()
    before = web.rlimit(psutil.RLIMIT_FSIZE)
    # To whoever writes, a full disk. What it writes into its log is less.
    web.rlimit(psutil.RLIMIT_FSIZE, (4_000_000, before[1]))
    try:
        status, headers, answered = ask(patient.port, *head, body=body)
    finally:
        web.rlimit(psutil.RLIMIT_FSIZE, before)
    assert (status, headers["retry-after"], json.loads(answered)) == (503, "1", refusal(Answer.BUSY))
    assert json.loads(ask(patient.port, *head, body=body)[2])["data"]["error"] == "RELEASE_MALFORMED"


def test_a_body_for_which_no_file_can_be_made_is_refused(
    app: Flask, clean: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    token = auth_headers(app, make_user(app))["Authorization"]
    large = {"authorization": token, "content_type": "multipart/form-data; boundary=b", "content_length": "500000"}

    async def ask() -> _Protocol:
        edge = Edge(app, threads=1)
        edge.__rsgi_init__(asyncio.get_running_loop())
        protocol = _Protocol(parts=[b""])
        try:
            await edge.__rsgi__(_Scope("POST", "/api/good_release/", **large), protocol)
        finally:
            edge.__rsgi_del__(asyncio.get_running_loop())
        assert (edge._busy, edge._incoming) == (set(), {})
        return protocol

    told = asyncio.run(ask())
    assert (told.statuses, told.headers["retry-after"], json.loads(told.body)) == ([503], "1", refusal(Answer.BUSY))


def test_connections_whose_bodies_are_refused_unread_end_soon(impatient: LiveServer) -> None:
    head = ("POST /login/ HTTP/1.1", _JSON, "Content-Length: 65537", "Connection: close")
    with ExitStack() as stack:
        refused = [stack.enter_context(opened(impatient.port, *head)) for _ in range(12)]
        began = time.monotonic()
        assert [answer(connection)[0] for connection in refused] == [413] * 12
        assert time.monotonic() - began < 10  # not only when idle connections end


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_large_body_arrives_whole(app: Flask, patient: LiveServer, clean: None, framing: str) -> None:
    token = f"Authorization: {auth_headers(app, make_user(app))['Authorization']}"
    part = b'--b\r\nContent-Disposition: form-data; name="pictures"; filename="a.png"\r\n\r\n'
    body = part + b"no picture" * 30_000 + b"\r\n--b--\r\n"
    length = f"Content-Length: {len(body)}" if framing == "length" else "Transfer-Encoding: chunked"
    sent = body if framing == "length" else b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    head = ("POST /api/good_release/ HTTP/1.1", _MULTIPART, token, length)
    status, _, answered = ask(patient.port, *head, body=sent)
    assert (status, json.loads(answered)["data"]["error"]) == (422, "RELEASE_MALFORMED")
    assert json.loads(answered)["data"]["errors"]["title"] == ["必填"]
    with opened(patient.port, *head, body=sent[:-9]) as connection:
        connection.shutdown(socket.SHUT_WR)
        status, _, answered = answer(connection)
    assert (status, json.loads(answered)) == (400, refusal(Answer.BAD_REQUEST))


def test_many_idle_connections_keep_nobody_out(impatient: LiveServer) -> None:
    """F2: from 1,024 on nothing was answered."""
    assert impatient.call("GET", "/api/good/1/").status == 404  # it has its connection to the database now
    before = psutil.Process(impatient.process.pid).children(recursive=True)[0].num_fds()
    with ExitStack() as stack:
        idle = [
            stack.enter_context(socket.create_connection(("127.0.0.1", impatient.port), timeout=30)) for _ in range(300)
        ]
        for connection in idle[::2]:
            connection.sendall(b"GET /healthz HT")
        assert is_quick(impatient)
        deadline = time.monotonic() + 10
        while sum(_has_ended(connection) for connection in idle) < 255:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert is_quick(impatient)
    # Those who look for connections among the open files leave none open themselves.
    web = psutil.Process(impatient.process.pid).children(recursive=True)[0]
    until = time.monotonic() + 30
    while web.num_fds() > before + 5:
        assert time.monotonic() < until
        time.sleep(0.05)


def _has_ended(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_of_too_many_connections_those_end_that_do_nothing_for_longest() -> None:
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        clients, ours = [], []
        for _ in range(8):
            clients.append(stack.enter_context(socket.create_connection(listening.getsockname(), timeout=10)))
            ours.append(stack.enter_context(listening.accept()[0]))
        names = ["{}:{}".format(*each.getsockname()) for each in clients]
        guard = ConnectionGuard(7)
        assert guard.look(names) == 0  # whose requests are under way are left alone
        until = time.monotonic() + 10
        while min(quiet for quiet, name, _ in guard._connections() if name in names) < 40:
            assert time.monotonic() < until
        for client, our in list(zip(clients, ours, strict=True))[4:]:
            client.sendall(b"GET")
            assert our.recv(3) == b"GET"
        assert guard.look(names[1:2]) == 3
        assert [clients[number].recv(1) for number in (0, 2, 3)] == [b""] * 3
        assert [_has_ended(clients[number]) for number in (1, 4, 5, 6, 7)] == [False] * 5


def test_http_2_is_not_spoken(impatient: LiveServer) -> None:
    """F1: four streams of one connection held all threads for ever."""
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=10) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))
        assert answer(connection)[0] in (0, 400)
    assert is_quick(impatient)


_LARGEST = Settings().max_body_bytes


@pytest.mark.parametrize(
    ("kind", "declared", "pictures", "most"),
    [
        ("application/json", SMALL_BODY, False, SMALL_BODY),
        ("application/json", SMALL_BODY, True, SMALL_BODY),
        ("multipart/form-data; boundary=b", SMALL_BODY, False, SMALL_BODY),
        ("Multipart/Form-Data; boundary=b", SMALL_BODY, True, _LARGEST),
        # What an operation declares, up to what any body may have.
        ("application/json", 1000, False, 1000),
        ("", 200_000, False, 200_000),
        ("application/json", 2 * _LARGEST, False, _LARGEST),
    ],
)
def test_how_large_a_body_may_be(kind: str, declared: int, pictures: bool, most: int) -> None:
    assert largest_body(kind, declared=declared, pictures=pictures, settings=Settings()) == most


def test_headers_have_a_limit(impatient: LiveServer) -> None:
    assert ask(impatient.port, "GET /healthz HTTP/1.1", f"X-Large: {'a' * 70_000}")[0] == 431


def test_the_application_is_told_what_wsgi_says(odd: int) -> None:
    headers = ("X-A: 1", "X-A: 2", "X-A: 鱼", "Cookie: a=1", "Cookie: b=2", "X_Forwarded_For: 192.0.2.1")
    framing = ("Transfer-Encoding: chunked",)
    sent = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    status, _, body = ask(odd, "GET /odd/%65nviron/?q=%E9%B1%BC&x HTTP/1.1", *headers)
    assert (status, body.decode().split("\n")) == (
        200,
        [
            "CONTENT_LENGTH=None",
            "HTTP_X_A=1,2",
            "HTTP_COOKIE=a=1; b=2",
            "HTTP_X_FORWARDED_FOR=None",  # only with dashes: a proxy replaces those
            "HTTP_TRANSFER_ENCODING=None",
            "PATH_INFO=/odd/environ/",
            "QUERY_STRING=q=%E9%B1%BC&x",
            "REMOTE_ADDR=127.0.0.1",
            "SERVER_PROTOCOL=HTTP/1.1",
            "wsgi.url_scheme=http",
            "body=b''",
        ],
    )
    # A URL that the OpenAPI document does not know has no body.
    status, _, body = ask(odd, "POST /odd/environ/ HTTP/1.1", *framing, body=sent)
    assert (status, body.decode().split("\n")[0], body.decode().split("\n")[-1]) == (
        200,
        "CONTENT_LENGTH=None",
        "body=b''",
    )


def test_a_key_that_is_no_ascii_is_refused_and_not_passed_over(app: Flask, impatient: LiveServer, clean: None) -> None:
    """Granian does not tell such a header's value. What was meant to happen once would have happened each time."""
    user = make_user(app)
    token = f"Authorization: {auth_headers(app, user)['Authorization']}"
    body = json.dumps(HOME).encode()
    head = ("POST /api/add_address/ HTTP/1.1", _JSON, f"Content-Length: {len(body)}", token)
    reason = {"Idempotency-Key": ["须为 1 至 255 个可见 ASCII 字符,不含空格"]}
    for _ in range(2):
        status, _, answered = ask(impatient.port, *head, "Idempotency-Key: 地址-1", body=body)
        assert (status, json.loads(answered)["data"]["errors"]) == (422, reason)
    with app.app_context():
        assert addresses(user.id) == []


class _Protocol:
    """What granian gives the edge for a request whose body comes when it is told to."""

    def __init__(self, *, fails: bool = False, parts: Iterable[bytes] = ()) -> None:
        self.comes = asyncio.Event()
        self.fails = fails
        self.parts = parts
        self.statuses: list[int] = []
        self.headers: dict[str, str] = {}  # of the last answer, and its body
        self.body = b""

    async def __call__(self) -> bytes:
        await self.comes.wait()
        return b"{}"

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            yield part

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.statuses.append(status)
        self.headers, self.body = {name.lower(): value for name, value in headers}, body
        if self.fails:
            raise RuntimeError("nobody is there")

    def response_stream(self, _status: int, _headers: list[tuple[str, str]]) -> Any:
        raise NotImplementedError


def test_nobody_stays_busy_whose_request_does_not_run(app: Flask) -> None:
    """Where he did, memory grew, and his connection was never closed."""

    class Login:
        http_version, server, client, scheme = "1.1", "127.0.0.1:8000", "127.0.0.1:41000", "http"
        method, path, query_string = "POST", "/login/", ""
        headers = MappingProxyType({"content-length": "2", "content-type": "application/json"})

    async def ask() -> None:
        edge = Edge(app, threads=1)
        edge.__rsgi_init__(asyncio.get_running_loop())
        held = threading.Event()
        scope: Any = Login()
        try:
            cancelled = asyncio.ensure_future(edge.__rsgi__(scope, _Protocol()))
            await asyncio.sleep(0)
            assert edge._busy == {"127.0.0.1:41000"}
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            assert edge._busy == set()
            for _ in range(514):
                edge._threads.submit(held.wait)  # type: ignore[arg-type] # what it returns is of no interest
            protocol = _Protocol()
            protocol.comes.set()
            await edge.__rsgi__(scope, protocol)
            assert (protocol.statuses, edge._busy) == ([503], set())
            # Nor where it cannot be answered.
            protocol = _Protocol(fails=True)
            protocol.comes.set()
            await edge.__rsgi__(scope, protocol)
            assert (protocol.statuses, edge._busy) == ([503], set())
            # One that runs, and cannot be answered either: the thread takes the next.
            held.set()
            while edge._threads.waiting:
                await asyncio.sleep(0.01)
            for _ in range(2):
                protocol = _Protocol(fails=True)
                protocol.comes.set()
                async with asyncio.timeout(10):
                    await edge.__rsgi__(scope, protocol)
                assert (protocol.statuses, edge._busy) == ([422, 500], set())
        finally:
            held.set()
            edge.__rsgi_del__(asyncio.get_running_loop())

    asyncio.run(ask())


class _Scope:
    """What granian says of a request."""

    http_version, server, client, scheme, query_string = "1.1", "127.0.0.1:8000", "127.0.0.1:41000", "http", ""

    def __init__(self, method: str, path: str, **headers: str) -> None:
        self.method, self.path = method, path
        self.headers: Any = MappingProxyType({name.replace("_", "-"): value for name, value in headers.items()})


def test_a_long_answer_counts_until_the_next_request_of_its_connection(make_app: MakeApp) -> None:
    """It was ended for the time that shorter ones after it took. It counts by the address that proxies say."""

    async def ask() -> None:
        edge = Edge(make_app(TRUSTED_PROXIES="1"), threads=1)
        edge.__rsgi_init__(asyncio.get_running_loop())
        try:
            for following in (_Scope("GET", "/healthz"), _Scope("POST", "/login/", content_length="0")):
                await edge.__rsgi__(_Scope("GET", _LONG, x_forwarded_for="192.0.2.7"), _Protocol())
                assert [(client, each.address) for client, each in edge._unread.answers.items()] == [
                    ("127.0.0.1:41000", "192.0.2.7")
                ]
                answered = edge.__rsgi__(following, _Protocol())
                assert edge._unread.answers == {}
                await answered
                assert (edge._unread.answers, edge._unread._bytes) == ({}, 0)
        finally:
            edge.__rsgi_del__(asyncio.get_running_loop())

    asyncio.run(ask())


def test_answers_that_nobody_reads_end_where_they_are_too_much(impatient: LiveServer) -> None:
    """Nor is one forgotten for another request that is sent before it was read."""
    # Asked without having it: one that has been read counts for half a second, too.
    room = LIMIT_BYTES // int(impatient.call("HEAD", _LONG).headers["content-length"])
    assert room + 9 < 60  # CONNECTIONS_LIMIT
    asked = "".join(f"GET {url} HTTP/1.1\r\nHost: a\r\n\r\n" for url in (_LONG, "/healthz")).encode()
    with ExitStack() as stack:
        crowd = []
        for _ in range(room + 9):
            connection = stack.enter_context(socket.socket())
            # As over the Internet, where the system takes little of an answer: here it would take all.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
            connection.connect(("127.0.0.1", impatient.port))
            connection.sendall(asked)
            crowd.append(connection)
        until = time.monotonic() + 30
        ended = 0
        while (ended := ended + sum(_is_reset(connection) for connection in crowd)) < 9:
            assert time.monotonic() < until, ended
            time.sleep(0.05)
        assert is_quick(impatient)
        assert (ended, sum(_is_reset(connection) for connection in crowd)) == (9, 0)


def _is_reset(connection: socket.socket) -> bool:
    """Whether the connection has been ended without the rest of its answer; the system tells it once."""
    return bool(connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))


class _Request:
    """What granian says of a request over IPv6."""

    http_version, server, client, scheme = "1.1", "[::1]:8000", "[2001:db8::7]:41000", "https"
    method, path, query_string = "GET", "/鱼", ""
    headers: Any = MappingProxyType({})


def test_addresses_and_paths_are_written_as_wsgi_has_them() -> None:
    environ = environ_of(_Request(), body=open(os.devnull, "rb"), length=None, errors=None)  # noqa: SIM115, PTH123 - empty
    environ["wsgi.input"].close()
    assert "HTTP_X_FORWARDED_FOR" not in environ
    assert environ["PATH_INFO"] == "/鱼".encode().decode("latin-1")
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"], environ["REMOTE_ADDR"]) == ("::1", "8000", "2001:db8::7")


def test_answers_of_every_kind_arrive_and_are_closed(odd: int) -> None:
    assert ask(odd, "GET /odd/parts/ HTTP/1.1")[::2] == (200, b"one two")
    status, headers, body = ask(odd, "GET /odd/stream/ HTTP/1.1")
    assert (status, headers["transfer-encoding"], body) == (200, "chunked", b"4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n")
    status, headers, body = ask(odd, "HEAD /odd/environ/ HTTP/1.1")
    assert (status, int(headers["content-length"]) > 100, body) == (200, True, b"")
    for url in ("/odd/breaks/", "/odd/raises/"):
        status, headers, body = ask(odd, f"GET {url} HTTP/1.1")
        assert (status, json.loads(body)) == (500, refusal(Answer.FAULT))
        assert headers["x-request-id"]
    assert ask(odd, "GET /odd/closed/ HTTP/1.1")[2] == b"odd/parts,odd/breaks"


def test_a_client_that_leaves_costs_one_request(odd: int) -> None:
    for _ in range(3):
        opened(odd, "GET /odd/slow/ HTTP/1.1").close()
    assert ask(odd, "GET /healthz HTTP/1.1")[0] == 200


def test_requests_under_way_are_answered_before_the_server_ends(environment: dict[str, str], tmp_path: Path) -> None:
    began = tmp_path / "began"
    with odd_server({**environment, "ODD_SLOW_BEGAN": str(began)}) as (port, process):
        connection = opened(port, "GET /odd/slow/ HTTP/1.1")
        until = time.monotonic() + 30
        while not began.exists():
            assert time.monotonic() < until
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert answer(connection)[::2] == (200, b"slow")
        assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (b'{"ids": [' + b"1," * 500 + b"1]}", None),
        (b'{"ids": [' + b"1," * 1000 + b"1]}", Answer.TOO_LARGE),
        (b'{"username": [' + b"[]," * 600 + b"[]]}", Answer.TOO_LARGE),
        (b'{"a":' * 8 + b"1" + b"}" * 8, None),
        (b"[" * 9 + b"]" * 9, Answer.BAD_REQUEST),
        (b"[" * 60_000, Answer.BAD_REQUEST),
        # What stands in texts does not count, also where quotes are escaped.
        (json.dumps({"description": '[{,\\"' * 2000}).encode(), None),
        (b'{"a": "\\\\", "b": [' + b"1," * 1000 + b"1]}", Answer.TOO_LARGE),
        (b'{"a": "' + b"[" * 5000, None),  # no JSON: the parser says so
    ],
)
def test_json_that_no_operation_reads_is_told_without_parsing_it(body: bytes, refused: Answer | None) -> None:
    """F3: lists in a list cost 35 times their bytes."""
    if refused is None:
        refuse_intricate(body)
        return
    with pytest.raises(Refused) as caught:
        refuse_intricate(body)
    assert caught.value.answer is refused
