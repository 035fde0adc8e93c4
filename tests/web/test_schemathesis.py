"""Schemathesis sends what the OpenAPI document allows, and what it does not, to every operation of a filled market.

No answer may be a 5xx, have an undocumented status, type or header, or break its schema.
"""

import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import APIOperation, BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.answers import Answer
from app.factory import APIS
from app.web.api import Operation
from statemachine import GoodStatus
from statemachine.order import PAID, RECEIVED, REFUND_REQUESTED_RECEIVED, REFUNDED_RETURNED, SHIPPED
from tests.applications import KeptContents
from tests.factories import (
    PASSWORD,
    assert_envelope,
    auth_headers,
    lead_order,
    make_address,
    make_good,
    make_user,
    picture_bytes,
)

OPERATIONS = [operation for api in APIS for operation in api.operations]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 30
_COMMAS = {"type": "string", "pattern": "^[0-9]+(,[0-9]+)*$"}


@pytest.fixture(scope="session")
def schema(app: Flask) -> BaseSchema:
    """The document that the application serves, with all types of body that it takes."""
    document = app.test_client().get("/docs/openapi.json").get_json()
    _add_types_of_body(document)
    schema = schemathesis.openapi.from_dict(document, config=SchemathesisConfig())
    schema.app = app
    return schema


@pytest.fixture
def callers(app: Flask, clean: None, kept: KeptContents) -> list[dict[str, str]]:
    """A market in which ids from 1 on hit rows; returns the headers of those who call.

    They are a buyer, a seller, staff, the buyer with the wrong kind of token, nobody, and a liar.
    """
    return kept.begin_with("market", lambda: _fill_market(app))


def _fill_market(app: Flask) -> list[dict[str, str]]:
    buyer, seller = make_user(app), make_user(app)
    client = app.test_client()
    login = client.post("/login/", json={"username": buyer.username, "password": PASSWORD})
    refresh = {"Authorization": f"Bearer {assert_envelope(login, Answer.LOGGED_IN)['refresh_token']}"}
    pictured = {
        "title": "键盘",
        "description": "机械键盘,九成新",
        "price": "99.00",
        "category": "2",
        "trade_mode": "7",
        "pictures": (io.BytesIO(picture_bytes()), "front.jpg"),
    }
    release = client.post("/api/good_release/", data=pictured, headers=auth_headers(app, seller))
    assert_envelope(release, Answer.GOOD_RELEASED)
    make_address(app, buyer)
    make_address(app, seller)
    for status in GoodStatus:
        make_good(app, seller, status=status)
    make_good(app, buyer)
    lead_order(app, make_good(app, seller), buyer)
    for phase in (PAID, SHIPPED, RECEIVED, REFUND_REQUESTED_RECEIVED, REFUNDED_RETURNED):
        lead_order(app, make_good(app, seller), buyer, phase=phase)
    liar = {"Authorization": "Bearer not.a.token"}
    staff = auth_headers(app, make_user(app, staff=True))
    return [auth_headers(app, buyer), auth_headers(app, seller), auth_headers(app, seller), staff, refresh, {}, liar]


# Traced, it takes a third longer and covers nothing that others do not.
@pytest.mark.no_cover
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_answer_is_as_documented(operation: Operation, schema: BaseSchema, callers: list[dict[str, str]]) -> None:
    # Being not ready is a 503 that is declared; any other 5xx is a fault.
    checks = [check for check in CHECKS if check is not not_a_server_error or Answer.NOT_READY not in operation.refuses]
    described = schema[_path(operation)][operation.method]

    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=st.one_of(*_cases(described)), headers=st.sampled_from(callers))
    def answers(case: Case, headers: dict[str, str]) -> None:
        case.call_and_validate(headers=headers, checks=checks)

    answers()


def _path(operation: Operation) -> str:
    """The operation's key in the document."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", operation.rule)


def _add_types_of_body(document: dict[str, Any]) -> None:
    """Add the types that the document promises of every body, though it describes one: JSON and both kinds of forms."""
    for operation in OPERATIONS:
        if operation.body is None:
            continue
        model = operation.body.model_json_schema(ref_template="#/components/schemas/{model}")
        model.pop("$defs", None)  # the document has them
        form = {**model, "properties": {name: _form_field(field) for name, field in model["properties"].items()}}
        content = document["paths"][_path(operation)][operation.method.lower()]["requestBody"]["content"]
        content.setdefault("application/json", {"schema": model})
        content.setdefault("application/x-www-form-urlencoded", {"schema": form})
        content.setdefault("multipart/form-data", {"schema": form})


def _form_field(field: dict[str, Any]) -> dict[str, Any]:
    """`field` as a form can say it: null is to leave it out, a list is its values with commas between."""
    choices = [choice for choice in field.get("anyOf", [field]) if choice != {"type": "null"}]
    return {"anyOf": [_COMMAS if choice.get("type") == "array" else choice for choice in choices]}


def _cases(operation: APIOperation) -> Iterator[st.SearchStrategy[Case]]:
    """Valid cases with ids of rows that exist and with any others, and invalid ones."""
    names = [parameter.name for parameter in operation.path_parameters]
    for row_id in range(1, 7) if names else ():
        yield operation.as_strategy(GenerationMode.POSITIVE, path_parameters=dict.fromkeys(names, row_id))
    yield operation.as_strategy(GenerationMode.POSITIVE)
    if names or operation.query or operation.body:
        yield operation.as_strategy(GenerationMode.NEGATIVE)
