"""Requests that are sent again under their `Idempotency-Key`: one effect, one answer, whatever happens in between."""

import io
import os
import random
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from http.client import HTTPException
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.orm import Session
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from app import idempotency
from app.accounts.models import Address, User
from app.accounts.sessions import end_session
from app.answers import Answer, Refused
from app.clock import utcnow
from app.db.database import db
from app.db.transactions import transaction
from app.goods.models import Good, Picture
from app.idempotency import IdempotencyKey
from app.orders.models import Order
from app.web.api import Api
from app.web.auth import Actor, Auth
from app.web.idempotency import is_kept
from statemachine import GoodStatus
from statemachine.order import PAID
from tasks.housekeeping import purge_idempotency_keys
from tests.conftest import MakeApp
from tests.factories import (
    PASSWORD,
    Made,
    assert_envelope,
    auth_headers,
    lead_order,
    make_address,
    make_good,
    make_order,
    make_user,
    picture_bytes,
    whole_database,
)
from tests.goods.steps import FORM, counting
from tests.live import LiveServer, Reply
from tests.settings import settings_with
from tests.tasks.steps import wait_until

ADD = "/api/add_address/"
ADDRESS = {
    "name": "王小明",
    "mobile": "13800138000",
    "province": "浙江省",
    "city": "杭州市",
    "district": "余杭区",
    "detail": "文一西路 969 号",
}


def keyed(app: Flask, user: Made, key: str = "key-1") -> dict[str, str]:
    """Headers of `user`'s request under `key`."""
    return {**auth_headers(app, user), "Idempotency-Key": key}


def count(app: Flask, model: Any) -> int:
    """How many rows there are."""
    with app.app_context(), db.engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(model)).scalar_one())


def later(app: Flask, by: timedelta) -> None:
    """Let time pass for all keys."""
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(IdempotencyKey).values(created_at=IdempotencyKey.created_at - by))


def assert_replay(response: TestResponse, first: TestResponse) -> None:
    """Assert that `response` is the kept answer that `first` was."""
    assert "Idempotency-Replayed" not in first.headers
    assert response.headers["Idempotency-Replayed"] == "true"
    assert (response.status_code, response.data) == (first.status_code, first.data)
    for name in ("Content-Type", "Cache-Control", "Location"):
        assert response.headers.get(name) == first.headers.get(name)
    assert response.headers["X-Request-Id"] != first.headers["X-Request-Id"]


def assert_done(response: TestResponse, answer: Answer) -> Any:
    """Assert that `response` is this answer, and not a kept one."""
    assert "Idempotency-Replayed" not in response.headers
    return assert_envelope(response, answer)


# --- the same again ---


def test_the_same_again_gets_the_same_answer_and_changes_nothing(app: Flask, client: FlaskClient) -> None:
    headers = keyed(app, make_user(app))
    first = client.post(ADD, json=ADDRESS, headers=headers)
    assert_done(first, Answer.ADDRESS_ADDED)
    before = whole_database(app)
    for _ in range(3):
        assert_replay(client.post(ADD, json=ADDRESS, headers=headers), first)
    assert whole_database(app) == before
    assert count(app, Address) == 1


def test_without_a_key_it_is_another_request(app: Flask, client: FlaskClient) -> None:
    user = make_user(app)
    for headers in (auth_headers(app, user), keyed(app, user, "a"), keyed(app, user, "A"), auth_headers(app, user)):
        assert_done(client.post(ADD, json=ADDRESS, headers=headers), Answer.ADDRESS_ADDED)
    assert count(app, Address) == 4
    assert count(app, IdempotencyKey) == 2


def test_an_order_is_answered_as_it_is_read_afterwards(app: Flask, client: FlaskClient) -> None:
    """The answer is rendered before anything is committed."""
    seller, buyer = make_user(app), make_user(app)
    good, address = make_good(app, seller), make_address(app, buyer)
    headers = keyed(app, buyer)
    first = client.post(f"/api/buy/{good.id}/", json={"address_id": address.id}, headers=headers)
    order = assert_done(first, Answer.ORDER_CREATED)
    detail = assert_envelope(client.get(f"/api/order/{order['id']}/", headers=headers), Answer.ORDER_FOUND)
    assert {name: detail[name] for name in order} == order
    assert_replay(client.post(f"/api/buy/{good.id}/", json={"address_id": address.id}, headers=headers), first)
    assert count(app, Order) == 1


def test_the_same_request_may_be_written_otherwise(app: Flask, client: FlaskClient) -> None:
    headers = keyed(app, make_user(app))
    first = client.post(ADD, json=ADDRESS, headers=headers)
    turned = dict(reversed(ADDRESS.items()))
    assert_replay(client.post(ADD.rstrip("/"), json=turned, headers=headers), first)
    assert_replay(client.post(ADD, data=ADDRESS, headers=headers), first)
    # What nobody reads is a mistake, not another request.
    refused = client.post(f"{ADD}?page=2", json=ADDRESS, headers=headers)
    assert assert_envelope(refused, Answer.MALFORMED) == {"errors": {"page": ["没有这个参数"]}}
    assert count(app, Address) == 1


def test_another_request_under_the_same_key_is_refused(app: Flask, client: FlaskClient) -> None:
    seller, buyer = make_user(app), make_user(app)
    good, other = make_good(app, seller), make_good(app, seller)
    address = make_address(app, buyer)
    headers = keyed(app, buyer)
    first = client.post(f"/api/buy/{good.id}/", json={"address_id": address.id}, headers=headers)
    assert_done(first, Answer.ORDER_CREATED)
    order_id = first.get_json()["data"]["id"]
    before = whole_database(app)
    for path, body in (
        (f"/api/buy/{other.id}/", {"address_id": address.id}),
        (f"/api/buy/{good.id}/", {"address_id": str(address.id)}),
        (f"/api/buy/{good.id}/", {"address_id": address.id, "trade_mode": 7}),
        (f"/api/buy/{good.id}/", {}),
        (f"/api/cancel_order/{order_id}/", None),
        (f"/api/cancel_order/{good.id}/", None),
        (ADD, ADDRESS),
    ):
        response = client.post(path, json=body, headers=headers)
        assert assert_done(response, Answer.KEY_REUSED) is None, (path, body)
        assert whole_database(app) == before
    assert_replay(client.post(f"/api/buy/{good.id}/", json={"address_id": address.id}, headers=headers), first)


def test_the_same_key_of_somebody_else_is_another_key(app: Flask, client: FlaskClient) -> None:
    first, second = make_user(app), make_user(app)
    mine = client.post(ADD, json=ADDRESS, headers=keyed(app, first))
    theirs = client.post(ADD, json=ADDRESS, headers=keyed(app, second))
    assert assert_done(mine, Answer.ADDRESS_ADDED)["id"] != assert_done(theirs, Answer.ADDRESS_ADDED)["id"]
    assert_replay(client.post(ADD, json=ADDRESS, headers=keyed(app, second)), theirs)
    assert_done(client.post(ADD, json=ADDRESS | {"name": "别人"}, headers=keyed(app, second)), Answer.KEY_REUSED)
    assert_replay(client.post(ADD, json=ADDRESS, headers=keyed(app, first)), mine)


def test_who_may_not_ask_any_more_gets_no_kept_answer(app: Flask, client: FlaskClient) -> None:
    user = make_user(app)
    headers = keyed(app, user)
    first = client.post(ADD, json=ADDRESS, headers=headers)
    with app.app_context():
        end_session(user_id=user.id, session_id=f"test-session-{user.id}")
    before = whole_database(app)
    assert assert_done(client.post(ADD, json=ADDRESS, headers=headers), Answer.TOKEN_REVOKED) is None
    anonymous = {"Idempotency-Key": "key-1"}
    assert assert_done(client.post(ADD, json=ADDRESS, headers=anonymous), Answer.LOGIN_REQUIRED) is None
    assert whole_database(app) == before
    assert_done(first, Answer.ADDRESS_ADDED)


def test_one_key_of_two_users_at_one_moment(app: Flask, client: FlaskClient) -> None:
    """While a request of one user is at work under the key, that of another one is answered."""
    first, second = make_user(app), make_user(app)
    with app.app_context():
        engine = db.engine
    with Session(engine) as at_work, at_work.begin():
        assert idempotency.claim_key(at_work, scope=first.id, key="key-1", request_hash=b"") is None
        theirs = client.post(ADD, json=ADDRESS, headers=keyed(app, second))
        mine = client.post(ADD, json=ADDRESS, headers=keyed(app, first))
    assert_done(theirs, Answer.ADDRESS_ADDED)
    assert_done(mine, Answer.REQUEST_RUNNING)
    assert count(app, Address) == 1


@pytest.mark.parametrize("key", ["", " ", "a b", "a\tb", "a" * 256, "é", "\x7f", "鱼".encode().decode("latin-1")])
def test_keys_that_are_none(app: Flask, client: FlaskClient, key: str) -> None:
    headers = keyed(app, make_user(app), key)
    before = whole_database(app)
    for path, body, malformed in ((ADD, ADDRESS, Answer.MALFORMED), ("/api/good_release/", FORM, None)):
        response = client.post(path, json=body, headers=headers)
        data = assert_done(response, malformed or Answer.RELEASE_MALFORMED)
        assert data == {"errors": {"Idempotency-Key": ["须为 1 至 255 个可见 ASCII 字符,不含空格"]}}
    assert whole_database(app) == before


@pytest.mark.parametrize("key", ["a", "a" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "a,b;c=%00'\\--", "!~"])
def test_keys_of_all_kinds(app: Flask, client: FlaskClient, key: str) -> None:
    headers = keyed(app, make_user(app), key)
    first = client.post(ADD, json=ADDRESS, headers=headers)
    assert_done(first, Answer.ADDRESS_ADDED)
    assert_replay(client.post(ADD, json=ADDRESS, headers=headers), first)


def test_other_methods_take_no_key(app: Flask, client: FlaskClient) -> None:
    headers = keyed(app, make_user(app))
    for bio in ("常在杭州", "常在上海"):
        data = assert_done(client.patch("/api/user/", json={"bio": bio}, headers=headers), Answer.PROFILE_EDITED)
        assert data["bio"] == bio
    assert_done(client.get("/api/user/", headers={**headers, "Idempotency-Key": "a b"}), Answer.USER_FOUND)
    assert count(app, IdempotencyKey) == 0


def test_answers_with_tokens_are_not_kept(app: Flask, client: FlaskClient) -> None:
    user = make_user(app)
    credentials = {"username": user.username, "password": PASSWORD}
    key = {"Idempotency-Key": "key-1"}
    tokens = [assert_done(client.post("/login/", json=credentials, headers=key), Answer.LOGGED_IN) for _ in range(2)]
    assert tokens[0]["refresh_token"] != tokens[1]["refresh_token"]
    refresh = {"Authorization": f"Bearer {tokens[0]['refresh_token']}", **key}
    with settings_with(app, refresh_reuse_interval=0):
        assert_done(client.post("/api/token_refresh/", headers=refresh), Answer.TOKEN_REFRESHED)
        assert_done(client.post("/api/token_refresh/", headers=refresh), Answer.TOKEN_REVOKED)
    logout = {"Authorization": f"Bearer {tokens[1]['access_token']}", **key}
    assert_done(client.post("/api/logout/", headers=logout), Answer.LOGGED_OUT)
    assert_done(client.post("/api/logout/", headers=logout), Answer.TOKEN_REVOKED)
    assert count(app, IdempotencyKey) == 0


def test_registering_again_needs_no_second_captcha(app: Flask, client: FlaskClient) -> None:
    captcha = assert_envelope(client.get("/register/"), Answer.CAPTCHA_MADE)
    form = {
        "username": "laowang",
        "password": "horse-battery-9",
        "captcha_id": captcha["captcha_id"],
        "captcha_code": captcha["captcha_code"],
    }
    key = {"Idempotency-Key": "key-1"}
    first = client.post("/register/", json=form, headers=key)
    assert_done(first, Answer.REGISTERED)
    assert_replay(client.post("/register/", json=form, headers=key), first)
    guess = client.post("/register/", json=form | {"password": "battery-horse-8"}, headers=key)
    assert assert_done(guess, Answer.KEY_REUSED) is None
    assert count(app, User) == 1
    with app.app_context(), db.engine.connect() as connection:
        (row,) = connection.execute(select(IdempotencyKey.__table__)).all()
    assert (row.scope, row.key, len(row.request_hash)) == (0, "key-1", 32)
    assert b"horse-battery-9" not in repr(row).encode()


def test_a_redirect_is_answered_again(app: Flask, client: FlaskClient) -> None:
    seller, buyer = make_user(app), make_user(app)
    order = lead_order(app, make_good(app, seller), buyer)
    first = client.post(f"/order/pay/{order.id}/", headers=keyed(app, buyer))
    assert (first.status_code, "gateway" in first.headers["Location"]) == (302, True)
    assert_replay(client.post(f"/order/pay/{order.id}/", headers=keyed(app, buyer)), first)
    token = auth_headers(app, buyer)["Authorization"].removeprefix("Bearer ")
    in_the_url = client.post(f"/order/pay/{order.id}/?token={token}", headers={"Idempotency-Key": "key-1"})
    assert_replay(in_the_url, first)


def test_without_http_statuses(app: Flask, make_app: MakeApp) -> None:
    user = make_user(app)
    client = make_app(ENVELOPE_ALWAYS_200="1").test_client()
    good = make_good(app, user)
    missing = client.post("/api/cancel_order/1/", headers=keyed(app, user))
    assert (missing.status_code, missing.get_json()["msg"]) == (200, Answer.NO_SUCH_ORDER.msg)
    first = client.post(f"/api/buy/{good.id}/", json={"address_id": 1}, headers=keyed(app, user))
    assert (first.status_code, first.get_json()["msg"]) == (200, Answer.OWN_GOOD.msg)
    assert_replay(client.post(f"/api/buy/{good.id}/", json={"address_id": 1}, headers=keyed(app, user)), first)
    response = client.post("/api/cancel_order/2/", headers=keyed(app, user))
    assert (response.status_code, response.get_json()["msg"]) == (200, Answer.KEY_REUSED.msg)


# --- files ---


def form_of(*pictures: bytes, field: str = "pictures", **fields: Any) -> dict[str, Any]:
    """A release form with pictures."""
    files = [FileStorage(io.BytesIO(picture), f"{number}.jpg") for number, picture in enumerate(pictures)]
    boundary, body = encode_multipart({**FORM, **fields, field: files})
    return {"data": body, "content_type": f'multipart/form-data; boundary="{boundary}"'}


def test_files_are_part_of_the_request(app: Flask, client: FlaskClient) -> None:
    headers = keyed(app, make_user(app))
    one, two = picture_bytes(40, 30), picture_bytes(41, 30)
    first = client.post("/api/good_release/", headers=headers, **form_of(one, two))
    assert [each["width"] for each in assert_done(first, Answer.GOOD_RELEASED)["pictures"]] == [40, 41]
    before = whole_database(app)
    assert_replay(client.post("/api/good_release/", headers=headers, **form_of(one, two)), first)
    for form in (form_of(two, one), form_of(one), form_of(), form_of(one, one)):
        response = client.post("/api/good_release/", headers=headers, **form)
        assert assert_done(response, Answer.KEY_REUSED) is None
    # A field that nobody reads is told before the key is looked at.
    response = client.post("/api/good_release/", headers=headers, **form_of(one, two, field="files"))
    assert assert_done(response, Answer.RELEASE_MALFORMED) == {
        "errors": {"files": ["不认识的文件字段,是否想写 pictures?"]}
    }
    assert whole_database(app) == before
    assert (count(app, Good), count(app, Picture)) == (1, 2)


# --- refusals ---


def test_a_refusal_is_answered_again_though_it_would_not_be_refused_now(app: Flask, client: FlaskClient) -> None:
    seller, buyer = make_user(app), make_user(app)
    good, address = make_good(app, seller, status=GoodStatus.IN_TRADE), make_address(app, buyer)
    buy = {"path": f"/api/buy/{good.id}/", "json": {"address_id": address.id}}
    first = client.post(**buy, headers=keyed(app, buyer))
    assert assert_done(first, Answer.GOOD_NOT_FOR_SALE) is None
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Good).values(status=GoodStatus.PUBLISHED))
    assert_replay(client.post(**buy, headers=keyed(app, buyer)), first)
    assert count(app, Order) == 0
    assert_done(client.post(**buy, headers=keyed(app, buyer, "key-2")), Answer.ORDER_CREATED)


def test_corrected_fields_are_taken_under_the_same_key(app: Flask, client: FlaskClient) -> None:
    headers = keyed(app, make_user(app))
    for _ in range(2):
        refused = client.post(ADD, json=ADDRESS | {"mobile": "1"}, headers=headers)
        assert list(assert_done(refused, Answer.MALFORMED)["errors"]) == ["mobile"]
    assert (count(app, Address), count(app, IdempotencyKey)) == (0, 0)
    corrected = client.post(ADD, json=ADDRESS, headers=headers)
    assert_done(corrected, Answer.ADDRESS_ADDED)
    assert_replay(client.post(ADD, json=ADDRESS, headers=headers), corrected)
    # From now on the key is that request's: what is wrong elsewhere does not matter any more.
    assert_done(client.post(ADD, json=ADDRESS | {"mobile": "1"}, headers=headers), Answer.KEY_REUSED)
    assert count(app, Address) == 1


def test_a_purchase_is_corrected_under_its_key_until_it_is_made(app: Flask, client: FlaskClient) -> None:
    """Malformed, not there, not allowed: each is another request under the same key, and the right one buys."""
    seller, buyer = make_user(app), make_user(app)
    good, address = make_good(app, seller), make_address(app, buyer)
    foreign = make_address(app, seller)
    headers = keyed(app, buyer)

    def buy(body: Any) -> TestResponse:
        return client.post(f"/api/buy/{good.id}/", json=body, headers=headers)

    assert list(assert_done(buy({}), Answer.MALFORMED)["errors"]) == ["address_id"]
    assert_done(buy({"address_id": foreign.id}), Answer.NO_SUCH_ADDRESS)
    assert_done(client.post("/api/buy/999/", json={"address_id": address.id}, headers=headers), Answer.NO_SUCH_GOOD)
    not_staff = client.post("/api/staff/resolve_for_buyer/1/", json={"reason": "因为"}, headers=headers)
    assert_done(not_staff, Answer.FORBIDDEN)
    assert (count(app, Order), count(app, IdempotencyKey)) == (0, 0)
    bought = buy({"address_id": address.id})
    assert_done(bought, Answer.ORDER_CREATED)
    assert_replay(buy({"address_id": address.id}), bought)
    assert (count(app, Order), count(app, IdempotencyKey)) == (1, 1)


STATES = {
    Answer.ACCOUNT_IN_USE,
    Answer.CHANNEL_UNAVAILABLE,
    Answer.MONEY_CASE_REFUSED,
    Answer.REGISTRATION_FAILED,
    Answer.RELEASE_FAILED,
    Answer.EDIT_FAILED,
    Answer.DELETE_FAILED,
    Answer.TAKE_DOWN_FAILED,
    Answer.RESTORE_FAILED,
    Answer.APPEAL_REFUSED,
    Answer.REPORT_REFUSED,
    Answer.REVIEW_TAKEN,
    Answer.REVIEW_OUTDATED,
    Answer.TOO_MANY_ADDRESSES,
    Answer.TOO_MANY_SAVED_SEARCHES,
    Answer.GOOD_NOT_FOR_SALE,
    Answer.GOOD_CHANGED,
    Answer.OWN_GOOD,
    Answer.TRADE_MODE_REFUSED,
    Answer.WRONG_STATE,
    Answer.PAYMENT_LATE,
    Answer.INSUFFICIENT_FUNDS,
    Answer.TOO_MANY_UNPAID,
    Answer.TOO_MANY_STATEMENTS,
    Answer.HANDOVER_CODE_WRONG,
    Answer.PICTURE_QUOTA_FULL,
    Answer.CODE_WRONG,
    Answer.REQUEST_RUNNING,  # of another request, and `answer_once` does not keep it
}


def test_kept_are_successes_and_what_the_state_refuses() -> None:
    """By hand, so that a new refusal has to be thought about: is it the request that is wrong, or the state?"""
    assert {answer for answer in Answer if is_kept(answer.http)} == STATES | {
        answer for answer in Answer if not answer.is_refusal
    }
    assert [
        http for http in (200, 302, 304, 400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503) if is_kept(http)
    ] == [*(200, 302, 304, 409)]


def test_a_body_that_cannot_be_read_leaves_the_key_free(app: Flask, client: FlaskClient) -> None:
    headers = keyed(app, make_user(app))
    broken = client.post(ADD, data=b"{", content_type="application/json", headers=headers)
    assert assert_done(broken, Answer.BAD_REQUEST) is None
    assert_done(client.post(ADD, data=b"<a/>", content_type="text/xml", headers=headers), Answer.UNSUPPORTED_TYPE)
    assert count(app, IdempotencyKey) == 0
    assert_done(client.post(ADD, json=ADDRESS, headers=headers), Answer.ADDRESS_ADDED)


def test_a_part_of_a_form_without_a_name_is_refused_and_leaves_the_key_free(app: Flask, client: FlaskClient) -> None:
    headers = keyed(app, make_user(app))
    boundary, form = encode_multipart(ADDRESS)
    nameless = f"--{boundary}\r\nContent-Disposition: form-data\r\n\r\nwhatever\r\n".encode() + form
    kind = f'multipart/form-data; boundary="{boundary}"'
    refused = client.post(ADD, data=nameless, content_type=kind, headers=headers)
    assert assert_envelope(refused, Answer.MALFORMED) == {"errors": {"body": ["有一个字段没有名字"]}}
    assert count(app, Address) == 0
    first = client.post(ADD, data=form, content_type=kind, headers=headers)
    assert_done(first, Answer.ADDRESS_ADDED)
    assert_replay(client.post(ADD, data=form, content_type=kind, headers=headers), first)
    assert count(app, Address) == 1


def test_of_what_is_refused_half_way_only_the_refusal_stays(app: Flask, client: FlaskClient) -> None:
    """The withdrawal's row is written before the ledger says that there is too little."""
    seller = make_user(app)
    body = {"amount": "120.00", "account": "wang@example.com", "name": "王小明"}
    before = whole_database(app)
    first = client.post("/api/withdraw/", json=body, headers=keyed(app, seller))
    assert assert_done(first, Answer.INSUFFICIENT_FUNDS) is None
    after = whole_database(app)
    assert len(after.pop("idempotency_keys")) == 1
    assert before.pop("idempotency_keys") == []
    assert after == before
    assert_replay(client.post("/api/withdraw/", json=body, headers=keyed(app, seller)), first)


def test_of_what_is_malformed_half_way_nothing_stays(app: Flask, client: FlaskClient) -> None:
    """The step is made before the address is looked up; another address is taken under the same key."""
    seller, buyer = make_user(app), make_user(app)
    foreign = make_address(app, buyer)
    order = make_order(app, make_good(app, seller, status=GoodStatus.IN_TRADE), buyer, phase=PAID)
    parcel = {"address_id": foreign.id, "company": "顺丰速运", "tracking_no": "SF1234567890"}
    before = whole_database(app)
    url = f"/api/seller_send_delivery/{order.id}/"
    refused = client.post(url, json=parcel, headers=keyed(app, seller))
    assert assert_done(refused, Answer.NO_SUCH_ADDRESS) is None
    assert whole_database(app) == before
    parcel["address_id"] = make_address(app, seller).id
    assert_done(client.post(url, json=parcel, headers=keyed(app, seller)), Answer.ORDER_SHIPPED)


@pytest.fixture
def moody(make_app: MakeApp) -> tuple[Flask, list[Exception | None]]:
    """An application with a view that writes, then raises what stands next in the list."""
    api = Api("moody", __name__, tag="故障", about="what goes wrong")
    moods: list[Exception | None] = []

    @api.post("/moody/", auth=Auth.USER)
    def act(*, actor: Actor) -> None:
        with transaction() as session:
            session.execute(update(User).where(User.id == actor.id).values(bio=User.bio + "+"))
        mood = moods.pop(0)
        if mood is not None:
            raise mood

    app = make_app()
    app.register_blueprint(api)
    return app, moods


def bio(app: Flask) -> str:
    """The only user's."""
    with app.app_context(), db.engine.connect() as connection:
        return str(connection.execute(select(User.bio)).scalar_one())


@pytest.mark.parametrize(
    ("mood", "answer"),
    [
        (Refused(Answer.TOKEN_REVOKED), Answer.TOKEN_REVOKED),
        (Refused(Answer.TOO_MANY_REQUESTS, retry_after=3), Answer.TOO_MANY_REQUESTS),
        (Refused(Answer.NOT_READY), Answer.NOT_READY),
        (Refused(Answer.BUSY, retry_after=1), Answer.BUSY),
        (Refused(Answer.GATEWAY_UNAVAILABLE), Answer.GATEWAY_UNAVAILABLE),
        (Refused(Answer.HANDOVER_LOCKED), Answer.HANDOVER_LOCKED),
        (Refused(Answer.MALFORMED, data={"errors": {"field": ["因为"]}}), Answer.MALFORMED),
        (Refused(Answer.CAPTCHA_WRONG), Answer.CAPTCHA_WRONG),
        (Refused(Answer.NO_SUCH_ORDER), Answer.NO_SUCH_ORDER),
        (Refused(Answer.FORBIDDEN), Answer.FORBIDDEN),
        (Refused(Answer.OLD_PASSWORD_WRONG), Answer.OLD_PASSWORD_WRONG),
        (Refused(Answer.TOO_LARGE), Answer.TOO_LARGE),
        (Refused(Answer.UNSUPPORTED_TYPE), Answer.UNSUPPORTED_TYPE),
        (Refused(Answer.BAD_REQUEST), Answer.BAD_REQUEST),
        (RuntimeError("a fault"), Answer.FAULT),
    ],
)
def test_what_may_fare_better_is_done_anew(
    moody: tuple[Flask, list[Exception | None]], mood: Exception, answer: Answer
) -> None:
    app, moods = moody
    headers = keyed(app, make_user(app))
    moods.extend([mood, mood, None])
    for _ in range(2):
        assert_done(app.test_client().post("/moody/", headers=headers), answer)
        assert (bio(app), count(app, IdempotencyKey)) == ("", 0)
    first = app.test_client().post("/moody/", headers=headers)
    assert_done(first, Answer.OK)
    assert_replay(app.test_client().post("/moody/", headers=headers), first)
    assert (bio(app), moods) == ("+", [])


DETAILS = {
    "event": "ship",
    "bill_status": 1,
    "order_status": 6,
    "closed": False,
    "reasons": ["因为"],
    "allowed": ["cancel"],
}


@pytest.mark.parametrize(
    ("answer", "details"),
    [
        (Answer.WRONG_STATE, DETAILS),
        (Answer.GOOD_NOT_FOR_SALE, None),
        (Answer.INSUFFICIENT_FUNDS, None),
        (Answer.HANDOVER_CODE_WRONG, {"tries_left": 4}),
    ],
)
def test_what_stays_refused_is_not_done_anew(
    moody: tuple[Flask, list[Exception | None]], answer: Answer, details: dict[str, Any] | None
) -> None:
    app, moods = moody
    headers = keyed(app, make_user(app))
    moods.append(Refused(answer, data=details))
    first = app.test_client().post("/moody/", headers=headers)
    assert assert_done(first, answer) == details
    assert_replay(app.test_client().post("/moody/", headers=headers), first)
    assert (bio(app), moods) == ("", [])


def test_a_refusal_gives_way_to_who_was_quicker(moody: tuple[Flask, list[Exception | None]]) -> None:
    """Between the rollback and the keeping of a refusal the key is free for a moment."""
    app, moods = moody
    headers = keyed(app, make_user(app))
    quicker: list[TestResponse] = []

    def send() -> TestResponse:
        return app.test_client().post("/moody/", headers=headers)

    class LookedAtLate(Refused):
        """Is looked at after the rollback; at that moment the same request comes again and fares better."""

        @property
        def answer(self) -> Answer:
            if not quicker:
                with ThreadPoolExecutor(1) as pool:  # in a context of its own
                    quicker.append(pool.submit(send).result(30))
            return Answer.WRONG_STATE

        @answer.setter
        def answer(self, answer: Answer) -> None:
            """As given, always WRONG_STATE."""

    moods.extend([LookedAtLate(Answer.WRONG_STATE), None])
    slower = send()
    assert_done(quicker[0], Answer.OK)
    assert_replay(slower, quicker[0])
    assert (bio(app), moods) == ("+", [])


def test_too_many_requests_leave_the_key_free(app: Flask, make_app: MakeApp) -> None:
    user = make_user(app)
    limited = make_app(RATE_LIMITS_ENABLED="1", RATE_LIMIT_RELEASE="1 per minute").test_client()
    assert_done(limited.post("/api/good_release/", json=FORM, headers=keyed(app, user)), Answer.GOOD_RELEASED)
    for _ in range(2):
        response = limited.post("/api/good_release/", json=FORM, headers=keyed(app, user, "key-2"))
        assert_done(response, Answer.TOO_MANY_REQUESTS)
    assert (count(app, Good), count(app, IdempotencyKey)) == (1, 1)


# --- time ---


def test_after_a_day_the_key_is_free(app: Flask, client: FlaskClient) -> None:
    headers = keyed(app, make_user(app))
    first = client.post(ADD, json=ADDRESS, headers=headers)
    later(app, timedelta(hours=23, minutes=59))
    assert_replay(client.post(ADD, json=ADDRESS, headers=headers), first)
    later(app, timedelta(minutes=1))
    other = client.post(ADD, json=ADDRESS | {"name": "王大明"}, headers=headers)
    assert assert_done(other, Answer.ADDRESS_ADDED)["name"] == "王大明"
    assert_replay(client.post(ADD, json=ADDRESS | {"name": "王大明"}, headers=headers), other)
    assert (count(app, Address), count(app, IdempotencyKey)) == (2, 1)


def test_what_is_over_is_purged(context: Flask) -> None:
    now = utcnow()
    ages = [timedelta(hours=24, seconds=1), timedelta(hours=23, minutes=59), timedelta(days=30), timedelta(0)]
    with transaction() as session:
        session.execute(
            insert(IdempotencyKey),
            [
                {
                    "scope": 0,
                    "key": f"key-{number}",
                    "request_hash": b"",
                    "http_status": 200,
                    "headers": {},
                    "body": b"",
                    "created_at": now - age,
                }
                for number, age in enumerate(ages)
            ],
        )
    purge_idempotency_keys()
    with transaction() as session:
        assert session.scalars(select(IdempotencyKey.key).order_by(IdempotencyKey.key)).all() == ["key-1", "key-3"]
    assert idempotency.purge(before=now) == 1
    assert idempotency.purge(before=now) == 0


def test_a_great_many_are_purged(context: Flask) -> None:
    statement = """
        INSERT INTO idempotency_keys (scope, key, request_hash, http_status, headers, body, created_at)
        SELECT 0, number, '', 200, '{}', '', now() - interval '2 days' FROM generate_series(1, 12345) AS number"""
    with transaction() as session:
        session.execute(text(statement))
    assert idempotency.purge(before=utcnow()) == 12_345
    assert count(context, IdempotencyKey) == 0


# --- cost ---


def test_what_a_key_costs(app: Flask, client: FlaskClient) -> None:
    authorized = auth_headers(app, make_user(app))

    def statements(**headers: str) -> list[str]:
        with counting(app) as counted:
            client.post(ADD, json=ADDRESS, headers={**authorized, **headers})
        return list(counted)

    plain = statements()
    with_key = statements(**{"Idempotency-Key": "key-1"})
    again = statements(**{"Idempotency-Key": "key-1"})
    assert len(plain) == 3
    assert with_key[2:-1] == plain
    for claimed in (with_key[:2], again):
        assert [statement.split()[0] for statement in claimed] == ["SELECT", "SELECT"]
        assert "pg_try_advisory_xact_lock" in claimed[0]
        assert "FROM idempotency_keys" in claimed[1]
    assert with_key[-1].startswith("INSERT INTO idempotency_keys")


# --- at the same time ---


def test_twenty_at_once_make_one(app: Flask, live_server: LiveServer) -> None:
    seller, buyer = make_user(app), make_user(app)
    good, address = make_good(app, seller), make_address(app, buyer)
    headers = keyed(app, buyer)

    def buy(_number: int) -> Reply:
        return live_server.call("POST", f"/api/buy/{good.id}/", body={"address_id": address.id}, headers=headers)

    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(buy, range(20)))
    assert count(app, Order) == 1
    done = [reply for reply in replies if reply.status == 200]
    assert len({reply.content for reply in done}) == 1
    assert sum("idempotency-replayed" not in reply.headers for reply in done) == 1
    for reply in replies:
        if reply.status != 200:
            assert_running(reply)
    assert buy(0).content == done[0].content


def assert_running(reply: Reply) -> None:
    """Assert that the reply asks to come again."""
    assert (reply.status, reply.headers["retry-after"]) == (409, "1")
    assert reply.body == {"status": 100, "msg": Answer.REQUEST_RUNNING.msg, "data": {"error": "REQUEST_RUNNING"}}
    assert "idempotency-replayed" not in reply.headers


@pytest.mark.parametrize("seed", range(3))
def test_a_crowd_with_few_keys(app: Flask, live_server: LiveServer, seed: int) -> None:
    """Requests of two users under three keys with two bodies, shuffled, all at once, each sent until it is answered."""
    users = [make_user(app), make_user(app)]
    names = ["王大明", "王小明"]
    requests = [(user, key, name) for user in users for key in ("a", "b", "c") for name in names for _ in range(5)]
    random.Random(seed).shuffle(requests)

    def send(request: tuple[Made, str, str]) -> Reply:
        user, key, name = request
        while True:
            reply = live_server.call("POST", ADD, body=ADDRESS | {"name": name}, headers=keyed(app, user, key))
            if reply.status != 409:
                return reply
            assert_running(reply)

    with ThreadPoolExecutor(8) as pool:
        replies = dict(enumerate(pool.map(send, requests)))
    assert count(app, Address) == 6
    for user in users:
        for key in ("a", "b", "c"):
            of_key = [(requests[n][2], reply) for n, reply in replies.items() if requests[n][:2] == (user, key)]
            done = [(name, reply) for name, reply in of_key if reply.status == 200]
            # One name was first; its requests have one answer, those with the other name are other requests.
            assert len({(name, reply.content) for name, reply in done}) == 1
            assert len(done) == 5
            assert sum("idempotency-replayed" not in reply.headers for _, reply in done) == 1
            others = [reply.body["msg"] for name, reply in of_key if name != done[0][0]]
            assert others == [Answer.KEY_REUSED.msg] * 5


# --- crashes ---


@contextmanager
def locked(environment: dict[str, str], good: Made) -> Iterator[Callable[[], bool]]:
    """The good's row, locked during the block; yields whether somebody waits for it."""
    dsn = environment["DATABASE_URL"].replace("postgresql+psycopg://", "postgresql://", 1)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with psycopg.connect(dsn) as holder, psycopg.connect(dsn, autocommit=True) as watcher:
        holder.execute("SELECT 1 FROM goods WHERE id = %s FOR UPDATE", (good.id,))
        yield lambda: watcher.execute(waiting).fetchone() == (1,)
        holder.rollback()


def test_a_server_that_is_killed_half_way(app: Flask, environment: dict[str, str], clean: None) -> None:
    seller, buyer = make_user(app), make_user(app)
    good, address = make_good(app, seller), make_address(app, buyer)
    headers = keyed(app, buyer)
    before = whole_database(app)

    def buy(server: LiveServer) -> Reply:
        return server.call("POST", f"/api/buy/{good.id}/", body={"address_id": address.id}, headers=headers)

    def buy_in_vain(server: LiveServer) -> None:
        with suppress(OSError, HTTPException):
            buy(server)

    with locked(environment, good) as somebody_waits:
        with LiveServer.start(environment) as server:
            request = threading.Thread(target=buy_in_vain, args=(server,))
            request.start()
            wait_until(somebody_waits, "the request waits for the good")
            assert_running(buy(server))
            os.killpg(server.process.pid, signal.SIGKILL)
            request.join(30)
            assert not request.is_alive()
        assert whole_database(app) == before
    with LiveServer.start(environment) as server:
        replies: list[Reply] = []

        def answered() -> bool:
            # Until PostgreSQL has noticed that the killed one is gone, its request counts as running.
            replies.append(buy(server))
            return replies[-1].status != 409

        wait_until(answered, "the request is answered")
        first = replies[-1]
        assert (first.status, first.body["msg"]) == (200, Answer.ORDER_CREATED.msg)
        assert "idempotency-replayed" not in first.headers
        again = buy(server)
        assert (again.status, again.content, again.headers["idempotency-replayed"]) == (200, first.content, "true")
    assert (count(app, Order), count(app, IdempotencyKey)) == (1, 1)


def test_a_client_that_hangs_up_finds_its_answer(app: Flask, environment: dict[str, str], clean: None) -> None:
    seller, buyer = make_user(app), make_user(app)
    good, address = make_good(app, seller), make_address(app, buyer)
    headers = keyed(app, buyer)
    path, body = f"/api/buy/{good.id}/", f"address_id={address.id}".encode()
    lines = [f"POST {path} HTTP/1.1", "Host: shop.example", *(f"{name}: {value}" for name, value in headers.items())]
    lines += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}", "", ""]
    with LiveServer.start(environment, workers=1) as server:
        with locked(environment, good) as somebody_waits:
            with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
                connection.sendall("\r\n".join(lines).encode() + body)
                # Who hangs up sooner may not even be heard.
                wait_until(somebody_waits, "the request waits for the good")
            assert count(app, Order) == 0
        wait_until(lambda: count(app, Order) == 1, "the good is bought")
        form = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        reply = server.call("POST", path, body=body, headers=form)
    assert (reply.status, reply.headers["idempotency-replayed"]) == (200, "true")
    assert (reply.body["msg"], reply.body["data"]["good"]["id"]) == (Answer.ORDER_CREATED.msg, good.id)
    assert count(app, Order) == 1


# --- any order of things ---

STEPS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 1), st.sampled_from("ab"), st.sampled_from(["王大明", "王小明", ""])),
        st.just("a day passes"),
        st.just("a purge"),
    ),
    max_size=12,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_order_of_requests(app: Flask, client: FlaskClient, steps: list[Any]) -> None:
    """Against a model: what each user's key was first used for and what that was answered."""
    with app.app_context(), transaction() as session:
        session.execute(delete(Address))
        session.execute(delete(IdempotencyKey))
    users = [make_user(app), make_user(app)]
    kept: dict[tuple[int, str], tuple[str, TestResponse]] = {}
    effects = 0
    for step in steps:
        if step == "a day passes":
            later(app, timedelta(days=1))
            kept.clear()
        elif step == "a purge":
            with app.app_context():
                purge_idempotency_keys()
            assert count(app, IdempotencyKey) == len(kept)
        else:
            user, key, name = step
            response = client.post(ADD, json=ADDRESS | {"name": name}, headers=keyed(app, users[user], key))
            first_name, first = kept.get((user, key), (name, None))
            if first is None and not name:
                assert_done(response, Answer.MALFORMED)
            elif first is None:
                assert_done(response, Answer.ADDRESS_ADDED)
                kept[user, key] = (name, response)
                effects += 1
            elif first_name == name:
                assert_replay(response, first)
            else:
                assert_done(response, Answer.KEY_REUSED)
        assert count(app, Address) == effects
