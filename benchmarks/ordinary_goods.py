"""Ordinary second-hand goods, generated: the same number always gives the same goods."""

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.categories import Category

_PARTS: Final = Path(__file__).with_suffix(".txt")


@dataclass(frozen=True, slots=True)
class OrdinaryGood:
    """A good that breaks no rule; the price is in fen."""

    title: str
    description: str
    category: Category
    price: int


def ordinary_goods(count: int, *, seed: int = 11) -> Iterator[OrdinaryGood]:
    """So many goods: each a thing of its category with conditions, and a description of two to six sentences."""
    parts = _parts()
    draw = random.Random(seed)
    categories = list(Category)
    for _ in range(count):
        category = draw.choice(categories)
        thing = draw.choice(parts[str(int(category))])
        conditions = draw.sample(parts["condition"], draw.randint(1, 3))
        before = draw.random() < 0.3
        title = " ".join([*conditions[:1], thing, *conditions[1:]] if before else [thing, *conditions])
        sentences = draw.sample(parts["sentence"], draw.randint(2, 6))
        end = draw.choice(["。", ",", "\n", " ", ";"])
        description = (thing + "," if draw.random() < 0.5 else "") + end.join(sentences)
        # Genuine goods of the dear brands are dear.
        price = draw.choice([300_000, 500_000, 1_500_000])
        yield OrdinaryGood(title[:60], description, category, price)


def _parts() -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    name = ""
    for line in _PARTS.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            name = line.strip("[]")
        elif line and not line.startswith("#"):
            found[name] += line.split("|")
    return found
