"""The engines of the application, and what an engine is: something that finds goods by words, from data of its own.

What a query means, which goods match it, how they score, in which order they stand and what the facets count is the
same for all engines: `app.search.engine` and `app.search.snapshot` do that with the postings that an engine gives.
"""

import hashlib
from collections.abc import Sequence
from typing import Protocol

from flask import current_app
from sqlalchemy import Engine as Database
from sqlalchemy import text

from app.db.transactions import rows
from app.language.analysis import Analyser
from app.language.service import analyser
from app.search.index import SearchIndex
from app.search.postgres.engine import PostgresEngine, search_database
from app.search.snapshot import Selection, Snapshot
from app.settings import settings
from config import SearchEngine


class Engine(Protocol):
    """One engine's data, for any number of threads."""

    @property
    def analyser(self) -> Analyser:
        """What its goods were analysed with, so that queries are, too."""

    def snapshot(self, selection: Selection) -> Snapshot:
        """Its newest state, or one hardly older, for one search that will show `selection`.

        Raises `IndexMissing`, `IndexForeign` and `IndexDamaged` where there is nothing to read.
        """

    def hide(self, good_ids: Sequence[int]) -> None:
        """Leave these goods out until its data has caught up: the database says that they are no longer for sale."""


def search_index() -> SearchIndex:
    """The application's Whoosh index; opened when first used, and so after any fork."""
    extensions = current_app.extensions
    if "saltfish.search" not in extensions:
        path = settings().search_index_path
        extensions["saltfish.search"] = SearchIndex(path, owner=_market(), analyser=analyser())
    index: SearchIndex = extensions["saltfish.search"]
    return index


def postgres_engine() -> PostgresEngine:
    """The application's PostgreSQL engine; made when first used, and so after any fork."""
    extensions = current_app.extensions
    if "saltfish.search.postgres" not in extensions:
        replica = settings().database_replica_url
        extensions["saltfish.search.postgres"] = PostgresEngine(
            _database(settings().database_url),
            replica=_database(replica) if replica else None,
            analyser=analyser(),
        )
    engine: PostgresEngine = extensions["saltfish.search.postgres"]
    return engine


def _database(url: str) -> Database:
    return search_database(
        url, pool_size=settings().database_pool_size, statement_timeout=settings().database_statement_timeout
    )


_IDENTITY = text(
    "SELECT concat(system_identifier, '/', oid) FROM pg_control_system(), pg_database "
    "WHERE datname = current_database()"
)


def _market() -> str:
    """What tells this market from others: a hash of its database's identity, which another cluster has not."""
    [identity] = rows(_IDENTITY)
    return hashlib.sha256(identity[0].encode()).hexdigest()[:12]


def chosen() -> Engine:
    """The engine that `SEARCH_ENGINE` names."""
    return search_index() if settings().search_engine is SearchEngine.WHOOSH else postgres_engine()
