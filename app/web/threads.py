"""The few threads in which a web process runs its requests."""

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

log = structlog.get_logger(__name__)

Work = Callable[[], None]

_FLUSH: Final = 0.05  # seconds


class RequestThreads:
    """Runs what the event loop gives it, in order, and lets the loop wait for the end without waking it each time.

    To wake a sleeping loop costs a request more than all else that this does. So ends are noted down, and told when the
    loop is awake anyway because something new comes, or a twentieth of a second later. Answers are not sent by the
    loop, so nobody waits for that.
    """

    def __init__(self, count: int) -> None:
        self.finished = 0
        """How much work has ended."""
        self._queue: queue.SimpleQueue[tuple[Work, asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._ended: deque[asyncio.Future[None]] = deque()
        self._outstanding = 0
        self._flushing = False
        self._threads = [threading.Thread(target=self._run, name=f"request-{n}", daemon=True) for n in range(count)]

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the threads. All work comes from `loop`."""
        self._loop = loop
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let the threads end what they have been given, and wait for that."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    @property
    def waiting(self) -> int:
        """How much work waits for a thread."""
        return self._queue.qsize()

    def submit(self, work: Work) -> "asyncio.Future[None]":
        """Run `work`. The future is done some time after its end; what it raises is logged. Called by the loop only."""
        if self._ended:
            self._tell()
        done: asyncio.Future[None] = self._loop.create_future()
        self._outstanding += 1
        self._queue.put((work, done))
        if not self._flushing:
            self._flushing = True
            self._loop.call_later(_FLUSH, self._flush)
        return done

    async def run(self, work: Work) -> None:
        """Run `work` and return as soon as it has ended. Raises what it raises; RuntimeError for no Exception.

        A KeyboardInterrupt or a panic of granian's would end the loop.
        """
        woken = asyncio.Event()
        raised: list[BaseException] = []

        def then_wake() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - handed on, below
                raised.append(error)
            finally:
                self._loop.call_soon_threadsafe(woken.set)

        done = self.submit(then_wake)
        await woken.wait()
        await done
        if raised:
            error = raised.pop()  # or the frames in its traceback would hold it, and it them
            raise error if isinstance(error, Exception) else RuntimeError(repr(error)) from error

    def _run(self) -> None:
        while (given := self._queue.get()) is not None:
            work, done = given
            try:
                work()
            except BaseException:  # a thread must not end: there are few, and nobody starts another
                with suppress(BaseException):  # where nothing can be written, that cannot either
                    log.exception("unhandled_fault")
            self.finished += 1  # two threads may lose a count between them; nobody needs it exact
            self._ended.append(done)
            # Or the last request would live, and its connection with it, until this thread gets the next one.
            del given, work, done

    def _flush(self) -> None:
        self._tell()
        if self._outstanding:
            self._loop.call_later(_FLUSH, self._flush)
        else:
            self._flushing = False

    def _tell(self) -> None:
        while self._ended:
            done = self._ended.popleft()
            self._outstanding -= 1
            if not done.done():  # nobody waits any more for one that was cancelled
                done.set_result(None)
