"""Replaces web processes that live but answer nothing: stopped ones, and those in which everything waits for ever.

Each web process keeps changing a file that has its process id as its name, as long as requests get through its threads
(`app.web.heartbeat`). Where a file stays as it is for too long, its process is killed; granian, its parent, starts
another one. So nobody has to guess which of the processes that share a port would answer a question over HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from . import children

_EVERY_SECONDS = 1.0
# Later than this, we did not run ourselves: the machine slept, or we were stopped, and so perhaps were they.
_LATE_SECONDS = 5.0


@dataclass
class _Seen:
    content: bytes
    since: float


class Heartbeats:
    """Looks at the files in `folder`, and kills the process of one that stays the same for `limit` seconds."""

    def __init__(self, folder: Path, *, limit: float, marker: str, say: Callable[[str], None]) -> None:
        """`marker` is that of the supervisor: only processes below it are killed, whatever the files say."""
        self._folder = folder
        self._limit = limit
        self._marker = marker
        self._say = say
        self._seen: dict[Path, _Seen] = {}
        self._looked = time.monotonic()

    def look(self) -> None:
        """Look at all of them, at most once a second."""
        now = time.monotonic()
        if now - self._looked < _EVERY_SECONDS:
            return
        if now - self._looked > _LATE_SECONDS:
            self._seen.clear()
        self._looked = now
        seen: dict[Path, _Seen] = {}
        for path in self._folder.glob("[0-9]*"):
            with suppress(FileNotFoundError):  # its process has just ended
                content, before = path.read_bytes(), self._seen.get(path)
                seen[path] = before if before is not None and before.content == content else _Seen(content, now)
        self._seen = seen
        for path, each in seen.items():
            if now - each.since >= self._limit:
                self._replace(path)

    def _replace(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        process = next((each for each in children.marked(self._marker) if each.pid == int(path.name)), None)
        if process is not None:  # else it was killed and left its file
            self._say(f"web process {process.pid} has answered nothing for {self._limit:g} s; replacing it")
            with suppress(psutil.NoSuchProcess):
                process.kill()
