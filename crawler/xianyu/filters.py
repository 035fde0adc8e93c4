"""What a target asks of its listings beside the keyword: a price range, regions, words to leave out.

The site has filters for the first two, which are sent as its own pages send them. For words it has none. All three are
checked again on the rows: the site does not always heed its filters, and puts advertisements between what they find.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

import orjson

from .items import Listing

REGIONS: Final = Path(__file__).with_name("regions.tsv")
"""The table of provinces and cities."""
MAX_YUAN: Final = 99_999_999
MAX_WORDS: Final = 50
MAX_WORD_LENGTH: Final = 50
"""Characters."""
_FEN: Final = 100
_PRICES: Final = re.compile(r"([0-9]{1,8})?\s*(?:[-–—−~]|至)\s*([0-9]{1,8})?", re.ASCII)
_COMMA: Final = re.compile(r"[,，、]")
_SUFFIX: Final = re.compile(r"(?:(?:壮族|回族|维吾尔)?自治区|特别行政区|省|市)")
"""What may follow a province's short name."""


@dataclass(frozen=True, slots=True)
class Region:
    """A province, or a city of it, in the site's short names."""

    province: str
    city: str | None = None

    def __str__(self) -> str:
        """As a file of targets has it: 广东/深圳."""
        return self.province if self.city is None else f"{self.province}/{self.city}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What a listing must be like. Prices are whole yuan, as in the site's own fields; None is no limit."""

    lowest: int | None = None
    highest: int | None = None
    regions: tuple[Region, ...] = ()
    without: tuple[str, ...] = ()
    """Words in their `comparable` form."""

    def __str__(self) -> str:
        """All of it in one line, the same for the same filters; "" if there are none."""
        parts = []
        if self.has_price:
            parts.append(f"price: {_shown(self.lowest)}-{_shown(self.highest)}")
        if self.regions:
            parts.append(f"region: {', '.join(map(str, self.regions))}")
        if self.without:
            parts.append(f"without: {', '.join(self.without)}")
        return "\t".join(parts)

    @property
    def has_price(self) -> bool:
        """Whether there is a price range."""
        return self.lowest is not None or self.highest is not None

    @property
    def narrow_search(self) -> bool:
        """Whether the site finds less than without them, so that its number of offers is not that of the keyword."""
        return self.has_price or bool(self.regions)

    @property
    def search_filter(self) -> str:
        """The search's `propValueStr.searchFilter`: `priceRange:100,800;`."""
        return f"priceRange:{self.lowest or 0},{_shown(self.highest)};" if self.has_price else ""

    @property
    def extra_filter(self) -> str:
        """The search's `extraFilterValue`, JSON in a text."""
        if not self.regions:
            return "{}"
        divisions = [
            {"province": region.province} | ({} if region.city is None else {"city": region.city})
            for region in self.regions
        ]
        return orjson.dumps({"divisionList": divisions, "excludeMultiPlacesSellers": "0", "extraDivision": ""}).decode()

    def admits(self, listing: Listing) -> bool:
        """Whether a listing is what was asked for.

        With a price range it must have a price, and one in the range. With regions it must not say that it is somewhere
        else: rows often name the province only, or nothing. Words are looked for in its title, not in its description,
        which says 送壳 of a whole phone.
        """
        return self._admits_price(listing) and self._admits_area(listing) and self._admits_title(listing)

    def _admits_price(self, listing: Listing) -> bool:
        if not self.has_price:
            return True
        fen = listing.price_fen
        return fen is not None and (self.lowest or 0) * _FEN <= fen <= (self.highest or MAX_YUAN) * _FEN

    def _admits_area(self, listing: Listing) -> bool:
        place = None if listing.area is None else place_of(listing.area)
        if not self.regions or place is None:
            return True
        return any(
            region.province == place.province and (None in (region.city, place.city) or region.city == place.city)
            for region in self.regions
        )

    def _admits_title(self, listing: Listing) -> bool:
        if not self.without:
            return True
        title = comparable(listing.title)
        return not any(word in title for word in self.without)


NO_FILTERS: Final = Filters()


def _shown(yuan: int | None) -> str:
    return "" if yuan is None else str(yuan)


def comparable(text: str) -> str:
    """`text` for the comparison of words: case, full-width forms and what nobody sees do not matter."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return folded if folded.isprintable() else "".join(each for each in folded if unicodedata.category(each) != "Cf")


@cache
def _regions() -> Mapping[str, frozenset[str]]:
    """The cities of each province."""
    lines = REGIONS.read_text("utf-8").splitlines()
    pairs = (line.partition("\t") for line in lines if not line.startswith("#"))
    return MappingProxyType({province: frozenset(cities.split()) for province, _, cities in pairs})


@cache
def _provinces_of_cities() -> Mapping[str, str]:
    """The province of each city, except of those whose name another city or a province has."""
    found: dict[str, str] = {}
    twice = set(_regions())
    for province, cities in _regions().items():
        twice |= found.keys() & cities
        found |= dict.fromkeys(cities, province)
    return MappingProxyType({city: province for city, province in found.items() if city not in twice})


@cache
def place_of(area: str) -> Region | None:
    """The place in a row's `area`: 广东, 深圳, 广东深圳 or 广东省深圳市. None if the table knows no such place."""
    text = "".join(area.split())
    for province, cities in _regions().items():
        if text.startswith(province):
            rest = text.removeprefix(province)
            rest = rest[suffix.end() :] if (suffix := _SUFFIX.match(rest)) else rest
            return Region(province, next((city for city in cities if rest.startswith(city)), None))
    for city, province in _provinces_of_cities().items():
        if text.startswith(city):
            return Region(province, city)
    return None


# Reading


def read_prices(text: str) -> tuple[int | None, int | None]:
    """The lowest and the highest price in `100-800`, `100-` or `-800`. Raises `ValueError`."""
    found = _PRICES.fullmatch(unicodedata.normalize("NFKC", text).strip())
    if found is None or found[1] is found[2] is None:
        raise ValueError("has a price that is not like 100-800, 100- or -800, in whole yuan")
    lowest, highest = (None if each is None else int(each) for each in found.groups())
    if highest is not None and highest < max(lowest or 0, 1):
        raise ValueError("has a price range in which there is nothing")
    return lowest or None, highest


def read_regions(text: str) -> tuple[Region, ...]:
    """The regions in `上海, 广东/深圳`, each once. Raises `ValueError`."""
    return tuple(dict.fromkeys(map(_read_region, _parts(text, "region"))))


def _read_region(text: str) -> Region:
    province, slash, city = (part.strip() for part in text.replace("／", "/").partition("/"))
    province = next((name for name in _regions() if re.fullmatch(f"{name}{_SUFFIX.pattern}?", province)), "")
    if not province and not slash:  # a city alone, where it is clear which
        alone = place_of(text)
        if alone is not None and alone.city is not None and re.fullmatch(f"{alone.city}市?", text):
            return alone
    if not province:
        raise ValueError(f"names a region that is no province or city: {text}")
    if not slash:
        return Region(province)
    name = next((name for name in _regions()[province] if city in (name, f"{name}市")), None)
    if name is None:
        raise ValueError(f"names a city that is not in {province}: {text}")
    return Region(province, name)


def read_words(text: str) -> tuple[str, ...]:
    """The words in `壳, 求购`, each once, in their `comparable` form. Raises `ValueError`."""
    words = tuple(dict.fromkeys(map(comparable, _parts(text, "word"))))
    if len(words) > MAX_WORDS:
        raise ValueError(f"has {len(words)} words to leave out; {MAX_WORDS} are allowed")
    if too_long := next((word for word in words if len(word) > MAX_WORD_LENGTH), None):
        raise ValueError(f"has a word to leave out of {len(too_long)} characters; {MAX_WORD_LENGTH} are allowed")
    return words


def _parts(text: str, what: str) -> Iterable[str]:
    """The parts of a list, separated by commas."""
    parts = [part.strip() for part in _COMMA.split(text)]
    if not all(parts):
        raise ValueError(f"has an empty {what}")
    return parts
