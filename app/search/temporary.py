"""A search engine over goods that are in no database, for as long as a block lasts: for evaluations and benchmarks."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from app.language.analysis import Analyser
from app.search.documents import Document
from app.search.engine import search
from app.search.engines import Engine
from app.search.evaluation import Find
from app.search.index import Changes, SearchIndex
from app.search.postgres.temporary import temporary_engine
from app.search.snapshot import Filters, SearchSort

_BATCH: Final = 500


@contextmanager
def temporary_whoosh(
    documents: Sequence[Document],
    *,
    analyser: Analyser | None = None,
    progress: Callable[[int], None] = lambda _goods: None,
) -> Iterator[Find]:
    """A Whoosh index of `documents` in a temporary folder. `progress` is told how many more goods are in it.

    `analyser`: the application's, with an operator's words; by default one with ours alone.
    """
    with tempfile.TemporaryDirectory(prefix="saltfish-search-") as folder:
        index = SearchIndex(Path(folder) / "search", analyser=analyser, check_every=float("inf"))
        index.rebuild(_batches(documents, progress), reload=lambda _ids: Changes([], []))
        snapshot = index.snapshot()
        snapshot.vocabulary()  # so that the first query does not wait for it
        try:
            yield _find_in(index)
        finally:
            snapshot.close()


@contextmanager
def temporary_postgres(
    url: str,
    documents: Sequence[Document],
    *,
    analyser: Analyser | None = None,
    progress: Callable[[int], None] = lambda _goods: None,
) -> Iterator[Find]:
    """PostgreSQL's tables with `documents`, in a schema of their own in the database at `url`."""
    with tempfile.TemporaryDirectory(prefix="saltfish-search-") as folder:
        analyser = analyser or Analyser(cache_dir=Path(folder))
        with temporary_engine(url, _batches(documents, progress), analyser=analyser) as engine:
            engine.vocabulary()
            yield _find_in(engine)


def _batches(documents: Sequence[Document], progress: Callable[[int], None]) -> Iterator[Sequence[Document]]:
    for start in range(0, len(documents), _BATCH):
        batch = documents[start : start + _BATCH]
        yield batch
        progress(len(batch))


def _find_in(engine: Engine) -> Find:
    def find(text: str, size: int) -> Sequence[int]:
        hits = search(engine, text, filters=Filters(), sort=SearchSort.RELEVANCE, size=size)
        return hits.page.ids

    return find
