"""The OpenAPI document: valid, complete, and true to what operations declare."""

import json
import re
from enum import IntEnum
from typing import Annotated, Any

import jsonschema_rs
import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import BaseModel, Field
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR
from typing_extensions import TypedDict

from app.answers import Answer
from app.clock import MomentOut
from app.enums import OneOf
from app.fields import PriceIn
from app.paging import Page, PageQuery
from app.refusals import REFUSAL_DETAILS
from app.web.api import MAX_ID, Api
from app.web.auth import Auth
from app.web.openapi import OpenApiDocument


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    response = app.test_client().get("/docs/openapi.json")
    assert (response.status_code, response.content_type) == (200, "application/json")
    served: dict[str, Any] = json.loads(response.data)
    return served


def test_document_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    OPENAPI_31_VALIDATOR.validate(document)
    for name, schema in document["components"]["schemas"].items():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
        assert re.fullmatch(r"[A-Z][A-Za-z0-9]*", name), name
        assert "title" not in schema, name


def test_every_url_and_method_is_documented(app: Flask, document: dict[str, Any]) -> None:
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule).rstrip("/"), method)
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
        if method not in ("HEAD", "OPTIONS")
    }
    # Rules stand without their slash, which is optional.
    documented = {(path.rstrip("/"), method.upper()) for path, item in document["paths"].items() for method in item}
    # The pages of the back office are forms and pages for people, no part of the API.
    assert documented == {(path, method) for path, method in served if not f"{path}/".startswith("/admin/")}


def test_every_reference_leads_somewhere_and_nothing_is_left_over(document: dict[str, Any]) -> None:
    references = set(re.findall(r'"\$ref": "#/components/(\w+)/([^"]+)"', json.dumps(document)))
    components = {
        (kind, name)
        for kind in ("schemas", "headers", "parameters", "examples")
        for name in document["components"][kind]
    }
    assert references == components


def test_every_operation_says_what_it_is(document: dict[str, Any]) -> None:
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    for operation in operations:
        assert operation["summary"], operation["operationId"]
        assert "500" in operation["responses"]


def test_document_is_cached_by_its_etag(client: FlaskClient) -> None:
    first = client.get("/docs/openapi.json")
    again = client.get("/docs/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    other = client.get("/docs/openapi.json", headers={"If-None-Match": '"of-another-version"'})
    assert (other.status_code, other.data) == (200, first.data)


class ThingIn(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=60)]
    price: PriceIn
    note: str | None = None
    parts: Annotated[list[int], Field(description="ids of its parts")] = []


class Colour(IntEnum):
    """What it looks like."""

    RED = 1
    GREEN = 2


ColourCode = Annotated[int, OneOf(Colour, {Colour.RED: "红", Colour.GREEN: "绿"})]


class ThingOut(TypedDict):
    id: int
    name: str
    colour: ColourCode
    wanted: ColourCode | None
    made_at: MomentOut


class ThingQuery(PageQuery):
    category: int | None = None
    colour: ColourCode | None = None


def described(*, always_200: bool = False) -> dict[str, Any]:
    """The document of a few operations that have one of everything."""
    api = Api("things", __name__, tag="东西", about="whatever there is")

    @api.get("/things/", query=ThingQuery, out=Page[ThingOut], empty=Answer.NO_GOODS, limit="rate_limit_search")
    def list_things() -> None:
        """List things.

        Newest first.
        """

    @api.put("/things/<id:thing_id>", auth=Auth.USER, body=ThingIn, files="pictures", refuses=(Answer.NO_SUCH_GOOD,))
    @api.patch("/things/<id:thing_id>", auth=Auth.USER, body=ThingIn, malformed=Answer.EDIT_MALFORMED)
    def edit_thing() -> None:
        """Edit a thing."""

    @api.get("/things/<name>/", auth=Auth.CASHIER, media=("text/html; charset=utf-8", "image/png"), conditional=True)
    def show_thing() -> None:
        """Show a thing."""

    @api.post("/things/<name>/", auth=Auth.OPTIONAL, redirects=True)
    def pay_thing() -> None:
        """Pay for a thing."""

    document: dict[str, Any] = json.loads(OpenApiDocument((api,), REFUSAL_DETAILS, always_200=always_200).content)
    OPENAPI_31_VALIDATOR.validate(document)
    return document


def refused(answer: Answer) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{answer.name.title().replace('_', '')}Refusal"}


def test_no_name_of_a_refusal_says_it_twice() -> None:
    api = Api("things", __name__, tag="东西", about="whatever there is")

    @api.get("/things/", auth=Auth.NONE, refuses=(Answer.TRADE_MODE_REFUSED,))
    def list_things() -> None:
        """List things."""

    document = json.loads(OpenApiDocument((api,), REFUSAL_DETAILS, always_200=False).content)
    described = document["paths"]["/things/"]["get"]
    assert schema_of(described, 409) == {"$ref": "#/components/schemas/TradeModeRefusal"}


def schema_of(operation: dict[str, Any], status: int) -> Any:
    return operation["responses"][str(status)]["content"]["application/json"]["schema"]


def test_list_operation() -> None:
    document = described()
    assert document["tags"] == [
        {"name": "things", "x-displayName": "东西", "description": "东西: whatever there is"},
    ]
    operation = document["paths"]["/things/"]["get"]
    assert operation["tags"] == ["things"]
    assert (operation["summary"], operation["description"]) == ("List things.", "Newest first.")
    assert operation["security"] == []
    assert operation["parameters"] == [
        {
            "name": "page",
            "in": "query",
            "required": False,
            "schema": {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 1},
        },
        {
            "name": "size",
            "in": "query",
            "required": False,
            "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
        },
        {"name": "category", "in": "query", "required": False, "schema": {"type": "integer"}},
        {"name": "colour", "in": "query", "required": False, "schema": {"$ref": "#/components/schemas/Colour"}},
    ]
    page = {"$ref": "#/components/schemas/ThingPage"}
    assert schema_of(operation, 200) == {
        "anyOf": [
            {
                "type": "object",
                "properties": {"status": {"const": status}, "msg": {"const": msg}, "data": page},
                "required": ["status", "msg", "data"],
                "additionalProperties": False,
            }
            for status, msg in ((200, "请求成功"), (100, "商品查询失败"))
        ]
    }
    assert sorted(operation["responses"]) == ["200", "422", "429", "500", "503"]
    assert schema_of(operation, 422) == refused(Answer.MALFORMED)
    assert schema_of(operation, 429) == refused(Answer.TOO_MANY_REQUESTS)
    assert set(operation["responses"]["429"]["headers"]) == {"Retry-After", "X-Request-Id"}


def test_operation_with_body_and_files() -> None:
    document = described()
    operation = document["paths"]["/things/{thing_id}"]["put"]
    assert operation["operationId"] == "things.edit_thing_put"
    assert operation["security"] == [{"access": []}]
    assert operation["parameters"] == [
        {
            "name": "thing_id",
            "in": "path",
            "required": True,
            "schema": {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID},
        }
    ]
    assert operation["requestBody"]["required"] is True
    [(kind, content)] = operation["requestBody"]["content"].items()
    form = content["schema"]
    assert kind == "multipart/form-data"
    assert (list(form["properties"]), form["required"]) == (
        ["name", "price", "note", "parts", "pictures"],
        ["name", "price"],
    )
    # A form can say neither null nor a list.
    assert form["properties"]["note"] == {"type": "string"}
    assert form["properties"]["parts"] == {
        "type": "string",
        "pattern": "^[0-9]+(,[0-9]+)*$",
        "description": "ids of its parts",
    }
    assert form["properties"]["pictures"] == {"type": "array", "items": {"type": "string", "format": "binary"}}
    assert sorted(operation["responses"]) == [
        "200",
        "400",
        "401",
        "404",
        "408",
        "409",
        "413",
        "415",
        "422",
        "429",
        "500",
        "503",
    ]
    assert schema_of(operation, 401) == {
        "anyOf": [
            refused(answer)
            for answer in (Answer.LOGIN_REQUIRED, Answer.TOKEN_INVALID, Answer.TOKEN_EXPIRED, Answer.TOKEN_REVOKED)
        ]
    }
    assert schema_of(operation, 404) == refused(Answer.NO_SUCH_GOOD)
    assert document["components"]["schemas"]["MalformedRefusal"]["properties"] == {
        "status": {"const": 101},
        "msg": {"const": "信息格式不正确"},
        "data": {
            "allOf": [
                {"$ref": "#/components/schemas/FieldErrors"},
                {"type": "object", "properties": {"error": {"const": "MALFORMED"}}, "required": ["error"]},
            ]
        },
    }


def test_stacked_operations_are_documented_each() -> None:
    operation = described()["paths"]["/things/{thing_id}"]["patch"]
    assert operation["operationId"] == "things.edit_thing"
    assert operation["requestBody"] == {
        "required": True,
        "description": "At most 65,536 bytes.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ThingIn"}}},
    }
    assert schema_of(operation, 422) == refused(Answer.EDIT_MALFORMED)


def test_codes_are_named_enums_and_times_are_moments() -> None:
    schemas = described()["components"]["schemas"]
    colour = {"$ref": "#/components/schemas/Colour"}
    assert schemas["Colour"] == {
        "description": "What it looks like.\n\n- `1` 红\n- `2` 绿",
        "type": "integer",
        "enum": [1, 2],
        "x-enum-varnames": ["RED", "GREEN"],
    }
    fields = schemas["Thing"]["properties"]
    assert (fields["colour"], fields["wanted"]) == (colour, {"anyOf": [colour, {"type": "null"}]})
    assert fields["made_at"] == {"type": "string", "format": "date-time", "examples": ["2026-11-22T20:15:00+08:00"]}


ENUMS = {
    "bill_status": {"BillStatus"},
    "order_status": {"OrderStatus"},
    "good_status": {"GoodStatus"},
    "category": {"Category", "ViolationCategory"},  # of goods, and of what breaks the rules
    "trade_mode": {"TradeMode", "OrderTradeMode"},
    "event": {"OrderEvent", "HistoryEvent", "AttemptedAction", "NotificationEvent", "GoodEvent"},
    "role": {"Role"},
}


def test_every_code_and_every_time_is_described_as_one(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    found: dict[str, set[str]] = {name: set() for name in ENUMS}
    times = []
    for component in schemas.values():
        for name, field in component.get("properties", {}).items():
            plain = next((each for each in field.get("anyOf", [field]) if each != {"type": "null"}), field)
            code = name.removeprefix("from_").removeprefix("to_")
            if code in ENUMS and plain.get("type") != "array":  # the facets of a search are lists
                found[code].add(plain.get("$ref", "").rpartition("/")[2])
            if name == "at" or name.endswith("_at"):
                times.append(plain.get("format"))
    assert found == ENUMS
    assert set(times) == {"date-time"}
    assert schemas["Action"]["properties"]["name"] == {"$ref": "#/components/schemas/ActionName"}
    assert schemas["Role"]["enum"] == ["buyer", "seller", "system", "gateway", "staff"]


def test_every_list_says_of_what(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    lists = [
        (name, field["items"])
        for name, component in schemas.items()
        for field in component.get("properties", {}).values()
        if field.get("type") == "array"
    ]
    assert [name for name, items in lists if items == {}] == []
    assert ("Wallet", {"$ref": "#/components/schemas/WalletEntry"}) in lists
    assert ("Ledger", {"$ref": "#/components/schemas/LedgerTransaction"}) in lists


def test_two_classes_of_one_name_are_refused() -> None:
    api = Api("things", __name__, tag="东西", about="whatever there is")

    @api.get("/one/", out=ThingOut)
    @api.get("/other/", out=type("ThingOut", (BaseModel,), {"__module__": "elsewhere"}))
    def thing() -> None:
        """A thing."""

    with pytest.raises(ValueError, match="two components of one name: elsewhere__Thing"):
        _ = OpenApiDocument((api,), REFUSAL_DETAILS, always_200=False).content


def test_operation_without_envelope() -> None:
    operation = described()["paths"]["/things/{name}/"]["get"]
    assert operation["security"] == [{"access": []}, {"query": []}]
    assert operation["responses"]["200"]["content"] == {
        "text/html; charset=utf-8": {"schema": {"type": "string"}},
        "image/png": {"schema": {"type": "string", "format": "binary"}},
    }
    assert "content" not in operation["responses"]["304"]
    # 422: of parameters that it does not know.
    assert sorted(operation["responses"]) == ["200", "304", "401", "422", "500", "503"]


def test_redirecting_operation_has_no_success_envelope() -> None:
    operation = described()["paths"]["/things/{name}/"]["post"]
    assert operation["security"] == [{}, {"access": []}]
    assert "Location" in operation["responses"]["302"]["headers"]
    assert sorted(operation["responses"]) == ["302", "401", "409", "422", "500", "503"]
    assert refused(Answer.LOGIN_REQUIRED) not in schema_of(operation, 401)["anyOf"]


def test_operation_that_takes_a_key() -> None:
    document = described()
    operation = document["paths"]["/things/{name}/"]["post"]
    assert operation["parameters"][-1] == {"$ref": "#/components/parameters/Idempotency-Key"}
    parameter = document["components"]["parameters"]["Idempotency-Key"]
    assert (parameter["in"], parameter["required"]) == ("header", False)
    assert parameter["schema"] == {"type": "string", "pattern": "^[!-~]{1,255}$", "minLength": 1, "maxLength": 255}
    assert schema_of(operation, 409) == refused(Answer.REQUEST_RUNNING)
    assert schema_of(operation, 422) == {"anyOf": [refused(Answer.MALFORMED), refused(Answer.KEY_REUSED)]}
    headers = {status: sorted(response["headers"]) for status, response in operation["responses"].items()}
    assert headers == {
        "302": ["Idempotency-Replayed", "Location", "X-Request-Id"],
        "401": ["X-Request-Id"],
        "409": ["Idempotency-Replayed", "Retry-After", "X-Request-Id"],
        "422": ["X-Request-Id"],
        "500": ["X-Request-Id"],
        "503": ["Retry-After", "X-Request-Id"],
    }


def test_what_staff_ask_for_may_say_why(document: dict[str, Any]) -> None:
    """As `tests/office/test_pages.py` does; a reason that is none is refused under the header's name."""
    for item in document["paths"].values():
        for operation in item.values():
            takes = {"$ref": "#/components/parameters/X-Staff-Reason"} in operation["parameters"]
            assert takes is (operation["security"] == [{"staff": []}]), operation["operationId"]
            assert not takes or "422" in operation["responses"], operation["operationId"]
    parameter = document["components"]["parameters"]["X-Staff-Reason"]
    assert (parameter["in"], parameter["required"], parameter["schema"]["type"]) == ("header", False, "string")


def test_every_post_takes_a_key_but_those_that_say_no(document: dict[str, Any]) -> None:
    taking = {
        (method, path)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if {"$ref": "#/components/parameters/Idempotency-Key"} in operation["parameters"]
    }
    posts = {("post", path) for path, item in document["paths"].items() if "post" in item}
    # Their answers hold tokens, or they take no key because the gateway calls them.
    assert posts - taking == {("post", path) for path in WITHOUT_KEY}
    assert taking <= posts


WITHOUT_KEY = (
    "/login/",
    "/api/token_refresh/",
    "/api/logout/",
    "/order/notify/",
    "/order/pay/{order_id}/ticket/",
    "/api/staff/user/{user_id}/reset_code/",
    # The one creates nothing; of the other each request is to give another case.
    "/api/staff/try_text/",
    "/api/staff/next_review/",
    # Counts without who.
    "/api/search_click/",
)


def test_always_200_puts_every_envelope_under_200() -> None:
    operation = described(always_200=True)["paths"]["/things/{thing_id}"]["put"]
    assert list(operation["responses"]) == ["200"]
    assert refused(Answer.NO_SUCH_GOOD) in schema_of(operation, 200)["anyOf"]
