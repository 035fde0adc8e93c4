"""Saves searches, finds new goods for them, and tells their users."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import ARRAY, Row, Select, String, cast, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.answers import Answer, Refused
from app.clock import from_timestamp, utcnow
from app.db.transactions import transaction
from app.extensions import valkey
from app.goods.models import Good
from app.goods.queries import IS_FOR_SALE
from app.language.service import analyser
from app.notifications.models import NotificationKind
from app.notifications.service import notify
from app.notifications.texts import SAVED_SEARCH, SAVED_SEARCH_GOOD_TEXT, SAVED_SEARCH_GOODS_TEXT
from app.saved_searches.matching import fits, keys_of
from app.saved_searches.models import SavedSearch, SavedSearchHit
from app.search.goods_for_sale import document_of
from app.search.service import tokens_of_good, understood
from app.settings import settings
from statemachine.good import TradeMode

log = structlog.get_logger(__name__)

# What is committed late bears an earlier time: each run looks at the goods of this time before the last once more.
_OVERLAP: Final = timedelta(minutes=10)
# Where nobody knows any more how far the last run came: what is older was seen to, or is no news.
_FURTHEST_BACK: Final = timedelta(days=1)
_PROGRESS_KEY: Final = "saved-searches:matched-until"
_WORDS_KEY: Final = "saved-searches:words"

_GOODS_AT_ONCE: Final = 200
_TOLD_AT_ONCE: Final = 500
_TITLES_TOLD: Final = 3


# --- verbs of users ---


def save_search(*, user_id: int, q: str, notify_me: bool, **filters: int | None) -> int:
    """Save a search; returns its id. `filters` are category, price_min, price_max (fen) and trade_mode.

    The same search saved again is the one that is there, with `notify_me` as given now. Raises Refused with
    TOO_MANY_SAVED_SEARCHES, NO_SUCH_USER, and MALFORMED for a query without a word to look for.
    """
    keys = keys_of(understood(q).groups)
    if not keys:
        raise Refused(Answer.MALFORMED, data={"errors": {"q": ["没有可以搜索的词"]}})
    with transaction() as session:
        _lock_user(session, user_id)
        own = SavedSearch.user_id == user_id
        same = [SavedSearch.__table__.c[name].is_not_distinct_from(value) for name, value in filters.items()]
        known = update(SavedSearch).where(own, SavedSearch.q == q, *same).values(notify=notify_me)
        search_id: int | None = session.scalar(known.returning(SavedSearch.id))
        if search_id is not None:
            return search_id
        if session.scalars(select(func.count()).where(own)).one() >= settings().saved_searches_limit:
            raise Refused(Answer.TOO_MANY_SAVED_SEARCHES)
        saved = SavedSearch(user_id=user_id, q=q, notify=notify_me, keys=keys, created_at=utcnow(), **filters)
        session.add(saved)
        session.flush()
        return saved.id


def _lock_user(session: Session, user_id: int) -> None:
    present = select(User.id).where(User.id == user_id, User.deleted_at.is_(None))
    if session.scalar(present.with_for_update(key_share=True)) is None:
        raise Refused(Answer.NO_SUCH_USER)


def switch_notifications(*, user_id: int, search_id: int, notify_me: bool) -> None:
    """Have the user told of new goods, or not any more. Raises Refused(NO_SUCH_SAVED_SEARCH)."""
    with transaction() as session:
        own = (SavedSearch.id == search_id) & (SavedSearch.user_id == user_id)
        changed = update(SavedSearch).where(own).values(notify=notify_me).returning(SavedSearch.id)
        if session.scalar(changed) is None:
            raise Refused(Answer.NO_SUCH_SAVED_SEARCH)


def delete_saved_search(*, user_id: int, search_id: int) -> None:
    """Delete a saved search, with what was found for it. Raises Refused(NO_SUCH_SAVED_SEARCH)."""
    with transaction() as session:
        own = (SavedSearch.id == search_id) & (SavedSearch.user_id == user_id)
        if session.scalar(delete(SavedSearch).where(own).returning(SavedSearch.id)) is None:
            raise Refused(Answer.NO_SUCH_SAVED_SEARCH)


def forget_saved_searches(session: Session, *, user_id: int) -> None:
    """Delete the user's saved searches, in the caller's transaction; for a deleted account."""
    session.execute(delete(SavedSearch).where(SavedSearch.user_id == user_id))


# --- finding ---


def match_new_goods() -> int:
    """Find the saved searches that goods fit which became public since the last time; returns how many finds are new.

    Run again, or twice at once, it finds nothing twice.
    """
    _renew_keys()
    now = utcnow()
    since = _matched_until(now) - _OVERLAP
    found, after = 0, 0
    while goods := _public_since(since, after=after):
        found += _match(goods)
        after = goods[-1].id
    valkey().set(_PROGRESS_KEY, now.timestamp())
    if found:
        log.info("saved_searches_matched", found=found)
    return found


def _renew_keys() -> None:
    """Make the keys anew where the words of the trade have changed: a new name of a thing is a key, too."""
    version = analyser().lexicon.version
    if valkey().get(_WORDS_KEY) == version:
        return
    after = 0
    while searches := _searches_behind(after):
        after = searches[-1].id
    valkey().set(_WORDS_KEY, version)


def _searches_behind(after: int) -> Sequence[Row[Any]]:
    """The next saved searches by id, with new keys."""
    with transaction() as session:
        wanted: Select[*tuple[Any, ...]] = select(SavedSearch.id, SavedSearch.q, SavedSearch.keys).where(
            SavedSearch.id > after
        )
        wanted = wanted.order_by(SavedSearch.id).limit(_GOODS_AT_ONCE).with_for_update()
        found: Sequence[Row[Any]] = session.execute(wanted).all()
        for row in found:
            keys = keys_of(understood(row.q).groups)
            if keys != row.keys:
                session.execute(update(SavedSearch).where(SavedSearch.id == row.id).values(keys=keys))
    return found


def _matched_until(now: datetime) -> datetime:
    known = valkey().get(_PROGRESS_KEY)
    furthest = now - _FURTHEST_BACK
    return furthest if known is None else min(max(from_timestamp(float(known)), furthest), now)


def _public_since(since: datetime, *, after: int) -> Sequence[Row[Any]]:
    with transaction() as session:
        wanted = select(Good.__table__).where(IS_FOR_SALE, Good.published_at > since, Good.id > after)
        return session.execute(wanted.order_by(Good.id).limit(_GOODS_AT_ONCE)).all()


def _match(goods: Sequence[Row[Any]]) -> int:
    documents = {good.id: document_of(good) for good in goods}
    tokens = {good_id: tokens_of_good(document) for good_id, document in documents.items()}
    with transaction() as session:
        searches = _possible(session, frozenset().union(*tokens.values()))
        meant = {search.id: understood(search.q) for search in searches}
        finds = [
            {"search_id": search.id, "good_id": good.id, "found_at": utcnow()}
            for search in searches
            for good in goods
            if _is_news(search, good)
            and _is_let_through(search, good)
            and fits(meant[search.id], documents[good.id], tokens[good.id])
        ]
        if not finds:
            return 0
        added = insert(SavedSearchHit).values(finds).on_conflict_do_nothing().returning(SavedSearchHit.good_id)
        return len(session.execute(added).all())


def _possible(session: Session, tokens: Iterable[str]) -> Sequence[Row[Any]]:
    """The saved searches, locked against being deleted, that goods with these tokens may fit."""
    has_key = SavedSearch.keys.op("&&")(cast(sorted(tokens), ARRAY(String)))
    wanted = select(SavedSearch.__table__).where(has_key).order_by(SavedSearch.id)
    return session.execute(wanted.with_for_update(key_share=True, read=True)).all()


def _is_news(search: Row[Any], good: Row[Any]) -> bool:
    """Whether somebody else's good became public after the search was saved."""
    return bool(good.owner_id != search.user_id and good.published_at > search.created_at)


def _is_let_through(search: Row[Any], good: Row[Any]) -> bool:
    """Whether the filters of the search let the good through."""
    return (
        search.category in (None, good.category)
        and (search.price_min is None or good.price >= search.price_min)
        and (search.price_max is None or good.price <= search.price_max)
        and (search.trade_mode in (None, good.trade_mode) or good.trade_mode == TradeMode.ANY)
    )


# --- telling ---


def tell_of_finds() -> int:
    """Notify the users of what was found for their searches; returns how many notifications that made.

    All that was found for a search is told at once, and then nothing for `settings().saved_search_pause` seconds. What
    is not for sale any more is not told.
    """
    told = 0
    now = utcnow()
    with transaction() as session:
        for search in _with_untold(session, now):
            goods = _untold_goods(session, search.id)
            untold = (SavedSearchHit.search_id == search.id) & SavedSearchHit.told_at.is_(None)
            session.execute(update(SavedSearchHit).where(untold).values(told_at=now))
            if goods and search.notify:
                session.execute(update(SavedSearch).where(SavedSearch.id == search.id).values(told_at=now))
                _tell(session, search, [good.title for good in goods])
                told += 1
    if told:
        log.info("saved_searches_told", notifications=told)
    return told


def _with_untold(session: Session, now: datetime) -> Sequence[Row[Any]]:
    untold = exists().where(SavedSearchHit.search_id == SavedSearch.id, SavedSearchHit.told_at.is_(None))
    rested = func.coalesce(SavedSearch.told_at, now - timedelta(days=36_500)) <= now - timedelta(
        seconds=settings().saved_search_pause
    )
    wanted = select(SavedSearch.__table__).where(untold, rested).order_by(SavedSearch.id).limit(_TOLD_AT_ONCE)
    return session.execute(wanted.with_for_update(skip_locked=True)).all()


def _untold_goods(session: Session, search_id: int) -> Sequence[Row[Any]]:
    return session.execute(
        select(Good.title)
        .join(SavedSearchHit, SavedSearchHit.good_id == Good.id)
        .where(SavedSearchHit.search_id == search_id, SavedSearchHit.told_at.is_(None), IS_FOR_SALE)
        .order_by(Good.published_at.desc(), Good.id.desc())
    ).all()


def _tell(session: Session, search: Row[Any], titles: list[str]) -> None:
    wording = SAVED_SEARCH_GOOD_TEXT if len(titles) == 1 else SAVED_SEARCH_GOODS_TEXT
    listed = "".join(f"「{title}」" for title in titles[:_TITLES_TOLD])
    notify(
        session,
        user_id=search.user_id,
        kind=NotificationKind.SEARCH,
        title=wording.title,
        text=wording.text.format(q=search.q, goods=listed, number=len(titles)),
        event=SAVED_SEARCH,
        saved_search_id=search.id,
    )
