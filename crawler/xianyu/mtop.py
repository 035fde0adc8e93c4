"""The mtop H5 protocol of h5api.m.goofish.com as pure functions: bodies, signatures, and what `ret` means.

Nothing here sends anything. The token is always the one that the server set in a cookie; we never make one up.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urlencode

import orjson

APP_KEY: Final = "34839810"
SEARCH_API: Final = "mtop.taobao.idlemtopsearch.pc.search"
DETAIL_API: Final = "mtop.taobao.idle.pc.detail"
VERSION: Final = "1.0"
ROWS_PER_PAGE: Final = 30
TOKEN_COOKIE: Final = "_m_h5_tk"  # noqa: S105 -- its name, not its value
CHALLENGE_COOKIE: Final = "x5secdata"
"""A server that sets this cookie wants a person to solve a puzzle."""

SPM_CNT_BY_API: Final = MappingProxyType({SEARCH_API: "a21ybx.search.0.0", DETAIL_API: "a21ybx.item.0.0"})
"""The query parameter `spm_cnt`: which page of the website uses the API."""


def search_data(keyword: str, page: int) -> bytes:
    """The `data` of a search, compact JSON in UTF-8: page `page` (from 1) of what is on sale, newest first."""
    return orjson.dumps(
        {
            "pageNumber": page,
            "keyword": keyword,
            "fromFilter": True,
            "rowsPerPage": ROWS_PER_PAGE,
            "sortValue": "desc",
            "sortField": "create",
            "customDistance": "",
            "gps": "",
            "propValueStr": {"searchFilter": ""},
            "customGps": "",
            "searchReqFromPage": "pcSearch",
            "extraFilterValue": "{}",
            "userPositionJson": "{}",
        }
    )


def detail_data(item_id: str) -> bytes:
    """The `data` of a request for an item's details, compact JSON in UTF-8."""
    return orjson.dumps({"itemId": item_id})


def form(data: bytes) -> bytes:
    """The body to post: `data=<percent-encoded>`."""
    return b"data=" + quote(data, safe="").encode("ascii")


def data_of(body: bytes) -> bytes:
    """The bytes of `data` in a posted body, as the server decodes them.

    Raises `ValueError` if `data` is not the only field of the body.
    """
    if not body.startswith(b"data=") or b"&" in body:
        raise ValueError("a body to be signed has exactly one field, data")
    return unquote_to_bytes(body.removeprefix(b"data=").replace(b"+", b" "))


def url(base: str, api: str) -> str:
    """The URL of an API without time and signature, so that it is the same for every request."""
    query = {
        "jsv": "2.7.2",
        "appKey": APP_KEY,
        "v": VERSION,
        "type": "originaljson",
        "accountSite": "xianyu",
        "dataType": "json",
        "timeout": "20000",
        "api": api,
        "sessionOption": "AutoLoginOnly",
        "spm_cnt": SPM_CNT_BY_API[api],
    }
    return f"{base.rstrip('/')}/h5/{api}/{VERSION}/?{urlencode(query)}"


def token_of(cookies: bytes | None) -> str:
    """The token in a Cookie header: what stands before `_` in `_m_h5_tk`; "" if there is none yet.

    To a request signed with "" the server answers TOKEN_EMPTY, and sets the cookie.
    """
    for pair in (cookies or b"").split(b";"):
        name, _, value = pair.strip().partition(b"=")
        if name == TOKEN_COOKIE.encode():
            return value.decode("latin-1").split("_", 1)[0]
    return ""


def sign(token: str, timestamp_ms: int, data: bytes, *, app_key: str = APP_KEY) -> str:
    """The signature: the MD5, in lower-case hex, of `token&timestamp_ms&appKey&data`.

    `timestamp_ms` are milliseconds since 1970. The server demands MD5; it protects nothing of ours.
    """
    return hashlib.md5(f"{token}&{timestamp_ms}&{app_key}&".encode() + data, usedforsecurity=False).hexdigest()


def signed_url(unsigned: str, body: bytes, *, token: str, timestamp_ms: int) -> str:
    """The URL `unsigned`, which `url` made, with the parameters `t` and `sign` for exactly this body."""
    return f"{unsigned}&t={timestamp_ms}&sign={sign(token, timestamp_ms, data_of(body))}"


def without_signatures(text: str) -> str:
    """`text` with the parameters that `signed_url` adds removed from any URL in it."""
    return re.sub(r"&t=\d+&sign=[0-9a-f]{32}", "", text)


class NotJsonKind(StrEnum):
    """What a body is that is no JSON."""

    EMPTY = "empty"
    HTML = "html"  # a page, or any other text that does not begin as an answer does
    DAMAGED = "damaged"  # begins as an answer, and is cut off or broken


class NotJson(ValueError):  # noqa: N818 -- names what was found
    """The body is no JSON; `kind` says what it is instead."""

    def __init__(self, kind: NotJsonKind) -> None:
        super().__init__(f"not JSON: {kind}")
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of mtop."""

    ret: tuple[str, ...]
    """The elements of `ret`, in order; one that is no text is given as its type: `(dict)`. Empty without a `ret`."""
    value: object
    """The whole answer, parsed."""

    @property
    def data(self) -> object:
        """The answer's `data`, or None."""
        return self.value.get("data") if isinstance(self.value, dict) else None


_CALLBACK: Final = re.compile(rb"\s*[A-Za-z_$][\w$.]*\s*\(")


def read_answer(body: bytes) -> Answer:
    """Parse JSON, or JSONP such as `mtopjsonp1({…})`. Raises `NotJson`."""
    text = body.removeprefix(b"\xef\xbb\xbf").strip()
    if not text:
        raise NotJson(NotJsonKind.EMPTY)
    if call := _CALLBACK.match(text):
        text = text[call.end() :].removesuffix(b";").rstrip()
        if not text.endswith(b")"):
            raise NotJson(NotJsonKind.DAMAGED)
        text = text.removesuffix(b")").strip()
    elif text[:1] not in b"{[":
        raise NotJson(NotJsonKind.HTML)
    return answer_from_json(_json(text))


def answer_from_json(value: object) -> Answer:
    """The answer in a parsed JSON value."""
    ret = value.get("ret") if isinstance(value, dict) else None
    elements = ret if isinstance(ret, list) else [] if ret is None else [ret]
    return Answer(tuple(e if isinstance(e, str) else f"({type(e).__name__})" for e in elements), value)


def _json(text: bytes) -> object:
    """Parse JSON. Lone surrogates, such as half an emoji where the site cut a title, are left out."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        lenient = json.dumps(json.loads(text, strict=False), ensure_ascii=False)
        return orjson.loads(lenient.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore"))
    except (ValueError, RecursionError) as error:
        raise NotJson(NotJsonKind.DAMAGED) from error


class Verdict(StrEnum):
    """What an answer means for the crawl."""

    OK = "ok"
    GONE = "gone"  # the item is deleted
    TOKEN = "token"  # noqa: S105 -- no secret; the request must be signed again with the new token
    UNKNOWN = "unknown"
    LIMITED = "limited"
    LOGIN = "login"
    BLOCKED = "blocked"


SEVERITY: Final = tuple(Verdict)
"""All verdicts, from the most harmless to the worst."""

VERDICT_BY_CODE: Final[Mapping[str, Verdict]] = MappingProxyType(
    {
        "SUCCESS": Verdict.OK,
        "FAIL_BIZ_ITEM_DEL_NOT_FOUND": Verdict.GONE,
        "FAIL_SYS_TOKEN_EMPTY": Verdict.TOKEN,
        "FAIL_SYS_TOKEN_EXOIRED": Verdict.TOKEN,  # the server's own spelling
        "FAIL_SYS_TOKEN_EXPIRED": Verdict.TOKEN,
        "FAIL_SYS_TOKEN_ILLEGAL": Verdict.TOKEN,
        "FAIL_SYS_TRAFFIC_LIMIT": Verdict.LIMITED,
        "FAIL_SYS_SESSION_EXPIRED": Verdict.LOGIN,
        "FAIL_SYS_USER_VALIDATE": Verdict.BLOCKED,
        "FAIL_SYS_ILLEGAL_ACCESS": Verdict.BLOCKED,
        "RGV587_ERROR": Verdict.BLOCKED,
        "RRXVv_ERROR": Verdict.BLOCKED,
    }
)
"""The verdict of each code that is known; the code is what stands before `::` in an element of `ret`."""


def judge(answer: Answer) -> Verdict:
    """The worst verdict of all elements of `ret`; UNKNOWN if there is none.

    An answer whose `data.url` is a page of the risk control is BLOCKED, whatever `ret` says.
    """
    data = answer.data
    if isinstance(data, dict) and isinstance(data.get("url"), str) and is_punish_page(data["url"]):
        return Verdict.BLOCKED
    verdicts = [VERDICT_BY_CODE.get(element.split("::", 1)[0].strip(), Verdict.UNKNOWN) for element in answer.ret]
    return max(verdicts, key=SEVERITY.index, default=Verdict.UNKNOWN)


def is_punish_page(url: str) -> bool:
    """Whether a URL leads to a page of the risk control: `…/_____tmd_____/punish?…`."""
    return "_____tmd_____" in url or "/punish" in url
