"""The mtop H5 protocol of h5api.m.goofish.com as pure functions: bodies, signatures, and what `ret` means.

Nothing here sends anything. The token is always the one that the server set in a cookie; we never make one up.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urlencode, urlsplit

import orjson

APP_KEY: Final = "34839810"
SEARCH_API: Final = "mtop.taobao.idlemtopsearch.pc.search"
DETAIL_API: Final = "mtop.taobao.idle.pc.detail"
SHOP_API: Final = "mtop.idle.web.xyh.item.list"
"""The goods of one seller, as the page of a shop shows them. Only read from saved answers."""
VERSION: Final = "1.0"
ROWS_PER_PAGE: Final = 30
TOKEN_COOKIE: Final = "_m_h5_tk"  # noqa: S105 -- its name, not its value
CHALLENGE_COOKIE: Final = "x5secdata"
"""A server that sets this cookie wants a person to solve a puzzle."""


class Shape(StrEnum):
    """What an answer holds, and so which of the functions of `xianyu.parsing` reads it."""

    SEARCH = "search"  # `data.resultList`: rows with `data.item.main`
    DETAIL = "detail"  # `data.itemDO`
    CARDS = "cards"  # `data.cardList`: rows with `cardData`


SHAPE_BY_API: Final[Mapping[str, Shape]] = MappingProxyType(
    {
        SEARCH_API: Shape.SEARCH,
        "mtop.taobao.idlemtopsearch.wx.search": Shape.SEARCH,  # the mini-program
        "mtop.taobao.idlemtopsearch.search": Shape.SEARCH,  # the app
        DETAIL_API: Shape.DETAIL,
        SHOP_API: Shape.CARDS,
        "mtop.taobao.idlehome.home.webpc.feed": Shape.CARDS,  # the home page
        "mtop.taobao.idle.item.web.recommend.list": Shape.CARDS,  # beside an item's details
    }
)
"""The APIs whose answers can be read. Only the first and the fourth are ever asked."""

SPM_CNT_BY_API: Final = MappingProxyType({SEARCH_API: "a21ybx.search.0.0", DETAIL_API: "a21ybx.item.0.0"})
"""The query parameter `spm_cnt`: which page of the website uses the API."""
SPM_PRE_BY_API: Final = MappingProxyType(
    {SEARCH_API: "a21ybx.search.searchInput.0", DETAIL_API: "a21ybx.search.searchFeedList.1"}
)
"""The query parameter `spm_pre`: from where that page is reached, the field of the search or its first result.

The site's pages append to it a number that they draw for each view of a page. We have no page, so no such number.
"""


def search_data(keyword: str, page: int, *, search_filter: str = "", extra_filter: str = "{}") -> bytes:
    """The `data` of a search, compact JSON in UTF-8: page `page` (from 1) of what is on sale, newest first.

    The two filters are texts as `xianyu.filters` makes them.
    """
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
            "propValueStr": {"searchFilter": search_filter},
            "customGps": "",
            "searchReqFromPage": "pcSearch",
            "extraFilterValue": extra_filter,
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
        "spm_pre": SPM_PRE_BY_API[api],
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
    NO_MORE = "no more"  # the site shows no page so far behind
    TOKEN = "token"  # noqa: S105 -- no secret; the request must be signed again with the new token
    PASSING = "passing"  # a fault of theirs that passes, such as a timeout between their servers
    UNKNOWN = "unknown"
    LIMITED = "limited"
    LOGIN = "login"
    BLOCKED = "blocked"


SEVERITY: Final = tuple(Verdict)
"""All verdicts, from the most harmless to the worst."""

RET_CODES: Final = Path(__file__).with_name("ret_codes.tsv")
"""The table of codes: a verdict and a pattern on each line; the first pattern that fits counts."""


def _read_codes(text: str) -> Iterator[tuple[re.Pattern[str], Verdict]]:
    for line in text.splitlines():
        if line and not line.startswith("#"):
            verdict, pattern = line.split("\t")[:2]
            yield re.compile(pattern), Verdict(verdict)


_CODES: Final = tuple(_read_codes(RET_CODES.read_text("utf-8")))


@lru_cache(maxsize=256)
def verdict_of_code(code: str) -> Verdict:
    """The verdict of a code, which is what stands before `::` in an element of `ret`; UNKNOWN if no pattern fits."""
    return next((verdict for pattern, verdict in _CODES if pattern.fullmatch(code)), Verdict.UNKNOWN)


def code_of(element: str) -> str:
    """The code in an element of `ret`: of `RGV587_ERROR::SM::…` it is `RGV587_ERROR`."""
    return element.split("::", 1)[0].strip()


def ret_codes(answer: Answer) -> str:
    """The codes in `ret`, for messages, shortened. The text after a code may hold anything."""
    found = (code_of(element)[:60] for element in answer.ret[:5])
    return ", ".join(code if _CODE.fullmatch(code) else "no code" for code in found) or "no ret"


_CODE: Final = re.compile(r"[A-Za-z]\w*", re.ASCII)

_PAGES_END: Final = "最大可查看页数"
"""What a refusal of a page says that is so far behind that the site never shows it, whatever its code."""


def judge(answer: Answer) -> Verdict:
    """The worst verdict of all elements of `ret`; UNKNOWN if there is none.

    An answer that leads to a page of the risk control (in `data.url`, `.h5url` …) is BLOCKED, whatever `ret` says.
    One that is no success and leads to a login is LOGIN: so the site answers RGV587_ERROR, which else is a block.
    """
    worst = max(map(_verdict_of_element, answer.ret), key=SEVERITY.index, default=Verdict.UNKNOWN)
    data = answer.data
    if isinstance(data, dict):
        urls = [url for key, url in data.items() if isinstance(url, str) and key[-3:].lower() == "url"]
        if any(map(is_punish_page, urls)):
            return Verdict.BLOCKED
        if worst is not Verdict.OK and any(map(is_login_page, urls)):
            return Verdict.LOGIN
    return worst


def _verdict_of_element(element: str) -> Verdict:
    verdict = verdict_of_code(code_of(element))
    return Verdict.NO_MORE if verdict is Verdict.UNKNOWN and _PAGES_END in element else verdict


def is_punish_page(url: str) -> bool:
    """Whether a URL leads to a page of the risk control: `…/_____tmd_____/punish?…`."""
    return "_____tmd_____" in url or "/punish" in url


def is_login_page(url: str) -> bool:
    """Whether a URL leads to a login: `https://passport.goofish.com/mini_login.htm`, `…/member/login.jhtml`."""
    try:
        address = urlsplit(url)
    except ValueError:  # not a valid host
        return False
    host = (address.netloc or "").lower()
    return host.startswith(("passport.", "login.")) or "login" in address.path.lower()
