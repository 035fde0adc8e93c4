"""The ways that other tests start from are real: each leads where it says, and the books agree with it."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.ledger.audit import audit
from statemachine import OrderPhase, order_flow
from tests.factories import EVENTS_TO, lead_order, make_good, make_user


def test_there_is_a_way_to_every_phase() -> None:
    assert set(EVENTS_TO) == set(order_flow.phases)


@pytest.mark.parametrize("phase", EVENTS_TO, ids=lambda phase: "-".join(map(str, phase)))
def test_the_way_leads_there(app: Flask, client: FlaskClient, phase: OrderPhase) -> None:
    order = lead_order(app, make_good(app, make_user(app)), make_user(app), phase=phase)
    assert (order.bill_status, order.order_status, order.closed) == phase
    assert order.history_length == len(EVENTS_TO[phase]) + 1
    with app.app_context():
        assert list(audit()) == []
