"""Fills the table from the goods: after an upgrade, or anew. In small batches, beside a running market.

A batch locks its goods against changes for the moment that it takes. What changes before or after is written by its own
transaction, so no good is ever there as it was.
"""

import time
from collections.abc import Callable
from typing import Final

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.db.transactions import transaction
from app.goods.models import Good
from app.language.analysis import Analyser
from app.search.goods_for_sale import COLUMNS, FOR_SALE, document_of
from app.search.postgres.documents import FORMAT, remove, write
from app.search.postgres.models import SearchDocument, SearchState
from app.search.postgres.statistics import count

_BATCH: Final = 200

# One fills or counts at a time; who comes second leaves it to the first. Any number that nothing else uses.
_ALONE: Final = text("SELECT pg_try_advisory_xact_lock(20261130, 12)")


def begin_anew() -> None:
    """Let the next filling write every good again. Nothing is taken out before."""
    with transaction() as session:
        _state(session).filled_to = 0


def fill(analyser: Analyser, *, seconds: float, progress: Callable[[int], None] = lambda _goods: None) -> bool:
    """Go on filling for so many seconds, at least one batch; returns whether the table is complete.

    `progress` is told how many more goods have been written.
    """
    until = time.monotonic() + seconds
    while True:
        with transaction() as session:
            if not session.execute(_ALONE).scalar_one():
                return False
            state = _state(session)
            if state.filled_to is None:
                return True
            written = _fill_batch(session, state, analyser)
        progress(written)
        if time.monotonic() >= until:
            return state.filled_to is None


def count_words(*, rest: float = 0.0) -> bool:
    """Count the words, as `app.search.postgres.statistics.count` says; False where another process fills or counts."""
    with transaction() as session:
        return bool(session.execute(_ALONE).scalar_one()) and count(session.connection(), rest=rest)


def _state(session: Session) -> SearchState:
    """The row, locked; of another format it is begun anew."""
    state = session.scalar(select(SearchState).with_for_update())
    if state is None:
        state = SearchState(format=FORMAT, filled_to=0)
        session.add(state)
    elif state.format != FORMAT:
        state.format, state.filled_to = FORMAT, 0
    return state


def _fill_batch(session: Session, state: SearchState, analyser: Analyser) -> int:
    after = state.filled_to or 0
    found = session.execute(
        select(*COLUMNS).where(FOR_SALE, Good.id > after).order_by(Good.id).limit(_BATCH).with_for_update(read=True)
    ).all()
    write(session, analyser, [document_of(row) for row in found])
    last = found[-1].id if len(found) == _BATCH else None
    remove(session, _not_for_sale(session, after=after, last=last))
    state.filled_to = last
    return len(found)


def _not_for_sale(session: Session, *, after: int, last: int | None) -> list[int]:
    """The goods after `after` up to `last` that are in the table and should not be, locked."""
    statement = (
        select(Good.id).join(SearchDocument, SearchDocument.good_id == Good.id).where(~FOR_SALE, Good.id > after)
    )
    if last is not None:
        statement = statement.where(Good.id <= last)
    return list(session.scalars(statement.order_by(Good.id).with_for_update(read=True, of=Good)))
