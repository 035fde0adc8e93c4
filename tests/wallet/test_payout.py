"""Payouts at a real sandbox: paid once, whatever happens on the way; put back where the gateway says no."""

from pathlib import Path
from typing import Any

import pytest

from app.answers import Answer
from app.clock import format_moment
from app.money.gateway import gateway
from app.money.gateways.base import GatewayRefused, GatewayUnavailable
from app.outbox.service import PermanentFailure
from app.wallet import service
from app.wallet.service import PayoutUnderWay
from tests.factories import auth_headers
from tests.money.sandbox_server import start_sandbox
from tests.wallet.conftest import AVAILABLE, Bank

PAID = ("payout", "payout_confirmed", "提现已到账", "120.00 元已转入你的支付宝账户。")
UNDER_WAY = {"seller_available": AVAILABLE - 12000, "payout_clearing": 12000}
OUT = {"seller_available": AVAILABLE - 12000, "paid_out": 12000}
BACK = {"seller_available": AVAILABLE}


def test_paid_once_however_often_it_runs(bank: Bank) -> None:
    seller = bank.seller()
    payout_id = bank.payout(seller)
    assert bank.messages() == [payout_id]
    assert bank.money(seller) == UNDER_WAY
    for _ in range(3):
        bank.send(payout_id)
        row = bank.row(payout_id)
        assert (row.state, row.attempts, row.last_error, row.reason) == ("confirmed", 1, None, None)
        assert bank.money(seller) == OUT
        assert bank.notices(seller) == [PAID]
    transfer = bank.sandbox_json(f"/sandbox/transfers/{row.out_biz_no}")
    assert (transfer["status"], transfer["amount_fen"]) == ("SUCCESS", 12000)
    assert row.gateway_order_no == transfer["order_id"]
    assert bank.transfers() == 1
    data = bank.client.get(f"/api/withdraw/{payout_id}/", headers=auth_headers(bank.app, seller)).get_json()["data"]
    assert (data["state_text"], data["finished_at"]) == ("已到账", format_moment(row.finished_at))  # type: ignore[arg-type] # it is finished


def test_a_run_that_was_overtaken_changes_nothing(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one run waits for the gateway's answer, another one takes the payout to its end."""
    seller = bank.seller()
    payout_id = bank.payout(seller)
    with bank.app.app_context():
        transfer = gateway().transfer

        def overtaken(**call: Any) -> object:
            monkeypatch.undo()
            result = transfer(**call)
            bank.send(payout_id)
            return result

        monkeypatch.setattr(gateway(), "transfer", overtaken)
    bank.send(payout_id)
    row = bank.row(payout_id)
    assert (row.state, row.attempts) == ("confirmed", 2)
    assert (bank.money(seller), bank.notices(seller), bank.transfers()) == (OUT, [PAID], 1)


def test_a_payee_that_does_not_exist(bank: Bank) -> None:
    seller = bank.seller()
    payout_id = bank.payout(seller, account="refuse@example.com")
    for _ in range(2):
        bank.send(payout_id)
        row = bank.row(payout_id)
        assert (row.state, row.attempts, row.last_error) == ("failed", 1, "40004 PAYEE_NOT_EXIST")
        assert row.reason == "收款账号不存在或姓名有误"
        assert bank.money(seller) == BACK
        assert bank.notices(seller) == [
            (
                "payout",
                "payout_failed",
                "提现失败",
                "收款账号不存在或姓名有误。120.00 元已退回钱包可用余额。",
            )
        ]
    assert bank.transfers() == 0
    wallet = bank.client.get("/api/wallet/", headers=auth_headers(bank.app, seller)).get_json()["data"]
    assert [(each["kind_text"], each["amount"]) for each in wallet["items"]][:2] == [
        ("提现退回", "120.00"),
        ("提现", "-120.00"),
    ]
    assert wallet["withdrawing"] == "0.00"
    # The money may go to somebody else.
    again = bank.payout(seller)
    bank.send(again)
    assert bank.money(seller) == OUT


def test_a_slow_payee(bank: Bank) -> None:
    seller = bank.seller()
    payout_id = bank.payout(seller, account="slow@example.com")
    for attempt in (1, 2):
        with pytest.raises(PayoutUnderWay):
            bank.send(payout_id)
        row = bank.row(payout_id)
        assert (row.state, row.attempts, row.last_error) == ("pending", attempt, "DEALING")
        assert bank.money(seller) == UNDER_WAY
    bank.send(payout_id)
    assert (bank.row(payout_id).state, bank.money(seller), bank.transfers()) == ("confirmed", OUT, 1)
    assert bank.notices(seller) == [PAID]


def test_a_transfer_that_fails_after_a_while(bank: Bank) -> None:
    seller = bank.seller()
    payout_id = bank.payout(seller, account="fail@example.com")
    for _ in range(2):
        with pytest.raises(PayoutUnderWay):
            bank.send(payout_id)
    bank.send(payout_id)
    row = bank.row(payout_id)
    assert row.state == "failed"
    assert row.reason is not None
    assert bank.money(seller) == BACK
    assert [event for _, event, _, _ in bank.notices(seller)] == ["payout_failed"]


def test_our_own_empty_account_is_no_reason_to_fail(bank: Bank) -> None:
    seller = bank.seller()
    payout_id = bank.payout(seller, account="broke@example.com")
    with pytest.raises(GatewayUnavailable, match="PAYER_BALANCE_NOT_ENOUGH"):
        bank.send(payout_id)
    row = bank.row(payout_id)
    assert (row.state, row.attempts, row.last_error) == ("pending", 1, "40004 PAYER_BALANCE_NOT_ENOUGH")
    assert (bank.money(seller), bank.notices(seller)) == (UNDER_WAY, [])


def test_a_gateway_that_is_down_and_comes_back(lonely: Bank, tmp_path: Path, wallet_keys: Path) -> None:
    seller = lonely.seller()
    payout_id = lonely.payout(seller)
    with pytest.raises(GatewayUnavailable):
        lonely.send(payout_id)
    row = lonely.row(payout_id)
    assert (row.state, row.attempts) == ("pending", 1)
    assert row.last_error is not None
    assert lonely.money(seller) == UNDER_WAY
    port = int(lonely.sandbox.url.rpartition(":")[2])
    with start_sandbox(tmp_path, keys_dir=wallet_keys, port=port):
        lonely.send(payout_id)
        assert (lonely.row(payout_id).state, lonely.money(seller), lonely.transfers()) == ("confirmed", OUT, 1)


class Killed(BaseException):
    """As if the process had ended there."""


def test_killed_between_the_transfer_and_its_confirmation(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    seller = bank.seller()
    payout_id = bank.payout(seller)

    def die(*_: Any) -> None:
        raise Killed

    monkeypatch.setattr(service, "_record_result", die)
    with pytest.raises(Killed):
        bank.send(payout_id)
    monkeypatch.undo()
    assert bank.transfers() == 1
    assert (bank.row(payout_id).state, bank.money(seller)) == ("pending", UNDER_WAY)
    bank.send(payout_id)
    assert (bank.row(payout_id).state, bank.money(seller), bank.transfers()) == ("confirmed", OUT, 1)
    assert bank.notices(seller) == [PAID]


def test_killed_inside_the_confirmation(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    seller = bank.seller()
    payout_id = bank.payout(seller)

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    monkeypatch.setattr(service, "_notify", die)
    with pytest.raises(Killed):
        bank.send(payout_id)
    monkeypatch.undo()
    assert (bank.row(payout_id).state, bank.money(seller), bank.notices(seller)) == ("pending", UNDER_WAY, [])
    bank.send(payout_id)
    assert (bank.money(seller), bank.notices(seller), bank.transfers()) == (OUT, [PAID], 1)


def test_a_refusal_because_of_us_waits_for_an_operator(bank: Bank) -> None:
    seller = bank.seller()
    first, second = bank.payout(seller), bank.payout(seller)
    # Another payout has used the number already, with another amount: nothing that the user could do about it.
    number = bank.row(first).out_biz_no
    bank.sandbox.gateway().transfer(
        out_biz_no=number, amount_fen=11, payee_account="wang@example.com", payee_name="王小明", title="x"
    )
    with pytest.raises(PermanentFailure, match="the gateway refused: 40004"):
        bank.send(first)
    assert bank.row(first).state == "pending"
    assert bank.money(seller) == {"seller_available": AVAILABLE - 24000, "payout_clearing": 24000}
    assert bank.notices(seller) == []
    bank.send(second)
    assert bank.row(second).state == "confirmed"


def test_a_refused_question_is_no_refused_transfer(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    seller = bank.seller()
    payout_id = bank.payout(seller)
    with bank.app.app_context():
        at = gateway()
    transfer = at.transfer

    def lose_the_answer(**arguments: Any) -> None:
        transfer(**arguments)
        raise GatewayUnavailable("no answer")

    def refuse(_: str) -> None:
        raise GatewayRefused("40004", "INVALID_PARAMETER", "参数有误")

    monkeypatch.setattr(at, "transfer", lose_the_answer)
    with pytest.raises(GatewayUnavailable, match="no answer"):
        bank.send(payout_id)
    monkeypatch.undo()
    monkeypatch.setattr(at, "query_transfer", refuse)
    # The payee has the money: it must not come back into the wallet as well.
    with pytest.raises(GatewayUnavailable, match="it does not tell of earlier attempts: 40004 INVALID_PARAMETER"):
        bank.send(payout_id)
    row = bank.row(payout_id)
    assert (row.state, row.attempts) == ("pending", 2)
    assert row.last_error == "it does not tell of earlier attempts: 40004 INVALID_PARAMETER"
    assert (bank.money(seller), bank.notices(seller), bank.transfers()) == (UNDER_WAY, [], 1)
    monkeypatch.undo()
    bank.send(payout_id)
    assert (bank.row(payout_id).state, bank.money(seller), bank.transfers()) == ("confirmed", OUT, 1)


@pytest.mark.parametrize("amount", [11, 12001], ids=["less", "more"])
def test_a_transfer_of_another_amount_is_not_ours(bank: Bank, monkeypatch: pytest.MonkeyPatch, amount: int) -> None:
    seller = bank.seller()
    payout_id = bank.payout(seller)

    def lose(**_: Any) -> None:
        raise GatewayUnavailable("no answer")

    with bank.app.app_context():
        monkeypatch.setattr(gateway(), "transfer", lose)
    with pytest.raises(GatewayUnavailable):
        bank.send(payout_id)
    monkeypatch.undo()
    number = bank.row(payout_id).out_biz_no
    bank.sandbox.gateway().transfer(
        out_biz_no=number, amount_fen=amount, payee_account="wang@example.com", payee_name="王小明", title="x"
    )
    with pytest.raises(PermanentFailure, match="another amount under this number"):
        bank.send(payout_id)
    assert (bank.row(payout_id).state, bank.money(seller), bank.notices(seller)) == ("pending", UNDER_WAY, [])


def test_a_payout_that_does_not_exist(bank: Bank) -> None:
    with pytest.raises(PermanentFailure, match="there is no payout 7"):
        bank.send(7)


def test_refusals_that_cost_nothing(bank: Bank) -> None:
    seller = bank.seller(available=11999)
    assert bank.withdraw(seller).get_json()["msg"] == Answer.INSUFFICIENT_FUNDS.msg
    assert (bank.messages(), bank.money(seller)) == ([], {"seller_available": 11999})
