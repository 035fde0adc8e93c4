"""The benchmark of the crawler: a short run, which checks itself that every run brought every listing."""

import re
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.tables import cells
from tests.live import PROJECT


def test_a_run_prints_both_crawlers_and_the_polite_one(tmp_path: Path) -> None:
    limits = ("--rounds", "1", "--pages", "3", "--polite-pages", "2", "--delay", "0.2")
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "benchmarks.crawl", *limits],
        cwd=PROJECT,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    assert "Warning" not in run.stderr
    bare, ours = cells(run.stdout)
    assert (bare[0], ours[0]) == ("bare spider", "crawler")
    assert bare[2] == "1.00 (1.00 to 1.00)"
    assert 20 < float(bare[4]) < 1000
    assert 20 < float(ours[4]) < 1000
    form = (
        r"polite: 2 pages, 0\.2 s between two requests: [0-9.]+ s, [0-9.]+ × pages × delay; (\d+) requests, ([0-9.]+) s"
    )
    polite = re.search(form, run.stdout)
    assert polite is not None, run.stdout
    assert polite[1] == "4"  # robots.txt, the token, two pages
    assert float(polite[2]) >= 0.1  # the shortest pause: the delay, less its jitter
    assert list(tmp_path.iterdir()) == []
