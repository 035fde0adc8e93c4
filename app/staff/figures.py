"""The numbers of a day: what happened, hour by hour, and beside the days before. Days are Shanghai's."""

from datetime import date, datetime, time, timedelta
from typing import Any, Final

from sqlalchemy import Row, func, literal_column, select

from app.accounts.models import User
from app.clock import SHANGHAI, utcnow
from app.db.transactions import row_or_none, rows
from app.fen import format_yuan
from app.goods.models import Good, ReviewCase
from app.money.models import MoneyCase, Payment, Refund
from app.orders.models import Dispute, Order
from app.outbox.models import OutboxMessage
from app.staff.schemas import DayFiguresOut, FiguresOut, FiguresQuery, HourFiguresOut, WaitingOut
from app.wallet.models import Payout
from statemachine import GoodStatus

DAYS_SHOWN: Final = 14

_SOURCES: Final[dict[str, tuple[Any, Any]]] = {
    "users": (User.created_at, func.count()),
    "goods": (Good.created_at, func.count()),
    "orders": (Order.created_at, func.count()),
    "paid_orders": (Payment.paid_at, func.count()),
    "paid_amount": (Payment.paid_at, func.sum(Payment.amount)),
    "refunds": (Refund.confirmed_at, func.count()),
    "refunded_amount": (Refund.confirmed_at, func.sum(Refund.amount)),
    "disputes": (Dispute.created_at, func.count()),
    "withdrawals": (Payout.created_at, func.count()),
}
"""By the name of a number: the moment that says when it happened, and what is counted or added up."""

_HOURLY: Final = ("orders", "paid_orders", "goods")


def figures(query: FiguresQuery) -> FiguresOut:
    """The numbers of a day, of its hours, and of the fourteen days that end with it; and what waits for staff now."""
    day = query.day or utcnow().astimezone(SHANGHAI).date()
    days = [day - timedelta(days=back) for back in reversed(range(DAYS_SHOWN))]
    by_day = {name: _summed(name, since=days[0], until=day, step="day") for name in _SOURCES}
    by_hour = {name: _summed(name, since=day, until=day, step="hour") for name in _HOURLY}
    listed = [_day_out(each, by_day) for each in days]
    return {
        "day": listed[-1],
        "before": listed[-2],
        "hours": [_hour_out(day, hour, by_hour) for hour in range(24)],
        "days": listed,
        "waiting": _waiting(),
    }


def _summed(name: str, *, since: date, until: date, step: str) -> dict[datetime, int]:
    """One number for each day or hour, by its beginning (naive, in Shanghai), from `since` to the end of `until`."""
    moment, number = _SOURCES[name]
    begin = func.date_trunc(literal_column(f"'{step}'"), func.timezone("Asia/Shanghai", moment))
    statement = (
        select(begin.label("begin"), number.label("number"))
        .where(moment >= _midnight(since), moment < _midnight(until + timedelta(days=1)))
        .group_by(literal_column("1"))
    )
    return {row.begin: int(row.number or 0) for row in rows(statement)}


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), SHANGHAI)


def _day_out(day: date, numbers: dict[str, dict[datetime, int]]) -> DayFiguresOut:
    found = {name: counts.get(datetime.combine(day, time()), 0) for name, counts in numbers.items()}
    return {
        "day": day.isoformat(),
        "users": found["users"],
        "goods": found["goods"],
        "orders": found["orders"],
        "paid_orders": found["paid_orders"],
        "paid_amount": format_yuan(found["paid_amount"]),
        "refunds": found["refunds"],
        "refunded_amount": format_yuan(found["refunded_amount"]),
        "disputes": found["disputes"],
        "withdrawals": found["withdrawals"],
    }


def _hour_out(day: date, hour: int, numbers: dict[str, dict[datetime, int]]) -> HourFiguresOut:
    begin = datetime.combine(day, time(hour))
    return {
        "hour": hour,
        "orders": numbers["orders"].get(begin, 0),
        "paid_orders": numbers["paid_orders"].get(begin, 0),
        "goods": numbers["goods"].get(begin, 0),
    }


def _count(model: Any, *conditions: Any) -> Any:
    return select(func.count()).select_from(model).where(*conditions).scalar_subquery()


_WAITING: Final = select(
    _count(Dispute, Dispute.ended_at.is_(None)).label("disputes"),
    _count(MoneyCase, MoneyCase.closed_at.is_(None)).label("money_cases"),
    _count(Good, Good.status == literal_column(str(GoodStatus.IN_REVIEW.value)), ~Good.deleted, ~Good.taken_down).label(
        "goods_in_review"
    ),
    _count(ReviewCase, ReviewCase.closed_at.is_(None)).label("review_cases"),
    _count(OutboxMessage, OutboxMessage.dead_at.is_not(None)).label("dead_messages"),
)


def _waiting() -> WaitingOut:
    found: Row[Any] | None = row_or_none(_WAITING)
    assert found is not None  # noqa: S101 - a select without FROM has one row
    return {
        "disputes": found.disputes,
        "money_cases": found.money_cases,
        "goods_in_review": found.goods_in_review,
        "review_cases": found.review_cases,
        "dead_messages": found.dead_messages,
    }
