"""The application inside the tests' own process: made on stores, emptied, closed."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from flask import Flask

from app import create_app
from app.db.database import db
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
    app.extensions["valkey"].close()


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


def empty_stores(app: Flask, settings: Settings) -> None:
    """Empty every table and the Valkey number of `app`; ids begin at 1 again."""
    tables = ", ".join(f"'{name}'" for name in db.metadata.tables)
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql(_EMPTY.format(tables=tables))
    with redis.Redis.from_url(settings.redis_url) as valkey:
        valkey.flushdb()
