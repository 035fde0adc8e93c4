"""Errors about the index on disk."""

from collections.abc import Iterator
from contextlib import contextmanager

from rq.timeouts import BaseTimeoutException


class IndexMissing(Exception):  # noqa: N818 - it says what is the case
    """There is no index yet."""


class IndexDamaged(Exception):  # noqa: N818 - as above
    """The index cannot be read. Once it is marked as damaged, the next drain rebuilds it."""


class IndexBusy(Exception):  # noqa: N818 - as above
    """Another process holds the lock that this one needs."""


class IndexForeign(Exception):  # noqa: N818 - as above
    """The index is another market's: two markets have been given one folder."""


@contextmanager
def reading_files() -> Iterator[None]:
    """A block that reads index files: whatever it raises becomes `IndexDamaged`."""
    try:
        yield
    except BaseTimeoutException:
        raise  # RQ's job timeout, which may be raised anywhere
    except Exception as error:
        # A broken file may cause anything: OSError, struct.error, zlib.error, UnpicklingError, NameError, assertions.
        raise IndexDamaged(f"{type(error).__name__}: {error}") from error
