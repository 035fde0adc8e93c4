"""The whole product as `make run` starts it, in processes of its own, on a folder and ports of its own."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from supervisor import children
from supervisor.engines import EmbeddedPostgres, EmbeddedValkey
from tests.live import PROJECT, call, free_port

READY_SECONDS = 90  # what issue 2 promises
_END_SECONDS = 40


def until(condition: Callable[[], object], *, seconds: float, what: str) -> None:
    """Return as soon as `condition` holds; AssertionError naming `what` when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not so after {seconds} s"
        time.sleep(0.05)


class Product:
    """One instance folder with two ports, started and ended as often as a test likes."""

    def __init__(self, folder: Path) -> None:
        self.instance = folder / "instance"
        self.port, self.gateway_port = free_port(), free_port()
        self.said: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a shell beside it: nothing of the test run's own settings."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
        return kept | {
            "INSTANCE_PATH": str(self.instance),
            "PORT": str(self.port),
            "GATEWAY_PORT": str(self.gateway_port),
        }

    @property
    def log(self) -> str:
        """All that it has said."""
        return "\n".join(self.said)

    @contextmanager
    def running(self) -> Iterator["Product"]:
        """Started and ready; whatever is left at the end is killed."""
        self.start()
        try:
            self.wait_until_ready()
            yield self
        finally:
            self.kill()

    def start(self) -> None:
        """`python -m supervisor run`, as the Makefile does, in a process group of its own."""
        command = [sys.executable, "-m", "supervisor", "run"]
        self._process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        lines = self._process.stdout
        self._reader = threading.Thread(target=lambda: self.said.extend(line.rstrip("\n") for line in lines))
        self._reader.start()

    def wait_until_ready(self) -> None:
        """Return when /readyz says yes."""

        def ready() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, self.log
            try:
                return call(self.port, "GET", "/readyz").status == 200
            except OSError:
                return False

        try:
            until(ready, seconds=READY_SECONDS, what="/readyz")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log}") from None

    def processes(self) -> list[psutil.Process]:
        """The supervisor and everything below it: children, grandchildren, engines, in whatever session."""
        found = {process.pid: process for process in children.marked(str(self.instance))}
        if self._process is not None and self._process.poll() is None:
            supervisor = psutil.Process(self._process.pid)
            found |= {process.pid: process for process in [supervisor, *supervisor.children(recursive=True)]}
        return list(found.values())

    def terminate(self) -> int:
        """SIGTERM to the supervisor, as systemd or `kill` sends it; its exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(_END_SECONDS)
        self._join()
        return status

    def kill(self) -> None:
        """SIGKILL to all processes at once, as a power cut."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):  # a job's process may be over by now
                process.kill()
        if self._process is not None:
            self._process.wait(_END_SECONDS)
        self._join()

    def _join(self) -> None:
        assert self._reader is not None
        self._reader.join(_END_SECONDS)
        assert not self._reader.is_alive(), "something still holds the supervisor's output"
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.stdout.close()

    def listens(self) -> list[bool]:
        """Whether something answers on the web port and on the gateway's."""
        answers = []
        for port in (self.port, self.gateway_port):
            with socket.socket() as probe:
                answers.append(probe.connect_ex(("127.0.0.1", port)) == 0)
        return answers

    def sockets(self) -> list[Path]:
        """The sockets of both engines that exist."""
        engines = (EmbeddedPostgres(self.instance / "postgres"), EmbeddedValkey(self.instance / "valkey"))
        return [path for engine in engines for path in engine.sockets.rglob("*") if path.is_socket()]

    def delete(self) -> None:
        """Remove its data, wherever the engines put it."""
        command = [sys.executable, "-m", "supervisor", "reset-data"]
        subprocess.run(command, cwd=PROJECT, env=self.environment, check=True, capture_output=True)
