"""The pinyin of Han characters, without tones, each by its commonest reading."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files


@cache
def pinyin() -> Mapping[str, str]:
    """The syllable of each common character (`data/syllables.txt`)."""
    found: dict[str, str] = {}
    for line in (files("app.language") / "data" / "syllables.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            syllable, characters = line.split()
            found.update(dict.fromkeys(characters, syllable))
    return found
