"""Replaces web processes that live but answer nothing: stopped ones, and those in which everything waits for ever.

Each web process keeps changing a file that has its process id as its name, as long as requests get through its threads
(`app.web.heartbeat`). Where a file stays as it is for too long, its process is killed; granian, its parent, starts
another one. So nobody has to guess which of the processes that share a port would answer a question over HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_EVERY_SECONDS = 1.0
# Later than this, we did not run ourselves: the machine slept, or we were stopped, and so perhaps were they.
_LATE_SECONDS = 5.0
# Linux tells when a process began from the machine's own start, which it knows to the second.
_CLOCK_SECONDS = 1.0


@dataclass
class _Seen:
    content: bytes
    since: float


class Heartbeats:
    """Looks at the files in `folder`, and kills the process of one that stays the same for `limit` seconds."""

    def __init__(
        self, folder: Path, *, limit: float, parents: Callable[[], Container[int]], say: Callable[[str], None]
    ) -> None:
        """`parents` tells the ids of the granians that run: only children of theirs are killed, whatever files say."""
        self._folder = folder
        self._limit = limit
        self._parents = parents
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
        # Any of it may have ended meanwhile.
        with suppress(FileNotFoundError, psutil.NoSuchProcess):
            written = path.stat().st_mtime
            path.unlink()
            process = psutil.Process(int(path.name))
            # Else a web process was killed and left its file, and another process has its id now.
            if process.ppid() in self._parents() and process.create_time() <= written + _CLOCK_SECONDS:
                self._say(f"web process {process.pid} has answered nothing for {self._limit:g} s; replacing it")
                process.kill()  # psutil looks first whether it is still the same
