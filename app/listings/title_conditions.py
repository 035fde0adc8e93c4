"""Reads the condition of a thing out of its title, where sellers write it among everything else.

`app.listings.conditions` reads a site's own words for it, which say nothing but that. A title may name a new battery, a
new model or a street, so here less counts.
"""

import re
from typing import Final

from app.language.normal_form import normalise
from app.listings.conditions import condition_of
from app.listings.models import ListingCondition

CONDITION_TEXT: Final[dict[int, str]] = {
    ListingCondition.NEW: "全新",
    ListingCondition.LIKE_NEW: "几乎全新",
    ListingCondition.SLIGHT_TRACES: "轻微使用痕迹",
    ListingCondition.VISIBLE_TRACES: "明显使用痕迹",
    ListingCondition.WORN: "重度使用痕迹",
}

_LIKE_NEW: Final = re.compile("(?:几乎|近|准)全新|准新|充新")
# 新款 and its like are of a model; 荣耀90 is a telephone, 九新疆 begins a place.
_NOT_THE_THING: Final = "(?![款品版机疆年代包])"
_HUNDREDTHS: Final = re.compile(
    rf"(?<![\d.])(?<!荣耀)(?<!荣耀\s)(?:100|[5-9]\d)(?:\.\d)?\s?成?新{_NOT_THE_THING}"
    rf"|(?<![\d.])[5-9](?:\.\d)?成\d?新{_NOT_THE_THING}"
    rf"|[五六七八九]点?[一二三四五六七八九]?成[一二三四五六七八九]?新{_NOT_THE_THING}"
)
_WITHOUT_TENTHS: Final = re.compile(rf"([五六七八九])([一二三四五六七八九])新{_NOT_THE_THING}")
_TRACES: Final = re.compile("(?<!无)(?<!没有)(?:轻微|细微|明显|较多|正常|重度|严重)的?(?:使用)?的?(?:痕迹|磨损|划痕)")
# A new part does not make the whole new.
_PARTS: Final = "电池|屏|外壳|后盖|后壳|配件|充电|数据线|键盘|表带|皮套|壳|膜|镜|主板|轮胎|坐垫|盒"
_OF_A_MODEL: Final = "款|升级|一代|设计|改版|系列"
_NEW: Final = re.compile(
    f"未拆|仅拆封|未激活|未使用|(?<!非)(?<!不是)(?<![换送])全新(?!的?(?:{_PARTS})|(?:{_OF_A_MODEL}))"
)


def condition_in_title(title: str) -> ListingCondition | None:
    """How used the thing is by its title; None where that says nothing of it.

    `"iPhone 13 95新"` → LIKE_NEW, `"九成新 自行车"` → SLIGHT_TRACES, `"全新未拆"` → NEW; `"换全新电池"` → None.
    """
    text = normalise(title)
    if _LIKE_NEW.search(text):
        return ListingCondition.LIKE_NEW
    if match := _HUNDREDTHS.search(text) or _TRACES.search(text):
        return condition_of(match[0])
    if match := _WITHOUT_TENTHS.search(text):
        return condition_of(f"{match[1]}成{match[2]}新")
    return ListingCondition.NEW if _NEW.search(text) else None
