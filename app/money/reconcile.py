"""Reconciliation: compares a day's bill of the gateway with our payments and refunds. Pure functions, no I/O.

The bill is Alipay's 业务明细, downloaded from its console or by its API: a CSV file in GBK with comment lines (`#`), a
row of column names, and a row per payment and refund; some values end with a tab. Columns are found by name, so new
ones do no harm. A file that a spreadsheet has saved again is none: numbers have lost digits there, so nothing of it is
compared.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from app.clock import SHANGHAI, format_moment
from app.fen import format_yuan, format_yuan_or_none
from app.money.gateways.base import MAX_TRADE_FEN


class MovementKind(StrEnum):
    """What a movement of money is."""

    PAYMENT = "payment"
    REFUND = "refund"


@dataclass(frozen=True, slots=True, kw_only=True)
class BillRow:
    """A row of the bill. `amount_fen` is above 0 also for a refund; `request_no` is our number of the refund."""

    line: int
    kind: MovementKind
    trade_no: str
    out_trade_no: str
    request_no: str | None
    amount_fen: int
    finished_at: datetime
    """UTC."""


@dataclass(frozen=True, slots=True)
class BillProblem:
    """A row that cannot be read; `line` counts from 1, as an editor shows it."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DayBill:
    """A day's bill, as far as it can be read. It covers `since` to before `until` (UTC); None where it does not say."""

    rows: tuple[BillRow, ...]
    problems: tuple[BillProblem, ...]
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OurMovement:
    """A payment that we took in, or a refund that the gateway confirmed, by our books; `at` is aware."""

    kind: MovementKind
    out_trade_no: str
    request_no: str | None
    """None for a payment."""
    amount_fen: int
    at: datetime
    trade_no: str | None = None
    """The gateway's number, as far as we know it."""


class BillDifferenceKind(StrEnum):
    """How the bill and our books differ."""

    MISSING_HERE = "missing_here"
    """In the bill, not in our books."""
    MISSING_THERE = "missing_there"
    """In our books, not in the bill."""
    OTHER_AMOUNT = "other_amount"
    DOUBLED = "doubled"
    """The same payment or refund occurs more than once on one side."""


_SENTENCES = {
    BillDifferenceKind.MISSING_HERE: "over {theirs} yuan is not in our books",
    BillDifferenceKind.MISSING_THERE: "over {ours} yuan is not in the bill",
    BillDifferenceKind.OTHER_AMOUNT: "is over {theirs} yuan in the bill and over {ours} yuan in our books",
    BillDifferenceKind.DOUBLED: "stands once more {where}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BillDifference:
    """One difference; `str()` is a sentence for the operator.

    `line` and `bill_fen` come from the bill and `our_fen` from our books, each None where that side has nothing; `at`
    is the bill's moment if it has one, otherwise ours.
    """

    kind: BillDifferenceKind
    movement: MovementKind
    out_trade_no: str
    request_no: str | None
    at: datetime
    line: int | None
    bill_fen: int | None
    our_fen: int | None
    trade_no: str | None = field(default=None, compare=False)
    """The gateway's number in the bill."""

    def __str__(self) -> str:
        place = "" if self.line is None else f"line {self.line}: "
        number = "" if self.request_no is None else f" {self.request_no}"
        sentence = _SENTENCES[self.kind].format(
            theirs=format_yuan_or_none(self.bill_fen),
            ours=format_yuan_or_none(self.our_fen),
            where="in our books" if self.line is None else "in the bill",
        )
        return f"{place}{self.movement}{number} of trade {self.out_trade_no} at {format_moment(self.at)} {sentence}"


_TRADE_NO, _OUT_TRADE_NO, _KIND = "支付宝交易号", "商户订单号", "业务类型"
_FINISHED_AT, _AMOUNT, _REQUEST_NO = "完成时间", "订单金额(元)", "退款批次号/请求号"
_COLUMNS = (_TRADE_NO, _OUT_TRADE_NO, _KIND, _FINISHED_AT, _AMOUNT, _REQUEST_NO)
_KINDS = {"交易": MovementKind.PAYMENT, "退款": MovementKind.REFUND}

# GB 18030 is a superset of GBK. In both, as in UTF-8, no byte of a multi-byte character equals a line feed, so lines
# can be split before decoding, and a damaged line does not affect others.
_ENCODINGS = ("utf-8", "gb18030")
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")

_SIGNED_YUAN = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,2}))?", re.ASCII)
_TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}", re.ASCII)
_PERIOD = re.compile(r"#起始日期[:：]\s*\[(.+?)\]\s*终止日期[:：]\s*\[(.+?)\]")
_END = "业务明细列表结束"
_PERIOD_FORMAT = "%Y年%m月%d日 %H:%M:%S"
_SHOWN_LENGTH = 40


def read_day_bill(raw: bytes) -> DayBill:
    """The bill in a file's bytes, GBK or UTF-8. A row that cannot be read becomes a problem, and the rest is read.

    Raises ValueError where the row of column names is missing or lacks a column: then this is not such a bill. Also,
    with the line, where a spreadsheet has saved it again.
    """
    if raw.startswith(_UTF16_BOMS):
        raise _changed(1, "the file is UTF-16")
    lines = raw.removeprefix(_UTF8_BOM).split(b"\n")
    start, encoding = _find_header(lines)
    _check_is_as_downloaded(lines, start, encoding)
    try:
        columns = [name.strip().translate(_PLAIN_BRACKETS) for name in _cells(lines[start], encoding)]
    except csv.Error as error:
        raise ValueError(f"line {start + 1}: the column names {_reason(error)}") from error
    missing = [name for name in _COLUMNS if columns.count(name) != 1]
    if missing:
        raise ValueError(f"line {start + 1}: the column names must have each of these once: {', '.join(missing)}")
    rows, problems = [], []
    for number, line in enumerate(lines[start + 1 :], start=start + 2):
        if not line.strip() or line.startswith(b"#"):
            continue
        try:
            rows.append(_row(number, columns, _cells(line, encoding)))
        except (ValueError, csv.Error) as error:
            problems.append(BillProblem(number, _reason(error)))
    since, until = _period(lines[:start], encoding)
    return DayBill(rows=tuple(rows), problems=tuple(problems), since=since, until=until)


def compare(bill: DayBill, ours: Iterable[OurMovement]) -> list[BillDifference]:
    """Every difference between the bill and our movements, in the bill's order, then those that only we have.

    `ours` may include movements outside the bill's day: a refund that was moved just before midnight and confirmed
    after it is matched with its row. Movements outside the day count as missing only in their own day's bill.
    """
    theirs: dict[_Key, list[BillRow]] = defaultdict(list)
    for row in bill.rows:
        theirs[row.kind, row.out_trade_no, row.request_no].append(row)
    mine: dict[_Key, list[OurMovement]] = defaultdict(list)
    for movement in ours:
        mine[movement.kind, movement.out_trade_no, movement.request_no].append(movement)
    differences = []
    for key, rows in theirs.items():
        differences += _differences(rows, mine.pop(key, []))
    for movements in mine.values():
        differences += _differences([], [movement for movement in movements if _covers(bill, movement.at)])
    return differences


_Key = tuple[MovementKind, str, str | None]


def _differences(rows: Sequence[BillRow], ours: Sequence[OurMovement]) -> list[BillDifference]:
    """The differences about one payment or refund, of which each side should have one."""
    found = []
    # The row of the trade that we know comes first; another one is a second payment.
    rows = sorted(rows, key=lambda row: bool(ours) and ours[0].trade_no not in (None, row.trade_no))
    if not rows:
        found += [_of_ours(BillDifferenceKind.MISSING_THERE, movement) for movement in ours[:1]]
    elif not ours:
        found.append(_of_bill(BillDifferenceKind.MISSING_HERE, rows[0]))
    elif rows[0].amount_fen != ours[0].amount_fen:
        found.append(_of_bill(BillDifferenceKind.OTHER_AMOUNT, rows[0], our_fen=ours[0].amount_fen))
    elif ours[0].trade_no not in (None, rows[0].trade_no):
        # An order was paid twice, or as a trade that we do not know.
        found += [
            _of_bill(BillDifferenceKind.MISSING_HERE, rows[0]),
            _of_ours(BillDifferenceKind.MISSING_THERE, ours[0]),
        ]
    found += [_of_bill(BillDifferenceKind.DOUBLED, row) for row in rows[1:]]
    found += [_of_ours(BillDifferenceKind.DOUBLED, movement) for movement in ours[1:]]
    return found


def _of_bill(kind: BillDifferenceKind, row: BillRow, *, our_fen: int | None = None) -> BillDifference:
    return BillDifference(
        kind=kind,
        movement=row.kind,
        out_trade_no=row.out_trade_no,
        request_no=row.request_no,
        at=row.finished_at,
        line=row.line,
        bill_fen=row.amount_fen,
        our_fen=our_fen,
        trade_no=row.trade_no,
    )


def _of_ours(kind: BillDifferenceKind, movement: OurMovement) -> BillDifference:
    return BillDifference(
        kind=kind,
        movement=movement.kind,
        out_trade_no=movement.out_trade_no,
        request_no=movement.request_no,
        at=movement.at,
        line=None,
        bill_fen=None,
        our_fen=movement.amount_fen,
    )


def _covers(bill: DayBill, moment: datetime) -> bool:
    return (bill.since is None or bill.since <= moment) and (bill.until is None or moment < bill.until)


_SPREADSHEET = "a spreadsheet has changed the file, take it as it was downloaded"
_EXPONENT = re.compile(r"[+-]?[0-9]{1,3}(?:[.,][0-9]+[eE][+-]?|[eE][+-])[0-9]+", re.ASCII)
# Spreadsheets keep fifteen digits of a number. The gateway's have 28; ours (`app.orders.service`) have 22, which begin
# with the day. Of the numbers of others that use the same account, and of refunds, nothing is known: they may end so.
_DAY = "20[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_ROUNDED = {
    _TRADE_NO: re.compile(r"[0-9]{15}0{8,}(?:\.0+)?", re.ASCII),
    _OUT_TRADE_NO: re.compile(rf"{_DAY}[0-9]{{7}}0{{7}}(?:\.0+)?", re.ASCII),
}
_LONG_NUMBER = re.compile(r"[0-9]{16,}", re.ASCII)
_NUMBERS = (_TRADE_NO, _OUT_TRADE_NO, _REQUEST_NO)


def _check_is_as_downloaded(lines: Sequence[bytes], start: int, encoding: str) -> None:
    """Raise ValueError, with line and reason, where a spreadsheet has saved the bill again."""
    for number, line in enumerate(lines, start=1):
        text = line.decode(encoding, errors="replace").rstrip("\r\n ")
        if text.startswith(("#", '"#')) and (text.startswith('"') or text.endswith((",", ";", "\t"))):
            raise _changed(number, "a comment has become a row of a table")
    header = lines[start].decode(encoding, errors="replace").strip()
    if header.startswith('"'):
        raise _changed(start + 1, "the column names stand in quotes")
    if "," not in header and (";" in header or "\t" in header):
        raise _changed(start + 1, "values are not separated by commas")
    columns = [name.strip().translate(_PLAIN_BRACKETS) for name in header.split(",")]
    for number, line in enumerate(lines[start + 1 :], start=start + 2):
        if not line.strip() or line.startswith(b"#"):
            continue
        try:
            cells = _cells(line, encoding)
        except (ValueError, csv.Error):
            continue  # becomes a problem of its own
        if len(cells) == len(columns):
            _check_row_is_as_downloaded(number, dict(zip(columns, cells, strict=True)))


def _check_row_is_as_downloaded(line: int, values: Mapping[str, str]) -> None:
    for name in _NUMBERS:
        text = values.get(name, "").strip()
        if _EXPONENT.fullmatch(text):
            raise _changed(line, f"{name} has lost its digits: {_quoted(text)}")
        if name in _ROUNDED and _ROUNDED[name].fullmatch(text):
            raise _changed(line, f"{name} has lost its last digits: {_quoted(text)}")
        if text.startswith(("=", "'")):
            raise _changed(line, f"{name} is a formula: {_quoted(text)}")
    trade_no = values.get(_TRADE_NO, "")
    if _LONG_NUMBER.fullmatch(trade_no.rstrip(" ")):
        raise _changed(line, f"{_TRADE_NO} has lost the tab behind it")
    moment = values.get(_FINISHED_AT, "").strip()
    if moment and not _TIME.fullmatch(moment):
        raise _changed(line, f"{_FINISHED_AT} is written otherwise: {_quoted(moment)}")


def _changed(line: int, what: str) -> ValueError:
    return ValueError(f"line {line}: {what}: {_SPREADSHEET}")


def check_is_whole(raw: bytes) -> None:
    """Raise ValueError where the list has no end: the file was cut off, or its comments were taken out."""
    lines = raw.rstrip().split(b"\n")
    if not any(_END.encode(encoding) in line for line in lines if line.startswith(b"#") for encoding in _ENCODINGS):
        raise ValueError(f"line {len(lines)}: the end of the list ({_END}) is missing: the file is not whole")


_PLAIN_BRACKETS = str.maketrans("（）", "()")


def _find_header(lines: Sequence[bytes]) -> tuple[int, str]:
    """The index of the line with the column names, and the encoding recognised by it."""
    for index, line in enumerate(lines):
        for encoding in _ENCODINGS:
            if line.lstrip(b' "').startswith(_TRADE_NO.encode(encoding)):
                return index, encoding
    raise ValueError(f"no row of column names, which would begin with {_TRADE_NO}")


def _cells(line: bytes, encoding: str) -> list[str]:
    try:
        text = line.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"is no {'GBK' if encoding == 'gb18030' else 'UTF-8'} from byte {error.start + 1} on"
        ) from error
    # Parsed line by line, so that an unclosed quote does not swallow the following rows.
    [cells] = csv.reader([text.rstrip("\r")], strict=True)
    return cells


def _row(line: int, columns: Sequence[str], cells: Sequence[str]) -> BillRow:
    if len(cells) != len(columns):
        raise ValueError(f"has {len(cells)} values for {len(columns)} columns")
    values = {name: cell.strip() for name, cell in zip(columns, cells, strict=True)}
    kind = _KINDS.get(values[_KIND])
    if kind is None:
        raise ValueError(f"{_KIND} is neither 交易 nor 退款: {_quoted(values[_KIND])}")
    for name in (_TRADE_NO, _OUT_TRADE_NO):
        if not values[name]:
            raise ValueError(f"{name} is empty")
    return BillRow(
        line=line,
        kind=kind,
        trade_no=values[_TRADE_NO],
        out_trade_no=values[_OUT_TRADE_NO],
        request_no=(values[_REQUEST_NO] or None) if kind is MovementKind.REFUND else None,
        amount_fen=_amount(values[_AMOUNT], kind),
        finished_at=_moment(values[_FINISHED_AT]),
    )


def _amount(text: str, kind: MovementKind) -> int:
    """The amount in fen, without its sign; that must be minus for a refund, and only then."""
    match = _SIGNED_YUAN.fullmatch(text)
    if match is None:
        raise ValueError(f"the amount is no number of yuan with at most two places: {_quoted(text)}")
    sign, whole, fraction = match[1], int(match[2]), int((match[3] or "").ljust(2, "0"))
    fen = whole * 100 + fraction
    if fen == 0 or fen > MAX_TRADE_FEN:
        raise ValueError(f"the amount must be 0.01 to {format_yuan(MAX_TRADE_FEN)} yuan: {_quoted(text)}")
    if (sign == "-") != (kind is MovementKind.REFUND):
        raise ValueError(f"the amount of a {kind} cannot be {_quoted(text)}")
    return fen


def _moment(text: str) -> datetime:
    try:
        if not _TIME.fullmatch(text):
            raise ValueError(text)  # noqa: TRY301 - handled below together with strptime's ValueError
        return datetime.strptime(text, _TIME_FORMAT).replace(tzinfo=SHANGHAI).astimezone(UTC)
    except ValueError as error:
        raise ValueError(f"{_FINISHED_AT} is no time like 2026-11-22 20:15:00: {_quoted(text)}") from error


def _period(comments: Iterable[bytes], encoding: str) -> tuple[datetime | None, datetime | None]:
    """The period that the comments above the rows name, as `(since, until)` in UTC; Nones where there is none."""
    for line in comments:
        match = _PERIOD.search(line.decode(encoding, errors="replace"))
        if match is not None:
            try:
                since, until = (
                    datetime.strptime(text, _PERIOD_FORMAT).replace(tzinfo=SHANGHAI).astimezone(UTC)
                    for text in match.groups()
                )
            except ValueError:
                return None, None
            return since, until
    return None, None


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…")


def _reason(error: Exception) -> str:
    return f"cannot be read as comma-separated values: {error}" if isinstance(error, csv.Error) else str(error)
