"""A folder of an operator's text files, which are read again while the process runs."""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

import structlog

log = structlog.get_logger(__name__)

_SECONDS_BETWEEN_LOOKS: Final = 2.0


class Versioned(Protocol):
    """What the files are read to."""

    @property
    def version(self) -> str:
        """Another one for other files."""


Read = TypeVar("Read", bound=Versioned)


class WatchedFolder(Generic[Read]):
    """What `read` makes of a folder's files `*.txt` (None: there is none, and nothing changes).

    The folder is looked at every two seconds at most. Files that cannot be used are logged as `words_unusable`, and
    what was read before holds.
    """

    def __init__(
        self,
        folder: Path | None,
        read: Callable[[], Read],
        *,
        unusable: type[Exception],
        name: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`unusable` is what `read` raises for such files; from the beginning it is raised here, too."""
        self._folder = folder
        self._read = read
        self._unusable = unusable
        self._name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._stamp = self._look()
        self._looked_at = clock()
        with _loaded_to_stay():
            self._value = read()

    def current(self) -> Read:
        """What the files say now."""
        if self._folder is not None and self._clock() - self._looked_at >= _SECONDS_BETWEEN_LOOKS:
            with self._lock:
                self._read_changes()
        return self._value

    def _read_changes(self) -> None:
        stamp = self._look()
        self._looked_at = self._clock()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            with _loaded_to_stay():
                self._value = self._read()
        except self._unusable as error:
            log.exception("words_unusable", what=self._name, problem=str(error), kept=self._value.version)
            return
        log.info("words_read", what=self._name, version=self._value.version)

    def _look(self) -> tuple[tuple[str, int, int], ...]:
        return () if self._folder is None else tuple(map(_state, sorted(self._folder.glob("*.txt"))))


def _state(path: Path) -> tuple[str, int, int]:
    try:
        found = path.stat()
    except OSError:  # a link to nothing, or an editor has just replaced it; reading it says what is wrong
        return path.name, 0, -1
    return path.name, found.st_mtime_ns, found.st_size


@contextmanager
def _loaded_to_stay() -> Iterator[None]:
    """No collection of garbage meanwhile: it would look again and again through the hundreds of thousands of parts
    of a lexicon, all of which stay, and take half of the time that reading takes.

    Nor later: in a process that a worker forks for a job it would take 0.4 s, and copy all that the two share.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.freeze()
            gc.enable()
