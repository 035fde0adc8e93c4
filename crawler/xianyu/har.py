"""Reads what an operator saved from their own browser: an answer as JSON or JSONP, a list of answers, a HAR archive.

A HAR (HTTP Archive 1.2, which the developer tools of browsers write) also holds the operator's cookies and headers.
Only URLs, the posted `data`, times and the bodies of answers are read.
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qs, urlsplit

import orjson

from .mtop import DETAIL_API, SEARCH_API, Answer, NotJson, Verdict, answer_from_json, judge, read_answer

APIS: Final = frozenset({SEARCH_API, DETAIL_API})
_NO_DATA: Final = "the site did not answer with data: {}"
_WANTS_TOKEN: Final = _NO_DATA.format(Verdict.TOKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedAnswer:
    """One answer in a file, or the reason why it cannot be used."""

    place: str = ""
    """Where it stands in the file, such as `log.entries[3]`; "" if the file is the answer."""
    answer: Answer | None = None
    problem: str = ""
    """Why there is no answer; "" if there is one."""
    api: str = ""
    """`SEARCH_API` or `DETAIL_API`; "" if there is no answer."""
    fetched_at: datetime | None = None
    """When the browser sent the request. This and the next two are known only from an archive."""
    keyword: str | None = None
    item_id: str | None = None
    """The item whose details were requested."""


def saved_answers(body: bytes) -> list[SavedAnswer]:
    """The answers of search and item detail in a file, in the file's order; never empty.

    Other entries of an archive are skipped, and so are answers that only asked for a new token: after those the browser
    repeated its request.
    """
    try:
        answer = read_answer(body)
    except NotJson as error:
        return [SavedAnswer(problem=str(error))]
    match answer.value:
        case {"log": {"entries": list(entries)}}:
            found = list(_archived_answers(entries))
            return found or [SavedAnswer(problem="an archive without answers of the search or the item detail")]
        case []:
            return [SavedAnswer(problem="an empty list")]
        case list(values):
            return [
                _with_answer(SavedAnswer(place=f"[{number}]"), answer_from_json(value))
                for number, value in enumerate(values)
            ]
        case _:
            return [_with_answer(SavedAnswer(), answer)]


def _with_body(saved: SavedAnswer, body: bytes) -> SavedAnswer:
    """`saved` with the answer in `body`, or with the problem of that."""
    try:
        return _with_answer(saved, read_answer(body))
    except NotJson as error:
        return replace(saved, api="", problem=str(error))


def _with_answer(saved: SavedAnswer, answer: Answer) -> SavedAnswer:
    """`saved` with the answer, or with the reason why it cannot be used. An answer saved without `ret` counts as OK."""
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


def _archived_answers(entries: list[object]) -> Iterator[SavedAnswer]:
    for number, entry in enumerate(entries):
        match entry:
            case {"request": {"method": str(method), "url": str(url)} as request, "response": dict(response), **rest}:
                api = next((part for part in _path(url) if part in APIS), "")
            case _:
                continue
        if not api or method == "OPTIONS":
            continue
        data = _posted_data(request, url)
        saved = SavedAnswer(
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
        found = _with_body(saved, body)
        if found.problem != _WANTS_TOKEN:
            yield found


def _path(url: str) -> list[str]:
    try:
        return urlsplit(url).path.split("/")
    except ValueError:  # not a valid host
        return []


def _content(response: dict[str, object]) -> bytes | None:
    """The body of an answer. Browsers write it as text, or as base64 if they took it for binary."""
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


def _posted_data(request: dict[str, object], url: str) -> dict[str, object]:
    """The JSON object in `data`: a field of the posted form, or else a parameter of the URL."""
    texts: list[str] = []
    match request.get("postData"):
        case {"text": str(text)} if text:
            texts = parse_qs(text).get("data", [])
        case {"params": list(params)}:
            values = [p["value"] for p in params if isinstance(p, dict) and p.get("name") == "data" and "value" in p]
            # Some browsers write the value percent-encoded, as it was sent.
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
    """A time in ISO 8601 with an offset, as the format requires, in UTC; None for anything else."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
    except (ValueError, OverflowError):  # OverflowError: before the year 1 in UTC
        return None
