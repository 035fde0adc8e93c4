"""Money: integer fen inside, a decimal string in yuan with two places outside. Never a float."""

import re
from typing import Annotated

from pydantic import Field

# 9,999,999.99 yuan. Keeps every sum of a user's money far from the limit of a BigInteger.
MAX_FEN = 999_999_999

_YUAN = re.compile(r"[0-9]{1,12}(\.[0-9]{1,2})?", re.ASCII)


def format_yuan(fen: int) -> str:
    """`564250` → `"5642.50"`."""
    return f"{fen // 100}.{fen % 100:02d}"


def format_signed_yuan(fen: int) -> str:
    """As `format_yuan`, also below zero: `-1250` → `"-12.50"`."""
    return format_yuan(fen) if fen >= 0 else f"-{format_yuan(-fen)}"


def format_yuan_or_none(fen: int | None) -> str | None:
    """As `format_yuan`; None stays None."""
    return None if fen is None else format_yuan(fen)


def parse_yuan(value: object, *, maximum: int = MAX_FEN) -> int:
    """A yuan amount as programs write it (string, integer or JSON number, at most two decimal places) as fen.

    What people write is read by `app.fields.amounts`. Raises ValueError for anything else: more places, signs,
    exponents, NaN, booleans, other types, more than `maximum` (fen).
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("金额格式不正确")  # noqa: TRY004 - pydantic turns ValueError into an answer
    # repr() of a float is the shortest text that reads back to it: 0.1 → "0.1". An exponent or NaN fails the pattern.
    text = value if isinstance(value, str) else repr(value)
    if not _YUAN.fullmatch(text):
        raise ValueError("金额须为不超过两位小数的数字")
    whole, _, fraction = text.partition(".")
    fen = int(whole) * 100 + int(fraction.ljust(2, "0"))
    if fen > maximum:
        raise ValueError(f"金额不能超过 {format_yuan(maximum)} 元")
    return fen


YuanOut = Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]{2}$", examples=["5642.50"])]
"""An answer's field in yuan."""

SignedYuanOut = Annotated[str, Field(pattern=r"^-?[0-9]+\.[0-9]{2}$", examples=["-12.00"])]
"""An answer's field in yuan that may be below zero."""
