"""The table of regions, read once from `regions.tsv`, and what it says about an address.

It is a help, not a law: new districts come, functional zones (高新区) are none, and people write 广东 for 广东省. So no
name is refused. What the table decides is whether a level may be left out.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Final

from app.fields.phones import Place
from app.language.normal_form import normalise


class Need(StrEnum):
    """Whether an address has to name the level below a region."""

    REQUIRED = "required"
    OPTIONAL = "optional"


@dataclass(frozen=True, slots=True)
class Region:
    """A province, a city of it or a district of that; `below` is None where the table has no level below."""

    code: str
    name: str
    below: Need | None
    children: list["Region"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RegionTable:
    """All regions: `provinces` as a tree, `by_code` each."""

    provinces: tuple[Region, ...]
    by_code: Mapping[str, Region]


@cache
def region_table() -> RegionTable:
    """The table."""
    by_code: dict[str, Region] = {}
    for line in (files("app.regions") / "regions.tsv").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            code, name, *below = line.split("\t")
            by_code[code] = Region(code, name, Need(below[0]) if below else None)
    for region in by_code.values():
        parent = by_code.get(parent_code(region.code))
        if parent is not None:
            parent.children.append(region)
    return RegionTable(tuple(region for code, region in by_code.items() if not parent_code(code)), by_code)


def parent_code(code: str) -> str:
    """The code of the region that `code` lies in, empty for a province."""
    if code.endswith("0000"):
        return ""
    return f"{code[:2]}0000" if code.endswith("00") else f"{code[:4]}00"


_PLACES: Final = {"710000": Place.TAIWAN, "810000": Place.HONG_KONG, "820000": Place.MACAU}

# What people leave out at the end of a name, or add before it, and what telephones in English call some.
_ENDING: Final = re.compile("(?<=..)(?:特别行政区|特区|(?:壮族|回族|维吾尔)?自治区|省|市|地区|盟|县|区)$")
_PREFECTURE: Final = re.compile("(?<=..)(?:自治)?州$")
_COUNTRY: Final = re.compile("^中国(?=..)")
_ENGLISH: Final = {"hongkong": "香港", "hk": "香港", "macau": "澳门", "macao": "澳门", "taiwan": "台湾"}


def missing_level(*, province: str, city: str, district: str) -> tuple[str, str] | None:
    """Which of an address's `city` and `district` is empty and has to be named, and what is expected there.

    A district may be left out where the city has none (东莞市), and where the table does not know the city; the city
    only in 香港 and 澳门.
    """
    found = _named(province, region_table().provinces)
    if not city:
        if found is None:
            return "city", "须填写城市"
        return ("city", _expectation(found, "城市")) if found.below is Need.REQUIRED else None
    if district or found is None:
        return None
    town = _named(city, found.children)
    if town is None or town.below is not Need.REQUIRED:
        return None
    return "district", _expectation(town, "区县")


def phone_place(province: str) -> Place:
    """Where a phone number in an address of `province` would be dialled without a code."""
    found = _named(province, region_table().provinces)
    return Place.MAINLAND if found is None else _PLACES.get(found.code, Place.MAINLAND)


def calling_place(code: str) -> Place | None:
    """As `phone_place`, for the province of this code; None for what is no province."""
    return None if parent_code(code) else _PLACES.get(code, Place.MAINLAND)


def _named(name: str, among: Sequence[Region]) -> Region | None:
    """The region that people call `name`: 广东 for 广东省, 恩施州 for 恩施土家族苗族自治州, 中國香港 and Hong Kong."""
    wanted = "".join(normalise(name).split())
    wanted = _COUNTRY.sub("", _ENGLISH.get(wanted, wanted))
    for region in among:
        if region.name == wanted:
            return region
    short = _ENDING.sub("", wanted)
    stem = _PREFECTURE.sub("", wanted)
    for region in among:
        if _ENDING.sub("", region.name) == short:
            return region
        if region.name.endswith("自治州") and len(stem) > 1 and region.name.startswith(stem):
            return region
    return None


def _expectation(region: Region, level: str) -> str:
    examples = "、".join(child.name for child in region.children[:2])
    return f"{region.name}须填写{level},如 {examples}"
