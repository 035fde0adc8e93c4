"""Comparing a day's bill of the gateway with our books, by an operator's command or each morning, and telling of it.

What the bill has and we did not make (refunds in the gateway's console, second payments) becomes a case for staff
(`app.money.cases`), once.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from app.clock import SHANGHAI, format_moment, utcnow
from app.db.transactions import row_or_none, rows, transaction
from app.fen import format_signed_yuan, format_yuan
from app.money.cases import SETTLED, close_case, open_case
from app.money.gateway import gateway
from app.money.gateways.base import GatewayRefused, GatewayUnavailable
from app.money.models import MoneyCase, MoneyCaseKind, Payment, PaymentState, Reconciliation
from app.money.queries import BookedMovement, booked_movements
from app.money.reconcile import (
    BillDifference,
    BillDifferenceKind,
    DayBill,
    MovementKind,
    compare,
    read_day_bill,
)
from app.orders.payments import note_refund, open_second_payment
from app.orders.transitions import lock_order

log = structlog.get_logger(__name__)

BILL_READY_AT: Final = time(9)
"""From when on, in Shanghai, the bill of the day before can be had. Alipay: 当日数据一般于次日 9 点前生成."""

_CAUGHT_UP_DAYS: Final = 7
"""Days for which a missing comparison is made up for, after the product was down."""
_LINES_KEPT: Final = 200
_NOT_OURS: Final = (BillDifferenceKind.MISSING_HERE, BillDifferenceKind.DOUBLED)
_DAY: Final = "%Y-%m-%d"


class NoBill(Exception):  # noqa: N818 - says what happened
    """There is no bill of this day at the gateway (yet)."""


class NoAnswerAboutBill(NoBill):
    """The gateway does not say whether there is a bill of this day: it refuses the question, or is silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What comparing a bill with our books found: `differences` and `notes` (no differences) are lines to print."""

    since: datetime
    until: datetime
    differences: tuple[str, ...]
    notes: tuple[str, ...]
    totals: tuple[str, ...]

    @property
    def lines(self) -> list[str]:
        """All of it, as `flask payments reconcile` prints it."""
        return [
            *self.differences,
            *self.notes,
            f"{format_moment(self.since)} to {format_moment(self.until)}",
            *self.totals,
            f"differences: {len(self.differences)}",
        ]


def fetch_day_bill(day: date) -> DayBill:
    """The day's bill from the gateway. Raises NoBill, NoAnswerAboutBill; ValueError where what came is no such bill."""
    try:
        raw = gateway().day_bill(day)
    except (GatewayUnavailable, GatewayRefused) as error:
        raise NoAnswerAboutBill(f"the gateway does not give the bill of {day}: {error}") from error
    if raw is None:
        raise NoBill(f"the gateway has no bill of {day} yet")
    return with_day(read_day_bill(raw), day)


def with_day(bill: DayBill, day: date) -> DayBill:
    """The bill with `day` filled in if it names none; ValueError where it names another day."""
    since = _start_of(day)
    if bill.since is None:
        return replace(bill, since=since, until=since + timedelta(days=1))
    if bill.since != since:
        raise ValueError(f"it begins at {format_moment(bill.since)}, not on {day:{_DAY}}")
    return bill


def compare_with_books(bill: DayBill) -> Comparison:
    """Compare a bill that names its period with our payments and refunds, and those with the ledger.

    Opens a case for each refund and second payment in it that we did not make.
    """
    if bill.since is None or bill.until is None:
        raise ValueError("the bill does not say which day it is about")
    booked = booked_movements(since=bill.since, until=bill.until, out_trade_nos={row.out_trade_no for row in bill.rows})
    found = compare(bill, [each.movement for each in booked])
    _open_cases(found)
    real, notes = _set_aside_decided(*_set_aside_undecided(found, booked, bill.since))
    within = [each.movement for each in booked if bill.since <= each.movement.at < bill.until]
    return Comparison(
        since=bill.since,
        until=bill.until,
        differences=(*map(str, bill.problems), *map(str, real), *_ledger_differences(booked)),
        notes=tuple(notes),
        totals=tuple(
            f"{kind}s: {_total(row.amount_fen for row in bill.rows if row.kind is kind)} in the bill,"
            f" {_total(movement.amount_fen for movement in within if movement.kind is kind)} in our books"
            for kind in MovementKind
        ),
    )


def _open_cases(differences: Iterable[BillDifference]) -> None:
    for difference in differences:
        # Refunds without a number, or of another trade, stand beside each other as doubled ones; each counts once.
        if difference.kind in _NOT_OURS and difference.movement is MovementKind.REFUND:
            _note_refund(difference)
        elif difference.movement is MovementKind.PAYMENT and difference.trade_no is not None:
            _note_second_payment(difference)


def _note_refund(difference: BillDifference) -> None:
    with transaction() as session:
        payment_id, order_id = _payment_of(difference.out_trade_no)
        if payment_id is None or order_id is None or difference.bill_fen is None or difference.trade_no is None:
            return
        _, order = lock_order(session, order_id)
        payment = session.get_one(Payment, payment_id, with_for_update={"key_share": True}, populate_existing=True)
        note_refund(
            session,
            order,
            payment,
            trade_no=difference.trade_no,
            request_no=difference.request_no,
            amount=difference.bill_fen,
            total=None,
            at=difference.at,
        )


def _note_second_payment(difference: BillDifference) -> None:
    with transaction() as session:
        payment_id, _ = _payment_of(difference.out_trade_no)
        if payment_id is None:
            return
        payment = session.get_one(Payment, payment_id)
        if payment.state == PaymentState.PAID.value and payment.trade_no not in (None, difference.trade_no):
            assert difference.trade_no is not None  # noqa: S101 - asked above
            open_second_payment(session, payment, trade_no=difference.trade_no, is_refunded=False)


def _payment_of(out_trade_no: str) -> tuple[int | None, int | None]:
    row = row_or_none(select(Payment.id, Payment.order_id).where(Payment.out_trade_no == out_trade_no))
    return (None, None) if row is None else (row.id, row.order_id)


def _set_aside_undecided(
    differences: Iterable[BillDifference], booked: Iterable[BookedMovement], since: datetime
) -> tuple[list[BillDifference], list[str]]:
    """`(differences, notes)`: refunds that the gateway may have made before the bill's day are set aside.

    Those may be in the bill of an earlier day; `notes` has a line about each.
    """
    requested = {
        (each.movement.kind, each.movement.out_trade_no, each.movement.request_no): each.since for each in booked
    }
    real, notes = [], []
    for difference in differences:
        requested_at = requested.get((difference.movement, difference.out_trade_no, difference.request_no))
        if difference.kind is BillDifferenceKind.MISSING_THERE and requested_at is not None and requested_at < since:
            days = f"{requested_at.astimezone(SHANGHAI):{_DAY}} to {difference.at.astimezone(SHANGHAI):{_DAY}}"
            notes.append(f"no difference yet: {difference}; it must be in one of the bills of {days}")
        else:
            real.append(difference)
    return real, notes


def _set_aside_decided(differences: list[BillDifference], notes: list[str]) -> tuple[list[BillDifference], list[str]]:
    """As above for refunds made elsewhere that staff have decided about.

    Each case accounts for one line: what stands there twice stays a difference. Of several of a trade that look alike,
    as their cases know no moment, none is set aside before all are decided.
    """
    elsewhere = [each for each in differences if each.kind in _NOT_OURS and each.movement is MovementKind.REFUND]
    if not elsewhere:
        return differences, notes
    statement = (
        select(MoneyCase.id, MoneyCase.decision, MoneyCase.details)
        .where(
            MoneyCase.kind == MoneyCaseKind.REFUND_ELSEWHERE.value,
            MoneyCase.details["out_trade_no"].astext.in_({each.out_trade_no for each in elsewhere}),
        )
        .order_by(MoneyCase.id)
    )
    cases: dict[tuple[object, ...], list[Any]] = defaultdict(list)
    for row in rows(statement):
        cases[tuple(row.details.get(name) for name in _ABOUT)].append(row)
    real = []
    for each in differences:
        case = _take_decided_case(each, cases) if each in elsewhere else None
        if case is None:
            real.append(each)
        else:
            notes.append(f"decided by staff: {each}; case {case.id}")
    return real, notes


_ABOUT: Final = ("out_trade_no", "trade_no", "request_no", "amount", "at")
"""What a line of a bill and the details of a case about it have in common."""


def _take_decided_case(difference: BillDifference, cases: dict[tuple[object, ...], list[Any]]) -> Any:
    """The case that accounts for this line, taken out of `cases`, which are by `_ABOUT`; None where there is none."""
    about = (difference.out_trade_no, difference.trade_no, difference.request_no, difference.bill_fen)
    # What a notification told has no moment, nor have cases of earlier versions.
    for at in (format_moment(difference.at), None):
        alike = cases[*about, at]
        if any(case.decision is None for case in alike):
            return None
        if alike:
            return alike.pop(0)
    return None


def _ledger_differences(booked: Iterable[BookedMovement]) -> Iterator[str]:
    """A line for each movement that the ledger lacks, or has with another amount."""
    for each in booked:
        movement = each.movement
        if each.ledger_fen == movement.amount_fen:
            continue
        number = "" if movement.request_no is None else f" {movement.request_no}"
        about = f"{movement.kind}{number} of trade {movement.out_trade_no} at {format_moment(movement.at)}"
        ours = format_yuan(movement.amount_fen)
        if each.ledger_fen is None:
            yield f"{about} over {ours} yuan is not in the ledger"
        else:
            in_ledger = format_signed_yuan(each.ledger_fen)
            yield f"{about} is over {ours} yuan in our books and over {in_ledger} yuan in the ledger"


def _total(amounts: Iterable[int]) -> str:
    fen = list(amounts)
    return f"{len(fen)} over {format_yuan(sum(fen))} yuan"


# --- each morning ---


def reconcile_due_days() -> list[date]:
    """Compare the bills that are due and have not been compared; returns their days. For the periodic job.

    Due is the bill of yesterday from `BILL_READY_AT` on, and those of the days before that were missed. A bill that is
    not there yet, or cannot be read, is asked for again by the next run; a case for staff is opened for the former a
    day late, for the latter at once.
    """
    now = utcnow().astimezone(SHANGHAI)
    today = now.date()
    if now.time() < BILL_READY_AT:
        today -= timedelta(days=1)  # yesterday's is not due yet
    days = [today - timedelta(days=ago) for ago in range(_CAUGHT_UP_DAYS, 0, -1)]
    first = _first_day()
    done = {row.day for row in rows(select(Reconciliation.day).where(Reconciliation.day >= days[0]))}
    return [day for day in days if first is not None and day >= first and day not in done and _reconcile(day)]


def _first_day() -> date | None:
    """The day of the first payment; None while there is none."""
    row = row_or_none(select(func.min(Payment.paid_at).label("at")))
    return None if row is None or row.at is None else row.at.astimezone(SHANGHAI).date()


def _reconcile(day: date) -> bool:
    try:
        comparison = compare_with_books(fetch_day_bill(day))
    except NoBill as error:
        log.warning("no_bill", day=day.isoformat(), reason=str(error))
        since = _start_of(day)
        if utcnow() >= since + timedelta(days=2):
            if not isinstance(error, NoAnswerAboutBill) and not booked_movements(
                since=since, until=since + timedelta(days=1), out_trade_nos=()
            ):
                # Alipay makes no bill of a day on which nothing moved, and says so.
                return record_comparison(day, (), [f"there is no bill, and nothing in our books, of {day}"])
            _tell_of_no_comparison(day, str(error))
        return False
    except ValueError as error:
        log.warning("bill_unreadable", day=day.isoformat(), reason=str(error))
        _tell_of_no_comparison(day, f"the bill of {day} cannot be read: {error}")
        return False
    return record_comparison(day, comparison.differences, comparison.lines)


def _tell_of_no_comparison(day: date, reason: str) -> None:
    with transaction() as session:
        open_case(
            session, kind=MoneyCaseKind.BILL, key=_case_key(day), reason=reason, details=_details(day), renew=True
        )


def record_comparison(day: date, differences: Iterable[str], report: Iterable[str]) -> bool:
    """Record what comparing the bill of a day found, in place of what an earlier comparison did; whether it was done.

    Nothing is recorded of a day that is not over: its bill is not whole. Where the bill differs there is a case, open
    again if the differences are others than those it was closed with; where it does not, an open one is closed.
    """
    found = list(differences)
    now = utcnow()
    if now < _start_of(day) + timedelta(days=1):
        return False
    recorded = {
        "differences": len(found),
        "report": list(report or found)[:_LINES_KEPT],
        "finished_at": now,
    }
    with transaction() as session:
        session.execute(
            insert(Reconciliation)
            .values(day=day, **recorded)
            .on_conflict_do_update(index_elements=[Reconciliation.day], set_=recorded)
        )
        if found:
            details = _details(day, found[:_LINES_KEPT])
            told = session.scalar(select(MoneyCase.details).where(MoneyCase.key == _case_key(day)))
            open_case(
                session,
                kind=MoneyCaseKind.BILL,
                key=_case_key(day),
                reason=f"{len(found)} differences: {found[0]}",
                details=details,
                reopen=told != details,
            )
        else:
            close_case(session, _case_key(day), decision=SETTLED)
    if found:
        log.error("bill_differs", day=day.isoformat(), differences=len(found))
    else:
        log.info("bill_compared", day=day.isoformat())
    return True


def _start_of(day: date) -> datetime:
    return datetime.combine(day, time(), SHANGHAI)


def _case_key(day: date) -> str:
    return f"bill:{day}"


def _details(day: date, differences: list[str] | None = None) -> dict[str, object]:
    of_day: dict[str, object] = {"day": day.isoformat()}
    return of_day if differences is None else of_day | {"differences": differences}
