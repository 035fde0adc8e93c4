"""The benchmark of the clocks' sweep: a short run, which checks itself that every order took its step once."""

import os
import subprocess
import sys

from tests.benchmarks.tables import cells
from tests.live import PROJECT


def test_a_run_prints_each_combination(stores: tuple[str, str]) -> None:
    run = subprocess.run(
        [
            *(sys.executable, "-W", "error", "-m", "benchmarks.sweeper"),
            *("--orders", "70", "--processes", "1", "2", "--batches", "5", "20"),
        ],
        cwd=PROJECT,
        env={**os.environ, "DATABASE_URL": stores[0], "REDIS_URL": stores[1]},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    assert "Warning" not in run.stderr
    rows = cells(run.stdout)
    assert [row[:2] for row in rows] == [["1", "5"], ["1", "20"], ["2", "5"], ["2", "20"]]
    assert all(float(rate) > 0 and 20 < float(peak) < 1000 for *_, rate, peak in rows)
