"""Reads the file of searches: a text file with one search per line.

    # used phones and cameras
    iPhone 15	手机
    富士 X100V
    category: 乐器

A search is a keyword and, after a tab, the operator's label for its category, which is written into the listings found.
`category: 乐器` searches for the name of a category and uses it as the label too. Empty lines are ignored, and so are
comments: lines that begin with #.
"""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .errors import ConfigurationError

MAX_KEYWORD_LENGTH: Final = 100
"""Characters."""
MAX_LABEL_LENGTH: Final = 50
"""Characters."""
_CATEGORY: Final = re.compile(r"category\s*[:：]\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """One search."""

    keyword: str
    category: str | None
    """The operator's label, or None."""


def read_targets(path: Path) -> list[Target]:
    """The searches in a file, each once, in the file's order.

    Raises `ConfigurationError` if the file cannot be read, is not UTF-8, has no search in it, or has invalid lines; the
    message gives the numbers of all these lines.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read the searches in {path}: {error.strerror}") from error
    return parse_targets(content, name=str(path))


def parse_targets(content: bytes, *, name: str) -> list[Target]:
    """As `read_targets`, from the content of the file called `name`."""
    found: dict[str, tuple[int, Target]] = {}
    problems: list[str] = []
    lines = content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            target = _parse_line(line)
        except ValueError as error:
            problems.append(f"line {number} {error}")
            continue
        if target is not None:
            first, same = found.setdefault(target.keyword, (number, target))
            if same != target:
                problems.append(f"line {number} searches for the keyword of line {first} under another category")
    if problems:
        raise ConfigurationError(f"{name}: " + "; ".join(problems))
    if not found:
        raise ConfigurationError(f"{name}: no search in it; write one keyword on a line")
    return [target for _, target in found.values()]


def _parse_line(line: bytes) -> Target | None:
    """The search in a line; None for a comment or an empty line. Raises `ValueError` if the line is invalid."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("is not UTF-8") from error
    if not text.strip() or text.lstrip().startswith("#"):
        return None
    fields = [" ".join(field.split()) for field in re.split(r"\t+", text.rstrip())]
    if not fields[0] or len(fields) > 2:
        raise ValueError("is not a keyword and, after a tab, a category")
    keyword, label = fields[0], fields[1] if len(fields) == 2 else None
    if prefix := _CATEGORY.match(keyword):
        keyword = keyword[prefix.end() :]
        if label is not None:
            raise ValueError("has a label after its category, which is one itself")
        label = keyword
    for what, value, longest in (("keyword", keyword, MAX_KEYWORD_LENGTH), ("category", label or "", MAX_LABEL_LENGTH)):
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
            raise ValueError(f"has a control character in its {what}")
        if len(value) > longest:
            raise ValueError(f"has a {what} of {len(value)} characters; {longest} are allowed")
    if not keyword:
        raise ValueError("names no category")
    return Target(keyword, label)
