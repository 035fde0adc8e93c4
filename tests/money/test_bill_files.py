"""Bills that a spreadsheet saved again are recognised, with line and reason, and nothing of them is compared."""

from pathlib import Path

import pytest
from flask import Flask

from app.money.reconcile import check_is_whole, read_day_bill
from app.orders.service import _new_order_no
from tests.money.test_payments_cli import flask_payments
from tests.money.test_reconcile import COMMENTS, FOOTER, HEADER, REFUND, file, row

TRADE, OUT = "支付宝交易号", "商户订单号"
SPREADSHEET = "a spreadsheet has changed the file, take it as it was downloaded"
LONG = "2026112922001400000000000001"

CHANGED: dict[str, tuple[bytes, str]] = {
    "exponent": (file(row(), row(**{TRADE: "2.02611E+27"})), f"line 7: {TRADE} has lost its digits: '2.02611E+27'"),
    "exponent with a tab": (file(row(**{TRADE: "2.0E+27\t"})), f"line 6: {TRADE} has lost its digits: '2.0E+27'"),
    "exponent of ours": (file(row(**{OUT: "2.02611E+21"})), f"line 6: {OUT} has lost its digits: '2.02611E+21'"),
    "exponent of a refund": (
        file(row(**REFUND), row(**(REFUND | {"退款批次号/请求号": "2,02611e21".replace(",", ".")}))),
        "line 7: 退款批次号/请求号 has lost its digits: '2.02611e21'",
    ),
    "rounded": (
        file(row(**{TRADE: "2026112922001400000000000000\t"})),
        f"line 6: {TRADE} has lost its last digits: '2026112922001400000000000000'",
    ),
    "rounded, ours": (
        file(row(**{OUT: "2026112212345670000000"})),
        f"line 6: {OUT} has lost its last digits: '2026112212345670000000'",
    ),
    "rounded, ours, with places": (
        file(row(**{OUT: "2026112212345670000000.00"})),
        f"line 6: {OUT} has lost its last digits: '2026112212345670000000.00'",
    ),
    "without tabs": (file(row(**{TRADE: LONG})), f"line 6: {TRADE} has lost the tab behind it"),
    "a formula": (file(row(**{TRADE: f'"=""{LONG}"""'})), f"""line 6: {TRADE} is a formula: '="{LONG}"'"""),
    **{
        f"time {moment}": (file(row(完成时间=moment)), f"line 6: 完成时间 is written otherwise: '{moment}'")
        for moment in (
            "2026/11/22 20:15",
            "2026/11/22 20:15:00",
            "11/22/2026 20:15",
            "2026-11-22 20:15",
            "46348.84375",
            "46348",
            "########",
            "2026-1-2 3:4:5",
            "22.11.2026",
            "22-Nov-26 20:15:00",
            "2026年11月22日 20:15:00",
            "2026-11-22T20:15:00",
            "2026-11-22 20:15:00.0",
            "2026-11-22 8:15:00 PM",
            "20:15:00",
        )
    },
    "comments of a table": (
        ("\r\n".join((COMMENTS[0] + "," * 24, *COMMENTS[1:], HEADER, row(), *FOOTER))).encode("gbk"),
        "line 1: a comment has become a row of a table",
    ),
    "comments in quotes": (
        ("\r\n".join((f'"{COMMENTS[0]}"', *COMMENTS[1:], HEADER, row(), *FOOTER))).encode("gbk"),
        "line 1: a comment has become a row of a table",
    ),
    "names in quotes": (
        file(row(), header=",".join(f'"{name}"' for name in HEADER.split(","))),
        "line 5: the column names stand in quotes",
    ),
    "semicolons": (
        file(row().replace(",", ";"), header=HEADER.replace(",", ";")),
        "line 5: values are not separated by commas",
    ),
    "tabs between values": (
        file(row().replace(",", "\t"), header=HEADER.replace(",", "\t")),
        "line 5: values are not separated by commas",
    ),
}


@pytest.mark.parametrize("encoding", ["gbk", "utf-8-sig"])
@pytest.mark.parametrize("name", CHANGED)
def test_a_bill_that_a_spreadsheet_changed_is_none(name: str, encoding: str) -> None:
    raw, reason = CHANGED[name]
    with pytest.raises(ValueError, match=r"^line ") as refused:
        read_day_bill(raw.decode("gbk").encode(encoding))
    assert str(refused.value) == f"{reason}: {SPREADSHEET}"


def test_numbers_that_are_as_they_were_are_taken() -> None:
    for number in (f"{LONG}\t", "2026112922001400000010000000\t", "P00001\t", "1E\t"):
        assert read_day_bill(file(row(**{TRADE: number}))).problems == ()
        assert read_day_bill(file(row(**{OUT: number}))).problems == ()
    # Another shop's on the same account may end in zeros, or have an E; a console's refund likewise.
    for number in (
        "20261129000000100000000",
        "2026112900000010000000000000",
        "20261129E12",
        "9999999912345670000000",
        "1000000000000000000000000",
        "5E7",
    ):
        for changes in ({OUT: number}, {**REFUND, "退款批次号/请求号": number}):
            read = read_day_bill(file(row(), row(**changes)))
            assert (read.problems, len(read.rows)) == ((), 2), number


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_a_spreadsheets_unicode_text_is_none(encoding: str) -> None:
    mark = "" if encoding == "utf-16" else "\ufeff"
    raw = (mark + file(row()).decode("gbk").replace(",", "\t")).encode(encoding)
    with pytest.raises(ValueError, match=r"^line 1: the file is UTF-16: a spreadsheet has changed the file"):
        read_day_bill(raw)


def test_column_names_that_cannot_be_read_are_no_bill() -> None:
    with pytest.raises(ValueError, match=r"^line 5: the column names cannot be read as comma-separated values: "):
        read_day_bill(file(row(), header=HEADER.replace(OUT, f'"{OUT}')))


def test_no_order_number_ends_as_a_rounded_one() -> None:
    numbers = [_new_order_no() for _ in range(200)]
    assert {(len(number), number.isdigit()) for number in numbers} == {(22, True)}
    assert {number[-1] for number in numbers} <= set("123456789")


def test_a_list_without_its_end_is_not_whole() -> None:
    check_is_whole(file(row()))
    check_is_whole(file(row(), encoding="utf-8-sig", end="\n"))
    whole = file(row(), row(**REFUND))
    for cut in (whole[: whole.index(b"#", whole.index(b"R1"))], whole[: whole.index(b"R1")]):
        with pytest.raises(ValueError, match=r"^line \d: the end of the list \(业务明细列表结束\) is missing"):
            check_is_whole(cut)


@pytest.mark.parametrize("name", ["exponent", "semicolons", "time 2026/11/22 20:15"])
def test_the_command_says_so_and_compares_nothing(app: Flask, tmp_path: Path, name: str) -> None:
    raw, reason = CHANGED[name]
    path = tmp_path / "bill.csv"
    path.write_bytes(raw)
    status, lines = flask_payments(app, "reconcile", "--bill", str(path))
    assert (status, lines[-1]) == (2, f"Error: Invalid value for --bill: {reason}: {SPREADSHEET}")
    assert not [line for line in lines if line.startswith(("differences", "payments"))]


def test_the_command_takes_no_bill_that_was_cut_off(app: Flask, tmp_path: Path) -> None:
    path, whole = tmp_path / "bill.csv", file(row())
    path.write_bytes(whole[: whole.index(b"#---", whole.index(b"P1"))])
    status, lines = flask_payments(app, "reconcile", "--bill", str(path))
    wanted = "line 6: the end of the list (业务明细列表结束) is missing: the file is not whole"
    assert (status, lines[-1]) == (2, f"Error: Invalid value for --bill: {wanted}")


def test_one_of_the_two_has_to_be_given(app: Flask) -> None:
    assert flask_payments(app, "reconcile")[0] == 2
