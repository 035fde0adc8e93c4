"""Steps that tests of search share."""

from collections.abc import Sequence
from typing import Any, TypeVar

from flask import Flask
from sqlalchemy import delete, func, select, update

from app.db.database import db
from app.db.transactions import transaction
from app.goods.models import Good
from app.outbox.models import OutboxMessage, Topic
from app.outbox.service import add_message
from app.search.documents import Document
from app.search.engine import SearchHits, search
from app.search.index import Changes, SearchIndex
from app.search.postgres.documents import remove, write
from app.search.postgres.engine import PostgresEngine
from app.search.postgres.models import SearchDocument, SearchState
from app.search.postgres.statistics import count
from app.search.selection import Start
from app.search.snapshot import Filters, SearchSort
from tests.factories import Made, make_good, make_user


def document(good_id: int, title: str, description: str = "", **values: Any) -> Document:
    """A good as the index knows it; later ids are newer and dearer."""
    defaults = {"category": 1, "price": 1000 * good_id, "published": good_id, "trade_mode": 7}
    return Document(good_id=good_id, title=title, description=description, **(defaults | values))


def no_changes(_ids: Sequence[int]) -> Changes:
    """Nothing changed during the rebuild."""
    return Changes([], [])


TestedEngine = SearchIndex | PostgresEngine
_Tested = TypeVar("_Tested", SearchIndex, PostgresEngine, TestedEngine)


def filled(engine: _Tested, *documents: Document) -> _Tested:
    """`engine`, with `documents` and nothing else."""
    if isinstance(engine, SearchIndex):
        engine.rebuild([documents], reload=no_changes)
        return engine
    with engine._databases[0].connect() as connection:
        connection.execute(delete(SearchDocument))
        write(connection, engine.analyser, documents)
        connection.execute(update(SearchState).values(counted_at=None))
        count(connection)
    engine._checked_at, engine._hidden = -engine._check_every, {}
    return engine


def written(engine: TestedEngine, documents: Sequence[Document] = (), gone: Sequence[int] = ()) -> None:
    """One commit to the engine's data."""
    if isinstance(engine, SearchIndex):
        with engine.writing() as change:
            change(Changes(documents, gone))
        return
    with engine._databases[0].connect() as connection:
        write(connection, engine.analyser, documents)
        remove(connection, gone)


def find(
    engine: TestedEngine,
    text: str,
    *,
    sort: SearchSort = SearchSort.RELEVANCE,
    offset: int = 0,
    size: int = 20,
    **filters: int,
) -> SearchHits:
    """A search with `engine`."""
    return search(engine, text, filters=Filters(**filters), sort=sort, start=Start(offset=offset), size=size)


def ids(engine: TestedEngine, text: str, **options: Any) -> list[int]:
    """The ids of a search, in order."""
    return find(engine, text, **options).page.ids


def release(app: Flask, title: str, *, owner: Made | None = None, **columns: Any) -> Made:
    """A published good with the message that its publication leaves."""
    good = make_good(app, owner or make_user(app), title=title, **columns)
    announce(app, good.id)
    return good


def announce(app: Flask, good_id: int) -> None:
    """Leave the message that the good changed."""
    with app.app_context(), transaction() as session:
        add_message(session, Topic.SEARCH_INDEX, good_id)


def change_good(app: Flask, good: Made, **columns: Any) -> None:
    """Change the good's row without a word to the index."""
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Good).where(Good.id == good.id).values(**columns))


def waiting(app: Flask) -> int:
    """Messages in the outbox."""
    with app.app_context(), db.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(OutboxMessage)).scalar_one()
