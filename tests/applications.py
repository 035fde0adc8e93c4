"""The application inside the tests' own process: made on stores, emptied, closed."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from flask import Flask

from app import create_app
from app.db.database import db
from app.db.transactions import autocommit_connection
from config import Settings


@contextmanager
def running_app(settings: Settings) -> Iterator[Flask]:
    """The application for `settings`, without an app context; at the end all its connections are closed."""
    app = create_app(settings)
    try:
        yield app
    finally:
        close_app(app)


def close_app(app: Flask) -> None:
    """Close what `app` holds open: this thread's session, the pool of database connections, those to Valkey."""
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    if "saltfish.search.postgres" in app.extensions:
        app.extensions["saltfish.search.postgres"].dispose()
    app.extensions["valkey"].close()
    app.extensions["saltfish.sessions"].close()


_Made = TypeVar("_Made")

# Most tests use a few tables: to truncate all of them takes much longer. And all of it is one round trip.
_EMPTY = """
DO $$
DECLARE name text;
BEGIN
    -- The ledger and the histories refuse to be emptied; only a superuser of the database may leave triggers out.
    SET LOCAL session_replication_role = replica;
    FOREACH name IN ARRAY ARRAY[{tables}] LOOP
        EXECUTE 'DELETE FROM ' || quote_ident(name);
    END LOOP;
    PERFORM setval(sequencename::regclass, start_value, false) FROM pg_sequences
    WHERE schemaname = 'public' AND last_value IS NOT NULL;
END $$"""


def empty_stores(app: Flask) -> None:
    """Empty every table and the Valkey number of `app`; ids begin at 1 again."""
    _execute(app, _empty())
    app.extensions["valkey"].flushdb()


def _empty() -> str:
    return _EMPTY.format(tables=", ".join(f"'{name}'" for name in db.metadata.tables))


def _execute(app: Flask, statements: str) -> Any:
    """Send `statements` in one round trip; the cursor of the last."""
    with app.app_context(), autocommit_connection() as connection:
        # Without parameters the driver takes several statements at once, and a percent sign for what it is.
        driver: Any = connection.connection.driver_connection
        return driver.execute(statements)


# The statements that make a table's rows again, or leave a sequence where it is.
_ROWS = """
    SELECT format('INSERT INTO {table} SELECT * FROM unnest(%L::{table}[])', array_agg(each))
    FROM {table} AS each HAVING count(*) > 0"""
_SEQUENCES = """
    SELECT format('SELECT setval(%L, %s)', sequencename, last_value)
    FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL"""


class KeptContents:
    """What many tests begin with: made once, and from then on put back, which takes a tenth of the time.

    Its moments are those of the first time, so it should live no longer than the tests of one file.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._kept: dict[Hashable, tuple[str, dict[str, tuple[int, bytes]], Any]] = {}

    def begin_with(self, key: Hashable, fill: Callable[[], _Made]) -> _Made:
        """Let the stores hold what they hold after `fill`, and return what it returned the first time.

        `key` says all that the contents depend on; among it what the stores held before `fill`.
        """
        valkey = self._app.extensions["valkey"]
        if key not in self._kept:
            made = fill()
            reads = [*(_ROWS.format(table=table) for table in db.metadata.tables), _SEQUENCES]
            rows = [statement for (statement,) in _execute(self._app, " UNION ALL ".join(reads))]
            values = {name: (max(valkey.pttl(name), 0), valkey.dump(name)) for name in valkey.scan_iter()}
            # Rows come in any order, so nothing may ask who belongs to whom until all are there.
            parts = ["BEGIN", _empty(), "SET LOCAL session_replication_role = replica", *rows, "COMMIT"]
            self._kept[key] = ";".join(parts), values, made
            return made
        statements, values, made = self._kept[key]
        _execute(self._app, statements)
        valkey.flushdb()
        for name, (lifetime, value) in values.items():
            valkey.restore(name, lifetime, value)
        return made
