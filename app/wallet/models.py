"""Withdrawals."""

from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.columns import Base, created_moment, fen, intpk, moment, table_args


class PayoutState(StrEnum):
    """Whether the gateway has carried out a withdrawal."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    FAILED = "failed"


class PayoutPosting(StrEnum):
    """The kinds of ledger transactions that withdrawals make."""

    REQUESTED = "payout_requested"
    CONFIRMED = "payout_confirmed"
    FAILED = "payout_failed"


class Payout(Base):
    """One withdrawal, in fen. `out_biz_no` is its number at the gateway, which makes one transfer for each number.

    `account` and `name` are the payee's Alipay account and real name: personal data, used for the transfer alone.
    """

    __tablename__ = "payouts"
    __table_args__ = table_args(
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("state IN ('pending', 'confirmed', 'failed')", name="state_known"),
        CheckConstraint("(state = 'pending') = (finished_at IS NULL)", name="finished_once_decided"),
        Index("ix_payouts_user_id_id", "user_id", "id"),
        Index("ix_payouts_user_id_created_at", "user_id", "created_at"),
        Index("ix_payouts_pending", "created_at", postgresql_where=text("state = 'pending'")),
    )

    id: Mapped[intpk]
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    out_biz_no: Mapped[str] = mapped_column(String(64), unique=True)
    amount: Mapped[fen]
    account: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(30))
    state: Mapped[str] = mapped_column(String(10), default=PayoutState.PENDING)
    reason: Mapped[str | None] = mapped_column(String(100))  # why it failed, as the user reads it
    gateway_order_no: Mapped[str | None] = mapped_column(String(64))  # the gateway's number of the transfer
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None] = mapped_column(String(200))
    # When the gateway was last asked for the transfer without a final answer: it may be made for a while after that.
    undecided_at: Mapped[moment | None]
    # Confirmed by staff, who paid it themselves: the gateway knows of no transfer.
    paid_otherwise: Mapped[bool] = mapped_column(default=False, server_default="false")
    created_at: Mapped[created_moment]
    finished_at: Mapped[moment | None]
