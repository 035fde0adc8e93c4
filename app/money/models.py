"""Attempts to pay, notifications of the gateway, refunds, cases for staff, and what comparing each day's bill found."""

from datetime import date
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    ForeignKey,
    Index,
    SmallInteger,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.columns import Base, created_moment, fen, intpk, moment, not_negative, table_args


class PaymentState(StrEnum):
    """What we know of an attempt to pay."""

    OPEN = "open"  # the payer may still pay it
    PAID = "paid"
    CLOSED = "closed"  # closed at the gateway, or by its time; a late notification may still say that it was paid


class Payment(Base):
    """One attempt to pay an order at the gateway. `out_trade_no` is our number for it, `trade_no` the gateway's.

    At most one attempt of an order is open at a time.
    """

    __tablename__ = "payments"
    __table_args__ = table_args(
        not_negative("amount", "refunded_elsewhere"),
        CheckConstraint("refunded_elsewhere <= amount", name="refunded_at_most_once"),
        UniqueConstraint("order_id", "attempt"),
        CheckConstraint("state IN ('open', 'paid', 'closed')", name="state_known"),
        CheckConstraint("(state = 'paid') = (paid_at IS NOT NULL)", name="paid_has_a_moment"),
        Index("uq_payments_open_order", "order_id", unique=True, postgresql_where=text("state = 'open'")),
        # For the periodic job that queries the gateway about payments whose outcome it has not sent.
        Index("ix_payments_query_at", "query_at", postgresql_where=text("query_at IS NOT NULL")),
    )

    id: Mapped[intpk]
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("orders.id"))
    attempt: Mapped[int] = mapped_column(SmallInteger, default=1, server_default="1")
    state: Mapped[str] = mapped_column(String(10), default=PaymentState.OPEN.value, server_default="open")
    out_trade_no: Mapped[str] = mapped_column(String(64), unique=True)
    amount: Mapped[fen]
    # Fen that went back to the payer without us, at the gateway's console; no part of our refund.
    refunded_elsewhere: Mapped[fen] = mapped_column(default=0, server_default="0")
    trade_no: Mapped[str | None] = mapped_column(String(64))
    paid_at: Mapped[moment | None]
    query_at: Mapped[moment | None]  # when the gateway is queried next; None once nothing more can happen
    queries: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    checked_at: Mapped[moment | None]  # when the gateway was last asked whether a paid trade was refunded there
    created_at: Mapped[created_moment]


class GatewayNotification(Base):
    """A notification that reached us, believed or not; `refusal` says why not.

    Of one without the gateway's signature `fields` are only a few, shortened, and `digest` is the SHA-256 of the whole;
    most of them are not recorded at all (`app.orders.notification_records`).
    """

    __tablename__ = "gateway_notifications"
    __table_args__ = (
        Index("ix_gateway_notifications_out_trade_no", "out_trade_no"),
        # For deleting refused ones: they may come from anybody, so they are kept for a limited time.
        Index("ix_gateway_notifications_refused", "received_at", postgresql_where=text("refusal IS NOT NULL")),
    )

    id: Mapped[intpk]
    out_trade_no: Mapped[str] = mapped_column(String(64))
    trade_no: Mapped[str] = mapped_column(String(64))
    fields: Mapped[dict[str, Any]] = mapped_column(JSONB)
    digest: Mapped[str | None] = mapped_column(String(64))
    refusal: Mapped[str | None] = mapped_column(String(100))
    received_at: Mapped[created_moment]


class RefusedNotifications(Base):
    """How many notifications without the gateway's signature came from one network in one hour, which begins at `hour`.

    `origin` is as `app.origin.network_of` gives it.
    """

    __tablename__ = "refused_notifications"

    origin: Mapped[str] = mapped_column(String(50), primary_key=True)
    hour: Mapped[moment] = mapped_column(primary_key=True)
    refused: Mapped[int]


PAID_LATE: Final = "payment_late"
"""The reason of a refund that no event of the order caused: the payment came after the order was closed, or paid."""


class RefundState(StrEnum):
    """What the gateway says about a refund. A refused one waits for an operator (`flask outbox`); we still owe it."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    REFUSED = "refused"


class Refund(Base):
    """A refund to the buyer. The gateway pays once per `request_no`, so asking it twice is harmless."""

    __tablename__ = "refunds"
    __table_args__ = table_args(
        not_negative("amount"),
        CheckConstraint("state IN ('pending', 'confirmed', 'refused')", name="state_known"),
    )

    id: Mapped[intpk]
    payment_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("payments.id"), unique=True)
    request_no: Mapped[str] = mapped_column(String(64), unique=True)
    amount: Mapped[fen]
    reason: Mapped[str] = mapped_column(String(30))  # the order's event that sends the money back
    state: Mapped[str] = mapped_column(String(10), default=RefundState.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None] = mapped_column(String(200))
    # When the gateway was last asked without an answer that decides: it may make the refund for a while after that.
    undecided_at: Mapped[moment | None]
    # Confirmed by staff, who paid it themselves: the gateway's bill does not have it.
    paid_otherwise: Mapped[bool] = mapped_column(default=False, server_default="false")
    confirmed_at: Mapped[moment | None]
    created_at: Mapped[created_moment]


class RefundElsewhere(Base):
    """A refund of a payment that the gateway's bill has and we did not ask for: made in its console.

    `number` is the bill's, or moment and amount of a refund that has none. `Payment.refunded_elsewhere` is the sum of
    these, or what notifications say if that is more: they give totals only.
    """

    __tablename__ = "refunds_elsewhere"
    __table_args__ = table_args(not_negative("amount"))

    payment_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("payments.id"), primary_key=True)
    number: Mapped[str] = mapped_column(String(64), primary_key=True)
    amount: Mapped[fen]
    created_at: Mapped[created_moment]


class MoneyCaseKind(StrEnum):
    """What staff have to see to."""

    PAYOUT = "payout"  # a withdrawal of which the gateway does not say the last word, or that it refuses because of us
    REFUND = "refund"  # a refund that the gateway does not make
    SECOND_PAYMENT = "second_payment"  # a paid order was paid once more
    REFUND_ELSEWHERE = "refund_elsewhere"  # money of a paid order went back to the payer without us: its order is held
    BILL = "bill"  # a day's bill differs from our books, or cannot be had


class MoneyCase(Base):
    """Something about money that a person has to decide. `key` names its cause, so that it is opened once.

    `reason` says what happened, in English or by the gateway's code; `decision` how it was closed: what staff chose, or
    `settled` where the gateway's last word came in the end.
    """

    __tablename__ = "money_cases"
    __table_args__ = table_args(
        CheckConstraint(
            "kind IN ('payout', 'refund', 'second_payment', 'refund_elsewhere', 'bill')", name="kind_known"
        ),
        CheckConstraint("(closed_at IS NULL) = (decision IS NULL)", name="closed_by_a_decision"),
        Index("ix_money_cases_open", "id", postgresql_where=text("closed_at IS NULL")),
        Index("ix_money_cases_order_id", "order_id"),
    )

    id: Mapped[intpk]
    kind: Mapped[str] = mapped_column(String(20))
    key: Mapped[str] = mapped_column(String(200), unique=True)
    reason: Mapped[str] = mapped_column(String(300))
    order_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("orders.id"))
    payment_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("payments.id"))
    refund_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("refunds.id"))
    payout_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("payouts.id"))
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    decision: Mapped[str | None] = mapped_column(String(20))
    opened_at: Mapped[created_moment]
    closed_at: Mapped[moment | None]


class Reconciliation(Base):
    """What the comparison of a day's bill with our books found. `day` is one in Asia/Shanghai."""

    __tablename__ = "reconciliations"
    __table_args__ = table_args(not_negative("differences"))

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    differences: Mapped[int]
    report: Mapped[list[str]] = mapped_column(JSONB)
    finished_at: Mapped[created_moment]
