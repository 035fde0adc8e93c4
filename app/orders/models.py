"""Orders, their history, their waybills, refund requests, disputes and the pictures that go with them."""

from datetime import timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Interval,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, column_property, mapped_column

from app.db.append_only import append_only
from app.db.columns import Base, created_moment, fen, intpk, moment, not_negative, table_args
from app.db.erasable_texts import DIGEST_LENGTH, text_of
from statemachine.export.sql_check import sql_check
from statemachine.order import ORDER, OrderPhase


class HoldReason(StrEnum):
    """Why an order is held: nothing may happen to it until staff have decided."""

    REFUNDED_ELSEWHERE = "refunded_elsewhere"  # money of it went back to the payer at the gateway, without us


class Order(Base):
    """One purchase of one good. Title, picture and price are copied from the good at purchase; money is fen."""

    __tablename__ = "orders"
    __table_args__ = table_args(
        not_negative("price", "freight", "amount"),
        CheckConstraint("amount = price + freight", name="amount_is_sum"),
        CheckConstraint("buyer_id <> seller_id", name="two_parties"),
        CheckConstraint(sql_check(ORDER, ORDER.columns), name="phase_legal"),
        # At most one open order per good, however many buyers try at once.
        Index("uq_orders_open_good", "good_id", unique=True, postgresql_where=text("NOT closed")),
        Index("ix_orders_good_id", "good_id"),
        Index("ix_orders_buyer_id_id", "buyer_id", "id"),
        Index("ix_orders_seller_id_id", "seller_id", "id"),
        # For the sweeps of `app.orders.deadlines` and `app.notifications.reminders`.
        Index("ix_orders_deadline_at", "deadline_at", postgresql_where=text("deadline_at IS NOT NULL")),
        Index("ix_orders_remind_at", "remind_at", postgresql_where=text("remind_at IS NOT NULL")),
        # A buyer's unpaid orders, the open ones and those that expired.
        Index("ix_orders_unpaid_buyer_id", "buyer_id", "updated_at", postgresql_where=text("bill_status = 1")),
        CheckConstraint("NOT closed OR (deadline_at IS NULL AND remind_at IS NULL)", name="closed_has_no_clock"),
        CheckConstraint("NOT disputed OR (bill_status = 4 AND deadline_at IS NULL)", name="dispute_stops_the_clock"),
    )

    id: Mapped[intpk]
    order_no: Mapped[str] = mapped_column(String(32), unique=True)
    good_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("goods.id"))
    buyer_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    seller_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    good_title: Mapped[str] = mapped_column(String(60))
    good_picture_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("pictures.id"))
    price: Mapped[fen]
    freight: Mapped[fen]
    amount: Mapped[fen]
    trade_mode: Mapped[int] = mapped_column(SmallInteger)
    bill_status: Mapped[int] = mapped_column(SmallInteger)
    order_status: Mapped[int] = mapped_column(SmallInteger)
    closed: Mapped[bool] = mapped_column(default=False)
    closed_reason: Mapped[str | None] = mapped_column(String(30))  # the event that closed it
    history_length: Mapped[int] = mapped_column(default=0)
    history_hash: Mapped[str] = mapped_column(String(64), default="")  # of the last line of the history
    refund_count: Mapped[int] = mapped_column(SmallInteger, default=0)
    address: Mapped[dict[str, Any] | None] = mapped_column(
        JSONB(none_as_null=True)
    )  # the buyer's, as it was when the order was made
    hidden_by_buyer: Mapped[bool] = mapped_column(default=False)
    hidden_by_seller: Mapped[bool] = mapped_column(default=False)
    phase_since: Mapped[moment]  # when the present phase began
    deadline_at: Mapped[moment | None]  # when the system acts; None where no deadline runs
    remind_at: Mapped[moment | None]  # when to remind of the deadline; None once that is done
    clock_left: Mapped[timedelta | None] = mapped_column(Interval)  # rest of the deadline that a refund request paused
    # Since when nothing may happen to the order, for the one `HoldReason` that there is: staff decide.
    held_at: Mapped[moment | None]
    disputed: Mapped[bool] = mapped_column(default=False, server_default=false())  # waits for staff
    extended: Mapped[bool] = mapped_column(default=False, server_default=false())  # the time for receipt; only once
    handover_code: Mapped[str | None] = mapped_column(String(6))  # 当面交易: the buyer tells it to the seller
    handover_tries: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    created_at: Mapped[created_moment]
    updated_at: Mapped[moment]

    @property
    def phase(self) -> OrderPhase:
        """The order's state in the order machine: bill status, order status and closed."""
        return OrderPhase(self.bill_status, self.order_status, self.closed)

    @phase.setter
    def phase(self, phase: OrderPhase) -> None:
        self.bill_status, self.order_status, self.closed = phase


class OrderEventRecord(Base):
    """One line of an order's history: who did what and when, and the states before and after. Append-only.

    `hash` covers the line, including `previous_hash`, the hash of the line before: see `app.orders.history`.
    """

    __tablename__ = "order_events"
    __table_args__ = (UniqueConstraint("order_id", "sequence"),)

    id: Mapped[intpk]
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("orders.id"))
    sequence: Mapped[int]
    event: Mapped[str] = mapped_column(String(30))  # "buy", then events of the machine
    role: Mapped[str] = mapped_column(String(10))
    actor_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id"))  # None: system and gateway
    from_bill: Mapped[int | None] = mapped_column(SmallInteger)
    from_order: Mapped[int | None] = mapped_column(SmallInteger)
    to_bill: Mapped[int] = mapped_column(SmallInteger)
    to_order: Mapped[int] = mapped_column(SmallInteger)
    closed: Mapped[bool]
    note_digest: Mapped[str | None] = mapped_column(
        String(DIGEST_LENGTH), ForeignKey("erasable_texts.digest")
    )  # of what the actor wrote
    note: Mapped[str] = column_property(text_of(note_digest))  # what the actor wrote; not of the row itself
    # What `hash` was while the words themselves stood in the line; None for lines that were written since.
    legacy_hash: Mapped[str | None] = mapped_column(String(64))
    at: Mapped[created_moment]
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


append_only(OrderEventRecord.__table__)


class Direction(StrEnum):
    """Which way a parcel goes."""

    DELIVERY = "delivery"
    RETURN = "return"


class Waybill(Base):
    """A parcel. Its two addresses are copies, so that later edits of an address do not change it."""

    __tablename__ = "waybills"
    __table_args__ = table_args(
        not_negative("freight"),
        UniqueConstraint("order_id", "direction"),
        CheckConstraint("direction IN ('delivery', 'return')", name="direction_known"),
    )

    id: Mapped[intpk]
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("orders.id"))
    direction: Mapped[str] = mapped_column(String(10))
    # NULL where the parties met in person: the return of a 当面交易 order.
    sender: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    recipient: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    company: Mapped[str] = mapped_column(String(30))
    tracking_no: Mapped[str] = mapped_column(String(40))
    freight: Mapped[fen] = mapped_column(default=0)
    created_at: Mapped[created_moment]


class RefundRequest(Base):
    """A buyer's request for the money back, and its outcome.

    `outcome` is the event that ended the request, `outcome_note` the reason given with it by the seller or staff.
    """

    __tablename__ = "refund_requests"
    __table_args__ = (Index("ix_refund_requests_order_id_id", "order_id", "id"),)

    id: Mapped[intpk]
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("orders.id"))
    reason: Mapped[str] = mapped_column(String(100))
    description: Mapped[str] = mapped_column(String(500), default="")
    created_at: Mapped[created_moment]
    outcome: Mapped[str | None] = mapped_column(String(30))
    outcome_note: Mapped[str] = mapped_column(String(500), default="", server_default="")
    ended_at: Mapped[moment | None]


class Dispute(Base):
    """A dispute that one party raised. Staff's decision ends it, or a party that gives in; `outcome` is that event."""

    __tablename__ = "disputes"
    __table_args__ = (
        Index("uq_disputes_open_order", "order_id", unique=True, postgresql_where=text("ended_at IS NULL")),
        Index("ix_disputes_order_id_id", "order_id", "id"),
    )

    id: Mapped[intpk]
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("orders.id"))
    raised_by: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    role: Mapped[str] = mapped_column(String(10))
    event: Mapped[str] = mapped_column(String(30))  # dispute or contest_return
    reason: Mapped[str] = mapped_column(String(100))
    description: Mapped[str] = mapped_column(String(500), default="")
    # The parties' statements since, oldest first: {role, text, at}.
    statements: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, default=list, server_default="[]")
    created_at: Mapped[created_moment]
    outcome: Mapped[str | None] = mapped_column(String(30))
    outcome_note: Mapped[str] = mapped_column(Text, default="", server_default="")
    ended_at: Mapped[moment | None]


class EvidencePicture(Base):
    """A picture attached to a refund request or a dispute; visible to both parties and staff.

    Its bytes are in picture storage under `sha256`.
    """

    __tablename__ = "evidence_pictures"
    __table_args__ = table_args(
        CheckConstraint("width > 0 AND height > 0", name="has_size"),
        CheckConstraint("(refund_request_id IS NULL) <> (dispute_id IS NULL)", name="belongs_to_one"),
        Index("ix_evidence_pictures_order_id_id", "order_id", "id"),
        Index("ix_evidence_pictures_sha256", "sha256"),
    )

    id: Mapped[intpk]
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("orders.id"))
    refund_request_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("refund_requests.id"))
    dispute_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("disputes.id"))
    uploader_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    sha256: Mapped[str] = mapped_column(String(64))
    content_type: Mapped[str] = mapped_column(String(20))
    size: Mapped[int]
    width: Mapped[int]
    height: Mapped[int]
    created_at: Mapped[created_moment]
