"""The official Node SDK (npm: alipay-sdk) as a merchant of the sandbox, and as a reader of its notifications.

It is written by Alipay and shares no code with ours: what it takes, with signature checks on, is the protocol.
"""

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.clock import SHANGHAI, utcnow
from app.money.sandbox import DEFAULT_APP_ID, keys
from tests.money.sandbox_server import NotifyReceiver, SandboxServer, fetch, fetch_bytes, start_sandbox

HERE = Path(__file__).resolve().parent / "node_sdk"
TRANSFER = {"productCode": "TRANS_ACCOUNT_NO_PWD", "bizScene": "DIRECT_TRANSFER"}


class Merchant:
    """A Node process with the SDK in it."""

    def __init__(self, sandbox: SandboxServer, **changes: str) -> None:
        self._process = subprocess.Popen(
            ["node", "merchant.mjs"], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        config = {
            "appId": DEFAULT_APP_ID,
            "gateway": sandbox.gateway_url,
            "privateKey": (sandbox.keys / keys.APP_PRIVATE).read_text(),
            "keyType": "PKCS8",
            "alipayPublicKey": (sandbox.keys / keys.GATEWAY_PUBLIC).read_text(),
            **changes,
        }
        assert self._ask(config) == {"ok": "ready"}

    def _ask(self, line: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def call(self, method: str, **content: Any) -> Any:
        """The SDK's answer; names are in camel case. It has checked the signature, or there is an error."""
        answer = self._ask({"call": "exec", "method": method, "params": {"bizContent": content}})
        assert "error" not in answer, answer
        return answer["ok"]

    def error(self, method: str, **content: Any) -> str:
        """What the SDK throws."""
        answer = self._ask({"call": "exec", "method": method, "params": {"bizContent": content}})
        return str(answer["error"])

    def page(self, *, notify_url: str, **content: Any) -> str:
        """The address of the gateway's cashier."""
        params = {"notifyUrl": notify_url, "returnUrl": "http://127.0.0.1/back", "bizContent": content}
        answer = self._ask({"call": "pageExec", "method": "alipay.trade.page.pay", "params": params})
        return str(answer["ok"])

    def believes(self, form: dict[str, str]) -> list[bool]:
        """What both of its checks of a notification say."""
        answer = self._ask({"call": "checkNotifySign", "params": form})
        found: list[bool] = answer["ok"]
        return found

    def stop(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    with start_sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture(scope="module")
def sdk_is_there() -> None:
    npm = shutil.which("npm")
    if npm is None:
        if os.environ.get("CI"):
            pytest.fail("there is no npm")
        pytest.skip("there is no npm")
    with (HERE / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another test process may install it, too
        if not (HERE / "node_modules" / ".package-lock.json").exists():
            subprocess.run(
                [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=HERE, check=True
            )


@pytest.fixture(scope="module")
def merchant(sandbox: SandboxServer, sdk_is_there: None) -> Iterator[Merchant]:
    made = Merchant(sandbox)
    yield made
    made.stop()


def pay(sandbox: SandboxServer, merchant: Merchant, number: str, *, subject: str = "九成新 山地车") -> dict[str, str]:
    """A trade that was paid; the notification about it."""
    with NotifyReceiver() as letters:
        url = merchant.page(
            notify_url=letters.url,
            outTradeNo=number,
            productCode="FAST_INSTANT_TRADE_PAY",
            totalAmount="20.00",
            subject=subject,
        )
        sandbox.pay(url)
        [form] = letters.wait_for(1)
    return form


def test_a_payment_its_notification_query_refunds_and_end(sandbox: SandboxServer, merchant: Merchant) -> None:
    form = pay(sandbox, merchant, "N1")
    assert merchant.believes(form) == [True, True]
    assert merchant.believes({**form, "total_amount": "0.01"}) == [False, False]
    assert (form["trade_status"], form["out_trade_no"], form["total_amount"]) == ("TRADE_SUCCESS", "N1", "20.00")
    known = merchant.call("alipay.trade.query", outTradeNo="N1")
    assert (known["code"], known["tradeStatus"], known["totalAmount"]) == ("10000", "TRADE_SUCCESS", "20.00")
    assert known["tradeNo"] == form["trade_no"]
    refund = {"outTradeNo": "N1", "refundAmount": "5.00", "outRequestNo": "R1", "refundReason": "协商一致"}
    for moved in ("Y", "N"):
        made = merchant.call("alipay.trade.refund", **refund)
        assert (made["code"], made["fundChange"], made["refundFee"]) == ("10000", moved, "5.00")
    asked = merchant.call("alipay.trade.fastpay.refund.query", outTradeNo="N1", outRequestNo="R1")
    assert (asked["refundStatus"], asked["refundAmount"]) == ("REFUND_SUCCESS", "5.00")
    assert "refundStatus" not in merchant.call("alipay.trade.fastpay.refund.query", outTradeNo="N1", outRequestNo="R2")
    closed = merchant.call("alipay.trade.close", outTradeNo="N1")
    assert (closed["code"], closed["subCode"]) == ("40004", "ACQ.TRADE_STATUS_ERROR")


def test_a_trade_is_closed_unpaid(sandbox: SandboxServer, merchant: Merchant) -> None:
    url = merchant.page(
        notify_url="http://127.0.0.1/notify",
        outTradeNo="N2",
        productCode="FAST_INSTANT_TRADE_PAY",
        totalAmount="0.01",
        subject="书",
    )
    assert fetch(url).status == 200
    assert merchant.call("alipay.trade.close", outTradeNo="N2")["code"] == "10000"
    assert merchant.call("alipay.trade.query", outTradeNo="N2")["tradeStatus"] == "TRADE_CLOSED"


@pytest.mark.parametrize("number", ["W1"])
def test_a_transfer_and_what_is_known_of_it(merchant: Merchant, number: str) -> None:
    words = {
        "outBizNo": number,
        "transAmount": "12.00",
        **TRANSFER,
        "orderTitle": "提现",
        "payeeInfo": {"identity": "wang@example.com", "identity_type": "ALIPAY_LOGON_ID", "name": "王小明"},
    }
    made = merchant.call("alipay.fund.trans.uni.transfer", **words)
    assert (made["code"], made["status"], made["outBizNo"]) == ("10000", "SUCCESS", number)
    assert merchant.call("alipay.fund.trans.uni.transfer", **words)["orderId"] == made["orderId"]
    known = merchant.call("alipay.fund.trans.common.query", outBizNo=number, **TRANSFER)
    assert (known["status"], known["transAmount"], known["orderId"]) == ("SUCCESS", "12.00", made["orderId"])


def test_the_bill_of_a_day(sandbox: SandboxServer, merchant: Merchant) -> None:
    pay(sandbox, merchant, "N3")
    day = f"{utcnow().astimezone(SHANGHAI):%Y-%m-%d}"
    answer = merchant.call("alipay.data.dataservice.bill.downloadurl.query", billType="trade", billDate=day)
    assert fetch_bytes(answer["billDownloadUrl"]).startswith(b"PK")


PAYEE = {"identity": "refuse@example.com", "identity_type": "ALIPAY_LOGON_ID", "name": "王小明"}
TOMORROW = f"{utcnow().astimezone(SHANGHAI) + timedelta(days=1):%Y-%m-%d}"
ERRORS: list[tuple[str, dict[str, Any], str]] = [
    ("alipay.trade.query", {"outTradeNo": "NOBODY"}, "ACQ.TRADE_NOT_EXIST"),
    ("alipay.trade.query", {"outTradeNo": "-"}, "ACQ.INVALID_PARAMETER"),
    (
        "alipay.trade.refund",
        {"outTradeNo": "NOBODY", "refundAmount": "1.00", "outRequestNo": "R"},
        "ACQ.TRADE_NOT_EXIST",
    ),
    ("alipay.trade.fastpay.refund.query", {"outTradeNo": "NOBODY", "outRequestNo": "R"}, "ACQ.TRADE_NOT_EXIST"),
    ("alipay.trade.close", {"outTradeNo": "NOBODY"}, "ACQ.TRADE_NOT_EXIST"),
    (
        "alipay.fund.trans.uni.transfer",
        {"outBizNo": "W9", "transAmount": "1.00", **TRANSFER, "orderTitle": "x", "payeeInfo": PAYEE},
        "PAYEE_NOT_EXIST",
    ),
    ("alipay.fund.trans.common.query", {"outBizNo": "NOBODY", **TRANSFER}, "ORDER_NOT_EXIST"),
    ("alipay.data.dataservice.bill.downloadurl.query", {"billType": "trade", "billDate": TOMORROW}, "BILL_NOT_EXIST"),
    ("alipay.data.dataservice.bill.downloadurl.query", {"billType": "all", "billDate": TOMORROW}, "INVAILID_ARGUMENTS"),
]


@pytest.mark.parametrize(("method", "content", "sub_code"), ERRORS)
def test_errors_are_signed_as_well(merchant: Merchant, method: str, content: dict[str, Any], sub_code: str) -> None:
    answer = merchant.call(method, **content)
    assert (answer["code"], answer["subCode"]) == ("40004", sub_code)


def test_another_merchants_key_is_refused_and_the_refusal_is_signed(sandbox: SandboxServer, sdk_is_there: None) -> None:
    stranger = Merchant(sandbox, privateKey=(sandbox.keys / keys.GATEWAY_PRIVATE).read_text())
    answer = stranger.call("alipay.trade.query", outTradeNo="N1")
    assert (answer["code"], answer["subCode"]) == ("40002", "isv.invalid-signature")
    stranger.stop()


def test_answers_of_another_gateway_are_not_believed(sandbox: SandboxServer, sdk_is_there: None) -> None:
    wary = Merchant(sandbox, alipayPublicKey=(sandbox.keys / keys.APP_PUBLIC).read_text())
    assert "验签失败" in wary.error("alipay.trade.query", outTradeNo="NOBODY")
    wary.stop()
