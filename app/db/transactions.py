"""Transactions and reads.

Leaving a `transaction()` block cleanly commits, raising rolls back. A block inside another one joins it, so a
service may call a service; only the outermost block commits. A request with an `Idempotency-Key` is such an outermost
block around everything its view does (`app.web.idempotency`). So whoever catches the error of a joined block, or of
a statement inside one, must have wrapped it in `session.begin_nested()`: what came before it would be committed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from flask import current_app
from sqlalchemy import Connection, Engine, Executable, Row
from sqlalchemy.orm import Session

from app.db.database import db

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
    """A connection for reads: each statement sees what is committed when it starts.

    Inside a `transaction()` block it is the block's own and sees also what the block wrote; elsewhere it is in no
    transaction, which saves the round trips of BEGIN and ROLLBACK: they cost more than a primary-key read.
    """
    session = _open_session()
    if session is None:
        with autocommit_connection() as connection:
            yield connection
    else:
        session.flush()
        yield session.connection()


@contextmanager
def autocommit_connection() -> Iterator[Connection]:
    """A connection that commits each statement at once and never joins: for counters that must outlive a rollback.

    It takes a second connection of the pool, and waits in vain for rows that the block around it has locked.
    """
    engine: Engine = current_app.extensions["saltfish.read_engine"]
    with engine.connect() as connection:
        yield connection


@contextmanager
def independent_transaction() -> Iterator[None]:
    """Transactions in the block join none around it: for facts that must outlive its rollback.

    What the gateway did stays done, for instance, though the request that asked for it is refused. As
    `autocommit_connection`, it takes a second connection and must not want rows that the block around it has locked.
    """
    # A session belongs to its application context (Flask-SQLAlchemy).
    with current_app.app_context():
        yield


def _open_session() -> Session | None:
    """The session of the `transaction()` block around the caller."""
    # Most reads have no session yet, and making one costs more than to ask.
    if not db.session.registry.has():
        return None
    session = db.session()
    return session if session.info.get(_JOINED) else None


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
