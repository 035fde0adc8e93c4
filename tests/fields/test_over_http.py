"""What is pasted into the forms of the API is answered and stored in its one form."""

import logging
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.accounts.models import Address, User
from app.answers import Answer
from app.goods.models import Good
from app.orders.models import Waybill
from app.recovery.models import OneTimeCode
from app.wallet.models import Payout
from statemachine import TradeMode
from statemachine.order import PAID
from tests.accounts.steps import all_rows, log_in, register
from tests.factories import PASSWORD, assert_envelope, auth_headers, lead_order, make_address, make_good, make_user
from tests.goods.steps import FORM
from tests.ledger.steps import give
from tests.test_bad_input import ADDRESS

PHONES = (
    *("+86 138 0013 8000", "138-0013-8000", "\u202d138 0013 8000\u202c", "１３８００１３８０００", "13800138000\r\n"),
    *("\ufeff+86‑138‑0013‑8000", "0086 13800138000", "138\u200b0013\u200b8000"),
)


def test_addresses(app: Flask, client: FlaskClient) -> None:
    headers = auth_headers(app, make_user(app))
    for phone in PHONES:
        body = {**ADDRESS, "mobile": phone, "name": "王\u3000小明\u200b", "detail": "\ufeff文一西路\t969 号"}
        data = assert_envelope(client.post("/api/add_address/", json=body, headers=headers), Answer.ADDRESS_ADDED)
        assert {name: data[name] for name in ADDRESS} == ADDRESS
    url = f"/api/address/{data['id']}/"
    for change in (client.patch, client.post):
        for phone in PHONES[:2]:
            changed = change(url, json={"mobile": phone}, headers=headers)
            assert assert_envelope(changed, Answer.ADDRESS_EDITED)["mobile"] == "13800138000"
    assert {row["mobile"] for row in all_rows(app, Address)} == {"13800138000"}


def test_the_account_of_a_withdrawal(app: Flask, client: FlaskClient) -> None:
    seller = make_user(app)
    give(app, seller, available=100_00)
    headers = auth_headers(app, seller)
    for amount, account, name in (
        ("￥１０．５", "+86 138-0013-8000", "王\u3000小明"),
        (" 10.50 元", "\u202d13800138000\u202c", "王小明\n"),
        ("¥ 10.5", "１３８００１３８０００", "\ufeff王小明"),
    ):
        body = {"amount": amount, "account": account, "name": name}
        assert_envelope(client.post("/api/withdraw/", json=body, headers=headers), Answer.WITHDRAWAL_REQUESTED)
    rows = all_rows(app, Payout)
    assert [(row["amount"], row["account"], row["name"]) for row in rows] == [(1050, "13800138000", "王小明")] * 3


@pytest.mark.parametrize(
    "number", ["SF 1234 5678 90", "ＳＦ１２３４５６７８９０", "SF1234567890\n", "SF12345\u200b67890", "sf-1234-5678-90"]
)
def test_tracking_numbers(app: Flask, client: FlaskClient, number: str) -> None:
    seller = make_user(app)
    order = lead_order(app, make_good(app, seller), make_user(app), phase=PAID)
    parcel = {"address_id": make_address(app, seller).id, "company": " 顺丰\u200b速运\n", "tracking_no": number}
    response = client.post(f"/api/seller_send_delivery/{order.id}/", json=parcel, headers=auth_headers(app, seller))
    delivery = assert_envelope(response, Answer.ORDER_SHIPPED)["delivery"]
    assert (delivery["company"], delivery["tracking_no"]) == ("顺丰速运", "SF1234567890")
    assert [row["tracking_no"] for row in all_rows(app, Waybill)] == ["SF1234567890"]


@pytest.mark.parametrize("form", ["{0} {1}", "\u202d{0}-{1}\u202c", "{0}\u200b{1}\n", "wide"])
def test_handover_codes(app: Flask, client: FlaskClient, form: str) -> None:
    seller = make_user(app)
    good = make_good(app, seller, trade_mode=TradeMode.FACE_TO_FACE)
    code = lead_order(app, good, make_user(app), phase=PAID)
    told = code.handover_code
    text = form.format(told[:3], told[3:]) if form != "wide" else "".join(chr(ord(digit) + 0xFEE0) for digit in told)
    url = f"/api/seller_hand_over/{code.id}/"
    response = client.post(url, json={"code": text}, headers=auth_headers(app, seller))
    assert_envelope(response, Answer.GOODS_HANDED_OVER)


@pytest.mark.parametrize(
    ("price", "stored"),
    [(" 12.5 ", 1250), ("１２．５", 1250), ("￥5642.5", 564250), ("5,642.50元", 564250), ("\ufeff12.50\r\n", 1250)],
)
def test_prices_titles_and_lists(app: Flask, client: FlaskClient, price: str, stored: int) -> None:
    form = {
        **FORM,
        "price": price,
        "title": "iPhone\t13\n128G\u200b🧑\u200d🌾",
        "description": "九成新\u202e\n可小刀\u00ad",
    }
    headers = auth_headers(app, make_user(app))
    for options in ({"json": form}, {"data": form}):
        released = client.post("/api/good_release/", headers=headers, **options)
        data = assert_envelope(released, Answer.GOOD_RELEASED)
        assert (data["title"], data["description"]) == ("iPhone 13 128G🧑\u200d🌾", "九成新\n可小刀")
    assert [row["price"] for row in all_rows(app, Good)] == [stored, stored]
    listed = client.get("/api/goods/", query_string={"price_min": price, "price_max": price})
    assert listed.status_code == 200


def test_who_registers_with_one_form_logs_in_with_another(app: Flask, client: FlaskClient) -> None:
    registered = register(client, "Ａｌｉ\u200bce\u202c")
    assert assert_envelope(registered, Answer.REGISTERED)["username"] == "Alice"
    for name in ("alice", " ALICE\n", "\ufeffＡlice", "a\u2060lice", "Ali\u00adce"):
        assert assert_envelope(log_in(client, name, PASSWORD), Answer.LOGGED_IN)["user"]["username"] == "Alice"
        assert_envelope(register(client, name), Answer.REGISTRATION_FAILED)
    assert [row["username"] for row in all_rows(app, User)] == ["Alice"]
    # A password is read as it is.
    assert_envelope(log_in(client, "alice", f"{PASSWORD}\u200b"), Answer.LOGIN_MALFORMED)


def test_a_captcha_is_read_as_people_type_it(client: FlaskClient) -> None:
    made = assert_envelope(client.get("/register/"), Answer.CAPTCHA_MADE)
    code = made["captcha_code"]
    typed = f" {code[:2].lower()} {''.join(chr(ord(each) + 0xFEE0) for each in code[2:])}\u200b\n"
    registered = register(client, "captcha_reader", captcha_id=f"{made['captcha_id']}\n", captcha_code=typed)
    assert_envelope(registered, Answer.REGISTERED)


@pytest.mark.parametrize(
    ("channel", "address", "stored"),
    [
        ("mobile", "+86 138 0013 8000", "13800138000"),
        ("mobile", "+852 9876-5432", "+85298765432"),
        ("mobile", "\u202a+886 912 345 678\u202c", "+886912345678"),
        ("email", " Xiao.Ming＠Example。com\n", "Xiao.Ming@example.com"),
    ],
)
def test_recovery_addresses(app: Flask, client: FlaskClient, channel: str, address: str, stored: str) -> None:
    body = {"channel": channel, "address": address, "password": PASSWORD}
    response = client.post("/api/user/recovery/", json=body, headers=auth_headers(app, make_user(app)))
    assert_envelope(response, Answer.CODE_SENT)
    assert [row["address"] for row in all_rows(app, OneTimeCode)] == [stored]


def test_logs_show_no_number_of_whatever_form(
    app: Flask, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    user = make_user(app)
    headers = auth_headers(app, user)
    given: dict[str, Any] = {"+852 9876 5432": "+85298765432", "010-62345678": "+861062345678"}
    for text, stored in given.items():
        body = {**ADDRESS, "mobile": text}
        added = client.post("/api/add_address/", json=body, headers=headers)
        assert assert_envelope(added, Answer.ADDRESS_ADDED)["mobile"] == stored
        assert_envelope(client.post("/api/add_address/", json={**body, "nmae": "x"}, headers=headers), Answer.MALFORMED)
        for secret in (text, stored, stored[-8:]):
            assert secret not in caplog.text
    # Otherwise the test would look into the void.
    assert_envelope(log_in(client, user.username), Answer.LOGGED_IN)
    assert "user_logged_in" in caplog.text
