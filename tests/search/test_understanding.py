"""What queries are taken for: words, constraints, corrections, talk, kinds."""

from typing import Any

import pytest

from app.language.analysis import Analyser
from app.language.vocabulary import Vocabulary
from app.listings.models import ListingFlag
from app.search.understanding import Change, ConstraintName, Reason, Understanding
from app.search.understanding.constraints import read_constraints
from app.search.understanding.reader import understand

# How many titles of a market have each word; some are mistyped, as some titles are.
_TITLES = {
    "手机": 300,
    "苹果": 900,
    "iphone": 900,
    "apple": 200,
    "冲锋衣": 50,
    "冲锋": 60,
    "冲锋依": 6,
    "依": 7,
    "平果": 8,
    "iphoone": 6,
    "优衣库": 80,
    "羽绒服": 90,
    "耐克": 70,
    "跑鞋": 60,
    "鞋": 30,
    "连衣裙": 70,
    "吉他": 60,
    "空调": 40,
    "键盘": 30,
    "男士": 30,
    "世界": 20,
    "设计": 5,
    "潜水镜": 40,
}


@pytest.fixture(scope="module")
def analyser(tmp_path_factory: pytest.TempPathFactory) -> Analyser:
    return Analyser(cache_dir=tmp_path_factory.mktemp("jieba"))


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary(_TITLES)


@pytest.fixture
def read(analyser: Analyser, vocabulary: Vocabulary) -> Any:
    """`understand` in that market."""

    def understood(text: str, **options: Any) -> Understanding:
        return understand(text, analyser=analyser, vocabulary=vocabulary, **options)

    return understood


def words(understood: Understanding) -> list[str]:
    """The groups as typed, each with its role."""
    return [f"{group.role.value}:{'+'.join(group.literal)}" for group in understood.groups]


CORRECTED = [
    # pinyin, initials, mixed
    ("shouji", "手机", Reason.PINYIN),
    ("sj", "手机", Reason.PINYIN),
    ("yurongfu", "羽绒服", Reason.PINYIN),
    ("yu rong fu", "羽绒服", Reason.PINYIN),
    ("nike xie", "nike 鞋", Reason.PINYIN),
    ("nanshiyurongfu", "男士 羽绒服", Reason.PINYIN),
    ("kongtiao", "空调", Reason.PINYIN),  # 调 is read in two ways
    ("kt", "空调", Reason.PINYIN),
    ("耐克xie", "耐克鞋", Reason.PINYIN),
    # slips, also such as others made
    ("平果14", "苹果14", Reason.TYPO),
    ("iPhoone 15", "iphone 15", Reason.TYPO),
    ("ihpone", "iphone", Reason.TYPO),
    ("冲锋依", "冲锋衣", Reason.TYPO),
    ("优衣库羽荣服", "优衣库羽绒服", Reason.TYPO),
    ("连衣群", "连衣裙", Reason.TYPO),
    ("衣连裙", "连衣裙", Reason.TYPO),
]


@pytest.mark.parametrize(("text", "corrected", "reason"), CORRECTED)
def test_what_is_corrected_is_said(read: Any, text: str, corrected: str, reason: Reason) -> None:
    understood = read(text)
    assert understood.corrected == corrected
    assert {change.reason for change in understood.changes} == {reason}


@pytest.mark.parametrize(
    "text", ["iphone 13", "连衣裙", "nike", "潜水艇", "手表", "1334", "abc", "3060ti", "f1.8", "xt30"]
)
def test_what_is_right_is_left_alone(read: Any, text: str) -> None:
    assert read(text).corrected is None


def test_a_corrected_word_is_also_looked_for_as_it_was_typed(read: Any) -> None:
    [group] = read("冲锋依").groups
    assert ("_冲锋", "_锋依") in [alternative.tokens for alternative in group.alternatives]


WORDS = [
    ("iphone 13", ["model:iphone13", "attribute:^"]),
    ("iPhone13", ["model:iphone13", "attribute:^"]),
    ("苹果13", ["model:iphone13", "attribute:^"]),
    ("苹果手机 13 Pro", ["model:iphone13", "thing:手机", "attribute:^pro"]),
    ("苹果十三", ["model:iphone13", "attribute:^"]),
    ("13pm", ["model:iphone13", "attribute:^max+pro"]),
    ("小米13 pro", ["model:小米13", "attribute:^pro"]),
    ("airpods pro2", ["model:airpods2", "attribute:^pro"]),
    ("3060ti", ["model:~3060", "attribute:^ti"]),
    ("空军一号", ["model:force1"]),
    ("OPPOfindx七", ["brand:oppo", "thing:find", "model:x7", "attribute:^"]),
    ("索尼 a7m4", ["brand:索尼", "model:a7m4", "attribute:^"]),
    ("佳能 24-105", ["brand:佳能", "attribute:=24-105mm"]),
    ("1.5匹 空调", ["attribute:=1.5匹", "thing:空调"]),
    ("f1.8", ["attribute:=1.8光圈"]),
    ("512g", ["attribute:=512g"]),
    ("C++", ["thing:c++"]),
    ("C#", ["thing:c#"]),
    ("托特包", ["thing:托特包"]),
    ("天梭", ["brand:天梭"]),
    ("拉布布", ["thing:拉布布"]),
    ("高达", ["thing:高达"]),
    ("笔记本", ["thing:笔记本"]),
    ("拯救者", ["thing:拯救者"]),
    ("我的世界", ["thing:我的世界"]),
    ("你的名字", ["thing:你的名字"]),
    ("海淀租房", ["attribute:海淀", "thing:租房"]),
    ("羽绒服 男 180", ["thing:羽绒服", "attribute:男", "attribute:=180码"]),
    ("男鞋", ["attribute:男", "thing:男鞋"]),
    ("📱", ["thing:手机"]),
    ("红色的连衣裙", ["attribute:红色", "thing:连衣裙"]),
    ("手机 手机手机", ["thing:手机"]),
    ("《二手时间》", ["thing:二手时间"]),
    ("的" * 9, ["thing:的"]),
]


@pytest.mark.parametrize(("text", "expected"), WORDS)
def test_words_and_what_they_say(read: Any, text: str, expected: list[str]) -> None:
    assert words(read(text)) == expected


ALSO = [
    ("爱疯", "iphone"),
    ("苹果电脑", "macbook"),
    ("耐克", "nike"),
    ("拯救者", "legion"),
    ("鞋", "跑鞋"),
    ("北京", "海淀"),
    ("海淀", "_海淀"),
    ("羽绒服", "羽绒衣"),
]


@pytest.mark.parametrize(("text", "other"), ALSO)
def test_another_name_will_do(read: Any, text: str, other: str) -> None:
    [group] = read(text).groups
    assert (other,) in [alternative.tokens for alternative in group.matching]


def test_an_alias_is_named(read: Any) -> None:
    assert read("爱疯13").changes == (Change("爱疯", "iphone", Reason.ALIAS),)


CONSTRAINTS = [
    ("500以内 手机", [("price_max", 500_00)]),
    ("3000以下的笔记本", [("price_max", 3000_00)]),
    ("不超过500 耳机", [("price_max", 500_00)]),
    ("预算3000 笔记本", [("price_max", 3000_00)]),
    ("一千五以内", [("price_max", 1500_00)]),
    ("3k内", [("price_max", 3000_00)]),
    ("1万以上 手表", [("price_min", 10_000_00)]),
    ("ps5 2000起", [("price_min", 2000_00)]),
    ("1000-2000 显卡", [("price_min", 1000_00), ("price_max", 2000_00)]),
    ("1-2k 平板", [("price_min", 1000_00), ("price_max", 2000_00)]),
    ("200到300的耳机", [("price_min", 200_00), ("price_max", 300_00)]),
    ("2k左右 相机", [("price_min", 1400_00), ("price_max", 2600_00)]),
    ("包邮 羽绒服", [("free_shipping", 1)]),
    ("全新 iphone 13", [("condition", 1)]),
    ("九成新 自行车", [("condition", 3)]),
    ("iphone 13 128g 3000以下 包邮", [("price_max", 3000_00), ("free_shipping", 1)]),
    # no prices
    ("24-105 镜头", []),
    ("2019-2020 教材", []),
    ("128g以内", []),
    ("小米13以下", []),
    ("30平以下", []),
    ("120*60 书桌", []),
]


@pytest.mark.parametrize(("text", "expected"), CONSTRAINTS)
def test_constraints(text: str, expected: list[tuple[str, int]]) -> None:
    assert [(each.name.value, each.value) for each in read_constraints(text)] == expected


def test_constraints_are_no_words_and_can_be_dropped(read: Any) -> None:
    understood = read("朝阳 羽绒服 男 500以内 包邮")
    assert {each.name: each.text for each in understood.constraints} == {
        ConstraintName.PRICE_MAX: "500以内",
        ConstraintName.FREE_SHIPPING: "包邮",
        ConstraintName.PLACE: "朝阳",
        ConstraintName.GENDER: "男",
    }
    without = read("朝阳 羽绒服 男 500以内 包邮", without={ConstraintName.PRICE_MAX, ConstraintName.PLACE})
    assert {each.name for each in without.constraints} == {ConstraintName.FREE_SHIPPING, ConstraintName.GENDER}
    assert words(without) == ["thing:羽绒服", "attribute:男"]


def test_a_constraint_alone_is_a_query(read: Any) -> None:
    assert (words(read("3000以下")), len(read("3000以下").constraints)) == ([], 1)
    assert words(read("全新")) == ["attribute:全新"]


TALK = [
    ("便宜的羽绒服", ("便宜的",), ["thing:羽绒服"]),
    ("出售 吉他", ("出售",), ["thing:吉他"]),
    ("转让连衣裙", ("转让",), ["thing:连衣裙"]),
    ("二手手机", ("二手",), ["thing:手机"]),
    ("有没有连衣裙", ("有没有",), ["thing:连衣裙"]),
]


@pytest.mark.parametrize(("text", "dropped", "expected"), TALK)
def test_talk_is_dropped(read: Any, text: str, dropped: tuple[str, ...], expected: list[str]) -> None:
    understood = read(text)
    assert (understood.dropped, words(understood)) == (dropped, expected)


KINDS = [
    ("iphone 13", set()),
    ("iphone 13 手机壳", {ListingFlag.ACCESSORY}),
    ("ps5 手柄", {ListingFlag.ACCESSORY}),
    ("rtx3060 风扇", {ListingFlag.ACCESSORY}),
    ("租 a7m4", {ListingFlag.RENTAL}),
    ("求购 iphone 13", {ListingFlag.WANTED}),
]


@pytest.mark.parametrize(("text", "kinds"), KINDS)
def test_kinds_that_are_asked_for(read: Any, text: str, kinds: set[ListingFlag]) -> None:
    assert read(text).kinds == kinds


def test_literally_nothing_is_read_into_the_words(read: Any) -> None:
    understood = read("平果 500以内", literal=True)
    assert (understood.corrected, understood.constraints, understood.literal) == (None, (), True)
    assert understood.groups[0].literal == ("_平果",)


@pytest.mark.parametrize("text", ["", "!!!", "😀😀", "\x00", '()*"~^ :[]{}', "___"])
def test_without_a_word_there_is_nothing_to_find(read: Any, text: str) -> None:
    understood = read(text)
    assert (understood.groups, understood.constraints) == ((), ())


@pytest.mark.parametrize(
    "text", ["啊" * 10_000, "a " * 5000, "500以内" * 2000, "\x00" * 300, "1" * 10_000, "-" * 10_000]
)
def test_endless_queries_have_an_end(read: Any, text: str) -> None:
    assert len(read(text).groups) <= 24
