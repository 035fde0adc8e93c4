"""Searches for goods, and keeps the index up to date with the database."""

import math
from collections.abc import Callable, Collection
from typing import Final, TypeVar

import structlog
from flask import current_app
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.answers import Answer, Refused
from app.db.database import db
from app.db.transactions import transaction
from app.fen import parse_yuan
from app.goods.models import Good
from app.goods.queries import goods_by_ids, public_good
from app.goods.schemas import GoodOut
from app.language.service import analyser
from app.language.spelling import SpellingIndex
from app.language.vocabulary import Vocabulary
from app.outbox.models import OutboxMessage, Topic
from app.outbox.service import complete, lock_due
from app.refreshed import Refreshed
from app.search.documents import Document, tokens_of
from app.search.engine import SearchHits, search
from app.search.engines import Engine, postgres_engine, search_index
from app.search.errors import IndexBusy, IndexDamaged, IndexForeign, IndexMissing
from app.search.goods_for_sale import all_for_sale, changes_of, count_for_sale, document_of, is_for_sale
from app.search.index import SearchIndex, Status
from app.search.postgres.documents import remove, write
from app.search.postgres.filling import begin_anew, count_words, fill
from app.search.results import FoundGood, Results
from app.search.selection import Start
from app.search.similar import Pattern, similar
from app.search.snapshot import Filters, SearchSort
from app.search.understanding import ConstraintName, Understanding
from app.search.understanding.reader import understand
from app.sellers.queries import Standings, read_standings
from app.settings import settings
from config import SearchEngine

log = structlog.get_logger(__name__)

# The search is repeated while its page has goods that are no longer for sale; after so many times they are left out.
_MAX_SEARCHES = 3

# A drain fills PostgreSQL's table for so many seconds, and rests from counting words so many times as long as it takes.
_FILL_SECONDS: Final = 5.0
_COUNT_REST: Final = 50.0

_STANDINGS_FOR: Final = 600.0
"""Seconds for which a process uses what it has read of sellers."""


def understood(query: str) -> Understanding:
    """What a query asks for, whatever is in the index: nothing is corrected."""
    return understand(query, analyser=analyser(), vocabulary=_NO_WORDS)


def load_words() -> None:
    """Read the words of the trade now, so that nobody waits for the second it takes. Needs an application context."""
    understood("手机")


_NO_WORDS = Vocabulary(spelling=SpellingIndex())


def tokens_of_good(good: Document) -> frozenset[str]:
    """The tokens that a good is found by."""
    found = tokens_of(analyser(), good)
    return frozenset(found.title) | frozenset(found.description)


def search_goods(
    *,
    text: str,
    filters: Filters,
    sort: SearchSort,
    start: Start,
    size: int,
    literal: bool = False,
    without: Collection[ConstraintName] = (),
) -> Results:
    """One page of the goods for sale that match `text`; `literal` and `without` as of `understand`.

    The hits of the page are checked against the database: those no longer for sale are neither returned nor counted.
    Raises Refused(NOT_READY) as `_answered`.
    """

    standing_of = _standings().get().of

    def ask(engine: Engine) -> Results:
        for _ in range(_MAX_SEARCHES):
            found = search(
                engine,
                text,
                filters=filters,
                sort=sort,
                start=start,
                size=size,
                standing_of=standing_of,
                literal=literal,
                without=without,
            )
            goods = goods_by_ids(found.page.ids) if found.page.ids else {}
            stale = [good_id for good_id in found.page.ids if good_id not in goods]
            if not stale:
                break
            engine.hide(stale)
        return _results(found, goods, stale=len(stale))

    return _answered(ask)


def similar_goods(*, good_id: int, count: int) -> list[GoodOut]:
    """At most `count` goods for sale that are like a public one, the likest first.

    Raises Refused with NO_SUCH_GOOD for one that not everybody sees, and NOT_READY as `_answered`.
    """
    good = public_good(good_id)
    if good is None:
        raise Refused(Answer.NO_SUCH_GOOD)
    pattern = Pattern(
        good_id=good_id,
        title=good["title"],
        category=good["category"],
        price=parse_yuan(good["price"]),
    )

    def ask(engine: Engine) -> list[GoodOut]:
        # Some more, for those that are sold and still in the index.
        found = similar(engine, pattern, count=2 * count)
        goods = goods_by_ids(found) if found else {}
        return [goods[each] for each in found if each in goods][:count]

    return _answered(ask)


_Answer = TypeVar("_Answer")


def _answered(ask: Callable[[Engine], _Answer]) -> _Answer:
    """What the engine answers. While the Whoosh index cannot be read, PostgreSQL is asked.

    Raises Refused(NOT_READY) where its table is not complete either; but where there is no index yet, what it has is
    the answer.
    """
    other = postgres_engine()
    if settings().search_engine is SearchEngine.POSTGRES:
        return ask(other)
    index = search_index()
    try:
        return ask(index)
    except IndexMissing:
        log.warning("search_index_missing")
        return ask(other)
    except IndexForeign as error:
        log.error("search_index_foreign", reason=str(error))  # noqa: TRY400 - what is to be done stands in it
        reason: Exception = error
    except IndexDamaged as error:
        log.exception("search_index_damaged")
        index.mark_damaged()
        reason = error
    if not other.is_complete():
        raise Refused(Answer.NOT_READY) from reason
    return ask(other)


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
        total_is_exact=found.complete,
        facets=page.facets,
        match=found.match,
        corrected=found.corrected,
        tokens=found.tokens,
        understanding=found.understanding,
        next=page.next,
    )


def drain_outbox(*, limit: int = 200) -> int:
    """Update the Whoosh index for all goods with a SEARCH_INDEX message in the outbox; returns how many there were.

    For the one worker that writes the index. If it is killed between the index's commit and the database's, it repeats
    the same work. A missing or damaged index is rebuilt first; into another market's nothing is written. Where
    PostgreSQL is the engine, there is nothing to update: its table was written with the goods. That table is filled
    here, and its words are counted. Raises `IndexBusy`.
    """
    if settings().search_engine is SearchEngine.POSTGRES:
        drained = _discard_messages(limit=limit)
    else:
        drained = _drain_into_index(limit=limit)
    if fill(analyser(), seconds=_FILL_SECONDS):
        count_words(rest=_COUNT_REST)
    return drained


def _discard_messages(*, limit: int) -> int:
    discarded = 0
    while True:
        with transaction() as session:
            messages = lock_due(session, Topic.SEARCH_INDEX, limit=limit)
            if not messages:
                return discarded
            complete(session, messages)
        discarded += len(messages)


def _drain_into_index(*, limit: int) -> int:
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
                change(changes_of({message.subject_id for message in messages}))
            complete(session, messages)
    if messages:
        log.info("search_index_drained", messages=len(messages))
    return len(messages)


def rebuild(*, progress: Callable[[int, int], None] | None = None, take_over: bool = False) -> int:
    """Build a new index from the database and switch to it; returns the number of goods in it.

    Search and the drain go on meanwhile. `progress` is called with the number of goods done and the total. Raises
    `IndexBusy` when another rebuild runs; `IndexForeign` where the folder holds another market's index, unless
    `take_over`.
    """
    return search_index().rebuild(all_for_sale(progress), reload=changes_of, take_over=take_over)


def rebuild_postgres(*, progress: Callable[[int, int], None] | None = None) -> int:
    """Write every good into PostgreSQL's table again and count the words; returns how many goods are in it.

    Search and the goods' own changes go on meanwhile. Raises `IndexBusy` when another process fills the table.
    """
    begin_anew()
    total, finished = count_for_sale(), 0

    def report(goods: int) -> None:
        nonlocal finished
        finished += goods
        if progress is not None:
            progress(finished, max(total, finished))

    if not (fill(analyser(), seconds=math.inf, progress=report) and count_words()):
        raise IndexBusy("search_documents")
    return finished


def write_at_commit(session: Session, goods: Collection[Good]) -> None:
    """Let PostgreSQL's table hold these goods as they are in `session`, those for sale, and no others of them."""
    session.flush()
    for_sale = [document_of(good) for good in goods if is_for_sale(good)]
    write(session, analyser(), for_sale)
    remove(session, {good.id for good in goods} - {document.good_id for document in for_sale})


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
