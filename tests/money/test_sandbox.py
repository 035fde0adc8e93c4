"""The sandbox gateway: as a server of its own with the real SDK on the other side, and request by request."""

import base64
import json
import os
import re
import socket
import sqlite3
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import ProxyHandler, build_opener

import pytest
import structlog
from alipay import AliPay
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from flask.testing import FlaskClient

from app.clock import SHANGHAI
from app.money.gateways.base import (
    GatewayRefused,
    GatewayUnavailable,
    NotificationRefused,
    RefundResult,
    RefusalReason,
    TradeState,
    TradeStatus,
    TransferResult,
    TransferStatus,
)
from app.money.reconcile import MovementKind, OurMovement, compare, read_day_bill
from app.money.sandbox import DEFAULT_APP_ID, DEFAULT_SELLER_ID, day_bill, keys, messages, protocol, server
from app.money.sandbox.__main__ import main
from app.money.sandbox.notifier import RETRY_WAITS_S, Notifier
from app.money.sandbox.protocol import Problem, ProblemFound
from app.money.sandbox.settings import SandboxSettings
from app.money.sandbox.store import DEFAULT_LIFETIME_S, Store, Trade
from tests.money.sandbox_server import (
    NotifyReceiver,
    SandboxServer,
    eventually,
    fetch,
    form_action,
    start_sandbox,
)
from tests.processes import ForkedPython

# Alipay's 24 hours of repeating take 0.9 seconds.
QUICK = 0.00001
_numbers = count(1)


def new_number(prefix: str = "P") -> str:
    return f"{prefix}{next(_numbers)}"


@pytest.fixture(scope="module")
def keys_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys")
    keys.create_keys(directory)
    return directory


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory, keys_dir: Path) -> Iterator[SandboxServer]:
    with start_sandbox(tmp_path_factory.mktemp("sandbox"), notify_factor=QUICK, keys_dir=keys_dir) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[NotifyReceiver]:
    with NotifyReceiver() as listening:
        yield listening


def pay_url(sandbox: SandboxServer, out_trade_no: str, notify_url: str = "", **changes: Any) -> str:
    arguments: dict[str, Any] = {
        "out_trade_no": out_trade_no,
        "amount_fen": 10000,
        "subject": "九成新 山地车 <b>",
        "notify_url": notify_url,
        "return_url": "https://shop.example/order/7?from=pay",
        "expires_at": datetime.now(UTC) + timedelta(minutes=30),
    }
    return sandbox.gateway().page_pay_url(**(arguments | changes))


# --- a payment, end to end ---


def test_paying_leads_back_and_notifies(sandbox: SandboxServer, receiver: NotifyReceiver) -> None:
    number, gateway = new_number(), sandbox.gateway()
    before = datetime.now(UTC).replace(microsecond=0)

    location = sandbox.pay(pay_url(sandbox, number, receiver.url))

    assert location.startswith("https://shop.example/order/7?from=pay&")
    returned = dict(parse_qsl(urlsplit(location).query, strict_parsing=True))
    assert returned.pop("from") == "pay"
    sdk = AliPay(
        appid=DEFAULT_APP_ID,
        app_private_key_string=(sandbox.keys / keys.APP_PRIVATE).read_text(),
        alipay_public_key_string=(sandbox.keys / keys.GATEWAY_PUBLIC).read_text(),
    )
    sign = returned.pop("sign")
    assert sdk.verify(dict(returned), sign) is True
    assert sdk.verify(returned | {"total_amount": "0.01"}, sign) is False
    assert (returned["out_trade_no"], returned["total_amount"]) == (number, "100.00")
    assert (returned["app_id"], returned["seller_id"]) == (DEFAULT_APP_ID, DEFAULT_SELLER_ID)
    assert returned["method"] == "alipay.trade.page.pay.return"

    [form] = receiver.wait_for(1)
    notification = gateway.read_notification(form)
    assert (notification.out_trade_no, notification.amount_fen) == (number, 10000)
    assert (notification.status, notification.refunded_fen) == (TradeStatus.TRADE_SUCCESS, 0)
    assert notification.trade_no == returned["trade_no"]
    assert notification.paid_at is not None
    assert before <= notification.paid_at <= datetime.now(UTC)
    assert gateway.query(number) == TradeState(
        out_trade_no=number,
        trade_no=notification.trade_no,
        amount_fen=10000,
        status=TradeStatus.TRADE_SUCCESS,
        paid_at=notification.paid_at,
    )
    for changed, reason in (
        ({"total_amount": "0.01"}, RefusalReason.BAD_SIGNATURE),
        ({"sign": "garbage"}, RefusalReason.BAD_SIGNATURE),
        ({"charset": "gbk"}, RefusalReason.MALFORMED_FIELD),
    ):
        with pytest.raises(NotificationRefused) as refused:
            gateway.read_notification(form | changed)
        assert refused.value.reason is reason
    for other, reason in (
        ({"app_id": "2021000000000009"}, RefusalReason.OTHER_APP),
        ({"seller_id": "2088000000000009"}, RefusalReason.OTHER_SELLER),
    ):
        with pytest.raises(NotificationRefused) as refused:
            sandbox.gateway(**other).read_notification(form)
        assert refused.value.reason is reason

    def delivered() -> dict[str, Any] | None:
        [sent] = sandbox.trade(number)["notifications"]
        return sent if sent["delivered_at"] else None

    sent = eventually(delivered)
    assert (sent["attempts"], sent["due_at"], sent["last_answer"]) == (1, None, "success")
    assert sent["notify_id"] == notification.notify_id


def test_the_cashier_is_one_page_with_one_form(sandbox: SandboxServer) -> None:
    number = new_number()
    answer = fetch(pay_url(sandbox, number))

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.text.count("<form") == 1
    assert answer.text.count("<button") == 1
    assert "确认付款</button>" in answer.text
    assert "沙箱" in answer.text
    assert "<small>¥</small>100.00" in answer.text
    assert "九成新 山地车 &lt;b&gt;" in answer.text
    assert number in answer.text
    assert "src=" not in answer.text
    assert "<link" not in answer.text
    assert fetch(form_action(answer.text)).text == answer.text


def test_without_a_return_url_the_page_itself_says_that_it_is_paid(sandbox: SandboxServer) -> None:
    number = new_number()
    page = fetch(pay_url(sandbox, number, return_url=""))

    paid = fetch(form_action(page.text), form={})

    assert paid.status == 200
    assert "支付成功" in paid.text
    assert "¥100.00" in paid.text
    assert sandbox.trade(number)["status"] == "TRADE_SUCCESS"
    assert sandbox.trade(number)["notifications"] == []


def test_opened_twice_it_is_one_trade(sandbox: SandboxServer, receiver: NotifyReceiver) -> None:
    number = new_number()
    first = fetch(pay_url(sandbox, number, "http://127.0.0.1:9/nobody"))
    trade_no = sandbox.trade(number)["trade_no"]
    second = fetch(pay_url(sandbox, number, receiver.url))

    assert form_action(first.text) == form_action(second.text)
    assert sandbox.trade(number)["trade_no"] == trade_no
    fetch(form_action(first.text), form={})
    assert dict(receiver.wait_for(1)[0])["trade_no"] == trade_no


@pytest.mark.parametrize("state", ["waiting", "paid"])
def test_another_amount_for_the_same_number_is_refused(sandbox: SandboxServer, state: str) -> None:
    number = new_number()
    url = pay_url(sandbox, number)
    if state == "paid":
        sandbox.pay(url)
    fetch(url)
    before = sandbox.trade(number)

    refused = fetch(pay_url(sandbox, number, amount_fen=9999))

    assert refused.status == 400
    assert "ACQ.CONTEXT_INCONSISTENT" in refused.text
    assert "<form" not in refused.text
    assert sandbox.trade(number) == before


def test_paid_once_by_many_at_once(sandbox: SandboxServer, receiver: NotifyReceiver) -> None:
    number = new_number()
    action = form_action(fetch(pay_url(sandbox, number, receiver.url)).text)

    with ThreadPoolExecutor(12) as payers:
        answers = list(payers.map(lambda _: fetch(action, form={}), range(12)))

    assert [answer.status for answer in answers] == [302] * 12
    assert len(sandbox.trade(number)["notifications"]) == 1
    paid = sandbox.trade(number)
    assert fetch(action, form={}).status == 302
    assert sandbox.trade(number)["paid_at"] == paid["paid_at"]
    again = fetch(pay_url(sandbox, number, receiver.url))
    assert (again.status, "ACQ.TRADE_HAS_SUCCESS" in again.text) == (400, True)
    reloaded = fetch(action)
    assert (reloaded.status, "ACQ.TRADE_HAS_SUCCESS" in reloaded.text) == (409, True)


def test_an_unknown_cashier_is_not_found(sandbox: SandboxServer) -> None:
    unknown = f"{sandbox.url}/cashier/{'A' * 32}"
    for answer in (fetch(unknown), fetch(unknown, form={})):
        assert (answer.status, "ACQ.TRADE_NOT_EXIST" in answer.text) == (404, True)
    inspected = fetch(f"{sandbox.url}/sandbox/trades/none")
    assert (inspected.status, json.loads(inspected.text)["sub_code"]) == (404, "ACQ.TRADE_NOT_EXIST")


# --- notifications ---


def test_a_notification_is_repeated_until_it_is_answered_with_success(sandbox: SandboxServer) -> None:
    answers = [(500, "success"), (200, "SUCCESS"), (200, "success\n"), (302, "success"), (204, ""), (200, "success")]
    number = new_number()
    with NotifyReceiver(answers) as receiver:
        sandbox.pay(pay_url(sandbox, number, receiver.url))
        forms = receiver.wait_for(6)
        sent = eventually(lambda: next((n for n in sandbox.trade(number)["notifications"] if n["delivered_at"]), None))

        assert (sent["attempts"], sent["due_at"], sent["last_answer"]) == (6, None, "success")
        assert len(receiver.received) == 6
    believed = [sandbox.gateway().read_notification(form) for form in forms]
    assert {(one.notify_id, one.out_trade_no, one.paid_at) for one in believed} == {
        (sent["notify_id"], number, believed[0].paid_at)
    }


def test_a_notification_is_given_up_after_the_eighth(sandbox: SandboxServer) -> None:
    number = new_number()
    with NotifyReceiver([(200, "fail")]) as receiver:
        sandbox.pay(pay_url(sandbox, number, receiver.url))

        sent = eventually(lambda: next((n for n in sandbox.trade(number)["notifications"] if not n["due_at"]), None))

        assert (sent["attempts"], sent["delivered_at"], sent["last_answer"]) == (8, None, "fail")
        assert len(receiver.received) == 8


def test_what_is_owed_survives_the_power_cut(tmp_path: Path, keys_dir: Path) -> None:
    number = new_number()
    # The first repetition comes after 1.2 seconds: the server is gone by then.
    with NotifyReceiver([(200, "fail"), (200, "success")]) as receiver:
        sandbox = start_sandbox(tmp_path, notify_factor=0.005, keys_dir=keys_dir)
        try:
            sandbox.pay(pay_url(sandbox, number, receiver.url))
            eventually(lambda: sandbox.trade(number)["notifications"][0]["attempts"] == 1)
        finally:
            sandbox.kill()
        assert len(receiver.received) == 1
        port = urlsplit(sandbox.url).port
        assert port is not None

        with start_sandbox(tmp_path, port=port, notify_factor=0.005, keys_dir=keys_dir) as restarted:
            first, second = receiver.wait_for(2)
            eventually(lambda: restarted.trade(number)["notifications"][0]["delivered_at"])
            assert restarted.trade(number)["notifications"][0]["attempts"] == 2
            assert restarted.gateway().query(number) is not None
    assert first["notify_id"] == second["notify_id"]
    assert restarted.gateway().read_notification(second).out_trade_no == number


def test_a_receiver_that_never_answers_delays_nobody_and_not_the_end(tmp_path: Path, keys_dir: Path) -> None:
    with socket.socket() as silent, NotifyReceiver() as receiver:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with start_sandbox(tmp_path, notify_timeout_s=60, keys_dir=keys_dir) as sandbox:
            sandbox.pay(pay_url(sandbox, new_number(), f"http://127.0.0.1:{silent.getsockname()[1]}/notify"))
            silent.settimeout(10)
            held, _ = silent.accept()
            sandbox.pay(pay_url(sandbox, new_number(), receiver.url))
            receiver.wait_for(1)

            started = time.monotonic()
            assert sandbox.stop() == 0
            assert time.monotonic() - started < 5
            held.close()


def test_nobody_at_the_notify_url_is_recorded_and_tried_again(sandbox: SandboxServer) -> None:
    number = new_number()
    with socket.socket() as bound_only:
        bound_only.bind(("127.0.0.1", 0))
        sandbox.pay(pay_url(sandbox, number, f"http://127.0.0.1:{bound_only.getsockname()[1]}/notify"))
        sent = eventually(lambda: next((n for n in sandbox.trade(number)["notifications"] if not n["due_at"]), None))
    assert (sent["attempts"], sent["delivered_at"]) == (8, None)
    assert "refused" in sent["last_answer"]


# --- query, refund, close, expiry ---


def test_a_trade_that_was_never_opened_is_unknown(sandbox: SandboxServer) -> None:
    gateway, number = sandbox.gateway(), new_number()

    assert gateway.query(number) is None
    assert gateway.close(number) is False
    with pytest.raises(GatewayRefused) as refused:
        gateway.refund(out_trade_no=number, amount_fen=1, out_request_no="R1", reason="")
    assert (refused.value.code, refused.value.sub_code) == ("40004", "ACQ.TRADE_NOT_EXIST")


def test_a_refund_takes_place_once_per_number(sandbox: SandboxServer, receiver: NotifyReceiver) -> None:
    number, gateway = new_number(), sandbox.gateway()
    sandbox.pay(pay_url(sandbox, number, receiver.url))
    trade_no = sandbox.trade(number)["trade_no"]

    results = [
        gateway.refund(out_trade_no=number, amount_fen=3000, out_request_no="R1", reason="协商一致") for _ in range(3)
    ]

    assert results == [
        RefundResult(
            out_trade_no=number,
            trade_no=trade_no,
            out_request_no="R1",
            amount_fen=3000,
            repeated=repeated,
            total_fen=3000,
        )
        for repeated in (False, True, True)
    ]
    trade = sandbox.trade(number)
    assert (trade["status"], trade["refunded_fen"], len(trade["refunds"])) == ("TRADE_SUCCESS", 3000, 1)
    assert trade["refunds"][0]["reason"] == "协商一致"
    forms = receiver.wait_for(2)
    about_refund = [n for form in forms if (n := gateway.read_notification(form)).refunded_fen]
    assert [(n.status, n.amount_fen, n.refunded_fen, n.out_request_no) for n in about_refund] == [
        (TradeStatus.TRADE_SUCCESS, 10000, 3000, "R1")
    ]
    assert len(sandbox.trade(number)["notifications"]) == 2


def test_a_refund_number_means_one_amount(sandbox: SandboxServer) -> None:
    number, gateway = new_number(), sandbox.gateway()
    sandbox.pay(pay_url(sandbox, number))
    gateway.refund(out_trade_no=number, amount_fen=3000, out_request_no="R1", reason="")
    before = sandbox.trade(number)

    with pytest.raises(GatewayRefused) as refused:
        gateway.refund(out_trade_no=number, amount_fen=2999, out_request_no="R1", reason="")

    assert refused.value.sub_code == "ACQ.DISCORDANT_REPEAT_REQUEST"
    assert sandbox.trade(number) == before


def test_no_more_than_was_paid_is_refunded(sandbox: SandboxServer) -> None:
    number, gateway = new_number(), sandbox.gateway()
    sandbox.pay(pay_url(sandbox, number))

    def refund(index: int) -> str:
        try:
            gateway.refund(out_trade_no=number, amount_fen=3000, out_request_no=f"R{index}", reason="")
        except GatewayRefused as error:
            return error.sub_code
        return "refunded"

    with ThreadPoolExecutor(10) as callers:
        outcomes = sorted(callers.map(refund, range(10)))

    assert outcomes == ["ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"] * 7 + ["refunded"] * 3
    trade = sandbox.trade(number)
    assert (trade["status"], trade["refunded_fen"], len(trade["refunds"])) == ("TRADE_SUCCESS", 9000, 3)


def test_refunded_in_full_a_trade_is_closed_without_a_notification(
    sandbox: SandboxServer, receiver: NotifyReceiver
) -> None:
    number, gateway = new_number(), sandbox.gateway()
    sandbox.pay(pay_url(sandbox, number, receiver.url))

    gateway.refund(out_trade_no=number, amount_fen=10000, out_request_no="R1", reason="")

    trade = gateway.query(number)
    assert trade is not None
    assert (trade.status, trade.amount_fen) == (TradeStatus.TRADE_CLOSED, 10000)
    assert trade.paid_at is not None
    assert len(sandbox.trade(number)["notifications"]) == 1
    with pytest.raises(GatewayRefused) as refused:
        gateway.refund(out_trade_no=number, amount_fen=1, out_request_no="R2", reason="")
    assert refused.value.sub_code == "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"
    assert gateway.refund(out_trade_no=number, amount_fen=10000, out_request_no="R1", reason="").repeated


def test_an_unpaid_trade_is_not_refunded(sandbox: SandboxServer) -> None:
    number = new_number()
    fetch(pay_url(sandbox, number))
    with pytest.raises(GatewayRefused) as refused:
        sandbox.gateway().refund(out_trade_no=number, amount_fen=1, out_request_no="R1", reason="")
    assert refused.value.sub_code == "ACQ.TRADE_STATUS_ERROR"
    assert sandbox.trade(number)["refunds"] == []


def test_a_closed_trade_takes_no_money(sandbox: SandboxServer, receiver: NotifyReceiver) -> None:
    number, gateway = new_number(), sandbox.gateway()
    url = pay_url(sandbox, number, receiver.url)
    action = form_action(fetch(url).text)

    assert gateway.close(number) is True
    assert gateway.close(number) is True

    paid = fetch(action, form={})
    assert (paid.status, "ACQ.TRADE_HAS_CLOSE" in paid.text) == (409, True)
    opened = fetch(url)
    assert (opened.status, "ACQ.TRADE_HAS_CLOSE" in opened.text) == (400, True)
    trade = gateway.query(number)
    assert trade is not None
    assert (trade.status, trade.paid_at) == (TradeStatus.TRADE_CLOSED, None)
    assert sandbox.trade(number)["notifications"] == []


def test_a_paid_trade_is_not_closed(sandbox: SandboxServer) -> None:
    number, gateway = new_number(), sandbox.gateway()
    sandbox.pay(pay_url(sandbox, number))

    with pytest.raises(GatewayRefused) as refused:
        gateway.close(number)

    assert (refused.value.code, refused.value.sub_code) == ("40004", "ACQ.TRADE_STATUS_ERROR")
    assert sandbox.trade(number)["status"] == "TRADE_SUCCESS"


def test_an_expired_trade_takes_no_money(sandbox: SandboxServer) -> None:
    number = new_number()
    url = pay_url(sandbox, number, expires_at=datetime.now(UTC) + timedelta(seconds=2))
    action = form_action(fetch(url).text)
    eventually(lambda: sandbox.trade(number)["status"] == "TRADE_CLOSED")

    paid = fetch(action, form={})

    assert (paid.status, "ACQ.TRADE_HAS_CLOSE" in paid.text) == (409, True)
    trade = sandbox.trade(number)
    assert (trade["paid_at"], trade["closed_at"], trade["notifications"]) == (None, trade["expires_at"], [])
    late = fetch(pay_url(sandbox, "LATE1", expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert (late.status, "ACQ.INVALID_PARAMETER time_expire" in late.text) == (400, True)
    assert sandbox.gateway().query("LATE1") is None


# --- payouts ---


def transferred(sandbox: SandboxServer, out_biz_no: str, **changes: Any) -> TransferResult:
    arguments: dict[str, Any] = {
        "amount_fen": 12345,
        "payee_account": "seller@example.com",
        "payee_name": "张三",
        "title": "咸鱼提现",
    }
    return sandbox.gateway().transfer(out_biz_no=out_biz_no, **(arguments | changes))


def transfer_of(sandbox: SandboxServer, out_biz_no: str) -> dict[str, Any]:
    """All that the sandbox knows of a transfer."""
    answer = fetch(f"{sandbox.url}/sandbox/transfers/{out_biz_no}")
    assert answer.status == 200, answer.text
    inspected: dict[str, Any] = json.loads(answer.text)
    return inspected


def test_a_transfer_moves_money_once(sandbox: SandboxServer) -> None:
    number, gateway = new_number("W"), sandbox.gateway()
    before = datetime.now(UTC).replace(microsecond=0)
    assert gateway.query_transfer(number) is None

    first = transferred(sandbox, number)

    assert first.at is not None
    assert first.order_id is not None
    assert before <= first.at <= datetime.now(UTC)
    assert first == TransferResult(
        out_biz_no=number,
        order_id=first.order_id,
        amount_fen=12345,
        status=TransferStatus.SUCCESS,
        at=first.at,
        failure=None,
    )
    assert transferred(sandbox, number) == first
    assert gateway.query_transfer(number) == first
    known = transfer_of(sandbox, number)
    assert known == {
        "out_biz_no": number,
        "order_id": first.order_id,
        "amount_fen": 12345,
        "payee_account": "s***@example.com",
        "payee_name": "张*",
        "title": "咸鱼提现",
        "status": "SUCCESS",
        "requested_at": known["paid_at"],
        "paid_at": known["paid_at"],
        "questions": 1,
    }
    assert datetime.fromisoformat(known["paid_at"]).replace(microsecond=0) == first.at
    listed = json.loads(fetch(f"{sandbox.url}/sandbox/transfers").text)["transfers"]
    assert [each for each in listed if each["out_biz_no"] == number] == [known]


def test_one_number_transferred_by_many_at_once(sandbox: SandboxServer) -> None:
    number = new_number("W")
    with ThreadPoolExecutor(12) as callers:
        results = list(callers.map(lambda _: transferred(sandbox, number), range(12)))

    assert len(set(results)) == 1
    listed = json.loads(fetch(f"{sandbox.url}/sandbox/transfers").text)["transfers"]
    assert len([each for each in listed if each["out_biz_no"] == number]) == 1


@pytest.mark.parametrize(
    "changes", [{"amount_fen": 12344}, {"payee_account": "other@example.com"}, {"payee_name": "李四"}]
)
def test_another_transfer_under_a_used_number_moves_nothing(sandbox: SandboxServer, changes: dict[str, Any]) -> None:
    """Of the same amount it may be an earlier call with a lost answer: then what that one did is the answer."""
    number = new_number("W")
    first = transferred(sandbox, number)

    if "amount_fen" in changes:
        with pytest.raises(GatewayRefused) as refused:
            transferred(sandbox, number, **changes)
        assert (refused.value.code, refused.value.sub_code) == ("40004", "PAYMENT_INFO_INCONSISTENCY")
    else:
        assert transferred(sandbox, number, **changes) == first

    known = transfer_of(sandbox, number)
    assert (known["amount_fen"], known["payee_account"], known["payee_name"]) == (12345, "s***@example.com", "张*")


def test_an_account_that_is_none_is_refused(sandbox: SandboxServer) -> None:
    number = new_number("W")
    with pytest.raises(GatewayRefused) as refused:
        transferred(sandbox, number, payee_account="refuse@example.com")
    assert (refused.value.code, refused.value.sub_code, refused.value.msg) == (
        "40004",
        "PAYEE_NOT_EXIST",
        "收款账号不存在",
    )
    assert sandbox.gateway().query_transfer(number) is None
    unknown = fetch(f"{sandbox.url}/sandbox/transfers/{number}")
    assert (unknown.status, json.loads(unknown.text)["sub_code"]) == (404, "ORDER_NOT_EXIST")


def test_while_our_account_is_empty_a_transfer_may_be_tried_again(sandbox: SandboxServer) -> None:
    number = new_number("W")
    with pytest.raises(GatewayUnavailable, match="PAYER_BALANCE_NOT_ENOUGH"):
        transferred(sandbox, number, payee_account="broke@example.com")
    assert sandbox.gateway().query_transfer(number) is None


@pytest.mark.parametrize(
    ("account", "states", "failure"),
    [
        ("a.slow@example.com", ["DEALING", "DEALING", "SUCCESS", "SUCCESS"], None),
        (
            "a.fail@example.com",
            ["DEALING", "DEALING", "FAIL", "FAIL"],
            "PAYEE_USER_INFO_ERROR 支付宝账号和姓名不匹配,请确认姓名是否正确",
        ),
        (
            "a.back@example.com",
            ["SUCCESS", "SUCCESS", "REFUND", "REFUND"],
            "PERMIT_NON_BANK_LIMIT_PAYEE 对方未完善身份信息或未开立余额账户,无法收款",
        ),
    ],
)
def test_what_becomes_of_a_transfer_is_found_by_asking(
    sandbox: SandboxServer, account: str, states: list[str], failure: str | None
) -> None:
    number, gateway = new_number("W"), sandbox.gateway()

    first = transferred(sandbox, number, payee_account=account)
    assert transferred(sandbox, number, payee_account=account) == first
    asked = [gateway.query_transfer(number) for _ in range(3)]

    results = [first, *(each for each in asked if each is not None)]
    assert [result.status for result in results] == [TransferStatus(state) for state in states]
    assert {result.order_id for result in results} == {first.order_id}
    assert [result.at is not None for result in results] == [state in ("SUCCESS", "REFUND") for state in states]
    assert [result.amount_fen for result in results] == [
        12345,
        *(12345 if state == "SUCCESS" else None for state in states[1:]),
    ]
    assert [result.failure for result in results] == [
        failure if state in ("FAIL", "REFUND") else None for state in states
    ]
    assert transfer_of(sandbox, number)["status"] == states[-1]


# --- the books in short, and a day's bill ---


@pytest.mark.parametrize(
    ("account", "name", "shown"),
    [
        ("13812345678", "王小明", {"payee_account": "138****78", "payee_name": "王**"}),
        ("a@example.com", "李", {"payee_account": "a***@example.com", "payee_name": "李"}),
    ],
)
def test_a_payee_is_shown_to_nobody_who_does_not_know_it(
    sandbox: SandboxServer, account: str, name: str, shown: dict[str, str]
) -> None:
    number = new_number("W")
    transferred(sandbox, number, payee_account=account, payee_name=name)
    assert transfer_of(sandbox, number).items() >= shown.items()
    listed = fetch(f"{sandbox.url}/sandbox/transfers").text
    assert "12345678" not in listed


def test_the_store_is_read_by_its_owner_alone(tmp_path: Path, keys_dir: Path) -> None:
    """The file, what SQLite keeps beside it, the folder; also where an earlier version has made them."""
    path = tmp_path / "deep" / "sandbox" / "trades.sqlite3"
    modes = {}
    for _ in range(2):
        store = Store(path, lambda *_: {})
        with store._transaction() as connection:
            connection.execute("DELETE FROM trades")
            modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
            for each in path.parent.iterdir():
                each.chmod(0o644)
        assert modes == dict.fromkeys(("trades.sqlite3", "trades.sqlite3-wal", "trades.sqlite3-shm"), 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_sandbox_lets_nobody_in_unless_told_what_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SALTFISH_ENV", raising=False)
    command = ["serve", "--host", "0.0.0.0", "--store", str(tmp_path / "store"), "--keys", str(tmp_path)]
    assert main(command) == 2
    assert capsys.readouterr().err == "GATEWAY_HOST=0.0.0.0 lets other machines in, and SALTFISH_ENV is not set\n"
    assert list(tmp_path.iterdir()) == []


def test_all_trades_are_listed(tmp_path: Path, keys_dir: Path) -> None:
    with start_sandbox(tmp_path, keys_dir=keys_dir) as sandbox:
        assert json.loads(fetch(f"{sandbox.url}/sandbox/trades").text) == {"trades": []}
        assert json.loads(fetch(f"{sandbox.url}/sandbox/transfers").text) == {"transfers": []}
        for number in ("A", "B", "C"):
            sandbox.pay(pay_url(sandbox, number))
        gateway = sandbox.gateway()
        gateway.refund(out_trade_no="B", amount_fen=1, out_request_no="R1", reason="")
        gateway.refund(out_trade_no="C", amount_fen=10000, out_request_no="R1", reason="")
        fetch(pay_url(sandbox, "D", amount_fen=1))

        assert json.loads(fetch(f"{sandbox.url}/sandbox/trades").text) == {
            "trades": [
                {"out_trade_no": number, "status": status, "amount_fen": amount_fen, "refunded_fen": refunded_fen}
                for number, status, amount_fen, refunded_fen in (
                    ("A", "TRADE_SUCCESS", 10000, 0),
                    ("B", "TRADE_SUCCESS", 10000, 1),
                    ("C", "TRADE_CLOSED", 10000, 10000),
                    ("D", "WAIT_BUYER_PAY", 1, 0),
                )
            ]
        }


def fetch_bill(sandbox: SandboxServer, day: str) -> tuple[str, bytes]:
    with build_opener(ProxyHandler({})).open(f"{sandbox.url}/sandbox/bill?date={day}", timeout=10) as response:
        return response.headers["Content-Disposition"], response.read()


def test_the_bill_of_today_is_what_was_moved_today(tmp_path: Path, keys_dir: Path) -> None:
    started = datetime.now(SHANGHAI)
    with start_sandbox(tmp_path, keys_dir=keys_dir) as sandbox:
        sandbox.pay(pay_url(sandbox, "A"))
        sandbox.gateway().refund(out_trade_no="A", amount_fen=2050, out_request_no="R1", reason="")
        fetch(pay_url(sandbox, "UNPAID"))
        known = sandbox.trade("A")
        name, raw = fetch_bill(sandbox, f"{started:%Y-%m-%d}")
        _, yesterday = fetch_bill(sandbox, f"{started - timedelta(days=1):%Y-%m-%d}")

    assert name == f"attachment; filename=20880000000000010156_{started:%Y%m%d}_DETAILS.csv"
    read = read_day_bill(raw)
    assert read.problems == ()
    assert read_day_bill(yesterday).rows == ()
    assert [(row.kind, row.trade_no, row.request_no, row.amount_fen) for row in read.rows] == [
        (MovementKind.PAYMENT, known["trade_no"], None, 10000),
        (MovementKind.REFUND, known["trade_no"], "R1", 2050),
    ]
    paid_at = datetime.fromisoformat(known["paid_at"])
    refunded_at = datetime.fromisoformat(known["refunds"][0]["refunded_at"])
    ours = [
        OurMovement(kind=MovementKind.PAYMENT, out_trade_no="A", request_no=None, amount_fen=10000, at=paid_at),
        OurMovement(kind=MovementKind.REFUND, out_trade_no="A", request_no="R1", amount_fen=2050, at=refunded_at),
    ]
    assert compare(read, ours) == []
    assert [row.finished_at for row in read.rows] == [each.at.replace(microsecond=0) for each in ours]


@pytest.mark.parametrize("day", ["", "today", "2026-02-30", "2026-11-22 00:00:00"])
def test_a_bill_of_no_day_is_refused(client: FlaskClient, day: str) -> None:
    answer = client.get("/sandbox/bill", query_string={"date": day})
    assert (answer.status_code, answer.get_json()) == (400, {"error": "date must be like 2026-11-22"})


def test_the_bill_is_written_as_alipay_writes_it(store: Store) -> None:
    """Byte by byte: the reader is ours and may be kinder than others."""
    day = datetime(2026, 11, 22, tzinfo=SHANGHAI).timestamp()
    trade = opened(store, subject="🚲,山地车", now=day - 60, expires_at=day + 3600)
    before = opened(store, out_trade_no="P2", now=day - 60, expires_at=day + 3600)
    store.pay(before.cashier_token, now=day - 0.001)
    store.pay(trade.cashier_token, now=day)
    for number, now in (("R1", day + 24 * 3600 - 1), ("R2", day + 24 * 3600)):
        store.refund(out_trade_no="P1", out_request_no=number, amount_fen=5, reason="", now=now)
    movements = store.movements(since=day, until=day + 24 * 3600)

    text = day_bill.render(movements, seller_id="2088", since=day, until=day + 24 * 3600, now=day + 90000).decode("gbk")

    cells = "0.00,0.00,0.00,0.00,0.00,,0.00\t,0.00"
    assert text.split("\r\n") == [
        "#支付宝业务明细查询",
        "#账号：[20880156]",
        "#起始日期：[2026年11月22日 00:00:00]   终止日期：[2026年11月23日 00:00:00]",
        "#-----------------------------------------业务明细列表----------------------------------------",
        "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,"
        "订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,"
        "商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注",
        f'{trade.trade_no}\t,P1\t,交易\t,"?,山地车",2026-11-21 23:59:00,2026-11-22 00:00:00,\t,\t,\t,\t,'
        f"*家(buy***@sandbox.example)\t,100.00,100.00,{cells},\t,0.00,0.00,",
        f'{trade.trade_no}\t,P1\t,退款\t,"?,山地车",2026-11-21 23:59:00,2026-11-22 23:59:59,\t,\t,\t,\t,'
        f"*家(buy***@sandbox.example)\t,-0.05,-0.05,{cells},R1\t,0.00,0.00,",
        "#-----------------------------------------业务明细列表结束------------------------------------",
        "#交易合计：1笔，商家实收共100.00元，商家优惠共0.00元",
        "#退款合计：1笔，商家实收退款共-0.05元，商家优惠退款共0.00元",
        "#导出时间：[2026年11月23日 01:00:00]",
        "",
    ]


# --- what the gateway refuses, request by request (in this process) ---


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, keys_dir: Path) -> SandboxSettings:
    return SandboxSettings(store=tmp_path_factory.mktemp("books") / "new" / "sandbox.sqlite3", keys=keys_dir)


@pytest.fixture(scope="module")
def client(settings: SandboxSettings) -> Iterator[FlaskClient]:
    app = server.create_sandbox(settings)
    with app.test_client() as client:
        yield client
    app.extensions["sandbox"].notifier.stop()


CONTENT = {
    "out_trade_no": "P1",
    "product_code": "FAST_INSTANT_TRADE_PAY",
    "total_amount": "100.00",
    "subject": "山地车",
}


def signed_request(keys_dir: Path, content: object, **changes: str) -> dict[str, str]:
    fields = {
        "app_id": DEFAULT_APP_ID,
        "method": "alipay.trade.page.pay",
        "charset": "utf-8",
        "sign_type": "RSA2",
        "timestamp": "2026-11-22 20:15:00",
        "version": "1.0",
        "biz_content": content if isinstance(content, str) else json.dumps(content),
    } | changes
    key = _app_key(keys_dir)
    return fields | {"sign": protocol.sign(protocol.canonical_text(fields, exclude=("sign",)), key)}


@cache
def _app_key(folder: Path) -> RSAPrivateKey:
    """Read once: to check a key takes longer than anything that it is used for."""
    return keys.load_private_key(folder / keys.APP_PRIVATE)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"method": ""}, Problem.MISSING_METHOD),
        ({"app_id": ""}, Problem.MISSING_APP_ID),
        ({"app_id": "2021000000000009"}, Problem.INVALID_APP_ID),
        ({"sign_type": ""}, Problem.MISSING_SIGN_TYPE),
        ({"sign_type": "RSA"}, Problem.INVALID_SIGN_TYPE),
        ({"timestamp": ""}, Problem.MISSING_TIMESTAMP),
        ({"timestamp": "now"}, Problem.INVALID_TIMESTAMP),
        ({"version": ""}, Problem.MISSING_VERSION),
        ({"charset": "gbk"}, Problem.INVALID_CHARSET),
        ({"charset": ""}, Problem.INVALID_CHARSET),
    ],
)
def test_a_request_that_is_not_as_it_must_be(
    client: FlaskClient, keys_dir: Path, changes: dict[str, str], problem: Problem
) -> None:
    fields = signed_request(keys_dir, {"out_trade_no": "P1"}, **({"method": "alipay.trade.query"} | changes))
    answer = client.post("/gateway.do", data=fields)
    assert answer.json is not None
    if problem in (Problem.MISSING_METHOD, Problem.MISSING_APP_ID, Problem.INVALID_APP_ID):
        assert answer.json == {"error_response": problem.answer()}
    else:
        assert refusal_in(answer.text, keys_dir) == problem.answer()
    assert client.get("/gateway.do", query_string=fields).json == answer.json


def refusal_in(text: str, keys_dir: Path) -> dict[str, str]:
    """The refusal of a query, which the gateway must have signed."""
    answer = json.loads(text)
    assert list(answer) == ["alipay_trade_query_response", "sign"]
    signed = text.removeprefix('{"alipay_trade_query_response":').partition(',"sign":')[0]
    keys.load_public_key(keys_dir / keys.GATEWAY_PUBLIC).verify(
        base64.b64decode(answer["sign"]), signed.encode(), PKCS1v15(), SHA256()
    )
    refusal: dict[str, str] = answer["alipay_trade_query_response"]
    return refusal


@pytest.mark.parametrize("sign", ["garbage", "AAAA", "签名", "A" * 344])
def test_a_request_that_our_application_did_not_sign(client: FlaskClient, keys_dir: Path, sign: str) -> None:
    fields = signed_request(keys_dir, CONTENT | {"out_trade_no": "FORGED"}) | {"sign": sign}
    page = client.get("/gateway.do", query_string=fields)
    assert (page.status_code, "isv.invalid-signature" in page.text) == (400, True)
    queried = client.get("/gateway.do", query_string=fields | {"method": "alipay.trade.query"})
    assert refusal_in(queried.text, keys_dir) == Problem.INVALID_SIGN.answer()
    unsigned = client.get("/gateway.do", query_string=fields | {"method": "alipay.trade.query", "sign": ""})
    assert refusal_in(unsigned.text, keys_dir) == Problem.MISSING_SIGN.answer()
    assert client.get("/sandbox/trades/FORGED").status_code == 404


def test_what_was_signed_cannot_be_changed_or_doubled(client: FlaskClient, keys_dir: Path) -> None:
    fields = signed_request(keys_dir, CONTENT | {"out_trade_no": "CHANGED"})
    cheaper = json.dumps(CONTENT | {"out_trade_no": "CHANGED", "total_amount": "0.01"})
    for sent in (
        urlencode(fields | {"biz_content": cheaper}),
        urlencode(fields | {"return_url": "https://evil.example/"}),
        urlencode([*fields.items(), ("biz_content", cheaper)]),
        urlencode([("biz_content", cheaper), *fields.items()]),
    ):
        answer = client.get("/gateway.do", query_string=sent)
        assert (answer.status_code, "isv.invalid-signature" in answer.text) == (400, True)
    answer = client.post("/gateway.do", query_string=fields, data={"biz_content": cheaper})
    assert (answer.status_code, "isv.invalid-signature" in answer.text) == (400, True)
    assert client.get("/sandbox/trades/CHANGED").status_code == 404


NO_AMOUNTS: list[object] = [
    *("0", "0.00", "-1", "1.001", "1e2", "NaN", "", "100000000.01", "01.00"),
    *(None, True, [], float("nan")),
]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"product_code": "QUICK_WAP_PAY"}, "product_code"),
        ({"out_trade_no": ""}, "out_trade_no"),
        ({"out_trade_no": ["P"]}, "out_trade_no"),
        ({"out_trade_no": "P-1"}, "out_trade_no"),
        ({"out_trade_no": "P" * 65}, "out_trade_no"),
        ({"subject": ""}, "subject"),
        ({"subject": None}, "subject"),
        ({"subject": "a=b"}, "subject"),
        ({"subject": "🚲"}, "subject"),
        ({"subject": "a\nb"}, "subject"),
        ({"subject": "长" * 257}, "subject"),
        ({"time_expire": "tomorrow"}, "time_expire"),
        ({"time_expire": "2026-11-22 20:15"}, "time_expire"),
        *[({"total_amount": amount}, "total_amount") for amount in NO_AMOUNTS],
    ],
)
def test_a_field_of_page_pay_that_alipay_refuses(
    client: FlaskClient, keys_dir: Path, changes: dict[str, object], field: str
) -> None:
    content = CONTENT | {"out_trade_no": "BAD"} | changes
    page = client.get("/gateway.do", query_string=signed_request(keys_dir, content))
    assert page.status_code == 400
    assert f"ACQ.INVALID_PARAMETER {field}<" in page.text
    assert client.get("/sandbox/trades/BAD").status_code == 404


@pytest.mark.parametrize("name", ["notify_url", "return_url"])
@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "ftp://shop.example/",
        "//shop.example/",
        "/order/7",
        "http://",
        "http://[::1",
        "http://shop.example:99999/",
        "http://shop.example/a b",
        "http://shop.example/\r\nX: 1",
        "http://商店.example/",
        "http://shop.example/" + "a" * 256,
    ],
)
def test_an_address_that_alipay_refuses(client: FlaskClient, keys_dir: Path, name: str, url: str) -> None:
    page = client.get(
        "/gateway.do", query_string=signed_request(keys_dir, CONTENT | {"out_trade_no": "U"}, **{name: url})
    )
    assert page.status_code == 400
    assert f"ACQ.INVALID_PARAMETER {name}<" in page.text
    assert client.get("/sandbox/trades/U").status_code == 404


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', "7"])
def test_biz_content_that_is_no_object(client: FlaskClient, keys_dir: Path, content: str) -> None:
    page = client.get("/gateway.do", query_string=signed_request(keys_dir, content))
    assert (page.status_code, "ACQ.INVALID_PARAMETER" in page.text) == (400, True)


def test_an_amount_may_come_as_a_json_number(client: FlaskClient, keys_dir: Path) -> None:
    for number, amount in (("N1", "19.9"), ("N2", "20")):
        content = json.dumps(CONTENT | {"out_trade_no": number}).replace('"100.00"', amount)
        assert client.post("/gateway.do", data=signed_request(keys_dir, content)).status_code == 200
    trades = [client.get(f"/sandbox/trades/{number}").get_json() for number in ("N1", "N2")]
    assert [trade["amount_fen"] for trade in trades] == [1990, 2000]


def test_an_unknown_method_is_answered_signed(client: FlaskClient, keys_dir: Path) -> None:
    answer = client.get("/gateway.do", query_string=signed_request(keys_dir, {}, method="alipay.trade.pay"))
    assert answer.get_json()["alipay_trade_pay_response"] == Problem.INVALID_METHOD.answer()
    assert answer.get_json()["sign"]


def test_a_body_beyond_64_kib_is_not_read(client: FlaskClient, keys_dir: Path) -> None:
    fields = signed_request(keys_dir, CONTENT | {"body": "a" * 70_000})
    assert client.post("/gateway.do", data=fields).status_code == 413


PAYEE = {"identity": "seller@example.com", "identity_type": "ALIPAY_LOGON_ID", "name": "张三"}
TRANSFER = {
    "out_biz_no": "BAD",
    "trans_amount": "100.00",
    "product_code": "TRANS_ACCOUNT_NO_PWD",
    "biz_scene": "DIRECT_TRANSFER",
    "order_title": "提现",
    "payee_info": PAYEE,
}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"product_code": "STD_RED_PACKET"}, Problem.INVALID_TRANSFER),
        ({"biz_scene": None}, Problem.INVALID_TRANSFER),
        ({"order_title": ""}, Problem.INVALID_TRANSFER),
        ({"order_title": "长" * 129}, Problem.INVALID_TRANSFER),
        ({"payee_info": None}, Problem.INVALID_TRANSFER),
        ({"payee_info": "seller@example.com"}, Problem.INVALID_TRANSFER),
        ({"payee_info": PAYEE | {"identity_type": "ALIPAY_USER_ID"}}, Problem.INVALID_TRANSFER),
        ({"payee_info": PAYEE | {"identity": " "}}, Problem.INVALID_TRANSFER),
        ({"payee_info": PAYEE | {"name": ""}}, Problem.INVALID_TRANSFER),
        ({"payee_info": PAYEE | {"name": "长" * 65}}, Problem.INVALID_TRANSFER),
        ({"trans_amount": "0.09"}, Problem.TRANSFER_TOO_SMALL),
        ({"trans_amount": "1.001"}, Problem.INVALID_PARAMETER),
        ({"out_biz_no": "W-1"}, Problem.INVALID_PARAMETER),
    ],
)
def test_a_transfer_that_alipay_refuses(
    client: FlaskClient, keys_dir: Path, changes: dict[str, object], problem: Problem
) -> None:
    fields = signed_request(keys_dir, TRANSFER | changes, method="alipay.fund.trans.uni.transfer")
    answer = client.get("/gateway.do", query_string=fields).get_json()
    assert answer["alipay_fund_trans_uni_transfer_response"] == problem.answer()
    assert client.get("/sandbox/transfers").get_json() == {"transfers": []}


def test_a_question_about_a_transfer_names_its_product(client: FlaskClient, keys_dir: Path) -> None:
    fields = signed_request(keys_dir, {"out_biz_no": "W1"}, method="alipay.fund.trans.common.query")
    answer = client.get("/gateway.do", query_string=fields).get_json()
    assert answer["alipay_fund_trans_common_query_response"] == Problem.INVALID_TRANSFER.answer()


def test_the_life_of_a_trade_in_raw_fields(client: FlaskClient, keys_dir: Path, receiver: NotifyReceiver) -> None:
    """Field by field, without the SDK: what it reads loosely is exact here."""

    def call(method: str, **content: str) -> dict[str, str]:
        fields = signed_request(keys_dir, content | {"out_trade_no": "LIFE"}, method=method)
        body: dict[str, dict[str, str]] = client.get("/gateway.do", query_string=fields).get_json()
        return body[method.replace(".", "_") + "_response"]

    content = CONTENT | {"out_trade_no": "LIFE"}
    page = client.post("/gateway.do", data=signed_request(keys_dir, content, notify_url=receiver.url))
    trade_no = client.get("/sandbox/trades/LIFE").get_json()["trade_no"]
    waiting = call("alipay.trade.query")
    assert (waiting["trade_status"], waiting["buyer_pay_amount"]) == ("WAIT_BUYER_PAY", "0.00")
    assert "send_pay_date" not in waiting

    assert client.post(urlsplit(form_action(page.text)).path).status_code == 200
    [paid] = receiver.wait_for(1)
    assert {name: paid[name] for name in ("trade_status", "total_amount", "receipt_amount", "subject", "trade_no")} == {
        "trade_status": "TRADE_SUCCESS",
        "total_amount": "100.00",
        "receipt_amount": "100.00",
        "subject": "山地车",
        "trade_no": trade_no,
    }
    assert call("alipay.trade.query")["send_pay_date"] == paid["gmt_payment"]
    assert call("alipay.trade.close") == Problem.TRADE_STATUS_ERROR.answer()

    unknown = call("alipay.trade.fastpay.refund.query", out_request_no="R1")
    assert unknown == {"code": "10000", "msg": "Success"}
    for fund_change in ("Y", "N"):
        refund = call("alipay.trade.refund", out_request_no="R1", refund_amount="0.01", refund_reason="协商一致")
        assert (refund["refund_fee"], refund["fund_change"]) == ("0.01", fund_change)
    known = call("alipay.trade.fastpay.refund.query", out_request_no="R1")
    assert (known["refund_amount"], known["total_amount"], known["refund_status"]) == (
        "0.01",
        "100.00",
        "REFUND_SUCCESS",
    )
    _, refunded = receiver.wait_for(2)
    assert (refunded["out_biz_no"], refunded["refund_fee"], refunded["gmt_payment"]) == (
        "R1",
        "0.01",
        paid["gmt_payment"],
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", refunded["gmt_refund"])
    assert refunded["notify_id"] != paid["notify_id"]

    rest = call("alipay.trade.refund", out_request_no="R2", refund_amount="99.99")
    assert (rest["refund_fee"], rest["fund_change"]) == ("100.00", "Y")
    assert call("alipay.trade.query")["trade_status"] == "TRADE_CLOSED"
    assert call("alipay.trade.refund", out_request_no="R3", refund_amount="0.01") == Problem.REFUND_TOO_MUCH.answer()


# --- the books ---


@pytest.fixture
def store(tmp_path: Path, settings: SandboxSettings) -> Store:
    return Store(tmp_path / "sandbox.sqlite3", messages.notification_fields_for(settings))


def opened(store: Store, **changes: Any) -> Trade:
    arguments: dict[str, Any] = {
        "out_trade_no": "P1",
        "subject": "山地车",
        "amount_fen": 10000,
        "notify_url": "http://127.0.0.1:9/",
        "return_url": "",
        "expires_at": 2000.0,
        "now": 1000.0,
    }
    return store.open_trade(**(arguments | changes))


def test_the_last_moment_to_pay_is_before_the_expiry(store: Store) -> None:
    at_the_edge, too_late = opened(store), opened(store, out_trade_no="P2")

    assert store.pay(at_the_edge.cashier_token, now=1999.999).paid_at == 1999.999
    with pytest.raises(ProblemFound) as found:
        store.pay(too_late.cashier_token, now=2000.0)
    assert found.value.problem is Problem.TRADE_HAS_CLOSE
    late = store.trade("P2", now=2000.0)
    assert (late.status, late.paid_at, late.closed_at) == ("TRADE_CLOSED", None, 2000.0)


def test_the_expiry_of_the_first_opening_stays(store: Store) -> None:
    opened(store)
    again = opened(store, expires_at=9000.0, subject="别的", return_url="https://shop.example/", now=1500.0)
    assert (again.expires_at, again.subject, again.created_at) == (2000.0, "山地车", 1000.0)
    assert again.return_url == "https://shop.example/"


def test_a_payment_whose_notification_cannot_be_owed_did_not_happen(store: Store, tmp_path: Path) -> None:
    trade = opened(store)
    with sqlite3.connect(tmp_path / "sandbox.sqlite3") as connection:
        connection.execute("ALTER TABLE notifications RENAME TO gone")
    connection.close()

    with pytest.raises(sqlite3.OperationalError, match="notifications"):
        store.pay(trade.cashier_token, now=1500.0)

    assert store.trade("P1", now=1500.0) == trade


def test_the_notifier_outlives_trouble_with_the_store(
    store: Store, tmp_path: Path, keys_dir: Path, receiver: NotifyReceiver
) -> None:
    def rename(old: str, new: str) -> None:
        connection = sqlite3.connect(tmp_path / "sandbox.sqlite3")
        connection.execute(f"ALTER TABLE {old} RENAME TO {new}")
        connection.close()

    store.pay(opened(store, notify_url=receiver.url).cashier_token, now=1500.0)
    rename("notifications", "gone")
    notifier = Notifier(store, keys.load_private_key(keys_dir / keys.GATEWAY_PRIVATE), factor=QUICK, timeout_s=5)
    with structlog.testing.capture_logs() as logs:
        notifier.start()
        eventually(lambda: [line for line in logs if line["event"] == "notifications_not_read"])
        rename("gone", "notifications")
        receiver.wait_for(1)
    notifier.stop()
    assert len(receiver.received) == 1
    assert store.next_pending(exclude=()) is None


def test_a_trade_without_an_expiry_lives_fifteen_days(client: FlaskClient, keys_dir: Path) -> None:
    client.get("/gateway.do", query_string=signed_request(keys_dir, CONTENT | {"out_trade_no": "LONG"}))
    trade = client.get("/sandbox/trades/LONG").get_json()
    created, expires = (datetime.fromisoformat(trade[name]) for name in ("created_at", "expires_at"))
    assert expires - created == timedelta(seconds=DEFAULT_LIFETIME_S) == timedelta(days=15)


def test_the_schedule_is_alipays() -> None:
    assert [wait / 60 for wait in RETRY_WAITS_S] == [4, 10, 10, 60, 120, 360, 900]


# --- keys and the command line ---


def test_keys_are_made_once(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "keys"
    assert main(["keys", "--dir", str(directory)]) == 0
    first = {path.name: path.read_bytes() for path in directory.iterdir()}
    assert main(["keys", "--dir", str(directory)]) == 0

    assert {path.name: path.read_bytes() for path in directory.iterdir()} == first
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {
        "app_private.pem": 0o600,
        "app_public.pem": 0o644,
        "gateway_private.pem": 0o600,
        "gateway_public.pem": 0o644,
    }
    assert keys.load_private_key(directory / keys.APP_PRIVATE).key_size == 2048


def test_keys_made_by_many_at_once_fit(tmp_path: Path) -> None:
    command = ["-m", "app.money.sandbox", "keys", "--dir", str(tmp_path)]
    makers = [ForkedPython(command, environ=os.environ) for _ in range(4)]
    assert [maker.wait(timeout=20) for maker in makers] == [0, 0, 0, 0]
    keys.create_keys(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "app_private.pem",
        "app_public.pem",
        "gateway_private.pem",
        "gateway_public.pem",
    ]


def test_a_missing_public_key_is_made_from_its_private_one(tmp_path: Path, keys_dir: Path) -> None:
    (tmp_path / keys.APP_PRIVATE).write_bytes((keys_dir / keys.APP_PRIVATE).read_bytes())
    keys.create_keys(tmp_path)
    assert (tmp_path / keys.APP_PUBLIC).read_bytes() == (keys_dir / keys.APP_PUBLIC).read_bytes()


def test_keys_that_do_not_fit_are_left_alone(
    tmp_path: Path, keys_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / keys.APP_PUBLIC).write_bytes((keys_dir / keys.APP_PUBLIC).read_bytes())
    assert main(["keys", "--dir", str(tmp_path)]) == 2
    assert "app_public.pem is there without its app_private.pem" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["app_public.pem"]

    (tmp_path / keys.APP_PRIVATE).write_bytes((keys_dir / keys.GATEWAY_PRIVATE).read_bytes())
    assert main(["keys", "--dir", str(tmp_path)]) == 2
    assert "app_public.pem is not the public half of app_private.pem" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        ([], {}, "SANDBOX_STORE is not set"),
        (["--store", "s.db"], {}, "SANDBOX_KEYS is not set"),
        (["--store", "s.db", "--keys", "no/such"], {}, "app_public.pem is no readable public key"),
        (["--port", "http"], {}, "GATEWAY_PORT is not valid: 'http'"),
        ([], {"GATEWAY_PORT": "70000", "SANDBOX_STORE": "s", "SANDBOX_KEYS": "k"}, "GATEWAY_PORT must be 0 to 65535"),
        *[
            (["--store", "s", "--keys", "k", "--notify-factor", text], {}, "SANDBOX_NOTIFY_FACTOR")
            for text in ("0", "-1", "nan", "inf", "fast")
        ],
        (["--store", "s", "--keys", "k"], {"SANDBOX_NOTIFY_TIMEOUT": "0"}, "SANDBOX_NOTIFY_TIMEOUT must be above 0"),
    ],
)
def test_a_start_without_what_it_needs_says_so(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    variables: dict[str, str],
    message: str,
) -> None:
    for name in list(os.environ):
        if name.startswith(("SANDBOX_", "GATEWAY_", "ALIPAY_")):
            monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    assert main(["serve", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_settings_travel_through_the_environment(tmp_path: Path) -> None:
    settings = SandboxSettings(
        store=tmp_path / "s", keys=tmp_path / "k", host="::1", port=1, app_id="a", seller_id="b", notify_factor=0.5
    )
    assert SandboxSettings.from_environment(settings.to_environment()) == settings
    assert SandboxSettings.from_environment({"SANDBOX_STORE": "s", "SANDBOX_KEYS": "k"}) == SandboxSettings(
        store=Path("s"), keys=Path("k")
    )


def test_only_rsa_keys_are_keys(tmp_path: Path, keys_dir: Path) -> None:
    public = keys_dir / keys.APP_PUBLIC
    for load, path in (
        (keys.load_private_key, public),
        (keys.load_public_key, keys_dir / keys.APP_PRIVATE),
        (keys.load_private_key, tmp_path / "none"),
    ):
        with pytest.raises(keys.KeyFileError):
            load(path)


def test_sigterm_ends_the_server_and_frees_its_port(tmp_path: Path, keys_dir: Path) -> None:
    sandbox = start_sandbox(tmp_path, keys_dir=keys_dir, forked=False)
    port = urlsplit(sandbox.url).port
    assert port is not None

    assert sandbox.stop() == 0

    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert "Traceback" not in sandbox.log.read_text()
    with start_sandbox(tmp_path, port=port, keys_dir=keys_dir) as again:
        assert again.gateway().query("P1") is None


def test_another_applications_key_opens_nothing(sandbox: SandboxServer, tmp_path: Path) -> None:
    stranger = generate_private_key(public_exponent=65537, key_size=2048)
    pem = stranger.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    gateway = sandbox.gateway(app_private_key=pem)
    with pytest.raises(GatewayRefused) as refused:
        gateway.query("P1")
    assert (refused.value.code, refused.value.sub_code) == ("40002", "isv.invalid-signature")
