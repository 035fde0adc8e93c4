"""Between spiders and the network: robots.txt, pauses, the request budget, verdicts on answers, signing."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest
from scrapy import Request, Spider
from scrapy.exceptions import DownloadCancelledError, DownloadTimeoutError, IgnoreRequest
from scrapy.http import HtmlResponse, Response, TextResponse
from scrapy.robotstxt import ProtegoRobotParser
from scrapy.spidermiddlewares.httperror import HttpError
from scrapy.utils.test import get_crawler
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from xianyu import mtop, settings
from xianyu.clock import utcnow
from xianyu.downloading import ANSWER, API, RequestRefused, answer_of, api_request
from xianyu.middlewares import (
    SIGNED_AGAIN,
    AnswerMiddleware,
    BudgetMiddleware,
    RobotsMiddleware,
    Unanswered,
    failure_reason,
    is_robots_txt,
    retry_after,
)
from xianyu.outcomes import Outcome
from xianyu.politeness import PaceMiddleware, PolitenessAddon, user_agent
from xianyu.state import STATES, State
from xianyu.stopping import result_of, stop

from tests.crawler.goofish.faults import Fault, FaultKind, Robots
from tests.crawler.goofish.generated_market import Market
from tests.live import PROJECT
from tests.processes import ForkedPython

BASE = "https://h5api.m.goofish.com"
GOOD = {"ret": ["SUCCESS::调用成功"], "data": {"resultList": []}}
TOKEN = {"ret": ["FAIL_SYS_TOKEN_EXOIRED::令牌过期"], "data": {}}


def crawler_of(**changed):
    """A crawler with the project's settings, which is not started."""
    values = {name: getattr(settings, name) for name in dir(settings) if name.isupper()} | {"ADDONS": {}} | changed
    crawler = get_crawler(Spider, values)
    crawler.spider = Spider("test")
    crawler.spider._set_crawler(crawler)
    return crawler


def search(page=1, **more):
    return api_request(BASE, mtop.SEARCH_API, mtop.search_data("相机", page), **more)


def answered(request, value, *, status=200, headers=None):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return TextResponse(request.url, status=status, headers=headers or {}, body=body, request=request)


def ends(crawler, request, response):
    """Outcome and detail after this response, which must not reach the spider."""
    with pytest.raises(IgnoreRequest):
        AnswerMiddleware(crawler).process_response(request, response)
    assert ANSWER not in request.meta
    return result_of(crawler).outcome, result_of(crawler).detail


# Answers


def test_a_good_answer_is_handed_on_and_read_once():
    crawler, request = crawler_of(), search()
    response = answered(request, GOOD)
    assert AnswerMiddleware(crawler).process_response(request, response) is response
    assert answer_of(response) is request.meta[ANSWER]
    assert answer_of(response).value == GOOD
    assert result_of(crawler).outcome is None


def test_an_answer_that_no_middleware_has_seen_is_parsed_on_demand():
    assert answer_of(TextResponse("file:///page.json", body=b'{"ret": []}', request=Request("file:///page.json"))) == (
        mtop.Answer((), {"ret": []})
    )


def test_an_expired_token_is_replaced_once_for_each_request():
    crawler, request = crawler_of(), search(cb_kwargs={"walk": 1})
    again = AnswerMiddleware(crawler).process_response(request, answered(request, TOKEN))
    assert isinstance(again, Request)
    assert (again.url, again.body, again.cb_kwargs, again.dont_filter) == (request.url, request.body, {"walk": 1}, True)
    assert again.meta == {**request.meta, SIGNED_AGAIN: True}
    assert SIGNED_AGAIN not in request.meta
    assert ends(crawler, again, answered(again, TOKEN)) == (Outcome.BLOCKED, "a fresh token was refused")


def test_another_request_may_replace_its_token_too():
    crawler = crawler_of()
    for page in (1, 2, 3):
        request = search(page)
        assert AnswerMiddleware(crawler).process_response(request, answered(request, TOKEN)).meta[SIGNED_AGAIN]
    assert result_of(crawler).outcome is None


@pytest.mark.parametrize(
    ("value", "outcome", "detail"),
    [
        (
            {"ret": ["FAIL_SYS_USER_VALIDATE", "RGV587_ERROR::SM::哎哟喂,被挤爆啦,请稍后重试"]},
            Outcome.BLOCKED,
            "the API answered FAIL_SYS_USER_VALIDATE, RGV587_ERROR",
        ),
        (
            GOOD | {"ret": ["SUCCESS::调用成功", "RGV587_ERROR::SM::x"]},
            Outcome.BLOCKED,
            "the API answered SUCCESS, RGV587_ERROR",
        ),
        (
            {"ret": ["FAIL_SYS_SESSION_EXPIRED::Session过期"]},
            Outcome.LOGIN,
            "the API answered FAIL_SYS_SESSION_EXPIRED",
        ),
        (
            {"ret": ["RGV587_ERROR::SM::哎哟喂"], "data": {"url": "https://passport.goofish.com/mini_login.htm"}},
            Outcome.LOGIN,
            "the API answered RGV587_ERROR",
        ),
        ({"ret": ["FAIL_SYS_TRAFFIC_LIMIT::限流"]}, Outcome.LIMITED, "the API answered FAIL_SYS_TRAFFIC_LIMIT"),
        ({"ret": ["FAIL_SYS_FLOWLIMIT::哎哟喂,被挤爆啦"]}, Outcome.LIMITED, "the API answered FAIL_SYS_FLOWLIMIT"),
        ({"ret": ["FAIL_NEW::x"]}, Outcome.UNKNOWN_ANSWER, "the API answered FAIL_NEW"),
        ({"ret": ["x" * 500]}, Outcome.UNKNOWN_ANSWER, f"the API answered {'x' * 60}"),
        ({"ret": ["小明 13800001111"]}, Outcome.UNKNOWN_ANSWER, "the API answered no code"),
        ({"ret": [{"nick": "小明"}]}, Outcome.UNKNOWN_ANSWER, "the API answered no code"),
        ({"data": {}}, Outcome.UNKNOWN_ANSWER, "the API answered no ret"),
        ([], Outcome.UNKNOWN_ANSWER, "the API answered no ret"),
        (b"<html>login</html>", Outcome.BLOCKED, "a page instead of JSON"),
    ],
)
def test_answers_that_stop_a_crawl(value, outcome, detail):
    crawler, request = crawler_of(), search()
    assert ends(crawler, request, answered(request, value)) == (outcome, detail)


@pytest.mark.parametrize(
    ("status", "headers", "outcome", "detail"),
    [
        (301, {"Location": "https://www.goofish.com/"}, Outcome.BLOCKED, "HTTP 301 to somewhere else"),
        (302, {"Location": "https://login.taobao.com/member/login.jhtml"}, Outcome.LOGIN, "HTTP 302 to a login"),
        (
            302,
            {"Location": "https://h5api.m.goofish.com/_____tmd_____/punish?from=login"},
            Outcome.BLOCKED,
            "HTTP 302 to somewhere else",
        ),
        (304, {}, Outcome.BLOCKED, "HTTP 304 to somewhere else"),
        (401, {}, Outcome.LOGIN, "HTTP 401"),
        (403, {}, Outcome.BLOCKED, "HTTP 403"),
        (404, {}, Outcome.UNKNOWN_ANSWER, "HTTP 404"),
        (420, {}, Outcome.LIMITED, "HTTP 420"),
        (429, {}, Outcome.LIMITED, "HTTP 429"),
        (503, {"Retry-After": "120"}, Outcome.LIMITED, "HTTP 503"),
        (200, {"Set-Cookie": "x5secdata=abc; Path=/"}, Outcome.BLOCKED, "the site wants a puzzle solved"),
    ],
)
def test_status_and_headers_that_stop_a_crawl_whatever_the_body(status, headers, outcome, detail):
    crawler, request = crawler_of(), search()
    assert ends(crawler, request, answered(request, GOOD, status=status, headers=headers)) == (outcome, detail)


@pytest.mark.parametrize("status", [408, 500, 502, 503, 599])
def test_server_errors_are_left_to_the_retries(status):
    crawler, request = crawler_of(), search()
    response = answered(request, b"<html>", status=status)
    assert AnswerMiddleware(crawler).process_response(request, response) is response
    assert result_of(crawler).outcome is None


@pytest.mark.parametrize("body", [b"", b'{"ret":["SUCC', b"mtopjsonp1({"])
def test_a_damaged_answer_is_requested_three_times_at_most(body):
    crawler, request = crawler_of(), search()
    middleware = AnswerMiddleware(crawler)
    for retry in (1, 2):
        request = middleware.process_response(request, answered(request, body))
        assert (request.meta["retry_times"], request.dont_filter) == (retry, True)
    with pytest.raises(Unanswered):
        middleware.process_response(request, answered(request, body))
    assert result_of(crawler).outcome is None


@pytest.mark.parametrize(
    "code",
    ["FAIL_SYS_SERVICE_TIMEOUT", "FAIL_SYS_HSF_ASYNC_TIMEOUT", "SYSTEM_BUSY", "TIMEOUT", "FAIL_SYS_SERVICE_FAULT"],
)
def test_a_passing_fault_of_theirs_is_asked_again_and_begins_no_cooldown(code):
    crawler, request = crawler_of(), search()
    middleware = AnswerMiddleware(crawler)
    for retry in (1, 2):
        request = middleware.process_response(request, answered(request, {"ret": [f"{code}::请稍后"], "data": {}}))
        assert (request.meta["retry_times"], request.dont_filter) == (retry, True)
    with pytest.raises(Unanswered, match=rf"\Athe API answered {code} to each try\Z"):
        middleware.process_response(request, answered(request, {"ret": [f"{code}::请稍后"], "data": {}}))
    assert result_of(crawler).outcome is None


def test_reasons_why_a_request_brought_no_answer():
    crawler, response = crawler_of(), answered(search(), b"", status=503)
    assert failure_reason(crawler, Failure(HttpError(response))) == "HTTP 503"
    assert failure_reason(crawler, Failure(Unanswered("the answer stayed damaged"))) == "the answer stayed damaged"
    assert (
        failure_reason(crawler, Failure(DownloadTimeoutError("Getting https://… took longer")))
        == "DownloadTimeoutError"
    )
    assert failure_reason(crawler, Failure(DownloadCancelledError("too large"))) == "DownloadCancelledError"
    assert failure_reason(crawler, Failure(ConnectionLost())) == "ConnectionLost"
    # Raised by Scrapy for an answer that is too large after decompression.
    assert failure_reason(crawler, Failure(IgnoreRequest("Ignored response"))) == "IgnoreRequest"
    assert (result_of(crawler).outcome, result_of(crawler).faults) == (None, [])
    stop(crawler, Outcome.BUDGET, "500")
    assert failure_reason(crawler, Failure(RequestRefused("the crawl is ending"))) is None


@pytest.mark.parametrize("error", [KeyError("data"), sqlite3.OperationalError("database or disk is full")])
def test_an_error_of_ours_stops_the_crawl(error):
    crawler = crawler_of()
    assert failure_reason(crawler, Failure(error)) is None
    name = type(error).__name__
    assert (result_of(crawler).outcome, result_of(crawler).detail, result_of(crawler).faults) == (
        Outcome.FAULT,
        name,
        [name],
    )


def test_only_answers_of_the_api_are_judged():
    crawler, request = crawler_of(), Request("https://img.alicdn.com/1.jpg")
    response = HtmlResponse(request.url, status=403, body=b"<html>", request=request)
    assert AnswerMiddleware(crawler).process_response(request, response) is response
    assert result_of(crawler).outcome is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 7200 ", 7200),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("Mon, 99 Xyz", None),
        ("Mon, 01 Jan 2026 00:00:00 +99999999999999999", None),
    ],
)
def test_retry_after_in_seconds(value, seconds):
    assert retry_after(Response("https://x", headers={"Retry-After": value})) == seconds


def test_retry_after_as_a_date():
    soon = datetime.now(UTC) + timedelta(hours=2)
    found = retry_after(Response("https://x", headers={"Retry-After": format_datetime(soon, usegmt=True)}))
    assert found == pytest.approx(7200, abs=5)
    past = format_datetime(soon - timedelta(days=1), usegmt=True)
    assert retry_after(Response("https://x", headers={"Retry-After": past})) == 0
    assert retry_after(Response("https://x")) is None


def test_a_limit_waits_as_long_as_the_site_asks(tmp_path):
    state = State(tmp_path / "state.sqlite3")
    crawler, request = crawler_of(), search()
    STATES[crawler] = state
    before = datetime.now(UTC)
    ends(crawler, request, answered(request, b"", status=429, headers={"Retry-After": "90000"}))
    cooldown = state.active_cooldown(before)
    assert cooldown is not None
    assert timedelta(seconds=90000) <= cooldown.until - before <= timedelta(seconds=90010)
    state.close()


# robots.txt


@pytest.mark.parametrize(
    ("body", "is_one"),
    [
        (b"", True),
        (b"\n  \n", True),
        (b"# nothing to say\n", True),
        (b"User-agent: *\nDisallow: /\n", True),
        (b"\xef\xbb\xbfUser-Agent:*\r\nAllow:/", True),
        (b"Sitemap: https://x/s.xml", True),
        (b"garbage\nuser-agent: *\ndisallow:\n", True),
        (b"<!DOCTYPE html>\n<p>User-agent: *</p>", False),
        (b"User-agent: *\n<html>", False),
        (b"Not found", False),
        (b'{"error": "none"}', False),
        (b"\x00\x01\x02", False),
        (b"\x1f\x8b\x08user-agent: *\0", False),
    ],
)
def test_what_is_a_robots_txt(body, is_one):
    assert is_robots_txt(body) is is_one


ROBOTS = Request("https://h5api.m.goofish.com/robots.txt", meta={"dont_obey_robotstxt": True})


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_no_robots_txt_allows_everything(status):
    page = Response(ROBOTS.url, status=status, body=b"User-agent: *\nDisallow: /")
    assert RobotsMiddleware(crawler_of()).process_response(ROBOTS, page).body == b""


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"),
        (200, b"nothing here"),
        (204, b""),
        (301, b""),
        (429, b"User-agent: *\nAllow: /"),
        (500, b"User-agent: *\nAllow: /"),
        (503, b""),
    ],
)
def test_a_robots_txt_that_cannot_be_fetched_forbids_everything(status, body):
    with pytest.raises(IgnoreRequest):
        RobotsMiddleware(crawler_of()).process_response(ROBOTS, Response(ROBOTS.url, status=status, body=body))


def test_a_limit_on_robots_txt_begins_a_cooldown_too(tmp_path):
    state = State(tmp_path / "state.sqlite3")
    crawler = crawler_of()
    STATES[crawler] = state
    page = Response(ROBOTS.url, status=429, headers={"Retry-After": "90000"})
    with pytest.raises(IgnoreRequest):
        RobotsMiddleware(crawler).process_response(ROBOTS, page)
    found = state.active_cooldown(utcnow())
    state.close()
    assert (result_of(crawler).outcome, result_of(crawler).detail) == (Outcome.LIMITED, "robots.txt: HTTP 429")
    assert found.until - utcnow() > timedelta(hours=24)


def test_other_responses_are_not_touched():
    request = search()
    response = answered(request, GOOD, status=500)
    assert RobotsMiddleware(crawler_of()).process_response(request, response) is response


@pytest.mark.parametrize(
    ("rules", "detail"),
    [
        (None, "robots.txt of h5api.m.goofish.com could not be read"),
        (
            ProtegoRobotParser(b"User-agent: saltfishcrawler\nDisallow: /", None),
            f"robots.txt of h5api.m.goofish.com forbids /h5/{mtop.SEARCH_API}/1.0/",
        ),
    ],
)
def test_a_forbidden_api_ends_the_crawl_and_a_forbidden_picture_does_not(rules, detail):
    crawler = crawler_of()
    middleware = RobotsMiddleware(crawler)
    middleware._parsers = {"h5api.m.goofish.com": rules, "img.alicdn.com": rules}
    with pytest.raises(IgnoreRequest):
        asyncio.run(middleware.process_request(Request("https://img.alicdn.com/1.jpg")))
    assert result_of(crawler).outcome is None
    with pytest.raises(IgnoreRequest):
        asyncio.run(middleware.process_request(search()))
    assert (result_of(crawler).outcome, result_of(crawler).detail) == (Outcome.ROBOTS, detail)


@pytest.mark.parametrize("url", ["file:///page.json", "data:,x"])
def test_files_have_no_robots_txt(url):
    assert asyncio.run(RobotsMiddleware(crawler_of()).process_request(Request(url))) is None


# Budget


def test_a_used_up_budget_stops_the_crawl(tmp_path):
    state = State(tmp_path / "state.sqlite3")
    crawler = crawler_of(XIANYU_DAILY_BUDGET=3)
    STATES[crawler] = state
    middleware = BudgetMiddleware(crawler)
    for page in (1, 2, 3):
        middleware.process_request(search(page))
    middleware.process_request(Request("file:///page.json"))
    assert (state.requests_counted, result_of(crawler).outcome) == (3, None)
    with pytest.raises(IgnoreRequest):
        middleware.process_request(search(4))
    assert (state.requests_counted, result_of(crawler).outcome) == (3, Outcome.BUDGET)
    assert result_of(crawler).detail == "the day's 3 requests are used up"
    state.close()


def test_nothing_is_sent_without_a_state_to_count_in():
    crawler = crawler_of()
    with pytest.raises(IgnoreRequest):
        BudgetMiddleware(crawler).process_request(search())
    assert result_of(crawler).outcome is Outcome.CONFIGURATION


# Pace


def test_pauses_are_spread_evenly_around_the_delay():
    pace = PaceMiddleware(crawler_of(XIANYU_DELAY=5.0, XIANYU_JITTER=0.5))
    drawn = [pace.draw_pause("a") for _ in range(4000)]
    assert 2.5 <= min(drawn) < 2.6
    assert 7.4 < max(drawn) <= 7.5
    assert sum(drawn) / len(drawn) == pytest.approx(5, rel=0.03)


def test_a_retry_waits_longer():
    pace = PaceMiddleware(crawler_of(XIANYU_DELAY=5.0, XIANYU_JITTER=0.0))
    assert [pace.draw_pause("a", retries=retries) for retries in (0, 1, 2)] == [5, 10, 20]


def test_no_pause_is_shorter_than_the_crawl_delay_of_its_host():
    pace = PaceMiddleware(crawler_of(XIANYU_DELAY=5.0, XIANYU_JITTER=1.0))
    pace.set_crawl_delay("a", 8.0)
    drawn = [pace.draw_pause("a") for _ in range(500)]
    assert min(drawn) == 8.0
    assert max(drawn) > 8.0
    assert min(pace.draw_pause("b") for _ in range(500)) < 1.0


def test_a_slow_server_is_asked_more_slowly():
    pace = PaceMiddleware(crawler_of(XIANYU_DELAY=5.0, XIANYU_JITTER=0.0))
    request = search()
    response = answered(request, GOOD)
    for latency, pause in ((2.0, 5.0), (18.0, 10.0), (18.0, 14.0), (0.0, 7.0), (0.0, 5.0)):
        request.meta["download_latency"] = latency
        assert pace.process_response(request, response) is response
        assert pace.draw_pause("h5api.m.goofish.com") == pause
    assert pace.draw_pause("img.alicdn.com") == 5.0


def test_requests_start_one_pause_after_the_other():
    pace = PaceMiddleware(crawler_of(XIANYU_DELAY=0.05, XIANYU_JITTER=0.0))
    started = []

    async def send(number):
        await pace.process_request(Request(f"https://a/{number}"))
        if number == 1:
            time.sleep(0.12)  # so that the pauses of the third and the fourth are over when they wake
        started.append((number, pace._last_start["a"]))

    async def send_all():
        await asyncio.gather(*map(send, range(4)))

    asyncio.run(send_all())
    assert [number for number, _ in started] == [0, 1, 2, 3]
    assert all(later - sooner >= 0.05 for (_, sooner), (_, later) in pairwise(started))


def test_a_waiting_request_is_refused_at_once_when_the_crawl_is_stopped():
    crawler = crawler_of(XIANYU_DELAY=600.0, XIANYU_JITTER=0.0)
    pace = PaceMiddleware(crawler)

    async def wait():
        await asyncio.wait_for(pace.process_request(search(1)), 5)
        await asyncio.wait_for(pace.process_request(Request("https://img.alicdn.com/1.jpg")), 5)  # another host
        waiting = asyncio.ensure_future(pace.process_request(search(2)))
        await asyncio.sleep(0)
        assert not waiting.done()
        stop(crawler, Outcome.STOPPED, "SIGTERM")
        with pytest.raises(RequestRefused):
            await asyncio.wait_for(waiting, 5)

    asyncio.run(wait())


# The download handler and the settings


def burst(site, keyword, folder, *, delay):
    """The lines that `tests.crawler.burst` printed, and its log."""
    site.robots(Robots.ALLOW, pause=0.5)  # so that all five requests wait for it
    arguments = ["-m", "tests.crawler.burst", site.url, keyword, str(folder), str(delay)]
    with ForkedPython(arguments, environ={"PATH": os.defpath}) as process:
        printed, log = process.communicate(timeout=60)
        assert process.returncode == 0, log
    return printed.splitlines(), log


def pages(site, keyword):
    """The pages of a keyword that were requested, and the answers."""
    return [(each["page"], each["answer"]) for each in site.requests() if each.get("subject") == keyword]


def test_requests_that_wait_are_refused_after_a_block(site, tmp_path):
    site.open(Market(keyword="风暴", items=200), Fault(kind=FaultKind.RISK))
    printed, log = burst(site, "风暴", tmp_path, delay=0.8)
    assert printed == [*["failed IgnoreRequest"], *["failed RequestRefused"] * 4, "ended blocked"]
    assert pages(site, "风暴") == [(1, "FAIL_SYS_TOKEN_EMPTY"), (2, "risk")]
    assert "Traceback" not in log


def test_requests_are_signed_and_no_log_holds_a_signature(site, tmp_path):
    site.open(Market(keyword="签名", items=200))
    printed, log = burst(site, "签名", tmp_path, delay=0)
    plain = mtop.url(site.url, mtop.SEARCH_API)
    assert printed == [*[f"read {plain} ('SUCCESS::调用成功',) in time"] * 5, "ended None"]
    asked = pages(site, "签名")
    assert sorted(page for page, answer in asked if answer == "page") == [1, 2, 3, 4, 5]
    assert {answer for _, answer in asked} == {"page", "FAIL_SYS_TOKEN_EMPTY"}
    assert f"Crawled (200) <POST {plain}>" in log
    assert "sign=" not in log
    assert "_m_h5_tk" not in log


def test_what_a_request_of_the_api_holds():
    request = search(2, cb_kwargs={"walk": 1})
    assert (request.method, request.url) == ("POST", mtop.url(BASE, mtop.SEARCH_API))
    assert mtop.data_of(request.body) == mtop.search_data("相机", 2)
    assert request.meta == {API: mtop.SEARCH_API, "dont_redirect": True}
    assert request.headers.to_unicode_dict() == {
        "Accept": "application/json",
        "Content-Type": "application/x-www-form-urlencoded",
        "Origin": "https://www.goofish.com",
        "Referer": "https://www.goofish.com/",
    }


@pytest.mark.parametrize(
    ("contact", "agent"),
    [
        ("", "SaltfishCrawler/1.1.0"),
        ("ops@example.org", "SaltfishCrawler/1.1.0 (+mailto:ops@example.org)"),
        ("https://example.org/@crawler", "SaltfishCrawler/1.1.0 (+https://example.org/@crawler)"),
    ],
)
def test_the_user_agent_names_the_contact(contact, agent):
    assert user_agent("SaltfishCrawler", contact) == agent


def test_scrapys_settings_follow_from_ours():
    crawler = get_crawler(
        Spider,
        {
            "BOT_NAME": "SaltfishCrawler",
            "XIANYU_CONTACT": "https://example.org",
            "XIANYU_ANSWER_TIMEOUT": 7.5,
            "ADDONS": {PolitenessAddon: 0},
        },
    )
    assert crawler.settings["USER_AGENT"] == "SaltfishCrawler/1.1.0 (+https://example.org)"
    assert crawler.settings.getfloat("DOWNLOAD_TIMEOUT") == 7.5


def test_remote_access_and_proxies_are_off():
    assert settings.TELNETCONSOLE_ENABLED is False
    assert settings.REMOTE_CONTROL_ENABLED is False
    assert settings.HTTPCACHE_ENABLED is False
    assert settings.HTTPPROXY_ENABLED is False
    assert settings.ROBOTSTXT_OBEY is True
    assert settings.CONCURRENT_REQUESTS == settings.CONCURRENT_REQUESTS_PER_DOMAIN == 1
    assert settings.DOWNLOAD_MAXSIZE == 8 * 1024 * 1024
    assert settings.DOWNLOAD_VERIFY_CERTIFICATES is True


def test_cookies_download_no_list_of_public_suffixes():
    program = (
        "import scrapy.cmdline, xianyu.settings\n"
        "from scrapy.downloadermiddlewares.cookies import _is_public_domain, _split_domain\n"
        "assert _split_domain.suffix_list_urls == (), _split_domain.suffix_list_urls\n"
        "assert _is_public_domain('com.cn') and not _is_public_domain('goofish.com')\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TLDEXTRACT")}
    subprocess.run([sys.executable, "-c", program], cwd=PROJECT / "crawler", env=environment, check=True)
