"""Processes are killed in a review, at twenty places: each good ends with one verdict, and nothing is stuck."""

import itertools
import os
import signal
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select, update

from app.clock import utcnow
from app.db.database import db
from app.goods.models import Good, GoodRevision, ReviewCase, Verdict
from app.moderation.service import request_stale_reviews
from app.moderation.text import check_text
from statemachine import GoodStatus
from tasks.relay import relay_once
from tasks.verification import check_good_job, conclude_good_job
from tests.factories import make_user
from tests.moderation.steps import add_picture, change, good_in_review, let_pass, messages
from tests.tasks.steps import work_off_here

pytestmark = pytest.mark.usefixtures("clean")

KILLS = 20


def killed_before(app: Flask, statement: int, good_id: int, *jobs: Callable[[int, int], None]) -> bool:
    """Run these jobs of the good in a process of their own, killed before its statement of that number; if it was."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert status in (0, signal.SIGKILL), status
        return status == signal.SIGKILL
    try:
        counted = itertools.count(1)

        def kill(*_: Any) -> None:
            if next(counted) >= statement:
                os.kill(os.getpid(), signal.SIGKILL)

        with app.app_context():
            db.engine.dispose(close=False)  # the connections are the parent's
            event.listen(db.engine, "before_cursor_execute", kill)
            for job in jobs:
                job(good_id, 1)
        os._exit(0)
    finally:
        os._exit(1)


def test_twenty_kills(app: Flask) -> None:
    # A picture that was looked at before: what is killed here is the review, not the loading of models.
    owner = make_user(app)
    known = good_in_review(app, owner_id=owner.id)
    let_pass(app, known, add_picture(app, known))
    with app.app_context():
        conclude_good_job(known.id, 1)
        check_text("好")  # nor of the rules
    goods = []
    for number in range(KILLS):
        good = good_in_review(app, owner_id=owner.id)
        add_picture(app, good)
        goods.append(good)
        # The first job makes more than twenty statements, the second more than six: both are hit at many places.
        if number < KILLS - 6:
            assert killed_before(app, 1 + 2 * number, good.id, check_good_job, conclude_good_job)
        else:
            with app.app_context():
                check_good_job(good.id, 1)
            assert killed_before(app, 1 + number - KILLS + 6, good.id, conclude_good_job)
    statuses = _statuses(app, goods)
    assert set(statuses) <= {GoodStatus.IN_REVIEW, GoodStatus.PUBLISHED}
    assert statuses.count(GoodStatus.IN_REVIEW) >= KILLS - 2
    for good in goods:
        change(app, good, updated_at=utcnow() - timedelta(hours=1))
    with app.app_context():
        assert request_stale_reviews() == statuses.count(GoodStatus.IN_REVIEW)
        while any(topic == "good_verification" for topic, _ in messages(app)):
            relay_once()
    work_off_here(app)
    assert _statuses(app, goods) == [GoodStatus.PUBLISHED] * KILLS
    with app.app_context():
        counted = select(func.count()).select_from(Verdict).group_by(Verdict.good_id)
        assert set(db.session.scalars(counted)) == {3}
        revisions = db.session.scalars(select(GoodRevision).where(GoodRevision.good_id != known.id)).all()
        assert {row.state for row in revisions} == {"approved"}
        assert {row.attempts for row in revisions} == {1, 2}
        assert db.session.scalars(select(ReviewCase)).all() == []
        db.session.rollback()
        with db.engine.begin() as connection:
            connection.execute(update(Good).values(updated_at=utcnow() - timedelta(hours=1), review_requested_at=None))
        assert request_stale_reviews() == 0
    assert [topic for topic, _ in messages(app) if topic != "search_index"] == []


def _statuses(app: Flask, goods: list[Any]) -> list[int]:
    with app.app_context(), db.engine.connect() as connection:
        found = connection.execute(select(Good.id, Good.status).where(Good.id.in_([good.id for good in goods])))
        by_id = {row.id: row.status for row in found}
    return [by_id[good.id] for good in goods]
