"""What a listing is other than one thing for sale."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.listings.flags import flags_of
from app.listings.models import NOT_COMPARABLE, ListingFlag
from tests.listings.titles import HELD_OUT, TUNING


def measured(rows: tuple[tuple[str, str | None], ...]) -> tuple[float, float, list[str]]:
    """Precision and recall over all pairs of title and flag, and the titles that were judged wrongly."""
    right = found = deserved = 0
    wrong = []
    for title, flag in rows:
        told = {each.value for each in flags_of(title, None, [])}
        expected = set() if flag is None else {flag}
        right, found, deserved = right + len(told & expected), found + len(told), deserved + len(expected)
        if told != expected:
            wrong.append(f"{title}: {sorted(told)}, not {sorted(expected)}")
    return right / found, right / deserved, wrong


def test_titles_that_were_held_out() -> None:
    assert len(HELD_OUT) == 196
    precision, recall, wrong = measured(HELD_OUT)
    assert precision >= 0.97, wrong
    assert recall >= 0.9, wrong


def test_titles_that_the_tables_were_made_with() -> None:
    assert {title for title, _ in TUNING}.isdisjoint(title for title, _ in HELD_OUT)
    assert len(TUNING) > 500
    precision, recall, wrong = measured(TUNING)
    assert precision >= 0.99, wrong
    assert recall >= 0.98, wrong


@pytest.mark.parametrize(
    ("title", "flags"),
    [
        ("iPhone 13 送壳膜 带充电器 配件齐全 无拆修 电池效率 92", set()),
        ("出租屋自用 小冰箱", set()),
        ("ＩＰＨＯＮＥ１３ 手機殼", {"accessory"}),
        ("求購 iPhone 13", {"wanted"}),
        ("收 iPhone 13 主板 坏的也要", {"wanted"}),
        ("iPhone 维修 主板不开机 进水", {"service"}),
        ("0元起拍 相机出租 免押", {"auction", "rental"}),
        ("适用 iPhone 13 带支架手机壳 送钢化膜", {"accessory"}),
        ("AirPods Pro 2 左耳", {"accessory"}),
        ("airpods2 右耳机 出", {"accessory"}),
        ("airpods pro 2 左耳 95新 可小刀", {"accessory"}),
        ("airpods 2 左耳 95新 右耳 八成新", set()),
        ("索尼 PS5 无线手柄 99新 在保", {"accessory"}),
        ("AirPods Pro 2 左右耳", set()),
        ("AirPods 2 充电盒 左耳 右耳", set()),
        ("AirPods 左耳有杂音", set()),
        ("iPhone 15 Pro 256G 模型机", {"accessory"}),
        ("", set()),
    ],
)
def test_words_and_what_takes_them_back(title: str, flags: set[str]) -> None:
    assert flags_of(title, None, []) == flags


def test_what_the_crawler_was_told_counts_and_what_is_not_known_says_nothing() -> None:
    told = ["advertisement", "auction", "offline", "sold", "rental", "holographic"]
    assert flags_of("iPhone 13 128G", None, told) == {"advertisement", "auction", "offline", "sold"}


@pytest.mark.parametrize(
    ("description", "flags"),
    [
        ("高价回收旧手机,上门维修,送手机壳", set()),
        ("不出租,押金勿问", set()),
        ("日租 80,免押金,归还时验机", {"rental"}),
        ("押金", set()),
        ("起拍价 100,价高者得", {"auction"}),
        ("开不了机,有id锁", {"broken"}),
        ("无id锁,没进水", set()),
    ],
)
def test_descriptions_count_only_where_they_leave_no_doubt(description: str, flags: set[str]) -> None:
    assert flags_of("iPhone 13 128G", description, []) == flags


def test_a_title_that_is_the_whole_text_is_read_as_one_only_at_its_beginning() -> None:
    text = "Apple/苹果 iPhone 15 128GB 黑色 下方真机照片就是本机，只要在上架的就是有货；"
    text += "机器详情请点击验货报告，平台保证放心购买"
    assert len(text) > 60
    assert flags_of(f"{text} 高价回收 维修 手机壳 求购", None, []) == set()
    assert flags_of(f"{text} 日租 30 免押金", None, []) == {"rental"}


def test_listings_that_were_sold_or_are_gone_stay_comparable() -> None:
    assert frozenset(ListingFlag) - NOT_COMPARABLE == {"sold", "offline"}


@given(st.text(max_size=300), st.none() | st.text(max_size=300))
def test_no_text_is_too_odd(title: str, description: str | None) -> None:
    assert flags_of(title, description, []) <= frozenset(ListingFlag)
