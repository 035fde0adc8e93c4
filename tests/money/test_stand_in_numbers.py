"""Refunds without a number that a bill had before two in the same second counted as two: they keep counting once."""

from collections.abc import Iterator
from typing import Any

import flask_migrate
import psycopg
import pytest
from psycopg.types.json import Jsonb
from sqlalchemy import make_url

from config import load_settings
from tests.applications import running_app
from tests.ledger.test_opening import BEGIN, fill

BEFORE, AFTER = "0018", "0019"
FIRST, SECOND = "2026-11-29T22:00:01+08:00", "2026-11-29T22:00:02+08:00"
# By payment: numbers as the version before has them, and as they are after. Payment 5 was compared by both versions.
OLD = {
    3: {FIRST: 4000, SECOND: 4000, "CONSOLE1": 3000, f"{FIRST}Z": 1, "2026-11-29": 2},
    4: {FIRST: 700},
    5: {FIRST: 4000, f"{FIRST} 4000": 4000, f"{FIRST} 3000": 3000},
}
NEW = {
    3: {f"{FIRST} 4000": 4000, f"{SECOND} 4000": 4000, "CONSOLE1": 3000, f"{FIRST}Z": 1, "2026-11-29": 2},
    4: {f"{FIRST} 700": 700},
    5: {f"{FIRST} 4000": 4000, f"{FIRST} 3000": 3000},
}
# Two of one second are kept apart.
BACK = {3: OLD[3], 4: OLD[4], 5: {FIRST: 3000, f"{FIRST} 4000": 4000}}


@pytest.fixture
def old(environment: dict[str, str]) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a database of the revision before, with paid orders."""
    server = make_url(environment["DATABASE_URL"])
    url = server.set(database=f"{server.database}_numbers").render_as_string(hide_password=False)
    plain = url.replace("postgresql+psycopg://", "postgresql://", 1)
    admin = environment["DATABASE_URL"].replace("postgresql+psycopg://", "postgresql://", 1)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {server.database}_numbers")
        try:
            with (
                running_app(load_settings(environment | {"DATABASE_URL": url})) as application,
                application.app_context(),
                psycopg.connect(plain, autocommit=True) as inside,
            ):
                flask_migrate.upgrade(revision="0001")
                fill(inside)
                flask_migrate.upgrade(revision=BEFORE)
                yield inside
        finally:
            connection.execute(f"DROP DATABASE {server.database}_numbers WITH (FORCE)")


def numbers(connection: psycopg.Connection[Any]) -> tuple[dict[int, dict[str, int]], dict[int, dict[str, Any]]]:
    """Of the rows, by payment, and the details of the cases about second payments."""
    rows: dict[int, dict[str, int]] = {}
    for payment_id, number, amount in connection.execute("SELECT payment_id, number, amount FROM refunds_elsewhere"):
        rows.setdefault(payment_id, {})[number] = amount
    return rows, dict(connection.execute("SELECT payment_id, details FROM money_cases WHERE kind = 'second_payment'"))


def test_numbers_of_refunds_that_have_none_are_those_of_the_same_lines(old: psycopg.Connection[Any]) -> None:
    for payment_id, refunds in OLD.items():
        for number, amount in refunds.items():
            old.execute("INSERT INTO refunds_elsewhere VALUES (%s, %s, %s, %s)", [payment_id, number, amount, BEGIN])
        # Such details are of second payments alone; other cases are left as they are.
        for kind in ("second_payment", "refund_elsewhere"):
            old.execute(
                "INSERT INTO money_cases (kind, key, reason, payment_id, details, opened_at) "
                "VALUES (%s, %s, '', %s, %s, %s)",
                [kind, f"{kind}:{payment_id}", payment_id, Jsonb({"refunded": 9000, "refunds": refunds}), BEGIN],
            )
    old.execute(
        "INSERT INTO money_cases (kind, key, reason, payment_id, details, opened_at) "
        "VALUES ('second_payment', 'second_payment:6', '', 6, '{\"amount\": 1500}', %s)",
        [BEGIN],
    )

    def expected(refunds: dict[int, dict[str, int]]) -> tuple[Any, Any]:
        return refunds, {each: {"refunded": 9000, "refunds": refunds[each]} for each in refunds} | {6: {"amount": 1500}}

    assert numbers(old) == expected(OLD)
    for _ in range(2):
        flask_migrate.upgrade(revision=AFTER)
        assert numbers(old) == expected(NEW)
        flask_migrate.downgrade(revision=BEFORE)
        assert numbers(old) == expected(BACK)
    others = "SELECT details -> 'refunds' FROM money_cases WHERE kind = 'refund_elsewhere' ORDER BY id"
    assert [row[0] for row in old.execute(others)] == list(OLD.values())
