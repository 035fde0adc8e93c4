"""Whether the engines can answer, and whether they hold what is for sale."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sqlalchemy import func, select

from app.db.transactions import row_or_none, rows
from app.goods.models import Good
from app.outbox.models import OutboxMessage, Topic
from app.search.engines import postgres_engine, search_index
from app.search.errors import IndexDamaged, IndexForeign, IndexMissing
from app.search.goods_for_sale import FOR_SALE
from app.search.postgres.documents import FORMAT
from app.search.postgres.models import SearchDocument
from app.settings import settings
from config import SearchEngine


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCheck:
    """What an engine holds beside what is for sale. `fault` is why it cannot be read at all."""

    engine: SearchEngine
    goods: int = 0
    fault: str = ""
    missing: tuple[int, ...] = ()
    """Goods for sale that it does not have."""
    extra: tuple[int, ...] = ()
    """Goods that it has and that are not for sale."""
    priced_otherwise: tuple[int, ...] = ()
    """Goods that it has with another price."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with it."""
        return not (self.fault or self.missing or self.extra or self.priced_otherwise)


def readiness() -> tuple[bool, str]:
    """Whether search answers now, and with which engine. An engine that is being filled is no fault."""
    complete = postgres_engine().is_complete()
    if settings().search_engine is SearchEngine.POSTGRES:
        return True, "postgres" if complete else "postgres, which is being filled"
    try:
        search_index().check()
    except IndexMissing:
        return True, f"whoosh: no index yet; postgres answers{'' if complete else ' as far as it is filled'}"
    except (IndexDamaged, IndexForeign) as error:
        # Its text may name folders and files.
        what = "the index is damaged" if isinstance(error, IndexDamaged) else "the index is another market's"
        return complete, f"whoosh: {what}; postgres {'answers' if complete else 'is not filled'}"
    return True, "whoosh"


def check_engines() -> list[EngineCheck]:
    """Compare with the database what is searched with: PostgreSQL's table, and the Whoosh index where that is chosen.

    What waits in the outbox is not held against Whoosh.
    """
    if settings().search_engine is SearchEngine.POSTGRES:
        return [_check_postgres()]
    first = _check_whoosh()
    # What changed between two reads is a fault of the first look only.
    return [_agreed(first, _check_whoosh()) if not first.ok else first, _check_postgres()]


def _agreed(one: EngineCheck, other: EngineCheck) -> EngineCheck:
    """The faults that both have found."""
    return replace(
        other,
        missing=_common(one.missing, other.missing),
        extra=_common(one.extra, other.extra),
        priced_otherwise=_common(one.priced_otherwise, other.priced_otherwise),
    )


def _common(one: Iterable[int], other: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(set(one).intersection(other)))


def _check_whoosh() -> EngineCheck:
    try:
        search_index().check()
        held = search_index().snapshot().prices()
    except IndexMissing:
        return EngineCheck(engine=SearchEngine.WHOOSH, fault="there is no index")
    except (IndexDamaged, IndexForeign) as error:
        return EngineCheck(engine=SearchEngine.WHOOSH, fault=str(error))
    for_sale = {row.id: row.price for row in rows(select(Good.id, Good.price).where(FOR_SALE))}
    topic = OutboxMessage.topic == Topic.SEARCH_INDEX.value
    waiting = {row.subject_id for row in rows(select(OutboxMessage.subject_id).where(topic))}
    return EngineCheck(
        engine=SearchEngine.WHOOSH,
        goods=len(held),
        missing=tuple(sorted(for_sale.keys() - held.keys() - waiting)),
        extra=tuple(sorted(held.keys() - for_sale.keys() - waiting)),
        priced_otherwise=tuple(
            sorted(each for each in (for_sale.keys() & held.keys()) - waiting if for_sale[each] != held[each])
        ),
    )


_GOODS = select(Good.id, Good.price).where(FOR_SALE).subquery()
_HELD = select(SearchDocument.good_id, SearchDocument.price).where(SearchDocument.format == FORMAT).subquery()
# One statement, so that both sides are of one moment.
_UNEQUAL = (
    select(_GOODS.c.id, _HELD.c.good_id)
    .select_from(_GOODS.outerjoin(_HELD, _HELD.c.good_id == _GOODS.c.id, full=True))
    .where(_GOODS.c.price.is_distinct_from(_HELD.c.price))
    .order_by(_GOODS.c.id, _HELD.c.good_id)
)


def _check_postgres() -> EngineCheck:
    unequal = rows(_UNEQUAL)
    held = row_or_none(select(func.count()).select_from(_HELD))
    return EngineCheck(
        engine=SearchEngine.POSTGRES,
        goods=held[0] if held else 0,
        missing=tuple(row.id for row in unequal if row.good_id is None),
        extra=tuple(row.good_id for row in unequal if row.id is None),
        priced_otherwise=tuple(row.id for row in unequal if row.id == row.good_id),
    )
