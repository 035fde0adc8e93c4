"""Prepares the pictures that a request sends: in a process that can be ended, and on the sender's account.

Each process that serves requests has one decoder (`app.goods.decoder`), started when it is first needed and again after
it ended. Requests wait for their turn; how many, and for how long, is limited, so that others find threads that are
free.
"""

import atexit
import hashlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Final

import structlog

from app.answers import Answer, Refused, field_errors
from app.goods import picture_budget
from app.goods.decoder import ANSWER, REQUEST, Reply, receive
from app.goods.picture_quota import check_quota
from app.goods.pictures import DAMAGED, MAX_PICTURES, TOO_DEAR, PreparedPicture, check_size
from app.settings import settings
from config import PROJECT_ROOT

log = structlog.get_logger(__name__)

_CHUNK: Final = 256 * 1024
_TURN_RETRY_AFTER: Final = 2  # seconds
_OVERLOAD_RETRY_AFTER: Final = 10  # seconds
_LARGEST_ANSWER: Final = 64 * 1024 * 1024  # bytes; no picture as it is stored takes as many

# How a decoder ends by its own fault or by that of what it reads: its limit of processor time; memory that it must not
# touch. Others end it where the machine has no memory left, or somebody wants it to end.
_OUT_OF_TIME: Final = frozenset({signal.SIGPROF, signal.SIGXCPU})
_CRASHED: Final = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE})


def prepare_uploads(
    uploads: Sequence[IO[bytes]], *, user_id: int, malformed: Answer, alone: bool = False
) -> list[PreparedPicture]:
    """The pictures in `uploads`, at most nine, as they will be stored, at the expense of the user.

    Raises `malformed` with a reason for each bad one, of the field `pictures`, or `picture` for one that comes `alone`;
    PICTURE_QUOTA_FULL where nothing more is stored for the user,
    TOO_MANY_PICTURES where he has spent what decoding may cost for the time being, BUSY where too many are at it.
    """
    if not uploads:
        return []
    if len(uploads) > MAX_PICTURES:
        raise Refused(malformed, data=field_errors(pictures=f"至多 {MAX_PICTURES} 张图片"))
    check_quota(user_id)
    prepared: list[PreparedPicture] = []
    reasons: list[str] = []
    with _turns.taken(user_id):
        until = time.monotonic() + settings().picture_patience
        for number, upload in enumerate(uploads, start=1):
            outcome = _prepare(upload, user_id=user_id, until=until)
            if isinstance(outcome, PreparedPicture):
                prepared.append(outcome)
                continue
            reasons.append(f"图片{outcome}" if alone else f"第 {number} 张图片{outcome}")
            if outcome == TOO_DEAR:
                break  # those behind it are hardly better, and others wait
    if reasons:
        raise Refused(malformed, data=field_errors(**{"picture" if alone else "pictures": reasons}))
    return prepared


def _prepare(upload: IO[bytes], *, user_id: int, until: float) -> PreparedPicture | str:
    """One picture, or why it is refused. Raises TOO_MANY_PICTURES, BUSY."""
    length = upload.seek(0, os.SEEK_END)
    if too_large := check_size(length, limit=settings().picture_bytes_limit):
        return too_large
    picture_budget.check(user_id)
    limits = _Limits(
        jpeg_pixels=settings().picture_jpeg_pixels_limit,
        pixels=settings().picture_pixels_limit,
        seconds=settings().picture_seconds_limit,
        memory=settings().picture_memory_limit,
    )
    try:
        reply, data = _decode(upload, length=length, limits=limits, until=until)
    except _NoTurn as late:
        picture_budget.charge(user_id, seconds=late.spent, pixels=0)
        raise Refused(Answer.BUSY, retry_after=_OVERLOAD_RETRY_AFTER) from None
    except _Ended as ended:
        picture_budget.charge(user_id, seconds=ended.spent, pixels=0)
        if ended.by_others:
            raise Refused(Answer.BUSY, retry_after=_OVERLOAD_RETRY_AFTER) from None
        return TOO_DEAR if ended.out_of_time else DAMAGED
    picture_budget.charge(user_id, seconds=reply["seconds"], pixels=reply["pixels"])
    if reply["exhausted"]:
        return TOO_DEAR
    if reply["refusal"]:
        return reply["refusal"]
    return PreparedPicture(
        data=data,
        sha256=hashlib.sha256(data).hexdigest(),
        content_type=reply["content_type"],
        width=reply["width"],
        height=reply["height"],
        decoded_pixels=reply["pixels"],
    )


def _decode(upload: IO[bytes], *, length: int, limits: "_Limits", until: float) -> tuple[Reply, bytes]:
    """What the decoder makes of `upload`; by a second one if somebody ended the first. Raises `_NoTurn`, `_Ended`."""
    try:
        return _decoder.prepare(upload, length=length, limits=limits, until=until)
    except _Ended as ended:
        if not ended.by_others:
            raise
    return _decoder.prepare(upload, length=length, limits=limits, until=until)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    """What one picture may take: pixels as a JPEG and else, seconds of processor time, bytes of memory."""

    jpeg_pixels: int
    pixels: int
    seconds: int
    memory: int


class _NoTurn(Exception):  # noqa: N818 - it says what happened, as the other errors here
    """The decoder did not come to this picture, or to its end, in the time that the request may wait.

    `spent` is the processor time, in seconds, that went into it nevertheless.
    """

    def __init__(self, *, spent: float = 0) -> None:
        self.spent = spent
        super().__init__(f"after {spent} s of processor time")


class _Ended(Exception):  # noqa: N818 - as above
    """The decoder ended while it worked at the picture, after `spent` seconds of processor time."""

    def __init__(self, status: int, *, spent: float) -> None:
        self.spent = spent
        self.out_of_time = -status in _OUT_OF_TIME
        self.by_others = not self.out_of_time and -status not in _CRASHED
        super().__init__(f"signal {-status}" if status < 0 else f"status {status}")


class _Decoder:
    """The decoder of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._accounted = 0.0  # seconds of its processor time, up to its latest answer

    def prepare(self, upload: IO[bytes], *, length: int, limits: _Limits, until: float) -> tuple[Reply, bytes]:
        """What the decoder makes of `upload`. Raises `_NoTurn` at the moment `until` of `time.monotonic`, `_Ended`."""
        if not self._lock.acquire(timeout=max(until - time.monotonic(), 0)):
            raise _NoTurn
        try:
            connection = self._connected()
            try:
                reply, data = _exchange(connection, upload, length=length, limits=limits, until=until)
            except TimeoutError:
                _, spent = self.stop()
                raise _NoTurn(spent=spent) from None
            except (ConnectionError, EOFError):
                status, spent = self.stop()
                ended = _Ended(status, spent=spent)
                log.warning("decoder_ended", reason=str(ended))
                raise ended from None
            except BaseException:
                self.stop()  # it waits for the rest of a request
                raise
            self._accounted = reply["total_seconds"]
            return reply, data
        finally:
            self._lock.release()

    def _connected(self) -> socket.socket:
        if self._process is not None and self._process.poll() is not None:
            self.stop()
        if self._connection is None:
            self._connection, theirs = socket.socketpair()
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "app.goods.decoder"],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    cwd=PROJECT_ROOT,
                    env={},  # no secrets
                )
        return self._connection

    def stop(self) -> tuple[int, float]:
        """End the process, if there is one.

        Returns its status, as `subprocess.Popen.returncode`, and the processor time that it took since its latest
        answer, in seconds.
        """
        process, connection, self._process, self._connection = self._process, self._connection, None, None
        accounted, self._accounted = self._accounted, 0.0
        if connection is not None:
            connection.close()
        if process is None:
            return 0, 0.0
        before = _time_of_children()
        if process.poll() is None:
            # One that has just been ended, by its limit say, keeps its own status.
            process.kill()
        status = process.wait()
        return status, max(_time_of_children() - before - accounted, 0.0)

    def forget(self) -> None:
        """In a process that was forked from this one: the decoder is not its own."""
        if self._process is not None and self._connection is not None:
            self._connection.close()
            self._process.returncode = 0  # or it would be waited for
        self._process = self._connection = None
        self._lock = threading.Lock()


def _time_of_children() -> float:
    """Seconds of processor time of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _exchange(
    connection: socket.socket, upload: IO[bytes], *, length: int, limits: _Limits, until: float
) -> tuple[Reply, bytes]:
    """Send a picture to the decoder and receive what it made of it. Raises TimeoutError, ConnectionError, EOFError."""
    upload.seek(0)
    _set_timeout(connection, until)
    connection.sendall(REQUEST.pack(length, limits.jpeg_pixels, limits.pixels, limits.seconds, limits.memory))
    while chunk := upload.read(_CHUNK):
        _set_timeout(connection, until)
        connection.sendall(chunk)
    text_length, data_length = ANSWER.unpack(_received(connection, ANSWER.size, until))
    if text_length + data_length > _LARGEST_ANSWER:
        raise EOFError
    reply: Reply = json.loads(_received(connection, text_length, until))
    return reply, bytes(_received(connection, data_length, until))


def _received(connection: socket.socket, length: int, until: float) -> bytearray:
    _set_timeout(connection, until)
    data = receive(connection, length)
    if data is None:
        raise EOFError
    return data


def _set_timeout(connection: socket.socket, until: float) -> None:
    remaining = until - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    connection.settimeout(remaining)


class _Turns:
    """Counts the requests of this process that are at the pictures: each of them holds a thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside: Counter[int] = Counter()

    @contextmanager
    def taken(self, user_id: int) -> Iterator[None]:
        """A turn of the user during the block. Raises BUSY where there are too many, or this user has all but one."""
        limit = settings().picture_requests_limit
        with self._lock:
            if self._inside.total() >= limit or self._inside[user_id] >= max(limit - 1, 1):
                raise Refused(Answer.BUSY, retry_after=_TURN_RETRY_AFTER)
            self._inside[user_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside[user_id] -= 1
                self._inside += Counter()  # forgets those at zero


_decoder: Final = _Decoder()
_turns: Final = _Turns()

atexit.register(_decoder.stop)
os.register_at_fork(after_in_child=_decoder.forget)
