"""Workers are killed at each statement of a review, twenty times: each good ends with one verdict, nothing is stuck."""

import os
import signal
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select, update

from app.clock import utcnow
from app.db.database import db
from app.goods.models import Good, GoodRevision, ReviewCase, Verdict
from app.moderation.service import request_stale_reviews
from statemachine import GoodStatus
from tasks.queues import QueueName, enqueue
from tasks.relay import relay_once
from tasks.verification import check_good_job, conclude_good_job
from tests.factories import make_user
from tests.goods.steps import review
from tests.moderation.steps import add_picture, change, good_in_review, messages
from tests.tasks.steps import work_off

pytestmark = pytest.mark.usefixtures("clean")

KILLS = 20


class Killer:
    """Kills the process that a worker forks for a job, before the statement of a number, counted over its jobs."""

    def __init__(self) -> None:
        self.parent = os.getpid()
        self.left: int | None = None

    def __call__(self, *_: Any) -> None:
        if self.left is None or os.getpid() == self.parent:
            return
        self.left -= 1
        if self.left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


def test_twenty_kills(app: Flask) -> None:
    # A picture that was looked at before: what is killed here is the review, not the loading of models.
    owner = make_user(app)
    known = good_in_review(app, owner_id=owner.id)
    add_picture(app, known)
    review(app, known.id)
    killer = Killer()
    goods = []
    with app.app_context():
        engine = db.engine
        event.listen(engine, "before_cursor_execute", killer)
    try:
        for number in range(KILLS):
            good = good_in_review(app, owner_id=owner.id)
            add_picture(app, good)
            goods.append(good)
            with app.app_context():
                check = enqueue(QueueName.DEFAULT, check_good_job, good.id, 1)
                enqueue(QueueName.DEFAULT, conclude_good_job, good.id, 1, after=check.id)
            # The first job makes some thirty statements, the second some twelve: both are hit at many places.
            killer.left = 1 + number * 2 if number < KILLS - 6 else None
            if killer.left is None:
                killer.left = 1 + (number - (KILLS - 6)) * 2
                with app.app_context():
                    check_good_job(good.id, 1)
            work_off(app)
            app.extensions["valkey"].flushdb()  # nor does the queue try again by itself
        killer.left = None
        statuses = _statuses(app, goods)
        assert statuses.count(GoodStatus.IN_REVIEW) >= KILLS // 2, "hardly any was killed before its end"
        assert set(statuses) <= {GoodStatus.IN_REVIEW, GoodStatus.PUBLISHED}
        for good in goods:
            change(app, good, updated_at=utcnow() - timedelta(hours=1))
        with app.app_context():
            assert request_stale_reviews() == statuses.count(GoodStatus.IN_REVIEW)
        _relay(app)
        work_off(app)
    finally:
        event.remove(engine, "before_cursor_execute", killer)
    assert _statuses(app, goods) == [GoodStatus.PUBLISHED] * KILLS
    with app.app_context():
        counted = select(Verdict.good_id, func.count().label("verdicts")).group_by(Verdict.good_id)
        assert {row.verdicts for row in db.session.execute(counted)} == {3}
        revisions = db.session.scalars(select(GoodRevision)).all()
        assert {row.state for row in revisions} == {"approved"}
        assert {row.attempts for row in revisions} == {1, 2}
        assert db.session.scalars(select(ReviewCase)).all() == []
        db.session.rollback()
        with db.engine.begin() as connection:
            connection.execute(update(Good).values(updated_at=utcnow() - timedelta(hours=1), review_requested_at=None))
        assert request_stale_reviews() == 0
    assert [topic for topic, _ in messages(app) if topic != "search_index"] == []


def _relay(app: Flask) -> None:
    with app.app_context():
        while any(topic == "good_verification" for topic, _ in messages(app)):
            relay_once()


def _statuses(app: Flask, goods: list[Any]) -> list[int]:
    with app.app_context(), db.engine.connect() as connection:
        found = connection.execute(select(Good.id, Good.status).where(Good.id.in_([good.id for good in goods])))
        by_id = {row.id: row.status for row in found}
    return [by_id[good.id] for good in goods]
