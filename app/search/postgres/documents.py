"""Goods as rows of `search_documents`: written with the good's own change, in the same transaction."""

import zlib
from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from app.language.analysis import Analyser
from app.search import documents
from app.search.documents import Document, column_values, tokens_of
from app.search.snapshot import COLUMNS

FORMAT: Final = 10 * documents.FORMAT + 1
"""Increase the last digit when the packing changes: older rows then count as missing, and are written again."""

TITLE_MARK: Final = "\x02"
"""Stands before the tokens of titles, so that the index alone tells who has a word in the title. No token begins so."""

COLUMN_TYPE: Final = np.dtype("<i8")
"""`columns`: the values of `COLUMNS`, and how many entries `counts` has."""

COUNT_TYPE: Final = np.dtype([("token", "<u4"), ("count", "<u2")])
"""`counts`: a token's hash, and how often the good has it, weighted."""

# PostgreSQL refuses lexemes of 2 KiB. Nobody looks for a word of that length either.
_LONGEST_TOKEN: Final = 255
_MOST: Final = np.iinfo(np.uint16).max

_WRITE: Final = text(
    """
    INSERT INTO search_documents
        (good_id, format, category, trade_mode, condition, price, freight, published, length, tokens, columns, counts)
    VALUES (:good_id, :format, :category, :trade_mode, :condition, :price, :freight, :published, :length,
        array_to_tsvector(CAST(:tokens AS text[])), :columns, :counts)
    ON CONFLICT (good_id) DO UPDATE SET
        (format, category, trade_mode, condition, price, freight, published, length, tokens, columns, counts) =
        (EXCLUDED.format, EXCLUDED.category, EXCLUDED.trade_mode, EXCLUDED.condition, EXCLUDED.price, EXCLUDED.freight,
            EXCLUDED.published, EXCLUDED.length, EXCLUDED.tokens, EXCLUDED.columns, EXCLUDED.counts)
    """
)
_REMOVE: Final = text("DELETE FROM search_documents WHERE good_id = ANY(:good_ids)")


def write(connection: Connection | Session, analyser: Analyser, changed: Sequence[Document]) -> None:
    """Add or replace these goods, in the order of their ids, which everybody keeps who locks several."""
    if changed:
        rows = [row_of(analyser, document) for document in changed]
        connection.execute(_WRITE, sorted(rows, key=lambda row: int(row["good_id"])))


def remove(connection: Connection | Session, good_ids: Collection[int]) -> None:
    """Take these goods out."""
    if good_ids:
        connection.execute(_REMOVE, {"good_ids": sorted(good_ids)})


def token_hash(token: str) -> int:
    """What stands for `token` in `counts`. Two of a query's and a good's words are the same once in 10^8 goods."""
    return zlib.crc32(token.encode())


def row_of(analyser: Analyser, document: Document) -> dict[str, Any]:
    """The row of `document`."""
    counted = tokens_of(analyser, document)
    counts = {token: min(count, _MOST) for token, count in counted.weighted().items() if len(token) <= _LONGEST_TOKEN}
    packed = np.fromiter(
        ((token_hash(token), count) for token, count in counts.items()), dtype=COUNT_TYPE, count=len(counts)
    )
    values = column_values(document, counted)
    return {
        "good_id": document.good_id,
        "format": FORMAT,
        "category": document.category,
        "trade_mode": document.trade_mode,
        "condition": values["condition"],
        "price": document.price,
        "freight": document.freight,
        "published": document.published,
        "length": counted.length,
        "tokens": [*counts, *(TITLE_MARK + token for token in counted.title if len(token) <= _LONGEST_TOKEN)],
        "columns": np.array([*(values[name] for name in COLUMNS), len(counts)], COLUMN_TYPE).tobytes(),
        "counts": packed.tobytes(),
    }
