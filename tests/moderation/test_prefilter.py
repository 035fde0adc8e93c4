"""The quick look at the patterns of contacts: no pattern that matches a text is left out."""

import re

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from app.moderation.text import contacts
from app.moderation.text.folding import DATA, fold, lines
from app.moderation.text.prefilter import Prefilter, widened
from benchmarks.ordinary_goods import ordinary_goods
from tests.moderation.labelled import read_labelled

WIDENED = {
    r"(?<!\d)1[3-9](?!\d|[)]\))": "1[3-9]",
    r"v(?=(?:x(?!\d))|号)信": "v信",
    r"(?:的|我){0,3}": r"(?:的|我){0,}",
    r"(?:的|我){,3}号": r"(?:的|我){0,}号",
    r"\d{3,4}a{2}b{5,}": r"[0-9\x{a000}-\x{10ffff}]{3,}a{2}b{5,}",
    r"[^\w,]": r"[^0-9A-Za-z_\x{4e00}-\x{9fff},]",
    r"[\]\u4e00-\u9fff]": r"[\]\x{4e00}-\x{9fff}]",
    r"^\(a\b.$": r"\(a.",
}

CLASSES = [rf"\{letter}" for letter in "wWdDsS"] + [r"[^\w]", r"[^\d]", r"[^\s]", r"[\W_]", r"[\w.\-]", r"[^\w\s]"]


@pytest.mark.parametrize("pattern", WIDENED)
def test_what_a_pattern_becomes(pattern: str) -> None:
    assert widened(pattern) == WIDENED[pattern]


def test_the_numbers_of_those_that_can_match_rise() -> None:
    prefilter = Prefilter(["微信", r"\d(?!\d)", "(?<=x)信"])
    assert {text: prefilter.possible(text) for text in ("", "微信8", "信", "12")} == {
        "": [],
        "微信8": [0, 1, 2],
        "信": [2],
        "12": [1],
    }


@pytest.mark.parametrize("pattern", [r"(微)\1", r"(微)?(?(1)信|号)", r"\d++", r"(?>\d+)"])
def test_what_re2_does_not_know_is_an_error_and_no_pattern_that_never_matches(pattern: str) -> None:
    with pytest.raises(re2.error):
        Prefilter([pattern])


def test_classes_that_cannot_be_widened_are_an_error() -> None:
    with pytest.raises(KeyError):
        widened(r"[^\W]")


OF_CLASSES = Prefilter(CLASSES)


@given(st.characters(exclude_categories=["Cs"]))
def test_a_class_has_at_least_the_characters_of_pythons(character: str) -> None:
    folded = fold([character]).text
    matching = {number for number, pattern in enumerate(CLASSES) if re.search(pattern, folded)}
    assert matching <= set(OF_CLASSES.possible(folded))


def listed() -> list[str]:
    return [word.replace("_", " ") for line in lines(DATA / "contacts.txt") for word in line.partition(":")[2].split()]


PIECES = [
    *listed(),
    *"0123456789:.@-_+*/ ,\n的我是号不人vwqx❤🛰🐧￥$",
    *("abc_123", "wxid_9", "13800138000", "12345678", "+86", "0571", "400-", "k8", "http://", ".com", "a.cn"),
    *(
        "公里",
        "直流",
        "手机",
        "同",
        "看图",
        "联系",
        "勿扰",
        "一三八零零",
        "名字就是",
        "jia",
        "wei",
        "qq邮箱",
        "进",
        "群",
    ),
]


def left_out(text: str) -> list[str]:
    """The patterns that match a text though the quick look says that they cannot."""
    folded = fold([text])
    return [
        rule.pattern.pattern
        for reading in contacts._readings()
        for written in [folded.digits if reading.numbers else folded.text]
        for number, rule in enumerate(contacts._rules()[place] for place in reading.rules)
        if rule.pattern.search(written) and number not in reading.prefilter.possible(written)
    ]


def test_no_pattern_of_a_labelled_text_word_or_ordinary_good_is_left_out() -> None:
    texts = [each.text for each in read_labelled()] + listed()
    texts += [text for good in ordinary_goods(300) for text in (good.title, good.description)]
    assert {text: left_out(text) for text in texts if left_out(text)} == {}


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=2), max_size=12))
def test_no_pattern_of_a_made_up_text_is_left_out(pieces: list[str]) -> None:
    assert left_out("".join(pieces)) == []
