"""Prices that cannot be honest: a good of a dear brand for little money goes to review."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ahocorasick_rs import AhoCorasick

from app.categories import Category
from app.moderation.text.borders import is_one_word
from app.moderation.text.folding import BORDER, Folded, fold, fold_word, lines

# Where such a name is the good's own and not one of what goes with it.
_CATEGORIES: Final = frozenset(
    {Category.PHONE, Category.DIGITAL, Category.CLOTHES, Category.BEAUTY, Category.APPLIANCES}
)


@dataclass(frozen=True, slots=True)
class Brand:
    """A brand, and the price in fen under which its goods are looked at."""

    name: str
    least: int


class Brands:
    """Searches for all brands at once."""

    def __init__(self, brands: Sequence[Brand], accessories: Sequence[str]) -> None:
        self._brands = brands
        self._automaton = AhoCorasick([fold_word(brand.name) for brand in brands])
        self._accessories = AhoCorasick(fold(accessories).text.split(BORDER))

    def names(self) -> list[str]:
        """The folded names, without which a text names no brand."""
        return [fold_word(brand.name) for brand in self._brands]

    def too_cheap(
        self, folded: Folded, number: int, *, category: Category | None, price: int | None
    ) -> tuple[int, int, Brand] | None:
        """Where in text `number` a brand stands (in `folded.text`) whose goods cost more than `price`."""
        if price is None or category not in _CATEGORIES:
            return None
        if self._accessories.find_matches_as_indexes(folded.part(number)[1]):
            return None
        before, squeezed = folded.squeezed_part(number)
        for index, first, behind in self._automaton.find_matches_as_indexes(squeezed, overlapping=True):
            brand = self._brands[index]
            if price < brand.least:
                places = folded.squeezed_places[before + first : before + behind].tolist()
                start, end = places[0], places[-1] + 1
                if is_one_word(folded.text, start, end, places, folded.text[start:end]):
                    return start, end, brand
        return None


def read_brands(path: Path) -> Brands:
    """The brands of a file: on each line the least price in yuan, then names; `accessory:` before other words."""
    found: list[Brand] = []
    accessories: list[str] = []
    for line in lines(path):
        yuan, *names = line.split()
        if yuan == "accessory:":
            accessories += names
            continue
        found += [Brand(name.replace("_", " "), int(yuan) * 100) for name in names]
    return Brands(found, accessories)
