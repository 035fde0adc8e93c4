"""Who may use the staff's URLs: who is of staff at that moment, nobody else."""

import logging
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.answers import Answer
from app.staff.service import add_staff, remove_staff
from app.staff.views import api
from app.web.api import Operation
from app.web.auth import Auth
from app.web.openapi import OpenApiDocument
from statemachine.order import REFUND_REQUESTED_RECEIVED
from tests.factories import SNAPSHOT, assert_envelope, auth_headers, make_user, whole_database
from tests.staff.steps import order_at


def _send(client: FlaskClient, operation: Operation, headers: dict[str, str]) -> tuple[int, str]:
    # What one operation needs beside, the others refuse.
    more = {"message_ids": [1]} if operation.name == "staff.replay_messages" else {}
    options = {"json": {"reason": "凭证属实", **more}} if operation.body else {}
    url = re.sub("<id:[a-z_]+>", "1", operation.rule)
    response = client.open(url, method=operation.method, headers=headers, **options)
    return response.status_code, response.get_json()["msg"]


def test_every_url_is_for_staff() -> None:
    assert {operation.auth for operation in api.operations} == {Auth.STAFF}
    assert [(operation.method, operation.rule) for operation in api.operations] == [
        ("GET", "/api/staff/disputes/"),
        ("POST", "/api/staff/resolve_for_buyer/<id:order_id>/"),
        ("POST", "/api/staff/resolve_for_seller/<id:order_id>/"),
        ("GET", "/api/staff/orders/"),
        ("GET", "/api/staff/order/<id:order_id>/"),
        ("GET", "/api/staff/payments/"),
        ("GET", "/api/staff/ledger/"),
        ("GET", "/api/staff/actions/"),
        ("POST", "/api/staff/user/<id:user_id>/reset_code/"),
        ("POST", "/api/staff/take_down_good/<id:good_id>/"),
        ("POST", "/api/staff/restore_good/<id:good_id>/"),
        ("GET", "/api/staff/users/"),
        ("POST", "/api/staff/suspend_user/<id:user_id>/"),
        ("POST", "/api/staff/lift_suspension/<id:user_id>/"),
        ("GET", "/api/staff/goods/"),
        ("GET", "/api/staff/good/<id:good_id>/"),
        ("GET", "/api/staff/user/<id:user_id>/"),
        ("GET", "/api/staff/refunds/"),
        ("GET", "/api/staff/withdrawals/"),
        ("GET", "/api/staff/reads/"),
        ("GET", "/api/staff/members/"),
        ("POST", "/api/staff/member/<id:user_id>/reset_second_factor/"),
        ("GET", "/api/staff/outbox/"),
        ("POST", "/api/staff/outbox/replay/"),
        ("GET", "/api/staff/operations/"),
        ("GET", "/api/staff/figures/"),
    ]


@pytest.mark.parametrize("operation", api.operations, ids=lambda operation: operation.name)
def test_who_may(app: Flask, client: FlaskClient, operation: Operation) -> None:
    user, staff, removed = make_user(app), make_user(app, staff=True), make_user(app, staff=True)
    order = order_at(app, REFUND_REQUESTED_RECEIVED)
    assert order.id == 1
    token_of_staff = auth_headers(app, removed)
    with app.app_context():
        remove_staff(username=removed.username, reason="离职")
    forbidden = (403, Answer.FORBIDDEN.msg)
    before = whole_database(app)
    assert _send(client, operation, {}) == (401, Answer.LOGIN_REQUIRED.msg)
    assert _send(client, operation, auth_headers(app, user)) == forbidden
    assert _send(client, operation, auth_headers(app, order.buyer)) == forbidden
    assert _send(client, operation, token_of_staff) == forbidden
    assert whole_database(app) == before
    url_names_staff = operation.name == "staff.reset_second_factor"
    assert _send(client, operation, auth_headers(app, staff))[0] == (404 if url_names_staff else 200)


def test_the_role_counts_from_the_next_request_on(app: Flask, client: FlaskClient) -> None:
    user = make_user(app)
    headers = auth_headers(app, user)
    assert_envelope(client.get("/api/staff/disputes/", headers=headers), Answer.FORBIDDEN)
    with app.app_context():
        add_staff(username=user.username, reason="入职")
    assert_envelope(client.get("/api/staff/disputes/", headers=headers), Answer.NO_DISPUTES)
    with app.app_context():
        remove_staff(username=user.username, reason="离职")
    assert_envelope(client.get("/api/staff/disputes/", headers=headers), Answer.FORBIDDEN)


def test_the_document_says_so(app: Flask) -> None:
    document = app.extensions["saltfish.openapi"]
    assert isinstance(document, OpenApiDocument)
    with app.app_context():
        content = app.json.loads(document.content)
    described = content["paths"]["/api/staff/resolve_for_buyer/{order_id}/"]["post"]
    assert described["security"] == [{"staff": []}]
    assert "#/components/schemas/ForbiddenRefusal" in str(described["responses"]["403"])
    assert "Idempotency-Key" in str(described["parameters"])
    assert content["components"]["securitySchemes"]["staff"]["scheme"] == "bearer"


def test_what_staff_saw_is_logged(app: Flask, client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    staff = make_user(app, staff=True)
    order = order_at(app, REFUND_REQUESTED_RECEIVED, pictures=1)
    headers = auth_headers(app, staff)
    caplog.set_level(logging.INFO)
    assert client.get(f"/api/staff/order/{order.id}/", headers=headers).status_code == 200
    assert client.get("/api/staff/disputes/", headers=headers).status_code == 200
    assert client.get("/api/evidence/1/", headers=headers).status_code == 200
    assert client.get("/api/evidence/1/", headers=auth_headers(app, order.seller)).status_code == 200
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    reads = [line for line in lines if line["event"] == "staff_read"]
    assert [(line["actor_id"], line["subject"], line["subject_ids"]) for line in reads] == [
        (staff.id, "order", [order.id]),
        (staff.id, "order", [order.id]),
        (staff.id, "evidence", [1]),
    ]
    for secret in (SNAPSHOT["mobile"], SNAPSHOT["detail"], SNAPSHOT["name"]):
        assert secret not in caplog.text
