"""Reads of payments and refunds for operators: what a day's bill is compared with."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, String, and_, any_, case, cast, func, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.transactions import rows
from app.ledger.models import AccountKind, LedgerAccount, LedgerEntry, LedgerTransaction
from app.money.models import PAID_LATE, Payment, PaymentState, Refund, RefundState
from app.money.reconcile import MovementKind, OurMovement
from statemachine import OrderEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedMovement:
    """A payment or refund according to our tables, with its amount according to the ledger.

    The gateway moved the money between `since` and `movement.at` (UTC): for a payment both are the moment that it
    reported; for a refund, when we requested it and when it was confirmed. `ledger_fen` is the amount by which the
    movement's ledger transaction changed gateway_clearing, as a positive number; None without such a transaction.
    """

    movement: OurMovement
    since: datetime
    ledger_fen: int | None


def booked_movements(*, since: datetime, until: datetime, out_trade_nos: Collection[str]) -> list[BookedMovement]:
    """Paid payments and confirmed refunds that the gateway may have moved from `since` to before `until` (UTC).

    Also those of the trades in `out_trade_nos`, whenever they were moved; not what staff paid otherwise. In the order
    of their moments.
    """
    named = Payment.out_trade_no == any_(cast(list(out_trade_nos), ARRAY(String)))
    paid = select(
        literal(MovementKind.PAYMENT.value).label("kind"),
        Payment.out_trade_no,
        Payment.trade_no,
        literal(None, String).label("request_no"),
        Payment.amount,
        Payment.paid_at.label("since"),
        Payment.paid_at.label("at"),
        _gateway_clearing_change(
            case(
                (_paid_late(), LedgerTransaction.key == func.concat("payment:", Payment.id, ":late")),
                else_=and_(
                    LedgerTransaction.order_id == Payment.order_id, LedgerTransaction.kind == OrderEvent.PAY.value
                ),
            )
        ).label("ledger_fen"),
    ).where(
        Payment.state == PaymentState.PAID.value, or_(named, and_(Payment.paid_at >= since, Payment.paid_at < until))
    )
    refunded = (
        select(
            literal(MovementKind.REFUND.value),
            Payment.out_trade_no,
            Payment.trade_no,
            Refund.request_no,
            # What went back without us is in the bill under other numbers.
            Refund.amount - Payment.refunded_elsewhere,
            Refund.created_at,
            Refund.confirmed_at,
            -_gateway_clearing_change(LedgerTransaction.key == func.concat("refund:", Refund.id))
            - Payment.refunded_elsewhere,
        )
        .join(Payment, Payment.id == Refund.payment_id)
        .where(
            Refund.state == RefundState.CONFIRMED.value,
            ~Refund.paid_otherwise,  # the gateway did not move that
            Refund.amount > Payment.refunded_elsewhere,
            or_(named, and_(Refund.confirmed_at >= since, Refund.created_at < until)),
        )
    )
    return [
        BookedMovement(
            movement=OurMovement(
                kind=MovementKind(row.kind),
                out_trade_no=row.out_trade_no,
                request_no=row.request_no,
                amount_fen=row.amount,
                at=row.at,
                trade_no=row.trade_no,
            ),
            since=row.since,
            ledger_fen=None if row.ledger_fen is None else int(row.ledger_fen),
        )
        for row in rows(paid.union_all(refunded).order_by("at", "out_trade_no"))
    ]


def _paid_late() -> ColumnElement[bool]:
    late = select(Refund.id).where(Refund.payment_id == Payment.id, Refund.reason == PAID_LATE)
    return late.correlate(Payment).exists()


def _gateway_clearing_change(posting: ColumnElement[bool]) -> Any:  # a scalar subquery, whose type is private
    """By how much the ledger transactions that match `posting` increased gateway_clearing."""
    return (
        select(func.sum(LedgerEntry.amount))
        .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
        .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
        .where(LedgerAccount.kind == AccountKind.GATEWAY_CLEARING.value, posting)
        .correlate(Payment, Refund)
        .scalar_subquery()
    )
