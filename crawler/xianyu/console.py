"""Standard output and standard error as they really are: closed, full, a pipe that nobody reads, an ASCII terminal."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, TextIO

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_ESCAPED_BYTES: Final = range(0xDC80, 0xDD00)
"""Code points by which Python stands for the bytes of a file name that are no UTF-8 (PEP 383)."""


def shown(text: str) -> str:
    """`text` for manifests, logs and terminals: a byte of a file name that is no UTF-8 becomes `\\xff`."""
    return _SURROGATE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if code in _ESCAPED_BYTES else f"\\u{code:04x}"


def encodable(text: str) -> bool:
    """Whether standard output can show `text` as it is."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


@contextmanager
def tolerant_output() -> Iterator[None]:
    """During the block, what a terminal cannot show is escaped; after it, nothing is left for Python to write."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            _write(stream, "")


def say(line: str) -> bool:
    """Print a line to standard output. False if it could not be written, which standard error says then.

    That nobody reads (`status | head`, a closed descriptor) is no failure.
    """
    error = _write(sys.stdout, f"{shown(line)}\n")
    if error is None:
        return True
    complain(f"crawler: standard output: {error.strerror or error}")
    return False


def complain(line: str) -> None:
    """Print a line to standard error, if there is one."""
    _write(sys.stderr, f"{shown(line)}\n")


def _write(stream: TextIO | None, text: str) -> OSError | None:
    """The error of writing to `stream`, to which nothing is written from then on; None if nobody reads there."""
    if stream is None:  # its descriptor was closed before Python began
        return None
    try:
        stream.write(text)
        stream.flush()
    except ValueError:  # closed
        return None
    except OSError as error:
        _discard(stream)
        return None if isinstance(error, BrokenPipeError) else error
    return None


def _discard(stream: TextIO) -> None:
    """Send to nowhere what is still in the stream's buffer: Python would try again at its end, and exit with 120."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()
