"""The benchmark itself: a short run on real engines and servers."""

import os
import subprocess
import sys

import psycopg
from sqlalchemy import make_url

from tests.benchmarks.tables import cells
from tests.live import PROJECT

COLUMNS = ("requests/s", "p50 ms", "p99 ms", "SQL", "× bare JSON", "× bare row")


def _table(printed: str) -> dict[str, dict[str, float]]:
    return {
        name: dict(zip(COLUMNS, (float(cell.replace(",", "")) for cell in row), strict=True))
        for name, *row in cells(printed)
    }


def test_a_run_prints_every_subject_and_leaves_no_database(stores: tuple[str, str]) -> None:
    run = subprocess.run(
        [
            *(sys.executable, "-W", "error", "-m", "benchmarks.http"),
            *("--rounds", "1", "--seconds", "0.3", "--goods", "200", "--orders", "25"),
        ],
        cwd=PROJECT,
        env={**os.environ, "DATABASE_URL": stores[0], "REDIS_URL": stores[1]},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    table = _table(run.stdout)
    assert {name: row["SQL"] for name, row in table.items()} == {
        "bare Flask, JSON": 0,
        "bare Flask-SQLAlchemy, one row": 1,
        "GET good": 1,
        "bought list, 20 orders": 2,
        "search, 20 goods": 1,
    }
    assert all(0 < row["p50 ms"] <= row["p99 ms"] for row in table.values())
    assert table["bare Flask, JSON"]["× bare JSON"] == table["bare Flask-SQLAlchemy, one row"]["× bare row"] == 1
    server = make_url(stores[0]).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(server) as connection:
        left = connection.execute("SELECT datname FROM pg_database WHERE starts_with(datname, 'saltfish_bench_')")
        assert left.fetchall() == []
