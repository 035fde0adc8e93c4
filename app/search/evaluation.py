"""Judges search: goods and labelled queries from files, how well and how fast the queries are answered.

Both files are JSON Lines in UTF-8. A good is `{"id", "title", "description", "category" (1-9), "price" (yuan),
"published_at" (Unix seconds)}`, a query `{"query", "kind", "relevant": {"id": grade}}`. Grades are from 0 to 3: 3 is
what was asked for, 1 is near it (the same line, or an accessory), and what is not named is 0; for what is measured see
Järvelin and Kekäläinen 2002 (https://doi.org/10.1145/582415.582418). Nothing here knows an engine.
"""

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np

from app.fen import MAX_FEN
from app.search.documents import Document
from statemachine.good import TradeMode

NDCG_DEPTH: Final = 10
RECALL_DEPTH: Final = 50

_BEST_GRADE: Final = 3
_CATEGORIES: Final = range(1, 10)
_LAST_SECOND: Final = 253_402_300_799
"""The end of the year 9999."""

Find = Callable[[str, int], Sequence[int]]
"""The ids of the first so many goods for a query's text, the best first."""


class BadLine(Exception):  # noqa: N818 - it says what is the case
    """A line of a file is no good, or no query. Says which file, which line and what is wrong with it."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        super().__init__(f"{path}, line {line}: {reason}")


@dataclass(frozen=True, slots=True)
class Corpus:
    """Goods as an index takes them. They are numbered from 1; `numbers` has the number by the id in the file."""

    documents: Sequence[Document]
    numbers: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledQuery:
    """A query, and the grade of each good (by its number in the corpus) that has one above 0."""

    text: str
    kind: str
    grades: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found for a query: numbers of goods, at most `RECALL_DEPTH`, and the seconds it took."""

    query: LabelledQuery
    found: Sequence[int]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Means over queries. None where no query of them has a good to be found (for recall: one of grade 3)."""

    queries: int
    ndcg10: float | None
    recall50: float | None
    zero: float
    """The share of queries that found nothing."""
    p50_ms: float
    p99_ms: float


def read_corpus(path: Path) -> Corpus:
    """The goods of a file. Raises `BadLine`, and OSError."""
    documents: list[Document] = []
    numbers: dict[str, int] = {}
    for line, read in _objects(path):
        try:
            name = _id(read)
            if name in numbers:
                raise ValueError(f"the id {name} is on line {numbers[name]} too")  # noqa: TRY301 - as all that is wrong
            document = Document(
                good_id=len(documents) + 1,
                title=_text(read, "title"),
                description=_text(read, "description"),
                category=_whole(read, "category", _CATEGORIES.start, _CATEGORIES.stop - 1),
                price=_fen(read),
                published=_whole(read, "published_at", 0, _LAST_SECOND),
                trade_mode=TradeMode.ANY.value,
            )
        except ValueError as error:
            raise BadLine(path, line, str(error)) from error
        numbers[name] = document.good_id
        documents.append(document)
    if not documents:
        raise BadLine(path, 1, "there is no good in the file")
    return Corpus(documents, numbers)


def read_queries(path: Path, corpus: Corpus) -> list[LabelledQuery]:
    """The queries of a file, whose grades name goods of `corpus`. Raises `BadLine`, and OSError."""
    queries = []
    for line, read in _objects(path):
        try:
            text, kind = _text(read, "query"), _text(read, "kind")
            if not text.strip() or not kind.strip():
                raise ValueError("query and kind must not be empty")  # noqa: TRY301 - as all that is wrong
            queries.append(LabelledQuery(text=text, kind=kind, grades=_grades(read, corpus)))
        except ValueError as error:
            raise BadLine(path, line, str(error)) from error
    if not queries:
        raise BadLine(path, 1, "there is no query in the file")
    return queries


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of a file with the numbers of their lines; empty lines are passed over."""
    with path.open("rb") as file:
        for line, raw in enumerate(file, 1):
            try:
                text = raw.decode("utf-8-sig" if line == 1 else "utf-8").strip()
                read = json.loads(text, parse_float=Decimal, parse_constant=_no_number) if text else {}
            except (ValueError, RecursionError) as error:  # bytes that are no UTF-8 are a ValueError too
                raise BadLine(path, line, f"no JSON in UTF-8: {error}") from error
            if not isinstance(read, dict):
                raise BadLine(path, line, "no JSON object")
            if text:
                yield line, read


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _value(read: dict[str, Any], name: str) -> Any:
    if name not in read:
        raise ValueError(f"{name} is missing")
    return read[name]


def _text(read: dict[str, Any], name: str) -> str:
    value = _value(read, name)
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a string")  # noqa: TRY004 - as all that is wrong
    return value


def _id(read: dict[str, Any]) -> str:
    value = _value(read, "id")
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise ValueError("id must be a whole number or a string")
    return str(value)


def _number(read: dict[str, Any], name: str) -> Decimal:
    value = _value(read, name)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError(f"{name} must be a number")  # noqa: TRY004 - as all that is wrong
    return Decimal(value)


def _whole(read: dict[str, Any], name: str, least: int, most: int) -> int:
    value = _number(read, name)
    if not least <= value <= most:
        raise ValueError(f"{name} must be from {least} to {most}")
    return int(value)


def _fen(read: dict[str, Any]) -> int:
    yuan = _number(read, "price")
    if not 0 <= yuan * 100 <= MAX_FEN:
        raise ValueError(f"price must be from 0 to {MAX_FEN // 100} yuan")
    return round(yuan * 100)


def _grades(read: dict[str, Any], corpus: Corpus) -> dict[int, int]:
    relevant = _value(read, "relevant")
    if not isinstance(relevant, dict):
        raise ValueError("relevant must be an object of grades by id")  # noqa: TRY004 - as all that is wrong
    grades = {}
    for name, grade in relevant.items():
        if isinstance(grade, bool) or not isinstance(grade, int) or not 0 <= grade <= _BEST_GRADE:
            raise ValueError(f"the grade of {name} must be 0, 1, 2 or 3")
        if name not in corpus.numbers:
            raise ValueError(f"there is no good {name}")
        if grade:
            grades[corpus.numbers[name]] = grade
    return grades


def judge(queries: Iterable[LabelledQuery], find: Find) -> Iterator[Outcome]:
    """Ask `find` each query once, in turn."""
    for query in queries:
        started = time.perf_counter()
        found = find(query.text, RECALL_DEPTH)
        yield Outcome(query, found, time.perf_counter() - started)


def ndcg(found: Sequence[int], grades: Mapping[int, int], *, depth: int = NDCG_DEPTH) -> float | None:
    """The normalised discounted cumulative gain of the first `depth`, from 0 to 1; None if nothing has a grade.

    The gain of a grade is 2^grade - 1, the discount of a place log2(place + 1) (Burges et al. 2005).
    """
    if not grades:
        return None
    best = _discounted(sorted(grades.values(), reverse=True)[:depth])
    return _discounted([grades.get(number, 0) for number in found[:depth]]) / best


def _discounted(grades: Sequence[int]) -> float:
    return math.fsum((2.0**grade - 1) / math.log2(place + 1) for place, grade in enumerate(grades, 1))


def recall(found: Sequence[int], grades: Mapping[int, int], *, depth: int = RECALL_DEPTH) -> float | None:
    """How many goods of grade 3 are among the first `depth`, of as many as could be; None if there is none."""
    wanted = {number for number, grade in grades.items() if grade == _BEST_GRADE}
    if not wanted:
        return None
    return len(wanted.intersection(found[:depth])) / min(depth, len(wanted))


def figures(outcomes: Sequence[Outcome]) -> Figures:
    """The figures of `outcomes`, of which there must be one at least."""
    milliseconds = np.array([outcome.seconds for outcome in outcomes]) * 1000
    return Figures(
        queries=len(outcomes),
        ndcg10=_mean([ndcg(outcome.found, outcome.query.grades) for outcome in outcomes]),
        recall50=_mean([recall(outcome.found, outcome.query.grades) for outcome in outcomes]),
        zero=sum(not outcome.found for outcome in outcomes) / len(outcomes),
        p50_ms=float(np.percentile(milliseconds, 50)),
        p99_ms=float(np.percentile(milliseconds, 99)),
    )


def figures_by_kind(outcomes: Sequence[Outcome]) -> dict[str, Figures]:
    """The figures of each kind of query, in the order of their names."""
    kinds: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        kinds.setdefault(outcome.query.kind, []).append(outcome)
    return {kind: figures(kinds[kind]) for kind in sorted(kinds)}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def worst(outcomes: Sequence[Outcome], count: int) -> list[Outcome]:
    """The `count` outcomes with the lowest nDCG; of equal ones those with the lower recall first."""

    def quality(outcome: Outcome) -> tuple[float, float]:
        grades = outcome.query.grades
        return ndcg(outcome.found, grades) or 0.0, recall(outcome.found, grades) or 0.0

    return sorted((outcome for outcome in outcomes if outcome.query.grades), key=quality)[:count]
