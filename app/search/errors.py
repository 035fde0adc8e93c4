"""What can be wrong with the index on disk."""

from collections.abc import Iterator
from contextlib import contextmanager

from rq.timeouts import BaseTimeoutException


class IndexMissing(Exception):  # noqa: N818 - it says what is the case, as `except IndexMissing` reads
    """There is no index yet."""


class IndexDamaged(Exception):  # noqa: N818 - as above
    """The index cannot be read. The next drain of a marked one rebuilds it."""


class IndexBusy(Exception):  # noqa: N818 - as above
    """Another process holds the lock that this one needs."""


@contextmanager
def reading_files() -> Iterator[None]:
    """Around reads of index files: whatever they raise becomes `IndexDamaged`."""
    try:
        yield
    except BaseTimeoutException:
        raise  # the job's time was up, wherever that was
    except Exception as error:
        # A broken file shows as anything: OSError, struct.error, zlib.error, UnpicklingError, NameError, assertions.
        raise IndexDamaged(f"{type(error).__name__}: {error}") from error
