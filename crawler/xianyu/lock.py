"""The lock that keeps two runs from using one data folder at the same time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class AlreadyRunningError(Exception):
    """Another process holds the lock; the message says which."""


@contextmanager
def exclusive_lock(path: Path, holder: str) -> Iterator[None]:
    """Hold the lock file at `path` during the block. The system releases it when the process ends, however it ends.

    `holder` is written into the file: it names the holder in the message of an `AlreadyRunningError`, which is raised
    at once if another process has the lock.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "r+", encoding="utf-8", errors="replace") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError(f"already running: {file.read().strip() or 'a run that just began'}") from None
        file.truncate()
        file.write(holder)
        file.flush()
        yield
