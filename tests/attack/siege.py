"""One attack after the other, and meanwhile somebody who only wants to read a good."""

import http.client
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import psutil
from flask import Flask
from sqlalchemy import func, select

from app.db.database import db
from app.settings import settings
from tests.attack.attacks import CLOSED, HELD, MEANT, Attack, Target

SECONDS_LIMIT = 2.0
"""Within which everybody else has to be answered."""

MEMORY_LIMIT = 500 * 1024 * 1024
"""Bytes of a web process."""

KEPT_MEMORY = 200 * 1024 * 1024
"""Bytes that all web processes together may have more after an attack: once used, Python gives them back late."""

TURNED_AWAY = frozenset(
    {CLOSED, HELD, "408 REQUEST_TIMEOUT", "429 TOO_MANY_REQUESTS", "429 TOO_MANY_PICTURES", "503 BUSY"}
)
"""What may come of any attack."""

_HOURS = 2  # that an attack may fall into
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
    outcomes: Mapping[str, int] = field(default_factory=dict)
    """What came of the attack's requests."""
    meant: frozenset[str] = frozenset()
    """What should come of them; nothing for a rest."""

    @property
    def is_harmless(self) -> bool:
        """Whether nobody noticed it."""
        return not self.failures and self.slowest <= SECONDS_LIMIT and self.memory <= MEMORY_LIMIT

    @property
    def was_received(self) -> bool:
        """Whether it was the attack that it is meant to be: some of it got as far as it should, the rest nowhere."""
        came = self.outcomes.keys()
        return not self.meant or (bool(came & self.meant) and came <= self.meant | TURNED_AWAY)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What an attack might leave behind."""

    memory: int
    """Bytes of all web processes."""
    rows: Mapping[str, int]
    """By table."""
    stored: int
    """Bytes of all pictures."""

    @classmethod
    def now(cls, app: Flask, web_pid: int) -> "Figures":
        """They are so now. `web_pid` is the parent of the web processes."""
        rows = {}
        with app.app_context():
            for table in db.metadata.sorted_tables:
                rows[table.name] = db.session.execute(select(func.count()).select_from(table)).scalar_one()
            folder = settings().instance_path / "pictures"
        return cls(
            memory=sum(each.memory_info().rss for each in psutil.Process(web_pid).children()),
            rows=rows,
            stored=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        )

    def left_since(self, before: "Figures", *, notifications: int) -> list[str]:
        """What is not as it was `before`: more memory than a web process may keep, rows, files.

        `notifications` is REFUSED_NOTIFICATIONS_KEPT: so many false ones are recorded an hour.
        """
        more = {"refused_notifications": _HOURS, "gateway_notifications": _HOURS * notifications}
        left = [
            f"{name}: {self.rows[name]} rows, {count} before"
            for name, count in before.rows.items()
            if not count <= self.rows[name] <= count + more.get(name, 0)
        ]
        if self.memory > before.memory + KEPT_MEMORY:
            left.append(f"{self.memory >> 20} MB of memory, {before.memory >> 20} before")
        if self.stored > before.stored:
            left.append(f"{self.stored} bytes of pictures, {before.stored} before")
        return left


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


def get(port: int, path: str, *, timeout_s: float = 5) -> int:
    """The status of the answer to one GET on a connection of its own, from an address of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s, source_address=_SOURCE)
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
    target.outcomes.clear()
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
        outcomes=dict(target.outcomes),
        meant=MEANT.get(attack, frozenset()),
    )


def rest(target: Target, seconds: float, web_pid: int) -> Report:
    """What others notice afterwards."""

    def nothing(target: Target) -> None:
        time.sleep(target.seconds)

    return replace(besiege(replace(target, seconds=seconds), nothing, web_pid), name=f"{seconds:g} s afterwards")
