"""The server of the fake site. It writes HTTP/1.1 byte by byte, to be able to answer slowly, in part, or with a reset.

It is strict: a request that differs from one of the site's own page in anything that matters (query, form, signature of
the posted bytes, age of `t`, Referer) is refused as the site refuses it. Each request is recorded, as a line of JSON,
before it is answered.
"""

import asyncio
import gzip
import hashlib
import json
import secrets
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson
from PIL import Image

from tests.crawler.goofish.answers import detail_answer, envelope, search_answer
from tests.crawler.goofish.faults import CARDS_WITHOUT_ITEM, HALF, RETS, URLS, Fault, FaultKind, Robots, put_nulls
from tests.crawler.goofish.filters import Wanted, wanted_of
from tests.crawler.goofish.generated_market import DETAIL_API, PAGE_ROWS, SEARCH_API, Market

APP_KEY: Final = "34839810"
NOTHING_FILTERED: Final = Wanted(None, None, ())
_FRESH_MS: Final = 5 * 60 * 1000
_LONGEST_BODY: Final = 64 * 1024
_DRIPS: Final = 40
_HALF_MARK: Final = "<half an emoji>"
_PAGE: Final = "<!DOCTYPE html><html><head><title>闲鱼</title></head><body><script>/*slide*/</script></body></html>"
_SEARCH_FIELDS: Final = {
    "pageNumber": int,
    "keyword": str,
    "fromFilter": bool,
    "rowsPerPage": int,
    "sortValue": str,
    "sortField": str,
    "customDistance": str,
    "gps": str,
    "propValueStr": dict,
    "customGps": str,
    "searchReqFromPage": str,
    "extraFilterValue": str,
    "userPositionJson": str,
}
_QUERY: Final = {
    "jsv": "2.7.2",
    "appKey": APP_KEY,
    "v": "1.0",
    "type": "originaljson",
    "accountSite": "xianyu",
    "dataType": "json",
    "timeout": "20000",
    "sessionOption": "AutoLoginOnly",
}
_SPM: Final = {
    SEARCH_API: ("a21ybx.search.0.0", "a21ybx.search.searchInput.0"),
    DETAIL_API: ("a21ybx.item.0.0", "a21ybx.search.searchFeedList.1"),
}
"""`spm_cnt` and `spm_pre`: the page that asks, and from where it was reached."""
_HEADERS: Final = {
    "accept": "application/json",
    "content-type": "application/x-www-form-urlencoded",
    "origin": "https://www.goofish.com",
    "accept-language": "zh-CN,zh;q=0.9",
}


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def cookies(self) -> dict[str, str]:
        return {name: morsel.value for name, morsel in SimpleCookie(self.headers.get("cookie", "")).items()}


@dataclass(slots=True, kw_only=True)
class _Reply:
    status: int = 200
    content_type: str = "application/json;charset=UTF-8"
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)
    pause: float = 0.0
    delivery: FaultKind | None = None
    seconds: float = 0.0
    label: str = ""
    """The `answer` in the record."""


@dataclass(slots=True)
class _ServedMarket:
    """A market, its faults, and its pages that were rendered already."""

    market: Market
    faults: list[Fault]
    pause: float
    hits: dict[int, int] = field(default_factory=dict)
    rendered: dict[tuple[int, int, Wanted | None], bytes] = field(default_factory=dict)
    found: dict[Wanted, list[int]] = field(default_factory=dict)
    """The numbers of the goods that a search with filters finds, newest first."""

    def fault(self, page: int) -> Fault | None:
        """The first fault that this request for a page meets; None if it meets none."""
        for number, fault in enumerate(self.faults):
            if fault.pages and page not in fault.pages:
                continue
            hits = self.hits.get(number, 0)
            if fault.times is None or hits < fault.times:
                self.hits[number] = hits + 1
                return fault
        return None

    def page(self, page: int, *, overlap: int = 0, wanted: Wanted | None = None) -> bytes:
        """The answer with a page of what the filters leave, which is rendered only once."""
        if (page, overlap, wanted) not in self.rendered:
            numbers: Sequence[int] = self.market.numbers(page, overlap=overlap)
            last = page >= self.market.pages
            if wanted is not None:
                found = self.numbers(wanted)
                numbers = found[(page - 1) * PAGE_ROWS : page * PAGE_ROWS]
                last = page * PAGE_ROWS >= len(found)
            answer = search_answer(self.market, numbers)
            if wanted is not None:
                answer["data"]["resultInfo"]["hasNextPage"] = not last
            self.rendered[page, overlap, wanted] = orjson.dumps(answer)
        return self.rendered[page, overlap, wanted]

    def numbers(self, wanted: Wanted) -> list[int]:
        """The numbers of the goods that the filters leave, newest first."""
        if wanted not in self.found:
            self.found[wanted] = [good.number for good in self.market.goods() if wanted.finds(good)]
        return self.found[wanted]

    def pages(self, wanted: Wanted | None) -> int:
        """The number of pages of what the filters leave."""
        return self.market.pages if wanted is None else max(-(-len(self.numbers(wanted)) // PAGE_ROWS), 1)


class FakeSite:
    """The site, in one event loop."""

    def __init__(self, record: Path, *, token_uses: int | None = None) -> None:
        self._record = record.open("a", buffering=1, encoding="utf-8")
        self._token_uses = token_uses
        self._tokens: dict[str, str] = {}
        """By token: the value of the second cookie, `_m_h5_tk_enc`."""
        self._uses: Counter[str] = Counter()
        self._markets: dict[str, _ServedMarket] = {}
        self._goods: dict[str, tuple[_ServedMarket, int]] = {}
        self._robots = Robots.ALLOW
        self._robots_seconds = 0.0
        self._robots_pause = 0.0

    async def serve(self, port: int) -> None:
        """Serve on 127.0.0.1 for ever; port 0 means any free port. Prints `listening on <port>` when ready."""
        server = await asyncio.start_server(self._connection, "127.0.0.1", port, limit=_LONGEST_BODY)
        print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
        async with server:
            await server.serve_forever()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read(reader)) is not None:
                reply = self._answer(request)
                if not await _send(writer, reply):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the crawler was killed, or its timeout was over
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def _answer(self, request: _Request) -> _Reply:
        if request.path.startswith("/control/"):
            return self._control(request)
        record: dict[str, Any] = {
            "at": time.time(),
            "method": request.method,
            "path": request.path,
            "user_agent": request.headers.get("user-agent"),
            "cookies": sorted(request.cookies),
        }
        if request.path == "/robots.txt":
            reply = self._robots_txt()
        elif request.path.startswith("/h5/"):
            reply = self._mtop(request, record)
        elif request.path.startswith("/plain/"):
            reply = self._plain(request)
        elif request.path.startswith("/pictures/"):
            reply = _picture(request.path)
        else:
            reply = _Reply(status=404, content_type="text/html", body=_PAGE.encode(), label="nothing there")
        self._record.write(json.dumps({**record, "answer": reply.label, "status": reply.status}) + "\n")
        return reply

    # Control by the tests

    def _control(self, request: _Request) -> _Reply:
        match request.path.removeprefix("/control/"):
            case "market":
                fields = orjson.loads(request.body)
                faults = [Fault.from_json(fault) for fault in fields.pop("faults")]
                pause = fields.pop("pause")
                revisions = {int(number): times for number, times in fields.pop("revisions").items()}
                market = Market(**fields, revisions=revisions)
                served = self._markets[market.keyword] = _ServedMarket(market, faults, pause)
                for number in range(1, market.items + 1):
                    self._goods[market.item_id(number)] = (served, number)
            case "robots":
                fields = orjson.loads(request.body)
                self._robots = Robots(fields["robots"])
                self._robots_seconds, self._robots_pause = fields["seconds"], fields["pause"]
            case "warm":
                served = self._markets[orjson.loads(request.body)["keyword"]]
                for page in range(1, served.market.pages + 1):
                    served.page(page)
            case unknown:
                raise ValueError(unknown)
        return _Reply(body=b"{}")

    # robots.txt

    def _robots_txt(self) -> _Reply:
        text = "User-agent: *\nDisallow: /playground/\n"
        reply = _Reply(content_type="text/plain", body=text.encode(), label=f"robots {self._robots.value}")
        reply.pause = self._robots_pause
        match self._robots:
            case Robots.MISSING:
                reply.status, reply.content_type, reply.body = 404, "text/html", _PAGE.encode()
            case Robots.DISALLOW:
                reply.body = b"User-agent: *\nDisallow: /h5/\n"
            case Robots.DELAY:
                reply.body += b"Crawl-delay: 2\n"
            case Robots.UNAVAILABLE:
                reply.status, reply.body = 503, b""
            case Robots.PAGE:
                reply.content_type, reply.body = "text/html", _PAGE.encode()
            case Robots.HANG:
                reply.delivery, reply.seconds = FaultKind.HANG, self._robots_seconds
            case Robots.RESET:
                reply.delivery = FaultKind.RESET
            case Robots.ALLOW:
                pass
        return reply

    def _plain(self, request: _Request) -> _Reply:
        """`/plain/<keyword>/<page>`: an answer of mtop without its protocol, for `benchmarks.bare_spider`."""
        keyword, page = unquote(request.path.removeprefix("/plain/")).split("/")
        return _Reply(body=self._markets[keyword].page(int(page)), label="plain page")

    # mtop

    def _mtop(self, request: _Request, record: dict[str, Any]) -> _Reply:
        api = request.path.removeprefix("/h5/").partition("/")[0]
        record["api"] = api
        data = dict(parse_qsl(request.body.decode(), keep_blank_values=True)).get("data", "")
        if not _well_formed(request, api, data):
            record["wrong"] = True
            return _refusal(api, FaultKind.ILLEGAL_ACCESS)
        asked = orjson.loads(data)
        wanted = wanted_of(asked) if api == SEARCH_API else None
        if wanted is not None and wanted == NOTHING_FILTERED:
            wanted = None
        served, page, number = self._asked_for(api, asked)
        record["subject"] = asked.get("keyword", asked.get("itemId"))
        record["page"] = page
        record["filters"] = [asked.get("propValueStr", {}).get("searchFilter", ""), asked.get("extraFilterValue", "{}")]
        fault = served.fault(page) if served is not None else None
        if fault is not None and fault.kind is FaultKind.UNFILTERED:
            fault = wanted = None
        record["last"] = served is not None and page >= served.pages(wanted)
        if fault is not None and fault.kind in (FaultKind.TOKEN_EXPIRED, FaultKind.TOKEN_ILLEGAL):
            record["signed"] = "refused"
            illegal = fault.kind is FaultKind.TOKEN_ILLEGAL
            return self._new_token(api, "ILLEGAL::非法令牌" if illegal else "EXOIRED::令牌过期")
        if complaint := self._complaint(request):
            record["signed"] = complaint.partition("::")[0].lower()
            return self._new_token(api, complaint)
        if not _has_valid_signature(request, data):
            record["signed"] = "wrong"
            return _refusal(api, FaultKind.ILLEGAL_ACCESS)
        record["signed"] = "right"
        reply = self._page(api, served, page, number, fault, wanted)
        reply.pause = served.pause if served is not None else 0.0
        if fault is not None:
            _apply_fault(reply, fault, api)
        return reply

    def _asked_for(self, api: str, asked: dict[str, Any]) -> tuple[_ServedMarket | None, int, int]:
        """The market, the page, and for item details the number of the good."""
        if api == DETAIL_API:
            served, number = self._goods.get(asked["itemId"], (None, 0))
            return served, 1, number
        return self._markets.get(asked["keyword"]), asked["pageNumber"], 0

    def _complaint(self, request: _Request) -> str:
        """Why the token is refused; "" if it is valid, which counts as a use."""
        token, _, _ = request.cookies.get("_m_h5_tk", "").partition("_")
        if not token:
            return "EMPTY::令牌为空"
        if token not in self._tokens or request.cookies.get("_m_h5_tk_enc") != self._tokens[token]:
            return "ILLEGAL::非法令牌"
        if self._uses[token] == self._token_uses:
            return "EXOIRED::令牌过期"
        self._uses[token] += 1
        return ""

    def _new_token(self, api: str, complaint: str) -> _Reply:
        """A refusal that sets a new token."""
        token, enc, expires = secrets.token_hex(16), secrets.token_hex(16), _now_ms() + 3_600_000
        self._tokens[token] = enc
        ret = f"FAIL_SYS_TOKEN_{complaint}"
        cookies = (f"_m_h5_tk={token}_{expires};Path=/;Max-Age=604800", f"_m_h5_tk_enc={enc};Path=/;Max-Age=604800")
        return _Reply(
            body=orjson.dumps(envelope(api, [ret], {})),
            headers=[("Set-Cookie", cookie) for cookie in cookies],
            label=ret.partition("::")[0],
        )

    def _page(
        self,
        api: str,
        served: _ServedMarket | None,
        page: int,
        number: int,
        fault: Fault | None,
        wanted: Wanted | None,
    ) -> _Reply:
        kind = fault.kind if fault is not None else None
        if api == DETAIL_API:
            if served is None:
                return _refusal(api, FaultKind.GONE)
            return _Reply(body=orjson.dumps(detail_answer(served.market, served.market.good(number))), label="details")
        if served is None:
            return _Reply(
                body=orjson.dumps(search_answer(Market(keyword="", items=0), range(0))), label="nothing found"
            )
        if fault is not None and kind is FaultKind.OVERLAP:
            return _Reply(body=served.page(page, overlap=fault.rows), label="overlap")
        if kind is FaultKind.REPEAT:
            return _Reply(body=served.page(1), label="repeat")
        return _Reply(body=served.page(page, wanted=wanted), label="page")


def _now_ms() -> int:
    return int(time.time() * 1000)


def _well_formed(request: _Request, api: str, data: str) -> bool:
    """Whether the request is one that the site's own page would send; the signature is not checked here."""
    query = request.query
    if request.method != "POST" or any(request.headers.get(name) != value for name, value in _HEADERS.items()):
        return False
    if not request.headers.get("referer", "").startswith("https://www.goofish.com/"):
        return False
    if (query.get("spm_cnt"), query.get("spm_pre")) != _SPM.get(api):
        return False
    if query.get("api") != api or any(query.get(name) != value for name, value in _QUERY.items()):
        return False
    if not query.get("t", "").isdecimal() or abs(int(query["t"]) - _now_ms()) > _FRESH_MS:
        return False
    if api == DETAIL_API:
        return set(json.loads(data)) == {"itemId"}
    if api != SEARCH_API or " " in data.partition('"keyword"')[0]:
        return False
    asked = json.loads(data)
    return (
        set(asked) == set(_SEARCH_FIELDS)
        and all(type(asked[name]) is kind for name, kind in _SEARCH_FIELDS.items())
        and (asked["rowsPerPage"], asked["sortField"], asked["sortValue"]) == (PAGE_ROWS, "create", "desc")
        and asked["pageNumber"] >= 1
        and wanted_of(asked) is not None
    )


def _has_valid_signature(request: _Request, data: str) -> bool:
    token = request.cookies["_m_h5_tk"].partition("_")[0]
    query = request.query
    signed = hashlib.md5(f"{token}&{query['t']}&{APP_KEY}&{data}".encode(), usedforsecurity=False).hexdigest()
    return query.get("sign") == signed


def _refusal(api: str, kind: FaultKind) -> _Reply:
    data = {"url": URLS[kind].format(api=api)} if kind in URLS else {}
    return _Reply(body=orjson.dumps(envelope(api, RETS[kind], data)), label=kind.value)


def _after_success(answer: dict[str, Any]) -> None:
    answer["ret"].append(RETS[FaultKind.RISK][1])


def _emptied(answer: dict[str, Any]) -> None:
    answer["data"]["resultList"] = []


def _with_null_rows(answer: dict[str, Any]) -> None:
    answer["data"]["resultList"] = None


def _without_match(answer: dict[str, Any]) -> None:
    _control(answer).update(hasItems=False, numFound=0, srpFeedsItemsDataEmpty=True)


def _similar(answer: dict[str, Any]) -> None:
    _control(answer)["similar"] = True


def _of_another_search(answer: dict[str, Any]) -> None:
    for row in answer["data"]["resultList"]:
        row["data"]["item"]["main"]["clickParam"]["args"]["keyword"] = "别的东西"


def _foreign(answer: dict[str, Any]) -> None:
    answer["data"]["resultList"] = CARDS_WITHOUT_ITEM


def _control(answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = answer["data"]["resultInfo"]["searchResControlFields"]
    return found


def _renamed(answer: dict[str, Any]) -> None:
    answer["data"]["cardList"] = answer["data"].pop("resultList")


def _with_nulls(answer: dict[str, Any]) -> None:
    put_nulls(answer["data"]["resultList"])


def _with_half_emoji(answer: dict[str, Any]) -> None:
    content = answer["data"]["resultList"][0]["data"]["item"]["main"]["exContent"]
    if content["detailParams"].get("title") == content["title"]:
        content["detailParams"]["title"] += _HALF_MARK
    content["title"] += _HALF_MARK


_ANSWER_CHANGES: Final[Mapping[FaultKind, Callable[[dict[str, Any]], None]]] = {
    FaultKind.RISK_AFTER_SUCCESS: _after_success,
    FaultKind.EMPTY: _emptied,
    FaultKind.NULL_ROWS: _with_null_rows,
    FaultKind.NO_MATCH: _without_match,
    FaultKind.SIMILAR: _similar,
    FaultKind.OTHER_SEARCH: _of_another_search,
    FaultKind.FOREIGN: _foreign,
    FaultKind.SCHEMA: _renamed,
    FaultKind.NULLS: _with_nulls,
    FaultKind.HALF_EMOJI: _with_half_emoji,
}
"""What some faults change in a good answer."""


def _apply_fault(reply: _Reply, fault: Fault, api: str) -> None:
    """Apply a fault to a good answer. OVERLAP and REPEAT were applied before, when the page was chosen."""
    reply.label = fault.kind.value
    if fault.kind in RETS:
        reply.body = _refusal(api, fault.kind).body
    elif fault.kind in _ANSWER_CHANGES:
        answer = orjson.loads(reply.body)
        _ANSWER_CHANGES[fault.kind](answer)
        reply.body = orjson.dumps(answer).replace(_HALF_MARK.encode(), HALF)
    else:
        _change_transfer(reply, fault)


def _change_transfer(reply: _Reply, fault: Fault) -> None:
    match fault.kind:
        case FaultKind.PAGE:
            reply.content_type, reply.body = "text/html;charset=utf-8", _PAGE.encode()
        case FaultKind.REDIRECT:
            reply.status, reply.body = 302, b""
            reply.headers.append(("Location", "/member/login.jhtml?redirectURL=search"))
        case FaultKind.JSONP:
            reply.content_type = "application/javascript"
            reply.body = b" mtopjsonp1(" + reply.body + b");\n"
        case FaultKind.STATUS:
            reply.status, reply.content_type, reply.body = fault.status, "text/html", _PAGE.encode()
            if fault.retry_after is not None:
                reply.headers.append(("Retry-After", fault.retry_after))
        case FaultKind.DAMAGED:
            reply.body = reply.body[: len(reply.body) // 2]
        case FaultKind.COMPRESSED:
            reply.body = gzip.compress(reply.body, 1)
            reply.headers.append(("Content-Encoding", "gzip"))
            reply.delivery = fault.kind
        case FaultKind.DRIP | FaultKind.HANG | FaultKind.RESET | FaultKind.CUT:
            reply.delivery, reply.seconds = fault.kind, fault.seconds


def _picture(path: str) -> _Reply:
    """A picture, by the last digit of its name: 1 is missing, 2 is an HEIC, 3 is cut off, others are good JPEGs."""
    digit = path.removesuffix(".jpg")[-1]
    if digit == "1":
        return _Reply(status=404, content_type="text/html", body=_PAGE.encode(), label="no picture")
    if digit == "2":
        heic = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(500)
        return _Reply(content_type="image/heic", body=heic, label="heic")
    picture = BytesIO()
    Image.new("RGB", (120, 160), (200, 30 * int(digit) % 256, 90)).save(picture, "JPEG")
    whole = picture.getvalue()
    if digit == "3":
        return _Reply(content_type="image/jpeg", body=whole[: len(whole) // 2], label="half a picture")
    return _Reply(content_type="image/jpeg", body=whole, label="picture")


async def _read(reader: asyncio.StreamReader) -> _Request | None:
    """The next request of a connection; None if it has ended, or if it begins with TLS."""
    begin = await reader.read(1)
    if not begin.isalpha():
        return None
    head = begin + await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return _Request(method, target, headers, body)


async def _send(writer: asyncio.StreamWriter, reply: _Reply) -> bool:
    """Send a reply as its delivery says. Returns whether the connection can be used again."""
    if reply.delivery is FaultKind.HANG:
        await asyncio.sleep(reply.seconds)
        return False
    if reply.pause:
        await asyncio.sleep(reply.pause)
    head = _head(reply)
    match reply.delivery:
        case FaultKind.COMPRESSED:
            writer.write(head)
            for start in range(0, len(reply.body), 5000):
                chunk = reply.body[start : start + 5000]
                writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            writer.write(b"0\r\n\r\n")
        case FaultKind.DRIP:
            writer.write(head)
            step = len(reply.body) // _DRIPS + 1
            for start in range(0, len(reply.body), step):
                writer.write(reply.body[start : start + step])
                await writer.drain()
                await asyncio.sleep(reply.seconds / _DRIPS)
        case FaultKind.RESET | FaultKind.CUT:
            writer.write(head + reply.body[: len(reply.body) // 2])
            await writer.drain()
            if reply.delivery is FaultKind.RESET:
                # SO_LINGER with 0 seconds makes the close a reset (RST).
                lingering = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
                writer.transport.abort()
            return False
        case _:
            writer.write(head + reply.body)
    await writer.drain()
    return True


def _head(reply: _Reply) -> bytes:
    chunked = reply.delivery is FaultKind.COMPRESSED
    length = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(reply.body)))
    headers = [("Server", "Tengine"), ("Content-Type", reply.content_type), length, *reply.headers]
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {reply.status} X\r\n{lines}\r\n".encode()
