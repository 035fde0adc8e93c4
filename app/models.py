"""Imports every model, so that metadata is complete for migrations."""

from app.accounts.models import Address, User
from app.goods.models import Good, Picture
from app.moderation.models import Verdict
from app.money.models import GatewayNotification, Payment, Refund
from app.orders.models import Order, OrderEventRecord, RefundRequest, Waybill
from app.outbox import OutboxMessage

__all__ = [
    "Address",
    "GatewayNotification",
    "Good",
    "Order",
    "OrderEventRecord",
    "OutboxMessage",
    "Payment",
    "Picture",
    "Refund",
    "RefundRequest",
    "User",
    "Verdict",
    "Waybill",
]
