"""Reads the JSON in a file that an operator saved, however it was packed and written.

A file may be packed with gzip, or several in a zip. Its text may be UTF-8, UTF-16 or UTF-32 (PowerShell's `>` writes
UTF-16), or GB18030. It may hold JSON, JSONP, a JavaScript assignment, JSON Lines (one value on each line), or several
values one behind the other.
"""

import base64
import codecs
import gzip
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Final

from .mtop import NotJson, NotJsonKind, read_answer
from .values import as_node, node, rows

MAX_UNPACKED: Final = 512 * 1024 * 1024
"""Bytes to which a packed file may grow."""
_DEEPEST: Final = 2
"""Zip files in each other that are unpacked: there are some that hold themselves."""
_BETWEEN: Final = b" \t\r\n,\x1e"
"""What stands between values: white space, commas, and the sign of JSON text sequences (RFC 7464)."""
_BETWEEN_CHARACTERS: Final = _BETWEEN.decode()
_FIRST_LINES: Final = 20
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
_BEGINS_A_TEXT: Final = frozenset({b"", b"{", b"[", b"<", b" ", b"\n", b"\r", b"\t", b"m", b"\xef"})
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


def inflated(body: bytes) -> bytes:
    """`body`, unpacked if it was sent with the Content-Encoding deflate, with or without its header.

    Raises `TooLargeError`. No text that can be an answer begins as such a body does.
    """
    for bits in (zlib.MAX_WBITS, -zlib.MAX_WBITS) if body[:1] not in _BEGINS_A_TEXT else ():
        unpacking = zlib.decompressobj(bits)
        with suppress(zlib.error):
            content = unpacking.decompress(body, MAX_UNPACKED + 1)
            if len(content) > MAX_UNPACKED:
                raise TooLargeError(_too_large())
            if unpacking.eof and not unpacking.unused_data:
                return content
    return body


def _too_large() -> str:
    return f"it holds more than {MAX_UNPACKED // 1024 // 1024} MiB"


def _read_limited(file: io.BufferedIOBase) -> bytes:
    content = file.read(MAX_UNPACKED + 1)
    if len(content) > MAX_UNPACKED:
        raise TooLargeError(_too_large())
    return content


def _in_zip(body: bytes, depth: int) -> Iterator[Document]:
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            members = {member.filename: member for member in archive.infolist() if _is_wanted(member)}
            archived: dict[str, list[Document]] = {}
            attached: set[str] = set()
            for name, member in members.items():
                if name.lower().endswith(".har"):
                    archived[name] = documents(_read_member(archive, member), depth=depth + 1)
                    for document in archived[name]:
                        attached |= _attach(document.value, archive, members, PurePosixPath(name).parent)
            for name, member in members.items():
                if name in attached:
                    continue
                found = archived.pop(name, None) or documents(_read_member(archive, member), depth=depth + 1)
                for document in found:
                    yield replace(document, place=f"{PurePosixPath(name).name} {document.place}".rstrip())
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, TooLargeError, NotImplementedError) as error:
        yield Document(problem=f"cannot be unpacked: {_why(error)}")
    except RuntimeError:  # so zipfile says that it wants a password
        yield Document(problem="cannot be unpacked: it is encrypted")


def _is_wanted(member: zipfile.ZipInfo) -> bool:
    name = PurePosixPath(member.filename)
    is_hidden = "__MACOSX" in name.parts or name.name.startswith(".")
    return name.suffix.lower() in _SUFFIXES and not is_hidden and not member.is_dir()


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with archive.open(member) as file:
        return _read_limited(file)  # type: ignore[arg-type]  # it is one, as its `read` shows


def _attach(
    value: object, archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], folder: PurePosixPath
) -> set[str]:
    """Put into a HAR what it keeps in files beside it (`_file`, as Playwright writes it). Returns their names."""
    texts: dict[str, str] = {}
    for entry in rows(node(as_node(value), "log").get("entries")):
        request, response = node(as_node(entry), "request"), node(as_node(entry), "response")
        for part in (node(request, "postData"), node(response, "content")):
            file = part.get("_file")
            name = str(folder / file) if isinstance(file, str) else ""
            if name in members and not part.get("text"):
                if name not in texts:
                    texts[name] = base64.b64encode(_read_member(archive, members[name])).decode("ascii")
                part |= {"text": texts[name], "encoding": "base64"}
    return set(texts)


def _why(error: BaseException) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def _in_text(body: bytes) -> Iterator[Document]:
    text = _in_utf8(body)
    whole = _document("", text)
    if whole.problem and (assignment := _ASSIGNMENT.match(text)):
        whole = _document("", text[assignment.end() :].rstrip().removesuffix(b";"))
    if whole.problem:
        several = _in_lines(text) or _in_a_row(text)
        if several:
            yield from several
            return
    yield whole


def _in_lines(text: bytes) -> list[Document]:
    """The values on the lines of a text; none unless half of the lines are such values."""
    lines = [(number, line) for number, line in enumerate(text.split(b"\n"), 1) if line.strip(_BETWEEN)]
    if len(lines) < 2:
        return []
    # Of a long text that is one damaged value hardly a line is one, so a few tell.
    if sum(not _document("", line.strip(_BETWEEN)).problem for _, line in lines[:_FIRST_LINES]) * 2 < min(
        len(lines), _FIRST_LINES
    ):
        return []
    return [_document(f"line {number}", line.strip(_BETWEEN)) for number, line in lines]


def _in_a_row(text: bytes) -> list[Document]:
    """The values in a text in which they stand one behind the other, over several lines; none if there is only one."""
    try:
        characters = text.decode("utf-8").strip(_BETWEEN_CHARACTERS)
    except UnicodeDecodeError:
        return []
    decoder = json.JSONDecoder(strict=False)
    found: list[Document] = []
    place = 0
    while place < len(characters):
        try:
            _, end = decoder.raw_decode(characters, place)
        except (ValueError, RecursionError):
            found.append(Document(place=f"value {len(found) + 1}", problem=str(NotJson(NotJsonKind.DAMAGED))))
            break
        found.append(_document(f"value {len(found) + 1}", characters[place:end].encode("utf-8")))
        place = end
        while place < len(characters) and characters[place] in _BETWEEN_CHARACTERS:
            place += 1
    return found if len(found) > 1 and not found[0].problem else []


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
