"""`python -m benchmarks.orders`: whole orders, from purchase to accepted return, beside the same SQL without us.

Three subjects on one database: Saltfish over HTTP; a bare Flask that runs the same SQL under the same server with as
many workers and threads; and that SQL alone, on psycopg in as many processes and threads. Rounds are interleaved and
ratios taken as in `benchmarks.http`. All rows are real: after a run the ledger's audit finds no differences.

Saltfish makes and verifies RSA signatures, two per order, which the others do not; the caption of the table says what
that costs.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

import flask_migrate
from flask import Flask
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from app.clock import utcnow
from app.db.database import db
from app.factory import build_app
from app.ledger.audit import audit
from app.money.gateway import gateway
from app.money.sandbox import keys
from benchmarks.bare_orders import BareOrders
from benchmarks.load import Exchange, Round, Scenario, drive_scenarios, post, round_of
from benchmarks.market_rows import Trade, fill_trades
from benchmarks.order_requests import Notification, lifecycle, notifications
from benchmarks.servers import prepared, serving, serving_product
from config import Settings, load_settings

_SALTFISH, _FLASK, _PSYCOPG = "Saltfish", "bare Flask, same SQL", "psycopg, same SQL"
_SUBJECTS: Final = (_PSYCOPG, _FLASK, _SALTFISH)
_COUNTED: Final = 3
_SIGNATURES: Final = 50


def _measure(arguments: argparse.Namespace, environ: Mapping[str, str], folder: Path) -> tuple[Table, list[str]]:
    keys.create_keys(folder / "keys")
    env = {
        **environ,
        "SALTFISH_ENV": "development",
        "INSTANCE_PATH": str(folder),
        "ALIPAY_APP_PRIVATE_KEY_PATH": str(folder / "keys" / keys.APP_PRIVATE),
        "ALIPAY_PUBLIC_KEY_PATH": str(folder / "keys" / keys.GATEWAY_PUBLIC),
        "LOG_LEVEL": "INFO",
        "RATE_LIMITS_ENABLED": "1",
        "RATE_LIMIT_NOTIFY": "1000000000 per minute",
        "JWT_SECRET_KEY": "secret-key-of-the-benchmark-0123456789",
    }
    settings = load_settings(env)
    notification = notifications(folder / "keys")
    saltfish = build_app(replace(settings, sql_count_header=True, log_level="WARNING"))
    # One warm-up round that does not count, so that every pooled connection has its statements prepared.
    rounds = 1 + arguments.rounds
    with saltfish.app_context():
        flask_migrate.upgrade()
        lifecycles = rounds * len(arguments.clients) * len(_SUBJECTS) * arguments.orders + 2 * _COUNTED
        trades = iter(fill_trades(lifecycles))
        signatures = _signature_milliseconds(notification)
    statements = _count_statements(saltfish, settings, trades, notification)
    with ExitStack() as stack:
        servers = {
            _FLASK: stack.enter_context(serving("benchmarks.bare_orders:create_app", "/alive", arguments, env, folder)),
            _SALTFISH: stack.enter_context(serving_product(arguments, env, folder)),
        }
        runner = _PsycopgRunner(
            stack, settings.database_url, folder / "keys", workers=arguments.workers, threads=arguments.threads
        )

        def load(name: str, clients: int) -> tuple[Round, float]:
            chosen = list(islice(trades, arguments.orders))
            if name == _PSYCOPG:
                return runner.drive(chosen, clients=clients)
            scenarios = (_scenario(trade, notification) for trade in chosen)
            before = servers[name].cpu_seconds()
            result = drive_scenarios(servers[name].port, scenarios, connections=clients)
            return result, 1000 * (servers[name].cpu_seconds() - before) / arguments.orders

        results: dict[int, list[dict[str, tuple[Round, float]]]] = {clients: [] for clients in arguments.clients}
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("measuring", total=rounds * len(results) * len(_SUBJECTS))
            for _ in range(rounds):
                for clients, rounds_of in results.items():
                    rounds_of.append({})
                    for name in _SUBJECTS:
                        rounds_of[-1][name] = load(name, clients)
                        progress.advance(task)
    with saltfish.app_context():
        differences = [str(each) for each in audit()]
        db.engine.dispose()
    counted = {clients: rounds_of[1:] for clients, rounds_of in results.items()}
    return _table(counted, statements, signatures), differences


def _scenario(trade: Trade, notification: Notification) -> Scenario:
    """The requests of `lifecycle` as bytes."""
    calls = lifecycle(trade, notification)
    call = next(calls)
    while True:
        answer = yield Exchange(post(call.path, headers=call.headers, body=call.body), int(call.expected))
        try:
            call = calls.send(answer)
        except StopIteration:
            return


def _signature_milliseconds(notification: Notification) -> float:
    """CPU time of Saltfish's RSA operations per order: sign the gateway's URL, verify the gateway's notification."""
    form = dict(parse_qsl(notification("20261122000000000000000", 100).decode()))
    started = time.process_time()
    for _ in range(_SIGNATURES):
        gateway().page_pay_url(
            out_trade_no="1", amount_fen=100, subject="相机", notify_url="", return_url="", expires_at=utcnow()
        )
        gateway().read_notification(form)
    return 1000 * (time.process_time() - started) / _SIGNATURES


def _count_statements(
    saltfish: Flask, settings: Settings, trades: Iterator[Trade], notification: Notification
) -> dict[str, str]:
    """The number of SQL statements per lifecycle, without BEGIN and COMMIT."""
    bare = BareOrders(settings.database_url)
    counts: dict[str, set[int]] = {_SALTFISH: set(), _PSYCOPG: set()}
    for trade in islice(trades, _COUNTED):
        before = bare.statements
        run_bare(bare, trade, notification)
        counts[_PSYCOPG].add(bare.statements - before)
    for trade in islice(trades, _COUNTED):
        counts[_SALTFISH].add(_saltfish_statements(saltfish, trade, notification))
    bare.close()
    texts = {name: "–".join(str(each) for each in sorted({min(seen), max(seen)})) for name, seen in counts.items()}
    return {**texts, _FLASK: texts[_PSYCOPG]}


def _saltfish_statements(saltfish: Flask, trade: Trade, notification: Notification) -> int:
    client, sent = saltfish.test_client(), 0
    for trader in (trade.buyer, trade.seller):  # their sessions are cached by then, as those of most requests are
        client.get("/api/user/", headers={"Authorization": f"Bearer {trader.token}"})
    calls = lifecycle(trade, notification)
    call = next(calls)
    while True:
        answer = client.post(call.path, data=call.body, headers=call.headers)
        assert answer.status_code == call.expected, answer.text
        sent += int(answer.headers["X-SQL-Statements"])
        try:
            call = calls.send(answer.data)
        except StopIteration:
            return sent


def run_bare(bare: BareOrders, trade: Trade, notification: Notification) -> None:
    """A lifecycle as plain function calls, with the same contents as the requests of `lifecycle`."""
    buyer, seller = trade.buyer, trade.seller
    order = bare.buy(buyer_id=buyer.user_id, good_id=trade.good_id, address_id=buyer.address_id, revision=1)
    order_id = order["id"]
    bare.checkout(order_id=order_id)
    bare.pay(fields=dict(parse_qsl(notification(order["order_no"], order["amount"]).decode())))
    parcel = {"company": "顺丰速运", "tracking_no": f"SF{order_id:012d}"}
    bare.ship(seller_id=seller.user_id, order_id=order_id, address_id=seller.address_id, **parcel)
    bare.receive(buyer_id=buyer.user_id, order_id=order_id)
    bare.request_refund(buyer_id=buyer.user_id, order_id=order_id, reason="与描述不符", description="成色差。")
    bare.send_back(buyer_id=buyer.user_id, order_id=order_id, freight=1200, **parcel)
    bare.accept_return(seller_id=seller.user_id, order_id=order_id)


_connections: dict[str, list[BareOrders]] = {}
"""The connections that this worker process has opened, by database URL."""


def _run_share(
    database_url: str, keys_folder: Path, trades: Sequence[Trade], threads: int
) -> tuple[list[float], float, float, float]:
    """Run lifecycles in `threads` threads of this process.

    Returns the seconds of each, the moments at which they began and ended, and the CPU seconds used.
    """
    opened = _connections.setdefault(database_url, [])
    opened += [BareOrders(database_url) for _ in range(threads - len(opened))]
    notification = notifications(keys_folder)
    waiting = iter(trades)
    latencies: list[float] = []

    def work(bare: BareOrders) -> None:
        for trade in waiting:
            started_at = time.perf_counter()
            run_bare(bare, trade, notification)
            latencies.append(time.perf_counter() - started_at)

    started, cpu_before = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, opened[:threads]):
            pass
    return latencies, started, time.perf_counter(), time.process_time() - cpu_before


def _close_connections() -> None:
    for bare in chain.from_iterable(_connections.values()):
        bare.close()


class _PsycopgRunner:
    """Runs `BareOrders` in as many processes and threads as the servers have; connections are kept open, as theirs."""

    def __init__(self, stack: ExitStack, database_url: str, keys_folder: Path, *, workers: int, threads: int) -> None:
        self._run = partial(_run_share, database_url, keys_folder)
        self._threads = threads
        spawn = get_context("spawn")  # so that the workers inherit nothing from this process
        self._workers = [stack.enter_context(ProcessPoolExecutor(1, mp_context=spawn)) for _ in range(workers)]
        stack.callback(self._close)

    def drive(self, trades: Sequence[Trade], *, clients: int) -> tuple[Round, float]:
        """Run one lifecycle per trade, as many at a time as the servers would handle for so many clients.

        Returns the result, and the CPU milliseconds per lifecycle.
        """
        at_once = min(clients, len(self._workers) * self._threads)
        workers = self._workers[:at_once]
        shares = [
            worker.submit(
                self._run, trades[number :: len(workers)], at_once // len(workers) + (number < at_once % len(workers))
            )
            for number, worker in enumerate(workers)
        ]
        latencies, started, ended, cpu_seconds = zip(*(share.result() for share in shares), strict=True)
        # perf_counter() is system-wide here, so moments of different processes can be compared.
        result = round_of(list(chain.from_iterable(latencies)), seconds=max(ended) - min(started))
        return result, 1000 * sum(cpu_seconds) / len(trades)

    def _close(self) -> None:
        for worker in self._workers:
            worker.submit(_close_connections).result()


def _table(
    results: Mapping[int, Sequence[Mapping[str, tuple[Round, float]]]], statements: Mapping[str, str], signatures: float
) -> Table:
    count = len(next(iter(results.values())))
    table = Table(
        caption=f"medians of {count} rounds; ratios of lifecycles/s, taken within each round. CPU: of the "
        f"Python processes, per lifecycle; {signatures:.1f} ms of Saltfish's is RSA, of which the others have none"
    )
    for column in ("clients", ""):
        table.add_column(column)
    for column in ("lifecycles/s", "p50 ms", "p99 ms", "CPU ms", "SQL", "× psycopg", "× bare Flask"):
        table.add_column(column, justify="right")
    for clients, rounds in results.items():
        for name in _SUBJECTS:
            of_subject = [each[name][0] for each in rounds]
            ratios = [
                statistics.median(each[name][0].rate / each[base][0].rate for each in rounds)
                for base in (_PSYCOPG, _FLASK)
            ]
            table.add_row(
                str(clients),
                name,
                f"{statistics.median(each.rate for each in of_subject):,.1f}",
                f"{statistics.median(each.p50 for each in of_subject):,.1f}",
                f"{statistics.median(each.p99 for each in of_subject):,.1f}",
                f"{statistics.median(each[name][1] for each in rounds):,.1f}",
                statements[name],
                *(f"{ratio:.2f}" for ratio in ratios),
            )
        table.add_section()
    return table


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.orders", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--orders", type=int, default=200, help="per subject, number of clients, and round")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--workers", type=int, default=2, help="processes per server")
    parser.add_argument("--threads", type=int, default=4, help="per process")
    return parser.parse_args()


def main() -> None:
    """Measure and print the table; database and folder are removed afterwards. Fails if the ledger's audit does."""
    arguments = _arguments()
    with prepared() as (environ, folder):
        table, differences = _measure(arguments, environ, folder)
        Console(width=None if sys.stdout.isatty() else 110).print(table)
    if differences:
        raise SystemExit("\n".join(["the ledger's audit found:", *differences]))


if __name__ == "__main__":
    main()
