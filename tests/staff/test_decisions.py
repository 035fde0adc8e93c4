"""Staff's decisions: from every state of a refund request, from no other, once, and never about themselves."""

from datetime import timedelta
from threading import Event
from typing import NamedTuple

import pytest
from flask import Flask
from flask.testing import FlaskClient
from psycopg.errors import RestrictViolation
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from werkzeug.test import TestResponse

from app.answers import Answer
from app.db.database import db
from app.db.transactions import transaction
from app.goods.models import Good
from app.ledger.audit import audit
from app.ledger.models import LedgerTransaction
from app.money.models import Payment, Refund
from app.notifications.models import Notification
from app.notifications.service import notify_of_steps
from app.orders.history import export, verify
from app.orders.models import Dispute, OrderEventRecord, RefundRequest
from app.outbox.models import OutboxMessage, Topic
from app.staff.models import StaffAction
from app.staff.service import remove_staff
from statemachine import GoodStatus, OrderPhase
from statemachine.order import (
    AWARDED_TO_SELLER,
    PAID,
    RECEIVED,
    REFUND_REQUESTED_RECEIVED,
    REFUND_REQUESTED_SHIPPED,
    REFUND_REQUESTED_UNSHIPPED,
    REFUNDED_RECEIVED,
    REFUNDED_RETURNED,
    REFUNDED_SHIPPED,
    REFUNDED_UNSHIPPED,
    RETURN_SENT,
    SHIPPED,
)
from tests.accounts.steps import at_once
from tests.factories import EVENTS_TO, assert_envelope, auth_headers, lead_order, make_good, make_user, whole_database
from tests.ledger.steps import balances
from tests.live import LiveServer, Reply
from tests.money.sandbox_server import eventually
from tests.staff.steps import REASON, REQUESTED, decide, order_at, row_of

AMOUNT = 260000
ROUNDS = 10
EVENTS = ["resolve_for_buyer", "resolve_for_seller"]


class Decided(NamedTuple):
    """What a decision leads to: the state, the good, the account that has the money, the deadline that runs."""

    phase: OrderPhase
    good: GoodStatus
    account: str
    deadline: str | None


# Written by hand from the design, not read from the machine.
DECISIONS = {
    ("resolve_for_buyer", REFUND_REQUESTED_UNSHIPPED): Decided(
        REFUNDED_UNSHIPPED, GoodStatus.PUBLISHED, "refund_clearing", None
    ),
    ("resolve_for_buyer", REFUND_REQUESTED_SHIPPED): Decided(
        REFUNDED_SHIPPED, GoodStatus.SOLD, "refund_clearing", None
    ),
    ("resolve_for_buyer", REFUND_REQUESTED_RECEIVED): Decided(
        REFUNDED_RECEIVED, GoodStatus.SOLD, "refund_clearing", None
    ),
    ("resolve_for_buyer", RETURN_SENT): Decided(REFUNDED_RETURNED, GoodStatus.SOLD, "refund_clearing", None),
    ("resolve_for_seller", REFUND_REQUESTED_UNSHIPPED): Decided(
        PAID, GoodStatus.IN_TRADE, "escrow", "refund_unshipped"
    ),
    ("resolve_for_seller", REFUND_REQUESTED_SHIPPED): Decided(SHIPPED, GoodStatus.IN_TRADE, "escrow", "receive"),
    ("resolve_for_seller", REFUND_REQUESTED_RECEIVED): Decided(RECEIVED, GoodStatus.SOLD, "seller_held", "settle"),
    ("resolve_for_seller", RETURN_SENT): Decided(AWARDED_TO_SELLER, GoodStatus.SOLD, "seller_available", None),
}
TITLES = {"resolve_for_buyer": "平台裁决:退款给买家", "resolve_for_seller": "平台裁决:支持卖家"}


def _name(value: object) -> str:
    return "-".join(map(str, value)) if isinstance(value, tuple) else str(value)


@pytest.mark.parametrize("disputed", [True, False], ids=["disputed", "undisputed"])
@pytest.mark.parametrize(("event", "phase"), DECISIONS, ids=_name)
def test_a_decision(app: Flask, client: FlaskClient, event: str, phase: OrderPhase, disputed: bool) -> None:
    wanted = DECISIONS[event, phase]
    staff = make_user(app, staff=True)
    order = order_at(app, phase, disputed=disputed)
    before = row_of(app, order)
    assert (before.phase, before.disputed) == (phase, disputed)
    data = assert_envelope(decide(app, client, staff, event, order), Answer.DISPUTE_DECIDED)
    assert (data["bill_status"], data["order_status"], data["closed"]) == wanted.phase
    assert (data["disputed"], data["actions"]) == (False, [])
    assert data["closed_reason"] == (event if wanted.phase.closed else None)
    after = row_of(app, order)
    assert (after.phase, after.disputed, after.history_length) == (wanted.phase, False, before.history_length + 1)

    # The deadline that the request stopped goes on with the time it had left.
    if wanted.deadline is None:
        assert (after.deadline_at, after.remind_at, data["deadline"]) == (None, None, None)
    else:
        assert before.clock_left is not None
        assert before.clock_left > timedelta(days=6)
        assert after.deadline_at == after.updated_at + before.clock_left
        assert data["deadline"]["what"] == wanted.deadline
    assert after.clock_left is None

    held_by = {"seller_held": order.seller.id, "seller_available": order.seller.id}
    assert balances(app) == {
        ("gateway_clearing", None): AMOUNT,
        (wanted.account, held_by.get(wanted.account)): AMOUNT,
    }
    with app.app_context():
        assert audit() == []
        assert verify(export(order.order_no)) == []
        assert db.session.get_one(Good, order.good_id).status == wanted.good
        step = db.session.scalars(select(OrderEventRecord).order_by(OrderEventRecord.id.desc())).first()
        assert step is not None
        assert (step.event, step.role, step.actor_id, step.note) == (event, "staff", staff.id, REASON)
        assert (step.from_bill, step.from_order) == phase[:2]
        assert (step.to_bill, step.to_order, step.closed) == wanted.phase
        action = db.session.scalars(select(StaffAction)).one()
        assert (action.actor_id, action.action, action.subject, action.subject_id, action.reason) == (
            staff.id,
            event,
            "order",
            order.id,
            REASON,
        )
        assert action.details == {
            "order_no": order.order_no,
            "sequence": step.sequence,
            "from": list(phase[:2]),
            "to": list(wanted.phase[:2]),
            "amount": AMOUNT,
        }
        request = db.session.scalars(select(RefundRequest)).one()
        assert (request.outcome, request.outcome_note, request.ended_at) == (event, REASON, after.updated_at)
        disputes = db.session.scalars(select(Dispute)).all()
        assert [(each.outcome, each.outcome_note, each.ended_at) for each in disputes] == [
            (event, REASON, after.updated_at)
        ] * disputed
        refunds = db.session.execute(select(Refund.id, Refund.amount, Refund.reason, Refund.state)).all()
        asked = db.session.scalars(
            select(OutboxMessage.subject_id).where(OutboxMessage.topic == Topic.PAYMENT_REFUND)
        ).all()
        assert [each[1:] for each in refunds] == [(AMOUNT, event, "pending")] * (event == "resolve_for_buyer")
        assert list(asked) == [each.id for each in refunds]
        keys = db.session.scalars(select(LedgerTransaction.key).order_by(LedgerTransaction.id.desc())).all()
        moved = (event, phase) not in {
            ("resolve_for_seller", REFUND_REQUESTED_UNSHIPPED),
            ("resolve_for_seller", REFUND_REQUESTED_SHIPPED),
        }
        assert (keys[0] == f"order:{order.id}:{step.sequence}:{event}") == moved

        # Both sides are told.
        told = select(OutboxMessage).where(OutboxMessage.topic == Topic.ORDER_STEP, OutboxMessage.subject_id == step.id)
        assert db.session.scalars(told).one().stream == f"order:{order.id}"
        event_id = step.id
        db.session.rollback()
        with transaction() as session:
            notify_of_steps(session, event_ids=[event_id])
        titles = db.session.execute(select(Notification.user_id, Notification.title)).all()
        assert sorted(titles) == sorted([(order.buyer.id, TITLES[event]), (order.seller.id, TITLES[event])])

    # And both read why.
    for side in (order.buyer, order.seller):
        detail = client.get(f"/api/order/{order.id}/", headers=auth_headers(app, side)).get_json()["data"]
        assert (detail["history"][-1]["event"], detail["history"][-1]["note"]) == (event, REASON)
        assert detail["history"][-1]["role_text"] == "平台客服"
        assert detail["refund"]["outcome_note"] == REASON


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("phase", [phase for phase in EVENTS_TO if phase not in REQUESTED], ids=_name)
def test_nothing_to_decide(app: Flask, client: FlaskClient, phase: OrderPhase, event: str) -> None:
    staff = make_user(app, staff=True)
    order = lead_order(app, make_good(app, make_user(app)), make_user(app), phase=phase)
    before = whole_database(app)
    data = assert_envelope(decide(app, client, staff, event, order), Answer.WRONG_STATE)
    assert (data["event"], data["bill_status"], data["order_status"], data["closed"]) == (event, *phase)
    assert data["reasons"]
    assert data["allowed"] == []
    assert whole_database(app) == before


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("side", ["buyer", "seller"])
def test_nobody_decides_about_themselves(app: Flask, client: FlaskClient, side: str, event: str) -> None:
    order = order_at(app, REFUND_REQUESTED_RECEIVED)
    party = order.values[side]
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(
            text("UPDATE users SET is_staff = true, staff_roles = '{arbiter}' WHERE id = :id"), {"id": party.id}
        )
    before = whole_database(app)
    data = assert_envelope(decide(app, client, party, event, order), Answer.FORBIDDEN)
    assert (data["event"], data["reasons"], data["allowed"]) == (event, ["不能裁决自己参与的订单"], [])
    assert whole_database(app) == before
    headers = auth_headers(app, party)
    assert client.get(f"/api/staff/order/{order.id}/", headers=headers).get_json()["data"]["actions"] == []
    (listed,) = client.get("/api/staff/orders/", headers=headers).get_json()["data"]["items"]
    assert listed["actions"] == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "必填"),
        ({"reason": None}, "须为文字"),
        ({"reason": ""}, "不能为空"),
        ({"reason": " \u200b\n"}, "不能为空"),
        ({"reason": "由" * 501}, "至多 500 个字符"),
        ({"reason": "由\x00"}, "含有不允许的字符"),
    ],
)
def test_a_decision_has_a_reason(app: Flask, client: FlaskClient, body: dict[str, object], reason: str) -> None:
    headers = auth_headers(app, make_user(app, staff=True))
    order = order_at(app, REFUND_REQUESTED_UNSHIPPED)
    before = whole_database(app)
    for event in EVENTS:
        response = client.post(f"/api/staff/{event}/{order.id}/", json=body, headers=headers)
        assert assert_envelope(response, Answer.MALFORMED) == {"errors": {"reason": [reason]}}
    assert whole_database(app) == before


def test_the_sides_are_not_told_who_decided(app: Flask, client: FlaskClient) -> None:
    staff = make_user(app, staff=True)
    order = order_at(app, REFUND_REQUESTED_RECEIVED)
    assert_envelope(decide(app, client, staff, "resolve_for_buyer", order), Answer.DISPUTE_DECIDED)
    seen = client.get(f"/api/staff/order/{order.id}/", headers=auth_headers(app, staff)).get_json()["data"]
    assert (seen["history"][-1]["role"], seen["history"][-1]["actor_id"]) == ("staff", staff.id)
    for side in (order.buyer, order.seller):
        response = client.get(f"/api/order/{order.id}/", headers=auth_headers(app, side))
        history = assert_envelope(response, Answer.ORDER_FOUND)["history"]
        assert (history[-1]["role"], history[-1]["actor_id"], history[-1]["note"]) == ("staff", None, REASON)
        assert history[0]["actor_id"] == order.buyer.id


def test_a_decision_that_is_sent_again(app: Flask, client: FlaskClient) -> None:
    staff = make_user(app, staff=True)
    order = order_at(app, REFUND_REQUESTED_RECEIVED)
    key = {"Idempotency-Key": "decision-1"}
    first = decide(app, client, staff, "resolve_for_buyer", order, **key)
    data = assert_envelope(first, Answer.DISPUTE_DECIDED)
    after = whole_database(app)
    again = decide(app, client, staff, "resolve_for_buyer", order, **key)
    assert assert_envelope(again, Answer.DISPUTE_DECIDED) == data
    assert again.headers["Idempotency-Replayed"] == "true"
    assert whole_database(app) == after
    assert_envelope(decide(app, client, staff, "resolve_for_buyer", order), Answer.WRONG_STATE)
    with app.app_context():
        remove_staff(username=staff.username, reason="离职")
    assert_envelope(decide(app, client, staff, "resolve_for_buyer", order, **key), Answer.FORBIDDEN)


@pytest.mark.parametrize("event", EVENTS)
def test_staff_against_a_buyer_who_withdraws(app: Flask, live_server: LiveServer, event: str) -> None:
    staff = auth_headers(app, make_user(app, staff=True))
    decided = 0
    for _ in range(ROUNDS):
        order = order_at(app, REFUND_REQUESTED_RECEIVED)
        before = row_of(app, order)
        buyer = auth_headers(app, order.buyer)
        calls = [
            (f"/api/staff/{event}/{order.id}/", {"reason": REASON}, staff),
            (f"/api/buyer_withdraw_drawback/{order.id}/", None, buyer),
        ]

        def act(number: int, calls: list[tuple[str, dict[str, str] | None, dict[str, str]]] = calls) -> Reply:
            path, body, headers = calls[number]
            return live_server.call("POST", path, body=body, headers=headers)

        replies = at_once(2, act)
        won = [reply.status == 200 for reply in replies]
        assert sorted(won) == [False, True], [reply.body for reply in replies]
        loser = replies[won.index(False)]
        assert (loser.status, loser.body["msg"]) == (409, Answer.WRONG_STATE.msg)
        decided += won[0]
        after = row_of(app, order)
        assert after.history_length == before.history_length + 1
        assert after.phase == (DECISIONS[event, REFUND_REQUESTED_RECEIVED].phase if won[0] else RECEIVED)
        with app.app_context():
            actions = db.session.scalars(select(StaffAction).where(StaffAction.subject_id == order.id)).all()
            assert len(actions) == won[0]
            refunds = select(Refund).join(Payment).where(Payment.order_id == order.id)
            assert len(db.session.scalars(refunds).all()) == (won[0] and event == "resolve_for_buyer")
    with app.app_context():
        assert audit() == []
        assert len(db.session.scalars(select(StaffAction)).all()) == decided


def test_whoever_is_being_removed_decides_nothing(app: Flask, client: FlaskClient) -> None:
    """The removal is not committed when the request begins: it waits, then it is refused."""
    staff = make_user(app, staff=True)
    order = order_at(app, REFUND_REQUESTED_UNSHIPPED)

    def act(number: int) -> TestResponse | None:
        if number == 0:
            with app.app_context(), db.engine.begin() as connection:
                connection.execute(
                    text("UPDATE users SET is_staff = false, staff_roles = '{}' WHERE id = :id"), {"id": staff.id}
                )
                removed.set()
                eventually(waits, what="the decision's wait")
            return None
        removed.wait(30)
        return decide(app, client, staff, "resolve_for_buyer", order)

    def waits() -> bool:
        with app.app_context(), db.engine.connect() as connection:
            statement = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%users%'"
            return bool(connection.execute(text(statement)).scalar_one())

    removed = Event()
    _, response = at_once(2, act)
    assert response is not None
    assert_envelope(response, Answer.FORBIDDEN)
    assert row_of(app, order).phase == REFUND_REQUESTED_UNSHIPPED


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE staff_actions SET reason_digest = reason_digest",
        "DELETE FROM staff_actions",
        "TRUNCATE staff_actions",
    ],
)
def test_what_staff_did_stays(app: Flask, client: FlaskClient, statement: str) -> None:
    assert_envelope(
        decide(app, client, make_user(app, staff=True), "resolve_for_seller", order_at(app, RETURN_SENT)),
        Answer.DISPUTE_DECIDED,
    )
    before = whole_database(app)
    with app.app_context(), db.engine.connect() as connection:
        with pytest.raises(IntegrityError, match="staff_actions is append-only") as raised:
            connection.execute(text(statement))
        assert isinstance(raised.value.orig, RestrictViolation)
        connection.rollback()
    assert whole_database(app) == before
