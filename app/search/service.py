"""Searches for goods, and keeps the index up to date with the database."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import structlog
from flask import current_app
from sqlalchemy import Row, func, select, text

from app.answers import Answer, Refused
from app.db.database import db
from app.db.transactions import row_or_none, rows, transaction
from app.goods.models import Good
from app.goods.queries import goods_by_ids
from app.goods.schemas import GoodOut
from app.language.service import analyser
from app.outbox.models import OutboxMessage, Topic
from app.outbox.service import complete, lock_due
from app.refreshed import Refreshed
from app.search import engine
from app.search.documents import Document
from app.search.engine import SearchHits
from app.search.errors import IndexBusy, IndexDamaged, IndexForeign, IndexMissing
from app.search.index import Changes, SearchIndex, Status
from app.search.query import Query
from app.search.results import FoundGood, Results
from app.search.selection import Start
from app.search.snapshot import Filters, SearchSort
from app.sellers.queries import Standings, read_standings
from app.settings import settings
from statemachine.good import GoodStatus

log = structlog.get_logger(__name__)

# The search is repeated while its page has goods that are no longer for sale; after so many times they are left out.
_MAX_SEARCHES = 3

_REBUILD_BATCH = 1000

_COLUMNS = (
    Good.id,
    Good.title,
    Good.description,
    Good.category,
    Good.price,
    func.coalesce(Good.published_at, Good.updated_at).label("published_at"),
    Good.trade_mode,
    Good.owner_id,
    Good.freight,
)

_FOR_SALE = (Good.status == GoodStatus.PUBLISHED) & ~Good.deleted & ~Good.taken_down

_STANDINGS_FOR: Final = 600.0
"""Seconds for which a process uses what it has read of sellers."""


def search_index() -> SearchIndex:
    """The application's index; opened when first used, and so after any fork."""
    extensions = current_app.extensions
    if "saltfish.search" not in extensions:
        path = settings().search_index_path
        extensions["saltfish.search"] = SearchIndex(path, owner=_market(), analyser=analyser())
    index: SearchIndex = extensions["saltfish.search"]
    return index


def understood(query: str) -> Query:
    """What a query asks for, whatever is in the index."""
    return search_index().parser.parse(query)


_IDENTITY = text(
    "SELECT concat(system_identifier, '/', oid) FROM pg_control_system(), pg_database "
    "WHERE datname = current_database()"
)


def _market() -> str:
    """What tells this market from others: a hash of its database's identity, which another cluster has not."""
    [identity] = rows(_IDENTITY)
    return hashlib.sha256(identity[0].encode()).hexdigest()[:12]


def search_goods(*, text: str, filters: Filters, sort: SearchSort, start: Start, size: int) -> Results:
    """One page of the goods for sale that match `text`.

    The hits of the page are checked against the database: those no longer for sale are neither returned nor counted.
    Without an index nothing is found. Raises Refused(NOT_READY) while the index is damaged, or another market's.
    """
    index = search_index()
    standing_of = _standings().get().of
    try:
        for _ in range(_MAX_SEARCHES):
            found = engine.search(
                index, text, filters=filters, sort=sort, start=start, size=size, standing_of=standing_of
            )
            goods = goods_by_ids(found.page.ids) if found.page.ids else {}
            stale = [good_id for good_id in found.page.ids if good_id not in goods]
            if not stale:
                break
            index.hide(stale)
    except IndexMissing:
        log.warning("search_index_missing")
        return Results()
    except IndexForeign as error:
        log.error("search_index_foreign", reason=str(error))  # noqa: TRY400 - what is to be done stands in it
        raise Refused(Answer.NOT_READY) from error
    except IndexDamaged as error:
        log.exception("search_index_damaged")
        index.mark_damaged()
        raise Refused(Answer.NOT_READY) from error
    return _results(found, goods, stale=len(stale))


def _standings() -> Refreshed[Standings]:
    """How sellers stand, as this process knows it."""
    extensions = current_app.extensions
    if "saltfish.standings" not in extensions:
        extensions["saltfish.standings"] = Refreshed(lambda _: read_standings(), every=_STANDINGS_FOR, name="standings")
    standings: Refreshed[Standings] = extensions["saltfish.standings"]
    return standings


def _results(found: SearchHits, goods: dict[int, GoodOut], *, stale: int) -> Results:
    page = found.page
    return Results(
        goods=[
            FoundGood(good=goods[good_id], full=full)
            for good_id, full in zip(page.ids, page.full, strict=True)
            if good_id in goods
        ],
        total=page.total - stale,
        facets=page.facets,
        match=found.match,
        corrected=found.corrected,
        tokens=found.tokens,
        next=page.next,
    )


def drain_outbox(*, limit: int = 200) -> int:
    """Update the index for all goods with a SEARCH_INDEX message in the outbox; returns the number of messages.

    For the one worker that writes the index. If it is killed between the index's commit and the database's, it repeats
    the same work. A missing or damaged index is rebuilt first; into another market's nothing is written. Raises
    `IndexBusy`.
    """
    index = search_index()
    try:
        index.check()
    except IndexForeign as reason:
        log.error("search_index_foreign", reason=str(reason))  # noqa: TRY400 - what is to be done stands in it
        return 0
    except (IndexMissing, IndexDamaged) as reason:
        log.warning("search_index_needs_rebuild", reason=repr(reason))
        try:
            rebuild()
        except IndexBusy:
            log.info("search_index_rebuild_runs_elsewhere")
            return 0
    drained = 0
    while batch := _drain_batch(index, limit=limit):
        drained += batch
    return drained


def _drain_batch(index: SearchIndex, *, limit: int) -> int:
    with transaction() as session:
        messages = lock_due(session, Topic.SEARCH_INDEX, limit=limit)
        if messages:
            with index.writing() as change:
                change(_changes({message.subject_id for message in messages}))
            complete(session, messages)
    if messages:
        log.info("search_index_drained", messages=len(messages))
    return len(messages)


def _changes(good_ids: Sequence[int] | set[int]) -> Changes:
    """These goods as they are in the database now, as changes to the index."""
    found = rows(select(*_COLUMNS).where(Good.id.in_(good_ids), _FOR_SALE).order_by(Good.id)) if good_ids else []
    documents = [_document(row) for row in found]
    gone = set(good_ids) - {document.good_id for document in documents}
    return Changes(documents, sorted(gone))


def _document(row: Row[tuple[object, ...]]) -> Document:
    return Document(
        good_id=row.id,
        title=row.title,
        description=row.description,
        category=row.category,
        price=row.price,
        published=int(row.published_at.timestamp()),
        trade_mode=row.trade_mode,
        owner=row.owner_id,
        freight=row.freight,
    )


def rebuild(*, progress: Callable[[int, int], None] | None = None, take_over: bool = False) -> int:
    """Build a new index from the database and switch to it; returns the number of goods in it.

    Search and the drain go on meanwhile. `progress` is called with the number of goods done and the total. Raises
    `IndexBusy` when another rebuild runs; `IndexForeign` where the folder holds another market's index, unless
    `take_over`.
    """
    return search_index().rebuild(_goods_for_sale(progress), reload=_changes, take_over=take_over)


def _goods_for_sale(progress: Callable[[int, int], None] | None) -> Iterator[list[Document]]:
    counted = row_or_none(select(func.count()).select_from(Good).where(_FOR_SALE))
    total: int = counted[0] if counted else 0
    finished, last = 0, 0
    statement = select(*_COLUMNS).order_by(Good.id).limit(_REBUILD_BATCH)
    while found := rows(statement.where(_FOR_SALE, Good.id > last)):
        yield [_document(row) for row in found]
        finished, last = finished + len(found), found[-1].id
        if progress is not None:
            progress(finished, max(total, finished))


def status() -> tuple[Status | None, int]:
    """The status of the index (None: there is none) and the number of outbox messages for it.

    Raises `IndexDamaged` and `IndexForeign`.
    """
    waiting = db.session.scalar(
        select(func.count()).select_from(OutboxMessage).where(OutboxMessage.topic == Topic.SEARCH_INDEX.value)
    )
    try:
        return search_index().status(), waiting or 0
    except IndexMissing:
        return None, waiting or 0
