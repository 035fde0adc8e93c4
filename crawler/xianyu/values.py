"""Reads single values of the site's answers. Whatever is null or of an unexpected type counts as absent."""

import re
from datetime import UTC, datetime
from typing import Final

from .clock import SHANGHAI, isoformat

EMPTY_NODE: Final[dict[str, object]] = {}
MAX_COUNT: Final = 2**31 - 1
_NUMBER_LIMIT: Final = 10**20
_IDENTIFIER: Final = re.compile(r"(?!0+$)[0-9]{1,20}", re.ASCII)
_MOMENTS: Final = range(1_000_000_000, 4_102_444_800)
"""2001-09-09 to 2100, in seconds; anything else is no time of publication."""
_DIGITS_OF_SECONDS: Final = 10
_DIGITS_OF_MILLISECONDS: Final = 13
# Control characters, except white space; lone surrogates, which cannot be encoded in UTF-8; and what nobody sees: soft
# hyphens, zero-width characters, direction marks. The joiner stays, as it makes one emoji of several.
_CONTROLS: Final = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff"
    "\xad\u061c\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
_LINE_END: Final = re.compile("\r\n|[\n\v\f\r\x85\u2028\u2029]")
# The look-behind keeps the time linear: a run of blanks is tried from its start only.
_BREAK: Final = re.compile("(?<![ \t\u3000])[ \t\u3000]*[\n\v\f\r\x85\u2028\u2029]\\s*")
_DISTANCE: Final = re.compile(
    r"[<>＜＞约]?(?:距离?(?:你|您|我)?)?[<>＜＞约]?\s?\d{1,5}(?:\.\d{1,3})?\s?(?:km|m|千米|公里|米)(?:以?内)?",
    re.IGNORECASE,
)
_TRUE: Final = frozenset({"true", "1"})
_FALSE: Final = frozenset({"false", "0"})
_DATE: Final = re.compile(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})(?=[ T]|$)", re.ASCII)
_COUNT: Final = re.compile(r"[0-9]{1,10}", re.ASCII)
_NO_PLACE: Final = frozenset({"附近", "同城", "未知"})
"""What stands where the place of an item does, and names none."""


def as_node(value: object) -> dict[str, object]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else EMPTY_NODE


def node(parent: dict[str, object], key: str) -> dict[str, object]:
    """The JSON object under a key; an empty one if there is none."""
    value = parent.get(key)
    return value if isinstance(value, dict) else EMPTY_NODE


def rows(value: object) -> list[object]:
    """The value if it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else []


def is_true(value: object) -> bool:
    """Whether a value says yes: true, or the text of it."""
    return value is True or (isinstance(value, str) and value.lower() in _TRUE)


def is_false(value: object) -> bool:
    """Whether a value says no: false, or the text of it."""
    return value is False or (isinstance(value, str) and value.lower() in _FALSE)


def identifier(value: object) -> str | None:
    """The digits of an item's or a category's number, which may be a text or an integer. 0 means that there is none."""
    if type(value) is int and 0 < value < _NUMBER_LIMIT:
        value = str(value)
    return value if isinstance(value, str) and _IDENTIFIER.fullmatch(value) else None


def one_line(value: object) -> str | None:
    """A text on one line, without what nobody sees; a line break and its white space are a blank. None if empty."""
    if not isinstance(value, str):
        return None
    if not value.isprintable():
        value = _BREAK.sub(" ", without_controls(value)).replace("\t", " ")
    return value.strip() or None


def lines(value: str) -> str:
    """A text without control characters, with `\\n` as its line breaks."""
    return _LINE_END.sub("\n", without_controls(value)).replace("\t", " ").strip()


def without_controls(text: str) -> str:
    """`text` without what nobody sees: control characters, white space excepted, zero-width ones, halves of emoji."""
    return text if text.isprintable() else _CONTROLS.sub("", text)


def number_text(value: object) -> str | None:
    """The text of a number, which may be a text or a number."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_NUMBER_LIMIT < value < _NUMBER_LIMIT:
        return None
    # repr writes a number as the JSON has it: 0.1 as "0.1". One with an exponent cannot be read as a price.
    return repr(value)


def count(value: object) -> int | None:
    """A count from 0 to `MAX_COUNT`, which may be a text or an integer."""
    if isinstance(value, str) and _COUNT.fullmatch(value):
        value = int(value)
    return value if type(value) is int and 0 <= value <= MAX_COUNT else None


def moment(value: object) -> str | None:
    """A time in ISO 8601 in UTC. Given as milliseconds or seconds since 1970, or as `2026-09-21 22:13:20` in China."""
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit()):
            return _moment_of_date(value)
        if len(value) not in (_DIGITS_OF_SECONDS, _DIGITS_OF_MILLISECONDS):
            return None
        value = int(value)
    elif isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Milliseconds of these years are no seconds of them, and the other way round. NaN is in no range either.
    seconds = value // 1000 if value >= _MOMENTS.stop else value
    if not _MOMENTS.start <= seconds < _MOMENTS.stop or seconds != int(seconds):
        return None
    return isoformat(datetime.fromtimestamp(int(seconds), UTC))


def _with_zeros(date: re.Match[str]) -> str:
    return f"{date[1]}-{int(date[2]):02}-{int(date[3]):02}"


def _moment_of_date(text: str) -> str | None:
    try:
        found = datetime.fromisoformat(_DATE.sub(_with_zeros, text.strip()))
        if found.tzinfo is None:
            if len(text.strip()) <= len("2026-09-21"):  # a date alone is no moment
                return None
            found = found.replace(tzinfo=SHANGHAI)
        found = found.astimezone(UTC)
        return isoformat(found) if int(found.timestamp()) in _MOMENTS else None
    except (ValueError, OverflowError):  # OverflowError: before the year 1 in UTC
        return None


def area(value: object) -> str | None:
    """A province or city; what a text says of a distance (距你3.2km) is left out, and None if it says nothing else."""
    text = one_line(value)
    if text in _NO_PLACE:
        return None
    if text is None or text.isalpha():  # as nearly all are; Chinese characters are letters
        return text
    return _DISTANCE.sub("", text).strip(" ·|,，・") or None
