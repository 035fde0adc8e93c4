"""Reads the site's price texts exactly, as integer fen; floats are never used."""

import re
from itertools import pairwise
from typing import Final

from .items import PriceStatus

MAX_FEN: Final = 99_999_999_999
"""999,999,999.99 yuan. Sellers write larger numbers to say that there is no price."""

_FULL_WIDTH: Final = str.maketrans("０１２３４５６７８９．，：￥", "0123456789.,:¥")
_PRICE: Final = re.compile(
    r"(?:当前价|现价|起拍价|一口价|价格|售价)?:?¥?"
    r"(?P<whole>[0-9]{1,12}|[0-9]{1,3}(?:,[0-9]{3}){1,3})"
    r"(?:(?:\.(?P<places>[0-9]{1,2}))?|(?:\.(?P<more_places>[0-9]{1,6}))?(?P<unit>[万千]))元?",
    re.ASCII,
)
_NEGOTIABLE: Final = re.compile(r"¥?(?:价格|私聊)?面议")
_NOTHING: Final = frozenset({"", "¥", "元"})
_PLACES: Final = {None: 2, "千": 5, "万": 6}
"""Decimal places down to the fen, of 元, 千 (1,000 yuan) and 万 (10,000 yuan)."""


def read_price(text: str) -> tuple[int | None, PriceStatus]:
    """The price in fen with `OK`, or None with the status that says why there is none.

    `"¥5642.50"` → 564250, `"当前价¥2,999"` → 299900, `"1.2万"` → 1200000, `"3.5千"` → 350000. Blanks and full-width
    forms do not matter.
    An empty text or a currency sign alone is `MISSING`; 面议 is `NEGOTIABLE`; "0" and "0.00" are `ZERO`. Whatever would
    have to be guessed is `UNREADABLE`: fractions of a fen, commas not between groups of three digits, ranges, "50/天",
    "100起", two numbers, negative numbers, more than `MAX_FEN`.
    """
    words = text.translate(_FULL_WIDTH).split()
    plain = "".join(words)
    if plain in _NOTHING:
        return None, PriceStatus.MISSING
    match = None if _two_numbers(words) else _PRICE.fullmatch(plain)
    if match is None:
        return None, PriceStatus.NEGOTIABLE if _NEGOTIABLE.fullmatch(plain) else PriceStatus.UNREADABLE
    whole, places, more_places, unit = match.group("whole", "places", "more_places", "unit")
    digits = places or more_places or ""
    if len(digits) > _PLACES[unit]:
        return None, PriceStatus.UNREADABLE
    fen = int(whole.replace(",", "") + digits.ljust(_PLACES[unit], "0"))
    if fen > MAX_FEN:
        return None, PriceStatus.UNREADABLE
    return (fen, PriceStatus.OK) if fen else (None, PriceStatus.ZERO)


def _two_numbers(words: list[str]) -> bool:
    return any(left[-1].isdigit() and right[0].isdigit() for left, right in pairwise(words))
