"""Text that people write for people: titles, descriptions, reasons, places, names."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

from annotated_types import GroupedMetadata, MaxLen, MinLen
from pydantic import BeforeValidator
from pydantic_core import PydanticKnownError

from app.fields.characters import BLANK_BRAILLE, spelled_plainly, without_invisible

# PostgreSQL cannot store NUL and UTF-8 has no lone surrogates; other control characters come from no keyboard and no
# clipboard of a person. Tabs and line ends are a matter of the field: slides have U+000B for one, PDF has U+000C.
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
_LINE_END: Final = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_BREAKS: Final = re.compile("[\t\n\r\x0b\x0c\x85\u2028\u2029]+")
# Cf: zero-width and other format characters. Zs: spaces. Mn, Me: combining marks, blank without a base character.
_BLANK_CATEGORIES: Final = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp", "Mn", "Me"})

_HAN: Final = "\u3007\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323af"
_HAN_GAP: Final = re.compile(rf"(?<=[{_HAN}·])\s+(?=[{_HAN}·])")
_DOT: Final = re.compile(rf"(?<=[{_HAN}])\s*[.·\u2022\u2027\u2219\u22c5\u30fb\uff65]\s*(?=[{_HAN}])")


def _is_visible(character: str) -> bool:
    return unicodedata.category(character) not in _BLANK_CATEGORIES


@dataclass(frozen=True, slots=True)
class CleanText(GroupedMetadata):
    """`Annotated[str, CleanText(1, 60)]`: NFC text, trimmed, between `minimum` and `maximum` code points long.

    What nobody sees is taken out (`app.fields.characters.without_invisible`), direction marks included, which make a
    text look different from what it says. Refused: other types, lone surrogates, control characters, and (from
    `minimum` 1 on) text without anything visible. Where `multiline`, tabs stay and line ends become `\\n`; else a run
    of them is one blank.
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
        text = unicodedata.normalize("NFC", without_invisible(value).replace(BLANK_BRAILLE, " ")).strip()
        if self.multiline:
            text = _LINE_END.sub("\n", text)
        else:
            text = " ".join(filter(None, map(str.strip, _BREAKS.split(text))))
        if self.minimum and not any(_is_visible(character) for character in text):
            raise ValueError("不能为空")
        return text


@dataclass(frozen=True, slots=True)
class PersonName(CleanText):
    """A person's name, in its one form.

    Blanks between Chinese characters only align columns (张　三), and the dot of a name in two parts has many shapes
    (阿卜杜拉•买买提); elsewhere a run of blanks is one. Full-width Latin letters are plain ones.
    """

    minimum: int = 1
    maximum: int = 30

    def clean(self, value: object) -> str:
        """As `CleanText.clean`."""
        # Before the text is normalised: an accent joins a plain letter, but no full-width one.
        text = CleanText.clean(self, spelled_plainly(value) if isinstance(value, str) else value)
        return _DOT.sub("·", _HAN_GAP.sub("", " ".join(text.split())))


PersonNameIn = Annotated[str, PersonName()]
"""A person's name, as somebody is called or as it stands on the account that money goes to."""
