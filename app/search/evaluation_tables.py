"""How an evaluation is shown to people: tables of figures, and of the worst answers."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from rich.table import Column, Table

from app.console import table_cell
from app.search.evaluation import Corpus, Figures, Outcome, figures, figures_by_kind, ndcg, recall

_SHOWN: Final = 5
"""Goods shown of a bad answer."""


def table_of_figures(outcomes: Sequence[Outcome]) -> Table:
    """A row for each kind of query, and one for all of them."""
    table = Table("kind", *(_right(name) for name in ("queries", "nDCG@10", "recall@50", "zero", "p50 ms", "p99 ms")))
    for kind, each in figures_by_kind(outcomes).items():
        table.add_row(table_cell(kind), *_cells(each))
    table.add_section()
    table.add_row("all", *_cells(figures(outcomes)))
    return table


def _right(name: str) -> Column:
    return Column(name, justify="right")


def _cells(each: Figures) -> Iterable[str]:
    yield str(each.queries)
    yield "" if each.ndcg10 is None else f"{each.ndcg10:.3f}"
    yield "" if each.recall50 is None else f"{each.recall50:.3f}"
    yield f"{each.zero:.1%}"
    yield f"{each.p50_ms:.2f}"
    yield f"{each.p99_ms:.2f}"


def table_of_worst(bad: Sequence[Outcome], corpus: Corpus) -> Table:
    """A row for each outcome, with what came first and what should have; before each title its grade."""
    table = Table("query", "kind", _right("nDCG@10"), _right("recall@50"), "came first", "should come first")
    for outcome in bad:
        each = described(outcome, corpus)
        table.add_row(
            table_cell(each["query"]),
            table_cell(each["kind"]),
            f"{each['ndcg10']:.3f}",
            "" if each["recall50"] is None else f"{each['recall50']:.3f}",
            "\n".join(table_cell(f"{good['grade']} {good['title']}") for good in each["found"]),
            "\n".join(table_cell(f"{good['grade']} {good['title']}") for good in each["best"]),
        )
    return table


def described(outcome: Outcome, corpus: Corpus) -> dict[str, Any]:
    """An outcome for people: what came first, and what should have."""
    grades = outcome.query.grades
    best = sorted(grades, key=lambda number: -grades[number])[:_SHOWN]
    names = {number: name for name, number in corpus.numbers.items()}

    def good(number: int) -> dict[str, Any]:
        return {
            "id": names[number],
            "grade": grades.get(number, 0),
            "title": corpus.documents[number - 1].title,
        }

    return {
        "query": outcome.query.text,
        "kind": outcome.query.kind,
        "ndcg10": ndcg(outcome.found, grades),
        "recall50": recall(outcome.found, grades),
        "found": [good(number) for number in outcome.found[:_SHOWN]],
        "best": [good(number) for number in best],
    }
