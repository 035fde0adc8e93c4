"""What an operator saved from their own browser: answers as JSON or JSONP, lists of answers, HAR archives.

A HAR (HTTP Archive 1.2, as the developer tools of browsers write it) also holds the operator's cookies and headers.
Only addresses, the posted `data`, times and the bodies of answers are looked at.
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qs, urlsplit

import orjson

from .mtop import DETAIL_API, SEARCH_API, Answer, NotJson, Verdict, answer_in, judge, read_answer

APIS: Final = frozenset({SEARCH_API, DETAIL_API})
_NO_DATA: Final = "the site did not answer with data: {}"
_WANTS_TOKEN: Final = _NO_DATA.format(Verdict.TOKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """One answer in a file, or what is in the way of reading it."""

    place: str = ""
    """Its path in the file; "" where the file is the answer."""
    answer: Answer | None = None
    problem: str = ""
    """Why there is no answer; "" where there is one."""
    api: str = ""
    """`SEARCH_API` or `DETAIL_API`; "" where there is no answer."""
    fetched_at: datetime | None = None
    """What an archive tells beside the answer, as the next two."""
    keyword: str | None = None
    item_id: str | None = None
    """The item that a detail was asked for."""


def saved_answers(body: bytes) -> list[Saved]:
    """The answers of search and item detail in a file, in its order; never empty.

    Other requests in an archive are passed over, and so are answers that only wanted a new token: the browser asked
    again.
    """
    try:
        whole = read_answer(body)
    except NotJson as error:
        return [Saved(problem=str(error))]
    match whole.value:
        case {"log": {"entries": list(entries)}}:
            found = list(_of_archive(entries))
            return found or [Saved(problem="an archive without answers of the search or the item detail")]
        case []:
            return [Saved(problem="an empty list")]
        case list(values):
            return [_judged(answer_in(value), Saved(place=f"[{number}]")) for number, value in enumerate(values)]
        case _:
            return [_judged(whole, Saved())]


def _read(body: bytes, saved: Saved) -> Saved:
    """`saved` with the answer in `body`, or what is wrong with it."""
    try:
        return _judged(read_answer(body), saved)
    except NotJson as error:
        return replace(saved, api="", problem=str(error))


def _judged(answer: Answer, saved: Saved) -> Saved:
    """`saved` with the answer, if it is a usable one of an API that we read. One that was saved without `ret` is."""
    verdict = judge(answer) if answer.ret else Verdict.OK
    if verdict not in (Verdict.OK, Verdict.GONE):
        return replace(saved, api="", problem=_NO_DATA.format(verdict))
    api = saved.api or _api_of(answer)
    if api not in APIS:
        return replace(saved, api="", problem="neither an answer of the search nor of the item detail")
    return replace(saved, answer=answer, api=api)


def _api_of(answer: Answer) -> str:
    match answer.value:
        case {"api": str(api)}:
            return api
        case {"data": {"resultList": _}}:
            return SEARCH_API
        case {"data": {"itemDO": _}}:
            return DETAIL_API
        case _:
            return ""


def _of_archive(entries: list[object]) -> Iterator[Saved]:
    for number, entry in enumerate(entries):
        match entry:
            case {"request": {"method": str(method), "url": str(url)} as request, "response": dict(response), **rest}:
                api = next((part for part in _path(url) if part in APIS), "")
            case _:
                continue
        if not api or method == "OPTIONS":
            continue
        data = _posted(request, url)
        saved = Saved(
            place=f"log.entries[{number}]",
            api=api,
            fetched_at=_moment(rest.get("startedDateTime")),
            keyword=_text(data.get("keyword")),
            item_id=_text(data.get("itemId")),
        )
        body = _content(response)
        if body is None:
            yield replace(saved, api="", problem="the archive does not hold the answer's content")
            continue
        found = _read(body, saved)
        if found.problem != _WANTS_TOKEN:
            yield found


def _path(url: str) -> list[str]:
    try:
        return urlsplit(url).path.split("/")
    except ValueError:  # no host's name
        return []


def _content(response: dict[str, object]) -> bytes | None:
    """The body of an answer: a text, or base64 where the browser took it for none."""
    match response.get("content"):
        case {"text": str(text), "encoding": "base64"}:
            try:
                return base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                return None
        case {"text": str(text)}:
            return text.encode("utf-8", "replace")
        case _:
            return None


def _posted(request: dict[str, object], url: str) -> dict[str, object]:
    """What was asked: the JSON in the form's `data`, or in the address's where it was no POST."""
    texts: list[str] = []
    match request.get("postData"):
        case {"text": str(text)} if text:
            texts = parse_qs(text).get("data", [])
        case {"params": list(params)}:
            values = [p["value"] for p in params if isinstance(p, dict) and p.get("name") == "data" and "value" in p]
            # Some browsers write the value as it was sent.
            texts = [
                text
                for value in values
                if isinstance(value, str)
                for text in (value, *parse_qs(f"data={value}").get("data", []))
            ]
        case _:
            texts = parse_qs(urlsplit(url).query).get("data", [])
    for text in texts:
        try:
            data = orjson.loads(text)
        except orjson.JSONDecodeError:
            continue
        if isinstance(data, dict):
            return data
    return {}


def _text(value: object) -> str | None:
    return (value.strip() or None) if isinstance(value, str) else None


def _moment(value: object) -> datetime | None:
    """ISO 8601 with a zone, as the format demands; None for anything else."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
    except (ValueError, OverflowError):  # OverflowError: before the year 1 in UTC
        return None
