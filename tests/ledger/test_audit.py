"""The audit: clean after real orders and withdrawals, and it names whatever was tampered with."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import text

from app.db.database import db
from app.ledger.audit import audit
from app.ledger.models import AccountKind
from app.ledger.service import Posting, Transfer, order_account
from app.wallet.service import request_payout
from statemachine import OrderEvent, Role
from tests.factories import Made
from tests.ledger.steps import balances, post_now, walk

PAY, SHIP = (OrderEvent.PAY, Role.GATEWAY), (OrderEvent.SHIP, Role.SELLER)
RECEIVE, SETTLE = (OrderEvent.RECEIVE, Role.BUYER), (OrderEvent.SETTLE, Role.SYSTEM)
ASK, APPROVE = (OrderEvent.REQUEST_REFUND, Role.BUYER), (OrderEvent.APPROVE_REFUND, Role.SELLER)
WITHDRAW, RESOLVE = (OrderEvent.WITHDRAW_REFUND, Role.BUYER), (OrderEvent.RESOLVE_FOR_SELLER, Role.STAFF)
BACK, AMOUNT = (OrderEvent.SEND_BACK, Role.BUYER), 260000


@pytest.fixture
def market(context: Flask) -> list[Made]:
    """Orders that went far: settled (1), refunded before shipping (2), asked and withdrawn (3), awarded (4)."""
    orders = [
        walk(context, PAY, SHIP, RECEIVE, SETTLE),
        walk(context, PAY, ASK, APPROVE),
        walk(context, PAY, SHIP, RECEIVE, ASK, WITHDRAW),
        walk(context, PAY, SHIP, RECEIVE, ASK, BACK, RESOLVE),
    ]
    request_payout(user_id=orders[0].seller.id, amount=60000, account="a@example.com", name="王小明")
    return orders


def tamper(statement: str) -> None:
    """As somebody who owns the database."""
    with db.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        assert connection.execute(text(statement)).rowcount > 0


def found() -> dict[tuple[str, str], str]:
    """`{(kind, subject): text}`."""
    return {(each.kind.value, each.subject): each.text for each in audit()}


def test_clean(context: Flask, market: list[Made]) -> None:
    assert audit() == []
    assert balances(context) == {
        ("gateway_clearing", None): 4 * AMOUNT,
        ("refund_clearing", None): AMOUNT,
        ("payout_clearing", None): 60000,
        ("seller_available", market[0].seller.id): AMOUNT - 60000,
        ("seller_held", market[2].seller.id): AMOUNT,
        ("seller_available", market[3].seller.id): AMOUNT,
    }


def test_clean_when_nothing_ever_happened(context: Flask) -> None:
    assert audit() == []


def test_clean_where_the_platform_takes_its_share(context: Flask, make_app: Callable[..., Flask]) -> None:
    charging = make_app(PLATFORM_FEE_BASIS_POINTS="600")
    order = walk(charging, PAY, SHIP, RECEIVE, SETTLE)
    assert audit() == []
    assert balances(context) == {
        ("gateway_clearing", None): AMOUNT,
        ("seller_available", order.seller.id): 244400,
        ("platform_fee", None): 15600,
    }


def test_clean_while_the_gateway_refuses_a_refund(context: Flask, market: list[Made]) -> None:
    """The money is still to go back, so it still lies where refunds under way do."""
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE refunds SET state = 'refused', last_error = '40004 ACQ.INVALID_PARAMETER'"))
    assert audit() == []


def test_clean_once_a_refund_is_confirmed(context: Flask, market: list[Made]) -> None:
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE refunds SET state = 'confirmed', confirmed_at = now()"))
    clearing, gateway = (
        order_account(kind, market[1].id) for kind in (AccountKind.REFUND_CLEARING, AccountKind.GATEWAY_CLEARING)
    )
    confirmed = Posting(
        key="refund:1",
        kind="refund_confirmed",
        order_id=market[1].id,
        transfers=(Transfer(clearing, gateway, AMOUNT),),
    )
    post_now(confirmed)
    assert audit() == []


def test_progress_is_told_check_by_check(context: Flask) -> None:
    told: list[tuple[str, int, int]] = []
    audit(progress=lambda *step: told.append(step))
    assert [done for _, done, _ in told] == list(range(len(told)))
    assert told[-1] == ("", len(told) - 1, len(told) - 1)


def test_a_changed_balance(market: list[Made]) -> None:
    tamper("UPDATE ledger_accounts SET balance = balance + 7 WHERE kind = 'seller_held' AND balance > 0")
    seller = market[2].seller.id
    assert found() == {
        (
            "balance",
            f"seller_held of user {seller}",
        ): "the balance is 260007, the entries come to 260000",
        ("totals", "all accounts"): "debit balances are 1040000, credit balances 1040007",
    }


def test_a_changed_entry(market: list[Made]) -> None:
    tamper(
        "UPDATE ledger_entries SET amount = amount - 1 WHERE amount < 0 AND transaction_id = "
        "(SELECT id FROM ledger_transactions WHERE key = 'order:1:2:pay')"
    )
    differences = found()
    assert differences["unbalanced", "order:1:2:pay"] == "2 entries sum to -1"
    assert differences["balance", "escrow slot 1"] == "the balance is 0, the entries come to 1"
    assert differences["chain", "escrow slot 1"] == "entry 2 of -260001 left 260000, before it there was 0"
    assert differences["wrong", "order:1:2:pay"] == (
        "it should be: pay of order 1 escrow slot 1 -260000, the ledger has: pay of order 1 escrow slot 1 -260001"
    )
    assert len(differences) == 4


def test_a_broken_chain(market: list[Made]) -> None:
    tamper("UPDATE ledger_entries SET balance_after = balance_after + 5 WHERE id = 1")
    assert found() == {
        ("chain", "gateway_clearing slot 1"): "entry 1 of 260000 left 260005, before it there was 0",
    }


def test_a_deleted_transaction(market: list[Made]) -> None:
    tamper("DELETE FROM ledger_transactions WHERE key = 'order:1:4:receive'")
    differences = found()
    assert {kind for kind, _ in differences} == {"orphan", "missing"}
    assert differences["missing", "order:1:4:receive"] == (
        "it should be: receive of order 1 escrow slot 1 260000; "
        "receive of order 1 seller_held of user 1 slot 0 -260000, the ledger has: nothing"
    )
    assert sorted(text for (kind, _), text in differences.items() if kind == "orphan") == [
        "there is no transaction 2",
        "there is no transaction 2",
    ]


def test_deleted_entries(market: list[Made]) -> None:
    tamper("DELETE FROM ledger_entries WHERE transaction_id = 1")
    differences = found()
    assert differences["unbalanced", "order:1:2:pay"] == "0 entries sum to 0"
    assert differences["wrong", "order:1:2:pay"] == (
        "it should be: pay of order 1 escrow slot 1 -260000; pay of order 1 gateway_clearing slot 1 260000, "
        "the ledger has: pay of order 1"
    )
    assert {kind for kind, _ in differences} == {"balance", "chain", "unbalanced", "wrong"}


def test_an_invented_transaction(market: list[Made]) -> None:
    tamper(
        "INSERT INTO ledger_transactions (key, kind, order_id, at) VALUES ('order:1:9:receive', 'receive', 1, now())"
    )
    tamper(
        "INSERT INTO ledger_entries (transaction_id, account_id, amount, balance_after) "
        "SELECT (SELECT max(id) FROM ledger_transactions), account.id, amount, balance + 5 "
        "FROM (VALUES ('gateway_clearing', 1, 5), ('escrow', 1, -5)) AS part (kind, slot, amount) "
        "JOIN ledger_accounts AS account USING (kind, slot)"
    )
    tamper("UPDATE ledger_accounts SET balance = balance + 5 WHERE slot = 1 AND kind IN ('gateway_clearing', 'escrow')")
    assert found() == {
        (
            "unexpected",
            "order:1:9:receive",
        ): "it should be: nothing, the ledger has: receive of order 1 escrow slot 1 -5;"
        " receive of order 1 gateway_clearing slot 1 5"
    }


def test_another_event_or_order_on_a_transaction(market: list[Made]) -> None:
    tamper("UPDATE ledger_transactions SET kind = 'settle' WHERE key = 'order:1:2:pay'")
    tamper("UPDATE ledger_transactions SET order_id = 99 WHERE key = 'order:2:2:pay'")
    assert {subject for _, subject in found()} == {"order:1:2:pay", "order:2:2:pay"}
    assert {kind for kind, _ in found()} == {"wrong"}


def test_an_order_that_stands_elsewhere(market: list[Made]) -> None:
    tamper("UPDATE orders SET bill_status = 2, order_status = 7, closed = false WHERE id = 1")
    assert found() == {
        ("history", "order 1"): "stands at 2,7,f after 5 steps, its history ends at 3,8,t after 5",
    }


def test_a_step_that_no_rule_has(market: list[Made]) -> None:
    tamper("UPDATE order_events SET role = 'seller' WHERE order_id = 1 AND event = 'settle'")
    assert found() == {
        ("history", "order 1"): "step 5 (settle by seller) from 3,8 to 3,8 after 3,8",
        ("unexpected", "order:1:5:settle"): "it should be: nothing, the ledger has: "
        "settle of order 1 seller_available of user 1 slot 0 -260000; "
        "settle of order 1 seller_held of user 1 slot 0 260000",
    }


def test_a_missing_step(market: list[Made]) -> None:
    tamper("DELETE FROM order_events WHERE order_id = 3 AND sequence = 3")
    differences = [str(each) for each in audit()]
    assert differences == [
        "history: order 3: step 4 (receive by buyer) from 2,7 to 3,8 after 2,6",
        "history: order 3: step 5 (request_refund by buyer) from 3,8 to 4,8 after 3,8",
        "history: order 3: step 6 (withdraw_refund by buyer) from 4,8 to 3,8 after 4,8",
        "history: order 3: stands at 3,8,f after 6 steps, its history ends at 3,8,f after 5",
    ]


def test_a_refund_confirmed_without_its_booking(market: list[Made]) -> None:
    tamper("UPDATE refunds SET state = 'confirmed', confirmed_at = now()")
    assert found() == {
        ("missing", "refund:1"): "it should be: refund_confirmed of order 2 gateway_clearing slot 2 -260000; "
        "refund_confirmed of order 2 refund_clearing slot 2 260000, the ledger has: nothing",
        ("clearing", "refund_clearing"): "the accounts hold 260000, unconfirmed refunds come to 0",
    }


def test_a_refund_that_is_gone(market: list[Made]) -> None:
    tamper("DELETE FROM refunds")
    assert set(found()) == {("payments", "order 2"), ("clearing", "refund_clearing")}


def test_a_payment_of_which_no_history_knows(market: list[Made]) -> None:
    tamper(
        "INSERT INTO payments (order_id, attempt, state, out_trade_no, amount, paid_at, queries, created_at) "
        "VALUES (1, 2, 'paid', 'x', 260000, now(), 0, now())"
    )
    assert set(found()) == {("payments", "order 1")}


def test_a_payment_of_another_amount(market: list[Made]) -> None:
    tamper("UPDATE payments SET amount = amount - 1 WHERE order_id = 1")
    assert found() == {
        (
            "payments",
            "order 1",
        ): "payments: 1 paid, 0 of them paid back as late; the history has 1 payments and 0 refunds, "
        "there are 0 refunds; amounts that differ: 1"
    }


def test_a_payout_of_another_amount(market: list[Made]) -> None:
    tamper("UPDATE payouts SET amount = 60001")
    assert found() == {
        ("wrong", "payout:1:requested"): "it should be: payout_requested payout_clearing slot 1 -60001; "
        "payout_requested seller_available of user 1 slot 0 60001, the ledger has: payout_requested payout_clearing "
        "slot 1 -60000; payout_requested seller_available of user 1 slot 0 60000",
        ("clearing", "payout_clearing"): "the accounts hold 60000, pending payouts come to 60001",
    }


def test_more_paid_out_than_was_ever_held(context: Flask) -> None:
    tamper("INSERT INTO ledger_accounts (kind, slot, balance) VALUES ('paid_out', 3, 5)")
    assert found() == {
        ("balance", "paid_out slot 3"): "the balance is 5, the entries come to 0",
        ("totals", "all accounts"): "debit balances are 0, credit balances 5",
        ("totals", "paid_out"): "5 were paid out, the gateway ever held 0",
        ("clearing", "paid_out"): "the accounts hold 5, confirmed payouts come to 0",
    }


def test_the_command_says_clean(context: Flask, market: list[Made]) -> None:
    result = context.test_cli_runner().invoke(args=["ledger", "audit"])
    assert (result.exit_code, result.output) == (0, "the ledger is clean\n")


def test_the_command_names_each_difference(context: Flask, market: list[Made]) -> None:
    tamper("UPDATE ledger_entries SET balance_after = balance_after + 5 WHERE id = 1")
    result = context.test_cli_runner().invoke(args=["ledger", "audit"])
    assert result.exit_code == 1
    assert result.stdout == ("chain: gateway_clearing slot 1: entry 1 of 260000 left 260005, before it there was 0\n")
    assert result.stderr == "differences: 1\n"


def test_the_command_shows_accounts(context: Flask, market: list[Made]) -> None:
    seller = market[0].seller.id
    result = context.test_cli_runner().invoke(args=["ledger", "account", "seller_available", "--user", str(seller)])
    assert result.exit_code == 0
    words = [line.replace("│", " ").split() for line in result.output.splitlines()]
    assert [seller_line[1:] for seller_line in words if "2000.00" in seller_line[-1:]] == [
        [str(seller), "0", "2000.00"],
        ["2000.00"],
    ]
