"""`python -m benchmarks.crawl`: what a listing costs the crawler beside a bare spider, and how slow it is when polite.

Both read the same pages of 30 rows and some 300 KB from the same fake of the site, one after the other, and write
JSON Lines. The crawler does all that a real run does: it fetches robots.txt, signs requests, judges answers, counts
requests against the day's budget, reads every field, hides contacts, looks listings up in its state, and writes batches
with a manifest. Rounds are interleaved. Beside each run there is one over an empty market; its CPU time is the cost of
starting, and is subtracted. Every run has to bring every listing. A polite run is then compared with pages × delay.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.crawler.goofish.generated_market import PAGE_ROWS, Market
from tests.crawler.goofish.process import Site

_PROJECT: Final = Path(__file__).resolve().parent.parent
_FULL: Final = "相机"
_EMPTY: Final = "空"


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one process: CPU seconds (user and system), peak memory in MB, seconds from start to end."""

    cpu: float
    peak: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Pair:
    """A run over the whole market, and one over the empty market."""

    full: Cost
    empty: Cost

    @property
    def cpu(self) -> float:
        """CPU seconds without those of starting."""
        return self.full.cpu - self.empty.cpu


Subject = Callable[[str, int, Path], Cost]
"""Called with a keyword, a number of pages and an empty folder; crawls these pages."""


def _cost(command: list[str], env: Mapping[str, str], folder: Path) -> Cost:
    began = time.perf_counter()
    with (folder / "output.log").open("wb") as output:
        process = subprocess.Popen(command, cwd=_PROJECT, env=env, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command} ended with {process.returncode}:\n{(folder / 'output.log').read_text()[-4000:]}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, time.perf_counter() - began)


def _crawler(site: Site, *, delay: float = 0.0) -> Subject:
    """The crawler, started as cron starts it, with an empty state."""

    def crawl(keyword: str, pages: int, folder: Path) -> Cost:
        targets = folder / "targets.txt"
        targets.write_text(f"{keyword}\n", "utf-8")
        variables = {
            "LIVE": "yes",
            "CONTACT": "https://example.org/crawler",
            "BASE_URL": site.url,
            "DATA": str(folder / "data"),
            "DELAY": f"{delay:f}",
            "PAGE_LIMIT": str(pages),
            "DAILY_BUDGET": "100000",
        }
        env = {"PATH": os.defpath, **{f"XIANYU_{name}": value for name, value in variables.items()}}
        cost = _cost([sys.executable, "-m", "crawler", "run", "xianyu_search", str(targets)], env, folder)
        [manifest] = folder.glob("data/runs/*/manifest.json")
        _check(orjson.loads(manifest.read_bytes())["counts"]["listings"], keyword, pages)
        return cost

    return crawl


def _bare(site: Site) -> Subject:
    def crawl(keyword: str, pages: int, folder: Path) -> Cost:
        feed = folder / "items.jsonl"
        command = [sys.executable, "-m", "benchmarks.bare_spider", f"{site.url}/plain/{keyword}", str(pages), str(feed)]
        cost = _cost(command, {"PATH": os.defpath}, folder)
        _check(len(feed.read_bytes().splitlines()), keyword, pages)
        return cost

    return crawl


def _check(listings: int, keyword: str, pages: int) -> None:
    expected = 0 if keyword == _EMPTY else pages * PAGE_ROWS
    if listings != expected:
        raise AssertionError(f"{listings} listings instead of {expected}")


def _in_a_folder(subject: Subject, keyword: str, pages: int) -> Cost:
    with tempfile.TemporaryDirectory(prefix="saltfish-bench-") as folder:
        return subject(keyword, pages, Path(folder))


def _measure(site: Site, *, rounds: int, pages: int) -> Table:
    for market in (Market(keyword=_FULL, items=pages * PAGE_ROWS), Market(keyword=_EMPTY, items=0)):
        site.open(market)
        site.warm(market)
    subjects = {"bare spider": _bare(site), "crawler": _crawler(site)}
    results: dict[str, list[Pair]] = {name: [] for name in subjects}
    for subject in subjects.values():
        _in_a_folder(subject, _EMPTY, pages)  # compiles their modules
    for _ in track(range(rounds), "crawling", console=Console(stderr=True), transient=True):
        for name, subject in subjects.items():
            full = _in_a_folder(subject, _FULL, pages)
            results[name].append(Pair(full, _in_a_folder(subject, _EMPTY, pages)))
    return _table(results, pages=pages)


def _table(results: Mapping[str, list[Pair]], *, pages: int) -> Table:
    [bare, _] = results.values()
    items = pages * PAGE_ROWS
    table = Table(caption=f"medians (least to most) of {len(bare)} rounds, {pages} pages of {PAGE_ROWS} each")
    table.add_column("")
    for column in ("CPU µs a listing", "× bare", "CPU s to start", "peak MB", "listings/s"):
        table.add_column(column, justify="right")
    for name, pairs in results.items():
        table.add_row(
            name,
            _spread([pair.cpu / items * 1e6 for pair in pairs], ".0f"),
            _spread([pair.cpu / beside.cpu for pair, beside in zip(pairs, bare, strict=True)], ".2f"),
            f"{statistics.median(pair.empty.cpu for pair in pairs):.2f}",
            f"{max(pair.full.peak for pair in pairs):.0f}",
            f"{items / statistics.median(pair.full.seconds for pair in pairs):,.0f}",
        )
    return table


def _spread(values: list[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def _measure_politeness(site: Site, *, pages: int, delay: float) -> str:
    market = site.open(Market(keyword=_FULL, items=pages * PAGE_ROWS))
    site.warm(market)
    before = site.recorded()
    cost = _in_a_folder(_crawler(site, delay=delay), _FULL, pages)
    moments = [request["at"] for request in site.requests(before)]
    pace = (moments[-1] - moments[0]) / (len(moments) - 1)
    return (
        f"polite: {pages} pages, {delay:g} s between two requests: {cost.seconds:.1f} s,"
        f" {cost.seconds / (pages * delay):.3f} × pages × delay;"
        f" {len(moments)} requests, {pace:.2f} s between two of them"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crawl", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--pages", type=int, default=200, help="of 30 listings, in each run")
    parser.add_argument("--polite-pages", type=int, default=60)
    parser.add_argument("--delay", type=float, default=1.0, help="seconds between two requests of the polite run")
    return parser.parse_args()


def main() -> None:
    """Measure and print. Temporary files are removed."""
    arguments = _arguments()
    console = Console(width=None if sys.stdout.isatty() else 130)
    with tempfile.TemporaryDirectory(prefix="saltfish-bench-") as folder, Site.start(Path(folder)) as site:
        console.print(_measure(site, rounds=arguments.rounds, pages=arguments.pages))
        console.print(_measure_politeness(site, pages=arguments.polite_pages, delay=arguments.delay), soft_wrap=True)


if __name__ == "__main__":
    main()
