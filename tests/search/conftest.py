"""What tests of search need: an index of their own."""

import gc
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from app.language.analysis import Analyser
from app.search.index import SearchIndex
from app.search.postgres.engine import PostgresEngine
from app.search.postgres.temporary import temporary_engine
from config import Settings
from tests.search.steps import TestedEngine


@pytest.fixture
def index(tmp_path: Path) -> SearchIndex:
    """An index that does not exist yet, in a folder of its own. No application is needed."""
    return SearchIndex(tmp_path / "search")


@pytest.fixture(scope="session")
def postgres_tables(stores: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresEngine]:
    """PostgreSQL's tables in a schema of their own, which tests fill anew. No application is needed."""
    analyser = Analyser(cache_dir=tmp_path_factory.mktemp("jieba"))
    with temporary_engine(stores[0], [], analyser=analyser) as engine:
        yield engine


@pytest.fixture(params=["whoosh", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> TestedEngine:
    """Each engine in turn, to be `filled`."""
    if request.param == "whoosh":
        return SearchIndex(tmp_path / "search")
    postgres: PostgresEngine = request.getfixturevalue("postgres_tables")
    return postgres


@pytest.fixture
def no_index(app: Flask, settings: Settings) -> Iterator[None]:
    """The application has no index when the test begins, and knows nothing of PostgreSQL's tables."""
    _forget_engines(app)
    shutil.rmtree(settings.search_index_path, ignore_errors=True)
    yield
    _forget_engines(app)


def _forget_engines(app: Flask) -> None:
    app.extensions.pop("saltfish.search", None)
    postgres = app.extensions.pop("saltfish.search.postgres", None)
    if postgres is not None:
        postgres.dispose()


@pytest.fixture
def leaking_whoosh() -> Iterator[None]:
    """Whoosh does not close a file that it cannot read; the tests that use this ignore the warning that it gives."""
    yield
    gc.collect()
