"""Reads of what people search for."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, func, select

from app.clock import format_moment, utcnow
from app.db.transactions import row_or_none, rows
from app.goods.models import Good
from app.goods.queries import IS_FOR_SALE
from app.suggestions.models import QueryCount, QueryState, SearchedQuery
from app.suggestions.schemas import QuerySort, SearchedQueriesQuery, SearchedQueryOut

COUNTED: Final = timedelta(days=14)
"""For how long counts are kept, and count."""

_ALLOWED: Final = SearchedQuery.state == QueryState.ALLOWED.value


def hot_queries(*, limit: int) -> list[str]:
    """The queries with the most heat that may be shown to others."""
    hottest = select(SearchedQuery.text).where(_ALLOWED, SearchedQuery.heat > 0)
    return [text for (text,) in rows(hottest.order_by(SearchedQuery.heat.desc(), SearchedQuery.text).limit(limit))]


def allowed_queries(*, limit: int) -> dict[str, int]:
    """The heat of the hottest queries that may be shown to others."""
    hottest = select(SearchedQuery.text, SearchedQuery.heat).where(_ALLOWED)
    found = rows(hottest.order_by(SearchedQuery.heat.desc(), SearchedQuery.text).limit(limit))
    return {row.text: row.heat for row in found}


def hidden_queries() -> frozenset[str]:
    """The queries that may be shown to nobody."""
    return frozenset(text for (text,) in rows(select(SearchedQuery.text).where(~_ALLOWED)))


def titles_by_owner(*, after: tuple[int, int], limit: int) -> Sequence[Row[Any]]:
    """`owner_id`, `id` and `title` of goods for sale, by owner, then by id, from those behind `after` on."""
    place = func.row(Good.owner_id, Good.id)
    statement = select(Good.owner_id, Good.id, Good.title).where(IS_FOR_SALE, place > func.row(*after))
    return rows(statement.order_by(Good.owner_id, Good.id).limit(limit))


def searched_queries(query: SearchedQueriesQuery) -> tuple[list[SearchedQueryOut], int]:
    """One page of the queries that several clients searched for, and how many there are."""
    sums = _sums(since=utcnow() - COUNTED)
    conditions = [] if query.state is None else [SearchedQuery.state == query.state.value]
    order = {
        QuerySort.HEAT: SearchedQuery.heat.desc(),
        QuerySort.WITHOUT_HIT: func.coalesce(sums.c.without_hit, 0).desc(),
    }
    counted = row_or_none(select(func.count()).select_from(SearchedQuery).where(*conditions))
    page = _with(sums).where(*conditions).order_by(order[query.sort], SearchedQuery.text)
    found = rows(page.limit(query.size).offset(query.offset))
    return [_searched_query_out(row) for row in found], counted[0] if counted else 0


_COUNTS: Final = ("searches", "clicks", "without_hit")


def searched_query(text: str) -> SearchedQueryOut:
    """One of them by its text. Raises ValueError where there is none."""
    [row] = rows(_with(_sums(since=utcnow() - COUNTED)).where(SearchedQuery.text == text))
    return _searched_query_out(row)


def _with(sums: Any) -> Any:
    """The queries with their `sums`."""
    columns = (func.coalesce(sums.c[name], 0).label(name) for name in _COUNTS)
    return select(SearchedQuery.__table__, *columns).outerjoin(sums, sums.c.text == SearchedQuery.text)


def _sums(*, since: datetime) -> Any:  # a Subquery, whose type has no parameters that would help
    return (
        select(QueryCount.text, *(func.sum(QueryCount.__table__.c[name]).label(name) for name in _COUNTS))
        .where(QueryCount.hour >= since)
        .group_by(QueryCount.text)
        .subquery()
    )


def _searched_query_out(row: Row[Any]) -> SearchedQueryOut:
    return {
        "id": row.id,
        "text": row.text,
        "state": row.state,
        "heat": row.heat // 100,
        "searches": int(row.searches),
        "clicks": int(row.clicks),
        "without_hit": int(row.without_hit),
        "changed_at": format_moment(row.changed_at),
    }
