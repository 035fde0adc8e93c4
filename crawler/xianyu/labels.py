"""Reads the labels that the site shows below a title: 几乎全新, Apple/苹果, 12人想要, 包邮, 券已抵50元.

They come in rows, in an order that the site changes, so each is known by what it says. Only the brand is known by its
place: it is the first label after the condition, in the same row, that says nothing else.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from .prices import read_price
from .privacy import hide_contacts
from .values import as_node, count, node, one_line, rows


class Labels(NamedTuple):
    """What the labels of one item say; None where they say nothing. Money is fen."""

    want_count: int | None = None
    condition: str | None = None
    brand: str | None = None
    coupon_off_fen: int | None = None
    """How much a coupon has taken off the price that is shown."""
    free_shipping: bool | None = None
    """True or None: no label says that shipping costs something."""
    struck_fen: int | None = None
    """A price that is shown beside the one asked for: what it was before."""


NO_LABELS: Final = Labels()

Label = tuple[str, str]
"""A text, and the name of the property that it is a value of (成色, 品牌); "" where the site does not give it."""

_LONGEST: Final = 60
"""Characters. What is longer is a sentence, and no label."""
_WANTED: Final = re.compile(r"(?<![0-9.,])([0-9]{1,9})(?:\.([0-9]{1,4}))?(万?)\+?\s?人想要", re.ASCII)
_FREE_SHIPPING: Final = re.compile("freeShippingIcon|(?:全国|卖家|本店|顺丰)?(?:包邮费?|免邮费?|免运费)")
_COUPON: Final = re.compile(
    r"(?=.*(?:券|红包|优惠|补贴)).*已(?:用券)?(?:抵扣?|减免?|优惠|省)了?\s?[¥￥]?\s?(?P<yuan>[0-9][0-9,]{0,6}(?:\.[0-9]{1,2})?)\s?元?",
    re.ASCII,
)
"""A coupon that the price shown has been lowered by. One that is only offered (领券减50) has no 已."""
_CONDITION: Final = re.compile(
    r"(?:几乎|近)?全新(?:[\s/·、,，(（]*(?:未拆封?|仅拆封?|未使用|仅试用|微瑕|带吊牌)[)）]?)?|准新|仅拆封?|未拆封|未使用"
    r"|[五六七八九](?:点?五)?成(?:[一二三四五六七八九]|新)新?|(?:100|[5-9][0-9]?(?:\.[0-9])?)\s?成?新"
    r"|(?:无|有|极?轻微|少量|明显|正常|较多|严重|重度)(?:的)?(?:使用)?(?:痕迹|磨损|划痕)"
    r"|成色(?:全新|极新|较新|很?好|良好|一般|较差|较旧)"
)
_CONDITION_NAMES: Final = frozenset({"成色", "新旧程度", "新旧"})
_BRAND_NAMES: Final = frozenset({"品牌"})
_NO_BRAND: Final = re.compile(
    r"[0-9]\s?(?:[GT]B?|MB|L|寸|英寸|吋|[cm]m|cm|码|元|天|日|人|小时|分钟|折|%|年|个月|次|条|件|mAh|W|Hz)(?![A-Za-z])"
    r"|想要|降价|发布|刚刚|[包免]邮|运费|券|红包|信用|回复|小刀|验货|评价|好评|卖家|买家|粉丝|回头|芝麻|[¥￥]|Icon\Z"
    r"|(?:国|港|美|日|韩|欧|台|陆|外|公开|开|行|官换|资源)[行版机]\Z|全网通|双卡"
    r"|\A(?:无|有|未|已|可|不|含|送|带|仅|支持|自用|近期|全部|其他|其它)",
    re.IGNORECASE,
)
"""What follows a condition too and is no brand: sizes, origins, what is missing, what other labels say."""
_IN_TWO_WRITINGS: Final = re.compile(
    r"[A-Za-z][\w .&'·+!-]*/[\u4e00-\u9fff][\w·]*|[\u4e00-\u9fff][\w·]*/[A-Za-z][\w .&'·+!-]*"
)
"""A name in Latin letters and in Chinese ones, which only brands have: Apple/苹果, 无印良品/MUJI."""
_PRICE: Final = re.compile(r"[¥￥]\s?[0-9][0-9.,]*[万千]?")


def labels_of(tag_rows: object) -> Labels:
    """What the labels in rows of tags say: `{"r1": {"tagList": [{"data": {"content": "12人想要"}}]}}`."""
    if not isinstance(tag_rows, dict) or not tag_rows:
        return NO_LABELS
    return read_labels(map(_row_of_tags, tag_rows.values()))


def _row_of_tags(row: object) -> list[Label]:
    found: list[Label] = []
    for tag in rows(as_node(row).get("tagList")):
        data = node(as_node(tag), "data")
        text = data.get("content")
        if isinstance(text, str) and 0 < len(text) <= _LONGEST:
            name = data.get("propertyName") or data.get("propertyText")
            found.append((text, name if isinstance(name, str) else ""))
    return found


def read_labels(label_rows: Iterable[Sequence[Label]]) -> Labels:
    """What labels say, row by row. Of two that say the same kind of thing the first one counts."""
    found: dict[str, Any] = {}
    for row in label_rows:
        may_be_brand = False
        for text, name in row:
            kind, value = _read(text, name)
            if not kind and may_be_brand and not name:
                kind, value, may_be_brand = "brand", _likely_brand(text), False
            if value is not None:
                found.setdefault(kind, value)
            may_be_brand = may_be_brand or kind == "condition"
    return Labels(**found)


@lru_cache(maxsize=4096)
def _read(text: str, name: str) -> tuple[str, object]:
    """Which field of `Labels` a label tells, and its value, which is None if it cannot be read; "" for no field."""
    if "人想要" in text:
        return "want_count", _wanted(text)
    if _FREE_SHIPPING.fullmatch(text):
        return "free_shipping", True
    if name in _CONDITION_NAMES or _CONDITION.fullmatch(text):
        return "condition", _as_written(text)
    if name in _BRAND_NAMES:
        return "brand", _as_written(text)
    if _PRICE.fullmatch(text):
        return "struck_fen", read_price(text)[0]
    match = _COUPON.fullmatch(text)
    return ("", None) if match is None else ("coupon_off_fen", read_price(match["yuan"])[0])


def says_free_shipping(text: object) -> bool:
    """Whether a text is a label for free shipping."""
    return isinstance(text, str) and _FREE_SHIPPING.fullmatch(text) is not None


def is_condition(name: object) -> bool:
    """Whether this is the name of the property 成色."""
    return isinstance(name, str) and name in _CONDITION_NAMES


def is_brand(name: object) -> bool:
    """Whether this is the name of the property 品牌."""
    return isinstance(name, str) and name in _BRAND_NAMES


def _likely_brand(text: str) -> str | None:
    """The label after a condition as a brand; None if it looks like something else."""
    if _NO_BRAND.search(text) and not _IN_TWO_WRITINGS.fullmatch(text):
        return None
    return _as_written(text)


def _as_written(text: str) -> str | None:
    """A brand or a condition in the site's words. Sellers may write their own, so contacts are hidden."""
    found = one_line(text)
    return None if found is None else hide_contacts(found)


def _wanted(text: str) -> int | None:
    """The number in a label like `12人想要` or `1.2万人想要`."""
    match = _WANTED.search(text)
    if match is None:
        return None
    whole, places, wan = match.groups()
    return count(int(whole + (places or "").ljust(4, "0")) if wan else int(whole))
