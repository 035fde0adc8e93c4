"""Counts searches, decides which queries others may be shown, and completes what is being typed."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import orjson
import structlog
from flask import current_app
from redis.exceptions import RedisError
from sqlalchemy import delete, exists, extract, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.answers import Answer, Refused
from app.clock import utcnow
from app.db.transactions import after_commit, transaction
from app.extensions import valkey
from app.language.analysis import Analyser
from app.language.service import analyser
from app.moderation.text import TextContext, TextKind, check_texts, rules_version
from app.refreshed import Refreshed
from app.settings import settings
from app.staff.models import ActionKind, Subject
from app.staff.service import check_staff, record_action
from app.staff_roles import Permission
from app.suggestions import counters, queries
from app.suggestions.completions import Completions, phrases_of
from app.suggestions.models import QueryCount, QueryState, SearchedQuery

log = structlog.get_logger(__name__)

HALF_LIFE: Final = timedelta(days=2)
"""After which a search counts half for the heat of its query."""

CLICK_WEIGHT: Final = 2
"""Searches that one opened hit counts as: it says that the query was worth asking."""

_COMPLETIONS_KEY: Final = "completions"
_HIDDEN_KEY: Final = "completions:hidden"
_VERSION_KEY: Final = "completions:version"

# Completions are made of at most so many phrases, those of most sellers; of less than two sellers' none is.
_MOST_PHRASES: Final = 50_000
_LEAST_SELLERS: Final = 2
_MOST_QUERIES: Final = 10_000
_TITLES_READ: Final = 5_000

_CHECK_EVERY: Final = 30.0
"""Seconds for which a process uses its completions before it asks whether there are newer ones."""


# --- counting ---


def count_search(*, text: str, client: str | None, found: bool) -> None:
    """Count one search, without its user. A counter that cannot be reached is no reason to refuse a search."""
    try:
        counters.count_search(text=text, client=client, found=found)
    except RedisError as error:
        log.warning("search_not_counted", error=type(error).__name__)


def count_click(*, text: str) -> None:
    """Count that a hit of a search was opened."""
    counters.count_click(text=text)


def count_up() -> int:
    """Write the counters of Valkey down and work out every query's heat anew; returns how many queries have some.

    Only what `settings().query_least_clients` different clients searched for is written. Running it again changes
    nothing: the counts of an hour replace those that were written before.
    """
    now = utcnow()
    with transaction() as session:
        for hour in counters.hours_kept(now):
            counted = counters.counted_in(hour, least_clients=settings().query_least_clients)
            values = [
                {
                    "hour": hour,
                    "text": each.text,
                    "searches": each.searches,
                    "clicks": each.clicks,
                    "without_hit": each.without_hit,
                }
                for each in counted
            ]
            if values:
                added = insert(QueryCount).values(values)
                replaced = {name: added.excluded[name] for name in ("searches", "clicks", "without_hit")}
                session.execute(added.on_conflict_do_update(index_elements=["hour", "text"], set_=replaced))
        session.execute(delete(QueryCount).where(QueryCount.hour < now - queries.COUNTED))
        heat = _heat(session)
        _write_heat(session, heat)
    log.info("searches_counted_up", queries=len(heat))
    return len(heat)


def _heat(session: Session) -> dict[str, int]:
    """By query: a hundred for each search, halved with each `HALF_LIFE` since; clicks count `CLICK_WEIGHT`-fold."""
    age = extract("epoch", literal(utcnow()) - QueryCount.hour) / HALF_LIFE.total_seconds()
    worth = 100 * (QueryCount.searches - QueryCount.without_hit + CLICK_WEIGHT * QueryCount.clicks)
    total = func.round(func.sum(worth * func.power(0.5, age))).label("heat")
    found = session.execute(select(QueryCount.text, total).group_by(QueryCount.text))
    return {row.text: max(int(row.heat), 0) for row in found}


def _write_heat(session: Session, heat: dict[str, int]) -> None:
    """Write the queries with their heat, and check the text of those that were not checked by the rules of today."""
    now, version = utcnow(), rules_version()
    known = {row.text: row for row in session.execute(select(SearchedQuery.__table__))}
    unchecked = [
        text
        for text in {*heat, *known}
        if text not in known or (known[text].rules_version not in ("", version) and text in heat)
    ]
    states = _checked(unchecked)
    for text in {*heat, *known}:
        before = known.get(text)
        state = states.get(text, before.state if before is not None else "")
        if before is None:
            values = {"text": text, "heat": heat[text], "state": state, "rules_version": version, "changed_at": now}
            session.execute(insert(SearchedQuery).values(values))
        elif text in states or before.heat != heat.get(text, 0):
            changed = {"heat": heat.get(text, 0), "state": state}
            if text in states:
                changed |= {"rules_version": version, "changed_at": now}
            session.execute(update(SearchedQuery).where(SearchedQuery.id == before.id).values(changed))
    counted = exists().where(QueryCount.text == SearchedQuery.text)
    decided_by_staff = SearchedQuery.rules_version == ""
    session.execute(delete(SearchedQuery).where(~counted, ~decided_by_staff))


def _checked(texts: Collection[str]) -> dict[str, str]:
    """What the check of texts says of queries; whatever it finds, if only a doubt, keeps one from being shown."""
    judgements = check_texts([(text, TextContext(kind=TextKind.TITLE)) for text in texts])
    return {
        text: (QueryState.REFUSED if judgement.hits else QueryState.ALLOWED).value
        for text, judgement in zip(texts, judgements, strict=True)
    }


# --- what staff decide ---


def ban_query(*, actor_id: int, text: str, reason: str) -> str:
    """Show a query to nobody, neither as a hot one nor in a completion; returns its form. Raises FORBIDDEN."""
    return _decide(QueryState.BANNED, ActionKind.BAN_QUERY, actor_id=actor_id, text=text, reason=reason)


def allow_query(*, actor_id: int, text: str, reason: str) -> str:
    """Let a query be shown that is banned, or that the check of texts refused; returns its form. Raises FORBIDDEN."""
    return _decide(QueryState.ALLOWED, ActionKind.ALLOW_QUERY, actor_id=actor_id, text=text, reason=reason)


def _decide(state: QueryState, action: ActionKind, *, actor_id: int, text: str, reason: str) -> str:
    form = counters.query_form(text)
    if form is None:
        raise Refused(Answer.MALFORMED, data={"errors": {"text": ["不是可以搜索的词"]}})
    with transaction() as session:
        check_staff(session, actor_id, Permission.REVIEW)
        decided = {"state": state.value, "rules_version": "", "changed_at": utcnow()}
        added = insert(SearchedQuery).values(text=form, **decided)
        added = added.on_conflict_do_update(index_elements=["text"], set_=decided)
        query_id = session.execute(added.returning(SearchedQuery.id)).scalar_one()
        record_action(
            session,
            action,
            actor_id=actor_id,
            subject=Subject.QUERY,
            subject_id=query_id,
            reason=reason,
            details={"text": form},
        )
        after_commit(session, _publish_hidden)
    return form


# --- completions ---


@dataclass(frozen=True, slots=True)
class _Offered:
    """What a process completes with: the phrases, and what is shown to nobody whatever these say."""

    completions: Completions
    hidden: frozenset[str]
    version: str


_NOTHING: Final = _Offered(Completions.of({}), frozenset(), "")


def suggest(*, typed: str, limit: int) -> list[str]:
    """What `typed` may become, the likeliest first."""
    offered: Refreshed[_Offered] = current_app.extensions.setdefault(
        "saltfish.completions", Refreshed(_load, every=_CHECK_EVERY, name="completions")
    )
    now = offered.get()
    found = now.completions.complete(typed, limit=2 * limit)
    return [text for text in found if not any(each in text for each in now.hidden)][:limit]


def _load(before: _Offered | None) -> _Offered:
    """What the job has made last; `before`, where that is the same."""
    version = str(valkey().get(_VERSION_KEY) or "")
    if before is not None and version == before.version:
        return before
    dumped, hidden = valkey().mget(_COMPLETIONS_KEY, _HIDDEN_KEY)
    if dumped is None:
        return _NOTHING
    return _Offered(Completions.load(str(dumped)), frozenset(orjson.loads(hidden or "[]")), version)


def _publish_hidden() -> None:
    """Let the web processes know which queries are shown to nobody now; they ask within `_CHECK_EVERY` seconds."""
    hidden = orjson.dumps(sorted(queries.hidden_queries()))
    try:
        valkey().mset({_HIDDEN_KEY: hidden, _VERSION_KEY: utcnow().isoformat()})
    except RedisError as error:
        log.warning("hidden_queries_not_published", error=type(error).__name__)


def rebuild_completions() -> int:
    """Make the completions anew, of goods for sale and of queries, for the web processes to load; returns how many."""
    completions = Completions.of(_weights(analyser()))
    valkey().set(_COMPLETIONS_KEY, completions.dump())
    _publish_hidden()
    log.info("completions_rebuilt", phrases=len(completions))
    return len(completions)


def _weights(words: Analyser) -> dict[str, float]:
    """By phrase: how many sellers have it in a title, and the heat of the query, each a search an hundred."""
    sellers: Counter[str] = Counter()
    for phrases in _phrases_by_owner(words):
        sellers.update(phrases)
    hidden = queries.hidden_queries()
    weights = {
        phrase: float(count)
        for phrase, count in sellers.most_common(_MOST_PHRASES)
        if count >= _LEAST_SELLERS and not any(text in phrase for text in hidden)
    }
    for text, heat in queries.allowed_queries(limit=_MOST_QUERIES).items():
        weights[text] = weights.get(text, 0.0) + heat / 100
    return weights


def _phrases_by_owner(words: Analyser) -> Iterator[set[str]]:
    """The phrases of each seller's titles, one set a seller."""
    after, phrases = (0, 0), set[str]()
    while found := queries.titles_by_owner(after=after, limit=_TITLES_READ):
        for row in found:
            if row.owner_id != after[0]:
                yield phrases
                phrases = set()
            phrases |= phrases_of(row.title, words)
            after = row.owner_id, row.id
    yield phrases
