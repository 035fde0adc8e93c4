"""Database transactions and reads.

A `transaction()` block commits when it ends normally and rolls back when it raises. A block inside another one joins
it, so that a service may call a service; only the outermost block commits. For a request with an `Idempotency-Key`,
the outermost block surrounds everything the view does (`app.web.idempotency`).

Code that catches an error raised by a joined block, or by a statement inside one, must wrap that part in
`session.begin_nested()`: otherwise the outer block commits what the failed part had done before the error.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from flask import current_app
from sqlalchemy import Connection, Engine, Executable, Row
from sqlalchemy.orm import Session

from app.db.database import db

_JOINED = "saltfish_transaction"
_AFTER_COMMIT = "saltfish_after_commit"
_BEFORE_COMMIT = "saltfish_before_commit"

BeforeCommit = Callable[[Session, Collection[Any]], None]
"""Work on objects of the session that a transaction does last."""


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
    actions: list[Callable[[], None]] = []
    session.info[_AFTER_COMMIT] = actions
    last: dict[BeforeCommit, dict[int, Any]] = {}
    session.info[_BEFORE_COMMIT] = last
    try:
        yield session
        for work, subjects in last.items():
            work(session, subjects.values())
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        session.info.pop(_JOINED, None)
        session.info.pop(_AFTER_COMMIT, None)
        session.info.pop(_BEFORE_COMMIT, None)
    for action in actions:
        action()


def before_commit(session: Session, work: BeforeCommit, subject: Any) -> None:
    """Let the outermost `transaction()` block of `session` do `work` last, once for all objects that it is given."""
    session.info[_BEFORE_COMMIT].setdefault(work, {})[id(subject)] = subject


def after_commit(session: Session, action: Callable[[], None]) -> None:
    """Do `action` when the outermost `transaction()` block of `session` has committed, and not where it rolls back.

    It may be lost with the process: what must happen is a message of the outbox. It must not raise.
    """
    session.info[_AFTER_COMMIT].append(action)


@contextmanager
def reading() -> Iterator[Connection]:
    """A connection for reads: each statement sees what is committed when it starts.

    Inside a `transaction()` block it is the block's own connection and also sees what the block wrote. Elsewhere it is
    in autocommit mode, which saves the round trips of BEGIN and ROLLBACK: they cost more than a primary-key read.
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
    """A connection that commits each statement at once, whatever block is around it: for counters that must survive
    a rollback.

    It takes a second connection from the pool, so it must not touch rows that the block around it has locked: it would
    wait for them until the lock timeout.
    """
    engine: Engine = current_app.extensions["saltfish.read_engine"]
    with engine.connect() as connection:
        yield connection


@contextmanager
def independent_transaction() -> Iterator[None]:
    """Transactions inside this block do not join one around it: for facts that must survive the outer rollback.

    What the payment gateway has done, for instance, must be recorded even if the request that asked for it is refused.
    Like `autocommit_connection`, it takes a second connection and must not touch rows that the outer block has locked.
    """
    # Flask-SQLAlchemy keeps one session per application context: a new context has a new session.
    with current_app.app_context():
        yield


def _open_session() -> Session | None:
    """The session of the `transaction()` block around the caller."""
    # Most reads have no session yet, and checking for one is cheaper than making one.
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
    """`engine` in autocommit mode, with the same connection pool."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")
