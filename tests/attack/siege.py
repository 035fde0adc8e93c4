"""One attack after the other, and meanwhile somebody who only wants to read a good."""

import http.client
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import psutil

from tests.attack.attacks import Attack, Target

SECONDS_LIMIT = 2.0
"""Within which everybody else has to be answered."""

MEMORY_LIMIT = 500 * 1024 * 1024
"""Bytes of a web process."""

_EVERY = 0.2
# Another address than the attackers': in front of the product nginx counts by it.
_SOURCE = ("127.0.0.7", 0)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What an attack did to others: the slowest answer, wrong answers, and the largest web process."""

    name: str
    asked: int
    slowest: float
    failures: tuple[str, ...]
    memory: int

    @property
    def is_harmless(self) -> bool:
        """Whether nobody noticed it."""
        return not self.failures and self.slowest <= SECONDS_LIMIT and self.memory <= MEMORY_LIMIT


class _Visitor(threading.Thread):
    """Asks for the good and for `/healthz`, again and again, on a new connection each time."""

    def __init__(self, port: int, paths: Sequence[str], web: psutil.Process) -> None:
        super().__init__()
        self._port = port
        self._paths = paths
        self._web = web
        self._enough = threading.Event()
        self.asked = 0
        self.slowest = 0.0
        self.failures: list[str] = []
        self.memory = 0

    def run(self) -> None:
        """Ask until it is enough."""
        while not self._enough.wait(_EVERY):
            for path in self._paths:
                began = time.monotonic()
                try:
                    status = get(self._port, path)
                    if status != 200:
                        self.failures.append(f"{path}: {status}")
                except (OSError, http.client.HTTPException) as error:
                    self.failures.append(f"{path}: {error!r}")
                self.asked += 1
                self.slowest = max(self.slowest, time.monotonic() - began)
            for process in self._web.children():  # not theirs: pictures are decoded in processes of their own
                try:
                    self.memory = max(self.memory, process.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue

    def end(self) -> None:
        """It is enough."""
        self._enough.set()
        self.join()


def get(port: int, path: str) -> int:
    """The status of the answer to one GET on a connection of its own; five seconds at most."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5, source_address=_SOURCE)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def besiege(target: Target, attack: Attack, web_pid: int) -> Report:
    """Run one attack and report what others noticed. `web_pid` is the parent of the web processes."""
    visitor = _Visitor(target.port, ("/healthz", f"/api/good/{target.good_id}/"), psutil.Process(web_pid))
    visitor.start()
    try:
        attack(target)
    finally:
        visitor.end()
    return Report(
        name=attack.__name__,
        asked=visitor.asked,
        slowest=visitor.slowest,
        failures=tuple(visitor.failures),
        memory=visitor.memory,
    )


def rest(target: Target, seconds: float, web_pid: int) -> Report:
    """What others notice afterwards."""

    def nothing(target: Target) -> None:
        time.sleep(target.seconds)

    return replace(besiege(replace(target, seconds=seconds), nothing, web_pid), name=f"{seconds:g} s afterwards")
