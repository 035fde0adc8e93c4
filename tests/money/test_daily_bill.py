"""The bill that is fetched: by command, and each morning by a job; what it says that we did not do is told to staff."""

import io
import zipfile
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update

from app.clock import SHANGHAI
from app.db.database import db
from app.money.gateway import gateway
from app.money.gateways.base import GatewayRefused, GatewayUnavailable
from app.money.gateways.bill_archives import bill_in
from app.money.models import MoneyCase, Payment, Reconciliation
from app.money.sandbox import day_bill
from app.orders import reconciliation
from app.orders.models import Order
from tasks.payments import reconcile_bills
from tests.money.conftest import AMOUNT
from tests.money.sandbox_server import fetch, fetch_bytes
from tests.money.test_payments_cli import Day, day, flask_payments  # noqa: F401 - a fixture


@pytest.fixture
def morning(day: Day, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: F811 - the fixture
    """The day after, at ten in Shanghai; `set(hours)` moves it."""

    def put(hours: float, days: int = 1) -> None:
        at = datetime.combine(date.fromisoformat(day.date) + timedelta(days=days), time(), SHANGHAI)
        monkeypatch.setattr(reconciliation, "utcnow", lambda: at + timedelta(hours=hours))

    put(10)
    return put


def compared(day: Day) -> list[tuple[str, int]]:  # noqa: F811 - the fixture
    with day.shop.app.app_context():
        found = db.session.scalars(select(Reconciliation).order_by(Reconciliation.day))
        return [(each.day.isoformat(), each.differences) for each in found]


def cases(day: Day) -> list[tuple[str, str]]:  # noqa: F811 - the fixture
    with day.shop.app.app_context():
        return [(each.kind, each.reason) for each in db.session.scalars(select(MoneyCase).order_by(MoneyCase.id))]


def run(day: Day) -> None:  # noqa: F811 - the fixture
    with day.shop.app.app_context():
        reconcile_bills()


def test_the_command_fetches_the_bill(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811 - the fixture
    assert flask_payments(day.shop.app, "reconcile", "--date", day.date) == (0, day.clean())
    # The day is not over, so there may be more in its bill.
    assert compared(day) == []
    tomorrow = date.fromisoformat(day.date) + timedelta(days=1)
    status, lines = flask_payments(day.shop.app, "reconcile", "--date", tomorrow.isoformat())
    assert (status, lines) == (3, [f"Error: the gateway has no bill of {tomorrow} yet"])
    for seconds, wanted in ((-1, []), (0, [(day.date, 0)])):
        at = datetime.combine(tomorrow, time(), SHANGHAI) + timedelta(seconds=seconds)
        monkeypatch.setattr(reconciliation, "utcnow", lambda at=at: at)
        assert flask_payments(day.shop.app, "reconcile", "--date", day.date)[0] == 0
        assert compared(day) == wanted


def test_each_morning_once(day: Day, morning: Any) -> None:  # noqa: F811 - the fixture
    morning(8.9)
    run(day)
    assert compared(day) == []
    morning(9)
    for _ in range(3):
        run(day)
    assert (compared(day), cases(day)) == ([(day.date, 0)], [])
    metrics = day.shop.client.get("/metrics").get_data(as_text=True)
    since = datetime.combine(date.fromisoformat(day.date), time(), SHANGHAI).timestamp()
    assert "saltfish_bill_differences 0.0" in metrics
    assert float(metrics.partition("\nsaltfish_bill_day_seconds ")[2].partition("\n")[0]) == since


def test_differences_are_a_case(day: Day, morning: Any) -> None:  # noqa: F811 - the fixture
    day.sql(update(Payment).where(Payment.out_trade_no == day.kept.order_no).values(amount=1))
    for _ in range(2):
        run(day)
    [(kind, reason)] = cases(day)
    assert (kind, compared(day)) == ("bill", [(day.date, 2)])
    assert reason.startswith("2 differences: line ")
    assert 'saltfish_money_cases{kind="bill"} 1.0' in day.shop.client.get("/metrics").get_data(as_text=True)


def test_the_last_comparison_counts(day: Day, morning: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811 - the fixture
    """The case follows what is found: no bill, one that cannot be read, one that differs, one that does not."""
    raw: list[bytes | None] = [None]
    with day.shop.app.app_context():
        monkeypatch.setattr(gateway(), "day_bill", lambda _: raw[0])

    def bills() -> list[tuple[str, str | None, int]]:
        with day.shop.app.app_context():
            found = db.session.scalars(select(MoneyCase).where(MoneyCase.key == f"bill:{day.date}"))
            return [
                (each.reason.partition(":")[0], each.decision, len(each.details.get("differences", ())))
                for each in found
            ]

    def command() -> tuple[int, list[tuple[str, int]], list[tuple[str, str | None, int]]]:
        return flask_payments(day.shop.app, "reconcile", "--date", day.date)[0], compared(day), bills()

    morning(0.5, days=2)
    run(day)
    assert (compared(day), bills()) == ([], [(f"the gateway has no bill of {day.date} yet", None, 0)])
    raw[0] = b"<html>"
    run(day)
    unreadable = (f"the bill of {day.date} cannot be read", None, 0)
    assert (compared(day), bills()) == ([], [unreadable])
    # Decided, it is not opened again by the next run, but the bill is asked for.
    day.sql(text("UPDATE money_cases SET decision = 'dismiss', closed_at = now()"))
    run(day)
    assert (compared(day), bills()) == ([], [(unreadable[0], "dismiss", 0)])
    whole = day.bill.read_bytes()
    _, line = day.line(f"{day.kept.order_no} 交易")
    raw[0] = whole.replace(f"{line}\r\n".encode("gbk"), b"")
    run(day)
    assert (compared(day), bills()) == ([(day.date, 1)], [("1 differences", None, 1)])
    # The same again is no news to who has decided about it; another difference is.
    day.sql(text("UPDATE money_cases SET decision = 'dismiss', closed_at = now()"))
    assert command() == (1, [(day.date, 1)], [("1 differences", "dismiss", 1)])
    _, other = day.line(f"{day.returned.order_no} 交易")
    raw[0] = raw[0].replace(f"{other}\r\n".encode("gbk"), b"")
    assert command() == (1, [(day.date, 2)], [("2 differences", None, 2)])
    raw[0] = whole
    assert command() == (0, [(day.date, 0)], [("2 differences", "settled", 2)])


def test_a_bill_that_does_not_come(day: Day, morning: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811 - the fixture
    with day.shop.app.app_context():
        monkeypatch.setattr(gateway(), "day_bill", lambda _: None)
    for hours in (9, 12, 23):
        morning(hours)
        run(day)
    assert (compared(day), cases(day)) == ([], [])
    morning(0.5, days=2)
    for _ in range(2):
        run(day)
    assert cases(day) == [("bill", f"the gateway has no bill of {day.date} yet")]
    with day.shop.app.app_context():
        monkeypatch.undo()
    # It is made up for.
    at = datetime.combine(date.fromisoformat(day.date) + timedelta(days=4), time(12), SHANGHAI)
    monkeypatch.setattr(reconciliation, "utcnow", lambda: at)
    with day.shop.app.app_context():
        assert date.fromisoformat(day.date) in reconciliation.reconcile_due_days()
    assert (day.date, 0) in compared(day)
    with day.shop.app.app_context():
        assert [each.decision for each in db.session.scalars(select(MoneyCase))] == ["settled"]


@pytest.mark.parametrize("refusal", [True, False], ids=["refused", "silent"])
def test_a_gateway_that_does_not_answer_has_not_said_that_there_is_no_bill(
    day: Day,  # noqa: F811 - the fixture
    morning: Any,
    monkeypatch: pytest.MonkeyPatch,
    refusal: bool,
) -> None:
    """Also of a day of which our books have nothing: money may have moved without us."""
    error = GatewayRefused("40006", "isv.x", "…") if refusal else GatewayUnavailable("TimeoutError")

    def fails(_: date) -> bytes:
        raise error

    with day.shop.app.app_context():
        monkeypatch.setattr(gateway(), "day_bill", fails)
    empty = date.fromisoformat(day.date) + timedelta(days=1)
    morning(12, days=3)
    run(day)
    assert (compared(day), [reason for _, reason in cases(day)]) == (
        [],
        [f"the gateway does not give the bill of {each}: {error}" for each in (day.date, empty)],
    )
    # Once it says that there is none, nothing is missing.
    with day.shop.app.app_context():
        monkeypatch.setattr(gateway(), "day_bill", lambda _: None)
    run(day)
    assert compared(day) == [(empty.isoformat(), 0)]


def test_what_was_done_without_us_is_found_in_the_bill(day: Day, morning: Any) -> None:  # noqa: F811 - the fixture
    shop = day.shop
    shop.sandbox.gateway().refund(
        out_trade_no=day.kept.order_no, amount_fen=10000, out_request_no="CONSOLE1", reason="手工退款"
    )
    run(day)
    assert compared(day) == [(day.date, 1)]
    assert [kind for kind, _ in cases(day)] == ["refund_elsewhere", "bill"]
    with shop.app.app_context():
        assert db.session.get_one(Order, day.kept.order_id).held_at is not None
    # Once staff have decided, it is no difference any more.
    day.sql(text("UPDATE money_cases SET decision = 'continue', closed_at = now() WHERE kind = 'refund_elsewhere'"))
    status, lines = flask_payments(shop.app, "reconcile", "--date", day.date)
    assert status == 0
    assert lines[0].startswith("decided by staff: line ")
    assert [kind for kind, _ in cases(day)] == ["refund_elsewhere", "bill"]


def test_a_second_payment_is_found_in_the_bill(day: Day) -> None:  # noqa: F811 - the fixture
    number, line = day.line(f"{day.kept.order_no} 交易")
    other = line.replace(line.split(",")[0], "2026112922001400000000009999\t")
    day.change(f"{line}\r\n", f"{other}\r\n{line}\r\n")
    status, lines = day.reconcile()
    assert (status, lines[0].startswith(f"line {number}: payment of trade {day.kept.order_no}")) == (1, True)
    assert lines[0].endswith("stands once more in the bill")
    assert [kind for kind, _ in cases(day)] == ["second_payment"]
    day.change(f"{line}\r\n", "")
    status, lines = day.reconcile()
    assert (lines[0].endswith("yuan is not in our books"), lines[1].endswith("yuan is not in the bill")) == (True, True)
    assert [kind for kind, _ in cases(day)] == ["second_payment"]


def test_the_refund_of_a_second_payment_is_found_in_the_bill(day: Day) -> None:  # noqa: F811 - the fixture
    _, paid = day.line(f"{day.kept.order_no} 交易")
    _, refunded = day.line(f"{day.returned.order_no} 退款")
    other = "2026112922001400000000009999\t"
    second = paid.replace(paid.split(",")[0], other)
    back = refunded.replace(refunded.split(",")[0], other).replace(f"{day.returned.order_no}_R1", "CONSOLE1")
    back = back.replace(day.returned.order_no, day.kept.order_no)
    day.change(f"{paid}\r\n", f"{paid}\r\n{second}\r\n{back}\r\n")
    for _ in range(2):
        assert day.reconcile()[0] == 1
        assert [kind for kind, _ in cases(day)] == ["second_payment"]
    with day.shop.app.app_context():
        case = db.session.scalars(select(MoneyCase)).one()
        assert (case.decision, case.details["refunds"]) == ("settled", {"CONSOLE1": AMOUNT})
        assert db.session.get_one(Order, day.kept.order_id).held_at is None
        assert set(db.session.scalars(select(Payment.refunded_elsewhere))) == {0}


@pytest.mark.parametrize(
    ("told", "steps"),
    [
        ([], [4000, 7000]),  # the bill is the first that says so
        ([("CONSOLE2", "70.00")], [7000]),  # the first one's notification was lost
        ([("CONSOLE2", "70.00"), ("CONSOLE1", "40.00")], [7000]),  # or came after the second one's
        ([("CONSOLE1", "40.00"), ("CONSOLE2", "70.00")], [4000, 7000]),
        ([("CONSOLE1", "40.00")], [4000, 7000]),  # the second one's was lost
    ],
)
def test_refunds_elsewhere_count_once(day: Day, told: list[tuple[str, str]], steps: list[int]) -> None:  # noqa: F811 - the fixture
    shop = day.shop
    form = shop.letter(day.kept.order_no)
    for number, total in told:
        assert shop.notify(shop.sign(form, refund_fee=total, out_biz_no=number, notify_id=number)) == "success"
    _, refunded = day.line(f"{day.returned.order_no} 退款")
    trades = [day.line(f"{each.order_no} 交易")[1].split(",")[0] for each in (day.returned, day.kept)]
    assert refunded.count("-2600.00") > 0
    of_kept = refunded.replace(trades[0], trades[1]).replace(f"{day.returned.order_no}_R1", "CONSOLE1")
    of_kept = of_kept.replace(day.returned.order_no, day.kept.order_no).replace("2600.00", "40.00")
    second = of_kept.replace("CONSOLE1", "CONSOLE2").replace("40.00", "30.00")
    day.change(f"{refunded}\r\n", f"{refunded}\r\n{of_kept}\r\n{second}\r\n")
    for _ in range(2):
        day.reconcile()
        with shop.app.app_context():
            of_order = select(Payment.refunded_elsewhere).where(Payment.order_id == day.kept.order_id)
            assert db.session.scalars(of_order).one() == 7000
            found = db.session.scalars(select(MoneyCase).order_by(MoneyCase.id))
            assert [each.details["total"] for each in found if each.kind == "refund_elsewhere"] == steps


def test_refunds_that_have_no_number_count_each(day: Day) -> None:  # noqa: F811 - the fixture
    """Of the same trade, and of a second payment under our number: none hides another one."""
    shop = day.shop
    _, refunded = day.line(f"{day.returned.order_no} 退款")
    trades = [day.line(f"{each.order_no} 交易")[1].split(",")[0] for each in (day.returned, day.kept)]
    cells = refunded.replace(trades[0], trades[1]).replace(day.returned.order_no, day.kept.order_no).split(",")
    columns = day.line("支付宝交易号 商户订单号")[1].split(",")

    def line(amount: str, seconds: str, trade_no: str = trades[1]) -> str:
        changed = dict(zip(columns, cells, strict=True)) | {
            "支付宝交易号": trade_no,
            "完成时间": f"{day.date} 00:00:{seconds}",
            "订单金额（元）": f"-{amount}",
            "退款批次号/请求号": "\t",
        }
        return ",".join(changed.values())

    second = "2026112922001400000000009999\t"
    # Two of each trade in the same second; some look alike, one of them of the second payment.
    ours = [line("40.00", "01"), line("30.00", "01"), line("40.00", "02")]
    lines = [*ours, line("40.00", "03", second), line("6.00", "03", second)]
    day.change(f"{refunded}\r\n", "".join(f"{each}\r\n" for each in (refunded, *lines, lines[0])))
    for _ in range(2):
        assert day.reconcile()[0] == 1
        with shop.app.app_context():
            of_order = select(Payment.refunded_elsewhere).where(Payment.order_id == day.kept.order_id)
            assert db.session.scalars(of_order).one() == 11000
            found = {each.kind: each.details for each in db.session.scalars(select(MoneyCase).order_by(MoneyCase.id))}
            assert found["refund_elsewhere"]["total"] == 11000
            assert sorted(found["second_payment"]["refunds"].values()) == [600, 4000]
            ids = [
                each.id for each in db.session.scalars(select(MoneyCase).order_by(MoneyCase.id)) if "at" in each.details
            ]
    # What staff have decided is no difference any more. What stands there twice stays one: it is counted once. Cases of
    # earlier versions know no moment, so of those that look alike none is set aside before all are decided.
    for steps in (
        [(4000, ids[:1]), (7000, ids[:2]), (11000, ids)],
        [(4000, []), (7000, ids[1:2]), (11000, ids)],
    ):
        for total, named in steps:
            decided = text(
                "UPDATE money_cases SET decision = 'continue', closed_at = now() WHERE details->>'total' = :total"
            )
            day.sql(decided.bindparams(total=str(total)))
            status, printed = day.reconcile()
            notes = [each for each in printed if each.startswith("decided by staff: ")]
            assert status == 1
            assert sorted(int(each.rpartition(" ")[2]) for each in notes) == named
            assert printed[-1] == f"differences: {6 - len(named)}"
        day.sql(text("UPDATE money_cases SET decision = NULL, closed_at = NULL, details = details - 'at'"))


# --- the sandbox's own part ---


def test_the_address_holds_for_thirty_seconds_and_leads_to_an_archive(day: Day) -> None:  # noqa: F811 - the fixture
    gateway = day.shop.sandbox.gateway()
    answer = gateway._call(
        "alipay.data.dataservice.bill.downloadurl.query", {"bill_type": "trade", "bill_date": day.date}
    )
    with zipfile.ZipFile(io.BytesIO(fetch_bytes(answer["bill_download_url"])), metadata_encoding="gbk") as archive:
        compact = day.date.replace("-", "")
        assert archive.namelist() == [
            f"20880000000000010156_{compact}_业务明细.csv",
            f"20880000000000010156_{compact}_业务明细(汇总).csv",
        ]
        assert archive.read(archive.namelist()[0]).startswith("#支付宝业务明细查询\r\n".encode("gbk"))
    forged = answer["bill_download_url"][:-1] + "x"
    assert fetch(forged).status == 404
    for content in ({"bill_type": "trade", "bill_date": "2026-11"}, {"bill_type": "x", "bill_date": day.date}):
        with pytest.raises(Exception, match="INVAILID_ARGUMENTS"):
            gateway._call("alipay.data.dataservice.bill.downloadurl.query", content)


def test_addresses_run_out_and_bills_are_made_at_nine() -> None:
    addresses = day_bill.Addresses()
    file_id = addresses.add("2026-11-22", now=100.0)
    assert [addresses.day_of(file_id, now=now) for now in (100.0, 129.9, 130.0)] == ["2026-11-22", "2026-11-22", None]
    assert addresses.day_of("other", now=100.0) is None
    since = datetime(2026, 11, 22, tzinfo=SHANGHAI).timestamp()
    nine = datetime(2026, 11, 23, 9, tzinfo=SHANGHAI).timestamp()
    assert not day_bill.is_ready(since, now=nine - 1, at_once=False)
    assert day_bill.is_ready(since, now=nine, at_once=False)
    assert day_bill.is_ready(since, now=since, at_once=True)
    assert not day_bill.is_ready(since, now=since - 1, at_once=True)


def test_an_archive_that_is_none() -> None:
    whole = day_bill.pack(b"bill", name="x")
    assert bill_in(whole) == b"bill"
    damaged = day_bill.pack(b"bill" * 99, name="x")
    damaged = damaged[:45] + b"\xff\xff\xff" + damaged[48:]
    for packed in (b"", b"PK\x03\x04", b"<html>", whole[:-30], damaged):
        with pytest.raises(ValueError, match=r"^it is no such archive"):
            bill_in(packed)
    with zipfile.ZipFile(other := io.BytesIO(), "w") as members:
        members.writestr("x_业务明细(汇总).csv", b"sum")
    with pytest.raises(ValueError, match=r"^the archive has 0 files 业务明细$"):
        bill_in(other.getvalue())
