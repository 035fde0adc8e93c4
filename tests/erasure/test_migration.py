"""Histories and decisions from before the words were kept apart: proved as before, and their words can be erased."""

import copy
from collections.abc import Iterator
from datetime import UTC
from typing import Any

import flask_migrate
import psycopg
import pytest
from flask import Flask
from psycopg import sql
from psycopg.rows import dict_row
from sqlalchemy import make_url

from app.erasure.service import erase_order_words
from app.orders.history import compare, erasures, export, line_hash, verify
from config import load_settings
from tests.applications import running_app
from tests.ledger.test_opening import BEGIN, SELLER, fill

BEFORE, AFTER = "0009", "0010"
WORDS = "加微信 fish2026"
LAST = {"format": "saltfish-order-history/1", "exported_at": "2026-11-20T00:00:00.000000+00:00"}


@pytest.fixture
def old(environment: dict[str, str]) -> Iterator[tuple[Flask, psycopg.Connection[Any]]]:
    """An application on a database of the revision before, where buyers gave reasons, and a connection to that."""
    server = make_url(environment["DATABASE_URL"])
    url = server.set(database=f"{server.database}_words")
    admin = environment["DATABASE_URL"].replace("postgresql+psycopg://", "postgresql://", 1)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {url.database}")
        full_url = url.render_as_string(hide_password=False)
        plain = full_url.replace("postgresql+psycopg://", "postgresql://", 1)
        try:
            with (
                running_app(load_settings(environment | {"DATABASE_URL": full_url})) as application,
                application.app_context(),
                psycopg.connect(plain, autocommit=True) as inside,
            ):
                flask_migrate.upgrade(revision="0001")
                fill(inside)
                inside.execute("UPDATE order_events SET note = %s WHERE event = 'request_refund'", [WORDS])
                flask_migrate.upgrade(revision=BEFORE)
                for number in range(3):
                    inside.execute(
                        "INSERT INTO staff_actions (actor_id, action, subject, subject_id, reason, details, at) "
                        "VALUES (NULL, 'add_staff', 'user', %s, %s, %s, %s)",
                        [SELLER, f"值班 {number}", '{"username": "user1", "kept": 1}', BEGIN],
                    )
                yield application, inside
        finally:
            connection.execute(f"DROP DATABASE {url.database} WITH (FORCE)")


def old_file(connection: psycopg.Connection[Any], order_no: str) -> dict[str, Any]:
    """What `flask order export` wrote before."""
    with connection.cursor(row_factory=dict_row) as cursor:
        lines = cursor.execute(
            "SELECT e.* FROM order_events e JOIN orders o ON o.id = e.order_id WHERE order_no = %s ORDER BY sequence",
            [order_no],
        ).fetchall()
    for line in lines:
        line |= {"order_no": order_no, "at": line["at"].astimezone(UTC).isoformat(timespec="microseconds")}
        for name in ("id", "order_id"):
            del line[name]
    return {**LAST, "order_no": order_no, "lines": lines, "last_hash": lines[-1]["hash"]}


def all_rows(connection: psycopg.Connection[Any], table: str) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(sql.SQL("SELECT * FROM {} ORDER BY id").format(sql.Identifier(table))).fetchall()


Old = tuple[Flask, psycopg.Connection[Any]]


def test_old_histories_are_as_whole_as_they_were(old: Old) -> None:
    _, connection = old
    files = {number: old_file(connection, f"no{number}") for number in range(1, 13)}
    assert {number for number, file in files.items() if verify(file)} == set()
    flask_migrate.upgrade(revision=AFTER)
    for number, file in files.items():
        now = export(f"no{number}")
        assert (verify(now), compare(now), verify(file), compare(file)) == ([], [], [], [])
        assert [line["legacy_hash"] for line in now["lines"]] == [line["hash"] for line in file["lines"]]
        said = [line["words"]["text"] if line["words"] else "" for line in now["lines"]]
        assert said == [line["note"] for line in file["lines"]]
        assert (WORDS in said) == (number in (6, 7, 10, 11, 12))
    with pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute("UPDATE order_events SET role = role")
    with pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute("UPDATE staff_actions SET action = action")


def test_old_words_are_erased_and_the_old_file_is_still_right(old: Old) -> None:
    _, connection = old
    file = old_file(connection, "no7")
    flask_migrate.upgrade(revision=AFTER)
    assert erase_order_words(order_no="no7", by="laowang", why="用户要求") == [5]
    now = export("no7")
    assert (verify(now), compare(now), verify(file), compare(file)) == ([], [], [], [])
    [told] = erasures(now)
    assert told.endswith(" by laowang: 用户要求")
    assert WORDS not in str(now)
    # What the file says, other than its words, is still compared.
    for number, name, other in ((5, "actor_id", 9), (6, "hash", "f" * 64), (5, "previous_hash", "f" * 64)):
        changed = copy.deepcopy(file)
        changed["lines"][number - 1][name] = other
        assert compare(changed) == [f"line {number}: differs from the database"]


def test_what_was_changed_before_is_found_afterwards(old: Old) -> None:
    """The new chain is made of what is there; the old hashes, a part of it, do not let that pass."""
    _, connection = old
    connection.execute("SET session_replication_role = replica")
    connection.execute("UPDATE order_events SET note = '别的' WHERE order_id = 7 AND sequence = 5")
    connection.execute("UPDATE order_events SET actor_id = 2 WHERE order_id = 3 AND sequence = 1")
    connection.execute("RESET session_replication_role")
    flask_migrate.upgrade(revision=AFTER)
    told = "was changed when it still held its words, its legacy hash does not fit"
    assert verify(export("no7")) == [f"line 5: {told}"]
    assert verify(export("no3")) == [f"line 1: {told}"]
    assert verify(export("no6")) == []


def test_a_forged_legacy_hash_is_found(old: Old) -> None:
    flask_migrate.upgrade(revision=AFTER)
    forged = export("no7")
    previous = "0" * 64
    forged["lines"][4]["legacy_hash"] = "e" * 64
    for line in forged["lines"]:
        line["previous_hash"] = previous
        line["hash"] = previous = line_hash({n: v for n, v in line.items() if n not in ("hash", "words")})
    forged["last_hash"] = previous
    told = "was changed when it still held its words, its legacy hash does not fit"
    assert verify(forged) == [f"line 5: {told}", f"line 6: {told}"]
    assert compare(forged) == [f"line {number}: differs from the database" for number in (5, 6, 7)]


def test_back_and_forth_again(old: Old) -> None:
    _, connection = old
    before = {table: all_rows(connection, table) for table in ("order_events", "staff_actions", "orders")}
    for _ in range(2):
        flask_migrate.upgrade(revision=AFTER)
        rows = connection.execute("SELECT count(*), count(salt) FROM erasable_texts").fetchone()
        assert rows == (5 + 3, 5 + 3)
        flask_migrate.downgrade(revision=BEFORE)
    # The names of users are not brought back.
    for action in before["staff_actions"]:
        del action["details"]["username"]
    assert {table: all_rows(connection, table) for table in before} == before


def test_what_was_erased_is_told_after_going_back(old: Old) -> None:
    _, connection = old
    flask_migrate.upgrade(revision=AFTER)
    erase_order_words(order_no="no7", by="laowang", why="用户要求")
    flask_migrate.downgrade(revision=BEFORE)
    file = old_file(connection, "no7")
    assert [line["note"] for line in file["lines"]].count("[内容已删除]") == 1
    assert verify(file) == []
