"""Whole crawls of the fake site: odd answers, missing pages, and answers that stop a crawl at once."""

import signal
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from xianyu.outcomes import Outcome
from xianyu.state import State

from tests.crawler.crawls import Operator, expected_listings, found_listings, personal_data
from tests.crawler.goofish.faults import NULLS_KEPT, NULLS_LOST, Fault, FaultKind, Robots
from tests.crawler.goofish.generated_market import PAGE_ROWS, Market
from tests.crawler.goofish.process import Site
from tests.live import free_port

ROWS = 40  # on two pages
HARMLESS = {
    "过期令牌": Fault(kind=FaultKind.TOKEN_EXPIRED, pages=(2,), times=1),
    "非法令牌": Fault(kind=FaultKind.TOKEN_ILLEGAL, pages=(1,), times=1),
    "回调": Fault(kind=FaultKind.JSONP),
    "压缩": Fault(kind=FaultKind.COMPRESSED),
    "重叠": Fault(kind=FaultKind.OVERLAP, rows=5),
    "重复": Fault(kind=FaultKind.REPEAT),
    "暂停服务": Fault(kind=FaultKind.STATUS, pages=(2,), times=2, status=503),
    "破损": Fault(kind=FaultKind.DAMAGED, pages=(1,), times=1),
    "重置": Fault(kind=FaultKind.RESET, pages=(2,), times=1),
    "截断": Fault(kind=FaultKind.CUT, pages=(2,), times=1),
    "滴漏": Fault(kind=FaultKind.DRIP, pages=(1,), seconds=0.3),
    "半个表情": Fault(kind=FaultKind.HALF_EMOJI, pages=(1,)),
    "空节点": Fault(kind=FaultKind.NULLS, pages=(1,)),
}
EXTRA_TRIES = {"过期令牌": 1, "非法令牌": 1, "暂停服务": 2, "破损": 1, "重置": 1, "截断": 1}


def _expected_of_harmless(markets: dict[str, Market]) -> dict[str, dict[str, Any]]:
    """All listings, with the changes that some faults make. (Half an emoji is simply left out of its title.)"""
    expected = expected_listings(*markets.values())
    repeated = markets["重复"]
    for number in range(1, ROWS - PAGE_ROWS + 1):  # the second page never comes
        del expected[repeated.item_id(number)]
    with_nulls = markets["空节点"]
    numbers = list(with_nulls.numbers(1))
    for number in numbers[: len(NULLS_LOST)]:
        del expected[with_nulls.item_id(number)]
    for number, names in zip(numbers[len(NULLS_LOST) :], NULLS_KEPT, strict=False):
        expected[with_nulls.item_id(number)] |= dict.fromkeys(names)
        if with_nulls.good(number).shipping == "argument":  # which is no label
            expected[with_nulls.item_id(number)]["free_shipping"] = True
    return expected


def test_odd_answers_are_no_failure_and_a_second_run_repeats_nothing(operator: Operator, site: Site) -> None:
    site.robots(Robots.MISSING)
    markets = {keyword: site.open(Market(keyword=keyword, items=ROWS), fault) for keyword, fault in HARMLESS.items()}
    keywords = (*markets, "没有这种东西")

    first = operator.crawl(*keywords)

    assert (first.code, first.outcome) == (0, "finished"), first.complaints
    assert found_listings(first) == _expected_of_harmless(markets)
    asked = Counter(keyword for keyword, _, _ in first.asked)
    assert asked == {
        **{keyword: 2 + EXTRA_TRIES.get(keyword, 0) for keyword in markets},
        "没有这种东西": 1,
        keywords[0]: 2 + 2,  # the first token has to be asked for
    }
    assert [(reject["reason"], reject["place"]) for reject in first.rejects] == [
        ("no item", "data.resultList[0]"),
        ("no item", "data.resultList[1]"),
        ("no item", "data.resultList[2]"),
        ("no item", "data.resultList[3]"),
        ("no title", "data.resultList[4]"),
    ]
    assert first.rejects[4]["item_id"] == markets["空节点"].item_id(ROWS - 4)
    counts = first.manifest["counts"]
    assert (counts["requests"], counts["listings"]) == (len(first.requests), len(first.listings))
    assert (counts["duplicates"], counts["unchanged"], counts["rejected"]) == (5 + PAGE_ROWS, 0, 5)

    second = operator.crawl(*keywords)

    assert (second.code, second.outcome, second.listings) == (0, "finished", [])
    assert [(keyword, page) for keyword, page, _ in second.asked[1:]] == [(keyword, 1) for keyword in keywords]
    assert personal_data(operator.data, *markets.values()) == []


def test_requests_name_the_crawler_and_its_contact(operator: Operator, site: Site) -> None:
    site.open(Market(keyword="谁", items=1))

    run = operator.crawl("谁")

    assert run.code == 0
    assert {record["user_agent"] for record in run.requests} == {"SaltfishCrawler/1.1.0 (+https://example.org/crawler)"}
    # No cookie but those that the site set itself.
    assert [(record["path"], record["cookies"]) for record in run.requests] == [
        ("/robots.txt", []),
        ("/h5/mtop.taobao.idlemtopsearch.pc.search/1.0/", []),
        ("/h5/mtop.taobao.idlemtopsearch.pc.search/1.0/", ["_m_h5_tk", "_m_h5_tk_enc"]),
    ]
    assert [record.get("signed") for record in run.requests] == [None, "empty", "right"]
    # The site refuses requests that differ from those of its own pages, also in `spm_cnt` and `spm_pre`.
    assert not any(record.get("wrong") for record in run.requests)


PARTIAL = {
    "不可用": Fault(kind=FaultKind.STATUS, pages=(2,), status=502),
    "总破损": Fault(kind=FaultKind.DAMAGED, pages=(2,)),
    "总重置": Fault(kind=FaultKind.RESET, pages=(2,)),
    "总截断": Fault(kind=FaultKind.CUT, pages=(1,)),
    "不回答": Fault(kind=FaultKind.HANG, pages=(2,), seconds=3),
    "太慢": Fault(kind=FaultKind.DRIP, pages=(2,), seconds=3),
}


def test_missing_pages_are_reported_and_fetched_by_the_next_run(operator: Operator, site: Site) -> None:
    markets = {keyword: site.open(Market(keyword=keyword, items=ROWS), fault) for keyword, fault in PARTIAL.items()}
    good = site.open(Market(keyword="好的", items=ROWS))
    keywords = (*markets, "好的")

    first = operator.crawl(*keywords, ANSWER_TIMEOUT="1")

    first_pages = [market for keyword, market in markets.items() if keyword != "总截断"]
    found = expected_listings(*first_pages, numbers=range(ROWS - PAGE_ROWS + 1, ROWS + 1)) | expected_listings(good)
    assert (first.code, first.outcome) == (4, "partial"), first.complaints
    assert found_listings(first) == found
    tries = Counter((keyword, page) for keyword, page, _ in first.asked)
    assert {keyword: tries[keyword, PARTIAL[keyword].pages[0]] for keyword in markets} == dict.fromkeys(markets, 3)
    assert tries["好的", 2] == 1

    for market in markets.values():
        site.open(market)
    second = operator.crawl(*keywords)

    everything = expected_listings(*markets.values(), good)
    assert (second.code, second.outcome) == (0, "finished")
    assert found_listings(second) == {item_id: fields for item_id, fields in everything.items() if item_id not in found}
    assert personal_data(operator.data, *markets.values(), good) == []


def test_a_site_that_is_down_is_left_alone(operator: Operator, site: Site) -> None:
    keywords = [f"全坏 {number}" for number in range(5)]
    fault = Fault(kind=FaultKind.STATUS, pages=(1,), status=503)
    for keyword in keywords:
        site.open(Market(keyword=keyword, items=5), fault)

    run = operator.crawl(*keywords)

    assert (run.code, run.outcome) == (4, "partial")
    # The very first request only fetches the token.
    assert Counter(keyword for keyword, _, _ in run.asked) == {keywords[0]: 4, keywords[1]: 3, keywords[2]: 3}


ENDINGS = [
    (Fault(kind=FaultKind.TOKEN_EXPIRED, pages=(2,)), "blocked"),
    (Fault(kind=FaultKind.RISK, pages=(2,)), "blocked"),
    (Fault(kind=FaultKind.RISK_AFTER_SUCCESS, pages=(2,)), "blocked"),
    (Fault(kind=FaultKind.LOGIN, pages=(2,)), "login"),
    (Fault(kind=FaultKind.ILLEGAL_ACCESS, pages=(2,)), "blocked"),
    (Fault(kind=FaultKind.UNKNOWN, pages=(2,)), "unknown_answer"),
    (Fault(kind=FaultKind.LIMIT, pages=(2,)), "limited"),
    (Fault(kind=FaultKind.FLOW_LIMIT, pages=(2,)), "limited"),
    (Fault(kind=FaultKind.RISK_LOGIN, pages=(2,)), "login"),
    (Fault(kind=FaultKind.PAGE, pages=(2,)), "blocked"),
    (Fault(kind=FaultKind.REDIRECT, pages=(2,)), "login"),
    (Fault(kind=FaultKind.STATUS, pages=(2,), status=429, retry_after="90000"), "limited"),
    (Fault(kind=FaultKind.STATUS, pages=(2,), status=403), "blocked"),
]


@pytest.mark.parametrize(("fault", "outcome"), ENDINGS, ids=lambda value: getattr(value, "kind", value))
def test_a_refusal_stops_the_run_at_once_and_begins_a_cooldown(
    operator: Operator, site: Site, fault: Fault, outcome: str
) -> None:
    keyword = f"停止 {fault.kind} {fault.status}"
    market = site.open(Market(keyword=keyword, items=70), fault)
    other = site.open(Market(keyword="此后", items=5))

    run = operator.crawl(keyword, "此后")

    assert (run.code, run.outcome) == (3, outcome), run.complaints
    assert found_listings(run) == expected_listings(market, numbers=market.numbers(1))
    # A request whose answer brings a new token is repeated once. Otherwise nothing is requested after the refusal.
    tries = 2 if fault.kind is FaultKind.TOKEN_EXPIRED else 1
    assert [(subject, page) for subject, page, _ in run.asked[1:]] == [(keyword, 1)] + [(keyword, 2)] * tries
    assert run.requests[0]["path"] == "/robots.txt"
    assert len(run.requests) == 1 + 2 + tries

    site.open(market)
    again = operator.crawl(keyword, "此后")

    assert (again.code, again.requests, again.folder) == (3, [], None)
    assert again.printed.startswith("outcome=cooling exit_code=3 ")
    assert personal_data(operator.data, market, other) == []


ENDS_OF_A_KEYWORD = {
    "空页": Fault(kind=FaultKind.EMPTY, pages=(2,)),
    "无列表": Fault(kind=FaultKind.NULL_ROWS, pages=(2,)),
    "太靠后": Fault(kind=FaultKind.PAST_THE_END, pages=(2,)),
    "杂卡": Fault(kind=FaultKind.FOREIGN, pages=(2,)),
    "猜你喜欢": Fault(kind=FaultKind.NO_MATCH, pages=(2,)),
    "相似": Fault(kind=FaultKind.SIMILAR, pages=(2,)),
    "别的搜索": Fault(kind=FaultKind.OTHER_SEARCH, pages=(2,)),
}
NO_HITS = ("猜你喜欢", "相似", "别的搜索")


def test_a_page_without_hits_ends_its_keyword_and_not_the_run(operator: Operator, site: Site) -> None:
    markets = {
        keyword: site.open(Market(keyword=keyword, items=70), fault) for keyword, fault in ENDS_OF_A_KEYWORD.items()
    }
    after = site.open(Market(keyword="此后", items=5))

    run = operator.crawl(*(f"{keyword}\t手机" for keyword in markets), "此后")

    assert (run.code, run.outcome) == (0, "finished"), run.complaints
    assert [(subject, page) for subject, page, _ in run.asked[1:]] == [
        *((keyword, page) for keyword in markets for page in (1, 2)),
        ("此后", 1),
    ]
    hits = {line["item_id"]: line for line in run.listings if "recommended" not in line["flags"]}
    first_pages = {
        item_id: keyword for keyword, market in markets.items() for item_id in map(market.item_id, market.numbers(1))
    }
    assert {item_id: line["keyword"] for item_id, line in hits.items()} == first_pages | dict.fromkeys(
        expected_listings(after), "此后"
    )
    others = {line["item_id"]: line for line in run.listings if "recommended" in line["flags"]}
    assert set(others) == {markets[word].item_id(number) for word in NO_HITS for number in markets[word].numbers(2)}
    assert {(line["keyword"], line["category"]) for line in others.values()} == {(None, None)}
    assert (run.manifest["counts"]["recommended"], run.manifest["counts"]["rejected"]) == (90, 2)
    assert [(search["keyword"], search["category"], search["offers"]) for search in run.manifest["searches"]] == [
        *((keyword, "手机", 70) for keyword in markets),
        ("此后", None, 5),
    ]


def test_what_was_only_recommended_is_written_again_once_it_is_a_hit(operator: Operator, site: Site) -> None:
    market = site.open(Market(keyword="先荐后中", items=20), Fault(kind=FaultKind.SIMILAR))

    first = operator.crawl("先荐后中")
    site.open(market)
    second = operator.crawl("先荐后中")

    assert [run.outcome for run in (first, second)] == ["finished"] * 2
    assert {line["keyword"] for line in first.listings} == {None}
    assert first.manifest["searches"] == []
    assert found_listings(second) == expected_listings(market)


PASSING = {
    "服务超时": Fault(kind=FaultKind.SERVICE_TIMEOUT, pages=(1,), times=2),
    "调用超时": Fault(kind=FaultKind.HSF_TIMEOUT, pages=(2,), times=1),
    "系统繁忙": Fault(kind=FaultKind.BUSY, pages=(2,), times=2),
    "一直超时": Fault(kind=FaultKind.TIMEOUT, pages=(2,)),
}


def test_passing_faults_are_asked_again_and_only_then_make_a_run_partial(operator: Operator, site: Site) -> None:
    markets = {keyword: site.open(Market(keyword=keyword, items=ROWS), fault) for keyword, fault in PASSING.items()}
    after = site.open(Market(keyword="此后", items=5))

    run = operator.crawl("此后", *markets)  # the first one fetches the token

    assert (run.code, run.outcome) == (4, "partial"), run.complaints
    assert run.manifest["detail"] == "一直超时, page 2: the API answered TIMEOUT to each try"
    never = markets["一直超时"]
    expected = expected_listings(*markets.values(), after)
    for number in never.numbers(2):
        del expected[never.item_id(number)]
    assert found_listings(run) == expected
    tries = Counter((keyword, page) for keyword, page, _ in run.asked[1:])
    assert [tries[key] for key in (("服务超时", 1), ("调用超时", 2), ("系统繁忙", 2), ("一直超时", 2))] == [3, 2, 3, 3]
    # No silence follows: the next run asks, and finds what is left.
    site.open(never)
    again = operator.crawl("此后", *markets)
    assert (again.code, len(again.listings)) == (0, len(list(never.numbers(2))))


def test_a_first_page_without_the_offers_that_the_site_counts_is_not_complete(operator: Operator, site: Site) -> None:
    keywords = [f"数而不示 {number}" for number in range(4)]  # more than searches without an answer that end a run
    empty = [site.open(Market(keyword=each, items=70), Fault(kind=FaultKind.EMPTY, pages=(1,))) for each in keywords]
    after = site.open(Market(keyword="此后", items=5))

    run = operator.crawl(*keywords, "此后")

    assert (run.code, run.outcome) == (4, "partial")
    first = "数而不示 0, page 1: the site counts 70 offers and shows none"
    assert run.manifest["detail"] == f"{first} (and 3 more; see the log)"
    assert found_listings(run) == expected_listings(after)
    site.open(empty[0])
    assert found_listings(operator.crawl(keywords[0], "此后")) == expected_listings(empty[0])


def test_an_answer_of_another_schema_ends_the_run(operator: Operator, site: Site) -> None:
    kind = FaultKind.SCHEMA
    market = site.open(Market(keyword=f"变化 {kind}", items=70), Fault(kind=kind, pages=(2,)))

    run = operator.crawl(market.keyword, "此后")

    assert (run.code, run.outcome) == (5, "schema_changed"), run.complaints
    assert found_listings(run) == expected_listings(market, numbers=market.numbers(1))
    assert [(subject, page) for subject, page, _ in run.asked[1:]] == [(market.keyword, 1), (market.keyword, 2)]


@pytest.mark.parametrize("robots", [Robots.DISALLOW, Robots.UNAVAILABLE, Robots.PAGE, Robots.HANG, Robots.RESET])
def test_nothing_is_requested_unless_robots_txt_allows_it(operator: Operator, site: Site, robots: Robots) -> None:
    site.robots(robots, seconds=3)
    site.open(Market(keyword="机器人", items=5))

    run = operator.crawl("机器人", ANSWER_TIMEOUT="1")

    assert (run.code, run.outcome, run.listings) == (3, "robots", []), run.complaints
    assert {record["path"] for record in run.requests} == {"/robots.txt"}


def test_a_site_that_cannot_be_reached_is_left_alone(operator: Operator) -> None:
    run = operator.crawl("无人", BASE_URL=f"http://127.0.0.1:{free_port()}")

    assert (run.code, run.outcome, run.listings) == (3, "robots", []), run.complaints


def test_a_token_that_expires_on_the_way_is_renewed(tmp_path: Path) -> None:
    with Site.start(tmp_path, token_uses=7) as site:
        market = site.open(Market(keyword="令牌", items=20 * PAGE_ROWS))

        run = Operator(site, tmp_path / "data").crawl("令牌")

    assert (run.code, run.outcome) == (0, "finished"), run.complaints
    assert found_listings(run) == expected_listings(market)
    # 20 pages with a token for each 7; the request that finds a token expired is sent again with a new one.
    signed = Counter(record["signed"] for record in run.requests if "signed" in record)
    assert signed == {"empty": 1, "right": 20, "exoired": 2}


def test_a_crawl_delay_is_kept(operator: Operator, site: Site) -> None:
    site.robots(Robots.DELAY)
    market = site.open(Market(keyword="慢一点", items=5))

    run = operator.crawl("慢一点")

    assert (run.code, found_listings(run)) == (0, expected_listings(market))
    moments = [record["at"] for record in run.requests if "subject" in record]
    assert len(moments) == 2
    # The pause begins when a request is sent, which is a little before it is recorded.
    assert 1.9 < moments[1] - moments[0] < 4.0


def test_the_days_budget_holds_over_runs(operator: Operator, site: Site) -> None:
    market = site.open(Market(keyword="预算", items=95))

    assert [_blocks(operator.data), _blocks(operator.data)] == [1, 2]
    first = operator.crawl("预算", DAILY_BUDGET="4")
    # After a successful run the next block counts as the first one again; a run that sent nothing is none.
    assert _blocks(operator.data) == 1
    second = operator.crawl("预算", DAILY_BUDGET="4")
    assert _blocks(operator.data) == 2

    assert (first.code, first.outcome, len(first.requests)) == (0, "budget", 4)
    assert found_listings(first) == expected_listings(market, numbers=[*market.numbers(1), *market.numbers(2)])
    assert (second.code, second.outcome, second.requests) == (0, "budget", [])


def _blocks(data: Path) -> int:
    """Record a block of long ago. Returns how many there were since the last successful run."""
    data.mkdir(exist_ok=True)
    state = State(data / "state.sqlite3")
    blocks = state.start_cooldown(datetime(2026, 1, 1, tzinfo=UTC), Outcome.BLOCKED, "RGV587_ERROR").blocks
    state.close()
    return blocks


def test_only_one_run_at_a_time_and_sigterm_keeps_what_was_fetched(operator: Operator, site: Site) -> None:
    # Enough pages for the second run to begin and end while the first one goes on.
    market = site.open(Market(keyword="中断", items=1500), pause=0.1)

    with operator.running("中断", BATCH="50", PAGE_LIMIT="100") as run:
        run.wait_for_pages(4)
        overlapping = operator.crawl("中断")
        run.process.send_signal(signal.SIGTERM)
        stopped = run.wait()

    assert (overlapping.code, overlapping.folder) == (75, None)
    assert (stopped.code, stopped.outcome) == (4, "stopped"), stopped.complaints
    kept = found_listings(stopped)
    everything = expected_listings(market)
    assert kept.items() <= everything.items()
    # Whole pages are kept; the one under way at the signal may be completed or dropped.
    assert len(kept) in range(4 * PAGE_ROWS - PAGE_ROWS, len(stopped.asked) * PAGE_ROWS, PAGE_ROWS)
    assert [path.name for path in _parts(operator.data)] == []

    site.open(market)
    rest = operator.crawl("中断", PAGE_LIMIT="100")

    assert (rest.code, rest.outcome) == (0, "finished")
    assert found_listings(rest) == {item_id: fields for item_id, fields in everything.items() if item_id not in kept}


def _parts(data: Path) -> list[Path]:
    return list(data.rglob("*.part"))


def test_a_run_stops_at_its_time_limit(operator: Operator, site: Site) -> None:
    market = site.open(Market(keyword="超时", items=3000), pause=0.1)

    run = operator.crawl("超时", TIMEOUT="1.5", PAGE_LIMIT="100")

    assert (run.code, run.outcome) == (4, "timeout"), run.complaints
    assert found_listings(run).items() <= expected_listings(market).items()
    assert len(run.asked) < 40
    assert _parts(operator.data) == []


def test_details_of_goods_that_are_on_sale_offline_sold_or_deleted(operator: Operator, site: Site) -> None:
    market = site.open(Market(keyword="详情", items=12))
    missing = "799999999999"

    run = operator.crawl(*(market.item_id(number) for number in range(1, 13)), missing, spider="xianyu_detail")

    assert (run.code, run.outcome) == (0, "finished"), run.complaints
    expected = {market.item_id(number): market.good(number).detail_listing() for number in range(1, 13)}
    assert found_listings(run) == expected
    assert {flag for listing in expected.values() for flag in listing["flags"]} == {"offline", "sold"}
    assert [(reject["item_id"], reject["reason"]) for reject in run.rejects] == [(missing, "gone")]
    assert personal_data(operator.data, market) == []


@pytest.mark.parametrize("scheme", ["http:", ""])
def test_a_missing_picture_costs_no_listing(operator: Operator, site: Site, scheme: str) -> None:
    pictures = f"{scheme}//127.0.0.1:{site.port}/pictures"
    market = site.open(Market(keyword=f"{scheme}图片", items=10, pictures=pictures))

    run = operator.crawl(market.keyword, PICTURES="yes")

    assert (run.code, run.outcome) == (0, "finished"), run.complaints
    found = found_listings(run)
    named = {item_id: listing["pictures"] for item_id, listing in found.items()}
    assert {item_id: {**listing, "pictures": []} for item_id, listing in found.items()} == expected_listings(market)
    # 1 is missing, 2 is an HEIC, 3 is half a JPEG. Without a scheme the URL means https, which the fake does not speak.
    good = set(range(4, 11)) if scheme else set()
    assert {item_id for item_id, names in named.items() if names} == {market.item_id(number) for number in good}
    assert run.folder is not None
    stored = {path.name for path in (run.folder / "pictures").rglob("*.jpg")}
    assert stored == {Path(name).name for names in named.values() for name in names}
    assert personal_data(operator.data, market) == []
