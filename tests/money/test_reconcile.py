"""The day's bill: what of it can be read, and each way in which it differs from our books."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clock import SHANGHAI
from app.fen import MAX_FEN
from app.money.reconcile import (
    BillDifference,
    BillDifferenceKind,
    BillProblem,
    BillRow,
    DayBill,
    MovementKind,
    OurMovement,
    compare,
    read_day_bill,
)
from app.money.sandbox import day_bill
from app.money.sandbox.store import Refund, Trade

DAY = datetime(2026, 11, 22, tzinfo=SHANGHAI)
SINCE, UNTIL = DAY.timestamp(), (DAY + timedelta(days=1)).timestamp()

HEADER = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,"
    "订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,"
    "商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)
COMMENTS = (
    "#支付宝业务明细查询",
    "#账号：[20880000000000010156]",
    "#起始日期：[2026年11月22日 00:00:00]   终止日期：[2026年11月23日 00:00:00]",
    "#-----------------------------------------业务明细列表----------------------------------------",
)
FOOTER = (
    "#-----------------------------------------业务明细列表结束------------------------------------",
    "#交易合计：1笔，商家实收共5642.50元，商家优惠共0.00元",
    "#导出时间：[2026年11月23日 09:46:49]",
)
ROW = {
    "支付宝交易号": "2026112222001400000000000001\t",
    "商户订单号": "P1\t",
    "业务类型": "交易\t",
    "商品名称": "九成新 山地车",
    "创建时间": "2026-11-22 20:14:50",
    "完成时间": "2026-11-22 20:15:00",
    "对方账户": "*家(buy***@example.com)\t",
    "订单金额（元）": "5642.50",
    "商家实收（元）": "5642.50",
    "退款批次号/请求号": "\t",
    "服务费（元）": "-33.86",
    "分润（元）": "0.00",
}
REFUND = {"业务类型": "退款\t", "订单金额（元）": "-20.00", "退款批次号/请求号": "R1\t"}
READ = BillRow(
    line=6,
    kind=MovementKind.PAYMENT,
    trade_no="2026112222001400000000000001",
    out_trade_no="P1",
    request_no=None,
    amount_fen=564250,
    finished_at=datetime(2026, 11, 22, 12, 15, tzinfo=UTC),
)


def row(**changes: str) -> str:
    return ",".join((ROW | changes).get(name, "") for name in HEADER.split(","))


def file(*rows: str, encoding: str = "gbk", end: str = "\r\n", header: str = HEADER) -> bytes:
    return end.join((*COMMENTS, header, *rows, *FOOTER, "")).encode(encoding)


# --- reading ---


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "utf-8", "utf-8-sig"])
def test_a_bill_is_read_in_each_encoding(encoding: str, end: str) -> None:
    read = read_day_bill(file(row(), row(**REFUND), encoding=encoding, end=end))

    assert read == DayBill(
        rows=(READ, replace(READ, line=7, kind=MovementKind.REFUND, request_no="R1", amount_fen=2000)),
        problems=(),
        since=datetime(2026, 11, 21, 16, tzinfo=UTC),
        until=datetime(2026, 11, 22, 16, tzinfo=UTC),
    )
    assert read.rows[0].finished_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"订单金额（元）": "-5642.50"}, "the amount of a payment cannot be '-5642.50'"),
        ({**REFUND, "订单金额（元）": "20.00"}, "the amount of a refund cannot be '20.00'"),
        *[
            (
                {"订单金额（元）": amount},
                f"the amount is no number of yuan with at most two places: {amount!r}",
            )
            for amount in ("5642.505", "+1.00", "1e3", "NaN", "", "--1.00", "５６.00", "1.", ".50", "1" * 13)
        ],
        *[
            ({"订单金额（元）": amount}, f"the amount must be 0.01 to 100000000.00 yuan: {amount!r}")
            for amount in ("0.00", "-0.00", "100000000.01", "999999999999.99")
        ],
        ({"业务类型": "转账"}, "业务类型 is neither 交易 nor 退款: '转账'"),
        ({"业务类型": "长" * 50}, f"业务类型 is neither 交易 nor 退款: '{'长' * 40}…'"),
        ({"支付宝交易号": "\t"}, "支付宝交易号 is empty"),
        ({"商户订单号": ""}, "商户订单号 is empty"),
        *[
            ({"完成时间": moment}, f"完成时间 is no time like 2026-11-22 20:15:00: {moment!r}")
            for moment in ("", "2026-02-30 20:15:00", "2026-11-22 24:00:00")
        ],
        ({"商品名称": "车,九成新"}, "has 26 values for 25 columns"),
        ({"备注": '"open'}, "cannot be read as comma-separated values: unexpected end of data"),
    ],
)
def test_a_broken_row_is_reported_and_the_rest_is_read(changes: dict[str, str], text: str) -> None:
    read = read_day_bill(file(row(), row(**changes), row(**REFUND)))

    assert read.problems == (BillProblem(7, text),)
    assert str(read.problems[0]) == f"line 7: {text}"
    assert [(each.line, each.kind, each.amount_fen) for each in read.rows] == [
        (6, MovementKind.PAYMENT, 564250),
        (8, MovementKind.REFUND, 2000),
    ]


@pytest.mark.parametrize(("encoding", "name", "byte"), [("gbk", "GBK", 1), ("utf-8", "UTF-8", 1)])
def test_bytes_of_no_encoding_break_their_own_line_alone(encoding: str, name: str, byte: int) -> None:
    whole = file(row(), "BROKEN", row(**REFUND), encoding=encoding)

    read = read_day_bill(whole.replace(b"BROKEN", b"\xff\xff" + row().encode(encoding)))

    assert read.problems == (BillProblem(7, f"is no {name} from byte {byte} on"),)
    assert [each.line for each in read.rows] == [6, 8]


def test_a_file_that_was_cut_off_says_where() -> None:
    raw = file(row(), row(**REFUND))
    cut = raw[: raw.index("退款".encode("gbk"), raw.index(b"P1")) + 4]

    read = read_day_bill(cut)

    assert read.rows == (READ,)
    assert read.problems == (BillProblem(7, "has 3 values for 25 columns"),)


def test_a_value_in_quotes_may_have_commas() -> None:
    assert read_day_bill(file(row(商品名称='"车,九成新 ""山地"""'))).rows == (READ,)


def test_a_refund_without_a_number_is_a_refund() -> None:
    """Who pays back by hand in Alipay's console gives none."""
    read = read_day_bill(file(row(**REFUND, 备注="").replace("R1\t", "\t")))
    assert [(each.kind, each.request_no, each.amount_fen) for each in read.rows] == [(MovementKind.REFUND, None, 2000)]


def test_columns_are_found_by_name() -> None:
    names = ["新列", "退款批次号/请求号", "订单金额(元)", "完成时间", "业务类型", "商户订单号"]
    header = ",".join(["支付宝交易号", *names])
    read = read_day_bill(file("T1,x,R1,-0.01,2026-11-22 00:00:00,退款,P1", header=header))
    assert [(each.trade_no, each.out_trade_no, each.request_no, each.amount_fen) for each in read.rows] == [
        ("T1", "P1", "R1", 1)
    ]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "no row of column names, which would begin with 支付宝交易号"),
        (file(header=row()), "no row of column names, which would begin with 支付宝交易号"),
        (file(encoding="utf-16"), "line 1: the file is UTF-16: a spreadsheet has changed the file, .*"),
        (
            file(header="支付宝交易号,商户订单号,业务类型,完成时间"),
            "line 5: the column names must have each of these once: 订单金额\\(元\\), 退款批次号/请求号",
        ),
        (
            file(header=f"{HEADER},订单金额（元）"),
            "line 5: the column names must have each of these once: 订单金额\\(元\\)",
        ),
    ],
)
def test_what_is_no_such_bill_is_refused(raw: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        read_day_bill(raw)


@pytest.mark.parametrize(
    "comment", ["", "#起始日期：[gestern]   终止日期：[heute]", "#起始日期：[2026年13月22日 00:00:00]"]
)
def test_a_bill_that_does_not_say_its_day_covers_all_days(comment: str) -> None:
    raw = "\n".join((comment, HEADER, row())).encode("gbk")

    read = read_day_bill(raw)

    assert (read.since, read.until) == (None, None)
    assert [each.line for each in read.rows] == [3]
    lonely = our(out_trade_no="P2", at=datetime(2020, 1, 1, tzinfo=UTC))
    assert [each.kind for each in compare(read, [our(), lonely])] == [BillDifferenceKind.MISSING_THERE]


# --- comparing ---


def our(
    kind: MovementKind = MovementKind.PAYMENT,
    out_trade_no: str = "P1",
    request_no: str | None = None,
    amount_fen: int = 564250,
    at: datetime = READ.finished_at,
) -> OurMovement:
    return OurMovement(kind=kind, out_trade_no=out_trade_no, request_no=request_no, amount_fen=amount_fen, at=at)


def difference(
    kind: BillDifferenceKind, *, line: int | None, bill_fen: int | None, our_fen: int | None
) -> BillDifference:
    return BillDifference(
        kind=kind,
        movement=MovementKind.PAYMENT,
        out_trade_no="P1",
        request_no=None,
        at=READ.finished_at,
        line=line,
        bill_fen=bill_fen,
        our_fen=our_fen,
    )


@pytest.mark.parametrize(
    ("rows", "ours", "found", "text"),
    [
        (
            [row()],
            [],
            difference(BillDifferenceKind.MISSING_HERE, line=6, bill_fen=564250, our_fen=None),
            "line 6: payment of trade P1 at 2026-11-22T20:15:00+08:00 over 5642.50 yuan is not in our books",
        ),
        (
            [],
            [our()],
            difference(BillDifferenceKind.MISSING_THERE, line=None, bill_fen=None, our_fen=564250),
            "payment of trade P1 at 2026-11-22T20:15:00+08:00 over 5642.50 yuan is not in the bill",
        ),
        (
            [row()],
            [our(amount_fen=564249)],
            difference(BillDifferenceKind.OTHER_AMOUNT, line=6, bill_fen=564250, our_fen=564249),
            "line 6: payment of trade P1 at 2026-11-22T20:15:00+08:00"
            " is over 5642.50 yuan in the bill and over 5642.49 yuan in our books",
        ),
        (
            [row(), row()],
            [our()],
            difference(BillDifferenceKind.DOUBLED, line=7, bill_fen=564250, our_fen=None),
            "line 7: payment of trade P1 at 2026-11-22T20:15:00+08:00 stands once more in the bill",
        ),
        (
            [row()],
            [our(), our()],
            difference(BillDifferenceKind.DOUBLED, line=None, bill_fen=None, our_fen=564250),
            "payment of trade P1 at 2026-11-22T20:15:00+08:00 stands once more in our books",
        ),
    ],
)
def test_each_difference_is_named(rows: list[str], ours: list[OurMovement], found: BillDifference, text: str) -> None:
    assert compare(read_day_bill(file(*rows)), ours) == [found]
    assert str(found) == text


def test_two_refunds_of_a_trade_are_two_movements() -> None:
    read = read_day_bill(file(row(**REFUND), row(**{**REFUND, "退款批次号/请求号": "R2"})))
    first = our(MovementKind.REFUND, request_no="R1", amount_fen=2000)
    assert compare(read, [first, replace(first, request_no="R2")]) == []

    [missing] = compare(read, [first])

    assert str(missing) == (
        "line 7: refund R2 of trade P1 at 2026-11-22T20:15:00+08:00 over 20.00 yuan is not in our books"
    )


def test_what_we_have_from_another_day_finds_its_row_and_is_not_missed() -> None:
    read = read_day_bill(file(row()))
    assert read.since is not None
    assert read.until is not None
    after, before = read.until, read.since - timedelta(microseconds=1)

    assert compare(read, [our(at=after), our(out_trade_no="P2", at=after), our(out_trade_no="P3", at=before)]) == []

    within = [
        our(out_trade_no="P2", at=after - timedelta(microseconds=1)),
        our(out_trade_no="P3", at=read.since),
    ]
    assert [each.out_trade_no for each in compare(read, [our(), *within])] == ["P2", "P3"]


# --- the round trip: what the sandbox writes, and our books of the same ---


def text_of_a_title() -> st.SearchStrategy[str]:
    characters = st.characters(min_codepoint=0x20, max_codepoint=0xFFFF, exclude_categories=["Cs"])
    return st.text(characters, min_size=1, max_size=20)


@st.composite
def days(draw: st.DrawFn) -> list[tuple[Trade, Refund | None]]:
    """Payments and refunds of one day, each trade with its number, in any order."""
    seconds = st.integers(min_value=0, max_value=24 * 3600 - 1)
    movements: list[tuple[Trade, Refund | None]] = []
    for number in range(draw(st.integers(min_value=0, max_value=4))):
        amount_fen = draw(st.integers(min_value=1, max_value=MAX_FEN))
        trade = Trade(
            out_trade_no=f"P{number}",
            trade_no=f"T{number}",
            cashier_token="",
            subject=draw(text_of_a_title()),
            amount_fen=amount_fen,
            refunded_fen=0,
            status="TRADE_SUCCESS",
            notify_url="",
            return_url="",
            created_at=SINCE,
            expires_at=UNTIL,
            paid_at=SINCE + draw(seconds),
            closed_at=None,
        )
        movements.append((trade, None))
        movements += [
            (trade, Refund(trade.out_trade_no, f"R{count}", draw(st.integers(1, MAX_FEN)), "", SINCE + draw(seconds)))
            for count in range(draw(st.integers(min_value=0, max_value=2)))
        ]
    return draw(st.permutations(movements))


def written(movements: list[tuple[Trade, Refund | None]]) -> DayBill:
    return read_day_bill(day_bill.render(movements, seller_id="2088000000000001", since=SINCE, until=UNTIL, now=UNTIL))


def booked(trade: Trade, refund: Refund | None) -> OurMovement:
    if refund is None:
        assert trade.paid_at is not None
        paid_at = datetime.fromtimestamp(trade.paid_at, UTC)
        return our(out_trade_no=trade.out_trade_no, amount_fen=trade.amount_fen, at=paid_at)
    refunded_at = datetime.fromtimestamp(refund.refunded_at, UTC)
    return our(MovementKind.REFUND, trade.out_trade_no, refund.out_request_no, refund.amount_fen, refunded_at)


@given(days())
def test_a_bill_of_what_we_booked_has_no_differences(movements: list[tuple[Trade, Refund | None]]) -> None:
    read, ours = written(movements), [booked(*each) for each in movements]

    assert read.problems == ()
    assert [
        our(each.kind, each.out_trade_no, each.request_no, each.amount_fen, each.finished_at) for each in read.rows
    ] == ours
    assert compare(read, ours) == []


@given(days().filter(bool), st.data())
def test_one_thing_changed_is_the_one_difference(
    movements: list[tuple[Trade, Refund | None]], data: st.DataObject
) -> None:
    index = data.draw(st.integers(min_value=0, max_value=len(movements) - 1))
    changed = booked(*movements[index])
    kind = data.draw(st.sampled_from(list(BillDifferenceKind)))
    ours = [booked(*each) for each in movements]
    others = [*ours[:index], *ours[index + 1 :]]
    match kind:
        case BillDifferenceKind.MISSING_HERE:
            found = compare(written(movements), others)
        case BillDifferenceKind.MISSING_THERE:
            found = compare(written([*movements[:index], *movements[index + 1 :]]), ours)
        case BillDifferenceKind.OTHER_AMOUNT:
            found = compare(written(movements), [*others, replace(changed, amount_fen=changed.amount_fen + 1)])
        case BillDifferenceKind.DOUBLED:
            found = compare(written([*movements, movements[index]]), ours)

    assert [(each.kind, each.movement, each.out_trade_no, each.request_no) for each in found] == [
        (kind, changed.kind, changed.out_trade_no, changed.request_no)
    ]


@given(st.binary(max_size=300))
def test_any_bytes_for_a_row_are_a_row_or_a_problem(noise: bytes) -> None:
    read = read_day_bill(file(row()) + noise.replace(b"\n", b"").lstrip(b"#") + b"\n" + row(**REFUND).encode("gbk"))
    assert read.rows[0] == READ
    assert read.rows[-1].kind is MovementKind.REFUND
    assert {each.line for each in read.problems} <= {10}
    assert len(read.rows) + len(read.problems) == (3 if noise.replace(b"\n", b"").lstrip(b"#").strip() else 2)


def test_an_unpaid_trade_is_on_no_bill() -> None:
    unpaid = Trade("P1", "T1", "", "车", 1, 0, "WAIT_BUYER_PAY", "", "", SINCE, UNTIL, None, None)
    with pytest.raises(ValueError, match="only what was paid"):
        written([(unpaid, None)])
