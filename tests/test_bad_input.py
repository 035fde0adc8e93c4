"""Bad input to every operation that takes any: its envelope, and nothing stored.

The operations are those of the running application, so a new URL is tested as soon as it exists. What is bad about a
single field of a domain is tested with the domain; the bodies of orders are tested here.
"""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import jwt as pyjwt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_jwt_extended import create_access_token, create_refresh_token
from sqlalchemy import update

from app.accounts.sessions import end_session
from app.answers import Answer
from app.db.database import db
from app.factory import APIS
from app.goods.models import Good
from app.orders.models import Order
from app.web.api import Operation
from app.web.auth import Auth
from statemachine import GoodStatus, OrderPhase, TradeMode
from statemachine.order import PAID, RECEIVED, REFUND_REQUESTED_RECEIVED, REFUND_REQUESTED_SHIPPED, RETURN_SENT
from tests.applications import KeptContents
from tests.factories import (
    Made,
    assert_envelope,
    auth_headers,
    lead_order,
    make_address,
    make_good,
    make_order,
    make_session,
    make_user,
    whole_database,
)
from tests.fields.test_pasted import NUMBER_EXPECTED
from tests.goods.steps import release

OPERATIONS = {f"{each.method} {each.rule}": each for api in APIS for each in api.operations}
WITH_ID = [name for name, each in OPERATIONS.items() if "<id:" in each.rule]
WITH_BODY = [name for name, each in OPERATIONS.items() if each.body is not None]
WITH_TOKEN = [name for name, each in OPERATIONS.items() if each.auth is not Auth.NONE]

GOOD = {"title": "自行车", "description": "九成新", "price": "300", "category": 7, "trade_mode": 7}
ADDRESS = {
    "name": "王小明",
    "mobile": "13800138000",
    "province": "浙江省",
    "city": "杭州市",
    "district": "余杭区",
    "detail": "文一西路 969 号",
}
PARCEL = {"company": "顺丰速运", "tracking_no": "SF1234567890"}

# A right body for each operation that takes one, so that what is refused is what the test made wrong.
RIGHT: Mapping[str, dict[str, Any]] = {
    "POST /register/": {
        "username": "laowang",
        "password": "horse-battery-9",
        "captcha_id": "x",
        "captcha_code": "y",
    },
    "POST /login/": {"username": "laowang", "password": "horse-battery-9"},
    "PATCH /api/user/": {"bio": "常在杭州"},
    "POST /api/user/": {"bio": "常在杭州"},
    "DELETE /api/user/": {"password": "correct-horse-1"},
    "POST /api/user/password/": {"old_password": "correct-horse-1", "new_password": "horse-battery-9"},
    "POST /api/user/recovery/": {"channel": "email", "address": "a@example.com", "password": "correct-horse-1"},
    "DELETE /api/user/recovery/": {"channel": "email", "password": "correct-horse-1"},
    "POST /api/user/recovery/verify/": {"channel": "email", "code": "12345678"},
    "POST /api/password/forgot/": {"username": "laowang"},
    "POST /api/password/reset/": {"username": "laowang", "code": "12345678", "new_password": "horse-battery-9"},
    "POST /api/staff/user/<id:user_id>/reset_code/": {"reason": "电话核实"},
    "POST /api/add_address/": ADDRESS,
    "PUT /api/address/<id:address_id>/": ADDRESS,
    "PATCH /api/address/<id:address_id>/": {"name": "王大明"},
    "POST /api/address/<id:address_id>/": {"name": "王大明"},
    "POST /api/good_release/": GOOD,
    "PUT /api/good_edit/<id:good_id>/": GOOD,
    "PATCH /api/good_edit/<id:good_id>/": {"title": "山地车"},
    "POST /api/good_edit/<id:good_id>/": {"title": "山地车"},
    "POST /api/buy/<id:good_id>/": {"address_id": 1},
    "POST /api/seller_send_delivery/<id:order_id>/": {"address_id": 1, **PARCEL},
    "POST /api/buyer_motion_drawback/<id:order_id>": {"reason": "与描述不符"},
    "POST /api/seller_reject_drawback/<id:order_id>/": {"reason": "商品与描述一致"},
    "POST /api/dispute_order/<id:order_id>/": {"reason": "协商不成"},
    "POST /api/dispute_statement/<id:order_id>/": {"text": "包裹里少了耳机"},
    "POST /api/seller_contest_drawback/<id:order_id>/": {"reason": "退回的不是原物"},
    "POST /api/seller_hand_over/<id:order_id>/": {"code": "012345"},
    "POST /api/buyer_send_drawback/<id:order_id>/": PARCEL,
    "POST /api/withdraw/": {"amount": "12.00", "account": "13800138000", "name": "王小明"},
    "POST /api/notifications/read/": {"all": True},
    "POST /api/staff/resolve_for_buyer/<id:order_id>/": {"reason": "凭证属实"},
    "POST /api/staff/resolve_for_seller/<id:order_id>/": {"reason": "凭证不足"},
    "POST /api/staff/member/<id:user_id>/reset_second_factor/": {"reason": "手机丢失"},
    "POST /api/staff/outbox/replay/": {"message_ids": [1], "reason": "对方已恢复"},
    "POST /api/staff/try_text/": {"text": "九成新台灯", "kind": "title", "category": 5, "price": "35.00"},
    "POST /api/staff/take_down_good/<id:good_id>/": {"reason": "假货"},
    "POST /api/good_appeal/<id:good_id>/": {"text": "没有违规,请复核"},
    "POST /api/good_report/<id:good_id>/": {"category": "counterfeit"},
    "POST /api/staff/next_review/": {"besides": []},
    "POST /api/staff/review/<id:review_id>/": {"decision": "approve"},
    "POST /api/staff/ban_picture/<id:picture_id>/": {"category": "fraud", "note": "骗子常用图"},
    "POST /api/staff/lift_ban/<id:ban_id>/": {"reason": "误判"},
    "POST /api/staff/restore_good/<id:good_id>/": {"reason": "查无此事"},
    "POST /api/staff/suspend_user/<id:user_id>/": {"reason": "多次发布假货"},
    "POST /api/staff/lift_suspension/<id:user_id>/": {"reason": "申诉成立"},
    "POST /api/staff/clear_profile/<id:user_id>/": {"parts": ["nickname", "bio", "avatar"], "reason": "含联系方式"},
    "POST /api/search_click/": {"q": "台灯"},
    "POST /api/staff/ban_query/": {"text": "台灯", "reason": "违规"},
    "POST /api/staff/allow_query/": {"text": "台灯", "reason": "误判"},
    "POST /api/saved_search/": {"q": "台灯"},
    "PATCH /api/saved_search/<id:search_id>/": {"notify": False},
    "POST /api/saved_search/<id:search_id>/": {"notify": False},
    "POST /api/staff/money_case/<id:case_id>/": {"decision": "dismiss", "reason": "已在商家平台核对"},
}

MISSING = {
    "user_id": Answer.NO_SUCH_USER,
    "address_id": Answer.NO_SUCH_ADDRESS,
    "good_id": Answer.NO_SUCH_GOOD,
    "pic_id": Answer.NO_SUCH_PICTURE,
    "avatar_id": Answer.NO_SUCH_PICTURE,
    "order_id": Answer.NO_SUCH_ORDER,
    "payout_id": Answer.NO_SUCH_WITHDRAWAL,
    "case_id": Answer.NO_SUCH_MONEY_CASE,
    "review_id": Answer.NO_SUCH_REVIEW,
    "ban_id": Answer.NO_SUCH_BAN,
    "search_id": Answer.NO_SUCH_SAVED_SEARCH,
    "picture_id": Answer.NO_SUCH_PICTURE,
}

IDS = [
    *(
        "0",
        "-1",
        "-0",
        "+1",
        "00",
        "1.0",
        "1e0",
        "0x1",
        "1_0",
        " 1",
        "1 ",
        "９",
        "²",
        "abc",
        "鱼",
        "💥",
        "null",
        "None",
    ),
    *(str(2**31), str(2**63 - 1), str(2**63), str(2**64), "9" * 300, "1\x00", "1\n", "\u202e1", "1;--", "'", "%", ".."),
]


def parameter(operation: Operation) -> str:
    """The name of the id in its URL."""
    return operation.rule.partition("<id:")[2].partition(">")[0]


def url(operation: Operation, value: object = 1) -> str:
    """Its URL, with `value` for what it leaves open."""
    before, opened, rest = operation.rule.partition("<")
    return before + quote(str(value), safe="") + rest.partition(">")[2] if opened else operation.rule


def at(app: Flask, phase: OrderPhase) -> None:
    """Bring order 1 there, for steps that move no money."""
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Order).values(bill_status=phase.bill, order_status=phase.goods))


@pytest.fixture
def market(app: Flask, client: FlaskClient, kept: KeptContents) -> tuple[Made, Made, Made]:
    """Somebody's user, address, good, picture and order, each with id 1 (the user's is 1 too): seller, buyer, stranger.

    The good is in review, so that it and its picture are nobody else's business.
    """
    return kept.begin_with("market", lambda: _fill_market(app, client))


def _fill_market(app: Flask, client: FlaskClient) -> tuple[Made, Made, Made]:
    seller, buyer, stranger = make_user(app), make_user(app), make_user(app)
    make_address(app, seller)
    release(app, client, seller)
    release(app, client, seller)
    make_order(app, make_good(app, seller, status=GoodStatus.IN_TRADE), buyer)
    return seller, buyer, stranger


def may_call(app: Flask, user: Made, name: str) -> dict[str, str]:
    """Headers of `user`, or of somebody of staff where the operation asks for them."""
    return auth_headers(app, make_user(app, staff=True) if OPERATIONS[name].auth is Auth.STAFF else user)


def send(
    client: FlaskClient, name: str, *, value: object = 1, headers: dict[str, str] | None = None, **body: Any
) -> Any:
    """Call the operation with its right body unless another is given."""
    operation = OPERATIONS[name]
    options = body or ({"json": RIGHT[name]} if operation.body is not None else {})
    return client.open(url(operation, value), method=operation.method, headers=headers or {}, **options)


def test_every_operation_with_a_body_has_a_right_one() -> None:
    assert sorted(RIGHT) == sorted(WITH_BODY)


# --- ids ---


@pytest.mark.parametrize("name", WITH_ID)
def test_ids_that_are_none(app: Flask, client: FlaskClient, market: tuple[Made, Made, Made], name: str) -> None:
    headers = may_call(app, market[0], name)
    before = whole_database(app)
    for value in IDS:
        response = send(client, name, value=value, headers=headers)
        assert assert_envelope(response, MISSING[parameter(OPERATIONS[name])]) is None, value
    assert whole_database(app) == before


@pytest.mark.parametrize("value", ["0", "-1", str(2**63), "1.5", "abc", "\x00", None, 1.0, True, [1], {"id": 1}])
def test_ids_in_bodies_that_are_none(
    app: Flask, client: FlaskClient, market: tuple[Made, Made, Made], value: object
) -> None:
    seller, buyer, _ = market
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Good).where(Good.id == 1).values(status=GoodStatus.PUBLISHED))
    at(app, PAID)
    before = whole_database(app)
    ship = {"address_id": value, **PARCEL}
    for name, who, body in (
        ("POST /api/buy/<id:good_id>/", buyer, {"address_id": value}),
        ("POST /api/seller_send_delivery/<id:order_id>/", seller, ship),
    ):
        data = assert_envelope(send(client, name, headers=auth_headers(app, who), json=body), Answer.MALFORMED)
        assert list(data["errors"]) == ["address_id"]
    assert whole_database(app) == before


# --- what belongs to others ---

OF_OTHERS = [name for name in WITH_ID if "user_id" not in name]
# By the contract: who asks for the state of a review needs nothing but the id.
PUBLIC = {"GET /api/verify/good/<id:good_id>"}


@pytest.mark.parametrize("name", OF_OTHERS)
def test_what_belongs_to_others_does_not_exist(
    app: Flask, client: FlaskClient, market: tuple[Made, Made, Made], name: str
) -> None:
    operation = OPERATIONS[name]
    headers = auth_headers(app, market[2])
    before = whole_database(app)
    if name in PUBLIC:
        assert send(client, name, headers=headers).status_code == 200
    elif operation.auth is Auth.STAFF:
        assert assert_envelope(send(client, name, headers=headers), Answer.FORBIDDEN) is None
    else:
        assert assert_envelope(send(client, name, headers=headers), MISSING[parameter(operation)]) is None
    assert whole_database(app) == before


def test_somebody_elses_address_ships_nothing(app: Flask, client: FlaskClient, market: tuple[Made, Made, Made]) -> None:
    seller, buyer, stranger = market
    at(app, PAID)
    others = [make_address(app, buyer).id, make_address(app, stranger).id, 404]
    before = whole_database(app)
    for address_id in others:
        response = send(
            client,
            "POST /api/seller_send_delivery/<id:order_id>/",
            headers=auth_headers(app, seller),
            json={"address_id": address_id, **PARCEL},
        )
        assert assert_envelope(response, Answer.NO_SUCH_ADDRESS) is None
    assert whole_database(app) == before


# --- bodies ---

MALFORMED_JSON = [b"{", b"\xff\xfe", b'{"a": NaN}', b'{"a": 1e999}', b"[" * 5000, b'{"a": "\\ud800"}', b"{}{}", b"\x00"]
NO_OBJECTS = [b"[]", b'"text"', b"null", b"1", b"true"]
OTHER_TYPES = ["text/plain", "application/xml", "application/octet-stream", "text/json", "nonsense", ""]


@pytest.mark.parametrize("name", WITH_BODY)
def test_bodies_that_are_no_json_object(
    app: Flask, client: FlaskClient, market: tuple[Made, Made, Made], name: str
) -> None:
    headers = may_call(app, market[0], name)
    before = whole_database(app)
    for body in MALFORMED_JSON:
        response = send(client, name, headers=headers, data=body, content_type="application/json")
        assert assert_envelope(response, Answer.BAD_REQUEST) is None, body[:20]
    for body in NO_OBJECTS:
        response = send(client, name, headers=headers, data=body, content_type="application/json")
        assert assert_envelope(response, OPERATIONS[name].malformed) == {"errors": {"body": ["须为 JSON 对象"]}}
    for kind in OTHER_TYPES:
        response = send(client, name, headers={**headers, "Content-Type": kind}, data=b'{"a": 1}')
        assert assert_envelope(response, Answer.UNSUPPORTED_TYPE) is None, kind
    assert whole_database(app) == before


WRONG_VALUES: list[Any] = [None, True, 1.5, 2**63, -1, [], [[]], {}, {"$gt": ""}, "", "\x00", "\u202e", "x" * 100_000]


@pytest.mark.parametrize("name", WITH_BODY)
def test_wrong_values_in_every_field(
    app: Flask, client: FlaskClient, market: tuple[Made, Made, Made], name: str
) -> None:
    """Each field with each value: refused by its name, or by the rule it breaks; never a fault, never stored."""
    headers = may_call(app, market[0], name)
    model = OPERATIONS[name].body
    assert model is not None
    before = whole_database(app)
    refused: dict[str, int] = dict.fromkeys(model.model_fields, 0)
    for field in model.model_fields:
        for value in WRONG_VALUES:
            response = send(client, name, headers=headers, json={**RIGHT[name], field: value})
            if response.status_code != OPERATIONS[name].malformed.http:
                assert response.status_code < 500, (field, value)
                before = whole_database(app)
                continue
            data = assert_envelope(response, OPERATIONS[name].malformed)
            assert {name.partition(".")[0] for name in data["errors"]} <= {field, "body"}, (field, value, data)
            refused[field] += 1
            assert whole_database(app) == before, (field, value)
    # What is right for one field (an empty bio, no address, `true` for a flag) is so for no field with all values.
    assert all(refused.values()), refused


ORDER_BODIES: list[tuple[str, str, Any, str]] = [
    *(
        (name, "company", value, reason)
        for name in ("ship", "return")
        for value, reason in (
            (None, "须为文字"),
            (7, "须为文字"),
            (["顺丰"], "须为文字"),
            ("", "不能为空"),
            (" \u3000\u200b", "不能为空"),
            ("顺" * 31, "至多 30 个字符"),
            ("顺" * 10_000, "至多 30 个字符"),
            ("顺\x00丰", "含有不允许的字符"),
        )
    ),
    *(
        (name, "tracking_no", value, reason)
        for name in ("ship", "return")
        for value, reason in (
            (None, "须为文字"),
            (1234567890, "须为文字"),
            ("", NUMBER_EXPECTED),
            ("SF12", NUMBER_EXPECTED),
            ("S" * 41, NUMBER_EXPECTED),
            ("S" * 10_000, NUMBER_EXPECTED),
            ("SF12345\x00", NUMBER_EXPECTED),
            ("SF12345💥", NUMBER_EXPECTED),
            ("SF1234567890 SF1234567891", NUMBER_EXPECTED),
        )
    ),
    *(
        ("return", "freight", value, reason)
        for value, reason in (
            (-1, "金额须为不超过两位小数的数字"),
            ("0.001", "金额须为不超过两位小数的数字"),
            (1.234, "金额须为不超过两位小数的数字"),
            ("NaN", "金额须为不超过两位小数的数字"),
            ("1e9", "金额须为不超过两位小数的数字"),
            (1e9, "金额不能超过 9999999.99 元"),
            (True, "金额格式不正确"),
            (None, "金额格式不正确"),
        )
    ),
    *(
        (name, "reason", value, reason)
        for name in ("refund", "reject", "dispute", "contest")
        for value, reason in (
            (None, "须为文字"),
            (1, "须为文字"),
            ("", "不能为空"),
            ("\u2800", "不能为空"),
            ("退" * 101, "至多 100 个字符"),
            ("退" * 10_000, "至多 100 个字符"),
            ("退\x00款", "含有不允许的字符"),
        )
    ),
    *(
        (name, "description", value, reason)
        for name in ("refund", "dispute", "contest")
        for value, reason in (
            (None, "须为文字"),
            ({"text": "坏"}, "须为文字"),
            ("坏" * 501, "至多 500 个字符"),
            ("坏\x00", "含有不允许的字符"),
        )
    ),
    *(
        ("hand_over", "code", value, reason)
        for value, reason in (
            (None, "须为文字"),
            (12345, "须为文字"),
            (["012345"], "须为文字"),
            ("", "须为 6 位数字"),
            ("12345", "须为 6 位数字"),
            ("1234567", "须为 6 位数字"),
            ("1" * 10_000, "须为 6 位数字"),
            ("12345\n", "须为 6 位数字"),
            ("-12345", "须为 6 位数字"),
            ("12345a", "须为 6 位数字"),
        )
    ),
]

STEPS = {
    "ship": ("POST /api/seller_send_delivery/<id:order_id>/", PAID, "seller"),
    "return": ("POST /api/buyer_send_drawback/<id:order_id>/", REFUND_REQUESTED_RECEIVED, "buyer"),
    "refund": ("POST /api/buyer_motion_drawback/<id:order_id>", RECEIVED, "buyer"),
    "reject": ("POST /api/seller_reject_drawback/<id:order_id>/", REFUND_REQUESTED_RECEIVED, "seller"),
    "dispute": ("POST /api/dispute_order/<id:order_id>/", REFUND_REQUESTED_SHIPPED, "buyer"),
    "contest": ("POST /api/seller_contest_drawback/<id:order_id>/", RETURN_SENT, "seller"),
    "hand_over": ("POST /api/seller_hand_over/<id:order_id>/", PAID, "seller"),
}


@pytest.mark.parametrize(
    ("step", "field", "value", "reason"),
    ORDER_BODIES,
    ids=[f"{step}-{field}-{str(value)[:10]!a}" for step, field, value, _ in ORDER_BODIES],
)
def test_bad_fields_of_orders(
    app: Flask, client: FlaskClient, kept: KeptContents, step: str, field: str, value: Any, reason: str
) -> None:
    name, phase, side = STEPS[step]

    def lead() -> tuple[Made, Made, Made, Made]:
        seller, buyer = make_user(app), make_user(app)
        address = make_address(app, seller)
        mode = TradeMode.FACE_TO_FACE if step == "hand_over" else TradeMode.COURIER
        order = lead_order(app, make_good(app, seller, trade_mode=mode), buyer, phase=phase)
        return seller, buyer, address, order

    seller, buyer, address, order = kept.begin_with(step, lead)
    right = {**RIGHT[name], "address_id": address.id} if step == "ship" else {**RIGHT[name]}
    if step == "hand_over":
        right["code"] = order.handover_code
    headers = auth_headers(app, seller if side == "seller" else buyer)
    before = whole_database(app)
    response = send(client, name, value=order.id, headers=headers, json={**right, field: value})
    assert assert_envelope(response, Answer.MALFORMED) == {"errors": {field: [reason]}}
    assert whole_database(app) == before
    assert send(client, name, value=order.id, headers=headers, json=right).status_code == 200


def test_emoji_and_other_scripts_are_text(app: Flask, client: FlaskClient) -> None:
    buyer = make_user(app)
    order = lead_order(app, make_good(app, make_user(app)), buyer, phase=RECEIVED)
    body = {"reason": "破了 💔👨‍👩‍👧", "description": "שבור\nمكسور\r\n𠮷"}
    name = "POST /api/buyer_motion_drawback/<id:order_id>"
    response = send(client, name, value=order.id, headers=auth_headers(app, buyer), json=body)
    data = assert_envelope(response, Answer.REFUND_REQUESTED)
    assert data["refund"]["reason"] == "破了 💔👨‍👩‍👧"
    assert data["refund"]["description"] == "שבור\nمكسور\n𠮷"


# --- tokens ---

SESSION = {"session": "a-session"}


def bad_tokens(app: Flask, user: Made, auth: Auth) -> list[tuple[str, Answer]]:
    """Header values that open nothing, each with its answer."""
    make, other = create_access_token, create_refresh_token
    if auth is Auth.REFRESH:
        make, other = other, make
    with app.app_context():
        right = make(identity=str(user.id), additional_claims=SESSION)
        expired = make(identity=str(user.id), additional_claims=SESSION, expires_delta=timedelta(seconds=-1))
        ended = make(identity=str(user.id), additional_claims={"session": make_session(app, user.id, "ended")})
        end_session(user_id=user.id, session_id="ended")
        never = make(identity=str(user.id), additional_claims={"session": "there-never-was-one"})
        of_the_other_kind = other(identity=str(user.id), additional_claims=SESSION)
        nobodys = [make(identity=name, additional_claims=SESSION) for name in ("0", "-1", str(2**64), "x", "", "１")]
    claims = pyjwt.decode(right, options={"verify_signature": False})
    forged = pyjwt.encode(claims, hashlib.sha256(b"another key").hexdigest(), algorithm="HS256")
    unsigned = pyjwt.encode(claims, None, algorithm="none")
    head, payload, signature = right.split(".")
    invalid = [
        *(forged, unsigned, of_the_other_kind, *nobodys, "garbage", "a.b.c", f"{head}.{payload}.", right[:-2]),
        f"{head}.{payload[:-2]}.{signature}",
    ]
    return [
        (f"Bearer {expired}", Answer.TOKEN_EXPIRED),
        (f"Bearer {never}", Answer.TOKEN_REVOKED),
        (f"Bearer {ended}", Answer.TOKEN_REVOKED),
        *((f"Bearer {token}", Answer.TOKEN_INVALID) for token in invalid),
    ]


@pytest.mark.parametrize("name", WITH_TOKEN)
def test_bad_tokens_open_nothing(app: Flask, client: FlaskClient, market: tuple[Made, Made, Made], name: str) -> None:
    operation = OPERATIONS[name]
    tokens = bad_tokens(app, market[0], operation.auth)
    before = whole_database(app)
    for header, answer in tokens:
        response = send(client, name, headers={"Authorization": header})
        assert assert_envelope(response, answer) is None, header
        assert response.headers["WWW-Authenticate"] == "Bearer"
    if operation.auth is not Auth.OPTIONAL:
        for headers in ({}, {"Authorization": "Basic dTpw"}, {"Authorization": ""}):
            assert assert_envelope(send(client, name, headers=headers), Answer.LOGIN_REQUIRED) is None, headers
    assert whole_database(app) == before


# --- lists ---

LISTS = [name for name, each in OPERATIONS.items() if each.query is not None and "page" in each.query.model_fields]
BAD_PAGES = [
    *("page=0", "page=-1", "page=1.5", "page=x", f"page={2**63}", "page=%00"),
    *("size=0", "size=101", "size=-1", f"size={2**63}", "size=NaN"),
]


@pytest.mark.parametrize("name", LISTS)
def test_bad_pages(app: Flask, client: FlaskClient, market: tuple[Made, Made, Made], name: str) -> None:
    headers = may_call(app, market[0], name)
    for query in BAD_PAGES:
        search = "q=a&" if name == "GET /test/" else ""
        response = client.get(f"{OPERATIONS[name].rule}?{search}{query}", headers=headers)
        data = assert_envelope(response, OPERATIONS[name].malformed)
        assert list(data["errors"]) == [query.partition("=")[0]], query
