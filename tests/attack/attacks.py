"""The attacks. Each sends to a local port for some seconds, bounded in number and bytes, and stops by itself."""

import io
import itertools
import json
import select
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from PIL import Image


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is attacked, and how hard."""

    port: int
    good_id: int
    token: str
    seconds: float
    connections: int
    """How many connections the largest crowd opens."""
    upload: int
    """Bytes of the largest body that is sent."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """What came of the requests so far: an answer in a few words (`_outcome`), or one of the following."""


HELD = "held"
"""Of a connection: it was still open when the attack ended."""

CLOSED = "closed"
"""Of a connection: it was ended without an answer."""

Attack = Callable[[Target], None]


def _connect(target: Target) -> socket.socket:
    return socket.create_connection(("127.0.0.1", target.port), timeout=2)


def _head(*lines: str) -> bytes:
    return "\r\n".join([*lines, "Host: shop.example", "", ""]).encode()


def _post(url: str, kind: str, *lines: str) -> bytes:
    return _head(f"POST {url} HTTP/1.1", f"Content-Type: {kind}", *lines)


_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
_LOGIN = _post("/login/", _JSON, "Content-Length: 1000")


def _crowd(target: Target, count: int, first: bytes, drip: bytes = b"") -> None:
    """Many connections that send `first`, and then one byte or part after the other; closed ones are opened again."""
    until = time.monotonic() + target.seconds
    with ExitStack() as stack:
        held: list[socket.socket] = []
        while time.monotonic() < until:
            while len(held) < count and time.monotonic() < until:
                with suppress(OSError):
                    connection = stack.enter_context(_connect(target))
                    connection.sendall(first)
                    connection.setblocking(False)
                    held.append(connection)
            held = [connection for connection in held if _goes_on(target, connection, drip)]
            time.sleep(0.2)
        held = [connection for connection in held if _goes_on(target, connection, b"")]
        if held:
            target.outcomes[HELD] += len(held)


def _goes_on(target: Target, connection: socket.socket, drip: bytes) -> bool:
    got = b""
    try:
        if drip:
            connection.send(drip)
        while part := connection.recv(65536):
            got += part
    except BlockingIOError:
        if got:
            target.outcomes[_outcome(got)] += 1
        return True
    except OSError:
        pass
    target.outcomes[_outcome(got)] += 1
    connection.close()
    return False


def _outcome(got: bytes) -> str:
    """What came back: status, `data.error`, and the names in `data.errors`."""
    head, _, body = got.partition(b"\r\n\r\n")
    if head.endswith(b"100 Continue"):
        return _outcome(body)
    if not head.startswith(b"HTTP/1.1 "):
        return CLOSED
    words = [head[9:12].decode()]
    with suppress(ValueError, TypeError, KeyError):
        data = json.loads(body)["data"]
        words += [data["error"], *sorted(data.get("errors", ()))]
    return " ".join(words)


def _answer(connection: socket.socket) -> str:
    got = b""
    with suppress(OSError):
        while part := connection.recv(65536):
            got += part
    return _outcome(got)


def _send(connection: socket.socket, data: bytes) -> bool:
    """Send all of it, unless an answer comes before that. Returns whether there is none yet."""
    view = memoryview(data)
    with suppress(OSError):
        while view:
            if select.select([connection], [], [], 0)[0]:
                return False
            view = view[connection.send(view[:65536]) :]
        return True
    return False


def _flood(target: Target, requests: Iterator[bytes]) -> None:
    """One request after the other on connections of their own, the answer read as far as there is one."""
    until = time.monotonic() + target.seconds
    for request in requests:
        if time.monotonic() > until:
            return
        with suppress(OSError), _connect(target) as connection:
            _send(connection, request)
            target.outcomes[_answer(connection)] += 1


def _stream(target: Target, head: bytes, parts: Iterator[bytes]) -> None:
    """One body after the other, each until the server hangs up."""
    until = time.monotonic() + target.seconds
    while time.monotonic() < until:
        with suppress(OSError), _connect(target) as connection:
            connection.sendall(head)
            for part in parts:
                if not _send(connection, part):
                    break
                if time.monotonic() > until:
                    return
            target.outcomes[_answer(connection)] += 1
        time.sleep(0.05)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def _literal(name: str, value: str) -> bytes:
    """A header of HTTP/2, neither indexed nor compressed (RFC 7541, 6.2.2)."""
    return b"\x00" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()


def http_2_requests(streams: int) -> bytes:
    """A connection of HTTP/2 on which so many bodies are announced and none is sent."""
    fields = {":method": "POST", ":scheme": "http", ":path": "/login/", ":authority": "x", "content-length": "100"}
    block = b"".join(_literal(name, value) for name, value in fields.items())
    opened = b"".join(_frame(1, 4, 2 * number + 1, block) for number in range(streams))
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(4, 0, 0, b"") + opened


def http_2_streams_without_bodies(target: Target) -> None:
    """F1."""
    _crowd(target, 6, http_2_requests(20))


def bodies_that_never_come(target: Target) -> None:
    """F2."""
    _crowd(target, 64, _LOGIN)


def bodies_byte_by_byte(target: Target) -> None:
    """F2."""
    _crowd(target, 64, _LOGIN, drip=b" ")


def chunks_without_end(target: Target) -> None:
    """A body of which nobody said how long it is."""
    _crowd(target, 32, _post("/login/", _JSON, "Transfer-Encoding: chunked"), drip=b"1\r\n \r\n")


def headers_line_by_line(target: Target) -> None:
    """Slowloris."""
    _crowd(target, 64, b"GET /healthz HTTP/1.1\r\nHost: x\r\n", drip=b"X-A: b\r\n")


def idle_connections(target: Target) -> None:
    """F2."""
    _crowd(target, target.connections, b"")


def half_requests(target: Target) -> None:
    """Connections that have said something, and then wait."""
    _crowd(target, target.connections // 2, b"GET /healthz HT")


_PAUSE = 0.01
"""Seconds between two of these connections: what they hold is tried, not how many requests there may be at once."""


def answers_that_nobody_reads(target: Target) -> None:
    """The largest file that anybody may have, asked for on each of many connections, and nothing is read."""
    until = time.monotonic() + target.seconds
    asked = _head("GET /docs/assets/swagger-ui-bundle.js HTTP/1.1")
    held: list[socket.socket] = []
    with ExitStack() as stack:
        while time.monotonic() < until:
            if len(held) >= target.connections // 2:
                time.sleep(0.1)
                continue
            connection = stack.enter_context(socket.socket())
            connection.settimeout(2)
            # As over the Internet, where the system takes little of an answer from the server: here it would take all.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
            with suppress(OSError):
                connection.connect(("127.0.0.1", target.port))
                connection.sendall(asked)
                held.append(connection)
            time.sleep(_PAUSE)
        for connection in held:
            connection.setblocking(False)
            got = b""
            with suppress(OSError):
                while len(got) < 4096 and (part := connection.recv(4096)):
                    got += part
            target.outcomes[_outcome(got) if got else HELD] += 1


def nested_json(target: Target) -> None:
    """F3, as deep as it is long."""
    body = b'{"username":' + b"[" * target.upload
    _flood(target, itertools.repeat(_post("/login/", _JSON, f"Content-Length: {len(body)}") + body))


def wide_json(target: Target) -> None:
    """F3: lists in a list."""
    body = b'{"username":[' + b"[]," * (target.upload // 3) + b"[]]}"
    _flood(target, itertools.repeat(_post("/login/", _JSON, f"Content-Length: {len(body)}") + body))


def wide_json_of_allowed_size(target: Target) -> None:
    """F3, just below the limit of bytes."""
    body = b'{"username":[' + b"{}," * 21_000 + b"{}]}"
    head = _post("/login/", _JSON, f"Content-Length: {len(body)}", "Connection: close")
    _flood(target, itertools.repeat(head + body))


def chunked_json_without_end(target: Target) -> None:
    """F3, without saying how much it will be."""
    part = b"[]," * 10_000
    chunk = b"%x\r\n%s\r\n" % (len(part), part)
    _stream(target, _post("/login/", _JSON, "Transfer-Encoding: chunked"), itertools.repeat(chunk))


def many_form_fields(target: Target) -> None:
    """As many fields as 64 KiB have room for."""
    body = b"a&" * 32_000
    head = _post("/login/", _FORM, f"Content-Length: {len(body)}", "Connection: close")
    _flood(target, itertools.repeat(head + body))


def many_parts(target: Target) -> None:
    """As many parts of a multipart form."""
    body = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 1200 + b"--b--\r\n"
    length = f"Content-Length: {len(body)}"
    head = _post("/order/notify/", "multipart/form-data; boundary=b", length, "Connection: close")
    _flood(target, itertools.repeat(head + body))


def large_username(target: Target) -> None:
    """One field of a megabyte."""
    body = b'{"username":"' + b"a" * 1_000_000 + b'","password":"b"}'
    _flood(target, itertools.repeat(_post("/login/", _JSON, f"Content-Length: {len(body)}") + body))


def huge_headers(target: Target) -> None:
    """A megabyte before the first empty line."""
    _flood(target, itertools.repeat(_head("GET /healthz HTTP/1.1", *(f"X-{n}: {'a' * 1000}" for n in range(1000)))))


def uploads_of_nobody(target: Target) -> None:
    """Pictures without a login."""
    part = b'--b\r\nContent-Disposition: form-data; name="pictures"; filename="a.png"\r\n\r\n' + b"a" * target.upload
    head = _post("/api/good_release/", "multipart/form-data; boundary=b", f"Content-Length: {len(part)}")
    _flood(target, itertools.repeat(head + part))


def false_notifications(target: Target) -> None:
    """F5: sixty fields of 512 Han characters."""
    body = "&".join(f"field{n}=" + "%E9%B1%BC" * 100 for n in range(60)).encode()
    head = _post("/order/notify/", _FORM, f"Content-Length: {len(body)}", "Connection: close")
    _flood(target, itertools.repeat(head + body))


def _release(target: Target, picture: bytes) -> bytes:
    """A release of a good with this picture three times, of a user who is logged in; then with what is no picture.

    Three that are just within the limits are a good that anybody may release, where there is time for them.
    """
    fields: Mapping[str, str] = {"title": "a", "description": "b", "price": "1", "category": "1", "trade_mode": "7"}
    parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}' for name, value in fields.items()]
    file = b'\r\n--b\r\nContent-Disposition: form-data; name="pictures"; filename="a"\r\n\r\n' + picture
    body = "\r\n".join(parts).encode() + file * 3 + file.replace(picture, b"none") + b"\r\n--b--\r\n"
    head = _post(
        "/api/good_release/",
        "multipart/form-data; boundary=b",
        f"Authorization: Bearer {target.token}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return head + body


def picture_bombs(target: Target) -> None:
    """F4: three pictures of 50 megapixels in a few bytes."""
    written = io.BytesIO()
    Image.new("RGB", (7000, 7000)).save(written, "WEBP", lossless=True)
    _crowd(target, 8, _release(target, written.getvalue()))


def jpegs_of_many_scans(target: Target) -> None:
    """F4: a progressive JPEG with as many scans as its size allows, so all are decoded; then no marker follows."""
    written = io.BytesIO()
    Image.new("L", (7000, 7000), 90).save(written, "JPEG", progressive=True)
    whole = written.getvalue()
    last = whole[whole.rindex(b"\xff\xda") : -2]
    _crowd(target, 8, _release(target, whole[:-2] + last * (25 - whole.count(b"\xff\xda")) + b"\xff\x02"))


QUICK: tuple[Attack, ...] = (
    http_2_streams_without_bodies,
    bodies_that_never_come,
    bodies_byte_by_byte,
    idle_connections,
    wide_json,
    many_form_fields,
    chunked_json_without_end,
    false_notifications,
    picture_bombs,
)
"""One of each kind, for CI."""

ALL: tuple[Attack, ...] = (
    *QUICK,
    chunks_without_end,
    headers_line_by_line,
    half_requests,
    answers_that_nobody_reads,
    nested_json,
    wide_json_of_allowed_size,
    many_parts,
    large_username,
    huge_headers,
    uploads_of_nobody,
    jpegs_of_many_scans,
)

_TOO_LARGE = frozenset({"413 TOO_LARGE"})
_WAITS = frozenset({HELD})
_NO_PICTURES = frozenset({HELD, "503 BUSY", "422 RELEASE_MALFORMED pictures"})  # no other field
MEANT: Mapping[Attack, frozenset[str]] = {
    http_2_streams_without_bodies: frozenset({CLOSED, "400"}),
    bodies_that_never_come: _WAITS,
    bodies_byte_by_byte: _WAITS,
    idle_connections: _WAITS,
    wide_json: _TOO_LARGE,
    many_form_fields: _TOO_LARGE,
    chunked_json_without_end: _TOO_LARGE,
    false_notifications: frozenset({"200"}),
    picture_bombs: _NO_PICTURES,
    jpegs_of_many_scans: _NO_PICTURES,
    chunks_without_end: _WAITS,
    headers_line_by_line: _WAITS,
    half_requests: _WAITS,
    answers_that_nobody_reads: frozenset({"200", HELD}),
    nested_json: _TOO_LARGE,
    wide_json_of_allowed_size: _TOO_LARGE,
    many_parts: _TOO_LARGE,
    large_username: _TOO_LARGE,
    huge_headers: frozenset({"400", "431"}),
    uploads_of_nobody: frozenset({"401 LOGIN_REQUIRED", "413 TOO_LARGE"}),
}
"""What comes of an attack that is received as it is meant, where it is not simply turned away."""
