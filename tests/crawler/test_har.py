"""What operators save from their browsers: single answers, lists, archives, and damaged files."""

import base64
import json
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xianyu.har import SavedAnswer, saved_answers
from xianyu.mtop import DETAIL_API, SEARCH_API

from tests.live import PROJECT

SAMPLES: Final = PROJECT / "crawler" / "samples"
SUCCESS: Final = "SUCCESS::调用成功"
SEARCH: Final[dict[str, Any]] = {"api": SEARCH_API, "ret": [SUCCESS], "data": {"resultList": []}}
DETAIL: Final[dict[str, Any]] = {"api": DETAIL_API, "ret": [SUCCESS], "data": {"itemDO": {}}}


def entry(answer: Any = SEARCH, *, api: str = SEARCH_API, **changes: Any) -> dict[str, Any]:
    """An entry of `log.entries` with no more than it needs."""
    request = {
        "method": "POST",
        "url": f"https://h5api.m.goofish.com/h5/{api}/1.0/?jsv=2.7.2",
        "postData": {"text": f"data={quote(json.dumps({'keyword': '相机', 'pageNumber': 1}))}"},
    }
    request.update(changes.pop("request", {}))
    return {
        "startedDateTime": "2026-09-21T19:02:12.900+08:00",
        "request": request,
        "response": {"status": 200, "content": {"text": json.dumps(answer)}},
        **changes,
    }


def archive(*entries: Any) -> bytes:
    return orjson.dumps({"log": {"version": "1.2", "entries": entries}})


def found_in(body: bytes) -> list[tuple[str, str, str]]:
    """Place, API and problem of each answer."""
    return [(saved.place, saved.api, saved.problem) for saved in saved_answers(body)]


def test_the_sample() -> None:
    found = saved_answers((SAMPLES / "search.har").read_bytes())

    assert [(saved.place, saved.api, saved.problem, saved.keyword, saved.item_id) for saved in found] == [
        ("log.entries[3]", SEARCH_API, "", "相机", None),
        ("log.entries[5]", SEARCH_API, "", "相机", None),
        ("log.entries[6]", DETAIL_API, "", None, "9000000000001"),
    ]
    assert [saved.fetched_at for saved in found] == [
        datetime(2026, 9, 21, 11, 2, 12, 900_000, tzinfo=UTC),
        datetime(2026, 9, 21, 11, 2, 40, 120_000, tzinfo=UTC),
        datetime(2026, 9, 21, 11, 3, 5, tzinfo=UTC),
    ]
    assert [saved.answer is not None and saved.answer.ret for saved in found] == [(SUCCESS,)] * 3
    assert "SAMPLE-COOKIE" not in repr(found)


@pytest.mark.parametrize("wrapped", ["{}", "\ufeff{}\n", "mtopjsonp1({})", " mtopjsonp12 ( {} ) ;\n"])
@pytest.mark.parametrize(("answer", "api"), [(SEARCH, SEARCH_API), (DETAIL, DETAIL_API)])
def test_one_answer(wrapped: str, answer: dict[str, Any], api: str) -> None:
    body = wrapped.replace("{}", json.dumps(answer)).encode()

    (saved,) = saved_answers(body)

    assert (saved.api, saved.problem, saved.place) == (api, "", "")
    assert saved.answer is not None
    assert saved.answer.value == answer
    assert (saved.keyword, saved.item_id, saved.fetched_at) == (None, None, None)


@pytest.mark.parametrize("left_out", [["api"], ["ret"], ["api", "ret"]])
@pytest.mark.parametrize(("answer", "api"), [(SEARCH, SEARCH_API), (DETAIL, DETAIL_API)])
def test_the_api_is_recognised_by_the_content(left_out: list[str], answer: dict[str, Any], api: str) -> None:
    body = orjson.dumps({key: value for key, value in answer.items() if key not in left_out})

    assert found_in(body) == [("", api, "")]


def test_a_list_of_answers() -> None:
    blocked = {**SEARCH, "ret": ["FAIL_SYS_USER_VALIDATE", "RGV587_ERROR::SM::哎哟喂"]}

    assert found_in(orjson.dumps([SEARCH, DETAIL, 5, {}, blocked])) == [
        ("[0]", SEARCH_API, ""),
        ("[1]", DETAIL_API, ""),
        ("[2]", "", "neither an answer of the search nor of the item detail"),
        ("[3]", "", "neither an answer of the search nor of the item detail"),
        ("[4]", "", "the site did not answer with data: blocked"),
    ]


def test_a_deeply_nested_value_hides_no_answer() -> None:
    deep = b"[" * 1000 + b"]" * 1000

    assert found_in(b"[" + deep + b"," + orjson.dumps(SEARCH) + b"]") == [
        ("[0]", "", "neither an answer of the search nor of the item detail"),
        ("[1]", SEARCH_API, ""),
    ]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "not JSON: empty"),
        (b"<!doctype html>", "not JSON: html"),
        (b"keyword,price", "not JSON: html"),
        (b'{"ret": ["SUCC', "not JSON: damaged"),
        (b"[" * 100_000, "not JSON: damaged"),
        (b"[]", "an empty list"),
        (b"{}", "neither an answer of the search nor of the item detail"),
        (b'{"log": {"entries": []}}', "an archive without answers of the search or the item detail"),
        (b'{"log": {"entries": {}}}', "neither an answer of the search nor of the item detail"),
        (orjson.dumps({**SEARCH, "api": "mtop.other"}), "neither an answer of the search nor of the item detail"),
        (orjson.dumps({**SEARCH, "ret": ["FAIL_SYS_SESSION_EXPIRED::"]}), "the site did not answer with data: login"),
        (orjson.dumps({**SEARCH, "ret": ["FAIL_SYS_TOKEN_EMPTY::"]}), "the site did not answer with data: token"),
    ],
)
def test_problems_that_are_reported(body: bytes, problem: str) -> None:
    assert saved_answers(body) == [SavedAnswer(problem=problem)]


def test_a_deleted_item_is_an_answer() -> None:
    gone = {"api": DETAIL_API, "ret": ["FAIL_BIZ_ITEM_DEL_NOT_FOUND::…"], "data": {}}

    assert found_in(orjson.dumps(gone)) == [("", DETAIL_API, "")]


def test_only_entries_of_the_two_apis_are_read() -> None:
    token = {"ret": ["FAIL_SYS_TOKEN_EXOIRED::令牌过期"], "data": {}}
    passed_over = [
        *(None, 5, {}, {"request": {}}, {"request": {"method": "GET", "url": "https://[broken"}, "response": {}}),
        entry(api=f"{SEARCH_API}.shade"),
        entry(request={"url": f"https://www.goofish.com/?api={SEARCH_API}"}),
        entry(request={"method": "OPTIONS"}),
        entry(token),
    ]

    assert found_in(archive(*passed_over, entry())) == [("log.entries[9]", SEARCH_API, "")]
    assert found_in(archive(*passed_over)) == [("", "", "an archive without answers of the search or the item detail")]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "the archive does not hold the answer's content"),
        ({}, "the archive does not hold the answer's content"),
        ({"text": None}, "the archive does not hold the answer's content"),
        ({"text": "é", "encoding": "base64"}, "the archive does not hold the answer's content"),
        ({"text": "AAA", "encoding": "base64"}, "the archive does not hold the answer's content"),
        ({"text": "A!A!==", "encoding": "base64"}, "the archive does not hold the answer's content"),
        ({"text": ""}, "not JSON: empty"),
        ({"text": base64.b64encode(b"<html>").decode(), "encoding": "base64"}, "not JSON: html"),
        ({"text": "{"}, "not JSON: damaged"),
        ({"text": json.dumps({"ret": ["RGV587_ERROR::SM"]})}, "the site did not answer with data: blocked"),
    ],
)
def test_a_broken_entry_does_not_hide_the_others(content: Any, problem: str) -> None:
    broken = entry(response={"content": content})

    found = found_in(archive(broken, entry(DETAIL, api=DETAIL_API)))

    assert [(place, said) for place, _, said in found] == [("log.entries[0]", problem), ("log.entries[1]", "")]
    assert found[1][1] == DETAIL_API


def test_base64_is_read() -> None:
    content = {"text": base64.b64encode(orjson.dumps(SEARCH)).decode(), "encoding": "base64"}

    (saved,) = saved_answers(archive(entry(response={"content": content})))

    assert saved.answer is not None
    assert saved.answer.value == SEARCH


POSTED: Final = '{"keyword":"相机 +50%"}'


@pytest.mark.parametrize(
    ("request_", "keyword"),
    [
        ({"postData": {"text": f"data={quote(POSTED)}"}}, "相机 +50%"),
        ({"postData": {"text": f"a=b&data={quote(POSTED)}&c=d"}}, "相机 +50%"),
        ({"postData": {"params": [{"name": "data", "value": POSTED}]}}, "相机 +50%"),
        ({"postData": {"params": [None, {}, {"name": "data", "value": quote(POSTED)}]}}, "相机 +50%"),
        ({"postData": {"text": "", "params": [{"name": "data", "value": POSTED}]}}, "相机 +50%"),
        ({"postData": None, "url": f"https://h/h5/{SEARCH_API}/1.0/2.0/?data={quote(POSTED)}"}, "相机 +50%"),
        ({"postData": {"text": 'data={"keyword":"  "}'}}, None),
        ({"postData": {"text": 'data={"keyword":5}'}}, None),
        ({"postData": {"text": "data=[5]"}}, None),
        ({"postData": {"text": "data={"}}, None),
        ({"postData": {"text": "data="}}, None),
        ({"postData": {"params": [{"name": "data", "value": ""}, {"name": "data", "value": 5}]}}, None),
        ({"postData": {}}, None),
        ({"postData": None}, None),
    ],
)
def test_the_keyword_is_what_was_posted(request_: dict[str, Any], keyword: str | None) -> None:
    (saved,) = saved_answers(archive(entry(request=request_)))

    assert (saved.keyword, saved.problem) == (keyword, "")


@pytest.mark.parametrize(
    "moment",
    [None, 5, "", "yesterday", "2026-09-21T19:02:12", "2026-13-21T19:02:12Z", "0001-01-01T00:00:00+14:00"],
)
def test_a_time_without_an_offset_is_none(moment: Any) -> None:
    (saved,) = saved_answers(archive(entry(startedDateTime=moment)))

    assert (saved.fetched_at, saved.problem) == (None, "")


JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["request", "response", "method", "url", "postData", "params", "text", "content", "name"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(st.lists(JSON, max_size=4), JSON, JSON)
def test_any_archive_is_read_or_has_a_problem(entries: list[Any], request: Any, response: Any) -> None:
    whole = entry()
    half = {**whole, "request": {**whole["request"], "postData": request}, "response": {"content": response}}

    found = saved_answers(archive(*entries, half, whole))

    assert found[-1].problem == ""
    assert all((saved.answer is None) == bool(saved.problem) for saved in found)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode) | JSON.map(orjson.dumps))
def test_any_file_is_read_or_has_a_problem(body: bytes) -> None:
    assert all((saved.answer is None) == bool(saved.problem) for saved in saved_answers(body))
    assert saved_answers(body)
