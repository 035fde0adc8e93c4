"""The server: HTTP/1.1 by hand, as slow drips, cut answers and resets have to be made byte by byte.

What speaks the protocol is strict: a request that differs from what the site's own page sends in a point that matters
(query, form, signature over the posted bytes, age of `t`, Referer) is refused as the site refuses it. Each request is
recorded as a line of JSON before it is answered.
"""

import asyncio
import gzip
import hashlib
import json
import secrets
import socket
import struct
import time
from collections.abc import Callable, Mapping
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
from tests.crawler.goofish.faults import HALF, RETS, Fault, FaultKind, Robots, spoil
from tests.crawler.goofish.generated_market import DETAIL_API, PAGE_ROWS, SEARCH_API, Market

APP_KEY: Final = "34839810"
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
    "sessionOption": "AutoLoginOnly",
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
    manner: FaultKind | None = None
    seconds: float = 0.0
    what: str = ""
    """For the record."""


@dataclass(slots=True)
class _Stall:
    """A market with what goes wrong in it, and its pages as they were once rendered."""

    market: Market
    faults: list[Fault]
    pause: float
    hits: dict[int, int] = field(default_factory=dict)
    rendered: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def fault(self, page: int) -> Fault | None:
        """The first fault that spoils this request."""
        for number, fault in enumerate(self.faults):
            if fault.pages and page not in fault.pages:
                continue
            hits = self.hits.get(number, 0)
            if fault.times is None or hits < fault.times:
                self.hits[number] = hits + 1
                return fault
        return None

    def page(self, page: int, *, overlap: int = 0) -> bytes:
        """The answer, rendered at most once."""
        if (page, overlap) not in self.rendered:
            answer = search_answer(self.market, self.market.numbers(page, overlap=overlap))
            self.rendered[page, overlap] = orjson.dumps(answer)
        return self.rendered[page, overlap]


class StandIn:
    """The whole site, in one event loop."""

    def __init__(self, record: Path, *, token_seconds: float = 3600.0) -> None:
        self._record = record.open("a", buffering=1, encoding="utf-8")
        self._token_ms = int(token_seconds * 1000)
        self._tokens: dict[str, tuple[str, int]] = {}
        self._stalls: dict[str, _Stall] = {}
        self._goods: dict[str, tuple[_Stall, int]] = {}
        self._robots = Robots.ALLOW
        self._robots_seconds = 0.0

    async def serve(self, port: int) -> None:
        """Answer on 127.0.0.1 for ever; port 0 takes a free one. Says `listening on <port>` once it does."""
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
            pass  # the crawler was killed, or had waited long enough
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def _answer(self, request: _Request) -> _Reply:
        if request.path.startswith("/stand-in/"):
            return self._administer(request)
        note: dict[str, Any] = {
            "at": time.time(),
            "method": request.method,
            "path": request.path,
            "user_agent": request.headers.get("user-agent"),
            "cookies": sorted(request.cookies),
        }
        if request.path == "/robots.txt":
            reply = self._robots_txt()
        elif request.path.startswith("/h5/"):
            reply = self._mtop(request, note)
        elif request.path.startswith("/plain/"):
            reply = self._plain(request)
        elif request.path.startswith("/pictures/"):
            reply = _picture(request.path)
        else:
            reply = _Reply(status=404, content_type="text/html", body=_PAGE.encode(), what="nothing there")
        self._record.write(json.dumps({**note, "answer": reply.what, "status": reply.status}) + "\n")
        return reply

    # Administration

    def _administer(self, request: _Request) -> _Reply:
        match request.path.removeprefix("/stand-in/"):
            case "market":
                fields = orjson.loads(request.body)
                faults = [Fault.from_json(fault) for fault in fields.pop("faults")]
                pause = fields.pop("pause")
                revisions = {int(number): times for number, times in fields.pop("revisions").items()}
                market = Market(**fields, revisions=revisions)
                stall = self._stalls[market.keyword] = _Stall(market, faults, pause)
                for number in range(1, market.items + 1):
                    self._goods[market.item_id(number)] = (stall, number)
            case "robots":
                fields = orjson.loads(request.body)
                self._robots, self._robots_seconds = Robots(fields["robots"]), fields["seconds"]
            case "warm":
                stall = self._stalls[orjson.loads(request.body)["keyword"]]
                for page in range(1, stall.market.pages + 1):
                    stall.page(page)
            case unknown:
                raise ValueError(unknown)
        return _Reply(body=b"{}")

    # robots.txt

    def _robots_txt(self) -> _Reply:
        text = "User-agent: *\nDisallow: /playground/\n"
        reply = _Reply(content_type="text/plain", body=text.encode(), what=f"robots {self._robots.value}")
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
                reply.manner, reply.seconds = FaultKind.HANG, self._robots_seconds
            case Robots.RESET:
                reply.manner = FaultKind.RESET
            case Robots.ALLOW:
                pass
        return reply

    def _plain(self, request: _Request) -> _Reply:
        """`/plain/<keyword>/<page>`: a page as mtop answers it, without its protocol; for the bare spider."""
        keyword, page = unquote(request.path.removeprefix("/plain/")).split("/")
        return _Reply(body=self._stalls[keyword].page(int(page)), what="plain page")

    # mtop

    def _mtop(self, request: _Request, note: dict[str, Any]) -> _Reply:
        api = request.path.removeprefix("/h5/").partition("/")[0]
        note["api"] = api
        data = dict(parse_qsl(request.body.decode(), keep_blank_values=True)).get("data", "")
        if not _well_formed(request, api, data):
            note["wrong"] = True
            return _refusal(api, FaultKind.ILLEGAL_ACCESS)
        asked = orjson.loads(data)
        stall, page, number = self._asked_for(api, asked)
        note["subject"] = asked.get("keyword", asked.get("itemId"))
        note["page"] = page
        note["last"] = stall is not None and page >= stall.market.pages
        fault = stall.fault(page) if stall is not None else None
        if fault is not None and fault.kind in (FaultKind.TOKEN_EXPIRED, FaultKind.TOKEN_ILLEGAL):
            note["signed"] = "spoilt"
            illegal = fault.kind is FaultKind.TOKEN_ILLEGAL
            return self._new_token(api, "ILLEGAL::非法令牌" if illegal else "EXOIRED::令牌过期")
        if complaint := self._complaint(request):
            note["signed"] = complaint.partition("::")[0].lower()
            return self._new_token(api, complaint)
        if not _rightly_signed(request, data):
            note["signed"] = "wrong"
            return _refusal(api, FaultKind.ILLEGAL_ACCESS)
        note["signed"] = "right"
        reply = self._page(api, stall, page, number, fault)
        reply.pause = stall.pause if stall is not None else 0.0
        if fault is not None:
            _spoil_reply(reply, fault, api)
        return reply

    def _asked_for(self, api: str, asked: dict[str, Any]) -> tuple[_Stall | None, int, int]:
        """The market, the page, and the number of the item if it is its details that are asked for."""
        if api == DETAIL_API:
            stall, number = self._goods.get(asked["itemId"], (None, 0))
            return stall, 1, number
        return self._stalls.get(asked["keyword"]), asked["pageNumber"], 0

    def _complaint(self, request: _Request) -> str:
        """What is wrong with the token; empty if nothing is."""
        token, _, _ = request.cookies.get("_m_h5_tk", "").partition("_")
        if not token:
            return "EMPTY::令牌为空"
        known = self._tokens.get(token)
        if known is None or request.cookies.get("_m_h5_tk_enc") != known[0]:
            return "ILLEGAL::非法令牌"
        return "EXOIRED::令牌过期" if known[1] < _now_ms() else ""

    def _new_token(self, api: str, complaint: str) -> _Reply:
        """The refusal that carries another token."""
        token, enc, expires = secrets.token_hex(16), secrets.token_hex(16), _now_ms() + self._token_ms
        self._tokens[token] = (enc, expires)
        ret = f"FAIL_SYS_TOKEN_{complaint}"
        cookies = (f"_m_h5_tk={token}_{expires};Path=/;Max-Age=604800", f"_m_h5_tk_enc={enc};Path=/;Max-Age=604800")
        return _Reply(
            body=orjson.dumps(envelope(api, [ret], {})),
            headers=[("Set-Cookie", cookie) for cookie in cookies],
            what=ret.partition("::")[0],
        )

    def _page(self, api: str, stall: _Stall | None, page: int, number: int, fault: Fault | None) -> _Reply:
        kind = fault.kind if fault is not None else None
        if api == DETAIL_API:
            if stall is None:
                return _refusal(api, FaultKind.GONE)
            return _Reply(body=orjson.dumps(detail_answer(stall.market, stall.market.good(number))), what="details")
        if stall is None:
            return _Reply(body=orjson.dumps(search_answer(Market(keyword="", items=0), range(0))), what="nothing found")
        if fault is not None and kind is FaultKind.OVERLAP:
            return _Reply(body=stall.page(page, overlap=fault.rows), what="overlap")
        if kind is FaultKind.REPEAT:
            return _Reply(body=stall.page(1), what="repeat")
        return _Reply(body=stall.page(page), what="page")


def _now_ms() -> int:
    return int(time.time() * 1000)


def _well_formed(request: _Request, api: str, data: str) -> bool:
    """Whether the request is what the site's own page would send, the signature aside."""
    query = request.query
    if request.method != "POST" or request.headers.get("content-type") != "application/x-www-form-urlencoded":
        return False
    if request.headers.get("origin") != "https://www.goofish.com":
        return False
    if not request.headers.get("referer", "").startswith("https://www.goofish.com/"):
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
    )


def _rightly_signed(request: _Request, data: str) -> bool:
    token = request.cookies["_m_h5_tk"].partition("_")[0]
    query = request.query
    signed = hashlib.md5(f"{token}&{query['t']}&{APP_KEY}&{data}".encode(), usedforsecurity=False).hexdigest()
    return query.get("sign") == signed


def _refusal(api: str, kind: FaultKind) -> _Reply:
    data: dict[str, Any] = {}
    if kind is FaultKind.RISK:
        data = {"url": f"https://h5api.m.goofish.com:443//h5/{api}/1.0/_____tmd_____/punish?x5secdata=stand-in"}
    return _Reply(body=orjson.dumps(envelope(api, RETS[kind], data)), what=kind.value)


def _after_success(answer: dict[str, Any]) -> None:
    answer["ret"].append(RETS[FaultKind.RISK][1])


def _emptied(answer: dict[str, Any]) -> None:
    answer["data"]["resultList"] = []


def _renamed(answer: dict[str, Any]) -> None:
    answer["data"]["cardList"] = answer["data"].pop("resultList")


def _with_nulls(answer: dict[str, Any]) -> None:
    spoil(answer["data"]["resultList"])


def _with_half_emoji(answer: dict[str, Any]) -> None:
    content = answer["data"]["resultList"][0]["data"]["item"]["main"]["exContent"]
    if content["detailParams"].get("title") == content["title"]:
        content["detailParams"]["title"] += _HALF_MARK
    content["title"] += _HALF_MARK


_REWRITTEN: Final[Mapping[FaultKind, Callable[[dict[str, Any]], None]]] = {
    FaultKind.RISK_AFTER_SUCCESS: _after_success,
    FaultKind.EMPTY: _emptied,
    FaultKind.SCHEMA: _renamed,
    FaultKind.NULLS: _with_nulls,
    FaultKind.HALF_EMOJI: _with_half_emoji,
}
"""Faults that change what a good answer says."""


def _spoil_reply(reply: _Reply, fault: Fault, api: str) -> None:
    """Make of a good answer what `fault` says; OVERLAP and REPEAT have chosen another page already."""
    reply.what = fault.kind.value
    if fault.kind in RETS:
        reply.body = _refusal(api, fault.kind).body
    elif fault.kind in _REWRITTEN:
        answer = orjson.loads(reply.body)
        _REWRITTEN[fault.kind](answer)
        reply.body = orjson.dumps(answer).replace(_HALF_MARK.encode(), HALF)
    else:
        _spoil_transfer(reply, fault)


def _spoil_transfer(reply: _Reply, fault: Fault) -> None:
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
            reply.manner = fault.kind
        case FaultKind.DRIP | FaultKind.HANG | FaultKind.RESET | FaultKind.CUT:
            reply.manner, reply.seconds = fault.kind, fault.seconds


def _picture(path: str) -> _Reply:
    """A picture by the name's last digit: 1 is missing, 2 is an HEIC, 3 is cut short, others are good JPEGs."""
    digit = path.removesuffix(".jpg")[-1]
    if digit == "1":
        return _Reply(status=404, content_type="text/html", body=_PAGE.encode(), what="no picture")
    if digit == "2":
        heic = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(500)
        return _Reply(content_type="image/heic", body=heic, what="heic")
    picture = BytesIO()
    Image.new("RGB", (120, 160), (200, 30 * int(digit) % 256, 90)).save(picture, "JPEG")
    whole = picture.getvalue()
    if digit == "3":
        return _Reply(content_type="image/jpeg", body=whole[: len(whole) // 2], what="half a picture")
    return _Reply(content_type="image/jpeg", body=whole, what="picture")


async def _read(reader: asyncio.StreamReader) -> _Request | None:
    """The next request of a connection; None where it ended, or where it is TLS."""
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
    """Send it as it is to be sent; whether the connection may be used again."""
    if reply.manner is FaultKind.HANG:
        await asyncio.sleep(reply.seconds)
        return False
    if reply.pause:
        await asyncio.sleep(reply.pause)
    head = _head(reply)
    match reply.manner:
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
            if reply.manner is FaultKind.RESET:
                # A close that lingers for no time at all is an RST.
                lingering = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
                writer.transport.abort()
            return False
        case _:
            writer.write(head + reply.body)
    await writer.drain()
    return True


def _head(reply: _Reply) -> bytes:
    chunked = reply.manner is FaultKind.COMPRESSED
    length = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(reply.body)))
    headers = [("Server", "Tengine"), ("Content-Type", reply.content_type), length, *reply.headers]
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {reply.status} X\r\n{lines}\r\n".encode()
