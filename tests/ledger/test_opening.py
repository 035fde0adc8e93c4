"""The ledger of a database that had paid orders before it had a ledger."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import flask_migrate
import psycopg
import pytest
from flask import Flask
from sqlalchemy import make_url

from app.ledger.audit import audit
from app.orders.history import export, verify
from config import load_settings
from tests.applications import running_app

BEGIN = datetime(2026, 11, 1, 8, tzinfo=UTC)
SELLER, BUYER, AMOUNT = 1, 2, 1500

# One order per line: the steps after `buy` (event, role, bill, goods, closed), and the refund's reason and state.
_PAY, _SHIP = ("pay", "gateway", 2, 6, False), ("ship", "seller", 2, 7, False)
_RECEIVE, _SETTLE = ("receive", "buyer", 3, 8, False), ("settle", "system", 3, 8, True)
_ASK_LATE, _BACK = ("request_refund", "buyer", 4, 8, False), ("send_back", "buyer", 4, 9, False)
_ACCEPT = ("accept_return", "seller", 5, 10, True)
ORDERS = {
    1: ((), None),
    2: ((("cancel", "buyer", 1, 6, True),), None),
    3: ((_PAY,), None),
    4: ((_PAY, _SHIP, _RECEIVE), None),
    5: ((_PAY, _SHIP, _RECEIVE, _SETTLE), None),
    6: ((_PAY, _SHIP, _RECEIVE, _ASK_LATE), None),
    7: ((_PAY, _SHIP, _RECEIVE, _ASK_LATE, _BACK, _ACCEPT), ("accept_return", "pending")),
    8: ((_PAY, ("refund_unshipped", "system", 5, 6, True)), ("refund_unshipped", "confirmed")),
    9: ((("cancel", "buyer", 1, 6, True),), ("paid_after_close", "pending")),
    10: ((_PAY, _SHIP, _RECEIVE, _ASK_LATE, _BACK, ("resolve_for_seller", "staff", 3, 9, True)), None),
    11: ((_PAY, _SHIP, _RECEIVE, _ASK_LATE, ("withdraw_refund", "buyer", 3, 8, False)), None),
    12: ((_PAY, ("request_refund", "buyer", 4, 6, False)), None),
}


def fill(connection: psycopg.Connection) -> None:
    """Users, goods, and the orders above, as the first revision has them."""
    for user_id in (SELLER, BUYER):
        connection.execute(
            "INSERT INTO users (id, username, username_key, password_hash, bio, is_staff, created_at) "
            "VALUES (%s, %s, %s, '', '', false, %s)",
            (user_id, f"user{user_id}", f"user{user_id}", BEGIN),
        )
    for number, (steps, refund) in ORDERS.items():
        connection.execute(
            "INSERT INTO goods (id, owner_id, title, description, price, freight, category, trade_mode, status, "
            "deleted, revision, created_at, updated_at) VALUES (%s, %s, '', '', 1500, 0, 1, 7, 3, false, 1, %s, %s)",
            (number, SELLER, BEGIN, BEGIN),
        )
        lines = [("buy", "buyer", 1, 6, False), *steps]
        _, _, bill, goods, closed = lines[-1]
        connection.execute(
            "INSERT INTO orders (id, order_no, good_id, buyer_id, seller_id, good_title, price, freight, amount, "
            "trade_mode, bill_status, order_status, closed, history_length, refund_count, hidden_by_buyer, "
            "hidden_by_seller, phase_since, created_at, updated_at) VALUES (%s, %s, %s, %s, %s, '', 1500, 0, 1500, 7, "
            "%s, %s, %s, %s, 0, false, false, %s, %s, %s)",
            (number, f"no{number}", number, BUYER, SELLER, bill, goods, closed, len(lines), BEGIN, BEGIN, BEGIN),
        )
        before: tuple[int | None, int | None] = (None, None)
        for sequence, (event, role, to_bill, to_order, is_closed) in enumerate(lines, 1):
            connection.execute(
                "INSERT INTO order_events (order_id, sequence, event, role, from_bill, from_order, to_bill, to_order, "
                "closed, note, at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, '', %s)",
                (
                    *(number, sequence, event, role, *before, to_bill, to_order, is_closed),
                    BEGIN + timedelta(minutes=sequence),
                ),
            )
            before = (to_bill, to_order)
        if _PAY in steps or refund:
            connection.execute(
                "INSERT INTO payments (id, order_id, out_trade_no, amount, trade_no, paid_at, created_at) "
                "VALUES (%s, %s, %s, 1500, %s, %s, %s)",
                (number, number, f"no{number}", f"t{number}", BEGIN + timedelta(minutes=5), BEGIN),
            )
        if refund:
            reason, state = refund
            confirmed = BEGIN + timedelta(hours=1) if state == "confirmed" else None
            connection.execute(
                "INSERT INTO refunds (id, payment_id, request_no, amount, reason, state, attempts, confirmed_at, "
                "created_at) VALUES (%s, %s, %s, 1500, %s, %s, 0, %s, %s)",
                (number, number, f"r{number}", reason, state, confirmed, BEGIN),
            )


@pytest.fixture
def old(environment: dict[str, str]) -> Iterator[tuple[Flask, psycopg.Connection]]:
    """An application on a database as issue 2 left it, with orders, and a connection to that."""
    server = make_url(environment["DATABASE_URL"])
    url = server.set(database=f"{server.database}_opening")
    admin = environment["DATABASE_URL"].replace("postgresql+psycopg://", "postgresql://", 1)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {url.database}")
        full_url = url.render_as_string(hide_password=False)
        plain = full_url.replace("postgresql+psycopg://", "postgresql://", 1)
        try:
            with running_app(load_settings(environment | {"DATABASE_URL": full_url})) as application:
                with application.app_context():
                    flask_migrate.upgrade(revision="0001")
                with psycopg.connect(plain, autocommit=True) as inside:
                    fill(inside)
                    yield application, inside
        finally:
            connection.execute(f"DROP DATABASE {url.database} WITH (FORCE)")


def test_every_order_is_posted_as_its_history_tells(old: tuple[Flask, psycopg.Connection]) -> None:
    application, connection = old
    with application.app_context():
        flask_migrate.upgrade(revision="0002")
    accounts = connection.execute(
        "SELECT kind, user_id, slot, balance FROM ledger_accounts WHERE balance > 0 ORDER BY kind, slot"
    ).fetchall()
    assert accounts == [
        ("escrow", None, 3, AMOUNT),
        ("escrow", None, 6, AMOUNT),
        ("escrow", None, 12, AMOUNT),
        *(("gateway_clearing", None, slot, AMOUNT) for slot in (3, 4, 5, 6, 7, 9, 10, 11, 12)),
        ("refund_clearing", None, 7, AMOUNT),
        ("refund_clearing", None, 9, AMOUNT),
        ("seller_available", SELLER, 0, 2 * AMOUNT),
        ("seller_held", SELLER, 0, 2 * AMOUNT),
    ]
    keys = [row[0] for row in connection.execute("SELECT key FROM ledger_transactions ORDER BY key")]
    assert keys == sorted(
        [
            *("order:3:2:pay", "order:4:2:pay", "order:4:4:receive"),
            *("order:5:2:pay", "order:5:4:receive", "order:5:5:settle"),
            *("order:6:2:pay", "order:6:4:receive", "order:6:5:request_refund"),
            *("order:7:2:pay", "order:7:4:receive", "order:7:5:request_refund", "order:7:7:accept_return"),
            *("order:8:2:pay", "order:8:3:refund_unshipped", "refund:8"),
            "payment:9:late",
            *("order:10:2:pay", "order:10:4:receive", "order:10:5:request_refund", "order:10:7:resolve_for_seller"),
            *("order:11:2:pay", "order:11:4:receive", "order:11:5:request_refund", "order:11:6:withdraw_refund"),
            "order:12:2:pay",
        ]
    )
    life = connection.execute(
        "SELECT posting.kind, posting.at, account.kind, entry.amount FROM ledger_entries AS entry "
        "JOIN ledger_transactions AS posting ON posting.id = entry.transaction_id "
        "JOIN ledger_accounts AS account ON account.id = entry.account_id WHERE posting.order_id = 8 ORDER BY entry.id"
    ).fetchall()
    minute, hour = timedelta(minutes=1), timedelta(hours=1)
    assert life == [
        ("pay", BEGIN + 2 * minute, "gateway_clearing", AMOUNT),
        ("pay", BEGIN + 2 * minute, "escrow", -AMOUNT),
        ("refund_unshipped", BEGIN + 3 * minute, "escrow", AMOUNT),
        ("refund_unshipped", BEGIN + 3 * minute, "refund_clearing", -AMOUNT),
        ("refund_confirmed", BEGIN + hour, "refund_clearing", AMOUNT),
        ("refund_confirmed", BEGIN + hour, "gateway_clearing", -AMOUNT),
    ]
    broken = connection.execute(
        "SELECT id FROM (SELECT entry.*, account.kind, lag(balance_after, 1, 0::bigint) "
        "OVER (PARTITION BY account_id ORDER BY entry.id) AS before FROM ledger_entries AS entry "
        "JOIN ledger_accounts AS account ON account.id = entry.account_id) AS link "
        "WHERE balance_after <> before + CASE kind WHEN 'gateway_clearing' THEN amount ELSE -amount END"
    ).fetchall()
    assert broken == []
    times = [row[0] for row in connection.execute("SELECT at FROM ledger_transactions ORDER BY id")]
    assert times == sorted(times)


def test_up_to_the_newest_the_books_and_histories_are_whole(old: tuple[Flask, psycopg.Connection]) -> None:
    application, connection = old
    with application.app_context():
        flask_migrate.upgrade()
        assert list(audit()) == []
        assert [verify(export(f"no{number}")) for number in ORDERS] == [[]] * len(ORDERS)
    # Every open order has its deadline, every refund that is not confirmed its message.
    assert connection.execute("SELECT id FROM orders WHERE closed <> (deadline_at IS NULL)").fetchall() == []
    # What is overdue gets a day, because nothing acted on deadlines before; only an unpaid order expires at once.
    (unpaid,) = connection.execute("SELECT deadline_at - phase_since FROM orders WHERE id = 1").fetchone()
    assert unpaid == timedelta(minutes=30)
    left = connection.execute("SELECT id, deadline_at - now() FROM orders WHERE NOT closed AND id > 1 ORDER BY id")
    given = dict(left.fetchall())
    assert list(given) == [3, 4, 6, 11, 12]
    assert all(timedelta(hours=23) < each <= timedelta(days=1) for each in given.values())
    owed = connection.execute("SELECT topic, subject_id, stream FROM outbox ORDER BY id").fetchall()
    assert owed == [("payment_refund", 7, "payment:7"), ("payment_refund", 9, "payment:9")]
    states = connection.execute("SELECT DISTINCT state, query_at IS NULL FROM payments").fetchall()
    assert states == [("paid", True)]


def test_goods_to_be_handed_over_have_a_code(old: tuple[Flask, psycopg.Connection]) -> None:
    application, connection = old
    # 3 and 12 are paid; of 12 the buyer has asked for the money back, and may take that back.
    connection.execute("UPDATE orders SET trade_mode = 6 WHERE id IN (1, 3, 4, 12)")
    with application.app_context():
        flask_migrate.upgrade()
    codes = dict(connection.execute("SELECT id, handover_code FROM orders WHERE handover_code IS NOT NULL").fetchall())
    assert sorted(codes) == [3, 12]
    assert all(len(code) == 6 and code.isdecimal() for code in codes.values())


def test_back_and_forth_again(old: tuple[Flask, psycopg.Connection]) -> None:
    application, connection = old
    with application.app_context():
        flask_migrate.upgrade(revision="0002")
        flask_migrate.downgrade(revision="0001")
        assert connection.execute("SELECT count(*) FROM order_events").fetchone() == (47,)
        flask_migrate.upgrade(revision="0002")
    assert connection.execute("SELECT count(*) FROM ledger_transactions").fetchone() == (26,)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE orders SET bill_status = 3, order_status = 8 WHERE id = 3",
        "DELETE FROM order_events WHERE order_id = 3 AND sequence = 1",
        "DELETE FROM order_events WHERE order_id = 3",
    ],
)
def test_no_ledger_on_a_broken_history(old: tuple[Flask, psycopg.Connection], statement: str) -> None:
    application, connection = old
    connection.execute(statement)
    with application.app_context(), pytest.raises(Exception, match=r"these orders do not stand .*: no3"):
        flask_migrate.upgrade(revision="0002")
    assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
    assert connection.execute("SELECT to_regclass('ledger_accounts')").fetchone() == (None,)
