"""The edge: an RSGI application that collects a request whole, within limits, and only then gives it a thread.

Granian's own WSGI takes one of its few threads at a request's first line and holds it until the body has come. It has
no time limit for bodies (granian#728), so sixteen clients that announce a body and send nothing would stop the site.
Here a body is awaited by the event loop, where waiting costs nothing but its bytes:

- Its size is limited before anything is read, by what its operation takes (`app.web.api.Declarations.largest_body`).
- It has a total time and a least rate. Too many at a time: the one that has taken longest ends.
- Above 64 KiB it goes into a temporary file, and where its operation wants a login only a valid token may send it. Too
  many of these: of the network that sends most of them, the slowest ends.

Then the WSGI application is called, by one of a few threads, as any WSGI server calls it (PEP 3333). What is refused
here passes through the application too (`REFUSAL`): its answer has the envelope, its request id, log line and metrics
as all others. A client that goes while its request runs costs the request's thread until that ends.
"""

import asyncio
import io
import secrets
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import IO, Any, Final, NamedTuple, Protocol

import structlog
from flask import Flask
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt.exceptions import PyJWTError
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.middleware.proxy_fix import ProxyFix

from app.answers import Answer, Refused
from app.origin import network_of
from app.settings import settings
from app.web import metrics
from app.web.api import Operation, find_operation
from app.web.auth import authenticate
from app.web.bodies import REFUSAL, SMALL_BODY
from app.web.connections import ConnectionGuard
from app.web.envelope import envelope
from app.web.environ import Scope, environ_of
from app.web.heartbeat import Heartbeat
from app.web.threads import RequestThreads
from app.web.unread_answers import COUNTED_BYTES, UnreadAnswers

log = structlog.get_logger(__name__)

THREADS: Final = 4
"""Threads that run requests. More would only wait for each other: one at a time runs Python."""

_QUEUE: Final = 512  # requests that wait for a thread; a longer queue would only make all of them late
_LOOK_SECONDS: Final = 0.5  # between looks at bodies that take too long and at connections
_LARGE_BODIES: Final = 8  # that come in at a time; each may fill MAX_BODY_BYTES of disk
_LARGE_BODIES_PER_USER: Final = 2
_LARGE_BODY_SECONDS: Final = 300.0  # whatever its rate
_HEAD_START: Final = 1024 * 1024  # bytes that each of them is taken to have sent at once, or none could begin
_RETRY_SECONDS: Final = 1
# What is refused before it was read is read for a while all the same, and thrown away: a client that sends everything
# before it looks for an answer would otherwise see a broken connection.
_LINGER_SECONDS, _LINGER_PAUSE, _LINGER_BYTES, _LINGERING = 2.0, 0.2, 8 * 1024 * 1024, 4
_READS_NO_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "CONNECT"})
_WITHOUT_BODY: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
# The application says what it is, when it is asked again.
_NOT_AUTHENTICATED: Final = (Refused, JWTExtendedException, PyJWTError, RedisError, SQLAlchemyError)


class HTTPProtocol(Protocol):
    """A request's body and its answer, as granian has them."""

    async def __call__(self) -> bytes:
        """The whole body. Raises where it ends too early."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The body in parts; the last is empty, and where it ends too early a second empty one follows."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer."""

    def response_stream(self, status: int, headers: list[tuple[str, str]]) -> Any:
        """Begin to answer with a body whose length is not known."""


class _Request:
    """A request on its way: what of its body has come, why it is refused if it is, and what it has not sent yet."""

    __slots__ = ("body", "client", "length", "proto", "refusal", "rest", "scope")

    def __init__(self, scope: Scope, proto: HTTPProtocol, client: str) -> None:
        self.scope = scope
        self.proto = proto
        self.client = client
        self.body: IO[bytes] | None = None
        self.length: int | None = None
        self.refusal: Refused | None = None
        self.rest: AsyncIterator[bytes] | None = None

    def refuse(
        self, answer: Answer, *, rest: AsyncIterator[bytes] | None = None, retry_after: int | None = None
    ) -> None:
        """Let the application answer this, without a body; `rest` is what comes of that nevertheless."""
        self.refusal = Refused(answer, retry_after=retry_after)
        self.rest = rest
        self.drop_body()

    def drop_body(self) -> None:
        """Close the file of the body, if there is one."""
        body, self.body = self.body, None
        if body is not None:
            with suppress(OSError):  # a full disk, for what has not been written yet
                body.close()


class Edge:
    """The RSGI application in front of a Flask application."""

    def __init__(self, app: Flask, *, threads: int = THREADS) -> None:
        self._app = app
        self._threads = RequestThreads(threads)
        with app.app_context():
            self._settings = settings()
        # As in the factory, for what is decided before the application is called.
        self._believe_proxies = ProxyFix(
            lambda _environ, _start: (), x_for=self._settings.trusted_proxies, x_proto=0, x_host=0
        )
        self._guard = ConnectionGuard(self._settings.connections_limit)
        self._unread = UnreadAnswers(self._guard)
        self._heartbeat = Heartbeat(self._settings.web_heartbeat_path)
        self._busy: set[str] = set()  # clients whose requests are under way
        self._incoming: dict[_Incoming, None] = {}  # the eldest first
        self._lingering = 0

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin, in a web process."""
        self._loop = loop
        metrics.reserve_room()
        self._threads.start(loop)
        loop.call_soon(self._look)

    def __rsgi_del__(self, _loop: asyncio.AbstractEventLoop) -> None:
        """End, when all requests have been answered."""
        self._threads.stop()
        self._heartbeat.end()

    def __rsgi__(self, scope: Scope, proto: HTTPProtocol) -> Awaitable[None]:
        """Answer one request."""
        client = scope.client  # granian makes a new text each time
        if client in self._unread.answers:
            self._unread.forget(client)
        request = _Request(scope, proto, client)
        headers = scope.headers
        if "content-length" in headers or "transfer-encoding" in headers:
            return self._receive_and_run(request)
        return self._run_in_thread(request)

    # In the event loop: receiving

    async def _receive_and_run(self, request: _Request) -> None:
        self._busy.add(request.client)
        try:
            await self._receive(request)
        except Exception:
            log.exception("unhandled_fault")
            request.refuse(Answer.FAULT)
        except BaseException:  # cancelled by somebody else: it will not run
            self._leave(request)
            raise
        await self._run_in_thread(request)
        if request.rest is not None:
            await self._linger(request.rest)
            request.rest = None  # as in `_run`

    async def _receive(self, request: _Request) -> None:
        """Receive the body, as far as its operation takes one."""
        scope = request.scope
        operation = None if scope.method in _READS_NO_BODY else find_operation(self._app, scope.method, scope.path)
        announced = _announced(scope)
        if announced == 0:
            request.length = 0
            return
        if operation is None:
            request.rest = aiter(request.proto)  # the application does not look at it
            return
        largest = operation.largest(scope.headers.get("content-type") or "", self._settings)
        if announced is not None and announced > largest:
            request.refuse(Answer.TOO_LARGE, rest=aiter(request.proto))
        elif announced is not None and announced <= SMALL_BODY:
            await self._receive_small(request)
        elif largest <= SMALL_BODY:
            await self._receive_parts(request, io.BytesIO, largest=largest, announced=announced, sender=None)
        else:
            await self._receive_large(request, operation, largest=largest, announced=announced)

    async def _receive_small(self, request: _Request) -> None:
        incoming = self._begin(None)
        try:
            body = await request.proto()
        except asyncio.CancelledError:
            self._give_up(request, incoming)
        except RuntimeError:  # granian's: the client has gone, or what it sent is no body
            request.refuse(Answer.BAD_REQUEST)
        else:
            request.body, request.length = io.BytesIO(body), len(body)
        finally:
            self._incoming.pop(incoming, None)

    async def _receive_large(
        self, request: _Request, operation: Operation, *, largest: int, announced: int | None
    ) -> None:
        sender = await self._sender(request, operation)
        if sender is None:
            request.rest = aiter(request.proto)  # the application refuses it, before it would read
            return
        if sum(each.user_id == sender.user_id for each in self._senders()) >= _LARGE_BODIES_PER_USER:
            request.refuse(Answer.BUSY, rest=aiter(request.proto), retry_after=_RETRY_SECONDS)
            return
        await self._receive_parts(request, tempfile.TemporaryFile, largest=largest, announced=announced, sender=sender)

    async def _receive_parts(
        self,
        request: _Request,
        make_file: Callable[[], IO[bytes]],
        *,
        largest: int,
        announced: int | None,
        sender: "_Sender | None",
    ) -> None:
        """Receive a body that is large, or whose length nobody has said, into a file, which ends with the request."""
        incoming = self._begin(sender)
        parts = aiter(request.proto)
        empty = 0
        try:
            request.body = body = make_file()
            while (part := await _next(parts)) is not None:
                incoming.received += len(part)
                empty += not part
                if incoming.received > largest:
                    request.refuse(Answer.TOO_LARGE, rest=parts)
                    return
                body.write(part)
        except asyncio.CancelledError:
            self._give_up(request, incoming)
            return
        except OSError as error:
            log.error("body_not_kept", error=str(error))  # noqa: TRY400 - a full disk needs no traceback
            request.refuse(Answer.BUSY, rest=parts, retry_after=_RETRY_SECONDS)
            return
        finally:
            self._incoming.pop(incoming, None)
        # Granian ends each body with an empty part, and one that breaks off or is no chunked body with two.
        if empty > 1 or incoming.received != (incoming.received if announced is None else announced):
            request.refuse(Answer.BAD_REQUEST)
            return
        body.seek(0)
        request.length = incoming.received

    def _begin(self, sender: "_Sender | None") -> "_Incoming":
        incoming = _Incoming(self._loop.time(), sender)
        if sender is not None:
            self._make_room_for(sender)
        elif len(self._incoming) >= self._settings.bodies_limit:
            # What an honest client sends comes at once; so it is not its body that has taken longest.
            eldest = next((each for each in self._incoming if each.sender is None), None)
            if eldest is not None:
                self._end(eldest)
        self._incoming[incoming] = None
        return incoming

    def _make_room_for(self, sender: "_Sender") -> None:
        """End a large body where there are too many: accounts are free, networks and bytes are less so."""
        if sum(1 for _ in self._senders()) < _LARGE_BODIES:
            return
        by_network = Counter(each.network for each in (*self._senders(), sender))
        now = self._loop.time()
        large = ((each, each.sender) for each in self._incoming if each.sender is not None)
        self._end(min(large, key=lambda pair: (-by_network[pair[1].network], pair[0].rate(now)))[0])

    def _senders(self) -> "Iterator[_Sender]":
        """Who is sending a large body, once for each."""
        return (each.sender for each in self._incoming if each.sender is not None)

    def _end(self, incoming: "_Incoming") -> None:
        """Wait for this body no longer."""
        del self._incoming[incoming]
        incoming.ended = True
        incoming.task.cancel()

    def _give_up(self, request: _Request, incoming: "_Incoming") -> None:
        """Refuse what has come too slowly. Raises CancelledError where somebody else cancelled the task."""
        if not incoming.ended:
            raise asyncio.CancelledError
        incoming.task.uncancel()
        request.refuse(Answer.REQUEST_TIMEOUT)

    async def _sender(self, request: _Request, operation: Operation) -> "_Sender | None":
        """The user who sends a large body; None for everybody whom the operation would not let in."""
        found: list[_Sender] = []

        def authenticate_sender() -> None:
            environ = environ_of(request.scope, body=io.BytesIO(), length=0, errors=sys.stderr)
            self._believe_proxies(environ, _Start())
            with suppress(*_NOT_AUTHENTICATED), self._app.request_context(environ):
                actor = authenticate(operation.auth)
                if actor is not None:
                    found.append(_Sender(actor.id, network_of(environ["REMOTE_ADDR"])))

        await self._threads.run(authenticate_sender)
        return found[0] if found else None

    async def _linger(self, rest: AsyncIterator[bytes]) -> None:
        """Read and forget what still comes, as long as it comes quickly."""
        if self._lingering >= _LINGERING:
            return
        self._lingering += 1
        until = self._loop.time() + _LINGER_SECONDS
        read = 0
        try:
            while read <= _LINGER_BYTES and self._loop.time() < until:
                async with asyncio.timeout(_LINGER_PAUSE):
                    part = await _next(rest)
                if not part:
                    return
                read += len(part)
        except (TimeoutError, RuntimeError):
            pass
        finally:
            self._lingering -= 1

    # In the event loop: from time to time

    def _look(self) -> None:
        self._loop.call_later(_LOOK_SECONDS, self._look)
        now = self._loop.time()
        for incoming in [each for each in self._incoming if now - each.since > self._seconds_for(each)]:
            self._end(incoming)
        self._guard.look(self._busy)
        self._unread.look()
        self._heartbeat.beat(self._threads)

    def _seconds_for(self, incoming: "_Incoming") -> float:
        seconds = self._settings.body_seconds + incoming.received / self._settings.body_least_rate
        return min(seconds, _LARGE_BODY_SECONDS)

    # In a thread: running

    def _run_in_thread(self, request: _Request) -> "asyncio.Future[None]":
        if self._threads.waiting < _QUEUE:
            self._busy.add(request.client)
            return self._threads.submit(partial(self._run, request))
        self._answer(request, Answer.BUSY)
        self._leave(request)
        done: asyncio.Future[None] = self._loop.create_future()
        done.set_result(None)
        return done

    def _run(self, request: _Request) -> None:
        try:
            self._call(request)
        except BaseException:  # a thread must not end; granian's panics are no Exceptions
            log.exception("unhandled_fault")
            self._answer(request, Answer.FAULT)
        finally:
            self._leave(request)
            # Granian waits for what is left of a body until nobody could ask for it any more, and some frame of the
            # application's may know this request until garbage is collected.
            del request.proto

    def _leave(self, request: _Request) -> None:
        """Forget a request that is over."""
        self._busy.discard(request.client)
        request.drop_body()

    def _call(self, request: _Request) -> None:
        """Call the application and send its answer."""
        environ = environ_of(request.scope, body=request.body or io.BytesIO(), length=request.length, errors=sys.stderr)
        if request.refusal is not None:
            environ[REFUSAL] = request.refusal
        start = _Start()
        parts = self._app(environ, start)
        try:
            if start.length_is_known or environ["REQUEST_METHOD"] == "HEAD":
                body = b"".join(parts)
                if len(body) >= COUNTED_BYTES:  # counted first: the next request may come before this goes on
                    address = environ["REMOTE_ADDR"]  # by now that which the trusted proxies say
                    if self._unread.add(request.client, len(body), address=address):
                        self._loop.call_soon_threadsafe(self._unread.look)
                request.proto.response_bytes(start.status, start.headers, body)
            else:
                self._stream(request.proto.response_stream(start.status, start.headers), parts)
        finally:
            if hasattr(parts, "close"):
                parts.close()

    def _stream(self, transport: Any, parts: Iterable[bytes]) -> None:
        async def send(part: bytes) -> None:
            await transport.send_bytes(part)

        for part in parts:
            # Raises where the client has gone.
            asyncio.run_coroutine_threadsafe(send(part), self._loop).result()

    def _answer(self, request: _Request, answer: Answer) -> None:
        """Answer without the application: it cannot be asked. Does nothing where an answer has been sent.

        Raises nothing: after this there is nobody left to answer.
        """
        try:
            self._answer_alone(request, answer, request_id=secrets.token_hex(8))
        except BaseException:  # granian's panics are no Exceptions
            log.exception("request_not_answered")

    def _answer_alone(self, request: _Request, answer: Answer, *, request_id: str) -> None:
        with self._app.app_context():
            response = envelope(answer)
        headers = [*response.headers.items(), ("X-Request-Id", request_id)]
        if answer is Answer.BUSY:
            headers.append(("Retry-After", str(_RETRY_SECONDS)))
        request.proto.response_bytes(response.status_code, headers, response.get_data())
        metrics.observe_request(method=request.scope.method, rule="(edge)", http=response.status_code, seconds=0.0)
        log.warning("request_not_run", request_id=request_id, method=request.scope.method, http=response.status_code)


class _Sender(NamedTuple):
    """Who sends a large body, and from where."""

    user_id: int
    network: str


class _Incoming:
    """A body that is being received: since when, how much has come, and the task that waits for it.

    `sender` is known of large ones only.
    """

    __slots__ = ("ended", "received", "sender", "since", "task")

    def __init__(self, since: float, sender: _Sender | None) -> None:
        self.since = since
        self.sender = sender
        self.received = 0
        self.ended = False
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - granian runs each request as a task; this tells the type checker
        self.task = task

    def rate(self, now: float) -> float:
        """Bytes a second so far, with the head start."""
        return (self.received + _HEAD_START) / max(now - self.since, 0.001)


class _Start:
    """WSGI's `start_response`: keeps what it is called with."""

    __slots__ = ("headers", "length_is_known", "status")

    def __call__(self, status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> Any:
        self.status = int(status[:3])
        self.headers = headers
        self.length_is_known = self.status in _WITHOUT_BODY or any(name == "Content-Length" for name, _ in headers)


async def _next(parts: AsyncIterator[bytes]) -> bytes | None:
    """The next part of a body, None after the last.

    `async for` would begin anew, which granian does not allow, and `anext` with a default does not take its futures.
    """
    try:
        return await anext(parts)
    except StopAsyncIteration:
        return None


def _announced(scope: Scope) -> int | None:
    """The length that the request has for its body; None where that will show only at its end."""
    length = scope.headers.get("content-length")
    return int(length) if length is not None and "transfer-encoding" not in scope.headers else None
