"""What goes wrong on a real connection: envelopes for whatever reaches the application, and a server that stays up.

Granian itself answers what is no HTTP at all, with an empty 400; only what it takes as a request reaches us.
"""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from app.answers import Answer
from app.db.database import db
from app.goods.models import Good
from tests.factories import auth_headers, make_user
from tests.live import LiveServer, Reply

_LIMIT = 100_000


@pytest.fixture(scope="module")
def strict_server(app: Flask, environment: dict[str, str]) -> Iterator[LiveServer]:
    """Where `server` comes from."""
    strict = {"MAX_BODY_BYTES": str(_LIMIT), "RATE_LIMITS_ENABLED": "1", "RATE_LIMIT_CAPTCHA": "2 per minute"}
    with LiveServer.start({**environment, **strict}, workers=1) as running:
        yield running


@pytest.fixture
def server(strict_server: LiveServer, clean: None) -> LiveServer:
    """A server that takes little: bodies of 100 kB, and two captchas a minute; on empty stores."""
    return strict_server


def assert_refused(reply: Reply, answer: Answer, **details: Any) -> None:
    """Assert that the reply is exactly the answer's envelope, with `details` beside its name."""
    assert reply.headers["content-type"] == "application/json", reply.content
    data = {"error": answer.name, **details}
    assert (reply.status, reply.body) == (answer.http, {"status": answer.status, "msg": answer.msg, "data": data})
    assert reply.headers["x-request-id"]


def raw(server: LiveServer, sent: bytes, *, hang_up: bool = False) -> bytes:
    """Send bytes as they are; all that comes back until the server hangs up, or says no more for two seconds.

    `hang_up`: nothing more is sent, and the server can see that.
    """
    with socket.create_connection(("127.0.0.1", server.port), timeout=2) as connection:
        connection.sendall(sent)
        if hang_up:
            connection.shutdown(socket.SHUT_WR)
        got = b""
        try:
            while chunk := connection.recv(65536):
                got += chunk
        except (TimeoutError, ConnectionResetError):
            pass
        return got


def parts(answer: bytes) -> tuple[int, bytes]:
    """Status and body of the last answer in what came back."""
    head, _, body = answer.rpartition(b"\r\n\r\n")
    return int(head.rpartition(b"HTTP/1.1 ")[2][:3]), body


def request_bytes(method: str, target: str, *headers: str, body: bytes = b"") -> bytes:
    """A request as it goes over the wire."""
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: shop.example", *headers, "", ""]).encode() + body


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """A body in chunks."""
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end


def test_errors_of_the_framework_are_envelopes(app: Flask, server: LiveServer) -> None:
    headers = auth_headers(app, make_user(app))
    json_type = {"Content-Type": "application/json"}
    assert_refused(server.call("GET", "/nowhere"), Answer.NO_SUCH_URL)
    assert_refused(server.call("GET", "/%ff%fe%00/%zz"), Answer.NO_SUCH_URL)
    wrong_method = server.call("DELETE", "/login/")
    assert_refused(wrong_method, Answer.METHOD_NOT_ALLOWED)
    assert wrong_method.headers["allow"] == "OPTIONS, POST"
    assert_refused(server.call("BREW", "/healthz"), Answer.METHOD_NOT_ALLOWED)
    assert_refused(server.call("POST", "/login/", body=b"{", headers=json_type), Answer.BAD_REQUEST)
    assert_refused(server.call("POST", "/login/", body=b"<a/>", headers={"Content-Type": "text/xml"}), _TYPE)
    assert_refused(server.call("GET", "/api/user/"), Answer.LOGIN_REQUIRED)
    assert_refused(server.call("GET", "/api/user/", headers={"Authorization": "Bearer a.b.c"}), Answer.TOKEN_INVALID)
    assert server.call("GET", "/api/user/", headers=headers).status == 200
    for _ in range(2):
        assert server.call("GET", "/register/").status == 200
    limited = server.call("GET", "/register/")
    assert_refused(limited, Answer.TOO_MANY_REQUESTS)
    assert 0 < int(limited.headers["retry-after"]) <= 60


_TYPE = Answer.UNSUPPORTED_TYPE
_CLOSE = "Connection: close"
_JSON, _FORM = "application/json", "application/x-www-form-urlencoded"


@pytest.mark.parametrize("kind", [_JSON, _FORM, 'multipart/form-data; boundary="b"'])
def test_bodies_that_are_too_large(server: LiveServer, kind: str) -> None:
    reply = server.call("POST", "/login/", body=b"a" * (_LIMIT + 1), headers={"Content-Type": kind})
    assert_refused(reply, Answer.TOO_LARGE)
    # What is only announced is not waited for.
    headers = (f"Content-Type: {kind}", _CLOSE)
    announced = request_bytes("POST", "/login/", *headers, "Content-Length: 999999999999", body=b"{")
    status, body = parts(raw(server, announced))
    assert (status, json.loads(body)["msg"]) == (413, Answer.TOO_LARGE.msg)
    # What is not announced is counted.
    in_chunks = chunked(b"a" * 65536, b"a" * 65536)
    sent = request_bytes("POST", "/login/", *headers, "Transfer-Encoding: chunked", body=in_chunks)
    status, body = parts(raw(server, sent))
    assert (status, json.loads(body)["msg"]) == (413, Answer.TOO_LARGE.msg)
    assert server.call("GET", "/healthz").status == 200


GOOD = b"title=bike&description=nine&category=7&trade_mode=7&price=3000"
CUT = GOOD[:-2]  # a whole good, for 30 yuan


def goods(app: Flask) -> int:
    """How many there are."""
    with app.app_context():
        return db.session.execute(select(func.count()).select_from(Good)).scalar_one()


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (f"Content-Length: {len(GOOD)}", CUT),
        ("Transfer-Encoding: chunked", chunked(CUT, end=b"")),
        ("Transfer-Encoding: chunked", chunked(CUT, end=b"zz\r\n00\r\n0\r\n\r\n")),
        ("Transfer-Encoding: chunked", b"%x\r\n%s" % (len(GOOD), CUT)),
    ],
    ids=["length", "between chunks", "broken chunk", "in a chunk"],
)
def test_a_form_that_was_cut_off_is_not_taken_for_another(
    app: Flask, server: LiveServer, framing: str, body: bytes
) -> None:
    token = auth_headers(app, make_user(app))["Authorization"]
    headers = (f"Authorization: {token}", f"Content-Type: {_FORM}")
    status, answer = parts(
        raw(server, request_bytes("POST", "/api/good_release/", *headers, framing, body=body), hang_up=True)
    )
    assert (status, json.loads(answer)["msg"], goods(app)) == (400, Answer.BAD_REQUEST.msg, 0)
    whole = request_bytes("POST", "/api/good_release/", *headers, _CLOSE, f"Content-Length: {len(GOOD)}", body=GOOD)
    status, answer = parts(raw(server, whole))
    assert (status, json.loads(answer)["data"]["price"], goods(app)) == (200, "3000.00", 1)


def test_a_connection_that_is_gone_leaves_nothing(app: Flask, server: LiveServer) -> None:
    token = auth_headers(app, make_user(app))["Authorization"]
    headers = (f"Authorization: {token}", f"Content-Type: {_FORM}", f"Content-Length: {len(GOOD)}")
    for _ in range(8):  # more than there are threads
        with socket.create_connection(("127.0.0.1", server.port), timeout=2) as connection:
            connection.sendall(request_bytes("POST", "/api/good_release/", *headers, body=CUT))
    assert server.call("GET", "/healthz").status == 200
    whole = server.call(
        "POST", "/api/good_release/", body=GOOD, headers={"Authorization": token, "Content-Type": _FORM}
    )
    assert (whole.status, goods(app)) == (200, 1)


def test_chunks_are_fine_where_the_end_is_known(app: Flask, server: LiveServer) -> None:
    token = auth_headers(app, make_user(app))["Authorization"]
    # The first text of a process waits for the word lists.
    assert server.call("PATCH", "/api/user/", body={"bio": "first"}, headers={"Authorization": token}).status == 200
    sent = chunked(b'{"bio": "in ', b'chunks"}')
    headers = (f"Authorization: {token}", f"Content-Type: {_JSON}", "Transfer-Encoding: chunked")
    status, body = parts(raw(server, request_bytes("PATCH", "/api/user/", *headers, _CLOSE, body=sent)))
    assert (status, json.loads(body)["data"]["bio"]) == (200, "in chunks")
    cut = chunked(b'{"bio": "in ', end=b"zz\r\n")
    status, body = parts(raw(server, request_bytes("PATCH", "/api/user/", *headers, body=cut), hang_up=True))
    assert (status, json.loads(body)["msg"]) == (400, Answer.BAD_REQUEST.msg)
    assert server.call("GET", "/api/user/", headers={"Authorization": token}).body["data"]["bio"] == "in chunks"


NO_REQUESTS = {
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\xff\r\n\r\n", 400),
    "HTTP of long ago": (b"GET /\r\n", 400),
    "HTTP of the future": (b"GET / HTTP/3.0\r\n\r\n", 400),
    "method with NUL": (b"GE\x00T /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "bytes in the URL": (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "header without colon": (request_bytes("GET", "/healthz", "No colon here"), 400),
    "header with NUL": (request_bytes("GET", "/healthz", "X-A: a\x00b"), 400),
    "negative length": (request_bytes("POST", "/login/", "Content-Length: -1", body=b"{}"), 400),
    "length beyond numbers": (request_bytes("POST", "/login/", f"Content-Length: {10**30}", body=b"{}"), 400),
    "two lengths": (request_bytes("POST", "/login/", "Content-Length: 2", "Content-Length: 3", body=b"{}"), 400),
    "long URL": (request_bytes("GET", "/" + "a" * 70_000), 431),
    "many headers": (request_bytes("GET", "/healthz", *(f"X-{number}: a" for number in range(500))), 431),
}


def test_what_is_no_request_is_refused_and_the_server_stays(server: LiveServer) -> None:
    for name, (sent, status) in NO_REQUESTS.items():
        assert parts(raw(server, sent)) == (status, b""), name
        assert server.call("GET", "/healthz").status == 200, name
    assert server.process.poll() is None


def test_odd_requests_are_answered(server: LiveServer) -> None:
    for method, target, headers, answer in (
        ("GET", "/nowhere", ["Host: a b<>:x"], Answer.NO_SUCH_URL),
        ("OPTIONS", "*", [], Answer.NO_SUCH_URL),
        ("CONNECT", "shop.example:443", [], Answer.NO_SUCH_URL),
        ("GET", "/api/user/", ["Authorization: Bearer 鱼"], Answer.LOGIN_REQUIRED),
        ("GET", "/healthz", ["X-Request-Id: 鱼"], Answer.OK),
        ("GET", "http://elsewhere.example/healthz", [], Answer.OK),
    ):
        status, body = parts(raw(server, request_bytes(method, target, *headers, _CLOSE)))
        assert (status, json.loads(body)["msg"]) == (answer.http, answer.msg), (method, target)
