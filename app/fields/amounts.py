"""Amounts in yuan as people write them; inside they are fen (`app.fen`)."""

import re
from functools import partial
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema

from app.fen import MAX_FEN, format_yuan
from app.fields.characters import plain

_EXPECTED: Final = "金额须为不超过两位小数的数字"

# ￥ and ¥ are one after `plain`. A comma parts thousands, and only where there are whole groups of three: in 12,50 it
# could as well be a decimal point.
_MARK: Final = r"(?:¥|RMB|CNY|人民币)"
_AMOUNT: Final = re.compile(
    rf"(?:{_MARK} ?)?(?P<whole>[0-9]{{1,12}}|[1-9][0-9]{{0,2}}(?:,[0-9]{{3}}){{1,3}})(?:\.(?P<fraction>[0-9]{{1,2}}))?"
    rf"(?: ?(?:元|圆|圓|块|{_MARK}))?",
    re.ASCII | re.IGNORECASE,
)
_LONGEST: Final = 64


def read_yuan(value: object, *, minimum: int = 0, maximum: int = MAX_FEN) -> int:
    """A client's amount in yuan (text, integer or JSON number) as fen.

    Raises ValueError for whatever is not one amount without doubt: more than two decimal places, signs, exponents, NaN,
    booleans, other types, groups that are none, less than `minimum` or more than `maximum` fen.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("金额格式不正确")  # noqa: TRY004 - pydantic turns ValueError into an answer
    # repr() of a float is the shortest text that reads back to it: 0.1 → "0.1". An exponent or NaN fails the pattern.
    text = plain(value) if isinstance(value, str) and len(value) <= _LONGEST else repr(value)
    # A Chinese keyboard types its full stop for a decimal point.
    found = _AMOUNT.fullmatch(re.sub("(?<=[0-9])。(?=[0-9])", ".", text))
    if not found:
        raise ValueError(_EXPECTED)
    fen = int(found["whole"].replace(",", "")) * 100 + int((found["fraction"] or "").ljust(2, "0"))
    if fen > maximum:
        raise ValueError(f"金额不能超过 {format_yuan(maximum)} 元")
    if fen < minimum:
        raise ValueError("金额须大于 0" if minimum == 1 else f"金额不能小于 {format_yuan(minimum)} 元")
    return fen


def _schema(maximum: int) -> dict[str, Any]:
    digits = len(str(maximum // 100))
    return {
        "anyOf": [
            {"type": "string", "pattern": rf"^[0-9]{{1,{digits}}}(\.[0-9]{{1,2}})?$"},
            {"type": "number", "minimum": 0, "maximum": maximum // 100, "multipleOf": 0.01},
        ],
        "description": "yuan, at most two decimal places; as people write it, too: ￥5,642.50, １２．５, 30 元",
    }


YuanIn = Annotated[int, BeforeValidator(read_yuan), WithJsonSchema(_schema(MAX_FEN))]
"""A request field in yuan; its value is fen."""

AmountIn = Annotated[
    int, BeforeValidator(partial(read_yuan, maximum=2 * MAX_FEN)), WithJsonSchema(_schema(2 * MAX_FEN))
]
"""A request field in yuan that may hold an order's amount: a price and the freight. Its value is fen."""

PriceIn = Annotated[int, BeforeValidator(partial(read_yuan, minimum=1)), WithJsonSchema(_schema(MAX_FEN))]
"""As `YuanIn`, at least one fen."""
