"""Reads the condition of a listing, in the words that a site has for it, as one of our five grades.

Sites write 几乎全新, 95新, 九成新 or 轻微使用痕迹. Numbers are graded as sellers mean them: 99新 has been used, but
hardly anybody sees it; 9成新 has traces, 8成新 has traces that everybody sees.
"""

import re
from typing import Final

from app.language.normal_form import normalise
from app.listings.models import ListingCondition

_WORDS: Final = (
    (re.compile("(?:几乎|近)全新|准新|成色(?:极新|全新)|无(?:使用)?(?:痕迹|磨损|划痕)"), ListingCondition.LIKE_NEW),
    (re.compile("全新|未拆|仅拆|未使用"), ListingCondition.NEW),
    (re.compile("(?:重度|严重)|成色(?:较差|较旧)"), ListingCondition.WORN),
    (re.compile("(?:明显|较多|正常)(?:的)?(?:使用)?(?:痕迹|磨损|划痕)|成色一般"), ListingCondition.VISIBLE_TRACES),
    (re.compile("痕迹|磨损|划痕|成色"), ListingCondition.SLIGHT_TRACES),
)
"""The first pattern that is in the text counts."""

_PERCENT: Final = re.compile(r"(?<![\d.])(100|\d{2})(?:\.\d)?\s?成?新")
_TENTHS: Final = re.compile(r"(?<![\d.])([1-9])(?:\.(\d))?\s?成\s?(\d)?新?")
_HAN_TENTHS: Final = re.compile("([一二三四五六七八九])(?:点)?([一二三四五六七八九])?成([一二三四五六七八九])?新?")
_DIGITS: Final = {character: number for number, character in enumerate("一二三四五六七八九", 1)}
_GRADES: Final = (
    (100, ListingCondition.NEW),
    (95, ListingCondition.LIKE_NEW),
    (90, ListingCondition.SLIGHT_TRACES),
    (80, ListingCondition.VISIBLE_TRACES),
    (0, ListingCondition.WORN),
)
"""From how many hundredths of new on."""


def condition_of(words: str | None) -> ListingCondition | None:
    """The grade of a condition in a site's words; None if there are none, or they say something else.

    `"几乎全新"` → LIKE_NEW, `"95新"` → LIKE_NEW, `"九成新"` → SLIGHT_TRACES, `"明显使用痕迹"` → VISIBLE_TRACES.
    """
    if words is None:
        return None
    text = normalise(words)
    for pattern, condition in _WORDS:
        if pattern.search(text):
            return condition
    hundredths = _hundredths(text)
    if hundredths is None:
        return None
    return next(condition for least, condition in _GRADES if hundredths >= least)


def _hundredths(text: str) -> int | None:
    if match := _TENTHS.search(text):
        return int(match[1]) * 10 + int(match[2] or match[3] or 0)
    if match := _HAN_TENTHS.search(text):
        return _DIGITS[match[1]] * 10 + _DIGITS.get(match[2] or match[3] or "", 0)
    if match := _PERCENT.search(text):
        return int(match[1])
    return None
