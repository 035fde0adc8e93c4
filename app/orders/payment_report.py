"""Everything recorded about the money of one order, for operators (`flask payments show`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, Subquery, select

from app.db.transactions import row_or_none, rows
from app.ledger.models import LedgerAccount, LedgerEntry, LedgerTransaction
from app.money.models import GatewayNotification, Payment, Refund
from app.orders.models import Order

_NOTIFICATIONS_SHOWN: Final = 100  # anybody can send notifications, so refused ones may be many


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentReport:
    """Everything recorded about the money of one order: rows of the tables concerned, oldest first.

    `notifications` are the latest only, refused ones included; `entries` have key, at, account_kind, user_id and amount
    (fen).
    """

    order: Row[Any]
    payments: Sequence[Row[Any]]
    refunds: Sequence[Row[Any]]
    notifications: Sequence[Row[Any]]
    entries: Sequence[Row[Any]]


def payment_report(order_no: str) -> PaymentReport | None:
    """The report on the order with this number; None where there is no such order."""
    order = row_or_none(select(Order.__table__).where(Order.order_no == order_no))
    if order is None:
        return None
    payments = rows(select(Payment.__table__).where(Payment.order_id == order.id).order_by(Payment.attempt))
    refunds = (
        select(Refund.__table__)
        .join(Payment, Payment.id == Refund.payment_id)
        .where(Payment.order_id == order.id)
        .order_by(Refund.id)
    )
    last: Subquery = (
        select(GatewayNotification.__table__)
        .where(GatewayNotification.out_trade_no.in_([payment.out_trade_no for payment in payments]))
        .order_by(GatewayNotification.id.desc())
        .limit(_NOTIFICATIONS_SHOWN)
        .subquery()
    )
    entries = (
        select(
            LedgerTransaction.key,
            LedgerTransaction.at,
            LedgerAccount.kind.label("account_kind"),
            LedgerAccount.user_id,
            LedgerEntry.amount,
        )
        .join(LedgerEntry, LedgerEntry.transaction_id == LedgerTransaction.id)
        .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
        .where(LedgerTransaction.order_id == order.id)
        .order_by(LedgerEntry.id)
    )
    return PaymentReport(
        order=order,
        payments=payments,
        refunds=rows(refunds),
        notifications=rows(select(last).order_by(last.c.id)),
        entries=rows(entries),
    )
