"""What each step of the spine costs: its SQL statements over HTTP, named. One more fails here, and has to be wanted."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select, text, update

from app.clock import utcnow
from app.db.database import db
from app.orders.deadlines import fire_due
from app.orders.models import Order
from config import Settings
from statemachine import OrderPhase
from statemachine.order import (
    AWAITING_PAYMENT,
    RECEIVED,
    REFUND_REQUESTED_RECEIVED,
    REFUND_REQUESTED_SHIPPED,
    REFUND_REQUESTED_UNSHIPPED,
    REFUNDED_RETURNED,
    REFUNDED_UNSHIPPED,
    RETURN_SENT,
    SETTLED,
    SHIPPED,
)
from tests.factories import (
    Made,
    StatementCounter,
    auth_headers,
    lead_order,
    make_address,
    make_good,
    make_user,
)
from tests.orders.table import ACTIONS, BUYER, SELLER, name_of
from tests.races.steps import NOTIFY, signed_notification


def head(statement: str) -> str:
    """What a statement does to which tables: `SELECT goods + orders FOR UPDATE`, `INSERT order_events`."""
    words = " ".join(statement.split())
    writes = re.findall(r"\b(INSERT INTO|(?<!FOR )(?<!KEY )(?<!DO )UPDATE|DELETE FROM) (\w+)", words)
    if writes:
        return " + ".join(f"{verb.split()[0]} {table}" for verb, table in writes)
    tables = [table for table in re.findall(r"\b(?:FROM|JOIN) (\w+)", words) if table != "LATERAL"]
    if not tables:
        return re.sub(r"\W.*", "", words.removeprefix("SELECT "))  # a function
    return f"SELECT {' + '.join(dict.fromkeys(tables))}" + (" FOR UPDATE" if " FOR " in words else "")


@contextmanager
def counted(app: Flask) -> Iterator[list[str]]:
    """The heads of the statements of the block, in their order."""
    counter, heads = StatementCounter(), []
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", counter.on_execute)
    try:
        yield heads
    finally:
        with app.app_context():
            event.remove(db.engine, "before_cursor_execute", counter.on_execute)
        heads += [head(statement) for statement in counter.statements]


LOCK = "SELECT goods + orders FOR UPDATE"
STEP = ["UPDATE orders", "INSERT order_events", "INSERT outbox"]
SAYS = ["INSERT erasable_texts"]  # where a reason is given
GOOD = ["UPDATE goods", "INSERT outbox"]
SEARCH = "DELETE search_documents"  # just before the commit, where the good is another
FOUND = "INSERT search_documents"  # likewise, where it is for sale again
BOOK = ["UPDATE ledger_accounts", "INSERT ledger_transactions + INSERT ledger_entries"]
ENDED = ["UPDATE refund_requests"]
MONEY = "SELECT orders + payments + refunds"
REFUND = ["SELECT payments + refunds", "INSERT refunds", "INSERT outbox"]
ANSWER = "SELECT pictures + orders + users + waybills + refund_requests + refunds + payments"

SPINE = {
    "buy": [
        *("SELECT users FOR UPDATE", "SELECT goods FOR UPDATE", "SELECT addresses"),
        *("SELECT order_events + orders", "SELECT pictures"),
        *("INSERT orders", "INSERT order_events", "INSERT outbox", *GOOD, SEARCH, ANSWER),
    ],
    "start paying": ["SELECT orders FOR UPDATE", "SELECT payments", "SELECT payments", "INSERT payments"],
    "pay": [
        *("SELECT payments", "INSERT gateway_notifications", LOCK, "SELECT payments FOR UPDATE", "UPDATE payments"),
        *(*STEP, *BOOK),
    ],
    # These two look first whether the gateway has to be asked about the money.
    "ship": [MONEY, LOCK, *STEP, "SELECT addresses", "INSERT waybills", ANSWER],
    "receive": [MONEY, LOCK, *STEP, *GOOD, *BOOK, SEARCH, ANSWER],
    "request": [LOCK, *SAYS, *STEP, *BOOK, "INSERT refund_requests", ANSWER],
    "send_back": [LOCK, *STEP, "SELECT waybills", "INSERT waybills", ANSWER],
    "accept": [LOCK, *STEP, *ENDED, *REFUND, *BOOK, ANSWER],
}
"""The seven steps (paying is two requests). BEGIN and COMMIT around each are not counted."""

OTHERS = {
    # Looks first whether a trade has to be closed, and once more under the lock.
    ("cancel", BUYER, AWAITING_PAYMENT): [
        *("SELECT orders", "SELECT payments", "SAVEPOINT", LOCK, "SELECT payments", *STEP, *GOOD, "RELEASE", FOUND),
    ],
    ("extend", BUYER, SHIPPED): [LOCK, *STEP],
    ("withdraw", BUYER, REFUND_REQUESTED_UNSHIPPED): [LOCK, *STEP, *ENDED],
    ("withdraw", BUYER, REFUND_REQUESTED_RECEIVED): [LOCK, *STEP, *ENDED, *BOOK],
    ("reject", SELLER, REFUND_REQUESTED_SHIPPED): [LOCK, *SAYS, *STEP, *ENDED],
    ("approve", SELLER, REFUND_REQUESTED_UNSHIPPED): [LOCK, *STEP, *ENDED, *REFUND, *GOOD, *BOOK, FOUND],
    ("approve", SELLER, REFUND_REQUESTED_RECEIVED): [LOCK, *STEP, *ENDED, *REFUND, *BOOK],
    ("dispute", SELLER, REFUND_REQUESTED_UNSHIPPED): [LOCK, *SAYS, *STEP, "INSERT disputes"],
    ("contest", SELLER, RETURN_SENT): [LOCK, *SAYS, *STEP, "INSERT disputes"],
}
"""The other steps, without the read that answers. What is refused costs the lock alone."""


class Street:
    """A seller and a buyer, whose accounts all exist: opening them is no part of a step."""

    def __init__(self, app: Flask, client: FlaskClient, keys: Path) -> None:
        self.app, self.client, self.keys = app, client, keys
        self.people = {SELLER: make_user(app), BUYER: make_user(app)}
        self.addresses = {role: make_address(app, user).id for role, user in self.people.items()}
        for phase in (SETTLED, REFUNDED_RETURNED, REFUNDED_UNSHIPPED):
            self.next_order()
            self.lead(phase)
        self.next_order()

    def next_order(self) -> None:
        """Let the next order's number go through the same accounts as the first one's."""
        with self.app.app_context(), db.engine.begin() as connection:
            connection.execute(
                text("SELECT setval(pg_get_serial_sequence('orders', 'id'), (count(*) + 1) * 16) FROM orders")
            )

    def lead(self, phase: OrderPhase) -> Made:
        return lead_order(self.app, make_good(self.app, self.people[SELLER]), self.people[BUYER], phase=phase)

    def post(self, url: str, role: str, body: Any, **headers: str) -> list[str]:
        """What a request costs that must succeed."""
        headers |= auth_headers(self.app, self.people[role])
        with counted(self.app) as heads:
            response = self.client.post(url, json=body, headers=headers)
        assert response.status_code in (200, 302), response.text
        return heads

    def notify(self, order_no: str, amount: int) -> list[str]:
        """What the gateway's notification of a payment costs."""
        form = signed_notification(self.keys, out_trade_no=order_no, amount=amount)
        with counted(self.app) as heads:
            response = self.client.post(NOTIFY, data=form, content_type="application/x-www-form-urlencoded")
        assert response.text == "success"
        return heads


@pytest.fixture
def street(app: Flask, client: FlaskClient, settings: Settings) -> Street:
    return Street(app, client, settings.instance_path / "keys")


def test_the_spine(street: Street) -> None:
    good = make_good(street.app, street.people[SELLER])
    found = {"buy": street.post(f"/api/buy/{good.id}/", BUYER, {"address_id": street.addresses[BUYER]})}
    with street.app.app_context():
        order = db.session.scalars(select(Order).order_by(Order.id.desc())).first()
    assert order is not None
    found["start paying"] = street.post(f"/order/pay/{order.id}/", BUYER, {})
    found["pay"] = street.notify(order.order_no, order.amount)
    ship = {"address_id": street.addresses[SELLER]}
    for action, role in (
        ("ship", SELLER),
        ("receive", BUYER),
        ("request", BUYER),
        ("send_back", BUYER),
        ("accept", SELLER),
    ):
        body = {**ACTIONS[action].body, **(ship if action == "ship" else {})}
        found[action] = street.post(ACTIONS[action].url.format(id=order.id), role, body)
    assert found == SPINE
    assert {step: len(heads) for step, heads in found.items()} == {
        "buy": 12,
        "start paying": 4,
        "pay": 10,
        "ship": 8,
        "receive": 11,
        "request": 9,
        "send_back": 7,
        "accept": 11,
    }


@pytest.mark.parametrize(
    ("action", "role", "phase"), OTHERS, ids=[f"{action}-{role}-{name_of(phase)}" for action, role, phase in OTHERS]
)
def test_the_other_steps(street: Street, action: str, role: str, phase: OrderPhase) -> None:
    order = street.lead(phase)
    heads = street.post(ACTIONS[action].url.format(id=order.id), role, ACTIONS[action].body)
    assert heads == [*OTHERS[action, role, phase], ANSWER]


def test_a_refusal(street: Street) -> None:
    order = street.lead(SHIPPED)
    headers = auth_headers(street.app, street.people[BUYER])
    with counted(street.app) as heads:
        assert street.client.post(ACTIONS["withdraw"].url.format(id=order.id), headers=headers).status_code == 409
    assert heads == [LOCK]


def test_an_idempotency_key(street: Street) -> None:
    order = street.lead(SHIPPED)
    heads = street.post(ACTIONS["receive"].url.format(id=order.id), BUYER, {}, **{"Idempotency-Key": "receive-1"})
    assert heads == [
        "pg_try_advisory_xact_lock",
        "SELECT idempotency_keys",
        *(head for head in SPINE["receive"] if head != SEARCH),
        *("INSERT idempotency_keys", SEARCH),
    ]


@pytest.mark.parametrize(
    ("phase", "further"),
    [
        (SHIPPED, []),
        (REFUND_REQUESTED_RECEIVED, ["SELECT evidence_pictures", "SELECT refund_requests", "SELECT disputes"]),
    ],
    ids=["without a request", "with one"],
)
def test_reading_an_order(street: Street, phase: OrderPhase, further: list[str]) -> None:
    order = street.lead(phase)
    headers = auth_headers(street.app, street.people[BUYER])
    with counted(street.app) as heads:
        street.client.get(f"/api/order/{order.id}/", headers=headers)
    assert heads == [ANSWER, "SELECT erasable_texts + order_events", *further, "SELECT payments + refunds"]


def test_a_sweep_books_once_for_all(street: Street) -> None:
    """A step that a deadline makes costs its own rows; finding it and booking it are the batch's."""
    for count in (1, 4):
        orders = [street.lead(RECEIVED) for _ in range(count)]
        with street.app.app_context(), db.engine.begin() as connection:
            due = update(Order).where(Order.id.in_([order.id for order in orders]))
            connection.execute(due.values(deadline_at=utcnow(), remind_at=None))
        with street.app.app_context(), counted(street.app) as heads:
            assert fire_due(limit=count) == count
        looks = {"SELECT orders + goods + payments FOR UPDATE": 1, "SELECT orders": 1, "SELECT orders + payments": 1}
        wanted = Counter({**looks, "UPDATE orders": count, "INSERT order_events": count, "INSERT outbox": count})
        wanted.update(BOOK)
        assert Counter(heads) == wanted
