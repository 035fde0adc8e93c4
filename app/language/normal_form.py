"""The normal form of text that indexing, searching and moderation work on."""

import re
import unicodedata
from functools import cache

import opencc

# Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt, Unicode 16): soft hyphen, zero-width and
# direction marks, variation selectors, tags. NFKC_Casefold drops them as well.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")


@cache
def _traditional_to_simplified() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")


def normalise(text: str) -> str:
    """`text` in NFKC, without invisible characters, in simplified characters, case-folded.

    `"ＩＰｈｏｎｅ 蘋果手機"` → `"iphone 苹果手机"`. Accepts any text: lone surrogates become U+FFFD. The result may be
    longer or shorter than `text`.
    """
    if text.isascii():
        return text.lower()
    visible = _INVISIBLE.sub("", unicodedata.normalize("NFKC", _SURROGATE.sub("\ufffd", text)))
    simplified: str = _traditional_to_simplified().convert(visible)
    return simplified.casefold()
