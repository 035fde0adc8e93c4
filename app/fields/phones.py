"""Phone numbers of the mainland, Hong Kong, Macau and Taiwan, as people paste them.

The one form of a mobile number of the mainland is its eleven digits, as it always was here; of every other number
E.164 (`+85298765432`, a landline in Beijing `+861062345678`). So each tells where it is, and how it is dialled.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, Self

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberType
from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticKnownError

from app.fields.characters import plain


class Place(StrEnum):
    """Where a number without a code would be dialled; the value is its region's code of ISO 3166."""

    MAINLAND = "CN"
    HONG_KONG = "HK"
    MACAU = "MO"
    TAIWAN = "TW"


CODES: Final = {Place.MAINLAND: "86", Place.HONG_KONG: "852", Place.MACAU: "853", Place.TAIWAN: "886"}
"""What stands before the numbers of a place when they are dialled from elsewhere."""

_EXAMPLE: Final = "如 13800138000;香港、澳门、台湾号码请带区号,如 +852 9876 5432"
_EXPECTED: Final = f"须为手机号码或带区号的固定电话,{_EXAMPLE}"
_EXPECTED_MOBILE: Final = f"须为手机号码,{_EXAMPLE}"

_LONGEST: Final = 64
_PREFIX: Final = re.compile(r"^tel:", re.IGNORECASE)
_BETWEEN: Final = re.compile(r"[ .()_·\u2022\u2027\u30fb-]+")  # the last are dots at half height
_SHORTEST_GROUP: Final = 4
_DIGITS: Final = re.compile(r"(?P<abroad>\+|00)?(?P<digits>[0-9]{7,15})", re.ASCII)
_MAINLAND_MOBILE: Final = re.compile(r"0?(1[3-9][0-9]{9})", re.ASCII)
_MOBILE: Final = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
_REACHED: Final = _MOBILE | {PhoneNumberType.FIXED_LINE}


def read_phone(value: object, *, place: Place = Place.MAINLAND, mobile: bool = False) -> str:
    """The number that a client wrote, in its one form; of a mobile phone only, where `mobile`.

    Without a code it is a number of `place`, or a mobile number of the mainland. Raises ValueError with what is
    expected where it is no number or could be several.
    """
    pasted = _Pasted.of(value)
    readings = set(pasted.readings(place, _MOBILE if mobile else _REACHED))
    if len(readings) != 1:
        raise ValueError(_EXPECTED_MOBILE if mobile else _EXPECTED)
    return readings.pop()


def read_phone_of_some_place(value: object) -> str:
    """As `read_phone` where the place is not known yet: a number without a code that is none of the mainland's stays
    as its digits (`lacks_place`), to be read once more. Raises ValueError as `read_phone`.
    """
    pasted = _Pasted.of(value)
    by_place = {place: set(pasted.readings(place, _REACHED)) for place in Place}
    readings = set().union(*by_place.values())
    if not readings:
        raise ValueError(_EXPECTED)
    return readings.pop() if readings == by_place[Place.MAINLAND] and len(readings) == 1 else pasted.compact


def lacks_place(number: str) -> bool:
    """Whether `number`, of `read_phone_of_some_place`, has still to be read with its place."""
    return not number.startswith("+") and _MAINLAND_MOBILE.fullmatch(number) is None


def masked_phone(number: str) -> str:
    """As much of a number as its owner needs to recognise it: `138****8000`, `+852****5432`."""
    shown = next((f"+{code}" for code in CODES.values() if number.startswith(f"+{code}")), number[:3])
    return f"{shown}****{number[-4:]}"


@dataclass(frozen=True, slots=True)
class _Pasted:
    """What was pasted: the digits, with + before them where it stood there, and how many are in the last group."""

    compact: str
    last_group: int

    @classmethod
    def of(cls, value: object) -> Self:
        if not isinstance(value, str):
            raise PydanticKnownError("string_type")
        # Nothing this long is a number, however much comes along with it.
        text = plain(value) if len(value) <= _LONGEST else ""
        groups = [group for group in _BETWEEN.split(_PREFIX.sub("", text, count=1)) if group]
        return cls("".join(groups), len(groups[-1]) if groups else 0)

    def readings(self, place: Place, types: frozenset[int]) -> Iterator[str]:
        """Every number that it can be, in their one form."""
        found = _DIGITS.fullmatch(self.compact)
        if not found:
            return
        if self.last_group < _SHORTEST_GROUP:
            types = _MOBILE  # behind a landline's number this is an extension: 0755-8234567-8
        digits = found["digits"]
        if not found["abroad"]:
            mainland = _MAINLAND_MOBILE.fullmatch(digits)
            if mainland:
                yield mainland[1]
            elif digits.startswith("0"):
                # Nobody writes a landline of the mainland without the 0.
                yield from _valid(digits, Place.MAINLAND, types)
            if place is not Place.MAINLAND and not mainland:
                yield from _valid(digits, place, types)
        for home, code in CODES.items():
            if digits.startswith(code):
                yield from _valid(digits.removeprefix(code), home, types)


def _valid(national: str, place: Place, types: frozenset[int]) -> Iterator[str]:
    """The number within a place, in its one form, if there can be such a number."""
    mobile = _MAINLAND_MOBILE.fullmatch(national) if place is Place.MAINLAND else None
    if mobile:
        yield mobile[1]
        return
    try:
        number = phonenumbers.parse(f"+{CODES[place]}{national}", None)
    except NumberParseException:
        return
    # Only the 0 before an area may be missing from what is kept: the library also takes off prefixes of carriers.
    if str(number.national_number) not in (national, national.removeprefix("0")):
        return
    if phonenumbers.is_valid_number_for_region(number, place) and phonenumbers.number_type(number) in types:
        yield phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


_SCHEMA: Final = WithJsonSchema(
    {
        "type": "string",
        "minLength": 7,
        "maxLength": _LONGEST,
        "examples": ["13800138000"],
        "description": "a mobile number of the mainland, or with its code a landline or a number of Hong Kong, Macau "
        "or Taiwan; blanks, hyphens and +86 may be there. Kept are eleven digits, or E.164: `+85298765432`",
    }
)

PhoneIn = Annotated[str, BeforeValidator(read_phone), _SCHEMA]
"""A phone number from a client."""

PhoneOfSomePlaceIn = Annotated[str, BeforeValidator(read_phone_of_some_place), _SCHEMA]
"""A phone number from a client that does not say where it is: see `read_phone_of_some_place`."""
