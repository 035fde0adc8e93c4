"""The application inside the tests' own process: made on stores, emptied, closed."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from flask import Flask
from sqlalchemy import delete, exists, select, text

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


_ADVANCED = "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL"


def empty_stores(app: Flask, settings: Settings) -> None:
    """Empty every table and the Valkey number of `app`."""
    with app.app_context(), db.engine.begin() as connection:
        # The ledger and the histories refuse to be emptied; only a superuser of the database may leave triggers out.
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        tables = db.metadata.sorted_tables
        used = connection.execute(select(*(exists().select_from(table) for table in tables))).one()
        # Most tests use a few tables: to truncate all of them takes much longer.
        for table, has_rows in zip(tables, used, strict=True):
            if has_rows:
                connection.execute(delete(table))
        for (sequence,) in connection.execute(text(_ADVANCED)).all():
            connection.execute(text(f"ALTER SEQUENCE {sequence} RESTART"))
    with redis.Redis.from_url(settings.redis_url) as valkey:
        valkey.flushdb()
