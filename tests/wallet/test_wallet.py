"""The wallet: balances, entries with texts, withdrawals asked for and refused."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from app.answers import Answer
from app.clock import SHANGHAI, utcnow
from app.db.database import db
from app.ledger.models import USER_KINDS
from app.orders.models import Order
from app.orders.transitions import _ACCOUNTS
from app.wallet import service
from app.wallet.models import Payout, PayoutPosting
from app.wallet.queries import mask_account, mask_name
from app.wallet.texts import KIND_TEXT, STATE_TEXT
from statemachine import ORDER, OrderEvent, Pot, Role
from tests.factories import assert_envelope, auth_headers, make_user, whole_database
from tests.fields.test_pasted import ACCOUNT_EXPECTED
from tests.ledger.steps import balances, give, walk
from tests.wallet.conftest import AVAILABLE

PAGE = {"page": 1, "size": 20}
RIGHT = {"amount": "120.00", "account": "13800138000", "name": "王小明"}


def test_every_kind_that_reaches_a_wallet_has_a_text() -> None:
    reaching = {
        rule.event.value
        for rule in ORDER.rules
        for move in rule.moves
        if USER_KINDS & {_ACCOUNTS[Pot(move.source)], _ACCOUNTS[Pot(move.target)]}
    }
    own = {PayoutPosting.REQUESTED.value, PayoutPosting.FAILED.value}
    assert {str(kind) for kind in KIND_TEXT} == reaching | own


def test_a_new_user_has_nothing(app: Flask, client: FlaskClient) -> None:
    response = client.get("/api/wallet/", headers=auth_headers(app, make_user(app)))
    assert assert_envelope(response, Answer.WALLET_FOUND) == {
        "available": "0.00",
        "held": "0.00",
        "withdrawing": "0.00",
        "items": [],
        **PAGE,
        "total": 0,
        "pages": 0,
    }


def test_an_order_and_a_withdrawal_line_by_line(app: Flask, client: FlaskClient) -> None:
    order = walk(
        app,
        (OrderEvent.PAY, Role.GATEWAY),
        (OrderEvent.SHIP, Role.SELLER),
        (OrderEvent.RECEIVE, Role.BUYER),
        (OrderEvent.SETTLE, Role.SYSTEM),
    )
    headers = auth_headers(app, order.seller)
    assert client.post("/api/withdraw/", json=RIGHT, headers=headers).status_code == 200
    data = assert_envelope(client.get("/api/wallet/", headers=headers), Answer.WALLET_FOUND)
    assert (data["available"], data["held"], data["withdrawing"]) == ("2480.00", "0.00", "120.00")
    assert [
        (each["kind"], each["kind_text"], each["account"], each["amount"], each["balance"], each["order_no"])
        for each in data["items"]
    ] == [
        ("payout_requested", "提现", "available", "-120.00", "2480.00", None),
        ("settle", "结算到可用", "available", "2600.00", "2600.00", order.order_no),
        ("settle", "结算到可用", "held", "-2600.00", "0.00", order.order_no),
        ("receive", "货款入账(待结算)", "held", "2600.00", "2600.00", order.order_no),
    ]
    assert (data["total"], data["pages"]) == (4, 1)
    with app.app_context():
        settled = db.session.execute(select(Order.updated_at).where(Order.id == order.id)).scalar_one()
    assert data["items"][1]["at"] == settled.astimezone(SHANGHAI).isoformat(timespec="seconds")
    second = client.get("/api/wallet/?page=2&size=3", headers=headers).get_json()["data"]
    assert [each["kind"] for each in second["items"]] == ["receive"]
    assert (second["available"], second["total"], second["pages"]) == ("2480.00", 4, 2)
    # The buyer sees nothing of it.
    assert client.get("/api/wallet/", headers=auth_headers(app, order.buyer)).get_json()["data"]["total"] == 0


def test_a_withdrawal(app: Flask, client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    seller = make_user(app)
    give(app, seller, available=AVAILABLE, held=700)
    headers = auth_headers(app, seller)
    with caplog.at_level(logging.INFO):
        response = client.post("/api/withdraw/", json=RIGHT, headers=headers)
    data = assert_envelope(response, Answer.WITHDRAWAL_REQUESTED)
    with app.app_context():
        row = db.session.execute(select(Payout)).scalar_one()
        at = row.created_at.astimezone(SHANGHAI)
    assert data == {
        "id": row.id,
        "payout_no": row.out_biz_no,
        "amount": "120.00",
        "account": "138****8000",
        "name": "王**",
        "state": "pending",
        "state_text": "处理中",
        "reason": None,
        "created_at": at.isoformat(timespec="seconds"),
        "finished_at": None,
    }
    assert row.out_biz_no.startswith(f"W{at:%Y%m%d}")
    assert len(row.out_biz_no) == 23
    assert (row.user_id, row.amount, row.account, row.name) == (seller.id, 12000, "13800138000", "王小明")
    assert balances(app) == {
        ("gateway_clearing", None): AVAILABLE + 700,
        ("seller_available", seller.id): AVAILABLE - 12000,
        ("seller_held", seller.id): 700,
        ("payout_clearing", None): 12000,
    }
    assert "13800138000" not in caplog.text
    assert "王小明" not in caplog.text
    one = client.get(f"/api/withdraw/{row.id}/", headers=headers)
    assert assert_envelope(one, Answer.WITHDRAWALS_FOUND) == data
    listed = assert_envelope(client.get("/api/withdraw/", headers=headers), Answer.WITHDRAWALS_FOUND)
    assert listed == {"items": [data], **PAGE, "total": 1, "pages": 1}


def test_somebody_elses_withdrawal_does_not_exist(app: Flask, client: FlaskClient) -> None:
    seller, stranger = make_user(app), make_user(app)
    give(app, seller, available=AVAILABLE)
    made = client.post("/api/withdraw/", json=RIGHT, headers=auth_headers(app, seller)).get_json()["data"]
    headers = auth_headers(app, stranger)
    assert_envelope(client.get(f"/api/withdraw/{made['id']}/", headers=headers), Answer.NO_SUCH_WITHDRAWAL)
    assert_envelope(client.get("/api/withdraw/", headers=headers), Answer.NO_WITHDRAWALS)


def test_no_more_than_is_available(app: Flask, client: FlaskClient) -> None:
    seller = make_user(app)
    give(app, seller, available=11999, held=99999)
    before = whole_database(app)
    response = client.post("/api/withdraw/", json=RIGHT, headers=auth_headers(app, seller))
    assert_envelope(response, Answer.INSUFFICIENT_FUNDS)
    assert whole_database(app) == before
    poor = client.post("/api/withdraw/", json=RIGHT, headers=auth_headers(app, make_user(app)))
    assert_envelope(poor, Answer.INSUFFICIENT_FUNDS)
    assert sum(balances(app).values()) == 2 * (11999 + 99999)


def test_everything_that_is_available(app: Flask, client: FlaskClient) -> None:
    seller = make_user(app)
    give(app, seller, available=10)
    response = client.post("/api/withdraw/", json={**RIGHT, "amount": "0.10"}, headers=auth_headers(app, seller))
    assert_envelope(response, Answer.WITHDRAWAL_REQUESTED)
    assert balances(app) == {("gateway_clearing", None): 10, ("payout_clearing", None): 10}


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("amount", "-1", "金额须为不超过两位小数的数字"),
        ("amount", -1, "金额须为不超过两位小数的数字"),
        ("amount", "0", "金额须大于 0"),
        ("amount", "0.00", "金额须大于 0"),
        ("amount", "0.09", "提现金额不能小于 0.10 元"),
        ("amount", "1.001", "金额须为不超过两位小数的数字"),
        ("amount", 1.001, "金额须为不超过两位小数的数字"),
        ("amount", "1e3", "金额须为不超过两位小数的数字"),
        ("amount", "NaN", "金额须为不超过两位小数的数字"),
        ("amount", "10000000", "金额不能超过 9999999.99 元"),
        ("amount", "92233720368547758.08", "金额须为不超过两位小数的数字"),
        ("amount", 2**63, "金额须为不超过两位小数的数字"),
        ("amount", True, "金额格式不正确"),
        ("amount", None, "金额格式不正确"),
        ("amount", [1], "金额格式不正确"),
        ("account", "12345", ACCOUNT_EXPECTED),
        ("account", "10086000000", ACCOUNT_EXPECTED),
        ("account", "wang@", ACCOUNT_EXPECTED),
        ("account", "wang@example", ACCOUNT_EXPECTED),
        ("account", "w ang@example.com", ACCOUNT_EXPECTED),
        ("account", "", ACCOUNT_EXPECTED),
        ("account", 13800138000, "须为文字"),
        ("name", " ", "不能为空"),
        ("name", "王" * 31, "至多 30 个字符"),
    ],
)
def test_bad_fields_change_nothing(app: Flask, client: FlaskClient, field: str, value: Any, reason: str) -> None:
    seller = make_user(app)
    give(app, seller, available=AVAILABLE)
    before = whole_database(app)
    response = client.post("/api/withdraw/", json={**RIGHT, field: value}, headers=auth_headers(app, seller))
    assert assert_envelope(response, Answer.MALFORMED) == {"errors": {field: [reason]}}
    assert whole_database(app) == before


def test_so_many_a_day(make_app: Any, app: Flask) -> None:
    limited = make_app(WITHDRAW_DAILY_LIMIT="2")
    seller, other = make_user(app), make_user(app)
    give(app, seller, available=AVAILABLE)
    give(app, other, available=AVAILABLE)
    client, headers = limited.test_client(), auth_headers(app, seller)
    for _ in range(2):
        assert client.post("/api/withdraw/", json=RIGHT, headers=headers).status_code == 200
    before = whole_database(app)
    refused = client.post("/api/withdraw/", json=RIGHT, headers=headers)
    assert_envelope(refused, Answer.TOO_MANY_WITHDRAWALS)
    assert whole_database(app) == before
    midnight = (utcnow().astimezone(SHANGHAI) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    assert abs(int(refused.headers["Retry-After"]) - (midnight - utcnow()).total_seconds()) < 5
    assert client.post("/api/withdraw/", json=RIGHT, headers=auth_headers(app, other)).status_code == 200
    # Yesterday's do not count.
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Payout).values(created_at=midnight - timedelta(days=1, seconds=1)))
    assert client.post("/api/withdraw/", json=RIGHT, headers=headers).status_code == 200


def test_the_day_is_that_of_shanghai(make_app: Any, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 17:00 UTC the day in Shanghai is an hour old, while that in Greenwich is nearly over."""
    limited, seller = make_app(WITHDRAW_DAILY_LIMIT="2"), make_user(app)
    give(app, seller, available=AVAILABLE)
    client, headers = limited.test_client(), auth_headers(app, seller)
    now = datetime(2026, 11, 29, 17, 0, tzinfo=UTC)
    monkeypatch.setattr(service, "utcnow", lambda: now)
    for _ in range(2):
        assert_envelope(client.post("/api/withdraw/", json=RIGHT, headers=headers), Answer.WITHDRAWAL_REQUESTED)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Payout).values(created_at=datetime(2026, 11, 29, 15, 59, 59, tzinfo=UTC)))
    for _ in range(2):
        assert_envelope(client.post("/api/withdraw/", json=RIGHT, headers=headers), Answer.WITHDRAWAL_REQUESTED)
    refused = client.post("/api/withdraw/", json=RIGHT, headers=headers)
    assert_envelope(refused, Answer.TOO_MANY_WITHDRAWALS)
    assert refused.headers["Retry-After"] == str(23 * 3600 + 1)


def test_the_same_request_again_withdraws_once(app: Flask, client: FlaskClient) -> None:
    seller = make_user(app)
    give(app, seller, available=AVAILABLE)
    headers = {**auth_headers(app, seller), "Idempotency-Key": "withdrawal-1"}
    first = client.post("/api/withdraw/", json=RIGHT, headers=headers)
    second = client.post("/api/withdraw/", json=RIGHT, headers=headers)
    assert first.status_code == 200
    assert (second.data, second.headers["Idempotency-Replayed"]) == (first.data, "true")
    assert balances(app)["payout_clearing", None] == 12000


@pytest.mark.parametrize(
    ("account", "masked"),
    [
        ("13800138000", "138****8000"),
        ("wang@example.com", "wa***@example.com"),
        ("wa@example.com", "w***@example.com"),
        ("w@example.com", "w***@example.com"),
    ],
)
def test_accounts_are_masked(account: str, masked: str) -> None:
    assert mask_account(account) == masked


def test_names_are_masked() -> None:
    assert [mask_name(name) for name in ("王", "王明", "欧阳小明")] == ["王", "王*", "欧***"]


def test_every_state_has_a_text() -> None:
    assert list(STATE_TEXT.values()) == ["处理中", "已到账", "提现失败"]
