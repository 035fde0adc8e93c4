"""The market that search is measured on: `search_market.toml`, which says what is in it, as values."""

import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

_FILE: Final = Path(__file__).with_name("search_market.toml")
_SURE: Final = 4
"""A model's name of at least so many characters, letters and digits among them, is known without its maker."""


@dataclass(frozen=True, slots=True)
class Brand:
    """A maker: its name in Chinese, the one in Latin letters (or empty), and what else people call it."""

    name: str
    latin: str
    slang: Sequence[str]

    def names(self) -> list[str]:
        """The names that titles use."""
        return [name for name in dict.fromkeys((self.name, self.latin)) if name]


@dataclass(frozen=True, slots=True)
class Model:
    """A model: `iPhone 13 Pro` of the line `iPhone 13`. `is_vague`: its name says nothing without the maker's."""

    name: str
    line: str
    is_vague: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Thing:
    """A type of goods; each is only equal to itself.

    `prices` in yuan; `worn` says which sizes there are: clothes, women, shoes, or empty.
    """

    names: Sequence[str]
    category: int
    pinyin: str
    emoji: str
    prices: tuple[int, int]
    details: Sequence[str]
    colours: Sequence[str]
    accessories: Sequence[str]
    parts: Sequence[str]
    worn: str
    spoken: Sequence[tuple[str, str]]
    """Beginnings of models, and how they are also spoken: `iPhone ` and 苹果."""
    makes: Mapping[str, Sequence[Model]]

    @property
    def name(self) -> str:
        """The usual name."""
        return self.names[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """All that is in the file."""

    things: Sequence[Thing]
    brands: Mapping[str, Brand]
    books: Sequence[str]
    games: Sequence[str]
    places: Mapping[str, Sequence[str]]
    aliases: Mapping[str, Sequence[str]]
    typos: Mapping[str, Sequence[str]]

    def brand(self, name: str) -> Brand:
        """The maker of that name; those that only have one name are not listed."""
        return self.brands.get(name) or Brand(name, "", ())


@cache
def market() -> Market:
    """The market in the file."""
    read = tomllib.loads(_FILE.read_text("utf-8"))
    count = Counter(
        name
        for thing in read["things"]
        for name in {name for lines in thing["makes"].values() for line in lines for name, _ in _models(line)}
    )
    return Market(
        things=[_thing(each, count) for each in read["things"]],
        brands={name: Brand(name, each["latin"], each["slang"]) for name, each in read["brands"].items()},
        books=read["works"]["books"],
        games=read["works"]["games"],
        places=read["places"],
        aliases=read["aliases"],
        typos=read["typos"],
    )


def _thing(read: dict[str, Any], count: Mapping[str, int]) -> Thing:
    low, high = read["prices"]
    return Thing(
        names=read["names"],
        category=read["category"],
        pinyin=read["pinyin"],
        emoji=read["emoji"],
        prices=(low, high),
        details=read["details"],
        colours=read["colours"],
        accessories=read.get("accessories", []),
        parts=read.get("parts", []),
        worn=read.get("worn", ""),
        spoken=[(begin, spoken) for begin, spoken in read.get("spoken", [])],
        makes={
            brand: [
                Model(name, line, is_vague=_is_vague(name) or count[name] > 1)
                for each in lines
                for name, line in _models(each)
            ]
            for brand, lines in read["makes"].items()
        },
    )


def _models(line: str) -> list[tuple[str, str]]:
    """`iPhone 13 | mini | Pro`: the models' names, each with its line's."""
    base, *suffixes = (part.strip() for part in line.split("|"))
    return [(base, base), *((f"{base} {suffix}", base) for suffix in suffixes)]


def _is_vague(name: str) -> bool:
    packed = name.replace(" ", "")
    has_letters = re.search(r"[^\W\d_]", packed) is not None
    # 14 Pro is Xiaomi's, Apple's and others'.
    return len(packed) < _SURE or not has_letters or re.match(r"\d{1,2} ?(?!寸)[^\d.-]+$", name) is not None
