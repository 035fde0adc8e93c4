"""Reads request bodies completely or refuses them: a body that a lost connection truncated may look complete.

Granian ends a body silently when the client has disconnected or its chunks are malformed. A truncated form `price=3000`
may be read as `price=30`; JSON and multipart are safe, because their syntax says where they end.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import request
from werkzeug.datastructures import MultiDict

from app.answers import Answer, Refused

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class CountedBodies:
    """WSGI middleware: a body shorter than its Content-Length is a bad request.

    Granian sets `wsgi.input_terminated`, and then Werkzeug accepts any end of the body; without it Werkzeug counts
    bytes.
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
    """The form's fields. Raises BAD_REQUEST for a form that may be truncated unnoticed, and 413 as `read_all`."""
    form: MultiDict[str, str] = request.form
    _refuse_overlong()
    if form and request.content_length is None and request.mimetype == "application/x-www-form-urlencoded":
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
