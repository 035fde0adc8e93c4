"""The engine's tables in a schema of their own, for as long as a block lasts: for evaluations, benchmarks, tests."""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, insert
from sqlalchemy.schema import CreateIndex, CreateSchema, CreateTable, DropSchema

from app.db.columns import Base
from app.language.analysis import Analyser
from app.search.documents import Document
from app.search.postgres.documents import FORMAT, write
from app.search.postgres.engine import PostgresEngine, search_database
from app.search.postgres.models import SearchDocument, SearchState, SearchWord
from app.search.postgres.statistics import count

_TABLES = [Base.metadata.tables[model.__tablename__] for model in (SearchDocument, SearchWord, SearchState)]


@contextmanager
def temporary_engine(
    url: str, batches: Iterable[Sequence[Document]], *, analyser: Analyser
) -> Iterator[PostgresEngine]:
    """An engine over the documents of `batches` in the database at `url`, which is left as it was."""
    schema = f"search_{secrets.token_hex(6)}"
    database = search_database(url, pool_size=4, statement_timeout=0, options=f"-c search_path={schema}")
    try:
        with database.connect() as connection:
            connection.execute(CreateSchema(schema))
            make_tables(connection, analyser, batches)
        yield PostgresEngine(database, analyser=analyser)
    finally:
        database.dispose()  # the server may have ended its connections meanwhile
        with database.connect() as connection:
            connection.execute(DropSchema(schema, cascade=True, if_exists=True))
        database.dispose()


def make_tables(connection: Connection, analyser: Analyser, batches: Iterable[Sequence[Document]]) -> None:
    """Create the tables where the connection's `search_path` says, with the documents, and count the words."""
    for table in _TABLES:
        connection.execute(CreateTable(table, include_foreign_key_constraints=[]))
    for batch in batches:
        write(connection, analyser, batch)
    for table in _TABLES:
        for index in table.indexes:  # built at once, which takes less time
            connection.execute(CreateIndex(index))
    connection.execute(insert(SearchState).values(format=FORMAT))
    count(connection)
    connection.exec_driver_sql("VACUUM ANALYZE search_documents")
