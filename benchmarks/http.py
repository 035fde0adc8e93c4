"""`python -m benchmarks.http`: the hot reads of the API beside a bare Flask, in one interleaved run.

Every subject runs under granian with the same number of workers and threads, on the same database, with its log in a
file: Saltfish behind its edge, as it is served everywhere, the bare Flask under granian's own WSGI. Rounds are
interleaved (A B C D E A B …), so that a machine which slows down meanwhile affects all subjects; ratios are taken
within a round, and medians over the rounds are printed. PostgreSQL and Valkey are started for the run
unless DATABASE_URL and REDIS_URL name them. On a given PostgreSQL the run creates a database and drops it; in a given
Valkey it leaves keys that expire within a minute.

Rate limits are on, as in production; only that of search is raised.
"""

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

import flask_migrate
from flask import Flask
from rich.console import Console
from rich.progress import track
from rich.table import Table

from app.db.database import db
from app.factory import build_app
from app.search.service import rebuild
from app.web.request_hooks import register_sql_counting
from benchmarks import bare, market_rows
from benchmarks.load import Round, drive, get
from benchmarks.servers import prepared, serving, serving_product
from config import Settings, load_settings

_BARE_JSON, _BARE_ROW = "bare Flask, JSON", "bare Flask-SQLAlchemy, one row"
_DIFFERENT_GOODS = 500
_WARM_UP_SECONDS = 1.0
_FIRST_SEARCH_SECONDS = 5.0  # a process reads the words of the trade and of the goods before it answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One row of the result: the requests that are sent in turn, and to which of the two applications."""

    name: str
    paths: Sequence[str]
    bare: bool = False
    token: str | None = None
    warm_up: float = _WARM_UP_SECONDS


def _subjects(filled: market_rows.Market) -> tuple[Subject, ...]:
    goods = filled.good_ids[:: max(len(filled.good_ids) // _DIFFERENT_GOODS, 1)]
    return (
        Subject(name=_BARE_JSON, paths=["/json"], bare=True),
        Subject(name=_BARE_ROW, paths=[f"/row/{good_id}" for good_id in goods], bare=True),
        Subject(name="GET good", paths=[f"/api/good/{good_id}/" for good_id in goods]),
        Subject(name="bought list, 20 orders", paths=["/api/buy_order/"], token=filled.buyer_token),
        Subject(
            name="search, 20 goods",
            paths=[f"/test/?q={quote(text)}" for text in market_rows.QUERIES],
            warm_up=_FIRST_SEARCH_SECONDS,
        ),
    )


def _measure(arguments: argparse.Namespace, environ: Mapping[str, str], folder: Path) -> Table:
    env = {
        **environ,
        "SALTFISH_ENV": "development",
        "INSTANCE_PATH": str(folder),
        "SEARCH_INDEX_PATH": str(folder / "search"),
        "LOG_LEVEL": "INFO",
        "RATE_LIMITS_ENABLED": "1",
        "RATE_LIMIT_SEARCH": "1000000000 per minute",
        "JWT_SECRET_KEY": "secret-key-of-the-benchmark-0123456789",
    }
    settings = load_settings(env)
    saltfish = build_app(replace(settings, sql_count_header=True, log_level="WARNING"))
    with saltfish.app_context():
        flask_migrate.upgrade()
        filled = market_rows.fill(goods=arguments.goods, orders=arguments.orders)
        rebuild()
    subjects = _subjects(filled)
    statements = _count_statements(saltfish, settings, subjects)
    with ExitStack() as stack:
        servers = {
            True: stack.enter_context(serving("benchmarks.bare:create_app", "/json", arguments, env, folder)),
            False: stack.enter_context(serving_product(arguments, env, folder)),
        }

        def load(subject: Subject, seconds: float) -> Round:
            requests = [get(path, token=subject.token) for path in subject.paths]
            return drive(servers[subject.bare].port, requests, connections=arguments.connections, seconds=seconds)

        for subject in subjects:
            load(subject, subject.warm_up)
        rounds = [
            {subject.name: load(subject, arguments.seconds) for subject in subjects}
            for _ in track(range(arguments.rounds), "measuring", console=Console(stderr=True), transient=True)
        ]
    return _table(rounds, statements)


def _count_statements(saltfish: Flask, settings: Settings, subjects: Sequence[Subject]) -> dict[str, str]:
    """The number of SQL statements per request of each subject, without BEGIN and ROLLBACK."""
    bare_app = bare.create_app(settings)
    with bare_app.app_context():
        register_sql_counting(bare_app, bare.db.engine)
    counts = {}
    for subject in subjects:
        client = (bare_app if subject.bare else saltfish).test_client()
        headers = {"Authorization": f"Bearer {subject.token}"} if subject.token else {}
        client.get(subject.paths[0], headers=headers)  # from now on the caller's session is cached
        seen = set()
        for path in subject.paths[:20]:
            answer = client.get(path, headers=headers)
            assert answer.status_code == HTTPStatus.OK, answer.text
            seen.add(answer.headers["X-SQL-Statements"])
        counts[subject.name] = "–".join(sorted({min(seen, key=int), max(seen, key=int)}))
    for app, engines in ((bare_app, bare.db), (saltfish, db)):
        with app.app_context():
            engines.engine.dispose()
    return counts


def _table(rounds: Sequence[Mapping[str, Round]], statements: Mapping[str, str]) -> Table:
    table = Table(caption=f"medians of {len(rounds)} rounds; ratios of requests/s, taken within each round")
    table.add_column("")
    for column in ("requests/s", "p50 ms", "p99 ms", "SQL", "× bare JSON", "× bare row"):
        table.add_column(column, justify="right")

    def ratio(name: str, base: str) -> str:
        return f"{statistics.median(each[name].rate / each[base].rate for each in rounds):.2f}"

    for name in rounds[0]:
        results = [each[name] for each in rounds]
        table.add_row(
            name,
            f"{statistics.median(result.rate for result in results):,.0f}",
            f"{statistics.median(result.p50 for result in results):.1f}",
            f"{statistics.median(result.p99 for result in results):.1f}",
            statements[name],
            ratio(name, _BARE_JSON),
            ratio(name, _BARE_ROW),
        )
    return table


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.http", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="per subject and round")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2, help="processes per server")
    parser.add_argument("--threads", type=int, default=4, help="per process")
    parser.add_argument("--goods", type=int, default=2000)
    parser.add_argument("--orders", type=int, default=60, help="of the buyer whose list is read")
    return parser.parse_args()


def main() -> None:
    """Measure and print the table; database and folder are removed afterwards."""
    arguments = _arguments()
    with prepared() as (environ, folder):
        table = _measure(arguments, environ, folder)
        Console(width=None if sys.stdout.isatty() else 110).print(table)


if __name__ == "__main__":
    main()
