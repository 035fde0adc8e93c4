"""The two steps of a review and the sweep, called as the jobs call them, on the real database."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Barrier, Event, Thread
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.clock import utcnow
from app.db.database import db
from app.goods.models import Good
from app.moderation.service import check_good, conclude_good, request_stale_reviews, revision_in_review
from statemachine import GoodStatus
from tests.factories import make_good, make_user
from tests.moderation.steps import (
    add_message,
    add_picture,
    change,
    count_verdicts,
    forget_messages,
    good_in_review,
    messages,
    row_of,
    status_of,
    verdicts_of,
    waiting_for_locks,
)
from tests.tasks.steps import wait_until

pytestmark = pytest.mark.usefixtures("clean")

STALE = timedelta(hours=1)


def review(app: Flask, good_id: int, revision: int = 1) -> None:
    """Both steps."""
    with app.app_context():
        check_good(good_id=good_id, revision=revision)
        conclude_good(good_id=good_id, revision=revision)


def test_a_good_that_is_fine_is_published(app: Flask) -> None:
    good = good_in_review(app)
    first, second = add_picture(app, good, position=0), add_picture(app, good, position=1, width=180)
    before = utcnow()
    review(app, good.id)
    row = row_of(app, good)
    assert (row["status"], row["deleted"], row["revision"]) == (GoodStatus.PUBLISHED, False, 1)
    assert before <= row["published_at"] <= utcnow()
    assert row["updated_at"] == row["published_at"]
    assert verdicts_of(app, good) == {
        (1, "text", "title"): [],
        (1, "text", "description"): [],
        (1, "picture", f"picture:{first}"): [],
        (1, "picture", f"picture:{second}"): [],
    }
    assert messages(app) == [("search_index", good.id)]


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"title": "手机 加 微 信"}, {"title": ["涉嫌引流:加微信"], "description": []}),
        ({"description": "電話１３８００１３８０００"}, {"title": [], "description": ["涉嫌引流:手机号码"]}),
        (
            {"title": "高仿包", "description": "刷單"},
            {"title": ["涉嫌售卖假货:高仿包"], "description": ["涉嫌诈骗或刷单:刷单"]},
        ),
    ],
)
def test_a_good_with_a_bad_text_fails(app: Flask, columns: dict[str, str], found: dict[str, list[str]]) -> None:
    good = good_in_review(app, published_at=utcnow(), **columns)  # published before its last edit
    review(app, good.id)
    row = row_of(app, good)
    assert (row["status"], row["published_at"]) == (GoodStatus.REJECTED, None)
    assert verdicts_of(app, good) == {(1, "text", subject): reasons for subject, reasons in found.items()}
    assert messages(app) == [("search_index", good.id)]


def test_a_good_with_a_bad_picture_fails(app: Flask) -> None:
    good = good_in_review(app)
    add_picture(app, good)
    bad = add_picture(app, good, position=1, stored=False)
    review(app, good.id)
    assert status_of(app, good) == GoodStatus.REJECTED
    assert verdicts_of(app, good)[1, "picture", f"picture:{bad}"] == ["图片文件缺失"]


def test_pictures_that_an_edit_took_off_are_not_judged(app: Flask) -> None:
    good = good_in_review(app)
    add_picture(app, good, position=None, stored=False)
    review(app, good.id)
    assert status_of(app, good) == GoodStatus.PUBLISHED
    assert count_verdicts(app) == 2


def test_both_steps_may_run_twice(app: Flask) -> None:
    good = good_in_review(app)
    with app.app_context():
        check_good(good_id=good.id, revision=1)
        check_good(good_id=good.id, revision=1)
        assert count_verdicts(app) == 2
        conclude_good(good_id=good.id, revision=1)
        after = row_of(app, good)
        conclude_good(good_id=good.id, revision=1)
        check_good(good_id=good.id, revision=1)
    assert row_of(app, good) == after
    assert count_verdicts(app) == 2
    assert messages(app) == [("search_index", good.id)]


def test_the_last_check_counts(app: Flask) -> None:
    good = good_in_review(app, title="加微信")
    with app.app_context():
        check_good(good_id=good.id, revision=1)
        assert verdicts_of(app, good)[1, "text", "title"] == ["涉嫌引流:加微信"]
        change(app, good, title="手机")  # as if the lists had been corrected meanwhile
        check_good(good_id=good.id, revision=1)
        conclude_good(good_id=good.id, revision=1)
    assert status_of(app, good) == GoodStatus.PUBLISHED


def test_concluding_before_checking_changes_nothing(app: Flask) -> None:
    good = good_in_review(app)
    add_picture(app, good)
    before = row_of(app, good)
    with app.app_context():
        conclude_good(good_id=good.id, revision=1)
    assert (row_of(app, good), messages(app)) == (before, [])


def test_a_picture_that_was_not_checked_keeps_the_good_in_review(app: Flask) -> None:
    good = good_in_review(app)
    with app.app_context():
        check_good(good_id=good.id, revision=1)
        add_picture(app, good)
        conclude_good(good_id=good.id, revision=1)
    assert (status_of(app, good), messages(app)) == (GoodStatus.IN_REVIEW, [])


@pytest.mark.parametrize(
    "columns",
    [{"revision": 2}, {"deleted": True}, *({"status": status} for status in GoodStatus if status != 1)],
    ids=str,
)
def test_a_good_that_moved_on_is_left_alone(app: Flask, columns: dict[str, Any]) -> None:
    good = good_in_review(app)
    with app.app_context():
        check_good(good_id=good.id, revision=1)
    assert count_verdicts(app) == 2
    change(app, good, **columns)
    before = row_of(app, good)
    with app.app_context():
        conclude_good(good_id=good.id, revision=1)
        assert (row_of(app, good), messages(app)) == (before, [])
        change(app, good, title="加微信")
        check_good(good_id=good.id, revision=1)
    assert set(map(tuple, verdicts_of(app, good).values())) == {()}


def test_verdicts_of_an_earlier_revision_do_not_count(app: Flask) -> None:
    good = good_in_review(app)
    with app.app_context():
        check_good(good_id=good.id, revision=1)
        change(app, good, revision=2)
        conclude_good(good_id=good.id, revision=2)
        assert status_of(app, good) == GoodStatus.IN_REVIEW
        check_good(good_id=good.id, revision=2)
        conclude_good(good_id=good.id, revision=2)
    assert status_of(app, good) == GoodStatus.PUBLISHED
    assert set(verdicts_of(app, good)) == {
        (revision, "text", part) for revision in (1, 2) for part in ("title", "description")
    }


def test_a_good_that_does_not_exist(app: Flask) -> None:
    review(app, 12345)
    assert (count_verdicts(app), messages(app)) == (0, [])


def test_revision_in_review(app: Flask) -> None:
    waiting = good_in_review(app, revision=3)
    public = make_good(app, make_user(app))
    deleted = good_in_review(app, deleted=True)
    with app.app_context():
        assert [revision_in_review(good_id) for good_id in (waiting.id, public.id, deleted.id, 12345)] == [
            3,
            None,
            None,
            None,
        ]


def test_two_conclusions_at_once_are_one(app: Flask) -> None:
    good = good_in_review(app)
    with app.app_context():
        check_good(good_id=good.id, revision=1)
    together = Barrier(4)

    def conclude() -> None:
        with app.app_context():
            together.wait()
            conclude_good(good_id=good.id, revision=1)

    threads = [Thread(target=conclude) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (status_of(app, good), messages(app)) == (GoodStatus.PUBLISHED, [("search_index", good.id)])


def test_an_edit_while_the_check_runs(app: Flask) -> None:
    """The check has read the good and wants to write: under lock it sees that it judged another revision."""
    good = good_in_review(app, title="加微信")
    finished = Event()

    def check() -> None:
        with app.app_context():
            check_good(good_id=good.id, revision=1)
        finished.set()

    thread = Thread(target=check)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Good).where(Good.id == good.id).values(revision=2, title="手机"))
        thread.start()
        wait_until(lambda: waiting_for_locks(app) == 1, "the check waits for the edit")
        assert not finished.is_set()
    thread.join()
    assert (finished.is_set(), count_verdicts(app), row_of(app, good)["revision"]) == (True, 0, 2)


def test_the_sweep_asks_for_stale_reviews_and_no_others(app: Flask) -> None:
    past = utcnow() - STALE
    stale = good_in_review(app, updated_at=past)
    good_in_review(app)  # fresh
    good_in_review(app, updated_at=past, deleted=True)
    make_good(app, make_user(app), updated_at=past)
    before = row_of(app, stale)
    started = utcnow()
    with app.app_context():
        assert request_stale_reviews() == 1
    assert messages(app) == [("good_verification", stale.id)]
    after = row_of(app, stale)
    assert started <= after["review_requested_at"] <= utcnow()
    assert after == before | {"review_requested_at": after["review_requested_at"]}


def test_the_sweep_does_not_ask_again_while_a_message_waits(app: Flask) -> None:
    good = good_in_review(app, updated_at=utcnow() - STALE)
    add_message(app, "good_verification", good.id)
    with app.app_context():
        assert request_stale_reviews() == 0
    assert messages(app) == [("good_verification", good.id)]


def test_the_sweep_asks_at_most_once_per_period(app: Flask) -> None:
    good = good_in_review(app, updated_at=utcnow() - STALE)
    with app.app_context():
        assert request_stale_reviews() == 1
        forget_messages(app)  # relayed
        assert request_stale_reviews() == 0
        change(app, good, review_requested_at=utcnow() - STALE)
        assert request_stale_reviews() == 1
    assert messages(app) == [("good_verification", good.id)]


def test_the_sweep_goes_on_until_none_is_left(app: Flask) -> None:
    owner = make_user(app)
    goods = [make_good(app, owner, status=GoodStatus.IN_REVIEW, updated_at=utcnow() - STALE) for _ in range(201)]
    with app.app_context():
        assert request_stale_reviews() == 201
    assert sorted(messages(app)) == sorted(("good_verification", good.id) for good in goods)


@contextmanager
def locking(app: Flask, good_id: int) -> Iterator[None]:
    """Hold the good's row lock."""
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(select(Good.id).where(Good.id == good_id).with_for_update())
        yield


def test_the_sweep_passes_over_goods_that_somebody_works_on(app: Flask) -> None:
    held, free = (good_in_review(app, updated_at=utcnow() - STALE) for _ in range(2))
    with locking(app, held.id), app.app_context():
        assert request_stale_reviews() == 1
    assert messages(app) == [("good_verification", free.id)]
