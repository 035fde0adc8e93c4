"""Characters that come along when people paste: which of them say nothing, and which plain ones the others stand for.

Two things use this. A text for people (`app.fields.text`) loses what nobody sees, and keeps everything else. A value
for machines (`phones`, `codes`, `amounts`, `accounts`) is made plain: full-width characters are ASCII, each kind of
blank and of hyphen is one.
"""

import re
import string
import unicodedata
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

# Default_Ignorable_Code_Point of Unicode 17.0 (DerivedCoreProperties.txt), the anchors of annotations, and what stands
# for a picture that is not copied with its text (U+FFFC): zero-width characters, direction marks, soft hyphens, BOM,
# Hangul fillers. Apart from them stands what may be part of an emoji or of Mongolian script, where it is written for a
# reader to see.
_UNSEEN: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff0-\ufffc\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000\U000e0002-\U000e001f\U000e0080-\U000e00ff"
    "\U000e01f0-\U000e0fff"
)
_JOINER: Final = "\u200d"
_SELECTORS: Final = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_TAGS: Final = "\U000e0020-\U000e007e"
_TAGS_END: Final = "\U000e007f"
_MONGOLIAN_SIGNS: Final = "\u180b-\u180f"

_INVISIBLE: Final = re.compile(f"[{_UNSEEN}]")
_UNSURE: Final = re.compile(f"[{_JOINER}{_SELECTORS}\U000e0001{_TAGS}{_TAGS_END}{_MONGOLIAN_SIGNS}]")

_FULL_WIDTH: Final = {
    ord(character) + 0xFEE0: character for character in (string.ascii_letters + string.digits + ".-'")
}

BLANK_BRAILLE: Final = "\u2800"
"""A blank to the eye, although Unicode counts it as a symbol: the Braille pattern without dots."""

_BLANK: Final = re.compile(rf"[\s{BLANK_BRAILLE}]")
_DASHES: Final = frozenset("\u2212\u02d7\u2043\u2500\u2501\u30fc\uff70")  # signs that are taken for one, not in Pd


def without_invisible(text: str) -> str:
    """`text` without what nobody sees: zero-width characters, direction marks, soft hyphens, BOM and the like.

    What makes one emoji of several characters stays (🧑‍🌾, ❤️, 1️⃣), and what Mongolian letters are told apart by.
    """
    text = _INVISIBLE.sub("", text)
    return _sequences().sub(lambda match: match[1] or "", text) if _UNSURE.search(text) else text


def spelled_plainly(text: str) -> str:
    """`text` with plain Latin letters, digits and the signs inside of names where they are full-width (Ｔｏｍ)."""
    return text.translate(_FULL_WIDTH)


def plain(text: str) -> str:
    """`text` as it would be typed: ASCII for full-width characters, digits of any script, all blanks and hyphens.

    What nobody sees is gone, and the ends are trimmed. A line end is a blank like any other, unless it is at an end.
    Nothing else is changed: what merely looks alike (О for O, ① for 1) stays, and is refused by whoever reads it.
    """
    return "".join(map(_plain, _INVISIBLE.sub("", _UNSURE.sub("", text)))).strip()


@lru_cache(maxsize=4096)
def _plain(character: str) -> str:
    if _BLANK.fullmatch(character):
        return " "
    if character.isascii():
        return character
    if unicodedata.category(character) == "Pd" or character in _DASHES:
        return "-"
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    kind, _, code = unicodedata.decomposition(character).partition(" ")
    return chr(int(code, 16)) if kind in ("<wide>", "<narrow>", "<small>") and " " not in code else character


@cache
def _sequences() -> re.Pattern[str]:
    """Matches, as its group, an emoji or a Mongolian letter with what belongs to it, else what belongs to nothing."""
    emoji = f"[{_emoji_class()}]"
    # Of the selectors only these two choose how an emoji looks. Tags are the regions of a flag (🏴󠁧󠁢󠁳󠁣󠁴󠁿).
    one = f"{emoji}(?:[\ufe0e\ufe0f]|[{_TAGS}]+{_TAGS_END})?"
    keycap = "[0-9#*]\ufe0f\u20e3"
    mongolian = f"[\u1820-\u18aa][{_MONGOLIAN_SIGNS}]+"
    return re.compile(
        f"({one}(?:{_JOINER}{one})*|{keycap}|{mongolian})"
        f"|[{_JOINER}{_SELECTORS}\U000e0001{_TAGS}{_TAGS_END}{_MONGOLIAN_SIGNS}]"
    )


def _emoji_class() -> str:
    """The inside of a character class with every emoji."""
    lines = (files("app.fields") / "emoji.txt").read_text(encoding="utf-8").splitlines()
    ranges = (line.split("..") for line in lines if not line.startswith("#"))
    return "".join(f"{chr(int(first, 16))}-{chr(int(last, 16))}" for first, last in ranges)
