"""What of a body is read at all: how large it may be, how many fields, how deep; and whether it has come whole.

Our own server counts a body's bytes itself (`app.web.edge`). Any other WSGI server may load `wsgi.py`, and some end a
body silently when the client has disconnected or its chunks are malformed. A truncated form `price=3000` may be read as
`price=30`; JSON and multipart are safe, because their syntax says where they end.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from flask import request
from werkzeug.datastructures import MultiDict

from app.answers import Answer, Refused
from config import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SMALL_BODY: Final = 64 * 1024
"""Bytes that a body may have, unless its operation says otherwise or it carries pictures."""

REFUSAL: Final = "saltfish.refusal"
"""The key of a WSGI environ whose request was refused before the application was called; its value is a `Refused`."""

FIELDS_LIMIT: Final = 100
"""Fields that a form may have; files count."""

MEMBERS_LIMIT: Final = 1000
"""Values that a JSON body may hold altogether."""

DEPTH_LIMIT: Final = 8
"""Arrays and objects that may lie in each other in a JSON body."""

_FORM: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NO_STRUCTURE: Final = re.compile(rb"[^][{},]+")


def largest_body(content_type: str, *, declared: int, pictures: bool, settings: Settings) -> int:
    """How many bytes a body may have: what its operation declares, and more only where it can carry `pictures`."""
    if pictures and content_type.lower().startswith(_MULTIPART):
        return settings.max_body_bytes
    return min(declared, settings.max_body_bytes)


def refuse_intricate(raw: bytes) -> None:
    """Refuse JSON that is deeper (400), or has more values (413), than any operation of ours reads.

    Asked before it is parsed: each value costs many times the bytes that it takes to write.
    """
    if raw.count(b",") + raw.count(b"[") + raw.count(b"{") <= DEPTH_LIMIT:
        return
    members = depth = 0
    for sign in _NO_STRUCTURE.sub(b"", _STRING.sub(b"", raw)):
        members += sign in b"[{,"
        depth += (sign in b"[{") - (sign in b"]}")
        if depth > DEPTH_LIMIT:
            raise Refused(Answer.BAD_REQUEST)
        if members > MEMBERS_LIMIT:
            raise Refused(Answer.TOO_LARGE)


class CountedBodies:
    """WSGI middleware: a body shorter than its Content-Length is a bad request.

    For WSGI servers that set `wsgi.input_terminated` for bodies that may have broken off, as granian's WSGI does: then
    Werkzeug accepts any end of the body, and without it counts bytes. Behind our own edge it changes nothing.
    """

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Call the application."""
        # Not for chunked bodies: they have no length, and Werkzeug would not read them at all.
        if environ.get("CONTENT_LENGTH") and "HTTP_TRANSFER_ENCODING" not in environ:
            environ.pop("wsgi.input_terminated", None)
        return self._app(environ, start_response)


def read_form() -> MultiDict[str, str]:
    """The form's fields. Raises BAD_REQUEST for a form that may be truncated unnoticed, and 413 as `read_all`.

    413, too, for more than `FIELDS_LIMIT` fields, before they are parsed.
    """
    if request.mimetype == _FORM and request.get_data(cache=True).count(b"&") >= FIELDS_LIMIT:
        raise Refused(Answer.TOO_LARGE)
    form: MultiDict[str, str] = request.form
    _refuse_overlong()
    if form and request.content_length is None and request.mimetype == _FORM:
        raise Refused(Answer.BAD_REQUEST)
    return form


def read_all() -> bytes:
    """The whole body. Raises Werkzeug's RequestEntityTooLarge (413) for more than MAX_CONTENT_LENGTH bytes."""
    body: bytes = request.get_data(cache=False)
    _refuse_overlong()
    return body


def _refuse_overlong() -> None:
    # A body without a length is read up to the limit; Werkzeug raises 413 only when more is read.
    request.stream.read(1)
