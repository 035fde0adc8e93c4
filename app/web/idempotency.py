"""`Idempotency-Key`: a request that is repeated with the same key takes effect once and gets the same answer.

The header follows the IETF's draft-ietf-httpapi-idempotency-key-header: a key that the client chooses for one request,
ideally a UUID. Claiming the key, the view, and keeping the rendered answer are one transaction, which the services join
(`app.db.transactions`).

Kept is what was done, and what the state of things refused. What was wrong with the request itself is not, nor what may
be different next time: it did nothing, so the key is free again, and the corrected request is taken under it.

| answer | kept |
|---|---|
| 2xx, 3xx: done | yes |
| 409: refused by the state of things | yes, but for `REQUEST_RUNNING` |
| 400, 405, 413, 415, 422: malformed | no |
| 401, 403, 404: not (yet) allowed, not there | no |
| 429: too early | no |
| 5xx: our fault, or the gateway's | no |
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from flask import Response, request
from werkzeug.datastructures import FileStorage

from app.answers import Answer, Refused
from app.db.transactions import transaction
from app.idempotency import KeptAnswer, claim_key, keep_answer
from app.settings import settings
from app.web.errors import refusal_response

KEY_HEADER: Final = "Idempotency-Key"
REPLAYED_HEADER: Final = "Idempotency-Replayed"

KEY_PATTERN: Final = "[!-~]{1,255}"
"""A key: visible ASCII characters, no spaces."""

_KEY = re.compile(KEY_PATTERN, re.ASCII)
_KEPT_HEADERS = ("Content-Type", "Cache-Control", "Location")


def given_key(*, malformed: Answer) -> str | None:
    """The request's key; None if it has none. Raises Refused(`malformed`), naming the header, for a malformed one."""
    key = request.headers.get(KEY_HEADER)
    if key is not None and not _KEY.fullmatch(key):
        raise Refused(malformed, data={"errors": {KEY_HEADER: ["须为 1 至 255 个可见 ASCII 字符,不含空格"]}})
    return key


def hash_request(
    rule: str, *, query: Mapping[str, str], body: Mapping[str, Any], files: Iterable[tuple[str, FileStorage]]
) -> bytes:
    """A hash that identifies the request: of its method, URL, fields and files.

    It is an HMAC, because a body may hold a password, which could be guessed from a plain hash. With another
    JWT_SECRET_KEY, repeated requests no longer match the kept ones.
    """
    digests = [(name, _digest(file)) for name, file in files]
    parts = ["idempotency-key", request.method, rule, request.view_args, query, body, digests]
    return hmac.digest(settings().signing_key.encode(), orjson.dumps(parts, option=orjson.OPT_SORT_KEYS), "sha256")


def answer_once(view: Callable[[], Response], *, scope: int, key: str, request_hash: bytes) -> Response:
    """The response of `view()`, or the one kept for this request under this key; `scope` is the key's owner.

    Raises what `claim_key` and `view` raise; nothing has been changed then.
    """
    try:
        with transaction() as session:
            kept = claim_key(session, scope=scope, key=key, request_hash=request_hash)
            if kept is None:
                response = view()
                keep_answer(session, scope=scope, key=key, request_hash=request_hash, answer=_kept(response))
                return response
    except Refused as refusal:
        if refusal.answer is Answer.REQUEST_RUNNING or not is_kept(refusal.answer.http):
            raise
        with transaction() as session:
            # Since the rollback the key was free: if the same request was handled meanwhile, its answer is the one.
            kept = claim_key(session, scope=scope, key=key, request_hash=request_hash)
            if kept is None:
                response = refusal_response(refusal)
                keep_answer(session, scope=scope, key=key, request_hash=request_hash, answer=_kept(response))
                return response
    return _replayed(kept)


def is_kept(http: int) -> bool:
    """Whether an answer with this HTTP status is kept."""
    return http < HTTPStatus.BAD_REQUEST or http == HTTPStatus.CONFLICT


def _kept(response: Response) -> KeptAnswer:
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    return KeptAnswer(http_status=response.status_code, headers=headers, body=response.get_data())


def _replayed(kept: KeptAnswer) -> Response:
    return Response(kept.body, status=kept.http_status, headers={**kept.headers, REPLAYED_HEADER: "true"})


def _digest(file: FileStorage) -> str:
    digest = hashlib.file_digest(file.stream, "sha256")  # type: ignore[arg-type] # Werkzeug's IO[bytes] reads into buffers
    file.stream.seek(0)
    return digest.hexdigest()
