"""What is copied character by character: codes of digits, captchas, numbers of orders and parcels."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

from annotated_types import GroupedMetadata, MaxLen, MinLen
from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticKnownError

from app.fields.characters import plain
from app.fields.text import CleanText

_SEPARATOR: Final = re.compile(r"[ -]+")


def _plain(value: object, *, longest: int) -> str:
    if not isinstance(value, str):
        raise PydanticKnownError("string_type")
    # Beyond this nothing is looked at.
    return plain(value) if len(value) <= 4 * longest + 64 else ""


@dataclass(frozen=True, slots=True, init=False)
class Digits(GroupedMetadata):
    """`Annotated[str, Digits(6)]`: a code of so many digits, pasted in groups or not; `Digits(8, 12)`: of 8 or 12."""

    lengths: tuple[int, ...]

    def __init__(self, *lengths: int) -> None:
        object.__setattr__(self, "lengths", lengths)

    def __iter__(self) -> Iterator[Any]:  # pydantic's own metadata has no common type
        """The rule as pydantic metadata."""
        yield BeforeValidator(self.read)
        choices = "|".join(f"[0-9]{{{length}}}" for length in self.lengths)
        yield WithJsonSchema(
            {"type": "string", "pattern": f"^({choices})$", "examples": ["12345678"[: self.lengths[0]]]}
        )

    def read(self, value: object) -> str:
        """The code. Raises ValueError with what is expected."""
        groups = [group for group in _SEPARATOR.split(_plain(value, longest=max(self.lengths))) if group]
        code = "".join(groups)
        # A whole code and something beside it are no longer code.
        beside = len(groups) > 1 and any(len(group) in self.lengths for group in groups)
        if not (code.isascii() and code.isdigit() and len(code) in self.lengths) or beside:
            raise ValueError(f"须为 {' 或 '.join(map(str, self.lengths))} 位数字")
        return code


@dataclass(frozen=True, slots=True)
class Compact(GroupedMetadata):
    """`Annotated[str, Compact(1, 16)]`: a text of so many characters without blanks and hyphens, full-width ones plain.

    For what is only compared or looked up, such as a captcha or the number of an order. What it may consist of is the
    matter of whatever it is compared with.
    """

    minimum: int
    maximum: int

    def __iter__(self) -> Iterator[Any]:  # pydantic's own metadata has no common type
        """The rule as pydantic metadata: the text is made compact before its length is checked."""
        yield MinLen(self.minimum)
        yield MaxLen(self.maximum)
        yield BeforeValidator(self.read)

    def read(self, value: object) -> str:
        """The compact text. Raises ValueError as `CleanText`."""
        return _SEPARATOR.sub("", plain(CleanText(self.minimum, 4 * self.maximum).clean(value)))


_SHORTEST_NUMBER, _LONGEST_NUMBER = 5, 40
_NUMBER_EXPECTED: Final = f"须为一个运单号:{_SHORTEST_NUMBER} 至 {_LONGEST_NUMBER} 位字母和数字,如 SF1020304050607"
_NUMBER: Final = re.compile(rf"(?=[A-Z]*[0-9])[0-9A-Z]{{{_SHORTEST_NUMBER},{_LONGEST_NUMBER}}}", re.ASCII)
# JD counts the parcels of one number behind it, and its labels show that as a part of the number.
_COUNTED: Final = re.compile(r"JD[0-9A-Z]{8,29}(-[0-9]{1,3}){1,2}-?", re.ASCII)
# Numbers whose form tells that they are whole, in whatever groups: of the post between countries (UPU S10: a service,
# nine digits, a country), and of UPS, who print 1Z 999 AA1 01 2345 6784.
_WHOLE: Final = re.compile(r"[A-Z]{2}[0-9]{9}[A-Z]{2}|1Z[0-9A-Z]{16}", re.ASCII)
# Letters that numbers begin with, as people part them from the digits. Others apart are a carrier's name (EMS, YTO).
_PREFIX: Final = re.compile("SF|YT|ZT|JT|KY|LP|DPK|JD[A-Z]{0,2}", re.ASCII)
# People copy a number in groups of four or so. Longer ones can be a number themselves, what is shorter a count beside.
_GROUP: Final = range(3, 9)
_EVEN_GROUP: Final = range(3, 6)


def read_tracking_number(value: object) -> str:
    """The number of a parcel, in capitals and without blanks and hyphens (but for JD's count of parcels).

    Raises ValueError with what is expected, also where there could be two numbers, or a number and something beside it.
    """
    text = _plain(value, longest=_LONGEST_NUMBER)
    # Capitals of other letters can be ASCII (ß is SS). What stands in another line is something else.
    is_a_line = text.isascii() and bool(text) and sum(bool(plain(line)) for line in str(value).splitlines()) == 1
    text = re.sub(" *- *", "-", text.upper()) if is_a_line else ""
    if text.startswith("JD") and "-" in text:
        head, _, count = text.partition("-")
        number = f"{head.replace(' ', '')}-{count}"
        right = _COUNTED.fullmatch(number) if _is_one(head.split()) else None
    else:
        groups = _SEPARATOR.split(text)
        number = "".join(groups)
        right = _NUMBER.fullmatch(number) if _is_one(groups) or _WHOLE.fullmatch(number) else None
    if not right:
        raise ValueError(_NUMBER_EXPECTED)
    return number


def _is_one(groups: list[str]) -> bool:
    """Whether the groups are of one number: letters stand where it begins, and it may end with fewer digits."""
    first, *rest = groups
    if rest and _PREFIX.fullmatch(first):
        first, *rest = rest
        if not first.isdigit():
            return False
    if not rest:
        return True
    *others, last = rest
    if first.isalpha() or not all(group.isdigit() for group in rest):
        return False
    if not all(len(group) in _GROUP for group in (first, *others)):
        return False
    # Behind groups of one size stands what is left over, behind others a count of parcels.
    sizes = {len(group) for group in others}
    left_over = len(sizes) == 1 and sizes.issubset(_EVEN_GROUP) and len(last) < min(sizes)
    return len(last) in _GROUP or left_over


TrackingNumberIn = Annotated[
    str,
    BeforeValidator(read_tracking_number),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^[0-9A-Za-z-]{5,40}$",
            "examples": ["SF1020304050607"],
            "description": "letters and digits; blanks and hyphens between groups are left out, capitals are kept",
        }
    ),
]
"""The number of a parcel from a client."""
