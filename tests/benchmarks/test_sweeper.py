"""The benchmark of the sweep of deadlines: a short run, which checks itself that every order took its step once."""

from tests.benchmarks.short_run import short_run
from tests.benchmarks.tables import cells


def test_a_run_prints_each_combination(stores: tuple[str, str]) -> None:
    limits = ("--orders", "70", "--processes", "2", "1", "--batches", "20")
    rows = cells(short_run("benchmarks.sweeper", *limits, stores=stores))

    assert [row[:2] for row in rows] == [["2", "20"], ["1", "20"]]
    assert all(float(rate) > 0 and 20 < float(peak) < 1000 for *_, rate, peak in rows)
