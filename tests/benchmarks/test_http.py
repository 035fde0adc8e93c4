"""The benchmark itself: a short run on real engines and servers."""

from tests.benchmarks.short_run import short_run
from tests.benchmarks.tables import cells

COLUMNS = ("requests/s", "p50 ms", "p99 ms", "SQL", "× bare JSON", "× bare row")


def _table(printed: str) -> dict[str, dict[str, float]]:
    return {
        name: dict(zip(COLUMNS, (float(cell.replace(",", "")) for cell in row), strict=True))
        for name, *row in cells(printed)
    }


def test_a_run_prints_every_subject_and_leaves_no_database(stores: tuple[str, str]) -> None:
    limits = ("--rounds", "1", "--seconds", "0.3", "--workers", "1", "--goods", "200", "--orders", "25")
    table = _table(short_run("benchmarks.http", *limits, stores=stores))

    assert {name: row["SQL"] for name, row in table.items()} == {
        "bare Flask, JSON": 0,
        "bare Flask-SQLAlchemy, one row": 1,
        "GET good": 1,
        "bought list, 20 orders": 2,
        "search, 20 goods": 1,
    }
    assert all(0 < row["p50 ms"] <= row["p99 ms"] for row in table.values())
    assert table["bare Flask, JSON"]["× bare JSON"] == table["bare Flask-SQLAlchemy, one row"]["× bare row"] == 1
