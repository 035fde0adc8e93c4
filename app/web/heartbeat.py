"""How a web process shows that it answers."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from app.web.errors import NO_ROOM
from app.web.threads import RequestThreads

log = structlog.get_logger(__name__)

_EVERY: Final = 4  # calls
_DIGITS: Final = 20  # as many bytes are written always


class Heartbeat:
    """A file, named by the process's id, whose content changes as long as requests get through the threads.

    The supervisor of `make run` reads it (`supervisor.heartbeats`) and replaces a process whose file stays as it is:
    one that is stopped, whose event loop hangs, or all of whose threads do. One that is merely busy ends request after
    request.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / str(os.getpid())
        self._file = None if self._path is None else _made(self._path)
        self._calls = 0
        self._asked: asyncio.Future[None] | None = None

    def beat(self, threads: RequestThreads) -> None:
        """Note how much work has ended, and ask for some where there may be none. Called twice a second."""
        self._calls += 1
        if self._file is None or self._calls % _EVERY:
            return
        if self._asked is None or self._asked.done():
            self._asked = threads.submit(_nothing)
        os.pwrite(self._file, b"%0*d" % (_DIGITS, threads.finished), 0)

    def end(self) -> None:
        """Remove the file."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _made(path: Path) -> int | None:
    """The file, written once, so that it has its room even if the disk gets full; None where there is none already.

    Then there is no file, or whoever looks at it would take the process for one that hangs. Raises OSError where it is
    not for want of room: who is to be watched and cannot be must not start.
    """
    file = None
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.pwrite(file, b" " * _DIGITS, 0)  # no number: the first one changes it
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        log.error("heartbeat_without_room", error=error.strerror)  # noqa: TRY400 - it needs no traceback
        if file is not None:
            os.close(file)
        with suppress(OSError):
            path.unlink()
        return None
    return file


def _nothing() -> None:
    pass
