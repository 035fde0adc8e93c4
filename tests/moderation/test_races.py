"""Fifty rounds of each race about a review: what comes out is what one of the two alone, and then the other, makes."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.answers import Answer, Refused
from app.clock import utcnow
from app.db.database import db
from app.db.transactions import transaction
from app.goods.models import (
    Appeal,
    CaseKind,
    Good,
    GoodRevision,
    Picture,
    ReviewCase,
    RevisionState,
)
from app.goods.service import edit_good
from app.moderation.decisions import open_case
from app.moderation.review_queue import appeal, ban_picture, claim_next, decide
from app.moderation.service import check_good, conclude_good
from app.moderation.verdicts import Category
from app.orders.models import Order
from app.orders.service import buy_good
from app.staff.service import take_down_good
from statemachine import GoodStatus
from tests.factories import Made, make_address, make_good, make_user
from tests.goods.steps import at_once
from tests.moderation.steps import add_picture, let_pass
from tests.races.steps import ROUNDS

pytestmark = [pytest.mark.usefixtures("clean"), pytest.mark.no_cover]  # traced, it covers nothing that others do not

REJECT: Any = {"decision": "reject", "categories": [Category.FRAUD]}
FRAUD: Any = {"category": Category.FRAUD, "note": "骗子用图"}


@pytest.fixture
def owner(app: Flask) -> Made:
    return make_user(app)


@pytest.fixture
def staff(app: Flask) -> Made:
    return make_user(app, staff=True)


def race(app: Flask, *calls: Callable[[], Any]) -> tuple[Any, ...]:
    """What the calls gave, at the same moment, or how they were refused."""

    def outcome(call: Callable[[], Any]) -> Any:
        with app.app_context():
            try:
                return call()
            except Refused as refusal:
                return refusal.answer

    return tuple(at_once(*[lambda call=call: outcome(call) for call in calls]))


def state_of(app: Flask, good: Made) -> tuple[Any, ...]:
    """Status, title, price, number of the revision and of the edit beside it."""
    columns = (Good.status, Good.title, Good.price, Good.revision, Good.edit_revision)
    with app.app_context(), db.engine.connect() as connection:
        return tuple(connection.execute(select(*columns).where(Good.id == good.id)).one())


def revisions_of(app: Flask, good: Made) -> list[str]:
    """What became of the good's revisions, in their order."""
    statement = select(GoodRevision.state).where(GoodRevision.good_id == good.id).order_by(GoodRevision.revision)
    with app.app_context(), db.engine.connect() as connection:
        return list(connection.scalars(statement))


def cases_of(app: Flask, good: Made) -> list[tuple[Any, ...]]:
    """The good's cases: kind, revision, decision, whether closed."""
    statement = select(ReviewCase).where(ReviewCase.good_id == good.id).order_by(ReviewCase.id)
    with app.app_context(), transaction() as session:
        return [(row.kind, row.revision, row.decision, row.closed_at is not None) for row in session.scalars(statement)]


def buying(app: Flask, good: Made, **seen: Any) -> Callable[[], Any]:
    """A purchase by somebody who has bought nothing yet."""
    buyer = make_user(app)
    address = make_address(app, buyer)

    def buy() -> str:
        buy_good(buyer_id=buyer.id, good_id=good.id, address_id=address.id, trade_mode=None, **seen)
        return "bought"

    return buy


def waiting(app: Flask, good: Made, kind: CaseKind) -> int:
    """The id of a new case about the good's first revision."""
    with app.app_context():
        with transaction() as session:
            open_case(session, good_id=good.id, revision=1, kind=kind, now=utcnow())
        with transaction() as session:
            return session.scalars(select(ReviewCase.id).where(ReviewCase.good_id == good.id)).one()


def test_an_edit_and_the_conclusion(app: Flask, owner: Made) -> None:
    seen: Counter[tuple[Any, ...]] = Counter()
    for _ in range(ROUNDS):
        good = make_good(app, owner, status=GoodStatus.IN_REVIEW)
        with app.app_context():
            check_good(good_id=good.id, revision=1)
        race(
            app,
            lambda good=good: conclude_good(good_id=good.id, revision=1),
            lambda good=good: edit_good(owner_id=owner.id, good_id=good.id, changes={"title": "新标题"}),
        )
        status, title, _, revision, edit_revision = state_of(app, good)
        seen[(status, title == good.title, revision, edit_revision, *revisions_of(app, good))] += 1
        with app.app_context():
            conclude_good(good_id=good.id, revision=1)  # late, and so for nothing
        assert state_of(app, good)[:2] == (status, title)
    assert set(seen) <= {
        # Published, and the edit waits beside it; or never seen, and reviewed anew.
        (GoodStatus.PUBLISHED, True, 1, 2, "approved", "in_review"),
        (GoodStatus.IN_REVIEW, False, 2, None, "superseded", "in_review"),
    }
    assert seen.total() == ROUNDS


@pytest.mark.parametrize("changes", [{"title": "新标题"}, {"price": 200000}], ids=["words", "price"])
def test_an_edit_and_a_purchase(app: Flask, owner: Made, changes: Any) -> None:
    for _ in range(ROUNDS):
        good = make_good(app, owner)
        bought, edited = race(
            app,
            buying(app, good, expected_amount=260000),
            lambda good=good: edit_good(owner_id=owner.id, good_id=good.id, changes=changes),
        )
        status, title, price, revision, edit_revision = state_of(app, good)
        assert title == good.title
        if bought == "bought":
            assert (status, price) == (GoodStatus.IN_TRADE, 258800)
            with app.app_context(), transaction() as session:
                order = session.scalars(select(Order).where(Order.good_id == good.id)).one()
                assert (order.good_title, order.price) == (good.title, 258800)
            if edited is not Answer.EDIT_FAILED:
                assert "title" in changes
            assert (revision, edit_revision) == (1, None if edited is Answer.EDIT_FAILED else 2)
        else:  # the price was another already
            assert bought is Answer.GOOD_CHANGED
            assert (status, price, revision, edit_revision) == (GoodStatus.PUBLISHED, 200000, 2, None)


def test_an_appeal_twice_at_once(app: Flask) -> None:
    for _ in range(ROUNDS):
        owner = make_user(app)  # who has made no appeal of late
        good = make_good(app, owner, status=GoodStatus.REJECTED)
        found = race(
            app, *[lambda good=good, owner=owner: appeal(owner_id=owner.id, good_id=good.id, text="请复核")] * 2
        )
        assert sorted(map(str, found)) == sorted(["None", str(Answer.APPEAL_REFUSED)])
        assert cases_of(app, good) == [("appeal", 1, None, False)]


def test_a_decision_about_an_appeal_and_an_edit(app: Flask, staff: Made) -> None:
    for _ in range(ROUNDS):
        owner = make_user(app)
        good = make_good(app, owner, status=GoodStatus.REJECTED)
        with app.app_context():
            appeal(owner_id=owner.id, good_id=good.id, text="请复核")
            case_id = claim_next(actor_id=staff.id)
            assert case_id is not None
        decided, _ = race(
            app,
            lambda case_id=case_id: decide(actor_id=staff.id, case_id=case_id, decision="approve"),
            lambda good=good, owner=owner: edit_good(owner_id=owner.id, good_id=good.id, changes={"title": "新标题"}),
        )
        with app.app_context(), transaction() as session:
            appealed = session.scalars(select(Appeal.state).where(Appeal.good_id == good.id)).one()
        status, title, _, revision, edit_revision = state_of(app, good)
        if decided is None:
            assert (appealed, status, title, revision, edit_revision) == ("granted", 2, good.title, 1, 2)
            assert cases_of(app, good) == [("appeal", 1, "approve", True)]
        else:
            assert decided is Answer.NO_SUCH_REVIEW
            assert (appealed, status, title, revision, edit_revision) == ("void", 1, "新标题", 2, None)
            assert cases_of(app, good) == [("appeal", 1, None, True)]


def test_a_takedown_and_a_purchase(app: Flask, owner: Made, staff: Made) -> None:
    for _ in range(ROUNDS):
        good = make_good(app, owner)
        bought, taken = race(
            app,
            buying(app, good),
            lambda good=good: take_down_good(actor_id=staff.id, good_id=good.id, reason="核查"),
        )
        assert taken is None
        with app.app_context(), transaction() as session:
            row = session.get_one(Good, good.id)
            orders = len(session.scalars(select(Order).where(Order.good_id == good.id)).all())
            assert row.taken_down is True
            if bought == "bought":
                assert (row.status, orders) == (GoodStatus.IN_TRADE, 1)
            else:
                assert (bought, row.status, orders) == (Answer.NO_SUCH_GOOD, GoodStatus.PUBLISHED, 0)


def test_two_reviewers_and_one_good(app: Flask, owner: Made, staff: Made) -> None:
    other = make_user(app, staff=True)
    for _ in range(ROUNDS):
        good = make_good(app, owner, status=GoodStatus.IN_REVIEW)
        case_id = waiting(app, good, CaseKind.RELEASE)
        claimed = race(app, *[lambda who=who: claim_next(actor_id=who.id) for who in (staff, other)])
        assert sorted(map(str, claimed)) == sorted([str(case_id), "None"])
        with app.app_context(), db.engine.begin() as connection:
            connection.execute(update(ReviewCase).values(claimed_by=None, claimed_until=None))
        decided = race(
            app,
            lambda case_id=case_id: decide(actor_id=staff.id, case_id=case_id, decision="approve"),
            lambda case_id=case_id: decide(actor_id=other.id, case_id=case_id, **REJECT),
        )
        assert decided in ((None, Answer.NO_SUCH_REVIEW), (Answer.NO_SUCH_REVIEW, None))
        approved = decided[0] is None
        assert state_of(app, good)[0] == (GoodStatus.PUBLISHED if approved else GoodStatus.REJECTED)
        assert revisions_of(app, good) == [RevisionState.APPROVED if approved else RevisionState.REJECTED]
        assert cases_of(app, good) == [("release", 1, "approve" if approved else "reject", True)]


def test_a_ban_and_the_conclusion(app: Flask, owner: Made, staff: Made) -> None:
    for number in range(ROUNDS):
        good = make_good(app, owner, status=GoodStatus.IN_REVIEW)
        picture_id = add_picture(app, good)
        with app.app_context(), db.engine.begin() as connection:
            # A file of its own, of which the machine has a verdict already.
            connection.execute(update(Picture).where(Picture.id == picture_id).values(sha256=f"{number:064d}"))
        let_pass(app, good, picture_id)
        race(
            app,
            lambda good=good: conclude_good(good_id=good.id, revision=1),
            lambda picture_id=picture_id: ban_picture(actor_id=staff.id, picture_id=picture_id, **FRAUD),
        )
        status = state_of(app, good)[0]
        # Refused, or public with somebody asked to look.
        assert (status, cases_of(app, good)) in (
            (GoodStatus.REJECTED, []),
            (GoodStatus.PUBLISHED, [("recheck", 1, None, False)]),
        )
