"""Reads the JSON in a file that an operator saved, however it was packed and written.

A file may be packed with gzip, or several in a zip. Its text may be UTF-8, UTF-16 or UTF-32 (PowerShell's `>` writes
UTF-16), or GB18030. It may hold JSON, JSONP, a JavaScript assignment, or JSON Lines: one value on each line.
"""

import codecs
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Final

from .mtop import NotJson, read_answer

MAX_UNPACKED: Final = 512 * 1024 * 1024
"""Bytes to which a packed file may grow."""
_DEEPEST: Final = 2
"""Zip files in each other that are unpacked: there are some that hold themselves."""
_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK\x03\x04"
_SUFFIXES: Final = frozenset({"", ".har", ".json", ".jsonl", ".ndjson", ".txt", ".log", ".js", ".gz", ".zip"})
"""Of the files in a zip these are read."""
_BOMS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ASSIGNMENT: Final = re.compile(rb"\s*(?:(?:var|let|const)\s+)?[A-Za-z_$][\w$.]*\s*=\s*(?=[\[{])")


class TooLargeError(ValueError):
    """A packed file would grow to more than `MAX_UNPACKED` bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A JSON value in a file, or the reason why there is none."""

    place: str = ""
    """Where it stands in the file, such as `line 3`; "" if the file is the value."""
    value: object = None
    problem: str = ""
    """Why there is no value; "" if there is one."""


def documents(body: bytes, *, depth: int = 0) -> list[Document]:
    """The JSON values in a file, in the file's order; never empty. `depth` is in how many zip files it was."""
    if body.startswith(_ZIP) and depth < _DEEPEST:
        return list(_in_zip(body, depth)) or [Document(problem="a zip file without a file that could be read")]
    try:
        return list(_in_text(unpacked(body)))
    except (OSError, EOFError, zlib.error, TooLargeError) as error:
        return [Document(problem=f"cannot be unpacked: {_why(error)}")]


def unpacked(body: bytes) -> bytes:
    """`body`, unpacked if it is packed with gzip, however often.

    Raises `TooLargeError`, and `OSError`, `EOFError` or `zlib.error` if it is damaged.
    """
    for _ in range(3):
        if not body.startswith(_GZIP):
            break
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
            body = _read_limited(file)
    return body


def _read_limited(file: io.BufferedIOBase) -> bytes:
    content = file.read(MAX_UNPACKED + 1)
    if len(content) > MAX_UNPACKED:
        raise TooLargeError(f"it holds more than {MAX_UNPACKED // 1024 // 1024} MiB")
    return content


def _in_zip(body: bytes, depth: int) -> Iterator[Document]:
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            for member in archive.infolist():
                name = PurePosixPath(member.filename)
                is_wanted = name.suffix.lower() in _SUFFIXES and "__MACOSX" not in name.parts
                if member.is_dir() or not is_wanted or name.name.startswith("."):
                    continue
                with archive.open(member) as file:
                    content = _read_limited(file)  # type: ignore[arg-type]  # it is one, as its `read` shows
                for document in documents(content, depth=depth + 1):
                    yield replace(document, place=f"{name.name} {document.place}".rstrip())
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, TooLargeError, NotImplementedError) as error:
        yield Document(problem=f"cannot be unpacked: {_why(error)}")
    except RuntimeError:  # so zipfile says that it wants a password
        yield Document(problem="cannot be unpacked: it is encrypted")


def _why(error: BaseException) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def _in_text(body: bytes) -> Iterator[Document]:
    text = _in_utf8(body)
    whole = _document("", text)
    if whole.problem and (assignment := _ASSIGNMENT.match(text)):
        whole = _document("", text[assignment.end() :].rstrip().removesuffix(b";"))
    if whole.problem:
        lines = [(number, line) for number, line in enumerate(text.split(b"\n"), 1) if line.strip()]
        read = [_document(f"line {number}", line) for number, line in lines] if len(lines) > 1 else []
        if read and not read[0].problem:
            yield from read
            return
    yield whole


def _document(place: str, text: bytes) -> Document:
    try:
        return Document(place=place, value=read_answer(text).value)
    except NotJson as error:
        return Document(place=place, problem=str(error))


def _in_utf8(body: bytes) -> bytes:
    """A text in UTF-8, whatever it was written in. What can be no text stays as it is."""
    encoding = next((name for mark, name in _BOMS if body.startswith(mark)), "")
    if not encoding and b"\x00" in body[:4]:  # no JSON begins with a NUL, and its first character is ASCII
        encoding = "utf-16-be" if body[:1] == b"\x00" else "utf-16-le"
    if not encoding:
        try:
            body.decode("utf-8")
        except UnicodeDecodeError:
            encoding = "gb18030"
    if not encoding:
        return body
    try:
        return body.decode(encoding).encode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return body
