"""Which web pages of other origins may call: Flask-CORS, and what it leaves to caches."""

from typing import Final

from flask import Flask, Response
from flask_cors import CORS

from app.web.idempotency import REPLAYED_HEADER

_EXPOSED_HEADERS: Final = ("X-Request-Id", "Retry-After", "WWW-Authenticate", REPLAYED_HEADER)
_PREFLIGHT_LIFETIME: Final = 7200  # seconds; Chromium keeps the answer to a preflight request no longer


def allow_origins(app: Flask, origins: tuple[str, ...]) -> None:
    """Let pages of `origins` call `app` and read its answers."""

    # Flask-CORS says so only where the request names an allowed origin. A shared cache that keeps a picture from
    # another request would hand it, without the headers that allow its use, to a page of an allowed origin.
    # Hooks run in the opposite order of their registration: this one, registered first, runs after that of Flask-CORS.
    @app.after_request
    def vary_by_origin(response: Response) -> Response:
        response.vary.add("Origin")
        return response

    CORS(
        app,
        origins=list(origins),
        always_send=False,  # only where the request names its origin
        expose_headers=_EXPOSED_HEADERS,
        max_age=_PREFLIGHT_LIFETIME,
    )
