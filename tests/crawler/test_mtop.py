"""The mtop protocol: signatures that others have published, the bytes that are signed, answers and verdicts."""

import hashlib
import itertools
import json
import re
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xianyu import mtop
from xianyu.mtop import (
    RET_CODES,
    SEVERITY,
    SHAPE_BY_API,
    SPM_CNT_BY_API,
    SPM_PRE_BY_API,
    Answer,
    NotJson,
    NotJsonKind,
    Verdict,
    is_login_page,
    judge,
    read_answer,
    ret_codes,
    verdict_of_code,
)

BASE = "https://h5api.m.goofish.com"
KEYWORDS = ["相机", "iPhone 15 & 壳", "a+b=c%20d", '"引号"\\', "Ünïcode 😀", "#;?/:@", "两  格\t表"]


@pytest.mark.parametrize(
    ("token", "data", "app_key", "expected"),
    [
        # ChaosTechDev/xianyu-hunter, scripts/check_protocol.py: GOLDEN_SIGN
        ("testtoken", '{"itemId":"123456"}', mtop.APP_KEY, "9c30fc5fddb2fc1ab4dc21edab69c286"),
        # lkastar/saltfisher, tests/test_sign.py, which signs with the key of another client
        ("abc123", '{"keyword":"iPhone"}', "12574478", "9ae5a175699ffe0caed6ec7bfdb387f8"),
    ],
)
def test_published_signatures(token, data, app_key, expected):
    assert mtop.sign(token, 1700000000000, data.encode(), app_key=app_key) == expected


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_the_signed_bytes_are_those_that_the_server_reads(keyword):
    data = mtop.search_data(keyword, 3)
    body = mtop.form(data)
    read_by_server = parse_qs(body.decode("ascii"), strict_parsing=True)
    assert read_by_server == {"data": [data.decode()]}
    assert mtop.data_of(body) == data
    address = mtop.signed_url(mtop.url(BASE, mtop.SEARCH_API), body, token="t0ken", timestamp_ms=1700000000123)
    query = parse_qs(urlsplit(address).query, strict_parsing=True)
    text = f"t0ken&1700000000123&34839810&{read_by_server['data'][0]}"
    assert query["sign"] == [hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()]
    assert query["t"] == ["1700000000123"]


def test_a_plus_in_a_body_is_signed_as_a_blank():
    assert mtop.data_of(b"data=%7B%22a%22%3A%22b+c%22%7D") == b'{"a":"b c"}'


@pytest.mark.parametrize("body", [b"", b"data", b"date=%7B%7D", b"data=%7B%7D&more=1", b"more=1&data=%7B%7D"])
def test_a_body_without_exactly_one_data_is_not_signed(body):
    with pytest.raises(ValueError, match="a body to be signed has exactly one field, data"):
        mtop.signed_url(mtop.url(BASE, mtop.SEARCH_API), body, token="", timestamp_ms=0)


def test_what_the_search_posts():
    assert mtop.search_data("相机", 2).decode() == (
        '{"pageNumber":2,"keyword":"相机","fromFilter":true,"rowsPerPage":30,"sortValue":"desc","sortField":"create",'
        '"customDistance":"","gps":"","propValueStr":{"searchFilter":""},"customGps":"",'
        '"searchReqFromPage":"pcSearch","extraFilterValue":"{}","userPositionJson":"{}"}'
    )
    assert mtop.detail_data("900") == b'{"itemId":"900"}'


@pytest.mark.parametrize("base", [BASE, f"{BASE}/"])
def test_the_url_without_a_signature(base):
    assert mtop.url(base, mtop.SEARCH_API) == (
        "https://h5api.m.goofish.com/h5/mtop.taobao.idlemtopsearch.pc.search/1.0/?jsv=2.7.2&appKey=34839810&v=1.0"
        "&type=originaljson&accountSite=xianyu&dataType=json&timeout=20000&api=mtop.taobao.idlemtopsearch.pc.search"
        "&sessionOption=AutoLoginOnly&spm_cnt=a21ybx.search.0.0&spm_pre=a21ybx.search.searchInput.0"
    )
    assert mtop.url(base, mtop.DETAIL_API).endswith("&spm_cnt=a21ybx.item.0.0&spm_pre=a21ybx.search.searchFeedList.1")
    assert set(SPM_CNT_BY_API) == set(SPM_PRE_BY_API) < set(SHAPE_BY_API)


def test_signatures_are_removed_from_messages():
    plain = mtop.url(BASE, mtop.DETAIL_API)
    address = mtop.signed_url(plain, mtop.form(mtop.detail_data("1")), token="t", timestamp_ms=5)
    assert address != plain
    assert mtop.without_signatures(f"Getting {address} took too long; <POST {address}>") == (
        f"Getting {plain} took too long; <POST {plain}>"
    )


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (None, ""),
        (b"", ""),
        (b"cna=x; t=y", ""),
        (b"_m_h5_tk_enc=ff", ""),
        (b"x_m_h5_tk=ff_1", ""),
        (b"_m_h5_tk=0a1b_1789989232000", "0a1b"),
        (b'j={"a":[1]}; _m_h5_tk=0a1b_1789989232000;_m_h5_tk_enc=ff', "0a1b"),
        (b"_m_h5_tk=0a1b", "0a1b"),
        (b"_m_h5_tk=", ""),
    ],
)
def test_the_token_in_a_cookie_header(header, token):
    assert mtop.token_of(header) == token


ANSWER = {"api": "a", "ret": ["SUCCESS::调用成功"], "data": {"title": "相机 😀", "n": [1, 2.5, None, True]}}
TEXT = json.dumps(ANSWER, ensure_ascii=False)


@pytest.mark.parametrize(
    "body",
    [
        TEXT,
        f"\ufeff{TEXT}",
        f"\r\n {TEXT}\n",
        f"mtopjsonp1({TEXT})",
        f" mtopjsonp12 ( {TEXT} ) ;\n",
        f"window.$cb_1({TEXT});",
        json.dumps(ANSWER),
    ],
)
def test_an_answer_is_read_as_json_or_jsonp(body):
    answer = read_answer(body.encode())
    assert answer.value == ANSWER
    assert answer.ret == ("SUCCESS::调用成功",)
    assert answer.data == ANSWER["data"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", NotJsonKind.EMPTY),
        (b"\xef\xbb\xbf \r\n", NotJsonKind.EMPTY),
        (b"<!DOCTYPE html><html></html>", NotJsonKind.HTML),
        (b"\n <script>sliders()</script>", NotJsonKind.HTML),
        ("系统繁忙".encode(), NotJsonKind.HTML),
        (b"mtopjsonp1({})<html>", NotJsonKind.DAMAGED),
        (b"mtopjsonp1()", NotJsonKind.DAMAGED),
        (b'{"ret":["SUCCESS::ok"]}}', NotJsonKind.DAMAGED),
        (b'{"a":"\xff"}', NotJsonKind.DAMAGED),
        (b'{"a":NaN}', NotJsonKind.DAMAGED),
        (b"[" * 100_000, NotJsonKind.DAMAGED),
    ],
)
def test_what_is_no_answer(body, kind):
    with pytest.raises(NotJson) as caught:
        read_answer(body)
    assert caught.value.kind is kind


def test_an_unfinished_callback_is_detected_in_linear_time():
    """A regex that searches for the end from every blank would take minutes."""
    with pytest.raises(NotJson) as caught:
        read_answer(b"cb({})" + b" " * 300_000 + b"x")
    assert caught.value.kind is NotJsonKind.DAMAGED


@pytest.mark.parametrize("whole", [TEXT.encode(), f"mtopjsonp1({TEXT})".encode()])
def test_an_answer_that_is_cut_anywhere_is_damaged(whole):
    start = whole.index(b"{") + 1
    for end in range(start, len(whole)):
        with pytest.raises(NotJson) as caught:
            read_answer(whole[:end])
        assert caught.value.kind is NotJsonKind.DAMAGED, whole[:end]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r'{"t":"手机\ud83d"}', "手机"),
        (r'{"t":"\ude00手\ud83d机"}', "手机"),
        (r'{"t":"\ud83d\ude00 \ud83d"}', "😀 "),
        (r'{"t":"a\u0000b"}', "a\0b"),
        ('{"t":"a\nb"}', "a\nb"),
    ],
)
def test_half_an_emoji_and_control_characters_do_not_make_an_answer_useless(written, read):
    assert read_answer(written.encode()).value == {"t": read}


@pytest.mark.parametrize(
    ("value", "ret"),
    [
        ([], ()),
        ({}, ()),
        ({"ret": None}, ()),
        ({"ret": []}, ()),
        ({"ret": "SUCCESS::x"}, ("SUCCESS::x",)),
        ({"ret": ["SUCCESS::x", 5, None]}, ("SUCCESS::x", "(int)", "(NoneType)")),
        ({"ret": {"SUCCESS": 1}}, ("(dict)",)),
    ],
)
def test_every_element_of_ret_is_kept(value, ret):
    assert read_answer(json.dumps(value).encode()).ret == ret


@pytest.mark.parametrize(
    ("ret", "verdict"),
    [
        ((), Verdict.UNKNOWN),
        (("SUCCESS::调用成功",), Verdict.OK),
        (("SUCCESS",), Verdict.OK),
        (("SUCCESSFUL::x",), Verdict.UNKNOWN),
        (("success::x",), Verdict.UNKNOWN),
        (("FAIL_SYS_TOKEN_EMPTY::令牌为空",), Verdict.TOKEN),
        (("FAIL_SYS_TOKEN_EXOIRED::令牌过期",), Verdict.TOKEN),
        (("FAIL_SYS_TOKEN_EXPIRED::令牌过期",), Verdict.TOKEN),
        (("FAIL_SYS_TOKEN_ILLEGAL::令牌非法",), Verdict.TOKEN),
        (("FAIL_SYS_SESSION_EXPIRED::Session过期",), Verdict.LOGIN),
        (("FAIL_SYS_TRAFFIC_LIMIT::限流",), Verdict.LIMITED),
        (("FAIL_SYS_ILLEGAL_ACCESS::非法请求",), Verdict.BLOCKED),
        (("FAIL_SYS_USER_VALIDATE", "RGV587_ERROR::SM::哎哟喂,被挤爆啦,请稍后重试"), Verdict.BLOCKED),
        (("SUCCESS::调用成功", "RGV587_ERROR::SM::哎哟喂,被挤爆啦,请稍后重试"), Verdict.BLOCKED),
        (("FAIL_SYS_TOKEN_EMPTY::令牌为空", "FAIL_SYS_SESSION_EXPIRED::Session过期"), Verdict.LOGIN),
        (("FAIL_BIZ_ITEM_DEL_NOT_FOUND::您要看的宝贝不存在或已被删除啦!",), Verdict.GONE),
        (("SUCCESS::调用成功", "FAIL_BIZ_SOMETHING::else"), Verdict.UNKNOWN),
        (("FAIL_SYS_SERVICE_TIMEOUT::请求服务超时",), Verdict.PASSING),
        (("FAIL_SYS_SERVICE_TIMEOUT::请求服务超时", "RGV587_ERROR::SM::哎哟喂"), Verdict.BLOCKED),
        (("FAIL_BIZ_FORBIDDEN::||最大可查看页数或者每页最大可查看商品数超限",), Verdict.NO_MORE),
        (("FAIL_BIZ_FORBIDDEN::||没有权限",), Verdict.UNKNOWN),
    ],
)
def test_what_ret_means(ret, verdict):
    assert judge(Answer(ret, {"ret": list(ret), "data": {}})) is verdict


CODES = {
    Verdict.OK: ["SUCCESS"],
    Verdict.GONE: ["FAIL_BIZ_ITEM_DEL_NOT_FOUND", "FAIL_BIZ_ITEM_NOT_FOUND", "ITEM_NOT_FOUND", "FAIL_BIZ_NOT_FOUND"],
    Verdict.TOKEN: [
        "FAIL_SYS_TOKEN_EMPTY",
        "FAIL_SYS_TOKEN_EXOIRED",
        "FAIL_SYS_TOKEN_EXPIRED",
        "FAIL_SYS_TOKEN_ILLEGAL",
        "TOKEN_EMPTY",
    ],
    Verdict.PASSING: [
        *("TIMEOUT", "FAIL_SYS_SERVICE_TIMEOUT", "FAIL_SYS_HSF_ASYNC_TIMEOUT", "FAIL_SYS_HSF_TIMEOUT", "HSF_TIMEOUT"),
        *(
            "FAIL_SYS_HSF_THROWN_EXCEPTION",
            "FAIL_SYS_HSF_INVOKE_ERROR",
            "FAIL_SYS_SERVLET_ASYNC_TIMEOUT",
            "SYSTEM_BUSY",
        ),
        *("FAIL_SYS_SYSTEM_BUSY_ERROR", "FAIL_BIZ_SYSTEM_BUSY", "SYSTEM_ERROR", "FAIL_SYS_SERVICE_FAULT"),
        *("FAIL_SYS_SERVICE_INNER_FAULT", "FAIL_SYS_INTERNAL_FAULT", "FAIL_SYS_HTTP_RESPONSE_TIMEOUT"),
        *("FAIL_SYS_HTTP_INVOKE_ERROR", "FAIL_SYS_SERVLET_ASYNC_START_FAIL", "UNKNOWN_FAIL_CODE"),
        *("FAIL_SYS_REQUEST_EXPIRED", "FAIL_BIZ_TIMEOUT", "FAIL_SYS_SERVICE_UNAVAILABLE"),
        *("NETWORK_ERROR", "FAIL_SYS_RPC_ERROR", "FAIL_SYS_GATEWAY_FAULT"),
    ],
    Verdict.UNKNOWN: [
        "",
        "FAIL_NOBODY_KNOWS",
        "SUCCESSFUL",
        "success",
        "FAIL_SYS_API_NOT_FOUNDED",
        "FAIL_SYS_API_STOP_SERVICE",
    ],
    Verdict.LIMITED: [
        *("FAIL_SYS_TRAFFIC_LIMIT", "FAIL_SYS_FLOWLIMIT", "FAIL_BIZ_FLOW_LIMIT", "ANDROID_SYS_API_FLOW_LIMIT_LOCKED"),
        *("FAIL_SYS_ACCESS_TOKEN_TRAFFIC_LIMIT", "FAIL_SYS_REQUEST_QUEUED", "ANDROID_SYS_API_LOCKED_IN_10_SECONDS"),
    ],
    Verdict.LOGIN: [
        *("FAIL_SYS_SESSION_EXPIRED", "FAIL_SYS_SESSION_ERROR", "ERR_SID_INVALID", "FAIL_BIZ_NEED_LOGIN"),
        *("FAIL_BIZ_USER_NOT_LOGIN", "NOT_LOGIN", "ANDROID_SYS_LOGIN_FAIL"),
    ],
    Verdict.BLOCKED: [
        *("FAIL_SYS_USER_VALIDATE", "RGV587_ERROR", "FAIL_SYS_RGV587_ERROR", "RRXVv_ERROR", "FAIL_SYS_ILLEGAL_ACCESS"),
        *("FAIL_SYS_ILEGEL_SIGN", "FAIL_SYS_SM_ODD_REQUEST", "FAIL_SYS_UNAUTHORIZED_ENTRANCE", "ASSIST_FLAG"),
        "ANDROID_SYS_API_41X_ANTI_ATTACK",
    ],
}


@pytest.mark.parametrize("verdict", CODES)
def test_what_a_code_means(verdict):
    assert {code: verdict_of_code(code) for code in CODES[verdict]} == dict.fromkeys(CODES[verdict], verdict)


def test_every_line_of_the_table_of_codes_is_needed():
    patterns = [line.split("\t") for line in RET_CODES.read_text("utf-8").splitlines() if not line.startswith("#")]
    assert all(len(fields) == 3 and fields[2] for fields in patterns)
    known = [code for codes in CODES.values() for code in codes]
    unused = [pattern for _, pattern, _ in patterns if not any(re.fullmatch(pattern, code) for code in known)]
    assert unused == []


def test_messages_name_codes_and_nothing_else():
    answer = Answer(("RGV587_ERROR::SM::小明", "小明 13800001111", "(dict)", "A" * 99), {})
    assert ret_codes(answer) == f"RGV587_ERROR, no code, no code, {'A' * 60}"
    assert ret_codes(Answer((), {})) == "no ret"


def test_an_element_of_ret_that_is_deeper_than_python_goes_is_unknown():
    deep = b"[" * 1000 + b"]" * 1000
    assert judge(read_answer(b'{"ret":["SUCCESS::x",' + deep + b'],"data":{}}')) is Verdict.UNKNOWN


def test_the_worst_element_wins_wherever_it_stands():
    codes = [codes[0] for codes in CODES.values()]
    for pair in itertools.product(codes, repeat=2):
        verdicts = [verdict_of_code(code) for code in pair]
        assert judge(Answer(pair, {})) is max(verdicts, key=SEVERITY.index)
        assert judge(Answer(("SUCCESS::x", *pair), {})) is max(verdicts, key=SEVERITY.index)


@pytest.mark.parametrize(
    ("url", "verdict"),
    [
        ("https://h5api.m.goofish.com:443//h5/a/1.0/_____tmd_____/punish?x5secdata=x", Verdict.BLOCKED),
        ("https://h5api.m.goofish.com/punish?x5secdata=x", Verdict.BLOCKED),
        ("https://www.goofish.com/", Verdict.OK),
        (5, Verdict.OK),
    ],
)
def test_an_answer_that_leads_to_the_risk_control_is_a_block(url, verdict):
    for key in ("url", "h5url", "h5Url", "dialogUrl"):
        assert judge(Answer(("SUCCESS::调用成功",), {"data": {key: url}})) is verdict


@pytest.mark.parametrize(
    ("url", "is_one"),
    [
        ("https://passport.goofish.com/mini_login.htm?appName=xianyu", True),
        ("https://login.taobao.com/member/login.jhtml", True),
        ("https://login.m.taobao.com/", True),
        ("/member/login.jhtml?redirectURL=search", True),
        ("https://www.goofish.com/", False),
        ("https://www.goofish.com/search?q=login", False),
        ("https://[broken", False),
        ("", False),
    ],
)
def test_what_is_the_page_of_a_login(url, is_one):
    assert is_login_page(url) is is_one


LOGIN_PAGE = "https://passport.goofish.com/mini_login.htm"


@pytest.mark.parametrize(
    ("ret", "data", "verdict"),
    [
        (("RGV587_ERROR::SM::哎哟喂,被挤爆啦,请稍后重试!",), {"url": LOGIN_PAGE, "h5url": LOGIN_PAGE}, Verdict.LOGIN),
        (("FAIL_SYS_USER_VALIDATE", "RGV587_ERROR::SM::哎哟喂"), {"h5url": LOGIN_PAGE}, Verdict.LOGIN),
        (("FAIL_SYS_ILLEGAL_ACCESS::非法请求",), {"url": LOGIN_PAGE}, Verdict.LOGIN),
        (("RGV587_ERROR::SM::哎哟喂",), {"dialogUrl": LOGIN_PAGE}, Verdict.LOGIN),
        (("RGV587_ERROR::SM::哎哟喂",), {"from": LOGIN_PAGE}, Verdict.BLOCKED),
        (("RGV587_ERROR::SM::哎哟喂",), {"url": f"https://x/_____tmd_____/punish?from={LOGIN_PAGE}"}, Verdict.BLOCKED),
        (("RGV587_ERROR::SM::哎哟喂",), {"url": LOGIN_PAGE, "h5url": "https://x/punish"}, Verdict.BLOCKED),
        (("RGV587_ERROR::SM::哎哟喂",), {"url": "https://www.goofish.com/"}, Verdict.BLOCKED),
        (("RGV587_ERROR::SM::哎哟喂",), {}, Verdict.BLOCKED),
        (("SUCCESS::调用成功",), {"url": LOGIN_PAGE}, Verdict.OK),
    ],
)
def test_a_refusal_that_leads_to_a_login_is_one(ret, data, verdict):
    assert judge(Answer(ret, {"data": data})) is verdict


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON, JSON)
def test_any_json_is_judged(ret, data):
    answer = read_answer(json.dumps({"ret": ret, "data": data}).encode())
    assert judge(answer) in SEVERITY


@given(st.binary())
def test_any_bytes_are_read_or_refused(body):
    with suppress(NotJson):  # and nothing else
        read_answer(body)
