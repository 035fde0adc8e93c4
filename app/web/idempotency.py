"""`Idempotency-Key`: a request that is sent again has one effect and gets the same answer.

The header is as in the IETF's draft-ietf-httpapi-idempotency-key-header: a key of the client's for one request, best
a UUID. Everything between claiming the key and keeping the rendered answer is one transaction, which the services
join (`app.db.transactions`). Kept are successes and refusals; not kept, because the same again may fare better:
refusals for a bad token (401), for asking too often (429) and because something of ours is down (5xx), and faults. Nor
is what was refused before anything could be made of the request: a body that cannot be read, a malformed key.
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
_NOT_KEPT = frozenset({Answer.REQUEST_RUNNING, Answer.KEY_REUSED})
_STATUSES_NOT_KEPT = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS})


def given_key(*, malformed: Answer) -> str | None:
    """The request's key; None where it gives none. Raises Refused(`malformed`), naming the header, for a bad one."""
    key = request.headers.get(KEY_HEADER)
    if key is not None and not _KEY.fullmatch(key):
        raise Refused(malformed, data={"errors": {KEY_HEADER: ["须为 1 至 255 个可见 ASCII 字符,不含空格"]}})
    return key


def hash_request(
    rule: str, *, query: Mapping[str, str], body: Mapping[str, Any], files: Iterable[tuple[str, FileStorage]]
) -> bytes:
    """What tells this request from others: its method, its URL, its fields, its files.

    An HMAC, because a body may hold a password, which its plain hash would let guess. Another JWT_SECRET_KEY makes
    all kept requests other ones.
    """
    digests = [(name, _digest(file)) for name, file in files]
    parts = ["idempotency-key", request.method, rule, request.view_args, query, body, digests]
    return hmac.digest(settings().jwt_secret_key.encode(), orjson.dumps(parts, option=orjson.OPT_SORT_KEYS), "sha256")


def answer_once(view: Callable[[], Response], *, scope: int, key: str, request_hash: bytes) -> Response:
    """The response of `view()`, or the kept one to this request under this key; `scope` is whose key it is.

    Raises what `claim_key` and `view` raise; after that nothing has changed.
    """
    try:
        with transaction() as session:
            kept = claim_key(session, scope=scope, key=key, request_hash=request_hash)
            if kept is None:
                response = view()
                keep_answer(session, scope=scope, key=key, request_hash=request_hash, answer=_kept(response))
                return response
    except Refused as refusal:
        if refusal.answer in _NOT_KEPT or not is_kept(refusal.answer.http):
            raise
        with transaction() as session:
            # Since the rollback the key was free: what somebody else made of the request then is its answer.
            kept = claim_key(session, scope=scope, key=key, request_hash=request_hash)
            if kept is None:
                response = refusal_response(refusal)
                keep_answer(session, scope=scope, key=key, request_hash=request_hash, answer=_kept(response))
                return response
    return _replayed(kept)


def is_kept(http: int) -> bool:
    """Whether an answer with this HTTP status is kept."""
    return http not in _STATUSES_NOT_KEPT and http < HTTPStatus.INTERNAL_SERVER_ERROR


def _kept(response: Response) -> KeptAnswer:
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    return KeptAnswer(http_status=response.status_code, headers=headers, body=response.get_data())


def _replayed(kept: KeptAnswer) -> Response:
    return Response(kept.body, status=kept.http_status, headers={**kept.headers, REPLAYED_HEADER: "true"})


def _digest(file: FileStorage) -> str:
    digest = hashlib.file_digest(file.stream, "sha256")  # type: ignore[arg-type] # Werkzeug's IO[bytes] reads into buffers
    file.stream.seek(0)
    return digest.hexdigest()
