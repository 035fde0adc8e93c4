"""Transactions and reads.

Leaving a `transaction()` block cleanly commits, raising rolls back. A block inside another one joins it, so a
service may call a service; only the outermost block commits.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from flask import current_app
from sqlalchemy import Connection, Engine, Executable, Row
from sqlalchemy.orm import Session

from app.extensions import db

_JOINED = "saltfish_transaction"


@contextmanager
def transaction() -> Iterator[Session]:
    """A database transaction around the block; yields its session."""
    session = db.session()
    if session.info.get(_JOINED):
        yield session
        return
    # Reads before the block may have opened a transaction with an older snapshot; locks need a fresh one.
    session.rollback()
    session.info[_JOINED] = True
    try:
        yield session
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        session.info.pop(_JOINED, None)


@contextmanager
def reading() -> Iterator[Connection]:
    """A connection for reads outside any transaction: each statement sees what is committed when it starts.

    Saves the round trips of BEGIN and ROLLBACK, which cost more than a primary-key read.
    """
    engine: Engine = current_app.extensions["saltfish.read_engine"]
    with engine.connect() as connection:
        yield connection


def rows(statement: Executable, parameters: dict[str, Any] | None = None) -> Sequence[Row[Any]]:
    """All rows of one read."""
    with reading() as connection:
        return connection.execute(statement, parameters).all()


def row_or_none(statement: Executable, parameters: dict[str, Any] | None = None) -> Row[Any] | None:
    """The first row of one read, or None."""
    with reading() as connection:
        return connection.execute(statement, parameters).first()


def read_engine(engine: Engine) -> Engine:
    """`engine` in autocommit, sharing its pool."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")
