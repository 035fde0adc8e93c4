"""Nicknames: what people read instead of a username. They need not be unique, and nobody logs in with them."""

import re
import unicodedata
from functools import cache
from importlib.resources import files
from itertools import groupby
from typing import Final

from app.accounts.look_alikes import looks_of
from app.fields import CleanText
from app.moderation.text import TextKind, objection

_TEXT: Final = CleanText(1, 20)
_MOST_MARKS: Final = 2
"""Marks on one letter: no script in use needs more, and a pile of them covers what stands above and below."""
_AROUND: Final = re.compile(r"^[\W\d_\u3400-\u9fff]+|[\W\d_\u3400-\u9fff]+$")
"""What may stand around a Latin word that claims something: signs, digits, Chinese characters (`Admin小王`)."""


def read_nickname(value: object) -> str | None:
    """The nickname as it is stored; None, which takes it off, for null and an empty text.

    Raises what pydantic takes for a wrong value, with the reason that the client reads: for more than 20 characters,
    for nothing visible, and for what no text may say (`app.moderation.text`).
    """
    if value is None or value == "":
        return None
    name = " ".join(_TEXT.clean(value).split())
    if len(name) > _TEXT.maximum:
        raise ValueError(f"至多 {_TEXT.maximum} 个字符")
    for is_mark, run in groupby(name, key=lambda character: unicodedata.category(character) in ("Mn", "Me")):
        if is_mark and len(list(run)) > _MOST_MARKS:
            raise ValueError("含有不允许的字符")
    reason = objection(name, kind=TextKind.NICKNAME)
    if reason is not None:
        raise ValueError(reason)
    return name


def claims_to_be_official(name: str) -> bool:
    """Whether the name says that it is the platform's, or its staff's (`official_names.txt`)."""
    anywhere, alone = _official_names()
    return any(word in looks_of(name) for word in anywhere) or looks_of(_AROUND.sub("", name)) in alone


@cache
def _official_names() -> tuple[frozenset[str], frozenset[str]]:
    """The looks of the names that count anywhere, and of those that count alone."""
    lines = (files("app.profiles") / "official_names.txt").read_text(encoding="utf-8").splitlines()
    names = [line for line in lines if line and not line.startswith("#")]
    anywhere = frozenset(looks_of(name) for name in names if not name.isascii())
    return anywhere, frozenset(looks_of(name) for name in names if name.isascii())
