"""Payments, what the gateway told us, and refunds."""

from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.columns import Base, created_moment, fen, intpk, moment, not_negative, table_args


class Payment(Base):
    """The payment of one order at the gateway. `out_trade_no` is our number for it, `trade_no` the gateway's."""

    __tablename__ = "payments"
    __table_args__ = table_args(not_negative("amount"))

    id: Mapped[intpk]
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("orders.id"), unique=True)
    out_trade_no: Mapped[str] = mapped_column(String(64), unique=True)
    amount: Mapped[fen]
    trade_no: Mapped[str | None] = mapped_column(String(64))
    paid_at: Mapped[moment | None]
    created_at: Mapped[created_moment]


class GatewayNotification(Base):
    """Every notification that reached us, believed or not; `refusal` says why not."""

    __tablename__ = "gateway_notifications"
    __table_args__ = (Index("ix_gateway_notifications_out_trade_no", "out_trade_no"),)

    id: Mapped[intpk]
    out_trade_no: Mapped[str] = mapped_column(String(64))
    trade_no: Mapped[str] = mapped_column(String(64))
    fields: Mapped[dict[str, Any]] = mapped_column(JSONB)
    refusal: Mapped[str | None] = mapped_column(String(100))
    received_at: Mapped[created_moment]


class RefundState(StrEnum):
    """Whether the gateway has confirmed a refund."""

    PENDING = "pending"
    CONFIRMED = "confirmed"


class Refund(Base):
    """Money on its way back to the buyer. `request_no` makes asking the gateway twice harmless."""

    __tablename__ = "refunds"
    __table_args__ = table_args(
        not_negative("amount"),
        CheckConstraint("state IN ('pending', 'confirmed')", name="state_known"),
        Index("ix_refunds_pending", "created_at", postgresql_where=text("state = 'pending'")),
    )

    id: Mapped[intpk]
    payment_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("payments.id"), unique=True)
    request_no: Mapped[str] = mapped_column(String(64), unique=True)
    amount: Mapped[fen]
    reason: Mapped[str] = mapped_column(String(30))  # the order's event that sends the money back
    state: Mapped[str] = mapped_column(String(10), default=RefundState.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None] = mapped_column(String(200))
    confirmed_at: Mapped[moment | None]
    created_at: Mapped[created_moment]
