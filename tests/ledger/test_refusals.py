"""What the database itself refuses: changed, deleted, emptied, unbalanced."""

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.db.database import db
from tests.ledger.steps import ESCROW, GATEWAY, Transfer, post_now, posting
from tests.ledger.test_post import ledger

RESTRICTED, UNBALANCED = "23001", "23514"
ENTRY = "INSERT INTO ledger_entries (transaction_id, account_id, amount, balance_after)"
TRANSACTION = "INSERT INTO ledger_transactions (key, kind, at) VALUES ('forged', 'forged', now())"
MADE = f"WITH made AS ({TRANSACTION} RETURNING id) {ENTRY}"


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("UPDATE ledger_transactions SET kind = 'other'", RESTRICTED),
        ("DELETE FROM ledger_transactions", RESTRICTED),
        ("TRUNCATE ledger_transactions CASCADE", RESTRICTED),
        ("UPDATE ledger_entries SET amount = amount + 1", RESTRICTED),
        ("DELETE FROM ledger_entries", RESTRICTED),
        ("TRUNCATE ledger_entries", RESTRICTED),
        ("DELETE FROM ledger_accounts", RESTRICTED),
        ("TRUNCATE ledger_accounts CASCADE", RESTRICTED),
        ("UPDATE ledger_accounts SET kind = 'platform_fee'", RESTRICTED),
        ("UPDATE ledger_accounts SET slot = 1", RESTRICTED),
        ("UPDATE ledger_accounts SET user_id = NULL", RESTRICTED),
        ("UPDATE ledger_accounts SET balance = -1", UNBALANCED),
        ("INSERT INTO ledger_accounts (kind, slot, balance) VALUES ('escrow', 16, 0)", UNBALANCED),
        ("INSERT INTO ledger_accounts (kind, slot, balance) VALUES ('seller_held', 0, 0)", UNBALANCED),
        ("INSERT INTO ledger_accounts (kind, slot, balance) VALUES ('till', 0, 0)", UNBALANCED),
        ("INSERT INTO ledger_accounts (kind, slot, balance) VALUES ('escrow', 0, 0)", "23505"),
        (TRANSACTION, UNBALANCED),
        (f"{MADE} SELECT id, 1, 5, 5 FROM made", UNBALANCED),  # noqa: S608 - put together from constants
        (
            f"{MADE} SELECT id, part.*, 5 FROM made, (VALUES (1, 5), (2, -4)) AS part",  # noqa: S608 - as above
            UNBALANCED,
        ),
        (f"{ENTRY} VALUES (1, 1, 5, 5)", UNBALANCED),
        (f"{ENTRY} VALUES (1, 1, 0, 5)", UNBALANCED),
    ],
)
def test_refused(context: Flask, statement: str, sqlstate: str) -> None:
    post_now(posting(Transfer(GATEWAY, ESCROW, 100)))
    before = ledger()
    # The balance of a transaction is looked at when it is committed.
    with pytest.raises(DBAPIError) as refused, db.engine.begin() as connection:
        connection.execute(text(statement))
    assert refused.value.orig.sqlstate == sqlstate  # type: ignore[union-attr] # psycopg's error
    assert ledger() == before


def test_a_balanced_one_is_taken(context: Flask) -> None:
    post_now(posting(Transfer(GATEWAY, ESCROW, 100)))
    with db.engine.begin() as connection:
        connection.execute(text(TRANSACTION))
        connection.execute(text(f"{ENTRY} VALUES (2, 1, 5, 5)"))
        connection.execute(text(f"{ENTRY} VALUES (2, 2, -5, 5)"))
    assert [(row.transaction_id, row.amount) for row in ledger()[2]] == [(1, 100), (1, -100), (2, 5), (2, -5)]
