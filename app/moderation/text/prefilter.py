"""Which of many patterns can match a text at all: one pass over the text, however many patterns there are.

Each pattern is also compiled in a form that is wider and that an automaton can run (RE2): without what it asks of the
characters around (lookarounds), without upper bounds of repetitions, and with classes of characters that are exact for
ASCII and for Han characters alone. A pattern whose wider form does not match need not be tried: that is a part of one
microsecond for all of them, where trying each takes a hundred.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import re2

_PIECES: Final = re.compile(
    r"""
    (?P<ahead>\(\?<?[=!])           # where a lookaround begins
    |(?P<open>\((?:\?:)?)
    |(?P<close>\))
    |(?P<set>\[(?:\\.|[^\]\\])+\])
    |(?P<repeat>\{(?:\d+(?:,\d*)?|,\d*)\})
    |(?P<place>\\[bBAZ]|\^|\$)      # matches no character
    |(?P<character>\\u[0-9a-f]{4}|\\.|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_CLASS: Final = re.compile(r"\\(?:u[0-9a-f]{4}|[a-zA-Z])")

# What Python's classes have, and more: Unicode of another version may call other characters letters or digits.
_AT_LEAST: Final = {
    r"\w": r"0-9A-Za-z_\x{80}-\x{10ffff}",
    r"\W": r"\x00-/:-@\[-^`{-\x{4dff}\x{a000}-\x{10ffff}",
    r"\d": r"0-9\x{a000}-\x{10ffff}",  # folding has made plain digits of those below
    r"\D": r"\x00-/:-\x{10ffff}",
    r"\s": r"\x00-\x20\x{80}-\x{3000}",
    r"\S": r"\x00-\x{10ffff}",
}
# For sets that exclude them: what the classes have in every version of Unicode.
_AT_MOST: Final = {r"\w": r"0-9A-Za-z_\x{4e00}-\x{9fff}", r"\d": "0-9", r"\s": r"\t\n\f\r "}


class Prefilter:
    """Of these patterns, written for `re` and for folded texts, those that can match a text."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._set = re2.Set.SearchSet()
        for pattern in patterns:
            self._set.Add(widened(pattern))
        self._set.Compile()

    def possible(self, text: str) -> list[int]:
        """The numbers of the patterns, rising."""
        found: list[int] | None = self._set.Match(text.encode())
        return sorted(found) if found else []


def widened(pattern: str) -> str:
    """The pattern for RE2 that matches wherever `pattern` does (without flags, groups with names or references)."""
    return "".join(_widened(pattern))


def _widened(pattern: str) -> Iterator[str]:
    depth, ahead_since = 0, 0
    for match in _PIECES.finditer(pattern):
        kind, piece = match.lastgroup, match.group()
        if kind in ("ahead", "open"):
            depth += 1
        if kind == "ahead" and not ahead_since:
            ahead_since = depth
        if not ahead_since:
            yield _widened_piece(kind, piece)
        if kind == "close":
            depth -= 1
            if depth < ahead_since:
                ahead_since = 0


def _widened_piece(kind: str | None, piece: str) -> str:
    if kind == "place":
        return ""
    if kind == "repeat":
        least, comma, _most = piece.strip("{}").partition(",")
        return f"{{{least or 0}{comma}}}"  # RE2 reads {,3} as these characters
    if kind == "set":
        classes = _AT_MOST if piece.startswith("[^") else _AT_LEAST
        return _CLASS.sub(lambda match: _class(match.group(), classes), piece)
    if kind == "character" and _CLASS.fullmatch(piece):
        return f"[{_class(piece, _AT_LEAST)}]"
    return piece


def _class(written: str, classes: dict[str, str]) -> str:
    r"""A class, or a character by its number, as RE2 reads it; `\n` and the like are the same there."""
    if written.startswith(r"\u"):
        return rf"\x{{{written[2:]}}}"
    return classes[written] if written.lower() in (r"\w", r"\d", r"\s") else written
