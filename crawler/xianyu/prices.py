"""Price texts as the site writes them, read exactly into integer fen, never a float."""

import re
from itertools import pairwise
from typing import Final

from .items import PriceStatus

MOST_FEN: Final = 99_999_999_999
"""999,999,999.99 yuan. What is more is no price but a way to say that there is none."""

_FULL_WIDTH: Final = str.maketrans("０１２３４５６７８９．，：￥", "0123456789.,:¥")
_PRICE: Final = re.compile(
    r"(?:当前价|现价|一口价|价格|售价)?:?¥?"
    r"(?P<whole>[0-9]{1,12}|[0-9]{1,3}(?:,[0-9]{3}){1,3})"
    r"(?:(?:\.(?P<places>[0-9]{1,2}))?|(?:\.(?P<wan_places>[0-9]{1,6}))?(?P<wan>万))元?",
    re.ASCII,
)
_NEGOTIABLE: Final = re.compile(r"¥?(?:价格|私聊)?面议")
_NOTHING: Final = frozenset({"", "¥", "元"})
_PLACES: Final = 2
_WAN_PLACES: Final = 6
"""To the fen: 万 is four places more than 元."""


def read_price(text: str) -> tuple[int | None, PriceStatus]:
    """The price in fen with `OK`, or None with the status that says why there is none.

    `"¥5642.50"` → 564250, `"当前价¥2,999"` → 299900, `"1.2万"` → 1200000. Blanks and full-width forms do not matter.
    Nothing, or a sign alone, is `MISSING`; 面议 is `NEGOTIABLE`; "0" and "0.00" are `ZERO`. `UNREADABLE` is whatever
    could only be guessed: more places than fen have, thousands that do not stand in threes, ranges, "50/天", "100起",
    two numbers, negative ones, more than `MOST_FEN`.
    """
    words = text.translate(_FULL_WIDTH).split()
    plain = "".join(words)
    if plain in _NOTHING:
        return None, PriceStatus.MISSING
    match = None if _two_numbers(words) else _PRICE.fullmatch(plain)
    if match is None:
        return None, PriceStatus.NEGOTIABLE if _NEGOTIABLE.fullmatch(plain) else PriceStatus.UNREADABLE
    whole, places, wan_places, wan = match.group("whole", "places", "wan_places", "wan")
    digits = (wan_places or "").ljust(_WAN_PLACES, "0") if wan else (places or "").ljust(_PLACES, "0")
    fen = int(whole.replace(",", "") + digits)
    if fen > MOST_FEN:
        return None, PriceStatus.UNREADABLE
    return (fen, PriceStatus.OK) if fen else (None, PriceStatus.ZERO)


def _two_numbers(words: list[str]) -> bool:
    return any(left[-1].isdigit() and right[0].isdigit() for left, right in pairwise(words))
