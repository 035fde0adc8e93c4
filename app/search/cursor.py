"""Cursors: where the next page of a search begins, as text that clients give back."""

import hashlib
from typing import Any, Final

from itsdangerous import BadData, URLSafeSerializer

from app.answers import Answer, Refused
from app.search.selection import Start
from app.settings import settings

LENGTH: Final = 4000
"""Characters of the longest cursor: of one behind the whole head, of the widest ids."""


def cursor_of(start: Start, *, asked: str) -> str:
    """The cursor to `start` of the search that `asked` stands for: everything that decides what is found."""
    gaps = [after - before for before, after in zip((0, *start.seen), start.seen, strict=False)]
    return _serializer().dumps([_digest(asked), start.as_of, list(start.owners), start.after, gaps])


def start_of(cursor: str, *, asked: str) -> Start:
    """Where the page begins that `cursor` leads to. Raises Refused(MALFORMED) where it is none of this search."""
    try:
        digest, as_of, owners, after, gaps = _serializer().loads(cursor)
    except BadData:
        raise _refusal("不是本接口给出的 cursor") from None
    if digest != _digest(asked):
        raise _refusal("cursor 属于另一次搜索,其他参数须与当时相同")
    seen, last = [], 0
    for gap in gaps:
        last += gap
        seen.append(last)
    return Start(as_of=as_of, seen=tuple(seen), owners=tuple(owners), after=None if after is None else tuple(after))


def _serializer() -> URLSafeSerializer:
    return URLSafeSerializer(settings().signing_key, salt="search-cursor", signer_kwargs=_SIGNER)


_SIGNER: Final[dict[str, Any]] = {"key_derivation": "hmac", "digest_method": hashlib.sha256}


def _digest(asked: str) -> str:
    return hashlib.sha256(asked.encode()).hexdigest()[:16]


def _refusal(reason: str) -> Refused:
    return Refused(Answer.MALFORMED, data={"errors": {"cursor": [reason]}})
