"""The nginx of `deploy/` in front of the real product."""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import orjson
import pytest
import yaml
from flask import Flask

from app.answers import Answer
from app.factory import APIS
from app.origin import network_of
from config import Settings
from tests.attack.attacks import http_2_requests
from tests.attack.siege import get
from tests.factories import auth_headers, make_user
from tests.live import PROJECT, LiveServer, call, form, free_port
from tests.nginx import nginx_before

_CONFIG = (PROJECT / "deploy" / "nginx.conf").read_text("utf-8")
_BODY_SECONDS = 60  # that nginx waits for bodies which never come, while a test waits for what they do


@pytest.fixture(scope="module")
def front(app: Flask, environment: dict[str, str]) -> Iterator[int]:
    """The port of nginx in front of one web process that trusts it."""
    with ExitStack() as stack:
        limits = {"TRUSTED_PROXIES": "1", "RATE_LIMITS_ENABLED": "1", "RATE_LIMIT_CAPTCHA": "2 per minute"}
        server = stack.enter_context(LiveServer.start({**environment, **limits}, workers=1))
        yield stack.enter_context(nginx_before(server.port, body_seconds=_BODY_SECONDS))


def refused(answer: Answer) -> dict[str, Any]:
    """Its envelope."""
    return {"status": answer.status, "msg": answer.msg, "data": {"error": answer.name}}


def held(stack: ExitStack, port: int, *lines: str) -> socket.socket:
    """A connection whose request waits for a body that never comes, as `is_held` tells."""
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
    head = ("POST /login/ HTTP/1.1", "Host: x", "Content-Length: 9", "Expect: 100-continue", *lines, "", "")
    connection.sendall("\r\n".join(head).encode())
    return connection


def is_held(connection: socket.socket) -> bool:
    """Whether nginx has let the request in; it reads what several send in whatever order it likes."""
    return connection.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_what_nginx_refuses_has_our_envelope(app: Flask, front: int, clean: None) -> None:
    assert call(front, "GET", "/healthz").status == 200
    for url in ("/metrics", "/metrics/", "/%6detrics", "//metrics"):
        reply = call(front, "GET", url)
        assert (reply.status, reply.body) == (404, refused(Answer.NO_SUCH_URL)), url
    large = b"a" * (64 * 1024 + 1)
    for url in ("/login/", "/api/add_address/"):
        reply = call(front, "POST", url, body=large, headers={"Content-Type": "application/json"})
        assert (reply.status, reply.body) == (413, refused(Answer.TOO_LARGE)), url
    # Where pictures are taken the application decides.
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    assert call(front, "POST", "/api/good_release/", body=large, headers=kind).body == refused(Answer.LOGIN_REQUIRED)
    token = auth_headers(app, make_user(app))
    reply = call(front, "POST", "/api/good_release/", body=b"--b--\r\n", headers={**kind, **token})
    assert (reply.status, reply.body["data"]["error"]) == (422, "RELEASE_MALFORMED")
    body, header = form(username="nobody", password="wrong password")
    assert call(front, "POST", "/login/", body=body, headers=header).body == refused(Answer.WRONG_CREDENTIALS)


def test_nobody_chooses_the_address_that_he_is_counted_by(front: int, clean: None) -> None:
    answers = [
        call(front, "GET", "/register/", headers={"X-Forwarded-For": f"192.0.2.{number}"}).status for number in range(4)
    ]
    assert answers == [200, 200, 429, 429]


def test_one_address_has_so_many_requests_at_a_time(front: int) -> None:
    with ExitStack() as stack:
        assert all(map(is_held, [held(stack, front) for _ in range(64)]))
        reply = call(front, "GET", "/healthz")
        assert (reply.status, reply.body) == (429, refused(Answer.TOO_MANY_REQUESTS))
        # Another address is none the worse for it.
        with socket.create_connection(("127.0.0.1", front), timeout=30, source_address=("127.0.0.2", 0)) as other:
            other.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert other.recv(65536).startswith(b"HTTP/1.1 200 ")
    until = time.monotonic() + 30
    while call(front, "GET", "/healthz").status != 200:  # until it has seen that they have left
        assert time.monotonic() < until


@pytest.mark.parametrize(("sent", "of"), [(100_000, 5_000_000), (3_000_000, 3_000_000)])
def test_of_large_bodies_of_strangers_nothing_is_kept(front: int, sent: int, of: int) -> None:
    """nginx wrote them into files until they had come, however long that took: 91 MB each."""
    head = (
        "POST /api/good_release/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {of}\r\n\r\n"
    )
    got = b""
    with socket.create_connection(("127.0.0.1", front), timeout=30) as stranger:
        with suppress(ConnectionError):  # nginx reads what still comes for some seconds, and ends the connection then
            stranger.sendall(head.encode() + b"a" * sent)
        with suppress(ConnectionError):
            while chunk := stranger.recv(65536):
                got += chunk
    assert got.startswith(b"HTTP/1.1 401 ")
    assert orjson.loads(got.partition(b"\r\n\r\n")[2]) == refused(Answer.LOGIN_REQUIRED)


def test_streams_of_http_2_without_bodies_stop_nobody(environment: dict[str, str]) -> None:
    """F1, where the proxy speaks HTTP/2: bodies are awaited by it, and one network has so many requests at a time."""
    port = free_port()
    with ExitStack() as stack:
        server = stack.enter_context(LiveServer.start({**environment, "TRUSTED_PROXIES": "1"}, workers=1))
        front = stack.enter_context(nginx_before(server.port, http_2_port=port, body_seconds=_BODY_SECONDS))
        for _ in range(6):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            connection.sendall(http_2_requests(20) + b"\0\0\x08\x06\0" + bytes(12))  # and a PING
            answer = stack.enter_context(connection.makefile("rb"))
            while (frame := answer.read(9))[3:5] != b"\x06\x01":  # answered when it has read what came before
                answer.read(int.from_bytes(frame[:3]))
                assert frame, "it does not speak HTTP/2"
        assert call(front, "GET", "/healthz").status == 429
        assert get(front, "/healthz", timeout_s=30) == 200  # from another address


def test_networks_are_those_of_the_application(front: int) -> None:
    """Whoever has one of IPv6 has 2^64 addresses in it."""
    same = [
        ["192.0.2.1"],
        ["192.0.2.2"],
        ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::1", "2001:db8:1:2:0:1::"],
        ["2001:db8:1::1", "2001:db8:1:0:1:2:3:4"],
        ["2001:db8:1:3::1"],
        ["2001:db8::1", "2001:db8::1:2:3:4", "2001:db8:0:0:1::1"],
        ["2001::1", "2001::1:2:3:4", "2001:0:0:0:1::1"],
        ["2001::7:1:2:3:4", "2001:0:0:7::1"],
    ]
    assert [len({network_of(address) for address in each}) for each in same] == [1] * len(same)
    # Through a port of nginx that counts by what a header says, each network gets its 64 requests at a time.
    with ExitStack() as stack:
        port = stack.enter_context(nginx_before(front, address="$http_x_of", body_seconds=_BODY_SECONDS))
        connections = [
            held(stack, port, f"X-Of: {addresses[number % len(addresses)]}")
            for number in range(64)
            for addresses in same
        ]
        assert all(map(is_held, connections))
        every = [address for addresses in same for address in addresses]
        answers = [call(port, "GET", "/healthz", headers={"X-Of": address}).status for address in every]
        assert answers == [429] * len(every)
        assert call(port, "GET", "/healthz", headers={"X-Of": "2001:db8:1:4::1"}).status != 429


def test_sizes_by_route_are_those_of_the_operations() -> None:
    pattern = re.search(r"location ~ (\S+) \{\s*client_max_body_size 91m;", _CONFIG)
    assert pattern is not None
    operations = [operation for api in APIS for operation in api.operations]
    taking = {operation.rule for operation in operations if operation.files is not None}
    for operation in operations:
        url = re.sub(r"<[^>]+>", "7", operation.rule)
        assert (re.match(pattern[1], url) is not None) == (operation.rule in taking), operation.name
        assert operation.largest_body == 64 * 1024  # or nginx needs a location for it
    assert Settings().max_body_bytes == 91 * 1024 * 1024


def test_texts_are_those_of_the_application() -> None:
    returned = re.findall(r"return (\d+) '(\{.*\})';", _CONFIG)
    assert len(returned) == 5
    for http, body in returned:
        answer = Answer[orjson.loads(body)["data"]["error"]]
        assert (int(http), orjson.loads(body)) == (answer.http, refused(answer))


def test_compose_puts_it_in_front() -> None:
    services = yaml.safe_load((PROJECT / "docker-compose.yml").read_text("utf-8"))["services"]
    assert services["front"]["volumes"] == ["./deploy/nginx.conf:/etc/nginx/nginx.conf:ro"]
    assert services["front"]["ports"] == ["${PORT:-8000}:80"]
    assert "ports" not in services["web"]
    assert services["web"]["environment"]["TRUSTED_PROXIES"] == "${TRUSTED_PROXIES:-1}"
