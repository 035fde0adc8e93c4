"""An application behind the edge that answers in all the ways that WSGI allows: `granian --interface rsgi` loads it."""

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Response, request

from app import create_app
from app.web.edge import Edge

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

application = create_app()
closed: list[str] = []


class Parts:
    """A body in parts, as WSGI allows it: to be closed at the end."""

    def __init__(self, name: str, *, breaks: bool = False) -> None:
        self.name = name
        self.breaks = breaks

    def __iter__(self) -> Iterator[bytes]:
        yield b"one "
        if self.breaks:
            raise OSError("the second part is not there")
        yield b"two"

    def close(self) -> None:
        """Note that somebody has closed it."""
        closed.append(self.name)


@application.get("/odd/stream/")
def stream() -> Response:
    """An answer without a length."""
    return Response(iter(Parts("stream")), content_type="text/plain")


@application.get("/odd/closed/")
def show_closed() -> Response:
    """What has been closed so far."""
    return Response(",".join(closed), content_type="text/plain")


@application.get("/odd/slow/")
def slow() -> Response:
    """An answer that takes a second; the file that ODD_SLOW_BEGAN names is there from its beginning."""
    if "ODD_SLOW_BEGAN" in os.environ:
        Path(os.environ["ODD_SLOW_BEGAN"]).touch()
    time.sleep(1)
    return Response("slow", content_type="text/plain")


@application.route("/odd/environ/", methods=["GET", "POST"])
def show_environ() -> Response:
    """What the application is told of the request."""
    names = ("CONTENT_LENGTH", "HTTP_X_A", "HTTP_COOKIE", "HTTP_X_FORWARDED_FOR", "HTTP_TRANSFER_ENCODING")
    names += ("PATH_INFO", "QUERY_STRING", "REMOTE_ADDR", "SERVER_PROTOCOL", "wsgi.url_scheme")
    lines = [f"{name}={request.environ.get(name)}" for name in names]
    return Response("\n".join([*lines, f"body={request.get_data()!r}"]), content_type="text/plain; charset=utf-8")


_inner = application.wsgi_app


def odd(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """What Flask itself never does."""
    if environ["PATH_INFO"] == "/odd/raises/":
        raise RuntimeError("no application answers")
    if environ["PATH_INFO"] in ("/odd/parts/", "/odd/breaks/"):
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "7")])
        return Parts(environ["PATH_INFO"].strip("/"), breaks="breaks" in environ["PATH_INFO"])
    return _inner(environ, start_response)


application.wsgi_app = odd  # type: ignore[method-assign] # Flask's documented way to add middleware
app = Edge(application)
