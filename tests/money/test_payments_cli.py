"""`flask payments …` end to end: the sandbox's bill against our books and the ledger, each way of differing once."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text, update

from app.clock import SHANGHAI, utcnow
from app.db.database import db
from app.ledger.models import LedgerTransaction
from app.money import refunds
from app.money.models import Payment, Refund
from tests.conftest import MakeApp
from tests.factories import auth_headers
from tests.money.conftest import AMOUNT, Purchase, Shop
from tests.money.sandbox_server import fetch_bytes, start_sandbox

YUAN = "2600.00"


@dataclass(frozen=True)
class Day:
    """A day on which two orders were paid and the second one paid back, and its bill."""

    shop: Shop
    date: str
    kept: Purchase
    returned: Purchase
    bill: Path

    def reconcile(self, *arguments: str) -> tuple[int, list[str]]:
        """Exit status and lines."""
        return flask_payments(self.shop.app, "reconcile", "--bill", str(self.bill), *arguments)

    def clean(self, payments: int = 2, refunds: int = 1) -> list[str]:
        """What is printed below the differences where both sides have as much as this."""
        since = datetime.fromisoformat(self.date).replace(tzinfo=SHANGHAI)
        until = since + timedelta(days=1)
        return [
            f"{since.isoformat()} to {until.isoformat()}",
            totals("payments", payments, payments),
            totals("refunds", refunds, refunds),
            "differences: 0",
        ]

    def change(self, old: str, new: str) -> None:
        """Write something else into the file, which must have it."""
        before = self.bill.read_bytes()
        after = before.replace(old.encode("gbk"), new.encode("gbk"))
        assert after != before
        self.bill.write_bytes(after)

    def line(self, words: str) -> tuple[int, str]:
        """The number and the text of the one line that has all these words."""
        lines = self.bill.read_bytes().decode("gbk").split("\r\n")
        [found] = [
            (number, line) for number, line in enumerate(lines, 1) if all(word in line for word in words.split())
        ]
        return found

    def sql(self, statement: Any) -> None:
        """Change our books behind everybody's back."""
        with self.shop.app.app_context(), db.engine.begin() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(statement)


def flask_payments(app: Flask, *arguments: str) -> tuple[int, list[str]]:
    result = app.test_cli_runner().invoke(args=["payments", *arguments])
    return result.exit_code, result.output.splitlines()


def totals(what: str, theirs: int, ours: int) -> str:
    sums = [f"{count} over {count * AMOUNT // 100}.00 yuan" for count in (theirs, ours)]
    return f"{what}: {sums[0]} in the bill, {sums[1]} in our books"


def grant_refund(shop: Shop, purchase: Purchase) -> None:
    """The buyer asks for the money back, the seller agrees; a job sends it."""
    url = f"/api/buyer_motion_drawback/{purchase.order_id}"
    asked = shop.client.post(url, json={"reason": "不想要了"}, headers=purchase.headers)
    assert asked.status_code == 200, asked.text
    agreed = shop.client.post(
        f"/api/seller_approve_drawback/{purchase.order_id}/", headers=auth_headers(shop.app, purchase.seller)
    )
    assert agreed.status_code == 200, agreed.text


@pytest.fixture
def day(shop: Shop, tmp_path: Path, make_app: MakeApp) -> Any:
    """The day, at a sandbox that has seen nothing else."""
    with start_sandbox(tmp_path, keys_dir=shop.sandbox.keys) as sandbox:
        public_url = shop.letters.url.removesuffix("/notify")
        app = make_app(ALIPAY_GATEWAY_URL=sandbox.gateway_url, PUBLIC_URL=public_url)
        own = replace(shop, app=app, sandbox=sandbox)
        while True:
            date = today()
            kept, returned = own.buy(), own.buy()
            for purchase in (kept, returned):
                assert own.notify(own.pay(purchase)) == "success"
            grant_refund(own, returned)
            with app.app_context():
                refunds.send_refund(refund_id=1)
            bill = tmp_path / "bill.csv"
            bill.write_bytes(fetch_bytes(f"{sandbox.url}/sandbox/bill?date={date}"))
            if date == today():  # else midnight passed in Shanghai
                break
        yield Day(own, date, kept, returned, bill)


def today() -> str:
    return f"{utcnow().astimezone(SHANGHAI):%Y-%m-%d}"


# --- reconcile ---


def test_the_sandboxs_own_bill_has_no_differences(day: Day) -> None:
    assert day.reconcile() == (0, day.clean())
    assert day.reconcile("--date", day.date) == (0, day.clean())
    assert day.shop.audit() == []


def test_a_late_payment_and_its_refund_are_booked_too(day: Day) -> None:
    """Paid for an order that was cancelled: both movements are the ledger's, though the order never had the money."""
    shop, purchase = day.shop, day.shop.buy()
    location = shop.start(purchase)
    assert shop.cancel(purchase).status_code == 200
    shop.sandbox.pay(location)
    assert shop.notify(shop.letter(purchase.order_no)) == "success"
    with shop.app.app_context():
        refunds.send_refund(refund_id=2)
    day.bill.write_bytes(fetch_bytes(f"{shop.sandbox.url}/sandbox/bill?date={day.date}"))
    assert day.reconcile() == (0, day.clean(payments=3, refunds=2))


AT = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+08:00"


def lose_a_payment(day: Day) -> list[str]:
    _, line = day.line(f"{day.kept.order_no} 交易")
    day.change(f"{line}\r\n", "")
    return [f"payment of trade {day.kept.order_no} at {AT} over {YUAN} yuan is not in the bill", "p 1 2", "r 1 1"]


def lose_a_refund(day: Day) -> list[str]:
    _, line = day.line("退款 _R1")
    day.change(f"{line}\r\n", "")
    trade = day.returned.order_no
    return [f"refund {trade}_R1 of trade {trade} at {AT} over {YUAN} yuan is not in the bill", "p 2 2", "r 0 1"]


def forget_a_payment(day: Day) -> list[str]:
    number, _ = day.line(f"{day.kept.order_no} 交易")
    day.sql(update(Payment).where(Payment.out_trade_no == day.kept.order_no).values(state="open", paid_at=None))
    trade = day.kept.order_no
    return [f"line {number}: payment of trade {trade} at {AT} over {YUAN} yuan is not in our books", "p 2 1", "r 1 1"]


def forget_a_refund(day: Day) -> list[str]:
    """As while a job is between the gateway's answer and its own commit."""
    number, _ = day.line("退款 _R1")
    day.sql(update(Refund).values(state="pending", confirmed_at=None))
    trade = day.returned.order_no
    return [
        f"line {number}: refund {trade}_R1 of trade {trade} at {AT} over {YUAN} yuan is not in our books",
        "p 2 2",
        "r 1 0",
    ]


def bill_another_amount(day: Day) -> list[str]:
    number, line = day.line(f"{day.kept.order_no} 交易")
    day.change(line, line.replace(f"{YUAN},{YUAN}", "2600.01,2600.01"))
    return [
        f"line {number}: payment of trade {day.kept.order_no} at {AT}"
        f" is over 2600.01 yuan in the bill and over {YUAN} yuan in our books",
        "payments: 2 over 5200.01 yuan in the bill, 2 over 5200.00 yuan in our books",
        "r 1 1",
    ]


def bill_twice(day: Day) -> list[str]:
    number, line = day.line(f"{day.kept.order_no} 交易")
    day.change(f"{line}\r\n", f"{line}\r\n{line}\r\n")
    return [
        f"line {number + 1}: payment of trade {day.kept.order_no} at {AT} stands once more in the bill",
        "p 3 2",
        "r 1 1",
    ]


def break_a_row(day: Day) -> list[str]:
    number, line = day.line(f"{day.kept.order_no} 交易")
    day.change(line, line.replace(f"{YUAN},{YUAN}", f"26OO.00,{YUAN}"))
    return [
        f"line {number}: the amount is no number of yuan with at most two places: '26OO.00'",
        f"payment of trade {day.kept.order_no} at {AT} over {YUAN} yuan is not in the bill",
        "p 1 2",
        "r 1 1",
    ]


def lose_a_ledger_transaction(day: Day) -> list[str]:
    paid = (LedgerTransaction.order_id == day.kept.order_id) & (LedgerTransaction.kind == "pay")
    day.sql(update(LedgerTransaction).where(paid).values(kind="ship"))
    return [f"payment of trade {day.kept.order_no} at {AT} over {YUAN} yuan is not in the ledger", "p 2 2", "r 1 1"]


def book_another_amount(day: Day) -> list[str]:
    day.sql(
        text(
            "UPDATE ledger_entries SET amount = amount + 1 FROM ledger_accounts, ledger_transactions"
            " WHERE ledger_accounts.id = account_id AND ledger_transactions.id = transaction_id"
            " AND ledger_accounts.kind = 'gateway_clearing' AND key = 'refund:1'"
        )
    )
    trade = day.returned.order_no
    return [
        f"refund {trade}_R1 of trade {trade} at {AT}"
        f" is over {YUAN} yuan in our books and over 2599.99 yuan in the ledger",
        "p 2 2",
        "r 1 1",
    ]


PERTURBATIONS: list[Callable[[Day], list[str]]] = [
    lose_a_payment,
    lose_a_refund,
    forget_a_payment,
    forget_a_refund,
    bill_another_amount,
    bill_twice,
    break_a_row,
    lose_a_ledger_transaction,
    book_another_amount,
]


@pytest.mark.parametrize("perturb", PERTURBATIONS, ids=lambda perturb: perturb.__name__)
def test_each_difference_is_named(day: Day, perturb: Callable[[Day], list[str]]) -> None:
    *differences, payments, refunded = perturb(day)
    names = {"p": "payments", "r": "refunds"}
    expected = [
        *differences,
        re.escape(day.clean()[0]),
        *(
            re.escape(totals(names[words[0]], int(words[2]), int(words[4])) if len(words) == 5 else words)
            for words in (payments, refunded)
        ),
        f"differences: {len(differences)}",
    ]
    status, lines = day.reconcile()
    assert (status, len(lines)) == (1, len(expected))
    for line, pattern in zip(lines, expected, strict=True):
        assert re.fullmatch(pattern, line), line


def test_a_refund_that_was_asked_for_before_midnight_may_be_in_the_bill_before(day: Day) -> None:
    begin = datetime.fromisoformat(day.date).replace(tzinfo=SHANGHAI)
    _, line = day.line("退款 _R1")
    day.change(f"{line}\r\n", "")
    day.sql(update(Refund).values(created_at=begin - timedelta(seconds=5), confirmed_at=begin + timedelta(seconds=5)))
    trade, before = day.returned.order_no, begin - timedelta(days=1)
    notice = (
        f"no difference yet: refund {trade}_R1 of trade {trade} at {(begin + timedelta(seconds=5)).isoformat()} over"
        f" {YUAN} yuan is not in the bill; it must be in one of the bills of {before:%Y-%m-%d} to {day.date}"
    )
    interval, paid, _, none = day.clean()
    assert day.reconcile() == (0, [notice, interval, paid, totals("refunds", 0, 1), none])


def test_a_refund_that_was_confirmed_after_midnight_is_in_the_bill_of_its_day(day: Day) -> None:
    """The gateway moved it, and we heard of it the day after: no difference on either day."""
    end = datetime.fromisoformat(day.date).replace(tzinfo=SHANGHAI) + timedelta(days=1)
    day.sql(update(Refund).values(confirmed_at=end + timedelta(hours=3)))
    interval, paid, _, none = day.clean()
    assert day.reconcile() == (0, [interval, paid, totals("refunds", 1, 0), none])


def test_a_bill_without_its_day_needs_one(day: Day) -> None:
    day.change("#起始日期", "#")
    status, lines = day.reconcile()
    assert (status, lines[-1]) == (2, "Error: the file does not say which day it is about: give --date")
    assert day.reconcile("--date", day.date) == (0, day.clean())
    assert day.reconcile("--date", "2020-02-02") == (
        0,
        [
            "2020-02-02T00:00:00+08:00 to 2020-02-03T00:00:00+08:00",
            totals("payments", 2, 0),
            totals("refunds", 1, 0),
            "differences: 0",
        ],
    )


def test_another_day_than_the_bills_is_refused(day: Day) -> None:
    status, lines = day.reconcile("--date", "2020-02-02")
    begin = datetime.fromisoformat(day.date).replace(tzinfo=SHANGHAI)
    said = f"Error: Invalid value for --bill: it begins at {begin.isoformat()}, not on 2020-02-02"
    assert (status, lines[-1]) == (2, said)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist."),
        (b"", "no row of column names, which would begin with 支付宝交易号"),
        (b"PK\x03\x04\xff\xff", "no row of column names, which would begin with 支付宝交易号"),
        (
            "支付宝交易号,商户订单号,业务类型".encode("gbk"),
            "line 1: the column names must have each of these once: 完成时间, 订单金额(元), 退款批次号/请求号",
        ),
    ],
    ids=["missing", "empty", "zip", "few columns"],
)
def test_a_file_that_is_no_bill(app: Flask, tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "no bill.csv"
    if content is not None:
        path.write_bytes(content)
    status, lines = flask_payments(app, "reconcile", "--bill", str(path))
    assert status == 2
    assert lines[-1].startswith("Error: Invalid value for ")
    assert lines[-1].endswith(words)


# --- show ---


def test_show_has_everything_about_one_order(day: Day) -> None:
    shop, number = day.shop, day.returned.order_no
    shop.notify({"out_trade_no": number, "trade_status": "\x1b[2J[red]x", "sign": ""})
    status, lines = flask_payments(shop.app, "show", number)
    assert status == 0
    assert lines[:2] == [
        f"order {day.returned.order_id} {number}: 卖家已退款, 卖家未发货, closed",
        f"amount {YUAN} yuan",
    ]
    trade_no = shop.letter(number)["trade_no"]
    cells = [re.split(r"\s{2,}", line.strip()) for line in lines[2:]]
    moment = re.compile(AT)
    rows = [[cell for cell in row if not moment.fullmatch(cell)] for row in cells]
    for row in (
        ["attempts"],
        ["1", number, trade_no, YUAN, "paid"],
        ["refunds"],
        [f"{number}_R1", YUAN, "approve_refund", "confirmed", "1"],
        ["notifications"],
        [number, "TRADE_SUCCESS", "yes"],
        [number, "\ufffd[2J[red]x", "no: missing_field: sign"],
        ["ledger"],
        [f"order:{day.returned.order_id}:2:pay", "gateway_clearing", YUAN],
        [f"order:{day.returned.order_id}:2:pay", "escrow", YUAN],
        [f"order:{day.returned.order_id}:4:approve_refund", "escrow", YUAN],
        [f"order:{day.returned.order_id}:4:approve_refund", "refund_clearing", YUAN],
        ["refund:1", "refund_clearing", YUAN],
        ["refund:1", "gateway_clearing", YUAN],
    ):
        assert row in rows, (row, rows)


def test_show_of_an_order_nobody_paid(shop: Shop) -> None:
    purchase = shop.buy()
    status, lines = flask_payments(shop.app, "show", purchase.order_no)
    assert (status, lines[0]) == (0, f"order {purchase.order_id} {purchase.order_no}: 待买家付款, 卖家未发货")


def test_show_of_no_order(shop: Shop) -> None:
    assert flask_payments(shop.app, "show", "404") == (1, ["Error: there is no order 404"])
