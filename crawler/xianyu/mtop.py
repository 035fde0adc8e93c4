"""The mtop H5 protocol of h5api.m.goofish.com, as pure functions: what is sent, how it is signed, what `ret` means.

Nothing here sends anything. The token is whatever the server set in a cookie; no cookie is ever made up.
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
"""A server that sets this one wants a person to solve a puzzle."""

PAGE_OF: Final = MappingProxyType({SEARCH_API: "a21ybx.search.0.0", DETAIL_API: "a21ybx.item.0.0"})
"""What the query calls `spm_cnt`: the page of the site that asks this API."""


def search_data(keyword: str, page: int) -> bytes:
    """The search's `data`, compact JSON in UTF-8: page `page` (from 1) of what is on sale, the newest first."""
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
    """The item detail's `data`, compact JSON in UTF-8."""
    return orjson.dumps({"itemId": item_id})


def form(data: bytes) -> bytes:
    """The body that is posted: `data=<percent-encoded>`."""
    return b"data=" + quote(data, safe="").encode("ascii")


def data_of(body: bytes) -> bytes:
    """The bytes of `data` in a posted body, as the server will read them.

    Raises:
        ValueError: the body has not exactly one `data`.
    """
    if not body.startswith(b"data=") or b"&" in body:
        raise ValueError("a body to be signed has exactly one field, data")
    return unquote_to_bytes(body.removeprefix(b"data=").replace(b"+", b" "))


def url(base: str, api: str) -> str:
    """Where an API is asked, without time and signature: the same for every request, so that filters see it so."""
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
        "spm_cnt": PAGE_OF[api],
    }
    return f"{base.rstrip('/')}/h5/{api}/{VERSION}/?{urlencode(query)}"


def token_of(cookies: bytes | None) -> str:
    """The token in a Cookie header: what stands before `_` in `_m_h5_tk`; "" where there is none yet.

    The server answers a request that was signed with "" by TOKEN_EMPTY and sets the cookie.
    """
    for pair in (cookies or b"").split(b";"):
        name, _, value = pair.strip().partition(b"=")
        if name == TOKEN_COOKIE.encode():
            return value.decode("latin-1").split("_", 1)[0]
    return ""


def sign(token: str, moment: int, data: bytes, *, app_key: str = APP_KEY) -> str:
    """Lower-case hex MD5 of `token&moment&appKey&data`; `moment` in milliseconds since 1970, UTC.

    MD5 is what the server checks; nothing of ours is kept safe by it.
    """
    return hashlib.md5(f"{token}&{moment}&{app_key}&".encode() + data, usedforsecurity=False).hexdigest()


def signed(address: str, body: bytes, *, token: str, moment: int) -> str:
    """`address`, as `url` makes it, with `t` and `sign` for exactly the bytes in `body`."""
    return f"{address}&t={moment}&sign={sign(token, moment, data_of(body))}"


def unsigned(text: str) -> str:
    """`text` without what `signed` added to an address in it."""
    return re.sub(r"&t=\d+&sign=[0-9a-f]{32}", "", text)


class NotJsonKind(StrEnum):
    """What came instead of an answer."""

    EMPTY = "empty"
    HTML = "html"  # a page, or any other text that does not begin as an answer does
    DAMAGED = "damaged"  # begins as an answer, and is cut off or broken


class NotJson(ValueError):  # noqa: N818 -- its readers ask what it is, not what went wrong
    """The body is no JSON.

    Args:
        kind: What it is instead.
    """

    def __init__(self, kind: NotJsonKind) -> None:
        super().__init__(f"not JSON: {kind}")
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of mtop."""

    ret: tuple[str, ...]
    """Every element of `ret`, in order; what is no text stands as its type, `(dict)`. Empty where there is no `ret`."""
    value: object
    """The whole answer as it was read."""

    @property
    def data(self) -> object:
        """`data` of the answer, or None."""
        return self.value.get("data") if isinstance(self.value, dict) else None


_CALLBACK: Final = re.compile(rb"\s*[A-Za-z_$][\w$.]*\s*\(")


def read_answer(body: bytes) -> Answer:
    """Read JSON, or JSONP such as `mtopjsonp1({…})`.

    Raises:
        NotJson: with the kind of what it is.
    """
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
    return answer_in(_json(text))


def answer_in(value: object) -> Answer:
    """The answer that a value of JSON is."""
    ret = value.get("ret") if isinstance(value, dict) else None
    elements = ret if isinstance(ret, list) else [] if ret is None else [ret]
    return Answer(tuple(e if isinstance(e, str) else f"({type(e).__name__})" for e in elements), value)


def _json(text: bytes) -> object:
    """Read JSON; half an emoji (a lone surrogate, where a title was cut) is left out instead of failing it all."""
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
    TOKEN = "token"  # noqa: S105 -- a word, no secret: sign again with the token that came along
    UNKNOWN = "unknown"
    LIMITED = "limited"
    LOGIN = "login"
    BLOCKED = "blocked"


SEVERITY: Final = tuple(Verdict)
"""From harmless to worst, in the order above."""

MEANING: Final[Mapping[str, Verdict]] = MappingProxyType(
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
"""The codes that were seen, each what stands before `::` in an element of `ret`. Any other one is unknown."""


def judge(answer: Answer) -> Verdict:
    """The worst of what the elements of `ret` say, each of them read; UNKNOWN where there is none.

    An answer that sends the reader to a punish page is BLOCKED, whatever `ret` says.
    """
    data = answer.data
    if isinstance(data, dict) and isinstance(data.get("url"), str) and is_wall(data["url"]):
        return Verdict.BLOCKED
    verdicts = [MEANING.get(element.split("::", 1)[0].strip(), Verdict.UNKNOWN) for element in answer.ret]
    return max(verdicts, key=SEVERITY.index, default=Verdict.UNKNOWN)


def is_wall(address: str) -> bool:
    """Whether an address is that of the risk control: `…/_____tmd_____/punish?…`."""
    return "_____tmd_____" in address or "/punish" in address
