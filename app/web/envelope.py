"""The one place that builds the envelope `{"status", "msg", "data"}`."""

from typing import Any

import orjson
from flask import Response
from flask.json.provider import JSONProvider

from app.answers import Answer
from app.settings import settings


class OrjsonProvider(JSONProvider):
    """Flask's JSON by orjson: faster, and Chinese stays readable."""

    def dumps(self, obj: Any, **_kwargs: Any) -> str:
        """Serialise to text."""
        return orjson.dumps(obj).decode()

    def loads(self, s: str | bytes, **_kwargs: Any) -> Any:
        """Parse text or bytes."""
        return orjson.loads(s)


def envelope(answer: Answer, data: Any = None) -> Response:
    """The response for `answer` with `data`, of a refusal with its name as `error`: all refusals pass through here.

    The setting ENVELOPE_ALWAYS_200 hides the HTTP status.
    """
    if answer.is_refusal:
        name = {"error": answer.name}
        data = name | (data or {}) | name  # first, and no detail of that key may hide it
    return Response(
        orjson.dumps({"status": answer.status, "msg": answer.msg, "data": data}),
        status=200 if settings().envelope_always_200 else answer.http,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
