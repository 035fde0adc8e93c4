"""Parsing answers into listings: every field in every form, and damage at every place of an answer."""

import contextlib
import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xianyu.items import Flag, Listing, PriceStatus
from xianyu.parsing import Context, Page, Reject, RejectReason, SchemaChanged, parse_cards, parse_detail, parse_search
from xianyu.prices import read_price

from tests.crawler.goofish.faults import CARDS_WITHOUT_ITEM
from tests.live import PROJECT

SAMPLES: Final = PROJECT / "crawler" / "samples"
CONTEXT: Final = Context(
    fetched_at=datetime(2026, 11, 22, 21, 40, 42, 999_999, tzinfo=UTC), keyword="相机", category="数码", run_id="r-1"
)
HUGE: Final = 10**5000
"""More than the 4,300 digits that Python converts to a text."""
GONE: Final = {"ret": ["FAIL_BIZ_ITEM_DEL_NOT_FOUND::您要看的宝贝不存在或已被删除啦!"], "data": {}}


def sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_bytes())


def main_of(answer: Any, number: int = 0) -> Any:
    """`data.item.main` of a row."""
    return answer["data"]["resultList"][number]["data"]["item"]["main"]


def one(**content: Any) -> Listing:
    """The listing of the sample's first row with these changes in its `exContent`; None removes a key."""
    answer = sample("search.json")
    answer["data"]["resultList"] = answer["data"]["resultList"][:1]
    node = main_of(answer)["exContent"]
    node.update(content)
    for key in [key for key, value in content.items() if value is None]:
        del node[key]
    (listing,) = parse_search(answer, context=CONTEXT).listings
    return listing


def test_the_sample_of_a_search() -> None:
    page = parse_search(sample("search.json"), context=CONTEXT)

    assert page.item_ids == tuple(f"900000000000{number}" for number in range(1, 9))
    assert page.has_next
    assert (page.keyword, page.offers, page.recommended) == ("相机", 480_000, 0)
    assert page.rejects == [
        Reject("9000000000009", RejectReason.NO_TITLE, "data.resultList[8]"),
        Reject(None, RejectReason.NO_ITEM, "data.resultList[9]"),
    ]
    assert asdict(page.listings[0]) == {
        "source": "xianyu",
        "item_id": "9000000000001",
        "url": "https://www.goofish.com/item?id=9000000000001",
        "title": "佳能 5D4 单机身 成色如图",
        "description": "佳能 5D4 单机身 成色如图\n快门 3 万次，功能正常。\n可同城面交。",
        "price_fen": 564_250,
        "price_raw": "¥5642.50",
        "price_status": "ok",
        "orig_price_fen": 699_900,
        "coupon_off_fen": None,
        "condition": None,
        "brand": None,
        "free_shipping": True,
        "area": "上海",
        "category_id": "1512",
        "want_count": 12,
        "published_at": "2026-09-21T10:13:52Z",
        "fetched_at": "2026-11-22T21:40:42Z",
        "keyword": "相机",
        "category": "数码",
        "flags": [],
        "pictures": [],
        "run_id": "r-1",
    }
    assert [(each.price_fen, each.price_raw, each.price_status) for each in page.listings[1:]] == [
        (299_900, "当前价¥2,999", PriceStatus.OK),
        (1_200_000, "¥1.2万", PriceStatus.OK),
        (None, "面议", PriceStatus.NEGOTIABLE),
        (None, "", PriceStatus.MISSING),
        (430_000, "¥4300", PriceStatus.OK),
        (None, "0", PriceStatus.ZERO),
        (268_000, "2680.00", PriceStatus.OK),
    ]
    assert [each.want_count for each in page.listings] == [12, 12_000, None, None, None, None, None, None]
    assert [each.flags for each in page.listings] == [
        *([], [Flag.AUCTION], [], [], [], [], [Flag.ADVERTISEMENT], []),
    ]
    assert page.listings[5].title == "理光 GR3 📷 送两块电池 电话 [已隐去]"
    assert page.listings[5].description == "成色 95 新。\n微信：[已隐去]，非诚勿扰"
    assert (page.listings[4].description, page.listings[6].area) == (None, None)
    assert page.listings[7].category_id == "126862528"
    assert page.picture_urls["9000000000008"] == [
        "http://img.alicdn.com/sample/O1CN01sample_!!2200000000000-0-xy_item_8.jpg"
    ]


def test_the_sample_of_a_detail() -> None:
    page = parse_detail(sample("detail.json"), context=Context(fetched_at=CONTEXT.fetched_at, run_id="r-2"))

    assert (page.rejects, page.has_next, page.item_ids) == ([], False, ("9000000000001",))
    (listing,) = page.listings
    assert asdict(listing) == {
        "source": "xianyu",
        "item_id": "9000000000001",
        "url": "https://www.goofish.com/item?id=9000000000001",
        "title": "佳能 5D4 单机身 成色如图",
        "description": "快门 3 万次，功能正常。\n可同城面交。",
        "price_fen": 564_250,
        "price_raw": "5642.50",
        "price_status": "ok",
        "orig_price_fen": 699_900,
        "coupon_off_fen": None,
        "condition": "几乎全新",
        "brand": None,
        "free_shipping": True,
        "area": "上海",
        "category_id": "1512",
        "want_count": 12,
        "published_at": "2026-09-21T10:13:52Z",
        "fetched_at": "2026-11-22T21:40:42Z",
        "keyword": None,
        "category": None,
        "flags": [],
        "pictures": [],
        "run_id": "r-2",
    }
    assert page.picture_urls == {
        "9000000000001": ["//img.alicdn.com/sample/O1CN01sample_!!2200000000000-0-xy_item_1.jpg"]
    }


@pytest.mark.parametrize(
    ("title", "read"),
    [
        ("佳能\r\n 5D4", "佳能 5D4"),
        ("佳能 \n\n\n5D4\u2028机身", "佳能 5D4 机身"),
        ("佳\x00能\x07 5D4\x1b\x7f\x9f", "佳能 5D4"),
        ("佳能\x00\n5D4", "佳能 5D4"),
        ("  佳能\t5D4　", "佳能 5D4"),
        ("佳能　5D4  机身", "佳能　5D4  机身"),
        ("📷🇨🇳👨‍👩‍👧 𠮷祥 é e\u0301", "📷🇨🇳👨‍👩‍👧 𠮷祥 é e\u0301"),
        ("佳能\ud83d 5D4", "佳能 5D4"),
        ("佳\u200b能\xad \u202e5D4\u2069\ufeff", "佳能 5D4"),
        ('<b>佳能</b> &amp; "好" \\ \'', '<b>佳能</b> &amp; "好" \\ \''),
        ("长" * 1500, "长" * 1500),
    ],
)
def test_titles_are_one_line_and_otherwise_as_written(title: str, read: str) -> None:
    assert one(title=title).title == read


def test_a_title_of_blanks_is_read_at_once() -> None:
    """A regex that searches for a line break from every blank would take minutes."""
    blanks = " " * 300_000
    assert one(title=f"佳能{blanks}5D4\x00{blanks}\n机身").title == f"佳能{blanks}5D4 机身"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("快门\r\n3 万\n\n次\r完", "快门\n3 万\n\n次\n完"),
        ("\n 快门\x003\t万 \n", "快门3 万"),
        ("佳能 5D4 单机身 成色如图", None),
        ("佳能 5D4\n单机身", None),
        ("", None),
        (" \n", None),
        (5, None),
    ],
)
def test_descriptions_keep_their_lines_and_do_not_repeat_the_title(text: Any, read: str | None) -> None:
    assert one(detailParams={"title": text}).description == read


def texts(*said: str | None) -> list[dict[str, str | None]]:
    return [{"text": text} for text in said]


@pytest.mark.parametrize(
    ("shown", "sold", "argument", "expected"),
    [
        (texts("¥", "1", ".50"), "2", "3", (150, PriceStatus.OK, "¥1.50")),
        (None, "2.00", "3", (200, PriceStatus.OK, "2.00")),
        (None, None, "3", (300, PriceStatus.OK, "3")),
        (None, None, None, (None, PriceStatus.MISSING, "")),
        ([], "2", "3", (200, PriceStatus.OK, "2")),
        (texts("¥"), None, None, (None, PriceStatus.MISSING, "¥")),
        (texts("¥"), "2", None, (200, PriceStatus.OK, "2")),
        (texts("面议"), "2", "3", (None, PriceStatus.NEGOTIABLE, "面议")),
        (texts("¥", "50", "/天"), "50", "50", (None, PriceStatus.UNREADABLE, "¥50/天")),
        (texts("¥", "0"), "2", "3", (None, PriceStatus.ZERO, "¥0")),
        (None, "0", None, (None, PriceStatus.ZERO, "0")),
        # A part that is damaged makes another price of the rest.
        (texts("¥", "1", None), "1.50", None, (150, PriceStatus.OK, "1.50")),
        ([{"text": "¥"}, {"text": "1"}, None], "1.50", None, (150, PriceStatus.OK, "1.50")),
        ([{"text": "¥"}, {}], None, None, (None, PriceStatus.MISSING, "")),
        # One text or number instead of parts, and marks that nobody sees.
        ("¥1,200", "2", None, (120_000, PriceStatus.OK, "¥1,200")),
        (1200, "2", None, (120_000, PriceStatus.OK, "1200")),
        ({"text": "¥1"}, "2", None, (200, PriceStatus.OK, "2")),
        (texts("\u202a¥", "12\u200b", ".5\u202c"), None, None, (1250, PriceStatus.OK, "¥12.5")),
        # Numbers instead of texts.
        (None, 2, None, (200, PriceStatus.OK, "2")),
        (None, 2.5, None, (250, PriceStatus.OK, "2.5")),
        (None, 0.1, None, (10, PriceStatus.OK, "0.1")),
        (None, 1e300, "3", (300, PriceStatus.OK, "3")),
        (None, float("nan"), "3", (300, PriceStatus.OK, "3")),
        pytest.param(None, HUGE, "3", (300, PriceStatus.OK, "3"), id="huge"),
        (None, True, "3", (300, PriceStatus.OK, "3")),
    ],
)
def test_the_first_place_with_a_price_counts(
    shown: Any, sold: Any, argument: Any, expected: tuple[int | None, PriceStatus, str]
) -> None:
    answer = sample("search.json")
    main = main_of(answer)
    main["exContent"]["price"], main["clickParam"]["args"]["price"] = shown, argument
    main["exContent"]["detailParams"]["soldPrice"] = sold

    listing = parse_search(answer, context=CONTEXT).listings[0]

    assert (listing.price_fen, listing.price_status, listing.price_raw) == expected


@pytest.mark.parametrize(
    ("tag", "wanted"),
    [
        ("12人想要", 12),
        ("3天内 999+人想要", 999),
        ("1.2万人想要", 12_000),
        ("1.2345万人想要", 12_345),
        ("12万 人想要", 120_000),
        ("99999999999999人想要", None),
        ("999999999万人想要", None),
        ("1,234人想要", None),
        ("人想要", None),
        ("12人小刀", None),
    ],
)
def test_the_want_count_is_in_any_row_of_tags(tag: str, wanted: int | None) -> None:
    rows = {
        "r1": None,
        "r2": {"tagList": [None, {"data": {"content": "包邮"}}]},
        "r7": {"tagList": [{"data": {"content": tag}}]},
    }

    assert one(fishTags=rows).want_count == wanted


@pytest.mark.parametrize(
    ("moment", "read"),
    [
        ("1789989232999", "2026-09-21T11:13:52Z"),
        (1789989232000, "2026-09-21T11:13:52Z"),
        (1789989232000.0, "2026-09-21T11:13:52Z"),
        ("1789989232", "2026-09-21T11:13:52Z"),
        (1789989232, "2026-09-21T11:13:52Z"),
        ("2026-09-21 19:13:52", "2026-09-21T11:13:52Z"),
        ("2026-09-21T11:13:52Z", "2026-09-21T11:13:52Z"),
        ("2026/09/21 19:13:52", "2026-09-21T11:13:52Z"),
        ("2026-9-21 19:13:52.0", "2026-09-21T11:13:52Z"),
        ("2026-13-21 19:13:52", None),
        ("2026-09-21", None),
        ("2026/9/21", None),
        ("0", None),
        ("178998923200", None),
        ("１７８９９８９２３２０００", None),
        ("3小时前", None),
        ("0001-01-01 00:00:00", None),
        ("", None),
        (10**30, None),
        (-1, None),
        (True, None),
        (1789989232.5, None),
        (float("nan"), None),
        (float("inf"), None),
        (None, None),
    ],
)
def test_times_are_milliseconds_seconds_or_written_in_china(moment: Any, read: str | None) -> None:
    answer = sample("search.json")
    main_of(answer)["clickParam"]["args"]["publishTime"] = moment

    assert parse_search(answer, context=CONTEXT).listings[0].published_at == read


@pytest.mark.parametrize(
    ("shown", "item_id", "other", "read"),
    [
        ("12", "13", "14", "12"),
        (12, None, None, "12"),
        (None, "13", "14", "13"),
        (None, None, "14", "14"),
        ("0", "000", "14", "14"),
        ("x12", "１３", "14", "14"),
        (True, -13, 14, "14"),
        pytest.param(HUGE, "1" * 21, "14", "14", id="huge"),
    ],
)
def test_the_first_place_with_a_number_is_the_id(shown: Any, item_id: Any, other: Any, read: str) -> None:
    answer = sample("search.json")
    main = main_of(answer)
    main["exContent"]["itemId"] = shown
    main["clickParam"]["args"].update(item_id=item_id, id=other)

    listing = parse_search(answer, context=CONTEXT).listings[0]

    assert (listing.item_id, listing.url) == (read, f"https://www.goofish.com/item?id={read}")


def test_a_row_without_an_id_is_rejected() -> None:
    answer = sample("search.json")
    main = main_of(answer)
    del main["exContent"]["itemId"], main["exContent"]["detailParams"], main["clickParam"], main["targetUrl"]

    page = parse_search(answer, context=CONTEXT)

    assert page.rejects[0] == Reject(None, RejectReason.NO_ID, "data.resultList[0]")
    assert len(page.listings) == 7


@pytest.mark.parametrize(
    ("status", "flags"),
    [
        *(("在线", []), ("已下架", [Flag.OFFLINE]), ("卖掉了", [Flag.SOLD]), ("审核中", []), (None, []), (0, [])),
        *(("已下架(违规)", [Flag.OFFLINE]), ("宝贝已售出", [Flag.SOLD]), ("在售", []), ("已删除", [Flag.OFFLINE])),
        *(("已卖光", [Flag.SOLD]), ("交易成功", [Flag.SOLD]), ("已转手", [Flag.SOLD]), ("交易中", []), ("预订中", [])),
        *(("已关闭", [Flag.OFFLINE]), ("已下线", [Flag.OFFLINE])),
    ],
)
def test_the_status_of_an_item_is_a_flag(status: Any, flags: list[Flag]) -> None:
    answer = sample("detail.json")
    answer["data"]["itemDO"]["itemStatusStr"] = status

    assert parse_detail(answer, context=CONTEXT).listings[0].flags == flags


@pytest.mark.parametrize(
    ("number", "flags"),
    [(0, []), (1, [Flag.SOLD]), (-2, [Flag.OFFLINE]), ("-2", [Flag.OFFLINE]), ("1", [Flag.SOLD]), (7, []), (True, [])],
)
def test_without_a_text_the_number_of_the_status_counts(number: Any, flags: list[Flag]) -> None:
    answer = sample("detail.json")
    answer["data"]["itemDO"].update(itemStatusStr=" ", itemStatus=number)

    assert parse_detail(answer, context=CONTEXT).listings[0].flags == flags


def test_a_default_price_is_none() -> None:
    answer = sample("detail.json")
    answer["data"]["itemDO"].update(soldPrice="9999", defaultPrice="true")

    (listing,) = parse_detail(answer, context=CONTEXT).listings

    assert (listing.price_fen, listing.price_status, listing.price_raw) == (None, PriceStatus.MISSING, "")


def test_brand_condition_and_shipping_in_a_detail() -> None:
    answer = sample("detail.json")
    item = answer["data"]["itemDO"]
    item["cpvLabels"] = [
        *(
            None,
            {"propertyName": "品牌", "valueName": ""},
            {"propertyName": "品牌", "valueName": "佳能 微信:fish_mi_1"},
        ),
        {"propertyName": "成色", "valueName": "轻微使用痕迹"},
    ]
    item.update(commonTags=[], transportFee="12.00")

    (listing,) = parse_detail(answer, context=CONTEXT).listings

    assert (listing.condition, listing.brand, listing.free_shipping) == ("轻微使用痕迹", "佳能 微信:[已隐去]", False)
    item.update(transportFee="0.00")
    assert parse_detail(answer, context=CONTEXT).listings[0].free_shipping is None


def test_zero_means_none_in_a_detail() -> None:
    answer = sample("detail.json")
    answer["data"]["itemDO"].update(
        originalPrice="0", soldPrice="0", categoryId=0, itemCatDTO={"tbCatId": 0}, wantCnt=0
    )
    answer["data"]["sellerDO"].update(publishCity=None, city="苏州")

    (listing,) = parse_detail(answer, context=CONTEXT).listings

    assert (listing.orig_price_fen, listing.price_fen, listing.price_status) == (None, None, PriceStatus.ZERO)
    assert (listing.category_id, listing.want_count, listing.area) == (None, 0, "苏州")


def test_an_item_that_is_gone_is_a_reject() -> None:
    page = parse_detail(GONE, context=Context(fetched_at=CONTEXT.fetched_at, run_id="r", item_id="77"))

    assert (page.listings, page.rejects) == ([], [Reject("77", RejectReason.GONE, "ret", "2026-11-22T21:40:42Z")])


@pytest.mark.parametrize(
    ("info", "rows", "more"),
    [
        ({"hasNextPage": True}, 1, True),
        ({"hasNextPage": False}, 30, False),
        ({}, 30, True),
        ({}, 29, False),
        (None, 30, True),
        ({"hasNextPage": "true"}, 29, False),
        ({"hasNextPage": None}, 30, True),
    ],
)
def test_without_has_next_page_a_full_page_has_a_next_one(info: Any, rows: int, more: bool) -> None:
    answer = sample("search.json")
    answer["data"].update(resultInfo=info, resultList=answer["data"]["resultList"][:1] * rows)

    assert parse_search(answer, context=CONTEXT).has_next is more


def test_nothing_found_is_an_answer() -> None:
    answer = {
        "data": {"resultList": [], "resultInfo": {"hasNextPage": False, "searchResControlFields": {"hasItems": False}}}
    }

    assert parse_search(answer, context=CONTEXT) == Page(
        listings=[], rejects=[], item_ids=(), has_next=False, picture_urls={}, keyword="相机", offers=0
    )


@pytest.mark.parametrize(
    ("found", "info", "offers"),
    [
        ([], {"hasNextPage": False, "searchResControlFields": {"hasItems": True, "numFound": 35}}, 35),
        ([], {"hasNextPage": True, "searchResControlFields": {"hasItems": True, "numFound": 480_000}}, 480_000),
        ([], {"searchResControlFields": {"hasItems": True, "numFound": 0}}, 0),
        ([], {"searchResControlFields": {"hasItems": True}}, None),
        ([], {"hasNextPage": False}, None),
        ([], {"searchResControlFields": {"hasItems": "true", "numFound": "35"}}, 35),
        ([], {"searchResControlFields": {"hasItems": "false"}}, 0),
        (None, {"hasNextPage": False, "searchResControlFields": {"hasItems": True, "numFound": 35}}, 35),
    ],
)
def test_a_page_without_rows_is_the_last_one(found: Any, info: Any, offers: int | None) -> None:
    page = parse_search({"data": {"resultList": found, "resultInfo": info}}, context=CONTEXT)

    assert page == Page(
        listings=[], rejects=[], item_ids=(), has_next=False, picture_urls={}, keyword="相机", offers=offers
    )


def test_where_the_site_found_nothing_a_list_may_be_missing() -> None:
    answer = {"data": {"resultInfo": {"searchResControlFields": {"hasItems": False, "numFound": 0}}}}

    page = parse_search(answer, context=CONTEXT)

    assert (page.listings, page.has_next, page.offers) == ([], False, 0)


def test_a_refusal_of_pages_so_far_behind_is_the_last_page() -> None:
    answer = {"ret": ["FAIL_BIZ_FORBIDDEN::||最大可查看页数或者每页最大可查看商品数超限"], "data": {}}

    assert [len(parse(answer, context=CONTEXT).listings) for parse in (parse_search, parse_cards)] == [0, 0]


RECOMMENDED: Final[list[dict[str, Any]]] = [
    {"hasItems": False},
    {"hasItems": "false"},
    {"hasItems": True, "numFound": 0},
    {"hasItems": "true", "numFound": "0"},
    {"hasItems": True, "similar": True, "numFound": 7},
    {"hasItems": True, "similar": "true"},
    {"hasItems": True, "srpFeedsItemsDataEmpty": True},
]


@pytest.mark.parametrize("control", RECOMMENDED, ids=str)
def test_rows_are_no_hits_where_the_site_found_nothing_or_something_similar(control: dict[str, Any]) -> None:
    answer = sample("search.json")
    answer["data"]["resultInfo"]["searchResControlFields"] = control

    page = parse_search(answer, context=CONTEXT)

    assert {(each.keyword, each.category) for each in page.listings} == {(None, None)}
    assert all(Flag.RECOMMENDED in each.flags and each.flags == sorted(each.flags) for each in page.listings)
    assert (page.recommended, len(page.listings), page.has_next) == (8, 8, False)
    assert (page.keyword, page.offers) == ("相机", None if control.get("similar") else 0)


@pytest.mark.parametrize(
    ("asked", "said", "encoded", "read"),
    [
        ("相机", "相机", None, ("相机", [])),
        ("相机", None, None, ("相机", [])),
        ("相机", None, "%E6%89%8B%E6%9C%BA", ("相机", [])),  # only where nobody knows what was searched for
        ("iPhone 15", "ＩＰＨＯＮＥ15", None, ("iPhone 15", [])),
        ("佳能 5D4 单机身 带电池和充电器", "佳能 5D4 单机身 带电池", None, ("佳能 5D4 单机身 带电池和充电器", [])),
        ("相机", "手机", None, (None, [Flag.RECOMMENDED])),
        ("iPhone 15", "iPhone", None, (None, [Flag.RECOMMENDED])),
        (None, "乒乓球拍", "%E6%89%8B", ("乒乓球拍", [])),
        (None, " 乒乓\n球拍 ", None, ("乒乓 球拍", [])),
        (None, None, "%E4%B9%92%E4%B9%93", ("乒乓", [])),
        (None, "", 5, (None, [])),
        (None, 5, None, (None, [])),
    ],
)
def test_the_keyword_of_a_row(asked: Any, said: Any, encoded: Any, read: tuple[str | None, list[Flag]]) -> None:
    answer = sample("search.json")
    answer["data"]["resultList"] = answer["data"]["resultList"][:1]
    main_of(answer)["clickParam"]["args"].update(keyword=said, q=encoded)

    page = parse_search(answer, context=replace(CONTEXT, keyword=asked))

    (listing,) = page.listings
    assert (listing.keyword, listing.flags) == read
    assert (page.keyword, page.offers) == (asked or read[0], None if read[1] else 480_000)


def test_rows_of_two_searches_have_no_keyword_together() -> None:
    answer = sample("search.json")
    for number, keyword in ((0, "相机"), (1, "佳能")):
        main_of(answer, number)["clickParam"]["args"]["keyword"] = keyword

    page = parse_search(answer, context=replace(CONTEXT, keyword=None))

    assert [each.keyword for each in page.listings[:3]] == ["相机", "佳能", None]
    assert (page.keyword, page.recommended) == (None, 0)


def test_cards_without_an_item_are_no_change_of_the_schema() -> None:
    answer = sample("search.json")
    answer["data"]["resultList"] = CARDS_WITHOUT_ITEM

    page = parse_search(answer, context=CONTEXT)

    assert [(each.item_id, each.reason) for each in page.rejects] == [(None, "no id"), (None, "no item")]
    assert (page.listings, page.has_next) == ([], False)
    # One row of an unknown form beside them is.
    answer["data"]["resultList"] = [*CARDS_WITHOUT_ITEM, {"data": {"thing": {}}}]
    with pytest.raises(SchemaChanged):
        parse_search(answer, context=CONTEXT)


@pytest.mark.parametrize(
    "changes",
    [
        {"exContent": {"id": "5", "name": "佳能", "price": [{"text": "¥5"}]}},
        {"exContent": {"title": "佳能", "detailParams": {"soldPrice": "5"}}},
        {"exContent": {"title": "佳能"}, "clickParam": {"args": {"price": "5"}}},
    ],
)
def test_rows_with_a_price_but_no_id_are_a_change_of_the_schema(changes: dict[str, Any]) -> None:
    row = {"data": {"item": {"main": changes}, "template": {"name": "idlefish_search_card_pc"}}}

    with pytest.raises(SchemaChanged):
        parse_search({"data": {"resultList": [row]}}, context=CONTEXT)


@pytest.mark.parametrize(
    "content",
    [
        {"title": "猜你喜欢"},
        {"titleSpan": {"content": "没有更多了,为你推荐"}},
        {"list": ["相似宝贝"], "title": "以下是相似宝贝"},
    ],
)
def test_rows_behind_the_heading_of_recommendations_are_no_hits(content: dict[str, Any]) -> None:
    answer = sample("search.json")
    heading = {"data": {"item": {"main": {"exContent": content}}, "template": {"name": "idlefish_search_title"}}}
    answer["data"]["resultList"].insert(3, heading)

    page = parse_search(answer, context=CONTEXT)

    assert [each.keyword for each in page.listings] == ["相机"] * 3 + [None] * 5
    assert (page.recommended, page.has_next, page.offers) == (5, False, 480_000)
    assert (page.rejects[0].item_id, page.rejects[0].place) == (None, "data.resultList[3]")
    # The heading of something else is only passed over.
    heading["data"]["item"]["main"]["exContent"] = {"title": "大家都在搜"}  # type: ignore[index]  # nested dicts
    assert parse_search(answer, context=CONTEXT).recommended == 0


@pytest.mark.parametrize(
    "heading",
    [
        {"data": {"item": {"main": {"exContent": {"title": "猜你喜欢"}}}}},
        {"type": "title", "data": {"title": "为你推荐"}},
        {"title": "更多推荐"},
        {"data": {"item": {"title": "相似商品"}}},
    ],
    ids=str,
)
def test_a_heading_is_one_by_what_it_says(heading: dict[str, Any]) -> None:
    answer = sample("search.json")
    answer["data"]["resultList"].insert(3, heading)
    assert [each.keyword for each in parse_search(answer, context=CONTEXT).listings] == ["相机"] * 3 + [None] * 5

    answer["data"]["resultList"] = [heading]  # then nothing of the schema has changed either
    assert parse_search(answer, context=CONTEXT).listings == []


# Labels


def labelled(*rows: list[str]) -> Listing:
    return one(
        fishTags={f"r{n}": {"tagList": [{"data": {"content": text}} for text in row]} for n, row in enumerate(rows)}
    )


@pytest.mark.parametrize(
    ("label", "fen"),
    [
        ("券已抵50元", 5_000),
        ("优惠券已抵扣12.5元", 1_250),
        ("红包已减5元", 500),
        ("券已抵¥50", 5_000),
        ("已用券抵8元", 800),
        ("领券减50", None),
        ("券满100减10", None),
        ("累计降价50元", None),
        ("券已抵0元", None),
        ("券已抵元", None),
        ("券已抵1,000元", 100_000),
        ("券已抵1,00元", None),
    ],
)
def test_a_coupon_that_the_price_was_lowered_by(label: str, fen: int | None) -> None:
    listing = labelled(["12人想要", label])

    assert (listing.coupon_off_fen, listing.price_fen, listing.want_count) == (fen, 564_250, 12)


def test_without_a_price_nothing_was_taken_off() -> None:
    assert (
        one(price=texts("面议"), fishTags={"r3": {"tagList": [{"data": {"content": "券已抵50元"}}]}}).coupon_off_fen
        is None
    )


@pytest.mark.parametrize(
    ("row", "condition", "brand"),
    [
        (["几乎全新", "Apple/苹果"], "几乎全新", "Apple/苹果"),
        (["全新", "银河"], "全新", "银河"),
        (["轻微使用痕迹", "freeShippingIcon", "无印良品/MUJI"], "轻微使用痕迹", "无印良品/MUJI"),
        (["95新", "128GB", "红双喜/DHS"], "95新", None),  # the brand is the first, or none
        (["九成新", "国行"], "九成新", None),
        (["明显使用痕迹", "无拆修"], "明显使用痕迹", None),
        (["全新", "微信:fish_mi_1"], "全新", "微信:[已隐去]"),
        (["Apple/苹果"], None, None),
        (["累计降价27%"], None, None),
        (["全新机器人玩具转让"], None, None),
    ],
)
def test_condition_and_brand_are_labels_of_one_row(row: list[str], condition: str | None, brand: str | None) -> None:
    listing = labelled(["3人想要"], row, ["回头客超99%的卖家"])

    assert (listing.condition, listing.brand, listing.want_count) == (condition, brand, 3)


def test_a_label_may_tell_the_name_of_its_property() -> None:
    tags = [
        {"content": "自用很新", "propertyName": "成色"},
        {"content": "729", "propertyText": "品牌"},
        {"content": "x", "propertyName": []},
    ]

    listing = one(fishTags={"r2": {"tagList": [{"data": tag} for tag in tags]}})

    assert (listing.condition, listing.brand) == ("自用很新", "729")


@pytest.mark.parametrize("name", ["成色", "品牌"])
def test_a_label_that_sellers_write_themselves_tells_no_contact(name: str) -> None:
    tag = {"content": "微信:fish_mi_1", "propertyName": name}

    listing = one(fishTags={"r2": {"tagList": [{"data": tag}]}})

    assert {listing.condition, listing.brand} == {None, "微信:[已隐去]"}


@pytest.mark.parametrize(
    ("labels", "argument", "free"),
    [
        (["freeShippingIcon"], None, True),
        (["包邮"], None, True),
        (["全国包邮"], None, True),
        ([], "包邮", True),
        (["不包邮"], None, None),
        (["24小时内发布"], "12人小刀", None),
        ([], None, None),
    ],
)
def test_free_shipping_is_said_by_a_label(labels: list[str], argument: str | None, free: bool | None) -> None:
    answer = sample("search.json")
    main = main_of(answer)
    main["exContent"]["fishTags"] = {"r1": {"tagList": [{"data": {"content": text}} for text in labels]}}
    main["clickParam"]["args"]["tagname"] = argument

    assert parse_search(answer, context=CONTEXT).listings[0].free_shipping is free


@pytest.mark.parametrize(
    ("original", "label", "fen"),
    [("¥6999", "¥7999", 699_900), (None, "¥7999", 799_900), (None, "¥5000", None), (None, "降价¥899", None)],
)
def test_a_higher_price_among_the_labels_is_the_original_one(original: str | None, label: str, fen: int | None) -> None:
    listing = one(oriPrice=original, fishTags={"r3": {"tagList": [{"data": {"content": label}}]}})

    assert listing.orig_price_fen == fen


@pytest.mark.parametrize(
    ("tags", "raw"),
    [
        ([{"text": "/天"}], "¥5642.50/天"),
        ([{"data": {"content": "起"}}], "¥5642.50起"),
        ([{"text": "券后价"}], "¥5642.50券后价"),
        ([{"text": "验货宝"}], "¥5642.50"),
        ([None, 5, {}], "¥5642.50"),
    ],
)
def test_a_word_beside_the_price_may_make_another_price_of_it(tags: Any, raw: str) -> None:
    listing = one(priceTag=tags)

    assert listing.price_raw == raw
    assert (listing.price_fen, listing.price_status) == read_price(raw)


@pytest.mark.parametrize(
    ("shown", "city", "read"),
    [
        ("上海", "北京", "上海"),
        ("", "深圳", "深圳"),
        ("距你3.2km", None, None),
        ("<1km", "杭州", "杭州"),
        ("距离您 300米", None, None),
        ("上海 | 3.2km", None, "上海"),
        ("1公里内", None, None),
        ("附近", "杭州", "杭州"),
        ("同城", None, None),
        ("798艺术区", None, "798艺术区"),
        (None, None, None),
    ],
)
def test_an_area_is_no_distance(shown: Any, city: Any, read: str | None) -> None:
    answer = sample("search.json")
    main = main_of(answer)
    main["exContent"]["area"], main["clickParam"]["args"]["p_city"] = shown, city

    assert parse_search(answer, context=CONTEXT).listings[0].area == read


@pytest.mark.parametrize(
    ("content", "arguments", "flags"),
    [
        ({"isAuction": "true", "isAliMaMaAD": "True"}, {}, [Flag.ADVERTISEMENT, Flag.AUCTION]),
        ({"isAuction": "false", "isAliMaMaAD": "false"}, {}, []),
        ({}, {"biz_type": "auction"}, [Flag.AUCTION]),
        ({}, {"item_type": "auction"}, [Flag.AUCTION]),
        ({"dislikeFeedback": {"clickParam": {"args": {"bizType": "ad"}}}}, {}, [Flag.ADVERTISEMENT]),
        ({"dislikeFeedback": {"clickParam": {"args": {"bizType": "item"}}}}, {"item_type": "goods"}, []),
    ],
)
def test_what_the_site_says_of_a_row_in_other_words(
    content: dict[str, Any], arguments: dict[str, Any], flags: list[Flag]
) -> None:
    answer = sample("search.json")
    main = main_of(answer)
    main["exContent"].update(content)
    main["clickParam"]["args"].update(arguments)

    assert parse_search(answer, context=CONTEXT).listings[0].flags == flags


@pytest.mark.parametrize(
    "url",
    ["fleamarket://item?id=77&x=1", "fleamarket://awesome_detail?itemId=77", "https://www.goofish.com/item?x=1&id=77"],
)
def test_an_id_in_a_link_is_one_if_there_is_no_other(url: str) -> None:
    answer = sample("search.json")
    main = main_of(answer)
    del main["exContent"]["itemId"], main["exContent"]["detailParams"], main["clickParam"]
    main["targetUrl"] = url

    assert parse_search(answer, context=CONTEXT).listings[0].item_id == "77"


@pytest.mark.parametrize(
    "wrap", [lambda main: {"item": {"main": main}}, lambda main: {"main": main}, lambda main: main]
)
def test_what_other_programs_keep_of_a_row_is_read(wrap: Callable[[Any], Any]) -> None:
    answer = sample("search.json")
    whole = parse_search(answer, context=CONTEXT)
    answer["data"]["resultList"] = [wrap(main_of(answer, number)) for number in range(8)]

    assert parse_search(answer, context=CONTEXT).listings == whole.listings


# Cards


def card(**changes: Any) -> dict[str, Any]:
    """A card of a shop."""
    data = {
        "id": "78",
        "title": "店里一件",
        "priceInfo": {"preText": "¥", "price": "338", "oriPrice": "999"},
        "categoryId": 50025426,
        "itemStatus": 0,
        "city": "杭州",
        "picInfo": {"picUrl": "http://img.example.invalid/p.jpg"},
        "detailParams": {"itemId": "78", "title": "店里一件\n成色好", "soldPrice": "338", "postInfo": "包邮"},
        "itemLabelDataVO": {"labelData": {"r3": {"tagList": [{"data": {"content": "2人想要"}}]}}},
    }
    return {"cardType": 1003, "cardData": data | changes}


def test_a_card_of_a_shop() -> None:
    page = parse_cards({"data": {"cardList": [card()], "nextPage": True}}, context=CONTEXT)

    (listing,) = page.listings
    assert (listing.item_id, listing.title, listing.description) == ("78", "店里一件", "店里一件\n成色好")
    assert (listing.price_fen, listing.price_raw, listing.orig_price_fen) == (33_800, "¥338", 99_900)
    assert (listing.category_id, listing.area, listing.want_count) == ("50025426", "杭州", 2)
    assert (listing.free_shipping, listing.flags) == (True, [])
    # Nobody searched for it, so it has no keyword; the operator's label is of all that is in the file.
    assert (listing.keyword, listing.category, page.keyword, page.offers) == (None, "数码", None, None)
    assert (page.has_next, page.picture_urls) == (True, {"78": ["http://img.example.invalid/p.jpg"]})


@pytest.mark.parametrize(
    ("changes", "names", "read"),
    [
        ({"itemStatus": 1}, ("flags",), ([Flag.SOLD],)),
        ({"itemStatus": -2}, ("flags",), ([Flag.OFFLINE],)),
        ({"itemStatusStr": "卖掉了"}, ("flags",), ([Flag.SOLD],)),
        ({"title": None, "titleSummary": {"text": "首页\n一件"}}, ("title",), ("首页 一件",)),
        ({"priceInfo": {"price": "1.2", "sufText": "万"}}, ("price_fen", "price_raw"), (1_200_000, "1.2万")),
        ({"priceInfo": {"price": "50", "sufText": "/天"}}, ("price_fen", "price_raw"), (None, "50/天")),
        ({"priceInfo": None}, ("price_fen", "price_raw"), (33_800, "338")),
        ({"priceInfo": {"price": 338}}, ("price_fen", "price_raw"), (33_800, "338")),
        ({"priceInfo": {"price": "9", "oriPrice": "0.00"}}, ("price_fen", "orig_price_fen"), (900, None)),
        ({"itemLabelDataVO": None, "hotPoint": {"text": "1.2万人想要"}}, ("want_count",), (12_000,)),
        ({"id": None, "itemId": "80", "detailParams": {}}, ("item_id",), ("80",)),
        ({"id": None, "detailParams": None, "redirectUrl": "fleamarket://item?id=81"}, ("item_id",), ("81",)),
    ],
)
def test_cards_of_other_pages(changes: dict[str, Any], names: tuple[str, ...], read: tuple[Any, ...]) -> None:
    (listing,) = parse_cards({"data": {"cardList": [card(**changes)]}}, context=CONTEXT).listings

    assert tuple(getattr(listing, name) for name in names) == read


@pytest.mark.parametrize("data", [{}, {"nextPage": False, "totalCount": 0}, {"cardList": None}, {"cardList": []}])
def test_a_page_of_cards_behind_the_last_one_is_empty(data: dict[str, Any]) -> None:
    page = parse_cards({"ret": ["SUCCESS::调用成功"], "data": data}, context=CONTEXT)

    assert (page.listings, page.rejects, page.has_next) == ([], [], False)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "there is no data.cardList"),
        ({"data": []}, "there is no data.cardList"),
        ({"data": {"cardList": {}}}, "there is no data.cardList"),
        ({"data": {"cardList": [None]}}, "not one of 1 cards can be read; the first: no item"),
        ({"data": {"cardList": [{"cardData": {"id": 5}}]}}, "not one of 1 cards can be read; the first: no title"),
        ({"data": {"cardList": [{"cardData": {"price": 5}}]}}, "not one of 1 cards can be read; the first: no id"),
    ],
)
def test_cards_of_another_schema(answer: Any, reason: str) -> None:
    with pytest.raises(SchemaChanged) as raised:
        parse_cards(answer, context=CONTEXT)

    assert str(raised.value) == reason


def test_banners_among_cards_are_rejected() -> None:
    banner = {"cardType": 5, "cardData": {"title": "拍卖节", "picUrl": "//img"}}

    page = parse_cards({"data": {"cardList": [banner]}}, context=CONTEXT)

    assert [(each.reason, each.place) for each in page.rejects] == [("no id", "data.cardList[0]")]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "there is no data.resultList"),
        ([], "there is no data.resultList"),
        ({}, "there is no data.resultList"),
        ({"data": {"resultList": {}}}, "there is no data.resultList"),
        ({"data": {"resultInfo": {"searchResControlFields": {"hasItems": True}}}}, "there is no data.resultList"),
        ({"data": {"resultList": []}}, "data.resultList is empty, and nothing says why"),
        (
            {"data": {"resultList": [], "resultInfo": {"searchResControlFields": {"hasItems": 0}}}},
            "data.resultList is empty, and nothing says why",
        ),
        ({"data": {"resultList": [None, {}]}}, "not one of 2 rows can be read; the first: no item"),
    ],
)
def test_a_page_of_another_schema(answer: Any, reason: str) -> None:
    with pytest.raises(SchemaChanged) as raised:
        parse_search(answer, context=CONTEXT)

    assert str(raised.value) == reason


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "data.itemDO: no item"),
        ({"ret": "SUCCESS", "data": {"itemDO": []}}, "data.itemDO: no item"),
        ({"data": {"itemDO": {"title": "佳能"}}}, "data.itemDO: no id"),
        ({"data": {"itemDO": {"itemId": 5, "title": "\x00 "}}}, "data.itemDO: no title"),
    ],
)
def test_a_detail_of_another_schema(answer: Any, reason: str) -> None:
    with pytest.raises(SchemaChanged) as raised:
        parse_detail(answer, context=CONTEXT)

    assert str(raised.value) == reason


# Damage

Place = tuple[str | int, ...]
DELETED: Final = object()
WRONG: Final[tuple[Any, ...]] = (DELETED, None, True, 0, -7, 3.5, "", "x", [], [None], {}, {"x": []})


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Every path in a JSON value, its own included."""
    yield place
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*place, key))


def damaged(value: Any, place: Place, wrong: Any) -> Any:
    """The JSON value with another value, or nothing, at a place. Nodes that are not on the way there are shared."""
    if not place:
        return None if wrong is DELETED else wrong
    key, *rest = place
    copied = value.copy()
    if wrong is DELETED and not rest:
        del copied[key]
    else:
        copied[key] = damaged(value[key], tuple(rest), wrong)
    return copied


# The places in a row (below `…main`) from which a field is read. Damage elsewhere must not change it.
SEARCH_SOURCES: Final[dict[str, tuple[Place, ...]]] = {
    "title": (("exContent", "title"),),
    "description": (("exContent", "detailParams", "title"), ("exContent", "title")),
    "price": (("exContent", "price"), ("exContent", "detailParams", "soldPrice"), ("clickParam", "args", "price")),
    "orig_price_fen": (("exContent", "oriPrice"), ("exContent", "fishTags")),
    "free_shipping": (("exContent", "fishTags"), ("clickParam", "args", "tagname")),
    "area": (("exContent", "area"),),
    "category_id": (("clickParam", "args", "tbCatId"), ("clickParam", "args", "catId")),
    "want_count": (("exContent", "fishTags"),),
    "published_at": (("clickParam", "args", "publishTime"),),
    "flags": (("exContent", "isAuction"), ("exContent", "isAliMaMaAD")),
    "item_id": (
        *(("exContent", "itemId"), ("clickParam", "args", "item_id"), ("clickParam", "args", "id")),
        *(("exContent", "detailParams", "itemId"), ("targetUrl",)),
    ),
}
DETAIL_SOURCES: Final[dict[str, tuple[Place, ...]]] = {
    "title": (("itemDO", "title"),),
    "description": (("itemDO", "desc"), ("itemDO", "title")),
    "price": (("itemDO", "soldPrice"),),
    "orig_price_fen": (("itemDO", "originalPrice"),),
    "area": (("sellerDO", "publishCity"), ("sellerDO", "city")),
    "category_id": (("itemDO", "categoryId"), ("itemDO", "itemCatDTO")),
    "want_count": (("itemDO", "wantCnt"),),
    "published_at": (("itemDO", "gmtCreate"), ("itemDO", "GMT_CREATE_DATE_KEY")),
    "condition": (("itemDO", "cpvLabels"),),
    "free_shipping": (("itemDO", "commonTags"), ("itemDO", "transportFee")),
    "flags": (("itemDO", "itemStatusStr"), ("itemDO", "itemStatus")),
    "item_id": (("itemDO", "itemId"),),
}
FIELDS: Final = {"price": ("price_fen", "price_raw", "price_status"), "item_id": ("item_id", "url")}
EMPTY: Final = {"price_status": PriceStatus.MISSING, "flags": []}
# The values of `WRONG` that are valid for a field, and prices that remain valid without one of their parts.
GOOD_TOO: Final[dict[str, tuple[Any, ...]]] = {
    "title": ("x",),
    "description": ("x", "徕卡 Q2 求带走"),
    "price_fen": (350, 564_200),
    "price_status": (PriceStatus.OK, PriceStatus.ZERO, PriceStatus.UNREADABLE),
    "orig_price_fen": (350,),
    "area": ("x",),
    "flags": ([Flag.ADVERTISEMENT], [Flag.AUCTION], [Flag.ADVERTISEMENT, Flag.AUCTION]),
    "want_count": (0,),
    "condition": ("x",),
}


def changed(found: Listing, whole: Listing, place: Place, sources: dict[str, tuple[Place, ...]]) -> set[str]:
    """The fields that damage at a place has changed. They must be read there, and must not have wrong values."""
    assert read_price(found.price_raw) == (found.price_fen, found.price_status)
    if found == whole:  # nearly always, and `asdict` takes long
        return set()
    before, after = asdict(whole), asdict(found)
    names = {name for name in before if before[name] != after[name]} - {"price_raw"}
    for name in names:
        read_there = any(
            path[: len(place)] == place[: len(path)]
            for group, paths in sources.items()
            if name in FIELDS.get(group, (group,))
            for path in paths
        )
        assert read_there, (place, name)
        assert after[name] == EMPTY.get(name) or after[name] in GOOD_TOO.get(name, ()), (place, name, after[name])
    return names


def test_no_damage_of_a_search_makes_a_wrong_listing() -> None:
    answer = sample("search.json")
    whole = {listing.item_id: listing for listing in parse_search(answer, context=CONTEXT).listings}
    ends = {"changed": 0, "rejected": 0, "raised": 0}
    for place, wrong in itertools.product(list(places(answer)), WRONG):
        try:
            page = parse_search(damaged(answer, place, wrong), context=CONTEXT)
        except SchemaChanged:
            assert place in ((), ("data",), ("data", "resultList"))
            ends["raised"] += 1
            continue
        if place == ("data", "resultList"):
            assert (page.listings, page.rejects, wrong in (None, [])) == ([], [], True)
            continue
        if place[-1] == "numFound" and wrong == 0 and wrong is not True:
            assert page.recommended == len(page.listings) == 8
            continue
        row_is_gone = wrong is DELETED and place[:2] == ("data", "resultList") and len(place) == 3
        assert len(page.listings) + len(page.rejects) == 10 - row_is_gone
        for listing in page.listings:
            if names := changed(listing, whole[listing.item_id], place[6:], SEARCH_SOURCES):
                assert place[:6] == ("data", "resultList", int(listing.item_id) % 100 - 1, "data", "item", "main"), (
                    names
                )
                ends["changed"] += 1
        ends["rejected"] += len(page.rejects) > 2
    assert min(ends.values()) > 10, ends


def test_no_damage_of_a_detail_makes_a_wrong_listing() -> None:
    answer = sample("detail.json")
    (whole,) = parse_detail(answer, context=CONTEXT).listings
    ends = {"changed": 0, "raised": 0}
    for place, wrong in itertools.product(list(places(answer)), WRONG):
        try:
            (listing,) = parse_detail(damaged(answer, place, wrong), context=CONTEXT).listings
        except SchemaChanged:
            assert place in (
                (),
                ("data",),
                ("data", "itemDO"),
                ("data", "itemDO", "itemId"),
                ("data", "itemDO", "title"),
            )
            ends["raised"] += 1
            continue
        ends["changed"] += bool(changed(listing, whole, place[1:], DETAIL_SOURCES))
    assert min(ends.values()) > 10, ends


JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([10**400, "\ud800", "12"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
SEARCH_PLACES: Final = list(places(sample("search.json")))
DETAIL_PLACES: Final = list(places(sample("detail.json")))


@given(st.lists(st.tuples(st.sampled_from(SEARCH_PLACES), JSON), min_size=1, max_size=5))
def test_any_json_anywhere_in_a_search_is_a_listing_or_a_reject(damages: list[tuple[Place, Any]]) -> None:
    answer = sample("search.json")
    for place, value in damages:
        with contextlib.suppress(LookupError, TypeError, AttributeError):  # what damage before has made unreachable
            answer = damaged(answer, place, value)
    assert_is_total(lambda: parse_search(answer, context=CONTEXT))


@given(st.lists(st.tuples(st.sampled_from(DETAIL_PLACES), JSON), min_size=1, max_size=5))
def test_any_json_anywhere_in_a_detail_is_a_listing_or_a_reject(damages: list[tuple[Place, Any]]) -> None:
    answer = sample("detail.json")
    for place, value in damages:
        with contextlib.suppress(LookupError, TypeError, AttributeError):  # as above
            answer = damaged(answer, place, value)
    assert_is_total(lambda: parse_detail(answer, context=CONTEXT))


@given(JSON)
def test_any_json_at_all(answer: Any) -> None:
    for parse in (parse_search, parse_detail, parse_cards):
        assert_is_total(lambda parse=parse: parse(answer, context=CONTEXT))  # type: ignore[misc]  # bound now


def assert_is_total(parse: Callable[[], Page]) -> None:
    """Either the answer is of another schema, or its listings are valid and can be written as JSON."""
    try:
        page = parse()
    except SchemaChanged:
        return
    for listing in page.listings:
        back = orjson.loads(orjson.dumps(listing))
        assert back == asdict(listing)
        assert re.fullmatch(r"[0-9]{1,20}", listing.item_id)
        assert listing.title == listing.title.strip() != ""
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", listing.title)
        assert read_price(listing.price_raw) == (listing.price_fen, listing.price_status)
    assert all(reject.reason in set(RejectReason) for reject in page.rejects)


# Personal data

NICK: Final = st.text(st.characters(min_codepoint=0xE000, max_codepoint=0xE0FF), min_size=6, max_size=12)
NUMBER: Final = st.integers(10**17, 10**18)
SELLER_KEYS: Final = frozenset(
    {
        *("userNickName", "userNick", "nick", "userAvatarUrl", "portraitUrl", "seller_id", "sellerId", "picUrl", "url"),
        "userId",
    }
)


def with_seller(value: Any, nick: str, number: int) -> Any:
    """The answer with this seller wherever it names one."""
    if isinstance(value, list):
        return [with_seller(each, nick, number) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: (number if isinstance(inner, int) else f"http://img.example/{nick}-{number}")
        if key in SELLER_KEYS
        else with_seller(inner, nick, number)
        for key, inner in value.items()
    }


@given(nick=NICK, number=NUMBER, mobile=st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True))
def test_no_listing_tells_who_the_seller_is(nick: str, number: int, mobile: str) -> None:
    search, detail = (with_seller(sample(name), nick, number) for name in ("search.json", "detail.json"))
    content = main_of(search)["exContent"]
    content["title"] += mobile
    content["detailParams"]["title"] += f"\n微信:fish_{mobile}"
    detail["data"]["itemDO"]["desc"] += f"QQ{mobile}"
    seller = {"userId": "1", "userNick": "x", "avatar": {"url": "x"}}
    cards = with_seller({"data": {"cardList": [card(title=f"键盘{mobile}", user=seller, **seller)]}}, nick, number)

    pages = [
        parse_search(search, context=CONTEXT),
        parse_detail(detail, context=CONTEXT),
        parse_cards(cards, context=CONTEXT),
    ]

    written = orjson.dumps([[page.listings, page.rejects, page.item_ids] for page in pages]).decode()
    assert not any(secret in written for secret in (nick, str(number), mobile))
    assert json.dumps([search, detail]).count(str(number)) > 20
    assert written.count("已隐去") == 4 + 2  # and those of the samples themselves
