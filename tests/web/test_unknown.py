"""Names that nobody reads are refused by name, whatever operation they are sent to; and a PATCH answers POST."""

import io
from itertools import chain
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_jwt_extended import create_refresh_token
from werkzeug.datastructures import MultiDict

from app.accounts.models import Address, User
from app.answers import Answer
from app.factory import APIS
from app.web.api import Api, Operation
from app.web.auth import Auth
from app.web.unknown import _ours, unknown_names
from tests.accounts.steps import all_rows
from tests.applications import KeptContents
from tests.factories import (
    Made,
    assert_envelope,
    auth_headers,
    make_address,
    make_good,
    make_session,
    make_user,
    picture_bytes,
    whole_database,
)
from tests.test_bad_input import RIGHT, url

OPERATIONS = {f"{each.method} {each.rule}": each for api in APIS for each in api.operations}
STRICT = [name for name, each in OPERATIONS.items() if not each.strangers]

NAMED_BY_OTHERS = {
    "GET /order/pay/<id:order_id>/": "a page whose address messengers add to",
    "GET /order/pay/result/<ticket>/": "the gateway's way back",
    "POST /order/notify/": "the gateway's notification",
    "GET /healthz": "a probe",
    "GET /readyz": "a probe",
    "GET /metrics": "a probe",
    "GET /": "a page whose address messengers add to",
}


def test_only_what_others_write_may_have_unknown_names() -> None:
    assert {name for name in OPERATIONS if name not in STRICT} == set(NAMED_BY_OTHERS)
    prices_and_sides = (
        *("price", "original_price", "freight", "amount", "total"),
        *("seller", "seller_id", "buyer", "buyer_id", "owner", "owner_id"),
    )
    assert {name: each.not_read for name, each in OPERATIONS.items() if each.not_read} == {
        "POST /api/buy/<id:good_id>/": prices_and_sides,
        "POST /order/pay/<id:order_id>/": prices_and_sides,
    }


@pytest.fixture
def callers(app: Flask, client: FlaskClient, kept: KeptContents) -> tuple[Made, Made]:
    """Somebody, and somebody of staff."""
    return kept.begin_with("unknown", lambda: (make_user(app), make_user(app, staff=True)))


def _headers(app: Flask, operation: Operation, callers: tuple[Made, Made]) -> dict[str, str]:
    user, staff = callers
    if operation.auth is Auth.REFRESH:
        session = {"session": make_session(app, user.id)}
        with app.app_context():
            return {"Authorization": f"Bearer {create_refresh_token(identity=str(user.id), additional_claims=session)}"}
    return auth_headers(app, staff if operation.auth is Auth.STAFF else user)


@pytest.mark.parametrize("name", STRICT)
def test_every_operation_names_what_it_does_not_know(
    app: Flask, client: FlaskClient, callers: tuple[Made, Made], name: str
) -> None:
    """In the query, in JSON, in both kinds of forms, and files; nothing is done then."""
    operation = OPERATIONS[name]
    headers = _headers(app, operation, callers)
    right = RIGHT.get(name, {})
    before = whole_database(app)
    # With GET and DELETE a body means nothing unless the operation reads one.
    bodies = bool(right) or operation.method not in ("GET", "DELETE")
    ways: list[tuple[str, dict[str, Any]]] = [
        (
            "query",
            {"query_string": {"unheard_of": "1"}, "json": right} if right else {"query_string": {"unheard_of": ""}},
        ),
        ("json", {"json": {**right, "unheard_of": None}}),
        ("form", {"data": {**_as_form(right), "unheard_of": ""}}),
        ("multipart", {"data": {**_as_form(right), "unheard_of": "1"}, "content_type": "multipart/form-data"}),
        ("file", {"data": {**_as_form(right), "unheard_of": (io.BytesIO(picture_bytes()), "a.jpg")}}),
    ]
    for way, options in ways if bodies else ways[:1]:
        response = client.open(url(operation), method=operation.method, headers=headers, **options)
        errors = assert_envelope(response, operation.malformed)["errors"]
        assert set(errors) - (set() if operation.query is None else {"q", "title"}) == {"unheard_of"}, (way, errors)
    assert whole_database(app) == before


def _as_form(right: dict[str, Any]) -> dict[str, Any]:
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in right.items()}


BODILESS = [name for name in STRICT if OPERATIONS[name].body is None and OPERATIONS[name].files is None]


@pytest.mark.parametrize("name", [name for name in BODILESS if name.startswith("POST")])
def test_operations_without_a_body_take_only_nothing(
    app: Flask, client: FlaskClient, callers: tuple[Made, Made], name: str
) -> None:
    operation = OPERATIONS[name]
    headers = _headers(app, operation, callers)
    before = whole_database(app)
    for body, kind in ((b"[1]", "application/json"), (b"{", "application/json"), (b"x", "text/plain")):
        response = client.open(
            url(operation), method=operation.method, headers={**headers, "Content-Type": kind}, data=body
        )
        assert list(assert_envelope(response, operation.malformed)["errors"]) == ["body"]
    assert whole_database(app) == before
    for body in (b"", b"{}", b"null"):
        response = client.open(
            url(operation, 404), method=operation.method, headers=headers, data=body, content_type="application/json"
        )
        assert response.status_code != operation.malformed.http, body


def test_what_was_probably_meant_is_named() -> None:
    address = frozenset({"name", "mobile", "province", "city", "district", "detail", "is_default"})
    goods = frozenset({"page", "size", "category", "trade_mode", "price_min", "price_max", "sort"})
    for sent, known, meant in (
        ("moblie", address, "mobile"),
        ("Mobile", address, "mobile"),
        ("phone", address, "mobile"),
        ("isDefault", address, "is_default"),
        ("county", address, "district"),
        ("min_price", goods, "price_min"),
        ("priceMin", goods, "price_min"),
        ("pageSize", goods, "size"),
        ("per_page", goods, "size"),
        ("categroy", goods, "category"),
        ("order_by", goods, "sort"),
        ("trackingNumber", frozenset({"company", "tracking_no", "address_id"}), "tracking_no"),
        ("adress_id", frozenset({"address_id", "trade_mode"}), "address_id"),
        ("desc", frozenset({"title", "description"}), "description"),
        ("keyword", frozenset({"q", "page"}), "q"),
        ("captcha", frozenset({"captcha_id", "captcha_code"}), "captcha_code 或 captcha_id"),
        ("seller", frozenset({*goods, "owner"}), "owner"),
        ("sellerId", frozenset({*goods, "owner"}), "owner"),
        ("user_id", frozenset({*goods, "owner"}), "owner"),
        ("pagesize", goods, "size"),
        ("pageNum", goods, "page"),
        ("price-from", goods, "price_min"),
        ("phoneNumber", address, "mobile"),
        ("cityName", address, "city"),
        ("expressNo", frozenset({"company", "tracking_no", "address_id"}), "tracking_no"),
        ("expressCompany", frozenset({"company", "tracking_no", "address_id"}), "company"),
        ("handoverCode", frozenset({"code"}), "code"),
        ("images[]", frozenset({"title", "picture_ids"}), "picture_ids"),
        ("status", frozenset({"bill_status", "order_status", "page"}), "bill_status 或 order_status"),
    ):
        assert unknown_names([sent], known=known, what="字段") == {sent: [f"没有这个字段,是否想写 {meant}?"]}
    assert unknown_names(["owner"], known=goods, what="参数") == {
        "owner": ["没有这个参数;可用的有:category、page、price_max、price_min、size、sort、trade_mode"]
    }
    assert unknown_names(["owner"], known=frozenset(), what="参数") == {"owner": ["没有这个参数"]}
    assert unknown_names(["page", "total"], known=goods, ignored=("total",), what="参数") == {}


def test_what_other_interfaces_call_things_is_suggested_by_names_that_there_are() -> None:
    known = {name for each in OPERATIONS.values() for name in (*each.body_names, *each.query_names)}
    assert set(chain.from_iterable(_ours().values())) <= known


def test_thousands_of_unknown_names_are_not_told_back(app: Flask, client: FlaskClient) -> None:
    headers = auth_headers(app, make_user(app))
    many = {f"{'x' * 100}{number}": 1 for number in range(500)}
    errors = assert_envelope(client.patch("/api/user/", json=many, headers=headers), Answer.MALFORMED)["errors"]
    assert set(errors) == {"x" * 40}
    response = client.get("/api/goods/", query_string={f"x{number}": 1 for number in range(90)})
    assert len(assert_envelope(response, Answer.MALFORMED)["errors"]) == 20


def test_a_filter_that_is_none_shows_nobodys_goods(app: Flask, client: FlaskClient) -> None:
    make_good(app, make_user(app))
    response = client.get("/api/goods/?onwer=1&page=x")
    errors = assert_envelope(response, Answer.MALFORMED)["errors"]
    assert sorted(errors) == ["onwer", "page"]
    assert errors["page"] == ["须为整数"]


def test_of_several_values_none_is_lost(app: Flask, client: FlaskClient) -> None:
    headers = auth_headers(app, make_user(app))
    for response in (
        client.get("/api/goods/?category=1&category=2"),
        client.post("/api/user/", data=MultiDict([("bio", "a"), ("bio", "b")]), headers=headers),
    ):
        assert list(assert_envelope(response, Answer.MALFORMED)["errors"].values()) == [["只能出现一次"]]
    assert client.get("/api/goods/?category=1&category=1").status_code == 200


def test_the_price_of_an_order_is_not_read(app: Flask, client: FlaskClient) -> None:
    seller, buyer = make_user(app), make_user(app)
    good, address = make_good(app, seller), make_address(app, buyer)
    headers, buy = auth_headers(app, buyer), f"/api/buy/{good.id}/"
    lies = {"price": "0.01", "freight": 0, "amount": "0.01", "seller": {"id": 9}, "seller_id": 9, "buyer_id": 9}
    refused = client.post(buy, json={"adress_id": address.id, **lies}, headers=headers)
    assert assert_envelope(refused, Answer.MALFORMED) == {
        "errors": {"adress_id": ["没有这个字段,是否想写 address_id?"]}
    }
    headers["Idempotency-Key"] = "once"
    bought = client.post(buy, json={"address_id": address.id, **lies}, headers=headers)
    order = assert_envelope(bought, Answer.ORDER_CREATED)
    assert (order["price"], order["seller"]["id"], order["buyer"]["id"]) == ("2588.00", seller.id, buyer.id)
    # Nor do they make another request of it.
    assert client.post(buy, json={"address_id": address.id}, headers=headers).data == bought.data


# --- POST where there is PATCH or PUT ---


def test_every_patch_and_put_answers_post() -> None:
    changing = {each.rule for each in OPERATIONS.values() if each.method in ("PATCH", "PUT")}
    assert changing == {"/api/user/", "/api/address/<id:address_id>/", "/api/good_edit/<id:good_id>/"} | {
        "/api/saved_search/<id:search_id>/"
    }
    for rule in changing:
        patch, post = OPERATIONS[f"PATCH {rule}"], OPERATIONS[f"POST {rule}"]
        assert (post.body, post.out, post.auth, post.limit) == (patch.body, patch.out, patch.auth, patch.limit)
        assert (post.takes_key, patch.takes_key) == (True, False)


def test_a_post_changes_what_a_patch_changes_and_once_under_its_key(app: Flask, client: FlaskClient) -> None:
    user = make_user(app)
    address = make_address(app, user)
    headers = {**auth_headers(app, user), "Idempotency-Key": "once"}
    url_ = f"/api/address/{address.id}"
    first = client.post(url_, json={"city": "宁波市", "district": "海曙区"}, headers=headers)
    assert assert_envelope(first, Answer.ADDRESS_EDITED)["city"] == "宁波市"
    rows = all_rows(app, Address)
    again = client.post(url_, json={"city": "宁波市", "district": "海曙区"}, headers=headers)
    assert (again.data, again.headers["Idempotency-Replayed"]) == (first.data, "true")
    assert all_rows(app, Address) == rows
    other = client.post(url_, json={"city": "温州市"}, headers=headers)
    assert assert_envelope(other, Answer.KEY_REUSED) is None
    assert_envelope(
        client.post("/api/user/", json={"bio": "常在"}, headers=auth_headers(app, user)), Answer.PROFILE_EDITED
    )
    assert [row["bio"] for row in all_rows(app, User) if row["id"] == user.id] == ["常在"]


def test_a_put_alone_has_to_answer_post_too() -> None:
    api = Api("alone", __name__, tag="", about="")
    api.put("/alone/")(lambda: None)
    with pytest.raises(ValueError, match="PUT /alone/ has to answer POST as well"):
        api.register(Flask("alone"), {})
    with pytest.raises(ValueError, match="PUT /alone/ is there already"):
        api.put("/alone/")(lambda: None)
