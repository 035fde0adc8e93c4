"""The engine in PostgreSQL: written with the goods, filled beside them, answering where Whoosh cannot."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text, update

from app.answers import Answer
from app.db.database import db
from app.db.transactions import transaction
from app.goods.models import Good
from app.goods.service import delete_good
from app.outbox.models import Topic
from app.outbox.service import add_message
from app.search import selection, service
from app.search.checks import check_engines, readiness
from app.search.engine import search
from app.search.engines import postgres_engine, search_index
from app.search.errors import IndexBusy
from app.search.postgres import filling, snapshot
from app.search.postgres.documents import FORMAT
from app.search.postgres.engine import PostgresEngine
from app.search.postgres.models import SearchDocument, SearchState
from app.search.postgres.temporary import temporary_engine
from app.search.selection import Start
from app.search.snapshot import Filters, SearchSort, Selection
from statemachine import GoodStatus
from tests.conftest import MakeApp
from tests.factories import Made, assert_envelope, auth_headers, make_address, make_good, make_user
from tests.goods.steps import release as release_by_form
from tests.goods.steps import review
from tests.search.steps import announce, change_good, document, filled, find, ids, release, waiting, written

pytestmark = [
    pytest.mark.usefixtures("clean", "no_index", "leaking_whoosh"),
    # What Whoosh leaves open of a broken index may be closed by a later test, when the log lets go of the error.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def market(make_app: MakeApp) -> Flask:
    """The application with PostgreSQL as its engine."""
    return make_app(SEARCH_ENGINE="postgres")


def found(app: Flask, q: str, **query: Any) -> dict[int, str]:
    """The goods of `GET /test/` with their prices, in order."""
    answer = app.test_client().get("/test/", query_string={"q": q, **query})
    assert answer.status_code == 200, answer.text
    return {item["id"]: item["price"] for item in answer.get_json()["data"]["items"]}


def rows(app: Flask) -> list[tuple[int, int]]:
    """The goods of the table, and their prices."""
    with app.app_context(), db.engine.connect() as connection:
        statement = select(SearchDocument.good_id, SearchDocument.price).order_by(SearchDocument.good_id)
        return [(row.good_id, row.price) for row in connection.execute(statement)]


def drain(app: Flask) -> int:
    with app.app_context():
        return service.drain_outbox()


# Written with the goods


def test_a_good_is_found_from_its_commit_on_and_until_it_is_not_for_sale(market: Flask) -> None:
    """The way of a good over HTTP, without any worker: what the answer of a step says, search says at once."""
    client, owner, buyer, staff = (
        market.test_client(),
        make_user(market),
        make_user(market),
        make_user(market, staff=True),
    )
    good = release_by_form(market, client, owner, title="九成新台灯", price="50.00")
    good_id = good["id"]
    assert found(market, "台灯") == {}
    review(market, good_id)
    assert found(market, "台灯") == {good_id: "50.00"}

    def post(url: str, actor: Made, body: Any = None) -> Any:
        answer = client.post(url, json=body or {}, headers=auth_headers(market, actor))
        assert answer.status_code == 200, answer.text
        return answer.get_json()["data"]

    edited = client.patch(f"/api/good_edit/{good_id}/", json={"price": "48.00"}, headers=auth_headers(market, owner))
    assert edited.status_code == 200, edited.text
    assert found(market, "台灯") == {good_id: "48.00"}  # a change of price alone never takes it out
    order = post(f"/api/buy/{good_id}/", buyer, {"address_id": make_address(market, buyer).id})
    assert found(market, "台灯") == {}
    post(f"/api/cancel_order/{order['id']}/", buyer)
    assert found(market, "台灯") == {good_id: "48.00"}
    for verb in ("good", "user"):
        subject, why = (good_id if verb == "good" else owner.id), {"reason": "假货,多人举报"}
        post(f"/api/staff/{'take_down_good' if verb == 'good' else 'suspend_user'}/{subject}/", staff, why)
        assert found(market, "台灯") == {}
        post(f"/api/staff/{'restore_good' if verb == 'good' else 'lift_suspension'}/{subject}/", staff, why)
        assert found(market, "台灯") == {good_id: "48.00"}
    with market.app_context():
        delete_good(owner_id=owner.id, good_id=good_id)
    assert (found(market, "台灯"), rows(market)) == ({}, [])


def test_connections_that_the_server_ended_fail_no_search(market: Flask) -> None:
    good = make_good(market, make_user(market), title="台灯")
    announce(market, good.id)
    with market.app_context(), db.engine.connect() as connection:
        begun = connection.scalar(text("SELECT clock_timestamp()"))  # what other tests keep open lives on
    assert set(found(market, "台灯")) == {good.id}
    with market.app_context(), db.engine.connect() as connection:
        ended = text(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
            "WHERE application_name = 'saltfish-search' AND datname = current_database() AND backend_start > :begun"
        )
        assert connection.scalar(ended, {"begun": begun}) >= 1
    assert set(found(market, "台灯")) == {good.id}


def test_what_is_rolled_back_is_not_written(app: Flask) -> None:
    good = make_good(app, make_user(app), title="台灯")

    def fail() -> None:
        with transaction() as session:
            add_message(session, Topic.SEARCH_INDEX, good.id)
            raise RuntimeError("too late")

    with app.app_context(), pytest.raises(RuntimeError, match="too late"):
        fail()
    assert (rows(app), waiting(app)) == ([], 0)
    announce(app, good.id)
    assert rows(app) == [(good.id, good.price)]


def test_what_the_transaction_ends_with_counts(app: Flask) -> None:
    """The message may come before the last change, and for several goods, some of which there are not."""
    goods = [make_good(app, make_user(app), title="台灯") for _ in range(2)]
    with app.app_context(), transaction() as session:
        for good_id in (goods[1].id, goods[0].id, 2**40):
            add_message(session, Topic.SEARCH_INDEX, good_id)
        session.get_one(Good, goods[0].id).price = 700
        session.get_one(Good, goods[1].id).status = GoodStatus.SOLD
    assert rows(app) == [(goods[0].id, 700)]


# Filled


def test_a_drain_fills_the_table_with_what_was_there_before(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "_BATCH", 2)
    owner = make_user(app)
    goods = [make_good(app, owner, title=f"台灯 {number}") for number in range(5)]
    sold, changed = release(app, "台灯", owner=owner), release(app, "台灯", owner=owner)
    for good, columns in ((sold, {"status": GoodStatus.SOLD}), (changed, {"price": 777})):
        change_good(app, good, **columns)  # as a restored backup would, or somebody by hand
    with app.app_context():
        assert not postgres_engine().is_complete()
        assert filling.fill(service.analyser(), seconds=0) is False  # one batch
    assert [good_id for good_id, _ in rows(app)] == [goods[0].id, goods[1].id, sold.id, changed.id]
    drain(app)
    assert rows(app) == [*((good.id, good.price) for good in goods), (changed.id, 777)]
    with app.app_context():
        assert postgres_engine().is_complete()
        assert sorted(ids(postgres_engine(), "台灯")) == [good_id for good_id, _ in rows(app)]


def test_rows_of_an_older_format_are_passed_over_and_written_again(app: Flask) -> None:
    good = release(app, "台灯")
    drain(app)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(SearchDocument).values(format=FORMAT - 1, columns=b"", counts=b"old"))
        connection.execute(update(SearchState).values(format=FORMAT - 1))
    with app.app_context():
        assert ids(postgres_engine(), "台灯") == []
    drain(app)
    with app.app_context():
        assert ids(postgres_engine(), "台灯") == [good.id]


def test_only_one_fills(app: Flask) -> None:
    make_good(app, make_user(app), title="台灯")
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(filling._ALONE)
        assert service.drain_outbox() == 0
        with pytest.raises(IndexBusy):
            service.rebuild_postgres()
    assert rows(app) == []
    with app.app_context():
        assert service.rebuild_postgres() == 1


def test_words_are_counted_anew_when_goods_have_changed_and_not_at_each_drain(app: Flask) -> None:
    release(app, "连衣裙")
    drain(app)
    with app.app_context():
        assert len(postgres_engine().vocabulary()) > 0
        with db.engine.begin() as connection:
            # PostgreSQL tells its numbers of rows written when a connection has been idle, or is asked to.
            connection.execute(text("SELECT pg_stat_force_next_flush()"))
        first = db.session.scalar(select(SearchState.counted_at))
        db.session.rollback()
        assert filling.count_words(rest=1.0) is False  # within the minute
        assert filling.count_words() is True
        assert db.session.scalar(select(SearchState.counted_at)) > first


# Where Whoosh cannot answer


def test_postgresql_answers_while_there_is_no_index(app: Flask) -> None:
    good = release(app, "台灯")
    assert list(found(app, "台灯")) == [good.id]
    with app.app_context():
        assert readiness() == (True, "whoosh: no index yet; postgres answers as far as it is filled")
    drain(app)
    with app.app_context():
        assert readiness() == (True, "whoosh")


@pytest.mark.parametrize("suffix", [".toc", ".seg"])
def test_flipped_bytes_stop_nothing(app: Flask, suffix: str) -> None:
    """PostgreSQL answers, the next drain builds the index anew, and then that answers again."""
    good = release(app, "台灯")
    drain(app)
    with app.app_context():
        folder = search_index()._current()
        for file in folder.glob(f"*{suffix}"):
            file.write_bytes(bytes(byte ^ 0x55 for byte in file.read_bytes()))
        app.extensions.pop("saltfish.search")
    for _ in range(2):
        assert list(found(app, "台灯")) == [good.id]
    with app.app_context():
        assert readiness() == (True, "whoosh: the index is damaged; postgres answers")
    drain(app)
    with app.app_context():
        assert readiness() == (True, "whoosh")
        assert search_index()._current() != folder
        assert ids(search_index(), "台灯") == [good.id]


def test_where_neither_can_answer_search_says_so(app: Flask, client: FlaskClient) -> None:
    release(app, "台灯")
    with app.app_context():
        service.rebuild()
        search_index().mark_damaged()
        (search_index()._current() / "left").touch()
        for file in search_index()._current().glob("*.toc"):
            file.unlink()
        app.extensions.pop("saltfish.search")
        assert not postgres_engine().is_complete()
        assert readiness() == (False, "whoosh: the index is damaged; postgres is not filled")
    assert_envelope(client.get("/test/?q=台灯"), Answer.NOT_READY)


# A replica


def test_a_replica_that_is_behind_never_shows_what_is_gone(make_app: MakeApp, stores: tuple[str, str]) -> None:
    app = make_app(SEARCH_ENGINE="postgres")
    here, sold = release(app, "台灯", price=500), release(app, "台灯", price=600)
    with app.app_context():
        analyser = service.analyser()
    # Another schema stands for the replica: a good is there that is not for sale any more.
    rows_there = [document(good.id, "台灯", price=good.price) for good in (here, sold)]
    with temporary_engine(stores[0], [rows_there], analyser=analyser) as behind, app.app_context():
        engine = postgres_engine()
        engine._databases.insert(0, behind._databases[0])
        change_good(app, sold, status=GoodStatus.SOLD)
        assert sorted(ids(engine, "台灯")) == [here.id, sold.id]
        answer = assert_envelope(app.test_client().get("/test/?q=台灯"), Answer.GOOD_FOUND)
        assert ([item["id"] for item in answer["items"]], answer["total"]) == ([here.id], 1)
        assert ids(engine, "台灯") == [here.id]  # and it stays away for a while
        engine._databases.pop(0)


def test_while_the_replica_does_not_answer_the_primary_does(make_app: MakeApp) -> None:
    app = make_app(SEARCH_ENGINE="postgres", DATABASE_REPLICA_URL="postgresql+psycopg://127.0.0.1:1/nothing")
    good = release(app, "台灯")
    assert list(found(app, "台灯")) == [good.id]


# Compared


def test_the_check_names_what_is_missing_extra_or_priced_otherwise(app: Flask) -> None:
    owner = make_user(app)
    goods = [release(app, f"台灯 {number}", owner=owner, price=1000) for number in range(4)]
    drain(app)
    runner = app.test_cli_runner()
    whole = runner.invoke(args=["search", "check"])
    assert (whole.exit_code, whole.output) == (0, "whoosh: 4 goods\npostgres: 4 goods\n")
    change_good(app, goods[0], status=GoodStatus.SOLD)
    change_good(app, goods[1], price=2000)
    late = make_good(app, owner, title="落地灯")
    with app.app_context():
        for each in check_engines():
            assert (each.missing, each.extra, each.priced_otherwise) == ((late.id,), (goods[0].id,), (goods[1].id,))
    told = runner.invoke(args=["search", "check"])
    assert told.exit_code == 1
    assert told.output.splitlines()[5:] == [
        "postgres: 4 goods",
        f"  1 for sale, and not in it: {late.id}",
        f"  1 in it, and not for sale: {goods[0].id}",
        f"  1 in it with another price: {goods[1].id}",
        "  to mend it: flask search rebuild --engine postgres",
    ]
    for engine in ("whoosh", "postgres"):
        rebuilt = runner.invoke(args=["search", "rebuild", "--engine", engine])
        assert (rebuilt.exit_code, "4 goods in the index" in rebuilt.output) == (0, True)
    assert runner.invoke(args=["search", "check"]).exit_code == 0


def test_what_waits_is_not_held_against_whoosh(app: Flask) -> None:
    drain(app)
    release(app, "台灯")
    with app.app_context():
        assert [each.ok for each in check_engines()] == [True, True]


def test_with_postgresql_as_the_engine_a_drain_has_nothing_to_write(market: Flask) -> None:
    good = release(market, "台灯")
    assert (drain(market), waiting(market)) == (1, 0)
    assert list(found(market, "台灯")) == [good.id]
    with market.app_context():
        assert not search_index()._path.joinpath("current").exists()
        assert readiness() == (True, "postgres")
        assert [(each.engine, each.ok) for each in check_engines()] == [("postgres", True)]


# More than is gathered


@pytest.fixture
def many(postgres_tables: PostgresEngine, monkeypatch: pytest.MonkeyPatch) -> PostgresEngine:
    """Sixty lamps, of which only some are gathered; every third has the word in its description alone."""
    monkeypatch.setattr(snapshot, "GATHERED", 8)
    monkeypatch.setattr(snapshot, "FIRST", 5)
    monkeypatch.setattr(selection, "HEAD", 4)
    lamps = (
        document(number, "台灯" if number % 3 else "旧物", "送台灯", price=number % 7, category=4 + number % 2)
        for number in range(1, 61)
    )
    return filled(postgres_tables, *lamps)


def test_of_many_the_newest_with_the_words_in_their_titles_come_first(many: PostgresEngine) -> None:
    found = find(many, "台灯", size=4)
    assert (found.page.ids, found.complete) == ([59, 58, 56, 55], False)
    assert found.page.total >= 8
    assert find(many, "台灯", size=4, category=5).page.ids == [59, 55, 53, 49]


@pytest.mark.parametrize("sort", [SearchSort.NEWEST, SearchSort.PRICE_ASC, SearchSort.PRICE_DESC])
@pytest.mark.parametrize("filters", [{}, {"category": 5, "price_min": 2}])
def test_cursors_lead_through_all_of_them(many: PostgresEngine, sort: SearchSort, filters: dict[str, int]) -> None:
    shown: list[int] = []
    start: Start | None = selection.BEGINNING
    while start is not None:
        page = search(many, "台灯", filters=Filters(**filters), sort=sort, start=start, size=3).page
        shown, start = shown + page.ids, page.next
    wanted = [number for number in range(1, 61) if not filters or (number % 2 and number % 7 >= 2)]
    by_price = {SearchSort.NEWEST: 0, SearchSort.PRICE_ASC: 1, SearchSort.PRICE_DESC: -1}[sort]
    assert shown == sorted(wanted, key=lambda number: (by_price * (number % 7), -number))


def test_cursors_by_relevance_show_no_good_twice(many: PostgresEngine) -> None:
    shown: list[int] = []
    start: Start | None = selection.BEGINNING
    while start is not None:
        page = search(many, "台灯", filters=Filters(), sort=SearchSort.RELEVANCE, start=start, size=3).page
        shown, start = shown + page.ids, page.next
    assert len(shown) == len(set(shown))
    assert set(shown) >= {number for number in range(1, 61) if number % 3}


def test_words_that_came_since_they_were_counted_are_looked_up(postgres_tables: PostgresEngine) -> None:
    filled(postgres_tables, document(1, "台灯"))
    written(postgres_tables, [document(2, "拉布布"), document(3, "拉布布")])
    reading = postgres_tables.snapshot(Selection(filters=Filters(), sort=SearchSort.RELEVANCE, count=20))
    assert [reading.frequency(word) for word in ("台灯", "拉布布", "it's", "a\\b")] == [1, 2, 0, 0]
    assert ids(postgres_tables, "拉布布") == [3, 2]
