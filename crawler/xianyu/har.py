"""Finds the site's answers in what an operator saved from their own browser, or got out of a proxy or another program.

That may be an answer, a list of answers, a HAR archive, the rows of an answer alone, or any of these inside what a
program wrapped around it (`{"url": …, "response": …}`, what a debugger of a browser returns); see also
`xianyu.saved_files`.

A HAR (HTTP Archive 1.2, which the developer tools of browsers write) also holds the operator's cookies and headers.
Only URLs, the posted `data`, times and the bodies of answers are read.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qs, unquote_to_bytes, urlsplit

import orjson

from .mtop import (
    DETAIL_API,
    SEARCH_API,
    SHAPE_BY_API,
    SHOP_API,
    Answer,
    NotJson,
    Verdict,
    answer_from_json,
    judge,
    read_answer,
    ret_codes,
)
from .saved_files import Document, TooLargeError, documents, inflated, unpacked
from .values import as_node, rows

_NEITHER: Final = "neither an answer of the search nor of the item detail"
_NO_CONTENT: Final = "the archive does not hold the answer's content"
_ABORTED: Final = (0, -1, None)
"""Statuses of a request without an answer."""
_USABLE: Final = frozenset({Verdict.OK, Verdict.GONE, Verdict.NO_MORE})


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedAnswer:
    """One answer in a file, or the reason why it cannot be used."""

    place: str = ""
    """Where it stands in the file, such as `log.entries[3]`; "" if the file is the answer."""
    answer: Answer | None = None
    problem: str = ""
    """Why there is no answer; "" if there is one."""
    api: str = ""
    """One of `mtop.SHAPE_BY_API`; "" if there is no answer."""
    fetched_at: datetime | None = None
    """When the browser sent the request. This and what follows are known only if the request was saved too."""
    keyword: str | None = None
    item_id: str | None = None
    """The item whose details were requested."""
    is_narrowed: bool = False
    """Whether the search was for less than its keyword says: within prices, near a place."""


@dataclass(frozen=True, slots=True)
class _Passed:
    """Something that is no answer to be read, and no problem: another API's, or one that only asked for a new token."""

    said: str


def saved_answers(body: bytes) -> list[SavedAnswer]:
    """The answers that `xianyu.parsing` can read in a file, in the file's order; never empty.

    What else an archive, a list or a file with many lines holds is passed over, and so are requests that were aborted,
    and answers that only asked for a new token: after those the browser repeated its request.
    """
    found = _joined_rows(documents(body))
    if len(found) == 1:
        document = found[0]
        if document.problem:
            return [SavedAnswer(place=document.place, problem=document.problem)]
        return _some(list(_found_in(document.value, SavedAnswer(place=document.place))))
    answers: list[SavedAnswer | _Passed] = []
    for document in found:
        place = SavedAnswer(place=document.place, problem=document.problem)
        if document.problem:
            answers.append(place)
        else:
            answers += _found_in(document.value, place, depth=1)
    return _some(answers)


def _some(found: Sequence[SavedAnswer | _Passed]) -> list[SavedAnswer]:
    """What is not passed over; if that is nothing, why."""
    answers = [each for each in found if isinstance(each, SavedAnswer)]
    said = [each.said for each in found if isinstance(each, _Passed)]
    return answers or [SavedAnswer(problem=said[0] if len(said) == 1 else _NOTHING_IN_IT)]


_NOTHING_IN_IT: Final = "an archive without answers of the search or the item detail"


def _joined_rows(found: list[Document]) -> list[Document]:
    """The documents; if each is a row of an answer, as in a file with a row on each line, they are one list."""
    if len(found) > 1 and all(not each.problem and _is_row(each.value) for each in found):
        return [Document(value=[each.value for each in found])]
    return found


def _found_in(value: object, saved: SavedAnswer, depth: int = 0) -> Iterator[SavedAnswer | _Passed]:
    """The answers in a JSON value. `saved` tells where it stands, and what is known of the request."""
    match value:
        case dict() if (entries := _entries_of(value)) is not None:
            found = _archived_answers(entries, saved.place)
            yield from found
            if not found:
                yield _Passed(_NOTHING_IN_IT)
        case {"request": dict(), "response": {"content": dict()}}:
            archived = _archived_answer(value, saved)
            yield _Passed(_NOTHING_IN_IT) if archived is None else archived[1]
        case []:
            yield replace(saved, problem="an empty list")
        case list(values) if any(map(_is_row, values)):
            yield _with_answer(saved, _answer_of_rows(values))
        case list(values) if depth < 2:
            for number, each in enumerate(values):
                inner = replace(saved, place=f"{saved.place}[{number}]")
                if isinstance(each, list) and not any(isinstance(one, dict) for one in each):
                    yield replace(inner, problem=_NEITHER)
                else:
                    yield from _found_in(each, inner, depth + 1)
        case dict():
            yield from _in_object(value, saved, depth)
        case _:
            yield replace(saved, problem=_NEITHER)


def _entries_of(value: dict[str, object]) -> list[object] | None:
    """The entries of an archive, which may be wrapped, or its `log` alone; None if this is no archive."""
    match value:
        case {"log": {"entries": list(entries)}} | {"har": {"log": {"entries": list(entries)}}}:
            return entries
        case {"entries": list(entries)} if "request" in as_node(next(iter(entries), None)):
            return entries
        case _:
            return None


# Answers, and what programs wrap around them


def _in_object(value: dict[str, object], saved: SavedAnswer, depth: int) -> Sequence[SavedAnswer | _Passed]:
    if not _is_bare(value) and _is_answer(value):
        answer = answer_from_json(value)
        return [(_passed(answer) if depth else None) or _with_answer(saved, answer)]
    found = _unwrapped(value, saved, ())
    return found or [_Passed(_NEITHER) if _is_event(value) else replace(saved, problem=_NEITHER)]


def _is_bare(value: dict[str, object]) -> bool:
    """Whether an object is no more than the `data` of an answer, or one row of it."""
    return any(key in value for key in _BARE) or _is_row(value)


def _is_answer(value: dict[str, object]) -> bool:
    """Whether an object is an answer, and not something that has one in it."""
    if value.get("ret"):
        return True
    inner = value.get("data")
    return isinstance(inner, dict) and "ret" not in inner and _api_of(answer_from_json(value)) != ""


def _passed(answer: Answer) -> _Passed | None:
    """What is to be passed over where there are other answers."""
    if answer.ret and judge(answer) is Verdict.TOKEN:
        return _Passed(_no_data(answer))
    api = _api_of(answer)
    return _Passed(_NEITHER) if api and api not in SHAPE_BY_API and not _api_of_rows(answer) else None


_BARE: Final = ("resultList", "cardList", "itemDO")
"""What stands in the `data` of an answer, where a program has saved no more than that."""
_WRAPPERS: Final = (
    *("response", "responseBody", "response_body", "responseText", "response_text"),
    *("resp", "result", "body", "payload", "data", "answer", "json"),
    *("params", "content", "text", "value", "responses", "answers", "pages", "captures", "records", "results", "list"),
)
"""Keys under which programs keep an answer, several of them, or something that has them under another of these keys."""
_REQUESTS: Final = (
    *("request", "requestBody", "request_body", "postData", "post_data", "requestData", "request_data", "req"),
    *("requestPostData", "formData"),
)
"""Keys under which programs keep what was posted."""
_MOMENTS: Final = ("startedDateTime", "fetched_at", "captured_at", "capturedAt", "timestamp", "time", "ts")
_DEEPEST: Final = 5


def _unwrapped(
    value: object, saved: SavedAnswer, around: tuple[dict[str, object], ...]
) -> Sequence[SavedAnswer | _Passed]:
    """The answers that are wrapped in a value. The objects `around` it may tell of the request. Empty if there is none.

    Of the keys of one object only the first one that leads to answers counts: the others have the same in other forms.
    """
    if isinstance(value, list):
        if any(map(_is_row, value)):
            return [_with_answer(_with_request(saved, around), _answer_of_rows(value))]
        return [found for each in value if isinstance(each, dict) for found in _unwrapped(each, saved, around)]
    if not isinstance(value, dict) or len(around) > _DEEPEST:
        return ()
    if _is_row(value):
        return [_with_answer(_with_request(saved, around), _answer_of_rows([value]))]
    if _is_bare(value):
        return [_with_answer(_with_request(saved, (*around, value)), answer_from_json({"data": value}))]
    if around and _is_answer(value):
        answer = answer_from_json(value)
        return [_passed(answer) or _with_answer(_with_request(saved, around), answer)]
    passed: list[_Passed] = []
    for key in _WRAPPERS:
        found = _unwrapped(_inner(value[key], value), saved, (*around, value)) if key in value else ()
        if any(isinstance(each, SavedAnswer) for each in found):
            return found
        passed += [each for each in found if isinstance(each, _Passed)]
    return passed[:1]


def _is_event(value: dict[str, object]) -> bool:
    """Whether this is an event of a browser's debugger, which tells of a request, a cookie or something else."""
    method = value.get("method")
    return isinstance(method, str) and re.fullmatch(r"[A-Z][A-Za-z]+\.[a-z][A-Za-z]+", method) is not None


def _inner(value: object, around: dict[str, object]) -> object:
    """A wrapped value; if it is a text, the JSON in it."""
    if not isinstance(value, str):
        return value
    body = _body_of(value, is_base64=_is_base64(around))
    try:
        return None if body is None else read_answer(body).value
    except NotJson:
        return None


def _is_base64(around: Mapping[str, object]) -> bool:
    encoding = around.get("encoding")
    return around.get("base64Encoded") is True or (isinstance(encoding, str) and "base64" in encoding.lower())


def _with_request(saved: SavedAnswer, wrapped: Sequence[dict[str, object]]) -> SavedAnswer:
    """`saved` with what the objects around an answer tell of its request."""
    data: dict[str, object] = {}
    fetched_at: datetime | None = None
    keyword: str | None = None
    for around in wrapped:
        url = around.get("url") or around.get("requestUrl") or around.get("request_url")
        for key in _REQUESTS:
            posted = around.get(key)
            request = posted if isinstance(posted, dict) and key in ("request", "req") else {"postData": posted}
            data = data or (_posted_data(request, "") if posted else {})
        data = data or (_posted_data({}, url) if isinstance(url, str) else {})
        fetched_at = fetched_at or next(filter(None, (_moment(around.get(key)) for key in _MOMENTS)), None)
        keyword = keyword or _text(around.get("keyword"))
    found = _with_data(replace(saved, fetched_at=fetched_at), data)
    return replace(found, keyword=found.keyword or keyword)


def _with_data(saved: SavedAnswer, data: dict[str, object]) -> SavedAnswer:
    return replace(
        saved, keyword=_text(data.get("keyword")), item_id=_text(data.get("itemId")), is_narrowed=_is_narrowed(data)
    )


def _with_body(saved: SavedAnswer, body: bytes) -> SavedAnswer | _Passed:
    """`saved` with the answer in `body`, or with the problem of that."""
    try:
        answer = read_answer(body)
    except NotJson as error:
        return replace(saved, api="", problem=str(error))
    if answer.ret and judge(answer) is Verdict.TOKEN:
        return _Passed(_no_data(answer))
    return _with_answer(saved, answer)


def _with_answer(saved: SavedAnswer, answer: Answer) -> SavedAnswer:
    """`saved` with the answer, or with the reason why it cannot be used. An answer saved without `ret` counts as OK."""
    if answer.ret and judge(answer) not in _USABLE:
        return replace(saved, api="", problem=_no_data(answer))
    api = saved.api or _api_of(answer)
    if api not in SHAPE_BY_API:
        api = _api_of_rows(answer)
    if not api:
        return replace(saved, api="", problem=_NEITHER)
    return replace(saved, answer=answer, api=api)


def _no_data(answer: Answer) -> str:
    return f"the site did not answer with data: {judge(answer)} ({ret_codes(answer)})"


def _api_of(answer: Answer) -> str:
    match answer.value:
        case {"api": str(api)}:
            return api
        case {"data": {"resultList": _}}:
            return SEARCH_API
        case {"data": {"itemDO": _}}:
            return DETAIL_API
        case {"data": {"cardList": _}}:
            return SHOP_API
        case _:
            return ""


def _api_of_rows(answer: Answer) -> str:
    """The API whose answers have the same form, if an answer of another one has rows that we know; "" if not.

    An item that is gone has no rows, but only details tell that.
    """
    if judge(answer) is Verdict.GONE:
        return DETAIL_API
    data = as_node(answer.data)
    if any(map(_is_row, rows(data.get("resultList")))):
        return SEARCH_API
    return SHOP_API if any(map(_is_row, rows(data.get("cardList")))) else ""


def _is_row(value: object) -> bool:
    """Whether this is a row of an answer: of a search, or a card."""
    match value:
        case {"ret": _} | {"api": _}:
            return False
        case {"data": {"item": dict()}} | {"item": {"main": dict()}} | {"main": {"exContent": dict()}}:
            return True
        case {"exContent": dict()} | {"cardData": dict()}:
            return True
        case _:
            return False


def _answer_of_rows(values: list[object]) -> Answer:
    is_cards = any("cardData" in as_node(value) for value in values)
    return answer_from_json({"data": {"cardList" if is_cards else "resultList": values, "resultInfo": {}}})


# HAR archives


_Request = tuple[str, bytes]
"""The API and the data of a request: two entries with the same ones are for the same page."""
_NOTHING_POSTED: Final = b"{}"
"""The data of a request of which the archive does not tell what it asked for."""


def _archived_answers(entries: list[object], place: str) -> list[SavedAnswer]:
    """The answers in an archive. An entry without the content that one for the same request has is left out.

    So is one whose content cannot be used, if it is known what was asked: the browser has asked again, and got it.
    """
    found: list[tuple[_Request, SavedAnswer]] = []
    for number, entry in enumerate(entries):
        archived = _archived_answer(entry, SavedAnswer(place=f"{place} log.entries[{number}]".lstrip()))
        found += [] if archived is None else [archived]
    complete = {request for request, saved in found if saved.answer is not None}
    return [
        saved
        for request, saved in found
        if not saved.problem
        or request not in complete
        or (saved.problem != _NO_CONTENT and request[1] == _NOTHING_POSTED)
    ]


def _archived_answer(entry: object, saved: SavedAnswer) -> tuple[_Request, SavedAnswer] | None:
    """The answer in an entry of an archive, and what it is of.

    None if it is another API's, was aborted, or only asked for a token.
    """
    match entry:
        case {"request": {"method": str(method), "url": str(url)} as asked, "response": dict(response), **rest}:
            api = next((part for part in _path(url) if part in SHAPE_BY_API), "")
        case _:
            return None
    if not api or method == "OPTIONS":
        return None
    data = _posted_data(asked, url)
    request = (api, orjson.dumps(data, option=orjson.OPT_SORT_KEYS))
    saved = _with_data(replace(saved, api=api, fetched_at=_moment(rest.get("startedDateTime"))), data)
    content = as_node(response.get("content"))
    text = content.get("text")
    if not text and "status" in response and response["status"] in _ABORTED:
        return None  # there was no answer, and if it was wanted the browser asked again
    found = _content_of(saved, response, content)
    is_aborted = bool(response.get("_error"))  # so Chrome marks it, with as much of the answer as there was
    return (request, found) if isinstance(found, SavedAnswer) and not (is_aborted and found.problem) else None


def _content_of(
    saved: SavedAnswer, response: Mapping[str, object], content: Mapping[str, object]
) -> SavedAnswer | _Passed:
    """`saved` with the answer in an entry's content, or with the problem of that."""
    text = content.get("text")
    body = _body_of(text, is_base64=_is_base64(content)) if isinstance(text, str) and text else None
    if body is None:
        return replace(saved, api="", problem=_NO_CONTENT)
    if packed := _packed_with(response, body):
        return replace(saved, api="", problem=f"the answer's content is still packed with {packed}")
    return _with_body(saved, body)


def _path(url: str) -> list[str]:
    try:
        return urlsplit(url).path.split("/")
    except ValueError:  # not a valid host
        return []


_BEGINNINGS_IN_BASE64: Final = ("H4sI", "eyJ", "ewog")
"""How base64 begins of what is packed with gzip, and of a JSON object. No answer begins so."""


def _body_of(text: str, *, is_base64: bool) -> bytes | None:
    """The body of an answer, unpacked; None if it is damaged.

    Browsers write it as text, or as base64 if they took it for binary, and proxies as it was sent. Some programs write
    a text and say that it is base64, some do not say so of what is.
    """
    if text.startswith(_BEGINNINGS_IN_BASE64) or (is_base64 and text.lstrip()[:1] not in ("{", "[")):
        plain = re.sub(r"\s+", "", text).rstrip("=")
        plain += "=" * (-len(plain) % 4)
        try:
            body = base64.b64decode(plain, altchars=b"-_" if re.search("[-_]", plain) else None, validate=True)
        except (binascii.Error, ValueError):
            return None
    elif text.startswith("\x1f\x8b"):  # bytes, each as the character with its number
        body = text.encode("latin-1", "replace")
    else:
        return text.encode("utf-8", "replace")
    try:
        return inflated(unpacked(body))
    except (OSError, EOFError, zlib.error, TooLargeError):
        return None


def _packed_with(response: Mapping[str, object], body: bytes) -> str:
    """What a body is packed with that we cannot unpack (br, zstd); "" for a text."""
    headers = response.get("headers")
    names = {
        str(header.get("value")).strip().lower()
        for header in (headers if isinstance(headers, list) else [])
        if isinstance(header, dict) and str(header.get("name")).lower() == "content-encoding"
    }
    if not names & {"br", "zstd"}:
        return ""
    return "" if body.lstrip()[:1] in (b"{", b"[", b"<") or body.isascii() else sorted(names)[0]


# What was asked


_PART: Final = re.compile(
    r'name="?data"?[^\r\n]*\r?\n(?:[^\r\n]+\r?\n){0,10}+\r?\n(?P<value>.*?)\r?\n--', re.DOTALL | re.IGNORECASE
)
"""The field `data` in a body of the type multipart/form-data."""


def _posted_data(request: Mapping[str, object], url: str) -> dict[str, object]:
    """The JSON object in `data`: a field of the posted form, or else a parameter of the URL. {} if there is none."""
    for text in _data_texts(request, url):
        try:
            data = orjson.loads(text)
        except orjson.JSONDecodeError:
            continue
        if isinstance(data, dict):
            return data
    return {}


def _data_texts(request: Mapping[str, object], url: str) -> Iterator[str]:
    posted = request.get("postData") or request.get("body") or request.get("data")
    text = posted if isinstance(posted, str) else as_node(posted).get("text")
    if isinstance(text, str) and text:
        if _is_base64(as_node(posted)):
            body = _body_of(text, is_base64=True)
            text = "" if body is None else body.decode("utf-8", "replace")
        yield from (part["value"] for part in _PART.finditer(text))
        yield from parse_qs(text).get("data", [])
        if text.lstrip().startswith("{"):
            yield from _in_json(text)
    elif isinstance(posted, dict):
        data = posted.get("data")
        yield from [data] if isinstance(data, str) else []
        if "keyword" in posted or "itemId" in posted:
            yield orjson.dumps(posted, default=str).decode()
    yield from _values_named_data(as_node(posted).get("params"))
    yield from _values_named_data(request.get("queryString"))
    try:
        yield from parse_qs(urlsplit(url or str(request.get("url") or "")).query).get("data", [])
    except ValueError:  # not a valid host
        return


def _in_json(text: str) -> Iterator[str]:
    """What a posted JSON object has under `data`, or the object itself."""
    try:
        posted = orjson.loads(text)
    except orjson.JSONDecodeError:
        return
    data = as_node(posted).get("data")
    yield data if isinstance(data, str) else orjson.dumps(data if isinstance(data, dict) else posted).decode()


def _values_named_data(fields: object) -> Iterator[str]:
    """The values of `data` in a list of fields. Some browsers write a value percent-encoded, as it was sent."""
    for field in fields if isinstance(fields, list) else []:
        value = as_node(field).get("value")
        if as_node(field).get("name") == "data" and isinstance(value, str):
            yield value
            yield from parse_qs(f"data={value}").get("data", [])
            yield unquote_to_bytes(value).decode("utf-8", "replace")


def _is_narrowed(data: Mapping[str, object]) -> bool:
    """Whether what was posted asks for less than its keyword: prices, days, places, only what is checked or free."""
    filters, extra = data.get("propValueStr"), data.get("extraFilterValue")
    if isinstance(filters, str):
        filters = _object_in(filters)
    extra = _object_in(extra) if isinstance(extra, str) else extra
    chosen = as_node(filters).get("searchFilter")
    return bool(
        (isinstance(chosen, str) and chosen.strip(" ;"))
        or as_node(extra).get("divisionList")
        or data.get("customDistance")
    )


def _object_in(text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _text(value: object) -> str | None:
    return (value.strip() or None) if isinstance(value, str) else None


def _moment(value: object) -> datetime | None:
    """A time in ISO 8601 with an offset, as the format requires, or as seconds or milliseconds since 1970, in UTC."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value / 1000 if value > _LAST_SECOND else value
            return datetime.fromtimestamp(seconds, UTC) if _FIRST_SECOND < seconds < _LAST_SECOND else None
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
    except (ValueError, OverflowError):  # OverflowError: before the year 1 in UTC, or a number without end
        return None


_FIRST_SECOND: Final = 1_000_000_000
_LAST_SECOND: Final = 4_102_444_800
"""2001-09-09 and 2100: anything else is no moment of a request."""
