"""Makes goods and labelled queries to judge search by: `python -m benchmarks.search_corpus --goods 100000 --out DIR`.

The goods are those of `search_market.toml`, titled and described as people do. A query is graded by what the goods are
made of, never by their words: 3 is what was asked for, 2 lacks some detail of it, 1 is of the same line or type, or an
accessory of it. Everything is seeded.

Half of each kind's surface forms (a model, an alias, a mistyped word) is held out: they are not looked at nor tuned on.
Which half a form belongs to depends on a hash of it alone.

It writes GOODS.jsonl, QUERIES.jsonl (to tune on) and HELD-OUT.jsonl, for `flask search evaluate`.
"""

import argparse
import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from benchmarks.search_goods import Offer, Role, offers
from benchmarks.search_queries import KINDS, Meaning, packed

PER_KIND: Final = 60
"""Queries of each kind, as far as there are so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A query with the grades of goods by their numbers."""

    kind: str
    text: str
    held_out: bool
    grades: Mapping[int, int]


def is_held_out(kind: str, form: str) -> bool:
    """Whether a surface form is in the half that is not tuned on."""
    return hashlib.sha256(f"{kind}\n{form.lower().replace(' ', '')}".encode()).digest()[0] % 2 == 1


def labelled(goods: Sequence[Offer], *, per_kind: int = PER_KIND, seed: int = 13) -> list[Labelled]:
    """Queries of all kinds with the grades of `goods`; at most `per_kind` of a kind, half of them held out.

    A query that no good is quite right for is left out.
    """
    chance = random.Random(seed)
    shelf = _Shelf(goods)
    found = []
    for kind, ask in KINDS.items():
        wanted = {True: per_kind // 2, False: per_kind - per_kind // 2}
        seen: set[str] = set()
        asked = list(ask(chance, goods))
        chance.shuffle(asked)
        for each in asked:
            held_out = is_held_out(kind, each.form)
            if each.text in seen or not wanted[held_out]:
                continue
            grades = shelf.grades(each.meaning)
            if 3 in grades.values():
                seen.add(each.text)
                wanted[held_out] -= 1
                found.append(Labelled(kind=kind, text=each.text, held_out=held_out, grades=grades))
    return found


class _Shelf:
    """Goods by what they are, to grade them quickly."""

    def __init__(self, goods: Sequence[Offer]) -> None:
        self._goods = goods
        self._by_thing: dict[str, list[Offer]] = defaultdict(list)
        self._by_brand: dict[str, list[Offer]] = defaultdict(list)
        self._by_role: dict[Role, list[Offer]] = defaultdict(list)
        for offer in goods:
            if offer.thing is not None:
                self._by_thing[offer.thing.name].append(offer)
                self._by_brand[offer.brand].append(offer)
            self._by_role[offer.role].append(offer)
        self._packed = [packed(offer.title) for offer in goods]

    def grades(self, meaning: Meaning) -> dict[int, int]:
        """The grades above 0, by the number of the good."""
        graded = ((offer.number, self._grade(meaning, offer)) for offer in self._candidates(meaning))
        return {number: grade for number, grade in graded if grade}

    def _candidates(self, meaning: Meaning) -> Iterable[Offer]:
        if meaning.words:
            return self._goods
        if meaning.things:
            return (offer for thing in (*meaning.things, *meaning.near) for offer in self._by_thing[thing.name])
        if meaning.brand:
            return self._by_brand[meaning.brand]
        return self._by_role[meaning.role]

    def _grade(self, meaning: Meaning, offer: Offer) -> int:
        if meaning.words:
            is_of_kind = offer.role == meaning.role
            if meaning.words in self._packed[offer.number - 1]:
                return 3 if is_of_kind else 1
            return 1 if is_of_kind and meaning.model and meaning.model in offer.serves else 0
        if meaning.role in (Role.HOME, Role.WORK):
            return self._grade_of_place(meaning, offer)
        if meaning.price is not None and not meaning.price[0] <= offer.price <= meaning.price[1]:
            return 0
        grade = self._grade_of_kind(meaning, offer)
        if grade < 3 or not meaning.traits:
            return grade
        lacking = len(meaning.traits - offer.traits)
        return 3 if not lacking else 2 if lacking < len(meaning.traits) else 1

    @staticmethod
    def _grade_of_place(meaning: Meaning, offer: Offer) -> int:
        if offer.role != meaning.role:
            return 0
        if meaning.role == Role.WORK:
            return 3 if meaning.piece in offer.piece else 0
        if meaning.traits <= offer.traits:
            return 3 if meaning.piece in ("", offer.piece) else 1
        return 0

    @staticmethod
    def _grade_of_kind(meaning: Meaning, offer: Offer) -> int:
        is_near = offer.thing in meaning.near and offer.thing not in meaning.things
        is_model = not meaning.model or meaning.model in offer.serves
        is_line = not meaning.line or meaning.line == offer.line
        is_brand = not meaning.brand or meaning.brand == offer.brand
        if meaning.role in (Role.ACCESSORY, Role.PART):
            if offer.role != meaning.role or offer.piece != meaning.piece or not is_brand:
                return 0
            return 3 if is_model else 1 if is_line else 0
        if offer.role != meaning.role:
            # Something for it, or about it.
            asked = meaning.model or meaning.line
            is_for_it = asked and is_model and is_line and is_brand and offer.role is not Role.WANTED
            return 1 if is_for_it else 0
        if meaning.model or meaning.line:
            return 3 if is_model and is_line and is_brand and not is_near else 1 if is_line or is_model else 0
        if is_near:
            return 1 if is_brand else 0
        return 3 if is_brand else 1


# Files


def good_lines(goods: Sequence[Offer]) -> Iterator[bytes]:
    """A line of JSON for each good."""
    for each in goods:
        yield orjson.dumps(
            {
                "id": each.number,
                "title": each.title,
                "description": each.description,
                "category": each.category,
                "price": each.price,
                "published_at": each.published,
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )


def query_lines(queries: Iterable[Labelled]) -> Iterator[bytes]:
    """A line of JSON for each query."""
    for each in queries:
        relevant = {str(number): grade for number, grade in each.grades.items()}
        yield orjson.dumps(
            {"query": each.text, "kind": each.kind, "relevant": relevant}, option=orjson.OPT_APPEND_NEWLINE
        )


def write(folder: Path, *, count: int, per_kind: int = PER_KIND) -> None:
    """Write the three files into `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    goods = offers(count)
    queries = labelled(goods, per_kind=per_kind)
    files: Mapping[str, Iterable[bytes]] = {
        "GOODS.jsonl": good_lines(goods),
        "QUERIES.jsonl": query_lines(each for each in queries if not each.held_out),
        "HELD-OUT.jsonl": query_lines(each for each in queries if each.held_out),
    }
    for name, lines in files.items():
        with (folder / name).open("wb") as file:
            file.writelines(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the corpus."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search_corpus", description=__doc__)
    parser.add_argument("--goods", type=int, default=100_000)
    parser.add_argument("--per-kind", type=int, default=PER_KIND)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    write(options.out, count=options.goods, per_kind=options.per_kind)


if __name__ == "__main__":
    main()
