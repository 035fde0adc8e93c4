"""The markets that the gate asks, and `python -m tests.search.floors`, which writes what must be reached.

A floor lies under what Whoosh reaches, by a query's share where a kind has few queries: one that becomes wrong is no
fault yet, two are.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.search.documents import Document
from app.search.evaluation import LabelledQuery, figures, figures_by_kind, judge, read_corpus, read_queries
from app.search.temporary import temporary_whoosh
from benchmarks.search import document_of
from benchmarks.search_corpus import labelled
from benchmarks.search_goods import offers

_DATA: Final = Path(__file__).parents[1] / "data" / "search"
FLOORS: Final = _DATA / "floors.toml"

_GOODS: Final = 10_000
_PER_KIND: Final = 16
_BELOW_ALL: Final = 0.015
_BELOW_KIND: Final = 0.05


@dataclass(frozen=True, slots=True)
class Market:
    """Goods, and queries in halves."""

    name: str
    documents: Sequence[Document]
    halves: Mapping[str, Sequence[LabelledQuery]]


def generated() -> Market:
    """The market of `benchmarks.search_corpus`."""
    goods = offers(_GOODS)
    halves: dict[str, list[LabelledQuery]] = {"tuned": [], "held_out": []}
    for each in labelled(goods, per_kind=_PER_KIND):
        query = LabelledQuery(text=each.text, kind=each.kind, grades=each.grades)
        halves["held_out" if each.held_out else "tuned"].append(query)
    return Market("generated", [document_of(each) for each in goods], halves)


def handmade() -> Market:
    """The market made by hand."""
    corpus = read_corpus(_DATA / "goods.jsonl")
    return Market("handmade", corpus.documents, {"all": read_queries(_DATA / "queries.jsonl", corpus)})


def _floor(reached: float | None, below: float) -> str:
    return f"{max(0.0, math.floor(((reached or 0.0) - below) * 100) / 100):.2f}"


def _sections(market: Market) -> Sequence[str]:
    lines = []
    with temporary_whoosh(market.documents) as find:
        for half, queries in market.halves.items():
            outcomes = list(judge(queries, find))
            whole = figures(outcomes)
            lines += [
                f"\n[{market.name}.{half}.all]",
                f"ndcg10 = {_floor(whole.ndcg10, _BELOW_ALL)}",
                f"recall50 = {_floor(whole.recall50, _BELOW_ALL)}",
                f"found = {_floor(1 - whole.zero, _BELOW_ALL / 3)}",
                f"\n[{market.name}.{half}.kinds]",
            ]
            for kind, each in figures_by_kind(outcomes).items():
                lines.append(f'"{kind}" = {_floor(each.ndcg10, max(_BELOW_KIND, 1 / each.queries))}')
    return lines


def main() -> None:
    """Write the floors."""
    first = (
        "# What search must reach at least: nDCG@10, recall@50, the share of queries with a result; by kind nDCG@10."
    )
    lines = [first, "# Written by `python -m tests.search.floors`; tests/search/test_gate.py reads it."]
    FLOORS.write_text("\n".join([*lines, *_sections(generated()), *_sections(handmade()), ""]), "utf-8")


if __name__ == "__main__":
    main()
