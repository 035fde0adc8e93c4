"""Staff's payments by the day that the gateway's bill uses: when they were paid, in Shanghai."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from app.answers import Answer
from app.clock import SHANGHAI
from app.db.database import db
from app.money.models import Payment
from app.money.queries import booked_movements
from statemachine import OrderEvent, Role
from tests.factories import Made, assert_envelope, auth_headers, make_user
from tests.ledger.steps import walk

MIDNIGHT = datetime(2026, 11, 23, tzinfo=SHANGHAI)
SECOND = timedelta(seconds=1)


@pytest.fixture
def staff(app: Flask, client: FlaskClient) -> Made:
    return make_user(app, "kefu", staff=True)


def listed(app: Flask, client: FlaskClient, staff: Made, query: str) -> list[int]:
    response = client.get(f"/api/staff/payments/?{query}", headers=auth_headers(app, staff))
    data: Any = response.get_json()["data"]
    return [each["id"] for each in data["items"]]


def test_a_payment_is_listed_on_the_day_of_its_bill(app: Flask, client: FlaskClient, staff: Made) -> None:
    """Begun before midnight and paid after it, begun and paid before it, paid on the last second, and never paid."""
    for _ in range(3):
        walk(app, (OrderEvent.PAY, Role.GATEWAY))
    with app.app_context():
        ids = list(db.session.scalars(select(Payment.id).order_by(Payment.id)))
    created = (MIDNIGHT - SECOND, MIDNIGHT - timedelta(hours=1), MIDNIGHT - timedelta(hours=2))
    paid = (MIDNIGHT + SECOND, MIDNIGHT - timedelta(minutes=59), MIDNIGHT + timedelta(days=1) - SECOND)
    with app.app_context(), db.engine.begin() as connection:
        for payment_id, began, ended in zip(ids, created, paid, strict=True):
            connection.execute(update(Payment).where(Payment.id == payment_id).values(created_at=began, paid_at=ended))
    first, second, third = ids
    day = "since=2026-11-23&until=2026-11-23"
    assert listed(app, client, staff, f"by=paid&{day}") == [third, first]
    assert listed(app, client, staff, day) == []
    assert listed(app, client, staff, "by=created&until=2026-11-22") == [third, second, first]
    assert listed(app, client, staff, "by=paid&until=2026-11-22") == [second]
    # The same as `flask payments reconcile` compares with the bill of that day.
    with app.app_context():
        booked = booked_movements(since=MIDNIGHT, until=MIDNIGHT + timedelta(days=1), out_trade_nos=())
        numbers = db.session.scalars(select(Payment.out_trade_no).where(Payment.id.in_([first, third])))
        assert {each.movement.out_trade_no for each in booked} == set(numbers)


def test_another_moment_is_refused(app: Flask, client: FlaskClient, staff: Made) -> None:
    response = client.get("/api/staff/payments/?by=refunded", headers=auth_headers(app, staff))
    assert assert_envelope(response, Answer.MALFORMED) == {"errors": {"by": ["不在可选范围内"]}}
