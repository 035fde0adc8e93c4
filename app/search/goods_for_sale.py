"""The goods that are for sale, as documents: what every engine holds, and nothing else."""

from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

from sqlalchemy import func, select

from app.db.transactions import row_or_none, rows
from app.goods.models import Good
from app.search.documents import Document
from app.search.index import Changes
from statemachine.good import GoodStatus

COLUMNS: Final = (
    Good.id,
    Good.title,
    Good.description,
    Good.category,
    Good.price,
    Good.published_at,
    Good.updated_at,
    Good.trade_mode,
    Good.owner_id,
    Good.freight,
)

FOR_SALE: Final = (Good.status == GoodStatus.PUBLISHED) & ~Good.deleted & ~Good.taken_down

_BATCH = 1000


def is_for_sale(good: Good) -> bool:
    """`FOR_SALE` of a good that is at hand."""
    return good.status == GoodStatus.PUBLISHED and not good.deleted and not good.taken_down


def document_of(good: Any) -> Document:
    """The document of a good, or of a row with its `COLUMNS`."""
    return Document(
        good_id=good.id,
        title=good.title,
        description=good.description,
        category=good.category,
        price=good.price,
        published=int((good.published_at or good.updated_at).timestamp()),
        trade_mode=good.trade_mode,
        owner=good.owner_id,
        freight=good.freight,
    )


def changes_of(good_ids: Collection[int]) -> Changes:
    """These goods as they are in the database now, as changes to an index."""
    found = rows(select(*COLUMNS).where(Good.id.in_(good_ids), FOR_SALE).order_by(Good.id)) if good_ids else []
    documents = [document_of(row) for row in found]
    gone = set(good_ids) - {document.good_id for document in documents}
    return Changes(documents, sorted(gone))


def count_for_sale() -> int:
    """How many goods are for sale."""
    counted = row_or_none(select(func.count()).select_from(Good).where(FOR_SALE))
    return counted[0] if counted else 0


def all_for_sale(progress: Callable[[int, int], None] | None) -> Iterator[list[Document]]:
    """All of them in batches; `progress` is called with the number of goods done and the total."""
    total = count_for_sale()
    finished, last = 0, 0
    statement = select(*COLUMNS).order_by(Good.id).limit(_BATCH)
    while found := rows(statement.where(FOR_SALE, Good.id > last)):
        yield [document_of(row) for row in found]
        finished, last = finished + len(found), found[-1].id
        if progress is not None:
            progress(finished, max(total, finished))
