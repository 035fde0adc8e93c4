"""The grade of a condition, in whatever words a site has for it."""

import pytest

from app.listings.conditions import condition_of
from app.listings.models import ListingCondition

WORDS = {
    ListingCondition.NEW: ["全新", "全新未拆封", "仅拆封", "未使用", "100新", "全新/微瑕"],
    ListingCondition.LIKE_NEW: [
        "几乎全新",
        "近全新",
        "准新",
        "99新",
        "95新",
        "99成新",
        "九五成新",
        "9.5成新",
        "９５新",
        "幾乎全新",
    ],
    ListingCondition.SLIGHT_TRACES: [
        "轻微使用痕迹",
        "少量使用痕迹",
        "9成新",
        "九成新",
        "90新",
        "92新",
        "九成二新",
        "成色较新",
    ],
    ListingCondition.VISIBLE_TRACES: ["明显使用痕迹", "较多划痕", "8成新", "八成新", "85新", "八五成新"],
    ListingCondition.WORN: ["重度使用痕迹", "严重磨损", "7成新", "五成新", "70新", "成色较差"],
    None: ["", "包邮", "新", "成新", "Apple/苹果", "1000新", "国行"],
}


@pytest.mark.parametrize("condition", WORDS)
def test_words_have_a_grade(condition: ListingCondition | None) -> None:
    assert {words: condition_of(words) for words in WORDS[condition]} == dict.fromkeys(WORDS[condition], condition)


def test_no_words_have_none() -> None:
    assert condition_of(None) is None
