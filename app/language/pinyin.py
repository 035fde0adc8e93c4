"""The pinyin of Han characters, without tones."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files


@cache
def pinyin() -> Mapping[str, str]:
    """The syllable of each common character by its commonest reading (`data/syllables.txt`)."""
    found: dict[str, str] = {}
    for syllable, characters in _lines("syllables.txt"):
        found.update(dict.fromkeys(characters, syllable))
    return found


@cache
def readings() -> Mapping[str, tuple[str, ...]]:
    """All syllables of the characters that are read in several ways (`data/readings.txt`), and ü as people type it."""
    table = pinyin()
    return {
        character: tuple(dict.fromkeys((table[character], *syllables)))
        for character, *syllables in _lines("readings.txt")
        if character in table
    }


def _lines(name: str) -> Iterator[list[str]]:
    for line in (files("app.language") / "data" / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line.split()
