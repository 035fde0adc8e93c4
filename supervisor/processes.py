"""Starts processes, shows what they say, restarts the ones that die, and ends all of them.

One thread and one loop: pipes, exits, timers and signals all wake the same `select`. There is no second thread that
could end while its children live (see `children.spawn`), and events are handled in the order in which they come.
"""

from __future__ import annotations

import itertools
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import IO, Self

from . import children
from .errors import StartError

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LAST_LINES = 15
_LONGEST_LINE = 64 * 1024
# A signal to the whole process group (`kill -TERM -<group>`) reaches us twice, once from the kernel and once forwarded
# by make. A second signal within this time is therefore the same request.
_SAME_REQUEST_SECONDS = 1.0


@dataclass(frozen=True)
class Process:
    """One line of the process table."""

    name: str
    command: tuple[str, ...]
    count: int = 1
    grace: float = 10.0
    """Seconds between the request to end and the end by force; for a worker, time to finish its job."""


@dataclass(frozen=True)
class RestartPolicy:
    """A process that ended is started again after `first_delay` seconds, then after twice as many, to `longest_delay`.

    An end within `quick` seconds of the start is a quick one. After `attempts` quick ends in a row the supervisor gives
    up and ends everything.
    """

    quick: float = 5.0
    first_delay: float = 0.5
    longest_delay: float = 30.0
    attempts: int = 5

    def delay(self, quick_ends: int) -> float:
        """Seconds to wait before the next start, after so many quick ends in a row."""
        return min(self.first_delay * 2.0 ** max(quick_ends - 1, 0), self.longest_delay)


DEFAULT_POLICY = RestartPolicy()


@dataclass(eq=False)
class _Child:
    label: str
    process: Process
    popen: subprocess.Popen[bytes]
    started: float
    quick_ends: int = 0
    restart_at: float | None = None
    unfinished_line: bytes = b""
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_LINES))

    @property
    def pipe(self) -> IO[bytes]:
        """Its stdout and stderr."""
        assert self.popen.stdout is not None  # noqa: S101 - spawned with a pipe; this tells the type checker
        return self.popen.stdout


class Supervisor:
    """Runs a table of processes. A context manager: inside it handles SIGINT, SIGTERM, SIGHUP and SIGCHLD."""

    def __init__(self, *, marker: str, env: Mapping[str, str], policy: RestartPolicy = DEFAULT_POLICY) -> None:
        """`marker`, the instance folder's path, goes into the environment of every child.

        By it a later start finds processes that outlived this one.
        """
        self.env = {**env, children.MARKER: marker}
        self.marker = marker
        self.policy = policy
        self.on_kill: list[Callable[[], None]] = []
        """Called from the signal handler when somebody presses Ctrl-C a second time: kill what else runs."""
        self._children: list[_Child] = []
        self._selector = selectors.DefaultSelector()
        self._asked_at: float | None = None
        self._hard = False
        self._previous: dict[signal.Signals, signal._HANDLER] = {}
        self._width = 10

    @property
    def stopping(self) -> bool:
        """Whether somebody asked us to end."""
        return self._asked_at is not None

    def run_once(self, process: Process) -> int:
        """Run one process to its end, output shown as all others', and return its exit status; 130 if asked to stop."""
        child = self._add(process, process.name)
        while child.popen.poll() is None and not self.stopping:
            self._wait(1.0)
        self._stop([child])
        return 130 if self.stopping else child.popen.returncode

    def run(self, table: Sequence[Process], on_turn: Callable[[], None] | None = None) -> int:
        """Keep all processes of the table running until asked to stop; then end them, the last one first.

        `on_turn` is called a few times a second. Returns 0 when asked to stop, 1 when a process does not stay up.
        """
        for label in (label for process in table for label in _labels(process)):
            self._width = max(self._width, len(label))
        try:
            for process in table:
                for label in _labels(process):
                    self._children.append(self._add(process, label))
            while not self.stopping:
                self._wait(0.25)
                for child in self._children:
                    if not self._handle_exit(child):
                        return 1
                if on_turn is not None:
                    on_turn()
            return 0
        finally:
            self._stop(self._children)

    def process_ids(self, name: str) -> frozenset[int]:
        """The ids of the processes of this name in the table that run, or have just ended."""
        running = (child for child in self._children if child.process.name == name and child.restart_at is None)
        return frozenset(child.popen.pid for child in running)

    def say(self, text: str, name: str = "supervisor") -> None:
        """Print `text`, each line behind the name of who says it."""
        try:
            for line in text.splitlines() or [""]:
                print(f"{name:<{self._width}} | {line}", flush=True)
        except OSError:  # the terminal or pipe that our output went to is closed: stop, as at a hang-up
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self._ask_to_stop(signal.SIGHUP)

    def __enter__(self) -> Self:
        self._wake, wake = socket.socketpair()
        for end in (self._wake, wake):
            end.setblocking(False)
        self._waker = wake
        self._previous_wakeup = signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        self._previous = {number: signal.signal(number, self._on_signal) for number in _STOP_SIGNALS}
        self._previous[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)  # only to wake the loop
        self._selector.register(self._wake, selectors.EVENT_READ, self._drain_wakeups)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Descendants that opened a session of their own are not ended with the child that started them.
        children.end(children.marked(self.marker), ((signal.SIGKILL, 5.0),))
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_wakeup)
        self._selector.close()
        self._wake.close()
        self._waker.close()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._ask_to_stop(signal.Signals(number))

    def _ask_to_stop(self, number: signal.Signals) -> None:
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
        elif number == signal.SIGINT and now - self._asked_at > _SAME_REQUEST_SECONDS:
            self._hard = True
            for kill in self.on_kill:
                kill()

    def _drain_wakeups(self) -> None:
        try:
            while self._wake.recv(4096):
                pass
        except BlockingIOError:
            pass

    def _add(self, process: Process, label: str) -> _Child:
        child = _Child(label, process, self._spawn(process, label), time.monotonic())
        self._listen(child)
        return child

    def _spawn(self, process: Process, label: str) -> subprocess.Popen[bytes]:
        try:
            return children.spawn(process.command, env=self.env, stdin=subprocess.DEVNULL, output=subprocess.PIPE)
        except OSError as error:
            raise StartError(f"{label}: cannot start {process.command[0]}: {error.strerror}") from error

    def _listen(self, child: _Child) -> None:
        os.set_blocking(child.pipe.fileno(), False)
        self._selector.register(child.pipe, selectors.EVENT_READ, lambda: self._read(child))

    def _hang_up(self, child: _Child) -> None:
        if not child.pipe.closed:
            self._selector.unregister(child.pipe)
            child.pipe.close()

    def _read(self, child: _Child) -> bool:
        """Show what the child has said; whether there may be more."""
        try:
            said = os.read(child.pipe.fileno(), 65536)
        except BlockingIOError:
            return False
        *lines, child.unfinished_line = (child.unfinished_line + said).split(b"\n")
        if child.unfinished_line and (not said or len(child.unfinished_line) > _LONGEST_LINE):
            lines.append(child.unfinished_line)
            child.unfinished_line = b""
        for line in lines:
            text = line.decode(errors="replace").rstrip("\r")
            child.last_lines.append(text)
            self.say(text, child.label)
        if not said:
            self._hang_up(child)
        return bool(said)

    def _wait(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            key.data()

    def _handle_exit(self, child: _Child) -> bool:
        """If the child has ended, plan its restart; if its restart is due, start it. Running children are left alone.

        False: it ended so often that the policy gives up.
        """
        now = time.monotonic()
        if child.restart_at is not None:
            if now >= child.restart_at:
                child.popen, child.started, child.restart_at = self._spawn(child.process, child.label), now, None
                self._listen(child)
            return True
        status = child.popen.poll()
        if status is None:
            return True
        self._reap(child)
        child.quick_ends = child.quick_ends + 1 if now - child.started < self.policy.quick else 0
        if child.quick_ends >= self.policy.attempts:
            self.say(f"{child.label} {_ending(status)}, {child.quick_ends} times in a row; its last lines were:")
            self.say("\n".join(child.last_lines) or "(nothing)", child.label)
            return False
        delay = self.policy.delay(child.quick_ends)
        self.say(f"{child.label} {_ending(status)}; starting it again in {delay:g} s")
        child.restart_at = now + delay
        return True

    def _reap(self, child: _Child) -> None:
        """Clean up after a child that has ended: kill what is left of its session, show the rest of its output."""
        children.end(children.in_session(child.popen.pid), ((signal.SIGKILL, 5.0),))
        while not child.pipe.closed and self._read(child):
            pass
        self._hang_up(child)

    def _stop(self, running: Sequence[_Child]) -> None:
        # One entry of the table after the other, the last one first: a worker that finishes its job may still need the
        # processes that were started before it.
        for _, group in itertools.groupby(reversed(running), key=lambda child: child.process):
            self._stop_together([child for child in group if child.restart_at is None])

    def _stop_together(self, group: Sequence[_Child]) -> None:
        asked = time.monotonic()
        for child in group:
            if child.popen.poll() is None:
                child.popen.send_signal(signal.SIGTERM)
        waiting = group
        while waiting := [child for child in waiting if child.popen.poll() is None]:
            for child in waiting:
                if self._hard or time.monotonic() - asked > child.process.grace:
                    self.say(f"{child.label} does not end; killing it")
                    child.popen.kill()
                    child.popen.wait()
            self._wait(0.1)
        for child in group:
            self._reap(child)


def _labels(process: Process) -> list[str]:
    return [process.name] if process.count == 1 else [f"{process.name}.{i + 1}" for i in range(process.count)]


def _ending(status: int) -> str:
    return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
