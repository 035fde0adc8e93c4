"""`python -m benchmarks.prices`: how fast reference prices are answered among many listings, and how near they are.

A generated market (`tests.listings.offers`) is imported like a crawler's feed. Then reference prices are requested for
titles, through the whole application but without a network: models, terms that far too many listings have, and terms
that none has.
"""

import argparse
import gc
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import flask_migrate
import numpy as np
from flask import Flask
from flask.testing import FlaskClient
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sqlalchemy import text

from app.categories import CATEGORY_TEXT
from app.clock import utcnow
from app.db.database import db
from app.listings.importer import Hooks, import_manifest
from benchmarks.servers import prepared
from config import load_settings
from tests.applications import running_app
from tests.listings.feeds import Feed
from tests.listings.offers import THINGS, Thing, offers

_BATCH: Final = 2000
_CODES: Final = {label: code for code, label in CATEGORY_TEXT.items()}
_TITLES: Final[Mapping[str, Sequence[str]]] = {
    "models": [thing.title for thing in THINGS],
    "what too many have": [
        "手机",
        "苹果手机",
        "iPhone",
        "显卡",
        "索尼相机",
        "微单相机",
        "吸尘器",
        "钢琴",
        "连衣裙",
        "小米 手机",
    ],
    "what none has": ["施坦威三角钢琴 D274", "飞人牌缝纫机", "iPhone 47 Pro", "👍", "乐高 99999 全新", "飞行汽车"],
}

_SIZES: Final = (
    "SELECT pg_size_pretty(pg_relation_size('ix_listings_terms')), pg_size_pretty(pg_table_size('listings'))"
)


def _measure(arguments: argparse.Namespace, environ: Mapping[str, str], folder: Path) -> Iterator[Table]:
    env = {
        **environ,
        "SALTFISH_ENV": "development",
        "INSTANCE_PATH": str(folder),
        "LOG_LEVEL": "WARNING",
        "RATE_LIMITS_ENABLED": "0",
        "SQL_COUNT_HEADER": "1",
        "JWT_SECRET_KEY": "secret-key-of-the-benchmark-0123456789",
    }
    with running_app(load_settings(env)) as app:
        yield from _measure_app(app, folder, arguments)


def _measure_app(app: Flask, folder: Path, arguments: argparse.Namespace) -> Iterator[Table]:
    with app.app_context():
        flask_migrate.upgrade()
        seconds = _import(folder / "feed", arguments.listings)
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE listings")  # otherwise autovacuum may do it while measuring
            index, table = connection.execute(text(_SIZES)).one()
    # As in `wsgi.py`. Here a full garbage collection would also traverse all the generated listings.
    gc.freeze()
    yield _times(app.test_client(), arguments.rounds)
    yield _accuracy(app.test_client())
    rate = arguments.listings / seconds
    facts = Table(show_header=False)
    facts.add_row("imported", f"{arguments.listings:,} listings, {rate:,.0f}/s")
    facts.add_row("on disk", f"listings {table}, their index {index}")
    yield facts


def _import(folder: Path, count: int) -> float:
    """Import so many listings; returns the seconds that it took."""
    feed = Feed(folder)
    lines = [offer.line for offer in offers(count, now=utcnow())]
    for begin in range(0, count, _BATCH):
        feed.add(lines[begin : begin + _BATCH])
    started = time.perf_counter()
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("importing", total=count)
        report = import_manifest(feed.manifest, hooks=Hooks(progress=lambda done: progress.advance(task, done)))
    if report.rejected or report.damaged:
        raise AssertionError(f"{report.rejected} lines and {report.damaged} were refused")
    return time.perf_counter() - started


def _ask(client: FlaskClient, title: str, label: str | None = None) -> tuple[dict[str, Any], float, int]:
    """The application's answer, the seconds that it took, and the number of SQL statements."""
    query = {"title": title} | ({} if label is None else {"category": str(_CODES[label])})
    started = time.perf_counter()
    response = client.get("/api/price_reference/", query_string=query)
    seconds = time.perf_counter() - started
    if response.status_code != 200:
        raise AssertionError(f"{title}: {response.status}")
    return response.get_json()["data"], seconds, int(response.headers["X-SQL-Statements"])


def _times(client: FlaskClient, rounds: int) -> Table:
    asked = [(kind, title) for kind, titles in _TITLES.items() for title in titles] * rounds
    random.Random(1).shuffle(asked)
    _ask(client, "iPhone 13")  # loads the dictionary
    seconds: dict[str, list[float]] = {kind: [] for kind in _TITLES}
    counted: dict[str, list[int]] = {kind: [] for kind in _TITLES}
    for kind, title in asked:
        _, took, statements = _ask(client, title)
        seconds[kind].append(took)
        counted[kind].append(statements)
    table = Table(caption=f"{len(asked):,} requests, milliseconds in the application")
    for column in ("asked for", "p50", "p99", "most", "statements"):
        table.add_column(column, justify="left" if column == "asked for" else "right")
    for kind, each in seconds.items():
        p50, p99, most = (f"{np.percentile(each, percent) * 1000:.1f}" for percent in (50, 99, 100))
        table.add_row(kind, p50, p99, most, f"{min(counted[kind])} to {max(counted[kind])}")
    return table


def _accuracy(client: FlaskClient) -> Table:
    answers = [(thing, _ask(client, thing.title, thing.label)[0]) for thing in THINGS]
    off = [each for each in (_off(thing, data) for thing, data in answers) if each is not None]
    table = Table(show_header=False, caption="against the true prices")
    table.add_row("with a reference price", f"{len(off)} of {len(THINGS)}")
    table.add_row("within 8 %", f"{sum(abs(each) <= 0.08 for each in off)}")
    table.add_row("off by", f"{np.median(np.abs(off)):.1%} (median), {max(map(abs, off)):.1%} (most)" if off else "-")
    return table


def _off(thing: Thing, data: Mapping[str, Any]) -> float | None:
    """The relative error of the median price; None without a reference price."""
    return float(data["prices"]["median"]) / thing.price - 1 if data["enough"] else None


def main() -> None:
    """Measure and print the tables; database and folder are removed afterwards."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prices", description=__doc__.partition("\n")[0])
    parser.add_argument("--listings", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=20, help="how often each title is asked for")
    arguments = parser.parse_args()
    with prepared() as (environ, folder):
        console = Console(width=None if sys.stdout.isatty() else 110)
        for table in _measure(arguments, environ, folder):
            console.print(table)


if __name__ == "__main__":
    main()
