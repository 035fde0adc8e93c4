"""How a web process shows that it answers."""

import asyncio
import os
from pathlib import Path
from typing import Final

from app.web.threads import RequestThreads

_EVERY: Final = 4  # calls


class Heartbeat:
    """A file, named by the process's id, whose content changes as long as requests get through the threads.

    The supervisor of `make run` reads it (`supervisor.heartbeats`) and replaces a process whose file stays as it is:
    one that is stopped, whose event loop hangs, or all of whose threads do. One that is merely busy ends request after
    request.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / str(os.getpid())
        self._file = None if self._path is None else os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._calls = 0
        self._asked: asyncio.Future[None] | None = None

    def beat(self, threads: RequestThreads) -> None:
        """Note how much work has ended, and ask for some where there may be none. Called twice a second."""
        self._calls += 1
        if self._file is None or self._calls % _EVERY:
            return
        if self._asked is None or self._asked.done():
            self._asked = threads.submit(_nothing)
        os.pwrite(self._file, b"%020d" % threads.finished, 0)  # always as long: a full disk does not matter

    def end(self) -> None:
        """Remove the file."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _nothing() -> None:
    pass
