"""What operators save from their browsers: single answers, lists, archives, and damaged files."""

import base64
import gzip
import json
import zipfile
import zlib
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, Final
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xianyu.har import SavedAnswer, saved_answers
from xianyu.mtop import DETAIL_API, SEARCH_API, SHAPE_BY_API, SHOP_API

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


def gzipped(body: bytes) -> bytes:
    """Packed, without the time: it may be in the name of a test, which has to be the same in every process."""
    return gzip.compress(body, mtime=0)


def zipped(files: dict[str, bytes]) -> bytes:
    """Files in a zip, of a time that is always the same."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive_:
        for name, content in files.items():
            archive_.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


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
        ("[4]", "", "the site did not answer with data: blocked (FAIL_SYS_USER_VALIDATE, RGV587_ERROR)"),
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
        (
            orjson.dumps({**SEARCH, "ret": ["FAIL_SYS_SESSION_EXPIRED::"]}),
            "the site did not answer with data: login (FAIL_SYS_SESSION_EXPIRED)",
        ),
        (
            orjson.dumps({**SEARCH, "ret": ["FAIL_SYS_TOKEN_EMPTY::"]}),
            "the site did not answer with data: token (FAIL_SYS_TOKEN_EMPTY)",
        ),
        (
            gzipped(b"{}")[:-9],
            "cannot be unpacked: Compressed file ended before the end-of-stream marker was reached",
        ),
        (b"PK\x03\x04 no zip", "cannot be unpacked: File is not a zip file"),
        (zipped({"a.png": b"1", "folder/": b""}), "a zip file without a file that could be read"),
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
        ({"text": "AAAAA", "encoding": "base64"}, "the archive does not hold the answer's content"),
        ({"text": "A!A!==", "encoding": "base64"}, "the archive does not hold the answer's content"),
        ({"text": ""}, "the archive does not hold the answer's content"),
        ({"text": " "}, "not JSON: empty"),
        ({"text": base64.b64encode(b"<html>").decode(), "encoding": "base64"}, "not JSON: html"),
        ({"text": "{"}, "not JSON: damaged"),
        (
            {"text": json.dumps({"ret": ["RGV587_ERROR::SM"]})},
            "the site did not answer with data: blocked (RGV587_ERROR)",
        ),
        (
            {"text": base64.b64encode(gzipped(b"{}")[:-9]).decode(), "encoding": "base64"},
            "the archive does not hold the answer's content",
        ),
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


def as_base64(body: bytes) -> dict[str, Any]:
    return {"text": base64.b64encode(body).decode(), "encoding": "base64"}


PLAIN: Final = orjson.dumps(SEARCH)


@pytest.mark.parametrize(
    "content",
    [
        as_base64(gzipped(PLAIN)),
        {"text": base64.encodebytes(PLAIN).decode(), "encoding": "BASE64"},  # with line ends
        {"text": base64.urlsafe_b64encode(gzipped(PLAIN)).decode(), "encoding": "base64"},
        {"text": PLAIN.decode(), "encoding": "base64"},  # which it is not
        {"text": base64.b64encode(PLAIN).decode()},  # which nothing says
        {"text": base64.b64encode(gzipped(PLAIN)).decode()},
        {"text": gzipped(PLAIN).decode("latin-1")},  # each byte a character
        as_base64(zlib.compress(PLAIN)),
        as_base64(zlib.compress(PLAIN)[2:-4]),  # deflate without its header, as some servers send it
        {"text": base64.b64encode(PLAIN + b" ").decode().rstrip("="), "encoding": "base64"},
        {"text": base64.b64encode(PLAIN + b"  ").decode().rstrip("="), "encoding": "base64"},
        {"text": f"mtopjsonp1({PLAIN.decode()})"},
    ],
)
def test_a_body_is_read_however_the_archive_holds_it(content: dict[str, Any]) -> None:
    (saved,) = saved_answers(archive(entry(response={"status": 200, "content": content})))

    assert (saved.problem, saved.api) == ("", SEARCH_API)
    assert saved.answer is not None
    assert saved.answer.value == SEARCH


def test_a_body_that_is_packed_with_something_else_is_named() -> None:
    headers = [{"name": "Content-Encoding", "value": "br"}]
    packed = {"status": 200, "headers": headers, "content": as_base64(b"\x8b\x01\x80\xff\x03")}
    plain = {"status": 200, "headers": headers, "content": {"text": PLAIN.decode()}}  # as browsers write it

    other = {"postData": {"text": f"data={quote(json.dumps({'keyword': '手机'}))}"}}
    assert found_in(archive(entry(response=packed, request=other), entry(response=plain))) == [
        ("log.entries[0]", "", "the answer's content is still packed with br"),
        ("log.entries[1]", SEARCH_API, ""),
    ]


@pytest.mark.parametrize("status", [0, -1, None])
def test_an_aborted_request_has_no_answer(status: int | None) -> None:
    aborted = entry(response={"status": status, "content": {"size": 0, "mimeType": "x-unknown"}})

    assert found_in(archive(aborted, entry())) == [("log.entries[1]", SEARCH_API, "")]
    assert found_in(archive(aborted)) == [("", "", "an archive without answers of the search or the item detail")]


def test_what_was_aborted_in_between_is_no_damage() -> None:
    cut = {"status": 200, "content": {"text": '{"ret": ["SUCC'}, "_error": "net::ERR_ABORTED"}
    whole = {"status": 200, "content": {"text": json.dumps(SEARCH)}, "_error": "net::ERR_ABORTED"}

    assert found_in(archive(entry(response=cut), entry())) == [("log.entries[1]", SEARCH_API, "")]
    assert found_in(archive(entry(response=whole))) == [("log.entries[0]", SEARCH_API, "")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"ret": ["SUCC',
        "<html>",
        json.dumps({"api": SEARCH_API, "ret": ["FAIL_SYS_SERVICE_TIMEOUT::"], "data": {}}),
        json.dumps({"api": SEARCH_API, "ret": ["RGV587_ERROR::SM::"], "data": {}}),
    ],
)
def test_what_the_browser_asked_for_again_and_got_is_no_problem(text: str) -> None:
    refused = {"status": 200, "content": {"text": text}}
    other = {"postData": {"text": f"data={quote(json.dumps({'keyword': '相机', 'pageNumber': 2}))}"}}

    assert found_in(archive(entry(response=refused), entry())) == [("log.entries[1]", SEARCH_API, "")]
    # Another page is missing.
    places = [place for place, _, problem in found_in(archive(entry(response=refused, request=other), entry()))]
    assert places == ["log.entries[0]", "log.entries[1]"]


def test_where_nobody_knows_what_was_asked_a_refusal_stays_a_problem() -> None:
    refused = {"status": 200, "content": {"text": json.dumps({"ret": ["FAIL_SYS_SERVICE_TIMEOUT::"]})}}
    redacted: dict[str, Any] = {"postData": None}

    assert [
        problem
        for _, _, problem in found_in(archive(entry(response=refused, request=redacted), entry(request=redacted)))
    ] == [
        "the site did not answer with data: passing (FAIL_SYS_SERVICE_TIMEOUT)",
        "",
    ]


def test_of_two_entries_for_one_request_the_one_with_a_content_counts() -> None:
    without = entry(response={"status": 200, "content": {}})
    other = entry(response={"status": 200, "content": {}}, request={"postData": {"text": 'data={"keyword":"手机"}'}})

    assert found_in(archive(without, entry(), other, without)) == [
        ("log.entries[1]", SEARCH_API, ""),
        ("log.entries[2]", "", "the archive does not hold the answer's content"),
    ]


WHOLE: Final = archive(entry())


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (gzipped(WHOLE), ""),
        (gzipped(gzipped(WHOLE)), ""),
        (zipped({"a.har": WHOLE}), "a.har "),
        (
            zipped({"x/b.har.gz": gzipped(WHOLE), "__MACOSX/._b": b"x", ".DS_Store": b"y", "c.png": b"z"}),
            "b.har.gz ",
        ),
        (WHOLE.decode().encode("utf-16"), ""),
        (WHOLE.decode().encode("utf-16-le"), ""),
        (WHOLE.decode().encode("utf-16-be"), ""),
        (b"\xfe\xff" + WHOLE.decode().encode("utf-16-be"), ""),
        (WHOLE.decode().encode("utf-32"), ""),
        (WHOLE.decode().encode("gb18030"), ""),
        (b"\xef\xbb\xbf" + WHOLE, ""),
        (b"window.data = " + WHOLE + b";\n", ""),
        (b'{"har": ' + WHOLE + b"}", ""),
        (orjson.dumps(orjson.loads(WHOLE)["log"]), ""),
        (gzipped(WHOLE.decode().encode("utf-16")), ""),
    ],
)
def test_a_file_is_read_however_it_is_packed_and_written(body: bytes, place: str) -> None:
    (saved,) = saved_answers(body)

    assert (saved.place, saved.api, saved.problem, saved.keyword) == (f"{place}log.entries[0]", SEARCH_API, "", "相机")


def test_zips_in_each_other_are_read_to_a_depth() -> None:
    body = zipped({"b.zip": zipped({"a.json": PLAIN})})

    assert found_in(body) == [("b.zip a.json", SEARCH_API, "")]
    assert found_in(zipped({"c.zip": body})) == [("c.zip b.zip", "", "not JSON: html")]


def test_a_zip_of_several_files_is_read_in_its_order() -> None:
    body = zipped({"b.json": PLAIN, "a.jsonl": PLAIN + b"\n" + PLAIN, "c.json": b"{", "d.txt": b"keyword,price"})

    assert found_in(body) == [
        ("b.json", SEARCH_API, ""),
        ("a.jsonl line 1", SEARCH_API, ""),
        ("a.jsonl line 2", SEARCH_API, ""),
        ("c.json", "", "not JSON: damaged"),
        ("d.txt", "", "not JSON: html"),
    ]


def test_the_bodies_that_a_zipped_archive_keeps_in_files_of_their_own() -> None:
    attached: dict[str, Any] = {"status": 200, "content": {"mimeType": "application/json", "_file": "a1b2.json"}}
    posted = {"postData": {"mimeType": "application/x-www-form-urlencoded", "_file": "c3.txt"}}
    missing = entry(response={"status": 200, "content": {"_file": "../gone.json"}})
    har = archive(entry(response=attached, request=posted), missing)
    files = {"x/a1b2.json": PLAIN, "x/c3.txt": f"data={quote(json.dumps({'keyword': '手机'}))}".encode()}

    read = saved_answers(zipped({**files, "x/har.har": har, "x/other.json": PLAIN}))

    assert [(saved.place, saved.keyword, saved.problem) for saved in read] == [
        ("har.har log.entries[0]", "手机", ""),
        ("har.har log.entries[1]", "相机", "the archive does not hold the answer's content"),
        ("other.json", None, ""),
    ]


def test_a_file_that_would_grow_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xianyu.saved_files.MAX_UNPACKED", 2 * 1024 * 1024)
    large = bytes(2 * 1024 * 1024 + 1)

    refused = "cannot be unpacked: it holds more than 2 MiB"
    assert found_in(gzipped(large)) == [("", "", refused)]
    assert found_in(zipped({"a.json": large})) == [("", "", refused)]
    content = "the archive does not hold the answer's content"
    packed = entry(response={"status": 200, "content": as_base64(zlib.compress(large))})
    assert found_in(archive(packed)) == [("log.entries[0]", "", content)]


def test_an_encrypted_zip_is_named() -> None:
    body = bytearray(zipped({"a.json": PLAIN}))
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the bit that says so, in both headers
        body[body.index(mark) + flags] |= 1

    assert found_in(bytes(body)) == [("", "", "cannot be unpacked: it is encrypted")]


INDENTED: Final = orjson.dumps(SEARCH, option=orjson.OPT_INDENT_2)
OTHER: Final = {"api": "mtop.taobao.idlemessage.pc.loginuser.get", "ret": [SUCCESS], "data": {}}
TOKEN: Final = {"api": SEARCH_API, "ret": ["FAIL_SYS_TOKEN_EXOIRED::令牌过期"], "data": {}}


def test_lines_are_read_one_by_one_and_those_of_others_passed_over() -> None:
    lines = [SEARCH, OTHER, TOKEN, DETAIL, {"method": "Network.responseReceived", "params": {"response": {"url": "x"}}}]
    body = b"\n\n".join(map(orjson.dumps, lines)) + b'\n{"ret": ["SUCC\n5\n'

    assert found_in(body) == [
        ("line 1", SEARCH_API, ""),
        ("line 7", DETAIL_API, ""),
        ("line 10", "", "not JSON: damaged"),
        ("line 11", "", "not JSON: html"),
    ]
    assert found_in(b"\n".join(map(orjson.dumps, [OTHER, TOKEN]))) == [
        ("", "", "an archive without answers of the search or the item detail")
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"{\n" + PLAIN + b"\n" + PLAIN, [("line 1", "damaged"), ("line 2", ""), ("line 3", "")]),
        (b"# saved\n" + PLAIN + b"\n", [("line 1", "html"), ("line 2", "")]),
        (
            b"[\n" + PLAIN + b",\n" + PLAIN + b",\n{",
            [("line 1", "damaged"), ("line 2", ""), ("line 3", ""), ("line 4", "damaged")],
        ),
        (b"\x1e" + PLAIN + b"\n\x1e" + PLAIN + b"\n", [("line 1", ""), ("line 2", "")]),  # RFC 7464
        (PLAIN + PLAIN, [("value 1", ""), ("value 2", "")]),
        (INDENTED + b"\n" + INDENTED + b"\n{", [("value 1", ""), ("value 2", ""), ("value 3", "damaged")]),
        (INDENTED[:-9], [("", "damaged")]),
    ],
)
def test_a_damaged_line_does_not_hide_the_others(text: bytes, found: list[tuple[str, str]]) -> None:
    assert [(place, said.removeprefix("not JSON: ")) for place, _, said in found_in(text)] == found


def test_a_line_may_be_an_entry_of_an_archive() -> None:
    body = orjson.dumps(entry()) + b"\n" + orjson.dumps(entry(DETAIL, api=DETAIL_API))

    assert [(saved.api, saved.keyword) for saved in saved_answers(body)] == [(SEARCH_API, "相机"), (DETAIL_API, "相机")]


ROW: Final[dict[str, Any]] = {"type": "DX", "data": {"item": {"main": {"exContent": {"itemId": "1"}}}}}
CARD: Final[dict[str, Any]] = {"cardType": 1003, "cardData": {"id": "1"}}


@pytest.mark.parametrize(
    ("value", "api", "rows"),
    [
        ([ROW, ROW], SEARCH_API, [ROW, ROW]),
        ([None, ROW], SEARCH_API, [None, ROW]),
        ([[ROW, ROW]], SEARCH_API, [ROW, ROW]),
        (ROW, SEARCH_API, [ROW]),
        ([ROW["data"]["item"]["main"]], SEARCH_API, [ROW["data"]["item"]["main"]]),
        ({"resultList": [ROW]}, SEARCH_API, [ROW]),
        ({"items": 1, "resultList": [ROW], "page": 1}, SEARCH_API, [ROW]),
        ({"url": "x", "response": [ROW]}, SEARCH_API, [ROW]),
        ([CARD], SHOP_API, [CARD]),
        ({"cardList": [CARD]}, SHOP_API, [CARD]),
        ({"ret": [SUCCESS], "data": {"cardList": [CARD]}}, SHOP_API, [CARD]),
    ],
)
def test_rows_that_were_saved_without_their_answer(value: Any, api: str, rows: list[Any]) -> None:
    (saved,) = saved_answers(orjson.dumps(value))

    assert (saved.api, saved.problem) == (api, "")
    assert saved.answer is not None
    data = saved.answer.data
    assert isinstance(data, dict)
    assert (data.get("resultList") or data.get("cardList")) == rows


def test_a_program_may_keep_several_answers_together() -> None:
    body = orjson.dumps(
        {"keyword": "相机", "pages": [SEARCH, {"body": PLAIN.decode()}, OTHER, 5, {"resultList": [ROW]}]}
    )

    assert [(saved.api, saved.keyword, saved.problem) for saved in saved_answers(body)] == [
        (SEARCH_API, "相机", "")
    ] * 3
    (bare,) = saved_answers(orjson.dumps({"keyword": "相机", "resultList": [ROW]}))
    assert (bare.api, bare.keyword) == (SEARCH_API, "相机")


def test_rows_on_lines_are_one_answer() -> None:
    (saved,) = saved_answers(b"\n".join(map(orjson.dumps, [ROW, ROW, ROW])))

    assert saved.answer is not None
    assert saved.answer.value == {"data": {"resultList": [ROW] * 3, "resultInfo": {}}}


@pytest.mark.parametrize(
    ("data", "api"),
    [
        ({"resultList": [{"data": {"item": {"main": {}}}}]}, SEARCH_API),
        ({"cardList": [{"cardData": {"id": "1"}}]}, SHOP_API),
        ({"resultList": [{"cardData": 1}, 5]}, ""),
        ({"resultList": []}, ""),
        ({"itemDO": {}}, ""),
    ],
)
def test_another_api_is_read_where_its_rows_are_those_that_we_know(data: Any, api: str) -> None:
    answer = {"api": "mtop.other", "ret": [SUCCESS], "data": data}

    for body in (orjson.dumps(answer), orjson.dumps([answer, DETAIL])):
        (saved, *_) = saved_answers(body)
        assert saved.api == (api or ("" if body.startswith(b"{") else DETAIL_API))
    # In an archive there is too much that looks alike.
    assert found_in(archive(entry(answer, api="mtop.other"), entry())) == [("log.entries[1]", SEARCH_API, "")]


def test_what_is_gone_is_a_detail_though_it_does_not_say_so() -> None:
    gone = {"ret": ["FAIL_BIZ_ITEM_DEL_NOT_FOUND::…"], "data": {}}

    assert found_in(orjson.dumps(gone)) == [("", DETAIL_API, "")]


def test_an_item_alone_is_a_detail() -> None:
    assert found_in(orjson.dumps({"itemDO": {"itemId": 5}, "sellerDO": {}})) == [("", DETAIL_API, "")]


@pytest.mark.parametrize("api", [api for api in SHAPE_BY_API if api != SEARCH_API])
def test_answers_of_the_sites_other_pages_are_read(api: str) -> None:
    answer = {**SEARCH, "api": api}

    assert found_in(orjson.dumps(answer)) == [("", api, "")]
    assert found_in(archive(entry(answer, api=api))) == [("log.entries[0]", api, "")]


TEXT: Final = PLAIN.decode()
ASKED: Final = f"data={quote(json.dumps({'keyword': '相机'}))}"


@pytest.mark.parametrize(
    ("wrapped", "keyword"),
    [
        ({"url": "https://x/?x", "ts": 1, "response": SEARCH}, None),
        ({"url": f"https://x/?{ASKED}", "response": SEARCH}, "相机"),
        ({"response": TEXT, "postData": ASKED}, "相机"),
        ({"request": {"url": "https://x", "postData": {"text": ASKED}}, "response": {"body": TEXT}}, "相机"),
        ({"request": {"postData": '{"keyword":"相机"}'}, "response": {"body": {"text": TEXT}}}, "相机"),
        ({"request": {"body": {"data": '{"keyword":"相机"}'}}, "response": SEARCH}, "相机"),
        ({"id": 7, "result": {"body": TEXT, "base64Encoded": False}}, None),
        ({"id": 7, "result": {"body": base64.b64encode(PLAIN).decode(), "base64Encoded": True}}, None),
        ({"method": "Network.getResponseBody", "params": {}, "result": {"body": TEXT}}, None),
        ({"status": 200, "data": SEARCH}, None),
        ({"api": SEARCH_API, "data": SEARCH}, None),
        ({"api": SEARCH_API, "response": f"mtopjsonp2({TEXT})"}, None),
        ({"payload": {"json": {"value": SEARCH}}}, None),
        ({"keyword": "相机", "page": 1, "response": SEARCH}, "相机"),
        ({"keyword": "相机", "text": TEXT, "json": SEARCH}, "相机"),
        ({"requestUrl": f"https://x/?{ASKED}", "responseText": TEXT}, "相机"),
    ],
)
def test_an_answer_is_found_in_what_a_program_wrapped_around_it(wrapped: Any, keyword: str | None) -> None:
    for body in (orjson.dumps(wrapped), orjson.dumps([wrapped, OTHER]), orjson.dumps(wrapped) + b"\n{}\n"):
        saved = saved_answers(body)[0]
        assert saved.answer is not None, body
        assert (saved.answer.value, saved.api, saved.keyword) == (SEARCH, SEARCH_API, keyword)


def test_a_field_that_begins_again_and_again_is_read_at_once() -> None:
    posted = {"postData": {"text": 'name="data"\n' * 5000}}

    assert found_in(archive(entry(request=posted))) == [("log.entries[0]", SEARCH_API, "")]


@pytest.mark.parametrize(
    ("moment", "read"),
    [
        ("2026-09-21T19:02:12.900+08:00", datetime(2026, 9, 21, 11, 2, 12, 900_000, tzinfo=UTC)),
        (1_790_000_000, datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)),
        (1_790_000_000_500, datetime(2026, 9, 21, 14, 13, 20, 500_000, tzinfo=UTC)),
        *((5, None), (True, None), ("yesterday", None), (10**40, None)),
    ],
)
def test_a_program_may_tell_when_the_answer_came(moment: Any, read: datetime | None) -> None:
    (saved,) = saved_answers(json.dumps({"timestamp": moment, "response": SEARCH}).encode())

    assert saved.fetched_at == read


@pytest.mark.parametrize(
    "wrapped",
    [
        {"response": OTHER},
        {"response": TOKEN},
        {"method": "Network.requestWillBeSent", "params": {"request": {"url": f"https://x/?{ASKED}"}}},
    ],
)
def test_what_is_wrapped_and_no_answer_is_passed_over_beside_others(wrapped: Any) -> None:
    assert found_in(orjson.dumps([wrapped, SEARCH])) == [("[1]", SEARCH_API, "")]
    (alone,) = saved_answers(orjson.dumps(wrapped))
    assert (alone.answer, bool(alone.problem)) == (None, True)


@pytest.mark.parametrize(
    ("posted", "is_narrowed"),
    [
        ({"propValueStr": {"searchFilter": "priceRange:100,800;publishDays:7;"}}, True),
        ({"propValueStr": '{"searchFilter":"quickFilter:filterPersonal;"}'}, True),
        ({"extraFilterValue": '{"divisionList":[{"province":"上海"}]}'}, True),
        ({"customDistance": "5000"}, True),
        ({"propValueStr": {"searchFilter": ""}, "extraFilterValue": "{}", "customDistance": "", "gps": ""}, False),
        ({"propValueStr": {}, "extraFilterValue": "{"}, False),
        ({}, False),
    ],
)
def test_a_search_for_less_than_its_keyword(posted: dict[str, Any], is_narrowed: bool) -> None:
    text = f"data={quote(json.dumps({'keyword': '相机', **posted}))}"

    (saved,) = saved_answers(archive(entry(request={"postData": {"text": text}})))

    assert (saved.keyword, saved.is_narrowed) == ("相机", is_narrowed)


MULTIPART: Final = (
    '------x\r\nContent-Disposition: form-data; name="v"\r\n\r\n1.0\r\n'
    '------x\r\nContent-Disposition: form-data; name="data"\r\nContent-Type: text/plain\r\n\r\n'
    '{"keyword":"相机 +50%"}\r\n------x--\r\n'
)
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
        ({"postData": {"mimeType": "multipart/form-data; boundary=----x", "text": MULTIPART}}, "相机 +50%"),
        ({"postData": {"mimeType": "application/json", "text": POSTED}}, "相机 +50%"),
        ({"postData": {"text": json.dumps({"api": "x", "data": POSTED})}}, "相机 +50%"),
        ({"postData": as_base64(f"data={quote(POSTED)}".encode())}, "相机 +50%"),
        ({"postData": None, "queryString": [{"name": "data", "value": quote(POSTED)}]}, "相机 +50%"),
        ({"postData": {"text": "data=[redacted]"}, "queryString": [{"name": "data", "value": POSTED}]}, "相机 +50%"),
        ({"postData": {"text": "[redacted]", "params": []}}, None),
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
