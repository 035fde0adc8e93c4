"""Types of request fields that every domain needs: text that is safe to store and show, and strict integers.

A model uses them like this:

    class ReleaseIn(BaseModel):
        title: Annotated[str, CleanText(1, 60)]
        description: Annotated[str, CleanText(1, 2000, multiline=True)]
        category: Annotated[int, Whole(1, 9)]
        address_id: IdIn
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, GroupedMetadata, Le, MaxLen, MinLen
from pydantic import BeforeValidator
from pydantic_core import PydanticKnownError

MAX_BIGINT = 2**63 - 1

# PostgreSQL cannot store NUL and UTF-8 has no lone surrogates; other control characters hide text, and bidirectional
# overrides and isolates make it display differently from what it says. Tabs and line ends are a matter of the field.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LINE_END = re.compile("\r\n?|[\u2028\u2029]")
_BREAKS = re.compile("[\t\n\r\u2028\u2029]")
# Blank to the eye although Unicode counts them as letters or symbols: Hangul fillers, the empty Braille pattern.
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")
# Cf: zero-width and other format characters. Zs: spaces. Mn, Me: combining marks, blank without a base character.
_BLANK_CATEGORIES = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp", "Mn", "Me"})
_INTEGER = re.compile(r"-?[0-9]{1,19}", re.ASCII)


def _is_visible(character: str) -> bool:
    return unicodedata.category(character) not in _BLANK_CATEGORIES and character not in _BLANK_LETTERS


@dataclass(frozen=True, slots=True)
class CleanText(GroupedMetadata):
    """`Annotated[str, CleanText(1, 60)]`: NFC text, trimmed, between `minimum` and `maximum` code points long.

    Refused: other types, lone surrogates, control characters, bidirectional overrides and isolates, and (from
    `minimum` 1 on) text without anything visible. Line ends and tabs are allowed where `multiline`; line ends become
    `\\n`. Emoji are text like any other.
    """

    minimum: int
    maximum: int
    multiline: bool = False

    def __iter__(self) -> Iterator[Any]:  # pydantic's own metadata has no common type
        """The rule as pydantic metadata: the text is cleaned before its length is checked."""
        yield MinLen(self.minimum)
        yield MaxLen(self.maximum)
        yield BeforeValidator(self.clean)

    def clean(self, value: object) -> str:
        """The text as it will be stored. Raises ValueError with the reason shown to the client."""
        if not isinstance(value, str):
            raise PydanticKnownError("string_type")
        # Checked first: normalising is quadratic in the worst case. NFC at most triples a text's length.
        if len(value) > 4 * self.maximum + 64:
            raise PydanticKnownError("string_too_long", {"max_length": self.maximum})
        if _FORBIDDEN.search(value):
            raise ValueError("含有不允许的字符")
        text = unicodedata.normalize("NFC", value).strip()
        if self.multiline:
            text = _LINE_END.sub("\n", text)
        elif _BREAKS.search(text):
            raise ValueError("不能换行")
        if self.minimum and not any(_is_visible(character) for character in text):
            raise ValueError("不能为空")
        return text


@dataclass(frozen=True, slots=True)
class Whole(GroupedMetadata):
    """`Annotated[int, Whole(1, 9)]`: a JSON integer, or its digits as text, because form fields are always text.

    Booleans and floats are refused. The default range is that of a BigInteger.
    """

    minimum: int = -MAX_BIGINT
    maximum: int = MAX_BIGINT

    def __iter__(self) -> Iterator[Any]:  # pydantic's own metadata has no common type
        """The rule as pydantic metadata: the value is parsed before its range is checked."""
        yield Ge(self.minimum)
        yield Le(self.maximum)
        yield BeforeValidator(self.parse)

    @staticmethod
    def parse(value: object) -> int:
        """The integer that `value` is or spells."""
        if isinstance(value, str) and _INTEGER.fullmatch(value):
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise PydanticKnownError("int_type")


IdIn = Annotated[int, Whole(1)]
"""An id in a body or query."""
