"""`flask search evaluate`: exact figures of a tiny market, and what is said of files that cannot be read."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.search.evaluation import LabelledQuery, Outcome, figures, figures_by_kind, ndcg, recall, worst
from tests.live import PROJECT

GOODS = [
    {"id": 7, "title": "苹果 iPhone 13 128G", "description": "自用", "category": 1, "price": 2300, "published_at": 30},
    {"id": "x8", "title": "iPhone 13 手机壳", "description": "", "category": 1, "price": 9.9, "published_at": 20},
    {"id": 9, "title": "白色台灯", "description": "", "category": 5, "price": 20, "published_at": 10},
]
QUERIES = [
    {"query": "台灯", "kind": "plain", "relevant": {"9": 3}},
    {"query": "白色台灯", "kind": "plain", "relevant": {"7": 1, "9": 0}},
    {"query": "潜水艇", "kind": "nothing there", "relevant": {}},
]


def lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), "utf-8")
    return path


def run(app: Flask, *arguments: str | Path) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=["search", "evaluate", *map(str, arguments)])
    return result.exit_code, result.output


# Figures


@pytest.mark.parametrize(
    ("found", "grades", "expected"),
    [
        ([1, 2], {1: 3, 2: 1}, 1.0),
        ([2, 1], {1: 3, 2: 1}, 0.7098097413968655),  # 1 and 7 over log2(3), of 7 and 1 over log2(3)
        ([8, 9, 1], {1: 3}, 0.5),  # the third place, log2(4)
        ([], {1: 2}, 0.0),
        ([*range(10, 20), 1], {1: 3}, 0.0),  # the eleventh
        ([1], {}, None),
    ],
)
def test_ndcg(found: list[int], grades: dict[int, int], expected: float | None) -> None:
    assert ndcg(found, grades) == (None if expected is None else pytest.approx(expected, abs=1e-12))


@pytest.mark.parametrize(
    ("found", "grades", "expected"),
    [
        ([1, 5], {1: 3, 2: 3, 5: 1}, 0.5),
        (range(1, 51), dict.fromkeys(range(1, 101), 3), 1.0),  # no more than 50 of 100 can be found
        ([*range(100, 150), 1], {1: 3}, 0.0),  # the fifty-first
        ([1], {1: 2}, None),
    ],
)
def test_recall(found: list[int], grades: dict[int, int], expected: float | None) -> None:
    assert recall(found, grades) == expected


def test_means_leave_out_what_has_no_answer() -> None:
    def outcome(kind: str, found: list[int], grades: dict[int, int], seconds: float) -> Outcome:
        return Outcome(LabelledQuery(text="q", kind=kind, grades=grades), found, seconds)

    outcomes = [
        outcome("b", [1], {1: 3}, 0.001),
        outcome("b", [], {1: 3}, 0.002),
        outcome("b", [1], {}, 0.003),
        outcome("a", [8, 2], {2: 1}, 0.004),
    ]
    of_all = figures(outcomes)
    assert (of_all.queries, of_all.recall50, of_all.zero) == (4, 0.5, 0.25)
    assert of_all.ndcg10 == pytest.approx((1 + 0 + 0.6309297535714575) / 3)
    assert (of_all.p50_ms, of_all.p99_ms) == pytest.approx((2.5, 3.97))
    kinds = figures_by_kind(outcomes)
    assert list(kinds) == ["a", "b"]
    assert (kinds["a"].recall50, kinds["b"].ndcg10) == (None, 0.5)
    assert worst(outcomes, 2) == [outcomes[1], outcomes[3]]


# The command


def test_json(app: Flask, tmp_path: Path) -> None:
    goods, queries = lines(tmp_path / "goods", GOODS), lines(tmp_path / "queries", QUERIES)
    code, output = run(app, goods, queries, "--json", "--worst", "1")
    assert code == 0, output
    judged = json.loads(output)
    for each in (judged["all"], *judged["kinds"].values()):
        assert each.pop("p50_ms") > 0
        assert each.pop("p99_ms") > 0
    assert judged["all"] == {"queries": 3, "ndcg10": 0.5, "recall50": 1.0, "zero": pytest.approx(1 / 3)}
    assert judged["kinds"] == {
        "nothing there": {"queries": 1, "ndcg10": None, "recall50": None, "zero": 1.0},
        "plain": {"queries": 2, "ndcg10": 0.5, "recall50": 1.0, "zero": 0.0},
    }
    assert judged["worst"] == [
        {
            "query": "白色台灯",
            "kind": "plain",
            "ndcg10": 0.0,
            "recall50": None,
            "found": [{"id": "9", "grade": 0, "title": "白色台灯"}],
            "best": [{"id": "7", "grade": 1, "title": "苹果 iPhone 13 128G"}],
        }
    ]


def test_tables(app: Flask, tmp_path: Path) -> None:
    goods, queries = lines(tmp_path / "goods", GOODS), lines(tmp_path / "queries", ["", *QUERIES])
    code, output = run(app, goods, queries, "--worst", "1")
    assert code == 0, output
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in output.splitlines() if "│" in line]
    assert [row[:5] for row in rows[:3]] == [
        ["nothing there", "1", "", "", "100.0%"],
        ["plain", "2", "0.500", "1.000", "0.0%"],
        ["all", "3", "0.500", "1.000", "33.3%"],
    ]
    assert rows[3] == ["白色台灯", "plain", "0.000", "", "0 白色台灯", "1 苹果 iPhone 13 128G"]


GOOD, QUERY = GOODS[0], QUERIES[0]


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("{", "line 2: no JSON in UTF-8"),
        ('{"id": NaN}', "line 2: no JSON in UTF-8: NaN is no number of JSON"),
        ("[" * 100_000, "line 2: no JSON in UTF-8"),
        ("[7]", "line 2: no JSON object"),
        ({**GOOD, "id": 7}, "line 2: the id 7 is on line 1 too"),
        ({**GOOD, "id": "7"}, "line 2: the id 7 is on line 1 too"),
        ({**GOOD, "id": True}, "line 2: id must be a whole number or a string"),
        ({"id": 1}, "line 2: title is missing"),
        ({**GOOD, "id": 1, "title": None}, "line 2: title must be a string"),
        ({**GOOD, "id": 1, "category": 10}, "line 2: category must be from 1 to 9"),
        ({**GOOD, "id": 1, "category": "1"}, "line 2: category must be a number"),
        ({**GOOD, "id": 1, "price": -0.01}, "line 2: price must be from 0 to 9999999 yuan"),
        ({**GOOD, "id": 1, "price": False}, "line 2: price must be a number"),
        ({**GOOD, "id": 1, "published_at": 1e300}, "line 2: published_at must be from 0 to 253402300799"),
    ],
)
def test_a_good_that_is_none(app: Flask, tmp_path: Path, row: object, complaint: str) -> None:
    goods, queries = lines(tmp_path / "goods", [GOOD, row]), lines(tmp_path / "queries", [QUERY])
    code, output = run(app, goods, queries)
    assert code == 1
    assert output.startswith(f"Error: {goods}, {complaint}")


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({**QUERY, "query": " "}, "query and kind must not be empty"),
        ({**QUERY, "kind": 1}, "kind must be a string"),
        ({**QUERY, "relevant": [9]}, "relevant must be an object of grades by id"),
        ({**QUERY, "relevant": {"9": 4}}, "the grade of 9 must be 0, 1, 2 or 3"),
        ({**QUERY, "relevant": {"9": 1.5}}, "the grade of 9 must be 0, 1, 2 or 3"),
        ({**QUERY, "relevant": {"1": 3}}, "there is no good 1"),
        ({"query": "a", "kind": "b"}, "relevant is missing"),
    ],
)
def test_a_query_that_is_none(app: Flask, tmp_path: Path, row: object, complaint: str) -> None:
    goods, queries = lines(tmp_path / "goods", GOODS), lines(tmp_path / "queries", [QUERY, row])
    code, output = run(app, goods, queries)
    assert (code, output) == (1, f"Error: {queries}, line 2: {complaint}\n")


def test_files_without_anything(app: Flask, tmp_path: Path) -> None:
    goods, nothing = lines(tmp_path / "goods", GOODS), lines(tmp_path / "nothing", [])
    assert run(app, nothing, nothing) == (1, f"Error: {nothing}, line 1: there is no good in the file\n")
    assert run(app, goods, nothing) == (1, f"Error: {nothing}, line 1: there is no query in the file\n")
    (tmp_path / "other").write_bytes('{"id": "\u9f99"}\n'.encode("gbk"))
    code, output = run(app, tmp_path / "other", nothing)
    assert code == 1
    assert "line 1: no JSON in UTF-8" in output
    assert run(app, tmp_path / "none", nothing)[0] == 2


def test_no_settings_are_needed(tmp_path: Path) -> None:
    goods, queries = lines(tmp_path / "goods", GOODS), lines(tmp_path / "queries", QUERIES)
    unset = ("SALTFISH_ENV", "DATABASE_URL", "REDIS_URL", "JWT_SECRET_KEY")
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", "search", "evaluate", goods, queries, "--json"],
        cwd=PROJECT,
        env={name: value for name, value in os.environ.items() if name not in unset},
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["all"]["queries"] == 3
