"""Reads of saved searches."""

from typing import Any, Final

from sqlalchemy import func, select

from app.answers import Answer, Refused
from app.db.transactions import row_or_none, rows
from app.goods.models import Good
from app.goods.queries import GOODS, IS_FOR_SALE, good_out
from app.goods.schemas import GoodOut
from app.paging import PageQuery
from app.saved_searches.models import SavedSearch, SavedSearchHit
from app.saved_searches.schemas import SavedSearchOut, saved_search_out

_GOODS: Final = (
    select(func.count())
    .select_from(SavedSearchHit)
    .join(Good, Good.id == SavedSearchHit.good_id)
    .where(SavedSearchHit.search_id == SavedSearch.id, IS_FOR_SALE)
    .correlate(SavedSearch)
    .scalar_subquery()
    .label("goods")
)
_SEARCHES: Final = select(SavedSearch.__table__, _GOODS)


def saved_searches(*, user_id: int, query: PageQuery) -> tuple[list[SavedSearchOut], int]:
    """One page of the user's saved searches, the newest first, and how many there are."""
    own = SavedSearch.user_id == user_id
    counted = row_or_none(select(func.count()).select_from(SavedSearch).where(own))
    page = _SEARCHES.where(own).order_by(SavedSearch.id.desc()).limit(query.size).offset(query.offset)
    return [saved_search_out(row) for row in rows(page)], counted[0] if counted else 0


def saved_search(*, user_id: int, search_id: int) -> SavedSearchOut:
    """One of the user's saved searches. Raises Refused(NO_SUCH_SAVED_SEARCH)."""
    row = row_or_none(_SEARCHES.where(SavedSearch.id == search_id, SavedSearch.user_id == user_id))
    if row is None:
        raise Refused(Answer.NO_SUCH_SAVED_SEARCH)
    return saved_search_out(row)


def goods_found(*, user_id: int, search_id: int, query: PageQuery) -> tuple[list[GoodOut], int]:
    """One page of the goods for sale that were found for it, the last found first, and how many there are.

    Raises Refused(NO_SUCH_SAVED_SEARCH).
    """
    total = saved_search(user_id=user_id, search_id=search_id)["goods"]
    page: Any = (
        GOODS.join(SavedSearchHit, SavedSearchHit.good_id == Good.id)
        .where(SavedSearchHit.search_id == search_id, IS_FOR_SALE)
        .order_by(SavedSearchHit.found_at.desc(), Good.id.desc())
    )
    return [good_out(row) for row in rows(page.limit(query.size).offset(query.offset))], total
