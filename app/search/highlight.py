"""Highlights the matches in users' texts, as HTML; everything else in the texts is escaped."""

import re
from collections.abc import Iterable
from functools import lru_cache
from html import escape
from unicodedata import is_normalized

from app.language.analysis import is_han
from app.language.normal_form import normalise

EXCERPT_LENGTH = 120
"""Characters of a description that an excerpt shows."""

_BEFORE_MATCH = 30


def pattern_of(tokens: Iterable[str]) -> re.Pattern[str] | None:
    """The pattern that finds `tokens` in normalised text; None for no tokens.

    Runs of letters or digits match as a whole only: 13 does not match in 1399.
    """
    alternatives = [_token_pattern(token) for token in sorted(tokens, key=lambda token: (-len(token), token))]
    return re.compile("|".join(alternatives)) if alternatives else None


def _token_pattern(token: str) -> str:
    if is_han(token):
        return re.escape(token)
    neighbours = r"\d" if token[0].isdigit() else r"a-z"
    return rf"(?<![{neighbours}]){re.escape(token)}(?![{neighbours}])"


def highlighted(text: str, pattern: re.Pattern[str] | None) -> str:
    """`text` as HTML with `<em>` around each match."""
    return _marked(text, _matches(text, pattern))


def excerpt(text: str, pattern: re.Pattern[str] | None) -> str:
    """As `highlighted`, for the part of `text` around the first match; `…` stands for omitted text."""
    matches = _matches(text, pattern)
    start = max(min(matches[0][0] - _BEFORE_MATCH, len(text) - EXCERPT_LENGTH), 0) if matches else 0
    end = start + EXCERPT_LENGTH
    inside = [(max(first, start) - start, min(last, end) - start) for first, last in matches if first < end]
    shown = _marked(text[start:end], [each for each in inside if each[0] < each[1]])
    return ("…" if start else "") + shown + ("…" if end < len(text) else "")


def _marked(text: str, matches: list[tuple[int, int]]) -> str:
    pieces, position = [], 0
    for start, end in matches:
        pieces += [escape(text[position:start]), "<em>", escape(text[start:end]), "</em>"]
        position = end
    return "".join([*pieces, escape(text[position:])])


_normal_form = lru_cache(maxsize=4096)(normalise)


def _matches(text: str, pattern: re.Pattern[str] | None) -> list[tuple[int, int]]:
    """The spans in `text` at which `pattern` matches its normal form."""
    if pattern is None:
        return []
    normalised = normalise(text)
    if len(normalised) == len(text) == len(text.casefold()) and is_normalized("NFKC", text):
        return [match.span() for match in pattern.finditer(normalised)]
    # Normalising may turn a character into several or none (`㎏`, zero-width space), so positions have to be mapped
    # back: normalise each character by itself and remember which one each part of the result came from.
    forms = [_normal_form(character) for character in text]
    origin = [place for place, form in enumerate(forms) for _ in form]
    spans: list[tuple[int, int]] = []
    for match in pattern.finditer("".join(forms)):
        start, end = origin[match.start()], origin[match.end() - 1] + 1
        # Two matches inside the normal form of one character highlight it once.
        if not spans or start >= spans[-1][1]:
            spans.append((start, end))
    return spans
