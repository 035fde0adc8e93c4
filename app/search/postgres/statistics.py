"""How many goods have each word: counted in the database now and then, and kept in memory until counted anew."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from app.language.analysis import is_word
from app.language.vocabulary import Vocabulary
from app.search.postgres.documents import FORMAT, TITLE_MARK

MOST_WORDS: Final = 300_000
"""How many words a process keeps in memory, the most frequent ones; others are looked up when they are asked for."""

_CHANGES: Final = text(
    """
    SELECT sum(pg_stat_get_tuples_inserted(oid) + pg_stat_get_tuples_updated(oid) + pg_stat_get_tuples_deleted(oid))
    FROM pg_class WHERE oid = 'search_documents'::regclass
    """
)

# Only the words whose numbers are others are written: readers see the old ones meanwhile, and nothing is locked.
_COUNT: Final = text(
    """
    WITH counted AS MATERIALIZED (
        SELECT word, ndoc FROM ts_stat(format('SELECT tokens FROM search_documents WHERE format = %s', :format))
    ), words AS MATERIALIZED (
        SELECT each.word, each.ndoc AS goods, coalesce(title.ndoc, 0) AS titles
        FROM counted AS each LEFT JOIN counted AS title ON title.word = :mark || each.word
        WHERE NOT starts_with(each.word, :mark)
    ), gone AS (
        DELETE FROM search_words WHERE word NOT IN (SELECT word FROM words)
    )
    INSERT INTO search_words (word, goods, titles) SELECT word, goods, titles FROM words
    ON CONFLICT (word) DO UPDATE SET goods = EXCLUDED.goods, titles = EXCLUDED.titles
    WHERE (search_words.goods, search_words.titles) IS DISTINCT FROM (EXCLUDED.goods, EXCLUDED.titles)
    """
)
_NOTE: Final = text(
    """
    UPDATE search_state SET counted_at = now(), changes = :changes, seconds = :seconds,
        (goods, average_length) = (SELECT count(*), coalesce(avg(length), 0) FROM search_documents
            WHERE format = :format)
    """
)
_STATE: Final = text("SELECT changes, seconds, extract(epoch FROM now() - counted_at) AS age FROM search_state")


Read = Callable[[str, Any], Sequence[Any]]
"""Reads the rows of one statement with its parameters."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """The counts of one moment: of the most frequent words, in goods and in titles alone. `complete`: it is filled."""

    counted_at: datetime | None = None
    complete: bool = False
    goods: int = 0
    average_length: float = 0.0
    frequencies: Mapping[str, int] = field(default_factory=dict)
    titles: Mapping[str, int] = field(default_factory=dict)
    vocabulary: Vocabulary = field(default_factory=lambda: Vocabulary({}))


def count(connection: Connection, *, rest: float = 0.0) -> bool:
    """Count all words, unless nothing was written since; for the one process that fills the table.

    At least a minute and `rest` times as long as counting takes must have passed since the last time, where `rest` is
    above 0. Returns whether it was done. The caller commits.
    """
    changes = int(connection.execute(_CHANGES).scalar_one())
    state = connection.execute(_STATE).first()
    if state is None or (
        rest and state.age is not None and (changes == state.changes or state.age < max(60.0, rest * state.seconds))
    ):
        return False
    started = time.monotonic()
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    connection.execute(_COUNT, {"format": FORMAT, "mark": TITLE_MARK})
    connection.execute(_NOTE, {"changes": changes, "seconds": time.monotonic() - started, "format": FORMAT})
    return True


def read_statistics(read: Read, known: Statistics) -> Statistics:
    """`known` where it is the newest count, otherwise that."""
    [state] = read("SELECT counted_at, filled_to IS NULL, goods, average_length FROM search_state", None) or [
        (None, False, 0, 0.0)
    ]
    if (state[0], state[1]) == (known.counted_at, known.complete):
        return known
    words = read("SELECT word, goods, titles FROM search_words ORDER BY goods DESC LIMIT %s", (MOST_WORDS,))
    return Statistics(
        counted_at=state[0],
        complete=state[1],
        goods=state[2],
        average_length=state[3],
        frequencies={word: goods for word, goods, _ in words},
        titles={word: titles for word, _, titles in words if titles},
        vocabulary=Vocabulary({word: goods for word, goods, titles in words if titles and is_word(word)}),
    )
