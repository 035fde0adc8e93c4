"""What stands around a word and changes what it means: refusals, titles of books and films, toys and pictures.

The words are in `data/context.txt`. All texts are folded.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import Final, NamedTuple

from app.moderation.text.folding import BORDER, DATA, fold, lines
from app.moderation.verdicts import Category

_SIDE: Final = 12
_FARTHEST_COMPANY: Final = 14
_TITLES: Final = re.compile("《[^《》]{1,30}》")


class _Context(NamedTuple):
    before: re.Pattern[str]
    after: re.Pattern[str]
    company: dict[Category, re.Pattern[str]]


def is_refused(text: str, start: int, end: int) -> bool:
    """Whether `text[start:end]` is refused by what stands directly before or after it: 不加微信, 加微信的勿扰."""
    context = _context()
    refusal = context.before.search(text[max(0, start - _SIDE) : start])
    if refusal is not None and refusal[1] is not None:
        return True
    return context.after.match(text, end, min(len(text), end + _SIDE)) is not None


def is_in_title(text: str, start: int, end: int) -> bool:
    """Whether it stands in a title between 《 and 》."""
    return any(match.start() < start and end < match.end() for match in _TITLES.finditer(text))


def is_depicted(text: str, start: int, end: int, category: Category) -> bool:
    """Whether the words around speak of a toy, a picture, a tale or a box of the thing."""
    company = _context().company.get(category)
    if company is None:
        return False
    first, behind = max(0, start - _FARTHEST_COMPANY), min(len(text), end + _FARTHEST_COMPANY)
    return company.search(text[first:start]) is not None or company.search(text[end:behind]) is not None


@cache
def _context() -> _Context:
    words: dict[str, list[str]] = {"before": [], "not before": [], "after": [], "between": []}
    company: dict[Category, list[str]] = {}
    categories: list[Category] = []
    for line in lines(DATA / "context.txt"):
        name, colon, listed = line.partition(":")
        if colon:
            words[name] += listed.split()
        elif line.startswith("["):
            categories = [Category(name) for name in line.strip("[] \n").split()]
        else:
            for category in categories:
                company.setdefault(category, []).extend(line.split())
    return _Context(
        # What only ends like a refusal is read whole by the first alternative, and is none.
        re.compile(rf"(?:{_any(words['not before'])})[^\w\n]?$|({_any(words['before'])})[^\w\n,;!?。]{{0,2}}$"),
        re.compile(rf"[^\w\n]?(?:{_any(words['between'])})?[^\w\n]?(?:{_any(words['after'])})"),
        {category: re.compile(_any(listed)) for category, listed in company.items()},
    )


def _any(words: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(_folded(words), key=len, reverse=True)))


def _folded(words: Iterable[str]) -> list[str]:
    return fold(list(words)).text.split(BORDER)
