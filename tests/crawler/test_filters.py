"""Price range, regions and words of a target: how they are read, sent, and checked on the rows."""

import json

import pytest
from xianyu.errors import ConfigurationError
from xianyu.filters import Filters, Region, _regions, place_of
from xianyu.items import PriceStatus
from xianyu.mtop import search_data
from xianyu.targets import Target, parse_targets

from tests.crawler.crawls import Operator, expected_listings, found_listings
from tests.crawler.factories import make_listing
from tests.crawler.goofish.faults import Fault, FaultKind
from tests.crawler.goofish.filters import Wanted
from tests.crawler.goofish.generated_market import Good, Market
from tests.crawler.goofish.process import Site

SHENZHEN = Region("广东", "深圳")


# Reading


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("price: 100-800", Filters(lowest=100, highest=800)),
        ("price：100 - 800", Filters(lowest=100, highest=800)),
        ("Price: 100~800", Filters(lowest=100, highest=800)),
        ("price: 100至800", Filters(lowest=100, highest=800)),
        ("price: １００－８００", Filters(lowest=100, highest=800)),
        ("price: 100−800", Filters(lowest=100, highest=800)),
        ("price: 100-", Filters(lowest=100)),
        ("price: -800", Filters(highest=800)),
        ("price: 0-800", Filters(highest=800)),
        ("price: 800-800", Filters(lowest=800, highest=800)),
        ("region: 上海", Filters(regions=(Region("上海"),))),
        ("region: 广东省", Filters(regions=(Region("广东"),))),
        ("region: 广东/深圳市, 上海市、广东 / 深圳", Filters(regions=(SHENZHEN, Region("上海")))),
        ("region: 深圳", Filters(regions=(SHENZHEN,))),
        ("region: 广东／深圳", Filters(regions=(SHENZHEN,))),
        ("region: 新疆维吾尔自治区，内蒙古", Filters(regions=(Region("新疆"), Region("内蒙古")))),
        ("region: 吉林/吉林", Filters(regions=(Region("吉林", "吉林"),))),
        ("without: 壳, 求购，膜、壳", Filters(without=("壳", "求购", "膜"))),
        ("without: 求\u2060购\ufeff", Filters(without=("求购",))),
        ("without: ＩＰＨＯＮＥ 壳", Filters(without=("iphone 壳",))),
    ],
)
def test_options_of_a_target(line: str, expected: Filters) -> None:
    assert parse_targets(f"相机\t{line}\n".encode(), name="t") == [Target("相机", None, expected)]


def test_options_come_in_any_order_and_beside_a_category() -> None:
    lines = [
        "相机\t数码\twithout: 壳\tprice: 1-2",
        "相机\tprice: 1-2\twithout: 壳",
        "category: 乐器\tregion: 上海",
        "price: 5",  # the first field is always the keyword
    ]
    both = Filters(lowest=1, highest=2, without=("壳",))
    assert parse_targets("\n".join([lines[0], *lines[2:]]).encode(), name="t") == [
        Target("相机", "数码", both),
        Target("乐器", "乐器", Filters(regions=(Region("上海"),))),
        Target("price: 5", None),
    ]
    with pytest.raises(ConfigurationError) as caught:
        parse_targets("\n".join(lines[:2]).encode(), name="t")
    assert str(caught.value) == "t: line 2 searches for the keyword of line 1 under another category"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("price: 800-100", "has a price range in which there is nothing"),
        ("price: 0-0", "has a price range in which there is nothing"),
        ("price: -0", "has a price range in which there is nothing"),
        ("price: -", "has a price that is not like 100-800, 100- or -800, in whole yuan"),
        ("price: 100", "has a price that is not like 100-800, 100- or -800, in whole yuan"),
        ("price: 1.5-2", "has a price that is not like 100-800, 100- or -800, in whole yuan"),
        ("price: ¥1-¥2", "has a price that is not like 100-800, 100- or -800, in whole yuan"),
        ("price: 1-999999999", "has a price that is not like 100-800, 100- or -800, in whole yuan"),
        ("price:", "has a price that is not like 100-800, 100- or -800, in whole yuan"),
        ("price: 1-2\tprice: 1-2", "has price twice"),
        ("region: 火星", "names a region that is no province or city: 火星"),
        ("region: 广东深圳", "names a region that is no province or city: 广东深圳"),
        ("region: 广东/杭州", "names a city that is not in 广东: 广东/杭州"),
        ("region: 广东/", "names a city that is not in 广东: 广东/"),
        ("region: 上海,", "has an empty region"),
        ("region:", "has an empty region"),
        ("without: 壳,,膜", "has an empty word"),
        ("without:", "has an empty word"),
        (f"without: {'字' * 51}", "has a word to leave out of 51 characters; 50 are allowed"),
        (f"without: {','.join(map(str, range(51)))}", "has 51 words to leave out; 50 are allowed"),
        ("without: a\x00", "has a control character in its without"),
        ("price: 1-2\t手机", "is not a keyword and, after a tab, a category"),
        ("prise: 1-2", "has an option that is none of price:, region: and without: — prise:"),
        ("价格：1-2", "has an option that is none of price:, region: and without: — 价格:"),
    ],
)
def test_what_is_refused(options: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_targets(f"ok\n相机\t{options}\n".encode(), name="t")
    assert str(caught.value) == f"t: line 2 {why}"


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("相机 price: 1-2", "price"),
        ("相机  Region：上海\twithout: 壳", "region"),
        ("相机\t数码 without: 壳", "without"),
        ("相机\twithout: 壳 price: 1-2", "price"),
    ],
)
def test_an_option_needs_a_tab_before_it(line: str, name: str) -> None:
    """Or else it would be searched for."""
    with pytest.raises(ConfigurationError) as caught:
        parse_targets(line.encode(), name="t")
    assert str(caught.value) == f"t: line 1 has {name}: without a tab before it"


def test_one_keyword_with_several_filters_is_several_searches() -> None:
    text = "相机\tprice: 1-100\n相机\tprice: 101-\n相机\n相机\tprice: 1-100\n"
    found = parse_targets(text.encode(), name="t")
    assert [target.walk for target in found] == ["相机\tprice: 1-100", "相机\tprice: 101-", "相机"]
    everything = Target("相机", None, Filters(lowest=1, regions=(SHENZHEN, Region("上海")), without=("壳", "a b")))
    assert everything.walk == "相机\tprice: 1-\tregion: 广东/深圳, 上海\twithout: 壳, a b"
    assert parse_targets(everything.walk.encode(), name="t") == [everything]


def test_the_table_of_regions() -> None:
    regions = _regions()
    assert len(regions) == 34
    assert len(regions["广东"]) == 21
    assert regions["上海"] == frozenset()
    assert all(len(name) >= 2 for names in (regions, *regions.values()) for name in names)


# Sending


def sent(filters: Filters) -> tuple[str, str]:
    data = json.loads(search_data("k", 1, search_filter=filters.search_filter, extra_filter=filters.extra_filter))
    return data["propValueStr"]["searchFilter"], data["extraFilterValue"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), ("", "{}")),
        (Filters(without=("壳",)), ("", "{}")),
        (Filters(lowest=100, highest=800), ("priceRange:100,800;", "{}")),
        (Filters(lowest=100), ("priceRange:100,;", "{}")),
        (Filters(highest=800), ("priceRange:0,800;", "{}")),
        (
            Filters(regions=(Region("上海"), SHENZHEN)),
            (
                "",
                '{"divisionList":[{"province":"上海"},{"province":"广东","city":"深圳"}],'
                '"excludeMultiPlacesSellers":"0","extraDivision":""}',
            ),
        ),
    ],
)
def test_what_is_sent(filters: Filters, expected: tuple[str, str]) -> None:
    """As the site's own pages send it; nothing for words, for which the site has no filter."""
    assert sent(filters) == expected


def test_without_filters_the_request_is_as_before() -> None:
    assert search_data("k", 1) == search_data("k", 1, search_filter="", extra_filter="{}")


# Checking the rows


@pytest.mark.parametrize(
    ("area", "expected"),
    [
        ("广东", Region("广东")),
        ("广东深圳", SHENZHEN),
        ("广东省深圳市", SHENZHEN),
        ("广东 深圳", SHENZHEN),
        ("深圳", SHENZHEN),
        ("深圳市南山区", SHENZHEN),
        ("上海浦东", Region("上海")),
        ("新疆维吾尔自治区", Region("新疆")),
        ("新疆维吾尔自治区喀什地区", Region("新疆", "喀什")),
        ("海南", Region("海南")),
        ("吉林", Region("吉林")),
        ("火星", None),
        ("", None),
    ],
)
def test_the_place_of_a_row(area: str, expected: Region | None) -> None:
    assert place_of(area) == expected


@pytest.mark.parametrize(
    ("filters", "fields", "admitted"),
    [
        (Filters(lowest=100, highest=800), {"price_fen": 100_00}, True),
        (Filters(lowest=100, highest=800), {"price_fen": 800_00}, True),
        (Filters(lowest=100, highest=800), {"price_fen": 99_99}, False),
        (Filters(lowest=100, highest=800), {"price_fen": 800_01}, False),
        (Filters(lowest=100), {"price_fen": 9_999_999_00}, True),
        (Filters(highest=800), {"price_fen": 1}, True),
        (Filters(highest=800), {"price_fen": None, "price_status": PriceStatus.NEGOTIABLE}, False),
        (Filters(regions=(SHENZHEN,)), {"area": "广东深圳"}, True),
        (Filters(regions=(SHENZHEN,)), {"area": "深圳"}, True),
        (Filters(regions=(SHENZHEN,)), {"area": "广东"}, True),
        (Filters(regions=(SHENZHEN,)), {"area": None}, True),
        (Filters(regions=(SHENZHEN,)), {"area": "火星"}, True),
        (Filters(regions=(SHENZHEN,)), {"area": "广州"}, False),
        (Filters(regions=(SHENZHEN,)), {"area": "浙江"}, False),
        (Filters(regions=(Region("广东"), Region("上海"))), {"area": "上海"}, True),
        (Filters(regions=(Region("广东"), Region("上海"))), {"area": "广东深圳"}, True),
        (Filters(without=("壳",)), {"title": "iPhone 13 手机壳"}, False),
        (Filters(without=("iphone",)), {"title": "ＩＰＨＯＮＥ 13"}, False),
        (Filters(without=("求购",)), {"title": "求\u200b购 iPhone 13"}, False),
        (Filters(without=("壳",)), {"title": "iPhone 13", "description": "送壳"}, True),
        (Filters(), {"price_fen": None, "area": None}, True),
    ],
)
def test_what_is_checked_on_a_row(filters: Filters, fields: dict[str, object], admitted: bool) -> None:
    assert filters.admits(make_listing(**fields)) is admitted


# Whole crawls

CHEAP = Wanted(100_00, 3000_00, ())
SHANGHAI = Wanted(None, None, (("上海", ""),))


def test_the_site_filters_and_the_rows_are_checked_again(operator: Operator, site: Site) -> None:
    """The first keyword's site heeds the filters, the second's does not. Both bring just what was asked for."""
    heeding = site.open(Market(keyword="耳机", items=100))
    deaf = site.open(Market(keyword="吉他", items=100), Fault(kind=FaultKind.UNFILTERED))
    places = site.open(Market(keyword="相机", items=100))
    words = site.open(Market(keyword="键盘", items=40))

    def expected(market: Market, *wanted: Wanted, without: str = "") -> set[str]:
        def is_wanted(good: Good) -> bool:
            return all(each.finds(good) for each in wanted) and (not without or without not in (good.title.raw or ""))

        return {good.item_id for good in market.goods() if is_wanted(good)}

    crawl = operator.crawl(
        "耳机\tprice: 100-3000", "吉他\tprice: 100-3000", "相机\tregion: 上海", "键盘\twithout: 九成新, 国行"
    )

    assert (crawl.code, crawl.outcome) == (0, "finished"), crawl.complaints
    wanted = {
        *expected(heeding, CHEAP),
        *expected(deaf, CHEAP),
        *expected(places, SHANGHAI),
        *(expected(words, without="九成新") & expected(words, without="国行")),
    }
    found = found_listings(crawl)
    assert set(found) == wanted
    everything = expected_listings(heeding, deaf, places, words)
    assert found == {item_id: everything[item_id] for item_id in wanted}
    left_out = (100 - len(expected(deaf, CHEAP))) + 40 - len(wanted & set(words.listings()))
    assert crawl.manifest["counts"]["left_out"] == left_out > 60
    asked = {request["subject"]: request["filters"] for request in crawl.requests if "subject" in request}
    assert asked == {
        "耳机": ["priceRange:100,3000;", "{}"],
        "吉他": ["priceRange:100,3000;", "{}"],
        "相机": ["", '{"divisionList":[{"province":"上海"}],"excludeMultiPlacesSellers":"0","extraDivision":""}'],
        "键盘": ["", "{}"],
    }
    pages = [keyword for keyword, _, answer in crawl.asked if answer == "page"]
    assert pages.count("吉他") == 4 > pages.count("耳机") >= 1
    assert not any(request.get("wrong") for request in crawl.requests)

    # The same filters again: one page of each. Others are another search, which goes through all its pages.
    again = operator.crawl("键盘\twithout: 九成新, 国行", "耳机\tprice: 100-3000", "耳机\tprice: 100-")
    assert (again.code, len(again.listings) > 0) == (0, True)
    pages = [keyword for keyword, _, answer in again.asked if answer == "page"]
    assert pages.count("键盘") == 1
    assert pages.count("耳机") > 2
