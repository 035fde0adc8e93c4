"""Search engines side by side, each with the same few verbs: ours, and those that people would otherwise take.

Except for Whoosh as its tutorials show it, all of them get the tokens of `app.language.analysis`, the title's three
times as our own index counts them. Each can be asked plainly (all tokens, and where fewer are found than asked for then
some of them) or with our understanding of the query, as groups of alternatives and limits of the price.
"""

import logging
import os
import sqlite3
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import numpy as np
import orjson
import tantivy
import whoosh.index
import whoosh.query
from sqlalchemy import Engine as Database
from whoosh.fields import ID, NUMERIC, TEXT, Schema
from whoosh.qparser import MultifieldParser, OrGroup

from app.language.analysis import Analyser
from app.language.normal_form import normalise
from app.language.vocabulary import Vocabulary
from app.search.documents import Document, tokens_of
from app.search.engine import search
from app.search.engines import Engine
from app.search.index import Changes, SearchIndex
from app.search.postgres.documents import write
from app.search.postgres.engine import PostgresEngine, search_database
from app.search.postgres.temporary import make_tables
from app.search.snapshot import Filters, SearchSort, Selection
from app.search.understanding import Alternative, ConstraintName, Group, Understanding
from app.search.understanding.reader import understand

_BATCH: Final = 1000
_NO_FILTERS: Final = Filters()

Part = TypeVar("Part")

Progress = Callable[[int], None]
"""Is told how many more goods are in."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for: groups of alternatives of tokens, and limits of the price in fen."""

    groups: Sequence[Sequence[Sequence[str]]]
    price_min: int | None = None
    price_max: int | None = None


class Reader(Protocol):
    """An opened index."""

    def find(self, text: str, size: int) -> Sequence[int]:
        """The ids of the first `size` goods for all tokens of `text`, then for some of them."""

    def find_understood(self, text: str, size: int) -> Sequence[int]:
        """The ids of the first `size` goods for what `text` means."""

    def add(self, document: Document) -> None:
        """Put a good in, as for production: it is found once this returns, or soon after."""


class Contestant(Protocol):
    """An engine that takes part. Where files are its own, they are in the folder."""

    def build(self, folder: Path, documents: Sequence[Document], progress: Progress) -> None:
        """Write an index of `documents` into `folder`, which exists."""

    def opened(self, folder: Path) -> AbstractContextManager[Reader]:
        """The index in `folder`, for one process."""

    def size(self, folder: Path) -> int:
        """The bytes of the index on disk."""


class _Files:
    """What keeps its index in files."""

    def size(self, folder: Path) -> int:
        """Their size, without what is only there for our understanding."""
        return sum(
            file.stat().st_size
            for file in folder.rglob("*")
            if file.is_file() and file.name not in {_VOCABULARY, "jieba.cache"}
        )


# Ours


class OurWhoosh(_Files):
    """The engine for one host."""

    def build(self, folder: Path, documents: Sequence[Document], progress: Progress) -> None:
        """Write the index as `flask search rebuild` does."""
        SearchIndex(folder).rebuild(batches(documents, progress), reload=lambda _ids: Changes([], []))

    @contextmanager
    def opened(self, folder: Path) -> Iterator[Reader]:
        """The index as a web worker has it."""
        index = SearchIndex(folder)
        snapshot = index.snapshot(Selection(filters=_NO_FILTERS, sort=SearchSort.RELEVANCE, count=1))
        snapshot.vocabulary()
        yield _OurReader(index, lambda document: _write(index, document))


def _write(index: SearchIndex, document: Document) -> None:
    with index.writing() as change:
        change(Changes([document], []))


class _OurReader:
    def __init__(self, engine: Engine, write: Callable[[Document], None]) -> None:
        self._engine = engine
        self.add = write

    def find(self, text: str, size: int) -> Sequence[int]:
        """The tokens as they are: all of them, and then some."""
        normalised = normalise(text)
        tokens = self._engine.analyser.query_tokens(normalised)
        groups = tuple(Group((Alternative((token.text,)),), token.start, token.end) for token in tokens)
        snapshot = self._engine.snapshot(Selection(filters=_NO_FILTERS, sort=SearchSort.RELEVANCE, count=size))
        matches = snapshot.matches(Understanding(text=normalised, groups=groups))
        order = np.lexsort((-matches.score, ~matches.full))
        best: list[int] = matches.good_id[order[:size]].tolist()
        return best

    def find_understood(self, text: str, size: int) -> Sequence[int]:
        """What the market's search answers."""
        found = search(self._engine, text, filters=_NO_FILTERS, sort=SearchSort.RELEVANCE, size=size)
        return found.page.ids


class OurPostgres:
    """The engine for several hosts, in the database that DATABASE_URL names."""

    def build(self, folder: Path, documents: Sequence[Document], progress: Progress) -> None:
        """Create and fill the tables in a database that does not have them."""
        with _bench_database() as database, database.connect() as connection:
            make_tables(connection, Analyser(cache_dir=folder / "jieba"), batches(documents, progress))

    @contextmanager
    def opened(self, folder: Path) -> Iterator[Reader]:
        """The tables as a web worker reads them; goods are added as the transaction of a change does."""
        with _bench_database() as database:
            engine = PostgresEngine(database, analyser=Analyser(cache_dir=folder / "jieba"))
            engine.vocabulary()

            def add(document: Document) -> None:
                with database.connect() as connection:
                    write(connection, engine.analyser, [document])

            yield _OurReader(engine, add)

    def size(self, folder: Path) -> int:  # noqa: ARG002 - the protocol's
        """The size of the tables with their indexes."""
        with _bench_database() as database, database.connect() as connection:
            statement = (
                "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relname ~ '^search_' AND relkind = 'r'"
            )
            return int(connection.exec_driver_sql(statement).scalar_one())


@contextmanager
def _bench_database() -> Iterator[Database]:
    database = search_database(os.environ["DATABASE_URL"], pool_size=2, statement_timeout=0)
    try:
        yield database
    finally:
        database.dispose()


# Whoosh as its tutorials show it, with the analyser that comes with jieba


class TutorialWhoosh(_Files):
    """A schema of TEXT fields with `ChineseAnalyzer`, a `MultifieldParser`, a new searcher for each search."""

    def build(self, folder: Path, documents: Sequence[Document], progress: Progress) -> None:
        """Add the goods one after another."""
        analyser = _chinese_analyzer(folder)
        schema = Schema(
            id=ID(stored=True, unique=True),
            title=TEXT(stored=True, analyzer=analyser, field_boost=3.0),
            description=TEXT(stored=True, analyzer=analyser),
            price=NUMERIC(stored=True),
        )
        writer = whoosh.index.create_in(folder, schema).writer(limitmb=256)
        for batch in batches(documents, progress):
            for each in batch:
                writer.add_document(**_tutorial_fields(each))
        writer.commit()
        write_vocabulary(folder, documents)

    @contextmanager
    def opened(self, folder: Path) -> Iterator[Reader]:
        """The index."""
        _chinese_analyzer(folder)
        yield _TutorialReader(whoosh.index.open_dir(folder), Understander(folder))


def _chinese_analyzer(folder: Path) -> Any:

    with warnings.catch_warnings():
        # jieba 0.42.1 has invalid escape sequences and imports pkg_resources; there will be no newer release.
        warnings.simplefilter("ignore")
        import jieba
        from jieba.analyse import ChineseAnalyzer
    jieba.setLogLevel(logging.WARNING)
    jieba.dt.tmp_dir = str(folder)  # not the predictable name in the shared temporary folder
    return ChineseAnalyzer()


def _tutorial_fields(document: Document) -> dict[str, Any]:
    return {
        "id": str(document.good_id),
        "title": document.title,
        "description": document.description,
        "price": document.price,
    }


class _TutorialReader:
    def __init__(self, index: Any, understander: "Understander") -> None:
        self._index = index
        self._understander = understander
        self._all = MultifieldParser(["title", "description"], index.schema)
        self._some = MultifieldParser(["title", "description"], index.schema, group=OrGroup)

    def find(self, text: str, size: int) -> Sequence[int]:
        """Let Whoosh parse the query: all words, or where nothing is found some of them."""
        return self._found(self._all.parse(text), size) or self._found(self._some.parse(text), size)

    def find_understood(self, text: str, size: int) -> Sequence[int]:
        """The groups' alternatives, each parsed by Whoosh."""
        wanted = self._understander.wanted(text)
        groups = [
            whoosh.query.Or([self._all.parse(" ".join(tokens)) for tokens in alternatives])
            for alternatives in wanted.groups
        ]
        if wanted.price_min is not None or wanted.price_max is not None:
            groups.append(whoosh.query.NumericRange("price", wanted.price_min, wanted.price_max))
        return self._found(whoosh.query.And(groups), size) or self._found(whoosh.query.Or(groups), size)

    def _found(self, query: Any, size: int) -> list[int]:
        with self._index.searcher() as searcher:
            return [int(hit["id"]) for hit in searcher.search(query, limit=size)]

    def add(self, document: Document) -> None:
        """One commit."""
        writer = self._index.writer(timeout=30)
        writer.update_document(**_tutorial_fields(document))
        writer.commit()


# SQLite


class SQLite(_Files):
    """FTS5 over the tokens, joined by spaces."""

    def build(self, folder: Path, documents: Sequence[Document], progress: Progress) -> None:
        """Insert the goods in transactions of a thousand."""
        analyser = Analyser(cache_dir=folder / "jieba")
        with closing(sqlite3.connect(folder / "search.db")) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("CREATE TABLE goods (id INTEGER PRIMARY KEY, price INTEGER)")
            # detail=full: with less, bm25() of a table without content is 0. Every token stays as it is.
            database.execute(
                "CREATE VIRTUAL TABLE body USING fts5(words, content='', detail=full, "
                """tokenize="unicode61 remove_diacritics 0 tokenchars '+#.-*/&_'")"""
            )
            for batch in batches(documents, progress):
                with database:
                    database.executemany(
                        "INSERT INTO goods VALUES (?, ?)", [(each.good_id, each.price) for each in batch]
                    )
                    rows = [(each.good_id, words_of(analyser, each)) for each in batch]
                    database.executemany("INSERT INTO body (rowid, words) VALUES (?, ?)", rows)
            database.execute("INSERT INTO body (body) VALUES ('optimize')")
            database.commit()
        write_vocabulary(folder, documents)

    @contextmanager
    def opened(self, folder: Path) -> Iterator[Reader]:
        """The database."""
        with closing(sqlite3.connect(folder / "search.db", timeout=30)) as database:
            yield _SQLiteReader(database, Understander(folder))


class _SQLiteReader:
    def __init__(self, database: sqlite3.Connection, understander: "Understander") -> None:
        self._database = database
        self._understander = understander

    def find(self, text: str, size: int) -> Sequence[int]:
        """By `bm25()`."""
        return self._found(self._understander.plain(text), size)

    def find_understood(self, text: str, size: int) -> Sequence[int]:
        """By `bm25()`; prices in the WHERE."""
        return self._found(self._understander.wanted(text), size)

    def _found(self, wanted: Wanted, size: int) -> Sequence[int]:
        def run(joined: str) -> list[int]:
            price_min, price_max = wanted.price_min, wanted.price_max
            is_limited = price_min is not None or price_max is not None
            statement = "SELECT rowid FROM body WHERE body MATCH ? ORDER BY rank LIMIT ?"
            arguments: tuple[Any, ...] = (joined, size)
            if is_limited:
                statement = (
                    "SELECT body.rowid FROM body JOIN goods ON goods.id = body.rowid "
                    "WHERE body MATCH ? AND price BETWEEN ? AND ? ORDER BY rank LIMIT ?"
                )
                arguments = (joined, price_min or 0, 10**12 if price_max is None else price_max, size)
            return [row[0] for row in self._database.execute(statement, arguments)]

        return all_then_some(
            [f"({' OR '.join(f'({_quoted(tokens)})' for tokens in group)})" for group in wanted.groups],
            lambda parts: run(" AND ".join(parts)),
            lambda parts: run(" OR ".join(parts)),
            size,
        )

    def add(self, document: Document) -> None:
        """One transaction."""
        with self._database:
            self._database.execute("INSERT INTO goods VALUES (?, ?)", (document.good_id, document.price))
            row = (document.good_id, words_of(self._understander.analyser, document))
            self._database.execute("INSERT INTO body (rowid, words) VALUES (?, ?)", row)


def _quoted(tokens: Sequence[str]) -> str:
    return " AND ".join('"' + token.replace('"', '""') + '"' for token in tokens)


# tantivy


class Tantivy(_Files):
    """Lucene's ideas in Rust, with the tokens joined by spaces."""

    def build(self, folder: Path, documents: Sequence[Document], progress: Progress) -> None:
        """Add the goods and commit once."""
        analyser = Analyser(cache_dir=folder / "jieba")
        place = folder / "tantivy"
        place.mkdir()
        writer = _tantivy_index(place).writer(heap_size=256_000_000)
        for batch in batches(documents, progress):
            for each in batch:
                writer.add_document(_tantivy_document(analyser, each))
        writer.commit()
        writer.wait_merging_threads()
        write_vocabulary(folder, documents)

    @contextmanager
    def opened(self, folder: Path) -> Iterator[Reader]:
        """The index."""
        yield _TantivyReader(_tantivy_index(folder / "tantivy"), Understander(folder))


def _tantivy_schema() -> tantivy.Schema:
    return (
        tantivy.SchemaBuilder()
        .add_integer_field("id", stored=True, indexed=True, fast=True)
        .add_integer_field("price", indexed=True, fast=True)
        .add_text_field("words", tokenizer_name="whitespace", index_option="freq")
        .build()
    )


def _tantivy_index(place: Path) -> tantivy.Index:
    index = tantivy.Index(_tantivy_schema(), path=str(place))
    index.register_tokenizer("whitespace", tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build())
    return index


def _tantivy_document(analyser: Analyser, document: Document) -> tantivy.Document:
    return tantivy.Document.from_dict(
        {"id": document.good_id, "price": document.price, "words": words_of(analyser, document)}, _tantivy_schema()
    )


class _TantivyReader:
    def __init__(self, index: tantivy.Index, understander: "Understander") -> None:
        self._index = index
        self._schema = _tantivy_schema()
        self._understander = understander
        self._writer: tantivy.IndexWriter | None = None

    def find(self, text: str, size: int) -> Sequence[int]:
        """By tantivy's BM25."""
        return self._found(self._understander.plain(text), size)

    def find_understood(self, text: str, size: int) -> Sequence[int]:
        """Alternatives as a disjunction of which the best counts; prices as a range."""
        return self._found(self._understander.wanted(text), size)

    def _found(self, wanted: Wanted, size: int) -> Sequence[int]:
        searcher = self._index.searcher()

        def run(occur: tantivy.Occur, parts: Sequence[tantivy.Query]) -> list[int]:
            clauses = [(tantivy.Occur.Must, tantivy.Query.boolean_query([(occur, part) for part in parts]))]
            if wanted.price_min is not None or wanted.price_max is not None:
                limits = (wanted.price_min or 0, 10**12 if wanted.price_max is None else wanted.price_max)
                price = tantivy.Query.range_query(self._schema, "price", tantivy.FieldType.Integer, *limits)
                clauses.append((tantivy.Occur.Must, tantivy.Query.const_score_query(price, 0.0)))
            hits = searcher.search(tantivy.Query.boolean_query(clauses), size, count=False).hits
            ids = searcher.fast_field_values("id", [address for _, address in hits])
            return [int(number) for number in ids if number is not None]

        return all_then_some(
            [self._any_of(group) for group in wanted.groups],
            partial(run, tantivy.Occur.Must),
            partial(run, tantivy.Occur.Should),
            size,
        )

    def _any_of(self, alternatives: Sequence[Sequence[str]]) -> tantivy.Query:
        return tantivy.Query.disjunction_max_query(
            [
                tantivy.Query.boolean_query(
                    [
                        (tantivy.Occur.Must, tantivy.Query.term_query(self._schema, "words", token, "freq"))
                        for token in tokens
                    ]
                )
                for tokens in alternatives
            ]
        )

    def add(self, document: Document) -> None:
        """One commit, after which the searcher is opened anew."""
        self._writer = self._writer or self._index.writer()
        self._writer.add_document(_tantivy_document(self._understander.analyser, document))
        self._writer.commit()
        self._index.reload()


# What they share


def batches(documents: Sequence[Document], progress: Progress) -> Iterator[Sequence[Document]]:
    """`documents` in batches; `progress` is told of each once it is done."""
    for start in range(0, len(documents), _BATCH):
        batch = documents[start : start + _BATCH]
        yield batch
        progress(len(batch))


def words_of(analyser: Analyser, document: Document) -> str:
    """The tokens that a good is found by, each as often as our index counts it."""
    counts = tokens_of(analyser, document).weighted()
    return " ".join(token for token, count in counts.items() for _ in range(count))


def all_then_some(
    parts: Sequence[Part],
    find_all: Callable[[Sequence[Part]], list[int]],
    find_some: Callable[[Sequence[Part]], list[int]],
    size: int,
) -> list[int]:
    """What has all `parts`, then what has some of them."""
    if not parts:
        return []
    found = find_all(parts)
    if len(found) < size and len(parts) > 1:
        found += [each for each in find_some(parts) if each not in set(found)]
    return found[:size]


_VOCABULARY: Final = "vocabulary.json"


def write_vocabulary(folder: Path, documents: Sequence[Document]) -> None:
    """Write how many titles have each word: what our own engines read out of their index."""
    analyser = Analyser(cache_dir=folder / "jieba")
    counts = Counter(word for each in documents for word in set(analyser.index_tokens(each.title)))
    (folder / _VOCABULARY).write_bytes(orjson.dumps(counts))


class Understander:
    """Our understanding of queries, for engines that are not ours."""

    def __init__(self, folder: Path) -> None:
        self.analyser = Analyser(cache_dir=folder / "jieba")
        read: Mapping[str, int] = orjson.loads((folder / _VOCABULARY).read_bytes())
        self._vocabulary = Vocabulary(read)

    def plain(self, text: str) -> Wanted:
        """The tokens as they are."""
        tokens = self.analyser.query_tokens(normalise(text))
        return Wanted([[[token.text]] for token in tokens])

    def wanted(self, text: str) -> Wanted:
        """What the query means; what is implied and may fail (no variant of the model) is left out."""
        understanding = understand(text, analyser=self.analyser, vocabulary=self._vocabulary)
        groups = [[alternative.tokens for alternative in group.matching] for group in understanding.groups]
        price_min, price_max = (
            limit if isinstance(limit := understanding.limit(name), int) else None
            for name in (ConstraintName.PRICE_MIN, ConstraintName.PRICE_MAX)
        )
        return Wanted([group for group in groups if group], price_min, price_max)


CONTESTANTS: Final[Mapping[str, Contestant]] = {
    "ours: Whoosh": OurWhoosh(),
    "ours: PostgreSQL": OurPostgres(),
    "Whoosh + ChineseAnalyzer": TutorialWhoosh(),
    "SQLite FTS5": SQLite(),
    "tantivy": Tantivy(),
}
"""All that are measured, by the names in the tables."""
