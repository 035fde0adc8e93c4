"""Reads the file of searches: a text file with one search per line.

    # used phones and cameras
    iPhone 15	手机	price: 1500-5000	without: 壳, 维修
    富士 X100V	region: 上海, 广东/深圳
    category: 乐器

A search is a keyword and, after a tab, the operator's label for its category, which is written into the listings found.
`category: 乐器` searches for the name of a category and uses it as the label too. After further tabs there may be
`price:`, `region:` and `without:`, in any order: see `xianyu.filters`. Empty lines are ignored, and so are comments:
lines that begin with #.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from .errors import ConfigurationError
from .filters import NO_FILTERS, Filters, read_prices, read_regions, read_words

MAX_KEYWORD_LENGTH: Final = 100
"""Characters."""
MAX_LABEL_LENGTH: Final = 50
"""Characters."""
_OPTION: Final = re.compile(r"(price|region|without)\s*[:：]\s*(.*)", re.IGNORECASE)
_WITHOUT_TAB: Final = re.compile(r"\s(price|region|without)\s*[:：]", re.IGNORECASE)
_UNKNOWN_OPTION: Final = re.compile(r"(\w+)\s*[:：]")
_CATEGORY: Final = re.compile(r"category\s*[:：]\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """One search."""

    keyword: str
    category: str | None
    """The operator's label, or None."""
    filters: Filters = NO_FILTERS

    @property
    def walk(self) -> str:
        """By what the state knows the walk through its pages: other filters find other pages."""
        return f"{self.keyword}\t{self.filters}".rstrip("\t")


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
    found: dict[tuple[str, Filters], tuple[int, Target]] = {}
    problems: list[str] = []
    lines = content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            target = _parse_line(line)
        except ValueError as error:
            problems.append(f"line {number} {error}")
            continue
        if target is not None:
            first, same = found.setdefault((target.keyword, target.filters), (number, target))
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
    named, options = _named_and_options(text)
    keyword, label = named[0], named[1] if len(named) == 2 else None
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
    return Target(keyword, label, _filters(options))


def _named_and_options(text: str) -> tuple[list[str], list[tuple[str, str]]]:
    """The keyword and the category of a line, and its options: names and values. Raises `ValueError`."""
    fields = [" ".join(field.split()) for field in re.split(r"\t+", text.rstrip())]
    options = {number: match for number, field in enumerate(fields) if number and (match := _OPTION.fullmatch(field))}
    named = [field for number, field in enumerate(fields) if number not in options]
    if merged := next(filter(None, map(_WITHOUT_TAB.search, fields)), None):
        raise ValueError(f"has {merged[1].lower()}: without a tab before it")
    if unknown := next(filter(None, map(_UNKNOWN_OPTION.match, named[1:])), None):
        raise ValueError(f"has an option that is none of price:, region: and without: — {unknown[1]}:")
    if not named[0] or len(named) > 2 or (len(named) == 2 and named[1] != fields[1]):
        raise ValueError("is not a keyword and, after a tab, a category")
    return named, [(match[1].lower(), match[2]) for match in options.values()]


def _filters(options: Sequence[tuple[str, str]]) -> Filters:
    """The filters in a line. Raises `ValueError`."""
    found: dict[str, Any] = {}
    for name, value in options:
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
            raise ValueError(f"has a control character in its {name}")
        fields = _READERS[name](value)
        if found.keys() & fields.keys():
            raise ValueError(f"has {name} twice")
        found |= fields
    return Filters(**found)


def _price_fields(text: str) -> dict[str, Any]:
    lowest, highest = read_prices(text)
    return {"lowest": lowest, "highest": highest}


_READERS: Final[Mapping[str, Callable[[str], dict[str, Any]]]] = MappingProxyType(
    {
        "price": _price_fields,
        "region": lambda text: {"regions": read_regions(text)},
        "without": lambda text: {"without": read_words(text)},
    }
)
