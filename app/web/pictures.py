"""Answers that are pictures: what browsers may do with them, and how long they keep them."""

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus

from flask import Response, request


def picture_response(
    read: Callable[[], bytes], *, content_type: str, key: str, cache: str, created_at: datetime | None = None
) -> Response:
    """The bytes that `read` gives, which is asked only where the client has not got them already (304).

    `key` identifies them; `cache` is the header `Cache-Control`.
    """
    response = Response(mimetype=content_type)
    response.set_etag(key)
    response.last_modified = created_at
    response.headers["Cache-Control"] = cache
    response.headers["Content-Disposition"] = "inline"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.make_conditional(request)
    if response.status_code == HTTPStatus.OK:
        response.set_data(read())
    return response


def hidden_cache(granted: int | None, *, otherwise: str = "private, no-store") -> str:
    """`Cache-Control` of a picture that is not public: kept by a browser for the seconds that its link still lives.

    `otherwise` where no link was called (None).
    """
    return otherwise if granted is None else f"private, max-age={granted}"
