"""The benchmark of whole orders: a short run, and that what it is measured beside writes the same rows."""

from pathlib import Path
from typing import Any

import psycopg
from flask import Flask
from psycopg.rows import dict_row
from sqlalchemy import make_url

from app.ledger.audit import audit
from benchmarks.bare_orders import BareOrders
from benchmarks.market_rows import Trade, fill_trades
from benchmarks.order_requests import lifecycle, notifications
from benchmarks.orders import run_bare
from config import Settings
from tests.benchmarks.short_run import short_run
from tests.benchmarks.tables import cells

# By table: where its rows of an order are.
ROWS = {
    "orders": "id = %(order)s",
    "goods": "id = %(good)s",
    "order_events": "order_id = %(order)s",
    "payments": "order_id = %(order)s",
    "gateway_notifications": "out_trade_no = (SELECT order_no FROM orders WHERE id = %(order)s)",
    "refunds": "payment_id = (SELECT id FROM payments WHERE order_id = %(order)s)",
    "refund_requests": "order_id = %(order)s",
    "waybills": "order_id = %(order)s",
    "ledger_transactions": "order_id = %(order)s",
    "ledger_entries": "transaction_id IN (SELECT id FROM ledger_transactions WHERE order_id = %(order)s)",
    "outbox": "stream = format('order:%%s', %(order)s::text)"
    " OR (topic = 'search_index' AND subject_id = %(good)s)"
    " OR stream = (SELECT format('payment:%%s', id) FROM payments WHERE order_id = %(order)s)",
}
# What two orders have in common where the same happened to them.
SAME = {
    *("event", "role", "from_bill", "from_order", "to_bill", "to_order", "closed", "sequence", "attempt"),
    *("bill_status", "order_status", "closed_reason", "history_length", "refund_count", "trade_mode", "state"),
    *("reason", "outcome", "outcome_note", "direction", "company", "kind", "topic", "status", "refusal"),
}


def _dsn(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _rows(database_url: str, trade: Trade) -> dict[str, list[dict[str, Any]]]:
    """All rows of the good's only order: of columns outside SAME only whether they have a value."""
    with psycopg.connect(_dsn(database_url), row_factory=dict_row) as connection:
        [order] = connection.execute("SELECT id FROM orders WHERE good_id = %s", [trade.good_id]).fetchall()
        found = {}
        for table, condition in ROWS.items():
            statement = f"SELECT * FROM {table} WHERE {condition} ORDER BY id"  # noqa: S608 - both from above
            rows = connection.execute(statement, {"order": order["id"], "good": trade.good_id}).fetchall()
            found[table] = [
                {name: value if name in SAME else value is not None for name, value in row.items()} for row in rows
            ]
        return found


def _lead_ours(app: Flask, trade: Trade, keys_folder: Path) -> None:
    client = app.test_client()
    visit = lifecycle(trade, notifications(keys_folder))
    call = next(visit)
    while True:
        answer = client.post(call.path, data=call.body, headers=call.headers)
        assert answer.status_code == call.expected, answer.text
        try:
            call = visit.send(answer.data)
        except StopIteration:
            return


def test_ours_and_the_bare_sql_write_the_same_rows(context: Flask, settings: Settings) -> None:
    ours, theirs = fill_trades(2)
    keys_folder = settings.alipay_public_key_path.parent

    _lead_ours(context, ours, keys_folder)
    bare = BareOrders(settings.database_url)
    run_bare(bare, theirs, notifications(keys_folder))
    bare.close()

    written = _rows(settings.database_url, ours)
    assert {table: len(rows) for table, rows in written.items()} == {
        "orders": 1,
        "goods": 1,
        "order_events": 7,
        "payments": 1,
        "gateway_notifications": 1,
        "refunds": 1,
        "refund_requests": 1,
        "waybills": 2,
        "ledger_transactions": 4,
        "ledger_entries": 8,
        "outbox": 10,
    }
    assert _rows(settings.database_url, theirs) == written
    assert audit() == []


def test_a_run_prints_every_subject_and_leaves_no_database(stores: tuple[str, str]) -> None:
    limits = ("--rounds", "1", "--orders", "10", "--clients", "2", "--workers", "1")
    printed = short_run("benchmarks.orders", *limits, stores=stores)

    table = {
        name: dict(zip(COLUMNS, (cell.replace(",", "") for cell in row), strict=True))
        for _, name, *row in cells(printed)
    }
    assert {name: row["SQL"] for name, row in table.items()} == dict.fromkeys(SUBJECTS, STATEMENTS)
    assert all(0 < float(row["p50 ms"]) <= float(row["p99 ms"]) for row in table.values())
    loop, flask, ours = (table[name] for name in SUBJECTS)
    assert (loop["× psycopg"], flask["× bare Flask"]) == ("1.00", "1.00")
    assert float(ours["× bare Flask"]) > 0
    assert float(ours["CPU ms"]) > float(loop["CPU ms"]) > 0


COLUMNS = ("lifecycles/s", "p50 ms", "p99 ms", "CPU ms", "SQL", "× psycopg", "× bare Flask")
SUBJECTS = ("psycopg, same SQL", "bare Flask, same SQL", "Saltfish")
STATEMENTS = "72"
"""Of each of the three: a statement more in ours has to be written there too, or the comparison is none."""
