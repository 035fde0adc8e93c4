"""Limits that people write into the query: 500以内, 1000-2000, 2k左右, 包邮, 全新, 九成新.

Places, sizes and genders are words that titles have; `reader.py` finds those.
"""

import re
from collections.abc import Iterator
from typing import Final

from app.listings.models import ListingCondition
from app.listings.title_conditions import condition_in_title
from app.search.understanding.types import Constraint, ConstraintName

_DIGITS: Final = {character: number for number, character in enumerate("零一二三四五六七八九")} | {"两": 2}
_UNITS: Final = {"百": 100, "千": 1000, "k": 1000, "万": 10_000, "w": 10_000}
_MOST_YUAN: Final = 100_000_000

_IN_DIGITS: Final = r"\d{1,9}(?:\.\d{1,2})?(?:\s?[kw](?![a-z0-9])|\s?[百千万])?"
_IN_WORDS: Final = "[一二两三四五六七八九][百千万](?:[一二三四五六七八九](?!成|分|手)百?)?"
_NUMBER: Final = rf"(?<![\da-z.])(?:{_IN_DIGITS}|{_IN_WORDS})"
_YUAN: Final = r"\s?(?:元|块钱?|rmb|人民币)"
_AMOUNT: Final = rf"[¥$]?\s?({_NUMBER})(?:{_YUAN})?"
_NOT_BEHIND: Final = (
    r"(?![a-z0-9寸码升匹毫室楼岁年月次克斤合]|平(?!板)|米(?!家)|公[斤里]|天(?!梭)|小时|人(?!体)|键(?!盘))"
)
"""What makes another measure of a number."""

_BETWEEN: Final = re.compile(rf"{_AMOUNT}\s?(?:-|~|—|到|至)\s?{_AMOUNT}{_NOT_BEHIND}(?:\s?之间)?(?:\s?的)?")
_AT_MOST: Final = re.compile(
    rf"{_AMOUNT}\s?(?:左右)?(?:以[内下里]|之[内下]|内|下|不到|封顶)(?:\s?的)?"
    rf"|(?:价格)?(?:不超过|不高于|不多于|低于|少于|小于|预算|最多|至多|不超|<=?)\s?{_AMOUNT}{_NOT_BEHIND}"
    r"(?:\s?(?:以[内下]|之[内下]|内|左右))?(?:\s?的)?"
)
_AT_LEAST: Final = re.compile(
    rf"{_AMOUNT}\s?(?:以上|之上|往上|起步?)(?:\s?的)?"
    rf"|(?:价格)?(?:高于|大于|超过|不低于|不少于|最少|至少|>=?)\s?{_AMOUNT}{_NOT_BEHIND}(?:\s?的)?"
)
_ABOUT: Final = re.compile(
    rf"(?:大概|大约|约)?\s?{_AMOUNT}\s?(?:左右|上下|附近|出头)(?:\s?的)?"
    rf"|(?:大概|大约)?\s?[¥$]?\s?({_NUMBER}){_YUAN}(?:\s?的)?"
)
_ABOUT_SHARE: Final = 0.3
"""How far from an amount that is only about right a price may be."""

_FREE_SHIPPING: Final = re.compile("包邮|免邮费?|免运费|包快递|包运费|免快递费")
_CONDITION: Final = re.compile(
    r"(?:几乎|近|准)全新|准新|充新|全新(?:未拆封?|未使用|未激活|未用)?|未拆封?|未使用|未激活|没用过|没拆封?"
    r"|(?<![\d.])(?:[5-9]\d|[5-9])\s?成?新|[五六七八九](?:点?[一二三四五六七八九])?成[一二三四五六七八九]?新|[五六七八九]{2}新"
)
_LEAST_PLAIN: Final = 100
"""Yuan from which two plain numbers with a hyphen are a range of prices."""
_LEAST_LIMIT: Final = 20
_YEARS: Final = range(1980, 2040)
_ZOOM: Final = re.compile(r"镜头|佳能|尼康|索尼|富士|适马|腾龙|mm|变焦|套机|相机|ef|rf")
_ZOOM_RANGE: Final = range(5, 801)


def read_constraints(text: str) -> list[Constraint]:
    """The limits in a query in normal form; their spans do not overlap."""
    found: list[Constraint] = []
    taken: list[tuple[int, int]] = []
    for reader in (_between, _at_most, _at_least, _about, _others):
        for constraints in reader(text):
            start, end = constraints[0].start, constraints[0].end
            if all(end <= first or last <= start for first, last in taken):
                taken.append((start, end))
                found += constraints
    return sorted(found, key=lambda each: each.start)


def _between(text: str) -> Iterator[list[Constraint]]:
    for match in _BETWEEN.finditer(text):
        low, high = _yuan(match[1], like=match[2]), _yuan(match[2])
        plain = match[1].isdigit() and match[2].isdigit() and not re.search(_YUAN, match[0])
        is_price = low < high and not (
            plain
            and (
                low < _LEAST_PLAIN
                or (low in _YEARS and high in _YEARS)
                or (high in _ZOOM_RANGE and _ZOOM.search(text) is not None)
            )
        )
        if is_price:
            yield [
                _price(ConstraintName.PRICE_MIN, low, match),
                _price(ConstraintName.PRICE_MAX, high, match),
            ]


def _at_most(text: str) -> Iterator[list[Constraint]]:
    for match in _AT_MOST.finditer(text):
        if _is_price(match):
            yield [_price(ConstraintName.PRICE_MAX, _yuan(match[1] or match[2]), match)]


def _at_least(text: str) -> Iterator[list[Constraint]]:
    for match in _AT_LEAST.finditer(text):
        if _is_price(match):
            yield [_price(ConstraintName.PRICE_MIN, _yuan(match[1] or match[2]), match)]


def _about(text: str) -> Iterator[list[Constraint]]:
    for match in _ABOUT.finditer(text):
        amount = _yuan(match[1] or match[2])
        yield [
            _price(ConstraintName.PRICE_MIN, amount * (1 - _ABOUT_SHARE), match),
            _price(ConstraintName.PRICE_MAX, amount * (1 + _ABOUT_SHARE), match),
        ]


def _is_price(match: re.Match[str]) -> bool:
    """Small numbers are sizes and models, unless money is named."""
    return _yuan(match[1] or match[2]) >= _LEAST_LIMIT or re.search(_YUAN, match[0]) is not None


def _others(text: str) -> Iterator[list[Constraint]]:
    for match in _FREE_SHIPPING.finditer(text):
        yield [Constraint(ConstraintName.FREE_SHIPPING, 1, match[0], *match.span())]
    for match in _CONDITION.finditer(text):
        condition = condition_in_title(match[0]) or ListingCondition.NEW
        yield [Constraint(ConstraintName.CONDITION, condition.value, match[0].strip(), *match.span())]


def _price(name: ConstraintName, yuan: float, match: re.Match[str]) -> Constraint:
    return Constraint(name, round(min(yuan, _MOST_YUAN) * 100), match[0].strip(), *match.span())


def _yuan(written: str, *, like: str = "") -> float:
    """`2k` → 2000, `1.5万` → 15000, `三千五` → 3500; the 1 of `1-2k` is read like the 2."""
    number = written.replace(" ", "")
    if number[0] in _DIGITS:
        rest = number[2:].removesuffix("百")
        unit = _UNITS[number[1]]
        return _DIGITS[number[0]] * unit + (_DIGITS[rest] * unit / 10 if rest else 0)
    unit = _UNITS.get(number[-1], 0)
    if unit:
        return float(number[:-1]) * unit
    amount = float(number)
    borrowed = _UNITS.get(like.replace(" ", "")[-1:], 0)
    return amount * borrowed if borrowed and amount < _LEAST_PLAIN else amount
