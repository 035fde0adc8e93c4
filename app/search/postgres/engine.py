"""The PostgreSQL engine: its connections for reading, and the counts of words that all searches of a process share."""

import threading
import time
from collections.abc import Sequence
from typing import Any, Final, Self

import psycopg
import structlog
from sqlalchemy import URL, QueuePool, create_engine
from sqlalchemy import Engine as Database
from sqlalchemy.exc import DBAPIError, OperationalError

from app.language.analysis import Analyser
from app.language.vocabulary import Vocabulary
from app.search.postgres.snapshot import PostgresSnapshot
from app.search.postgres.statistics import Statistics, read_statistics
from app.search.snapshot import Selection

log = structlog.get_logger(__name__)


class _BinaryCursor(psycopg.Cursor[Any]):
    """Gets values as they are: bytes in hexadecimal digits are twice as many."""

    def execute(
        self, query: Any, params: Any = None, *, prepare: bool | None = None, binary: bool | None = True
    ) -> Self:
        """As the driver's, in binary."""
        return super().execute(query, params, prepare=prepare, binary=binary)


_HIDDEN_SECONDS: Final = 2.0
"""For how long a good that is no longer for sale is left out: long enough for the search that saw it, and no longer,
because it may be for sale again."""


def search_database(url: str | URL, *, pool_size: int, statement_timeout: int, options: str = "") -> Database:
    """Connections for searches alone, to the primary or a replica.

    Each query is planned for its own words: a plan for any words reads the whole table for rare ones. And the table is
    read by its indexes: PostgreSQL takes comparing a row with a query of many words for much cheaper than it is.
    """
    return create_engine(
        url,
        poolclass=QueuePool,
        pool_use_lifo=True,
        pool_size=pool_size,
        max_overflow=pool_size,
        hide_parameters=True,
        isolation_level="AUTOCOMMIT",
        connect_args={
            "options": f"-c statement_timeout={statement_timeout}s -c plan_cache_mode=force_custom_plan"
            f" -c enable_seqscan=off -c jit=off -c work_mem=32MB -c timezone=UTC {options}",
            "cursor_factory": _BinaryCursor,
            "connect_timeout": 5,
            "application_name": "saltfish-search",
        },
    )


class PostgresEngine:
    """Searches in the tables of `app.search.postgres`, for any number of threads and hosts."""

    def __init__(
        self,
        primary: Database,
        *,
        analyser: Analyser,
        replica: Database | None = None,
        check_every: float = 5.0,
    ) -> None:
        """`check_every`: seconds until it is asked again whether words were counted anew.

        Reads go to the `replica` where there is one; while that does not answer, to the primary.
        """
        self.analyser = analyser
        self._databases = [primary] if replica is None else [replica, primary]
        self._check_every = check_every
        self._statistics = Statistics()
        self._checked_at = -check_every
        self._checking = threading.Lock()
        self._hidden: dict[int, float] = {}

    def snapshot(self, selection: Selection) -> PostgresSnapshot:
        """What is there now, for one search. Each of its statements sees what is committed when it starts."""
        return PostgresSnapshot(self._read, self._newest_statistics(), selection, hidden=self._hidden_now())

    def vocabulary(self) -> Vocabulary:
        """The words of all titles, as last counted; the first call reads them."""
        return self._newest_statistics().vocabulary

    def hide(self, good_ids: Sequence[int]) -> None:
        """Leave these goods out for a moment, where a replica is read; in the primary they are gone by now."""
        if len(self._databases) == 1:
            return
        until = time.monotonic() + _HIDDEN_SECONDS
        self._hidden = {**self._hidden_now(), **dict.fromkeys(good_ids, until)}

    def is_complete(self) -> bool:
        """Whether the table was filled; where it was not, it is asked again each time."""
        if not self._statistics.complete:
            self._checked_at = -self._check_every
        return self._newest_statistics().complete

    def dispose(self) -> None:
        """Close the connections."""
        for database in self._databases:
            database.dispose()

    def _hidden_now(self) -> dict[int, float]:
        now = time.monotonic()
        return {good_id: until for good_id, until in self._hidden.items() if until > now}

    def _newest_statistics(self) -> Statistics:
        if time.monotonic() - self._checked_at < self._check_every:
            return self._statistics
        # One thread reads them, and the first time all wait for it; later the others go on with the old ones.
        if not self._checking.acquire(blocking=self._statistics.counted_at is None):
            return self._statistics
        try:
            if time.monotonic() - self._checked_at >= self._check_every:
                self._statistics = read_statistics(self._read, self._statistics)
                self._checked_at = time.monotonic()
        finally:
            self._checking.release()
        return self._statistics

    def _read(self, statement: str, parameters: Any = None) -> Sequence[Any]:
        """The rows of one statement, from the first database that answers. Raises SQLAlchemy's errors."""
        for database in self._databases[:-1]:
            try:
                return _rows(database, statement, parameters)
            except OperationalError as error:
                log.warning("search_replica_failed", reason=type(error.orig).__name__)
        return _rows(self._databases[-1], statement, parameters)


def _rows(database: Database, statement: str, parameters: Any) -> Sequence[Any]:
    try:
        return _rows_once(database, statement, parameters)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        # The server ended what had waited in the pool, which makes all of its connections anew now.
        return _rows_once(database, statement, parameters)


def _rows_once(database: Database, statement: str, parameters: Any) -> Sequence[Any]:
    with database.connect() as connection:
        return connection.exec_driver_sql(statement, parameters).all()
