"""The benchmark of reference prices: a short run, in which few things have enough listings."""

import re

from tests.benchmarks.short_run import short_run
from tests.benchmarks.tables import cells
from tests.listings.offers import THINGS


def test_a_run_prints_times_and_accuracy(stores: tuple[str, str]) -> None:
    rows = cells(short_run("benchmarks.prices", "--listings", "600", "--rounds", "1", stores=stores))

    times, facts = rows[:3], dict(rows[3:])
    assert [name for name, *_ in times] == ["models", "what too many have", "what none has"]
    assert all(0 < float(p50) <= float(p99) <= float(most) for _, p50, p99, most, _ in times)
    assert [statements for *_, statements in times] == ["2 to 2", "2 to 2", "0 to 2"]
    enough, things = map(int, facts["with a reference price"].split(" of "))
    assert (0 < int(facts["within 8 %"]) <= enough, things) == (True, len(THINGS))
    assert re.fullmatch(r"600 listings, [\d,]+/s", facts["imported"])
