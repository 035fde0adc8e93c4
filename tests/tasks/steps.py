"""Steps that tests of jobs share: real processes, and looking into the queues."""

import json
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import redis
from flask import Flask
from rq.job import Job

from tasks.queues import SERIALIZER, QueueName, connect, queue
from tasks.worker import InProcessWorker, work
from tests.live import PROJECT
from tests.processes import ForkedPython, run_forked

_PATIENCE = 60.0  # several test runs may share the machine


def wait_until(condition: Callable[[], bool], what: str, *, seconds: float = _PATIENCE) -> None:
    """Return as soon as `condition` holds; fail if it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


class TaskProcess:
    """A running `python -m tasks.…`."""

    def __init__(self, environment: Mapping[str, str], log: Path, *arguments: str, forked: bool) -> None:
        self.log = log
        self.process: ForkedPython | subprocess.Popen[bytes]
        environ = {**os.environ, **environment}
        log.touch()
        if forked:
            self.process = ForkedPython(["-m", *arguments], environ=environ, stderr=log)
            return
        with log.open("ab") as output:
            self.process = subprocess.Popen([sys.executable, "-m", *arguments], cwd=PROJECT, env=environ, stderr=output)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def children(self) -> list[int]:
        """The processes it forked that are still there."""
        with suppress(FileNotFoundError):
            return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        return []

    def kill(self) -> None:
        """End it and its children at once, as a power cut would."""
        children = self.children()
        for pid in [self.pid, *children]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        wait_until(lambda: not any(_runs(pid) for pid in children), "children end")

    def terminate(self) -> int:
        """Ask it to end; returns the exit status."""
        self.process.terminate()
        return self.process.wait(_PATIENCE)

    def lines(self) -> list[dict[str, Any]]:
        """Its log; checks that every line is JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def said(self, event: str) -> bool:
        """Whether a line with this event is in its log."""
        return any(event in line["event"] for line in self.lines())


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@contextmanager
def running(
    environment: Mapping[str, str], folder: Path, *arguments: str, forked: bool = True
) -> Iterator[TaskProcess]:
    """`python -m <arguments>` for the length of the block; logs INFO into `folder`.

    Unless it is `forked` from a process that has imported the application, Python is started for it.
    """
    log = folder / f"{'-'.join(arguments)}-{time.monotonic_ns()}.log"
    process = TaskProcess({**environment, "LOG_LEVEL": "INFO"}, log, *arguments, forked=forked)
    try:
        yield process
    finally:
        if process.process.poll() is None:
            process.kill()


def work_off(app: Flask, name: QueueName = QueueName.DEFAULT) -> None:
    """Let a real worker, forked from this process, run all jobs of a queue."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert work(app, name, burst=True) == 0
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def work_off_here(app: Flask) -> None:
    """As `work_off`, but with every job in this process: where there are many, and it is not about the worker."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with app.app_context():
            worker = InProcessWorker([QueueName.DEFAULT.value], connection=connect(), serializer=SERIALIZER)
            worker.flask_app = app
            worker.work(burst=True)
            worker.connection.close()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def work_off_elsewhere(environment: Mapping[str, str], name: QueueName = QueueName.DEFAULT) -> None:
    """As `work_off`, in a process of its own."""
    arguments = ["-m", "tasks.worker", name.value, "--burst"]
    run_forked(arguments, environ={**os.environ, **environment}, timeout=120).check_returncode()


def queued(app: Flask, name: QueueName = QueueName.DEFAULT) -> list[str]:
    """The ids in a queue, next first."""
    with app.app_context():
        return queue(name).job_ids


def job(app: Flask, job_id: str, name: QueueName = QueueName.DEFAULT) -> Job:
    """A job by its id."""
    with app.app_context():
        return Job.fetch(job_id, connection=queue(name).connection, serializer=SERIALIZER)


def payloads(redis_url: str) -> dict[str, Any]:
    """What every stored job calls, by job id, parsed as the (compressed) JSON that it has to be."""
    with redis.Redis.from_url(redis_url) as connection:
        keys = [key for key in connection.scan_iter("rq:job:*") if connection.type(key) == b"hash"]
        return {
            key.decode().removeprefix("rq:job:"): json.loads(zlib.decompress(connection.hget(key, "data")))
            for key in keys
        }
