"""An index belongs to one market: another one that is given its folder neither reads nor changes it, and says why."""

import re
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.answers import Answer
from app.search import service
from app.search.documents import Document
from app.search.errors import IndexForeign
from app.search.index import Changes, SearchIndex
from config import Settings
from tests.factories import assert_envelope, make_good, make_user
from tests.search.steps import announce, ids, waiting

pytestmark = pytest.mark.usefixtures("clean", "no_index")

THEIRS = Document(
    good_id=7, title="他们的台灯", description="", category=8, price=100, published=1_700_000_000, trade_mode=7
)
HINT = "give each its own INSTANCE_PATH or SEARCH_INDEX_PATH, or run: flask search rebuild --take-over"


@pytest.fixture
def theirs(settings: Settings) -> SearchIndex:
    """Another market's index, in our folder."""
    index = SearchIndex(settings.search_index_path, owner="0123456789ab")
    index.rebuild([[THEIRS]], reload=lambda _ids: Changes([], []))
    return index


def files(folder: Path) -> dict[str, bytes]:
    """What is in the folder, but for locks and dictionaries."""
    found = (
        path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock" and "jieba" not in path.parts
    )
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def rebuild(app: Flask, *options: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=["search", "rebuild", *options])
    return result.exit_code, result.output


def test_another_markets_index_is_left_alone(
    app: Flask, client: FlaskClient, settings: Settings, theirs: SearchIndex
) -> None:
    good = make_good(app, make_user(app), title="我们的台灯")
    announce(app, good.id)
    before, foreign = (
        files(settings.search_index_path),
        f"{settings.search_index_path} holds the search index of another market",
    )
    with app.app_context():
        assert service.drain_outbox() == 0
    assert waiting(app) == 1
    found = assert_envelope(client.get("/test/?q=台灯"), Answer.GOOD_FOUND)
    assert [each["id"] for each in found["items"]] == [good.id]  # PostgreSQL answers
    assert rebuild(app)[0] == 1
    assert rebuild(app)[1].endswith(f"Error: {foreign}; {HINT}\n")
    status = app.test_cli_runner().invoke(args=["search", "status"])
    assert (status.exit_code, status.output) == (1, f"Error: {foreign}; {HINT}\n")
    assert files(settings.search_index_path) == before
    assert ids(theirs, "台灯") == [7]


def test_who_says_so_takes_it_over(app: Flask, client: FlaskClient, theirs: SearchIndex) -> None:
    good = make_good(app, make_user(app), title="我们的台灯")
    code, output = rebuild(app, "--take-over")
    assert (code, "1 goods in the index" in output) == (0, True)
    found = assert_envelope(client.get("/test/?q=台灯"), Answer.GOOD_FOUND)
    assert [each["id"] for each in found["items"]] == [good.id]
    for use in (
        theirs.check,
        theirs.snapshot,
        theirs.status,
        lambda: theirs.rebuild([], reload=lambda _: Changes([], [])),
    ):
        with pytest.raises(IndexForeign):
            use()
    with pytest.raises(IndexForeign), theirs.writing():
        pass


def test_an_index_from_before_is_built_anew(app: Flask, settings: Settings) -> None:
    SearchIndex(settings.search_index_path).rebuild([[THEIRS]], reload=lambda _ids: Changes([], []))
    good = make_good(app, make_user(app), title="我们的台灯")
    with app.app_context():
        service.drain_outbox()
        index = service.search_index()
        assert ids(index, "台灯") == [good.id]
        assert re.fullmatch(r"index-v[0-9]+-[0-9a-f]{12}-\d{8}T\d{6}-[0-9a-f]{8}", index.status().folder)
