"""`python -m benchmarks.sweeper`: how many due orders the sweep of `app.orders.deadlines` fires in a second.

For each number of processes and each batch size, due orders are inserted by SQL, in equal parts for all deadlines that
need no call to the gateway. Fresh processes then sweep until nothing is due. Rounds are interleaved. After each sweep
it is checked that every order has taken its step exactly once.
"""

import argparse
import os
import resource
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Final

import flask_migrate
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sqlalchemy import Connection, text

from app.db.database import db
from app.orders.deadlines import BATCH, fire_due
from benchmarks.market_rows import fill_trades
from benchmarks.servers import prepared
from config import Settings, load_settings
from statemachine import OrderEvent
from tests.applications import running_app

_ORDERS_PER_RUN: Final = 1000


@dataclass(frozen=True, slots=True)
class _Due:
    """The state of an order whose deadline is due; `paid`: it has a paid payment, `asked`: it has a refund request."""

    bill: int
    goods: int
    good_status: int
    paid: bool = True
    asked: bool = False


_DUE_ORDERS: Final[Mapping[OrderEvent, _Due]] = {
    OrderEvent.EXPIRE: _Due(1, 6, 3, paid=False),
    OrderEvent.REFUND_UNSHIPPED: _Due(2, 6, 3),
    # Of one without a payment the gateway is not asked: this measures the sweep, not the gateway.
    OrderEvent.RECEIVE: _Due(2, 7, 3, paid=False),
    OrderEvent.SETTLE: _Due(3, 8, 4),
    OrderEvent.APPROVE_REFUND: _Due(4, 7, 3, asked=True),
    OrderEvent.LAPSE: _Due(4, 8, 4, asked=True),
    OrderEvent.ACCEPT_RETURN: _Due(4, 9, 4, asked=True),
}

# Ids are assigned explicitly, which is safe as there are no other orders: an order and its good have the same number.
_PREPARE: Final = (
    """
    INSERT INTO goods (id, owner_id, title, description, price, freight, category, trade_mode, status, deleted,
        revision, published_at, created_at, updated_at)
    SELECT number, :first_seller + number % 50, '几乎全新的相机', '自用,功能正常。', 100000, 1200, 2, 7, :good_status,
        false, 1, now(), now(), now()
    FROM generate_series(:first, :last) AS number
    """,
    """
    INSERT INTO orders (id, order_no, good_id, buyer_id, seller_id, good_title, price, freight, amount, trade_mode,
        bill_status, order_status, closed, history_length, history_hash, refund_count, hidden_by_buyer,
        hidden_by_seller, address, phase_since, deadline_at, clock_left, handover_tries, created_at, updated_at)
    SELECT number, lpad(number::text, 22, '0'), number, :first_buyer + number % 64, :first_seller + number % 50,
        '几乎全新的相机', 100000, 1200, 101200, 7, :bill, :goods, false, 3, repeat('0', 64), :asked, false, false,
        '{"name": "王小明", "mobile": "13800138000"}', now() - interval '8 days',
        now() - random() * interval '1 hour', CASE WHEN :asked = 1 THEN interval '1 day' END, 0,
        now() - interval '9 days', now() - interval '8 days'
    FROM generate_series(:first, :last) AS number
    """,
    """
    INSERT INTO payments (order_id, attempt, state, out_trade_no, amount, trade_no, paid_at, queries, created_at)
    SELECT number, 1, 'paid', lpad(number::text, 22, '0'), 101200, number::text, now(), 0, now()
    FROM generate_series(:first, :last) AS number WHERE :paid
    """,
    """
    INSERT INTO refund_requests (order_id, reason, description, created_at)
    SELECT number, '与描述不符', '', now() FROM generate_series(:first, :last) AS number WHERE :asked = 1
    """,
)
# Enough balance for all those payments, without a ledger transaction for each: this does not measure the ledger's
# audit.
_FUND: Final = "UPDATE ledger_accounts SET balance = balance + 1000000000000"
_LEFT: Final = """
    SELECT count(*) FILTER (WHERE deadline_at <= now()), count(*) FILTER (WHERE history_length = 4),
        (SELECT count(*) FROM order_events WHERE sequence = 4)
    FROM orders WHERE id BETWEEN :first AND :last
"""


@dataclass(frozen=True, slots=True)
class Sweep:
    """The result of one sweep: orders per second, and the peak memory of a process in MB."""

    rate: float
    peak: float


def _measure(arguments: argparse.Namespace, environ: Mapping[str, str], folder: Path) -> Table:
    env = {
        **environ,
        "SALTFISH_ENV": "development",
        "INSTANCE_PATH": str(folder),
        "LOG_LEVEL": "INFO",
        "JWT_SECRET_KEY": "secret-key-of-the-benchmark-0123456789",
    }
    settings = load_settings(env)
    # Writing the sweeps' log lines is part of their cost, so they go to a file and not to the terminal.
    log = folder / "sweeps.log"
    with running_app(load_settings({**env, "LOG_LEVEL": "WARNING"})) as app, app.app_context():
        flask_migrate.upgrade()
        trades = fill_trades(64)  # for their people and the ledger's accounts
        people = {
            "first_buyer": min(trade.buyer.user_id for trade in trades),
            "first_seller": min(trade.seller.user_id for trade in trades),
        }
        combinations = [(processes, batch) for processes in arguments.processes for batch in arguments.batches]
        results: dict[tuple[int, int], list[Sweep]] = {combination: [] for combination in combinations}
        rounds = [combination for _ in range(arguments.rounds) for combination in combinations]
        first = 1_000_000
        for processes, batch in track(rounds, "sweeping", console=Console(stderr=True), transient=True):
            last = _prepare(first, arguments.orders, people)
            sweep = _sweep(settings, log, processes=processes, batch=batch, orders=last - first + 1)
            _check(first, last)
            results[processes, batch].append(sweep)
            first = last + 1
    return _table(results, orders=arguments.orders)


def _prepare(first: int, orders: int, people: Mapping[str, int]) -> int:
    """Insert due orders with ids from `first` on, equally many of each kind; returns the last id."""
    share = max(orders // len(_DUE_ORDERS), 1)
    with db.engine.begin() as connection:
        for due in _DUE_ORDERS.values():
            last = first + share - 1
            columns = {"bill": due.bill, "goods": due.goods, "good_status": due.good_status, "paid": due.paid}
            parameters = {**people, **columns, "asked": int(due.asked), "first": first, "last": last}
            for statement in _PREPARE:
                connection.execute(text(statement), parameters)
            first = last + 1
        connection.execute(text(_FUND))
    _analyze()
    return last


def _analyze() -> None:
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")  # otherwise autovacuum may do it in the middle of a round


def _check(first: int, last: int) -> None:
    with db.engine.begin() as connection:
        due, stepped, lines = _left(connection, first, last)
        connection.execute(text("TRUNCATE outbox"))  # so that every sweep writes into an empty table
    if (due, stepped) != (0, last - first + 1) or lines < stepped:
        raise AssertionError(f"{due} orders are still due; {stepped} of {last - first + 1} took their step")


def _left(connection: Connection, first: int, last: int) -> tuple[int, int, int]:
    due, stepped, lines = connection.execute(text(_LEFT), {"first": first, "last": last}).one()
    return due, stepped, lines


_ready: list[Barrier] = []
"""In a sweeping process: the barrier at which it waits until all of them are ready."""


def _keep_barrier(barrier: Barrier) -> None:
    _ready.append(barrier)


def _sweep_in_process(settings: Settings, log: Path, batch: int) -> tuple[int, float, float, float]:
    """Sweep until nothing is due.

    Returns the number of orders, the moments at which the sweep began and ended, and the process's peak memory in MB.
    """
    with log.open("a") as written:
        os.dup2(written.fileno(), sys.stderr.fileno())
    fired = 0
    with running_app(settings) as app, app.app_context():
        db.session.execute(text("SELECT 1"))
        db.session.rollback()
        _ready[0].wait()
        started = time.perf_counter()
        while batch_of := fire_due(limit=_ORDERS_PER_RUN, batch_size=batch):
            fired += batch_of
        ended = time.perf_counter()
    # perf_counter() is system-wide here, so moments of different processes can be compared.
    return fired, started, ended, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _sweep(settings: Settings, log: Path, *, processes: int, batch: int, orders: int) -> Sweep:
    # Fresh processes, so that their peak memory is of this sweep only; they begin together, once all are ready.
    context = get_context("spawn")
    barrier = context.Barrier(processes)
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_keep_barrier, initargs=(barrier,)) as pool:
        swept = [pool.submit(_sweep_in_process, settings, log, batch) for _ in range(processes)]
        parts = [each.result() for each in swept]
    if sum(fired for fired, *_ in parts) != orders:
        raise AssertionError(f"{parts} orders were fired, not {orders}")
    seconds = max(ended for _, _, ended, _ in parts) - min(started for _, started, _, _ in parts)
    return Sweep(rate=orders / seconds, peak=max(peak for *_, peak in parts))


def _table(results: Mapping[tuple[int, int], Sequence[Sweep]], *, orders: int) -> Table:
    count = len(next(iter(results.values())))
    table = Table(caption=f"medians of {count} rounds, {orders:,} due orders each")
    for column in ("processes", "orders in a batch", "orders/s", "peak MB of a process"):
        table.add_column(column, justify="right")
    for (processes, batch), sweeps in results.items():
        table.add_row(
            str(processes),
            str(batch),
            f"{statistics.median(sweep.rate for sweep in sweeps):,.0f}",
            f"{max(sweep.peak for sweep in sweeps):,.0f}",
        )
    return table


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweeper", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--orders", type=int, default=100_000, help="due at the beginning of each sweep")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batches", type=int, nargs="+", default=[BATCH], help="orders in one transaction")
    return parser.parse_args()


def main() -> None:
    """Measure and print the table; database and folder are removed afterwards."""
    arguments = _arguments()
    with prepared() as (environ, folder):
        Console(width=None if sys.stdout.isatty() else 110).print(_measure(arguments, environ, folder))


if __name__ == "__main__":
    main()
