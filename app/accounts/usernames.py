"""Which usernames are accepted, and which count as the same."""

import re
import unicodedata
from typing import Annotated

from pydantic import BeforeValidator, Field

from app.fields.characters import without_invisible

# Beside ASCII letters and digits all blocks of Chinese characters, with the extensions: names use them (𠮷, 㐂).
_HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323af"
_USERNAME = re.compile(f"[0-9A-Za-z_{_HAN}]+")
_SHORTEST, _LONGEST = 3, 20


def parse_username(value: object) -> object:
    """The username in NFKC, trimmed: full-width letters become ASCII, compatibility ideographs the common ones.

    What nobody sees (a zero-width space from a chat) is gone, so that who registers with it logs in without it.

    Values of other types are returned, for pydantic to refuse. Raises ValueError, with the reason that the client
    reads, for any character but Chinese ones, ASCII letters, digits and underscore. So there are no emoji and no
    letters of other scripts that look like ASCII ones.
    """
    if not isinstance(value, str):
        return value
    # Normalising takes quadratic time in the worst case, and nothing this long can become a username.
    name = value if len(value) > 4 * _LONGEST else unicodedata.normalize("NFKC", without_invisible(value)).strip()
    if not _SHORTEST <= len(name) <= _LONGEST:
        raise ValueError(f"须为 {_SHORTEST} 至 {_LONGEST} 个字符")
    if not _USERNAME.fullmatch(name):
        raise ValueError("只能包含中文、字母、数字和下划线")
    return name


def username_key(username: str) -> str:
    """The form in which usernames are compared: `Alice` and `alice` are the same."""
    return unicodedata.normalize("NFKC", username).casefold()


UsernameIn = Annotated[str, Field(min_length=_SHORTEST, max_length=_LONGEST), BeforeValidator(parse_username)]
"""A username from a client."""
