"""A day's bill as Alipay offers it for download (业务明细): CSV in GBK, tabs after number-like values, in a ZIP."""

import csv
import io
import re
import secrets
import zipfile
from collections.abc import Iterable
from datetime import datetime
from threading import Lock

from .messages import BUYER_LOGON_ID
from .protocol import SHANGHAI, time_text, yuan
from .store import Refund, Trade

_COLUMNS = (
    *("支付宝交易号", "商户订单号", "业务类型", "商品名称", "创建时间", "完成时间"),
    *("门店编号", "门店名称", "操作员", "终端号", "对方账户"),
    *("订单金额（元）", "商家实收（元）", "支付宝红包（元）", "集分宝（元）", "支付宝优惠（元）", "商家优惠（元）"),
    *("券核销金额（元）", "券名称", "商家红包消费金额（元）", "卡消费金额（元）"),
    *("退款批次号/请求号", "服务费（元）", "分润（元）", "备注"),
)
_RULE = "#-----------------------------------------业务明细列表"


def render(
    movements: Iterable[tuple[Trade, Refund | None]], *, seller_id: str, since: float, until: float, now: float
) -> bytes:
    """The file's bytes, with a row per movement in the order given: a payment where the refund is None, or a refund.

    Times are seconds since 1970. Characters that GBK lacks become question marks. The gateway takes no fee.
    """
    rows = [_row(trade, refund) for trade, refund in movements]
    payments = [fen for fen, _ in rows if fen > 0]
    refunds = [fen for fen, _ in rows if fen < 0]
    text = io.StringIO(newline="")
    text.write("#支付宝业务明细查询\r\n")
    text.write(f"#账号：[{seller_id}0156]\r\n")
    text.write(f"#起始日期：[{_day_text(since)}]   终止日期：[{_day_text(until)}]\r\n")
    text.write(f"{_RULE}----------------------------------------\r\n")
    table = csv.writer(text)
    table.writerow(_COLUMNS)
    table.writerows(cells for _, cells in rows)
    text.write(f"{_RULE}结束------------------------------------\r\n")
    text.write(f"#交易合计：{len(payments)}笔，商家实收共{_signed(sum(payments))}元，商家优惠共0.00元\r\n")
    text.write(f"#退款合计：{len(refunds)}笔，商家实收退款共{_signed(sum(refunds))}元，商家优惠退款共0.00元\r\n")
    text.write(f"#导出时间：[{_day_text(now)}]\r\n")
    return text.getvalue().encode("gbk", errors="replace")


def _row(trade: Trade, refund: Refund | None) -> tuple[int, list[str]]:
    """The signed amount in fen, and the cells."""
    if refund is not None:
        kind, fen, moment, request_no = "退款", -refund.amount_fen, refund.refunded_at, refund.out_request_no
    elif trade.paid_at is not None:
        kind, fen, moment, request_no = "交易", trade.amount_fen, trade.paid_at, ""
    else:
        raise ValueError("only what was paid is on a bill")
    cells = [
        *(f"{trade.trade_no}\t", f"{trade.out_trade_no}\t", f"{kind}\t", trade.subject),
        *(time_text(trade.created_at), time_text(moment)),
        *("\t", "\t", "\t", "\t", f"*家({BUYER_LOGON_ID})\t"),
        *(_signed(fen), _signed(fen), "0.00", "0.00", "0.00", "0.00"),
        *("0.00", "", "0.00\t", "0.00"),
        *(f"{request_no}\t", "0.00", "0.00", ""),
    ]
    return fen, cells


def _signed(fen: int) -> str:
    return f"-{yuan(-fen)}" if fen < 0 else yuan(fen)


def _day_text(epoch: float) -> str:
    return f"{datetime.fromtimestamp(epoch, SHANGHAI):%Y年%m月%d日 %H:%M:%S}"


_ADDRESS_LIFETIME_S = 30
_READY_AT_S = (24 + 9) * 3600  # of its day: at nine in the next morning
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class Addresses:
    """The days behind the addresses that were given out; each holds for 30 seconds. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._given: dict[str, tuple[str, float]] = {}

    def add(self, day: str, *, now: float) -> str:
        """A new address's id for the bill of this day."""
        file_id = secrets.token_hex(16)
        with self._lock:
            self._given = {each: given for each, given in self._given.items() if now < given[1]}
            self._given[file_id] = (day, now + _ADDRESS_LIFETIME_S)
        return file_id

    def day_of(self, file_id: str, *, now: float) -> str | None:
        """The day of an address; None where there is none, or it ran out."""
        with self._lock:
            day, until = self._given.get(file_id, ("", now))
        return day if now < until else None


def is_day(text: str) -> bool:
    """Whether it has the form of a day's bill_date."""
    return _DAY.fullmatch(text) is not None


def is_ready(since: float, *, now: float, at_once: bool) -> bool:
    """Whether the bill of the day that begins at `since` is made: at nine in the next morning, or `at_once`."""
    return now >= since + (0 if at_once else _READY_AT_S)


class _GbkInfo(zipfile.ZipInfo):
    """A member whose name is GBK, without the flag that says UTF-8: as Alipay's archives have them."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 - zipfile's name
        return self.filename.encode("gbk"), self.flag_bits & ~0x800


def pack(bill: bytes, *, name: str) -> bytes:
    """The archive of a day's bill: the details, and a summary beside them."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        for kind, content in (("业务明细", bill), ("业务明细(汇总)", "#支付宝业务汇总查询\r\n".encode("gbk"))):
            members.writestr(_GbkInfo(f"{name}_{kind}.csv"), content, zipfile.ZIP_DEFLATED)
    return archive.getvalue()
