"""The categories of goods and of listings: the 商品分类 of the API spec (`api-notes.txt`)."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class Category(IntEnum):
    """What kind of good it is: 商品分类."""

    PHONE = 1
    DIGITAL = 2
    RENTAL = 3
    CLOTHES = 4
    HOME = 5
    BEAUTY = 6
    SPORTS = 7
    APPLIANCES = 8
    TOYS_AND_INSTRUMENTS = 9


CATEGORY_TEXT: Final[Mapping[int, str]] = {
    Category.PHONE: "手机",
    Category.DIGITAL: "数码",
    Category.RENTAL: "租房",
    Category.CLOTHES: "服装",
    Category.HOME: "居家",
    Category.BEAUTY: "美妆",
    Category.SPORTS: "运动",
    Category.APPLIANCES: "家电",
    Category.TOYS_AND_INSTRUMENTS: "玩具乐器",
}
