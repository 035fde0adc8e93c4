"""One run at a time for one data folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class AlreadyRunningError(Exception):
    """Another process holds the lock; the message says which."""


@contextmanager
def only_one(path: Path, holder: str) -> Iterator[None]:
    """Hold the lock at `path` for the length of the block; the system releases it when the process ends, however.

    Args:
        holder: Who holds it, for the message that another one gets.

    Raises:
        AlreadyRunningError: at once, if somebody holds it.
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
