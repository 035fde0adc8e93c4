"""Counters of searches and clicks in Valkey, by hour: sums without who.

How many different clients searched for a query is estimated by a HyperLogLog: it tells how many there were, never who,
and of a client's network nothing is kept. What a counter knows is gone after `KEPT`; only queries of several clients
are written to the database before (`app.suggestions.service.count_up`).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from app.clock import from_timestamp, utcnow
from app.extensions import valkey
from app.language.normal_form import normalise
from app.origin import network_of
from app.suggestions.models import QUERY_LENGTH

HOUR: Final = timedelta(hours=1)
KEPT: Final = timedelta(days=2)
"""For how long Valkey keeps an hour's counters, and for how long clients of a query are told apart."""

MOST_QUERIES: Final = 20_000
"""Different queries that one hour counts: who makes up endless ones fills no memory, and moves no query out."""

_DAY: Final = timedelta(days=1)

# KEYS: searches, without a hit, clients. ARGV: query, client, whether there was no hit, seconds, most queries.
_SEARCH: Final = """
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[5]) then
  return 0
end
redis.call('ZINCRBY', KEYS[1], 1, ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[4])
if ARGV[3] == '1' then
  redis.call('ZINCRBY', KEYS[2], 1, ARGV[1])
  redis.call('EXPIRE', KEYS[2], ARGV[4])
end
redis.call('PFADD', KEYS[3], ARGV[2])
redis.call('EXPIRE', KEYS[3], ARGV[4])
return 1
"""

# KEYS: searches, clicks. ARGV: query, seconds. Counted is only what was searched for in the same hour.
_CLICK: Final = """
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  return 0
end
redis.call('ZINCRBY', KEYS[2], 1, ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HourCount:
    """What one hour counted of one query. `clients` is about how many there were in `KEPT`."""

    text: str
    searches: int
    clicks: int
    without_hit: int
    clients: int


def query_form(text: str) -> str | None:
    """The form in which a query is counted: normal form, single blanks; None for what is longer than any phrase."""
    form = " ".join(normalise(text).split())
    return form if 0 < len(form) <= QUERY_LENGTH else None


def count_search(*, text: str, client: str | None, found: bool) -> None:
    """Count one search. `client` is the address that asked; of it nothing is kept."""
    form = query_form(text)
    if form is None:
        return
    now = utcnow()
    hour = hour_of(now)
    keys = (_key(hour, "searches"), _key(hour, "without_hit"), _clients_key(now, form))
    valkey().eval(
        _SEARCH, len(keys), *keys, form, network_of(client), int(not found), _seconds(KEPT + HOUR), MOST_QUERIES
    )


def count_click(*, text: str) -> None:
    """Count that a hit of this query was opened. Nothing happens where nobody searched for it in this hour."""
    form = query_form(text)
    if form is not None:
        keys = [_key(hour_of(utcnow()), name) for name in ("searches", "clicks")]
        valkey().eval(_CLICK, len(keys), *keys, form, _seconds(KEPT + HOUR))


def hours_kept(now: datetime) -> list[datetime]:
    """The beginnings of the hours whose counters may be there, the newest first."""
    return [hour_of(now) - HOUR * number for number in range(KEPT // HOUR + 1)]


def counted_in(hour: datetime, *, least_clients: int) -> Sequence[HourCount]:
    """What `hour` counted of the queries that at least so many clients searched for lately."""
    searches = _sums(hour, "searches")
    if not searches:
        return []
    days = [hour - _DAY, hour, hour + _DAY]
    with valkey().pipeline(transaction=False) as pipeline:
        for text in searches:
            pipeline.pfcount(*dict.fromkeys(_clients_key(day, text) for day in days))
        clients: list[int] = pipeline.execute()
    clicks, without_hit = _sums(hour, "clicks"), _sums(hour, "without_hit")
    return [
        HourCount(
            text=text,
            searches=count,
            clicks=clicks.get(text, 0),
            without_hit=without_hit.get(text, 0),
            clients=number,
        )
        for (text, count), number in zip(searches.items(), clients, strict=True)
        if number >= least_clients
    ]


def _sums(hour: datetime, name: str) -> dict[str, int]:
    """By query, what one of the hour's counters has come to."""
    counted: list[Any] = valkey().zrange(_key(hour, name), 0, -1, withscores=True)
    return {text: int(count) for text, count in counted}


def hour_of(moment: datetime) -> datetime:
    """When the hour of `moment` began."""
    return from_timestamp(moment.timestamp() // HOUR.total_seconds() * HOUR.total_seconds())


def _key(hour: datetime, name: str) -> str:
    return f"queries:{name}:{hour:%Y%m%d%H}"


def _clients_key(moment: datetime, text: str) -> str:
    return f"queries:clients:{moment:%Y%m%d}:{hashlib.sha256(text.encode()).hexdigest()[:24]}"


def _seconds(time: timedelta) -> int:
    return int(time.total_seconds())
