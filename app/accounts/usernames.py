"""What may be a username, and which usernames count as the same."""

import re
import unicodedata
from typing import Annotated

from pydantic import BeforeValidator, Field

# Letters and digits are ASCII; the rest are the Han blocks, extensions included because names use them (𠮷, 㐂).
_HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323af"
_USERNAME = re.compile(f"[0-9A-Za-z_{_HAN}]+")
_SHORTEST, _LONGEST = 3, 20


def parse_username(value: object) -> object:
    """The username in NFKC, trimmed: full-width letters become ASCII, compatibility ideographs the common ones.

    Other types pass on, for pydantic to refuse. Raises ValueError, in the client's words, for any character but
    Chinese ones, ASCII letters, digits and underscore. So nothing invisible, no emoji and no other script that looks
    like these gets in.
    """
    if not isinstance(value, str):
        return value
    # Nothing this long can become a username, and normalising is quadratic in the worst case.
    name = value if len(value) > 4 * _LONGEST else unicodedata.normalize("NFKC", value).strip()
    if not _SHORTEST <= len(name) <= _LONGEST:
        raise ValueError(f"须为 {_SHORTEST} 至 {_LONGEST} 个字符")
    if not _USERNAME.fullmatch(name):
        raise ValueError("只能包含中文、字母、数字和下划线")
    return name


def username_key(username: str) -> str:
    """What is unique about a username: `Alice` and `alice` are one."""
    return unicodedata.normalize("NFKC", username).casefold()


UsernameIn = Annotated[str, Field(min_length=_SHORTEST, max_length=_LONGEST), BeforeValidator(parse_username)]
"""A username from a client."""
