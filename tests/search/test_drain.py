"""How the index follows the database: the outbox, crashes, rebuilds."""

import os
import signal
import threading

import pytest
from flask import Flask

from app.db.transactions import transaction
from app.outbox.models import Topic
from app.outbox.service import add_message
from app.search import goods_for_sale, service
from statemachine import GoodStatus
from tasks.queues import QueueName, enqueue_singleton
from tasks.search import drain_search_outbox
from tests.factories import make_good, make_user
from tests.processes import run_forked
from tests.search.steps import announce, change_good, ids, release, waiting

pytestmark = pytest.mark.usefixtures("clean", "no_index")


def drain(app: Flask, **options: int) -> int:
    with app.app_context():
        return service.drain_outbox(**options)


def indexed(app: Flask, text: str) -> list[int]:
    """The ids that the index alone finds, without a look at the database."""
    with app.app_context():
        return sorted(ids(service.search_index(), text, size=100))


def test_the_first_drain_makes_the_index_from_the_database(app: Flask) -> None:
    old = make_good(app, make_user(app), title="旧台灯")
    new = release(app, "新台灯")
    assert drain(app) == 1
    assert indexed(app, "台灯") == [old.id, new.id]
    assert waiting(app) == 0


def test_a_drain_without_messages_makes_the_index_too(app: Flask) -> None:
    good = make_good(app, make_user(app), title="台灯")
    assert drain(app) == 0
    assert indexed(app, "台灯") == [good.id]


def test_a_good_comes_in_when_published_and_goes_when_not(app: Flask) -> None:
    assert drain(app) == 0
    good = release(app, "台灯")
    assert indexed(app, "台灯") == []
    assert drain(app) == 1
    assert indexed(app, "台灯") == [good.id]
    for columns in (
        {"status": GoodStatus.IN_REVIEW},
        {"status": GoodStatus.IN_TRADE},
        {"status": GoodStatus.SOLD},
        {"status": GoodStatus.REJECTED},
        {"deleted": True},
    ):
        change_good(app, good, **columns)
        announce(app, good.id)
        assert drain(app) == 1
        assert indexed(app, "台灯") == []
        change_good(app, good, status=GoodStatus.PUBLISHED, deleted=False)
        announce(app, good.id)
        assert drain(app) == 1
        assert indexed(app, "台灯") == [good.id]


def test_an_edit_is_followed(app: Flask) -> None:
    good = release(app, "台灯")
    drain(app)
    change_good(app, good, title="落地灯", price=9900, category=5, trade_mode=8)
    announce(app, good.id)
    assert drain(app) == 1
    assert (indexed(app, "台灯"), indexed(app, "落地灯")) == ([], [good.id])
    with app.app_context():
        index = service.search_index()
        assert ids(index, "落地灯", price_min=9900, price_max=9900, category=5, trade_mode=6) == [good.id]


def test_batches_go_on_until_nothing_waits(app: Flask) -> None:
    assert drain(app) == 0
    owner = make_user(app)
    goods = [release(app, f"台灯 {number}", owner=owner) for number in range(7)]
    announce(app, goods[0].id)  # several messages about one good ask for the same
    announce(app, 2**40)  # and one about a good that there never was
    assert drain(app, limit=2) == 9
    assert indexed(app, "台灯") == [good.id for good in goods]
    assert waiting(app) == 0


def test_messages_of_other_topics_stay(app: Flask) -> None:
    with app.app_context(), transaction() as session:
        add_message(session, Topic.GOOD_VERIFICATION, 1)
    assert drain(app) == 0
    assert waiting(app) == 1


# A drain that loses its process after the index's commit and before the database's.
_KILLED_DRAIN = """
import os, signal
from app import create_app
from app.search import goods_for_sale, service
service.complete = lambda session, messages: os.kill(os.getpid(), signal.SIGKILL)
with create_app().app_context():
    service.drain_outbox()
"""


def test_killed_between_the_two_commits_a_drain_does_the_same_again(app: Flask, environment: dict[str, str]) -> None:
    assert drain(app) == 0
    edited = release(app, "台灯")
    sold = release(app, "台灯")
    assert drain(app) == 2
    change_good(app, edited, title="落地灯")
    change_good(app, sold, status=GoodStatus.SOLD)
    announce(app, edited.id)
    announce(app, sold.id)
    new = release(app, "壁灯")
    for _ in range(2):
        killed = run_forked(["-c", _KILLED_DRAIN], environ=os.environ | environment, timeout=60)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert waiting(app) == 3
    with app.app_context():
        service.search_index()._check_every = 0  # it was another process that wrote
    for _ in range(2):
        assert (indexed(app, "台灯"), indexed(app, "落地灯"), indexed(app, "壁灯")) == ([], [edited.id], [new.id])
        drain(app)
        assert waiting(app) == 0
    with app.app_context():
        index_status, _ = service.status()
    assert index_status is not None
    assert index_status.documents == 2


# A drain on a disk on which no file grows beyond 100 bytes.
_HINDERED_DRAIN = """
import resource
from app import create_app
from app.search import goods_for_sale, service
with create_app().app_context():
    service.search_index().check()
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
    try:
        service.drain_outbox()
    finally:  # what it says of its end goes to a file, too
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


def test_a_full_disk_keeps_the_messages_and_the_index(app: Flask, environment: dict[str, str]) -> None:
    old = release(app, "台灯")
    drain(app)
    new = release(app, "台灯")
    with app.app_context():
        before = service.search_index().status().folder
    failed = run_forked(["-c", _HINDERED_DRAIN], environ=os.environ | environment, timeout=60)
    assert failed.returncode == 1
    assert "File too large" in failed.stderr
    assert waiting(app) == 1
    assert indexed(app, "台灯") == [old.id]
    assert drain(app) == 1
    assert indexed(app, "台灯") == [old.id, new.id]
    with app.app_context():
        assert service.search_index().status().folder == before


def test_a_damaged_index_is_rebuilt_by_the_next_drain(app: Flask) -> None:
    good = release(app, "台灯")
    drain(app)
    with app.app_context():
        index = service.search_index()
        before = index.status().folder
        index.mark_damaged()
    assert drain(app) == 0
    with app.app_context():
        assert index.status().folder != before
    assert indexed(app, "台灯") == [good.id]


def test_while_a_rebuild_runs_elsewhere_the_drain_of_a_missing_index_waits(app: Flask) -> None:
    good = release(app, "台灯")
    building, go_on = threading.Event(), threading.Event()

    def pause(_finished: int, _total: int) -> None:
        building.set()
        assert go_on.wait(30)

    def rebuild() -> None:
        with app.app_context():
            assert service.rebuild(progress=pause) == 1

    thread = threading.Thread(target=rebuild)
    thread.start()
    assert building.wait(30)
    assert drain(app) == 0
    assert waiting(app) == 1
    go_on.set()
    thread.join()
    assert drain(app) == 1
    assert indexed(app, "台灯") == [good.id]


def test_a_rebuild_beside_a_drain_loses_nothing(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the rebuild's batches goods are edited, sold, released and drained into the old index."""
    monkeypatch.setattr(goods_for_sale, "_BATCH", 2)
    owner = make_user(app)
    goods = [make_good(app, owner, title=f"台灯 甲{number}") for number in range(6)]
    drain(app)
    told: list[tuple[int, int]] = []
    late = []

    def meanwhile(finished: int, total: int) -> None:
        told.append((finished, total))
        if finished == 4:
            change_good(app, goods[0], title="台灯 乙")
            change_good(app, goods[1], status=GoodStatus.SOLD)
            late.append(release(app, "台灯 丙", owner=owner))
            announce(app, goods[0].id)
            announce(app, goods[1].id)
            assert drain(app) == 3
            assert indexed(app, "台灯") == [goods[0].id, *(good.id for good in goods[2:]), late[0].id]

    with app.app_context():
        before = service.search_index().status().folder
        assert service.rebuild(progress=meanwhile) == 7
        assert service.search_index().status().folder != before
    assert told == [(2, 6), (4, 6), (6, 6), (7, 7)]
    assert indexed(app, "台灯") == [goods[0].id, *(good.id for good in goods[2:]), late[0].id]
    assert (indexed(app, "乙"), indexed(app, "丙")) == ([goods[0].id], [late[0].id])
    assert indexed(app, "甲") == [good.id for good in goods[2:]]


def test_rebuild_takes_only_what_is_for_sale(app: Flask) -> None:
    owner = make_user(app)
    good = make_good(app, owner, title="台灯")
    for status in GoodStatus:
        if status is not GoodStatus.PUBLISHED:
            make_good(app, owner, title="台灯", status=status)
    make_good(app, owner, title="台灯", deleted=True)
    with app.app_context():
        assert service.rebuild() == 1
    assert indexed(app, "台灯") == [good.id]


def test_the_worker_drains_what_the_outbox_holds(app: Flask, environment: dict[str, str]) -> None:
    """The real worker process, told by a real queue."""
    good = release(app, "台灯")
    with app.app_context():
        assert enqueue_singleton(QueueName.SEARCH, drain_search_outbox)
    worker = run_forked(["-m", "tasks.worker", "search", "--burst"], environ=os.environ | environment, timeout=60)
    assert worker.returncode == 0, worker.stderr
    assert waiting(app) == 0
    assert indexed(app, "台灯") == [good.id]
