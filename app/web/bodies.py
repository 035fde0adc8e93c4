"""Bodies are read whole or refused: what a lost connection has cut off may look complete, and mean something else.

Granian ends a body without a word when its client is gone or its chunks make no sense. `price=3000`, cut, is
`price=30`; JSON and multipart are safe, as both say where they end.
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

    Granian says `wsgi.input_terminated`, and Werkzeug then takes any end for the right one; else it counts.
    """

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Call the application."""
        # Chunks have no length to count, and Werkzeug would read nothing of them.
        if environ.get("CONTENT_LENGTH") and "HTTP_TRANSFER_ENCODING" not in environ:
            environ.pop("wsgi.input_terminated", None)
        return self._app(environ, start_response)


def read_form() -> MultiDict[str, str]:
    """The form's fields. Raises BAD_REQUEST where nobody can tell whether it is whole, and 413 as `read_all`."""
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
    # A body without a length is read up to the limit; only who asks for more is told that there is more.
    request.stream.read(1)
